/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-store-writes.h"

#include "choir-error.h"

#include <string.h>

/* About 200 bytes each */
#define HEADS_MAX 10000

/* So much must be free on the disk for it to count as working again: it may be just that much that
 * the next appends need */
#define PROBE_BYTES "262144"

static const char *const sql[] = {
  [CHOIR_WRITE_BEGIN] = "BEGIN IMMEDIATE",
  [CHOIR_WRITE_COMMIT] = "COMMIT",
  [CHOIR_WRITE_ROLLBACK] = "ROLLBACK",
  [CHOIR_WRITE_DATA_VERSION] = "PRAGMA data_version",
  [CHOIR_WRITE_PROBE] =
    "INSERT OR REPLACE INTO probe (id, data) VALUES (1, zeroblob (" PROBE_BYTES "))",
  [CHOIR_WRITE_PROBE_CLEAR] = "DELETE FROM probe",
  [CHOIR_WRITE_FIND_STREAM] = "SELECT id, head, changed_us, epoch FROM streams WHERE name = ?1",
  [CHOIR_WRITE_ADD_STREAM] =
    "INSERT INTO streams (name, epoch, head, changed_us) VALUES (?1, ?2, 0, ?3)",
  [CHOIR_WRITE_SET_HEAD] = "UPDATE streams SET head = ?2, changed_us = ?3 WHERE id = ?1",
  [CHOIR_WRITE_BURY_STREAM] = "UPDATE streams SET name = NULL WHERE id = ?1",
  [CHOIR_WRITE_FIND_KEY] = "SELECT offset FROM entries WHERE stream = ?1 AND key = ?2",
  [CHOIR_WRITE_ADD_ENTRY] =
    "INSERT INTO entries (stream, offset, wall_us, type, id, user_id, session_id, key,"
    " data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
  [CHOIR_WRITE_COUNT_LABELS] = "SELECT count (*) FROM snapshots WHERE stream = ?1 AND offset = ?2"
                               " AND label NOT IN ('', ?3)",
  [CHOIR_WRITE_PUT_SNAPSHOT] =
    "INSERT INTO snapshots (stream, offset, wall_us, label, user_id, data)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (stream, offset, label) DO UPDATE"
    " SET wall_us = excluded.wall_us, user_id = excluded.user_id,"
    " data = excluded.data",
  [CHOIR_WRITE_FORGET_SNAPSHOT] =
    "DELETE FROM snapshots WHERE stream = ?1 AND offset = ?2 AND label = ''",
  [CHOIR_WRITE_PUT_USER] =
    "INSERT INTO users (id, name, active, created_us) VALUES (?1, ?2, ?3, ?4)"
    " ON CONFLICT (id) DO UPDATE SET name = excluded.name, active = excluded.active",
  [CHOIR_WRITE_TRIM_STATE] =
    "SELECT s.id, s.head, (SELECT max (offset) FROM snapshots WHERE stream = s.id),"
    " (SELECT min (offset) FROM entries WHERE stream = s.id)"
    " FROM streams AS s WHERE name = ?1",
  [CHOIR_WRITE_FORGET_ENTRIES] = "DELETE FROM entries WHERE stream = ?1 AND offset < ?2",
  [CHOIR_WRITE_FORGET_SNAPSHOTS] =
    "DELETE FROM snapshots WHERE stream = ?1 AND offset < ?2 AND label = ''",
  [CHOIR_WRITE_FIND_GRAVE] = "SELECT id FROM streams WHERE name IS NULL LIMIT 1",
  [CHOIR_WRITE_FIRST_ENTRY] = "SELECT min (offset) FROM entries WHERE stream = ?1",
  [CHOIR_WRITE_EMPTY_GRAVE] = "DELETE FROM snapshots WHERE id IN"
                              " (SELECT id FROM snapshots WHERE stream = ?1 LIMIT 1)",
  [CHOIR_WRITE_REMOVE_GRAVE] = "DELETE FROM streams WHERE id = ?1",
  NULL,
};

