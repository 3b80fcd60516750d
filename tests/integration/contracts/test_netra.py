# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Contract A, `netra`, step by step."""

import asyncio
import datetime
import json
import uuid

import pytest
import websockets

from choir_test import DEADLINE, DIALECTS, Timeout, http_get
from choir_test.openapi import Api
from document_client import figure, wait_until
from library_client import closed_with, join

NETRA = DIALECTS['netra']
FAILED = (4000, 'Authentication failed')


def url(token):
    return f'/ws?dialect=netra&token={token}&client_id=desk-1'


def ask(client, type_, data=None, **more):
    client.send({'type': type_, 'data': {} if data is None else data, **more})
    return client.recv()


# Opening

def test_first_message_is_a_status(daemon, user):
    client = join(daemon, 'netra', daemon.mint(user), authenticate=False)
    status = NETRA.envelope(client.recv())
    assert status['type'] == 'status'
    assert status['data']['status'] == 'connected'
    assert uuid.UUID(status['data']['connection_id'])
    assert status['data']['user_id'] == user


def test_client_id_is_kept(daemon, user):
    client = join(daemon, target=url(daemon.mint(user)), dialect='netra', authenticate=False)
    assert client.recv()['data']['client_id'] == 'desk-1'


def test_dialect_by_subprotocol(daemon, user):
    client = join(daemon, 'netra', target=f'/ws?token={daemon.mint(user)}', subprotocols=['choir.v1.netra'],
                  authenticate=False)
    assert client.ws.subprotocol == 'choir.v1.netra'
    assert client.recv()['type'] == 'status'


def test_dialect_as_default(start, user):
    daemon = start({'protocol.default-dialect': 'netra'})
    client = join(daemon, 'netra', target=f'/ws?token={daemon.mint(user)}', authenticate=False)
    assert client.recv()['data']['status'] == 'connected'


# Authentication: after the upgrade, close 4000

@pytest.mark.parametrize('claims', [
    pytest.param({'type': 'refresh'}, id='refresh-token'),
    pytest.param({'type': None}, id='no-type'),
    pytest.param({'type': 'Access'}, id='type-in-capitals'),
    pytest.param({'type': 1}, id='type-number'),
    pytest.param({'ttl': -3600}, id='expired'),
    pytest.param({'sub': None}, id='no-subject'),
    pytest.param({'sub': ''}, id='empty-subject'),
    pytest.param({'exp': None}, id='no-expiry'),
    pytest.param({'key': 'another key, of sixty-four hexadecimal digits or at least as many'}, id='foreign-key'),
])
def test_bad_tokens(daemon, claims):
    assert closed_with(daemon, url(daemon.mint(**claims))) == FAILED


@pytest.mark.parametrize('token', ['', 'x', 'a.b.c', '%00'])
def test_no_tokens(daemon, token):
    assert closed_with(daemon, url(token)) == FAILED


def test_missing_token(daemon):
    assert closed_with(daemon, '/ws?dialect=netra') == FAILED


def test_users_must_exist_and_be_active(start):
    daemon = start({'auth.users': 'store', 'auth.known-users': 'ann;bob:inactive'})
    assert closed_with(daemon, url(daemon.mint('bob'))) == FAILED
    assert closed_with(daemon, url(daemon.mint('eve'))) == FAILED
    join(daemon, 'netra', daemon.mint('ann')).check_alive()


def test_a_client_that_was_refused_was_no_connection(daemon, user):
    token = daemon.mint(user, type='refresh')
    for _ in range(7):
        assert closed_with(daemon, url(token)) == FAILED
    join(daemon, 'netra', daemon.mint(user)).check_alive()


def test_token_that_expires_later(start):
    daemon = start({'auth.leeway': '0s'})
    client = join(daemon, 'netra', daemon.mint(ttl=3))
    status = client.wait_type('status')
    assert status['data']['status'] == 'auth_expiring', status
    assert client.ws.recv_close() == (4003, 'Token expired')


