# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""RFC 6455 section 4: the opening handshake."""

import base64

import pytest

from choir_test import BINARY, PING, PONG, TEXT, Deadline, Handshake, build_frame
from choir_test.raw_http import parse_head
from choir_test.timing import DEADLINE
from choir_test.websocket import accept_for


def case(name, *values):
    return pytest.param(*values, id=f'rfc6455-{name}')


def refused(response, *statuses):
    assert response is not None, 'closed without an answer'
    assert response.status in statuses, response


# 4.2.2: the server's answer

def test_accept_value_of_the_rfc(server):
    handshake = Handshake().set('Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ==')
    response = server.connect().handshake(handshake)
    assert response.status == 101
    assert response.get('sec-websocket-accept') == 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='


@pytest.mark.parametrize('key', [case(f'4.2.2-accept-{name}', key) for name, key in (
    ('zeros', base64.b64encode(bytes(16)).decode()),
    ('ones', base64.b64encode(b'\xff' * 16).decode()),
    ('counting', base64.b64encode(bytes(range(1, 17))).decode()),
    ('slashes-and-plus', '+/+/+/+/+/+/+/+/+/+/+g=='),
)])
def test_accept_value(server, key):
    response = server.connect().handshake(Handshake(key=key))
    assert response.status == 101
    assert response.get('sec-websocket-accept') == accept_for(key)


def test_answer_offers_nothing_unasked(server):
    response = server.connect().handshake(Handshake())
    assert response.status == 101
    assert response.get('sec-websocket-extensions') is None
    assert response.get('sec-websocket-protocol') is None


def test_two_connections_get_their_own_accept(server):
    first, second = server.connect(), server.connect()
    one, two = Handshake(), Handshake()
    first.send_raw(one.encode())
    second.send_raw(two.encode())
    assert second.read_response(two).status == 101
    assert first.read_response(one).status == 101


# 4.1, 4.2.1: what the request must have

