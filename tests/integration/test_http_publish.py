# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Publishing over HTTP as back ends and users do it: who hears it, what is kept of it, what comes of it twice, at once, in bulk, and
of what makes no sense. Every request and answer is held to docs/openapi.yaml."""

import json
import random
import threading

import pytest

from choir_test import DEADLINE, http_get, http_request
from choir_test.openapi import Api
from library_client import join


@pytest.fixture
def api(daemon):
    return Api(daemon)


def subscribe(daemon, user, channels, dialect='choir'):
    client = join(daemon, dialect, token=daemon.mint(user))
    client.send({'type': 'subscribe', client.dialect.payload_key: {'channels': channels}})
    client.wait_for(lambda message: 'subscri' in json.dumps(message))
    return client


def tick(channel, n, **more):
    return {'channel': channel, 'type': 'tick', 'payload': {'n': n}, **more}


# Who hears it

@pytest.mark.parametrize('dialect', ['choir', 'netra', 'netra-spec', 'reviewpoint'])
def test_every_contract_hears_it(daemon, api, user, fresh, dialect):
    room = f'news:{fresh(dialect)}'
    client = subscribe(daemon, user, [room], dialect)
    answer = api.ask('publish', tick(room, 1))
    assert answer['offset'] == 1 and answer['recipients'] == 1
    assert client.wait_type('tick')[client.dialect.payload_key]['n'] == 1
    client.close()


def test_a_connection_and_the_api_count_alike(daemon, api, user, fresh):
    room = f'chat:{fresh("room")}'
    client = subscribe(daemon, user, [room])
    first = api.ask('publishToChannel', {'type': 'note', 'payload': {'content': 'One'}}, {'channel': room})
    client.send({'type': 'publish', 'payload': {'channel': room, 'type': 'note', 'payload': {'content': 'Two'}}})
    said = client.wait_type('publish.ok')['payload']
    assert (said['epoch'], said['offset']) == (first['epoch'], 2)
    history = api.ask('getHistory', path={'channel': room})
    assert [message['payload']['content'] for message in history['messages']] == ['One', 'Two']
    client.send({'type': 'history', 'payload': {'channel': room}})
    assert client.wait_type('history.result')['payload']['messages'] == history['messages']
    client.close()


@pytest.mark.parametrize('namespace', ['news', 'chat'])
def test_the_publisher_may_be_left_out(daemon, api, user, fresh, namespace):
    room = f'{namespace}:{fresh("room")}'
    ann, bob = (subscribe(daemon, fresh(user), [room]) for _ in range(2))
    session = api.ask('listConnections', query={'channel': room})['connections'][0]
    answer = api.ask('publish', tick(room, 1, except_session=session['session_id']))
    assert answer['recipients'] == 1
    assert api.ask('publish', tick(room, 2))['recipients'] == 2
    heard = sorted([client.wait_type('tick')['payload']['n'] for client in (ann, bob)])
    assert heard == [1, 2]
    ann.close()
    bob.close()


# What is kept

def test_what_is_answered_survives(start):
    daemon = start({'store.backend': 'sqlite'})
    batch = [tick('chat:kept', n, idempotency_key=f'k{n}') for n in range(500)]
    answer = Api(daemon).ask('publish', batch)
    assert answer['failed'] == 0 and [result['offset'] for result in answer['results']] == list(range(1, 501))
    daemon.kill()
    daemon.start()
    api = Api(daemon)
    history = api.ask('getHistory', path={'channel': 'chat:kept'}, query={'limit': 1000})
    assert history['epoch'] == answer['results'][0]['epoch'] and history['offset'] == 500
    kept = history['messages']
    assert [message['payload']['n'] for message in kept] == list(range(500))[-len(kept):]
    # and what comes again is known still
    again = api.ask('publish', [batch[-1], tick('chat:kept', 500, idempotency_key='k500')])['results']
    assert again[0]['duplicate'] and again[0]['offset'] == 500
    assert again[1]['offset'] == 501 and 'duplicate' not in again[1]


def test_pages_of_history_meet(daemon, api, fresh):
    room = f'chat:{fresh("room")}'
    api.ask('publish', [tick(room, n) for n in range(95)])
    forwards, since = [], 0
    while True:
        page = api.ask('getHistory', path={'channel': room}, query={'since': since, 'limit': 30})
        forwards += [message['payload']['n'] for message in page['messages']]
        if page['complete']:
            break
        since = page['messages'][-1]['offset']
    assert forwards == list(range(95))
    backwards, query = [], {}
    while True:
        page = api.ask('getHistory', path={'channel': room}, query={'reverse': 'true', 'limit': 30, **query})
        backwards += [message['payload']['n'] for message in page['messages']]
        if page['complete']:
            break
        query = {'since': page['messages'][-1]['offset']}
    assert backwards == forwards[::-1]


def test_what_is_being_streamed(daemon, api, user, fresh):
    """Its text so far is there, with an entity tag of its own, until it is a message."""
    room = f'chat:{fresh("room")}'
    client = subscribe(daemon, user, [room])
    client.send({'type': 'chat.chunk', 'payload': {'channel': room, 'message_id': 'm', 'content': 'One'}})
    client.wait_type('chat.chunk')
    tags = []
    for text in ('One', 'One two'):
        answer = api.call('getHistory', path={'channel': room}, headers=[('If-None-Match', ', '.join(tags))] if tags else [])
        page = answer.json()
        assert page['offset'] == 0 and page['messages'] == []
        assert [(stream['message_id'], stream['content'], stream['user_id']) for stream in page['streams']] == [('m', text, user)]
        tags.append(answer.get('etag'))
        client.send({'type': 'chat.chunk', 'payload': {'channel': room, 'message_id': 'm', 'content': ' two'}})
        client.wait_type('chat.chunk')
    client.send({'type': 'chat.chunk', 'payload': {'channel': room, 'message_id': 'm', 'content': '', 'complete': True}})
    client.wait_type('publish.ok')
    page = api.ask('getHistory', path={'channel': room})
    assert 'streams' not in page and page['messages'][0]['payload']['content'] == 'One two two'
    client.close()


# Twice, and at once

@pytest.mark.parametrize('namespace', ['news', 'chat'])
def test_the_same_key_at_once(daemon, api, user, fresh, namespace):
    room = f'{namespace}:{fresh("room")}'
    client = subscribe(daemon, user, [room])
    answers = []

    def publish():
        answers.append(api.ask('publish', tick(room, 1), headers=[('Idempotency-Key', 'same')]))

    threads = [threading.Thread(target=publish) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert len(answers) == 8 and {answer['offset'] for answer in answers} == {1}
    assert sum('duplicate' not in answer for answer in answers) == 1
    assert api.ask('publish', tick(room, 2))['offset'] == 2
    assert [client.wait_type('tick')['payload']['n'] for _ in range(2)] == [1, 2]
    client.close()


def test_many_publishers(daemon, api, user, fresh):
    """Eight at a time, each in bulk and each in order: gapless together."""
    rooms = [f'news:{fresh("room")}', f'chat:{fresh("room")}']
    client = subscribe(daemon, user, rooms)
    failures = []

    def publish(who):
        for first in range(0, 100, 25):
            items = [tick(room, [who, n]) for n in range(first, first + 25) for room in rooms]
            failures.append(api.ask('publish', items)['failed'])

    threads = [threading.Thread(target=publish, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    heard = {room: [] for room in rooms}
    for _ in range(8 * 100 * 2):
        message = client.wait_type('tick')
        heard[message['channel']].append(message)
    for thread in threads:
        thread.join(DEADLINE)
    assert failures == [0] * 32
    for messages in heard.values():
        assert [message['offset'] for message in messages] == list(range(1, 801))
        for who in range(8):
            assert [n for publisher, n in (message['payload']['n'] for message in messages) if publisher == who] == list(range(100))
    client.close()


# Users

def test_what_a_user_may(daemon, api, user, fresh):
    room, closed = f'chat:{fresh("room")}', f'news:{fresh("room")}'
    own = Api(daemon, daemon.mint(user, ()))
    client = subscribe(daemon, fresh(user), [room])
    content = {'content': '<script>x</script>', 'user_id': 'somebody'}
    own.ask('publishToChannel', {'type': 'chat.message', 'payload': content}, {'channel': room})
    heard = client.wait_type('chat.message')['payload']
    assert heard['user_id'] == user and '<' not in heard['content'] and heard['role'] == 'user'
    assert own.ask('getHistory', path={'channel': room})['offset'] == 1
    assert own.ask('getPresence', path={'channel': room})['count'] == 1
    assert own.ask('getChannel', path={'channel': room})['subscribers'] == 1
    own.refuse('publishToChannel', 403, 'PERMISSION_DENIED', {'type': 'x'}, path={'channel': closed})
    own.refuse('getHistory', 403, 'PERMISSION_DENIED', path={'channel': closed})
    own.refuse('publishToChannel', 403, 'PERMISSION_DENIED', {'type': 'system.x'}, path={'channel': room})
    own.refuse('publish', 403, 'PERMISSION_DENIED', tick(room, 1))
    expired = Api(daemon, daemon.mint(user, (), ttl=-3600))
    expired.refuse('publishToChannel', 401, 'AUTH_ERROR', {'type': 'x'}, path={'channel': room})
    client.close()


def test_a_user_is_no_faster_than_on_a_connection(start):
    daemon = start({'dialect choir.rate': '5/60s'})
    own, back_end = Api(daemon, daemon.mint('ann', ())), Api(daemon)
    room = {'channel': 'chat:1'}
    for _ in range(5):
        own.call('publishToChannel', {'type': 'x'}, room)
    own.refuse('publishToChannel', 429, 'RATE_LIMIT_EXCEEDED', {'type': 'x'}, path=room, is_wrong=False)
    for _ in range(6):
        back_end.call('publishToChannel', {'type': 'x'}, room)


def test_rate_of_a_back_end(start):
    daemon = start({'rate.api': '3/60s'})
    api = Api(daemon)
    for _ in range(3):
        api.call('publish', tick('news:1', 1))
    refused = api.call('publish', tick('news:1', 1), expect=429)
    assert int(refused.get('retry-after')) > 0
    # another one is another one
    Api(daemon, daemon.mint('other', (), roles=['service'])).call('publish', tick('news:1', 1))


# What makes no sense

VALUES = [None, True, 0, -1, 1e300, '', ' ', 'x' * 300, '\u0000', '\ud83d\ude00', 'a:b', [], [1], {}, {'a': {'b': [1]}}, {'type': 'x'}]


def test_anything_at_all(daemon, api):
    """Members of every kind and value, drawn from a seed: each is taken or refused as the document says, and none is a fault."""
    choose = random.Random(20260108)
    members = ['channel', 'type', 'payload', 'idempotency_key', 'except_session', 'surprise']
    good = {'channel': 'news:any', 'type': 'tick'}
    counts = {}
    for _ in range(300):
        item = {**(good if choose.random() < 0.7 else {}), **{name: choose.choice(VALUES) for name in members if choose.random() < 0.2}}
        body = item if choose.random() < 0.7 else [item, tick('news:any', 1), choose.choice(VALUES)]
        response = http_get(daemon.address, '/api/v1/publish',
                            [('Authorization', f'Bearer {api.token}'), ('Content-Type', 'application/json')], 'POST',
                            json.dumps(body).encode('utf-8', 'surrogatepass'))
        counts[response.status] = counts.get(response.status, 0) + 1
        assert response.status in (200, 400), (body, response)
        if response.status == 200 and isinstance(body, list):
            # the good one among them is published whatever stands beside it
            assert 'offset' in response.json()['results'][1], (body, response)
    assert counts[200] > 50 and counts[400] > 50


@pytest.mark.parametrize('body,status,code', [
    (b'{"channel":"news:1","type":"x","payload":' + b'{"a":' * 5000 + b'1' + b'}' * 5000 + b'}', 400, 'INVALID_JSON'),
    (b'[' * 100000, 400, 'INVALID_JSON'),
    (b'[' + b'{"channel":"all","type":"x"},' * 1000 + b'{}]', 400, 'INVALID_MESSAGE'),
    (b'[]', 400, 'INVALID_MESSAGE'), (b'7', 400, 'INVALID_MESSAGE'), (b'"x"', 400, 'INVALID_MESSAGE'),
    (b'{"channel":"news:1","type":"x"} {}', 400, 'INVALID_JSON'), (b'{"channel":"news:1","channel":"all","type":"x"}', 400, 'INVALID_JSON'),
    (b'\xff\xfe{}', 400, 'INVALID_JSON'), (b'{"channel":"news:\xc3\x28","type":"x"}', 400, 'INVALID_JSON'),
    (b'\xef\xbb\xbf{"channel":"news:1","type":"x"}', 400, 'INVALID_JSON'), (b'{"type":NaN}', 400, 'INVALID_JSON'),
    (b'[' + b' ' * (4 << 20) + b']', 413, 'MESSAGE_TOO_LARGE'),
])
def test_hostile_bodies(daemon, api, body, status, code):
    response = http_get(daemon.address, '/api/v1/publish',
                        [('Authorization', f'Bearer {api.token}'), ('Content-Type', 'application/json')], 'POST', body)
    assert response.assert_problem(status)['code'] == code
    api.call('publish', tick('news:1', 1))


@pytest.mark.parametrize('fields,status', [
    (['Idempotency-Key: a', 'Idempotency-Key: b'], 400), (['Idempotency-Key:'], 400), (['Idempotency-Key: ' + 'k' * 129], 400),
    (['Idempotency-Key: \u00e4'], 400), (['Content-Encoding: gzip'], 415), (['Accept: text/html'], 406),
    (['Content-Type: text/plain'], 415), (['Content-Type: application/json; charset=latin-1'], 415),
    (['X-HTTP-Method-Override: DELETE'], 200), (['Expect: 100-continue'], 200),
])
def test_headers(daemon, api, fields, status):
    body = json.dumps(tick('news:1', 1)).encode()
    if not any(field.startswith('Content-Type') for field in fields):
        fields = [*fields, 'Content-Type: application/json']
    lines = ['POST /api/v1/publish HTTP/1.1', 'Host: localhost', f'Authorization: Bearer {api.token}', *fields,
             f'Content-Length: {len(body)}', '', '']
    response = http_request(daemon.address, '\r\n'.join(lines).encode() + body)
    if response.status == 100:
        return
    assert response.status == status, response


def test_a_length_that_is_only_claimed(daemon, api):
    """Refused before anything of it has come."""
    lines = ['POST /api/v1/publish HTTP/1.1', 'Host: localhost', f'Authorization: Bearer {api.token}',
             'Content-Type: application/json', 'Content-Length: 999999999999', '', '']
    http_request(daemon.address, '\r\n'.join(lines).encode()).assert_problem(413)
