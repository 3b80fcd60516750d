# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fixtures of more than one folder: a conftest.py imports them, and says otherwise where it must by one of the same name."""

import pytest

from . import schemas
from .daemon import Daemon, DaemonError


@pytest.fixture(autouse=True)
def hold_to_schemas():
    """What a test says and hears is held to docs/schemas; what it says wrongly must have been refused by its end."""
    schemas.begin()
    yield
    schemas.judge()


@pytest.fixture
def usual_settings():
    """Of a daemon that is started, unless the test says otherwise."""
    return {}


@pytest.fixture
def start(usual_settings):
    """Starts daemons that are stopped, and judged, at the end of the test."""
    running = []

    def launch(settings=None, **kwargs):
        daemon = Daemon({**usual_settings, **(settings or {})}, **kwargs)
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


@pytest.fixture
def daemon(shared_daemon):
    """The folder's `shared_daemon`, judged after each test."""
    assert shared_daemon.is_alive(), f'choird died in an earlier test:\n{shared_daemon.log()}'
    yield shared_daemon
    assert shared_daemon.is_alive(), f'choird died:\n{shared_daemon.log()}'
    shared_daemon.assert_clean()
