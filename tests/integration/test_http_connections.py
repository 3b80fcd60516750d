# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Back ends look at connections, send to them and close them, over HTTP; contract D's notices reach whom they are for. Every request
and answer is held to docs/openapi.yaml."""

import pytest

from choir_test.openapi import Api
from library_client import join

# A user may be there many times
SETTINGS = {'server.max-connections-per-user': '50'}

CONTRACTS = ['choir', 'netra', 'netra-spec', 'jddb', 'reviewpoint', 'tripsage']


@pytest.fixture
def api(daemon):
    return Api(daemon)


def payload(client, message):
    return message[client.dialect.payload_key]


def all_pages(api, limit, **query):
    found = []
    while True:
        page = api.ask('listConnections', query={'limit': limit, **query, **({'after': found[-1]['connection_id']} if found else {})})
        found += page['connections']
        assert len(page['connections']) <= limit
        if page['complete']:
            return found
        assert len(page['connections']) == limit


def test_each_contract_is_seen(daemon, api, fresh):
    users = {name: fresh(name) for name in CONTRACTS}
    clients = [join(daemon, name, token=daemon.mint(user)) for name, user in users.items()]
    for name, user in users.items():
        assert [one['dialect'] for one in all_pages(api, 10, user=user)] == [name]
        found = api.ask('getUser', path={'user_id': user})
        assert found['online'] and found['count'] == 1
        one = found['connections'][0]
        assert one['user_id'] == user and one['address'] == '127.0.0.1' and not one['slow']
        assert api.ask('getConnection', path={'connection_id': one['connection_id']})['session_id'] == one['session_id']
    for client in clients:
        client.close()


def test_pages_while_connections_come_and_go(daemon, api, fresh):
    """Who is there all the time is on exactly one page."""
    user = fresh('paged')
    staying = [join(daemon, token=daemon.mint(user)) for _ in range(23)]
    wanted = {one['connection_id'] for one in all_pages(api, 1000, user=user)}
    assert len(wanted) == 23
    found, query = [], {}
    while True:
        page = api.ask('listConnections', query={'user': user, 'limit': 5, **query})
        found += [one['connection_id'] for one in page['connections']]
        if page['complete']:
            break
        query = {'after': found[-1]}
        join(daemon, token=daemon.mint(user)).close()
    assert len(found) == len(set(found)) and wanted <= set(found) and found == sorted(found)
    for client in staying:
        client.close()


def test_sent_to_all_of_a_user(daemon, api, fresh):
    ann, bob = fresh('ann'), fresh('bob')
    clients = [join(daemon, name, token=daemon.mint(ann)) for name in ('choir', 'netra', 'reviewpoint')]
    other = join(daemon, token=daemon.mint(bob))
    assert api.ask('sendToUser', {'type': 'custom.hello', 'payload': {'n': 1}}, {'user_id': ann})['recipients'] == 3
    for client in clients:
        assert payload(client, client.wait_type('custom.hello'))['n'] == 1
    assert api.ask('sendToUser', {'type': 'custom.bye'}, {'user_id': bob})['recipients'] == 1
    assert [message['type'] for message in other.seen] == ['connection.established']
    other.wait_type('custom.bye')
    assert 'custom.hello' not in [message['type'] for message in other.seen]
    for client in (*clients, other):
        client.close()


def test_sent_to_one_connection(daemon, api, fresh):
    user = fresh('ann')
    clients = [join(daemon, token=daemon.mint(user)) for _ in range(3)]
    for n, one in enumerate(api.ask('getUser', path={'user_id': user})['connections']):
        path = {'connection_id': one['connection_id']}
        assert api.ask('sendToConnection', {'type': 'custom.number', 'payload': {'n': n}}, path)['recipients'] == 1
    assert [client.wait_type('custom.number')['payload']['n'] for client in clients] == [0, 1, 2]
    gone = api.ask('getUser', path={'user_id': user})['connections'][0]['connection_id']
    api.call('closeConnection', path={'connection_id': gone}, expect=204)
    clients[0].ws.recv_close(skip_data=True)
    api.refuse('sendToConnection', 404, 'NOT_FOUND', {'type': 'x'}, path={'connection_id': gone}, is_wrong=False)
    for client in clients[1:]:
        client.close()


def test_broadcast_reaches_whom_the_filter_picks(daemon, api, fresh):
    room = f'news:{fresh("room")}'
    ann, bob, eve = (fresh(name) for name in ('ann', 'bob', 'eve'))
    clients = {name: join(daemon, token=daemon.mint(name)) for name in (ann, bob, eve)}
    clients[eve].send({'type': 'subscribe', 'payload': {'channels': [room]}})
    clients[eve].wait_type('subscription.confirmed')
    connection = api.ask('getUser', path={'user_id': bob})['connections'][0]['connection_id']
    for n, (names, picked) in enumerate([
            ({'users': [ann, bob, 'nobody']}, {ann, bob}),
            ({'users': [ann, bob, eve], 'exclude_users': [ann]}, {bob, eve}),
            ({'users': [ann, bob, eve], 'exclude_connections': [connection]}, {ann, eve}),
            ({'channel': room}, {eve}),
            ({'users': [ann, bob, eve], 'dialect': 'choir'}, {ann, bob, eve}),
            ({'users': [ann], 'dialect': 'jddb'}, set()),
    ]):
        answer = api.ask('broadcast', {'type': 'custom.tick', 'payload': {'n': n}, 'filter': names})
        assert answer['recipients'] == len(picked), names
        for name in picked:
            assert clients[name].wait_type('custom.tick')['payload']['n'] == n
    everybody = api.ask('broadcast', {'type': 'system.maintenance', 'payload': {'message': 'Soon'}})['recipients']
    assert everybody == api.ask('getStats')['connections']
    for client in clients.values():
        client.wait_type('system.maintenance')
        client.close()


def test_sent_away(daemon, api, fresh):
    user = fresh('ann')
    clients = [join(daemon, token=daemon.mint(user)) for _ in range(3)]
    one = api.ask('getUser', path={'user_id': user})['connections'][0]
    path = {'connection_id': one['connection_id']}
    api.call('closeConnection', path=path, query={'reason': 'Talk to üs'}, expect=204)
    closed = clients[0].ws.recv_close(skip_data=True)
    assert (closed.code, closed.reason) == (4002, 'Talk to üs')
    assert api.ask('closeConnectionsOfUser', path={'user_id': user})['closed'] == 2
    for client in clients[1:]:
        assert client.ws.recv_close(skip_data=True).code == 4002
    daemon.wait_log('Connection kicked')
    daemon.wait_log('User kicked')
    assert not api.ask('getUser', path={'user_id': user})['online']
    api.refuse('closeConnection', 404, 'NOT_FOUND', path=path)
    assert api.ask('closeConnectionsOfUser', path={'user_id': user})['closed'] == 0


def test_figures(start):
    daemon = start()
    api = Api(daemon)
    before = api.ask('getStats')
    assert before['connections'] == 0 and before['totals']['published'] == 0
    clients = [join(daemon, name, token=daemon.mint(f'{name}-user')) for name in ('choir', 'netra')]
    clients[0].send({'type': 'subscribe', 'payload': {'channels': ['news:1']}})
    clients[0].wait_type('subscription.confirmed')
    api.call('publish', {'channel': 'news:1', 'type': 'tick'})
    after = api.ask('getStats')
    assert (after['connections'], after['users'], after['subscriptions'], after['channels']) == (2, 2, 1, 1)
    assert after['dialects'] == {**before['dialects'], 'choir': 1, 'netra': 1}
    assert after['totals']['published'] == 1 and after['totals']['accepted'] == 2
    for client in clients:
        client.close()


# Contract D

NOTICES = [
    ('reviewUpdated', 'review.updated', 'review_id', {'by': 'bob'}, 'users'),
    ('fileProcessing', 'file.processing', 'file_id', {'name': 'plan.pdf'}, 'user_id'),
    ('fileReady', 'file.ready', 'file_id', {'name': 'plan.pdf'}, 'user_id'),
    ('uploadProgress', 'upload.progress', 'upload_id', {'progress': 40, 'bytes_uploaded': 4, 'total_bytes': 10}, 'user_id'),
    ('uploadCompleted', 'upload.completed', 'upload_id', {'url': '/f/1'}, 'user_id'),
    ('uploadError', 'upload.error', 'upload_id', {'message': 'Too large'}, 'user_id'),
]


@pytest.mark.parametrize('operation,event,name,content,whom', NOTICES)
def test_notices_reach_a_user(daemon, api, fresh, operation, event, name, content, whom):
    ann = fresh('ann')
    clients = [join(daemon, 'reviewpoint', token=daemon.mint(ann)) for _ in range(2)]
    to = {'users': [ann, 'nobody']} if whom == 'users' else {'user_id': ann}
    assert api.ask(operation, {**content, **to}, {name: 'r/1 ä'})['recipients'] == 2
    for client in clients:
        heard = client.wait_type(event)['data']
        assert heard.pop('timestamp') and heard == {**content, name: 'r/1 ä'}
        client.close()


@pytest.mark.parametrize('operation,event,name,content,whom', [row for row in NOTICES if not row[0].startswith('file')])
def test_notices_reach_subscribers(daemon, api, fresh, operation, event, name, content, whom):
    ann, bob = (join(daemon, 'reviewpoint', token=daemon.mint(fresh(user))) for user in ('ann', 'bob'))
    ann.send({'type': 'subscribe', 'data': {'events': [event]}})
    ann.wait_type('subscription.confirmed')
    assert api.ask(operation, content, {name: '7'})['recipients'] == 1
    assert ann.wait_type(event)['data'][name] == '7'
    bob.check_alive()
    assert event not in [message['type'] for message in bob.seen]
    ann.close()
    bob.close()


def test_notifications(daemon, api, fresh):
    users = [fresh('ann'), fresh('bob')]
    ann, bob = (join(daemon, 'reviewpoint', token=daemon.mint(user)) for user in users)
    netra = join(daemon, 'netra', token=daemon.mint(fresh('carl')))
    sent = api.ask('notify', {'message': 'Tea', 'level': 'warning'})['recipients']
    assert sent == api.ask('getStats')['connections'] >= 3
    for client in (ann, bob):
        heard = client.wait_type('system.notification')['data']
        assert (heard['message'], heard['level']) == ('Tea', 'warning') and heard['timestamp']
    assert netra.wait_type('notification')['data']['message'] == 'Tea'
    assert api.ask('notify', {'message': 'For you', 'users': [users[0]]})['recipients'] == 1
    assert ann.wait_type('system.notification')['data']['level'] == 'info'
    bob.check_alive()
    assert [message['type'] for message in bob.seen].count('system.notification') == 1
    for client in (ann, bob, netra):
        client.close()


def test_a_notice_again(daemon, api, fresh):
    """With a key, the first answer comes again and nobody hears it twice; with another content it is refused."""
    ann = fresh('ann')
    client = join(daemon, 'reviewpoint', token=daemon.mint(ann))
    key = [('Idempotency-Key', fresh('key'))]
    body = {'message': 'Once', 'users': [ann]}
    assert [api.ask('notify', body, headers=key)['recipients'] for _ in range(3)] == [1, 1, 1]
    api.refuse('notify', 422, 'VALIDATION_ERROR', {'message': 'Other', 'users': [ann]}, headers=key, is_wrong=False)
    client.wait_type('system.notification')
    client.check_alive()
    assert [message['type'] for message in client.seen].count('system.notification') == 1
    client.close()
