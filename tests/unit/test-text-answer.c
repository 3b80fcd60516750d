/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-text-answer.h"

#include "fake-link.h"

#include <string.h>

/* Answers that carry a whole text, which may be more than may wait for a client */

/* Fills a document by and by */
static void
fill (FakeHub *fake, FakeLink *link, gsize n_chars)
{
  g_autofree char *text = g_strnfill (50 * 1000, 'x');
  g_autofree char *operation = g_strconcat ("[\"", text, "\\n\"]", NULL);

  for (gsize n = 0; n < n_chars; n += 50 * 1000 + 1)
    fake_link_write (link, operation);
}

/* More than may wait for a client, in parts, of which the large one is the same for all */
static void
test_large_answers (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[protocol]\nmax-queue-bytes=512K\n[rate]\ndocument=\n");
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) bob = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "bob");
  g_autoptr (FakeLink) jane = fake_link_edit (fake, CHOIR_DIALECT_JDDB, "jane");
  ChoirOutbox *outbox = fake_link_get_outbox (alice);
  ChoirFrame *content;
  gsize n_chars;

  fake_link_open_document (alice, "d");
  fill (fake, alice, 1000 * 1000);
  n_chars = choir_rope_get_n_chars (choir_document_get_text (fake_hub_find_document (fake, "d")));

  fake_link_ask (alice, "sync.request", "{}");
  g_assert_cmpuint (outbox->n_frames, ==, 3);
  g_assert_cmpuint (outbox->n_bytes, >, n_chars);
  content = choir_outbox_get_frame (outbox, 1);
  fake_link_ask (bob, "document.open", "{\"document_id\":\"d\"}");
  g_assert_true (choir_outbox_get_frame (fake_link_get_outbox (bob), 1) == content);
  fake_link_say (jane, "{\"type\":\"document.open\",\"payload\":{\"documentId\":\"d\"}}");
  g_assert_true (choir_outbox_get_frame (fake_link_get_outbox (jane), 1) == content);

  /* two may wait, and small messages beside them */
  fake_link_forget (bob);
  fake_link_ask (bob, "sync.request", "{}");
  fake_link_ask (bob, "sync.request", "{}");
  fake_link_ask (bob, "sync.request", "{}");
  g_assert_cmpuint (fake_link_get_outbox (bob)->n_large, ==, 2);
  fake_link_ask (bob, "ping", "{}");
  for (guint i = 0; i < 2; i++)
    {
      g_autofree char *json = fake_link_take (bob);
      g_autofree char *text = fake_link_read (json, "payload.content");

      g_assert_cmpuint (strlen (text), ==, n_chars);
    }
  fake_link_expect (bob, "error", "payload.code", "RATE_LIMIT_EXCEEDED", "payload.retry_after", "1",
                    NULL);
  fake_link_expect (bob, "pong", NULL);
  fake_link_ask (bob, "sync.request", "{}");
  g_assert_cmpuint (fake_link_get_outbox (bob)->n_large, ==, 1);

  {
    g_autofree char *json = fake_link_take (jane);
    g_autofree char *text = fake_link_read (json, "payload.content");
    g_autofree char *version = fake_link_read (json, "metadata.version");
    g_autofree char *member = fake_link_read (json, "payload.members.2.userId");

    g_assert_cmpuint (strlen (text), ==, n_chars);
    g_assert_cmpstr (version, ==, "20");
    g_assert_cmpstr (member, ==, "jane");
  }
  g_assert_cmpuint (fake_link_get_n_overflows (alice) + fake_link_get_n_overflows (bob), ==, 0);
}

/* What was missed is not given where it is more than an answer may be */
static void
test_large_operations (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[protocol]\nmax-queue-bytes=64K\n[rate]\ndocument=\n");
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autofree char *text = g_strnfill (6000, 'x');
  g_autofree char *operation = g_strconcat ("[\"", text, "\"]", NULL);

  fake_link_open_document (alice, "d");
  for (guint i = 0; i < 3; i++)
    fake_link_write (alice, operation);
  fake_link_ask (alice, "sync.request", "{\"version\":1}");
  fake_link_expect (alice, "sync.response", "payload.operations.1.version", "3", NULL);
  fake_link_ask (alice, "sync.request", "{\"version\":0}");
  fake_link_expect (alice, "sync.response", "payload.operations", "-", "payload.version", "3",
                    NULL);

  fill (fake, alice, 50 * 1000);
  fake_link_ask (alice, "sync.request", "{\"version\":3}");
  fake_link_expect (alice, "sync.response", "payload.operations", "-", "payload.version", "4",
                    NULL);
  g_assert_cmpuint (fake_link_get_n_overflows (alice), ==, 0);
}

