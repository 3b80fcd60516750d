# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Watch() of org.choir.Choir1.Manager: who is told what by signals; and its figures."""

import os
import sys
from pathlib import Path

import pytest
from gi.repository import Gio, GLib

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'support'))

from choir_test import connect  # noqa: E402
from choir_test.bus import ACCESS_DENIED, INTERFACE, INVALID_ARGS, NAME, PATH, BusError, join, make_daemon  # noqa: E402
from choir_test.bus_client import BusClient  # noqa: E402

LIMITS_EXCEEDED = 'org.freedesktop.DBus.Error.LimitsExceeded'
OBJECT_MANAGER = 'org.freedesktop.DBus.ObjectManager'


@pytest.fixture
def daemon(bus):
    with make_daemon(bus) as running:
        bus.wait_name()
        yield running


@pytest.fixture
def admin(bus, daemon):
    with BusClient(bus) as client:
        yield client


def leave(client):
    client.ws.send_close(1000)
    client.ws.recv_close(skip_data=True)
    client.ws.expect_eof()


# Signals


def test_connections(daemon, admin):
    admin.watch('connections')
    with join(daemon, 'alice') as alice:
        path, connection = admin.wait('ConnectionAdded')
        assert connection['user'] == 'alice'
        assert connection['dialect'] == 'choir'
        assert connection['connection'] == alice.seen[0]['payload']['connection_id']
        assert path.startswith('/org/choir/Choir1/connection/')
        leave(alice)
    assert admin.wait('ConnectionRemoved') == (path, connection['connection'], 'alice', 1000)
    assert admin.names() == ['ConnectionAdded', 'ConnectionRemoved']


def test_nobody_else_is_told(bus, daemon, admin):
    """Signals go to the caller, and only of the kinds it named."""
    with BusClient(bus) as other, BusClient(bus) as third:
        admin.watch('connections')
        other.watch('tasks', 'users')
        with join(daemon, 'alice'):
            admin.wait('ConnectionAdded')
        assert other.names() == []
        assert third.names() == []


def test_watching_ends(bus, daemon, admin):
    admin.watch('connections')
    with join(daemon, 'alice'):
        admin.wait('ConnectionAdded')
        admin.watch()
        with join(daemon, 'bob'):
            pass
    assert admin.names() == ['ConnectionAdded']


def test_watching_is_replaced(daemon, admin):
    admin.watch('connections')
    admin.watch('overload')
    with join(daemon, 'alice'):
        pass
    assert admin.names() == []


def test_nobody_is_somebody_before_authenticating(daemon, admin):
    admin.watch('connections')
    with connect(daemon, 'tripsage', target='/ws/chat/s1', authenticate=False) as stranger:
        stranger.ws.ping_barrier()
    with connect(daemon, 'tripsage', daemon.mint('alice'), target='/ws/chat/s1'):
        admin.wait('ConnectionAdded')
    admin.wait('ConnectionRemoved')
    assert [arguments[1]['user'] for _, name, arguments in admin.signals if name == 'ConnectionAdded'] == ['alice']
    assert admin.names() == ['ConnectionAdded', 'ConnectionRemoved']


def test_objects(daemon, admin):
    admin.watch('objects')
    with join(daemon, 'alice') as alice:
        path, interfaces = admin.wait('InterfacesAdded')
        properties = interfaces['org.choir.Choir1.Connection']
        assert properties['Id'] == alice.seen[0]['payload']['connection_id']
        assert properties['User'] == 'alice'
        assert properties['Session'].startswith('/org/choir/Choir1/session/')
    assert admin.wait('InterfacesRemoved') == (path, ['org.choir.Choir1.Connection'])
    assert {interface for interface, _, _ in admin.signals} == {OBJECT_MANAGER}


def test_properties(daemon, admin):
    admin.watch('properties')
    with join(daemon, 'alice'), join(daemon, 'bob'):
        _, changed, invalidated = admin.wait('PropertiesChanged', lambda arguments: arguments[1].get('NConnections') == 2)
        assert invalidated == []
    admin.wait('PropertiesChanged', lambda arguments: arguments[1].get('NConnections') == 0)
    # what has not changed is not told
    assert all('LogLevel' not in arguments[1] for _, _, arguments in admin.signals)
    assert all(arguments[0] == INTERFACE for _, _, arguments in admin.signals)


