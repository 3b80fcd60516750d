# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The canonical protocol, choir.v1: every message that is served, and how the others are refused."""

import json
import uuid

import pytest

from choir_test import DIALECTS, RawWs, Timeout
from choir_test.dialects import CANONICAL_CODES
from library_client import closed_with, join, knock

CHOIR = DIALECTS['choir']
ROOM_RIGHTS = ('chat:*:read', 'chat:*:write')


def ask(client, type_, payload=None, **more):
    client.send({'type': type_, 'payload': {} if payload is None else payload, **more})
    return client.recv()


def subscribe(client, *channels):
    answer = ask(client, 'subscribe', {'channels': list(channels)})
    assert answer['type'] == 'subscription.confirmed' and not answer['payload']['rejected'], answer
    return answer['payload']['channels']


def publish(client, channel, payload=None, type_='note'):
    client.send({'type': 'publish', 'payload': {'channel': channel, 'type': type_, 'payload': payload or {}}})
    return client.wait_type('publish.ok')['payload']


# Opening

@pytest.mark.parametrize('subprotocols', [None, ['choir.v1'], ['unknown', 'choir.v1']])
def test_first_message(daemon, user, subprotocols):
    client = join(daemon, target=f'/ws?token={daemon.mint(user)}', subprotocols=subprotocols, authenticate=False)
    assert client.ws.subprotocol == ('choir.v1' if subprotocols else None)
    first = CHOIR.envelope(client.recv())
    assert first['type'] == 'connection.established'
    payload = first['payload']
    assert set(payload) >= {'connection_id', 'session_id', 'user_id', 'server_time', 'node', 'heartbeat_interval',
                            'max_message_size', 'features', 'resumed'}
    assert uuid.UUID(payload['connection_id']) and uuid.UUID(payload['session_id']) and payload['user_id'] == user
    assert payload['heartbeat_interval'] == 30000 and payload['max_message_size'] == 65536
    assert payload['resumed'] is False and payload['node']
    assert {'heartbeat', 'subscriptions', 'rate_limiting'} <= set(payload['features'])


def test_subprotocol_beats_the_query(daemon, user):
    client = join(daemon, target=f'/ws?dialect=netra&token={daemon.mint(user)}', subprotocols=['choir.v1'],
                  authenticate=False)
    assert client.recv()['type'] == 'connection.established'


def test_unknown_dialect_is_the_default(daemon, user):
    client = join(daemon, target=f'/ws?dialect=klingon&token={daemon.mint(user)}', authenticate=False)
    assert client.recv()['type'] == 'connection.established'


def test_bad_token(daemon):
    knock(daemon, '/ws?token=x').assert_problem(401)
    problem = knock(daemon, f'/ws?token={daemon.mint(ttl=-3600)}').assert_problem(401)
    assert problem['detail'] == 'Token expired'


def test_no_such_place(daemon):
    knock(daemon, '/nowhere').assert_problem(404)


# auth

def test_auth_by_message(daemon, user):
    client = join(daemon, target='/ws', authenticate=False)
    client.wait_type('connection.established')
    CHOIR.error(ask(client, 'subscribe', {'channels': ['chat:1']}), 'AUTH_ERROR')
    ok = CHOIR.envelope(ask(client, 'auth', {'token': daemon.mint(user)}, id='a1'))
    assert ok['type'] == 'auth.ok' and ok['correlation_id'] == 'a1'
    assert set(ok['payload']) == {'connection_id', 'session_id', 'user_id', 'expires_at', 'resumed'}
    assert ok['payload']['resumed'] is False
    assert ok['payload']['user_id'] == user
    subscribe(client, 'chat:1')


def test_auth_with_channels(daemon, fresh):
    room = fresh('chat:')
    client = join(daemon, target='/ws', authenticate=False)
    client.wait_type('connection.established')
    assert ask(client, 'auth', {'token': daemon.mint(fresh('u')), 'channels': [room]})['type'] == 'auth.ok'
    publish(join(daemon, token=daemon.mint(fresh('u'))), room, {'n': 1})
    assert client.wait_type('note')['payload'] == {'n': 1}


