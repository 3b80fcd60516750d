# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/protocol.md "When something is wrong" and "Conflicts": a precise error to the sender, the document unchanged, the others
untouched."""

import json

import pytest

from choir_test import TEXT as TEXT_FRAME
from choir_test import Daemon, build_frame
from choir_test import text_unicode as ot
from document_client import CONFIG, SETTINGS, Talker, figure, fill

TEXT = 'héllo 😀 wörld'
N = len(TEXT)
BIG = {**SETTINGS, 'protocol.max-message-size': '16M', 'document.max-size': '64K', 'document.horizon': '20',
       'document.snapshot-every': '5'}


@pytest.fixture(scope='module')
def shared_daemon():
    daemon = Daemon(BIG, config=CONFIG).start()
    yield daemon
    daemon.stop()


class Scene:
    """A document with a text, somebody who will do something wrong, and somebody who must not notice."""

    def __init__(self, daemon, document, text=TEXT):
        self.daemon, self.document, self.text = daemon, document, text
        self.witness, self.culprit = Talker(daemon), Talker(daemon)
        self.witness.open(document)
        self.version = fill(self.witness, document, text)
        self.culprit.open(document)
        self.witness.heard()

    def assert_untouched(self):
        assert self.witness.heard() == []
        assert self.witness.state(self.document) == (self.version, self.text)
        # and the culprit may go on
        assert self.culprit.change(self.document, ['>'], version=self.version) == self.version + 1
        assert self.witness.state(self.document)[1] == '>' + self.text

    def refused(self, code, **payload):
        payload = {'document_id': self.document, 'version': self.version, 'change_id': 'wrong', **payload}
        error = self.culprit.refused(code, 'document.change', **payload)
        assert self.culprit.heard() == []
        return error


@pytest.fixture
def scene(daemon, fresh):
    return Scene(daemon, fresh('doc'))


# Operations that are none

INVALID = [
    None, True, 7, 'text', {}, {'d': 1}, [None], [True], [[]], [['x']],
    [0, 'x'], [-1, 'x'], [1.5, 'x'], [2 ** 31, 'x'], [2 ** 63, 'x'], [2 ** 64 + 1, 'x'], [1e300, 'x'],
    [''], [1, ''], ['a', 'b'], [1, 1, 'x'], [1], ['x', 1], [{'d': 1}, {'d': 1}], [{'d': 1}, 2],
    [{'d': 0}], [{'d': -1}], [{'d': 1.5}], [{'d': 'h'}], [{'d': None}], [{'d': [1]}], [{}], [{'i': 'x'}], [{'d': 1, 'i': 'x'}],
    [{'d': 1, 'x': 0}], [{'D': 1}],
]


@pytest.mark.parametrize('operation', INVALID, ids=lambda operation: json.dumps(operation)[:40])
def test_invalid_operations(scene, operation):
    scene.refused('VALIDATION_ERROR', operation=operation)
    scene.assert_untouched()


def test_no_operation(scene):
    scene.refused('VALIDATION_ERROR')
    scene.assert_untouched()


INSERT = {'operation': 'insert', 'position': 0, 'content': 'x'}


@pytest.mark.parametrize('payload', [
    {'operation': 'insert'}, {'operation': 'insert', 'position': 0}, {'operation': 'insert', 'content': 'x'},
    {**INSERT, 'position': -1}, {**INSERT, 'position': 0.5}, {**INSERT, 'position': '0'}, {**INSERT, 'position': None},
    {**INSERT, 'content': 7}, {**INSERT, 'content': None}, {'operation': 'delete', 'position': 0},
    {'operation': 'delete', 'position': 0, 'length': -1}, {'operation': 'delete', 'position': 0, 'length': 1.5},
    {'operation': 'delete', 'position': 0, 'length': '1'}, {'operation': 'replace', 'position': 0, 'content': 'x'},
    {'operations': {}}, {'operations': 'insert'}, {'operations': [7]}, {'operations': [INSERT, {'operation': 'insert'}]},
    {'operations': [[0, 'x']]}, {'operations': [{**INSERT, 'operation': ['x']}]},
], ids=lambda payload: json.dumps(payload)[:60])
def test_invalid_positional_operations(scene, payload):
    scene.refused('VALIDATION_ERROR', **payload)
    scene.assert_untouched()


@pytest.mark.parametrize('payload', [
    {'operation': [N + 1, 'x']}, {'operation': [{'d': N + 1}]}, {'operation': [N, {'d': 1}]}, {'operation': [2 ** 31 - 2, 'x']},
    {'operation': [1, {'d': 1}, N - 1, 'x']}, {'operation': ['x', N, {'d': 1}]}, {'operation': [{'d': 2 ** 31 - 1}]},
    {**INSERT, 'position': N + 1}, {'operation': 'delete', 'position': N, 'length': 1},
    {'operation': 'delete', 'position': 0, 'length': N + 1},
    {'operations': [{'operation': 'delete', 'position': 0, 'length': N}, {**INSERT, 'position': 1}]},
], ids=lambda payload: json.dumps(payload)[:60])
def test_past_the_end(scene, payload):
    scene.refused('VALIDATION_ERROR', **payload)
    scene.assert_untouched()


def test_up_to_the_end(scene):
    """Code points count, not bytes and not UTF-16."""
    assert scene.culprit.change(scene.document, [N, '!'], version=scene.version)
    assert scene.culprit.change(scene.document, [{'d': N + 1}])
    assert scene.witness.state(scene.document)[1] == ''


def test_past_the_end_of_its_own_base(scene):
    """What the text has become since does not count."""
    document = scene.document
    scene.witness.change(document, [N, ' and more'])
    scene.culprit.refused('VALIDATION_ERROR', 'document.change', document_id=document, version=scene.version,
                          operation=[N + 1, 'x'])
    scene.witness.change(document, [{'d': N + 9}])
    assert scene.culprit.change(document, [N, '!'], version=scene.version) == scene.version + 3
    assert scene.witness.state(document)[1] == '!'


# Characters that are none. As escapes they are JSON of which nobody can say what it means (RFC 8259 8.2)

@pytest.mark.parametrize('text', [r'\ud800', r'\udc00', r'\udc00\ud800', r'a\ud83d', r'\ud83dx', r'\ud83d\ud83d\ude00',
                                  r'\uDFFF'])
@pytest.mark.parametrize('form', ['{"operation":["%s"]}', '{"operation":"insert","position":0,"content":"%s"}'],
                         ids=['array', 'positional'])
def test_lone_surrogates(scene, text, form):
    payload = (form % text).replace('{', '{"document_id":"%s","version":%d,' % (scene.document, scene.version), 1)
    scene.culprit.send_text('{"type":"document.change","payload":%s}' % payload)
    scene.culprit.wait_error(('INVALID_JSON', 'VALIDATION_ERROR'))
    scene.assert_untouched()


@pytest.mark.parametrize('text', [b'\xed\xa0\xbd\xed\xb8\x80', b'\xed\xa0\x80', b'\xc0\x80', b'\xf4\x90\x80\x80', b'\xff'],
                         ids=['cesu-8', 'surrogate', 'overlong', 'beyond', 'no-byte'])
def test_bytes_that_are_no_text(scene, text):
    """No JSON text and no text frame: the connection fails, RFC 6455 8.1."""
    head = '{"type":"document.change","payload":{"document_id":"%s","operation":["' % scene.document
    scene.culprit.ws.send_frame(1, head.encode() + text + b'"]}}')
    assert scene.culprit.ws.recv_close().code == 1007
    left = scene.witness.wait_type('user.presence')['payload']
    assert left['event'] == 'user_left'
    scene.witness.heard()
    scene.culprit = Talker(scene.daemon)
    scene.culprit.open(scene.document)
    scene.witness.heard()
    scene.assert_untouched()


def test_a_pair_is_one_character(scene):
    """As an escape, or as it is; with the rest of what JSON can escape."""
    head = '{"type":"document.change","correlation_id":"p","payload":{"document_id":"%s",' % scene.document
    scene.culprit.send_text(head + r'"operation":["\ud83d\ude00\u0001\u00e4\"\\\/\b\f\n\r\t"]}}')
    scene.culprit.wait_type('document.ack')
    assert scene.witness.state(scene.document)[1] == '😀\1ä"\\/\b\f\n\r\t' + TEXT
    assert scene.witness.heard('document.change')[0]['payload']['operation'] == ['😀\1ä"\\/\b\f\n\r\t']
    assert scene.culprit.change(scene.document, [{'d': 11}]) == scene.version + 2


def test_a_member_given_twice(scene):
    head = '{"type":"document.change","payload":{"document_id":"%s",' % scene.document
    for rest in ('"operation":["x"],"operation":["y"]}}', '"operation":[{"d":1,"d":2}]}}'):
        scene.culprit.send_text(head + rest)
        scene.culprit.wait_error(('INVALID_JSON', 'VALIDATION_ERROR'))
    scene.assert_untouched()


# Fields beside the operation

@pytest.mark.parametrize('version', [-1, 1.5, '1', [], True, 2 ** 63, 2 ** 64])
def test_versions_that_are_none(scene, version):
    scene.refused('VALIDATION_ERROR', version=version, operation=['x'])
    scene.assert_untouched()


@pytest.mark.parametrize('change_id', [7, '', 'x' * 129, 'ä' * 65, [], True])
def test_change_ids_that_are_none(scene, change_id):
    scene.refused('VALIDATION_ERROR', change_id=change_id, operation=['x'])
    scene.assert_untouched()


@pytest.mark.parametrize('document', ['', 'a b', 'ä', 'a\nb', 'x' * 256, 7, None, []])
def test_documents_that_are_none(scene, document):
    talker = Talker(scene.daemon)
    for type_ in ('document.open', 'document.change', 'document.close', 'sync.request', 'document.save', 'document.at'):
        error = talker.refused(('VALIDATION_ERROR', 'UNKNOWN_CHANNEL', 'NOT_SUBSCRIBED', 'PERMISSION_DENIED'), type_,
                               document_id=document, operation=['x'])
        if type_ == 'document.open':
            assert error['code'] != 'NOT_SUBSCRIBED', error
    scene.assert_untouched()


def test_a_document_that_is_not_open_here(scene, fresh):
    other = fresh('doc')
    for type_ in ('document.change', 'sync.request', 'document.save', 'document.versions', 'document.at', 'document.close'):
        scene.culprit.refused('NOT_SUBSCRIBED', type_, document_id=other, operation=['x'], version=0)
    stranger = Talker(scene.daemon)
    stranger.refused('NOT_SUBSCRIBED', 'document.change', document_id=scene.document, operation=['x'])
    scene.assert_untouched()
    assert figure(scene.daemon, 'choir_documents_open') >= 1


def test_cursors_that_are_none(scene):
    for payload in ({}, {'anchor': 1}, {'anchor': -1, 'head': 0}, {'anchor': 0.5, 'head': 0}, {'anchor': '1', 'head': '1'},
                    {'anchor': N + 1, 'head': 0}, {'anchor': 2 ** 64, 'head': 2 ** 64}, {'anchor': None, 'head': None}):
        for type_ in ('cursor.position', 'selection.change'):
            scene.culprit.send({'type': type_, 'payload': {'document_id': scene.document, **payload}})
    scene.culprit.heard()
    for message in scene.witness.heard():
        body = message['payload']
        assert 0 <= body['anchor'] <= N and 0 <= body['head'] <= N, message
    member, = [entry for entry in Talker(scene.daemon).open(scene.document)['members']
               if entry['session_id'] == scene.culprit.session_id]
    assert 0 <= (member.get('position') or 0) <= N, member


# Permission

def test_no_write_permission(scene):
    reader = Talker(scene.daemon, permissions=('document:*:read',))
    reader.open(scene.document)
    scene.witness.heard()
    reader.refused('PERMISSION_DENIED', 'document.change', document_id=scene.document, version=scene.version, operation=['x'])
    reader.refused('PERMISSION_DENIED', 'document.save', document_id=scene.document, label='mine')
    scene.assert_untouched()


# Conflicts

def conflict(scene, **payload):
    """The answer to a change that can't be transformed; checked against what there is."""
    scene.culprit.heard()
    payload = {'document_id': scene.document, 'change_id': 'late', 'operation': ['x'], **payload}
    answer = scene.culprit.get('document.change', 'conflict.detected', **payload)
    assert answer['document_id'] == scene.document and answer['change_id'] == 'late', answer
    assert answer['version'] == scene.version and isinstance(answer['reason'], str) and answer['reason'], answer
    assert answer.get('content', scene.text) == scene.text
    return answer


