/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is SQLite's own: the file, its schema, its lock, its copies
 */

#include "config.h"

#include "choir-error.h"
#include "choir-store-schema.h"

#include "store-sync.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#define ANY CHOIR_STORE_ANY_OFFSET

typedef struct
{
  char *directory; /* (owned) */
  char *path;      /* (owned): of a database */
  char *copy;      /* (owned): of another */
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  fixture->directory = g_dir_make_tmp ("choir-store-XXXXXX", NULL);
  g_assert_nonnull (fixture->directory);
  fixture->path = g_build_filename (fixture->directory, "choir.db", NULL);
  fixture->copy = g_build_filename (fixture->directory, "copy.db", NULL);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  store_remove_directory (fixture->directory);
  g_free (fixture->directory);
  g_free (fixture->path);
  g_free (fixture->copy);
}

static ChoirStore *
open_store (const char *path)
{
  g_autoptr (GError) error = NULL;
  ChoirStore *store = choir_store_sqlite_open (path, CHOIR_DURABILITY_NORMAL, &error);

  g_assert_no_error (error);

  return store;
}

static void
close_store (ChoirStore *store)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (store_close (store, &error));
  g_assert_no_error (error);
  g_assert_finalize_object (store);
}

static void
assert_refused (const char *path, const char *complaint)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirStore) store = choir_store_sqlite_open (path, CHOIR_DURABILITY_FULL, &error);

  g_assert_null (store);
  g_assert_nonnull (error);
  g_assert_true (error->domain == CHOIR_ERROR);
  g_assert_nonnull (strstr (error->message, path));
  if (strstr (error->message, complaint) == NULL)
    g_error ("“%s” is not in “%s”", complaint, error->message);
}

static sqlite3 *
open_raw (const char *path)
{
  g_autoptr (GError) error = NULL;
  sqlite3 *db = choir_sqlite_open (path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &error);

  g_assert_no_error (error);

  return db;
}

static gint64
ask (const char *path, const char *sql)
{
  g_autoptr (sqlite3) db = open_raw (path);
  g_autoptr (GError) error = NULL;
  gint64 answer = -1;

  choir_sqlite_get_int64 (db, sql, &answer, &error);
  g_assert_no_error (error);

  return answer;
}

static void
execute (const char *path, const char *sql)
{
  g_autoptr (sqlite3) db = open_raw (path);
  g_autoptr (GError) error = NULL;

  choir_sqlite_exec (db, sql, &error);
  g_assert_no_error (error);
}

static void
assert_mode (const char *path, guint mode)
{
  struct stat status;

  g_assert_cmpint (stat (path, &status), ==, 0);
  g_assert_cmphex (status.st_mode & 0777, ==, mode);
}

/* The store is as it was */
static void
test_again (Fixture *fixture, gconstpointer data)
{
  g_autofree char *wal = g_strconcat (fixture->path, "-wal", NULL);
  g_autoptr (ChoirStreamPart) part = NULL;
  g_autoptr (ChoirStoreUser) user = NULL;
  ChoirStore *store = open_store (fixture->path);

  store_append_numbers (store, "doc", 10);
  store_append_text (store, "doc", "key", "text");
  g_assert_true (store_put_snapshot (store, "doc", 4, NULL, "four", 0, NULL));
  g_assert_true (store_put_user (store, "alice", "Alice", TRUE, NULL));
  assert_mode (fixture->path, 0600);
  assert_mode (wal, 0600);
  close_store (store);

  /* closed in an orderly way, it is one file */
  g_assert_false (g_file_test (wal, G_FILE_TEST_EXISTS));
  g_assert_cmpint (ask (fixture->path, "PRAGMA application_id"), ==, CHOIR_STORE_APPLICATION_ID);
  g_assert_cmpint (ask (fixture->path, "PRAGMA user_version"), ==, 1);

  store = open_store (fixture->path);
  part = store_load (store, "doc", ANY, NULL);
  g_assert_cmpuint (part->head, ==, 11);
  g_assert_cmpuint (part->snapshot->offset, ==, 4);
  g_assert_cmpuint (part->n_entries, ==, 7);
  g_assert_cmpuint (store_find_key (store, "doc", "key"), ==, 11);
  user = store_get_user (store, "alice", NULL);
  g_assert_cmpstr (user->name, ==, "Alice");
  g_assert_cmpuint (store_append_text (store, "doc", NULL, "more"), ==, 12);
  close_store (store);
}

