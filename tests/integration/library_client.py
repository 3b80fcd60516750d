# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""python3-websockets in the shape of RawWs: what the tests say is said by a client that others wrote."""

import asyncio
import json
import threading
from functools import partial

import websockets

from choir_test import DEADLINE, DIALECTS, Client, Close, EndOfStream, Handshake, RawWs, Timeout, Traffic, Violation


class _Loop:
    """An event loop in a thread of its own, so that tests can be written in one line after another."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def run(self, coroutine, timeout=DEADLINE):
        async def bounded():
            return await asyncio.wait_for(coroutine, timeout)

        return asyncio.run_coroutine_threadsafe(bounded(), self._loop).result()

    def call(self, function):
        self._loop.call_soon_threadsafe(function)


_loop = _Loop()


class LibraryWs:
    """One connection of python3-websockets."""

    def __init__(self, daemon, target, headers=(), origin=None, subprotocols=None, ssl=None, timeout=DEADLINE):
        self.timeout = timeout
        options = {'extra_headers': list(headers), 'origin': origin, 'subprotocols': subprotocols, 'ssl': ssl,
                   'ping_interval': None, 'max_size': 2 ** 24, 'max_queue': 2 ** 12, 'close_timeout': DEADLINE}
        if isinstance(daemon.address, str):
            uri, connect = f'ws://localhost{target}', partial(websockets.unix_connect, daemon.address)
        else:
            host, port = daemon.address
            host = f'[{host}]' if ':' in host else host
            uri, connect = f'{"wss" if ssl else "ws"}://{host}:{port}{target}', websockets.connect
        self._ws = _loop.run(self._open(connect, uri, options), timeout)
        self.traffic = Traffic(target, self._ws.subprotocol)

    @staticmethod
    async def _open(connect, uri, options):
        return await connect(uri, **options)

    @property
    def subprotocol(self):
        return self._ws.subprotocol

    def send_text(self, text):
        self._send(text)

    def send_frame(self, opcode, payload=b''):
        self._send(payload)

    def send_json(self, value):
        self._send(json.dumps(value, ensure_ascii=False))

    def _send(self, data):
        if isinstance(data, str):
            self.traffic.sent(data)
        try:
            _loop.run(self._ws.send(data), self.timeout)
        except websockets.ConnectionClosed as closed:
            raise EndOfStream(str(closed)) from None

    def recv_text(self, timeout=None):
        try:
            data = _loop.run(self._ws.recv(), self.timeout if timeout is None else timeout)
        except websockets.ConnectionClosed as closed:
            self.traffic.closed()
            raise EndOfStream(str(closed)) from None
        except asyncio.TimeoutError:
            raise Timeout('nothing came in time') from None
        assert isinstance(data, str), data
        self.traffic.received(data)
        return data

    def recv_json(self, timeout=None):
        return json.loads(self.recv_text(timeout))

    def recv_close(self, timeout=None, skip_data=False):
        """What the server closed with."""
        try:
            while True:
                data = _loop.run(self._ws.recv(), self.timeout if timeout is None else timeout)
                if not skip_data:
                    raise Violation(f'{data!r} where a close was due')
                self.traffic.received(data)
        except websockets.ConnectionClosed as closed:
            self.traffic.closed()
            if closed.rcvd is None:
                raise EndOfStream(str(closed)) from None
            return Close(closed.rcvd.code, closed.rcvd.reason)
        except asyncio.TimeoutError:
            raise Timeout('no close in time') from None

    def close(self, code=1000):
        _loop.run(self._ws.close(code), self.timeout)

    def abort(self):
        """The connection breaks; nobody says goodbye."""
        _loop.call(self._ws.transport.abort)

    finish = close


def join(daemon, dialect='choir', token=None, target=None, authenticate=True, **kwargs):
    """A session in `dialect`, its first messages read unless `authenticate` is false."""
    dialect = DIALECTS[dialect] if isinstance(dialect, str) else dialect
    token = daemon.mint() if token is None else token
    client = Client(LibraryWs(daemon, target or dialect.target(token), **kwargs), dialect)
    if authenticate:
        dialect.authenticate(client, token)
    return client


def knock(daemon, target, headers=()):
    """The answer to an opening handshake, whatever it is: a Response, or None."""
    ws = RawWs(daemon.address)
    handshake = Handshake(target)
    for name, value in headers:
        handshake.set(name, value)
    try:
        return ws.handshake(handshake)
    finally:
        ws.close()


def closed_with(daemon, target, **kwargs):
    """The close frame that follows the upgrade at once."""
    ws = LibraryWs(daemon, target, **kwargs)
    return ws.recv_close()
