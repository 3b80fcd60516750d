/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "fake-link.h"

#include "choir-chat.h"
#include "choir-clock.h"

#include <string.h>

#define SECOND ((gint64) G_USEC_PER_SEC)

/* Channels in memory, and in the store */
static const char *const channels[] = { "room:1", "chat:1" };

#define SETTINGS                                                                                   \
  "[namespace room]\nsubscribe=authenticated\npublish=authenticated\npresence=no\n"                \
  "[namespace chat]\npresence=no\n"

static void
subscribe (FakeLink *link, const char *channel)
{
  fake_link_say (link, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"%s\"]}}", channel);
  fake_link_expect (link, "subscription.confirmed", "payload.channels.0.channel", channel, NULL);
}

/* @more: further members, with a comma before them */
static void
chunk (FakeLink *link, const char *channel, const char *id, const char *content, const char *more)
{
  fake_link_say (link,
                 "{\"type\":\"chat.chunk\",\"correlation_id\":\"c\",\"payload\":{\"channel\":"
                 "\"%s\",\"message_id\":\"%s\",\"content\":\"%s\"%s}}",
                 channel, id, content, more);
}

static void
expect_chunk (FakeLink *link, const char *id, const char *content, const char *seq)
{
  fake_link_expect (link, "chat.chunk", "payload.message_id", id, "payload.content", content,
                    "payload.seq", seq, "payload.complete", "false", "payload.role", "user",
                    "offset", "-", NULL);
}

static void
expect_end (FakeLink *link, const char *id, const char *content, const char *aborted)
{
  fake_link_expect (link, "chat.chunk", "payload.message_id", id, "payload.content", content,
                    "payload.complete", "true", "payload.aborted", aborted, NULL);
}

/* What is in the log is one message of which this is the text */
static void
expect_log (FakeLink *link, const char *channel, const char *content, const char *aborted)
{
  fake_link_say (link, "{\"type\":\"history\",\"payload\":{\"channel\":\"%s\"}}", channel);
  fake_link_expect (link, "history.result", "payload.offset", "1", "payload.messages.0.type",
                    "chat.message", "payload.messages.0.offset", "1",
                    "payload.messages.0.payload.content", content,
                    "payload.messages.0.payload.aborted", aborted, "payload.messages.1", "-",
                    "payload.streams", "-", NULL);
}

static void
assert_idle (FakeHub *hub)
{
  ChoirChat *chat = choir_hub_get_chat (hub->hub);

  g_assert_cmpuint (choir_chat_get_n_streams (chat), ==, 0);
  g_assert_cmpuint (choir_chat_get_n_bytes (chat), ==, 0);
}

static void
test_whole (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (channels); i++)
    {
      g_autoptr (FakeHub) hub = fake_hub_new (SETTINGS);
      g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
      g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");

      subscribe (bob, channels[i]);
      chunk (alice, channels[i], "m", "Hel", "");
      chunk (alice, channels[i], "m", "lo", ",\"seq\":1");
      fake_link_expect_nothing (alice);
      chunk (alice, channels[i], "m", "!", ",\"complete\":true");
      expect_chunk (bob, "m", "Hel", "0");
      expect_chunk (bob, "m", "lo", "1");
      fake_link_expect (bob, "chat.chunk", "payload.message_id", "m", "payload.content", "!",
                        "payload.seq", "2", "payload.complete", "true", "payload.user_id", "alice",
                        "payload.session_id", choir_session_get_id (fake_link_get_session (alice)),
                        "payload.aborted", "-", "channel", channels[i], "offset", "1", NULL);
      fake_link_expect (alice, "publish.ok", "correlation_id", "c", "payload.channel", channels[i],
                        "payload.offset", "1", "payload.message_id", "m", "payload.duplicate", "-",
                        NULL);
      fake_link_expect_nothing (bob);
      expect_log (bob, channels[i], "Hello!", "-");
      assert_idle (hub);
    }
}

/* What came already is ignored, what leaves something out refused: the sender may send again from
 * wherever it likes */