def test_auth_fails(daemon):
    client = join(daemon, target='/ws', authenticate=False)
    client.wait_type('connection.established')
    CHOIR.error(ask(client, 'auth', {'token': 'x'}), 'AUTH_ERROR')
    assert client.ws.recv_close().code == 4000


def test_auth_too_late(start):
    client = join(start({'auth.auth-timeout': '200ms'}), target='/ws', authenticate=False)
    client.wait_type('connection.established')
    assert client.ws.recv_close().code == 4001


def test_refresh_takes_permissions_away(daemon, user):
    client = join(daemon, token=daemon.mint(user, ('secret:*:read', 'secret:*:write')))
    subscribe(client, 'secret:1')
    assert ask(client, 'auth', {'token': daemon.mint(user, ())})['type'] == 'auth.ok'
    publish(join(daemon, token=daemon.mint('writer', ('secret:*:write',))), 'secret:1')
    assert ask(client, 'ping')['type'] == 'pong'
    assert ask(client, 'subscribe', {'channels': ['secret:1']})['payload']['rejected'][0]['code'] == 'PERMISSION_DENIED'


def test_refresh_with_a_bad_token_costs_nothing(daemon, user):
    client = join(daemon, token=daemon.mint(user))
    CHOIR.error(ask(client, 'auth', {'token': 'x'}), 'AUTH_ERROR')
    client.check_alive()


def test_expiry(start):
    daemon = start({'auth.leeway': '0s'})
    token = daemon.mint(ttl=3)
    client = join(daemon, token=token)
    expiring = CHOIR.envelope(client.recv())
    assert expiring['type'] == 'auth.expiring'
    CHOIR.timestamp(expiring['payload']['expires_at'])
    assert client.ws.recv_close() == (4003, 'Token expired')
    knock(daemon, f'/ws?token={token}').assert_problem(401)


def test_guests(start):
    daemon = start({'auth.require-auth': 'no'})
    client = join(daemon, target='/ws', authenticate=False)
    assert client.recv()['payload']['user_id'].startswith('guest-')
    assert ask(client, 'subscribe', {'channels': ['chat:1']})['payload']['rejected'][0]['code'] == 'PERMISSION_DENIED'


# ping, heartbeat, correlation

@pytest.mark.parametrize('ping_id', ['p1', 7, None, True, {'a': [1]}])
def test_ping(daemon, user, ping_id):
    client = join(daemon, token=daemon.mint(user))
    pong = CHOIR.envelope(ask(client, 'ping', {'ping_id': ping_id}))
    assert pong['type'] == 'pong' and pong['payload']['ping_id'] == ping_id
    CHOIR.timestamp(pong['payload']['timestamp'])


def test_heartbeat(start):
    client = join(start({'protocol.heartbeat-interval': '100ms'}))
    for _ in range(3):
        beat = CHOIR.envelope(client.recv())
        assert beat['type'] == 'heartbeat'
        CHOIR.timestamp(beat['payload']['timestamp'])


@pytest.mark.parametrize('more,wanted', [
    ({'id': 'i'}, 'i'), ({'correlation_id': 'c'}, 'c'), ({'id': 'i', 'correlation_id': 'c'}, 'c'),
    ({'metadata': {'correlation_id': 'm'}}, 'm'), ({}, None), ({'id': 'ü"\\ 😀'}, 'ü"\\ 😀'), ({'id': 'x' * 128}, 'x' * 128),
])
def test_correlation(daemon, user, more, wanted):
    client = join(daemon, token=daemon.mint(user))
    for type_ in ('ping', 'subscribe', 'wat'):
        assert ask(client, type_, **more).get('correlation_id') == wanted


