# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Connections, sessions, documents, channels and tasks on the bus: what is read there beside what real clients did."""

import ctypes
import ctypes.util
import json
import os
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tests/support'))

from choir_test.bus import ACCESS_DENIED, INVALID_ARGS, NAME, NOT_FOUND, PATH, Bus, BusError, flatten, make_daemon  # noqa: E402
from choir_test.bus_client import BusClient  # noqa: E402
from document_client import CONFIG, SETTINGS, Talker, wait_until  # noqa: E402
from task_worker import Worker  # noqa: E402

PROPERTIES = 'org.freedesktop.DBus.Properties'
UNKNOWN_OBJECT = 'org.freedesktop.DBus.Error.UnknownObject'
KINDS = ('Connection', 'Session', 'Document', 'Channel', 'Task')
DESCRIPTION = {interface.get('name'): interface
               for interface in ElementTree.parse(ROOT / 'data/org.choir.Choir1.xml').iter('interface')}
STRANGER = ('setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups')
needs_root = pytest.mark.skipif(os.getuid() != 0, reason='becomes another user')


@pytest.fixture(scope='module')
def bus():
    with Bus() as private:
        yield private


@pytest.fixture(scope='module')
def daemon(bus):
    settings = {**SETTINGS, 'session.resume-window': '60s', 'task.lease': '60s', 'task.max-per-user': '1000', 'namespace room.persist': 'no',
                'server.max-connections': '3000'}
    with make_daemon(bus, settings, config=CONFIG) as running:
        bus.wait_name()
        yield running


@pytest.fixture(autouse=True)
def send_workers_home():
    yield
    Worker.send_all_home()


def interface_of(kind):
    return f'{NAME}.{kind}'


def encode(name):
    """As sd_bus_path_encode(3) says."""
    def is_plain(at, byte):
        return chr(byte).isalpha() and byte < 128 or at > 0 and chr(byte).isdigit() and byte < 128
    data = name.encode()
    return ''.join(chr(byte) if is_plain(at, byte) else f'_{byte:02x}' for at, byte in enumerate(data)) or '_'


def path_of(kind, name):
    return f'{PATH}/{kind.lower()}/{encode(name)}'


def get_all(bus, kind, name):
    values, = bus.busctl('call', NAME, path_of(kind, name), PROPERTIES, 'GetAll', 's', interface_of(kind))
    return {key: value['data'] for key, value in values.items()}


def call(bus, kind, name, method, signature='', *arguments):
    return bus.busctl('call', NAME, path_of(kind, name), interface_of(kind), method,
                      *([signature] if signature else []), *arguments)


def refused(bus, path, method, *arguments, prefix=()):
    """Which error it is, by gdbus."""
    done = bus.run(*prefix, 'gdbus', 'call', '--session', '--dest', NAME, '--object-path', path, '--method', method,
                   '--', *arguments)
    assert done.returncode != 0, done.stdout
    kind, _, rest = done.stderr.partition('GDBus.Error:')
    assert kind == 'Error: ', done.stderr
    return rest.strip().partition(': ')[0]


def listed(bus, method, *pairs, offset=0, limit=0):
    entries, = bus.call(method, 'a{sv}uu', *flatten(pairs), str(offset), str(limit))
    return [{key: value['data'] for key, value in entry.items()} for entry in entries]


def now_us():
    return time.time() * 1e6


def connection_of(talker):
    return talker.seen[0]['payload']['connection_id']


def ask_for_task(talker, kind='sum', **payload):
    return talker.get('task.request', 'task.accepted', kind=kind, **payload)['task_id']


# What is read of each


def test_connection(bus, daemon):
    before = now_us()
    with Talker(daemon, 'ann') as ann:
        ann.get('subscribe', 'subscription.confirmed', channels=['chat:one', 'chat:two'])
        ann.ask('no.such.thing')
        n_said = 2
        found = get_all(bus, 'Connection', connection_of(ann))
        opened = found.pop('OpenedAt')
        assert before - 1e6 <= opened <= now_us() + 1e6
        assert found == {
            'Id': connection_of(ann), 'Session': path_of('Session', ann.session_id), 'User': 'ann', 'Address': '127.0.0.1',
            'Dialect': 'choir', 'Subscriptions': ['chat:one', 'chat:two'], 'QueuedBytes': 0, 'MessagesReceived': n_said,
            'Errors': 1, 'Slow': False}
        ann.ask('ping')
        again = get_all(bus, 'Connection', connection_of(ann))
        assert again['MessagesReceived'] == n_said + 1 and again['OpenedAt'] == opened


