/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "http-fixture.h"

#define PUBLISH "/api/v1/publish"
#define TICK "{\"channel\":\"news:1\",\"type\":\"tick\",\"payload\":{\"n\":1}}"

static FakeLink *
subscribe (Fixture *self, const char *user_id, const char *channel)
{
  FakeLink *link = fake_link_open (self->hub, CHOIR_DIALECT_CHOIR, user_id,
                                   "\"permissions\":[\"*:*:read\"]", NULL);

  fake_link_forget (link);
  fake_link_say (link, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"%s\"]}}", channel);
  fake_hub_iterate ();
  fake_link_forget (link);

  return link;
}

static void
end (FakeLink *link)
{
  fake_link_end (link, 1000);
  g_object_unref (link);
}

static void
expect_refused (Fixture *self, const char *target, const char *body, guint status, const char *code)
{
  g_auto (Answer) answer = ask (self, "POST", target, JSON, body);

  expect_problem (&answer, status, code);
}

static void
test_one (Fixture *self, gconstpointer data)
{
  FakeLink *ann = subscribe (self, "ann", "news:1");
  g_autofree char *session_id = g_strdup (choir_session_get_id (fake_link_get_session (ann)));
  g_autofree char *except = g_strdup_printf (
    "{\"channel\":\"news:1\",\"type\":\"tick\",\"except_session\":\"%s\"}", session_id);
  g_auto (Answer) first = ask (self, "POST", PUBLISH, JSON, TICK);
  g_auto (Answer) second = ask (self, "POST", PUBLISH, JSON, except);
  g_auto (Answer) third =
    ask (self, "POST", PUBLISH, JSON,
         "{\"channel\":\"news:1\",\"type\":\"tick\",\"except_session\":\"nobody\"}");

  expect_status (&first, 200);
  expect_header (&first, "Content-Type", "application/json");
  expect_member (&first, "channel", "news:1");
  expect_member (&first, "offset", "1");
  expect_member (&first, "recipients", "1");
  expect_member (&first, "duplicate", "-");
  fake_link_expect (ann, "tick", "payload", "{\"n\":1}", "channel", "news:1", "offset", "1", NULL);
  expect_member (&second, "offset", "2");
  expect_member (&second, "recipients", "0");
  expect_member (&third, "recipients", "1");
  fake_link_expect (ann, "tick", "payload", "{}", "offset", "3", NULL);
  fake_link_expect_nothing (ann);
  end (ann);
}

/* A channel that is kept in the store is answered when it is there */
static void
test_durable (Fixture *self, gconstpointer data)
{
  static const char body[] =
    "{\"channel\":\"chat:1\",\"type\":\"chat.message\",\"payload\":{\"content\":\"x\"}}";
  ChoirStoreMemory *store = CHOIR_STORE_MEMORY (self->hub->store);
  FakeLink *ann = subscribe (self, "ann", "chat:1");
  g_auto (Answer) stored = ask (self, "POST", PUBLISH, JSON, body);

  expect_status (&stored, 200);
  expect_member (&stored, "offset", "1");
  expect_member (&stored, "recipients", "1");
  fake_link_expect (ann, "chat.message", "payload.content", "x", "payload.user_id", "backend",
                    "offset", "1", NULL);

  choir_store_memory_set_failing (store, TRUE);
  {
    g_auto (Answer) failed = ask (self, "POST", PUBLISH, JSON, body);
    g_auto (Answer) many =
      ask (self, "POST", PUBLISH, JSON, "[{\"channel\":\"chat:1\",\"type\":\"a\"}," TICK "]");

    expect_problem (&failed, 503, "UNAVAILABLE");
    expect_header (&failed, "Retry-After", "5");
    expect_status (&many, 200);
    expect_member (&many, "results.0.error.status", "503");
    expect_member (&many, "results.0.error.code", "UNAVAILABLE");
    expect_member (&many, "results.1.offset", "1");
    expect_member (&many, "failed", "1");
  }
  choir_store_memory_set_failing (store, FALSE);
  fake_link_expect_nothing (ann);
  end (ann);
}

