# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""choirctl check: a real daemon, plain and over TLS, and servers and proxies that do it wrong."""

import base64
import hashlib
import json
import socket
import struct
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'support'))

from balancer import make_certificate  # noqa: E402
from choir_test import DEADLINE, PING, PONG, TEXT, build_frame, connect  # noqa: E402
from choir_test.ctl import FAILED, NO_SERVICE, NOT_ALLOWED, NOT_FOUND, TIMED_OUT, USAGE, Choirctl  # noqa: E402

GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
# the leak checker of gcc 12 can't look into the threads that GnuTLS has been in
TLS_ENV = {'ASAN_OPTIONS': 'detect_leaks=0'}


@pytest.fixture
def ctl():
    # it asks no bus: there is none
    return Choirctl(None, where=[])


@pytest.fixture
def url(daemon):
    return f'ws://127.0.0.1:{daemon.port}/ws'


class Server:
    """Answers each connection with `answer(sock, head)`, head being the request's."""

    def __init__(self, answer, read_head=True):
        self._answer = answer
        self._read_head = read_head
        self.heads = []
        self._listener = socket.create_server(('127.0.0.1', 0))
        self.url = f'ws://127.0.0.1:{self._listener.getsockname()[1]}/ws'
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock:
                sock.settimeout(DEADLINE)
                try:
                    head = b''
                    while self._read_head and b'\r\n\r\n' not in head:
                        head += sock.recv(4096)
                    self.heads.append(head.decode())
                    self._answer(sock, head.decode())
                except OSError:
                    pass

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        # wakes up accept()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(DEADLINE)


def says(text, then=None):
    def answer(sock, head):
        sock.sendall(text.encode() if isinstance(text, str) else text)
        if then is not None:
            then(sock)
    return answer


def wait_end(sock):
    while sock.recv(4096):
        pass


def accept_key(head):
    key = next(line.split(': ')[1] for line in head.split('\r\n') if line.lower().startswith('sec-websocket-key'))
    return base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()


def opens(then, extra='', accept=None):
    """A proper handshake, and after it whatever `then(sock)` does."""
    def answer(sock, head):
        sock.sendall(('HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n'
                      f'Sec-WebSocket-Accept: {accept or accept_key(head)}\r\n{extra}\r\n').encode())
        then(sock)
    return answer


# As it should be


def test_plain(ctl, daemon, url):
    lines = ctl('check', url, env={'CHOIR_TOKEN': daemon.mint('alice')}).splitlines()
    assert lines[0] == url
    assert [line.split()[0] for line in lines[1:]] == ['resolve', 'connect', 'handshake', 'first', '5']
    assert 'connection.established' in lines[4]
    assert lines[5].lstrip().startswith('5 of 5 pings answered: min ')


def test_json(ctl, daemon, url):
    found = ctl.json('check', url, '--token', daemon.mint('alice'), '--dialect', 'choir.v1', '--count', '7', '--interval', '2ms')
    assert found['ok'] is True and 'error' not in found
    assert (found['http_status'], found['subprotocol'], found['first_message']) == (101, 'choir.v1', 'connection.established')
    assert found['address'] == f'127.0.0.1:{daemon.port}'
    pings = found['pings']
    assert (pings['sent'], pings['answered']) == (7, 7)
    assert 0 < pings['min_ms'] <= pings['mean_ms'] <= pings['p99_ms'] <= pings['max_ms'] < DEADLINE * 1000
    for step in 'resolve_ms', 'connect_ms', 'handshake_ms', 'first_message_ms':
        assert 0 <= found[step] < DEADLINE * 1000
    assert 'tls_ms' not in found


@pytest.mark.parametrize('scheme, path', [('http', ''), ('http', '/ws'), ('ws', '')])
def test_addresses_people_have(ctl, daemon, scheme, path):
    found = ctl.json('check', f'{scheme}://127.0.0.1:{daemon.port}{path}', '--count', '1')
    assert found['ok'] is True


def test_token_in_a_file(ctl, daemon, url, tmp_path):
    file = tmp_path / 'token'
    file.write_text(daemon.mint('alice') + '\n')
    assert ctl.json('check', url, '--token', f'@{file}', '--count', '1')['ok'] is True
    assert ctl.json('check', url, '--token', '@-', '--count', '1', input=daemon.mint('alice'))['ok'] is True
    file.write_text('\n')
    ctl.fails(FAILED, 'check', url, '--token', f'@{file}', contains='no token')
    ctl.fails(FAILED, 'check', url, '--token', '@/nonexistent', contains='No such file')


