# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The manual pages: that they can be read without complaints, and say what the programs say of themselves."""

import functools
import os
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from choir_test import DEADLINE

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ['CHOIR_BUILD_DIR'])
PAGES = {
    'choird.8': 'real-time WebSocket service',
    'choirctl.1': 'watch and steer the Choir WebSocket service',
    'choir.conf.5': 'settings of the Choir WebSocket service',
    'choir-dbus.7': 'the D-Bus interface of the Choir WebSocket service',
}
CHOIRD = BUILD / 'src' / 'daemon' / 'choird'
CHOIRCTL = BUILD / 'src' / 'ctl' / 'choirctl'


def run(*command, **env):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE,
                          env={**os.environ, 'LC_ALL': 'C.UTF-8', **env}, check=False)
    assert done.returncode == 0, done.stderr
    return done


def page(name):
    return BUILD / 'docs' / 'man' / name


@functools.cache
def read(name):
    """As a terminal shows it, but wide, and without what makes letters bold."""
    text = run('man', '--no-hyphenation', '--no-justification', '-P', 'cat', '-l', page(name), MANWIDTH='240').stdout
    return re.sub('.\b', '', text)


def section(text, title):
    """What stands under a heading, up to the next of its kind."""
    match = re.search(rf'^( *){re.escape(title)}\n(.*?)(?=^\1\S|\Z)', text, re.MULTILINE | re.DOTALL)
    assert match, f'there is no section {title}'
    return match[2]


def options_of_page(text):
    """The options that are described: what begins a paragraph of terms."""
    terms = re.findall(r'^ *((?:-{1,2}[a-zA-Z][\w-]*(?:=\S+)?(?:, )?)+)$', text, re.MULTILINE)
    return {word.partition('=')[0] for term in terms for word in term.split(', ')}


def options_of_help(text):
    """`-h, --help` and `--set=SECTION.KEY=VALUE` at the beginning of lines."""
    found = set()
    for short, long_ in re.findall(r'^  (?:(-\w), )?(--[\w-]+)', text, re.MULTILINE):
        found |= {word for word in (short, long_) if word}
    return found


@functools.cache
def help_of(*command):
    return run(*command, '--help').stdout


# All of them


@pytest.mark.parametrize('name', PAGES)
def test_man_does_not_complain(name):
    for width in '80', '200':
        done = run('man', '--warnings', '-E', 'UTF-8', '-l', '-Tutf8', '-Z', page(name), MANWIDTH=width)
        assert done.stdout and done.stderr == ''


@pytest.mark.parametrize('name', PAGES)
def test_troff_does_not_complain(name):
    """Not even about what man leaves out: with all warnings, for paper."""
    done = run('groff', '-man', '-ww', '-K', 'utf8', '-Tutf8', page(name))
    assert done.stdout and done.stderr == ''


@pytest.mark.parametrize('name', PAGES)
def test_whatis(name):
    title = name.rpartition('.')[0]
    assert run('lexgrog', page(name)).stdout == f'{page(name)}: "{title} - {PAGES[name]}"\n'


@pytest.mark.parametrize('name', PAGES)
def test_nothing_is_left_open(name):
    text = read(name)
    assert not re.search(r'FIX[M]E|\[see|@\w+@|&\w+;', text)
    for title in 'NAME', 'SYNOPSIS', 'DESCRIPTION', 'SEE ALSO':
        assert section(text, title).strip()


@pytest.mark.parametrize('name', PAGES)
def test_own_pages_that_are_referred_to_are_there(name):
    for title, number in re.findall(r'\b(choir[\w.-]*)\((\d)\)', read(name)):
        assert f'{title}.{number}' in PAGES


def test_headings_say_the_version():
    version = run(CHOIRD, '--version').stdout.split()[1]
    for name in PAGES:
        assert f'Choir {version} ' in read(name).splitlines()[-1]


# choird(8)


def test_options_of_choird():
    assert options_of_page(section(read('choird.8'), 'OPTIONS')) == options_of_help(help_of(CHOIRD))


def test_commands_of_choird():
    commands = re.findall(r'^  choird (\w+) ', help_of(CHOIRD), re.MULTILINE)
    text = section(read('choird.8'), 'COMMANDS')
    assert re.findall(r'^   choird (\w+)$', text, re.MULTILINE) == ['token', 'user', 'backup'] == commands
    for command in commands:
        assert f'\n  choird {command} [OPTION' in help_of(CHOIRD, command)
        # those two are described once for all
        described = options_of_page(section(text, f'choird {command}')) | {'--config', '--set', '-h', '--help'}
        assert described == options_of_help(help_of(CHOIRD, command)), command


