/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-store.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-log.h"
#include "choir-names.h"
#include "choir-store-file.h"
#include "choir-store-reader.h"
#include "choir-store-writer.h"
#include "choir-store-writes.h"

/* What may be under way at a time; beyond it the disk can't keep up, and waiting would not help */
#define WRITES_MAX 20000
#define WRITES_BYTES_MAX (256 * 1024 * 1024)
#define READS_MAX 20000

/* One way into a thread */
typedef struct
{
  ChoirStoreQueue queue;
  ChoirStoreRequests pending; /* what this turn of the loop has asked for */
} Gate;

struct _ChoirStoreSqlite
{
  GObject parent_instance;

  ChoirStoreLock lock;
  Gate writes;
  Gate reads;
  ChoirStoreDelivery *delivery; /* (owned) */
  ChoirStoreWriter *writer;     /* (owned) (nullable): until it has ended */
  ChoirStoreReader *reader;     /* (owned) (nullable): likewise */
  guint n_writes;               /* under way */
  gsize n_write_bytes;
  guint n_reads;
  gboolean writable;
  gboolean closing;
  GPtrArray *closers; /* (element-type GTask) (owned): who waits for the end */
};

enum
{
  PROP_WRITABLE = 1
};

static void choir_store_sqlite_iface_init (ChoirStoreInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (ChoirStoreSqlite,
                               choir_store_sqlite,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (CHOIR_TYPE_STORE,
                                                      choir_store_sqlite_iface_init))

/* To the threads */

static void
flush (gpointer user_data)
{
  ChoirStoreSqlite *self = user_data;

  if (self->writes.pending.first != NULL)
    choir_store_queue_push (&self->writes.queue, &self->writes.pending);
  if (self->reads.pending.first != NULL)
    choir_store_queue_push (&self->reads.queue, &self->reads.pending);
}

static void
refuse (GTask *task, const char *reason)
{
  g_task_return_new_error (task, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE, "%s", reason);
  g_object_unref (task);
}

static const char *
find_reason_against_write (const ChoirStoreSqlite *self, gsize n_bytes)
{
  if (self->closing)
    return "The store is closed";
  if (!self->writable)
    return "The store can't be written to";
  if (self->n_writes >= WRITES_MAX)
    return "Too much waits to be written";
  /* whatever its size, one is always taken */
  if (self->n_writes > 0 && self->n_write_bytes + n_bytes > WRITES_BYTES_MAX)
    return "Too many bytes wait to be written";

  return NULL;
}

static const char *
find_reason_against_read (const ChoirStoreSqlite *self)
{
  if (self->closing)
    return "The store is closed";
  if (self->n_reads >= READS_MAX)
    return "Too much waits to be read";

  return NULL;
}

static void
submit_write (ChoirStoreSqlite *self, ChoirStoreRequest *request)
{
  self->n_writes++;
  self->n_write_bytes += request->n_bytes;
  request->is_write = TRUE;
  choir_store_requests_add (&self->writes.pending, request);
}

static void
submit_read (ChoirStoreSqlite *self, ChoirStoreRequest *request)
{
  self->n_reads++;
  choir_store_requests_add (&self->reads.pending, request);
}

static void
append_async (ChoirStore *store,
              const char *stream,
              const char *epoch,
              guint64 expected,
              const ChoirStoreEntry *entries,
              guint n_entries,
              GTask *task)
{
  ChoirStoreSqlite *self = CHOIR_STORE_SQLITE (store);
  ChoirStoreRequest *request;
  gsize n_bytes = 0;
  const char *reason;

  for (guint i = 0; i < n_entries; i++)
    n_bytes += entries[i].len;
  reason = find_reason_against_write (self, n_bytes);
  if (reason != NULL)
    {
      refuse (task, reason);
      return;
    }

  request = choir_store_request_new_append (task, choir_store_work_append, stream, epoch, entries,
                                            n_entries);
  request->number = expected;
  submit_write (self, request);
}

/* NULL, and @task is done with, if nothing can be taken now */
static ChoirStoreRequest *
new_write (ChoirStoreSqlite *self,
           GTask *task,
           ChoirStoreWork work,
           const char *name,
           const char *text,
           gsize n_bytes)
{
  const char *reason = find_reason_against_write (self, n_bytes);
  ChoirStoreRequest *request;

  if (reason != NULL)
    {
      refuse (task, reason);
      return NULL;
    }

  request = choir_store_request_new (task, work, name, text);
  request->n_bytes += n_bytes;
  submit_write (self, request);

  return request;
}

static ChoirStoreRequest *
new_read (ChoirStoreSqlite *self,
          GTask *task,
          ChoirStoreWork work,
          const char *name,
          const char *text)
{
  const char *reason = find_reason_against_read (self);
  ChoirStoreRequest *request;

  if (reason != NULL)
    {
      refuse (task, reason);
      return NULL;
    }

  request = choir_store_request_new (task, work, name, text);
  submit_read (self, request);

  return request;
}

static void
load_async (ChoirStore *store, const char *stream, guint64 at_most, GTask *task)
{
  ChoirStoreRequest *request =
    new_read (CHOIR_STORE_SQLITE (store), task, choir_store_work_load, stream, NULL);

  if (request != NULL)
    request->number = at_most;
}

static void
read_async (ChoirStore *store,
            const char *stream,
            guint64 after,
            guint limit,
            gboolean reverse,
            GTask *task)
{
  ChoirStoreRequest *request =
    new_read (CHOIR_STORE_SQLITE (store), task, choir_store_work_read, stream, NULL);

  if (request == NULL)
    return;

  request->number = after;
  request->limit = limit;
  request->reverse = reverse;
}

static void
find_key_async (ChoirStore *store, const char *stream, const char *key, GTask *task)
{
  new_read (CHOIR_STORE_SQLITE (store), task, choir_store_work_find_key, stream, key);
}

static void
trim_async (ChoirStore *store, const char *stream, guint64 before, GTask *task)
{
  ChoirStoreRequest *request = new_write (CHOIR_STORE_SQLITE (store), task, NULL, stream, NULL, 0);

  if (request != NULL)
    request->number = before;
}

static void
delete_async (ChoirStore *store,
              const char *stream,
              const char *epoch,
              guint64 expected,
              GTask *task)
{
  ChoirStoreRequest *request =
    new_write (CHOIR_STORE_SQLITE (store), task, choir_store_work_delete, stream, epoch, 0);

  if (request != NULL)
    request->number = expected;
}

static void
list_async (ChoirStore *store, const char *prefix, const char *after, guint limit, GTask *task)
{
  ChoirStoreRequest *request =
    new_read (CHOIR_STORE_SQLITE (store), task, choir_store_work_list, prefix, after);

  if (request != NULL)
    request->limit = limit;
}

static void
put_snapshot_async (ChoirStore *store,
                    const char *stream,
                    const ChoirSnapshot *snapshot,
                    guint64 replaces,
                    GTask *task)
{
  ChoirStoreRequest *request =
    new_write (CHOIR_STORE_SQLITE (store), task, choir_store_work_put_snapshot, stream, NULL,
               g_bytes_get_size (snapshot->data));

  if (request == NULL)
    return;

  request->snapshot = choir_snapshot_copy (snapshot, TRUE);
  request->number = replaces;
}

static void
list_snapshots_async (ChoirStore *store,
                      const char *stream,
                      guint64 before,
                      guint limit,
                      GTask *task)
{
  ChoirStoreRequest *request =
    new_read (CHOIR_STORE_SQLITE (store), task, choir_store_work_list_snapshots, stream, NULL);

  if (request == NULL)
    return;

  request->number = before;
  request->limit = limit;
}

static void
put_user_async (ChoirStore *store, const ChoirStoreUser *user, GTask *task)
{
  ChoirStoreRequest *request =
    new_write (CHOIR_STORE_SQLITE (store), task, choir_store_work_put_user, user->id, NULL, 0);

  if (request == NULL)
    return;

  request->user = choir_store_user_copy (user);
  if (user->created_us == 0)
    request->user->created_us = choir_clock_wall_us ();
}

static void
get_user_async (ChoirStore *store, const char *id, GTask *task)
{
  new_read (CHOIR_STORE_SQLITE (store), task, choir_store_work_get_user, id, NULL);
}

static void
list_users_async (ChoirStore *store, const char *after, guint limit, GTask *task)
{
  ChoirStoreRequest *request =
    new_read (CHOIR_STORE_SQLITE (store), task, choir_store_work_list_users, after, NULL);

  if (request != NULL)
    request->limit = limit;
}

static gboolean
is_writable (ChoirStore *store)
{
  return CHOIR_STORE_SQLITE (store)->writable;
}

/* From the threads */

static void
set_writable (ChoirStoreSqlite *self, gboolean writable, const char *reason)
{
  if (self->writable == writable)
    return;

  self->writable = writable;
  if (writable)
    choir_log (CHOIR_LOG_LEVEL_NOTICE, "the store can be written to again", NULL);
  else
    choir_log (CHOIR_LOG_LEVEL_ERROR, "the store can't be written to", CHOIR_LOG_ERROR, reason,
               NULL);
  g_object_notify (G_OBJECT (self), "writable");
}

static void
answer (ChoirStoreSqlite *self, ChoirStoreRequest *request)
{
  if (request->is_write)
    {
      self->n_writes--;
      self->n_write_bytes -= request->n_bytes;
    }
  else
    self->n_reads--;

  choir_store_request_finish (request);
}

static void
answer_closers (ChoirStoreSqlite *self)
{
  while (self->closers->len > 0)
    {
      g_autoptr (GTask) task = g_ptr_array_steal_index (self->closers, 0);

      g_task_return_boolean (task, TRUE);
    }
}

/* The reader goes first: the last connection of a process tidies up, and it must be able to write
 */
static void
thread_ended (ChoirStoreSqlite *self)
{
  if (self->reader != NULL)
    {
      g_clear_pointer (&self->reader, choir_store_reader_join);
      choir_store_queue_close (&self->writes.queue);
      return;
    }

  g_clear_pointer (&self->writer, choir_store_writer_join);
  choir_store_lock_release (&self->lock);
  answer_closers (self);
}

static void
take_news (ChoirStoreNews *news, gpointer user_data)
{
  g_autoptr (ChoirStoreSqlite) self = g_object_ref (user_data);
  ChoirStoreRequest *request;

  if (news->has_state)
    set_writable (self, news->writable, news->reason);

  while ((request = choir_store_requests_pop (&news->answered)) != NULL)
    answer (self, request);

  for (guint i = 0; i < news->n_ended; i++)
    thread_ended (self);
}

static void
close_async (ChoirStore *store, GTask *task)
{
  ChoirStoreSqlite *self = CHOIR_STORE_SQLITE (store);

  g_ptr_array_add (self->closers, task);
  if (self->writer == NULL)
    answer_closers (self);
  if (self->closing)
    return;

  self->closing = TRUE;
  flush (self);
  choir_store_queue_close (&self->reads.queue);
}

/* The object */

static void
choir_store_sqlite_iface_init (ChoirStoreInterface *iface)
{
  iface->append_async = append_async;
  iface->load_async = load_async;
  iface->read_async = read_async;
  iface->find_key_async = find_key_async;
  iface->trim_async = trim_async;
  iface->delete_async = delete_async;
  iface->list_async = list_async;
  iface->put_snapshot_async = put_snapshot_async;
  iface->list_snapshots_async = list_snapshots_async;
  iface->put_user_async = put_user_async;
  iface->get_user_async = get_user_async;
  iface->list_users_async = list_users_async;
  iface->close_async = close_async;
  iface->is_writable = is_writable;
}

static void
choir_store_sqlite_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  switch (id)
    {
    case PROP_WRITABLE:
      g_value_set_boolean (value, CHOIR_STORE_SQLITE (object)->writable);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

/* Without having been closed: nobody waits for anything, or there would be a reference */
static void
choir_store_sqlite_finalize (GObject *object)
{
  ChoirStoreSqlite *self = CHOIR_STORE_SQLITE (object);

  choir_store_queue_close (&self->reads.queue);
  g_clear_pointer (&self->reader, choir_store_reader_join);
  choir_store_queue_close (&self->writes.queue);
  g_clear_pointer (&self->writer, choir_store_writer_join);
  g_clear_pointer (&self->delivery, choir_store_delivery_free);
  choir_store_queue_clear (&self->reads.queue);
  choir_store_queue_clear (&self->writes.queue);
  choir_store_lock_release (&self->lock);
  g_ptr_array_unref (self->closers);

  G_OBJECT_CLASS (choir_store_sqlite_parent_class)->finalize (object);
}

static void
choir_store_sqlite_class_init (ChoirStoreSqliteClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->finalize = choir_store_sqlite_finalize;
  object_class->get_property = choir_store_sqlite_get_property;
  g_object_class_override_property (object_class, PROP_WRITABLE, "writable");
}

static void
choir_store_sqlite_init (ChoirStoreSqlite *self)
{
  self->lock.fd = -1;
  self->writable = TRUE;
  self->closers = g_ptr_array_new_with_free_func (g_object_unref);
  choir_store_queue_init (&self->writes.queue);
  choir_store_queue_init (&self->reads.queue);
  self->delivery = choir_store_delivery_new (flush, take_news, self);
}

static gboolean
start (ChoirStoreSqlite *self,
       const char *path,
       ChoirDurability durability,
       gboolean is_locked,
       GError **error)
{
  g_autoptr (sqlite3) writing = choir_store_file_open (path, durability, is_locked, error);
  g_autoptr (sqlite3) reading = NULL;

  if (writing == NULL)
    return FALSE;

  reading = choir_store_file_open_for_reading (path, error);
  if (reading == NULL)
    return FALSE;

  self->writer = choir_store_writer_start (g_steal_pointer (&writing), &self->writes.queue,
                                           self->delivery, error);
  if (self->writer == NULL)
    return FALSE;

  self->reader = choir_store_reader_start (g_steal_pointer (&reading), &self->reads.queue,
                                           self->delivery, error);

  return self->reader != NULL;
}

/**
 * choir_store_sqlite_open:
 * @path: the database; made if it is not there, and brought to this version
 * @durability: when something is stored
 * @error: return location: %CHOIR_ERROR_CONFIG if another process has it open, if it is not
 * Choir's, is of a newer version or damaged; %CHOIR_ERROR_UNAVAILABLE
 *
 * Reads the whole file once, to see whether it is sound. Requests handed in during one turn of the
 * loop are written together before the loop sleeps; so it has to be running for anything to happen.
 *
 * Returns: (transfer full): a store that nobody else can open this way
 */
ChoirStore *
choir_store_sqlite_open (const char *path, ChoirDurability durability, GError **error)
{
  g_autoptr (ChoirStoreSqlite) self = g_object_new (CHOIR_TYPE_STORE_SQLITE, NULL);

  if (!choir_store_lock_take (&self->lock, path, error) ||
      !start (self, path, durability, TRUE, error))
    return NULL;

  return CHOIR_STORE (g_steal_pointer (&self));
}

/**
 * choir_store_sqlite_open_beside:
 * @path: the database; made if it is not there
 * @error: return location: as with choir_store_sqlite_open(); also if a service of another version
 * has it open
 *
 * For another process than the service, which may or may not run.
 *
 * Returns: (transfer full): a store
 */
ChoirStore *
choir_store_sqlite_open_beside (const char *path, GError **error)
{
  g_autoptr (ChoirStoreSqlite) self = g_object_new (CHOIR_TYPE_STORE_SQLITE, NULL);
  gboolean held;

  if (!choir_store_lock_try (&self->lock, path, &held, error) ||
      !start (self, path, CHOIR_DURABILITY_FULL, held, error))
    return NULL;

  choir_store_lock_release (&self->lock);

  return CHOIR_STORE (g_steal_pointer (&self));
}
