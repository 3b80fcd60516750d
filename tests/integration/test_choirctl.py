# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""choirctl against a real daemon on a private bus: every plain verb, its output, its errors and what it exits with."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'support'))

from choir_test import DEADLINE  # noqa: E402
from choir_test.bus import join, make_daemon  # noqa: E402
from choir_test.ctl import (  # noqa: E402
    DONE, FAILED, NO_SERVICE, NOT_ALLOWED, NOT_FOUND, TIMED_OUT, USAGE, Choirctl, Ssh, columns, find_choirctl)
from document_client import Talker  # noqa: E402

NOTE = ('system.notification', '{"message": "noon"}')
LONG = 'a-user-with-a-very-long-name-that-goes-on-and-on-until-no-terminal-has-room-for-it-any-more'



@pytest.fixture
def daemon(bus):
    with make_daemon(bus) as running:
        bus.wait_name()
        yield running


@pytest.fixture
def ctl(bus):
    return Choirctl(bus)


def identifier(client):
    return client.seen[0]['payload']['connection_id']


def subscribe(client, channel):
    client.send({'type': 'subscribe', 'payload': {'channels': [{'channel': channel}]}})
    return client.wait_type('subscription.confirmed')


def notes(client):
    """The texts of the notifications it has got so far; a round trip brings in all that was sent before."""
    client.check_alive()
    return [message['payload']['message'] for message in client.seen if message['type'] == 'system.notification']


# Where the service is


def test_no_bus(tmp_path):
    Choirctl(None, where=('--address', f'unix:path={tmp_path}/none')).fails(NO_SERVICE, 'status', contains='The bus cannot be reached')
    Choirctl(None, where=()).fails(NO_SERVICE, 'status', contains='say with --session',
                                   env={'DBUS_SYSTEM_BUS_ADDRESS': f'unix:path={tmp_path}/none'})
    Choirctl(None, where=('--session',)).fails(NO_SERVICE, 'status', env={
        'DBUS_SESSION_BUS_ADDRESS': f'unix:path={tmp_path}/none'})


def test_no_service(ctl):
    for words in ('status',), ('users',), ('kick', 'c1', 'c2'):
        message = ctl.fails(NO_SERVICE, *words, contains='systemctl start choir')
        assert message.count('\n') == 1


def test_buses(bus, daemon):
    session = Choirctl(bus, where=('--session',))
    assert 'running' in session('status', env={'DBUS_SESSION_BUS_ADDRESS': bus.address})
    system = Choirctl(bus, where=())
    assert 'running' in system('status', env={'DBUS_SYSTEM_BUS_ADDRESS': bus.address})


def test_node(bus, ctl):
    with make_daemon(bus, {'bus.name': 'org.choir.Choir1.two'}) as daemon:
        daemon.wait_log('Name acquired')
        assert 'running' in ctl('--node', 'two', 'status')
        ctl.fails(NO_SERVICE, 'status')
        ctl.fails(NO_SERVICE, '--node', 'three', 'status')


def test_no_answer(ctl, daemon):
    daemon.signal(signal.SIGSTOP)
    try:
        ctl.fails(TIMED_OUT, '--timeout', '300ms', 'status', contains='--timeout')
    finally:
        daemon.signal(signal.SIGCONT)
    assert 'running' in ctl('status')


def test_host(bus, daemon, tmp_path):
    ssh = Ssh(tmp_path)
    ctl = Choirctl(bus, where=('--host', 'me@there', '--address', bus.address))
    with join(daemon, 'alice') as alice:
        entry, = ctl.json('connections', env=ssh.env)
        assert entry['connection'] == identifier(alice)
        assert ssh.words == ['-xT', '--', 'me@there', f"systemd-stdio-bridge --bus-path='{bus.address}'"]
        ctl.fails(NOT_FOUND, 'kick', 'nobody', env=ssh.env)
        assert ctl.json('kick', identifier(alice), env=ssh.env)[0]['closed'] == 1
        alice.ws.recv_close()

    ssh.write('exit 127')
    ctl.fails(NO_SERVICE, 'status', env=ssh.env, contains='no systemd-stdio-bridge on me@there')
    ssh.write('exit 255')
    ctl.fails(NO_SERVICE, 'status', env=ssh.env, contains='ssh did not get to me@there')
    ssh.write('exit 1')
    ctl.fails(NO_SERVICE, 'status', env=ssh.env, contains='bus of me@there')
    (tmp_path / 'ssh').unlink()
    ctl.fails(NO_SERVICE, 'status', env=ssh.env, contains='ssh does not start')


