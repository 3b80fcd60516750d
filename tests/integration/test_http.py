# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is served beside WebSockets: health, readiness, metrics, the playground, and refusals that can be read."""

import math
import re
from html.parser import HTMLParser

import pytest

from choir_test import Handshake, http_get, http_request
from library_client import closed_with, join, knock

parser = pytest.importorskip('prometheus_client.openmetrics.parser')


def scrape(daemon):
    """{(sample, labels)} of /metrics, parsed by the reference parser."""
    response = http_get(daemon.address, '/metrics')
    assert response.status == 200
    assert response.get('content-type') == 'application/openmetrics-text; version=1.0.0; charset=utf-8'
    text = response.body.decode()
    assert text.endswith('# EOF\n')
    families = {family.name: family for family in parser.text_string_to_metric_families(text)}
    values = {}
    for family in families.values():
        assert family.documentation, family.name
        for sample in family.samples:
            values[sample.name, frozenset(sample.labels.items())] = sample.value
    return families, values


def value(values, name, **labels):
    return values[name, frozenset(labels.items())]


CONTRACT_METRICS = {
    'websocket_connections': ('counter', {'status'}),
    'websocket_active_connections': ('gauge', set()),
    'websocket_messages': ('counter', {'type', 'direction'}),
    'websocket_message_size_bytes': ('histogram', {'type'}),
    'websocket_message_latency_seconds': ('histogram', {'type'}),
    'websocket_connection_duration_seconds': ('histogram', set()),
    'websocket_errors': ('counter', {'code'}),
    'choir_users': ('gauge', set()),
    'choir_reconnects': ('counter', set()),
    'choir_recoveries': ('counter', {'outcome'}),
    'choir_rate_limited': ('counter', set()),
    'choir_evictions': ('counter', set()),
    'choir_slow_consumers': ('counter', set()),
    'choir_dialect_connections': ('gauge', {'dialect'}),
}


@pytest.mark.parametrize('name', CONTRACT_METRICS)
def test_metrics_are_there(daemon, name):
    kind, labels = CONTRACT_METRICS[name]
    families, _ = scrape(daemon)
    assert name in families, sorted(families)
    assert families[name].type == kind
    for sample in families[name].samples:
        assert set(sample.labels) - {'le'} == labels, sample


def test_histograms_are_histograms(daemon, user):
    join(daemon, token=daemon.mint(user)).check_alive()
    families, values = scrape(daemon)
    n = 0
    for family in families.values():
        if family.type != 'histogram':
            continue
        rows = {}
        for sample in family.samples:
            if sample.name.endswith('_bucket'):
                labels = dict(sample.labels)
                bound = float(labels.pop('le'))
                rows.setdefault(frozenset(labels.items()), []).append((bound, sample.value))
        for labels, buckets in rows.items():
            n += 1
            assert buckets == sorted(buckets) and math.isinf(buckets[-1][0])
            assert [count for _, count in buckets] == sorted(count for _, count in buckets)
            assert buckets[-1][1] == values[family.name + '_count', labels]
            assert values[family.name + '_sum', labels] >= 0
    assert n > 10


def test_metrics_count(start):
    daemon = start(config='[dialect netra]\nrate=2/60s\n')
    choir, netra = join(daemon, token=daemon.mint('ann')), join(daemon, 'netra', token=daemon.mint('bob'))
    for _ in range(3):
        choir.check_alive()
    for _ in range(3):
        netra.send({'type': 'ping', 'data': {}})
        netra.recv()
    choir.send({'type': 'wat'})
    choir.wait_error('INVALID_MESSAGE_TYPE')
    choir.send({'type': 'publish', 'payload': {'channel': 'chat:1', 'type': 'note', 'payload': {}}})
    epoch = choir.wait_type('publish.ok')['payload']['epoch']
    choir.send({'type': 'subscribe', 'payload': {'channels': [{'channel': 'chat:1', 'epoch': epoch, 'offset': 0}]}})
    choir.wait_type('subscription.confirmed')
    choir.send({'type': 'subscribe', 'payload': {'channels': [{'channel': 'chat:1', 'epoch': 'lost', 'offset': 0}]}})
    choir.wait_type('subscription.confirmed')
    knock(daemon, '/ws?token=x')
    closed_with(daemon, '/ws?dialect=netra&token=x')
    _, values = scrape(daemon)
    assert value(values, 'websocket_active_connections') == 2
    assert value(values, 'choir_users') == 2
    assert value(values, 'websocket_connections_total', status='accepted') == 2
    assert value(values, 'websocket_connections_total', status='rejected') == 2
    assert value(values, 'websocket_connections_total', status='closed') == 0
    assert value(values, 'choir_dialect_connections', dialect='netra') == 1
    assert value(values, 'choir_dialect_connections', dialect='jddb') == 0
    assert value(values, 'websocket_messages_total', type='ping', direction='in') == 5
    assert value(values, 'websocket_message_latency_seconds_count', type='ping') == 5
    assert value(values, 'choir_rate_limited_total') == 1
    assert value(values, 'websocket_errors_total', code='INVALID_MESSAGE_TYPE') == 1
    assert value(values, 'websocket_errors_total', code='RATE_LIMIT_EXCEEDED') == 1
    assert value(values, 'choir_recoveries_total', outcome='recovered') == 1
    assert value(values, 'choir_recoveries_total', outcome='lost') == 1

    netra.ws.close()
    join(daemon, 'netra', token=daemon.mint('bob'))
    _, values = scrape(daemon)
    assert value(values, 'websocket_connections_total', status='closed') == 1
    assert value(values, 'websocket_connection_duration_seconds_count') == 1
    assert value(values, 'choir_reconnects_total') == 1


