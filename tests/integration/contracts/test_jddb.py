# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Contract C, `jddb`: connecting, messages and rates. Editing together is in test_jddb_documents.py."""

import json
import time

import pytest

from choir_test import BINARY, DIALECTS, Timeout
from library_client import closed_with, join

JDDB = DIALECTS['jddb']
READ_ALL = ('document:*:read',)


def url(document, token):
    return f'/ws/document/{document}?token={token}'


def enter(daemon, sub, document='doc', permissions=READ_ALL, **claims):
    """On the document's end point, whose state comes first."""
    token = daemon.mint(sub, permissions, **claims)
    return join(daemon, 'jddb', token, url(document, token))


def ask(client, type_, payload=None, **metadata):
    client.send({'type': type_, 'payload': {} if payload is None else payload,
                 'metadata': {'timestamp': int(time.time() * 1000), **metadata}})
    return client.recv()


# Authentication: close 1008 with the reason

@pytest.mark.parametrize('target', ['/ws/document/d1', '/ws/document/d1?token='])
def test_missing(daemon, target):
    assert closed_with(daemon, target) == (1008, 'Missing authentication')


def test_expired(daemon):
    assert closed_with(daemon, url('d1', daemon.mint(ttl=-3600))) == (1008, 'Token expired')


@pytest.mark.parametrize('claims', [
    pytest.param({'sub': None}, id='no-subject'),
    pytest.param({'exp': None}, id='no-expiry'),
    pytest.param({'nbf': int(time.time()) + 3600}, id='not-yet'),
    pytest.param({'key': 'another key, of sixty-four hexadecimal digits or at least as many'}, id='foreign-key'),
    pytest.param({'algorithm': 'HS512'}, id='foreign-algorithm'),
])
def test_invalid(daemon, claims):
    assert closed_with(daemon, url('d1', daemon.mint(**claims))) == (1008, 'Invalid token')


def test_garbage(daemon):
    assert closed_with(daemon, url('d1', 'garbage')) == (1008, 'Invalid token')


@pytest.mark.parametrize('permissions', [
    (), ('document:d2:read',), ('chat:*:read',), ('document:d1',), ('document:d:read',), ('document:d11:read',),
    ('document:*',), ('Document:d1:read',), ('documents:d1:read',),
])
def test_unauthorized(daemon, user, permissions):
    assert closed_with(daemon, url('d1', daemon.mint(user, permissions))) == (1008, 'Unauthorized')


@pytest.mark.parametrize('permissions,roles', [
    (('document:d1:read',), ()), (('document:*:read',), ()), (('document:d1:write', 'document:d1:read'), ()),
    ((), ('admin',)), (('chat:*:read', 'document:d1:read'), ('user',)),
])
def test_authorized(daemon, user, permissions, roles):
    enter(daemon, user, 'd1', permissions, roles=roles)


def test_encoded_document(daemon, user):
    enter(daemon, user, 'a%2Db', ('document:a-b:read',))


def test_users_must_exist_and_be_active(start):
    daemon = start({'auth.users': 'store', 'auth.known-users': 'ann;bob:inactive'})
    assert closed_with(daemon, url('d', daemon.mint('bob', READ_ALL))) == (1008, 'Invalid token')
    assert closed_with(daemon, url('d', daemon.mint('eve', READ_ALL))) == (1008, 'Invalid token')
    enter(daemon, 'ann')


def test_expiry_on_a_live_connection(start):
    daemon = start({'auth.leeway': '0s'})
    client = enter(daemon, 'ann', exp=int(time.time()) + 3)
    assert client.ws.recv_close(skip_data=True) == (1008, 'Token expired')


def test_dialect_by_subprotocol(daemon, user):
    token = daemon.mint(user)
    client = join(daemon, 'jddb', token, f'/ws?token={token}', subprotocols=['choir.v1.jddb'], authenticate=False)
    assert ask(client, 'ping')['type'] == 'pong'


# Messages

def test_heartbeat_is_answered(daemon, user):
    beat = JDDB.envelope(ask(enter(daemon, user), 'system.heartbeat', correlationId='h1'))
    assert beat['type'] == 'system.heartbeat'
    assert beat['metadata']['correlationId'] == 'h1'
    assert beat['metadata']['userId'] == user and beat['metadata']['sessionId']
    assert set(beat) == {'type', 'payload', 'metadata'}


def test_heartbeat_comes_by_itself(start):
    daemon = start({'protocol.heartbeat-interval': '100ms'})
    client = enter(daemon, 'ann')
    assert JDDB.envelope(client.recv())['type'] == 'system.heartbeat'
    assert JDDB.envelope(client.recv())['type'] == 'system.heartbeat'


