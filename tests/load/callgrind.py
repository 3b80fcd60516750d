# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Instructions in user mode per delivery and per ping, through the whole daemon.

Callgrind counts every instruction of a run. Two runs that differ in nothing but the number of messages
differ by what those messages cost: start, connections and shutdown cancel out. Unlike a time, the figure
is the same on a busy machine.
"""

import os
import re
import sys

from servers import State, run_load

# What a publication costs once (parsing, encoding, its acknowledgement) is shared by this many
SUBSCRIBERS = 1000
FEW_SUBSCRIBERS = 100
PUBLICATIONS = (20, 60)
PINGS = (500, 1500)
DELIVERY_BUDGET = int(os.environ.get("CHOIR_TEST_DELIVERY_BUDGET", "300"))
PING_BUDGET = int(os.environ.get("CHOIR_TEST_PING_BUDGET", "8000"))
TOTAL = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)


def count(choird, load, mode, connections, messages):
    state = State()
    try:
        out = os.path.join(state.path, f"callgrind.{mode}.{messages}")
        server = state.choird(choird, "valgrind", "--tool=callgrind", "--quiet",
                              f"--callgrind-out-file={out}")
        with server:
            figures, problem = run_load(load, server, mode, "--connections", str(connections),
                                        "--messages", str(messages), "--seconds", "60")
            if problem:
                raise RuntimeError(problem)
            status = server.stop()
        if status != 0:
            raise RuntimeError(f"choird ended with {status}")
        with open(out, encoding="utf-8") as profile:
            return max(int(total) for total in TOTAL.findall(profile.read()))
    finally:
        state.remove()


def difference(choird, load, mode, connections, messages):
    few, many = (count(choird, load, mode, connections, number) for number in messages)
    return (many - few) / (messages[1] - messages[0])


def main(choird, load):
    print("1..2")
    per_delivery = difference(choird, load, "fanout", SUBSCRIBERS, PUBLICATIONS) / SUBSCRIBERS
    few = difference(choird, load, "fanout", FEW_SUBSCRIBERS, PUBLICATIONS) / FEW_SUBSCRIBERS
    print(f"# {few:.0f} instructions per delivery with {FEW_SUBSCRIBERS} subscribers")
    per_ping = difference(choird, load, "echo", 1, PINGS)
    results = (("delivery", per_delivery, DELIVERY_BUDGET), ("ping", per_ping, PING_BUDGET))
    for number, (what, figure, budget) in enumerate(results, 1):
        verdict = "ok" if 0 < figure <= budget else "not ok"
        print(f"{verdict} {number} {figure:.0f} instructions per {what}, budget {budget}", flush=True)
    return 0 if all(0 < figure <= budget for _, figure, budget in results) else 1


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: callgrind.py CHOIRD CHOIR-LOAD")
    sys.exit(main(*sys.argv[1:]))
