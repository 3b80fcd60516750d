# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tokens that must not open the door (RFC 8725), and how each contract says no."""

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from choir_test import DIALECTS, Client, Daemon, Handshake, RawWs, Violation, connect, http_request, mint

from conftest import OPEN_DIALECTS, OPEN_LIMITS


def b64(data):
    if isinstance(data, (dict, list)):
        data = json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b'=').decode()


def sign_by_hand(header, payload, key, digest=hashlib.sha256):
    head = f'{b64(header)}.{b64(payload)}'
    return head + '.' + b64(hmac.new(key, head.encode(), digest).digest())


def claims(**more):
    now = int(time.time())
    return {'sub': 'mallory', 'iat': now, 'exp': now + 600, 'type': 'access', **more}


class Keys:
    def __init__(self, directory):
        self.rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.other_rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.rsa_public = self.public(self.rsa)
        self.rsa_file = directory / 'rsa.pem'
        self.rsa_file.write_bytes(self.rsa_public)
        self.ec_file = directory / 'ec.pem'
        self.ec_file.write_bytes(self.public(self.ec))

    @staticmethod
    def public(key):
        return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture(scope='module')
def keys(tmp_path_factory):
    return Keys(tmp_path_factory.mktemp('keys'))


@pytest.fixture(scope='module')
def shared_daemon(keys):
    daemon = Daemon({**OPEN_LIMITS, 'auth.issuer': 'https://issuer.example', 'auth.audience': 'choir', 'auth.leeway': '1s'},
                    config=OPEN_DIALECTS)
    daemon.settings['auth.key'] += f';RS256:rsa:{keys.rsa_file};ES256:ec:{keys.ec_file}'
    daemon.start()
    yield daemon
    daemon.stop()


def good(daemon, **more):
    return daemon.mint('alice', iss='https://issuer.example', aud='choir', **more)


GOOD = {'iss': 'https://issuer.example', 'aud': 'choir'}


def flip(token, segment, at=3):
    parts = token.split('.')
    text = parts[segment]
    parts[segment] = text[:at] + ('A' if text[at] != 'A' else 'B') + text[at + 1:]
    return '.'.join(parts)


def payload_swapped(token, **more):
    head, _, signature = token.split('.')
    return f'{head}.{b64(claims(**GOOD, **more))}.{signature}'


