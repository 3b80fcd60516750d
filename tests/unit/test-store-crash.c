/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A process that appends is killed at moments of chance: what it reported is there, once
 */

#include "config.h"

#include "store-sync.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANY CHOIR_STORE_ANY_OFFSET
#define SEED 19700101
#define N_STREAMS 3
#define IN_FLIGHT 20
#define N_KILLS 40
#define N_TORN 40

static const char *const streams[N_STREAMS] = { "document:a", "document:b", "document:c" };

/* The process that is killed. It says "start", then a line for each append that is stored: the
 * stream's number, the last offset, how many entries, the number of the first one's key */

typedef struct
{
  ChoirStore *store;
  GRand *rand;      /* (owned) */
  guint64 next_key; /* keys are numbers, and never come twice */
  guint64 n_reports;
} Child;

typedef struct
{
  Child *child;
  guint stream;
  guint n_entries;
  guint64 first_key;
} Change;

static void begin_change (Child *child);

static void
ignore_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
}

/* So that it happens in the middle of everything a store does */
static void
do_something_else (Child *child, guint stream, guint64 offset)
{
  g_autoptr (GBytes) data = g_bytes_new (NULL, 0);
  const ChoirSnapshot snapshot = { .offset = offset, .data = data };

  if (child->n_reports % 50 == 0)
    choir_store_put_snapshot_async (child->store, streams[stream], &snapshot, 0, NULL, ignore_cb,
                                    NULL);
  if (child->n_reports % 70 == 0)
    choir_store_trim_async (child->store, "log", ANY, NULL, ignore_cb, NULL);
  if (child->n_reports % 300 == 0)
    choir_store_delete_async (child->store, "log", NULL, CHOIR_STORE_ANY_OFFSET, NULL, ignore_cb,
                              NULL);
}

static void
changed_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autofree Change *change = user_data;
  Child *child = change->child;
  ChoirAppended appended;

  if (!choir_store_append_finish (child->store, result, &appended, NULL) ||
      appended.status != CHOIR_APPEND_STORED)
    exit (3);

  child->n_reports++;
  /* nobody listens: then this is over */
  if (dprintf (STDOUT_FILENO, "%u %" G_GUINT64_FORMAT " %u %" G_GUINT64_FORMAT "\n", change->stream,
               appended.offset, change->n_entries, change->first_key) < 0)
    exit (4);
  do_something_else (child, change->stream, appended.offset);
  begin_change (child);
}

static void
begin_change (Child *child)
{
  static const char data[2000];
  Change *change = g_new0 (Change, 1);
  const ChoirStoreEntry noise = { .data = "x", .len = 1 };
  ChoirStoreEntry entries[3] = { { 0 } };
  char keys[3][32];

  change->child = child;
  change->stream = (guint) g_rand_int_range (child->rand, 0, N_STREAMS);
  change->n_entries = (guint) g_rand_int_range (child->rand, 1, 4);
  change->first_key = child->next_key;
  for (guint i = 0; i < change->n_entries; i++)
    {
      g_snprintf (keys[i], sizeof keys[i], "%" G_GUINT64_FORMAT, child->next_key++);
      entries[i].key = keys[i];
      entries[i].data = data;
      entries[i].len = (gsize) (g_rand_int_range (child->rand, 0, 20) == 0 ? 2000 : 50);
    }

  choir_store_append_async (child->store, streams[change->stream], ANY, entries, change->n_entries,
                            NULL, changed_cb, change);
  choir_store_append_async (child->store, "log", ANY, &noise, 1, NULL, ignore_cb, NULL);
}

G_NORETURN static void
run_child (const char *path, const char *first_key, const char *seed)
{
  Child child = { .rand = g_rand_new_with_seed ((guint32) strtoul (seed, NULL, 10)),
                  .next_key = strtoull (first_key, NULL, 10) };
  g_autoptr (GError) error = NULL;

  dprintf (STDOUT_FILENO, "start\n");
  child.store = choir_store_sqlite_open (path, CHOIR_DURABILITY_FULL, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < IN_FLIGHT; i++)
    begin_change (&child);
  for (;;)
    g_main_context_iteration (NULL, TRUE);
}

/* The one that kills */

