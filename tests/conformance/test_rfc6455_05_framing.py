# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""RFC 6455 section 5.2 and 5.3: opcodes, RSV bits, masks and lengths."""

import os
import struct

import pytest

from choir_test import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, build_frame
from choir_test.frames import build_header, mask_bytes

OPCODES = {'continuation': CONTINUATION, 'text': TEXT, 'binary': BINARY, 'close': CLOSE, 'ping': PING, 'pong': PONG}
RESERVED = [0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF]


def case(name, *values):
    return pytest.param(*values, id=f'rfc6455-{name}')


def reserved(form):
    return pytest.mark.parametrize('opcode', [case(f'5.2-opcode-{n:x}-{form}', n) for n in RESERVED])


# 5.2 opcodes

@reserved('empty')
def test_reserved_opcode(ws, opcode):
    ws.send_frame(opcode)
    ws.expect_failure(1002)


@reserved('payload')
def test_reserved_opcode_with_payload(ws, opcode):
    ws.send_frame(opcode, b'reserved for further frames')
    ws.expect_failure(1002)


@reserved('not-final')
def test_reserved_opcode_not_final(ws, opcode):
    ws.send_frame(opcode, b'x', fin=False)
    ws.expect_failure(1002)


@reserved('after-text')
def test_reserved_opcode_behind_a_message(ws, opcode):
    """The message before it is answered; what follows it is not."""
    ws.send_raw(build_frame(TEXT, 'good') + build_frame(opcode, b'bad') + build_frame(PING, b'unheard'))
    ws.expect_echo(TEXT, 'good')
    ws.expect_failure(1002)


@reserved('in-fragments')
def test_reserved_opcode_between_fragments(ws, opcode):
    ws.send_raw(build_frame(TEXT, 'frag', fin=False) + build_frame(opcode, b''))
    ws.expect_failure(1002)


@reserved('header-only')
def test_reserved_opcode_is_found_before_its_payload(ws, opcode):
    """Fail-fast: the payload announced never comes."""
    length = 125 if opcode >= 8 else 100000
    ws.send_raw(build_header(opcode, length) + b'\0\0\0\0')
    ws.expect_failure(1002)


# 5.2 RSV1-3: zero unless an extension defines them

@pytest.mark.parametrize('name,rsv', [
    case(f'5.2-rsv{rsv}-{name}', name, rsv) for name in OPCODES for rsv in range(1, 8)])
def test_rsv_bits(ws, name, rsv):
    if name == 'continuation':
        ws.send_frame(TEXT, b'start', fin=False)
    payload = b'\x03\xe8' if name == 'close' else b'payload'
    ws.send_frame(OPCODES[name], payload, rsv=rsv)
    ws.expect_failure(1002)


@pytest.mark.parametrize('rsv', [case(f'5.2-rsv{rsv}-after-text', rsv) for rsv in range(1, 8)])
def test_rsv_bits_behind_a_message(ws, rsv):
    ws.send_raw(build_frame(TEXT, 'good') + build_frame(TEXT, 'bad', rsv=rsv) + build_frame(PING, b''))
    ws.expect_echo(TEXT, 'good')
    ws.expect_failure(1002)


@pytest.mark.parametrize('chop', [case(f'5.2-rsv-chop-{n}', n) for n in (1, 3)])
def test_rsv_bits_in_pieces(ws, chop):
    ws.send_frame(TEXT, 'bad', rsv=2, chop=chop)
    ws.expect_failure(1002)


# 5.1, 5.3 masks

@pytest.mark.parametrize('name', [case(f'5.1-unmasked-{name}', name) for name in OPCODES])
def test_unmasked_frame(ws, name):
    if name == 'continuation':
        ws.send_frame(TEXT, b'start', fin=False)
    payload = b'\x03\xe8' if name == 'close' else b'payload'
    ws.send_frame(OPCODES[name], payload, mask=False)
    ws.expect_failure(1002)


@pytest.mark.parametrize('length', [case(f'5.1-unmasked-length-{n}', n) for n in (0, 126, 65536)])
def test_unmasked_frame_of_any_length(ws, length):
    ws.send_frame(BINARY, bytes(length), mask=False)
    ws.expect_failure(1002)


def test_unmasked_frame_is_found_before_its_payload(ws):
    ws.send_raw(build_header(TEXT, 1000, masked=False))
    ws.expect_failure(1002)


def test_unmasked_frame_behind_a_message(ws):
    ws.send_raw(build_frame(TEXT, 'good') + build_frame(TEXT, 'bad', mask=False))
    ws.expect_echo(TEXT, 'good')
    ws.expect_failure(1002)


@pytest.mark.parametrize('key', [case(f'5.3-mask-{key.hex()}', key) for key in (
    b'\0\0\0\0', b'\xff\xff\xff\xff', b'\x01\x02\x03\x04', b'\x80\0\0\x01', b'\x37\xfa\x21\x3d', b'\0\xff\0\xff')])
def test_masking_keys(ws, key):
    for length in (0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 127, 1001):
        payload = os.urandom(length)
        ws.send_frame(BINARY, payload, mask=key)
        ws.expect_echo(BINARY, payload)


def test_the_masked_hello_of_the_rfc(ws):
    """5.7: a single-frame masked text message."""
    ws.send_raw(bytes.fromhex('818537fa213d7f9f4d5158'))
    ws.expect_echo(TEXT, 'Hello')


