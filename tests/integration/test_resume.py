# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sessions that outlive their connections: what a client missed comes once and in order, and the others notice nothing."""

import pytest

from choir_test import Client, DIALECTS, EndOfStream, RawWs, Violation, daemon as daemon_module
from document_client import Talker, figure, wait_until

SETTINGS = {
    'server.max-connections-per-user': '1000',
    'rate.default': '60000/1s',
    'session.resume-window': '60s',
    'protocol.max-queue-bytes': '32M',
}
PERMISSIONS = ('*:*:*',)


class Returner(Client):
    """A client of any dialect that can lose its connection."""

    def __init__(self, daemon, sub, dialect='choir', query='', extensions=None):
        self.daemon, self.sub, self.query, self.extensions = daemon, sub, query, extensions
        self.batch = []
        super().__init__(self._open(dialect), DIALECTS[dialect])
        self.established = self._read_established()
        self.session_id = self.established['session_id']

    def _open(self, dialect, more=''):
        token = self.daemon.mint(self.sub, PERMISSIONS)
        target = f'/ws?dialect={dialect}&token={token}{self.query}{more}'
        return RawWs.open(self.daemon.address, target, extensions=self.extensions)

    def recv(self, timeout=None):
        """One message, also where several come in an array."""
        if not self.batch:
            got = self.ws.recv_json(timeout)
            self.batch = got if isinstance(got, list) else [got]
        self.seen.append(self.batch.pop(0))
        return self.seen[-1]

    def _read_established(self):
        message = self.recv()
        assert message['type'] == self.dialect.first_type, message
        return self.dialect.payload(message)

    def come_back(self, named=True):
        """On a new connection; the old one is left as it is. Returns whether the session was there."""
        self.ws = self._open(self.dialect.name, f'&session_id={self.session_id}' if named else '')
        self.ws.traffic.assume(self.dialect.name)
        before, self.established = self.established, self._read_established()
        assert self.established['connection_id'] != before['connection_id']
        return self.established['resumed']

    def subscribe(self, *channels):
        self.send({'type': 'subscribe', self.dialect.payload_key: {'channels': list(channels)}})
        self.synchronise()

    def publish(self, channel, n, **more):
        self.send({'type': 'publish', 'payload': {'channel': channel, 'type': 'note', 'payload': {'n': n, **more}}})
        return self.wait_type('publish.ok')['payload']['offset']

    def synchronise(self):
        """What came before a pong."""
        start = len(self.seen)
        self.send({'type': 'ping', self.dialect.payload_key: {}})
        self.wait_type('pong')
        return self.seen[start:-1]

    def notes(self):
        return [self.dialect.payload(message)['n'] for message in self.synchronise() if message['type'] == 'note']


def is_waiting(daemon, n=1):
    wait_until(lambda: figure(daemon, 'choir_waiting_sessions') == n, f'{n} sessions that wait')


@pytest.fixture
def room(fresh):
    return fresh('room:')


@pytest.fixture
def publisher(daemon, fresh):
    client = Returner(daemon, fresh('publisher'))
    yield client
    leave(client)


@pytest.fixture(autouse=True)
def nobody_waits(request):
    """One test's sessions are not another's."""
    daemon = request.getfixturevalue('daemon') if 'daemon' in request.fixturenames else None
    yield
    if daemon is not None:
        is_waiting(daemon, 0)


def leave(*clients):
    """Properly, whatever is still said to them."""
    for client in clients:
        client.ws.send_close(1000)
        assert client.ws.recv_close(skip_data=True).code == 1000
        client.ws.close()


def end(ws, how):
    if how == 'reset':
        ws.abort()
    elif how == 'end':
        ws.close()
    else:
        ws.send_close(1001)
        ws.close()


@pytest.mark.parametrize('extensions', [None, 'permessage-deflate'], ids=['plain', 'deflate'])
@pytest.mark.parametrize('how', ['reset', 'end', 'going-away'])
def test_what_was_missed_comes_once_and_in_order(daemon, user, room, publisher, how, extensions):
    client = Returner(daemon, user, extensions=extensions)
    client.subscribe(room)
    publisher.publish(room, 0)
    assert client.notes() == [0]
    end(client.ws, how)
    is_waiting(daemon)
    for n in range(1, 101):
        publisher.publish(room, n, text='x' * 2000)
    assert client.come_back()
    assert client.established['session_id'] == client.session_id
    publisher.publish(room, 101)
    offsets = [message['offset'] for message in client.synchronise() if message['type'] == 'note']
    assert offsets == list(range(2, 103))
    # and so once more
    end(client.ws, how)
    is_waiting(daemon)
    publisher.publish(room, 102)
    assert client.come_back()
    assert client.notes() == [102]
    leave(client)


def test_arrays_for_one_that_takes_them(daemon, user, room, publisher):
    """It lost its connection as one that takes arrays, and comes back as one that does not."""
    client = Returner(daemon, user, query='&batch=1')
    client.subscribe(room)
    client.ws.abort()
    is_waiting(daemon)
    for n in range(50):
        publisher.publish(room, n)
    client.query = ''
    assert client.come_back()
    assert client.notes() == list(range(50))
    leave(client)


