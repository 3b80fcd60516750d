# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Event streams and what their clients say by POST: docs/protocol.md "Where a WebSocket can't pass"."""

import http.client
import json
import signal
import ssl
import subprocess

import pytest

from balancer import make_certificate
from choir_test import (
    DEADLINE, DIALECTS, Deadline, EventStream, emulate, http_get, http_request, open_socket, scaled, sse_target,
)
from choir_test.raw_http import Reader, send_all
from library_client import join
from nginx import Nginx

SETTINGS = {'origin.allowed': 'http://localhost:3000', 'origin.environment': 'production',
            'origin.allowed-production': 'http://localhost:3000'}
CONTRACTS = ['choir', 'netra', 'netra-spec', 'jddb', 'reviewpoint', 'tripsage']


class Listener(EventStream):
    """A stream of a user of its own, and the user's token."""

    def __init__(self, daemon, user, headers=(), path='/sse', permissions=('*:*:*',), last_id=None, wrap=None, address=None,
                 in_query=True, **parameters):
        self.token = daemon.mint(user, permissions)
        headers = list(headers) if in_query else [*headers, ('Authorization', f'Bearer {self.token}')]
        super().__init__(daemon, sse_target(self.token if in_query else None, path, **parameters), headers, last_id, wrap, address)

    def say(self, value, token=None, expect=202, **options):
        return super().say(value, token or self.token, expect, **options)


def note(channel, content):
    return {'type': 'publish', 'payload': {'channel': channel, 'type': 'note', 'payload': {'content': content}}}


def ask(client, message, type_):
    client.send(message)
    return client.wait_type(type_)


# The stream

def test_the_answer(daemon, user):
    stream = Listener(daemon, user, [('Origin', 'http://localhost:3000')])
    response = stream.response
    assert response.status == 200 and response.version == 'HTTP/1.1'
    assert response.get('content-type') == 'text/event-stream'
    assert response.get('cache-control') == 'no-store' and response.get('x-accel-buffering') == 'no'
    assert response.get('access-control-allow-origin') == 'http://localhost:3000'
    assert response.get('access-control-allow-credentials') == 'true'
    assert response.get('x-content-type-options') == 'nosniff'
    assert response.get('content-length') is None and response.get('transfer-encoding') is None
    assert stream.retry == 1000 and stream.resumed is False
    first = stream.next()
    greeting = first.json()
    assert greeting['type'] == 'connection.established' and greeting['payload']['session_id'] == stream.session_id
    assert first.id == f'{stream.session_id}.1'


def test_a_token_in_the_header(daemon, user):
    stream = Listener(daemon, user, in_query=False)
    assert stream.message()['payload']['user_id'] == user


def test_ids_count(daemon, user):
    stream = Listener(daemon, user)
    numbers = [int(stream.next().id.partition('.')[2])]
    for _ in range(5):
        stream.say([{'type': 'ping'}, {'type': 'ping'}])
        numbers += [int(stream.next().id.partition('.')[2]) for _ in range(2)]
    assert numbers == list(range(1, 12))


def test_messages_both_ways(daemon, user, fresh):
    channel = fresh('chat:')
    stream = Listener(daemon, user, channels=channel)
    confirmed = stream.wait('subscription.confirmed')
    assert [joined['channel'] for joined in confirmed['payload']['channels']] == [channel]
    other = join(daemon, token=daemon.mint(fresh('user')))
    ask(other, {'type': 'subscribe', 'payload': {'channels': [channel]}}, 'subscription.confirmed')
    other.send(note(channel, 'über den Socket'))
    assert stream.wait('note')['payload']['content'] == 'über den Socket'
    assert other.wait_type('note')['payload']['content'] == 'über den Socket'
    stream.say({'id': 'q1', **note(channel, 'über POST')})
    assert other.wait_type('note')['payload']['content'] == 'über POST'
    assert stream.wait('publish.ok')['correlation_id'] == 'q1'


def test_a_channel_that_may_not_be_read(daemon, user, fresh):
    stream = Listener(daemon, user, permissions=('note:*:write',), channels=f'note:1,{fresh("chat:")}')
    confirmed = stream.wait('subscription.confirmed')['payload']
    assert [refused['code'] for refused in confirmed['rejected']] == ['PERMISSION_DENIED']
    assert len(confirmed['channels']) == 1


