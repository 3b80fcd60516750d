# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients written by others: python3-websockets, python3-autobahn and npm's ws."""

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from choir_test import DEADLINE
from choir_test.timing import scaled

websockets = pytest.importorskip('websockets')

SIZES = [0, 1, 125, 126, 127, 1000, 65535, 65536, 200000, 1000000]


def run(coroutine):
    async def bounded():
        return await asyncio.wait_for(coroutine, scaled(60))
    return asyncio.run(bounded())


# python3-websockets

async def echo_all(ws, sizes=SIZES):
    for size in sizes:
        text = ('Grüße €😀 ' * (size // 10 + 1))[:size // 4]
        await ws.send(text)
        assert await ws.recv() == text
        data = os.urandom(size)
        await ws.send(data)
        assert await ws.recv() == data


@pytest.mark.parametrize('compression', [
    pytest.param(None, id='websockets-plain'), pytest.param('deflate', id='websockets-deflate')])
def test_websockets_echo(server, compression):
    async def scenario():
        async with websockets.connect(server.url + '/echo', compression=compression, max_size=2 ** 21) as ws:
            assert bool(ws.extensions) == (compression is not None)
            await echo_all(ws)
    run(scenario())


@pytest.mark.parametrize('parameters', [pytest.param(parameters, id=f'websockets-deflate-{i}') for i, parameters in enumerate((
    {'client_no_context_takeover': True},
    {'server_no_context_takeover': True},
    {'server_max_window_bits': 10, 'client_max_window_bits': 10},
    {'client_max_window_bits': True},
    {'server_max_window_bits': 9, 'client_max_window_bits': 9, 'client_no_context_takeover': True,
     'server_no_context_takeover': True},
))])
def test_websockets_deflate_parameters(server, parameters):
    from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

    async def scenario():
        factory = ClientPerMessageDeflateFactory(**parameters)
        async with websockets.connect(server.url + '/echo', extensions=[factory], compression=None, max_size=2 ** 21) as ws:
            assert ws.extensions
            await echo_all(ws)
    run(scenario())


def test_websockets_deflate_with_context(takeover_server):
    async def scenario():
        async with websockets.connect(takeover_server.url + '/echo', max_size=2 ** 21) as ws:
            await echo_all(ws)
            await echo_all(ws)
    run(scenario())


@pytest.mark.parametrize('compression', [
    pytest.param(None, id='websockets-plain'), pytest.param('deflate', id='websockets-deflate')])
def test_websockets_fragmented(server, compression):
    async def scenario():
        async with websockets.connect(server.url + '/echo', compression=compression) as ws:
            await ws.send([f'part {i} ' for i in range(50)])
            assert await ws.recv() == ''.join(f'part {i} ' for i in range(50))
    run(scenario())


def test_websockets_ping(server):
    async def scenario():
        async with websockets.connect(server.url + '/echo') as ws:
            waiters = [await ws.ping(f'{i}') for i in range(20)]
            await asyncio.gather(*waiters)
    run(scenario())


@pytest.mark.parametrize('code', [pytest.param(n, id=f'websockets-close-{n}') for n in (1000, 1001, 1011, 3000, 4999)])
def test_websockets_close(server, code):
    async def scenario():
        ws = await websockets.connect(server.url + '/echo')
        await ws.close(code, 'Gründe')
        assert ws.close_code == code
    run(scenario())


def test_websockets_fifty_at_once(server):
    async def one(i):
        async with websockets.connect(server.url + '/echo') as ws:
            for n in range(20):
                await ws.send(f'{i}/{n}')
                assert await ws.recv() == f'{i}/{n}'

    async def scenario():
        await asyncio.gather(*(one(i) for i in range(50)))
    run(scenario())


def test_websockets_choir_session(choird, server):
    """A published message reaches another session, in the canonical envelope."""
    async def until(ws, *types):
        while True:
            message = json.loads(await ws.recv())
            if message['type'] in types:
                return message

    async def scenario():
        def connect(user):
            return websockets.connect(f'{server.url}/ws?token={choird.mint(user)}', subprotocols=['choir.v1'])
        async with connect('alice') as alice, connect('bob') as bob:
            for ws, user in ((alice, 'alice'), (bob, 'bob')):
                assert ws.subprotocol == 'choir.v1'
                first = json.loads(await ws.recv())
                assert first['type'] == 'connection.established' and first['payload']['user_id'] == user
                await ws.send(json.dumps({'type': 'subscribe', 'payload': {'channels': [{'channel': 'chat:py'}]}}))
                confirmed = (await until(ws, 'subscription.confirmed'))['payload']
                assert [entry['channel'] for entry in confirmed['channels']] == ['chat:py'], confirmed
            await alice.send(json.dumps({'type': 'publish', 'correlation_id': 'c1', 'payload': {
                'channel': 'chat:py', 'type': 'chat.message', 'payload': {'content': 'Hallo 😀', 'role': 'user'}}}))
            message = await until(bob, 'chat.message')
            assert message['channel'] == 'chat:py' and message['payload']['content'] == 'Hallo 😀'
            answer = await until(alice, 'publish.ok', 'error')
            assert answer['type'] == 'publish.ok' and answer['correlation_id'] == 'c1', answer
            assert answer['payload']['offset'] == message['offset']
    run(scenario())


# python3-autobahn

def autobahn_session(url, script, compress):
    """Runs `script` (bytes or str to be echoed) through an Autobahn client; returns (echoes, close code)."""
    autobahn = pytest.importorskip('autobahn.asyncio.websocket')
    from autobahn.websocket.compress import (PerMessageDeflateOffer, PerMessageDeflateOfferAccept,
                                             PerMessageDeflateResponse, PerMessageDeflateResponseAccept)

    async def scenario():
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        got = []

        class Client(autobahn.WebSocketClientProtocol):
            def onOpen(self):
                self.sendMessage(*encode(script[0]))

            def onMessage(self, payload, is_binary):
                got.append(payload if is_binary else payload.decode())
                if len(got) < len(script):
                    self.sendMessage(*encode(script[len(got)]))
                else:
                    self.sendClose(1000)

            def onClose(self, was_clean, code, reason):
                if not done.done():
                    done.set_result((was_clean, code, reason))

        def encode(item):
            return (item, True) if isinstance(item, bytes) else (item.encode(), False)

        factory = autobahn.WebSocketClientFactory(url)
        factory.protocol = Client
        factory.setProtocolOptions(openHandshakeTimeout=DEADLINE, closeHandshakeTimeout=DEADLINE)
        if compress:
            def accept(response):
                return PerMessageDeflateResponseAccept(response) if isinstance(response, PerMessageDeflateResponse) else None
            factory.setProtocolOptions(perMessageCompressionOffers=[PerMessageDeflateOffer()],
                                       perMessageCompressionAccept=accept)
            assert PerMessageDeflateOfferAccept
        transport, _ = await loop.create_connection(factory, factory.host, factory.port)
        result = await done
        transport.close()
        return got, result
    return run(scenario())


@pytest.mark.parametrize('compress', [pytest.param(False, id='autobahn-plain'), pytest.param(True, id='autobahn-deflate')])
def test_autobahn_echo(server, compress):
    script = []
    for size in SIZES[:-1]:
        script += ['€' * (size // 3), os.urandom(size)]
    got, (was_clean, code, reason) = autobahn_session(server.url + '/echo', script, compress)
    assert got == script, reason
    assert was_clean and code == 1000, reason


# npm's ws

@pytest.fixture(scope='session')
def node_client():
    """client.mjs with its packages: those that tests/run.sh put beside it, or installed once beside the build."""
    source = Path(__file__).parent / 'node'
    if shutil.which('node') is None:
        pytest.skip('node is not installed')
    if (source / 'node_modules' / 'ws' / 'package.json').exists():
        yield source / 'client.mjs'
        return
    if shutil.which('npm') is None:
        pytest.skip('npm is not installed')
    build = os.environ.get('CHOIR_BUILD_DIR')
    if build:
        target, scratch = Path(build) / 'tests' / 'node-client', None
        target.mkdir(parents=True, exist_ok=True)
    else:
        scratch = tempfile.TemporaryDirectory(prefix='choir-node-')
        target = Path(scratch.name)
    lock = (source / 'package-lock.json').read_text()
    stamp = target / 'installed.json'
    shutil.copy(source / 'client.mjs', target)
    if not stamp.exists() or stamp.read_text() != lock:
        for name in ('package.json', 'package-lock.json'):
            shutil.copy(source / name, target)
        done = subprocess.run(['npm', 'ci', '--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline'], cwd=target,
                              capture_output=True, text=True, timeout=scaled(120), check=False)
        if done.returncode != 0:
            pytest.skip(f'npm ci failed (offline?): {done.stderr[-300:]}')
        stamp.write_text(lock)
    yield target / 'client.mjs'
    if scratch is not None:
        scratch.cleanup()


def node(client, scenario, url, **options):
    done = subprocess.run(['node', str(client), scenario, url, json.dumps(options)], capture_output=True, text=True,
                          timeout=scaled(60), check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_ws_echo(node_client, server):
    assert node(node_client, 'echo', server.url + '/echo') == {'extensions': '', 'code': 1000}


@pytest.mark.parametrize('deflate', [pytest.param(deflate, id=f'ws-deflate-{i}') for i, deflate in enumerate((
    {},
    {'clientNoContextTakeover': True},
    {'serverNoContextTakeover': True},
    {'serverMaxWindowBits': 10, 'clientMaxWindowBits': 10},
    {'serverMaxWindowBits': 9, 'clientMaxWindowBits': 9, 'clientNoContextTakeover': True},
))])
def test_ws_compressed(node_client, server, deflate):
    seen = node(node_client, 'compressed', server.url + '/echo', deflate=deflate)
    assert seen == {'extensions': 'permessage-deflate', 'code': 1000}


def test_ws_compressed_with_context(node_client, takeover_server):
    seen = node(node_client, 'compressed', takeover_server.url + '/echo')
    assert seen == {'extensions': 'permessage-deflate', 'code': 1000}


@pytest.mark.parametrize('compress', [pytest.param(False, id='ws-plain'), pytest.param(True, id='ws-deflate')])
def test_ws_fragmented(node_client, server, compress):
    seen = node(node_client, 'fragmented', server.url + '/echo', compress=compress)
    assert seen == {'text': ''.join(f'part {i};' for i in range(20)), 'code': 1000}


def test_ws_ping(node_client, server):
    assert node(node_client, 'ping', server.url + '/echo') == {'code': 1000}


def test_ws_close_codes(node_client, server):
    assert node(node_client, 'codes', server.url + '/echo') == {'codes': [1000, 1001, 1011, 3000, 4999]}


def test_ws_fifty_at_once(node_client, server):
    assert node(node_client, 'many', server.url + '/echo') == {'clients': 50}


def test_ws_choir_session(node_client, choird, server):
    seen = node(node_client, 'choir', f'{server.url}/ws?token={choird.mint("nora")}', protocols=['choir.v1'])
    assert seen['protocol'] == 'choir.v1'
    assert seen['first']['type'] == 'connection.established'
    assert seen['pong']['payload']['ping_id'] == 'from node'
    assert seen['message']['payload']['content'] == 'Hallo'
    assert seen['code'] == 1000
