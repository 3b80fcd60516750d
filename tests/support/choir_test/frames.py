# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Frames as bytes, valid or not: RFC 6455 section 5.2, and the client's half of RFC 7692."""

import os
import struct
import zlib

CONTINUATION, TEXT, BINARY = 0x0, 0x1, 0x2
CLOSE, PING, PONG = 0x8, 0x9, 0xA

RSV1, RSV2, RSV3 = 4, 2, 1

# What a sync flush ends with and a sender cuts off (RFC 7692 7.2.1)
FLUSH_TAIL = b'\x00\x00\xff\xff'


def mask_bytes(data, key):
    """XORs `data` with the repeated 4-byte `key`; its own inverse."""
    n = len(data)
    if n == 0:
        return b''
    pad = (key * (n // 4 + 1))[:n]
    return (int.from_bytes(data, 'little') ^ int.from_bytes(pad, 'little')).to_bytes(n, 'little')


def build_header(opcode, length, fin=True, rsv=0, masked=True, form=None):
    """A frame header without the masking key. `form` 7, 16 or 64 forces how the length is written."""
    first = (0x80 if fin else 0) | (rsv << 4) | opcode
    mask_bit = 0x80 if masked else 0
    if form is None:
        form = 7 if length < 126 else 16 if length < 65536 else 64
    if form == 7:
        return bytes([first, mask_bit | length])
    if form == 16:
        return bytes([first, mask_bit | 126]) + struct.pack('!H', length)
    return bytes([first, mask_bit | 127]) + struct.pack('!Q', length)


def build_frame(opcode, payload=b'', fin=True, rsv=0, mask=True, form=None, length=None):
    """A whole frame. `mask`: True for a random key, a 4-byte key, or False; `length` lies about the payload's."""
    if isinstance(payload, str):
        payload = payload.encode()
    masked = mask is not False
    header = build_header(opcode, len(payload) if length is None else length, fin, rsv, masked, form)
    if not masked:
        return header + payload
    key = os.urandom(4) if mask is True else mask
    return header + key + mask_bytes(payload, key)


def build_close(code=None, reason=b'', **kwargs):
    if isinstance(reason, str):
        reason = reason.encode()
    body = b'' if code is None else struct.pack('!H', code) + reason
    return build_frame(CLOSE, body, **kwargs)


class CompressionContext:
    """One side's permessage-deflate state, as negotiated (RFC 7692 section 7.1)."""

    def __init__(self, params):
        self.client_bits = params.get('client_max_window_bits') or 15
        self.server_bits = params.get('server_max_window_bits') or 15
        self.client_takeover = 'client_no_context_takeover' not in params
        self.server_takeover = 'server_no_context_takeover' not in params
        self._deflater = None
        self._inflater = None

    def compress(self, data, level=6, flush=zlib.Z_SYNC_FLUSH):
        if self._deflater is None or not self.client_takeover:
            # zlib has no raw 8-bit window; a 9-bit stream that looks back no further than 256 would need another encoder
            self._deflater = zlib.compressobj(level, zlib.DEFLATED, -max(9, self.client_bits))
        out = self._deflater.compress(data) + self._deflater.flush(flush)
        return out[:-4] if out.endswith(FLUSH_TAIL) else out

    def decompress(self, data):
        if self._inflater is None or not self.server_takeover or self._inflater.eof:
            self._inflater = zlib.decompressobj(-self.server_bits)
        return self._inflater.decompress(data + FLUSH_TAIL)
