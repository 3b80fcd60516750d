# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""RFC 6455 section 7 and 5.5.1: closing, close codes, and the end of TCP."""

import pytest

from choir_test import BINARY, CLOSE, PING, TEXT, build_close, build_frame
from choir_test.websocket import EndOfStream

# 7.4.1, 7.4.2 and the IANA registry (1012, 1013, 1014)
VALID = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3001, 3500, 3998, 3999, 4000, 4001,
         4500, 4998, 4999]
INVALID = [0, 1, 2, 16, 125, 126, 127, 255, 256, 500, 998, 999, 1004, 1005, 1006, 1015, 1016, 1017, 1050, 1099, 1100,
           1500, 1999, 2000, 2001, 2500, 2998, 2999, 5000, 5001, 9999, 32767, 32768, 65534, 65535]


def case(name, *values):
    return pytest.param(*values, id=f'rfc6455-{name}')


@pytest.mark.parametrize('code', [case(f'7.4-code-{n}', n) for n in VALID])
def test_valid_code_is_echoed(ws, code):
    ws.send_close(code)
    assert ws.recv_close().code == code
    ws.expect_eof()


@pytest.mark.parametrize('code', [case(f'7.4-code-{n}-reason', n) for n in (1000, 1001, 1011, 3000, 4999)])
def test_valid_code_with_a_reason(ws, code):
    ws.send_close(code, 'because κόσμε')
    assert ws.recv_close().code == code
    ws.expect_eof()


@pytest.mark.parametrize('code', [case(f'7.4-code-{n}-invalid', n) for n in INVALID])
def test_invalid_code_is_a_protocol_error(ws, code):
    ws.send_close(code)
    ws.expect_failure(1002)


@pytest.mark.parametrize('code', [case(f'7.4-code-{n}-invalid-reason', n) for n in (0, 999, 1005, 1006, 1015, 2999, 5000)])
def test_invalid_code_with_a_reason(ws, code):
    ws.send_close(code, 'reason')
    ws.expect_failure(1002)


# 5.5.1: the body

def test_close_without_a_body(ws):
    ws.send_close()
    assert ws.recv_close().code in (None, 1000)
    ws.expect_eof()


def test_close_body_of_one_byte(ws):
    ws.send_frame(CLOSE, b'\x03')
    ws.expect_failure(1002)


@pytest.mark.parametrize('length', [case(f'5.5.1-reason-{n}', n) for n in (0, 1, 2, 60, 122, 123)])
def test_reason_lengths(ws, length):
    ws.send_close(1000, 'r' * length)
    assert ws.recv_close().code == 1000
    ws.expect_eof()


@pytest.mark.parametrize('length', [case(f'5.5.1-reason-{n}', n) for n in (124, 125, 200)])
def test_reason_too_long(ws, length):
    ws.send_close(1000, 'r' * length)
    ws.expect_failure(1002)


@pytest.mark.parametrize('reason', [case(f'5.5.1-reason-{name}', reason) for name, reason in (
    ('two-byte', 'ü'), ('three-byte', '€'), ('four-byte', '\U0001f600'), ('nul', 'a\0b'), ('last', '\U0010ffff'),
    ('full', '€' * 41))])
def test_reason_is_utf8(ws, reason):
    ws.send_close(1000, reason)
    assert ws.recv_close().code == 1000
    ws.expect_eof()


@pytest.mark.parametrize('reason', [case(f'5.5.1-bad-reason-{name}', reason) for name, reason in (
    ('stray', b'\x80'), ('ff', b'ok\xff'), ('cut', b'cut \xe2\x82'), ('overlong', b'\xc0\xaf'), ('surrogate', b'\xed\xa0\x80'),
    ('beyond', b'\xf4\x90\x80\x80'), ('autobahn', bytes.fromhex('cebae1bdb9cf83cebcceb5eda080656469746564')))])
def test_reason_is_not_utf8(ws, reason):
    ws.send_close(1000, reason)
    ws.expect_failure(1007)


@pytest.mark.parametrize('chop', [case(f'5.5.1-close-chop-{n}', n) for n in (1, 2, 3, 7)])
def test_close_in_pieces(ws, chop):
    ws.send_raw(build_close(1001, 'going'), chop)
    assert ws.recv_close().code == 1001
    ws.expect_eof()


# 7.1: the sequence

def test_nothing_is_answered_behind_a_close(ws):
    ws.send_raw(build_close(1000) + build_frame(TEXT, 'late') + build_frame(PING, b'late'))
    ws.expect_failure(1000)


def test_second_close_is_not_answered(ws):
    ws.send_raw(build_close(1000) + build_close(1001))
    ws.expect_failure(1000)


