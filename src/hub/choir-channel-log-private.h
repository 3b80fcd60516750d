/* choir-channel-log-private.h: a durable log's insides, for the files that make it up
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-channel-log.h"

G_BEGIN_DECLS

typedef enum
{
  CHOIR_CHANNEL_LOG_READY = 1 << 0,    /* epoch, offset and ring are the store's */
  CHOIR_CHANNEL_LOG_LOADING = 1 << 1,  /* being read for the first time, or anew */
  CHOIR_CHANNEL_LOG_STORING = 1 << 2,  /* a batch is with the store */
  CHOIR_CHANNEL_LOG_FETCHING = 1 << 3, /* what another has written is being read */
  CHOIR_CHANNEL_LOG_TRIMMING = 1 << 4,
} ChoirLogFlags;

/* Something to be published: one block with its strings */
typedef struct
{
  GList link;            /* in the queue */
  ChoirStoreEntry entry; /* strings in this block */
  ChoirPublishedFunc done;
  gpointer user_data;
  ChoirSession *except;  /* (owned) (nullable) */
  ChoirSlice live;       /* what those who are there get instead, in this block */
  const char *live_type; /* (nullable): likewise */
  GError *error;         /* (owned) (nullable): the answer, if it was refused */
  guint64 offset;        /* the answer, if not; 0: not known yet */
  gint64 arrived_us;     /* monotonic */
  guint64 key_hash;      /* 0: no key */
  gsize n_bytes;
  guint n_recipients;
  gboolean duplicate; /* @offset is that of the first with its key */
  char id[CHOIR_ID_SIZE];
} ChoirLogPending;

struct _ChoirLogKeeper
{
  ChoirHub *hub;     /* borrowed; NULL when it is gone */
  ChoirStore *store; /* (owned) */
  gsize n_bytes;     /* waiting in all logs */
  guint n_pending;   /* not answered yet, in all logs */
  gboolean closed;

  /* (element-type ChoirStreamInfo) (owned) (nullable): streams still to be removed */
  GPtrArray *stale;
  ChoirStreamInfo *deleting; /* (owned) (nullable): the one that is being removed */
  char *cursor;              /* (owned) (nullable): the last stream looked at; NULL: begin anew */
  gboolean listing;
  int ref_count;
};

struct _ChoirChannelLog
{
  ChoirLogKeeper *keeper; /* borrowed */
  ChoirStore *store;      /* (owned) */
  ChoirChannel *channel;  /* borrowed; NULL when it is gone */
  GQueue queue;           /* (element-type ChoirLogPending) (owned) */
  GPtrArray *batch;       /* (element-type ChoirLogPending) (owned) (nullable): with the store */
  GArray *waiters;        /* (owned) (nullable): who wait until it is loaded */
  GPtrArray
    *parts; /* (element-type ChoirStreamPart) (owned) (nullable): read so far, newest first */
  ChoirTurnTask task;
  gsize queue_bytes;
  guint64 first;     /* oldest entry that counts; offset + 1: none */
  guint64 stored;    /* oldest that the store has, as far as is known */
  guint n_holds;     /* somebody is being called back */
  guint n_conflicts; /* in a row, without anything new in the store */
  ChoirLogFlags flags;
  int ref_count;
};

ChoirChannelLog *choir_channel_log_ref (ChoirChannelLog *self);
void choir_channel_log_unref (ChoirChannelLog *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirChannelLog, choir_channel_log_unref)

void choir_channel_log_hold (ChoirChannelLog *self);
void choir_channel_log_drop (ChoirChannelLog *self);
void choir_channel_log_fail (ChoirChannelLog *self, const char *what, const GError *error);
void choir_channel_log_load (ChoirChannelLog *self);
void choir_channel_log_fetch (ChoirChannelLog *self);
void choir_channel_log_schedule (ChoirChannelLog *self);
void choir_channel_log_refuse_queue (ChoirChannelLog *self, const char *why);
void choir_channel_log_entry_to_message (const ChoirStoreEntry *entry,
                                         const ChoirChannel *channel,
                                         char id[CHOIR_ID_SIZE],
                                         ChoirMessage *out);
void choir_channel_log_trim (ChoirChannelLog *self, guint64 slack);
guint64 choir_channel_log_get_slack (const ChoirChannelLog *self);
gboolean choir_log_keeper_is_deleting (const ChoirLogKeeper *self, const char *stream);

G_END_DECLS