def test_data_is_a_synonym(daemon, user):
    client = join(daemon, token=daemon.mint(user))
    client.send({'type': 'ping', 'data': {'ping_id': 1}})
    assert client.recv()['payload']['ping_id'] == 1


@pytest.mark.parametrize('timestamp', ['2026-01-08T10:30:00.123Z', '2026-01-08T10:30:00+01:00', 1767868200, 1767868200123, 1.5])
def test_inbound_timestamps(daemon, user, timestamp):
    assert ask(join(daemon, token=daemon.mint(user)), 'ping', timestamp=timestamp)['type'] == 'pong'


# subscribe, publish

def test_publish_reaches_subscribers(daemon, fresh):
    room = fresh('chat:')
    one, two, out = (join(daemon, token=daemon.mint(fresh('u'))) for _ in range(3))
    epoch = subscribe(one, room)[0]['epoch']
    subscribe(two, room)
    one.wait_type('presence.joined')
    ok = publish(one, room, {'text': 'hi', 'n': [1, 2.5, None]})
    assert ok == {'channel': room, 'epoch': epoch, 'offset': 1}
    heard = CHOIR.envelope(two.wait_type('note'))
    assert heard['payload'] == {'text': 'hi', 'n': [1, 2.5, None]}
    assert heard['channel'] == room and heard['offset'] == 1
    assert ask(out, 'ping')['type'] == 'pong'


def test_the_publisher_hears_itself_in_the_same_bytes(daemon, fresh):
    room = fresh('chat:')
    raw = [RawWs.open(daemon.address, f'/ws?token={daemon.mint(fresh("u"))}') for _ in range(2)]
    for ws in raw:
        ws.recv_message()
        ws.send_json({'type': 'subscribe', 'payload': {'channels': [room]}})
        assert ws.recv_json()['type'] == 'subscription.confirmed'
    assert raw[0].recv_json()['type'] == 'presence.joined'
    raw[0].send_json({'type': 'publish', 'payload': {'channel': room, 'type': 'note', 'payload': {'x': 1}}})
    texts = []
    for ws in raw:
        while json.loads(text := ws.recv_message()[1])['type'] != 'note':
            pass
        texts.append(text)
    assert texts[0] == texts[1]


def test_subscribe_forms(daemon, fresh):
    client = join(daemon, token=daemon.mint(fresh('u')))
    names = [fresh('chat:') for _ in range(4)]
    answer = ask(client, 'subscribe', {'channels': [names[0], {'channel': names[1]}], 'events': ['file.ready']}, id='s')
    assert answer['correlation_id'] == 's'
    channels = answer['payload']['channels']
    assert [entry['channel'] for entry in channels] == names[:2]
    for entry in channels:
        assert entry['offset'] == 0 and entry['epoch'] and entry['recovered'] is False and entry['messages'] == []
    assert answer['payload']['events'] == ['file.ready'] and answer['payload']['rejected'] == []
    assert subscribe(client, names[2])[0]['channel'] == names[2]
    single = ask(client, 'subscribe', {'channel': names[3]})
    assert single['payload']['channels'][0]['channel'] == names[3]


def test_subscribing_twice_is_once(daemon, fresh):
    room, client = fresh('chat:'), join(daemon, token=daemon.mint(fresh('u')))
    first = subscribe(client, room, room)
    assert len({entry['epoch'] for entry in first + subscribe(client, room)}) == 1
    publish(client, room, {'n': 1})
    client.seen.clear()
    client.check_alive()
    assert [message['type'] for message in client.seen].count('note') <= 1


def test_unsubscribe(daemon, fresh):
    room, client = fresh('chat:'), join(daemon, token=daemon.mint(fresh('u')))
    subscribe(client, room)
    answer = ask(client, 'unsubscribe', {'channels': [room, 'chat:never']}, id='x')
    assert answer['type'] == 'subscription.removed' and answer['correlation_id'] == 'x'
    assert answer['payload']['channels'] == [room]
    client.seen.clear()
    publish(client, room)
    assert [message['type'] for message in client.seen] == ['publish.ok']