BAD = {
    'garbage': lambda d, k: 'not-a-token',
    'one-dot': lambda d, k: 'a.b',
    'two-dots': lambda d, k: '..',
    'four-parts': lambda d, k: good(d) + '.x',
    'trailing-dot': lambda d, k: good(d) + '.',
    'alg-none': lambda d, k: f'{b64({"alg": "none", "typ": "JWT"})}.{b64(claims(**GOOD))}.',
    'alg-None': lambda d, k: f'{b64({"alg": "None"})}.{b64(claims(**GOOD))}.',
    'alg-NONE': lambda d, k: f'{b64({"alg": "NONE"})}.{b64(claims(**GOOD))}.',
    'alg-nOnE': lambda d, k: f'{b64({"alg": "nOnE"})}.{b64(claims(**GOOD))}.',
    'alg-none-signature-kept': lambda d, k: f'{b64({"alg": "none"})}.{b64(claims(**GOOD))}.' + good(d).split('.')[2],
    'alg-none-two-parts': lambda d, k: f'{b64({"alg": "none"})}.{b64(claims(**GOOD))}',
    'alg-empty': lambda d, k: sign_by_hand({'alg': ''}, claims(**GOOD), d.key.encode()),
    'alg-missing': lambda d, k: sign_by_hand({'typ': 'JWT'}, claims(**GOOD), d.key.encode()),
    'alg-null': lambda d, k: sign_by_hand({'alg': None}, claims(**GOOD), d.key.encode()),
    'alg-number': lambda d, k: sign_by_hand({'alg': 256}, claims(**GOOD), d.key.encode()),
    'alg-list': lambda d, k: sign_by_hand({'alg': ['HS256']}, claims(**GOOD), d.key.encode()),
    'alg-lower-case': lambda d, k: sign_by_hand({'alg': 'hs256'}, claims(**GOOD), d.key.encode()),
    'hs256-with-rsa-public-key': lambda d, k: sign_by_hand({'alg': 'HS256', 'typ': 'JWT'}, claims(**GOOD), k.rsa_public),
    'hs256-with-rsa-public-key-kid': lambda d, k: sign_by_hand({'alg': 'HS256', 'kid': 'rsa'}, claims(**GOOD), k.rsa_public),
    'hs256-with-rsa-public-key-stripped': lambda d, k: sign_by_hand({'alg': 'HS256'}, claims(**GOOD), k.rsa_public.strip()),
    'hs256-kid-of-rsa': lambda d, k: sign_by_hand({'alg': 'HS256', 'kid': 'rsa'}, claims(**GOOD), d.key.encode()),
    'hs384-with-hs256-key': lambda d, k: mint(d.key, headers=None, algorithm='HS384', **GOOD),
    'hs512-with-hs256-key': lambda d, k: mint(d.key, algorithm='HS512', **GOOD),
    'empty-key': lambda d, k: sign_by_hand({'alg': 'HS256'}, claims(**GOOD), b''),
    'wrong-key': lambda d, k: mint('x' * 64, **GOOD),
    'rs256-other-key': lambda d, k: mint(k.other_rsa, algorithm='RS256', **GOOD),
    'rs256-other-key-kid': lambda d, k: mint(k.other_rsa, algorithm='RS256', headers={'kid': 'rsa'}, **GOOD),
    'rs512-with-rs256-key': lambda d, k: mint(k.rsa, algorithm='RS512', **GOOD),
    'ps256-with-rs256-key': lambda d, k: mint(k.rsa, algorithm='PS256', **GOOD),
    'es256-zero-signature': lambda d, k: f'{b64({"alg": "ES256", "kid": "ec"})}.{b64(claims(**GOOD))}.' + b64(bytes(64)),
    'es256-short-signature': lambda d, k: f'{b64({"alg": "ES256", "kid": "ec"})}.{b64(claims(**GOOD))}.' + b64(bytes(8)),
    'kid-unknown': lambda d, k: good(d, headers={'kid': 'nobody'}),
    'kid-path': lambda d, k: sign_by_hand({'alg': 'HS256', 'kid': '../../../dev/null'}, claims(**GOOD), b''),
    'kid-sql': lambda d, k: sign_by_hand({'alg': 'HS256', 'kid': "' UNION SELECT 'x"}, claims(**GOOD), b'x'),
    'kid-number': lambda d, k: sign_by_hand({'alg': 'HS256', 'kid': 1}, claims(**GOOD), b'x'),
    'jwk-embedded': lambda d, k: mint(k.other_rsa, algorithm='RS256', headers={
        'jwk': json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(k.other_rsa.public_key()))}, **GOOD),
    'jku': lambda d, k: mint(k.other_rsa, algorithm='RS256', headers={'jku': 'http://127.0.0.1:1/keys'}, **GOOD),
    'crit-unknown': lambda d, k: good(d, headers={'crit': ['novelty'], 'novelty': True}),
    'expired': lambda d, k: good(d, ttl=-60),
    'expired-long-ago': lambda d, k: good(d, exp=1),
    'exp-zero': lambda d, k: good(d, exp=0),
    'exp-negative': lambda d, k: good(d, exp=-1),
    'exp-missing': lambda d, k: good(d, exp=None),
    'exp-text': lambda d, k: sign_by_hand({'alg': 'HS256'}, {**claims(**GOOD), 'exp': 'tomorrow'}, d.key.encode()),
    'exp-list': lambda d, k: sign_by_hand({'alg': 'HS256'}, {**claims(**GOOD), 'exp': [9999999999]}, d.key.encode()),
    'nbf-future': lambda d, k: good(d, nbf=int(time.time()) + 600),
    'sub-missing': lambda d, k: mint(d.key, sub=None, **GOOD),
    'sub-empty': lambda d, k: mint(d.key, sub='', **GOOD),
    'sub-number': lambda d, k: sign_by_hand({'alg': 'HS256'}, {**claims(**GOOD), 'sub': 7}, d.key.encode()),
    'sub-object': lambda d, k: sign_by_hand({'alg': 'HS256'}, {**claims(**GOOD), 'sub': {'id': 7}}, d.key.encode()),
    'sub-control': lambda d, k: mint(d.key, sub='a\nb', **GOOD),
    'sub-huge': lambda d, k: mint(d.key, sub='a' * 300, **GOOD),
    'aud-wrong': lambda d, k: d.mint(iss='https://issuer.example', aud='somebody-else'),
    'aud-missing': lambda d, k: d.mint(iss='https://issuer.example'),
    'aud-prefix': lambda d, k: d.mint(iss='https://issuer.example', aud='choi'),
    'aud-list-without': lambda d, k: d.mint(iss='https://issuer.example', aud=['a', 'b']),
    'aud-empty-list': lambda d, k: d.mint(iss='https://issuer.example', aud=[]),
    'iss-wrong': lambda d, k: d.mint(iss='https://issuer.example.evil.net', aud='choir'),
    'iss-missing': lambda d, k: d.mint(aud='choir'),
    'payload-swapped': lambda d, k: payload_swapped(good(d)),
    'payload-not-json': lambda d, k: sign_by_hand({'alg': 'HS256'}, b'not json', d.key.encode()),
    'payload-list': lambda d, k: sign_by_hand({'alg': 'HS256'}, [claims(**GOOD)], d.key.encode()),
    'payload-empty': lambda d, k: sign_by_hand({'alg': 'HS256'}, b'', d.key.encode()),
    'payload-deep': lambda d, k: sign_by_hand({'alg': 'HS256'}, b'[' * 2000 + b']' * 2000, d.key.encode()),
    'header-not-json': lambda d, k: sign_by_hand(b'{"alg"', claims(**GOOD), d.key.encode()),
    'header-list': lambda d, k: sign_by_hand(['HS256'], claims(**GOOD), d.key.encode()),
    'header-flipped': lambda d, k: flip(good(d), 0),
    'payload-flipped': lambda d, k: flip(good(d), 1),
    'signature-flipped': lambda d, k: flip(good(d), 2),
    'signature-missing': lambda d, k: good(d).rpartition('.')[0] + '.',
    'signature-cut-off': lambda d, k: good(d).rpartition('.')[0],
    'signature-short': lambda d, k: good(d)[:-10],
    'signature-one-short': lambda d, k: good(d)[:-1],
    'signature-longer': lambda d, k: good(d) + 'AAAA',
    'truncated-half': lambda d, k: good(d)[:len(good(d)) // 2],
    'padded': lambda d, k: good(d) + '=',
    'std-alphabet': lambda d, k: '+/+/.' + good(d).split('.', 1)[1],
    'space-before': lambda d, k: '%20' + good(d),
    'newline-behind': lambda d, k: good(d) + '%0a',
    'nul-behind': lambda d, k: good(d) + '%00',
    'quotes': lambda d, k: '%22' + good(d) + '%22',
    'bearer-in-value': lambda d, k: 'Bearer%20' + good(d),
    'jwe-shape': lambda d, k: 'eyJhbGciOiJkaXIifQ....',
}


