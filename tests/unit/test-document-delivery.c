/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-document-delivery.h"

#include "fake-link.h"

#include <string.h>

/* Everybody is told everything in one block for each batch, and each sender finds its
 * acknowledgements where the others find its changes */

static void
say_change (FakeLink *link, guint version, const char *id, const char *operation)
{
  fake_link_say (link,
                 "{\"type\":\"document.change\",\"payload\":{\"document_id\":\"d\",\"version\":%u,"
                 "\"change_id\":\"%s\",\"operation\":%s}}",
                 version, id, operation);
}

static void
expect_change (FakeLink *link, const char *version, const char *operation, const char *user_id)
{
  fake_link_expect (link, "document.change", "payload.document_id", "d", "payload.version", version,
                    "payload.operation", operation, "payload.user_id", user_id, "payload.change_id",
                    "-", "channel", "document:d", "offset", version, "correlation_id", "-", NULL);
}

static void
expect_ack (FakeLink *link, const char *version, const char *change_id)
{
  fake_link_expect (link, "document.ack", "payload.document_id", "d", "payload.version", version,
                    "payload.change_id", change_id, "payload.operation", "-", NULL);
}

static ChoirDocument *
get_document (FakeHub *fake)
{
  return choir_document_table_find (choir_hub_get_documents (fake->hub), "d");
}

static void
assert_text (FakeHub *fake, const char *expected)
{
  g_autofree char *text = choir_rope_dup_text (choir_document_get_text (get_document (fake)), NULL);

  g_assert_cmpstr (text, ==, expected);
}

static void
test_one (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) bob = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "bob");
  g_autofree char *json = NULL;

  fake_link_open_document (alice, "d");
  fake_link_open_document (bob, "d");
  fake_link_forget (alice);

  fake_link_say (alice, "{\"type\":\"document.change\",\"correlation_id\":\"c1\",\"payload\":{"
                        "\"document_id\":\"d\",\"version\":0,\"change_id\":\"1\","
                        "\"operation\":[\"h\xc3\xa9\"]}}");
  fake_link_expect_nothing (alice);
  fake_hub_iterate ();

  json = fake_link_take (alice);
  {
    g_autofree char *correlation_id = fake_link_read (json, "correlation_id");
    g_autofree char *channel = fake_link_read (json, "channel");

    g_assert_cmpstr (correlation_id, ==, "c1");
    g_assert_cmpstr (channel, ==, "-");
  }
  fake_link_expect_nothing (alice);
  expect_change (bob, "1", "[\"h\xc3\xa9\"]", "alice");
  fake_link_expect_nothing (bob);
  assert_text (fake, "h\xc3\xa9");
}

/* The epoch begins with the first change: those who had the document open before learn it then */
static void
test_epoch (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) bob = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "bob");
  const char *epoch;

  fake_link_open_document (alice, "d");
  fake_link_open_document (bob, "d");
  fake_link_forget (alice);
  say_change (alice, 0, "1", "[\"x\"]");
  fake_hub_iterate ();
  epoch = choir_document_get_epoch (get_document (fake));
  g_assert_cmpuint (strlen (epoch), ==, 16);
  fake_link_expect (alice, "document.ack", "payload.epoch", epoch, NULL);
  fake_link_expect (bob, "document.change", "payload.epoch", epoch, NULL);

  say_change (bob, 1, "1", "[\"x\"]");
  fake_hub_iterate ();
  fake_link_expect (alice, "document.change", "payload.epoch", "-", NULL);
  fake_link_expect (bob, "document.ack", "payload.epoch", "-", NULL);
}

/* What is sent before a batch is stored makes the next one: a batch is one block for everybody */
static void
test_coalescing (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) bob = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "bob");
  g_autoptr (FakeLink) witness = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "wim");
  FakeLink *const all[] = { alice, bob, witness };

  for (guint i = 0; i < G_N_ELEMENTS (all); i++)
    fake_link_open_document (all[i], "d");
  for (guint i = 0; i < G_N_ELEMENTS (all); i++)
    fake_link_forget (all[i]);

  say_change (alice, 0, "a1", "[\"A\"]");
  say_change (bob, 0, "b1", "[\"B\"]");
  say_change (alice, 0, "a2", "[1,\"a\"]");
  say_change (alice, 0, "a3", "[2,\"!\"]");
  fake_hub_iterate ();
  assert_text (fake, "BAa!");
  g_assert_cmpint (fake_hub_count (fake, "choir_document_changes", "committed"), ==, 4);

  for (guint i = 0; i < G_N_ELEMENTS (all); i++)
    g_assert_cmpuint (fake_link_get_outbox (all[i])->n_frames, ==, 1);

  expect_ack (alice, "1", "a1");
  expect_change (alice, "2", "[\"B\"]", "bob");
  expect_ack (alice, "3", "a2");
  expect_ack (alice, "4", "a3");
  fake_link_expect_nothing (alice);

  expect_change (bob, "1", "[\"A\"]", "alice");
  expect_ack (bob, "2", "b1");
  expect_change (bob, "3", "[2,\"a\"]", "alice");
  expect_change (bob, "4", "[3,\"!\"]", "alice");
  fake_link_expect_nothing (bob);

  expect_change (witness, "1", "[\"A\"]", "alice");
  expect_change (witness, "2", "[\"B\"]", "bob");
  expect_change (witness, "3", "[2,\"a\"]", "alice");
  expect_change (witness, "4", "[3,\"!\"]", "alice");
  fake_link_expect_nothing (witness);
}

