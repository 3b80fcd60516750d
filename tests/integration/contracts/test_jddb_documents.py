# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Contract C, `jddb`: editing together. Authentication, rates and the like are in test_jddb.py."""

import datetime
import time
from itertools import count

import pytest

from choir_test import DIALECTS, Daemon, EventStream, RawWs, Timeout, sse_target
from choir_test.editor import converge, open_all, wait_all
from document_client import CONFIG, SETTINGS, editor, figure, wait_until
from library_client import closed_with, join

JDDB = DIALECTS['jddb']
WRITE = ('document:*:read', 'document:*:write')
MEMBER = {'userId', 'sessionId', 'userName', 'color', 'isActive', 'lastActivity', 'position', 'selection'}
TEXT = 'Zwei Bären 🐻🐻, ein Text\n'

_numbers = count(1)


@pytest.fixture(scope='module')
def shared_daemon():
    daemon = Daemon(SETTINGS, config=CONFIG).start()
    yield daemon
    daemon.stop()


@pytest.fixture
def document(fresh):
    return fresh('doc')


class Person:
    """A client of the contract, on a document's end point. What it was given first is in `state`."""

    def __init__(self, daemon, document, sub=None, permissions=WRITE, **claims):
        self.user_id = sub or f'person{next(_numbers)}'
        token = daemon.mint(self.user_id, permissions, **claims)
        self.client = join(daemon, 'jddb', token, f'/ws/document/{document}?token={token}', authenticate=False)
        opened = JDDB.envelope(self.client.wait_type('document.open'))
        assert opened['metadata']['userId'] == self.user_id, opened
        self.session_id = opened['metadata']['sessionId']
        self.state = opened['payload']

    def say(self, type_, payload=None, **metadata):
        self.client.send({'type': type_, 'payload': {} if payload is None else payload,
                          'metadata': {'timestamp': int(time.time() * 1000), **metadata}})

    def ask(self, type_, payload=None):
        """The answer, by its correlationId."""
        name = f'q{next(_numbers)}'
        self.say(type_, payload, correlationId=name)
        return JDDB.envelope(self.client.wait_for(
            lambda message: message.get('metadata', {}).get('correlationId') == name))

    def get(self, type_, payload=None, answer=None):
        message = self.ask(type_, payload)
        assert message['type'] == (answer or type_), message
        return message['payload']

    def insert(self, position, content, **more):
        return self.get('document.change', {'operation': 'insert', 'position': position, 'content': content, **more})

    def delete(self, position, length, **more):
        return self.get('document.change', {'operation': 'delete', 'position': position, 'length': length, **more})

    def sync(self, **payload):
        return self.get('sync.request', payload, 'sync.response')

    def wait(self, type_):
        return JDDB.envelope(self.client.wait_type(type_))['payload']

    def heard(self):
        """What has come by itself until now, and was not waited for."""
        n = len(self.client.seen)
        self.ask('ping')
        return self.client.seen[n:-1]

    def leave(self):
        self.client.close()


def members_of(state):
    return {member['userId']: member for member in state['members']}


# Coming and going

def test_whoever_opens_is_given_everything(daemon, document):
    ann = Person(daemon, document, name='Ann')
    assert ann.state['content'] == '' and ann.state['version'] == 0 and ann.state['documentId'] == document, ann.state
    ann.insert(0, TEXT)
    bob = Person(daemon, document, name='Bob')
    assert bob.state['content'] == TEXT and bob.state['version'] == 1, bob.state
    members = members_of(bob.state)
    assert set(members) == {ann.user_id, bob.user_id}
    for member in members.values():
        assert set(member) >= MEMBER - {'position', 'selection'}, member
        assert member['isActive'] is True and member['color'].startswith('#'), member
    assert members[ann.user_id]['userName'] == 'Ann' and members[ann.user_id]['sessionId'] == ann.session_id


def test_a_color_stays_with_its_user(daemon, document, fresh):
    ann = Person(daemon, document)
    color = members_of(ann.state)[ann.user_id]['color']
    ann.leave()
    assert members_of(Person(daemon, fresh('doc'), ann.user_id).state)[ann.user_id]['color'] == color