def test_host_that_does_not_let_go(bus, daemon, tmp_path):
    """The network is gone, or what was started over there hangs: there is nothing left to wait for."""
    ssh = Ssh(tmp_path)
    ssh.write(f'sh -c "$4"; exec {shutil.which("sleep")} 1000')
    ctl = Choirctl(bus, where=('--host', 'there', '--address', bus.address))
    assert ctl.json('connections', env=ssh.env) == []


@pytest.mark.parametrize(('where', 'command'), [
    (('-H', 'there'), 'systemd-stdio-bridge'),
    (('-H', 'there', '--session'), 'systemd-stdio-bridge --user'),
    (('-H', 'there', '--address', "a'; b"), "systemd-stdio-bridge --bus-path='a'\\''; b'"),
])
def test_what_the_host_is_told(tmp_path, where, command):
    ssh = Ssh(tmp_path)
    ssh.write('exit 255')
    Choirctl(None, where=where).fails(NO_SERVICE, 'status', env=ssh.env)
    assert ssh.words == ['-xT', '--', 'there', command]


# Watching


def test_status(bus, ctl, daemon):
    with join(daemon, 'alice'), join(daemon, 'bob', 'netra'):
        text = ctl('status')
        both = ctl.json('status')
    assert text.startswith(f'● choir {bus.get("Version")}, node ')
    assert ': running\n' in text
    assert re.search(r'^ +Clients: 2 connections of at most \d+, 2 users, ', text, re.MULTILINE)
    assert re.search(r'^ +Contracts: ', text, re.MULTILINE)
    assert '\x1b' not in text

    assert both['manager']['Version'] == bus.get('Version')
    assert both['manager']['NConnections'] == 2
    assert both['manager']['Draining'] is False
    assert abs(both['manager']['StartedAt'] / 1e6 - time.time()) < 3600
    assert both['stats']['connections'] == 2
    assert both['stats']['dialects']['netra']['connections'] == 1
    assert isinstance(both['stats']['messages_received_per_s'], float)


def plain(entries, *ignored):
    return sorted(({key: value for key, value in entry.items() if key not in ignored} for entry in entries), key=str)


def test_connections(bus, ctl, daemon):
    moving = 'age_s', 'messages_received'
    assert ctl.json('connections') == []
    assert ctl('connections') == '0 connections\n'
    with join(daemon, 'alice') as alice, join(daemon, 'bob', 'netra'), join(daemon, 'bob') as bob:
        subscribe(bob, 'chat:lobby')
        listed = ctl.json('connections')
        assert plain(listed, *moving) == plain(bus.connections(), *moving)
        assert len(listed) == 3

        def users(*words):
            return sorted(entry['user'] for entry in ctl.json('connections', *words))

        assert users('--user', 'alice') == ['alice']
        assert users('--channel', 'chat:lobby') == ['bob']
        assert users('--dialect', 'netra') == ['bob']
        assert users('--address', '127.0.0.1') == ['alice', 'bob', 'bob']
        assert users('--address', '127.0.0.9') == []
        assert users('--slow') == []
        ctl.fails(USAGE, 'connections', '--dialect', 'klingon')

        text = ctl('connections')
        assert text.split('\n')[0].split() == [
            'CONNECTION', 'USER', 'AGE', 'QUEUED', 'ADDRESS', 'CONTRACT', 'CHANNELS', 'RECEIVED', 'ERRORS', 'SLOW']
        assert re.search(rf'^{identifier(alice)}  alice ', text, re.MULTILINE)
        assert text.endswith('\n\n3 connections\n')
        assert len(ctl('--no-legend', 'connections').splitlines()) == 3