def test_session_and_its_return(bus, daemon):
    exp = int(time.time()) + 3600
    ann = Talker(daemon, 'sue', exp=exp)
    ann.get('subscribe', 'subscription.confirmed', channels=['chat:one'])
    ann.open('of-sue')
    found = get_all(bus, 'Session', ann.session_id)
    began = found.pop('OpenedAt')
    assert found == {
        'Id': ann.session_id, 'Connection': path_of('Connection', connection_of(ann)), 'User': 'sue', 'Waiting': False,
        'ExpiresAt': exp * 10 ** 6, 'Subscriptions': ['chat:one', 'document:of-sue'], 'Documents': ['of-sue']}
    gone = path_of('Connection', connection_of(ann))
    ann.ws.abort()
    wait_until(lambda: get_all(bus, 'Session', ann.session_id)['Waiting'], 'the session waits')
    waiting = get_all(bus, 'Session', ann.session_id)
    assert waiting['Connection'] == '/' and waiting['User'] == 'sue' and waiting['OpenedAt'] == began
    assert refused(bus, gone, f'{PROPERTIES}.GetAll', interface_of('Connection')) == UNKNOWN_OBJECT
    assert [(user['connections'], user['waiting']) for user in listed(bus, 'ListUsers', ('prefix', 's', 'sue'))] == [(0, 1)]
    assert [entry for entry in bus.connections(('user', 's', 'sue'))] == []

    with Talker(daemon, 'sue', target=f'/ws?dialect=choir&session_id={ann.session_id}', exp=exp) as back:
        assert back.session_id == ann.session_id
        found = get_all(bus, 'Session', back.session_id)
        assert found['Connection'] == path_of('Connection', connection_of(back)) and found['OpenedAt'] == began
        assert get_all(bus, 'Connection', connection_of(back))['OpenedAt'] > began


def test_document(bus, daemon):
    with Talker(daemon) as ann, Talker(daemon) as bob:
        ann.open('novel')
        bob.open('novel')
        ann.change('novel', ['Grüße'])
        found = get_all(bus, 'Document', 'novel')
        assert abs(found.pop('ChangedAt') - now_us()) < 60e6
        assert found.pop('Memory') > 0
        assert found == {'Id': 'novel', 'Version': 1, 'Size': 7,
                         'Editors': [path_of('Session', who.session_id) for who in (ann, bob)]}
        channel = get_all(bus, 'Channel', 'document:novel')
        assert channel['Offset'] == 1 and channel['Persistent'] is True and channel['Epoch']


def test_channel(bus, daemon):
    with Talker(daemon, 'ann') as ann, Talker(daemon) as bob:
        told = ann.get('subscribe', 'subscription.confirmed', channels=['room:lobby'])['channels'][0]
        bob.get('subscribe', 'subscription.confirmed', channels=['room:lobby'])
        for text in 'one', 'two':
            ann.get('publish', 'publish.ok', channel='room:lobby', type='note', payload={'text': text})
        found = get_all(bus, 'Channel', 'room:lobby')
        assert found.pop('Bytes') > 0
        assert found == {
            'Name': 'room:lobby', 'Epoch': told['epoch'], 'Offset': 2, 'First': 1, 'NSubscribers': 2, 'NMessages': 2,
            'Persistent': False, 'Subscribers': [path_of('Session', who.session_id) for who in (ann, bob)]}


