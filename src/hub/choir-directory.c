/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-directory.h"

#include "choir-error.h"

G_DEFINE_INTERFACE (ChoirDirectory, choir_directory, G_TYPE_OBJECT)

static void
choir_directory_default_init (ChoirDirectoryInterface *iface)
{
}

/**
 * choir_directory_check_async:
 * @self: a directory
 * @user_id: who wants in
 * @cancellable: (nullable): to stop waiting
 * @callback: called with the answer, never before this returns
 * @user_data: data for @callback
 */
void
choir_directory_check_async (ChoirDirectory *self,
                             const char *user_id,
                             GCancellable *cancellable,
                             GAsyncReadyCallback callback,
                             gpointer user_data)
{
  CHOIR_DIRECTORY_GET_IFACE (self)->check_async (self, user_id, cancellable, callback, user_data);
}

/**
 * choir_directory_check_finish:
 * @self: a directory
 * @result: what the callback was given
 * @error: return location: %CHOIR_ERROR_AUTH if the user is unknown or inactive (the client is told
 * no difference), %CHOIR_ERROR_UNAVAILABLE if the table can't be read
 *
 * Returns: %TRUE if the user exists and is active
 */
gboolean
choir_directory_check_finish (ChoirDirectory *self, GAsyncResult *result, GError **error)
{
  return CHOIR_DIRECTORY_GET_IFACE (self)->check_finish (self, result, error);
}

struct _ChoirDirectoryMemory
{
  GObject parent_instance;

  GHashTable *users; /* (element-type utf8 gboolean) (owned): whether active */
};

static void choir_directory_memory_iface_init (ChoirDirectoryInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (ChoirDirectoryMemory,
                               choir_directory_memory,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (CHOIR_TYPE_DIRECTORY,
                                                      choir_directory_memory_iface_init))

static void
memory_check_async (ChoirDirectory *directory,
                    const char *user_id,
                    GCancellable *cancellable,
                    GAsyncReadyCallback callback,
                    gpointer user_data)
{
  ChoirDirectoryMemory *self = CHOIR_DIRECTORY_MEMORY (directory);
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);

  g_task_set_source_tag (task, memory_check_async);

  if (GPOINTER_TO_INT (g_hash_table_lookup (self->users, user_id)))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_new_error (task, CHOIR_ERROR, CHOIR_ERROR_AUTH, "Unknown or inactive user");
}

static gboolean
memory_check_finish (ChoirDirectory *directory, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, directory), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

static void
choir_directory_memory_iface_init (ChoirDirectoryInterface *iface)
{
  iface->check_async = memory_check_async;
  iface->check_finish = memory_check_finish;
}

static void
choir_directory_memory_finalize (GObject *object)
{
  g_hash_table_unref (CHOIR_DIRECTORY_MEMORY (object)->users);

  G_OBJECT_CLASS (choir_directory_memory_parent_class)->finalize (object);
}

static void
choir_directory_memory_class_init (ChoirDirectoryMemoryClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = choir_directory_memory_finalize;
}

static void
choir_directory_memory_init (ChoirDirectoryMemory *self)
{
  self->users = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
}

ChoirDirectoryMemory *
choir_directory_memory_new (void)
{
  return g_object_new (CHOIR_TYPE_DIRECTORY_MEMORY, NULL);
}

/**
 * choir_directory_memory_set:
 * @self: a directory
 * @user_id: a user
 * @active: whether it may come in
 */
void
choir_directory_memory_set (ChoirDirectoryMemory *self, const char *user_id, gboolean active)
{
  g_hash_table_insert (self->users, g_strdup (user_id), GINT_TO_POINTER (active));
}

/**
 * choir_directory_memory_lookup:
 * @self: a directory
 * @user_id: a user
 * @active: (out): if known, whether it may come in
 *
 * Returns: whether it is known
 */
gboolean
choir_directory_memory_lookup (ChoirDirectoryMemory *self, const char *user_id, gboolean *active)
{
  gpointer found;

  if (!g_hash_table_lookup_extended (self->users, user_id, NULL, &found))
    return FALSE;

  *active = GPOINTER_TO_INT (found);

  return TRUE;
}

void
choir_directory_memory_clear (ChoirDirectoryMemory *self)
{
  g_hash_table_remove_all (self->users);
}
