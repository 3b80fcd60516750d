/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-guard.h"
#include "http-fixture.h"

#define NOTES "/api/v1/documents/notes"
#define OPERATIONS NOTES "/operations"

/* A client that announces more than there may be is told before it sends it, and a client that just
 * sends is told while it does */
static void
test_too_large (Fixture *self, gconstpointer data)
{
  g_autofree char *chunk = g_strnfill (0x8000, 'x');

  {
    GString *out = make_request ("PUT", NOTES, self->token, TEXT "Content-Length: 80000\r\n\r\n");
    g_auto (Answer) answer = ask_raw (self, out);

    expect_problem (&answer, 413, "MESSAGE_TOO_LARGE");
    expect_header (&answer, "Content-Type", "application/problem+json");
  }
  {
    GString *out = make_request ("PUT", NOTES, self->token,
                                 TEXT "Expect: 100-continue\r\nContent-Length: 80000\r\n\r\n");
    g_auto (Answer) answer = ask_raw (self, out);

    expect_problem (&answer, 413, "MESSAGE_TOO_LARGE");
  }
  {
    GString *out =
      make_request ("PUT", NOTES, self->token, TEXT "Transfer-Encoding: chunked\r\n\r\n");

    for (guint i = 0; i < 64; i++)
      g_string_append_printf (out, "8000\r\n%s\r\n", chunk);
    {
      g_auto (Answer) answer = ask_raw (self, out);

      expect_problem (&answer, 413, "MESSAGE_TOO_LARGE");
    }
  }
  {
    GString *out = make_request ("PUT", NOTES, self->token,
                                 TEXT "Transfer-Encoding: chunked\r\n\r\n"
                                      "5\r\nhello\r\n6\r\n wörl\r\n1\r\nd\r\n0\r\n\r\n");
    g_auto (Answer) answer = ask_raw (self, out);
    g_auto (Answer) found = ask (self, "GET", NOTES, NULL, NULL);

    expect_status (&answer, 201);
    expect_member (&found, "content", "hello wörld");
  }
  /* nobody wants that one */
  {
    GString *out =
      make_request ("POST", "/healthz", NULL, TEXT "Transfer-Encoding: chunked\r\n\r\n");

    for (guint i = 0; i < 8; i++)
      g_string_append_printf (out, "8000\r\n%s\r\n", chunk);
    {
      g_auto (Answer) answer = ask_raw (self, out);

      expect_problem (&answer, 413, "MESSAGE_TOO_LARGE");
    }
  }
  /* a body with a GET is no one's business, if it is not too much */
  {
    g_auto (Answer) small = ask (self, "GET", NOTES, JSON, "{}");
    g_auto (Answer) refused = ask_as (self, NULL, "PUT", NOTES, TEXT, chunk);

    expect_status (&small, 200);
    expect_status (&refused, 401);
  }
}

/* The answer arrives although the client is still sending, and reads only then */
static void
test_refused_while_sending (Fixture *self, gconstpointer data)
{
  GString *out = make_request ("PUT", NOTES, "bad", TEXT);
  g_autofree char *body = g_strnfill (400 * 1000, 'x');
  g_autoptr (Call) call = NULL;

  add_body (out, body, 400 * 1000);
  call = call_new (self, out);
  while (call->sent < call->out->len)
    {
      gssize n = send (call->fd, call->out->str + call->sent, call->out->len - call->sent,
                       MSG_NOSIGNAL | MSG_DONTWAIT);

      g_assert_true (n > 0 || errno == EAGAIN);
      call->sent += n > 0 ? (gsize) n : 0;
      g_main_context_iteration (NULL, FALSE);
    }
  g_assert_cmpint (shutdown (call->fd, SHUT_WR), ==, 0);
  call_wait (call);
  g_assert_true (g_str_has_prefix (call->in->str, "HTTP/1.1 401 "));
}

/* One who never stops, or never reads, is let go when its time is up */
static void
test_lingering (Fixture *self, gconstpointer data)
{
  GString *out = make_request ("PUT", NOTES, "bad", TEXT "Content-Length: 1000000\r\n\r\n");
  g_autoptr (Call) call = call_new (self, out);

  call_wait_for (call, "\r\n\r\n{");
  fake_hub_advance (self->hub, 1900 * 1000);
  fake_hub_iterate ();
  g_assert_cmpuint (choir_http_server_get_n_peers (self->http), ==, 1);
  fake_hub_advance (self->hub, 200 * 1000);
  fake_hub_iterate ();
  g_assert_cmpuint (choir_http_server_get_n_peers (self->http), ==, 0);
}

