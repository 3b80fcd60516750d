# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Contract B, `netra-spec`, step by step."""

import json
import time
import uuid

import pytest

from choir_test import DIALECTS, Close, RawWs, http_get
from choir_test.openapi import Api
from document_client import figure, wait_until
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


# Connection: opening

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


# Auth: before the upgrade, 401

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
    client = join(daemon, 'netra-spec', daemon.mint(ttl=3))
    assert client.wait_type('auth.expiring')['payload']['expires_at']
    assert client.ws.recv_close() == (4003, 'Token expired')


def test_refresh(start):
    daemon = start({'auth.leeway': '0s'})
    client, other = join(daemon, 'netra-spec', daemon.mint(ttl=3)), join(daemon, 'netra-spec', daemon.mint('bob', ttl=3))
    client.wait_type('auth.expiring')
    client.send({'type': 'auth', 'correlation_id': 'r', 'payload': {'token': daemon.mint(ttl=600)}})
    assert client.wait_type('auth.ok')['correlation_id'] == 'r'
    assert other.ws.recv_close(skip_data=True).code == 4003
    client.check_alive()


# Security: origins, before the upgrade, 403

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


# Connection: discovery

def test_config_shape(daemon):
    response = discover(daemon)
    assert response.status == 200 and response.get('content-type') == 'application/json'
    config = response.json()['websocket_config']
    assert config['version'] == '1.0'
    # the contract's own keys; ours stand beside them
    for name, wanted in {
        'features': {'json_first': True, 'auth_required': True, 'heartbeat_supported': True, 'reconnection_supported': True},
        'endpoints': {'websocket': '/ws'},
        'connection_limits': {'max_connections_per_user': 5, 'max_message_rate': 60, 'heartbeat_interval': 30000},
    }.items():
        assert {key: config[name][key] for key in wanted} == wanted


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


# Integration: the environment, over the file

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


# Security: CORS

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


# Messaging

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
    client.send({'type': 'task.cancel', 'payload': {}})
    assert client.wait_type('agent_completed')['payload']['task_id'] == answer['payload']['task_id']


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


# Security: limits

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


# Resilience

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


def test_whoever_comes_back_as_the_same_user_names_nothing_and_loses_nothing(start):
    daemon = start()
    token = daemon.mint('ann')
    client = join(daemon, 'netra-spec', token, authenticate=False)
    assert client.recv()['payload']['resumed'] is False
    ask(client, 'subscribe', {'channels': ['chat:1']})
    client.ws.abort()
    wait_until(lambda: figure(daemon, 'choir_waiting_sessions') == 1, 'waiting')
    writer = join(daemon, 'netra-spec', daemon.mint('bob'))
    for i in range(20):
        assert ask(writer, 'user_message', {'channel': 'chat:1', 'content': f'{i}'})['type'] == 'publish.ok'
    back = join(daemon, 'netra-spec', token, authenticate=False)
    assert SPEC.envelope(back.recv())['payload']['resumed'] is True
    ask(writer, 'user_message', {'channel': 'chat:1', 'content': 'live'})
    heard = [SPEC.envelope(back.wait_type('user_message'))['payload']['content'] for _ in range(21)]
    assert heard == [*(f'{i}' for i in range(20)), 'live']
    # measured, as the contract wants
    assert figure(daemon, 'choir_resumes_total{outcome="resumed"}') == 1
    assert figure(daemon, 'choir_reconnects_total') == 1
    assert figure(daemon, 'choir_reconnection_seconds_count') == 1


def test_a_request_goes_on_while_its_user_is_away(daemon, user, hire):
    token, worker = daemon.mint(user), hire(daemon, 'agent')
    client = join(daemon, 'netra-spec', token)
    ask(client, 'agent_request', {'prompt': 'think'}, correlation_id='a1')
    task = worker.take()
    worker.say('started', task)
    worker.say('chunk', task, content='It ')
    client.wait_type('partial_result')
    client.ws.close()
    worker.say('chunk', task, content='is ')
    # what was said before has been handled when this is answered
    worker.client.check_alive()
    back = join(daemon, 'netra-spec', token)
    worker.say('chunk', task, content='42')
    worker.settle('completed', task, result=42)
    done = SPEC.envelope(back.wait_type('agent_completed'))
    assert done['payload']['result'] == 42 and done['correlation_id'] == 'a1'
    pieces = [message['payload']['content'] for message in back.seen if message['type'] == 'partial_result']
    assert ''.join(pieces) == 'It is 42', pieces


