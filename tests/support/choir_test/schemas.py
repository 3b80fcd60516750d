# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is said, held to docs/schemas.

Everything a RawWs or a LibraryWs sends and receives passes through its Traffic. A message of the service that no schema has fails
the test at once. One of the test's own must be refused: by an error, or by closing the connection. Whether it was is known when
the answers have been read, at the latest at the test's end; a test that does not read them says so with allow_garbage().
"""

import json
import re
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import jsonschema

DIRECTORY = Path(__file__).resolve().parents[3] / 'docs' / 'schemas'
SHARED = ('common', 'payloads')

# Of each type so many, then one of so many: what a test moves by the thousand says little more
FIRST = 200
EVERY = 50

# protocol.max-batch unless a test sets it lower
BATCH_MAX = 100

_HEAD = re.compile(r'\s*\{\s*"type"\s*:\s*"([^"\\]*)"')


class Mismatch(AssertionError):
    """A message that docs/schemas does not have."""


def _nearest(errors):
    """Of all that is wrong the one that says most; of several forms a message may have, that of the one it resembles."""
    error = max(errors, key=lambda error: len(error.path))
    while error.context:
        forms = {}
        for inner in error.context:
            forms.setdefault(inner.schema_path[0], []).append(inner)
        form = min(forms.values(), key=lambda form: (any(inner.validator in ('const', 'enum') for inner in form), len(form)))
        error = max(form, key=lambda inner: len(inner.path))
    return error


class Contract:
    """The schemas of one dialect; `in` is what its clients send."""

    def __init__(self, name, files):
        self.name = name
        self._files = files
        self._validators = {}
        self._class = jsonschema.validators.extend(jsonschema.Draft7Validator, {'x-message': self._check_inner})

    @property
    def keys(self):
        """`in.TYPE` and `out.TYPE`."""
        return {key for key in self._files[self.name]['definitions'] if key.startswith(('in.', 'out.'))}

    @property
    def served(self):
        """Those of them that are no announcement, and `published`."""
        definitions = self._files[self.name]['definitions']
        return {key for key in self.keys | {'published'} if 'x-since' not in definitions[key]}

    def _resolve(self, value, file):
        """References put in place, so that following them costs nothing later. Nothing refers to itself."""
        if isinstance(value, list):
            return [self._resolve(item, file) for item in value]
        if not isinstance(value, dict):
            return value
        if '$ref' in value:
            where, _, pointer = value['$ref'].partition('#/definitions/')
            where = where.removesuffix('.json') or file
            return self._resolve(self._files[where]['definitions'][pointer], where)
        return {key: self._resolve(item, file) for key, item in value.items()}

    def validator(self, key):
        if key not in self._validators:
            schema = self._files[self.name]['definitions'].get(key)
            self._validators[key] = schema and self._class(self._resolve(schema, self.name))
        return self._validators[key]

    def key_of(self, direction, message):
        """Which schema is the message's."""
        type_ = message.get('type')
        if isinstance(type_, str):
            return f'{direction}.{type_}'
        if direction == 'in':
            return 'in.auth' if type_ is None and 'token' in message else 'in.'
        return {True: 'out.auth.ok', False: 'out.auth.failed'}.get(message.get('success'), 'out.')

    def _find(self, direction, message):
        validator = self.validator(self.key_of(direction, message))
        if validator is None and direction == 'out' and isinstance(message.get('type'), str):
            return self.validator('published')
        return validator

    def complaint(self, direction, message):
        """What is wrong with a message, None if nothing is."""
        if not isinstance(message, dict):
            return 'it is no object'
        validator = self._find(direction, message)
        if validator is None:
            return f'there is no {self.key_of(direction, message)!r} in {self.name}.json'
        if validator.is_valid(message):
            return None
        error = _nearest(validator.iter_errors(message))
        return f'{error.json_path}: {error.message[:600]}'

    def check(self, direction, message):
        complaint = self.complaint(direction, message)
        if complaint is not None:
            raise Mismatch(f'{self.name} {direction}: {complaint}, in {json.dumps(message, ensure_ascii=False)[:1000]}')

    def _check_inner(self, _validator, _value, instance, _schema):
        complaint = self.complaint('out', instance)
        if complaint is not None:
            yield jsonschema.ValidationError(complaint)


def _load():
    files = {path.stem: json.loads(path.read_text('utf-8')) for path in sorted(DIRECTORY.glob('*.json'))}
    return {name: Contract(name, files) for name in files if name not in SHARED}


CONTRACTS = _load()


# One protocol in two encodings
_TWINS = {'choir-cbor': 'choir'}
_SUBPROTOCOLS = {'choir.v1': 'choir', 'choir.v1.cbor': 'choir-cbor'}


def dialect_of(target, subprotocol=None):
    """(dialect, whether that is certain), as docs/contracts.md "Choosing one" has it; dialect None where there is none."""
    parts = urlsplit(target)
    asked = parse_qs(parts.query).get('dialect', [None])[0]
    if subprotocol is not None and subprotocol.startswith('choir.v1'):
        return _SUBPROTOCOLS.get(subprotocol) or subprotocol.removeprefix('choir.v1.'), True
    if parts.path != '/ws' and not parts.path.startswith('/ws/'):
        return None, True
    if asked in CONTRACTS or asked in _TWINS:
        return asked, True
    for start, name in (('/ws/document/', 'jddb'), ('/ws/chat/', 'tripsage'), ('/ws/agent-status/', 'tripsage'),
                        ('/ws/', 'reviewpoint')):
        if parts.path.startswith(start):
            return name, True
    return 'choir', False


