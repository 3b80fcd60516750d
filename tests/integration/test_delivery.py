# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who gets what: everyone exactly what they should, in order, once, and nobody anything else."""

import json
import re
import threading
import time

import pytest

from choir_test import DEADLINE, DIALECTS, RawWs, http_get
from library_client import join

# Every limit that is not this file's subject is out of the way
OPEN = '[rate]\ndefault=60000/1s\n[server]\nmax-connections-per-user=1000\n' + ''.join(
    f'[dialect {name}]\nrate=60000/1s\nmax-connections-per-user=1000\n' for name in DIALECTS)
N_SUBSCRIBERS = 50
N_MESSAGES = 100


@pytest.fixture
def daemon(start):
    return start(config=OPEN)


class Subscriber:
    """A session in some dialect that has subscribed to chat channels."""

    def __init__(self, daemon, dialect, sub, room):
        self.dialect = DIALECTS[dialect]
        self.token = daemon.mint(sub)
        target = {'jddb': f'/ws?dialect=jddb&token={self.token}', 'tripsage': f'/ws/chat/{room.partition(":")[2]}'}
        self.ws = RawWs.open(daemon.address, target.get(dialect) or self.dialect.target(self.token))
        if dialect == 'tripsage':
            self.ws.send_json({'token': self.token, 'sessionId': room, 'channels': []})
            assert self.ws.recv_json()['success'] is True
        elif dialect != 'jddb':
            assert self.ws.recv_json()['type'] == self.dialect.first_type
        if dialect not in ('jddb', 'tripsage'):
            self.ws.send_json({'type': 'subscribe', self.dialect.payload_key: {'channels': [room]}})
            self.synchronise()

    def synchronise(self):
        """All that was sent to this session has been read; returned."""
        seen = []
        self.ws.send_json({'type': 'ping', self.dialect.payload_key: {}})
        while True:
            message = self.ws.recv_json()
            if message.get('type') == 'pong':
                return seen
            seen.append(message)

    def payloads(self, messages, type_):
        return [self.dialect.payload(message) for message in messages if message['type'] == type_]


# The contracts have names of their own for a chat message
CHAT_TYPES = {'choir': 'chat.message', 'netra': 'chat_response', 'netra-spec': 'user_message', 'tripsage': 'chat_message',
              'reviewpoint': 'chat.message'}


def publish_all(daemon, publisher, room, failures):
    """N_MESSAGES in one go, then all of their acknowledgements."""
    try:
        client = join(daemon, token=daemon.mint(f'publisher{publisher}'))
        for n in range(N_MESSAGES):
            client.send({'type': 'chat.message', 'id': f'{n}',
                         'payload': {'channel': room, 'content': f'{publisher}:{n}', 'publisher': publisher, 'n': n}})
        offsets = []
        for n in range(N_MESSAGES):
            answer = client.wait_type('publish.ok')
            assert answer['correlation_id'] == str(n), answer
            offsets.append(answer['payload']['offset'])
        assert offsets == sorted(set(offsets))
        client.ws.close()
    except BaseException as error:
        failures.append(error)


