/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "recovery-fixture.h"

#include "choir-channel-history.h"
#include "choir-close-code.h"
#include "choir-error.h"

/* The past of a channel in pages, over its memory and the store, and what those who join are given
 * of it (protocol.md, "Subscribing and coming back"; contracts.md, "E") */

static void
ask (FakeLink *link, const char *query)
{
  fake_link_say (link,
                 "{\"type\":\"history\",\"correlation_id\":\"h\",\"payload\":{\"channel\":"
                 "\"chat:1\"%s}}",
                 query);
}

/* The next message is a page */
static void
expect_page (FakeLink *link, const char *offsets, gboolean complete)
{
  g_autofree char *json = fake_link_take (link);
  g_autofree char *found = NULL;
  g_autoptr (JsonNode) root = NULL;
  JsonObject *payload;

  g_assert_nonnull (json);
  root = json_from_string (json, NULL);
  g_assert_cmpstr (json_object_get_string_member (json_node_get_object (root), "type"), ==,
                   "history.result");
  payload = json_object_get_object_member (json_node_get_object (root), "payload");
  found = read_offsets (json_object_get_array_member (payload, "messages"));
  g_assert_cmpstr (found, ==, offsets);
  g_assert_cmpint (json_object_get_boolean_member (payload, "complete"), ==, complete);
}

/* 100 messages, of which the newest 13 or so are in memory */
static void
test_pages (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");
  static const struct
  {
    const char *query;
    const char *offsets;
    gboolean complete;
  } rows[] = {
    { "", "1-50", FALSE },
    { ",\"limit\":1000", "1-100", TRUE },
    { ",\"limit\":100", "1-100", TRUE },
    { ",\"limit\":99", "1-99", FALSE },
    { ",\"limit\":1", "1-1", FALSE },
    { ",\"limit\":0", "none", FALSE },
    { ",\"since\":10,\"limit\":5", "11-15", FALSE },
    { ",\"since\":80,\"limit\":20", "81-100", TRUE },
    { ",\"since\":80,\"limit\":19", "81-99", FALSE },
    { ",\"since\":95", "96-100", TRUE },
    { ",\"since\":99", "100-100", TRUE },
    { ",\"since\":100", "none", TRUE },
    { ",\"since\":9007199254740992", "none", TRUE },
    { ",\"reverse\":true", "100-51", FALSE },
    { ",\"reverse\":true,\"limit\":1000", "100-1", TRUE },
    { ",\"reverse\":true,\"limit\":100", "100-1", TRUE },
    { ",\"reverse\":true,\"limit\":99", "100-2", FALSE },
    { ",\"reverse\":true,\"limit\":5", "100-96", FALSE },
    { ",\"reverse\":true,\"limit\":0", "none", FALSE },
    { ",\"reverse\":true,\"since\":96,\"limit\":20", "95-76", FALSE },
    { ",\"reverse\":true,\"since\":21,\"limit\":20", "20-1", TRUE },
    { ",\"reverse\":true,\"since\":22,\"limit\":20", "21-2", FALSE },
    { ",\"reverse\":true,\"since\":2", "1-1", TRUE },
    { ",\"reverse\":true,\"since\":1", "none", TRUE },
    { ",\"reverse\":true,\"since\":0", "none", TRUE },
    { ",\"reverse\":true,\"since\":9007199254740992,\"limit\":30", "100-71", FALSE },
  };

  say (self, "chat:1", 100);
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_test_message ("%s", rows[i].query);
      ask (link, rows[i].query);
      fake_hub_iterate ();
      expect_page (link, rows[i].offsets, rows[i].complete);
      fake_link_expect_nothing (link);
    }
  g_assert_cmpuint (get_channel (self, "chat:1")->n_holds, ==, 0);
}

