# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hostile CBOR: nesting, lengths, expansion, rubbish. What it costs is bounded by its bytes, and the connection goes on."""

import random
import zlib

import cbor2
import pytest

from choir_test import BINARY, connect
from choir_test.cbor import CBOR, connect_cbor

from conftest import MIB, Bystander, memory_margin

LIMIT = 65536
# {"type": "ping", "payload": {"a": ... as far as it goes
HEAD = b'\xa2\x64type\x64ping\x67payload\xa1\x61a'


def fill(unit, head=HEAD, size=LIMIT):
    return (head + unit * (size // len(unit)))[:size]


def text_of(byte):
    """A text string as long as there is room for."""
    n = LIMIT - len(HEAD) - 3
    return HEAD + b'\x79' + n.to_bytes(2, 'big') + byte * n


# name, message, the answer: an error code, or None if the message is fine
HOSTILE = {
    'nested-arrays': (fill(b'\x81'), 'INVALID_MESSAGE'),
    'nested-open-arrays': (fill(b'\x9f'), 'INVALID_MESSAGE'),
    'nested-maps': (fill(b'\xa1\x61k'), 'INVALID_MESSAGE'),
    'nested-open-maps': (fill(b'\xbf\x61k'), 'INVALID_MESSAGE'),
    'nested-at-the-top': (b'\x9f' * LIMIT, 'INVALID_MESSAGE'),
    'nested-tags': (fill(b'\xc1'), 'INVALID_MESSAGE'),
    'nested-strings': (fill(b'\x7f'), 'INVALID_MESSAGE'),
    'breaks': (fill(b'\xff'), 'INVALID_MESSAGE'),
    'array-of-2^64': (fill(b'\0', HEAD + b'\x9b' + b'\xff' * 8), 'INVALID_MESSAGE'),
    'array-of-2^31': (fill(b'\0', HEAD + b'\x9a\x7f\xff\xff\xff'), 'INVALID_MESSAGE'),
    'map-of-2^63': (fill(b'\x61a\0', HEAD + b'\xbb\x80' + b'\0' * 7), 'INVALID_MESSAGE'),
    'text-of-2^64': (fill(b'a', HEAD + b'\x7b' + b'\xff' * 8), 'INVALID_MESSAGE'),
    'bytes-of-2^40': (fill(b'a', HEAD + b'\x5b\0\0\1\0\0\0\0\0'), 'INVALID_MESSAGE'),
    'many-lengths': (fill(b'\x99\x10\0'), 'INVALID_MESSAGE'),
    'pieces-of-nothing': (fill(b'\x60', HEAD + b'\x7f')[:-1] + b'\xff', None),
    'pieces-of-one': (fill(b'\x61a', HEAD + b'\x7f', LIMIT - 1) + b'\xff', None),
    'members': (fill(b'\x61a\0', b'\xbf\x64type\x64ping'), 'INVALID_MESSAGE'),
    'different-members': (b'\xb9\x10\0' + b''.join(b'\x64%04d\0' % i for i in range(4096)), 'INVALID_MESSAGE'),
    'nested-members': (fill(b'\x61a\0', HEAD + b'\xbf'), 'MESSAGE_TOO_LARGE'),
    'controls': (text_of(b'\1'), 'MESSAGE_TOO_LARGE'),
    'words': (HEAD + b'\x99\xff\0' + b'\xf4' * 0xff00, 'MESSAGE_TOO_LARGE'),
    'halves': (HEAD + b'\x99\x55\0' + b'\xf9\0\1' * 0x5500, 'MESSAGE_TOO_LARGE'),
    'singles': (HEAD + b'\x99\x33\0' + b'\xfa\x3f\x81\x23\x45' * 0x3300, 'MESSAGE_TOO_LARGE'),
    'doubles': (HEAD + b'\x99\x1c\0' + b'\xfb\x3f\xd5\x55\x55\x55\x55\x55\x57' * 0x1c00, 'MESSAGE_TOO_LARGE'),
    'large-doubles': (HEAD + b'\x99\x1c\0' + b'\xfb\x7e\x37\xe4\x3c\x88\0\x75\x9c' * 0x1c00, None),
    'infinite': (HEAD + b'\x99\x55\0' + b'\xf9\x7c\0' * 0x5500, 'INVALID_MESSAGE'),
    'maps-in-a-batch': (b'\x9f' + b'\xa0' * 20000 + b'\xff', 'INVALID_MESSAGE'),
    'more-maps-in-a-batch': (b'\x9f' + b'\xa0' * (LIMIT - 2) + b'\xff', 'MESSAGE_TOO_LARGE'),
    'no-utf8': (text_of(b'\xff'), 'INVALID_MESSAGE'),
    'utf8-that-ends': (HEAD + b'\x63\xe6\xb0\xc0', 'INVALID_MESSAGE'),
    'zeroes': (bytes(LIMIT), 'INVALID_MESSAGE'),
}


@pytest.fixture
def client(daemon, request):
    with connect_cbor(daemon, daemon.mint(f'user-{abs(hash(request.node.name))}')) as made:
        yield made


@pytest.mark.parametrize('name', list(HOSTILE))
def test_hostile_message(daemon, client, name):
    message, code = HOSTILE[name]
    assert len(message) <= LIMIT
    client.ws.send_binary(message)
    if code is None:
        assert client.wait_type('pong', 'error')['type'] == 'pong'
    else:
        client.wait_error(code)
    client.check_alive()


def test_costs_what_its_bytes_cost(daemon):
    """No message of 64 KiB takes many times what the dearest of the honest ones takes."""
    bystander = Bystander(daemon)

    def cost(client, message, n):
        begin = daemon.cpu_time()
        for _ in range(n):
            client.ws.send_binary(message)
        for _ in range(n):
            client.wait_for(lambda answer: answer['type'] in ('pong', 'error'))
        return (daemon.cpu_time() - begin) / n

    rounds = 40
    numbers = cbor2.dumps({'type': 'ping', 'payload': {'a': [i / 7 for i in range(3000)]}})
    with connect_cbor(daemon, daemon.mint('payer')) as client:
        honest = max(cost(client, numbers, rounds), 0.001)
        for name, (message, _) in HOSTILE.items():
            spent = cost(client, message, rounds)
            assert spent <= 6 * honest, f'{name}: {1000 * spent:.2f} ms, an honest one {1000 * honest:.2f} ms'
            bystander.check()


def test_memory(daemon):
    """Nothing is kept of them, however much they say there will be."""
    bystander = Bystander(daemon)
    with connect_cbor(daemon, daemon.mint('rememberer')) as client:
        client.check_alive()
        daemon.reset_peak_rss()
        before = daemon.rss()
        for message, _ in HOSTILE.values():
            for _ in range(10):
                client.ws.send_binary(message)
                client.wait_for(lambda answer: answer['type'] in ('pong', 'error'))
        assert daemon.peak_rss() - before <= memory_margin(daemon, 8 * MIB)
        bystander.check()


def test_every_head_in_every_place(client):
    """256 first bytes, as key, as value, as element, behind the end; with much and with nothing behind them."""
    places = (b'', b'\xa1', b'\xa1\x61a', HEAD + b'\x81', HEAD + b'\x9f', HEAD + b'\xbf', HEAD + b'\x7f', b'\x81', b'\x9f', b'\xa0')
    n = 0
    for place in places:
        for head in range(256):
            for tail in (b'', bytes(300)):
                client.ws.send_binary(place + bytes([head]) + tail)
                n += 1
        while n > 0:
            answer = client.recv()
            assert answer['type'] in ('error', 'pong'), answer
            n -= 1
    client.check_alive()


def test_rubbish(client):
    """Messages that were good once, with bytes changed, cut out and put in."""
    client.ws.traffic.allow_garbage()
    rng = random.Random(7)
    seeds = [cbor2.dumps({'type': 'ping', 'payload': {'ping_id': {'a': [1, -2, 1.5, None, True], 'b': 'ü' * 20}}}),
             cbor2.dumps([{'type': 'ping'}, {'type': 'ping', 'id': 'x'}]), b'\xbf\x64type\x7f\x62pi\x62ng\xff\xff',
             cbor2.dumps({'type': 'publish', 'payload': {'channel': 'chat:x', 'type': 'n', 'payload': {'k': 2 ** 40}}})]
    for _ in range(2000):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(data))
            action = rng.randrange(3)
            if action == 0:
                data[at] = rng.randrange(256)
            elif action == 1:
                del data[at:at + rng.randrange(1, 9)]
            else:
                data[at:at] = rng.randbytes(rng.randrange(1, 9))
            data = data or bytearray(1)
        client.ws.send_binary(bytes(data))
    client.send({'type': 'ping', 'payload': {'ping_id': 'the last'}})
    client.wait_for(lambda answer: answer['type'] == 'pong' and answer['payload'].get('ping_id') == 'the last')


def test_compressed_bomb(daemon):
    """What is nothing on the wire is held to the same limits when it is inflated."""
    client = connect_cbor(daemon, daemon.mint('inflater'), extensions='permessage-deflate')
    client.ws.send_compressed(BINARY, b'\x9f' * LIMIT)
    client.wait_error('INVALID_MESSAGE', 'byte 1')
    assert len(zlib.compress(HEAD + b'\x7f' + b'\x60' * 10 * MIB)) < LIMIT
    client.ws.send_compressed(BINARY, HEAD + b'\x7f' + b'\x60' * 10 * MIB)
    assert client.ws.recv_close(skip_data=True).code == 1009


def test_errors_hold_no_content(client):
    """An offset and what was expected there."""
    secret = 'eyJhbGciOiJIUzI1NiJ9'
    for message in (cbor2.dumps({secret: secret, 'x': cbor2.undefined}), cbor2.dumps({secret: b'secret'}),
                    cbor2.dumps({secret: 1})[:-1], cbor2.dumps([secret]), cbor2.dumps({'a': {secret: 2 ** 70}})):
        client.ws.send_binary(message)
        assert secret not in str(client.wait_error('INVALID_MESSAGE'))


def test_others_do_not_hear_of_it(daemon):
    with connect_cbor(daemon, daemon.mint('innocent')) as other, connect(daemon, token=daemon.mint('innocent-too')) as text, \
            connect_cbor(daemon, daemon.mint('guilty')) as client:
        client.ws.traffic.allow_garbage()
        for message, _ in HOSTILE.values():
            client.ws.send_binary(message)
        client.check_alive()
        for listener in (other, text):
            listener.check_alive()
            assert not any(listener.dialect.is_error(message) for message in listener.seen)


def test_strangers_pay_as_well(start):
    """Before it has said who it is, a client may not waste more than another: the same rate, and the same deadline."""
    daemon = start({'auth.auth-timeout': '1s', 'rate.default': '20/10s', 'rate.burst-queue': '0'})
    client = connect_cbor(daemon, '', authenticate=False)
    client.wait_type('connection.established')
    for _ in range(40):
        client.ws.send_binary(HOSTILE['halves'][0])
    codes = [CBOR.error(client.recv())['code'] for _ in range(40)]
    assert codes == ['MESSAGE_TOO_LARGE'] * 20 + ['RATE_LIMIT_EXCEEDED'] * 20
    assert client.ws.recv_close().code == 4001
