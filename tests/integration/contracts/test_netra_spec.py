# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Contract B, `netra-spec`, step by step."""

import json
import time
import uuid

import pytest

from choir_test import DIALECTS, Close, http_get
from library_client import join, knock

SPEC = DIALECTS['netra-spec']


def url(token):
    return f'/ws?dialect=netra-spec&token={token}'


def ask(client, type_, payload=None, **more):
    client.send({'type': type_, 'payload': {} if payload is None else payload, 'timestamp': time.time(), **more})
    return client.recv()


def discover(daemon, headers=()):
    return http_get(daemon.address, '/ws/config', headers)


def limits(daemon):
    return discover(daemon).json()['websocket_config']['connection_limits']


# Opening

def test_first_message(daemon, user):
    client = join(daemon, 'netra-spec', daemon.mint(user), authenticate=False)
    first = SPEC.envelope(client.recv())
    assert first['type'] == 'connection_established'
    payload = first['payload']
    assert uuid.UUID(payload['connection_id']) and payload['user_id'] == user
    assert payload['heartbeat_interval'] == 30000 and payload['max_message_size'] == 10240


def test_envelope_has_nothing_else(daemon, user):
    client = join(daemon, 'netra-spec', daemon.mint(user))
    assert set(ask(client, 'ping')) == {'type', 'payload', 'timestamp'}
    assert set(ask(client, 'ping', correlation_id='c')) == {'type', 'payload', 'timestamp', 'correlation_id'}


# Authentication: before the upgrade, 401

@pytest.mark.parametrize('claims', [
    pytest.param({'ttl': -3600}, id='expired'),
    pytest.param({'sub': None}, id='no-subject'),
    pytest.param({'exp': None}, id='no-expiry'),
    pytest.param({'key': 'another key, of sixty-four hexadecimal digits or at least as many'}, id='foreign-key'),
])
def test_bad_tokens(daemon, claims):
    target = url(daemon.mint(**claims))
    refused = knock(daemon, target)
    problem = refused.assert_problem(401)
    assert problem['code'] == 'AUTH_ERROR'
    assert refused.get('www-authenticate') == 'Bearer error="invalid_token"'
    # what a page may read with fetch() is the same
    assert http_get(daemon.address, target).assert_problem(401) == problem


def test_missing_token(daemon):
    refused = knock(daemon, '/ws?dialect=netra-spec')
    refused.assert_problem(401)
    assert refused.get('www-authenticate') == 'Bearer'


def test_unknown_and_inactive_users(start):
    daemon = start({'auth.users': 'store', 'auth.known-users': 'ann;bob:inactive'})
    knock(daemon, url(daemon.mint('bob'))).assert_problem(401)
    knock(daemon, url(daemon.mint('eve'))).assert_problem(401)
    join(daemon, 'netra-spec', daemon.mint('ann')).check_alive()


def test_token_in_a_header(daemon, user):
    client = join(daemon, 'netra-spec', target='/ws?dialect=netra-spec',
                  headers=[('Authorization', f'Bearer {daemon.mint(user)}')], authenticate=False)
    assert client.recv()['payload']['user_id'] == user


def test_token_as_subprotocol(daemon, user):
    client = join(daemon, 'netra-spec', target='/ws',
                  subprotocols=['choir.v1.netra-spec', f'bearer.{daemon.mint(user)}'], authenticate=False)
    assert client.ws.subprotocol == 'choir.v1.netra-spec'
    assert client.recv()['payload']['user_id'] == user


def test_expiry_on_a_live_connection(start):
    daemon = start({'auth.leeway': '0s'})
    client = join(daemon, 'netra-spec', daemon.mint(ttl=2))
    assert client.wait_type('auth.expiring')['payload']['expires_at']
    assert client.ws.recv_close() == (4003, 'Token expired')


def test_refresh(start):
    daemon = start({'auth.leeway': '0s'})
    client, other = join(daemon, 'netra-spec', daemon.mint(ttl=2)), join(daemon, 'netra-spec', daemon.mint('bob', ttl=2))
    client.wait_type('auth.expiring')
    client.send({'type': 'auth', 'correlation_id': 'r', 'payload': {'token': daemon.mint(ttl=600)}})
    assert client.wait_type('auth.ok')['correlation_id'] == 'r'
    assert other.ws.recv_close(skip_data=True).code == 4003
    client.check_alive()


