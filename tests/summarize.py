#!/usr/bin/python3
# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counts what `meson test` really ran, over any number of its testlog.json files.

Every TAP point counts by itself. A test that failed as a whole, but none of whose points says so (a
crash, a sanitizer report, a timeout, points that never came), counts as one failure more.
The report of each failure goes to standard output; the last line is the sum.
"""

import json
import re
import sys

POINT = re.compile(r"^(not )?ok\b[^#]*(?:#\s*(skip|todo)\b.*)?", re.IGNORECASE)
BEGIN = re.compile(r"^(?:TAP version \d+|1\.\.\d+)")
GOOD = {"OK", "EXPECTEDFAIL", "SKIP"}
OUTPUT_LINES = 80


def count_points(text):
    """Passed, failed and skipped of a TAP text, or None if it is not TAP."""
    passed = failed = skipped = 0
    is_tap = False
    for line in text.splitlines():
        point = POINT.match(line)
        if BEGIN.match(line):
            is_tap = True
        elif point and (point[2] or "").lower() == "skip":
            skipped += 1
        elif point and point[1] and (point[2] or "").lower() != "todo":
            failed += 1
        elif point:
            passed += 1
    return (passed, failed, skipped) if is_tap else None


def count_test(test):
    good = test["result"] in GOOD
    points = count_points(test.get("stdout") or "")
    if points is None or sum(points) == 0:
        if test["result"] == "SKIP":
            return 0, 0, 1
        return (1, 0, 0) if good else (0, 1, 0)
    passed, failed, skipped = points
    if not good and failed == 0:
        failed = 1
    return passed, failed, skipped


def report(run, test):
    print(f"\n--- FAILED ({run}): {test['name']}: {test['result']}, status {test.get('returncode')}")
    for stream in ("stdout", "stderr"):
        lines = (test.get(stream) or "").splitlines()
        if len(lines) > OUTPUT_LINES:
            print(f"... {len(lines) - OUTPUT_LINES} lines of {stream} before ...")
        for line in lines[-OUTPUT_LINES:]:
            print(f"  {line}")


def main(paths):
    total = [0, 0, 0]
    for path in paths:
        run, path = path.split("=", 1)
        try:
            with open(path, encoding="utf-8", errors="replace") as log:
                tests = [json.loads(line) for line in log if line.strip()]
        except OSError as error:
            print(f"\n--- FAILED ({run}): no results: {error}")
            tests = []
            total[1] += 1
        for test in tests:
            counts = count_test(test)
            total = [have + more for have, more in zip(total, counts)]
            if counts[1]:
                report(run, test)
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 1 if total[1] or not total[0] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
