# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What it costs to keep a channel's messages in the store: publishes a second and CPU time per publish, beside a channel
in memory.

    /usr/bin/python3 tests/load/persist.py BUILD [quick]

One publisher with so many publications in flight, so many subscribers; the server has one core, the generator another. The
store is on the disk that BUILD is on. CPU time is the whole process's, the store's threads included; the rounds alternate
between the ways, and the median counts.
"""

import os
import statistics
import sys

from servers import State, run_load

WAYS = [
    ("in memory", ["namespace chat.persist=no"]),
    ("stored in memory", ["namespace chat.persist=yes"]),
    ("stored, normal", ["namespace chat.persist=yes", "store.backend=sqlite", "store.durability=normal"]),
    ("stored, full", ["namespace chat.persist=yes", "store.backend=sqlite", "store.durability=full"]),
]
# No rate is to be what limits it
FREE = ["rate.default=65535/100ms"]
# subscribers, in flight
SCENARIOS = [(1, 1), (1, 16), (1, 256), (100, 16), (100, 256)]
ROUNDS = 3


def cores():
    available = sorted(os.sched_getaffinity(0))
    return (available[0], available[1]) if len(available) > 1 else (None, None)


def measure(build, settings, subscribers, in_flight, seconds):
    """(publishes a second, microseconds of CPU time each)"""
    core, load_core = cores()
    state = State(under=build)
    try:
        with state.choird(os.path.join(build, "src/daemon/choird"), core=core, extra=[*settings, *FREE]) as server:
            figures, problem = run_load(
                os.path.join(build, "tests/load/choir-load"), server, "fanout", "-n", str(subscribers),
                "-w", str(in_flight), *seconds, core=load_core)
    finally:
        state.remove()
    if problem:
        raise RuntimeError(problem)
    return figures["per_s"] / subscribers, figures["cpu_us"] * subscribers


def main(build, quick=None):
    seconds = ["-t", "1", "-u", "0.3"] if quick else ["-t", "3", "-u", "1"]
    print(f"{'subscribers':>11} {'in flight':>9}  {'way':<17} {'publishes/s':>11} {'CPU us':>8} {'ratio':>6}")
    for subscribers, in_flight in SCENARIOS:
        found = {name: [] for name, _settings in WAYS}
        for _round in range(ROUNDS):
            for name, settings in WAYS:
                found[name].append(measure(build, settings, subscribers, in_flight, seconds))
        base = statistics.median(cpu for _rate, cpu in found[WAYS[0][0]])
        for name, _settings in WAYS:
            rate = statistics.median(one for one, _cpu in found[name])
            cpu = statistics.median(one for _rate, one in found[name])
            print(f"{subscribers:>11} {in_flight:>9}  {name:<17} {rate:>11.0f} {cpu:>8.1f} {cpu / base:>6.2f}", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except (RuntimeError, OSError) as error:
        sys.exit(f"! {error}")