def test_white_space_in_a_payload(daemon, user, fresh):
    """What one publishes with line ends in it is one event for another."""
    channel = fresh('chat:')
    stream = Listener(daemon, user, channels=channel)
    stream.wait('subscription.confirmed')
    stream.say('{"type": "publish",\r\n "payload": {"channel": "%s",\n\n "type": "note",\r "payload": {\n"a":\n1}}}' % channel)
    assert stream.wait('note')['payload']['a'] == 1


@pytest.mark.parametrize('name', CONTRACTS)
def test_every_dialect(daemon, user, name):
    dialect = DIALECTS[name]
    stream = Listener(daemon, user, dialect=name)
    question, answer = dialect.ping
    assert dialect.envelope(stream.ask(question, answer))
    # a contract without a greeting says at least this
    assert stream.session_id
    if name != 'choir':
        return
    stream.say({'type': 'nonsense'}, expect=202)
    dialect.error(stream.wait('error'), 'INVALID_MESSAGE_TYPE')


def test_documents(daemon, fresh):
    """Contract C where only polling gets through."""
    name = fresh('doc')
    permissions = ('document:*:read', 'document:*:write')
    one = Listener(daemon, fresh('user'), path=f'/sse/document/{name}', permissions=permissions)
    assert one.wait('document.open')['payload']['content'] == ''
    two = Listener(daemon, fresh('user'), permissions=permissions, dialect='jddb')
    two.say({'type': 'document.open', 'payload': {'documentId': name}})
    two.wait('document.open')
    # 64 KiB and more go in fragments
    text = 'Zwei Bären 🐻🐻\n' * 10000
    for begin in range(0, len(text), 60000):
        one.say({'type': 'document.change', 'payload': {'documentId': name, 'operation': 'insert', 'position': begin,
                                                        'content': text[begin:begin + 60000]}})
        two.wait('document.change')
    two.say({'type': 'sync.request', 'payload': {'documentId': name}})
    assert two.wait('sync.response')['payload']['content'] == text
    late = Listener(daemon, fresh('user'), path=f'/sse/document/{name}', permissions=permissions)
    assert late.wait('document.open')['payload']['content'] == text
    late.say({'type': 'ping'})
    late.wait('pong')


def test_documents_need_permission(daemon, user):
    stream = Listener(daemon, user, path='/sse/document/secret', permissions=('chat:*:read',))
    assert stream.body().assert_problem(403)


def test_end_points(daemon, fresh):
    chat = fresh('')
    stream = Listener(daemon, fresh('user'), path=f'/sse/chat/{chat}')
    other = join(daemon, token=daemon.mint(fresh('user')))
    stream.ask({'type': 'ping', 'payload': {}}, 'pong')
    ask(other, note(f'chat:{chat}', 'hello'), 'publish.ok')
    assert stream.wait('note')['payload']['content'] == 'hello'
    token = daemon.mint(fresh('user'))
    # and contract D's token in the path
    assert EventStream(daemon, f'/sse/{token}').wait('connection.established')['data']['user_id']


def test_keep_alive(start, user):
    """Contract A has no heartbeat message: comments keep proxies from thinking that the stream has died."""
    daemon = start({'protocol.heartbeat-interval': '200ms'})
    stream = Listener(daemon, user, dialect='netra')
    deadline = Deadline(DEADLINE)
    while stream.n_comments < 3:
        block = stream.reader.until(b'\n\n', deadline)
        assert block is not None
        stream._dispatch(block.decode())


def test_http_1_0(daemon, user):
    sock = open_socket(daemon.address)
    send_all(sock, f'GET /sse?token={daemon.mint(user)} HTTP/1.0\r\nHost: localhost\r\n\r\n'.encode())
    reader = Reader(sock)
    assert b' 200 ' in reader.until(b'\r\n\r\n', Deadline(DEADLINE))
    assert b'event: session' in reader.until(b'\n\n', Deadline(DEADLINE))
    sock.close()


def test_what_stands_behind_the_request_is_not_heard(daemon, user):
    stream = Listener(daemon, user)
    send_all(stream.sock, b'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n{"type":"ping"}')
    assert stream.message()['type'] == 'connection.established'
    assert stream.ask({'type': 'ping'}, 'pong')
    assert not stream.passed


def test_an_upgrade_is_ignored(daemon, user):
    """An event stream is what was asked for; who wants a WebSocket sees that this is none."""
    stream = Listener(daemon, user, [('Connection', 'Upgrade'), ('Upgrade', 'websocket'), ('Sec-WebSocket-Version', '13'),
                                     ('Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ==')])
    assert stream.response.status == 200 and stream.session_id


