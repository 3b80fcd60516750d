# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What administrators do to users over the bus, as the users' clients feel it: docs/protocol.md "Who is not welcome"."""

import json
import os
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'support'))

from choir_test import CLOSE, EventStream, Handshake, RawWs, connect, emulate, http_get, sse_target  # noqa: E402
from choir_test.bus import INVALID_ARGS, NAME, NOT_FOUND, BusError, join, make_daemon  # noqa: E402
from choir_test.bus_client import BusClient  # noqa: E402

INVALID_TYPE = 'org.choir.Choir1.Error.InvalidMessageType'
LIMITS_EXCEEDED = 'org.freedesktop.DBus.Error.LimitsExceeded'
BLOCKED = (4002, 'Blocked by an administrator')


@pytest.fixture
def daemon(bus):
    with make_daemon(bus) as running:
        bus.wait_name()
        yield running


def connection_of(client):
    return client.seen[0]['payload']['connection_id']


def refused(bus, name, method, *arguments):
    with pytest.raises(BusError) as caught:
        bus.gdbus(method, *(json.dumps(argument, ensure_ascii=False) for argument in arguments))
    assert caught.value.name == name, caught.value


def listed(bus, method, offset=0, limit=0):
    rows, = bus.call(method, 'uu', str(offset), str(limit))
    return [{key: value['data'] for key, value in row.items()} for row in rows]


def metric(daemon, line):
    found = [text for text in http_get(daemon.address, '/metrics').body.decode().split('\n') if text.startswith(line + ' ')]
    assert len(found) == 1, (line, found)
    return int(found[0].split(' ')[1])


# Blocking


def test_block(bus, daemon):
    token = daemon.mint('alice', roles=['service'])
    with join(daemon, 'alice') as first, join(daemon, 'alice', 'netra') as second, join(daemon, 'bob') as bob, \
            EventStream(daemon, sse_target(token)) as stream:
        assert bus.call('BlockUser', 'sts', 'alice', '0', 'spam') == [3]
        assert first.ws.recv_close() == BLOCKED
        assert second.ws.recv_close(skip_data=True) == BLOCKED
        close = stream.wait_close()
        assert (close['code'], close['reason']) == BLOCKED
        bob.check_alive()

    # every way in
    with connect(daemon, 'choir', token, authenticate=False) as again:
        assert again.ws.recv_close() == BLOCKED
    with connect(daemon, 'choir', target='/ws', authenticate=False) as late:
        late.wait_type('connection.established')
        late.send({'type': 'auth', 'payload': {'token': token}})
        late.wait_error('PERMISSION_DENIED')
        assert late.ws.recv_close() == BLOCKED
    for target in (sse_target(token), '/ws?dialect=netra-spec&token=' + token, '/ws?token=' + token):
        http_get(daemon.address, target).assert_problem(403)
    answer = http_get(daemon.address, '/api/v1/channels', [('Authorization', f'Bearer {token}')])
    answer.assert_problem(403)
    assert answer.json()['code'] == 'PERMISSION_DENIED'
    emulate(daemon, 'some-session', '{"type":"ping"}', token, expect=403)

    entry, = listed(bus, 'ListBlocked')
    assert time.time() - 60 < entry.pop('blocked_at') / 1e6 <= time.time()
    assert entry == {'user': 'alice', 'until': 0, 'reason': 'spam', 'uid': os.getuid()}
    assert metric(daemon, 'choir_blocked_users') == 1
    assert metric(daemon, 'choir_tokens_refused_total{reason="blocked"}') >= 6
    line = json.loads(daemon.wait_log('User blocked'))
    assert {'alice', str(os.getuid())} <= set(line.values()), line

    assert bus.call('UnblockUser', 's', 'alice') is None
    assert listed(bus, 'ListBlocked') == []
    with join(daemon, 'alice') as back:
        back.check_alive()
    refused(bus, NOT_FOUND, 'UnblockUser', 'alice')


def test_block_ends_waiting_sessions(bus, daemon):
    with join(daemon, 'alice') as alice:
        session = alice.seen[0]['payload']['session_id']
        alice.ws.abort()
    while metric(daemon, 'choir_waiting_sessions') == 0:
        pass
    assert bus.call('BlockUser', 'sts', 'alice', '0', '') == [0]
    while metric(daemon, 'choir_waiting_sessions') > 0:
        pass
    bus.call('UnblockUser', 's', 'alice')
    token = daemon.mint('alice')
    with connect(daemon, 'choir', token, target=f'/ws?session_id={session}&token={token}') as again:
        assert again.seen[0]['payload']['resumed'] is False


