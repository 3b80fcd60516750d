/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "http-fixture.h"

#define BROADCAST "/api/v1/broadcast"

/* Somebody who hears, on a connection of any contract */
static FakeLink *
join (Fixture *self, ChoirDialectId dialect, const char *user_id)
{
  FakeLink *link =
    fake_link_open (self->hub, dialect, user_id, "\"permissions\":[\"*:*:read\"]", NULL);

  fake_link_forget (link);

  return link;
}

static void
subscribe (FakeLink *link, const char *what)
{
  fake_link_say (link, "{\"type\":\"subscribe\",\"payload\":{%s}}", what);
  fake_hub_iterate ();
  fake_link_forget (link);
}

static void
end (FakeLink *link)
{
  fake_link_end (link, 1000);
  g_object_unref (link);
}

static void
expect_sent (Fixture *self, const char *target, const char *body, const char *recipients)
{
  g_auto (Answer) answer = ask (self, "POST", target, JSON, body);

  expect_status (&answer, 200);
  expect_member (&answer, "recipients", recipients);
}

static void
expect_invalid (Fixture *self, const char *target, const char *body)
{
  g_auto (Answer) answer = ask (self, "POST", target, JSON, body);

  expect_problem (&answer, 400, "VALIDATION_ERROR");
}

/* Contract D: 64 KiB both ways. What is larger with its envelope is left out, an answer is an error
 */
static void
test_too_large (Fixture *self, gconstpointer data)
{
  FakeLink *ann = join (self, CHOIR_DIALECT_REVIEWPOINT, "ann");
  FakeLink *bob = join (self, CHOIR_DIALECT_CHOIR, "bob");
  g_autofree char *text = g_strnfill (65436, 'x');
  g_autofree char *body = g_strdup_printf ("{\"type\":\"tick\",\"payload\":{\"t\":\"%s\"}}", text);
  g_autofree char *less =
    g_strdup_printf ("{\"type\":\"tick\",\"payload\":{\"t\":\"%s\"}}", text + 100);
  gint64 n_before = fake_hub_count (self->hub, "websocket_errors", "MESSAGE_TOO_LARGE");

  expect_sent (self, BROADCAST, less, "2");
  fake_link_expect (ann, "tick", NULL);
  fake_link_expect (bob, "tick", NULL);
  expect_sent (self, BROADCAST, body, "1");
  expect_sent (self, "/api/v1/users/ann/send", body, "0");
  fake_link_expect (bob, "tick", NULL);
  fake_link_expect_nothing (ann);
  g_assert_cmpint (fake_hub_count (self->hub, "websocket_errors", "MESSAGE_TOO_LARGE"), ==,
                   n_before + 2);

  fake_link_say (ann, "{\"type\":\"ping\",\"data\":{\"pingId\":\"%s\"}}", text);
  fake_link_expect (ann, "error", "data.code", "MESSAGE_TOO_LARGE", NULL);
  fake_link_say (ann, "{\"type\":\"ping\",\"data\":{\"pingId\":\"1\"}}");
  fake_link_expect (ann, "pong", NULL);
  end (ann);
  end (bob);
}

/* One that was cut off hears no more, though its closing handshake takes a while */
static void
test_closing (Fixture *self, gconstpointer data)
{
  FakeLink *ann = join (self, CHOIR_DIALECT_CHOIR, "ann");
  FakeLink *ann_too = join (self, CHOIR_DIALECT_CHOIR, "ann");
  g_autofree char *target =
    g_strdup_printf ("/api/v1/connections/%s/send",
                     choir_session_get_connection_id (fake_link_get_session (ann_too)));
  static const char tick[] = "{\"type\":\"tick\"}";

  subscribe (ann_too, "\"channels\":[\"news:1\"]");
  expect_sent (self, "/api/v1/channels/news:1/publish", tick, "1");
  choir_link_close (CHOIR_LINK (ann_too), CHOIR_CLOSE_NORMAL, "bye");
  expect_sent (self, "/api/v1/channels/news:1/publish", tick, "0");
  expect_sent (self, "/api/v1/users/ann/send", tick, "1");
  expect_sent (self, BROADCAST, tick, "1");
  expect_sent (self, BROADCAST, "{\"type\":\"tick\",\"filter\":{\"users\":[\"ann\"]}}", "1");
  expect_sent (self, target, tick, "0");
  end (ann);
  end (ann_too);
}