# Origins: before the upgrade, 403

LISTS = {
    'origin.allowed': 'http://localhost:*;http://127.0.0.1:*;https://localhost:*',
    'origin.allowed-staging': 'https://staging.example.com',
    'origin.allowed-production': 'https://app.example.com;https://*.example.org',
}
LOCAL = ['http://localhost', 'http://localhost:3000', 'http://127.0.0.1:8080', 'https://localhost:3000']
STAGING = ['https://staging.example.com']
PRODUCTION = ['https://app.example.com', 'https://shop.example.org', 'https://a-b.example.org']
NEVER = [
    'null', '', 'https://example.org', 'https://example.com.evil.net', 'https://app.example.com.evil.net',
    'https://evil-example.com', 'https://evilexample.org', 'https://evil-example.org', 'https://a.b.example.org',
    'https://.example.org', 'http://app.example.com', 'https://app.example.com:8443', 'https://app.example.com/',
    'https://app.example.com@evil.net', 'https://evil.net#.example.org', 'https://evil.net?.example.org',
    'https://evil.net/.example.org', 'https://evil.net\\.example.org', 'https://shop.example.org.', 'app.example.com',
    '//app.example.com', 'https:app.example.com', 'file://', 'https://*.example.org', 'https://localhost.evil.net:3000',
    'http://localhost.evil.net', 'http://localhost@evil.net', 'ftp://localhost:21', 'http://localhost:99999',
    'http://localhost:', 'http://[::1', 'https://app.example.com https://evil.net', 'https://app.example.com,null',
]


@pytest.mark.parametrize('environment,allowed,refused', [
    ('development', LOCAL, STAGING + PRODUCTION + NEVER),
    ('staging', LOCAL + STAGING, PRODUCTION + NEVER),
    ('production', PRODUCTION, LOCAL + STAGING + NEVER),
])
def test_origins(start, environment, allowed, refused):
    daemon = start({**LISTS, 'origin.environment': environment, 'dialect netra-spec.max-connections-per-user': '1000'})
    target = url(daemon.mint())
    wrong = [origin for origin in allowed if knock(daemon, target, [('Origin', origin)]).status != 101]
    assert not wrong, f'refused: {wrong}'
    wrong = [origin for origin in refused if knock(daemon, target, [('Origin', origin)]).status != 403]
    assert not wrong, f'not refused with 403: {wrong}'
    knock(daemon, target, [('Origin', NEVER[3])]).assert_problem(403)


def test_no_origin(start):
    assert knock(start(), url('x')).status == 401
    strict = start({'origin.allow-no-origin': 'no'})
    knock(strict, url(strict.mint())).assert_problem(403)


def test_origin_is_looked_at_before_the_token(daemon):
    knock(daemon, url('x'), [('Origin', 'https://evil.net')]).assert_problem(403)


# Discovery

def test_config_shape(daemon):
    response = discover(daemon)
    assert response.status == 200 and response.get('content-type') == 'application/json'
    config = response.json()['websocket_config']
    assert config['version'] == '1.0'
    wanted = {'json_first': True, 'auth_required': True, 'heartbeat_supported': True, 'reconnection_supported': True}
    assert {key: config['features'][key] for key in wanted} == wanted
    assert config['endpoints'] == {'websocket': '/ws'}
    wanted = {'max_connections_per_user': 5, 'max_message_rate': 60, 'heartbeat_interval': 30000}
    assert {key: config['connection_limits'][key] for key in wanted} == wanted


def test_config_is_live(start):
    daemon = start({'auth.require-auth': 'no', 'dialect netra-spec.max-connections-per-user': '7',
                    'dialect netra-spec.rate': '5/1s;120/60s', 'dialect netra-spec.heartbeat-interval': '1500ms'})
    config = discover(daemon).json()['websocket_config']
    assert config['features']['auth_required'] is False
    found = config['connection_limits']
    assert (found['max_connections_per_user'], found['max_message_rate'], found['heartbeat_interval']) == (7, 120, 1500)


