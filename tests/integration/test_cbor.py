# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The subprotocol choir.v1.cbor: the canonical protocol in another encoding, alone and beside clients that speak JSON."""

import asyncio
import json

import cbor2
import pytest
import websockets

from choir_test import BINARY, TEXT, Close, RawWs, Timeout, connect, http_get
from choir_test.cbor import CBOR, SUBPROTOCOL, CborWs, connect_cbor, decode
from choir_test.dialects import Client
from library_client import knock

ROOM_RIGHTS = ('chat:*:read', 'chat:*:write')


@pytest.fixture
def client(daemon, user):
    with connect_cbor(daemon, daemon.mint(user)) as made:
        yield made


def ask(client, type_, payload=None, **more):
    client.send({'type': type_, 'payload': {} if payload is None else payload, **more})
    return client.recv()


def subscribe(client, *channels):
    client.send({'type': 'subscribe', 'payload': {'channels': list(channels)}})
    answer = client.wait_type('subscription.confirmed')
    assert not answer['payload']['rejected'], answer
    return answer['payload']['channels']


def publish(client, channel, payload, type_='note'):
    client.send({'type': 'publish', 'payload': {'channel': channel, 'type': type_, 'payload': payload}})
    return client.wait_type('publish.ok')['payload']


# Choosing it

def test_first_message(daemon, user):
    client = connect_cbor(daemon, daemon.mint(user), authenticate=False)
    first = CBOR.envelope(client.recv())
    assert first['type'] == 'connection.established' and first['payload']['user_id'] == user
    assert first['payload']['heartbeat_interval'] == 30000 and first['payload']['max_message_size'] == 65536


def test_by_query(daemon, user):
    ws = RawWs.open(daemon.address, f'/ws?dialect=choir-cbor&token={daemon.mint(user)}')
    assert ws.response.get('sec-websocket-protocol') is None
    assert Client(CborWs(ws), CBOR).recv()['type'] == 'connection.established'


@pytest.mark.parametrize('offer,chosen,opcode', [
    ('choir.v1.cbor, choir.v1', 'choir.v1.cbor', BINARY), ('choir.v1, choir.v1.cbor', 'choir.v1', TEXT),
    ('choir.v2.cbor, choir.v1', 'choir.v1', TEXT)])
def test_first_offer_decides(daemon, user, offer, chosen, opcode):
    ws = RawWs.open(daemon.address, f'/ws?token={daemon.mint(user)}', [('Sec-WebSocket-Protocol', offer)])
    assert ws.response.get('sec-websocket-protocol') == chosen
    assert ws.recv_message()[0] == opcode


def test_end_points_keep_their_channel(daemon, user, fresh):
    room = fresh('room')
    client = connect_cbor(daemon, daemon.mint(user), f'/ws/chat/{room}')
    client.send({'type': 'chat.message', 'payload': {'content': 'here'}})
    assert client.wait_type('chat.message')['channel'] == f'chat:{room}'


def test_discovery(daemon):
    dialects = http_get(daemon.address, '/ws/config').json()['websocket_config']['dialects']
    assert {'name': 'choir-cbor', 'subprotocol': SUBPROTOCOL} in dialects


def test_bad_token(daemon):
    knock(daemon, '/ws?token=x', [('Sec-WebSocket-Protocol', SUBPROTOCOL)]).assert_problem(401)


# The whole conversation

def test_authentication_by_message(daemon, user):
    client = connect_cbor(daemon, '', authenticate=False)
    client.wait_type('connection.established')
    CBOR.error(ask(client, 'subscribe', {'channels': ['chat:1']}), 'AUTH_ERROR')
    ok = CBOR.envelope(ask(client, 'auth', {'token': daemon.mint(user)}, id='a1'))
    assert ok['type'] == 'auth.ok' and ok['correlation_id'] == 'a1' and ok['payload']['user_id'] == user
    client.check_alive()


