# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients that waste: slow, silent, flooding, inflating. The waste is bounded and a bystander is served throughout."""

import json
import random
import resource
import select
import signal
import time
import zlib

import pytest

from choir_test import (BINARY, CLOSE, CONTINUATION, DEADLINE, PING, PONG, TEXT, Deadline, EndOfStream, Handshake, RawWs,
                        Timeout, build_frame, connect, open_socket)
from choir_test.raw_http import Reader
from choir_test.timing import scaled

from conftest import MIB, Bystander, memory_margin


# Slow openings (handshake-timeout)

@pytest.fixture
def impatient(start):
    return start({'server.handshake-timeout': '1s'})


def wait_end(sock, deadline):
    reader = Reader(sock)
    try:
        while reader.fill(deadline):
            pass
    except TimeoutError:
        raise Timeout('the connection was not ended') from None
    return bytes(reader.buffer)


@pytest.mark.parametrize('data', [
    pytest.param(b'', id='nothing'),
    pytest.param(b'G', id='one-byte'),
    pytest.param(b'GET /echo HTTP/1.1\r\n', id='request-line'),
    pytest.param(Handshake().encode()[:-2], id='all-but-the-end'),
    pytest.param(b'POST /api/v1/publish HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nab', id='body'),
])
def test_opening_that_stops(impatient, data):
    sock = open_socket(impatient.address)
    try:
        if data:
            sock.send(data)
        began = time.monotonic()
        answer = wait_end(sock, Deadline(scaled(8)))
        assert time.monotonic() - began > 0.5, 'ended before its time'
        assert not answer or answer.startswith((b'HTTP/1.1 408', b'HTTP/1.1 4')), answer
    finally:
        sock.close()


def test_opening_that_drips(impatient):
    """A byte every tenth of a second keeps no connection open: the deadline is for the whole head."""
    bystander = Bystander(impatient)
    sock = open_socket(impatient.address)
    reader = Reader(sock)
    data = Handshake().add('X-Padding', 'p' * 5000).encode()
    deadline = Deadline(scaled(8))
    try:
        for byte in data:
            try:
                sock.send(bytes([byte]))
            except (BrokenPipeError, ConnectionResetError):
                break
            ready, _, _ = select.select([sock], [], [], 0.1)
            if ready and not reader.read_available():
                break
            assert not deadline.passed(), 'still open after many times handshake-timeout'
        bystander.check()
    finally:
        sock.close()


def test_two_hundred_slow_openings(impatient):
    bystander = Bystander(impatient)
    socks = [open_socket(impatient.address) for _ in range(200)]
    try:
        for sock in socks:
            sock.send(b'GET /echo HTTP/1.1\r\nHost: a\r\n')
        bystander.check()
        deadline = Deadline(scaled(15))
        for sock in socks:
            wait_end(sock, deadline)
            bystander.check()
    finally:
        for sock in socks:
            sock.close()


def test_open_connections_outlive_the_handshake_timeout(impatient):
    """The deadline is gone once the answer is sent: a connection older than it still works."""
    ws = RawWs.open(impatient.address)
    sock = open_socket(impatient.address)
    wait_end(sock, Deadline(scaled(8)))
    sock.close()
    ws.ping_barrier()
    ws.close()


def test_client_that_answers_no_pings(start):
    daemon = start({'protocol.heartbeat-interval': '200ms', 'protocol.idle-timeout': '1s'})
    with RawWs.open(daemon.address) as ws:
        with pytest.raises((EndOfStream, AssertionError)):
            deadline = Deadline(scaled(8))
            while not deadline.passed():
                frame = ws.recv_frame(deadline.left())
                if frame.opcode == CLOSE:
                    raise EndOfStream('closed')
                assert frame.opcode == PING, 'nothing but pings was due'
            pytest.fail('a dead client was kept')


# Bombs