def test_token_is_never_shown(ctl, daemon, url):
    token = daemon.mint('alice')
    for words in (['--token', token], ['--json', '--token', token], ['--token', token + 'x'], ['--json', '--token', token + 'x']):
        done = ctl.run('check', f'{url}?token={token}', '--count', '1', *words)
        assert token[-40:] not in done.stdout + done.stderr


def test_what_is_sent(ctl):
    with Server(says('')) as server:
        ctl.run('check', server.url + '?a=b', '--token', 't', '--origin', 'https://here.example')
    head = server.heads[0].split('\r\n')
    assert head[0] == 'GET /ws?a=b HTTP/1.1'
    assert 'Authorization: Bearer t' in head
    assert 'Origin: https://here.example' in head
    assert f'Host: {server.url[5:-3]}' in head


def test_server_that_talks_all_the_time(ctl):
    """Pings, a message in pieces, a large one, a pong nobody asked for: none of it is in the way."""
    def then(sock):
        def chatter():
            sock.sendall(build_frame(PONG, b'unasked', mask=False))
            sock.sendall(build_frame(PING, b'are you there?', mask=False))
            sock.sendall(build_frame(TEXT, b'x' * 300000, mask=False))
            sock.sendall(b'\x01\x02he' + b'\x80\x03llo')
        chatter()
        got = b''
        while data := sock.recv(4096):
            got += data
            while len(got) >= 6 and len(got) >= 6 + (got[1] & 0x7f):
                n = got[1] & 0x7f
                opcode, mask, body = got[0] & 0xf, got[2:6], got[6:6 + n]
                plain = bytes(byte ^ mask[i % 4] for i, byte in enumerate(body))
                got = got[6 + n:]
                if opcode == 9:
                    chatter()
                    sock.sendall(build_frame(PONG, plain, mask=False))
                elif opcode == 10:
                    ponged.append(plain)
                elif opcode == 8:
                    sock.sendall(build_frame(8, plain, mask=False))
                    return
    ponged = []
    with Server(opens(then)) as server:
        found = ctl.json('check', server.url, '--count', '3', '--interval', '1ms')
    assert found['pings']['answered'] == 3
    assert ponged and set(ponged) == {b'are you there?'}


# Over TLS


@pytest.fixture
def secure(start, tmp_path):
    cert, key = make_certificate(tmp_path)
    key.chmod(0o600)
    daemon = start({'server.tls-certificate': str(cert), 'server.tls-key': str(key), 'server.listen': '0.0.0.0:0'})
    return daemon, cert


def test_tls(ctl, secure):
    daemon, cert = secure
    for host in 'localhost', '127.0.0.1':
        found = ctl.json('check', f'wss://{host}:{daemon.port}/ws', '--ca', str(cert), '--count', '1', env=TLS_ENV)
        assert found['ok'] is True and found['tls_version'] == 'TLS 1.3' and found['tls_ms'] > 0


def test_tls_nobody_trusts(ctl, secure, tmp_path):
    daemon, cert = secure
    other = tmp_path / 'other'
    other.mkdir()
    other_cert, _ = make_certificate(other)
    url = f'wss://localhost:{daemon.port}/ws'
    ctl.fails(FAILED, 'check', url, contains='nobody who is trusted here has signed it', env=TLS_ENV)
    ctl.fails(FAILED, 'check', url, '--ca', str(other_cert), contains='nobody who is trusted', env=TLS_ENV)
    assert ctl.json('check', url, '--insecure', '--count', '1', env=TLS_ENV)['ok'] is True


def test_tls_for_another_name(ctl, secure):
    daemon, cert = secure
    url = f'wss://127.0.0.2:{daemon.port}/ws'
    ctl.fails(FAILED, 'check', url, '--ca', str(cert), contains='it is for another name', env=TLS_ENV)
    ctl.fails(FAILED, 'check', url, '--ca', '/nonexistent', contains='--ca:', env=TLS_ENV)


def test_tls_where_there_is_none_and_the_other_way_round(ctl, daemon, secure):
    other, _cert = secure
    ctl.fails(FAILED, 'check', f'wss://127.0.0.1:{daemon.port}/ws', contains='ask with ws://', env=TLS_ENV)
    ctl.fails(FAILED, 'check', f'ws://127.0.0.1:{other.port}/ws', contains='ask with wss://')