/* One user's other session is somebody else */
static void
test_two_sessions (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) one = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) two = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");

  fake_link_open_document (one, "d");
  fake_link_open_document (two, "d");
  fake_link_forget (one);
  say_change (one, 0, "x", "[\"1\"]");
  say_change (two, 0, "y", "[\"2\"]");
  fake_hub_iterate ();

  expect_ack (one, "1", "x");
  fake_link_expect (one, "document.change", "payload.user_id", "alice", "payload.session_id",
                    choir_session_get_id (fake_link_get_session (two)), NULL);
  fake_link_expect (two, "document.change", "payload.user_id", "alice", "payload.session_id",
                    choir_session_get_id (fake_link_get_session (one)), NULL);
  expect_ack (two, "2", "y");
}

/* Contract C: positions, one's own change comes back with its id, the version in the metadata */
static void
test_positional (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_JDDB, "alice");
  g_autoptr (FakeLink) bob = fake_link_edit (fake, CHOIR_DIALECT_JDDB, "bob");
  g_autoptr (FakeLink) carol = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "carol");
  const char *session_id = choir_session_get_id (fake_link_get_session (alice));

  fake_link_open_document (carol, "d");
  fake_link_open_document (alice, "d");
  fake_link_open_document (bob, "d");
  fake_link_forget (alice);
  fake_link_forget (carol);

  fake_link_say (alice, "{\"type\":\"document.change\",\"payload\":{\"operation\":\"insert\","
                        "\"position\":0,\"content\":\"abc\",\"changeId\":\"c\"},"
                        "\"metadata\":{\"correlationId\":\"q\"}}");
  fake_hub_iterate ();
  fake_link_expect (alice, "document.change", "payload.changeId", "c", "payload.version", "1",
                    "payload.operation", "insert", "payload.position", "0", "payload.content",
                    "abc", "payload.documentId", "d", "payload.userId", "alice",
                    "payload.sessionId", session_id, "metadata.version", "1",
                    "metadata.correlationId", "q", "metadata.userId", "alice", NULL);
  fake_link_expect (bob, "document.change", "payload.changeId", "-", "payload.version", "1",
                    "payload.operation", "insert", "payload.position", "0", "payload.content",
                    "abc", "payload.userId", "alice", "payload.sessionId", session_id,
                    "metadata.version", "1", "metadata.correlationId", "-", "metadata.userId",
                    "alice", "metadata.sessionId", session_id, NULL);
  expect_change (carol, "1", "[\"abc\"]", "alice");

  say_change (carol, 1, "two", "[1,\"x\",1,{\"d\":1}]");
  fake_hub_iterate ();
  expect_ack (carol, "2", "two");
  fake_link_expect (alice, "document.change", "payload.operations",
                    "[{\"operation\":\"insert\",\"position\":1,\"content\":\"x\"},"
                    "{\"operation\":\"delete\",\"position\":3,\"length\":1}]",
                    "payload.operation", "-", "payload.changeId", "-", NULL);
}

/* Encoded once for each dialect, shared by all of its kind */
static void
test_sharing (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[document]\nmax-size=1M\n");
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  FakeLink *others[6];
  ChoirFrame *blocks[G_N_ELEMENTS (others)];

  fake_link_open_document (alice, "d");
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    {
      others[i] = fake_link_edit (fake, i % 2 == 0 ? CHOIR_DIALECT_CHOIR : CHOIR_DIALECT_JDDB,
                                  i < 3 ? "bob" : "carol");
      fake_link_open_document (others[i], "d");
    }
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    fake_link_forget (others[i]);

  say_change (alice, 0, "1", "[\"x\"]");
  say_change (alice, 0, "2", "[\"y\"]");
  fake_hub_iterate ();
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    {
      g_assert_cmpuint (fake_link_get_outbox (others[i])->n_frames, ==, 1);
      blocks[i] = choir_outbox_get_frame (fake_link_get_outbox (others[i]), 0);
      g_assert_true (blocks[i] == blocks[i % 2]);
      g_assert_cmpuint (blocks[i]->n_refs, ==, 3);
    }
  g_assert_true (blocks[0] != blocks[1]);

  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    {
      fake_link_end (others[i], 1000);
      g_object_unref (others[i]);
    }
}