def test_users(ctl, daemon):
    with join(daemon, 'alice'), join(daemon, 'alice'), join(daemon, 'bob'):
        listed = {entry['user']: entry for entry in ctl.json('users')}
        assert set(listed) == {'alice', 'bob'}
        assert listed['alice']['connections'] == 2 and listed['alice']['blocked'] is False
        assert [entry['user'] for entry in ctl.json('users', '--prefix', 'bo')] == ['bob']
        assert ctl.json('users', '--blocked') == []
        assert re.search(r'^alice +2 +0 ', ctl('users'), re.MULTILINE)


def test_channels(ctl, daemon):
    with join(daemon, 'alice') as alice:
        subscribe(alice, 'chat:lobby')
        entry, = ctl.json('channels', '--prefix', 'chat:lob')
        assert entry['channel'] == 'chat:lobby' and entry['subscribers'] == 1 and entry['offset'] == 0
        assert [entry['channel'] for entry in ctl.json('channels', '--namespace', 'chat')] == ['chat:lobby']
        assert re.search(r'^chat:lobby +1 +0 ', ctl('channels'), re.MULTILINE)


def test_documents(ctl, daemon):
    talker = Talker(daemon, 'alice')
    talker.open('plan')
    talker.change('plan', ['Hällo\n'])
    entry, = ctl.json('documents')
    assert (entry['document'], entry['open'], entry['version'], entry['editors']) == ('plan', True, 1, 1)
    assert entry['size'] == len('Hällo\n'.encode())
    assert ctl.json('documents', '--prefix', 'other') == []
    assert re.search(r'^plan +yes +1 +1 +7 B ', ctl('documents'), re.MULTILINE)

    assert ctl('read', 'plan') == 'Hällo\n'
    assert ctl.json('read', 'plan') == {'document': 'plan', 'version': 1, 'text': 'Hällo\n'}
    ctl.fails(NOT_FOUND, 'read', 'nowhere')

    assert ctl.json('close-document', 'plan', '--reason', 'Enough') == [{'document': 'plan', 'editors': 1}]
    ctl.fails(NOT_FOUND, 'close-document', 'plan', contains='plan: ')
    assert ctl.json('documents') == []
    assert [entry['document'] for entry in ctl.json('documents', '--stored')] == ['plan']
    assert ctl('read', 'plan', '--version', '1') == 'Hällo\n'
    talker.ws.close()


def test_read_on_a_terminal(ctl, daemon):
    """What somebody wrote is text, and no command to the terminal of whoever reads it."""
    talker = Talker(daemon, 'mallory')
    talker.open('trap')
    talker.change('trap', ['one\n\ttwo \x1b]0;mine\x07'])
    assert ctl('read', 'trap') == 'one\n\ttwo \x1b]0;mine\x07'
    status, shown = ctl.on_terminal('read', 'trap')
    assert (status, shown) == (DONE, 'one\n\ttwo \\u001b]0;mine\\u0007\n')
    talker.ws.close()


def test_tasks(ctl, daemon):
    with join(daemon, 'alice') as alice:
        for _ in range(2):
            alice.send({'type': 'task.request', 'payload': {'kind': 'sum'}})
        first, second = [alice.wait_type('task.accepted')['payload']['task_id'] for _ in range(2)]
        assert {entry['task'] for entry in ctl.json('tasks')} == {first, second}
        assert {entry['kind'] for entry in ctl.json('tasks', '--user', 'alice', '--state', 'queued', '--kind', 'sum')} == {'sum'}
        assert ctl.json('tasks', '--user', 'bob') == []
        assert re.search(rf'^{first} +sum +queued +alice ', ctl('tasks'), re.MULTILINE)
        assert ctl.json('show', 'task', first)['Kind'] == 'sum'

        assert ctl('cancel', first, '--reason', 'Too late') == f'{first}: cancelled\n'
        assert [entry['task'] for entry in ctl.json('tasks', '--state', 'cancelled')] == [first]
        ctl.fails(FAILED, 'cancel', first)
        ctl.fails(NOT_FOUND, 'cancel', 'nothing')
        assert ctl.json('cancel', second) == [{'task': second}]


