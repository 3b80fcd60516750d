# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Daemons and users for the integration tests. Each file shares one daemon; a test that needs other settings starts
its own."""

import sys
from itertools import count
from pathlib import Path

import pytest

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE.parent / 'support'), str(_HERE)]

from choir_test import Daemon  # noqa: E402
from choir_test.bus import Bus  # noqa: E402
from choir_test.fixtures import daemon, hold_to_schemas, start, usual_settings  # noqa: E402, F401
from task_worker import Worker  # noqa: E402

_numbers = count(1)


@pytest.fixture
def user():
    """A user nobody has been before: limits per user do not carry over from test to test."""
    return f'user{next(_numbers)}'


@pytest.fixture
def fresh():
    """Names nobody has used before."""
    return lambda prefix: f'{prefix}{next(_numbers)}'


@pytest.fixture
def bus():
    """A message bus that nobody else is on."""
    with Bus() as private:
        yield private


@pytest.fixture
def hire():
    """Workers that are sent home at the end of the test."""
    yield Worker
    Worker.send_all_home()


@pytest.fixture(scope='module')
def shared_daemon(request):
    """With the settings the file names in SETTINGS, the built-in ones otherwise."""
    daemon = Daemon(getattr(request.module, 'SETTINGS', None)).start()
    yield daemon
    daemon.stop()
