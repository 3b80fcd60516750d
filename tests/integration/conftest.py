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

from choir_test import Daemon, DaemonError, schemas  # noqa: E402
from choir_test.bus import Bus  # noqa: E402
from task_worker import Worker  # noqa: E402

_numbers = count(1)


@pytest.fixture(autouse=True)
def hold_to_schemas():
    """What a test says and hears is held to docs/schemas; what it says wrongly must have been refused by its end."""
    schemas.begin()
    yield
    schemas.judge()


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


@pytest.fixture
def start():
    """Starts daemons that are stopped, and judged, at the end of the test."""
    running = []

    def launch(settings=None, **kwargs):
        daemon = Daemon(settings, **kwargs)
        running.append(daemon)
        return daemon.start()

    yield launch
    failures = []
    for daemon in running:
        try:
            daemon.stop()
        except DaemonError as error:
            failures.append(str(error))
    if failures:
        raise DaemonError('\n'.join(failures))


@pytest.fixture(scope='module')
def shared_daemon(request):
    """With the settings the file names in SETTINGS, the built-in ones otherwise."""
    daemon = Daemon(getattr(request.module, 'SETTINGS', None)).start()
    yield daemon
    daemon.stop()


@pytest.fixture
def daemon(shared_daemon):
    assert shared_daemon.is_alive(), f'choird died in an earlier test:\n{shared_daemon.log()}'
    yield shared_daemon
    assert shared_daemon.is_alive(), f'choird died:\n{shared_daemon.log()}'
    shared_daemon.assert_clean()