G_STATIC_ASSERT (G_N_ELEMENTS (sql) == CHOIR_N_WRITES + 1);

/**
 * choir_store_writes_new:
 * @db: (transfer full): a connection to a database of this version
 * @error: return location: %CHOIR_ERROR_UNAVAILABLE
 *
 * Returns: (transfer full): what works with it
 */
ChoirStoreWrites *
choir_store_writes_new (sqlite3 *db, GError **error)
{
  g_autoptr (ChoirStoreWrites) self = g_new0 (ChoirStoreWrites, 1);

  self->db = db;
  self->has_graves = TRUE;
  choir_store_heads_init (&self->heads, HEADS_MAX);

  if (!choir_sqlite_prepare (db, sql, self->statements, error))
    return NULL;

  return g_steal_pointer (&self);
}

void
choir_store_writes_free (ChoirStoreWrites *self)
{
  choir_store_heads_clear (&self->heads);
  choir_sqlite_finalize (self->statements, CHOIR_N_WRITES);
  sqlite3_close (self->db);
  g_free (self);
}

/* What is kept in memory was true before somebody else wrote */
static gboolean
notice_others (ChoirStoreWrites *self, GError **error)
{
  sqlite3_stmt *statement = self->statements[CHOIR_WRITE_DATA_VERSION];
  gint64 version;

  if (choir_sqlite_step (statement, error) != CHOIR_SQLITE_ROW)
    return FALSE;

  version = sqlite3_column_int64 (statement, 0);
  sqlite3_reset (statement);
  if (version != self->data_version)
    choir_store_heads_forget_all (&self->heads);
  self->data_version = version;

  return TRUE;
}

/* What is written to a file without a name is stored nowhere */
static gboolean
check_place (ChoirStoreWrites *self, GError **error)
{
  int moved = 0;

  sqlite3_file_control (self->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  if (!moved)
    return TRUE;

  g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE,
                       "The database's file was moved or removed");

  return FALSE;
}

/**
 * choir_store_writes_begin:
 * @self: not in a transaction
 * @error: return location: %CHOIR_ERROR_UNAVAILABLE
 *
 * Returns: whether a transaction has begun; if not, choir_store_writes_undo() is needed as well
 */
gboolean
choir_store_writes_begin (ChoirStoreWrites *self, GError **error)
{
  return check_place (self, error) &&
         choir_sqlite_run (self->statements[CHOIR_WRITE_BEGIN], error) &&
         notice_others (self, error);
}

static gboolean
write_heads (ChoirStoreWrites *self, GError **error)
{
  sqlite3_stmt *statement = self->statements[CHOIR_WRITE_SET_HEAD];

  for (guint i = 0; i < self->heads.dirty->len; i++)
    {
      const ChoirStoreHead *head = g_ptr_array_index (self->heads.dirty, i);

      sqlite3_bind_int64 (statement, 1, head->id);
      choir_sqlite_bind_offset (statement, 2, head->head);
      sqlite3_bind_int64 (statement, 3, head->changed_us);
      if (!choir_sqlite_run (statement, error))
        return FALSE;
    }

  return TRUE;
}

/**
 * choir_store_writes_commit:
 * @self: in a transaction
 * @error: return location: %CHOIR_ERROR_UNAVAILABLE
 *
 * Returns: whether what was done since it began is stored; if not, choir_store_writes_undo() is
 * needed
 */
gboolean
choir_store_writes_commit (ChoirStoreWrites *self, GError **error)
{
  if (!write_heads (self, error) || !choir_sqlite_run (self->statements[CHOIR_WRITE_COMMIT], error))
    return FALSE;

  choir_store_heads_settle (&self->heads);

  return TRUE;
}

/**
 * choir_store_writes_undo:
 * @self: whatever it is in
 *
 * After a failure SQLite may have undone the transaction by itself.
 */
void
choir_store_writes_undo (ChoirStoreWrites *self)
{
  if (!sqlite3_get_autocommit (self->db))
    choir_sqlite_run (self->statements[CHOIR_WRITE_ROLLBACK], NULL);
  choir_store_heads_forget_all (&self->heads);
}