def refuse_before_upgrade(daemon, target, *statuses, headers=()):
    handshake = Handshake(target)
    for name, value in headers:
        handshake.add(name, value)
    response = http_request(daemon.address, handshake.encode())
    assert response is not None and response.status in statuses, response
    problem = response.assert_problem(response.status)
    assert 'www-authenticate' not in [k.lower() for k, _ in response.fields] or response.status == 401
    return problem


@pytest.mark.parametrize('make', [pytest.param(make, id=name) for name, make in BAD.items()])
def test_bad_token_in_the_query(daemon, keys, make):
    refuse_before_upgrade(daemon, '/ws?token=' + make(daemon, keys), 401)


@pytest.mark.parametrize('name', ['garbage', 'alg-none', 'wrong-key', 'expired', 'signature-flipped', 'aud-wrong'])
def test_bad_token_in_the_authorization_field(daemon, keys, name):
    token = BAD[name](daemon, keys)
    refuse_before_upgrade(daemon, '/ws', 401, headers=[('Authorization', f'Bearer {token}')])


def check_no_session(daemon, target, headers=()):
    """Refused with 401, or let in as far as the `auth` message and no further."""
    ws = RawWs(daemon.address)
    handshake = Handshake(target)
    for name, value in headers:
        handshake.add(name, value)
    response = ws.handshake(handshake)
    if response.status != 101:
        response.assert_problem(401)
        return
    with Client(ws, DIALECTS['choir']) as client:
        client.send({'type': 'subscribe', 'payload': {'channels': [{'channel': 'chat:secret'}]}})
        try:
            message = client.wait_for(lambda m: m['type'] != 'connection.established')
        except Violation:
            return
        client.dialect.error(message, 'AUTH_ERROR')
        assert not any(m['type'] == 'subscription.confirmed' for m in client.seen)


