# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A message bus that is not there, goes and comes back, or hangs."""

import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from gi.repository import Gio, GLib

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'support'))

from choir_test import DEADLINE  # noqa: E402
from choir_test.bus import INTERFACE, NAME, PATH, Bus, join, make_daemon  # noqa: E402
from choir_test.bus_client import BusClient, Trace  # noqa: E402
from document_client import wait_until  # noqa: E402

GONE = 'bus is not there'
BACK = 'bus is there again'


def begin_call(client, method, signature, *arguments):
    """On its way when this returns; nobody waits for the answer."""
    client.connection.call(NAME, PATH, INTERFACE, method, GLib.Variant(f'({signature})', arguments), None, 0,
                           int(DEADLINE * 1000), None, lambda *_: None)
    client.connection.flush_sync(None)


def count_logged(daemon, words):
    return sum(words in line for line in daemon.log_lines())


def use(bus, daemon, alice):
    """The administration works: a call, signals and a trace."""
    connection = alice.seen[0]['payload']['connection_id']
    assert [entry['connection'] for entry in bus.connections()] == [connection]
    with BusClient(bus) as admin, Trace(admin) as trace:
        admin.watch('connections')
        with join(daemon, 'bob'):
            admin.wait('ConnectionAdded')
        admin.wait('ConnectionRemoved')
        alice.send({'type': 'subscribe', 'payload': {'channels': ['chat:lobby']}})
        trace.wait_type('subscribe')
    assert bus.broadcast({'message': 'still there', 'level': 'info'}, ('user', 's', 'alice')) == 1


def test_bus_is_joined_again(bus):
    with make_daemon(bus, expect_log=[GONE]) as daemon:
        bus.wait_name()
        with join(daemon, 'alice') as alice:
            use(bus, daemon, alice)
            n_fds = daemon.n_fds()
            for n in range(1, 3):
                with BusClient(bus) as admin, Trace(admin) as trace:
                    admin.watch('connections', 'objects', 'properties')
                    for _ in range(20):
                        begin_call(admin, 'ListConnections', 'a{sv}uu', {}, 0, 0)
                    said = len(daemon.log_lines())
                    bus.kill()
                    trace.read_to_end()
                    daemon.wait_log(GONE, start=said)
                    alice.check_alive()
                    bus.start()
                    bus.wait_name()
                daemon.wait_log(BACK, start=said)
                use(bus, daemon, alice)
                alice.check_alive()
                assert count_logged(daemon, GONE) == count_logged(daemon, BACK) == n
            wait_until(lambda: daemon.n_fds() <= n_fds, 'descriptors being closed')


def test_who_calls_in_the_last_moment(bus):
    """Calls that are under way when the service ends come back as those of a service that is not there."""
    gone = {f'org.freedesktop.DBus.Error.{name}' for name in ('NoReply', 'ServiceUnknown', 'NameHasNoOwner')}
    with make_daemon(bus) as daemon, BusClient(bus) as admin:
        bus.wait_name()
        errors = []

        def call():
            admin.connection.call(NAME, PATH, INTERFACE, 'GetStats', None, None, Gio.DBusCallFlags.NO_AUTO_START,
                                  int(DEADLINE * 1000), None, again)

        def again(connection, result):
            try:
                connection.call_finish(result)
            except GLib.Error as error:
                errors.append(Gio.DBusError.get_remote_error(error))
            else:
                call()

        for _ in range(30):
            call()
        daemon.signal(signal.SIGTERM)
        while len(errors) < 30:
            GLib.MainContext.default().iteration(True)
        assert set(errors) <= gone


def test_bus_that_comes_later():
    with Bus(running=False) as bus, make_daemon(bus, expect_log=[GONE], notify=True) as daemon:
        daemon.wait_notify()
        daemon.wait_log(GONE)
        with join(daemon, 'alice') as alice:
            daemon.write_config('[log]\nlevel=debug\n')
            daemon.signal(signal.SIGHUP)
            daemon.wait_notify()
            daemon.wait_log('configuration reloaded')
            bus.start()
            bus.wait_name()
            assert bus.get('LogLevel') == 'debug'
            use(bus, daemon, alice)
        assert count_logged(daemon, GONE) == count_logged(daemon, BACK) == 1


def test_stop_while_there_is_no_bus(bus):
    """It waits for nothing: neither for the next attempt nor for the one under way."""
    with make_daemon(bus, expect_log=[GONE]) as daemon:
        bus.wait_name()
        bus.kill()
        daemon.wait_log(GONE)


@pytest.mark.parametrize('joined', [True, False], ids=['joined', 'joining'])
def test_stop_with_a_bus_that_hangs(joined):
    with Bus() as bus:
        if not joined:
            bus.process.send_signal(signal.SIGSTOP)
        with make_daemon(bus) as daemon:
            if joined:
                bus.wait_name()
                bus.process.send_signal(signal.SIGSTOP)
            with join(daemon, 'alice') as alice:
                alice.check_alive()
            daemon.stop(timeout=DEADLINE)


def count_heard(admin):
    """Signals that came, and those it was told of."""
    while GLib.MainContext.default().iteration(False):
        pass
    dropped = sum(arguments[0] for _, name, arguments in admin.signals if name == 'Dropped')
    return sum(name != 'Dropped' for _, name, _ in admin.signals), dropped


def test_bus_that_hangs_does_not_fill_memory(bus):
    """Watchers miss what it does not take, and hear how much that was."""
    n_clients, n_watchers, unsent_max = 35, 25, 4 * 1024 * 1024
    with make_daemon(bus) as daemon, ExitStack() as stack:
        bus.wait_name()
        admins = [stack.enter_context(BusClient(bus)) for _ in range(n_watchers)]
        alice = stack.enter_context(join(daemon, 'alice'))
        for admin in admins:
            admin.watch('connections', 'objects')
        bus.process.send_signal(signal.SIGSTOP)
        for n in range(n_clients):
            with join(daemon, f'user-{n}') as client:
                client.ws.send_close(1000)
                client.ws.recv_close(skip_data=True)
        alice.check_alive()
        bus.process.send_signal(signal.SIGCONT)

        # each client comes and goes, as a connection and as an object
        wanted = 4 * n_clients
        wait_until(lambda: all(sum(count_heard(admin)) == wanted for admin in admins), 'all signals, or their number')
        # each takes more than a kilobyte here; a socket holds some as well
        heard, dropped = (sum(counts) for counts in zip(*map(count_heard, admins)))
        assert dropped > 0
        assert heard * 1024 < unsent_max + 1024 * 1024
        assert [entry['user'] for entry in bus.connections()] == ['alice']
