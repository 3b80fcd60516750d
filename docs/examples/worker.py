#!/usr/bin/python3
# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A worker over WebSocket: counts the words of a text, and lets whoever asked for that watch.

    CHOIR_TOKEN=TOKEN worker.py ws://127.0.0.1:8800/ws

The token needs the role that the setting task.worker-role names. What it does is in count_words(), the only part
that has to be replaced; docs/workers.md explains the rest. Needs python3-websockets.
"""

import argparse
import asyncio
import json
import logging
import os
import random
import signal
import sys
from collections import Counter

import websockets

# Seconds between attempts to connect: twice as long each time, and never all workers at the same moment
FIRST_DELAY = 0.5
LONGEST_DELAY = 30

# Closed with one of these the service does not want this worker again (docs/protocol.md, "Close codes")
FINAL_CODES = {1002, 1003, 1007, 1008, 1009, 4000, 4001, 4002, 4003}

# And refused with one of these
FINAL_STATUSES = {400, 401, 403}

log = logging.getLogger('worker')


class Failure(Exception):
    """The task can't be done. With `retry` another attempt may go better."""

    def __init__(self, message, code='PROCESSING_ERROR', retry=False):
        super().__init__(message)
        self.code = code
        self.retry = retry


async def count_words(job, payload):
    """The work: {text, pause_ms?} -> {words, distinct, most_common}."""
    text = payload.get('text')
    if not isinstance(text, str):
        raise Failure('text must be a string', 'VALIDATION_ERROR')

    words = text.split()
    counts = Counter()
    for done, word in enumerate(words, 1):
        counts[word.lower()] += 1
        await job.say('chunk', content=f'{word} ')
        await job.say('progress', progress=done * 100 // len(words), message=f'{done} of {len(words)} words')
        await asyncio.sleep(payload.get('pause_ms', 0) / 1000)
    return {'words': len(words), 'distinct': len(counts), 'most_common': [word for word, _ in counts.most_common(3)]}


def get_status(error):
    """The HTTP status of a refused handshake, None if there was none; before websockets 14, and since."""
    return getattr(error, 'status_code', None) or getattr(getattr(error, 'response', None), 'status_code', None)


class Job:
    """One task while it is ours."""

    def __init__(self, worker, assigned):
        self._worker = worker
        self.task_id = assigned['task_id']
        self.lease_id = assigned['lease_id']
        self.kind = assigned['kind']
        self.payload = assigned['payload']
        self.attempt = assigned['attempt']
        self.running = None

    async def say(self, what, **payload):
        """Tells the requester `task.what`, which renews the lease as well."""
        named = {'task_id': self.task_id, 'lease_id': self.lease_id}
        await self._worker.send(f'task.{what}', {**named, **payload}, self.lease_id)

    async def run(self, work):
        await self.say('started', message=f'attempt {self.attempt}')
        try:
            result = await work(self, self.payload)
        except Failure as failure:
            await self.say('failed', message=str(failure), code=failure.code, retry=failure.retry)
        except websockets.ConnectionClosed:
            raise
        except Exception:
            log.exception('%s', self.task_id)
            await self.say('failed', message='The worker has a defect', retry=True)
        else:
            await self.say('completed', result=result)


class Worker:
    """Connects, takes tasks, and comes back when the connection is lost."""

    def __init__(self, url, token, works, slots):
        self._url = url
        self._token = token
        self._works = works  # {kind: coroutine function}
        self._slots = slots
        self._ws = None
        self._jobs = {}  # {task_id: Job}
        self._is_stopping = asyncio.Event()

    async def send(self, type_, payload, correlation_id=None):
        message = {'type': type_, 'payload': payload}
        if correlation_id is not None:
            # comes back in an error about this message
            message['correlation_id'] = correlation_id
        await self._ws.send(json.dumps(message))

    def stop(self):
        """Takes nothing more, and ends when what it has is done."""
        self._is_stopping.set()

    async def run(self):
        """Until it is stopped; raises PermissionError if the service does not want it."""
        delay = FIRST_DELAY
        while not self._is_stopping.is_set():
            try:
                async with self._connect() as self._ws:
                    delay = FIRST_DELAY
                    await self._serve()
            except websockets.InvalidHandshake as error:
                if get_status(error) in FINAL_STATUSES:
                    raise PermissionError(f'refused with {get_status(error)}') from None
                log.info('no connection: %s', error)
            except websockets.ConnectionClosed as error:
                if error.rcvd is not None and error.rcvd.code in FINAL_CODES:
                    raise PermissionError(f'closed with {error.rcvd.code}: {error.rcvd.reason}') from None
                log.info('the connection is lost: %s', error)
            except websockets.InvalidURI as error:
                raise PermissionError(str(error)) from None
            except (OSError, asyncio.TimeoutError, websockets.WebSocketException) as error:
                log.info('no connection: %s', error)
            finally:
                await self._drop_jobs()
            await self._wait(random.uniform(delay / 2, delay))
            delay = min(2 * delay, LONGEST_DELAY)

    def _connect(self):
        return websockets.connect(self._url, subprotocols=['choir.v1', f'bearer.{self._token}'], open_timeout=10)

    async def _wait(self, seconds):
        try:
            await asyncio.wait_for(self._is_stopping.wait(), seconds)
        except asyncio.TimeoutError:
            pass

    async def _drop_jobs(self):
        """What was being done is given to another worker, so it ends here."""
        running = [job.running for job in self._jobs.values()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._jobs.clear()

    async def _serve(self):
        await self.send('task.pull', {'kinds': list(self._works), 'slots': self._slots})
        leaving = asyncio.create_task(self._leave())
        beating = None
        try:
            async for text in self._ws:
                message = json.loads(text)
                if message['type'] == 'task.assigned' and beating is None:
                    beating = asyncio.create_task(self._beat(message['payload']['lease_ms'] / 3000))
                self._take(message['type'], message['payload'], message.get('correlation_id'))
        finally:
            leaving.cancel()
            if beating is not None:
                beating.cancel()

    async def _leave(self):
        """Takes no more, ends what there is, goes."""
        await self._is_stopping.wait()
        await self.send('task.pull', {'kinds': list(self._works), 'slots': 0})
        while self._jobs:
            await asyncio.wait([job.running for job in self._jobs.values()])
        await self._ws.close()

    async def _beat(self, seconds):
        """Work that says nothing for long would lose its lease, and who lost one gets nothing more without a word."""
        while True:
            await asyncio.sleep(seconds)
            await self.send('task.heartbeat', {'task_ids': list(self._jobs)})

    def _take(self, type_, payload, correlation_id):
        if type_ == 'task.assigned':
            self._begin(Job(self, payload))
        elif type_ == 'task.cancel':
            self._end(payload['task_id'])
        elif type_ == 'task.leased':
            for task_id in payload.get('lost', []):
                self._end(task_id)
        elif type_ == 'error':
            for job in self._jobs.values():
                if job.lease_id == correlation_id:
                    # it has been cancelled, or is somebody else's by now
                    log.info('%s: %s', job.task_id, payload['message'])
                    job.running.cancel()

    def _begin(self, job):
        log.info('%s: %s, attempt %d', job.task_id, job.kind, job.attempt)
        # it may come again before we know that we lost it
        self._end(job.task_id)
        self._jobs[job.task_id] = job
        job.running = asyncio.create_task(job.run(self._works[job.kind]))
        job.running.add_done_callback(lambda running: self._forget(job, running))

    def _forget(self, job, running):
        if self._jobs.get(job.task_id) is job:
            del self._jobs[job.task_id]
        if not running.cancelled() and running.exception() is not None:
            log.info('%s: %s', job.task_id, running.exception())

    def _end(self, task_id):
        if task_id in self._jobs:
            self._jobs[task_id].running.cancel()


async def main():
    parser = argparse.ArgumentParser(description='A worker that counts words.')
    parser.add_argument('url', help='ws://HOST:PORT/ws')
    parser.add_argument('--kind', default='count-words', help='kind of task (%(default)s)')
    parser.add_argument('--slots', type=int, default=4, help='most tasks at a time (%(default)s)')
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format='%(name)s: %(message)s')
    logging.getLogger('websockets').setLevel(logging.WARNING)

    # not on the command line, where everybody sees it
    worker = Worker(arguments.url, os.environ['CHOIR_TOKEN'], {arguments.kind: count_words}, arguments.slots)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, worker.stop)
    try:
        await worker.run()
    except PermissionError as error:
        sys.exit(f'worker: {error}')


if __name__ == '__main__':
    asyncio.run(main())
