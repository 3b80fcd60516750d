# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""RFC 6455 section 5.4: messages in several frames, and what may stand between them."""

import os

import pytest

from choir_test import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, build_close, build_frame

KINDS = {'text': TEXT, 'binary': BINARY}

PARTS = {
    'two': [b'frag', b'ments'],
    'three': [b'one ', b'two ', b'three'],
    'empty-first': [b'', b'rest'],
    'empty-last': [b'all', b''],
    'empty-middle': [b'a', b'', b'b'],
    'empty-both': [b'', b''],
    'empty-three': [b'', b'', b''],
    'empty-ends': [b'', b'middle', b''],
    'single-bytes': [bytes([c]) for c in b'fragmentation'],
    'hundred-empty': [b''] * 100,
    'long-short': [b'x' * 1000, b'y'],
    'short-long': [b'x', b'y' * 1000],
    '126-126': [b'x' * 126, b'y' * 126],
    '64k-64k': [b'x' * 65536, b'y' * 65536],
}


def case(name, *values):
    return pytest.param(*values, id=f'rfc6455-{name}')


def matrix(tag):
    return pytest.mark.parametrize('kind,name', [
        case(f'5.4-{kind}-{name}-{tag}', kind, name) for kind in KINDS for name in PARTS])


@matrix('apart')
def test_fragments(ws, kind, name):
    ws.send_fragments(KINDS[kind], PARTS[name])
    ws.expect_echo(KINDS[kind], b''.join(PARTS[name]))


@matrix('together')
def test_fragments_in_one_write(ws, kind, name):
    ws.send_fragments(KINDS[kind], PARTS[name], together=True)
    ws.expect_echo(KINDS[kind], b''.join(PARTS[name]))


@pytest.mark.parametrize('chop', [case(f'5.4-chop-{n}', n) for n in (1, 2, 5, 9)])
def test_fragments_in_pieces(ws, chop):
    data = b''.join(build_frame(TEXT if i == 0 else CONTINUATION, f'part {i} ', fin=i == 9) for i in range(10))
    ws.send_raw(data, chop)
    ws.expect_echo(TEXT, ''.join(f'part {i} ' for i in range(10)))


@pytest.mark.parametrize('total,size', [
    case(f'5.4-{total}-in-{size}', total, size)
    for total, size in ((1000, 1), (65536, 16), (65536, 64), (65536, 256), (65536, 1000), (65536, 16384),
                        (1048576, 1024), (1048576, 65536), (1048576, 262144))])
def test_many_fragments(ws, total, size):
    payload = os.urandom(total)
    ws.send_fragments(BINARY, [payload[i:i + size] for i in range(0, total, size)], together=True)
    ws.expect_echo(BINARY, payload)


def test_two_fragmented_messages_in_a_row(ws):
    ws.send_fragments(TEXT, ['a', 'b'], together=True)
    ws.send_fragments(BINARY, [b'c', b'd', b'e'], together=True)
    ws.expect_echo(TEXT, 'ab')
    ws.expect_echo(BINARY, b'cde')


# Control frames between fragments

@pytest.mark.parametrize('kind', [case(f'5.4-ping-between-{kind}', kind) for kind in KINDS])
def test_ping_between_fragments_is_answered_at_once(ws, kind):
    """The pong does not wait for the message to end."""
    ws.send_frame(KINDS[kind], 'first ', fin=False)
    ws.ping_barrier(b'between')
    ws.send_frame(CONTINUATION, 'second ', fin=False)
    ws.ping_barrier(b'again')
    ws.send_frame(CONTINUATION, 'third')
    ws.expect_echo(KINDS[kind], 'first second third')


def test_ping_between_fragments_in_one_write(ws):
    ws.send_raw(build_frame(TEXT, 'a', fin=False) + build_frame(PING, b'p') + build_frame(CONTINUATION, 'b'))
    controls = []
    assert ws.recv_message(controls=controls) == (TEXT, b'ab')
    assert [(frame.opcode, frame.payload) for frame in controls] == [(PONG, b'p')]


def test_ping_between_fragments_byte_by_byte(ws):
    data = build_frame(TEXT, 'a', fin=False) + build_frame(PING, b'p') + build_frame(CONTINUATION, 'b')
    ws.send_raw(data, chop=1)
    assert ws.recv_frame().payload == b'p'
    ws.expect_echo(TEXT, 'ab')