def test_refresh(start):
    daemon = start({'auth.leeway': '0s'})
    client, other = join(daemon, 'netra', daemon.mint(ttl=3)), join(daemon, 'netra', daemon.mint('bob', ttl=3))
    assert client.wait_type('status')['data']['status'] == 'auth_expiring'
    client.send({'type': 'auth', 'id': 'r1', 'data': {'token': daemon.mint(ttl=600)}})
    answer = client.wait_type('status')
    assert answer['data']['status'] == 'authenticated' and answer['correlation_id'] == 'r1', answer
    # the end of a token as old as the first
    assert other.ws.recv_close(skip_data=True).code == 4003
    client.check_alive()


def test_refresh_for_another_user(daemon, user, fresh):
    client = join(daemon, 'netra', daemon.mint(user))
    client.send({'type': 'auth', 'data': {'token': daemon.mint(fresh('other'))}})
    client.wait_error('AUTH_ERROR', 'another user')
    client.check_alive()


# Capacity and idleness

def test_capacity(start):
    daemon = start({'server.max-connections': '2'})
    clients = [join(daemon, 'netra', daemon.mint(f'u{i}')) for i in range(2)]
    assert closed_with(daemon, url(daemon.mint('late'))) == (1013, 'Server at capacity')
    for client in clients:
        client.check_alive()


def test_idle(start):
    daemon = start({'protocol.idle-timeout': '300ms'})
    client = join(daemon, 'netra')
    assert client.ws.recv_close() == (1000, 'Connection timeout')


def test_activity_is_not_idle(start):
    daemon = start({'protocol.idle-timeout': '1s'})
    silent, active = join(daemon, 'netra', daemon.mint('ann')), join(daemon, 'netra', daemon.mint('bob'))
    while True:
        active.check_alive()
        try:
            closed = silent.ws.recv_close(0.1)
            break
        except Timeout:
            continue
    assert closed == (1000, 'Connection timeout')
    active.check_alive()


# Messages

def test_ping(daemon, user):
    client = join(daemon, 'netra', daemon.mint(user))
    pong = NETRA.envelope(ask(client, 'ping', id='p1'))
    assert pong['type'] == 'pong' and pong['correlation_id'] == 'p1', pong


def test_explicit_correlation_wins(daemon, user):
    client = join(daemon, 'netra', daemon.mint(user))
    assert ask(client, 'ping', id='p1', correlation_id='c1')['correlation_id'] == 'c1'


def test_events_are_named(daemon, fresh):
    hearer = join(daemon, 'netra', daemon.mint(fresh('u')))
    assert ask(hearer, 'subscribe', {'events': ['review.updated']})['data'] == {
        'status': 'subscribed', 'channels': [], 'events': ['review.updated'], 'rejected': []}
    assert ask(hearer, 'unsubscribe', {'events': ['review.updated']})['data'] == {
        'status': 'unsubscribed', 'channels': [], 'events': ['review.updated']}


def test_subscribe_hear_unsubscribe(daemon, fresh):
    hearer, speaker, room = join(daemon, 'netra', daemon.mint(fresh('u'))), \
        join(daemon, 'netra', daemon.mint(fresh('u'))), fresh('chat:')
    confirmed = NETRA.envelope(ask(hearer, 'subscribe', {'channels': [room]}, id='s1'))
    assert confirmed['type'] == 'status' and confirmed['correlation_id'] == 's1'
    assert confirmed['data']['status'] == 'subscribed'
    assert [entry['channel'] for entry in confirmed['data']['channels']] == [room]

    received = ask(speaker, 'chat_message', {'channel': room, 'message': 'hello'}, id='m1')
    assert received['type'] == 'status' and received['data']['status'] == 'received', received
    assert received['correlation_id'] == 'm1'
    heard = NETRA.envelope(hearer.wait_type('chat_response'))
    assert heard['data']['content'] == 'hello', heard

    assert ask(hearer, 'unsubscribe', {'channels': [room]})['data'] == {
        'status': 'unsubscribed', 'channels': [room], 'events': []}
    ask(speaker, 'chat_message', {'channel': room, 'content': 'gone'})
    # had it been sent, it would stand before the pong
    hearer.seen.clear()
    hearer.check_alive()
    assert [message['type'] for message in hearer.seen] == ['pong']


