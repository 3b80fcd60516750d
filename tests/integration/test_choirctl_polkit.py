# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every verb of choirctl that asks the service, by somebody about whom the service asks polkit: allowed, refused,
dismissed, given up while the question is open, and without any polkit. python3-dbusmock answers as it is told."""

import json
import os
import re
import shutil
import signal
import sys
from itertools import count
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'support'))

from choir_test import DEADLINE  # noqa: E402
from choir_test.ctl import DONE, NO_SERVICE, NOT_ALLOWED, TIMED_OUT, Choirctl, find_choirctl  # noqa: E402
from choir_test.polkit import STRANGER, MockPolkit, SystemBus, as_user, make_service  # noqa: E402
from choir_test.terminal import Terminal  # noqa: E402
from document_client import Talker  # noqa: E402

pytest.importorskip('dbusmock')
pytestmark = pytest.mark.skipif(os.getuid() != 0, reason='becomes other users')

NOTE = ('system.notification', '{"message": "noon"}')
# Each verb: the action that polkit is asked about, the words behind the verb, and what is printed when it is allowed.
# A word in capitals stands for what the test makes for it.
VERBS = {
    'status': ('inspect', (), 'Traffic: '),
    'top': ('inspect', ('--batch', '--count', '1'), 'Connections: '),
    'connections': ('inspect', (), 'connection'),
    'users': ('inspect', (), 'user'),
    'channels': ('inspect', (), 'channel'),
    'documents': ('inspect', (), 'document'),
    'tasks': ('inspect', (), 'task'),
    'show': ('inspect', ('connection', 'CONNECTION'), 'alice'),
    'kick': ('manage-users', ('CONNECTION',), '1 connection closed'),
    'block': ('manage-users', ('mallory',), 'blocked'),
    'unblock': ('manage-users', ('mallory',), 'mallory: '),
    'blocked': ('inspect', (), 'blocked user'),
    'revoke': ('manage-users', ('jti-1',), 'jti-1: '),
    'unrevoke': ('manage-users', ('jti-1',), 'jti-1: '),
    'revoked': ('inspect', (), 'revoked token'),
    'broadcast': ('message', NOTE, 'Sent to '),
    'publish': ('message', ('chat:lobby', *NOTE), 'Sent to '),
    'send': ('message', ('--connection', 'CONNECTION', *NOTE), 'Sent to 1 connection'),
    'subscribe': ('manage-users', ('CONNECTION', 'chat:lobby'), 'subscribed'),
    'unsubscribe': ('manage-users', ('SUBSCRIBED', 'chat:lobby'), 'no longer subscribed'),
    'read': ('read-content', ('DOCUMENT',), 'Hello'),
    'close-document': ('manage-users', ('DOCUMENT',), '1 editor'),
    'cancel': ('manage-users', ('TASK',), 'cancelled'),
    'drain': ('manage-service', (), 'Clients are told to leave'),
    'reload': ('manage-service', (), 'read again'),
    'log-level': ('manage-service', ('info',), 'info'),
    'trace': ('inspect', (), 'Tracing'),
    'watch': ('inspect', (), 'Watching'),
}
# These go on until they are told to stop
ENDLESS = ('trace', 'watch')
# These have no use for the bus
OTHERS = {'check'}

HANGS = 'hangs'
NO, PASSWORD = (False, False), (False, True)
DISMISSED = (False, False, "{'polkit.dismissed': 'true'}")
NOT_YOU = 'You are not allowed to do that; ask as root, or as a member of the group “choir”'
every_verb = pytest.mark.parametrize('verb', VERBS)
_numbers = count(1)


@pytest.fixture(scope='module')
def bus():
    with SystemBus() as private:
        yield private


@pytest.fixture(scope='module')
def polkit(request, bus):
    """As the parameter says, to whatever it is asked."""
    with MockPolkit(bus) as mock:
        if request.param == HANGS:
            mock.control('SimulateHang', 'true')
        elif request.param is not None:
            mock.answer(*request.param)
        yield mock


@pytest.fixture(scope='module')
def service(bus):
    with make_service(bus) as daemon:
        bus.wait_name()
        yield daemon


def copy_choirctl(bus):
    """Where a stranger can start it: the build directory may be nobody else's business."""
    path = bus.directory / 'choirctl'
    shutil.copy(find_choirctl(), path)
    path.chmod(0o755)
    return path


