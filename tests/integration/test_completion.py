# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Completion of choirctl's words, typed into a real bash and a real zsh, with a real daemon to ask."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tests' / 'support'))

from choir_test import connect  # noqa: E402
from choir_test.bus import Bus, make_daemon  # noqa: E402
from choir_test.ctl import Choirctl, Ssh, find_choirctl  # noqa: E402
from choir_test.terminal import Terminal  # noqa: E402

SCRIPTS = ROOT / 'data' / 'completions'
PROMPT = 'READY> '
BASH_COMPLETION = Path('/usr/share/bash-completion/bash_completion')


class Shell:
    """Types a line and a tab; complete() gives the line as it then stands, list() the words offered."""

    begin = ''
    command = ()

    def __init__(self, env):
        self._terminal = Terminal(list(self.command), {**env, 'TERM': 'dumb', 'PS1': PROMPT}, rows=50, columns=1000)
        self._terminal.wait_text(re.escape(PROMPT))
        self._terminal.send(self.begin + " echo re''ady\n")
        self._terminal.wait_text(r'ready\s+' + re.escape(PROMPT))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._terminal.__exit__(*error)

    def type(self, line):
        """What the terminal shows from the line on; a mark typed behind it shows when the tab has been dealt with."""
        start = len(self._terminal.raw)
        self._terminal.send(line + '\t')
        self._terminal.send('@~')
        self._terminal.wait_text('@~', start)
        shown = self._terminal.text_since(start)
        end = len(self._terminal.raw)
        # ^U takes the line away, and may draw the prompt: only what a command says tells that there is a new one
        self._terminal.send("\x15 echo re''ady\n")
        self._terminal.wait_text(r'ready\s+' + re.escape(PROMPT), end)
        return settle(shown).rpartition('@~')[0]

    def complete(self, line):
        return self.type(line).rpartition(PROMPT)[2]

    def list(self, line):
        shown = self.type(line).split('\n')
        return [word for row in shown[1:-1] for word in row.split()]


def settle(text):
    """As it stands in the end: zsh writes, goes back, and writes again."""
    out = []
    for c in text:
        if c == '\x08':
            out.pop()
        elif c not in '\r\x07':
            out.append(c)
    return ''.join(out)


class Bash(Shell):
    command = ('bash', '--norc', '--noprofile', '-i')
    begin = (f"source {BASH_COMPLETION}; source {SCRIPTS / 'choirctl.bash'}; bind 'set show-all-if-ambiguous on'; "
             "bind 'set bell-style none'; bind 'set enable-bracketed-paste off'; bind 'set completion-query-items -1'; "
             "bind 'set page-completions off';")


class Zsh(Shell):
    command = ('zsh', '-f', '-i')
    begin = (f'fpath=({SCRIPTS} $fpath); autoload -U compinit; compinit -u -D; unsetopt list_beep; LISTMAX=1000; '
             'unset zle_bracketed_paste; unsetopt prompt_cr prompt_sp;')


def missing(shell):
    if shell is Bash:
        return not BASH_COMPLETION.exists()
    return shutil.which('zsh') is None


@pytest.fixture(scope='module')
def bus():
    with Bus() as private:
        yield private


@pytest.fixture(scope='module')
def daemon(bus):
    with make_daemon(bus) as running:
        bus.wait_name()
        yield running


@pytest.fixture(scope='module')
def tools(tmp_path_factory):
    """A directory with choirctl in it, and an ssh that stays here."""
    directory = tmp_path_factory.mktemp('tools')
    Ssh(directory)
    (directory / 'choirctl').symlink_to(find_choirctl())
    return directory


@pytest.fixture(params=[Bash, Zsh], ids=['bash', 'zsh'])
def shell(request, tools, tmp_path):
    if missing(request.param):
        pytest.skip('bash-completion or zsh is not installed')
    # built with sanitizers it takes its time to start
    env = {**Choirctl.environment(), 'CHOIRCTL_COMPLETION_SECONDS': '10', 'PATH': f'{tools}:/usr/bin:/bin', 'HOME': str(tmp_path)}
    with request.param(env) as running:
        yield running


@pytest.fixture
def here(bus):
    return f'choirctl --address={bus.address}'


def join(daemon, user):
    return connect(daemon, 'choir', daemon.mint(user))


def subscribe(client, channel):
    client.send({'type': 'subscribe', 'payload': {'channels': [channel]}})
    client.wait_type('subscription.confirmed')


def help_of(ctl, *words):
    return ctl(*words, '--help', env={'LC_ALL': 'C.UTF-8'})


def verbs_of(ctl):
    return re.findall(r'^  ([a-z][a-z-]*)  ', help_of(ctl), re.MULTILINE)


def test_verbs(shell):
    ctl = Choirctl(None, where=[])
    verbs = verbs_of(ctl)
    assert {'status', 'top', 'trace', 'watch', 'check', 'kick'} <= set(verbs)
    assert shell.complete('choirctl sta') == 'choirctl status '
    assert {word for word in shell.list('choirctl ') if word in verbs} == set(verbs)


def test_options(shell):
    assert shell.complete('choirctl --sess') == 'choirctl --session '
    assert shell.complete('choirctl check --ins') == 'choirctl check --insecure '
    assert shell.complete('choirctl check --cou') == 'choirctl check --count='
    offered = set(shell.list('choirctl trace --'))
    for option in re.findall(r'--[a-z-]+', help_of(Choirctl(None, where=[]), 'trace')):
        assert {option, option + '='} & offered, option


