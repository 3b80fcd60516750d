// SPDX-FileCopyrightText: Copyright © the Choir contributors
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// usage: node asyncapi.mjs ASYNCAPI-YAML DIALECT-ORACLE VERSION
// Holds docs/asyncapi.yaml to AsyncAPI 3, its examples to the schemas beside it, and both to the tables of the service, which
// DIALECT-ORACLE prints and applies. Prints TAP.

import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const [path, oracle, version] = process.argv.slice(2);
let Ajv, Parser, fromFile, yaml;
try {
  ({ Parser, fromFile } = await import('@asyncapi/parser'));
  Ajv = (await import('ajv')).default.default;
  yaml = (await import('js-yaml')).default;
} catch (error) {
  console.log(`1..0 # SKIP @asyncapi/parser is not installed (${error.code}): npm ci in tests/conformance/node`);
  process.exit(0);
}

const SHOWN_MAX = 12;
let number = 0;
let nBad = 0;

// `complaints` are what is wrong; nothing is also wrong where nothing was looked at
function report(name, seen, complaints) {
  const good = complaints.length === 0 && seen > 0;
  number += 1;
  nBad += good ? 0 : 1;
  console.log(`${good ? 'ok' : 'not ok'} ${number} - ${name}: ${seen}`);
  for (const complaint of complaints.slice(0, SHOWN_MAX)) console.log(`# ${complaint}`);
  if (complaints.length > SHOWN_MAX) console.log(`# and ${complaints.length - SHOWN_MAX} more`);
}

// The document by a parser that others wrote: it follows references into the schemas, too

const { document, diagnostics } = await fromFile(new Parser(), path).parse();
const WARNING = 1;
report('accepted by the parser, its messages', document?.messages().all().length ?? 0,
  diagnostics.filter(({ severity }) => severity <= WARNING).map((d) => `${d.path.join('/')}: ${d.message}`));
report('of this version', 1, document?.info().version() === version ? [] : [`not ${version}: ${document?.info().version()}`]);

// The schemas

const directory = join(dirname(path), 'schemas');
const files = Object.fromEntries(readdirSync(directory).map((name) => [basename(name, '.json'), JSON.parse(readFileSync(join(directory, name)))]));
const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
for (const [name, schema] of Object.entries(files)) ajv.addSchema(schema, `${name}.json`);
const dialects = Object.keys(files).filter((name) => !['common', 'payloads'].includes(name));
const isMessage = (key) => /^(in|out)\.|^published$/.test(key);

function keyOf(dialect, direction, message) {
  if (typeof message?.type === 'string') return `${direction}.${message.type}`;
  if (direction === 'in') return 'in.auth';
  return message?.success ? 'out.auth.ok' : 'out.auth.failed';
}

// What docs/schemas has against a message, null if nothing
function complaintOf(dialect, direction, message) {
  let key = keyOf(dialect, direction, message);
  if (!(key in files[dialect].definitions) && direction === 'out') key = 'published';
  const validate = ajv.getSchema(`${dialect}.json#/definitions/${key}`);
  if (!validate) return `${dialect}.json has no ${key}`;
  return validate(message) ? null : `${dialect} ${key}: ${ajv.errorsText(validate.errors)}, in ${JSON.stringify(message)}`;
}

report('files of schemas that are draft 7', Object.keys(files).length,
  Object.entries(files).filter(([, schema]) => !ajv.validateSchema(schema)).map(([name]) => `${name}: ${ajv.errorsText()}`));

// Every schema of a message is a message of the document, in the right operation

