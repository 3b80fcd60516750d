// SPDX-FileCopyrightText: Copyright © the Choir contributors
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// usage: node make-cases.mjs CASES > cases.jsonl
// Generated texts and operations, and what the npm package `ot-text-unicode` 4.0.0 makes of them. The package is looked for where
// it is installed: NODE_PATH, or a node_modules directory above the current one.

import { createRequire } from 'node:module';

const { type } = createRequire(`${process.cwd()}/`)('ot-text-unicode');
const ALPHABET = ['a', 'b', 'c', ' ', '\n', 'ä', 'e\u0301', '漢', 'か', '\u3099', '😀', '👩\u200d👧', '\u{10fffd}', '\u2028', '"', '\\', '\t'];

let state = 20240229;
// Numerical Recipes' generator; its upper bits are good enough here
function below(n) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * n);
}

const randomText = (n) => Array.from({ length: n }, () => ALPHABET[below(ALPHABET.length)]).join('');
const length = (text) => Array.from(text).length;
const copy = (value) => JSON.parse(JSON.stringify(value));

function randomOperation(text) {
  const parts = [];
  let left = length(text);
  for (let i = below(7); i > 0; i -= 1) {
    const n = Math.min(left, 1 + below(5));
    const chance = below(10);
    if (chance < 4) parts.push(randomText(1 + below(3)));
    else if (n > 0) parts.push(chance < 7 ? n : { d: n });
    if (chance >= 4) left -= n;
  }
  return type.normalize(parts);
}

for (let i = Number(process.argv[2]); i > 0; i -= 1) {
  const text = randomText(below(16));
  const a = randomOperation(text);
  const b = randomOperation(text);
  const applied = type.apply(text, copy(a));
  const next = randomOperation(applied);
  console.log(JSON.stringify({
    text, a, b, next, applied,
    composed: type.compose(copy(a), copy(next)),
    left: type.transform(copy(a), copy(b), 'left'),
    right: type.transform(copy(a), copy(b), 'right'),
    inverse: type.stripInvertible(type.invertWithDoc(copy(a), text)),
    cursors: Array.from({ length: length(text) + 1 }, (_, at) => type.transformPosition(at, copy(a))),
  }));
}
