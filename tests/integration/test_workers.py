# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/workers.md: its examples are run, and the workers of docs/examples, one over a WebSocket and one over HTTP, do what
it says of them."""

import os
import re
import signal
import subprocess

import pytest

from choir_test import DEADLINE, Daemon
from doc_examples import DOCS, read_examples, run_examples
from document_client import wait_until
from library_client import join
from worker_process import C, PYTHON, WorkerProcess

SETTINGS = {'task.lease': '2s', 'rate.default': '60000/1s', 'session.resume-window': '1s'}

BOTH = pytest.mark.parametrize('which', [PYTHON, C])

TEXT = 'one two two three three three'


@pytest.fixture
def work(daemon):
    """Starts workers, which leave at the end of the test."""
    running = []

    def launch(which, *arguments, at=None, **kwargs):
        running.append(WorkerProcess(which, at or daemon, *arguments, **kwargs))
        return running[-1]

    yield launch
    left = [worker for worker in running if worker.process.returncode is None]
    try:
        for worker in left:
            worker.stop()
    finally:
        for worker in left:
            if worker.process.returncode is None:
                worker.kill()


def request(client, kind, correlation='r', timeout_ms=60000, **payload):
    """Asks for a task; its id."""
    client.send({'type': 'task.request', 'correlation_id': correlation,
                 'payload': {'kind': kind, 'timeout_ms': timeout_ms, **payload}})
    accepted = client.wait_type('task.accepted', 'error')
    assert accepted['type'] == 'task.accepted', accepted
    assert accepted['correlation_id'] == correlation
    return accepted['payload']['task_id']


def follow(client, task_id, *ends):
    """What is told of a task up to one of `ends`."""
    heard = []
    while not heard or heard[-1]['type'] not in ends:
        message = client.wait_for(lambda message: message['payload'].get('task_id') == task_id)
        assert message['type'] != 'task.accepted'
        heard.append(message)
        assert message['type'] not in ('task.failed', 'task.cancelled', 'task.completed') or message['type'] in ends, heard
    return heard


def is_lost(client, task_id):
    """Whether the first worker does not have it any more: it waits for another, or has been given to one."""
    client.send({'type': 'task.status', 'payload': {'task_id': task_id}})
    [task] = client.wait_type('task.state')['payload']['tasks']
    return task['state'] == 'queued' or task['attempt'] == 2


# The page

def environment(daemon):
    return {'CHOIR': f'http://127.0.0.1:{daemon.port}', 'WORKER': daemon.cli_token('--sub', 'w1', '--role', 'worker'),
            'TOKEN': daemon.cli_token('--sub', 'backend', '--role', 'service')}


def test_the_commands_of_the_documentation(start):
    examples = read_examples('workers.md')
    assert len(examples) > 8
    run_examples(examples, environment(start()))


def test_the_worker_of_the_documentation(daemon, user):
    program = re.search(r'```python\n(.*?)```', (DOCS / 'workers.md').read_text(), re.DOTALL)[1]
    client = join(daemon, token=daemon.mint(user))
    task_id = request(client, 'shout', text='hello world')
    worker = subprocess.Popen(['/usr/bin/python3', '-c', program], env={**os.environ, **environment(daemon)})
    try:
        heard = follow(client, task_id, 'task.completed')
    finally:
        worker.kill()
        worker.wait(DEADLINE)
    assert [message['payload'].get('content') for message in heard] == [None, 'HELLO! ', 'WORLD! ', None]
    assert heard[-1]['payload']['result'] == {'loud': True}


# The examples

@BOTH
def test_a_request_is_answered(daemon, user, fresh, work, which):
    kind = fresh('count')
    client = join(daemon, token=daemon.mint(user))
    task_id = request(client, kind, text=TEXT)
    work(which, '--kind', kind)
    heard = follow(client, task_id, 'task.completed')
    assert {message['correlation_id'] for message in heard} == {'r'}
    assert {message['payload']['kind'] for message in heard} == {kind}
    types = [message['type'] for message in heard]
    assert types == ['task.started'] + ['task.chunk', 'task.progress'] * 6 + ['task.completed']
    chunks = [message['payload']['content'] for message in heard if message['type'] == 'task.chunk']
    assert ''.join(chunks).split() == TEXT.split()
    progress = [message['payload']['progress'] for message in heard if message['type'] == 'task.progress']
    assert progress == [16, 33, 50, 66, 83, 100]
    result = heard[-1]['payload']['result']
    assert result['words'] == 6 and result['distinct'] == 3


@BOTH
def test_what_cannot_be_done_fails(daemon, user, fresh, work, which):
    kind = fresh('count')
    client = join(daemon, token=daemon.mint(user))
    work(which, '--kind', kind)
    failed = follow(client, request(client, kind, words=TEXT), 'task.failed')[-1]['payload']
    assert failed['code'] == 'VALIDATION_ERROR' and failed['message'] == 'text must be a string'
    # and the next goes well
    follow(client, request(client, kind, text=TEXT), 'task.completed')


@BOTH
def test_a_cancelled_task_makes_room(daemon, user, fresh, work, which):
    kind = fresh('count')
    client = join(daemon, token=daemon.mint(user))
    work(which, '--kind', kind, '--slots', '1')
    long = request(client, kind, text=TEXT, pause_ms=60000)
    follow(client, long, 'task.chunk')
    client.send({'type': 'task.cancel', 'payload': {'task_id': long, 'reason': 'too slow'}})
    assert follow(client, long, 'task.cancelled')[-1]['payload']['reason'] == 'too slow'
    # its worker has a single slot, and learns that it is free
    follow(client, request(client, kind, text=TEXT), 'task.completed')


@BOTH
def test_long_work_keeps_its_lease(daemon, user, fresh, work, which):
    kind = fresh('count')
    client = join(daemon, token=daemon.mint(user))
    work(which, '--kind', kind)
    # more than two leases long without a word in between
    heard = follow(client, request(client, kind, text='one', pause_ms=5000), 'task.completed')
    assert [message['type'] for message in heard].count('task.started') == 1


@BOTH
def test_several_at_a_time(daemon, user, fresh, work, which):
    kind = fresh('count')
    client = join(daemon, token=daemon.mint(user))
    work(which, '--kind', kind, '--slots', '3')
    tasks = [request(client, kind, str(i), text=f'{i} ' * 3, pause_ms=60000) for i in range(3)]
    started = set()
    while len(started) < 3:
        message = client.wait_type('task.started')
        started.add(message['payload']['task_id'])
        assert tasks[int(message['correlation_id'])] == message['payload']['task_id']
    client.send({'type': 'task.cancel', 'payload': {}})
    ended = {client.wait_type('task.cancelled')['payload'].get('task_id') for _ in range(3)}
    assert ended - {None} <= set(tasks)


@BOTH
def test_a_worker_that_is_told_to_leave_ends_its_work(daemon, user, fresh, work, which):
    kind = fresh('count')
    client = join(daemon, token=daemon.mint(user))
    worker = work(which, '--kind', kind)
    task_id = request(client, kind, text='one two three', pause_ms=300)
    follow(client, task_id, 'task.chunk')
    worker.signal()
    follow(client, task_id, 'task.completed')
    assert worker.wait() == 0, worker.log()


@BOTH
def test_a_lost_worker_is_replaced(daemon, user, fresh, work, which):
    kind = fresh('count')
    client = join(daemon, token=daemon.mint(user))
    worker = work(which, '--kind', kind)
    task_id = request(client, kind, text=TEXT, pause_ms=200)
    follow(client, task_id, 'task.chunk')
    worker.kill()
    work(C if which == PYTHON else PYTHON, '--kind', kind)
    heard = follow(client, task_id, 'task.completed')
    started = [message['payload']['message'] for message in heard if message['type'] == 'task.started']
    assert started == ['attempt 2']
    assert heard[-1]['payload']['result']['words'] == 6


@BOTH
def test_a_task_that_comes_again(daemon, user, fresh, work, which):
    """A worker that stood still gets the task it lost another time, while it still does it: what it did before is over."""
    kind = fresh('count')
    client = join(daemon, token=daemon.mint(user))
    worker = work(which, '--kind', kind, '--slots', '2')
    task_id = request(client, kind, text=TEXT, pause_ms=500)
    follow(client, task_id, 'task.chunk')
    worker.signal(signal.SIGSTOP)
    try:
        wait_until(lambda: is_lost(client, task_id), 'the lease runs out')
    finally:
        worker.signal(signal.SIGCONT)
    heard = follow(client, task_id, 'task.completed')
    again = [message for message in heard if message['payload']['attempt'] == 2]
    types = [message['type'] for message in again]
    assert types == ['task.started'] + ['task.chunk', 'task.progress'] * 6 + ['task.completed']
    # and there is still room for two
    for _ in range(2):
        follow(client, request(client, kind, text=TEXT, pause_ms=60000), 'task.chunk')
    client.send({'type': 'task.cancel', 'payload': {}})
    for _ in range(2):
        client.wait_type('task.cancelled')


@BOTH
def test_a_worker_comes_back(work, tmp_path, which):
    settings = {**SETTINGS, 'store.backend': 'sqlite'}
    with Daemon(settings, directory=tmp_path) as first:
        worker = work(which, at=first)
        client = join(first, token=first.mint('ann'))
        follow(client, request(client, 'count-words', text=TEXT), 'task.completed')
    with Daemon(settings, directory=tmp_path, listen=[f'127.0.0.1:{first.port}']) as second:
        client = join(second, token=second.mint('ann'))
        follow(client, request(client, 'count-words', text=TEXT), 'task.completed')
        worker.stop()


@BOTH
def test_a_worker_that_is_not_wanted_gives_up(daemon, work, which):
    worker = work(which, token='nonsense')
    assert worker.wait() == 1
    assert 'refused with 401' in worker.log()


@BOTH
def test_a_worker_with_the_address_of_the_other_kind_gives_up(daemon, work, which):
    wrong = f'http://127.0.0.1:{daemon.port}' if which == PYTHON else f'ws://127.0.0.1:{daemon.port}/ws'
    worker = work(which, url=wrong)
    assert worker.wait() in (1, 2)
    assert 'http' in worker.log()