static void
test_many (Fixture *self, gconstpointer data)
{
  FakeLink *ann = subscribe (self, "ann", "news:1");
  g_auto (Answer) answer =
    ask (self, "POST", PUBLISH, JSON,
         "[" TICK ",{\"channel\":\"news:1\"},7,null,[],{\"channel\":\"a b\",\"type\":\"x\"},"
         "{\"channel\":\"news:1\",\"type\":\"x "
         "y\"},{\"channel\":\"news:1\",\"type\":\"x\",\"payload\":[]},"
         "{\"channel\":\"news:1\",\"type\":\"x\",\"paylod\":{}},"
         "{\"channel\":\"document:1\",\"type\":\"x\"},"
         "{\"channel\":\"news:1\",\"type\":\"x\",\"idempotency_key\":\"a b\"}," TICK "]");

  expect_status (&answer, 200);
  expect_member (&answer, "failed", "10");
  expect_member (&answer, "results.0.offset", "1");
  expect_member (&answer, "results.1.error.code", "VALIDATION_ERROR");
  expect_member (&answer, "results.1.error.status", "400");
  expect_member (&answer, "results.1.error.detail", "type is missing");
  expect_member (&answer, "results.2.error.code", "INVALID_MESSAGE");
  expect_member (&answer, "results.3.error.code", "INVALID_MESSAGE");
  expect_member (&answer, "results.4.error.code", "INVALID_MESSAGE");
  for (guint i = 5; i <= 10; i++)
    {
      g_autofree char *path = g_strdup_printf ("results.%u.error.code", i);

      expect_member (&answer, path, "VALIDATION_ERROR");
    }
  expect_member (&answer, "results.11.offset", "2");
  fake_link_expect (ann, "tick", "offset", "1", NULL);
  fake_link_expect (ann, "tick", "offset", "2", NULL);
  fake_link_expect_nothing (ann);
  end (ann);
}

/* As many as may be, and one more */
static void
test_bounds (Fixture *self, gconstpointer data)
{
  g_autoptr (GString) body = g_string_new ("[{\"channel\":\"all\",\"type\":\"x\"}");
  g_autofree char *large = g_strnfill (64 * 1024, 'x');
  g_autofree char *large_one =
    g_strdup_printf ("{\"channel\":\"news:1\",\"type\":\"x\",\"payload\":{\"t\":\"%s\"}}", large);
  g_autofree char *largest = NULL;
  g_autofree char *deep = g_strnfill (200, '[');

  for (guint i = 1; i < 1000; i++)
    g_string_append (body, ",{\"channel\":\"all\",\"type\":\"x\"}");
  {
    g_autofree char *most = g_strconcat (body->str, "]", NULL);
    g_autofree char *more = g_strconcat (body->str, ",{}]", NULL);
    g_auto (Answer) answer = ask (self, "POST", PUBLISH, JSON, most);

    expect_status (&answer, 200);
    expect_member (&answer, "failed", "0");
    expect_member (&answer, "results.999.offset", "1000");
    expect_refused (self, PUBLISH, more, 400, "INVALID_MESSAGE");
  }

  expect_refused (self, PUBLISH, large_one, 413, "MESSAGE_TOO_LARGE");
  largest = g_strnfill (4 * 1024 * 1024 + 1, ' ');
  expect_refused (self, PUBLISH, largest, 413, "MESSAGE_TOO_LARGE");
  expect_refused (self, "/api/v1/channels/news:1/publish", largest, 413, "MESSAGE_TOO_LARGE");
  expect_refused (self, PUBLISH, deep, 400, "INVALID_JSON");
  expect_refused (self, PUBLISH, "[]", 400, "INVALID_MESSAGE");
  expect_refused (self, PUBLISH, "[" TICK, 400, "INVALID_JSON");
  expect_refused (self, PUBLISH, "{\"channel\":\"a\",\"channel\":\"b\"}", 400, "INVALID_JSON");
  expect_refused (self, PUBLISH, "\"x\"", 400, "INVALID_MESSAGE");
  expect_refused (self, PUBLISH, "", 400, "INVALID_JSON");
}