def test_show(ctl, daemon):
    with join(daemon, 'alice') as alice:
        subscribe(alice, 'chat:a/b_c')
        connection = identifier(alice)
        shown = ctl.json('show', 'connection', connection)
        assert (shown['Id'], shown['User'], shown['Subscriptions']) == (connection, 'alice', ['chat:a/b_c'])
        session = alice.seen[0]['payload']['session_id']
        assert ctl.json('show', 'session', session)['Id'] == session
        channel = ctl.json('show', 'channel', 'chat:a/b_c')
        assert channel['Name'] == 'chat:a/b_c' and len(channel['Subscribers']) == 1

        text = ctl('show', 'channel', 'chat:a/b_c')
        assert re.search(rf'^ *Subscribers {session}$', text, re.MULTILINE)
        assert re.search(r'^ *Persistent (yes|no)$', text, re.MULTILINE)
        text = ctl('show', 'connection', connection)
        assert re.search(r'^ *OpenedAt \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$', text, re.MULTILINE)
        assert re.search(rf'^ *Session {session}$', text, re.MULTILINE)
    for kind in 'connection', 'session', 'document', 'channel', 'task':
        ctl.fails(NOT_FOUND, 'show', kind, 'nobody', contains=f'nobody: There is no such {kind}')


# Sending away


def test_kick(ctl, daemon):
    with join(daemon, 'alice') as alice, join(daemon, 'bob') as bob, join(daemon, 'bob') as other:
        done = ctl.run('kick', 'nobody', identifier(alice), '--reason', 'Léave')
        assert done.returncode == NOT_FOUND
        assert done.stdout == f'{identifier(alice)}: 1 connection closed\n'
        assert done.stderr.startswith('choirctl: nobody: ') and done.stderr.count('\n') == 1
        assert alice.ws.recv_close() == (4002, 'Léave')

        done = ctl.run('--json', 'kick', '--user', 'carol', 'bob')
        assert (done.returncode, json.loads(done.stdout)) == (NOT_FOUND, [{'user': 'bob', 'closed': 2}])
        assert done.stderr == 'choirctl: carol: Has no connection\n'
        assert bob.ws.recv_close() == other.ws.recv_close() == (4002, '')


def test_kick_goes_on_behind_what_is_no_name(ctl, daemon):
    with join(daemon, 'bob') as bob:
        done = ctl.run('kick', '--user', 'two words', 'bob')
        assert (done.returncode, done.stdout) == (USAGE, 'bob: 1 connection closed\n')
        assert done.stderr.startswith('choirctl: two words: ')
        assert bob.ws.recv_close() == (4002, '')


def test_block(ctl, daemon):
    with join(daemon, 'alice') as alice:
        until = time.time() + 3600
        done, = ctl.json('block', 'alice', '--for', '1h', '--reason', 'Sp\u202eam')
        assert (done['user'], done['closed']) == ('alice', 1)
        assert abs(done['until'] / 1e6 - until) < DEADLINE
        alice.ws.recv_close()
    entry, = ctl.json('blocked')
    assert (entry['user'], entry['until'], entry['reason'], entry['uid']) == ('alice', done['until'], 'Sp\u202eam', os.getuid())
    text = ctl('blocked')
    assert '\u202e' not in text and 'Sp\\u202eam' in text
    assert text.endswith('\n1 blocked user\n')

    assert ctl('block', 'bob') == 'bob: 0 connections closed, blocked\n'
    ctl.fails(USAGE, 'block', 'bob', '--for', '106751991d', contains='too far')
    week, = ctl.json('block', 'bob', '--for', '7d')
    assert abs(week['until'] / 1e6 - time.time() - 7 * 24 * 3600) < DEADLINE
    assert ctl('block', 'bob') == 'bob: 0 connections closed, blocked\n'
    assert 'until 2099-12-31 00:00:00' in ctl('block', 'carol', '--until', '2099-12-31')
    assert [entry['user'] for entry in ctl.json('blocked', '--limit', '1', '--offset', '1')] == ['bob']
    ctl.fails(USAGE, 'block', 'dave', '--until', '2001-01-01')

    assert ctl('unblock', 'alice', 'bob') == 'alice: no longer blocked\nbob: no longer blocked\n'
    ctl.fails(NOT_FOUND, 'unblock', 'alice')
    with join(daemon, 'alice') as alice:
        alice.check_alive()


