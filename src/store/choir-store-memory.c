/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-store-memory-stream.h"

#include "choir-clock.h"
#include "choir-error.h"

#include <string.h>

struct _ChoirStoreMemory
{
  GObject parent_instance;

  GTree *streams; /* (element-type utf8 ChoirMemoryStream) (owned) */
  GTree *users;   /* (element-type utf8 ChoirStoreUser) (owned) */
  gsize max_bytes;
  gsize n_bytes;
  gboolean failing;  /* what a test wants */
  gboolean writable; /* what has been noticed of it */
  gboolean closed;
};

enum
{
  PROP_WRITABLE = 1
};

static void choir_store_memory_iface_init (ChoirStoreInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (ChoirStoreMemory,
                               choir_store_memory,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (CHOIR_TYPE_STORE,
                                                      choir_store_memory_iface_init))

static gboolean
refuse (GTask *task, const char *message)
{
  g_task_return_new_error (task, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE, "%s", message);
  g_object_unref (task);

  return FALSE;
}

static gboolean
notify_writable_cb (gpointer user_data)
{
  g_object_notify (user_data, "writable");

  return G_SOURCE_REMOVE;
}

/* Before the callback of the task that comes next: both are idle sources of one priority */
static void
set_writable (ChoirStoreMemory *self, gboolean writable)
{
  g_autoptr (GSource) source = NULL;

  if (self->writable == writable)
    return;

  self->writable = writable;
  source = g_idle_source_new ();
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, notify_writable_cb, g_object_ref (self), g_object_unref);
  g_source_attach (source, g_main_context_get_thread_default ());
}

static gboolean
check_open (ChoirStoreMemory *self, GTask *task)
{
  return !self->closed || refuse (task, "The store is closed");
}

/* Takes @task if it returns FALSE */
static gboolean
check_write (ChoirStoreMemory *self, gsize size, GTask *task)
{
  if (!check_open (self, task))
    return FALSE;

  if (self->failing)
    {
      set_writable (self, FALSE);
      return refuse (task, "The store can't be written to");
    }

  if (size > self->max_bytes || self->n_bytes > self->max_bytes - size)
    return refuse (task, "The store is full");

  return TRUE;
}

static void
return_pointer (GTask *task, gpointer result, GDestroyNotify destroy)
{
  g_task_return_pointer (task, result, destroy);
  g_object_unref (task);
}

static void
return_error (GTask *task, GError *error)
{
  g_task_return_error (task, error);
  g_object_unref (task);
}

static void
return_true (GTask *task)
{
  g_task_return_boolean (task, TRUE);
  g_object_unref (task);
}

/* Streams */

static ChoirMemoryStream *
ensure_stream (ChoirStoreMemory *self, const char *name)
{
  ChoirMemoryStream *stream = g_tree_lookup (self->streams, name);

  if (stream != NULL)
    return stream;

  stream = choir_memory_stream_new (name);
  g_tree_insert (self->streams, stream->name, stream);
  self->n_bytes += stream->n_bytes;

  return stream;
}

/* NULL, and @task is done with, if there is none */
static ChoirMemoryStream *
require_stream (ChoirStoreMemory *self, const char *name, GTask *task)
{
  ChoirMemoryStream *stream = g_tree_lookup (self->streams, name);
  GError *error = NULL;

  if (stream == NULL && !choir_store_refuse_unknown ("stream", &error))
    return_error (task, error);

  return stream;
}

static void
append_all (ChoirStoreMemory *self,
            const char *name,
            const char *epoch,
            const ChoirStoreEntry *entries,
            guint n_entries,
            ChoirAppended *appended)
{
  gboolean is_new = g_tree_lookup (self->streams, name) == NULL;
  ChoirMemoryStream *stream = ensure_stream (self, name);

  if (is_new && epoch != NULL)
    g_strlcpy (stream->epoch, epoch, sizeof stream->epoch);

  self->n_bytes -= stream->n_bytes;
  for (guint i = 0; i < n_entries; i++)
    choir_memory_stream_append (stream, &entries[i]);
  self->n_bytes += stream->n_bytes;
  appended->offset = stream->head;
}

