/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What holds for every backend
 */

#include "config.h"

#include "choir-error.h"

#include "store-sync.h"

#include <string.h>

#define MEMORY_MAX (8 * 1024 * 1024)
#define ANY CHOIR_STORE_ANY_OFFSET

typedef struct
{
  const char *name;
  gboolean on_disk;
} Backend;

static const Backend backends[] = { { "memory", FALSE }, { "sqlite", TRUE } };

typedef struct
{
  char *directory; /* (owned) (nullable) */
  ChoirStore *store;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  const Backend *backend = data;
  g_autoptr (GError) error = NULL;

  if (backend->on_disk)
    {
      g_autofree char *path = NULL;

      fixture->directory = g_dir_make_tmp ("choir-store-XXXXXX", &error);
      g_assert_no_error (error);
      path = g_build_filename (fixture->directory, "choir.db", NULL);
      fixture->store = choir_store_sqlite_open (path, CHOIR_DURABILITY_NORMAL, &error);
    }
  else
    fixture->store = choir_store_memory_new (MEMORY_MAX);

  g_assert_no_error (error);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  store_close (fixture->store, &error);
  g_assert_no_error (error);
  g_assert_finalize_object (fixture->store);
  if (fixture->directory != NULL)
    store_remove_directory (fixture->directory);
  g_free (fixture->directory);
}

static void
assert_entry (const ChoirStoreEntry *entry, guint64 offset, const char *text)
{
  g_assert_cmpuint (entry->offset, ==, offset);
  g_assert_cmpmem (entry->data, entry->len, text, strlen (text));
}

/* The numbers @first, @first + 1 ... (or downwards) @n of them */
static void
assert_numbers (const ChoirStreamPart *part, guint64 first, guint n, int direction)
{
  g_assert_cmpuint (part->n_entries, ==, n);
  for (guint i = 0; i < n; i++)
    {
      guint64 offset = first + (guint64) (direction * (int) i);
      g_autofree char *text = g_strdup_printf ("%" G_GUINT64_FORMAT, offset);

      assert_entry (&part->entries[i], offset, text);
    }
}

static void
test_append (Fixture *fixture, gconstpointer data)
{
  const ChoirStoreEntry entries[] = {
    { .wall_us = 11,
      .type = "op",
      .id = "id-1",
      .user_id = "alice",
      .session_id = "s-1",
      .key = "alice:1",
      .data = "a\0b",
      .len = 3 },
    { .wall_us = 12, .data = NULL, .len = 0 },
  };
  g_autoptr (ChoirStreamPart) part = NULL;
  g_autoptr (GError) error = NULL;
  ChoirAppended appended;

  g_assert_true (store_append (fixture->store, "doc", 0, entries, 2, &appended, &error));
  g_assert_cmpint (appended.status, ==, CHOIR_APPEND_STORED);
  g_assert_cmpuint (appended.offset, ==, 2);
  g_assert_cmpuint (strlen (appended.epoch), ==, 16);

  part = store_load (fixture->store, "doc", ANY, &error);
  g_assert_no_error (error);
  g_assert_true (part->exists);
  g_assert_true (part->complete);
  g_assert_cmpstr (part->epoch, ==, appended.epoch);
  g_assert_cmpuint (part->first, ==, 1);
  g_assert_cmpuint (part->head, ==, 2);
  g_assert_null (part->snapshot);
  g_assert_cmpuint (part->n_entries, ==, 2);
  g_assert_cmpuint (part->entries[0].offset, ==, 1);
  g_assert_cmpint (part->entries[0].wall_us, ==, 11);
  g_assert_cmpstr (part->entries[0].type, ==, "op");
  g_assert_cmpstr (part->entries[0].id, ==, "id-1");
  g_assert_cmpstr (part->entries[0].user_id, ==, "alice");
  g_assert_cmpstr (part->entries[0].session_id, ==, "s-1");
  g_assert_cmpstr (part->entries[0].key, ==, "alice:1");
  g_assert_cmpmem (part->entries[0].data, part->entries[0].len, "a\0b", 3);
  g_assert_cmpint (part->entries[1].wall_us, ==, 12);
  g_assert_null (part->entries[1].type);
  g_assert_null (part->entries[1].key);
  g_assert_cmpuint (part->entries[1].len, ==, 0);
}

static void
test_conflict (Fixture *fixture, gconstpointer data)
{
  const ChoirStoreEntry entry = { .data = "x", .len = 1 };
  g_autoptr (GError) error = NULL;
  ChoirAppended appended;
  char epoch[17];

  g_assert_true (store_append (fixture->store, "doc", 3, &entry, 1, &appended, &error));
  g_assert_cmpint (appended.status, ==, CHOIR_APPEND_CONFLICT);
  g_assert_cmpuint (appended.offset, ==, 0);
  g_assert_cmpstr (appended.epoch, ==, "");

  g_assert_true (store_append (fixture->store, "doc", 0, &entry, 1, &appended, &error));
  g_assert_cmpint (appended.status, ==, CHOIR_APPEND_STORED);
  memcpy (epoch, appended.epoch, sizeof epoch);
  g_assert_true (store_append (fixture->store, "doc", 0, &entry, 1, &appended, &error));
  g_assert_cmpint (appended.status, ==, CHOIR_APPEND_CONFLICT);
  g_assert_cmpuint (appended.offset, ==, 1);
  g_assert_cmpstr (appended.epoch, ==, epoch);

  g_assert_true (store_append (fixture->store, "doc", 1, &entry, 1, &appended, &error));
  g_assert_cmpint (appended.status, ==, CHOIR_APPEND_STORED);
  g_assert_true (store_append (fixture->store, "doc", ANY, &entry, 1, &appended, &error));
  g_assert_cmpint (appended.status, ==, CHOIR_APPEND_STORED);
  g_assert_cmpuint (appended.offset, ==, 3);
}