def test_joining_and_leaving_are_announced_once(daemon, document):
    ann = Person(daemon, document)
    bob = Person(daemon, document, name='Bob')
    joined = ann.wait('user.presence')
    assert joined['event'] == 'user_joined' and joined['userId'] == bob.user_id and joined['userName'] == 'Bob', joined
    assert joined['sessionId'] == bob.session_id and joined['color'] == members_of(bob.state)[bob.user_id]['color'], joined
    assert ann.heard() == [] and bob.heard() == []
    bob.leave()
    left = ann.wait('user.presence')
    assert left['event'] == 'user_left' and left['userId'] == bob.user_id and left['sessionId'] == bob.session_id, left
    assert ann.heard() == []


def test_who_is_here_can_be_asked(daemon, document):
    ann, bob = Person(daemon, document), Person(daemon, document)
    state = bob.get('user.presence')
    assert state['event'] == 'state' and set(members_of(state)) == {ann.user_id, bob.user_id}, state


def test_another_document_is_another_company(daemon, document, fresh):
    ann, eve = Person(daemon, document), Person(daemon, fresh('doc'))
    ann.insert(0, 'x')
    assert eve.heard() == [] and set(members_of(eve.state)) == {eve.user_id}


def test_closing_and_opening_again(daemon, document):
    ann, bob = Person(daemon, document), Person(daemon, document)
    ann.wait('user.presence')
    assert bob.get('document.close')['documentId'] == document
    assert ann.wait('user.presence')['event'] == 'user_left'
    ann.insert(0, 'abc')
    assert bob.heard() == []
    opened = bob.get('document.open')
    assert opened['content'] == 'abc' and opened['version'] == 1 and set(members_of(opened)) == {ann.user_id, bob.user_id}
    assert ann.wait('user.presence')['event'] == 'user_joined'


# Changes

def test_the_sender_gets_its_change_back_and_the_others_without_its_id(daemon, document):
    ann, bob = Person(daemon, document), Person(daemon, document)
    back = ann.insert(0, TEXT, changeId='c1', version=0)
    assert back['changeId'] == 'c1' and back['version'] == 1 and back['documentId'] == document, back
    assert (back['operation'], back['position'], back['content']) == ('insert', 0, TEXT), back
    assert back['userId'] == ann.user_id and back['sessionId'] == ann.session_id, back
    shown = bob.wait('document.change')
    assert 'changeId' not in shown and shown['version'] == 1, shown
    assert (shown['operation'], shown['position'], shown['content']) == ('insert', 0, TEXT), shown
    assert shown['userId'] == ann.user_id and shown['sessionId'] == ann.session_id, shown
    assert [message['type'] for message in ann.heard()] == []


def test_positions_count_characters(daemon, document):
    ann, bob = Person(daemon, document), Person(daemon, document)
    ann.insert(0, TEXT)
    ann.delete(11, 2)
    assert ann.insert(11, 'e\u0301🇩🇪')['version'] == 3
    assert bob.sync()['content'] == 'Zwei Bären e\u0301🇩🇪, ein Text\n'


def test_retain_changes_nothing(daemon, document):
    ann = Person(daemon, document)
    ann.insert(0, 'abc')
    ann.get('document.change', {'operation': 'retain', 'position': 0, 'length': 2})
    assert ann.sync()['content'] == 'abc'


def test_several_operations_in_one_change(daemon, document):
    ann, bob = Person(daemon, document), Person(daemon, document)
    ann.insert(0, 'abcdef')
    bob.wait('document.change')
    back = ann.get('document.change', {'changeId': 'many', 'operations': [
        {'operation': 'insert', 'position': 0, 'content': '12'}, {'operation': 'delete', 'position': 4, 'length': 2},
        {'operation': 'insert', 'position': 6, 'content': '!'}]})
    assert back['version'] == 2 and back['changeId'] == 'many', back
    shown = bob.wait('document.change')
    assert [step['operation'] for step in shown['operations']] == ['insert', 'delete', 'insert'], shown
    assert bob.sync()['content'] == '12abef!'


def test_concurrent_edits_are_transformed(daemon, document):
    ann, bob = Person(daemon, document), Person(daemon, document)
    ann.insert(0, 'one three')
    bob.wait('document.change')
    ann.insert(4, 'two ', version=1)
    bob.delete(4, 5, version=1)
    shown = ann.wait('document.change')
    assert (shown['operation'], shown['position'], shown['length'], shown['version']) == ('delete', 8, 5, 3), shown
    assert ann.sync() == bob.sync() and ann.sync()['content'] == 'one two '