def test_revoke(ctl, daemon):
    with join(daemon, 'alice', jti='t-1') as alice, join(daemon, 'alice', jti='t-2') as other:
        assert ctl.json('revoke', 't-1') == [{'jti': 't-1', 'closed': 1}]
        alice.ws.recv_close()
        other.check_alive()
    entry, = ctl.json('revoked')
    assert (entry['jti'], entry['uid']) == ('t-1', os.getuid())
    assert re.search(r'^t-1 +\d{4}-', ctl('revoked'), re.MULTILINE)
    assert ctl('unrevoke', 't-1') == 't-1: no longer revoked\n'
    ctl.fails(NOT_FOUND, 'unrevoke', 't-1')
    assert ctl.json('revoked') == []


# Speaking


def test_broadcast(ctl, daemon):
    with join(daemon, 'alice') as alice, join(daemon, 'bob') as bob:
        def say(text, *words):
            return ctl.json('broadcast', 'system.notification', json.dumps({'message': text}), *words)['recipients']

        assert say('all') == 2
        assert say('user', '--user', 'alice') == 1
        assert say('dialect', '--dialect', 'choir') == 2
        assert say('others', '--exclude', identifier(alice), '--exclude', 'nobody') == 1
        assert ctl('broadcast', *NOTE) == 'Sent to 2 connections\n'
        assert ctl('broadcast', NOTE[0], '-', '--user', 'bob', input='{"message": "ständig"}\n') == 'Sent to 1 connection\n'
        assert notes(alice) == ['all', 'user', 'dialect', 'noon']
        assert notes(bob) == ['all', 'dialect', 'others', 'noon', 'ständig']
        ctl.fails(USAGE, 'broadcast', 'note', '[]')
        ctl.fails(USAGE, 'broadcast', 'two words', '{}')


@pytest.mark.parametrize('data', ['{"a": "\0"}', 'x' * (1024 * 1024 + 1)], ids=['nul', 'long'])
def test_input_that_is_none(ctl, data):
    ctl.fails(USAGE, 'broadcast', 'note', '-', input=data, contains='input')


def test_publish_and_send(ctl, daemon):
    with join(daemon, 'alice') as alice:
        subscribe(alice, 'chat:lobby')
        done = ctl.json('publish', 'chat:lobby', 'chat.message', '{"content": "Hi"}')
        assert (done['channel'], done['offset'], done['recipients']) == ('chat:lobby', 1, 1)
        message = alice.wait_type('chat.message')
        assert (message['payload']['content'], message['offset']) == ('Hi', 1)

        assert ctl('send', 'alice', *NOTE) == 'Sent to 1 connection\n'
        assert ctl.json('send', '--connection', identifier(alice), NOTE[0], '{"message": "one"}')['recipients'] == 1
        assert notes(alice) == ['noon', 'one']
        assert ctl.fails(NOT_FOUND, 'send', 'carol', *NOTE) == 'choirctl: carol: Has no connection\n'
        ctl.fails(NOT_FOUND, 'send', '--connection', 'nobody', *NOTE)
        # what is published is kept, and a filter may pick nobody
        assert ctl.json('publish', 'chat:attic', 'chat.message', '{"content": "Hi"}')['recipients'] == 0
        assert ctl('broadcast', *NOTE, '--user', 'carol') == 'Sent to 0 connections\n'


def test_subscriptions(ctl, daemon):
    with join(daemon, 'alice') as alice:
        connection = identifier(alice)
        assert ctl('subscribe', connection, 'chat:attic') == f'{connection}: subscribed\n'
        assert ctl.json('show', 'connection', connection)['Subscriptions'] == ['chat:attic']
        assert ctl.json('unsubscribe', connection, 'chat:attic') == {'connection': connection, 'channel': 'chat:attic'}
        ctl.fails(NOT_FOUND, 'unsubscribe', connection, 'chat:attic')
        ctl.fails(NOT_FOUND, 'subscribe', 'nobody', 'chat:attic')


