/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-hub-find.h"

#include "choir-clock.h"
#include "choir-close-code.h"
#include "task-fixture.h"

#define RESUMES QUIET "[dialect choir]\nheartbeat-interval=1h\n[session]\nresume-window=120s\n"

static void
add_user (ChoirUser *user, gpointer user_data)
{
  g_ptr_array_add (user_data, user->id);
}

static int
compare_strings (gconstpointer a, gconstpointer b)
{
  return g_strcmp0 (*(const char *const *) a, *(const char *const *) b);
}

/* The users who are visited, by name */
static void
expect_users (FakeHub *hub, const char *expected)
{
  g_autoptr (GPtrArray) found = g_ptr_array_new ();
  g_autofree char *text = NULL;

  choir_hub_visit_users (hub->hub, add_user, found);
  g_ptr_array_sort (found, compare_strings);
  g_ptr_array_add (found, NULL);
  text = g_strjoinv (" ", (char **) found->pdata);
  g_assert_cmpstr (text, ==, expected);
}

/* One whose session waits is there; one who is only remembered for a while is not */
static void
test_users (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (RESUMES);
  G_GNUC_UNUSED g_autoptr (FakeLink) guest =
    fake_link_open (hub, CHOIR_DIALECT_CHOIR, NULL, NULL, NULL);
  g_autoptr (FakeLink) first = NULL;
  g_autoptr (FakeLink) second = NULL;
  g_autoptr (FakeLink) bob = NULL;

  expect_users (hub, "");
  first = fake_link_join (hub, "ann");
  second = fake_link_join (hub, "ann");
  bob = fake_link_join (hub, "bob");
  expect_users (hub, "ann bob");

  fake_link_end (first, CHOIR_CLOSE_NORMAL);
  fake_link_end (bob, CHOIR_CLOSE_NORMAL);
  expect_users (hub, "ann");
  g_assert_nonnull (choir_hub_find_user (hub->hub, "bob"));
  fake_link_end (second, CHOIR_CLOSE_ABNORMAL);
  expect_users (hub, "ann");
}

/* A session begins with its first connection, whatever connection it has now */
static void
test_session_times (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (RESUMES);
  const char *claims = "\"exp\":1700000600";
  g_autoptr (FakeLink) first =
    fake_link_return (hub, CHOIR_DIALECT_CHOIR, "ann", claims, NULL, NULL);
  g_autoptr (FakeLink) guest = fake_link_open (hub, CHOIR_DIALECT_CHOIR, NULL, NULL, NULL);
  g_autoptr (FakeLink) again = NULL;
  ChoirSession *session = fake_link_get_session (first);
  g_autofree char *id = g_strdup (choir_session_get_id (session));
  gint64 began_us = choir_session_get_began_us (session);

  g_assert_cmpint (began_us, ==, choir_session_get_opened_us (session));
  g_assert_cmpint (choir_session_get_expiry_us (session), ==, 1700000600 * SECOND);
  g_assert_cmpint (choir_session_get_expiry_us (fake_link_get_session (guest)), ==, G_MAXINT64);

  for (int i = 1; i <= 2; i++)
    {
      fake_hub_advance (hub, 5 * SECOND);
      fake_link_end (i == 1 ? first : again, CHOIR_CLOSE_ABNORMAL);
      fake_hub_advance (hub, 5 * SECOND);
      g_clear_object (&again);
      again = fake_link_return (hub, CHOIR_DIALECT_CHOIR, "ann", claims, id, NULL);
      session = fake_link_get_session (again);
      g_assert_cmpstr (choir_session_get_id (session), ==, id);
      g_assert_cmpint (choir_session_get_began_us (session), ==, began_us);
      g_assert_cmpint (choir_session_get_opened_us (session), ==, began_us + i * 10 * SECOND);
    }
}

static void
add_document (ChoirDocument *document, gpointer user_data)
{
  g_ptr_array_add (user_data, (char *) choir_document_get_id (document));
}

static void
expect_documents (FakeHub *hub, const char *expected)
{
  g_autoptr (GPtrArray) found = g_ptr_array_new ();
  g_autofree char *text = NULL;

  choir_document_table_visit (choir_hub_get_documents (hub->hub), add_document, found);
  g_ptr_array_sort (found, compare_strings);
  g_ptr_array_add (found, NULL);
  text = g_strjoinv (" ", (char **) found->pdata);
  g_assert_cmpstr (text, ==, expected);
}

