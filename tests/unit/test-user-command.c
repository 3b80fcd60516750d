/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * choird user and choird backup
 */

#include "config.h"

#include "choir-backup-command.h"
#include "choir-user-command.h"

#include "store-sync.h"

#include <glib/gstdio.h>
#include <string.h>

typedef int (*Command) (int argc, char **argv);

typedef struct
{
  char *directory; /* (owned) */
  char *path;      /* (owned): of the database */
  char *copy;      /* (owned) */
  char *setting;   /* (owned) */
} Fixture;

static GString *printed;
static GString *complained;

static void
print (const char *text)
{
  g_string_append (printed, text);
}

static void
complain (const char *text)
{
  g_string_append (complained, text);
}

static void
set_up (Fixture *fixture, gconstpointer data)
{
  fixture->directory = g_dir_make_tmp ("choir-user-XXXXXX", NULL);
  g_assert_nonnull (fixture->directory);
  fixture->path = g_build_filename (fixture->directory, "choir.db", NULL);
  fixture->copy = g_build_filename (fixture->directory, "copy.db", NULL);
  fixture->setting = g_strdup_printf ("store.path=%s", fixture->path);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  store_remove_directory (fixture->directory);
  g_free (fixture->directory);
  g_free (fixture->path);
  g_free (fixture->copy);
  g_free (fixture->setting);
}

/* @words: with spaces between. Returns what the command does */
static int
run (const Fixture *fixture, Command command, const char *words)
{
  g_auto (GStrv) list = g_strsplit (words, " ", -1);
  g_autoptr (GPtrArray) argv = g_ptr_array_new ();
  GPrintFunc old_print, old_complain;
  int status;

  g_string_truncate (printed, 0);
  g_string_truncate (complained, 0);
  g_ptr_array_add (argv, (char *) "command");
  for (char **word = list; *word != NULL; word++)
    g_ptr_array_add (argv, *word);
  g_ptr_array_add (argv, (char *) "--config=/dev/null");
  g_ptr_array_add (argv, (char *) "--set");
  g_ptr_array_add (argv, fixture->setting);
  g_ptr_array_add (argv, NULL);

  old_print = g_set_print_handler (print);
  old_complain = g_set_printerr_handler (complain);
  status = command ((int) argv->len - 1, (char **) argv->pdata);
  g_set_print_handler (old_print);
  g_set_printerr_handler (old_complain);

  return status;
}

static void
assert_done (const Fixture *fixture, const char *words, const char *said)
{
  g_assert_cmpint (run (fixture, choir_user_command, words), ==, 0);
  g_assert_cmpstr (complained->str, ==, "");
  g_assert_cmpstr (printed->str, ==, said);
}

static void
assert_changed (const Fixture *fixture, const char *words, const char *said)
{
  g_autofree char *whole = g_strdup_printf ("%s, %s\n", said, fixture->path);

  assert_done (fixture, words, whole);
}

static void
assert_refused (const Fixture *fixture, Command command, const char *words, const char *complaint)
{
  g_assert_cmpint (run (fixture, command, words), ==, 1);
  g_assert_cmpstr (printed->str, ==, "");
  g_assert_true (g_str_has_prefix (
    complained->str, command == choir_user_command ? "choird user: " : "choird backup: "));
  if (strstr (complained->str, complaint) == NULL)
    g_error ("“%s” is not in “%s”", complaint, complained->str);
}

static void
test_users (Fixture *fixture, gconstpointer data)
{
  assert_changed (fixture, "add alice", "alice: added");
  assert_changed (fixture, "add bob --name Bob", "bob: added");
  assert_done (fixture, "list", "alice\tactive\t\nbob\tactive\tBob\n");
  assert_changed (fixture, "disable bob", "bob: disabled");
  assert_done (fixture, "list", "alice\tactive\t\nbob\tdisabled\tBob\n");
  assert_refused (fixture, choir_user_command, "add bob", "choird user enable");
  assert_refused (fixture, choir_user_command, "add alice", "already");
  assert_changed (fixture, "enable bob", "bob: enabled");
  assert_done (fixture, "list", "alice\tactive\t\nbob\tactive\tBob\n");

  g_assert_cmpint (run (fixture, choir_user_command, "list --json"), ==, 0);
  g_assert_true (
    g_str_has_prefix (printed->str, "{\"id\":\"alice\",\"active\":true,\"created_at\":\"2"));
  g_assert_nonnull (strstr (printed->str, "\n{\"id\":\"bob\",\"name\":\"Bob\",\"active\":true,"));
}

