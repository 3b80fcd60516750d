#!/usr/bin/python3
# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Instructions in user mode for what is done with one operation on a text, the allocator's included.

usage: text-operation-cost.py TEXT-OPERATION-COST

Two runs that differ in nothing but how often it is done differ by what it costs. Prints TAP.
"""

import os
import re
import subprocess
import sys
import tempfile

TIMES = (1024, 11264)
# what it took when the budget was set, and a fifth more: 511, 666, 57, 1513, 623
BUDGETS = {'transform': 620, 'compose': 800, 'position': 70, 'parse': 1820, 'write': 750}
TOTAL = re.compile(r'^(?:totals|summary): (\d+)', re.MULTILINE)


def count(program, what, times):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, 'callgrind')
        subprocess.run(['valgrind', '--tool=callgrind', '--quiet', f'--callgrind-out-file={out}',
                        program, what, str(times)], check=True, timeout=120)
        with open(out, encoding='utf-8') as profile:
            return max(int(total) for total in TOTAL.findall(profile.read()))


def main(program):
    if os.environ.get('CHOIR_TEST_SANITIZED', 'none') != 'none':
        print('1..0 # SKIP instructions mean nothing under a sanitizer')
        return 0

    print(f'1..{len(BUDGETS)}')
    n_over = 0
    for number, (what, budget) in enumerate(BUDGETS.items(), 1):
        few, many = (count(program, what, times) for times in TIMES)
        figure = (many - few) / (TIMES[1] - TIMES[0])
        good = 0 < figure <= budget
        n_over += not good
        print(f'{"ok" if good else "not ok"} {number} {figure:.0f} instructions to {what}, budget {budget}', flush=True)
    return 1 if n_over else 0


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