def test_overload_of_a_user(bus):
    settings = {'dialect choir.max-connections-per-user': '1', 'dialect choir.per-user-policy': 'reject'}
    with make_daemon(bus, settings) as daemon:
        bus.wait_name()
        with BusClient(bus) as admin, join(daemon, 'alice'):
            admin.watch('overload')
            for _ in range(3):
                with pytest.raises(Exception):
                    join(daemon, 'alice')
            what, details = admin.wait('Overloaded')
            assert (what, details) == ('user', {'count': 1, 'user': 'alice'})
            # of the others it is told when the second is over
            admin.wait('Overloaded', lambda _: sum(arguments[1]['count'] for _, _, arguments in admin.signals) == 3)
            assert {arguments[0] for _, _, arguments in admin.signals} == {'user'}


def test_overload_by_a_slow_consumer(bus):
    with make_daemon(bus, {'protocol.max-queue-bytes': '1M'}) as daemon:
        bus.wait_name()
        with BusClient(bus) as admin, join(daemon, 'slow'):
            admin.watch('overload', 'connections')
            text = 'x' * 60000
            for _ in range(400):
                if bus.broadcast({'message': text}, ('user', 's', 'slow')) == 0:
                    break
            assert admin.wait('Overloaded') == ('slow-consumer', {'count': 1, 'user': 'slow'})
            assert admin.wait('ConnectionRemoved')[2:] == ('slow', 4008)


def test_task_failed(daemon, admin):
    admin.watch('tasks')
    with join(daemon, 'alice') as alice:
        alice.send({'type': 'task.request', 'payload': {'kind': 'sum', 'timeout_ms': 1000}})
        task = alice.wait_type('task.accepted')['payload']['task_id']
        alice.wait_type('task.failed')
    path, name, kind, user, code = admin.wait('TaskFailed')
    assert (name, kind, user, code) == (task, 'sum', 'alice', 'TIMEOUT')
    assert path.startswith('/org/choir/Choir1/task/')


def test_users(daemon, admin):
    admin.watch('users')
    with join(daemon, 'alice') as alice:
        assert admin.call('BlockUser', 'sts', 'alice', 0, 'spam') == (1,)
        assert admin.wait('UserBlocked') == ('alice', 0, 'spam')
        alice.ws.recv_close(skip_data=True)
    admin.call('UnblockUser', 's', 'alice')
    assert admin.wait('UserUnblocked') == ('alice',)
    assert admin.names() == ['UserBlocked', 'UserUnblocked']


def test_drain(bus, daemon, admin):
    clients = [join(daemon, f'user-{i}') for i in range(20)]
    admin.watch('drain')
    daemon.signal(15)
    for client in clients:
        client.ws.recv_close(skip_data=True)
        client.close()
    assert admin.wait('DrainProgress', lambda arguments: arguments[0] == 0) == (0, 20)
    steps = [arguments for _, name, arguments in admin.signals if name == 'DrainProgress']
    assert steps[0] == (20, 20)
    assert [remaining for remaining, _ in steps] == sorted((remaining for remaining, _ in steps), reverse=True)
    assert daemon.wait_exit() == 0


def test_only_so_many_signals_a_second(daemon, admin):
    """The rest is counted, and told when the second is over."""
    admin.watch('connections')
    n = 520
    clients = [join(daemon, f'user-{i}') for i in range(n)]
    for client in clients:
        client.close()
    total = 0

    def count():
        told = len([name for _, name, _ in admin.signals if name.startswith('Connection')])
        return told + sum(arguments[0] for _, name, arguments in admin.signals if name == 'Dropped')

    while total < 2 * n:
        seen = len(admin.signals)
        admin.wait('ConnectionRemoved', lambda arguments: len(admin.signals) > seen or count() == 2 * n)
        total = count()
    assert total == 2 * n


# Who may


def test_unknown_kind(admin):
    with pytest.raises(BusError) as caught:
        admin.watch('connections', 'weather')
    assert caught.value.name == INVALID_ARGS
    assert 'weather' in caught.value.text