# Refused by the service


def test_refusals_of_the_service(ctl, daemon, url):
    said = ctl.fails(NOT_ALLOWED, 'check', url, '--token', 'nonsense')
    assert '401' in said and 'AUTH_ERROR' in said
    said = ctl.fails(NOT_ALLOWED, 'check', url, '--origin', 'https://evil.example')
    assert '403' in said and 'PERMISSION_DENIED' in said
    said = ctl.fails(NOT_FOUND, 'check', url[:-3] + '/nothing')
    assert '404' in said and 'NOT_FOUND' in said
    ctl.fails(FAILED, 'check', url.replace('/ws', '/healthz'), contains='200 instead of 101')
    ctl.fails(FAILED, 'check', url, '--dialect', 'nonsense', contains='does not speak “nonsense”')


def test_refusal_as_json(ctl, daemon, url):
    done = ctl.run('--json', 'check', url, '--token', 'nonsense')
    found = json.loads(done.stdout)
    assert done.returncode == NOT_ALLOWED == found['status']
    assert (found['ok'], found['http_status'], found['code']) == (False, 401, 'AUTH_ERROR')
    assert '401' in found['error'] and found['handshake_ms'] > 0


def test_full_service(ctl, start):
    daemon = start({'server.max-connections': '1'})
    url = f'ws://127.0.0.1:{daemon.port}/ws'
    with connect(daemon, 'choir', daemon.mint('alice')):
        said = ctl.fails(NO_SERVICE, 'check', url)
    assert '503' in said and 'it may be asked again in' in said


def test_too_many_of_an_address(ctl, start):
    daemon = start({'server.max-connections-per-address': '1', 'server.trusted-proxies': '192.0.2.1'})
    url = f'ws://127.0.0.1:{daemon.port}/ws'
    with connect(daemon, 'choir', daemon.mint('alice')):
        said = ctl.fails(FAILED, 'check', url)
    assert '429' in said and 'RATE_LIMIT_EXCEEDED' in said


def test_closed_by_the_service(ctl, start):
    """Who says nothing about himself is sent away after a while."""
    daemon = start({'auth.auth-timeout': '100ms'})
    said = ctl.fails(NOT_ALLOWED, 'check', f'ws://127.0.0.1:{daemon.port}/ws', '--count', '100', '--interval', '100ms')
    assert '4001' in said


# Nobody there


def test_nobody_listens(ctl):
    with socket.socket() as closed:
        closed.bind(('127.0.0.1', 0))
        ctl.fails(NO_SERVICE, 'check', f'ws://127.0.0.1:{closed.getsockname()[1]}/ws', contains='nobody listens at 127.0.0.1')


def test_name_that_does_not_exist(ctl):
    ctl.fails(NO_SERVICE, 'check', 'ws://nothing.invalid/ws', contains='“nothing.invalid” can’t be resolved')


@pytest.mark.parametrize('words', [['ftp://x/'], ['x'], ['ws://'], ['ws://host:0/'], ['ws://host:99999/'], ['ws://x/ a'],
                                   ['ws://x/\r\nX:y'], ['ws://x/', '--count', '0'], ['ws://x/', '--count', '1000000'],
                                   ['ws://x/', '--interval', 'soon'], ['ws://x/', '--token', 'a b'], ['ws://x/', '--origin', 'a\nb'],
                                   ['ws://x/', '--dialect', 'a b'], [], ['ws://x/', 'ws://y/']])
def test_wrong_usage(ctl, words):
    ctl.fails(USAGE, 'check', *words)


# Servers and proxies that do it wrong


