# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""choird as a process: its command line, its signals, what the service manager sees, what it listens on and logs."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time

import jwt
import pytest

from choir_test import Daemon, Handshake, RawWs, http_get, open_socket, read_response, scaled
from choir_test.raw_http import Reader
from library_client import LibraryWs, join, knock

RATE = '[dialect choir]\nrate={}/60s\nburst-queue=0\n'


def run(daemon, *arguments):
    return subprocess.run([str(daemon.binary), *arguments], capture_output=True, text=True, check=False,
                          timeout=scaled(30), stdin=subprocess.DEVNULL, env=daemon._environment())


@pytest.fixture
def unstarted(tmp_path):
    return Daemon(directory=tmp_path)


# The command line

def test_version(unstarted):
    done = run(unstarted, '--version')
    assert done.returncode == 0 and re.fullmatch(r'choird \d+\.\d+\.\d+\n', done.stdout), done


def test_help(unstarted):
    done = run(unstarted, '--help')
    assert done.returncode == 0
    for option in ('--config', '--set', '--check-config', '--dump-config', '--log-format', '--version'):
        assert option in done.stdout


@pytest.mark.parametrize('arguments', [('--bogus',), ('--set',), ('--log-format=xml', '--check-config')])
def test_bad_arguments(unstarted, arguments):
    unstarted.write_config('')
    done = run(unstarted, '--config', str(unstarted.config_file), *arguments)
    assert done.returncode == 1 and done.stderr.startswith('choird: '), done


@pytest.mark.parametrize('arguments, said', [
    (('usr', 'list'), 'choird: “usr” is no command'),
    (('token', '--sub', 'alice', '--permission', 'chat:a:read', 'chat:b:read'), 'choird token: “chat:b:read” belongs to no'),
])
def test_a_word_too_many(unstarted, arguments, said):
    done = run(unstarted, *arguments)
    assert done.returncode == 1 and done.stderr.startswith(said), done


def test_check_config(unstarted):
    unstarted.write_config('[server]\nlisten=127.0.0.1:0\n[rate]\ndefault=10/1s\n')
    done = unstarted.run_cli('--check-config')
    assert (done.returncode, done.stdout, done.stderr) == (0, '', ''), done


@pytest.mark.parametrize('text,line,contains', [
    ('[server]\n\nlistne=127.0.0.1:1\n', 3, 'listen'), ('[sevrer]\nlisten=1\n', 1, 'sevrer'),
    ('[server]\nmax-connections=many\n', 2, 'many'), ('[rate]\ndefault=ten\n', 2, 'ten'),
    ('[protocol]\nmax-message-size=1X\n', 2, '1X'), ('[protocol]\n# fine\nidle-timeout=-1s\n', 3, '-1s'),
    ('[protocol]\ndefault-dialect=klingon\n', 2, 'klingon'), ('[dialect klingon]\nrate=1/1s\n', 1, 'klingon'),
    ('[auth]\nrequire-auth=perhaps\n', 2, 'perhaps'), ('nothing\n', 1, ''), ('[server\n', 1, ''),
])
def test_check_config_says_where(unstarted, text, line, contains):
    unstarted.write_config(text)
    done = unstarted.run_cli('--check-config')
    assert done.returncode == 1 and done.stdout == ''
    assert f'choir.conf:{line}: ' in done.stderr and contains in done.stderr, done.stderr
    # nor does it start
    done = unstarted.run_cli()
    assert done.returncode == 1 and f'choir.conf:{line}: ' in done.stderr, done


def test_missing_file(unstarted):
    done = run(unstarted, '--config', '/nonexistent/choir.conf', '--check-config')
    assert done.returncode == 1 and '/nonexistent/choir.conf' in done.stderr


def test_without_a_key(unstarted):
    unstarted.write_config('')
    unstarted.settings['auth.key'] = None
    done = unstarted.run_cli('--check-config')
    assert done.returncode == 1 and 'key is empty' in done.stderr


