/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "recovery-fixture.h"

#include "choir-close-code.h"

/* Who comes back to a channel whose log is in the store gets everything missed, or is told that it
 * is not everything (protocol.md, "Subscribing and coming back") */

static void
resume (FakeLink *link, const char *channel, const char *epoch, guint offset)
{
  fake_link_say (link,
                 "{\"type\":\"subscribe\",\"correlation_id\":\"r\",\"payload\":{\"channels\":["
                 "{\"channel\":\"%s\",\"epoch\":\"%s\",\"offset\":%u}]}}",
                 channel, epoch, offset);
}

/* The next message is the answer of one channel */
static void
expect_recovery (FakeLink *link, gboolean recovered, const char *offsets)
{
  g_autofree char *json = fake_link_take (link);
  g_autofree char *found = NULL;
  g_autoptr (JsonNode) root = NULL;
  JsonObject *payload, *channel;

  g_assert_nonnull (json);
  root = json_from_string (json, NULL);
  g_assert_cmpstr (json_object_get_string_member (json_node_get_object (root), "type"), ==,
                   "subscription.confirmed");
  g_assert_cmpstr (json_object_get_string_member (json_node_get_object (root), "correlation_id"),
                   ==, "r");
  payload = json_object_get_object_member (json_node_get_object (root), "payload");
  channel = json_array_get_object_element (json_object_get_array_member (payload, "channels"), 0);
  found = read_offsets (json_object_get_array_member (channel, "messages"));
  g_assert_cmpstr (found, ==, offsets);
  g_assert_cmpint (json_object_get_boolean_member (channel, "recovered"), ==, recovered);
}

/* Memory begins somewhere behind the position; the answer is one frame, and what is said later
 * comes after it */
static void
test_over_the_edge (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");

  say (self, "chat:1", 60);
  g_assert_cmpuint (get_channel (self, "chat:1")->n_posts, <, 20);
  resume (link, "chat:1", get_channel (self, "chat:1")->epoch, 10);
  fake_link_expect_nothing (link);
  fake_hub_iterate ();
  g_assert_cmpuint (fake_link_get_n_frames (link), ==, 1);
  expect_recovery (link, TRUE, "11-60");
  say (self, "chat:1", 1);
  fake_link_expect (link, "note", "offset", "61", NULL);
  g_assert_cmpint (fake_hub_count (self->hub, "choir_recoveries", "recovered"), ==, 1);
}

/* What memory covers is answered at once, and nothing is read for it */
static void
test_in_memory (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");
  guint n_reads;

  say (self, "chat:1", 60);
  n_reads = slow_store_get_n_reads (self->store);
  resume (link, "chat:1", get_channel (self, "chat:1")->epoch, 55);
  expect_recovery (link, TRUE, "56-60");
  resume (link, "chat:1", get_channel (self, "chat:1")->epoch, 60);
  expect_recovery (link, TRUE, "none");
  g_assert_cmpuint (slow_store_get_n_reads (self->store), ==, n_reads);
}

static void
test_restart (Fixture *self, gconstpointer data)
{
  g_autofree char *epoch = NULL;
  FakeLink *link;

  say (self, "chat:1", 60);
  epoch = g_strdup (get_channel (self, "chat:1")->epoch);
  recovery_fixture_restart (self, RECOVERY_SETTINGS RECOVERY_USUAL);
  link = fake_link_join (self->hub, "alice");
  resume (link, "chat:1", epoch, 3);
  fake_hub_iterate ();
  expect_recovery (link, TRUE, "4-60");
  g_object_unref (link);
}

/* While the store is being read much is said: memory has moved past where the read ended. Messages
 * of the session wait, in order */
static void
test_said_meanwhile (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");

  say (self, "chat:1", 60);
  slow_store_hold (self->store);
  resume (link, "chat:1", get_channel (self, "chat:1")->epoch, 10);
  fake_link_say (link, "{\"type\":\"ping\"}");
  fake_link_say (link, "{\"type\":\"unsubscribe\",\"payload\":{\"channels\":[\"chat:1\"]}}");
  fake_hub_iterate ();
  g_assert_cmpuint (slow_store_get_n_held (self->store), ==, 1);
  say (self, "chat:1", 40);
  slow_store_release (self->store);
  fake_hub_iterate ();
  fake_link_expect_nothing (link);

  g_assert_cmpuint (slow_store_get_n_held (self->store), ==, 1);
  say (self, "chat:1", 5);
  slow_store_release_all (self->store);
  fake_hub_iterate ();
  expect_recovery (link, TRUE, "11-105");
  fake_link_expect (link, "pong", NULL);
  fake_link_expect (link, "subscription.removed", "payload.channels", "[\"chat:1\"]", NULL);
  fake_link_expect_nothing (link);
  g_assert_cmpuint (get_channel (self, "chat:1")->n_holds, ==, 0);
}