gboolean
choir_store_writes_probe (ChoirStoreWrites *self, GError **error)
{
  if (choir_store_writes_begin (self, error) &&
      choir_sqlite_run (self->statements[CHOIR_WRITE_PROBE], error) &&
      choir_sqlite_run (self->statements[CHOIR_WRITE_COMMIT], error) &&
      choir_sqlite_run (self->statements[CHOIR_WRITE_PROBE_CLEAR], error))
    return TRUE;

  choir_store_writes_undo (self);

  return FALSE;
}

/* Streams */

/* @out: NULL if there is none */
static gboolean
find_stream (ChoirStoreWrites *self, const char *name, ChoirStoreHead **out, GError **error)
{
  sqlite3_stmt *statement = self->statements[CHOIR_WRITE_FIND_STREAM];
  ChoirSqliteStep step;

  *out = choir_store_heads_find (&self->heads, name);
  if (*out != NULL)
    return TRUE;

  choir_sqlite_bind_text (statement, 1, name);
  step = choir_sqlite_step (statement, error);
  if (step != CHOIR_SQLITE_ROW)
    return step == CHOIR_SQLITE_DONE;

  *out = choir_store_heads_add (&self->heads, name);
  (*out)->id = sqlite3_column_int64 (statement, 0);
  (*out)->head = (guint64) sqlite3_column_int64 (statement, 1);
  (*out)->changed_us = sqlite3_column_int64 (statement, 2);
  g_strlcpy ((*out)->epoch, choir_sqlite_get_text (statement, 3), CHOIR_EPOCH_SIZE);
  sqlite3_reset (statement);

  return TRUE;
}

/* @wanted: (nullable): its epoch */
static ChoirStoreHead *
add_stream (ChoirStoreWrites *self,
            const char *name,
            const char *wanted,
            gint64 wall_us,
            GError **error)
{
  sqlite3_stmt *statement = self->statements[CHOIR_WRITE_ADD_STREAM];
  char epoch[CHOIR_EPOCH_SIZE];
  ChoirStoreHead *head;

  if (wanted != NULL)
    g_strlcpy (epoch, wanted, sizeof epoch);
  else
    choir_store_make_epoch (epoch);
  choir_sqlite_bind_text (statement, 1, name);
  choir_sqlite_bind_text (statement, 2, epoch);
  sqlite3_bind_int64 (statement, 3, wall_us);
  if (!choir_sqlite_run (statement, error))
    return NULL;

  head = choir_store_heads_add (&self->heads, name);
  head->id = sqlite3_last_insert_rowid (self->db);
  head->changed_us = wall_us;
  memcpy (head->epoch, epoch, sizeof epoch);

  return head;
}

/* @offset: 0 if there is none */
static gboolean
find_key (ChoirStoreWrites *self, gint64 stream, const char *key, guint64 *offset, GError **error)
{
  sqlite3_stmt *statement = self->statements[CHOIR_WRITE_FIND_KEY];
  ChoirSqliteStep step;

  *offset = 0;
  sqlite3_bind_int64 (statement, 1, stream);
  choir_sqlite_bind_text (statement, 2, key);
  step = choir_sqlite_step (statement, error);
  if (step == CHOIR_SQLITE_ROW)
    {
      *offset = (guint64) sqlite3_column_int64 (statement, 0);
      sqlite3_reset (statement);
    }

  return step != CHOIR_SQLITE_FAILED;
}

static gboolean
find_duplicate (ChoirStoreWrites *self,
                const ChoirStoreRequest *request,
                const ChoirStoreHead *head,
                ChoirAppended *appended,
                GError **error)
{
  for (guint i = 0; i < request->n_entries; i++)
    {
      const char *key = request->entries[i].key;
      guint64 offset;

      if (key == NULL)
        continue;
      if (!find_key (self, head->id, key, &offset, error))
        return FALSE;
      if (offset != 0)
        {
          appended->status = CHOIR_APPEND_DUPLICATE;
          appended->offset = offset;
          appended->duplicate = i;
          break;
        }
    }

  return TRUE;
}