# choir.conf(5)


def dump():
    """[(group, key, value)] of every setting, with nothing configured."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(('CHOIR_', 'WEBSOCKET_')) and name != 'ENVIRONMENT'}
    done = subprocess.run([CHOIRD, '--config', '/dev/null', '--dump-config'], capture_output=True, text=True, timeout=DEADLINE,
                          env=env, check=True)
    rows = []
    for line in done.stdout.splitlines():
        name, _, value = line.rpartition('  # ')[0].partition('=')
        group, _, key = name.rpartition('.')
        rows.append((group, key, value.strip()))
    return rows


def test_every_setting_and_its_default():
    text = section(read('choir.conf.5'), 'SETTINGS')
    rows = dump()
    assert len(rows) > 150
    groups = {group for group, _, _ in rows}
    sections = {group for group in groups if ' ' not in group} | {'dialect NAME'}
    assert set(re.findall(r'^   \[(.*)\]$', text, re.MULTILINE)) == sections
    for group, key, value in rows:
        if ' ' in group:
            continue
        described = re.search(rf'^       {re.escape(key)}=\n(.*?)(?=^ {{7}}\S|\Z)', section(text, f'[{group}]'), re.MULTILINE | re.DOTALL)
        assert described, f'{group}.{key}'
        words = ' '.join(described[1].split())
        assert f'Default: {value}.' in words.replace('; ', ';') if value else 'Default: empty.' in words, (group, key, words)
    described = {(name, key) for name in sections for key in re.findall(r'^ {7}([\w-]+)=$', section(text, f'[{name}]'), re.MULTILINE)}
    wanted = {('dialect NAME' if group.startswith('dialect ') else group, key) for group, key, _ in rows
              if ' ' not in group or group.startswith('dialect ')}
    assert described == wanted


def test_every_instance():
    """What a built-in instance has otherwise than its section is shown."""
    text = section(read('choir.conf.5'), 'SETTINGS')
    rows = dump()
    general = {(group, key): value for group, key, value in rows}
    for group, key, value in rows:
        if group.startswith('namespace ') and value != general['namespace', key]:
            block = re.search(rf'^ *\[{group}\]\n((?: *[\w-]+=.*\n)+)', section(text, '[namespace]'), re.MULTILINE)
            assert block and re.search(rf'^ *{key}={re.escape(value)}$', block[1], re.MULTILINE), (group, key, value)


# choirctl(1)


def verbs_of_help():
    text = help_of(CHOIRCTL)
    summary = text[text.index('Verbs'):text.index('Help Options')]
    return re.findall(r'^  ([a-z-]+)  ', summary, re.MULTILINE)


def verb_sections():
    """{verb: what the page says of it}"""
    text = section(read('choirctl.1'), 'VERBS')
    parts = re.split(r'^ {7}([a-z][a-z-]*)(?: .*)?\n(?= {11}\S)', text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def test_verbs_of_choirctl():
    verbs = verbs_of_help()
    assert len(verbs) == len(set(verbs)) > 20
    assert sorted(verb_sections()) == sorted(verbs)


def test_options_of_choirctl():
    assert options_of_page(section(read('choirctl.1'), 'OPTIONS')) == options_of_help(help_of(CHOIRCTL))


def test_options_of_each_verb():
    """Its own come first in its help. Those for pages are described once for all."""
    pages = {'--limit', '--offset', '--all'}
    for verb, text in verb_sections().items():
        own = options_of_help(help_of(CHOIRCTL, verb).partition('Application Options:')[2].partition('  --system')[0])
        assert options_of_page(text) == own - pages, verb
        assert not own & pages or pages <= own, verb


def test_words_of_each_verb():
    text = section(read('choirctl.1'), 'VERBS')
    for verb in verbs_of_help():
        usage = help_of(CHOIRCTL, verb).partition('Usage:')[2].split('\n')[1]
        assert re.search(rf'^ {{7}}{re.escape(usage.partition("] ")[2].strip().replace("…", "..."))}$', text, re.MULTILINE), usage


def test_statuses_of_choirctl():
    header = (ROOT / 'src' / 'ctl' / 'choir-ctl-error.h').read_text()
    statuses = re.findall(r'CHOIR_CTL_[A-Z_]+ = (\d+),', header)
    described = re.findall(r'^ {7}(\d+)$', section(read('choirctl.1'), 'EXIT STATUS'), re.MULTILINE)
    assert described == statuses != []


def test_environment_of_choirctl():
    """What it and its completion read, and what the libraries do that find the bus."""
    source = ''.join(path.read_text('utf-8') for path in (ROOT / 'src' / 'ctl').glob('*.c'))
    read_here = set(re.findall(r'(?:g_getenv|get_size) \("([A-Z_]+)"', source))
    read_here |= set(re.findall(r'\$\{([A-Z_]+):-', (ROOT / 'data' / 'completions' / 'choirctl.bash').read_text()))
    assert {'NO_COLOR', 'CHOIR_TOKEN', 'COLUMNS', 'LINES', 'CHOIRCTL_COMPLETION_SECONDS'} <= read_here
    described = re.findall(r'^ {7}([A-Z_]+(?:, [A-Z_]+)*)$', section(read('choirctl.1'), 'ENVIRONMENT'), re.MULTILINE)
    assert {name for line in described for name in line.split(', ')} == \
        read_here | {'DBUS_SYSTEM_BUS_ADDRESS', 'DBUS_SESSION_BUS_ADDRESS'}


def examples_of_choirctl():
    """What pages tell people to type: `choirctl VERB ...` in blocks and between backquotes, and in the manual."""
    texts = [path.read_text('utf-8') for path in (*ROOT.glob('docs/*.md'), ROOT / 'README.md', ROOT / 'data' / 'prometheus' / 'choir.rules.yml')]
    texts += [section(read('choirctl.1'), 'EXAMPLES'), read('choird.8'), read('choir.conf.5')]
    return sorted({found for text in texts for found in re.findall(r'(?:^ +(?:\$ |sudo )*|`|; )choirctl ([^`\n#|]*)', text, re.MULTILINE)
                   if found and not re.match(r'[A-Z\[]', found)})


def test_examples_of_choirctl():
    """Each verb and option in them is one."""
    general, verbs = options_of_help(help_of(CHOIRCTL)), verbs_of_help()
    examples = examples_of_choirctl()
    assert len(examples) > 20
    for example in examples:
        words = [word for word in re.split(r'\s+', example.strip()) if word]
        while words and words[0].startswith('-'):
            option = words.pop(0).partition('=')[0]
            assert option in general, example
            if option in ('-H', '--host', '--node', '--address'):
                words.pop(0)
        if not words:
            continue
        assert words[0] in verbs, example
        options = options_of_help(help_of(CHOIRCTL, words[0]))
        for word in words[1:]:
            assert not re.match('--?[a-z]', word) or word.partition('=')[0] in options, example


# choir-dbus(7)


def test_every_member_of_the_interface():
    text = read('choir-dbus.7')
    for interface in ElementTree.parse(ROOT / 'data' / 'org.choir.Choir1.xml').getroot():
        name = interface.get('name')
        part = section(text, f'INTERFACE {name.rpartition(".")[2].upper()}')
        assert f'{name}: ' in part
        for member in interface:
            arguments = [f'{arg.get("type")} {arg.get("name")}' for arg in member.findall('arg')]
            if member.tag == 'property':
                assert re.search(rf'^ {{7}}{member.get("name")} \({member.get("type")}, [a-z ]+\)$', part, re.MULTILINE)
                continue
            line = re.search(rf'^ {{7}}{member.get("name")} \(.*$', part, re.MULTILINE)
            assert line, member.get('name')
            assert re.findall(r'[^\s(,]+ \w+(?=[,)])', line[0].replace('→', ',')) == arguments, line[0]
            for arg in member.findall('arg'):
                assert re.search(rf'^ {{11}}{arg.get("name")}$', part, re.MULTILINE), arg.get('name')


# meson_options.txt


def test_every_option_of_the_build_does_something():
    options = re.findall(r"^option\('(\w+)'", (ROOT / 'meson_options.txt').read_text(), re.MULTILINE)
    paths = [ROOT / 'meson.build', *(path for folder in ('data', 'docs', 'po', 'src', 'tests') for path in (ROOT / folder).rglob('meson.build'))]
    asked = {word for path in paths for word in re.findall(r"'(\w+)'", path.read_text('utf-8'))}
    assert options and set(options) <= asked
