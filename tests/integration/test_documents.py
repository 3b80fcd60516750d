# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Documents in the canonical protocol: each row of the table in docs/protocol.md "Documents" and what is said below it."""

import datetime

import pytest

from choir_test import Daemon, RawWs
from choir_test import text_unicode as ot
from document_client import CONFIG, SETTINGS, Talker, fill, figure, get_document, wait_until
from library_client import knock

MEMBER = {'user_id', 'session_id', 'user_name', 'color', 'is_active', 'last_activity', 'position', 'selection'}
COLD = 'Ein Bär 🐻 sagt: \u201eGrüß Gott\u201c\n漢字\n'


@pytest.fixture(scope='module')
def shared_daemon():
    daemon = Daemon(SETTINGS, config=CONFIG).start()
    yield daemon
    daemon.stop()


@pytest.fixture
def document(fresh):
    return fresh('doc')


def by_user(members):
    return {member['user_id']: member for member in members}


# Opening and closing

def test_a_document_that_never_was_is_empty(daemon, document):
    ann = Talker(daemon, name='Ann')
    opened = ann.open(document)
    assert opened['document_id'] == document and opened['version'] == 0 and opened['content'] == '', opened
    assert isinstance(opened['epoch'], str), opened
    member, = opened['members']
    assert set(member) >= MEMBER - {'position', 'selection'}, member
    assert member['user_id'] == ann.user_id and member['session_id'] == ann.session_id, member
    assert member['user_name'] == 'Ann' and member['is_active'] is True and member['color'].startswith('#'), member


def test_who_is_there(daemon, document):
    ann, bob = Talker(daemon), Talker(daemon, name='Bob')
    ann.open(document)
    members = by_user(bob.open(document)['members'])
    assert set(members) == {ann.user_id, bob.user_id}
    joined, = ann.heard()
    assert joined['type'] == 'user.presence' and joined['payload']['event'] == 'user_joined', joined
    assert joined['payload']['document_id'] == document, joined
    assert joined['payload']['user_id'] == bob.user_id and joined['payload']['session_id'] == bob.session_id, joined
    assert joined['payload']['color'] == members[bob.user_id]['color'] and joined['payload']['user_name'] == 'Bob', joined
    assert bob.heard() == []

    assert bob.get('document.close', 'document.closed', document_id=document) == {'document_id': document}
    left, = ann.heard()
    assert left['type'] == 'user.presence' and left['payload']['event'] == 'user_left', left
    assert left['payload']['document_id'] == document and left['payload']['session_id'] == bob.session_id, left
    ann.change(document, ['x'])
    assert bob.heard() == []
    assert set(by_user(bob.open(document)['members'])) == {ann.user_id, bob.user_id}


def test_a_connection_that_ends_has_left(start, document):
    """At once if its client said goodbye, else when nobody waits for it any longer."""
    daemon = start({**SETTINGS, 'session.resume-window': '1s'})
    ann, bob, carol = Talker(daemon), Talker(daemon), Talker(daemon)
    carol.open(document)
    ann.open(document)
    bob.open(document)
    assert ann.wait_type('user.presence')['payload']['event'] == 'user_joined'
    bob.ws.abort()
    left = ann.wait_type('user.presence')['payload']
    assert left['event'] == 'user_left' and left['session_id'] == bob.session_id, left
    carol.ws.send_close(1000)
    left = ann.wait_type('user.presence')['payload']
    assert left['event'] == 'user_left' and left['session_id'] == carol.session_id, left


def test_each_session_is_announced_once(daemon, document, user):
    witness = Talker(daemon)
    witness.open(document)
    one, two = Talker(daemon, user), Talker(daemon, user)
    one.open(document)
    one.open(document)
    two.open(document)
    assert len(two.open(document)['members']) == 3
    events = [(message['payload']['event'], message['payload']['session_id']) for message in witness.heard('user.presence')]
    assert events == [('user_joined', one.session_id), ('user_joined', two.session_id)]
    two.get('document.close', 'document.closed', document_id=document)
    events = [(message['payload']['event'], message['payload']['session_id']) for message in witness.heard('user.presence')]
    assert events == [('user_left', two.session_id)]