/* Never closed: the last reference is enough */
static void
test_dropped (Fixture *fixture, gconstpointer data)
{
  g_autoptr (ChoirStreamPart) part = NULL;
  ChoirStore *store = open_store (fixture->path);

  store_append_numbers (store, "doc", 10);
  g_assert_finalize_object (store);
  store = open_store (fixture->path);
  part = store_load (store, "doc", ANY, NULL);
  g_assert_cmpuint (part->head, ==, 10);
  g_assert_finalize_object (store);
}

static void
test_newer (Fixture *fixture, gconstpointer data)
{
  close_store (open_store (fixture->path));
  execute (fixture->path, "PRAGMA user_version=7");
  assert_refused (fixture->path, "was written by a newer Choir (schema 7, this one knows up to 1)");
  g_assert_cmpint (ask (fixture->path, "PRAGMA user_version"), ==, 7);
}

static void
test_foreign (Fixture *fixture, gconstpointer data)
{
  g_autofree char *before = NULL;
  g_autofree char *after = NULL;
  gsize len_before, len_after;

  execute (fixture->path, "CREATE TABLE notes (text)");
  g_assert_true (g_file_get_contents (fixture->path, &before, &len_before, NULL));
  assert_refused (fixture->path, "none of Choir");
  g_assert_true (g_file_get_contents (fixture->path, &after, &len_after, NULL));
  /* and it was left alone */
  g_assert_cmpmem (before, len_before, after, len_after);

  execute (fixture->copy, "PRAGMA application_id=5");
  assert_refused (fixture->copy, "none of Choir");
}

static void
test_no_database (Fixture *fixture, gconstpointer data)
{
  g_autofree char *missing = g_build_filename (fixture->directory, "no", "choir.db", NULL);
  g_autofree char *text = g_strnfill (5000, 'x');

  g_assert_true (g_file_set_contents (fixture->path, text, 5000, NULL));
  assert_refused (fixture->path, "not a database");
  assert_refused (missing, "No such file");
}

/* A byte wrong in page after page, except the first, which says what it is */
static void
test_damaged (Fixture *fixture, gconstpointer data)
{
  g_autofree char *bytes = NULL;
  ChoirStore *store = open_store (fixture->path);
  gsize len;

  for (guint i = 0; i < 10; i++)
    store_append_numbers (store, "doc", 1000);
  close_store (store);

  g_assert_true (g_file_get_contents (fixture->path, &bytes, &len, NULL));
  for (gsize i = 4096; i < len; i += 4096)
    bytes[i] = 0x5a;
  g_assert_true (g_file_set_contents (fixture->path, bytes, (gssize) len, NULL));
  assert_refused (fixture->path, "choird backup");
}

static void
test_lock (Fixture *fixture, gconstpointer data)
{
  g_autofree char *complaint =
    g_strdup_printf ("in use by another Choir (process %d)", (int) getpid ());
  ChoirStore *store = open_store (fixture->path);

  assert_refused (fixture->path, complaint);
  store_append_numbers (store, "doc", 1);
  close_store (store);
  close_store (open_store (fixture->path));
}

/* choird user, while a service runs and while none does */
static void
test_beside (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirStoreUser) found = NULL;
  g_autoptr (ChoirStoreUser) changed = NULL;
  ChoirStore *beside = choir_store_sqlite_open_beside (fixture->path, &error);
  ChoirStore *store;

  g_assert_no_error (error);
  g_assert_true (store_put_user (beside, "alice", NULL, TRUE, &error));
  /* it keeps nobody out */
  store = open_store (fixture->path);
  g_assert_true (store_put_user (beside, "bob", NULL, TRUE, &error));
  found = store_get_user (store, "bob", &error);
  g_assert_no_error (error);
  close_store (beside);

  beside = choir_store_sqlite_open_beside (fixture->path, &error);
  g_assert_no_error (error);
  g_assert_true (store_put_user (beside, "bob", NULL, FALSE, &error));
  changed = store_get_user (store, "bob", &error);
  g_assert_false (changed->active);
  close_store (beside);
  close_store (store);
}

/* What another has appended is not written over */
static void
test_others_write (Fixture *fixture, gconstpointer data)
{
  const ChoirStoreEntry entry = { .data = "x", .len = 1 };
  g_autoptr (ChoirStreamPart) part = NULL;
  g_autoptr (GError) error = NULL;
  ChoirStore *store = open_store (fixture->path);
  ChoirStore *beside = choir_store_sqlite_open_beside (fixture->path, &error);
  ChoirAppended appended;

  for (guint i = 0; i < 20; i++)
    g_assert_cmpuint (store_append_text (i % 2 == 0 ? store : beside, "doc", NULL, "x"), ==, i + 1);
  g_assert_true (store_append (store, "doc", 18, &entry, 1, &appended, &error));
  g_assert_cmpint (appended.status, ==, CHOIR_APPEND_CONFLICT);
  g_assert_cmpuint (appended.offset, ==, 20);
  part = store_load (store, "doc", ANY, &error);
  g_assert_cmpuint (part->n_entries, ==, 20);
  close_store (beside);
  close_store (store);
}

