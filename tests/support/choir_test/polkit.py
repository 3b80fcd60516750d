# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A system bus of the test's own with what Choir ships for it: bus policy, polkit actions and rules; and users."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from .bus import BusError
from .daemon import Daemon
from .timing import DEADLINE

DATA = Path(__file__).resolve().parents[3] / 'data'
POLKITD = '/usr/lib/polkit-1/polkitd'
AUTHORITY = 'org.freedesktop.PolicyKit1'
AUTHORITY_PATH = '/org/freedesktop/PolicyKit1/Authority'
NAME = 'org.choir.Choir1'

# polkitd 122 may miss that a rule has run; it answers when the 15 s are over that a rule is given
PATIENCE = 2 * DEADLINE

# Accounts that exist only where these tests look for them
SERVICE, MEMBER, STRANGER = 61357, 61358, 61359
ACCOUNTS = {'choird': SERVICE, 'choir-member': MEMBER, 'choir-stranger': STRANGER}

# As a distribution's: nothing is allowed but what the files of the services allow
BUS_CONFIG = '''<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={directory}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
  <policy user="root">
    <allow own="org.freedesktop.PolicyKit1"/>
    <allow send_destination="org.freedesktop.PolicyKit1"/>
  </policy>
  <include>{data}/org.choir.Choir1.conf</include>
  <include>/usr/share/dbus-1/system.d/org.freedesktop.PolicyKit1.conf</include>
</busconfig>
'''

# Its arguments: what to mount, where, in turn; --; what to run
MOUNTED = ['unshare', '--mount', 'sh', '-ec',
           'while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done; shift; exec "$@"', 'sh']


def as_user(uid):
    return ('setpriv', f'--reuid={uid}', f'--regid={uid}', '--clear-groups')


class SystemBus:
    """dbus-daemon, and the accounts and files it and polkit are to see, in mounts that nothing else sees."""

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix='choir-system-'))
        self.directory.chmod(0o755)
        for name in 'actions', 'rules', 'local':
            (self.directory / name).mkdir()
        for source, name in (('policy', 'actions'), ('rules', 'rules')):
            shutil.copy(DATA / f'org.choir.Choir1.{source}', self.directory / name)
        shutil.copy('/usr/share/polkit-1/rules.d/50-default.rules', self.directory / 'rules')
        self._write_accounts()
        self.address = f'unix:path={self.directory / "bus"}'
        config = self.directory / 'bus.conf'
        config.write_text(BUS_CONFIG.format(directory=self.directory, data=DATA))
        self.polkitd = None
        self.start()

    def start(self):
        """Another one at the same address, if there was one."""
        self.process = self.spawn('dbus-daemon', '--nofork', '--nosyslog', '--nopidfile',
                                  f'--config-file={self.directory / "bus.conf"}', '--print-address=1',
                                  stdout=subprocess.PIPE, text=True)
        # it is printed when the socket listens
        printed = self.process.stdout.readline()
        assert printed.startswith(self.address), printed

    def _write_accounts(self):
        passwd, group = Path('/etc/passwd').read_text(), Path('/etc/group').read_text()
        for name, uid in ACCOUNTS.items():
            passwd += f'{name}:x:{uid}:{uid}::/nonexistent:/usr/sbin/nologin\n'
            group += f'{name}:x:{uid}:\n'
        (self.directory / 'passwd').write_text(passwd)
        (self.directory / 'group').write_text(group + 'choir:x:61360:choir-member\n')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def env(self):
        return {**os.environ, 'DBUS_SYSTEM_BUS_ADDRESS': self.address, 'LC_ALL': 'C.UTF-8'}

    def spawn(self, *command, **kwargs):
        mounts = {'passwd': '/etc/passwd', 'group': '/etc/group', 'actions': '/usr/share/polkit-1/actions',
                  'rules': '/usr/share/polkit-1/rules.d', 'local': '/etc/polkit-1/rules.d'}
        pairs = [word for name, place in mounts.items() for word in (str(self.directory / name), place)]
        return subprocess.Popen([*MOUNTED, *pairs, '--', *command], stdin=subprocess.DEVNULL, env=self.env, **kwargs)

    def run(self, *command):
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
                              env=self.env, check=False)

    def wait_name(self, name=NAME):
        done = self.run('gdbus', 'wait', '--system', '--timeout', str(int(PATIENCE)), name)
        assert done.returncode == 0, done.stderr

    def start_polkitd(self):
        self.polkitd = self.spawn(POLKITD, '--no-debug', stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait_name(AUTHORITY)

    def call(self, method, *arguments, path='/org/choir/Choir1', dest=NAME, uid=0, options=()):
        """By gdbus, as that user; raises BusError."""
        done = self.run(*as_user(uid), 'gdbus', 'call', '--system', *options, '--dest', dest, '--object-path', path,
                        '--method', method, '--', *arguments)
        if done.returncode == 0:
            return done.stdout.strip()
        kind, _, rest = done.stderr.partition('GDBus.Error:')
        assert kind == 'Error: ', done.stderr
        name, _, text = rest.strip().partition(': ')
        raise BusError(name, text)

    def kill(self):
        """The bus, and polkitd before it."""
        for process in self.polkitd, self.process:
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(DEADLINE)
        self.process.stdout.close()

    def stop(self):
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


class MockPolkit:
    """python3-dbusmock in polkit's place; by its template it refuses what it is not told to allow."""

    def __init__(self, bus):
        self.bus = bus
        self.process = subprocess.Popen(
            ['/usr/bin/python3', '-m', 'dbusmock', '--system', '--template', 'polkitd'],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=bus.env)
        bus.wait_name(AUTHORITY)
        self.control('AddMethod', '"org.freedesktop.PolicyKit1.Authority"', '"CancelCheckAuthorization"', '"s"', '""',
                     '""')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def control(self, method, *arguments):
        return self.bus.call(f'org.freedesktop.DBus.Mock.{method}', *arguments, path=AUTHORITY_PATH, dest=AUTHORITY)

    def answer(self, authorized, challenge=False, details='{}'):
        """From now on, whatever is asked."""
        self.control('AddMethod', '"org.freedesktop.PolicyKit1.Authority"', '"CheckAuthorization"',
                     '"(sa{sv})sa{ss}us"', '"(bba{ss})"',
                     f'"ret = (dbus.Boolean({authorized}), dbus.Boolean({challenge}), '
                     f'dbus.Dictionary({details}, signature=\'ss\'))"')

    def wait_line(self, words):
        """What the mock says when it is called."""
        for line in self.process.stdout:
            if words in line.decode():
                return line.decode()
        raise AssertionError(f'the mock ended without {words}')

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(DEADLINE)
        self.process.stdout.close()


def make_service(bus, settings=None, **kwargs):
    """choird on that bus, as the user it has in a distribution."""
    daemon = Daemon({'bus.bus': 'system', **(settings or {})}, env={'DBUS_SYSTEM_BUS_ADDRESS': bus.address},
                    wrapper=as_user(SERVICE), **kwargs)
    for path in daemon.directory, daemon.key_file:
        os.chown(path, SERVICE, SERVICE)
    return daemon
