/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "fake-link.h"

#include "choir-clock.h"
#include "choir-close-code.h"

#include <string.h>

#define SECOND ((gint64) G_USEC_PER_SEC)

/* With its quotes escaped, for fake_link_say() */
static void
subscribe (FakeLink *link, const char *channel)
{
  fake_link_say (link, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"%s\"]}}", channel);
  fake_link_expect (link, "subscription.confirmed", "payload.channels.0.channel", channel, NULL);
}

static void
resume (FakeLink *link, const char *channel, const char *epoch, guint offset)
{
  fake_link_say (link,
                 "{\"type\":\"subscribe\",\"payload\":{\"channels\":[{\"channel\":\"%s\","
                 "\"epoch\":\"%s\",\"offset\":%u}]}}",
                 channel, epoch, offset);
}

static void
test_publish (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");

  subscribe (alice, "chat:1");
  subscribe (bob, "chat:1");
  fake_link_forget (alice);

  for (guint i = 1; i <= 3; i++)
    {
      g_autofree char *offset = g_strdup_printf ("%u", i);
      const char *epoch = choir_hub_find_channel (hub->hub, "chat:1")->epoch;

      fake_link_say (alice,
                     "{\"type\":\"publish\",\"correlation_id\":\"q%u\",\"payload\":{\"channel\":"
                     "\"chat:1\",\"type\":\"note\",\"payload\":{\"n\":%u}}}",
                     i, i);
      fake_link_expect (alice, "note", "channel", "chat:1", "offset", offset, "payload.n", offset,
                        "correlation_id", "-", NULL);
      fake_link_expect (alice, "publish.ok", "payload.offset", offset, "payload.epoch", epoch,
                        NULL);
      fake_link_expect (bob, "note", "offset", offset, NULL);
    }
  g_assert_cmpint (fake_hub_count (hub, "choir_publishes", NULL), ==, 3);
}

/* What the sender says about itself is replaced, by either way into a channel */
static void
test_sender (void)
{
  static const char *const messages[] = {
    "{\"type\":\"chat.message\",\"payload\":{\"channel\":\"chat:1\",\"content\":\"hi\","
    "\"user_id\":\"bob\",\"session_id\":\"x\"}}",
    "{\"type\":\"publish\",\"payload\":{\"channel\":\"chat:1\",\"type\":\"chat.message\","
    "\"payload\":{\"content\":\"hi\",\"user_id\":\"bob\",\"session_id\":\"x\"}}}",
  };
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");

  subscribe (alice, "chat:1");
  for (guint i = 0; i < G_N_ELEMENTS (messages); i++)
    {
      fake_link_say (alice, "%s", messages[i]);
      fake_link_expect (alice, "chat.message", "payload.user_id", "alice", "payload.session_id",
                        choir_session_get_id (fake_link_get_session (alice)), "payload.content",
                        "hi", NULL);
      fake_link_expect (alice, "publish.ok", NULL);
    }
}

static void
test_sanitized (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");

  subscribe (alice, "chat:1");
  fake_link_say (alice, "{\"type\":\"chat.message\",\"payload\":{\"channel\":\"chat:1\","
                        "\"content\":\"<script>\"}}");
  fake_link_expect (alice, "chat.message", "payload.content", "&lt;script&gt;", NULL);
}

static void
test_reserved (void)
{
  static const char *const types[] = {
    "error",       "pong",   "auth.ok",        "system.reconnect", "connection.established",
    "task.update", "status", "agent_complete", "publish.ok",       "connection_established",
  };
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) service =
    fake_link_open (hub, CHOIR_DIALECT_CHOIR, "svc", "\"roles\":[\"service\"]", NULL);

  fake_link_forget (service);
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      gboolean free_name = g_str_equal (types[i], "agent_complete");

      fake_link_say (alice,
                     "{\"type\":\"publish\",\"payload\":{\"channel\":\"chat:1\",\"type\":\"%s\"}}",
                     types[i]);
      if (free_name)
        fake_link_expect (alice, "publish.ok", NULL);
      else
        fake_link_expect_error (alice, "PERMISSION_DENIED");

      fake_link_say (service,
                     "{\"type\":\"publish\",\"payload\":{\"channel\":\"chat:1\",\"type\":\"%s\"}}",
                     types[i]);
      fake_link_expect (service, "publish.ok", NULL);
    }
}