/* By pages that the size of an answer ends, each going on behind the one before */
static void
test_paging (Fixture *self, gconstpointer data)
{
  gboolean reverse = g_test_get_path ()[strlen ("/channel-history/paging")] != '\0';
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");
  gint64 since = reverse ? 101 : 0;
  guint n_pages = 0;
  gboolean complete = FALSE;

  say (self, "chat:1", 100);
  while (!complete)
    {
      g_autofree char *query = g_strdup_printf (",\"limit\":1000,\"since\":%" G_GINT64_FORMAT "%s",
                                                since, reverse ? ",\"reverse\":true" : "");
      g_autofree char *json = NULL;
      g_autoptr (JsonNode) root = NULL;
      JsonObject *payload;
      JsonArray *messages;

      g_assert_cmpuint (++n_pages, <, 20);
      ask (link, query);
      fake_hub_iterate ();
      json = fake_link_take (link);
      g_assert_cmpuint (strlen (json), <, 40 * 1024);
      root = json_from_string (json, NULL);
      payload = json_object_get_object_member (json_node_get_object (root), "payload");
      messages = json_object_get_array_member (payload, "messages");
      complete = json_object_get_boolean_member (payload, "complete");
      for (guint i = 0; i < json_array_get_length (messages); i++)
        {
          JsonObject *message = json_array_get_object_element (messages, i);

          since += reverse ? -1 : 1;
          g_assert_cmpint (json_object_get_int_member (message, "offset"), ==, since);
        }
    }

  g_assert_cmpint (since, ==, reverse ? 1 : 100);
  g_assert_cmpuint (n_pages, >, 3);
}

/* A channel that nobody is in is read; one that never was is unknown */
static void
test_opened (Fixture *self, gconstpointer data)
{
  FakeLink *link;

  say (self, "chat:1", 100);
  recovery_fixture_restart (self, RECOVERY_SETTINGS RECOVERY_USUAL);
  link = fake_link_join (self->hub, "alice");
  g_assert_null (choir_hub_find_channel (self->hub->hub, "chat:1"));
  ask (link, ",\"limit\":60");
  fake_hub_iterate ();
  expect_page (link, "1-60", FALSE);
  ask (link, ",\"reverse\":true");
  fake_hub_iterate ();
  expect_page (link, "100-51", FALSE);

  fake_link_refuse (link, "history", "{\"channel\":\"chat:never\"}", "UNKNOWN_CHANNEL");
  g_assert_null (choir_hub_find_channel (self->hub->hub, "chat:never"));
  fake_link_refuse (link, "history", "{\"channel\":\"agent-status:never\"}", "UNKNOWN_CHANNEL");
  fake_link_ask (link, "subscribe", "{\"channels\":[\"chat:never\"]}");
  fake_link_expect (link, "subscription.confirmed", NULL);
  fake_link_ask (link, "history", "{\"channel\":\"chat:never\"}");
  fake_link_expect (link, "history.result", "payload.messages", "[]", "payload.complete", "true",
                    "payload.offset", "0", NULL);
  g_object_unref (link);
}

/* What is no longer kept is not shown, though the store may still have it */
static void
test_kept (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");

  say (self, "chat:1", 100);
  fake_hub_advance (self->hub, 6 * G_USEC_PER_SEC);
  say (self, "chat:1", 20);
  ask (link, ",\"limit\":200");
  fake_hub_iterate ();
  expect_page (link, "41-120", TRUE);
  ask (link, ",\"limit\":200,\"reverse\":true");
  fake_hub_iterate ();
  expect_page (link, "120-41", TRUE);
  fake_hub_advance (self->hub, 6 * G_USEC_PER_SEC);
  ask (link, ",\"limit\":200");
  fake_hub_iterate ();
  expect_page (link, "101-120", TRUE);
  ask (link, ",\"limit\":200,\"reverse\":true");
  fake_hub_iterate ();
  expect_page (link, "120-101", TRUE);
}

/* Two at a time; what needs no reading is answered meanwhile, and nothing waits for it */
static void
test_reads_are_bounded (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");

  say (self, "chat:1", 100);
  slow_store_hold (self->store);
  ask (link, ",\"limit\":10");
  ask (link, ",\"limit\":20");
  fake_hub_iterate ();
  fake_link_expect_nothing (link);
  ask (link, ",\"limit\":30");
  fake_link_expect (link, "error", "payload.code", "RATE_LIMIT_EXCEEDED", "correlation_id", "h",
                    NULL);
  ask (link, ",\"since\":98");
  expect_page (link, "99-100", TRUE);
  fake_link_say (link, "{\"type\":\"ping\"}");
  fake_link_expect (link, "pong", NULL);

  slow_store_release_all (self->store);
  fake_hub_iterate ();
  expect_page (link, "1-10", FALSE);
  expect_page (link, "1-20", FALSE);
  ask (link, ",\"limit\":30");
  fake_hub_iterate ();
  expect_page (link, "1-30", FALSE);
}