@pytest.fixture(scope='module')
def ctl(bus):
    return StrangersChoirctl(bus)


class StrangersChoirctl(Choirctl):
    def __init__(self, bus):
        super().__init__(bus)
        self.command = [*as_user(STRANGER), str(copy_choirctl(bus))]

    def run(self, *words, **kwargs):
        return super().run(*words, prefix=self.command[:-1], binary=self.command[-1], **kwargs)

    def begin(self, *words):
        """On a terminal of its own."""
        return Terminal([*self.command, *self.where, *words], self.environment())


def words_of(verb, **made):
    return [verb, *(made.get(word, word) for word in VERBS[verb][1])]


def listed_verbs():
    """By the program's own table, so that a new one can't be forgotten."""
    verbs = re.findall(r'^  ([a-z][a-z-]*)  ', Choirctl(None, where=())('--help'), re.MULTILINE)
    assert 'status' in verbs
    return verbs


def test_no_verb_is_missing_here():
    assert set(listed_verbs()) == set(VERBS) | OTHERS


@pytest.mark.parametrize('verb', sorted(OTHERS))
def test_others_need_no_bus(verb, tmp_path):
    nowhere = Choirctl(None, where=('--address', f'unix:path={tmp_path}/none'))
    nowhere.fails(NO_SERVICE, verb, 'ws://127.0.0.1:1/ws', contains='nobody listens')


# Allowed

def make(word, service, clients):
    """What stands in the words: a connection, a document that is open, a task."""
    alice = Talker(service, 'alice')
    clients.append(alice)
    name = f'plan{next(_numbers)}'
    if word == 'DOCUMENT':
        alice.open(name)
        alice.change(name, ['Hello\n'])
        return name
    if word == 'TASK':
        return alice.get('task.request', 'task.accepted', kind='sum')['task_id']
    if word == 'SUBSCRIBED':
        alice.get('subscribe', 'subscription.confirmed', channels=['chat:lobby'])
    return alice.seen[0]['payload']['connection_id']


@pytest.fixture
def things(service):
    """What stands in the words of a verb, made at need and gone with the test."""
    clients = []
    yield lambda verb: {word: make(word, service, clients) for word in VERBS[verb][1] if word.isupper()}
    for client in clients:
        client.ws.close()


def succeed(ctl, verb, made):
    words = words_of(verb, **made)
    if verb not in ENDLESS:
        return ctl(*words)
    with ctl.begin(*words) as terminal:
        terminal.wait_text(VERBS[verb][2])
        terminal.send('\x03')
        assert terminal.wait_exit() == DONE
        return terminal.text


@pytest.mark.parametrize('polkit', [None], indirect=True, ids=['told'])
@pytest.mark.parametrize('verb', [verb for verb in VERBS if verb != 'drain'])
def test_allowed(polkit, service, ctl, things, verb):
    """By the one action that counts for it."""
    action, _, printed = VERBS[verb]
    made = things(verb)
    polkit.control('SetAllowed', f'["org.choir.Choir1.{action}"]')
    assert printed in succeed(ctl, verb, made)


def test_allowed_to_drain():
    """By itself, since it ends the service."""
    with SystemBus() as bus, MockPolkit(bus) as polkit, make_service(bus) as service:
        bus.wait_name()
        ctl = StrangersChoirctl(bus)
        action, words, printed = VERBS['drain']
        ctl.fails(NOT_ALLOWED, 'drain', *words)
        polkit.control('SetAllowed', f'["org.choir.Choir1.{action}"]')
        assert printed in ctl('drain', *words)
        service.process.wait(DEADLINE)


# Refused