def test_opening_with_a_version_brings_what_was_missed(daemon, document):
    ann, bob = Talker(daemon), Talker(daemon)
    epoch = ann.open(document)['epoch']
    ann.change(document, ['abc'])
    epoch = ann.open(document)['epoch'] or epoch
    ann.change(document, [1, 'X'])
    ann.change(document, [{'d': 2}])
    opened = bob.open(document, version=1, epoch=epoch)
    assert opened['version'] == 3 and 'content' not in opened and opened['epoch'] == epoch, opened
    assert [(change['version'], change['operation']) for change in opened['operations']] == [
        (2, [1, 'X']), (3, [{'d': 2}])]
    assert {change['session_id'] for change in opened['operations']} == {ann.session_id}
    assert {change['user_id'] for change in opened['operations']} == {ann.user_id}
    assert set(by_user(opened['members'])) == {ann.user_id, bob.user_id}
    opened = Talker(daemon).open(document, version=3, epoch=epoch)
    assert opened['version'] == 3 and opened['operations'] == [] and 'content' not in opened, opened


@pytest.mark.parametrize('version,epoch', [(1, 'another'), (1, None), (99, ''), (0, 'f' * 16)])
def test_a_version_of_another_life_brings_the_text(daemon, document, version, epoch):
    ann = Talker(daemon)
    ann.open(document)
    ann.change(document, ['abc'])
    ann.change(document, [3, 'd'])
    known = {'version': version} if epoch is None else {'version': version, 'epoch': epoch}
    opened = Talker(daemon).open(document, **known)
    assert opened['version'] == 2 and opened['content'] == 'abcd' and 'operations' not in opened, opened


def test_a_version_to_come_brings_the_text(daemon, document):
    ann = Talker(daemon)
    ann.open(document)
    ann.change(document, ['abc'])
    epoch = ann.open(document)['epoch']
    opened = Talker(daemon).open(document, version=2, epoch=epoch)
    assert opened['version'] == 1 and opened['content'] == 'abc', opened


# Changes

def test_a_change_is_acknowledged_and_shown_to_the_others(daemon, document):
    ann, bob = Talker(daemon), Talker(daemon)
    ann.open(document)
    ann.change(document, ['> '])
    bob.open(document)
    ann.heard()
    ack = ann.get('document.change', 'document.ack', document_id=document, version=1, change_id='c-1', operation=[2, COLD])
    assert ack == {'document_id': document, 'change_id': 'c-1', 'version': 2}
    shown, = bob.heard()
    bob.dialect.envelope(shown)
    assert shown['type'] == 'document.change' and shown['channel'] == f'document:{document}' and shown['offset'] == 2, shown
    assert shown['payload'] == {'document_id': document, 'version': 2, 'operation': [2, COLD], 'user_id': ann.user_id,
                                'session_id': ann.session_id}
    assert ann.heard() == []
    assert ann.state(document) == bob.state(document) == (2, '> ' + COLD)
    assert get_document(daemon, document) == (2, '> ' + COLD)


def test_with_its_first_change_a_document_gets_its_epoch(daemon, document):
    """Whoever was there before needs it to come back."""
    ann, bob = Talker(daemon), Talker(daemon)
    assert ann.open(document)['epoch'] == bob.open(document)['epoch'] == ''
    epoch = ann.get('document.change', 'document.ack', document_id=document, operation=['x'])['epoch']
    assert bob.heard('document.change')[0]['payload']['epoch'] == epoch != ''
    ack = ann.get('document.change', 'document.ack', document_id=document, operation=['y'])
    assert 'epoch' not in ack and 'epoch' not in bob.heard('document.change')[0]['payload']
    assert [change['version'] for change in Talker(daemon).open(document, version=1, epoch=epoch)['operations']] == [2]
    # one who was cut off before the first change
    opened = Talker(daemon).open(document, version=0, epoch='')
    assert opened['epoch'] == epoch and [change['operation'] for change in opened['operations']] == [['x'], ['y']], opened


