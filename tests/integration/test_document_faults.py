# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What was acknowledged is there, once, whatever happens to the process and to its disk; and everybody has the same text.

Each change of a text brings a code point that no other change brings, from the planes for private use. It can't be cut in two and
nobody deletes it, so counting characters tells what became of every change. What is deleted is filling."""

import os
import random
import re
import shutil
import subprocess
from collections import Counter
from itertools import count

import pytest

from choir_test import Daemon, http_get
from choir_test import text_unicode as ot
from choir_test.editor import converge, open_all, wait_all
from document_client import CONFIG, FAST, SETTINGS, Talker, editor, get_document, wait_until

DOCUMENT = 'faults'
N_EDITORS = 20
N_ROUNDS = 50
FIRST_TOKEN, LAST_TOKEN = 0xf0000, 0x10fffd
FILLING = 'x'

_numbers = count(FIRST_TOKEN)


def next_token():
    """Not one of the two that end each plane: they are no characters."""
    number = next(_numbers)
    while number & 0xffff >= 0xfffe:
        number = next(_numbers)
    assert number <= LAST_TOKEN
    return chr(number)


def tokens_of(text):
    return Counter(char for char in text if char >= chr(FIRST_TOKEN))


class Crowd:
    """Editors of one document, and the tokens of all that they have done. Each may have another number of changes on the way."""

    def __init__(self, daemon, rng, n=N_EDITORS, windows=(1, 4, 64), **options):
        self.rng = rng
        self.editors = [editor(daemon, DOCUMENT, f'editor{i}', window=windows[i % len(windows)], client_id=f'c{i}', **options)
                        for i in range(n)]
        self.tokens = {}

    def open(self, daemon):
        open_all(self.editors, daemon.address)

    def edit(self, one):
        """Brings a token, and takes some of the filling at the same place."""
        rng, text, token = self.rng, one.text, next_token()
        at = rng.randrange(len(text) + 1)
        end = at
        while end < len(text) and end - at < 3 and text[end] == FILLING:
            end += 1
        operation = ot.insertion(at, token) + ([{'d': end - at}] if end > at and rng.random() < 0.5 else [])
        change = one.edit(operation)
        self.tokens[token] = (one, change.change_id)

    def fill(self, one, n):
        one.edit(ot.insertion(0, FILLING * n))

    def n_acknowledged(self):
        return sum(len(one.acknowledged) for one in self.editors)

    def check(self, text, everything):
        """All that was acknowledged is in `text` once, nothing is there twice, and nothing of what was refused for good;
        `everything`: all the rest is there as well."""
        found = tokens_of(text)
        assert not [token for token, n in found.items() if n != 1]
        assert set(found) <= set(self.tokens)
        lost = {change.change_id for one in self.editors for change in one.lost}
        for token, (one, change_id) in self.tokens.items():
            if change_id in one.acknowledged:
                assert token in found, (change_id, one.acknowledged[change_id])
            elif change_id in lost:
                assert token not in found, change_id
            else:
                assert token in found or not everything, change_id

    def leave(self):
        for one in self.editors:
            one.drop()

    def wait_lost(self):
        wait_all(self.editors, lambda: all(one.is_lost() for one in self.editors))


def start_in(directory, **settings):
    return Daemon({**SETTINGS, **settings}, config=CONFIG, directory=directory, env=FAST).start()


# The process

def burst(crowd, n_acknowledged):
    """Everybody types, until so many changes more have been acknowledged."""
    goal = crowd.n_acknowledged() + n_acknowledged
    while crowd.n_acknowledged() < goal:
        for one in crowd.rng.sample(crowd.editors, min(5, len(crowd.editors))):
            if len(one.pending) < 20:
                crowd.edit(one)
        n = crowd.n_acknowledged()
        wait_all(crowd.editors, lambda: crowd.n_acknowledged() > min(n, goal - 1))


def test_killed_at_random_moments(tmp_path):
    rng = random.Random(50)
    # so that some of these moments are in the middle of it
    snapshots = {'document.snapshot-every': '20'}
    daemon = start_in(tmp_path, **snapshots)
    crowd = Crowd(daemon, rng)
    crowd.open(daemon)
    crowd.fill(crowd.editors[0], 500)
    n_uncertain = 0
    for _ in range(N_ROUNDS):
        burst(crowd, rng.choice((0, 1, 2, 5, 10, 20, 40)))
        # and some more, of which nobody can know how far they got
        for one in rng.sample(crowd.editors, rng.randrange(N_EDITORS)):
            crowd.edit(one)
        daemon.kill()
        crowd.wait_lost()
        assert daemon.complaints() == []
        n_uncertain += sum(one.n_in_flight() for one in crowd.editors)
        daemon = start_in(tmp_path, **snapshots)
        crowd.open(daemon)
        assert len({one.epoch for one in crowd.editors}) == 1
        check_duplicate(daemon, crowd)
    text = converge(crowd.editors)
    crowd.check(text, everything=True)
    n_recognised = sum(one.n_recognised for one in crowd.editors)
    assert 0 < n_recognised < n_uncertain and len(crowd.tokens) > 10 * N_ROUNDS
    check_service(daemon, crowd, text)
    crowd.leave()
    daemon.stop()
    daemon = start_in(tmp_path)
    check_service(daemon, crowd, text)
    daemon.stop()


def check_duplicate(daemon, crowd):
    """Something that was acknowledged before, sent once more, is still known."""
    one = crowd.rng.choice([one for one in crowd.editors if one.acknowledged])
    change_id, version = crowd.rng.choice(list(one.acknowledged.items()))
    with Talker(daemon, one.user_id, target=f'/ws?dialect=choir&client_id={one.client_id}') as again:
        opened = again.open(DOCUMENT)
        crowd.check(opened['content'], everything=False)
        assert again.change(DOCUMENT, ['?'], change_id=change_id) == version


def check_service(daemon, crowd, text):
    """What a newcomer is given, and what has become of the past."""
    version = crowd.editors[0].version
    assert get_document(daemon, DOCUMENT) == (version, text)
    texts = crowd.editors[0].replica.texts(0, '')
    with Talker(daemon) as newcomer:
        opened = newcomer.open(DOCUMENT)
        assert (opened['version'], opened['content']) == (version, text)
        for at in range(0, version, max(1, version // 20)):
            assert newcomer.at(DOCUMENT, at) == texts[at]


# The disk

@pytest.fixture
def small_disk(tmp_path):
    """8 MiB that can be filled."""
    path = tmp_path / 'disk'
    path.mkdir()
    if os.geteuid() != 0:
        pytest.skip('only root may mount a small file system')
    done = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=8m', 'choir-test', str(path)], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        pytest.skip(f'nothing can be mounted here: {done.stderr.strip()}')
    yield path
    subprocess.run(['umount', '--lazy', str(path)], check=True)


def fill_disk(path):
    ballast = path / 'ballast'
    with open(ballast, 'wb', buffering=0) as file:
        for size in (65536, 4096):
            while True:
                try:
                    file.write(bytes(size))
                except OSError:
                    break
    return ballast


def readiness(daemon):
    return http_get(daemon.address, '/readyz').status


def type_until_refused(crowd):
    """Everybody goes on until told that nothing can be stored."""
    def step():
        for one in crowd.editors:
            if one.n_refused == 0 and len(one.pending) < 5:
                crowd.edit(one)
        return all(one.n_refused for one in crowd.editors)

    wait_all(crowd.editors, step, 60)


@pytest.mark.parametrize('killed', [False, True], ids=['goes-on', 'killed'])
def test_full_disk(tmp_path, small_disk, killed):
    path = small_disk / 'choir.db'
    daemon = start_in(tmp_path, **{'store.path': str(path)})
    daemon.expect_log += [re.compile('stored|snapshot|store')]
    crowd = Crowd(daemon, random.Random(28), n=8, windows=(1, 8), refusals={'UNAVAILABLE'})
    crowd.open(daemon)
    for one in crowd.editors:
        for _ in range(10):
            crowd.edit(one)
    crowd.check(converge(crowd.editors), everything=True)
    reader = Talker(daemon)
    version = reader.open(DOCUMENT)['version']
    assert readiness(daemon) == 200

    ballast = fill_disk(small_disk)
    type_until_refused(crowd)
    assert readiness(daemon) == 503
    error = reader.refused('UNAVAILABLE', 'document.change', document_id=DOCUMENT, operation=['!'])
    assert error['recoverable'] is True and error['retry_after'] > 0, error
    reader.refused('UNAVAILABLE', 'document.save', document_id=DOCUMENT)
    # reading goes on, of the present and of the past
    newest = max(crowd.editors, key=lambda one: one.version)
    texts = newest.replica.texts(0, '')
    opened = Talker(daemon).open(DOCUMENT)
    assert opened['version'] >= newest.version and opened['content'] == texts[opened['version']]
    crowd.check(opened['content'], everything=False)
    assert reader.at(DOCUMENT, version) == texts[version]
    assert get_document(daemon, DOCUMENT) == (opened['version'], opened['content'])

    if killed:
        daemon.kill()
        crowd.wait_lost()
        ballast.unlink()
        daemon = start_in(tmp_path, **{'store.path': str(path)})
        crowd.open(daemon)
    else:
        ballast.unlink()
        wait_until(lambda: readiness(daemon) == 200, 'recovering')
        for one in crowd.editors:
            one.retry()
        # the door is open: whoever has not got anything refused after all goes on as well
        wait_all(crowd.editors, lambda: all(one.is_open for one in crowd.editors))
        for one in crowd.editors:
            crowd.edit(one)
    text = converge(crowd.editors)
    crowd.check(text, everything=True)
    check_service(daemon, crowd, text)
    crowd.leave()
    daemon.stop()
    daemon = start_in(tmp_path, **{'store.path': str(path)})
    check_service(daemon, crowd, text)
    daemon.stop()


# What a write-ahead log looks like when the machine went down

def copy_files(source, target, names):
    target.mkdir()
    for name in names:
        if (source / name).exists():
            shutil.copy(source / name, target / name)


def stamp(path):
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def damage(rng, kind, log, least):
    """Bytes of a log that is whole up to `least`."""
    cut = rng.randrange(least, len(log) + 1)
    if kind == 'cut':
        return log[:cut]
    if kind == 'garbage-behind':
        return log[:cut] + rng.randbytes(rng.randrange(1, 9000))
    if kind == 'zeros-behind':
        return log[:cut] + bytes(len(log) - cut)
    out = bytearray(log)
    for _ in range(rng.randrange(1, 20)):
        out[rng.randrange(least, len(log))] ^= 1 << rng.randrange(8)
    return bytes(out)


@pytest.fixture(scope='module')
def torn(tmp_path_factory):
    """A database after kill -9, how long its log was when everything up to a version was acknowledged, and all its texts."""
    directory = tmp_path_factory.mktemp('torn')
    daemon = start_in(directory)
    crowd = Crowd(daemon, random.Random(9), n=4)
    crowd.open(daemon)
    crowd.fill(crowd.editors[0], 100)
    burst(crowd, 60)
    converge(crowd.editors)
    version, log = crowd.editors[0].version, directory / 'choir.db-wal'
    least, database = log.stat().st_size, (directory / 'choir.db').read_bytes()
    burst(crowd, 60)
    converge(crowd.editors)
    daemon.kill()
    # else it would be no log of what came later
    assert (directory / 'choir.db').read_bytes() == database and log.stat().st_size > least
    return directory, version, least, crowd.editors[0].replica.texts(0, '')


@pytest.mark.parametrize('kind', ['cut', 'garbage-behind', 'zeros-behind', 'flipped'])
def test_torn_log(tmp_path, torn, kind):
    directory, version, least, texts = torn
    log = (directory / 'choir.db-wal').read_bytes()
    rng = random.Random(kind)
    for i in range(10):
        place = tmp_path / f'{i}'
        copy_files(directory, place, ['choir.db', 'hs256.key', *(['choir.db-shm'] if i % 2 else [])])
        (place / 'choir.db-wal').write_bytes(damage(rng, kind, log, least))
        daemon = start_in(place)
        with Talker(daemon) as reader:
            opened = reader.open(DOCUMENT)
            assert version <= opened['version'] < len(texts) and opened['content'] == texts[opened['version']]
            assert reader.at(DOCUMENT, version) == texts[version]
            assert reader.change(DOCUMENT, ['!']) == opened['version'] + 1
        daemon.stop()
        daemon = start_in(place)
        with Talker(daemon) as reader:
            assert reader.open(DOCUMENT)['content'] == '!' + texts[opened['version']]
        daemon.stop()
