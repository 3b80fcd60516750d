# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""10,000 clients at a time, a broadcast to all of them, and an end that tells each of them to come back.

    /usr/bin/python3 tests/load/hold.py CHOIRD CHOIR-HOLD [CONNECTIONS]

CHOIR-HOLD is tests/load/choir-hold of the build, or choir-load beside it. Exits 1 unless every client was held, reached
once, told to come back and closed with 1012, and the daemon ended with 0 within drain-timeout.
"""

import os
import subprocess
import sys
import time

from servers import State

CONNECTIONS = 10000
DRAIN_SECONDS = 30


def cores():
    available = sorted(os.sched_getaffinity(0))
    return (available[0], available[1]) if len(available) > 1 else (None, None)


def read_status(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field + ":"))


def read_stage(process, name):
    line = process.stdout.readline().strip()
    if not line.startswith(name + " "):
        raise RuntimeError(f"choir-hold ended before it was done with '{name}'")
    print(line, flush=True)


def run(state, choird, generator, connections):
    core, load_core = cores()
    server = state.choird(choird, core=core, extra=[
        f"server.drain-timeout={DRAIN_SECONDS}s", "namespace.history-size=10"])
    with server:
        pid = server.process.pid
        rss = read_status(pid, "VmRSS")
        command = [generator, "--port", str(server.port), "--key", state.key, "-n", str(connections),
                   "--leave", str(DRAIN_SECONDS + 10)]
        with subprocess.Popen(
                command, stdout=subprocess.PIPE, text=True,
                preexec_fn=lambda: load_core is not None and os.sched_setaffinity(0, {load_core})) as hold:
            try:
                read_stage(hold, "held")
                held = read_status(pid, "VmRSS")
                print(f"rss_kib before={rss} held={held} "
                      f"per_connection={(held - rss) / connections:.2f}", flush=True)
                read_stage(hold, "broadcast")
                began = time.monotonic()
                server.process.terminate()
                read_stage(hold, "left")
                status = server.process.wait(DRAIN_SECONDS + 10)
                drain = time.monotonic() - began
                complaint = server.complaint()
            finally:
                if hold.poll() is None and server.process.poll() is not None:
                    hold.wait(5)
                hold.kill()
        generator_status = hold.returncode
    print(f"drain status={status} seconds={drain:.2f} limit={DRAIN_SECONDS}")
    if complaint:
        print(f"the daemon said: {complaint}", file=sys.stderr)
    return status == 0 and drain <= DRAIN_SECONDS and generator_status == 0


def main(choird, generator, connections=CONNECTIONS):
    generator = os.path.join(os.path.dirname(os.path.abspath(generator)), "choir-hold")
    state = State()
    try:
        good = run(state, choird, generator, int(connections))
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        print(f"! {error}", file=sys.stderr)
        good = False
    finally:
        state.remove()
    print("passed" if good else "FAILED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
