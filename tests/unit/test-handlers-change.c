/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-handlers-document.h"

#include "fake-link.h"

/* docs/protocol.md "Conflicts" and "When something is wrong" */

static void
test_change_refused (void)
{
  static const struct
  {
    const char *payload;
    const char *code;
  } rows[] = {
    { "{}", "VALIDATION_ERROR" },
    { "{\"operation\":[0]}", "VALIDATION_ERROR" },
    { "{\"operation\":[\"a\",\"b\"]}", "VALIDATION_ERROR" },
    { "{\"operation\":[4,\"past the end\"]}", "VALIDATION_ERROR" },
    { "{\"operation\":[{\"d\":4}]}", "VALIDATION_ERROR" },
    { "{\"operation\":\"insert\",\"position\":-1,\"content\":\"x\"}", "VALIDATION_ERROR" },
    { "{\"operation\":\"replace\"}", "VALIDATION_ERROR" },
    { "{\"operation\":[\"x\"],\"version\":1.5}", "VALIDATION_ERROR" },
    { "{\"operation\":[\"x\"],\"version\":\"1\"}", "VALIDATION_ERROR" },
    { "{\"operation\":[\"x\"],\"change_id\":7}", "VALIDATION_ERROR" },
    { "{\"operation\":[\"x\"],\"change_id\":\"\"}", "VALIDATION_ERROR" },
    { "{\"operation\":[\"x\"],\"document_id\":\"e\"}", "NOT_SUBSCRIBED" },
    { "{\"operation\":[\"LONG\"]}", "MESSAGE_TOO_LARGE" },
    { "{\"operation\":[MANY]}", "MESSAGE_TOO_LARGE" },
    { "{\"operation\":[\"x\"],\"change_id\":\"LONG\"}", "VALIDATION_ERROR" },
  };
  g_autoptr (FakeHub) fake = fake_hub_new ("[document]\nmax-size=1K\n[rate]\ndocument=\n");
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) bob = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "bob");
  g_autoptr (FakeLink) reader = fake_link_open (fake, CHOIR_DIALECT_CHOIR, "rita",
                                                "\"permissions\":[\"document:d:read\"]", NULL);
  g_autofree char *long_text = g_strnfill (1025, 'x');
  g_autoptr (GString) many = g_string_new (NULL);

  for (guint i = 0; i < 2501; i++)
    g_string_append (many, "1,\"\\u0061\",");
  g_string_truncate (many, many->len - 1);
  fake_link_open_document (alice, "d");
  fake_link_open_document (bob, "d");
  fake_link_forget (reader);
  fake_link_open_document (reader, "d");
  fake_link_forget (alice);
  fake_link_write (alice, "[\"abc\"]");
  fake_link_forget (bob);

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (GString) payload = g_string_new (rows[i].payload);

      g_string_replace (payload, "LONG", long_text, 0);
      g_string_replace (payload, "MANY", many->str, 0);
      fake_link_refuse (alice, "document.change", payload->str, rows[i].code);
    }
  fake_link_forget (reader);
  fake_link_refuse (reader, "document.change", "{\"operation\":[\"x\"]}", "PERMISSION_DENIED");
  fake_link_refuse (reader, "document.save", "{}", "PERMISSION_DENIED");
  fake_link_expect_nothing (bob);

  fake_link_ask (alice, "sync.request", "{}");
  fake_link_expect (alice, "sync.response", "payload.version", "1", "payload.content", "abc",
                    "payload.members", "-", NULL);
  fake_link_write (alice, "[3,\"!\"]");
}

static void
test_conflict (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[document]\nhorizon=2\nsnapshot-every=1\n");
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  static const char late[] = "{\"operation\":[\"x\"],\"version\":0,\"change_id\":\"c\"}";
  const char *epoch;

  fake_link_open_document (alice, "d");
  for (guint i = 0; i < 5; i++)
    fake_link_write (alice, "[\"a\"]");
  epoch = choir_document_get_epoch (fake_hub_find_document (fake, "d"));

  fake_link_ask (alice, "document.change", late);
  fake_link_expect (alice, "conflict.detected", "correlation_id", "q", "payload.document_id", "d",
                    "payload.change_id", "c", "payload.version", "5", "payload.content", "aaaaa",
                    "payload.epoch", epoch, "payload.reason",
                    "Version 0 is too old: the changes since are no longer kept", NULL);
  /* at most once a second with the text */
  fake_link_ask (alice, "document.change", "{\"operation\":[\"x\"],\"version\":6}");
  fake_link_expect (alice, "conflict.detected", "payload.change_id", "-", "payload.version", "5",
                    "payload.content", "-", "payload.reason", "Version 6 is still to come", NULL);
  fake_hub_advance (fake, G_USEC_PER_SEC);
  fake_link_ask (alice, "document.change", late);
  fake_link_expect (alice, "conflict.detected", "payload.content", "aaaaa", NULL);
  g_assert_cmpint (fake_hub_count (fake, "choir_document_changes", "conflict"), ==, 3);
}