static void
append_async (ChoirStore *store,
              const char *name,
              const char *epoch,
              guint64 expected,
              const ChoirStoreEntry *entries,
              guint n_entries,
              GTask *task)
{
  ChoirStoreMemory *self = CHOIR_STORE_MEMORY (store);
  const ChoirMemoryStream *stream = g_tree_lookup (self->streams, name);
  ChoirAppended *appended;
  gsize size = CHOIR_MEMORY_OVERHEAD;

  for (guint i = 0; i < n_entries; i++)
    size += choir_memory_stream_size_of_entry (&entries[i]);
  if (!check_write (self, size, task))
    return;

  appended = g_new0 (ChoirAppended, 1);
  appended->offset = stream != NULL ? stream->head : 0;
  if (!choir_store_is_end (epoch, expected, stream != NULL ? stream->epoch : NULL,
                           appended->offset))
    appended->status = CHOIR_APPEND_CONFLICT;
  else if (stream == NULL ||
           !choir_memory_stream_find_duplicate (stream, entries, n_entries, appended))
    append_all (self, name, epoch, entries, n_entries, appended);

  stream = g_tree_lookup (self->streams, name);
  if (stream != NULL)
    memcpy (appended->epoch, stream->epoch, sizeof appended->epoch);
  return_pointer (task, appended, g_free);
}

static void
load_async (ChoirStore *store, const char *name, guint64 at_most, GTask *task)
{
  ChoirStoreMemory *self = CHOIR_STORE_MEMORY (store);
  const ChoirMemoryStream *stream = g_tree_lookup (self->streams, name);
  g_auto (ChoirPartBuilder) builder = { 0 };

  if (!check_open (self, task))
    return;

  choir_part_builder_init (&builder, CHOIR_STORE_PART_MAX);
  if (stream != NULL)
    choir_memory_stream_load (stream, at_most, &builder);
  return_pointer (task, choir_part_builder_steal (&builder),
                  (GDestroyNotify) choir_stream_part_free);
}

static void
read_async (ChoirStore *store,
            const char *name,
            guint64 after,
            guint limit,
            gboolean reverse,
            GTask *task)
{
  ChoirStoreMemory *self = CHOIR_STORE_MEMORY (store);
  const ChoirMemoryStream *stream = g_tree_lookup (self->streams, name);
  g_auto (ChoirPartBuilder) builder = { 0 };

  if (!check_open (self, task))
    return;

  choir_part_builder_init (&builder, limit);
  if (stream != NULL)
    choir_memory_stream_read (stream, after, reverse, &builder);
  return_pointer (task, choir_part_builder_steal (&builder),
                  (GDestroyNotify) choir_stream_part_free);
}

static void
find_key_async (ChoirStore *store, const char *name, const char *key, GTask *task)
{
  ChoirStoreMemory *self = CHOIR_STORE_MEMORY (store);
  const ChoirMemoryStream *stream = g_tree_lookup (self->streams, name);
  const ChoirStoreEntry *entry = stream != NULL ? g_hash_table_lookup (stream->keys, key) : NULL;
  guint64 *offset;

  if (!check_open (self, task))
    return;

  offset = g_new (guint64, 1);
  *offset = entry != NULL ? entry->offset : 0;
  return_pointer (task, offset, g_free);
}

static void
trim_async (ChoirStore *store, const char *name, guint64 before, GTask *task)
{
  ChoirStoreMemory *self = CHOIR_STORE_MEMORY (store);
  ChoirMemoryStream *stream;

  if (!check_write (self, 0, task))
    return;

  stream = require_stream (self, name, task);
  if (stream == NULL)
    return;

  self->n_bytes -= stream->n_bytes;
  choir_memory_stream_trim (stream, before);
  self->n_bytes += stream->n_bytes;
  return_true (task);
}