def test_a_version_to_come(scene):
    assert conflict(scene, version=scene.version + 1)['content'] == scene.text
    conflict(scene, version=2 ** 31)
    conflict(scene, version=2 ** 53 - 1)
    scene.assert_untouched()


def write_history(scene, n):
    """Operations that leave the text as it was at every second version."""
    for _ in range(n // 2):
        scene.witness.change(scene.document, ['.'])
        scene.version = scene.witness.change(scene.document, [{'d': 1}])


def test_a_version_before_the_horizon(scene):
    old = scene.version
    write_history(scene, 30)
    assert conflict(scene, version=old)['content'] == scene.text
    scene.culprit.refused('NOT_FOUND', 'document.at', document_id=scene.document, version=old)
    # what is remembered for other reasons may be told all the same
    answer = scene.culprit.get('sync.request', 'sync.response', document_id=scene.document, version=old)
    text = answer['content'] if 'content' in answer else replay(TEXT, answer['operations'])
    assert answer['version'] == scene.version and text == scene.text
    scene.assert_untouched()


def replay(text, changes):
    for change in changes:
        text = ot.apply(text, change['operation'])
    return text


def test_a_version_at_the_horizon(scene):
    write_history(scene, 60)
    assert scene.culprit.change(scene.document, [N, '!'], version=scene.version - 20) == scene.version + 1
    assert scene.witness.state(scene.document)[1] == TEXT + '!'


def test_after_a_conflict_one_starts_from_what_came_with_it(scene):
    answer = conflict(scene, version=scene.version + 7)
    assert scene.culprit.change(scene.document, [len(answer['content']), '!'], version=answer['version']) == scene.version + 1
    assert scene.witness.state(scene.document)[1] == TEXT + '!'


def test_the_text_does_not_come_with_every_conflict(scene):
    """At most once a second, or ten bytes would bring a megabyte, again and again."""
    answers = [conflict(scene, version=99) for _ in range(20)]
    assert 'content' in answers[0]
    assert sum('content' in answer for answer in answers) <= 10
    scene.assert_untouched()


# Sizes

def test_a_paste_of_5_mb(scene):
    scene.refused('MESSAGE_TOO_LARGE', operation=['ü' * 2500000])
    scene.assert_untouched()


def test_a_paste_of_5_mb_where_messages_are_small(start, fresh):
    """Then it is the connection's end: the size limit of messages comes first."""
    daemon = start(SETTINGS, config=CONFIG)
    scene = Scene(daemon, fresh('doc'))
    scene.culprit.send({'type': 'document.change', 'payload': {'document_id': scene.document, 'operation': ['x' * 5000000]}})
    assert scene.culprit.ws.recv_close().code == 1009
    assert scene.witness.wait_type('user.presence')['payload']['event'] == 'user_left'
    assert scene.witness.state(scene.document) == (scene.version, scene.text)


def test_an_operation_of_10000_parts(daemon, fresh):
    scene = Scene(daemon, fresh('doc'), 'x' * 10001)
    scene.refused('MESSAGE_TOO_LARGE', operation=[1, 'y'] * 5000)
    scene.refused('MESSAGE_TOO_LARGE', operations=[INSERT] * 10000)
    scene.assert_untouched()
    assert scene.culprit.change(scene.document, [1, 'y'] * 1000, version=scene.version) == scene.version + 2


@pytest.mark.parametrize('char', ['x', 'ä', '😀'])
def test_the_size_of_a_document(daemon, fresh, char):
    """Bytes count: 64 KiB here."""
    n = 65536 // len(char.encode())
    scene = Scene(daemon, fresh('doc'), char * (n - 1))
    scene.refused('MESSAGE_TOO_LARGE', operation=[char * 2])
    assert scene.culprit.change(scene.document, [char]) == scene.version + 1
    scene.culprit.refused('MESSAGE_TOO_LARGE', 'document.change', document_id=scene.document, operation=['x'])
    # where as much goes as comes it may stay that large
    assert scene.culprit.change(scene.document, [char, {'d': 1}]) == scene.version + 2
    assert scene.culprit.change(scene.document, [{'d': 1}]) == scene.version + 3
    assert scene.witness.state(scene.document) == (scene.version + 3, scene.text)


def test_a_change_behind_one_that_was_refused_is_refused_as_well(scene):
    """It stands on a text that will never be."""
    frames = []
    for i, operation in enumerate(([N + 1, 'x'], ['y'], ['z'])):
        frames.append(build_frame(TEXT_FRAME, json.dumps({'type': 'document.change', 'correlation_id': f'{i}', 'payload': {
            'document_id': scene.document, 'version': scene.version, 'change_id': f'c{i}', 'operation': operation}})))
    scene.culprit.ws.send_raw(b''.join(frames))
    answers = [scene.culprit.wait_for(lambda message: message.get('correlation_id') == f'{i}') for i in range(3)]
    scene.culprit.dialect.error(answers[0], 'VALIDATION_ERROR')
    assert [answer['type'] for answer in answers[1:]] == ['conflict.detected'] * 2, answers
    assert [answer['payload']['change_id'] for answer in answers[1:]] == ['c1', 'c2'], answers
    assert answers[1]['payload']['content'] == scene.text, answers
    scene.assert_untouched()
