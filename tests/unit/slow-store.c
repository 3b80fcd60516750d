/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "slow-store.h"

#include "choir-error.h"

/* What was read or listed, until it is answered */
typedef struct
{
  gpointer result; /* (owned) (nullable) */
  GDestroyNotify destroy;
} ReadData;

struct _SlowStore
{
  GObject parent_instance;

  ChoirStore *inner; /* (owned) */
  GQueue held;       /* (element-type GTask) (owned): reads and lists that wait */
  guint n_reads;
  gboolean holding;
  gboolean holding_lists;
  gboolean failing;
};

enum
{
  PROP_WRITABLE = 1
};

static void slow_store_iface_init (ChoirStoreInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (SlowStore,
                               slow_store,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (CHOIR_TYPE_STORE, slow_store_iface_init))

static void
slow_store_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  g_value_set_boolean (value, choir_store_is_writable (SLOW_STORE (object)->inner));
}

static void
slow_store_finalize (GObject *object)
{
  SlowStore *self = SLOW_STORE (object);

  g_assert_cmpuint (self->held.length, ==, 0);
  g_object_unref (self->inner);

  G_OBJECT_CLASS (slow_store_parent_class)->finalize (object);
}

static void
slow_store_class_init (SlowStoreClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->finalize = slow_store_finalize;
  object_class->get_property = slow_store_get_property;
  g_object_class_override_property (object_class, PROP_WRITABLE, "writable");
}

static void
slow_store_init (SlowStore *self)
{
  g_queue_init (&self->held);
}

SlowStore *
slow_store_new (void)
{
  return slow_store_new_around (choir_store_memory_new (64 * 1024 * 1024));
}

SlowStore *
slow_store_new_around (ChoirStore *inner)
{
  SlowStore *self = g_object_new (SLOW_TYPE_STORE, NULL);

  self->inner = inner;

  return self;
}

static void
read_data_free (gpointer data)
{
  ReadData *self = data;

  if (self->result != NULL)
    self->destroy (self->result);
  g_free (self);
}

/* A task may as well be ended by another object than the one it is of */
#define INNER(store) (SLOW_STORE (store)->inner)
#define IFACE(store) CHOIR_STORE_GET_IFACE (INNER (store))

static void
append_async (ChoirStore *store,
              const char *stream,
              const char *epoch,
              guint64 expected,
              const ChoirStoreEntry *entries,
              guint n_entries,
              GTask *task)
{
  IFACE (store)->append_async (INNER (store), stream, epoch, expected, entries, n_entries, task);
}

static void
find_key_async (ChoirStore *store, const char *stream, const char *key, GTask *task)
{
  IFACE (store)->find_key_async (INNER (store), stream, key, task);
}

static void
trim_async (ChoirStore *store, const char *stream, guint64 before, GTask *task)
{
  IFACE (store)->trim_async (INNER (store), stream, before, task);
}

static void
delete_async (ChoirStore *store,
              const char *stream,
              const char *epoch,
              guint64 expected,
              GTask *task)
{
  IFACE (store)->delete_async (INNER (store), stream, epoch, expected, task);
}

static gboolean
is_writable (ChoirStore *store)
{
  return choir_store_is_writable (INNER (store));
}

/* @task: (transfer full): has what it read */
static void
answer (SlowStore *self, GTask *task)
{
  ReadData *data = g_task_get_task_data (task);

  if (self->failing)
    g_task_return_new_error (task, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE, "/secret/path");
  else
    g_task_return_pointer (task, g_steal_pointer (&data->result), data->destroy);

  g_object_unref (task);
}

/* @result: (transfer full): what @task is answered with, now or later */
static void
take_result (GTask *task, gpointer result, gboolean holding)
{
  SlowStore *self = SLOW_STORE (g_task_get_source_object (task));
  ReadData *data = g_task_get_task_data (task);

  g_assert_nonnull (result);
  data->result = result;
  if (holding)
    g_queue_push_tail (&self->held, task);
  else
    answer (self, task);
}

static void
set_destroy (GTask *task, GDestroyNotify destroy)
{
  ReadData *data = g_new0 (ReadData, 1);

  data->destroy = destroy;
  g_task_set_task_data (task, data, read_data_free);
}

static void
read_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  SlowStore *self = SLOW_STORE (g_task_get_source_object (user_data));

  take_result (user_data, choir_store_read_finish (CHOIR_STORE (source), result, NULL),
               self->holding);
}

static void
read_async (ChoirStore *store,
            const char *stream,
            guint64 after,
            guint limit,
            gboolean reverse,
            GTask *task)
{
  SlowStore *self = SLOW_STORE (store);

  self->n_reads++;
  set_destroy (task, (GDestroyNotify) choir_stream_part_free);
  choir_store_read_async (self->inner, stream, after, limit, reverse, NULL, read_cb, task);
}

static void
listed_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  SlowStore *self = SLOW_STORE (g_task_get_source_object (user_data));

  take_result (user_data, choir_store_list_finish (CHOIR_STORE (source), result, NULL),
               self->holding_lists);
}

static void
list_async (ChoirStore *store, const char *prefix, const char *after, guint limit, GTask *task)
{
  set_destroy (task, (GDestroyNotify) g_ptr_array_unref);
  choir_store_list_async (INNER (store), prefix, after, limit, NULL, listed_cb, task);
}

static void
slow_store_iface_init (ChoirStoreInterface *iface)
{
  iface->append_async = append_async;
  iface->read_async = read_async;
  iface->find_key_async = find_key_async;
  iface->trim_async = trim_async;
  iface->delete_async = delete_async;
  iface->list_async = list_async;
  iface->is_writable = is_writable;
}

void
slow_store_hold (SlowStore *self)
{
  self->holding = TRUE;
}

void
slow_store_hold_lists (SlowStore *self)
{
  self->holding_lists = TRUE;
}

guint
slow_store_get_n_held (SlowStore *self)
{
  return self->held.length;
}

void
slow_store_release (SlowStore *self)
{
  for (guint n = self->held.length; n > 0; n--)
    answer (self, g_queue_pop_head (&self->held));
}

void
slow_store_release_all (SlowStore *self)
{
  self->holding = self->holding_lists = FALSE;
  slow_store_release (self);
}

void
slow_store_set_failing (SlowStore *self, gboolean failing)
{
  self->failing = failing;
}

guint
slow_store_get_n_reads (SlowStore *self)
{
  return self->n_reads;
}
