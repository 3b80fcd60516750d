# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""RFC 7692 sections 6 and 7.2: compressed messages in both directions."""

import functools
import os
import random
import zlib

import pytest

from choir_test import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, CompressionContext, build_frame
from choir_test.frames import RSV1

from conftest import MAX_MESSAGE

# Where inflating fails there are two honest codes: the data is not consistent with the type (1007), or it breaks the extension (1002)
BAD_DATA = (1007, 1002)
OFFER = 'permessage-deflate'


def case(name, *values):
    return pytest.param(*values, id=f'rfc7692-{name}')


@pytest.fixture
def ws(server):
    return opened(server)


def opened(server, offer=OFFER):
    ws = server.open(extensions=offer)
    assert ws.extension is not None
    return ws


def send_raw_compressed(ws, data, opcode=TEXT, fin=True):
    ws.send_frame(opcode, data, rsv=RSV1, fin=fin)


@functools.lru_cache(maxsize=None)
def json_like(length, seed=1):
    rng = random.Random(seed)
    words = ['"type"', '"chat.message"', '"payload"', '"user_id"', 'true', 'null', '"content"', '{', '}', ':', ',', 'Grüße']
    out = ''
    while len(out.encode()) < length:
        out += rng.choice(words) + str(rng.randrange(1000))
    data = out.encode()[:length]
    return data.decode('utf-8', 'ignore').encode()


# 7.2.3: the examples of the RFC

HELLO = {
    '7.2.3.1-one-block': 'f248cdc9c90700',
    '7.2.3.3-stored': '000500faff48656c6c6f00',
    '7.2.3.4-bfinal': 'f348cdc9c9070000',
    '7.2.3.5-two-blocks': 'f248050000' '00ffffcac9c90700',
}


@pytest.mark.parametrize('data', [case(name, bytes.fromhex(data)) for name, data in HELLO.items()])
def test_hello(ws, data):
    send_raw_compressed(ws, data)
    ws.expect_echo(TEXT, 'Hello')


def test_hello_fragmented(ws):
    """7.2.3.1: RSV1 on the first frame only."""
    send_raw_compressed(ws, bytes.fromhex('f248cd'), fin=False)
    ws.send_frame(CONTINUATION, bytes.fromhex('c9c90700'))
    ws.expect_echo(TEXT, 'Hello')


def test_hello_with_a_shared_window(server):
    """7.2.3.2: the second message refers to the first."""
    ws = opened(server)
    send_raw_compressed(ws, bytes.fromhex('f248cdc9c90700'))
    ws.expect_echo(TEXT, 'Hello')
    second = 'f248cdc9c90700' if 'client_no_context_takeover' in ws.extension else 'f200110000'
    send_raw_compressed(ws, bytes.fromhex(second))
    ws.expect_echo(TEXT, 'Hello')


def test_shared_window_when_configured(takeover_server):
    ws = opened(takeover_server)
    assert 'client_no_context_takeover' not in ws.extension
    send_raw_compressed(ws, bytes.fromhex('f248cdc9c90700'))
    ws.expect_echo(TEXT, 'Hello')
    for _ in range(3):
        send_raw_compressed(ws, bytes.fromhex('f200110000'))
        ws.expect_echo(TEXT, 'Hello')


def test_reference_to_a_window_that_is_not_kept(server):
    """A client that promised no context takeover, and breaks it: the reference points at nothing."""
    ws = opened(server, 'permessage-deflate; client_no_context_takeover')
    send_raw_compressed(ws, bytes.fromhex('f248cdc9c90700'))
    ws.expect_echo(TEXT, 'Hello')
    if 'client_no_context_takeover' not in ws.extension:
        pytest.skip('the server keeps the context anyway')
    send_raw_compressed(ws, bytes.fromhex('f200110000'))
    ws.expect_failure(*BAD_DATA)


