/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-directory-store.h"

#include "choir-error.h"
#include "choir-log.h"
#include "choir-names.h"

struct _ChoirDirectoryStore
{
  GObject parent_instance;

  ChoirStore *store;           /* (owned) */
  ChoirDirectoryMemory *known; /* (owned) */
};

static void choir_directory_store_iface_init (ChoirDirectoryInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (ChoirDirectoryStore,
                               choir_directory_store,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (CHOIR_TYPE_DIRECTORY,
                                                      choir_directory_store_iface_init))

static void
conclude (GTask *task, gboolean active)
{
  if (active)
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_new_error (task, CHOIR_ERROR, CHOIR_ERROR_AUTH, "Unknown or inactive user");
}

/* What the store says of itself is for the log, not for whoever wants in */
static void
fail (GTask *task, const GError *error)
{
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    {
      g_task_return_error (task, g_error_copy (error));
      return;
    }

  choir_log (CHOIR_LOG_LEVEL_WARNING, "the users can't be read", CHOIR_LOG_ERROR, error->message,
             NULL);
  g_task_return_new_error (task, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE,
                           "The users can't be read at the moment");
}

static void
got_user_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirStoreUser) user =
    choir_store_get_user_finish (CHOIR_STORE (source), result, &error);

  if (user != NULL)
    conclude (task, user->active);
  else if (g_error_matches (error, CHOIR_ERROR, CHOIR_ERROR_NOT_FOUND) ||
           g_error_matches (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION))
    conclude (task, FALSE);
  else
    fail (task, error);
}

static void
store_check_async (ChoirDirectory *directory,
                   const char *user_id,
                   GCancellable *cancellable,
                   GAsyncReadyCallback callback,
                   gpointer user_data)
{
  ChoirDirectoryStore *self = CHOIR_DIRECTORY_STORE (directory);
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);
  gboolean active;

  g_task_set_source_tag (task, store_check_async);

  if (choir_directory_memory_lookup (self->known, user_id, &active))
    conclude (task, active);
  else
    choir_store_get_user_async (self->store, user_id, cancellable, got_user_cb,
                                g_steal_pointer (&task));
}

static gboolean
store_check_finish (ChoirDirectory *directory, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, directory), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

static void
choir_directory_store_iface_init (ChoirDirectoryInterface *iface)
{
  iface->check_async = store_check_async;
  iface->check_finish = store_check_finish;
}

static void
choir_directory_store_finalize (GObject *object)
{
  ChoirDirectoryStore *self = CHOIR_DIRECTORY_STORE (object);

  g_object_unref (self->store);
  g_object_unref (self->known);

  G_OBJECT_CLASS (choir_directory_store_parent_class)->finalize (object);
}

static void
choir_directory_store_class_init (ChoirDirectoryStoreClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = choir_directory_store_finalize;
}

static void
choir_directory_store_init (ChoirDirectoryStore *self)
{
}

/**
 * choir_directory_store_new:
 * @store: has the users
 * @known: has others; what it says comes first
 *
 * Returns: (transfer full): a directory
 */
ChoirDirectory *
choir_directory_store_new (ChoirStore *store, ChoirDirectoryMemory *known)
{
  ChoirDirectoryStore *self = g_object_new (CHOIR_TYPE_DIRECTORY_STORE, NULL);

  self->store = g_object_ref (store);
  self->known = g_object_ref (known);

  return CHOIR_DIRECTORY (self);
}
