/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-handlers-document.h"

#include "choir-clock.h"
#include "fake-link.h"

/* docs/protocol.md "Documents": opening, catching up, coming back */

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
  g_assert_cmpuint (fake_hub_count_open (fake), ==, 1);

  fake_link_write (alice, "[\"\\\"h\xc3\xa9\\\\\\n\xf0\x9f\x8e\xb5\"]");
  epoch = choir_document_get_epoch (fake_hub_find_document (fake, "d"));
  fake_link_ask (alice, "document.open", "{\"document_id\":\"d\"}");
  fake_link_expect (alice, "document.opened", "payload.version", "1", "payload.epoch", epoch,
                    "payload.content", "\"h\xc3\xa9\\\n\xf0\x9f\x8e\xb5", "payload.count", "1",
                    NULL);

  fake_link_ask (alice, "document.close", "{}");
  fake_link_expect (alice, "document.closed", "payload", "{\"document_id\":\"d\"}", NULL);
  g_assert_cmpuint (fake_hub_count_open (fake), ==, 0);
  fake_link_refuse (alice, "document.close", "{\"document_id\":\"d\"}", "NOT_SUBSCRIBED");

  /* one that is in memory is there at once */
  fake_link_open_document (alice, "d");
  {
    g_autoptr (FakeLink) bob = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "bob");

    fake_link_say (bob, "{\"type\":\"document.open\",\"payload\":{\"document_id\":\"d\"}}");
    fake_link_expect (bob, "document.opened", "payload.version", "1", NULL);
  }
  fake_link_end (alice, 1006);
  fake_hub_iterate ();
  g_assert_cmpuint (fake_hub_count_open (fake), ==, 0);
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
  fake_link_change (alice, "[\"2\"]");
  fake_link_change (alice, "[\"3\"]");
  fake_link_forget (alice);
  epoch = choir_document_get_epoch (fake_hub_find_document (fake, "d"));
  known = g_strdup_printf ("{\"document_id\":\"d\",\"version\":1,\"epoch\":\"%s\"}", epoch);

  fake_link_ask (bob, "document.open", known);
  fake_link_expect (bob, "document.opened", "payload.version", "3", "payload.content", "-",
                    "payload.operations.0.version", "2", "payload.operations.0.operation",
                    "[\"2\"]", "payload.operations.0.user_id", "alice",
                    "payload.operations.0.session_id", session_id, "payload.operations.1.version",
                    "3", "payload.operations.2", "-", "payload.count", "2", NULL);

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_auto (GStrv) parts = g_strsplit (rows[i].payload, "EPOCH", 2);
      g_autofree char *payload = g_strjoinv (epoch, parts);

      fake_link_ask (bob, "document.open", payload);
      fake_link_expect (bob, "document.opened", "payload.version", "3", "payload.content",
                        rows[i].content, NULL);
    }

  /* who comes back recognises what he sent */
  fake_link_ask (alice, "sync.request", "{\"version\":0}");
  fake_link_forget (bob);
  fake_link_ask (bob, "sync.request", "{\"version\":0}");
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
    fake_link_write (alice, "[\"x\"]");
  fake_link_ask (alice, "document.close", "{}");
  fake_link_open_document (alice, "d");
  g_assert_cmpuint (choir_document_get_first_in_memory (fake_hub_find_document (fake, "d")), >, 3);

  payload = g_strdup_printf ("{\"document_id\":\"d\",\"version\":2,\"epoch\":\"%s\"}",
                             choir_document_get_epoch (fake_hub_find_document (fake, "d")));
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
  fake_link_refuse (alice, "document.open", "{}", "VALIDATION_ERROR");
  fake_link_refuse (alice, "document.open", "{\"document_id\":7}", "VALIDATION_ERROR");
  fake_link_refuse (alice, "document.open", "{\"document_id\":\"\"}", "VALIDATION_ERROR");
  fake_link_refuse (alice, "document.open", "{\"document_id\":\"two words\"}", "VALIDATION_ERROR");
  fake_link_refuse (alice, "document.open", long_payload, "VALIDATION_ERROR");
  fake_link_refuse (alice, "document.open", "{\"document_id\":\"d\",\"version\":-1}",
                    "VALIDATION_ERROR");
  fake_link_refuse (alice, "document.open", "{\"document_id\":\"d\",\"version\":\"1\"}",
                    "VALIDATION_ERROR");
  /* writing does not include reading */
  fake_link_refuse (writer, "document.open", "{\"document_id\":\"d\"}", "PERMISSION_DENIED");
  g_assert_cmpuint (fake_hub_count_open (fake), ==, 0);

  fake_link_open_document (alice, "a");
  fake_link_open_document (alice, "b");
  fake_link_ask (bob, "document.open", "{\"document_id\":\"c\"}");
  fake_link_expect (bob, "error", "payload.code", "UNAVAILABLE", "payload.retry_after", "5", NULL);
  fake_link_ask (alice, "document.open", "{\"document_id\":\"c\"}");
  fake_link_expect_error (alice, "UNAVAILABLE");
  /* those that are open may be opened */
  fake_link_ask (alice, "document.open", "{\"document_id\":\"a\"}");
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
  g_assert_cmpuint (fake_hub_count_open (fake), ==, 0);
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
  g_assert_cmpuint (fake_hub_count_open (fake), ==, 0);
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
  fake_link_ask (bob, "document.close", "{}");
  fake_link_say (alice, "{\"type\":\"document.open\",\"payload\":{}}");
  fake_hub_iterate ();
  fake_link_expect (alice, "document.open", "payload.documentId", "d", NULL);
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
  fake_link_write (alice, "[\"a\"]");
  choir_clock_advance (60 * G_USEC_PER_SEC);
  fake_link_write (alice, "[\"b\"]");
  choir_clock_advance (60 * G_USEC_PER_SEC);
  fake_link_write (alice, "[\"c\"]");

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      fake_link_ask (alice, "sync.request", rows[i].payload);
      fake_link_expect (alice, "sync.response", "payload.version", "3", "payload.document_id", "d",
                        "payload.content", rows[i].content, "payload.operations.0.version",
                        rows[i].operations, "payload.operations.1.version", rows[i].second, NULL);
    }
  fake_link_refuse (alice, "sync.request", "{\"version\":-1}", "VALIDATION_ERROR");
}

/* Contract C: a client that comes back, whether its end point has opened the document or not */
static void
test_reconnect (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) jane = fake_link_edit (fake, CHOIR_DIALECT_JDDB, "jane");

  fake_link_open_document (alice, "d");
  fake_link_write (alice, "[\"a\"]");
  fake_link_write (alice, "[1,\"b\"]");

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

  fake_link_ask (alice, "session.reconnect", "{\"last_version\":2}");
  fake_link_expect (alice, "sync.response", "payload.operations", "[]", "payload.count", "2", NULL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, func) g_test_add_func ("/handlers-open/" name, func)
  ADD ("open", test_open);
  ADD ("with-version", test_open_with_version);
  ADD ("reads-older", test_open_reads_older);
  ADD ("refused", test_open_refused);
  ADD ("cancelled", test_open_cancelled);
  ADD ("abandoned", test_open_abandoned);
  ADD ("outlived", test_open_outlived);
  ADD ("end-point", test_end_point);
  ADD ("end-point-full", test_end_point_full);
  ADD ("sync", test_sync);
  ADD ("reconnect", test_reconnect);

  return g_test_run ();
}
