# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Admission and rates: per user, per address, overall, and per second."""

import json

import pytest

from choir_test import TEXT, EndOfStream, Handshake, RawWs, build_frame, connect, http_request

# The loopback is a trusted proxy by default, and those are not counted
NO_PROXY = {'server.trusted-proxies': '192.0.2.1'}


def attempt(daemon, sub='alice', dialect='choir', headers=(), target=None):
    """(connection or None, response). The connection is open when the status is 101."""
    ws = RawWs(daemon.address)
    handshake = Handshake(target or f'/ws?dialect={dialect}&token={daemon.mint(sub)}')
    for name, value in headers:
        handshake.add(name, value)
    response = ws.handshake(handshake)
    if response is not None and response.status == 101:
        return ws, response
    ws.close()
    return None, response


def check_retry_after(response):
    assert int(response.get('retry-after')) >= 0, response


# Per user

@pytest.mark.parametrize('dialect,code', [('choir', 4009), ('netra', 4009), ('netra-spec', 4008)])
def test_one_too_many_evicts_the_oldest(start, dialect, code):
    daemon = start({'server.max-connections-per-user': '3'})
    clients = [connect(daemon, dialect) for _ in range(4)]
    assert clients[0].ws.recv_close(skip_data=True).code == code
    for client in clients[1:]:
        client.check_alive()
    with connect(daemon, dialect, token=daemon.mint('bob')) as other:
        other.check_alive()


def test_five_by_default(start):
    daemon = start({'server.max-connections-per-user': None})
    clients = [connect(daemon) for _ in range(5)]
    for client in clients:
        client.check_alive()
    sixth = connect(daemon)
    assert clients[0].ws.recv_close(skip_data=True).code == 4009
    sixth.check_alive()


def test_one_too_many_is_refused(start):
    daemon = start({'server.max-connections-per-user': '2', 'server.per-user-policy': 'reject'})
    first, second = connect(daemon), connect(daemon)
    _, response = attempt(daemon)
    response.assert_problem(429)
    check_retry_after(response)
    first.check_alive()
    second.check_alive()
    second.ws.finish()
    until_admitted(daemon)


def until_admitted(daemon):
    """A place is free as soon as the server has seen the connection end."""
    for _ in range(50):
        ws, _ = attempt(daemon)
        if ws is not None:
            ws.close()
            return
    pytest.fail('the place was not given back')


def test_reviewpoint_refuses_the_fourth(start):
    daemon = start({'server.max-connections-per-user': None})
    clients = [connect(daemon, 'reviewpoint') for _ in range(3)]
    _, response = attempt(daemon, target='/ws/' + daemon.mint())
    response.assert_problem(429)
    for client in clients:
        client.check_alive()


# Overall

def test_full_house(start):
    daemon = start({'server.max-connections': '3'})
    clients = [connect(daemon, token=daemon.mint(f'u{i}')) for i in range(3)]
    _, response = attempt(daemon, 'late')
    response.assert_problem(503)
    check_retry_after(response)
    for client in clients:
        client.check_alive()


def test_full_house_of_netra(start):
    daemon = start({'server.max-connections': '2'})
    clients = [connect(daemon, 'netra', token=daemon.mint(f'u{i}')) for i in range(2)]
    with RawWs.open(daemon.address, f'/ws?dialect=netra&client_id=c&token={daemon.mint("late")}') as ws:
        assert ws.recv_close(skip_data=True) == (1013, 'Server at capacity')
    for client in clients:
        client.check_alive()


def test_full_house_empties(start):
    daemon = start({'server.max-connections': '1'})
    with connect(daemon) as client:
        client.ws.finish()
    until_admitted(daemon)


# Per address

def test_connections_per_address(start):
    daemon = start({'server.max-connections-per-address': '3', **NO_PROXY})
    clients = [connect(daemon, token=daemon.mint(f'u{i}')) for i in range(3)]
    try:
        ws, response = attempt(daemon, 'late')
        assert ws is None and (response is None or response.status in (429, 503)), response
    except (EndOfStream, OSError):
        pass
    for client in clients:
        client.check_alive()


def test_addresses_behind_a_trusted_proxy(start):
    """Each forwarded address has its own account."""
    daemon = start({'server.max-connections-per-address': '2'})
    kept = []
    for i in range(6):
        ws, response = attempt(daemon, f'u{i}', headers=[('X-Forwarded-For', f'192.0.2.{i // 2}')])
        assert ws is not None, (i, response)
        kept.append(ws)
    ws, response = attempt(daemon, 'late', headers=[('X-Forwarded-For', '192.0.2.0')])
    assert ws is None and response.status in (429, 503), response


def test_only_the_last_untrusted_hop_counts(start):
    """What a client wrote in front of its proxy's entry is hearsay."""
    daemon = start({'server.max-connections-per-address': '2'})
    kept = []
    for i in range(2):
        ws, response = attempt(daemon, f'u{i}', headers=[('X-Forwarded-For', f'198.51.100.{i}, 192.0.2.1')])
        assert ws is not None, response
        kept.append(ws)
    ws, response = attempt(daemon, 'late', headers=[('X-Forwarded-For', '198.51.100.77, 192.0.2.1')])
    assert ws is None and response.status in (429, 503), response


