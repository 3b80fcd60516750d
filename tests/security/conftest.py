# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Daemons for hostile clients. Each file has one with default limits; what needs others starts its own."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'support'))

from choir_test import BINARY, TEXT, Daemon, RawWs  # noqa: E402
from choir_test.fixtures import daemon, hold_to_schemas, start  # noqa: E402, F401

MIB = 1024 * 1024

# Limits out of the way of tests that are about something else
OPEN_LIMITS = {
    'server.max-connections-per-user': '1000',
    'rate.default': '60000/1s',
    'protocol.heartbeat-interval': '10m',
    'protocol.idle-timeout': '10m',
}

# The contracts' own limits, likewise
OPEN_DIALECTS = ''.join(
    f'[dialect {name}]\nrate=60000/1s\nmax-message-size=64K\nmax-connections-per-user=1000\n'
    for name in ('netra', 'netra-spec', 'jddb', 'reviewpoint', 'tripsage'))


def memory_margin(daemon, n_bytes):
    """How much resident memory may grow where the design says `n_bytes`: the sanitizer's red zones and its quarantine of
    freed blocks (256 MiB by default) come on top."""
    return n_bytes * 3 + 300 * MIB if daemon.sanitized else n_bytes


class Bystander:
    """A client of /echo that must be served whatever the others do."""

    def __init__(self, daemon):
        self.ws = RawWs.open(daemon.address)
        self.n = 0

    def check(self):
        self.n += 1
        self.ws.send_frame(TEXT, f'bystander {self.n}')
        self.ws.expect_echo(TEXT, f'bystander {self.n}')

    def check_large(self):
        self.ws.send_frame(BINARY, bytes(50000))
        self.ws.expect_echo(BINARY, bytes(50000))


@pytest.fixture
def usual_settings():
    return OPEN_LIMITS


@pytest.fixture(scope='module')
def shared_daemon():
    daemon = Daemon(OPEN_LIMITS, config=OPEN_DIALECTS).start()
    yield daemon
    daemon.stop()
