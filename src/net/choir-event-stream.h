/* choir-event-stream.h: a session's way out where a WebSocket can't pass
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-connection.h"
#include "choir-event-log.h"

G_BEGIN_DECLS

/**
 * ChoirEventStream:
 *
 * An HTTP answer that does not end: server-sent events (HTML Living Standard 9.2). It implements
 * #ChoirLink, so that the hub sends and closes as on a WebSocket; what the client has to say comes
 * in other requests. Like a connection it is written to once a turn, and never waits.
 */
#define CHOIR_TYPE_EVENT_STREAM (choir_event_stream_get_type ())
G_DECLARE_FINAL_TYPE (ChoirEventStream, choir_event_stream, CHOIR, EVENT_STREAM, GObject)

/* Called once, last. @session: (nullable): what it carries still; @close_code is what the client
 * was told, or 1006 if it went by itself; @for_good: it is not to come back */
typedef void (*ChoirEventStreamClosed) (ChoirEventStream *self,
                                        ChoirSession *session,
                                        guint close_code,
                                        gboolean for_good,
                                        gpointer user_data);

/* What a stream tells at its beginning */
typedef struct
{
  const char *session_id;
  ChoirEventLog *log;             /* borrowed: as long as the stream carries the session */
  ChoirEventPositions *positions; /* (nullable) borrowed likewise: part of the ids */
  gboolean resumed;               /* the session was there before */
  gboolean returning;             /* and the client has the id of its last event */
} ChoirEventStreamOpening;

ChoirEventStream *choir_event_stream_new (const ChoirConnectionProfile *profile,
                                          ChoirTransport *transport,
                                          const ChoirAddress *address,
                                          gboolean counted);
gboolean choir_event_stream_start (ChoirEventStream *self,
                                   const GString *head,
                                   ChoirEventStreamClosed closed,
                                   gpointer user_data);
ChoirSession *choir_event_stream_get_session (ChoirEventStream *self);
void choir_event_stream_open (ChoirEventStream *self, const ChoirEventStreamOpening *opening);
void choir_event_stream_append_close (GString *out, guint code, const char *reason);
void choir_event_stream_replay (ChoirEventStream *self, guint64 seen, guint n_greetings);
void choir_event_stream_abort (ChoirEventStream *self);

G_END_DECLS