static void
test_permissions (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[namespace news]\nsubscribe=authenticated\n"
                                          "publish=owner\n[namespace open]\nsubscribe=anyone\n"
                                          "publish=anyone\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) guest = fake_link_open_guest (hub, CHOIR_DIALECT_CHOIR, "guest-1");
  g_autoptr (FakeLink) holder = fake_link_open (
    hub, CHOIR_DIALECT_CHOIR, "carol", "\"permissions\":[\"secret:1:*\",\"news:bob:write\"]", NULL);
  static const struct
  {
    guint who; /* 0 alice, 1 guest, 2 carol */
    gboolean publish;
    const char *channel;
    gboolean allowed;
  } rows[] = {
    { 0, FALSE, "news:alice", TRUE },       { 0, TRUE, "news:alice", TRUE },
    { 0, FALSE, "news:bob", TRUE },         { 0, TRUE, "news:bob", FALSE },
    { 0, FALSE, "secret:1", FALSE },        { 0, TRUE, "secret:1", FALSE },
    { 0, FALSE, "open:1", TRUE },           { 0, TRUE, "open:1", TRUE },
    { 0, TRUE, "document:1", FALSE },       { 0, TRUE, "all", FALSE },
    { 0, FALSE, "user:alice", TRUE },       { 0, FALSE, "user:bob", FALSE },
    { 0, TRUE, "user:bob", FALSE },         { 0, FALSE, "session:1", FALSE },
    { 1, FALSE, "chat:1", FALSE },          { 1, TRUE, "chat:1", FALSE },
    { 1, FALSE, "open:1", TRUE },           { 1, TRUE, "news:guest-1", TRUE },
    { 2, FALSE, "secret:1", TRUE },         { 2, TRUE, "secret:1", TRUE },
    { 2, FALSE, "secret:2", FALSE },        { 2, TRUE, "news:bob", TRUE },
    { 2, TRUE, "event:file.ready", FALSE },
  };
  FakeLink *links[] = { alice, guest, holder };

  fake_link_forget (guest);
  fake_link_forget (holder);
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      FakeLink *link = links[rows[i].who];

      g_test_message ("row %u", i);
      if (rows[i].publish)
        {
          fake_link_forget (link);
          fake_link_say (link,
                         "{\"type\":\"publish\",\"payload\":{\"channel\":\"%s\",\"type\":\"x\"}}",
                         rows[i].channel);
          while (fake_link_get_n_frames (link) > 1)
            g_free (fake_link_take (link));
          fake_link_expect (link, rows[i].allowed ? "publish.ok" : "error", NULL);
        }
      else
        {
          fake_link_forget (link);
          fake_link_say (link, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"%s\"]}}",
                         rows[i].channel);
          fake_link_expect (link, "subscription.confirmed", "payload.rejected.0.code",
                            rows[i].allowed ? "-" : "PERMISSION_DENIED", NULL);
        }
    }
}

/* An administrator may read bob's history, but is not told that it hears what bob hears */
static void
test_foreign_channels (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) admin =
    fake_link_open (hub, CHOIR_DIALECT_CHOIR, "root", "\"roles\":[\"admin\"]", NULL);
  g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");

  fake_link_forget (admin);
  g_assert_cmpuint (fake_hub_publish (hub, "user:bob", "note", "{}"), ==, 1);
  fake_link_expect (bob, "note", NULL);
  fake_link_say (admin, "{\"type\":\"history\",\"payload\":{\"channel\":\"user:bob\"}}");
  fake_link_expect (admin, "history.result", "payload.messages.0.type", "note", NULL);
  fake_link_say (admin, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"user:bob\"]}}");
  fake_link_expect (admin, "subscription.confirmed", "payload.channels", "[]",
                    "payload.rejected.0.code", "PERMISSION_DENIED", NULL);
}

static void
test_audiences (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) first = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) second = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");
  g_autofree char *session =
    g_strconcat ("session:", choir_session_get_id (fake_link_get_session (bob)), NULL);

  g_assert_cmpuint (fake_hub_publish (hub, "all", "a", "{}"), ==, 3);
  g_assert_cmpuint (fake_hub_publish (hub, "user:alice", "b", "{}"), ==, 2);
  g_assert_cmpuint (fake_hub_publish (hub, "user:nobody", "c", "{}"), ==, 0);
  g_assert_cmpuint (fake_hub_publish (hub, session, "d", "{}"), ==, 1);
  g_assert_cmpuint (fake_hub_publish (hub, "session:none", "e", "{}"), ==, 0);
  g_assert_cmpuint (fake_hub_publish (hub, "chat:empty", "f", "{}"), ==, 0);
  fake_link_expect (first, "a", NULL);
  fake_link_expect (first, "b", NULL);
  fake_link_expect_nothing (first);
  fake_link_expect (second, "a", NULL);
  fake_link_expect (second, "b", NULL);
  fake_link_expect (bob, "a", NULL);
  fake_link_expect (bob, "d", NULL);
  fake_link_expect_nothing (bob);
}

