/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "http-fixture.h"

#define NOTES "/api/v1/documents/notes"

static void
test_operations (Fixture *self, gconstpointer data)
{
  g_auto (Answer) listed = { 0 };
  g_auto (Answer) part = { 0 };
  g_auto (Answer) none = { 0 };

  put (self, NOTES, "hello");
  post (self, NOTES "/operations", "{\"version\":1,\"operation\":[5,\" world\"]}", "2");
  /* made on the same version: behind the other */
  post (self, NOTES "/operations", "{\"version\":1,\"operation\":[5,\"!\"]}", "3");
  expect_text (self, NOTES, "hello! world");
  post (self, NOTES "/operations", "{\"operation\":\"insert\",\"position\":0,\"content\":\"👋 \"}",
        "4");
  post (self, NOTES "/operations", "{\"operation\":\"delete\",\"position\":0,\"length\":2}", "5");
  post (self, NOTES "/operations",
        "{\"operations\":[{\"type\":\"insert\",\"position\":0,\"content\":\"Oh, \"},"
        "{\"type\":\"delete\",\"position\":4,\"length\":1},"
        "{\"type\":\"insert\",\"position\":4,\"content\":\"H\"}]}",
        "6");
  expect_text (self, NOTES, "Oh, Hello! world");

  listed = ask (self, "GET", NOTES "/operations", NULL, NULL);
  expect_member (&listed, "version", "6");
  expect_member (&listed, "operations.0.operation", "[\"hello\"]");
  expect_member (&listed, "operations.1.version", "2");
  expect_member (&listed, "operations.1.user_id", "backend");
  expect_member (&listed, "operations.5.version", "6");
  expect_member (&listed, "operations.6", "-");
  expect_member (&listed, "complete", "true");
  part = ask (self, "GET", NOTES "/operations?since=2&limit=2", NULL, NULL);
  expect_member (&part, "operations.0.version", "3");
  expect_member (&part, "operations.2", "-");
  expect_member (&part, "complete", "false");
  none = ask (self, "GET", NOTES "/operations?since=6", NULL, NULL);
  expect_member (&none, "operations", "[]");
  expect_member (&none, "complete", "true");
}

static void
test_array (Fixture *self, gconstpointer data)
{
  static const char three[] = "[{\"operation\":[\"a\"],\"change_id\":\"1\"},"
                              "{\"operation\":[1,\"b\"],\"change_id\":\"2\"},"
                              "{\"operation\":[2,\"c\"],\"change_id\":\"3\"}]";
  static const char half[] = "[{\"operation\":[3,\"d\"]},{\"operation\":[9,\"x\"]},"
                             "{\"operation\":[\"y\"]}]";
  g_auto (Answer) done = ask (self, "POST", NOTES "/operations", JSON, three);
  g_auto (Answer) again = ask (self, "POST", NOTES "/operations", JSON, three);
  g_auto (Answer) broken = ask (self, "POST", NOTES "/operations", JSON, half);
  g_auto (Answer) invalid =
    ask (self, "POST", NOTES "/operations", JSON, "[{\"operation\":[\"z\"]},{\"operation\":[0]}]");

  expect_status (&done, 200);
  expect_member (&done, "version", "3");
  expect_member (&done, "versions", "[1,2,3]");
  expect_status (&again, 200);
  expect_member (&again, "versions", "[1,2,3]");
  /* the first was done, the others not */
  expect_problem (&broken, 400, "VALIDATION_ERROR");
  expect_member (&broken, "index", "1");
  expect_member (&broken, "versions", "[4]");
  expect_member (&broken, "version", "4");
  /* none was done */
  expect_problem (&invalid, 400, "VALIDATION_ERROR");
  g_assert_nonnull (strstr (invalid.body, "[1]: "));
  expect_text (self, NOTES, "abcd");
}

/* The same request again has the same answer and no effect, even when its condition no longer holds
 */