@pytest.mark.parametrize('value', ['Basic YWxpY2U6c2VjcmV0', 'Bearer', 'Bearer  ', 'bearer', 'Digest a=b', ''])
def test_bad_authorization_field(daemon, value):
    check_no_session(daemon, '/ws', [('Authorization', value)])


@pytest.mark.parametrize('target', ['/ws', '/ws?token', '/ws?token=', '/ws?token=&token=', '/ws?Token=x', '/ws?x=1;token=y'])
def test_no_token(daemon, target):
    check_no_session(daemon, target)


@pytest.mark.parametrize('target', ['/ws?dialect=netra-spec', '/ws?dialect=netra-spec&token='])
def test_no_token_of_netra_spec(daemon, target):
    """Contract B: verified before the upgrade, always."""
    refuse_before_upgrade(daemon, target, 401)


def test_no_token_of_netra(daemon):
    with RawWs.open(daemon.address, '/ws?dialect=netra&client_id=c') as ws:
        assert ws.recv_close(skip_data=True).code == 4000


def test_no_token_and_no_message(start):
    daemon = start({'auth.auth-timeout': '500ms'})
    ws = RawWs(daemon.address)
    response = ws.handshake(Handshake('/ws'))
    if response.status == 101:
        assert ws.recv_close(skip_data=True).code == 4001
    ws.close()


def test_refusals_do_not_tell_signature_from_claims(daemon, keys):
    """An attacker learns nothing about why a signature failed."""
    details = set()
    for name in ('wrong-key', 'signature-flipped', 'payload-swapped', 'hs256-with-rsa-public-key'):
        problem = refuse_before_upgrade(daemon, '/ws?token=' + BAD[name](daemon, keys), 401)
        details.add((problem.get('title'), problem.get('detail')))
    assert len(details) == 1, details


SAMPLE = ('garbage', 'alg-none', 'hs256-with-rsa-public-key', 'expired', 'aud-wrong', 'signature-flipped', 'truncated-half')


def sample():
    return pytest.mark.parametrize('name', SAMPLE)


@sample()
def test_netra_closes_4000(daemon, keys, name):
    with RawWs.open(daemon.address, f'/ws?dialect=netra&client_id=c&token={BAD[name](daemon, keys)}') as ws:
        close = ws.recv_close(skip_data=True)
        assert close.code == 4000 and close.reason == 'Authentication failed', close
        ws.send_close(4000)
        ws.expect_eof()


@pytest.mark.parametrize('type_', [None, 'refresh', ''])
def test_netra_wants_an_access_token(daemon, type_):
    token = good(daemon, type=type_)
    with RawWs.open(daemon.address, f'/ws?dialect=netra&client_id=c&token={token}') as ws:
        assert ws.recv_close(skip_data=True).code == 4000


@sample()
def test_netra_spec_answers_401(daemon, keys, name):
    refuse_before_upgrade(daemon, f'/ws?dialect=netra-spec&token={BAD[name](daemon, keys)}', 401)


@sample()
def test_jddb_closes_1008(daemon, keys, name):
    with RawWs.open(daemon.address, f'/ws/document/d?token={BAD[name](daemon, keys)}') as ws:
        close = ws.recv_close(skip_data=True)
        assert close.code == 1008, close
        assert close.reason == ('Token expired' if name == 'expired' else 'Invalid token'), close


def test_jddb_without_a_token(daemon):
    with RawWs.open(daemon.address, '/ws/document/d') as ws:
        assert ws.recv_close(skip_data=True) == (1008, 'Missing authentication')


def test_jddb_without_the_permission(daemon):
    token = good(daemon, permissions=('document:other:read',))
    with RawWs.open(daemon.address, f'/ws/document/d?token={token}') as ws:
        assert ws.recv_close(skip_data=True) == (1008, 'Unauthorized')


@sample()
def test_reviewpoint_answers_401(daemon, keys, name):
    refuse_before_upgrade(daemon, f'/ws/{BAD[name](daemon, keys)}', 401)


@sample()
def test_tripsage_answers_and_closes_4001(daemon, keys, name):
    with RawWs.open(daemon.address, '/ws/chat/s') as ws:
        ws.send_json({'token': BAD[name](daemon, keys), 'sessionId': 's', 'channels': []})
        while 'success' not in (answer := ws.recv_json()):
            pass
        assert answer['success'] is False and answer['error'], answer
        assert ws.recv_close().code == 4001


