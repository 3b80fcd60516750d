# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The life of the package in a machine that was booted: each test goes on where the one before it ended."""

import json
import threading
import time

import pytest

from choir_test import RawWs, http_get, mint, scaled

from conftest import NEWER
from login import Login

ADDRESS = ('127.0.0.1', 8800)
CONFIG = '/etc/choir/choir.conf.d/test.conf'
KEY = '/etc/choir/hs256.key'
DATABASE = '/var/lib/private/choir/choir.db'
N_CLIENTS = 1000

# Everybody comes from one address here
SETTINGS = '''[server]
drain-timeout=1s
max-connections-per-user=2000
max-connections-per-address=5000
[rate]
connect-per-address=60000/1s
'''


@pytest.fixture(scope='module')
def told():
    """What one test hands on to the next."""
    return {}


# Those that see to it that the service ends otherwise than by being told
ENDINGS = ('test_without_a_key', 'test_watchdog')


@pytest.fixture(autouse=True)
def nothing_failed(request, machine):
    """No unit has failed behind a test's back, and no service that was started again at once."""
    after = machine.cursor()
    yield
    assert machine.failed_units() == ''
    ended = [entry['MESSAGE'] for entry in machine.journal('SYSLOG_IDENTIFIER=systemd', after=after)
             if 'Main process exited' in str(entry.get('MESSAGE'))]
    assert bool(ended) == (request.node.name in ENDINGS), ended


def configure(machine, text='', reload=True):
    machine.write(CONFIG, SETTINGS + text)
    if reload:
        machine.systemctl('reload', 'choir.service')


def open_client(told, user='alice', query='', address=ADDRESS):
    client = RawWs.open(address, f'/ws?token={mint(told["key"], user, ["*:*:*"])}{query}')
    assert client.recv_json()['type'] == 'connection.established'
    return client


def ask(client, type_, payload, answer):
    client.send_json({'type': type_, 'payload': payload})
    while True:
        message = client.recv_json()
        assert message['type'] != 'error', message
        if message['type'] == answer:
            return message['payload']


def subscribe(client, channel, **position):
    answer = ask(client, 'subscribe', {'channels': [{'channel': channel, **position}]}, 'subscription.confirmed')
    assert answer['rejected'] == []
    return answer['channels'][0]


def publish(client, channel, text):
    return ask(client, 'publish', {'channel': channel, 'type': 'chat.message', 'payload': {'content': text}}, 'publish.ok')


# Installing

def test_install(machine, told):
    said = machine.run('sh', '-c', 'dpkg -i /packages/choir_*.deb /packages/choir-dev_*.deb 2>&1')
    told['key'] = machine.read(KEY)
    assert len(told['key']) == 64 and int(told['key'], 16) > 0
    assert told['key'] not in said
    assert machine.run('stat', '-c', '%U %G %a', KEY).split() == ['root', 'root', '600']
    assert machine.run('getent', 'passwd', 'choird') and machine.run('getent', 'group', 'choir')
    for unit in ('choir.service', 'choir.socket'):
        assert machine.is_active(unit) and machine.systemctl('is-enabled', unit) == 'enabled'
    assert machine.show('choir.service', 'NRestarts') == '0'


def test_who_it_is(machine):
    pid = machine.show('choir.service', 'MainPID')
    assert machine.run('stat', '-c', '%U', f'/proc/{pid}').strip() == 'choird'
    assert machine.run('stat', '-c', '%U %a', DATABASE).split() == ['choird', '600']
    capabilities = [line.split()[1] for line in machine.read(f'/proc/{pid}/status').splitlines() if line.startswith('Cap')]
    assert set(capabilities) == {'0' * 16}
    assert machine.show('choir.service', 'StatusText').startswith('0 connections')


def test_units_are_sound(machine):
    units = ('choir.service', 'choir.socket', 'choir@a.service', 'choir@a.socket')
    done = machine.try_run('systemd-analyze', 'verify', '--man=no', *units)
    assert (done.returncode, done.stderr) == (0, '')
    for unit in ('choir.service', 'choir@a.service'):
        machine.run('systemd-analyze', 'security', '--offline=true', '--threshold=15', f'/lib/systemd/system/{unit.replace("@a", "@")}')
    done = machine.try_run('systemd-analyze', 'security', '--threshold=15', 'choir.service')
    assert done.returncode == 0, done.stdout[-200:]


def test_the_packages_own_test(machine):
    assert machine.run('/packages/smoke') == 'fine\n'