static void
test_broadcast (Fixture *self, gconstpointer data)
{
  FakeLink *ann = join (self, CHOIR_DIALECT_CHOIR, "ann");
  FakeLink *ann_too = join (self, CHOIR_DIALECT_NETRA, "ann");
  FakeLink *bob = join (self, CHOIR_DIALECT_CHOIR, "bob");
  FakeLink *nobody = fake_link_open (self->hub, CHOIR_DIALECT_CHOIR, NULL, NULL, NULL);
  g_autofree char *but_ann =
    g_strdup_printf ("{\"type\":\"d\",\"filter\":{\"exclude_connections\":[\"%s\"]}}",
                     choir_session_get_connection_id (fake_link_get_session (ann)));

  fake_link_forget (nobody);
  subscribe (bob, "\"channels\":[\"news:1\"]");
  expect_sent (self, BROADCAST, "{\"type\":\"a\",\"payload\":{\"n\":1}}", "3");
  fake_link_expect (ann, "a", "payload.n", "1", "channel", "all", "offset", "-", NULL);
  expect_sent (self, BROADCAST, "{\"type\":\"a\",\"filter\":{}}", "3");
  expect_sent (self, BROADCAST, "{\"type\":\"b\",\"filter\":{\"users\":[\"ann\",\"ann\",\"eve\"]}}",
               "2");
  expect_sent (self, BROADCAST,
               "{\"type\":\"c\",\"filter\":{\"users\":[\"ann\",\"bob\"],\"dialect\":\"choir\"}}",
               "2");
  expect_sent (self, BROADCAST, but_ann, "2");
  expect_sent (self, BROADCAST, "{\"type\":\"e\",\"filter\":{\"exclude_users\":[\"ann\"]}}", "1");
  expect_sent (self, BROADCAST, "{\"type\":\"f\",\"filter\":{\"channel\":\"news:1\"}}", "1");
  expect_sent (self, BROADCAST,
               "{\"type\":\"f\",\"filter\":{\"channel\":\"news:1\",\"users\":[\"ann\"]}}", "0");
  expect_sent (self, BROADCAST, "{\"type\":\"g\",\"filter\":{\"dialect\":\"netra\"}}", "1");

  fake_link_expect (ann, "a", NULL);
  fake_link_expect (ann, "b", "channel", "-", NULL);
  fake_link_expect (ann, "c", NULL);
  fake_link_expect_nothing (ann);
  fake_link_expect (bob, "a", NULL);
  fake_link_expect (bob, "a", NULL);
  fake_link_expect (bob, "c", NULL);
  fake_link_expect (bob, "d", NULL);
  fake_link_expect (bob, "e", NULL);
  fake_link_expect (bob, "f", "channel", "news:1", NULL);
  fake_link_expect_nothing (bob);
  fake_link_expect_nothing (nobody);

  end (ann);
  end (ann_too);
  end (bob);
  end (nobody);
}