@pytest.mark.parametrize('setting', ['server.bogus=1', 'server', 'server.listen', 'bogus.listen=x', 'rate.default=x', '=',
                                     '.=', 'server.max-connections=0'])
def test_set_refuses(unstarted, setting):
    unstarted.write_config('')
    done = unstarted.run_cli('--check-config', '--set', setting)
    assert done.returncode == 1 and f'--set {setting}' in done.stderr, done


def dump(daemon, name, *arguments):
    done = daemon.run_cli('--dump-config', *arguments)
    assert done.returncode == 0, done
    found = [line for line in done.stdout.splitlines() if line.startswith(name + '=')]
    assert len(found) == 1, found
    return found[0].removeprefix(name + '=')


def test_order_of_sources(unstarted):
    """Built-in, then the file, then the environment, then --set."""
    unstarted.write_config('')
    assert dump(unstarted, 'server.max-connections').startswith('10000 ')
    unstarted.write_config('[server]\nmax-connections=1\n')
    assert dump(unstarted, 'server.max-connections').startswith('1 ')
    unstarted._extra_env['CHOIR_SERVER_MAX_CONNECTIONS'] = '2'
    value = dump(unstarted, 'server.max-connections')
    assert value.startswith('2 ') and 'CHOIR_SERVER_MAX_CONNECTIONS' in value
    assert dump(unstarted, 'server.max-connections', '--set', 'server.max-connections=3').startswith('3 ')


@pytest.mark.parametrize('name,value', [('CHOIR_SERVER_BOGUS', '1'), ('CHOIR_BOGUS', '1'),
                                        ('CHOIR_RATE_DEFAULT', 'soon'), ('CHOIR_SERVER_MAX_CONNECTIONS', '')])
def test_bad_environment(unstarted, name, value):
    unstarted.write_config('')
    unstarted._extra_env[name] = value
    done = unstarted.run_cli('--check-config')
    assert done.returncode == 1 and name in done.stderr, done


def test_dump_shows_no_secrets(unstarted):
    unstarted.write_config('')
    assert unstarted.key not in unstarted.run_cli('--dump-config').stdout


def test_port_in_use(start, unstarted):
    daemon = start()
    unstarted.settings['server.listen'] = f'127.0.0.1:{daemon.port}'
    unstarted.write_config('')
    done = unstarted.run_cli()
    assert done.returncode == 1 and f'127.0.0.1:{daemon.port}' in done.stderr, done


# Tokens

def test_token(start):
    daemon = start()
    token = daemon.cli_token('--sub', 'ann', '--permission', 'chat:*:read', '--permission', 'news:1:*', '--role', 'editor',
                             '--ttl', '90s', '--name', 'Änn "x"')
    claims = jwt.decode(token, daemon.key, algorithms=['HS256'])
    assert claims['sub'] == 'ann' and claims['permissions'] == ['chat:*:read', 'news:1:*']
    assert claims['roles'] == ['editor'] and claims['name'] == 'Änn "x"' and claims['type'] == 'access'
    assert claims['exp'] - claims['iat'] == 90 and claims['jti']
    join(daemon, token=token).check_alive()
    assert jwt.get_unverified_header(token)['kid'] == 'main'


@pytest.mark.parametrize('arguments', [
    (), ('--sub', ''), ('--sub', 'a b'), ('--sub', 'a', '--permission', 'chat'), ('--sub', 'a', '--ttl', 'long'),
    ('--sub', 'a', '--bogus'),
])
def test_token_refuses(unstarted, arguments):
    unstarted.write_config('')
    done = unstarted.run_cli('token', *arguments)
    assert done.returncode == 1 and done.stdout == '' and done.stderr.startswith('choird token: '), done


# Reloading

def reload(daemon, text, wanted):
    daemon.write_config(text)
    seen = len(daemon.log_lines())
    daemon.signal(signal.SIGHUP)
    return daemon.wait_log(wanted, start=seen)


