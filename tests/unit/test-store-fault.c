/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A disk that fails: what was acknowledged stays, nothing else appears, and it recovers
 */

#include "config.h"

#include "choir-error.h"

#include "fault-vfs.h"
#include "store-sync.h"

#include <glib/gstdio.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANY CHOIR_STORE_ANY_OFFSET
#define SEED 20240229

typedef struct
{
  char *directory; /* (owned) */
  char *path;      /* (owned) */
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  fixture->directory = g_dir_make_tmp ("choir-store-XXXXXX", NULL);
  g_assert_nonnull (fixture->directory);
  fixture->path = g_build_filename (fixture->directory, "choir.db", NULL);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  store_remove_directory (fixture->directory);
  g_free (fixture->directory);
  g_free (fixture->path);
}

static ChoirStore *
open_store (const char *path, ChoirDurability durability)
{
  g_autoptr (GError) error = NULL;
  ChoirStore *store = choir_store_sqlite_open (path, durability, &error);

  g_assert_no_error (error);

  return store;
}

static void
close_store (ChoirStore *store)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (store_close (store, &error));
  g_assert_finalize_object (store);
}

static void
assert_head (ChoirStore *store, const char *stream, guint64 head)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirStreamPart) part = store_load (store, stream, ANY, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (part->head, ==, head);
  g_assert_cmpuint (part->n_entries, ==, head);
}

static void
assert_append_fails (ChoirStore *store, const char *stream)
{
  const ChoirStoreEntry entry = { .key = "lost", .data = "x", .len = 1 };
  g_autoptr (GError) error = NULL;
  ChoirAppended appended;

  g_assert_false (store_append (store, stream, ANY, &entry, 1, &appended, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE);
}

static void
notified_cb (GObject *object, GParamSpec *pspec, gpointer user_data)
{
  gboolean writable;

  g_object_get (object, "writable", &writable, NULL);
  g_string_append_c (user_data, writable ? '+' : '-');
}

/* Each kind: the one that fails says so, others are refused at once, reading goes on, and it is
 * over when it is over */
static void
test_fault (Fixture *fixture, gconstpointer data)
{
  Fault fault = (Fault) GPOINTER_TO_INT (data);
  ChoirStore *store = open_store (fixture->path, CHOIR_DURABILITY_FULL);
  g_autoptr (GString) notified = g_string_new (NULL);

  g_signal_connect (store, "notify::writable", G_CALLBACK (notified_cb), notified);
  store_append_numbers (store, "doc", 3);
  fault_vfs_set (fault, 0);
  assert_append_fails (store, "doc");
  g_assert_false (choir_store_is_writable (store));
  g_assert_cmpstr (notified->str, ==, "-");
  assert_append_fails (store, "doc");
  g_assert_false (store_put_user (store, "alice", NULL, TRUE, NULL));
  g_assert_false (store_trim (store, "doc", 2, NULL));
  assert_head (store, "doc", 3);
  g_assert_cmpuint (store_find_key (store, "doc", "lost"), ==, 0);

  fault_vfs_set (FAULT_NONE, 0);
  store_wait_writable (store, TRUE);
  g_assert_cmpstr (notified->str, ==, "-+");
  g_assert_cmpuint (store_append_text (store, "doc", NULL, "4"), ==, 4);
  close_store (store);

  store = open_store (fixture->path, CHOIR_DURABILITY_FULL);
  assert_head (store, "doc", 4);
  g_assert_cmpuint (store_find_key (store, "doc", "lost"), ==, 0);
  close_store (store);
}

/* An end in the middle of it: nothing waits for ever, nothing is lost */
static void
test_fault_at_end (Fixture *fixture, gconstpointer data)
{
  ChoirStore *store = open_store (fixture->path, CHOIR_DURABILITY_FULL);

  store_append_numbers (store, "doc", 3);
  fault_vfs_set (FAULT_WRITE, 0);
  assert_append_fails (store, "doc");
  close_store (store);
  fault_vfs_set (FAULT_NONE, 0);

  store = open_store (fixture->path, CHOIR_DURABILITY_FULL);
  assert_head (store, "doc", 3);
  close_store (store);
}

typedef struct
{
  ChoirStore *store;
  GRand *rand;        /* (owned) */
  GHashTable *acked;  /* (element-type utf8 guint64) (owned): key to offset */
  GPtrArray *refused; /* (element-type utf8) (owned): keys */
  guint64 head;       /* by what was acknowledged */
  guint n_begun;
  guint n_under_way;
} Chaos;

typedef struct
{
  Chaos *chaos;
  char *key; /* (owned) */
} Change;

static void
changed_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Change *change = user_data;
  Chaos *chaos = change->chaos;
  g_autoptr (GError) error = NULL;
  ChoirAppended appended;

  chaos->n_under_way--;
  if (choir_store_append_finish (CHOIR_STORE (source), result, &appended, &error))
    {
      g_assert_cmpint (appended.status, ==, CHOIR_APPEND_STORED);
      /* one after the other, whatever was lost in between */
      g_assert_cmpuint (appended.offset, ==, ++chaos->head);
      g_hash_table_insert (chaos->acked, g_steal_pointer (&change->key),
                           g_memdup2 (&appended.offset, sizeof appended.offset));
    }
  else
    {
      g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE);
      g_ptr_array_add (chaos->refused, g_steal_pointer (&change->key));
    }
  g_free (change);
}