def test_what_became_of_own_changes_is_told_to_one_who_comes_back(daemon, document, user):
    ann, bob = Talker(daemon, user), Talker(daemon)
    ann.open(document)
    ann.change(document, ['a'], change_id='mine')
    bob.open(document)
    bob.change(document, ['b'], change_id='his')
    epoch = bob.open(document)['epoch']
    operations = Talker(daemon, user).open(document, version=0, epoch='')['operations']
    assert [change.get('change_id') for change in operations] == ['mine', None], operations
    assert Talker(daemon, user).open(document, version=2, epoch=epoch)['operations'] == []


def test_without_a_change_id(daemon, document):
    ann = Talker(daemon)
    ann.open(document)
    ack = ann.get('document.change', 'document.ack', document_id=document, version=0, operation=['x'])
    assert ack['version'] == 1 and ack.get('change_id') is None, ack
    assert ann.change(document, ['x'], version=0) == 2


def test_concurrent_changes_are_transformed(daemon, document):
    ann, bob = Talker(daemon), Talker(daemon)
    ann.open(document)
    bob.open(document)
    ann.change(document, ['one two'])
    bob.heard()
    assert ann.change(document, [3, ' and a half'], version=1) == 2
    # made on 'one two': what comes later stands first where both insert
    assert bob.change(document, [3, '!', {'d': 1}], version=1) == 3
    assert ann.state(document) == (3, 'one! and a halftwo')
    shown = ann.heard('document.change')
    assert [message['payload']['operation'] for message in shown] == [[3, '!', 11, {'d': 1}]]


def test_of_two_inserts_at_one_place_the_later_stands_first(daemon, document):
    ann, bob = Talker(daemon), Talker(daemon)
    ann.open(document)
    bob.open(document)
    ann.change(document, ['A'], version=0)
    bob.change(document, ['B'], version=0)
    assert ann.state(document) == (2, 'BA')


def test_a_change_without_a_version_is_made_on_what_was_sent_last(daemon, document):
    ann, bob = Talker(daemon), Talker(daemon)
    ann.open(document)
    bob.open(document)
    ann.change(document, ['abc'])
    ann.change(document, [3, 'd'])
    bob.heard()
    assert bob.change(document, [4, 'e']) == 3
    assert ann.state(document) == (3, 'abcde')


def test_pipelined_changes_stand_on_one_another(daemon, document):
    """Sent without waiting, all with the version that was known before the first."""
    ann, bob = Talker(daemon), Talker(daemon)
    ann.open(document)
    bob.open(document)
    ann.change(document, ['.'])
    bob.heard()
    for i, char in enumerate('Grüße 😀'):
        ann.send({'type': 'document.change', 'payload': {
            'document_id': document, 'version': 1, 'change_id': f'{i}', 'operation': ot.insertion(i, char)}})
        # in between
        bob.change(document, [{'d': 1}, 'o'] if i == 0 else [f'{i}'], version=1 if i == 0 else None)
    acks = [ann.wait_type('document.ack')['payload'] for _ in range(7)]
    assert [ack['change_id'] for ack in acks] == [f'{i}' for i in range(7)]
    version, content = bob.state(document)
    assert version == 15 and [char for char in content if char not in '123456'] == list('Grüße 😀o'), content


@pytest.mark.parametrize('change,text', [
    ({'operation': 'insert', 'position': 5, 'content': '👍🏽'}, '0123😀👍🏽5678'),
    ({'operation': 'delete', 'position': 4, 'length': 2}, '0123678'),
    ({'operation': 'retain', 'position': 4}, '0123😀5678'),
    ({'operations': [{'operation': 'insert', 'position': 0, 'content': '漢'}, {'operation': 'delete', 'position': 5, 'length': 1},
                     {'operation': 'insert', 'position': 5, 'content': '字'}]}, '漢0123字5678'),
])
def test_the_positional_form(daemon, document, change, text):
    ann, bob = Talker(daemon), Talker(daemon)
    ann.open(document)
    bob.open(document)
    ann.change(document, ['0123😀5678'])
    assert ann.get('document.change', 'document.ack', document_id=document, **change)['version'] == 2
    assert ann.state(document) == (2, text)
    operation = bob.heard('document.change')[-1]['payload']['operation']
    assert ot.apply('0123😀5678', ot.check(operation)) == text


