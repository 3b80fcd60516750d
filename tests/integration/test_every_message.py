# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every message that docs/schemas says is served, said and heard once in its contract: a schema nobody meets would be a tale."""

import pytest

from choir_test import DIALECTS, Client, RawWs
from choir_test.schemas import CONTRACTS

SETTINGS = {'server.max-connections-per-user': '100', 'rate.default': '6000/1s', 'rate.cursor': '6000/1s',
            'protocol.heartbeat-interval': '10m'}
OPEN = ''.join(f'[dialect {name}]\nrate=6000/1s\nmax-connections-per-user=100\n' for name in DIALECTS if name != 'choir')
EVENTS = ('upload.progress upload.completed upload.error upload.cancelled review.updated review.created review.deleted '
          'system.notification system.maintenance user.status_changed file.processing file.ready').split()
# Within the half minute in which a token's end is announced
TTL_S = 29


class Recorder(Client):
    """A session that knows which schemas it has met."""

    met = {name: set() for name in CONTRACTS}

    def __init__(self, daemon, dialect, user, target=None, **claims):
        dialect = DIALECTS[dialect]
        self.token = daemon.mint(user, ttl=TTL_S, **claims)
        super().__init__(RawWs.open(daemon.address, target or dialect.target(self.token)), dialect)

    def send(self, message):
        self._meet('in', message)
        return super().send(message)

    def recv(self, timeout=None):
        message = super().recv(timeout)
        self._meet('out', message)
        return message

    def _meet(self, direction, message):
        contract = CONTRACTS[self.dialect.name]
        key = contract.key_of(direction, message)
        self.met[self.dialect.name].add(key if key in contract.keys else 'published')

    def hear(self, *types):
        """Waits for what comes by itself, in whatever order, unless it has come already."""
        while missing := set(types) - {message.get('type') for message in self.seen}:
            self.wait_type(*missing)

    def say(self, type_, payload=None, answer=None, **more):
        """Sends, and waits for the answer or the pong behind it."""
        self.send({'type': type_, self.dialect.payload_key: {} if payload is None else payload, **more})
        return self.wait_type(answer) if answer else self.check_alive()


@pytest.fixture
def daemon(start):
    return start(SETTINGS, config=OPEN)


def choir(daemon, room):
    one = Recorder(daemon, 'choir', 'choir-one', '/ws')
    one.say('auth', {'token': one.token, 'channels': [room]}, 'auth.ok')
    one.hear('auth.expiring')
    one.say('heartbeat', answer='heartbeat')
    one.say('subscribe', {'channels': [room], 'events': EVENTS}, 'subscription.confirmed')
    one.say('history', {'channel': room}, 'history.result')
    one.say('presence', {'channel': room}, 'presence.state')
    one.say('wat', answer='error')
    return one


def choir_document(daemon, document):
    ann, bob = (Recorder(daemon, 'choir', name, permissions=('document:*:*',)) for name in ('ann', 'bob'))
    for client in (ann, bob):
        client.say('document.open', {'document_id': document}, 'document.opened')
    ann.hear('user.presence')
    ann.say('document.change', {'version': 0, 'change_id': 'c', 'operation': ['text']}, 'document.ack')
    epoch = bob.wait_type('document.change')['payload']['epoch']
    ann.say('cursor.position', {'anchor': 2, 'head': 2})
    bob.hear('cursor.position')
    ann.say('selection.change', {'anchor': 1, 'head': 2})
    bob.hear('selection.change')
    ann.say('document.save', {'label': 'first'}, 'document.saved')
    ann.say('document.versions', answer='document.versions')
    ann.say('document.at', {'version': 0}, 'document.at')
    ann.say('sync.request', {'version': 0, 'epoch': epoch}, 'sync.response')
    ann.say('session.reconnect', {'document_id': document, 'last_version': 0, 'epoch': epoch}, 'sync.response')
    ann.say('document.change', {'version': 99, 'operation': ['x']}, 'conflict.detected')
    bob.say('document.close', answer='document.closed')


def netra(daemon, room):
    client = Recorder(daemon, 'netra', 'netra')
    client.say('subscribe', {'channels': [room], 'events': EVENTS}, 'status')
    client.say('chat_message', {'channel': room, 'content': 'hi'}, 'chat_response')
    client.say('auth', {'token': client.token}, 'status')
    client.say('wat', answer='error')
    return client


