# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""HAProxy with the configuration that we give to others, on ports and paths of the test's own."""

import re
import shutil
from pathlib import Path

from balancer import Balancer, make_certificate

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


class Haproxy(Balancer):
    """In front of daemons."""

    name = 'haproxy'

    def __init__(self, *daemons, timeout=None):
        self._nodes = [daemon.port for daemon in daemons]
        self._timeout = timeout
        super().__init__()

    def configure(self, state, port):
        config, cert = adapt(state, port, self._nodes, self._timeout)
        return [PROGRAM, '-db', '-f', config], cert
