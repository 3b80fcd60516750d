/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-store-reader.h"

#include "choir-error.h"

#include <string.h>

enum
{
  BEGIN,
  END,
  FIND_STREAM,
  FIRST_ENTRY,
  FIND_SNAPSHOT,
  READ_FORWARD,
  READ_BACKWARD,
  FIND_KEY,
  LIST_STREAMS,
  LIST_SNAPSHOTS,
  GET_USER,
  LIST_USERS,
  N_STATEMENTS
};

#define ENTRY "SELECT offset, wall_us, type, id, user_id, session_id, key, data FROM entries"
#define USER "SELECT id, name, active, created_us FROM users"

static const char *const sql[] = {
  [BEGIN] = "BEGIN",
  [END] = "COMMIT",
  [FIND_STREAM] = "SELECT id, head, epoch FROM streams WHERE name = ?1",
  [FIRST_ENTRY] = "SELECT min (offset) FROM entries WHERE stream = ?1",
  [FIND_SNAPSHOT] = "SELECT offset, wall_us, label, user_id, length (data), data FROM snapshots"
                    " WHERE stream = ?1 AND offset <= ?2 ORDER BY offset DESC, id DESC LIMIT 1",
  [READ_FORWARD] = ENTRY " WHERE stream = ?1 AND offset BETWEEN ?2 AND ?3 ORDER BY offset",
  [READ_BACKWARD] = ENTRY " WHERE stream = ?1 AND offset < ?2 ORDER BY offset DESC",
  [FIND_KEY] = "SELECT offset FROM entries WHERE stream = ?1 AND key = ?2",
  [LIST_STREAMS] =
    "SELECT name, head, changed_us, epoch FROM streams WHERE name > ?1 AND name >= ?2"
    " ORDER BY name",
  [LIST_SNAPSHOTS] = "SELECT offset, wall_us, label, user_id, length (data) FROM snapshots"
                     " WHERE stream = ?1 AND offset < ?2 ORDER BY offset DESC, id DESC",
  [GET_USER] = USER " WHERE id = ?1",
  [LIST_USERS] = USER " WHERE id > ?1 ORDER BY id LIMIT ?2",
  NULL,
};

G_STATIC_ASSERT (G_N_ELEMENTS (sql) == N_STATEMENTS + 1);

struct _ChoirStoreReader
{
  sqlite3 *db; /* (owned) */
  sqlite3_stmt *statements[N_STATEMENTS];
  ChoirStoreQueue *queue;
  ChoirStoreDelivery *delivery;
  GThread *thread; /* (owned) */
};

static void
choir_store_reader_free (ChoirStoreReader *self)
{
  choir_sqlite_finalize (self->statements, N_STATEMENTS);
  sqlite3_close (self->db);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirStoreReader, choir_store_reader_free)

/* Streams */

/* Fills what @part says of the stream. @stream: its number; 0 if there is none */
static gboolean
describe (ChoirStoreReader *self,
          const char *name,
          ChoirStreamPart *part,
          gint64 *stream,
          GError **error)
{
  sqlite3_stmt *find = self->statements[FIND_STREAM];
  sqlite3_stmt *first = self->statements[FIRST_ENTRY];
  ChoirSqliteStep step;

  *stream = 0;
  choir_sqlite_bind_text (find, 1, name);
  step = choir_sqlite_step (find, error);
  if (step != CHOIR_SQLITE_ROW)
    return step == CHOIR_SQLITE_DONE;

  *stream = sqlite3_column_int64 (find, 0);
  part->exists = TRUE;
  part->head = (guint64) sqlite3_column_int64 (find, 1);
  g_strlcpy (part->epoch, choir_sqlite_get_text (find, 2), sizeof part->epoch);
  sqlite3_reset (find);

  sqlite3_bind_int64 (first, 1, *stream);
  if (choir_sqlite_step (first, error) != CHOIR_SQLITE_ROW)
    return FALSE;

  part->first = sqlite3_column_type (first, 0) != SQLITE_NULL
                  ? (guint64) sqlite3_column_int64 (first, 0)
                  : part->head + 1;
  sqlite3_reset (first);

  return TRUE;
}

/* What is in the row lies there until the next step */
static void
get_entry (sqlite3_stmt *row, ChoirStoreEntry *entry)
{
  entry->offset = (guint64) sqlite3_column_int64 (row, 0);
  entry->wall_us = sqlite3_column_int64 (row, 1);
  entry->type = choir_sqlite_get_text (row, 2);
  entry->id = choir_sqlite_get_text (row, 3);
  entry->user_id = choir_sqlite_get_text (row, 4);
  entry->session_id = choir_sqlite_get_text (row, 5);
  entry->key = choir_sqlite_get_text (row, 6);
  entry->data = sqlite3_column_blob (row, 7);
  entry->len = (gsize) sqlite3_column_bytes (row, 7);
}