static void
test_wrong_broadcasts (Fixture *self, gconstpointer data)
{
  static const char *const bodies[] = {
    "{}",
    "{\"type\":\"\"}",
    "{\"type\":7}",
    "{\"type\":\"a b\"}",
    "{\"type\":\"a\",\"payload\":7}",
    "{\"type\":\"a\",\"filtre\":{}}",
    "{\"type\":\"a\",\"filter\":[]}",
    "{\"type\":\"a\",\"filter\":{\"user\":\"ann\"}}",
    "{\"type\":\"a\",\"filter\":{\"users\":\"ann\"}}",
    "{\"type\":\"a\",\"filter\":{\"users\":[]}}",
    "{\"type\":\"a\",\"filter\":{\"users\":[\"a b\"]}}",
    "{\"type\":\"a\",\"filter\":{\"users\":[null]}}",
    "{\"type\":\"a\",\"filter\":{\"dialect\":\"klingon\"}}",
    "{\"type\":\"a\",\"filter\":{\"channel\":\"a b\"}}",
    "{\"type\":\"a\",\"filter\":{\"exclude_connections\":{}}}",
  };
  FakeLink *ann = join (self, CHOIR_DIALECT_CHOIR, "ann");
  g_autoptr (GString) many = g_string_new ("{\"type\":\"a\",\"filter\":{\"users\":[\"ann\"");

  for (guint i = 0; i < G_N_ELEMENTS (bodies); i++)
    expect_invalid (self, BROADCAST, bodies[i]);
  for (guint i = 1; i < 1000; i++)
    g_string_append_printf (many, ",\"u%u\"", i);
  {
    g_autofree char *most = g_strconcat (many->str, "]}}", NULL);
    g_autofree char *more = g_strconcat (many->str, ",\"one\"]}}", NULL);

    expect_sent (self, BROADCAST, most, "1");
    expect_invalid (self, BROADCAST, more);
  }
  fake_link_expect (ann, "a", NULL);
  fake_link_expect_nothing (ann);
  end (ann);
}

static void
test_send (Fixture *self, gconstpointer data)
{
  FakeLink *ann = join (self, CHOIR_DIALECT_CHOIR, "ann");
  FakeLink *ann_too = join (self, CHOIR_DIALECT_CHOIR, "ann");
  FakeLink *bob = join (self, CHOIR_DIALECT_CHOIR, "bob");
  g_autofree char *to_one =
    g_strdup_printf ("/api/v1/connections/%s/send",
                     choir_session_get_connection_id (fake_link_get_session (ann_too)));
  g_auto (Answer) missing =
    ask (self, "POST", "/api/v1/connections/nobody/send", JSON, "{\"type\":\"a\"}");

  expect_sent (self, "/api/v1/users/ann/send", "{\"type\":\"a\",\"payload\":{\"n\":1}}", "2");
  expect_sent (self, "/api/v1/users/eve/send", "{\"type\":\"a\"}", "0");
  expect_sent (self, to_one, "{\"type\":\"b\"}", "1");
  expect_problem (&missing, 404, "NOT_FOUND");
  expect_invalid (self, "/api/v1/users/a%20b/send", "{\"type\":\"a\"}");
  expect_invalid (self, "/api/v1/users/ann/send", "{\"type\":\"a\",\"filter\":{}}");
  expect_invalid (self, to_one, "{\"payload\":{}}");

  fake_link_expect (ann, "a", "payload.n", "1", NULL);
  fake_link_expect_nothing (ann);
  fake_link_expect (ann_too, "a", NULL);
  fake_link_expect (ann_too, "b", NULL);
  fake_link_expect_nothing (bob);
  end (ann);
  end (ann_too);
  end (bob);
}

