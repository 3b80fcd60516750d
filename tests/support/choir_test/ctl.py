# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""choirctl as people and scripts start it: beside a bus of the test's own, through a pipe or on a terminal."""

import json
import os
import pty
import shutil
import subprocess
import termios
import unicodedata
from pathlib import Path

from .timing import DEADLINE

DONE, FAILED, USAGE, NO_SERVICE, NOT_ALLOWED, NOT_FOUND, TIMED_OUT = range(7)


def find_choirctl():
    return Path(os.environ['CHOIR_BUILD_DIR']) / 'src' / 'ctl' / 'choirctl'


def columns(text):
    """How many columns of a terminal it takes; a soft hyphen is shown."""
    return sum(0 if unicodedata.category(c) in ('Mn', 'Me', 'Cf') and c != '\xad' else 2 if unicodedata.east_asian_width(c) in 'WF' else 1 for c in text)


class Choirctl:
    """Runs it on `bus`: its words follow `--address`, or `where` instead."""

    def __init__(self, bus, where=None):
        self.bus = bus
        self.where = ['--address', bus.address] if where is None else list(where)

    @staticmethod
    def environment(env=None):
        base = {key: value for key, value in os.environ.items()
                if key not in ('COLUMNS', 'LINES', 'NO_COLOR', 'DBUS_SESSION_BUS_ADDRESS', 'LANGUAGE')}
        return {**base, 'LC_ALL': 'C.UTF-8', 'TERM': 'xterm', **(env or {})}

    def run(self, *words, input=None, env=None, prefix=(), binary=None, **kwargs):
        options = {'stdin': subprocess.DEVNULL} if input is None else {'input': input}
        return subprocess.run([*prefix, str(binary or find_choirctl()), *self.where, *words], capture_output=True, text=True,
                              timeout=DEADLINE, env=self.environment(env), check=False, **options, **kwargs)

    def __call__(self, *words, **kwargs):
        """What it prints; it must work."""
        done = self.run(*words, **kwargs)
        assert done.returncode == DONE, (words, done.returncode, done.stdout, done.stderr)
        assert done.stderr == '', done.stderr
        return done.stdout

    def json(self, *words, **kwargs):
        return json.loads(self('--json', *words, **kwargs))

    def fails(self, status, *words, contains=None, **kwargs):
        """What it says on standard error: one line a complaint, in its own name."""
        done = self.run(*words, **kwargs)
        assert done.returncode == status, (words, done.returncode, done.stdout, done.stderr)
        lines = done.stderr.splitlines()
        assert lines and all(line.startswith('choirctl: ') for line in lines), done.stderr
        assert contains is None or contains in done.stderr, done.stderr
        return done.stderr

    def on_terminal(self, *words, width=80, env=None, prefix=(), binary=None):
        """(status, what a terminal of that width is sent)"""
        master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, width))
        process = subprocess.Popen([*prefix, str(binary or find_choirctl()), *self.where, *words], stdin=slave, stdout=slave,
                                   stderr=slave, env=self.environment(env))
        os.close(slave)
        out = b''
        while True:
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            if not data:
                break
            out += data
        os.close(master)
        return process.wait(DEADLINE), out.decode().replace('\r\n', '\n')


class Ssh:
    """A program `ssh` that goes nowhere: what it is told to start over there it starts here."""

    def __init__(self, directory):
        self.directory = directory
        self.log = directory / 'ssh.log'
        for tool in 'sh', 'systemd-stdio-bridge':
            (directory / tool).symlink_to(shutil.which(tool))
        self.write('exec sh -c "$4"')

    def write(self, last_line):
        path = self.directory / 'ssh'
        path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >"{self.log}"\n{last_line}\n')
        path.chmod(0o755)

    @property
    def env(self):
        return {'PATH': str(self.directory)}

    @property
    def words(self):
        return self.log.read_text().splitlines()
