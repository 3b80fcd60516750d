#!/usr/bin/python3
# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs pytest and prints TAP, one line per test, so that the build system counts what was really tested.

usage: run-pytest.py DIRECTORY-OR-FILE... [pytest options]
"""

import os
import sys
from pathlib import Path

import pytest


class TapReporter:
    """Turns the phases of each test (setup, call, teardown) into one TAP line."""

    def __init__(self, stream):
        self._stream = stream
        self._pending = {}
        self._n = 0
        self.n_failed = 0

    def _print(self, line):
        self._stream.write(line + '\n')
        self._stream.flush()

    def start(self):
        self._print('TAP version 13')

    def finish(self, exit_code):
        if exit_code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) and self._n > 0:
            self._print(f'1..{self._n}')
        else:
            self._print(f'Bail out! pytest: {pytest.ExitCode(exit_code).name.lower().replace("_", " ")}')

    def _result(self, good, name, directive='', details=''):
        self._n += 1
        self.n_failed += not good
        # '#' would start a directive
        name = name.replace('#', '%23')
        self._print(f'{"ok" if good else "not ok"} {self._n} - {name}{directive}')
        for line in details.splitlines():
            self._print(f'# {line}')

    def pytest_addoption(self, parser):
        # the terminal's, which is not loaded; the explanations of failed assertions ask for it
        parser.getgroup('tap').addoption('--verbose', dest='verbose', type=int, default=1)

    def pytest_runtest_logreport(self, report):
        kept = self._pending.setdefault(report.nodeid, {'details': '', 'skip': None})
        if report.failed or getattr(report, 'wasxfail', None) is not None:
            kept['details'] += f'{report.when}: {report.longreprtext}\n'
            for title, text in report.sections:
                kept['details'] += f'--- {title} ---\n{text}\n'
        elif report.skipped:
            kept['skip'] = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if report.when == 'teardown':
            self._end(report.nodeid, self._pending.pop(report.nodeid))

    def _end(self, nodeid, kept):
        name = nodeid.split('/')[-1]
        if kept['details']:
            self._result(False, name, details=kept['details'])
        elif kept['skip'] is not None:
            reason = kept['skip'].removeprefix('Skipped: ').replace('\n', ' ')
            self._result(True, name, f' # SKIP {reason}')
        else:
            self._result(True, name)

    def pytest_collectreport(self, report):
        if report.failed:
            self._result(False, f'collect {report.nodeid}', details=report.longreprtext)

    def pytest_internalerror(self, excrepr):
        self._result(False, 'pytest itself', details=str(excrepr))


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    # pytest captures descriptor 1; the report goes to a copy of it
    stream = os.fdopen(os.dup(1), 'w', encoding='utf-8')
    reporter = TapReporter(stream)
    reporter.start()
    code = pytest.main(['-p', 'no:terminal', '-p', 'no:cacheprovider', *sys.argv[1:]], plugins=[reporter])
    reporter.finish(code)
    sys.exit(1 if reporter.n_failed or code != pytest.ExitCode.OK else 0)


if __name__ == '__main__':
    main()
