/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "http-fixture.h"

#define NOTES "/api/v1/documents/notes"
#define OPERATIONS NOTES "/operations"

static void
test_refusals (Fixture *self, gconstpointer data)
{
  static const struct
  {
    const char *method;
    const char *target;
    const char *headers;
    const char *body;
    guint status;
    const char *part;
  } rows[] = {
    /* addresses */
    { "GET", "/api", NULL, NULL, 404, "NOT_FOUND" },
    { "GET", "/api/", NULL, NULL, 404, "NOT_FOUND" },
    { "GET", "/api/v2/documents/a", NULL, NULL, 404, "NOT_FOUND" },
    { "GET", "/api/v1/documents/", NULL, NULL, 404, "NOT_FOUND" },
    { "GET", "/api/v1/documents/a/", NULL, NULL, 404, "NOT_FOUND" },
    { "GET", "/api/v1/documents//operations", NULL, NULL, 404, "NOT_FOUND" },
    { "GET", "/api/v1/documents/a/b", NULL, NULL, 404, "NOT_FOUND" },
    { "GET", "/api/v1/documents/..", NULL, NULL, 404, "NOT_FOUND" },
    { "GET", "/api/v1/documents/a/operations/1", NULL, NULL, 404, "NOT_FOUND" },
    { "POST", "/api/v1/nothing", NULL, "{}", 404, "NOT_FOUND" },
    { "GET", "/api/v1/documents/a%20b", NULL, NULL, 400, "printable" },
    { "GET", "/api/v1/documents/%C3%A4", NULL, NULL, 400, "printable" },
    { "GET", "/api/v1/documents/a%00b", NULL, NULL, 400, "decoded" },
    /* no address at all: the HTTP library's own answer, which has no content */
    { "GET", "/api/v1/documents/a%zz", NULL, NULL, 400, "" },
    /* however they are written, these are taken out of an address */
    { "GET", "/api/v1/documents/%2e/x", NULL, NULL, 404, "no such document" },
    { "GET", "/api/v1/documents/%2E%2e/documents/b/x", NULL, NULL, 404, "at this address" },
    /* methods */
    { "DELETE", NOTES, NULL, NULL, 405, "Allow: GET, HEAD, PUT, OPTIONS\r\n" },
    { "POST", NOTES, JSON, "{}", 405, "Allow: GET, HEAD, PUT, OPTIONS\r\n" },
    { "PUT", OPERATIONS, JSON, "{}", 405, "Allow: GET, HEAD, POST, OPTIONS\r\n" },
    { "get", NOTES, NULL, NULL, 405, "Allow: " },
    { "OPTIONS", NOTES, NULL, NULL, 204, "Allow: GET, HEAD, PUT, OPTIONS\r\n" },
    /* queries */
    { "GET", NOTES "?token=x", NULL, NULL, 400, "unknown" },
    { "GET", NOTES "?verson=1", NULL, NULL, 400, "unknown" },
    { "GET", NOTES "?version", NULL, NULL, 400, "decoded" },
    { "GET", NOTES "?version=", NULL, NULL, 400, "whole number" },
    { "GET", NOTES "?version=-1", NULL, NULL, 400, "whole number" },
    { "GET", NOTES "?version=1.5", NULL, NULL, 400, "whole number" },
    { "GET", NOTES "?version=99999999999999999999", NULL, NULL, 400, "whole number" },
    { "GET", NOTES "?version=1&version=1", NULL, NULL, 400, "twice" },
    { "GET", NOTES "?version=%31%", NULL, NULL, 400, "" },
    { "GET", OPERATIONS "?limit=0", NULL, NULL, 400, "limit" },
    { "GET", OPERATIONS "?limit=501", NULL, NULL, 400, "limit" },
    { "GET", OPERATIONS "?since=2", NULL, NULL, 404, "to come" },
    { "GET", NOTES "/versions?before=0", NULL, NULL, 400, "before" },
    { "GET", "/api/v1/documents?prefix=%ff", NULL, NULL, 400, "decoded" },
    { "PUT", NOTES "?x=1", TEXT, "x", 400, "unknown" },
    /* what is wanted */
    { "GET", NOTES, "Accept: text/html\r\n", NULL, 406, "text/plain" },
    { "GET", OPERATIONS, "Accept: text/plain\r\n", NULL, 406, "only application/json" },
    /* what is sent */
    { "PUT", NOTES, NULL, "x", 415, "Accept: application/json, text/plain\r\n" },
    { "PUT", NOTES, "Content-Type: text/plain; charset=latin1\r\n", "x", 415, "UTF-8" },
    { "PUT", NOTES, TEXT "Content-Encoding: gzip\r\n", "x", 415, "compressed" },
    { "POST", OPERATIONS, TEXT, "[]", 415, "Accept: application/json\r\n" },
    { "POST", NOTES "/versions", TEXT, "x", 415, "Accept: application/json\r\n" },
    { "PUT", NOTES, TEXT "If-Match: *\r\n", "\xff", 400, "UTF-8" },
    { "PUT", NOTES, TEXT "If-Match: *\r\n", "\xed\xa0\x80", 400, "UTF-8" },
    { "PUT", NOTES, JSON, "", 400, "INVALID_JSON" },
    { "PUT", NOTES, JSON, "{\"content\":1}", 400, "content" },
    { "PUT", NOTES, JSON, "{\"content\":\"a\",\"more\":1}", 400, "content" },
    { "PUT", NOTES, JSON, "{\"content\":\"\\ud800\"}", 400, "INVALID_JSON" },
    { "PUT", NOTES, JSON, "{\"content\":\"\\u0000\"}", 400, "INVALID_JSON" },
    { "PUT", NOTES, TEXT "Idempotency-Key: a b\r\n", "x", 400, "Idempotency-Key" },
    { "POST", OPERATIONS, JSON, "", 400, "INVALID_JSON" },
    { "POST", OPERATIONS, JSON, "1", 400, "INVALID_MESSAGE" },
    { "POST", OPERATIONS, JSON, "[]", 400, "INVALID_MESSAGE" },
    { "POST", OPERATIONS, JSON, "[1]", 400, "INVALID_MESSAGE" },
    { "POST", OPERATIONS, JSON, "{}", 400, "VALIDATION_ERROR" },
    { "POST", OPERATIONS, JSON, "{\"operation\":[0]}", 400, "VALIDATION_ERROR" },
    { "POST", OPERATIONS, JSON, "{\"operation\":[1.5]}", 400, "VALIDATION_ERROR" },
    { "POST", OPERATIONS, JSON, "{\"operation\":[{\"d\":9}]}", 400, "VALIDATION_ERROR" },
    { "POST", OPERATIONS, JSON, "{\"operation\":[5,\"x\"]}", 400, "VALIDATION_ERROR" },
    { "POST", OPERATIONS, JSON, "{\"operation\":[{\"d\":1,\"x\":1}]}", 400, "VALIDATION_ERROR" },
    { "POST", OPERATIONS, JSON, "{\"version\":-1,\"operation\":[\"x\"]}", 400, "version" },
    { "POST", OPERATIONS, JSON, "{\"version\":\"1\",\"operation\":[\"x\"]}", 400, "version" },
    { "POST", OPERATIONS, JSON, "{\"version\":2,\"operation\":[\"x\"]}", 409, "to come" },
    { "POST", OPERATIONS, JSON, "{\"change_id\":1,\"operation\":[\"x\"]}", 400, "change_id" },
    { "POST", OPERATIONS, JSON, "{\"change_id\":\"\",\"operation\":[\"x\"]}", 400, "change_id" },
    { "POST", NOTES "/versions", JSON, "{\"label\":\"\"}", 400, "label" },
    { "POST", NOTES "/versions", JSON, "{\"label\":5}", 400, "label" },
    { "POST", NOTES "/versions", JSON, "[", 400, "INVALID_JSON" },
    /* the API's bounds are its own; elsewhere all is as it was */
    { "POST", "/healthz", JSON, "{}", 405, "Allow: GET, HEAD, OPTIONS\r\n" },
  };
  g_auto (Answer) created = ask (self, "PUT", NOTES, TEXT, "text");
  g_auto (Answer) after = { 0 };

  expect_status (&created, 201);
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_auto (Answer) answer = { 0 };
      g_autofree char *whole = NULL;

      g_test_message ("%u: %s %s", i, rows[i].method, rows[i].target);
      answer = ask (self, rows[i].method, rows[i].target, rows[i].headers, rows[i].body);
      whole = g_strconcat (answer.head, answer.body, NULL);
      expect_status (&answer, rows[i].status);
      if (strstr (whole, rows[i].part) == NULL)
        g_error ("%s is not in %s", rows[i].part, whole);
      if (rows[i].status != 204 && *rows[i].part != '\0')
        expect_header (&answer, "Content-Type", "application/problem+json");
      else if (rows[i].status == 204)
        expect_header (&answer, "Content-Length", NULL);
    }

  after = ask (self, "GET", NOTES, NULL, NULL);
  expect_member (&after, "content", "text");
  expect_member (&after, "version", "1");
}

