# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/openapi.yaml and the service, held to each other: every operation is asked for, whatever is asked and answered fits its
schemas, and what the service has is what the document has."""

import os
import subprocess
from pathlib import Path

import pytest

from choir_test import DEADLINE, Deadline, EventStream, http_get, sse_target
from choir_test.openapi import DESCRIPTION, Api, Undescribed
from library_client import join


def document(name):
    return {'document_id': name}


def do_documents(api):
    """Texts, from their creation to their past."""
    at = document('plan/1')
    api.call('putDocument', {'content': 'Hello'}, at, expect=201)
    etag = api.call('getDocument', path=at).get('etag')
    api.call('getDocument', path=at, headers=[('Accept', 'text/plain')])
    api.call('getDocument', path=at, headers=[('If-None-Match', etag)], expect=304)
    api.refuse('putDocument', 409, 'CONFLICT', {'content': 'Bye'}, path=at)
    api.refuse('putDocument', 412, 'CONFLICT', 'Bye', path=at, media='text/plain', headers=[('If-Match', '"x"')])
    api.call('putDocument', 'Hello there', at, media='text/plain', headers=[('If-Match', etag)])
    api.call('changeDocument', {'operation': [5, ','], 'version': 2}, at, headers=[('Idempotency-Key', 'k1')])
    changed = api.ask('changeDocument', [{'operation': 'insert', 'position': 0, 'content': '1. '}, {'operation': [{'d': 3}]}], at)
    assert changed['versions'] == [4, 5]
    api.refuse('changeDocument', 400, 'VALIDATION_ERROR', [{'operation': [99]}], path=at)
    api.call('getDocument', path=at, query={'version': 1})
    assert len(api.ask('getOperations', path=at, query={'since': 1, 'limit': 2})['operations']) == 2
    api.call('saveVersion', {'label': 'First'}, at, expect=201)
    assert api.ask('listVersions', path=at, query={'limit': 5, 'before': 99})['versions']
    assert api.ask('listDocuments', query={'prefix': 'plan', 'after': 'a', 'limit': 5})['complete']
    api.refuse('getDocument', 404, 'NOT_FOUND', path=document('none'))


def do_channels(api):
    """Publishing, and what is kept of it."""
    chat = {'channel': 'chat:1'}
    api.call('publish', {'channel': 'chat:1', 'type': 'chat.message', 'payload': {'content': 'Hi'}, 'idempotency_key': 'k'})
    many = api.ask('publish', [{'channel': 'news:1', 'type': 'tick'}, {'channel': 'document:1', 'type': 'tick'},
                               {'channel': 'chat:1', 'type': 'chat.message', 'payload': {'content': 'Hi'}, 'idempotency_key': 'k'}])
    assert many['failed'] == 1 and many['results'][2]['duplicate']
    api.call('publishToChannel', {'type': 'tick', 'payload': {'n': 1}, 'except_session': 'nobody'}, chat,
             headers=[('Idempotency-Key', 'l')])
    assert api.ask('listChannels', query={'prefix': 'chat:', 'after': 'a', 'limit': 10})['channels'][0]['channel'] == 'chat:1'
    assert api.ask('getChannel', path=chat)['offset'] == 2
    first = api.call('getHistory', path=chat, query={'limit': 1, 'since': 0, 'reverse': 'false'})
    assert first.json()['messages'][0]['payload']['content'] == 'Hi'
    api.call('getHistory', path=chat, query={'limit': 1}, headers=[('If-None-Match', first.get('etag'))], expect=304)
    assert api.ask('getPresence', path=chat)['members'][0]['user_id'] == 'ann'
    api.refuse('getHistory', 404, 'UNKNOWN_CHANNEL', path={'channel': 'chat:nobody'})
    api.refuse('getChannel', 404, 'UNKNOWN_CHANNEL', path={'channel': 'chat:nobody'})
    api.refuse('publish', 413, 'MESSAGE_TOO_LARGE', {'channel': 'a', 'type': 'x', 'payload': {'t': 'x' * 70000}})


def do_connections(api):
    """Who is there, what they are sent, and that they are sent away."""
    listed = api.ask('listConnections', query={'user': 'ann', 'dialect': 'choir', 'channel': 'chat:1', 'limit': 10, 'after': '0'})
    one = {'connection_id': listed['connections'][0]['connection_id']}
    ann = {'user_id': 'ann'}
    assert api.ask('getConnection', path=one)['channels'] == ['chat:1']
    assert api.ask('getUser', path=ann)['count'] == 2
    assert not api.ask('getUser', path={'user_id': 'nobody'})['online']
    assert api.ask('sendToConnection', {'type': 'a', 'payload': {}}, one)['recipients'] == 1
    key = [('Idempotency-Key', 'k')]
    assert api.ask('sendToUser', {'type': 'a'}, ann, headers=key)['recipients'] == 2
    api.refuse('sendToUser', 422, 'VALIDATION_ERROR', {'type': 'b'}, path=ann, headers=key)
    assert api.ask('broadcast', {'type': 'a', 'filter': {'users': ['ann'], 'exclude_connections': ['x'],
                                                         'exclude_users': ['bob'], 'dialect': 'choir'}})['recipients'] == 2
    api.call('getStats')
    api.call('closeConnection', path=one, query={'reason': 'Enough'}, expect=204)
    api.refuse('closeConnection', 404, 'NOT_FOUND', path={'connection_id': 'x'})
    api.refuse('listConnections', 400, 'VALIDATION_ERROR', query={'dialect': 'klingon'})
    assert api.ask('closeConnectionsOfUser', path=ann, query={'reason': 'Enough'})['closed'] >= 1


def do_notices(api):
    """Contract D's."""
    upload, file = {'upload_id': 'u1'}, {'file_id': 'f1'}
    api.call('notify', {'message': 'Tea', 'level': 'info', 'users': ['ann'], 'link': '/tea'})
    api.call('notify', {'message': 'Tea'})
    api.refuse('notify', 400, 'VALIDATION_ERROR', {'message': 7})
    api.call('reviewUpdated', {'users': ['ann'], 'by': 'bob'}, {'review_id': 'r/1'})
    api.call('fileProcessing', {'user_id': 'ann'}, file)
    api.call('fileReady', {'user_id': 'ann'}, file, headers=[('Idempotency-Key', 'n1')])
    api.refuse('fileReady', 400, 'VALIDATION_ERROR', {}, path=file)
    api.call('uploadProgress', {'progress': 40, 'bytes_uploaded': 4, 'total_bytes': 10}, upload)
    api.call('uploadCompleted', {'user_id': 'ann'}, upload)
    api.call('uploadError', {'message': 'Too large'}, upload)


