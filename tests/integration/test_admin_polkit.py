# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may do what over the system bus: the real polkitd with the actions, rules and bus policy that Choir ships."""

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'support'))

from choir_test import DEADLINE, connect  # noqa: E402
from choir_test.bus import BusError  # noqa: E402
from choir_test.polkit import DATA, MEMBER, POLKITD, STRANGER, SystemBus, as_user, make_service  # noqa: E402

ACCESS_DENIED = 'org.freedesktop.DBus.Error.AccessDenied'
INTERACTION_REQUIRED = 'org.freedesktop.DBus.Error.InteractiveAuthorizationRequired'
PROPERTIES = 'org.freedesktop.DBus.Properties'
OBJECT_MANAGER = 'org.freedesktop.DBus.ObjectManager'
MANAGER = 'org.choir.Choir1.Manager'

pytestmark = [
    pytest.mark.skipif(os.getuid() != 0, reason='becomes other users'),
    pytest.mark.skipif(not os.path.exists(POLKITD), reason='needs polkitd'),
]

VALUES = {'s': '"x"', 't': '4000000000', 'u': '0', 'b': 'false', 'a{sv}': '@a{sv} {}', 'as': '@as []'}


def path_of(interface):
    """Of an object that is not there: who may not call it must not find that out."""
    if interface in (MANAGER, OBJECT_MANAGER):
        return '/org/choir/Choir1'
    return f'/org/choir/Choir1/{interface.rpartition(".")[2].lower()}/x'


def read_methods():
    """Every method the interfaces have, so that a new one can't be forgotten: (interface, method, arguments)."""
    for interface in ElementTree.parse(DATA / 'org.choir.Choir1.xml').iter('interface'):
        for method in interface.iter('method'):
            arguments = [VALUES[arg.get('type')] for arg in method.iter('arg') if arg.get('direction') == 'in']
            yield interface.get('name'), method.get('name'), arguments


def read_interfaces():
    return [interface.get('name') for interface in ElementTree.parse(DATA / 'org.choir.Choir1.xml').iter('interface')]


METHODS = [
    *read_methods(),
    *((interface, f'{PROPERTIES}.GetAll', [interface]) for interface in read_interfaces() if interface != MANAGER),
    *((interface, f'{PROPERTIES}.Get', [interface, 'Id']) for interface in read_interfaces() if interface != MANAGER),
    (OBJECT_MANAGER, 'GetManagedObjects', []),
]


def name_of(value):
    return '.'.join(value[:2]).replace('org.choir.Choir1.', '')


@pytest.fixture(scope='module')
def bus():
    with SystemBus() as private:
        private.start_polkitd()
        yield private


@pytest.fixture(scope='module')
def service(bus):
    with make_service(bus) as daemon:
        bus.wait_name()
        yield daemon


def call(bus, interface, method, arguments, **kwargs):
    full = method if '.' in method else f'{interface}.{method}'
    return bus.call(full, *arguments, path=path_of(interface), **kwargs)


@pytest.mark.parametrize('method', METHODS, ids=name_of)
def test_stranger_is_refused(bus, service, method):
    with connect(service, token=service.mint('alice')) as alice:
        with pytest.raises(BusError) as caught:
            call(bus, *method, uid=STRANGER)
        assert caught.value.name == INTERACTION_REQUIRED
        # somebody may be asked, but nobody is there
        with pytest.raises(BusError) as caught:
            call(bus, *method, uid=STRANGER, options=('--interactive',))
        assert caught.value.name == INTERACTION_REQUIRED
        alice.check_alive()
        assert [message['type'] for message in alice.seen if message['type'] == 'system.notification'] == []


@pytest.mark.parametrize('method', [method for method in METHODS if method[1] != 'Drain'], ids=name_of)
def test_member_of_the_group_gets_in(bus, service, method):
    try:
        call(bus, *method, uid=MEMBER)
    except BusError as error:
        assert error.name not in (ACCESS_DENIED, INTERACTION_REQUIRED), error


def test_member_of_the_group_may_drain():
    """By itself, since it ends the service."""
    with SystemBus() as bus, make_service(bus) as service:
        bus.start_polkitd()
        bus.wait_name()
        with pytest.raises(BusError) as caught:
            bus.call(f'{MANAGER}.Drain', '0', uid=STRANGER)
        assert caught.value.name == INTERACTION_REQUIRED
        assert bus.call(f'{MANAGER}.Drain', '0', uid=MEMBER) == '()'
        service.process.wait(DEADLINE)


@pytest.mark.parametrize('uid', [0, MEMBER, STRANGER])
def test_manager_properties_are_open(bus, service, uid):
    assert bus.call(f'{PROPERTIES}.Get', MANAGER, 'NConnections', uid=uid) == '(<uint32 0>,)'


@pytest.mark.parametrize('name', ['org.choir.Choir1', 'org.choir.Choir1.second'])
@pytest.mark.parametrize('uid', [MEMBER, STRANGER])
def test_nobody_else_may_own_the_name(bus, service, name, uid):
    with pytest.raises(BusError) as caught:
        bus.call('org.freedesktop.DBus.RequestName', name, '0', dest='org.freedesktop.DBus',
                 path='/org/freedesktop/DBus', uid=uid)
    assert caught.value.name == ACCESS_DENIED


def test_node_with_a_name_of_its_own(bus, service):
    name = 'org.choir.Choir1.second'
    with make_service(bus, {'bus.name': name}) as second:
        bus.wait_name(name)
        with connect(second, token=second.mint('alice')):
            assert bus.call(f'{MANAGER}.KickUser', 'alice', '', dest=name, uid=MEMBER) == '(uint32 1,)'
        with pytest.raises(BusError) as caught:
            bus.call(f'{MANAGER}.KickUser', 'alice', '', dest=name, uid=STRANGER)
        assert caught.value.name == INTERACTION_REQUIRED