static void
test_long_names (Fixture *self, gconstpointer data)
{
  g_autofree char *id = g_strnfill (246, '~');
  g_autofree char *longest = g_strconcat ("/api/v1/documents/", id, NULL);
  g_autofree char *longer = g_strconcat (longest, "x", NULL);
  g_autofree char *key = g_strnfill (129, 'k');
  g_autofree char *keyed = g_strdup_printf (TEXT "Idempotency-Key: %s\r\n", key);
  g_autofree char *label = g_strnfill (201, 'l');
  g_autofree char *labelled = g_strdup_printf ("{\"label\":\"%s\"}", label);
  g_autofree char *prefix = g_strdup_printf ("/api/v1/documents?prefix=%s%s", id, "xyz");
  g_auto (Answer) created = ask (self, "PUT", longest, TEXT, "x");
  g_auto (Answer) refused = ask (self, "PUT", longer, TEXT, "x");
  g_auto (Answer) no_key = ask (self, "PUT", NOTES, keyed, "x");
  g_auto (Answer) no_label = { 0 };
  g_auto (Answer) no_prefix = ask (self, "GET", prefix, NULL, NULL);
  g_autofree char *versions = g_strconcat (longest, "/versions", NULL);

  expect_status (&created, 201);
  expect_problem (&refused, 400, "VALIDATION_ERROR");
  expect_problem (&no_key, 400, "VALIDATION_ERROR");
  expect_problem (&no_prefix, 400, "VALIDATION_ERROR");
  no_label = ask (self, "POST", versions, JSON, labelled);
  expect_problem (&no_label, 400, "VALIDATION_ERROR");
}

