# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each dialect once with npm's ws, the client that the contracts' Node front ends use."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from choir_test import DEADLINE, DIALECTS
from choir_test.schemas import CONTRACTS

HERE = Path(__file__).resolve().parent
WS = HERE.parents[1] / 'conformance' / 'node' / 'node_modules' / 'ws' / 'wrapper.mjs'

pytestmark = [
    pytest.mark.skipif(shutil.which('node') is None, reason='node is not installed'),
    pytest.mark.skipif(not WS.exists(), reason='npm ci has not been run in tests/conformance/node'),
]


@pytest.mark.parametrize('dialect', sorted(DIALECTS))
def test_conversation(daemon, user, dialect):
    host, port = daemon.address
    done = subprocess.run(['node', str(HERE / 'npm_ws.mjs'), str(WS), f'ws://{host}:{port}', dialect, daemon.mint(user)],
                          capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stderr
    heard, ok = done.stdout.splitlines()
    assert ok == 'ok'
    messages = [json.loads(text) for text in json.loads(heard)]
    # a pong, an error, another pong
    assert len(messages) >= 3
    for message in messages:
        CONTRACTS[dialect].check('out', message)