static void
test_wrong (Fixture *self, gconstpointer data)
{
  static const char *const bodies[] = {
    "{}",
    "{\"channel\":\"news:1\"}",
    "{\"type\":\"x\"}",
    "{\"channel\":7,\"type\":\"x\"}",
    "{\"channel\":\"\",\"type\":\"x\"}",
    "{\"channel\":\"news:1\",\"type\":\"\"}",
    "{\"channel\":\"news:1\",\"type\":\".x\"}",
    "{\"channel\":\"news:1\",\"type\":\"x\",\"payload\":null}",
    "{\"channel\":\"news:1\",\"type\":\"x\",\"except_session\":{}}",
    "{\"channel\":\"news:1\",\"type\":\"x\",\"idempotency_key\":\"\"}",
    "{\"channel\":\"document:1\",\"type\":\"x\"}",
  };

  for (guint i = 0; i < G_N_ELEMENTS (bodies); i++)
    expect_refused (self, PUBLISH, bodies[i], 400, "VALIDATION_ERROR");
  expect_refused (self, PUBLISH "?x=1", TICK, 400, "VALIDATION_ERROR");
  expect_refused (self, "/api/v1/channels/a%20b/publish", "{\"type\":\"x\"}", 400,
                  "VALIDATION_ERROR");
  expect_refused (self, "/api/v1/channels/news:1/publish", TICK, 400, "VALIDATION_ERROR");
}

/* The same again has no further effect, by whichever way the key is said */
static void
test_keys (Fixture *self, gconstpointer data)
{
  static const char *const channels[] = { "news:1", "chat:1" };

  for (guint i = 0; i < G_N_ELEMENTS (channels); i++)
    {
      g_autofree char *body = g_strdup_printf ("{\"channel\":\"%s\",\"type\":\"x\"}", channels[i]);
      g_autofree char *keyed = g_strdup_printf (
        "[{\"channel\":\"%s\",\"type\":\"x\",\"idempotency_key\":\"k\"}]", channels[i]);
      g_auto (Answer) first = ask (self, "POST", PUBLISH, JSON "Idempotency-Key: k\r\n", body);
      g_auto (Answer) again = ask (self, "POST", PUBLISH, JSON "Idempotency-Key: k\r\n", body);
      g_auto (Answer) many = ask (self, "POST", PUBLISH, JSON, keyed);
      g_auto (Answer) other = ask (self, "POST", PUBLISH, JSON "Idempotency-Key: l\r\n", body);
      g_auto (Answer) both =
        ask (self, "POST", PUBLISH, JSON "Idempotency-Key: k\r\n",
             "{\"channel\":\"news:1\",\"type\":\"x\",\"idempotency_key\":\"k\"}");
      g_auto (Answer) array = ask (self, "POST", PUBLISH, JSON "Idempotency-Key: k\r\n", keyed);
      g_auto (Answer) spaced = ask (self, "POST", PUBLISH, JSON "Idempotency-Key: k k\r\n", body);

      expect_status (&first, 200);
      expect_member (&first, "offset", "1");
      expect_member (&first, "duplicate", "-");
      expect_status (&again, 200);
      expect_member (&again, "offset", "1");
      expect_member (&again, "duplicate", "true");
      expect_member (&again, "recipients", "0");
      expect_member (&many, "results.0.offset", "1");
      expect_member (&many, "results.0.duplicate", "true");
      expect_member (&other, "offset", "2");
      expect_problem (&both, 400, "VALIDATION_ERROR");
      expect_problem (&array, 400, "VALIDATION_ERROR");
      expect_problem (&spaced, 400, "VALIDATION_ERROR");
    }
}

