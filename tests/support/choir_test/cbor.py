# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The canonical protocol in CBOR, as choir.v1.cbor has it; encoded and decoded by python3-cbor2."""

import io

import cbor2

from .dialects import Client, Dialect
from .frames import BINARY
from .websocket import RawWs

SUBPROTOCOL = 'choir.v1.cbor'


def decode(data):
    """One item and nothing behind it, with nothing in it that JSON does not have."""
    stream = io.BytesIO(data)
    value = cbor2.CBORDecoder(stream).decode()
    assert stream.tell() == len(data), f'{len(data) - stream.tell()} bytes behind the message'
    check_plain(value)
    return value


def check_plain(value):
    assert value is None or type(value) in (bool, int, float, str, list, dict), repr(value)
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        check_plain(item)
    if isinstance(value, dict):
        assert all(type(key) is str for key in value), value


class CborWs:
    """A RawWs whose messages are CBOR: stands in for one in a Client."""

    def __init__(self, ws):
        self.raw = ws

    def __getattr__(self, name):
        return getattr(self.raw, name)

    def send_json(self, value):
        self.raw.send_binary(cbor2.dumps(value))

    def recv_json(self, timeout=None):
        opcode, body = self.raw.recv_message(timeout)
        assert opcode == BINARY, (opcode, body)
        return decode(body)


class ChoirCbor(Dialect):
    name = 'choir-cbor'
    subprotocol = SUBPROTOCOL


CBOR = ChoirCbor()


def connect_cbor(daemon, token=None, target='/ws', authenticate=True, **kwargs):
    """A session of the subprotocol choir.v1.cbor; its first message has been read."""
    token = daemon.mint() if token is None else token
    headers = [('Sec-WebSocket-Protocol', f'{SUBPROTOCOL}, bearer.{token}' if token else SUBPROTOCOL)]
    ws = RawWs.open(daemon.address, target, headers, **kwargs)
    assert ws.response.get('sec-websocket-protocol') == SUBPROTOCOL
    client = Client(CborWs(ws), CBOR)
    if authenticate:
        CBOR.authenticate(client, token)
    return client