def test_a_change_id_is_applied_once(daemon, document, user):
    ann, witness = Talker(daemon, user), Talker(daemon)
    ann.open(document)
    witness.open(document)
    ann.change(document, ['a'], change_id='first', version=0)
    ann.change(document, ['b'], change_id='second', version=0)
    witness.heard()
    assert ann.change(document, ['a'], change_id='first', version=0) == 1
    again = Talker(daemon, user)
    again.open(document)
    assert again.change(document, ['whatever'], change_id='second', version=0) == 2
    assert witness.heard('document.change') == []
    # two changes in one go
    for _ in range(2):
        again.send({'type': 'document.change', 'payload': {
            'document_id': document, 'version': 2, 'change_id': 'third', 'operation': ['c']}})
    assert [again.wait_type('document.ack')['payload']['version'] for _ in range(2)] == [3, 3]
    # of somebody else it is another
    assert witness.change(document, ['d'], change_id='first') == 4
    assert again.state(document)[0] == 4


def test_changes_sent_again_stand_on_one_another_as_before(daemon, document, user):
    """The connection broke, and what was sent over it gets through after all, when the next one is already open."""
    before, after = Talker(daemon, user), Talker(daemon, user)
    before.open(document)
    before.change(document, ['zz'])
    after.open(document)
    assert before.change(document, ['ab'], change_id='p1', version=1) == 2
    for change_id, operation in (('p1', ['ab']), ('p2', [1, 'X']), ('p3', [3, 'Y'])):
        after.send({'type': 'document.change', 'payload': {
            'document_id': document, 'version': 1, 'change_id': change_id, 'operation': operation}})
    assert [after.wait_type('document.ack')['payload']['version'] for _ in range(3)] == [2, 3, 4]
    assert before.state(document) == (4, 'aXbYzz')


def test_a_client_id_tells_senders_of_one_user_apart(daemon, document, user):
    one, two, one_again = [Talker(daemon, user, target=f'/ws?dialect=choir&client_id={name}') for name in 'aba']
    for talker in (one, two, one_again):
        talker.open(document)
    assert one.change(document, ['x'], change_id='c') == 1
    assert two.change(document, ['y'], change_id='c') == 2
    assert one_again.change(document, ['z'], change_id='c') == 1
    assert one.state(document)[0] == 2


def test_permission_to_read(daemon, document):
    ann, eve = Talker(daemon), Talker(daemon, permissions=(f'document:{document}:read',))
    ann.open(document)
    ann.change(document, ['text'])
    assert eve.open(document)['content'] == 'text'
    eve.refused('PERMISSION_DENIED', 'document.change', document_id=document, operation=['x'])
    eve.refused('PERMISSION_DENIED', 'document.save', document_id=document)
    assert eve.at(document, 1) == 'text'
    ann.change(document, [4, '!'])
    assert eve.heard('document.change')[-1]['payload']['operation'] == [4, '!']
    assert eve.state(document) == (2, 'text!')


def test_no_permission(daemon, document):
    eve = Talker(daemon, permissions=('document:another:*',))
    eve.refused('PERMISSION_DENIED', 'document.open', document_id=document)
    eve.refused(('NOT_SUBSCRIBED', 'PERMISSION_DENIED'), 'sync.request', document_id=document)
    assert eve.open('another')


def test_it_is_not_a_channel_to_be_subscribed(daemon, document):
    ann = Talker(daemon)
    ann.open(document)
    answer = Talker(daemon).get('subscribe', 'subscription.confirmed', channels=[f'document:{document}'])
    assert [entry['channel'] for entry in answer['rejected']] == [f'document:{document}'], answer
    answer = ann.ask('publish', channel=f'document:{document}', type='note', payload={})
    assert answer['type'] == 'error', answer
    assert ann.state(document) == (0, '')


# What was

def test_sync_by_version(daemon, document):
    ann = Talker(daemon)
    ann.open(document)
    for i in range(4):
        ann.change(document, [f'{i}'])
    answer = ann.get('sync.request', 'sync.response', document_id=document, version=2)
    assert answer['version'] == 4 and 'content' not in answer, answer
    assert [(change['version'], change['operation']) for change in answer['operations']] == [(3, ['2']), (4, ['3'])]
    answer = ann.get('sync.request', 'sync.response', document_id=document, version=4)
    assert answer['version'] == 4 and answer['operations'] == [], answer
    assert ann.get('sync.request', 'sync.response', document_id=document)['content'] == '3210'