def test_authentication_fails(daemon):
    client = connect_cbor(daemon, '', authenticate=False)
    client.wait_type('connection.established')
    CBOR.error(ask(client, 'auth', {'token': 'x'}), 'AUTH_ERROR')
    assert client.ws.recv_close().code == 4000


def test_publish_history_recovery(daemon, fresh):
    room = fresh('chat:')
    with connect_cbor(daemon, daemon.mint(fresh('u'))) as client:
        epoch = subscribe(client, room)[0]['epoch']
        for i in range(1, 6):
            assert publish(client, room, {'n': i}) == {'channel': room, 'epoch': epoch, 'offset': i}
        heard = [message for message in client.seen if message['type'] == 'note']
        assert [message['offset'] for message in heard] == [1, 2, 3, 4, 5]
        answer = ask(client, 'history', {'channel': room, 'since': 3}, id='h')
        assert answer['type'] == 'history.result' and answer['correlation_id'] == 'h'
        assert [(message['type'], message['offset'], message['payload']['n']) for message in
                answer['payload']['messages']] == [('note', 4, 4), ('note', 5, 5)]
    with connect_cbor(daemon, daemon.mint(fresh('u'))) as back:
        state = subscribe(back, {'channel': room, 'epoch': epoch, 'offset': 2})[0]
        assert state['recovered'] is True and [message['offset'] for message in state['messages']] == [3, 4, 5]


def test_presence(daemon, fresh):
    room, ann, bob = fresh('chat:'), fresh('ann'), fresh('bob')
    first = connect_cbor(daemon, daemon.mint(ann, name='Änn'))
    subscribe(first, room)
    second = connect_cbor(daemon, daemon.mint(bob))
    subscribe(second, room)
    assert first.wait_type('presence.joined')['payload']['user_id'] == bob
    members = ask(second, 'presence', {'channel': room})['payload']['members']
    assert {member['user_id'] for member in members} == {ann, bob}
    assert 'Änn' in {member.get('name') for member in members}


@pytest.mark.parametrize('id_', ['i', 'ü"\\ 😀\n', 42, -7])
def test_correlation(client, id_):
    assert ask(client, 'ping', id=id_)['correlation_id'] == str(id_)
    CBOR.error(ask(client, 'wat', id=id_), 'INVALID_MESSAGE_TYPE', 'wat')


def test_heartbeat(start):
    client = connect_cbor(start({'protocol.heartbeat-interval': '100ms'}))
    for _ in range(3):
        assert CBOR.envelope(client.recv())['type'] == 'heartbeat'


# What is in a message

VALUES = [
    0, 1, 23, 24, 255, 256, 65535, 65536, 2 ** 32, 2 ** 53, -1, -24, -25, -2 ** 53, 0.0, -0.0, 0.5, 1.5, -4.25, 0.1, 1e300, 5e-324,
    1 / 3, 65504.0, 2.0 ** -24, 100000.0, 3.4028234663852886e38, 1e15, 1e16, True, False, None, '', 'a', 'ü水𐅑', '\t"\\\x01\x7f',
    'x' * 255, 'x' * 256, [], [[]], {}, {'': {'a b': [1, {'ü': None}]}}, list(range(30)), {str(i): i for i in range(30)},
]


def same(a, b):
    """== that tells 1 from 1.0, True and -0.0."""
    return type(a) is type(b) and repr(a) == repr(b)


@pytest.mark.parametrize('value', VALUES, ids=lambda value: repr(value)[:20])
def test_values_come_back(client, value):
    """ping_id is repeated as it came."""
    assert same(ask(client, 'ping', {'ping_id': value})['payload']['ping_id'], value)


def indefinite(value):
    """`value` with every length left open."""
    if isinstance(value, str):
        return b'\x7f' + b''.join(cbor2.dumps(char) for char in value) + b'\xff'
    if isinstance(value, list):
        return b'\x9f' + b''.join(map(indefinite, value)) + b'\xff'
    if isinstance(value, dict):
        return b'\xbf' + b''.join(indefinite(item) for pair in value.items() for item in pair) + b'\xff'
    return cbor2.dumps(value)


