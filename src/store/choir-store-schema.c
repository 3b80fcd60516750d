/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-store-schema.h"

#include "choir-error.h"

#include <string.h>

/* Entries are kept in the order they are read in, so that a stream is found together; data comes
 * last, so that what stands before it can be read without it. A deleted stream has no name until
 * what was in it is gone. Numbers of streams do not return (AUTOINCREMENT). A rolled-back group may
 * have used some: the heads are written once for each group. */
static const char *const steps[] = {
  "CREATE TABLE streams ("
  "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
  "  name TEXT UNIQUE,"
  "  epoch TEXT NOT NULL,"
  "  head INTEGER NOT NULL,"
  "  changed_us INTEGER NOT NULL"
  ") STRICT;"
  "CREATE TABLE entries ("
  "  stream INTEGER NOT NULL REFERENCES streams (id),"
  "  offset INTEGER NOT NULL,"
  "  wall_us INTEGER NOT NULL,"
  "  type TEXT,"
  "  id TEXT,"
  "  user_id TEXT,"
  "  session_id TEXT,"
  "  key TEXT,"
  "  data BLOB NOT NULL,"
  "  PRIMARY KEY (stream, offset)"
  ") STRICT, WITHOUT ROWID;"
  "CREATE UNIQUE INDEX entries_by_key ON entries (stream, key) WHERE key IS NOT NULL;"
  "CREATE TABLE snapshots ("
  "  id INTEGER PRIMARY KEY,"
  "  stream INTEGER NOT NULL REFERENCES streams (id),"
  "  offset INTEGER NOT NULL,"
  "  wall_us INTEGER NOT NULL,"
  "  label TEXT NOT NULL," /* empty: automatic */
  "  user_id TEXT,"
  "  data BLOB NOT NULL,"
  "  UNIQUE (stream, offset, label)"
  ") STRICT;"
  "CREATE TABLE users ("
  "  id TEXT PRIMARY KEY,"
  "  name TEXT,"
  "  active INTEGER NOT NULL,"
  "  created_us INTEGER NOT NULL"
  ") STRICT, WITHOUT ROWID;"
  /* what is written to see whether writing works */
  "CREATE TABLE probe (id INTEGER PRIMARY KEY CHECK (id = 1), data BLOB NOT NULL) STRICT;",
  NULL,
};

const char *const *
choir_store_schema_get_steps (void)
{
  return steps;
}

static guint
count (const char *const *list)
{
  return g_strv_length ((char **) list);
}

static gboolean
refuse_foreign (GError **error)
{
  g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG,
                       "This is a database, but none of Choir");

  return FALSE;
}

/* @version: -1 if the database is new */
static gboolean
get_version (sqlite3 *db, gint64 *version, GError **error)
{
  gint64 application_id, n_objects;

  if (!choir_sqlite_get_int64 (db, "PRAGMA application_id", &application_id, error) ||
      !choir_sqlite_get_int64 (db, "PRAGMA user_version", version, error) ||
      !choir_sqlite_get_int64 (db, "SELECT count(*) FROM sqlite_schema", &n_objects, error))
    return FALSE;

  if (application_id == CHOIR_STORE_APPLICATION_ID)
    return TRUE;

  if (application_id != 0 || *version != 0 || n_objects != 0)
    return refuse_foreign (error);

  *version = -1;

  return TRUE;
}

static gboolean
check_not_newer (gint64 version, const char *const *known, GError **error)
{
  if (version <= (gint64) count (known))
    return TRUE;

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG,
               "The database was written by a newer Choir (schema %" G_GINT64_FORMAT
               ", this one knows up to %u)",
               version, count (known));

  return FALSE;
}

/**
 * choir_store_schema_examine:
 * @db: a file
 * @error: return location: %CHOIR_ERROR_CONFIG if it is not ours or from the future,
 * %CHOIR_ERROR_UNAVAILABLE if it is no database or can't be read
 *
 * Returns: whether choir_store_schema_update() may be tried
 */
gboolean
choir_store_schema_examine (sqlite3 *db, GError **error)
{
  gint64 version;

  return get_version (db, &version, error) && check_not_newer (version, steps, error);
}

static gboolean
take_step (sqlite3 *db, const char *sql, guint version, GError **error)
{
  g_autofree char *finish =
    g_strdup_printf ("PRAGMA application_id=%d; PRAGMA user_version=%u; COMMIT",
                     CHOIR_STORE_APPLICATION_ID, version);

  if (choir_sqlite_exec (db, "BEGIN IMMEDIATE", error) && choir_sqlite_exec (db, sql, error) &&
      choir_sqlite_exec (db, finish, error))
    return TRUE;

  sqlite3_exec (db, "ROLLBACK", NULL, NULL, NULL);
  g_prefix_error (error, "Taking the database to schema %u failed: ", version);

  return FALSE;
}

/**
 * choir_store_schema_update:
 * @db: a database, perhaps a new one
 * @known: (array zero-terminated=1): the steps there are
 * @error: return location: %CHOIR_ERROR_CONFIG if it is not ours or from the future,
 * %CHOIR_ERROR_UNAVAILABLE if it can't be done; the steps before the one that failed are done
 *
 * Returns: whether the database is now what this version works with
 */
gboolean
choir_store_schema_update (sqlite3 *db, const char *const *known, GError **error)
{
  gint64 version;

  if (!get_version (db, &version, error) || !check_not_newer (version, known, error))
    return FALSE;

  for (guint i = (guint) MAX (version, 0); i < count (known); i++)
    if (!take_step (db, known[i], i + 1, error))
      return FALSE;

  return TRUE;
}

/**
 * choir_store_schema_check:
 * @db: a database
 * @error: return location: %CHOIR_ERROR_CONFIG
 *
 * Returns: whether it can be worked with as it is
 */
gboolean
choir_store_schema_check (sqlite3 *db, GError **error)
{
  gint64 version;

  if (!get_version (db, &version, error) || !check_not_newer (version, steps, error))
    return FALSE;

  if (version == (gint64) count (steps))
    return TRUE;

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG,
               "The database has the older schema %" G_GINT64_FORMAT
               " and is in use: restart the service",
               MAX (version, 0));

  return FALSE;
}

/**
 * choir_store_schema_check_integrity:
 * @db: a database
 * @error: return location: %CHOIR_ERROR_CONFIG with the first thing that is wrong
 *
 * Reads the whole file.
 *
 * Returns: whether it is sound
 */
gboolean
choir_store_schema_check_integrity (sqlite3 *db, GError **error)
{
  g_autofree char *answer = choir_sqlite_dup_text (db, "PRAGMA quick_check (1)", error);

  if (answer == NULL)
    return FALSE;

  if (strcmp (answer, "ok") == 0)
    return TRUE;

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "%s", answer);

  return FALSE;
}