def test_messages_outlive_the_service(start, tmp_path):
    settings = {'store.backend': 'sqlite', 'store.path': str(tmp_path / 'choir.db')}
    daemon = start(settings)
    writer = join(daemon, 'netra-spec')
    for i in range(5):
        said = ask(writer, 'user_message', {'channel': 'chat:kept', 'content': f'{i}'})
    daemon.kill()
    daemon.start()
    back = join(daemon, 'netra-spec')
    position = {'channel': 'chat:kept', 'epoch': said['payload']['epoch'], 'offset': 2}
    state = ask(back, 'subscribe', {'channels': [position]})['payload']['channels'][0]
    assert state['recovered'] is True
    assert [(message['type'], message['payload']['content']) for message in state['messages']] == [
        ('user_message', f'{i}') for i in range(2, 5)]
    back.send({'type': 'user_message', 'payload': {'channel': 'chat:kept', 'content': 'on'}})
    assert back.wait_type('user_message')['payload']['content'] == 'on'


def test_a_request_outlives_the_service(start, tmp_path, hire):
    settings = {'store.backend': 'sqlite', 'store.path': str(tmp_path / 'choir.db')}
    daemon = start(settings)
    asked = ask(join(daemon, 'netra-spec'), 'agent_request', {'prompt': 'think'}, correlation_id='a1')
    daemon.kill()
    daemon.start()
    back, worker = join(daemon, 'netra-spec'), hire(daemon, 'agent')
    task = worker.take()
    assert task['task_id'] == asked['payload']['task_id'] and task['payload'] == {'prompt': 'think'}
    worker.settle('completed', task, result='kept')
    done = back.wait_type('agent_completed')
    assert done['payload']['result'] == 'kept' and done['correlation_id'] == 'a1'


# Integration

def test_a_request_is_answered_piece_by_piece(daemon, user, hire):
    """agent_request, agent_started, agent_thinking, tool_executing, partial_result and agent_completed."""
    client, worker = join(daemon, 'netra-spec', daemon.mint(user)), hire(daemon, 'agent')
    ask(client, 'agent_request', {'prompt': 'Where to?'}, correlation_id='a1')
    task = worker.take()
    assert task['payload'] == {'prompt': 'Where to?'} and task['user_id'] == user
    worker.say('started', task, agent='guide')
    worker.say('thinking', task, step='looking at the map')
    worker.say('tool', task, tool='search')
    for content in ('To ', 'Oslo', '.'):
        worker.say('chunk', task, content=content)
    worker.settle('completed', task, result='To Oslo.')
    heard = [SPEC.envelope(client.recv()) for _ in range(7)]
    assert [message['type'] for message in heard] == [
        'agent_started', 'agent_thinking', 'tool_executing', *['partial_result'] * 3, 'agent_completed']
    assert {message['correlation_id'] for message in heard} == {'a1'}
    assert heard[1]['payload']['step'] == 'looking at the map' and heard[2]['payload']['tool'] == 'search'
    assert [message['payload']['content'] for message in heard[3:6]] == ['To ', 'Oslo', '.']
    assert heard[6]['payload']['result'] == 'To Oslo.'


def test_a_request_that_fails_says_what_may_help(daemon, user, hire):
    client, worker = join(daemon, 'netra-spec', daemon.mint(user)), hire(daemon, 'agent')
    ask(client, 'agent_request', {'prompt': 'x'}, correlation_id='a1')
    worker.settle('failed', worker.take(), message='Too tired')
    error = client.wait_type('error', 'agent_completed')
    assert SPEC.error(error, 'PROCESSING_ERROR', 'Too tired')['help']
    assert error['correlation_id'] == 'a1'
    client.check_alive()