def test_config_follows_a_reload(start):
    daemon = start(config='[dialect netra-spec]\nrate=10/60s\n')
    assert limits(daemon)['max_message_rate'] == 10
    daemon.write_config('[dialect netra-spec]\nrate=20/60s\n')
    seen = len(daemon.log_lines())
    daemon.signal(1)
    daemon.wait_log('configuration reloaded', start=seen)
    assert limits(daemon)['max_message_rate'] == 20


# The environment, over the file

FILE = ('[server]\nmax-connections-per-user=9\n[rate]\ndefault=99/60s\n[protocol]\nheartbeat-interval=9s\n'
        '[dialect netra-spec]\nrate=98/60s\nmax-connections-per-user=8\n'
        '[origin]\nenvironment=development\ncors=yes\n[auth]\nrequire-auth=yes\n')


def test_environment_limits(start):
    daemon = start(config=FILE, env={
        'WEBSOCKET_MAX_CONNECTIONS_PER_USER': '2', 'WEBSOCKET_MAX_MESSAGE_RATE': '33',
        'WEBSOCKET_HEARTBEAT_INTERVAL': '4500'})
    found = limits(daemon)
    assert (found['max_connections_per_user'], found['max_message_rate'], found['heartbeat_interval']) == (2, 33, 4500)
    clients = [join(daemon, 'netra-spec') for _ in range(3)]
    assert clients[0].ws.recv_close().code == 4008


def test_environment_heartbeat(start):
    client = join(start(env={'WEBSOCKET_HEARTBEAT_INTERVAL': '100'}), 'netra-spec')
    assert [SPEC.envelope(client.recv())['type'] for _ in range(3)] == ['heartbeat'] * 3


def test_environment_origins(start):
    daemon = start(config=FILE, env={'WEBSOCKET_ALLOWED_ORIGINS': 'https://a.example.com, https://*.example.net'})
    for origin, status in [('https://a.example.com', 101), ('https://b.example.net', 101), ('http://localhost:3000', 403)]:
        assert knock(daemon, url(daemon.mint()), [('Origin', origin)]).status == status, origin


def test_environment_of_deployment(start):
    daemon = start({key: value for key, value in LISTS.items()}, config=FILE, env={'ENVIRONMENT': 'production'})
    for origin, status in [('https://app.example.com', 101), ('http://localhost:3000', 403)]:
        assert knock(daemon, url(daemon.mint()), [('Origin', origin)]).status == status, origin


def test_environment_cors(start):
    daemon = start(config=FILE, env={'WEBSOCKET_ENABLE_CORS': 'false'})
    assert discover(daemon, [('Origin', 'http://localhost:3000')]).get('access-control-allow-origin') is None


def test_environment_require_auth(start):
    daemon = start(config=FILE, env={'WEBSOCKET_REQUIRE_AUTH': 'false'})
    assert discover(daemon).json()['websocket_config']['features']['auth_required'] is False
    client = join(daemon, 'netra-spec', target='/ws?dialect=netra-spec')
    client.check_alive()


@pytest.mark.parametrize('name,value', [
    ('WEBSOCKET_MAX_CONNECTIONS_PER_USER', 'many'), ('WEBSOCKET_MAX_MESSAGE_RATE', '-1'),
    ('WEBSOCKET_HEARTBEAT_INTERVAL', 'soon'), ('ENVIRONMENT', 'moon'), ('WEBSOCKET_ENABLE_CORS', 'perhaps'),
    ('WEBSOCKET_REQUIRE_AUTH', '2'), ('WEBSOCKET_ALLOWED_ORIGINS', 'https://a.example.com, everywhere'),
])
def test_bad_environment(start, name, value):
    daemon = start()
    daemon._extra_env = {name: value}
    done = daemon.run_cli('--check-config')
    assert done.returncode == 1 and f'environment {name}' in done.stderr, done


# CORS