def do_tasks(api):
    """One that is done, and one that nobody wants any more."""
    wanted = {'kind': 'count', 'user_id': 'ann', 'payload': {'text': 'One two'}, 'session': 'x', 'timeout_ms': 60000}
    first, again = (api.call('requestTask', wanted, headers=[('Idempotency-Key', 't1')], expect=201) for _ in range(2))
    assert first.json()['task_id'] == again.json()['task_id'] and first.get('location').endswith(first.json()['task_id'])
    at = {'task_id': first.json()['task_id']}
    etag = api.call('getTask', path=at).get('etag')
    api.call('getTask', path=at, headers=[('If-None-Match', etag)], expect=304)
    assigned = api.ask('pullTasks', {'kinds': ['count'], 'slots': 2, 'wait_ms': 1000})['tasks']
    assert [task['task_id'] for task in assigned] == [at['task_id']]
    lease = {'lease_id': assigned[0]['lease_id']}
    api.call('updateTask', [{'type': 'progress', **lease, 'progress': 50}, {'type': 'chunk', **lease, 'content': 'Two'}], at)
    assert api.ask('updateTask', {'type': 'completed', **lease, 'result': {'words': 2}}, at)['state'] == 'completed'
    api.refuse('updateTask', 409, 'CONFLICT', {'type': 'completed', **lease}, path=at)
    assert api.ask('getTask', path=at)['event']['payload']['result'] == {'words': 2}
    second = {'task_id': api.ask('requestTask', {'kind': 'nobody'}, expect=201)['task_id']}
    assert api.ask('cancelTask', path=second, query={'reason': 'Enough'})['state'] == 'cancelled'
    api.refuse('cancelTask', 409, 'CONFLICT', path=at)
    query = {'state': 'completed', 'kind': 'count', 'user': 'ann', 'before': second['task_id'], 'limit': 10}
    assert api.ask('listTasks', query=query)['complete']
    assert api.ask('pullTasks', {'kinds': ['*'], 'wait_ms': 0})['tasks'] == []