def test_options_that_take_a_value():
    """Which of those of all verbs do the scripts know without asking; what follows them is no verb."""
    text = help_of(Choirctl(None, where=[])).partition('Application Options:')[2]
    wanted = {word for found in re.findall(r'^  (?:(-\w), )?(--[a-z-]+)=', text, re.MULTILINE) for word in found if word}
    for script in 'choirctl.bash', '_choirctl':
        known, = re.findall(r"with_value=[(' ]+(--.*?) *[)']$", (SCRIPTS / script).read_text(), re.MULTILINE)
        assert set(known.split()) == wanted, script


def test_fixed_words(shell):
    assert set(shell.list('choirctl log-level ')) == {'debug', 'info', 'notice', 'warning', 'error'}
    assert shell.complete('choirctl watch dr') == 'choirctl watch drain '
    assert shell.complete('choirctl watch tasks over') == 'choirctl watch tasks overload '
    assert shell.complete('choirctl trace --direction=o') == 'choirctl trace --direction=out '
    assert shell.complete('choirctl trace --direction o') == 'choirctl trace --direction out '
    assert shell.complete('choirctl top --view ch') == 'choirctl top --view channels '
    assert shell.complete('choirctl --color=al') == 'choirctl --color=always '
    assert shell.complete('choirctl --color ne') == 'choirctl --color never '
    assert set(shell.list('choirctl check ws')) == {'ws://', 'wss://'}
    assert shell.complete('choirctl check wss') == 'choirctl check wss://'


def test_users(shell, daemon, here):
    with join(daemon, 'alice'), join(daemon, 'bertram'):
        assert shell.complete(f'{here} block al') == f'{here} block alice '
        assert shell.complete(f'{here} block alice be') == f'{here} block alice bertram '
        assert {'alice', 'bertram'} <= set(shell.list(f'{here} block '))
        assert shell.complete(f'{here} trace --user=be') == f'{here} trace --user=bertram '
        assert shell.complete(f'{here} connections --user be') == f'{here} connections --user bertram '


def test_channels(shell, daemon, here):
    with join(daemon, 'alice') as alice:
        subscribe(alice, 'chat:lobby')
        subscribe(alice, 'chat:attic')
        assert shell.complete(f'{here} publish chat:lo') == f'{here} publish chat:lobby '
        assert {'chat:lobby', 'chat:attic'} <= {word if ':' in word else f'chat:{word}' for word in
                                                shell.list(f'{here} publish chat:')}
        assert shell.complete(f'{here} show channel chat:at') == f'{here} show channel chat:attic '
        assert shell.complete(f'{here} trace --channel=chat:lo') == f'{here} trace --channel=chat:lobby '


def test_connections(shell, daemon, here):
    with join(daemon, 'alice') as alice:
        alice.check_alive()
        told = alice.seen[0]['payload']
        connection, session = told['connection_id'], told['session_id']
        assert shell.complete(f'{here} kick {connection[:8]}') == f'{here} kick {connection} '
        assert shell.complete(f'{here} kick --user al') == f'{here} kick --user alice '
        assert shell.complete(f'{here} send --connection {connection[:8]}') == f'{here} send --connection {connection} '
        assert shell.complete(f'{here} show connection {connection[:8]}') == f'{here} show connection {connection} '
        assert shell.complete(f'{here} show session {session[:8]}') == f'{here} show session {session} '
        assert shell.complete(f'{here} --json trace --connection={connection[:8]}') == \
            f'{here} --json trace --connection={connection} '


def test_blocked_users(shell, daemon, bus, here):
    ctl = Choirctl(bus)
    ctl('block', 'mallory')
    assert shell.complete(f'{here} unblock ma') == f'{here} unblock mallory '
    ctl('unblock', 'mallory')
    assert shell.complete(f'{here} unblock ma') == f'{here} unblock ma'


def test_names_are_never_run(shell, daemon, here, tmp_path):
    """A client chooses its user's name."""
    trap = tmp_path / 'sprung'
    # what stands there afterwards is the name as one word, whoever's shell reads it
    for i, name in enumerate((f'$(touch${{IFS}}{trap})', f'`touch${{IFS}}{trap}`', f';touch${{IFS}}{trap};', "'|touch&\"\\*?[a]")):
        # the other shell's are not forgotten at once
        name = f'evil{type(shell).__name__}{i}{name}'
        with join(daemon, name):
            shown = shell.complete(f'{here} --json block evil{type(shell).__name__}{i}')
            if '"' not in name:
                assert shlex.split(shown)[-1] == name, shown
    assert not trap.exists()


@pytest.mark.parametrize('host', ['--host=there', '-H there', '-Hthere'])
def test_over_ssh(shell, daemon, bus, tools, host):
    """The bus of another host: the way there is asked the same."""
    there = f'choirctl {host} --address={bus.address}'
    told = tools / 'ssh.log'
    told.unlink(missing_ok=True)
    with join(daemon, 'alice'):
        assert shell.complete(f'{there} block al') == f'{there} block alice '
    assert 'there' in told.read_text().split()


def test_nobody_to_ask(shell):
    """No service, no bus: nothing is offered, and nothing said."""
    line = 'choirctl --address=unix:path=/nonexistent/bus block al'
    assert shell.complete(line) == line