def test_ping(daemon, user):
    assert ask(enter(daemon, user), 'ping', {'pingId': 4})['payload']['pingId'] == 4


def test_binary_is_accepted(daemon, user):
    client = enter(daemon, user)
    message = {'type': 'ping', 'payload': {'pingId': 'größer'}, 'metadata': {}}
    client.ws.send_frame(BINARY, json.dumps(message, ensure_ascii=False).encode())
    assert client.recv()['payload']['pingId'] == 'größer'
    client.ws.send_frame(BINARY, b'{"type":"ping"')
    assert client.recv() == {'type': 'error', 'error': 'Invalid message format'}
    client.ws.send_frame(BINARY, b'{"type":"ping","payload":{"pingId":"\xff"}}')
    assert client.ws.recv_close().code == 1007


@pytest.mark.parametrize('text', [
    '{bad', '', '[', '"text"', '7', 'null', '{"payload":{}}', '{"type":7,"payload":{}}', '{"type":"ping","payload":7}',
    '{"type":"ping","metadata":[]}',
])
def test_bad_messages(daemon, user, text):
    client = enter(daemon, user)
    client.send_text(text)
    assert client.recv() == {'type': 'error', 'error': 'Invalid message format'}
    assert ask(client, 'ping')['type'] == 'pong'


@pytest.mark.parametrize('type_', ['bogus', 'publish', 'chat.message', 'document.delete'])
def test_unknown_types(daemon, user, type_):
    client = enter(daemon, user)
    answer = ask(client, type_)
    assert answer['type'] == 'system.error' and answer['payload']['code'] == 'INVALID_MESSAGE_TYPE'
    assert answer['payload']['message'] == f'Unknown message type: {type_}'
    assert ask(client, 'ping')['type'] == 'pong'


# Rates: 10 in a second and 300 in a minute, per session

def test_ten_a_second(daemon, user):
    client = enter(daemon, user)
    for _ in range(11):
        client.send({'type': 'ping', 'payload': {}})
    answers = [client.recv() for _ in range(11)]
    refused = {'type': 'error', 'error': 'Rate limit exceeded'}
    assert refused in answers and answers.count(refused) <= 2, answers
    with pytest.raises(Timeout):
        client.recv(1.1)
    assert ask(client, 'ping')['type'] == 'pong'


def test_rates_are_per_session(daemon, user):
    one, two = enter(daemon, user), enter(daemon, user)
    for _ in range(9):
        one.send({'type': 'ping', 'payload': {}})
        two.send({'type': 'ping', 'payload': {}})
    for client in (one, two):
        answers = [client.wait_for(lambda message: message['type'] != 'user.presence') for _ in range(9)]
        assert {answer['type'] for answer in answers} == {'pong'}


def test_both_windows_hold(start):
    """The second window, brought closer: 5 in 2 s besides 3 in 0.2 s."""
    daemon = start(config='[dialect jddb]\nrate=3/200ms;5/2s\n')
    client = enter(daemon, 'ann')
    refused = {'type': 'error', 'error': 'Rate limit exceeded'}
    assert [ask(client, 'ping')['type'] for _ in range(3)] == ['pong'] * 3
    assert ask(client, 'ping') == refused
    with pytest.raises(Timeout):
        client.recv(0.25)
    assert [ask(client, 'ping')['type'] for _ in range(2)] == ['pong', 'pong']
    assert ask(client, 'ping') == refused
    with pytest.raises(Timeout):
        client.recv(0.25)
    assert ask(client, 'ping') == refused


def test_default_rates(daemon):
    text = daemon.run_cli('--dump-config').stdout
    assert 'dialect jddb.rate=10/1s;300/60s ' in text and 'dialect jddb.rate-scope=session ' in text, text


def test_message_size(daemon, user):
    client = enter(daemon, user)
    client.send_text('{"type":"ping","payload":{"x":"%s"}}' % ('a' * 1000000))
    assert client.recv()['type'] == 'pong'
    client.send_text('{"type":"ping","payload":{"x":"%s"}}' % ('a' * 1100000))
    assert client.ws.recv_close().code == 1009


def test_idle(start):
    client = enter(start({'protocol.idle-timeout': '300ms'}), 'ann')
    assert client.ws.recv_close(skip_data=True) == (1000, 'Connection timeout')


def test_told_before_it_ends(start):
    daemon = start()
    client = enter(daemon, 'ann')
    daemon.signal(15)
    told = JDDB.envelope(client.recv())
    assert told['type'] == 'system.reconnect' and isinstance(told['payload']['afterMs'], int), told
    assert client.ws.recv_close().code == 1012
    assert daemon.wait_exit() == 0
