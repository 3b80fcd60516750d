# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How documents travel: pastes larger than a client's queue, and changes that leave together."""

import pytest

from choir_test import Daemon
from choir_test import text_unicode as ot
from document_client import CONFIG, SETTINGS, Talker

LINE = 'Zeile "1" 漢字 😀\n'


@pytest.fixture(scope='module')
def shared_daemon():
    daemon = Daemon({**SETTINGS, 'protocol.max-message-size': '4M', 'protocol.max-queue-bytes': '256K'}, config=CONFIG).start()
    yield daemon
    daemon.stop()


@pytest.fixture
def document(fresh):
    return fresh('doc')


def test_a_paste_reaches_everybody(daemon, document):
    """Larger than all that may otherwise wait for a client."""
    text = LINE * 45000
    ann, bob, late = Talker(daemon), Talker(daemon), Talker(daemon)
    ann.open(document)
    bob.open(document)
    assert len(text.encode()) > 900000
    assert ann.change(document, [text]) == 1
    assert bob.heard('document.change')[0]['payload']['operation'] == [text]
    assert ann.change(document, [{'d': len(LINE)}]) == 2
    assert late.open(document)['content'] == text[len(LINE):]


def read_frames(talker, wanted):
    """Frames until `wanted` messages have come: a list each."""
    frames = []
    while sum(len(frame) for frame in frames) < wanted:
        found = talker.ws.recv_json()
        frames.append(found if isinstance(found, list) else [found])
    return frames


def test_batches(daemon, document):
    """Whoever takes batches gets the changes that leave together in one frame, in order and complete."""
    listener = Talker(daemon, target='/ws?dialect=choir&batch=1')
    listener.open(document)
    writer = Talker(daemon)
    writer.open(document)
    assert [[message['type'] for message in frame] for frame in read_frames(listener, 1)] == [['user.presence']]
    for i in range(60):
        writer.send({'type': 'document.change', 'payload': {
            'document_id': document, 'version': 0, 'operation': ot.insertion(i, 'x')}})
    frames = read_frames(listener, 60)
    assert 1 < max(len(frame) for frame in frames) <= 10
    assert [message['payload']['version'] for frame in frames for message in frame] == list(range(1, 61))
    assert {message['type'] for frame in frames for message in frame} == {'document.change'}
