# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A WebSocket client that sends whatever it is told and accepts only what the RFCs allow a server to send."""

import base64
import hashlib
import json
import os
import select
import socket
import struct
from collections import namedtuple

from . import frames
from .frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from .raw_http import Reader, open_socket, read_response
from .schemas import Traffic
from .timing import DEADLINE, Deadline

GUID = b'258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

Frame = namedtuple('Frame', 'opcode payload fin rsv')
Close = namedtuple('Close', 'code reason')


class Violation(AssertionError):
    """The server sent something no server may send."""


class Timeout(AssertionError):
    """What the test waits for did not come."""


class EndOfStream(AssertionError):
    """The TCP connection ended where a frame was due."""


def accept_for(key):
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


class Handshake:
    """An opening request that a test can bend: fields are a list of (name, value), edited with set/add/drop."""

    def __init__(self, target='/echo', method='GET', version='HTTP/1.1', key=None):
        self.target = target
        self.method = method
        self.version = version
        self.key = key or base64.b64encode(os.urandom(16)).decode()
        self.fields = [
            ('Host', 'localhost'),
            ('Upgrade', 'websocket'),
            ('Connection', 'Upgrade'),
            ('Sec-WebSocket-Key', self.key),
            ('Sec-WebSocket-Version', '13'),
        ]

    def drop(self, name):
        self.fields = [(key, value) for key, value in self.fields if key.lower() != name.lower()]
        return self

    def add(self, name, value):
        self.fields.append((name, value))
        return self

    def set(self, name, value):
        at = next((i for i, (key, _) in enumerate(self.fields) if key.lower() == name.lower()), len(self.fields))
        self.drop(name)
        self.fields.insert(at, (name, value))
        if name.lower() == 'sec-websocket-key':
            self.key = value.strip()
        return self

    def encode(self):
        lines = [f'{self.method} {self.target} {self.version}']
        lines += [f'{name}: {value}' for name, value in self.fields]
        return ('\r\n'.join(lines) + '\r\n\r\n').encode('utf-8')


def parse_extension(value):
    """`permessage-deflate; a; b=10` as a dict; the name and every parameter are checked."""
    name, *params = [part.strip() for part in value.split(';')]
    if name != 'permessage-deflate':
        raise Violation(f'the server chose extension {value!r}')
    out = {}
    for param in params:
        key, _, number = param.partition('=')
        if key in out:
            raise Violation(f'parameter {key} twice in {value!r}')
        if key in ('server_no_context_takeover', 'client_no_context_takeover'):
            if number:
                raise Violation(f'{key} has a value in {value!r}')
            out[key] = True
        elif key in ('server_max_window_bits', 'client_max_window_bits'):
            if not number.isdigit() or not 8 <= int(number) <= 15 or number.startswith('0'):
                raise Violation(f'bad {key} in {value!r}')
            out[key] = int(number)
        else:
            raise Violation(f'unknown parameter in {value!r}')
    return out


