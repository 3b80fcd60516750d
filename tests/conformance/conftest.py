# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""One daemon for the whole suite; a test that kills it is charged for it and the next gets a new one.

CHOIR_ECHO_TARGET=HOST:PORT points the suite at any server that echoes at /echo; what needs choird is skipped then.
"""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'support'))

from choir_test import Daemon, DaemonError, RawWs  # noqa: E402

MAX_MESSAGE = 1024 * 1024

SETTINGS = {
    'protocol.max-message-size': '1M',
    'protocol.max-queue-bytes': '16M',
    'protocol.heartbeat-interval': '10m',
    'protocol.idle-timeout': '10m',
    'server.handshake-timeout': '2m',
    'server.max-connections-per-user': '1000',
}

# The daemon may not have seen yet that the clients of the test before are gone
CONFIG = '[dialect reviewpoint]\nmax-connections-per-user=1000\n'


class Server:
    """What the tests talk to: choird, or a foreign server."""

    def __init__(self, settings=None):
        target = os.environ.get('CHOIR_ECHO_TARGET')
        self.daemon = None
        self._opened = []
        self._settings = {**SETTINGS, **(settings or {})}
        if target:
            host, _, port = target.rpartition(':')
            self._foreign = host, int(port)
        else:
            self._foreign = None
            self._start()

    def _start(self):
        self.daemon = Daemon(self._settings, config=CONFIG).start()

    @property
    def address(self):
        return self._foreign or self.daemon.address

    @property
    def url(self):
        host, port = self.address
        return f'ws://{host}:{port}'

    def connect(self):
        """TCP only."""
        return self._keep(RawWs(self.address))

    def open(self, *args, **kwargs):
        """A connection that has been upgraded."""
        return self._keep(RawWs.open(self.address, *args, **kwargs))

    def _keep(self, ws):
        self._opened.append(ws)
        return ws

    def close_clients(self):
        for ws in self._opened:
            ws.close()
        self._opened.clear()

    def check(self):
        """After each test: still running, nothing to complain about."""
        self.close_clients()
        if self.daemon is None:
            return
        if not self.daemon.is_alive():
            log = self.daemon.log()
            self._start()
            raise DaemonError(f'choird died during this test:\n{log}')
        complaints = self.daemon.complaints()
        if complaints:
            self.daemon.kill()
            self._start()
            raise DaemonError('choird complained during this test:\n' + '\n'.join(complaints))

    def stop(self):
        self.close_clients()
        if self.daemon is not None:
            self.daemon.stop()


def need_choird():
    if os.environ.get('CHOIR_ECHO_TARGET'):
        pytest.skip('needs choird, not a foreign server')


@pytest.fixture(scope='session')
def shared_server():
    server = Server()
    yield server
    server.stop()


@pytest.fixture(scope='session')
def shared_takeover_server():
    need_choird()
    server = Server({'protocol.compression-context-takeover': 'yes'})
    yield server
    server.stop()


@pytest.fixture
def server(shared_server):
    yield shared_server
    shared_server.check()


@pytest.fixture
def takeover_server(shared_takeover_server):
    """One that keeps its compression context between messages."""
    yield shared_takeover_server
    shared_takeover_server.check()


@pytest.fixture
def choird(server):
    """The daemon behind `server`."""
    need_choird()
    return server.daemon


@pytest.fixture
def ws(server):
    return server.open('/echo')
