# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an event stream costs beside a WebSocket: memory while nothing happens, and CPU time for each message it is given.

    /usr/bin/python3 tests/load/streams.py CHOIRD [CONNECTIONS [MESSAGES]]

Each kind on a daemon of its own, in turns, twice. Exits 1 unless every client got every message.
"""

import base64
import os
import selectors
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from choir_test import mint  # noqa: E402
from choir_test.frames import TEXT, build_frame  # noqa: E402
from servers import State  # noqa: E402

CHANNEL = "note:load"
LAST = b"the last one"
# Messages that are published together
TOGETHER = 20
DEADLINE = 120


def status(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_until(sock, mark):
    data = b""
    while mark not in data:
        got = sock.recv(65536)
        if not got:
            raise RuntimeError(f"closed after {data[-200:]!r}")
        data += got


def open_stream(port, token):
    sock = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
    sock.sendall(f"GET /sse?channels={CHANNEL} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    read_until(sock, b"subscription.confirmed")
    return sock


def open_websocket(port, token, subscribe=True):
    sock = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
    key = base64.b64encode(os.urandom(16)).decode()
    sock.sendall(f"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                 f"Sec-WebSocket-Key: {key}\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    read_until(sock, b"connection.established")
    if subscribe:
        sock.sendall(build_frame(TEXT, b'{"type":"subscribe","payload":{"channels":["%s"]}}' % CHANNEL.encode()))
        read_until(sock, b"subscription.confirmed")
    return sock


def message(content):
    return (b'{"type":"publish","payload":{"channel":"%s","type":"note","payload":{"content":"%s"}}}'
            % (CHANNEL.encode(), content))


def drain(socks, batches, speaker):
    """Publishes one batch after the other, each when all clients have the one before."""
    selector = selectors.DefaultSelector()
    for sock in socks:
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ)
    for batch, mark in batches:
        waiting = set(socks)
        tails = dict.fromkeys(socks, b"")
        speaker.sendall(build_frame(TEXT, batch))
        deadline = time.monotonic() + DEADLINE
        while waiting:
            for key, _ in selector.select(1):
                data = tails[key.fileobj] + key.fileobj.recv(1 << 18)
                if mark in data:
                    waiting.discard(key.fileobj)
                tails[key.fileobj] = data[-len(mark):]
            if time.monotonic() > deadline:
                raise RuntimeError(f"{len(waiting)} clients have not got all of it")


def run(choird, kind, connections, messages):
    state = State()
    open_one = {"websocket": open_websocket, "stream": open_stream}[kind]
    try:
        with state.choird(choird, extra=["namespace.history-size=10"]) as server:
            pid = server.process.pid
            with open(state.key, encoding="ascii") as file:
                token = mint(file.read(), "load", ["*:*:*"])
            speaker = open_websocket(server.port, token, subscribe=False)
            for sock in [open_one(server.port, token) for _ in range(100)]:
                sock.close()
            before = status(pid, "VmRSS")
            socks = [open_one(server.port, token) for _ in range(connections)]
            held = status(pid, "VmRSS")
            batches = []
            for i in range(messages // TOGETHER):
                mark = b"%s %d" % (LAST, i)
                contents = [b"x" * 100] * (TOGETHER - 1) + [mark]
                batches.append((b"[" + b",".join(map(message, contents)) + b"]", mark))
            began = cpu_seconds(pid)
            drain(socks, batches, speaker)
            used = cpu_seconds(pid) - began
            for sock in (*socks, speaker):
                sock.close()
    finally:
        state.remove()
    n = connections * messages // TOGETHER * TOGETHER
    print(f"{kind:9} idle {(held - before) / connections:6.2f} KiB/connection, "
          f"{used / n * 1e6:6.3f} us/delivery ({used:.2f} s for {n})", flush=True)
    return (held - before) / connections, used / n


def main(choird, connections=2000, messages=400):
    try:
        found = [[run(choird, kind, int(connections), int(messages)) for kind in ("websocket", "stream")] for _ in range(2)]
    except (RuntimeError, OSError) as error:
        print(f"! {error}", file=sys.stderr)
        return 1
    best = [[min(figures[i][j] for figures in found) for j in range(2)] for i in range(2)]
    print(f"stream : websocket  memory {best[1][0] / best[0][0]:.2f}, CPU time {best[1][1] / best[0][1]:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
