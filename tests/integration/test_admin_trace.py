# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Trace() of org.choir.Choir1.Manager: what comes through the pipe, and what does not."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'support'))

from choir_test import connect  # noqa: E402
from choir_test.bus import ACCESS_DENIED, INVALID_ARGS, BusError, join, make_daemon  # noqa: E402
from choir_test.bus_client import BusClient, Trace  # noqa: E402

LIMITS_EXCEEDED = 'org.freedesktop.DBus.Error.LimitsExceeded'


@pytest.fixture
def daemon(bus):
    with make_daemon(bus) as running:
        bus.wait_name()
        yield running


@pytest.fixture
def admin(bus, daemon):
    with BusClient(bus) as client:
        yield client


def published(name):
    return lambda line: line.get('type') == name and 'connection' not in line


def test_what_a_client_says_and_hears(daemon, admin):
    with join(daemon, 'alice') as alice, Trace(admin, bodies=True) as trace:
        alice.send({'type': 'subscribe', 'payload': {'channels': ['chat:lobby']}})
        said = trace.wait_type('subscribe')
        assert said['direction'] == 'in'
        assert said['user'] == 'alice'
        assert said['connection'] == alice.seen[0]['payload']['connection_id']
        assert said['payload'] == {'channels': ['chat:lobby']}
        assert said['bytes'] == len(json.dumps(said['payload']))
        assert said['time'].endswith('Z')
        answer = trace.wait_type('subscription.confirmed')
        assert (answer['direction'], answer['user'], answer['recipients']) == ('out', 'alice', 1)

        alice.send({'type': 'chat.message', 'payload': {'channel': 'chat:lobby', 'content': 'hello'}})
        message = trace.wait(published('chat.message'))
        assert (message['channel'], message['user']) == ('chat:lobby', 'alice')
        assert message['recipients'] == 1
        assert message['payload']['content'] == 'hello'


def test_without_bodies_nothing_is_told_of_them(daemon, admin):
    with join(daemon, 'alice') as alice, Trace(admin) as trace:
        alice.send({'type': 'chat.message', 'payload': {'channel': 'chat:lobby', 'content': 'hello-there'}})
        trace.wait(published('chat.message'))
        alice.ws.traffic.allow_garbage()
        alice.send({'type': 'explode'})
        trace.wait_type('error')
    assert 'hello-there' not in json.dumps(trace.lines)
    assert not any('payload' in line for line in trace.lines)


@pytest.mark.parametrize('words', ['so this was said', 'x' * 256, 'zwölf'])
def test_what_is_no_channel_is_no_channel(daemon, admin, words):
    """What stands in the place of a channel's name is otherwise part of a body."""
    with join(daemon, 'alice') as alice, Trace(admin) as trace, Trace(admin, bodies=True) as bodies:
        alice.ws.traffic.allow_garbage()
        alice.send({'type': 'publish', 'payload': {'channel': words, 'type': 'note', 'payload': {}}})
        said = bodies.wait_type('publish')
        assert said['payload']['channel'] == words
        assert 'channel' not in trace.wait_type('publish') and 'channel' not in said


def test_tokens_are_never_told(daemon, admin):
    token = daemon.mint('alice')
    with Trace(admin, bodies=True) as trace:
        with connect(daemon, 'tripsage', token, target='/ws/chat/s1') as alice:
            auth = trace.wait_type('auth')
            assert auth['payload'] == '***'
            alice.ws.ping_barrier()
        with join(daemon, 'bob') as bob:
            bob.send({'type': 'auth', 'payload': {'token': daemon.mint('bob')}})
            bob.send({'type': 'ping', 'payload': {'deep': [{'token': token}], 'access_token': token}})
            ping = trace.wait_type('ping')
            assert ping['payload'] == {'deep': [{'token': '***'}], 'access_token': '***'}
    text = json.dumps(trace.lines)
    assert token not in text
    assert 'eyJ' not in text


