# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""RFC 6455 section 8.1 and RFC 3629: text is UTF-8, and the first byte that is not ends the connection."""

import pytest

from choir_test import BINARY, CONTINUATION, TEXT, build_frame
from choir_test.frames import build_header, mask_bytes

VALID = {
    'ascii': 'Hello-World'.encode(),
    'greek': 'κόσμε'.encode(),
    'mixed': 'Hello-µ@ßöäüàá-UTF-8!!'.encode(),
    'kanji': '日本語テキスト'.encode(),
    'emoji': '😀👩‍👩‍👧‍👦🏳️‍🌈'.encode(),
    'nul': b'\x00',
    'u7f': b'\x7f',
    'u80': b'\xc2\x80',
    'u7ff': b'\xdf\xbf',
    'u800': b'\xe0\xa0\x80',
    'ufff': b'\xe0\xbf\xbf',
    'u1000': b'\xe1\x80\x80',
    'ucfff': b'\xec\xbf\xbf',
    'ud000': b'\xed\x80\x80',
    'ud7ff': b'\xed\x9f\xbf',
    'ue000': b'\xee\x80\x80',
    'ufdd0': b'\xef\xb7\x90',
    'bom': b'\xef\xbb\xbf',
    'bom-text': b'\xef\xbb\xbftext',
    'ufffd': b'\xef\xbf\xbd',
    'ufffe': b'\xef\xbf\xbe',
    'uffff': b'\xef\xbf\xbf',
    'u10000': b'\xf0\x90\x80\x80',
    'u1ffff': b'\xf0\x9f\xbf\xbf',
    'u3ffff': b'\xf0\xbf\xbf\xbf',
    'u40000': b'\xf1\x80\x80\x80',
    'ufffff': b'\xf3\xbf\xbf\xbf',
    'u100000': b'\xf4\x80\x80\x80',
    'u10ffff': b'\xf4\x8f\xbf\xbf',
    'all-lengths': 'a\u00e9\u20ac\U0001d11e'.encode() * 3,
}

# Name: (bytes, offset of the first byte that can't be part of any text; None: only the end shows it)
INVALID = {
    'stray-80': (b'\x80', 0),
    'stray-bf': (b'\xbf', 0),
    'stray-two': (b'\x80\xbf', 0),
    'stray-after-ascii': (b'ab\x80', 2),
    'stray-after-two-byte': (b'\xc2\x80\x80', 2),
    'stray-after-three-byte': (b'\xe2\x82\xac\xac', 3),
    'stray-after-four-byte': (b'\xf0\x9f\x98\x80\x80', 4),
    'lead-c0': (b'\xc0', 0),
    'lead-c1': (b'\xc1', 0),
    'lead-f5': (b'\xf5', 0),
    'lead-f7': (b'\xf7', 0),
    'lead-f8': (b'\xf8\x88\x80\x80\x80', 0),
    'lead-fc': (b'\xfc\x84\x80\x80\x80\x80', 0),
    'lead-fe': (b'\xfe', 0),
    'lead-ff': (b'\xff', 0),
    'utf16-bom': (b'\xff\xfe', 0),
    'overlong-slash-2': (b'\xc0\xaf', 0),
    'overlong-nul-2': (b'\xc0\x80', 0),
    'overlong-7f-2': (b'\xc1\xbf', 0),
    'overlong-slash-3': (b'\xe0\x80\xaf', 1),
    'overlong-nul-3': (b'\xe0\x80\x80', 1),
    'overlong-7ff-3': (b'\xe0\x9f\xbf', 1),
    'overlong-slash-4': (b'\xf0\x80\x80\xaf', 1),
    'overlong-ffff-4': (b'\xf0\x8f\xbf\xbf', 1),
    'surrogate-d800': (b'\xed\xa0\x80', 1),
    'surrogate-db7f': (b'\xed\xad\xbf', 1),
    'surrogate-dbff': (b'\xed\xaf\xbf', 1),
    'surrogate-dc00': (b'\xed\xb0\x80', 1),
    'surrogate-dfff': (b'\xed\xbf\xbf', 1),
    'surrogate-pair': (b'\xed\xa0\x80\xed\xb0\x80', 1),
    'surrogate-last-pair': (b'\xed\xaf\xbf\xed\xbf\xbf', 1),
    'beyond-110000': (b'\xf4\x90\x80\x80', 1),
    'beyond-13ffff': (b'\xf4\xbf\xbf\xbf', 1),
    'beyond-1fffff': (b'\xf7\xbf\xbf\xbf', 0),
    'two-then-ascii': (b'\xc2A', 1),
    'three-then-ascii': (b'\xe2\x82A', 2),
    'three-then-lead': (b'\xe2\x82\xe2\x82\xac', 2),
    'four-then-ascii-1': (b'\xf0A', 1),
    'four-then-ascii-2': (b'\xf0\x9fA', 2),
    'four-then-ascii-3': (b'\xf0\x9f\x98A', 3),
    'two-then-two': (b'\xc2\xc2\x80', 1),
    'space-after-leads': (b'\xc3 \xc4 ', 1),
    'latin1': ('größe'.encode('latin-1'), 2),
    'autobahn-6.3': (bytes.fromhex('cebae1bdb9cf83cebcceb5eda080656469746564'), 12),
    'autobahn-6.4': (bytes.fromhex('cebae1bdb9cf83cebcceb5f4908080656469746564'), 12),
    'cut-2': (b'\xc2', None),
    'cut-3-1': (b'\xe2', None),
    'cut-3-2': (b'\xe2\x82', None),
    'cut-4-1': (b'\xf0', None),
    'cut-4-2': (b'\xf0\x9f', None),
    'cut-4-3': (b'\xf0\x9f\x98', None),
    'cut-after-text': (b'text \xe2\x82', None),
}