def test_sync_by_time(daemon, document):
    """All that was committed since, at least."""
    ann, bob = Talker(daemon), Talker(daemon)
    ann.open(document)
    bob.open(document)
    ann.change(document, ['a'])
    stamp = bob.heard('document.change')[0]['timestamp']
    ann.change(document, ['b'])
    answer = ann.get('sync.request', 'sync.response', document_id=document, timestamp=stamp)
    assert answer['version'] == 2, answer
    if 'content' in answer:
        assert answer['content'] == 'ba'
    else:
        assert [change['operation'] for change in answer['operations']][-1:] == [['b']], answer
    answer = ann.get('sync.request', 'sync.response', document_id=document, timestamp='2000-01-01T00:00:00Z')
    assert answer.get('content') == 'ba' or [change['version'] for change in answer['operations']] == [1, 2], answer


def test_saved_versions(daemon, document):
    ann, bob = Talker(daemon), Talker(daemon)
    ann.open(document)
    bob.open(document)
    ann.change(document, [COLD])
    bob.heard()
    saved = ann.get('document.save', 'document.saved', document_id=document, label='first draft')
    assert saved['version'] == 1 and saved['label'] == 'first draft' and saved['user_id'] == ann.user_id, saved
    told, = bob.heard()
    assert told['type'] == 'document.saved' and told['payload'] == saved, told
    ann.change(document, [{'d': 3}])
    listed = bob.get('document.versions', 'document.versions', document_id=document)
    assert listed['complete'] is True, listed
    version, = [entry for entry in listed['versions'] if entry['label'] == 'first draft']
    assert version == {'version': 1, 'label': 'first draft', 'user_id': ann.user_id, 'timestamp': saved['timestamp'],
                       'size': len(COLD.encode())}
    assert bob.at(document, 1) == COLD and bob.at(document, 2) == COLD[3:] and bob.at(document, 0) == ''
    error = ann.dialect.error(ann.ask('document.save', document_id=document), 'RATE_LIMIT_EXCEEDED')
    assert error['recoverable'] is True


def test_a_version_without_a_name_is_called_by_its_time(daemon, document):
    ann = Talker(daemon)
    ann.open(document)
    ann.change(document, ['x'])
    saved = ann.get('document.save', 'document.saved', document_id=document)
    moment = datetime.datetime.fromisoformat(saved['label'].replace('Z', '+00:00'))
    assert abs(moment.timestamp() - datetime.datetime.now().timestamp()) < 60, saved


def test_versions_in_pages(daemon, document):
    ann = Talker(daemon)
    ann.open(document)
    for i in range(3):
        ann.change(document, [f'{i}'])
        wait_until(lambda: ann.ask('document.save', document_id=document, label=f'v{i}')['type'] == 'document.saved', 'saving')
    newest = ann.get('document.versions', 'document.versions', document_id=document, limit=2)
    assert [entry['label'] for entry in newest['versions']] == ['v2', 'v1'] and newest['complete'] is False, newest
    rest = ann.get('document.versions', 'document.versions', document_id=document, limit=2,
                   before=newest['versions'][-1]['version'])
    assert [entry['label'] for entry in rest['versions']] == ['v0'] and rest['complete'] is True, rest


@pytest.mark.parametrize('version', [2, 2 ** 53, -1, 1.5, '1', None])
def test_there_is_no_such_version(daemon, document, version):
    ann = Talker(daemon)
    ann.open(document)
    ann.change(document, ['x'])
    ann.refused(('NOT_FOUND', 'VALIDATION_ERROR'), 'document.at', document_id=document, version=version)


# Cursors

