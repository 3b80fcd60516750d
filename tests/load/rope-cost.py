#!/usr/bin/python3
# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Instructions in user mode for an edit of a rope, the allocator's included, and its memory afterwards.

usage: rope-cost.py ROPE-COST TRACE...

Replays recorded editing sessions; only the edits are counted, not reading the trace. An edit deletes,
inserts, or does both. Prints TAP, and last the time of an edit anywhere in a long text, which is not
judged since it depends on the machine.
"""

import os
import re
import subprocess
import sys
import tempfile

# Both sessions take about 240
INSTRUCTIONS_BUDGET = 1100
# Memory of the rope to bytes of its text
MEMORY_BUDGET = 2.0
TOTAL = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)


def run(*command):
    result = subprocess.run(command, check=True, timeout=120, stdout=subprocess.PIPE, text=True)
    return dict(pair.split("=") for pair in result.stdout.split())


def replay(program, trace):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "callgrind")
        figures = run("valgrind", "--tool=callgrind", "--quiet", "--toggle-collect=replay",
                      f"--callgrind-out-file={out}", program, trace)
        with open(out, encoding="utf-8") as profile:
            total = max(int(total) for total in TOTAL.findall(profile.read()))
    return total / int(figures["edits"]), int(figures["memory"]) / int(figures["bytes"]), figures


def main(program, *traces):
    if os.environ.get("CHOIR_TEST_SANITIZED", "none") != "none":
        print("1..0 # SKIP instructions mean nothing under a sanitizer")
        return 0

    print(f"1..{3 * len(traces)}")
    verdicts = []
    for trace in traces:
        name = os.path.basename(trace).split(".")[0]
        instructions, ratio, figures = replay(program, trace)
        for good, what in (
                (figures["as_recorded"] == "1", "the text is the one recorded"),
                (0 < instructions <= INSTRUCTIONS_BUDGET,
                 f"{instructions:.0f} instructions an edit, budget {INSTRUCTIONS_BUDGET}"),
                (0 < ratio <= MEMORY_BUDGET, f"memory {ratio:.2f} x the text, budget {MEMORY_BUDGET}")):
            verdicts.append(good)
            print(f"{'ok' if good else 'not ok'} {len(verdicts)} {name}: {what}", flush=True)
    figures = run(program, "random")
    print(f"# {figures['ns']} ns for a random edit in 1 Mi characters of 1 to 4 bytes")
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