/* What is a name to us may be something else to HTTP */
static void
test_odd_names (Fixture *self, gconstpointer data)
{
  static const struct
  {
    const char *segment;
    const char *id;
  } rows[] = {
    { "a%2Fb", "a/b" },
    { "%3F%23%25", "?#%" },
    { "a:b;c=d,e@f!$&'()*+", "a:b;c=d,e@f!$&'()*+" },
    { "%22%5C%7B", "\"\\{" },
    { "...", "..." },
    { "%2561", "%61" },
    { "%41", "A" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *target = g_strconcat ("/api/v1/documents/", rows[i].segment, NULL);
      g_auto (Answer) created = ask (self, "PUT", target, TEXT, rows[i].id);
      g_autofree char *location = get_header (&created, "Location");
      g_auto (Answer) found = { 0 };

      expect_status (&created, 201);
      expect_member (&created, "document_id", rows[i].id);
      found = ask (self, "GET", location, NULL, NULL);
      expect_status (&found, 200);
      expect_member (&found, "document_id", rows[i].id);
      expect_member (&found, "content", rows[i].id);
    }
}

static void
test_tokens (Fixture *self, gconstpointer data)
{
  g_autofree char *expired = fake_hub_mint (self->hub, "x", "\"exp\":1600000000");
  g_auto (Answer) none = ask_as (self, NULL, "GET", NOTES, NULL, NULL);
  g_auto (Answer) empty = ask_as (self, "", "GET", NOTES, NULL, NULL);
  g_auto (Answer) bad = ask_as (self, "bad", "GET", NOTES, NULL, NULL);
  g_auto (Answer) old = ask_as (self, expired, "GET", NOTES, NULL, NULL);
  g_autofree char *twice = g_strdup_printf ("Authorization: Bearer %s\r\n", self->token);
  g_auto (Answer) two = ask (self, "GET", NOTES, twice, NULL);
  g_auto (Answer) basic = ask_as (self, NULL, "GET", NOTES, "Authorization: Basic YTpi\r\n", NULL);

  expect_problem (&none, 401, "AUTH_ERROR");
  expect_header (&none, "WWW-Authenticate", "Bearer");
  expect_problem (&empty, 401, "AUTH_ERROR");
  expect_problem (&bad, 401, "AUTH_ERROR");
  expect_header (&bad, "WWW-Authenticate", "Bearer error=\"invalid_token\"");
  expect_member (&bad, "detail", "Invalid token");
  expect_problem (&old, 401, "AUTH_ERROR");
  expect_member (&old, "detail", "Token expired");
  expect_problem (&two, 401, "AUTH_ERROR");
  expect_problem (&basic, 401, "AUTH_ERROR");
}

static void
test_permissions (Fixture *self, gconstpointer data)
{
  static const struct
  {
    const char *claims;
    guint get;
    guint put;
    guint list;
  } rows[] = {
    { "\"roles\":[\"service\"]", 200, 412, 200 },
    { "\"roles\":[\"admin\"]", 200, 412, 200 },
    { "\"roles\":[\"other\"]", 403, 403, 403 },
    { "\"permissions\":[\"document:notes:read\"]", 200, 403, 403 },
    { "\"permissions\":[\"document:notes:write\"]", 403, 412, 403 },
    { "\"permissions\":[\"document:*:*\"]", 200, 412, 403 },
    { "\"permissions\":[\"*:*:*\"]", 200, 412, 403 },
    { "\"permissions\":[\"document:other:*\",\"chat:notes:read\"]", 403, 403, 403 },
  };
  g_auto (Answer) created = ask (self, "PUT", NOTES, TEXT, "text");

  expect_status (&created, 201);
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *token = fake_hub_mint (self->hub, "user", rows[i].claims);
      g_auto (Answer) get = ask_as (self, token, "GET", NOTES, NULL, NULL);
      g_auto (Answer) put = ask_as (self, token, "PUT", NOTES, TEXT "If-None-Match: *\r\n", "x");
      g_auto (Answer) list = ask_as (self, token, "GET", "/api/v1/documents", NULL, NULL);
      g_auto (Answer) operations = ask_as (self, token, "GET", OPERATIONS, NULL, NULL);
      g_auto (Answer) posted = ask_as (self, token, "POST", OPERATIONS, JSON, "{");
      g_auto (Answer) saved = ask_as (self, token, "POST", NOTES "/versions", JSON, "{");

      g_test_message ("%s", rows[i].claims);
      expect_status (&get, rows[i].get);
      expect_status (&put, rows[i].put);
      expect_status (&list, rows[i].list);
      expect_status (&operations, rows[i].get);
      expect_status (&posted, rows[i].put == 403 ? 403 : 400);
      expect_status (&saved, rows[i].put == 403 ? 403 : 400);
    }
}

