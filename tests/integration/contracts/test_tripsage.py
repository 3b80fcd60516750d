# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Contract E, `tripsage`: chat and agent status."""

import json
import socket
import uuid

import pytest

from choir_test import DIALECTS, Client, RawWs
from choir_test.openapi import Api
from document_client import figure
from library_client import join, knock

TS = DIALECTS['tripsage']


def enter(daemon, sub, session='trip', kind='chat', channels=(), **claims):
    client = join(daemon, 'tripsage', '', f'/ws/{kind}/{session}', authenticate=False)
    client.send({'token': daemon.mint(sub, **claims), 'sessionId': session, 'channels': list(channels)})
    answer = client.recv()
    assert answer.get('success') is True, answer
    return client


def ask(client, type_, payload=None):
    client.send({'type': type_, 'payload': {} if payload is None else payload})
    return client.recv()


# The first message authenticates

@pytest.mark.parametrize('kind', ['chat', 'agent-status'])
@pytest.mark.parametrize('wrap', [
    pytest.param(lambda body: body, id='bare'),
    pytest.param(lambda body: {'type': 'auth', 'payload': body}, id='enveloped'),
])
def test_first_message(daemon, user, kind, wrap):
    client = join(daemon, 'tripsage', '', f'/ws/{kind}/trip-7', authenticate=False)
    client.send(wrap({'token': daemon.mint(user), 'sessionId': 'trip-7', 'channels': []}))
    answer = client.recv()
    assert set(answer) == {'success', 'connectionId', 'userId', 'sessionId'}
    assert answer['success'] is True and uuid.UUID(answer['connectionId'])
    assert answer['userId'] == user
    assert answer['sessionId'] == 'trip-7'


@pytest.mark.parametrize('body', [
    pytest.param({'token': 'x'}, id='garbage'), pytest.param({'token': ''}, id='empty'),
    pytest.param({'token': 7}, id='number'), pytest.param({'token': None}, id='null'),
])
def test_bad_tokens(daemon, body):
    client = join(daemon, 'tripsage', '', '/ws/chat/1', authenticate=False)
    client.send({**body, 'sessionId': '1', 'channels': []})
    answer = client.recv()
    assert answer['success'] is False and isinstance(answer['error'], str) and answer['error'], answer
    assert set(answer) == {'success', 'error'}
    assert client.ws.recv_close().code == 4001


@pytest.mark.parametrize('claims', [
    pytest.param({'ttl': -3600}, id='expired'),
    pytest.param({'sub': None}, id='no-subject'),
    pytest.param({'key': 'another key, of sixty-four hexadecimal digits or at least as many'}, id='foreign-key'),
])
def test_wrong_tokens(daemon, claims):
    client = join(daemon, 'tripsage', '', '/ws/chat/1', authenticate=False)
    client.send({'token': daemon.mint(**claims), 'sessionId': '1', 'channels': []})
    assert client.recv()['success'] is False
    assert client.ws.recv_close().code == 4001


def test_unknown_and_inactive_users(start):
    daemon = start({'auth.users': 'store', 'auth.known-users': 'ann;bob:inactive'})
    for sub in ('bob', 'eve'):
        client = join(daemon, 'tripsage', '', '/ws/chat/1', authenticate=False)
        client.send({'token': daemon.mint(sub), 'sessionId': '1', 'channels': []})
        assert client.recv()['success'] is False
        assert client.ws.recv_close().code == 4001
    enter(daemon, 'ann').check_alive()


def test_something_else_first(daemon):
    client = join(daemon, 'tripsage', '', '/ws/chat/1', authenticate=False)
    client.send({'type': 'chat_message', 'payload': {'content': 'let me in', 'role': 'user'}})
    assert client.recv()['success'] is False
    assert client.ws.recv_close().code == 4001


def test_nothing_in_time(start):
    daemon = start({'auth.auth-timeout': '200ms'})
    client = join(daemon, 'tripsage', '', '/ws/chat/1', authenticate=False)
    assert client.ws.recv_close().code == 4001


def test_talk_does_not_stretch_the_time(start):
    daemon = start({'auth.auth-timeout': '300ms'})
    client = join(daemon, 'tripsage', '', '/ws/chat/1', authenticate=False)
    client.send({'type': 'ping', 'payload': {}})
    assert client.recv()['type'] == 'pong'
    assert client.ws.recv_close().code == 4001


