/* choir-channel-span.h: the part of a channel's log that is not in memory
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-channel.h"
#include "choir-store.h"

G_BEGIN_DECLS

/* What a message takes in an answer beside its payload: at least, and about */
#define CHOIR_SPAN_MESSAGE_MIN 64
#define CHOIR_SPAN_MESSAGE_ABOUT 256

/**
 * ChoirChannelSpan:
 *
 * A stretch of a channel's log, without gaps, read from the store. Together with the newest
 * messages, which the channel has in memory, it is what answers about the past are made of.
 */
typedef struct
{
  GPtrArray *parts;   /* (element-type ChoirStreamPart) (owned) */
  guint64 first;      /* of the messages in it; 0: there are none */
  guint64 last;       /* likewise */
  gsize n_bytes;      /* what they take in an answer at least */
  gboolean exhausted; /* the store has nothing beyond */
  gboolean broken;    /* the store's log is no longer the one of this epoch, or has a gap here */
} ChoirChannelSpan;

/* What of a log is to be read */
typedef struct
{
  guint64 from;    /* what comes after it; in reverse what comes before it */
  guint64 until;   /* forwards: it is enough to have that */
  guint limit;     /* messages */
  gsize max_bytes; /* as in ChoirChannelSpan: it is enough to have more than that */
  gboolean reverse;
} ChoirSpanGoal;

guint64 choir_channel_get_oldest (const ChoirChannel *channel);

ChoirChannelSpan *choir_channel_span_new (void);
void choir_channel_span_free (ChoirChannelSpan *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirChannelSpan, choir_channel_span_free)

gboolean choir_channel_span_get (const ChoirChannelSpan *self,
                                 const ChoirChannel *channel,
                                 guint64 offset,
                                 ChoirMessage *out);

/* @error: (nullable): %CHOIR_ERROR_UNAVAILABLE */
typedef void (*ChoirSpanFunc) (const GError *error, gpointer user_data);
void choir_channel_span_read (ChoirChannelSpan *self,
                              ChoirStore *store,
                              const ChoirChannel *channel,
                              const ChoirSpanGoal *goal,
                              ChoirSpanFunc done,
                              gpointer user_data);

G_END_DECLS