def test_labels_stay_bounded(daemon, user):
    client = join(daemon, token=daemon.mint(user))
    for i in range(5):
        client.send({'type': f'invented{i}'})
        client.wait_error('INVALID_MESSAGE_TYPE')
    client.send({'type': 'publish', 'payload': {'channel': 'chat:1', 'type': 'made-up', 'payload': {}}})
    client.wait_type('publish.ok')
    families, _ = scrape(daemon)
    types = {sample.labels['type'] for sample in families['websocket_messages'].samples}
    assert 'other' in types and not {name for name in types if 'invented' in name or name == 'made-up'}


# Health

def test_health(daemon):
    for path in ('/healthz', '/readyz'):
        response = http_get(daemon.address, path)
        assert response.status == 200 and response.json()['status'] in ('ok', 'ready')
        assert response.get('cache-control') == 'no-store'
        assert http_get(daemon.address, path, method='HEAD').status == 200


@pytest.mark.parametrize('path', ['/healthz', '/readyz', '/metrics', '/ws/config'])
@pytest.mark.parametrize('method', ['POST', 'PUT', 'DELETE', 'PATCH'])
def test_other_methods(daemon, path, method):
    response = http_get(daemon.address, path, method=method)
    response.assert_problem(405)
    assert 'get' in response.tokens('allow')


# Refusals can be read

REFUSALS = [
    ('/nowhere', [], 404), ('/ws/document', [], 401), ('/ws?token=x', [], 401), ('/ws/x', [], 401),
    ('/ws?dialect=netra-spec', [], 401), ('/ws', [('Origin', 'https://evil.net')], 403),
    ('/ws/chat/a%20b', [], 404), ('/ws/a/b/c', [], 404),
]


@pytest.mark.parametrize('target,headers,status', REFUSALS)
def test_the_same_problem_for_a_handshake_and_a_get(daemon, target, headers, status):
    refused = knock(daemon, target, headers)
    problem = refused.assert_problem(status)
    assert problem['type'] and problem['title'] and problem['status'] == status and problem['code'] and problem['detail']
    assert refused.get('cache-control') == 'no-store'
    plain = http_get(daemon.address, target, headers)
    assert plain.assert_problem(status) == problem


def test_limits_can_be_read_too(daemon, user):
    token = daemon.mint(user)
    clients = [join(daemon, 'reviewpoint', token) for _ in range(3)]
    problem = knock(daemon, f'/ws/{token}').assert_problem(429)
    plain = http_get(daemon.address, f'/ws/{token}')
    assert plain.assert_problem(429) == problem and int(plain.get('retry-after')) > 0
    for client in clients:
        client.check_alive()


@pytest.mark.parametrize('missing,status', [('Sec-WebSocket-Key', 400), ('Sec-WebSocket-Version', 426)])
def test_broken_handshakes(daemon, user, missing, status):
    handshake = Handshake(f'/ws?token={daemon.mint(user)}').drop(missing)
    response = http_request(daemon.address, handshake.encode())
    response.assert_problem(response.status)
    assert response.status in (status, 400), response


# The playground

class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.references = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.references += [content for name, content in attributes
                            if name in ('src', 'href', 'srcset', 'action', 'data', 'poster', 'background')]


def test_playground(start):
    daemon = start({'server.playground': 'yes'})
    response = http_get(daemon.address, '/')
    assert response.status == 200 and response.get('content-type') == 'text/html; charset=utf-8'
    page = response.body.decode()
    assert '<title>Choir playground</title>' in page
    outside = [reference for reference in Page(page).references if not reference.startswith(('data:', '#'))]
    assert not outside, f'the page loads {outside}'
    assert not re.findall(r'@import|url\((?!["\']?data:)', page)
    policy = response.get('content-security-policy')
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert response.get('x-content-type-options') == 'nosniff' and response.get('referrer-policy') == 'no-referrer'


def test_no_playground(daemon):
    http_get(daemon.address, '/').assert_problem(404)


def test_server_header(start, daemon):
    assert http_get(daemon.address, '/healthz').get('server') is None
    named = start({'server.name': 'choir'})
    assert http_get(named.address, '/healthz').get('server') == 'choir'