def test_blocked_worker_is_given_nothing(bus, daemon):
    """Not even while its client has not answered the close frame: that would be an attempt for nothing."""
    with join(daemon, 'robot', roles=['worker']) as blocked, join(daemon, 'alice') as alice, \
            join(daemon, 'android', roles=['worker']) as other:
        blocked.send({'type': 'task.pull', 'payload': {'kinds': ['sum'], 'slots': 1}})
        blocked.wait_type('task.pulling')
        assert bus.call('BlockUser', 'sts', 'robot', '0', '') == [1]
        assert blocked.ws.recv_close() == BLOCKED
        alice.send({'type': 'task.request', 'payload': {'kind': 'sum'}})
        alice.wait_type('task.accepted')
        other.send({'type': 'task.pull', 'payload': {'kinds': ['sum'], 'slots': 1}})
        assert other.wait_type('task.assigned')['payload']['attempt'] == 1


def test_block_ends_by_itself(bus, daemon):
    with join(daemon, 'alice') as alice, BusClient(bus) as admin:
        until = time.time() + 2
        assert admin.call('BlockUser', 'sts', 'alice', int(until * 1e6), '') == (1,)
        alice.ws.recv_close()
    while True:
        with connect(daemon, 'choir', daemon.mint('alice'), authenticate=False) as again:
            if again.ws.recv_frame().opcode != CLOSE:
                assert time.time() >= until
                break
    assert listed(bus, 'ListBlocked') == []


@pytest.mark.parametrize('arguments', [
    ('', 0, ''),
    ('two words', 0, ''),
    ('u' * 251, 0, ''),
    ('alice', 1, 'past'),
    ('alice', 18446744073709551615, ''),
    ('alice', 0, 'r' * 501),
    ('alice', 0, 'é' * 251),
])
def test_block_refuses(bus, daemon, arguments):
    refused(bus, INVALID_ARGS, 'BlockUser', *arguments)
    assert listed(bus, 'ListBlocked') == []


def test_lists_have_pages(bus, daemon):
    for name in 'dbeac':
        bus.call('BlockUser', 'sts', name, '0', 'r' * 500)
        bus.call('RevokeToken', 's', f'jti {name}')
    assert [[row['user'] for row in listed(bus, 'ListBlocked', offset, 2)] for offset in (0, 2, 4, 6)] == [
        ['a', 'b'], ['c', 'd'], ['e'], []]
    assert [row['jti'] for row in listed(bus, 'ListRevoked')] == [f'jti {name}' for name in 'abcde']


# Revoking


def test_revoke(bus, daemon):
    with join(daemon, 'alice', jti='t1') as first, join(daemon, 'alice', jti='t2') as second:
        assert bus.call('RevokeToken', 's', 't1') == [1]
        assert first.ws.recv_close() == (4000, 'Token revoked')
        second.check_alive()
        # of two tokens the newest counts
        second.send({'type': 'auth', 'payload': {'token': daemon.mint('alice', jti='t1')}})
        second.wait_error('AUTH_ERROR')
        second.check_alive()
    target = '/ws?token=' + daemon.mint('alice', jti='t1')
    http_get(daemon.address, target).assert_problem(401)
    with RawWs(daemon.address) as ws:
        assert ws.handshake(Handshake(target)).status == 401
    with join(daemon, 'alice', jti='t3') as third:
        third.check_alive()

    entry, = listed(bus, 'ListRevoked')
    assert (entry['jti'], entry['uid']) == ('t1', os.getuid())
    assert metric(daemon, 'choir_revoked_tokens') == 1
    assert metric(daemon, 'choir_tokens_refused_total{reason="revoked"}') == 3
    bus.call('UnrevokeToken', 's', 't1')
    with join(daemon, 'alice', jti='t1') as first:
        first.check_alive()
    refused(bus, NOT_FOUND, 'UnrevokeToken', 't1')
    refused(bus, INVALID_ARGS, 'RevokeToken', '')
    refused(bus, INVALID_ARGS, 'RevokeToken', 'j' * 256)


# Over a restart


def test_restart(bus, tmp_path):
    settings = {'store.backend': 'sqlite', 'store.path': str(tmp_path / 'choir.db')}
    daemon = make_daemon(bus, settings, directory=tmp_path).start()
    bus.wait_name()
    bus.call('BlockUser', 'sts', 'alice', '0', 'spam')
    bus.call('BlockUser', 'sts', 'bob', '0', '')
    bus.call('UnblockUser', 's', 'bob')
    bus.call('RevokeToken', 's', 't1')
    # what was answered is stored
    daemon.kill()
    with make_daemon(bus, settings, directory=tmp_path) as daemon:
        bus.wait_name()
        assert [(row['user'], row['reason']) for row in listed(bus, 'ListBlocked')] == [('alice', 'spam')]
        with connect(daemon, 'choir', daemon.mint('alice'), authenticate=False) as alice:
            assert alice.ws.recv_close() == BLOCKED
        http_get(daemon.address, '/ws?token=' + daemon.mint('carol', jti='t1')).assert_problem(401)
        with join(daemon, 'bob') as bob:
            bob.check_alive()


