# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tasks over WebSockets, each contract in its own words: requesters, workers, those who watch, and what outlives the service."""

import pytest

from choir_test import DIALECTS, Daemon
from library_client import join
from task_worker import Worker

SETTINGS = {'task.lease': '5s', 'rate.default': '6000/1s', 'session.resume-window': '0'}


@pytest.fixture(autouse=True)
def send_workers_home():
    """What a test left to do is not for the next one."""
    yield
    Worker.send_all_home()


@pytest.fixture
def kind(fresh):
    return fresh('kind')


def request(client, kind, **payload):
    client.send({'type': 'task.request', 'correlation_id': 'r', 'payload': {'kind': kind, **payload}})
    accepted = client.wait_type('task.accepted', 'error')
    assert accepted['type'] == 'task.accepted' and accepted['correlation_id'] == 'r', accepted
    return accepted['payload']['task_id']


def status(client, task_id):
    client.send({'type': 'task.status', 'payload': {'task_id': task_id}})
    [task] = client.wait_type('task.state')['payload']['tasks']
    return task


def types_of(client):
    """What comes until a pong."""
    client.check_alive()
    return [message.get('type') for message in client.seen]


# Each contract

def test_netra(daemon, user):
    netra = DIALECTS['netra']
    client = join(daemon, 'netra', daemon.mint(user))
    worker = Worker(daemon, 'optimization')
    client.send({'type': 'optimization_request', 'id': 'o1', 'data': {'message': 'faster <b>please</b>', 'workload_id': 'w1',
                                                                      'parameters': {'depth': 2}, 'thread_id': 't'}})
    received = netra.envelope(client.wait_type('status'))
    assert received['correlation_id'] == 'o1' and received['data']['status'] == 'received'

    task = worker.take()
    assert task['task_id'] == received['data']['task_id'] and task['user_id'] == user and task['attempt'] == 1
    assert task['payload'] == {'message': 'faster &lt;b&gt;please&lt;/b&gt;', 'workload_id': 'w1', 'parameters': {'depth': 2},
                               'thread_id': 't'}
    worker.say('started', task, agent='supervisor')
    worker.say('thinking', task, agent='data', message='reading')
    worker.say('progress', task, agent='data', message='half way', progress=0.5, details={'rows': 7})
    worker.say('tool', task, tool='search')
    worker.say('chunk', task, content='It is ')
    updates = [netra.envelope(client.wait_type('agent_update')) for _ in range(5)]
    assert [update['data']['status'] for update in updates] == ['started', 'thinking', 'running', 'tool_executing', 'streaming']
    assert all(update['correlation_id'] == 'o1' for update in updates)
    assert updates[2]['data']['progress'] == 0.5 and updates[2]['data']['details'] == {'rows': 7}
    assert [update['data']['agent'] for update in updates] == ['supervisor', 'data', 'data', 'optimization', 'optimization']
    assert worker.settle('completed', task, result={'saved': '40 %'})['payload']['state'] == 'completed'
    result = netra.envelope(client.wait_type('agent_result'))
    assert result['data']['result'] == {'saved': '40 %'} and result['correlation_id'] == 'o1'

    client.send({'type': 'optimization_request', 'id': 'o2', 'data': {'message': 'again'}})
    worker.settle('failed', worker.take(), message='no data')
    error = client.wait_type('error')
    body = netra.error(error, 'PROCESSING_ERROR')
    assert body['message'] == 'no data' and error['correlation_id'] == 'o2'


def test_netra_stops(daemon, user):
    client = join(daemon, 'netra', daemon.mint(user))
    worker = Worker(daemon, 'optimization')
    for _ in range(2):
        client.send({'type': 'optimization_request', 'data': {'message': 'go'}})
    tasks = {worker.take()['task_id'] for _ in range(2)}
    client.send({'type': 'stop_processing', 'id': 's1', 'data': {}})
    answer = client.wait_for(lambda message: 'task_ids' in message['data'])
    assert answer['data']['status'] == 'cancelled' and set(answer['data']['task_ids']) == tasks and answer['correlation_id'] == 's1'
    assert {worker.client.wait_type('task.cancel')['payload']['task_id'] for _ in range(2)} == tasks
    worker.say('completed', {'task_id': tasks.pop()})
    assert worker.client.wait_type('error')['payload']['code'] == 'CONFLICT'
    assert 'agent_result' not in types_of(client)