static void
test_duplicate (Fixture *fixture, gconstpointer data)
{
  const ChoirStoreEntry entries[] = {
    { .key = "new-1", .data = "1", .len = 1 },
    { .data = "2", .len = 1 },
    { .key = "b", .data = "3", .len = 1 },
    { .key = "a", .data = "4", .len = 1 },
  };
  g_autoptr (ChoirStreamPart) part = NULL;
  g_autoptr (GError) error = NULL;
  ChoirAppended appended;

  g_assert_cmpuint (store_append_text (fixture->store, "doc", "a", "x"), ==, 1);
  g_assert_cmpuint (store_append_text (fixture->store, "doc", "b", "y"), ==, 2);
  /* of another stream */
  g_assert_cmpuint (store_append_text (fixture->store, "other", "new-1", "z"), ==, 1);

  g_assert_true (store_append (fixture->store, "doc", 2, entries, 4, &appended, &error));
  g_assert_cmpint (appended.status, ==, CHOIR_APPEND_DUPLICATE);
  g_assert_cmpuint (appended.duplicate, ==, 2);
  g_assert_cmpuint (appended.offset, ==, 2);
  g_assert_cmpuint (strlen (appended.epoch), ==, 16);

  part = store_load (fixture->store, "doc", ANY, &error);
  g_assert_cmpuint (part->head, ==, 2);
  g_assert_cmpuint (store_find_key (fixture->store, "doc", "a"), ==, 1);
  g_assert_cmpuint (store_find_key (fixture->store, "doc", "b"), ==, 2);
  g_assert_cmpuint (store_find_key (fixture->store, "doc", "new-1"), ==, 0);
  g_assert_cmpuint (store_find_key (fixture->store, "other", "new-1"), ==, 1);
  g_assert_cmpuint (store_find_key (fixture->store, "none", "a"), ==, 0);

  /* what the stream has comes before what it may not have twice */
  g_assert_true (store_append (fixture->store, "doc", 1, entries, 4, &appended, &error));
  g_assert_cmpint (appended.status, ==, CHOIR_APPEND_CONFLICT);
}

typedef struct
{
  guint n_answers;
  ChoirAppended appended[8];
} Answers;

static void
answered_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Answers *answers = user_data;
  g_autoptr (GError) error = NULL;

  choir_store_append_finish (CHOIR_STORE (source), result, &answers->appended[answers->n_answers++],
                             &error);
  g_assert_no_error (error);
}

/* Handed in together, and not disturbed by one another */
static void
test_together (Fixture *fixture, gconstpointer data)
{
  static const struct
  {
    guint64 expected;
    const char *key;
    ChoirAppendStatus status;
    guint64 offset;
  } rows[] = {
    { 0, "a", CHOIR_APPEND_STORED, 1 },     { 0, "b", CHOIR_APPEND_CONFLICT, 1 },
    { 1, "b", CHOIR_APPEND_STORED, 2 },     { 2, "a", CHOIR_APPEND_DUPLICATE, 1 },
    { ANY, "c", CHOIR_APPEND_STORED, 3 },   { ANY, "b", CHOIR_APPEND_DUPLICATE, 2 },
    { 17, NULL, CHOIR_APPEND_CONFLICT, 3 }, { 3, NULL, CHOIR_APPEND_STORED, 4 },
  };
  Answers answers = { 0 };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      const ChoirStoreEntry entry = { .key = rows[i].key, .data = "x", .len = 1 };

      choir_store_append_async (fixture->store, "doc", rows[i].expected, &entry, 1, NULL,
                                answered_cb, &answers);
    }

  while (answers.n_answers < G_N_ELEMENTS (rows))
    g_main_context_iteration (NULL, TRUE);

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_assert_cmpint (answers.appended[i].status, ==, rows[i].status);
      g_assert_cmpuint (answers.appended[i].offset, ==, rows[i].offset);
      g_assert_cmpstr (answers.appended[i].epoch, ==, answers.appended[0].epoch);
    }
}

/* Who tells others the epoch first, and who means another life of the stream */
static void
test_epoch (Fixture *fixture, gconstpointer data)
{
  static const struct
  {
    const char *epoch;
    guint64 expected;
    ChoirAppendStatus status;
    guint64 offset;
  } rows[] = {
    { "00000000000000aa", 0, CHOIR_APPEND_STORED, 1 },
    { "00000000000000aa", 1, CHOIR_APPEND_STORED, 2 },
    { "00000000000000bb", 2, CHOIR_APPEND_CONFLICT, 2 },
    { "00000000000000bb", ANY, CHOIR_APPEND_CONFLICT, 2 },
    { NULL, 2, CHOIR_APPEND_STORED, 3 },
    { "00000000000000aa", ANY, CHOIR_APPEND_STORED, 4 },
    { "00000000000000aa", 2, CHOIR_APPEND_CONFLICT, 4 },
  };
  const ChoirStoreEntry entry = { .data = "x", .len = 1 };
  g_autoptr (ChoirStreamPart) part = NULL;
  g_autoptr (GError) error = NULL;
  GAsyncResult *saved = NULL;
  g_autoptr (GAsyncResult) refused = NULL;
  ChoirAppended appended;
  Answers answers = { 0 };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    choir_store_append_epoch_async (fixture->store, "doc", rows[i].epoch, rows[i].expected, &entry,
                                    1, NULL, answered_cb, &answers);
  while (answers.n_answers < G_N_ELEMENTS (rows))
    g_main_context_iteration (NULL, TRUE);

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_assert_cmpint (answers.appended[i].status, ==, rows[i].status);
      g_assert_cmpuint (answers.appended[i].offset, ==, rows[i].offset);
      g_assert_cmpstr (answers.appended[i].epoch, ==, "00000000000000aa");
    }

  part = store_read (fixture->store, "doc", 0, 10, FALSE, &error);
  g_assert_cmpstr (part->epoch, ==, "00000000000000aa");
  g_assert_cmpuint (part->n_entries, ==, 4);

  choir_store_append_epoch_async (fixture->store, "doc", "short", ANY, &entry, 1, NULL,
                                  store_save_result, &saved);
  refused = store_wait (&saved);
  g_assert_false (choir_store_append_finish (fixture->store, refused, &appended, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION);
}