/* Of the same requests one is carried out */
static void
test_once (Fixture *self, gconstpointer data)
{
  static const char target[] = "/api/v1/users/ann/send";
  static const char body[] = "{\"type\":\"a\"}";
  FakeLink *ann = join (self, CHOIR_DIALECT_CHOIR, "ann");
  g_autofree char *other = fake_hub_mint (self->hub, "other", "\"roles\":[\"service\"]");
  g_autofree char *long_key = g_strnfill (129, 'k');
  g_autofree char *long_header = g_strdup_printf (JSON "Idempotency-Key: %s\r\n", long_key);
  g_auto (Answer) bad = ask (self, "POST", target, JSON "Idempotency-Key: k\r\n", "{}");
  g_auto (Answer) first = ask (self, "POST", target, JSON "Idempotency-Key: k\r\n", body);
  g_auto (Answer) again = ask (self, "POST", target, JSON "Idempotency-Key: k\r\n", body);
  g_auto (Answer) differs =
    ask (self, "POST", target, JSON "Idempotency-Key: k\r\n", "{\"type\":\"b\"}");
  g_auto (Answer) elsewhere =
    ask (self, "POST", "/api/v1/users/bob/send", JSON "Idempotency-Key: k\r\n", body);
  g_auto (Answer) whose = ask_as (self, other, "POST", target, JSON "Idempotency-Key: k\r\n", body);
  g_auto (Answer) too_long = ask (self, "POST", target, long_header, body);

  expect_problem (&bad, 400, "VALIDATION_ERROR");
  expect_status (&first, 200);
  expect_member (&first, "recipients", "1");
  expect_status (&again, 200);
  expect_member (&again, "recipients", "1");
  expect_problem (&differs, 422, "VALIDATION_ERROR");
  expect_problem (&elsewhere, 422, "VALIDATION_ERROR");
  expect_status (&whose, 200);
  expect_problem (&too_long, 400, "VALIDATION_ERROR");
  fake_link_expect (ann, "a", NULL);
  fake_link_expect (ann, "a", NULL);
  fake_link_expect_nothing (ann);

  fake_hub_advance (self->hub, 5 * 60 * G_USEC_PER_SEC - 1);
  {
    g_auto (Answer) late = ask (self, "POST", target, JSON "Idempotency-Key: k\r\n", body);

    expect_status (&late, 200);
    g_assert_cmpint (choir_hub_get_n_users (self->hub->hub), ==, 1);
    fake_link_expect_nothing (ann);
  }
  fake_hub_advance (self->hub, 1);
  {
    g_auto (Answer) later = ask (self, "POST", target, JSON "Idempotency-Key: k\r\n", body);

    expect_member (&later, "recipients", "1");
    fake_link_expect (ann, "a", NULL);
  }
  end (ann);
}

/* What could not be carried out may come again with its key */
static void
test_once_failed (Fixture *self, gconstpointer data)
{
  static const char target[] = "/api/v1/reviews/7/updated";
  ChoirStoreMemory *store = CHOIR_STORE_MEMORY (self->hub->store);

  choir_store_memory_set_failing (store, TRUE);
  {
    g_auto (Answer) failed = ask (self, "POST", target, JSON "Idempotency-Key: k\r\n", "{}");

    expect_problem (&failed, 503, "UNAVAILABLE");
  }
  choir_store_memory_set_failing (store, FALSE);
  fake_hub_iterate ();
  {
    g_auto (Answer) done = ask (self, "POST", target, JSON "Idempotency-Key: k\r\n", "{}");

    expect_status (&done, 200);
  }
}

/* Two at once: whoever comes second is not told what the first will be answered */
static void
test_once_at_once (Fixture *self, gconstpointer data)
{
  FakeLink *ann = join (self, CHOIR_DIALECT_CHOIR, "ann");
  Call *calls[2];
  guint n_done = 0;

  subscribe (ann, "\"events\":[\"review.updated\"]");
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      GString *out = make_request ("POST", "/api/v1/reviews/7/updated", self->token,
                                   JSON "Idempotency-Key: k\r\n");

      add_body (out, "{}", 2);
      calls[i] = call_new (self, out);
      g_assert_cmpint (send (calls[i]->fd, out->str, out->len, MSG_NOSIGNAL), ==, (int) out->len);
      calls[i]->sent = out->len;
    }
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_auto (Answer) answer = { 0 };

      call_wait (calls[i]);
      answer = read_answer (calls[i]);
      n_done += answer.status == 200;
      if (answer.status != 200)
        expect_problem (&answer, 409, "CONFLICT");
      call_free (calls[i]);
    }
  g_assert_cmpuint (n_done, >=, 1);
  fake_link_expect (ann, "review.updated", NULL);
  fake_link_expect_nothing (ann);
  end (ann);
}

typedef struct
{
  const char *path;
  const char *type;
  const char *id;
  const char *body; /* for the subscribers, or everybody; NULL if there must be a user */
} NoticeCase;