# The service


def test_log_level(ctl, daemon):
    before = ctl('log-level').strip()
    assert before in ('debug', 'info', 'notice', 'warning', 'error')
    assert ctl.json('log-level', 'debug') == {'log_level': 'debug'}
    assert ctl('log-level') == 'debug\n'
    ctl.fails(USAGE, 'log-level', 'loud')
    assert ctl.json('reload') == {'reloaded': True}
    assert ctl('log-level').strip() == before


def test_reload_of_nonsense(bus, ctl):
    with make_daemon(bus, expect_log=['onfiguration']) as daemon:
        bus.wait_name()
        daemon.write_config('[log]\nlevel=loud\n')
        ctl.fails(FAILED, 'reload', contains='level')


def test_drain(ctl, daemon):
    with join(daemon, 'alice') as alice:
        assert ctl('drain', '--after', '1h') == 'Balancers are told at once, clients in 1h 0min\n'
        assert ': draining\n' in ctl('status')
        alice.check_alive()
        assert ctl.json('drain') == {'after_ms': 0}
        alice.ws.recv_close(skip_data=True)
    assert daemon.wait_exit() == 0


# What it looks like


def widths(text):
    return [columns(re.sub(r'\x1b\[[0-9;]*m', '', line)) for line in text.splitlines()]


@pytest.mark.parametrize('width', [20, 40, 80, 132, 300])
def test_tables_fit(ctl, daemon, width):
    with join(daemon, LONG) as client:
        subscribe(client, f'chat:{LONG}')
        for verb in 'connections', 'users', 'channels':
            status, text = ctl.on_terminal(verb, width=width)
            assert status == DONE
            assert max(widths(text)) <= width, text
            # at 40 columns there is no room beside an identifier
            assert ('…' in text) == (LONG not in text) or (verb == 'connections' and width == 40)
        if width == 300:
            assert LONG in text
        if width >= 40:
            assert identifier(client) in ctl.on_terminal('connections', width=width)[1]
        # nobody looks: nothing is cut
        assert LONG in ctl('connections') and LONG in ctl('users')


def test_colours(ctl, daemon):
    def is_coloured(*words, **env):
        return '\x1b[' in ctl.on_terminal(*words, 'status', env=env)[1]

    assert is_coloured()
    assert not is_coloured(NO_COLOR='1')
    assert is_coloured(NO_COLOR='')
    assert not is_coloured(TERM='dumb')
    assert not is_coloured('--color', 'never')
    assert is_coloured('--color', 'always', NO_COLOR='1')
    assert '\x1b[' in ctl('--color', 'always', 'status')
    assert '\x1b[' not in ctl('--color', 'always', '--json', 'status')


def test_columns_of_the_environment(ctl, daemon):
    with join(daemon, LONG):
        assert max(widths(ctl.on_terminal('users', width=200, env={'COLUMNS': '50'})[1])) <= 50
        assert LONG in ctl('users', env={'COLUMNS': '50'})


def test_other_character_sets(ctl, daemon):
    """What a locale can not show is a question mark; JSON is UTF-8 always."""
    assert ctl('status', env={'LC_ALL': 'C'}).startswith('? choir ')
    ctl('block', 'alice', '--reason', 'Müll', env={'LC_ALL': 'C'})
    assert ctl.json('blocked', env={'LC_ALL': 'C'})[0]['reason'] == 'Müll'