/* A page that ends where memory was when it was read says so; the next one goes on there */
static void
test_said_meanwhile (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");
  g_autofree char *offsets = NULL;
  guint64 first;

  say (self, "chat:1", 100);
  slow_store_hold (self->store);
  ask (link, ",\"limit\":1000");
  ask (link, ",\"limit\":1000,\"reverse\":true");
  fake_hub_iterate ();
  say (self, "chat:1", 40);
  slow_store_release_all (self->store);
  fake_hub_iterate ();
  fake_link_expect (link, "history.result", "payload.complete", "false", "payload.offset", "140",
                    NULL);
  first = choir_channel_get_first (get_channel (self, "chat:1"));
  offsets = g_strdup_printf ("140-%" G_GUINT64_FORMAT, first);
  expect_page (link, offsets, FALSE);
}

static void
test_ends_meanwhile (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");

  say (self, "chat:1", 100);
  slow_store_hold (self->store);
  ask (link, ",\"limit\":10");
  fake_hub_iterate ();
  g_assert_cmpuint (get_channel (self, "chat:1")->n_holds, ==, 1);
  fake_link_end (link, 1006);
  slow_store_release_all (self->store);
  fake_hub_iterate ();
  g_assert_cmpuint (get_channel (self, "chat:1")->n_holds, ==, 0);
}

static void
test_store_fails (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");

  say (self, "chat:1", 100);
  slow_store_set_failing (self->store, TRUE);
  ask (link, ",\"limit\":10");
  fake_hub_iterate ();
  fake_link_expect (link, "error", "payload.code", "UNAVAILABLE", "payload.message",
                    "The history can't be read at the moment", "payload.retry_after", "5",
                    "correlation_id", "h", NULL);
  ask (link, ",\"since\":98");
  expect_page (link, "99-100", TRUE);
}

static void
stopped_cb (const ChoirHistoryPage *page, const GError *error, gpointer user_data)
{
  g_assert_null (page);
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE);
  *(gboolean *) user_data = TRUE;
}

/* For those who are no sessions: the hub may go while they wait */
static void
test_hub_goes (Fixture *self, gconstpointer data)
{
  const ChoirHistoryQuery query = { .channel = "chat:1", .limit = 10, .max_bytes = 100000 };
  gboolean stopped = FALSE;

  say (self, "chat:1", 100);
  slow_store_hold (self->store);
  g_assert_false (choir_channel_history_is_in_memory (self->hub->hub, &query));
  choir_channel_history_read (self->hub->hub, &query, stopped_cb, &stopped);
  fake_hub_iterate ();
  g_assert_cmpuint (slow_store_get_n_held (self->store), ==, 1);
  recovery_fixture_restart (self, RECOVERY_SETTINGS RECOVERY_USUAL);
  slow_store_release_all (self->store);
  fake_hub_iterate ();
  g_assert_true (stopped);
}

/* Contract E's messages have no offset: what they say tells them apart */
static void
say_number (Fixture *self, const char *channel, guint number)
{
  g_autofree char *filler = g_strnfill (1000, 'x');
  g_autofree char *payload = g_strdup_printf (
    "{\"content\":\"%u\",\"role\":\"user\",\"user_id\":\"bob\",\"session_id\":\"s\",\"filler\":"
    "\"%s\"}",
    number, filler);

  fake_hub_publish (self->hub, channel, "chat.message", payload);
}

static void
expect_numbers (FakeLink *link, guint first, guint last)
{
  for (guint i = first; i <= last; i++)
    {
      g_autofree char *content = g_strdup_printf ("%u", i);

      fake_link_expect (link, "chat_message", "payload.content", content, NULL);
    }
}