static void
test_transient (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");

  subscribe (alice, "chat:1");
  subscribe (bob, "chat:1");
  fake_link_forget (alice);
  fake_link_say (alice, "{\"type\":\"chat.typing\",\"payload\":{\"channel\":\"chat:1\","
                        "\"user_id\":\"eve\"}}");
  fake_link_expect_nothing (alice);
  fake_link_expect (bob, "chat.typing", "payload.user_id", "alice", "offset", "-", NULL);
  g_assert_cmpuint (choir_hub_find_channel (hub->hub, "chat:1")->n_posts, ==, 0);
  g_assert_cmpuint (choir_hub_find_channel (hub->hub, "chat:1")->offset, ==, 0);
}

/* Who may only listen can't send typing to everybody */
static void
test_transient_permission (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");

  subscribe (alice, "event:file.ready");
  fake_link_say (alice,
                 "{\"type\":\"chat.typing\",\"payload\":{\"channel\":\"event:file.ready\"}}");
  fake_link_expect_error (alice, "PERMISSION_DENIED");
  fake_link_say (alice,
                 "{\"type\":\"cursor.position\",\"payload\":{\"channel\":\"event:file.ready\"}}");
  fake_link_expect_error (alice, "PERMISSION_DENIED");
}

/* Outside documents a cursor is told on as it is, so many times a second */
static void
test_transient_cursor (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");
  static const char message[] =
    "{\"type\":\"cursor.position\",\"payload\":{\"channel\":\"chat:1\",\"x\":\"<b>\"}}";

  subscribe (alice, "chat:1");
  subscribe (bob, "chat:1");
  fake_link_forget (alice);
  for (guint i = 0; i < 20; i++)
    {
      fake_link_say (alice, message);
      fake_link_expect (bob, "cursor.position", "payload.user_id", "alice", "payload.x",
                        "&lt;b&gt;", NULL);
    }
  fake_link_expect_nothing (alice);
  fake_link_say (alice, message);
  fake_link_expect_error (alice, "RATE_LIMIT_EXCEEDED");
  fake_link_expect_nothing (bob);
}

static void
test_recovery (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[namespace chat]\nhistory-size=5\n");
  g_autoptr (FakeLink) link = fake_link_join (hub, "alice");
  g_autofree char *epoch = NULL;

  for (guint i = 0; i < 8; i++)
    fake_hub_publish (hub, "chat:1", "note", "{}");
  epoch = g_strdup (choir_hub_find_channel (hub->hub, "chat:1")->epoch);

  resume (link, "chat:1", epoch, 6);
  fake_link_expect (link, "subscription.confirmed", "payload.channels.0.recovered", "true",
                    "payload.channels.0.offset", "8", "payload.channels.0.messages.0.offset", "7",
                    "payload.channels.0.messages.1.offset", "8", "payload.channels.0.messages.2",
                    "-", NULL);
  /* the oldest from which all is still there */
  resume (link, "chat:1", epoch, 3);
  fake_link_expect (link, "subscription.confirmed", "payload.channels.0.recovered", "true",
                    "payload.channels.0.messages.0.offset", "4", NULL);
  resume (link, "chat:1", epoch, 2);
  fake_link_expect (link, "subscription.confirmed", "payload.channels.0.recovered", "false",
                    "payload.channels.0.messages.0.offset", "4",
                    "payload.channels.0.messages.4.offset", "8", NULL);
  resume (link, "chat:1", epoch, 8);
  fake_link_expect (link, "subscription.confirmed", "payload.channels.0.recovered", "true",
                    "payload.channels.0.messages", "[]", NULL);
  resume (link, "chat:1", epoch, 9);
  fake_link_expect (link, "subscription.confirmed", "payload.channels.0.recovered", "false", NULL);
  resume (link, "chat:1", "0000000000000000", 7);
  fake_link_expect (link, "subscription.confirmed", "payload.channels.0.recovered", "false", NULL);
  /* what was said in another epoch and lost can not be known */
  resume (link, "chat:new", "0000000000000000", 0);
  fake_link_expect (link, "subscription.confirmed", "payload.channels.0.recovered", "false", NULL);
  g_assert_cmpint (fake_hub_count (hub, "choir_recoveries", "recovered"), ==, 3);
  g_assert_cmpint (fake_hub_count (hub, "choir_recoveries", "lost"), ==, 4);
  g_assert_cmpuint (choir_session_get_n_subscriptions (fake_link_get_session (link)), ==, 2);
}

