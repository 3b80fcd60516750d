// SPDX-FileCopyrightText: Copyright © the Choir contributors
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The load test's server on npm's ws: /echo, /sub and /pub
'use strict';

const { WebSocketServer } = require('ws');

const subscribers = new Set();
const server = new WebSocketServer(
  { host: '127.0.0.1', port: 0, backlog: 4096, perMessageDeflate: false },
  () => console.log(`listening on 127.0.0.1:${server.address().port}`));

server.on('connection', (socket, request) => {
  socket.on('error', () => socket.terminate());
  if (request.url.startsWith('/sub')) {
    subscribers.add(socket);
    socket.on('close', () => subscribers.delete(socket));
  } else if (request.url.startsWith('/pub')) {
    socket.on('message', (data) => {
      for (const subscriber of subscribers)
        subscriber.send(data, { binary: false });
    });
  } else {
    socket.on('message', (data) => socket.send(data, { binary: false }));
  }
});
