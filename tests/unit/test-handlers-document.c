/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-handlers-document.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "fake-link.h"

#include <string.h>

/* docs/protocol.md "Documents", row by row, and "When something is wrong" */

static void
ask (FakeLink *link, const char *type, const char *payload)
{
  fake_link_say (link, "{\"type\":\"%s\",\"correlation_id\":\"q\",\"payload\":%s}", type, payload);
  fake_hub_iterate ();
}

static void
change (FakeLink *link, const char *operation)
{
  fake_link_say (link, "{\"type\":\"document.change\",\"payload\":{\"operation\":%s}}", operation);
  fake_hub_iterate ();
}

/* Changes, with nothing left to read */
static void
write_text (FakeLink *link, const char *operation)
{
  change (link, operation);
  fake_link_expect (link, "document.ack", NULL);
}

static ChoirDocument *
find_document (FakeHub *fake, const char *id)
{
  return choir_document_table_find (choir_hub_get_documents (fake->hub), id);
}

static guint
count_open (FakeHub *fake)
{
  return choir_document_table_get_n_open (choir_hub_get_documents (fake->hub));
}

static void
refuse (FakeLink *link, const char *type, const char *payload, const char *code)
{
  ask (link, type, payload);
  fake_link_expect (link, "error", "payload.code", code, "payload.original_type", type,
                    "correlation_id", "q", NULL);
  fake_link_expect_nothing (link);
}

static void
test_open (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  const char *epoch;

  fake_link_say (alice, "{\"type\":\"document.open\",\"correlation_id\":\"q\",\"payload\":{"
                        "\"document_id\":\"d\"}}");
  /* it has to be read first */
  fake_link_expect_nothing (alice);
  fake_hub_iterate ();
  fake_link_expect (alice, "document.opened", "correlation_id", "q", "payload.document_id", "d",
                    "payload.epoch", "", "payload.version", "0", "payload.content", "",
                    "payload.operations", "-", "payload.count", "1", "payload.members.0.user_id",
                    "alice", NULL);
  g_assert_cmpuint (count_open (fake), ==, 1);

  write_text (alice, "[\"\\\"h\xc3\xa9\\\\\\n\xf0\x9f\x8e\xb5\"]");
  epoch = choir_document_get_epoch (find_document (fake, "d"));
  ask (alice, "document.open", "{\"document_id\":\"d\"}");
  fake_link_expect (alice, "document.opened", "payload.version", "1", "payload.epoch", epoch,
                    "payload.content", "\"h\xc3\xa9\\\n\xf0\x9f\x8e\xb5", "payload.count", "1",
                    NULL);

  ask (alice, "document.close", "{}");
  fake_link_expect (alice, "document.closed", "payload", "{\"document_id\":\"d\"}", NULL);
  g_assert_cmpuint (count_open (fake), ==, 0);
  refuse (alice, "document.close", "{\"document_id\":\"d\"}", "NOT_SUBSCRIBED");

  /* one that is in memory is there at once */
  fake_link_open_document (alice, "d");
  {
    g_autoptr (FakeLink) bob = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "bob");

    fake_link_say (bob, "{\"type\":\"document.open\",\"payload\":{\"document_id\":\"d\"}}");
    fake_link_expect (bob, "document.opened", "payload.version", "1", NULL);
  }
  fake_link_end (alice, 1006);
  fake_hub_iterate ();
  g_assert_cmpuint (count_open (fake), ==, 0);
}

