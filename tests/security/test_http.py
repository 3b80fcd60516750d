# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""HTTP that two parsers could read differently (request smuggling), and heads and bodies without end."""

import select
import socket

import pytest

from choir_test import DEADLINE, TEXT, Deadline, Handshake, RawWs, http_get, http_request, open_socket
from choir_test.raw_http import Reader, read_response, send_all

from conftest import MIB, Bystander, memory_margin

# What a smuggler hopes to have answered as a request of its own
INNER = b'GET /ws/config HTTP/1.1\r\nHost: inner\r\n\r\n'


def converse(address, data, timeout=DEADLINE):
    """Sends `data`, ends our side, and returns all responses until the server ends its own."""
    sock = open_socket(address)
    try:
        deadline = Deadline(timeout)
        if send_all(sock, data, deadline):
            try:
                sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        reader = Reader(sock)
        responses = []
        while (response := read_response(reader, deadline)) is not None:
            responses.append(response)
        return responses
    finally:
        sock.close()


def check_serves(daemon):
    with RawWs.open(daemon.address) as ws:
        ws.send_frame(TEXT, 'fine')
        ws.expect_echo(TEXT, 'fine')


# A body in a form that is not certain: the head is refused or the connection ends; the bytes behind are never a request

SMUGGLING = {
    'cl-te': b'Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'te-cl': b'Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n',
    'cl-cl-differ': b'Content-Length: 0\r\nContent-Length: 40\r\n\r\n',
    'cl-cl-differ-2': b'Content-Length: 40\r\nContent-Length: 0\r\n\r\n',
    'cl-list-differ': b'Content-Length: 0, 40\r\n\r\n',
    'cl-plus': b'Content-Length: +0\r\n\r\n',
    'cl-minus': b'Content-Length: -1\r\n\r\n',
    'cl-hex': b'Content-Length: 0x0\r\n\r\n',
    'cl-word': b'Content-Length: none\r\n\r\n',
    'cl-empty': b'Content-Length: \r\n\r\n',
    'cl-space-inside': b'Content-Length: 0 0\r\n\r\n',
    'cl-overflow': b'Content-Length: 18446744073709551616\r\n\r\n',
    'te-unknown': b'Transfer-Encoding: xchunked\r\n\r\n',
    'te-identity': b'Transfer-Encoding: identity\r\n\r\n',
    'te-chunked-not-last': b'Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n',
    'te-twice': b'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'te-twice-differ': b'Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n\r\n0\r\n\r\n',
    'te-tab': b'Transfer-Encoding:\tchunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n',
    'te-space-before-colon': b'Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n',
    'te-folded': b'Transfer-Encoding:\r\n chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n',
    'te-quoted': b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    'te-control': b'Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n',
    'chunk-size-sign': b'Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n',
    'chunk-size-hex': b'Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n',
    'chunk-size-overflow': b'Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n\r\n',
    'chunk-size-word': b'Transfer-Encoding: chunked\r\n\r\nzero\r\n\r\n',
    'chunk-without-end': b'Transfer-Encoding: chunked\r\n\r\n3\r\nabcXX0\r\n\r\n',
}


@pytest.mark.parametrize('method', ['GET', 'POST'])
@pytest.mark.parametrize('rest', [pytest.param(rest, id=name) for name, rest in SMUGGLING.items()])
def test_uncertain_body_length(daemon, method, rest):
    head = f'{method} /healthz HTTP/1.1\r\nHost: outer\r\n'.encode()
    responses = converse(daemon.address, head + rest + INNER)
    assert len(responses) <= 1, responses
    assert not any(b'websocket_config' in response.body for response in responses)
    check_serves(daemon)


@pytest.mark.parametrize('rest', [pytest.param(SMUGGLING[name], id=name) for name in (
    'cl-te', 'te-cl', 'cl-cl-differ', 'cl-overflow', 'te-unknown', 'te-space-before-colon')])
def test_upgrade_with_an_uncertain_body(daemon, rest):
    """A proxy that believes in a body and a server that believes in frames."""
    head = Handshake('/echo').encode()[:-2]
    responses = converse(daemon.address, head + rest + INNER)
    assert len(responses) <= 1, responses
    assert not responses or 400 <= responses[0].status <= 501, responses


@pytest.mark.parametrize('rest', [b'Content-Length: 5\r\n\r\nhello', b'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'])
def test_upgrade_with_a_body(daemon, rest):
    """A body is no frame: refused, or read and dropped, never taken for WebSocket data."""
    head = Handshake('/echo').encode()[:-2]
    responses = converse(daemon.address, head + rest)
    assert len(responses) <= 1 and (not responses or responses[0].status in (101, 400, 413, 426)), responses
    check_serves(daemon)


def test_refused_upgrade_is_not_a_tunnel(daemon):
    """A proxy that sees the request to upgrade, not the refusal: what follows must not be served behind its back."""
    handshake = Handshake('/echo').set('Sec-WebSocket-Version', '777').encode()
    responses = converse(daemon.address, handshake + b'GET /metrics HTTP/1.1\r\nHost: inner\r\n\r\n')
    assert responses and responses[0].status in (400, 426)
    assert len(responses) == 1 or responses[1].status == 200, responses
    assert all(response.status != 101 for response in responses)