def case(name, *values):
    return pytest.param(*values, id=f'rfc6455-{name}')


def valid(tag):
    return pytest.mark.parametrize('data', [case(f'8.1-valid-{name}-{tag}', data) for name, data in VALID.items()])


def invalid(tag, early_only=False):
    return pytest.mark.parametrize('data,at', [
        case(f'8.1-invalid-{name}-{tag}', data, at) for name, (data, at) in INVALID.items()
        if at is not None or not early_only])


def test_the_tables_agree_with_pythons_decoder():
    for data in VALID.values():
        data.decode('utf-8')
    for name, (data, _) in INVALID.items():
        with pytest.raises(UnicodeDecodeError):
            data.decode('utf-8')
            pytest.fail(name)


@valid('whole')
def test_valid(ws, data):
    ws.send_text(data)
    ws.expect_echo(TEXT, data)


@valid('fragmented')
def test_valid_fragmented_at_every_byte(ws, data):
    ws.send_fragments(TEXT, [data[i:i + 1] for i in range(len(data))])
    ws.expect_echo(TEXT, data)


@valid('chop')
def test_valid_byte_by_byte(ws, data):
    ws.send_frame(TEXT, data, chop=1)
    ws.expect_echo(TEXT, data)


@valid('split')
def test_valid_split_in_two_at_every_byte(ws, data):
    """Half a character at the end of a frame is no failure: a ping in between is answered."""
    for at in range(len(data) + 1):
        ws.send_frame(TEXT, data[:at], fin=False)
        ws.ping_barrier()
        ws.send_frame(CONTINUATION, data[at:])
        ws.expect_echo(TEXT, data)


@invalid('whole')
def test_invalid(ws, data, at):
    ws.send_text(data)
    ws.expect_failure(1007)


@invalid('padded')
def test_invalid_inside_good_text(ws, data, at):
    """Far enough in that fast paths for ASCII run, at an odd place."""
    good = 'Grüße aus dem Text, '.encode() * 5 + b'x'
    behind = b'' if at is None else b' and more' * 10
    ws.send_text(good + data + behind)
    ws.expect_failure(1007)


@invalid('fragmented')
def test_invalid_fragmented_at_every_byte(ws, data, at):
    """Fail-fast: the message never ends unless only its end shows the fault."""
    final = at is None
    for i in range(len(data)):
        ws.send_frame(TEXT if i == 0 else CONTINUATION, data[i:i + 1], fin=final and i == len(data) - 1)
    ws.expect_failure(1007)


