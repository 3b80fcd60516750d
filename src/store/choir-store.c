/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-store-private.h"

#include "choir-error.h"

#include <string.h>

G_DEFINE_INTERFACE (ChoirStore, choir_store, G_TYPE_OBJECT)

static void
choir_store_default_init (ChoirStoreInterface *iface)
{
  /**
   * ChoirStore:writable:
   *
   * See choir_store_is_writable(). Notified in the main context.
   */
  g_object_interface_install_property (
    iface,
    g_param_spec_boolean ("writable", NULL, NULL, TRUE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
}

/* NULL if it has been cancelled already; its callback then says so */
static GTask *
begin (ChoirStore *self,
       gpointer tag,
       GCancellable *cancellable,
       GAsyncReadyCallback callback,
       gpointer user_data)
{
  GTask *task = g_task_new (self, cancellable, callback, user_data);

  (g_task_set_source_tag) (task, tag);
  if (!g_task_return_error_if_cancelled (task))
    return task;

  g_object_unref (task);

  return NULL;
}

static gboolean
refuse (GTask *task, const char *what, const char *problem)
{
  g_task_return_new_error (task, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, "%s %s", what, problem);

  return FALSE;
}

static gboolean
check_length (GTask *task, const char *what, const char *text)
{
  if (text != NULL && strnlen (text, CHOIR_STORE_NAME_MAX + 1) > CHOIR_STORE_NAME_MAX)
    return refuse (task, what, "is longer than 255 bytes");

  return TRUE;
}

static gboolean
check_name (GTask *task, const char *what, const char *text)
{
  if (*text == '\0')
    return refuse (task, what, "is empty");

  return check_length (task, what, text);
}

static gboolean
check_epoch (GTask *task, const char *epoch)
{
  return epoch == NULL || strlen (epoch) == CHOIR_EPOCH_SIZE - 1 ||
         refuse (task, "An epoch", "has 16 characters");
}

static gboolean
check_entry (GTask *task, const ChoirStoreEntry *entry)
{
  return check_length (task, "The type of an entry", entry->type) &&
         check_length (task, "The id of an entry", entry->id) &&
         check_length (task, "The user of an entry", entry->user_id) &&
         check_length (task, "The session of an entry", entry->session_id) &&
         (entry->key == NULL || check_name (task, "The key of an entry", entry->key));
}

static gboolean
check_keys (GTask *task, const ChoirStoreEntry *entries, guint n_entries)
{
  g_autoptr (GHashTable) keys = NULL;

  if (n_entries < 2)
    return TRUE;

  keys = g_hash_table_new (g_str_hash, g_str_equal);
  for (guint i = 0; i < n_entries; i++)
    if (entries[i].key != NULL && !g_hash_table_add (keys, (char *) entries[i].key))
      return refuse (task, "A key", "is in one append twice");

  return TRUE;
}

static gboolean
check_entries (GTask *task, const ChoirStoreEntry *entries, guint n_entries)
{
  gsize n_bytes = 0;

  if (n_entries == 0)
    return refuse (task, "An append", "has no entries");
  if (n_entries > CHOIR_STORE_APPEND_MAX)
    return refuse (task, "An append", "has more than 10000 entries");

  for (guint i = 0; i < n_entries; i++)
    {
      if (!check_entry (task, &entries[i]))
        return FALSE;
      if (entries[i].len > CHOIR_STORE_APPEND_BYTES_MAX - n_bytes)
        return refuse (task, "An append", "has more than 64 MiB of data");
      n_bytes += entries[i].len;
    }

  return check_keys (task, entries, n_entries);
}

/**
 * choir_store_append_async:
 * @self: a store
 * @stream: its name
 * @expected: the offset the stream must end with for this to happen, or %CHOIR_STORE_ANY_OFFSET; a
 * stream that does not exist ends with 0 and is created
 * @entries: (array length=n_entries): what follows; offsets are given by the store
 * @n_entries: 1 to %CHOIR_STORE_APPEND_MAX
 * @cancellable: (nullable): to stop waiting; whether it was stored is then unknown
 * @callback: called when it is stored, or is not
 * @user_data: data for @callback
 *
 * All entries are stored or none. Appends take effect in the order of their calls.
 */
void
choir_store_append_async (ChoirStore *self,
                          const char *stream,
                          guint64 expected,
                          const ChoirStoreEntry *entries,
                          guint n_entries,
                          GCancellable *cancellable,
                          GAsyncReadyCallback callback,
                          gpointer user_data)
{
  choir_store_append_epoch_async (self, stream, NULL, expected, entries, n_entries, cancellable,
                                  callback, user_data);
}

/**
 * choir_store_append_epoch_async:
 * @self: a store
 * @stream: its name
 * @epoch: (nullable): 16 characters: the life of the stream that is meant. One that has another is
 * in conflict, one that is created gets it; %NULL: whichever it has, and a new one for one that is
 * created
 * @expected: as for choir_store_append_async(), and so are the others
 * @entries: (array length=n_entries): what follows
 * @n_entries: 1 to %CHOIR_STORE_APPEND_MAX
 * @cancellable: (nullable): to stop waiting
 * @callback: called when it is stored, or is not; ends with choir_store_append_finish()
 * @user_data: data for @callback
 *
 * For whoever tells others the epoch before there is anything to store.
 */
void
choir_store_append_epoch_async (ChoirStore *self,
                                const char *stream,
                                const char *epoch,
                                guint64 expected,
                                const ChoirStoreEntry *entries,
                                guint n_entries,
                                GCancellable *cancellable,
                                GAsyncReadyCallback callback,
                                gpointer user_data)
{
  g_autoptr (GTask) task = begin (self, choir_store_append_async, cancellable, callback, user_data);

  if (task != NULL && check_name (task, "The name of a stream", stream) &&
      check_epoch (task, epoch) && check_entries (task, entries, n_entries))
    CHOIR_STORE_GET_IFACE (self)->append_async (self, stream, epoch, expected, entries, n_entries,
                                                g_steal_pointer (&task));
}

/**
 * choir_store_append_finish:
 * @self: a store
 * @result: what the callback was given
 * @out: (out): what became of it
 * @error: return location: %CHOIR_ERROR_UNAVAILABLE: it may have been stored all the same if the
 * machine fails as well; %CHOIR_ERROR_VALIDATION: beyond a limit
 *
 * Returns: %TRUE if there is an answer; whether it is that the entries are stored, @out says
 */
gboolean
choir_store_append_finish (ChoirStore *self,
                           GAsyncResult *result,
                           ChoirAppended *out,
                           GError **error)
{
  g_autofree ChoirAppended *appended = NULL;

  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  appended = g_task_propagate_pointer (G_TASK (result), error);
  if (appended == NULL)
    return FALSE;

  *out = *appended;

  return TRUE;
}

/**
 * choir_store_load_async:
 * @self: a store
 * @stream: its name
 * @at_most: the last offset that is wanted; %CHOIR_STORE_ANY_OFFSET: all
 * @cancellable: (nullable): to stop waiting
 * @callback: called with the answer
 * @user_data: data for @callback
 *
 * The newest snapshot at or before @at_most with its contents, and the entries after it. That there
 * is no such stream is an answer, not an error. If the snapshot's offset + 1 is before the part's
 * first, entries between have been forgotten.
 */
void
choir_store_load_async (ChoirStore *self,
                        const char *stream,
                        guint64 at_most,
                        GCancellable *cancellable,
                        GAsyncReadyCallback callback,
                        gpointer user_data)
{
  g_autoptr (GTask) task = begin (self, choir_store_load_async, cancellable, callback, user_data);

  if (task != NULL && check_name (task, "The name of a stream", stream))
    CHOIR_STORE_GET_IFACE (self)->load_async (self, stream, at_most, g_steal_pointer (&task));
}

/**
 * choir_store_load_finish:
 * @self: a store
 * @result: what the callback was given
 * @error: return location: %CHOIR_ERROR_UNAVAILABLE
 *
 * Returns: (transfer full): the part
 */
ChoirStreamPart *
choir_store_load_finish (ChoirStore *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

/**
 * choir_store_read_async:
 * @self: a store
 * @stream: its name
 * @after: the offset after which to begin; in @reverse the one before which
 * @limit: entries wanted at most
 * @reverse: from there towards the oldest
 * @cancellable: (nullable): to stop waiting
 * @callback: called with the answer
 * @user_data: data for @callback
 */
void
choir_store_read_async (ChoirStore *self,
                        const char *stream,
                        guint64 after,
                        guint limit,
                        gboolean reverse,
                        GCancellable *cancellable,
                        GAsyncReadyCallback callback,
                        gpointer user_data)
{
  g_autoptr (GTask) task = begin (self, choir_store_read_async, cancellable, callback, user_data);

  if (task != NULL && check_name (task, "The name of a stream", stream))
    CHOIR_STORE_GET_IFACE (self)->read_async (self, stream, after, limit, reverse,
                                              g_steal_pointer (&task));
}

/**
 * choir_store_read_finish:
 * @self: a store
 * @result: what the callback was given
 * @error: return location: %CHOIR_ERROR_UNAVAILABLE
 *
 * Returns: (transfer full): the part, without a snapshot
 */
ChoirStreamPart *
choir_store_read_finish (ChoirStore *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

void
choir_store_find_key_async (ChoirStore *self,
                            const char *stream,
                            const char *key,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  g_autoptr (GTask) task =
    begin (self, choir_store_find_key_async, cancellable, callback, user_data);

  if (task != NULL && check_name (task, "The name of a stream", stream) &&
      check_name (task, "A key", key))
    CHOIR_STORE_GET_IFACE (self)->find_key_async (self, stream, key, g_steal_pointer (&task));
}

/**
 * choir_store_find_key_finish:
 * @self: a store
 * @result: what the callback was given
 * @offset: (out): of the retained entry with the key; 0: there is none
 * @error: return location: %CHOIR_ERROR_UNAVAILABLE
 *
 * Returns: %TRUE if there is an answer
 */
gboolean
choir_store_find_key_finish (ChoirStore *self,
                             GAsyncResult *result,
                             guint64 *offset,
                             GError **error)
{
  g_autofree guint64 *found = NULL;

  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  found = g_task_propagate_pointer (G_TASK (result), error);
  if (found == NULL)
    return FALSE;

  *offset = *found;

  return TRUE;
}

void
choir_store_trim_async (ChoirStore *self,
                        const char *stream,
                        guint64 before,
                        GCancellable *cancellable,
                        GAsyncReadyCallback callback,
                        gpointer user_data)
{
  g_autoptr (GTask) task = begin (self, choir_store_trim_async, cancellable, callback, user_data);

  if (task != NULL && check_name (task, "The name of a stream", stream))
    CHOIR_STORE_GET_IFACE (self)->trim_async (self, stream, before, g_steal_pointer (&task));
}

gboolean
choir_store_trim_finish (ChoirStore *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

void
choir_store_delete_async (ChoirStore *self,
                          const char *stream,
                          const char *epoch,
                          guint64 expected,
                          GCancellable *cancellable,
                          GAsyncReadyCallback callback,
                          gpointer user_data)
{
  g_autoptr (GTask) task = begin (self, choir_store_delete_async, cancellable, callback, user_data);

  if (task != NULL && check_name (task, "The name of a stream", stream) &&
      check_epoch (task, epoch))
    CHOIR_STORE_GET_IFACE (self)->delete_async (self, stream, epoch, expected,
                                                g_steal_pointer (&task));
}

gboolean
choir_store_delete_finish (ChoirStore *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

void
choir_store_list_async (ChoirStore *self,
                        const char *prefix,
                        const char *after,
                        guint limit,
                        GCancellable *cancellable,
                        GAsyncReadyCallback callback,
                        gpointer user_data)
{
  g_autoptr (GTask) task = begin (self, choir_store_list_async, cancellable, callback, user_data);

  if (task != NULL && check_length (task, "A prefix", prefix) &&
      check_length (task, "The name of a stream", after))
    CHOIR_STORE_GET_IFACE (self)->list_async (
      self, prefix != NULL ? prefix : "", after != NULL ? after : "",
      MIN (limit, CHOIR_STORE_LIST_MAX), g_steal_pointer (&task));
}

GPtrArray *
choir_store_list_finish (ChoirStore *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

static gboolean
check_snapshot (GTask *task, const ChoirSnapshot *snapshot)
{
  if (snapshot->data == NULL)
    return refuse (task, "A snapshot", "has no contents");
  if (g_bytes_get_size (snapshot->data) > CHOIR_STORE_SNAPSHOT_BYTES_MAX)
    return refuse (task, "A snapshot", "is larger than 512 MiB");

  return check_length (task, "The user of a snapshot", snapshot->user_id) &&
         (snapshot->label == NULL || check_name (task, "The label of a snapshot", snapshot->label));
}

void
choir_store_put_snapshot_async (ChoirStore *self,
                                const char *stream,
                                const ChoirSnapshot *snapshot,
                                guint64 replaces,
                                GCancellable *cancellable,
                                GAsyncReadyCallback callback,
                                gpointer user_data)
{
  g_autoptr (GTask) task =
    begin (self, choir_store_put_snapshot_async, cancellable, callback, user_data);

  if (task != NULL && check_name (task, "The name of a stream", stream) &&
      check_snapshot (task, snapshot))
    CHOIR_STORE_GET_IFACE (self)->put_snapshot_async (self, stream, snapshot, replaces,
                                                      g_steal_pointer (&task));
}

gboolean
choir_store_put_snapshot_finish (ChoirStore *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

void
choir_store_list_snapshots_async (ChoirStore *self,
                                  const char *stream,
                                  guint64 before,
                                  guint limit,
                                  GCancellable *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer user_data)
{
  g_autoptr (GTask) task =
    begin (self, choir_store_list_snapshots_async, cancellable, callback, user_data);

  if (task != NULL && check_name (task, "The name of a stream", stream))
    CHOIR_STORE_GET_IFACE (self)->list_snapshots_async (
      self, stream, before, MIN (limit, CHOIR_STORE_LIST_MAX), g_steal_pointer (&task));
}

GPtrArray *
choir_store_list_snapshots_finish (ChoirStore *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

/**
 * choir_store_put_user_async:
 * @self: a store
 * @user: who is there from now on; replaces the one with that id
 * @cancellable: (nullable): to stop waiting
 * @callback: called when it is stored, or is not
 * @user_data: data for @callback
 */
void
choir_store_put_user_async (ChoirStore *self,
                            const ChoirStoreUser *user,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  g_autoptr (GTask) task =
    begin (self, choir_store_put_user_async, cancellable, callback, user_data);

  if (task != NULL && check_name (task, "The id of a user", user->id) &&
      check_length (task, "The name of a user", user->name))
    CHOIR_STORE_GET_IFACE (self)->put_user_async (self, user, g_steal_pointer (&task));
}

gboolean
choir_store_put_user_finish (ChoirStore *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

void
choir_store_get_user_async (ChoirStore *self,
                            const char *id,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  g_autoptr (GTask) task =
    begin (self, choir_store_get_user_async, cancellable, callback, user_data);

  if (task != NULL && check_name (task, "The id of a user", id))
    CHOIR_STORE_GET_IFACE (self)->get_user_async (self, id, g_steal_pointer (&task));
}

ChoirStoreUser *
choir_store_get_user_finish (ChoirStore *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

void
choir_store_list_users_async (ChoirStore *self,
                              const char *after,
                              guint limit,
                              GCancellable *cancellable,
                              GAsyncReadyCallback callback,
                              gpointer user_data)
{
  g_autoptr (GTask) task =
    begin (self, choir_store_list_users_async, cancellable, callback, user_data);

  if (task != NULL && check_length (task, "The id of a user", after))
    CHOIR_STORE_GET_IFACE (self)->list_users_async (
      self, after != NULL ? after : "", MIN (limit, CHOIR_STORE_LIST_MAX), g_steal_pointer (&task));
}

GPtrArray *
choir_store_list_users_finish (ChoirStore *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

/**
 * choir_store_close_async:
 * @self: a store
 * @cancellable: (nullable): to stop waiting; it is closed all the same
 * @callback: called when everything handed in before is stored or has failed
 * @user_data: data for @callback
 *
 * From this call on everything else is refused with %CHOIR_ERROR_UNAVAILABLE. A store that is
 * closed already is closed.
 */
void
choir_store_close_async (ChoirStore *self,
                         GCancellable *cancellable,
                         GAsyncReadyCallback callback,
                         gpointer user_data)
{
  GTask *task = g_task_new (self, cancellable, callback, user_data);

  g_task_set_source_tag (task, choir_store_close_async);
  CHOIR_STORE_GET_IFACE (self)->close_async (self, task);
}

gboolean
choir_store_close_finish (ChoirStore *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

gboolean
choir_store_is_writable (ChoirStore *self)
{
  return CHOIR_STORE_GET_IFACE (self)->is_writable (self);
}
