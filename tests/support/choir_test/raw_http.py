# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""HTTP/1.1 by hand: requests exactly as written, responses read strictly."""

import json
import select
import socket

from .timing import DEADLINE, Deadline


def open_socket(address):
    """`address`: (host, port), or the path of a unix socket. Non-blocking."""
    if isinstance(address, str):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(address)
    else:
        sock = socket.create_connection(address, timeout=DEADLINE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    return sock


class Response:
    """Status line, header fields in order, and body of one response."""

    def __init__(self, version, status, reason, fields, body=b''):
        self.version = version
        self.status = status
        self.reason = reason
        self.fields = fields
        self.body = body

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name):
        """The only value of a field that may stand once; None if it is missing."""
        values = self.all(name)
        assert len(values) <= 1, f'{name} stands {len(values)} times'
        return values[0] if values else None

    def tokens(self, name):
        """A comma-separated list field, lower-cased."""
        return [token.strip().lower() for value in self.all(name) for token in value.split(',') if token.strip()]

    def json(self):
        return json.loads(self.body)

    def assert_problem(self, status):
        """An RFC 9457 refusal with a reason the client can read."""
        assert self.status == status, (self.status, self.body)
        assert (self.get('content-type') or '').split(';')[0] == 'application/problem+json', self.fields
        problem = self.json()
        assert problem.get('status', status) == status, problem
        assert problem.get('title') or problem.get('detail'), problem
        return problem

    def __repr__(self):
        return f'<Response {self.status} {self.fields} {self.body[:200]!r}>'


def parse_head(head):
    lines = head.decode('latin-1').split('\r\n')
    version, _, rest = lines[0].partition(' ')
    status, _, reason = rest.partition(' ')
    fields = []
    for line in lines[1:]:
        name, colon, value = line.partition(':')
        assert colon and name and name == name.strip(), f'bad header line {line!r}'
        fields.append((name, value.strip()))
    return Response(version, int(status), reason, fields)


class Reader:
    """Bytes off a non-blocking socket, with deadlines."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = bytearray()
        self.eof = False
        self.reset = False

    def fill(self, deadline):
        """Waits for more; False at the end of the stream. TimeoutError past the deadline."""
        if self.eof:
            return False
        ready, _, _ = select.select([self.sock], [], [], deadline.left())
        if not ready:
            raise TimeoutError('nothing arrived in time')
        return self.read_available()

    def read_available(self):
        try:
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return True
        except (ConnectionResetError, BrokenPipeError):
            self.eof = self.reset = True
            return False
        if not data:
            self.eof = True
            return False
        self.buffer += data
        return True

    def take(self, n):
        data = bytes(self.buffer[:n])
        del self.buffer[:n]
        return data

    def until(self, mark, deadline):
        """Bytes before `mark`, which is dropped; None when the stream ends first."""
        while (at := self.buffer.find(mark)) < 0:
            if not self.fill(deadline):
                return None
        head = self.take(at)
        self.take(len(mark))
        return head

    def exactly(self, n, deadline):
        while len(self.buffer) < n:
            if not self.fill(deadline):
                return None
        return self.take(n)


def read_response(reader, deadline=None, method='GET'):
    """One response, or None when the peer closed without one. A 101 leaves what follows in the reader."""
    deadline = deadline or Deadline(DEADLINE)
    head = reader.until(b'\r\n\r\n', deadline)
    if head is None:
        return None
    response = parse_head(head)
    if response.status < 200 or response.status in (204, 304) or method == 'HEAD':
        return response
    if 'chunked' in response.tokens('transfer-encoding'):
        response.body = _read_chunked(reader, deadline)
    elif response.get('content-length') is not None:
        response.body = reader.exactly(int(response.get('content-length')), deadline) or b''
    else:
        while reader.fill(deadline):
            pass
        response.body = reader.take(len(reader.buffer))
    return response


def _read_chunked(reader, deadline):
    body = b''
    while True:
        size = int(reader.until(b'\r\n', deadline).split(b';')[0], 16)
        if size == 0:
            while reader.until(b'\r\n', deadline):
                pass
            return body
        body += reader.exactly(size, deadline)
        assert reader.exactly(2, deadline) == b'\r\n'


def send_all(sock, data, deadline=None):
    """Writes everything; False when the peer has gone away."""
    deadline = deadline or Deadline(DEADLINE)
    view = memoryview(data)
    while view:
        _, writable, _ = select.select([], [sock], [], deadline.left())
        if not writable:
            raise TimeoutError('the peer does not read')
        try:
            view = view[sock.send(view):]
        except BlockingIOError:
            continue
        except (BrokenPipeError, ConnectionResetError):
            return False
    return True


def http_request(address, request, timeout=DEADLINE, method='GET'):
    """Sends `request`, bytes of any form, and reads one response (None: closed without an answer)."""
    sock = open_socket(address)
    try:
        deadline = Deadline(timeout)
        send_all(sock, request, deadline)
        return read_response(Reader(sock), deadline, method)
    finally:
        sock.close()


def http_get(address, target, headers=(), method='GET', body=b'', timeout=DEADLINE):
    lines = [f'{method} {target} HTTP/1.1', 'Host: localhost', 'Connection: close']
    lines += [f'{name}: {value}' for name, value in headers]
    if body:
        lines.append(f'Content-Length: {len(body)}')
    request = '\r\n'.join(lines).encode() + b'\r\n\r\n' + body
    return http_request(address, request, timeout, method)