/* All rows of a bound statement, as far as the builder takes them */
static gboolean
read_entries (sqlite3_stmt *statement, ChoirPartBuilder *builder, GError **error)
{
  ChoirSqliteStep step;

  while ((step = choir_sqlite_step (statement, error)) == CHOIR_SQLITE_ROW)
    {
      ChoirStoreEntry entry;

      get_entry (statement, &entry);
      if (!choir_part_builder_add (builder, &entry))
        {
          sqlite3_reset (statement);
          return TRUE;
        }
    }

  return step == CHOIR_SQLITE_DONE;
}

static gboolean
read_forward (ChoirStoreReader *self,
              gint64 stream,
              guint64 first,
              guint64 last,
              ChoirPartBuilder *builder,
              GError **error)
{
  sqlite3_stmt *statement = self->statements[READ_FORWARD];

  sqlite3_bind_int64 (statement, 1, stream);
  choir_sqlite_bind_offset (statement, 2, first);
  choir_sqlite_bind_offset (statement, 3, last);

  return read_entries (statement, builder, error);
}

static gboolean
read_backward (ChoirStoreReader *self,
               gint64 stream,
               guint64 before,
               ChoirPartBuilder *builder,
               GError **error)
{
  sqlite3_stmt *statement = self->statements[READ_BACKWARD];

  sqlite3_bind_int64 (statement, 1, stream);
  choir_sqlite_bind_offset (statement, 2, before);

  return read_entries (statement, builder, error);
}

static ChoirSnapshot *
get_snapshot (sqlite3_stmt *row)
{
  ChoirSnapshot *snapshot = g_new0 (ChoirSnapshot, 1);
  const char *label = choir_sqlite_get_text (row, 2);

  snapshot->offset = (guint64) sqlite3_column_int64 (row, 0);
  snapshot->wall_us = sqlite3_column_int64 (row, 1);
  snapshot->label = label != NULL && *label != '\0' ? g_strdup (label) : NULL;
  snapshot->user_id = g_strdup (choir_sqlite_get_text (row, 3));
  snapshot->len = (gsize) sqlite3_column_int64 (row, 4);

  return snapshot;
}

static gboolean
find_snapshot (ChoirStoreReader *self,
               gint64 stream,
               guint64 at_most,
               ChoirStreamPart *part,
               GError **error)
{
  sqlite3_stmt *statement = self->statements[FIND_SNAPSHOT];
  ChoirSqliteStep step;

  sqlite3_bind_int64 (statement, 1, stream);
  choir_sqlite_bind_offset (statement, 2, at_most);
  step = choir_sqlite_step (statement, error);
  if (step != CHOIR_SQLITE_ROW)
    return step == CHOIR_SQLITE_DONE;

  part->snapshot = get_snapshot (statement);
  part->snapshot->data = g_bytes_new (sqlite3_column_blob (statement, 5), part->snapshot->len);
  sqlite3_reset (statement);

  return TRUE;
}

static gboolean
load (ChoirStoreReader *self,
      const ChoirStoreRequest *request,
      ChoirPartBuilder *builder,
      GError **error)
{
  ChoirStreamPart *part = builder->part;
  gint64 stream;
  guint64 after;

  if (!describe (self, request->name, part, &stream, error))
    return FALSE;
  if (stream == 0)
    return TRUE;

  if (!find_snapshot (self, stream, request->number, part, error))
    return FALSE;

  after = part->snapshot != NULL ? part->snapshot->offset : 0;

  return read_forward (self, stream, after + 1, request->number, builder, error);
}

static void
give_part (ChoirStoreRequest *request, ChoirPartBuilder *builder)
{
  choir_store_request_set_result (request, choir_part_builder_steal (builder),
                                  (GDestroyNotify) choir_stream_part_free);
}

gboolean
choir_store_work_load (ChoirStoreRequest *request, gpointer worker, GError **error)
{
  g_auto (ChoirPartBuilder) builder = { 0 };

  choir_part_builder_init (&builder, CHOIR_STORE_PART_MAX);
  if (!load (worker, request, &builder, error))
    return FALSE;

  give_part (request, &builder);

  return TRUE;
}

