/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-handlers-document.h"

#include "fake-link.h"

/* docs/protocol.md "Documents": versions that were saved, and the past */

static void
test_save (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) jane = fake_link_edit (fake, CHOIR_DIALECT_JDDB, "jane");
  g_autofree char *long_label = g_strnfill (201, 'x');
  g_autofree char *long_payload = g_strdup_printf ("{\"label\":\"%s\"}", long_label);

  fake_link_open_document (alice, "d");
  fake_link_open_document (jane, "d");
  fake_link_forget (alice);
  fake_link_write (alice, "[\"h\xc3\xa9\"]");
  fake_link_forget (jane);
  fake_link_refuse (alice, "document.save", long_payload, "VALIDATION_ERROR");
  fake_link_refuse (alice, "document.save", "{\"label\":7}", "VALIDATION_ERROR");

  fake_link_ask (alice, "document.save", "{\"label\":\"<first>\"}");
  fake_link_expect (alice, "document.saved", "correlation_id", "q", "payload",
                    "{\"document_id\":\"d\",\"version\":1,\"label\":\"&lt;first&gt;\","
                    "\"user_id\":\"alice\",\"timestamp\":\"2023-11-14T22:13:20.000Z\"}",
                    NULL);
  fake_link_expect (jane, "document.save", "payload.label", "&lt;first&gt;", "payload.userId",
                    "alice", "payload.version", "1", NULL);
  fake_link_ask (alice, "document.save", "{}");
  fake_link_expect (alice, "error", "payload.code", "RATE_LIMIT_EXCEEDED", "payload.retry_after",
                    "1", NULL);
  fake_link_write (alice, "[\"x\"]");
  fake_hub_advance (fake, G_USEC_PER_SEC);
  fake_link_ask (alice, "document.save", "{}");
  fake_link_expect (alice, "document.saved", "payload.label", "2023-11-14T22:13:21.000Z", NULL);

  fake_link_ask (alice, "document.versions", "{}");
  fake_link_expect (alice, "document.versions", "payload.document_id", "d", "payload.complete",
                    "true", "payload.versions.0.version", "2", "payload.versions.1",
                    "{\"version\":1,\"label\":\"&lt;first&gt;\",\"user_id\":\"alice\","
                    "\"timestamp\":\"2023-11-14T22:13:20.000Z\",\"size\":3}",
                    "payload.versions.2", "-", NULL);
  fake_link_ask (alice, "document.versions", "{\"limit\":1}");
  fake_link_expect (alice, "document.versions", "payload.complete", "false",
                    "payload.versions.0.version", "2", "payload.versions.1", "-", NULL);
  fake_link_ask (alice, "document.versions", "{\"limit\":1,\"before\":2}");
  fake_link_expect (alice, "document.versions", "payload.complete", "true",
                    "payload.versions.0.version", "1", NULL);
  fake_link_refuse (alice, "document.versions", "{\"limit\":-1}", "VALIDATION_ERROR");
  fake_link_refuse (alice, "document.versions", "{\"before\":\"x\"}", "VALIDATION_ERROR");
  fake_link_forget (jane);
  fake_link_ask (jane, "document.versions", "{}");
  fake_link_expect (jane, "document.versions", "payload.documentId", "d",
                    "payload.versions.1.userId", "alice", NULL);

  for (guint i = 0; i < 2; i++)
    {
      fake_link_ask (alice, "document.at", i == 0 ? "{\"version\":1}" : "{\"version\":2}");
      fake_link_expect (alice, "document.at", "correlation_id", "q", "payload.document_id", "d",
                        "payload.version", i == 0 ? "1" : "2", "payload.content",
                        i == 0 ? "h\xc3\xa9" : "xh\xc3\xa9", NULL);
    }
  fake_link_refuse (alice, "document.at", "{}", "VALIDATION_ERROR");
  fake_link_refuse (alice, "document.at", "{\"version\":-1}", "VALIDATION_ERROR");
  fake_link_refuse (alice, "document.at", "{\"version\":9}", "VALIDATION_ERROR");
}

static void
test_not_kept (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[document]\nhorizon=3\nsnapshot-every=1\n");
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");

  fake_link_open_document (alice, "d");
  for (guint i = 0; i < 40; i++)
    fake_link_write (alice, "[\"a\"]");
  fake_link_refuse (alice, "document.at", "{\"version\":1}", "NOT_FOUND");
}

/* Reading the past costs: so many of a session at a time */
static void
test_reads_at_once (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");

  fake_link_open_document (alice, "d");
  fake_link_write (alice, "[\"a\"]");
  for (guint i = 0; i < 3; i++)
    fake_link_say (alice, "{\"type\":\"document.at\",\"payload\":{\"version\":0}}");
  fake_link_expect (alice, "error", "payload.code", "RATE_LIMIT_EXCEEDED", "payload.retry_after",
                    "1", NULL);
  fake_hub_iterate ();
  fake_link_expect (alice, "document.at", "payload.content", "", NULL);
  fake_link_expect (alice, "document.at", NULL);
  fake_link_expect_nothing (alice);

  /* and of one that is gone they count no more */
  fake_link_say (alice, "{\"type\":\"document.at\",\"payload\":{\"version\":0}}");
  fake_link_say (alice, "{\"type\":\"document.versions\",\"payload\":{}}");
  fake_link_say (alice, "{\"type\":\"document.save\",\"payload\":{}}");
  fake_link_end (alice, 1000);
  fake_hub_iterate ();
  g_assert_cmpuint (fake_hub_count_open (fake), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, func) g_test_add_func ("/handlers-past/" name, func)
  ADD ("save", test_save);
  ADD ("not-kept", test_not_kept);
  ADD ("reads-at-once", test_reads_at_once);

  return g_test_run ();
}
