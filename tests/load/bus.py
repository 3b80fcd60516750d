# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What administration over a bus costs while 10,000 clients are connected.

    /usr/bin/python3 tests/load/bus.py CHOIRD CHOIR-HOLD [CONNECTIONS]

Holds the clients twice: with `bus.bus=none`, and on a private session bus, where lists are read page by page and objects one
by one, and `choirctl top` looks at each of its views once a second. Exits 1 if a page of 100 connections costs 2 ms of CPU time or
more, if `top` takes 1 % of a core or more for itself, if all objects are given at once, if introspection names any, or if memory
goes on growing, by a MiB with the second thousand calls.
"""

import os
import subprocess
import sys
import tempfile
import time

from gi.repository import Gio, GLib

from hold import cores, read_stage, read_status
from servers import State

CONNECTIONS = 10000
CALLS = 1000
PAGE_MS = 2.0
GROWTH_KIB = 1024
NAME = "org.choir.Choir1"
PATH = "/org/choir/Choir1"
TOP_SECONDS = 15
TOP_PERCENT = 1.0
VIEWS = ("connections", "users", "slow", "channels")
LISTS = ("ListConnections", "ListUsers", "ListChannels", "ListDocuments", "ListTasks")


class Bus:
    """A session bus of its own, and a connection to it."""

    def __enter__(self):
        self._directory = tempfile.TemporaryDirectory(prefix="choir-bus-")
        self._process = subprocess.Popen(
            ["dbus-daemon", "--session", "--nofork", "--nosyslog", "--nopidfile", "--print-address=1",
             f"--address=unix:path={self._directory.name}/bus"], stdout=subprocess.PIPE, text=True)
        self.address = self._process.stdout.readline().strip()
        self.connection = Gio.DBusConnection.new_for_address_sync(
            self.address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION)
        return self

    def __exit__(self, *_error):
        self.connection.close_sync()
        self._process.terminate()
        self._process.wait(10)
        self._process.stdout.close()
        self._directory.cleanup()

    def call(self, path, interface, method, arguments=None):
        return self.connection.call_sync(NAME, path, interface, method, arguments, None, Gio.DBusCallFlags.NONE, 60000)

    def list(self, method, words="{}", offset=0, limit=100):
        arguments = GLib.Variant.parse(GLib.VariantType("(a{sv}uu)"), f"({words}, {offset}, {limit})", None, None)
        return self.call(PATH, f"{NAME}.Manager", method, arguments).get_child_value(0)

    def wait_name(self):
        deadline = time.monotonic() + 60
        while not self.connection.call_sync(
                "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner",
                GLib.Variant("(s)", (NAME,)), None, Gio.DBusCallFlags.NONE, 60000).unpack()[0]:
            if time.monotonic() > deadline:
                raise RuntimeError("the service does not appear on the bus")


def cpu_ms(pid):
    """Of all threads together."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as stat:
            total += int(stat.read().split()[0])
    return total / 1e6


def measure(pid, name, calls, perform):
    perform()
    cpu, began = cpu_ms(pid), time.monotonic()
    for _ in range(calls):
        perform()
    each = (cpu_ms(pid) - cpu) / calls
    print(f"{name} cpu_ms={each:.3f} wall_ms={(time.monotonic() - began) * 1e3 / calls:.3f}", flush=True)
    return each


