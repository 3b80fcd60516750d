# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""choirctl top, trace and watch against a real daemon on a private bus: what they show, the keys, and how they end."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'support'))

from choir_test import DEADLINE, Deadline, connect  # noqa: E402
from choir_test.bus import join, make_daemon  # noqa: E402
from choir_test.ctl import DONE, NO_SERVICE, USAGE, Choirctl, Ssh, columns, find_choirctl  # noqa: E402
from choir_test.terminal import SEQUENCES, Terminal  # noqa: E402

LEAVE = '\x1b[?1049l'


@pytest.fixture
def daemon(bus):
    with make_daemon(bus) as running:
        bus.wait_name()
        yield running


@pytest.fixture
def ctl(bus):
    return Choirctl(bus)


def subscribe(client, channel):
    client.send({'type': 'subscribe', 'payload': {'channels': [channel]}})
    return client.wait_type('subscription.confirmed')


def publish(client, channel, **payload):
    client.send({'type': 'publish', 'payload': {'channel': channel, 'type': 'test.note', 'payload': payload}})
    return client.wait_type('publish.ok')


class Running:
    """choirctl that goes on, its output read line by line."""

    def __init__(self, ctl, *words, env=None):
        self.process = subprocess.Popen([str(find_choirctl()), *ctl.where, *words], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ctl.environment(env))

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=DEADLINE)

    def line(self):
        text = self.process.stdout.readline()
        if not text:
            raise AssertionError(f'ended with {self.process.wait(DEADLINE)}: {self.process.stderr.read()}')
        return text.rstrip('\n')

    def line_with(self, text):
        while text not in (line := self.line()):
            pass
        return line

    def json(self):
        return json.loads(self.line())

    def json_with(self, predicate):
        deadline = Deadline(DEADLINE)
        while not deadline.passed():
            found = self.json()
            if predicate(found):
                return found
        raise AssertionError('no such line in time')

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, out, err


# top, printed


def test_top_prints_blocks(ctl, daemon):
    with join(daemon, 'alice') as alice, join(daemon, 'bob'):
        alice.check_alive()
        out = ctl('top', '--batch', '-n', '2', '--interval', '100ms')
    blocks = out.rstrip('\n').split('\n\n')
    assert len(blocks) == 4
    assert 'Connections: 2 ' in blocks[0] and 'choir 0.1.0' in blocks[0]
    assert 'MSG/S' in blocks[1] and 'alice' in blocks[1] and 'bob' in blocks[1]
    assert '\x1b' not in out


@pytest.mark.parametrize('view, key', [('connections', 'connection'), ('users', 'user'), ('channels', 'channel')])
def test_top_json(ctl, daemon, view, key):
    with join(daemon, 'alice') as alice:
        subscribe(alice, 'chat:1')
        lines = ctl('--json', 'top', '--view', view, '-n', '2', '--interval', '100ms').splitlines()
    assert len(lines) == 2
    for line in map(json.loads, lines):
        assert line['view'] == view and line['stats']['connections'] == 1
        assert key in line['rows'][0]


def test_top_shows_who_talks_now(ctl, daemon):
    """First is who says most at the moment, not who has said most since it came."""
    with join(daemon, 'before') as before, join(daemon, 'now') as now:
        for _ in range(60):
            before.check_alive()
        with Running(ctl, '--json', 'top', '--interval', '1s') as top:
            top.json()
            deadline = Deadline(DEADLINE)
            while not deadline.passed():
                for _ in range(5):
                    now.check_alive()
                rows = top.json()['rows']
                if rows[0]['user'] == 'now':
                    break
            assert (rows[0]['user'], rows[1]['user']) == ('now', 'before')
            assert rows[0]['messages_received'] < rows[1]['messages_received']
            assert rows[0]['messages_per_s'] > rows[1]['messages_per_s']
            assert top.end() == (DONE, '', '')