static void
test_load (Fixture *fixture, gconstpointer data)
{
  static const struct
  {
    guint64 at_most;
    guint64 snapshot; /* 0: none */
    guint n_entries;
  } rows[] = {
    { 0, 0, 0 }, { 3, 0, 3 },  { 4, 4, 0 },   { 6, 4, 2 },
    { 8, 8, 0 }, { 10, 8, 2 }, { 100, 8, 2 }, { ANY, 8, 2 },
  };
  g_autoptr (GError) error = NULL;

  store_append_numbers (fixture->store, "doc", 10);
  store_append_text (fixture->store, "dob", NULL, "before");
  store_append_text (fixture->store, "dod", NULL, "behind");
  g_assert_true (store_put_snapshot (fixture->store, "doc", 8, NULL, "eight", 0, &error));
  g_assert_true (store_put_snapshot (fixture->store, "doc", 4, "name", "four", 0, &error));

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (ChoirStreamPart) part =
        store_load (fixture->store, "doc", rows[i].at_most, &error);

      g_assert_no_error (error);
      g_assert_true (part->complete);
      g_assert_cmpuint (part->head, ==, 10);
      g_assert_cmpuint (part->first, ==, 1);
      g_assert_cmpuint (part->snapshot != NULL ? part->snapshot->offset : 0, ==, rows[i].snapshot);
      assert_numbers (part, rows[i].snapshot + 1, rows[i].n_entries, 1);
      if (rows[i].snapshot == 4)
        {
          g_assert_cmpstr (part->snapshot->label, ==, "name");
          g_assert_cmpstr (part->snapshot->user_id, ==, "alice");
          g_assert_cmpuint (part->snapshot->len, ==, 4);
          g_assert_cmpmem (g_bytes_get_data (part->snapshot->data, NULL),
                           g_bytes_get_size (part->snapshot->data), "four", 4);
        }
    }
}

static void
test_nothing (Fixture *fixture, gconstpointer data)
{
  g_autoptr (ChoirStreamPart) loaded = NULL;
  g_autoptr (ChoirStreamPart) read = NULL;
  g_autoptr (GPtrArray) snapshots = NULL;
  g_autoptr (GPtrArray) streams = NULL;
  g_autoptr (GPtrArray) users = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) trim_error = NULL;
  g_autoptr (GError) delete_error = NULL;

  loaded = store_load (fixture->store, "doc", ANY, &error);
  g_assert_no_error (error);
  g_assert_false (loaded->exists);
  g_assert_cmpuint (loaded->n_entries, ==, 0);
  read = store_read (fixture->store, "doc", 0, 10, FALSE, &error);
  g_assert_no_error (error);
  g_assert_false (read->exists);
  snapshots = store_list_snapshots (fixture->store, "doc", 0, 10);
  g_assert_cmpuint (snapshots->len, ==, 0);
  streams = store_list (fixture->store, NULL, NULL, 10);
  g_assert_cmpuint (streams->len, ==, 0);
  users = store_list_users (fixture->store, NULL, 10);
  g_assert_cmpuint (users->len, ==, 0);

  g_assert_false (store_trim (fixture->store, "doc", 5, &trim_error));
  g_assert_error (trim_error, CHOIR_ERROR, CHOIR_ERROR_NOT_FOUND);
  g_assert_false (store_delete (fixture->store, "doc", &delete_error));
  g_assert_error (delete_error, CHOIR_ERROR, CHOIR_ERROR_NOT_FOUND);
}

static void
test_read (Fixture *fixture, gconstpointer data)
{
  static const struct
  {
    guint64 after;
    guint limit;
    gboolean reverse;
    guint64 first;
    guint n;
    gboolean complete;
  } rows[] = {
    { 0, 100, FALSE, 3, 8, TRUE }, { 5, 100, FALSE, 6, 5, TRUE },   { 5, 5, FALSE, 6, 5, TRUE },
    { 5, 4, FALSE, 6, 4, FALSE },  { 9, 1, FALSE, 10, 1, TRUE },    { 10, 9, FALSE, 0, 0, TRUE },
    { 11, 9, FALSE, 0, 0, TRUE },  { ANY, 9, FALSE, 0, 0, TRUE },   { 0, 0, FALSE, 0, 0, FALSE },
    { 10, 0, FALSE, 0, 0, TRUE },  { ANY, 100, TRUE, 10, 8, TRUE }, { 11, 100, TRUE, 10, 8, TRUE },
    { 12, 3, TRUE, 10, 3, FALSE }, { 10, 8, TRUE, 9, 7, TRUE },     { 4, 8, TRUE, 3, 1, TRUE },
    { 3, 8, TRUE, 0, 0, TRUE },    { 1, 8, TRUE, 0, 0, TRUE },      { 0, 8, TRUE, 0, 0, TRUE },
    { 5, 2, TRUE, 4, 2, TRUE },    { 5, 1, TRUE, 4, 1, FALSE },
  };
  g_autoptr (GError) error = NULL;

  store_append_numbers (fixture->store, "doc", 10);
  store_append_numbers (fixture->store, "dod", 20);
  g_assert_true (store_trim (fixture->store, "doc", 3, &error));

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (ChoirStreamPart) part =
        store_read (fixture->store, "doc", rows[i].after, rows[i].limit, rows[i].reverse, &error);

      g_test_message ("row %u", i);
      g_assert_no_error (error);
      g_assert_true (part->exists);
      g_assert_cmpuint (part->first, ==, 3);
      g_assert_cmpuint (part->head, ==, 10);
      g_assert_null (part->snapshot);
      assert_numbers (part, rows[i].first, rows[i].n, rows[i].reverse ? -1 : 1);
      g_assert_cmpint (part->complete, ==, rows[i].complete);
    }
}

static void
assert_offsets (const GPtrArray *snapshots, const guint64 *offsets, guint n)
{
  g_assert_cmpuint (snapshots->len, ==, n);
  for (guint i = 0; i < n; i++)
    g_assert_cmpuint (((const ChoirSnapshot *) snapshots->pdata[i])->offset, ==, offsets[i]);
}