def test_a_cursor_is_shown_and_moved(daemon, document):
    ann, bob = Talker(daemon), Talker(daemon)
    ann.open(document)
    bob.open(document)
    ann.change(document, ['0123456789'])
    bob.heard()
    ann.send({'type': 'cursor.position', 'payload': {'document_id': document, 'anchor': 4, 'head': 4, 'version': 1}})
    shown = bob.wait_type('cursor.position')['payload']
    assert shown == {'document_id': document, 'user_id': ann.user_id, 'session_id': ann.session_id, 'anchor': 4, 'head': 4,
                     'version': 1}
    bob.send({'type': 'selection.change', 'payload': {'document_id': document, 'anchor': 8, 'head': 2}})
    shown = ann.wait_type('selection.change')['payload']
    assert (shown['anchor'], shown['head'], shown['session_id']) == (8, 2, bob.session_id), shown
    # neither hears itself
    assert [message['payload']['session_id'] for message in ann.seen + bob.seen
            if message['type'] in ('cursor.position', 'selection.change')] == [bob.session_id, ann.session_id]

    bob.change(document, ['ab', 3, {'d': 3}])
    members = by_user(Talker(daemon).open(document)['members'])
    assert members[ann.user_id]['selection'] == {'anchor': 5, 'head': 5}, members
    assert members[ann.user_id]['position'] == 5
    assert members[bob.user_id]['selection'] == {'anchor': 7, 'head': 4}, members


def test_a_cursor_on_an_older_version_is_brought_up_to_date(daemon, document):
    ann, bob = Talker(daemon), Talker(daemon)
    ann.open(document)
    bob.open(document)
    ann.change(document, ['0123456789'])
    ann.change(document, ['>> '])
    bob.heard()
    bob.send({'type': 'cursor.position', 'payload': {'document_id': document, 'anchor': 5, 'head': 5, 'version': 1}})
    shown = ann.wait_type('cursor.position')['payload']
    assert (shown['anchor'], shown['version']) in ((5, 1), (8, 2)), shown
    assert by_user(Talker(daemon).open(document)['members'])[bob.user_id]['position'] == 8


def test_of_many_cursors_the_newest_wins(start, document):
    daemon = start({**SETTINGS, 'rate.cursor': '20/1s'}, config=CONFIG)
    ann, bob = Talker(daemon), Talker(daemon)
    ann.open(document)
    bob.open(document)
    ann.change(document, ['x' * 500])
    for i in range(1, 301):
        ann.send({'type': 'cursor.position', 'payload': {'document_id': document, 'anchor': i, 'head': i}})
    shown = []
    while not shown or shown[-1] != 300:
        shown.append(bob.wait_type('cursor.position')['payload']['head'])
    assert shown == sorted(shown) and len(shown) <= 100, shown
    assert by_user(Talker(daemon).open(document)['members'])[ann.user_id]['position'] == 300


# Several at once

def test_two_documents_at_once(daemon, fresh):
    first, second = fresh('doc'), fresh('doc')
    ann, bob = Talker(daemon), Talker(daemon)
    for document in (first, second):
        ann.open(document)
        bob.open(document)
    ann.change(first, ['first'])
    bob.change(second, ['second'])
    assert ann.change(second, ['the '], version=1) == 2
    assert bob.state(first) == (1, 'first') and bob.state(second) == (2, 'the second')
    heard = [(message['payload']['document_id'], message['payload']['version']) for message in bob.heard('document.change')]
    assert heard == [(first, 1), (second, 2)]
    bob.get('document.close', 'document.closed', document_id=first)
    ann.change(first, ['x'])
    bob.refused('NOT_SUBSCRIBED', 'document.change', document_id=first, operation=['x'])
    assert bob.change(second, ['y']) == 3


def test_the_only_open_document_need_not_be_named(daemon, fresh):
    ann = Talker(daemon)
    document, other = fresh('doc'), fresh('doc')
    ann.open(document)
    ack = ann.get('document.change', 'document.ack', operation=['x'])
    assert ack['document_id'] == document and ack['version'] == 1, ack
    assert ann.get('sync.request', 'sync.response')['content'] == 'x'
    ann.open(other)
    ann.refused('VALIDATION_ERROR', 'document.change', operation=['x'])
    assert ann.state(document) == (1, 'x') and ann.state(other) == (0, '')


def test_the_end_point_opens_the_document(daemon, document):
    ann = Talker(daemon, target=f'/ws/document/{document}?dialect=choir')
    opened = ann.recv()
    assert opened['type'] == 'document.opened' and opened['payload']['document_id'] == document, opened
    assert ann.get('document.change', 'document.ack', operation=['x'])['version'] == 1
    assert ann.state(document) == (1, 'x')


