/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "http-fixture.h"

#define CONNECTIONS "/api/v1/connections"

static FakeLink *
join (Fixture *self, ChoirDialectId dialect, const char *user_id)
{
  FakeLink *link =
    fake_link_open (self->hub, dialect, user_id, "\"permissions\":[\"*:*:read\"]", NULL);

  fake_link_forget (link);

  return link;
}

static const char *
get_id (FakeLink *link)
{
  return choir_session_get_connection_id (fake_link_get_session (link));
}

static void
end (FakeLink *link)
{
  fake_link_end (link, 1000);
  g_object_unref (link);
}

static int
compare (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* Page after page has each connection once, in the order of the ids */
static void
test_pages (Fixture *self, gconstpointer data)
{
  g_autoptr (GPtrArray) links = g_ptr_array_new_with_free_func ((GDestroyNotify) end);
  g_autoptr (GPtrArray) ids = g_ptr_array_new ();
  g_autofree char *after = g_strdup ("");
  guint n = 0;

  for (guint i = 0; i < 25; i++)
    {
      g_ptr_array_add (links, join (self, CHOIR_DIALECT_CHOIR, "ann"));
      g_ptr_array_add (ids, (char *) get_id (links->pdata[i]));
    }
  g_ptr_array_sort (ids, compare);

  for (guint page = 0; page < 4; page++)
    {
      g_autofree char *target = g_strdup_printf (CONNECTIONS "?limit=7&after=%s", after);
      g_auto (Answer) answer = ask (self, "GET", target, NULL, NULL);
      guint on_page = page < 3 ? 7 : 4;

      expect_status (&answer, 200);
      expect_member (&answer, "complete", page < 3 ? "false" : "true");
      for (guint i = 0; i < on_page; i++, n++)
        {
          g_autofree char *path = g_strdup_printf ("connections.%u.connection_id", i);

          expect_member (&answer, path, ids->pdata[n]);
        }
      g_free (after);
      after = g_strdup (ids->pdata[n - 1]);
    }
  g_assert_cmpuint (n, ==, 25);
  {
    g_auto (Answer) all = ask (self, "GET", CONNECTIONS, NULL, NULL);
    g_auto (Answer) exactly = ask (self, "GET", CONNECTIONS "?limit=25", NULL, NULL);

    expect_member (&all, "connections.24.connection_id", ids->pdata[24]);
    expect_member (&all, "complete", "true");
    expect_member (&exactly, "complete", "true");
  }
}

static void
test_filters (Fixture *self, gconstpointer data)
{
  FakeLink *ann = join (self, CHOIR_DIALECT_CHOIR, "ann");
  FakeLink *bob = join (self, CHOIR_DIALECT_JDDB, "bob");
  g_autofree char *of_ann = g_strdup (get_id (ann));
  g_autofree char *of_bob = g_strdup (get_id (bob));
  static const char *const wrong[] = {
    "?user=a%20b", "?dialect=klingon", "?channel=a%20b", "?limit=0",
    "?limit=1001", "?usr=ann",         "?user=a&user=b", "?limit=1e2",
  };

  fake_link_say (ann, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"news:1\"]}}");
  fake_hub_iterate ();
  {
    g_auto (Answer) user = ask (self, "GET", CONNECTIONS "?user=bob", NULL, NULL);
    g_auto (Answer) dialect = ask (self, "GET", CONNECTIONS "?dialect=choir", NULL, NULL);
    g_auto (Answer) channel = ask (self, "GET", CONNECTIONS "?channel=news:1", NULL, NULL);
    g_auto (Answer) both = ask (self, "GET", CONNECTIONS "?channel=news:1&user=bob", NULL, NULL);

    expect_member (&user, "connections.0.connection_id", of_bob);
    expect_member (&user, "connections.1", "-");
    expect_member (&dialect, "connections.0.connection_id", of_ann);
    expect_member (&dialect, "connections.1", "-");
    expect_member (&channel, "connections.0.connection_id", of_ann);
    expect_member (&channel, "connections.0.subscriptions", "1");
    expect_member (&channel, "connections.1", "-");
    expect_member (&both, "connections", "[]");
  }
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      g_autofree char *target = g_strconcat (CONNECTIONS, wrong[i], NULL);
      g_auto (Answer) answer = ask (self, "GET", target, NULL, NULL);

      expect_problem (&answer, 400, "VALIDATION_ERROR");
    }
  end (ann);
  end (bob);
}