@pytest.mark.parametrize('method', [case(f'4.2.1-method-{name}', name) for name in (
    'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'get', 'GETT')])
def test_method_must_be_get(server, method):
    ws = server.connect()
    ws.send_raw(Handshake(method=method).encode())
    head = ws.reader.until(b'\r\n\r\n', Deadline(DEADLINE))
    assert head is not None
    response = parse_head(head)
    assert response.status != 101 and (400 <= response.status < 502 or method == 'OPTIONS'), response


@pytest.mark.parametrize('version', [case(f'4.2.1-http-{name}', version) for name, version in (
    ('1.0', 'HTTP/1.0'), ('0.9', 'HTTP/0.9'), ('garbage', 'HTTP/x.y'), ('lower-case', 'http/1.1'))])
def test_http_version_must_be_1_1(server, version):
    response = server.connect().handshake(Handshake(version=version))
    assert response is None or 400 <= response.status <= 505, response


@pytest.mark.parametrize('name', [case(f'4.2.1-missing-{name.lower()}', name) for name in (
    'Upgrade', 'Connection', 'Sec-WebSocket-Key', 'Host')])
def test_missing_field(server, name):
    response = server.connect().handshake(Handshake().drop(name))
    refused(response, 400, 404, 426)


def test_missing_version(server):
    refused(server.connect().handshake(Handshake().drop('Sec-WebSocket-Version')), 400, 426)


@pytest.mark.parametrize('version', [case(f'4.4-version-{version or "empty"}', version) for version in (
    '', '0', '7', '8', '12', '14', '25', '255', '256', '013', '13.0', '-13', '+13', 'abc', '13 8', '1 3', '0x0d')])
def test_other_version_is_told_ours(server, version):
    response = server.connect().handshake(Handshake().set('Sec-WebSocket-Version', version))
    refused(response, 400, 426)
    assert '13' in response.tokens('sec-websocket-version'), response


@pytest.mark.parametrize('fields', [
    case('11.3.5-version-twice-13-13', ['13', '13']),
    case('11.3.5-version-twice-13-8', ['13', '8']),
    case('11.3.5-version-twice-8-13', ['8', '13']),
])
def test_version_may_stand_once(server, fields):
    handshake = Handshake().drop('Sec-WebSocket-Version')
    for value in fields:
        handshake.add('Sec-WebSocket-Version', value)
    refused(server.connect().handshake(handshake), 400, 426)


@pytest.mark.parametrize('key', [case(f'4.2.1-key-{name}', key) for name, key in (
    ('empty', ''),
    ('15-bytes', base64.b64encode(bytes(15)).decode()),
    ('17-bytes', base64.b64encode(bytes(17)).decode()),
    ('18-bytes', base64.b64encode(bytes(18)).decode()),
    ('32-bytes', base64.b64encode(bytes(32)).decode()),
    ('1-byte', 'AA=='),
    ('no-padding', 'dGhlIHNhbXBsZSBub25jZQ'),
    ('one-pad', 'dGhlIHNhbXBsZSBub25jZQ='),
    ('three-pads', 'dGhlIHNhbXBsZSBub25jZQ==='),
    ('url-alphabet', '-_-_-_-_-_-_-_-_-_-_-g=='),
    ('space-inside', 'dGhlIHNhbXBs ZSBub25jZQ=='),
    ('junk-behind', 'dGhlIHNhbXBsZSBub25jZQ==x'),
    ('junk-inside', 'dGhlIHNhbXBs!SBub25jZQ=='),
    ('pad-inside', 'dGhlIHNhbX=sZSBub25jZQ=='),
    ('two-in-a-list', 'dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=='),
    ('not-base64', '????????????????????????'),
    ('plain-text', 'the sample nonce'),
    ('huge', 'A' * 4096),
)])
def test_bad_key(server, key):
    refused(server.connect().handshake(Handshake().set('Sec-WebSocket-Key', key)), 400)


@pytest.mark.parametrize('second', [
    case('11.3.1-key-twice-same', 'dGhlIHNhbXBsZSBub25jZQ=='),
    case('11.3.1-key-twice-other', 'AAAAAAAAAAAAAAAAAAAAAA=='),
])
def test_key_may_stand_once(server, second):
    handshake = Handshake(key='dGhlIHNhbXBsZSBub25jZQ==').add('Sec-WebSocket-Key', second)
    refused(server.connect().handshake(handshake), 400)


@pytest.mark.parametrize('value', [case(f'4.2.1-upgrade-{name}', value) for name, value in (
    ('as-written', 'websocket'), ('camel', 'WebSocket'), ('upper', 'WEBSOCKET'), ('list-first', 'websocket, h2c'),
    ('list-last', 'h2c, websocket'), ('list-tight', 'h2c,websocket,foo/1'))])
def test_upgrade_value(server, value):
    assert server.connect().handshake(Handshake().set('Upgrade', value)).status == 101


@pytest.mark.parametrize('value', [case(f'4.2.1-upgrade-{name}', value) for name, value in (
    ('empty', ''), ('other', 'h2c'), ('plural', 'websockets'), ('prefix', 'web'), ('two-words', 'web socket'),
    ('quoted', '"websocket"'), ('suffix', 'xwebsocket'))])
def test_bad_upgrade_value(server, value):
    refused(server.connect().handshake(Handshake().set('Upgrade', value)), 400, 404, 426)


@pytest.mark.parametrize('value', [case(f'4.2.1-connection-{name}', value) for name, value in (
    ('as-written', 'Upgrade'), ('lower', 'upgrade'), ('upper', 'UPGRADE'), ('last', 'keep-alive, Upgrade'),
    ('first', 'Upgrade, keep-alive'), ('tight', 'keep-alive,Upgrade'), ('middle', 'foo, upgrade, bar'),
    ('spaces', ' \t Upgrade \t '), ('empty-elements', ', ,Upgrade,'))])
def test_connection_value(server, value):
    assert server.connect().handshake(Handshake().set('Connection', value)).status == 101


def test_connection_in_two_lines(server):
    handshake = Handshake().set('Connection', 'keep-alive').add('Connection', 'Upgrade')
    assert server.connect().handshake(handshake).status == 101


@pytest.mark.parametrize('value', [case(f'4.2.1-connection-{name}', value) for name, value in (
    ('empty', ''), ('keep-alive', 'keep-alive'), ('close', 'close'), ('suffix', 'Upgraded'), ('prefix', 'NoUpgrade'),
    ('two-words', 'Up grade'), ('semicolon', 'keep-alive; Upgrade'))])
def test_bad_connection_value(server, value):
    refused(server.connect().handshake(Handshake().set('Connection', value)), 400, 404, 426)


@pytest.mark.parametrize('host', [case(f'4.2.1-host-{name}', host) for name, host in (
    ('name', 'localhost'), ('port', 'localhost:1234'), ('address', '127.0.0.1'), ('ipv6', '[::1]:80'),
    ('other', 'example.com'))])
def test_host_value(server, host):
    assert server.connect().handshake(Handshake().set('Host', host)).status == 101


def test_host_twice(server):
    refused(server.connect().handshake(Handshake().add('Host', 'localhost')), 400)


def test_host_twice_differing(server):
    refused(server.connect().handshake(Handshake().add('Host', 'example.org')), 400)


# 4.1: field names are case-insensitive, values have optional white space, order is free, strangers are passed over

@pytest.mark.parametrize('transform', [
    case('4.1-names-lower', lambda n: n.lower()),
    case('4.1-names-upper', lambda n: n.upper()),
    case('4.1-names-swapped', lambda n: n.swapcase()),
])
def test_field_names_in_any_case(server, transform):
    handshake = Handshake()
    handshake.fields = [(transform(name), value) for name, value in handshake.fields]
    assert server.connect().handshake(handshake).status == 101


def test_field_order_is_free(server):
    handshake = Handshake()
    handshake.fields.reverse()
    assert server.connect().handshake(handshake).status == 101


@pytest.mark.parametrize('before,after', [
    case('4.1-space-none', '', ''), case('4.1-space-many', '    ', '   '), case('4.1-space-tabs', '\t', '\t\t')])
def test_white_space_round_values(server, before, after):
    handshake = Handshake()
    lines = ['GET /echo HTTP/1.1'] + [f'{name}:{before}{value}{after}' for name, value in handshake.fields]
    ws = server.connect()
    ws.send_raw(('\r\n'.join(lines) + '\r\n\r\n').encode())
    assert ws.read_response(handshake).status == 101


@pytest.mark.parametrize('fields', [
    case('4.1-extra-cookie', [('Cookie', 'a=b; c=' + 'd' * 3000)]),
    case('4.1-extra-agent', [('User-Agent', 'Mozilla/5.0 (X11; Linux x86_64)'), ('Accept-Language', 'en')]),
    case('4.1-extra-fifty', [(f'X-Extra-{i}', 'value') for i in range(50)]),
    case('4.1-extra-accept-key', [('Sec-WebSocket-Accept', 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=')]),
    case('4.1-extra-hixie', [('Sec-WebSocket-Key1', '1 2'), ('Sec-WebSocket-Key2', '3 4')]),
    case('4.1-extra-cache', [('Pragma', 'no-cache'), ('Cache-Control', 'no-cache')]),
])
def test_other_fields_are_passed_over(server, fields):
    handshake = Handshake()
    for name, value in fields:
        handshake.add(name, value)
    assert server.connect().handshake(handshake).status == 101


@pytest.mark.parametrize('target,status', [
    case('4.2.1-target-query', '/echo?a=b&c=%20', 101),
    case('4.2.1-target-empty-query', '/echo?', 101),
    case('4.2.1-target-long-query', '/echo?x=' + 'y' * 2000, 101),
    case('4.2.1-target-absolute', 'http://localhost/echo', 101),
    case('4.2.1-target-unknown', '/nobody-lives-here', 404),
    case('4.2.1-target-below', '/echo/below', 404),
    case('4.2.1-target-longer', '/echoes', 404),
])
def test_request_target(server, target, status):
    assert server.connect().handshake(Handshake(target)).status == status


def test_refusal_carries_a_problem(server, choird):
    response = server.connect().handshake(Handshake().set('Sec-WebSocket-Version', '8'))
    response.assert_problem(response.status)


def test_plain_get_is_refused(server):
    ws = server.connect()
    ws.send_raw(b'GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n')
    response = ws.read_response()
    refused(response, 400, 404, 426)


def test_a_plain_request_is_the_last_of_its_connection(server, choird):
    ws = server.connect()
    ws.send_raw(b'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')
    response = ws.read_response()
    assert response.status == 200 and 'close' in response.tokens('connection')
    assert ws.handshake(Handshake()) is None


# 4.2.2 /subprotocol/ and 11.3.4

@pytest.mark.parametrize('offers', [case(f'4.2.2-subprotocol-unknown-{name}', offers) for name, offers in (
    ('one', ['chat.example']), ('list', ['a, b, c']), ('lines', ['a', 'b']), ('case-differs', ['CHOIR.V1']),
    ('prefix', ['choir']), ('longer', ['choir.v11']),
    ('encoding-differs', ['choir.v1.cbor2', 'choir.v1.CBOR', 'choir.cbor']))])
def test_unknown_subprotocol_is_not_chosen(choird, server, offers):
    handshake = Handshake('/ws?token=' + choird.mint())
    for offer in offers:
        handshake.add('Sec-WebSocket-Protocol', offer)
    response = server.connect().handshake(handshake)
    assert response.status == 101
    assert response.get('sec-websocket-protocol') is None


@pytest.mark.parametrize('offers,chosen', [case(f'4.2.2-subprotocol-{name}', offers, chosen) for name, offers, chosen in (
    ('only', ['choir.v1'], 'choir.v1'),
    ('behind-unknown', ['soap, choir.v1'], 'choir.v1'),
    ('second-line', ['soap', 'choir.v1'], 'choir.v1'),
    ('first-known-wins', ['choir.v1.netra, choir.v1'], 'choir.v1.netra'),
    ('first-known-wins-2', ['choir.v1, choir.v1.netra'], 'choir.v1'),
    ('spaces', ['  choir.v1  '], 'choir.v1'),
    ('tight', ['soap,choir.v1,wamp'], 'choir.v1'),
    ('spec', ['choir.v1.netra-spec'], 'choir.v1.netra-spec'),
    ('reviewpoint', ['choir.v1.reviewpoint'], 'choir.v1.reviewpoint'),
    ('cbor', ['choir.v1.cbor'], 'choir.v1.cbor'),
    ('cbor-or-json', ['choir.v1.cbor, choir.v1'], 'choir.v1.cbor'),
    ('json-or-cbor', ['choir.v1', 'choir.v1.cbor'], 'choir.v1'),
)])
def test_known_subprotocol_is_chosen(choird, server, offers, chosen):
    handshake = Handshake('/ws?token=' + choird.mint())
    for offer in offers:
        handshake.add('Sec-WebSocket-Protocol', offer)
    response = server.connect().handshake(handshake)
    assert response.status == 101
    assert response.get('sec-websocket-protocol') == chosen


def test_subprotocol_on_echo_is_one_of_the_offered_or_none(server):
    response = server.connect().handshake(Handshake().add('Sec-WebSocket-Protocol', 'soap, wamp'))
    assert response.status == 101
    assert response.get('sec-websocket-protocol') in (None, 'soap', 'wamp')


# The head in pieces, and bytes right behind it (4.2.2: the connection is OPEN once the answer is sent)

@pytest.mark.parametrize('chop', [case(f'4.1-chop-{n}', n) for n in (1, 2, 3, 7, 16, 64, 100)])
def test_head_in_pieces(server, chop):
    ws = server.connect()
    assert ws.handshake(Handshake(), chop=chop).status == 101
    ws.send_text('after')
    ws.expect_echo(TEXT, 'after')


@pytest.mark.parametrize('opcode,payload', [case(f'4.2.2-behind-{name}', opcode, payload) for name, opcode, payload in (
    ('text', TEXT, b'hello'), ('empty', TEXT, b''), ('binary', BINARY, bytes(range(256))),
    ('64k', BINARY, bytes(65536)), ('300k', BINARY, b'x' * 300000))])
def test_frame_behind_the_head(server, opcode, payload):
    ws = server.open(behind=build_frame(opcode, payload))
    ws.expect_echo(opcode, payload)


def test_several_frames_behind_the_head(server):
    ws = server.open(behind=b''.join(build_frame(TEXT, f'message {i}') for i in range(100)))
    for i in range(100):
        ws.expect_echo(TEXT, f'message {i}')


@pytest.mark.parametrize('split', [case(f'4.2.2-behind-split-{n}', n) for n in (1, 2, 5, 6, 7, 10)])
def test_part_of_a_frame_behind_the_head(server, split):
    data = build_frame(TEXT, 'in two halves')
    ws = server.open(behind=data[:split])
    ws.send_raw(data[split:])
    ws.expect_echo(TEXT, 'in two halves')


def test_ping_behind_the_head(server):
    ws = server.open(behind=build_frame(PING, b'early'))
    frame = ws.recv_frame()
    assert (frame.opcode, frame.payload) == (PONG, b'early')


def test_close_behind_the_head(server):
    ws = server.open(behind=build_frame(8, b'\x03\xe8'))
    ws.expect_failure(1000)


def test_bad_frame_behind_the_head(server):
    server.open(behind=build_frame(3, b'')).expect_failure(1002)


def test_end_of_stream_right_behind_the_head(server):
    ws = server.open()
    ws.shutdown_write()
    ws.expect_end()