static void
test_idempotency (Fixture *self, gconstpointer data)
{
  static const char change[] = "{\"operation\":[\"x\"],\"change_id\":\"c-1\"}";
  static const char keyed[] = "{\"operation\":[\"y\"]}";
  g_auto (Answer) key_twice = { 0 };
  g_autofree char *etag = NULL;
  g_autofree char *headers = NULL;
  g_autofree char *other = fake_hub_mint (self->hub, "other", "\"roles\":[\"service\"]");

  for (guint i = 0; i < 2; i++)
    {
      g_auto (Answer) created = ask (self, "PUT", NOTES, TEXT "Idempotency-Key: k-1\r\n", "text");

      expect_status (&created, 201);
      expect_member (&created, "version", "1");
    }

  etag = get_etag (self, NOTES);
  headers = g_strdup_printf (TEXT "Idempotency-Key: k-2\r\nIf-Match: %s\r\n", etag);
  for (guint i = 0; i < 2; i++)
    {
      g_auto (Answer) replaced = ask (self, "PUT", NOTES, headers, "new text");

      expect_status (&replaced, 200);
      expect_member (&replaced, "version", "2");
    }

  for (guint i = 0; i < 2; i++)
    post (self, NOTES "/operations", change, "3");
  for (guint i = 0; i < 2; i++)
    {
      g_auto (Answer) done =
        ask (self, "POST", NOTES "/operations", JSON "Idempotency-Key: k-3\r\n", keyed);

      expect_member (&done, "version", "4");
    }

  /* somebody else's is another one */
  {
    g_auto (Answer) others = ask_as (self, other, "POST", NOTES "/operations", JSON, change);

    expect_member (&others, "version", "5");
  }

  key_twice = ask (self, "POST", NOTES "/operations", JSON "Idempotency-Key: k-4\r\n", change);
  expect_problem (&key_twice, 400, "VALIDATION_ERROR");
  expect_text (self, NOTES, "xyxnew text");
}

static void
test_conditional_operations (Fixture *self, gconstpointer data)
{
  g_autofree char *etag = NULL;
  g_autofree char *headers = NULL;
  g_auto (Answer) done = { 0 };
  g_auto (Answer) late = { 0 };
  g_auto (Answer) stale = { 0 };

  put (self, NOTES, "text");
  etag = get_etag (self, NOTES);
  headers = g_strdup_printf (JSON "If-Match: %s\r\n", etag);
  done = ask (self, "POST", NOTES "/operations", headers, "{\"operation\":[\"a \"]}");
  expect_status (&done, 200);
  late = ask (self, "POST", NOTES "/operations", headers, "{\"operation\":[\"b \"]}");
  expect_problem (&late, 412, "CONFLICT");
  expect_member (&late, "version", "2");
  stale = ask (self, "POST", NOTES "/operations", JSON "If-Match: *\r\n",
               "{\"version\":1,\"operation\":[\"c \"]}");
  expect_problem (&stale, 412, "CONFLICT");
  expect_text (self, NOTES, "a text");
}

/* All at once, all from the same version */
static void
test_concurrent (Fixture *self, gconstpointer data)
{
  Call *calls[30];
  g_autofree gboolean *seen = g_new0 (gboolean, G_N_ELEMENTS (calls) + 2);
  g_auto (Answer) all = { 0 };
  gboolean waiting = TRUE;

  put (self, NOTES, "[]");
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_autofree char *body = g_strdup_printf ("{\"version\":1,\"operation\":[1,\"%u,\"]}", i);
      GString *out = make_request ("POST", NOTES "/operations", self->token, JSON);

      add_body (out, body, strlen (body));
      calls[i] = call_new (self, out);
    }

  while (waiting)
    {
      waiting = FALSE;
      for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
        {
          call_turn (calls[i]);
          waiting = waiting || !calls[i]->ended;
        }
    }

  all = ask (self, "GET", NOTES, "Accept: text/plain\r\n", NULL);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_auto (Answer) answer = read_answer (calls[i]);
      g_autofree char *version = fake_link_read (answer.body, "version");
      g_autofree char *part = g_strdup_printf ("%u,", i);

      expect_status (&answer, 200);
      g_assert_cmpuint (atoi (version), <, G_N_ELEMENTS (calls) + 2);
      g_assert_false (seen[atoi (version)]);
      seen[atoi (version)] = TRUE;
      g_assert_nonnull (strstr (all.body, part));
      call_free (calls[i]);
    }
}

