# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What can be said of the packages without installing them."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def run(*command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)


def test_lintian(packages):
    changes, = packages.glob('*.changes')
    done = run('lintian', '--allow-root', '--quiet', '--profile', 'debian', '--fail-on', 'error,warning',
               '--tag-display-limit', '0', str(changes))
    assert (done.returncode, done.stdout) == (0, '')


def test_rpm_spec_parses():
    done = run('rpmspec', '-P', str(ROOT / 'data/choir.spec'))
    assert done.returncode == 0, done.stdout
    # macros that nobody knows are left as they stand
    left = [line for line in done.stdout.splitlines() if line.startswith('%{') or ' %systemd' in line]
    assert not left, left


def test_what_is_in_them(packages):
    package, = packages.glob('choir_*.deb')
    listed = run('dpkg-deb', '-c', str(package)).stdout
    for path in ('etc/choir/choir.conf', 'lib/systemd/system/choir.service', 'lib/systemd/system/choir@.socket',
                 'usr/bin/choird', 'usr/bin/choirctl', 'usr/lib/sysusers.d/choir.conf'):
        assert f' ./{path}\n' in listed, path
    assert run('dpkg-deb', '-I', str(package), 'conffiles').stdout.split() == ['/etc/choir/choir.conf']
    assert 'org.choir.Choir1.xml' in run('dpkg-deb', '-c', str(next(packages.glob('choir-dev_*.deb')))).stdout