/* Whoever says what he has gets what he has not */
static void
test_open_with_version (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) bob = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "bob");
  const char *session_id = choir_session_get_id (fake_link_get_session (alice));
  g_autofree char *known = NULL;
  static const struct
  {
    const char *payload;
    const char *content; /* "-": operations */
  } rows[] = {
    { "{\"document_id\":\"d\",\"version\":3,\"epoch\":\"EPOCH\"}", "-" },
    { "{\"document_id\":\"d\",\"version\":0,\"epoch\":\"EPOCH\"}", "-" },
    { "{\"document_id\":\"d\",\"version\":0,\"epoch\":\"\"}", "-" },
    { "{\"document_id\":\"d\",\"version\":1,\"epoch\":\"\"}", "321" },
    { "{\"document_id\":\"d\",\"version\":1}", "321" },
    { "{\"document_id\":\"d\",\"version\":1,\"epoch\":\"0123456789abcdef\"}", "321" },
    { "{\"document_id\":\"d\",\"version\":4,\"epoch\":\"EPOCH\"}", "321" },
    { "{\"document_id\":\"d\",\"epoch\":\"EPOCH\"}", "321" },
  };
  const char *epoch;

  fake_link_open_document (alice, "d");
  fake_link_say (alice, "{\"type\":\"document.change\",\"payload\":{\"change_id\":\"one\","
                        "\"operation\":[\"1\"]}}");
  change (alice, "[\"2\"]");
  change (alice, "[\"3\"]");
  fake_link_forget (alice);
  epoch = choir_document_get_epoch (find_document (fake, "d"));
  known = g_strdup_printf ("{\"document_id\":\"d\",\"version\":1,\"epoch\":\"%s\"}", epoch);

  ask (bob, "document.open", known);
  fake_link_expect (bob, "document.opened", "payload.version", "3", "payload.content", "-",
                    "payload.operations.0.version", "2", "payload.operations.0.operation",
                    "[\"2\"]", "payload.operations.0.user_id", "alice",
                    "payload.operations.0.session_id", session_id, "payload.operations.1.version",
                    "3", "payload.operations.2", "-", "payload.count", "2", NULL);

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_auto (GStrv) parts = g_strsplit (rows[i].payload, "EPOCH", 2);
      g_autofree char *payload = g_strjoinv (epoch, parts);

      ask (bob, "document.open", payload);
      fake_link_expect (bob, "document.opened", "payload.version", "3", "payload.content",
                        rows[i].content, NULL);
    }

  /* who comes back recognises what he sent */
  ask (alice, "sync.request", "{\"version\":0}");
  fake_link_forget (bob);
  ask (bob, "sync.request", "{\"version\":0}");
  fake_link_expect (bob, "sync.response", "payload.operations.0.change_id", "-", NULL);
  while (fake_link_get_n_frames (alice) > 1)
    g_free (fake_link_take (alice));
  fake_link_expect (alice, "sync.response", "payload.operations.0.change_id", "one",
                    "payload.operations.1.change_id", "-", NULL);
}

/* What is no longer in memory is read; the answer has what was committed meanwhile as well */
static void
test_open_reads_older (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[document]\nsnapshot-every=5\n");
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) bob = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "bob");
  g_autofree char *payload = NULL;

  fake_link_open_document (alice, "d");
  for (guint i = 0; i < 12; i++)
    write_text (alice, "[\"x\"]");
  ask (alice, "document.close", "{}");
  fake_link_open_document (alice, "d");
  g_assert_cmpuint (choir_document_get_first_in_memory (find_document (fake, "d")), >, 3);

  payload = g_strdup_printf ("{\"document_id\":\"d\",\"version\":2,\"epoch\":\"%s\"}",
                             choir_document_get_epoch (find_document (fake, "d")));
  fake_link_say (alice, "{\"type\":\"document.change\",\"payload\":{\"operation\":[\"new\"]}}");
  fake_link_say (bob, "{\"type\":\"document.open\",\"payload\":%s}", payload);
  fake_link_expect_nothing (bob);
  fake_hub_iterate ();
  {
    g_autofree char *json = fake_link_take (bob);
    g_autofree char *type = fake_link_read (json, "type");
    g_autofree char *version = fake_link_read (json, "payload.version");
    g_autofree char *first = fake_link_read (json, "payload.operations.0.version");
    guint n = (guint) g_ascii_strtoull (version, NULL, 10) - 2;
    g_autofree char *path = g_strdup_printf ("payload.operations.%u.version", n - 1);
    g_autofree char *last = fake_link_read (json, path);

    g_assert_cmpstr (type, ==, "document.opened");
    g_assert_cmpstr (first, ==, "3");
    g_assert_cmpstr (last, ==, version);
    /* and it goes on from there */
    if (n == 10)
      fake_link_expect (bob, "document.change", "payload.version", "13", NULL);
    else
      g_assert_cmpuint (n, ==, 11);
  }
  fake_link_expect_nothing (bob);
}

static void
test_open_refused (void)
{
  g_autoptr (FakeHub) fake =
    fake_hub_new ("[document]\nmax-open=2\n[session]\nmax-subscriptions=2\n");
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) bob = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "bob");
  g_autoptr (FakeLink) writer = fake_link_open (fake, CHOIR_DIALECT_CHOIR, "wim",
                                                "\"permissions\":[\"document:d:write\"]", NULL);
  g_autofree char *long_id = g_strnfill (250, 'x');
  g_autofree char *long_payload = g_strdup_printf ("{\"document_id\":\"%s\"}", long_id);

  fake_link_forget (writer);
  refuse (alice, "document.open", "{}", "VALIDATION_ERROR");
  refuse (alice, "document.open", "{\"document_id\":7}", "VALIDATION_ERROR");
  refuse (alice, "document.open", "{\"document_id\":\"\"}", "VALIDATION_ERROR");
  refuse (alice, "document.open", "{\"document_id\":\"two words\"}", "VALIDATION_ERROR");
  refuse (alice, "document.open", long_payload, "VALIDATION_ERROR");
  refuse (alice, "document.open", "{\"document_id\":\"d\",\"version\":-1}", "VALIDATION_ERROR");
  refuse (alice, "document.open", "{\"document_id\":\"d\",\"version\":\"1\"}", "VALIDATION_ERROR");
  /* writing does not include reading */
  refuse (writer, "document.open", "{\"document_id\":\"d\"}", "PERMISSION_DENIED");
  g_assert_cmpuint (count_open (fake), ==, 0);

  fake_link_open_document (alice, "a");
  fake_link_open_document (alice, "b");
  ask (bob, "document.open", "{\"document_id\":\"c\"}");
  fake_link_expect (bob, "error", "payload.code", "UNAVAILABLE", "payload.retry_after", "5", NULL);
  ask (alice, "document.open", "{\"document_id\":\"c\"}");
  fake_link_expect_error (alice, "UNAVAILABLE");
  /* those that are open may be opened */
  ask (alice, "document.open", "{\"document_id\":\"a\"}");
  fake_link_expect (alice, "document.opened", NULL);
}

