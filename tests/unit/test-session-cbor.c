/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "fake-link.h"

#include <string.h>

/* {"type": "ping"} */
static const char ping[] = "\xa1\x64type\x64ping";

#define SAY(link, bytes) say (link, bytes, sizeof (bytes) - 1)

static void
say (FakeLink *self, const char *data, gsize len)
{
  choir_session_receive_binary (fake_link_get_session (self), (const guint8 *) data, len);
}

static FakeLink *
join (FakeHub *hub, const char *user_id)
{
  FakeLink *self = fake_link_open (hub, CHOIR_DIALECT_CHOIR_CBOR, user_id, NULL, NULL);

  fake_link_expect (self, "connection.established", "payload.user_id", user_id, NULL);

  return self;
}

static void
expect_refusal (FakeLink *self, const char *code, const char *message)
{
  fake_link_expect (self, "error", "payload.code", code, "payload.message", message, NULL);
  fake_link_expect_nothing (self);
}

/* The canonical protocol, with all that belongs to it */
static void
test_conversation (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) link = fake_link_open (hub, CHOIR_DIALECT_CHOIR_CBOR, NULL, NULL, NULL);
  g_autofree char *token = fake_hub_mint (hub, "alice", NULL);

  fake_link_expect (link, "connection.established", "payload.user_id", "-", NULL);
  fake_link_say (link, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"chat:1\"]}}");
  fake_link_expect_error (link, "AUTH_ERROR");
  fake_link_say (link, "{\"type\":\"auth\",\"id\":7,\"payload\":{\"token\":\"%s\"}}", token);
  fake_link_expect (link, "auth.ok", "payload.user_id", "alice", "correlation_id", "7", NULL);
  fake_link_say (link, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"chat:1\"]}}");
  fake_link_expect (link, "subscription.confirmed", "payload.channels.0.channel", "chat:1", NULL);

  fake_link_say (link, "{\"type\":\"publish\",\"id\":\"p\",\"payload\":{\"channel\":\"chat:1\","
                       "\"type\":\"my.own\",\"payload\":{\"n\":-0.25,\"t\":\"\\n\"}}}");
  fake_link_expect (link, "my.own", "payload.n", "-0.25", "payload.t", "\n", "offset", "1", NULL);
  fake_link_expect (link, "publish.ok", "correlation_id", "p", "payload.offset", "1", NULL);
  fake_link_say (link, "{\"type\":\"history\",\"payload\":{\"channel\":\"chat:1\"}}");
  fake_link_expect (link, "history.result", "payload.messages.0.type", "my.own",
                    "payload.messages.0.payload.n", "-0.25", NULL);
  fake_link_say (link, "{\"type\":\"dance\"}");
  expect_refusal (link, "INVALID_MESSAGE_TYPE", "Unknown message type: dance");
  g_assert_cmpint (fake_hub_count (hub, "choir_dialect_connections", "choir-cbor"), ==, 1);
}

/* Listeners of one channel in both encodings, and publishers */
static void
test_mixed (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) text = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) binary = join (hub, "bob");

  fake_link_say (text, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"chat:1\"]}}");
  fake_link_expect (text, "subscription.confirmed", NULL);
  fake_link_say (binary, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"chat:1\"]}}");
  fake_link_expect (text, "presence.joined", "payload.user_id", "bob", NULL);
  fake_hub_iterate ();
  fake_link_forget (binary);

  fake_link_say (text, "{\"type\":\"chat.message\",\"channel\":\"chat:1\",\"payload\":"
                       "{\"content\":\"<b>\\u00fc\",\"list\":[1,2.0,null,true,{}]}}");
  fake_link_expect (binary, "chat.message", "payload.content", "&lt;b&gt;\303\274", "payload.list",
                    "[1,2.0,null,true,{}]", "payload.user_id", "alice", NULL);
  fake_hub_iterate ();
  fake_link_forget (text);

  fake_link_say (binary, "{\"type\":\"chat.message\",\"channel\":\"chat:1\",\"payload\":"
                         "{\"content\":\"<i>\"}}");
  fake_link_expect (text, "chat.message", "payload.content", "&lt;i&gt;", "payload.user_id", "bob",
                    "offset", "2", NULL);
}

static void
test_batch (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[protocol]\nmax-batch=3\n");
  g_autoptr (FakeLink) link = join (hub, "alice");

  fake_link_say (link, "[{\"type\":\"ping\",\"id\":\"a\"},{\"type\":\"dance\"},"
                       "{\"type\":\"ping\",\"id\":\"b\"}]");
  fake_link_expect (link, "pong", "correlation_id", "a", NULL);
  fake_link_expect_error (link, "INVALID_MESSAGE_TYPE");
  fake_link_expect (link, "pong", "correlation_id", "b", NULL);

  SAY (link, "\x84\xa1\x64type\x64ping\xa0\xa0\xa0");
  expect_refusal (link, "INVALID_MESSAGE", "A batch holds at most 3 messages");
  SAY (link, "\x80");
  expect_refusal (link, "INVALID_MESSAGE", "A batch holds at least one message");
  /* nothing of one that is broken anywhere is acted upon */
  SAY (link, "\x82\xa1\x64type\x64ping\x01");
  expect_refusal (link, "INVALID_MESSAGE", "Invalid CBOR at byte 12: expected a map");
  SAY (link, "\x82\xa1\x64type\x64ping\xa1\x64type");
  expect_refusal (link, "INVALID_MESSAGE", "Invalid CBOR at byte 18: expected more bytes");
}