static void
delete_async (ChoirStore *store, const char *name, const char *epoch, guint64 expected, GTask *task)
{
  ChoirStoreMemory *self = CHOIR_STORE_MEMORY (store);
  ChoirMemoryStream *stream;
  GError *error = NULL;

  if (!check_write (self, 0, task))
    return;

  stream = require_stream (self, name, task);
  if (stream == NULL)
    return;

  if (!choir_store_is_end (epoch, expected, stream->epoch, stream->head) &&
      !choir_store_refuse_end (&error))
    {
      return_error (task, error);
      return;
    }

  self->n_bytes -= stream->n_bytes;
  g_tree_remove (self->streams, name);
  return_true (task);
}

static GTreeNode *
lower_bound (GTree *tree, const char *prefix, const char *after)
{
  return strcmp (prefix, after) > 0 ? g_tree_lower_bound (tree, prefix)
                                    : g_tree_upper_bound (tree, after);
}

static void
list_async (ChoirStore *store, const char *prefix, const char *after, guint limit, GTask *task)
{
  ChoirStoreMemory *self = CHOIR_STORE_MEMORY (store);
  GPtrArray *infos;

  if (!check_open (self, task))
    return;

  infos = g_ptr_array_new_with_free_func ((GDestroyNotify) choir_stream_info_free);
  for (GTreeNode *node = lower_bound (self->streams, prefix, after);
       node != NULL && infos->len < limit; node = g_tree_node_next (node))
    {
      const ChoirMemoryStream *stream = g_tree_node_value (node);
      ChoirStreamInfo *info;

      if (!g_str_has_prefix (stream->name, prefix))
        break;

      info = g_new0 (ChoirStreamInfo, 1);
      info->name = g_strdup (stream->name);
      memcpy (info->epoch, stream->epoch, sizeof info->epoch);
      info->head = stream->head;
      info->changed_us = stream->changed_us;
      g_ptr_array_add (infos, info);
    }

  return_pointer (task, infos, (GDestroyNotify) g_ptr_array_unref);
}

/* Snapshots */

static void
put_snapshot_async (ChoirStore *store,
                    const char *name,
                    const ChoirSnapshot *snapshot,
                    guint64 replaces,
                    GTask *task)
{
  ChoirStoreMemory *self = CHOIR_STORE_MEMORY (store);
  ChoirMemoryStream *stream;
  GError *error = NULL;

  if (!check_write (self, CHOIR_MEMORY_OVERHEAD + choir_memory_stream_size_of_snapshot (snapshot),
                    task))
    return;

  stream = snapshot->offset == 0 ? ensure_stream (self, name) : require_stream (self, name, task);
  if (stream == NULL)
    return;

  self->n_bytes -= stream->n_bytes;
  choir_memory_stream_put_snapshot (stream, snapshot, replaces, &error);
  self->n_bytes += stream->n_bytes;

  if (error != NULL)
    return_error (task, error);
  else
    return_true (task);
}

static void
list_snapshots_async (ChoirStore *store, const char *name, guint64 before, guint limit, GTask *task)
{
  ChoirStoreMemory *self = CHOIR_STORE_MEMORY (store);
  const ChoirMemoryStream *stream = g_tree_lookup (self->streams, name);

  if (!check_open (self, task))
    return;

  return_pointer (task,
                  stream != NULL ? choir_memory_stream_list_snapshots (stream, before, limit)
                                 : g_ptr_array_new (),
                  (GDestroyNotify) g_ptr_array_unref);
}

/* Users */

static gsize
user_size (const ChoirStoreUser *user)
{
  return CHOIR_MEMORY_OVERHEAD + strlen (user->id) + (user->name != NULL ? strlen (user->name) : 0);
}

static void
put_user_async (ChoirStore *store, const ChoirStoreUser *user, GTask *task)
{
  ChoirStoreMemory *self = CHOIR_STORE_MEMORY (store);
  const ChoirStoreUser *old = g_tree_lookup (self->users, user->id);
  ChoirStoreUser *copy;

  if (!check_write (self, user_size (user), task))
    return;

  copy = choir_store_user_copy (user);
  if (old != NULL)
    {
      copy->created_us = old->created_us;
      self->n_bytes -= user_size (old);
    }
  else if (copy->created_us == 0)
    copy->created_us = choir_clock_wall_us ();

  self->n_bytes += user_size (copy);
  g_tree_replace (self->users, copy->id, copy);
  return_true (task);
}