def test_events_are_notifications(daemon, fresh):
    hearer = join(daemon, 'netra', daemon.mint(fresh('u')))
    ask(hearer, 'subscribe', {'events': ['system.notification']})
    service = join(daemon, token=daemon.mint(fresh('service'), roles=['service']))
    service.send({'type': 'publish', 'payload': {'channel': 'event:system.notification', 'type': 'system.notification',
                                                 'payload': {'message': 'tea', 'level': 'info'}}})
    service.wait_type('publish.ok')
    notification = NETRA.envelope(hearer.wait_type('notification'))
    assert notification['data'] == {'event': 'system.notification', 'message': 'tea', 'level': 'info'}


def test_an_optimization_request_needs_a_message(daemon, user):
    client = join(daemon, 'netra', daemon.mint(user))
    error = ask(client, 'optimization_request', {'workload_id': 'w'}, id='o1')
    assert NETRA.error(error, 'VALIDATION_ERROR')['original_message'] == 'optimization_request'
    assert error['correlation_id'] == 'o1'
    client.check_alive()


def test_nothing_to_stop(daemon, user):
    client = join(daemon, 'netra', daemon.mint(user))
    status = NETRA.envelope(ask(client, 'stop_processing', {}, id='s1'))
    assert status['type'] == 'status' and status['data'] == {'status': 'cancelled', 'task_ids': []}
    assert status['correlation_id'] == 's1'


@pytest.mark.parametrize('type_', ['bogus', 'publish', 'document.open', 'agent_update', 'PING', 'task.request'])
def test_unknown_types(daemon, user, type_):
    client = join(daemon, 'netra', daemon.mint(user))
    error = ask(client, type_)
    assert NETRA.error(error, 'MESSAGE_ERROR')['message'] == f'Unknown message type: {type_}'
    client.check_alive()


@pytest.mark.parametrize('text,contains', [
    ('{bad', 'JSON'), ('', 'JSON'), ('null', 'JSON'), ('"x"', 'JSON'), ('{"data":{}}', '"type" is required'),
    ('{"type":"ping"}', '"data" is required'), ('{"type":7,"data":{}}', '"type" must be a string'),
    ('{"type":null,"data":{}}', 'type'), ('{"type":"","data":{}}', 'type'),
    ('{"type":"ping","data":[]}', '"data" must be an object'), ('{"type":"ping","data":"x"}', '"data" must be an object'),
    ('{"type":"ping","data":{},"timestamp":"yesterday"}', 'timestamp'),
    ('{"type":"ping","data":{},"correlation_id":7}', 'correlation_id'),
    ('{"type":"ping","data":{},"metadata":7}', 'metadata'),
    ('{"type":"ping","type":"ping","data":{}}', 'JSON'),
])
def test_bad_messages(daemon, user, text, contains):
    client = join(daemon, 'netra', daemon.mint(user))
    client.send_text(text)
    client.wait_error('MESSAGE_ERROR', contains.replace('"', '\\"'))
    client.check_alive()


def test_wrong_field_types(daemon, user):
    client = join(daemon, 'netra', daemon.mint(user))
    NETRA.error(ask(client, 'chat_message', {'channel': 'chat:1', 'content': 7}), 'VALIDATION_ERROR', 'content')
    NETRA.error(ask(client, 'chat_message', {'content': 'to nobody'}), 'VALIDATION_ERROR', 'channel')
    NETRA.error(ask(client, 'subscribe', {'channels': 'chat:1'}), 'VALIDATION_ERROR', 'channels')
    NETRA.error(ask(client, 'subscribe'), 'VALIDATION_ERROR', 'channels')
    client.check_alive()


