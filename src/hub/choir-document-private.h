/* choir-document-private.h: the document's insides, for the files that make it up
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-document-bridge.h"
#include "choir-document-delivery.h"
#include "choir-document.h"
#include "choir-hub.h"

G_BEGIN_DECLS

/* "document:" */
#define CHOIR_DOCUMENT_PREFIX_LEN 9

/* A change on its way: queued, or in the batch that is being stored */
typedef struct
{
  ChoirChange change;      /* strings and operation owned; the operation as it was sent */
  ChoirRevision *revision; /* (owned) (nullable): what becomes of it, once placed */
  GError *refusal;         /* (owned) (nullable): not taken, only still to be answered */
  char *key;               /* (owned) (nullable) */
  guint64 key_hash;
  guint64 owner;
  gint64 arrived_us; /* monotonic */
  gsize n_bytes;
  char *correlation_id; /* (owned) (nullable) */
} ChoirPending;

/* The newest revisions, without a gap, up to the document's version */
typedef struct
{
  ChoirRevision **items; /* (owned) */
  guint start;
  guint n;
  guint capacity;
  gsize n_bytes;
} ChoirHistory;

typedef enum
{
  CHOIR_DOCUMENT_LOADING = 1 << 0,
  CHOIR_DOCUMENT_STORING = 1 << 1,      /* a batch is with the store */
  CHOIR_DOCUMENT_FETCHING = 1 << 2,     /* older, or foreign, revisions are being read */
  CHOIR_DOCUMENT_SNAPSHOTTING = 1 << 3, /* a snapshot is with the store */
  CHOIR_DOCUMENT_SAVING = 1 << 4,       /* a named one */
  CHOIR_DOCUMENT_DUE = 1 << 5,          /* in the table's list of those that have something to do */
  CHOIR_DOCUMENT_GONE = 1 << 6,         /* no longer in the table */
} ChoirDocumentFlags;

struct _ChoirDocument
{
  GObject parent_instance;

  ChoirDocumentTable *table; /* borrowed: outlives the document's presence in it */
  char *name;                /* (owned): of the channel and the stream */
  ChoirRope *text;           /* (owned) */
  ChoirHistory history;
  ChoirBridges bridges; /* of sessions that are ahead of their acknowledgements */
  guint64 version;
  guint64 first_stored;     /* oldest revision the store still has */
  guint64 snapshot_version; /* of the newest snapshot */
  guint64 snapshot_tried;   /* the version of the last attempt */
  guint64 last_automatic;   /* 0: none known */
  guint64 kept_automatic;   /* the newest one that stays until it is behind the horizon */
  gint64 changed_us;        /* wall */
  gint64 due_us;            /* g_get_monotonic_time(): not before, another batch */
  gint64 window_until_us;   /* monotonic: until then fetched old revisions stay */
  gint64 saved_us;          /* monotonic: the last named snapshot */
  GQueue queue;             /* (element-type ChoirPending) (owned) */
  gsize queue_bytes;
  GPtrArray *batch;   /* (element-type ChoirPending) (owned) (nullable): with the store */
  GPtrArray *waiters; /* (element-type GTask) (owned) (nullable): for the loading */
  guint holds;
  guint8 flags;
  char epoch[17];
};

struct _ChoirDocumentTable
{
  ChoirHub *hub;         /* borrowed */
  ChoirStore *store;     /* (owned) */
  GHashTable *documents; /* (element-type utf8 ChoirDocument) (owned): keys are the documents' */
  GPtrArray *due;        /* (element-type ChoirDocument) (owned) */
  gint64 next_due_us;    /* g_get_monotonic_time(): of the first of them */
  GSource *source;       /* (owned) */
  GTask *close_task;     /* (owned) (nullable) */
  gsize history_bytes;   /* of all documents */
  gsize forgotten_bytes; /* of those that have left memory lately */
  ChoirTimer trim_timer;
  gsize max_size;
  guint64 horizon;
  guint64 snapshot_every;
  guint max_open;
  ChoirTextLimits limits;
  gboolean closing;
};