static const char *const two_steps[] = {
  "CREATE TABLE notes (text TEXT NOT NULL)",
  "ALTER TABLE notes ADD COLUMN author TEXT; UPDATE notes SET author = 'nobody'",
  NULL,
};

static const char *const broken_steps[] = {
  "CREATE TABLE notes (text TEXT NOT NULL)",
  "ALTER TABLE notes ADD COLUMN author TEXT; CREATE TABLE more (x); INSERT INTO missing VALUES (1)",
  NULL,
};

/* From an older version to this one, step by step */
static void
test_update (Fixture *fixture, gconstpointer data)
{
  const char *const one_step[] = { two_steps[0], NULL };
  g_autoptr (sqlite3) db = open_raw (fixture->path);
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) newer = NULL;
  g_autofree char *author = NULL;

  g_assert_true (choir_store_schema_update (db, one_step, &error));
  g_assert_true (choir_sqlite_exec (db, "INSERT INTO notes VALUES ('first')", &error));
  g_assert_true (choir_store_schema_update (db, one_step, &error));
  g_assert_cmpint (ask (fixture->path, "PRAGMA user_version"), ==, 1);

  g_assert_true (choir_store_schema_update (db, two_steps, &error));
  g_assert_no_error (error);
  g_assert_cmpint (ask (fixture->path, "PRAGMA user_version"), ==, 2);
  author = choir_sqlite_dup_text (db, "SELECT author FROM notes WHERE text = 'first'", &error);
  g_assert_cmpstr (author, ==, "nobody");

  g_assert_false (choir_store_schema_update (db, one_step, &newer));
  g_assert_error (newer, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
}

/* A step that fails is undone whole; those before it stay */
static void
test_update_fails (Fixture *fixture, gconstpointer data)
{
  g_autoptr (sqlite3) db = open_raw (fixture->path);
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) later = NULL;

  g_assert_false (choir_store_schema_update (db, broken_steps, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE);
  g_assert_nonnull (strstr (error->message, "schema 2"));
  g_assert_cmpint (ask (fixture->path, "PRAGMA user_version"), ==, 1);
  g_assert_cmpint (ask (fixture->path, "SELECT count (*) FROM sqlite_schema"), ==, 1);
  g_assert_cmpint (ask (fixture->path, "SELECT count (*) FROM pragma_table_info ('notes')"), ==, 1);

  g_assert_true (choir_store_schema_update (db, two_steps, &later));
  g_assert_no_error (later);
}

static void
appended_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GError) error = NULL;
  ChoirAppended appended;

  choir_store_append_finish (CHOIR_STORE (source), result, &appended, &error);
  g_assert_no_error (error);
  *(guint *) user_data += 1;
}

static gpointer
backup_thread (gpointer data)
{
  const Fixture *fixture = data;
  g_autoptr (GError) error = NULL;

  choir_store_sqlite_backup (fixture->path, fixture->copy, &error);
  g_assert_no_error (error);
  g_main_context_wakeup (NULL);

  return NULL;
}

/* The copy is a moment of it */
static void
test_backup (Fixture *fixture, gconstpointer data)
{
  ChoirStore *store = open_store (fixture->path);
  g_autofree char *journal = g_strconcat (fixture->copy, "-wal", NULL);
  g_autofree char *temporary = g_strconcat (fixture->copy, ".tmp", NULL);
  g_autoptr (ChoirStreamPart) part = NULL;
  g_autoptr (GError) error = NULL;
  GThread *thread = NULL;
  guint n_appended = 0;
  guint n_before;

  store_append_numbers (store, "doc", 5000);
  n_before = 5000;
  for (guint i = 0; i < 200; i++)
    {
      const ChoirStoreEntry entry = { .data = "x", .len = 1 };

      choir_store_append_async (store, "doc", ANY, &entry, 1, NULL, appended_cb, &n_appended);
      if (i == 50)
        thread = g_thread_new ("backup", backup_thread, fixture);
      while (n_appended <= i)
        g_main_context_iteration (NULL, TRUE);
    }
  g_thread_join (thread);
  g_assert_cmpuint (store_append_text (store, "doc", NULL, "x"), ==, n_before + 201);
  close_store (store);

  assert_mode (fixture->copy, 0600);
  g_assert_false (g_file_test (journal, G_FILE_TEST_EXISTS));
  g_assert_false (g_file_test (temporary, G_FILE_TEST_EXISTS));
  store = open_store (fixture->copy);
  part = store_load (store, "doc", ANY, &error);
  g_assert_cmpuint (part->head, >=, n_before + 50);
  g_assert_cmpuint (part->head, <=, n_before + 200);
  g_assert_cmpuint (part->n_entries, ==, part->head);
  close_store (store);
}