def test_channels_are_refused_by_name(daemon, user):
    client = join(daemon, 'netra', daemon.mint(user, permissions=()))
    answer = ask(client, 'subscribe', {'channels': ['secret:1', 'chat:ok']})['data']
    assert [entry['channel'] for entry in answer['channels']] == ['chat:ok']
    assert answer['rejected'][0]['channel'] == 'secret:1', answer
    assert answer['rejected'][0]['code'] == 'PERMISSION_DENIED', answer


# Rate: 30 in 60 s, sliding, per connection

def test_rate_limit(daemon, user):
    token = daemon.mint(user)
    client = join(daemon, 'netra', token)
    for _ in range(30):
        assert ask(client, 'ping')['type'] == 'pong'
    error = NETRA.error(ask(client, 'ping', id='late'), 'RATE_LIMIT_EXCEEDED')
    assert 50 < error['retry_after'] <= 60, error
    other = join(daemon, 'netra', token)
    other.check_alive()
    # the connection stays
    NETRA.error(ask(client, 'ping'), 'RATE_LIMIT_EXCEEDED')


def test_rate_limit_passes(start):
    daemon = start(config='[dialect netra]\nrate=3/1s\n')
    client = join(daemon, 'netra')
    for _ in range(3):
        assert ask(client, 'ping')['type'] == 'pong'
    error = NETRA.error(ask(client, 'ping'), 'RATE_LIMIT_EXCEEDED')
    with pytest.raises(Timeout):
        client.recv(error['retry_after'])
    assert ask(client, 'ping')['type'] == 'pong'


def test_message_size(daemon, user):
    client = join(daemon, 'netra', daemon.mint(user))
    client.send_text('{"type":"ping","data":{"x":"%s"}}' % ('a' * 65000))
    client.wait_type('pong')
    client.send_text('{"type":"ping","data":{"x":"%s"}}' % ('a' * 66000))
    assert client.ws.recv_close().code == 1009


# Sanitizing

@pytest.mark.parametrize('content', [
    '<script>alert(1)</script>', '<img src=x onerror=alert(1)>', '"><svg/onload=alert(1)>',
    '\\u003cscript\\u003e', '<a href="javascript:x">', '<iframe src=//evil>',
])
def test_markup_is_neutralised(daemon, fresh, content):
    room, client = fresh('chat:'), join(daemon, 'netra', daemon.mint(fresh('u')))
    ask(client, 'subscribe', {'channels': [room]})
    client.send_text('{"type":"chat_message","data":{"channel":"%s","content":%s,"deep":[{"x":%s}]}}' % (
        room, json.dumps(content).replace('\\\\u', '\\u'), json.dumps(content).replace('\\\\u', '\\u')))
    data = client.wait_type('chat_response')['data']
    for text in (data['content'], data['deep'][0]['x']):
        assert '<' not in text and '>' not in text, data
        assert '&lt;' in text, data


def test_harmless_text_is_left_alone(daemon, fresh):
    room, client = fresh('chat:'), join(daemon, 'netra', daemon.mint(fresh('u')))
    ask(client, 'subscribe', {'channels': [room]})
    text = 'Grüße, 5 − 3 = 2 😀\n"quoted" \\ back'
    client.send({'type': 'chat_message', 'data': {'channel': room, 'content': text}})
    assert client.wait_type('chat_response')['data']['content'] == text


def test_strings_and_arrays_are_cut(daemon, fresh):
    room, client = fresh('chat:'), join(daemon, 'netra', daemon.mint(fresh('u')))
    ask(client, 'subscribe', {'channels': [room]})
    client.send({'type': 'chat_message', 'data': {'channel': room, 'content': 'ä' * 10001, 'list': list(range(101)),
                                                  'fits': 'b' * 10000, 'hundred': [0] * 100}})
    data = client.wait_type('chat_response')['data']
    assert len(data['content']) == 10000 and data['list'] == list(range(100))
    assert len(data['fits']) == 10000 and len(data['hundred']) == 100


