# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Somebody on a message bus who stays: it gets signals and file descriptors, as busctl can't."""

import json
import os
import select
import time

from gi.repository import Gio, GLib

from .bus import INTERFACE, NAME, PATH, BusError
from .timing import DEADLINE


class BusClient:
    """A connection of its own; @signals holds (interface, name, arguments) of all that came."""

    def __init__(self, bus):
        self.connection = Gio.DBusConnection.new_for_address_sync(
            bus.address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT |
            Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
        self.signals = []
        self.connection.signal_subscribe(None, None, None, PATH, None, Gio.DBusSignalFlags.NONE, self._on_signal)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if not self.connection.is_closed():
            self.connection.close_sync(None)

    def _on_signal(self, _connection, _sender, _path, interface, name, arguments):
        self.signals.append((interface, name, arguments.unpack()))

    def call(self, method, signature='', *arguments, interface=INTERFACE, path=PATH):
        """The results; raises BusError."""
        return self.call_with_fds(method, signature, *arguments, interface=interface, path=path)[0]

    def call_with_fds(self, method, signature='', *arguments, interface=INTERFACE, path=PATH):
        parameters = GLib.Variant(f'({signature})', arguments) if signature else None
        try:
            result, fds = self.connection.call_with_unix_fd_list_sync(
                NAME, path, interface, method, parameters, None, Gio.DBusCallFlags.NONE, int(DEADLINE * 1000), None, None)
        except GLib.Error as error:
            name = Gio.DBusError.get_remote_error(error)
            Gio.DBusError.strip_remote_error(error)
            raise BusError(name, error.message) from None
        return result.unpack(), fds.steal_fds() if fds is not None else []

    def watch(self, *kinds):
        self.call('Watch', 'as', kinds)

    def settle(self):
        """All the service has sent by now is in @signals; the answer to a call comes behind it."""
        self.call('Ping', interface='org.freedesktop.DBus.Peer')
        while GLib.MainContext.default().iteration(False):
            pass

    def names(self):
        self.settle()
        return [name for _, name, _ in self.signals]

    def wait(self, name, found=lambda arguments: True):
        """The arguments of the first signal of that name that is wanted."""
        expired = []
        timer = GLib.timeout_add(int(DEADLINE * 1000), lambda: expired.append(True))
        try:
            while not expired:
                for _, seen, arguments in self.signals:
                    if seen == name and found(arguments):
                        return arguments
                GLib.MainContext.default().iteration(True)
        finally:
            if not expired:
                GLib.source_remove(timer)
        raise AssertionError(f'no {name}, only {self.signals}')


class Trace:
    """The lines of a trace; each is an object."""

    def __init__(self, client, **keys):
        filters = {key: GLib.Variant('b' if isinstance(value, bool) else 's', value) for key, value in keys.items()}
        (_handle,), (self.fd,) = client.call_with_fds('Trace', 'a{sv}', filters)
        self.lines = []
        self.rest = b''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def _read(self, timeout):
        if not select.select([self.fd], [], [], timeout)[0]:
            return False
        block = os.read(self.fd, 65536)
        if not block:
            return False
        *lines, self.rest = (self.rest + block).split(b'\n')
        self.lines += [json.loads(line) for line in lines]
        return True

    def wait(self, found):
        """The first line that is wanted; those before it are in @lines."""
        end = time.monotonic() + DEADLINE
        while True:
            for line in self.lines:
                if found(line):
                    return line
            assert self._read(max(end - time.monotonic(), 0)), self.lines

    def wait_type(self, name):
        return self.wait(lambda line: line.get('type') == name)

    def read_to_end(self):
        while self._read(DEADLINE):
            pass
        return self.lines