class Noise:
    """Somebody who comes and goes as long as it is there."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.make)

    def make(self):
        while not self.over.is_set():
            with join(self.daemon, 'alice'):
                pass

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_error):
        self.over.set()
        self.thread.join()


def run_into(output, ctl, *words):
    """choirctl that writes there."""
    return subprocess.run([str(find_choirctl()), *ctl.where, *words], stdin=subprocess.DEVNULL, stdout=output,
                          stderr=subprocess.PIPE, text=True, timeout=DEADLINE, env=ctl.environment(), check=False)


@pytest.mark.parametrize('words', [['status'], ['--json', 'users'], ['top', '--batch', '--count=1'], ['watch', '--json'],
                                   ['--version'], ['--help'], ['kick', '--help']], ids=' '.join)
def test_output_that_goes_nowhere(ctl, daemon, words):
    with open('/dev/full', 'w', encoding='utf-8') as full, Noise(daemon) if 'watch' in words else nullcontext():
        done = run_into(full, ctl, *words)
    assert done.returncode == FAILED
    assert done.stderr.startswith('choirctl: The output cannot be written') and done.stderr.count('\n') == 1

    reader, writer = os.pipe()
    os.close(reader)
    done = run_into(writer, ctl, *words)
    os.close(writer)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, '')


# Who may

STRANGER = (shutil.which('setpriv'), '--reuid', '65534', '--regid', '65534', '--clear-groups')


needs_root = pytest.mark.skipif(os.getuid() != 0, reason='becomes another user')


@pytest.fixture
def binary(bus):
    """Where a stranger can start it: the build directory may be nobody else's business."""
    path = bus.directory / 'choirctl'
    shutil.copy(find_choirctl(), path)
    path.chmod(0o755)
    return path


@needs_root
def test_stranger(ctl, daemon, binary):
    with join(daemon, 'alice') as alice:
        connection = identifier(alice)
        for words in [('connections',), ('users',), ('channels',), ('documents',), ('tasks',), ('blocked',), ('revoked',),
                      ('show', 'connection', connection), ('kick', connection, connection), ('kick', '--user', 'alice'),
                      ('block', 'alice'), ('unblock', 'alice'), ('revoke', 'x'), ('unrevoke', 'x'), ('broadcast', *NOTE),
                      ('publish', 'chat:lobby', *NOTE), ('send', 'alice', *NOTE), ('subscribe', connection, 'chat:lobby'),
                      ('unsubscribe', connection, 'chat:lobby'), ('read', 'plan'), ('close-document', 'plan'),
                      ('cancel', 'x'), ('drain',), ('reload',), ('log-level', 'debug')]:
            message = ctl.fails(NOT_ALLOWED, '--no-ask-password', *words, prefix=STRANGER, binary=binary)
            assert message.count('\n') == 1, message
        assert notes(alice) == []

        # the properties are for everybody
        done = ctl.run('status', prefix=STRANGER, binary=binary)
        assert done.returncode == NOT_ALLOWED and ': running\n' in done.stdout and 'not allowed' in done.stderr
        assert ctl('log-level', prefix=STRANGER, binary=binary) == ctl('log-level')


@needs_root
def test_agent(bus, daemon, binary):
    """Who may be asked for a password gets somebody who asks, for as long as it takes."""
    tools = bus.directory / 'tools'
    tools.mkdir()
    tools.chmod(0o777)
    log = tools / 'log'
    agent = tools / 'pkttyagent'
    agent.write_text(f'#!/bin/sh\necho "$$ $*" >"{log}"\nexec 3>&-\nexec sleep 1000\n')
    agent.chmod(0o755)
    system = Choirctl(bus, where=())
    env = {'DBUS_SYSTEM_BUS_ADDRESS': bus.address, 'PATH': f'{tools}:/usr/bin:/bin'}
    options = {'env': env, 'prefix': STRANGER, 'binary': binary}

    status, text = system.on_terminal('connections', **options)
    assert (status, 'not allowed' in text) == (NOT_ALLOWED, True)
    pid, *words = log.read_text().split()
    assert re.fullmatch(r'--process \d+ --notify-fd 3 --fallback', ' '.join(words))
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)

    log.unlink()
    assert system.on_terminal('--no-ask-password', 'connections', **options)[0] == NOT_ALLOWED
    assert system.run('connections', **options).returncode == NOT_ALLOWED
    assert Choirctl(bus).on_terminal('connections', **options)[0] == NOT_ALLOWED
    assert not log.exists()

    # where there is none it goes on without
    agent.write_text('#!/bin/sh\nexit 1\n')
    assert system.on_terminal('connections', **options)[0] == NOT_ALLOWED
    agent.unlink()
    options['env'] = {**env, 'PATH': str(tools)}
    assert system.on_terminal('connections', **options)[0] == NOT_ALLOWED