/* Two create the same document: one does */
static void
test_created_once (Fixture *self, gconstpointer data)
{
  Call *calls[2];
  guint n_created = 0;

  for (guint i = 0; i < 2; i++)
    {
      GString *out =
        make_request ("PUT", NOTES, self->token, i == 0 ? TEXT : TEXT "If-None-Match: *\r\n");

      add_body (out, "text", 4);
      calls[i] = call_new (self, out);
    }
  while (!calls[0]->ended || !calls[1]->ended)
    for (guint i = 0; i < 2; i++)
      call_turn (calls[i]);

  for (guint i = 0; i < 2; i++)
    {
      g_auto (Answer) answer = read_answer (calls[i]);

      if (answer.status == 201)
        n_created++;
      else
        expect_problem (&answer, i == 0 ? 409 : 412, "CONFLICT");
      call_free (calls[i]);
    }
  g_assert_cmpuint (n_created, ==, 1);
  expect_text (self, NOTES, "text");
}

static void
expect_ready (Fixture *self, guint status, const char *reason)
{
  g_auto (Answer) ready = ask (self, "GET", "/readyz", NULL, NULL);
  g_auto (Answer) health = ask (self, "GET", "/healthz", NULL, NULL);

  expect_status (&ready, status);
  expect_member (&ready, "reason", reason);
  expect_status (&health, 200);
  g_assert_cmpint (fake_hub_count (self->hub, "choir_store_writable", NULL), ==, status == 200);
}

/* While the store can't be written: no change, but all can be read */
static void
test_store_fails (Fixture *self, gconstpointer data)
{
  ChoirStoreMemory *store = CHOIR_STORE_MEMORY (self->hub->store);

  put (self, NOTES, "text");
  expect_ready (self, 200, "-");
  choir_store_memory_set_failing (store, TRUE);
  for (guint i = 0; i < 2; i++)
    {
      g_auto (Answer) changed =
        ask (self, "POST", NOTES "/operations", JSON, "{\"operation\":[\"x\"]}");
      g_auto (Answer) created = ask (self, "PUT", "/api/v1/documents/b", TEXT, "x");
      g_auto (Answer) saved = ask (self, "POST", NOTES "/versions", NULL, NULL);

      expect_problem (&changed, 503, "UNAVAILABLE");
      expect_header (&changed, "Retry-After", "5");
      expect_problem (&created, 503, "UNAVAILABLE");
      expect_problem (&saved, 503, "UNAVAILABLE");
    }
  expect_ready (self, 503, "store");
  expect_text (self, NOTES, "text");
  expect_text (self, NOTES "?version=0", "");

  choir_store_memory_set_failing (store, FALSE);
  fake_hub_iterate ();
  expect_ready (self, 200, "-");
  post (self, NOTES "/operations", "{\"operation\":[\"x\"]}", "2");
  expect_text (self, NOTES, "xtext");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, settings, func)                                                                  \
  g_test_add ("/http-operations/" name, Fixture, settings, set_up, func, tear_down)
  ADD ("operations", NULL, test_operations);
  ADD ("array", NULL, test_array);
  ADD ("idempotency", NULL, test_idempotency);
  ADD ("conditional-operations", NULL, test_conditional_operations);
  ADD ("concurrent", NULL, test_concurrent);
  ADD ("created-once", NULL, test_created_once);
  ADD ("store-fails", NULL, test_store_fails);

  return g_test_run ();
}