# Refusals

@pytest.mark.parametrize('target,headers,status', [
    ('/sse', [], 401), ('/sse?token=x', [], 401), ('/sse?dialect=netra', [], 401), ('/sse?dialect=jddb&token=x', [], 401),
    ('/sse?dialect=tripsage', [], 401), ('/sse', [('Origin', 'https://evil.net')], 403), ('/sse/config', [], 404),
    ('/sse/a/b', [], 404), ('/sse/chat/a%20b', [], 404), ('/ssex', [], 404), ('/sse?dialect=choir-cbor', [], 406),
    ('/sse?channels=a%20b', [], 400), ('/sse?channels=' + ','.join(f'c{i}' for i in range(17)), [], 400),
    ('/sse?dialect=jddb&channels=a', [], 400), ('/sse/x', [], 401),
])
def test_refusals(daemon, target, headers, status):
    response = http_get(daemon.address, target, headers)
    problem = response.assert_problem(status)
    assert problem['code'] and problem['detail'] and response.get('cache-control') == 'no-store'


@pytest.mark.parametrize('method', ['HEAD', 'POST', 'PUT', 'DELETE'])
def test_other_methods(daemon, user, method):
    response = http_get(daemon.address, sse_target(daemon.mint(user)), method=method)
    assert response.status == 405 and response.tokens('allow') == ['get', 'options']


def test_limits_per_user(daemon, user):
    streams = [Listener(daemon, user, dialect='reviewpoint') for _ in range(3)]
    refused = http_get(daemon.address, sse_target(daemon.mint(user), dialect='reviewpoint'))
    refused.assert_problem(429)
    assert int(refused.get('retry-after')) > 0
    for stream in streams:
        stream.ask({'type': 'ping'}, 'pong')
    streams[0].drop()
    # who has gone counts no more, once that is known
    deadline = Deadline(DEADLINE)
    while http_get(daemon.address, f'/ws?dialect=reviewpoint&token={daemon.mint(user)}').status == 429:
        assert not deadline.passed()


def test_full(start, fresh):
    daemon = start({'server.max-connections': '2'})
    streams = [Listener(daemon, fresh('user')) for _ in range(2)]
    http_get(daemon.address, sse_target(daemon.mint('late'))).assert_problem(503)
    # closing in words is for those who read close codes
    http_get(daemon.address, sse_target(daemon.mint('late'), dialect='netra')).assert_problem(503)
    assert all(stream.session_id for stream in streams)


def test_guests(start):
    daemon = start({'auth.require-auth': 'no'})
    stream = EventStream(daemon, '/sse')
    stream.ask({'type': 'ping'}, 'pong')
    # what a guest says is not another's to say for a user
    known = Listener(daemon, 'somebody')
    emulate(daemon, known.session_id, '{"type":"ping"}', None, 403)
    emulate(daemon, known.session_id, '{"type":"ping"}', None, 403, connection_id=known.connection_id)
    # nor for another guest, whose session everybody in a channel is told of
    other = EventStream(daemon, '/sse')
    for options in ({}, {'connection_id': ''}, {'connection_id': other.connection_id}, {'connection_id': stream.session_id}):
        emulate(daemon, stream.session_id, '{"type":"ping"}', None, 403, **options)
    emulate(daemon, stream.session_id, '{"type":"ping"}', known.token, 403)
    stream.ask({'type': 'ping'}, 'pong')
    assert other.wait('connection.established')['payload']['connection_id'] == other.connection_id


# What clients say

def test_emulation(daemon, user, fresh):
    stream = Listener(daemon, user)
    for options in ({}, {'media': 'application/json'}, {'in_query': True}):
        answer = stream.say({'type': 'ping', 'payload': {'ping_id': 'p'}}, **options)
        assert answer.body == b'' and stream.wait('pong')['payload']['ping_id'] == 'p'
    other = daemon.mint(fresh('user'))
    emulate(daemon, stream.session_id, '{}', other, 403)
    emulate(daemon, stream.session_id, '{}', None, 401)
    emulate(daemon, stream.session_id, '{}', 'x', 401)
    emulate(daemon, 'no-such-session', '{}', other, 404)
    emulate(daemon, '', '{}', other, 404)
    emulate(daemon, stream.session_id, '{}', stream.token, 415, media='image/png')
    emulate(daemon, stream.session_id, '{}', stream.token, 415, headers=[('Content-Encoding', 'gzip')])
    emulate(daemon, stream.session_id, b'"\xff"', stream.token, 400)
    emulate(daemon, stream.session_id, 'x' * (64 * 1024 + 1), stream.token, 413)
    response = http_get(daemon.address, f'/emulation?session_id={stream.session_id}')
    response.assert_problem(405)
    assert response.tokens('allow') == ['post', 'options']
    # none of which the session has heard of
    assert stream.ask({'type': 'ping', 'payload': {'ping_id': 'last'}}, 'pong')['payload']['ping_id'] == 'last'
    assert not [message for message in stream.passed if message['type'] == 'error']