static void
test_order (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (SETTINGS);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");

  chunk (alice, "room:1", "m", "x", ",\"seq\":3");
  fake_link_expect (alice, "error", "payload.code", "CONFLICT", "payload.details.expected", "0",
                    "correlation_id", "c", NULL);
  assert_idle (hub);

  chunk (alice, "room:1", "m", "a", ",\"seq\":0");
  chunk (alice, "room:1", "m", "b", ",\"seq\":1");
  chunk (alice, "room:1", "m", "a", ",\"seq\":0");
  chunk (alice, "room:1", "m", "b", ",\"seq\":1");
  fake_link_expect_nothing (alice);
  chunk (alice, "room:1", "m", "d", ",\"seq\":3,\"complete\":true");
  fake_link_expect (alice, "error", "payload.code", "CONFLICT", "payload.details.expected", "2",
                    NULL);
  chunk (alice, "room:1", "m", "c", ",\"seq\":2,\"complete\":true");
  fake_link_expect (alice, "publish.ok", "payload.offset", "1", NULL);

  /* the end, said again, is answered again; what would come behind it is not taken */
  chunk (alice, "room:1", "m", "c", ",\"seq\":2,\"complete\":true");
  fake_link_expect (alice, "publish.ok", "payload.offset", "1", "payload.duplicate", "true", NULL);
  chunk (alice, "room:1", "m", "b", ",\"seq\":1");
  fake_link_expect_nothing (alice);
  chunk (alice, "room:1", "m", "e", ",\"seq\":3");
  fake_link_expect (alice, "error", "payload.code", "CONFLICT", "payload.details", "-", NULL);
  chunk (alice, "room:1", "m", "e", "");
  fake_link_expect_error (alice, "CONFLICT");
  expect_log (alice, "room:1", "abc", "-");
}

static void
test_invalid (void)
{
  static const struct
  {
    const char *payload;
    const char *code;
  } rows[] = {
    { "{\"channel\":\"room:1\",\"content\":\"x\"}", "VALIDATION_ERROR" },
    { "{\"channel\":\"room:1\",\"content\":\"x\",\"message_id\":\"\"}", "VALIDATION_ERROR" },
    { "{\"channel\":\"room:1\",\"content\":\"x\",\"message_id\":7}", "VALIDATION_ERROR" },
    { "{\"channel\":\"room:1\",\"message_id\":\"m\"}", "VALIDATION_ERROR" },
    { "{\"channel\":\"room:1\",\"message_id\":\"m\",\"content\":1}", "VALIDATION_ERROR" },
    { "{\"channel\":\"room:1\",\"message_id\":\"m\",\"content\":\"x\",\"seq\":-1}",
      "VALIDATION_ERROR" },
    { "{\"channel\":\"room:1\",\"message_id\":\"m\",\"content\":\"x\",\"seq\":\"0\"}",
      "VALIDATION_ERROR" },
    { "{\"channel\":\"room:1\",\"message_id\":\"m\",\"content\":\"x\",\"complete\":1}",
      "VALIDATION_ERROR" },
    { "{\"channel\":\"room:1\",\"message_id\":\"m\",\"content\":\"x\",\"role\":\"god\"}",
      "VALIDATION_ERROR" },
    { "{\"channel\":\"room:1\",\"message_id\":\"m\",\"content\":\"x\",\"role\":\"assistant\"}",
      "PERMISSION_DENIED" },
    { "{\"channel\":\"room:1\",\"message_id\":\"m\",\"content\":\"x\",\"content\":\"y\"}",
      "VALIDATION_ERROR" },
    { "{\"channel\":\"news:1\",\"message_id\":\"m\",\"content\":\"x\"}", "PERMISSION_DENIED" },
    { "{\"message_id\":\"m\",\"content\":\"x\"}", "VALIDATION_ERROR" },
  };
  g_autoptr (FakeHub) hub = fake_hub_new (SETTINGS);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    fake_link_refuse (alice, "chat.chunk", rows[i].payload, rows[i].code);

  assert_idle (hub);
}