def count_until_refused(client, most=50):
    for n in range(most):
        client.send({'type': 'ping', 'payload': {}})
        if client.recv()['type'] == 'error':
            return n
    raise AssertionError(f'{most} messages and no limit')


def test_reload(start):
    daemon = start(config=RATE.format(4))
    client = join(daemon)
    assert count_until_refused(client) == 4
    reload(daemon, RATE.format(9), 'configuration reloaded')
    # what was sent before still counts
    assert count_until_refused(client) == 5
    assert count_until_refused(join(daemon, token=daemon.mint('bob'))) == 9


@pytest.mark.parametrize('text,contains', [
    ('[rate]\ndefault=nonsense\n', 'choir.conf:2'), ('[rate]\nbogus=1\n', 'choir.conf:2'), ('garbage', 'choir.conf:1'),
    ('[origin]\nallowed=https://*\n', 'https://'),
])
def test_reload_of_nonsense(start, text, contains):
    daemon = start(config=RATE.format(4), expect_log=['configuration not reloaded'])
    line = reload(daemon, text, 'configuration not reloaded')
    assert contains in json.loads(line)['message'], line
    assert count_until_refused(join(daemon)) == 4
    reload(daemon, RATE.format(6), 'configuration reloaded')
    assert count_until_refused(join(daemon, token=daemon.mint('bob'))) == 6


def test_reload_of_keys(start):
    daemon = start()
    old, client = daemon.mint(), join(daemon)
    daemon.key = 'f' * 64
    daemon.key_file.write_text(daemon.key)
    reload(daemon, '', 'configuration reloaded')
    knock(daemon, f'/ws?token={old}').assert_problem(401)
    join(daemon, token=daemon.mint('bob')).check_alive()
    client.check_alive()


def test_reload_without_the_key(start):
    daemon = start(config='[auth]\nissuer=\n' + RATE.format(4), expect_log=['configuration not reloaded'])
    daemon.key_file.rename(daemon.directory / 'elsewhere')
    reload(daemon, '[auth]\nissuer=somebody\n' + RATE.format(9), 'configuration not reloaded')
    assert count_until_refused(join(daemon)) == 4


def test_reload_of_what_needs_a_restart(start):
    daemon = start(expect_log=['after a restart'])
    reload(daemon, '[server]\nnode=other\n', 'after a restart')
    join(daemon).check_alive()


# Stopping

def test_drain_with_300_clients(start):
    daemon = start({'server.drain-timeout': '20s', 'server.max-connections-per-user': '1000'})
    token = daemon.mint()
    clients = [RawWs.open(daemon.address, f'/ws?token={token}') for _ in range(300)]
    for client in clients:
        assert client.recv_json()['type'] == 'connection.established'
    began = time.monotonic()
    daemon.signal(signal.SIGTERM)
    delays = []
    for client in clients:
        told = client.recv_json()
        assert told['type'] == 'system.reconnect' and told['payload']['reason'], told
        delays.append(told['payload']['after_ms'])
    for client in clients:
        assert client.recv_close().code == 1012
        client.send_close(1012)
    assert daemon.wait_exit(scaled(30)) == 0
    assert time.monotonic() - began < 20
    assert len(set(delays)) > 20, 'everybody was told the same moment'
    for client in clients:
        client.expect_eof()
        client.close()


TOLD = {
    'choir': ('system.reconnect', lambda body: body['after_ms'] >= 0 and body['reason'] == 'restart'),
    'netra': ('status', lambda body: body['status'] == 'reconnect' and body['after_ms'] >= 0),
    'netra-spec': ('system.reconnect', lambda body: body['after_ms'] >= 0),
    'reviewpoint': ('system.reconnect', lambda body: body['after_ms'] >= 0),
    'tripsage': ('connection_status', lambda body: body['status'] == 'reconnecting' and body['afterMs'] >= 0),
}