# Tasks

def optimize(client, name, message='Make it faster', **more):
    """Asks, and returns the status that says it was received."""
    client.send({'type': 'optimization_request', 'id': name, 'data': {'message': message, **more}})
    status = NETRA.envelope(client.wait_type('status', 'error'))
    assert status['type'] == 'status' and status['data']['status'] == 'received', status
    assert status['correlation_id'] == name
    return status['data']['task_id']


def test_an_optimization_from_the_request_to_its_result(daemon, user, hire):
    client = join(daemon, 'netra', daemon.mint(user))
    # acknowledged at once: nobody is there who could begin
    task_id = optimize(client, 'o1', workload_id='w1', parameters={'depth': 2}, thread_id='t1')
    worker = hire(daemon, 'optimization')
    task = worker.take()
    assert task['task_id'] == task_id and task['user_id'] == user
    assert task['payload'] == {'message': 'Make it faster', 'workload_id': 'w1', 'parameters': {'depth': 2}, 'thread_id': 't1'}
    worker.say('started', task, agent='supervisor')
    worker.say('progress', task, agent='data', message='Half way', progress=0.5, details={'rows': 7})
    worker.settle('completed', task, result={'saved': '40 %'})
    started, running, result = (NETRA.envelope(client.recv()) for _ in range(3))
    assert started['type'] == running['type'] == 'agent_update'
    assert (started['data']['agent'], started['data']['status']) == ('supervisor', 'started')
    assert {name: running['data'][name] for name in ('agent', 'status', 'message', 'progress', 'details')} == {
        'agent': 'data', 'status': 'running', 'message': 'Half way', 'progress': 0.5, 'details': {'rows': 7}}
    assert result['type'] == 'agent_result' and result['data']['result'] == {'saved': '40 %'}
    assert [message['correlation_id'] for message in (started, running, result)] == ['o1'] * 3
    # and there is one result
    client.seen.clear()
    client.check_alive()
    assert [message['type'] for message in client.seen] == ['pong']


def test_an_optimization_that_fails_is_a_processing_error(daemon, user, hire):
    client, worker = join(daemon, 'netra', daemon.mint(user)), hire(daemon, 'optimization')
    optimize(client, 'o1')
    worker.settle('failed', worker.take(), message='There is no data')
    error = client.wait_type('error', 'agent_result')
    assert NETRA.error(error, 'PROCESSING_ERROR')['message'] == 'There is no data'
    assert error['correlation_id'] == 'o1'
    client.check_alive()


def test_stop_processing_cancels_what_the_sender_asked_for_and_nothing_else(daemon, fresh, hire):
    worker = hire(daemon, 'optimization')
    ann, bob = (join(daemon, 'netra', daemon.mint(fresh(name))) for name in ('ann', 'bob'))
    of_ann = {optimize(ann, f'a{i}') for i in range(2)}
    of_bob = optimize(bob, 'b1')
    tasks = {task['task_id']: task for task in (worker.take() for _ in range(3))}
    assert set(tasks) == of_ann | {of_bob}
    ann.send({'type': 'stop_processing', 'id': 's1', 'data': {}})
    stopped = ann.wait_for(lambda message: message.get('correlation_id') == 's1')
    assert stopped['data']['status'] == 'cancelled' and set(stopped['data']['task_ids']) == of_ann, stopped
    assert {worker.client.wait_type('task.cancel')['payload']['task_id'] for _ in range(2)} == of_ann
    worker.settle('completed', tasks[of_bob], result='done')
    assert bob.wait_type('agent_result', 'error', 'status')['data']['result'] == 'done'
    ann.check_alive()
    assert not {'agent_result', 'error'} & {message['type'] for message in ann.seen}


