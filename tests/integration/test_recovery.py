# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who comes back to a channel that outlives the service gets everything missed, in order and once, or is told that it is not
everything. Channels keep more in the store here than in memory."""

import asyncio
import json
import random

import pytest
import websockets

from choir_test import Daemon
from choir_test.timing import scaled
from library_client import join

SETTINGS = {
    'store.backend': 'sqlite',
    'protocol.max-history-bytes': '32K',
    'rate.default': '65535/1s',
    'session.resume-window': '0s',
    'server.max-connections-per-user': '1000',
}
CONFIG = """
[namespace chat]
history-size=1000
replay=30
presence=no

[namespace busy]
persist=yes
history-size=100000
presence=no
subscribe=authenticated
publish=authenticated

[namespace short]
persist=yes
history-size=50
subscribe=authenticated
publish=authenticated
"""
N_IN_FLIGHT = 200


def say(client, channel, numbers):
    """Publishes one message after the other, without waiting in between; what each was acknowledged with."""
    for number in numbers:
        client.send({'type': 'publish', 'payload': {'channel': channel, 'type': 'note',
                                                    'payload': {'number': number, 'filling': 'x' * 200}}})
    answers = [client.wait_type('publish.ok')['payload'] for _ in numbers]
    assert [answer['offset'] for answer in answers] == list(range(answers[0]['offset'], answers[0]['offset'] + len(numbers)))
    assert len({answer['epoch'] for answer in answers}) == 1
    return answers


def subscribe(client, *channels):
    client.send({'type': 'subscribe', 'payload': {'channels': list(channels)}})
    payload = client.recv()
    assert payload['type'] == 'subscription.confirmed', payload
    return payload['payload']


def position(channel, answer, offset):
    return {'channel': channel, 'epoch': answer['epoch'], 'offset': offset}


def offsets(messages):
    return [message['offset'] for message in messages]


def numbers(messages):
    return [message['payload']['number'] for message in messages]


@pytest.fixture
def daemon(start):
    return start(SETTINGS, config=CONFIG)


@pytest.fixture
def restart(tmp_path):
    """Starts the service on one directory, again and again; the last one is judged."""
    running = []

    def launch():
        if running:
            running[-1].kill()
        running.append(Daemon(SETTINGS, config=CONFIG, directory=tmp_path).start())
        return running[-1]

    yield launch
    running[-1].stop()


def test_beyond_memory(daemon):
    """Everything in one answer, though memory has the newest few only, and then what is said later."""
    author, reader = join(daemon), join(daemon)
    answers = say(author, 'chat:edge', range(300))
    missed = subscribe(reader, position('chat:edge', answers[0], 100))['channels'][0]
    assert missed['recovered'] is True and missed['offset'] == 300
    assert offsets(missed['messages']) == list(range(101, 301))
    assert numbers(missed['messages']) == list(range(100, 300))
    say(author, 'chat:edge', [300])
    assert reader.recv()['offset'] == 301


def test_after_being_killed(restart):
    """Epochs and offsets outlive the service, and what was heard live is what is recovered, to the last member."""
    daemon = restart()
    author, reader = join(daemon), join(daemon)
    subscribe(reader, 'chat:life')
    first = say(author, 'chat:life', range(150))
    live = [reader.recv() for _ in range(150)]
    daemon = restart()
    reader = join(daemon)
    missed = subscribe(reader, position('chat:life', first[0], 60))['channels'][0]
    assert (missed['recovered'], missed['epoch'], missed['offset']) == (True, first[0]['epoch'], 150)
    assert missed['messages'] == live[60:]
    # and it goes on where it was
    assert say(join(daemon), 'chat:life', [150])[0] == {'channel': 'chat:life', 'epoch': first[0]['epoch'], 'offset': 151}
    assert reader.recv()['offset'] == 151


def test_what_is_no_longer_kept(daemon):
    """Never a part: whoever missed what has gone starts from the newest."""
    author, reader = join(daemon), join(daemon)
    answers = say(author, 'short:1', range(120))
    lost = subscribe(reader, position('short:1', answers[0], 69))['channels'][0]
    assert lost['recovered'] is False and offsets(lost['messages']) == list(range(71, 121))
    kept = subscribe(join(daemon), position('short:1', answers[0], 70))['channels'][0]
    assert kept['recovered'] is True and offsets(kept['messages']) == list(range(71, 121))


def test_positions_that_are_none(daemon):
    """Of another life, or to come: the present state."""
    answers = say(join(daemon), 'chat:other', range(40))
    for strange in ({'epoch': 'another', 'offset': 10}, {'epoch': answers[0]['epoch'], 'offset': 41}, {'offset': 10}):
        found = subscribe(join(daemon), {'channel': 'chat:other', **strange})['channels'][0]
        assert found['recovered'] is False and found['epoch'] == answers[0]['epoch']
        assert offsets(found['messages']) == list(range(1, 41))


def test_many_channels_at_once(restart):
    """After a restart none of them is in memory: one answer, in the order of the question."""
    daemon = restart()
    author = join(daemon)
    first = {f'chat:{i}': say(author, f'chat:{i}', range(i % 7 + 1))[0] for i in range(100)}
    daemon = restart()
    reader = join(daemon)
    answer = subscribe(reader, *[position(channel, first[channel], 1) for channel in first], 'chat:new', 'no name')
    assert [row['channel'] for row in answer['channels']] == [*first, 'chat:new']
    assert [row['code'] for row in answer['rejected']] == ['VALIDATION_ERROR']
    for i, row in enumerate(answer['channels'][:-1]):
        assert row['recovered'] is True and numbers(row['messages']) == list(range(1, i % 7 + 1)), row


def test_history_both_ways(restart):
    """Pages meet without a gap and without a repeat, wherever they begin, and say when there is no more."""
    daemon = restart()
    say(join(daemon), 'chat:past', range(500))
    daemon = restart()
    reader = join(daemon)
    for reverse, limit in ((False, 70), (True, 70), (False, 500), (True, 499), (True, 1000)):
        found, since, complete = [], None, False
        while not complete:
            query = {'channel': 'chat:past', 'limit': limit, 'reverse': reverse}
            reader.send({'type': 'history', 'payload': query if since is None else {**query, 'since': since}})
            page = reader.wait_type('history.result')['payload']
            assert page['offset'] == 500 and (page['complete'] or page['messages'])
            found += offsets(page['messages'])
            since, complete = found[-1], page['complete']
        assert found == (list(range(500, 0, -1)) if reverse else list(range(1, 501))), (reverse, limit)
    reader.send({'type': 'history', 'payload': {'channel': 'chat:never'}})
    reader.wait_error('UNKNOWN_CHANNEL')


def test_replayed_on_join(restart):
    """A contract without offsets is given the newest messages, oldest first, before anything later; once."""
    daemon = restart()
    author = join(daemon)
    for number in range(80):
        author.send({'type': 'chat.message', 'payload': {'channel': 'chat:room', 'content': f'{number}'}})
    for _ in range(80):
        author.wait_type('publish.ok')
    daemon = restart()
    author = join(daemon)
    reader = join(daemon, 'tripsage', target='/ws/chat/room', authenticate=False)
    reader.send({'token': daemon.mint(), 'sessionId': 'room', 'channels': ['chat:room']})
    assert reader.recv()['success'] is True
    assert [reader.recv()['payload']['content'] for _ in range(30)] == [f'{number}' for number in range(50, 80)]
    author.send({'type': 'chat.message', 'payload': {'channel': 'chat:room', 'content': 'later'}})
    assert reader.recv()['payload']['content'] == 'later'


class Visitor:
    """Comes, catches up, listens for a while and goes; strict about every offset in between."""

    def __init__(self, daemon, token, seed):
        self.daemon, self.token = daemon, token
        self.rng = random.Random(seed)
        self.epoch = self.offset = None
        self.heard = {}
        self.n_recovered = self.n_lost = self.n_live = 0

    async def visit(self, published):
        uri = f'ws://127.0.0.1:{self.daemon.port}/ws?token={self.token}'
        ws = await asyncio.wait_for(websockets.connect(uri, ping_interval=None, max_size=2 ** 24, close_timeout=0.1), scaled(20))
        try:
            assert json.loads(await ws.recv())['type'] == 'connection.established'
            where = {} if self.epoch is None else {'epoch': self.epoch, 'offset': self.offset}
            await ws.send(json.dumps({'type': 'subscribe', 'payload': {'channels': [{'channel': 'busy:1', **where}]}}))
            # nothing overtakes the answer
            answer = json.loads(await asyncio.wait_for(ws.recv(), scaled(20)))
            assert answer['type'] == 'subscription.confirmed', answer
            self.catch_up(answer['payload']['channels'][0])
            for _ in range(self.rng.randrange(100)):
                hearing = asyncio.ensure_future(ws.recv())
                await asyncio.wait({hearing, published}, return_when=asyncio.FIRST_COMPLETED)
                if not hearing.done():
                    hearing.cancel()
                    break
                self.listen(json.loads(hearing.result()))
        finally:
            ws.transport.abort()
            await ws.wait_closed()

    def catch_up(self, row):
        found = offsets(row['messages'])
        if row['recovered']:
            assert row['epoch'] == self.epoch
            assert found == list(range(self.offset + 1, row['offset'] + 1)), (self.offset, found[:3], found[-3:])
            self.n_recovered += len(found) > 0
        elif self.epoch is not None:
            assert found == list(range(row['offset'] + 1 - len(found), row['offset'] + 1))
            self.n_lost += 1
        self.epoch, self.offset = row['epoch'], row['offset']
        for message in row['messages']:
            self.heard[message['offset']] = message['payload']

    def listen(self, message):
        assert message['offset'] == self.offset + 1, (self.offset, message['offset'])
        self.offset += 1
        self.n_live += 1
        self.heard[self.offset] = message['payload']

    async def run(self, published):
        while not published.done():
            await self.visit(published)
            await asyncio.sleep(self.rng.random() * 0.1)
        # whatever was missed at the end
        await self.visit(published)


async def publish(daemon, token, name, done):
    uri = f'ws://127.0.0.1:{daemon.port}/ws?token={token}'
    acknowledged = {}
    async with websockets.connect(uri, ping_interval=None, close_timeout=0.1) as ws:
        await ws.recv()
        said, waiting = 0, 0
        while waiting or not done():
            while waiting < N_IN_FLIGHT and not done():
                payload = {'author': name, 'number': said, 'filling': 'x' * 100}
                await ws.send(json.dumps({'type': 'publish', 'payload': {'channel': 'busy:1', 'type': 'note', 'payload': payload}}))
                said, waiting = said + 1, waiting + 1
            answer = json.loads(await asyncio.wait_for(ws.recv(), scaled(20)))
            assert answer['type'] == 'publish.ok', answer
            acknowledged[answer['payload']['offset']] = (name, len(acknowledged))
            waiting -= 1
    return acknowledged


def test_coming_and_going_at_full_speed(start):
    daemon = start({**SETTINGS, 'protocol.max-queue-bytes': '4M'}, config=CONFIG)
    visitors = [Visitor(daemon, daemon.mint(f'visitor{seed}'), seed) for seed in range(12)]

    async def run():
        loop = asyncio.get_running_loop()
        end = loop.time() + 4

        def over():
            return loop.time() > end

        published = asyncio.gather(*[publish(daemon, daemon.mint(name), name, over) for name in ('ann', 'bob', 'cem')])
        coming = asyncio.gather(*[visitor.run(published) for visitor in visitors])
        try:
            await asyncio.wait_for(asyncio.gather(published, coming), scaled(40))
        finally:
            published.cancel()
            coming.cancel()
        return {offset: what for part in published.result() for offset, what in part.items()}

    acknowledged = asyncio.run(run())
    newest = len(acknowledged)
    assert sorted(acknowledged) == list(range(1, newest + 1))
    for visitor in visitors:
        assert visitor.offset == newest
        for offset, payload in visitor.heard.items():
            assert acknowledged[offset] == (payload['author'], payload['number'])
    print(f'{newest} published, heard live {sum(visitor.n_live for visitor in visitors)} times; '
          f'{sum(visitor.n_recovered for visitor in visitors)} recovered, {sum(visitor.n_lost for visitor in visitors)} told that not')
    # it was no stroll
    assert newest > 300
    assert sum(visitor.n_live for visitor in visitors) > 300
    assert sum(visitor.n_recovered for visitor in visitors) > 8