typedef struct
{
  char *directory;                 /* (owned) */
  char *path;                      /* (owned) */
  GRand *rand;                     /* (owned) */
  GHashTable *reported[N_STREAMS]; /* (element-type guint64 guint64) (owned): offset to key */
  guint64 next_key;
  pid_t pid;
  FILE *lines;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  fixture->directory = g_dir_make_tmp ("choir-store-XXXXXX", NULL);
  g_assert_nonnull (fixture->directory);
  fixture->path = g_build_filename (fixture->directory, "choir.db", NULL);
  fixture->rand = g_rand_new_with_seed (SEED);
  for (guint i = 0; i < N_STREAMS; i++)
    fixture->reported[i] = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, g_free);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  for (guint i = 0; i < N_STREAMS; i++)
    g_hash_table_unref (fixture->reported[i]);
  g_rand_free (fixture->rand);
  store_remove_directory (fixture->directory);
  g_free (fixture->directory);
  g_free (fixture->path);
}

static void
start_child (Fixture *fixture)
{
  g_autofree char *first_key = g_strdup_printf ("%" G_GUINT64_FORMAT, fixture->next_key);
  g_autofree char *seed = g_strdup_printf ("%u", g_rand_int (fixture->rand));
  char *argv[] = {
    (char *) "/proc/self/exe", (char *) "--child", fixture->path, first_key, seed, NULL
  };
  g_autoptr (GError) error = NULL;
  int fd;

  g_spawn_async_with_pipes (NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &fixture->pid,
                            NULL, &fd, NULL, &error);
  g_assert_no_error (error);
  fixture->lines = fdopen (fd, "r");
  /* numbers that no earlier one has used */
  fixture->next_key += 10 * 1000 * 1000;
}

static gboolean
read_line (Fixture *fixture)
{
  char line[128];
  guint stream, n_entries;
  guint64 last, first_key;

  if (fgets (line, sizeof line, fixture->lines) == NULL)
    return FALSE;

  if (strcmp (line, "start\n") == 0)
    return TRUE;

  g_assert_cmpint (sscanf (line, "%u %" G_GUINT64_FORMAT " %u %" G_GUINT64_FORMAT, &stream, &last,
                           &n_entries, &first_key),
                   ==, 4);
  for (guint i = 0; i < n_entries; i++)
    {
      guint64 offset = last - n_entries + 1 + i;
      guint64 key = first_key + i;

      g_assert_true (g_hash_table_insert (fixture->reported[stream],
                                          g_memdup2 (&offset, sizeof offset),
                                          g_memdup2 (&key, sizeof key)));
    }

  return TRUE;
}

/* All that it has said counts, also what was still in the pipe */
static void
kill_child (Fixture *fixture)
{
  int status;

  g_assert_cmpint (kill (fixture->pid, SIGKILL), ==, 0);
  while (read_line (fixture))
    continue;
  fclose (fixture->lines);
  g_assert_cmpint (waitpid (fixture->pid, &status, 0), ==, fixture->pid);
  g_assert_true (WIFSIGNALED (status));
}

static guint64
assert_stream (ChoirStore *store, const char *name, GHashTable *reported, GHashTable *keys)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirStreamPart) part =
    store_read (store, name, 0, CHOIR_STORE_PART_MAX, FALSE, &error);
  guint n_found = 0;

  g_assert_no_error (error);
  g_assert_true (part->complete);
  g_assert_cmpuint (part->n_entries, ==, part->head);
  for (guint i = 0; i < part->n_entries; i++)
    {
      const guint64 offset = i + 1;
      const guint64 key = strtoull (part->entries[i].key, NULL, 10);
      const guint64 *wanted = g_hash_table_lookup (reported, &offset);

      g_assert_cmpuint (part->entries[i].offset, ==, offset);
      g_assert_true (g_hash_table_add (keys, g_memdup2 (&key, sizeof key)));
      if (wanted == NULL)
        continue;
      g_assert_cmpuint (key, ==, *wanted);
      n_found++;
    }
  g_assert_cmpuint (n_found, ==, g_hash_table_size (reported));

  return part->head;
}

static guint64
assert_all_there (const char *path, GHashTable *const *reported)
{
  g_autoptr (GHashTable) keys = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  g_autoptr (GError) error = NULL;
  ChoirStore *store = choir_store_sqlite_open (path, CHOIR_DURABILITY_FULL, &error);
  guint64 n = 0;

  g_assert_no_error (error);
  for (guint i = 0; i < N_STREAMS; i++)
    n += assert_stream (store, streams[i], reported[i], keys);
  g_assert_true (store_close (store, &error));
  g_assert_finalize_object (store);

  return n;
}

