# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real browser: the playground, and the Origin that only browsers tell the truth about."""

import http.server
import json
import threading

import pytest

import chromium
from choir_test import Traffic
from library_client import join

pytestmark = pytest.mark.skipif(chromium.find() is None, reason='chromium is not installed')

SETTINGS = {'server.playground': 'yes'}


@pytest.fixture(scope='module')
def browser():
    with chromium.Browser() as running:
        yield running


@pytest.fixture
def playground(browser, daemon):
    page = browser.page(f'http://localhost:{daemon.port}/')
    yield page
    assert not page.complaints(), page.complaints()
    for url, subprotocol, sent, received in page.sockets():
        traffic = Traffic(url, subprotocol)
        for text in sent:
            traffic.sent(text)
        for text in received:
            traffic.received(text)


def fill(page, **values):
    for name, value in values.items():
        page.run(f'document.getElementById({json.dumps(name)}).value = {json.dumps(value)}')


def press(page, selector):
    page.run(f'document.querySelector({json.dumps(selector)}).click()')


def log_has(page, text):
    page.wait(f'document.getElementById("log").innerText.includes({json.dumps(text)})')


def log_of(page):
    return page.run('document.getElementById("log").innerText')


def connect(page, token, dialect='choir'):
    page.run(f'''(() => {{ const s = document.getElementById("dialect"); s.value = {json.dumps(dialect)};
                 s.dispatchEvent(new Event("change")); }})()''')
    fill(page, token=token)
    press(page, '#open')
    page.wait('document.getElementById("state").innerText === "Connected"')


def test_connect_subscribe_publish(playground, daemon, user):
    page, token = playground, daemon.mint(user)
    connect(page, token)
    log_has(page, '"connection.established"')
    fill(page, channel='chat:browser')
    press(page, '#subscribe button:not(.plain)')
    log_has(page, '"subscription.confirmed"')
    fill(page, to='chat:browser', type='chat.message', payload='{"content": "Grüße <b>aus</b> dem Browser"}')
    press(page, '#publish button')
    log_has(page, '"publish.ok"')
    log_has(page, '&lt;b&gt;aus&lt;/b&gt; dem Browser')

    # and what others say
    other = join(daemon, token=daemon.mint(user + '-friend'))
    other.send({'type': 'chat.message', 'payload': {'channel': 'chat:browser', 'content': 'from outside'}})
    log_has(page, 'from outside')
    press(page, '#unsubscribe')
    log_has(page, '"subscription.removed"')
    press(page, '#ping')
    log_has(page, '"pong"')
    press(page, '#close')
    log_has(page, 'Closed with 1000')
    page.wait('document.getElementById("state").innerText === "Not connected"')
    assert token not in log_of(page)


def test_coming_back(playground, daemon, user):
    """Disconnected in between, the page asks for what it has missed."""
    page, token = playground, daemon.mint(user)
    connect(page, token)
    fill(page, channel='chat:back')
    press(page, '#subscribe button:not(.plain)')
    log_has(page, '"recovered": false')
    fill(page, to='chat:back')
    press(page, '#publish button')
    log_has(page, '"publish.ok"')
    press(page, '#close')
    log_has(page, 'Closed with 1000')
    other = join(daemon, token=daemon.mint(user + '-friend'))
    other.send({'type': 'chat.message', 'payload': {'channel': 'chat:back', 'content': 'meanwhile'}})
    other.wait_type('publish.ok')
    connect(page, token)
    press(page, '#subscribe button:not(.plain)')
    log_has(page, '"recovered": true')
    assert log_of(page).count('meanwhile') == 1


def test_examples(playground, daemon, user):
    page = playground
    connect(page, daemon.mint(user))
    fill(page, channel='chat:lobby')
    press(page, '#subscribe button:not(.plain)')
    log_has(page, '"subscription.confirmed"')
    names = page.run('[...document.getElementById("example").options].map(o => o.value).filter(Boolean).join("|")').split('|')
    answers = ['"history.result"', '"presence.state"', '"publish.ok"', '"task.accepted"', '"task.state"', '"task_ids"']
    for name, answer in zip(names, answers, strict=True):
        page.run(f'''(() => {{ const s = document.getElementById("example"); s.value = {json.dumps(name)};
                     s.dispatchEvent(new Event("change")); }})()''')
        press(page, '#raw button')
        log_has(page, answer)


