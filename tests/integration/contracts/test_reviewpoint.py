# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Contract D, `reviewpoint`, step by step."""

import datetime
import socket
import uuid

import pytest

from choir_test import DIALECTS, RawWs, Timeout, http_get
from choir_test.openapi import Api
from document_client import figure, wait_until
from library_client import join, knock

RP = DIALECTS['reviewpoint']
EVENTS = ('upload.progress upload.completed upload.error upload.cancelled review.updated review.created review.deleted '
          'system.notification system.maintenance user.status_changed file.processing file.ready').split()


def ask(client, type_, data=None, **more):
    client.send({'type': type_, 'data': {} if data is None else data, **more})
    return client.recv()


def back_end(daemon, name):
    client = join(daemon, token=daemon.mint(name, roles=['service']))

    def publish(channel, type_, payload):
        client.send({'type': 'publish', 'payload': {'channel': channel, 'type': type_, 'payload': payload}})
        return client.wait_type('publish.ok', 'error')

    return publish


# Opening

@pytest.mark.parametrize('target', ['/ws/{}', '/ws/{}?dialect=reviewpoint', '/ws?dialect=reviewpoint&token={}'])
def test_first_message(daemon, user, target):
    token = daemon.mint(user)
    first = join(daemon, 'reviewpoint', token, target.format(token), authenticate=False).recv()
    assert set(first) == {'type', 'data', 'id', 'timestamp'}
    RP.envelope(first)
    assert first['type'] == 'connection.established'
    assert set(first['data']) == {'connection_id', 'user_id', 'server_time', 'features'}
    assert uuid.UUID(first['data']['connection_id']) and first['data']['user_id'] == user
    RP.timestamp(first['data']['server_time'])
    assert first['data']['features'] == ['heartbeat', 'subscriptions', 'rate_limiting']


@pytest.mark.parametrize('claims', [
    pytest.param({'ttl': -3600}, id='expired'),
    pytest.param({'sub': None}, id='no-subject'),
    pytest.param({'exp': None}, id='no-expiry'),
    pytest.param({'key': 'another key, of sixty-four hexadecimal digits or at least as many'}, id='foreign-key'),
])
def test_bad_tokens(daemon, claims):
    target = f'/ws/{daemon.mint(**claims)}'
    problem = knock(daemon, target).assert_problem(401)
    assert http_get(daemon.address, target).assert_problem(401) == problem


@pytest.mark.parametrize('token', ['x', 'a.b.c', 'null', 'undefined'])
def test_no_tokens(daemon, token):
    knock(daemon, f'/ws/{token}').assert_problem(401)


def test_inactive_users(start):
    daemon = start({'auth.users': 'store', 'auth.known-users': 'ann;bob:inactive'})
    knock(daemon, f'/ws/{daemon.mint("bob")}').assert_problem(401)
    knock(daemon, f'/ws/{daemon.mint("eve")}').assert_problem(401)
    join(daemon, 'reviewpoint', daemon.mint('ann')).check_alive()


# Limits before the upgrade

def test_three_per_user(daemon, user, fresh):
    token = daemon.mint(user)
    clients = [join(daemon, 'reviewpoint', token) for _ in range(3)]
    refused = knock(daemon, f'/ws/{token}')
    assert refused.assert_problem(429)['code'] == 'RATE_LIMIT_EXCEEDED'
    assert int(refused.get('retry-after')) > 0
    for client in clients:
        client.check_alive()
    join(daemon, 'reviewpoint', daemon.mint(fresh('other'))).check_alive()
    clients.pop().ws.close()
    # the close has been answered, so the place is free
    join(daemon, 'reviewpoint', token).check_alive()