static void
assert_trimmed (Fixture *fixture, guint64 before, guint64 first)
{
  g_autoptr (ChoirStreamPart) part = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true (store_trim (fixture->store, "doc", before, &error));
  part = store_read (fixture->store, "doc", 0, 1000, FALSE, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (part->first, ==, first);
  g_assert_cmpuint (part->head, ==, 100);
  assert_numbers (part, first, (guint) (101 - first), 1);
}

static void
test_trim (Fixture *fixture, gconstpointer data)
{
  static const guint64 all[] = { 80, 60, 40, 20, 10, 10 };
  static const guint64 after_41[] = { 80, 60, 40, 10 };
  static const guint64 after_42[] = { 80, 60, 10 };
  static const guint64 last[] = { 80, 10 };
  g_autoptr (GPtrArray) snapshots = NULL;
  g_autoptr (GPtrArray) kept = NULL;
  g_autoptr (GPtrArray) fewer = NULL;
  g_autoptr (GPtrArray) fewest = NULL;
  g_autoptr (GError) error = NULL;

  store_append_numbers (fixture->store, "doc", 100);
  assert_trimmed (fixture, 0, 1);
  assert_trimmed (fixture, 1, 1);
  for (guint64 offset = 20; offset <= 80; offset += 20)
    g_assert_true (store_put_snapshot (fixture->store, "doc", offset, NULL, "text", 0, &error));
  g_assert_true (store_put_snapshot (fixture->store, "doc", 10, "kept", "text", 0, &error));
  g_assert_true (store_put_snapshot (fixture->store, "doc", 10, NULL, "text", 0, &error));

  assert_trimmed (fixture, 11, 11);
  snapshots = store_list_snapshots (fixture->store, "doc", 0, 100);
  assert_offsets (snapshots, all, 6);

  /* the first entry, 41, goes on from the snapshot of 40 */
  assert_trimmed (fixture, 41, 41);
  kept = store_list_snapshots (fixture->store, "doc", 0, 100);
  assert_offsets (kept, after_41, 4);
  g_assert_cmpstr (((ChoirSnapshot *) kept->pdata[3])->label, ==, "kept");
  assert_trimmed (fixture, 42, 42);
  fewer = store_list_snapshots (fixture->store, "doc", 0, 100);
  assert_offsets (fewer, after_42, 3);

  /* backwards there is no way; forward, no further than to the newest snapshot */
  assert_trimmed (fixture, 5, 42);
  assert_trimmed (fixture, ANY, 81);
  fewest = store_list_snapshots (fixture->store, "doc", 0, 100);
  assert_offsets (fewest, last, 2);
}

static void
test_trim_all (Fixture *fixture, gconstpointer data)
{
  g_autoptr (ChoirStreamPart) part = NULL;
  g_autoptr (ChoirStreamPart) loaded = NULL;
  g_autoptr (GError) error = NULL;

  store_append_text (fixture->store, "log", "a", "1");
  store_append_text (fixture->store, "log", "b", "2");
  g_assert_true (store_trim (fixture->store, "log", 2, &error));
  g_assert_cmpuint (store_find_key (fixture->store, "log", "a"), ==, 0);
  g_assert_cmpuint (store_find_key (fixture->store, "log", "b"), ==, 2);
  /* without a snapshot nothing has to be covered */
  g_assert_true (store_trim (fixture->store, "log", 1000, &error));
  part = store_read (fixture->store, "log", 0, 10, FALSE, &error);
  g_assert_true (part->exists);
  g_assert_cmpuint (part->first, ==, 3);
  g_assert_cmpuint (part->head, ==, 2);
  g_assert_cmpuint (part->n_entries, ==, 0);

  /* a key whose entry is gone is free; offsets go on */
  g_assert_cmpuint (store_append_text (fixture->store, "log", "a", "3"), ==, 3);
  loaded = store_load (fixture->store, "log", ANY, &error);
  g_assert_cmpuint (loaded->first, ==, 3);
  g_assert_cmpuint (loaded->n_entries, ==, 1);
  assert_entry (&loaded->entries[0], 3, "3");
}

static void
test_trim_many (Fixture *fixture, gconstpointer data)
{
  const guint n = 12000;
  g_autoptr (ChoirStreamPart) part = NULL;
  g_autoptr (GError) error = NULL;

  store_append_numbers (fixture->store, "log", n / 2);
  store_append_numbers (fixture->store, "log", n / 2);
  g_assert_true (store_trim (fixture->store, "log", n - 9, &error));
  g_assert_no_error (error);
  part = store_read (fixture->store, "log", 0, n, FALSE, &error);
  g_assert_cmpuint (part->first, ==, n - 9);
  g_assert_cmpuint (part->n_entries, ==, 10);
}

static void
test_delete (Fixture *fixture, gconstpointer data)
{
  const ChoirStoreEntry entry = { .key = "a", .data = "again", .len = 5 };
  g_autoptr (ChoirStreamPart) gone = NULL;
  g_autoptr (ChoirStreamPart) part = NULL;
  g_autoptr (GPtrArray) streams = NULL;
  g_autoptr (GPtrArray) snapshots = NULL;
  g_autoptr (GError) error = NULL;
  ChoirAppended before, after;

  store_append_numbers (fixture->store, "doc", 5000);
  store_append_text (fixture->store, "doc", "a", "x");
  g_assert_true (store_append (fixture->store, "doc", 5001, &entry, 1, &before, &error));
  g_assert_cmpint (before.status, ==, CHOIR_APPEND_DUPLICATE);
  g_assert_true (store_put_snapshot (fixture->store, "doc", 7, "label", "text", 0, &error));
  g_assert_true (store_delete (fixture->store, "doc", &error));

  gone = store_load (fixture->store, "doc", ANY, &error);
  g_assert_false (gone->exists);
  streams = store_list (fixture->store, NULL, NULL, 10);
  g_assert_cmpuint (streams->len, ==, 0);
  snapshots = store_list_snapshots (fixture->store, "doc", 0, 10);
  g_assert_cmpuint (snapshots->len, ==, 0);

  /* another life */
  g_assert_true (store_append (fixture->store, "doc", 0, &entry, 1, &after, &error));
  g_assert_cmpint (after.status, ==, CHOIR_APPEND_STORED);
  g_assert_cmpuint (after.offset, ==, 1);
  g_assert_cmpstr (after.epoch, !=, before.epoch);
  part = store_load (fixture->store, "doc", ANY, &error);
  g_assert_cmpuint (part->n_entries, ==, 1);
  g_assert_null (part->snapshot);
}

static void
delete_other (ChoirStore *store, const char *epoch, guint64 expected)
{
  GAsyncResult *saved = NULL;
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;

  choir_store_delete_async (store, "log", epoch, expected, NULL, store_save_result, &saved);
  result = store_wait (&saved);
  g_assert_false (choir_store_delete_finish (store, result, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFLICT);
}

/* Only the stream that is meant */
static void
test_delete_that (Fixture *fixture, gconstpointer data)
{
  g_autoptr (ChoirStreamPart) part = NULL;
  g_autoptr (GPtrArray) infos = NULL;
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  GAsyncResult *saved = NULL;
  const ChoirStreamInfo *info;

  store_append_numbers (fixture->store, "log", 3);
  infos = store_list (fixture->store, NULL, NULL, 1);
  info = infos->pdata[0];
  part = store_read (fixture->store, "log", 0, 10, FALSE, &error);
  g_assert_cmpstr (info->epoch, ==, part->epoch);

  delete_other (fixture->store, info->epoch, 2);
  delete_other (fixture->store, NULL, 4);
  delete_other (fixture->store, "0123456789abcdef", 3);
  delete_other (fixture->store, "0123456789abcdef", ANY);
  store_append_text (fixture->store, "log", NULL, "x");
  delete_other (fixture->store, info->epoch, info->head);

  choir_store_delete_async (fixture->store, "log", info->epoch, 4, NULL, store_save_result, &saved);
  result = store_wait (&saved);
  g_assert_true (choir_store_delete_finish (fixture->store, result, &error));
  g_assert_no_error (error);
}

static void
assert_names (ChoirStore *store,
              const char *prefix,
              const char *after,
              guint limit,
              const char *wanted)
{
  g_autoptr (GPtrArray) infos = store_list (store, prefix, after, limit);
  g_autoptr (GString) names = g_string_new (NULL);

  for (guint i = 0; i < infos->len; i++)
    g_string_append_printf (names, "%s ", ((ChoirStreamInfo *) infos->pdata[i])->name);
  g_assert_cmpstr (names->str, ==, wanted);
}

static void
test_list (Fixture *fixture, gconstpointer data)
{
  static const char *const names[] = { "document:b", "chat:1",    "document:a",
                                       "document:",  "documents", "\xc3\xa9" };
  g_autoptr (GPtrArray) infos = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    store_append_numbers (fixture->store, names[i], i + 1);

  assert_names (fixture->store, NULL, NULL, 100,
                "chat:1 document: document:a document:b documents \xc3\xa9 ");
  assert_names (fixture->store, "document:", NULL, 100, "document: document:a document:b ");
  assert_names (fixture->store, "document:", "document:", 100, "document:a document:b ");
  assert_names (fixture->store, "document:", "document:a", 1, "document:b ");
  assert_names (fixture->store, "document:", "chat:1", 2, "document: document:a ");
  assert_names (fixture->store, "document:", "documents", 2, "");
  assert_names (fixture->store, "e", NULL, 2, "");
  assert_names (fixture->store, NULL, "documents", 2, "\xc3\xa9 ");
  assert_names (fixture->store, NULL, NULL, 0, "");

  infos = store_list (fixture->store, "chat", NULL, 1);
  g_assert_cmpuint (infos->len, ==, 1);
  g_assert_cmpuint (((ChoirStreamInfo *) infos->pdata[0])->head, ==, 2);
  g_assert_cmpint (((ChoirStreamInfo *) infos->pdata[0])->changed_us, ==, 1700000000000001);
}

static void
test_snapshots (Fixture *fixture, gconstpointer data)
{
  static const guint64 replaced[] = { 6, 4 };
  g_autoptr (ChoirStreamPart) part = NULL;
  g_autoptr (GPtrArray) list = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) unknown = NULL;
  g_autoptr (GError) future = NULL;

  g_assert_false (store_put_snapshot (fixture->store, "doc", 1, NULL, "x", 0, &unknown));
  g_assert_error (unknown, CHOIR_ERROR, CHOIR_ERROR_NOT_FOUND);
  store_append_numbers (fixture->store, "doc", 6);
  g_assert_false (store_put_snapshot (fixture->store, "doc", 7, NULL, "x", 0, &future));
  g_assert_error (future, CHOIR_ERROR, CHOIR_ERROR_VALIDATION);

  g_assert_true (store_put_snapshot (fixture->store, "doc", 2, NULL, "two", 0, &error));
  g_assert_true (store_put_snapshot (fixture->store, "doc", 4, NULL, "four", 2, &error));
  g_assert_true (store_put_snapshot (fixture->store, "doc", 4, NULL, "4", 4, &error));
  g_assert_true (store_put_snapshot (fixture->store, "doc", 6, "label", "six", 0, &error));
  /* a named one is not replaced */
  g_assert_true (store_put_snapshot (fixture->store, "doc", 6, "label", "6", 6, &error));
  list = store_list_snapshots (fixture->store, "doc", 0, 10);
  assert_offsets (list, replaced, 2);
  g_assert_cmpstr (((ChoirSnapshot *) list->pdata[0])->label, ==, "label");
  g_assert_cmpstr (((ChoirSnapshot *) list->pdata[0])->user_id, ==, "alice");
  g_assert_cmpint (((ChoirSnapshot *) list->pdata[0])->wall_us, ==, 1700000000000000);
  g_assert_cmpuint (((ChoirSnapshot *) list->pdata[0])->len, ==, 1);
  g_assert_null (((ChoirSnapshot *) list->pdata[0])->data);
  g_assert_null (((ChoirSnapshot *) list->pdata[1])->label);
  part = store_load (fixture->store, "doc", 4, &error);
  g_assert_cmpmem (g_bytes_get_data (part->snapshot->data, NULL), part->snapshot->len, "4", 1);
}

/* A document that begins with a text */
static void
test_snapshot_creates (Fixture *fixture, gconstpointer data)
{
  const ChoirStoreEntry entry = { .data = "x", .len = 1 };
  g_autoptr (ChoirStreamPart) part = NULL;
  g_autoptr (GPtrArray) streams = NULL;
  g_autoptr (GError) error = NULL;
  ChoirAppended appended;

  g_assert_true (store_put_snapshot (fixture->store, "doc", 0, NULL, "", 0, &error));
  part = store_load (fixture->store, "doc", ANY, &error);
  g_assert_true (part->exists);
  g_assert_cmpuint (part->head, ==, 0);
  g_assert_cmpuint (part->first, ==, 1);
  g_assert_nonnull (part->snapshot);
  g_assert_cmpuint (part->snapshot->offset, ==, 0);
  g_assert_cmpuint (g_bytes_get_size (part->snapshot->data), ==, 0);

  streams = store_list (fixture->store, NULL, NULL, 10);
  g_assert_cmpint (((ChoirStreamInfo *) streams->pdata[0])->changed_us, ==, 1700000000000000);
  g_assert_true (store_append (fixture->store, "doc", 0, &entry, 1, &appended, &error));
  g_assert_cmpint (appended.status, ==, CHOIR_APPEND_STORED);
  g_assert_cmpstr (appended.epoch, ==, part->epoch);
}

static void
test_snapshot_pages (Fixture *fixture, gconstpointer data)
{
  static const guint64 first[] = { 5, 4, 4, 4 };
  static const guint64 second[] = { 3, 2 };
  static const guint64 third[] = { 1 };
  g_autoptr (GPtrArray) one = NULL;
  g_autoptr (GPtrArray) two = NULL;
  g_autoptr (GPtrArray) three = NULL;
  g_autoptr (GPtrArray) none = NULL;
  g_autoptr (GError) error = NULL;

  store_append_numbers (fixture->store, "doc", 5);
  for (guint64 offset = 1; offset <= 5; offset++)
    g_assert_true (store_put_snapshot (fixture->store, "doc", offset, NULL, "x", 0, &error));
  g_assert_true (store_put_snapshot (fixture->store, "doc", 4, "a", "x", 0, &error));
  g_assert_true (store_put_snapshot (fixture->store, "doc", 4, "b", "x", 0, &error));

  one = store_list_snapshots (fixture->store, "doc", 0, 2);
  assert_offsets (one, first, 4);
  g_assert_cmpstr (((ChoirSnapshot *) one->pdata[1])->label, ==, "b");
  two = store_list_snapshots (fixture->store, "doc", 4, 2);
  assert_offsets (two, second, 2);
  three = store_list_snapshots (fixture->store, "doc", 2, 2);
  assert_offsets (three, third, 1);
  none = store_list_snapshots (fixture->store, "doc", 0, 0);
  g_assert_cmpuint (none->len, ==, 0);
}

static void
test_labels (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) one_more = NULL;

  store_append_numbers (fixture->store, "doc", 2);
  for (guint i = 0; i < CHOIR_STORE_LABELS_MAX; i++)
    {
      g_autofree char *label = g_strdup_printf ("%u", i);

      g_assert_true (store_put_snapshot (fixture->store, "doc", 2, label, "x", 0, &error));
    }

  g_assert_false (store_put_snapshot (fixture->store, "doc", 2, "too many", "x", 0, &one_more));
  g_assert_error (one_more, CHOIR_ERROR, CHOIR_ERROR_VALIDATION);
  g_assert_true (store_put_snapshot (fixture->store, "doc", 2, "0", "x", 0, &error));
  g_assert_true (store_put_snapshot (fixture->store, "doc", 2, NULL, "x", 0, &error));
  g_assert_true (store_put_snapshot (fixture->store, "doc", 1, "elsewhere", "x", 0, &error));
}

