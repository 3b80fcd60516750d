# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The attacks of hostile.py, one per process: ATTACK PORT KEY-FILE SECONDS.

Says `prepared`, waits for a line on standard input, attacks for that long, and says `done` and what it saw. It fails
where the server did not do what it has to do to an attacker.
"""

import contextlib
import os
import select
import socket
import struct
import sys
import time
import zlib
from collections import namedtuple

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from choir_test import (  # noqa: E402
    BINARY, CONTINUATION, PING, PONG, TEXT, EndOfStream, Handshake, RawWs, build_frame, connect, mint,
    open_socket)

MIB = 1024 * 1024
# What one write takes out of the attacker's hands
CHUNK = 65536
MASK = b"abcd"

Target = namedtuple("Target", "address key")


def session(target, user):
    token = mint(target.key, sub=user, permissions=["*:*:read", "*:*:write"])
    return connect(target, token=token)


def abort(sock):
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def until(seconds):
    """At least one round, and more until the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        yield
        if time.monotonic() >= deadline:
            return


# Ten subscribers that never read, a publisher that fills their queues until each is closed with 4008

SILENT_READERS = 10
SILENT_MESSAGES = 250


def silent_reader(target, seconds):
    content = "m" * 40000
    publisher = session(target, "publisher")
    yield
    closed = 0
    for _ in until(seconds):
        readers = [session(target, f"silent-{i}") for i in range(SILENT_READERS)]
        for reader in readers:
            reader.send({"type": "subscribe", "payload": {"channels": [{"channel": "chat:silent"}]}})
            reader.wait_type("subscription.confirmed")
        for _message in range(SILENT_MESSAGES):
            publisher.send({"type": "publish", "payload": {
                "channel": "chat:silent", "type": "load.message", "payload": {"content": content}}})
            publisher.wait_type("publish.ok")
        for reader in readers:
            close = reader.ws.recv_close(skip_data=True)
            assert close.code == 4008, f"a silent reader was closed with {close}"
            reader.ws.abort()
            closed += 1
    yield f"closed_4008={closed}"


# Upgrades that offer permessage-deflate and are reset half-way, two hundred at a time

ABORTED_AT_ONCE = 200


def aborted_upgrades(target, seconds):
    request = Handshake().add("Sec-WebSocket-Extensions", "permessage-deflate").encode()
    frame = build_frame(TEXT, "x" * 1000, mask=MASK)
    kinds = [request, request[:-10], request + frame, request + frame[:500]]
    yield
    aborted = 0
    for _ in until(seconds):
        socks = [open_socket(target.address) for _ in range(ABORTED_AT_ONCE)]
        for i, sock in enumerate(socks):
            sock.send(kinds[i % len(kinds)])
        for sock in socks:
            abort(sock)
        aborted += len(socks)
    with RawWs.open(target.address, extensions="permessage-deflate") as ws:
        assert ws.extension is not None, "permessage-deflate is no longer agreed to"
        ws.send_compressed(TEXT, b"as it was")
        ws.expect_echo(TEXT, b"as it was")
    yield f"aborted={aborted}"


# More connections than there are descriptors

IDLE_CONNECTIONS = 400


def descriptors(target, seconds):
    yield
    idle = [open_socket(target.address) for _ in range(IDLE_CONNECTIONS)]
    time.sleep(seconds)
    for sock in idle:
        sock.close()
    began = time.monotonic()
    tries = 0
    while True:
        tries += 1
        try:
            with RawWs.open(target.address, timeout=5) as ws:
                ws.ping_barrier()
            break
        except (AssertionError, OSError):
            assert time.monotonic() < began + 20, "accepts nobody after the descriptors were given back"
    yield f"idle={len(idle)} accepts_again_after_ms={(time.monotonic() - began) * 1000:.0f} tries={tries}"


# 100 MiB of nothing, deflated

BOMBS_AT_ONCE = 8


def deflate_bombs(target, seconds):
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = b"".join(deflater.compress(bytes(MIB)) for _ in range(100)) + deflater.flush(zlib.Z_SYNC_FLUSH)
    sizes = (4000, 100, len(data))
    bombs = []
    for size in sizes:
        last = len(data) - 1
        bombs.append(b"".join(
            build_frame(BINARY if at == 0 else CONTINUATION, data[at:at + size], fin=at + size > last,
                        rsv=4 if at == 0 else 0, mask=MASK) for at in range(0, len(data), size)))
    yield
    refused = 0
    for _ in until(seconds):
        throwers = [RawWs.open(target.address, extensions="permessage-deflate") for _ in range(BOMBS_AT_ONCE)]
        for i, ws in enumerate(throwers):
            ws.send_raw(bombs[i % len(bombs)])
        for ws in throwers:
            close = ws.recv_close()
            assert close.code == 1009, f"a bomb was answered with {close}"
            ws.abort()
            refused += 1
    yield f"closed_1009={refused}"


# Pings by somebody who does not read the pongs

PINGS = 100000


