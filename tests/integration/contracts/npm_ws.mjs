// SPDX-FileCopyrightText: Copyright © the Choir contributors
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One conversation per dialect with npm's ws: node npm_ws.mjs PATH-OF-WS URL DIALECT TOKEN. At its end it prints what it heard, as a
// JSON array of texts, and "ok".

import { pathToFileURL } from 'node:url';

const [modulePath, base, dialect, token] = process.argv.slice(2);
const { default: WebSocket } = await import(pathToFileURL(modulePath));

const query = `?dialect=${dialect}&token=${token}`;
const CONTRACTS = {
  'choir': { path: '/ws' + query, body: 'payload', first: m => m.type === 'connection.established' },
  'netra': { path: '/ws' + query, body: 'data', first: m => m.type === 'status' && m.data.status === 'connected' },
  'netra-spec': { path: '/ws' + query, body: 'payload', first: m => m.type === 'connection_established' },
  'jddb': { path: `/ws/document/npm?token=${token}`, body: 'payload', first: m => m.type === 'document.open' },
  'reviewpoint': { path: '/ws/' + token, body: 'data', first: m => m.type === 'connection.established' },
  'tripsage': {
    path: '/ws/chat/npm', body: 'payload', hello: { token, sessionId: 'npm', channels: [] }, first: m => m.success === true,
  },
};

function fail(text) {
  console.error(text);
  process.exit(1);
}

const contract = CONTRACTS[dialect];
const socket = new WebSocket(base + contract.path);
const steps = [];
const heard = [];
if (contract.first)
  steps.push(['the first message', contract.first]);
steps.push(['a pong', m => m.type === 'pong']);
// malformed JSON gets an error and the connection survives
steps.push(['an error', m => m.type === 'error' || m.type === 'system.error']);
steps.push(['another pong', m => m.type === 'pong']);

const ping = () => socket.send(JSON.stringify({ type: 'ping', [contract.body]: {} }));
const then = { 'the first message': ping, 'a pong': () => socket.send('{bad'), 'an error': ping,
  'another pong': () => socket.close(1000, 'done') };

socket.on('open', () => {
  if (contract.hello)
    socket.send(JSON.stringify(contract.hello));
  else if (!contract.first)
    ping();
});
socket.on('message', (data, isBinary) => {
  heard.push(data.toString());
  const message = JSON.parse(data);
  if (message.type === 'user.presence')
    return;
  const [name, accepts] = steps.shift() ?? fail(`unexpected: ${data}`);
  if (isBinary || !accepts(message))
    fail(`${name} was due, came: ${data}`);
  then[name]();
});
socket.on('error', error => fail(error.message));
socket.on('close', code => {
  if (code !== 1000 || steps.length > 0)
    fail(`closed with ${code} before ${steps.map(([name]) => name)}`);
  console.log(JSON.stringify(heard));
  console.log('ok');
});