static gboolean
add_entry (ChoirStoreWrites *self,
           ChoirStoreHead *head,
           const ChoirStoreEntry *entry,
           GError **error)
{
  sqlite3_stmt *statement = self->statements[CHOIR_WRITE_ADD_ENTRY];

  sqlite3_bind_int64 (statement, 1, head->id);
  choir_sqlite_bind_offset (statement, 2, head->head + 1);
  sqlite3_bind_int64 (statement, 3, entry->wall_us);
  choir_sqlite_bind_text (statement, 4, entry->type);
  choir_sqlite_bind_text (statement, 5, entry->id);
  choir_sqlite_bind_text (statement, 6, entry->user_id);
  choir_sqlite_bind_text (statement, 7, entry->session_id);
  choir_sqlite_bind_text (statement, 8, entry->key);
  choir_sqlite_bind_blob (statement, 9, entry->data, entry->len);
  if (!choir_sqlite_run (statement, error))
    return FALSE;

  head->head++;
  head->changed_us = entry->wall_us;

  return TRUE;
}

static gboolean
add_entries (ChoirStoreWrites *self,
             const ChoirStoreRequest *request,
             ChoirStoreHead *head,
             ChoirAppended *appended,
             GError **error)
{
  choir_store_heads_mark (&self->heads, head);
  for (guint i = 0; i < request->n_entries; i++)
    if (!add_entry (self, head, &request->entries[i], error))
      return FALSE;

  appended->offset = head->head;

  return TRUE;
}

static gboolean
append (ChoirStoreWrites *self,
        const ChoirStoreRequest *request,
        ChoirAppended *appended,
        GError **error)
{
  ChoirStoreHead *head;

  if (!find_stream (self, request->name, &head, error))
    return FALSE;

  appended->offset = head != NULL ? head->head : 0;
  if (!choir_store_is_end (request->text, request->number, head != NULL ? head->epoch : NULL,
                           appended->offset))
    appended->status = CHOIR_APPEND_CONFLICT;
  else if (head != NULL && !find_duplicate (self, request, head, appended, error))
    return FALSE;

  if (head == NULL && appended->status == CHOIR_APPEND_STORED)
    {
      head = add_stream (self, request->name, request->text, request->entries[0].wall_us, error);
      if (head == NULL)
        return FALSE;
    }
  if (head != NULL)
    memcpy (appended->epoch, head->epoch, sizeof appended->epoch);

  return appended->status != CHOIR_APPEND_STORED ||
         add_entries (self, request, head, appended, error);
}

gboolean
choir_store_work_append (ChoirStoreRequest *request, gpointer worker, GError **error)
{
  ChoirAppended *appended = g_new0 (ChoirAppended, 1);

  choir_store_request_set_result (request, appended, g_free);

  return append (worker, request, appended, error);
}

/* TRUE although there is none: the refusal is in the request */
static gboolean
require_stream (ChoirStoreWrites *self,
                ChoirStoreRequest *request,
                ChoirStoreHead **head,
                GError **error)
{
  if (!find_stream (self, request->name, head, error))
    return FALSE;

  if (*head == NULL)
    choir_store_refuse_unknown ("stream", &request->error);

  return TRUE;
}

/* request->text: (nullable): the only epoch, number: the only head that are meant */
gboolean
choir_store_work_delete (ChoirStoreRequest *request, gpointer worker, GError **error)
{
  ChoirStoreWrites *self = worker;
  sqlite3_stmt *statement = self->statements[CHOIR_WRITE_BURY_STREAM];
  ChoirStoreHead *head;

  if (!require_stream (self, request, &head, error))
    return FALSE;
  if (head != NULL && !choir_store_is_end (request->text, request->number, head->epoch, head->head))
    choir_store_refuse_end (&request->error);
  if (request->error != NULL)
    return TRUE;

  sqlite3_bind_int64 (statement, 1, head->id);
  choir_store_heads_remove (&self->heads, head);
  self->has_graves = TRUE;

  return choir_sqlite_run (statement, error);
}

