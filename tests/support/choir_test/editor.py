# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An editor of a document: a client that does all that docs/protocol.md "Documents" asks of one, in two dialects.

Editors do not wait by themselves: wait_all() reads for many of them at once. An editor fails the test as soon as it is told
something that does not fit what it was told before.
"""

import json
import select
from collections import deque

from . import text_unicode as ot
from .frames import TEXT
from .replica import Diverged, Replica
from .timing import DEADLINE
from .websocket import Close, RawWs, Timeout, Violation


class _ChoirForm:
    """The canonical protocol: operations are arrays."""

    opened, change, ack, sync = 'document.opened', 'document.change', 'document.ack', 'sync.response'
    names = {}

    def target(self, token, document):
        return f'/ws?dialect=choir&token={token}'

    def prepare(self, operation):
        """What the service will understand."""
        return operation

    def operation(self, operation):
        return {'operation': operation}

    def read_operation(self, payload):
        return ot.check(payload['operation'])

    def envelope(self, type_, payload, correlation_id):
        message = {'type': type_, 'payload': payload}
        if correlation_id is not None:
            message['correlation_id'] = correlation_id
        return message

    def correlation_id(self, message):
        return message.get('correlation_id')

    def rename(self, members):
        """An object with the names of the canonical protocol."""
        return members


class _JddbForm(_ChoirForm):
    """Contract C: operations are steps with positions, names are in camelCase, an acknowledgement is one's change."""

    opened, ack = 'document.open', None
    names = {'document_id': 'documentId', 'change_id': 'changeId', 'user_id': 'userId', 'session_id': 'sessionId'}
    back = {theirs: ours for ours, theirs in names.items()}

    def target(self, token, document):
        return f'/ws/document/{document}?token={token}'

    def prepare(self, operation):
        return ot.compose_steps(ot.to_steps(operation))

    def operation(self, operation):
        steps = ot.to_steps(operation)
        return dict(steps[0]) if len(steps) == 1 else {'operations': steps}

    def read_operation(self, payload):
        steps = payload['operations'] if 'operations' in payload else [payload]
        return ot.read_steps(steps)

    def envelope(self, type_, payload, correlation_id):
        payload = {self.names.get(name, name): value for name, value in payload.items()}
        metadata = {} if correlation_id is None else {'correlationId': correlation_id}
        return {'type': type_, 'payload': payload, 'metadata': metadata}

    def correlation_id(self, message):
        return message.get('metadata', {}).get('correlationId')

    def rename(self, members):
        return {self.back.get(name, name): value for name, value in members.items()}


FORMS = {'choir': _ChoirForm(), 'jddb': _JddbForm()}


def has_whole_frame(buffer):
    if len(buffer) < 2:
        return False
    length, head = buffer[1] & 0x7f, 2
    if length >= 126:
        head = 4 if length == 126 else 10
        if len(buffer) < head:
            return False
        length = int.from_bytes(buffer[2:head], 'big')
    return len(buffer) >= head + length


class Refused(AssertionError):
    """An answer that says no to an editor that is not prepared for it."""


