/* choir-event-stream-private.h: what the two halves of an event stream share
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-event-stream.h"

#include "choir-event-encoder.h"

G_BEGIN_DECLS

typedef enum
{
  CHOIR_EVENT_STREAM_OPEN,
  CHOIR_EVENT_STREAM_CLOSING, /* the last words are to be written */
  CHOIR_EVENT_STREAM_LINGER,  /* they are, and our side of TCP is shut */
  CHOIR_EVENT_STREAM_DEAD,
} ChoirEventStreamState;

typedef enum
{
  CHOIR_EVENT_STREAM_BLOCKED = 1 << 0,  /* the socket takes nothing now; EPOLLOUT will tell */
  CHOIR_EVENT_STREAM_ADDRESS = 1 << 1,  /* none on a unix socket */
  CHOIR_EVENT_STREAM_COUNTED = 1 << 2,  /* the admission has counted it for its address */
  CHOIR_EVENT_STREAM_FOR_GOOD = 1 << 3, /* its client is not to come back */
} ChoirEventStreamFlags;

struct _ChoirEventStream
{
  GObject parent_instance;

  ChoirWatch watch;
  const ChoirConnectionProfile *profile; /* borrowed: outlives every stream */
  ChoirTransport *transport;             /* (owned) */
  ChoirOutbox outbox;
  ChoirEventEncoder encoder;
  ChoirTimer timer;
  ChoirSession *session; /* (owned) (nullable) */
  ChoirEventLog *log;    /* (nullable) borrowed: the session's */
  GArray *replay;        /* (owned) (nullable) (element-type ChoirEventEntry) */
  GString *rest;         /* (owned) (nullable): encoded, and not taken by the socket yet */
  GString *farewell;     /* (owned) (nullable): the last event */
  ChoirEventStreamClosed closed;
  gpointer user_data;
  gint64 written_us; /* monotonic: when something last was */
  gsize n_ignored;   /* bytes that have come */
  guint n_replayed;  /* of @replay */
  guint n_greetings; /* frames that go before it */
  guint16 close_code;
  guint8 state;
  guint8 flags;
  ChoirAddress address; /* if CHOIR_EVENT_STREAM_ADDRESS */
  char id[CHOIR_ID_SIZE];
};

/* Its life, choir-event-stream.c */
void choir_event_stream_die (ChoirEventStream *self);
void choir_event_stream_linger (ChoirEventStream *self);

/* Its input and output, choir-event-stream-io.c */
void choir_event_stream_ready (ChoirWatch *watch, guint32 events);
void choir_event_stream_flush (ChoirWatch *watch);

G_END_DECLS
