/* choir-sqlite.h: SQLite's calls with errors as everywhere else
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>
#include <sqlite3.h>

G_BEGIN_DECLS

G_DEFINE_AUTOPTR_CLEANUP_FUNC (sqlite3, sqlite3_close_v2)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (sqlite3_stmt, sqlite3_finalize)

/* A connection is used by one thread at a time */
sqlite3 *choir_sqlite_open (const char *path, int flags, GError **error);
gboolean choir_sqlite_fail (sqlite3 *db, GError **error); /* always FALSE */
gboolean choir_sqlite_exec (sqlite3 *db, const char *sql, GError **error);
gboolean choir_sqlite_get_int64 (sqlite3 *db, const char *sql, gint64 *out, GError **error);
char *choir_sqlite_dup_text (sqlite3 *db, const char *sql, GError **error);

/* @statements has as many places as there are in @sql (NULL-terminated) */
gboolean choir_sqlite_prepare (sqlite3 *db,
                               const char *const *sql,
                               sqlite3_stmt **statements,
                               GError **error);
void choir_sqlite_finalize (sqlite3_stmt **statements, guint n_statements);

typedef enum
{
  CHOIR_SQLITE_FAILED,
  CHOIR_SQLITE_ROW,
  CHOIR_SQLITE_DONE,
} ChoirSqliteStep;

/* Resets @statement unless there is a row */
ChoirSqliteStep choir_sqlite_step (sqlite3_stmt *statement, GError **error);
/* One that yields no rows */
gboolean choir_sqlite_run (sqlite3_stmt *statement, GError **error);

/* What is bound must stay until the statement is reset */
void choir_sqlite_bind_text (sqlite3_stmt *statement, int place, const char *text);
void choir_sqlite_bind_blob (sqlite3_stmt *statement, int place, gconstpointer data, gsize len);
void choir_sqlite_bind_offset (sqlite3_stmt *statement, int place, guint64 offset);
const char *choir_sqlite_get_text (sqlite3_stmt *statement, int column);

G_END_DECLS