static void
begin_change (Chaos *chaos)
{
  g_autofree char *data = g_strnfill ((gsize) g_rand_int_range (chaos->rand, 0, 9000), 'd');
  Change *change = g_new0 (Change, 1);
  ChoirStoreEntry entry;

  change->chaos = chaos;
  change->key = g_strdup_printf ("key-%u", chaos->n_begun++);
  entry = (ChoirStoreEntry){ .key = change->key, .data = data, .len = strlen (data) };
  chaos->n_under_way++;
  choir_store_append_async (chaos->store, "doc", ANY, &entry, 1, NULL, changed_cb, change);
}

/* As many as fit into a turn, with the disk failing somewhere on the way */
static void
make_round (Chaos *chaos)
{
  guint n = (guint) g_rand_int_range (chaos->rand, 1, 30);

  fault_vfs_set ((Fault) g_rand_int_range (chaos->rand, FAULT_NONE, FAULT_TORN + 1),
                 (guint) g_rand_int_range (chaos->rand, 0, 40));
  for (guint i = 0; i < n; i++)
    begin_change (chaos);
  while (chaos->n_under_way > 0)
    g_main_context_iteration (NULL, TRUE);

  fault_vfs_set (FAULT_NONE, 0);
  store_wait_writable (chaos->store, TRUE);
  /* a success: the next failure is not the second in a row */
  begin_change (chaos);
  while (chaos->n_under_way > 0)
    g_main_context_iteration (NULL, TRUE);
}

static void
assert_as_acknowledged (Chaos *chaos)
{
  g_autoptr (ChoirStreamPart) part = store_load (chaos->store, "doc", ANY, NULL);

  g_assert_cmpuint (part->head, ==, chaos->head);
  g_assert_cmpuint (part->n_entries, ==, chaos->head);
  g_assert_cmpuint (g_hash_table_size (chaos->acked), ==, chaos->head);
  for (guint i = 0; i < part->n_entries; i++)
    {
      const guint64 *offset = g_hash_table_lookup (chaos->acked, part->entries[i].key);

      g_assert_nonnull (offset);
      g_assert_cmpuint (*offset, ==, part->entries[i].offset);
    }
}