@pytest.mark.parametrize('permissions,channel,allowed', [
    (('news:*:write',), 'news:1', True), (('news:1:write',), 'news:1', True), (('news:1:write',), 'news:2', False),
    (('news:*:read',), 'news:1', False), ((), 'news:1', False), (('*:*:*',), 'news:1', True), ((), 'all', False),
    ((), 'user:{me}', False), (('user:*:write',), 'user:other', True), ((), 'event:file.ready', False), ((), 'chat:1', True),
])
def test_who_may_publish(daemon, user, permissions, channel, allowed):
    client = join(daemon, token=daemon.mint(user, permissions))
    client.send({'type': 'publish', 'payload': {'channel': channel.format(me=user), 'type': 'note', 'payload': {}}})
    if allowed:
        client.wait_type('publish.ok')
    else:
        client.wait_error('PERMISSION_DENIED')


@pytest.mark.parametrize('permissions,channel,allowed', [
    (('news:*:read',), 'news:1', True), (('news:*:write',), 'news:1', False), ((), 'news:1', False), ((), 'all', True),
    ((), 'user:{me}', True), ((), 'user:other', False), ((), 'session:other', False), ((), 'chat:1', True),
    ((), 'event:file.ready', True), ((), 'secret:1', False), (('secret:1:read',), 'secret:1', True),
    (('secret:1:read',), 'secret:11', False),
])
def test_who_may_subscribe(daemon, user, permissions, channel, allowed):
    client = join(daemon, token=daemon.mint(user, permissions))
    payload = ask(client, 'subscribe', {'channels': [channel.format(me=user)]})['payload']
    assert bool(payload['channels']) is allowed and bool(payload['rejected']) is not allowed, payload
    if not allowed:
        assert payload['rejected'][0]['code'] == 'PERMISSION_DENIED'


@pytest.mark.parametrize('type_', ['error', 'system.reconnect', 'auth.ok', 'connection.established', 'task.completed',
                                   'presence.joined', 'document.change', 'pong'])
def test_nobody_speaks_for_the_service(daemon, user, type_):
    client = join(daemon, token=daemon.mint(user))
    CHOIR.error(ask(client, 'publish', {'channel': 'chat:1', 'type': type_, 'payload': {}}), 'PERMISSION_DENIED')


def test_documents_are_not_published_to(daemon, user):
    client = join(daemon, token=daemon.mint(user))
    CHOIR.error(ask(client, 'publish', {'channel': 'document:1', 'type': 'x', 'payload': {}}), 'VALIDATION_ERROR')


def test_too_many_subscriptions(start):
    client = join(start({'session.max-subscriptions': '3'}))
    payload = ask(client, 'subscribe', {'channels': [f'chat:{i}' for i in range(5)]})['payload']
    assert len(payload['channels']) == 3 and len(payload['rejected']) == 2, payload


# Recovery

def fill(daemon, fresh, room, n, **kwargs):
    writer = join(daemon, token=daemon.mint(fresh('writer')), **kwargs)
    writer.ws.timeout *= 3
    return [publish(writer, room, {'n': i}) for i in range(1, n + 1)]


def test_recovery(daemon, fresh):
    room = fresh('chat:')
    client = join(daemon, token=daemon.mint(fresh('u')))
    epoch = subscribe(client, room)[0]['epoch']
    fill(daemon, fresh, room, 1)
    client.ws.close()
    fill(daemon, fresh, room, 7)
    for offset in (0, 3, 7, 8):
        back = join(daemon, token=daemon.mint(fresh('u')))
        state = subscribe(back, {'channel': room, 'epoch': epoch, 'offset': offset})[0]
        assert state['recovered'] is True and state['epoch'] == epoch and state['offset'] == 8
        assert [message['offset'] for message in state['messages']] == list(range(offset + 1, 9))
        assert [message['payload']['n'] for message in state['messages']] == [1, 1, 2, 3, 4, 5, 6, 7][offset:]