def test_goodbye_is_goodbye(daemon, user, room):
    client = Returner(daemon, user)
    leave(client)
    assert not client.come_back()
    leave(client)


def test_nobody_elses(daemon, fresh, room):
    client = Returner(daemon, fresh('owner'))
    client.ws.abort()
    is_waiting(daemon)
    thief = Returner(daemon, fresh('thief'), query=f'&session_id={client.session_id}')
    assert not thief.established['resumed'] and thief.session_id != client.session_id
    assert client.come_back()
    leave(client, thief)


def test_taken_from_a_connection_that_is_alive(daemon, user, room, publisher):
    client = Returner(daemon, user)
    client.subscribe(room)
    publisher.publish(room, 0)
    assert client.notes() == [0]
    old = client.ws
    assert client.come_back()
    assert old.recv_close().code == 4009
    publisher.publish(room, 1)
    assert client.notes() == [1]
    leave(client)


def test_half_open(start, tmp_path, user, room):
    """The network swallows everything, the service goes on writing until it can't, and knows nothing. What the old socket
    was given and what the new one is given are together everything, once."""
    n_messages = 40
    # the kernel takes little for these, and the same everywhere
    daemon = start(SETTINGS, listen=[f'unix:{tmp_path}/choir.sock'])
    publisher = Returner(daemon, f'{user}-publisher')
    client = Returner(daemon, user)
    client.subscribe(room)
    for n in range(n_messages):
        publisher.publish(room, n, text='x' * 60000)
    old = client.ws
    assert client.come_back()
    fresh_notes = client.notes()

    old_notes = []
    client.ws, new = old, client.ws
    while True:
        try:
            message = client.recv()
        except (EndOfStream, Violation) as end_of_it:
            # a frame that had been begun can't be followed by a close frame
            assert isinstance(end_of_it, EndOfStream) or 'opcode=8' in str(end_of_it), end_of_it
            break
        if message['type'] == 'note':
            old_notes.append(message['payload']['n'])
    client.ws = new
    assert old_notes and fresh_notes, 'the kernel took all of it, or nothing: nothing was shown'
    assert old_notes + fresh_notes == list(range(n_messages))


def test_by_message(daemon, user, room, publisher):
    client = Returner(daemon, user)
    client.subscribe(room)
    client.ws.abort()
    is_waiting(daemon)
    publisher.publish(room, 1)
    client.ws = RawWs.open(daemon.address, '/ws?dialect=choir')
    client.ws.traffic.assume('choir')
    assert client.wait_type('connection.established')['payload']['resumed'] is False
    client.send({'type': 'auth', 'id': 'a', 'payload': {'token': daemon.mint(user, PERMISSIONS), 'session_id': client.session_id}})
    ok = client.wait_type('auth.ok')['payload']
    assert ok['resumed'] is True and ok['session_id'] == client.session_id
    assert client.notes() == [1]
    leave(client)


def test_netra_by_client_id(daemon, user, room, publisher):
    one = Returner(daemon, user, 'netra', query='&client_id=tab-1')
    two = Returner(daemon, user, 'netra', query='&client_id=tab-2')
    for client in one, two:
        client.subscribe(room)
    one.synchronise()
    one.ws.abort()
    two.ws.abort()
    is_waiting(daemon, 2)
    publisher.publish(room, 1)
    for client in one, two:
        assert client.come_back(named=False)
        assert client.established['client_id'] == client.query[-5:]
        assert client.established['session_id'] == client.session_id
        assert client.notes() == [1]
    leave(one, two)


def test_netra_spec_by_user(daemon, user, room, publisher):
    client = Returner(daemon, user, 'netra-spec')
    client.subscribe(room)
    client.ws.abort()
    is_waiting(daemon)
    for n in range(20):
        publisher.publish(room, n)
    assert client.come_back(named=False)
    assert client.established['session_id'] == client.session_id
    assert client.notes() == list(range(20))
    leave(client)


@pytest.mark.parametrize('dialect', ['jddb', 'reviewpoint', 'tripsage'])
def test_others_end(daemon, user, dialect):
    target = DIALECTS[dialect].target(daemon.mint(user, PERMISSIONS))
    ended = figure(daemon, 'websocket_connections_total{status="closed"}')
    RawWs.open(daemon.address, target).abort()
    wait_until(lambda: figure(daemon, 'websocket_connections_total{status="closed"}') == ended + 1, 'the end')
    assert figure(daemon, 'choir_waiting_sessions') == 0


def test_presence_does_not_flicker(daemon, user, fresh, room):
    watcher = Returner(daemon, fresh('watcher'))
    watcher.subscribe(room)
    client = Returner(daemon, user)
    client.subscribe(room)
    assert [message['type'] for message in watcher.synchronise()] == ['presence.joined']
    for _ in range(3):
        client.ws.abort()
        is_waiting(daemon)
        watcher.send({'type': 'presence', 'payload': {'channel': room}})
        state = watcher.wait_type('presence.state')['payload']
        assert state['count'] == 2 and client.session_id in {member['session_id'] for member in state['members']}
        assert client.come_back()
    assert watcher.synchronise() == []
    leave(client)
    assert watcher.wait_type('presence.left')['payload']['session_id'] == client.session_id
    leave(watcher)