/* Where more is said than can be read there is an end to it */
static void
test_never_ending (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");
  g_autofree char *offsets = NULL;
  guint64 first, newest;
  guint n_rounds = 0;

  say (self, "chat:1", 40);
  slow_store_hold (self->store);
  resume (link, "chat:1", get_channel (self, "chat:1")->epoch, 10);
  fake_hub_iterate ();
  while (slow_store_get_n_held (self->store) > 0)
    {
      g_assert_cmpuint (++n_rounds, <, 10);
      say (self, "chat:1", 40);
      slow_store_release (self->store);
      fake_hub_iterate ();
    }

  g_assert_cmpuint (n_rounds, >, 2);
  first = choir_channel_get_first (get_channel (self, "chat:1"));
  newest = get_channel (self, "chat:1")->offset;
  offsets = g_strdup_printf ("%" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT, first, newest);
  expect_recovery (link, FALSE, offsets);
}

static void
test_ends_meanwhile (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");
  g_autoptr (FakeLink) other = fake_link_join (self->hub, "bob");

  say (self, "chat:1", 60);
  slow_store_hold (self->store);
  resume (link, "chat:1", get_channel (self, "chat:1")->epoch, 10);
  resume (other, "chat:never", "e", 10);
  g_assert_cmpuint (get_channel (self, "chat:1")->n_holds, ==, 1);
  fake_link_end (link, 1006);
  fake_link_end (other, 1006);
  g_assert_cmpuint (get_channel (self, "chat:1")->n_holds, ==, 0);
  slow_store_release_all (self->store);
  fake_hub_iterate ();
  g_assert_cmpuint (get_channel (self, "chat:1")->n_subscribers, ==, 0);
  g_assert_null (choir_hub_find_channel (self->hub->hub, "chat:never"));
}

/* And with the last session the hub */
static void
test_hub_goes (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");

  say (self, "chat:1", 60);
  slow_store_hold (self->store);
  resume (link, "chat:1", get_channel (self, "chat:1")->epoch, 10);
  fake_hub_iterate ();
  g_assert_cmpuint (slow_store_get_n_held (self->store), ==, 1);
  fake_link_end (link, 1000);
  recovery_fixture_restart (self, RECOVERY_SETTINGS RECOVERY_USUAL);
  slow_store_release_all (self->store);
  fake_hub_iterate ();
}

/* While one channel is read, another one whose turn is over moves on */
static void
test_said_elsewhere (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");
  const char *channels[] = { "chat:1", "chat:2" };
  g_autofree char *json = NULL;
  g_autoptr (JsonNode) root = NULL;
  JsonArray *rows;

  say (self, "chat:1", 60);
  say (self, "chat:2", 60);
  slow_store_hold (self->store);
  fake_link_say (link,
                 "{\"type\":\"subscribe\",\"payload\":{\"channels\":["
                 "{\"channel\":\"chat:1\",\"epoch\":\"%s\",\"offset\":40},"
                 "{\"channel\":\"chat:2\",\"epoch\":\"%s\",\"offset\":40}]}}",
                 get_channel (self, "chat:1")->epoch, get_channel (self, "chat:2")->epoch);
  fake_hub_iterate ();
  slow_store_release (self->store);
  fake_hub_iterate ();
  g_assert_cmpuint (slow_store_get_n_held (self->store), ==, 1);
  say (self, "chat:1", 30);
  slow_store_release_all (self->store);
  fake_hub_iterate ();

  json = fake_link_take (link);
  g_assert_nonnull (json);
  root = json_from_string (json, NULL);
  rows = json_object_get_array_member (
    json_object_get_object_member (json_node_get_object (root), "payload"), "channels");
  for (guint i = 0; i < G_N_ELEMENTS (channels); i++)
    {
      JsonObject *row = json_array_get_object_element (rows, i);
      g_autofree char *offsets = read_offsets (json_object_get_array_member (row, "messages"));

      g_assert_cmpstr (json_object_get_string_member (row, "channel"), ==, channels[i]);
      g_assert_cmpstr (offsets, ==, i == 0 ? "41-90" : "41-60");
      g_assert_true (json_object_get_boolean_member (row, "recovered"));
    }
  fake_link_expect_nothing (link);
}

/* One that is told to go gets nothing more */
static void
test_closed_meanwhile (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");

  say (self, "chat:1", 60);
  slow_store_hold (self->store);
  resume (link, "chat:1", get_channel (self, "chat:1")->epoch, 10);
  choir_session_close (fake_link_get_session (link), CHOIR_CLOSE_KICKED, "Kicked");
  slow_store_release_all (self->store);
  fake_hub_iterate ();
  g_assert_cmpuint (get_channel (self, "chat:1")->n_holds, ==, 0);
  g_assert_cmpuint (get_channel (self, "chat:1")->n_subscribers, ==, 0);
  fake_link_expect_nothing (link);
}

