/* load-client.h: many WebSocket clients on one epoll
 *
 * A pool holds the connections and turns bytes into ready clients and text messages; what to send
 * and what to count is its owner's business, through the handlers. RFC 6455 as far as a
 * well-behaved server needs it: no extension is offered, frames are masked with one fixed key.
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum
{
  LOAD_PROTOCOL_RAW,        /* text frames as they are: /echo, /sub, /pub */
  LOAD_PROTOCOL_CHOIR,      /* choir.v1 on /ws, with a token */
  LOAD_PROTOCOL_CHOIR_CBOR, /* the same in CBOR: choir.v1.cbor */
  LOAD_PROTOCOL_SOCKETIO,   /* Engine.IO 4 and Socket.IO 5 over WebSocket only */
} LoadProtocol;

typedef enum
{
  LOAD_ROLE_TALKER,
  LOAD_ROLE_SUBSCRIBER,
  LOAD_ROLE_PUBLISHER,
} LoadRole;

typedef enum
{
  LOAD_STATE_CLOSED,
  LOAD_STATE_CONNECTING,
  LOAD_STATE_HANDSHAKE,
  LOAD_STATE_GREETING, /* upgraded; the protocol's own greeting is due */
  LOAD_STATE_SUBSCRIBING,
  LOAD_STATE_READY,
} LoadState;

typedef struct _LoadPool LoadPool;

typedef struct
{
  int fd;
  LoadState state;
  LoadRole role;
  guint index;
  gboolean active;
  gint64 began_ns;
  gint64 sent_ns;
  guint8 *partial; /* (owned) (nullable), the beginning of a frame or of the handshake's answer */
  gsize n_partial;
  GByteArray *fragments; /* (owned) (nullable): of a message whose end is still to come */
} LoadClient;

typedef struct
{
  void (*ready) (LoadClient *client, gpointer user_data);
  void (*text) (LoadClient *client, const char *text, gsize len, gpointer user_data);
  void (*closed) (LoadClient *client, gboolean failed, gpointer user_data);
  /* (nullable): a close frame came, its code is 1005 if it had none. It has been answered, and
   * `closed` follows when the server ends the connection; without this it follows at once */
  void (*closing) (LoadClient *client, guint code, gpointer user_data);
} LoadHandlers;

typedef struct
{
  LoadProtocol protocol;
  guint16 port;
  const char *channel;
  GBytes *key; /* (nullable) signs a token for each connection of CHOIR */
} LoadTarget;

LoadPool *
load_pool_new (const LoadTarget *target, const LoadHandlers *handlers, gpointer user_data);
void load_pool_free (LoadPool *self);
void load_pool_run_turn (LoadPool *self, int timeout_ms);
void load_pool_run_turn_until (LoadPool *self, gint64 deadline_ns);
void load_pool_connect (LoadPool *self, LoadClient *client);
void load_pool_close (LoadPool *self, LoadClient *client);
void load_pool_send (LoadPool *self, LoadClient *client, const char *text, gsize len);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (LoadPool, load_pool_free)

G_END_DECLS