def test_bfinal_many_times(ws):
    """7.2.3.4: a stream that ended must not keep the next message from being read."""
    for _ in range(5):
        send_raw_compressed(ws, bytes.fromhex('f348cdc9c9070000'))
        ws.expect_echo(TEXT, 'Hello')
    ws.send_compressed(TEXT, b'and a common one')
    ws.expect_echo(TEXT, 'and a common one')


def test_bfinal_then_shared_window(takeover_server):
    """The window outlives a final block."""
    ws = opened(takeover_server)
    send_raw_compressed(ws, bytes.fromhex('f348cdc9c9070000'))
    ws.expect_echo(TEXT, 'Hello')
    ws.send_compressed(TEXT, b'a message of its own context')
    ws.expect_echo(TEXT, 'a message of its own context')


def test_bfinal_fragmented(ws):
    for i, byte in enumerate(bytes.fromhex('f348cdc9c9070000')):
        ws.send_frame(TEXT if i == 0 else CONTINUATION, bytes([byte]), fin=i == 7, rsv=RSV1 if i == 0 else 0)
    ws.expect_echo(TEXT, 'Hello')


# 7.2.3.6: empty messages

@pytest.mark.parametrize('opcode,data', [
    case(f'7.2.3.6-empty-{kind}-{name}', opcode, data)
    for kind, opcode in (('text', TEXT), ('binary', BINARY))
    for name, data in (('00', b'\x00'), ('0200', b'\x02\x00'), ('030000-final', b'\x03\x00\x00'))])
def test_empty_message(ws, opcode, data):
    send_raw_compressed(ws, data, opcode)
    ws.expect_echo(opcode, b'')
    ws.send_compressed(TEXT, b'next')
    ws.expect_echo(TEXT, b'next')


def test_empty_uncompressed_message(ws):
    ws.send_text('')
    ws.expect_echo(TEXT, '')


def test_empty_fragments_round_a_compressed_message(ws):
    body = ws.context.compress(b'payload in the middle')
    ws.send_frame(TEXT, b'', fin=False, rsv=RSV1)
    ws.send_frame(CONTINUATION, body, fin=False)
    ws.send_frame(CONTINUATION, b'', fin=False)
    ws.send_frame(CONTINUATION, b'')
    ws.expect_echo(TEXT, 'payload in the middle')


# 7.2: sizes, contents, parameters; after the model of Autobahn's groups 12 and 13

OFFERS = {
    'bare': 'permessage-deflate',
    'client-stateless': 'permessage-deflate; client_no_context_takeover',
    'server-stateless': 'permessage-deflate; server_no_context_takeover',
    'both-stateless': 'permessage-deflate; client_no_context_takeover; server_no_context_takeover',
    'bits-9': 'permessage-deflate; server_max_window_bits=9; client_max_window_bits=9',
    'bits-12': 'permessage-deflate; server_max_window_bits=12; client_max_window_bits=12',
    'bits-15': 'permessage-deflate; server_max_window_bits=15; client_max_window_bits=15',
    'bits-9-stateless': 'permessage-deflate; server_max_window_bits=9; client_max_window_bits=9; '
                        'client_no_context_takeover; server_no_context_takeover',
}


@pytest.mark.parametrize('offer,size', [
    case(f'7.2-{name}-{size}', offer, size)
    for name, offer in OFFERS.items() for size in (16, 64, 256, 1024, 4096, 16384, 65536, 131072)])
def test_messages(server, offer, size):
    ws = opened(server, offer)
    for i in range(5):
        data = json_like(size, i)
        ws.send_compressed(TEXT, data)
        ws.expect_echo(TEXT, data)
        ws.send_compressed(BINARY, data, parts=4)
        ws.expect_echo(BINARY, data)


@pytest.mark.parametrize('offer,size', [
    case(f'7.2-takeover-{name}-{size}', offer, size)
    for name, offer in OFFERS.items() for size in (64, 4096, 65536)])
