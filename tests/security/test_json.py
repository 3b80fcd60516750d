# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Broken, deep and oversized messages: each contract answers in its own form and goes on."""

import json

import pytest

from choir_test import BINARY, DIALECTS, connect

MALFORMED = {
    'empty': '',
    'space': ' ',
    'word': 'hello',
    'open-brace': '{',
    'close-brace': '}',
    'open-string': '{"type": "pi',
    'single-quotes': "{'type': 'ping'}",
    'no-quotes': '{type: "ping"}',
    'trailing-comma': '{"type": "ping",}',
    'missing-comma': '{"type": "ping" "payload": {}}',
    'missing-colon': '{"type" "ping"}',
    'two-documents': '{"type":"ping"}{"type":"ping"}',
    'junk-behind': '{"type":"ping"} x',
    'comment': '{"type":"ping" /* hi */}',
    'nan': '{"type":"ping","payload":{"a":NaN}}',
    'infinity': '{"type":"ping","payload":{"a":Infinity}}',
    'leading-zero': '{"type":"ping","payload":{"a":01}}',
    'plus': '{"type":"ping","payload":{"a":+1}}',
    'hex': '{"type":"ping","payload":{"a":0x1}}',
    'bare-dot': '{"type":"ping","payload":{"a":1.}}',
    'bare-exponent': '{"type":"ping","payload":{"a":1e}}',
    'raw-newline': '{"type":"pi\nng"}',
    'raw-tab': '{"type":"pi\tng"}',
    'raw-nul': '{"type":"pi\0ng"}',
    'bad-escape': '{"type":"\\x70ing"}',
    'short-escape': '{"type":"\\u00"}',
    'lone-surrogate': '{"type":"ping","payload":{"a":"\\ud800"}}',
    'reversed-surrogates': '{"type":"ping","payload":{"a":"\\udc00\\ud800"}}',
    'escaped-nul': '{"type":"ping","payload":{"a":"\\u0000"}}',
    'bom': '\ufeff{"type":"ping"}',
    'duplicate-type': '{"type":"ping","type":"subscribe","payload":{}}',
    'duplicate-escaped': '{"type":"ping","\\u0074ype":"subscribe","payload":{}}',
    'true': 'true',
    'null': 'null',
    'number': '42',
    'string': '"ping"',
    'depth-33': '{"type":"ping","payload":{"a":' + '[' * 33 + ']' * 33 + '}}',
    'depth-1000-objects': '{"type":"ping","payload":' + '{"a":' * 1000 + '1' + '}' * 1000 + '}',
    'depth-30000': '[' * 30000,
    'depth-30000-closed': '[' * 15000 + ']' * 15000,
}

WRONG_SHAPE = {
    'no-type': '{"payload":{},"data":{}}',
    'type-null': '{"type":null,"payload":{},"data":{}}',
    'type-number': '{"type":7,"payload":{},"data":{}}',
    'type-list': '{"type":["ping"],"payload":{},"data":{}}',
    'type-object': '{"type":{"a":1},"payload":{},"data":{}}',
    'type-empty': '{"type":"","payload":{},"data":{}}',
    'type-unknown': '{"type":"no.such.type","payload":{},"data":{}}',
    'type-long': json.dumps({'type': 'x' * 5000, 'payload': {}, 'data': {}}),
    'type-markup': '{"type":"<script>alert(1)</script>","payload":{},"data":{}}',
    'payload-list': '{"type":"subscribe","payload":[],"data":[]}',
    'payload-text': '{"type":"subscribe","payload":"x","data":"x"}',
    'payload-number': '{"type":"subscribe","payload":1,"data":1}',
    'id-object': '{"type":"subscribe","payload":{},"data":{},"id":{}}',
    'id-long': json.dumps({'type': 'subscribe', 'payload': {}, 'data': {}, 'id': 'i' * 129}),
    'correlation-number': '{"type":"subscribe","payload":{},"data":{},"correlation_id":[]}',
    'many-members': json.dumps({'type': 'subscribe', **{f'm{i}': i for i in range(200)}}),
    'empty-object': '{}',
}


def cases(table):
    return [pytest.param(dialect, text, id=f'{dialect}-{label}') for dialect in DIALECTS for label, text in table.items()]


@pytest.mark.parametrize('dialect,text', cases(MALFORMED))
def test_malformed(daemon, dialect, text):
    with connect(daemon, dialect, token=daemon.mint(f'user-{dialect}')) as client:
        client.send_text(text)
        client.wait_error()
        client.check_alive()


@pytest.mark.parametrize('dialect,text', cases(WRONG_SHAPE))
def test_wrong_shape(daemon, dialect, text):
    with connect(daemon, dialect, token=daemon.mint(f'user-{dialect}')) as client:
        client.send_text(text)
        client.wait_error()
        client.check_alive()


@pytest.mark.parametrize('dialect,code', [
    ('choir', 'INVALID_JSON'), ('netra', 'MESSAGE_ERROR'), ('netra-spec', 'INVALID_JSON'), ('reviewpoint', 'INVALID_JSON')])
def test_code_of_malformed_json(daemon, dialect, code):
    with connect(daemon, dialect) as client:
        client.send_text('{"type":')
        client.wait_error(code)


def test_jddb_has_a_form_of_its_own(daemon):
    with connect(daemon, 'jddb') as client:
        client.send_text('{"type":')
        message = client.wait_for(client.dialect.is_error)
        assert message == {'type': 'error', 'error': 'Invalid message format'}


