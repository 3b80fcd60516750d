# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Origins: who may connect from a browser, and the spellings that must not get by (contract B, RFC 6455 10.2)."""

import pytest

from choir_test import Daemon, Handshake, RawWs, http_get, http_request

from conftest import OPEN_LIMITS


@pytest.fixture(scope='module')
def production():
    daemon = Daemon({
        **OPEN_LIMITS,
        'origin.environment': 'production',
        'origin.allowed-production': 'https://*.example.com;https://app.example.org;https://port.example.org:8443',
    }).start()
    yield daemon
    daemon.stop()


def attempt(daemon, origins, dialect='choir'):
    handshake = Handshake(f'/ws?dialect={dialect}&token={daemon.mint()}')
    for origin in origins:
        handshake.add('Origin', origin)
    return http_request(daemon.address, handshake.encode())


ALLOWED = ['https://a.example.com', 'https://www.example.com', 'https://a-b.example.com', 'https://app.example.org',
           'https://port.example.org:8443', 'https://xn--e1aybc.example.com']

REFUSED = {
    'suffix-attack': 'https://example.com.evil.net',
    'suffix-attack-label': 'https://a.example.com.evil.net',
    'prefix-attack': 'https://evil-example.com',
    'prefix-attack-2': 'https://evilexample.com',
    'bare-domain': 'https://example.com',
    'two-labels': 'https://a.b.example.com',
    'empty-label': 'https://.example.com',
    'scheme': 'http://a.example.com',
    'ws-scheme': 'wss://a.example.com',
    'port': 'https://a.example.com:8443',
    'other-port': 'https://port.example.org:8444',
    'no-port': 'https://port.example.org',
    'longer-port': 'https://port.example.org:84430',
    'trailing-dot': 'https://a.example.com.',
    'path': 'https://a.example.com/',
    'path-attack': 'https://evil.net/.example.com',
    'query': 'https://evil.net?.example.com',
    'fragment': 'https://evil.net#.example.com',
    'fragment-2': 'https://a.example.com#x',
    'user-info': 'https://a.example.com@evil.net',
    'user-info-2': 'https://evil.net@a.example.com',
    'user-info-3': 'https://user:pw@a.example.com',
    'backslash': 'https://evil.net\\.example.com',
    'null': 'null',
    'null-upper': 'NULL',
    'empty': '',
    'scheme-only': 'https://',
    'no-scheme': 'a.example.com',
    'scheme-relative': '//a.example.com',
    'star': '*',
    'wildcard-itself': 'https://*.example.com',
    'list': 'https://a.example.com, https://evil.net',
    'list-space': 'https://evil.net https://a.example.com',
    'file': 'file://',
    'javascript': 'javascript:alert(1)',
    'extension': 'chrome-extension://abcdef',
    'percent': 'https://a%2eexample.com',
    'percent-nul': 'https://evil.net%00.example.com',
    'cyrillic': 'https://а.example.com',
    'full-width-dot': 'https://evil.net\uff0eexample.com',
    'space-inside': 'https://evil.net .example.com',
    'tab-inside': 'https://evil.net\t.example.com',
    'localhost': 'http://localhost:3000',
    'address': 'https://127.0.0.1',
    'ipv6': 'https://[::1]',
    'underscore': 'https://evil_.example.com/',
    'huge': 'https://' + 'a' * 5000 + '.example.com',
    'colon-only-port': 'https://a.example.com:',
    'port-word': 'https://a.example.com:https',
    'port-negative': 'https://a.example.com:-443',
}


@pytest.mark.parametrize('origin', ALLOWED)
@pytest.mark.parametrize('dialect', ['choir', 'netra-spec'])
def test_allowed(production, origin, dialect):
    assert attempt(production, [origin], dialect).status == 101


@pytest.mark.parametrize('origin', [pytest.param(origin, id=name) for name, origin in REFUSED.items()])
def test_refused(production, origin):
    response = attempt(production, [origin])
    assert response.status == 403, response
    response.assert_problem(403)


@pytest.mark.parametrize('name', ['suffix-attack', 'prefix-attack', 'null', 'scheme', 'user-info', 'localhost'])
@pytest.mark.parametrize('dialect', ['netra', 'netra-spec', 'reviewpoint', 'tripsage', 'jddb'])
def test_refused_in_every_dialect(production, name, dialect):
    """Before the upgrade, whatever the contract does about tokens."""
    assert attempt(production, [REFUSED[name]], dialect).status == 403


@pytest.mark.parametrize('origins', [
    ['https://a.example.com', 'https://evil.net'], ['https://evil.net', 'https://a.example.com'],
    ['https://a.example.com', 'https://a.example.com']])
def test_two_origin_fields(production, origins):
    assert attempt(production, origins).status in (400, 403)


def test_origin_is_judged_before_the_token(production):
    """A foreign page can't probe tokens."""
    handshake = Handshake('/ws?token=bad').add('Origin', 'https://evil.net')
    assert http_request(production.address, handshake.encode()).status == 403


def test_no_origin_is_no_browser(production):
    assert attempt(production, []).status == 101


def test_no_origin_can_be_refused(start):
    daemon = start({'origin.allow-no-origin': 'no'})
    assert attempt(daemon, []).status == 403
    assert attempt(daemon, ['http://localhost:3000']).status == 101


@pytest.mark.parametrize('origin,status', [
    ('http://localhost:3000', 101), ('http://127.0.0.1:5173', 101), ('https://localhost:8443', 101),
    ('http://localhost.evil.net:3000', 403), ('http://localhost:3000.evil.net', 403), ('http://127.0.0.1.evil.net:80', 403),
    ('http://localhost:abc', 403), ('http://localhost:99999', 403), ('http://evil.net:3000', 403),
    ('http://localhost:3000/', 403), ('http://localhost:3000@evil.net', 403), ('null', 403)])
def test_development_defaults(daemon, origin, status):
    assert attempt(daemon, [origin]).status == status


def test_staging_takes_development_as_well(start):
    daemon = start({'origin.environment': 'staging', 'origin.allowed-staging': 'https://staging.example.com',
                    'origin.allowed-production': 'https://www.example.com'})
    assert attempt(daemon, ['https://staging.example.com']).status == 101
    assert attempt(daemon, ['http://localhost:3000']).status == 101
    assert attempt(daemon, ['https://www.example.com']).status == 403


@pytest.mark.parametrize('origin,allowed', [
    ('https://a.example.com', True), ('https://evil.net', False), ('null', False), ('https://example.com.evil.net', False)])
def test_cors_names_only_allowed_origins(production, origin, allowed):
    response = http_get(production.address, '/ws/config', [('Origin', origin)])
    shown = response.get('access-control-allow-origin')
    assert shown != '*'
    assert (shown == origin) if allowed else (shown is None), response
    if allowed:
        assert 'origin' in response.tokens('vary')


def test_echo_honours_no_foreign_page(production):
    """The conformance end point is no way round: nothing but frames passes through it."""
    with RawWs.open(production.address) as ws:
        ws.send_text('{"type":"ping"}')
        ws.expect_echo(1, '{"type":"ping"}')