/* A message belongs to the user who began it, in whichever session */
static void
test_owner (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (SETTINGS);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) again = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");

  chunk (alice, "room:1", "m", "a", "");
  chunk (bob, "room:1", "m", "b", "");
  fake_link_expect_error (bob, "PERMISSION_DENIED");
  /* the same id in another channel is another message */
  chunk (bob, "room:2", "m", "b", "");
  fake_link_expect_nothing (bob);

  chunk (again, "room:1", "m", "b", ",\"seq\":1");
  fake_link_end (alice, 1000);
  chunk (again, "room:1", "m", "c", ",\"complete\":true");
  fake_link_expect (again, "publish.ok", NULL);
  expect_log (again, "room:1", "abc", "-");
}

/* What the sender no longer goes on with: by its word, by its silence, by its end */
static void
test_abort (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (channels); i++)
    for (guint way = 0; way < 3; way++)
      {
        g_autoptr (FakeHub) hub = fake_hub_new (SETTINGS "[chat]\nstream-timeout=10s\n");
        g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
        g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");

        subscribe (bob, channels[i]);
        chunk (alice, channels[i], "m", "half", "");
        expect_chunk (bob, "m", "half", "0");
        if (way == 0)
          chunk (alice, channels[i], "m", "", ",\"aborted\":true");
        else if (way == 1)
          {
            fake_hub_advance (hub, 9 * SECOND);
            fake_link_expect_nothing (bob);
            fake_hub_advance (hub, 2 * SECOND);
          }
        else
          fake_link_end (alice, 1000);

        expect_end (bob, "m", "", "true");
        expect_log (bob, channels[i], "half", "true");
        if (way == 0)
          fake_link_expect (alice, "publish.ok", "payload.message_id", "m", NULL);
        if (way == 1)
          {
            chunk (alice, channels[i], "m", "more", ",\"seq\":1");
            fake_link_expect_error (alice, "CONFLICT");
          }
        assert_idle (hub);
      }
}

/* Each chunk gives it another while */
static void
test_alive (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (SETTINGS "[chat]\nstream-timeout=10s\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");

  for (guint i = 0; i < 5; i++)
    {
      chunk (alice, "room:1", "m", "a", "");
      fake_hub_advance (hub, 8 * SECOND);
    }
  fake_link_forget (alice);
  chunk (alice, "room:1", "m", "", ",\"complete\":true");
  fake_link_expect (alice, "publish.ok", NULL);
  expect_log (alice, "room:1", "aaaaa", "-");
}

/* Without text there is nothing to keep, but those who were told of it are told of its end */
static void
test_nothing (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (SETTINGS);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");

  subscribe (bob, "room:1");
  chunk (alice, "room:1", "m", "", "");
  chunk (alice, "room:1", "m", "", ",\"aborted\":true");
  fake_link_expect_nothing (alice);
  expect_chunk (bob, "m", "", "0");
  fake_link_expect (bob, "chat.chunk", "payload.complete", "true", "payload.aborted", "true",
                    "offset", "-", NULL);
  g_assert_cmpuint (choir_hub_find_channel (hub->hub, "room:1")->offset, ==, 0);
  assert_idle (hub);
}