/* Closed while it is being read */
static void
test_open_cancelled (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");

  fake_link_say (alice, "{\"type\":\"document.open\",\"payload\":{\"document_id\":\"d\"}}");
  fake_link_say (alice, "{\"type\":\"document.close\",\"payload\":{\"document_id\":\"d\"}}");
  fake_link_expect (alice, "document.closed", NULL);
  fake_hub_iterate ();
  fake_link_expect (alice, "error", "payload.code", "CONFLICT", "payload.original_type",
                    "document.open", NULL);
  fake_link_expect_nothing (alice);
  g_assert_cmpuint (choir_session_get_n_subscriptions (fake_link_get_session (alice)), ==, 0);
  g_assert_cmpuint (count_open (fake), ==, 0);
}

/* Gone while it is being read: nothing is left, neither of the session nor of the document */
static void
test_open_abandoned (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  ChoirSession *session = fake_link_get_session (alice);

  g_object_add_weak_pointer (G_OBJECT (session), (gpointer *) &session);
  fake_link_say (alice, "{\"type\":\"document.open\",\"payload\":{\"document_id\":\"d\"}}");
  fake_link_say (alice, "{\"type\":\"document.open\",\"payload\":{\"document_id\":\"e\"}}");
  fake_link_end (alice, 1006);
  g_assert_nonnull (session);
  fake_hub_iterate ();
  g_assert_null (session);
  g_assert_cmpuint (count_open (fake), ==, 0);
}

/* The hub goes while it is being read */
static void
test_open_outlived (void)
{
  FakeHub *fake = fake_hub_new (NULL);
  FakeLink *alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  ChoirSession *session = fake_link_get_session (alice);

  g_object_add_weak_pointer (G_OBJECT (session), (gpointer *) &session);
  fake_link_say (alice, "{\"type\":\"document.open\",\"payload\":{\"document_id\":\"d\"}}");
  fake_link_end (alice, 1006);
  g_object_unref (alice);
  g_assert_finalize_object (g_steal_pointer (&fake->hub));
  fake->hub = choir_hub_new (fake->config, fake->verifier, NULL, fake->wheel, fake->counters, NULL);
  fake_hub_iterate ();
  g_assert_null (session);
  fake_hub_free (fake);
}

/* One that has open nothing, one thing or two */
static void
test_which (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) at = fake_link_open (fake, CHOIR_DIALECT_CHOIR, "bob",
                                            "\"permissions\":[\"document:*:*\"]", "document:point");

  refuse (alice, "sync.request", "{}", "VALIDATION_ERROR");
  fake_link_open_document (alice, "a");
  ask (alice, "sync.request", "{}");
  fake_link_expect (alice, "sync.response", "payload.document_id", "a", NULL);
  fake_link_open_document (alice, "b");
  refuse (alice, "sync.request", "{}", "VALIDATION_ERROR");
  ask (alice, "sync.request", "{\"document_id\":\"b\"}");
  fake_link_expect (alice, "sync.response", "payload.document_id", "b", NULL);
  ask (alice, "sync.request", "{\"channel\":\"document:a\"}");
  fake_link_expect (alice, "sync.response", "payload.document_id", "a", NULL);
  fake_link_say (alice, "{\"type\":\"sync.request\",\"channel\":\"document:b\"}");
  fake_link_expect (alice, "sync.response", "payload.document_id", "b", NULL);
  refuse (alice, "sync.request", "{\"document_id\":\"c\"}", "NOT_SUBSCRIBED");
  refuse (alice, "sync.request", "{\"channel\":\"chat:a\"}", "VALIDATION_ERROR");
  ask (alice, "sync.request", "{\"document_id\":\"\\u0061\"}");
  fake_link_expect (alice, "sync.response", "payload.document_id", "a", NULL);

  fake_hub_iterate ();
  fake_link_forget (at);
  fake_link_open_document (at, "another");
  ask (at, "sync.request", "{}");
  fake_link_expect (at, "sync.response", "payload.document_id", "point", NULL);
}

