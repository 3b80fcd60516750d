/* choir-connection-private.h: what the two halves of a connection share
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-connection.h"

#include "choir-id.h"

G_BEGIN_DECLS

typedef enum
{
  CHOIR_CONNECTION_STATE_OPEN,
  CHOIR_CONNECTION_STATE_CLOSING, /* our close frame is queued or sent */
  CHOIR_CONNECTION_STATE_LINGER,  /* both close frames are through, our side of TCP is shut */
  CHOIR_CONNECTION_STATE_DEAD,
} ChoirConnectionState;

typedef enum
{
  CHOIR_CONNECTION_BLOCKED = 1 << 0, /* the socket takes nothing now; EPOLLOUT will tell */
  CHOIR_CONNECTION_PAUSED = 1 << 1,  /* not reading: the client does not fetch its answers */
  CHOIR_CONNECTION_CLOSE_RECEIVED = 1 << 2,
  CHOIR_CONNECTION_DEAF = 1 << 3, /* broke the protocol: what it says is thrown away */
  CHOIR_CONNECTION_BATCHING = 1 << 4,
  CHOIR_CONNECTION_ADDRESS = 1 << 5, /* none on a unix socket */
  CHOIR_CONNECTION_COUNTED = 1 << 6, /* the admission has counted it for its address */
  CHOIR_CONNECTION_ENDED = 1 << 7,   /* nothing will announce the end again: read until it comes */
} ChoirConnectionFlags;

/* Few connections have one, so it is not part of all */
typedef struct
{
  ChoirTimer timer;
  ChoirConnection *connection;
} ChoirBatchTimer;

struct _ChoirConnection
{
  GObject parent_instance;

  ChoirWatch watch;
  const ChoirConnectionProfile *profile; /* borrowed: outlives every connection */
  ChoirTransport *transport;             /* (owned) */
  ChoirFrameParser parser;
  ChoirOutbox outbox;
  ChoirTimer timer;
  const ChoirConnectionHandler *handler; /* static */
  gpointer handler_data;
  /* (owned) (nullable): only where messages are batched with a delay */
  ChoirBatchTimer *batch_timer;
  ChoirFrame *late_pong; /* (owned) (nullable) */
  GBytes *backlog;       /* (owned) (nullable): read, and to be parsed when reading goes on */
  gint64 heard_us;       /* monotonic: when bytes last came */
  guint16 close_code;    /* of whoever began to close, else 1006 */
  guint8 state;
  guint8 flags;
  guint8 n_pongs;
  ChoirAddress address; /* if CHOIR_CONNECTION_ADDRESS */
  char id[CHOIR_ID_SIZE];
};

/* Its life, choir-connection.c */
void choir_connection_die (ChoirConnection *self);
void choir_connection_linger (ChoirConnection *self);
void choir_connection_tell_leaving (ChoirConnection *self, guint code);

/* Its input and output, choir-connection-io.c */
extern const ChoirOutboxFuncs choir_connection_outbox_funcs;
void choir_connection_ready (ChoirWatch *watch, guint32 events);
void choir_connection_flush (ChoirWatch *watch);
void choir_connection_drop_batch_timer (ChoirConnection *self);

G_END_DECLS
