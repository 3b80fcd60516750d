# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Event streams that break and come back with Last-Event-ID: docs/protocol.md "Where a WebSocket can't pass"."""

import json
import random
import re

import pytest

from choir_test import DEADLINE, Daemon, Deadline, EventStream, emulate, http_get, sse_target
from library_client import join

SETTINGS = {'rate.default': '60000/1s', 'rate.api': '60000/1s'}


def open_stream(daemon, user, permissions=('*:*:*',), path='/sse', **parameters):
    return EventStream(daemon, sse_target(daemon.mint(user, permissions), path, **parameters))


def note(channel, content):
    return {'type': 'publish', 'payload': {'channel': channel, 'type': 'note', 'payload': {'content': content}}}


class Speaker:
    """A WebSocket that says numbers."""

    def __init__(self, daemon, user, channel):
        self.client = join(daemon, token=daemon.mint(user))
        self.channel = channel
        self.n = 0

    def say(self, n=1):
        """Returns when the service has all of them."""
        for _ in range(n):
            self.client.send(note(self.channel, self.n))
            self.client.wait_type('publish.ok')
            self.n += 1


@pytest.fixture
def speaker(daemon, fresh):
    return Speaker(daemon, fresh('user'), fresh('note:'))


def number_of(event):
    return int(re.fullmatch(r'[0-9a-f-]{36}\.(\d+)(;.*)?', event.id)[1])


def notes(stream, n):
    """The contents of the next n notes."""
    return [stream.wait('note')['payload']['content'] for _ in range(n)]


def listen(daemon, user, speaker):
    stream = open_stream(daemon, user, channels=speaker.channel)
    stream.wait('subscription.confirmed')
    return stream


def wait_until_gone(stream, token):
    """Until the service knows that the session is over."""
    deadline = Deadline(DEADLINE)
    while http_get(stream.daemon.address, f'/emulation?session_id={stream.session_id}',
                   [('Authorization', f'Bearer {token}'), ('Content-Type', 'text/plain')], 'POST', b'[]').status != 404:
        assert not deadline.passed()


# Within the window

def test_what_was_missed(daemon, user, speaker):
    stream = listen(daemon, user, speaker)
    speaker.say(3)
    assert notes(stream, 3) == [0, 1, 2]
    stream.drop()
    speaker.say(3)
    back = stream.again()
    assert back.resumed and back.session_id == stream.session_id
    greeting = back.next()
    assert greeting.json()['type'] == 'connection.established' and greeting.json()['payload']['resumed'] is True
    # it moves nobody's position: what stands behind that is still to come
    assert greeting.id is None and back.last_id == stream.last_id
    events = [back.next() for _ in range(3)]
    assert [event.json()['payload']['content'] for event in events] == [3, 4, 5]
    first = int(stream.last_id.partition('.')[2].partition(';')[0]) + 1
    assert [number_of(event) for event in events] == [first, first + 1, first + 2]
    speaker.say()
    assert notes(back, 1) == [6]


def test_what_was_sent_and_lost(daemon, user, speaker):
    """The service has written them; the network has not brought them."""
    stream = listen(daemon, user, speaker)
    speaker.say(6)
    events = [stream.next() for _ in range(6)]
    stream.drop()
    back = stream.again(events[1].id)
    assert back.resumed
    back.wait('connection.established')
    again = [back.next() for _ in range(4)]
    assert [(event.id, event.data) for event in again] == [(event.id, event.data) for event in events[2:]]


def test_a_stream_that_is_still_there(daemon, user, speaker):
    """The client learns before the service that a connection is dead."""
    stream = listen(daemon, user, speaker)
    speaker.say(2)
    seen = stream.next()
    back = stream.again(seen.id)
    assert back.resumed and back.session_id == stream.session_id
    assert notes(back, 1) == [1]
    assert stream.wait_close()['code'] == 4009
    speaker.say()
    assert notes(back, 1) == [2]


def test_again_and_again(daemon, user, speaker):
    """Cut off at any byte: everything once, in order."""
    generator = random.Random(7)
    stream = listen(daemon, user, speaker)
    got, n_cuts = [], 0
    while len(got) < 300:
        if speaker.n < 300:
            speaker.say(generator.randint(0, 20))
        take = generator.randint(0, 12)
        while take > 0 and len(got) < speaker.n:
            event = stream.next()
            if event.json()['type'] == 'note':
                got.append(event.json()['payload']['content'])
                take -= 1
        # and some of what is not read to its end
        if generator.random() < 0.5:
            stream.reader.read_available()
        stream.drop()
        stream = stream.again()
        assert stream.resumed
        n_cuts += 1
    assert got == list(range(len(got))) and n_cuts > 20