BAD = {
    'eats-upgrade': (says('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'), FAILED, 'does not pass the upgrade on'),
    'moved': (says('HTTP/1.1 301 Moved\r\nLocation: https://else.example/\r\n\r\n'), FAILED, 'https://else.example/'),
    'bad-request': (says('HTTP/1.1 400 Bad Request\r\n\r\n'), FAILED, 'may remove Upgrade'),
    'upgrade-required': (says('HTTP/1.1 426 Upgrade Required\r\n\r\n'), FAILED, '426'),
    'bad-gateway': (says('HTTP/1.1 502 Bad Gateway\r\n\r\n'), NO_SERVICE, 'behind it'),
    'gateway-timeout': (says('HTTP/1.1 504 Gateway Timeout\r\n\r\n'), NO_SERVICE, 'silent'),
    'teapot': (says('HTTP/1.1 418 No\r\n\r\n'), FAILED, 'Refused with 418'),
    'no-http': (says('SSH-2.0-OpenSSH_9.2\r\n\r\n'), FAILED, 'does not speak HTTP'),
    'endless-head': (says('HTTP/1.1 101 Fine\r\n' + 'X: y\r\n' * 10000, wait_end), FAILED, 'does not speak HTTP'),
    'ends': (says(''), FAILED, 'closed before the handshake'),
    'silent': (says('', wait_end), TIMED_OUT, 'not answered in time'),
    'half-a-head': (says('HTTP/1.1 101 Swit', wait_end), TIMED_OUT, 'not answered in time'),
    'body-that-never-comes': (says('HTTP/1.1 503 No\r\nContent-Length: 5000\r\n\r\n{', wait_end), NO_SERVICE, '503'),
    'wrong-accept': (opens(wait_end, accept='bm8='), FAILED, 'Sec-WebSocket-Accept is wrong'),
    'no-upgrade-field': (says('HTTP/1.1 101 Fine\r\nSec-WebSocket-Accept: x\r\n\r\n'), FAILED, 'lacks the header fields'),
    'protocol-unasked': (opens(wait_end, 'Sec-WebSocket-Protocol: mine\r\n'), FAILED, 'not offered'),
    'no-pong': (opens(wait_end), TIMED_OUT, 'No pong in time'),
    'lost': (opens(lambda sock: None), FAILED, 'without a close frame'),
    'nonsense': (opens(lambda sock: sock.sendall(b'\xff' * 100)), FAILED, 'cannot be understood: reserved bit set'),
    'masked': (opens(lambda sock: sock.sendall(build_frame(TEXT, b'{}', mask=b'abcd'))), FAILED, 'cannot be understood: frame masked'),
    'reserved': (opens(lambda sock: sock.sendall(b'\x8b\x00')), FAILED, 'cannot be understood: reserved opcode'),
    'endless': (opens(lambda sock: sock.sendall(b'\x82\x7f' + struct.pack('>Q', 1 << 40))), FAILED, 'message too big'),
    'restarts': (opens(lambda sock: sock.sendall(b'\x88\x09' + struct.pack('>H', 1012) + b'restart')), NO_SERVICE, '1012, restart'),
    'kicks': (opens(lambda sock: sock.sendall(b'\x88\x05' + struct.pack('>H', 4002) + b'\x1b[H')), NOT_ALLOWED, '\\u001b[H'),
}


# Those that keep it waiting. Where something comes before that, there must be time for it.
WAITS = {'silent': '500ms', 'half-a-head': '500ms', 'body-that-never-comes': '2s', 'no-pong': '2s'}


@pytest.mark.parametrize('what', BAD)
def test_done_wrong(ctl, what):
    answer, status, sentence = BAD[what]
    with Server(answer) as server:
        ctl.fails(status, 'check', server.url, *(['--timeout', WAITS[what]] if what in WAITS else []), contains=sentence)


def test_refusal_that_is_a_trap(ctl):
    """What somebody else's server says is shown only as far as it is harmless."""
    body = json.dumps({'code': 'A\x1b[2J', 'detail': 'd' * 5000, 'x': [[[]]] })
    with Server(says(f'HTTP/1.1 403 No\r\nContent-Length: {len(body)}\r\n\r\n{body}')) as server:
        said = ctl.fails(NOT_ALLOWED, 'check', server.url)
    assert '\x1b' not in said and 'd' * 100 not in said
    deep = '[' * 8000
    with Server(says(f'HTTP/1.1 403 No\r\nContent-Length: {len(deep)}\r\n\r\n{deep}')) as server:
        ctl.fails(NOT_ALLOWED, 'check', server.url, contains='403')


@pytest.mark.parametrize('room', range(196, 204))
def test_text_that_is_cut(ctl, room):
    """Within a character, wherever the border is: what is said is UTF-8 all the same."""
    long = 'x' * room + '日本' * 50
    answer = f'HTTP/1.1 301 Moved\r\nServer: {long}\r\nLocation: {long}\r\n\r\n'
    with Server(says(answer)) as server:
        done = ctl.run('--json', 'check', server.url)
    assert done.returncode == FAILED, done.stderr
    found = json.loads(done.stdout)
    assert found['server'].startswith('xxx') and len(found['server']) <= 200 and long.startswith(found['server'])
    assert 'xxx' in found['error'] and '\ufffd' not in found['error']