static const NoticeCase notice_cases[] = {
  { "notifications", "system.notification", NULL, "{\"message\":\"m\"}" },
  { "reviews/r%2F%C3%A4/updated", "review.updated", "review_id", "{\"by\":\"x\"}" },
  { "files/r%2F%C3%A4/processing", "file.processing", "file_id", NULL },
  { "files/r%2F%C3%A4/ready", "file.ready", "file_id", NULL },
  { "uploads/r%2F%C3%A4/progress", "upload.progress", "upload_id", "{\"progress\":12.5}" },
  { "uploads/r%2F%C3%A4/completed", "upload.completed", "upload_id", "{}" },
  { "uploads/r%2F%C3%A4/error", "upload.error", "upload_id", "{\"message\":\"m\"}" },
};

static void
test_notices (Fixture *self, gconstpointer data)
{
  FakeLink *ann = join (self, CHOIR_DIALECT_REVIEWPOINT, "ann");
  FakeLink *bob = join (self, CHOIR_DIALECT_REVIEWPOINT, "bob");

  subscribe (bob, "");
  fake_link_say (bob, "{\"type\":\"subscribe\",\"data\":{\"events\":[\"review.updated\","
                      "\"upload.progress\",\"upload.completed\",\"upload.error\"]}}");
  fake_hub_iterate ();
  fake_link_forget (bob);

  for (guint i = 0; i < G_N_ELEMENTS (notice_cases); i++)
    {
      const NoticeCase *c = &notice_cases[i];
      g_autofree char *target = g_strconcat ("/api/v1/", c->path, NULL);
      g_autofree char *id_path = g_strconcat ("data.", c->id != NULL ? c->id : "no", NULL);
      const char *id = c->id != NULL ? "r/ä" : "-";

      g_test_message ("%s", c->path);
      if (c->body != NULL)
        {
          expect_sent (self, target, c->body, c->id == NULL ? "2" : "1");
          fake_link_expect (bob, c->type, id_path, id, "data.timestamp", "2023-11-14T22:13:20.000Z",
                            NULL);
        }
      else
        expect_invalid (self, target, "{}");

      if (c->id == NULL)
        {
          fake_link_expect (ann, c->type, "data.message", "m", "data.level", "info", NULL);
          continue;
        }

      fake_link_expect_nothing (ann);
      if (strstr (c->path, "reviews") != NULL)
        expect_sent (self, target,
                     "{\"users\":[\"ann\",\"eve\"],\"review_id\":\"no\",\"user_id\":\"eve\"}", "1");
      else
        expect_sent (self, target,
                     "{\"user_id\":\"ann\",\"name\":\"n\",\"progress\":7,\"timestamp\":\"t\"}",
                     "1");
      fake_link_expect (ann, c->type, id_path, id, "data.users", "-", "data.user_id",
                        strstr (c->path, "reviews") != NULL ? "eve" : "-", NULL);
      fake_link_expect_nothing (bob);
    }

  end (ann);
  end (bob);
}

static void
test_named_users (Fixture *self, gconstpointer data)
{
  FakeLink *ann = join (self, CHOIR_DIALECT_CHOIR, "ann");
  FakeLink *bob = join (self, CHOIR_DIALECT_CHOIR, "bob");

  expect_sent (self, "/api/v1/notifications",
               "{\"message\":\"m\",\"level\":\"warning\",\"users\":[\"ann\"],\"link\":\"/x\"}",
               "1");
  fake_link_expect (ann, "system.notification", "payload.level", "warning", "payload.link", "/x",
                    "payload.users", "-", NULL);
  fake_link_expect_nothing (bob);
  end (ann);
  end (bob);
}