def test_top_sorts(ctl, daemon):
    clients = [join(daemon, f'user{i}') for i in range(4)]
    for i, n in enumerate((3, 40, 20, 1)):
        for _ in range(n):
            clients[i].check_alive()
    rows = json.loads(ctl('--json', 'top', '--sort', 'messages', '-n', '1'))['rows']
    assert [row['user'] for row in rows] == ['user1', 'user2', 'user0', 'user3']
    rows = json.loads(ctl('--json', 'top', '--sort', 'messages', '-n', '1', '--rows', '2'))['rows']
    assert [row['user'] for row in rows] == ['user1', 'user2']
    rows = json.loads(ctl('--json', 'top', '--view', 'users', '--sort', 'messages', '-n', '1'))['rows']
    assert [row['user'] for row in rows] == ['user1', 'user2', 'user0', 'user3']
    subscribe(clients[0], 'chat:one')
    for client in clients[:3]:
        subscribe(client, 'chat:three')
    rows = json.loads(ctl('--json', 'top', '--view', 'channels', '--sort', 'subscribers', '-n', '1'))['rows']
    assert [row['channel'] for row in rows if row['channel'].startswith('chat:')] == ['chat:three', 'chat:one']
    assert [row['subscribers'] for row in rows] == sorted((row['subscribers'] for row in rows), reverse=True)


def test_top_knows_nobody_slow(ctl, daemon):
    with join(daemon, 'alice'):
        assert json.loads(ctl('--json', 'top', '--view', 'slow', '-n', '1'))['rows'] == []


@pytest.mark.parametrize('words', [['--view', 'nothing'], ['--sort', 'nothing'], ['--view', 'slow', '--sort', 'errors'],
                                   ['--interval', '1ms'], ['--interval', '2h'], ['--rows', '1001'], ['-n', '-1'], []])
def test_top_wrong_usage(ctl, words):
    ctl.fails(USAGE, 'top', *words)


def test_top_without_a_service(ctl):
    ctl.fails(NO_SERVICE, 'top', '--batch', contains='not running')


# top, drawn


@pytest.fixture
def top(ctl, daemon):
    with Terminal([str(find_choirctl()), *ctl.where, 'top', '--interval', '100ms'], ctl.environment()) as terminal:
        terminal.wait_screen('Connections by rate')
        yield terminal


def assert_left_well(terminal):
    assert terminal.is_as_before
    # what was written last is on its way for a moment
    terminal.wait(lambda seen: seen.raw.rpartition(LEAVE)[1] == LEAVE)
    assert '\x1b[?25h' in terminal.raw.rpartition('\x1b[J')[2]


def test_top_draws_what_happens(top, daemon):
    top.wait_screen('Connections: 0 ')
    with join(daemon, 'alice'):
        top.wait_screen('Connections: 1 (.|\n)*alice')
    top.wait_screen('Connections: 0 ')
    assert not top.is_as_before
    top.send('q')
    assert top.wait_exit() == DONE
    assert_left_well(top)


def test_top_keys(top, daemon):
    with join(daemon, 'alice'):
        top.send('2')
        top.wait_screen('Users by rate(.|\n)*WAITING(.|\n)*alice')
        top.send('s')
        top.wait_screen('Users by messages')
        top.send('\t')
        top.wait_screen('Slow consumers by queued')
        top.send('\x1b[C')
        top.wait_screen('Channels by rate(.|\n)*SUBSCRIBERS')
        top.send('\x1bOC')
        top.wait_screen('Connections by rate')
        top.send('\x1b[D')
        top.wait_screen('Channels by rate')
        top.send('h')
        top.wait_screen('sort by something else')
        top.send('x')
        top.wait_screen('Channels by rate')
        top.send('x')
        top.wait_screen('That key does nothing')
        top.send('d')
        top.wait_screen('Seconds between two looks: _')
        top.send('1q')
        top.wait_screen('every 0.1 s')
        top.send('d')
        top.wait_screen('Seconds between two looks: _')
        top.send('12\x7f.5\r')
        top.wait_screen(r'every 1\.5 s')
        top.send('d')
        top.wait_screen('Seconds between two looks: _')
        top.send('0\r')
        top.wait_screen('no time between')
        top.send(' 1')
        top.wait_screen('Connections by rate; every 1.5 s')
    top.send('q')
    assert top.wait_exit() == DONE
    assert_left_well(top)