def netra_spec(daemon, room):
    client = Recorder(daemon, 'netra-spec', 'netra-spec')
    client.hear('auth.expiring')
    client.say('auth', {'token': client.token}, 'auth.ok')
    client.say('heartbeat', answer='heartbeat')
    client.say('subscribe', {'channels': [room]}, 'subscription.confirmed')
    client.say('user_message', {'channel': room, 'content': 'hi'}, 'user_message')
    client.say('publish', {'channel': room, 'type': 'note', 'payload': {}}, 'publish.ok')
    client.say('history', {'channel': room}, 'history.result')
    client.say('presence', {'channel': room}, 'presence.state')
    client.say('wat', answer='error')
    return client


def reviewpoint(daemon, room):
    client = Recorder(daemon, 'reviewpoint', 'reviewpoint')
    client.hear('auth.expiring')
    client.say('heartbeat', answer='heartbeat')
    client.say('subscribe', {'channels': [room], 'events': EVENTS}, 'subscription.confirmed')
    client.say('wat', answer='error')
    return client


def tripsage(daemon, room):
    name = room.partition(':')[2]
    stranger = Recorder(daemon, 'tripsage', 'stranger', f'/ws/chat/{name}')
    stranger.send({'token': 'x', 'sessionId': name})
    stranger.wait_for(lambda message: message.get('success') is False)
    Recorder(daemon, 'tripsage', 'known', f'/ws/chat/{name}?token={daemon.mint("known")}').wait_type('connection_status')
    client = Recorder(daemon, 'tripsage', 'tripsage', f'/ws/chat/{name}')
    client.send({'token': client.token, 'sessionId': name, 'channels': [f'agent-status:{name}']})
    client.wait_for(lambda message: message.get('success') is True)
    client.say('connection_heartbeat', answer='connection_heartbeat')
    client.say('subscribe', {'channels': ['chat:elsewhere']}, 'subscription.confirmed')
    client.say('unsubscribe', {'channels': ['chat:elsewhere']}, 'subscription.removed')
    client.say('chat_message', {'content': 'hi', 'role': 'user'}, 'chat_message')
    client.say('user_typing')
    client.say('chat_message_chunk', {'content': 'Ro', 'isComplete': True, 'messageId': 'm1'}, 'chat_message_chunk')
    client.say('wat', answer='error')
    return client


def jddb(daemon, document):
    ann, bob = (Recorder(daemon, 'jddb', f'jddb-{name}', f'/ws/document/{document}?token=' + daemon.mint(
        f'jddb-{name}', ('document:*:*',), ttl=TTL_S)) for name in ('ann', 'bob'))
    ann.hear('auth.expiring', 'user.presence')
    ann.send_text('{bad')
    ann.wait_type('error')
    ann.say('wat', answer='system.error')
    ann.say('system.heartbeat', answer='system.heartbeat')
    ann.say('document.open', answer='document.open')
    ann.say('user.presence', answer='user.presence')
    ann.say('document.change', {'operation': 'insert', 'position': 0, 'content': 'text', 'changeId': 'c'}, 'document.change')
    bob.hear('document.change')
    ann.say('cursor.position', {'position': 2})
    bob.hear('cursor.position')
    ann.say('selection.change', {'selection': {'start': 1, 'end': 2}})
    bob.hear('selection.change')
    ann.say('document.save', {'label': 'first'}, 'document.save')
    ann.say('document.versions', answer='document.versions')
    ann.say('document.at', {'version': 0}, 'document.at')
    ann.say('sync.request', {'version': 0}, 'sync.response')
    ann.say('system.reconnect', {'lastVersion': 0}, 'sync.response')
    ann.say('document.change', {'operation': 'insert', 'position': 99, 'content': 'x'}, 'conflict.detected')
    bob.say('document.close', answer='document.close')
    return ann


def tell(daemon, room):
    """What others say to everybody who is here."""
    peer = Recorder(daemon, 'choir', 'peer')
    peer.say('subscribe', {'channels': [room]}, 'subscription.confirmed')
    peer.say('chat.message', {'channel': room, 'content': 'hello'}, 'publish.ok')
    peer.say('chat.typing', {'channel': room})
    peer.say('chat.chunk', {'channel': room, 'message_id': 'grows', 'content': 'Hel'})
    peer.say('chat.chunk', {'channel': room, 'message_id': 'grows', 'content': 'lo', 'complete': True}, 'publish.ok')
    peer.say('cursor.position', {'channel': room, 'row': 1})
    peer.say('selection.change', {'channel': room, 'rows': [1, 2]})
    peer.say('unsubscribe', {'channels': [room]}, 'subscription.removed')
    service = Recorder(daemon, 'choir', 'service', roles=['service'])
    for event in EVENTS:
        service.say('publish', {'channel': f'event:{event}', 'type': event, 'payload': {}}, 'publish.ok')
    for type_, channel in (('note', 'all'), ('chat.message', 'user:jddb-ann'), ('task.progress', f'agent-status:{room.partition(":")[2]}')):
        service.say('publish', {'channel': channel, 'type': type_, 'payload': {'content': 'x', 'progress': 4}}, 'publish.ok')