@pytest.mark.parametrize('dialect,first', [
    ('netra', '"connected"'), ('netra-spec', '"connection_established"'), ('reviewpoint', '"connection.established"'),
    ('jddb', 'Open'),
])
def test_every_dialect(playground, daemon, user, dialect, first):
    connect(playground, daemon.mint(user), dialect)
    log_has(playground, first)
    press(playground, '#ping')
    log_has(playground, '"pong"')
    press(playground, '#close')
    log_has(playground, 'Closed with 1000')


def test_first_message_by_hand(playground, daemon, user):
    connect(playground, '', 'tripsage')
    fill(playground, frame=json.dumps({'token': daemon.mint(user), 'sessionId': 'demo', 'channels': []}))
    press(playground, '#raw button')
    log_has(playground, '"success"')


def test_token_from_the_fragment(browser, daemon, user):
    token = daemon.mint(user)
    page = browser.page(f'http://localhost:{daemon.port}/#token={token}')
    assert page.run('document.getElementById("token").value') == token
    assert page.run('location.href') == f'http://localhost:{daemon.port}/'


def test_a_refusal_is_explained(browser, daemon):
    page = browser.page(f'http://localhost:{daemon.port}/')
    fill(page, token='not-a-token')
    press(page, '#open')
    log_has(page, 'Closed with 1006')
    log_has(page, 'HTTP 401')
    log_has(page, 'Invalid token')


def test_scripts_in_messages_stay_text(playground, daemon, user):
    """Published by a back end that the sanitizer does not touch: the page itself must not run it."""
    connect(playground, daemon.mint(user))
    fill(playground, frame='<img src=x onerror="window.hacked=1">')
    press(playground, '#raw button')
    log_has(playground, 'onerror')
    # which the page says of itself; what it was told comes later
    log_has(playground, 'INVALID_JSON')
    assert playground.run('window.hacked === undefined && document.querySelectorAll("#log img").length === 0')


# Origins

TRY = '''new Promise(resolve => {{
  const socket = new WebSocket({url});
  socket.onopen = () => resolve("open");
  socket.onclose = event => resolve("closed " + event.code);
}})'''


@pytest.fixture(scope='module')
def foreign_page():
    """A page from elsewhere: same machine, other origin than any that is allowed."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header('Content-Type', 'text/html')
            self.end_headers()
            self.wfile.write(b'<!DOCTYPE html><link rel="icon" href="data:,"><title>elsewhere</title>')

        def log_message(self, *args):
            pass

    # 127.0.0.2 is loopback and not in the list
    server = http.server.ThreadingHTTPServer(('127.0.0.2', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.2:{server.server_port}/'
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize('dialect', ['choir', 'netra', 'netra-spec', 'reviewpoint'])
def test_foreign_origin(browser, daemon, user, foreign_page, dialect):
    url = json.dumps(f'ws://127.0.0.1:{daemon.port}/ws?dialect={dialect}&token={daemon.mint(user)}')
    assert browser.page(foreign_page).run(TRY.format(url=url)) == 'closed 1006'
    assert browser.page(f'http://localhost:{daemon.port}/').run(TRY.format(url=url.replace('127.0.0.1', 'localhost'))) == 'open'


def test_opaque_origin(browser, daemon, user):
    """A data: page has the origin null."""
    url = json.dumps(f'ws://127.0.0.1:{daemon.port}/ws?token={daemon.mint(user)}')
    assert browser.page('data:text/html,<title>null</title>').run(TRY.format(url=url)) == 'closed 1006'


def test_discovery_across_origins(browser, daemon, foreign_page):
    fetch = f'fetch("http://127.0.0.1:{daemon.port}/ws/config").then(r => r.json(), e => "refused")'
    assert browser.page(foreign_page).run(fetch) == 'refused'
    allowed = browser.page(f'http://localhost:{daemon.port}/')
    # the playground's own policy allows connections to its server and by WebSocket only
    assert allowed.run('fetch("/ws/config").then(r => r.json())')['websocket_config']['version'] == '1.0'