/* Old messages are not handed out, nor is a hole hidden */
static void
test_recovery_age (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[namespace chat]\nhistory-age=10s\n");
  g_autoptr (FakeLink) link = fake_link_join (hub, "alice");
  const char *epoch;

  fake_hub_publish (hub, "chat:1", "note", "{}");
  fake_hub_publish (hub, "chat:1", "note", "{}");
  epoch = choir_hub_find_channel (hub->hub, "chat:1")->epoch;
  fake_hub_advance (hub, 6 * SECOND);
  fake_hub_publish (hub, "chat:1", "note", "{}");
  fake_hub_advance (hub, 6 * SECOND);
  resume (link, "chat:1", epoch, 1);
  fake_link_expect (link, "subscription.confirmed", "payload.channels.0.recovered", "false",
                    "payload.channels.0.messages.0.offset", "3", NULL);
  resume (link, "chat:1", epoch, 2);
  fake_link_expect (link, "subscription.confirmed", "payload.channels.0.recovered", "true", NULL);
}

/* Never a part, and never more than the asker's queue can take */
static void
test_recovery_budget (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[protocol]\nmax-queue-bytes=16K\n");
  g_autoptr (FakeLink) link = fake_link_join (hub, "alice");
  g_autoptr (GString) message =
    g_string_new ("{\"type\":\"subscribe\",\"payload\":{\"channels\":[");
  g_autofree char *filler = g_strnfill (400, 'x');
  g_autofree char *payload = g_strdup_printf ("{\"t\":\"%s\"}", filler);
  g_autofree char *answer = NULL;
  g_autofree char *first = NULL, *last = NULL, *newest = NULL;

  for (guint c = 0; c < 10; c++)
    {
      g_autofree char *name = g_strdup_printf ("chat:%u", c);

      for (guint i = 0; i < 4; i++)
        fake_hub_publish (hub, name, "note", payload);
      g_string_append_printf (message, "%s{\"channel\":\"%s\",\"epoch\":\"%s\",\"offset\":0}",
                              c > 0 ? "," : "", name,
                              choir_hub_find_channel (hub->hub, name)->epoch);
    }
  g_string_append (message, "]}}");

  fake_link_say (link, "%s", message->str);
  g_assert_cmpuint (fake_link_get_close_code (link), ==, 0);
  answer = fake_link_take (link);
  g_assert_nonnull (answer);
  g_assert_cmpuint (strlen (answer), <, 8192);
  first = fake_link_read (answer, "payload.channels.0.recovered");
  last = fake_link_read (answer, "payload.channels.9.recovered");
  newest = fake_link_read (answer, "payload.channels.9.offset");
  g_assert_cmpstr (first, ==, "true");
  g_assert_cmpstr (last, ==, "false");
  g_assert_cmpstr (newest, ==, "4");
}

