# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Questions to polkit that the real one can't be made to answer here: python3-dbusmock stands in for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'support'))

from choir_test import DEADLINE, connect  # noqa: E402
from choir_test.bus import BusError  # noqa: E402
from choir_test.polkit import STRANGER, MockPolkit, SystemBus, as_user, make_service  # noqa: E402

pytest.importorskip('dbusmock')
pytestmark = pytest.mark.skipif(os.getuid() != 0, reason='becomes other users')

ACCESS_DENIED = 'org.freedesktop.DBus.Error.AccessDenied'
INTERACTION_REQUIRED = 'org.freedesktop.DBus.Error.InteractiveAuthorizationRequired'
KICK_USER = 'org.choir.Choir1.Manager.KickUser'


@pytest.fixture
def bus():
    with SystemBus() as private:
        yield private


@pytest.fixture
def polkit(bus):
    with MockPolkit(bus) as mock:
        yield mock


@pytest.fixture
def service(bus, polkit):
    with make_service(bus) as daemon:
        bus.wait_name()
        yield daemon


def kick(bus, *options):
    return bus.call(KICK_USER, 'alice', 'bye', uid=STRANGER, options=options)


def begin_kick(bus):
    """One that a person may be asked about, on its way."""
    return subprocess.Popen([*as_user(STRANGER), 'gdbus', 'call', '--system', '--interactive', '--dest',
                             'org.choir.Choir1', '--object-path', '/org/choir/Choir1', '--method', KICK_USER, 'alice',
                             'bye'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, env=bus.env)


def refuse(bus, *options):
    with pytest.raises(BusError) as caught:
        kick(bus, *options)
    return caught.value


def test_allowed(bus, polkit, service):
    polkit.control('SetAllowed', '["org.choir.Choir1.manage-users"]')
    with connect(service, token=service.mint('alice')):
        assert kick(bus) == '(uint32 1,)'
    asked = polkit.wait_line('CheckAuthorization')
    assert 'org.choir.Choir1.manage-users' in asked
    assert 'KickUser alice' in asked


def test_dialogue_names_the_object(bus, polkit, service):
    with pytest.raises(BusError) as caught:
        bus.call('org.choir.Choir1.Channel.Publish', '"note"', '"{}"', path='/org/choir/Choir1/channel/chat_3alobby',
                 uid=STRANGER)
    assert caught.value.name == ACCESS_DENIED
    asked = polkit.wait_line('CheckAuthorization')
    assert 'org.choir.Choir1.message' in asked
    assert 'Publish chat:lobby' in asked


def test_another_action_is_not_enough(bus, polkit, service):
    polkit.control('SetAllowed', '["org.choir.Choir1.inspect", "org.choir.Choir1.message"]')
    assert refuse(bus).name == ACCESS_DENIED
    assert str(STRANGER) in service.wait_log('refused to a stranger')


@pytest.mark.parametrize(('answer', 'name', 'text'), [
    ((False, False), ACCESS_DENIED, 'does not let you'),
    ((False, True), INTERACTION_REQUIRED, 'password'),
    ((False, False, "{'polkit.dismissed': 'true'}"), ACCESS_DENIED, 'dismissed'),
], ids=['no', 'challenge', 'dismissed'])
def test_refused(bus, polkit, service, answer, name, text):
    polkit.answer(*answer)
    with connect(service, token=service.mint('alice')) as alice:
        for options in (), ('--interactive',):
            error = refuse(bus, *options)
            assert error.name == name
            assert text in error.text
        alice.check_alive()


def test_slow_answer_stops_nobody(bus, polkit, service):
    polkit.control('SetAllowed', '["org.choir.Choir1.manage-users"]')
    polkit.control('SimulateHang', 'true')
    with connect(service, token=service.mint('alice')) as alice, \
            connect(service, token=service.mint('bob')) as bob:
        waiting = begin_kick(bus)
        polkit.wait_line('CheckAuthorization')
        for client in alice, bob:
            client.check_alive()
        # and root is not kept waiting
        assert bus.call(KICK_USER, 'bob', 'bye') == '(uint32 1,)'
        assert waiting.poll() is None
        polkit.control('ReleaseHangingCalls')
        output, complaint = waiting.communicate(timeout=DEADLINE)
        assert (output.strip(), complaint) == ('(uint32 1,)', '')


def test_polkit_dies_with_a_question(bus, polkit):
    with make_service(bus, expect_log=['polkit gives no answer']) as service:
        bus.wait_name()
        polkit.control('SimulateHang', 'true')
        with connect(service, token=service.mint('alice')) as alice:
            waiting = begin_kick(bus)
            polkit.wait_line('CheckAuthorization')
            polkit.stop()
            _, complaint = waiting.communicate(timeout=DEADLINE)
            assert ACCESS_DENIED in complaint
            service.wait_log('polkit gives no answer')
            alice.check_alive()


def test_caller_leaves(bus, polkit, service):
    polkit.control('SimulateHang', 'true')
    with connect(service, token=service.mint('alice')) as alice:
        waiting = begin_kick(bus)
        polkit.wait_line('CheckAuthorization')
        waiting.kill()
        waiting.communicate(timeout=DEADLINE)
        # so that no dialogue is left behind
        polkit.wait_line('CancelCheckAuthorization')
        alice.check_alive()


def test_bus_goes_while_a_person_is_asked(bus, polkit):
    polkit.control('AddMethod', '"org.freedesktop.PolicyKit1.Authority"', '"CheckAuthorization"', '"(sa{sv})sa{ss}us"',
                   '"(bba{ss})"', '"import time; time.sleep(3600)"')
    with make_service(bus, expect_log=['bus is not there']) as daemon:
        bus.wait_name()
        with connect(daemon, token=daemon.mint('alice')):
            asking = begin_kick(bus)
            polkit.wait_line('CheckAuthorization')
            bus.kill()
            polkit.stop()
            asking.communicate(timeout=DEADLINE)
            bus.start()
            with MockPolkit(bus) as again:
                again.control('SetAllowed', '["org.choir.Choir1.manage-users"]')
                bus.wait_name()
                assert kick(bus) == '(uint32 1,)'
        assert 'polkit' not in daemon.log()