def bomb(n_bytes):
    """Raw DEFLATE of zeros, ending on a byte border."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    out = b''.join(deflater.compress(bytes(MIB)) for _ in range(n_bytes // MIB))
    return out + deflater.flush(zlib.Z_SYNC_FLUSH)


@pytest.mark.parametrize('size', [pytest.param(1 << 30, id='one-frame'), pytest.param(4000, id='frames-of-4000'),
                                  pytest.param(100, id='frames-of-100')])
def test_deflate_bomb(daemon, size):
    """100 MiB in 100 KB: stopped at max-message-size (64K), whatever the frames."""
    data = bomb(100 * MIB)
    bystander = Bystander(daemon)
    before = daemon.rss()
    daemon.reset_peak_rss()
    with RawWs.open(daemon.address, extensions='permessage-deflate') as ws:
        for at in range(0, len(data), size):
            last = at + size >= len(data)
            ws.send_frame(BINARY if at == 0 else CONTINUATION, data[at:at + size], fin=last, rsv=4 if at == 0 else 0)
        assert ws.recv_close().code == 1009
        ws.expect_eof()
    assert daemon.peak_rss() - before < memory_margin(daemon, 8 * MIB)
    bystander.check()


def test_fifty_bombs_at_once(daemon):
    piece = bomb(8 * MIB)[:4000]
    bystander = Bystander(daemon)
    before = daemon.rss()
    daemon.reset_peak_rss()
    bombs = [RawWs.open(daemon.address, extensions='permessage-deflate') for _ in range(50)]
    for ws in bombs:
        ws.send_frame(BINARY, piece, fin=False, rsv=4)
    for ws in bombs:
        assert ws.recv_close().code == 1009
        ws.close()
        bystander.check()
    assert daemon.peak_rss() - before < memory_margin(daemon, 16 * MIB)


def test_unfinished_messages_are_bounded(daemon):
    """A hundred messages that never end hold a hundred times the limit, not more."""
    bystander = Bystander(daemon)
    before = daemon.rss()
    half = [RawWs.open(daemon.address) for _ in range(100)]
    for ws in half:
        ws.send_frame(BINARY, bytes(60000), fin=False)
        ws.ping_barrier()
    assert daemon.rss() - before < memory_margin(daemon, 100 * 64 * 1024 * 3)
    for ws in half:
        ws.abort()
    bystander.check()


# Clients that don't read

def send_until_stuck(ws, data, limit, bystander):
    """Writes without reading until the server stops taking, lets go, or `limit` bytes are gone."""
    sent = 0
    while sent < limit:
        _, writable, _ = select.select([], [ws.sock], [], 1.0)
        if not writable:
            return sent, 'stuck'
        try:
            sent += ws.sock.send(data)
        except BlockingIOError:
            continue
        except (BrokenPipeError, ConnectionResetError):
            return sent, 'ended'
        if sent % (4 * MIB) < len(data):
            bystander.check()
    return sent, 'limit'


def test_ping_flood_by_a_client_that_does_not_read(daemon):
    """Pongs are not queued without end: the newest answers for all (RFC 6455 5.5.3), or the client is stopped."""
    bystander = Bystander(daemon)
    before = daemon.rss()
    ws = RawWs.open(daemon.address)
    flood = build_frame(PING, b'p' * 125, mask=b'abcd') * 500
    send_until_stuck(ws, flood, 48 * MIB, bystander)
    assert daemon.rss() - before < memory_margin(daemon, 12 * MIB)
    bystander.check()
    ws.abort()
    bystander.check()


def test_echo_flood_by_a_client_that_does_not_read(daemon):
    bystander = Bystander(daemon)
    before = daemon.rss()
    ws = RawWs.open(daemon.address)
    flood = build_frame(BINARY, b'e' * 50000, mask=b'abcd')
    sent, how = send_until_stuck(ws, flood, 96 * MIB, bystander)
    assert how != 'limit', 'the server took 96 MiB in and kept or dropped the answers'
    assert daemon.rss() - before < memory_margin(daemon, 12 * MIB)
    ws.abort()
    bystander.check()


def subscribe(client, channel):
    client.send({'type': 'subscribe', 'payload': {'channels': [{'channel': channel}]}})
    answer = client.wait_type('subscription.confirmed')
    assert answer['payload']['channels'], answer


def publish(client, channel, content):
    client.send({'type': 'publish', 'payload': {
        'channel': channel, 'type': 'chat.message', 'payload': {'content': content, 'role': 'user'}}})


def test_silent_reader(start):
    """protocol.md, Delivery: past max-queue-bytes the slow consumer is closed with 4008; nobody else waits for it."""
    daemon = start({'protocol.max-queue-bytes': '256K', 'sanitize.max-string': '100000'})
    bystander = Bystander(daemon)
    slow = connect(daemon, token=daemon.mint('slow'))
    fast = connect(daemon, token=daemon.mint('fast'))
    sender = connect(daemon, token=daemon.mint('sender'))
    for client in (slow, fast):
        subscribe(client, 'chat:slow')
    before = daemon.rss()
    content = 'm' * 40000
    n_messages = 400
    offsets = []
    for i in range(n_messages):
        publish(sender, 'chat:slow', f'{i} {content}')
        message = fast.wait_type('chat.message')
        assert message['payload']['content'].split(' ')[0] == str(i)
        offsets.append(message['offset'])
        sender.wait_type('publish.ok')
        if i % 50 == 0:
            bystander.check()
    assert offsets == list(range(offsets[0], offsets[0] + n_messages)), 'a gap or a repeat for the fast one'
    # History (100 messages of 40 KB, encoded) is kept on purpose
    assert daemon.rss() - before < memory_margin(daemon, 24 * MIB)
    close, got = read_to_close(slow)
    assert close is not None and close == 4008, f'ended with {close} after {len(got)} messages'
    assert got == list(range(offsets[0], offsets[0] + len(got))), 'what did arrive has a gap'
    assert len(got) < n_messages
    bystander.check()


def read_to_close(client):
    """Everything a client still gets: (close code, offsets of the messages before it)."""
    offsets = []
    while True:
        try:
            frame = client.ws.recv_frame()
        except EndOfStream:
            return None, offsets
        if frame.opcode == CLOSE:
            return int.from_bytes(frame.payload[:2], 'big'), offsets
        if frame.opcode == TEXT:
            message = json.loads(frame.payload)
            if message['type'] == 'chat.message':
                offsets.append(message['offset'])


def test_twenty_silent_readers(start):
    """Memory is bounded by their number times max-queue-bytes; a shared frame is not copied for each."""
    daemon = start({'protocol.max-queue-bytes': '1M', 'sanitize.max-string': '100000', 'namespace.history-size': '10'})
    readers = [connect(daemon, token=daemon.mint(f'slow{i}')) for i in range(20)]
    fast, sender = connect(daemon, token=daemon.mint('fast')), connect(daemon, token=daemon.mint('sender'))
    for client in [*readers, fast]:
        subscribe(client, 'chat:many')
    before = daemon.rss()
    for i in range(300):
        publish(sender, 'chat:many', f'{i} ' + 'm' * 40000)
        assert fast.wait_type('chat.message')['payload']['content'].split(' ')[0] == str(i)
        sender.wait_type('publish.ok')
    assert daemon.rss() - before < memory_margin(daemon, 32 * MIB)
    for client in readers:
        client.ws.abort()
    fast.check_alive()


# Upgrades that are dropped half-way

@pytest.mark.parametrize('how', ['after-request', 'after-answer', 'half-request', 'with-frame'])
def test_two_hundred_aborted_upgrades(daemon, how):
    """Each offers permessage-deflate and resets; the next must find the end point as it was."""
    bystander = Bystander(daemon)
    fds = daemon.n_fds()
    request = Handshake().add('Sec-WebSocket-Extensions', 'permessage-deflate').encode()
    for _ in range(200):
        ws = RawWs(daemon.address)
        if how == 'half-request':
            ws.send_raw(request[:-10])
        else:
            ws.send_raw(request + (build_frame(TEXT, 'x' * 1000) if how == 'with-frame' else b''))
        if how == 'after-answer':
            assert ws.read_response().status == 101
        ws.abort()
    for _ in range(20):
        with RawWs.open(daemon.address, extensions='permessage-deflate') as ws:
            assert ws.extension is not None
            ws.send_compressed(TEXT, b'as it was')
            ws.expect_echo(TEXT, b'as it was')
            ws.finish()
    wait_for_fds(daemon, fds, bystander)


def wait_for_fds(daemon, wanted, bystander, slack=2):
    """Descriptors come back. The bystander's round trips pace the looking."""
    deadline = Deadline(DEADLINE)
    while daemon.n_fds() > wanted + slack:
        assert not deadline.passed(), f'{daemon.n_fds()} descriptors open, {wanted} before'
        bystander.check()


