# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Documents over HTTP, as docs/http-api.md describes them: its examples are run, and what a real socket, a real
client and an editor on a WebSocket make of the rest."""

import json
import re
import threading

import pytest

from choir_test import DEADLINE, Deadline, http_get, http_request, open_socket, read_response
from choir_test.raw_http import Reader, send_all
from doc_examples import DOCS, read_examples, run_examples
from library_client import join


class Api:
    """A back end's view of a daemon."""

    def __init__(self, daemon, token=None):
        self.daemon = daemon
        self.token = token or daemon.mint('backend', (), roles=['service'])

    def ask(self, method, path, headers=(), body=b''):
        fields = [('Authorization', f'Bearer {self.token}'), *headers]
        if isinstance(body, (dict, list)):
            fields.append(('Content-Type', 'application/json'))
            body = json.dumps(body).encode()
        return http_get(self.daemon.address, '/api/v1/' + path, fields, method, body)

    def put(self, name, text, headers=()):
        return self.ask('PUT', f'documents/{name}', [('Content-Type', 'text/plain'), *headers], text.encode())

    def post(self, name, change, headers=()):
        return self.ask('POST', f'documents/{name}/operations', headers, change)

    def text(self, name, query=''):
        response = self.ask('GET', f'documents/{name}{query}', [('Accept', 'text/plain')])
        assert response.status == 200, response
        return response.body.decode()


@pytest.fixture
def api(daemon):
    return Api(daemon)


# The examples

def test_the_examples_of_the_documentation(start):
    daemon = start()
    examples = read_examples('http-api.md')
    assert len(examples) > 40
    run_examples(examples, {'CHOIR': f'http://127.0.0.1:{daemon.port}',
                            'TOKEN': daemon.cli_token('--sub', 'backend', '--role', 'service')})


def test_every_status_is_documented():
    table = (DOCS / 'http-api.md').read_text('utf-8').split('## When something is wrong')[1]
    documented = {int(status) for status in re.findall(r'\b([45]\d\d)\b', table)}
    assert documented == {400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422, 429, 503}


# What others see of it

def open_editor(daemon, name, user):
    editor = join(daemon, token=daemon.mint(user))
    editor.send({'type': 'document.open', 'payload': {'document_id': name}})
    return editor, editor.wait_type('document.opened')['payload']


def test_an_editor_sees_what_a_back_end_does(daemon, api, user, fresh):
    name = fresh('seen')
    assert api.put(name, 'Hello 👋 world').status == 201
    editor, opened = open_editor(daemon, name, user)
    assert opened['content'] == 'Hello 👋 world' and opened['version'] == 1

    assert api.post(name, {'operation': [8, 'my ']}).json()['version'] == 2
    seen = editor.wait_type('document.change')['payload']
    assert seen['version'] == 2 and seen['operation'] == [8, 'my '] and seen['user_id'] == 'backend'

    # a whole text arrives as the smallest change
    assert api.put(name, 'Hello 👍 my world', [('If-Match', '*')]).status == 200
    seen = editor.wait_type('document.change')['payload']
    assert seen['version'] == 3 and seen['operation'] == [6, '👍', {'d': 1}]

    editor.send({'type': 'document.change',
                 'payload': {'document_id': name, 'version': 3, 'change_id': 'c1', 'operation': [16, '!']}})
    assert editor.wait_type('document.ack')['payload']['version'] == 4
    assert api.text(name) == 'Hello 👍 my world!'
    operations = api.ask('GET', f'documents/{name}/operations?since=3').json()['operations']
    assert [row['user_id'] for row in operations] == [user]


def test_a_back_end_and_an_editor_at_once(daemon, api, user, fresh):
    name = fresh('both')
    api.put(name, '[]')
    editor, _ = open_editor(daemon, name, user)
    n = 40

    def run():
        for i in range(n):
            assert api.post(name, {'version': 1, 'operation': [1, f'b{i};']}).status == 200

    thread = threading.Thread(target=run)
    thread.start()
    for i in range(n):
        editor.send({'type': 'document.change',
                     'payload': {'document_id': name, 'version': 1, 'change_id': f'e{i}', 'operation': [1, f'e{i};']}})
    last = 1
    while last < 2 * n + 1:
        message = editor.recv()
        if message['type'] in ('document.change', 'document.ack'):
            assert message['payload']['version'] == last + 1, message
            last += 1
    thread.join()
    assert not thread.is_alive()
    parts = api.text(name)[1:-1].split(';')[:-1]
    assert sorted(parts) == sorted([f'b{i}' for i in range(n)] + [f'e{i}' for i in range(n)])


