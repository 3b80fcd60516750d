# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""choird as a process: fresh directories, own key, a port of its own, and an eye on what it says."""

import json
import os
import re
import resource
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

from .timing import DEADLINE, Deadline, scaled
from .tokens import mint

# What must never stand on stderr unless the test declared it
_SANITIZER = re.compile(r'(Address|Leak|Memory|Thread|UndefinedBehavior)Sanitizer|runtime error:|==\d+==ERROR')
_GLIB_COMPLAINT = re.compile(r'(WARNING|CRITICAL|ERROR) \*\*|\*\* (WARNING|CRITICAL|ERROR)|^Bail out!')
_CONSOLE_COMPLAINT = re.compile(r'^\W*(?:\S+ )?(warning|critical|error)\b', re.IGNORECASE)

BASE_SETTINGS = {
    'server.listen': '127.0.0.1:0',
    'server.drain-timeout': '1s',
    'server.echo-path': '/echo',
    # Every client of a test run comes from one address
    'server.max-connections-per-address': '100000',
    'rate.connect-per-address': '60000/1s',
    'store.backend': 'memory',
    'bus.bus': 'none',
}


# Tests stop the daemon with clients connected that never answer its close
ALWAYS_EXPECTED = (r'clients? ha(s|ve) not left in time',)


class DaemonError(AssertionError):
    """choird did not start, did not stop, died, or complained."""


class _Lines:
    """A pipe read by a thread into lines that can be waited for."""

    def __init__(self, pipe):
        self._pipe = pipe
        self._changed = threading.Condition()
        self.lines = []
        self.ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        for line in self._pipe:
            with self._changed:
                self.lines.append(line.decode('utf-8', 'backslashreplace').rstrip('\n'))
                self._changed.notify_all()
        with self._changed:
            self.ended = True
            self._changed.notify_all()
        self._pipe.close()

    def wait(self, predicate, timeout=DEADLINE, start=0):
        """The first line from `start` on that `predicate` accepts; None if the pipe ends or time is up."""
        deadline = Deadline(timeout)
        seen = start
        with self._changed:
            while True:
                for line in self.lines[seen:]:
                    if predicate(line):
                        return line
                seen = len(self.lines)
                if self.ended or deadline.passed():
                    return None
                self._changed.wait(deadline.left())

    def join(self):
        self._thread.join(DEADLINE)

    def snapshot(self):
        with self._changed:
            return list(self.lines)


def find_binary():
    build = os.environ.get('CHOIR_BUILD_DIR')
    if not build:
        raise DaemonError('CHOIR_BUILD_DIR is not set: it names the build directory that holds src/daemon/choird')
    path = Path(build) / 'src' / 'daemon' / 'choird'
    if not path.exists():
        raise DaemonError(f'{path} does not exist')
    return path


def is_sanitized():
    """Whether choird carries AddressSanitizer: its memory figures are then a multiple. CHOIR_TEST_SANITIZED=0/1 decides."""
    forced = os.environ.get('CHOIR_TEST_SANITIZED')
    if forced is not None:
        return forced not in ('', '0', 'no')
    with open(find_binary(), 'rb') as binary:
        return b'__asan_init' in binary.read()