static void
test_refused (void)
{
  g_autoptr (FakeHub) hub =
    fake_hub_new ("[protocol]\nmax-message-size=1K\n[sanitize]\nmax-depth=4\n");
  g_autoptr (FakeLink) link = join (hub, "alice");
  char controls[2 + 3 + 300] = "\xa1\x61x\x79\x01\x2c";

  say (link, "", 0);
  expect_refusal (link, "INVALID_MESSAGE", "Invalid CBOR at byte 0: expected more bytes");
  SAY (link, "{\"type\":\"ping\"}");
  expect_refusal (link, "INVALID_MESSAGE",
                  "Invalid CBOR at byte 0: expected a map, or an array of maps");
  SAY (link, "\xa2\x64type\x64ping\x64type\x64ping");
  expect_refusal (link, "INVALID_MESSAGE",
                  "Invalid CBOR at byte 11: expected a key that was not there before");
  SAY (link, "\xa1\x61x\x81\x81\x81\x81\x01");
  expect_refusal (link, "INVALID_MESSAGE", "Invalid CBOR at byte 6: expected less nesting");
  memset (controls + 6, 1, sizeof controls - 6);
  say (link, controls, sizeof controls);
  expect_refusal (link, "INVALID_MESSAGE",
                  "Invalid CBOR at byte 3: expected the rest of this item");
  controls[5] = (char) (sizeof controls - 6 - 256);
  say (link, controls, sizeof controls);
  expect_refusal (link, "MESSAGE_TOO_LARGE", "As JSON the message is larger than 1024 bytes");

  SAY (link, ping);
  fake_link_expect (link, "pong", NULL);
  g_assert_cmpuint (choir_session_get_n_errors (fake_link_get_session (link)), ==, 6);
}

/* What can't be read counts as well, or it would be free to send */
static void
test_rate (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[dialect choir]\nrate=3/1s\nburst-queue=0\n");
  g_autoptr (FakeLink) link = join (hub, "alice");

  for (guint i = 0; i < 3; i++)
    {
      SAY (link, "\xff");
      fake_link_expect_error (link, "INVALID_MESSAGE");
    }
  SAY (link, "\xff");
  fake_link_expect_error (link, "RATE_LIMIT_EXCEEDED");
  SAY (link, ping);
  fake_link_expect_error (link, "RATE_LIMIT_EXCEEDED");
  fake_hub_advance (hub, 1100 * 1000);
  SAY (link, ping);
  fake_link_expect (link, "pong", NULL);
}

/* Messages wait for the rate, or for a token, in either encoding */
static void
test_held (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[dialect choir]\nrate=2/1s\nburst-queue=4\n");
  g_autoptr (FakeLink) link = join (hub, "alice");

  for (guint i = 0; i < 5; i++)
    fake_link_say (link, "{\"type\":\"ping\",\"id\":%u}", i);
  fake_link_expect (link, "pong", "correlation_id", "0", NULL);
  fake_link_expect (link, "pong", "correlation_id", "1", NULL);
  fake_link_expect_nothing (link);
  fake_hub_advance (hub, 1100 * 1000);
  fake_link_expect (link, "pong", "correlation_id", "2", NULL);
  fake_link_expect (link, "pong", "correlation_id", "3", NULL);
  fake_link_expect_nothing (link);
  fake_hub_advance (hub, 1100 * 1000);
  fake_link_expect (link, "pong", "correlation_id", "4", NULL);
}

/* Nothing is answered any more once the session is told to go */
static void
test_closing (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) link = join (hub, "alice");

  choir_session_close (fake_link_get_session (link), 1000, NULL);
  SAY (link, "\xff");
  SAY (link, ping);
  fake_link_expect_nothing (link);
  g_assert_cmpuint (choir_session_get_n_errors (fake_link_get_session (link)), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/session-cbor/conversation", test_conversation);
  g_test_add_func ("/session-cbor/mixed", test_mixed);
  g_test_add_func ("/session-cbor/batch", test_batch);
  g_test_add_func ("/session-cbor/refused", test_refused);
  g_test_add_func ("/session-cbor/rate", test_rate);
  g_test_add_func ("/session-cbor/held", test_held);
  g_test_add_func ("/session-cbor/closing", test_closing);

  return g_test_run ();
}