/* Whoever opens the address of a chat gets its newest messages, once, before any later one */
static void
test_replay (Fixture *self, gconstpointer data)
{
  g_autofree char *token = fake_hub_mint (self->hub, "alice", NULL);
  g_autoptr (FakeLink) link = NULL;

  for (guint i = 1; i <= 60; i++)
    say_number (self, "chat:1", i);
  for (guint i = 1; i <= 3; i++)
    say_number (self, "chat:2", i);

  slow_store_hold (self->store);
  link = fake_link_open (self->hub, CHOIR_DIALECT_TRIPSAGE, NULL, NULL, "chat:1");
  fake_link_say (link, "{\"token\":\"%s\",\"channels\":[\"chat:2\",\"chat:1\",\"chat:none\"]}",
                 token);
  say_number (self, "chat:1", 61);
  slow_store_release_all (self->store);
  fake_hub_iterate ();
  g_free (fake_link_take (link));
  expect_numbers (link, 42, 61);
  expect_numbers (link, 1, 3);
  fake_link_expect_nothing (link);

  say_number (self, "chat:1", 62);
  expect_numbers (link, 62, 62);
  fake_link_expect_nothing (link);
}

/* From the store what is not in memory */
static void
test_replay_after_restart (Fixture *self, gconstpointer data)
{
  FakeLink *link;

  for (guint i = 1; i <= 30; i++)
    say_number (self, "chat:1", i);
  recovery_fixture_restart (self, RECOVERY_SETTINGS RECOVERY_USUAL);
  link = fake_link_open (self->hub, CHOIR_DIALECT_TRIPSAGE, "alice", NULL, "chat:1");
  fake_hub_iterate ();
  while (fake_link_get_n_frames (link) > 20)
    g_free (fake_link_take (link));
  expect_numbers (link, 11, 30);
  g_object_unref (link);
}

/* A contract with offsets asks for what it has missed */
static void
test_no_replay (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = NULL;

  say (self, "chat:1", 30);
  link = fake_link_open (self->hub, CHOIR_DIALECT_CHOIR, "alice", NULL, "chat:1");
  fake_hub_iterate ();
  fake_link_expect (link, "connection.established", NULL);
  fake_link_expect_nothing (link);
  g_assert_cmpuint (choir_session_get_n_subscriptions (fake_link_get_session (link)), ==, 1);
}

/* Without the channel of its address there is nothing to stay for; it may come back */
static void
test_default_fails (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = NULL;

  slow_store_set_failing (self->store, TRUE);
  link = fake_link_open (self->hub, CHOIR_DIALECT_CHOIR, "alice", NULL, "chat:1");
  fake_hub_iterate ();
  fake_link_expect (link, "connection.established", NULL);
  fake_link_expect_error (link, "UNAVAILABLE");
  g_assert_cmpuint (fake_link_get_close_code (link), ==, CHOIR_CLOSE_TRY_AGAIN_LATER);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, func, settings)                                                                  \
  g_test_add ("/channel-history/" name, Fixture, settings, recovery_fixture_set_up, func,          \
              recovery_fixture_tear_down)
  ADD ("pages", test_pages, NULL);
  ADD ("paging", test_paging, RECOVERY_USUAL "[protocol]\nmax-queue-bytes=128K\n");
  ADD ("paging-back", test_paging, RECOVERY_USUAL "[protocol]\nmax-queue-bytes=128K\n");
  ADD ("opened", test_opened, NULL);
  ADD ("kept", test_kept, "history-size=80\nhistory-age=10s\n");
  ADD ("reads-are-bounded", test_reads_are_bounded, NULL);
  ADD ("said-meanwhile", test_said_meanwhile, NULL);
  ADD ("ends-meanwhile", test_ends_meanwhile, NULL);
  ADD ("store-fails", test_store_fails, NULL);
  ADD ("hub-goes", test_hub_goes, NULL);
  ADD ("replay", test_replay, NULL);
  ADD ("replay/restart", test_replay_after_restart, NULL);
  ADD ("replay/not-with-offsets", test_no_replay, NULL);
  ADD ("default-fails", test_default_fails, NULL);

  return g_test_run ();
}