/* Whoever closed the document, but not the connection, is still told what became of its change */
static void
test_closed_meanwhile (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) bob = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "bob");

  fake_link_open_document (bob, "d");
  fake_link_open_document (alice, "d");
  fake_link_forget (bob);
  say_change (alice, 0, "1", "[\"x\"]");
  fake_link_say (alice, "{\"type\":\"document.close\",\"payload\":{\"document_id\":\"d\"}}");
  fake_link_expect (alice, "document.closed", NULL);
  fake_link_expect (bob, "user.presence", "payload.event", "user_left", NULL);
  fake_hub_iterate ();
  expect_ack (alice, "1", "1");
  expect_change (bob, "1", "[\"x\"]", "alice");

  /* nobody has it open any more */
  fake_link_open_document (alice, "d");
  fake_link_forget (bob);
  say_change (bob, 1, "2", "[\"y\"]");
  fake_link_say (bob, "{\"type\":\"document.close\",\"payload\":{\"document_id\":\"d\"}}");
  fake_link_say (alice, "{\"type\":\"document.close\",\"payload\":{\"document_id\":\"d\"}}");
  fake_hub_iterate ();
  fake_link_expect (bob, "document.closed", NULL);
  expect_ack (bob, "2", "2");
  g_assert_cmpuint (choir_document_table_get_n_open (choir_hub_get_documents (fake->hub)), ==, 0);
}

/* The change of one whose connection is gone is committed all the same */
static void
test_session_ended (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) bob = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "bob");
  g_autoptr (ChoirSession) gone = NULL;

  fake_link_open_document (bob, "d");
  fake_link_open_document (alice, "d");
  fake_link_forget (bob);
  gone = g_object_ref (fake_link_get_session (alice));
  say_change (alice, 0, "1", "[\"x\"]");
  say_change (alice, 0, "2", "[9,\"y\"]");
  fake_link_end (alice, 1006);
  fake_hub_iterate ();
  fake_link_expect (bob, "user.presence", "payload.event", "user_left", NULL);
  expect_change (bob, "1", "[\"x\"]", "alice");
  fake_link_expect_nothing (bob);
  g_assert_cmpuint (G_OBJECT (gone)->ref_count, ==, 1);
}

/* Of a whole batch as large as all that may wait for a client, nobody is closed who reads */
static void
test_large (void)
{
  g_autoptr (FakeHub) fake =
    fake_hub_new ("[protocol]\nmax-queue-bytes=8K\n[document]\nmax-size=1M\n");
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) bob = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "bob");
  g_autofree char *text = g_strnfill (9000, 'x');
  g_autofree char *operation = g_strconcat ("[\"", text, "\"]", NULL);

  fake_link_open_document (alice, "d");
  fake_link_open_document (bob, "d");
  fake_link_forget (alice);
  for (guint i = 0; i < 3; i++)
    {
      g_autofree char *id = g_strdup_printf ("%u", i);

      say_change (alice, 0, id, operation);
    }
  fake_hub_iterate ();
  g_assert_cmpuint (fake_link_get_n_overflows (bob), ==, 0);
  g_assert_cmpuint (fake_link_get_outbox (bob)->n_bytes, >, 27000);
  g_assert_true (choir_outbox_fits (fake_link_get_outbox (bob), 8192));
  for (guint i = 1; i <= 3; i++)
    {
      g_autofree char *version = g_strdup_printf ("%u", i);

      expect_change (bob, version, operation, "alice");
    }
}

/* Changes that come from elsewhere have no session: all are told */
static void
test_without_session (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  ChoirTextBuilder *builder = choir_text_builder_new ();
  ChoirChange change = { .user_id = "robot" };

  fake_link_open_document (alice, "d");
  choir_text_builder_insert (builder, "x", 1);
  change.operation = choir_text_builder_end (builder);
  choir_document_submit (get_document (fake), &change);
  fake_hub_iterate ();
  fake_link_expect (alice, "document.change", "payload.user_id", "robot", "payload.session_id", "-",
                    NULL);
}

/* Messages in CBOR are the same */
static void
test_cbor (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR_CBOR, "alice");
  g_autoptr (FakeLink) bob = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "bob");

  fake_link_open_document (alice, "d");
  fake_link_open_document (bob, "d");
  fake_link_forget (alice);
  say_change (alice, 0, "a", "[\"x\"]");
  say_change (bob, 0, "b", "[\"y\"]");
  fake_hub_iterate ();
  g_assert_cmpuint (fake_link_get_outbox (alice)->n_frames, ==, 1);
  expect_ack (alice, "1", "a");
  expect_change (alice, "2", "[\"y\"]", "bob");
  expect_change (bob, "1", "[\"x\"]", "alice");
  expect_ack (bob, "2", "b");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, func) g_test_add_func ("/document-delivery/" name, func)
  ADD ("one", test_one);
  ADD ("epoch", test_epoch);
  ADD ("coalescing", test_coalescing);
  ADD ("two-sessions", test_two_sessions);
  ADD ("positional", test_positional);
  ADD ("sharing", test_sharing);
  ADD ("closed-meanwhile", test_closed_meanwhile);
  ADD ("session-ended", test_session_ended);
  ADD ("large", test_large);
  ADD ("without-session", test_without_session);
  ADD ("cbor", test_cbor);

  return g_test_run ();
}
