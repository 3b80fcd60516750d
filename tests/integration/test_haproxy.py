# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""HAProxy in front, as data/haproxy/choir.cfg has it: what passes, what does not, and whom Choir believes to talk to."""

import asyncio
import http.client
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import websockets

from choir_test import DEADLINE, Deadline, EventStream, http_get, scaled, sse_target
from choir_test.bus import Bus, make_daemon
from haproxy import PROGRAM, Haproxy, adapt


@pytest.fixture(scope='module')
def bus():
    with Bus() as private:
        yield private


@pytest.fixture(scope='module')
def shared_daemon(bus):
    with make_daemon(bus, {'protocol.heartbeat-interval': '200ms'}) as running:
        bus.wait_name()
        yield running


@pytest.fixture(scope='module')
def proxy(shared_daemon):
    with Haproxy(shared_daemon) as running:
        yield running


def get(proxy, path, headers=None, method='GET', body=None):
    """The status, and the body."""
    connection = http.client.HTTPSConnection(*proxy.address, context=proxy.context, timeout=DEADLINE)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    found = response.status, response.read()
    connection.close()
    return found


def wait_ready(proxy, wanted=200):
    deadline = Deadline(DEADLINE)
    while (status := get(proxy, '/healthz')[0]) != wanted:
        assert not deadline.passed(), f'{status} instead of {wanted}\n{proxy.log()}'


def note(channel, content):
    return json.dumps({'type': 'publish', 'payload': {'channel': channel, 'type': 'note', 'payload': {'content': content}}})


async def wait_type(ws, type_):
    while (message := json.loads(await asyncio.wait_for(ws.recv(), DEADLINE)))['type'] != type_:
        pass
    return message


def test_configuration_is_valid():
    state = Path(tempfile.mkdtemp(prefix='choir-haproxy-'))
    path, _ = adapt(state, 8443, [8800, 8801])
    done = subprocess.run([PROGRAM, '-c', '-f', path], capture_output=True, text=True, timeout=scaled(30), check=False)
    shutil.rmtree(state)
    assert done.returncode == 0, done.stderr
    assert 'WARNING' not in done.stderr.upper(), done.stderr


def test_websocket_passes(daemon, proxy, bus, user, fresh):
    """And Choir is told who it is: what the client says of itself counts for nothing."""
    wait_ready(proxy)
    channel, token = fresh('chat:'), daemon.mint(user)
    lies = {'X-Forwarded-For': '203.0.113.7', 'Forwarded': 'for=203.0.113.7'}

    async def talk():
        url = f'wss://localhost:{proxy.address[1]}/ws?token={token}'
        async with websockets.connect(url, ssl=proxy.context, host='127.0.0.1', local_addr=('127.0.0.2', 0), extra_headers=lies,
                                      ping_interval=None) as ws:
            await wait_type(ws, 'connection.established')
            await ws.send(json.dumps({'type': 'subscribe', 'payload': {'channels': [channel]}}))
            await wait_type(ws, 'subscription.confirmed')
            await ws.send(note(channel, 'm'))
            assert (await wait_type(ws, 'note'))['payload']['content'] == 'm'
            entry, = bus.connections(('user', 's', user))
            assert entry['address'] == '127.0.0.2'

    asyncio.run(talk())
    assert token not in proxy.log()


def test_events_pass(daemon, proxy, bus, user, fresh):
    """None is kept back, and who hangs up is gone."""
    wait_ready(proxy)
    channel, token = fresh('chat:'), daemon.mint(user)
    stream = EventStream(daemon, sse_target(token, channels=channel), [('X-Forwarded-For', '203.0.113.7')], wrap=proxy.wrap,
                         address=proxy.address)
    stream.wait('subscription.confirmed')
    for i in range(10):
        status, body = get(proxy, f'/emulation?session_id={stream.session_id}',
                           {'Authorization': f'Bearer {token}', 'Content-Type': 'text/plain'}, 'POST', note(channel, f'm{i}'))
        assert (status, body) == (202, b'')
        assert stream.wait('note')['payload']['content'] == f'm{i}'
    assert [entry['address'] for entry in bus.connections(('user', 's', user))] == ['127.0.0.1']
    stream.drop()
    deadline = Deadline(DEADLINE)
    while bus.connections(('user', 's', user)):
        assert not deadline.passed()
    assert token not in proxy.log()


def test_quiet_clients_stay(daemon, user):
    """With timeouts that are longer than the heartbeat, but not by much."""
    with Haproxy(daemon, timeout='1s') as proxy:
        wait_ready(proxy)
        url = f'wss://localhost:{proxy.address[1]}/ws?token={daemon.mint(user)}'
        stream = EventStream(daemon, sse_target(daemon.mint(user)), wrap=proxy.wrap, address=proxy.address)

        async def listen():
            async with websockets.connect(url, ssl=proxy.context, host='127.0.0.1', ping_interval=None) as ws:
                await wait_type(ws, 'connection.established')
                deadline = Deadline(DEADLINE)
                # comments are the stream's heartbeats
                while stream.n_comments < 10:
                    assert not deadline.passed(), 'no heartbeats'
                    assert stream.reader.fill(deadline), 'the stream has ended'
                    while b'\n\n' in stream.reader.buffer:
                        stream._dispatch(stream.reader.until(b'\n\n', deadline).decode())
                await asyncio.wait_for(await ws.ping(), DEADLINE)

        asyncio.run(listen())
        stream.drop()


@pytest.mark.parametrize('path', ['/metrics', '/api/v1/stats', '/', '/wsx', '/healthz/x'])
def test_the_rest_stays_inside(daemon, proxy, path):
    wait_ready(proxy)
    assert get(proxy, path, {'Authorization': f'Bearer {daemon.mint("back-end", roles=["service"])}'})[0] == 404


def test_health_is_asked_for(start, user):
    """A node that drains gets nobody new while another is there."""
    first, second = start(), start()
    with Haproxy(first, second) as proxy:
        wait_ready(proxy)
        for node in first, second:
            assert http_get(node.address, '/readyz').status == 200
        first.stop()
        deadline = Deadline(DEADLINE)
        # the check needs a moment to notice
        while [get(proxy, '/ws/config')[0] for _ in range(5)] != [200] * 5:
            assert not deadline.passed(), proxy.log()
        second.stop()
        wait_ready(proxy, 503)