def test_concurrent_back_ends_converge(daemon, fresh):
    name = fresh('crowd')
    apis = [Api(daemon, daemon.mint(f'backend{i}', (), roles=['service'])) for i in range(4)]
    apis[0].put(name, '')
    versions = [[] for _ in apis]

    def run(index):
        for i in range(25):
            response = apis[index].post(name, {'version': 1, 'operation': [f'{index}.{i} '], 'change_id': f'{i}'})
            versions[index].append(response.json()['version'])

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(apis))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(v for row in versions for v in row) == list(range(2, 102))
    text = apis[0].text(name)
    assert sorted(text.split()) == sorted(f'{k}.{i}' for k in range(4) for i in range(25))
    # the past is what the operations say it was
    again = ''
    for row in apis[0].ask('GET', f'documents/{name}/operations').json()['operations']:
        again = apply(again, row['operation'])
    assert apis[0].text(name, '?version=100') == again
    rest = apis[0].ask('GET', f'documents/{name}/operations?since=100').json()['operations']
    assert apply(again, rest[0]['operation']) == text


def apply(text, operation):
    """text-unicode, by the book."""
    out, at = '', 0
    for part in operation:
        if isinstance(part, int):
            out, at = out + text[at:at + part], at + part
        elif isinstance(part, str):
            out += part
        else:
            at += part['d']
    return out + text[at:]


# Large texts, over a real socket