/* choir-document-history.c */
typedef struct
{
  guint64 version;
  guint64 base;
  gint64 wall_us;
  const char *user_id;
  const char *session_id;
  const char *change_id;
} ChoirRevisionParams;

ChoirRevision *choir_revision_new (const ChoirRevisionParams *params,
                                   ChoirTextOperation *operation,
                                   ChoirTextOperation *original);
ChoirRevision *choir_revision_new_from_entry (const ChoirStoreEntry *entry, GError **error);
gint64 choir_revision_get_delta (const ChoirRevision *self);
guint64 choir_document_hash (const char *text);

void choir_history_clear (ChoirHistory *self);
void choir_history_push (ChoirHistory *self, ChoirRevision *revision);
void choir_history_prepend (ChoirHistory *self, ChoirRevision **revisions, guint n);
void choir_history_drop_oldest (ChoirHistory *self, guint n);
guint64 choir_history_find_key (const ChoirHistory *self, guint64 key_hash);

static inline ChoirRevision *
choir_history_get (const ChoirHistory *self, guint i)
{
  return self->items[self->start + i];
}

/* Version of the oldest revision in memory; one past the document's if there is none */
static inline guint64
choir_document_get_first (const ChoirDocument *self)
{
  return self->version + 1 - self->history.n;
}

void choir_document_keep (ChoirDocument *self, ChoirRevision *revision);
void choir_document_trim_history (ChoirDocument *self);

/* choir-document-transform.c */
typedef enum
{
  CHOIR_PLACE_DONE,        /* the pending change has its revision */
  CHOIR_PLACE_FAILED,      /* it can't have one */
  CHOIR_PLACE_NEEDS_OLDER, /* revisions that are not in memory are needed */
} ChoirPlace;

ChoirPlace choir_document_place (ChoirDocument *self,
                                 const GPtrArray *batch,
                                 ChoirPending *pending,
                                 guint64 *needed,
                                 GError **error);
void choir_document_adopt (ChoirDocument *self, const ChoirPending *pending, guint64 version);

/* choir-document-answers.c */
typedef struct
{
  GArray *items; /* (owned) (nullable) */
} ChoirAnswers;

void choir_answers_add (ChoirAnswers *self,
                        ChoirPending *pending,
                        ChoirChangeStatus status,
                        guint64 version,
                        GError *error);
void choir_answers_refuse (ChoirAnswers *self,
                           ChoirDocument *document,
                           ChoirPending *pending,
                           GError *error);
void choir_answers_refuse_followers (ChoirAnswers *self, ChoirDocument *document, guint64 owner);
void choir_answers_refuse_all (ChoirAnswers *self,
                               ChoirDocument *document,
                               ChoirPending *pending,
                               GError *error);
void choir_answers_give (ChoirAnswers *self, ChoirDocument *document);
void choir_document_refuse_queue (ChoirDocument *self, const GError *error);
GError *choir_document_new_unavailable (void);
void choir_document_log_failure (ChoirDocument *self, const char *what, const GError *error);

/* choir-document-fetch.c */
void choir_document_fetch_newer (ChoirDocument *self);
void choir_document_fetch_older (ChoirDocument *self, guint64 after);

/* choir-document-commit.c */
void choir_document_pump (ChoirDocument *self);
void choir_pending_free (ChoirPending *self);
char *choir_document_make_key (const char *sender, const char *change_id);
gboolean choir_document_apply_entry (ChoirDocument *self,
                                     const ChoirStoreEntry *entry,
                                     ChoirRevision **revision,
                                     GError **error);

/* choir-document.c */
ChoirDocument *choir_document_new (ChoirDocumentTable *table, const char *id);
void choir_document_load (ChoirDocument *self);

/* choir-document-snapshot.c */
gboolean choir_document_wants_snapshot (ChoirDocument *self);
void choir_document_take_snapshot (ChoirDocument *self);

/* choir-document-table.c */
void choir_document_schedule (ChoirDocument *self, gint64 due_us);
void choir_document_settle (ChoirDocument *self);

G_END_DECLS