def test_time_is_over_only_for_strangers(start):
    daemon = start({'auth.auth-timeout': '200ms'})
    client = enter(daemon, 'ann')
    stranger = join(daemon, 'tripsage', '', '/ws/chat/1', authenticate=False)
    assert stranger.ws.recv_close().code == 4001
    client.check_alive()


def test_ten_seconds_by_default(daemon):
    assert 'auth-timeout=10s' in daemon.run_cli('--dump-config').stdout


def test_several_messages_at_once(daemon, user):
    """What follows the token is not lost while it is verified."""
    client = join(daemon, 'tripsage', '', '/ws/chat/1', authenticate=False)
    client.send({'token': daemon.mint(user), 'sessionId': '1', 'channels': []})
    client.send({'type': 'ping', 'payload': {'pingId': 'early'}})
    assert client.recv()['success'] is True
    assert client.recv()['payload']['pingId'] == 'early'


# Chat

def test_chat(daemon, fresh):
    trip, ann, bob = fresh('trip'), fresh('ann'), fresh('bob')
    first, second = enter(daemon, ann, trip), enter(daemon, bob, trip)
    first.send({'type': 'chat_message', 'payload': {'content': 'Rome?', 'role': 'user', 'attachments': ['a.pdf']}})
    message = TS.envelope(second.wait_type('chat_message'))
    assert message['payload']['content'] == 'Rome?' and message['payload']['role'] == 'user'
    assert message['payload']['attachments'] == ['a.pdf']
    assert message['payload']['userId'] == ann
    assert message['payload']['sessionId'] == trip
    # the sender sees their own
    assert first.wait_type('chat_message')['payload']['content'] == 'Rome?'


def test_sender_can_not_be_forged(daemon, fresh):
    trip, ann, eve = fresh('trip'), fresh('ann'), fresh('eve')
    hearer, forger = enter(daemon, ann, trip), enter(daemon, eve, trip)
    forger.send({'type': 'chat_message', 'payload': {'content': 'x', 'role': 'user', 'userId': ann, 'user_id': ann,
                                                     'sessionId': 'other'}})
    payload = hearer.wait_type('chat_message')['payload']
    assert payload['userId'] == eve and payload['sessionId'] == trip and ann not in payload.values(), payload
    forger.send({'type': 'user_typing', 'payload': {'userId': ann, 'sessionId': trip}})
    assert hearer.wait_type('user_typing')['payload']['userId'] == eve


def test_typing_is_not_kept(daemon, fresh):
    trip = fresh('trip')
    first, second = enter(daemon, fresh('u'), trip), enter(daemon, fresh('u'), trip)
    first.send({'type': 'user_typing', 'payload': {'userId': 'x', 'sessionId': trip}})
    typing = TS.envelope(second.wait_type('user_typing'))
    assert typing['payload']['sessionId'] == trip
    reader = join(daemon, token=daemon.mint(fresh('u')))
    reader.send({'type': 'history', 'payload': {'channel': f'chat:{trip}'}})
    assert reader.wait_type('history.result')['payload']['messages'] == []


def test_sessions_are_apart(daemon, fresh):
    here, there = enter(daemon, fresh('u'), fresh('trip')), enter(daemon, fresh('u'), fresh('trip'))
    here.send({'type': 'chat_message', 'payload': {'content': 'psst', 'role': 'user'}})
    here.wait_type('chat_message')
    assert ask(there, 'ping')['type'] == 'pong'


def test_channels_of_the_first_message(daemon, fresh):
    trip, extra = fresh('trip'), fresh('chat:')
    client = enter(daemon, fresh('u'), trip, channels=[extra, f'chat:{trip}'])
    speaker = join(daemon, token=daemon.mint(fresh('u')))
    for channel in (extra, f'chat:{trip}'):
        speaker.send({'type': 'chat.message', 'payload': {'channel': channel, 'content': channel}})
        assert client.wait_type('chat_message')['payload']['content'] == channel