def test_connections_leave_nothing_behind(daemon):
    """1,000 connections, in and out: descriptors return and memory does not grow with their number."""
    bystander = Bystander(daemon)

    def round_trip(n):
        for _ in range(n):
            with RawWs.open(daemon.address) as ws:
                ws.send_frame(TEXT, 'x')
                ws.expect_echo(TEXT, 'x')
                ws.finish()

    round_trip(200)
    fds, before = daemon.n_fds(), daemon.rss()
    round_trip(1000)
    wait_for_fds(daemon, fds, bystander)
    assert daemon.rss() - before < memory_margin(daemon, 2 * MIB)


# Out of descriptors

def test_out_of_descriptors(start):
    """At the limit new connections wait or are refused, old ones are served, the loop doesn't spin, and room is used again."""
    daemon = start({}, limits={resource.RLIMIT_NOFILE: 80}, expect_log=[r'descriptor|too many open files|EMFILE|accept'])
    bystander = Bystander(daemon)
    crowd = []
    for _ in range(150):
        sock = open_socket(daemon.address)
        sock.send(Handshake().encode())
        crowd.append(sock)
    bystander.check()
    assert daemon.is_alive(), daemon.log()
    cpu = daemon.cpu_time()
    # Nothing happens for a second: a deaf or a spinning loop shows now
    select.select([bystander.ws.sock], [], [], 1.0)
    assert daemon.cpu_time() - cpu < 0.5, 'spins while out of descriptors'
    bystander.check()
    for sock in crowd:
        sock.close()
    deadline = Deadline(scaled(20))
    while True:
        try:
            with RawWs.open(daemon.address, timeout=scaled(5)) as ws:
                ws.send_frame(TEXT, 'room again')
                ws.expect_echo(TEXT, 'room again')
            break
        except AssertionError:
            assert not deadline.passed(), 'accepts nobody after descriptors were freed'
            bystander.check()
    bystander.check()


