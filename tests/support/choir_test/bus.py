# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A message bus of the test's own, and org.choir.Choir1 called over it as busctl and gdbus do."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from .daemon import Daemon
from .dialects import connect
from .timing import DEADLINE

NAME = 'org.choir.Choir1'
PATH = '/org/choir/Choir1'
INTERFACE = 'org.choir.Choir1.Manager'
INVALID_ARGS = 'org.choir.Choir1.Error.InvalidArgs'
NOT_FOUND = 'org.choir.Choir1.Error.NotFound'
ACCESS_DENIED = 'org.freedesktop.DBus.Error.AccessDenied'

# A session bus lets in nobody but its owner; here strangers must get as far as the service
BUS_CONFIG = '''<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true"/>
    <allow receive_type="method_call"/>
    <allow receive_type="signal"/>
    <allow receive_requested_reply="true"/>
    <allow send_destination="*" eavesdrop="false"/>
  </policy>
</busconfig>
'''


class BusError(Exception):
    """What the callee answered: the name of the error and its text."""

    def __init__(self, name, text):
        super().__init__(f'{name}: {text}')
        self.name = name
        self.text = text


class Bus:
    """A message bus of the test's own."""

    def __init__(self, running=True):
        self.directory = Path(tempfile.mkdtemp(prefix='choir-bus-'))
        self.directory.chmod(0o755)
        self.address = f'unix:path={self.directory / "bus"}'
        config = self.directory / 'bus.conf'
        config.write_text(BUS_CONFIG.format(path=self.directory / 'bus'))
        self.process = None
        if running:
            self.start()

    def start(self):
        """Another one at the same address, if there was one."""
        self.process = subprocess.Popen(
            ['dbus-daemon', '--nofork', '--nosyslog', '--nopidfile', f'--config-file={self.directory / "bus.conf"}',
             '--print-address=1'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        # it is printed when the socket listens
        printed = self.process.stdout.readline()
        assert printed.startswith(self.address), printed

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def env(self):
        return {'DBUS_SESSION_BUS_ADDRESS': self.address}

    def run(self, *command):
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE,
                              env={**os.environ, **self.env, 'LC_ALL': 'C.UTF-8'}, check=False)

    def wait_name(self):
        done = self.run('gdbus', 'wait', '--session', '--timeout', str(int(DEADLINE)), NAME)
        assert done.returncode == 0, done.stderr

    def busctl(self, *arguments):
        done = self.run('busctl', f'--address={self.address}', '--json=short', *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)['data'] if done.stdout else None

    def call(self, method, signature='', *arguments):
        """By busctl: the method's results."""
        return self.busctl('call', NAME, PATH, INTERFACE, method, *([signature] if signature else []), *arguments)

    def get(self, name):
        return self.busctl('get-property', NAME, PATH, INTERFACE, name)

    def gdbus(self, method, *arguments, prefix=()):
        """By gdbus, which tells what an error is called; raises BusError."""
        done = self.run(*prefix, 'gdbus', 'call', '--session', '--dest', NAME, '--object-path', PATH, '--method',
                        method if '.' in method else f'{INTERFACE}.{method}', '--', *arguments)
        if done.returncode == 0:
            return done.stdout.strip()
        kind, _, rest = done.stderr.partition('GDBus.Error:')
        assert kind == 'Error: ', done.stderr
        name, _, text = rest.strip().partition(': ')
        raise BusError(name, text)

    def connections(self, *pairs, offset=0, limit=0):
        """ListConnections with a filter of (key, signature, value...) as plain dictionaries."""
        listed, = self.call('ListConnections', 'a{sv}uu', *flatten(pairs), str(offset), str(limit))
        return [{key: value['data'] for key, value in entry.items()} for entry in listed]

    def broadcast(self, payload, *pairs, kind='system.notification'):
        count, = self.call('Broadcast', 'ssa{sv}', kind, json.dumps(payload), *flatten(pairs))
        return count

    def kill(self):
        self.process.kill()
        self.process.wait(DEADLINE)
        self.process.stdout.close()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


def flatten(pairs):
    """A dictionary as busctl wants it: how many entries, then each."""
    return [str(len(pairs)), *(word for pair in pairs for word in pair)]


def make_daemon(bus, settings=None, **kwargs):
    """choird on that bus; bus.wait_name() tells when it is there."""
    return Daemon({'bus.bus': 'session', **(settings or {})}, env=bus.env, **kwargs)


def join(daemon, user, dialect='choir', **claims):
    """A client of that user, connected."""
    return connect(daemon, dialect, daemon.mint(user, **claims))