class Editor:
    """`window`: how many changes may be on their way at once. `foreign_left`: how many changes of others may still be
    taken in; what comes behind waits in the inbox (None: all). `refusals`: errors this editor is ready for, e.g. {'UNAVAILABLE'}:
    with a window of 1 the change stays pending, to be sent again by retry(); with more, nobody knows what those behind it
    were taken for, and retry() begins anew with the text as it is then. What was not acknowledged is in `lost`. `query` is
    added to the address, `&batch=1` for instance; `extensions` are offered."""

    def __init__(self, document, token, dialect='choir', window=64, client_id=None, refusals=(), query='', extensions=None):
        self.document = document
        self.token = token
        self.form = FORMS[dialect]
        self.dialect = dialect
        self.window = window
        self.query = query if client_id is None else f'{query}&client_id={client_id}'
        self.extensions = extensions
        self.client_id = client_id
        self.refusals = frozenset(refusals)
        self.replica = Replica()
        self.foreign_left = None
        self.epoch = None
        self.user_id = None
        self.sessions = set()
        self.session_id = None
        self.n_refused = 0
        self.n_recognised = 0
        self.n_arrays = 0
        # in this connection or in one before
        self.acknowledged = {}
        self.lost = []
        self._forget_connection()

    def _forget_connection(self):
        self.ws = None
        self.inbox = deque()
        self.events = []
        self.closed = None
        self.is_open = False
        self.members = None
        self._early = {}
        self._again = 0
        self._blocked = False
        self._unanswered = None
        for change in self.replica.pending:
            change.sent = False

    # What it has

    @property
    def text(self):
        return self.replica.text

    @property
    def version(self):
        return self.replica.version

    @property
    def pending(self):
        return self.replica.pending

    @property
    def is_settled(self):
        return self.is_open and not self.replica.pending

    def n_in_flight(self):
        return sum(change.sent for change in self.replica.pending)

    # The connection

    def connect(self, address):
        """Connects and asks for the document. What is pending from before is sent again when it is open."""
        self._forget_connection()
        self._again = len(self.replica.pending)
        target = self.form.target(self.token, self.document) + self.query
        self.ws = RawWs.open(address, target, extensions=self.extensions)
        if self.dialect == 'choir':
            self._ask_to_open()
        return self

    def _ask_to_open(self):
        payload = {'document_id': self.document}
        if self.epoch is not None:
            payload.update(version=self.version, epoch=self.epoch)
        self.send('document.open', payload)

    def drop(self):
        """The connection breaks off."""
        if self.ws is not None:
            self.ws.abort()
        self._forget_connection()

    def is_lost(self):
        """The other side is gone, and all that it said has been read."""
        ws = self.ws
        if ws is None or self.closed is not None:
            return True
        return (ws.reader.eof or ws.dead) and not self.inbox and not has_whole_frame(ws.reader.buffer)

    def send(self, type_, payload=None, correlation_id=None):
        self.ws.send_json(self.form.envelope(type_, payload or {}, correlation_id))

    # Editing

    def edit(self, operation):
        """Changes the text here and now, and the document as soon as that may be."""
        if not operation:
            return None
        change = self.replica.edit(operation)
        self._flush()
        return change

    def insert(self, position, text):
        return self.edit(ot.insertion(position, text))

    def delete(self, position, length):
        return self.edit(ot.deletion(position, length))

    def _flush(self):
        if not self.is_open or self._blocked:
            return
        # changes sent a second time go one by one: should the first still be on its way from the last connection, then
        # what stands on it must not overtake it
        window = 1 if self._again > 0 else self.window
        in_flight = 0
        for change in self.replica.pending:
            if in_flight == window:
                return
            in_flight += 1
            if not change.sent:
                change.sent = True
                self._send_change(change)

    def _send_change(self, change):
        change.operation = self.form.prepare(change.operation)
        payload = {'document_id': self.document, 'version': self.version, 'change_id': change.change_id}
        payload.update(self.form.operation(change.operation))
        self.send('document.change', payload, change.change_id)

    def retry(self):
        """Sends again what was refused, or begins anew."""
        self._blocked = False
        if self._unanswered is None:
            self._flush()
        else:
            self._begin_anew()

    def _begin_anew(self):
        """When nothing is on its way any more: an acknowledgement does not say what it acknowledges."""
        if not self._blocked and not self._unanswered:
            self._unanswered = None
            self.lost += self.replica.reset('', 0)
            self.send('document.open', {'document_id': self.document})

    # Listening

    def receive(self):
        """Takes in what is there, without waiting."""
        ws = self.ws
        if not ws.reader.eof:
            ws.reader.read_available()
        while self.closed is None and has_whole_frame(ws.reader.buffer):
            controls = []
            message = ws.recv_message(controls=controls)
            if message is None:
                body = controls[-1].payload
                self.closed = Close(int.from_bytes(body[:2], 'big'), body[2:].decode())
                return
            opcode, body = message
            if opcode != TEXT:
                raise Violation(f'opcode {opcode}, not a text')
            found = json.loads(body)
            self.n_arrays += isinstance(found, list)
            self.inbox.extend(found if isinstance(found, list) else [found])

    def step(self):
        """Deals with what has been received, as far as it may."""
        while self.inbox:
            if self.foreign_left == 0 and self._is_foreign(self.inbox[0]):
                return
            self._handle(self.inbox.popleft())

    def _is_foreign(self, message):
        return message.get('type') == self.form.change and not self._is_ack(message, message['payload'])

    def _is_ack(self, message, payload):
        return message['type'] == self.form.ack or (self.form.ack is None and 'changeId' in payload)

    def _handle(self, message):
        type_ = message.get('type')
        # what is refused before it could be read has none
        payload = self.form.rename(message.get('payload', message))
        if payload.get('document_id', self.document) != self.document:
            raise Diverged(f'of another document: {message}')
        if self._unanswered is not None:
            self._answered(message, payload)
        elif type_ == 'connection.established':
            self._established(payload)
        elif type_ == self.form.opened and 'version' in payload:
            self._opened(payload, message)
        elif type_ == self.form.sync and not self.is_open:
            self._caught_up(payload)
        elif type_ in (self.form.change, self.form.ack):
            self._changed(message, payload)
        elif type_ in ('error', 'system.error'):
            self._refused(message, payload)
        elif type_ == 'conflict.detected':
            raise Refused(f'{self.pending}: {json.dumps(message)[:300]}')
        else:
            self.events.append(message)

    def _established(self, payload):
        self._be(payload['session_id'], payload['user_id'])

    def _be(self, session_id, user_id):
        self.session_id, self.user_id = session_id, user_id
        self.sessions.add(session_id)

    def _opened(self, payload, message):
        self.members = payload['members']
        if self.dialect == 'jddb':
            self._be(message['metadata']['sessionId'], message['metadata']['userId'])
            if self.epoch is not None:
                # its protocol has the state come by itself; what was missed is asked for
                self.send('sync.request', {'version': self.version})
                return
        if 'operations' in payload:
            if payload['epoch'] != self.epoch and self.version > 0:
                raise Diverged(f'operations of epoch {payload["epoch"]}, have {self.epoch}')
            self._caught_up(payload)
            return
        if self.pending:
            raise Diverged(f'given the text without what was missed; pending {list(self.pending)}')
        self.replica.reset(payload['content'], payload['version'])
        self._start(payload)

    def _caught_up(self, payload):
        if 'operations' not in payload:
            raise Diverged(f'given the text without what was missed; pending {list(self.pending)}')
        for change in payload['operations']:
            if change['version'] > self.version:
                self._commit(self.form.rename(change))
        if payload['version'] > self.version:
            raise Diverged(f'caught up with {payload["version"]}, have {self.version}')
        self._start(payload)

    def _start(self, payload):
        # a document that has never been changed has none yet
        self.epoch = payload.get('epoch') or self.epoch or ''
        for version in sorted(self._early):
            if version > self.version:
                self._commit(self._early[version])
        self._early.clear()
        self.is_open = True
        self._again = min(self._again, len(self.pending))
        self._flush()

    def _commit(self, payload):
        """A change in the service's own words, whoever made it."""
        operation = self.form.read_operation(payload)
        if payload.get('session_id') in self.sessions:
            # in a life before this connection
            change = self._mark_sent().commit_own(payload['version'], payload.get('change_id'), operation)
            self.acknowledged[change.change_id] = payload['version']
            self.n_recognised += 1
            self._count_own(change)
            return
        self.replica.commit_foreign(payload['version'], operation)
        if self.foreign_left is not None:
            self.foreign_left -= 1

    def _mark_sent(self):
        if self.pending:
            self.pending[0].sent = True
        return self.replica

    def _count_own(self, change):
        self._again = max(0, self._again - 1)

    def _changed(self, message, payload):
        if not self.epoch:
            self.epoch = payload.get('epoch', self.epoch)
        if not self._is_ack(message, message['payload']):
            if not self.is_open:
                self._early[payload['version']] = payload
            else:
                self._commit(payload)
            return
        version, change_id = payload['version'], payload['change_id']
        if version <= self.version:
            # sent twice, and the first was recognised in what was missed
            if self.acknowledged.get(change_id) != version:
                raise Diverged(f'{change_id} acknowledged as version {version}, have {self.version}, {list(self.pending)}')
        else:
            operation = self.form.read_operation(payload) if self.form.ack is None else None
            self._count_own(self.replica.commit_own(version, change_id, operation))
            self.acknowledged[change_id] = version
        self._flush()

    def _refused(self, message, payload):
        code = payload.get('code') or payload.get('error')
        if code not in self.refusals:
            raise Refused(f'{json.dumps(message)[:300]}')
        self.n_refused += 1
        self._blocked = True
        if self.window == 1:
            self.pending[0].sent = False
            return
        self.is_open = False
        self._unanswered = {change.change_id for change in self.pending if change.sent}
        self._answered(message, payload)

    def _answered(self, message, payload):
        """One answer more, after one that was a refusal."""
        change_id = self.form.correlation_id(message)
        if message['type'] == self.form.ack:
            self.acknowledged[change_id] = payload['version']
        self._unanswered.discard(change_id)
        self._begin_anew()


