# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A thousand tasks, ten workers of two sorts, and everything that can die dies: none is lost, none ends twice."""

import json
import threading
from collections import Counter

from choir_test import Daemon, EndOfStream, http_get, scaled
from library_client import join
from worker_process import C, PYTHON, WorkerProcess

N_TASKS = 1000
N_USERS = 4
EACH = N_TASKS // N_USERS
# so that some are asked for whatever happens
AT_A_TIME = 60

SETTINGS = {
    'store.backend': 'sqlite',
    'rate.default': '60000/1s',
    'rate.api': '60000/1s',
    # who is killed is missed soon
    'task.lease': '2s',
    'task.max-attempts': '5',
    'task.max-per-user': str(EACH),
    'session.resume-window': '1s',
}

# Longer than any step takes on a machine that is busy with other tests
STILL = scaled(60)

ENDS = ('task.completed', 'task.failed', 'task.cancelled')


class Progress:
    """How many tasks have ended, for whoever waits for that."""

    def __init__(self):
        self._changed = threading.Condition()
        self._n = 0

    def add(self):
        with self._changed:
            self._n += 1
            self._changed.notify_all()

    def wait(self, n):
        """Until `n` have ended; it may take long, but not stand still."""
        with self._changed:
            while self._n < n:
                assert self._changed.wait(STILL), f'{self._n} of {n} tasks have ended'


class Requester(threading.Thread):
    """One user who wants many things done, comes back after every lost connection, and notes what is said."""

    def __init__(self, user, run):
        super().__init__(daemon=True)
        self.user = user
        self._run = run
        self.accepted = {}  # {key: task_id}
        self.ends = {}  # {task_id: [message]}
        self._asked = set()  # keys
        self.failure = None

    def run(self):
        try:
            while len(self.ends) < EACH:
                self._converse()
        except Exception as error:  # seen by the test, which waits for this thread
            self.failure = error

    def _converse(self):
        assert self._run.is_up.wait(STILL)
        daemon = self._run.daemon
        try:
            client = join(daemon, token=daemon.mint(self.user), timeout=STILL)
            # what was not accepted may have been stored all the same
            for key in self._asked - set(self.accepted):
                self._ask(client, key)
            while len(self.ends) < EACH:
                while len(self._asked) < min(EACH, len(self.ends) + AT_A_TIME):
                    self._ask(client, f'{self.user}-{len(self._asked)}')
                self._note(client.recv())
        except (EndOfStream, OSError):
            # the daemon is dead, or about to be
            pass

    def _ask(self, client, key):
        self._asked.add(key)
        client.send({'type': 'task.request', 'correlation_id': key, 'payload': {
            'kind': 'count-words', 'idempotency_key': key, 'text': f'{key} again', 'pause_ms': 20}})

    def _note(self, message):
        type_, payload = message['type'], message['payload']
        if type_ == 'error':
            raise AssertionError(message)
        if type_ == 'task.accepted':
            known = self.accepted.setdefault(message['correlation_id'], payload['task_id'])
            assert known == payload['task_id'], f'{message} but {known}'
        elif type_ in ENDS:
            if payload['task_id'] not in self.ends:
                self._run.progress.add()
            self.ends.setdefault(payload['task_id'], []).append(message)


class Run:
    """The daemon, its workers and its users."""

    def __init__(self, directory):
        self._directory = directory
        self.is_up = threading.Event()
        self.progress = Progress()
        self.daemon = Daemon(SETTINGS, directory=directory).start()
        self.is_up.set()
        self.workers = [WorkerProcess(which, self.daemon, '--slots', '4') for which in (PYTHON, C) for _ in range(5)]
        self.requesters = [Requester(f'user{i}', self) for i in range(N_USERS)]
        for requester in self.requesters:
            requester.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        """Whatever happened, nothing is left behind."""
        for worker in self.workers:
            if worker.process.returncode is None:
                worker.kill()
        if self.daemon.is_alive():
            self.daemon.kill()

    def kill_daemon(self):
        port = self.daemon.port
        self.is_up.clear()
        self.daemon.kill()
        self.daemon.assert_clean()
        self.daemon = Daemon(SETTINGS, directory=self._directory, listen=[f'127.0.0.1:{port}']).start()
        self.is_up.set()

    def ask(self, path):
        token = self.daemon.mint('backend', (), roles=['service'])
        response = http_get(self.daemon.address, f'/api/v1/tasks{path}', [('Authorization', f'Bearer {token}')])
        assert response.status == 200, response
        return response.json()

    def list_tasks(self):
        """All the service knows of."""
        tasks, before = [], ''
        while True:
            page = self.ask(f'?limit=300{before}')
            tasks += page['tasks']
            if page['complete']:
                return tasks
            before = f'&before={tasks[-1]["task_id"]}'


def test_each_of_a_thousand_tasks_ends_once(tmp_path):
    with Run(tmp_path) as run:
        run.progress.wait(N_TASKS // 5)
        run.workers[0].kill()
        run.workers[9].kill()
        run.progress.wait(N_TASKS * 2 // 5)
        run.kill_daemon()
        run.progress.wait(N_TASKS * 3 // 5)
        run.workers[1].kill()
        run.progress.wait(N_TASKS)
        for requester in run.requesters:
            requester.join(STILL)
            assert requester.failure is None, requester.failure
            assert not requester.is_alive(), (len(requester.accepted), len(requester.ends))

        check(run)
        for worker in run.workers:
            if worker.process.returncode is None:
                worker.stop()
        run.daemon.stop()


def check(run):
    tasks = run.list_tasks()
    states = {task['task_id']: task['state'] for task in tasks}
    assert len(tasks) == len(states) == N_TASKS
    assert set(states.values()) <= {'completed', 'failed'}, Counter(states.values())
    # some were under way when their worker died, and none of them too often
    attempts = Counter(task['attempt'] for task in tasks)
    assert sum(n for attempt, n in attempts.items() if attempt > 1) > 0, attempts
    for requester in run.requesters:
        assert len(requester.accepted) == EACH
        assert set(requester.accepted.values()) == set(requester.ends)
        for key, task_id in requester.accepted.items():
            check_task(key, requester.ends[task_id], states[task_id])


def check_task(key, ends, state):
    first, *again = ends
    # what was told in the moment of the crash is told once more, and says so
    assert len(again) <= 1 and all(message['payload']['replayed'] for message in again), ends
    for message in ends:
        payload = message['payload']
        assert message['type'] == f'task.{state}', (ends, state)
        assert message['correlation_id'] == key
        if state == 'failed':
            # it was with too many that died
            assert payload['code'] == 'WORKER_LOST' and payload['message']
        else:
            assert payload['result']['words'] == 2 and payload['result']['distinct'] == 2, json.dumps(ends)
            assert payload['attempt'] == first['payload']['attempt']