def test_only_so_many_watchers(bus, daemon):
    watchers = [BusClient(bus) for _ in range(64)]
    for watcher in watchers:
        watcher.watch('users')
    with BusClient(bus) as late:
        with pytest.raises(BusError) as caught:
            late.watch('users')
        assert caught.value.name == LIMITS_EXCEEDED
        # whoever leaves the bus is forgotten, whoever watches may go on to choose
        watchers[1].watch('tasks')
        watchers.pop().close()
        for _ in range(1000):
            try:
                late.watch('users')
                break
            except BusError as error:
                assert error.name == LIMITS_EXCEEDED
        else:
            raise AssertionError('the place stays taken')
    for watcher in watchers:
        watcher.close()


@pytest.mark.skipif(os.getuid() != 0, reason='becomes another user')
@pytest.mark.parametrize('call', [('Watch', '["connections"]'), ('GetStats',), ('GetCounters',)], ids=lambda call: call[0])
def test_stranger_is_refused(bus, daemon, call):
    with pytest.raises(BusError) as caught:
        bus.gdbus(*call, prefix=('setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'))
    assert caught.value.name == ACCESS_DENIED


# Limits of all calls, and what is noted of some


def test_only_so_much_in_a_call(admin):
    """What waits for leave is kept for as long as a person needs to give it."""
    large = '{"a":"' + 'x' * 1000000 + '"}'
    with pytest.raises(BusError) as caught:
        admin.call('Broadcast', 'ssa{sv}', 'note', large, {})
    assert caught.value.name == LIMITS_EXCEEDED
    with open('/dev/null', 'rb') as null:
        with pytest.raises(GLib.Error) as refused:
            admin.connection.call_with_unix_fd_list_sync(
                NAME, PATH, INTERFACE, 'Watch', GLib.Variant('(as)', ([],)), None, Gio.DBusCallFlags.NONE, -1,
                Gio.UnixFDList.new_from_array([os.dup(null.fileno())]), None)
        assert Gio.DBusError.get_remote_error(refused.value) == LIMITS_EXCEEDED


def test_it_is_noted_who_silenced_the_log(daemon, admin):
    admin.call('SetLogLevel', 's', 'error')
    daemon.wait_log('Log level set')


def test_reload_is_noted(daemon, admin):
    admin.call('Reload')
    assert 'BUS_NAME' not in daemon.wait_log('Reload asked for').upper()


# Figures


def test_counters(daemon, admin):
    with join(daemon, 'alice') as alice:
        alice.check_alive()
        counters, = admin.call('GetCounters')
    assert counters['websocket_active_connections'] == 1
    assert counters['websocket_connections{status="accepted"}'] == 1
    assert counters['choir_dialect_connections{dialect="choir"}'] == 1
    assert counters['websocket_message_size_bytes_count{type="other"}'] == 0
    assert not any(name.endswith('_sum') for name in counters)


def test_stats(daemon, admin):
    with join(daemon, 'alice') as alice, join(daemon, 'bob', 'netra'):
        alice.send({'type': 'subscribe', 'payload': {'channels': ['chat:lobby']}})
        alice.wait_type('subscription.confirmed')
        alice.ws.traffic.allow_garbage()
        alice.send({'type': 'explode'})
        alice.wait_type('error')
        stats, = admin.call('GetStats')
    assert (stats['connections'], stats['users'], stats['channels'], stats['subscriptions']) == (2, 2, 1, 1)
    assert (stats['documents'], stats['waiting_sessions'], stats['tasks_queued'], stats['tasks_running']) == (0, 0, 0, 0)
    assert stats['dialects']['choir'] == stats['dialects']['netra'] == {'connections': 1}
    assert stats['dialects']['jddb'] == {'connections': 0}
    assert stats['messages_received_per_s'] > 0
    assert stats['messages_sent_per_s'] > 0
    assert stats['connects_per_s'] > 0
    assert stats['errors_per_s'] > 0
    assert 0 < stats['latency_p50_us'] <= stats['latency_p95_us'] <= stats['latency_p99_us']
    assert stats['memory_bytes'] > 1024 * 1024
    assert stats['cpu_percent'] > 0
    assert stats['store_writable'] is True
    assert (stats['queued_bytes'], stats['queued_bytes_max'], stats['slow_connections']) == (0, 0, 0)
    assert stats['uptime_s'] < 3600