def expect_refusal(bus):
    try:
        bus.call(PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
    except GLib.Error as error:
        return Gio.DBusError.get_remote_error(error) == "org.freedesktop.DBus.Error.LimitsExceeded"
    return False


def introspect(bus, path):
    return bus.call(path, "org.freedesktop.DBus.Introspectable", "Introspect").unpack()[0]


def watch_top(bus, pid, choirctl):
    """What `choirctl top` takes of a core while it looks once a second, and what the service does for it."""
    good = True
    for view in VIEWS:
        cpu, began = cpu_ms(pid), time.monotonic()
        with subprocess.Popen([choirctl, "--address", bus.address, "--json", "top", "--view", view, "--interval", "1s",
                               "-n", str(TOP_SECONDS)], stdout=subprocess.DEVNULL) as top:
            _, status, usage = os.wait4(top.pid, 0)
            top.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
        own = 100 * (usage.ru_utime + usage.ru_stime) / seconds
        print(f"top {view} choirctl_percent={own:.2f} choird_percent={(cpu_ms(pid) - cpu) / 10 / seconds:.2f}", flush=True)
        good = good and top.returncode == 0 and own < TOP_PERCENT
    return good


def ask(bus, pid, connections, choirctl):
    good = watch_top(bus, pid, choirctl)
    before = read_status(pid, "VmRSS")
    for method in LISTS:
        each = measure(pid, f"{method} limit=100", CALLS // 5, lambda: bus.list(method))
        good = good and (method != "ListConnections" or each < PAGE_MS)
    measure(pid, "ListConnections limit=1000", 20, lambda: bus.list("ListConnections", limit=1000))
    measure(pid, f"ListConnections offset={connections - 100}", 20, lambda: bus.list("ListConnections", offset=connections - 100))
    measure(pid, f"ListUsers offset={connections - 100}", 20, lambda: bus.list("ListUsers", offset=connections - 100))
    measure(pid, "ListConnections by address", 20, lambda: bus.list("ListConnections", '{"address": <"192.0.2.1">}'))

    path = bus.list("ListConnections", limit=1).unpack()[0]["path"]
    measure(pid, "GetAll of a connection", CALLS, lambda: bus.call(
        path, "org.freedesktop.DBus.Properties", "GetAll", GLib.Variant("(s)", (f"{NAME}.Connection",))))
    after = read_status(pid, "VmRSS")
    for offset in range(CALLS):
        bus.list("ListConnections", offset=offset)
    more = read_status(pid, "VmRSS")
    print(f"rss_kib before_calls={before} after={after} after_{CALLS}_pages_more={more}", flush=True)
    good = good and more - after < GROWTH_KIB

    for place in PATH, f"{PATH}/connection":
        measure(pid, f"Introspect {place}", 20, lambda: introspect(bus, place))
    names = introspect(bus, f"{PATH}/connection")
    print(f"introspection bytes={len(names)} nodes={names.count('<node name')}", flush=True)
    good = good and "<node name" not in names
    measure(pid, "GetManagedObjects refused", 20, lambda: expect_refusal(bus))
    return good and expect_refusal(bus)


def run(state, choird, generator, connections, bus=None):
    core, load_core = cores()
    before = ("env", f"DBUS_SESSION_BUS_ADDRESS={bus.address}") if bus else ()
    server = state.choird(choird, *before, core=core, extra=[
        f"bus.bus={'session' if bus else 'none'}", "namespace.history-size=10"])
    with server:
        pid = server.process.pid
        command = [generator, "--port", str(server.port), "--key", state.key, "-n", str(connections), "--leave", "300"]
        with subprocess.Popen(
                command, stdout=subprocess.PIPE, text=True,
                preexec_fn=lambda: load_core is not None and os.sched_setaffinity(0, {load_core})) as hold:
            try:
                read_stage(hold, "held")
                read_stage(hold, "broadcast")
                rss = read_status(pid, "VmRSS")
                print(f"rss_kib held={rss} bus={'session' if bus else 'none'}", flush=True)
                if bus is None:
                    return rss, True
                bus.wait_name()
                choirctl = os.path.join(os.path.dirname(os.path.dirname(choird)), "ctl", "choirctl")
                return rss, ask(bus, pid, connections, choirctl)
            finally:
                hold.kill()


def main(choird, generator, connections=CONNECTIONS):
    state = State()
    try:
        alone, _ = run(state, choird, generator, int(connections))
        with Bus() as bus:
            rss, good = run(state, choird, generator, int(connections), bus)
        print(f"rss_kib on_the_bus={rss - alone:+d}")
    except (RuntimeError, OSError, GLib.Error) as error:
        print(f"! {error}", file=sys.stderr)
        good = False
    finally:
        state.remove()
    print("passed" if good else "FAILED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