def test_messages_with_context(takeover_server, offer, size):
    ws = opened(takeover_server, offer)
    for i in range(8):
        data = json_like(size, i // 2)
        ws.send_compressed(TEXT, data)
        ws.expect_echo(TEXT, data)


@pytest.mark.parametrize('size', [case(f'7.2-random-{n}', n) for n in (1, 100, 1000, 65536, 500000)])
def test_incompressible(ws, size):
    data = os.urandom(size)
    ws.send_compressed(BINARY, data)
    ws.expect_echo(BINARY, data)


@pytest.mark.parametrize('size', [case(f'7.2-zeros-{n}', n) for n in (1, 1000, 65536, MAX_MESSAGE)])
def test_very_compressible(ws, size):
    ws.send_compressed(BINARY, bytes(size))
    ws.expect_echo(BINARY, bytes(size))


@pytest.mark.parametrize('level', [case(f'7.2-level-{n}', n) for n in (0, 1, 9)])
def test_levels(ws, level):
    """Level 0 makes stored blocks."""
    data = json_like(100000)
    body = CompressionContext(ws.extension).compress(data, level)
    send_raw_compressed(ws, body)
    ws.expect_echo(TEXT, data)


@pytest.mark.parametrize('flush', [case(f'7.2.1-flush-{name}', flush) for name, flush in (
    ('sync', zlib.Z_SYNC_FLUSH), ('full', zlib.Z_FULL_FLUSH))])
def test_many_blocks(ws, flush):
    """A flush in the middle is data like any other: empty stored blocks inside the message."""
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
    body = b''
    for i in range(100):
        body += deflater.compress(f'part {i}; '.encode()) + deflater.flush(flush)
    send_raw_compressed(ws, body[:-4])
    ws.expect_echo(TEXT, ''.join(f'part {i}; ' for i in range(100)))


@pytest.mark.parametrize('strategy', [case(f'7.2.1-strategy-{name}', value) for name, value in (
    ('fixed', zlib.Z_FIXED), ('huffman', zlib.Z_HUFFMAN_ONLY), ('rle', zlib.Z_RLE))])
def test_block_types(ws, strategy):
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15, 8, strategy)
    data = json_like(20000)
    body = deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH)
    send_raw_compressed(ws, body[:-4])
    ws.expect_echo(TEXT, data)


def test_reference_across_the_whole_window(ws):
    """32 KiB back: the client may use all of a 15-bit window inside one message."""
    block = os.urandom(32000)
    ws.send_compressed(BINARY, block + block + block)
    ws.expect_echo(BINARY, block + block + block)


def test_large_answers_are_compressed(ws, choird):
    data = b'the same again ' * 5000
    ws.send_compressed(TEXT, data)
    ws.expect_echo(TEXT, data)
    assert ws.was_compressed, 'a large compressible message came back plain'


def test_answers_refer_to_the_one_before(takeover_server):
    """7.1.1.1: with a kept context the second answer of the same text is a fraction of the first. The text fits any
    window a server may have chosen for itself."""
    ws = opened(takeover_server)
    data = json_like(1500)
    sizes = []
    for _ in range(2):
        ws.send_compressed(TEXT, data)
        frame = ws.recv_frame()
        assert frame.fin and frame.rsv == RSV1
        assert ws.context.decompress(frame.payload) == data
        sizes.append(len(frame.payload))
    assert sizes[1] * 4 < sizes[0], sizes


def test_answers_stand_alone_without_context(ws, choird):
    data = json_like(6000)
    for _ in range(3):
        ws.send_compressed(TEXT, data)
        frame = ws.recv_frame()
        assert frame.fin and frame.rsv == RSV1
        assert zlib.decompressobj(-15).decompress(frame.payload + b'\0\0\xff\xff') == data