static void
test_chaos (Fixture *fixture, gconstpointer data)
{
  Chaos chaos = {
    .store = open_store (fixture->path, CHOIR_DURABILITY_FULL),
    .rand = g_rand_new_with_seed (SEED),
    .acked = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free),
    .refused = g_ptr_array_new_with_free_func (g_free),
  };

  for (guint i = 0; i < 30; i++)
    make_round (&chaos);
  assert_as_acknowledged (&chaos);
  /* or nothing was shown */
  g_assert_cmpuint (chaos.head, >, 50);
  g_assert_cmpuint (chaos.refused->len, >, 50);
  close_store (chaos.store);

  chaos.store = open_store (fixture->path, CHOIR_DURABILITY_FULL);
  assert_as_acknowledged (&chaos);
  close_store (chaos.store);
  g_rand_free (chaos.rand);
  g_hash_table_unref (chaos.acked);
  g_ptr_array_unref (chaos.refused);
}

static void
count_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  ChoirAppended appended;

  g_assert_true (choir_store_append_finish (CHOIR_STORE (source), result, &appended, NULL));
  *(guint *) user_data += 1;
}

static guint
count_syncs (ChoirStore *store, guint n)
{
  const ChoirStoreEntry entry = { .data = "x", .len = 1 };
  guint before = fault_vfs_get_n_syncs ();
  guint n_done = 0;

  for (guint i = 0; i < n; i++)
    choir_store_append_async (store, "doc", ANY, &entry, 1, NULL, count_cb, &n_done);
  while (n_done < n)
    g_main_context_iteration (NULL, TRUE);

  return fault_vfs_get_n_syncs () - before;
}

/* What one turn of the loop asks for is written and synced together */
static void
test_syncs (Fixture *fixture, gconstpointer data)
{
  ChoirStore *store = open_store (fixture->path, CHOIR_DURABILITY_FULL);

  store_append_numbers (store, "doc", 1);
  g_assert_cmpuint (count_syncs (store, 1), ==, 1);
  g_assert_cmpuint (count_syncs (store, 100), ==, 1);
  close_store (store);

  store = open_store (fixture->path, CHOIR_DURABILITY_NORMAL);
  store_append_numbers (store, "doc", 1);
  g_assert_cmpuint (count_syncs (store, 100), ==, 0);
  close_store (store);
}

/* What takes long is not one transaction */
static void
test_pieces (Fixture *fixture, gconstpointer data)
{
  ChoirStore *store = open_store (fixture->path, CHOIR_DURABILITY_FULL);
  guint before;

  for (guint i = 0; i < 3; i++)
    store_append_numbers (store, "log", 10000);
  before = fault_vfs_get_n_syncs ();
  g_assert_true (store_trim (store, "log", 29001, NULL));
  g_assert_cmpuint (fault_vfs_get_n_syncs () - before, >=, 6);
  close_store (store);
}

/* The file is not there any more: nothing may be acknowledged that nobody will find */
static void
test_moved (Fixture *fixture, gconstpointer data)
{
  ChoirStore *store = open_store (fixture->path, CHOIR_DURABILITY_FULL);
  g_autofree char *elsewhere = g_strconcat (fixture->path, ".moved", NULL);

  store_append_numbers (store, "doc", 3);
  g_assert_cmpint (g_rename (fixture->path, elsewhere), ==, 0);
  assert_append_fails (store, "doc");
  g_assert_false (choir_store_is_writable (store));
  g_assert_cmpint (g_rename (elsewhere, fixture->path), ==, 0);
  store_wait_writable (store, TRUE);
  g_assert_cmpuint (store_append_text (store, "doc", NULL, "4"), ==, 4);
  close_store (store);
}

/* A real file system without room, in a mount namespace of its own */

static gboolean
write_map (const char *file, const char *text)
{
  FILE *map = fopen (file, "w");
  gboolean written;

  if (map == NULL)
    return FALSE;

  written = fputs (text, map) >= 0;

  return fclose (map) == 0 && written;
}