@pytest.mark.parametrize('position', [
    {'epoch': 'another', 'offset': 2}, {'offset': 2}, {'epoch': '{epoch}', 'offset': 99},
])
def test_positions_that_are_not_ours(daemon, fresh, position):
    room = fresh('chat:')
    epoch = fill(daemon, fresh, room, 4)[0]['epoch']
    position = {key: epoch if value == '{epoch}' else value for key, value in position.items()}
    state = subscribe(join(daemon, token=daemon.mint(fresh('u'))), {'channel': room, **position})[0]
    assert state['recovered'] is False and state['epoch'] == epoch and state['offset'] == 4
    # the present state instead
    assert [message['offset'] for message in state['messages']] == [1, 2, 3, 4]


def test_all_or_nothing(start, fresh):
    daemon = start(config='[namespace chat]\nsubscribe=authenticated\npublish=authenticated\nhistory-size=5\n')
    epoch = fill(daemon, fresh, 'chat:x', 9)[0]['epoch']
    client = join(daemon)
    whole = subscribe(client, {'channel': 'chat:x', 'epoch': epoch, 'offset': 4})[0]
    assert whole['recovered'] is True and [message['offset'] for message in whole['messages']] == [5, 6, 7, 8, 9]
    part = subscribe(client, {'channel': 'chat:x', 'epoch': epoch, 'offset': 3})[0]
    assert part['recovered'] is False, part


def test_no_gap_between_recovery_and_live(daemon, fresh):
    room = fresh('chat:')
    epoch = fill(daemon, fresh, room, 3)[0]['epoch']
    client = join(daemon, token=daemon.mint(fresh('u')))
    seen = [message['offset'] for message in
            subscribe(client, {'channel': room, 'epoch': epoch, 'offset': 0})[0]['messages']]
    fill(daemon, fresh, room, 3)
    seen += [client.wait_type('note')['offset'] for _ in range(3)]
    assert seen == [1, 2, 3, 4, 5, 6]


# history

def test_history_pages(daemon, fresh):
    room, reader = fresh('chat:'), join(daemon, token=daemon.mint(fresh('u')))
    fill(daemon, fresh, room, 7)

    def page(**query):
        answer = ask(reader, 'history', {'channel': room, **query}, id='h')
        assert answer['type'] == 'history.result' and answer['correlation_id'] == 'h'
        payload = answer['payload']
        assert payload['channel'] == room and payload['epoch'] and payload['offset'] == 7
        return [message['offset'] for message in payload['messages']], payload['complete']

    assert page() == ([1, 2, 3, 4, 5, 6, 7], True)
    assert page(limit=3) == ([1, 2, 3], False)
    assert page(since=3, limit=3) == ([4, 5, 6], False)
    assert page(since=6, limit=3) == ([7], True)
    assert page(since=7) == ([], True)
    assert page(reverse=True, limit=3) == ([7, 6, 5], False)
    assert page(reverse=True, since=5, limit=9) == ([4, 3, 2, 1], True)


def test_history_of_nothing(daemon, user):
    client = join(daemon, token=daemon.mint(user, ROOM_RIGHTS))
    CHOIR.error(ask(client, 'history', {'channel': 'chat:never-heard-of'}), 'UNKNOWN_CHANNEL')
    CHOIR.error(ask(client, 'history', {'channel': 'secret:1'}), 'PERMISSION_DENIED')
    CHOIR.error(ask(client, 'history', {}), 'VALIDATION_ERROR', 'channel')


# presence