class RawWs:
    """One connection. Not yet connected to anything when made; see open()."""

    def __init__(self, address, timeout=DEADLINE):
        self.address = address
        self.timeout = timeout
        self.sock = open_socket(address)
        self.reader = Reader(self.sock)
        self.response = None
        self.extension = None
        self.context = None
        self.dead = False
        self.was_compressed = False
        self.traffic = Traffic()
        # A test that plays a client which doesn't read turns this off
        self.reads_while_sending = True

    @classmethod
    def open(cls, address, target='/echo', headers=(), extensions=None, behind=b'', timeout=DEADLINE):
        """Connects and upgrades; raises if the server does not answer 101. `behind`: bytes sent in the head's segment."""
        ws = cls(address, timeout)
        handshake = Handshake(target)
        for name, value in headers:
            handshake.add(name, value)
        if extensions is not None:
            handshake.add('Sec-WebSocket-Extensions', extensions)
        response = ws.handshake(handshake, behind)
        if response is None or response.status != 101:
            ws.abort()
            raise Violation(f'no upgrade: {response!r}')
        return ws

    def handshake(self, handshake, behind=b'', chop=0):
        """Sends an opening request and reads the answer; a 101 is checked against RFC 6455 4.2.2."""
        self.send_raw(handshake.encode() + behind, chop)
        return self.read_response(handshake)

    def read_response(self, handshake=None):
        try:
            self.response = read_response(self.reader, Deadline(self.timeout))
        except TimeoutError:
            raise Timeout('no answer to the opening handshake') from None
        if self.response is not None and self.response.status == 101 and handshake is not None:
            self._check_upgrade(handshake)
        return self.response

    def _check_upgrade(self, handshake):
        answer = self.response
        if answer.version != 'HTTP/1.1':
            raise Violation(f'101 with {answer.version}')
        if (answer.get('upgrade') or '').lower() != 'websocket':
            raise Violation(f'Upgrade: {answer.get("upgrade")}')
        if 'upgrade' not in answer.tokens('connection'):
            raise Violation(f'Connection: {answer.all("connection")}')
        if answer.get('sec-websocket-accept') != accept_for(handshake.key):
            raise Violation(f'Sec-WebSocket-Accept: {answer.get("sec-websocket-accept")}')
        if answer.all('content-length') or answer.all('transfer-encoding'):
            raise Violation('a 101 has no body (RFC 9110 8.6, RFC 9112 6.1)')
        self._check_choices(handshake)
        self.traffic = Traffic(handshake.target, answer.get('sec-websocket-protocol'))

    def _check_choices(self, handshake):
        offered = [v for k, v in handshake.fields if k.lower() == 'sec-websocket-protocol']
        chosen = self.response.get('sec-websocket-protocol')
        names = [name.strip() for value in offered for name in value.split(',')]
        if chosen is not None and chosen not in names:
            raise Violation(f'subprotocol {chosen!r} was not offered')
        extension = self.response.get('sec-websocket-extensions')
        if extension is not None:
            if not any(k.lower() == 'sec-websocket-extensions' for k, _ in handshake.fields):
                raise Violation(f'extension {extension!r} was not offered')
            self.extension = parse_extension(extension)
            self.context = frames.CompressionContext(self.extension)

    # Sending

    def send_raw(self, data, chop=0):
        """Writes bytes as they are, `chop` at a time if not 0. Takes in what arrives meanwhile, so neither side can block
        the other. A peer that has gone away is not an error here: what it said before it went is still to be read."""
        if chop:
            for at in range(0, len(data), chop):
                self._write(data[at:at + chop])
        else:
            self._write(data)
        return self

    def _write(self, data):
        view = memoryview(data)
        deadline = Deadline(self.timeout)
        while view and not self.dead:
            try:
                view = view[self.sock.send(view):]
                continue
            except BlockingIOError:
                pass
            except (BrokenPipeError, ConnectionResetError):
                self.dead = True
                return
            wants = [self.sock] if self.reads_while_sending and not self.reader.eof else []
            readable, writable, _ = select.select(wants, [self.sock], [], deadline.left())
            if not readable and not writable:
                raise Timeout('the server stopped reading')
            if readable:
                self.reader.read_available()

    def send_frame(self, opcode, payload=b'', chop=0, **kwargs):
        if opcode in (TEXT, BINARY) and not kwargs:
            self.traffic.sent(payload, opcode == BINARY)
        return self.send_raw(frames.build_frame(opcode, payload, **kwargs), chop)

    def send_text(self, text, **kwargs):
        return self.send_frame(TEXT, text, **kwargs)

    def send_binary(self, data, **kwargs):
        return self.send_frame(BINARY, data, **kwargs)

    def send_json(self, value):
        return self.send_text(json.dumps(value, ensure_ascii=False))

    def send_close(self, code=None, reason=b'', **kwargs):
        return self.send_raw(frames.build_close(code, reason, **kwargs))

    def send_fragments(self, opcode, parts, together=False, **kwargs):
        """One message, one frame per part; `together` in one write."""
        last = len(parts) - 1
        if opcode == TEXT and not kwargs:
            self.traffic.sent(type(parts[0])().join(parts))
        encoded = [
            frames.build_frame(opcode if i == 0 else CONTINUATION, part, fin=i == last, **kwargs)
            for i, part in enumerate(parts)
        ]
        for data in [b''.join(encoded)] if together else encoded:
            self.send_raw(data)
        return self

    def send_compressed(self, opcode, data, parts=1):
        """A message through the negotiated compressor, RSV1 on its first frame only."""
        if opcode == TEXT:
            self.traffic.sent(data)
        body = self.context.compress(data)
        size = max(1, -(-len(body) // parts))
        pieces = [body[i:i + size] for i in range(0, len(body), size)] or [b'']
        for i, piece in enumerate(pieces):
            self.send_frame(opcode if i == 0 else CONTINUATION, piece,
                            fin=i == len(pieces) - 1, rsv=frames.RSV1 if i == 0 else 0)
        return self

    def shutdown_write(self):
        self.sock.shutdown(socket.SHUT_WR)
        return self

    # Receiving

    def recv_frame(self, timeout=None):
        """The next frame, held to what a server may send. Timeout, EndOfStream or Violation otherwise."""
        frame = self._take_frame(timeout)
        if frame.opcode in (TEXT, BINARY) and frame.fin and not frame.rsv:
            self.traffic.received(frame.payload, frame.opcode == BINARY)
        return frame

    def _take_frame(self, timeout):
        deadline = Deadline(self.timeout if timeout is None else timeout)
        head = self._need(2, deadline)
        fin, rsv, opcode = head[0] >> 7, head[0] >> 4 & 7, head[0] & 15
        if head[1] & 0x80:
            raise Violation('a masked frame from the server (RFC 6455 5.1)')
        length = head[1]
        if length == 126:
            length, = struct.unpack('!H', self._need(2, deadline))
            if length < 126:
                raise Violation(f'length {length} in 16 bits')
        elif length == 127:
            length, = struct.unpack('!Q', self._need(8, deadline))
            if length < 65536:
                raise Violation(f'length {length} in 64 bits')
        payload = self._need(length, deadline)
        self._check_frame(fin, rsv, opcode, length)
        if opcode == CLOSE:
            self.traffic.closed()
        return Frame(opcode, payload, bool(fin), rsv)

    def _check_frame(self, fin, rsv, opcode, length):
        if opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            raise Violation(f'opcode {opcode:#x}')
        if rsv and not (rsv == frames.RSV1 and self.extension is not None and opcode in (TEXT, BINARY)):
            raise Violation(f'RSV bits {rsv} on opcode {opcode}')
        if opcode >= CLOSE and (not fin or length > 125):
            raise Violation(f'control frame fin={fin} length={length}')

    def _need(self, n, deadline):
        try:
            data = self.reader.exactly(n, deadline)
        except TimeoutError:
            raise Timeout(f'no frame; have {bytes(self.reader.buffer[:64])!r}') from None
        if data is None:
            self.traffic.closed()
            raise EndOfStream(f'TCP {"reset" if self.reader.reset else "end"}; have {bytes(self.reader.buffer[:64])!r}')
        return data

    def recv_message(self, timeout=None, controls=None):
        """The next data message as (opcode, payload), reassembled and inflated. Control frames on the way go to the list
        `controls`; without one they are a failure (pings from the server are answered either way)."""
        opcode, compressed, body = None, False, b''
        while True:
            frame = self._take_frame(timeout)
            if frame.opcode == PING:
                self.send_frame(PONG, frame.payload)
            if frame.opcode >= CLOSE:
                if controls is None and frame.opcode != PING:
                    raise Violation(f'{frame} where a message was due')
                if controls is not None:
                    controls.append(frame)
                if frame.opcode == CLOSE:
                    return None
                continue
            if (opcode is None) == (frame.opcode == CONTINUATION):
                raise Violation(f'{frame.opcode} out of sequence')
            if opcode is None:
                opcode, compressed = frame.opcode, bool(frame.rsv)
            body += frame.payload
            if frame.fin:
                break
        self.was_compressed = compressed
        if compressed:
            body = self.context.decompress(body)
        if opcode == TEXT:
            body.decode('utf-8')
        self.traffic.received(body, opcode == BINARY)
        return opcode, body

    def recv_json(self, timeout=None):
        opcode, body = self.recv_message(timeout)
        assert opcode == TEXT, body
        return json.loads(body)

    def recv_close(self, timeout=None, skip_data=False):
        """The server's close frame as (code, reason); code None when its body is empty. Data before it is a failure
        unless skipped; answers to pings are passed over."""
        deadline = Deadline(self.timeout if timeout is None else timeout)
        while True:
            frame = self.recv_frame(deadline.left())
            if frame.opcode == CLOSE:
                break
            if frame.opcode < CLOSE and not skip_data:
                raise Violation(f'{frame} where a close was due')
        if not frame.payload:
            return Close(None, '')
        if len(frame.payload) == 1:
            raise Violation('a close body of one byte')
        code, = struct.unpack('!H', frame.payload[:2])
        if code in (1005, 1006, 1015) or not 1000 <= code <= 4999:
            raise Violation(f'close code {code} on the wire')
        return Close(code, frame.payload[2:].decode('utf-8'))

    def expect_eof(self, timeout=None):
        """TCP ends and nothing more was said. A reset counts: the server need not read what we still had to say."""
        deadline = Deadline(self.timeout if timeout is None else timeout)
        try:
            while self.reader.fill(deadline):
                pass
        except TimeoutError:
            raise Timeout('the TCP connection stays open') from None
        assert not self.reader.buffer, f'after the end: {bytes(self.reader.buffer[:64])!r}'

    def expect_end(self):
        """The server lets go: perhaps a close frame, then the end of TCP."""
        try:
            self.recv_close()
        except EndOfStream:
            return
        self.expect_eof()

    def expect_failure(self, *codes, skip_data=False):
        """The server fails the connection: a close frame with one of `codes`, then the end of TCP, and all of that
        without the client's help."""
        close = self.recv_close(skip_data=skip_data)
        assert close.code in codes, f'closed with {close}, expected {codes}'
        self.expect_eof()
        return close

    def expect_echo(self, opcode, payload):
        got = self.recv_message()
        want = (opcode, payload.encode() if isinstance(payload, str) else payload)
        if got != want:
            raise AssertionError(f'echo differs: {got[0]} {len(got[1])} bytes {got[1][:40]!r}, sent {len(want[1])} bytes')

    def ping_barrier(self, token=b'barrier'):
        """Everything sent before this has been dealt with, and none of it was answered."""
        self.send_frame(PING, token)
        frame = self.recv_frame()
        assert frame == Frame(PONG, token, True, 0), frame

    def finish(self, code=1000):
        """A clean closing handshake, ours first."""
        self.send_close(code)
        close = self.recv_close()
        assert close.code in (code, None) if code is None else close.code == code, close
        self.expect_eof()
        self.close()

    def close(self):
        self.sock.close()

    def abort(self):
        """Drops TCP with a reset."""
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        except OSError:
            pass
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