def test_everyone_is_told_in_their_own_words(start):
    daemon = start({'server.drain-timeout': '20s'})
    clients = {dialect: join(daemon, dialect, token=daemon.mint(dialect)) for dialect in TOLD}
    daemon.signal(signal.SIGTERM)
    for dialect, client in clients.items():
        type_, fits = TOLD[dialect]
        told = client.dialect.envelope(client.recv())
        assert told['type'] == type_ and fits(client.dialect.payload(told)), told
        assert client.ws.recv_close().code == 1012, dialect
    assert daemon.wait_exit() == 0


def test_drain_of_nobody(start):
    daemon = start({'server.drain-timeout': '60s'})
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit(scaled(15)) == 0


def test_who_has_connected_is_answered(start):
    """Whoever came in the last moment is told that it was, not cut off."""
    daemon = start()
    daemon.signal(signal.SIGSTOP)
    late = []
    for _ in range(30):
        late.append(open_socket(daemon.address))
        late[-1].sendall(b'GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n')
    daemon.signal(signal.SIGTERM)
    daemon.signal(signal.SIGCONT)
    for sock in late:
        assert read_response(Reader(sock)).status in (200, 503)
        sock.close()
    assert daemon.wait_exit() == 0


def test_who_says_nothing_does_not_hold_the_end(start):
    daemon = start()
    silent = open_socket(daemon.address)
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit(scaled(15)) == 0
    silent.close()


def test_sigint_is_the_same(start):
    daemon = start({'server.drain-timeout': '60s'})
    client = join(daemon)
    daemon.signal(signal.SIGINT)
    assert client.recv()['type'] == 'system.reconnect'
    assert client.ws.recv_close().code == 1012
    assert daemon.wait_exit() == 0


def hang_on(daemon):
    """A client that is told to go, and does not."""
    client = RawWs.open(daemon.address, f'/ws?token={daemon.mint()}')
    client.recv_json()
    daemon.signal(signal.SIGTERM)
    assert client.recv_json()['type'] == 'system.reconnect'
    return client


def test_drain_timeout_holds(start):
    daemon = start({'server.drain-timeout': '1s'}, expect_log=['not left in time'])
    client = hang_on(daemon)
    began = time.monotonic()
    assert daemon.wait_exit() == 0
    # the timeout, and what the last close frames get
    assert time.monotonic() - began < 20
    client.close()


def test_second_sigterm(start):
    daemon = start({'server.drain-timeout': '600s'})
    client = hang_on(daemon)
    assert daemon.is_alive()
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    client.close()


def test_while_draining(start):
    daemon = start({'server.drain-timeout': '60s'})
    assert http_get(daemon.address, '/readyz').status == 200
    client = hang_on(daemon)
    refused = http_get(daemon.address, '/readyz')
    refused.assert_problem(503)
    assert int(refused.get('retry-after')) > 0
    assert http_get(daemon.address, '/healthz').status == 200
    knock(daemon, f'/ws?token={daemon.mint("bob")}').assert_problem(503)
    assert client.recv_close().code == 1012
    client.send_close(1012)
    assert daemon.wait_exit() == 0
    client.close()


# The service manager

def test_notify(start):
    daemon = start(notify=True, env={'WATCHDOG_USEC': '400000'})
    seen = daemon.wait_notify('READY=1')
    assert any(line.startswith('STATUS=') for line in seen), seen
    for _ in range(2):
        daemon.wait_notify('WATCHDOG=1')
    daemon.signal(signal.SIGHUP)
    seen = daemon.wait_notify('RELOADING=1')
    seen += daemon.wait_notify('READY=1') if 'READY=1' not in seen else []
    assert any(line.startswith('MONOTONIC_USEC=') for line in seen), seen
    daemon.signal(signal.SIGTERM)
    daemon.wait_notify('STOPPING=1')
    assert daemon.wait_exit() == 0


