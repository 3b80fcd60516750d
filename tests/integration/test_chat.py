# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Chat: messages that grow, who hears what of them, and what is left of them."""

import json
import signal
import socket

import pytest

from choir_test import DIALECTS, Client, RawWs
from library_client import join

N_CHUNKS = 2000
ROLES = {'roles': ['worker']}


@pytest.fixture
def daemon(start):
    return start(config='[chat]\nstream-timeout=30s\n')


def enter(daemon, room, sub, target='/ws/chat/'):
    """A session of contract E in the chat."""
    client = Client(RawWs.open(daemon.address, f'{target}{room.partition(":")[2]}'), DIALECTS['tripsage'])
    client.send({'token': daemon.mint(sub), 'sessionId': room.partition(':')[2], 'channels': []})
    client.wait_for(lambda message: message.get('success') is True)
    return client


def subscribe(client, channel):
    client.send({'type': 'subscribe', 'payload': {'channels': [channel]}})
    return client.wait_type('subscription.confirmed')['payload']['channels'][0]


def chunk(client, room, n, content, **more):
    client.send({'type': 'chat.chunk', 'payload': {'channel': room, 'message_id': 'long', 'content': content, 'seq': n,
                                                   'role': 'assistant', **more}})


def piece(n):
    return f'{n} <b>& "Größe"\n'


def shown(text):
    """As the service passes it on."""
    return text.replace('<', '&lt;').replace('>', '&gt;')


def text_of(first, last):
    return shown(''.join(piece(n) for n in range(first, last)))


def collect(client, type_, complete):
    """The pieces that come, up to the last."""
    pieces = []
    while not pieces or not pieces[-1]['payload'][complete]:
        pieces.append(client.wait_type(type_))
    return pieces


def history(client, room):
    client.send({'type': 'history', 'payload': {'channel': room}})
    return client.wait_type('history.result')['payload']


def test_one_message_of_many_chunks(daemon, fresh):
    """History holds one entry; whoever joins half way sees the text so far and the live rest."""
    room, half = fresh('chat:'), N_CHUNKS // 2
    worker = join(daemon, token=daemon.mint(fresh('worker'), **ROLES))
    ann, trip = join(daemon, token=daemon.mint(fresh('ann'))), enter(daemon, room, fresh('trip'))
    netra = join(daemon, 'netra')
    netra.send({'type': 'subscribe', 'data': {'channels': [room]}})
    netra.wait_type('status')
    assert 'streams' not in subscribe(ann, room)

    for n in range(half):
        chunk(worker, room, n, piece(n))
    # what has been sent before has been handled when this is answered
    worker.check_alive()
    bob, late = join(daemon, token=daemon.mint(fresh('bob'))), enter(daemon, room, fresh('late'))
    stream, = subscribe(bob, room)['streams']
    assert (stream['message_id'], stream['seq'], stream['role']) == ('long', half - 1, 'assistant')
    assert stream['content'] == text_of(0, half)
    so_far = late.wait_type('chat_message_chunk')['payload']
    assert so_far['content'] == text_of(0, half) and so_far['isComplete'] is False
    asked, = history(bob, room)['streams']
    assert asked == stream

    for n in range(half, N_CHUNKS):
        chunk(worker, room, n, piece(n), complete=n == N_CHUNKS - 1)
    answer = worker.wait_type('publish.ok')['payload']
    assert (answer['offset'], answer['message_id']) == (1, 'long')

    for client, first in ((ann, 0), (bob, half)):
        heard = collect(client, 'chat.chunk', 'complete')
        assert [message['payload']['seq'] for message in heard] == list(range(first, N_CHUNKS))
        assert ''.join(message['payload']['content'] for message in heard) == text_of(first, N_CHUNKS)
        assert heard[-1]['offset'] == 1 and not any('offset' in message for message in heard[:-1])
    for client, first in ((trip, 0), (late, half)):
        heard = collect(client, 'chat_message_chunk', 'isComplete')
        assert ''.join(message['payload']['content'] for message in heard) == text_of(first, N_CHUNKS)
    assert netra.wait_type('chat_response')['data']['content'] == text_of(0, N_CHUNKS)

    kept = history(ann, room)
    message, = kept['messages']
    assert kept['offset'] == 1 and 'streams' not in kept
    assert message['type'] == 'chat.message' and message['payload']['content'] == text_of(0, N_CHUNKS)
    assert message['payload']['message_id'] == 'long' and 'aborted' not in message['payload']


