# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""RFC 6455 section 10.4 and 7.4.1 (1009): the message limit, which conftest.py sets to 1 MiB."""

import pytest

from choir_test import BINARY, CONTINUATION, TEXT, build_frame
from choir_test.frames import build_header

from conftest import MAX_MESSAGE


def case(name, *values):
    return pytest.param(*values, id=f'rfc6455-{name}')


@pytest.mark.parametrize('opcode', [case('10.4-exactly-text', TEXT), case('10.4-exactly-binary', BINARY)])
def test_exactly_the_limit(ws, opcode):
    ws.send_frame(opcode, b'x' * MAX_MESSAGE)
    ws.expect_echo(opcode, b'x' * MAX_MESSAGE)


@pytest.mark.parametrize('opcode', [case('10.4-over-text', TEXT), case('10.4-over-binary', BINARY)])
def test_one_byte_over(ws, opcode):
    ws.send_raw(build_header(opcode, MAX_MESSAGE + 1) + b'\0\0\0\0')
    ws.expect_failure(1009)


def test_one_byte_over_with_its_payload(ws):
    """The whole frame is under way; the reason still reaches the client."""
    ws.send_frame(BINARY, bytes(MAX_MESSAGE + 1))
    ws.expect_failure(1009)


@pytest.mark.parametrize('length', [case(f'10.4-announced-{n:#x}', n) for n in (
    1 << 21, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 32) + 1, 1 << 40, 1 << 62, (1 << 63) - 1)])
def test_announced_length(ws, length):
    ws.send_raw(build_header(BINARY, length) + b'\0\0\0\0' + b'x' * 10)
    ws.expect_failure(1009)


def test_sum_of_fragments(ws):
    ws.send_frame(BINARY, bytes(MAX_MESSAGE), fin=False)
    ws.ping_barrier()
    ws.send_frame(CONTINUATION, b'x', fin=False)
    ws.expect_failure(1009)


def test_sum_of_fragments_exactly(ws):
    ws.send_frame(BINARY, bytes(MAX_MESSAGE - 1), fin=False)
    ws.send_frame(CONTINUATION, b'x', fin=False)
    ws.send_frame(CONTINUATION, b'')
    ws.expect_echo(BINARY, bytes(MAX_MESSAGE - 1) + b'x')


def test_sum_that_would_overflow(ws):
    """A fragment, then a length that wraps 64 bits when added."""
    ws.send_frame(BINARY, b'x' * 100, fin=False)
    ws.send_raw(build_header(CONTINUATION, (1 << 63) - 1) + b'\0\0\0\0')
    ws.expect_failure(1009)


@pytest.mark.parametrize('size', [case(f'10.4-endless-{n}', n) for n in (1000, 65536)])
def test_endless_fragments(ws, size):
    """Fragments without an end are stopped at the limit, and no later."""
    piece = build_frame(CONTINUATION, bytes(size), fin=False)
    ws.send_frame(BINARY, bytes(size), fin=False)
    for _ in range(MAX_MESSAGE // size + 1):
        ws.send_raw(piece)
    ws.expect_failure(1009)


def test_message_before_the_large_one_is_answered(ws):
    ws.send_raw(build_frame(TEXT, 'small') + build_header(BINARY, MAX_MESSAGE + 1) + b'\0\0\0\0')
    ws.expect_echo(TEXT, 'small')
    ws.expect_failure(1009)


def test_others_are_not_touched(server):
    bystander = server.open()
    server.open().send_frame(BINARY, bytes(MAX_MESSAGE + 1))
    bystander.send_text('still served')
    bystander.expect_echo(TEXT, 'still served')


def test_several_limits_in_a_row_in_one_write(ws):
    """Four whole messages of the limit at once, echoed in order."""
    payloads = [bytes([i]) * MAX_MESSAGE for i in range(4)]
    ws.send_raw(b''.join(build_frame(BINARY, payload) for payload in payloads))
    for payload in payloads:
        ws.expect_echo(BINARY, payload)