def test_nobody_else_speaks_for_a_websocket(daemon, user):
    client = join(daemon, token=daemon.mint(user), authenticate=False)
    session_id = client.wait_type('connection.established')['payload']['session_id']
    emulate(daemon, session_id, '{"type":"ping"}', daemon.mint(user), 409)


def test_a_session_that_is_over(start, user):
    daemon = start({'session.resume-window': '0'})
    stream = Listener(daemon, user)
    stream.drop()
    deadline = Deadline(DEADLINE)
    while http_get(daemon.address, f'/emulation?session_id={stream.session_id}',
                   [('Authorization', f'Bearer {stream.token}'), ('Content-Type', 'text/plain')], 'POST', b'[]').status != 404:
        assert not deadline.passed()


def test_preflight(daemon):
    response = http_get(daemon.address, '/emulation', [('Origin', 'http://localhost:3000'), ('Access-Control-Request-Method', 'POST'),
                                                       ('Access-Control-Request-Headers', 'authorization')], 'OPTIONS')
    assert response.status == 204 and response.get('access-control-allow-origin') == 'http://localhost:3000'
    assert 'authorization' in response.tokens('access-control-allow-headers')
    assert 'post' in response.tokens('access-control-allow-methods')
    # who makes an EventSource of their own with fetch()
    response = http_get(daemon.address, '/sse', [('Origin', 'http://localhost:3000'), ('Access-Control-Request-Method', 'GET'),
                                                 ('Access-Control-Request-Headers', 'authorization, last-event-id')], 'OPTIONS')
    assert response.status == 204 and {'authorization', 'last-event-id'} <= set(response.tokens('access-control-allow-headers'))


def test_errors_are_events(daemon, user):
    stream = Listener(daemon, user)
    for text, code in (('{', 'INVALID_JSON'), ('[]', 'INVALID_MESSAGE'), ('', 'INVALID_JSON'), ('{"type":"nonsense"}', 'INVALID_MESSAGE_TYPE')):
        stream.traffic.allow_garbage()
        stream.say(text)
        assert stream.wait('error')['payload']['code'] == code, text


def test_rates_are_events(start, user):
    daemon = start({'dialect choir.rate': '3/60s', 'dialect choir.burst-queue': '0'})
    stream = Listener(daemon, user)
    stream.say([{'type': 'ping'}] * 5)
    error = stream.wait('error')['payload']
    assert error['code'] == 'RATE_LIMIT_EXCEEDED' and error['retry_after'] > 0
    assert [message['type'] for message in stream.passed].count('pong') == 3


def test_the_order_of_one_connection(daemon, user):
    """A batch is in order, and so is what is said one answer after the other."""
    stream = Listener(daemon, user)
    stream.wait('connection.established')
    for i in range(0, 30, 3):
        stream.say([{'type': 'ping', 'payload': {'ping_id': str(i + j)}} for j in range(3)])
    assert [stream.wait('pong')['payload']['ping_id'] for _ in range(30)] == [str(i) for i in range(30)]


# The end

def test_eviction(start, user):
    daemon = start({'server.max-connections-per-user': '2'})
    first, *others = [Listener(daemon, user) for _ in range(3)]
    assert first.wait_close()['code'] == 4009
    for stream in others:
        stream.ask({'type': 'ping'}, 'pong')


def test_expiry(daemon, user):
    stream = EventStream(daemon, sse_target(daemon.mint(user, ttl=3)))
    assert stream.wait_close(scaled(60))['code'] == 4003


def test_draining(start, user):
    daemon = start({'server.drain-timeout': '2s'})
    streams = [Listener(daemon, user) for _ in range(5)]
    retries = set()
    daemon.signal(signal.SIGTERM)
    for stream in streams:
        stream.wait('system.reconnect')
        last = stream.wait_close()
        assert last['code'] in (1001, 1012)
        assert 1000 <= stream.retry <= 5000
        retries.add(stream.retry)
    assert len(retries) > 1
    assert daemon.wait_exit() == 0


