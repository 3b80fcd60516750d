# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of documents share: settings, and a session that asks one thing after another."""

import re
from itertools import count
from urllib.parse import quote

from choir_test import DEADLINE, DIALECTS, Client, Deadline, RawWs, http_get
from choir_test.editor import Editor

# On disk, and every rate out of the way
SETTINGS = {
    'store.backend': 'sqlite',
    'server.max-connections-per-user': '1000',
    'rate.default': '60000/1s',
    'rate.document': '60000/1s',
    'rate.cursor': '60000/1s',
    'rate.api': '60000/1s',
}
CONFIG = '[dialect jddb]\nrate=60000/1s\nmax-connections-per-user=1000\n'

# Where much is allocated: to find out by whom from the unwind tables takes most of the time
FAST = {'ASAN_OPTIONS': 'fast_unwind_on_malloc=1'}

_numbers = count(1)


class Talker(Client):
    """A session in the dialect `choir`: says something and reads until its answer."""

    def __init__(self, daemon, sub=None, permissions=('*:*:*',), target='/ws?dialect=choir', **claims):
        sub = f'talker{next(_numbers)}' if sub is None else sub
        token = daemon.mint(sub, permissions, **claims)
        joint = '&' if '?' in target else '?'
        super().__init__(RawWs.open(daemon.address, f'{target}{joint}token={token}'), DIALECTS['choir'])
        self.daemon = daemon
        self.user_id = sub
        established = self.wait_type('connection.established')['payload']
        self.session_id = established['session_id']
        self.n_read = len(self.seen)

    def ask(self, type_, **payload):
        """The whole answer."""
        name = f'q{next(_numbers)}'
        self.send({'type': type_, 'correlation_id': name, 'payload': payload})
        return self.wait_for(lambda message: message.get('correlation_id') == name)

    def get(self, type_, answer, **payload):
        """The payload of an answer of that type."""
        message = self.ask(type_, **payload)
        assert message['type'] == answer, message
        self.dialect.envelope(message)
        return message['payload']

    def refused(self, code, type_, contains=None, **payload):
        """Asks, and is told why not; returns the error."""
        error = self.dialect.error(self.ask(type_, **payload), code, contains)
        assert error.get('original_type') == type_, error
        return error

    def open(self, document, **payload):
        return self.get('document.open', 'document.opened', document_id=document, **payload)

    def change(self, document, operation, **payload):
        """Returns the version."""
        return self.get('document.change', 'document.ack', document_id=document, operation=operation, **payload)['version']

    def state(self, document):
        """(version, content) as the service has it now."""
        answer = self.get('sync.request', 'sync.response', document_id=document)
        return answer['version'], answer['content']

    def at(self, document, version):
        return self.get('document.at', 'document.at', document_id=document, version=version)['content']

    def heard(self, *types):
        """What came by itself since the last time this was asked, all that had been said before it was."""
        self.ask('ping')
        news, self.n_read = self.seen[self.n_read:], len(self.seen)
        return [message for message in news
                if 'correlation_id' not in message and (not types or message['type'] in types)]


def editor(daemon, document, sub=None, dialect='choir', permissions=('document:*:*',), **options):
    sub = f'editor{next(_numbers)}' if sub is None else sub
    return Editor(document, daemon.mint(sub, permissions), dialect, **options)


def fill(talker, document, text, piece=4000):
    """Makes `text` the content of a document that is open and empty; returns the version."""
    version = 0
    for at in range(0, len(text), piece):
        part = text[at:at + piece]
        version = talker.change(document, [at, part] if at else [part])
    return version


def get_document(daemon, document, version=None, **kwargs):
    """(version, content) by HTTP."""
    target = f'/api/v1/documents/{quote(document, safe="")}' + ('' if version is None else f'?version={version}')
    token = daemon.mint('reader', ('document:*:read',), **kwargs)
    answer = http_get(daemon.address, target, [('Authorization', f'Bearer {token}'), ('Accept', 'application/json')])
    assert answer.status == 200, answer
    body = answer.json()
    return body['version'], body['content']


def figure(daemon, name):
    """One line of /metrics; 0 if there is none."""
    text = http_get(daemon.address, '/metrics').body.decode()
    found = re.search(rf'^{re.escape(name)} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def wait_until(predicate, what, timeout=DEADLINE):
    """For what can only be asked for again and again."""
    deadline = Deadline(timeout)
    while not predicate():
        assert not deadline.passed(), f'{what} does not happen'