def test_a_result_reaches_every_connection_of_the_user(daemon, user, fresh, hire):
    worker = hire(daemon, 'optimization')
    one, two = (join(daemon, 'netra', daemon.mint(user)) for _ in range(2))
    other = join(daemon, 'netra', daemon.mint(fresh('other')))
    optimize(one, 'o1')
    worker.settle('completed', worker.take(), result=1)
    for client in (one, two):
        assert client.wait_type('agent_result')['data']['result'] == 1
    other.check_alive()
    assert 'agent_result' not in [message['type'] for message in other.seen]


# Coming back

def test_a_client_id_that_comes_back_is_resumed(start, fresh):
    """What it had subscribed to it has still, and what was said meanwhile comes once."""
    daemon = start()
    token, room = daemon.mint(fresh('u')), fresh('chat:')
    client = join(daemon, target=url(token), dialect='netra', authenticate=False)
    first = client.recv()['data']
    assert first['resumed'] is False
    ask(client, 'subscribe', {'channels': [room]})
    client.ws.abort()
    wait_until(lambda: figure(daemon, 'choir_waiting_sessions') == 1, 'waiting')
    speaker = join(daemon, 'netra', daemon.mint(fresh('u')))
    for i in range(3):
        ask(speaker, 'chat_message', {'channel': room, 'message': f'{i}'})
    stranger = join(daemon, target=url(daemon.mint(fresh('u'))), dialect='netra', authenticate=False)
    assert stranger.recv()['data']['resumed'] is False
    back = join(daemon, target=url(token), dialect='netra', authenticate=False)
    again = NETRA.envelope(back.recv())['data']
    assert (again['status'], again['resumed'], again['client_id']) == ('connected', True, 'desk-1')
    assert again['connection_id'] != first['connection_id']
    ask(speaker, 'chat_message', {'channel': room, 'message': 'live'})
    heard = [back.wait_type('chat_response')['data']['content'] for _ in range(4)]
    assert heard == ['0', '1', '2', 'live']


def test_a_result_that_came_meanwhile_is_heard(daemon, user, hire):
    worker, token = hire(daemon, 'optimization'), daemon.mint(user)
    client = join(daemon, 'netra', token)
    optimize(client, 'o1')
    task = worker.take()
    client.ws.close()
    worker.settle('completed', task, result='late')
    back = join(daemon, 'netra', token)
    result = NETRA.envelope(back.wait_type('agent_result'))
    assert result['data']['result'] == 'late' and result['correlation_id'] == 'o1'


# What a back end sees and says

def test_back_ends_send_to_one_to_a_user_and_to_all_but_some(start):
    daemon = start()
    api = Api(daemon)
    clients = [join(daemon, 'netra', daemon.mint(sub)) for sub in ('ann', 'ann', 'bob')]
    ids = [client.seen[0]['data']['connection_id'] for client in clients]

    def heard(operation, n, path=None, **more):
        """How many got it says the answer, and what each has heard."""
        recipients = api.ask(operation, {'type': 'custom.tick', 'payload': {'n': n}, **more}, path)['recipients']
        for client in clients:
            client.seen.clear()
            client.check_alive()
        return recipients, [[message['data']['n'] for message in client.seen[:-1]] for client in clients]

    assert heard('sendToConnection', 1, path={'connection_id': ids[0]}) == (1, [[1], [], []])
    assert heard('sendToUser', 2, path={'user_id': 'ann'}) == (2, [[2], [2], []])
    assert heard('broadcast', 3) == (3, [[3]] * 3)
    assert heard('broadcast', 4, filter={'exclude_connections': [ids[1]]}) == (2, [[4], [], [4]])
    assert heard('broadcast', 5, filter={'exclude_users': ['ann']}) == (1, [[], [], [5]])
    assert heard('broadcast', 6, filter={'exclude_connections': ids[:1], 'exclude_users': ['bob']}) == (1, [[], [6], []])