/* Contract C: what makes no sense is a conflict too, and so has the text */
static void
test_conflict_positional (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_JDDB, "alice");
  static const char *const wrong[] = {
    "{\"operation\":\"insert\",\"position\":9,\"content\":\"x\",\"changeId\":\"c\"}",
    "{\"operation\":\"insert\",\"changeId\":\"c\"}",
    "{\"changeId\":\"c\"}",
  };

  fake_link_open_document (alice, "d");
  fake_link_ask (alice, "document.change",
                 "{\"operation\":\"insert\",\"position\":0,\"content\":\"abc\"}");
  fake_link_expect (alice, "document.change", "payload.version", "1", NULL);
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      fake_hub_advance (fake, G_USEC_PER_SEC);
      fake_link_ask (alice, "document.change", wrong[i]);
      fake_link_expect (alice, "conflict.detected", "payload.documentId", "d", "payload.changeId",
                        "c", "payload.content", "abc", "payload.version", "1", "metadata.version",
                        "1", NULL);
    }
}

/* The version may stand in the metadata; the payload's counts more, and without either it is the
 * newest */
static void
test_version_in_metadata (void)
{
  static const struct
  {
    const char *payload;
    const char *metadata;
    const char *position; /* of what was said to be at 3 */
  } rows[] = {
    { "", "{}", "3" },
    { "", "{\"version\":1}", "5" },
    { ",\"version\":2", "{\"version\":1}", "4" },
    { "", "{\"version\":\"1\"}", "3" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (FakeHub) fake = fake_hub_new (NULL);
      g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_JDDB, "alice");
      g_autoptr (FakeLink) bob = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "bob");

      fake_link_open_document (alice, "d");
      fake_link_open_document (bob, "d");
      fake_link_write (bob, "[\"abc\"]");
      fake_link_write (bob, "[\"-\"]");
      fake_link_write (bob, "[\"-\"]");
      fake_link_forget (alice);
      fake_link_say (alice,
                     "{\"type\":\"document.change\",\"metadata\":%s,\"payload\":{\"operation\":"
                     "\"insert\",\"position\":3,\"content\":\"x\"%s}}",
                     rows[i].metadata, rows[i].payload);
      fake_hub_iterate ();
      fake_link_expect (alice, "document.change", "payload.position", rows[i].position, NULL);
    }
}

static void
test_duplicate (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) again = fake_link_edit (fake, CHOIR_DIALECT_JDDB, "alice");
  g_autoptr (FakeLink) bob = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "bob");
  static const char one[] = "{\"operation\":[\"x\"],\"version\":0,\"change_id\":\"c\"}";

  fake_link_open_document (alice, "d");
  fake_link_open_document (again, "d");
  fake_link_open_document (bob, "d");
  fake_link_forget (alice);
  fake_link_ask (alice, "document.change", one);
  fake_link_expect (alice, "document.ack", "payload.version", "1", NULL);
  fake_link_ask (alice, "document.change", one);
  fake_link_expect (alice, "document.ack", "correlation_id", "q", "payload",
                    "{\"document_id\":\"d\",\"change_id\":\"c\",\"version\":1}", NULL);
  fake_link_forget (again);
  fake_link_ask (again, "document.change",
                 "{\"operation\":\"insert\",\"position\":0,\"content\":\"x\",\"changeId\":\"c\"}");
  fake_link_expect (again, "document.change", "payload.changeId", "c", "payload.version", "1",
                    "payload.operation", "-", "metadata.version", "1", NULL);
  fake_link_forget (bob);
  fake_link_ask (bob, "document.change", one);
  fake_link_expect (bob, "document.ack", "payload.version", "2", NULL);
}

/* While nothing can be stored, there is reading */
static void
test_not_writable (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) jane = fake_link_edit (fake, CHOIR_DIALECT_JDDB, "jane");

  fake_link_open_document (alice, "d");
  fake_link_open_document (jane, "d");
  fake_link_forget (alice);
  fake_link_write (alice, "[\"abc\"]");
  fake_link_forget (jane);
  choir_store_memory_set_failing (CHOIR_STORE_MEMORY (fake->store), TRUE);

  for (guint i = 0; i < 2; i++)
    {
      fake_link_ask (alice, "document.change", "{\"operation\":[\"x\"]}");
      fake_link_expect (alice, "error", "payload.code", "UNAVAILABLE", "payload.retry_after", "5",
                        "payload.original_type", "document.change", "correlation_id", "q", NULL);
    }
  fake_link_ask (jane, "document.change",
                 "{\"operation\":\"insert\",\"position\":0,\"content\":\"x\"}");
  fake_link_expect (jane, "system.error", "payload.code", "UNAVAILABLE", NULL);
  fake_link_ask (alice, "document.save", "{}");
  fake_link_expect (alice, "error", "payload.code", "UNAVAILABLE", "payload.retry_after", "5",
                    NULL);
  fake_link_ask (alice, "sync.request", "{}");
  fake_link_expect (alice, "sync.response", "payload.content", "abc", NULL);

  choir_store_memory_set_failing (CHOIR_STORE_MEMORY (fake->store), FALSE);
  fake_link_write (alice, "[\"x\"]");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, func) g_test_add_func ("/handlers-change/" name, func)
  ADD ("change-refused", test_change_refused);
  ADD ("conflict", test_conflict);
  ADD ("conflict-positional", test_conflict_positional);
  ADD ("version-in-metadata", test_version_in_metadata);
  ADD ("duplicate", test_duplicate);
  ADD ("not-writable", test_not_writable);

  return g_test_run ();
}