static void
test_one (Fixture *self, gconstpointer data)
{
  FakeLink *ann = join (self, CHOIR_DIALECT_CHOIR, "ann");
  FakeLink *nobody = fake_link_open (self->hub, CHOIR_DIALECT_CHOIR, NULL, NULL, NULL);
  g_autofree char *target = g_strconcat (CONNECTIONS "/", get_id (ann), NULL);
  g_autofree char *unknown = g_strconcat (CONNECTIONS "/", get_id (nobody), NULL);
  g_auto (Answer) missing = ask (self, "GET", CONNECTIONS "/x", NULL, NULL);
  g_auto (Answer) guest = ask (self, "GET", unknown, NULL, NULL);

  fake_hub_advance (self->hub, G_USEC_PER_SEC);
  fake_link_say (ann,
                 "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"news:1\",\"chat:2\"]}}");
  fake_link_say (ann, "{\"type\":\"wat\"}");
  fake_hub_iterate ();
  {
    g_auto (Answer) answer = ask (self, "GET", target, NULL, NULL);
    g_auto (Answer) head = ask (self, "HEAD", target, NULL, NULL);

    expect_status (&answer, 200);
    expect_member (&answer, "connection_id", get_id (ann));
    expect_member (&answer, "session_id", choir_session_get_id (fake_link_get_session (ann)));
    expect_member (&answer, "user_id", "ann");
    expect_member (&answer, "dialect", "choir");
    expect_member (&answer, "opened_at", "2023-11-14T22:13:20.000Z");
    expect_member (&answer, "subscriptions", "2");
    expect_member (&answer, "messages_received", "2");
    expect_member (&answer, "errors", "1");
    expect_member (&answer, "slow", "false");
    expect_member (&answer, "channels", "[\"news:1\",\"chat:2\"]");
    expect_status (&head, 200);
    g_assert_cmpuint (head.len, ==, 0);
  }
  expect_problem (&missing, 404, "NOT_FOUND");
  expect_status (&guest, 200);
  expect_member (&guest, "user_id", "-");
  end (ann);
  end (nobody);
}

static void
test_users (Fixture *self, gconstpointer data)
{
  FakeLink *first = join (self, CHOIR_DIALECT_CHOIR, "ann");
  FakeLink *second = join (self, CHOIR_DIALECT_JDDB, "ann");
  g_auto (Answer) ann = ask (self, "GET", "/api/v1/users/ann", NULL, NULL);
  g_auto (Answer) eve = ask (self, "GET", "/api/v1/users/eve", NULL, NULL);
  g_auto (Answer) none = ask (self, "GET", "/api/v1/users/a%20b", NULL, NULL);

  expect_status (&ann, 200);
  expect_member (&ann, "user_id", "ann");
  expect_member (&ann, "online", "true");
  expect_member (&ann, "count", "2");
  expect_member (&ann, "connections.0.connection_id", get_id (first));
  expect_member (&ann, "connections.1.dialect", "jddb");
  expect_status (&eve, 200);
  expect_member (&eve, "online", "false");
  expect_member (&eve, "connections", "[]");
  expect_problem (&none, 400, "VALIDATION_ERROR");
  end (first);
  end (second);
}

static void
test_close (Fixture *self, gconstpointer data)
{
  FakeLink *ann = join (self, CHOIR_DIALECT_CHOIR, "ann");
  FakeLink *bob = join (self, CHOIR_DIALECT_CHOIR, "bob");
  FakeLink *bob_too = join (self, CHOIR_DIALECT_CHOIR, "bob");
  g_autofree char *target = g_strconcat (CONNECTIONS "/", get_id (ann), NULL);
  g_autofree char *with_reason = g_strconcat (target, "?reason=Talk%20to%20%C3%BCs", NULL);
  g_autofree char *reason = g_strnfill (124, 'r');
  g_autofree char *with_long = g_strconcat (target, "?reason=", reason, NULL);
  g_auto (Answer) too_long = ask (self, "DELETE", with_long, NULL, NULL);
  g_auto (Answer) missing = ask (self, "DELETE", CONNECTIONS "/x", NULL, NULL);
  g_auto (Answer) closed = { 0 };
  g_auto (Answer) again = { 0 };
  g_auto (Answer) user = { 0 };
  g_auto (Answer) nobody = { 0 };

  expect_problem (&too_long, 400, "VALIDATION_ERROR");
  expect_problem (&missing, 404, "NOT_FOUND");
  closed = ask (self, "DELETE", with_reason, NULL, NULL);
  expect_status (&closed, 204);
  g_assert_cmpuint (closed.len, ==, 0);
  g_assert_cmpuint (fake_link_get_close_code (ann), ==, 4002);
  g_assert_cmpstr (fake_link_get_close_reason (ann), ==, "Talk to üs");
  again = ask (self, "DELETE", target, NULL, NULL);
  expect_problem (&again, 404, "NOT_FOUND");

  user = ask (self, "DELETE", "/api/v1/users/bob/connections", NULL, NULL);
  expect_status (&user, 200);
  expect_member (&user, "closed", "2");
  g_assert_cmpuint (fake_link_get_close_code (bob), ==, 4002);
  g_assert_cmpuint (fake_link_get_close_code (bob_too), ==, 4002);
  nobody = ask (self, "DELETE", "/api/v1/users/eve/connections", NULL, NULL);
  expect_member (&nobody, "closed", "0");
  end (ann);
  end (bob);
  end (bob_too);
}

