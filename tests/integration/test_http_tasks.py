# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tasks over HTTP as real sockets see them: who hears of them, who waits for them, and who goes away meanwhile."""

import http.client
import json
import socket
import ssl
import struct
import threading

import pytest

from balancer import make_certificate
from choir_test import DEADLINE, Daemon, Deadline, http_get, open_socket, read_response
from choir_test.raw_http import Reader, send_all
from document_client import FAST
from library_client import join

SETTINGS = {'api.max-requests': '8', 'rate.api': '60000/1s', 'task.max-per-user': '200'}


class Api:
    """A daemon's tasks, seen with one token."""

    def __init__(self, daemon, sub, *roles):
        self.daemon = daemon
        self.token = daemon.mint(sub, (), roles=list(roles))

    def ask(self, method, path='', body=None, headers=()):
        fields = [('Authorization', f'Bearer {self.token}'), *headers]
        if body is not None:
            fields.append(('Content-Type', 'application/json'))
        data = b'' if body is None else json.dumps(body).encode()
        return http_get(self.daemon.address, f'/api/v1/tasks{path}', fields, method, data)

    def want(self, kind, user='ann', **members):
        response = self.ask('POST', '', {'kind': kind, 'user_id': user, **members})
        assert response.status == 201, response
        assert response.get('location') == f'/api/v1/tasks/{response.json()["task_id"]}'
        return response.json()['task_id']

    def state(self, task_id):
        return self.ask('GET', f'/{task_id}').json()['state']

    def pull(self, *kinds, **members):
        response = self.ask('POST', '/pull', {'kinds': list(kinds), **members})
        assert response.status == 200, response
        return response.json()['tasks']

    def say(self, task, *updates):
        """The answer to what a worker says of a task it was given."""
        return self.ask('POST', f'/{task["task_id"]}/updates',
                        [{'lease_id': task['lease_id'], **update} for update in updates])

    def begin_pull(self, **members):
        """A socket on which somebody waits."""
        body = json.dumps(members).encode()
        sock = open_socket(self.daemon.address)
        head = ('POST /api/v1/tasks/pull HTTP/1.1', 'Host: localhost', f'Authorization: Bearer {self.token}',
                'Content-Type: application/json', f'Content-Length: {len(body)}')
        send_all(sock, '\r\n'.join(head).encode() + b'\r\n\r\n' + body, Deadline(DEADLINE))
        return sock


@pytest.fixture
def backend(daemon):
    return Api(daemon, 'backend', 'service')


@pytest.fixture
def worker(daemon):
    return Api(daemon, 'worker', 'worker')


def finish_pull(sock):
    response = read_response(Reader(sock), Deadline(DEADLINE))
    sock.close()
    assert response.status == 200, response
    return response.json()['tasks']


def test_a_user_hears_what_a_worker_says(daemon, backend, worker, user, fresh):
    kind = fresh('kind')
    client = join(daemon, token=daemon.mint(user))
    task_id = backend.want(kind, user, payload={'n': 7})
    [task] = worker.pull(kind)
    assert task['task_id'] == task_id and task['payload'] == {'n': 7} and task['user_id'] == user
    assert worker.say(task, {'type': 'started', 'message': 'ä'}, {'type': 'chunk', 'content': 'one '}).status == 200
    assert client.wait_type('task.started')['payload']['message'] == 'ä'
    assert client.wait_type('task.chunk')['payload'] | {'task_id': task_id, 'content': 'one '} == client.seen[-1]['payload']
    assert worker.say(task, {'type': 'completed', 'result': {'n': 8}}).json() == {'task_id': task_id, 'state': 'completed'}
    assert client.wait_type('task.completed')['payload']['result'] == {'n': 8}
    for message in client.seen:
        assert task['lease_id'] not in json.dumps(message)


def test_a_channel_hears_of_it(daemon, backend, worker, user, fresh):
    kind, channel = fresh('kind'), f'chat:{fresh("room")}'
    listener = join(daemon, token=daemon.mint(user))
    listener.send({'type': 'subscribe', 'payload': {'channels': [channel]}})
    listener.wait_type('subscription.confirmed')
    backend.want(kind, channel=channel)
    [task] = worker.pull(kind)
    worker.say(task, {'type': 'progress', 'progress': 50}, {'type': 'completed'})
    assert listener.wait_type('task.progress')['payload']['progress'] == 50
    listener.wait_type('task.completed')


def test_many_wait_and_each_gets_one(backend, worker, fresh):
    kind = fresh('kind')
    # many more than requests may be handled at a time
    sockets = [worker.begin_pull(kinds=[kind], slots=3) for _ in range(60)]
    wanted = [backend.want(kind) for _ in range(len(sockets))]
    given = [task for sock in sockets for task in finish_pull(sock)]
    assert sorted(task['task_id'] for task in given) == sorted(wanted)
    assert {task['attempt'] for task in given} == {1}
    assert len({task['lease_id'] for task in given}) == len(wanted)


