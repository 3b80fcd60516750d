# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""EventSource in a real browser: it comes back by itself, and with what it has seen."""

import http.server
import json
import socket
import struct
import threading

import pytest

import chromium
from choir_test import DEADLINE, Daemon, Deadline, http_get, sse_target
from library_client import join

pytestmark = pytest.mark.skipif(chromium.find() is None, reason='chromium is not installed')

SETTINGS = {'server.playground': 'yes', 'rate.default': '60000/1s'}

LISTEN = '''(() => {
  window.got = []; window.sessions = []; window.closes = []; window.joined = []; window.types = []; window.errors = 0;
  window.source = new EventSource(%s);
  source.onmessage = event => {
    const message = JSON.parse(event.data);
    types.push(message.type);
    if (message.type === "note") got.push(message.payload.content);
    if (message.type === "subscription.confirmed") joined.push(message.payload.channels[0]);
  };
  source.addEventListener("session", event => sessions.push(JSON.parse(event.data)));
  source.addEventListener("close", event => closes.push(JSON.parse(event.data)));
  source.onerror = () => { errors++; };
})()'''

SAY = '''fetch(%s + "/emulation?session_id=" + sessions[sessions.length - 1].session_id + "&token=" + %s,
  {method: "POST", body: %s}).then(answer => answer.status)'''