def test_status(machine):
    status = json.loads(machine.run('choirctl', '--json', 'status'))
    assert status, 'nothing'
    assert '0.1.0' in machine.run('choirctl', 'status')


# Who may do what

MANAGER = ('/org/choir/Choir1', 'org.choir.Choir1.Manager')
CALLS = {
    'inspect': (*MANAGER, 'ListConnections', 'a{sv}uu', '0', '0', '10'),
    # where the package's own test has been
    'read-content': ('/org/choir/Choir1/channel/chat_3asmoke', 'org.choir.Choir1.Channel', 'GetHistory', 'tu', '0', '10'),
    'message': (*MANAGER, 'Broadcast', 'ssa{sv}', 'system.notification', '{"title":"Hello"}', '0'),
    'manage-users': (*MANAGER, 'KickUser', 'ss', 'nobody-here', 'no'),
    'manage-service': (*MANAGER, 'SetLogLevel', 's', 'info'),
}


def test_bus_by_user(machine):
    machine.run('useradd', '--system', 'stranger')
    machine.run('useradd', '--system', '--groups', 'choir', 'member')
    for action, call in CALLS.items():
        for user in (None, 'member', 'stranger'):
            done = machine.try_run('busctl', 'call', 'org.choir.Choir1', *call, user=user)
            if user == 'stranger':
                assert done.returncode != 0 and 'password' in done.stderr, (action, done)
            else:
                assert done.returncode == 0, (action, user, done.stderr)
    # and nobody else may take the name
    done = machine.try_run('busctl', 'call', 'org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus',
                           'RequestName', 'su', 'org.choir.Choir1.evil', '0', user='stranger')
    assert done.returncode != 0


def test_choirctl_by_user(machine):
    done = machine.try_run('choirctl', '--no-ask-password', 'log-level', 'info', user='stranger')
    assert done.returncode == 4, done
    assert machine.try_run('choirctl', '--no-ask-password', 'log-level', 'info', user='member').returncode == 0


REFUSED, INTERRUPTED = 4, 130


def test_password_of_an_administrator(machine, told):
    """Asked for on the terminal by the agent that choirctl brings: wrong, given up, right."""
    told['password'] = 'a very secret word'
    for user, groups in (('alice', 'users'), ('admin', 'sudo')):
        machine.run('useradd', '--create-home', '--shell', '/bin/bash', '--groups', groups, user)
    machine.run('chpasswd', stdin=f'admin:{told["password"]}\nalice:{told["password"]} of her own\n')
    kick = 'choirctl kick --user carol'
    carol = open_client(told, 'carol')
    with Login(machine, 'alice', seat='seat0') as alice:
        status, text = alice.do(f'LANGUAGE=de {kick}', f'{told["password"]} of her own\n')
        assert (status, 'Das dürfen Sie nicht' in text) == (REFUSED, True), text
        assert 'Authenticating as: admin' in text and '(KickUser carol)' in text, text
        terminal = alice.do('stty -a')
        assert alice.do(kick, '\x03')[0] == INTERRUPTED
        assert alice.do('stty -a') == terminal
        carol.ping_barrier()
        status, text = alice.do(kick, f'{told["password"]}\n')
        assert (status, 'carol: 1 connection closed' in text) == (0, True), text
        assert told['password'] not in text
    carol.recv_close(skip_data=True)
    carol.close()


def test_rule_by_session(machine):
    """Administrators may look as long as theirs is the session in front; for all else they are asked."""
    look = 'choirctl --no-ask-password connections'
    with Login(machine, 'admin', seat='seat0') as admin:
        assert (admin.get('Seat'), admin.get('Active')) == ('seat0', 'yes')
        assert admin.do(look)[0] == 0
        status, text = admin.do('choirctl --no-ask-password kick nobody')
        assert (status, 'That needs a password' in text) == (REFUSED, True), text
        # of two at one seat only the later one is in front
        with Login(machine, 'alice', seat='seat0') as alice:
            assert alice.do(look)[0] == REFUSED
            assert admin.get('Active') == 'no'
            assert admin.do(look)[0] == REFUSED
            machine.run('loginctl', 'activate', admin.session)
            assert admin.get('Active') == 'yes' and admin.do(look)[0] == 0
    # without a session there is none in front
    assert machine.try_run(*look.split(), user='admin').returncode == REFUSED


def test_rule_over_the_network(machine):
    """For logind a session without a seat is always in front."""
    with Login(machine, 'admin', host='192.0.2.7') as admin:
        assert (admin.get('Seat'), admin.get('Remote')) == ('', 'yes')
        assert admin.do('choirctl --no-ask-password connections')[0] == 0
        assert admin.do('choirctl --no-ask-password kick nobody')[0] == REFUSED


