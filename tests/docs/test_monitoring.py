# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rules for Prometheus and the dashboard for Grafana: that they are right, and about figures that there are."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from choir_test import DEADLINE, Daemon, connect, http_get
from choir_test.bus import Bus, make_daemon

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / 'data' / 'prometheus' / 'choir.rules.yml'
RULE_TESTS = ROOT / 'tests' / 'docs' / 'choir.rules.test.yml'
DASHBOARD = ROOT / 'data' / 'grafana' / 'choir.json'
OPERATIONS = ROOT / 'docs' / 'operations.md'

# What Prometheus 2.43 and others ask with; those before it know the older format alone
MODERN = 'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1'
OLDER = 'text/plain;version=0.0.4'

# a metric's name, not a function, label or modifier
_METRIC = re.compile(r'\b(?:choir|websocket)_[a-z0-9_]+')


def promtool(*arguments, text=None):
    done = subprocess.run(['promtool', *arguments], input=text, capture_output=True, text=True, timeout=DEADLINE, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope='module')
def busy():
    """A daemon that has had a bit of everything."""
    with Daemon() as daemon:
        with connect(daemon, 'choir', daemon.mint('ann')) as ann, connect(daemon, 'netra', daemon.mint('bob')) as bob:
            ann.send({'type': 'subscribe', 'payload': {'channels': ['chat:lobby']}})
            ann.wait_type('subscription.confirmed')
            ann.send({'type': 'publish', 'payload': {'channel': 'chat:lobby', 'type': 'note', 'payload': {}}})
            ann.wait_type('publish.ok')
            ann.send({'type': 'publish', 'payload': {'channel': 'chat:lobby', 'type': 'note', 'payload': 'none'}})
            ann.wait_error('VALIDATION_ERROR')
            bob.check_alive()
            token = daemon.mint('back-end', roles=['service'])
            assert http_get(daemon.address, '/api/v1/stats', [('Authorization', f'Bearer {token}')]).status == 200
        yield daemon


def scrape(daemon, accept):
    response = http_get(daemon.address, '/metrics', [('Accept', accept)] if accept else [])
    assert response.status == 200
    return response


@pytest.fixture(scope='module')
def samples(busy):
    """The names of all samples."""
    lines = scrape(busy, OLDER).body.decode().splitlines()
    return {re.match(r'\w+', line)[0] for line in lines if not line.startswith('#')}


# What Prometheus reads


@pytest.mark.parametrize(('accept', 'media'), [
    (None, 'application/openmetrics-text; version=1.0.0; charset=utf-8'),
    ('*/*', 'application/openmetrics-text; version=1.0.0; charset=utf-8'),
    (MODERN, 'application/openmetrics-text; version=1.0.0; charset=utf-8'),
    (OLDER, 'text/plain; version=0.0.4; charset=utf-8'),
])
def test_formats(busy, accept, media):
    response = scrape(busy, accept)
    assert response.get('content-type') == media
    assert 'accept' in response.tokens('vary')
    text = response.body.decode()
    assert text.endswith('# EOF\n') == media.startswith('application')


def test_formats_say_the_same(busy):
    """But for the figures of the requests themselves."""
    def figures(accept):
        return [line.rpartition(' ')[0] for line in scrape(busy, accept).body.decode().splitlines() if not line.startswith('#')]

    assert figures(MODERN) == figures(OLDER)


def test_promtool_finds_nothing_to_say_about_the_metrics(busy):
    status, said = promtool('check', 'metrics', text=scrape(busy, OLDER).body.decode())
    assert (status, said) == (0, '')


def test_draining_shows():
    with Bus() as bus, make_daemon(bus) as daemon:
        bus.wait_name()
        assert 'choir_draining 0' in scrape(daemon, OLDER).body.decode().splitlines()
        bus.call('Drain', 't', '3600000')
        assert 'choir_draining 1' in scrape(daemon, OLDER).body.decode().splitlines()


# Alerts