def test_what_is_streamed_in_a_room_comes_as_partial_results(daemon, fresh):
    room = fresh('chat:')
    client = join(daemon, 'netra-spec', daemon.mint(fresh('u')))
    ask(client, 'subscribe', {'channels': [room]})
    assistant = join(daemon, token=daemon.mint(fresh('assistant'), roles=['worker']))
    for content, complete in (('It is ', False), ('raining', True)):
        assistant.send({'type': 'chat.chunk', 'payload': {'channel': room, 'message_id': 'm', 'content': content,
                                                          'role': 'assistant', 'complete': complete}})
    pieces = [SPEC.envelope(client.recv()) for _ in range(2)]
    assert [message['type'] for message in pieces] == ['partial_result'] * 2
    assert ''.join(piece['payload']['content'] for piece in pieces) == 'It is raining'
    assert [piece['payload']['complete'] for piece in pieces] == [False, True]
    # and not once more as a whole
    assert ask(client, 'ping')['type'] == 'pong'


def test_batches(daemon, user):
    target = f'/ws?dialect=netra-spec&batch=1&token={daemon.mint(user)}'
    client = join(daemon, 'netra-spec', target=target, authenticate=False)
    assert client.recv()['type'] == 'connection_established'
    client.send([{'type': 'ping', 'payload': {}, 'correlation_id': f'{i}'} for i in range(10)])
    answers, n_arrays = [], 0
    while len(answers) < 10:
        value = json.loads(client.ws.recv_text())
        n_arrays += isinstance(value, list)
        answers += value if isinstance(value, list) else [value]
    assert n_arrays and [SPEC.envelope(answer)['correlation_id'] for answer in answers] == [f'{i}' for i in range(10)]


def test_compression(daemon, fresh):
    room = fresh('chat:')
    ws = RawWs.open(daemon.address, url(daemon.mint(fresh('u'))), extensions='permessage-deflate')
    assert ws.extension is not None and ws.recv_json()['type'] == 'connection_established'
    ws.send_json({'type': 'subscribe', 'payload': {'channels': [room]}})
    ws.recv_json()
    ws.send_json({'type': 'user_message', 'payload': {'channel': room, 'content': 'a' * 4000}})
    heard = {}
    while 'user_message' not in heard:
        message = ws.recv_json()
        heard[message['type']] = message
    assert heard['user_message']['payload']['content'] == 'a' * 4000 and ws.was_compressed


def test_metrics_of_the_contract(start):
    """What it lists, with the right values."""
    daemon = start(config='[dialect netra-spec]\nrate=5/60s\nburst-queue=0\n')
    ann, bob, *_ = [join(daemon, 'netra-spec', daemon.mint(sub)) for sub in ('ann', 'bob', 'ann')]
    for _ in range(4):
        assert ask(ann, 'ping')['type'] == 'pong'
    SPEC.error(ask(ann, 'wat'), 'INVALID_MESSAGE_TYPE')
    SPEC.error(ask(ann, 'ping'), 'RATE_LIMIT_EXCEEDED')
    knock(daemon, url('x')).assert_problem(401)
    discover(daemon)
    bob.ws.close()
    join(daemon, 'netra-spec', daemon.mint('bob'))
    wanted = {
        'websocket_active_connections': 3,
        'choir_users': 2,
        'websocket_connection_duration_seconds_count': 1,
        'choir_reconnects_total': 1,
        'choir_reconnection_seconds_count': 1,
        'websocket_messages_total{type="ping",direction="in"}': 4,
        'websocket_messages_total{type="pong",direction="out"}': 4,
        'websocket_message_latency_seconds_count{type="ping"}': 4,
        'websocket_errors_total{code="INVALID_MESSAGE_TYPE"}': 1,
        'choir_rate_limited_total': 1,
        'websocket_connections_total{status="accepted"}': 4,
        'websocket_connections_total{status="rejected"}': 1,
        'choir_discovery_seconds_count': 1,
    }
    assert {name: figure(daemon, name) for name in wanted} == wanted
    assert [Api(daemon).ask('getUser', path={'user_id': sub})['count'] for sub in ('ann', 'bob')] == [2, 1]


# Messaging: form

def test_closes_are_what_they_say(daemon, user):
    client = join(daemon, 'netra-spec', daemon.mint(user))
    client.ws.send_frame(2, b'{"type":"ping"}')
    assert client.ws.recv_close() == Close(1003, 'Text messages only')


def test_every_message_is_json(daemon, user):
    client = join(daemon, 'netra-spec', daemon.mint(user))
    client.send({'type': 'ping', 'payload': {}})
    assert isinstance(json.loads(client.ws.recv_text()), dict)