def test_capacity(start):
    daemon = start({'dialect reviewpoint.max-connections': '2'})
    clients = [join(daemon, 'reviewpoint', daemon.mint(f'u{i}')) for i in range(2)]
    refused = knock(daemon, f'/ws/{daemon.mint("late")}')
    assert refused.assert_problem(503)['code'] == 'UNAVAILABLE'
    assert int(refused.get('retry-after')) > 0
    for client in clients:
        client.check_alive()
    # the contract's own capacity leaves the others theirs
    join(daemon, 'netra', daemon.mint('late')).check_alive()


def test_capacity_default(daemon):
    text = daemon.run_cli('--dump-config').stdout
    assert 'dialect reviewpoint.max-connections=1000 ' in text, text
    assert 'dialect reviewpoint.max-connections-per-user=3 ' in text, text


def test_capacity_is_told_before_the_token_is(start):
    daemon = start({'server.max-connections': '1'})
    join(daemon, 'reviewpoint', daemon.mint('ann'))
    knock(daemon, f'/ws/{daemon.mint("bob")}').assert_problem(503)


# Messages

def test_ping(daemon, user):
    client = join(daemon, 'reviewpoint', daemon.mint(user))
    pong = RP.envelope(ask(client, 'ping', {'pingId': 'p-1'}))
    assert pong['type'] == 'pong' and set(pong['data']) == {'timestamp', 'pingId'}
    assert pong['data']['pingId'] == 'p-1'
    RP.timestamp(pong['data']['timestamp'])
    assert set(ask(client, 'ping')['data']) == {'timestamp'}


def test_heartbeat(daemon, user):
    client = join(daemon, 'reviewpoint', daemon.mint(user))
    assert RP.envelope(ask(client, 'heartbeat'))['type'] == 'heartbeat'


def test_heartbeat_comes_by_itself(start):
    client = join(start({'protocol.heartbeat-interval': '100ms'}), 'reviewpoint')
    assert [RP.envelope(client.recv())['type'] for _ in range(3)] == ['heartbeat'] * 3


def test_dead_after_two_heartbeats(daemon, start):
    text = daemon.run_cli('--dump-config').stdout
    assert 'dialect reviewpoint.idle-timeout=60s ' in text
    # a client that answers no ping: only what it sends itself counts
    silent = start({'dialect reviewpoint.idle-timeout': '300ms'})
    client = join(silent, 'reviewpoint')
    assert client.ws.recv_close(skip_data=True) == (1000, 'Connection timeout')


def test_every_event(daemon, user, fresh):
    client = join(daemon, 'reviewpoint', daemon.mint(user))
    confirmed = RP.envelope(ask(client, 'subscribe', {'events': EVENTS}))
    assert confirmed['type'] == 'subscription.confirmed'
    assert confirmed['data']['events'] == EVENTS and confirmed['data']['rejected'] == []
    publish = back_end(daemon, fresh('service'))
    for event in EVENTS:
        publish(f'event:{event}', event, {'name': event, 'timestamp': '2026-01-08T10:30:00Z'})
        heard = RP.envelope(client.recv())
        assert heard['type'] == event
        assert heard['data'] == {'name': event, 'timestamp': '2026-01-08T10:30:00Z'}


def test_unsubscribe(daemon, user, fresh):
    client = join(daemon, 'reviewpoint', daemon.mint(user))
    ask(client, 'subscribe', {'events': ['review.updated', 'review.created']})
    removed = ask(client, 'unsubscribe', {'events': ['review.updated', 'file.ready']})
    assert removed['type'] == 'subscription.removed' and removed['data']['events'] == ['review.updated'], removed
    publish = back_end(daemon, fresh('service'))
    publish('event:review.updated', 'review.updated', {'n': 1})
    publish('event:review.created', 'review.created', {'n': 2})
    assert client.recv()['data'] == {'n': 2}


def test_other_events_are_refused_by_name(daemon, user):
    client = join(daemon, 'reviewpoint', daemon.mint(user))
    data = ask(client, 'subscribe', {'events': ['review.updated', 'review.exploded', 'admin']})['data']
    assert data['events'] == ['review.updated']
    assert [entry['event'] for entry in data['rejected']] == ['review.exploded', 'admin']
    for entry in data['rejected']:
        assert entry['event'] in entry['message'], entry