MALFORMED = {
    'host-twice': b'GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
    'host-twice-same': b'GET /healthz HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n',
    'host-missing': b'GET /healthz HTTP/1.1\r\n\r\n',
    'fold-first': b'GET /healthz HTTP/1.1\r\n Host: a\r\n\r\n',
    'space-before-colon': b'GET /healthz HTTP/1.1\r\nHost: a\r\nX-Name : value\r\n\r\n',
    'no-colon': b'GET /healthz HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n',
    'empty-name': b'GET /healthz HTTP/1.1\r\nHost: a\r\n: value\r\n\r\n',
    'name-control': b'GET /healthz HTTP/1.1\r\nHost: a\r\nX\x01Y: value\r\n\r\n',
    'name-space': b'GET /healthz HTTP/1.1\r\nHost: a\r\nX Y: value\r\n\r\n',
    'value-nul': b'GET /healthz HTTP/1.1\r\nHost: a\r\nX-Name: a\x00b\r\n\r\n',
    'value-bare-cr': b'GET /healthz HTTP/1.1\r\nHost: a\r\nX-Name: a\rInjected: b\r\n\r\n',
    'no-version': b'GET /healthz\r\nHost: a\r\n\r\n',
    'bad-version': b'GET /healthz HTTP/9.9\r\nHost: a\r\n\r\n',
    'version-word': b'GET /healthz HTTPS\r\nHost: a\r\n\r\n',
    'target-space': b'GET /heal thz HTTP/1.1\r\nHost: a\r\n\r\n',
    'target-nul': b'GET /healthz\x00 HTTP/1.1\r\nHost: a\r\n\r\n',
    'target-empty': b'GET  HTTP/1.1\r\nHost: a\r\n\r\n',
    'no-method': b' /healthz HTTP/1.1\r\nHost: a\r\n\r\n',
    'binary': bytes(range(256)) * 4 + b'\r\n\r\n',
    'tls-hello': bytes.fromhex('16030100a5010000a10303') + bytes(160) + b'\r\n\r\n',
    'http2-preface': b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
}


@pytest.mark.parametrize('data', [pytest.param(data, id=name) for name, data in MALFORMED.items()])
def test_malformed_head(daemon, data):
    responses = converse(daemon.address, data)
    assert len(responses) <= 1, responses
    assert not responses or 400 <= responses[0].status <= 505, responses
    check_serves(daemon)


@pytest.mark.parametrize('data', [
    pytest.param(b'GET /healthz HTTP/1.1\nHost: a\nConnection: close\n\n', id='all'),
    pytest.param(b'GET /healthz HTTP/1.1\r\nHost: a\nConnection: close\r\n\r\n', id='one-line'),
    pytest.param(b'GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\n', id='last'),
])
def test_bare_line_feeds(daemon, data):
    """RFC 9112 2.2 lets a recipient take LF for CRLF; one request must stay one request."""
    responses = converse(daemon.address, data + INNER)
    assert len(responses) <= 1, responses
    assert not responses or responses[0].status in (200, 400), responses
    check_serves(daemon)


@pytest.mark.parametrize('data', [
    pytest.param(b'GET /healthz HTTP/1.1\r\nHost: a\r\nX-Folded: one\r\n two\r\n\r\n', id='space'),
    pytest.param(b'GET /healthz HTTP/1.1\r\nHost: a\r\nX-Folded: one\r\n\ttwo\r\n\r\n', id='tab'),
    pytest.param(b'GET /healthz HTTP/1.1\r\nHost: a\r\nX-Folded: one\r\n Content-Length: 40\r\n\r\n', id='hidden-length'),
])
def test_folded_lines(daemon, data):
    """RFC 9112 5.2: refused, or unfolded; a folded line is never a field of its own."""
    responses = converse(daemon.address, data)
    assert len(responses) <= 1 and (not responses or responses[0].status in (200, 400)), responses
    check_serves(daemon)


@pytest.mark.parametrize('method', ['TRACE', 'CONNECT', 'TRACK', 'DEBUG', 'PROPFIND', 'X' * 1000])
def test_strange_methods(daemon, method):
    responses = converse(daemon.address, f'{method} /healthz HTTP/1.1\r\nHost: a\r\nCookie: secret\r\n\r\n'.encode())
    assert len(responses) <= 1 and (not responses or 400 <= responses[0].status <= 505), responses
    assert not any(b'secret' in response.body for response in responses)
    check_serves(daemon)