def by_hand(daemon):
    """What a worker says, and is told; its requester in the protocol's own words."""
    client = Recorder(daemon, 'choir', 'asker')
    worker = Recorder(daemon, 'choir', 'worker', roles=['worker'])
    worker.say('task.pull', {'kinds': ['by-hand'], 'slots': 5}, 'task.pulling')
    done, failed, released = (assigned(worker, client, 'by-hand') for _ in range(3))
    for type_ in ('task.started', 'task.thinking', 'task.progress', 'task.tool'):
        worker.say(type_, {'task_id': done, 'progress': 1})
    worker.say('task.chunk', {'task_id': done, 'content': 'The ans'})
    worker.say('task.heartbeat', answer='task.leased')
    client.say('task.status', answer='task.state')
    worker.say('task.completed', {'task_id': done, 'result': 42}, 'task.settled')
    worker.say('task.failed', {'task_id': failed, 'message': 'no idea'}, 'task.settled')
    worker.say('task.release', {'task_id': released}, 'task.settled')
    worker.say('task.pull', {'kinds': ['by-hand'], 'slots': 5}, 'task.assigned')
    client.say('task.cancel', {'task_id': released}, 'task.cancelled')
    worker.hear('task.cancel')
    client.hear('task.started', 'task.thinking', 'task.progress', 'task.tool', 'task.chunk', 'task.completed', 'task.failed')


def assigned(worker, client, kind, type_='task.request', **more):
    """A task that the worker has got, whatever the requester's contract; its id."""
    client.send({'type': type_, client.dialect.payload_key: {'kind': kind, **more}})
    return worker.wait_for(lambda message: message['type'] == 'task.assigned' and message['payload']['kind'] == kind)['payload']['task_id']


def agents(daemon, clients):
    """The same for those who speak another contract."""
    worker = Recorder(daemon, 'choir', 'worker', roles=['worker'])
    worker.say('task.pull', {'kinds': ['optimization', 'agent', 'upload.cancel', 'trip'], 'slots': 9}, 'task.pulling')
    netra, spec, reviewpoint, tripsage = (next(client for client in clients if client.dialect.name == name)
                                          for name in ('netra', 'netra-spec', 'reviewpoint', 'tripsage'))
    task = assigned(worker, netra, 'optimization', 'optimization_request', message='faster')
    worker.say('task.progress', {'task_id': task, 'progress': 40, 'message': 'looking'})
    worker.say('task.completed', {'task_id': task, 'result': 'fast'}, 'task.settled')
    netra.hear('agent_update', 'agent_result')
    netra.say('stop_processing', answer='status')
    task = assigned(worker, spec, 'agent', 'agent_request')
    for type_ in ('task.started', 'task.thinking', 'task.tool'):
        worker.say(type_, {'task_id': task})
    worker.say('task.chunk', {'task_id': task, 'content': 'The ans'})
    worker.say('task.completed', {'task_id': task}, 'task.settled')
    spec.hear('task.accepted', 'agent_started', 'agent_thinking', 'tool_executing', 'partial_result', 'agent_completed')
    spec.say('task.cancel', {}, 'agent_completed')
    assigned(worker, reviewpoint, 'upload.cancel', 'upload.cancel', upload_id='u1')
    reviewpoint.hear('task.accepted')
    assigned(worker, tripsage, 'trip')
    tripsage.say('task.cancel', answer='agent_status_update')


def test_every_message(daemon, fresh):
    name = fresh('every')
    room = f'chat:{name}'
    here = [make(daemon, room) for make in (choir, netra, netra_spec, reviewpoint, tripsage)]
    choir_document(daemon, name)
    here.append(jddb(daemon, name + '-jddb'))
    tell(daemon, room)
    by_hand(daemon)
    agents(daemon, here)
    for client in here:
        client.check_alive()
        if client.dialect.name in ('choir', 'netra', 'netra-spec', 'reviewpoint'):
            client.say('unsubscribe', {'channels': [room]})
    daemon.signal(15)
    for client in here:
        client.wait_type({'netra': 'status', 'tripsage': 'connection_status'}.get(client.dialect.name, 'system.reconnect'))
    unmet = {f'{contract.name} {key}' for contract in CONTRACTS.values() for key in contract.served - Recorder.met[contract.name]}
    assert not unmet, sorted(unmet)