def test_top_pages(top, daemon):
    clients = [join(daemon, f'user{i:02}') for i in range(30)]
    top.send('2')
    # once they are quiet they stand in the order of their names
    top.wait(lambda seen: re.search('user00(.|\n)*user15', seen.screen) and 'user16' not in seen.screen)
    top.send('\x1b[6~')
    top.wait_screen('from 17(.|\n)*user16(.|\n)*user29')
    top.send('\x1b[A')
    top.wait_screen('from 16(.|\n)*user15')
    top.send('\x1b[H')
    top.wait_screen('by rate;(.|\n)*user00')
    top.send('\x1b[B')
    top.wait_screen('from 2(.|\n)*user01')
    top.send('q')
    assert top.wait_exit() == DONE
    assert all(clients)


def test_top_fits(top, daemon):
    clients = [join(daemon, f'user{i:02}' + 'x' * 60) for i in range(20)]
    # which of them, when all are alike, is nobody's business
    top.wait_screen(r'user\d\d')
    for rows, width in ((12, 40), (40, 150), (3, 10), (24, 80)):
        top.resize(rows, width)
        at = len(top.raw)

        def drawn(terminal, at=at, rows=rows, width=width):
            frames = terminal.raw[at:].split('\x1b[H')[1:-1]
            return frames and is_within(terminal, frames[-1], rows, width)

        top.wait(drawn)
    top.send('q')
    assert top.wait_exit() == DONE
    assert all(clients)


def is_within(terminal, frame, rows, width):
    # clearing behind the last column takes the character that is there
    assert not re.search(r'[^\r\n]\x1b\[[JK]', frame), frame
    lines = SEQUENCES.sub('', frame).replace('\r', '').split('\n')
    # the table's columns beyond the edge are the terminal's to drop
    return len(lines) <= rows and all(columns(line) <= width for line in lines[:7])


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_top_ends_by_signal(top, number):
    top.signal(number)
    assert top.wait_exit() == DONE
    assert_left_well(top)


@pytest.mark.parametrize('key', ['\x03', '\x1c'])
def test_top_ends_by_key(top, key):
    top.send(key)
    assert top.wait_exit() == DONE
    assert_left_well(top)


def test_top_pauses(top):
    top.send('\x1a')
    top.wait_stopped()
    assert_left_well(top)
    drawn = top.raw.count('\x1b[?1049h')
    top.go_on()
    top.wait(lambda terminal: terminal.raw.count('\x1b[?1049h') == drawn + 1)
    top.wait_screen('Connections by rate')
    assert not top.is_as_before
    top.send('q')
    assert top.wait_exit() == DONE
    assert_left_well(top)


def test_top_when_the_service_goes(top, daemon):
    daemon.stop()
    assert top.wait_exit() == NO_SERVICE
    assert_left_well(top)
    assert 'Choir has gone away' in top.text.rpartition('store')[2]


def test_top_when_the_service_hangs(top, daemon):
    """It can still be ended, and at once."""
    daemon.signal(signal.SIGSTOP)
    try:
        top.send(' 4h')
        top.wait_screen('sort by something else')
        top.send('q')
        assert top.wait_exit() == DONE
    finally:
        daemon.signal(signal.SIGCONT)
    assert_left_well(top)


# A service that does not answer