static void
test_slow_sender (Fixture *self, gconstpointer data)
{
  GString *out = make_request ("PUT", NOTES, self->token, TEXT "Content-Length: 100\r\n\r\nx");
  g_autoptr (Call) call = call_new (self, out);

  for (guint i = 0; i < 100; i++)
    call_turn (call);
  g_assert_cmpuint (choir_http_server_get_n_requests (self->http), ==, 1);
  fake_hub_advance (self->hub, 2100 * 1000);
  call_wait (call);
  g_assert_cmpuint (choir_http_server_get_n_requests (self->http), ==, 0);
  g_assert_cmpuint (choir_http_server_get_n_peers (self->http), ==, 0);
}

static void
test_slow_reader (Fixture *self, gconstpointer data)
{
  g_autofree char *text = g_strnfill (2 * 1000 * 1000, 'x');
  g_auto (Answer) created = ask (self, "PUT", NOTES, TEXT, text);
  GString *out = make_request ("GET", NOTES, self->token, "\r\n");
  g_autoptr (Call) call = call_new (self, out);

  expect_status (&created, 201);
  g_assert_cmpint (send (call->fd, out->str, out->len, 0), ==, out->len);
  fake_hub_iterate ();
  g_assert_cmpuint (choir_http_server_get_n_requests (self->http), ==, 1);
  fake_hub_advance (self->hub, 1500 * 1000);
  /* some is taken, which gives it more time */
  for (guint i = 0; i < 50; i++)
    call_turn (call);
  fake_hub_advance (self->hub, 1500 * 1000);
  fake_hub_iterate ();
  g_assert_cmpuint (choir_http_server_get_n_requests (self->http), ==, 1);
  fake_hub_advance (self->hub, 2100 * 1000);
  fake_hub_iterate ();
  g_assert_cmpuint (choir_http_server_get_n_requests (self->http), ==, 0);
}

/* Bodies together may hold only so much; a single one may be larger */
static void
test_bytes (Fixture *self, gconstpointer data)
{
  g_autofree char *text = g_strnfill (50 * 1000, 'x');
  g_auto (Answer) created = ask (self, "PUT", NOTES, TEXT, text);
  g_auto (Answer) out_refused = { 0 };
  g_auto (Answer) in_refused = { 0 };
  GString *out = make_request ("PUT", NOTES, self->token, TEXT "Content-Length: 60000\r\n\r\n");
  g_autoptr (Call) call = NULL;

  expect_status (&created, 201);
  g_string_append (out, text);
  call = call_new (self, out);
  for (guint i = 0; i < 200; i++)
    call_turn (call);
  out_refused = ask (self, "GET", NOTES, NULL, NULL);
  expect_problem (&out_refused, 503, "UNAVAILABLE");
  in_refused = ask (self, "PUT", NOTES, TEXT, text);
  expect_problem (&in_refused, 503, "UNAVAILABLE");

  g_string_append_len (call->out, text, 10000);
  call_wait (call);
  g_assert_true (g_str_has_prefix (call->in->str, "HTTP/1.1 409 "));
  {
    g_auto (Answer) found = ask (self, "GET", NOTES, NULL, NULL);

    expect_status (&found, 200);
  }
}

/* Wherever the client goes away, nothing stays behind: tear_down() looks */
static void
test_leaving (Fixture *self, gconstpointer data)
{
  GString *whole = make_request ("POST", OPERATIONS, self->token, JSON);
  g_autofree char *body = g_strnfill (3000, 'x');
  g_autofree char *change = g_strdup_printf ("{\"operation\":[\"%s\"]}", body);

  choir_directory_memory_set (self->hub->users, "backend", TRUE);
  add_body (whole, change, strlen (change));
  for (guint turns = 0; turns < 12; turns++)
    for (gsize len = 100; len <= whole->len + 500; len += 500)
      {
        Call *call = call_new (self, g_string_new_len (whole->str, (gssize) MIN (len, whole->len)));

        for (guint i = 0; i < turns; i++)
          call_turn (call);
        call_free (call);
      }
  g_string_free (whole, TRUE);
  while (choir_http_server_get_n_requests (self->http) > 0)
    g_main_context_iteration (NULL, TRUE);
}