def do_streams(api):
    """A session as an event stream, and what is said in it."""
    operation = DESCRIPTION.operations['openStream']
    query = {'client_id': 'c', 'channels': 'chat:1', 'dialect': 'choir'}
    operation.check_request({}, query, (), None, None)
    stream = EventStream(api.daemon, sse_target(None, **query), [('Authorization', f'Bearer {api.token}')])
    operation.check_answer(stream.response)
    api.seen['openStream', stream.response.status] += 1
    session = {'session_id': stream.session_id}
    api.call('emulate', {'type': 'ping'}, query=session, expect=202)
    api.call('emulate', '[{"type": "ping"}]', query=session, media='text/plain', expect=202)
    assert [stream.wait('pong')['type'] for _ in range(2)] == ['pong', 'pong']
    api.refuse('emulate', 404, 'NOT_FOUND', {'type': 'ping'}, query={'session_id': 'none'})
    # sent away, and so not to come back, once the service has seen that it is gone
    api.ask('closeConnectionsOfUser', path={'user_id': stream.passed[0]['payload']['user_id']})
    assert stream.wait_close()['code'] == 4002
    stream.drop()
    deadline = Deadline(DEADLINE)
    while (back := stream.again().response).status != 204:
        assert not deadline.passed()
    operation.check_answer(back)
    api.seen['openStream', 204] += 1


def do_service(api):
    """What needs no token."""
    for name in ('health', 'ready', 'metrics', 'discover'):
        api.call(name)
    api.call('metrics', headers=[('Accept', 'text/plain; version=0.0.4')])


@pytest.fixture(scope='module')
def exercised(shared_daemon):
    """All of it, done once; what was answered, by (operation, status)."""
    Api.seen.clear()
    api = Api(shared_daemon)
    clients = [join(shared_daemon, token=shared_daemon.mint('ann')) for _ in range(2)]
    clients[0].send({'type': 'subscribe', 'payload': {'channels': ['chat:1']}})
    clients[0].wait_type('subscription.confirmed')
    for do in (do_documents, do_channels, do_notices, do_tasks, do_connections, do_streams, do_service):
        do(api)
    return dict(Api.seen)


@pytest.mark.parametrize('name', DESCRIPTION.operations)
def test_every_operation_succeeds(exercised, name):
    assert any(operation == name and status < 300 for operation, status in exercised), f'{name} was not asked for'


def test_every_status_by_itself_is_answered(exercised):
    """The document's `2XX` and `304`, each by a real answer; what goes wrong it describes as a whole."""
    described = {(name, int(status)) for name, operation in DESCRIPTION.operations.items() for status in operation.responses
                 if status.isdigit() and int(status) < 500}
    assert not described - set(exercised)


# Those below /api/
OPERATIONS = [name for name, operation in DESCRIPTION.operations.items() if operation.address.startswith('/api/')]


@pytest.mark.parametrize('name', OPERATIONS)
def test_who_is_refused(daemon, name):
    """Without a token, and with that of somebody who may nothing."""
    operation = DESCRIPTION.operations[name]
    path = {variable: 'none:x' for where, variable in operation.parameters if where == 'path'}
    response = http_get(daemon.address, operation.fill(path), (), operation.method)
    operation.check_answer(response)
    response.assert_problem(401)
    assert response.get('www-authenticate')
    bearer = [('Authorization', f'Bearer {daemon.mint("nobody", ())}'), ('Content-Type', 'application/json')]
    response = http_get(daemon.address, operation.fill(path), bearer, operation.method, b'[')
    operation.check_answer(response)
    assert response.status in MAY_ASK.get(name, (403,)), response


