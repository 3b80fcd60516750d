# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What was acknowledged in a persisted channel is there, once, in order and under the same epoch, whatever ends the process."""

import signal
import threading

import pytest

from choir_test import Daemon, EndOfStream, Violation, connect

SETTINGS = {'store.backend': 'sqlite', 'rate.default': '65535/1s'}
CONFIG = '[namespace log]\npersist=yes\nhistory-size=100000\n[namespace fleeting]\npersist=no\n'
N_PUBLISHERS = 4


def make(directory, config=CONFIG, **settings):
    return Daemon({**SETTINGS, **settings}, config=config, directory=directory)


def launch(directory, **settings):
    return make(directory, **settings).start()


def publish(client, channel, number, key=None):
    payload = {'channel': channel, 'type': 'note', 'payload': {'n': number}}
    if key is not None:
        payload['idempotency_key'] = key
    client.send({'type': 'publish', 'payload': payload})


def publish_ok(client, channel, number, key=None):
    publish(client, channel, number, key)
    return client.wait_type('publish.ok')['payload']


def read_log(client, channel):
    """(epoch, offset, messages), all of it."""
    messages, since = [], 0
    while True:
        client.send({'type': 'history', 'payload': {'channel': channel, 'since': since, 'limit': 1000}})
        page = client.wait_type('history.result')['payload']
        messages += page['messages']
        if page['complete']:
            return page['epoch'], page['offset'], messages
        since = messages[-1]['offset']


class Publisher(threading.Thread):
    """Says numbers without waiting for answers, as long as the connection lasts; a message is [who, number]."""

    def __init__(self, daemon, who, enough):
        super().__init__(daemon=True)
        self.client = connect(daemon, token=daemon.mint(f'publisher{who}'))
        self.who = who
        self.enough = enough
        self.n_said = 0
        self.acknowledged = []
        self.failure = None

    def run(self):
        try:
            while True:
                while self.n_said - len(self.acknowledged) < 100:
                    publish(self.client, 'log:1', [self.who, self.n_said])
                    self.n_said += 1
                self.acknowledged.append(self.client.wait_type('publish.ok')['payload'])
                if len(self.acknowledged) == 300:
                    self.enough.release()
        except (EndOfStream, OSError):
            pass
        except Violation as closed:
            self.failure = None if 'Service restart' in str(closed) else closed
        except AssertionError as failure:
            self.failure = failure


def burst_until(daemon, end):
    """Everybody publishes; after some hundred acknowledgements `end` is called. The publishers, when all of it is over."""
    enough = threading.Semaphore(0)
    publishers = [Publisher(daemon, who, enough) for who in range(N_PUBLISHERS)]
    for one in publishers:
        one.start()
    for _ in publishers:
        assert enough.acquire(timeout=60)
    end()
    for one in publishers:
        one.join(60)
        assert not one.is_alive()
        assert one.failure is None, one.failure
    return publishers


def check_log(daemon, publishers):
    client = connect(daemon, token=daemon.mint('reader'))
    epoch, offset, messages = read_log(client, 'log:1')
    assert [message['offset'] for message in messages] == list(range(1, offset + 1))
    said = {who: [] for who in range(N_PUBLISHERS)}
    for message in messages:
        who, number = message['payload']['n']
        said[who].append((number, message['offset']))
    for one in publishers:
        there = said[one.who]
        # nothing of one's own is missing in between, and nothing is there twice
        assert [number for number, _ in there] == list(range(len(there)))
        assert len(there) >= len(one.acknowledged) >= 300
        for (_, where), answer in zip(there, one.acknowledged):
            assert (answer['offset'], answer['epoch'], answer['channel']) == (where, epoch, 'log:1')
    client.close()


@pytest.mark.parametrize('durability', ['full', 'normal'])
def test_killed(tmp_path, durability):
    settings = {'store.durability': durability}
    daemon = launch(tmp_path, **settings)
    publishers = burst_until(daemon, daemon.kill)
    with make(tmp_path, **settings) as daemon:
        check_log(daemon, publishers)
        client = connect(daemon, token=daemon.mint('reader'))
        epoch, offset, _ = read_log(client, 'log:1')
        answer = publish_ok(client, 'log:1', [0, 0])
        assert (answer['epoch'], answer['offset']) == (epoch, offset + 1)


def test_stopped(tmp_path):
    """Whoever is told to leave gets answers to all that was taken."""
    daemon = launch(tmp_path)
    publishers = burst_until(daemon, lambda: daemon.signal(signal.SIGTERM))
    daemon.stop()
    with make(tmp_path) as daemon:
        check_log(daemon, publishers)


def test_epochs(tmp_path):
    """Of what is not persisted a new life begins with the service's."""
    seen = []
    for _ in range(2):
        daemon = launch(tmp_path)
        client = connect(daemon, token=daemon.mint('alice'))
        seen.append([publish_ok(client, channel, 1) for channel in ('log:1', 'fleeting:1', 'chat:1')])
        daemon.kill()
    (log1, fleeting1, chat1), (log2, fleeting2, chat2) = seen
    assert (log2['epoch'], log2['offset']) == (log1['epoch'], 2)
    assert (chat2['epoch'], chat2['offset']) == (chat1['epoch'], 2)
    assert fleeting2['epoch'] != fleeting1['epoch'] and fleeting2['offset'] == 1


def test_same_key_after_a_kill(tmp_path):
    """The answer was lost with the service: said again, it is the same message."""
    daemon = launch(tmp_path)
    client = connect(daemon, token=daemon.mint('alice'))
    first = publish_ok(client, 'log:1', 1, 'key')
    publish_ok(client, 'log:1', 2)
    assert 'duplicate' not in first
    daemon.kill()
    with make(tmp_path) as daemon:
        client = connect(daemon, token=daemon.mint('alice'))
        again = publish_ok(client, 'log:1', 1, 'key')
        assert again == {**first, 'duplicate': True}
        assert publish_ok(client, 'log:1', 3, 'other')['offset'] == 3
        other = connect(daemon, token=daemon.mint('bob'))
        assert publish_ok(other, 'log:1', 4, 'key')['offset'] == 4
        _, _, messages = read_log(client, 'log:1')
        assert [message['payload']['n'] for message in messages] == [1, 2, 3, 4]
        assert not any('idempotency_key' in str(message) for message in messages)


def test_reload(tmp_path):
    """A channel stays what it is while it is in memory."""
    daemon = launch(tmp_path)
    client = connect(daemon, token=daemon.mint('alice'))
    publish_ok(client, 'log:1', 1)
    publish_ok(client, 'fleeting:1', 1)
    daemon.write_config('[namespace log]\npersist=no\n[namespace fleeting]\npersist=yes\n')
    n_lines = len(daemon.log_lines())
    daemon.signal(signal.SIGHUP)
    daemon.wait_log('configuration reloaded', start=n_lines)
    found = [publish_ok(client, channel, 2)['offset'] for channel in ('log:1', 'fleeting:1', 'log:2', 'fleeting:2')]
    assert found == [2, 2, 1, 1]
    daemon.kill()

    daemon.write_config('[namespace]\npersist=yes\n')
    with make(tmp_path) as daemon:
        client = connect(daemon, token=daemon.mint('alice'))
        found = [publish_ok(client, channel, 3)['offset'] for channel in ('log:1', 'fleeting:1', 'log:2', 'fleeting:2')]
        assert found == [3, 1, 1, 2]