/* What may be read when it is asked may be forbidden when it is there */
static void
test_forbidden_meanwhile (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");
  g_autoptr (GError) error = NULL;

  say (self, "chat:1", 60);
  slow_store_hold (self->store);
  resume (link, "chat:1", get_channel (self, "chat:1")->epoch, 10);
  fake_hub_reload (self->hub, RECOVERY_SETTINGS RECOVERY_USUAL "subscribe=permission\n", &error);
  g_assert_no_error (error);
  slow_store_release_all (self->store);
  fake_hub_iterate ();
  fake_link_expect (link, "subscription.confirmed", "payload.channels", "[]",
                    "payload.rejected.0.code", "PERMISSION_DENIED", NULL);

  /* and what is forbidden is not read at all */
  slow_store_hold (self->store);
  resume (link, "chat:other", "e", 10);
  fake_link_expect (link, "subscription.confirmed", "payload.rejected.0.code", "PERMISSION_DENIED",
                    NULL);
  g_assert_cmpuint (slow_store_get_n_held (self->store), ==, 0);
}

/* The others are joined all the same; what the store says is for the log */
static void
test_store_fails (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");

  say (self, "chat:1", 60);
  slow_store_set_failing (self->store, TRUE);
  fake_link_say (link,
                 "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"chat:1\",{\"channel\":"
                 "\"chat:1\",\"epoch\":\"%s\",\"offset\":5},\"chat:new\"],"
                 "\"events\":[\"file.ready\"]}}",
                 get_channel (self, "chat:1")->epoch);
  fake_hub_iterate ();
  fake_link_expect (link, "subscription.confirmed", "payload.channels.0.channel", "chat:1",
                    "payload.channels.1", "-", "payload.events.0", "file.ready",
                    "payload.rejected.0.channel", "chat:1", "payload.rejected.0.code",
                    "UNAVAILABLE", "payload.rejected.0.message",
                    "The channel can't be read at the moment", "payload.rejected.1.channel",
                    "chat:new", "payload.rejected.1.code", "UNAVAILABLE", NULL);

  slow_store_set_failing (self->store, FALSE);
  resume (link, "chat:1", get_channel (self, "chat:1")->epoch, 5);
  fake_hub_iterate ();
  expect_recovery (link, TRUE, "6-60");
}

/* Never a part: what does not fit the answer is not begun, and the newest that fits is given, from
 * the store as well */
static void
test_too_much (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");

  say (self, "chat:1", 60);
  resume (link, "chat:1", get_channel (self, "chat:1")->epoch, 1);
  fake_hub_iterate ();
  /* a quarter of 128K holds 25 messages of a thousand bytes and what is reckoned for the rest */
  expect_recovery (link, FALSE, "36-60");
  resume (link, "chat:1", get_channel (self, "chat:1")->epoch, 35);
  fake_hub_iterate ();
  expect_recovery (link, TRUE, "36-60");
}

/* A position of another life, one to come, and none at all */
static void
test_other_positions (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");
  const char *epoch;

  say (self, "chat:1", 30);
  epoch = get_channel (self, "chat:1")->epoch;
  resume (link, "chat:1", "another", 10);
  fake_hub_iterate ();
  expect_recovery (link, FALSE, "1-30");
  resume (link, "chat:1", epoch, 31);
  fake_hub_iterate ();
  expect_recovery (link, FALSE, "1-30");
  fake_link_ask (link, "subscribe", "{\"channels\":[\"chat:1\"]}");
  fake_link_expect (link, "subscription.confirmed", "payload.channels.0.recovered", "false",
                    "payload.channels.0.messages", "[]", "payload.channels.0.offset", "30", NULL);
}

/* What is no longer kept is lost, though the store may still have it */
static void
test_trimmed (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");
  const char *epoch;

  say (self, "chat:1", 60);
  epoch = get_channel (self, "chat:1")->epoch;
  resume (link, "chat:1", epoch, 29);
  fake_hub_iterate ();
  expect_recovery (link, FALSE, "31-60");
  resume (link, "chat:1", epoch, 30);
  fake_hub_iterate ();
  expect_recovery (link, TRUE, "31-60");
}

