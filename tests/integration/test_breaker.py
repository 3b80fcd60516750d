# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Subscribers that drop, stall and return while others publish at full speed, and a service that is killed meanwhile: everybody's
sequence is gapless and free of repeats or says so, and what was acknowledged is there.

CHOIR_BREAKER_SECONDS: how long, 15 unless set; CHOIR_BREAKER_SUBSCRIBERS: how many, 200 unless set."""

import asyncio
import os
from collections import Counter
from itertools import count

from breaker import Log, Publisher, Subscriber, read_history
from choir_test import Daemon
from choir_test.fault_proxy import FaultProxy
from choir_test.timing import scaled

SECONDS = float(os.environ.get('CHOIR_BREAKER_SECONDS', '15'))
N_SUBSCRIBERS = int(os.environ.get('CHOIR_BREAKER_SUBSCRIBERS', '200'))
DURABLE = [f'durable:{i}' for i in range(4)]
FLEETING = [f'fleeting:{i}' for i in range(4)]
SETTINGS = {
    'store.backend': 'sqlite',
    'rate.default': '65535/1s',
    'server.max-connections-per-user': '1000',
    'session.resume-window': '10s',
    'protocol.max-queue-bytes': '256K',
}
CONFIG = """
[namespace durable]
persist=yes
history-size=1000000
presence=no

[namespace fleeting]
history-size=500
presence=no
"""


async def end(tasks):
    """A wait that has just got what it waited for swallows one cancellation."""
    while tasks := [task for task in tasks if not task.done()]:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=0.5)


class Scene:
    def __init__(self, daemon):
        self.daemon = daemon
        self.log = Log()
        self.publishers = []
        self.subscribers = []

    def token(self, name):
        return self.daemon.mint(name)

    async def watch(self, tasks, seconds):
        """Lets things happen; a promise broken by anybody ends it."""
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()

    async def kill_and_restart(self):
        """On the same data and the same port."""
        loop = asyncio.get_running_loop()
        old = self.daemon
        await loop.run_in_executor(None, old.kill)
        self.daemon = Daemon(SETTINGS, config=CONFIG, directory=old.directory, listen=[f'127.0.0.1:{old.port}'])
        await loop.run_in_executor(None, self.daemon.start)

    async def run(self):
        log, address = self.log, self.daemon.address
        async with FaultProxy(address) as proxy:
            for i in range(N_SUBSCRIBERS):
                channels = [DURABLE[i % 4], DURABLE[(i // 4) % 4], FLEETING[i % 4]]
                self.subscribers.append(Subscriber(i, proxy.address, self.token(f'reader{i}'), channels, log, seed=i))
            for i in range(4):
                self.publishers.append(Publisher(f'p{i}', address, self.token(f'p{i}'), DURABLE + FLEETING, log))
            publishing = [asyncio.ensure_future(one.run()) for one in self.publishers]
            listening = [asyncio.ensure_future(one.run()) for one in self.subscribers]
            try:
                await self.watch(publishing + listening, SECONDS / 2)
                await self.kill_and_restart()
                await self.watch(publishing + listening, SECONDS / 2)
                proxy.calm = True
                for one in self.publishers:
                    one.stopping = True
                await asyncio.wait_for(asyncio.gather(*publishing), scaled(60))
                await self.wait_until_everybody_has_everything(listening)
            finally:
                await end(publishing + listening)
            self.faults = proxy.done
        await self.kill_and_restart()
        await self.check_what_is_kept()

    async def say_the_last_word(self, number):
        """In every channel. Whoever took over a session whose old socket had been given the end of it finds the gap only now."""
        last = Publisher(f'last{number}', self.daemon.address, self.token('last'), DURABLE + FLEETING, self.log, window=8)
        saying = asyncio.ensure_future(last.run())
        while not any(name == last.name for name, _ in self.log.acknowledged):
            await asyncio.sleep(0.02)
        last.stopping = True
        await asyncio.wait_for(saying, scaled(20))

    async def wait_until_everybody_has_everything(self, listening):
        heads = {}

        def behind():
            return [(one.name, channel, place.epoch, place.offset, place.asking, heads[channel])
                    for one in self.subscribers for channel, place in one.positions.items()
                    if (place.epoch, place.offset) != heads[channel]]

        async def arrived():
            for number in count():
                await self.say_the_last_word(number)
                for channel in DURABLE + FLEETING:
                    epoch, messages = await read_history(self.daemon.address, self.token('judge'), channel)
                    heads[channel] = (epoch, messages[-1]['offset'])
                # what was stalled before it became calm moves again after some seconds
                for _ in range(100):
                    if not behind():
                        return
                    await asyncio.sleep(0.05)

        waiting = asyncio.ensure_future(asyncio.wait_for(arrived(), scaled(90)))
        try:
            done, _ = await asyncio.wait([waiting, *listening], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except asyncio.TimeoutError:
            raise AssertionError(f'{len(behind())} have not arrived: {behind()[:5]}') from None
        finally:
            waiting.cancel()

    async def check_what_is_kept(self):
        """After another kill: whatever was acknowledged in a durable channel is there, once, and nothing heard has changed."""
        for channel in DURABLE:
            epoch, messages = await read_history(self.daemon.address, self.token('judge'), channel)
            kept = {message['offset']: (message['payload']['publisher'], message['payload']['number']) for message in messages}
            assert list(kept) == list(range(1, len(kept) + 1))
            assert max(Counter(kept.values()).values()) == 1
            for what, (where, then, offset) in self.log.acknowledged.items():
                if where == channel:
                    assert (then, kept.get(offset)) == (epoch, what), (what, channel, offset, kept.get(offset))
            for offset, what in self.log.said[channel, epoch].items():
                assert kept.get(offset) == what, (channel, offset, what, kept.get(offset))
            assert [key for key in self.log.said if key[0] == channel] == [(channel, epoch)]


def test_promises_hold_while_everything_breaks(tmp_path):
    daemon = Daemon(SETTINGS, config=CONFIG, directory=tmp_path).start()
    scene = Scene(daemon)
    try:
        asyncio.run(scene.run())
    except BaseException:
        print(scene.daemon.log())
        scene.daemon.kill()
        raise
    scene.daemon.stop()
    counts = sum((one.counts for one in scene.subscribers), Counter())
    print(f'{SECONDS:g} s, {N_SUBSCRIBERS} subscribers: {len(scene.log.acknowledged)} published; {dict(counts)}; '
          f'faults {dict(scene.faults)}')
    # It was no stroll
    assert counts['heard'] > 1000 and len(scene.log.acknowledged) > 100
    assert counts['recovered'] > 10 and counts['not recovered'] > 0
    assert scene.faults.total() > N_SUBSCRIBERS / 4
