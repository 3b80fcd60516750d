# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Headless Chromium over its DevTools pipe: no driver, no port."""

import json
import os
import select
import shutil
import subprocess
import tempfile

from choir_test import DEADLINE, Deadline, scaled

NAMES = ('chromium', 'chromium-browser', 'google-chrome')


def find():
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """Use as a context manager; page() opens a tab."""

    def __init__(self):
        self._directory = tempfile.mkdtemp(prefix='choir-chromium-')
        self._next_id = 0
        self._buffer = b''
        self.events = []
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()

        def place_pipes():
            # DevTools reads from 3 and writes to 4; out of each other's way first
            reading, writing = os.dup(to_browser), os.dup(from_browser)
            while reading in (3, 4):
                reading = os.dup(reading)
            while writing in (3, 4):
                writing = os.dup(writing)
            os.dup2(reading, 3)
            os.dup2(writing, 4)

        self._process = subprocess.Popen(
            [find(), '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
             '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-extensions',
             '--remote-debugging-pipe', f'--user-data-dir={self._directory}', 'about:blank'],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False,
            preexec_fn=place_pipes, start_new_session=True, env={**os.environ, 'HOME': self._directory})
        os.close(to_browser)
        os.close(from_browser)

    def _read_message(self, deadline):
        while b'\0' not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], deadline.left())
            if not ready:
                raise AssertionError('the browser does not answer')
            data = os.read(self._read, 1 << 16)
            if not data:
                raise AssertionError('the browser has ended')
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b'\0')
        return json.loads(message)

    def call(self, method, session=None, **params):
        self._next_id += 1
        request = {'id': self._next_id, 'method': method, 'params': params}
        if session is not None:
            request['sessionId'] = session
        os.write(self._write, json.dumps(request).encode() + b'\0')
        # starting a browser is the slowest thing there is
        deadline = Deadline(max(DEADLINE, scaled(60)))
        while (message := self._read_message(deadline)).get('id') != self._next_id:
            self.events.append(message)
        assert 'error' not in message, message
        return message['result']

    def page(self, url='about:blank'):
        target = self.call('Target.createTarget', url='about:blank')['targetId']
        session = self.call('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        page = Page(self, session)
        page.call('Page.enable')
        page.call('Runtime.enable')
        page.call('Log.enable')
        page.call('Network.enable')
        page.go(url)
        return page

    def close(self):
        try:
            self.call('Browser.close')
            self._process.wait(scaled(30))
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            os.close(self._write)
            os.close(self._read)
            shutil.rmtree(self._directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class Page:
    def __init__(self, browser, session):
        self._browser = browser
        self._session = session

    def call(self, method, **params):
        return self._browser.call(method, self._session, **params)

    def go(self, url):
        self.call('Page.navigate', url=url)
        self.wait(f'document.readyState === "complete" && location.href !== "about:blank" || {json.dumps(url)} === "about:blank"')

    def run(self, expression):
        """The value of a JavaScript expression; promises are waited for."""
        result = self.call('Runtime.evaluate', expression=expression, awaitPromise=True, returnByValue=True)
        assert 'exceptionDetails' not in result, result['exceptionDetails']
        return result['result'].get('value')

    def wait(self, condition, seconds=20):
        """Until `condition` is true: looked at on every animation frame, or whenever the page changes."""
        limit_ms = int(scaled(seconds) * 1000)
        done = self.run(f'''new Promise(resolve => {{
          const end = Date.now() + {limit_ms};
          const look = () => {{
            if ({condition}) resolve(true);
            else if (Date.now() > end) resolve(false);
            else setTimeout(look, 10);
          }};
          look();
        }})''')
        assert done, f'{condition}: not in time; the page says {self.run("document.body.innerText")!r}'

    def sockets(self):
        """(URL, subprotocol, what was sent, what was received) of each WebSocket of the page, texts only."""
        found = {}
        for event in self._browser.events:
            method, params = event['method'], event['params']
            if event.get('sessionId') != self._session or not method.startswith('Network.webSocket'):
                continue
            socket = found.setdefault(params['requestId'], [None, None, [], []])
            if method == 'Network.webSocketCreated':
                socket[0] = params['url']
            elif method == 'Network.webSocketHandshakeResponseReceived':
                fields = {name.lower(): value for name, value in params['response']['headers'].items()}
                socket[1] = fields.get('sec-websocket-protocol')
            elif method in ('Network.webSocketFrameSent', 'Network.webSocketFrameReceived'):
                frame = params['response']
                if frame['opcode'] == 1:
                    socket[2 if method.endswith('Sent') else 3].append(frame['payloadData'])
        return [tuple(socket) for socket in found.values()]

    def complaints(self):
        """What the page's console has to complain about."""
        texts = []
        for event in self._browser.events:
            if event.get('sessionId') != self._session:
                continue
            if event['method'] == 'Runtime.exceptionThrown':
                texts.append(event['params']['exceptionDetails']['text'])
            if event['method'] == 'Log.entryAdded' and event['params']['entry']['level'] == 'error':
                texts.append(event['params']['entry']['text'])
        return texts