@pytest.mark.parametrize('encode', [cbor2.dumps, indefinite, lambda value: cbor2.dumps(value, canonical=True)],
                         ids=['definite', 'indefinite', 'deterministic'])
def test_encodings(client, encode):
    value = {'list': [1, [2.5, 'ü水'], {}], 'map': {'a': None}, 'text': 'streaming'}
    client.ws.send_binary(encode({'type': 'ping', 'payload': {'ping_id': value}}))
    assert client.recv()['payload']['ping_id'] == value


def test_what_goes_out_is_as_short_as_can_be(client):
    """Preferred serialization, RFC 8949 section 4.1."""
    value = {'whole': 1.0, 'half': 1.5, 'single': 100000.5, 'double': 1.1, 'ints': [0, 24, 256, 65536, -25]}
    client.ws.send_binary(cbor2.dumps({'type': 'ping', 'payload': {'ping_id': value}}))
    _, body = client.ws.recv_message()
    for key, item in value.items():
        pair = cbor2.dumps(key) + cbor2.dumps(item, canonical=True)
        assert pair in body, (key, body)


def test_in_fragments(client):
    data = cbor2.dumps({'type': 'ping', 'payload': {'ping_id': 'x' * 300}})
    client.ws.send_fragments(BINARY, [data[i:i + 7] for i in range(0, len(data), 7)])
    assert client.recv()['payload']['ping_id'] == 'x' * 300


# Together with others

def test_both_encodings_in_one_room(daemon, fresh):
    room = fresh('chat:')
    text = [connect(daemon, token=daemon.mint(fresh('t'))) for _ in range(3)]
    binary = [connect_cbor(daemon, daemon.mint(fresh('b'))) for _ in range(3)]
    for client in text + binary:
        subscribe(client, room)
    payload = {'content': 'ü <b>', 'role': 'user', 'numbers': [1, -2.5, 2 ** 53], 'nested': {'a': [None, True]}}
    for i, publisher in enumerate((text[0], binary[0])):
        publish(publisher, room, {**payload, 'i': i}, 'chat.message')
    for i in range(2):
        heard = [client.wait_type('chat.message') if client not in (text[0], binary[0]) or i > 0 else
                 next(message for message in client.seen if message['type'] == 'chat.message')
                 for client in text[1:] + binary[1:]]
        assert all(message == heard[0] for message in heard), heard
        assert heard[0]['offset'] == i + 1 and heard[0]['payload']['content'] == 'ü &lt;b&gt;'
        assert same(heard[0]['payload']['numbers'], payload['numbers'])
        assert heard[0]['payload']['nested'] == payload['nested'] and heard[0]['payload']['i'] == i


def test_contracts_beside_it(daemon, fresh):
    """What is said in CBOR reaches clients of another contract in theirs, and the other way round."""
    session = fresh('trip')
    binary = connect_cbor(daemon, daemon.mint(fresh('b')))
    subscribe(binary, f'chat:{session}')
    other = connect(daemon, 'tripsage', daemon.mint(fresh('t')), f'/ws/chat/{session}')
    binary.send({'type': 'chat.message', 'channel': f'chat:{session}', 'payload': {'content': 'from CBOR', 'role': 'user'}})
    assert other.wait_type('chat_message')['payload']['content'] == 'from CBOR'
    other.send({'type': 'chat_message', 'payload': {'content': 'back', 'role': 'user'}})
    assert binary.wait_for(lambda message: message['type'] == 'chat.message' and message['offset'] == 2)['payload']['content'] == 'back'