/* The end point opens its document */
static void
test_end_point (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_open (
    fake, CHOIR_DIALECT_JDDB, "alice", "\"permissions\":[\"document:d:read\"]", "document:d");
  g_autoptr (FakeLink) eve = fake_link_open (fake, CHOIR_DIALECT_JDDB, "eve",
                                             "\"permissions\":[\"document:e:*\"]", "document:d");
  g_autoptr (FakeLink) choir = fake_link_open (fake, CHOIR_DIALECT_CHOIR, "bob",
                                               "\"permissions\":[\"document:d:*\"]", "document:d");

  fake_hub_iterate ();
  fake_link_expect (alice, "document.open", "payload.documentId", "d", "payload.content", "",
                    "payload.version", "0", "payload.members.0.userId", "alice", "metadata.userId",
                    "alice", NULL);
  fake_link_expect (eve, "system.error", "payload.code", "PERMISSION_DENIED", NULL);
  g_assert_cmpuint (fake_link_get_close_code (eve), ==, 1008);
  g_assert_cmpstr (fake_link_get_close_reason (eve), ==, "Unauthorized");
  fake_link_expect (choir, "connection.established", NULL);
  fake_link_expect (choir, "document.opened", "correlation_id", "-", "payload.count", "2", NULL);
  g_assert_cmpuint (fake_link_get_close_code (choir), ==, 0);
}

/* One for which there is no room may try again later, by itself */
static void
test_end_point_full (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[document]\nmax-open=1\n");
  g_autoptr (FakeLink) bob = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "bob");
  g_autoptr (FakeLink) alice = NULL;

  fake_link_open_document (bob, "b");
  alice = fake_link_open (fake, CHOIR_DIALECT_JDDB, "alice", "\"permissions\":[\"document:*:*\"]",
                          "document:d");
  fake_hub_iterate ();
  fake_link_expect (alice, "system.error", "payload.code", "UNAVAILABLE", "payload.retryAfter", "5",
                    NULL);
  g_assert_cmpuint (fake_link_get_close_code (alice), ==, 0);
  ask (bob, "document.close", "{}");
  fake_link_say (alice, "{\"type\":\"document.open\",\"payload\":{}}");
  fake_hub_iterate ();
  fake_link_expect (alice, "document.open", "payload.documentId", "d", NULL);
}

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
  write_text (alice, "[\"abc\"]");
  fake_link_forget (bob);

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (GString) payload = g_string_new (rows[i].payload);

      g_string_replace (payload, "LONG", long_text, 0);
      g_string_replace (payload, "MANY", many->str, 0);
      refuse (alice, "document.change", payload->str, rows[i].code);
    }
  fake_link_forget (reader);
  refuse (reader, "document.change", "{\"operation\":[\"x\"]}", "PERMISSION_DENIED");
  refuse (reader, "document.save", "{}", "PERMISSION_DENIED");
  fake_link_expect_nothing (bob);

  ask (alice, "sync.request", "{}");
  fake_link_expect (alice, "sync.response", "payload.version", "1", "payload.content", "abc",
                    "payload.members", "-", NULL);
  write_text (alice, "[3,\"!\"]");
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
    write_text (alice, "[\"a\"]");
  epoch = choir_document_get_epoch (find_document (fake, "d"));

  ask (alice, "document.change", late);
  fake_link_expect (alice, "conflict.detected", "correlation_id", "q", "payload.document_id", "d",
                    "payload.change_id", "c", "payload.version", "5", "payload.content", "aaaaa",
                    "payload.epoch", epoch, "payload.reason",
                    "Version 0 is too old: the changes since are no longer kept", NULL);
  /* at most once a second with the text */
  ask (alice, "document.change", "{\"operation\":[\"x\"],\"version\":6}");
  fake_link_expect (alice, "conflict.detected", "payload.change_id", "-", "payload.version", "5",
                    "payload.content", "-", "payload.reason", "Version 6 is still to come", NULL);
  fake_hub_advance (fake, G_USEC_PER_SEC);
  ask (alice, "document.change", late);
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
  ask (alice, "document.change", "{\"operation\":\"insert\",\"position\":0,\"content\":\"abc\"}");
  fake_link_expect (alice, "document.change", "payload.version", "1", NULL);
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      fake_hub_advance (fake, G_USEC_PER_SEC);
      ask (alice, "document.change", wrong[i]);
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
      write_text (bob, "[\"abc\"]");
      write_text (bob, "[\"-\"]");
      write_text (bob, "[\"-\"]");
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
  ask (alice, "document.change", one);
  fake_link_expect (alice, "document.ack", "payload.version", "1", NULL);
  ask (alice, "document.change", one);
  fake_link_expect (alice, "document.ack", "correlation_id", "q", "payload",
                    "{\"document_id\":\"d\",\"change_id\":\"c\",\"version\":1}", NULL);
  fake_link_forget (again);
  ask (again, "document.change",
       "{\"operation\":\"insert\",\"position\":0,\"content\":\"x\",\"changeId\":\"c\"}");
  fake_link_expect (again, "document.change", "payload.changeId", "c", "payload.version", "1",
                    "payload.operation", "-", "metadata.version", "1", NULL);
  fake_link_forget (bob);
  ask (bob, "document.change", one);
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
  write_text (alice, "[\"abc\"]");
  fake_link_forget (jane);
  choir_store_memory_set_failing (CHOIR_STORE_MEMORY (fake->store), TRUE);

  for (guint i = 0; i < 2; i++)
    {
      ask (alice, "document.change", "{\"operation\":[\"x\"]}");
      fake_link_expect (alice, "error", "payload.code", "UNAVAILABLE", "payload.retry_after", "5",
                        "payload.original_type", "document.change", "correlation_id", "q", NULL);
    }
  ask (jane, "document.change", "{\"operation\":\"insert\",\"position\":0,\"content\":\"x\"}");
  fake_link_expect (jane, "system.error", "payload.code", "UNAVAILABLE", NULL);
  ask (alice, "document.save", "{}");
  fake_link_expect (alice, "error", "payload.code", "UNAVAILABLE", "payload.retry_after", "5",
                    NULL);
  ask (alice, "sync.request", "{}");
  fake_link_expect (alice, "sync.response", "payload.content", "abc", NULL);

  choir_store_memory_set_failing (CHOIR_STORE_MEMORY (fake->store), FALSE);
  write_text (alice, "[\"x\"]");
}