gboolean
choir_store_work_read (ChoirStoreRequest *request, gpointer worker, GError **error)
{
  ChoirStoreReader *self = worker;
  g_auto (ChoirPartBuilder) builder = { 0 };
  gboolean fine = TRUE;
  gint64 stream;

  choir_part_builder_init (&builder, request->limit);
  if (!describe (self, request->name, builder.part, &stream, error))
    return FALSE;

  if (stream != 0 && request->reverse)
    fine = read_backward (self, stream, request->number, &builder, error);
  else if (stream != 0 && request->number < builder.part->head)
    fine = read_forward (self, stream, request->number + 1, G_MAXUINT64, &builder, error);

  give_part (request, &builder);

  return fine;
}

gboolean
choir_store_work_find_key (ChoirStoreRequest *request, gpointer worker, GError **error)
{
  ChoirStoreReader *self = worker;
  sqlite3_stmt *statement = self->statements[FIND_KEY];
  ChoirStreamPart part = { 0 };
  guint64 *offset;
  gint64 stream;
  ChoirSqliteStep step;

  if (!describe (self, request->name, &part, &stream, error))
    return FALSE;

  offset = g_new0 (guint64, 1);
  choir_store_request_set_result (request, offset, g_free);
  sqlite3_bind_int64 (statement, 1, stream);
  choir_sqlite_bind_text (statement, 2, request->text);
  step = choir_sqlite_step (statement, error);
  if (step == CHOIR_SQLITE_ROW)
    {
      *offset = (guint64) sqlite3_column_int64 (statement, 0);
      sqlite3_reset (statement);
    }

  return step != CHOIR_SQLITE_FAILED;
}

static ChoirStreamInfo *
get_info (sqlite3_stmt *row)
{
  ChoirStreamInfo *info = g_new0 (ChoirStreamInfo, 1);

  info->name = g_strdup (choir_sqlite_get_text (row, 0));
  info->head = (guint64) sqlite3_column_int64 (row, 1);
  info->changed_us = sqlite3_column_int64 (row, 2);
  g_strlcpy (info->epoch, choir_sqlite_get_text (row, 3), sizeof info->epoch);

  return info;
}

/* request->name: the prefix; text: after which name */
gboolean
choir_store_work_list (ChoirStoreRequest *request, gpointer worker, GError **error)
{
  ChoirStoreReader *self = worker;
  sqlite3_stmt *statement = self->statements[LIST_STREAMS];
  GPtrArray *infos = g_ptr_array_new_with_free_func ((GDestroyNotify) choir_stream_info_free);
  ChoirSqliteStep step = CHOIR_SQLITE_DONE;

  choir_store_request_set_result (request, infos, (GDestroyNotify) g_ptr_array_unref);
  choir_sqlite_bind_text (statement, 1, request->text);
  choir_sqlite_bind_text (statement, 2, request->name);
  while (infos->len < request->limit &&
         (step = choir_sqlite_step (statement, error)) == CHOIR_SQLITE_ROW &&
         g_str_has_prefix (choir_sqlite_get_text (statement, 0), request->name))
    g_ptr_array_add (infos, get_info (statement));
  sqlite3_reset (statement);

  return step != CHOIR_SQLITE_FAILED;
}

gboolean
choir_store_work_list_snapshots (ChoirStoreRequest *request, gpointer worker, GError **error)
{
  ChoirStoreReader *self = worker;
  sqlite3_stmt *statement = self->statements[LIST_SNAPSHOTS];
  GPtrArray *found = g_ptr_array_new_with_free_func ((GDestroyNotify) choir_snapshot_free);
  guint64 before = request->number != 0 ? request->number : G_MAXUINT64;
  guint64 last = G_MAXUINT64;
  ChoirStreamPart part = { 0 };
  ChoirSqliteStep step = CHOIR_SQLITE_DONE;
  gint64 stream;

  choir_store_request_set_result (request, found, (GDestroyNotify) g_ptr_array_unref);
  if (!describe (self, request->name, &part, &stream, error))
    return FALSE;

  sqlite3_bind_int64 (statement, 1, stream);
  choir_sqlite_bind_offset (statement, 2, before);
  while (request->limit > 0 && (step = choir_sqlite_step (statement, error)) == CHOIR_SQLITE_ROW &&
         (found->len < request->limit || (guint64) sqlite3_column_int64 (statement, 0) == last))
    {
      last = (guint64) sqlite3_column_int64 (statement, 0);
      g_ptr_array_add (found, get_snapshot (statement));
    }
  sqlite3_reset (statement);

  return step != CHOIR_SQLITE_FAILED;
}

/* Users */

