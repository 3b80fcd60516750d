# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The client contracts as a client sees them: where to connect, how messages and errors look."""

import datetime
import json
import uuid

from .frames import TEXT
from .websocket import RawWs, Timeout

CANONICAL_CODES = {
    'INVALID_JSON', 'INVALID_MESSAGE', 'INVALID_MESSAGE_TYPE', 'VALIDATION_ERROR', 'MESSAGE_TOO_LARGE', 'AUTH_ERROR',
    'PERMISSION_DENIED', 'UNKNOWN_CHANNEL', 'NOT_SUBSCRIBED', 'RATE_LIMIT_EXCEEDED', 'CONFLICT', 'NOT_FOUND',
    'PROCESSING_ERROR', 'TIMEOUT', 'UNAVAILABLE', 'INTERNAL_ERROR',
}
NETRA_CODES = {
    'CONNECTION_ERROR', 'MESSAGE_ERROR', 'VALIDATION_ERROR', 'AUTH_ERROR', 'RATE_LIMIT', 'TIMEOUT', 'PROCESSING_ERROR',
    'UNKNOWN_ERROR', 'RATE_LIMIT_EXCEEDED',
}


def assert_iso(text):
    assert isinstance(text, str), text
    moment = datetime.datetime.fromisoformat(text.replace('Z', '+00:00'))
    assert moment.tzinfo is not None, text
    assert abs(moment.timestamp() - datetime.datetime.now().timestamp()) < 3600, text


def assert_unix_s(number):
    assert isinstance(number, (int, float)) and not isinstance(number, bool), number
    assert abs(number - datetime.datetime.now().timestamp()) < 3600, number


def assert_unix_ms(number):
    assert isinstance(number, int), number
    assert_unix_s(number / 1000)


class Dialect:
    """One contract. envelope() and error() raise AssertionError when a message does not have the contract's shape."""

    name = 'choir'
    subprotocol = 'choir.v1'
    payload_key = 'payload'
    timestamp = staticmethod(assert_iso)
    codes = CANONICAL_CODES
    first_type = 'connection.established'
    # A message every session may send and that is always answered: (message, type of the answer)
    ping = ({'type': 'ping', 'payload': {'ping_id': 'p1'}}, 'pong')

    def target(self, token):
        return f'/ws?dialect={self.name}&token={token}'

    def payload(self, message):
        return message[self.payload_key]

    def envelope(self, message):
        assert isinstance(message, dict), message
        assert isinstance(message.get('type'), str) and message['type'], message
        assert isinstance(message.get(self.payload_key), dict), message
        self.check_stamp(message)
        return message

    def check_stamp(self, message):
        self.timestamp(message.get('timestamp'))
        assert isinstance(message.get('id'), str) and message['id'], message

    def error(self, message, code=None, contains=None):
        """An error in the contract's own shape; returns its payload."""
        self.envelope(message)
        assert message['type'] == 'error', message
        body = self.payload(message)
        self.check_error(body)
        if code is not None:
            allowed = (code,) if isinstance(code, str) else code
            assert body['code'] in allowed, body
        self.check_text(json.dumps(body), contains)
        return body

    def check_error(self, body):
        assert body.get('code') in self.codes, body
        assert isinstance(body.get('message'), str) and body['message'], body
        assert isinstance(body.get('recoverable'), bool), body
        assert isinstance(body.get('help'), str) and body['help'], body

    @staticmethod
    def check_text(text, contains):
        # protocol.md "Errors": never a path, a stack or another user's data
        for leak in ('/usr/', '/home/', '/tmp/', '.c:', 'SQLITE', 'g_', 'assertion'):
            assert leak not in text, f'{leak!r} leaks in {text}'
        if contains is not None:
            assert contains.lower() in text.lower(), f'{contains!r} is not in {text}'

    def is_error(self, message):
        return message.get('type') == 'error'

    def authenticate(self, client, token):
        """What must be said and heard before the session works."""
        client.wait_type(self.first_type)


class Netra(Dialect):
    name = 'netra'
    subprotocol = 'choir.v1.netra'
    payload_key = 'data'
    codes = NETRA_CODES
    first_type = 'status'
    ping = ({'type': 'ping', 'data': {}}, 'pong')

    def target(self, token):
        return f'/ws?dialect=netra&token={token}&client_id=test'

    def check_stamp(self, message):
        super().check_stamp(message)
        uuid.UUID(message['id'])

    def check_error(self, body):
        assert body.get('code') in self.codes, body
        assert isinstance(body.get('message'), str) and body['message'], body

    def authenticate(self, client, token):
        status = client.wait_type('status')
        body = status['data']
        assert body['status'] == 'connected' and body['connection_id'] and body['user_id'], status