def test_netra_spec(daemon, user):
    spec = DIALECTS['netra-spec']
    client = join(daemon, 'netra-spec', daemon.mint(user))
    worker = Worker(daemon, 'agent')
    client.send({'type': 'agent_request', 'correlation_id': 'a1', 'payload': {'prompt': 'think'}})
    task = worker.take()
    assert task['payload'] == {'prompt': 'think'}
    worker.say('started', task)
    worker.say('thinking', task, step='one')
    worker.say('tool', task, tool='search')
    worker.say('chunk', task, content='42')
    worker.settle('completed', task, result=42)
    heard = [spec.envelope(client.recv()) for _ in range(6)]
    assert [message['type'] for message in heard] == ['task.accepted', 'agent_started', 'agent_thinking', 'tool_executing',
                                                      'partial_result', 'agent_completed']
    assert all(message['correlation_id'] == 'a1' for message in heard)
    assert heard[2]['payload']['step'] == 'one' and heard[4]['payload']['content'] == '42' and heard[5]['payload']['result'] == 42

    client.send({'type': 'agent_request', 'correlation_id': 'a2', 'payload': {}})
    worker.settle('failed', worker.take(), message='tired', retry=False)
    error = client.wait_type('error')
    assert spec.error(error, 'PROCESSING_ERROR', 'tired')['recoverable'] is True and error['correlation_id'] == 'a2'


def test_reviewpoint_cancels_an_upload(daemon, user):
    client = join(daemon, 'reviewpoint', daemon.mint(user))
    client.send({'type': 'upload.cancel', 'data': {'upload_id': 'u1'}})
    assert client.wait_type('error')['data']['code'] == 'UNAVAILABLE'
    worker = Worker(daemon, 'upload.cancel')
    client.send({'type': 'upload.cancel', 'data': {'upload_id': 'u2'}})
    task = worker.take()
    assert task['payload'] == {'upload_id': 'u2'} and task['user_id'] == user
    assert client.wait_type('task.accepted', 'error')['data']['task_id'] == task['task_id']
    worker.settle('completed', task)
    client.check_alive()


def test_tripsage(daemon, fresh):
    """Who watches the conversation sees what its agents do: while it happens, and when it comes late."""
    tripsage = DIALECTS['tripsage']
    trip, user = fresh('trip'), fresh('user')

    def enter(what, who):
        client = join(daemon, 'tripsage', daemon.mint(who), f'/ws/{what}/{trip}', authenticate=False)
        client.send({'token': daemon.mint(who), 'sessionId': trip})
        assert client.recv()['success'] is True
        return client

    chat, watcher = enter('chat', user), enter('agent-status', fresh('user'))
    worker = Worker(daemon, fresh('trip'))
    [kind] = worker.client.seen[-1]['payload']['kinds']
    chat.send({'type': 'task.request', 'payload': {'kind': kind, 'to': 'Oslo'}})
    task = worker.take()
    assert task['session'] == trip and task['payload'] == {'to': 'Oslo'}
    worker.say('progress', task, progress=30, message='asking for flights')
    for client in (chat, watcher):
        update = client.wait_for(lambda message: message['payload'].get('progress') == 30)
        assert tripsage.envelope(update)['type'] == 'agent_status_update'
        assert update['payload']['isActive'] is True and update['payload']['currentTask'] == 'asking for flights'
        assert update['payload']['taskId'] == task['task_id'] and 'replayed' not in update['payload']

    late = enter('agent-status', fresh('user'))
    update = late.wait_type('agent_status_update')
    assert update['payload']['progress'] == 30 and update['payload']['replayed'] is True
    worker.settle('completed', task)
    for client in (chat, watcher, late):
        update = client.wait_for(lambda message: message['payload'].get('isActive') is False)
        assert update['payload']['progress'] == 100
    assert types_of(late).count('agent_status_update') == 2


def test_other_contracts_hear_nothing_of_it(daemon, user, kind):
    """A user's editor knows no tasks: it is not bothered with them."""
    editor = join(daemon, 'jddb', daemon.mint(user), f'/ws?dialect=jddb&token={daemon.mint(user)}', authenticate=False)
    client = join(daemon, token=daemon.mint(user))
    worker = Worker(daemon, kind)
    request(client, kind)
    task = worker.take()
    worker.say('progress', task, progress=1)
    worker.settle('completed', task)
    client.wait_type('task.completed')
    editor.send({'type': 'ping', 'payload': {}})
    assert editor.recv()['type'] == 'pong'


# Who may

def test_workers_need_the_role(daemon, user):
    client = join(daemon, token=daemon.mint(user))
    client.send({'type': 'task.pull', 'payload': {'kinds': ['*']}})
    assert client.wait_type('error')['payload']['code'] == 'PERMISSION_DENIED'


