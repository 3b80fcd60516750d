// SPDX-FileCopyrightText: Copyright © the Choir contributors
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The load test's server on Socket.IO; the role is in the query, a room holds the subscribers
'use strict';

const http = require('http');
const { Server } = require('socket.io');

const listener = http.createServer();
const io = new Server(listener, { transports: ['websocket'], perMessageDeflate: false });

io.on('connection', (socket) => {
  if (socket.handshake.query.role === 'sub')
    socket.join('load');
  socket.on('pub', (text) => io.to('load').emit('message', text));
  socket.on('echo', (text) => socket.emit('echo', text));
});

listener.listen({ host: '127.0.0.1', port: 0, backlog: 4096 },
  () => console.log(`listening on 127.0.0.1:${listener.address().port}`));