/* Who comes later gets the text so far, and then what follows */
static void
test_joiner (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (SETTINGS);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");
  g_autoptr (FakeLink) carol = NULL;
  g_autoptr (FakeLink) dora = fake_link_open (hub, CHOIR_DIALECT_NETRA_SPEC, "dora", NULL, NULL);

  chunk (alice, "room:1", "m", "a\\\"\\u00e9", "");
  chunk (alice, "room:1", "m", "b", "");
  chunk (alice, "room:1", "n", "other", "");
  fake_link_say (bob, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"room:1\"]}}");
  fake_link_expect (
    bob, "subscription.confirmed", "payload.channels.0.streams.0.message_id", "m",
    "payload.channels.0.streams.0.content", "a\"\303\251b", "payload.channels.0.streams.0.seq", "1",
    "payload.channels.0.streams.0.role", "user", "payload.channels.0.streams.0.user_id", "alice",
    "payload.channels.0.streams.1.message_id", "n", "payload.channels.0.streams.1.seq", "0",
    "payload.channels.0.streams.2", "-", NULL);

  /* the end point's channel */
  carol = fake_link_open (hub, CHOIR_DIALECT_TRIPSAGE, "carol", NULL, "room:1");
  fake_link_expect (carol, "connection_status", NULL);
  fake_link_expect (carol, "chat_message_chunk", "payload.messageId", "m", "payload.content",
                    "a\"\303\251b", "payload.isComplete", "false", "payload.userId", "alice",
                    "payload.sessionId", "1", NULL);
  fake_link_expect (carol, "chat_message_chunk", "payload.messageId", "n", NULL);

  fake_link_forget (dora);
  fake_link_say (dora, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"room:1\"]}}");
  fake_link_expect (dora, "subscription.confirmed", "payload.channels.0.streams", "-", NULL);
  fake_link_expect (dora, "partial_result", "payload.message_id", "m", "payload.seq", "1", NULL);
  fake_link_expect (dora, "partial_result", "payload.message_id", "n", NULL);
  /* once */
  fake_link_say (dora, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"room:1\"]}}");
  fake_link_expect (dora, "subscription.confirmed", NULL);
  fake_link_expect_nothing (dora);

  chunk (alice, "room:1", "m", "c", ",\"complete\":true");
  fake_link_expect (bob, "chat.chunk", "payload.seq", "2", "offset", "1", NULL);
  fake_link_expect (carol, "chat_message_chunk", "payload.content", "c", "payload.isComplete",
                    "true", NULL);
  fake_link_expect (dora, "partial_result", "payload.content", "c", "payload.complete", "true",
                    NULL);
  fake_link_say (bob, "{\"type\":\"history\",\"payload\":{\"channel\":\"room:1\"}}");
  fake_link_expect (bob, "history.result", "payload.messages.0.payload.content", "a\"\303\251bc",
                    "payload.streams.0.message_id", "n", "payload.streams.1", "-", NULL);
}

/* Contracts without chunks get the message when it is whole */
static void
test_whole_contracts (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (SETTINGS);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) netra = fake_link_open (hub, CHOIR_DIALECT_NETRA, "n", NULL, "chat:1");
  g_autoptr (FakeLink) notes = fake_link_open (hub, CHOIR_DIALECT_REVIEWPOINT, "r", NULL, "chat:1");

  fake_hub_iterate ();
  fake_link_forget (netra);
  fake_link_forget (notes);
  chunk (alice, "chat:1", "m", "one ", "");
  chunk (alice, "chat:1", "m", "two", ",\"complete\":true");
  fake_link_expect (netra, "chat_response", "data.content", "one two", "data.message_id", "m",
                    "data.role", "user", NULL);
  fake_link_expect (notes, "chat.message", "data.content", "one two", NULL);
  fake_link_expect_nothing (netra);
  fake_link_expect_nothing (notes);
}

static void
test_limits (void)
{
  g_autoptr (FakeHub) hub =
    fake_hub_new (SETTINGS "[chat]\nmax-message=1K\nmax-bytes=4K\nmax-streams=2\n"
                           "[rate]\nchunk=\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");
  g_autofree char *text = g_strnfill (1000, 'x');

  chunk (alice, "room:1", "a", text, "");
  chunk (alice, "room:1", "a", "0123456789012345678901234", "");
  fake_link_expect_error (alice, "MESSAGE_TOO_LARGE");
  chunk (alice, "room:1", "b", text, "");
  chunk (alice, "room:1", "c", "x", "");
  fake_link_expect_error (alice, "RATE_LIMIT_EXCEEDED");
  /* nor has she more elsewhere; somebody else has, but then the service has no room for it */
  chunk (alice, "room:2", "c", "x", "");
  fake_link_expect_error (alice, "RATE_LIMIT_EXCEEDED");
  chunk (bob, "room:2", "c", text, "");
  fake_link_expect_error (bob, "UNAVAILABLE");
  g_assert_cmpuint (choir_chat_get_n_streams (choir_hub_get_chat (hub->hub)), ==, 2);
  g_assert_cmpuint (choir_chat_get_n_bytes (choir_hub_get_chat (hub->hub)), ==, 2000);

  /* what was refused has not changed anything */
  chunk (alice, "room:1", "a", "!", ",\"seq\":1,\"complete\":true");
  fake_link_expect (alice, "publish.ok", NULL);
  chunk (alice, "room:2", "c", text, "");
  fake_link_expect_nothing (alice);
}