def test_polkitd_goes_and_comes_back():
    with SystemBus() as bus, make_service(bus, expect_log=['polkit gives no answer']) as daemon:
        bus.wait_name()
        with connect(daemon, token=daemon.mint('alice')) as alice:
            for _ in range(2):
                with pytest.raises(BusError) as caught:
                    bus.call(f'{MANAGER}.KickUser', 'alice', '', uid=MEMBER)
                assert caught.value.name == ACCESS_DENIED
            alice.check_alive()
            daemon.wait_log('polkit gives no answer')
            # root needs no polkit
            assert bus.call(f'{MANAGER}.KickUser', 'bob', '') == '(uint32 0,)'
            bus.start_polkitd()
            assert bus.call(f'{MANAGER}.KickUser', 'alice', '', uid=MEMBER) == '(uint32 1,)'


def test_bus_goes_and_comes_back():
    """polkit is asked over the new connection then."""
    with SystemBus() as bus, make_service(bus, expect_log=['bus is not there']) as daemon:
        bus.start_polkitd()
        bus.wait_name()
        with connect(daemon, token=daemon.mint('alice')) as alice:
            for _ in range(2):
                assert bus.call(f'{MANAGER}.KickUser', 'bob', '', uid=MEMBER) == '(uint32 0,)'
                bus.kill()
                bus.start()
                bus.start_polkitd()
                bus.wait_name()
                assert bus.call(f'{MANAGER}.KickUser', 'bob', '', uid=MEMBER) == '(uint32 0,)'
            alice.check_alive()


def test_busctl_is_refused_too(bus, service):
    done = bus.run(*as_user(STRANGER), 'busctl', f'--address={bus.address}', 'call', 'org.choir.Choir1',
                   '/org/choir/Choir1', MANAGER, 'KickUser', 'ss', 'alice', 'bye')
    assert done.returncode != 0
    assert 'password' in done.stderr


DTD = '/usr/share/polkit-1/policyconfig-1.dtd'


@pytest.mark.skipif(not os.path.exists(DTD) or shutil.which('xmllint') is None, reason=f'needs xmllint and {DTD}')
def test_policy_is_valid():
    done = subprocess.run(['xmllint', '--nonet', '--noout', '--dtdvalid', DTD, str(DATA / 'org.choir.Choir1.policy')],
                          capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert (done.returncode, done.stderr) == (0, '')


def test_polkit_knows_the_actions(bus):
    """As it was read: who needs a password, and that the service may ask on behalf of others."""
    done = bus.run('pkaction', '--verbose')
    assert done.returncode == 0, done.stderr
    actions = done.stdout.strip().split('\n\n')
    assert len(actions) == 5
    for action in actions:
        assert action.count('auth_admin_keep') == 3
        assert 'org.freedesktop.policykit.owner -> unix-user:choird' in action


def test_actions_are_those_of_the_code(bus):
    source = (DATA.parent / 'src/admin/choir-authority.c').read_text()
    actions = {action.get('id') for action in ElementTree.parse(DATA / 'org.choir.Choir1.policy').iter('action')}
    assert actions == set(re.findall(r'"(org\.choir\.Choir1\.[a-z-]+)"', source))


RULE = '''
const rules = [];
globalThis.polkit = {Result: {YES: 'yes', NOT_HANDLED: 'not handled'}, addRule: (rule) => rules.push(rule)};
require('vm').runInThisContext(require('fs').readFileSync(process.argv[1], 'utf8'));
const [id, user, groups, active] = process.argv.slice(2);
const subject = {user, active: active === 'active', isInGroup: (group) => groups.split(',').includes(group)};
console.log(rules.map((rule) => rule({id}, subject)).join());
'''


@pytest.mark.skipif(shutil.which('node') is None, reason='needs node')
@pytest.mark.parametrize(('action', 'user', 'groups', 'active', 'result'), [
    ('inspect', 'root', '', '', 'yes'),
    ('manage-service', 'root', '', '', 'yes'),
    ('manage-service', 'alice', 'users,choir', '', 'yes'),
    ('read-content', 'alice', 'choir', 'active', 'yes'),
    ('inspect', 'alice', 'adm', 'active', 'yes'),
    ('inspect', 'alice', 'sudo', 'active', 'yes'),
    ('inspect', 'alice', 'wheel', 'active', 'yes'),
    ('inspect', 'alice', 'adm', '', 'not handled'),
    ('inspect', 'alice', 'users', 'active', 'not handled'),
    ('read-content', 'alice', 'sudo', 'active', 'not handled'),
    ('manage-users', 'alice', 'sudo,adm', 'active', 'not handled'),
])
def test_rule_for_whom_there_is_no_session_here(action, user, groups, active, result):
    """polkitd takes who sits at the machine from logind; so the rule is run by itself for those."""
    done = subprocess.run(['node', '-e', RULE, '--', str(DATA / 'org.choir.Choir1.rules'), f'org.choir.Choir1.{action}',
                           user, groups, active], capture_output=True, text=True, timeout=DEADLINE, check=True)
    assert done.stdout.strip() == result


@pytest.mark.skipif(shutil.which('node') is None, reason='needs node')
def test_rule_leaves_others_alone():
    done = subprocess.run(['node', '-e', RULE, '--', str(DATA / 'org.choir.Choir1.rules'), 'org.example.reboot', 'root',
                           'choir', 'active'], capture_output=True, text=True, timeout=DEADLINE, check=True)
    assert done.stdout.strip() == 'not handled'