static void
test_history (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[namespace chat]\nhistory-size=6\n");
  g_autoptr (FakeLink) link = fake_link_join (hub, "alice");
  static const struct
  {
    const char *query;
    const char *offsets;
    const char *complete;
  } rows[] = {
    { "", "5 6 7 8 9 10", "true" },
    { ",\"limit\":2", "5 6", "false" },
    { ",\"limit\":0", "", "false" },
    { ",\"limit\":-5", "", "false" },
    { ",\"limit\":6", "5 6 7 8 9 10", "true" },
    { ",\"since\":6,\"limit\":2", "7 8", "false" },
    { ",\"since\":8,\"limit\":2", "9 10", "true" },
    { ",\"since\":10", "", "true" },
    { ",\"since\":99", "", "true" },
    { ",\"since\":-1,\"limit\":1", "5", "false" },
    { ",\"since\":\"7\",\"limit\":1", "5", "false" },
    { ",\"reverse\":true", "10 9 8 7 6 5", "true" },
    { ",\"reverse\":true,\"limit\":2", "10 9", "false" },
    { ",\"reverse\":true,\"since\":9,\"limit\":2", "8 7", "false" },
    { ",\"reverse\":true,\"since\":7,\"limit\":2", "6 5", "true" },
    { ",\"reverse\":true,\"since\":5", "", "true" },
    { ",\"reverse\":true,\"since\":0", "", "true" },
    { ",\"reverse\":true,\"since\":-9007199254740992", "", "true" },
    { ",\"reverse\":true,\"since\":9007199254740992,\"limit\":1", "10", "false" },
  };

  for (guint i = 0; i < 10; i++)
    fake_hub_publish (hub, "chat:1", "note", "{}");

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (GString) found = g_string_new (NULL);
      g_autofree char *answer = NULL;
      g_autofree char *complete = NULL;

      g_test_message ("%s", rows[i].query);
      fake_link_say (link, "{\"type\":\"history\",\"payload\":{\"channel\":\"chat:1\"%s}}",
                     rows[i].query);
      answer = fake_link_take (link);
      complete = fake_link_read (answer, "payload.complete");
      g_assert_cmpstr (complete, ==, rows[i].complete);

      for (guint m = 0;; m++)
        {
          g_autofree char *path = g_strdup_printf ("payload.messages.%u.offset", m);
          g_autofree char *offset = fake_link_read (answer, path);

          if (g_str_equal (offset, "-"))
            break;
          g_string_append_printf (found, "%s%s", m > 0 ? " " : "", offset);
        }
      g_assert_cmpstr (found->str, ==, rows[i].offsets);
    }
}

static void
test_evict (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[server]\nmax-connections-per-user=2\n");
  g_autoptr (FakeLink) first = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) second = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) other = fake_link_join (hub, "bob");
  g_autoptr (FakeLink) third = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) fourth = NULL;

  g_assert_cmpuint (fake_link_get_close_code (first), ==, CHOIR_CLOSE_EVICTED);
  g_assert_cmpuint (fake_link_get_close_code (second), ==, 0);
  g_assert_cmpuint (fake_link_get_close_code (other), ==, 0);

  /* one on its way out is not the oldest any more */
  fourth = fake_link_join (hub, "alice");
  g_assert_cmpuint (fake_link_get_close_code (second), ==, CHOIR_CLOSE_EVICTED);
  g_assert_cmpuint (fake_link_get_close_code (third), ==, 0);
  g_assert_cmpint (fake_hub_count (hub, "choir_evictions", NULL), ==, 2);
  g_assert_cmpuint (choir_hub_get_n_users (hub->hub), ==, 2);
}

/* Contract B's code for the same */
static void
test_evict_netra_spec (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[server]\nmax-connections-per-user=1\n");
  g_autoptr (FakeLink) first = fake_link_open (hub, CHOIR_DIALECT_NETRA_SPEC, "a", NULL, NULL);
  g_autoptr (FakeLink) second = fake_link_open (hub, CHOIR_DIALECT_NETRA_SPEC, "a", NULL, NULL);

  g_assert_cmpuint (fake_link_get_close_code (first), ==, 4008);
  g_assert_cmpuint (fake_link_get_close_code (second), ==, 0);
}

static void
test_reject (void)
{
  g_autoptr (FakeHub) hub =
    fake_hub_new ("[server]\nmax-connections-per-user=1\nper-user-policy=reject\n");
  g_autoptr (FakeLink) first = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) late = fake_link_open (hub, CHOIR_DIALECT_CHOIR, NULL, NULL, NULL);
  g_autofree char *token = fake_hub_mint (hub, "alice", NULL);

  g_assert_cmpint (choir_hub_admit (hub->hub, CHOIR_DIALECT_CHOIR, "alice"), ==,
                   CHOIR_ADMIT_USER_FULL);
  g_assert_cmpint (choir_hub_admit (hub->hub, CHOIR_DIALECT_CHOIR, "bob"), ==, CHOIR_ADMIT_OK);
  g_assert_cmpint (choir_hub_admit (hub->hub, CHOIR_DIALECT_CHOIR, NULL), ==, CHOIR_ADMIT_OK);

  /* one who says later who it is gets no further */
  fake_link_forget (late);
  fake_link_say (late, "{\"type\":\"auth\",\"payload\":{\"token\":\"%s\"}}", token);
  fake_link_expect (late, "error", NULL);
  g_assert_cmpuint (fake_link_get_close_code (late), !=, 0);
  g_assert_cmpuint (fake_link_get_close_code (first), ==, 0);
  g_assert_cmpuint (choir_hub_find_user (hub->hub, "alice")->n_sessions, ==, 1);

  /* one who has been told to go takes nobody's place */
  choir_session_close (fake_link_get_session (first), CHOIR_CLOSE_NORMAL, "done");
  g_assert_cmpint (choir_hub_admit (hub->hub, CHOIR_DIALECT_CHOIR, "alice"), ==, CHOIR_ADMIT_OK);
}

