/* choir-subscribe-request.h: joining channels, and catching up with them
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-channel-span.h"
#include "choir-session.h"

G_BEGIN_DECLS

typedef enum
{
  CHOIR_SUBSCRIBE_EVENT = 1 << 0,    /* asked for as an event; its channel is event:NAME */
  CHOIR_SUBSCRIBE_POSITION = 1 << 1, /* the client says where it was */
  CHOIR_SUBSCRIBE_REPLAY = 1 << 2,   /* the newest messages are wanted as messages */
  CHOIR_SUBSCRIBE_LOST = 1 << 3,     /* not everything since that position can be had */
  CHOIR_SUBSCRIBE_GRANTED = 1 << 4,  /* an administrator wants it: no permission is asked for */
} ChoirSubscribeFlags;

/* One channel, and what of its past is needed for it */
typedef struct
{
  char *name;     /* (owned) */
  char *epoch;    /* (owned) (nullable): of the position */
  guint64 offset; /* likewise */
  GError *error;  /* (owned) (nullable): why it can't be joined; CHOIR_ERROR, for the client */
  ChoirChannel *channel;  /* (nullable): held */
  ChoirChannelSpan *span; /* (owned) (nullable): of the epoch that the channel had */
  char span_epoch[17];
  guint8 n_reads;
  guint8 n_opens;
  ChoirSubscribeFlags flags;
} ChoirSubscribeItem;

typedef struct _ChoirSubscribeRequest ChoirSubscribeRequest;

/* Everything that can be had is there now: to be joined and answered at once */
typedef void (*ChoirSubscribeFunc) (ChoirSubscribeRequest *self, const ChoirEnvelope *message);

/**
 * ChoirSubscribeRequest:
 *
 * A list of channels to be joined. Channels that are not in memory are opened, and what lies
 * between a client's position and the channel's memory is read from the store. Then, in one step of
 * the main loop, all are joined and answered: what was published before is in the answer, what
 * comes later comes after it. As long as that takes, messages of the session wait. What is in
 * memory needs no waiting: then all is done before choir_subscribe_request_run() returns.
 */
struct _ChoirSubscribeRequest
{
  ChoirSession *session;        /* (owned) */
  GArray *items;                /* (element-type ChoirSubscribeItem) (owned) */
  const ChoirEnvelope *message; /* (nullable): while that is there */
  char *external_type;          /* (owned) (nullable): what of it is needed later */
  char *correlation_id;         /* (owned) (nullable): likewise, raw contents */
  ChoirSubscribeFunc finish;
  GTask *task;        /* (owned) (nullable): of somebody else, who wants to know */
  guint next;         /* item that is looked at */
  gboolean running;   /* below choir_subscribe_request_run() or a callback */
  gboolean pending;   /* something is under way for the item */
  gboolean waiting;   /* the session's messages wait for this */
  gboolean doubtful;  /* time has passed since the items before were looked at */
  gboolean cancelled; /* the session has ended: nothing is held any more */
};

ChoirSubscribeRequest *choir_subscribe_request_new (ChoirSession *session,
                                                    const ChoirEnvelope *message,
                                                    ChoirSubscribeFunc finish);
void choir_subscribe_request_free (ChoirSubscribeRequest *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirSubscribeRequest, choir_subscribe_request_free)

/* @name: (transfer full). Returns: (transfer none): valid until the next is added */
ChoirSubscribeItem *choir_subscribe_request_add (ChoirSubscribeRequest *self, char *name);
void choir_subscribe_request_run (ChoirSubscribeRequest *taken);
gboolean choir_subscribe_request_is_waiting (ChoirSession *session);
gboolean choir_subscribe_request_withdraw (ChoirSession *session, const char *channel);
void choir_subscribe_request_cancel_all (ChoirSession *session);

static inline ChoirSubscribeItem *
choir_subscribe_request_get (const ChoirSubscribeRequest *self, guint i)
{
  return &g_array_index (self->items, ChoirSubscribeItem, i);
}

/* For @finish */
ChoirChannel *choir_subscribe_item_join (ChoirSubscribeItem *self, ChoirSession *session);
gboolean choir_subscribe_item_append (const ChoirSubscribeItem *self,
                                      ChoirSession *session,
                                      ChoirChannel *channel,
                                      GString *out,
                                      gsize budget);
void choir_subscribe_item_replay (const ChoirSubscribeItem *self,
                                  ChoirSession *session,
                                  ChoirChannel *channel);

G_END_DECLS