static void
test_aged (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");
  const char *epoch;

  say (self, "chat:1", 20);
  fake_hub_advance (self->hub, 6 * G_USEC_PER_SEC);
  say (self, "chat:1", 30);
  fake_hub_advance (self->hub, 6 * G_USEC_PER_SEC);
  epoch = get_channel (self, "chat:1")->epoch;
  resume (link, "chat:1", epoch, 19);
  fake_hub_iterate ();
  expect_recovery (link, FALSE, "21-50");
  resume (link, "chat:1", epoch, 20);
  fake_hub_iterate ();
  expect_recovery (link, TRUE, "21-50");
}

/* One answer for all, in their order, with what each needs */
static void
test_many (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");
  g_autoptr (GString) message =
    g_string_new ("{\"type\":\"subscribe\",\"payload\":{\"channels\":[");
  g_autofree char *json = NULL;
  g_autoptr (JsonNode) root = NULL;
  JsonObject *payload;
  JsonArray *channels;

  for (guint c = 0; c < 30; c++)
    {
      g_autofree char *name = g_strdup_printf ("chat:%u", c);

      say (self, name, c % 3 == 0 ? 5 : 1);
      g_string_append_printf (message, "%s{\"channel\":\"%s\",\"epoch\":\"%s\",\"offset\":%u}",
                              c > 0 ? "," : "", name, get_channel (self, name)->epoch,
                              c % 3 == 0 ? 2u : 1u);
    }
  g_string_append (message, ",\"chat:fresh\",\"agent-status:1\",\"no name\",\"secret:1\"],"
                            "\"events\":[\"file.ready\",\"no.event\"]}}");
  fake_link_say (link, "%s", message->str);
  fake_hub_iterate ();
  g_assert_cmpuint (fake_link_get_n_frames (link), ==, 1);

  json = fake_link_take (link);
  root = json_from_string (json, NULL);
  payload = json_object_get_object_member (json_node_get_object (root), "payload");
  channels = json_object_get_array_member (payload, "channels");
  g_assert_cmpuint (json_array_get_length (channels), ==, 32);
  for (guint c = 0; c < 30; c++)
    {
      JsonObject *channel = json_array_get_object_element (channels, c);
      g_autofree char *offsets = read_offsets (json_object_get_array_member (channel, "messages"));

      g_assert_cmpstr (offsets, ==, c % 3 == 0 ? "3-5" : "none");
      g_assert_true (json_object_get_boolean_member (channel, "recovered"));
    }
  g_assert_cmpuint (json_array_get_length (json_object_get_array_member (payload, "rejected")), ==,
                    3);
  g_assert_cmpuint (choir_session_get_n_subscriptions (fake_link_get_session (link)), ==, 33);
}

/* A client may talk on while it waits, but not for ever */
static void
test_held_is_bounded (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");

  slow_store_hold (self->store);
  fake_link_ask (link, "subscribe", "{\"channels\":[\"chat:1\"]}");
  for (guint i = 0; i < 256; i++)
    fake_link_say (link, "{\"type\":\"ping\"}");
  fake_link_expect_nothing (link);
  fake_link_say (link, "{\"type\":\"ping\"}");
  fake_link_expect_error (link, "RATE_LIMIT_EXCEEDED");
  slow_store_release_all (self->store);
  fake_hub_iterate ();
  fake_link_expect (link, "subscription.confirmed", "correlation_id", "q", NULL);
  for (guint i = 0; i < 256; i++)
    fake_link_expect (link, "pong", NULL);
  fake_link_expect_nothing (link);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, func, settings)                                                                  \
  g_test_add ("/recovery/" name, Fixture, settings, recovery_fixture_set_up, func,                 \
              recovery_fixture_tear_down)
  ADD ("over-the-edge", test_over_the_edge, NULL);
  ADD ("in-memory", test_in_memory, NULL);
  ADD ("restart", test_restart, NULL);
  ADD ("said-meanwhile", test_said_meanwhile, NULL);
  ADD ("never-ending", test_never_ending, NULL);
  ADD ("ends-meanwhile", test_ends_meanwhile, NULL);
  ADD ("hub-goes", test_hub_goes, NULL);
  ADD ("said-elsewhere", test_said_elsewhere, NULL);
  ADD ("closed-meanwhile", test_closed_meanwhile, NULL);
  ADD ("forbidden-meanwhile", test_forbidden_meanwhile, NULL);
  ADD ("store-fails", test_store_fails, NULL);
  ADD ("too-much", test_too_much, RECOVERY_USUAL "[protocol]\nmax-queue-bytes=128K\n");
  ADD ("other-positions", test_other_positions, NULL);
  ADD ("trimmed", test_trimmed, "history-size=30\n");
  ADD ("aged", test_aged, RECOVERY_USUAL "history-age=10s\n");
  ADD ("many", test_many, NULL);
  ADD ("held-is-bounded", test_held_is_bounded, NULL);

  return g_test_run ();
}