/* Snapshots */

static gboolean
check_labels (ChoirStoreWrites *self,
              ChoirStoreRequest *request,
              const ChoirStoreHead *head,
              GError **error)
{
  sqlite3_stmt *statement = self->statements[CHOIR_WRITE_COUNT_LABELS];
  const ChoirSnapshot *snapshot = request->snapshot;

  if (snapshot->label == NULL)
    return TRUE;

  sqlite3_bind_int64 (statement, 1, head->id);
  choir_sqlite_bind_offset (statement, 2, snapshot->offset);
  choir_sqlite_bind_text (statement, 3, snapshot->label);
  if (choir_sqlite_step (statement, error) != CHOIR_SQLITE_ROW)
    return FALSE;

  if (sqlite3_column_int64 (statement, 0) >= CHOIR_STORE_LABELS_MAX)
    choir_store_refuse_label (&request->error);
  sqlite3_reset (statement);

  return TRUE;
}

static gboolean
put_snapshot (ChoirStoreWrites *self,
              const ChoirStoreHead *head,
              const ChoirSnapshot *snapshot,
              GError **error)
{
  sqlite3_stmt *statement = self->statements[CHOIR_WRITE_PUT_SNAPSHOT];

  sqlite3_bind_int64 (statement, 1, head->id);
  choir_sqlite_bind_offset (statement, 2, snapshot->offset);
  sqlite3_bind_int64 (statement, 3, snapshot->wall_us);
  choir_sqlite_bind_text (statement, 4, snapshot->label != NULL ? snapshot->label : "");
  choir_sqlite_bind_text (statement, 5, snapshot->user_id);
  choir_sqlite_bind_blob (statement, 6, g_bytes_get_data (snapshot->data, NULL),
                          g_bytes_get_size (snapshot->data));

  return choir_sqlite_run (statement, error);
}

static gboolean
forget_snapshot (ChoirStoreWrites *self, const ChoirStoreHead *head, guint64 offset, GError **error)
{
  sqlite3_stmt *statement = self->statements[CHOIR_WRITE_FORGET_SNAPSHOT];

  sqlite3_bind_int64 (statement, 1, head->id);
  choir_sqlite_bind_offset (statement, 2, offset);

  return choir_sqlite_run (statement, error);
}

/* request->number: the automatic one that goes */
gboolean
choir_store_work_put_snapshot (ChoirStoreRequest *request, gpointer worker, GError **error)
{
  ChoirStoreWrites *self = worker;
  const ChoirSnapshot *snapshot = request->snapshot;
  ChoirStoreHead *head;

  if (!find_stream (self, request->name, &head, error))
    return FALSE;

  if (head == NULL && snapshot->offset > 0)
    {
      choir_store_refuse_unknown ("stream", &request->error);
      return TRUE;
    }
  if (head == NULL)
    head = add_stream (self, request->name, NULL, snapshot->wall_us, error);
  if (head == NULL)
    return FALSE;

  if (snapshot->offset > head->head)
    choir_store_refuse_future (&request->error);
  else if (!check_labels (self, request, head, error))
    return FALSE;
  if (request->error != NULL)
    return TRUE;

  return put_snapshot (self, head, snapshot, error) &&
         (request->number == 0 || request->number == snapshot->offset ||
          forget_snapshot (self, head, request->number, error));
}

gboolean
choir_store_work_put_user (ChoirStoreRequest *request, gpointer worker, GError **error)
{
  ChoirStoreWrites *self = worker;
  sqlite3_stmt *statement = self->statements[CHOIR_WRITE_PUT_USER];
  const ChoirStoreUser *user = request->user;

  choir_sqlite_bind_text (statement, 1, user->id);
  choir_sqlite_bind_text (statement, 2, user->name);
  sqlite3_bind_int (statement, 3, user->active != FALSE);
  sqlite3_bind_int64 (statement, 4, user->created_us);

  return choir_sqlite_run (statement, error);
}
