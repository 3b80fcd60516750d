# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What stands between clients and Choir and speaks TLS to the clients: what nginx.py and haproxy.py have in common."""

import shutil
import socket
import ssl
import subprocess
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path

from choir_test import DEADLINE, Deadline, scaled


def make_certificate(directory):
    cert, key = Path(directory) / 'cert.pem', Path(directory) / 'key.pem'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
                    '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', cert],
                   check=True, capture_output=True, timeout=scaled(30))
    return cert, key


class Balancer(ABC):
    """A program in front of daemons; use as a context manager. A kind of it says by configure() what to start."""

    name = ''

    def __init__(self):
        self._state = Path(tempfile.mkdtemp(prefix=f'choir-{self.name}-'))
        with socket.socket() as sock:
            sock.bind(('127.0.0.1', 0))
            self.address = sock.getsockname()
        command, cert = self.configure(self._state, self.address[1])
        self.context = ssl.create_default_context(cafile=str(cert))
        with open(self._state / 'output', 'wb') as output:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        self._wait()

    @abstractmethod
    def configure(self, state, port):
        """(the command, the file of the certificate); `state` is a directory for both, and for what it writes."""

    @property
    def port(self):
        return self.address[1]

    def _wait(self):
        deadline = Deadline(DEADLINE)
        while True:
            try:
                socket.create_connection(self.address, timeout=DEADLINE).close()
                return
            except ConnectionRefusedError:
                assert self._process.poll() is None, self.output()
                assert not deadline.passed(), f'{self.name} does not listen'

    def wrap(self, sock):
        sock.setblocking(True)
        tls = self.context.wrap_socket(sock, server_hostname='localhost')
        tls.setblocking(False)
        return tls

    def output(self):
        """What it has said itself."""
        return (self._state / 'output').read_text()

    def log(self):
        """What it has noted of requests."""
        return self.output()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self._process.terminate()
        self._process.wait(scaled(30))
        shutil.rmtree(self._state, ignore_errors=True)
