/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "http-fixture.h"

#define NOTES "/api/v1/documents/notes"

static void
test_life (Fixture *self, gconstpointer data)
{
  g_auto (Answer) missing = ask (self, "GET", NOTES, NULL, NULL);
  g_auto (Answer) created = ask (self, "PUT", NOTES, TEXT, "Grüße 👩‍🚀\n\t\"quoted\"");
  g_auto (Answer) json = ask (self, "GET", NOTES, NULL, NULL);
  g_auto (Answer) again = ask (self, "PUT", NOTES, TEXT, "other");
  g_autofree char *etag = get_header (&json, "ETag");
  g_autofree char *epoch = fake_link_read (json.body, "epoch");
  g_autofree char *expected = g_strdup_printf ("\"%s-1\"", epoch);

  expect_problem (&missing, 404, "NOT_FOUND");
  expect_status (&created, 201);
  expect_header (&created, "Location", "/api/v1/documents/notes");
  expect_header (&created, "ETag", etag);
  expect_member (&created, "document_id", "notes");
  expect_member (&created, "version", "1");

  expect_status (&json, 200);
  expect_header (&json, "Content-Type", "application/json");
  expect_header (&json, "Cache-Control", "private, no-cache");
  expect_member (&json, "content", "Grüße 👩‍🚀\n\t\"quoted\"");
  expect_member (&json, "version", "1");
  expect_member (&json, "changed_at", "2023-11-14T22:13:20.000Z");
  g_assert_cmpstr (etag, ==, expected);
  g_assert_cmpuint (strlen (epoch), ==, 16);
  expect_text (self, NOTES, "Grüße 👩‍🚀\n\t\"quoted\"");

  expect_problem (&again, 409, "CONFLICT");
  expect_member (&again, "version", "1");
  expect_text (self, NOTES, "Grüße 👩‍🚀\n\t\"quoted\"");
}

/* Each form has its own tag; either names the state */
static void
test_etags (Fixture *self, gconstpointer data)
{
  g_autofree char *json_tag = NULL;
  g_autofree char *text_tag = NULL;
  g_autofree char *if_json = NULL;
  g_autofree char *if_text = NULL;
  g_autofree char *not_json = NULL;

  put (self, NOTES, "one");
  {
    g_auto (Answer) text = ask (self, "GET", NOTES, "Accept: text/*\r\n", NULL);

    text_tag = get_header (&text, "ETag");
    json_tag = get_etag (self, NOTES);
    g_assert_cmpstr (text_tag, !=, json_tag);
    if_json = line ("If-Match", json_tag);
    if_text = g_strdup_printf (TEXT "If-Match: \"x\", %s\r\n", text_tag);
    not_json = line ("If-None-Match", json_tag);
  }
  {
    g_auto (Answer) same = ask (self, "GET", NOTES, not_json, NULL);
    g_autofree char *accept = g_strconcat ("Accept: text/plain\r\n", not_json, NULL);
    g_auto (Answer) other = ask (self, "GET", NOTES, accept, NULL);
    g_auto (Answer) met = ask (self, "GET", NOTES, if_json, NULL);
    g_auto (Answer) failed = ask (self, "GET", NOTES, "If-Match: \"nothing\"\r\n", NULL);
    g_auto (Answer) any = ask (self, "HEAD", NOTES, "If-None-Match: *\r\n", NULL);

    expect_status (&same, 304);
    expect_header (&same, "ETag", json_tag);
    expect_header (&same, "Content-Length", NULL);
    g_assert_cmpuint (same.len, ==, 0);
    expect_status (&other, 200);
    expect_status (&met, 200);
    expect_problem (&failed, 412, "CONFLICT");
    expect_status (&any, 304);
  }
  {
    g_auto (Answer) replaced = ask (self, "PUT", NOTES, if_text, "two");
    g_auto (Answer) late = ask (self, "PUT", NOTES, if_text, "three");
    g_auto (Answer) weak = ask (self, "PUT", NOTES, TEXT "If-Match: W/\"x\"\r\n", "three");
    g_auto (Answer) is_new = ask (self, "PUT", NOTES, TEXT "If-None-Match: *\r\n", "three");
    g_auto (Answer) whatever = ask (self, "PUT", NOTES, TEXT "If-Match: *\r\n", "three");

    expect_status (&replaced, 200);
    expect_member (&replaced, "version", "2");
    expect_problem (&late, 412, "CONFLICT");
    expect_member (&late, "version", "2");
    expect_problem (&weak, 412, "CONFLICT");
    expect_problem (&is_new, 412, "CONFLICT");
    expect_status (&whatever, 200);
    expect_text (self, NOTES, "three");
  }
  {
    g_auto (Answer) gone = ask (self, "PUT", "/api/v1/documents/b", TEXT "If-Match: *\r\n", "x");
    g_auto (Answer) is_new =
      ask (self, "PUT", "/api/v1/documents/b", TEXT "If-None-Match: *\r\n", "x");

    expect_problem (&gone, 412, "CONFLICT");
    expect_status (&is_new, 201);
  }
}