def test_a_change_without_a_version_is_made_on_what_was_sent_last(daemon, document):
    ann, bob = Person(daemon, document), Person(daemon, document)
    ann.insert(0, 'ab')
    ann.insert(2, 'c')
    for _ in range(2):
        bob.wait('document.change')
    assert bob.insert(3, 'd')['version'] == 3
    assert ann.sync()['content'] == 'abcd'


def test_a_retried_change_is_acknowledged_and_not_applied(daemon, document):
    ann, bob = Person(daemon, document), Person(daemon, document)
    first = ann.insert(0, 'x', changeId='again', version=0)
    bob.wait('document.change')
    second = ann.insert(0, 'x', changeId='again', version=0)
    assert (second['changeId'], second['version']) == (first['changeId'], first['version']), second
    ann.leave()
    third = Person(daemon, document, ann.user_id).insert(0, 'x', changeId='again', version=1)
    assert third['version'] == 1, third
    assert [message['type'] for message in bob.heard() if message['type'] == 'document.change'] == []
    assert bob.sync()['content'] == 'x'


def test_save_and_versions(daemon, document):
    ann, bob = Person(daemon, document), Person(daemon, document)
    ann.insert(0, TEXT)
    saved = ann.get('document.save', {'label': 'draft'})
    assert saved['version'] == 1 and saved['label'] == 'draft' and saved['userId'] == ann.user_id, saved
    assert bob.wait('document.save')['label'] == 'draft'
    ann.delete(0, len(TEXT))
    versions = bob.get('document.versions')
    assert [(entry['version'], entry['label']) for entry in versions['versions']] == [(1, 'draft')], versions
    assert bob.get('document.at', {'version': 1})['content'] == TEXT


# Catching up

def test_what_was_missed(daemon, document):
    ann = Person(daemon, document)
    for i in range(4):
        ann.insert(i, f'{i}')
    missed = ann.sync(version=2)
    assert missed['version'] == 4 and 'content' not in missed, missed
    assert [(change['version'], change['operation'], change['position'], change['content'])
            for change in missed['operations']] == [(3, 'insert', 2, '2'), (4, 'insert', 3, '3')]
    assert ann.sync(version=4)['operations'] == []
    whole = ann.sync()
    assert whole['version'] == 4 and whole['content'] == '0123', whole


def test_what_was_missed_since_a_time(daemon, document):
    ann = Person(daemon, document)
    ann.insert(0, 'a')
    moment = datetime.datetime(2001, 1, 1, tzinfo=datetime.timezone.utc)
    for stamp in (int(moment.timestamp() * 1000), moment.isoformat()):
        missed = ann.sync(timestamp=stamp)
        assert missed['version'] == 1 and (missed.get('content') == 'a' or len(missed['operations']) == 1), missed


def test_coming_back(daemon, document):
    """Sync since the last version, the pending change again, the cursor where it was."""
    ann, bob = Person(daemon, document), Person(daemon, document)
    ann.insert(0, 'The end')
    bob.wait('document.change')
    bob.leave()
    ann.insert(4, 'happy ')
    again = Person(daemon, document, bob.user_id)
    missed = again.sync(version=1)
    assert [(change['position'], change['content']) for change in missed['operations']] == [(4, 'happy ')]
    # his 'very ', typed before 'end', is now behind 'happy '
    assert again.insert(10, 'very ', changeId='kept', version=2)['version'] == 3
    again.say('cursor.position', {'position': 15})
    assert ann.wait('cursor.position')['position'] == 15
    assert again.sync()['content'] == ann.sync()['content'] == 'The happy very end'


def test_system_reconnect_brings_what_was_missed(daemon, document):
    ann = Person(daemon, document)
    for i in range(3):
        ann.insert(i, f'{i}')
    back = Person(daemon, document)
    back.say('system.reconnect', {'documentId': document, 'lastVersion': 1, 'sessionId': 'gone'}, correlationId='back')
    answer = back.client.wait_for(lambda message: message.get('metadata', {}).get('correlationId') == 'back')
    assert answer['type'] in ('document.open', 'sync.response') and answer['payload']['version'] == 3, answer
    assert [change['content'] for change in answer['payload']['operations']] == ['1', '2'], answer


