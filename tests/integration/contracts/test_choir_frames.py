# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The canonical protocol's batches, compression and characters."""

import json

from choir_test import DIALECTS, RawWs
from library_client import join

CHOIR = DIALECTS['choir']


def ask(client, type_, payload=None, **more):
    client.send({'type': type_, 'payload': {} if payload is None else payload, **more})
    return client.recv()


def subscribe(client, *channels):
    answer = ask(client, 'subscribe', {'channels': list(channels)})
    assert answer['type'] == 'subscription.confirmed' and not answer['payload']['rejected'], answer
    return answer['payload']['channels']


def publish(client, channel, payload=None, type_='note'):
    client.send({'type': 'publish', 'payload': {'channel': channel, 'type': type_, 'payload': payload or {}}})
    return client.wait_type('publish.ok')['payload']


# Batches

def recv_batches(ws, n):
    """Messages until there are `n`, and how many frames were arrays."""
    messages, arrays = [], 0
    while len(messages) < n:
        value = json.loads(ws.recv_text())
        arrays += isinstance(value, list)
        messages += value if isinstance(value, list) else [value]
    return messages, arrays


def test_batch_in(daemon, user):
    client = join(daemon, token=daemon.mint(user))
    client.send([{'type': 'ping', 'payload': {'ping_id': i}} for i in range(8)])
    messages, arrays = recv_batches(client.ws, 8)
    assert [message['payload']['ping_id'] for message in messages] == list(range(8))
    assert arrays == 0, 'this client has not asked for batches'


def test_batch_both_ways(daemon, user):
    client = join(daemon, target=f'/ws?batch=1&token={daemon.mint(user)}', authenticate=False)
    client.recv()
    client.send([{'type': 'ping', 'payload': {'ping_id': i}} for i in range(9)])
    messages, arrays = recv_batches(client.ws, 9)
    assert [message['payload']['ping_id'] for message in messages] == list(range(9))
    assert arrays >= 1
    for message in messages:
        CHOIR.envelope(message)


def test_batches_are_bounded(start):
    daemon = start({'protocol.batch-size': '4', 'rate.default': '1000/1s'})
    client = join(daemon, target=f'/ws?batch=1&token={daemon.mint()}', authenticate=False)
    client.recv()
    client.send([{'type': 'ping', 'payload': {}} for _ in range(40)])
    n = 0
    while n < 40:
        value = json.loads(client.ws.recv_text())
        assert isinstance(value, dict) or 1 < len(value) <= 4
        n += len(value) if isinstance(value, list) else 1


def test_a_bad_element_spoils_nothing_else(daemon, user):
    client = join(daemon, token=daemon.mint(user))
    client.send([{'type': 'ping', 'id': '1'}, {'type': 'wat', 'id': '2'}, {'type': 'ping', 'id': '3'}])
    messages = [client.recv() for _ in range(3)]
    assert [(message['type'], message['correlation_id']) for message in messages] == [
        ('pong', '1'), ('error', '2'), ('pong', '3')]


def test_too_many_in_a_batch(start):
    client = join(start({'protocol.max-batch': '5'}))
    client.send([{'type': 'ping'}] * 6)
    client.wait_error('INVALID_MESSAGE', 'batch')
    client.check_alive()


# Compression

def test_compression(daemon, fresh):
    room = fresh('chat:')
    ws = RawWs.open(daemon.address, f'/ws?token={daemon.mint(fresh("u"))}', extensions='permessage-deflate')
    assert ws.extension is not None
    ws.recv_json()
    assert not ws.was_compressed
    ws.send_json({'type': 'subscribe', 'payload': {'channels': [room]}})
    ws.recv_json()
    writer = join(daemon, token=daemon.mint(fresh('u')))
    publish(writer, room, {'text': 'a' * 500})
    assert ws.recv_json()['payload']['text'] == 'a' * 500 and not ws.was_compressed
    publish(writer, room, {'text': 'a' * 4000})
    assert ws.recv_json()['payload']['text'] == 'a' * 4000 and ws.was_compressed


def test_unicode(daemon, fresh):
    room, client = fresh('chat:'), join(daemon, token=daemon.mint(fresh('u')))
    subscribe(client, room)
    text = 'Ünïcödé 😀 \u2028 \\ " \u0001 é'
    client.send({'type': 'chat.message', 'payload': {'channel': room, 'content': text}})
    assert client.wait_type('chat.message')['payload']['content'] == text