static void
test_users (Fixture *fixture, gconstpointer data)
{
  g_autoptr (ChoirStoreUser) alice = NULL;
  g_autoptr (ChoirStoreUser) changed = NULL;
  g_autoptr (GPtrArray) all = NULL;
  g_autoptr (GPtrArray) page = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) unknown = NULL;
  gint64 before_us = g_get_real_time ();

  g_assert_true (store_put_user (fixture->store, "carol", NULL, TRUE, &error));
  g_assert_true (store_put_user (fixture->store, "alice", "Alice", TRUE, &error));
  g_assert_true (store_put_user (fixture->store, "bob", "Bob", FALSE, &error));

  alice = store_get_user (fixture->store, "alice", &error);
  g_assert_no_error (error);
  g_assert_cmpstr (alice->id, ==, "alice");
  g_assert_cmpstr (alice->name, ==, "Alice");
  g_assert_true (alice->active);
  g_assert_cmpint (alice->created_us, >=, before_us);
  g_assert_cmpint (alice->created_us, <=, g_get_real_time ());

  g_assert_true (store_put_user (fixture->store, "alice", NULL, FALSE, &error));
  changed = store_get_user (fixture->store, "alice", &error);
  g_assert_null (changed->name);
  g_assert_false (changed->active);
  g_assert_cmpint (changed->created_us, ==, alice->created_us);

  all = store_list_users (fixture->store, NULL, 10);
  g_assert_cmpuint (all->len, ==, 3);
  g_assert_cmpstr (((ChoirStoreUser *) all->pdata[1])->id, ==, "bob");
  g_assert_false (((ChoirStoreUser *) all->pdata[1])->active);
  page = store_list_users (fixture->store, "alice", 1);
  g_assert_cmpuint (page->len, ==, 1);
  g_assert_cmpstr (((ChoirStoreUser *) page->pdata[0])->id, ==, "bob");

  g_assert_null (store_get_user (fixture->store, "dave", &unknown));
  g_assert_error (unknown, CHOIR_ERROR, CHOIR_ERROR_NOT_FOUND);
}

