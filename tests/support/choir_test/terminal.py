# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A program on a terminal of its own: what it draws, the keys it is given, and how it leaves the terminal behind."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios

from .timing import DEADLINE, Deadline

# What xterm and its like take as commands: the longer ones first (ECMA-48, and two characters of DEC's)
SEQUENCES = re.compile(r'\x1b\[[0-?]*[ -/]*[@-~]|\x1b[=>78]|\x1b\][^\x07]*\x07')


class Terminal:
    """`with Terminal([program, ...], env) as terminal`. `rows` and `columns` are its size."""

    def __init__(self, command, env, rows=24, columns=80):
        self.master, self._slave = pty.openpty()
        self.resize(rows, columns, tell=False)
        self._before = termios.tcgetattr(self._slave)
        self.raw = ''
        self.process = subprocess.Popen(command, stdin=self._slave, stdout=self._slave, stderr=self._slave,
                                        env={'TERM': 'xterm', **env}, start_new_session=True, preexec_fn=self._take)

    def _take(self):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE)
        os.close(self.master)
        os.close(self._slave)

    def resize(self, rows, columns, tell=True):
        """The kernel says SIGWINCH to whoever is in front."""
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def send(self, keys):
        os.write(self.master, keys.encode())

    @property
    def is_as_before(self):
        return termios.tcgetattr(self._slave) == self._before

    @property
    def text(self):
        """Everything so far, without commands to the terminal."""
        return SEQUENCES.sub('', self.raw)

    @property
    def screen(self):
        """The newest that was drawn from the top."""
        return SEQUENCES.sub('', self.raw.rpartition('\x1b[H')[2])

    def _read(self, seconds):
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return False
        try:
            self.raw += os.read(self.master, 65536).decode('utf-8', 'replace')
        except OSError:
            return False
        return True

    def wait(self, predicate, timeout=DEADLINE):
        """Reads until predicate(self) holds; what it says, or fails with what there was."""
        deadline = Deadline(timeout)
        while not (found := predicate(self)):
            if not self._read(deadline.left()) and deadline.passed():
                raise AssertionError(f'not in time; the terminal shows\n{self.text[-3000:]}')
        return found

    def text_since(self, start):
        """As `text`, from that place in `raw` on."""
        return SEQUENCES.sub('', self.raw[start:])

    def wait_text(self, pattern, start=0):
        """Until a regular expression is found in what came behind `start` in `raw`."""
        matcher = re.compile(pattern)
        return self.wait(lambda terminal: matcher.search(terminal.text_since(start)))

    def wait_screen(self, pattern):
        """Until what was drawn last has it."""
        matcher = re.compile(pattern)
        return self.wait(lambda terminal: matcher.search(terminal.screen))

    def wait_exit(self):
        """The exit status; all that was said until then is in `raw`."""
        deadline = Deadline(DEADLINE)
        while self.process.poll() is None:
            if deadline.passed():
                raise AssertionError(f'does not end; the terminal shows\n{self.text[-3000:]}')
            # what nobody reads would hold it up
            self._read(min(deadline.left(), 0.05))
        while self._read(0):
            pass
        return self.process.returncode

    def signal(self, number):
        os.kill(self.process.pid, number)

    def wait_stopped(self):
        """Until the process has been stopped, as by ^Z."""
        deadline = Deadline(DEADLINE)
        while not deadline.passed():
            pid, status = os.waitpid(self.process.pid, os.WUNTRACED | os.WNOHANG)
            if pid and os.WIFSTOPPED(status):
                while self._read(0):
                    pass
                return
            self._read(min(deadline.left(), 0.05))
        raise AssertionError(f'was not stopped; the terminal shows\n{self.text[-3000:]}')

    def go_on(self):
        self.signal(signal.SIGCONT)