def test_a_restart_loses_nothing(start, tmp_path):
    daemon = start(SETTINGS, config=CONFIG, directory=tmp_path)
    ann = Person(daemon, 'kept')
    ann.insert(0, TEXT, changeId='first', version=0)
    ann.get('document.save', {'label': 'before'})
    ann.insert(0, '> ', changeId='second', version=1)
    ann.leave()
    daemon.stop()
    daemon = start(SETTINGS, config=CONFIG, directory=tmp_path)
    again = Person(daemon, 'kept', ann.user_id)
    assert again.state['content'] == '> ' + TEXT and again.state['version'] == 2, again.state
    assert [entry['label'] for entry in again.get('document.versions')['versions'] if 'label' in entry] == ['before']
    assert again.get('document.at', {'version': 1})['content'] == TEXT
    assert again.insert(0, '> ', changeId='second', version=1)['version'] == 2
    assert again.insert(0, 'x', changeId='third', version=2)['version'] == 3
    assert [change['version'] for change in again.sync(version=0)['operations']] == [1, 2, 3]


# Cursors

def test_cursors_and_selections_are_shown(daemon, document):
    ann, bob = Person(daemon, document), Person(daemon, document)
    ann.insert(0, '0123456789')
    bob.wait('document.change')
    bob.say('cursor.position', {'position': 7})
    shown = ann.wait('cursor.position')
    assert shown['position'] == 7 and shown['userId'] == bob.user_id and shown['sessionId'] == bob.session_id, shown
    bob.say('selection.change', {'selection': {'start': 2, 'end': 9}})
    shown = ann.wait('selection.change')
    assert shown['selection'] == {'start': 2, 'end': 9} and shown['userId'] == bob.user_id, shown
    assert [message['type'] for message in bob.heard()] == []


def test_cursors_are_moved_by_changes(daemon, document):
    ann, bob = Person(daemon, document), Person(daemon, document)
    ann.insert(0, '0123456789')
    bob.wait('document.change')
    bob.say('selection.change', {'selection': {'start': 2, 'end': 9}})
    ann.wait('selection.change')
    ann.insert(0, '>> ')
    ann.delete(4, 4)
    member = members_of(Person(daemon, document).state)[bob.user_id]
    assert member['selection'] == {'start': 4, 'end': 8} or (
        member['selection']['anchor'], member['selection']['head']) == (4, 8), member


# When something is wrong

def refused(person, code, type_, payload):
    message = person.ask(type_, payload)
    assert message['type'] == 'system.error', message
    assert JDDB.error(message)['code'] == code, message


def test_a_reader_may_look_and_nothing_else(daemon, document):
    ann = Person(daemon, document)
    ann.insert(0, 'text')
    eve = Person(daemon, document, permissions=(f'document:{document}:read',))
    assert eve.state['content'] == 'text'
    refused(eve, 'PERMISSION_DENIED', 'document.change', {'operation': 'insert', 'position': 0, 'content': 'x'})
    refused(eve, 'PERMISSION_DENIED', 'document.save', {})
    ann.wait('user.presence')
    assert ann.heard() == [] and ann.sync()['version'] == 1


def test_another_document_can_not_be_changed_from_here(daemon, document, fresh):
    other = fresh('doc')
    ann, bob = Person(daemon, document), Person(daemon, other)
    refused(ann, 'NOT_SUBSCRIBED', 'document.change',
            {'documentId': other, 'operation': 'insert', 'position': 0, 'content': 'x'})
    assert bob.heard() == [] and bob.sync()['version'] == ann.sync()['version'] == 0


def assert_conflict(message, content, version, change_id):
    assert message['type'] == 'conflict.detected', message
    payload = message['payload']
    assert payload['changeId'] == change_id and payload['version'] == version, payload
    assert payload['content'] == content and payload['reason'], payload


def test_a_version_to_come_is_a_conflict(daemon, document):
    ann, bob = Person(daemon, document), Person(daemon, document)
    ann.insert(0, TEXT)
    bob.wait('document.change')
    answer = ann.ask('document.change', {'operation': 'insert', 'position': 0, 'content': 'x', 'version': 2, 'changeId': 'early'})
    assert_conflict(answer, TEXT, 1, 'early')
    assert bob.heard() == []
    assert ann.insert(0, 'x', version=answer['payload']['version'])['version'] == 2