def test_numbers_that_only_json_may_bring(daemon, fresh):
    """They are taken from JSON clients as text, and are as near as CBOR has them."""
    room = fresh('chat:')
    text, binary = connect(daemon, token=daemon.mint(fresh('t'))), connect_cbor(daemon, daemon.mint(fresh('b')))
    subscribe(binary, room)
    text.send_text('{"type":"publish","payload":{"channel":"%s","type":"note","payload":{"n":'
                   '[18446744073709551615,-18446744073709551615,18446744073709551616,1e400,-1e-400,1E2,-0]}}}' % room)
    text.wait_type('publish.ok')
    numbers = binary.wait_type('note')['payload']['n']
    expected = [2 ** 64 - 1, -2 ** 64 + 1, 2.0 ** 64, float('inf'), -0.0, 100.0, -0.0]
    assert all(same(a, b) for a, b in zip(numbers, expected)) and len(numbers) == len(expected), numbers


# Documents

def open_document(client, name):
    client.send({'type': 'document.open', 'payload': {'document_id': name}})
    return client.wait_type('document.opened')['payload']


def change(client, name, version, operation):
    client.send({'type': 'document.change', 'payload': {'document_id': name, 'version': version, 'operation': operation}})
    return client.wait_type('document.ack')['payload']['version']


def test_document_in_both_encodings(daemon, fresh):
    name = fresh('doc')
    text, binary = connect(daemon, token=daemon.mint(fresh('t'))), connect_cbor(daemon, daemon.mint(fresh('b')))
    assert open_document(text, name)['content'] == open_document(binary, name)['content'] == ''
    assert change(binary, name, 0, ['ü水𐅑\n"x"']) == 1
    assert text.wait_type('document.change')['payload']['operation'] == ['ü水𐅑\n"x"']
    assert change(text, name, 1, [3, {'d': 1}, ' ']) == 2
    heard = binary.wait_for(lambda message: message['type'] == 'document.change')
    assert heard['payload']['operation'] == [3, {'d': 1}, ' '] or heard['payload']['operation'] == [3, ' ', {'d': 1}]
    assert open_document(connect_cbor(daemon, daemon.mint(fresh('b'))), name)['content'] == 'ü水𐅑 "x"'