@pytest.mark.parametrize('polkit', [NO], indirect=True, ids=['no'])
@every_verb
def test_refused(polkit, service, ctl, verb):
    """Names that nobody has will do: who may not do it is not told what there is. What comes out is JSON or nothing."""
    done = ctl.run('--json', *words_of(verb))
    assert done.returncode == NOT_ALLOWED
    assert re.fullmatch(rf'choirctl: (\w+: )?{NOT_YOU}\n', done.stderr)
    if verb == 'status':
        # the properties are for everybody
        assert json.loads(done.stdout)['stats'] == {}
    elif done.stdout:
        assert json.loads(done.stdout) == []


@pytest.mark.parametrize('polkit', [DISMISSED], indirect=True, ids=['dismissed'])
@every_verb
def test_dismissed(polkit, service, ctl, verb):
    assert ctl.fails(NOT_ALLOWED, *words_of(verb), contains=NOT_YOU).count('\n') == 1


@pytest.mark.parametrize('polkit', [PASSWORD], indirect=True, ids=['password'])
def test_nobody_is_there_to_be_asked(polkit, service, ctl):
    for options in (), ('--no-ask-password',):
        ctl.fails(NOT_ALLOWED, *options, 'kick', 'nobody', contains='ask from a terminal and without --no-ask-password')


@pytest.fixture(scope='module')
def lonely():
    """choirctl, with a service on a bus where nobody is polkit."""
    with SystemBus() as bus, make_service(bus, expect_log=['polkit gives no answer']) as daemon:
        bus.wait_name()
        yield StrangersChoirctl(bus)
        daemon.wait_log('polkit gives no answer')


@every_verb
def test_without_polkit(lonely, verb):
    assert lonely.fails(NOT_ALLOWED, *words_of(verb), contains=NOT_YOU).count('\n') == 1


# Given up

@pytest.mark.parametrize('polkit', [HANGS], indirect=True)
@every_verb
def test_given_up(polkit, service, ctl, verb):
    """^C while the question is open: it ends as the man page says, and the question with it."""
    with ctl.begin(*words_of(verb)) as terminal:
        asked = polkit.wait_line(' CheckAuthorization ')
        assert f'org.choir.Choir1.{VERBS[verb][0]}' in asked
        terminal.send('\x03')
        assert terminal.wait_exit() == -signal.SIGINT
        assert terminal.is_as_before
    polkit.wait_line(' CancelCheckAuthorization ')


@pytest.mark.parametrize('polkit', [HANGS], indirect=True)
def test_not_in_time(polkit, service, ctl):
    ctl.fails(TIMED_OUT, '--timeout', '300ms', 'kick', 'nobody', contains='--timeout gives it longer')
    polkit.wait_line(' CheckAuthorization ')
    polkit.wait_line(' CancelCheckAuthorization ')


# It says that it is there when all is prepared; to end takes it as long as it may on a busy machine
AGENT = '''#!/usr/bin/python3
import os, signal, time
def end(*_):
    time.sleep(0.3)
    os.write(1, b'the terminal is put in order')
    os._exit(0)
for number in signal.SIGINT, signal.SIGTERM:
    signal.signal(number, end)
os.dup2(os.open('/dev/tty', os.O_WRONLY), 1)
os.close(3)
while True:
    signal.pause()
'''


@pytest.mark.parametrize('polkit', [HANGS], indirect=True)
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=['INT', 'TERM', 'HUP'])
def test_agent_ends_first(polkit, bus, service, ctl, number):
    """Whoever reads the terminal next finds it as it was: the agent has hidden what is typed."""
    tools = bus.directory / 'tools'
    tools.mkdir(exist_ok=True)
    (tools / 'pkttyagent').write_text(AGENT)
    (tools / 'pkttyagent').chmod(0o755)
    env = {'DBUS_SYSTEM_BUS_ADDRESS': bus.address, 'PATH': f'{tools}:/usr/bin:/bin'}
    with Terminal([*ctl.command, 'kick', 'nobody'], ctl.environment(env)) as terminal:
        polkit.wait_line(' CheckAuthorization ')
        terminal.signal(number)
        assert terminal.wait_exit() == -number
        assert 'in order' in terminal.text
    polkit.wait_line(' CancelCheckAuthorization ')