static void
test_stats (Fixture *self, gconstpointer data)
{
  FakeLink *ann = join (self, CHOIR_DIALECT_CHOIR, "ann");
  FakeLink *bob = join (self, CHOIR_DIALECT_JDDB, "bob");
  g_auto (Answer) sent = ask (self, "POST", "/api/v1/users/ann/send", JSON, "{\"type\":\"a\"}");
  g_auto (Answer) answer = { 0 };

  expect_status (&sent, 200);
  fake_hub_advance (self->hub, 7 * G_USEC_PER_SEC);
  answer = ask (self, "GET", "/api/v1/stats", NULL, NULL);
  expect_status (&answer, 200);
  expect_member (&answer, "version", PACKAGE_VERSION);
  expect_member (&answer, "time", "2023-11-14T22:13:27.000Z");
  expect_member (&answer, "uptime_s", "7");
  expect_member (&answer, "connections", "2");
  expect_member (&answer, "users", "2");
  expect_member (&answer, "dialects.choir", "1");
  expect_member (&answer, "dialects.jddb", "1");
  expect_member (&answer, "totals.accepted", "2");
  expect_member (&answer, "totals.delivered", "1");
  end (ann);
  end (bob);
}

static void
test_access (Fixture *self, gconstpointer data)
{
  static const struct
  {
    const char *method;
    const char *target;
    const char *allow;
  } rows[] = {
    { "GET", CONNECTIONS, "GET, HEAD, OPTIONS" },
    { "GET", CONNECTIONS "/x", "GET, HEAD, DELETE, OPTIONS" },
    { "DELETE", CONNECTIONS "/x", "GET, HEAD, DELETE, OPTIONS" },
    { "GET", "/api/v1/users/ann", "GET, HEAD, OPTIONS" },
    { "DELETE", "/api/v1/users/ann/connections", "DELETE, OPTIONS" },
    { "GET", "/api/v1/stats", "GET, HEAD, OPTIONS" },
    { "GET", "/api/v1/channels", "GET, HEAD, OPTIONS" },
  };
  g_autofree char *token = fake_hub_mint (self->hub, "ann", "\"permissions\":[\"*:*:*\"]");

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_auto (Answer) refused = ask_as (self, token, rows[i].method, rows[i].target, NULL, NULL);
      g_auto (Answer) put_there = ask (self, "PUT", rows[i].target, JSON, "{}");

      expect_problem (&refused, 403, "PERMISSION_DENIED");
      expect_problem (&put_there, 405, "VALIDATION_ERROR");
      expect_header (&put_there, "Allow", rows[i].allow);
    }
}

/* Says something as a guest who comes from @client, through a proxy */
static guint
say_from (Fixture *self, const char *token, const char *client)
{
  g_autofree char *headers =
    g_strdup_printf ("Content-Type: application/json\r\nX-Forwarded-For: %s\r\n", client);
  g_auto (Answer) answer =
    ask_as (self, token, "POST", "/emulation?session_id=none", headers, "{}");

  return answer.status;
}

/* A guest takes the API from nobody but those at the same address, or in the same /64 */
static void
test_guests (Fixture *self, gconstpointer data)
{
  g_autofree char *token = fake_hub_mint (self->hub, "guest", NULL);

  g_assert_cmpuint (say_from (self, NULL, "198.51.100.1"), ==, 404);
  g_assert_cmpuint (say_from (self, NULL, "198.51.100.1"), ==, 404);
  g_assert_cmpuint (say_from (self, NULL, "198.51.100.1"), ==, 429);
  g_assert_cmpuint (say_from (self, NULL, "198.51.100.2"), ==, 404);
  g_assert_cmpuint (say_from (self, token, "198.51.100.1"), ==, 404);

  g_assert_cmpuint (say_from (self, NULL, "2001:db8::1"), ==, 404);
  g_assert_cmpuint (say_from (self, NULL, "2001:db8::2"), ==, 404);
  g_assert_cmpuint (say_from (self, NULL, "2001:db8::3"), ==, 429);
  g_assert_cmpuint (say_from (self, NULL, "2001:db8:0:1::1"), ==, 404);

  /* who is not believed has the address he comes from */
  g_assert_cmpuint (say_from (self, NULL, "nonsense"), ==, 404);
  g_assert_cmpuint (say_from (self, NULL, "nonsense, too"), ==, 404);
  g_assert_cmpuint (say_from (self, NULL, "nowhere"), ==, 429);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, settings, func)                                                                  \
  g_test_add ("/http-connections/" name, Fixture, settings, set_up, func, tear_down)
  ADD ("pages", "[server]\nmax-connections-per-user=100\n", test_pages);
  ADD ("filters", NULL, test_filters);
  ADD ("one", NULL, test_one);
  ADD ("users", NULL, test_users);
  ADD ("close", NULL, test_close);
  ADD ("stats", NULL, test_stats);
  ADD ("access", NULL, test_access);
  ADD ("guests", "api=2/60s\n[auth]\nrequire-auth=no\n[server]\ntrusted-proxies=192.0.2.1\n",
       test_guests);

  return g_test_run ();
}
