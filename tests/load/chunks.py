# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a streamed message costs, beside as many messages of its pieces' size.

    /usr/bin/python3 tests/load/chunks.py CHOIRD [SUBSCRIBERS [CHUNKS]]

One worker streams a message of so many chunks (2,000) to so many subscribers (500) of a chat that is kept in the store. CPU time
is the whole process's, the store's threads included, for each chunk and subscriber. Beside it the same load as messages of a
channel that keeps nothing: what a delivery costs anyhow. Exits 1 unless everybody got all of it, and the log one message.
"""

import json
import os
import select
import statistics
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from choir_test import RawWs, mint  # noqa: E402
from servers import State  # noqa: E402

SUBSCRIBERS = 500
CHUNKS = 2000
ROUNDS = 3
DEADLINE_SECONDS = 120
WINDOW = 16
CONTENT = "a few words "
LAST = b'"complete":true'
SETTINGS = [
    "namespace chat.persist=yes", "store.backend=sqlite", "protocol.max-queue-bytes=16M", "session.resume-window=0s",
    "namespace chat.presence=no", "namespace agent-status.presence=no", "namespace agent-status.history-size=0",
]


def cpu_us(pid):
    """Of all threads, from what the scheduler counts in nanoseconds."""
    spent = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as stat:
            spent += int(stat.read().split()[0])
    return spent / 1000


class Crowd:
    """Reads whatever comes, and looks only for the end of it."""

    def __init__(self, sockets):
        self._poll = select.epoll()
        self._sockets = {sock.fileno(): sock for sock in sockets}
        self._tails = {fd: b"" for fd in self._sockets}
        self._done = threading.Event()
        self.n_bytes = 0
        for fd, sock in self._sockets.items():
            sock.setblocking(False)
            self._poll.register(fd, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        waiting = set(self._sockets)
        while waiting:
            for fd, _events in self._poll.poll():
                data = self._sockets[fd].recv(1 << 20)
                if not data:
                    return
                self.n_bytes += len(data)
                self._tails[fd] = (self._tails[fd] + data)[-512:]
                if LAST in self._tails[fd]:
                    waiting.discard(fd)
        self._done.set()

    def wait(self):
        if not self._done.wait(DEADLINE_SECONDS):
            raise RuntimeError("not everybody got everything")


class Client:
    def __init__(self, server, secret, sub, **claims):
        self.ws = RawWs.open(("127.0.0.1", server.port), f"/ws?token={mint(secret, sub=sub, **claims)}")
        self.wait("connection.established")

    def say(self, type_, payload):
        self.ws.send_json({"type": type_, "payload": payload})

    def wait(self, type_):
        message = {}
        while message.get("type") != type_:
            message = self.ws.recv_json()
            if message["type"] == "error":
                raise RuntimeError(f"refused: {json.dumps(message)}")
        return message["payload"]


def say_all(client, type_, payloads):
    """Every so often what was sent is waited for, so that the sender does not run away."""
    for i, payload in enumerate(payloads):
        client.say(type_, payload)
        if i % WINDOW == 0:
            client.say("ping", {})
            client.wait("pong")


def pieces(n):
    return [{"message_id": "m", "content": CONTENT, "seq": i, "complete": i == n - 1, "role": "user"} for i in range(n)]


def stream(client, channel, n):
    """One message of so many pieces."""
    say_all(client, "chat.chunk", [{"channel": channel, **piece} for piece in pieces(n)])
    client.wait("publish.ok")
    client.say("history", {"channel": channel})
    kept = client.wait("history.result")["messages"]
    if [message["payload"]["content"] for message in kept] != [CONTENT * n]:
        raise RuntimeError("the log does not hold the message")


def publish(client, channel, n):
    """As many messages with the same members."""
    say_all(client, "publish", [{"channel": channel, "type": "chat.piece", "payload": piece} for piece in pieces(n)])


WAYS = [("chunks of one message", "chat:load", stream), ("messages, not kept", "agent-status:load", publish)]


def measure(choird, channel, load, subscribers, chunks, under):
    """(CPU microseconds for each chunk and subscriber, seconds)"""
    state = State(under=under)
    try:
        with open(state.key, encoding="ascii") as file:
            secret = file.read()
        with state.choird(choird, core=min(os.sched_getaffinity(0)), extra=SETTINGS) as server:
            clients = [Client(server, secret, f"s{i}") for i in range(subscribers)]
            for client in clients:
                client.say("subscribe", {"channels": [channel]})
                client.wait("subscription.confirmed")
            worker = Client(server, secret, "w", roles=["worker", "admin"])
            crowd = Crowd([client.ws.sock for client in clients])
            before, began = cpu_us(server.process.pid), time.monotonic()
            load(worker, channel, chunks)
            crowd.wait()
            return (cpu_us(server.process.pid) - before) / chunks / subscribers, time.monotonic() - began
    finally:
        state.remove()


def main(choird, subscribers=SUBSCRIBERS, chunks=CHUNKS):
    subscribers, chunks = int(subscribers), int(chunks)
    print(f"{chunks} chunks to {subscribers} subscribers")
    print(f"{'way':<24} {'CPU us each':>12} {'seconds':>8}")
    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(choird))) as under:
        costs = {name: [] for name, _channel, _load in WAYS}
        for _round in range(ROUNDS):
            for name, channel, load in WAYS:
                costs[name].append(measure(choird, channel, load, subscribers, chunks, under))
    for name, rounds in costs.items():
        print(f"{name:<24} {statistics.median(cpu for cpu, _s in rounds):>12.3f} "
              f"{statistics.median(seconds for _cpu, seconds in rounds):>8.2f}")
    print("passed")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except (RuntimeError, OSError) as error:
        sys.exit(f"! {error}")