def test_history_is_there(daemon, fresh):
    trip = fresh('trip')
    client = enter(daemon, fresh('u'), trip)
    for i in range(3):
        client.send({'type': 'chat_message', 'payload': {'content': str(i), 'role': 'user'}})
        client.wait_type('chat_message')
    client.ws.close()
    reader = join(daemon, token=daemon.mint(fresh('u')))
    reader.send({'type': 'history', 'payload': {'channel': f'chat:{trip}'}})
    messages = reader.wait_type('history.result')['payload']['messages']
    assert [message['payload']['content'] for message in messages] == ['0', '1', '2']


def test_agent_status_end_point(daemon, fresh):
    trip = fresh('trip')
    client = enter(daemon, fresh('u'), trip, 'agent-status')
    service = join(daemon, token=daemon.mint(fresh('service'), roles=['service']))
    service.send({'type': 'publish', 'payload': {'channel': f'agent-status:{trip}', 'type': 'task.progress',
                                                 'payload': {'progress': 40, 'message': 'looking'}}})
    service.wait_type('publish.ok')
    status = TS.envelope(client.wait_type('agent_status_update'))
    assert status['payload']['isActive'] is True
    assert status['payload']['progress'] == 40 and status['payload']['currentTask'] == 'looking', status


def test_agent_status_is_not_for_clients(daemon, fresh):
    client = enter(daemon, fresh('u'), fresh('trip'), 'agent-status', permissions=())
    TS.error(ask(client, 'chat_message', {'content': 'I am the agent', 'role': 'agent'}), 'PERMISSION_DENIED')


def test_agent_status_follows_what_was_asked_for_in_the_chat(daemon, fresh, hire):
    trip, ann, kind = fresh('trip'), fresh('ann'), fresh('search')
    chat, watcher = enter(daemon, ann, trip), enter(daemon, fresh('bob'), trip, 'agent-status')
    worker = hire(daemon, kind)
    chat.send({'type': 'task.request', 'payload': {'kind': kind, 'to': 'Rome'}})
    task = worker.take()
    worker.say('progress', task, progress=30, message='Asking for flights')
    for client in (chat, watcher):
        update = client.wait_for(lambda message: message['payload'].get('progress') == 30)
        assert TS.envelope(update)['type'] == 'agent_status_update'
        assert update['payload']['isActive'] is True and update['payload']['currentTask'] == 'Asking for flights'
    # who comes now knows at once
    late = enter(daemon, fresh('carol'), trip, 'agent-status')
    assert late.recv()['payload']['progress'] == 30
    worker.settle('completed', task)
    for client in (chat, watcher, late):
        end = client.wait_for(lambda message: message['payload'].get('isActive') is False)
        assert end['type'] == 'agent_status_update' and end['payload']['progress'] == 100


# Coming back

def test_history_is_replayed_on_join_once_and_before_what_is_said_later(daemon, fresh):
    trip, ann = fresh('trip'), fresh('ann')
    speaker, client = enter(daemon, fresh('bob'), trip), enter(daemon, ann, trip)
    for i in range(5):
        speaker.send({'type': 'chat_message', 'payload': {'content': f'{i}', 'role': 'user'}})
        assert client.wait_type('chat_message')['payload']['content'] == f'{i}'
    client.ws.abort()
    speaker.send({'type': 'chat_message', 'payload': {'content': 'missed', 'role': 'user'}})
    speaker.wait_for(lambda message: message.get('payload', {}).get('content') == 'missed')
    # named twice, and replayed once
    back = enter(daemon, ann, trip, channels=[f'chat:{trip}'])
    speaker.send({'type': 'chat_message', 'payload': {'content': 'live', 'role': 'user'}})
    speaker.wait_for(lambda message: message.get('payload', {}).get('content') == 'live')
    back.check_alive()
    heard = [TS.envelope(message)['payload']['content'] for message in back.seen if message.get('type') == 'chat_message']
    assert heard == ['0', '1', '2', '3', '4', 'missed', 'live']


def test_chat_outlives_the_service(start, tmp_path):
    settings = {'store.backend': 'sqlite', 'store.path': str(tmp_path / 'choir.db')}
    daemon = start(settings)
    client = enter(daemon, 'ann')
    for i in range(3):
        client.send({'type': 'chat_message', 'payload': {'content': f'{i}', 'role': 'user'}})
        client.wait_type('publish.ok')
    daemon.kill()
    daemon.start()
    back = enter(daemon, 'bob')
    assert [back.recv()['payload']['content'] for _ in range(3)] == ['0', '1', '2']


# The rest