def test_back_ends_reach_a_user_and_all(daemon, fresh):
    ann, bob = fresh('ann'), fresh('bob')
    of_ann = [join(daemon, 'reviewpoint', daemon.mint(ann)) for _ in range(2)]
    of_bob = join(daemon, 'reviewpoint', daemon.mint(bob))
    publish = back_end(daemon, fresh('service'))
    publish(f'user:{ann}', 'upload.progress', {'upload_id': 'u', 'progress': 40, 'bytes_uploaded': 4, 'total_bytes': 10})
    publish('all', 'system.notification', {'message': 'tea', 'level': 'info'})
    for client in of_ann:
        assert client.recv()['data']['progress'] == 40
        assert client.recv()['data'] == {'message': 'tea', 'level': 'info'}
    assert of_bob.recv()['type'] == 'system.notification'


def test_upload_cancel_without_anybody_to_do_it(daemon, user):
    client = join(daemon, 'reviewpoint', daemon.mint(user))
    body = RP.error(ask(client, 'upload.cancel', {'upload_id': 'u1'}), 'UNAVAILABLE')
    assert set(body) == {'code', 'message'}
    RP.error(ask(client, 'upload.cancel', {}), 'VALIDATION_ERROR')
    client.check_alive()


def test_upload_cancel_reaches_a_back_end(daemon, user, hire):
    worker, client = hire(daemon, 'upload.cancel'), join(daemon, 'reviewpoint', daemon.mint(user))
    client.send({'type': 'upload.cancel', 'data': {'upload_id': 'u1'}})
    task = worker.take()
    assert (task['kind'], task['user_id'], task['payload']) == ('upload.cancel', user, {'upload_id': 'u1'})
    worker.settle('completed', task)
    # that the upload has ended is for the back end to say
    sent = Api(daemon).ask('sendToUser', {'type': 'upload.cancelled', 'payload': {'upload_id': 'u1'}}, {'user_id': user})
    assert sent['recipients'] == 1
    assert RP.envelope(client.wait_type('upload.cancelled'))['data'] == {'upload_id': 'u1'}


@pytest.mark.parametrize('type_', ['bogus', 'publish', 'upload.progress', 'system.notification', 'chat.message'])
def test_unknown_types(daemon, user, type_):
    client = join(daemon, 'reviewpoint', daemon.mint(user))
    body = RP.error(ask(client, type_), 'INVALID_MESSAGE_TYPE')
    assert body == {'code': 'INVALID_MESSAGE_TYPE', 'message': f'Unknown message type: {type_}'}
    client.check_alive()


@pytest.mark.parametrize('text,code,contains', [
    ('{bad', 'INVALID_JSON', 'JSON'), ('', 'INVALID_JSON', 'JSON'), ('{"data":{}}', 'INVALID_MESSAGE', 'type'),
    ('{"type":[]}', 'INVALID_MESSAGE', 'type'), ('{"type":"ping","data":[]}', 'INVALID_MESSAGE', 'data'),
    ('{"type":"subscribe","data":{}}', 'VALIDATION_ERROR', 'events'),
    ('{"type":"subscribe","data":{"events":"review.updated"}}', 'VALIDATION_ERROR', 'events'),
    ('{"type":"subscribe","data":{"events":[7]}}', 'VALIDATION_ERROR', 'events'),
    ('{"type":"unsubscribe","data":{"events":{}}}', 'VALIDATION_ERROR', 'events'),
])
def test_bad_messages(daemon, user, text, code, contains):
    client = join(daemon, 'reviewpoint', daemon.mint(user))
    client.send_text(text)
    client.wait_error(code, contains)
    client.check_alive()


# What back ends say, and how many got it