@pytest.mark.parametrize('bits', [case(f'7.1.2.1-answer-window-{n}', n) for n in range(9, 15)])
def test_answers_keep_to_the_window(server, bits):
    """An inflater of exactly the negotiated size reads them."""
    ws = opened(server, f'permessage-deflate; server_max_window_bits={bits}')
    granted = ws.extension['server_max_window_bits']
    block = json_like(900) + os.urandom(300).hex().encode()
    data = block * 40
    ws.send_compressed(TEXT, data)
    frame = ws.recv_frame()
    body = frame.payload
    while not frame.fin:
        frame = ws.recv_frame()
        body += frame.payload
    assert zlib.decompressobj(-granted).decompress(body + b'\0\0\xff\xff') == data


# 6.1, 6.2: which frames bear RSV1

def test_fragmented_at_every_byte(ws):
    body = ws.context.compress('Grüße, gestückelt'.encode())
    for i in range(len(body)):
        ws.send_frame(TEXT if i == 0 else CONTINUATION, body[i:i + 1], fin=i == len(body) - 1, rsv=RSV1 if i == 0 else 0)
    ws.expect_echo(TEXT, 'Grüße, gestückelt')


@pytest.mark.parametrize('parts', [case(f'6.1-parts-{n}', n) for n in (2, 3, 10, 100)])
def test_fragmented(ws, parts):
    data = json_like(30000)
    ws.send_compressed(TEXT, data, parts)
    ws.expect_echo(TEXT, data)


@pytest.mark.parametrize('chop', [case(f'6.2-chop-{n}', n) for n in (1, 7, 64)])
def test_in_pieces(ws, chop):
    data = json_like(5000)
    ws.send_frame(TEXT, ws.context.compress(data), rsv=RSV1, chop=chop)
    ws.expect_echo(TEXT, data)


def test_ping_between_compressed_fragments(ws):
    body = ws.context.compress(b'interrupted message ' * 10)
    ws.send_frame(TEXT, body[:5], fin=False, rsv=RSV1)
    ws.ping_barrier(b'between')
    ws.send_frame(CONTINUATION, body[5:])
    ws.expect_echo(TEXT, b'interrupted message ' * 10)


def test_close_between_compressed_fragments(ws):
    ws.send_frame(TEXT, b'\xf2\x48', fin=False, rsv=RSV1)
    ws.send_close(1000)
    ws.expect_failure(1000)


@pytest.mark.parametrize('fin', [case('6.1-rsv1-continuation-final', True), case('6.1-rsv1-continuation-open', False)])
def test_rsv1_on_a_continuation(ws, fin):
    body = ws.context.compress(b'some text')
    ws.send_frame(TEXT, body[:4], fin=False, rsv=RSV1)
    ws.send_frame(CONTINUATION, body[4:], fin=fin, rsv=RSV1)
    ws.expect_failure(1002)


def test_rsv1_on_a_continuation_of_a_plain_message(ws):
    ws.send_frame(TEXT, b'plain', fin=False)
    ws.send_frame(CONTINUATION, b'\x00', rsv=RSV1)
    ws.expect_failure(1002)


@pytest.mark.parametrize('opcode', [case(f'6.1-rsv1-{name}', n) for name, n in (
    ('close', CLOSE), ('ping', PING), ('pong', PONG))])
def test_rsv1_on_a_control_frame(ws, opcode):
    ws.send_frame(opcode, b'\x03\xe8', rsv=RSV1)
    ws.expect_failure(1002)


@pytest.mark.parametrize('rsv', [case(f'6-rsv-{n}', n) for n in (1, 2, 3, 5, 6, 7)])
def test_other_rsv_bits(ws, rsv):
    ws.send_frame(TEXT, ws.context.compress(b'text'), rsv=rsv)
    ws.expect_failure(1002)


def test_rsv1_on_a_reserved_opcode(ws):
    ws.send_frame(3, b'\x00', rsv=RSV1)
    ws.expect_failure(1002)


