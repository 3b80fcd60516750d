# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Publishers at full speed and subscribers whose connections break: what the promises of docs/protocol.md are tried with.

A subscriber keeps to the protocol's rules and to nothing else: it subscribes with its positions, takes its session over if it is let,
and asks again where it finds a gap. Everything else that does not fit is a broken promise."""

import asyncio
import json
import random
from collections import Counter, defaultdict
from itertools import count

import websockets

from choir_test.timing import scaled

QUIET = (websockets.ConnectionClosed, websockets.InvalidHandshake, OSError, asyncio.TimeoutError, EOFError)
OPTIONS = {'compression': None, 'ping_interval': None, 'max_size': 2 ** 24, 'max_queue': 64, 'close_timeout': 0.1}


class Broken(AssertionError):
    """A promise that was not kept."""


async def _connect(address, token, **parameters):
    query = ''.join(f'&{key}={value}' for key, value in parameters.items() if value)
    return await asyncio.wait_for(websockets.connect(f'ws://{address[0]}:{address[1]}/ws?token={token}{query}', **OPTIONS),
                                  scaled(20))


class Position:
    """How far one subscriber has got in one channel."""

    def __init__(self):
        self.epoch = None
        self.offset = None
        self.asking = None  # the correlation_id of the question whose answer counts

    def stand_at(self, epoch, offset):
        self.epoch, self.offset = epoch, offset


class Subscriber:
    """One client of some channels, for as long as run() is let."""

    def __init__(self, number, address, token, channels, log, seed):
        self.name = f'subscriber {number}'
        self.address, self.token, self.log = address, token, log
        self.positions = {channel: Position() for channel in channels}
        self.counts = Counter()
        self._rng = random.Random(seed)
        self._questions = count()
        self._session = None
        self._ws = None

    async def run(self):
        while True:
            try:
                await self._visit()
            except QUIET:
                self.counts['breaks'] += 1
            finally:
                if self._ws is not None:
                    self._ws.transport.abort()
            await asyncio.sleep(self._rng.uniform(0, 0.2))

    async def _visit(self):
        # one in three forgets its session, as a program that was started anew does
        known = self._session if self._rng.random() < 0.67 else None
        self._ws = await _connect(self.address, self.token, session_id=known)
        established = json.loads(await self._ws.recv())
        if established['type'] != 'connection.established':
            raise Broken(f'{self.name}: first message {established}')
        resumed = established['payload']['resumed']
        if resumed and established['payload']['session_id'] != known:
            raise Broken(f'{self.name}: took over another session')
        self._session = established['payload']['session_id']
        self.counts['resumed' if resumed else 'connected'] += 1
        # the session is the same; what it was asked may have been lost on the way, or the answer
        unanswered = [channel for channel, position in self.positions.items() if position.asking]
        if not resumed or unanswered:
            await self._ask(unanswered if resumed else list(self.positions))
        async for text in self._ws:
            message = json.loads(text)
            await self._take(message)

    async def _ask(self, channels):
        wanted = []
        question = f'{next(self._questions)}'
        for channel in channels:
            position = self.positions[channel]
            position.asking = question
            wanted.append({'channel': channel} if position.epoch is None else
                          {'channel': channel, 'epoch': position.epoch, 'offset': position.offset})
        await self._ws.send(json.dumps({'type': 'subscribe', 'correlation_id': question, 'payload': {'channels': wanted}}))

    async def _take(self, message):
        if message['type'] == 'subscription.confirmed':
            rejected = message['payload']['rejected']
            if any(row['code'] != 'UNAVAILABLE' for row in rejected):
                raise Broken(f'{self.name}: rejected {rejected}')
            for row in message['payload']['channels']:
                if self.positions[row['channel']].asking == message['correlation_id']:
                    self._confirm(row)
            again = [row['channel'] for row in rejected
                     if self.positions[row['channel']].asking == message['correlation_id']]
            if again:
                await self._ask(again)
        elif message['type'] == 'error':
            raise Broken(f'{self.name}: {message}')
        elif 'offset' in message:
            await self._hear(message)

    def _confirm(self, row):
        position = self.positions[row['channel']]
        position.asking = None
        offsets = [message['offset'] for message in row['messages']]
        if offsets != list(range(offsets[0], offsets[0] + len(offsets)) if offsets else []):
            raise Broken(f'{self.name}: {row["channel"]} confirmed with offsets {offsets}')
        if row['recovered']:
            self.counts['recovered'] += 1
            if row['epoch'] != position.epoch:
                raise Broken(f'{self.name}: recovered across epochs')
            expected = list(range(position.offset + 1, row['offset'] + 1))
            if offsets != expected:
                raise Broken(f'{self.name}: {row["channel"]} recovered {offsets} where {expected} were missed')
        elif position.epoch is not None:
            self.counts['not recovered'] += 1
            if offsets and offsets[-1] != row['offset']:
                raise Broken(f'{self.name}: the present state ends at {offsets[-1]}, not {row["offset"]}')
        for message in row['messages']:
            self.log.heard(row['epoch'], message)
        position.stand_at(row['epoch'], row['offset'])

    async def _hear(self, message):
        position = self.positions[message['channel']]
        if position.asking:
            # before the answer: what it holds, too
            return
        if message['offset'] <= position.offset:
            raise Broken(f'{self.name}: {message["channel"]} {message["offset"]} again, at {position.offset}')
        if message['offset'] > position.offset + 1:
            # the old socket had been given what the network lost: only a session that was taken over may meet this
            if not self.counts['resumed']:
                raise Broken(f'{self.name}: {message["channel"]} {message["offset"]} after {position.offset}')
            self.counts['gaps'] += 1
            await self._ask([message['channel']])
            return
        position.offset = message['offset']
        self.counts['heard'] += 1
        self.log.heard(position.epoch, message)


class Log:
    """What was said where, as everybody has heard it, and what was acknowledged."""

    def __init__(self):
        self.said = defaultdict(dict)  # (channel, epoch) -> offset -> (publisher, number)
        self.acknowledged = {}  # (publisher, number) -> (channel, epoch, offset)

    def heard(self, epoch, message):
        what = (message['payload']['publisher'], message['payload']['number'])
        known = self.said[message['channel'], epoch].setdefault(message['offset'], what)
        if known != what:
            raise Broken(f'{message["channel"]} {message["offset"]} is {known} for one and {what} for another')

    def acknowledge(self, what, channel, epoch, offset):
        self.acknowledged[what] = (channel, epoch, offset)


class Publisher:
    """Publishes without pause, so many messages under way; what was not acknowledged is sent again with its key."""

    def __init__(self, name, address, token, channels, log, window=16):
        self.name, self.address, self.token, self.channels, self.log = name, address, token, channels, log
        self._window = window
        self._numbers = count()
        self._waiting = {}
        self.stopping = False
        self.n_errors = 0

    async def run(self):
        """Until `stopping` is set and everything has been acknowledged."""
        while not (self.stopping and not self._waiting):
            try:
                ws = await _connect(self.address, self.token)
                try:
                    await self._publish(ws)
                finally:
                    ws.transport.abort()
            except QUIET:
                await asyncio.sleep(0.05)

    async def _say(self, ws, number):
        channel, payload = self._waiting[number]
        await ws.send(json.dumps({'type': 'publish', 'correlation_id': str(number), 'payload': {
            'channel': channel, 'type': 'breaker.tick', 'payload': payload, 'idempotency_key': f'{self.name}.{number}'}}))

    async def _publish(self, ws):
        for number in list(self._waiting):
            await self._say(ws, number)
        while self._waiting or not self.stopping:
            while len(self._waiting) < self._window and not self.stopping:
                number = next(self._numbers)
                self._waiting[number] = (self.channels[number % len(self.channels)],
                                         {'publisher': self.name, 'number': number})
                await self._say(ws, number)
            answer = json.loads(await asyncio.wait_for(ws.recv(), scaled(20)))
            if answer['type'] == 'publish.ok':
                number = int(answer['correlation_id'])
                channel, _ = self._waiting.pop(number)
                payload = answer['payload']
                self.log.acknowledge((self.name, number), channel, payload['epoch'], payload['offset'])
            elif answer['type'] == 'error':
                # the service is about to go, or the store is: again
                self.n_errors += 1
                if answer['payload']['code'] != 'UNAVAILABLE':
                    raise Broken(f'{self.name}: {answer}')
                await asyncio.sleep(0.05)
                await self._say(ws, int(answer['correlation_id']))


async def read_history(address, token, channel):
    """The whole log of a channel, as (epoch, [messages])."""
    ws = await _connect(address, token)
    try:
        await ws.recv()
        messages, since = [], 0
        while True:
            await ws.send(json.dumps({'type': 'history', 'payload': {'channel': channel, 'since': since, 'limit': 1000}}))
            while (answer := json.loads(await asyncio.wait_for(ws.recv(), scaled(20))))['type'] != 'history.result':
                if answer['type'] == 'error':
                    raise Broken(f'history of {channel}: {answer}')
            part = answer['payload']
            messages += part['messages']
            if part['complete']:
                return part['epoch'], messages
            since = messages[-1]['offset']
    finally:
        ws.transport.abort()