def wait_all(editors, predicate, timeout=DEADLINE):
    """Reads for all `editors` until `predicate()` is true; fails when nothing has come for so long. Those whose connection is
    gone are passed over."""
    while True:
        for editor in editors:
            if not editor.is_lost():
                editor.receive()
                editor.step()
        if predicate():
            return
        socks = [editor.ws.sock for editor in editors if not editor.is_lost() and not editor.ws.reader.eof]
        ready = select.select(socks, [], [], timeout)[0] if socks else []
        if not ready:
            states = [(editor.version, len(editor.pending), len(editor.inbox), editor.is_open, editor.closed)
                      for editor in editors]
            raise Timeout(f'(version, pending, inbox, open, closed) are {states}')


def open_all(editors, address, timeout=DEADLINE):
    for editor in editors:
        editor.connect(address)
    wait_all(editors, lambda: all(editor.is_open for editor in editors), timeout)
    return editors


def converge(editors, timeout=DEADLINE):
    """Waits until everything is committed and known to all, who then have one text; returned."""
    wait_all(editors, lambda: all(editor.is_settled for editor in editors), timeout)
    newest = max(editor.version for editor in editors)
    wait_all(editors, lambda: all(editor.version == newest for editor in editors), timeout)
    text = editors[0].text
    for editor in editors:
        if editor.text != text:
            raise Diverged(f'at version {newest}: {editor.text[:200]!r}... is not {text[:200]!r}...')
    return text
