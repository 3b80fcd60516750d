# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.choir.Choir1.Manager, called by busctl and gdbus over a private bus."""

import json
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'support'))

from choir_test import DEADLINE, Daemon, connect  # noqa: E402
from choir_test.bus import ACCESS_DENIED, INTERFACE, INVALID_ARGS, NOT_FOUND, BusError, join, make_daemon  # noqa: E402


@pytest.fixture
def daemon(bus):
    with make_daemon(bus) as running:
        bus.wait_name()
        yield running


def notes(client):
    """The texts of the notifications it has got so far; a round trip brings in all that was sent before."""
    client.check_alive()
    return [client.dialect.payload(message)['message'] for message in client.seen
            if message['type'] == 'system.notification']


# Watching


def test_properties(bus, daemon):
    assert bus.get('NConnections') == 0
    with join(daemon, 'alice'), join(daemon, 'bob'):
        assert bus.get('NConnections') == 2
    assert bus.get('Version').count('.') == 2
    assert bus.get('Node')


def test_properties_can_not_be_set(bus, daemon):
    with pytest.raises(BusError):
        bus.gdbus('org.freedesktop.DBus.Properties.Set', INTERFACE, 'Node', '<"mine">')
    assert bus.get('Node') != 'mine'


def test_stats(bus, daemon):
    with join(daemon, 'alice'):
        stats, = bus.call('GetStats')
    assert stats['connections'] == {'type': 'u', 'data': 1}


def test_list_of_none(bus, daemon):
    assert bus.connections() == []


def test_list_describes_a_connection(bus, daemon):
    with join(daemon, 'alice', 'netra') as client:
        client.check_alive()
        entry, = bus.connections()
    assert set(entry) == {'connection', 'session', 'path', 'session_path', 'user', 'address', 'dialect', 'age_s',
                          'subscriptions', 'queued_bytes', 'messages_received', 'errors', 'slow'}
    assert entry['user'] == 'alice'
    assert entry['dialect'] == 'netra'
    assert entry['address'] == '127.0.0.1'
    assert entry['messages_received'] >= 1
    assert (entry['subscriptions'], entry['queued_bytes'], entry['errors'], entry['slow']) == (0, 0, 0, False)
    assert entry['age_s'] <= DEADLINE
    assert entry['connection'] and entry['session'] and entry['connection'] != entry['session']


def test_list_names_what_the_client_was_told(bus, daemon):
    with join(daemon, 'alice') as client:
        told = client.seen[0]['payload']
        entry, = bus.connections()
    assert entry['connection'] == told['connection_id']
    assert entry['session'] == told['session_id']


def test_list_filters(bus, daemon):
    with join(daemon, 'alice') as alice, join(daemon, 'bob'), join(daemon, 'alice', 'reviewpoint'):
        alice.send({'type': 'subscribe', 'payload': {'channels': ['chat:lobby']}})
        alice.wait_type('subscription.confirmed')

        def who(*pairs):
            return sorted((entry['user'], entry['dialect']) for entry in bus.connections(*pairs))

        everybody = [('alice', 'choir'), ('alice', 'reviewpoint'), ('bob', 'choir')]
        first = bus.connections(('channel', 's', 'chat:lobby'))[0]['connection']

        assert who() == everybody
        assert who(('user', 's', 'alice')) == everybody[:2]
        assert who(('user', 's', 'carol')) == []
        assert who(('dialect', 's', 'choir')) == [everybody[0], everybody[2]]
        assert who(('user', 's', 'alice'), ('dialect', 's', 'choir')) == everybody[:1]
        assert who(('channel', 's', 'chat:lobby')) == everybody[:1]
        assert who(('channel', 's', 'chat:attic')) == []
        assert who(('address', 's', '127.0.0.1')) == everybody
        assert who(('address', 's', '127.0.0.2')) == []
        assert who(('slow', 'b', 'false')) == everybody
        assert who(('slow', 'b', 'true')) == []
        assert who(('exclude', 'as', '1', first)) == everybody[1:]


def test_list_pages(bus, daemon):
    clients = [join(daemon, f'user-{i}') for i in range(5)]
    everybody = {entry['user'] for entry in bus.connections()}
    pages = [bus.connections(offset=offset, limit=2) for offset in (0, 2, 4, 6)]
    assert [len(page) for page in pages] == [2, 2, 1, 0]
    assert {entry['user'] for page in pages for entry in page} == everybody == {f'user-{i}' for i in range(5)}
    assert [entry['user'] for entry in bus.connections(('user', 's', 'user-3'), offset=0, limit=1)] == ['user-3']
    assert bus.connections(('user', 's', 'user-3'), offset=1) == []
    assert len(bus.connections(limit=4294967295)) == 5
    for client in clients:
        client.close()


