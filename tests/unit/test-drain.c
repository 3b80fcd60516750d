/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "fake-link.h"

#include "choir-close-code.h"

#define N 40

static void
drained_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GAsyncResult **out = user_data;

  g_assert_null (*out);
  *out = g_object_ref (result);
}

static guint
count_closed (FakeLink **links, guint n)
{
  guint n_closed = 0;

  for (guint i = 0; i < n; i++)
    if (fake_link_get_close_code (links[i]) != 0)
      n_closed++;

  return n_closed;
}

static void
open_all (FakeHub *hub, FakeLink **links)
{
  for (guint i = 0; i < N; i++)
    links[i] = fake_link_join (hub, "alice");
}

static void
free_all (FakeLink **links)
{
  for (guint i = 0; i < N; i++)
    g_object_unref (links[i]);
}

static void
test_empty (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;

  choir_hub_drain_async (hub->hub, NULL, drained_cb, &result);
  g_assert_null (result);
  fake_hub_iterate ();
  g_assert_true (choir_hub_drain_finish (hub->hub, result, &error));
  g_assert_true (choir_hub_is_draining (hub->hub));
}

/* Everyone is told when to come back, another moment each, and closed over the same window,
 * whether or not they go when told */
static void
test_spread (gconstpointer data)
{
  gboolean obedient = GPOINTER_TO_INT (data);
  g_autoptr (FakeHub) hub = fake_hub_new ("[server]\nmax-connections-per-user=100\n");
  g_autoptr (GHashTable) moments = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  FakeLink *links[N];
  guint last = 0;

  open_all (hub, links);
  choir_hub_drain_async (hub->hub, NULL, drained_cb, &result);
  for (guint i = 0; i < N; i++)
    {
      g_autofree char *text = fake_link_take (links[i]);
      g_autofree char *type = fake_link_read (text, "type");
      char *moment = fake_link_read (text, "payload.after_ms");

      g_assert_cmpstr (type, ==, "system.reconnect");
      g_assert_cmpint (g_ascii_strtoll (moment, NULL, 10), <, 250);
      g_hash_table_add (moments, moment);
    }
  g_assert_cmpuint (g_hash_table_size (moments), >, N / 2);
  g_assert_cmpuint (count_closed (links, N), ==, 0);

  /* the window is 250 ms here: never ahead of an even pace by more than a tick */
  for (guint step = 1; step <= 5; step++)
    {
      guint n_closed;

      fake_hub_advance (hub, 50 * 1000);
      n_closed = count_closed (links, N);
      g_assert_cmpuint (n_closed, >=, last);
      g_assert_cmpuint (n_closed, <=, step * N / 5);
      last = n_closed;

      for (guint i = 0; i < N && obedient; i++)
        if (fake_link_get_close_code (links[i]) != 0 && fake_link_get_session (links[i]) != NULL)
          fake_link_end (links[i], CHOIR_CLOSE_RESTART);
    }

  fake_hub_advance (hub, 100 * 1000);
  g_assert_cmpuint (count_closed (links, N), ==, N);
  for (guint i = 0; i < N; i++)
    {
      g_assert_cmpuint (fake_link_get_close_code (links[i]), ==, CHOIR_CLOSE_RESTART);
      if (fake_link_get_session (links[i]) != NULL)
        fake_link_end (links[i], CHOIR_CLOSE_RESTART);
    }
  fake_hub_iterate ();
  g_assert_true (choir_hub_drain_finish (hub->hub, result, &error));
  free_all (links);
}

/* Sessions that wait for their clients end at once; if there are no others, so does the drain */
static void
test_waiting (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[server]\nmax-connections-per-user=100\n"
                                          "drain-timeout=2s\n[session]\nresume-window=60s\n");
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  FakeLink *links[N];

  open_all (hub, links);
  for (guint i = 0; i < N; i++)
    fake_link_end (links[i], 1006);
  g_assert_cmpint (fake_hub_count (hub, "choir_waiting_sessions", NULL), ==, N);
  choir_hub_drain_async (hub->hub, NULL, drained_cb, &result);
  fake_hub_iterate ();
  g_assert_true (choir_hub_drain_finish (hub->hub, result, &error));
  g_assert_no_error (error);

  /* nothing is left that could run out */
  fake_hub_advance (hub, 3000 * 1000);
  fake_hub_iterate ();
  free_all (links);
}

static void
test_timeout (void)
{
  g_autoptr (FakeHub) hub =
    fake_hub_new ("[server]\nmax-connections-per-user=100\ndrain-timeout=2s\n");
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  FakeLink *links[N];

  open_all (hub, links);
  choir_hub_drain_async (hub->hub, NULL, drained_cb, &result);
  fake_hub_advance (hub, 1900 * 1000);
  fake_hub_iterate ();
  g_assert_null (result);
  g_assert_cmpuint (count_closed (links, N), ==, N);
  fake_hub_advance (hub, 200 * 1000);
  fake_hub_iterate ();
  g_assert_false (choir_hub_drain_finish (hub->hub, result, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_TIMEOUT);
  /* those who go later disturb nobody */
  free_all (links);
}

static void
test_no_time (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[server]\ndrain-timeout=0\n");
  G_GNUC_UNUSED g_autoptr (FakeLink) link = fake_link_join (hub, "alice");
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;

  choir_hub_drain_async (hub->hub, NULL, drained_cb, &result);
  fake_hub_advance (hub, 100 * 1000);
  fake_hub_iterate ();
  g_assert_false (choir_hub_drain_finish (hub->hub, result, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_TIMEOUT);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/drain/empty", test_empty);
  g_test_add_data_func ("/drain/spread", GINT_TO_POINTER (FALSE), test_spread);
  g_test_add_data_func ("/drain/spread-obedient", GINT_TO_POINTER (TRUE), test_spread);
  g_test_add_func ("/drain/waiting", test_waiting);
  g_test_add_func ("/drain/timeout", test_timeout);
  g_test_add_func ("/drain/no-time", test_no_time);

  return g_test_run ();
}