static void
test_capacity (void)
{
  g_autoptr (FakeHub) hub =
    fake_hub_new ("[server]\nmax-connections=3\n[dialect jddb]\nmax-connections=1\n");
  g_autoptr (FakeLink) first = fake_link_open (hub, CHOIR_DIALECT_JDDB, "a", NULL, NULL);
  G_GNUC_UNUSED g_autoptr (FakeLink) second = fake_link_join (hub, "b");
  g_autoptr (FakeLink) third = NULL;

  g_assert_cmpint (choir_hub_admit (hub->hub, CHOIR_DIALECT_JDDB, NULL), ==, CHOIR_ADMIT_FULL);
  g_assert_cmpint (choir_hub_admit (hub->hub, CHOIR_DIALECT_CHOIR, NULL), ==, CHOIR_ADMIT_OK);
  third = fake_link_join (hub, "c");
  g_assert_cmpint (choir_hub_admit (hub->hub, CHOIR_DIALECT_CHOIR, NULL), ==, CHOIR_ADMIT_FULL);
  fake_link_end (first, 1000);
  g_assert_cmpint (choir_hub_admit (hub->hub, CHOIR_DIALECT_JDDB, NULL), ==, CHOIR_ADMIT_OK);
}

static void
test_kick (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) first = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) second = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");

  g_assert_cmpuint (choir_hub_kick_user (hub->hub, "nobody", "x"), ==, 0);
  g_assert_cmpuint (choir_hub_kick_user (hub->hub, "alice", "Out"), ==, 2);
  g_assert_cmpuint (fake_link_get_close_code (first), ==, CHOIR_CLOSE_KICKED);
  g_assert_cmpstr (fake_link_get_close_reason (second), ==, "Out");
  g_assert_cmpuint (fake_link_get_close_code (bob), ==, 0);
}

static void
test_finding (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  FakeLink *links[5];
  g_autofree char *id = NULL;

  for (guint i = 0; i < 5; i++)
    links[i] = fake_link_join (hub, "alice");

  id = g_strdup (choir_link_get_id (CHOIR_LINK (links[0])));
  g_assert_true (choir_hub_find_session (hub->hub, id) == fake_link_get_session (links[0]));
  fake_link_end (links[0], 1000);
  fake_link_end (links[3], 1000);
  g_assert_null (choir_hub_find_session (hub->hub, id));
  g_assert_cmpuint (choir_hub_get_n_sessions (hub->hub), ==, 3);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (choir_session_get_hub_index (choir_hub_get_session (hub->hub, i)), ==, i);

  for (guint i = 0; i < 5; i++)
    g_object_unref (links[i]);
  g_assert_cmpuint (choir_hub_get_n_sessions (hub->hub), ==, 0);
  g_assert_cmpint (fake_hub_count (hub, "websocket_connections", "accepted"), ==, 5);
  g_assert_cmpint (fake_hub_count (hub, "websocket_connections", "closed"), ==, 5);
}

static void
test_channel_limit (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[namespace chat]\nmax-channels=2\n");
  g_autoptr (FakeLink) link = fake_link_join (hub, "alice");

  subscribe (link, "chat:1");
  fake_hub_publish (hub, "chat:2", "note", "{}");
  fake_link_say (link, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"chat:3\"]}}");
  fake_link_expect (link, "subscription.confirmed", "payload.rejected.0.code", "UNAVAILABLE", NULL);
  fake_link_say (link, "{\"type\":\"chat.message\",\"payload\":{\"channel\":\"chat:4\","
                       "\"content\":\"x\"}}");
  fake_link_expect_error (link, "UNAVAILABLE");
  fake_link_say (link, "{\"type\":\"unsubscribe\",\"payload\":{\"channels\":[\"chat:1\"]}}");
  fake_link_expect (link, "subscription.removed", NULL);
  subscribe (link, "chat:3");
}