# Operations that are anybody's: what they are about decides
MAY_ASK = {'listTasks': (200,), 'requestTask': (400,), 'getTask': (404,), 'cancelTask': (404,)}


@pytest.mark.parametrize('name', DESCRIPTION.operations)
def test_other_methods_and_parameters(daemon, name):
    operation = DESCRIPTION.operations[name]
    api = Api(daemon)
    target = operation.fill({variable: 'x' for where, variable in operation.parameters if where == 'path'})
    bearer = [('Authorization', f'Bearer {api.token}')]
    response = http_get(daemon.address, target, bearer, 'PATCH')
    operation.check_answer(response)
    response.assert_problem(405)
    assert operation.method.lower() in response.tokens('allow')
    response = http_get(daemon.address, target, bearer, 'OPTIONS')
    assert response.status == 204
    if name in OPERATIONS:
        response = http_get(daemon.address, f'{target}?surprise=1', bearer, operation.method)
        operation.check_answer(response)
        response.assert_problem(400)


# What the service has

def read_table():
    oracle = Path(os.environ['CHOIR_BUILD_DIR']) / 'tests' / 'integration' / 'route-oracle'
    done = subprocess.run([oracle], capture_output=True, text=True, timeout=DEADLINE, check=True)
    rows = [line.split(' ') for line in done.stdout.splitlines()]
    return {(method, path): sorted(parameters) for method, path, *parameters in rows}


def plain(address):
    """An address without the names of its variables, as the service's table has it."""
    return '/'.join('{}' if step.startswith('{') else step for step in address.split('/'))


def test_the_document_has_what_the_service_has():
    table = read_table()
    described = {(operation.method, plain(operation.address)): sorted(operation.query)
                 for operation in map(DESCRIPTION.operations.get, OPERATIONS)}
    assert len(table) > 20
    assert sorted(table) == sorted(described)
    assert table == described


# What holds the others to the document, held to what it promises

@pytest.mark.parametrize('name,arguments', [
    ('getUser', {}),
    ('getUser', {'path': {'user_id': 'a b'}}),
    ('getUser', {'path': {'user_id': 'ann'}, 'query': {'x': 1}}),
    ('getUser', {'path': {'user_id': 'ann'}, 'body': {}}),
    ('sendToUser', {'path': {'user_id': 'ann'}}),
    ('sendToUser', {'path': {'user_id': 'ann'}, 'body': {'type': 'x', 'more': 1}}),
    ('sendToUser', {'path': {'user_id': 'ann'}, 'body': {'type': 'x'}, 'headers': [('Idempotency-Key', 'a b')]}),
    ('listConnections', {'query': {'limit': 0}}),
])
def test_what_a_test_must_not_ask(name, arguments):
    asked = {'path': {}, 'query': {}, 'headers': (), 'media': 'application/json', 'body': None, **arguments}
    with pytest.raises(Undescribed):
        DESCRIPTION.operations[name].check_request(**asked)


class Answer:
    """As much of one as is looked at."""

    def __init__(self, status, body=b'', **fields):
        self.status, self.body = status, body
        self.fields = {name.replace('_', '-'): value for name, value in fields.items()}

    def get(self, name):
        return self.fields.get(name.lower())


JSON = {'content_type': 'application/json'}


@pytest.mark.parametrize('name,answer', [
    ('sendToUser', Answer(200, b'{}', **JSON)),
    ('sendToUser', Answer(200, b'{"recipients":-1}', **JSON)),
    ('sendToUser', Answer(200, b'{"recipients":1,"more":1}', **JSON)),
    ('sendToUser', Answer(200, b'{"recipients":1}', content_type='text/plain')),
    ('sendToUser', Answer(202, b'{"recipients":1}', **JSON)),
    ('sendToUser', Answer(400, b'{"recipients":1}', **JSON)),
    ('sendToUser', Answer(400, b'{"status":400}', content_type='application/problem+json')),
    ('closeConnection', Answer(204, b'{}', **JSON)),
    ('getHistory', Answer(304)),
    ('getHistory', Answer(304, etag='x')),
])
def test_what_the_service_must_not_answer(name, answer):
    with pytest.raises(Undescribed):
        DESCRIPTION.operations[name].check_answer(answer)