def test_several_events_come_as_one_batch(daemon, fresh):
    trip = fresh('trip')
    speaker = enter(daemon, fresh('bob'), trip)
    for i in range(10):
        speaker.send({'type': 'chat_message', 'payload': {'content': f'{i}', 'role': 'user'}})
        speaker.wait_type('publish.ok')
    client = join(daemon, 'tripsage', '', f'/ws/chat/{trip}?batch=1', authenticate=False)
    client.send({'token': daemon.mint(fresh('ann')), 'sessionId': trip, 'channels': []})
    messages, n_arrays = [], 0
    while len(messages) < 11:
        value = json.loads(client.ws.recv_text())
        n_arrays += isinstance(value, list)
        messages += value if isinstance(value, list) else [value]
    assert n_arrays and messages[0]['success'] is True
    assert [TS.envelope(message)['payload']['content'] for message in messages[1:]] == [f'{i}' for i in range(10)]


def test_the_session_goes_before_what_matters_less(start):
    """Where a queue has built up, what has the higher priority overtakes; each channel stays in order."""
    daemon = start({'protocol.max-queue-bytes': '64M', 'protocol.compression': 'no'}, config="""
[dialect choir]
rate=60000/1s
[sanitize]
max-string=100000
[namespace chat]
priority=9
[namespace news]
subscribe=authenticated
publish=authenticated
history-size=0
priority=0
""")
    publisher = join(daemon, token=daemon.mint('publisher'))
    slow = Client(RawWs.open(daemon.address, '/ws/chat/trip'), TS)
    slow.ws.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    slow.send({'token': daemon.mint('ann'), 'sessionId': 'trip', 'channels': ['news:1']})
    assert slow.recv()['success'] is True
    # more than the sockets between them take
    n_news = 200
    for n in range(n_news):
        publisher.send({'type': 'publish', 'payload': {'channel': 'news:1', 'type': 'note',
                                                       'payload': {'n': n, 'pad': 'x' * 60000}}})
        publisher.wait_type('publish.ok')
    for n in range(3):
        publisher.send({'type': 'chat.message', 'payload': {'channel': 'chat:trip', 'content': f'{n}'}})
        publisher.wait_type('publish.ok')
    heard = [slow.wait_type('note', 'chat_message') for _ in range(n_news + 3)]
    chat = [i for i, message in enumerate(heard) if message['type'] == 'chat_message']
    assert [heard[i]['payload']['content'] for i in chat] == ['0', '1', '2']
    assert [message['payload']['n'] for message in heard if message['type'] == 'note'] == list(range(n_news))
    assert chat[-1] < n_news - 60, chat


def test_performance_figures_can_be_read(start):
    """Active connections, what is queued, and messages to count by the second."""
    daemon = start()
    api, (ann, bob) = Api(daemon), (enter(daemon, name) for name in ('ann', 'bob'))
    before = api.ask('getStats')
    assert (before['connections'], before['dialects']['tripsage'], before['queued_bytes']) == (2, 2, 0)
    for i in range(5):
        ann.send({'type': 'chat_message', 'payload': {'content': f'{i}', 'role': 'user'}})
        bob.wait_type('chat_message')
    bob.check_alive()
    ann.check_alive()
    after = api.ask('getStats')
    assert after['totals']['published'] - before['totals']['published'] == 5
    assert after['totals']['delivered'] - before['totals']['delivered'] >= 10
    assert figure(daemon, 'websocket_active_connections') == 2


def test_heartbeat(daemon, user):
    client = enter(daemon, user)
    beat = TS.envelope(ask(client, 'connection_heartbeat', {'timestamp': 1}))
    assert beat['type'] == 'connection_heartbeat'
    assert isinstance(beat['payload']['timestamp'], int)


def test_heartbeat_comes_by_itself(start):
    client = enter(start({'protocol.heartbeat-interval': '100ms'}), 'ann')
    assert [client.recv()['type'] for _ in range(2)] == ['connection_heartbeat'] * 2


