# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What data/choir.spec packs, and what its scripts do beside a systemd that runs.

Debian's rpm builds it, of files that the Debian packages have and with the spec's own stand-ins for the macros of
systemd; nothing is compiled again.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from choir_test import scaled

ROOT = Path(__file__).resolve().parent.parent.parent
KEY = '/etc/choir/hs256.key'
UNITS = ('choir.service', 'choir@a.service')
pytestmark = pytest.mark.skipif(shutil.which('rpmbuild') is None, reason='rpm is not installed')

# In meson's place: what it would install, from the packages; BUILDROOT, NEWER or "" and the packages are its arguments
INSTALL = '''set -e
root=$1 newer=$2
shift 2
for package; do dpkg-deb -x "$package" "$root"; done
cd "$root/usr/share/doc"
mv "$root/etc/choir/choir.conf" choir/examples/
mv choir-dev/examples/* choir/examples/
rmdir choir-dev/examples
rm -r choir*/changelog* choir*/copyright ../lintian
mv choir-dev/* choir/
rmdir choir-dev
find . -name '*.gz' -exec gunzip {} +
if [ -n "$newer" ]; then
  sed -i 's/^\\[Service\\]$/&\\nEnvironment=UNIT_IS_NEWER=1/' "$root/lib/systemd/system/choir.service" "$root/lib/systemd/system/choir@.service"
fi
'''


def build(top, packages, release, newer=''):
    defines = {
        '_topdir': str(top), 'dist': f'.{release}', 'debug_package': '%{nil}', '_binary_payload': 'w0.gzdio',
        '_unitdir': '/lib/systemd/system', '_presetdir': '/lib/systemd/system-preset', 'meson': 'true', 'meson_build': 'true',
        'meson_install': f'sh {top}/install.sh %{{buildroot}} "{newer}" {" ".join(packages)}',
    }
    words = [word for name, value in defines.items() for word in ('--define', f'{name} {value}')]
    done = subprocess.run(['rpmbuild', '-bb', '--nodeps', *words, str(ROOT / 'data/choir.spec')], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=scaled(120), check=False)
    # what is not in its lists, and what is in them but nowhere else
    assert done.returncode == 0 and 'File not found' not in done.stdout, done.stdout[-3000:]
    found, = (top / 'RPMS').glob(f'*/choir-0*.{release}.*.rpm')
    return str(found)


@pytest.fixture(scope='module')
def rpms(packages, tmp_path_factory):
    """One, and a newer one whose units differ."""
    top = tmp_path_factory.mktemp('rpm')
    (top / 'install.sh').write_text(INSTALL)
    (top / 'SOURCES').mkdir()
    subprocess.run(['tar', '-cJf', str(top / 'SOURCES/choir-0.1.0.tar.xz'), '--transform=s,^,choir-0.1.0/,', '-C', str(ROOT),
                    'LICENSE', 'NEWS', 'README.md'], check=True)
    debs = [str(next(packages.glob(f'{name}_*.deb'))) for name in ('choir', 'choir-dev')]
    return build(top, debs, 1), build(top, debs, 2, 'newer')


@pytest.fixture(scope='module')
def rpm(machine, tmp_path_factory):
    """Runs it on the files of the machine. The Debian packages are gone when this begins."""
    # SQLite finds its own way out of a root in /proc: whichever of the two places it takes, it is nobody else's
    memory = tmp_path_factory.mktemp('rpm-database')

    def run(*words):
        done = machine.run_here('rpm', '--root', machine.files, '--dbpath', str(memory), *words, env={**os.environ, 'LC_ALL': 'C.UTF-8'})
        assert done.returncode == 0 and 'scriptlet failed' not in done.stderr, done.stderr
        return done

    assert machine.try_run('dpkg-query', '-W', 'choir').returncode != 0
    return run


def test_install(machine, rpm, rpms):
    rpm('-i', '--nodeps', rpms[0])
    assert machine.run('stat', '-c', '%U %a %s', KEY).split() == ['root', '600', '64']
    assert machine.run('getent', 'passwd', 'choird') and machine.run('getent', 'group', 'choir')
    # as the presets say, and not before somebody starts it
    for unit in ('choir.service', 'choir.socket'):
        assert machine.systemctl('is-enabled', unit) == 'enabled' and not machine.is_active(unit)
    machine.write('/etc/choir/a.conf', '[server]\nnode=a\n[auth]\nkey=HS256:main:hs256.key\n')
    machine.systemctl('start', 'choir.socket', 'choir.service')
    machine.systemctl('start', 'choir@a.socket', 'choir@a.service')
    # the bus lets the new user have the name
    assert machine.run('choirctl', 'status') and machine.run('choirctl', '--node', 'a', 'status')


def test_upgrade(machine, rpm, rpms):
    """All are started again, by their new units; what was changed stays."""
    key = machine.read(KEY)
    machine.run('sh', '-c', 'echo "# changed" >>/etc/choir/choir.conf')
    before = [machine.show(unit, 'MainPID') for unit in UNITS]
    rpm('-U', '--nodeps', rpms[1])
    for unit, old in zip(UNITS, before):
        pid = machine.show(unit, 'MainPID')
        assert machine.is_active(unit) and pid != old, unit
        assert 'UNIT_IS_NEWER=1' in machine.read(f'/proc/{pid}/environ').split('\0'), unit
    assert machine.is_active('choir.socket') and machine.systemctl('is-enabled', 'choir.socket') == 'enabled'
    assert machine.read(KEY) == key
    assert machine.read('/etc/choir/choir.conf').endswith('# changed\n')


def test_erase(machine, rpm):
    key = machine.read(KEY)
    rpm('-e', 'choir')
    for unit in ('choir.service', 'choir.socket', 'choir@a.service', 'choir@a.socket'):
        assert not machine.is_active(unit), unit
        assert machine.show(unit, 'NeedDaemonReload') == 'no', unit
    assert machine.failed_units() == ''
    # tokens are still good if it comes again
    assert machine.read(KEY) == key
    left = machine.run('sh', '-c', 'find /usr /lib /etc -xdev -name "*choir*" -not -path "/etc/choir*"')
    assert left == '', left