static void
test_sweep (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[namespace chat]\nhistory-age=40s\n");
  g_autoptr (FakeLink) link = fake_link_join (hub, "alice");

  subscribe (link, "chat:kept");
  fake_hub_publish (hub, "chat:kept", "note", "{}");
  fake_hub_publish (hub, "chat:old", "note", "{}");
  fake_hub_publish (hub, "user:carol", "note", "{}");
  g_assert_cmpuint (choir_hub_get_n_channels (hub->hub), ==, 3);

  fake_hub_advance (hub, 35 * SECOND);
  g_assert_nonnull (choir_hub_find_channel (hub->hub, "chat:old"));
  fake_hub_advance (hub, 60 * SECOND);
  g_assert_null (choir_hub_find_channel (hub->hub, "chat:old"));
  g_assert_nonnull (choir_hub_find_channel (hub->hub, "chat:kept"));
  g_assert_cmpint (fake_hub_count (hub, "choir_channels", NULL), ==, 2);
}

/* Users nobody belongs to are forgotten once their meters are */
static void
test_sweep_users (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[dialect netra-spec]\nrate=2/60s\n");
  g_autoptr (FakeLink) link = fake_link_open (hub, CHOIR_DIALECT_NETRA_SPEC, "alice", NULL, NULL);
  G_GNUC_UNUSED g_autoptr (FakeLink) quiet =
    fake_link_open (hub, CHOIR_DIALECT_NETRA_SPEC, "bob", NULL, NULL);

  fake_link_say (link, "{\"type\":\"ping\"}");
  fake_link_end (link, 1000);
  fake_hub_advance (hub, 35 * SECOND);
  g_assert_nonnull (choir_hub_find_user (hub->hub, "alice"));
  fake_hub_advance (hub, 360 * SECOND);
  g_assert_null (choir_hub_find_user (hub->hub, "alice"));
  g_assert_nonnull (choir_hub_find_user (hub->hub, "bob"));
}

static void
test_reload (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[dialect choir]\nrate=1/1s\nburst-queue=4\n"
                                          "[namespace chat]\nhistory-size=10\n");
  g_autoptr (FakeLink) link = fake_link_join (hub, "alice");
  g_autoptr (GError) error = NULL;

  subscribe (link, "chat:1");
  for (guint i = 0; i < 10; i++)
    fake_hub_publish (hub, "chat:1", "note", "{}");
  fake_link_forget (link);
  fake_link_say (link, "{\"type\":\"ping\"}");
  fake_link_expect_nothing (link);

  /* what waits goes by the new rule, and a log is cut to its new size */
  g_assert_true (fake_hub_reload (hub,
                                  "[dialect choir]\nrate=100/1s\n[namespace chat]\n"
                                  "history-size=3\n[events]\nallowed=new.event\n"
                                  "[protocol]\nmax-queue-bytes=2K\n",
                                  &error));
  g_assert_no_error (error);
  fake_hub_advance (hub, 1050 * 1000);
  fake_link_expect (link, "pong", NULL);
  fake_hub_publish (hub, "chat:1", "note", "{}");
  g_assert_cmpuint (choir_hub_find_channel (hub->hub, "chat:1")->n_posts, ==, 3);
  fake_link_forget (link);
  fake_link_say (link, "{\"type\":\"subscribe\",\"payload\":{\"events\":[\"new.event\","
                       "\"file.ready\"]}}");
  fake_link_expect (link, "subscription.confirmed", "payload.events", "[\"new.event\"]",
                    "payload.rejected.0.event", "file.ready", NULL);
  for (guint i = 0; i < 20; i++)
    fake_hub_publish (hub, "chat:1", "note", "{}");
  g_assert_cmpuint (fake_link_get_close_code (link), ==, CHOIR_CLOSE_SLOW_CONSUMER);
}