static void
test_sync (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  static const struct
  {
    const char *payload;
    const char *content;    /* "-": operations */
    const char *operations; /* the versions of the first and the second */
    const char *second;
  } rows[] = {
    { "{}", "cba", "-", "-" },
    { "{\"version\":null}", "cba", "-", "-" },
    { "{\"version\":3}", "-", "-", "-" },
    { "{\"version\":1}", "-", "2", "3" },
    { "{\"version\":0}", "-", "1", "2" },
    { "{\"version\":4}", "cba", "-", "-" },
    { "{\"version\":1,\"epoch\":\"another\"}", "cba", "-", "-" },
    /* the changes were made a minute apart, the first when the clock began */
    { "{\"timestamp\":1700000059}", "-", "2", "3" },
    { "{\"timestamp\":1700000059000}", "-", "2", "3" },
    { "{\"timestamp\":1700000060}", "-", "3", "-" },
    { "{\"timestamp\":\"2023-11-14T22:15:19.000Z\"}", "-", "3", "-" },
    { "{\"timestamp\":\"2023-11-14T23:15:20Z\"}", "-", "-", "-" },
    { "{\"timestamp\":1}", "-", "1", "2" },
    { "{\"timestamp\":\"yesterday\"}", "cba", "-", "-" },
    { "{\"timestamp\":-1}", "cba", "-", "-" },
    { "{\"version\":2,\"timestamp\":1}", "-", "3", "-" },
  };

  fake_link_open_document (alice, "d");
  write_text (alice, "[\"a\"]");
  choir_clock_advance (60 * G_USEC_PER_SEC);
  write_text (alice, "[\"b\"]");
  choir_clock_advance (60 * G_USEC_PER_SEC);
  write_text (alice, "[\"c\"]");

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      ask (alice, "sync.request", rows[i].payload);
      fake_link_expect (alice, "sync.response", "payload.version", "3", "payload.document_id", "d",
                        "payload.content", rows[i].content, "payload.operations.0.version",
                        rows[i].operations, "payload.operations.1.version", rows[i].second, NULL);
    }
  refuse (alice, "sync.request", "{\"version\":-1}", "VALIDATION_ERROR");
}