/* A PUT leaves alone what stays as it is: the change that others get is a small one */
static void
test_smallest_change (Fixture *self, gconstpointer data)
{
  static const struct
  {
    const char *text;
    const char *operation;
  } rows[] = {
    { "ab cd", "[\"ab cd\"]" },
    { "ab xy cd", "[3,\"xy \"]" },
    { "ab cd", "[3,{\"d\":3}]" },
    { "ab äd", "[3,\"ä\",{\"d\":1}]" },
    /* both two bytes, the first the same */
    { "ab ëd", "[3,\"ë\",{\"d\":1}]" },
    /* the last byte the same */
    { "ab ūd", "[3,\"ū\",{\"d\":1}]" },
    { "ab 👍🏽👍d", "[3,\"👍🏽👍\",{\"d\":1}]" },
    { "ab 👍👍d", "[4,{\"d\":1}]" },
    { "", "[{\"d\":6}]" },
    { "aaa", "[\"aaa\"]" },
    { "aaaa", "[3,\"a\"]" },
    { "", "[{\"d\":4}]" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *target = g_strdup_printf (NOTES "/operations?since=%u", i);
      g_auto (Answer) done =
        ask (self, "PUT", NOTES, i == 0 ? TEXT : TEXT "If-Match: *\r\n", rows[i].text);
      g_auto (Answer) operations = ask (self, "GET", target, NULL, NULL);

      expect_status (&done, i == 0 ? 201 : 200);
      expect_status (&operations, 200);
      expect_member (&operations, "operations.0.operation", rows[i].operation);
      expect_text (self, NOTES, rows[i].text);
    }

  {
    g_auto (Answer) same = ask (self, "PUT", NOTES, TEXT "If-Match: *\r\n", "");

    expect_status (&same, 200);
    expect_member (&same, "version", "12");
  }
}

static void
test_json_content (Fixture *self, gconstpointer data)
{
  g_auto (Answer) created =
    ask (self, "PUT", NOTES, JSON, "{\"content\": \"a\\u00e4\\ud83d\\ude00\\n\"}");
  g_auto (Answer) empty = ask (self, "PUT", "/api/v1/documents/empty", JSON, "{\"content\":\"\"}");
  g_auto (Answer) there = ask (self, "GET", "/api/v1/documents/empty", NULL, NULL);
  g_auto (Answer) nothing = ask (self, "PUT", "/api/v1/documents/nothing", TEXT, NULL);

  expect_status (&created, 201);
  expect_text (self, NOTES, "aä😀\n");
  expect_status (&empty, 201);
  expect_member (&there, "content", "");
  expect_member (&there, "version", "1");
  expect_status (&nothing, 201);
}

static void
test_past (Fixture *self, gconstpointer data)
{
  g_autofree char *etag = NULL;
  g_autofree char *unless = NULL;
  g_auto (Answer) to_come = { 0 };
  g_auto (Answer) same = { 0 };
  g_auto (Answer) json = { 0 };

  put (self, NOTES, "one");
  post (self, NOTES "/operations", "{\"operation\":[3,\" two\"]}", "2");
  post (self, NOTES "/operations", "{\"operation\":[{\"d\":4}]}", "3");
  expect_text (self, NOTES, "two");
  expect_text (self, NOTES "?version=3", "two");
  expect_text (self, NOTES "?version=2", "one two");
  expect_text (self, NOTES "?version=1", "one");
  expect_text (self, NOTES "?version=0", "");

  json = ask (self, "GET", NOTES "?version=2", NULL, NULL);
  expect_member (&json, "version", "2");
  expect_member (&json, "content", "one two");
  expect_member (&json, "changed_at", "-");
  etag = get_header (&json, "ETag");
  unless = line ("If-None-Match", etag);
  same = ask (self, "GET", NOTES "?version=2", unless, NULL);
  expect_status (&same, 304);
  to_come = ask (self, "GET", NOTES "?version=4", NULL, NULL);
  expect_problem (&to_come, 404, "NOT_FOUND");
}

static void
test_horizon (Fixture *self, gconstpointer data)
{
  g_auto (Answer) past = { 0 };
  g_auto (Answer) operations = { 0 };
  g_auto (Answer) late = { 0 };

  put (self, NOTES, "x");
  for (guint i = 2; i <= 40; i++)
    {
      g_autofree char *version = g_strdup_printf ("%u", i);

      post (self, NOTES "/operations", "{\"operation\":[\"x\"]}", version);
    }

  past = ask (self, "GET", NOTES "?version=2", NULL, NULL);
  expect_problem (&past, 404, "NOT_FOUND");
  operations = ask (self, "GET", NOTES "/operations?since=1", NULL, NULL);
  expect_problem (&operations, 404, "NOT_FOUND");
  late = ask (self, "POST", NOTES "/operations", JSON, "{\"version\":1,\"operation\":[\"y\"]}");
  expect_problem (&late, 409, "CONFLICT");
  expect_member (&late, "version", "40");
}

static void
store_result (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

/* As an editor does; to be given back with choir_document_release() */
static ChoirDocument *
hold (Fixture *self, const char *id)
{
  ChoirDocumentTable *table = choir_hub_get_documents (self->hub->hub);
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  ChoirDocument *document;

  choir_document_table_open_async (table, id, NULL, store_result, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  document = choir_document_table_open_finish (table, result, &error);
  g_assert_no_error (error);

  return document;
}

static void
test_versions (Fixture *self, gconstpointer data)
{
  g_auto (Answer) none = ask (self, "POST", NOTES "/versions", NULL, NULL);
  g_auto (Answer) saved = { 0 };
  g_auto (Answer) soon = { 0 };
  g_auto (Answer) unnamed = { 0 };
  g_auto (Answer) listed = { 0 };
  g_auto (Answer) before = { 0 };
  ChoirDocument *document;

  expect_problem (&none, 404, "NOT_FOUND");
  put (self, NOTES, "one");
  document = hold (self, "notes");
  saved = ask (self, "POST", NOTES "/versions", JSON, "{\"label\":\"Entwurf – 1\"}");
  expect_status (&saved, 201);
  expect_header (&saved, "Location", NOTES "?version=1");
  expect_member (&saved, "version", "1");
  expect_member (&saved, "label", "Entwurf – 1");
  expect_member (&saved, "user_id", "backend");

  post (self, NOTES "/operations", "{\"operation\":[\"x\"]}", "2");
  soon = ask (self, "POST", NOTES "/versions", JSON, "{\"label\":\"2\"}");
  expect_problem (&soon, 429, "RATE_LIMIT_EXCEEDED");
  expect_header (&soon, "Retry-After", "1");
  fake_hub_advance (self->hub, G_USEC_PER_SEC);
  unnamed = ask (self, "POST", NOTES "/versions", NULL, NULL);
  expect_status (&unnamed, 201);
  expect_member (&unnamed, "label", "2023-11-14T22:13:21.000Z");

  listed = ask (self, "GET", NOTES "/versions", NULL, NULL);
  expect_member (&listed, "versions.0.version", "2");
  expect_member (&listed, "versions.0.size", "4");
  expect_member (&listed, "complete", "true");
  before = ask (self, "GET", NOTES "/versions?before=2&limit=1", NULL, NULL);
  expect_member (&before, "versions.0.version", "1");
  expect_member (&before, "versions.0.user_id", "backend");
  choir_document_release (document);
}

static void
test_list (Fixture *self, gconstpointer data)
{
  g_auto (Answer) all = { 0 };
  g_auto (Answer) part = { 0 };
  g_auto (Answer) rest = { 0 };
  g_auto (Answer) none = { 0 };

  put (self, "/api/v1/documents/a%2F1", "x");
  put (self, "/api/v1/documents/a%2F2", "x");
  put (self, "/api/v1/documents/b", "x");
  all = ask (self, "GET", "/api/v1/documents", NULL, NULL);
  expect_member (&all, "documents.0.document_id", "a/1");
  expect_member (&all, "documents.0.version", "1");
  expect_member (&all, "documents.0.changed_at", "2023-11-14T22:13:20.000Z");
  expect_member (&all, "documents.2.document_id", "b");
  expect_member (&all, "complete", "true");
  part = ask (self, "GET", "/api/v1/documents?prefix=a/&limit=1", NULL, NULL);
  expect_member (&part, "documents.0.document_id", "a/1");
  expect_member (&part, "documents.1", "-");
  expect_member (&part, "complete", "false");
  rest = ask (self, "GET", "/api/v1/documents?prefix=a%2f&after=a/1", NULL, NULL);
  expect_member (&rest, "documents.0.document_id", "a/2");
  expect_member (&rest, "documents.1", "-");
  none = ask (self, "GET", "/api/v1/documents?after=z", NULL, NULL);
  expect_member (&none, "documents", "[]");
}

/* As large as a document may be, in both forms, and one byte more */
static void
test_large (Fixture *self, gconstpointer data)
{
  static const char unit[] = "0123456789ab\"\\\n\x01😀é€"; /* 16 bytes and 9 */
  gsize max = 4 * 1024 * 1024;
  g_autoptr (GString) text = g_string_sized_new (max + 32);
  GString *out;

  while (text->len + strlen (unit) <= max)
    g_string_append (text, unit);
  while (text->len < max)
    g_string_append_c (text, '.');

  out = make_request ("PUT", NOTES, self->token, TEXT);
  add_body (out, text->str, text->len);
  {
    g_auto (Answer) created = ask_raw (self, out);
    g_auto (Answer) plain = ask (self, "GET", NOTES, "Accept: text/plain\r\n", NULL);
    g_auto (Answer) json = ask (self, "GET", NOTES, NULL, NULL);
    g_auto (Answer) range = ask (self, "GET", NOTES, "Range: bytes=0-9\r\n", NULL);
    g_autofree char *content = fake_link_read (json.body, "content");

    expect_status (&created, 201);
    g_assert_cmpmem (plain.body, plain.len, text->str, text->len);
    g_assert_cmpmem (content, strlen (content), text->str, text->len);
    expect_status (&range, 200);
  }

  g_string_append_c (text, '.');
  out = make_request ("PUT", NOTES, self->token, TEXT "If-Match: *\r\n");
  add_body (out, text->str, text->len);
  {
    g_auto (Answer) larger = ask_raw (self, out);
    g_auto (Answer) grown =
      ask (self, "POST", NOTES "/operations", JSON, "{\"operation\":[\"x\"]}");

    expect_problem (&larger, 413, "MESSAGE_TOO_LARGE");
    expect_problem (&grown, 413, "MESSAGE_TOO_LARGE");
  }
}

static void
test_figures (Fixture *self, gconstpointer data)
{
  g_auto (Answer) missing = ask (self, "GET", NOTES "/nothing", NULL, NULL);

  expect_status (&missing, 404);
  put (self, NOTES, "text");
  g_assert_cmpint (fake_hub_count (self->hub, "choir_document_changes", "committed"), ==, 1);
  g_assert_cmpint (fake_hub_count (self->hub, "choir_documents_open", NULL), ==, 0);
  g_assert_cmpint (fake_hub_count (self->hub, "choir_api_requests", "201"), ==, 1);
  g_assert_cmpint (fake_hub_count (self->hub, "choir_api_requests", "404"), ==, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, settings, func)                                                                  \
  g_test_add ("/http-documents/" name, Fixture, settings, set_up, func, tear_down)
  ADD ("life", NULL, test_life);
  ADD ("etags", NULL, test_etags);
  ADD ("smallest-change", NULL, test_smallest_change);
  ADD ("json-content", NULL, test_json_content);
  ADD ("past", NULL, test_past);
  ADD ("horizon", "[document]\nhorizon=10\nsnapshot-every=5\n", test_horizon);
  ADD ("versions", NULL, test_versions);
  ADD ("list", NULL, test_list);
  ADD ("large", NULL, test_large);
  ADD ("figures", NULL, test_figures);

  return g_test_run ();
}