@invalid('unfinished', early_only=True)
def test_invalid_is_found_inside_an_unfinished_frame(ws, data, at):
    """Fail-fast inside one frame: only the bytes up to the bad one are ever sent."""
    key = b'\x11\x22\x33\x44'
    ws.send_raw(build_header(TEXT, 1000) + key + mask_bytes(data[:at + 1], key))
    ws.expect_failure(1007)


@invalid('not-early', early_only=True)
def test_good_bytes_before_a_bad_one_are_no_failure(ws, data, at):
    """All before the bad byte could still become text: the connection lives until that byte comes."""
    ws.send_frame(TEXT, data[:at], fin=False)
    ws.ping_barrier()
    ws.send_frame(CONTINUATION, data[at:at + 1], fin=False)
    ws.expect_failure(1007)


def test_fail_fast_of_autobahn_6_4_1(ws):
    ws.send_frame(TEXT, bytes.fromhex('cebae1bdb9cf83cebcceb5'), fin=False)
    ws.ping_barrier()
    ws.send_frame(CONTINUATION, bytes.fromhex('f4908080'), fin=False)
    ws.expect_failure(1007)


def test_fail_fast_of_autobahn_6_4_3(ws):
    """One frame in three segments: good, bad, and one that is never sent."""
    data = bytes.fromhex('cebae1bdb9cf83cebcceb5f4908080656469746564')
    key = b'\0\0\0\0'
    ws.send_raw(build_header(TEXT, len(data)) + key + data[:11])
    ws.send_raw(data[11:15])
    ws.expect_failure(1007)


def test_cut_character_at_the_end_of_a_fragmented_message(ws):
    ws.send_raw(build_frame(TEXT, b'\xe2', fin=False) + build_frame(CONTINUATION, b'\x82', fin=False)
                + build_frame(CONTINUATION, b''))
    ws.expect_failure(1007)


def test_state_does_not_leak_into_the_next_message(ws):
    """A character finished in one message owes nothing to the next."""
    for _ in range(10):
        ws.send_fragments(TEXT, [b'\xe2\x82', b'\xac'])
        ws.expect_echo(TEXT, '€')
        ws.send_text('a')
        ws.expect_echo(TEXT, 'a')


def test_state_of_text_does_not_leak_into_binary(ws):
    ws.send_text('text')
    ws.expect_echo(TEXT, 'text')
    ws.send_binary(b'\xff\xfe\x80')
    ws.expect_echo(BINARY, b'\xff\xfe\x80')


def test_all_two_byte_characters(ws):
    text = ''.join(map(chr, range(0x80, 0x800)))
    ws.send_text(text)
    ws.expect_echo(TEXT, text)


def test_all_of_the_basic_plane(ws):
    text = ''.join(chr(c) for c in range(0x800, 0x10000) if not 0xD800 <= c < 0xE000)
    ws.send_text(text)
    ws.expect_echo(TEXT, text)


def test_samples_of_all_planes(ws):
    text = ''.join(chr(c) for c in range(0x10000, 0x110000, 37))
    ws.send_text(text)
    ws.expect_echo(TEXT, text)


@pytest.mark.parametrize('chop', [case(f'8.1-long-chop-{n}', n) for n in (1, 3, 64, 1000)])
def test_long_text_in_pieces(ws, chop):
    text = 'naïve café €5 😀 ' * 200
    ws.send_frame(TEXT, text, chop=chop)
    ws.expect_echo(TEXT, text)


@pytest.mark.parametrize('offset', [case(f'8.1-bad-byte-at-{n}', n) for n in (
    0, 1, 7, 8, 15, 16, 31, 32, 33, 63, 64, 127, 128, 1000, 4095, 4096, 65535, 65536, 100000)])
def test_bad_byte_anywhere_in_ascii(ws, offset):
    ws.send_text(b'a' * offset + b'\xff' + b'b' * 50)
    ws.expect_failure(1007)
