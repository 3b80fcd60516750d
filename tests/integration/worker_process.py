# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The workers of docs/examples as processes."""

import os
import signal
import subprocess
import tempfile
from pathlib import Path

from choir_test import DEADLINE

EXAMPLES = Path(__file__).resolve().parents[2] / 'docs' / 'examples'

# over a WebSocket, and over HTTP
PYTHON, C = 'python', 'c'


class WorkerProcess:
    """One of them, at work for `daemon`."""

    def __init__(self, which, daemon, *arguments, token=None, url=None):
        host = f'127.0.0.1:{daemon.port}'
        if which == PYTHON:
            command = ['/usr/bin/python3', str(EXAMPLES / 'worker.py'), url or f'ws://{host}/ws']
        else:
            build = Path(os.environ['CHOIR_BUILD_DIR'])
            command = [str(build / 'docs' / 'examples' / 'choir-example-worker'), url or f'http://{host}']
        token = daemon.mint('worker', (), roles=['worker']) if token is None else token
        self.which = which
        self._log = tempfile.TemporaryFile('w+')
        # libproxy throws C++ exceptions, which AddressSanitizer in a C program of clang's can't let through
        environment = {**os.environ, 'CHOIR_TOKEN': token, 'GIO_USE_PROXY_RESOLVER': 'dummy'}
        self.process = subprocess.Popen([*command, *arguments], stdin=subprocess.DEVNULL, stdout=self._log,
                                        stderr=self._log, env=environment)

    def log(self):
        self._log.seek(0)
        return self._log.read()

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self):
        """Its exit code."""
        return self.process.wait(DEADLINE)

    def kill(self):
        """SIGKILL, as a crash would."""
        self.process.kill()
        self.process.wait(DEADLINE)

    def stop(self):
        """It must leave by itself, and without complaint."""
        if self.process.poll() is None:
            self.signal()
        try:
            code = self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f'the worker does not stop:\n{self.log()}') from None
        assert code == 0, f'{code}\n{self.log()}'