def test_workers_do_not_share_a_task(backend, worker, fresh):
    kind = fresh('kind')
    wanted = [backend.want(kind) for _ in range(100)]
    given = []

    def run():
        while tasks := worker.pull(kind, slots=3, wait_ms=0):
            given.extend(tasks)

    threads = [threading.Thread(target=run) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert sorted(task['task_id'] for task in given) == sorted(wanted)


def close(sock):
    sock.close()


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    sock.close()


def half_close(sock):
    sock.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize('leave', [close, reset, half_close])
def test_who_goes_while_waiting_is_given_nothing(backend, worker, fresh, leave):
    kind = fresh('kind')
    sock = worker.begin_pull(kinds=[kind])
    leave(sock)
    task_id = backend.want(kind)
    [task] = worker.pull(kind)
    assert task['task_id'] == task_id and task['attempt'] == 1
    sock.close()


def test_waiting_over_tls(start, tmp_path):
    cert, key = make_certificate(tmp_path)
    # every connection has the system's certificates read, with thousands of allocations
    daemon = start({'server.tls-certificate': str(cert), 'server.tls-key': str(key)}, env=FAST)
    context = ssl.create_default_context(cafile=str(cert))

    def ask(method, path, body=None):
        connection = http.client.HTTPSConnection(*daemon.address, context=context, timeout=DEADLINE)
        token = daemon.mint('backend', (), roles=['service'])
        connection.request(method, path, body, {'Authorization': f'Bearer {token}', 'Content-Type': 'application/json'})
        return connection

    def read(connection):
        return connection.getresponse().read().decode()

    def wait_for(n):
        deadline = Deadline(DEADLINE)
        while f'choir_api_waiting {n}\n' not in read(ask('GET', '/metrics')):
            assert not deadline.passed()

    pull = ('POST', '/api/v1/tasks/pull', b'{"kinds": ["a"]}')
    gone = ask(*pull)
    wait_for(1)
    gone.close()
    wait_for(0)
    waiting = ask(*pull)
    wait_for(1)
    task_id = json.loads(read(ask('POST', '/api/v1/tasks', b'{"kind": "a"}')))['task_id']
    [task] = json.loads(read(waiting))['tasks']
    assert task['task_id'] == task_id and task['attempt'] == 1
    wait_for(0)


def test_the_time_is_over(worker, fresh):
    assert worker.pull(fresh('kind'), wait_ms=50) == []
    assert worker.pull(fresh('kind'), wait_ms=0) == []


def test_a_stop_does_not_wait(start):
    daemon = start()
    worker = Api(daemon, 'worker', 'worker')
    sockets = [worker.begin_pull(kinds=['a']) for _ in range(10)]
    # one of them waits indeed
    task_id = (backend := Api(daemon, 'backend', 'service')).want('a')
    while backend.state(task_id) == 'queued':
        pass
    daemon.stop()
    answers = [read_response(Reader(sock), Deadline(DEADLINE)) for sock in sockets]
    # those that came late have been told so, the others were cut off
    statuses = [answer.status for answer in answers if answer is not None]
    assert statuses.count(200) == 1 and set(statuses) <= {200, 503}


def test_a_worker_outlives_the_service(tmp_path):
    settings = {'store.backend': 'sqlite'}
    first = Daemon(settings, directory=tmp_path).start()
    try:
        backend, worker = Api(first, 'backend', 'service'), Api(first, 'worker', 'worker')
        done, running, waiting = (backend.want('a', payload={'n': n}) for n in range(3))
        [ended, task] = worker.pull('a', slots=2)
        assert worker.say(ended, {'type': 'completed', 'result': 1}).status == 200
    finally:
        first.kill()
    first.assert_clean()
    with Daemon(settings, directory=tmp_path, listen=[f'127.0.0.1:{first.port}']) as second:
        backend.daemon = worker.daemon = second
        assert backend.ask('GET', f'/{done}').json()['event']['payload']['result'] == 1
        assert backend.state(waiting) == 'queued'
        # nobody else has got it, so it goes on where it was
        assert worker.say(task, {'type': 'progress', 'progress': 50}).json()['state'] == 'running'
        assert worker.say(task, {'type': 'completed', 'result': 2}).json()['state'] == 'completed'
        assert backend.ask('GET', f'/{running}').json()['event']['payload']['result'] == 2
        [last] = worker.pull('a')
        assert last['task_id'] == waiting and last['payload'] == {'n': 2}
