# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is done and read over the bus is in the log: once, by whom and on what, and never what it says."""

import json
import os
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'support'))

from gi.repository import GLib  # noqa: E402

from choir_test.bus import PATH, join, make_daemon  # noqa: E402
from choir_test.bus_client import BusClient  # noqa: E402
from document_client import CONFIG, SETTINGS, Talker  # noqa: E402

XML = Path(__file__).resolve().parents[2] / 'data' / 'org.choir.Choir1.xml'
SECRET = 'what-nobody-should-read'
BODY = json.dumps({'message': SECRET})


def read_methods():
    """Those that do or read something, by the descriptions of the interfaces: (interface, method)."""
    text = XML.read_text()
    for interface in ElementTree.fromstring(text).iter('interface'):
        name = interface.get('name')
        own = text[text.index(f'<interface name="{name}">'):]
        own = own[:own.index('</interface>')]
        for method in interface.iter('method'):
            described = own[:own.index(f'<method name="{method.get("name")}"')]
            action = re.findall(r'Action:\s+`org\.choir\.Choir1\.([a-z-]+)`', described)[-1]
            if action != 'inspect':
                yield name.rpartition('.')[2], method.get('name')


def path_of(kind, name):
    encoded = ''.join(c if c.isalpha() or c.isdigit() and at > 0 else f'_{ord(c):02x}' for at, c in enumerate(name))
    return f'{PATH}/{kind.lower()}/{encoded}'


def make_calls(ann, new_connection, new_task):
    """How each is called so that it is done: (interface, method, object, signature, arguments, what is touched)."""
    one, two, three, four = (new_connection() for _ in range(4))
    connection, session = one
    task = new_task(), new_task()
    return [
        ('Manager', 'Subscribe', None, 'ss', (connection, 'chat:lobby'), 'chat:lobby'),
        ('Manager', 'Unsubscribe', None, 'ss', (connection, 'chat:lobby'), 'chat:lobby'),
        ('Connection', 'Subscribe', connection, 's', ('chat:lobby',), 'chat:lobby'),
        ('Manager', 'Broadcast', None, 'ssa{sv}', ('note', BODY, {}), 'note'),
        ('Manager', 'Publish', None, 'sss', ('chat:lobby', 'note', BODY), 'chat:lobby'),
        ('Channel', 'Publish', 'chat:lobby', 'ss', ('note', BODY), 'chat:lobby'),
        ('Channel', 'GetHistory', 'chat:lobby', 'tu', (0, 0), 'chat:lobby'),
        ('Connection', 'Unsubscribe', connection, 's', ('chat:lobby',), 'chat:lobby'),
        ('Manager', 'SendToUser', None, 'sss', ('guest', 'note', BODY), 'guest'),
        ('Manager', 'SendToConnection', None, 'sss', (connection, 'note', BODY), connection),
        ('Connection', 'Send', connection, 'ss', ('note', BODY), connection),
        ('Manager', 'ReadDocument', None, 'st', ('novel', 0), 'document:novel'),
        ('Document', 'Read', 'novel', 't', (1,), 'document:novel'),
        ('Document', 'Close', 'novel', 's', (SECRET,), 'document:novel'),
        ('Manager', 'CloseDocument', None, 'ss', ('poem', SECRET), 'document:poem'),
        ('Manager', 'CancelTask', None, 'ss', (task[0], SECRET), task[0]),
        ('Task', 'Cancel', task[1], 's', (SECRET,), task[1]),
        ('Session', 'Close', session, 's', (SECRET,), session),
        ('Manager', 'Kick', None, 'ss', (two[0], SECRET), two[0]),
        ('Connection', 'Kick', three[0], 's', (SECRET,), three[0]),
        ('Manager', 'KickUser', None, 'ss', ('guest', SECRET), 'guest'),
        ('Manager', 'BlockUser', None, 'sts', ('mallory', 0, 'a ticket'), 'mallory'),
        ('Manager', 'UnblockUser', None, 's', ('mallory',), 'mallory'),
        ('Manager', 'RevokeToken', None, 's', ('some-jti',), 'some-jti'),
        ('Manager', 'UnrevokeToken', None, 's', ('some-jti',), 'some-jti'),
        ('Manager', 'SetLogLevel', None, 's', ('info',), 'info'),
        ('Manager', 'Reload', None, '', (), 'Reload'),
        ('Manager', 'Trace', None, 'a{sv}', ({'bodies': GLib.Variant('b', True)},), 'Trace with bodies'),
        ('Manager', 'Drain', None, 't', (3600000,), '3600000'),
    ]


def test_every_method_is_logged_once(bus):
    clients = []
    with make_daemon(bus, SETTINGS, config=CONFIG) as daemon:
        bus.wait_name()

        def new_connection():
            client = join(daemon, 'guest')
            clients.append(client)
            told = client.seen[0]['payload']
            return told['connection_id'], told['session_id']

        def new_task():
            return ann.get('task.request', 'task.accepted', kind='sum')['task_id']

        with Talker(daemon) as ann, BusClient(bus) as admin:
            ann.open('novel')
            ann.change('novel', [SECRET])
            ann.change('novel', [1, SECRET])
            ann.open('poem')
            calls = make_calls(ann, new_connection, new_task)
            assert {call[:2] for call in calls} == {*read_methods(), ('Manager', 'Trace')}

            for interface, method, name, signature, arguments, touched in calls:
                said = len(daemon.log_lines())
                path = PATH if name is None else path_of(interface, name)
                _, fds = admin.call_with_fds(method, signature, *arguments, interface=f'org.choir.Choir1.{interface}',
                                             path=path)
                for fd in fds:
                    os.close(fd)
                daemon.wait_log('"caller_uid"', start=said)
                lines = [json.loads(line) for line in daemon.log_lines()[said:] if '"caller_uid"' in line]
                assert len(lines) == 1, (interface, method, lines)
                assert lines[0]['caller_uid'] == str(os.getuid())
                assert lines[0]['caller'] == admin.connection.get_unique_name()
                assert touched in lines[0].values() or touched in lines[0]['message'], (interface, method, lines)
        for client in clients:
            client.close()
        assert SECRET not in daemon.log()