def test_task(bus, daemon):
    with Talker(daemon, 'ann') as ann:
        before = now_us()
        ann.get('subscribe', 'subscription.confirmed', channels=['chat:work'])
        task = ask_for_task(ann, 'sum', channel='chat:work', timeout_ms=60000)
        found = get_all(bus, 'Task', task)
        created = found.pop('CreatedAt')
        assert before - 1e6 <= created <= now_us()
        assert found == {'Id': task, 'Kind': 'sum', 'User': 'ann', 'Channel': 'chat:work', 'State': 'queued', 'Attempt': 0,
                         'Worker': '', 'TimeoutAt': created + 60 * 10 ** 6}
        worker = Worker(daemon, 'sum')
        assert worker.take()['task_id'] == task
        found = get_all(bus, 'Task', task)
        assert found['State'] == 'running' and found['Attempt'] == 1
        entry, = listed(bus, 'ListTasks', ('kind', 's', 'sum'), ('state', 's', 'running'))
        assert entry == {'task': task, 'path': path_of('Task', task), 'kind': 'sum', 'user': 'ann', 'channel': 'chat:work',
                         'state': 'running', 'attempt': 1, 'worker': found['Worker'], 'created_at': created}
        assert get_all(bus, 'Session', found['Worker'])['User'] == 'robot'
        worker.settle('completed', {'task_id': task})
        found = get_all(bus, 'Task', task)
        assert found['State'] == 'completed' and found['Worker'] == ''


# Doing something


def test_cancel_task(bus, daemon):
    with Talker(daemon, 'ann') as ann:
        for by_manager in True, False:
            task = ask_for_task(ann, 'draw')
            if by_manager:
                bus.call('CancelTask', 'ss', task, 'No paper')
            else:
                call(bus, 'Task', task, 'Cancel', 's', 'No paper')
            told = ann.wait_type('task.cancelled')['payload']
            assert told['task_id'] == task and told['reason'] == 'No paper'
            assert get_all(bus, 'Task', task)['State'] == 'cancelled'
            daemon.wait_log(f'Task cancelled.*{task}')
            assert refused(bus, PATH, f'{NAME}.Manager.CancelTask', task, '') == 'org.choir.Choir1.Error.Conflict'
        assert refused(bus, path_of('Task', task), f'{NAME}.Task.Cancel', 'r' * 501) == INVALID_ARGS
        assert refused(bus, PATH, f'{NAME}.Manager.CancelTask', 'nothing', '') == NOT_FOUND


def test_close_document_is_noted(bus, daemon):
    with Talker(daemon) as ann:
        ann.open('noted')
        call(bus, 'Document', 'noted', 'Close', 's', '')
        daemon.wait_log('Document closed.*"document:noted"')


def test_read_document(bus, daemon):
    with Talker(daemon) as ann:
        ann.open('poem')
        ann.change('poem', ['Ein Bär 🐻'])
        ann.change('poem', ['Da: '])
        assert bus.call('ReadDocument', 'st', 'poem', '0') == [2, 'Da: Ein Bär 🐻']
        assert bus.call('ReadDocument', 'st', 'poem', '1') == [1, 'Ein Bär 🐻']
        assert call(bus, 'Document', 'poem', 'Read', 't', '1') == [1, 'Ein Bär 🐻']
        assert refused(bus, PATH, f'{NAME}.Manager.ReadDocument', 'poem', '3') == INVALID_ARGS
        ann.get('document.close', 'document.closed', document_id='poem')
    wait_until(lambda: 'poem' not in [entry['document'] for entry in listed(bus, 'ListDocuments')], 'it leaves memory')
    assert refused(bus, path_of('Document', 'poem'), f'{NAME}.Document.Read', '0') == UNKNOWN_OBJECT
    assert bus.call('ReadDocument', 'st', 'poem', '0') == [2, 'Da: Ein Bär 🐻']
    assert refused(bus, PATH, f'{NAME}.Manager.ReadDocument', 'never-was', '0') == NOT_FOUND
    assert refused(bus, PATH, f'{NAME}.Manager.ReadDocument', 'two words', '0') == INVALID_ARGS


def test_payload_limit(bus, daemon):
    def payload(size):
        return json.dumps({'a': 'x' * (size - 9)})

    assert len(payload(65536)) == 65536
    with BusClient(bus) as admin:
        for method, signature, *arguments in (('Publish', 'sss', 'chat:large', 'note'), ('SendToUser', 'sss', 'nobody', 'note')):
            admin.call(method, signature, *arguments, payload(65536))
            with pytest.raises(BusError) as caught:
                admin.call(method, signature, *arguments, payload(65537))
            assert caught.value.name == INVALID_ARGS