def test_plain_messages_in_a_compressed_session(ws):
    for size in (0, 1, 125, 126, 1000, 65536):
        data = json_like(size)
        ws.send_text(data)
        ws.expect_echo(TEXT, data)


def test_plain_and_compressed_take_turns(ws):
    for i in range(50):
        data = json_like(2000, i)
        if i % 2:
            ws.send_text(data)
        else:
            ws.send_compressed(TEXT, data)
        ws.expect_echo(TEXT, data)


def test_plain_message_does_not_touch_the_context(takeover_server):
    ws = opened(takeover_server)
    send_raw_compressed(ws, bytes.fromhex('f248cdc9c90700'))
    ws.expect_echo(TEXT, 'Hello')
    ws.send_text('plain in between')
    ws.expect_echo(TEXT, 'plain in between')
    send_raw_compressed(ws, bytes.fromhex('f200110000'))
    ws.expect_echo(TEXT, 'Hello')


def test_plain_fragments_in_a_compressed_session(ws):
    ws.send_fragments(TEXT, ['one ', 'two ', 'three'])
    ws.expect_echo(TEXT, 'one two three')


def test_many_in_one_write(ws):
    bodies = [json_like(300, i) for i in range(300)]
    ws.send_raw(b''.join(build_frame(TEXT, ws.context.compress(body), rsv=RSV1) for body in bodies))
    for body in bodies:
        ws.expect_echo(TEXT, body)


def test_two_sessions_do_not_share_contexts(takeover_server):
    one, two = opened(takeover_server), opened(takeover_server)
    for i in range(10):
        for ws, tag in ((one, 'one'), (two, 'two')):
            data = f'{tag} {i} '.encode() * 400
            ws.send_compressed(TEXT, data)
            ws.expect_echo(TEXT, data)


def test_sessions_without_context_do_not_mix(server):
    """They may share one compressor; fragments of two messages arrive in turn."""
    one, two = opened(server), opened(server)
    bodies = [ws.context.compress(json_like(4000, i)) for i, ws in enumerate((one, two))]
    for at in range(0, max(map(len, bodies)), 100):
        for ws, body in zip((one, two), bodies):
            if at < len(body):
                ws.send_frame(TEXT if at == 0 else CONTINUATION, body[at:at + 100],
                              fin=at + 100 >= len(body), rsv=RSV1 if at == 0 else 0)
    one.expect_echo(TEXT, json_like(4000, 0))
    two.expect_echo(TEXT, json_like(4000, 1))


# Data that is no DEFLATE

@pytest.mark.parametrize('data', [case(f'7.2.2-bad-{name}', data) for name, data in (
    ('reserved-block', b'\x07'),
    ('reserved-block-2', b'\x06\x00\x00'),
    ('stored-length', b'\x00\x05\x00\x05\x00Hello'),
    ('all-ones', b'\xff' * 50),
    ('distance-too-far', bytes.fromhex('f200110000')),
    ('bad-code-lengths', b'\x05' + b'\xff' * 20),
    ('plain-text', b'this is not compressed'),
    ('zlib-header', zlib.compress(b'zlib is not raw deflate')),
    ('gzip-header', bytes.fromhex('1f8b0800000000000003') + b'xxxxxxxx'),
)])
def test_bad_data(ws, data):
    send_raw_compressed(ws, data)
    ws.expect_failure(*BAD_DATA)


def test_bad_data_behind_a_good_message(ws):
    ws.send_compressed(TEXT, b'good')
    ws.expect_echo(TEXT, b'good')
    send_raw_compressed(ws, b'\x07')
    ws.expect_failure(*BAD_DATA)


def test_bad_data_in_a_later_fragment(ws):
    """Fail-fast: the message never ends."""
    send_raw_compressed(ws, zlib_blocks(b'good so far'), fin=False)
    ws.ping_barrier()
    ws.send_frame(CONTINUATION, b'\x07' + b'\xff' * 10, fin=False)
    ws.expect_failure(*BAD_DATA)


