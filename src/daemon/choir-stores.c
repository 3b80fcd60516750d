/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-stores.h"

#include "choir-error.h"
#include "choir-log.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_NAME "choir.db"

G_STATIC_ASSERT ((int) CHOIR_DURABILITY_FULL == 0 && (int) CHOIR_DURABILITY_NORMAL == 1);

static gboolean
refuse (GError **error, const char *message)
{
  g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, message);

  return FALSE;
}

/* systemd.exec(5): several directories have colons between them */
static char *
dup_state_directory (void)
{
  const char *given = g_getenv ("STATE_DIRECTORY");

  if (given != NULL && *given == '/')
    return g_strndup (given, strcspn (given, ":"));

  return g_build_filename (g_get_user_state_dir (), "choir", NULL);
}

static gboolean
check_backend (ChoirConfig *config, GError **error)
{
  if (choir_config_get_choice (config, "store", "backend") == CHOIR_BACKEND_REDIS)
    return refuse (error, "[store] backend=redis: this build keeps nothing in Redis; set "
                          "backend=sqlite or backend=memory");

  return TRUE;
}

/**
 * choir_stores_dup_path:
 * @config: the configuration
 * @error: return location: %CHOIR_ERROR_CONFIG if the backend has no file
 *
 * Returns: (transfer full): where the database is, or is to be
 */
char *
choir_stores_dup_path (ChoirConfig *config, GError **error)
{
  const char *path = choir_config_get_string (config, "store", "path");
  g_autofree char *directory = NULL;

  if (!check_backend (config, error))
    return NULL;

  if (choir_config_get_choice (config, "store", "backend") != CHOIR_BACKEND_SQLITE)
    {
      refuse (error,
              "[store] backend=memory: there is no database; what is in the service's memory "
              "ends with it");
      return NULL;
    }

  if (*path != '\0')
    return g_strdup (path);

  directory = dup_state_directory ();

  return g_build_filename (directory, FILE_NAME, NULL);
}

static gboolean
fail_file (const char *doing, const char *path, GError **error)
{
  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "[store] path: can't %s “%s”: %s", doing,
               path, g_strerror (errno));

  return FALSE;
}

static gboolean
make_directory (const char *path, GError **error)
{
  g_autofree char *directory = g_path_get_dirname (path);

  return g_mkdir_with_parents (directory, 0700) == 0 || fail_file ("make", directory, error);
}

static ChoirStore *
open_database (ChoirConfig *config, GError **error)
{
  g_autofree char *path = choir_stores_dup_path (config, error);

  if (path == NULL || !make_directory (path, error))
    return NULL;

  return choir_store_sqlite_open (
    path, (ChoirDurability) choir_config_get_choice (config, "store", "durability"), error);
}

/**
 * choir_stores_open:
 * @config: the configuration
 * @error: return location: %CHOIR_ERROR_CONFIG, %CHOIR_ERROR_UNAVAILABLE
 *
 * Makes the directory, and the database, if they are not there.
 *
 * Returns: (transfer full): the store
 */
ChoirStore *
choir_stores_open (ChoirConfig *config, GError **error)
{
  if (choir_config_get_choice (config, "store", "backend") != CHOIR_BACKEND_MEMORY)
    return open_database (config, error);

  return choir_store_memory_new (choir_config_get_size (config, "store", "memory-size"));
}

/**
 * choir_stores_open_beside:
 * @path: from choir_stores_dup_path()
 * @make: whether the database is made if it is not there
 * @error: return location: %CHOIR_ERROR_CONFIG, %CHOIR_ERROR_UNAVAILABLE
 *
 * Returns: (transfer full): the store that a service may have open
 */
ChoirStore *
choir_stores_open_beside (const char *path, gboolean make, GError **error)
{
  if (!make && !g_file_test (path, G_FILE_TEST_EXISTS))
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "There is no database “%s”", path);
      return NULL;
    }

  if (make && !make_directory (path, error))
    return NULL;

  return choir_store_sqlite_open_beside (path, error);
}

/* Whether it can be worked in, or made */
static gboolean
check_directory (const char *path, GError **error)
{
  g_autofree char *directory = g_path_get_dirname (path);

  while (!g_file_test (directory, G_FILE_TEST_EXISTS) && strcmp (directory, "/") != 0)
    {
      char *parent = g_path_get_dirname (directory);

      g_free (directory);
      directory = parent;
    }

  if (!g_file_test (directory, G_FILE_TEST_IS_DIR))
    {
      errno = ENOTDIR;
      return fail_file ("write to", directory, error);
    }

  return access (directory, W_OK | X_OK) == 0 || fail_file ("write to", directory, error);
}

static gboolean
check_file (const char *path, GError **error)
{
  if (!g_file_test (path, G_FILE_TEST_EXISTS))
    return TRUE;

  if (!g_file_test (path, G_FILE_TEST_IS_REGULAR))
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "[store] path: “%s” is not a file",
                   path);
      return FALSE;
    }

  return access (path, R_OK | W_OK) == 0 || fail_file ("write to", path, error);
}

/**
 * choir_stores_check:
 * @config: the configuration
 * @error: return location: %CHOIR_ERROR_CONFIG
 *
 * Neither makes nor opens anything: a service may be running.
 *
 * Returns: whether the store could be opened, as far as that can be seen
 */
gboolean
choir_stores_check (ChoirConfig *config, GError **error)
{
  g_autofree char *path = NULL;

  if (choir_config_get_choice (config, "store", "backend") == CHOIR_BACKEND_MEMORY)
    return TRUE;

  path = choir_stores_dup_path (config, error);

  return path != NULL && check_directory (path, error) && check_file (path, error);
}

typedef struct
{
  gboolean closed;
  gboolean too_late;
} Closing;

static void
closed_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  ((Closing *) user_data)->closed = TRUE;
  g_rc_box_release (user_data);
}

static gboolean
too_late_cb (gpointer user_data)
{
  ((Closing *) user_data)->too_late = TRUE;

  return G_SOURCE_REMOVE;
}

/**
 * choir_stores_close:
 * @store: a store
 * @timeout_us: how long to wait
 *
 * For the end of a process: the answer may come later than anybody waits for it.
 */
void
choir_stores_close (ChoirStore *store, gint64 timeout_us)
{
  Closing *closing = g_rc_box_new0 (Closing);
  guint timeout =
    g_timeout_add_full (G_PRIORITY_DEFAULT, (guint) (timeout_us / 1000), too_late_cb,
                        g_rc_box_acquire (closing), (GDestroyNotify) g_rc_box_release);

  choir_store_close_async (store, NULL, closed_cb, g_rc_box_acquire (closing));
  while (!closing->closed && !closing->too_late)
    g_main_context_iteration (NULL, TRUE);

  if (!closing->too_late)
    g_source_remove (timeout);
  if (!closing->closed)
    choir_log (CHOIR_LOG_LEVEL_WARNING, "the store is not closed in time", NULL);
  g_rc_box_release (closing);
}