def all_rules():
    return [rule for group in yaml.safe_load(RULES.read_text())['groups'] for rule in group['rules']]


def test_promtool_takes_the_rules():
    status, said = promtool('check', 'rules', '--lint-fatal', str(RULES))
    assert status == 0, said
    assert f'{len(all_rules())} rules found' in said


def test_rules_do_what_they_are_for():
    status, said = promtool('test', 'rules', str(RULE_TESTS))
    assert status == 0, said


def test_each_rule_is_tested_both_ways():
    cases = {}
    for test in yaml.safe_load(RULE_TESTS.read_text())['tests']:
        for case in test['alert_rule_test']:
            cases.setdefault(case['alertname'], set()).add(bool(case['exp_alerts']))
    assert cases == {rule['alert']: {True, False} for rule in all_rules()}


def test_rules_are_about_figures_that_there_are(samples):
    for rule in all_rules():
        names = set(_METRIC.findall(rule['expr']))
        assert names or 'up{' in rule['expr'], rule
        assert names <= samples, (rule['alert'], names - samples)


def test_each_alert_says_what_to_do():
    for rule in all_rules():
        assert rule['labels']['severity'] in ('critical', 'warning')
        assert set(rule['annotations']) == {'summary', 'description'}
        assert rule['alert'] in OPERATIONS.read_text(), f'{rule["alert"]} is not in docs/operations.md'


# The dashboard


def panels_of(dashboard):
    return dashboard['panels'] + [inner for panel in dashboard['panels'] for inner in panel.get('panels', [])]


@pytest.fixture(scope='module')
def dashboard():
    return json.loads(DASHBOARD.read_text())


def test_dashboard_can_be_imported(dashboard):
    assert dashboard['id'] is None and dashboard['uid'] and dashboard['title'] and dashboard['schemaVersion'] >= 30
    variables = {variable['name']: variable for variable in dashboard['templating']['list']}
    assert variables['datasource']['type'] == 'datasource' and variables['datasource']['query'] == 'prometheus'
    ids = [panel['id'] for panel in panels_of(dashboard)]
    assert len(ids) == len(set(ids)) > 20
    for name in re.findall(r'\$(\w+)', json.dumps([panel.get('targets') for panel in panels_of(dashboard)])):
        assert name in variables or name == '__rate_interval', name


def test_panels_fit(dashboard):
    """Each has its place, and no two the same."""
    taken = set()
    for panel in panels_of(dashboard):
        place = panel['gridPos']
        cells = {(x, y) for x in range(place['x'], place['x'] + place['w']) for y in range(place['y'], place['y'] + place['h'])}
        assert cells and place['x'] + place['w'] <= 24 and not cells & taken, panel['title']
        taken |= cells


def test_panels_ask_for_figures_that_there_are(dashboard, samples):
    for panel in panels_of(dashboard):
        assert panel['title'] and panel['type'] in ('row', 'stat', 'timeseries')
        if panel['type'] == 'row':
            continue
        assert panel['description'] and panel['datasource']['uid'] == '${datasource}'
        assert len({target['refId'] for target in panel['targets']}) == len(panel['targets']) > 0
        for target in panel['targets']:
            names = set(_METRIC.findall(target['expr']))
            assert names and names <= samples, (panel['title'], names - samples)
            assert target['datasource']['uid'] == '${datasource}'


def test_promtool_takes_the_queries_of_the_panels(dashboard, tmp_path):
    """As rules, with what Grafana puts in the place of its variables."""
    expressions = [target['expr'] for panel in panels_of(dashboard) for target in panel.get('targets', [])]
    rules = [{'record': f'panel:{n}', 'expr': expr.replace('$__rate_interval', '1m').replace('$job', '.*').replace('$instance', '.*')}
             for n, expr in enumerate(expressions)]
    path = tmp_path / 'rules.yml'
    path.write_text(yaml.safe_dump({'groups': [{'name': 'panels', 'rules': rules}]}))
    status, said = promtool('check', 'rules', str(path))
    assert status == 0, said
