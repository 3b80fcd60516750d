# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two people typing into one document, as it happened: tests/data/traces/README.md, `friendsforever.json.gz`."""

import gzip
import json
from pathlib import Path

import pytest

from choir_test import text_unicode as ot
from choir_test.editor import converge, open_all, wait_all
from document_client import CONFIG, FAST, SETTINGS, Talker, editor, get_document

TRACE = Path(__file__).resolve().parent.parent / 'data' / 'traces' / 'friendsforever.json.gz'
N_EDITORS = 2


class Session:
    """The trace, with what each editor had seen of the other when it made an edit."""

    def __init__(self, trace):
        self.end = trace['endContent']
        self.edits = []
        # what each transaction builds on: of either agent, how many
        known = []
        n_made = [0] * N_EDITORS
        for transaction in trace['txns']:
            agent = transaction['agent']
            seen = [max((known[parent][i] for parent in transaction['parents']), default=0) for i in range(N_EDITORS)]
            assert seen[agent] == n_made[agent], 'nobody works beside himself'
            self.edits.append((agent, seen[1 - agent], self.operation(transaction['patches'])))
            n_made[agent] += 1
            seen[agent] += 1
            known.append(seen)
        self.n_made = n_made

    @staticmethod
    def operation(patches):
        out = []
        for position, deleted, inserted in patches:
            if deleted:
                out = ot.compose(out, ot.deletion(position, deleted))
            if inserted:
                out = ot.compose(out, ot.insertion(position, inserted))
        return out


@pytest.fixture(scope='module')
def session():
    with gzip.open(TRACE, 'rt', encoding='utf-8') as file:
        return Session(json.load(file))




def replay(session, editors):
    """Each edit is made on a text that has those of the other's that it was made on, and none besides; what has arrived
    beyond that waits. Nothing is waited for otherwise, so that acknowledgements come as late as they did then."""
    n_seen = [0] * N_EDITORS
    most_in_flight = 0
    for agent, n_known, operation in session.edits:
        one = editors[agent]
        one.foreign_left = n_known - n_seen[agent]
        if one.foreign_left > 0:
            one.step()
            # the other must have sent what is wanted, and does so before it is waited for
            wait_all(editors, lambda: one.foreign_left == 0)
        n_seen[agent] = n_known
        one.edit(operation)
        most_in_flight = max(most_in_flight, one.n_in_flight())
    return most_in_flight


@pytest.mark.parametrize('dialects', [('choir', 'choir'), ('choir', 'jddb')], ids='-'.join)
def test_two_people_at_once(start, session, dialects, tmp_path_factory):
    assert len(session.edits) == 26078 and min(session.n_made) > 10000
    directory = tmp_path_factory.mktemp('friends')
    daemon = start(SETTINGS, config=CONFIG, directory=directory, env=FAST)
    editors = [editor(daemon, 'friends', dialect=dialect, window=1000) for dialect in dialects]
    open_all(editors, daemon.address)
    for one in editors:
        one.foreign_left = 0
    most_in_flight = replay(session, editors)
    assert most_in_flight > 1, 'nothing happened at the same time'
    for one in editors:
        one.foreign_left = None
    assert converge(editors) == session.end
    assert [one.version for one in editors] == [len(session.edits)] * N_EDITORS
    assert [len(one.acknowledged) for one in editors] == session.n_made
    assert editors[0].replica.history == editors[1].replica.history
    check(daemon, session)
    for one in editors:
        one.drop()
    daemon.stop()
    check(start(SETTINGS, config=CONFIG, directory=directory, env=FAST), session)


def check(daemon, session):
    with Talker(daemon) as reader:
        opened = reader.open('friends')
        assert (opened['version'], opened['content']) == (len(session.edits), session.end)
    assert get_document(daemon, 'friends') == (len(session.edits), session.end)