/* What a chat message is on a connection, it is here */
static void
test_chat (Fixture *self, gconstpointer data)
{
  static const char target[] = "/api/v1/channels/chat:1/publish";
  static const char *const wrong[] = {
    "{\"type\":\"chat.message\"}",
    "{\"type\":\"chat.message\",\"payload\":{\"content\":7}}",
    "{\"type\":\"chat.message\",\"payload\":{\"content\":\"x\",\"role\":\"boss\"}}",
    "{\"type\":\"chat.message\",\"payload\":{\"content\":\"x\",\"content\":\"y\"}}",
    "{\"type\":\"chat.message\",\"payload\":{\"content\":\"x\",\"message_id\":\"\"}}",
    ("{\"type\":\"chat.message\",\"payload\":{\"content\":\"x\","
     "\"attachments\":[{\"url\":\"data:text/html,x\"}]}}"),
    "{\"type\":\"chat.typing\"}",
    "{\"type\":\"chat.chunk\",\"payload\":{\"message_id\":\"m\",\"content\":\"x\"}}",
    "{\"type\":\"cursor.position\"}",
  };
  g_autofree char *token = fake_hub_mint (self->hub, "ann", NULL);
  FakeLink *bob = subscribe (self, "bob", "chat:1");
  g_auto (Answer) assistant =
    ask (self, "POST", target, JSON,
         "{\"type\":\"chat.message\",\"payload\":{\"content\":\"x\",\"role\":\"assistant\","
         "\"message_id\":\"m1\",\"user_id\":\"bot\",\"session_id\":\"s\",\"more\":1}}");
  g_auto (Answer) user = ask_as (self, token, "POST", target, JSON,
                                 "{\"type\":\"chat.message\",\"payload\":{\"content\":\"x\","
                                 "\"\\u0075ser_id\":\"eve\"}}");
  g_auto (Answer) pretender =
    ask_as (self, token, "POST", target, JSON,
            "{\"type\":\"chat.message\",\"payload\":{\"content\":\"x\",\"role\":\"system\"}}");
  g_autofree char *message_id = NULL;

  expect_status (&assistant, 200);
  expect_member (&assistant, "message_id", "m1");
  fake_link_expect (bob, "chat.message", "payload",
                    "{\"message_id\":\"m1\",\"role\":\"assistant\",\"content\":\"x\","
                    "\"user_id\":\"bot\",\"session_id\":\"s\",\"more\":1}",
                    NULL);
  expect_status (&user, 200);
  message_id = fake_link_read (user.body, "message_id");
  g_assert_cmpuint (strlen (message_id), ==, 36);
  fake_link_expect (bob, "chat.message", "payload.role", "user", "payload.user_id", "ann",
                    "payload.message_id", message_id, NULL);
  expect_problem (&pretender, 403, "PERMISSION_DENIED");
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    expect_refused (self, target, wrong[i], 400, "VALIDATION_ERROR");
  fake_link_expect_nothing (bob);
  end (bob);
}

/* Users are who they are, and may what they may on a connection */
static void
test_users (Fixture *self, gconstpointer data)
{
  g_autofree char *token = fake_hub_mint (self->hub, "ann", NULL);
  g_autofree char *writer = fake_hub_mint (self->hub, "wes", "\"permissions\":[\"news:1:write\"]");
  FakeLink *bob = subscribe (self, "bob", "chat:1");
  g_auto (Answer) said =
    ask_as (self, token, "POST", "/api/v1/channels/chat:1/publish", JSON,
            "{\"type\":\"chat.message\",\"payload\":{\"content\":\"<b>x</b>\",\"user_id\":\"eve\","
            "\"session_id\":\"s\"}}");
  g_auto (Answer) elsewhere =
    ask_as (self, token, "POST", "/api/v1/channels/news:1/publish", JSON, "{\"type\":\"x\"}");
  g_auto (Answer) allowed =
    ask_as (self, writer, "POST", "/api/v1/channels/news:1/publish", JSON, "{\"type\":\"x\"}");
  g_auto (Answer) reserved = ask_as (self, token, "POST", "/api/v1/channels/chat:1/publish", JSON,
                                     "{\"type\":\"system.reconnect\"}");
  g_auto (Answer) any = ask_as (self, token, "POST", PUBLISH, JSON, TICK);

  expect_status (&said, 200);
  fake_link_expect (bob, "chat.message", "payload.content", "&lt;b&gt;x&lt;/b&gt;",
                    "payload.user_id", "ann", "payload.session_id", "-", NULL);
  expect_problem (&elsewhere, 403, "PERMISSION_DENIED");
  expect_status (&allowed, 200);
  expect_problem (&reserved, 403, "PERMISSION_DENIED");
  expect_problem (&any, 403, "PERMISSION_DENIED");
  fake_link_expect_nothing (bob);
  end (bob);
}

