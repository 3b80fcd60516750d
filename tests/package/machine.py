# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A Debian that is booted in systemd-nspawn, on a copy that is thrown away.

The tests stay outside: commands go in by nsenter, and connections by having this process in the machine's network.
"""

import ctypes
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from choir_test.timing import Deadline, scaled

HERE = Path(__file__).resolve().parent
BOOT_S = 90
COMMAND_S = 120
CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
PR_SET_PDEATHSIG = 1
# not in a tmpfs
PLACE, PREFIX = Path('/var/tmp'), 'choir-machine-'
_libc = ctypes.CDLL(None, use_errno=True)
ENVIRONMENT = ('PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL=C.UTF-8', 'HOME=/root', 'DEBIAN_FRONTEND=noninteractive',
               'SYSTEMD_PAGER=')


class MachineError(AssertionError):
    """It did not boot, or a command in it failed."""


def base_directory():
    cache = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(cache) / 'choir-test-root'


def why_not():
    """What is missing here to boot a machine; None if nothing is."""
    if os.geteuid() != 0:
        return 'only root can boot a machine'
    for program in ('systemd-nspawn', 'debootstrap', 'nsenter', 'dpkg-buildpackage'):
        if not any(os.access(f'{folder}/{program}', os.X_OK) for folder in ('/usr/sbin', '/usr/bin', '/sbin', '/bin')):
            return f'{program} is not installed'
    # what nspawn needs is more than to be root
    if subprocess.run(['unshare', '-m', '-n', '-p', '--fork', 'mount', '-t', 'tmpfs', 'none', '/mnt'],
                      capture_output=True, check=False).returncode != 0:
        return 'namespaces and mounts are not allowed here'
    return None


def make_base():
    """The Debian that all runs share; made from the network the first time."""
    done = subprocess.run(['sh', str(HERE / 'make-root.sh'), str(base_directory())], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=scaled(600), check=False)
    if done.returncode != 0:
        raise MachineError('no Debian could be made:\n' + '\n'.join(done.stdout.splitlines()[-30:]))


def _call(name, *arguments):
    if getattr(_libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f'{name}: {os.strerror(ctypes.get_errno())}')


def _try_lock(folder):
    """A descriptor that holds it as long as it is open; None if somebody else has one."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def _sweep():
    """Away with what runs have left that were killed."""
    for folder in PLACE.glob(PREFIX + '*'):
        lock = _try_lock(folder)
        if lock is not None:
            subprocess.run(['rm', '-rf', '--one-file-system', str(folder)], check=False)
            os.close(lock)