class Monitor:
    """Sees the calls of one method that pass the bus."""

    def __init__(self, bus, method):
        self.process = subprocess.Popen(['dbus-monitor', '--address', bus.address, f"type='method_call',member='{method}'"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        # its own name is taken from it when it has become a monitor
        self.wait('member=NameLost')

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.process.kill()
        self.process.communicate(timeout=DEADLINE)

    def wait(self, text):
        while text not in (line := self.process.stdout.readline()):
            assert line, f'no {text}'


@pytest.mark.parametrize('method, words', [('Watch', ['watch']), ('Trace', ['trace']), ('GetAll', ['top', '--batch'])])
def test_interrupted_before_the_first_answer(ctl, daemon, bus, method, words):
    with Monitor(bus, method) as monitor:
        daemon.signal(signal.SIGSTOP)
        try:
            with Running(ctl, *words, '--timeout', '1h') as running:
                monitor.wait(f'member={method}')
                assert running.end() == (-signal.SIGINT, '', '')
        finally:
            daemon.signal(signal.SIGCONT)


# trace


def test_trace_as_json(ctl, daemon):
    with join(daemon, 'alice') as alice, join(daemon, 'bob') as bob:
        subscribe(bob, 'chat:1')
        with Running(ctl, '--json', 'trace', '--channel', 'chat:1') as trace:
            wait_traced(trace, lambda: publish(alice, 'chat:1', secret='psst'))
            publish(alice, 'chat:1', secret='psst')
            line = trace.json_with(lambda found: found['direction'] == 'in')
            assert line['user'] == 'alice' and line['bytes'] > 0 and line['time'].endswith('Z')
            assert trace.end()[0::2] == (DONE, '')


def wait_traced(trace, act):
    """The trace begins a moment after its process: acts until a line comes."""
    first = []
    reader = threading.Thread(target=lambda: first.append(trace.line()), daemon=True)
    reader.start()
    deadline = Deadline(DEADLINE)
    while not first and not deadline.passed():
        act()
        reader.join(0.05)
    assert first, 'nothing was traced'
    return first[0]


@pytest.mark.parametrize('bodies', [False, True])
def test_trace_shows_bodies_only_when_asked(ctl, daemon, bodies):
    with join(daemon, 'alice') as alice:
        with Running(ctl, 'trace', '--user', 'alice', '--direction', 'in', *(['--bodies'] if bodies else [])) as trace:
            line = wait_traced(trace, lambda: publish(alice, 'chat:1', secret='psst'))
            assert ' → alice ' in line and ' publish ' in line and ' B' in line
            assert ('psst' in line) == bodies
            assert trace.end()[0] == DONE


def test_trace_of_one_type(ctl, daemon):
    with join(daemon, 'alice') as alice:
        with Running(ctl, '--json', 'trace', '--type', 'ping', '--direction', 'in') as trace:
            wait_traced(trace, lambda: (publish(alice, 'chat:1'), alice.check_alive()))
            code, out, _ = trace.end()
            assert code == DONE
            assert {json.loads(line)['type'] for line in out.splitlines()} <= {'ping'}


def test_trace_ends_with_its_reader(ctl, daemon):
    with join(daemon, 'alice') as alice:
        with Running(ctl, '--json', 'trace') as trace:
            wait_traced(trace, lambda: publish(alice, 'chat:1'))
            trace.process.stdout.close()
            # not before something is said: nothing is
            assert trace.process.wait(DEADLINE) == -signal.SIGPIPE
            trace.process.stdout = open(os.devnull, encoding='utf-8')


def test_trace_when_the_service_goes(ctl, daemon):
    with join(daemon, 'alice') as alice, Running(ctl, 'trace') as trace:
        wait_traced(trace, lambda: publish(alice, 'chat:1'))
        daemon.stop()
        _, err = trace.process.communicate(timeout=DEADLINE)
        assert trace.process.returncode == NO_SERVICE
        assert err.startswith('choirctl: ') and 'systemctl status' in err


def test_trace_wrong_usage(ctl):
    ctl.fails(USAGE, 'trace', '--direction', 'up')
    ctl.fails(USAGE, 'trace', 'word')
    ctl.fails(NO_SERVICE, 'trace')


def test_trace_on_a_terminal(ctl, daemon):
    with Terminal([str(find_choirctl()), *ctl.where, 'trace'], ctl.environment()) as terminal:
        terminal.wait_text('Tracing')
        with join(daemon, 'alice') as alice:
            publish(alice, 'chat:1')
            terminal.wait_text('alice')
            terminal.send('\x03')
            assert terminal.wait_exit() == DONE
        assert terminal.is_as_before


def test_trace_of_another_host(ctl, daemon, bus, tmp_path):
    ssh = Ssh(tmp_path)
    # what ends ssh ends the program over there
    ssh.write('exec sh -c "exec $4"')
    (tmp_path / 'choirctl').symlink_to(find_choirctl())
    words = ['--host', 'operator@there', '--timeout', '20s', '--json', 'trace', '--user', "al'ice", '--direction', 'in']
    with Running(ctl, *words, env=ssh.env) as trace, connect(daemon, 'choir', daemon.mint("al'ice")) as alice:
        line = json.loads(wait_traced(trace, lambda: publish(alice, 'chat:1')))
        assert line['user'] == "al'ice"
        assert ssh.words[:3] == ['-xT', '--', 'operator@there']
        assert "--user='al'\\''ice'" in ssh.words[3]
        assert ' --timeout=20000ms ' in ssh.words[3]
        assert trace.end()[0] == DONE


def test_trace_of_another_host_that_has_none(ctl, tmp_path):
    ssh = Ssh(tmp_path)
    done = ctl.run('--host', 'there', 'trace', env=ssh.env)
    assert done.returncode == NO_SERVICE
    # the shell there has said something, too
    assert done.stderr.endswith('choirctl: There is no choirctl on there\n')
    ssh.write('exit 255')
    ctl.fails(NO_SERVICE, '--host', 'there', 'trace', env=ssh.env, contains='ssh did not get to there')


# watch


def test_watch_connections(ctl, daemon):
    with Running(ctl, '--json', 'watch', 'connections') as watch:
        wait_watched(watch, lambda: join(daemon, 'alice').close())
        gone = watch.json_with(lambda found: found['signal'] == 'ConnectionRemoved')
        assert gone['user'] == 'alice' and gone['path'].startswith('/org/choir/Choir1/connection/')
        assert gone['time'].endswith('Z') and isinstance(gone['code'], int)
        assert watch.end()[0::2] == (DONE, '')


def wait_watched(watch, act):
    return wait_traced(watch, act)


def test_watch_in_words(ctl, daemon):
    with Running(ctl, 'watch') as watch:
        wait_watched(watch, lambda: join(daemon, 'alice').close())
        code, out, err = watch.end(signal.SIGTERM)
    assert (code, err) == (DONE, '')
    assert all('user=alice' in line for line in out.splitlines() if ' ConnectionRemoved ' in line)


def test_watch_says_when(ctl, daemon):
    with Running(ctl, 'watch') as watch:
        wait_watched(watch, lambda: join(daemon, 'alice').close())
        ctl('block', 'bob', '--until', '2099-12-31')
        ctl('block', 'carol')
        bob, carol = (watch.line_with(' UserBlocked ') for _ in range(2))
    assert ' until=2099-12-3' in bob and bob.endswith(':00.000Z user=bob')
    assert carol.endswith(' until=never user=carol')


def test_watch_of_one_kind(ctl, daemon):
    with Running(ctl, '--json', 'watch', 'properties') as watch:
        clients = []
        wait_watched(watch, lambda: clients.append(join(daemon, 'alice')))
        code, out, _ = watch.end()
        assert code == DONE
        assert {json.loads(line)['signal'] for line in out.splitlines()} <= {'PropertiesChanged'}
        for client in clients:
            client.close()


def test_watch_when_the_service_goes(ctl, daemon):
    with Running(ctl, 'watch') as watch:
        wait_watched(watch, lambda: join(daemon, 'alice').close())
        daemon.stop()
        _, err = watch.process.communicate(timeout=DEADLINE)
    assert watch.process.returncode == NO_SERVICE
    assert 'Choir has gone away' in err


def test_watch_when_the_bus_goes(ctl, bus):
    with make_daemon(bus, expect_log=['bus is not there']) as daemon:
        bus.wait_name()
        with Running(ctl, 'watch') as watch:
            wait_watched(watch, lambda: join(daemon, 'alice').close())
            bus.kill()
            _, err = watch.process.communicate(timeout=DEADLINE)
        assert watch.process.returncode == NO_SERVICE
        assert 'bus has closed' in err or 'gone away' in err


def test_watch_wrong_usage(ctl):
    ctl.fails(USAGE, 'watch', 'nothing', contains='“nothing”')
    ctl.fails(NO_SERVICE, 'watch')