def test_nobody_elses_tasks(daemon, user, fresh, kind):
    task_id = request(join(daemon, token=daemon.mint(user)), kind)
    other = join(daemon, token=daemon.mint(fresh('user'), ()))
    for type_ in ('task.cancel', 'task.status'):
        other.send({'type': type_, 'payload': {'task_id': task_id}})
        assert other.wait_type('error')['payload']['code'] == 'NOT_FOUND'
    admin = join(daemon, token=daemon.mint(fresh('admin'), (), roles=['admin']))
    assert status(admin, task_id)['state'] == 'queued'
    admin.send({'type': 'task.cancel', 'payload': {'task_id': task_id}})
    assert admin.wait_type('task.cancelled')['payload']['task_ids'] == [task_id]


# What goes wrong

def test_a_worker_that_vanishes(daemon, user, kind):
    client = join(daemon, token=daemon.mint(user))
    first = Worker(daemon, kind)
    task_id = request(client, kind)
    lost = first.take()
    first.say('chunk', lost, content='half an')
    client.wait_type('task.chunk')
    second = Worker(daemon, kind)
    first.vanish()
    task = second.take()
    assert (task['task_id'], task['attempt']) == (task_id, 2) and task['lease_id'] != lost['lease_id']
    second.settle('completed', task, result='whole')
    assert client.wait_type('task.completed')['payload']['attempt'] == 2
    assert status(client, task_id)['event']['payload']['result'] == 'whole'


def test_a_requester_that_comes_back(daemon, user, kind):
    client = join(daemon, token=daemon.mint(user))
    worker = Worker(daemon, kind)
    running, ended = request(client, kind), request(client, kind)
    tasks = {task['task_id']: task for task in (worker.take(), worker.take())}
    worker.say('progress', tasks[running], progress=50)
    for content in ('The ', 'answer'):
        worker.say('chunk', tasks[running], content=content)
    client.wait_for(lambda message: message['payload'].get('content') == 'answer')
    client.ws.close()
    worker.settle('completed', tasks[ended], result=1)

    again = join(daemon, token=daemon.mint(user))
    heard = [again.wait_for(lambda message: message['type'].startswith('task.')) for _ in range(3)]
    assert [message['type'] for message in heard] == ['task.completed', 'task.progress', 'task.chunk']
    assert all(message['payload']['replayed'] is True and message['correlation_id'] == 'r' for message in heard)
    assert heard[0]['payload']['task_id'] == ended and heard[1]['payload']['progress'] == 50
    assert heard[2]['payload']['content'] == 'The answer'
    worker.say('chunk', tasks[running], content='.')
    assert again.wait_type('task.chunk')['payload']['content'] == '.'

    # what had ended is told once
    third = join(daemon, token=daemon.mint(user))
    assert third.wait_for(lambda message: message['type'].startswith('task.'))['type'] == 'task.progress'


def test_the_service_is_killed(start, tmp_path, user):
    """Accepted means stored: nothing that was asked for is lost, nothing ends twice, and who worked can go on."""
    settings = {**SETTINGS, 'store.backend': 'sqlite', 'task.max-per-user': '100'}
    daemon = Daemon(settings, directory=tmp_path).start()
    client = join(daemon, token=daemon.mint(user))
    worker = Worker(daemon, 'a', slots=2)
    ended, running, taken_up = (request(client, 'a', n=n) for n in range(3))
    first, second = worker.take(), worker.take()
    worker.settle('completed', first, result='early')
    third = worker.take()
    assert (first['task_id'], second['task_id'], third['task_id']) == (ended, running, taken_up)
    queued = [request(client, 'a', n=n) for n in range(10)]
    daemon.kill()

    daemon = start(settings, directory=tmp_path)
    client = join(daemon, token=daemon.mint(user))
    assert status(client, ended)['state'] == 'completed'
    again = Worker(daemon, 'nothing')
    again.say('progress', {'task_id': running})
    assert again.client.wait_type('error')['payload']['code'] == 'CONFLICT'
    again.say('progress', third, lease_id=third['lease_id'], progress=90)
    client.wait_for(lambda message: message['type'] == 'task.progress' and message['payload']['task_id'] == taken_up)

    other = Worker(daemon, 'a', slots=100)
    given = [other.take() for _ in range(1 + len(queued))]
    assert [task['task_id'] for task in given] == [running, *queued]
    assert [task['attempt'] for task in given] == [2] + [1] * len(queued)
    assert [task['payload']['n'] for task in given] == [1, *range(10)]
    for task in given:
        assert other.settle('completed', task)['payload']['state'] == 'completed'
    assert again.settle('completed', third)['payload']['state'] == 'completed'
    assert other.settle('completed', given[0])['payload']['code'] == 'CONFLICT'
    client.send({'type': 'task.status'})
    tasks = client.wait_type('task.state')['payload']['tasks']
    assert len(tasks) == 13 and {task['state'] for task in tasks} == {'completed'}
