/* choir-channel-history.h: a channel's log, page by page
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-hub.h"

G_BEGIN_DECLS

#define CHOIR_HISTORY_LIMIT_DEFAULT 50
#define CHOIR_HISTORY_LIMIT_MAX 1000

typedef struct
{
  const char *channel;
  guint64 since;    /* those after it; in reverse those before it (%G_MAXUINT64: the newest) */
  guint limit;      /* at most so many messages */
  gsize max_bytes;  /* about, as they are written in an answer; the first one is given anyway */
  gboolean reverse; /* newest first */
} ChoirHistoryQuery;

/* All of it is there for the length of the call only */
typedef struct
{
  ChoirChannel *channel;        /* its epoch and offset belong to the answer */
  const ChoirMessage *messages; /* (array length=n_messages) */
  guint n_messages;
  gboolean complete; /* nothing lies beyond them */
} ChoirHistoryPage;

/* @page: (nullable): %NULL if it failed. @error: %CHOIR_ERROR_UNKNOWN_CHANNEL,
 * %CHOIR_ERROR_UNAVAILABLE, in words fit for a client */
typedef void (*ChoirHistoryFunc) (const ChoirHistoryPage *page,
                                  const GError *error,
                                  gpointer user_data);

gboolean choir_channel_history_is_in_memory (ChoirHub *hub, const ChoirHistoryQuery *query);
void choir_channel_history_read (ChoirHub *hub,
                                 const ChoirHistoryQuery *query,
                                 ChoirHistoryFunc done,
                                 gpointer user_data);

/* The members that every answer about a channel has beside `messages`: in each entry of
 * `subscription.confirmed`'s `channels`, and in `history.result` (over HTTP as well). What else
 * belongs to a channel's present state, such as messages that are still being streamed, is appended
 * there */
void choir_channel_append_state (GString *object, ChoirChannel *channel);

G_END_DECLS