/* A back end speaks for others, and as the service; what it says goes out as it is */
static void
test_back_end (Fixture *self, gconstpointer data)
{
  FakeLink *bob = subscribe (self, "bob", "chat:1");
  g_auto (Answer) said =
    ask (self, "POST", "/api/v1/channels/chat:1/publish", JSON,
         "{\"type\":\"chat.message\",\"payload\":{\"content\":\"<b>\",\"user_id\":\"eve\"}}");
  g_auto (Answer) reserved = ask (self, "POST", "/api/v1/channels/chat:1/publish", JSON,
                                  "{\"type\":\"system.notification\"}");

  expect_status (&said, 200);
  expect_status (&reserved, 200);
  fake_link_expect (bob, "chat.message", "payload.content", "<b>", "payload.user_id", "eve", NULL);
  fake_link_expect (bob, "system.notification", "channel", "chat:1", NULL);
  end (bob);
}

/* What a user publishes here counts as it would on a connection; back ends have rate.api */
static void
test_rate (Fixture *self, gconstpointer data)
{
  g_autofree char *token = fake_hub_mint (self->hub, "ann", NULL);

  for (guint i = 0; i < 4; i++)
    {
      g_auto (Answer) answer =
        ask_as (self, token, "POST", "/api/v1/channels/chat:1/publish", JSON, "{\"type\":\"x\"}");

      if (i < 3)
        expect_status (&answer, 200);
      else
        {
          expect_problem (&answer, 429, "RATE_LIMIT_EXCEEDED");
          expect_header (&answer, "Retry-After", "10");
        }
    }

  for (guint i = 0; i < 4; i++)
    {
      g_auto (Answer) answer = ask (self, "POST", PUBLISH, JSON, TICK);

      expect_status (&answer, 200);
    }
}

static void
test_methods (Fixture *self, gconstpointer data)
{
  g_auto (Answer) got = ask (self, "GET", PUBLISH, NULL, NULL);
  g_auto (Answer) options = ask (self, "OPTIONS", "/api/v1/channels/a/publish", NULL, NULL);
  g_auto (Answer) text = ask (self, "POST", PUBLISH, TEXT, TICK);
  g_auto (Answer) plain = ask (self, "POST", PUBLISH, JSON "Accept: text/plain\r\n", TICK);

  expect_problem (&got, 405, "VALIDATION_ERROR");
  expect_header (&got, "Allow", "POST, OPTIONS");
  expect_status (&options, 204);
  expect_header (&options, "Allow", "POST, OPTIONS");
  expect_problem (&text, 415, "VALIDATION_ERROR");
  expect_problem (&plain, 406, "VALIDATION_ERROR");
}

/* The client goes before its answer: what it published is there all the same */
static void
test_gone (Fixture *self, gconstpointer data)
{
  FakeLink *ann = subscribe (self, "ann", "chat:1");
  GString *out = make_request ("POST", PUBLISH, self->token, JSON);
  static const char body[] = "{\"channel\":\"chat:1\",\"type\":\"x\"}";
  Call *call;

  add_body (out, body, strlen (body));
  call = call_new (self, out);
  while (call->sent < call->out->len)
    call_turn (call);
  call_free (call);
  fake_link_expect (ann, "x", "offset", "1", NULL);
  end (ann);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, settings, func)                                                                  \
  g_test_add ("/http-publish/" name, Fixture, settings, set_up, func, tear_down)
  ADD ("one", NULL, test_one);
  ADD ("durable", NULL, test_durable);
  ADD ("many", NULL, test_many);
  ADD ("bounds", NULL, test_bounds);
  ADD ("wrong", NULL, test_wrong);
  ADD ("keys", NULL, test_keys);
  ADD ("chat", NULL, test_chat);
  ADD ("users", NULL, test_users);
  ADD ("back-end", NULL, test_back_end);
  ADD ("rate", "[dialect choir]\nrate=3/10s\n", test_rate);
  ADD ("methods", NULL, test_methods);
  ADD ("gone", NULL, test_gone);

  return g_test_run ();
}
