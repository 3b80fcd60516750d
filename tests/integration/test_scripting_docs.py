# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every example of docs/scripting.md, run as it stands there, on a bus of the test's own."""

import os
import re
import shutil
import signal
import subprocess

import pytest

from choir_test import DEADLINE, connect, http_get
from choir_test.bus import Bus, make_daemon
from choir_test.daemon import _Lines
from doc_examples import DOCS, read_examples, run_examples

PAGE = 'scripting.md'


def read_scripts():
    """{file name: text} of the fenced blocks; the first comment has the name."""
    scripts = {}
    for language, text in re.findall(r'^```(\w+)\n(.*?)^```$', (DOCS / PAGE).read_text('utf-8'), re.MULTILINE | re.DOTALL):
        name = re.search(r'^(?:#|//) ([\w-]+\.(?:py|js))', text, re.MULTILINE)
        assert name, text
        assert name[1].endswith({'python': '.py', 'js': '.js'}[language]), name[1]
        assert name[1] not in scripts
        scripts[name[1]] = text
    return scripts


SCRIPTS = read_scripts()


@pytest.fixture
def bus():
    with Bus() as private:
        yield private


@pytest.fixture
def daemon(bus):
    with make_daemon(bus) as running:
        bus.wait_name()
        yield running


@pytest.fixture
def script(bus, tmp_path):
    """Starts scripts; each is ended, and must not have complained."""
    running = []

    def start(name, *words):
        path = tmp_path / name
        path.write_text(SCRIPTS[name])
        command = ['/usr/bin/python3'] if name.endswith('.py') else ['gjs', '-m']
        process = subprocess.Popen([*command, str(path), *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env={**os.environ, **bus.env, 'LC_ALL': 'C.UTF-8'})
        running.append(Script(process))
        return running[-1]

    yield start
    for one in running:
        one.stop()


class Script:
    """A script that runs; what it prints can be waited for."""

    def __init__(self, process):
        self._process = process
        self._out = _Lines(process.stdout)
        self._err = _Lines(process.stderr)

    def wait(self, line, times=1):
        """Until it has printed a line so often."""
        seen = []

        def is_last(text):
            seen.append(text == line)
            return sum(seen) == times

        assert self._out.wait(is_last) is not None, (line, self._out.snapshot(), self._err.snapshot())

    def finish(self):
        """What it has printed until its end, which must be a good one."""
        code = self._process.wait(DEADLINE)
        self._out.join()
        self._err.join()
        assert (code, self._err.snapshot()) == (0, [])
        return self._out.snapshot()

    def stop(self):
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(DEADLINE)
        self._out.join()
        self._err.join()
        assert self._err.snapshot() == []


def join(daemon, user, *channels):
    client = connect(daemon, 'choir', daemon.mint(user))
    if channels:
        client.send({'type': 'subscribe', 'payload': {'channels': list(channels)}})
        client.wait_type('subscription.confirmed')
    return client


def test_commands(bus, daemon):
    """In their order: the later ones see what the earlier ones have done."""
    path = os.pathsep.join([os.path.join(os.environ['CHOIR_BUILD_DIR'], 'src', 'ctl'), os.environ['PATH']])
    examples = read_examples(PAGE)
    assert len(examples) > 8
    with join(daemon, 'alice', 'chat:lobby') as alice, join(daemon, 'bob') as bob:
        run_examples(examples, {**bus.env, 'PATH': path})
        for text in 'Lunch', 'Restart at noon':
            assert alice.wait_type('system.notification')['payload']['message'] == text
        assert alice.wait_type('chat.message')['payload']['content'] == 'Good morning'
        assert bob.ws.recv_close(skip_data=True) == (4002, 'Enough')


def test_python_connections(daemon, script):
    with join(daemon, 'alice'), join(daemon, 'bob'):
        assert sorted(script('connections.py').finish()) == ['alice choir 0', 'bob choir 0']


def test_python_kick_slow(daemon, script):
    with join(daemon, 'alice') as alice:
        connection = alice.seen[0]['payload']['connection_id']
        assert script('kick-slow.py', connection, 'nobody').finish() == ['0 slow', f'kicked {connection}', 'gone already: nobody']
        assert alice.ws.recv_close() == (4002, 'Too slow')


def test_python_watch(bus, script):
    with make_daemon(bus) as first:
        bus.wait_name()
        watcher = script('watch.py')
        watcher.wait('watching')
        with join(first, 'carol'):
            watcher.wait('came carol 127.0.0.1')
            bus.call('BlockUser', 'sts', 'carol', '0', '')
            watcher.wait('blocked carol')
            watcher.wait('went carol 4002')
    with make_daemon(bus) as second:
        bus.wait_name()
        watcher.wait('watching', 2)
        with join(second, 'dave'):
            watcher.wait('came dave 127.0.0.1')


def test_python_read(daemon, script):
    token = daemon.mint('back-end', roles=['service'])
    answer = http_get(daemon.address, '/api/v1/documents/notes', [('Authorization', f'Bearer {token}'), ('Content-Type', 'text/plain')],
                      'PUT', b'Buy milk')
    assert answer.status == 201, answer
    assert script('read.py', 'notes').finish() == ['version 1: Buy milk']
    assert script('read.py', 'notes', '1').finish() == ['version 1: Buy milk']


@pytest.mark.parametrize('name', ['trace.py', 'trace.js'])
def test_trace(daemon, script, name):
    with join(daemon, 'alice') as alice, join(daemon, 'bob') as bob:
        tracer = script(name, 'alice')
        tracer.wait('tracing')
        bob.check_alive()
        alice.send({'type': 'subscribe', 'payload': {'channels': ['chat:lobby']}})
        alice.wait_type('subscription.confirmed')
        tracer.wait('in subscribe')
        tracer.wait('out subscription.confirmed')
        assert 'in ping' not in tracer._out.snapshot()


def test_js_users(daemon, script):
    with join(daemon, 'bob'), join(daemon, 'alice'), join(daemon, 'alice'):
        assert script('users.js').finish() == ['alice 2', 'bob 1']


def test_js_publish(daemon, script):
    with join(daemon, 'alice', 'chat:lobby') as alice:
        assert script('publish.js', 'chat:lobby', 'Hello').finish() == ['message 1, for 1']
        assert alice.wait_type('chat.message')['payload']['content'] == 'Hello'
    assert script('publish.js', 'no channel', 'Hello').finish() == ['org.choir.Choir1.Error.InvalidArgs']


def test_js_watch(daemon, script):
    watcher = script('watch.js')
    watcher.wait('watching')
    with join(daemon, 'carol') as carol:
        watcher.wait('came carol')
        carol.ws.send_close(1000)
    watcher.wait('went carol 1000')


def test_every_script_is_run():
    source = open(__file__, encoding='utf-8').read()
    for name in SCRIPTS:
        assert f"'{name}'" in source, f'no test runs {name}'
    assert shutil.which('gjs')
