/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-store.h"

#include "choir-error.h"
#include "choir-sqlite.h"
#include "choir-store-schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static gboolean
fail_file (const char *doing, const char *path, GError **error)
{
  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE, "Can't %s “%s”: %s", doing, path,
               g_strerror (errno));

  return FALSE;
}

static gboolean
create_new (const char *path, GError **error)
{
  int fd = open (path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

  if (fd < 0)
    return fail_file ("create", path, error);

  close (fd);

  return TRUE;
}

/* All of it in one go: a copy made in steps begins anew whenever another process writes. The
 * service writes on meanwhile, into its log */
static gboolean
copy_pages (sqlite3 *from, sqlite3 *to, GError **error)
{
  sqlite3_backup *backup = sqlite3_backup_init (to, "main", from, "main");

  if (backup == NULL)
    return choir_sqlite_fail (to, error);

  sqlite3_backup_step (backup, -1);

  return sqlite3_backup_finish (backup) == SQLITE_OK || choir_sqlite_fail (to, error);
}

/* One file is easier to carry than one with a log beside it */
static gboolean
finish_copy (sqlite3 *db, GError **error)
{
  g_autofree char *mode = choir_sqlite_dup_text (db, "PRAGMA journal_mode=DELETE", error);

  if (mode == NULL)
    return FALSE;

  if (choir_store_schema_check_integrity (db, error))
    return TRUE;

  g_prefix_error (error, "The copy is damaged: ");

  return FALSE;
}

static gboolean
copy_database (const char *path, const char *to, GError **error)
{
  g_autoptr (sqlite3) from = choir_sqlite_open (path, SQLITE_OPEN_READWRITE, error);
  g_autoptr (sqlite3) copy = NULL;

  if (from == NULL || !choir_store_schema_examine (from, error))
    {
      g_prefix_error (error, "The database “%s” can't be copied: ", path);
      return FALSE;
    }

  copy = choir_sqlite_open (to, SQLITE_OPEN_READWRITE, error);

  return copy != NULL && copy_pages (from, copy, error) && finish_copy (copy, error);
}

static gboolean
sync_path (const char *path, int flags, GError **error)
{
  int fd = open (path, flags | O_CLOEXEC);
  gboolean synced = fd >= 0 && fsync (fd) == 0;

  if (!synced)
    fail_file ("write", path, error);
  if (fd >= 0)
    close (fd);

  return synced;
}

/* Under its final name, which must not be taken */
static gboolean
put_in_place (const char *temporary, const char *to, GError **error)
{
  g_autofree char *directory = g_path_get_dirname (to);

  if (!sync_path (temporary, O_RDONLY, error))
    return FALSE;

  if (renameat2 (AT_FDCWD, temporary, AT_FDCWD, to, RENAME_NOREPLACE) < 0)
    return fail_file ("create", to, error);

  return sync_path (directory, O_RDONLY | O_DIRECTORY, error);
}

/**
 * choir_store_sqlite_backup:
 * @path: the database, which a service may have open
 * @to: the copy, which must not be there yet; beside it a file of that name with ".tmp" behind
 * @error: return location: %CHOIR_ERROR_CONFIG if @path is no database of Choir, or is damaged;
 * %CHOIR_ERROR_UNAVAILABLE
 *
 * The copy is the database as it was at one moment, checked, and on disk, when this returns; only
 * its owner may read it. Blocks for as long as that takes.
 *
 * Returns: whether there is a copy
 */
gboolean
choir_store_sqlite_backup (const char *path, const char *to, GError **error)
{
  g_autofree char *temporary = g_strconcat (to, ".tmp", NULL);

  if (g_file_test (to, G_FILE_TEST_EXISTS))
    {
      errno = EEXIST;
      return fail_file ("create", to, error);
    }

  if (!create_new (temporary, error))
    return FALSE;

  if (copy_database (path, temporary, error) && put_in_place (temporary, to, error))
    return TRUE;

  unlink (temporary);

  return FALSE;
}