static ChoirStoreUser *
get_user (sqlite3_stmt *row)
{
  ChoirStoreUser *user = g_new0 (ChoirStoreUser, 1);

  user->id = g_strdup (choir_sqlite_get_text (row, 0));
  user->name = g_strdup (choir_sqlite_get_text (row, 1));
  user->active = sqlite3_column_int (row, 2) != 0;
  user->created_us = sqlite3_column_int64 (row, 3);

  return user;
}

gboolean
choir_store_work_get_user (ChoirStoreRequest *request, gpointer worker, GError **error)
{
  ChoirStoreReader *self = worker;
  sqlite3_stmt *statement = self->statements[GET_USER];
  ChoirSqliteStep step;

  choir_sqlite_bind_text (statement, 1, request->name);
  step = choir_sqlite_step (statement, error);
  if (step == CHOIR_SQLITE_ROW)
    {
      choir_store_request_set_result (request, get_user (statement),
                                      (GDestroyNotify) choir_store_user_free);
      sqlite3_reset (statement);
    }
  else if (step == CHOIR_SQLITE_DONE)
    choir_store_refuse_unknown ("user", &request->error);

  return step != CHOIR_SQLITE_FAILED;
}

gboolean
choir_store_work_list_users (ChoirStoreRequest *request, gpointer worker, GError **error)
{
  ChoirStoreReader *self = worker;
  sqlite3_stmt *statement = self->statements[LIST_USERS];
  GPtrArray *users = g_ptr_array_new_with_free_func ((GDestroyNotify) choir_store_user_free);
  ChoirSqliteStep step;

  choir_store_request_set_result (request, users, (GDestroyNotify) g_ptr_array_unref);
  choir_sqlite_bind_text (statement, 1, request->name);
  sqlite3_bind_int64 (statement, 2, request->limit);
  while ((step = choir_sqlite_step (statement, error)) == CHOIR_SQLITE_ROW)
    g_ptr_array_add (users, get_user (statement));

  return step == CHOIR_SQLITE_DONE;
}

/* The thread */

/* All that one request asks is answered from one state of the database */
static gboolean
do_request (ChoirStoreReader *self, ChoirStoreRequest *request, GError **error)
{
  gboolean fine =
    choir_sqlite_run (self->statements[BEGIN], error) && request->work (request, self, error);

  if (!sqlite3_get_autocommit (self->db))
    sqlite3_step (self->statements[END]);
  sqlite3_reset (self->statements[END]);

  return fine;
}

static void
run_request (ChoirStoreReader *self, ChoirStoreRequest *request)
{
  ChoirStoreRequests answered = { NULL, NULL };
  g_autoptr (GError) error = NULL;

  if (choir_store_request_is_cancelled (request))
    g_set_error_literal (&request->error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "Cancelled");
  else if (!do_request (self, request, &error))
    {
      choir_store_request_clear_answer (request);
      g_set_error (&request->error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE, "Reading failed: %s",
                   error->message);
    }

  choir_store_requests_add (&answered, request);
  choir_store_delivery_push (self->delivery, &answered);
}

static gpointer
reader_thread (gpointer data)
{
  ChoirStoreReader *self = data;
  ChoirStoreDelivery *delivery = self->delivery;
  ChoirStoreRequests waiting;

  while (choir_store_queue_take (self->queue, CHOIR_STORE_FOREVER, &waiting))
    while (waiting.first != NULL)
      run_request (self, choir_store_requests_pop (&waiting));

  choir_sqlite_finalize (self->statements, N_STATEMENTS);
  g_clear_pointer (&self->db, sqlite3_close);
  choir_store_delivery_end (delivery);

  return NULL;
}

/**
 * choir_store_reader_start:
 * @db: (transfer full): a connection to a database of this version
 * @queue: where requests come from
 * @delivery: where answers go
 * @error: return location: %CHOIR_ERROR_UNAVAILABLE
 *
 * Returns: (transfer full): a thread at work
 */
ChoirStoreReader *
choir_store_reader_start (sqlite3 *db,
                          ChoirStoreQueue *queue,
                          ChoirStoreDelivery *delivery,
                          GError **error)
{
  g_autoptr (ChoirStoreReader) self = g_new0 (ChoirStoreReader, 1);

  self->db = db;
  self->queue = queue;
  self->delivery = delivery;
  if (!choir_sqlite_prepare (db, sql, self->statements, error))
    return NULL;

  self->thread = g_thread_new ("store-reader", reader_thread, self);

  return g_steal_pointer (&self);
}

/**
 * choir_store_reader_join:
 * @self: (transfer full): a reader whose queue is closed
 */
void
choir_store_reader_join (ChoirStoreReader *self)
{
  g_thread_join (self->thread);
  choir_store_reader_free (self);
}