HELPERS = [
    ('notify', None, {'message': 'Tea', 'level': 'info', 'users': []}, 'system.notification', {'message', 'level', 'timestamp'}),
    ('reviewUpdated', 'review_id', {'by': 'bob', 'users': []}, 'review.updated', {'review_id', 'by', 'timestamp'}),
    ('fileProcessing', 'file_id', {'user_id': ''}, 'file.processing', {'file_id', 'timestamp'}),
    ('fileReady', 'file_id', {'user_id': ''}, 'file.ready', {'file_id', 'timestamp'}),
    ('uploadProgress', 'upload_id', {'progress': 40, 'bytes_uploaded': 4, 'total_bytes': 10, 'user_id': ''}, 'upload.progress',
     {'upload_id', 'progress', 'bytes_uploaded', 'total_bytes', 'timestamp'}),
    ('uploadCompleted', 'upload_id', {'user_id': ''}, 'upload.completed', {'upload_id', 'timestamp'}),
    ('uploadError', 'upload_id', {'message': 'Too large', 'user_id': ''}, 'upload.error', {'upload_id', 'message', 'timestamp'}),
]


@pytest.mark.parametrize('operation,name,body,event,members', HELPERS, ids=[row[0] for row in HELPERS])
def test_each_helper_reaches_a_user_and_says_how_many_connections(daemon, fresh, operation, name, body, event, members):
    ann = fresh('ann')
    clients = [join(daemon, 'reviewpoint', daemon.mint(ann)) for _ in range(2)]
    other, api = join(daemon, 'reviewpoint', daemon.mint(fresh('bob'))), Api(daemon)
    path = {} if name is None else {name: 'x1'}

    def tell(who):
        whom = {'users': [who]} if 'users' in body else {'user_id': who}
        return api.ask(operation, {**body, **whom}, path)['recipients']

    assert tell(ann) == 2
    for client in clients:
        heard = RP.envelope(client.wait_type(event))['data']
        assert set(heard) == members
        RP.timestamp(heard['timestamp'])
        assert name is None or heard[name] == 'x1'
    assert tell('nobody') == 0
    other.check_alive()
    assert event not in [message['type'] for message in other.seen]


def test_back_ends_reach_one_connection_subscribers_and_all(start):
    daemon = start()
    api = Api(daemon)
    ann, bob = (join(daemon, 'reviewpoint', daemon.mint(name)) for name in ('ann', 'bob'))
    ask(bob, 'subscribe', {'events': ['review.created']})
    message = {'type': 'review.created', 'payload': {'review_id': 'r1'}}
    one = {'connection_id': ann.seen[0]['data']['connection_id']}
    assert api.ask('sendToConnection', message, one)['recipients'] == 1
    assert ann.recv()['data'] == {'review_id': 'r1'}
    assert api.ask('publish', {'channel': 'event:review.created', **message})['recipients'] == 1
    assert bob.recv()['data'] == {'review_id': 'r1'}
    assert api.ask('broadcast', message)['recipients'] == 2
    assert api.ask('notify', {'message': 'Tea'})['recipients'] == 2
    for client in (ann, bob):
        assert [client.recv()['type'] for _ in range(2)] == ['review.created', 'system.notification']
        client.check_alive()


def test_a_failed_send_disconnects(start):
    """Who takes nothing any more is not waited for, whether it leaves or not, and is then not there for the next message."""
    daemon = start({'protocol.max-queue-bytes': '128K', 'rate.api': '60000/1s'})
    api = Api(daemon)
    stuck = RawWs.open(daemon.address, f'/ws/{daemon.mint("ann")}')
    stuck.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    stuck.recv_json()
    other = join(daemon, 'reviewpoint', daemon.mint('bob'))
    message = {'type': 'file.ready', 'payload': {str(i): 'x' * 9000 for i in range(6)}}
    n_sent = 0
    # until the kernel's buffers and the queue are full
    while figure(daemon, 'choir_slow_consumers_total') == 0:
        api.ask('sendToUser', message, {'user_id': 'ann'})
        n_sent += 1
        assert n_sent < 1000, 'never full'
    assert n_sent > 2
    wait_until(lambda: not api.ask('getUser', path={'user_id': 'ann'})['online'], 'leaving')
    assert api.ask('sendToUser', message, {'user_id': 'ann'})['recipients'] == 0
    assert api.ask('sendToUser', message, {'user_id': 'bob'})['recipients'] == 1
    other.wait_type('file.ready')
    other.check_alive()