static void
test_users_refused (Fixture *fixture, gconstpointer data)
{
  g_autofree char *too_long = g_strnfill (251, 'x');
  g_autofree char *long_id = g_strdup_printf ("add %s", too_long);
  g_autofree char *long_name = g_strdup_printf ("add a --name %s%s", too_long, too_long);

  /* and nothing is made by asking */
  assert_refused (fixture, choir_user_command, "list", fixture->path);
  assert_refused (fixture, choir_user_command, "disable alice", "There is no database");
  assert_refused (fixture, choir_user_command, "enable", "is needed");
  assert_refused (fixture, choir_user_command, "remove alice", "is needed");
  assert_refused (fixture, choir_user_command, "list alice", "is needed");
  assert_refused (fixture, choir_user_command, "add a\x01", "is no user");
  assert_refused (fixture, choir_user_command, long_id, "is no user");
  assert_refused (fixture, choir_user_command, long_name, "--name");
  assert_refused (fixture, choir_user_command, "add alice --set nonsense", "nonsense");
  assert_refused (fixture, choir_user_command, "add alice --set store.backend=memory", "memory");
  assert_refused (fixture, choir_user_command, "add alice --no-such", "no-such");
  g_assert_false (g_file_test (fixture->path, G_FILE_TEST_EXISTS));

  assert_changed (fixture, "add alice", "alice: added");
  assert_refused (fixture, choir_user_command, "disable bob", "bob");
}

static void
test_many_users (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GString) wanted = g_string_new (NULL);
  ChoirStore *store = choir_store_sqlite_open (fixture->path, CHOIR_DURABILITY_NORMAL, &error);

  g_assert_no_error (error);
  for (guint i = 0; i < 2500; i++)
    {
      g_autofree char *id = g_strdup_printf ("user-%04u", i);

      g_assert_true (store_put_user (store, id, NULL, TRUE, &error));
      g_string_append_printf (wanted, "%s\tactive\t\n", id);
    }

  /* the service has it open */
  assert_done (fixture, "list", wanted->str);
  assert_changed (fixture, "disable user-0007", "user-0007: disabled");
  {
    g_autoptr (ChoirStoreUser) user = store_get_user (store, "user-0007", &error);

    g_assert_false (user->active);
  }
  g_assert_true (store_close (store, &error));
  g_object_unref (store);
}

static void
test_backup (Fixture *fixture, gconstpointer data)
{
  G_GNUC_UNUSED g_autofree char *lock = g_strconcat (fixture->copy, ".lock", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirStoreUser) user = NULL;
  ChoirStore *store;

  assert_refused (fixture, choir_backup_command, fixture->copy, fixture->path);
  assert_changed (fixture, "add alice", "alice: added");
  assert_refused (fixture, choir_backup_command, "", "is needed");
  assert_refused (fixture, choir_backup_command, "a b", "is needed");
  assert_refused (fixture, choir_backup_command, fixture->path, "exists");
  g_assert_cmpint (run (fixture, choir_backup_command, fixture->copy), ==, 0);
  g_assert_cmpstr (complained->str, ==, "");
  assert_refused (fixture, choir_backup_command, fixture->copy, "exists");

  store = choir_store_sqlite_open (fixture->copy, CHOIR_DURABILITY_NORMAL, &error);
  g_assert_no_error (error);
  user = store_get_user (store, "alice", &error);
  g_assert_no_error (error);
  g_assert_true (store_close (store, &error));
  g_object_unref (store);
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  printed = g_string_new (NULL);
  complained = g_string_new (NULL);

  g_test_add ("/user-command/users", Fixture, NULL, set_up, test_users, tear_down);
  g_test_add ("/user-command/refused", Fixture, NULL, set_up, test_users_refused, tear_down);
  g_test_add ("/user-command/many", Fixture, NULL, set_up, test_many_users, tear_down);
  g_test_add ("/user-command/backup", Fixture, NULL, set_up, test_backup, tear_down);

  status = g_test_run ();
  g_string_free (printed, TRUE);
  g_string_free (complained, TRUE);

  return status;
}