# Subscriptions


def test_subscribe(bus, daemon):
    with join(daemon, 'alice', permissions=()) as alice:
        assert bus.call('Subscribe', 'ss', connection_of(alice), 'news:1') is None
        told = alice.wait_type('subscription.confirmed')
        assert [channel['channel'] for channel in told['payload']['channels']] == ['news:1']
        assert 'correlation_id' not in told
        epoch, offset, recipients = bus.call('Publish', 'sss', 'news:1', 'headline', '{"text":"Tea"}')
        assert (offset, recipients) == (1, 1)
        message = alice.wait_type('headline')
        assert (message['offset'], message['payload']) == (1, {'text': 'Tea'})
        assert epoch == told['payload']['channels'][0]['epoch']

        assert bus.call('Unsubscribe', 'ss', connection_of(alice), 'news:1') is None
        assert alice.wait_type('subscription.removed')['payload']['channels'] == ['news:1']
        refused(bus, NOT_FOUND, 'Unsubscribe', connection_of(alice), 'news:1')
        for channel in 'document:1', 'all', 'user:bob', 'two words':
            refused(bus, INVALID_ARGS, 'Subscribe', connection_of(alice), channel)
    refused(bus, NOT_FOUND, 'Subscribe', 'nobody', 'news:1')
    refused(bus, NOT_FOUND, 'Unsubscribe', 'nobody', 'news:1')


def test_subscribe_has_its_limit(bus):
    with make_daemon(bus, {'session.max-subscriptions': '1'}) as daemon:
        bus.wait_name()
        with join(daemon, 'alice') as alice:
            bus.call('Subscribe', 'ss', connection_of(alice), 'news:1')
            refused(bus, LIMITS_EXCEEDED, 'Subscribe', connection_of(alice), 'news:2')


# Speaking


def test_send(bus, daemon):
    with join(daemon, 'alice') as alice, join(daemon, 'alice', 'reviewpoint') as review, join(daemon, 'bob') as bob:
        assert bus.call('SendToUser', 'sss', 'alice', 'system.notification', '{"message":"both"}') == [2]
        assert bus.call('SendToUser', 'sss', 'carol', 'system.notification', '{"message":"none"}') == [0]
        assert bus.call('SendToConnection', 'sss', connection_of(alice), 'system.notification', '{"message":"one"}') is None
        for client, texts in (alice, ['both', 'one']), (review, ['both']), (bob, []):
            client.check_alive()
            assert [client.dialect.payload(message)['message'] for message in client.seen
                    if message['type'] == 'system.notification'] == texts
        refused(bus, NOT_FOUND, 'SendToConnection', 'nobody', 'note', '{}')
        refused(bus, INVALID_ARGS, 'SendToConnection', connection_of(alice), 'note', '[]')
        refused(bus, INVALID_ARGS, 'SendToUser', 'two words', 'note', '{}')


def test_what_is_sent_waits_with_the_session(bus, daemon):
    with join(daemon, 'alice') as alice:
        session = alice.seen[0]['payload']['session_id']
        alice.ws.abort()
    while metric(daemon, 'choir_waiting_sessions') == 0:
        pass
    assert bus.call('SendToUser', 'sss', 'alice', 'system.notification', '{"message":"to you"}') == [1]
    assert bus.broadcast({'message': 'to all'}) == 1
    assert bus.broadcast({'message': 'to here'}, ('address', 's', '127.0.0.1')) == 0
    token = daemon.mint('alice')
    with connect(daemon, 'choir', token, target=f'/ws?session_id={session}&token={token}') as again:
        assert again.seen[0]['payload']['resumed'] is True
        assert [again.wait_type('system.notification')['payload']['message'] for _ in range(2)] == ['to you', 'to all']


def test_send_what_a_contract_has_not(bus, daemon):
    with join(daemon, 'alice', 'reviewpoint') as alice:
        entry, = bus.connections()
        refused(bus, INVALID_TYPE, 'SendToConnection', entry['connection'], 'task.started', '{}')
        alice.check_alive()