_counts = Counter()
_current = []


def _is_sampled(key):
    _counts[key] += 1
    return _counts[key] <= FIRST or _counts[key] % EVERY == 0


def begin():
    """A test begins."""
    _current.clear()


def judge():
    """A test ends: all that it sent was good, or has been refused."""
    try:
        for traffic in _current:
            traffic.judge()
    finally:
        _current.clear()


def _correlation_of(message):
    """What an answer to a message has of it, None if nothing."""
    if not isinstance(message, dict):
        return None
    metadata = message.get('metadata')
    inside = metadata if isinstance(metadata, dict) else {}
    found = (message.get('correlation_id'), message.get('correlationId'), inside.get('correlation_id'),
             inside.get('correlationId'))
    return next((value for value in found if isinstance(value, str) and value), None)


def _is_refusal(message):
    return message.get('type') in ('error', 'system.error', 'conflict.detected') or message.get('success') is False


class Traffic:
    """What one connection says and is told. Without a dialect, as on /echo, it may be anything."""

    def __init__(self, target='', subprotocol=None):
        self.dialect, self._is_certain = dialect_of(target, subprotocol)
        self._garbage = []
        self._last, self._complaints = None, []
        self._is_garbage_allowed = False
        _current.append(self)

    def assume(self, dialect):
        """The dialect where nothing in the handshake says which: the daemon's default."""
        if not self._is_certain:
            self.dialect = dialect

    def allow_garbage(self):
        """Nothing this side says is looked at any more."""
        self._is_garbage_allowed = True
        self._garbage.clear()

    @property
    def _contract(self):
        return CONTRACTS.get(_TWINS.get(self.dialect, self.dialect))

    def _decode(self, data, is_binary):
        if not is_binary:
            return json.loads(data)
        from .cbor import decode
        return decode(data)

    # Out of the test

    def sent(self, data, is_binary=False):
        if self._contract is None or self._is_garbage_allowed or is_binary != (self.dialect in _TWINS):
            return
        head = _HEAD.match(data) if isinstance(data, str) else None
        if head is not None and not _is_sampled((self.dialect, 'in', head[1])):
            return
        # what is said many times in a row is looked at once
        if data != self._last:
            self._last, self._complaints = data, self._judge_sent(data, is_binary)
        self._garbage += self._complaints

    def _judge_sent(self, data, is_binary):
        """[(what is wrong with a message, what its refusal's correlation will be)]."""
        try:
            value = self._decode(data, is_binary)
        # whatever the decoders of others make of what is no message
        except Exception as error:
            return [(f'no message, {error}', None)]
        messages = value if isinstance(value, list) else [value]
        if not 0 < len(messages) <= BATCH_MAX:
            # refused as one
            return [(f'a batch of {len(messages)}', None)]
        found = [(self._contract.complaint('in', message), message) for message in messages]
        return [(f'{complaint}, in {json.dumps(message)[:1000]}', self._answered_by(message))
                for complaint, message in found if complaint is not None]

    def _answered_by(self, message):
        """What the answer's correlation will be, None if it has none."""
        if self.dialect in ('reviewpoint', 'tripsage') or not isinstance(message, dict):
            return None
        correlation, id_ = _correlation_of(message), message.get('id')
        payload = message.get('payload')
        if correlation is None and self.dialect == 'netra-spec' and isinstance(payload, dict):
            correlation = _correlation_of(payload)
        if correlation is None and isinstance(id_, (str, int)) and not isinstance(id_, bool):
            return str(id_) or None
        return correlation

    # Into the test

    def received(self, data, is_binary=False):
        if self._contract is None or is_binary != (self.dialect in _TWINS):
            return
        if isinstance(data, bytes) and not is_binary:
            data = data.decode('utf-8')
        head = None if is_binary else _HEAD.match(data)
        is_sampled = head is None or _is_sampled((self.dialect, 'out', head[1]))
        if not is_sampled and not self._garbage:
            return
        value = self._decode(data, is_binary)
        for message in value if isinstance(value, list) else [value]:
            if is_sampled:
                self._contract.check('out', message)
            if self._garbage:
                self._settle(message)

    def _settle(self, message):
        """Whether this is the answer to what should have been refused."""
        correlation = _correlation_of(message)
        at = next((i for i, (_, answered_by) in enumerate(self._garbage) if answered_by == correlation), None)
        if _is_refusal(message):
            # one that says nothing of what it refuses is about the oldest
            at = 0 if at is None and correlation is None else at
            if at is not None:
                del self._garbage[at]
        elif correlation is not None and at is not None:
            raise Mismatch(f'{self.dialect} in: {self._garbage[at][0]}; but the service took it: {json.dumps(message)[:500]}')

    def closed(self):
        """The service has let go: whatever it has not answered is refused."""
        self._garbage.clear()

    def judge(self):
        if self._garbage:
            raise Mismatch(f'{self.dialect} in: not refused: {"; ".join(why for why, _ in self._garbage[:3])}')
