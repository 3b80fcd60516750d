# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""HAProxy with the configuration that we give to others, on ports and paths of the test's own."""

import re
import shutil
import socket
import ssl
import subprocess
import tempfile
from pathlib import Path

from choir_test import DEADLINE, Deadline, scaled
from nginx import make_certificate

CONFIG = Path(__file__).resolve().parents[2] / 'data' / 'haproxy' / 'choir.cfg'
PROGRAM = shutil.which('haproxy') or '/usr/sbin/haproxy'


def adapt(state, port, nodes, timeout=None):
    """The configuration for these ports. `nodes`: of Choir. `timeout`: in the place of the two minutes."""
    cert, key = make_certificate(state)
    (state / 'both.pem').write_text(cert.read_text() + key.read_text())
    servers = '\n'.join(f'  server node{i} 127.0.0.1:{node}' for i, node in enumerate(nodes, 1))
    text = CONFIG.read_text()
    changes = [(r'bind :443', f'bind 127.0.0.1:{port}'), (r'crt /etc/haproxy/certs/\S+\.pem', f'crt {state}/both.pem'),
               (r'  server node1 127\.0\.0\.1:8800\n', f'{servers}\n'), (r'log /dev/log local0', 'log stdout format raw local0'),
               (r'inter 2s fall 2', 'inter 100ms fall 1'), (r'maxconn 20000', 'maxconn 400')]
    for pattern, value in changes:
        text, n = re.subn(pattern, value, text)
        assert n == 1, (pattern, n)
    if timeout:
        text, n = re.subn(r'(timeout (?:client|server|tunnel)) 120s', rf'\1 {timeout}', text)
        assert n == 3, n
    path = state / 'haproxy.cfg'
    path.write_text(text)
    return path, cert


class Haproxy:
    """In front of daemons; use as a context manager. Speaks TLS, as the configuration has it."""

    def __init__(self, *daemons, timeout=None):
        self._state = Path(tempfile.mkdtemp(prefix='choir-haproxy-'))
        with socket.socket() as sock:
            sock.bind(('127.0.0.1', 0))
            self.address = sock.getsockname()
        config, cert = adapt(self._state, self.address[1], [daemon.port for daemon in daemons], timeout)
        self.context = ssl.create_default_context(cafile=str(cert))
        self._log = open(self._state / 'log', 'wb')
        self._process = subprocess.Popen([PROGRAM, '-db', '-f', config], stdin=subprocess.DEVNULL, stdout=self._log,
                                         stderr=subprocess.STDOUT)
        self._wait()

    def _wait(self):
        deadline = Deadline(DEADLINE)
        while True:
            try:
                socket.create_connection(self.address, timeout=DEADLINE).close()
                return
            except ConnectionRefusedError:
                assert self._process.poll() is None, self.log()
                assert not deadline.passed(), 'HAProxy does not listen'

    def wrap(self, sock):
        sock.setblocking(True)
        tls = self.context.wrap_socket(sock, server_hostname='localhost')
        tls.setblocking(False)
        return tls

    def log(self):
        return (self._state / 'log').read_text()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._process.terminate()
        self._process.wait(scaled(30))
        self._log.close()
        shutil.rmtree(self._state, ignore_errors=True)