def test_publish_a_chat_message(bus, daemon):
    with join(daemon, 'alice') as alice:
        alice.send({'type': 'subscribe', 'payload': {'channels': ['chat:lobby']}})
        alice.wait_type('subscription.confirmed')
        bus.call('Publish', 'sss', 'chat:lobby', 'chat.message', '{"content":"Hello","role":"system"}')
        payload = alice.wait_type('chat.message')['payload']
        assert (payload['content'], payload['role']) == ('Hello', 'system')
        assert payload['message_id']
        assert 'user_id' not in payload
    for channel, kind, payload in (('chat:lobby', 'chat.message', '{}'), ('chat:lobby', 'chat.chunk', '{}'), ('two words', 'note', '{}'),
                                   ('document:1', 'note', '{}'), ('chat:lobby', 'note', '[]')):
        refused(bus, INVALID_ARGS, 'Publish', channel, kind, payload)


# Documents


def test_close_document(bus, daemon):
    with join(daemon, 'alice') as alice, join(daemon, 'bob') as bob:
        for client in alice, bob:
            client.send({'type': 'document.open', 'payload': {'document_id': 'notes'}})
            client.wait_type('document.opened')
        alice.send({'type': 'document.change', 'payload': {'operation': ['text']}})
        alice.wait_type('document.ack')
        assert bus.call('CloseDocument', 'ss', 'notes', 'We move') == [2]
        for client in alice, bob:
            assert client.wait_type('document.closed')['payload'] == {'document_id': 'notes', 'reason': 'We move'}
        while metric(daemon, 'choir_documents_open') > 0:
            pass
        refused(bus, NOT_FOUND, 'CloseDocument', 'notes', '')
        refused(bus, INVALID_ARGS, 'CloseDocument', 'notes', 'r' * 124)
        bob.send({'type': 'document.open', 'payload': {'document_id': 'notes'}})
        assert bob.wait_type('document.opened')['payload']['content'] == 'text'


# The same by the objects


def path_of(kind, name):
    """sd_bus_path_encode(3)"""
    def escape(i, byte):
        char = chr(byte)
        plain = char.isascii() and (char.isalpha() or (char.isdigit() and i > 0))
        return char if plain else f'_{byte:02x}'

    return f'/org/choir/Choir1/{kind}/' + ''.join(escape(i, byte) for i, byte in enumerate(name.encode()))


def call_object(bus, kind, name, method, signature, *arguments):
    return bus.busctl('call', NAME, path_of(kind, name), f'{NAME}.{kind.capitalize()}', method, signature, *arguments)


def test_objects(bus, daemon):
    with join(daemon, 'alice') as alice, join(daemon, 'bob') as bob:
        connection = connection_of(alice)
        call_object(bus, 'connection', connection, 'Subscribe', 's', 'news:1')
        alice.wait_type('subscription.confirmed')
        assert call_object(bus, 'channel', 'news:1', 'Publish', 'ss', 'headline', '{"text":"Tea"}')[1:] == [1, 1]
        alice.wait_type('headline')
        call_object(bus, 'connection', connection, 'Unsubscribe', 's', 'news:1')
        alice.wait_type('subscription.removed')
        call_object(bus, 'connection', connection, 'Send', 'ss', 'system.notification', '{"message":"Hello"}')
        alice.wait_type('system.notification')

        bob.send({'type': 'document.open', 'payload': {'document_id': 'notes'}})
        bob.wait_type('document.opened')
        assert call_object(bus, 'document', 'notes', 'Close', 's', 'We move') == [1]
        assert bob.wait_type('document.closed')['payload']['reason'] == 'We move'

        call_object(bus, 'session', alice.seen[0]['payload']['session_id'], 'Close', 's', 'Enough')
        assert alice.ws.recv_close() == (4002, 'Enough')
        call_object(bus, 'connection', connection_of(bob), 'Kick', 's', 'You too')
        assert bob.ws.recv_close() == (4002, 'You too')


def test_close_of_a_session_that_waits(bus, daemon):
    with join(daemon, 'alice') as alice:
        session = alice.seen[0]['payload']['session_id']
        alice.ws.abort()
    while metric(daemon, 'choir_waiting_sessions') == 0:
        pass
    call_object(bus, 'session', session, 'Close', 's', '')
    while metric(daemon, 'choir_waiting_sessions') > 0:
        pass


# Who watches is told


def test_signals(bus, daemon):
    with BusClient(bus) as admin:
        admin.watch('users')
        until = int((time.time() + 3600) * 1e6)
        bus.call('BlockUser', 'sts', 'alice', str(until), 'spam')
        assert admin.wait('UserBlocked') == ('alice', until, 'spam')
        bus.call('RevokeToken', 's', 't1')
        bus.call('UnblockUser', 's', 'alice')
        assert admin.wait('UserUnblocked') == ('alice',)
