# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""choirctl's lists: page by page, also while they change, and as tables of any width whatever the names in them are."""

import json
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'support'))

from choir_test import DEADLINE  # noqa: E402
from choir_test.bus import INTERFACE, NAME, PATH, join, make_daemon  # noqa: E402
from choir_test.ctl import Choirctl, columns  # noqa: E402


@pytest.fixture
def ctl(bus):
    return Choirctl(bus)


@pytest.fixture
def daemon(bus):
    with make_daemon(bus) as running:
        bus.wait_name()
        yield running


def identifier(client):
    return client.seen[0]['payload']['connection_id']


# Of the service itself


def test_pages(ctl, daemon):
    clients = [join(daemon, f'u{i}') for i in range(5)]
    try:
        everybody = {identifier(client) for client in clients}
        seen = [entry['connection'] for offset in range(0, 6, 2)
                for entry in ctl.json('connections', '--limit', '2', '--offset', str(offset))]
        assert set(seen) == everybody and len(seen) == 5
        assert ctl('connections', '--limit', '2').endswith('2 connections; there may be more: --all, or --offset 2\n')
        assert {entry['connection'] for entry in ctl.json('connections', '--all')} == everybody
        assert ctl.json('connections', '--all', '--offset', '5') == []
    finally:
        for client in clients:
            client.ws.close()


def test_all_takes_more_than_a_page(bus, ctl):
    """The service gives at most 1000 at once."""
    with make_daemon(bus, {'session.max-subscriptions': '2000'}) as daemon, join(daemon, 'alice') as alice:
        bus.wait_name()
        names = {f'chat:room{i}' for i in range(1100)}
        listed = sorted(names)
        for at in range(0, len(listed), 50):
            alice.send({'type': 'subscribe', 'payload': {'channels': [{'channel': name} for name in listed[at:at + 50]]}})
            alice.wait_type('subscription.confirmed')
        found = [entry['channel'] for entry in ctl.json('channels', '--all', '--prefix', 'chat:room')]
        assert sorted(found) == listed


# Of one that says what it is told to


class Pretender:
    """python3-dbusmock in the service's place; ListChannels() gives what the Python expression @entries makes of `offset` and
    `limit`."""

    def __init__(self, bus, entries):
        self.process = subprocess.Popen(['/usr/bin/python3', '-m', 'dbusmock', '--session', NAME, PATH, INTERFACE],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={**bus.env, 'PATH': '/usr/bin:/bin'})
        bus.wait_name()
        code = f"offset, limit = args[1:]\nret = dbus.Array({entries}, signature='a{{sv}}')"
        bus.gdbus('org.freedesktop.DBus.Mock.AddMethod', *map(json.dumps, (INTERFACE, 'ListChannels', 'a{sv}uu', 'aa{sv}', code)))

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.process.terminate()
        self.process.wait(DEADLINE)


@pytest.fixture
def pretend(bus):
    pytest.importorskip('dbusmock')
    return lambda entries: Pretender(bus, entries)


def test_what_moves_is_listed_once(ctl, pretend):
    """Behind the first page something has come in before what was listed: all that follows is one place further on."""
    with pretend("[{'channel': f'c{i}'} for i in range(offset - (offset > 0), min(offset - (offset > 0) + limit, 2500))]"):
        found = [entry['channel'] for entry in ctl.json('channels', '--all')]
        assert found == [f'c{i}' for i in range(2500)]
        found = [entry['channel'] for entry in ctl.json('channels', '--limit', '1500')]
        assert found == [f'c{i}' for i in range(1500)]


def test_many_rows(ctl, pretend):
    with pretend("[{'channel': f'chat:{i}', 'subscribers': dbus.UInt32(i)} for i in range(offset, min(offset + limit, 10000))]"):
        # keeping the stack of every allocation takes its time
        lines = ctl('channels', '--all', env={'ASAN_OPTIONS': ''}).splitlines()
        assert lines[0].split()[:2] == ['CHANNEL', 'SUBSCRIBERS'] and lines[-2:] == ['', '10000 channels']
        assert [line.split()[:2] for line in lines[1:-2]] == [[f'chat:{i}', str(i)] for i in range(10000)]


HOSTILE = {
    'commands': '\x1b[2J\x1b]0;owned\x07\x9b31m\r\n\t\b',
    'right to left': '\u202eevil\u2066\u200f',
    'lines': 'a\u2028b\u2029c\x85d',
    'wide': '群聊频道' * 30,
    'half of a wide one': 'a' + '群' * 60,
    'combining': 'e\u0301\u0302\u0303' * 50,
    'only combining': '\u0301' * 20,
    'invisible': 'a\u200bb\u2060c\ufeffd\u00ade',
    'long': 'x' * 5000,
    'empty': '',
}


@pytest.mark.parametrize('width', [20, 40, 80, 200])
def test_hostile_names(ctl, pretend, width):
    names = list(HOSTILE.values())
    with pretend(f"[{{'channel': name, 'subscribers': dbus.UInt32(7)}} for name in {names!r}[offset:offset + limit]]"):
        status, text = ctl.on_terminal('--color=never', 'channels', width=width)
        assert status == 0
        lines = text.split('\n')
        assert len(lines) == len(names) + 4 and lines[-2] == f'{len(names)} channels', text
        for line in lines:
            assert columns(line) <= width, line
            assert not [c for c in line if unicodedata.category(c) in ('Cc', 'Zl', 'Zp') or unicodedata.bidirectional(c) in
                        ('RLO', 'LRO', 'RLE', 'LRE', 'PDF', 'RLI', 'LRI', 'FSI', 'PDI')], line.encode('unicode-escape')
        # the numbers beside them stay below each other
        if width >= 40:
            ends = {columns(line[:line.index(' 7 ') + 2]) for line in lines[1:-3]}
            assert ends == {columns(lines[0][:lines[0].index('SUBSCRIBERS')]) + len('SUBSCRIBERS')}, text
        # nothing is lost where it is for programs
        assert [entry['channel'] for entry in ctl.json('channels')] == names


def test_no_rows(ctl, pretend):
    with pretend('[]'):
        assert ctl('channels') == '0 channels\n'
        assert ctl('--no-legend', 'channels') == ''
        assert ctl.json('channels') == []