/* Contract C: a client that comes back, whether its end point has opened the document or not */
static void
test_reconnect (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) jane = fake_link_edit (fake, CHOIR_DIALECT_JDDB, "jane");

  fake_link_open_document (alice, "d");
  write_text (alice, "[\"a\"]");
  write_text (alice, "[1,\"b\"]");

  fake_link_say (jane, "{\"type\":\"system.reconnect\",\"payload\":{\"documentId\":\"d\","
                       "\"lastVersion\":1,\"sessionId\":\"gone\"}}");
  fake_hub_iterate ();
  fake_link_expect (jane, "sync.response", "payload.documentId", "d", "payload.version", "2",
                    "payload.operations.0.operation", "insert", "payload.operations.0.position",
                    "1", "payload.operations.0.userId", "alice", "payload.members.1.userId", "jane",
                    "metadata.version", "2", NULL);
  fake_link_expect (alice, "user.presence", "payload.event", "user_joined", NULL);

  fake_link_say (jane, "{\"type\":\"system.reconnect\",\"payload\":{\"lastVersion\":7}}");
  fake_hub_iterate ();
  fake_link_expect (jane, "sync.response", "payload.content", "ab", NULL);
  fake_link_expect_nothing (alice);

  ask (alice, "session.reconnect", "{\"last_version\":2}");
  fake_link_expect (alice, "sync.response", "payload.operations", "[]", "payload.count", "2", NULL);
}

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
  write_text (alice, "[\"h\xc3\xa9\"]");
  fake_link_forget (jane);
  refuse (alice, "document.save", long_payload, "VALIDATION_ERROR");
  refuse (alice, "document.save", "{\"label\":7}", "VALIDATION_ERROR");

  ask (alice, "document.save", "{\"label\":\"<first>\"}");
  fake_link_expect (alice, "document.saved", "correlation_id", "q", "payload",
                    "{\"document_id\":\"d\",\"version\":1,\"label\":\"&lt;first&gt;\","
                    "\"user_id\":\"alice\",\"timestamp\":\"2023-11-14T22:13:20.000Z\"}",
                    NULL);
  fake_link_expect (jane, "document.save", "payload.label", "&lt;first&gt;", "payload.userId",
                    "alice", "payload.version", "1", NULL);
  ask (alice, "document.save", "{}");
  fake_link_expect (alice, "error", "payload.code", "RATE_LIMIT_EXCEEDED", "payload.retry_after",
                    "1", NULL);
  write_text (alice, "[\"x\"]");
  fake_hub_advance (fake, G_USEC_PER_SEC);
  ask (alice, "document.save", "{}");
  fake_link_expect (alice, "document.saved", "payload.label", "2023-11-14T22:13:21.000Z", NULL);

  ask (alice, "document.versions", "{}");
  fake_link_expect (alice, "document.versions", "payload.document_id", "d", "payload.complete",
                    "true", "payload.versions.0.version", "2", "payload.versions.1",
                    "{\"version\":1,\"label\":\"&lt;first&gt;\",\"user_id\":\"alice\","
                    "\"timestamp\":\"2023-11-14T22:13:20.000Z\",\"size\":3}",
                    "payload.versions.2", "-", NULL);
  ask (alice, "document.versions", "{\"limit\":1}");
  fake_link_expect (alice, "document.versions", "payload.complete", "false",
                    "payload.versions.0.version", "2", "payload.versions.1", "-", NULL);
  ask (alice, "document.versions", "{\"limit\":1,\"before\":2}");
  fake_link_expect (alice, "document.versions", "payload.complete", "true",
                    "payload.versions.0.version", "1", NULL);
  refuse (alice, "document.versions", "{\"limit\":-1}", "VALIDATION_ERROR");
  refuse (alice, "document.versions", "{\"before\":\"x\"}", "VALIDATION_ERROR");
  fake_link_forget (jane);
  ask (jane, "document.versions", "{}");
  fake_link_expect (jane, "document.versions", "payload.documentId", "d",
                    "payload.versions.1.userId", "alice", NULL);

  for (guint i = 0; i < 2; i++)
    {
      ask (alice, "document.at", i == 0 ? "{\"version\":1}" : "{\"version\":2}");
      fake_link_expect (alice, "document.at", "correlation_id", "q", "payload.document_id", "d",
                        "payload.version", i == 0 ? "1" : "2", "payload.content",
                        i == 0 ? "h\xc3\xa9" : "xh\xc3\xa9", NULL);
    }
  refuse (alice, "document.at", "{}", "VALIDATION_ERROR");
  refuse (alice, "document.at", "{\"version\":-1}", "VALIDATION_ERROR");
  refuse (alice, "document.at", "{\"version\":9}", "VALIDATION_ERROR");
}

static void
test_not_kept (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[document]\nhorizon=3\nsnapshot-every=1\n");
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");

  fake_link_open_document (alice, "d");
  for (guint i = 0; i < 40; i++)
    write_text (alice, "[\"a\"]");
  refuse (alice, "document.at", "{\"version\":1}", "NOT_FOUND");
}

/* Reading the past costs: so many of a session at a time */
static void
test_reads_at_once (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");

  fake_link_open_document (alice, "d");
  write_text (alice, "[\"a\"]");
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
  g_assert_cmpuint (count_open (fake), ==, 0);
}