class Daemon:
    """Use as a context manager, or start() and stop().

    `settings`: {'section.key': value}, over BASE_SETTINGS (None takes one of those away). `config`: more text for the
    configuration file. `expect_log`: regular expressions of complaints the test means to provoke. `limits`:
    {resource.RLIMIT_X: n}. `listen`: several listeners. `directory`: reuse one, to start again on the same data.
    """

    def __init__(self, settings=None, config='', expect_log=(), limits=None, listen=None, notify=False, env=None,
                 directory=None, wrapper=()):
        self.binary = find_binary()
        self.sanitized = is_sanitized()
        self._owns_directory = directory is None
        self.directory = Path(directory or tempfile.mkdtemp(prefix='choir-test-'))
        self.settings = {**BASE_SETTINGS, **(settings or {})}
        if listen is not None:
            self.settings['server.listen'] = ';'.join(listen)
        self.expect_log = [re.compile(pattern) for pattern in (*ALWAYS_EXPECTED, *expect_log)]
        self._config = config
        self._limits = limits or {}
        self._extra_env = env or {}
        self._wrapper = list(wrapper)
        self._notify = self._open_notify() if notify else None
        self.process = None
        self.listeners = []
        self.key_file = self.directory / 'hs256.key'
        if self.key_file.exists():
            self.key = self.key_file.read_text()
        else:
            self.key = secrets.token_hex(32)
            self.key_file.touch(mode=0o600)
            self.key_file.write_text(self.key)
        self.settings.setdefault('auth.key', f'HS256:main:{self.key_file}')

    def _open_notify(self):
        path = str(self.directory / 'notify.sock')
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.bind(path)
        return sock

    @property
    def config_file(self):
        return self.directory / 'choir.conf'

    @property
    def arguments(self):
        """What every run of the binary on this configuration gets."""
        out = ['--config', str(self.config_file)]
        for name, value in self.settings.items():
            if value is not None:
                out += ['--set', f'{name}={value}']
        return out

    def _environment(self):
        env = {key: value for key, value in os.environ.items()
               if not key.startswith(('CHOIR_', 'WEBSOCKET_')) and key not in ('NOTIFY_SOCKET', 'ENVIRONMENT')}
        env.setdefault('ASAN_OPTIONS', 'fast_unwind_on_malloc=0')
        env.setdefault('UBSAN_OPTIONS', 'halt_on_error=1:print_stacktrace=1')
        env['STATE_DIRECTORY'] = str(self.directory)
        if self._notify is not None:
            env['NOTIFY_SOCKET'] = self._notify.getsockname()
        env.update(self._extra_env)
        return env

    def write_config(self, text=None):
        self.config_file.write_text(self._config if text is None else text)

    # Starting and stopping

    def spawn(self):
        """Starts the process without waiting for it to be ready."""
        if not self.config_file.exists():
            self.write_config()

        def limit():
            for which, value in self._limits.items():
                resource.setrlimit(which, (value, value))

        self.process = subprocess.Popen(
            [*self._wrapper, str(self.binary), '--log-format=json', *self.arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=self.directory, env=self._environment(), preexec_fn=limit if self._limits else None)
        self._stdout = _Lines(self.process.stdout)
        self._stderr = _Lines(self.process.stderr)
        return self

    def start(self):
        self.spawn()
        wanted = len(self.settings['server.listen'].split(';'))
        found = []

        def is_listener(line):
            if line.startswith('listening on '):
                found.append(line.removeprefix('listening on '))
            return len(found) == wanted

        if self._stdout.wait(is_listener, scaled(30)) is None:
            self.kill()
            raise DaemonError(f'choird did not start (exit {self.process.returncode}):\n{self.log()}')
        self.listeners = [self._parse_listener(text) for text in found]
        return self

    @staticmethod
    def _parse_listener(text):
        if text.startswith('unix:'):
            return text.removeprefix('unix:')
        host, _, port = text.rpartition(':')
        return host.strip('[]'), int(port)

    @property
    def address(self):
        """Of the first listener: (host, port), or a path."""
        return self.listeners[0]

    @property
    def port(self):
        return self.address[1]

    @property
    def pid(self):
        return self.process.pid

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def wait_notify(self, wanted='READY=1', timeout=DEADLINE):
        """Reads sd_notify datagrams until one has the line `wanted`; returns all lines seen."""
        deadline = Deadline(timeout)
        seen = []
        while wanted not in seen:
            self._notify.settimeout(max(0.001, deadline.left()))
            try:
                seen += self._notify.recv(4096).decode().split('\n')
            except (TimeoutError, socket.timeout):
                raise DaemonError(f'no {wanted} in time; notified {seen}') from None
        return seen

    def wait_log(self, pattern, timeout=DEADLINE, start=0):
        """The first line on stderr that matches; fails if it does not come."""
        matcher = re.compile(pattern)
        line = self._stderr.wait(lambda text: matcher.search(text) is not None, timeout, start)
        if line is None:
            raise DaemonError(f'nothing like {pattern!r} was logged:\n{self.log()}')
        return line

    def wait_exit(self, timeout=DEADLINE):
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise DaemonError(f'choird did not exit in {timeout:g} s:\n{self.log()}') from None
        self._stdout.join()
        self._stderr.join()
        return code

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, timeout=None):
        """SIGTERM; exit code 0 and a clean log are demanded."""
        try:
            if self.is_alive():
                self.signal(signal.SIGTERM)
            code = self.wait_exit(scaled(30) if timeout is None else timeout)
            self.assert_clean()
            if code != 0:
                raise DaemonError(f'choird exited with {code}:\n{self.log()}')
        finally:
            self._remove()

    def kill(self):
        """SIGKILL, nothing checked, data kept."""
        if self.is_alive():
            self.process.kill()
        self.process.wait(DEADLINE)
        self._stdout.join()
        self._stderr.join()

    def _remove(self):
        if self._notify is not None:
            self._notify.close()
        if self._owns_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.stop()
        else:
            self.kill()
            print(self.log())
            self._remove()

    # What it says

    def log(self, tail=200):
        return '\n'.join(self._stderr.snapshot()[-tail:])

    def log_lines(self):
        return self._stderr.snapshot()

    def complaints(self):
        """Sanitizer reports, and undeclared lines of level warning and worse."""
        lines = self._stderr.snapshot()
        return [line for line in lines
                if _SANITIZER.search(line) or (_is_complaint(line) and not self._is_expected(line))]

    def _is_expected(self, line):
        return any(pattern.search(line) for pattern in self.expect_log)

    def assert_clean(self):
        found = self.complaints()
        if found:
            raise DaemonError('choird complained:\n' + '\n'.join(found[:20]) + '\n--- log ---\n' + self.log())

    # What it costs

    def _status(self, field):
        for line in Path(f'/proc/{self.pid}/status').read_text().splitlines():
            if line.startswith(field + ':'):
                return int(line.split()[1]) * 1024
        raise DaemonError(f'{field} is missing')

    def rss(self):
        """Resident bytes now."""
        return self._status('VmRSS')

    def peak_rss(self):
        return self._status('VmHWM')

    def reset_peak_rss(self):
        Path(f'/proc/{self.pid}/clear_refs').write_text('5')

    def cpu_time(self):
        """Seconds of user and system time so far."""
        fields = Path(f'/proc/{self.pid}/stat').read_text().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def n_fds(self):
        return len(os.listdir(f'/proc/{self.pid}/fd'))

    # Tokens

    def mint(self, sub='alice', permissions=('*:*:*',), **kwargs):
        """A token this daemon accepts, made by PyJWT."""
        return mint(kwargs.pop('key', self.key), sub, permissions, **kwargs)

    def run_cli(self, *arguments):
        """`choird VERB ...` on the same configuration; returns the finished process."""
        return subprocess.run([str(self.binary), *arguments, *self.arguments], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=DEADLINE, env=self._environment(), check=False)

    def cli_token(self, *arguments):
        done = self.run_cli('token', *arguments)
        if done.returncode != 0:
            raise DaemonError(f'choird token: {done.stderr}')
        return done.stdout.strip()


def _is_complaint(line):
    if line.startswith('{'):
        try:
            record = json.loads(line)
        except ValueError:
            return True
        level = str(record.get('level', record.get('PRIORITY', record.get('priority', 'info')))).lower()
        return level in ('warning', 'warn', 'critical', 'error', 'emerg', 'alert', 'err', '0', '1', '2', '3', '4')
    return bool(_GLIB_COMPLAINT.search(line) or _CONSOLE_COMPLAINT.search(line))