def test_kept_over_a_restart(start, tmp_path, fresh):
    daemon = start({'store.backend': 'sqlite', 'store.path': str(tmp_path / 'choir.db')})
    room = fresh('chat:')
    worker = join(daemon, token=daemon.mint(fresh('worker'), **ROLES))
    for n in range(3):
        chunk(worker, room, n, piece(n), complete=n == 2)
    worker.wait_type('publish.ok')
    daemon.kill()
    daemon.start()
    reader = join(daemon, token=daemon.mint(fresh('reader')))
    message, = history(reader, room)['messages']
    assert message['payload']['content'] == text_of(0, 3)
    # its sender does not know that, and says it all again
    worker = join(daemon, token=daemon.mint(message['payload']['user_id'], **ROLES))
    for n in range(3):
        chunk(worker, room, n, piece(n), complete=n == 2)
    answer = worker.wait_type('publish.ok')['payload']
    assert answer['duplicate'] is True and answer['offset'] == 1
    assert len(history(reader, room)['messages']) == 1


def test_a_stop_keeps_what_there_was(start, tmp_path, fresh):
    daemon = start({'store.backend': 'sqlite', 'store.path': str(tmp_path / 'choir.db')})
    room = fresh('chat:')
    worker = join(daemon, token=daemon.mint(fresh('worker'), **ROLES))
    chunk(worker, room, 0, 'half of it')
    worker.check_alive()
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    daemon.start()
    reader = join(daemon, token=daemon.mint(fresh('reader')))
    message, = history(reader, room)['messages']
    assert message['payload']['content'] == 'half of it' and message['payload']['aborted'] is True


def test_end_of_the_sender(daemon, fresh):
    """One that says good-bye aborts what it was sending; one that is only cut off may come back and go on."""
    room = fresh('chat:')
    ann = join(daemon, token=daemon.mint(fresh('ann')))
    subscribe(ann, room)
    for ends, aborted in ((lambda client: client.ws.close(1000), True), (lambda client: client.ws.close(1001), False)):
        sub = fresh('worker')
        worker = join(daemon, token=daemon.mint(sub, **ROLES))
        chunk(worker, room, 0, 'first', message_id=sub)
        assert ann.wait_type('chat.chunk')['payload']['complete'] is False
        ends(worker)
        if not aborted:
            again = join(daemon, token=daemon.mint(sub, **ROLES))
            chunk(again, room, 1, 'second', message_id=sub, complete=True)
            again.wait_type('publish.ok')
        end = ann.wait_type('chat.chunk')['payload']
        assert end['complete'] is True and end.get('aborted', False) is aborted
    assert [message['payload']['content'] for message in history(ann, room)['messages']] == ['first', 'firstsecond']


def test_silence(start, fresh):
    daemon, room = start({'chat.stream-timeout': '200ms', 'chat.typing-timeout': '200ms'}), fresh('chat:')
    ann, bob = (join(daemon, token=daemon.mint(fresh(name))) for name in ('ann', 'bob'))
    for client in (ann, bob):
        subscribe(client, room)
    ann.send({'type': 'chat.typing', 'payload': {'channel': room}})
    ann.send({'type': 'chat.chunk', 'payload': {'channel': room, 'message_id': 'm', 'content': 'and then'}})
    assert 'is_typing' not in bob.wait_type('chat.typing')['payload']
    assert bob.wait_type('chat.chunk')['payload']['complete'] is False
    seen = [bob.wait_for(lambda message: message['type'] in ('chat.typing', 'chat.chunk')) for _ in range(2)]
    typing, = (message['payload'] for message in seen if message['type'] == 'chat.typing')
    end, = (message for message in seen if message['type'] == 'chat.chunk')
    assert typing['is_typing'] is False
    assert end['payload']['aborted'] is True and end['offset'] == 1


def test_limits(start, fresh):
    daemon = start({'chat.max-message': '1K', 'chat.max-streams': '1', 'rate.chunk': '3/60s'})
    room, client = fresh('chat:'), join(daemon, token=daemon.mint(fresh('u')))

    def say(message_id, content):
        client.send({'type': 'chat.chunk', 'id': 'q', 'payload': {'channel': room, 'message_id': message_id, 'content': content}})
        return DIALECTS['choir'].error(client.wait_type('error'))['code']

    assert say('m', 'x' * 2000) == 'MESSAGE_TOO_LARGE'
    client.send({'type': 'chat.chunk', 'payload': {'channel': room, 'message_id': 'm', 'content': 'x'}})
    assert say('n', 'x') == 'RATE_LIMIT_EXCEEDED'
    assert say('m', 'x') == 'RATE_LIMIT_EXCEEDED'
    client.check_alive()


