# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The packages, built once a run, and a machine to install them in."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE.parent / 'support'), str(HERE)]

import machine as machines  # noqa: E402

BUILD_S = 900
NEWER = '0.1.0+test1'


def _interrupt(*_):
    raise KeyboardInterrupt


# a test that takes too long is terminated, and its machine must not go on without it
signal.signal(signal.SIGTERM, _interrupt)


def pytest_collection_modifyitems(items):
    reason = machines.why_not()
    for item in items if reason else []:
        item.add_marker(pytest.mark.skip(reason=reason))


def _host_run(*command, **kwargs):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **kwargs)
    assert done.returncode == 0, f'{" ".join(map(str, command))}:\n' + '\n'.join(done.stdout.splitlines()[-60:])
    return done.stdout


@pytest.fixture(scope='session')
def packages(tmp_path_factory):
    """The folder with what data/package.sh builds. CHOIR_PACKAGES names one that is there already."""
    given = os.environ.get('CHOIR_PACKAGES')
    if given:
        return Path(given)
    out = tmp_path_factory.mktemp('packages')
    printed = _host_run('sh', str(ROOT / 'data/package.sh'), str(out), timeout=BUILD_S)
    found = sorted(str(path) for path in out.glob('*.deb'))
    assert found and set(found) <= set(printed.splitlines()), printed
    return out


@pytest.fixture(scope='session')
def shelf(packages, tmp_path_factory):
    """For the machine: the packages, the service's once more with a higher version, and the package's own test."""
    out = tmp_path_factory.mktemp('shelf')
    for path in [*packages.glob('choir_*.deb'), *packages.glob('choir-dev_*.deb')]:
        _host_run('cp', str(path), str(out))
    tree = tmp_path_factory.mktemp('newer') / 'tree'
    _host_run('dpkg-deb', '-R', str(next(packages.glob('choir_*.deb'))), str(tree))
    control = tree / 'DEBIAN/control'
    control.write_text('\n'.join(f'Version: {NEWER}' if line.startswith('Version:') else line
                                 for line in control.read_text().split('\n')))
    _host_run('dpkg-deb', '-Zgzip', '-z1', '-b', str(tree), str(out / 'newer.deb'))
    _host_run('cp', str(ROOT / 'data/debian/tests/smoke'), str(out))
    return out


@pytest.fixture(scope='session')
def machine(shelf):
    machines.make_base()
    booted = machines.Machine(shelf)
    try:
        booted.start()
        yield booted
    finally:
        booted.stop()