static void
assert_no_backup (Fixture *fixture, const char *complaint)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (choir_store_sqlite_backup (fixture->path, fixture->copy, &error));
  g_assert_nonnull (error);
  if (strstr (error->message, complaint) == NULL)
    g_error ("“%s” is not in “%s”", complaint, error->message);
}

static void
test_backup_refused (Fixture *fixture, gconstpointer data)
{
  g_autofree char *temporary = g_strconcat (fixture->copy, ".tmp", NULL);
  g_autofree char *contents = NULL;

  assert_no_backup (fixture, "unable to open");
  g_assert_false (g_file_test (fixture->path, G_FILE_TEST_EXISTS));
  execute (fixture->path, "CREATE TABLE notes (text)");
  assert_no_backup (fixture, "none of Choir");
  g_assert_false (g_file_test (temporary, G_FILE_TEST_EXISTS));

  g_assert_cmpint (g_unlink (fixture->path), ==, 0);
  close_store (open_store (fixture->path));
  g_assert_true (g_file_set_contents (fixture->copy, "precious", -1, NULL));
  assert_no_backup (fixture, "exists");
  g_assert_true (g_file_get_contents (fixture->copy, &contents, NULL, NULL));
  g_assert_cmpstr (contents, ==, "precious");

  g_assert_cmpint (g_unlink (fixture->copy), ==, 0);
  g_assert_true (g_file_set_contents (temporary, "another at work", -1, NULL));
  assert_no_backup (fixture, temporary);
  g_assert_true (g_file_test (temporary, G_FILE_TEST_EXISTS));
}

typedef struct
{
  GString *order; /* (owned) */
} Order;

static void
trimmed_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_assert_true (choir_store_trim_finish (CHOIR_STORE (source), result, NULL));
  g_string_append_c (((Order *) user_data)->order, 't');
}

static void
stored_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  ChoirAppended appended;

  g_assert_true (choir_store_append_finish (CHOIR_STORE (source), result, &appended, NULL));
  g_string_append_c (((Order *) user_data)->order, 'a');
}

/* What takes long comes after what is short, whichever was asked for first */
static void
test_pieces (Fixture *fixture, gconstpointer data)
{
  const ChoirStoreEntry entry = { .data = "x", .len = 1 };
  ChoirStore *store = open_store (fixture->path);
  Order order = { g_string_new (NULL) };
  g_autoptr (ChoirStreamPart) part = NULL;

  for (guint i = 0; i < 3; i++)
    store_append_numbers (store, "log", 10000);
  choir_store_trim_async (store, "log", 29001, NULL, trimmed_cb, &order);
  choir_store_append_async (store, "other", ANY, &entry, 1, NULL, stored_cb, &order);
  choir_store_append_async (store, "log", ANY, &entry, 1, NULL, stored_cb, &order);
  while (order.order->len < 3)
    g_main_context_iteration (NULL, TRUE);

  g_assert_cmpstr (order.order->str, ==, "aat");
  part = store_read (store, "log", 0, 2000, FALSE, NULL);
  g_assert_cmpuint (part->first, ==, 29001);
  g_assert_cmpuint (part->head, ==, 30001);
  g_assert_cmpuint (part->n_entries, ==, 1001);
  g_string_free (order.order, TRUE);
  close_store (store);
}

/* What is left of a stream that was deleted goes some time, also when the service ended before */
static void
test_graves (Fixture *fixture, gconstpointer data)
{
  const char *left = "SELECT (SELECT count (*) FROM entries WHERE stream = 1) +"
                     " (SELECT count (*) FROM snapshots) +"
                     " (SELECT count (*) FROM streams WHERE name IS NULL)";
  ChoirStore *store = open_store (fixture->path);
  guint n = 0;

  for (guint i = 0; i < 3; i++)
    store_append_numbers (store, "doc", 10000);
  g_assert_true (store_put_snapshot (store, "doc", 5, "label", "x", 0, NULL));
  g_assert_true (store_put_snapshot (store, "doc", 6, NULL, "x", 0, NULL));
  close_store (store);
  execute (fixture->path, "UPDATE streams SET name = NULL WHERE name = 'doc'");
  g_assert_cmpint (ask (fixture->path, left), ==, 30003);

  store = open_store (fixture->path);
  while (ask (fixture->path, left) > 0 && n++ < 1000)
    store_append_text (store, "other", NULL, "x");
  g_assert_cmpint (ask (fixture->path, left), ==, 0);
  g_assert_cmpint (ask (fixture->path, "SELECT count (*) FROM streams"), ==, 1);
  close_store (store);
}

