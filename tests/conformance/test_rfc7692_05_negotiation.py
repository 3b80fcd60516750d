# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""RFC 7692 sections 5 and 7.1: what is offered, what is taken, what is passed over.

A bad offer is declined, never an error: the connection opens without compression (RFC 7692 section 5).
"""

import pytest

from choir_test import TEXT, Daemon, Handshake, RawWs

from conftest import need_choird


def case(name, *values):
    return pytest.param(*values, id=f'rfc7692-{name}')


def negotiate(server, *offers):
    ws = server.connect()
    handshake = Handshake()
    for offer in offers:
        handshake.add('Sec-WebSocket-Extensions', offer)
    response = ws.handshake(handshake)
    assert response.status == 101, response
    return ws


def check_works(ws):
    text = 'compress me, please: ' * 500
    if ws.extension is not None:
        ws.send_compressed(TEXT, text.encode())
        ws.expect_echo(TEXT, text)
    ws.send_text(text)
    ws.expect_echo(TEXT, text)


ACCEPTED = {
    'bare': 'permessage-deflate',
    'client-bits': 'permessage-deflate; client_max_window_bits',
    'client-takeover': 'permessage-deflate; client_no_context_takeover',
    'server-takeover': 'permessage-deflate; server_no_context_takeover',
    'both-takeovers': 'permessage-deflate; client_no_context_takeover; server_no_context_takeover',
    'chrome': 'permessage-deflate; client_max_window_bits',
    'all-four': 'permessage-deflate; server_no_context_takeover; client_no_context_takeover; '
                'server_max_window_bits=12; client_max_window_bits=12',
    'order': 'permessage-deflate; client_max_window_bits=10; server_no_context_takeover',
    'tight': 'permessage-deflate;client_max_window_bits;server_max_window_bits=10',
    'spaced': 'permessage-deflate  ;  server_max_window_bits = 10',
    'tabs': 'permessage-deflate\t;\tclient_max_window_bits',
    'quoted': 'permessage-deflate; client_max_window_bits="10"',
    'quoted-server': 'permessage-deflate; server_max_window_bits="10"',
    'behind-unknown': 'x-webkit-deflate-frame, permessage-deflate',
    'before-unknown': 'permessage-deflate, x-unknown; a=b; c="d,e;f"',
    'behind-quoted-comma': 'x-unknown; a="permessage-deflate; b, c", permessage-deflate',
    'fallback': 'permessage-deflate; server_max_window_bits=99, permessage-deflate',
    'fallback-unknown-parameter': 'permessage-deflate; novelty, permessage-deflate; client_max_window_bits',
    'fallback-third': 'permessage-deflate; a=1, permessage-deflate; server_max_window_bits=7, permessage-deflate',
    'empty-elements': ', ,permessage-deflate,',
}

DECLINED = {
    'unknown': 'x-webkit-deflate-frame',
    'prefix': 'permessage-defl',
    'suffix': 'permessage-deflate2',
    'bzip2': 'permessage-bzip2',
    'unknown-parameter': 'permessage-deflate; novelty',
    'unknown-parameter-value': 'permessage-deflate; novelty=1',
    'unknown-behind-known': 'permessage-deflate; client_max_window_bits; novelty=1',
    'duplicate-client-bits': 'permessage-deflate; client_max_window_bits; client_max_window_bits',
    'duplicate-client-bits-values': 'permessage-deflate; client_max_window_bits=10; client_max_window_bits=11',
    'duplicate-server-bits': 'permessage-deflate; server_max_window_bits=10; server_max_window_bits=10',
    'duplicate-client-takeover': 'permessage-deflate; client_no_context_takeover; client_no_context_takeover',
    'duplicate-server-takeover': 'permessage-deflate; server_no_context_takeover; server_no_context_takeover',
    'client-takeover-value': 'permessage-deflate; client_no_context_takeover=1',
    'client-takeover-true': 'permessage-deflate; client_no_context_takeover=true',
    'server-takeover-value': 'permessage-deflate; server_no_context_takeover=1',
    'server-bits-no-value': 'permessage-deflate; server_max_window_bits',
    'parameter-only': 'client_max_window_bits',
}
for _side in ('client', 'server'):
    for _name, _value in {'0': '0', '1': '1', '7': '7', '16': '16', '99': '99', 'minus': '-10', 'plus': '+10', '08': '08',
                          '010': '010', 'hex': '0xa', 'word': 'ten', 'float': '10.0', 'quoted-bad': '"7"', 'huge': '99999999999999999999', '256+10': '266'}.items():
        DECLINED[f'{_side}-bits-{_name}'] = f'permessage-deflate; {_side}_max_window_bits={_value}'


@pytest.mark.parametrize('offer', [case(f'7.1-accept-{name}', offer) for name, offer in ACCEPTED.items()])
def test_accepted(server, offer):
    ws = negotiate(server, offer)
    assert ws.extension is not None, 'the offer was declined'
    check_works(ws)


@pytest.mark.parametrize('offer', [case(f'7.1-decline-{name}', offer) for name, offer in DECLINED.items()])
def test_declined(server, offer):
    ws = negotiate(server, offer)
    assert ws.extension is None, f'{offer} was taken: {ws.extension}'
    check_works(ws)
    # Nothing was agreed, so RSV1 means nothing
    ws.send_frame(TEXT, b'\xf2\x48\xcd\xc9\xc9\x07\x00', rsv=4)
    ws.expect_failure(1002)


@pytest.mark.parametrize('offer', [case(f'5-empty-{name}', offer) for name, offer in (
    ('field', ''), ('element', ','), ('trailing-semicolon', 'permessage-deflate;'),
    ('double-semicolon', 'permessage-deflate;; client_max_window_bits'), ('bare-equals', 'permessage-deflate; =10'),
    ('no-value', 'permessage-deflate; client_max_window_bits='), ('open-quote', 'permessage-deflate; client_max_window_bits="10'),
    ('empty-quotes', 'permessage-deflate; client_max_window_bits=""'), ('no-name', '; client_max_window_bits'),
    ('slash', 'permessage/deflate'), ('no-semicolon', 'permessage-deflate client_max_window_bits'))])
def test_malformed_field_is_declined_or_refused(server, offer):
    """RFC 6455 9.1 lets a server fail the handshake over a malformed field; taking it is not allowed."""
    response = server.connect().handshake(Handshake().add('Sec-WebSocket-Extensions', offer))
    assert response.status in (101, 400)
    assert response.get('sec-websocket-extensions') is None


def test_offers_in_two_lines(server):
    ws = negotiate(server, 'x-unknown', 'permessage-deflate')
    assert ws.extension is not None
    check_works(ws)


def test_fallback_in_the_second_line(server):
    ws = negotiate(server, 'permessage-deflate; server_max_window_bits=1', 'permessage-deflate; server_max_window_bits=10')
    assert ws.extension is not None
    assert ws.extension['server_max_window_bits'] <= 10
    check_works(ws)


# 7.1.1: context takeover

def test_server_context_takeover_is_refused_by_default(choird, server):
    """Policy: frames are shared between connections, so the server keeps no context unless told to."""
    assert 'server_no_context_takeover' in negotiate(server, 'permessage-deflate').extension


def test_server_no_context_takeover_is_honoured(server):
    ws = negotiate(server, 'permessage-deflate; server_no_context_takeover')
    assert 'server_no_context_takeover' in ws.extension


def test_server_context_takeover_when_configured(takeover_server):
    ws = negotiate(takeover_server, 'permessage-deflate')
    assert 'server_no_context_takeover' not in ws.extension


def test_server_no_context_takeover_is_honoured_when_configured(takeover_server):
    ws = negotiate(takeover_server, 'permessage-deflate; server_no_context_takeover')
    assert 'server_no_context_takeover' in ws.extension


# 7.1.2: window sizes

@pytest.mark.parametrize('bits', [case(f'7.1.2.1-server-bits-{n}', n) for n in range(9, 16)])
def test_server_window_bits(server, bits):
    ws = negotiate(server, f'permessage-deflate; server_max_window_bits={bits}')
    assert ws.extension.get('server_max_window_bits', 99) <= bits
    check_works(ws)


def test_server_window_of_8_bits_is_declined(server):
    """No raw 8-bit stream can be made with zlib."""
    need_choird()
    ws = negotiate(server, 'permessage-deflate; server_max_window_bits=8')
    assert ws.extension is None
    check_works(ws)


def test_server_window_of_8_bits_falls_back(server):
    need_choird()
    ws = negotiate(server, 'permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=9')
    assert ws.extension['server_max_window_bits'] == 9
    check_works(ws)


@pytest.mark.parametrize('bits', [case(f'7.1.2.2-client-bits-{n}', n) for n in range(8, 16)])
def test_client_window_bits(server, bits):
    ws = negotiate(server, f'permessage-deflate; client_max_window_bits={bits}')
    assert ws.extension is not None
    assert ws.extension.get('client_max_window_bits', bits) <= bits
    check_works(ws)


def test_client_window_bits_are_not_answered_unasked(server):
    """7.1.2.2: without the parameter in the offer the answer must not have it."""
    assert 'client_max_window_bits' not in negotiate(server, 'permessage-deflate').extension
    ws = negotiate(server, 'permessage-deflate; server_max_window_bits=10')
    assert 'client_max_window_bits' not in ws.extension


def test_no_answer_without_an_offer(server):
    assert negotiate(server).extension is None


def test_compression_can_be_switched_off():
    need_choird()
    with Daemon({'protocol.compression': 'no'}) as daemon:
        with RawWs.open(daemon.address, extensions='permessage-deflate') as ws:
            assert ws.extension is None
            ws.finish()