def test_list_limit_defaults_to_a_hundred(bus, daemon):
    clients = [join(daemon, f'user-{i}') for i in range(101)]
    assert len(bus.connections()) == 100
    assert len(bus.connections(limit=1000)) == 101
    for client in clients:
        client.close()


def test_slow_client_shows(bus):
    with make_daemon(bus, {'protocol.max-queue-bytes': '1M'}) as daemon:
        bus.wait_name()
        with join(daemon, 'slow'), join(daemon, 'quick') as quick:
            text = 'x' * 60000
            for _ in range(400):
                bus.broadcast({'message': text}, ('user', 's', 'slow'))
                found = bus.connections(('slow', 'b', 'true'))
                if found:
                    break
            assert [entry['user'] for entry in found] == ['slow']
            assert found[0]['slow'] is True
            assert found[0]['queued_bytes'] > 512 * 1024
            assert [entry['user'] for entry in bus.connections(('slow', 'b', 'false'))] == ['quick']
            assert notes(quick) == []


# Sending away


def test_kick(bus, daemon):
    with join(daemon, 'alice') as alice, join(daemon, 'alice') as other:
        assert bus.call('Kick', 'ss', alice.seen[0]['payload']['connection_id'], 'Léave now') is None
        close = alice.ws.recv_close()
        assert close == (4002, 'Léave now')
        other.check_alive()
    daemon.wait_log('Connection kicked')


def test_kick_of_one_who_is_leaving(bus, daemon):
    with join(daemon, 'alice') as alice:
        connection = alice.seen[0]['payload']['connection_id']
        bus.call('Kick', 'ss', connection, 'once')
        assert alice.ws.recv_close() == (4002, 'once')
        with pytest.raises(BusError) as caught:
            bus.gdbus('Kick', connection, 'twice')
        assert caught.value.name == NOT_FOUND


def test_kick_without_a_reason(bus, daemon):
    with join(daemon, 'alice') as alice:
        bus.call('Kick', 'ss', alice.seen[0]['payload']['connection_id'], '')
        assert alice.ws.recv_close() == (4002, '')


@pytest.mark.parametrize('reason', ['r' * 123, 'é' * 61 + 'r'])
def test_kick_with_the_longest_reason(bus, daemon, reason):
    with join(daemon, 'alice') as alice:
        bus.call('Kick', 'ss', alice.seen[0]['payload']['connection_id'], reason)
        assert alice.ws.recv_close() == (4002, reason)


@pytest.mark.parametrize('reason', ['r' * 124, 'é' * 62])
def test_kick_refuses_a_reason_too_long(bus, daemon, reason):
    with join(daemon, 'alice') as alice:
        for method, whom in (('Kick', alice.seen[0]['payload']['connection_id']), ('KickUser', 'alice')):
            with pytest.raises(BusError) as caught:
                bus.gdbus(method, whom, reason)
            assert caught.value.name == INVALID_ARGS
        alice.check_alive()


@pytest.mark.parametrize('connection', ['', 'nobody', 'x' * 4096])
def test_kick_of_an_unknown_connection(bus, daemon, connection):
    with join(daemon, 'alice') as alice:
        with pytest.raises(BusError) as caught:
            bus.gdbus('Kick', connection, 'reason')
        assert caught.value.name == NOT_FOUND
        alice.check_alive()


def test_kick_of_one_who_has_left(bus, daemon):
    with join(daemon, 'alice') as alice:
        connection = alice.seen[0]['payload']['connection_id']
        bus.call('Kick', 'ss', connection, 'once')
        alice.ws.recv_close()
        alice.ws.send_close(4002)
        alice.ws.expect_eof()
    with pytest.raises(BusError) as caught:
        bus.gdbus('Kick', connection, 'twice')
    assert caught.value.name == NOT_FOUND


def test_kick_user(bus, daemon):
    with join(daemon, 'alice') as first, join(daemon, 'alice', 'netra') as second, join(daemon, 'bob') as bob:
        assert bus.call('KickUser', 'ss', 'alice', 'That is enough') == [2]
        for client in first, second:
            assert client.ws.recv_close(skip_data=True) == (4002, 'That is enough')
        bob.check_alive()
        assert bus.call('KickUser', 'ss', 'carol', '') == [0]
    line = json.loads(daemon.wait_log('User kicked.*alice'))
    assert str(os.getuid()) in line.values(), line