class Wire:
    """A TCP proxy whose connections can be cut, and whose other end may move."""

    def __init__(self, port):
        self.target = port
        self._pairs = []
        self._lock = threading.Lock()
        self._server = socket.create_server(('127.0.0.1', 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(('127.0.0.1', self.target), timeout=DEADLINE)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            with self._lock:
                self._pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    @staticmethod
    def _carry(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def cut(self):
        """Every connection, by a reset."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for sock in pair:
                try:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                sock.close()
        return len(pairs)

    def close(self):
        self._server.close()
        self.cut()


@pytest.fixture(scope='module')
def browser():
    with chromium.Browser() as running:
        yield running


@pytest.fixture
def wire(daemon):
    running = Wire(daemon.port)
    yield running
    running.close()


@pytest.fixture
def page(browser, wire):
    return browser.page(f'http://localhost:{wire.port}/')


def listen(page, token, origin='', **parameters):
    page.run(LISTEN % json.dumps(origin + sse_target(token, **parameters)))
    page.wait('sessions.length === 1')


def say(page, token, message, origin=''):
    assert page.run(SAY % (json.dumps(origin), json.dumps(token), json.dumps(json.dumps(message)))) == 202


def note(channel, content):
    return {'type': 'publish', 'payload': {'channel': channel, 'type': 'note', 'payload': {'content': content}}}


def publish(client, channel, content):
    client.send(note(channel, content))
    client.wait_type('publish.ok')


def test_both_ways(page, daemon, user, fresh):
    channel, token = fresh('note:'), daemon.mint(user)
    listen(page, token, channels=channel)
    page.wait('joined.length === 1')
    other = join(daemon, token=daemon.mint(fresh('user')))
    publish(other, channel, 'Grüße von draußen 🐻')
    page.wait('got.length === 1')
    say(page, token, note(channel, 'aus dem Browser'))
    page.wait('types.includes("publish.ok")')
    assert page.run('got') == ['Grüße von draußen 🐻', 'aus dem Browser']
    assert page.run('errors') == 0


def test_connections_that_are_cut(page, wire, daemon, user, fresh):
    """Nothing lost, nothing twice, whatever is cut and when."""
    channel, token = fresh('note:'), daemon.mint(user)
    listen(page, token, channels=channel)
    page.wait('joined.length === 1')
    speaker = join(daemon, token=daemon.mint(fresh('user')))
    n = 0
    for cut in range(4):
        for _ in range(25):
            publish(speaker, channel, n)
            n += 1
        assert wire.cut() > 0
        for _ in range(25):
            publish(speaker, channel, n)
            n += 1
        page.wait(f'sessions.length === {cut + 2}')
    page.wait(f'got.length >= {n}')
    assert page.run('got') == list(range(n))
    sessions = page.run('sessions')
    assert len({session['session_id'] for session in sessions}) == 1
    assert [session['resumed'] for session in sessions] == [False] + [True] * 4
    # the old session was gone on with: nobody subscribed anew
    assert page.run('joined.length') == 1
    say(page, token, {'type': 'ping'})
    page.wait('types.includes("pong")')


def test_a_restart(browser, user, fresh, tmp_path):
    """The session is gone; what the channel has kept is not."""
    settings = {**SETTINGS, 'store.backend': 'sqlite'}
    channel = fresh('chat:')
    daemon = Daemon(settings, directory=tmp_path).start()
    wire = Wire(daemon.port)
    try:
        page = browser.page(f'http://localhost:{wire.port}/')
        token = daemon.mint(user)
        listen(page, token, channels=channel)
        page.wait('joined.length === 1')
        speaker = join(daemon, token=daemon.mint(fresh('user')))
        publish(speaker, channel, 'seen')
        page.wait('got.length === 1')
        wire.target = 1
        wire.cut()
        publish(speaker, channel, 'missed')
        daemon.kill()
        daemon = Daemon(settings, directory=tmp_path).start()
        wire.target = daemon.port
        page.wait('joined.length === 2')
        first, second = page.run('sessions')
        assert second['resumed'] is False and second['session_id'] != first['session_id']
        joined = page.run('joined')[1]
        assert joined['recovered'] is True
        assert [message['payload']['content'] for message in joined['messages']] == ['missed']
        say(page, token, note(channel, 'and on it goes'))
        page.wait('got.length === 2')
        page.run('source.close()')
        daemon.stop()
    finally:
        wire.close()
        daemon.kill()


def test_not_to_come_back(browser, start, user):
    """204 is what makes an EventSource stay away."""
    daemon = start({**SETTINGS, 'server.max-connections-per-user': '1'})
    page = browser.page(f'http://localhost:{daemon.port}/')
    token = daemon.mint(user)
    listen(page, token)
    page.wait('types.length > 0')
    other = join(daemon, token=token)
    page.wait('closes.length === 1')
    assert page.run('closes')[0]['code'] == 4009
    page.wait('source.readyState === EventSource.CLOSED')
    assert page.run('sessions.length') == 1
    other.check_alive()


def test_a_refusal_is_for_good(page, daemon):
    page.run(LISTEN % json.dumps(sse_target('not-a-token')))
    page.wait('source.readyState === EventSource.CLOSED')
    assert page.run('errors') == 1 and page.run('sessions.length') == 0


@pytest.fixture(scope='module')
def pages():
    """Pages of other origins: one on a host that is allowed while developing, one that never is."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header('Content-Type', 'text/html')
            self.end_headers()
            self.wfile.write(b'<!DOCTYPE html><link rel="icon" href="data:,"><title>elsewhere</title>')

        def log_message(self, *args):
            pass

    servers = [http.server.ThreadingHTTPServer((host, 0), Handler) for host in ('127.0.0.1', '127.0.0.2')]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield [f'http://{name}:{server.server_port}/' for name, server in zip(('localhost', '127.0.0.2'), servers)]
    for server in servers:
        server.shutdown()
        server.server_close()


def test_other_origins(browser, daemon, user, pages, fresh):
    allowed, foreign = pages
    origin, channel, token = f'http://127.0.0.1:{daemon.port}', fresh('note:'), daemon.mint(user)
    page = browser.page(foreign)
    page.run(LISTEN % json.dumps(origin + sse_target(token)))
    page.wait('source.readyState === EventSource.CLOSED')
    assert page.run('sessions.length') == 0
    page = browser.page(allowed)
    listen(page, token, origin, channels=channel)
    page.wait('joined.length === 1')
    say(page, token, note(channel, 'across'), origin)
    page.wait('got.length === 1')
    page.run('source.close()')


def test_nothing_stays(browser, daemon, user):
    """A page that is left takes its stream along."""
    page = browser.page(f'http://localhost:{daemon.port}/')
    listen(page, daemon.mint(user))

    def active():
        lines = http_get(daemon.address, '/metrics').body.decode().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith('websocket_active_connections '))

    before = active()
    page.run('source.close()')
    page.wait('source.readyState === EventSource.CLOSED')
    deadline = Deadline(DEADLINE)
    while active() >= before:
        assert not deadline.passed()
