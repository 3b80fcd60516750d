# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""nginx with the configuration that we give to others, on ports and paths of the test's own."""

import re
import shutil
import socket
import ssl
import subprocess
import tempfile
from pathlib import Path

from choir_test import DEADLINE, Deadline, scaled

CONFIG = Path(__file__).resolve().parents[2] / 'data' / 'nginx' / 'choir.conf'

_MAIN = '''
daemon off;
pid {state}/nginx.pid;
error_log stderr warn;
worker_processes 1;
events {{ worker_connections 4096; }}
http {{
  client_body_temp_path {state}/body;
  proxy_temp_path {state}/proxy;
  fastcgi_temp_path {state}/fastcgi;
  uwsgi_temp_path {state}/uwsgi;
  scgi_temp_path {state}/scgi;
  include {state}/choir.conf;
}}
'''


def make_certificate(directory):
    cert, key = Path(directory) / 'cert.pem', Path(directory) / 'key.pem'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
                    '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', cert],
                   check=True, capture_output=True, timeout=scaled(30))
    return cert, key


def _free_port():
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()[1]


class Nginx:
    """In front of a daemon; use as a context manager. Speaks TLS, as the configuration has it."""

    def __init__(self, daemon):
        self._state = Path(tempfile.mkdtemp(prefix='choir-nginx-'))
        self.port = _free_port()
        self.address = ('127.0.0.1', self.port)
        cert, key = make_certificate(self._state)
        self.context = ssl.create_default_context(cafile=str(cert))
        text = CONFIG.read_text()
        for pattern, value in ((r'server 127\.0\.0\.1:8800;', f'server 127.0.0.1:{daemon.port};'),
                               (r'listen 443 ssl;', f'listen 127.0.0.1:{self.port} ssl;'), (r'listen \[::\]:443 ssl;', ''),
                               (r'/etc/ssl/certs/\S+\.pem', str(cert)), (r'/etc/ssl/private/\S+\.key', str(key)),
                               (r'/var/log/nginx', str(self._state))):
            text, n = re.subn(pattern, value, text)
            assert n == 1 or 'log' in pattern, (pattern, n)
        (self._state / 'choir.conf').write_text(text)
        (self._state / 'nginx.conf').write_text(_MAIN.format(state=self._state))
        self._process = subprocess.Popen(
            [shutil.which('nginx') or '/usr/sbin/nginx', '-e', 'stderr', '-p', self._state, '-c', self._state / 'nginx.conf'],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self._wait()

    def _wait(self):
        deadline = Deadline(DEADLINE)
        while True:
            try:
                socket.create_connection(self.address, timeout=DEADLINE).close()
                return
            except ConnectionRefusedError:
                assert self._process.poll() is None, self._process.stderr.read().decode()
                assert not deadline.passed(), 'nginx does not listen'

    def wrap(self, sock):
        sock.setblocking(True)
        tls = self.context.wrap_socket(sock, server_hostname='localhost')
        tls.setblocking(False)
        return tls

    def log(self):
        return (self._state / 'choir.log').read_text()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._process.terminate()
        self._process.wait(scaled(30))
        self._process.stderr.close()
        shutil.rmtree(self._state, ignore_errors=True)