def test_subscriptions_stay(daemon, user, speaker, fresh):
    """Also those that are not in the address; and nothing is subscribed to twice."""
    stream = open_stream(daemon, user)
    stream.wait('connection.established')
    token = daemon.mint(user)
    stream.ask({'type': 'subscribe', 'payload': {'channels': [speaker.channel]}}, 'subscription.confirmed', token)
    stream.drop()
    speaker.say()
    back = stream.again()
    assert notes(back, 1) == [0]
    named = listen(daemon, fresh('user'), speaker)
    named.drop()
    back = named.again()
    back.wait('connection.established')
    speaker.say()
    assert notes(back, 1) == [1] and not back.passed


def test_what_is_said_meanwhile(daemon, user):
    stream = open_stream(daemon, user)
    stream.wait('connection.established')
    stream.drop()
    emulate(daemon, stream.session_id, '{"type":"ping","payload":{"ping_id":"while away"}}', daemon.mint(user))
    assert stream.again().wait('pong')['payload']['ping_id'] == 'while away'


@pytest.mark.parametrize('dialect', ['netra', 'netra-spec', 'jddb', 'reviewpoint', 'tripsage'])
def test_every_dialect(daemon, user, fresh, dialect):
    """By the id of an event also clients whose contract has no way to name a session have theirs back."""
    stream = open_stream(daemon, user, dialect=dialect)
    token = daemon.mint(user)
    ping = {'type': 'ping', 'data' if dialect in ('netra', 'reviewpoint') else 'payload': {}}
    stream.ask(ping, 'pong', token)
    speaker = join(daemon, token=daemon.mint(fresh('user')))
    stream.drop()
    speaker.send(note(f'user:{user}', 'for you'))
    speaker.wait_type('publish.ok')
    back = stream.again()
    assert back.resumed and back.session_id == stream.session_id
    message = back.wait('note')
    assert (message.get('payload') or message.get('data'))['content'] == 'for you'
    assert len([passed for passed in back.passed if 'connect' in json.dumps(passed)]) == (0 if dialect == 'jddb' else 1)


def test_documents(daemon, fresh):
    """Contract C: what others have changed meanwhile, without asking for it."""
    name, permissions = fresh('doc'), ('document:*:read', 'document:*:write')
    one = open_stream(daemon, fresh('user'), permissions, f'/sse/document/{name}')
    user = fresh('user')
    two = open_stream(daemon, user, permissions, f'/sse/document/{name}')
    token = daemon.mint(user, permissions)
    one.wait('document.open')
    two.wait('document.open')
    one.drop()
    two.say({'type': 'document.change', 'payload': {'documentId': name, 'operation': 'insert', 'position': 0, 'content': 'new'}}, token)
    two.wait('document.change')
    back = one.again()
    assert back.resumed
    assert back.wait('document.change')['payload']['content'] == 'new'


def test_a_websocket_goes_on(daemon, user, speaker):
    stream = listen(daemon, user, speaker)
    stream.drop()
    speaker.say()
    client = join(daemon, token=daemon.mint(user), target=f'/ws?session_id={stream.session_id}&token={daemon.mint(user)}',
                  authenticate=False)
    assert client.wait_type('connection.established')['payload']['resumed'] is True
    assert client.wait_type('note')['payload']['content'] == 0
    emulate(daemon, stream.session_id, '{"type":"ping"}', daemon.mint(user), 409)
    # what the WebSocket was given is nothing that an event stream knows of: it begins anew, from where the id says
    speaker.say()
    assert client.wait_type('note')['payload']['content'] == 1
    back = stream.again()
    assert not back.resumed
    joined = back.wait('subscription.confirmed')['payload']['channels'][0]
    assert joined['recovered'] and [message['payload']['content'] for message in joined['messages']] == [0, 1]
    client.check_alive()


def test_an_event_stream_goes_on(daemon, user, speaker):
    client = join(daemon, token=daemon.mint(user), authenticate=False)
    session_id = client.wait_type('connection.established')['payload']['session_id']
    client.send({'type': 'subscribe', 'payload': {'channels': [speaker.channel]}})
    client.wait_type('subscription.confirmed')
    stream = open_stream(daemon, user, session_id=session_id)
    assert stream.resumed and stream.session_id == session_id
    speaker.say()
    assert notes(stream, 1) == [0]
    stream.ask({'type': 'ping'}, 'pong', daemon.mint(user))


# Beyond it

def test_too_much_was_missed(daemon, user, speaker):
    """More than is kept of a stream: a new session, and the channel from its log."""
    stream = listen(daemon, user, speaker)
    speaker.say(1)
    stream.wait('note')
    speaker.say(300)
    # written, and never read
    deadline = Deadline(DEADLINE)
    while len(stream.reader.buffer) < 300 * 200:
        assert stream.reader.fill(deadline)
    stream.drop()
    back = stream.again()
    assert not back.resumed and back.session_id != stream.session_id
    joined = back.wait('subscription.confirmed')['payload']['channels'][0]
    assert joined['recovered'] in (True, False)
    contents = [message['payload']['content'] for message in joined['messages']]
    if joined['recovered']:
        assert contents == list(range(1, 301))
    else:
        assert contents and contents == list(range(contents[0], 301))
    wait_until_gone(stream, daemon.mint(user))