def test_chunks(daemon, fresh):
    trip = fresh('trip')
    ann, bob = (enter(daemon, fresh(name), trip) for name in ('ann', 'bob'))
    for content, complete in (('Ro', False), ('me', True)):
        ann.send({'type': 'chat_message_chunk', 'payload': {'content': content, 'isComplete': complete, 'messageId': 'm'}})
        heard = TS.envelope(bob.wait_type('chat_message_chunk'))['payload']
        assert (heard['content'], heard['isComplete'], heard['messageId'], heard['sessionId']) == (content, complete, 'm', trip)
    assert ann.wait_type('publish.ok')['payload']['message_id'] == 'm'
    # who comes now finds one message
    late = enter(daemon, fresh('carol'), trip)
    assert late.wait_type('chat_message')['payload']['content'] == 'Rome'


def test_an_assistant_streams_its_answer(daemon, fresh):
    """Piece by piece to who is there, the text so far to who comes meanwhile, and one message to who comes later."""
    trip = fresh('trip')
    ann = enter(daemon, fresh('ann'), trip)
    assistant = join(daemon, token=daemon.mint(fresh('assistant'), roles=['worker']))

    def say(content, complete=False):
        assistant.send({'type': 'chat.chunk', 'payload': {'channel': f'chat:{trip}', 'message_id': 'm', 'content': content,
                                                          'role': 'assistant', 'complete': complete}})
        heard = TS.envelope(ann.wait_type('chat_message_chunk'))['payload']
        assert (heard['content'], heard['isComplete'], heard['messageId']) == (content, complete, 'm')

    say('To ')
    say('Rome, ')
    bob = enter(daemon, fresh('bob'), trip)
    assert bob.wait_type('chat_message_chunk')['payload']['content'] == 'To Rome, '
    say('by train', True)
    assert bob.wait_type('chat_message_chunk')['payload'].items() >= {'content': 'by train', 'isComplete': True}.items()
    late = enter(daemon, fresh('carol'), trip)
    message = late.wait_type('chat_message')['payload']
    assert (message['content'], message['role']) == ('To Rome, by train', 'assistant')
    for client in (ann, bob):
        client.check_alive()
        assert 'chat_message' not in [message.get('type') for message in client.seen]


@pytest.mark.parametrize('type_', ['bogus', 'agent_status_update', 'connection_status', 'publish'])
def test_unknown_types(daemon, user, type_):
    client = enter(daemon, user)
    assert TS.error(ask(client, type_), 'INVALID_MESSAGE_TYPE')['message'] == f'Unknown message type: {type_}'
    client.check_alive()


@pytest.mark.parametrize('text,code,contains', [
    ('{bad', 'INVALID_JSON', 'JSON'), ('{"payload":{}}', 'INVALID_MESSAGE', 'type'),
    ('{"type":7}', 'INVALID_MESSAGE', 'type'), ('{"type":"ping","payload":[]}', 'INVALID_MESSAGE', 'payload'),
    ('{"type":"chat_message","payload":{"role":"user"}}', 'VALIDATION_ERROR', 'content'),
    ('{"type":"chat_message","payload":{"content":1}}', 'VALIDATION_ERROR', 'content'),
])
def test_bad_messages(daemon, user, text, code, contains):
    client = enter(daemon, user)
    client.send_text(text)
    client.wait_error(code, contains)
    client.check_alive()


def test_status_when_opened_with_a_token(daemon, user):
    client = join(daemon, 'tripsage', target=f'/ws/chat/1?token={daemon.mint(user)}', authenticate=False)
    status = TS.envelope(client.recv())
    assert status['type'] == 'connection_status' and status['payload']['status'] == 'connected'
    assert status['payload']['userId'] == user


def test_refresh_and_expiry(start):
    daemon = start({'auth.leeway': '0s'})
    client = enter(daemon, 'ann', ttl=3)
    other = enter(daemon, 'bob', ttl=3)
    client.wait_type('auth.expiring')
    client.send({'type': 'auth', 'payload': {'token': daemon.mint('ann')}})
    client.wait_for(lambda message: message.get('success') is True)
    assert other.ws.recv_close(skip_data=True) == (4003, 'Token expired')
    client.check_alive()


def test_origin(daemon):
    knock(daemon, '/ws/chat/1', [('Origin', 'https://evil.net')]).assert_problem(403)


@pytest.mark.parametrize('target', ['/ws/chat/', '/ws/chat/a/b', '/ws/chat/a%20b', '/ws/agent-status/', '/ws/document/'])
def test_no_such_end_point(daemon, target):
    assert knock(daemon, target).status in (401, 404)