def test_slow_reader(start, fresh):
    """Cut off when its queue is full, and nobody waits for it."""
    daemon = start({'protocol.max-queue-bytes': '256K', 'rate.default': '60000/1s', 'sanitize.max-string': '65536'})
    channel = fresh('chat:')
    slow = Listener(daemon, fresh('user'), channels=channel)
    quick = Listener(daemon, fresh('user'), channels=channel)
    for stream in (slow, quick):
        stream.wait('subscription.confirmed')
    speaker = join(daemon, token=daemon.mint(fresh('user')))
    sent = 0
    while b'choir_slow_consumers_total 1' not in http_get(daemon.address, '/metrics').body:
        assert sent < 2000
        for _ in range(4):
            speaker.send(note(channel, 'x' * 30000))
        for _ in range(4):
            assert quick.wait('note')
        sent += 4
    got = 0
    while (event := slow.next()) is not None and event.kind != 'close':
        got += 1
    assert event is None or event.json()['code'] == 4008
    assert 0 < got < sent
    quick.say({'type': 'ping'})
    quick.wait('pong')


def test_a_stop_does_not_wait_for_who_does_not_read(start, fresh):
    """Nor trip over it."""
    daemon = start({'server.drain-timeout': '0', 'protocol.max-queue-bytes': '256K', 'rate.default': '60000/1s',
                    'sanitize.max-string': '65536'}, expect_log=['clients have not left in time'])
    channel = fresh('chat:')
    slow = Listener(daemon, fresh('user'), channels=channel)
    slow.wait('subscription.confirmed')
    speaker = join(daemon, token=daemon.mint(fresh('user')))
    sent = 0
    while b'choir_slow_consumers_total 1' not in http_get(daemon.address, '/metrics').body:
        assert sent < 2000
        for _ in range(4):
            speaker.send(note(channel, 'x' * 30000))
        sent += 4
    # it has not taken its last words, and never will
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit(scaled(20)) == 0
    slow.drop()


# Hostile

GARBAGE = ['', ' ', '.', ';', '0', 'x' * 6000, '%00', '"', "' or 1=1", '-1', '.1', 'a.b', '..', '\u00ff' * 100,
           '00000000-0000-0000-0000-000000000000.1', '00000000-0000-0000-0000-000000000000.99999999999999999999;;;;',
           '00000000-0000-0000-0000-000000000000.1;' + 'x' * 5000, '{}', '<script>']


@pytest.mark.parametrize('where', ['header', 'query'])
def test_an_id_that_is_none(daemon, user, where):
    for garbage in GARBAGE:
        token = daemon.mint(user)
        if where == 'query':
            stream = EventStream(daemon, sse_target(token, last_event_id=garbage))
        else:
            stream = EventStream(daemon, sse_target(token), [('Last-Event-ID', garbage.encode('latin-1').decode('latin-1'))])
        assert stream.response.status == 200 and stream.resumed is False, garbage
        assert stream.message()['payload']['resumed'] is False
        stream.drop()


def test_headers_that_are_repeated(daemon, user):
    stream = Listener(daemon, user, [('Last-Event-ID', 'a'), ('Last-Event-ID', 'b'), ('Accept', 'text/html'), ('Range', 'bytes=0-')])
    assert stream.response.status == 200 and not stream.resumed
    stream.drop()
    head = f'GET {sse_target(daemon.mint(user))} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'
    http_request(daemon.address, head.encode()).assert_problem(400)
    http_request(daemon.address, f'GET /sse?{"x" * 9000} HTTP/1.1\r\nHost: a\r\n\r\n'.encode()).assert_problem(431)


def gauge(daemon, name):
    for line in http_get(daemon.address, '/metrics').body.decode().splitlines():
        if line.startswith(name + ' '):
            return float(line.rpartition(' ')[2])
    raise AssertionError(name)