def test_the_window_is_over(start, user, fresh):
    daemon = start({**SETTINGS, 'session.resume-window': '0'})
    speaker = Speaker(daemon, fresh('user'), fresh('note:'))
    stream = listen(daemon, user, speaker)
    speaker.say(2)
    assert notes(stream, 2) == [0, 1]
    stream.drop()
    speaker.say(3)
    wait_until_gone(stream, daemon.mint(user))
    back = stream.again()
    assert not back.resumed
    joined = back.wait('subscription.confirmed')['payload']['channels'][0]
    assert joined['recovered'] is True
    assert [message['payload']['content'] for message in joined['messages']] == [2, 3, 4]
    # and the id knows it
    assert back.last_id.endswith(f'{joined["epoch"]}.5')


def test_a_restart(start, user, fresh, tmp_path):
    """What is in the store is there again; what was in memory has begun anew."""
    settings = {**SETTINGS, 'store.backend': 'sqlite'}
    kept, lost = fresh('chat:'), fresh('note:')
    daemon = Daemon(settings, directory=tmp_path).start()
    stream = open_stream(daemon, user, channels=f'{kept},{lost}')
    stream.wait('subscription.confirmed')
    token = daemon.mint(user)
    for channel in (kept, lost):
        stream.ask(note(channel, 'seen'), 'publish.ok', token)
    speaker = join(daemon, token=daemon.mint(fresh('user')))
    last_id = stream.last_id
    assert re.fullmatch(r'[0-9a-f-]{36}\.\d+;[^;]+\.1;[^;]+\.1', last_id)
    speaker.send(note(kept, 'missed'))
    speaker.wait_type('publish.ok')
    daemon.kill()
    again = start(settings, directory=tmp_path)
    stream.daemon = again
    back = EventStream(again, sse_target(again.mint(user), channels=f'{kept},{lost}'), last_id=last_id)
    assert not back.resumed
    joined = {channel['channel']: channel for channel in back.wait('subscription.confirmed')['payload']['channels']}
    assert joined[kept]['recovered'] is True
    assert [message['payload']['content'] for message in joined[kept]['messages']] == ['missed']
    assert joined[lost]['recovered'] is False


# What is nobody's

def test_another_users(daemon, user, speaker, fresh):
    stream = listen(daemon, user, speaker)
    thief = EventStream(daemon, sse_target(daemon.mint(fresh('user'))), last_id=stream.last_id)
    assert not thief.resumed and thief.session_id != stream.session_id
    speaker.say()
    assert notes(stream, 1) == [0]
    stream.drop()
    thief = EventStream(daemon, sse_target(daemon.mint(fresh('user'))), last_id=stream.last_id)
    assert not thief.resumed
    assert stream.again().resumed


@pytest.mark.parametrize('change', [
    lambda last_id: last_id.replace('.', '.9', 1), lambda last_id: re.sub(r'\.\d+', '.18446744073709551615', last_id, count=1),
    lambda last_id: last_id.partition('.')[0], lambda last_id: last_id.partition('.')[0] + '.',
    lambda last_id: last_id.partition('.')[0] + '.-1', lambda last_id: last_id.partition('.')[0] + '.x',
])
def test_numbers_that_were_never_given(daemon, user, speaker, change):
    stream = listen(daemon, user, speaker)
    stream.drop()
    back = stream.again(change(stream.last_id))
    assert not back.resumed and back.session_id != stream.session_id
    back.ask({'type': 'ping'}, 'pong', daemon.mint(user))


# Not to come back

def test_who_was_sent_away(start, user):
    """204, after which an EventSource stays away."""
    daemon = start({'server.max-connections-per-user': '1'})
    first = open_stream(daemon, user)
    first.wait('connection.established')
    second = open_stream(daemon, user)
    assert first.wait_close()['code'] == 4009
    first.drop()
    second.ask({'type': 'ping'}, 'pong', daemon.mint(user))
    # once the service has seen that it is gone
    deadline = Deadline(DEADLINE)
    while first.again().response.status != 204:
        assert not deadline.passed()
    second.ask({'type': 'ping'}, 'pong', daemon.mint(user))
    # nobody else's matter
    other = EventStream(daemon, sse_target(daemon.mint('somebody-else')), last_id=first.last_id)
    assert other.response.status == 200 and not other.resumed


def test_full_for_one_who_returns(start, fresh):
    """A status would make an EventSource give up."""
    daemon = start({'server.max-connections': '1', 'session.resume-window': '0'})
    first = open_stream(daemon, fresh('user'))
    response = http_get(daemon.address, sse_target(daemon.mint('late')), [('Last-Event-ID', first.last_id)])
    assert response.status == 200 and response.get('content-type') == 'text/event-stream'
    text = response.body.decode()
    assert text.startswith('event: close\nretry: ') and '"code":1013' in text
    http_get(daemon.address, sse_target(daemon.mint('late'))).assert_problem(503)