@pytest.mark.parametrize('dialect', ['netra', 'reviewpoint'])
def test_unknown_type_is_named(daemon, dialect):
    with connect(daemon, dialect) as client:
        client.send({'type': 'no.such.type', 'data': {}})
        client.wait_error(contains='Unknown message type: no.such.type')


def test_unknown_type_of_choir(daemon):
    with connect(daemon) as client:
        client.send({'type': 'no.such.type', 'payload': {}, 'correlation_id': 'c-1'})
        message = client.wait_for(client.dialect.is_error)
        client.dialect.error(message, 'INVALID_MESSAGE_TYPE')
        assert message['correlation_id'] == 'c-1'


@pytest.mark.parametrize('dialect', list(DIALECTS))
def test_hundred_bad_messages_in_a_row(daemon, dialect):
    with connect(daemon, dialect) as client:
        for i in range(100):
            client.send_text('{"broken": ' + str(i))
        for _ in range(100):
            client.wait_error()
        client.check_alive()


@pytest.mark.parametrize('dialect', list(DIALECTS))
def test_oversized_message_closes_1009(daemon, dialect):
    with connect(daemon, dialect) as client:
        client.send_text('{"type":"ping","payload":{"a":"' + 'x' * 65536 + '"}}')
        assert client.ws.recv_close(skip_data=True).code == 1009


@pytest.mark.parametrize('dialect', ['choir', 'netra', 'netra-spec'])
def test_message_of_nearly_the_limit(daemon, dialect):
    """Inside the limit nothing is lost to the connection, whatever the content earns."""
    key = DIALECTS[dialect].payload_key
    with connect(daemon, dialect) as client:
        client.send({'type': 'no.such.type', key: {'a': 'x' * 65000}})
        client.wait_error()
        client.check_alive()


def test_size_limit_of_netra_spec(start):
    """10 KiB by its own default."""
    daemon = start()
    with connect(daemon, 'netra-spec') as client:
        client.send({'type': 'ping', 'payload': {'a': 'x' * 9000}})
        client.wait_type('pong')
        client.send({'type': 'ping', 'payload': {'a': 'x' * 11000}})
        assert client.ws.recv_close(skip_data=True).code == 1009


@pytest.mark.parametrize('dialect', list(DIALECTS))
def test_binary_frames_are_refused(daemon, dialect):
    with connect(daemon, dialect) as client:
        client.ws.send_frame(BINARY, b'\xa1\x64type\x64ping')
        # jddb takes JSON in binary frames, which this is not
        assert client.ws.recv_close(skip_data=True).code == (1007 if dialect == 'jddb' else 1003)


@pytest.mark.parametrize('text', [
    pytest.param('[]', id='empty'),
    pytest.param('[1,2,3]', id='numbers'),
    pytest.param('[[{"type":"ping","payload":{}}]]', id='nested'),
    pytest.param('[{"type":"ping","payload":{}},', id='cut'),
    pytest.param('[' + ','.join(['{"type":"ping","payload":{}}'] * 101) + ']', id='too-many'),
])
def test_bad_batch(daemon, text):
    with connect(daemon) as client:
        client.send_text(text)
        client.wait_error()
        client.check_alive()


def test_batch_with_one_bad_message(daemon):
    """Each element is answered for itself."""
    with connect(daemon) as client:
        client.send_text('[{"type":"ping","payload":{"ping_id":"a"}},{"no":"type"},{"type":"ping","payload":{"ping_id":"b"}}]')
        assert client.wait_type('pong')['payload']['ping_id'] == 'a'
        client.wait_error()
        assert client.wait_type('pong')['payload']['ping_id'] == 'b'


@pytest.mark.parametrize('name', ['', ' ', 'a b', 'ü', 'x' * 256, 'chat:\n', 'chat:\x7f', '\u2028'])
def test_bad_channel_names(daemon, name):
    with connect(daemon) as client:
        client.send({'type': 'subscribe', 'payload': {'channels': [{'channel': name}]}})
        answer = client.wait_type('subscription.confirmed', 'error')
        if answer['type'] == 'subscription.confirmed':
            assert answer['payload']['channels'] == [] and len(answer['payload']['rejected']) == 1, answer
        client.check_alive()


@pytest.mark.parametrize('markup', ['<script>alert(1)</script>', '<img src=x onerror=alert(1)>', '<svg/onload=alert(1)>'])
def test_markup_is_neutralised(daemon, markup):
    with connect(daemon) as client:
        client.send({'type': 'subscribe', 'payload': {'channels': [{'channel': 'chat:markup'}]}})
        client.wait_type('subscription.confirmed')
        client.send({'type': 'publish', 'payload': {
            'channel': 'chat:markup', 'type': 'chat.message', 'payload': {'content': markup, 'role': 'user'}}})
        message = client.wait_type('chat.message')
        assert '<' not in message['payload']['content'], message


def test_others_do_not_hear_of_it(daemon):
    """Errors are answers, never broadcast."""
    with connect(daemon, token=daemon.mint('innocent')) as other, connect(daemon, token=daemon.mint('guilty')) as client:
        client.send_text('{"broken')
        client.wait_error()
        other.check_alive()
        assert not any(other.dialect.is_error(message) for message in other.seen)
