/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-sqlite.h"

#include "choir-error.h"

/* How long another process (choird user) may hold the write lock */
#define BUSY_TIMEOUT_MS 5000

static gpointer
configure_once (gpointer data)
{
  /* the memory statistics cost a lock that every connection shares; too late is no harm */
  sqlite3_config (SQLITE_CONFIG_MEMSTATUS, 0);

  return NULL;
}

/**
 * choir_sqlite_open:
 * @path: a file
 * @flags: SQLITE_OPEN_...
 * @error: return location: %CHOIR_ERROR_UNAVAILABLE
 *
 * The schema of a file that others could have written is not trusted with functions, and nothing
 * written through the connection can damage the file's structure.
 *
 * Returns: (transfer full): a connection
 */
sqlite3 *
choir_sqlite_open (const char *path, int flags, GError **error)
{
  static GOnce once = G_ONCE_INIT;
  g_autoptr (sqlite3) db = NULL;

  g_once (&once, configure_once, NULL);
  if (sqlite3_open_v2 (path, &db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL) !=
      SQLITE_OK)
    {
      choir_sqlite_fail (db, error);
      return NULL;
    }

  sqlite3_busy_timeout (db, BUSY_TIMEOUT_MS);
  sqlite3_db_config (db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  sqlite3_db_config (db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
  sqlite3_db_config (db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);

  return g_steal_pointer (&db);
}

/**
 * choir_sqlite_fail:
 * @db: (nullable): where the last call failed
 * @error: return location: %CHOIR_ERROR_UNAVAILABLE
 *
 * Returns: %FALSE
 */
gboolean
choir_sqlite_fail (sqlite3 *db, GError **error)
{
  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE, "%s (SQLite %d)", sqlite3_errmsg (db),
               sqlite3_extended_errcode (db));

  return FALSE;
}

gboolean
choir_sqlite_exec (sqlite3 *db, const char *sql, GError **error)
{
  return sqlite3_exec (db, sql, NULL, NULL, NULL) == SQLITE_OK || choir_sqlite_fail (db, error);
}

/* The first row of the answer */
static sqlite3_stmt *
ask (sqlite3 *db, const char *sql, GError **error)
{
  g_autoptr (sqlite3_stmt) statement = NULL;

  if (sqlite3_prepare_v2 (db, sql, -1, &statement, NULL) != SQLITE_OK ||
      sqlite3_step (statement) != SQLITE_ROW)
    {
      choir_sqlite_fail (db, error);
      return NULL;
    }

  return g_steal_pointer (&statement);
}

/**
 * choir_sqlite_get_int64:
 * @db: a connection
 * @sql: a question with one answer
 * @out: (out): the answer
 * @error: return location: %CHOIR_ERROR_UNAVAILABLE
 *
 * Returns: %FALSE if it can't be had
 */
gboolean
choir_sqlite_get_int64 (sqlite3 *db, const char *sql, gint64 *out, GError **error)
{
  g_autoptr (sqlite3_stmt) statement = ask (db, sql, error);

  if (statement == NULL)
    return FALSE;

  *out = sqlite3_column_int64 (statement, 0);

  return TRUE;
}

/**
 * choir_sqlite_dup_text:
 * @db: a connection
 * @sql: a question with one answer
 * @error: return location: %CHOIR_ERROR_UNAVAILABLE
 *
 * Returns: (transfer full): the answer
 */
char *
choir_sqlite_dup_text (sqlite3 *db, const char *sql, GError **error)
{
  g_autoptr (sqlite3_stmt) statement = ask (db, sql, error);

  return statement != NULL ? g_strdup (choir_sqlite_get_text (statement, 0)) : NULL;
}

/**
 * choir_sqlite_prepare:
 * @db: a connection
 * @sql: (array zero-terminated=1): statements
 * @statements: (out caller-allocates): to be given to choir_sqlite_finalize(), also on error
 * @error: return location: %CHOIR_ERROR_UNAVAILABLE
 *
 * Returns: %FALSE if one can't be
 */
gboolean
choir_sqlite_prepare (sqlite3 *db,
                      const char *const *sql,
                      sqlite3_stmt **statements,
                      GError **error)
{
  for (guint i = 0; sql[i] != NULL; i++)
    if (sqlite3_prepare_v3 (db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &statements[i], NULL) !=
        SQLITE_OK)
      return choir_sqlite_fail (db, error);

  return TRUE;
}

void
choir_sqlite_finalize (sqlite3_stmt **statements, guint n_statements)
{
  for (guint i = 0; i < n_statements; i++)
    g_clear_pointer (&statements[i], sqlite3_finalize);
}

ChoirSqliteStep
choir_sqlite_step (sqlite3_stmt *statement, GError **error)
{
  int status = sqlite3_step (statement);

  if (status == SQLITE_ROW)
    return CHOIR_SQLITE_ROW;

  if (status != SQLITE_DONE)
    choir_sqlite_fail (sqlite3_db_handle (statement), error);
  sqlite3_reset (statement);

  return status == SQLITE_DONE ? CHOIR_SQLITE_DONE : CHOIR_SQLITE_FAILED;
}

gboolean
choir_sqlite_run (sqlite3_stmt *statement, GError **error)
{
  ChoirSqliteStep step = choir_sqlite_step (statement, error);

  if (step == CHOIR_SQLITE_ROW)
    sqlite3_reset (statement);

  return step != CHOIR_SQLITE_FAILED;
}

void
choir_sqlite_bind_text (sqlite3_stmt *statement, int place, const char *text)
{
  sqlite3_bind_text (statement, place, text, -1, SQLITE_STATIC);
}

/* An empty blob is not NULL */
void
choir_sqlite_bind_blob (sqlite3_stmt *statement, int place, gconstpointer data, gsize len)
{
  sqlite3_bind_blob64 (statement, place, len > 0 ? data : "", len, SQLITE_STATIC);
}

/* Beyond what SQLite's integers hold nothing is ever stored, so the largest stands for all */
void
choir_sqlite_bind_offset (sqlite3_stmt *statement, int place, guint64 offset)
{
  sqlite3_bind_int64 (statement, place, (sqlite3_int64) MIN (offset, (guint64) G_MAXINT64));
}

const char *
choir_sqlite_get_text (sqlite3_stmt *statement, int column)
{
  return (const char *) sqlite3_column_text (statement, column);
}
