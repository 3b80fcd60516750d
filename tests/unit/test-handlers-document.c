/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-handlers-document.h"

#include "fake-link.h"

/* Which document is meant, and where documents are not channels */

/* One that has open nothing, one thing or two */
static void
test_which (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) at = fake_link_open (fake, CHOIR_DIALECT_CHOIR, "bob",
                                            "\"permissions\":[\"document:*:*\"]", "document:point");

  fake_link_refuse (alice, "sync.request", "{}", "VALIDATION_ERROR");
  fake_link_open_document (alice, "a");
  fake_link_ask (alice, "sync.request", "{}");
  fake_link_expect (alice, "sync.response", "payload.document_id", "a", NULL);
  fake_link_open_document (alice, "b");
  fake_link_refuse (alice, "sync.request", "{}", "VALIDATION_ERROR");
  fake_link_ask (alice, "sync.request", "{\"document_id\":\"b\"}");
  fake_link_expect (alice, "sync.response", "payload.document_id", "b", NULL);
  fake_link_ask (alice, "sync.request", "{\"channel\":\"document:a\"}");
  fake_link_expect (alice, "sync.response", "payload.document_id", "a", NULL);
  fake_link_say (alice, "{\"type\":\"sync.request\",\"channel\":\"document:b\"}");
  fake_link_expect (alice, "sync.response", "payload.document_id", "b", NULL);
  fake_link_refuse (alice, "sync.request", "{\"document_id\":\"c\"}", "NOT_SUBSCRIBED");
  fake_link_refuse (alice, "sync.request", "{\"channel\":\"chat:a\"}", "VALIDATION_ERROR");
  fake_link_ask (alice, "sync.request", "{\"document_id\":\"\\u0061\"}");
  fake_link_expect (alice, "sync.response", "payload.document_id", "a", NULL);

  fake_hub_iterate ();
  fake_link_forget (at);
  fake_link_open_document (at, "another");
  fake_link_ask (at, "sync.request", "{}");
  fake_link_expect (at, "sync.response", "payload.document_id", "point", NULL);
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
  fake_link_ask (alice, "subscribe", "{\"channels\":[\"document:d\",\"chat:1\"]}");
  fake_link_expect (alice, "subscription.confirmed", "payload.channels.0.channel", "chat:1",
                    "payload.rejected.0.channel", "document:d", "payload.rejected.0.code",
                    "VALIDATION_ERROR", "payload.rejected.0.message",
                    "Open documents with document.open", NULL);
  fake_link_refuse (alice, "publish",
                    "{\"channel\":\"document:d\",\"type\":\"note\",\"payload\":{}}",
                    "VALIDATION_ERROR");
  fake_link_refuse (alice, "history", "{\"channel\":\"document:d\"}", "VALIDATION_ERROR");
  fake_link_ask (alice, "presence", "{\"channel\":\"document:d\"}");
  fake_link_expect (alice, "presence.state", "payload.channel", "document:d", "payload.document_id",
                    "d", "payload.members.0.user_name", "alice", NULL);
  fake_link_refuse (alice, "presence", "{\"document_id\":\"nobody\"}", "UNKNOWN_CHANNEL");
  fake_link_ask (alice, "unsubscribe", "{\"channels\":[\"document:d\"]}");
  fake_link_expect (alice, "subscription.removed", "payload.channels.0", "document:d", NULL);
  g_assert_cmpuint (fake_hub_count_open (fake), ==, 0);

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
  fake_link_refuse (alice, "document.change", "{\"document_id\":\"d\",\"operation\":[\"x\"]}",
                    "NOT_SUBSCRIBED");
  fake_link_ask (alice, "document.change", "{\"document_id\":\"e\",\"operation\":[\"x\"]}");
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
      fake_link_ask (alice, types[i],
                     "{\"document_id\":\"d\",\"operation\":[\"x\"],\"version\":0}");
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
  fake_link_ask (alice, "document.open", "{\"document_id\":\"e\"}");
  fake_link_expect (alice, "error", "payload.code", "UNAVAILABLE", "payload.message",
                    "The service is stopping", NULL);
  fake_link_ask (alice, "document.versions", "{\"document_id\":\"d\"}");
  fake_link_expect_error (alice, "UNAVAILABLE");
  fake_link_ask (alice, "sync.request", "{\"document_id\":\"d\"}");
  fake_link_expect_error (alice, "UNAVAILABLE");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, func) g_test_add_func ("/handlers-document/" name, func)
  ADD ("which", test_which);
  ADD ("elsewhere", test_elsewhere);
  ADD ("permission-lost", test_permission_lost);
  ADD ("without-store", test_without_store);
  ADD ("stopping", test_stopping);

  return g_test_run ();
}
