# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Operations on texts, of the type text-unicode of the ottypes family (https://github.com/ottypes/text-unicode), for
clients in tests. Written from what the type does, not from the service's code, so that neither judges itself.

An operation is a list that walks over a text: N keeps N code points, 'text' inserts, {'d': N} deletes N. Nobody changes
an operation that was made. Texts are Python strings, whose positions are code points.
"""

KEEP, INSERT, DELETE = int, str, dict

# Two of one kind in a row are one, and a keep at the end says nothing


class Builder:
    """Components in order, brought into the canonical form."""

    def __init__(self):
        self._out = []

    def keep(self, n):
        if n == 0:
            return
        if self._out and type(self._out[-1]) is int:
            self._out[-1] += n
        else:
            self._out.append(n)

    def insert(self, text):
        if text == '':
            return
        if self._out and type(self._out[-1]) is str:
            self._out[-1] += text
        else:
            self._out.append(text)

    def delete(self, n):
        if n == 0:
            return
        if self._out and type(self._out[-1]) is dict:
            self._out[-1] = {'d': self._out[-1]['d'] + n}
        else:
            self._out.append({'d': n})

    def end(self):
        if self._out and type(self._out[-1]) is int:
            self._out.pop()
        return self._out


class _Walk:
    """Goes through an operation in pieces. Behind its end it keeps, for ever."""

    def __init__(self, operation):
        self._parts = operation
        self._at = 0
        self._used = 0

    def kind(self):
        return type(self._parts[self._at]) if self._at < len(self._parts) else None

    def take(self, n):
        """The next piece of a keep or a delete: its kind and how long it is, at most `n`."""
        if self._at == len(self._parts):
            return KEEP, n
        part = self._parts[self._at]
        whole = part if type(part) is int else part['d']
        left = whole - self._used
        if left <= n:
            self._at += 1
            self._used = 0
            return type(part), left
        self._used += n
        return type(part), n

    def take_insert(self, n=None):
        """The next piece of an insert, at most `n`; all that is left of it without `n`."""
        part = self._parts[self._at]
        end = len(part) if n is None else min(len(part), self._used + n)
        piece = part[self._used:end]
        if end == len(part):
            self._at += 1
            self._used = 0
        else:
            self._used = end
        return piece

    def take_delete(self):
        """What is left of the next delete."""
        left = self._parts[self._at]['d'] - self._used
        self._at += 1
        self._used = 0
        return left

    def copy_rest(self, builder):
        while (kind := self.kind()) is not None:
            if kind is str:
                builder.insert(self.take_insert())
            elif kind is dict:
                builder.delete(self.take_delete())
            else:
                builder.keep(self._parts[self._at] - self._used)
                self._at += 1
                self._used = 0


def check(operation):
    """Raises ValueError unless `operation` is one, and canonical."""
    if not isinstance(operation, list):
        raise ValueError(f'not a list: {operation!r}')
    last = None
    for part in operation:
        kind = type(part)
        if kind is int:
            good = part > 0
        elif kind is str:
            good = part != '' and not any('\ud800' <= char <= '\udfff' for char in part)
        else:
            good = kind is dict and list(part) == ['d'] and type(part['d']) is int and part['d'] > 0
        if not good or kind is last:
            raise ValueError(f'{part!r} in {operation!r}')
        last = kind
    if last is int:
        raise ValueError(f'a keep at the end of {operation!r}')
    return operation


def input_length(operation):
    """Code points a text must have for the operation to apply."""
    return sum(part if type(part) is int else part['d'] for part in operation if type(part) is not str)


def apply(text, operation):
    """The text after the operation; ValueError if it reaches past the end."""
    out, at = [], 0
    for part in operation:
        if type(part) is str:
            out.append(part)
        elif type(part) is int:
            out.append(text[at:at + part])
            at += part
        else:
            at += part['d']
    if at > len(text):
        raise ValueError(f'{at} code points wanted of {len(text)}')
    out.append(text[at:])
    return ''.join(out)


def compose(first, second):
    """One operation that does what both do, one after the other."""
    walk, out = _Walk(first), Builder()
    for part in second:
        if type(part) is str:
            out.insert(part)
            continue
        kept = type(part) is int
        left = part if kept else part['d']
        while left > 0:
            kind = walk.kind()
            if kind is dict:
                # gone before `second` came
                out.delete(walk.take_delete())
            elif kind is str:
                piece = walk.take_insert(left)
                left -= len(piece)
                if kept:
                    out.insert(piece)
            else:
                _, n = walk.take(left)
                left -= n
                if kept:
                    out.keep(n)
                else:
                    out.delete(n)
    walk.copy_rest(out)
    return out.end()


def transform(operation, other, side):
    """`operation` as it has to be after `other`, where both were made on the same text. Of two inserts at one place that
    of side 'left' stands first."""
    if side not in ('left', 'right'):
        raise ValueError(side)
    walk, out = _Walk(operation), Builder()
    for part in other:
        if type(part) is str:
            if side == 'left' and walk.kind() is str:
                out.insert(walk.take_insert())
            out.keep(len(part))
            continue
        kept = type(part) is int
        left = part if kept else part['d']
        while left > 0:
            if walk.kind() is str:
                out.insert(walk.take_insert())
                continue
            kind, n = walk.take(left)
            left -= n
            if kept:
                # what `other` deleted need not be kept, and can't be deleted again
                (out.delete if kind is dict else out.keep)(n)
    walk.copy_rest(out)
    return out.end()


def transform_position(position, operation):
    """Where a cursor is after somebody else's operation. An insert right there does not push it."""
    at = 0
    for part in operation:
        if at >= position:
            break
        if type(part) is int:
            at += part
        elif type(part) is str:
            at += len(part)
            position += len(part)
        else:
            position -= min(part['d'], position - at)
    return position


