# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The examples of a page of docs: indented blocks of commands behind a prompt, and what these print."""

import os
import re
import subprocess
from pathlib import Path

from choir_test import DEADLINE

DOCS = Path(__file__).resolve().parents[2] / 'docs'

_END = 'END-OF-EXAMPLE'


def read_examples(page):
    """[(command, expected output)]; a command goes on behind a backslash, and as long as a quote is open."""
    examples, command, lines = [], None, []
    for line in [*(DOCS / page).read_text('utf-8').splitlines(), '']:
        if line.startswith('    $ '):
            if command is not None:
                examples.append((command, '\n'.join(lines)))
            command, lines = line[6:], []
        elif command is not None and line.startswith('    ') and command.endswith('\\'):
            command = command[:-1] + line.strip()
        elif command is not None and line.startswith('    ') and command.count("'") % 2:
            command += '\n' + line[4:]
        elif command is not None and line.startswith('    '):
            lines.append(line[4:])
        elif command is not None:
            examples.append((command, '\n'.join(lines)))
            command = None
    return examples


def run_examples(examples, env):
    """Runs them one after the other in one shell; each must print what it is said to, `...` being anything."""
    script = '\n'.join(f'{command}\nprintf "\\n%s\\n" {_END}' for command, _ in examples)
    done = subprocess.run(['sh', '-eu', '-c', script], env={**os.environ, 'LC_ALL': 'C.UTF-8', **env}, capture_output=True,
                          text=True, timeout=DEADLINE, check=True)
    outputs = done.stdout.split(f'\n{_END}\n')[:-1]
    assert len(outputs) == len(examples)
    for (command, expected), output in zip(examples, outputs):
        pattern = '.*?'.join(re.escape(part) for part in expected.split('...'))
        assert re.fullmatch(pattern, output.strip()), f'{command}\ngave\n{output}\nnot\n{expected}'