def test_out_of_descriptors_twice(start):
    daemon = start({}, limits={resource.RLIMIT_NOFILE: 64}, expect_log=[r'descriptor|too many open files|EMFILE|accept'])
    for _ in range(2):
        crowd = [open_socket(daemon.address) for _ in range(100)]
        for sock in crowd:
            sock.close()
        deadline = Deadline(scaled(20))
        while True:
            try:
                with RawWs.open(daemon.address, timeout=scaled(5)) as ws:
                    ws.ping_barrier()
                break
            except AssertionError:
                assert not deadline.passed(), 'accepts nobody after descriptors were freed'


# Frames no client may send

@pytest.mark.parametrize('n', [1, 100])
def test_unmasked_frames(daemon, n):
    bystander = Bystander(daemon)
    for _ in range(n):
        with RawWs.open(daemon.address) as ws:
            ws.send_frame(TEXT, 'unmasked', mask=False)
            assert ws.recv_close().code == 1002
            ws.expect_eof()
    bystander.check()


def test_unmasked_frame_in_a_session(daemon):
    with connect(daemon) as client:
        client.ws.send_frame(TEXT, '{"type":"ping"}', mask=False)
        assert client.ws.recv_close(skip_data=True).code == 1002


@pytest.mark.parametrize('seed', range(20))
def test_random_bytes_as_frames(daemon, seed):
    """Noise behind the handshake ends that connection, and nothing else."""
    noise = random.Random(seed).randbytes(5000)
    bystander = Bystander(daemon)
    with RawWs.open(daemon.address) as ws:
        ws.send_raw(noise)
        ws.shutdown_write()
        try:
            while True:
                frame = ws.recv_frame()
                if frame.opcode == CLOSE:
                    break
                assert frame.opcode in (TEXT, BINARY, PONG)
        except EndOfStream:
            pass
    bystander.check()


def test_signals_in_a_crowd(start):
    """SIGTERM with many clients connected, some silent: told, closed, and the process ends in time with code 0."""
    daemon = start({'server.drain-timeout': '1s'})
    clients = [connect(daemon, token=daemon.mint(f'u{i}')) for i in range(20)]
    raw = [RawWs.open(daemon.address) for _ in range(20)]
    began = time.monotonic()
    daemon.signal(signal.SIGTERM)
    for client in clients:
        client.wait_type('system.reconnect')
        assert client.ws.recv_close(skip_data=True).code in (1001, 1012)
        client.close()
    assert daemon.wait_exit() == 0
    assert time.monotonic() - began < scaled(10)
    for ws in raw:
        ws.close()
