# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Editors who all type at once: they end with one text, the service's, and its past is what they have come by."""

import random

import pytest

from choir_test import text_unicode as ot
from choir_test.editor import converge, open_all, wait_all
from document_client import CONFIG, FAST, SETTINGS, Talker, editor, figure, get_document, wait_until

N_EDITS = 1200


@pytest.fixture
def daemon(start):
    # nobody waits for long for one that drops its connection
    return start({**SETTINGS, 'session.resume-window': '1s'}, config=CONFIG, env=FAST)


def type_at_random(rng, editors, n_edits):
    """Whoever's turn it is types, or reads what has come, or does not read for a while."""
    for _ in range(n_edits):
        one = rng.choice(editors)
        one.edit(ot.random_operation(rng, len(one.text)))
        if rng.random() < 0.3:
            reader = rng.choice(editors)
            reader.receive()
            reader.step()


def compare_with_service(daemon, editors, document, text):
    reader = Talker(daemon)
    opened = reader.open(document)
    version = editors[0].version
    assert (opened['version'], opened['content']) == (version, text)
    assert get_document(daemon, document) == (version, text)
    for one in editors[1:]:
        assert one.replica.history == editors[0].replica.history
    return reader


def check_past(reader, document, texts):
    for version, text in texts.items():
        assert reader.at(document, version) == text, version


BATCHED = {'query': '&batch=1'}
DEFLATED = {'extensions': 'permessage-deflate'}


@pytest.mark.parametrize('seed,dialects,windows,options', [
    (1, ['choir'] * 8, [64] * 8, [{}] * 8),
    (2, ['choir'] * 8, [1] * 8, [{}] * 8),
    (3, ['choir', 'jddb'] * 4, [1, 64, 3, 64, 64, 1, 8, 200], [{}] * 8),
    (4, ['choir', 'jddb'] * 4, [8] * 8, [{}, {}, BATCHED, BATCHED, DEFLATED, DEFLATED, {**BATCHED, **DEFLATED}, {}]),
], ids=['pipelined', 'one-at-a-time', 'both-dialects', 'batched-and-deflated'])
def test_eight_editors(daemon, document, seed, dialects, windows, options):
    rng = random.Random(seed)
    editors = [editor(daemon, document, dialect=dialect, window=window, **how)
               for dialect, window, how in zip(dialects, windows, options)]
    open_all(editors, daemon.address)
    type_at_random(rng, editors, N_EDITS)
    text = converge(editors)
    assert editors[0].version == sum(len(one.acknowledged) for one in editors) > N_EDITS // 2
    reader = compare_with_service(daemon, editors, document, text)
    texts = editors[0].replica.texts(0, '')
    assert len(set(texts.values())) > N_EDITS // 2
    check_past(reader, document, texts)

    # and once more from the disk
    assert any(one.n_arrays for one in editors) is (BATCHED in options)
    for one in editors:
        one.drop()
    reader.close()
    wait_until(lambda: figure(daemon, 'choir_documents_open') == 0, 'leaving memory')
    reader = compare_with_service(daemon, editors, document, text)
    check_past(reader, document, texts)


@pytest.fixture
def document(fresh):
    return fresh('doc')


def test_cursors_stay_where_they_are(daemon, document):
    """What the service keeps of a cursor is where its owner sees it, once both have seen the same."""
    rng = random.Random(4)
    editors = [editor(daemon, document, window=1) for _ in range(4)]
    open_all(editors, daemon.address)
    editors[0].insert(0, ot.random_text(rng, 200))
    converge(editors)
    watcher, typist = editors[0], editors[1]
    for _ in range(60):
        anchor, head = rng.randrange(len(watcher.text) + 1), rng.randrange(len(watcher.text) + 1)
        watcher.send('selection.change', {'document_id': document, 'anchor': anchor, 'head': head, 'version': watcher.version})
        version = watcher.version
        typist.edit(ot.random_operation(rng, len(typist.text)))
        converge(editors)
        for at in range(version + 1, watcher.version + 1):
            anchor, head = [ot.transform_position(position, watcher.replica.history[at]) for position in (anchor, head)]
        newcomer = Talker(daemon)
        member, = [entry for entry in newcomer.open(document)['members'] if entry['session_id'] == watcher.session_id]
        newcomer.close()
        assert member['selection'] == {'anchor': anchor, 'head': head}, (member, watcher.replica.history.get(watcher.version))


def test_connections_that_break(daemon, document):
    """Whoever comes back sends again what was not acknowledged; it is there once."""
    rng = random.Random(5)
    editors = [editor(daemon, document, f'breaker{i}', window=window) for i, window in enumerate((1, 2, 64, 64, 64, 64))]
    open_all(editors, daemon.address)
    n_dropped = 0
    for _ in range(40):
        type_at_random(rng, editors, 20)
        one = rng.choice(editors)
        n_dropped += len(one.pending)
        one.drop()
        if rng.random() < 0.5:
            type_at_random(rng, [other for other in editors if other is not one], 5)
            # it works on without a connection
            one.edit(ot.random_operation(rng, len(one.text)))
        one.connect(daemon.address)
        wait_all(editors, lambda: one.is_open)
    assert n_dropped > 40
    text = converge(editors)
    assert editors[0].version == sum(len(one.acknowledged) for one in editors)
    reader = compare_with_service(daemon, editors, document, text)
    check_past(reader, document, editors[0].replica.texts(0, ''))


@pytest.mark.parametrize('n_foreign', [300, 1300])
def test_one_who_does_not_read_for_long(daemon, document, n_foreign):
    """Changes of one's own on the way while others commit more than is kept in memory."""
    rng = random.Random(6)
    slow, fast = [editor(daemon, document, window=10000) for _ in range(2)]
    open_all([slow, fast], daemon.address)
    slow.insert(0, ot.random_text(rng, 50))
    converge([slow, fast])
    for n in (10, n_foreign):
        for i in range(n):
            fast.edit(ot.random_operation(rng, len(fast.text), n_parts=2))
        # reads, but takes nothing in
        slow.foreign_left = 0
        wait_all([slow, fast], lambda: fast.is_settled)
        for _ in range(5):
            slow.edit(ot.random_operation(rng, len(slow.text), n_parts=2))
        wait_all([slow, fast], lambda: fast.version == slow_version(slow, fast))
    slow.foreign_left = None
    text = converge([slow, fast])
    compare_with_service(daemon, [slow, fast], document, text)


def slow_version(slow, fast):
    """How far the fast one is once it has all that the slow one has sent."""
    return slow.version + sum(1 for message in slow.inbox if message['type'] in ('document.change', 'document.ack'))


def test_many_changes_on_the_way(daemon, document):
    """One sends 3,000 changes without waiting for a single acknowledgement."""
    one, two = [editor(daemon, document, window=3000) for _ in range(2)]
    open_all([one, two], daemon.address)
    for i in range(3000):
        one.insert(i // 2, chr(0x4e00 + i))
    assert one.n_in_flight() == 3000 and one.version == 0
    assert len(converge([one, two])) == one.version == 3000
