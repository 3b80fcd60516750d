/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-directory.h"

#include "choir-error.h"

static void
checked_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GAsyncResult **out = user_data;

  *out = g_object_ref (result);
}

static gboolean
check (ChoirDirectoryMemory *directory, const char *user, GCancellable *cancellable, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;

  choir_directory_check_async (CHOIR_DIRECTORY (directory), user, cancellable, checked_cb, &result);
  /* never before it returns */
  g_assert_null (result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);

  return choir_directory_check_finish (CHOIR_DIRECTORY (directory), result, error);
}

static void
test_check (void)
{
  g_autoptr (ChoirDirectoryMemory) directory = choir_directory_memory_new ();
  g_autoptr (GError) unknown = NULL;
  g_autoptr (GError) inactive = NULL;
  g_autoptr (GError) cleared = NULL;

  choir_directory_memory_set (directory, "alice", TRUE);
  choir_directory_memory_set (directory, "bob", FALSE);
  g_assert_true (check (directory, "alice", NULL, NULL));
  g_assert_false (check (directory, "carol", NULL, &unknown));
  g_assert_false (check (directory, "bob", NULL, &inactive));
  g_assert_error (unknown, CHOIR_ERROR, CHOIR_ERROR_AUTH);
  /* the client is told no difference */
  g_assert_cmpstr (unknown->message, ==, inactive->message);
  g_assert_error (inactive, CHOIR_ERROR, CHOIR_ERROR_AUTH);

  choir_directory_memory_set (directory, "bob", TRUE);
  g_assert_true (check (directory, "bob", NULL, NULL));
  choir_directory_memory_clear (directory);
  g_assert_false (check (directory, "alice", NULL, &cleared));
}

static void
test_cancelled (void)
{
  g_autoptr (ChoirDirectoryMemory) directory = choir_directory_memory_new ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;

  choir_directory_memory_set (directory, "alice", TRUE);
  g_cancellable_cancel (cancellable);
  g_assert_false (check (directory, "alice", cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/directory/check", test_check);
  g_test_add_func ("/directory/cancelled", test_cancelled);

  return g_test_run ();
}