class Machine:
    """start() or a context manager. `files`: a folder that is /packages there."""

    def __init__(self, files):
        self._files = Path(files)
        _sweep()
        self._work = Path(tempfile.mkdtemp(prefix=PREFIX, dir=PLACE))
        self._lock = _try_lock(self._work)
        self._root = self._work / 'root'
        self._console = self._work / 'console'
        self._process = None
        self._leader = None
        self._own_network = os.open('/proc/self/ns/net', os.O_RDONLY | os.O_CLOEXEC)

    # Its life

    def start(self):
        for name in ('upper', 'work', 'root'):
            (self._work / name).mkdir()
        # whatever becomes of this process, its mounts end with it
        _call('unshare', CLONE_NEWNS)
        subprocess.run(['mount', '--make-rprivate', '/'], check=True)
        self._fill_root()
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(str(self._work / 'notify'))
        with open(self._console, 'wb') as console:
            self._process = subprocess.Popen(
                ['systemd-nspawn', '--boot', '--quiet', '--register=no', '--keep-unit', '--private-network',
                 '--notify-ready=yes', '--machine=choir-test', f'--bind-ro={self._files}:/packages',
                 '--directory', str(self._root)],
                stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT,
                preexec_fn=lambda: _call('prctl', PR_SET_PDEATHSIG, signal.SIGTERM),
                env={**os.environ, 'NOTIFY_SOCKET': str(self._work / 'notify')})
        self._wait_ready(notify)
        notify.close()
        self._enter_network(f'/proc/{self._leader}/ns/net')
        return self

    def _fill_root(self):
        done = subprocess.run(['mount', '-t', 'overlay', 'choir-test', '-o',
                               f'lowerdir={base_directory()},upperdir={self._work}/upper,workdir={self._work}/work',
                               str(self._root)], capture_output=True, check=False)
        # not over every file system, and not over another overlay
        if done.returncode != 0:
            subprocess.run(['cp', '-a', f'{base_directory()}/.', str(self._root)], check=True)

    def _wait_ready(self, notify):
        deadline = Deadline(scaled(BOOT_S))
        said = []
        while 'READY=1' not in said:
            notify.settimeout(min(1, max(0.001, deadline.left())))
            try:
                said += notify.recv(4096).decode().split('\n')
            except TimeoutError:
                if self._process.poll() is not None or deadline.passed():
                    raise MachineError(f'it did not boot; told {said}:\n{self.console()}') from None
        found = [line for line in said if line.startswith('X_NSPAWN_LEADER_PID=')]
        self._leader = int(found[0].partition('=')[2])

    def _enter_network(self, path):
        """What this thread opens, and starts, is in that network from now on."""
        fd = path if isinstance(path, int) else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        _call('setns', fd, CLONE_NEWNET)
        if fd != path:
            os.close(fd)

    def stop(self):
        self._enter_network(self._own_network)
        os.close(self._own_network)
        if self._process is not None:
            if self._process.poll() is None:
                # for nspawn: an orderly power-off
                self._process.send_signal(signal.SIGTERM)
                try:
                    self._process.wait(scaled(60))
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    self._process.wait()
            _remove_cgroups()
        subprocess.run(['umount', '--quiet', str(self._root)], check=False)
        subprocess.run(['rm', '-rf', '--one-file-system', str(self._work)], check=True)
        os.close(self._lock)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

    def console(self):
        text = self._console.read_text(errors='replace') if self._console.exists() else ''
        return '\n'.join(text.splitlines()[-40:])

    # Commands

    def command(self, *command, user=None, env=()):
        """What to run here so that it runs there, as root unless a user is named."""
        as_user = ['setpriv', f'--reuid={user}', f'--regid={user}', '--init-groups', '--'] if user else []
        return ['nsenter', '-t', str(self._leader), '-a', '--', 'env', '-i', *ENVIRONMENT, *env, *as_user, *command]

    def try_run(self, *command, timeout=COMMAND_S, stdin='', **kwargs):
        """The finished process."""
        return subprocess.run(self.command(*command, **kwargs), input=stdin, capture_output=True, text=True,
                              timeout=scaled(timeout), check=False)

    def run(self, *command, **kwargs):
        """Its output; what fails, fails the test."""
        done = self.try_run(*command, **kwargs)
        if done.returncode != 0:
            raise MachineError(f'{" ".join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}'
                               f'--- journal ---\n{self.journal_tail()}')
        return done.stdout

    def spawn(self, *command):
        return subprocess.Popen(self.command(*command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    @property
    def files(self):
        """Where its root is, seen from here."""
        return f'/proc/{self._leader}/root'

    def run_here(self, *command, **kwargs):
        """A program that it has not: one of ours, among its processes and in its network, but not its files."""
        return subprocess.run(['nsenter', '-t', str(self._leader), '-p', '-n', '-i', '-u', '--', *command], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=scaled(COMMAND_S), check=False, **kwargs)

    # Files

    def write(self, path, text, mode='0644'):
        self.run('sh', '-c', 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"', 'sh', path, mode, stdin=text)

    def read(self, path):
        return self.run('cat', path)

    def exists(self, path):
        return self.try_run('test', '-e', path).returncode == 0

    def remove(self, *paths):
        self.run('rm', '-rf', *paths)

    # systemd

    def systemctl(self, *arguments, **kwargs):
        return self.run('systemctl', *arguments, **kwargs).strip()

    def show(self, unit, name):
        return self.systemctl('show', '-P', name, unit)

    def is_active(self, unit):
        return self.try_run('systemctl', 'is-active', '--quiet', unit).returncode == 0

    def failed_units(self):
        return self.systemctl('--failed', '--plain', '--no-legend')

    def drop_in(self, unit, text):
        self.write(f'/run/systemd/system/{unit}.d/test.conf', text)
        self.systemctl('daemon-reload')

    def remove_drop_in(self, unit):
        self.remove(f'/run/systemd/system/{unit}.d')
        self.systemctl('daemon-reload')

    # The journal

    def cursor(self):
        """Where the journal ends now."""
        text = self.run('journalctl', '-q', '-n', '0', '--show-cursor')
        return re.search(r'-- cursor: (\S+)', text)[1]

    def journal(self, *matches, after=None):
        """Entries as they are stored."""
        since = [f'--after-cursor={after}'] if after else []
        self.run('journalctl', '--sync')
        text = self.run('journalctl', '-q', '-o', 'json', '--all', *since, *matches)
        return [json.loads(line) for line in text.splitlines()]

    def journal_tail(self):
        return self.try_run('journalctl', '-q', '-n', '40', '--no-hostname').stdout

    def wait_journal(self, pattern, after, timeout=60):
        """The first message after a cursor that matches; fails if it does not come."""
        follower = self.spawn('journalctl', '-q', '-f', '-o', 'cat', '-n', 'all', f'--after-cursor={after}')
        timer = threading.Timer(scaled(timeout), follower.kill)
        timer.start()
        try:
            for line in follower.stdout:
                if re.search(pattern, line):
                    return line
        finally:
            timer.cancel()
            follower.kill()
            follower.wait()
        raise MachineError(f'nothing like {pattern!r} came:\n{self.journal_tail()}')

    def wait_until(self, condition, what, timeout=60):
        deadline = Deadline(scaled(timeout))
        while not condition():
            if deadline.passed():
                raise MachineError(f'not in time: {what}\n{self.journal_tail()}')
            time.sleep(0.05)


def _remove_cgroups():
    """nspawn leaves two empty folders in each hierarchy."""
    places = {line.split(':', 2)[1]: line.split(':', 2)[2] for line in
              Path('/proc/self/cgroup').read_text().splitlines()}
    mounts = [line.split() for line in Path('/proc/self/mountinfo').read_text().splitlines()]
    for mount in mounts:
        kind = mount[mount.index('-') + 1]
        if kind not in ('cgroup', 'cgroup2'):
            continue
        options = mount[-1].split(',')
        own = [path for name, path in places.items() if (not name and kind == 'cgroup2') or set(name.split(',')) & set(options)]
        for name in ('payload', 'supervisor'):
            for path in own:
                folder = Path(mount[4] + path.rstrip('/')) / name
                for inner in sorted(folder.glob('**/'), key=lambda path: -len(path.parts)) if folder.is_dir() else []:
                    try:
                        inner.rmdir()
                    except OSError:
                        # somebody else's machine is in it
                        break