def test_opened_and_dropped(start, fresh):
    """A thousand, in several ways."""
    daemon = start({'session.resume-window': '0', 'server.max-connections-per-user': '100000'})
    token = daemon.mint(fresh('user'))
    request = f'GET {sse_target(token)} HTTP/1.1\r\nHost: localhost\r\n\r\n'.encode()
    n_fds = daemon.n_fds()
    for _ in range(4):
        socks = []
        for i in range(250):
            sock = open_socket(daemon.address)
            send_all(sock, request)
            if i % 3 == 0:
                Reader(sock).until(b'\n\n', Deadline(DEADLINE))
            socks.append(sock)
        for i, sock in enumerate(socks):
            if i % 2:
                sock.setsockopt(1, 13, b'\1\0\0\0\0\0\0\0')
            sock.close()
    deadline = Deadline(scaled(60))
    while gauge(daemon, 'websocket_active_connections') > 0 or daemon.n_fds() > n_fds + 1:
        assert not deadline.passed()
        assert daemon.is_alive()
    Listener(daemon, fresh('user')).ask({'type': 'ping'}, 'pong')


# Other people's clients, TLS, proxies

def test_curl(daemon, user, fresh):
    channel = fresh('chat:')
    token = daemon.mint(user)
    curl = subprocess.Popen(
        ['curl', '-sSN', '-H', f'Authorization: Bearer {token}', f'http://127.0.0.1:{daemon.port}/sse?channels={channel}'],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        lines = iter(curl.stdout.readline, '')
        session_id = next(json.loads(line[6:])['session_id'] for line in lines if line.startswith('data: '))
        next(line for line in lines if 'subscription.confirmed' in line)
        said = subprocess.run(
            ['curl', '-sS', '-w', '%{http_code}', '-H', f'Authorization: Bearer {token}', '-H', 'Content-Type: text/plain',
             '--data-binary', json.dumps(note(channel, 'by curl')),
             f'http://127.0.0.1:{daemon.port}/emulation?session_id={session_id}'],
            check=True, capture_output=True, text=True, timeout=scaled(30))
        assert said.stdout == '202'
        assert next(json.loads(line[6:]) for line in lines if '"by curl"' in line)['type'] == 'note'
    finally:
        curl.kill()
        curl.communicate()


def test_tls(start, user, tmp_path, fresh):
    cert, key = make_certificate(tmp_path)
    daemon = start({'server.tls-certificate': str(cert), 'server.tls-key': str(key), 'sanitize.max-string': '65536'})
    context = ssl.create_default_context(cafile=str(cert))

    def wrap(sock):
        sock.setblocking(True)
        tls = context.wrap_socket(sock, server_hostname='localhost')
        tls.setblocking(False)
        return tls

    channel = fresh('chat:')
    stream = Listener(daemon, user, wrap=wrap, channels=channel)
    stream.wait('subscription.confirmed')
    speaker = join(daemon, token=daemon.mint(fresh('user')), ssl=context)
    for size in (1, 1000, 16384, 60000):
        speaker.send(note(channel, 'x' * size))
        assert len(stream.wait('note')['payload']['content']) == size
    other = http.client.HTTPSConnection(*daemon.address, context=context, timeout=DEADLINE)
    other.request('POST', f'/emulation?session_id={stream.session_id}', b'{"type":"ping"}',
                  {'Authorization': f'Bearer {stream.token}', 'Content-Type': 'text/plain'})
    assert other.getresponse().status == 202
    stream.wait('pong')
    stream.drop()


def test_behind_nginx(daemon, user, fresh):
    """With the configuration that we give to others: nothing is kept back, and who hangs up is gone."""
    channel = fresh('chat:')
    before = gauge(daemon, 'websocket_active_connections')
    with Nginx(daemon) as nginx:
        stream = Listener(daemon, user, wrap=nginx.wrap, address=nginx.address, channels=channel)
        stream.wait('subscription.confirmed')
        connection = http.client.HTTPSConnection(*nginx.address, context=nginx.context, timeout=DEADLINE)
        for i in range(10):
            connection.request('POST', f'/emulation?session_id={stream.session_id}',
                               json.dumps(note(channel, f'm{i}')),
                               {'Authorization': f'Bearer {stream.token}', 'Content-Type': 'text/plain'})
            response = connection.getresponse()
            assert response.status == 202 and response.read() == b''
            assert stream.wait('note')['payload']['content'] == f'm{i}'
        stream.drop()
        deadline = Deadline(DEADLINE)
        while gauge(daemon, 'websocket_active_connections') > before:
            assert not deadline.passed()
        assert stream.token not in nginx.log()


def test_discovery(daemon):
    endpoints = http_get(daemon.address, '/ws/config').json()['websocket_config']['endpoints']
    assert endpoints == {'websocket': '/ws', 'sse': '/sse', 'emulation': '/emulation'}