@pytest.mark.parametrize('field', ['X-Forwarded-For', 'Forwarded'])
def test_forwarding_by_strangers_is_not_believed(start, field):
    daemon = start({'server.max-connections-per-address': '2', 'server.trusted-proxies': '192.0.2.1'})
    kept = []
    results = []
    for i in range(4):
        value = f'198.51.100.{i}' if field != 'Forwarded' else f'for=198.51.100.{i}'
        try:
            ws, _ = attempt(daemon, f'u{i}', headers=[(field, value)])
        except (EndOfStream, OSError):
            ws = None
        results.append(ws is not None)
        kept.append(ws)
    assert results == [True, True, False, False], results


@pytest.mark.parametrize('value', ['', ',', 'unknown', 'not an address', '999.999.999.999', '::1::2', 'a' * 5000, '192.0.2.1, ,'])
def test_broken_forwarding_fields(daemon, value):
    ws, response = attempt(daemon, headers=[('X-Forwarded-For', value)])
    assert ws is not None or response.status == 400, response


def test_connections_per_second(start):
    daemon = start({'rate.connect-per-address': '5/60s', **NO_PROXY})
    statuses = []
    for i in range(8):
        try:
            response = http_request(daemon.address, Handshake().encode())
        except OSError:
            response = None
        statuses.append(response.status if response else None)
    assert statuses[:5] == [101] * 5, statuses
    assert all(status in (429, 503, None) for status in statuses[5:]), statuses


# Rates of messages

def test_rate_of_choir(start):
    daemon = start({'rate.default': '5/60s', 'rate.burst-queue': '0'})
    with connect(daemon) as client:
        for i in range(8):
            client.send({'type': 'ping', 'payload': {'ping_id': f'{i}'}, 'correlation_id': f'{i}'})
        for i in range(5):
            assert client.wait_type('pong')['payload']['ping_id'] == f'{i}'
        for i in range(5, 8):
            message = client.wait_for(client.dialect.is_error)
            body = client.dialect.error(message, 'RATE_LIMIT_EXCEEDED')
            assert 0 < body['retry_after'] <= 61, body
        # Refused, not cut off
        client.ws.ping_barrier()


@pytest.mark.parametrize('dialect,limit', [('netra', 30), ('reviewpoint', 100)])
def test_rates_of_the_contracts(start, dialect, limit):
    daemon = start({'rate.default': None})
    with connect(daemon, dialect) as client:
        message, answer = client.dialect.ping
        for _ in range(limit + 3):
            client.send(message)
        for _ in range(limit):
            client.wait_type(answer)
        for _ in range(3):
            body = client.wait_error('RATE_LIMIT_EXCEEDED')
            assert body['retry_after'] > 0
        client.ws.ping_barrier()


def test_rate_of_jddb(start):
    daemon = start({'rate.default': None})
    with connect(daemon, 'jddb') as client:
        message, answer = client.dialect.ping
        # at once, so that they are all of one second
        client.ws.send_raw(build_frame(TEXT, json.dumps(message)) * 15)
        for _ in range(10):
            assert client.recv()['type'] == answer
        for _ in range(5):
            assert client.recv() == {'type': 'error', 'error': 'Rate limit exceeded'}
        client.ws.ping_barrier()


def test_burst_is_queued_by_netra_spec(start):
    """Contract B: a short burst is held back rather than dropped."""
    daemon = start({'rate.default': None}, config='[dialect netra-spec]\nrate=5/1s\nburst-queue=10\n')
    with connect(daemon, 'netra-spec') as client:
        for i in range(12):
            client.send({'type': 'ping', 'payload': {'n': i}})
        for _ in range(12):
            client.wait_type('pong')
        assert not any(client.dialect.is_error(message) for message in client.seen)


def test_rate_of_one_is_not_the_rate_of_another(start):
    daemon = start({'rate.default': '3/60s', 'rate.burst-queue': '0'})
    with connect(daemon, token=daemon.mint('greedy')) as greedy, connect(daemon, token=daemon.mint('modest')) as modest:
        for _ in range(10):
            greedy.send({'type': 'ping', 'payload': {}})
        greedy.wait_error('RATE_LIMIT_EXCEEDED')
        modest.check_alive()


def test_pings_of_the_protocol_are_not_messages(start):
    """WebSocket pings cost no message allowance."""
    daemon = start({'rate.default': '3/60s', 'rate.burst-queue': '0'})
    with connect(daemon) as client:
        for _ in range(50):
            client.ws.ping_barrier()
        client.check_alive()


def test_bad_messages_cost_allowance(start):
    """Else garbage would be free."""
    daemon = start({'rate.default': '3/60s', 'rate.burst-queue': '0'})
    with connect(daemon) as client:
        for _ in range(6):
            client.send_text('{"broken')
        codes = [client.wait_error()['code'] for _ in range(6)]
        assert codes == ['INVALID_JSON'] * 3 + ['RATE_LIMIT_EXCEEDED'] * 3, codes


def test_subscriptions_of_a_session_are_bounded(start):
    daemon = start({'session.max-subscriptions': '10'})
    with connect(daemon) as client:
        client.send({'type': 'subscribe', 'payload': {'channels': [{'channel': f'chat:{i}'} for i in range(15)]}})
        payload = client.wait_type('subscription.confirmed')['payload']
        assert len(payload['channels']) <= 10 and len(payload['channels']) + len(payload['rejected']) == 15, payload
        client.check_alive()