/* The table of users is asked as well, which takes a turn of the loop or more */
static void
test_users (Fixture *self, gconstpointer data)
{
  g_auto (Answer) unknown = { 0 };
  g_auto (Answer) large = { 0 };
  g_auto (Answer) known = { 0 };
  g_autofree char *body = g_strnfill (1000 * 1000, 'x');

  unknown = ask (self, "PUT", NOTES, TEXT, "x");
  expect_problem (&unknown, 401, "AUTH_ERROR");
  large = ask (self, "PUT", NOTES, TEXT, body);
  expect_problem (&large, 401, "AUTH_ERROR");
  choir_directory_memory_set (self->hub->users, "backend", TRUE);
  known = ask (self, "PUT", NOTES, TEXT "Expect: 100-continue\r\n", body);
  g_assert_true (g_str_has_prefix (known.head, "HTTP/1.1 100 Continue\r\n"));
  g_assert_nonnull (strstr (known.body, "HTTP/1.1 201 "));
  choir_directory_memory_set (self->hub->users, "backend", FALSE);
  g_clear_pointer (&known.head, g_free);
  g_clear_pointer (&known.body, g_free);
  known = ask (self, "GET", NOTES, NULL, NULL);
  expect_problem (&known, 401, "AUTH_ERROR");
}

static void
test_cors (Fixture *self, gconstpointer data)
{
  g_auto (Answer) preflight =
    ask_as (self, NULL, "OPTIONS", NOTES,
            "Origin: http://localhost:3000\r\nAccess-Control-Request-Method: PUT\r\n", NULL);
  g_auto (Answer) refused =
    ask_as (self, NULL, "GET", NOTES, "Origin: http://localhost:3000\r\n", NULL);
  g_auto (Answer) evil =
    ask_as (self, NULL, "OPTIONS", NOTES, "Origin: https://evil.example\r\n", NULL);

  expect_status (&preflight, 204);
  expect_header (&preflight, "Access-Control-Allow-Origin", "http://localhost:3000");
  expect_header (&preflight, "Access-Control-Allow-Methods",
                 "GET, HEAD, PUT, POST, DELETE, OPTIONS");
  expect_status (&refused, 401);
  expect_header (&refused, "Access-Control-Allow-Origin", "http://localhost:3000");
  expect_header (&refused, "Access-Control-Expose-Headers", "ETag, Location, Retry-After");
  expect_status (&evil, 204);
  expect_header (&evil, "Access-Control-Allow-Origin", NULL);
}