def invert(operation, before):
    """What takes the operation back; `before` is the text it was applied to."""
    out, at = Builder(), 0
    for part in operation:
        if type(part) is int:
            out.keep(part)
            at += part
        elif type(part) is str:
            out.delete(len(part))
        else:
            out.insert(before[at:at + part['d']])
            at += part['d']
    return out.end()


def insertion(position, text):
    return [position, text] if position else [text]


def deletion(position, length):
    return [position, {'d': length}] if position else [{'d': length}]


# The other form: steps with positions, each acting on the result of the one before

def to_steps(operation):
    """From left to right."""
    out, at = [], 0
    for part in operation:
        if type(part) is int:
            at += part
        elif type(part) is str:
            out.append({'operation': 'insert', 'position': at, 'content': part})
            at += len(part)
        else:
            out.append({'operation': 'delete', 'position': at, 'length': part['d']})
    return out


def step_to_operation(step):
    kind = step['operation']
    if kind == 'insert':
        return insertion(step['position'], step['content'])
    if kind == 'delete':
        return deletion(step['position'], step['length'])
    if kind != 'retain':
        raise ValueError(f'{kind!r} in {step!r}')
    return []


def compose_steps(steps):
    """What steps mean that somebody sends. What is inserted where something has just been deleted stands before that."""
    out = []
    for step in steps:
        out = compose(out, step_to_operation(step))
    return out


def read_steps(steps):
    """The operation that to_steps() makes these of, or the like of it."""
    out, at = Builder(), 0
    for step in steps:
        if step['operation'] == 'retain':
            continue
        if step['position'] < at:
            raise ValueError(f'not from left to right: {steps!r}')
        out.keep(step['position'] - at)
        at = step['position']
        if step['operation'] == 'insert':
            out.insert(step['content'])
            at += len(step['content'])
        else:
            out.delete(step['length'])
    return out.end()


# Chance. A short alphabet meets itself often; the rest is what is easily counted wrong: four bytes of UTF-8, a pair of
# UTF-16, combining marks, a joined emoji, Hangul of parts, what looks like a line break, escapes of JSON

ALPHABET = ('a', 'b', 'c', ' ', '\n', 'ä', 'e\u0301', '漢', '字', 'か', '\u3099', '\u1100\u1161', '😀', '👩\u200d👩\u200d👧',
            '\U0010fffd', '\u2028', '"', '\\', '\t', '\u200f', '🇩🇪', '\ufeff', '\x7f')


def random_text(rng, n):
    """`n` entries of ALPHABET: at least as many code points."""
    return ''.join(rng.choice(ALPHABET) for _ in range(n))


def random_operation(rng, length, n_parts=6, n_insert=4):
    """Something for a text of `length` code points, up to `n_parts` components; now and then nothing."""
    out, left = Builder(), length
    for _ in range(rng.randrange(n_parts + 1)):
        chance = rng.random()
        if chance < 0.4:
            out.insert(random_text(rng, 1 + rng.randrange(n_insert)))
            continue
        n = min(left, 1 + rng.randrange(max(1, length // 2)) if rng.random() < 0.2 else 1 + rng.randrange(8))
        left -= n
        (out.keep if chance < 0.75 else out.delete)(n)
    return out.end()