def test_a_large_document(daemon, api, fresh):
    name = fresh('large')
    unit = 'Zeile mit Umlauten äöü, "quotes", 漢字 and 👩‍🚀\n'
    text = unit * (4 * 1024 * 1024 // len(unit.encode()))
    assert api.put(name, text).status == 201
    assert api.text(name) == text
    assert api.ask('GET', f'documents/{name}').json()['content'] == text
    # as JSON it may take three times as much, and still be taken
    again = fresh('large')
    assert api.ask('PUT', f'documents/{again}', body={'content': text}).status == 201
    assert api.text(again) == text
    changed = text[:2000000] + '!' + text[2000000:]
    etag = api.ask('HEAD', f'documents/{name}').get('etag')
    replaced = api.put(name, changed, [('If-Match', etag)])
    assert replaced.status in (200, 413) and (replaced.status == 200) == (len(changed.encode()) <= 4 * 1024 * 1024)
    if replaced.status == 200:
        operations = api.ask('GET', f'documents/{name}/operations?since=1').json()['operations']
        assert operations[0]['operation'] == [2000000, '!']


def head(method, path, token, *fields):
    lines = [f'{method} {path} HTTP/1.1', 'Host: localhost', f'Authorization: Bearer {token}', *fields]
    return '\r\n'.join(lines).encode() + b'\r\n\r\n'


def test_refused_before_the_body(daemon, api, fresh):
    path = f'/api/v1/documents/{fresh("no")}'
    for token, fields, status in [
            (api.token, ('Content-Type: text/plain', f'Content-Length: {5 << 20}'), 413),
            (api.token, ('Content-Type: text/plain', f'Content-Length: {5 << 20}', 'Expect: 100-continue'), 413),
            ('bad', ('Content-Type: text/plain', f'Content-Length: {5 << 20}'), 401),
            ('bad', ('Content-Type: text/plain', 'Content-Length: 10', 'Expect: 100-continue'), 401),
            (api.token, ('Content-Type: image/png', f'Content-Length: {1 << 20}'), 415),
            (daemon.mint('x', ['document:other:write']), ('Content-Type: text/plain', f'Content-Length: {1 << 20}'), 403)]:
        response = http_request(daemon.address, head('PUT', path, token, *fields))
        response.assert_problem(status)


def test_expect_continue(daemon, api, fresh):
    name = fresh('asked')
    sock = open_socket(daemon.address)
    reader, deadline = Reader(sock), Deadline(DEADLINE)
    body = b'x' * 3000000
    send_all(sock, head('PUT', f'/api/v1/documents/{name}', api.token, 'Content-Type: text/plain',
                        f'Content-Length: {len(body)}', 'Expect: 100-continue'))
    assert read_response(reader, deadline).status == 100
    send_all(sock, body, deadline)
    assert read_response(reader, deadline).status == 201
    sock.close()
    assert len(api.text(name)) == len(body)


def test_refused_while_sending(daemon, api, fresh):
    """One who sends without end, and reads only then, still has the answer."""
    sock = open_socket(daemon.address)
    deadline = Deadline(DEADLINE)
    send_all(sock, head('PUT', f'/api/v1/documents/{fresh("endless")}', api.token, 'Content-Type: text/plain',
                        'Transfer-Encoding: chunked'))
    chunk = b'10000\r\n' + b'x' * 0x10000 + b'\r\n'
    for _ in range(300):
        assert send_all(sock, chunk, deadline)
    read_response(Reader(sock), deadline).assert_problem(413)
    sock.close()


def test_chunked(daemon, api, fresh):
    name = fresh('chunked')
    request = head('PUT', f'/api/v1/documents/{name}', api.token, 'Content-Type: text/plain',
                   'Transfer-Encoding: chunked') + b'3\r\nabc\r\n4\r\n\xf0\x9f\x91\x8b\r\n0\r\n\r\n'
    assert http_request(daemon.address, request).status == 201
    assert api.text(name) == 'abc👋'


# What is said and where

def test_no_token_is_logged(start):
    daemon = start({'log.level': 'debug'})
    api = Api(daemon)
    api.put('a', 'the text of the document')
    api.post('a', {'operation': ['the change']})
    api.ask('GET', f'documents/a?token={api.token}').assert_problem(400)
    Api(daemon, api.token[:-3] + 'AAA').ask('GET', 'documents/a').assert_problem(401)
    log = daemon.log(10000)
    for secret in (api.token, api.token.split('.')[2], 'the text', 'the change'):
        assert secret not in log


def test_public_keys(start, tmp_path):
    """A token whose check takes a thread: the request waits, its body unread."""
    rsa = pytest.importorskip('cryptography.hazmat.primitives.asymmetric.rsa')
    from cryptography.hazmat.primitives import serialization
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (tmp_path / 'idp.pem').write_bytes(key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    daemon = start({'auth.key': f'RS256:idp:{tmp_path / "idp.pem"}'})
    api = Api(daemon, daemon.mint('idp', (), roles=['service'], key=key, algorithm='RS256'))
    text = 'x' * 1000000
    assert api.put('a', text).status == 201
    assert api.text('a') == text
    forged = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    Api(daemon, daemon.mint('idp', (), roles=['service'], key=forged, algorithm='RS256')).put('b', text).assert_problem(401)


def test_metrics(start):
    daemon = start()
    api = Api(daemon)
    api.put('a', 'x')
    api.post('a', {'operation': ['y'], 'change_id': '1'})
    api.post('a', {'operation': ['y'], 'change_id': '1'})
    api.post('a', {'version': 9, 'operation': ['y']})
    api.post('a', {'operation': [9, 'y']})
    text = http_get(daemon.address, '/metrics').body.decode()
    for line in ('choir_document_changes_total{status="committed"} 2', 'choir_document_changes_total{status="duplicate"} 1',
                 'choir_document_changes_total{status="conflict"} 1', 'choir_document_changes_total{status="refused"} 1',
                 'choir_document_change_seconds_count 2', 'choir_store_writable 1', 'choir_documents_open 0',
                 'choir_api_requests_total{status="201"} 1', 'choir_api_requests_total{status="409"} 1'):
        assert line + '\n' in text, line


def test_stopping_amid_requests(start):
    """Requests that are under way when the service stops are let go, and nothing is left behind."""
    daemon = start({'server.drain-timeout': '0'})
    api = Api(daemon)
    socks = []
    for i in range(20):
        sock = open_socket(daemon.address)
        send_all(sock, head('PUT', f'/api/v1/documents/d{i}', api.token, 'Content-Type: text/plain',
                            'Content-Length: 100') + b'x' * (i * 4))
        socks.append(sock)
    api.put('last', 'x')
    daemon.stop()
    for sock in socks:
        sock.close()


def test_after_a_restart(start, tmp_path):
    first = start({'store.backend': 'sqlite'}, directory=tmp_path)
    api = Api(first)
    assert api.put('a', 'one', [('Idempotency-Key', 'k1')]).status == 201
    assert api.post('a', {'operation': [3, ' two'], 'change_id': 'c1'}).json()['version'] == 2
    assert api.ask('POST', 'documents/a/versions', body={'label': 'kept'}).status == 201
    etag = api.ask('HEAD', 'documents/a').get('etag')
    first.stop()

    api = Api(start({'store.backend': 'sqlite'}, directory=tmp_path))
    assert api.ask('HEAD', 'documents/a').get('etag') == etag
    assert api.text('a') == 'one two' and api.text('a', '?version=1') == 'one'
    # sent again by somebody who missed the answers
    assert api.post('a', {'operation': [3, ' two'], 'change_id': 'c1'}).json()['version'] == 2
    again = api.put('a', 'one', [('Idempotency-Key', 'k1')])
    assert again.status == 201 and again.json()['version'] == 1
    assert api.text('a') == 'one two'
    labels = [row.get('label') for row in api.ask('GET', 'documents/a/versions').json()['versions']]
    assert 'kept' in labels
    assert api.put('a', 'three', [('If-Match', etag)]).json()['version'] == 3