@pytest.mark.parametrize('channel', ['chat:history', 'room:history'])
def test_history(bus, daemon, channel):
    with Talker(daemon, 'ann') as ann:
        ann.get('subscribe', 'subscription.confirmed', channels=[channel])
        ids = [ann.get('publish', 'publish.ok', channel=channel, type='note', payload={'n': n}) for n in range(5)]
        assert len(ids) == 5

        def read(since, limit):
            messages, = call(bus, 'Channel', channel, 'GetHistory', 'tu', str(since), str(limit))
            return [{key: value['data'] for key, value in message.items()} for message in messages]

        messages = read(0, 0)
        assert [message['offset'] for message in messages] == [1, 2, 3, 4, 5]
        assert [json.loads(message['payload'])['n'] for message in messages] == [0, 1, 2, 3, 4]
        assert {(message['type'], message['user']) for message in messages} == {('note', 'ann')}
        assert all(message['id'] and abs(message['timestamp'] - now_us()) < 60e6 for message in messages)
        assert [message['offset'] for message in read(2, 2)] == [3, 4]
        assert read(5, 10) == []


# Lists


def test_lists(bus, daemon):
    with Talker(daemon, 'lea') as lea, Talker(daemon, 'leo') as leo, Talker(daemon, 'leo'):
        lea.get('subscribe', 'subscription.confirmed', channels=['tea:1', 'tea:2', 'teapot:1'])
        leo.get('subscribe', 'subscription.confirmed', channels=['tea:1'])
        users = listed(bus, 'ListUsers', ('prefix', 's', 'le'))
        assert [(user['user'], user['connections'], user['waiting'], user['blocked']) for user in users] == [
            ('lea', 1, 0, False), ('leo', 2, 0, False)]
        assert users[0]['messages_received'] == 1 and users[0]['queued_bytes'] == 0
        assert [user['user'] for user in listed(bus, 'ListUsers', ('prefix', 's', 'le'), offset=1)] == ['leo']
        assert listed(bus, 'ListUsers', ('prefix', 's', 'le'), ('blocked', 'b', 'true')) == []

        channels = listed(bus, 'ListChannels', ('namespace', 's', 'tea'))
        assert [(entry['channel'], entry['subscribers'], entry['path']) for entry in channels] == [
            ('tea:1', 2, path_of('Channel', 'tea:1')), ('tea:2', 1, path_of('Channel', 'tea:2'))]
        assert [entry['channel'] for entry in listed(bus, 'ListChannels', ('prefix', 's', 'tea'), limit=2, offset=1)] == [
            'tea:2', 'teapot:1']

        for method, pair in (('ListUsers', '{"user": <"lea">}'), ('ListChannels', '{"namespace": <"a:b">}'),
                             ('ListDocuments', '{"stored": <1>}'), ('ListTasks', '{"state": <"done">}')):
            assert refused(bus, PATH, f'{NAME}.Manager.{method}', pair, '0', '0') == INVALID_ARGS


def test_list_of_documents(bus, daemon):
    with Talker(daemon) as ann:
        for name in 'lib-a', 'lib-b', 'lib-c':
            ann.open(name)
            ann.change(name, ['text'])
        ann.get('document.close', 'document.closed', document_id='lib-b')
        wait_until(lambda: len(listed(bus, 'ListDocuments', ('prefix', 's', 'lib-'))) == 2, 'it leaves memory')
        first, last = listed(bus, 'ListDocuments', ('prefix', 's', 'lib-'))
        assert (first['document'], first['path'], first['open'], first['version'], first['editors'], first['size']) == (
            'lib-a', path_of('Document', 'lib-a'), True, 1, 1, 4)
        assert last['document'] == 'lib-c'
        all_ = listed(bus, 'ListDocuments', ('prefix', 's', 'lib-'), ('stored', 'b', 'true'))
        assert [(entry['document'], entry['open'], entry['version']) for entry in all_] == [
            ('lib-a', True, 1), ('lib-b', False, 1), ('lib-c', True, 1)]
        assert set(all_[1]) == {'document', 'open', 'version', 'changed_at'}
        assert [entry['document'] for entry in listed(bus, 'ListDocuments', ('prefix', 's', 'lib-'), ('stored', 'b', 'true'),
                                                      offset=1, limit=1)] == ['lib-b']
        assert refused(bus, PATH, f'{NAME}.Manager.ListDocuments', '{"stored": <true>}', '9901', '100') == INVALID_ARGS