/* However much is written, the log is folded back */
static void
test_log_size (Fixture *fixture, gconstpointer data)
{
  const guint n = 300;
  g_autofree char *text = g_strnfill (100000, 'x');
  g_autofree char *wal = g_strconcat (fixture->path, "-wal", NULL);
  ChoirStore *store = open_store (fixture->path);
  struct stat status;

  /* 30 MB */
  for (guint i = 0; i < n; i++)
    store_append_text (store, "log", NULL, text);
  g_assert_cmpint (stat (wal, &status), ==, 0);
  g_assert_cmpint (status.st_size, <, 10 * 1024 * 1024);
  g_assert_cmpint (status.st_size, >, 4 * 1024 * 1024);
  close_store (store);
}

static void
count_refused_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  guint *counts = user_data;
  g_autoptr (GError) error = NULL;
  ChoirAppended appended;

  if (choir_store_append_finish (CHOIR_STORE (source), result, &appended, &error))
    counts[0]++;
  else
    {
      g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE);
      counts[1]++;
    }
}

static void
test_too_much (Fixture *fixture, gconstpointer data)
{
  const guint n = 20500;
  const ChoirStoreEntry entry = { .data = "x", .len = 1 };
  g_autoptr (ChoirStreamPart) part = NULL;
  ChoirStore *store = open_store (fixture->path);
  guint counts[2] = { 0, 0 };

  for (guint i = 0; i < n; i++)
    choir_store_append_async (store, "log", ANY, &entry, 1, NULL, count_refused_cb, counts);
  while (counts[0] + counts[1] < n)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (counts[1], ==, 500);
  part = store_read (store, "log", 0, 0, FALSE, NULL);
  g_assert_cmpuint (part->head, ==, 20000);
  g_assert_true (choir_store_is_writable (store));
  g_assert_cmpuint (store_append_text (store, "log", NULL, "x"), ==, 20001);
  close_store (store);
}

static void
loaded_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirStreamPart) part = choir_store_read_finish (CHOIR_STORE (source), result, NULL);

  g_assert_nonnull (part);
  *(guint64 *) user_data = part->head;
}

static void
read_back_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  ChoirAppended appended;

  g_assert_true (choir_store_append_finish (CHOIR_STORE (source), result, &appended, NULL));
  choir_store_read_async (CHOIR_STORE (source), "doc", 0, 0, FALSE, NULL, loaded_cb, user_data);
}

/* What an append has reported, a read that is asked for then finds */
static void
test_read_back (Fixture *fixture, gconstpointer data)
{
  const ChoirStoreEntry entry = { .data = "x", .len = 1 };
  ChoirStore *store = open_store (fixture->path);

  for (guint64 i = 1; i <= 200; i++)
    {
      guint64 head = 0;

      choir_store_append_async (store, "doc", ANY, &entry, 1, NULL, read_back_cb, &head);
      while (head == 0)
        g_main_context_iteration (NULL, TRUE);
      g_assert_cmpuint (head, ==, i);
    }
  close_store (store);
}

static const struct
{
  const char *name;
  void (*test) (Fixture *fixture, gconstpointer data);
} tests[] = {
  { "again", test_again },
  { "dropped", test_dropped },
  { "newer", test_newer },
  { "foreign", test_foreign },
  { "no-database", test_no_database },
  { "damaged", test_damaged },
  { "lock", test_lock },
  { "beside", test_beside },
  { "others-write", test_others_write },
  { "update", test_update },
  { "update-fails", test_update_fails },
  { "backup", test_backup },
  { "backup-refused", test_backup_refused },
  { "pieces", test_pieces },
  { "graves", test_graves },
  { "log-size", test_log_size },
  { "too-much", test_too_much },
  { "read-back", test_read_back },
};

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      g_autofree char *path = g_strdup_printf ("/store-sqlite/%s", tests[i].name);

      g_test_add (path, Fixture, NULL, set_up, tests[i].test, tear_down);
    }

  return g_test_run ();
}