def test_rooms_roles_and_presence(daemon, fresh):
    room, ann_id = fresh('chat:'), fresh('ann')
    ann, bob = join(daemon, token=daemon.mint(ann_id)), join(daemon, token=daemon.mint(fresh('bob')))
    worker = join(daemon, token=daemon.mint(fresh('worker'), **ROLES))
    subscribe(bob, room)
    subscribe(ann, room)
    assert bob.wait_type('presence.joined')['payload']['user_id'] == ann_id
    bob.send({'type': 'presence', 'payload': {'channel': room}})
    assert {member['user_id'] for member in bob.wait_type('presence.state')['payload']['members']} >= {ann_id}
    ann.send({'type': 'chat.message', 'payload': {'channel': room, 'content': 'I am the assistant', 'role': 'assistant'}})
    assert DIALECTS['choir'].error(ann.wait_type('error'))['code'] == 'PERMISSION_DENIED'
    ann.send({'type': 'chat.message', 'payload': {'channel': room, 'content': 'See this', 'attachments': [
        {'url': 'https://files.example.org/plan.pdf?v=2&x=y', 'name': 'plan.pdf', 'size': 120}]}})
    heard = bob.wait_type('chat.message')['payload']
    assert heard['role'] == 'user' and heard['attachments'][0]['url'].endswith('?v=2&x=y')
    assert heard['message_id'] == ann.wait_type('publish.ok')['payload']['message_id']
    ann.send({'type': 'chat.message', 'payload': {'channel': room, 'content': 'x', 'attachments': [{'url': 'data:text/html,x'}]}})
    assert DIALECTS['choir'].error(ann.wait_type('error'))['code'] == 'VALIDATION_ERROR'
    worker.send({'type': 'chat.message', 'payload': {'channel': room, 'content': 'Here', 'role': 'assistant'}})
    assert bob.wait_type('chat.message')['payload']['role'] == 'assistant'
    ann.ws.close()
    assert bob.wait_type('presence.left')['payload']['user_id'] == ann_id


def test_priority_where_a_queue_has_built_up(start, fresh):
    """A client that reads nothing for a while gets the chat before the news that waited longer, and each in order."""
    daemon = start(config='''
[protocol]
max-queue-bytes=64M
compression=no
[sanitize]
max-string=100000
[dialect choir]
rate=60000/1s
[namespace news]
subscribe=authenticated
publish=authenticated
history-size=0
[namespace talk]
subscribe=authenticated
publish=authenticated
priority=9
''')
    publisher = join(daemon, token=daemon.mint(fresh('p')))
    slow = Client(RawWs.open(daemon.address, f'/ws?token={daemon.mint(fresh("raw"))}'), DIALECTS['choir'])
    slow.ws.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    slow.wait_type('connection.established')
    slow.send({'type': 'subscribe', 'payload': {'channels': ['news:1', 'talk:1']}})
    slow.wait_type('subscription.confirmed')

    def publish(channel, n, size):
        publisher.send({'type': 'publish', 'payload': {'channel': channel, 'type': 'note', 'payload': {'n': n, 'pad': 'x' * size}}})
        publisher.wait_type('publish.ok')

    # more than the sockets between them take
    n_news = 200
    for n in range(n_news):
        publish('news:1', n, 60000)
    for n in range(3):
        publish('talk:1', n, 10)
    order = []
    while len(order) < n_news + 3:
        message = slow.wait_type('note')
        order.append((message['channel'], message['payload']['n']))
    talk = [i for i, (channel, _) in enumerate(order) if channel == 'talk:1']
    assert [n for channel, n in order if channel == 'news:1'] == list(range(n_news))
    assert [order[i][1] for i in talk] == [0, 1, 2] and talk == list(range(talk[0], talk[0] + 3))
    assert talk[0] <= n_news - 60, talk


def test_hostile_chunks(daemon, fresh):
    """Broken, repeated, contradictory: each is answered, and nothing is kept."""
    room, client = fresh('chat:'), join(daemon, token=daemon.mint(fresh('u')))
    bad = [{}, {'message_id': 'm'}, {'message_id': '', 'content': 'x'}, {'message_id': 'x' * 129, 'content': 'x'},
           {'message_id': ['m'], 'content': 'x'}, {'message_id': 'm', 'content': None}, {'message_id': 'm', 'content': 'x', 'seq': 1.5},
           {'message_id': 'm', 'content': 'x', 'seq': -1}, {'message_id': 'm', 'content': 'x', 'complete': 'yes'},
           {'message_id': 'm', 'content': 'x', 'role': 'admin'}, {'message_id': 'm', 'content': 'x', 'seq': 2 ** 53}]
    for payload in bad:
        client.send({'type': 'chat.chunk', 'id': 'q', 'payload': {'channel': room, **payload}})
        answer = client.wait_type('error')
        assert answer['payload']['code'] in ('VALIDATION_ERROR', 'CONFLICT') and answer['correlation_id'] == 'q', payload
    client.ws.send_text(json.dumps({'type': 'chat.chunk', 'payload': {'channel': room, 'message_id': 'm'}})[:-2]
                        + ',"content":"a","c\\u006fntent":"b"}}')
    assert client.wait_type('error')['payload']['code'] == 'VALIDATION_ERROR'
    client.send({'type': 'history', 'payload': {'channel': room}})
    assert client.wait_type('error')['payload']['code'] == 'UNKNOWN_CHANNEL'
