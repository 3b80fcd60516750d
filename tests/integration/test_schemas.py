# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What holds the other tests' traffic to docs/schemas, held to what it promises. Needs no daemon."""

import json

import pytest

from choir_test import Mismatch, Traffic, schemas
from choir_test.schemas import CONTRACTS, dialect_of

ID = 'ba09fac8-1b8e-4f0e-9c7d-2f3f5f0f6c11'
TIME = '2026-01-08T10:30:00.123Z'
ERROR = {'code': 'INVALID_MESSAGE_TYPE', 'message': 'Unknown message type: wat', 'recoverable': True, 'help': 'Check it.'}


def said(type_, payload, **more):
    """A message of the service, in the dialect choir."""
    return json.dumps({'type': type_, 'payload': payload, 'id': ID, 'timestamp': TIME, **more})


PONG = said('pong', {'timestamp': TIME})


@pytest.fixture
def traffic():
    return Traffic('/ws')


# Which dialect

@pytest.mark.parametrize('target,subprotocol,dialect', [
    ('/ws', None, 'choir'), ('/ws?token=x&dialect=netra', None, 'netra'), ('/ws?dialect=klingon', None, 'choir'),
    ('/ws?dialect=netra', 'choir.v1', 'choir'), ('/ws', 'choir.v1.netra-spec', 'netra-spec'), ('/ws', 'choir.v1.cbor', 'choir-cbor'),
    ('/ws?dialect=choir-cbor', None, 'choir-cbor'), ('/ws/a.b.c', None, 'reviewpoint'), ('/ws/document/d?token=x', None, 'jddb'),
    ('/ws/chat/1', None, 'tripsage'), ('/ws/agent-status/1', None, 'tripsage'), ('/ws/chat/1?dialect=choir', None, 'choir'),
    ('ws://localhost:1/ws?dialect=jddb', None, 'jddb'), ('/echo', None, None), ('/', None, None),
])
def test_dialect(target, subprotocol, dialect):
    assert dialect_of(target, subprotocol)[0] == dialect


def test_the_default_dialect_is_said_by_the_test():
    traffic = Traffic('/ws')
    traffic.assume('netra')
    assert traffic.dialect == 'netra'
    traffic = Traffic('/ws?dialect=jddb')
    traffic.assume('netra')
    assert traffic.dialect == 'jddb'


# What the service says

@pytest.mark.parametrize('text,complaint', [
    (said('pong', {}), "$.payload: 'timestamp' is a required property"),
    (said('pong', {'timestamp': 'noon'}), "$.payload.timestamp: 'noon' does not match"),
    (said('pong', {'timestamp': TIME, 'x': 1}), "$.payload: Additional properties are not allowed ('x' was unexpected)"),
    (said('pong', {'timestamp': TIME}, x=1), "$: Additional properties are not allowed ('x' was unexpected)"),
    (json.dumps({'type': 'pong', 'payload': {'timestamp': TIME}, 'timestamp': TIME}), "$: 'id' is a required property"),
    (said('presence.state', {'channel': 'c', 'count': 1, 'members': [{'user_id': 'u'}]}), '$.payload.members[0]: '),
    (said('system.surprise', {}), "$.type: 'system.surprise' should not be valid"),
    (said('user.presence', {'event': 'state', 'document_id': 'd', 'count': 'one', 'members': []}), "$.payload.count: 'one' is not of type"),
    (said('history.result', {'channel': 'c', 'epoch': 'e', 'offset': 1, 'complete': True, 'messages': [{'type': 'pong'}]}),
     "$.payload.messages[0]: $: 'payload' is a required property"),
    ('[1]', 'it is no object'), ('{"success": true}', "$: 'type' is a required property"),
])
def test_what_the_service_must_not_say(traffic, text, complaint):
    with pytest.raises(Mismatch) as caught:
        traffic.received(text)
    assert str(caught.value).startswith(f'choir out: {complaint}'), caught.value


def test_what_it_may_say(traffic):
    traffic.received(PONG)
    traffic.received(PONG.encode())
    traffic.received(f'[{PONG},{PONG}]')
    traffic.received(said('made.up', {'by': 'somebody'}, channel='news:1', offset=3))
    traffic.received(said('system.notification', {'message': 'tea'}))


def test_bare_messages():
    traffic = Traffic('/ws/chat/1')
    traffic.sent('{"token": "t"}')
    traffic.received('{"success": false, "error": "Invalid token"}')
    with pytest.raises(Mismatch, match="tripsage out: .*'connectionId' is a required property"):
        traffic.received('{"success": true}')


def test_other_end_points_say_what_they_like():
    traffic = Traffic('/echo')
    traffic.sent('{')
    traffic.received('anything')
    traffic.judge()


# What a test says

@pytest.mark.parametrize('text,complaint', [
    ('{bad', 'no message, '), ('', 'no message, '), ('[]', 'a batch of 0'), ('{"type":"wat"}', "there is no 'in.wat' in choir.json"),
    ('{"type":"publish","payload":{}}', "$.payload: 'type' is a required property"), ('7', 'it is no object'),
    (json.dumps([{'type': 'ping'}] * 101), 'a batch of 101'),
])
def test_garbage_must_be_refused(traffic, text, complaint):
    traffic.sent(text)
    with pytest.raises(Mismatch) as caught:
        traffic.judge()
    assert str(caught.value).startswith(f'choir in: not refused: {complaint}'), caught.value
    traffic.received(PONG)
    with pytest.raises(Mismatch):
        traffic.judge()
    traffic.received(said('error', ERROR))
    traffic.judge()


def test_an_error_about_something_else_is_no_refusal(traffic):
    traffic.sent('{"type":"wat","id":"w"}')
    traffic.received(said('error', ERROR, correlation_id='other'))
    with pytest.raises(Mismatch):
        traffic.judge()
    traffic.received(said('error', ERROR, correlation_id='w'))
    traffic.judge()


@pytest.mark.parametrize('id_', ['w', 7])
def test_garbage_that_is_taken(traffic, id_):
    traffic.sent(json.dumps({'type': 'ping', 'payload': [], 'id': id_}))
    with pytest.raises(Mismatch, match='choir in: .*but the service took it'):
        traffic.received(said('pong', {'timestamp': TIME}, correlation_id=str(id_)))
    traffic.closed()


def test_a_close_refuses_everything(traffic):
    traffic.sent('{')
    traffic.closed()
    traffic.judge()


def test_garbage_on_purpose(traffic):
    traffic.sent('{')
    traffic.allow_garbage()
    traffic.sent('}')
    traffic.judge()
    with pytest.raises(Mismatch):
        traffic.received(said('pong', {}))


# Much of it

def test_of_many_some_are_looked_at(traffic):
    bad = said('file.ready', {}, more=1)
    for _ in range(schemas.FIRST + schemas.EVERY):
        traffic.received(said('file.ready', {}))
    caught = 0
    for _ in range(schemas.EVERY):
        try:
            traffic.received(bad)
        except Mismatch:
            caught += 1
    assert caught == 1


@pytest.mark.parametrize('name', sorted(CONTRACTS))
def test_every_schema_is_one(name):
    contract = CONTRACTS[name]
    for key in contract.keys:
        contract.validator(key).check_schema(contract.validator(key).schema)
        direction, _, type_ = key.partition('.')
        # none takes what is empty
        assert contract.complaint(direction, {'type': type_, 'unheard': 'of'} if direction == 'out' else {'type': [type_]}) is not None
