/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-store-file.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-log.h"
#include "choir-store-schema.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* How long another process (choird user) may take to make the database */
#define LOCK_TRIES 50
#define LOCK_PAUSE_US (20 * 1000)

/* The log keeps this much on disk after it was folded into the database, so that it is written over
 * and not anew: growing a file costs a file system more than its data */
#define WAL_KEPT_BYTES (32 * 1024 * 1024)

static gboolean
fail_file (const char *doing, const char *path, GError **error)
{
  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "Can't %s “%s”: %s", doing, path,
               g_strerror (errno));

  return FALSE;
}

/* What root makes (choird user) the service has to be able to open; SQLite does likewise with its
 * own files */
static void
give_to_owner_of_directory (int fd, const char *path)
{
  g_autofree char *directory = g_path_get_dirname (path);
  struct stat status;

  if (geteuid () == 0 && stat (directory, &status) == 0 &&
      fchown (fd, status.st_uid, status.st_gid) < 0)
    choir_log (CHOIR_LOG_LEVEL_DEBUG, "a file stays root's", NULL);
}

static void
write_pid (int fd)
{
  g_autofree char *text = g_strdup_printf ("%d\n", (int) getpid ());

  /* for the message others give; nothing depends on it */
  if (ftruncate (fd, 0) < 0 || pwrite (fd, text, strlen (text), 0) < 0)
    choir_log (CHOIR_LOG_LEVEL_DEBUG, "the lock file can't be written", NULL);
}

static gint64
read_pid (const char *lock_path)
{
  g_autofree char *text = NULL;

  if (!g_file_get_contents (lock_path, &text, NULL, NULL))
    return 0;

  return g_ascii_strtoll (text, NULL, 10);
}

/**
 * choir_store_lock_try:
 * @self: not held
 * @path: the database
 * @held: (out): whether it is now; else somebody else holds it
 * @error: return location: %CHOIR_ERROR_CONFIG
 *
 * Returns: %FALSE if the lock file can't be made
 */
gboolean
choir_store_lock_try (ChoirStoreLock *self, const char *path, gboolean *held, GError **error)
{
  g_autofree char *lock_path = g_strconcat (path, ".lock", NULL);

  *held = FALSE;
  self->fd = open (lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (self->fd < 0)
    return fail_file ("open", lock_path, error);

  give_to_owner_of_directory (self->fd, path);
  *held = flock (self->fd, LOCK_EX | LOCK_NB) == 0;
  if (*held)
    write_pid (self->fd);
  else
    choir_store_lock_release (self);

  return TRUE;
}

/**
 * choir_store_lock_take:
 * @self: not held
 * @path: the database
 * @error: return location: %CHOIR_ERROR_CONFIG if somebody else has it
 *
 * Waits for those who have it for a moment only.
 *
 * Returns: whether it is held
 */
gboolean
choir_store_lock_take (ChoirStoreLock *self, const char *path, GError **error)
{
  g_autofree char *lock_path = g_strconcat (path, ".lock", NULL);
  gboolean held;

  for (guint i = 0; i < LOCK_TRIES; i++)
    {
      if (!choir_store_lock_try (self, path, &held, error))
        return FALSE;
      if (held)
        return TRUE;
      g_usleep (LOCK_PAUSE_US);
    }

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG,
               "The database “%s” is in use by another Choir (process %" G_GINT64_FORMAT ")", path,
               read_pid (lock_path));

  return FALSE;
}

/* The file stays: removing it would let two hold locks on two files of one name */
void
choir_store_lock_release (ChoirStoreLock *self)
{
  if (self->fd >= 0)
    close (self->fd);
  self->fd = -1;
}

/* SQLite gives its own files the mode of this one */
static gboolean
create_file (const char *path, GError **error)
{
  int fd = open (path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

  if (fd < 0 && errno == EEXIST)
    return access (path, R_OK | W_OK) == 0 || fail_file ("open", path, error);
  if (fd < 0)
    return fail_file ("open", path, error);

  give_to_owner_of_directory (fd, path);
  close (fd);

  return TRUE;
}

static gboolean
set_up (sqlite3 *db, ChoirDurability durability, GError **error)
{
  g_autofree char *mode = NULL;
  g_autofree char *pragmas = g_strdup_printf (
    "PRAGMA synchronous=%s; PRAGMA wal_autocheckpoint=0; PRAGMA journal_size_limit=%d;"
    "PRAGMA cache_size=-16384; PRAGMA temp_store=MEMORY; PRAGMA secure_delete=FAST;"
    "PRAGMA cell_size_check=ON",
    durability == CHOIR_DURABILITY_FULL ? "FULL" : "NORMAL", WAL_KEPT_BYTES);

  mode = choir_sqlite_dup_text (db, "PRAGMA journal_mode=WAL", error);
  if (mode == NULL)
    return FALSE;

  if (g_strcmp0 (mode, "wal") != 0)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG,
                   "The file system allows no write-ahead log (it said “%s”)", mode);
      return FALSE;
    }

  return choir_sqlite_exec (db, pragmas, error);
}

static gboolean
check_integrity (sqlite3 *db, GError **error)
{
  gint64 start_us = choir_clock_monotonic_us ();
  g_autofree char *took = NULL;

  if (!choir_store_schema_check_integrity (db, error))
    {
      g_prefix_error (error, "It is damaged; restore a copy made with “choird backup”: ");
      return FALSE;
    }

  took = g_strdup_printf ("database checked in %" G_GINT64_FORMAT " ms",
                          (choir_clock_monotonic_us () - start_us) / 1000);
  choir_log (CHOIR_LOG_LEVEL_INFO, took, NULL);

  return TRUE;
}

/* Whose file it is comes before anything is written to it */
static gboolean
prepare (sqlite3 *db, ChoirDurability durability, gboolean is_locked, GError **error)
{
  if (!is_locked)
    return choir_store_schema_check (db, error) && set_up (db, durability, error);

  return choir_store_schema_examine (db, error) && check_integrity (db, error) &&
         set_up (db, durability, error) &&
         choir_store_schema_update (db, choir_store_schema_get_steps (), error);
}

/**
 * choir_store_file_open:
 * @path: the database
 * @durability: when something is stored
 * @is_locked: whether the caller holds its lock; if not, it must be there and of this version
 * @error: return location: %CHOIR_ERROR_CONFIG, %CHOIR_ERROR_UNAVAILABLE
 *
 * Returns: (transfer full): a connection to write with
 */
sqlite3 *
choir_store_file_open (const char *path,
                       ChoirDurability durability,
                       gboolean is_locked,
                       GError **error)
{
  g_autoptr (sqlite3) db = NULL;

  if (is_locked && !create_file (path, error))
    return NULL;

  db = choir_sqlite_open (path, SQLITE_OPEN_READWRITE, error);
  if (db == NULL || !prepare (db, durability, is_locked, error))
    {
      g_prefix_error (error, "The database “%s” can't be used: ", path);
      return NULL;
    }

  return g_steal_pointer (&db);
}

/**
 * choir_store_file_open_for_reading:
 * @path: the database, which another connection has open
 * @error: return location: %CHOIR_ERROR_UNAVAILABLE
 *
 * Returns: (transfer full): a connection that can't write
 */
sqlite3 *
choir_store_file_open_for_reading (const char *path, GError **error)
{
  sqlite3 *db = choir_sqlite_open (path, SQLITE_OPEN_READONLY, error);

  if (db == NULL)
    g_prefix_error (error, "The database “%s” can't be read: ", path);

  return db;
}