def test_ping_between_all_of_fifty_fragments(ws):
    for i in range(50):
        ws.send_frame(TEXT if i == 0 else CONTINUATION, f'{i},', fin=False)
        ws.ping_barrier(f'{i}'.encode())
    ws.send_frame(CONTINUATION, 'end')
    ws.expect_echo(TEXT, ''.join(f'{i},' for i in range(50)) + 'end')


def test_pong_between_fragments_is_passed_over(ws):
    ws.send_raw(build_frame(TEXT, 'a', fin=False) + build_frame(PONG, b'unasked') + build_frame(CONTINUATION, 'b'))
    ws.expect_echo(TEXT, 'ab')


def test_close_between_fragments(ws):
    ws.send_frame(TEXT, 'never ends', fin=False)
    ws.send_close(1000)
    ws.expect_failure(1000)


def test_close_between_fragments_in_one_write(ws):
    ws.send_raw(build_frame(TEXT, 'a', fin=False) + build_close(1001) + build_frame(CONTINUATION, 'b'))
    ws.expect_failure(1001)


# Sequence errors

@pytest.mark.parametrize('payload,fin', [
    case(f'5.4-stray-continuation-{"final" if fin else "open"}-{name}', payload, fin)
    for fin in (True, False) for name, payload in (('empty', b''), ('payload', b'from nowhere'))])
def test_continuation_of_nothing(ws, payload, fin):
    ws.send_frame(CONTINUATION, payload, fin=fin)
    ws.expect_failure(1002)


@pytest.mark.parametrize('payload,fin', [
    case(f'5.4-late-continuation-{"final" if fin else "open"}-{name}', payload, fin)
    for fin in (True, False) for name, payload in (('empty', b''), ('payload', b'too late'))])
def test_continuation_of_a_finished_message(ws, payload, fin):
    ws.send_raw(build_frame(TEXT, 'whole') + build_frame(CONTINUATION, payload, fin=fin))
    ws.expect_echo(TEXT, 'whole')
    ws.expect_failure(1002)


def test_continuation_of_a_finished_fragmented_message(ws):
    ws.send_fragments(TEXT, ['a', 'b'], together=True)
    ws.send_frame(CONTINUATION, 'c')
    ws.expect_echo(TEXT, 'ab')
    ws.expect_failure(1002)


@pytest.mark.parametrize('first,second,fin', [
    case(f'5.4-{one}-inside-{two}-{"final" if fin else "open"}', KINDS[two], KINDS[one], fin)
    for one in KINDS for two in KINDS for fin in (True, False)])
def test_new_message_before_the_last_has_ended(ws, first, second, fin):
    ws.send_frame(first, 'begun', fin=False)
    ws.send_frame(second, 'another', fin=fin)
    ws.expect_failure(1002)


def test_new_message_after_a_ping_before_the_last_has_ended(ws):
    ws.send_raw(build_frame(TEXT, 'begun', fin=False) + build_frame(PING, b'') + build_frame(TEXT, 'another'))
    assert ws.recv_frame().opcode == PONG
    ws.expect_failure(1002)


def test_continuation_behind_a_ping(ws):
    ws.send_raw(build_frame(PING, b'') + build_frame(CONTINUATION, 'x'))
    assert ws.recv_frame().opcode == PONG
    ws.expect_failure(1002)


@pytest.mark.parametrize('opcode', [case(f'5.4-fragmented-{name}', opcode) for name, opcode in (
    ('close', CLOSE), ('ping', PING), ('pong', PONG))])
def test_control_frames_are_never_fragmented(ws, opcode):
    ws.send_frame(opcode, b'\x03\xe8', fin=False)
    ws.expect_failure(1002)


@pytest.mark.parametrize('opcode', [case(f'5.4-fragmented-{name}-inside', opcode) for name, opcode in (
    ('close', CLOSE), ('ping', PING), ('pong', PONG))])
def test_control_frames_are_never_fragmented_inside_a_message(ws, opcode):
    ws.send_raw(build_frame(TEXT, 'a', fin=False) + build_frame(opcode, b'\x03\xe8', fin=False)
                + build_frame(CONTINUATION, b'b'))
    ws.expect_failure(1002)


def test_fragmented_message_is_not_echoed_early(ws):
    ws.send_frame(TEXT, 'wait', fin=False)
    ws.ping_barrier()
    ws.send_frame(CONTINUATION, b'', fin=False)
    ws.ping_barrier()
    ws.send_frame(CONTINUATION, b'')
    ws.expect_echo(TEXT, 'wait')
