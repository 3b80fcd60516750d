# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What it costs to give a client that comes back what it has missed.

    /usr/bin/python3 tests/load/recovery.py CHOIRD [MISSED]

One client subscribes again and again, each time with a position so many messages (100) behind. CPU time is the whole process's,
the store's threads included, and beside it that of a subscription that has missed nothing. Exits 1 if an answer takes more than one
frame, or recovery more than a millisecond of CPU time.
"""

import json
import os
import statistics
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from choir_test import RawWs, mint  # noqa: E402
from servers import State  # noqa: E402

MISSED = 100
VISITS = 200
ROUNDS = 3
MOST_CPU_US = 1000
CHANNEL = "chat:recovery"
PAYLOAD = {"content": "What somebody said while the other one was away, of some hundred bytes, which is about usual."}

SQLITE = ["namespace chat.persist=yes", "store.backend=sqlite"]
WAYS = [
    ("in memory", ["namespace chat.persist=no"]),
    ("stored, from memory", SQLITE),
    # so little that every message that was missed has to be read
    ("stored, from the store", [*SQLITE, "protocol.max-history-bytes=1K"]),
]


def cpu_us(pid):
    """Of all threads, from what the scheduler counts in nanoseconds."""
    spent = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as stat:
            spent += int(stat.read().split()[0])
    return spent / 1000


class Client:
    def __init__(self, server, key):
        with open(key, encoding="ascii") as file:
            token = mint(file.read(), sub="reader")
        self.ws = RawWs.open(("127.0.0.1", server.port), f"/ws?token={token}")
        self.ws.recv_json()

    def ask(self, type_, payload):
        """The answer, its bytes, and how many frames it came in."""
        self.ws.send_json({"type": type_, "payload": payload})
        frames, text = 0, b""
        while True:
            frame = self.ws.recv_frame()
            frames += 1
            text += frame.payload
            if frame.fin:
                return json.loads(text), len(text), frames

    def publish(self, n):
        for _ in range(n):
            answer, _bytes, _frames = self.ask("publish", {"channel": CHANNEL, "type": "note", "payload": PAYLOAD})
            if answer["type"] != "publish.ok":
                raise RuntimeError(f"not published: {answer}")
        return answer["payload"]

    def come_back(self, position, offset, missed):
        answer, n_bytes, frames = self.ask("subscribe", {"channels": [
            {"channel": CHANNEL, "epoch": position["epoch"], "offset": offset}]})
        row = answer["payload"]["channels"][0]
        if not row["recovered"] or len(row["messages"]) != missed:
            raise RuntimeError(f"{len(row['messages'])} of {missed} recovered")
        return n_bytes, frames


def measure(choird, settings, missed, under):
    """(CPU microseconds of a recovery, of a subscription without, bytes, frames at most)"""
    state = State(under=under)
    try:
        with state.choird(choird, core=min(os.sched_getaffinity(0)), extra=[
                *settings, f"namespace chat.history-size={2 * missed}", "protocol.max-queue-bytes=16M"]) as server:
            client = Client(server, state.key)
            position = client.publish(2 * missed)
            newest = position["offset"]
            costs = {}
            for n in (missed, 0):
                client.come_back(position, newest - n, n)
                before = cpu_us(server.process.pid)
                found = [client.come_back(position, newest - n, n) for _visit in range(VISITS)]
                costs[n] = ((cpu_us(server.process.pid) - before) / VISITS, found)
    finally:
        state.remove()
    found = costs[missed][1]
    return costs[missed][0], costs[0][0], found[0][0], max(frames for _bytes, frames in found)


def main(choird, missed=MISSED):
    missed = int(missed)
    good = True
    print(f"{missed} missed messages")
    print(f"{'way':<24} {'CPU us':>8} {'nothing missed':>15} {'bytes':>8} {'frames':>7}")
    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(choird))) as under:
        for name, settings in WAYS:
            rounds = [measure(choird, settings, missed, under) for _round in range(ROUNDS)]
            cost = statistics.median(cpu for cpu, _without, _bytes, _frames in rounds)
            without = statistics.median(one for _cpu, one, _bytes, _frames in rounds)
            frames = max(one for _cpu, _without, _bytes, one in rounds)
            print(f"{name:<24} {cost:>8.1f} {without:>15.1f} {rounds[0][2]:>8} {frames:>7}", flush=True)
            good = good and frames == 1 and (missed != MISSED or cost <= MOST_CPU_US)
    print("passed" if good else "FAILED")
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except (RuntimeError, OSError) as error:
        sys.exit(f"! {error}")