static gboolean
mount_small (const char *path)
{
  g_autofree char *uid_map = g_strdup_printf ("0 %u 1", getuid ());
  g_autofree char *gid_map = g_strdup_printf ("0 %u 1", getgid ());

  return unshare (CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_map ("/proc/self/uid_map", uid_map) &&
         write_map ("/proc/self/setgroups", "deny") && write_map ("/proc/self/gid_map", gid_map) &&
         mount ("choir-test", path, "tmpfs", 0, "size=1M") == 0;
}

static void
fill_up (const char *path)
{
  g_autofree char *chunk = g_strnfill (4096, 'x');
  FILE *file = fopen (path, "w");

  g_assert_nonnull (file);
  setvbuf (file, NULL, _IONBF, 0);
  while (fwrite (chunk, 1, 4096, file) == 4096)
    continue;
  fclose (file);
}

static void
test_full_disk_inside (void)
{
  const char *directory = g_get_tmp_dir ();
  const ChoirStoreEntry entry = { .data = "x", .len = 1 };
  g_autofree char *path = g_build_filename (directory, "choir.db", NULL);
  g_autofree char *filler = g_build_filename (directory, "filler", NULL);
  g_autoptr (GError) readonly = NULL;
  g_autoptr (ChoirStore) refused = NULL;
  ChoirAppended appended;
  ChoirStore *store;
  guint64 head = 3;

  g_assert_true (mount_small (directory));
  store = open_store (path, CHOIR_DURABILITY_FULL);
  store_append_numbers (store, "doc", 3);
  for (guint i = 0; i < 3; i++)
    {
      fill_up (filler);
      while (store_append (store, "doc", ANY, &entry, 1, &appended, NULL))
        head = appended.offset;
      g_assert_false (choir_store_is_writable (store));
      assert_head (store, "doc", head);
      g_assert_cmpint (g_unlink (filler), ==, 0);
      store_wait_writable (store, TRUE);
      g_assert_cmpuint (store_append_text (store, "doc", NULL, "x"), ==, ++head);
    }
  close_store (store);

  store = open_store (path, CHOIR_DURABILITY_FULL);
  assert_head (store, "doc", head);
  close_store (store);

  g_assert_cmpint (mount (NULL, directory, NULL, MS_REMOUNT | MS_RDONLY, NULL), ==, 0);
  refused = choir_store_sqlite_open (path, CHOIR_DURABILITY_FULL, &readonly);
  g_assert_error (readonly, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
  g_assert_nonnull (strstr (readonly->message, "Read-only file system"));
}

static gboolean
can_mount (void)
{
  pid_t pid = fork ();
  int status;

  if (pid == 0)
    _exit (mount_small (g_get_tmp_dir ()) ? 0 : 1);

  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);

  return status == 0;
}

static void
test_full_disk (void)
{
  if (!can_mount ())
    {
      g_test_skip ("no mount namespaces here");
      return;
    }

  g_test_trap_subprocess ("/store-fault/full-disk/subprocess", 0, 0);
  g_test_trap_assert_passed ();
}

int
main (int argc, char **argv)
{
  static const struct
  {
    const char *name;
    Fault fault;
  } faults[] = {
    { "full", FAULT_FULL }, { "write", FAULT_WRITE }, { "readonly", FAULT_READONLY },
    { "sync", FAULT_SYNC }, { "torn", FAULT_TORN },
  };

  g_test_init (&argc, &argv, NULL);
  fault_vfs_register ();

  for (guint i = 0; i < G_N_ELEMENTS (faults); i++)
    {
      g_autofree char *path = g_strdup_printf ("/store-fault/%s", faults[i].name);

      g_test_add (path, Fixture, GINT_TO_POINTER (faults[i].fault), set_up, test_fault, tear_down);
    }
  g_test_add ("/store-fault/at-end", Fixture, NULL, set_up, test_fault_at_end, tear_down);
  g_test_add ("/store-fault/chaos", Fixture, NULL, set_up, test_chaos, tear_down);
  g_test_add ("/store-fault/syncs", Fixture, NULL, set_up, test_syncs, tear_down);
  g_test_add ("/store-fault/pieces", Fixture, NULL, set_up, test_pieces, tear_down);
  g_test_add ("/store-fault/moved", Fixture, NULL, set_up, test_moved, tear_down);
  g_test_add_func ("/store-fault/full-disk", test_full_disk);
  g_test_add_func ("/store-fault/full-disk/subprocess", test_full_disk_inside);

  return g_test_run ();
}