# The journal

def test_journal_has_fields_and_no_secrets(machine, told):
    after = machine.cursor()
    machine.run('choirctl', 'log-level', 'debug')
    token = mint(told['key'], 'journalled', ['*:*:*'])
    client = RawWs.open(ADDRESS, f'/ws?token={token}')
    client.recv_json()
    subscribe(client, 'chat:journal')
    publish(client, 'chat:journal', 'a very private text')
    client.finish()
    machine.run('choirctl', 'log-level', 'info')
    machine.systemctl('reload', 'choir.service')
    machine.wait_journal('configuration reloaded', after)
    entries = machine.journal('_SYSTEMD_UNIT=choir.service', after=after)
    own = [entry for entry in entries if entry.get('_TRANSPORT') == 'journal']
    assert own and {entry['SYSLOG_IDENTIFIER'] for entry in own} == {'choird'}
    assert {'MESSAGE', 'PRIORITY', 'CODE_FUNC', 'CODE_FILE'} <= set(own[-1])
    assert any(key.startswith('CHOIR_') for entry in own for key in entry), own
    everything = json.dumps(machine.journal())
    for secret in (token, token.split('.')[2], told['key'], told['password'], 'a very private text'):
        assert secret not in everything


# Configuration

def test_reload(machine, told):
    after = machine.cursor()
    client = open_client(told)
    configure(machine, '[protocol]\nmax-message-size=2K\n')
    machine.wait_journal('configuration reloaded', after)
    client.send_text('x' * 3000)
    assert client.recv_close(skip_data=True).code in (1008, 1009)
    client.close()


def test_reload_of_nonsense(machine, told):
    pid = machine.show('choir.service', 'MainPID')
    client = open_client(told)
    machine.write(CONFIG, SETTINGS + '[protocol]\nmax-mesage-size=2K\n')
    after = machine.cursor()
    assert machine.try_run('systemctl', 'reload', 'choir.service').returncode != 0
    machine.wait_journal(r'test\.conf:\d+.*max-mesage-size', after)
    assert machine.show('choir.service', 'MainPID') == pid and machine.is_active('choir.service')
    client.ping_barrier()
    client.finish()
    configure(machine)


def test_without_a_key(machine):
    machine.systemctl('stop', 'choir.socket', 'choir.service')
    machine.run('mv', KEY, f'{KEY}.away')
    after = machine.cursor()
    machine.drop_in('choir.service', '[Service]\nRestart=no\n')
    assert machine.try_run('systemctl', 'start', 'choir.service').returncode != 0
    machine.wait_journal('key “main”: /etc/choir/hs256.key: No such file', after)
    machine.run('mv', f'{KEY}.away', KEY)
    machine.remove_drop_in('choir.service')
    machine.systemctl('reset-failed', 'choir.service')
    machine.systemctl('start', 'choir.socket', 'choir.service')


STATE = ('STATE_DIRECTORY=/var/lib/choir',)


def test_commands_of_root(machine):
    """What root writes into the database the service can still open."""
    for stopped in (False, True):
        if stopped:
            machine.systemctl('stop', 'choir.socket', 'choir.service')
        machine.run('choird', 'user', 'add', f'user{stopped}', env=STATE)
        machine.run('choird', 'backup', f'/root/backup-{stopped}.db', env=STATE)
    machine.systemctl('start', 'choir.socket', 'choir.service')
    listed = machine.run('choird', 'user', 'list', env=STATE)
    assert 'userFalse' in listed and 'userTrue' in listed
    assert http_get(ADDRESS, '/readyz').status == 200


# Watching, activating, restarting

def test_watchdog(machine):
    machine.drop_in('choir.service', '[Service]\nWatchdogSec=3s\nTimeoutAbortSec=1s\nRestartSec=100ms\n')
    machine.systemctl('restart', 'choir.service')
    pid = machine.show('choir.service', 'MainPID')
    # it says so itself, again and again
    for _ in range(3):
        fed = machine.show('choir.service', 'WatchdogTimestampMonotonic')
        machine.wait_until(lambda: machine.show('choir.service', 'WatchdogTimestampMonotonic') != fed, 'a sign of life')
    assert machine.show('choir.service', 'MainPID') == pid
    after = machine.cursor()
    machine.run('kill', '-STOP', pid)
    machine.wait_journal('Watchdog timeout', after)
    machine.wait_until(lambda: machine.is_active('choir.service'), 'the restart')
    assert machine.show('choir.service', 'NRestarts') == '1'
    assert machine.show('choir.service', 'MainPID') != pid
    assert http_get(ADDRESS, '/readyz').status == 200
    machine.remove_drop_in('choir.service')
    machine.systemctl('restart', 'choir.service')