static void
test_reload_refused (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[session]\nmax-subscriptions=1\n");
  g_autoptr (GError) error = NULL;

  g_assert_false (fake_hub_reload (hub, "[dialect choir]\nrate=many\n", &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
  g_assert_cmpuint (choir_hub_get_settings (hub->hub)->max_subscriptions, ==, 1);
}

/* A section that comes with a reload holds for channels that are open already */
static void
test_reload_namespace (void)
{
  g_autoptr (FakeHub) hub =
    fake_hub_new ("[namespace]\nsubscribe=authenticated\npublish=authenticated\n");
  g_autoptr (FakeLink) link = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) other = fake_link_join (hub, "bob");
  g_autoptr (GError) error = NULL;

  subscribe (link, "room:1");
  g_assert_true (fake_hub_reload (hub,
                                  "[namespace]\nsubscribe=authenticated\npublish=authenticated\n"
                                  "[namespace room]\nsubscribe=permission\n",
                                  &error));
  fake_link_say (other, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"room:1\"]}}");
  fake_link_expect (other, "subscription.confirmed", "payload.rejected.0.code", "PERMISSION_DENIED",
                    NULL);
  fake_link_end (link, 1000);
  g_assert_cmpuint (choir_hub_get_n_channels (hub->hub), ==, 0);
}

/* The logs of all channels share one budget */
static void
test_history_budget (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[protocol]\nmax-history-bytes=64K\n"
                                          "[namespace chat]\npersist=no\n");
  g_autoptr (FakeLink) link = fake_link_join (hub, "alice");
  g_autofree char *filler = g_strnfill (4000, 'x');
  g_autofree char *payload = g_strdup_printf ("{\"t\":\"%s\"}", filler);
  ChoirChannel *channel;

  for (guint i = 0; i < 60; i++)
    fake_hub_publish (hub, "chat:1", "note", payload);
  channel = choir_hub_find_channel (hub->hub, "chat:1");
  g_assert_cmpuint (channel->n_posts, >, 10);
  g_assert_cmpuint (channel->n_posts, <=, 16);
  g_assert_cmpuint (channel->offset, ==, 60);
  resume (link, "chat:1", channel->epoch, 58);
  fake_link_expect (link, "subscription.confirmed", "payload.channels.0.recovered", "true", NULL);
  resume (link, "chat:1", channel->epoch, 1);
  fake_link_expect (link, "subscription.confirmed", "payload.channels.0.recovered", "false", NULL);
}

/* One channel that takes all of it does not keep the others from having a log */
static void
test_history_fairness (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[protocol]\nmax-history-bytes=64K\n");
  g_autofree char *filler = g_strnfill (4000, 'x');
  g_autofree char *payload = g_strdup_printf ("{\"t\":\"%s\"}", filler);

  for (guint i = 0; i < 60; i++)
    fake_hub_publish (hub, "chat:greedy", "note", payload);

  fake_hub_advance (hub, 200 * 1000);
  for (guint i = 0; i < 5; i++)
    fake_hub_publish (hub, "chat:modest", "note", "{}");

  g_assert_cmpuint (choir_hub_find_channel (hub->hub, "chat:modest")->n_posts, ==, 5);
  g_assert_cmpuint (choir_hub_find_channel (hub->hub, "chat:greedy")->n_posts, >, 3);
}

static void
test_shutdown (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) first = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) second = fake_link_join (hub, "bob");

  choir_hub_shutdown (hub->hub);
  g_assert_cmpuint (fake_link_get_close_code (first), ==, CHOIR_CLOSE_RESTART);
  g_assert_cmpuint (fake_link_get_close_code (second), ==, CHOIR_CLOSE_RESTART);
  g_assert_cmpint (choir_hub_admit (hub->hub, CHOIR_DIALECT_CHOIR, NULL), ==, CHOIR_ADMIT_DRAINING);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, func) g_test_add_func ("/hub/" name, func)
  ADD ("publish", test_publish);
  ADD ("sender", test_sender);
  ADD ("sanitized", test_sanitized);
  ADD ("reserved", test_reserved);
  ADD ("permissions", test_permissions);
  ADD ("foreign-channels", test_foreign_channels);
  ADD ("audiences", test_audiences);
  ADD ("transient", test_transient);
  ADD ("transient-permission", test_transient_permission);
  ADD ("transient-cursor", test_transient_cursor);
  ADD ("recovery", test_recovery);
  ADD ("recovery/age", test_recovery_age);
  ADD ("recovery/budget", test_recovery_budget);
  ADD ("history", test_history);
  ADD ("history/budget", test_history_budget);
  ADD ("evict", test_evict);
  ADD ("evict/netra-spec", test_evict_netra_spec);
  ADD ("reject", test_reject);
  ADD ("capacity", test_capacity);
  ADD ("kick", test_kick);
  ADD ("finding", test_finding);
  ADD ("channel-limit", test_channel_limit);
  ADD ("sweep", test_sweep);
  ADD ("sweep/users", test_sweep_users);
  ADD ("reload", test_reload);
  ADD ("reload/refused", test_reload_refused);
  ADD ("reload/namespace", test_reload_namespace);
  ADD ("history/fairness", test_history_fairness);
  ADD ("shutdown", test_shutdown);

  return g_test_run ();
}