def test_of_one_user(daemon, admin):
    """What she says, what she is told, and what is said where she listens."""
    with join(daemon, 'alice') as alice, join(daemon, 'bob') as bob, Trace(admin, user='alice') as trace:
        alice.send({'type': 'subscribe', 'payload': {'channels': ['chat:lobby']}})
        alice.wait_type('subscription.confirmed')
        bob.send({'type': 'chat.message', 'payload': {'channel': 'chat:attic', 'content': 'not hers'}})
        bob.send({'type': 'chat.message', 'payload': {'channel': 'chat:lobby', 'content': 'hers'}})
        heard = trace.wait(published('chat.message'))
        assert (heard['channel'], heard['user']) == ('chat:lobby', 'bob')
    assert all(line['direction'] == 'out' or line['user'] == 'alice' for line in trace.lines)
    assert [line['channel'] for line in trace.lines if line['type'] == 'chat.message'] == ['chat:lobby']


def test_what_administrators_send(bus, daemon, admin):
    with join(daemon, 'alice'), join(daemon, 'bob'):
        with Trace(admin, type='system.notification') as trace, Trace(admin, user='bob', direction='out') as bobs:
            assert bus.broadcast({'message': 'one'}) == 2
            assert bus.broadcast({'message': 'two'}, ('user', 's', 'alice')) == 1
            assert bus.broadcast({'message': 'three'}, ('slow', 'b', 'false'), ('user', 's', 'bob')) == 1
            trace.wait(lambda line: 'channel' not in line)
            bobs.wait(lambda line: 'channel' not in line)
        assert [(line.get('channel'), line['recipients']) for line in trace.lines] == [
            ('all', 2), ('user:alice', 1), (None, 1)]
        assert [line.get('channel') for line in bobs.lines] == ['all', None]


def test_documents(daemon, admin):
    with join(daemon, 'alice') as alice, Trace(admin, channel='document:d1') as trace:
        alice.send({'type': 'document.open', 'payload': {'document_id': 'd1'}})
        alice.wait_type('document.opened')
        alice.send({'type': 'document.change',
                    'payload': {'document_id': 'd1', 'version': 0, 'change_id': 'c1', 'operation': ['hello']}})
        change = trace.wait(published('document.change'))
        assert (change['user'], change['recipients']) == ('alice', 1)


def test_slow_reader_is_told_what_it_missed(bus, daemon, admin):
    with join(daemon, 'alice') as alice, Trace(admin, bodies=True, type='system.notification') as trace:
        text = 'x' * 60000
        n = 40
        for _ in range(n):
            bus.broadcast({'message': text}, ('user', 's', 'bob'))
        trace.wait(lambda line: 'dropped' in line)
        dropped = sum(line.get('dropped', 0) for line in trace.lines)
        assert dropped + len([line for line in trace.lines if 'type' in line]) == n
        bus.broadcast({'message': 'last'})
        trace.wait(lambda line: line.get('payload') == {'message': 'last'})
        alice.check_alive()


@pytest.mark.parametrize('keys', [{'users': 'alice'}, {'user': 'two words'}, {'direction': 'up'}, {'bodies': 'yes'}])
def test_filters_that_are_not_understood(admin, keys):
    with pytest.raises(BusError) as caught:
        Trace(admin, **keys)
    assert caught.value.name == INVALID_ARGS
    assert next(iter(keys)) in caught.value.text


def test_only_so_many_at_a_time(admin):
    traces = [Trace(admin) for _ in range(8)]
    with pytest.raises(BusError) as caught:
        Trace(admin)
    assert caught.value.name == LIMITS_EXCEEDED
    for trace in traces:
        trace.close()
    # they end in the service's own time
    for _ in range(200):
        try:
            Trace(admin).close()
            break
        except BusError as error:
            assert error.name == LIMITS_EXCEEDED
    else:
        raise AssertionError('they never end')


def test_ends_with_the_service(daemon, admin):
    with Trace(admin) as trace:
        daemon.stop()
        trace.read_to_end()


def test_stranger_is_refused(bus, daemon):
    with pytest.raises(BusError) as caught:
        bus.gdbus('Trace', '{}', prefix=('setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'))
    assert caught.value.name == ACCESS_DENIED
