/* choir-directory.h: which users exist and may come in
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/**
 * ChoirDirectory:
 *
 * The users table, behind an interface: memory here, the store's in choir-directory-store.h. Asked
 * once per authentication, asynchronously, because a database may be behind it.
 */
#define CHOIR_TYPE_DIRECTORY (choir_directory_get_type ())
G_DECLARE_INTERFACE (ChoirDirectory, choir_directory, CHOIR, DIRECTORY, GObject)

struct _ChoirDirectoryInterface
{
  GTypeInterface parent_interface;

  void (*check_async) (ChoirDirectory *self,
                       const char *user_id,
                       GCancellable *cancellable,
                       GAsyncReadyCallback callback,
                       gpointer user_data);
  gboolean (*check_finish) (ChoirDirectory *self, GAsyncResult *result, GError **error);
};

void choir_directory_check_async (ChoirDirectory *self,
                                  const char *user_id,
                                  GCancellable *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer user_data);
gboolean choir_directory_check_finish (ChoirDirectory *self, GAsyncResult *result, GError **error);

#define CHOIR_TYPE_DIRECTORY_MEMORY (choir_directory_memory_get_type ())
G_DECLARE_FINAL_TYPE (ChoirDirectoryMemory,
                      choir_directory_memory,
                      CHOIR,
                      DIRECTORY_MEMORY,
                      GObject)

ChoirDirectoryMemory *choir_directory_memory_new (void);
void choir_directory_memory_set (ChoirDirectoryMemory *self, const char *user_id, gboolean active);
gboolean
choir_directory_memory_lookup (ChoirDirectoryMemory *self, const char *user_id, gboolean *active);
void choir_directory_memory_clear (ChoirDirectoryMemory *self);

G_END_DECLS