def zlib_blocks(data):
    """Raw DEFLATE that ends on a byte border, not final, its empty block still on."""
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
    return deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH)


def test_bad_data_harms_nobody_else(server):
    """The inflater may be shared."""
    bystander = opened(server)
    for _ in range(3):
        bad = opened(server)
        send_raw_compressed(bad, b'\x07')
        bad.expect_failure(*BAD_DATA)
        bystander.send_compressed(TEXT, b'still read ' * 50)
        bystander.expect_echo(TEXT, b'still read ' * 50)


def test_unfinished_message_harms_nobody_else(server):
    bystander = opened(server)
    gone = opened(server)
    gone.send_frame(TEXT, zlib_blocks(b'never ends'), fin=False, rsv=RSV1)
    gone.abort()
    bystander.send_compressed(TEXT, b'still read ' * 50)
    bystander.expect_echo(TEXT, b'still read ' * 50)


# Limits hold after inflation

@pytest.mark.parametrize('size', [case(f'7.2-bomb-{name}', n) for name, n in (
    ('just-over', MAX_MESSAGE + 1), ('8m', 8 << 20), ('64m', 64 << 20))])
def test_bomb(ws, size):
    body = CompressionContext(ws.extension).compress(bytes(size), 9)
    send_raw_compressed(ws, body, BINARY)
    ws.expect_failure(1009)


def test_bomb_in_fragments_is_stopped_early(ws):
    body = CompressionContext(ws.extension).compress(bytes(8 << 20), 9)
    send_raw_compressed(ws, body[:-10], BINARY, fin=False)
    ws.expect_failure(1009)


def test_exactly_the_limit_inflated(ws):
    ws.send_compressed(BINARY, bytes(MAX_MESSAGE))
    ws.expect_echo(BINARY, bytes(MAX_MESSAGE))


def test_many_empty_blocks(ws):
    """A message that inflates to nothing, 100,000 bytes long: read to its end, no more."""
    send_raw_compressed(ws, b'\x00\x00\x00\xff\xff' * 20000 + b'\x00')
    ws.expect_echo(TEXT, b'')


# 8.1 of RFC 6455 applies to what was inflated

@pytest.mark.parametrize('data', [case(f'6.2-utf8-{name}', data) for name, data in (
    ('ff', b'\xff'), ('late', b'a' * 5000 + b'\xc0\xaf'), ('surrogate', b'x\xed\xa0\x80y'), ('cut', b'cut \xe2\x82'),
    ('beyond', b'\xf4\x90\x80\x80'))])
def test_invalid_utf8(ws, data):
    ws.send_compressed(TEXT, data)
    ws.expect_failure(1007)


@pytest.mark.parametrize('parts', [case(f'6.2-utf8-parts-{n}', n) for n in (2, 5)])
def test_invalid_utf8_in_fragments(ws, parts):
    ws.send_compressed(TEXT, b'a' * 3000 + b'\xff' + b'b' * 3000, parts)
    ws.expect_failure(1007)


def test_invalid_utf8_is_found_before_the_end(ws):
    send_raw_compressed(ws, zlib_blocks(b'good \xff bad'), fin=False)
    ws.expect_failure(1007)


def test_character_cut_between_compressed_fragments(ws):
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
    first = deflater.compress(b'\xe2\x82') + deflater.flush(zlib.Z_SYNC_FLUSH)
    second = deflater.compress(b'\xac') + deflater.flush(zlib.Z_SYNC_FLUSH)
    send_raw_compressed(ws, first, fin=False)
    ws.ping_barrier()
    ws.send_frame(CONTINUATION, second[:-4])
    ws.expect_echo(TEXT, '€')


def test_invalid_utf8_is_fine_in_binary(ws):
    ws.send_compressed(BINARY, b'\xff\xfe\xc0')
    ws.expect_echo(BINARY, b'\xff\xfe\xc0')