class NetraSpec(Dialect):
    name = 'netra-spec'
    subprotocol = 'choir.v1.netra-spec'
    timestamp = staticmethod(assert_unix_s)
    codes = None
    first_type = 'connection_established'
    ping = ({'type': 'ping', 'payload': {}, 'timestamp': 1700000000}, 'pong')

    def check_stamp(self, message):
        self.timestamp(message.get('timestamp'))

    def check_error(self, body):
        assert isinstance(body.get('code'), str) and body['code'], body
        assert isinstance(body.get('error'), str) and body['error'], body
        assert isinstance(body.get('recoverable'), bool), body
        assert isinstance(body.get('help'), str) and body['help'], body
        assert_unix_s(body.get('timestamp'))


class Jddb(Dialect):
    name = 'jddb'
    subprotocol = 'choir.v1.jddb'
    codes = None
    first_type = 'document.open'
    ping = ({'type': 'ping', 'payload': {'pingId': 'p1'}, 'metadata': {}}, 'pong')
    document = 'test-doc'

    def target(self, token):
        return f'/ws/document/{self.document}?token={token}'

    def check_stamp(self, message):
        metadata = message.get('metadata')
        assert isinstance(metadata, dict), message
        assert_unix_ms(metadata.get('timestamp'))

    def error(self, message, code=None, contains=None):
        if 'payload' not in message:
            # Failures before anything could be parsed have a form of their own
            assert set(message) == {'type', 'error'} and message['type'] == 'error', message
            assert message['error'] in ('Invalid message format', 'Rate limit exceeded'), message
            if contains is not None and 'invalid' not in contains.lower():
                self.check_text(message['error'], contains)
            return {'code': message['error'], 'message': message['error']}
        self.envelope(message)
        assert message['type'] in ('system.error', 'conflict.detected'), message
        body = message['payload']
        assert isinstance(body.get('code'), str) and isinstance(body.get('message'), str), body
        self.check_text(json.dumps(body), contains)
        return body

    def is_error(self, message):
        return message.get('type') in ('error', 'system.error')

    def authenticate(self, client, token):
        state = client.wait_type(self.first_type)['payload']
        assert isinstance(state['content'], str) and isinstance(state['members'], list), state


class Reviewpoint(Dialect):
    name = 'reviewpoint'
    subprotocol = 'choir.v1.reviewpoint'
    payload_key = 'data'
    ping = ({'type': 'ping', 'data': {'pingId': 'p1'}}, 'pong')

    def target(self, token):
        return f'/ws/{token}'

    def check_error(self, body):
        assert isinstance(body.get('code'), str) and body['code'], body
        assert isinstance(body.get('message'), str) and body['message'], body


class Tripsage(Dialect):
    name = 'tripsage'
    subprotocol = 'choir.v1.tripsage'
    codes = None
    first_type = None
    ping = ({'type': 'ping', 'payload': {'pingId': 'p1'}}, 'pong')
    session = 'test-session'

    def target(self, token):
        return f'/ws/chat/{self.session}'

    def check_error(self, body):
        assert isinstance(body.get('code'), str) and body['code'], body
        assert isinstance(body.get('message'), str) and body['message'], body

    def authenticate(self, client, token):
        client.ws.send_json({'token': token, 'sessionId': self.session, 'channels': []})
        answer = client.wait_for(lambda message: 'success' in message)
        assert answer['success'] is True and answer['connectionId'] and answer['userId'], answer


DIALECTS = {dialect.name: dialect for dialect in (Dialect(), Netra(), NetraSpec(), Jddb(), Reviewpoint(), Tripsage())}


class Client:
    """A JSON conversation over a RawWs in one dialect."""

    def __init__(self, ws, dialect):
        self.ws = ws
        self.dialect = dialect
        self.seen = []
        ws.traffic.assume(dialect.name)

    def send(self, message):
        self.ws.send_json(message)
        return self

    def send_text(self, text):
        self.ws.send_frame(TEXT, text)
        return self

    def recv(self, timeout=None):
        message = self.ws.recv_json(timeout)
        self.seen.append(message)
        return message

    def wait_for(self, predicate, timeout=None):
        """The next message `predicate` accepts; others are passed over (they stay in `seen`)."""
        while True:
            try:
                message = self.recv(timeout)
            except Timeout:
                raise Timeout(f'not among what came: {self.seen[-5:]}') from None
            if predicate(message):
                return message

    def wait_type(self, *types):
        return self.wait_for(lambda message: message.get('type') in types)

    def wait_error(self, code=None, contains=None):
        message = self.wait_for(self.dialect.is_error)
        return self.dialect.error(message, code, contains)

    def check_alive(self):
        """The connection still does its work."""
        message, answer = self.dialect.ping
        self.send(message)
        return self.wait_type(answer)

    def close(self):
        self.ws.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def connect(daemon, dialect='choir', token=None, target=None, headers=(), authenticate=True, **kwargs):
    """A session in `dialect`; its first messages have been read."""
    dialect = DIALECTS[dialect] if isinstance(dialect, str) else dialect
    token = daemon.mint() if token is None else token
    ws = RawWs.open(daemon.address, target or dialect.target(token), headers, **kwargs)
    client = Client(ws, dialect)
    if authenticate:
        dialect.authenticate(client, token)
    return client