def test_a_lost_connection_is_none(daemon, user):
    """This contract's sessions end with their connection."""
    client, api = join(daemon, 'reviewpoint', daemon.mint(user)), Api(daemon)
    assert api.ask('getUser', path={'user_id': user})['count'] == 1
    client.ws.abort()
    wait_until(lambda: not api.ask('getUser', path={'user_id': user})['online'], 'leaving')
    assert api.ask('sendToUser', {'type': 'file.ready', 'payload': {}}, {'user_id': user})['recipients'] == 0


def test_a_connection_counts_its_messages_and_errors(daemon, user):
    client = join(daemon, 'reviewpoint', daemon.mint(user))
    for _ in range(3):
        client.check_alive()
    RP.error(ask(client, 'bogus'), 'INVALID_MESSAGE_TYPE')
    found = Api(daemon).ask('getConnection', path={'connection_id': client.seen[0]['data']['connection_id']})
    assert (found['messages_received'], found['errors'], found['user_id']) == (4, 1, user)


def test_a_connection_says_when_it_was_last_heard(daemon, fresh):
    silent, talking = (join(daemon, 'reviewpoint', daemon.mint(fresh('u'))) for _ in range(2))

    def last_activity(client):
        path = {'connection_id': client.seen[0]['data']['connection_id']}
        text = Api(daemon).ask('getConnection', path=path)['last_activity']
        RP.timestamp(text)
        return datetime.datetime.fromisoformat(text.replace('Z', '+00:00')).timestamp()

    with pytest.raises(Timeout):
        silent.recv(0.5)
    talking.check_alive()
    assert last_activity(talking) - last_activity(silent) > 0.3


# Rate: 100 in 60 s, per user

def test_rate_limit(daemon, user, fresh):
    token = daemon.mint(user)
    one, two = join(daemon, 'reviewpoint', token), join(daemon, 'reviewpoint', token)
    for _ in range(50):
        assert ask(one, 'ping')['type'] == 'pong'
        assert ask(two, 'ping')['type'] == 'pong'
    for client in (one, two):
        body = RP.error(ask(client, 'ping'), 'RATE_LIMIT_EXCEEDED')
        assert 40 < body['retry_after'] <= 60, body
    # coming back does not make one new
    one.ws.close()
    back = join(daemon, 'reviewpoint', token)
    RP.error(ask(back, 'ping'), 'RATE_LIMIT_EXCEEDED')
    join(daemon, 'reviewpoint', daemon.mint(fresh('other'))).check_alive()


def test_message_size(daemon, user):
    client = join(daemon, 'reviewpoint', daemon.mint(user))
    head, tail = '{"type":"ping","data":{"x":"', '"}}'
    client.send_text(head + 'a' * (65536 - len(head) - len(tail)) + tail)
    assert client.recv()['type'] == 'pong'
    client.send_text(head + 'a' * (65537 - len(head) - len(tail)) + tail)
    assert client.ws.recv_close().code == 1009


def test_expiry_on_a_live_connection(start):
    daemon = start({'auth.leeway': '0s'})
    client = join(daemon, 'reviewpoint', daemon.mint(ttl=3))
    assert client.ws.recv_close(skip_data=True) == (4003, 'Token expired')


def test_nothing_unasked(daemon, user, fresh):
    client = join(daemon, 'reviewpoint', daemon.mint(user))
    back_end(daemon, fresh('service'))('event:review.created', 'review.created', {})
    assert ask(client, 'ping')['type'] == 'pong'