static void
test_killed (Fixture *fixture, gconstpointer data)
{
  for (guint i = 0; i < N_KILLS; i++)
    {
      /* some before it has done anything, most in the middle of its work */
      guint n_lines = i % 8 == 0 ? 1 : (guint) g_rand_int_range (fixture->rand, 1, 400);

      start_child (fixture);
      for (guint j = 0; j < n_lines; j++)
        g_assert_true (read_line (fixture));
      kill_child (fixture);
      assert_all_there (fixture->path, fixture->reported);
    }

  for (guint i = 0; i < N_STREAMS; i++)
    g_assert_cmpuint (g_hash_table_size (fixture->reported[i]), >, 1000);
}

/* The power goes: of the log, what was synced is there; of what came behind it, anything */

static gsize
get_size (const char *path)
{
  struct stat status;

  g_assert_cmpint (stat (path, &status), ==, 0);

  return (gsize) status.st_size;
}

/* Cut, or garbled, behind the @safe first bytes */
static void
damage_tail (GRand *rand, GByteArray *bytes, gsize safe)
{
  guint n = (guint) (bytes->len - safe);
  guint from = (guint) safe + g_rand_int (rand) % n;
  guint n_hits = (guint) g_rand_int_range (rand, 1, 50);

  switch (g_rand_int_range (rand, 0, 4))
    {
    case 0:
      g_byte_array_set_size (bytes, from);
      break;
    case 1: /* a page that was allocated and not written */
      memset (bytes->data + from, 0, bytes->len - from);
      break;
    case 2:
      for (guint i = from; i < bytes->len; i++)
        bytes->data[i] = (guint8) g_rand_int (rand);
      break;
    default:
      for (guint i = 0; i < n_hits; i++)
        bytes->data[safe + g_rand_int (rand) % n] ^= (guint8) g_rand_int_range (rand, 1, 256);
    }
}

static void
try_torn (Fixture *fixture, const char *database, gsize len, const GBytes *wal, gsize safe)
{
  g_autofree char *path = g_build_filename (fixture->directory, "torn.db", NULL);
  g_autofree char *wal_path = g_strconcat (path, "-wal", NULL);
  g_autofree char *shm_path = g_strconcat (path, "-shm", NULL);
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  gsize wal_len;
  const guint8 *wal_data = g_bytes_get_data ((GBytes *) wal, &wal_len);

  g_byte_array_append (bytes, wal_data, (guint) wal_len);
  damage_tail (fixture->rand, bytes, safe);
  g_assert_true (g_file_set_contents (path, database, (gssize) len, NULL));
  g_assert_true (
    g_file_set_contents (wal_path, (const char *) bytes->data, (gssize) bytes->len, NULL));
  unlink (shm_path);
  assert_all_there (path, fixture->reported);
}

static void
test_torn (Fixture *fixture, gconstpointer data)
{
  g_autofree char *wal_path = g_strconcat (fixture->path, "-wal", NULL);
  g_autofree char *database = NULL;
  g_autoptr (GBytes) wal = NULL;
  GHashTable *later[N_STREAMS];
  GHashTable *sooner[N_STREAMS];
  char *wal_data;
  gsize len, wal_len, safe;

  start_child (fixture);
  for (guint i = 0; i < 150; i++)
    g_assert_true (read_line (fixture));
  /* what is reported up to here was synced when the log had no more than this */
  safe = get_size (wal_path);
  for (guint i = 0; i < N_STREAMS; i++)
    {
      sooner[i] = fixture->reported[i];
      later[i] = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, g_free);
      fixture->reported[i] = later[i];
    }
  while (get_size (wal_path) < safe + 200000)
    g_assert_true (read_line (fixture));
  kill_child (fixture);

  g_assert_true (g_file_get_contents (fixture->path, &database, &len, NULL));
  g_assert_true (g_file_get_contents (wal_path, &wal_data, &wal_len, NULL));
  wal = g_bytes_new_take (wal_data, wal_len);
  g_assert_cmpuint (wal_len, >, safe);
  /* the log was never folded back, so it still begins where it began */
  g_assert_cmpuint (wal_len, <, 2000 * 4096);

  for (guint i = 0; i < N_STREAMS; i++)
    {
      fixture->reported[i] = sooner[i];
      g_hash_table_unref (later[i]);
    }
  for (guint i = 0; i < N_TORN; i++)
    try_torn (fixture, database, len, wal, safe);
}

int
main (int argc, char **argv)
{
  if (argc == 5 && strcmp (argv[1], "--child") == 0)
    run_child (argv[2], argv[3], argv[4]);

  g_test_init (&argc, &argv, NULL);

  g_test_add ("/store-crash/killed", Fixture, NULL, set_up, test_killed, tear_down);
  g_test_add ("/store-crash/torn", Fixture, NULL, set_up, test_torn, tear_down);

  return g_test_run ();
}