/* Nor may a user's sessions go on with each other's until there are more */
static void
test_taken_over (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (SETTINGS "[chat]\nmax-streams=2\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) again = fake_link_join (hub, "alice");

  chunk (alice, "room:1", "a", "x", "");
  chunk (alice, "room:1", "b", "x", "");
  chunk (again, "room:2", "c", "x", "");
  chunk (again, "room:2", "d", "x", "");
  chunk (again, "room:1", "a", "y", "");
  fake_link_expect_error (again, "RATE_LIMIT_EXCEEDED");
  /* ended it may be */
  chunk (again, "room:1", "b", "y", ",\"complete\":true");
  fake_link_expect (again, "publish.ok", NULL);
  chunk (again, "room:2", "d", "y", ",\"complete\":true");
  fake_link_expect (again, "publish.ok", NULL);
  chunk (again, "room:1", "a", "y", "");
  fake_link_expect_nothing (again);
}

/* The end is said again while it is being stored: one answer is enough */
static void
test_impatient (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (SETTINGS);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");

  chunk (alice, "chat:1", "m", "one ", "");
  for (guint i = 0; i < 2; i++)
    chunk (alice, "chat:1", "m", "two", ",\"seq\":1,\"complete\":true");
  fake_link_expect (alice, "publish.ok", "payload.offset", "1", "payload.duplicate", "-", NULL);
  fake_link_expect_nothing (alice);
  chunk (alice, "chat:1", "m", "two", ",\"seq\":1,\"complete\":true");
  fake_link_expect (alice, "publish.ok", "payload.offset", "1", "payload.duplicate", "true", NULL);
}

/* The last piece comes once more when the message has ended, with and without the word that it was
 * the end */
static void
test_late (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (SETTINGS "[chat]\nstream-timeout=10s\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");

  chunk (alice, "room:1", "m", "one", ",\"seq\":0,\"complete\":true");
  fake_link_expect (alice, "publish.ok", "payload.offset", "1", NULL);
  chunk (alice, "room:1", "m", "one", ",\"seq\":0");
  fake_link_expect_nothing (alice);

  /* it does not know yet that it has been silent for too long */
  chunk (alice, "room:1", "n", "two", ",\"seq\":0");
  fake_hub_advance (hub, 11 * SECOND);
  assert_idle (hub);
  chunk (alice, "room:1", "n", "two", ",\"seq\":0");
  fake_link_expect_nothing (alice);
  chunk (alice, "room:1", "n", "three", ",\"seq\":1");
  fake_link_expect_error (alice, "CONFLICT");
}

/* What could not be stored is still open, and its end may be said again */
static void
test_not_stored (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (SETTINGS "[chat]\nstream-timeout=10s\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");
  ChoirChat *chat = choir_hub_get_chat (hub->hub);

  subscribe (bob, "chat:1");
  chunk (alice, "chat:1", "m", "one ", "");
  expect_chunk (bob, "m", "one ", "0");
  choir_store_memory_set_failing (CHOIR_STORE_MEMORY (hub->store), TRUE);
  chunk (alice, "chat:1", "m", "two", ",\"seq\":1,\"complete\":true");
  fake_link_expect (alice, "error", "payload.code", "UNAVAILABLE", "payload.original_type",
                    "chat.chunk", "correlation_id", "c", NULL);
  fake_link_expect_nothing (bob);
  g_assert_cmpuint (choir_chat_get_n_bytes (chat), ==, strlen ("one "));

  choir_store_memory_set_failing (CHOIR_STORE_MEMORY (hub->store), FALSE);
  chunk (alice, "chat:1", "m", "two", ",\"seq\":1,\"complete\":true");
  fake_link_expect (alice, "publish.ok", "payload.offset", "1", NULL);
  expect_end (bob, "m", "two", "-");
  expect_log (bob, "chat:1", "one two", "-");

  /* one whose sender has gone is given up some time, and those who have heard it are told */
  choir_store_memory_set_failing (CHOIR_STORE_MEMORY (hub->store), TRUE);
  chunk (alice, "chat:1", "n", "never", "");
  expect_chunk (bob, "n", "never", "0");
  fake_link_end (alice, 1000);
  for (guint i = 0; i < 6; i++)
    {
      fake_hub_iterate ();
      g_assert_cmpuint (choir_chat_get_n_streams (chat), ==, i < 4 ? 1 : 0);
      fake_hub_advance (hub, 11 * SECOND);
    }
  assert_idle (hub);
}

/* Users are held to a rate, whoever works for them is not */
static void
test_rate (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (SETTINGS "[rate]\nchunk=5/1s\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) worker =
    fake_link_open (hub, CHOIR_DIALECT_CHOIR, "w", "\"roles\":[\"worker\"]", NULL);

  for (guint i = 0; i < 5; i++)
    chunk (alice, "room:1", "m", "a", "");
  fake_link_expect_nothing (alice);
  chunk (alice, "room:1", "m", "a", "");
  fake_link_expect (alice, "error", "payload.code", "RATE_LIMIT_EXCEEDED", NULL);
  fake_hub_advance (hub, 2 * SECOND);
  chunk (alice, "room:1", "m", "a", ",\"seq\":5");
  fake_link_expect_nothing (alice);

  fake_link_forget (worker);
  for (guint i = 0; i < 50; i++)
    chunk (worker, "room:1", "w", "a", ",\"role\":\"assistant\"");
  fake_link_expect_nothing (worker);
}

/* Ends are remembered, so many of them */
static void
test_many (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (SETTINGS);
  g_autoptr (FakeLink) worker =
    fake_link_open (hub, CHOIR_DIALECT_CHOIR, "w", "\"roles\":[\"worker\"]", NULL);

  fake_link_forget (worker);
  for (guint i = 0; i < 4100; i++)
    {
      g_autofree char *id = g_strdup_printf ("m%u", i);

      chunk (worker, "room:1", id, "a", ",\"seq\":0,\"complete\":true");
      fake_link_forget (worker);
    }
  assert_idle (hub);

  chunk (worker, "room:1", "m4099", "a", ",\"seq\":0,\"complete\":true");
  fake_link_expect (worker, "publish.ok", "payload.offset", "4100", "payload.duplicate", "true",
                    NULL);
  /* forgotten: it is a message like any other, known by its key if that still is */
  chunk (worker, "room:1", "m0", "a", "");
  fake_link_expect_nothing (worker);
  g_assert_cmpuint (choir_chat_get_n_streams (choir_hub_get_chat (hub->hub)), ==, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/chat-stream/whole", test_whole);
  g_test_add_func ("/chat-stream/order", test_order);
  g_test_add_func ("/chat-stream/invalid", test_invalid);
  g_test_add_func ("/chat-stream/owner", test_owner);
  g_test_add_func ("/chat-stream/abort", test_abort);
  g_test_add_func ("/chat-stream/alive", test_alive);
  g_test_add_func ("/chat-stream/nothing", test_nothing);
  g_test_add_func ("/chat-stream/joiner", test_joiner);
  g_test_add_func ("/chat-stream/whole-contracts", test_whole_contracts);
  g_test_add_func ("/chat-stream/limits", test_limits);
  g_test_add_func ("/chat-stream/taken-over", test_taken_over);
  g_test_add_func ("/chat-stream/impatient", test_impatient);
  g_test_add_func ("/chat-stream/late", test_late);
  g_test_add_func ("/chat-stream/not-stored", test_not_stored);
  g_test_add_func ("/chat-stream/rate", test_rate);
  g_test_add_func ("/chat-stream/many", test_many);

  return g_test_run ();
}
