/* choir-document.h: a text that several people edit at once
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

#include "choir-channel.h"
#include "choir-config.h"
#include "choir-rope.h"
#include "choir-store.h"
#include "choir-text-operation.h"

G_BEGIN_DECLS

typedef struct _ChoirHub ChoirHub;
typedef struct _ChoirDocumentTable ChoirDocumentTable;

/* Longest change id and version label: bytes */
#define CHOIR_CHANGE_ID_MAX 128
#define CHOIR_LABEL_MAX 200

/**
 * ChoirDocument:
 *
 * A text, its version and the operations that led there lately. Changes are transformed one after
 * the other past what was committed since their base, stored, and only then applied, acknowledged
 * and shown to the others: all that can be read here is on disk already.
 *
 * It is in memory while somebody holds it (choir_document_table_open_async()) and until what it
 * changed has a snapshot.
 */
#define CHOIR_TYPE_DOCUMENT (choir_document_get_type ())
G_DECLARE_FINAL_TYPE (ChoirDocument, choir_document, CHOIR, DOCUMENT, GObject)

/* A version nobody has said. For a change: the sender's last known one */
#define CHOIR_VERSION_UNKNOWN G_MAXUINT64

/**
 * ChoirRevision:
 *
 * A committed change.
 */
typedef struct
{
  guint64 version; /* the version it made */
  guint64 base;    /* the version its sender knew; CHOIR_VERSION_UNKNOWN if read from the store */
  gint64 wall_us;
  guint64 owner;                 /* stands for the session that sent it; 0: none */
  guint64 key_hash;              /* stands for sender and change id; 0: none */
  ChoirTextOperation *operation; /* (owned): as committed */
  ChoirTextOperation *original;  /* (owned) (nullable): as sent, if that is another */
  const char *user_id;           /* (nullable): these three lie behind the struct */
  const char *session_id;        /* (nullable) */
  const char *change_id;         /* (nullable) */
  guint32 n_refs;
  guint32 n_bytes; /* of memory */
} ChoirRevision;

typedef enum
{
  CHOIR_CHANGE_COMMITTED,
  CHOIR_CHANGE_DUPLICATE, /* had been committed before: acknowledged, not applied again */
  CHOIR_CHANGE_CONFLICT,  /* can't be transformed: the sender has to start from the present text */
  CHOIR_CHANGE_REFUSED,   /* invalid, too large, or can't be stored now */
} ChoirChangeStatus;

typedef struct
{
  ChoirChangeStatus status;
  guint64 version;     /* committed, duplicate: the version it made; conflict: the present one */
  const GError *error; /* conflict, refused */
} ChoirChangeResult;

/* @self's state is consistent and later than the change */
typedef void (*ChoirChangeFunc) (ChoirDocument *self,
                                 const ChoirChangeResult *result,
                                 gpointer user_data);

typedef struct
{
  guint64 version; /* the sender's text is that of this version with all changes it has
                      sent before */
  ChoirTextOperation *operation; /* (transfer full) */
  const char *change_id;     /* (nullable): the same one from the same sender is the same change */
  const char *sender;        /* (nullable): who @change_id belongs to, across reconnects */
  gboolean exact;            /* a conflict unless @version is the newest */
  const char *user_id;       /* (nullable) */
  ChoirSession *session;     /* (nullable): gets its acknowledgement in the stream of changes */
  ChoirSlice correlation_id; /* raw string contents, for that acknowledgement */
  ChoirChangeFunc callback;  /* (nullable): always called, once, never inside submit(); for a
                                session not when committed: the delivery acknowledges it */
  gpointer user_data;
  GDestroyNotify destroy; /* (nullable): of @user_data */
} ChoirChange;

/* What can be read: the present */
const char *choir_document_get_id (ChoirDocument *self);
guint64 choir_document_get_version (ChoirDocument *self);
const ChoirRope *choir_document_get_text (ChoirDocument *self);
const char *choir_document_get_epoch (ChoirDocument *self);
gint64 choir_document_get_changed_us (ChoirDocument *self);
ChoirChannel *choir_document_get_channel (ChoirDocument *self);
ChoirHub *choir_document_get_hub (ChoirDocument *self);
gsize choir_document_get_memory (ChoirDocument *self);
guint64 choir_document_get_first_in_memory (ChoirDocument *self);
const ChoirRevision *choir_document_get_revision (ChoirDocument *self, guint64 version);

/* Writing */
void choir_document_submit (ChoirDocument *self, const ChoirChange *change);