@pytest.mark.parametrize('at', [case(f'5.3-mask-phase-{n}', n) for n in range(1, 14)])
def test_mask_phase_across_reads(ws, at):
    """The key keeps its place wherever the segments are cut."""
    data = build_frame(TEXT, 'abcdefghijklmnopqrstuvwxyz', mask=b'\x12\x34\x56\x78')
    ws.send_raw(data[:6 + at])
    ws.send_raw(data[6 + at:])
    ws.expect_echo(TEXT, 'abcdefghijklmnopqrstuvwxyz')


@pytest.mark.parametrize('prime', [case(f'5.3-mask-chop-{n}', n) for n in (1, 3, 5, 7, 11, 13)])
def test_mask_phase_in_small_pieces(ws, prime):
    payload = bytes(i * 7 & 255 for i in range(700))
    ws.send_frame(BINARY, payload, chop=prime)
    ws.expect_echo(BINARY, payload)


# 5.2 lengths

LENGTHS = [0, 1, 2, 3, 4, 124, 125, 126, 127, 128, 129, 255, 256, 257, 1000, 4094, 4095, 4096, 4097, 16383, 16384, 32767,
           32768, 65533, 65534, 65535, 65536, 65537, 65540, 131071, 131072, 262144, 524288, 1048575, 1048576]


@pytest.mark.parametrize('length', [case(f'5.2-text-{n}', n) for n in LENGTHS])
def test_text_of_length(ws, length):
    text = ('0123456789abcdef' * (length // 16 + 1))[:length]
    ws.send_text(text)
    ws.expect_echo(TEXT, text)


@pytest.mark.parametrize('length', [case(f'5.2-binary-{n}', n) for n in LENGTHS])
def test_binary_of_length(ws, length):
    payload = os.urandom(length)
    ws.send_binary(payload)
    ws.expect_echo(BINARY, payload)


@pytest.mark.parametrize('length,chop', [
    case(f'5.2-binary-{length}-chop-{chop}', length, chop)
    for length, chop in ((0, 1), (1, 1), (125, 1), (126, 1), (127, 1), (1000, 1), (65535, 64), (65536, 64),
                         (65536, 997), (131072, 1021), (1048576, 4096))])
def test_binary_in_pieces(ws, length, chop):
    payload = os.urandom(length)
    ws.send_frame(BINARY, payload, chop=chop)
    ws.expect_echo(BINARY, payload)


@pytest.mark.parametrize('length', [case(f'5.2-header-chop-{n}', n) for n in (5, 126, 65536)])
def test_header_cut_everywhere(ws, length):
    """Every border inside a header, one message for each."""
    payload = b'h' * length
    header = len(build_frame(BINARY, payload)) - length
    for at in range(1, header + 1):
        data = build_frame(BINARY, payload)
        ws.send_raw(data[:at])
        ws.send_raw(data[at:])
        ws.expect_echo(BINARY, payload)


@pytest.mark.parametrize('opcode,length,form', [
    case(f'5.2-nonminimal-{name}-{length}-in-{form}', OPCODES[name], length, form)
    for name in ('text', 'binary')
    for length, form in ((0, 16), (1, 16), (125, 16), (0, 64), (125, 64), (126, 64), (65535, 64))])
def test_length_must_be_minimal(ws, opcode, length, form):
    ws.send_frame(opcode, b'a' * length, form=form)
    ws.expect_failure(1002)


@pytest.mark.parametrize('name', [case(f'5.2-nonminimal-continuation-{form}', form) for form in (16, 64)])
def test_length_must_be_minimal_in_continuations(ws, name):
    ws.send_frame(TEXT, 'a', fin=False)
    ws.send_frame(CONTINUATION, 'b', form=name)
    ws.expect_failure(1002)


@pytest.mark.parametrize('length', [case(f'5.2-top-bit-{n:x}', n) for n in (1 << 63, (1 << 63) + 5, (1 << 64) - 1)])
def test_top_bit_of_a_64_bit_length(ws, length):
    ws.send_raw(struct.pack('!BBQ', 0x82, 0xFF, length) + b'\0\0\0\0')
    ws.expect_failure(1002)


def test_messages_of_rising_length_in_one_write(ws):
    payloads = [bytes([n & 255]) * n for n in range(0, 300)]
    ws.send_raw(b''.join(build_frame(BINARY, payload) for payload in payloads))
    for payload in payloads:
        ws.expect_echo(BINARY, payload)


def test_many_messages_in_one_write(ws):
    ws.send_raw(b''.join(build_frame(TEXT, f'{i}', mask=b'abcd') for i in range(5000)))
    for i in range(5000):
        ws.expect_echo(TEXT, f'{i}')


def test_text_and_binary_take_turns(ws):
    for i in range(200):
        opcode = TEXT if i % 2 else BINARY
        ws.send_frame(opcode, b'same bytes')
        ws.expect_echo(opcode, b'same bytes')


def test_binary_need_not_be_utf8(ws):
    payload = bytes(range(256)) * 4
    ws.send_binary(payload)
    ws.expect_echo(BINARY, payload)


def test_two_connections_do_not_mix(server):
    one, two = server.open(), server.open()
    first, second = build_frame(TEXT, 'one ' * 50), build_frame(TEXT, 'two ' * 50)
    for at in range(0, max(len(first), len(second)), 10):
        one.send_raw(first[at:at + 10])
        two.send_raw(second[at:at + 10])
    two.expect_echo(TEXT, 'two ' * 50)
    one.expect_echo(TEXT, 'one ' * 50)


def test_mask_helper_is_its_own_inverse():
    data = os.urandom(1001)
    assert mask_bytes(mask_bytes(data, b'wxyz'), b'wxyz') == data