/* Where documents are no channels */
static void
test_elsewhere (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) late = fake_link_open (fake, CHOIR_DIALECT_CHOIR, NULL, NULL, NULL);
  g_autofree char *token =
    fake_hub_mint (fake, "late", "\"permissions\":[\"document:*:*\"],\"exp\":1700000600");

  fake_link_open_document (alice, "d");
  ask (alice, "subscribe", "{\"channels\":[\"document:d\",\"chat:1\"]}");
  fake_link_expect (alice, "subscription.confirmed", "payload.channels.0.channel", "chat:1",
                    "payload.rejected.0.channel", "document:d", "payload.rejected.0.code",
                    "VALIDATION_ERROR", "payload.rejected.0.message",
                    "Open documents with document.open", NULL);
  refuse (alice, "publish", "{\"channel\":\"document:d\",\"type\":\"note\",\"payload\":{}}",
          "VALIDATION_ERROR");
  refuse (alice, "history", "{\"channel\":\"document:d\"}", "VALIDATION_ERROR");
  ask (alice, "presence", "{\"channel\":\"document:d\"}");
  fake_link_expect (alice, "presence.state", "payload.channel", "document:d", "payload.document_id",
                    "d", "payload.members.0.user_name", "alice", NULL);
  refuse (alice, "presence", "{\"document_id\":\"nobody\"}", "UNKNOWN_CHANNEL");
  ask (alice, "unsubscribe", "{\"channels\":[\"document:d\"]}");
  fake_link_expect (alice, "subscription.removed", "payload.channels.0", "document:d", NULL);
  g_assert_cmpuint (count_open (fake), ==, 0);

  fake_link_forget (late);
  fake_link_say (late,
                 "{\"type\":\"auth\",\"payload\":{\"token\":\"%s\",\"channels\":["
                 "\"document:d\",\"chat:1\"]}}",
                 token);
  fake_hub_iterate ();
  fake_link_expect (late, "auth.ok", NULL);
  fake_link_expect (late, "error", "payload.code", "VALIDATION_ERROR", NULL);
  g_assert_cmpuint (choir_session_get_n_subscriptions (fake_link_get_session (late)), ==, 1);
}

/* A token that no longer permits it ends it */
static void
test_permission_lost (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autofree char *token =
    fake_hub_mint (fake, "alice", "\"permissions\":[\"document:e:*\"],\"exp\":1700000600");

  fake_link_open_document (alice, "d");
  fake_link_open_document (alice, "e");
  fake_link_say (alice, "{\"type\":\"auth\",\"payload\":{\"token\":\"%s\"}}", token);
  fake_hub_iterate ();
  fake_link_expect (alice, "document.closed", "payload.document_id", "d", "payload.reason",
                    "You may no longer read this document", NULL);
  fake_link_expect (alice, "auth.ok", NULL);
  refuse (alice, "document.change", "{\"document_id\":\"d\",\"operation\":[\"x\"]}",
          "NOT_SUBSCRIBED");
  ask (alice, "document.change", "{\"document_id\":\"e\",\"operation\":[\"x\"]}");
  fake_link_expect (alice, "document.ack", NULL);
}

static void
test_without_store (void)
{
  static const char *const types[] = { "document.open", "document.close",    "document.change",
                                       "document.save", "document.versions", "document.at",
                                       "sync.request",  "session.reconnect" };
  g_autoptr (FakeHub) fake = fake_hub_new_without_store (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) jane = fake_link_open (fake, CHOIR_DIALECT_JDDB, "jane",
                                              "\"permissions\":[\"document:*:*\"]", "document:d");

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      ask (alice, types[i], "{\"document_id\":\"d\",\"operation\":[\"x\"],\"version\":0}");
      fake_link_expect_error (alice, "UNAVAILABLE");
    }
  fake_link_expect (jane, "system.error", "payload.code", "UNAVAILABLE", NULL);
  g_assert_cmpuint (fake_link_get_close_code (jane), ==, 0);
}

/* The table takes nothing any more, but those who have a document open may go on reading */
static void
test_stopping (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");

  fake_link_open_document (alice, "d");
  choir_document_table_close_async (choir_hub_get_documents (fake->hub), NULL, NULL, NULL);
  ask (alice, "document.open", "{\"document_id\":\"e\"}");
  fake_link_expect (alice, "error", "payload.code", "UNAVAILABLE", "payload.message",
                    "The service is stopping", NULL);
  ask (alice, "document.versions", "{\"document_id\":\"d\"}");
  fake_link_expect_error (alice, "UNAVAILABLE");
  ask (alice, "sync.request", "{\"document_id\":\"d\"}");
  fake_link_expect_error (alice, "UNAVAILABLE");
}

