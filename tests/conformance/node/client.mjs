// SPDX-FileCopyrightText: Copyright © the Choir contributors
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// usage: node client.mjs SCENARIO URL [JSON options]
// Runs one scenario with the npm package `ws`; prints a JSON object of what it saw, exits 1 with a message if it failed.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import WebSocket from 'ws';

const [scenario, url, rawOptions] = process.argv.slice(2);
const options = JSON.parse(rawOptions ?? '{}');
const DEADLINE_MS = 20000;

async function open(settings = {}, target = url) {
  const ws = new WebSocket(target, options.protocols ?? [], { perMessageDeflate: false, ...settings });
  const inbox = [];
  const waiting = [];
  ws.on('message', (data, isBinary) => {
    const next = waiting.shift();
    if (next) next({ data, isBinary });
    else inbox.push({ data, isBinary });
  });
  ws.receive = () => (inbox.length ? Promise.resolve(inbox.shift()) : new Promise((resolve) => waiting.push(resolve)));
  await once(ws, 'open');
  return ws;
}

async function close(ws, code = 1000, reason = '') {
  const closed = once(ws, 'close');
  ws.close(code, reason);
  const [got] = await closed;
  return got;
}

async function echoes(ws, sizes) {
  for (const size of sizes) {
    const text = 'Grüße €😀 '.repeat(Math.ceil(size / 10)).slice(0, size);
    ws.send(text);
    const back = await ws.receive();
    assert.equal(back.isBinary, false);
    assert.equal(back.data.toString(), text);
    const binary = randomBytes(size);
    ws.send(binary);
    const bytes = await ws.receive();
    assert.equal(bytes.isBinary, true);
    assert.ok(bytes.data.equals(binary));
  }
}

const SIZES = [0, 1, 125, 126, 127, 1000, 65535, 65536, 200000];

const scenarios = {
  async echo() {
    const ws = await open();
    await echoes(ws, SIZES);
    return { extensions: ws.extensions, code: await close(ws) };
  },

  async compressed() {
    const ws = await open({ perMessageDeflate: { threshold: 0, ...options.deflate } });
    await echoes(ws, SIZES);
    await echoes(ws, SIZES);
    return { extensions: ws.extensions, code: await close(ws) };
  },

  async fragmented() {
    const ws = await open({ perMessageDeflate: options.compress ? { threshold: 0 } : false });
    for (let i = 0; i < 20; i++) ws.send(`part ${i};`, { fin: i === 19 });
    const back = await ws.receive();
    return { text: back.data.toString(), code: await close(ws) };
  },

  async ping() {
    const ws = await open();
    for (let i = 0; i < 20; i++) {
      const pong = once(ws, 'pong');
      ws.ping(`ping ${i}`);
      const [data] = await pong;
      assert.equal(data.toString(), `ping ${i}`);
    }
    return { code: await close(ws) };
  },

  async codes() {
    const codes = [];
    for (const code of [1000, 1001, 1011, 3000, 4999]) codes.push(await close(await open(), code, 'reason'));
    return { codes };
  },

  async many() {
    const clients = await Promise.all(Array.from({ length: 50 }, () => open({ perMessageDeflate: true })));
    await Promise.all(clients.map((ws, i) => (async () => {
      for (let n = 0; n < 20; n++) {
        ws.send(`client ${i} message ${n}`);
        assert.equal((await ws.receive()).data.toString(), `client ${i} message ${n}`);
      }
      assert.equal(await close(ws), 1000);
    })()));
    return { clients: clients.length };
  },

  async choir() {
    const ws = await open({ perMessageDeflate: true });
    const json = async () => JSON.parse((await ws.receive()).data.toString());
    const until = async (type) => {
      for (;;) {
        const message = await json();
        if (message.type === type) return message;
      }
    };
    const first = await json();
    ws.send(JSON.stringify({ type: 'ping', payload: { ping_id: 'from node' } }));
    const pong = await until('pong');
    ws.send(JSON.stringify({ type: 'subscribe', payload: { channels: [{ channel: 'chat:node' }] } }));
    const confirmed = await until('subscription.confirmed');
    ws.send(JSON.stringify({
      type: 'publish', payload: { channel: 'chat:node', type: 'chat.message', payload: { content: 'Hallo', role: 'user' } },
    }));
    const types = [];
    let message = null;
    while (!types.includes('publish.ok') || message === null) {
      const next = await json();
      types.push(next.type);
      if (next.type === 'chat.message') message = next;
    }
    return { first, pong, confirmed, message, protocol: ws.protocol, code: await close(ws) };
  },
};

setTimeout(() => {
  console.error(`${scenario}: no end in ${DEADLINE_MS} ms`);
  process.exit(1);
}, DEADLINE_MS).unref();

try {
  console.log(JSON.stringify(await scenarios[scenario]()));
} catch (error) {
  console.error(`${scenario}: ${error.stack}`);
  process.exit(1);
}