/* Version of the retained change with this id of this sender; 0: none */
void choir_document_find_change_async (ChoirDocument *self,
                                       const char *sender,
                                       const char *change_id,
                                       GCancellable *cancellable,
                                       GAsyncReadyCallback callback,
                                       gpointer user_data);
gboolean choir_document_find_change_finish (ChoirDocument *self,
                                            GAsyncResult *result,
                                            guint64 *version,
                                            GError **error);

/* Reading the past. Results are a new text of the caller's */
void choir_document_read_at_async (ChoirDocument *self,
                                   guint64 version,
                                   GCancellable *cancellable,
                                   GAsyncReadyCallback callback,
                                   gpointer user_data);
ChoirRope *
choir_document_read_at_finish (ChoirDocument *self, GAsyncResult *result, GError **error);

/* (element-type ChoirRevision): those after @version, whether in memory or not; at most @limit.
 * CHOIR_ERROR_NOT_FOUND behind the horizon, CHOIR_ERROR_VALIDATION if @version is to come */
void choir_document_read_since_async (ChoirDocument *self,
                                      guint64 version,
                                      guint limit,
                                      GCancellable *cancellable,
                                      GAsyncReadyCallback callback,
                                      gpointer user_data);
GPtrArray *
choir_document_read_since_finish (ChoirDocument *self, GAsyncResult *result, GError **error);

/* A named snapshot of the present text; returns its version and when it was made */
void choir_document_save_async (ChoirDocument *self,
                                const char *label,
                                const char *user_id,
                                GCancellable *cancellable,
                                GAsyncReadyCallback callback,
                                gpointer user_data);
gboolean choir_document_save_finish (ChoirDocument *self,
                                     GAsyncResult *result,
                                     guint64 *version,
                                     gint64 *wall_us,
                                     GError **error);

/* (element-type ChoirSnapshot), newest first, those before @before (0: all) */
void choir_document_list_versions_async (ChoirDocument *self,
                                         guint64 before,
                                         guint limit,
                                         GCancellable *cancellable,
                                         GAsyncReadyCallback callback,
                                         gpointer user_data);
GPtrArray *
choir_document_list_versions_finish (ChoirDocument *self, GAsyncResult *result, GError **error);

ChoirRevision *choir_revision_ref (ChoirRevision *self);
void choir_revision_unref (ChoirRevision *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirRevision, choir_revision_unref)

/**
 * ChoirDocumentTable:
 *
 * All documents in memory, and the store behind them. The hub has one.
 */
ChoirDocumentTable *choir_document_table_new (ChoirHub *hub, ChoirStore *store);
void choir_document_table_free (ChoirDocumentTable *self);
void choir_document_table_configure (ChoirDocumentTable *self, ChoirConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirDocumentTable, choir_document_table_free)

guint choir_document_table_get_n_open (ChoirDocumentTable *self);
/* Those that choir_document_table_find() finds, in no order. Must not open or release any */
typedef void (*ChoirDocumentVisitor) (ChoirDocument *document, gpointer user_data);
void choir_document_table_visit (ChoirDocumentTable *self,
                                 ChoirDocumentVisitor visit,
                                 gpointer user_data);
ChoirDocument *choir_document_table_find (ChoirDocumentTable *self, const char *id);
const ChoirTextLimits *choir_document_table_get_limits (ChoirDocumentTable *self);
gsize choir_document_table_get_max_size (ChoirDocumentTable *self);
ChoirStore *choir_document_table_get_store (ChoirDocumentTable *self);
gboolean choir_document_table_is_writable (ChoirDocumentTable *self);

/* One hold: to be given back with choir_document_release(). A document that never was is empty, at
 * version 0. Returns at once, with the document held, if it is in memory; else NULL, and then the
 * asynchronous form finds it */
ChoirDocument *choir_document_table_try_open (ChoirDocumentTable *self, const char *id);
void choir_document_table_open_async (ChoirDocumentTable *self,
                                      const char *id,
                                      GCancellable *cancellable,
                                      GAsyncReadyCallback callback,
                                      gpointer user_data);
ChoirDocument *choir_document_table_open_finish (ChoirDocumentTable *self,
                                                 GAsyncResult *result,
                                                 GError **error); /* (transfer none), held */
void choir_document_release (ChoirDocument *self);

/* Before the end: nothing is taken any more; calls back when everything is stored and has its
 * snapshot, or can't be */
void choir_document_table_close_async (ChoirDocumentTable *self,
                                       GCancellable *cancellable,
                                       GAsyncReadyCallback callback,
                                       gpointer user_data);
gboolean
choir_document_table_close_finish (ChoirDocumentTable *self, GAsyncResult *result, GError **error);

G_END_DECLS