def test_managed_objects(bus, daemon):
    with Talker(daemon, 'ann') as ann:
        ann.open('managed')
        task = ask_for_task(ann)
        objects, = bus.busctl('call', NAME, PATH, 'org.freedesktop.DBus.ObjectManager', 'GetManagedObjects')
        for kind, name in (('Connection', connection_of(ann)), ('Session', ann.session_id), ('Document', 'managed'),
                           ('Channel', 'document:managed'), ('Task', task)):
            interfaces = objects[path_of(kind, name)]
            assert list(interfaces) == [interface_of(kind)]
            values = {key: value['data'] for key, value in interfaces[interface_of(kind)].items()}
            assert values == get_all(bus, kind, name)


def test_signals_say_what_is_read(bus, daemon):
    """Also of a connection that takes an earlier session up."""
    with BusClient(bus) as admin:
        def added(talker):
            path = path_of('Connection', connection_of(talker))
            return admin.wait('InterfacesAdded', lambda arguments: arguments[0] == path)[1][interface_of('Connection')]

        def read(talker):
            return get_all(bus, 'Connection', connection_of(talker))

        changing = ('QueuedBytes', 'MessagesReceived')
        admin.watch('objects')
        ann = Talker(daemon, 'ivy')
        assert {key: added(ann)[key] for key in read(ann) if key not in changing} == \
            {key: value for key, value in read(ann).items() if key not in changing}
        ann.get('subscribe', 'subscription.confirmed', channels=['chat:ivy'])
        ann.ws.abort()
        wait_until(lambda: get_all(bus, 'Session', ann.session_id)['Waiting'], 'the session waits')
        with Talker(daemon, 'ivy', target=f'/ws?dialect=choir&session_id={ann.session_id}') as back:
            assert added(back)['Subscriptions'] == ['chat:ivy']
            assert added(back)['OpenedAt'] == read(back)['OpenedAt']


# The description and what is there


def objects_of(bus, ann):
    """One of each kind."""
    return {'Connection': connection_of(ann), 'Session': ann.session_id, 'Document': 'all', 'Channel': 'chat:all',
            'Task': ask_for_task(ann)}


@pytest.fixture
def one_of_each(bus, daemon):
    with Talker(daemon, 'ann') as ann:
        ann.get('subscribe', 'subscription.confirmed', channels=['chat:all'])
        ann.open('all')
        yield objects_of(bus, ann)


def members(interface, tag):
    return {member.get('name') for member in interface.iter(tag)}


@pytest.mark.parametrize('kind', KINDS)
def test_description_and_introspection_agree(bus, one_of_each, kind):
    done = bus.run('gdbus', 'introspect', '--session', '--xml', '--dest', NAME, '--object-path', path_of(kind, one_of_each[kind]))
    assert done.returncode == 0, done.stderr
    shown = {interface.get('name'): interface for interface in ElementTree.fromstring(done.stdout).iter('interface')}
    own = [name for name in shown if not name.startswith('org.freedesktop.')]
    assert own == [interface_of(kind)]
    for tag in 'property', 'method', 'signal':
        assert members(shown[own[0]], tag) == members(DESCRIPTION[own[0]], tag)
    assert sorted(shown) == sorted([own[0], 'org.freedesktop.DBus.Introspectable', 'org.freedesktop.DBus.Peer', PROPERTIES])


@pytest.mark.parametrize('kind', KINDS)
def test_every_property_is_there(bus, one_of_each, kind):
    path = path_of(kind, one_of_each[kind])
    described = {member.get('name'): member.get('type') for member in DESCRIPTION[interface_of(kind)].iter('property')}
    values, = bus.busctl('call', NAME, path, PROPERTIES, 'GetAll', 's', interface_of(kind))
    assert {name: value['type'] for name, value in values.items()} == described
    for name in described:
        done = bus.run('busctl', f'--address={bus.address}', '--json=short', 'get-property', NAME, path, interface_of(kind), name)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)['type'] == described[name]
    assert refused(bus, path, f'{PROPERTIES}.Get', interface_of(kind), 'Colour') == \
        'org.freedesktop.DBus.Error.UnknownProperty'
    assert refused(bus, path, f'{PROPERTIES}.GetAll', f'{NAME}.Manager') == 'org.freedesktop.DBus.Error.UnknownInterface'
    assert refused(bus, path, f'{PROPERTIES}.Set', interface_of(kind), next(iter(described)), '<"mine">') == \
        'org.freedesktop.DBus.Error.PropertyReadOnly'


