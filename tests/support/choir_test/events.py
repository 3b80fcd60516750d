# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Server-sent events by hand (HTML Living Standard 9.2), and the requests by which such a client speaks."""

import json
import ssl
from urllib.parse import quote, urlencode

from .raw_http import Reader, http_get, open_socket, parse_head
from .schemas import Traffic
from .timing import DEADLINE, Deadline


class _Reader(Reader):
    """What TLS has decrypted no select() sees, and it may not be through with a record. Proxies send bodies in chunks."""

    def __init__(self, sock):
        super().__init__(sock)
        self._chunked = None

    def begin_chunks(self):
        """What comes from here on is chunked (RFC 9112 7.1)."""
        self._chunked = self.take(len(self.buffer))
        self._decode()

    def _decode(self):
        while (at := self._chunked.find(b'\r\n')) >= 0:
            size = int(self._chunked[:at], 16)
            if len(self._chunked) < at + size + 4:
                return
            self.buffer += self._chunked[at + 2:at + 2 + size]
            self._chunked = self._chunked[at + size + 4:]
            if size == 0:
                self.eof = True
                return

    def fill(self, deadline):
        if isinstance(self.sock, ssl.SSLSocket) and not self.eof and self.sock.pending() > 0:
            return self.read_available()
        return super().fill(deadline)

    def read_available(self):
        before = len(self.buffer)
        try:
            return self._read()
        finally:
            if self._chunked is not None:
                self._chunked += self.buffer[before:]
                del self.buffer[before:]
                self._decode()

    def _read(self):
        try:
            return super().read_available()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return True
        except ssl.SSLEOFError:
            self.eof = True
            return False


class Event:
    """One event as a browser would dispatch it."""

    def __init__(self, kind, data, id_):
        self.kind = kind
        self.data = data
        self.id = id_

    def json(self):
        return json.loads(self.data)

    def __repr__(self):
        return f'<Event {self.kind} {self.id} {self.data[:200]}>'


class EventStream:
    """An open stream. `last_id` is what an EventSource would send as Last-Event-ID, `retry` its delay."""

    def __init__(self, daemon, target, headers=(), last_id=None, wrap=None, address=None, timeout=DEADLINE):
        self.daemon = daemon
        self.timeout = timeout
        self._opening = (target, headers, wrap, address)
        self.last_id = last_id or ''
        self.retry = None
        self.n_comments = 0
        self.session_id = None
        self.connection_id = None
        self.passed = []
        self.sock = open_socket(address or daemon.address)
        if wrap is not None:
            self.sock = wrap(self.sock)
        lines = [f'GET {target} HTTP/1.1', 'Host: localhost', 'Accept: text/event-stream', *[f'{n}: {v}' for n, v in headers]]
        if last_id is not None:
            lines.append(f'Last-Event-ID: {last_id}')
        self.sock.send('\r\n'.join(lines).encode() + b'\r\n\r\n')
        self.reader = _Reader(self.sock)
        head = self.reader.until(b'\r\n\r\n', Deadline(timeout))
        assert head is not None, 'closed without an answer'
        self.response = parse_head(head)
        self.traffic = Traffic(target.replace('/sse', '/ws', 1))
        if self.response.status == 200:
            assert self.response.get('content-type') == 'text/event-stream', self.response
            if 'chunked' in self.response.tokens('transfer-encoding'):
                self.reader.begin_chunks()
            opened = self.next()
            assert opened.kind == 'session', opened
            self.session_id = opened.json()['session_id']
            self.connection_id = opened.json()['connection_id']
            self.resumed = opened.json()['resumed']

    def body(self):
        """Of a refusal."""
        length = int(self.response.get('content-length') or 0)
        self.response.body = self.reader.exactly(length, Deadline(self.timeout)) or b''
        return self.response

    def _dispatch(self, block):
        kind, data, id_ = 'message', [], None
        for line in block.split('\n'):
            name, _, value = line.partition(':')
            value = value[1:] if value.startswith(' ') else value
            if line.startswith(':'):
                self.n_comments += 1
            elif name == 'event':
                kind = value
            elif name == 'data':
                data.append(value)
            elif name == 'id':
                id_ = value
            elif name == 'retry':
                self.retry = int(value)
            else:
                assert not line, f'a field that is none: {line!r}'
        if id_ is not None:
            assert id_ and '\0' not in id_ and id_.isascii()
            self.last_id = id_
        return Event(kind, '\n'.join(data), id_) if data else None

    def next(self, timeout=None):
        """The next event; None when the stream has ended."""
        deadline = Deadline(timeout or self.timeout)
        while True:
            block = self.reader.until(b'\n\n', deadline)
            if block is None:
                return None
            assert b'\r' not in block
            event = self._dispatch(block.decode('utf-8'))
            if event is None:
                continue
            if event.kind == 'message':
                self.traffic.received(event.data)
            return event

    def message(self, timeout=None):
        """The next message; the stream must not end."""
        event = self.next(timeout)
        assert event is not None and event.kind == 'message', event
        return event.json()

    def wait(self, type_, timeout=None):
        """The next message of a type; what comes before it is in `passed`."""
        while True:
            message = self.message(timeout)
            if message.get('type') == type_:
                return message
            self.passed.append(message)

    def wait_close(self, timeout=None):
        """The last event, and that it is the last."""
        while (event := self.next(timeout)) is not None:
            if event.kind == 'close':
                assert self.next(timeout) is None
                self.traffic.closed()
                return event.json()
        raise AssertionError('the stream ended without a last event')

    def say(self, value, token=None, expect=202, **options):
        """By POST."""
        text = value if isinstance(value, (str, bytes)) else json.dumps(value, ensure_ascii=False)
        if expect == 202:
            self.traffic.sent(text)
        if token is None:
            options.setdefault('connection_id', self.connection_id)
        return emulate(self.daemon, self.session_id, text, token, expect, **options)

    def ask(self, value, type_, token=None):
        self.say(value, token)
        return self.wait(type_)

    def again(self, last_id=None):
        """As an EventSource comes back, whether the old connection is still there or not."""
        target, headers, wrap, address = self._opening
        return EventStream(self.daemon, target, headers, last_id or self.last_id, wrap, address, self.timeout)

    def drop(self):
        """Without a word."""
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.drop()


def sse_target(token=None, path='/sse', **parameters):
    query = {name: value for name, value in {'token': token, **parameters}.items() if value is not None}
    return path + ('?' + urlencode(query, quote_via=quote) if query else '')


def emulate(daemon, session_id, text, token=None, expect=202, media='text/plain;charset=UTF-8', headers=(), in_query=False,
            address=None, connection_id=None):
    """POST /emulation; the answer."""
    query = urlencode({'session_id': session_id, **({'connection_id': connection_id} if connection_id is not None else {}),
                       **({'token': token} if in_query and token else {})})
    fields = [('Content-Type', media), *headers]
    if token is not None and not in_query:
        fields.append(('Authorization', f'Bearer {token}'))
    body = text.encode() if isinstance(text, str) else text
    response = http_get(address or daemon.address, f'/emulation?{query}', fields, 'POST', body)
    assert response is not None and response.status == expect, response
    if expect >= 400:
        response.assert_problem(expect)
    return response