/* Fills a document by and by */
static void
fill (FakeHub *fake, FakeLink *link, gsize n_chars)
{
  g_autofree char *text = g_strnfill (50 * 1000, 'x');
  g_autofree char *operation = g_strconcat ("[\"", text, "\\n\"]", NULL);

  for (gsize n = 0; n < n_chars; n += 50 * 1000 + 1)
    write_text (link, operation);
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
  n_chars = choir_rope_get_n_chars (choir_document_get_text (find_document (fake, "d")));

  ask (alice, "sync.request", "{}");
  g_assert_cmpuint (outbox->n_frames, ==, 3);
  g_assert_cmpuint (outbox->n_bytes, >, n_chars);
  content = choir_outbox_get_frame (outbox, 1);
  ask (bob, "document.open", "{\"document_id\":\"d\"}");
  g_assert_true (choir_outbox_get_frame (fake_link_get_outbox (bob), 1) == content);
  fake_link_say (jane, "{\"type\":\"document.open\",\"payload\":{\"documentId\":\"d\"}}");
  g_assert_true (choir_outbox_get_frame (fake_link_get_outbox (jane), 1) == content);

  /* two may wait, and small messages beside them */
  fake_link_forget (bob);
  ask (bob, "sync.request", "{}");
  ask (bob, "sync.request", "{}");
  ask (bob, "sync.request", "{}");
  g_assert_cmpuint (fake_link_get_outbox (bob)->n_large, ==, 2);
  ask (bob, "ping", "{}");
  for (guint i = 0; i < 2; i++)
    {
      g_autofree char *json = fake_link_take (bob);
      g_autofree char *text = fake_link_read (json, "payload.content");

      g_assert_cmpuint (strlen (text), ==, n_chars);
    }
  fake_link_expect (bob, "error", "payload.code", "RATE_LIMIT_EXCEEDED", "payload.retry_after", "1",
                    NULL);
  fake_link_expect (bob, "pong", NULL);
  ask (bob, "sync.request", "{}");
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

/* Kept for those who come at the same time, and no longer */
static void
test_large_is_dropped (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[rate]\ndocument=\n");
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (ChoirFrame) content = NULL;

  fake_link_open_document (alice, "d");
  fill (fake, alice, 100 * 1000);
  ask (alice, "sync.request", "{}");
  content = choir_frame_ref (choir_outbox_get_frame (fake_link_get_outbox (alice), 1));
  fake_link_forget (alice);
  g_assert_cmpuint (content->n_refs, ==, 2);
  fake_hub_advance (fake, 2 * G_USEC_PER_SEC);
  g_assert_cmpuint (content->n_refs, ==, 1);

  ask (alice, "sync.request", "{}");
  g_clear_pointer (&content, choir_frame_unref);
  content = choir_frame_ref (choir_outbox_get_frame (fake_link_get_outbox (alice), 1));
  fake_link_forget (alice);
  write_text (alice, "[\"!\"]");
  ask (alice, "sync.request", "{}");
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
      ask (bob, "document.open", "{\"document_id\":\"d\"}");
      if (i < 2)
        ask (bob, "document.close", "{\"document_id\":\"d\"}");
    }
  g_assert_cmpuint (choir_session_get_n_subscriptions (fake_link_get_session (bob)), ==, 0);
  for (guint i = 0; i < 2; i++)
    {
      fake_link_expect (bob, "document.opened", NULL);
      fake_link_expect (bob, "document.closed", NULL);
    }
  fake_link_expect_error (bob, "RATE_LIMIT_EXCEEDED");
  ask (bob, "document.open", "{\"document_id\":\"d\"}");
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
      write_text (alice, "[\"\\\"\\n\xf0\x9f\x8e\xb5\"]");
      if (*text != '\0')
        {
          g_autofree char *operation = g_strconcat ("[\"", text, "\"]", NULL);

          write_text (alice, operation);
        }
      ask (bob, "document.open", payload);
      g_assert_cmpuint (fake_link_get_outbox (bob)->n_frames, ==, sizes[i] > 65536 ? 3 : 1);
      fake_link_expect (bob, "document.opened", "payload.document_id", id, "payload.content",
                        expected, "payload.count", "2", NULL);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, func) g_test_add_func ("/handlers-document/" name, func)
  ADD ("open", test_open);
  ADD ("open-with-version", test_open_with_version);
  ADD ("open-reads-older", test_open_reads_older);
  ADD ("open-refused", test_open_refused);
  ADD ("open-cancelled", test_open_cancelled);
  ADD ("open-abandoned", test_open_abandoned);
  ADD ("open-outlived", test_open_outlived);
  ADD ("which", test_which);
  ADD ("end-point", test_end_point);
  ADD ("end-point-full", test_end_point_full);
  ADD ("change-refused", test_change_refused);
  ADD ("conflict", test_conflict);
  ADD ("conflict-positional", test_conflict_positional);
  ADD ("version-in-metadata", test_version_in_metadata);
  ADD ("duplicate", test_duplicate);
  ADD ("not-writable", test_not_writable);
  ADD ("sync", test_sync);
  ADD ("reconnect", test_reconnect);
  ADD ("save", test_save);
  ADD ("not-kept", test_not_kept);
  ADD ("reads-at-once", test_reads_at_once);
  ADD ("elsewhere", test_elsewhere);
  ADD ("permission-lost", test_permission_lost);
  ADD ("without-store", test_without_store);
  ADD ("stopping", test_stopping);
  ADD ("large-answers", test_large_answers);
  ADD ("large-is-dropped", test_large_is_dropped);
  ADD ("large-refused", test_large_refused);
  ADD ("cbor", test_cbor);

  return g_test_run ();
}