/* Kept for those who come at the same time, and no longer */
static void
test_large_is_dropped (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[rate]\ndocument=\n");
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (ChoirFrame) content = NULL;

  fake_link_open_document (alice, "d");
  fill (fake, alice, 100 * 1000);
  fake_link_ask (alice, "sync.request", "{}");
  content = choir_frame_ref (choir_outbox_get_frame (fake_link_get_outbox (alice), 1));
  fake_link_forget (alice);
  g_assert_cmpuint (content->n_refs, ==, 2);
  fake_hub_advance (fake, 2 * G_USEC_PER_SEC);
  g_assert_cmpuint (content->n_refs, ==, 1);

  fake_link_ask (alice, "sync.request", "{}");
  g_clear_pointer (&content, choir_frame_unref);
  content = choir_frame_ref (choir_outbox_get_frame (fake_link_get_outbox (alice), 1));
  fake_link_forget (alice);
  fake_link_write (alice, "[\"!\"]");
  fake_link_ask (alice, "sync.request", "{}");
  g_assert_cmpuint (content->n_refs, ==, 1);
  g_assert_true (choir_outbox_get_frame (fake_link_get_outbox (alice), 1) != content);
}

/* One whose answer can't be given is not let in */
static void
test_large_refused (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[rate]\ndocument=\n");
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) bob = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "bob");

  fake_link_open_document (alice, "d");
  fill (fake, alice, 100 * 1000);
  for (guint i = 0; i < 3; i++)
    {
      fake_link_ask (bob, "document.open", "{\"document_id\":\"d\"}");
      if (i < 2)
        fake_link_ask (bob, "document.close", "{\"document_id\":\"d\"}");
    }
  g_assert_cmpuint (choir_session_get_n_subscriptions (fake_link_get_session (bob)), ==, 0);
  for (guint i = 0; i < 2; i++)
    {
      fake_link_expect (bob, "document.opened", NULL);
      fake_link_expect (bob, "document.closed", NULL);
    }
  fake_link_expect_error (bob, "RATE_LIMIT_EXCEEDED");
  fake_link_ask (bob, "document.open", "{\"document_id\":\"d\"}");
  fake_link_expect (bob, "document.opened", NULL);
}

/* The same in CBOR: whole and in parts */
static void
test_cbor (void)
{
  static const gsize sizes[] = { 0, 10, 200, 40 * 1000, 100 * 1000 };
  g_autoptr (FakeHub) fake = fake_hub_new ("[rate]\ndocument=\n");

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autofree char *id = g_strdup_printf ("d%u", i);
      g_autofree char *text = g_strnfill (sizes[i] - sizes[i] % 50, 'x');
      g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
      g_autoptr (FakeLink) bob = fake_link_edit (fake, CHOIR_DIALECT_CHOIR_CBOR, "bob");
      g_autofree char *expected = g_strconcat (text, "\"\n\xf0\x9f\x8e\xb5", NULL);
      g_autofree char *payload = g_strdup_printf ("{\"document_id\":\"%s\"}", id);

      fake_link_open_document (alice, id);
      fake_link_write (alice, "[\"\\\"\\n\xf0\x9f\x8e\xb5\"]");
      if (*text != '\0')
        {
          g_autofree char *operation = g_strconcat ("[\"", text, "\"]", NULL);

          fake_link_write (alice, operation);
        }
      fake_link_ask (bob, "document.open", payload);
      g_assert_cmpuint (fake_link_get_outbox (bob)->n_frames, ==, sizes[i] > 65536 ? 3 : 1);
      fake_link_expect (bob, "document.opened", "payload.document_id", id, "payload.content",
                        expected, "payload.count", "2", NULL);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, func) g_test_add_func ("/text-answer/" name, func)
  ADD ("answers", test_large_answers);
  ADD ("operations", test_large_operations);
  ADD ("is-dropped", test_large_is_dropped);
  ADD ("refused", test_large_refused);
  ADD ("cbor", test_cbor);

  return g_test_run ();
}