def test_presence(daemon, fresh):
    room, ann, bob = fresh('chat:'), fresh('ann'), fresh('bob')
    first = join(daemon, token=daemon.mint(ann, name='Ann'))
    subscribe(first, room)
    second = join(daemon, token=daemon.mint(bob, name='Bob'))
    subscribe(second, room)
    joined = CHOIR.envelope(first.wait_type('presence.joined'))['payload']
    assert joined['channel'] == room and joined['user_id'] == bob and joined['name'] == 'Bob' and joined['session_id']
    state = ask(second, 'presence', {'channel': room}, id='w')
    assert state['type'] == 'presence.state' and state['correlation_id'] == 'w'
    assert {member['user_id'] for member in state['payload']['members']} == {ann, bob}
    ask(second, 'unsubscribe', {'channels': [room]})
    left = CHOIR.envelope(first.wait_type('presence.left'))['payload']
    assert left['user_id'] == bob and left['channel'] == room


def test_presence_is_not_for_everyone(daemon, user):
    client = join(daemon, token=daemon.mint(user, ()))
    CHOIR.error(ask(client, 'presence', {'channel': 'secret:1'}), 'PERMISSION_DENIED')


# chat

def test_chat(daemon, fresh):
    room, ann = fresh('chat:'), fresh('ann')
    one, two = join(daemon, token=daemon.mint(ann)), join(daemon, token=daemon.mint(fresh('bob')))
    subscribe(one, room)
    subscribe(two, room)
    one.send({'type': 'chat.message', 'id': 'm', 'payload': {'channel': room, 'content': 'hi', 'user_id': 'forged'}})
    assert one.wait_type('publish.ok')['correlation_id'] == 'm'
    heard = two.wait_type('chat.message')['payload']
    assert heard['content'] == 'hi' and heard['user_id'] == ann
    one.send({'type': 'chat.typing', 'payload': {'channel': room}})
    typing = two.wait_type('chat.typing')
    assert typing['payload']['user_id'] == ann and 'offset' not in typing
    assert ask(two, 'history', {'channel': room})['payload']['offset'] == 1
    stranger = join(daemon, token=daemon.mint(fresh('eve')))
    CHOIR.error(ask(stranger, 'chat.typing', {'channel': room}), 'NOT_SUBSCRIBED')


# Errors

@pytest.mark.parametrize('text,code,contains', [
    ('{bad', 'INVALID_JSON', 'byte 1'), ('', 'INVALID_JSON', 'JSON'), ('{}', 'INVALID_MESSAGE', 'type'),
    ('{"type":7}', 'INVALID_MESSAGE', 'type'), ('{"type":""}', 'INVALID_MESSAGE', 'type'),
    ('{"type":"%s"}' % ('x' * 300), 'INVALID_MESSAGE', 'type'),
    ('{"type":"ping","payload":[]}', 'INVALID_MESSAGE', 'payload'),
    ('{"type":"ping","payload":{},"data":{}}', 'INVALID_MESSAGE', 'payload'),
    ('{"type":"ping","id":"%s"}' % ('x' * 129), 'INVALID_MESSAGE', 'id'),
    ('{"type":"ping","id":[]}', 'INVALID_MESSAGE', 'id'),
    ('{"type":"ping","timestamp":"noon"}', 'INVALID_MESSAGE', 'timestamp'),
    ('{"type":"ping","metadata":1}', 'INVALID_MESSAGE', 'metadata'),
    ('{"type":"ping","channel":1}', 'INVALID_MESSAGE', 'channel'),
    ('{"type":"wat"}', 'INVALID_MESSAGE_TYPE', 'wat'), ('{"type":"pong"}', 'INVALID_MESSAGE_TYPE', 'pong'),
    ('{"type":"connection.established"}', 'INVALID_MESSAGE_TYPE', 'connection.established'),
    ('{"type":"subscribe"}', 'VALIDATION_ERROR', 'channels'),
    ('{"type":"subscribe","payload":{"channels":"chat:1"}}', 'VALIDATION_ERROR', 'channels'),
    ('{"type":"subscribe","payload":{"channels":[1]}}', 'VALIDATION_ERROR', 'channels'),
    ('{"type":"subscribe","payload":{"channels":[{}]}}', 'VALIDATION_ERROR', 'channels'),
    ('{"type":"publish","payload":{}}', 'VALIDATION_ERROR', 'channel'),
    ('{"type":"publish","payload":{"channel":"chat:1"}}', 'VALIDATION_ERROR', 'type'),
    ('{"type":"publish","payload":{"channel":"chat:1","type":"a","payload":7}}', 'VALIDATION_ERROR', 'payload'),
    ('{"type":"publish","payload":{"channel":"a b","type":"a"}}', 'VALIDATION_ERROR', 'channel'),
    ('{"type":"publish","payload":{"channel":"%s","type":"a"}}' % ('c' * 256), 'VALIDATION_ERROR', 'channel'),
    ('{"type":"publish","payload":{"channel":"","type":"a"}}', 'VALIDATION_ERROR', 'channel'),
    ('{"type":"chat.message","payload":{"channel":"chat:1"}}', 'VALIDATION_ERROR', 'content'),
    ('{"type":"presence"}', 'VALIDATION_ERROR', 'channel'), ('{"type":"history"}', 'VALIDATION_ERROR', 'channel'),
    ('[]', 'INVALID_MESSAGE', 'batch'),
])
def test_errors(daemon, user, text, code, contains):
    client = join(daemon, token=daemon.mint(user))
    client.send_text(text)
    body = client.wait_error(code, contains)
    assert set(body) <= {'code', 'message', 'recoverable', 'help', 'details', 'retry_after', 'original_type'}
    assert body['code'] in CANONICAL_CODES
    client.check_alive()