def test_invalid_frame_behind_a_close_changes_nothing(ws):
    ws.send_raw(build_close(1000) + b'\xff\xff\xff\xff\xff')
    ws.expect_failure(1000)


def test_close_behind_a_message(ws):
    ws.send_raw(build_frame(TEXT, 'last words') + build_close(1000))
    ws.expect_echo(TEXT, 'last words')
    ws.expect_failure(1000)


def test_close_behind_a_hundred_messages(ws):
    ws.send_raw(b''.join(build_frame(TEXT, f'{i}') for i in range(100)) + build_close(4321, 'done'))
    for i in range(100):
        ws.expect_echo(TEXT, f'{i}')
    ws.expect_failure(4321)


@pytest.mark.parametrize('size', [case(f'7.1-close-behind-{n}', n) for n in (65536, 262144, 1048576)])
def test_close_behind_a_large_message(ws, size):
    """What was queued goes out before the close."""
    payload = bytes(size)
    ws.send_raw(build_frame(BINARY, payload) + build_close(1000))
    ws.expect_echo(BINARY, payload)
    ws.expect_failure(1000)


def test_server_ends_tcp_first(ws):
    """7.1.1: after both closes the server ends TCP at once; nothing more is needed of the client."""
    ws.send_close(1000)
    assert ws.recv_close().code == 1000
    ws.expect_eof(timeout=2)
    assert not ws.reader.reset


@pytest.mark.parametrize('bad', [case(f'7.1.7-{name}-ends-tcp', bad) for name, bad in (
    ('opcode', build_frame(3, b'')), ('utf8', build_frame(TEXT, b'\xff')), ('unmasked', build_frame(TEXT, b'', mask=False)),
    ('code', build_close(999)), ('continuation', build_frame(0, b'')))])
def test_failed_connection_ends_without_the_client(ws, bad):
    """7.1.7: the client never answers the close."""
    ws.send_raw(bad)
    ws.recv_close()
    ws.expect_eof(timeout=5)


def test_nothing_is_read_behind_a_failure(ws):
    ws.send_raw(build_frame(3, b'') + build_frame(TEXT, 'ignored') + build_close(1000))
    ws.expect_failure(1002)


# Half-closed and broken connections

def test_end_of_stream_without_a_close(ws):
    ws.shutdown_write()
    ws.expect_end()


def test_end_of_stream_inside_a_header(ws):
    ws.send_raw(build_frame(TEXT, 'x' * 300)[:3])
    ws.shutdown_write()
    ws.expect_end()


def test_end_of_stream_inside_a_payload(ws):
    ws.send_raw(build_frame(TEXT, 'x' * 300)[:100])
    ws.shutdown_write()
    ws.expect_end()


def test_end_of_stream_inside_a_message(ws):
    ws.send_frame(TEXT, 'open', fin=False)
    ws.shutdown_write()
    ws.expect_end()


def test_end_of_stream_behind_a_close(ws):
    """Half-closed right behind the close frame: the server's close still comes."""
    ws.send_close(1000)
    ws.shutdown_write()
    ws.expect_failure(1000)


def test_end_of_stream_behind_a_message_and_a_close(ws):
    ws.send_raw(build_frame(TEXT, 'last words') + build_close(1000))
    ws.shutdown_write()
    ws.expect_echo(TEXT, 'last words')
    ws.expect_failure(1000)


def test_end_of_stream_behind_a_message(ws):
    """A peer that half-closes without a close frame has failed; its last message may be answered or not."""
    ws.send_text('last words')
    ws.shutdown_write()
    try:
        ws.expect_echo(TEXT, 'last words')
    except EndOfStream:
        return
    ws.expect_end()


@pytest.mark.parametrize('data', [case(f'7.1.7-reset-{name}', data) for name, data in (
    ('idle', b''), ('in-header', b'\x81'), ('in-payload', build_frame(TEXT, 'x' * 100)[:50]),
    ('in-message', build_frame(TEXT, 'x', fin=False)), ('behind-message', build_frame(TEXT, 'x' * 1000)),
    ('behind-close', build_close(1000)))])
def test_reset_harms_nobody_else(server, data):
    bystander = server.open()
    broken = server.open()
    broken.send_raw(data)
    broken.abort()
    for i in range(3):
        bystander.send_text(f'still served {i}')
        bystander.expect_echo(TEXT, f'still served {i}')


def test_many_connections_one_after_another(server):
    for _ in range(50):
        with server.open() as ws:
            ws.send_text('x')
            ws.expect_echo(TEXT, 'x')
            ws.finish()