@pytest.mark.parametrize('user', ['', 'two words', 'u' * 251])
def test_kick_user_refuses_what_is_no_user(bus, daemon, user):
    with pytest.raises(BusError) as caught:
        bus.gdbus('KickUser', user, '')
    assert caught.value.name == INVALID_ARGS


# Speaking


def test_broadcast_to_all(bus, daemon):
    with join(daemon, 'alice') as alice, join(daemon, 'bob', 'reviewpoint') as bob:
        assert bus.broadcast({'message': 'noon', 'level': 'info'}) == 2
        assert notes(alice) == notes(bob) == ['noon']
        for client in alice, bob:
            message, = (m for m in client.seen if m['type'] == 'system.notification')
            client.dialect.envelope(message)
    daemon.wait_log('Message broadcast')


def test_broadcast_reaches_only_the_authenticated(bus):
    with make_daemon(bus) as daemon:
        bus.wait_name()
        with connect(daemon, 'tripsage', target='/ws/chat/s1', authenticate=False) as stranger:
            assert [entry['user'] for entry in bus.connections()] == ['']
            assert bus.broadcast({'message': 'secret'}) == 0
            assert bus.broadcast({'message': 'secret'}, ('dialect', 's', 'tripsage')) == 0
            stranger.ws.ping_barrier()


def test_broadcast_with_filters(bus, daemon):
    with join(daemon, 'alice') as alice, join(daemon, 'bob') as bob, join(daemon, 'alice', 'reviewpoint') as review:
        bob.send({'type': 'subscribe', 'payload': {'channels': ['chat:lobby']}})
        bob.wait_type('subscription.confirmed')
        connection = alice.seen[0]['payload']['connection_id']

        def say(text, *pairs):
            return bus.broadcast({'message': text}, *pairs)

        assert say('user', ('user', 's', 'alice')) == 2
        assert say('channel', ('channel', 's', 'chat:lobby')) == 1
        assert say('dialect', ('dialect', 's', 'choir')) == 2
        assert say('address', ('address', 's', '127.0.0.1')) == 3
        assert say('elsewhere', ('address', 's', '127.0.0.2')) == 0
        assert say('exclude', ('exclude', 'as', '1', connection)) == 2
        assert say('several', ('user', 's', 'alice'), ('dialect', 's', 'reviewpoint')) == 1
        assert say('channel and exclude', ('channel', 's', 'chat:lobby'), ('exclude', 'as', '1', connection)) == 1
        assert say('nobody', ('user', 's', 'carol')) == 0
        assert say('empty', ('channel', 's', 'chat:attic')) == 0
        assert say('quick', ('slow', 'b', 'false')) == 3

        assert notes(alice) == ['user', 'dialect', 'address', 'quick']
        assert notes(bob) == ['channel', 'dialect', 'address', 'exclude', 'channel and exclude', 'quick']
        assert notes(review) == ['user', 'address', 'exclude', 'several', 'quick']


def test_broadcast_is_not_kept(bus, daemon):
    assert bus.broadcast({'message': 'gone'}, ('channel', 's', 'chat:lobby')) == 0
    with join(daemon, 'alice') as alice:
        alice.send({'type': 'subscribe', 'payload': {'channels': ['chat:lobby']}})
        channel, = alice.wait_type('subscription.confirmed')['payload']['channels']
        assert channel['offset'] == 0
        assert notes(alice) == []


def test_broadcast_takes_the_largest_payload(bus, daemon):
    with join(daemon, 'alice') as alice:
        text = 'x' * (65536 - len(json.dumps({'message': ''})))
        assert bus.broadcast({'message': text}) == 1
        assert notes(alice) == [text]


@pytest.mark.parametrize(('kind', 'payload'), [
    ('', '{}'),
    ('two words', '{}'),
    ('quote"', '{}'),
    ('t' * 65, '{}'),
    ('note', ''),
    ('note', '[]'),
    ('note', '"text"'),
    ('note', '1'),
    ('note', 'null'),
    ('note', '{'),
    ('note', '{} {}'),
    ('note', '{"a":1,}'),
    ('note', '{"a":"\\u0000"}'),
    ('note', '[' * 1000 + ']' * 1000),
    ('note', '{"a":"' + 'x' * 65529 + '"}'),
], ids=lambda value: value[:16])
def test_broadcast_refuses(bus, daemon, kind, payload):
    with join(daemon, 'alice') as alice:
        with pytest.raises(BusError) as caught:
            bus.gdbus('Broadcast', json.dumps(kind), json.dumps(payload), '@a{sv} {}')
        assert caught.value.name == INVALID_ARGS
        alice.check_alive()
        assert [m['type'] for m in alice.seen if m['type'] not in ('connection.established', 'pong')] == []


