# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an editor knows of a document: docs/protocol.md "Operations" and "Versions", from the client's side."""

import uuid
from collections import deque

from . import text_unicode as ot


class Diverged(AssertionError):
    """What the service said can't be, given what it said before."""


class Change:
    """An edit of one's own that is not known to be committed. Its operation stands on the changes before it."""

    __slots__ = ('change_id', 'operation', 'sent')

    def __init__(self, operation):
        self.change_id = str(uuid.uuid4())
        self.operation = operation
        self.sent = False

    def __repr__(self):
        return f'<Change {self.change_id} {self.operation!r}{" sent" if self.sent else ""}>'


class Replica:
    """The text at `version`, with the `pending` changes applied on top: that is `text`.

    `history[v]` is the operation that made version v, for all v this replica has come by."""

    def __init__(self):
        self.pending = deque()
        self.reset('', 0)

    def reset(self, text, version):
        """Starts from a text that was given, and forgets the rest. Returns the changes that are lost by that."""
        lost = list(self.pending)
        self.text = text
        self.version = version
        self.pending = deque()
        self.history = {}
        return lost

    def edit(self, operation):
        change = Change(operation)
        self.text = ot.apply(self.text, operation)
        self.pending.append(change)
        return change

    def _advance(self, version, operation):
        if version != self.version + 1:
            raise Diverged(f'version {version} came behind {self.version}')
        self.version = version
        self.history[version] = operation

    def commit_foreign(self, version, operation):
        """Somebody else's change: what is pending goes on top of it. Returns what it did to the text."""
        self._advance(version, operation)
        for change in self.pending:
            mine = change.operation
            change.operation = ot.transform(mine, operation, 'left')
            operation = ot.transform(operation, mine, 'right')
        try:
            self.text = ot.apply(self.text, operation)
        except ValueError as error:
            raise Diverged(f'version {version} does not apply: {error}') from None
        return operation

    def commit_own(self, version, change_id=None, operation=None):
        """The oldest pending change has been committed. `operation`: as the service has it, where it says so."""
        if not self.pending:
            raise Diverged(f'version {version} is said to be ours, and nothing is pending')
        change = self.pending[0]
        if not change.sent or change_id not in (None, change.change_id):
            raise Diverged(f'version {version} is change {change_id}, expected {change}')
        if operation is not None and operation != change.operation:
            raise Diverged(f'version {version} is {operation!r}, expected {change.operation!r}')
        self._advance(version, change.operation)
        self.pending.popleft()
        return change

    def texts(self, first_version, first_text):
        """{version: text} from a known one on."""
        out = {first_version: first_text}
        for version in range(first_version + 1, self.version + 1):
            out[version] = ot.apply(out[version - 1], self.history[version])
        return out
