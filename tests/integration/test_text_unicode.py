# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The clients' half of the documents' tests, before it judges anything: operations on texts as the reference has them."""

import json
import random
from pathlib import Path

import pytest

from choir_test import text_unicode as ot

CASES = Path(__file__).resolve().parent.parent / 'data' / 'text-unicode' / 'cases.jsonl'
N_RANDOM = 3000


@pytest.fixture(scope='module')
def cases():
    with open(CASES, encoding='utf-8') as lines:
        found = [json.loads(line) for line in lines if line != '\n']
    assert len(found) == 400
    return found


def test_apply(cases):
    assert [ot.apply(case['text'], case['a']) for case in cases] == [case['applied'] for case in cases]


def test_compose(cases):
    assert [ot.compose(case['a'], case['next']) for case in cases] == [case['composed'] for case in cases]


@pytest.mark.parametrize('side', ['left', 'right'])
def test_transform(cases, side):
    assert [ot.transform(case['a'], case['b'], side) for case in cases] == [case[side] for case in cases]


def test_invert(cases):
    assert [ot.invert(case['a'], case['text']) for case in cases] == [case['inverse'] for case in cases]


def test_cursor(cases):
    for case in cases:
        positions = range(len(case['text']) + 1)
        assert [ot.transform_position(at, case['a']) for at in positions] == case['cursors'], case


def test_check(cases):
    for case in cases:
        for name in ('a', 'b', 'next', 'composed', 'left', 'right', 'inverse'):
            ot.check(case[name])


@pytest.mark.parametrize('operation', [
    {}, 'x', None, [0], [-1, 'x'], [1], ['x', 1], [1, 1, 'x'], [''], ['a', 'b'], [{'d': 0}], [{'d': 1}, {'d': 1}], [{'d': 'x'}],
    [{}], [{'d': 1, 'e': 1}], [1.0, 'x'], [1.5, 'x'], [True, 'x'], [{'d': True}], ['\ud800'], [None], [['x']],
])
def test_check_refuses(operation):
    with pytest.raises(ValueError):
        ot.check(operation)


def test_past_the_end():
    for operation in ([4, 'x'], [{'d': 4}], [2, {'d': 2}]):
        with pytest.raises(ValueError):
            ot.apply('abc', operation)


def test_laws():
    """Both ways round lead to one text; what was composed does what its parts do; an inverse takes back."""
    rng = random.Random(1989)
    n_tied = 0
    for _ in range(N_RANDOM):
        text = ot.random_text(rng, rng.randrange(20))
        a, b = ot.random_operation(rng, len(text)), ot.random_operation(rng, len(text))
        after_a, after_b = ot.apply(text, a), ot.apply(text, b)
        a_left, b_right = ot.transform(a, b, 'left'), ot.transform(b, a, 'right')
        assert ot.apply(after_a, b_right) == ot.apply(after_b, a_left), (text, a, b)
        n_tied += a_left != ot.transform(a, b, 'right')
        then = ot.random_operation(rng, len(after_a))
        assert ot.apply(text, ot.compose(a, then)) == ot.apply(after_a, then), (text, a, then)
        assert ot.apply(after_a, ot.invert(a, text)) == text, (text, a)
        assert ot.input_length(a) <= len(text)
    assert n_tied > N_RANDOM // 10


def test_steps():
    """Written from left to right, others' steps can be dealt with one by one, or as one operation: what is moved past them is
    one's own, and that is the left side."""
    rng = random.Random(2011)
    n_reordered = 0
    for _ in range(N_RANDOM):
        text = ot.random_text(rng, rng.randrange(20))
        a, b = ot.random_operation(rng, len(text)), ot.random_operation(rng, len(text))
        steps = ot.to_steps(a)
        assert ot.read_steps(steps) == a
        assert ot.apply(text, ot.compose_steps(steps)) == ot.apply(text, a), (text, a)
        n_reordered += ot.compose_steps(steps) != a
        moved, after = b, ot.apply(text, a)
        for step in steps:
            moved = ot.transform(moved, ot.step_to_operation(step), 'left')
        assert ot.apply(after, moved) == ot.apply(after, ot.transform(b, a, 'left')), (text, a, b)
    assert n_reordered > N_RANDOM // 20