def test_cors(daemon):
    response = discover(daemon, [('Origin', 'http://localhost:3000')])
    assert response.get('access-control-allow-origin') == 'http://localhost:3000'
    assert 'origin' in response.tokens('vary')
    preflight = http_get(daemon.address, '/ws/config', [('Origin', 'http://localhost:3000'),
                                                        ('Access-Control-Request-Method', 'GET')], method='OPTIONS')
    assert preflight.status in (200, 204)
    assert preflight.get('access-control-allow-origin') == 'http://localhost:3000'
    assert 'get' in preflight.tokens('access-control-allow-methods')


@pytest.mark.parametrize('origin', ['https://evil.net', 'null', 'http://localhost.evil.net'])
def test_cors_of_strangers(daemon, origin):
    response = discover(daemon, [('Origin', origin)])
    assert response.get('access-control-allow-origin') is None
    assert 'origin' in response.tokens('vary')


# Messages

def test_ping(daemon, user):
    client = join(daemon, 'netra-spec', daemon.mint(user))
    pong = SPEC.envelope(ask(client, 'ping', correlation_id='c7'))
    assert pong['type'] == 'pong' and pong['correlation_id'] == 'c7'


@pytest.mark.parametrize('where', ['envelope', 'payload'])
def test_user_message(daemon, fresh, where):
    room = fresh('chat:')
    client = join(daemon, 'netra-spec', daemon.mint(fresh('u')))
    assert ask(client, 'subscribe', {'channels': [room]})['type'] == 'subscription.confirmed'
    payload = {'channel': room, 'content': 'hi'}
    if where == 'payload':
        client.send({'type': 'user_message', 'payload': {**payload, 'correlation_id': 'c1'}})
    else:
        client.send({'type': 'user_message', 'correlation_id': 'c1', 'payload': payload})
    got = {message['type']: message for message in (SPEC.envelope(client.recv()) for _ in range(2))}
    assert got['publish.ok']['correlation_id'] == 'c1'
    assert got['user_message']['payload']['content'] == 'hi'


def test_a_request_is_taken_on(daemon, user):
    client = join(daemon, 'netra-spec', daemon.mint(user))
    answer = SPEC.envelope(ask(client, 'agent_request', {'prompt': 'think'}, correlation_id='a1'))
    assert answer['type'] == 'task.accepted' and answer['correlation_id'] == 'a1'
    assert answer['payload']['kind'] == 'agent' and answer['payload']['state'] == 'queued'


@pytest.mark.parametrize('text,code,contains', [
    ('{bad', 'INVALID_JSON', 'JSON'), ('{"type":"ping"', 'INVALID_JSON', 'JSON'), ('', 'INVALID_JSON', 'JSON'),
    ('{"payload":{}}', 'INVALID_MESSAGE', 'type'), ('{"type":7}', 'INVALID_MESSAGE', 'type'),
    ('{"type":""}', 'INVALID_MESSAGE', 'type'), ('{"type":"ping","payload":7}', 'INVALID_MESSAGE', 'payload'),
    ('{"type":"ping","timestamp":[]}', 'INVALID_MESSAGE', 'timestamp'),
    ('{"type":"ping","correlation_id":{}}', 'INVALID_MESSAGE', 'correlation_id'),
    ('{"type":"wat"}', 'INVALID_MESSAGE_TYPE', 'wat'),
    ('{"type":"user_message","payload":{"channel":"chat:1","content":[]}}', 'VALIDATION_ERROR', 'content'),
    ('{"type":"user_message","payload":{"channel":"chat:1"}}', 'VALIDATION_ERROR', 'content'),
    ('{"type":"user_message","payload":{"channel":5,"content":"x"}}', 'VALIDATION_ERROR', 'channel'),
])
def test_bad_messages(daemon, user, text, code, contains):
    client = join(daemon, 'netra-spec', daemon.mint(user))
    client.send_text(text)
    body = client.wait_error(code, contains)
    assert set(body) >= {'code', 'error', 'timestamp', 'recoverable', 'help'}
    client.check_alive()


def test_errors_differ(daemon, user):
    """Specific: no two mistakes are told in the same words."""
    client = join(daemon, 'netra-spec', daemon.mint(user))
    texts = ['{bad', '{"payload":{}}', '{"type":7}', '{"type":"ping","payload":7}', '{"type":"wat"}', '[1]']
    said = set()
    for text in texts:
        client.send_text(text)
        said.add(client.wait_error()['error'])
    assert len(said) == len(texts), said


