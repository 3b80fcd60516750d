# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Instructions in user mode per message, through the whole daemon: with CHOIR-LOAD per delivery and per
ping, with CHOIR-EDIT per change of a document and per editor who is shown it.

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

EDITORS = 100
CHANGES = (80, 400)  # fewer than make a snapshot
STORED_CHANGE_BUDGET = int(os.environ.get("CHOIR_TEST_STORED_CHANGE_BUDGET", "126000"))
CHANGE_BUDGET = int(os.environ.get("CHOIR_TEST_CHANGE_BUDGET", "63000"))
READER_BUDGET = int(os.environ.get("CHOIR_TEST_READER_BUDGET", "270"))
BATCH_BUDGET = int(os.environ.get("CHOIR_TEST_BATCH_BUDGET", "46000"))
TOTAL = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)


def count(choird, generator, mode, options, settings=()):
    state = State()
    try:
        out = os.path.join(state.path, "callgrind.out")
        server = state.choird(choird, "valgrind", "--tool=callgrind", "--quiet",
                              f"--callgrind-out-file={out}", extra=settings)
        with server:
            figures, problem = run_load(generator, server, mode, "--seconds", "60", *options)
            if problem:
                raise RuntimeError(problem)
            status = server.stop()
        if status != 0:
            raise RuntimeError(f"choird ended with {status}")
        with open(out, encoding="utf-8") as profile:
            return max(int(total) for total in TOTAL.findall(profile.read()))
    finally:
        state.remove()


def difference(choird, generator, mode, connections, messages, number_option="--messages", options=(),
               settings=()):
    few, many = (count(choird, generator, mode,
                       ["--connections", str(connections), number_option, str(number), *options], settings)
                 for number in messages)
    return (many - few) / (messages[1] - messages[0])


def measure_messages(choird, load):
    per_delivery = difference(choird, load, "fanout", SUBSCRIBERS, PUBLICATIONS) / SUBSCRIBERS
    few = difference(choird, load, "fanout", FEW_SUBSCRIBERS, PUBLICATIONS) / FEW_SUBSCRIBERS
    print(f"# {few:.0f} instructions per delivery with {FEW_SUBSCRIBERS} subscribers")
    per_ping = difference(choird, load, "echo", 1, PINGS)
    return (("delivery", per_delivery, DELIVERY_BUDGET), ("ping", per_ping, PING_BUDGET))


def measure_documents(choird, edit):
    def change(editors, *options, store="memory"):
        return difference(choird, edit, "durable", editors, CHANGES, "--changes",
                          ["--active", "1", "--size", "10000", *options],
                          [f"store.backend={store}", "rate.document=65535/100ms"])

    stored, alone, shown = change(1, store="sqlite"), change(1), change(EDITORS)
    # of changes that leave together a reader costs too little to be told from the rest
    together = change(EDITORS, "--window", "16")
    return (("change stored by SQLite", stored, STORED_CHANGE_BUDGET), ("change", alone, CHANGE_BUDGET),
            ("change and reader", (shown - alone) / (EDITORS - 1), READER_BUDGET),
            (f"change with {EDITORS} editors, 16 in flight", together, BATCH_BUDGET))


def main(choird, generator):
    measure = measure_documents if os.path.basename(generator) == "choir-edit" else measure_messages
    results = measure(choird, generator)
    print(f"1..{len(results)}")
    for number, (what, figure, budget) in enumerate(results, 1):
        verdict = "ok" if 0 < figure <= budget else "not ok"
        print(f"{verdict} {number} {figure:.0f} instructions per {what}, budget {budget}", flush=True)
    return 0 if all(0 < figure <= budget for _, figure, budget in results) else 1


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: callgrind.py CHOIRD CHOIR-LOAD|CHOIR-EDIT")
    sys.exit(main(*sys.argv[1:]))
