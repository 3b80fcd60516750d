# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The database beside the service: users that come and go while it runs, copies of it, files it does not touch."""

import sqlite3
import stat
import subprocess

import pytest

from choir_test import Daemon, scaled
from library_client import join, knock

SETTINGS = {'store.backend': 'sqlite', 'auth.users': 'store'}


def command(daemon, *words):
    """choird WORDS with the daemon's own configuration."""
    return subprocess.run([str(daemon.binary), *words, *daemon.arguments], capture_output=True, text=True, check=False,
                          timeout=scaled(60), stdin=subprocess.DEVNULL, env=daemon._environment())


def tell(daemon, *words):
    done = command(daemon, *words)
    assert (done.returncode, done.stderr) == (0, ''), done
    return done.stdout


def refuse(daemon, *words):
    done = command(daemon, *words)
    assert done.returncode == 1 and done.stdout == '', done
    return done.stderr


def may_enter(daemon, user):
    answer = knock(daemon, f'/ws?token={daemon.mint(user)}')
    if answer.status == 101:
        return True
    answer.assert_problem(401)
    return False


@pytest.fixture
def unstarted(tmp_path):
    daemon = Daemon(SETTINGS, directory=tmp_path)
    daemon.write_config()
    return daemon


def test_users_while_it_runs(start):
    daemon = start(SETTINGS)
    database = daemon.directory / 'choir.db'
    assert not may_enter(daemon, 'ann')
    assert tell(daemon, 'user', 'add', 'ann', '--name', 'Ann Otter') == f'ann: added, {database}\n'
    assert may_enter(daemon, 'ann')
    assert not may_enter(daemon, 'bob')
    tell(daemon, 'user', 'add', 'bob')
    inside = join(daemon, token=daemon.mint('bob'))
    tell(daemon, 'user', 'disable', 'bob')
    assert not may_enter(daemon, 'bob')
    # who is in already stays: the table is asked at the door
    inside.check_alive()
    assert tell(daemon, 'user', 'list') == 'ann\tactive\tAnn Otter\nbob\tdisabled\t\n'
    tell(daemon, 'user', 'enable', 'bob')
    assert may_enter(daemon, 'bob')
    assert 'already' in refuse(daemon, 'user', 'add', 'bob')
    assert stat.S_IMODE(database.stat().st_mode) == 0o600


def test_users_before_it_runs(unstarted):
    tell(unstarted, 'user', 'add', 'ann')
    with unstarted as daemon:
        assert may_enter(daemon, 'ann')
        assert not may_enter(daemon, 'bob')


def test_known_users_come_first(start):
    daemon = start({**SETTINGS, 'auth.known-users': 'ann;bob:inactive'})
    tell(daemon, 'user', 'add', 'bob')
    tell(daemon, 'user', 'add', 'eve')
    assert may_enter(daemon, 'ann')
    assert not may_enter(daemon, 'bob')
    assert may_enter(daemon, 'eve')


def test_one_service_only(start):
    daemon = start(SETTINGS)
    second = command(daemon)
    assert second.returncode == 1 and f'in use by another Choir (process {daemon.pid})' in second.stderr, second
    assert daemon.is_alive()


def test_killed_and_started_again(unstarted):
    with unstarted as daemon:
        tell(daemon, 'user', 'add', 'ann')
        daemon.kill()
        daemon.start()
        assert may_enter(daemon, 'ann')


def test_backup(start, tmp_path):
    daemon = start(SETTINGS)
    tell(daemon, 'user', 'add', 'ann')
    copy = tmp_path / 'copy' / 'choir.db'
    copy.parent.mkdir()
    assert tell(daemon, 'backup', str(copy)) == ''
    tell(daemon, 'user', 'add', 'bob')
    assert 'File exists' in refuse(daemon, 'backup', str(copy))
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [path.name for path in copy.parent.iterdir()] == ['choir.db']

    restored = start({**SETTINGS, 'store.path': str(copy), 'auth.key': daemon.settings['auth.key']})
    restored.key = daemon.key
    assert may_enter(restored, 'ann')
    assert not may_enter(restored, 'bob')


@pytest.mark.parametrize('make,complaint', [
    (lambda db: db.execute('PRAGMA user_version=7'),
     'was written by a newer Choir (schema 7, this one knows up to 1)'),
    (lambda db: db.execute('PRAGMA application_id=7'), 'none of Choir'),
])
def test_refuses(unstarted, make, complaint):
    tell(unstarted, 'user', 'add', 'ann')
    with sqlite3.connect(unstarted.directory / 'choir.db') as db:
        make(db)
    db.close()
    done = command(unstarted)
    assert done.returncode == 1 and complaint in done.stderr, done
    assert complaint in refuse(unstarted, 'user', 'list')


def test_damaged(unstarted):
    tell(unstarted, 'user', 'add', 'ann')
    path = unstarted.directory / 'choir.db'
    bytes_ = bytearray(path.read_bytes())
    for i in range(4096, len(bytes_), 4096):
        bytes_[i] = 0x5a
    path.write_bytes(bytes_)
    done = command(unstarted)
    assert done.returncode == 1 and 'restore a copy made with “choird backup”' in done.stderr, done


def test_check_config(unstarted):
    """Says what can be seen, and makes nothing."""
    unstarted.settings['store.path'] = str(unstarted.directory / 'a' / 'b' / 'choir.db')
    assert tell(unstarted, '--check-config') == ''
    assert not (unstarted.directory / 'a').exists()
    (unstarted.directory / 'a').write_text('a file')
    assert 'Not a directory' in refuse(unstarted, '--check-config')


def test_memory(start):
    daemon = start({'auth.users': 'store', 'auth.known-users': 'ann'})
    assert may_enter(daemon, 'ann')
    assert not may_enter(daemon, 'bob')
    assert 'backend=memory' in refuse(daemon, 'user', 'list')
    assert 'backend=memory' in refuse(daemon, 'backup', str(daemon.directory / 'copy.db'))
    assert not (daemon.directory / 'choir.db').exists()