def sample(signature):
    """An argument of that type, as gdbus reads it."""
    return {'s': '"x"', 't': '0', 'u': '0', 'a{sv}': '@a{sv} {}', 'as': '@as []'}[signature]


def methods():
    for name, interface in DESCRIPTION.items():
        for method in interface.iter('method'):
            yield name, method.get('name'), [arg.get('type') for arg in method.iter('arg') if arg.get('direction') == 'in']


@needs_root
@pytest.mark.parametrize('kind', ('Manager', *KINDS))
def test_every_method_is_refused_to_strangers(bus, one_of_each, kind):
    """Which is to say that it is there: what is not there is unknown before leave is asked."""
    path = PATH if kind == 'Manager' else path_of(kind, one_of_each[kind])
    for interface, method, arguments in methods():
        if interface == interface_of(kind):
            answer = refused(bus, path, f'{interface}.{method}', *map(sample, arguments), prefix=STRANGER)
            assert answer == ACCESS_DENIED, (method, answer)


@needs_root
@pytest.mark.parametrize('kind', KINDS)
def test_strangers_do_not_learn_what_exists(bus, one_of_each, kind):
    for name in one_of_each[kind], 'nobody':
        for method, arguments in (('Get', (interface_of(kind), 'Id')), ('GetAll', (interface_of(kind),)),
                                  ('Set', (interface_of(kind), 'Id', '<"x">'))):
            assert refused(bus, path_of(kind, name), f'{PROPERTIES}.{method}', *arguments, prefix=STRANGER) == ACCESS_DENIED
    assert refused(bus, PATH, 'org.freedesktop.DBus.ObjectManager.GetManagedObjects', prefix=STRANGER) == ACCESS_DENIED


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('element', ['nobody', '_', 'a' * 255, '_2D', '__', '_00', '9'])
def test_unknown_objects(bus, daemon, kind, element):
    path = f'{PATH}/{kind.lower()}/{element}'
    answer = refused(bus, path, f'{PROPERTIES}.GetAll', interface_of(kind))
    # a path that is nobody's has not even the interface
    assert answer in (UNKNOWN_OBJECT, 'org.freedesktop.DBus.Error.UnknownMethod'), answer
    assert encode('nobody') != element or answer == UNKNOWN_OBJECT


@pytest.mark.parametrize('kind', KINDS)
def test_methods_of_unknown_objects(bus, daemon, kind):
    for interface, method, arguments in methods():
        if interface == interface_of(kind):
            answer = refused(bus, path_of(kind, 'chat:nobody'), f'{interface}.{method}', *map(sample, arguments))
            assert answer == UNKNOWN_OBJECT, (method, answer)


def test_introspection_names_nobody(bus, daemon):
    """However many there are."""
    def introspect(path):
        done = bus.run('gdbus', 'introspect', '--session', '--xml', '--dest', NAME, '--object-path', path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    paths = [PATH, *(f'{PATH}/{kind.lower()}' for kind in KINDS)]
    before = [introspect(path) for path in paths]
    with Talker(daemon, 'ann') as ann, Talker(daemon):
        ann.open('seen')
        assert [introspect(path) for path in paths] == before
        assert not any(ann.session_id in text or 'seen' in text for text in before)


def test_paths_are_as_systemd_encodes_them(bus, daemon):
    library = ctypes.util.find_library('systemd')
    if library is None:
        pytest.skip('libsystemd is not here')
    systemd = ctypes.CDLL(library)
    names = ['a', '9', 'x9_', '~!$%&*()', '_5f', 'A-b.c/d', '[]{}', '"quoted"', '@`^|', ',;=+']
    with Talker(daemon) as ann:
        for name in names:
            ann.open(name)
        paths = {entry['document']: entry['path'] for entry in listed(bus, 'ListDocuments')}
        for name in names:
            out = ctypes.c_char_p()
            assert systemd.sd_bus_path_encode(f'{PATH}/document'.encode(), name.encode(), ctypes.byref(out)) >= 0
            assert out.value.decode() == paths[name] == path_of('Document', name)
            assert get_all(bus, 'Document', name)['Id'] == name