def test_more_time_while_draining(start):
    daemon = start({'server.drain-timeout': '600s'}, notify=True)
    client = hang_on(daemon)
    daemon.wait_notify('STOPPING=1')
    for _ in range(3):
        daemon.wait_notify('EXTEND_TIMEOUT_USEC=30000000')
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    client.close()


def test_no_watchdog_for_others(start):
    daemon = start(notify=True, env={'WATCHDOG_USEC': '1000', 'WATCHDOG_PID': '1'})
    daemon.wait_notify('READY=1')
    daemon.signal(signal.SIGTERM)
    assert 'WATCHDOG=1' not in daemon.wait_notify('STOPPING=1')
    assert daemon.wait_exit() == 0


ACTIVATE = """
import os, socket, sys
for fd in range(int(sys.argv[1])):
    listening = socket.create_server(('127.0.0.1', 0))
    os.dup2(listening.fileno(), 30 + fd)
for fd in range(int(sys.argv[1])):
    os.dup2(30 + fd, 3 + fd)
    os.close(30 + fd)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=sys.argv[1])
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_socket_activation(start):
    daemon = start({'server.listen': '127.0.0.1:1;127.0.0.1:2'}, wrapper=[sys.executable, '-c', ACTIVATE, '2'])
    assert len(set(daemon.listeners)) == 2 and 1 not in [port for _, port in daemon.listeners]
    for address in daemon.listeners:
        assert http_get(address, '/healthz').status == 200
    join(daemon).check_alive()


# Listening

def test_several_listeners(start, tmp_path):
    path = str(tmp_path / 'choir.sock')
    listen = ['127.0.0.1:0', '127.0.0.1:0', f'unix:{path}']
    if socket.has_ipv6 and os.path.exists('/proc/net/if_inet6'):
        listen.append('[::1]:0')
    daemon = start(listen=listen)
    for address in list(daemon.listeners):
        assert http_get(address, '/healthz').status == 200
        daemon.listeners[0] = address
        join(daemon, token=daemon.mint(f'user{address[-1]}'.replace('/', '-'))).check_alive()
    assert path in daemon.listeners


def test_unix_socket(start, tmp_path):
    path = tmp_path / 'choir.sock'
    daemon = start(listen=[f'unix:{path}'])
    clients = [join(daemon) for _ in range(3)]
    for client in clients:
        client.check_alive()
    daemon.stop()
    assert not path.exists()


def test_unix_socket_left_behind(start, tmp_path):
    path = tmp_path / 'choir.sock'
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    join(start(listen=[f'unix:{path}'])).check_alive()


@pytest.fixture
def certificate(tmp_path):
    cert, key = tmp_path / 'cert.pem', tmp_path / 'key.pem'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
                    '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', cert],
                   check=True, capture_output=True, timeout=scaled(30))
    return cert, key


def test_tls(start, certificate):
    cert, key = certificate
    daemon = start({'server.tls-certificate': str(cert), 'server.tls-key': str(key)})
    context = ssl.create_default_context(cafile=str(cert))
    clients = [join(daemon, dialect, ssl=context, token=daemon.mint(dialect))
               for dialect in ('choir', 'netra', 'netra-spec', 'reviewpoint', 'tripsage')]
    for client in clients:
        client.check_alive()
    echo = LibraryWs(daemon, '/echo', ssl=context)
    for size in (0, 1, 1000, 60000):
        echo.send_text('x' * size)
        assert echo.recv_text() == 'x' * size
    # who speaks plainly is let go, and nobody else suffers
    plain = RawWs(daemon.address)
    plain.send_raw(b'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
    assert plain.read_response() is None
    with socket.create_connection(daemon.address, timeout=scaled(15)) as tcp:
        with context.wrap_socket(tcp, server_hostname='localhost') as tls:
            assert tls.version() in ('TLSv1.2', 'TLSv1.3')
            tls.sendall(b'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
            answer = b''
            while data := tls.recv(4096):
                answer += data
            assert answer.startswith(b'HTTP/1.1 200 ')
    for client in clients:
        client.check_alive()
        client.ws.close()


def test_tls_certificate_is_missing(unstarted):
    unstarted.write_config('')
    unstarted.settings.update({'server.tls-certificate': '/nonexistent.pem', 'server.tls-key': '/nonexistent.pem'})
    done = unstarted.run_cli()
    assert done.returncode == 1 and 'tls-certificate' in done.stderr


# Proxies

def forwarded_as(daemon, header, value, n):
    """How many of `n` connections are let in."""
    opened, refused = [], 0
    for i in range(n):
        ws = RawWs(daemon.address)
        opened.append(ws)
        answer = ws.handshake(Handshake(f'/ws?token={daemon.mint(f"{value}{i}".replace(" ", ""))}').set(header, value))
        refused += answer is None or answer.status == 429
    return opened, n - refused


@pytest.mark.parametrize('header,one,other', [
    ('X-Forwarded-For', '203.0.113.1', '203.0.113.2'), ('X-Forwarded-For', '2001:db8::1', '2001:db8:1::1'),
    ('X-Forwarded-For', '198.51.100.9, 203.0.113.1', '203.0.113.1, 198.51.100.9'),
    ('Forwarded', 'for=203.0.113.1', 'for=203.0.113.2;proto=https'),
    ('Forwarded', 'for="[2001:db8::1]:4711"', 'for="[2001:db8:1::1]"'),
])
def test_trusted_proxy(start, header, one, other):
    daemon = start({'server.max-connections-per-address': '2'})
    kept = [forwarded_as(daemon, header, one, 4), forwarded_as(daemon, header, other, 3)]
    assert [n for _, n in kept] == [2, 2]


@pytest.mark.parametrize('header,values', [
    ('X-Forwarded-For', ['203.0.113.1', '203.0.113.2', '203.0.113.3']),
    ('Forwarded', ['for=203.0.113.1', 'for=203.0.113.2', 'for=203.0.113.3']),
])
def test_untrusted_proxy(start, header, values):
    daemon = start({'server.max-connections-per-address': '2', 'server.trusted-proxies': '192.0.2.1'})
    kept = [forwarded_as(daemon, header, value, 1) for value in values]
    assert [n for _, n in kept] == [1, 1, 0]


# The log

def test_log(start):
    daemon = start({'log.level': 'debug', 'dialect netra-spec.rate': '5/60s', 'rate.burst-queue': '0'})
    secret, token = 'a-body-nobody-may-log', daemon.mint('ann', name='Ann')
    for dialect in ('choir', 'netra', 'netra-spec', 'reviewpoint', 'tripsage'):
        client = join(daemon, dialect, token=token)
        client.ws.traffic.allow_garbage()
        key = client.dialect.payload_key
        for _ in range(7):
            client.send({'type': 'chat_message', key: {'channel': 'chat:1', 'content': secret}})
        client.send({'type': 'chat.message', key: {'channel': 'chat:1', 'content': secret}})
        client.send_text('{"broken": "%s' % secret)
        client.wait_for(client.dialect.is_error)
        client.ws.close()
    knock(daemon, f'/ws?token={token}x').assert_problem(401)
    knock(daemon, f'/ws?token={daemon.mint(ttl=-3600)}').assert_problem(401)
    daemon.stop()
    lines = daemon.log_lines()
    assert lines
    for line in lines:
        record = json.loads(line)
        assert record['time'] and record['level'] and record['message'], record
        assert secret not in line and token[:40] not in line and token.split('.')[2] not in line, line


def test_log_of_the_console(unstarted):
    unstarted.write_config('')
    process = subprocess.Popen([str(unstarted.binary), '--log-format=console', *unstarted.arguments],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=unstarted._environment())
    assert process.stdout.readline().startswith('listening on 127.0.0.1:')
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=scaled(30))
    assert process.returncode == 0 and 'ready' in said and '{' not in said, said