def test_a_version_before_the_horizon_is_a_conflict(start):
    daemon = start({**SETTINGS, 'document.horizon': '5', 'document.snapshot-every': '2'}, config=CONFIG)
    ann, bob = Person(daemon, 'short'), Person(daemon, 'short')
    for i in range(12):
        ann.insert(i, f'{i % 10}')
        bob.wait('document.change')
    answer = bob.ask('document.change', {'operation': 'insert', 'position': 0, 'content': 'x', 'version': 1, 'changeId': 'late'})
    assert_conflict(answer, '012345678901', 12, 'late')
    assert bob.insert(0, 'x', version=7)['version'] == 13
    assert bob.sync()['content'] == 'x012345678901'


@pytest.mark.parametrize('change', [
    {'operation': 'insert', 'position': 999, 'content': 'x'}, {'operation': 'insert', 'position': -1, 'content': 'x'},
    {'operation': 'delete', 'position': 0, 'length': 999}, {'operation': 'replace', 'position': 0, 'content': 'x'},
    {'operation': 'insert', 'position': 0}, {'operations': [{'operation': 'delete', 'position': 0}]}, {},
])
def test_a_malformed_change_changes_nothing(daemon, document, change):
    ann, bob = Person(daemon, document), Person(daemon, document)
    ann.insert(0, TEXT)
    bob.wait('document.change')
    answer = ann.ask('document.change', {**change, 'changeId': 'bad', 'version': 1})
    assert_conflict(answer, TEXT, 1, 'bad')
    assert bob.heard() == [] and bob.sync()['content'] == TEXT
    assert ann.insert(0, 'x')['version'] == 2


def test_no_permission_no_document(daemon, document):
    token = daemon.mint('eve', ('document:another:read',))
    assert closed_with(daemon, f'/ws/document/{document}?token={token}') == (1008, 'Unauthorized')


def test_changes_that_come_too_fast(start):
    """They are refused in the contract's own words, and not applied."""
    daemon = start({**SETTINGS, 'rate.document': '5/1s'}, config=CONFIG)
    ann = Person(daemon, 'fast')
    refusal = {'type': 'error', 'error': 'Rate limit exceeded'}
    for i in range(8):
        ann.say('document.change', {'operation': 'insert', 'position': 0, 'content': 'x', 'changeId': f'{i}'})
    answers = [ann.client.recv() for _ in range(8)]
    assert 2 <= answers.count(refusal) <= 3, answers
    with pytest.raises(Timeout):
        ann.client.recv(1.1)
    assert len(ann.sync()['content']) == 8 - answers.count(refusal)
    ann.insert(0, 'x')


def test_whoever_is_idle_turns_inactive(start):
    daemon = start({**SETTINGS, 'document.idle-after': '1s'}, config=CONFIG)
    ann, bob = Person(daemon, 'quiet'), Person(daemon, 'quiet')
    assert ann.wait('user.presence')['event'] == 'user_joined'
    told = ann.wait('user.presence')
    while ann.user_id not in members_of(told):
        told = ann.wait('user.presence')
    assert told['event'] == 'state' and members_of(told)[ann.user_id]['isActive'] is False, told
    ann.insert(0, 'x')
    members = members_of(bob.get('user.presence'))
    assert members[ann.user_id]['isActive'] is True, members


def test_told_before_the_service_stops(start):
    daemon = start(SETTINGS, config=CONFIG)
    ann = Person(daemon, 'last')
    ann.insert(0, 'x')
    daemon.signal(15)
    told = ann.wait('system.reconnect')
    assert isinstance(told['afterMs'], int), told
    assert ann.client.ws.recv_close(skip_data=True).code == 1012
    assert daemon.wait_exit() == 0


# Together