/* Requests that wait for their bodies take the places */
static void
test_full (Fixture *self, gconstpointer data)
{
  Call *calls[2];
  g_auto (Answer) refused = { 0 };
  g_auto (Answer) later = { 0 };

  for (guint i = 0; i < 2; i++)
    {
      calls[i] = call_new (
        self, make_request ("PUT", NOTES, self->token, TEXT "Content-Length: 4\r\n\r\ntex"));
      for (guint j = 0; j < 100; j++)
        call_turn (calls[i]);
    }
  g_assert_cmpuint (choir_http_server_get_n_requests (self->http), ==, 2);
  refused = ask (self, "GET", NOTES, NULL, NULL);
  expect_problem (&refused, 503, "UNAVAILABLE");

  call_free (calls[0]);
  g_string_append (calls[1]->out, "t");
  call_wait (calls[1]);
  g_assert_true (g_str_has_prefix (calls[1]->in->str, "HTTP/1.1 201 "));
  call_free (calls[1]);
  later = ask (self, "GET", NOTES, NULL, NULL);
  expect_status (&later, 200);
}

static void
test_rate (Fixture *self, gconstpointer data)
{
  g_autofree char *other = fake_hub_mint (self->hub, "other", "\"roles\":[\"service\"]");

  for (guint i = 0; i < 3; i++)
    {
      g_auto (Answer) answer = ask (self, "GET", NOTES, NULL, NULL);

      expect_status (&answer, i < 2 ? 404 : 429);
      expect_header (&answer, "Retry-After", i < 2 ? NULL : "1");
    }
  {
    g_auto (Answer) others = ask_as (self, other, "GET", NOTES, NULL, NULL);

    expect_status (&others, 404);
  }
  fake_hub_advance (self->hub, 1100 * 1000);
  {
    g_auto (Answer) later = ask (self, "GET", NOTES, NULL, NULL);

    expect_status (&later, 404);
  }
}

/* 403 in place of 401: another token would not help; and 401 where it would. What is under way when
 * it happens is refused as well */
static void
test_blocked (Fixture *self, gconstpointer data)
{
  g_autofree char *revoked =
    fake_hub_mint (self->hub, "other", "\"roles\":[\"service\"],\"jti\":\"t1\"");
  GString *head = make_request ("PUT", NOTES, self->token, TEXT);
  g_autoptr (Call) call = NULL;

  g_string_append (head, "Content-Length: 2\r\n\r\nx");
  call = call_new (self, head);
  while (choir_http_server_get_n_requests (self->http) == 0)
    call_turn (call);

  fake_hub_ban (self->hub, CHOIR_BAN_TOKEN, "t1");
  fake_hub_ban (self->hub, CHOIR_BAN_USER, "backend");
  g_string_append_c (call->out, 'y');
  call_wait (call);
  {
    g_auto (Answer) late = read_answer (call);
    g_auto (Answer) blocked = ask (self, "GET", NOTES, NULL, NULL);
    g_auto (Answer) emulated = ask (self, "POST", "/emulation?session_id=x", JSON, "{}");
    g_auto (Answer) other = ask_as (self, revoked, "GET", NOTES, NULL, NULL);

    expect_problem (&late, 403, "PERMISSION_DENIED");
    expect_problem (&blocked, 403, "PERMISSION_DENIED");
    expect_member (&blocked, "detail", "Blocked by an administrator");
    expect_problem (&emulated, 403, "PERMISSION_DENIED");
    expect_problem (&other, 401, "AUTH_ERROR");
  }
}

static void
test_not_ready (Fixture *self, gconstpointer data)
{
  g_auto (Answer) starting = { 0 };
  g_auto (Answer) draining = { 0 };
  g_auto (Answer) readiness = { 0 };

  self->gateway->ready = FALSE;
  starting = ask (self, "GET", NOTES, NULL, NULL);
  expect_problem (&starting, 503, "UNAVAILABLE");
  readiness = ask (self, "GET", "/readyz", NULL, NULL);
  expect_member (&readiness, "reason", "starting");
  self->gateway->ready = TRUE;
  choir_hub_shutdown (self->hub->hub);
  draining = ask (self, "GET", NOTES, NULL, NULL);
  expect_problem (&draining, 503, "UNAVAILABLE");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, settings, func)                                                                  \
  g_test_add ("/http-api/" name, Fixture, settings, set_up, func, tear_down)
  ADD ("refusals", NULL, test_refusals);
  ADD ("long-names", NULL, test_long_names);
  ADD ("odd-names", NULL, test_odd_names);
  ADD ("tokens", NULL, test_tokens);
  ADD ("permissions", NULL, test_permissions);
  ADD ("users", "[auth]\nusers=store\n", test_users);
  ADD ("cors", NULL, test_cors);
  ADD ("full", "[api]\nmax-requests=2\n", test_full);
  ADD ("rate", "api=2/1s\n", test_rate);
  ADD ("blocked", NULL, test_blocked);
  ADD ("not-ready", NULL, test_not_ready);

  return g_test_run ();
}