static void
put_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_assert_true (choir_store_put_user_finish (CHOIR_STORE (source), result, NULL));
  *(guint *) user_data += 1;
}

/* However many are asked for, so many at a time */
static void
test_list_max (Fixture *fixture, gconstpointer data)
{
  const guint n = CHOIR_STORE_LIST_MAX + 1;
  g_autoptr (GPtrArray) users = NULL;
  g_autoptr (GPtrArray) rest = NULL;
  guint n_put = 0;

  for (guint i = 0; i < n; i++)
    {
      g_autofree char *id = g_strdup_printf ("user-%05u", i);
      const ChoirStoreUser user = { .id = id, .active = TRUE };

      choir_store_put_user_async (fixture->store, &user, NULL, put_cb, &n_put);
    }
  while (n_put < n)
    g_main_context_iteration (NULL, TRUE);

  users = store_list_users (fixture->store, NULL, G_MAXUINT);
  g_assert_cmpuint (users->len, ==, CHOIR_STORE_LIST_MAX);
  rest = store_list_users (fixture->store, "user-09999", G_MAXUINT);
  g_assert_cmpuint (rest->len, ==, 1);
  g_assert_cmpstr (((ChoirStoreUser *) rest->pdata[0])->id, ==, "user-10000");
}

static void
refuse_append (Fixture *fixture,
               const char *stream,
               const ChoirStoreEntry *entries,
               guint n,
               ChoirError code)
{
  g_autoptr (ChoirStreamPart) part = NULL;
  g_autoptr (GError) error = NULL;
  ChoirAppended appended;

  g_assert_false (store_append (fixture->store, stream, ANY, entries, n, &appended, &error));
  g_assert_error (error, CHOIR_ERROR, (int) code);
  part = store_load (fixture->store, "fine", ANY, NULL);
  g_assert_false (part->exists);
}