def test_back_ends_count_connections_and_users(start):
    daemon = start()
    api = Api(daemon)
    clients = [join(daemon, 'netra', daemon.mint(sub)) for sub in ('ann', 'ann', 'bob')]
    stats = api.ask('getStats')
    assert (stats['connections'], stats['users'], stats['dialects']['netra']) == (3, 2, 3)
    assert [api.ask('getUser', path={'user_id': sub})['count'] for sub in ('ann', 'bob', 'eve')] == [2, 1, 0]
    clients[0].ws.close()
    assert api.ask('getUser', path={'user_id': 'ann'})['count'] == 1
    assert api.ask('getStats')['connections'] == 2


def test_metrics_of_the_contract(start):
    """Active connections, messages in and out, how long they took, errors by type."""
    daemon = start()
    clients = [join(daemon, 'netra', daemon.mint(f'u{i}')) for i in range(3)]
    for client in clients:
        for _ in range(5):
            assert ask(client, 'ping')['type'] == 'pong'
    NETRA.error(ask(clients[0], 'bogus'), 'MESSAGE_ERROR')
    assert figure(daemon, 'websocket_active_connections') == 3
    assert figure(daemon, 'websocket_messages_total{type="ping",direction="in"}') == 15
    assert figure(daemon, 'websocket_messages_total{type="pong",direction="out"}') == 15
    assert figure(daemon, 'websocket_message_latency_seconds_count{type="ping"}') == 15
    assert figure(daemon, 'websocket_message_latency_seconds_bucket{type="ping",le="+Inf"}') == 15
    assert figure(daemon, 'websocket_errors_total{code="INVALID_MESSAGE_TYPE"}') == 1


def test_all_with_timestamps_in_order(daemon, fresh):
    room, client = fresh('chat:'), join(daemon, 'netra', daemon.mint(fresh('u')))
    ask(client, 'subscribe', {'channels': [room]})
    stamps = []
    for i in range(5):
        client.send({'type': 'chat_message', 'data': {'channel': room, 'content': str(i)}})
        message = NETRA.envelope(client.wait_type('chat_response'))
        stamps.append(datetime.datetime.fromisoformat(message['timestamp'].replace('Z', '+00:00')))
    assert stamps == sorted(stamps)


def test_a_plain_get_says_what_this_is(daemon, user):
    response = http_get(daemon.address, url(daemon.mint(user)))
    response.assert_problem(426)
    assert response.reason == 'Upgrade Required'
    assert response.json()['title'] == 'Upgrade Required'
    assert response.get('upgrade') == 'websocket'


def test_a_plain_get_says_why_a_close_would_follow(daemon):
    http_get(daemon.address, url('x')).assert_problem(401)


# The contract's load test

def test_a_hundred_clients_ping_a_hundred_times(start):
    daemon = start(config='[dialect netra]\nrate=200/60s\n[server]\nmax-connections-per-user=1\n')
    n_clients, n_pings = 100, 100
    host, port = daemon.address

    async def client(number):
        token = daemon.mint(f'load{number}')
        async with websockets.connect(f'ws://{host}:{port}/ws?dialect=netra&token={token}&client_id=c{number}') as ws:
            assert json.loads(await ws.recv())['data']['status'] == 'connected'
            for i in range(n_pings):
                await ws.send(json.dumps({'type': 'ping', 'data': {}, 'correlation_id': f'{number}.{i}'}))
            answers = [json.loads(await ws.recv()) for _ in range(n_pings)]
        assert [answer['type'] for answer in answers] == ['pong'] * n_pings
        assert [answer['correlation_id'] for answer in answers] == [f'{number}.{i}' for i in range(n_pings)]

    async def everybody():
        await asyncio.wait_for(asyncio.gather(*(client(i) for i in range(n_clients))), DEADLINE * 4)

    asyncio.run(everybody())
