# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""RFC 6455 section 5.5: pings and pongs (closing has a file of its own)."""

import pytest

from choir_test import BINARY, CLOSE, PING, PONG, TEXT, build_frame
from choir_test.frames import build_header

CONTROLS = {'close': CLOSE, 'ping': PING, 'pong': PONG}


def case(name, *values):
    return pytest.param(*values, id=f'rfc6455-{name}')


@pytest.mark.parametrize('length', [case(f'5.5.2-ping-{n}', n) for n in (0, 1, 2, 3, 4, 7, 8, 9, 63, 64, 124, 125)])
def test_ping_is_answered_with_its_payload(ws, length):
    ws.ping_barrier(bytes(i & 255 for i in range(length)))


def test_pings_of_every_length(ws):
    for length in range(126):
        ws.ping_barrier(bytes([length]) * length)


@pytest.mark.parametrize('chop', [case(f'5.5.2-ping-chop-{n}', n) for n in (1, 2, 5, 6, 7, 64)])
def test_ping_in_pieces(ws, chop):
    ws.send_frame(PING, b'p' * 125, chop=chop)
    frame = ws.recv_frame()
    assert (frame.opcode, frame.payload) == (PONG, b'p' * 125)


@pytest.mark.parametrize('payload', [case(f'5.5.2-ping-{name}', payload) for name, payload in (
    ('not-utf8', b'\xff\xfe\xfd\xfc\xfb\x00\xff'), ('zeros', bytes(8)), ('every-byte', bytes(range(131, 256))))])
def test_ping_payload_is_any_bytes(ws, payload):
    ws.ping_barrier(payload)


@pytest.mark.parametrize('name,length', [
    case(f'5.5-{name}-{length}', name, length) for name in CONTROLS for length in (126, 127, 200, 65535, 65536)])
def test_control_payload_over_125(ws, name, length):
    ws.send_frame(CONTROLS[name], b'\x03\xe8' + b'x' * (length - 2))
    ws.expect_failure(1002)


@pytest.mark.parametrize('name,form', [
    case(f'5.5-{name}-length-in-{form}', name, form) for name in CONTROLS for form in (16, 64)])
def test_control_length_in_the_long_form(ws, name, form):
    """Even a short length: the 7 bits then say 126 or 127."""
    ws.send_frame(CONTROLS[name], b'\x03\xe8', form=form)
    ws.expect_failure(1002)


@pytest.mark.parametrize('name', [case(f'5.5-{name}-126-header-only', name) for name in CONTROLS])
def test_control_length_is_found_before_the_payload(ws, name):
    ws.send_raw(build_header(CONTROLS[name], 126) + b'\0\0\0\0')
    ws.expect_failure(1002)


@pytest.mark.parametrize('payload', [case(f'5.5.3-pong-{name}', payload) for name, payload in (
    ('empty', b''), ('payload', b'unsolicited'), ('125', b'x' * 125), ('not-utf8', b'\xff\xff'))])
def test_unsolicited_pong_is_passed_over(ws, payload):
    ws.send_frame(PONG, payload)
    ws.ping_barrier()
    ws.send_text('still here')
    ws.expect_echo(TEXT, 'still here')


def test_hundred_unsolicited_pongs(ws):
    ws.send_raw(b''.join(build_frame(PONG, f'{i}') for i in range(100)))
    ws.ping_barrier()


@pytest.mark.parametrize('n', [case(f'5.5.3-pings-{n}', n) for n in (2, 10, 100)])
def test_pings_in_one_write(ws, n):
    """Some answers may be left out, never the last; none twice, none out of order, none invented."""
    sent = [f'{i}'.encode() for i in range(n)]
    ws.send_raw(b''.join(build_frame(PING, payload) for payload in sent))
    check_pongs(ws, sent)


def check_pongs(ws, sent):
    at = -1
    while at < len(sent) - 1:
        frame = ws.recv_frame()
        assert frame.opcode == PONG
        position = sent.index(frame.payload)
        assert position > at, f'{frame.payload} after {sent[at]}'
        at = position
    ws.ping_barrier(b'and nothing more')


def test_ping_flood(ws):
    """10,000 pings: bounded answers, the last one among them."""
    sent = [f'{i}'.encode() for i in range(10000)]
    ws.send_raw(b''.join(build_frame(PING, payload, mask=b'abcd') for payload in sent))
    last, n_answers = None, 0
    while last != sent[-1]:
        frame = ws.recv_frame()
        assert frame.opcode == PONG
        last = frame.payload
        n_answers += 1
        assert n_answers <= len(sent)
    ws.ping_barrier(b'and nothing more')


def test_ping_flood_byte_by_byte_borders(ws):
    """Segments that never end where a frame does."""
    sent = [f'{i:04}'.encode() for i in range(1000)]
    ws.send_raw(b''.join(build_frame(PING, payload) for payload in sent), chop=37)
    check_pongs(ws, sent)


def test_pings_and_messages_in_turn(ws):
    for i in range(100):
        ws.send_raw(build_frame(PING, f'{i}') + build_frame(TEXT, f'message {i}'))
        controls = []
        assert ws.recv_message(controls=controls) == (TEXT, f'message {i}'.encode())
        got = [frame.payload for frame in controls]
        if not got:
            frame = ws.recv_frame()
            assert frame.opcode == PONG
            got = [frame.payload]
        assert got == [f'{i}'.encode()]


def test_ping_is_answered_while_a_large_echo_is_under_way(ws):
    payload = bytes(1024 * 1024)
    ws.send_raw(build_frame(BINARY, payload) + build_frame(PING, b'behind'))
    controls = []
    assert ws.recv_message(controls=controls) == (BINARY, payload)
    if not controls:
        controls.append(ws.recv_frame())
    assert [(frame.opcode, frame.payload) for frame in controls] == [(PONG, b'behind')]


def test_ping_inside_a_frame_is_payload(ws):
    """Bytes that look like a ping, inside a binary frame cut by two segments."""
    inner = build_frame(PING, b'not me', mask=b'\0\0\0\0')
    data = build_frame(BINARY, b'x' * 100 + inner + b'y' * 100, mask=b'\0\0\0\0')
    ws.send_raw(data[:106])
    ws.send_raw(data[106:])
    ws.expect_echo(BINARY, b'x' * 100 + inner + b'y' * 100)