def test_the_end_point_lets_nobody_in_who_may_not_read(daemon, document):
    target = f'/ws/document/{document}?dialect=choir'
    token = daemon.mint('eve', ('document:another:read',))
    assert knock(daemon, f'{target}&token={token}').status == 403
    # whose token comes later, learns it later
    ws = RawWs.open(daemon.address, target)
    ws.send_json({'type': 'auth', 'payload': {'token': token}})
    assert ws.recv_close(skip_data=True) == (1008, 'Unauthorized')


def test_whoever_loses_the_permission_loses_the_document(daemon, document):
    ann, bob = Talker(daemon), Talker(daemon)
    ann.open(document)
    bob.open(document)
    ann.heard()
    bob.get('auth', 'auth.ok', token=daemon.mint(bob.user_id, ('document:another:read',)))
    closed, = bob.heard('document.closed')
    assert closed['payload']['document_id'] == document and closed['payload']['reason'], closed
    assert ann.heard()[0]['payload']['event'] == 'user_left'
    ann.change(document, ['x'])
    assert bob.heard() == []
    bob.refused('NOT_SUBSCRIBED', 'document.change', document_id=document, operation=['y'])


def test_coming_back_in_one_step(daemon, document):
    ann, bob = Talker(daemon), Talker(daemon)
    ann.open(document)
    for i in range(3):
        ann.change(document, [f'{i}'])
    epoch = ann.open(document)['epoch']
    back = bob.get('session.reconnect', 'sync.response', document_id=document, last_version=1, epoch=epoch)
    assert back['version'] == 3 and [change['operation'] for change in back['operations']] == [['1'], ['2']], back
    assert set(by_user(back['members'])) == {ann.user_id, bob.user_id}
    assert bob.change(document, ['x'], version=3) == 4
    assert ann.heard('user.presence')[0]['payload']['event'] == 'user_joined'


# From the disk

def test_a_document_that_nobody_has_open_leaves_memory_and_comes_back(start, document):
    daemon = start(SETTINGS, config=CONFIG)
    ann = Talker(daemon)
    ann.open(document)
    texts = ['']
    for i in range(20):
        ann.change(document, ot.insertion(i, chr(0x1f600 + i)))
        texts.append(texts[-1] + chr(0x1f600 + i))
    epoch = ann.open(document)['epoch']
    assert figure(daemon, 'choir_documents_open') == 1
    ann.get('document.close', 'document.closed', document_id=document)
    wait_until(lambda: figure(daemon, 'choir_documents_open') == 0, 'leaving memory')
    opened = ann.open(document)
    assert (opened['version'], opened['content'], opened['epoch']) == (20, texts[20], epoch)
    assert [ann.at(document, version) for version in range(21)] == texts


def test_a_large_document_arrives_whole(start, document):
    """1 MB, with the queue as long as it is by itself."""
    daemon = start(SETTINGS, config=CONFIG)
    ann = Talker(daemon)
    ann.open(document)
    text = ''.join(f'Zeile {i}: 漢字 "\\" 😀\t\n' for i in range(35000))
    assert 1000000 < len(text.encode()) < 1500000
    version = fill(ann, document, text, 20000)
    opened = Talker(daemon).open(document)
    assert opened['version'] == version and opened['content'] == text
    assert ann.state(document) == (version, text)
    assert get_document(daemon, document) == (version, text)
    assert ann.at(document, version) == text
    ask_without_reading(ann, document, text)


def ask_without_reading(talker, document, text):
    """What waits for one who does not fetch it is bounded: further questions wait as well, or are refused."""
    talker.ws.reads_while_sending = False
    for i in range(20):
        talker.send({'type': 'sync.request', 'correlation_id': f's{i}', 'payload': {'document_id': document}})
    answers = [talker.wait_for(lambda message: message.get('correlation_id') == f's{i}') for i in range(20)]
    whole = [answer for answer in answers if answer['type'] == 'sync.response']
    assert len(whole) >= 2 and all(answer['payload']['content'] == text for answer in whole)
    for answer in answers:
        if answer not in whole:
            talker.dialect.error(answer, 'RATE_LIMIT_EXCEEDED')
    assert talker.state(document)[1] == text
