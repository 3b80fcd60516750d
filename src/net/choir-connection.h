/* choir-connection.h: one WebSocket, from the 101 to its last byte
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib-object.h>

#include "choir-address.h"
#include "choir-deflate.h"
#include "choir-frame-parser.h"
#include "choir-link.h"
#include "choir-outbox.h"
#include "choir-reactor.h"
#include "choir-timer-wheel.h"
#include "choir-transport.h"

G_BEGIN_DECLS

/**
 * ChoirConnection:
 *
 * Reads frames, hands messages to its handler, writes what the outbox holds, and runs the closing
 * handshake with a deadline. It implements #ChoirLink, by which the hub sends and closes; the data
 * of its handler are then its session, a reference that is its own.
 */
#define CHOIR_TYPE_CONNECTION (choir_connection_get_type ())
G_DECLARE_FINAL_TYPE (ChoirConnection, choir_connection, CHOIR, CONNECTION, GObject)

/* Shared by the connections of one dialect, changed in place by a reload */
typedef struct
{
  ChoirReactor *reactor;
  ChoirTimerWheel *wheel;
  const ChoirOutboxLimits *outbox;
  ChoirFrameLimits frames;
  gint64 heartbeat_us; /* a WebSocket ping after this much silence; 0: none */
  gint64 idle_us;      /* closed after this much; 0: never */
  guint batch_size;
  gint64 batch_delay_us; /* how long a batch may wait for more; 0: until the turn's end */
  gint64 *n_slow;        /* (nullable): counts those closed because their queue was full */
  /* a connection is over: gives back what its admission took; @address NULL: counted in the total
   * only */
  void (*left) (const ChoirAddress *address, gpointer user_data);
  gpointer user_data;
} ChoirConnectionProfile;

typedef struct
{
  /* a whole text or binary message, borrowed for the call */
  void (*message) (ChoirConnection *self,
                   ChoirOpcode opcode,
                   const guint8 *data,
                   gsize len,
                   gpointer user_data);
  /* (nullable): the peer has said that it closes, or has been silent for too long (1006): it hears
   * no more. What is still queued may be taken to where it comes back to */
  void (*leaving) (ChoirConnection *self, guint close_code, gpointer user_data);
  /* called once, last: @close_code is that of whoever began to close, or 1006 if the connection
   * was lost */
  void (*closed) (ChoirConnection *self, guint close_code, gpointer user_data);
} ChoirConnectionHandler;

ChoirConnection *choir_connection_new (const ChoirConnectionProfile *profile,
                                       ChoirTransport *transport,
                                       const ChoirDeflateParams *deflate,
                                       const ChoirAddress *address,
                                       gboolean counted);
gboolean choir_connection_start (ChoirConnection *self,
                                 const ChoirConnectionHandler *handler,
                                 gpointer user_data);
void choir_connection_feed (ChoirConnection *self, const guint8 *data, gsize len);
void choir_connection_set_batching (ChoirConnection *self, gboolean batching);
void
choir_connection_send (ChoirConnection *self, ChoirOpcode opcode, const guint8 *data, gsize len);
void choir_connection_close (ChoirConnection *self, guint code, const char *reason);
void choir_connection_abort (ChoirConnection *self);
gint64 choir_connection_get_heard_us (ChoirConnection *self);

G_END_DECLS
