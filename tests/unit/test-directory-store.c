/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-directory-store.h"

#include "choir-error.h"

#include "store-sync.h"

static gboolean
check (ChoirDirectory *directory, const char *user, GCancellable *cancellable, GError **error)
{
  GAsyncResult *saved = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  choir_directory_check_async (directory, user, cancellable, store_save_result, &saved);
  /* never before it returns */
  result = store_wait (&saved);

  return choir_directory_check_finish (directory, result, error);
}

static void
assert_refused (ChoirDirectory *directory, const char *user, ChoirError code, const char *message)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (check (directory, user, NULL, &error));
  g_assert_error (error, CHOIR_ERROR, (int) code);
  g_assert_cmpstr (error->message, ==, message);
}

/* The same words as those of the directory in memory: the client is told no difference */
static void
assert_unknown (ChoirDirectory *directory, const char *user)
{
  g_autoptr (ChoirDirectoryMemory) memory = choir_directory_memory_new ();
  g_autoptr (GError) error = NULL;

  g_assert_false (check (CHOIR_DIRECTORY (memory), "nobody", NULL, &error));
  assert_refused (directory, user, CHOIR_ERROR_AUTH, error->message);
}

static void
test_check (void)
{
  g_autoptr (ChoirStore) store = choir_store_memory_new (1024 * 1024);
  g_autoptr (ChoirDirectoryMemory) known = choir_directory_memory_new ();
  g_autoptr (ChoirDirectory) directory = choir_directory_store_new (store, known);
  g_autofree char *too_long = g_strnfill (CHOIR_STORE_NAME_MAX + 1, 'x');

  assert_unknown (directory, "alice");
  g_assert_true (store_put_user (store, "alice", NULL, TRUE, NULL));
  g_assert_true (store_put_user (store, "bob", NULL, FALSE, NULL));
  g_assert_true (check (directory, "alice", NULL, NULL));
  assert_unknown (directory, "bob");
  assert_unknown (directory, "carol");
  assert_unknown (directory, too_long);
  assert_unknown (directory, "");

  /* what changes counts at once */
  g_assert_true (store_put_user (store, "alice", NULL, FALSE, NULL));
  assert_unknown (directory, "alice");
  g_assert_true (store_put_user (store, "alice", NULL, TRUE, NULL));
  g_assert_true (check (directory, "alice", NULL, NULL));
}

/* The configured list comes first */
static void
test_known (void)
{
  g_autoptr (ChoirStore) store = choir_store_memory_new (1024 * 1024);
  g_autoptr (ChoirDirectoryMemory) known = choir_directory_memory_new ();
  g_autoptr (ChoirDirectory) directory = choir_directory_store_new (store, known);

  g_assert_true (store_put_user (store, "alice", NULL, TRUE, NULL));
  choir_directory_memory_set (known, "alice", FALSE);
  choir_directory_memory_set (known, "dave", TRUE);
  assert_unknown (directory, "alice");
  g_assert_true (check (directory, "dave", NULL, NULL));
  choir_directory_memory_clear (known);
  g_assert_true (check (directory, "alice", NULL, NULL));
  assert_unknown (directory, "dave");
}

static void
test_cancelled (void)
{
  g_autoptr (ChoirStore) store = choir_store_memory_new (1024 * 1024);
  g_autoptr (ChoirDirectoryMemory) known = choir_directory_memory_new ();
  g_autoptr (ChoirDirectory) directory = choir_directory_store_new (store, known);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;

  g_assert_true (store_put_user (store, "alice", NULL, TRUE, NULL));
  g_cancellable_cancel (cancellable);
  g_assert_false (check (directory, "alice", cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

/* That the store can't be read is no reason to say that a user is unknown */
static void
test_unavailable (void)
{
  g_autoptr (ChoirStore) store = choir_store_memory_new (1024 * 1024);
  g_autoptr (ChoirDirectoryMemory) known = choir_directory_memory_new ();
  g_autoptr (ChoirDirectory) directory = choir_directory_store_new (store, known);

  choir_directory_memory_set (known, "dave", TRUE);
  g_assert_true (store_close (store, NULL));
  assert_refused (directory, "alice", CHOIR_ERROR_UNAVAILABLE,
                  "The users can't be read at the moment");
  g_assert_true (check (directory, "dave", NULL, NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/directory-store/check", test_check);
  g_test_add_func ("/directory-store/known", test_known);
  g_test_add_func ("/directory-store/cancelled", test_cancelled);
  g_test_add_func ("/directory-store/unavailable", test_unavailable);

  return g_test_run ();
}