static void
test_limits (Fixture *fixture, gconstpointer data)
{
  g_autofree char *longest = g_strnfill (CHOIR_STORE_NAME_MAX, 'n');
  g_autofree char *too_long = g_strnfill (CHOIR_STORE_NAME_MAX + 1, 'n');
  g_autofree ChoirStoreEntry *many = g_new0 (ChoirStoreEntry, CHOIR_STORE_APPEND_MAX + 1);
  const ChoirStoreEntry fine = { .data = "x", .len = 1 };
  const ChoirStoreEntry bad[] = {
    { .type = too_long },
    { .id = too_long },
    { .user_id = too_long },
    { .session_id = too_long },
    { .key = too_long },
    { .key = "" },
    { .data = "", .len = CHOIR_STORE_APPEND_BYTES_MAX + 1 },
  };
  const ChoirStoreEntry twice[] = { { .key = "k" }, { .key = "j" }, { .key = "k" } };
  const ChoirStoreEntry all_long = { .type = longest,
                                     .id = longest,
                                     .user_id = longest,
                                     .session_id = longest,
                                     .key = longest };
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) label = NULL;
  g_autoptr (GError) user = NULL;
  ChoirAppended appended;

  refuse_append (fixture, "", &fine, 1, CHOIR_ERROR_VALIDATION);
  refuse_append (fixture, too_long, &fine, 1, CHOIR_ERROR_VALIDATION);
  refuse_append (fixture, "fine", &fine, 0, CHOIR_ERROR_VALIDATION);
  refuse_append (fixture, "fine", many, CHOIR_STORE_APPEND_MAX + 1, CHOIR_ERROR_VALIDATION);
  refuse_append (fixture, "fine", twice, 3, CHOIR_ERROR_VALIDATION);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    refuse_append (fixture, "fine", &bad[i], 1, CHOIR_ERROR_VALIDATION);

  g_assert_true (store_append (fixture->store, longest, ANY, &all_long, 1, &appended, &error));
  g_assert_true (
    store_append (fixture->store, "many", ANY, many, CHOIR_STORE_APPEND_MAX, &appended, &error));
  g_assert_cmpuint (appended.offset, ==, CHOIR_STORE_APPEND_MAX);
  g_assert_false (store_put_snapshot (fixture->store, "many", 1, too_long, "x", 0, &label));
  g_assert_error (label, CHOIR_ERROR, CHOIR_ERROR_VALIDATION);
  g_assert_false (store_put_user (fixture->store, too_long, NULL, TRUE, &user));
  g_assert_error (user, CHOIR_ERROR, CHOIR_ERROR_VALIDATION);
}