@pytest.mark.parametrize('words', [
    '{"users": <"alice">}',
    '{"user": <1>}',
    '{"user": <"">}',
    '{"user": <"alice">, "colour": <"red">}',
    '{"dialect": <"klingon">}',
    '{"channel": <"a b">}',
    '{"slow": <"yes">}',
    '{"exclude": <"c-1">}',
])
def test_filters_that_are_not_understood(bus, daemon, words):
    with join(daemon, 'alice') as alice:
        for method, arguments in (('ListConnections', (words, '0', '0')), ('Broadcast', ('"note"', '"{}"', words))):
            with pytest.raises(BusError) as caught:
                bus.gdbus(method, *arguments)
            assert caught.value.name == INVALID_ARGS
            assert 'Filter key' in caught.value.text
        assert notes(alice) == []
        assert 'note' not in [message['type'] for message in alice.seen]


@pytest.mark.parametrize('method', ['Explode', 'org.choir.Choir1.Other.Kick'])
def test_unknown_methods(bus, daemon, method):
    with pytest.raises(BusError) as caught:
        bus.gdbus(method)
    assert caught.value.name == 'org.freedesktop.DBus.Error.UnknownMethod'


# Who may

STRANGER = ('setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups')
needs_root = pytest.mark.skipif(os.getuid() != 0, reason='becomes another user')

CALLS = [
    ('GetStats',),
    ('ListConnections', '{}', '0', '0'),
    ('Kick', 'CONNECTION', ''),
    ('KickUser', 'alice', ''),
    ('Broadcast', 'system.notification', '{"message":"mine"}', '{}'),
]


@needs_root
@pytest.mark.parametrize('call', CALLS, ids=lambda call: call[0])
def test_stranger_is_refused(bus, daemon, call):
    with join(daemon, 'alice') as alice:
        words = [alice.seen[0]['payload']['connection_id'] if word == 'CONNECTION' else word for word in call[1:]]
        words = [json.dumps(word) if call[0] == 'Broadcast' and i < 2 else word for i, word in enumerate(words)]
        with pytest.raises(BusError) as caught:
            bus.gdbus(call[0], *words, prefix=STRANGER)
        assert caught.value.name == ACCESS_DENIED
        assert notes(alice) == []
        # the same words from somebody who may
        bus.gdbus(call[0], *words)
    assert '65534' in daemon.wait_log('refused to a stranger')


@needs_root
def test_stranger_may_read_properties(bus, daemon):
    with join(daemon, 'alice'):
        answer = bus.gdbus('org.freedesktop.DBus.Properties.Get', INTERFACE, 'NConnections', prefix=STRANGER)
    assert answer == '(<uint32 1>,)'


@needs_root
def test_stranger_does_not_learn_what_exists(bus, daemon):
    """Leave is asked before the arguments are looked at."""
    for connection in 'nobody', 'x' * 200:
        with pytest.raises(BusError) as caught:
            bus.gdbus('Kick', connection, 'r' * 200, prefix=STRANGER)
        assert caught.value.name == ACCESS_DENIED


# The bus itself


def test_service_lives_without_a_bus():
    with Daemon({'bus.bus': 'session'}, env={'DBUS_SESSION_BUS_ADDRESS': 'unix:path=/nonexistent/bus'},
                expect_log=['bus is not there']) as daemon:
        daemon.wait_log('bus is not there')
        with join(daemon, 'alice') as alice:
            alice.check_alive()


def test_service_outlives_its_bus(bus):
    with make_daemon(bus, expect_log=['bus is not there']) as daemon:
        bus.wait_name()
        with join(daemon, 'alice') as alice:
            bus.kill()
            daemon.wait_log('bus is not there')
            alice.check_alive()
        with join(daemon, 'bob') as bob:
            bob.check_alive()


def test_second_service_waits_for_the_name(bus):
    with make_daemon(bus) as first:
        bus.wait_name()
        with make_daemon(bus, expect_log=["name on the bus is another's"]) as second:
            second.wait_log("name on the bus is another's")
            with join(second, 'bob') as bob:
                with join(first, 'alice'):
                    assert [entry['user'] for entry in bus.connections()] == ['alice']
                first.stop()
                second.wait_log('Name acquired')
                assert [entry['user'] for entry in bus.connections()] == ['bob']
                bob.check_alive()
