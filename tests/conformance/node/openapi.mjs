// SPDX-FileCopyrightText: Copyright © the Choir contributors
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// usage: node openapi.mjs OPENAPI-YAML VERSION
// Holds docs/openapi.yaml to OpenAPI 3.1, and its examples to its own schemas. What the service makes of it is told by
// tests/integration/test_openapi.py. Prints TAP.

const [path, version] = process.argv.slice(2);
let Ajv, dereference, validate;
try {
  ({ dereference, validate } = await import('@readme/openapi-parser'));
  Ajv = (await import('ajv/dist/2020.js')).default.default;
} catch (error) {
  console.log(`1..0 # SKIP @readme/openapi-parser is not installed (${error.code}): npm ci in tests/conformance/node`);
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

// The document by a parser that others wrote

const result = await validate(path);
const document = await dereference(path);
const METHODS = ['get', 'put', 'post', 'delete', 'patch'];
const operations = Object.entries(document.paths).flatMap(([address, item]) => METHODS.filter((method) => method in item)
  .map((method) => ({ name: `${method} ${address}`, address, shared: item.parameters ?? [], ...item[method] })));
report('accepted by the parser, its operations', operations.length, [...(result.errors ?? []), ...result.warnings].map(({ message }) => message));
report('OpenAPI 3.1, of this version', 1, [
  ...(document.openapi === '3.1.0' ? [] : [`not 3.1.0: ${document.openapi}`]),
  ...(document.info.version === version ? [] : [`not ${version}: ${document.info.version}`]),
]);

// Schemas

const ajv = new Ajv({ strict: true, strictTypes: false, strictTuples: false, strictRequired: false, validateFormats: false });
const compile = (schema) => {
  try {
    return ajv.compile(schema);
  } catch (error) {
    return error;
  }
};
const media = operations.flatMap(({ name, requestBody, responses }) => [
  ...Object.entries(requestBody?.content ?? {}).map(([type, entry]) => ({ where: `${name} ${type}`, isRequest: true, ...entry, type })),
  ...Object.entries(responses).flatMap(([status, response]) => Object.entries(response.content ?? {})
    .map(([type, entry]) => ({ where: `${name} ${status} ${type}`, ...entry, type }))),
]).map((entry) => ({ ...entry, check: compile(entry.schema) }));
report('schemas of bodies', media.length, media.filter(({ check }) => check instanceof Error).map(({ where, check }) => `${where}: ${check.message}`));

const parameters = operations.flatMap(({ name, shared, parameters: own }) => [...shared, ...(own ?? [])]
  .map((parameter) => ({ where: `${name} ${parameter.name}`, check: compile(parameter.schema) })));
report('schemas of parameters', parameters.length,
  parameters.filter(({ check }) => check instanceof Error).map(({ where, check }) => `${where}: ${check.message}`));

// Examples

const requests = media.filter(({ isRequest, type }) => isRequest && type === 'application/json');
report('bodies with an example', requests.length, requests.filter(({ examples }) => !examples).map(({ where }) => where));
const examples = requests.flatMap(({ where, check, examples: entries }) => Object.values(entries ?? {}).map(({ value }) => ({ where, check, value })));
report('examples that fit', examples.length,
  examples.filter(({ check, value }) => !check(value)).map(({ where, check }) => `${where}: ${ajv.errorsText(check.errors)}`));

// What is said of every operation

report('addresses whose variables are described', operations.length, operations.filter(({ address, shared, parameters: own }) => {
  const named = [...shared, ...(own ?? [])].filter((parameter) => parameter.in === 'path').map((parameter) => `{${parameter.name}}`);
  return JSON.stringify([...address.matchAll(/\{\w+\}/g)].map(([text]) => text)) !== JSON.stringify(named);
}).map(({ name }) => name));
report('operations that say what goes wrong', operations.length,
  operations.filter(({ responses }) => !('4XX' in responses)).map(({ name }) => name));
report('operations of the API and of sessions with a token', operations.length, operations.filter(({ address, security }) => {
  const isOpen = security?.length === 0;
  return isOpen === /^\/(api\/|sse$|emulation$)/.test(address);
}).map(({ name }) => name));

console.log(`1..${number}`);
process.exit(nBad > 0 ? 1 : 0);