static void
test_cancelled (Fixture *fixture, gconstpointer data)
{
  const ChoirStoreEntry entry = { .data = "x", .len = 1 };
  g_autoptr (GCancellable) before = g_cancellable_new ();
  g_autoptr (GCancellable) later = g_cancellable_new ();
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GAsyncResult) later_result = NULL;
  g_autoptr (ChoirStreamPart) part = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) later_error = NULL;
  GAsyncResult *saved = NULL;
  ChoirAppended appended;

  g_cancellable_cancel (before);
  choir_store_append_async (fixture->store, "doc", 0, &entry, 1, before, store_save_result, &saved);
  result = store_wait (&saved);
  g_assert_false (choir_store_append_finish (fixture->store, result, &appended, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  part = store_load (fixture->store, "doc", ANY, NULL);
  g_assert_false (part->exists);

  choir_store_read_async (fixture->store, "doc", 0, 1, FALSE, later, store_save_result, &saved);
  g_cancellable_cancel (later);
  later_result = store_wait (&saved);
  g_assert_null (choir_store_read_finish (fixture->store, later_result, &later_error));
  g_assert_error (later_error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

static void
test_close (Fixture *fixture, gconstpointer data)
{
  const ChoirStoreEntry entry = { .data = "x", .len = 1 };
  g_autoptr (GAsyncResult) append_result = NULL;
  g_autoptr (GAsyncResult) close_result = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) closed = NULL;
  g_autoptr (GError) unread = NULL;
  GAsyncResult *appending = NULL;
  GAsyncResult *closing = NULL;
  ChoirAppended appended;

  choir_store_append_async (fixture->store, "doc", 0, &entry, 1, NULL, store_save_result,
                            &appending);
  choir_store_close_async (fixture->store, NULL, store_save_result, &closing);
  g_assert_false (store_append (fixture->store, "doc", 0, &entry, 1, &appended, &closed));
  g_assert_error (closed, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE);
  g_assert_null (store_load (fixture->store, "doc", ANY, &unread));
  g_assert_error (unread, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE);

  while (closing == NULL)
    g_main_context_iteration (NULL, TRUE);
  /* what came before has been answered before */
  g_assert_nonnull (appending);
  append_result = appending;
  close_result = closing;
  g_assert_true (choir_store_append_finish (fixture->store, append_result, &appended, &error));
  g_assert_cmpint (appended.status, ==, CHOIR_APPEND_STORED);
  g_assert_true (choir_store_close_finish (fixture->store, close_result, &error));
  g_assert_no_error (error);
  g_assert_true (store_close (fixture->store, &error));
}

typedef struct
{
  ChoirStore *store;
  GRand *rand; /* (owned) */
  guint n_under_way;
  guint n_stored;
} Editors;

static void start_append (Editors *editors);

static void
edited_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Editors *editors = user_data;
  g_autoptr (GError) error = NULL;
  ChoirAppended appended;

  choir_store_append_finish (CHOIR_STORE (source), result, &appended, &error);
  g_assert_no_error (error);
  editors->n_under_way--;
  if (appended.status == CHOIR_APPEND_STORED)
    editors->n_stored++;
  if (editors->n_stored < 500)
    start_append (editors);
}

static void
start_append (Editors *editors)
{
  const ChoirStoreEntry entry = { .data = "x", .len = 1 };
  guint64 expected = g_rand_boolean (editors->rand)
                       ? ANY
                       : editors->n_stored + g_rand_int_range (editors->rand, 0, 3);

  editors->n_under_way++;
  choir_store_append_async (editors->store, "doc", expected, &entry, 1, NULL, edited_cb, editors);
}

/* However many there are, each stored append is one more */
static void
test_many (Fixture *fixture, gconstpointer data)
{
  Editors editors = { .store = fixture->store, .rand = g_rand_new_with_seed (7) };
  g_autoptr (ChoirStreamPart) part = NULL;

  for (guint i = 0; i < 20; i++)
    start_append (&editors);
  while (editors.n_under_way > 0)
    g_main_context_iteration (NULL, TRUE);

  part = store_load (fixture->store, "doc", ANY, NULL);
  g_assert_cmpuint (part->head, ==, editors.n_stored);
  g_assert_cmpuint (part->n_entries, ==, editors.n_stored);
  g_rand_free (editors.rand);
}

/* Larger than the blocks of a result, and than a page of a database */
static void
test_large (Fixture *fixture, gconstpointer data)
{
  const gsize size = 3 * 1024 * 1024 + 17;
  g_autofree char *large = g_malloc (size);
  g_autoptr (ChoirStreamPart) part = NULL;
  g_autoptr (GRand) rand = g_rand_new_with_seed (11);
  ChoirStoreEntry entry = { .data = large, .len = size };
  g_autoptr (GError) error = NULL;
  ChoirAppended appended;

  for (gsize i = 0; i < size; i++)
    large[i] = (char) g_rand_int (rand);
  store_append_numbers (fixture->store, "doc", 3000);
  g_assert_true (store_append (fixture->store, "doc", ANY, &entry, 1, &appended, &error));
  part = store_load (fixture->store, "doc", ANY, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (part->n_entries, ==, 3001);
  assert_entry (&part->entries[2999], 3000, "3000");
  g_assert_cmpmem (part->entries[3000].data, part->entries[3000].len, large, size);
  g_assert_cmpuint (part->blocks->len, <=, 12);
}

static void
notified_cb (GObject *object, GParamSpec *pspec, gpointer user_data)
{
  *(guint *) user_data += 1;
}

static void
test_memory_failing (void)
{
  g_autoptr (ChoirStore) store = choir_store_memory_new (MEMORY_MAX);
  const ChoirStoreEntry entry = { .data = "x", .len = 1 };
  g_autoptr (GError) failed = NULL;
  g_autoptr (GError) failed_again = NULL;
  g_autoptr (ChoirStreamPart) part = NULL;
  guint n_notified = 0;
  ChoirAppended appended;

  g_signal_connect (store, "notify::writable", G_CALLBACK (notified_cb), &n_notified);
  store_append_text (store, "doc", NULL, "1");
  choir_store_memory_set_failing (CHOIR_STORE_MEMORY (store), TRUE);
  g_assert_true (choir_store_is_writable (store));
  g_assert_false (store_append (store, "doc", ANY, &entry, 1, &appended, &failed));
  g_assert_error (failed, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE);
  g_assert_false (choir_store_is_writable (store));
  g_assert_cmpuint (n_notified, ==, 1);
  g_assert_false (store_delete (store, "doc", &failed_again));
  g_assert_error (failed_again, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE);
  part = store_load (store, "doc", ANY, NULL);
  g_assert_cmpuint (part->head, ==, 1);

  choir_store_memory_set_failing (CHOIR_STORE_MEMORY (store), FALSE);
  g_assert_cmpuint (store_append_text (store, "doc", NULL, "2"), ==, 2);
  g_assert_true (choir_store_is_writable (store));
  g_assert_cmpuint (n_notified, ==, 2);
}

static void
test_memory_full (void)
{
  g_autoptr (ChoirStore) store = choir_store_memory_new (20000);
  g_autofree char *data = g_strnfill (1000, 'x');
  const ChoirStoreEntry entry = { .data = data, .len = 1000 };
  ChoirStoreEntry entries[30];
  g_autoptr (ChoirStreamPart) part = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) too_large = NULL;
  ChoirAppended appended;
  guint n = 0;

  while (store_append (store, "doc", ANY, &entry, 1, &appended, &error))
    n++;
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE);
  g_assert_cmpuint (n, >=, 15);
  g_assert_cmpuint (n, <=, 20);
  g_assert_true (choir_store_is_writable (store));

  /* what is forgotten makes room, all of it */
  for (guint i = 0; i < 5; i++)
    {
      g_assert_true (store_trim (store, "doc", ANY, NULL));
      g_assert_true (store_delete (store, "doc", NULL));
      for (guint j = 0; j < n; j++)
        store_append_text (store, "doc", NULL, data);
      g_assert_true (store_trim (store, "doc", n, NULL));
      g_assert_true (store_put_snapshot (store, "doc", n, NULL, data, 0, NULL));
    }

  /* and none of an append that is too large as a whole is there */
  g_assert_true (store_delete (store, "doc", NULL));
  for (guint i = 0; i < G_N_ELEMENTS (entries); i++)
    entries[i] = entry;
  g_assert_false (
    store_append (store, "new", ANY, entries, G_N_ELEMENTS (entries), &appended, &too_large));
  g_assert_error (too_large, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE);
  part = store_load (store, "new", ANY, NULL);
  g_assert_false (part->exists);
}

static const struct
{
  const char *name;
  void (*test) (Fixture *fixture, gconstpointer data);
} tests[] = {
  { "append", test_append },
  { "conflict", test_conflict },
  { "duplicate", test_duplicate },
  { "together", test_together },
  { "epoch", test_epoch },
  { "load", test_load },
  { "nothing", test_nothing },
  { "read", test_read },
  { "trim", test_trim },
  { "trim-all", test_trim_all },
  { "trim-many", test_trim_many },
  { "delete", test_delete },
  { "delete/that", test_delete_that },
  { "list", test_list },
  { "snapshots", test_snapshots },
  { "snapshot-creates", test_snapshot_creates },
  { "snapshot-pages", test_snapshot_pages },
  { "labels", test_labels },
  { "users", test_users },
  { "list-max", test_list_max },
  { "limits", test_limits },
  { "cancelled", test_cancelled },
  { "close", test_close },
  { "many", test_many },
  { "large", test_large },
};

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (backends); i++)
    for (guint j = 0; j < G_N_ELEMENTS (tests); j++)
      {
        g_autofree char *path = g_strdup_printf ("/store/%s/%s", backends[i].name, tests[j].name);

        g_test_add (path, Fixture, &backends[i], set_up, tests[j].test, tear_down);
      }
  g_test_add_func ("/store/memory/failing", test_memory_failing);
  g_test_add_func ("/store/memory/full", test_memory_full);

  return g_test_run ();
}