def test_socket_activation(machine, told):
    machine.systemctl('stop', 'choir.service')
    assert not machine.is_active('choir.service') and machine.is_active('choir.socket')
    open_client(told).finish()
    assert machine.is_active('choir.service')


def test_bus_activation(machine):
    machine.systemctl('stop', 'choir.socket', 'choir.service')
    # who only looks does not start what others have stopped
    assert machine.try_run('choirctl', 'status').returncode == 3
    machine.run('busctl', 'call', 'org.choir.Choir1', *CALLS['inspect'])
    assert machine.is_active('choir.service') and machine.is_active('choir.socket')


class Knocker(threading.Thread):
    """Connects again and again; a connection that is refused is a fault, one that waits is not."""

    def __init__(self):
        super().__init__(daemon=True)
        self._enough = threading.Event()
        self.statuses = []
        self.longest = 0
        self.fault = None

    def run(self):
        while not self._enough.is_set():
            began = time.monotonic()
            try:
                self.statuses.append(http_get(ADDRESS, '/readyz', timeout=scaled(60)).status)
            except (OSError, AssertionError) as error:
                self.fault = error
                return
            self.longest = max(self.longest, time.monotonic() - began)

    def finish(self):
        self._enough.set()
        self.join(scaled(60))
        assert self.fault is None, self.fault
        assert set(self.statuses) <= {200, 503} and self.statuses[-1] == 200, self.statuses
        return self


def test_nobody_is_refused_during_a_restart(machine):
    # long enough for some to come while there is no service
    machine.drop_in('choir.service', '[Service]\nExecStartPre=/bin/sleep 1\n')
    knocker = Knocker()
    knocker.start()
    machine.systemctl('restart', 'choir.service')
    assert knocker.finish().longest > 0.8
    machine.remove_drop_in('choir.service')


def test_drain_with_many(machine, told):
    """systemd would kill it after two seconds, if it were not told that there is something going on."""
    machine.drop_in('choir.service', '[Service]\nTimeoutStopSec=2s\n')
    configure(machine, reload=False)
    machine.write(CONFIG, SETTINGS.replace('drain-timeout=1s', 'drain-timeout=6s'))
    machine.systemctl('restart', 'choir.service')
    clients = [open_client(told) for _ in range(N_CLIENTS)]
    assert json.loads(machine.run('choirctl', '--json', 'connections', '--limit', '1')) is not None
    after = machine.cursor()
    began = time.monotonic()
    stopping = machine.spawn('systemctl', 'stop', 'choir.service')
    # one does not go by itself
    stubborn = clients.pop()
    for client in clients:
        assert client.recv_close(timeout=scaled(30), skip_data=True).code == 1012
        client.send_close(1012)
        client.close()
    assert stubborn.recv_close(timeout=scaled(30), skip_data=True).code == 1012
    assert stopping.wait(scaled(60)) == 0
    took = time.monotonic() - began
    stubborn.close()
    assert took > 5, took
    entries = [entry.get('MESSAGE', '') for entry in machine.journal('-u', 'choir.service', after=after)]
    assert not any('Killing' in text or 'timed out' in text for text in entries), entries
    assert machine.show('choir.service', 'Result') == 'success'
    machine.remove_drop_in('choir.service')
    configure(machine, reload=False)
    machine.systemctl('start', 'choir.service')


# Upgrading

def test_upgrade(machine, told):
    talker = open_client(told, 'talker')
    listener = open_client(told, 'listener')
    epoch = subscribe(listener, 'chat:upgrade')['epoch']
    for i in range(5):
        publish(talker, 'chat:upgrade', f'before {i}')
    heard = 0
    while heard < 5:
        message = listener.recv_json()
        if message['type'] == 'chat.message':
            heard = message['offset']
    opened = machine.show('choir.socket', 'ActiveEnterTimestampMonotonic')
    pid = machine.show('choir.service', 'MainPID')
    knocker = Knocker()
    knocker.start()
    machine.run('dpkg', '-i', '/packages/newer.deb')
    knocker.finish()
    assert machine.run('dpkg-query', '-W', '-f', '${Version}', 'choir') == NEWER
    assert machine.show('choir.service', 'MainPID') != pid
    assert machine.show('choir.socket', 'ActiveEnterTimestampMonotonic') == opened
    assert listener.recv_close(skip_data=True).code == 1012
    assert talker.recv_close(skip_data=True).code == 1012
    assert machine.read(KEY) == told['key']
    talker = open_client(told, 'talker')
    for i in range(3):
        publish(talker, 'chat:upgrade', f'after {i}')
    found = subscribe(open_client(told, 'listener'), 'chat:upgrade', epoch=epoch, offset=heard)
    assert found['recovered'] is True and found['epoch'] == epoch
    assert [message['payload']['content'] for message in found['messages']] == [f'after {i}' for i in range(3)]
    assert [message['offset'] for message in found['messages']] == [heard + 1, heard + 2, heard + 3]