static void
test_wrong_notices (Fixture *self, gconstpointer data)
{
  static const struct
  {
    const char *path;
    const char *body;
  } rows[] = {
    { "notifications", "{}" },
    { "notifications", "{\"message\":\"\"}" },
    { "notifications", "{\"message\":7}" },
    { "notifications", "{\"message\":\"m\",\"level\":\"so so\"}" },
    { "notifications", "{\"message\":\"m\",\"level\":7}" },
    { "notifications", "{\"message\":\"m\",\"users\":[]}" },
    { "notifications", "{\"message\":\"m\",\"users\":\"ann\"}" },
    { "reviews/1/updated", "{\"users\":[7]}" },
    { "reviews/a%0Ab/updated", "{}" },
    { "reviews/%FF/updated", "{}" },
    { "files/1/ready", "{}" },
    { "files/1/ready", "{\"user_id\":\"a b\"}" },
    { "files/1/ready", "{\"user_id\":7}" },
    { "uploads/1/progress", "{}" },
    { "uploads/1/progress", "{\"progress\":-1}" },
    { "uploads/1/progress", "{\"progress\":100.5}" },
    { "uploads/1/progress", "{\"progress\":\"7\"}" },
    { "uploads/1/progress", "{\"progress\":7,\"total_bytes\":-1}" },
    { "uploads/1/progress", "{\"progress\":7,\"bytes_uploaded\":1.5}" },
    { "uploads/1/error", "{\"user_id\":\"\"}" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *target = g_strconcat ("/api/v1/", rows[i].path, NULL);

      g_test_message ("%s %s", rows[i].path, rows[i].body);
      expect_invalid (self, target, rows[i].body);
    }
}

static void
test_access (Fixture *self, gconstpointer data)
{
  static const char *const targets[] = {
    BROADCAST,
    "/api/v1/users/ann/send",
    "/api/v1/connections/x/send",
    "/api/v1/notifications",
    "/api/v1/reviews/1/updated",
  };
  g_autofree char *token =
    fake_hub_mint (self->hub, "ann", "\"permissions\":[\"*:*:*\"],\"roles\":[\"worker\"]");

  for (guint i = 0; i < G_N_ELEMENTS (targets); i++)
    {
      g_auto (Answer) refused =
        ask_as (self, token, "POST", targets[i], JSON, "{\"type\":\"a\",\"message\":\"m\"}");
      g_auto (Answer) unknown = ask_as (self, NULL, "POST", targets[i], JSON, "{}");
      g_auto (Answer) got = ask (self, "GET", targets[i], NULL, NULL);

      expect_problem (&refused, 403, "PERMISSION_DENIED");
      expect_problem (&unknown, 401, "AUTH_ERROR");
      expect_problem (&got, 405, "VALIDATION_ERROR");
    }
}

/* What a request asked for may become of it when neither its client nor the server are there */
static void
test_outlives_the_server (Fixture *self, gconstpointer data)
{
  GString *out = make_request ("POST", "/api/v1/uploads/u/completed", self->token,
                               JSON "Idempotency-Key: once\r\n");
  g_autoptr (Call) call = NULL;

  add_body (out, "{}", 2);
  call = call_new (self, out);
  while (choir_hub_get_n_unstored (self->hub->hub) == 0)
    call_turn (call);

  choir_http_server_close_all (self->http);
  g_assert_cmpuint (choir_http_server_get_n_peers (self->http), ==, 0);
  g_assert_cmpuint (choir_hub_get_n_unstored (self->hub->hub), ==, 1);
  choir_http_server_free (self->http);
  fake_hub_iterate ();
  g_assert_cmpuint (choir_hub_get_n_unstored (self->hub->hub), ==, 0);

  self->http = choir_http_server_new (self->gateway);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, settings, func)                                                                  \
  g_test_add ("/http-send/" name, Fixture, settings, set_up, func, tear_down)
  ADD ("broadcast", NULL, test_broadcast);
  ADD ("wrong-broadcasts", NULL, test_wrong_broadcasts);
  ADD ("send", NULL, test_send);
  ADD ("closing", NULL, test_closing);
  ADD ("too-large", NULL, test_too_large);
  ADD ("once", "[protocol]\nheartbeat-interval=1h\nidle-timeout=2h\n", test_once);
  ADD ("once-failed", "[namespace event]\npersist=yes\n", test_once_failed);
  ADD ("once-at-once", "[namespace event]\npersist=yes\n", test_once_at_once);
  ADD ("notices", NULL, test_notices);
  ADD ("named-users", NULL, test_named_users);
  ADD ("wrong-notices", NULL, test_wrong_notices);
  ADD ("access", NULL, test_access);
  ADD ("outlives-the-server", "[namespace event]\npersist=yes\n", test_outlives_the_server);

  return g_test_run ();
}