const raw = yaml.load(readFileSync(path, 'utf8'));
const messages = [];
for (const [channel, { messages: entries }] of Object.entries(raw.channels)) {
  for (const [key, entry] of Object.entries(entries)) {
    const found = entry.payload?.$ref.match(/^schemas\/(.*)\.json#\/definitions\/(.*)$/);
    if (found) messages.push({ channel, key, dialect: found[1], schema: found[2], direction: key.split('.')[0], ...entry });
  }
}
const described = new Set(messages.map(({ dialect, schema }) => `${dialect} ${schema}`));
const wanted = dialects.flatMap((dialect) => Object.keys(files[dialect].definitions).filter(isMessage).map((key) => `${dialect} ${key}`));
report('schemas that the document has', wanted.length, wanted.filter((name) => !described.has(name)));
report('messages called by their type', messages.length,
  messages.filter(({ key, schema }) => key.replace(/^out\.published$/, 'published') !== schema).map(({ channel, key }) => `${channel} ${key}`));

report('messages served, or announced, as their schema says', messages.length,
  messages.filter((message) => message['x-since'] !== files[message.dialect].definitions[message.schema]?.['x-since']).map(({ channel, key }) => `${channel} ${key}`));

const misplaced = [];
let nPlaces = 0;
for (const [channel, { messages: entries }] of Object.entries(raw.channels)) {
  for (const [direction, action] of [['in', 'receive'], ['out', 'send']]) {
    const operations = Object.values(raw.operations).filter((o) => o.channel.$ref === `#/channels/${channel}` && o.action === action);
    const said = operations.flatMap((o) => o.messages.map(({ $ref }) => $ref)).sort();
    const due = Object.keys(entries).filter((key) => key.startsWith(`${direction}.`)).map((key) => `#/channels/${channel}/messages/${key}`).sort();
    nPlaces += due.length;
    if (JSON.stringify(said) !== JSON.stringify(due)) misplaced.push(`${channel} ${action}: ${said.filter((x) => !due.includes(x))} ${due.filter((x) => !said.includes(x))}`);
  }
}
report('messages in the operation they belong to', nPlaces, misplaced);

// Examples

const examples = messages.flatMap((message) => message.examples.map(({ payload }) => ({ ...message, payload })));
report('messages with an example', messages.length, messages.filter(({ examples: list }) => !(list?.length > 0)).map(({ channel, key }) => `${channel} ${key}`));
report('examples that fit', examples.length, examples.map(({ dialect, direction, payload }) => complaintOf(dialect, direction, payload)).filter(Boolean));
report('examples that are of the message they stand at', examples.length,
  examples.filter(({ dialect, direction, schema, payload }) => {
    const key = keyOf(dialect, direction, payload);
    return schema === 'published' ? key in files[dialect].definitions : key !== schema;
  }).map(({ channel, key }) => `${channel} ${key}`));

// What the service never says must not pass: without any of its members, or with one more
const spoilt = [];
for (const { dialect, direction, payload } of examples.filter(({ direction }) => direction === 'out')) {
  for (const name of Object.keys(payload)) {
    // what is left out where there is nothing to be said
    if (['correlation_id', 'channel', 'offset'].includes(name)) continue;
    const { [name]: _, ...less } = payload;
    spoilt.push({ dialect, message: less, type: payload.type });
  }
  spoilt.push({ dialect, message: { ...payload, more: 1 }, type: payload.type });
}
report('spoilt examples that do not fit', spoilt.length, spoilt.filter(({ dialect, message, type }) => {
  const key = type === undefined ? keyOf(dialect, 'out', message) : `out.${type}`;
  return ajv.getSchema(`${dialect}.json#/definitions/${key in files[dialect].definitions ? key : 'published'}`)(message);
}).map(({ dialect, message }) => `${dialect} ${JSON.stringify(message)}`));

// The tables of the service

const lines = [];
const ask = (verb, dialect, message) => lines.push(`${verb} ${dialect} ${JSON.stringify(message)}`) - 1;

function runOracle() {
  const { status, stdout, stderr } = spawnSync(oracle, { input: lines.map((line) => `${line}\n`).join(''), encoding: 'utf8', maxBuffer: 1 << 26 });
  if (status !== 0) throw new Error(`${oracle}: ${stderr}`);
  return stdout.trimEnd().split('\n').map((line) => JSON.parse(line));
}

const outOfChoir = examples.filter(({ dialect, direction }) => dialect === 'choir' && direction === 'out');
// which the service itself writes down in a form of its own for jddb
const isOperation = ({ payload }) => Array.isArray(payload.operation) || Array.isArray(payload.operations);
const encoded = dialects.flatMap((dialect) => outOfChoir
  .filter(({ payload }) => dialect !== 'jddb' || !isOperation(payload))
  .map(({ schema, payload }) => ({ dialect, schema, at: ask('encode', dialect, payload) })));
const parsed = examples.filter(({ direction }) => direction === 'in')
  .map(({ dialect, schema, payload }) => ({ dialect, schema, at: ask('parse', dialect, payload) }));
const output = runOracle();
const tables = output.splice(0, output.length - lines.length);

report('dialects', dialects.length, dialects.concat(tables.map(({ dialect }) => dialect))
  .filter((name) => !dialects.includes(name) || !tables.some(({ dialect }) => dialect === name)));

const missing = [];
let nTypes = 0;
// a type that choir.v1 itself calls otherwise is described under that name
const renamed = tables.find(({ dialect }) => dialect === 'choir')?.out ?? {};
const canonical = (key) => `out.${renamed[key] ?? key}` in files.choir.definitions;
for (const { dialect, in: inbound, out: outbound } of tables) {
  const { definitions } = files[dialect];
  for (const type of Object.keys(inbound)) if (!(`in.${type}` in definitions)) missing.push(`${dialect} in.${type} has no schema`);
  for (const [type, external] of Object.entries(outbound)) {
    if (external !== null && !(`out.${external || type}` in definitions)) missing.push(`${dialect} out.${external || type} has no schema`);
    if (dialect !== 'choir' && type !== 'auth.failed' && !canonical(type)) missing.push(`choir out.${type} has no schema, of ${dialect}`);
  }
  nTypes += Object.keys(inbound).length + Object.keys(outbound).length;
}
report('types of the tables that have a schema', nTypes, missing);

const needless = [];
for (const { dialect, in: inbound, out: outbound } of tables) {
  const externals = Object.entries(outbound).map(([type, external]) => external || type);
  for (const key of Object.keys(files[dialect].definitions).filter(isMessage)) {
    const [direction, ...rest] = key.split('.');
    const type = rest.join('.');
    // a type without a row goes out under its own name
    const passes = canonical(type) && !(type in outbound);
    if (direction === 'in' && !(type in inbound)) needless.push(`${dialect} ${key}: no such row`);
    if (direction === 'out' && !externals.includes(type) && !passes) needless.push(`${dialect} ${key}: nothing is sent by that name`);
  }
}
// the fixed text that contract C has for what it could not read is no row
report('schemas whose type is in the tables', wanted.length, needless.filter((text) => !text.startsWith('jddb out.error:')));

// What the service makes of messages

const tableOf = Object.fromEntries(tables.map((table) => [table.dialect, table]));
function isHeard(dialect, schema) {
  const askedBy = files.choir.definitions[schema]['x-answers'];
  return askedBy === undefined || askedBy.some((type) => Object.values(tableOf[dialect].in).includes(type));
}
const sent = encoded.filter(({ dialect, schema }) => isHeard(dialect, schema)).map(({ at, ...rest }) => ({ ...rest, message: output[at] }));
report("choir's examples as the service writes them for every contract", sent.length,
  sent.map(({ dialect, schema, message }) => (message === null ? null : complaintOf(dialect, 'out', message) && `${schema}: ${complaintOf(dialect, 'out', message)}`)).filter(Boolean));
report("every contract's examples as the service reads them", parsed.length,
  parsed.map(({ dialect, schema, at }) => {
    const message = output[at];
    const why = typeof message === 'string' ? message : complaintOf('choir', 'in', message);
    return why && `${dialect} ${schema}: ${why}`;
  }).filter(Boolean));

console.log(`1..${number}`);
process.exit(nBad > 0 ? 1 : 0);
