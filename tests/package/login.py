# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Somebody who has logged in to the machine, and types."""

import re

from choir_test.terminal import Terminal

# In two parts, so that typing it is not yet seeing it
PROMPT, TYPED_PROMPT = 'ready> ', "'rea''dy> '"
ASKED = 'Password: '


class Login:
    """`with Login(machine, user)`: a session of logind that login(1) opens, on a terminal there, with a shell in it.

    `seat`: where the user sits; `host`: where the user comes from over the network. login asks for no password, as on the
    terminal of a getty with --autologin.
    """

    def __init__(self, machine, user, seat=None, host=None):
        self._machine = machine
        place = [f'--setenv=XDG_SEAT={seat}'] if seat else []
        origin = ['-h', host] if host else []
        self._terminal = Terminal(machine.command('systemd-run', '--quiet', '--pty', '--collect', *place, 'login', *origin,
                                                  '-p', '-f', user, env=('TERM=dumb',)), {}, columns=200)
        self._terminal.wait_text(r'\$ $')
        self._type(f'PS1={TYPED_PROMPT}')
        _, text = self.do('echo "session=$XDG_SESSION_ID" "tty=$(tty)"')
        self.session = re.search(r'session=(\w+)', text)[1]
        self._tty = re.search(r'tty=(/\S+)', text)[1]

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self._terminal.send('exit 0\n')
            self._terminal.wait_exit()
        self._terminal.__exit__()

    def _is_hidden(self):
        """What is typed before is thrown away."""
        return ' -echo ' in self._machine.run('stty', '-F', self._tty, '-a')

    def _type(self, line, *answers):
        """What is shown up to the next prompt, with each answer to a question for a password."""
        start = len(self._terminal.raw)
        self._terminal.send(line + '\n')
        for number, answer in enumerate(answers, 1):
            self._terminal.wait(lambda terminal: terminal.text_since(start).count(ASKED) == number)
            self._machine.wait_until(self._is_hidden, 'the question for a password')
            self._terminal.send(answer)
        self._terminal.wait_text(re.escape(PROMPT) + '$', start)
        return self._terminal.text_since(start)

    def do(self, line, *answers):
        """(exit status, what was shown)"""
        text = self._type(line, *answers)
        return int(re.search(r'status=(\d+)', self._type('echo "status=$?"'))[1]), text

    def get(self, name):
        """What logind says of the session."""
        return self._machine.run('loginctl', 'show-session', self.session, '--value', '-p', name).strip()
