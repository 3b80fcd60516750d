/* choir-channel.h: a name, an ordered log and its subscribers
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-envelope.h"
#include "choir-id.h"
#include "choir-namespace.h"
#include "choir-outbox.h"

G_BEGIN_DECLS

typedef struct _ChoirChannel ChoirChannel;
typedef struct _ChoirChannelLog ChoirChannelLog;
typedef struct _ChoirDocumentRoom ChoirDocumentRoom;
typedef struct _ChoirSession ChoirSession;
typedef struct _ChoirUser ChoirUser;

/**
 * ChoirPost:
 *
 * One published message as the log keeps it: a single block.
 */
typedef struct
{
  guint64 offset;
  gint64 wall_us;
  const char *type;       /* these four point into the block */
  const char *user_id;    /* (nullable) */
  const char *session_id; /* (nullable) */
  const char *payload;
  guint32 payload_len;
  char id[CHOIR_ID_SIZE];
} ChoirPost;

/* What all channels of a hub share to keep their logs in */
typedef struct
{
  gsize n_bytes;
  gsize max_bytes;
  void (*reclaim) (gpointer user_data); /* (nullable): takes from whoever has most */
  gpointer user_data;
} ChoirHistoryBudget;

/* Who hears a channel */
typedef enum
{
  CHOIR_CHANNEL_NORMAL,   /* those who subscribed */
  CHOIR_CHANNEL_ALL,      /* every session: "all" */
  CHOIR_CHANNEL_USER,     /* "user:ID": the sessions of a user */
  CHOIR_CHANNEL_SESSION,  /* "session:ID" */
  CHOIR_CHANNEL_DOCUMENT, /* "document:ID": those who have it open */
} ChoirChannelKind;

/**
 * ChoirSubscription:
 *
 * One session in one channel. The channel's array and the session's hold the same pointer; the
 * session owns it. @outbox is kept here to spare the fan-out a look into the session.
 */
typedef struct
{
  ChoirOutbox *outbox; /* borrowed from the session's link */
  ChoirSession *session;
  ChoirChannel *channel;
  guint32 index;  /* in the channel's array */
  guint8 granted; /* an administrator wanted it: the token need not allow it */
} ChoirSubscription;

struct _ChoirChannel
{
  char *name;                      /* (owned) */
  ChoirNamespace *ns;              /* borrowed */
  ChoirHistoryBudget *budget;      /* borrowed */
  ChoirSubscription **subscribers; /* (owned array) */
  ChoirDocumentRoom *room;         /* (owned) (nullable): of a document that somebody has open */
  ChoirChannelLog *log;            /* (owned) (nullable): if it is kept in the store */
  ChoirPost **posts; /* (owned) (nullable): ring of the newest, oldest at @first_post */
  gsize n_bytes;     /* of the budget */
  guint64 offset;    /* of the newest message; 0: none yet */
  gint64 touched_us; /* monotonic: last use */
  guint32 n_subscribers;
  guint32 capacity;
  guint32 first_post;
  guint32 n_posts;
  guint32 posts_capacity;
  guint32 n_holds; /* by those who need it in memory without being subscribed */
  ChoirChannelKind kind;
  char epoch[17];
};

ChoirChannelKind choir_channel_kind_of (const char *name);
ChoirChannel *choir_channel_new (const char *name, ChoirNamespace *ns, ChoirHistoryBudget *budget);
void choir_channel_free (ChoirChannel *self);
void choir_channel_add (ChoirChannel *self, ChoirSubscription *subscription);
void choir_channel_remove (ChoirChannel *self, ChoirSubscription *subscription);

guint64 choir_channel_append (ChoirChannel *self, const ChoirMessage *message, gint64 now_us);
void choir_channel_restart (ChoirChannel *self, const char *epoch, guint64 offset);
void choir_channel_halve (ChoirChannel *self);
guint choir_channel_trim (ChoirChannel *self, gint64 wall_us);
gboolean choir_channel_is_disposable (const ChoirChannel *self);
const ChoirPost *choir_channel_get_post (const ChoirChannel *self, guint i);
guint64 choir_channel_get_first (const ChoirChannel *self);
void choir_post_to_message (const ChoirPost *self, const ChoirChannel *channel, ChoirMessage *out);

G_END_DECLS