def test_everyone_gets_everything_in_order_once(daemon):
    room = 'chat:hall'
    dialects = list(CHAT_TYPES)
    subscribers = [Subscriber(daemon, dialects[i % len(dialects)], f'sub{i}', room) for i in range(N_SUBSCRIBERS)]
    others = [Subscriber(daemon, dialect, f'other-{dialect}', 'chat:elsewhere') for dialect in dialects]
    failures = []
    threads = [threading.Thread(target=publish_all, args=(daemon, p, room, failures)) for p in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures

    order = None
    for subscriber in subscribers:
        name = subscriber.dialect.name
        messages = subscriber.synchronise()
        got = [(body['publisher'], body['n']) for body in subscriber.payloads(messages, CHAT_TYPES[name])]
        assert len(got) == 3 * N_MESSAGES, (name, len(got))
        for publisher in range(3):
            assert [n for p, n in got if p == publisher] == list(range(N_MESSAGES)), (name, publisher)
        # one channel, one order
        order = order or got
        assert got == order, name
        if name == 'choir':
            offsets = [message['offset'] for message in messages if message['type'] == 'chat.message']
            assert offsets == list(range(1, 3 * N_MESSAGES + 1))
        strange = {message['type'] for message in messages} - {CHAT_TYPES[name], 'presence.joined', 'presence.left'}
        assert not strange, (name, strange)
    for other in others:
        assert not other.payloads(other.synchronise(), CHAT_TYPES[other.dialect.name])


@pytest.mark.parametrize('joined_in', sorted(CHAT_TYPES))
def test_every_dialect_speaks_to_every_other(daemon, joined_in):
    """What is said in one contract is heard in all."""
    room = 'chat:babel'
    speaker = Subscriber(daemon, joined_in, 'speaker', room)
    hearers = [Subscriber(daemon, dialect, f'hearer-{dialect}', room) for dialect in CHAT_TYPES]
    type_ = {'choir': 'chat.message', 'netra': 'chat_message', 'netra-spec': 'user_message', 'tripsage': 'chat_message'}
    if joined_in == 'reviewpoint':
        # notifications only: it hears, and can not speak
        speaker.ws.send_json({'type': 'chat.message', 'data': {'channel': room, 'content': 'hi'}})
        answer = speaker.synchronise()
        assert [message['data']['code'] for message in answer if message['type'] == 'error'] == ['INVALID_MESSAGE_TYPE']
        return
    speaker.ws.send_json({'type': type_[joined_in], speaker.dialect.payload_key: {'channel': room, 'content': 'hi'}})
    # a chat channel's messages are stored before anybody hears them; it hears itself
    while speaker.ws.recv_json().get('type') != CHAT_TYPES[joined_in]:
        pass
    for hearer in hearers:
        heard = hearer.payloads(hearer.synchronise(), CHAT_TYPES[hearer.dialect.name])
        assert [body['content'] for body in heard] == ['hi'], hearer.dialect.name


def test_user_session_all(daemon):
    service = join(daemon, token=daemon.mint('service', roles=['service']))

    def publish(channel, n):
        service.send({'type': 'publish', 'payload': {'channel': channel, 'type': 'note', 'payload': {'n': n}}})
        service.wait_type('publish.ok')

    ann = [join(daemon, authenticate=False, token=daemon.mint('ann', ())) for _ in range(3)]
    bob = [join(daemon, authenticate=False, token=daemon.mint('bob', ())) for _ in range(2)]
    sessions = {id(client): client.recv()['payload']['session_id'] for client in ann + bob}
    publish('user:ann', 1)
    publish(f'session:{sessions[id(bob[0])]}', 2)
    publish('all', 3)
    publish('user:an', 4)
    publish('user:ann2', 5)
    publish('user:bob', 6)

    def got(client):
        client.seen.clear()
        client.check_alive()
        return [message['payload']['n'] for message in client.seen if message['type'] == 'note']

    assert [got(client) for client in ann] == [[1, 3]] * 3
    assert [got(client) for client in bob] == [[2, 3, 6], [3, 6]]


def test_exclusion(daemon):
    """Typing is heard by all but the one who types."""
    clients = [join(daemon, token=daemon.mint(f'u{i}')) for i in range(4)]
    for client in clients:
        client.send({'type': 'subscribe', 'payload': {'channels': ['chat:t']}})
        client.wait_type('subscription.confirmed')
    for client in clients:
        client.send({'type': 'chat.typing', 'payload': {'channel': 'chat:t'}})
        client.check_alive()
    for i, client in enumerate(clients):
        client.check_alive()
        typists = [message['payload']['user_id'] for message in client.seen if message['type'] == 'chat.typing']
        assert typists == [f'u{j}' for j in range(4) if j != i]


def test_nothing_leaks(daemon):
    """One user is told everything there is to be told; a user without permissions hears none of it."""
    ann, eve = join(daemon, token=daemon.mint('ann')), join(daemon, token=daemon.mint('eve', ()))
    secrets = ['secret:1', 'user:ann', 'document:1', 'event:private', 'agents:7']
    tries = secrets + ['session:' + ann.seen[0]['payload']['session_id'], 'user:*', '*', 'secret:*', 'document:*']
    eve.send({'type': 'subscribe', 'payload': {'channels': tries}})
    answer = eve.wait_type('subscription.confirmed')['payload']
    assert [entry['channel'] for entry in answer['rejected']
            if entry['channel'] != 'event:private'] == [name for name in tries if name != 'event:private'], answer
    ann.send({'type': 'subscribe', 'payload': {'channels': secrets}})
    ann.wait_type('subscription.confirmed')
    for channel in ['secret:1', 'user:ann', 'agents:7']:
        ann.send({'type': 'publish', 'payload': {'channel': channel, 'type': 'note', 'payload': {'s': 'squirrel'}}})
        ann.wait_type('publish.ok')
    for type_ in ('history', 'presence'):
        for channel in ['secret:1', 'user:ann', 'agents:7']:
            eve.send({'type': type_, 'payload': {'channel': channel}})
            eve.wait_error('PERMISSION_DENIED')
    eve.check_alive()
    said = json.dumps(eve.seen)
    assert 'squirrel' not in said and '"user_id": "ann"' not in said, said


def test_a_permission_taken_away_is_gone_at_once(daemon):
    ann = join(daemon, token=daemon.mint('ann'))
    bob = join(daemon, token=daemon.mint('bob', ('secret:*:read',)))
    bob.send({'type': 'subscribe', 'payload': {'channels': ['secret:1']}})
    bob.wait_type('subscription.confirmed')

    def publish(n):
        ann.send({'type': 'publish', 'payload': {'channel': 'secret:1', 'type': 'note', 'payload': {'n': n}}})
        ann.wait_type('publish.ok')

    publish(1)
    assert bob.wait_type('note')['payload'] == {'n': 1}
    bob.send({'type': 'auth', 'payload': {'token': daemon.mint('bob', ())}})
    bob.wait_type('auth.ok')
    publish(2)
    bob.seen.clear()
    bob.check_alive()
    assert 'note' not in [message['type'] for message in bob.seen]


def n_slow_consumers(daemon):
    text = http_get(daemon.address, '/metrics').body.decode()
    return int(re.search(r'^choir_slow_consumers_total (\d+)$', text, re.MULTILINE)[1])


def test_a_slow_reader_is_sent_away_and_delays_nobody(start):
    daemon = start({'protocol.max-queue-bytes': '256K'}, config=OPEN)
    slow = RawWs.open(daemon.address, f'/ws?token={daemon.mint("slow")}')
    slow.reads_while_sending = False
    slow.recv_json()
    slow.send_json({'type': 'subscribe', 'payload': {'channels': ['chat:flood']}})
    epoch = slow.recv_json()['payload']['channels'][0]['epoch']
    fast = join(daemon, token=daemon.mint('fast'))
    fast.send({'type': 'subscribe', 'payload': {'channels': ['chat:flood']}})
    fast.wait_type('subscription.confirmed')
    writer = join(daemon, token=daemon.mint('writer'))
    worst, n = 0, 0
    body = {str(i): 'x' * 9000 for i in range(6)}
    # until the kernel's buffers and the queue are full: at most some MiB
    while n < 1000:
        n += 1
        began = time.monotonic()
        writer.send({'type': 'publish', 'payload': {'channel': 'chat:flood', 'type': 'note', 'payload': body}})
        writer.wait_type('publish.ok')
        fast.wait_type('note')
        worst = max(worst, time.monotonic() - began)
        if n % 10 == 0 and n_slow_consumers(daemon) > 0:
            break
        fast.seen.clear()
        writer.seen.clear()
    assert n < 1000, 'the queue of the slow reader never filled'
    # a machine that is busy with other things makes it wait as well, but not for so long
    assert worst < DEADLINE / 3, f'the fast reader waited {worst:.3f} s'
    offsets = []
    while True:
        frame = slow.recv_frame()
        if frame.opcode == 8:
            break
        if frame.opcode == 1:
            message = json.loads(frame.payload)
            if message['type'] == 'note':
                offsets.append(message['offset'])
    assert frame.payload[:2] == (4008).to_bytes(2, 'big') and b'slow consumer' in frame.payload, frame
    slow.close()
    assert offsets == list(range(1, len(offsets) + 1)), 'what it did get has gaps'
    assert epoch and len(offsets) < n
    fast.check_alive()
