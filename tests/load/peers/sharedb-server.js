// SPDX-FileCopyrightText: Copyright © the Choir contributors
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// ShareDB as its documentation sets it up, in memory, with plain text as the type of documents
'use strict';

const { WebSocketServer } = require('ws');
const WebSocketJSONStream = require('@teamwork/websocket-json-stream');
const ShareDB = require('sharedb');
const text = require('ot-text-unicode');

ShareDB.types.register(text.type);
ShareDB.logger.setMethods({ info: () => {}, warn: () => {} });

const backend = new ShareDB();
const server = new WebSocketServer(
  { host: '127.0.0.1', port: 0, backlog: 4096, perMessageDeflate: false },
  () => console.log(`listening on 127.0.0.1:${server.address().port}`));

server.on('connection', (socket) => {
  socket.on('error', () => socket.terminate());
  backend.listen(new WebSocketJSONStream(socket));
});
