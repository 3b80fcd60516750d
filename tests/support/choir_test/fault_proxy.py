# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A TCP proxy on the loopback that does to connections what networks do: resets them, ends them, goes silent in one direction or
both, for a while or for good, and hands on bytes in crumbs. What it does is drawn from a seeded generator."""

import asyncio
import contextlib
import random
from collections import Counter

PIECE = 65536


class _Pipe:
    """One direction of one connection."""

    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.piece = PIECE

    async def run(self):
        with contextlib.suppress(OSError):
            while data := await self._reader.read(self.piece):
                await self.flowing.wait()
                self._writer.write(data)
                await self._writer.drain()
            self._writer.write_eof()


class FaultProxy:
    """`async with FaultProxy(target) as proxy`: connect to proxy.address. `faults`: how often each happens to a connection that has
    lasted for about `life` seconds; none once `calm` is set."""

    FAULTS = {'reset': 4, 'end': 2, 'stall': 3, 'deaf': 2, 'mute': 1, 'crumbs': 2}

    def __init__(self, target, seed=1, life=2.0):
        self.target = target
        self.calm = False
        self.done = Counter()
        self._rng = random.Random(seed)
        self._life = life
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._accept, '127.0.0.1', 0, limit=PIECE)
        self.address = self._server.sockets[0].getsockname()
        return self

    async def __aexit__(self, *exception):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target, limit=PIECE)
        except OSError:
            writer.transport.abort()
            return
        up, down = _Pipe(reader, far_writer), _Pipe(far_reader, writer)
        try:
            await self._carry(up, down)
        except asyncio.CancelledError:
            pass
        finally:
            writer.transport.abort()
            far_writer.transport.abort()

    async def _carry(self, up, down):
        pipes = [asyncio.ensure_future(pipe.run()) for pipe in (up, down)]
        fault = asyncio.ensure_future(self._suffer(up, down))
        try:
            while True:
                # whichever direction ends, or whatever fault is for good, ends it all
                finished, _ = await asyncio.wait([*pipes, fault], return_when=asyncio.FIRST_COMPLETED)
                if finished != {fault} or fault.result():
                    return
                fault = asyncio.ensure_future(self._suffer(up, down))
        finally:
            for task in (*pipes, fault):
                task.cancel()
            await asyncio.gather(*pipes, fault, return_exceptions=True)

    async def _suffer(self, up, down):
        """One fault, after a while; whether it is the end."""
        await asyncio.sleep(self._rng.expovariate(1 / self._life))
        if self.calm:
            await asyncio.Event().wait()
        fault = self._rng.choices(list(self.FAULTS), self.FAULTS.values())[0]
        self.done[fault] += 1
        if fault in ('reset', 'end'):
            return True
        if fault == 'crumbs':
            up.piece = down.piece = 7
            await asyncio.sleep(0.2)
            up.piece = down.piece = PIECE
            return False
        stopped = {'stall': (up, down), 'deaf': (down,), 'mute': (up,)}[fault]
        for pipe in stopped:
            pipe.flowing.clear()
        await asyncio.sleep(self._rng.uniform(0.1, self._life))
        if self._rng.random() < 0.5:
            return True
        for pipe in stopped:
            pipe.flowing.set()
        return False