def test_upgrade_keeps_changed_configuration(machine):
    machine.run('sh', '-c', 'echo "# changed" >>/etc/choir/choir.conf')
    machine.run('dpkg', '--force-confold', '-i', '/packages/newer.deb')
    assert machine.read('/etc/choir/choir.conf').endswith('# changed\n')


# Several nodes

NODE = '''[server]
node={node}
[auth]
key=HS256:main:hs256.key
'''


def test_two_nodes(machine, told):
    for node in ('a', 'b'):
        machine.write(f'/etc/choir/{node}.conf', NODE.format(node=node))
        machine.systemctl('enable', '--now', f'choir@{node}.socket', f'choir@{node}.service')
    machine.write('/run/systemd/system/choir@b.socket.d/test.conf', '[Socket]\nListenStream=\nListenStream=127.0.0.1:8802\n')
    machine.systemctl('daemon-reload')
    machine.systemctl('stop', 'choir@b.service', 'choir@b.socket')
    machine.systemctl('start', 'choir@b.socket')
    client = open_client(told, address=('127.0.0.1', 8802))
    users = {}
    for node in ('a', 'b'):
        assert machine.is_active(f'choir@{node}.service')
        assert machine.exists(f'/var/lib/private/choir-nodes/{node}/choir.db')
        assert machine.exists(f'/run/choir-{node}.sock') or node == 'b'
        listed = json.loads(machine.run('choirctl', '--json', '--node', node, 'connections'))
        users[node] = json.dumps(listed)
    assert 'alice' in users['b'] and 'alice' not in users['a']
    client.finish()
    assert machine.is_active('choir.service')


def test_upgrade_restarts_nodes(machine):
    units = ('choir@a.service', 'choir@b.service')
    before = [machine.show(unit, 'MainPID') for unit in units]
    machine.run('dpkg', '-i', '/packages/newer.deb')
    for unit, pid in zip(units, before):
        assert machine.is_active(unit) and machine.show(unit, 'MainPID') != pid, unit


# Removing

def test_remove(machine):
    machine.run('dpkg', '-r', 'choir')
    for unit in ('choir.service', 'choir.socket', 'choir@a.service', 'choir@b.socket'):
        assert not machine.is_active(unit), unit
    assert not machine.exists('/usr/bin/choird') and not machine.exists('/lib/systemd/system/choir.service')
    assert machine.exists(DATABASE) and machine.exists(KEY) and machine.exists('/etc/choir/choir.conf')


def answer(machine, value):
    machine.run('debconf-set-selections', stdin=f'choir choir/purge-state boolean {value}\n')


def test_purge_keeps_the_state_unless_told(machine, told):
    # asked nobody, the default counts
    machine.run('dpkg', '-P', 'choir')
    assert machine.exists(DATABASE) and machine.exists('/var/lib/private/choir-nodes/a/choir.db')
    assert not machine.exists(KEY) and not machine.exists('/etc/choir/choir.conf')
    machine.run('sh', '-c', 'dpkg -i /packages/choir_*.deb')
    assert machine.read(KEY) != told['key']
    assert machine.is_active('choir.service')


def test_purge_with_the_state(machine):
    answer(machine, 'true')
    machine.remove(CONFIG, '/etc/choir/a.conf', '/etc/choir/b.conf')
    machine.run('dpkg', '-P', 'choir', 'choir-dev')
    for path in (DATABASE, '/var/lib/choir', '/var/lib/private/choir', '/var/lib/choir-nodes', '/var/lib/private/choir-nodes', KEY):
        assert not machine.exists(path), path
    left = machine.run('sh', '-c', 'find / -xdev -name "*choir*" -not -path "/packages*" -not -path "/proc/*" '
                       '-not -path "/var/log/*" -not -path "/var/lib/dpkg/*" -not -path "/var/cache/*" -not -path "/run/*"')
    assert left == '', left
