/* choir-store-writes.h: what can be done to the database within a transaction
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-sqlite.h"
#include "choir-store-heads.h"
#include "choir-store-request.h"

G_BEGIN_DECLS

/* The statements */
enum
{
  CHOIR_WRITE_BEGIN,
  CHOIR_WRITE_COMMIT,
  CHOIR_WRITE_ROLLBACK,
  CHOIR_WRITE_DATA_VERSION,
  CHOIR_WRITE_PROBE,
  CHOIR_WRITE_PROBE_CLEAR,
  CHOIR_WRITE_FIND_STREAM,
  CHOIR_WRITE_ADD_STREAM,
  CHOIR_WRITE_SET_HEAD,
  CHOIR_WRITE_BURY_STREAM,
  CHOIR_WRITE_FIND_KEY,
  CHOIR_WRITE_ADD_ENTRY,
  CHOIR_WRITE_COUNT_LABELS,
  CHOIR_WRITE_PUT_SNAPSHOT,
  CHOIR_WRITE_FORGET_SNAPSHOT,
  CHOIR_WRITE_PUT_USER,
  CHOIR_WRITE_TRIM_STATE,
  CHOIR_WRITE_FORGET_ENTRIES,
  CHOIR_WRITE_FORGET_SNAPSHOTS,
  CHOIR_WRITE_FIND_GRAVE,
  CHOIR_WRITE_FIRST_ENTRY,
  CHOIR_WRITE_EMPTY_GRAVE,
  CHOIR_WRITE_REMOVE_GRAVE,
  CHOIR_N_WRITES
};

/**
 * ChoirStoreWrites:
 *
 * The writer's connection, its statements, and where the streams end. Requests are worked on
 * between choir_store_writes_begin() and _commit().
 */
typedef struct
{
  sqlite3 *db; /* (owned) */
  sqlite3_stmt *statements[CHOIR_N_WRITES];
  ChoirStoreHeads heads;
  gint64 data_version; /* another one: somebody else has written */
  gboolean has_graves; /* deleted streams have something left */
} ChoirStoreWrites;

/* Takes @db, also on error */
ChoirStoreWrites *choir_store_writes_new (sqlite3 *db, GError **error);
void choir_store_writes_free (ChoirStoreWrites *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirStoreWrites, choir_store_writes_free)

gboolean choir_store_writes_begin (ChoirStoreWrites *self, GError **error);
gboolean choir_store_writes_commit (ChoirStoreWrites *self, GError **error);
void choir_store_writes_undo (ChoirStoreWrites *self);
/* A transaction of its own that shows whether writing works */
gboolean choir_store_writes_probe (ChoirStoreWrites *self, GError **error);

/* Work on requests; the worker is a ChoirStoreWrites */
gboolean choir_store_work_append (ChoirStoreRequest *request, gpointer worker, GError **error);
gboolean
choir_store_work_put_snapshot (ChoirStoreRequest *request, gpointer worker, GError **error);
gboolean choir_store_work_delete (ChoirStoreRequest *request, gpointer worker, GError **error);
gboolean choir_store_work_put_user (ChoirStoreRequest *request, gpointer worker, GError **error);

/* Work that is done a piece at a time, each in a transaction of its own. @done: there is no more */
gboolean choir_store_writes_trim_some (ChoirStoreWrites *self,
                                       ChoirStoreRequest *request,
                                       gboolean *done,
                                       GError **error);
gboolean choir_store_writes_bury_some (ChoirStoreWrites *self, gboolean *done, GError **error);

G_END_DECLS
