// SPDX-FileCopyrightText: Copyright © the Choir contributors
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// usage: node text-unicode.mjs TEXT-ORACLE CASES
// Does what TEXT-ORACLE did once more with the npm package `ot-text-unicode` and compares every byte. Prints TAP: a point for each
// thing that is done, with the number of cases; the first cases that differ are shown.

import { spawn } from 'node:child_process';
import { once } from 'node:events';

const SHOWN_MAX = 3;
const COUNT_MAX = 2 ** 31 - 1;

const [oracle, n] = process.argv.slice(2);
const nCases = Number(n);
let type;
try {
  // it is CommonJS
  ({ type } = (await import('ot-text-unicode')).default);
} catch (error) {
  console.log(`1..0 # SKIP ot-text-unicode is not installed (${error.code}): npm ci in tests/conformance/node`);
  process.exit(0);
}

const subjects = new Map();

function compare(name, seed, ours, theirs, from) {
  const subject = subjects.get(name) ?? { n: 0, different: 0, shown: [] };
  subjects.set(name, subject);
  subject.n += 1;
  if (ours === theirs) return;
  subject.different += 1;
  if (subject.shown.length < SHOWN_MAX) subject.shown.push(`seed ${seed}: ours ${ours}, the reference's ${theirs}, of ${JSON.stringify(from)}`);
}

// The package changes what it is given in places: whoever asks gets a copy of their own
const operation = (json) => JSON.parse(json);

function checkPair(line) {
  const { seed, text, a, b, next } = line;
  const check = (name, ours, theirs, ...from) => compare(name, seed, ours, theirs, from);
  check('apply', line.applied, type.apply(text, operation(a)), text, a);
  check('compose', line.composed, JSON.stringify(type.compose(operation(a), operation(next))), a, next);
  check('transform left', line.left, JSON.stringify(type.transform(operation(a), operation(b), 'left')), a, b);
  check('transform right', line.right, JSON.stringify(type.transform(operation(a), operation(b), 'right')), a, b);
  // the package's inverse can be inverted again without the text
  check('invert', line.inverse, JSON.stringify(type.stripInvertible(type.invertWithDoc(operation(a), text))), text, a);
  const cursors = Array.from(text).map((_, i) => i).concat(Array.from(text).length);
  check('cursor', JSON.stringify(line.cursors), JSON.stringify(cursors.map((i) => type.transformPosition(i, operation(a)))), a);
  // what is written is canonical
  for (const json of [a, b, next, line.composed, line.left, line.right, line.inverse]) {
    type.checkOp(operation(json));
    check('canonical form', json, JSON.stringify(type.normalize(operation(json))), json);
  }
}

// Where Choir refuses what the package lets through, by what docs/protocol.md promises
const stricter = {
  'a fraction': (c) => [c, c?.d].some((count) => typeof count === 'number' && !Number.isInteger(count) && Number.isFinite(count)),
  'a count that no text has': (c) => [c, c?.d].some((count) => count > COUNT_MAX),
  'a delete with its text': (c) => typeof c?.d === 'string',
  'further keys': (c) => c !== null && typeof c === 'object' && !Array.isArray(c) && Object.keys(c).some((key) => key !== 'd'),
  'a boolean': (c) => typeof c === 'boolean',
  'half a surrogate pair': (c) => typeof c === 'string' && /\p{Surrogate}/u.test(c),
};

// The package's own verdict: its check passes, and its normal form is the very same
function verdict(input) {
  try {
    type.checkOp(JSON.parse(input));
    return JSON.stringify(type.normalize(JSON.parse(input))) === JSON.stringify(JSON.parse(input)) ? 'accepted' : 'refused';
  } catch {
    return 'refused';
  }
}

function checkInput(line) {
  const { seed, input, taken } = line;
  const check = (name, ours, theirs) => compare(name, seed, ours, theirs, [input, line.refused ?? taken]);
  const ours = taken === undefined ? 'refused' : 'accepted';
  const theirs = verdict(input);
  const why = theirs === 'accepted' ? Object.keys(stricter).filter((name) => JSON.parse(input).some(stricter[name])) : [];
  for (const name of why) check(`refused more strictly: ${name}`, ours, 'refused');
  if (why.length > 0) return;
  check(theirs, ours, theirs);
  if (ours === 'accepted') check('read and written', taken, JSON.stringify(JSON.parse(input)));
}

function checkSteps(line) {
  compare('normalize', line.seed, line.normal, JSON.stringify(type.normalize(structuredClone(line.steps))), line.steps);
}

// Not readline's, which also end at U+2028
async function* lines(stream) {
  let rest = '';
  for await (const chunk of stream.setEncoding('utf8')) {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop();
    yield* parts;
  }
  if (rest !== '') throw new Error('the last line is cut short');
}

const child = spawn(oracle, [n], { stdio: ['ignore', 'pipe', 'inherit'] });
const exited = once(child, 'exit');
for await (const text of lines(child.stdout)) {
  const line = JSON.parse(text);
  if (line.kind === 'pair') {
    checkPair(line);
  } else {
    checkInput(line);
    checkSteps(line);
  }
}
const [status] = await exited;

const everyCase = ['apply', 'compose', 'transform left', 'transform right', 'invert', 'cursor', 'normalize'];
const some = ['canonical form', 'accepted', 'refused', 'read and written', ...Object.keys(stricter).map((name) => `refused more strictly: ${name}`)];
console.log(`1..${everyCase.length + some.length + 1}`);
let number = 0;
let nBad = 0;
function report(good, text, details = []) {
  number += 1;
  nBad += good ? 0 : 1;
  console.log(`${good ? 'ok' : 'not ok'} ${number} - ${text}`);
  for (const detail of details) console.log(`# ${detail}`);
}
report(status === 0, 'the oracle came to its end');
for (const name of [...everyCase, ...some]) {
  const { n: seen, different, shown } = subjects.get(name) ?? { n: 0, different: 0, shown: [] };
  const enough = everyCase.includes(name) ? seen === nCases : seen > 0;
  report(different === 0 && enough, `${name}: ${seen} cases, ${different} different`, shown);
}
process.exit(nBad > 0 ? 1 : 0);
