# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The translations: complete, none guessed, and fit for what the sources say today."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from choir_test import DEADLINE

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ['CHOIR_BUILD_DIR'])
WORDS = (ROOT / 'po' / 'LINGUAS').read_text().splitlines()
LANGUAGES = [word for line in WORDS for word in line.partition('#')[0].split()]
FILES = [line for line in (ROOT / 'po' / 'POTFILES.in').read_text().splitlines() if line and not line.startswith('#')]
KEYWORDS = ['_', 'N_', 'C_:1c,2', 'NC_:1c,2', 'ngettext:1,2', 'g_dngettext:2,3', 'Q_']
MARKED = re.compile(r'\b(?:N?C?_|ngettext|g_dngettext|Q_) ?\(\s*"')


def run(*command, **kwargs):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=DEADLINE, check=False, **{'env': {**os.environ, 'LC_ALL': 'C.UTF-8'}, **kwargs})
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope='module')
def template(tmp_path_factory):
    """What is to be translated, from the sources as they are."""
    path = tmp_path_factory.mktemp('po') / 'choir.pot'
    run('xgettext', '--from-code=UTF-8', '--add-comments', '--check=ellipsis-unicode',
        *(f'--keyword={word}' for word in KEYWORDS), *(f'--flag={word}:1:pass-c-format' for word in ('_', 'N_')),
        '-o', path, *FILES, cwd=ROOT)
    return path


def test_the_languages_are_there():
    assert {'de', 'es', 'fr', 'zh_CN'} <= set(LANGUAGES)
    assert {path.stem for path in (ROOT / 'po').glob('*.po')} == set(LANGUAGES)


def test_every_file_with_words_is_listed():
    sources = [*(ROOT / 'src').rglob('*.c'), *(ROOT / 'src').rglob('*.h')]
    marked = {str(path.relative_to(ROOT)) for path in sources if MARKED.search(path.read_text())}
    marked |= {str(path.relative_to(ROOT)) for path in (ROOT / 'data').glob('*.policy*')}
    assert marked == set(FILES)


@pytest.mark.parametrize('language', LANGUAGES)
def test_nothing_is_untranslated_or_fuzzy(language, template):
    catalogue = ROOT / 'po' / f'{language}.po'
    # fails on what is untranslated or fuzzy, and on what the sources say and the catalogue does not
    run('msgcmp', catalogue, template)
    said = run('msgfmt', '--check', '--check-accelerators=_', '--statistics', '-o', os.devnull, catalogue).stderr
    assert re.fullmatch(r'\d+ translated messages?\.\n', said), said


@pytest.mark.parametrize('language', LANGUAGES)
def test_nothing_is_kept_that_nobody_says(language):
    assert not run('msgattrib', '--only-obsolete', ROOT / 'po' / f'{language}.po').stdout


def test_a_program_speaks_them(tmp_path):
    """The catalogues are found where they are installed, and what they say is what is printed."""
    run('meson', 'install', '-C', BUILD, '--no-rebuild', '--destdir', tmp_path, '--tags', 'i18n')
    installed = {path.parents[1].name: path for path in tmp_path.rglob('choir.mo')}
    assert set(installed) == set(LANGUAGES)

    for language, path in installed.items():
        said = run('gettext', '-d', 'choir', 'Print JSON',
                   env={'PATH': os.environ['PATH'], 'TEXTDOMAINDIR': str(path.parents[2]), 'LC_ALL': 'C.UTF-8',
                        'LANGUAGE': language}).stdout
        assert said and said != 'Print JSON', language
