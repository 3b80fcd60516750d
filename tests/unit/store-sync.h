/* store-sync.h: a store's calls, waited for
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Each asserts that it does not call back before it returns.
 */

#pragma once

#include "choir-store.h"

void store_save_result (GObject *source, GAsyncResult *result, gpointer user_data);
GAsyncResult *store_wait (GAsyncResult **result);

gboolean store_append (ChoirStore *store,
                       const char *stream,
                       guint64 expected,
                       const ChoirStoreEntry *entries,
                       guint n_entries,
                       ChoirAppended *out,
                       GError **error);
/* One entry; must be stored. Returns its offset */
guint64
store_append_text (ChoirStore *store, const char *stream, const char *key, const char *text);
/* @n entries "1", "2"... without keys, in one append */
void store_append_numbers (ChoirStore *store, const char *stream, guint n);

ChoirStreamPart *
store_load (ChoirStore *store, const char *stream, guint64 at_most, GError **error);
ChoirStreamPart *store_read (ChoirStore *store,
                             const char *stream,
                             guint64 after,
                             guint limit,
                             gboolean reverse,
                             GError **error);
guint64 store_find_key (ChoirStore *store, const char *stream, const char *key);
gboolean store_trim (ChoirStore *store, const char *stream, guint64 before, GError **error);
gboolean store_delete (ChoirStore *store, const char *stream, GError **error);
GPtrArray *store_list (ChoirStore *store, const char *prefix, const char *after, guint limit);
gboolean store_put_snapshot (ChoirStore *store,
                             const char *stream,
                             guint64 offset,
                             const char *label,
                             const char *text,
                             guint64 replaces,
                             GError **error);
GPtrArray *
store_list_snapshots (ChoirStore *store, const char *stream, guint64 before, guint limit);
gboolean store_put_user (ChoirStore *store,
                         const char *id,
                         const char *name,
                         gboolean active,
                         GError **error);
ChoirStoreUser *store_get_user (ChoirStore *store, const char *id, GError **error);
GPtrArray *store_list_users (ChoirStore *store, const char *after, guint limit);
gboolean store_close (ChoirStore *store, GError **error);

/* Runs the loop until it is as wanted */
void store_wait_writable (ChoirStore *store, gboolean writable);

/* Removes a directory and the files in it */
void store_remove_directory (const char *path);