@pytest.mark.parametrize('size', [0, 23, 24, 255, 256, 65535, 65536, 65537, 300000])
def test_documents_of_any_size(daemon, fresh, size):
    """A large text comes in fragments, shared by all who open it at the time, and not by those of the other encoding."""
    name, piece = fresh('doc'), 'ü"\n abcdefghijklmnop'
    content = (piece * (size // 20 + 1)).encode()[:size].decode('utf-8', 'ignore')
    content += 'x' * (size - len(content.encode()))
    writer = connect_cbor(daemon, daemon.mint(fresh('w')))
    open_document(writer, name)
    version = at = 0
    while at < len(content):
        part = content[at:at + 30000]
        version = change(writer, name, version, [at, part] if at > 0 else [part])
        at += len(part)
    for join in (connect_cbor, connect, connect_cbor, connect):
        with join(daemon, token=daemon.mint(fresh('r'))) as reader:
            opened = open_document(reader, name)
            assert opened['content'] == content and opened['version'] == version
            reader.check_alive()


def test_changes_that_leave_together(daemon, fresh):
    """One frame for each, or an array for who takes that."""
    name = fresh('doc')
    writer, one = (connect_cbor(daemon, daemon.mint(fresh('u'))) for _ in range(2))
    many = connect_cbor(daemon, daemon.mint(fresh('u')), '/ws?batch=1')
    for client in (writer, one):
        open_document(client, name)
    many.send({'type': 'document.open', 'payload': {'document_id': name}})
    heard = []
    writer.ws.send_binary(cbor2.dumps([{'type': 'document.change', 'payload': {
        'document_id': name, 'version': 0, 'operation': [i, 'x'] if i > 0 else ['x']}} for i in range(10)]))
    while len(heard) < 10:
        message = many.recv()
        messages = message if isinstance(message, list) else [message]
        heard += [message for message in messages if message['type'] == 'document.change']
    seen = [one.wait_type('document.change') for _ in range(10)]
    assert [message['payload']['version'] for message in heard] == list(range(1, 11))
    assert [message['payload'] for message in seen] == [message['payload'] for message in heard]


# Batches

def test_batch_in(client):
    batch = [{'type': 'ping', 'id': 'a'}, {'no': 'type'}, {'type': 'ping', 'id': 'b'}]
    client.ws.send_binary(cbor2.dumps(batch))
    assert client.recv()['correlation_id'] == 'a'
    CBOR.error(client.recv(), 'INVALID_MESSAGE', 'type')
    assert client.recv()['correlation_id'] == 'b'


def test_batch_out(start):
    daemon = start({'protocol.batch-delay': '200ms', 'protocol.batch-size': '30', 'rate.default': '1000/1s'})
    client = connect_cbor(daemon, target='/ws?batch=1', authenticate=False)
    client.ws.send_binary(cbor2.dumps([{'type': 'ping', 'id': str(i)} for i in range(29)]))
    opcode, body = client.ws.recv_message()
    messages = decode(body)
    assert opcode == BINARY and len(messages) == 30 and messages[0]['type'] == 'connection.established'
    assert [message['correlation_id'] for message in messages[1:]] == [str(i) for i in range(29)]


# Compression

@pytest.mark.parametrize('offer', ['permessage-deflate', 'permessage-deflate; server_max_window_bits=9'])
def test_compressed(daemon, fresh, offer):
    room = fresh('chat:')
    client = connect_cbor(daemon, daemon.mint(fresh('u')), extensions=offer)
    assert client.ws.extension is not None
    subscribe(client, room)
    content = 'the same words again and again, ' * 100
    client.ws.send_compressed(BINARY, cbor2.dumps(
        {'type': 'publish', 'payload': {'channel': room, 'type': 'note', 'payload': {'content': content}}}), parts=3)
    assert client.recv()['payload']['content'] == content and client.ws.was_compressed
    assert client.recv()['type'] == 'publish.ok' and not client.ws.was_compressed


def test_window_of_its_own(start):
    daemon = start({'protocol.compression-context-takeover': 'yes', 'protocol.compression-threshold': '0'})
    client = connect_cbor(daemon, extensions='permessage-deflate')
    for i in range(5):
        assert ask(client, 'ping', {'ping_id': {'n': i, 'text': 'again and again'}})['payload']['ping_id']['n'] == i
        assert client.ws.was_compressed


# What is wrong

@pytest.mark.parametrize('data,contains', [
    (b'', 'byte 0: expected more bytes'), (b'\x01', 'byte 0: expected a map'), (b'{"type":"ping"}', 'byte 0: expected a map'),
    (b'\xa1\x64type', 'byte 6: expected more bytes'), (b'\xa1\x64type\x64pi', 'byte 6: expected the rest of this item'),
    (b'\xa1\x64type\x64ping\x00', 'byte 11: expected the end of the message'),
    (cbor2.dumps({'type': 'ping', 'payload': {'a': b'bytes'}}), 'byte 22: expected no byte string'),
    (cbor2.dumps({'type': 'ping', 1: 2}), 'byte 11: expected a text string as key'),
    (cbor2.dumps({'type': 'ping', 'timestamp': cbor2.CBORTag(1, 1767868200)}), 'byte 21: expected no tag'),
    (cbor2.dumps({'type': 'ping', 'id': 2 ** 53 + 1}), 'byte 14: expected an integer within 2^53'),
    (cbor2.dumps({'type': 'ping', 'id': 2 ** 64}), 'byte 14: expected no tag'),
    (cbor2.dumps({'type': 'ping', 'payload': {'a': float('nan')}}), 'byte 22: expected a finite number'),
    (cbor2.dumps({'type': 'ping', 'payload': {'a': cbor2.undefined}}), 'byte 22: expected no simple value'),
    (b'\xa2\x64type\x64ping\x64type\x64ping', 'byte 11: expected a key that was not there before'),
    (b'\xa1\x64type\x64pi\xffg', 'byte 6: expected valid UTF-8'), (b'\xa1\x64type\x64pi\x00g', 'byte 6: expected a character'),
    (cbor2.dumps({'type': 'ping', 'payload': []}), 'payload'), (cbor2.dumps({'type': 7}), 'type'),
    (cbor2.dumps([]), 'A batch holds at least one message'), (cbor2.dumps([{'type': 'ping'}, 1]), 'byte 12: expected a map'),
    (cbor2.dumps({str(i): i for i in range(40)}), 'at most 32 fields'),
], ids=lambda value: value if isinstance(value, str) else value.hex()[:24] or 'empty')
def test_errors(client, data, contains):
    client.ws.send_binary(data)
    body = client.wait_error('INVALID_MESSAGE', contains)
    assert body['recoverable'] is True
    client.check_alive()


def test_larger_as_json(client):
    """A character that JSON writes in six bytes."""
    client.ws.send_binary(cbor2.dumps({'type': 'ping', 'payload': {'x': '\x01' * 20000}}))
    client.wait_error('MESSAGE_TOO_LARGE', '65536')
    client.check_alive()


def test_too_large(client):
    client.ws.send_binary(cbor2.dumps({'type': 'ping', 'payload': {'x': 'a' * 66000}}))
    assert client.ws.recv_close().code == 1009


def test_text_is_refused(client):
    client.send_text('{"type":"ping"}')
    assert client.ws.recv_close() == Close(1003, 'Binary messages only')


def test_limits_are_those_of_choir(start):
    """Nobody gets round what [dialect choir] says by choosing another encoding."""
    daemon = start(config='[dialect choir]\nrate=5/1s\nburst-queue=0\nmax-message-size=1K\n')
    client = connect_cbor(daemon, authenticate=False)
    assert client.recv()['payload']['max_message_size'] == 1024
    for _ in range(5):
        assert ask(client, 'ping')['type'] == 'pong'
    body = CBOR.error(ask(client, 'ping'), 'RATE_LIMIT_EXCEEDED')
    with pytest.raises(Timeout):
        client.recv(body['retry_after'] + 0.01)
    client.ws.send_binary(b'\xff')
    client.wait_error('INVALID_MESSAGE')
    client.ws.send_binary(cbor2.dumps({'type': 'ping', 'payload': {'x': 'a' * 1024}}))
    assert client.ws.recv_close().code == 1009


# A client that others wrote

def test_library(daemon, user, fresh):
    room = fresh('chat:')

    async def talk():
        uri = f'ws://{daemon.address[0]}:{daemon.port}/ws'
        protocols = [SUBPROTOCOL, f'bearer.{daemon.mint(user, ROOM_RIGHTS)}']
        async with websockets.connect(uri, subprotocols=protocols) as ws:
            assert ws.subprotocol == SUBPROTOCOL
            seen = [cbor2.loads(await ws.recv())]
            await ws.send(cbor2.dumps({'type': 'subscribe', 'payload': {'channels': [room]}}))
            await ws.send(cbor2.dumps({'type': 'publish', 'payload': {
                'channel': room, 'type': 'note', 'payload': {'text': 'ü' * 2000, 'list': list(range(100))}}}))
            while seen[-1]['type'] != 'publish.ok':
                seen.append(cbor2.loads(await ws.recv()))
            return seen

    seen = asyncio.run(asyncio.wait_for(talk(), 20))
    assert [message['type'] for message in seen] == ['connection.established', 'subscription.confirmed', 'note', 'publish.ok']
    assert seen[2]['payload']['text'] == 'ü' * 2000 and seen[2]['payload']['list'] == list(range(100))
    assert json.loads(json.dumps(seen)) == seen