def test_document_editor(daemon, user, fresh):
    document = fresh('paper')
    other = Talker(daemon, fresh('other'))
    client = Talker(daemon, user, target='/ws?dialect=choir&client_id=desk')
    other.open(document)
    client.open(document)
    client.change(document, ['one '], change_id='c1')
    other.heard()

    # sent, but whether it arrived the client will not know
    client.send({'type': 'document.change',
                 'payload': {'document_id': document, 'change_id': 'c2', 'operation': [4, 'two ']}})
    assert other.wait_type('document.change')['payload']['version'] == 2
    client.ws.abort()
    is_waiting(daemon)
    other.change(document, [8, 'three'])

    back = Talker(daemon, user, target=f'/ws?dialect=choir&session_id={client.session_id}')
    assert back.session_id == client.session_id
    # still open: what the other did comes by itself, and what was in flight is known
    assert back.wait_type('document.change')['payload']['version'] == 3
    answer = back.get('document.change', 'document.ack', document_id=document, change_id='c2', version=1, operation=[4, 'two '])
    assert answer['version'] == 2
    back.change(document, [13, '!'])
    assert back.state(document) == other.state(document) == (4, 'one two three!')
    assert not other.heard('user.presence')
    leave(back, other)


def test_silence(start, fresh):
    """A connection that says nothing for the idle time may be a dead one."""
    daemon = start(dict(SETTINGS), config='[dialect choir]\nidle-timeout=1s\n')
    client = Returner(daemon, fresh('silent'))
    assert client.ws.recv_close().code == 1000
    is_waiting(daemon)
    assert client.come_back()


def test_window(start, user):
    daemon = start({**SETTINGS, 'session.resume-window': '1s'})
    client = Returner(daemon, user)
    client.ws.abort()
    wait_until(lambda: figure(daemon, 'choir_waits_ended_total{reason="window"}') == 1, 'the end of the window')
    assert not client.come_back()
    assert figure(daemon, 'choir_resumes_total{outcome="lost"}') == 1


def test_not_at_all(start, user):
    daemon = start({**SETTINGS, 'session.resume-window': '0'})
    client = Returner(daemon, user)
    client.ws.abort()
    wait_until(lambda: figure(daemon, 'websocket_active_connections') == 0, 'the end')
    assert figure(daemon, 'choir_waiting_sessions') == 0
    assert not client.come_back()


def test_many_wait_in_bounded_memory(start, fresh):
    """What waits for 500 is counted for each, and held to the limit; frames are shared all the same."""
    limit = 8 * 1024 * 1024
    n_messages = 30
    daemon = start({**SETTINGS, 'session.max-waiting': '490', 'session.max-waiting-bytes': str(limit)})
    clients = [Returner(daemon, f'u{n}') for n in range(500)]
    for client in clients:
        client.send({'type': 'subscribe', 'payload': {'channels': ['quiet:hall']}})
    for client in clients:
        client.wait_type('subscription.confirmed')
    for client in clients:
        client.ws.abort()
    wait_until(lambda: figure(daemon, 'websocket_active_connections') == 0, 'the loss of all')
    is_waiting(daemon, 490)

    publisher = Returner(daemon, fresh('publisher'))
    before = daemon.rss()
    for n in range(n_messages):
        publisher.publish('quiet:hall', n, text='x' * 2000)
    assert figure(daemon, 'choir_waiting_bytes') <= limit
    wait_until(lambda: figure(daemon, 'choir_waits_ended_total{reason="full"}') > 0, 'the end of some')
    # freed blocks are kept for a while by the sanitizer, to be found when they are used
    if not daemon_module.is_sanitized():
        assert daemon.rss() - before < limit

    outcomes = set()
    for client in clients[::25]:
        resumed = client.come_back()
        assert client.notes() == (list(range(n_messages)) if resumed else [])
        outcomes.add(resumed)
    assert outcomes == {True, False}


def test_limits_do_not_count_them(start, user):
    daemon = start(dict(SETTINGS), config='[dialect choir]\nmax-connections-per-user=2\nper-user-policy=reject\n')
    clients = [Returner(daemon, user) for _ in range(2)]
    clients[0].ws.abort()
    is_waiting(daemon)
    newer = Returner(daemon, user)
    # both places are taken, but not by a connection that is taken over
    assert clients[1].come_back()
    leave(newer)
    wait_until(lambda: figure(daemon, 'websocket_active_connections') == 1, 'the end')
    assert clients[0].come_back()


def test_stopping_does_not_wait_for_them(start, user):
    daemon = start({**SETTINGS, 'server.drain-timeout': '30s'})
    client = Returner(daemon, user)
    client.ws.abort()
    is_waiting(daemon)
    daemon.stop(timeout=15)