/* The server ends while requests are at every stage */
static void
test_ending (Fixture *self, gconstpointer data)
{
  Call *calls[20];

  choir_directory_memory_set (self->hub->users, "backend", TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      GString *out = make_request ("PUT", NOTES, i % 4 == 3 ? "bad" : self->token, TEXT);

      g_string_append_printf (out, "Content-Length: %u\r\n\r\ntext", i % 4 == 3 ? 100000u : 4u);
      calls[i] = call_new (self, out);
      for (guint j = 0; j < i; j++)
        call_turn (calls[i]);
    }

  choir_http_server_close_all (self->http);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      call_wait (calls[i]);
      call_free (calls[i]);
    }
  fake_hub_iterate ();
}

static char
random_byte (void)
{
  static const char alphabet[] = "{}[]\",:0159-.%/?&=* \\uabdeorsntipv\r\n\x01\xf0\x9f\x98\x80";

  return alphabet[g_test_rand_int_range (0, sizeof alphabet - 1)];
}

/* Requests with a few bytes changed: always an answer, never a change that was not meant, and the
 * server stays */
static void
test_mutations (Fixture *self, gconstpointer data)
{
  static const struct
  {
    const char *method;
    const char *target;
    const char *headers;
    const char *body;
  } rows[] = {
    { "GET", NOTES "?version=0", "Accept: text/plain;q=0.5, */*\r\n", NULL },
    { "GET", OPERATIONS "?since=0&limit=3", "If-None-Match: \"a\", W/\"b\"\r\n", NULL },
    { "PUT", NOTES, JSON "If-Match: \"a-1\"\r\n", "{\"content\":\"a\\u00e4\"}" },
    { "POST", OPERATIONS, JSON, "{\"version\":0,\"operation\":[1,\"a\",{\"d\":1}]}" },
    { "POST", OPERATIONS, JSON,
      "[{\"operation\":\"insert\",\"position\":0,\"content\":\"x\",\"change_id\":\"c\"}]" },
    { "POST", NOTES "/versions", JSON, "{\"label\":\"x\"}" },
  };
  g_auto (Answer) created = ask (self, "PUT", NOTES, TEXT, "text");
  guint n_sent = 0;

  expect_status (&created, 201);
  for (guint i = 0; i < 3000; i++)
    {
      guint row = i % G_N_ELEMENTS (rows);
      GString *out = make_request (rows[row].method, rows[row].target, self->token, NULL);
      gsize head_len = out->len;
      g_autoptr (Call) call = NULL;

      g_string_append (out, rows[row].headers);
      add_body (out, rows[row].body, rows[row].body != NULL ? strlen (rows[row].body) : 0);
      for (gint n = g_test_rand_int_range (1, 4); n > 0; n--)
        {
          gsize at = (gsize) g_test_rand_int_range (0, 2) == 0
                       ? (gsize) g_test_rand_int_range (0, 60)
                       : (gsize) g_test_rand_int_range ((gint) head_len, (gint) out->len);

          out->str[at] = random_byte ();
        }

      /* no other head comes as far as this */
      if (choir_http_guard_check (out->str, out->len) != CHOIR_HTTP_GUARD_FINE)
        {
          g_string_free (out, TRUE);
          continue;
        }

      n_sent++;
      call = call_new (self, out);
      while (!call->ended && call->sent < out->len)
        call_turn (call);
      shutdown (call->fd, SHUT_WR);
      call_wait (call);
      g_assert_true (call->in->len == 0 || g_str_has_prefix (call->in->str, "HTTP/1."));
      g_assert_null (strstr (call->in->str, " 500 "));
    }
  g_assert_cmpuint (n_sent, >, 1000);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, settings, func)                                                                  \
  g_test_add ("/http-bodies/" name, Fixture, settings, set_up, func, tear_down)
  ADD ("too-large", "[document]\nmax-size=1K\n", test_too_large);
  ADD ("refused-while-sending", NULL, test_refused_while_sending);
  ADD ("lingering", "[server]\nhandshake-timeout=2s\n", test_lingering);
  ADD ("slow-sender", "[server]\nhandshake-timeout=2s\n", test_slow_sender);
  ADD ("slow-reader", "[server]\nhandshake-timeout=2s\n", test_slow_reader);
  ADD ("bytes", "[api]\nmax-bytes=40K\n", test_bytes);
  ADD ("leaving", "[auth]\nusers=store\n", test_leaving);
  ADD ("ending", "[auth]\nusers=store\n", test_ending);
  ADD ("mutations", NULL, test_mutations);

  return g_test_run ();
}
