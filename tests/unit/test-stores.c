/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-stores.h"

#include "choir-error.h"

#include "store-sync.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

typedef struct
{
  char *directory; /* (owned) */
  char *below;     /* (owned): a directory that is not there */
  char *path;      /* (owned): a database in it */
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  fixture->directory = g_dir_make_tmp ("choir-stores-XXXXXX", NULL);
  g_assert_nonnull (fixture->directory);
  fixture->below = g_build_filename (fixture->directory, "below", NULL);
  fixture->path = g_build_filename (fixture->below, "choir.db", NULL);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  if (g_file_test (fixture->below, G_FILE_TEST_IS_DIR))
    store_remove_directory (fixture->below);
  store_remove_directory (fixture->directory);
  g_free (fixture->directory);
  g_free (fixture->below);
  g_free (fixture->path);
}

/* @settings: "section.key=value" with spaces between */
static ChoirConfig *
load (const char *settings)
{
  g_auto (GStrv) sets = g_strsplit (settings, " ", -1);
  g_autoptr (ChoirConfig) config = choir_config_new ();
  g_autoptr (GError) error = NULL;

  choir_config_load (config, "/dev/null", NULL, (const char *const *) sets, &error);
  g_assert_no_error (error);

  return g_steal_pointer (&config);
}

static ChoirConfig *
load_path (const char *path)
{
  g_autofree char *setting = g_strdup_printf ("store.path=%s", path);

  return load (setting);
}

static void
assert_path (const char *settings, const char *wanted)
{
  g_autoptr (ChoirConfig) config = load (settings);
  g_autoptr (GError) error = NULL;
  g_autofree char *path = choir_stores_dup_path (config, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (path, ==, wanted);
}

/* In a process of its own: the environment is its subject */
static void
test_path_inside (void)
{
  g_autofree char *at_home = g_build_filename (g_get_user_state_dir (), "choir", "choir.db", NULL);

  g_unsetenv ("STATE_DIRECTORY");
  assert_path ("log.level=info", at_home);
  assert_path ("store.path=/somewhere/x.db", "/somewhere/x.db");
  g_setenv ("STATE_DIRECTORY", "/var/lib/choir", TRUE);
  assert_path ("log.level=info", "/var/lib/choir/choir.db");
  assert_path ("store.path=/somewhere/x.db", "/somewhere/x.db");
  g_setenv ("STATE_DIRECTORY", "/var/lib/choir:/var/lib/other", TRUE);
  assert_path ("log.level=info", "/var/lib/choir/choir.db");
  g_setenv ("STATE_DIRECTORY", "", TRUE);
  assert_path ("log.level=info", at_home);
}

static void
test_path (void)
{
  g_test_trap_subprocess ("/stores/path/subprocess", 0, 0);
  g_test_trap_assert_passed ();
}

static void
test_open (Fixture *fixture, gconstpointer data)
{
  g_autoptr (ChoirConfig) config = load_path (fixture->path);
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) twice = NULL;
  ChoirStore *store;
  struct stat status;

  g_assert_true (choir_stores_check (config, &error));
  /* looking makes nothing */
  g_assert_false (g_file_test (fixture->below, G_FILE_TEST_EXISTS));
  store = choir_stores_open (config, &error);
  g_assert_no_error (error);
  g_assert_true (CHOIR_IS_STORE_SQLITE (store));
  g_assert_cmpint (stat (fixture->below, &status), ==, 0);
  g_assert_cmphex (status.st_mode & 0777, ==, 0700);
  /* a service that runs is no obstacle to checking its settings */
  g_assert_true (choir_stores_check (config, &error));
  g_assert_null (choir_stores_open (config, &twice));
  g_assert_error (twice, CHOIR_ERROR, CHOIR_ERROR_CONFIG);

  choir_stores_close (store, 10 * G_USEC_PER_SEC);
  g_assert_finalize_object (store);
}

static void
test_memory (void)
{
  g_autoptr (ChoirConfig) config = load ("store.backend=memory store.memory-size=10K");
  g_autofree char *data = g_strnfill (11000, 'x');
  const ChoirStoreEntry entry = { .data = data, .len = 11000 };
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) full = NULL;
  g_autoptr (GError) no_path = NULL;
  g_autoptr (ChoirStore) store = NULL;

  g_assert_true (choir_stores_check (config, &error));
  store = choir_stores_open (config, &error);
  g_assert_no_error (error);
  g_assert_true (CHOIR_IS_STORE_MEMORY (store));
  g_assert_false (store_append (store, "doc", 0, &entry, 1, NULL, &full));
  g_assert_error (full, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE);
  g_assert_null (choir_stores_dup_path (config, &no_path));
  g_assert_error (no_path, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
  choir_stores_close (store, 10 * G_USEC_PER_SEC);
}

static void
assert_refused (ChoirConfig *config, const char *complaint)
{
  g_autoptr (GError) unchecked = NULL;
  g_autoptr (GError) unopened = NULL;

  g_assert_false (choir_stores_check (config, &unchecked));
  g_assert_error (unchecked, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
  g_assert_nonnull (strstr (unchecked->message, complaint));
  g_assert_null (choir_stores_open (config, &unopened));
  g_assert_nonnull (unopened);
}

static void
test_redis (void)
{
  g_autoptr (ChoirConfig) config =
    load ("store.backend=redis cluster.redis=redis://localhost:6379/0");

  assert_refused (config, "backend=redis");
}

static void
test_bad_places (Fixture *fixture, gconstpointer data)
{
  g_autofree char *file = g_build_filename (fixture->directory, "file", NULL);
  g_autofree char *in_file = g_build_filename (file, "sub", "choir.db", NULL);
  g_autoptr (ChoirConfig) below_file = load_path (in_file);
  g_autoptr (ChoirConfig) is_directory = load_path (fixture->below);

  g_assert_cmpint (g_mkdir (fixture->below, 0700), ==, 0);
  g_assert_true (g_file_set_contents (file, "", 0, NULL));
  assert_refused (below_file, "Not a directory");
  assert_refused (is_directory, "is not a file");
  g_assert_cmpint (g_unlink (file), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/stores/path", test_path);
  g_test_add_func ("/stores/path/subprocess", test_path_inside);
  g_test_add ("/stores/open", Fixture, NULL, set_up, test_open, tear_down);
  g_test_add_func ("/stores/memory", test_memory);
  g_test_add_func ("/stores/redis", test_redis);
  g_test_add ("/stores/bad-places", Fixture, NULL, set_up, test_bad_places, tear_down);

  return g_test_run ();
}
