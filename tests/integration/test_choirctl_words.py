# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What choirctl makes of its words: verbs and options, in every way they may be written, and those that are wrong."""

import json
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'support'))

from choir_test.bus import make_daemon  # noqa: E402
from choir_test.ctl import NO_SERVICE, NOT_FOUND, USAGE, Choirctl, Ssh  # noqa: E402

VERBS = ['status', 'connections', 'users', 'channels', 'documents', 'tasks', 'show', 'kick', 'block', 'unblock', 'blocked',
         'revoke', 'unrevoke', 'revoked', 'broadcast', 'publish', 'send', 'subscribe', 'unsubscribe', 'read',
         'close-document', 'cancel', 'drain', 'reload', 'log-level']


def test_help():
    ctl = Choirctl(None, where=())
    text = ctl('--help')
    for verb in VERBS:
        assert re.search(rf'^  {verb} +\S', text, re.MULTILINE), verb
        own = ctl(verb, '--help')
        assert f'choirctl [OPTION…] {verb}' in own and '--json' in own
    assert re.fullmatch(r'choirctl \d+\.\d+\.\d+\n', ctl('--version'))


@pytest.mark.parametrize(('words', 'contains'), [
    ((), 'A verb is needed'),
    (('nonsense',), 'no verb “nonsense”; “choirctl --help”'),
    (('conections',), 'did you mean “connections”?'),
    (('log',), 'did you mean “log-level”?'),
    (('kick',), 'choirctl kick CONNECTION…'),
    (('users', 'alice'), 'choirctl users'),
    (('publish', 'chat:lobby', 'note'), 'choirctl publish CHANNEL TYPE JSON'),
    (('show', 'user', 'alice'), '“user” is none of'),
    (('status', '--nonsense'), '--nonsense'),
    (('--nonsense', 'status'), '--nonsense'),
    (('--session', '--system', 'status'), 'exclude each other'),
    (('--node', 'two words', 'status'), '--node'),
    (('--address', 'nonsense', 'status'), '“nonsense” is no address'),
    (('--host=-oProxyCommand=x', 'status'), '--host'),
    (('--color', 'blue', 'status'), '--color'),
    (('--timeout', 'soon', 'status'), '--timeout'),
    (('users', '--limit', '-1'), '--limit'),
    (('users', '--limit', '1', '--all'), 'exclude each other'),
    (('block', 'alice', '--until', 'tomorrow'), '--until'),
    (('block', 'alice', '--for', 'ever'), '--for'),
    (('block', 'alice', '--for', '1h', '--until', '2099-01-01'), 'exclude each other'),
    (('read', 'doc', '--version', 'x'), '--version'),
    (('drain', '--after', 'x'), '--after'),
    (('kick', b'\xff'), 'UTF-8'),
    (('-H',), '-H'),
    (('-bH', 'status'), '-b'),
    (('-H-oProxyCommand=x', 'status'), '--host'),
    (('top', '-bn'), '-n'),
    (('top', '-bx'), '-bx'),
])
def test_wrong_usage(words, contains):
    Choirctl(None, where=()).fails(USAGE, *words, contains=contains)


# Short options


@pytest.mark.parametrize(('words', 'host'), [
    (['-H', 'me@there', 'status'], 'me@there'),
    (['-Hme@there', 'status'], 'me@there'),
    (['status', '-Hthere'], 'there'),
    (['top', '-bHthere'], 'there'),
    (['top', '-bn1', '-Hthere'], 'there'),
    (['-H=there', 'status'], '=there'),
    # what is the value of another is none of them
    (['kick', '--reason', '-Hnowhere', '-Hthere', 'x'], 'there'),
    (['kick', '-Hthere', '--', '-Hnowhere'], 'there'),
    (['top', '-d', '-bHnowhere', '-Hthere'], None),
], ids=lambda value: ' '.join(value) if isinstance(value, list) else '')
def test_short_options(tmp_path, words, host):
    """As getopt takes them: several behind one dash, and a value behind the last."""
    ssh = Ssh(tmp_path)
    ssh.write('exit 255')
    said = Choirctl(None, where=()).fails(NO_SERVICE if host else USAGE, *words, env=ssh.env)
    if host:
        assert ssh.words[:3] == ['-xT', '--', host]
    else:
        assert '-bHnowhere' in said


def test_short_options_together(bus):
    ctl = Choirctl(bus)
    with make_daemon(bus):
        bus.wait_name()
        shown = ctl('top', '-bn2', '-d100ms', '--rows=3')
        assert shown.count('Connections:') == 2
        ctl.fails(NOT_FOUND, 'kick', '--reason', '-Hx', '--', '-n1', contains='-n1: ')
        assert [json.loads(line)['view'] for line in ctl('--json', 'top', '-n1').splitlines()] == ['connections']