# Limits

def test_the_sixth_evicts_the_oldest(daemon, user):
    token = daemon.mint(user)
    clients = [join(daemon, 'netra-spec', token) for _ in range(5)]
    for client in clients:
        client.check_alive()
    clients.append(join(daemon, 'netra-spec', token))
    assert clients[0].ws.recv_close().code == 4008
    clients.append(join(daemon, 'netra-spec', token))
    assert clients[1].ws.recv_close().code == 4008
    for client in clients[2:]:
        client.check_alive()


def test_sixty_a_minute_then_a_queue(daemon, user):
    """Per user, over all their connections; a burst waits, what the queue can't hold is refused."""
    token = daemon.mint(user)
    one, two = join(daemon, 'netra-spec', token), join(daemon, 'netra-spec', token)
    for _ in range(30):
        assert ask(one, 'ping')['type'] == 'pong'
        assert ask(two, 'ping')['type'] == 'pong'
    for i in range(32):
        one.send({'type': 'ping', 'payload': {}, 'correlation_id': str(i)})
    # those are neither answered nor refused: the next one's error comes first
    error = SPEC.error(ask(one, 'ping', correlation_id='33'), 'RATE_LIMIT_EXCEEDED')
    assert 0 < error['retry_after'] <= 60, error


def test_a_burst_is_held_not_dropped(start):
    daemon = start(config='[dialect netra-spec]\nrate=5/1s\n')
    client = join(daemon, 'netra-spec')
    began = time.monotonic()
    for i in range(20):
        client.send({'type': 'ping', 'payload': {}, 'correlation_id': str(i)})
    answers = [client.recv() for _ in range(20)]
    assert [answer['type'] for answer in answers] == ['pong'] * 20
    assert [answer['correlation_id'] for answer in answers] == [str(i) for i in range(20)]
    # five at once, fifteen in three more windows
    assert time.monotonic() - began > 2.5


def test_message_size(daemon, user):
    client = join(daemon, 'netra-spec', daemon.mint(user))
    head, tail = '{"type":"ping","payload":{"x":"', '"}}'
    client.send_text(head + 'a' * (10240 - len(head) - len(tail)) + tail)
    assert client.recv()['type'] == 'pong'
    client.send_text(head + 'a' * (10241 - len(head) - len(tail)) + tail)
    assert client.ws.recv_close().code == 1009


def test_nothing_is_lost_across_a_disconnect(daemon, fresh):
    room, user = fresh('chat:'), fresh('u')
    token = daemon.mint(user)
    client = join(daemon, 'netra-spec', token)
    confirmed = ask(client, 'subscribe', {'channels': [room]})['payload']['channels'][0]
    writer = join(daemon, 'netra-spec', daemon.mint(fresh('u')))
    ask(writer, 'user_message', {'channel': room, 'content': '0'})
    assert client.wait_type('user_message')['payload']['content'] == '0'
    client.ws.close()
    for i in range(1, 6):
        ask(writer, 'user_message', {'channel': room, 'content': str(i)})
    back = join(daemon, 'netra-spec', token)
    answer = ask(back, 'subscribe', {'channels': [{'channel': room, 'epoch': confirmed['epoch'], 'offset': 1}]})
    state = answer['payload']['channels'][0]
    assert state['recovered'] is True and state['offset'] == 6
    assert [message['payload']['content'] for message in state['messages']] == ['1', '2', '3', '4', '5']


def test_closes_are_what_they_say(daemon, user):
    client = join(daemon, 'netra-spec', daemon.mint(user))
    client.ws.send_frame(2, b'{"type":"ping"}')
    assert client.ws.recv_close() == Close(1003, 'Text messages only')


def test_every_message_is_json(daemon, user):
    client = join(daemon, 'netra-spec', daemon.mint(user))
    client.send({'type': 'ping', 'payload': {}})
    assert isinstance(json.loads(client.ws.recv_text()), dict)