@pytest.mark.parametrize('target', [
    '/../../../../etc/passwd', '/ws/../../etc/passwd', '/ws/..%2f..%2fetc%2fpasswd', '/%2e%2e/%2e%2e/etc/passwd',
    '/ws/document/%00', '/ws/document/..', '/ws/chat/' + 'a' * 3000, '/ws/%ff%fe', '/ws/document/a%0d%0aSet-Cookie:x=y',
    '//evil.net/ws', '/ws?dialect=%00', '/ws?dialect=../../x', '/ws?' + 'a=b&' * 1000, '/%', '/ws/%zz', '/ws?token=%zz'])
def test_strange_targets(daemon, target):
    response = http_request(daemon.address, Handshake(target).encode())
    assert response is None or response.status != 200, response
    if response is not None:
        assert b'root:' not in response.body
        assert response.get('set-cookie') is None
    check_serves(daemon)


def test_refusals_reflect_no_markup(daemon):
    response = http_get(daemon.address, '/<script>alert(1)</script>')
    assert response.status == 404 or response.status == 400
    assert b'<script>' not in response.body


# Heads and bodies without end

def pour(daemon, head, piece, limit):
    """Sends `head`, then `piece` again and again until the server ends the connection or `limit` bytes are gone."""
    sock = open_socket(daemon.address)
    reader = Reader(sock)
    sent = 0
    deadline = Deadline(DEADLINE)
    try:
        send_all(sock, head, deadline)
        while sent < limit and not reader.eof:
            readable, writable, _ = select.select([sock], [sock], [], deadline.left())
            assert readable or writable, 'neither reads nor ends'
            if readable:
                reader.read_available()
            elif writable:
                try:
                    sent += sock.send(piece)
                except (BrokenPipeError, ConnectionResetError):
                    break
        return sent, bytes(reader.buffer)
    finally:
        sock.close()


@pytest.mark.parametrize('head,piece', [
    pytest.param(b'GET /', b'a' * 65536, id='target'),
    pytest.param(b'', b'G' * 65536, id='method'),
    pytest.param(b'GET /echo HTTP/1.1\r\nHost: a\r\nX-Long: ', b'a' * 65536, id='value'),
    pytest.param(b'GET /echo HTTP/1.1\r\nHost: a\r\n', b'X-Many: b\r\n' * 6000, id='fields'),
    pytest.param(b'GET /echo HTTP/1.1\r\nHost: a\r\n', b'n' * 65536, id='name'),
    pytest.param(b'', b'\r\n' * 32768, id='empty-lines'),
])
def test_head_without_end(daemon, head, piece):
    bystander = Bystander(daemon)
    before = daemon.rss()
    sent, answer = pour(daemon, head, piece, 64 * MIB)
    assert sent < 64 * MIB, 'a head of 64 MiB was taken in'
    assert not answer or answer.split(b' ')[1][:1] in (b'4', b'5'), answer[:100]
    assert daemon.rss() - before < memory_margin(daemon, 8 * MIB)
    bystander.check()


@pytest.mark.parametrize('head', [
    pytest.param(b'POST /api/v1/publish HTTP/1.1\r\nHost: a\r\nContent-Length: 10737418240\r\n\r\n', id='api'),
    pytest.param(b'POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 10737418240\r\n\r\n', id='health'),
    pytest.param(b'GET /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10737418240\r\n\r\n', id='echo'),
    pytest.param(b'POST /emulation HTTP/1.1\r\nHost: a\r\nContent-Length: 10737418240\r\n\r\n', id='emulation'),
])
def test_body_without_end(daemon, head):
    bystander = Bystander(daemon)
    before = daemon.rss()
    sent, answer = pour(daemon, head, b'x' * 65536, 256 * MIB)
    assert not answer or answer.split(b' ')[1][:1] in (b'4', b'5'), answer[:100]
    assert daemon.rss() - before < memory_margin(daemon, 16 * MIB)
    bystander.check()
    assert sent < 256 * MIB, 'a body of 256 MiB was read to its end'


def test_chunked_body_without_end(daemon):
    bystander = Bystander(daemon)
    before = daemon.rss()
    head = b'POST /api/v1/publish HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
    sent, _ = pour(daemon, head, b'8000\r\n' + b'x' * 32768 + b'\r\n', 256 * MIB)
    assert sent < 256 * MIB, 'a body of 256 MiB was read to its end'
    assert daemon.rss() - before < memory_margin(daemon, 16 * MIB)
    bystander.check()


def test_pipelined_requests(daemon):
    """A hundred at once: the first is answered and says that it is the last."""
    sock = open_socket(daemon.address)
    try:
        send_all(sock, b'GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n' * 100)
        reader = Reader(sock)
        response = read_response(reader)
        assert response.status == 200 and 'close' in response.tokens('connection')
        assert read_response(reader) is None
    finally:
        sock.close()
    check_serves(daemon)


def test_no_version_is_told(daemon):
    """Neither in a field nor in a page: library names and versions are a gift to attackers."""
    for target in ('/healthz', '/nobody', '/ws'):
        response = http_get(daemon.address, target)
        assert response.get('server') is None or not any(c.isdigit() for c in response.get('server')), response
        assert b'libsoup' not in response.body