def test_two_edit_at_once_lose_their_connections_come_back_and_converge(start, document):
    """The contract's collaboration: typing at the same time, one cut off while both type on, the cursor where it was, a warning
    before the service stops, and nothing lost by then."""
    daemon = start({**SETTINGS, 'server.drain-timeout': '20s'}, config=CONFIG)
    ann, bob = open_all([editor(daemon, document, name, 'jddb') for name in ('ann', 'bob')], daemon.address)
    ann.insert(0, TEXT)
    converge([ann, bob])
    # at once, and in the same place
    for i in range(20):
        ann.insert(4, f'a{i} ')
        bob.insert(4, f'b{i} ')
    bob.delete(0, len('Zwei'))
    text = converge([ann, bob])
    assert all(f'{name}{i} ' in text for name in 'ab' for i in range(20))

    # one is cut off with changes on the way, and types on
    bob.insert(0, 'on the way ')
    bob.drop()
    bob.insert(0, 'without a connection ')
    for i in range(20):
        ann.insert(len(ann.text), f' and {i}')
    wait_all([ann], lambda: ann.is_settled)
    bob.connect(daemon.address)
    text = converge([ann, bob])
    assert text.startswith('without a connection on the way ') and text.endswith(' and 19')
    assert ann.version == len(ann.acknowledged) + len(bob.acknowledged)

    watcher = Person(daemon, document)
    assert watcher.state['content'] == text and watcher.state['version'] == ann.version
    bob.send('cursor.position', {'position': 7})
    assert watcher.wait('cursor.position')['position'] == 7

    # the end of the service: told first, then closed; what was typed by then is there
    ann.insert(0, 'the last word ')
    converge([ann, bob])
    daemon.signal(15)
    wait_all([ann, bob], lambda: ann.closed is not None and bob.closed is not None)
    for one in (ann, bob):
        assert one.closed.code == 1012 and 'system.reconnect' in [message['type'] for message in one.events]
    assert daemon.wait_exit() == 0
    daemon.start()
    assert Person(daemon, document).state['content'] == 'the last word ' + text


def test_long_messages_are_compressed(daemon, document, fresh):
    token = daemon.mint(fresh('person'), WRITE)
    ws = RawWs.open(daemon.address, f'/ws/document/{document}?token={token}', extensions='permessage-deflate')
    assert ws.extension is not None and ws.recv_json()['type'] == 'document.open' and not ws.was_compressed
    ann = Person(daemon, document)
    assert ws.recv_json()['type'] == 'user.presence'
    ann.insert(0, 'short')
    assert ws.recv_json()['payload']['content'] == 'short' and not ws.was_compressed
    ann.insert(0, 'long ' * 1000)
    assert ws.recv_json()['payload']['content'] == 'long ' * 1000 and ws.was_compressed


def test_where_no_websocket_comes_about(daemon, document, fresh):
    """The same document over an event stream, beside those that have a WebSocket."""
    ann, token = Person(daemon, document), daemon.mint(fresh('person'), WRITE)
    stream = EventStream(daemon, sse_target(token, f'/sse/document/{document}'))
    assert JDDB.envelope(stream.wait('document.open'))['payload']['content'] == ''
    stream.say({'type': 'document.change', 'payload': {'operation': 'insert', 'position': 0, 'content': 'polled'}}, token, 202)
    assert ann.wait('document.change')['content'] == 'polled'
    ann.insert(6, ' and pushed')
    changes = [JDDB.envelope(stream.wait('document.change'))['payload'] for _ in range(2)]
    assert [change['content'] for change in changes] == ['polled', ' and pushed']


def test_metrics_of_the_contract(start):
    daemon = start(SETTINGS, config=CONFIG)
    ann, bob = Person(daemon, 'counted'), Person(daemon, 'counted')
    for i in range(5):
        ann.insert(0, 'x')
        bob.wait('document.change')
    assert closed_with(daemon, '/ws/document/counted?token=x').code == 1008
    bob.leave()
    wait_until(lambda: figure(daemon, 'websocket_active_connections') == 1, 'leaving')
    wanted = {
        'websocket_connections_total{status="accepted"}': 2,
        'websocket_connections_total{status="rejected"}': 1,
        'websocket_connections_total{status="closed"}': 1,
        'websocket_messages_total{type="document.change",direction="in"}': 5,
        'websocket_message_size_bytes_count{type="document.change"}': 5,
        'websocket_message_latency_seconds_count{type="document.change"}': 5,
        'choir_document_changes_total{status="committed"}': 5,
    }
    assert {name: figure(daemon, name) for name in wanted} == wanted
    assert figure(daemon, 'websocket_messages_total{type="document.change",direction="out"}') >= 5
