/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "store-sync.h"

#include <glib/gstdio.h>
#include <string.h>

#define WALL_US G_GINT64_CONSTANT (1700000000000000)

void
store_save_result (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GAsyncResult **out = user_data;

  g_assert_null (*out);
  *out = g_object_ref (result);
}

/* Returns: (transfer full) */
GAsyncResult *
store_wait (GAsyncResult **result)
{
  g_assert_null (*result);
  while (*result == NULL)
    g_main_context_iteration (NULL, TRUE);

  return g_steal_pointer (result);
}

gboolean
store_append (ChoirStore *store,
              const char *stream,
              guint64 expected,
              const ChoirStoreEntry *entries,
              guint n_entries,
              ChoirAppended *out,
              GError **error)
{
  GAsyncResult *saved = NULL;
  g_autoptr (GAsyncResult) result = NULL;
  ChoirAppended appended;

  choir_store_append_async (store, stream, expected, entries, n_entries, NULL, store_save_result,
                            &saved);
  result = store_wait (&saved);

  return choir_store_append_finish (store, result, out != NULL ? out : &appended, error);
}

guint64
store_append_text (ChoirStore *store, const char *stream, const char *key, const char *text)
{
  ChoirStoreEntry entry = { .wall_us = WALL_US, .key = key, .data = text, .len = strlen (text) };
  g_autoptr (GError) error = NULL;
  ChoirAppended appended;

  store_append (store, stream, CHOIR_STORE_ANY_OFFSET, &entry, 1, &appended, &error);
  g_assert_no_error (error);
  g_assert_cmpint (appended.status, ==, CHOIR_APPEND_STORED);

  return appended.offset;
}

void
store_append_numbers (ChoirStore *store, const char *stream, guint n)
{
  g_autofree ChoirStoreEntry *entries = g_new0 (ChoirStoreEntry, n);
  g_autoptr (GPtrArray) texts = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  ChoirAppended appended;

  for (guint i = 0; i < n; i++)
    {
      g_ptr_array_add (texts, g_strdup_printf ("%u", i + 1));
      entries[i].wall_us = WALL_US + i;
      entries[i].data = g_ptr_array_index (texts, i);
      entries[i].len = strlen (entries[i].data);
    }

  store_append (store, stream, CHOIR_STORE_ANY_OFFSET, entries, n, &appended, &error);
  g_assert_no_error (error);
  g_assert_cmpint (appended.status, ==, CHOIR_APPEND_STORED);
}

ChoirStreamPart *
store_load (ChoirStore *store, const char *stream, guint64 at_most, GError **error)
{
  GAsyncResult *saved = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  choir_store_load_async (store, stream, at_most, NULL, store_save_result, &saved);
  result = store_wait (&saved);

  return choir_store_load_finish (store, result, error);
}

ChoirStreamPart *
store_read (ChoirStore *store,
            const char *stream,
            guint64 after,
            guint limit,
            gboolean reverse,
            GError **error)
{
  GAsyncResult *saved = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  choir_store_read_async (store, stream, after, limit, reverse, NULL, store_save_result, &saved);
  result = store_wait (&saved);

  return choir_store_read_finish (store, result, error);
}

guint64
store_find_key (ChoirStore *store, const char *stream, const char *key)
{
  GAsyncResult *saved = NULL;
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  guint64 offset = 0;

  choir_store_find_key_async (store, stream, key, NULL, store_save_result, &saved);
  result = store_wait (&saved);
  choir_store_find_key_finish (store, result, &offset, &error);
  g_assert_no_error (error);

  return offset;
}

gboolean
store_trim (ChoirStore *store, const char *stream, guint64 before, GError **error)
{
  GAsyncResult *saved = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  choir_store_trim_async (store, stream, before, NULL, store_save_result, &saved);
  result = store_wait (&saved);

  return choir_store_trim_finish (store, result, error);
}

gboolean
store_delete (ChoirStore *store, const char *stream, GError **error)
{
  GAsyncResult *saved = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  choir_store_delete_async (store, stream, NULL, CHOIR_STORE_ANY_OFFSET, NULL, store_save_result,
                            &saved);
  result = store_wait (&saved);

  return choir_store_delete_finish (store, result, error);
}

GPtrArray *
store_list (ChoirStore *store, const char *prefix, const char *after, guint limit)
{
  GAsyncResult *saved = NULL;
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  GPtrArray *list;

  choir_store_list_async (store, prefix, after, limit, NULL, store_save_result, &saved);
  result = store_wait (&saved);
  list = choir_store_list_finish (store, result, &error);
  g_assert_no_error (error);

  return list;
}

gboolean
store_put_snapshot (ChoirStore *store,
                    const char *stream,
                    guint64 offset,
                    const char *label,
                    const char *text,
                    guint64 replaces,
                    GError **error)
{
  g_autoptr (GBytes) data = g_bytes_new (text, strlen (text));
  const ChoirSnapshot snapshot = { .offset = offset,
                                   .wall_us = WALL_US,
                                   .label = (char *) label,
                                   .user_id = (char *) "alice",
                                   .data = data };
  GAsyncResult *saved = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  choir_store_put_snapshot_async (store, stream, &snapshot, replaces, NULL, store_save_result,
                                  &saved);
  result = store_wait (&saved);

  return choir_store_put_snapshot_finish (store, result, error);
}

GPtrArray *
store_list_snapshots (ChoirStore *store, const char *stream, guint64 before, guint limit)
{
  GAsyncResult *saved = NULL;
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  GPtrArray *list;

  choir_store_list_snapshots_async (store, stream, before, limit, NULL, store_save_result, &saved);
  result = store_wait (&saved);
  list = choir_store_list_snapshots_finish (store, result, &error);
  g_assert_no_error (error);

  return list;
}

gboolean
store_put_user (ChoirStore *store,
                const char *id,
                const char *name,
                gboolean active,
                GError **error)
{
  const ChoirStoreUser user = { .id = (char *) id, .name = (char *) name, .active = active };
  GAsyncResult *saved = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  choir_store_put_user_async (store, &user, NULL, store_save_result, &saved);
  result = store_wait (&saved);

  return choir_store_put_user_finish (store, result, error);
}

ChoirStoreUser *
store_get_user (ChoirStore *store, const char *id, GError **error)
{
  GAsyncResult *saved = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  choir_store_get_user_async (store, id, NULL, store_save_result, &saved);
  result = store_wait (&saved);

  return choir_store_get_user_finish (store, result, error);
}

GPtrArray *
store_list_users (ChoirStore *store, const char *after, guint limit)
{
  GAsyncResult *saved = NULL;
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  GPtrArray *list;

  choir_store_list_users_async (store, after, limit, NULL, store_save_result, &saved);
  result = store_wait (&saved);
  list = choir_store_list_users_finish (store, result, &error);
  g_assert_no_error (error);

  return list;
}

gboolean
store_close (ChoirStore *store, GError **error)
{
  GAsyncResult *saved = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  choir_store_close_async (store, NULL, store_save_result, &saved);
  result = store_wait (&saved);

  return choir_store_close_finish (store, result, error);
}

void
store_wait_writable (ChoirStore *store, gboolean writable)
{
  while (choir_store_is_writable (store) != writable)
    g_main_context_iteration (NULL, TRUE);
}

void
store_remove_directory (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *file = g_build_filename (path, name, NULL);

      g_assert_cmpint (g_unlink (file), ==, 0);
    }
  g_assert_cmpint (g_rmdir (path), ==, 0);
}