@pytest.mark.parametrize('first', [
    pytest.param({'type': 'chat_message', 'payload': {'content': 'x', 'role': 'user'}}, id='chat'),
    pytest.param({'type': 'subscribe', 'payload': {'channels': ['chat:s']}}, id='subscribe'),
    pytest.param({'token': 7, 'sessionId': 's'}, id='token-number'),
    pytest.param({'token': None}, id='token-null'),
    pytest.param({'token': {'a': 1}, 'sessionId': []}, id='token-object'),
])
def test_tripsage_does_nothing_before_it_knows_the_user(daemon, first):
    with RawWs.open(daemon.address, '/ws/chat/s') as ws:
        ws.send_json(first)
        while ws.recv_close(skip_data=True).code != 4001:
            pass


def test_tripsage_without_a_first_message(start):
    daemon = start({'auth.auth-timeout': '500ms'})
    with RawWs.open(daemon.address, '/ws/chat/s') as ws:
        assert ws.recv_close(skip_data=True).code == 4001


@pytest.mark.parametrize('size', [9000, 16000, 70000, 1000000])
def test_oversized_token(daemon, size):
    """Refused by length, before anything looks inside."""
    response = http_request(daemon.address, Handshake('/ws?token=' + 'a' * size).encode())
    assert response is None or response.status in (400, 401, 413, 414, 431), response


@pytest.mark.parametrize('size', [9000, 70000])
def test_oversized_authorization_field(daemon, size):
    handshake = Handshake('/ws').add('Authorization', 'Bearer ' + 'a' * size)
    response = http_request(daemon.address, handshake.encode())
    assert response is None or response.status in (400, 401, 413, 431), response


# And those that must open it, so that the refusals above mean something

@pytest.mark.parametrize('make', [
    pytest.param(lambda d, k: good(d), id='hs256'),
    pytest.param(lambda d, k: good(d, headers={'kid': 'main'}), id='hs256-kid'),
    pytest.param(lambda d, k: mint(k.rsa, algorithm='RS256', **GOOD), id='rs256'),
    pytest.param(lambda d, k: mint(k.rsa, algorithm='RS256', headers={'kid': 'rsa'}, **GOOD), id='rs256-kid'),
    pytest.param(lambda d, k: mint(k.ec, algorithm='ES256', headers={'kid': 'ec'}, **GOOD), id='es256'),
    pytest.param(lambda d, k: d.mint(iss='https://issuer.example', aud=['other', 'choir']), id='aud-list'),
    pytest.param(lambda d, k: good(d, nbf=int(time.time()) - 5), id='nbf-past'),
    pytest.param(lambda d, k: good(d, extra={'a': [1, 2, {'b': None}]}), id='extra-claims'),
    pytest.param(lambda d, k: good(d, name='Алиса 😀'), id='unicode-name'),
])
def test_good_token(daemon, keys, make):
    with connect(daemon, token=make(daemon, keys)) as client:
        client.check_alive()


def test_good_token_in_the_authorization_field(daemon):
    with connect(daemon, target='/ws', headers=[('Authorization', 'Bearer ' + good(daemon))]) as client:
        client.check_alive()


def test_token_of_the_command_line(start):
    daemon = start()
    token = daemon.cli_token('--sub', 'carol', '--permission', 'chat:*:read', '--role', 'member', '--ttl', '1h')
    body = jwt.decode(token, daemon.key, algorithms=['HS256'])
    assert body['sub'] == 'carol' and body['permissions'] == ['chat:*:read'], body
    assert 3500 <= body['exp'] - time.time() <= 3700
    with connect(daemon, token=token) as client:
        client.check_alive()


def test_expiry_while_connected(start):
    daemon = start({'auth.leeway': '0s'})
    with connect(daemon, token=daemon.mint(ttl=3)) as client:
        assert client.ws.recv_close(skip_data=True).code == 4003


def test_tokens_are_never_logged(start):
    daemon = start({'log.level': 'debug'})
    token = daemon.mint('logged')
    bad = mint('x' * 64, 'not-logged')
    with connect(daemon, token=token) as client:
        client.check_alive()
    http_request(daemon.address, Handshake('/ws?token=' + bad).encode())
    http_request(daemon.address, Handshake('/ws/' + bad).encode())
    with RawWs.open(daemon.address) as ws:
        ws.ping_barrier()
    log = daemon.log(10000)
    for secret in (token, bad, daemon.key):
        for part in secret.split('.')[1:] or [secret]:
            assert part not in log