static void
opened_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  FakeHub *hub = user_data;
  ChoirDocument *document =
    choir_document_table_open_finish (choir_hub_get_documents (hub->hub), result, NULL);

  g_assert_nonnull (document);
  choir_document_release (document);
}

/* One that is still being read is not there yet */
static void
test_documents (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) ann = fake_link_edit (hub, CHOIR_DIALECT_CHOIR, "ann");

  expect_documents (hub, "");
  fake_link_open_document (ann, "d1");
  expect_documents (hub, "d1");
  choir_document_table_open_async (choir_hub_get_documents (hub->hub), "d0", NULL, opened_cb, hub);
  expect_documents (hub, "d1");
  fake_link_open_document (ann, "d2");
  expect_documents (hub, "d1 d2");
}

static void
expect_tasks (FakeHub *hub, guint skip, guint limit, const char *expected, gboolean complete)
{
  const ChoirTaskQuery query = { .user_id = "ann", .skip = skip, .limit = limit };
  gboolean is_complete;
  g_autoptr (GPtrArray) found =
    choir_task_table_list (choir_hub_get_tasks (hub->hub), &query, &is_complete, NULL);
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < found->len; i++)
    g_string_append (text, choir_task_get_kind (found->pdata[i]));
  g_assert_cmpstr (text->str, ==, expected);
  g_assert_cmpint (is_complete, ==, complete);
}

/* Newest first, and of one user: those of others are not counted among what is passed over */
static void
test_task_pages (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET);
  g_autoptr (FakeLink) ann = fake_link_join (hub, "ann");
  g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");

  for (char kind = 'a'; kind <= 'e'; kind++)
    {
      g_autofree char *payload = g_strdup_printf ("{\"kind\":\"%c\"}", kind);
      g_autofree char *mine = request_task (ann, payload);
      g_autofree char *other = request_task (bob, payload);

      g_assert_cmpstr (mine, !=, other);
    }

  g_assert_cmpuint (choir_task_table_get_n_tasks (choir_hub_get_tasks (hub->hub)), ==, 10);
  expect_tasks (hub, 0, 2, "ed", FALSE);
  expect_tasks (hub, 2, 2, "cb", FALSE);
  expect_tasks (hub, 3, 2, "ba", TRUE);
  expect_tasks (hub, 4, 2, "a", TRUE);
  expect_tasks (hub, 5, 2, "", TRUE);
  expect_tasks (hub, G_MAXUINT, 2, "", TRUE);
}

static void
test_task_members (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET "[task]\ntimeout=90s\nlease=30s\n");
  g_autoptr (FakeLink) ann = fake_link_join (hub, "ann");
  g_autoptr (FakeLink) robot = open_worker (hub);
  g_autofree char *id = request_task (ann, "{\"kind\":\"sum\"}");
  const ChoirTask *task = choir_task_table_find (choir_hub_get_tasks (hub->hub), id);
  gint64 now_us = choir_clock_wall_us ();

  g_assert_null (choir_task_get_channel (task));
  g_assert_cmpuint (choir_task_get_attempt (task), ==, 0);
  g_assert_cmpstr (choir_task_get_worker_id (task), ==, "");
  g_assert_cmpint (choir_task_get_created_us (task), ==, now_us);
  g_assert_cmpint (choir_task_get_timeout_us (task), ==, now_us + 90 * SECOND);

  pull (robot, "[\"sum\"]", 1);
  expect_assigned (robot, id, "1");
  g_assert_cmpuint (choir_task_get_attempt (task), ==, 1);
  g_assert_cmpstr (choir_task_get_worker_id (task), ==,
                   choir_session_get_id (fake_link_get_session (robot)));

  settle (robot, "task.completed", id, NULL, "completed");
  g_assert_cmpstr (choir_task_get_worker_id (task), ==, "");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/hub-find/users", test_users);
  g_test_add_func ("/hub-find/session-times", test_session_times);
  g_test_add_func ("/hub-find/documents", test_documents);
  g_test_add_func ("/hub-find/task-pages", test_task_pages);
  g_test_add_func ("/hub-find/task-members", test_task_members);

  return g_test_run ();
}