static void
get_user_async (ChoirStore *store, const char *id, GTask *task)
{
  ChoirStoreMemory *self = CHOIR_STORE_MEMORY (store);
  const ChoirStoreUser *user = g_tree_lookup (self->users, id);
  GError *error = NULL;

  if (!check_open (self, task))
    return;

  if (user == NULL && !choir_store_refuse_unknown ("user", &error))
    return_error (task, error);
  else
    return_pointer (task, choir_store_user_copy (user), (GDestroyNotify) choir_store_user_free);
}

static void
list_users_async (ChoirStore *store, const char *after, guint limit, GTask *task)
{
  ChoirStoreMemory *self = CHOIR_STORE_MEMORY (store);
  GPtrArray *users;

  if (!check_open (self, task))
    return;

  users = g_ptr_array_new_with_free_func ((GDestroyNotify) choir_store_user_free);
  for (GTreeNode *node = g_tree_upper_bound (self->users, after);
       node != NULL && users->len < limit; node = g_tree_node_next (node))
    g_ptr_array_add (users, choir_store_user_copy (g_tree_node_value (node)));

  return_pointer (task, users, (GDestroyNotify) g_ptr_array_unref);
}

static void
close_async (ChoirStore *store, GTask *task)
{
  CHOIR_STORE_MEMORY (store)->closed = TRUE;
  return_true (task);
}

static gboolean
is_writable (ChoirStore *store)
{
  return CHOIR_STORE_MEMORY (store)->writable;
}

static void
choir_store_memory_iface_init (ChoirStoreInterface *iface)
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
choir_store_memory_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  switch (id)
    {
    case PROP_WRITABLE:
      g_value_set_boolean (value, CHOIR_STORE_MEMORY (object)->writable);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
choir_store_memory_finalize (GObject *object)
{
  ChoirStoreMemory *self = CHOIR_STORE_MEMORY (object);

  g_tree_unref (self->streams);
  g_tree_unref (self->users);

  G_OBJECT_CLASS (choir_store_memory_parent_class)->finalize (object);
}

static void
choir_store_memory_class_init (ChoirStoreMemoryClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->finalize = choir_store_memory_finalize;
  object_class->get_property = choir_store_memory_get_property;
  g_object_class_override_property (object_class, PROP_WRITABLE, "writable");
}

static int
compare_names (gconstpointer a, gconstpointer b, gpointer user_data)
{
  return strcmp (a, b);
}

static void
choir_store_memory_init (ChoirStoreMemory *self)
{
  self->streams = g_tree_new_full (compare_names, NULL, NULL, choir_memory_stream_free);
  self->users = g_tree_new_full (compare_names, NULL, NULL, (GDestroyNotify) choir_store_user_free);
  self->writable = TRUE;
}

/**
 * choir_store_memory_new:
 * @max_bytes: what streams and users may take; what would be more is refused with
 * %CHOIR_ERROR_UNAVAILABLE
 *
 * Returns: (transfer full): an empty store
 */
ChoirStore *
choir_store_memory_new (gsize max_bytes)
{
  ChoirStoreMemory *self = g_object_new (CHOIR_TYPE_STORE_MEMORY, NULL);

  self->max_bytes = max_bytes;

  return CHOIR_STORE (self);
}

/**
 * choir_store_memory_set_failing:
 * @self: a store
 * @failing: whether writes fail from now on
 *
 * As with a disk, the first that fails makes the store not writable; it is so again at once when
 * this is set back.
 */
void
choir_store_memory_set_failing (ChoirStoreMemory *self, gboolean failing)
{
  self->failing = failing;
  if (!failing)
    set_writable (self, TRUE);
}