def test_bad_channel_names_are_rejected_in_the_list(daemon, user):
    client = join(daemon, token=daemon.mint(user))
    payload = ask(client, 'subscribe', {'channels': ['a b', '', 'chat:ok']})['payload']
    assert [entry['channel'] for entry in payload['channels']] == ['chat:ok']
    assert {entry['code'] for entry in payload['rejected']} == {'VALIDATION_ERROR'}


def test_too_big(daemon, user):
    client = join(daemon, token=daemon.mint(user))
    client.send_text('{"type":"ping","payload":{"x":"%s"}}' % ('a' * 66000))
    assert client.ws.recv_close().code == 1009


def test_binary_is_refused(daemon, user):
    client = join(daemon, token=daemon.mint(user))
    client.ws.send_frame(2, b'\xa0')
    assert client.ws.recv_close().code == 1003


def test_rate(start):
    daemon = start({'rate.burst-queue': '0'})
    client = join(daemon)
    for _ in range(10):
        assert ask(client, 'ping')['type'] == 'pong'
    answer = ask(client, 'ping', id='late')
    body = CHOIR.error(answer, 'RATE_LIMIT_EXCEEDED')
    assert 0 < body['retry_after'] <= 1 and body['original_type'] == 'ping' and answer['correlation_id'] == 'late'
    with pytest.raises(Timeout):
        client.recv(body['retry_after'] + 0.01)
    assert ask(client, 'ping')['type'] == 'pong'


def test_users_of_store(start):
    daemon = start({'auth.users': 'store', 'auth.known-users': 'ann;bob:inactive'})
    knock(daemon, f'/ws?token={daemon.mint("bob")}').assert_problem(401)
    client = join(daemon, target='/ws', authenticate=False)
    client.wait_type('connection.established')
    CHOIR.error(ask(client, 'auth', {'token': daemon.mint('eve')}), 'AUTH_ERROR')
    assert client.ws.recv_close().code == 4000
    join(daemon, token=daemon.mint('ann')).check_alive()


def test_capacity(start):
    daemon = start({'server.max-connections': '1'})
    join(daemon)
    refused = knock(daemon, f'/ws?token={daemon.mint()}')
    refused.assert_problem(503)
    assert int(refused.get('retry-after')) > 0
    # one service's capacity, refused in each contract's way
    assert closed_with(daemon, f'/ws?dialect=netra&token={daemon.mint()}').code == 1013