def ping_flood(target, seconds):
    burst = build_frame(PING, b"p" * 125, mask=MASK) * 500
    last = build_frame(PING, b"the last one", mask=MASK)
    yield
    pings = 0
    for _ in until(seconds):
        ws = RawWs.open(target.address)
        ws.reads_while_sending = False
        for _burst in range(PINGS // 500):
            ws.send_raw(burst)
        ws.send_raw(last)
        pings += PINGS + 1
        # RFC 6455 5.5.3: of many pings the most recent must be answered
        while True:
            frame = ws.recv_frame()
            assert frame.opcode == PONG, frame
            if frame.payload == b"the last one":
                break
        ws.abort()
    yield f"pings={pings}"


# Text that is not what it should be, by somebody who reads the errors

FLOODERS = 4

MALFORMED = [
    "{", "[]", "null", "{\"type\":}", "{\"type\":\"ping\",\"payload\":{}", "{\"type\":7,\"payload\":{}}",
    "{\"type\":\"nothing.like.it\",\"payload\":{}}", "{\"type\":\"publish\",\"payload\":[]}",
    "{\"type\":\"ping\",\"payload\":{\"a\":" + "9" * 5000 + "}}",
    "{\"type\":\"ping\",\"payload\":" + "[" * 20000 + "]" * 20000 + "}",
    "{\"type\":\"ping\",\"payload\":" + "{\"a\":" * 8000 + "1" + "}" * 8000 + "}",
    "{\"type\":\"ping\",\"payload\":{\"a\":\"" + "\\ud800" * 5000 + "\"}}",
    "{\"type\":\"ping\",\"payload\":{\"a\":\"" + "<script>" * 5000,
    "{" + ",".join(f"\"k{i}\":{i}" for i in range(5000)),
]


def flood(socks, data, seconds):
    """Keeps all of them full, and throws away what they say. Returns the bytes sent."""
    at = {sock: 0 for sock in socks}
    sent = 0
    for _ in until(seconds):
        readable, writable, _ = select.select(socks, socks, [], 1)
        for sock in readable:
            assert sock.recv(CHUNK * 4), "a flooder was cut off"
        for sock in writable:
            with contextlib.suppress(BlockingIOError):
                n = sock.send(data[at[sock]:at[sock] + CHUNK])
                at[sock] = (at[sock] + n) % len(data)
                sent += n
    # to the end of a message, so that the connections can go on
    for sock in socks:
        while at[sock] > 0:
            readable, writable, _ = select.select([sock], [sock], [], 10)
            assert readable or writable, "the server no longer reads"
            if readable:
                assert sock.recv(CHUNK * 4), "a flooder was cut off"
            if writable:
                with contextlib.suppress(BlockingIOError):
                    at[sock] = (at[sock] + sock.send(data[at[sock]:])) % len(data)
    return sent


def json_flood(target, seconds):
    data = b"".join(build_frame(TEXT, text, mask=MASK) for text in MALFORMED * 5)
    clients = [session(target, f"flooder-{i}") for i in range(FLOODERS)]
    yield
    sent = flood([client.ws.sock for client in clients], data, seconds)
    n_messages = sent // len(data) * len(MALFORMED) * 5
    for client in clients:
        # frames were cut by the bytes thrown away: what counts is that it was not closed
        client.ws.sock.setblocking(True)
        client.ws.sock.settimeout(5)
        client.ws.sock.sendall(build_frame(PING, b"still here"))
        tail = b""
        while b"\x8a\x0astill here" not in tail:
            piece = client.ws.sock.recv(CHUNK)
            assert piece, "a flooder was cut off"
            tail = tail[-100:] + piece
        client.close()
    yield f"messages={n_messages} mib={sent / MIB:.0f}"


# Five hundred requests that never end

HALF_HEADS = 500


def slowloris(target, seconds):
    head = Handshake().add("X-Padding", "p" * 2000).encode()
    yield
    socks = [open_socket(target.address) for _ in range(HALF_HEADS)]
    for sock in socks:
        sock.send(head[:200])
    at = 200
    for _ in until(seconds):
        for sock in socks:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError, BlockingIOError):
                sock.send(head[at:at + 1])
        at += 1
        time.sleep(0.05)
    ended = 0
    for sock in socks:
        readable, _, _ = select.select([sock], [], [], 5)
        assert readable, "a request that never ends is still waited for"
        ended += 1
        sock.close()
    yield f"half_heads={len(socks)} ended={ended}"


# No attack: the same kind of traffic between two other processes shows what is the machine's share

def elsewhere(target, seconds):
    listening = socket.create_server(("127.0.0.1", 0))
    if os.fork() == 0:
        sink, _ = listening.accept()
        while sink.recv(CHUNK * 4):
            pass
        os._exit(0)
    sock = socket.create_connection(listening.getsockname())
    data = build_frame(PING, b"p" * 125, mask=MASK) * 500
    yield
    sent = 0
    for _ in until(seconds):
        sent += sock.send(data)
    sock.close()
    os.wait()
    yield f"mib={sent / MIB:.0f}"


ATTACKS = {
    "(elsewhere)": elsewhere,
    "silent reader": silent_reader,
    "aborted upgrades": aborted_upgrades,
    "descriptors": descriptors,
    "deflate bombs": deflate_bombs,
    "ping flood": ping_flood,
    "JSON flood": json_flood,
    "slowloris": slowloris,
}


def main(name, port, key_file, seconds):
    with open(key_file, encoding="ascii") as key:
        target = Target(("127.0.0.1", int(port)), key.read())
    attack = ATTACKS[name](target, float(seconds))
    next(attack)
    print("prepared", flush=True)
    sys.stdin.readline()
    try:
        print("done", next(attack), flush=True)
    except (AssertionError, EndOfStream, OSError) as error:
        print(f"failed {type(error).__name__}: {error}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
