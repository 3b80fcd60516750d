/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "fake-link.h"

#include "choir-chat.h"
#include "choir-clock.h"
#include "choir-close-code.h"

#include <string.h>

#define SECOND G_USEC_PER_SEC
#define BEATING "[session]\nresume-window=120s\n"
#define WINDOW "[dialect choir]\nheartbeat-interval=1h\n" BEATING
#define ALL "\"permissions\":[\"*:*:*\"]"

typedef struct
{
  FakeHub *hub;
  FakeLink *link; /* alice's, in room:1, greeted */
  char *id;       /* of its session */
} Fixture;

static FakeLink *
enter (FakeHub *hub, ChoirDialectId dialect, const char *user, const char *client)
{
  FakeLink *link = fake_link_return (hub, dialect, user, ALL, NULL, client);

  fake_link_say (link, "{\"type\":\"subscribe\",\"%s\":{\"channels\":[\"room:1\"]}}",
                 choir_dialect_get_table (choir_dialect_get (dialect))->payload_key);
  fake_hub_iterate ();
  fake_link_forget (link);
  g_assert_cmpuint (choir_session_get_n_subscriptions (fake_link_get_session (link)), ==, 1);

  return link;
}

static void
set_up (Fixture *self, gconstpointer data)
{
  self->hub = fake_hub_new (data);
  self->link = enter (self->hub, CHOIR_DIALECT_CHOIR, "alice", NULL);
  self->id = g_strdup (choir_session_get_id (fake_link_get_session (self->link)));
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  g_clear_object (&self->link);
  fake_hub_free (self->hub);
  g_free (self->id);
}

/* The network is gone, and nobody said goodbye */
static void
lose (Fixture *self)
{
  fake_link_end (self->link, CHOIR_CLOSE_ABNORMAL);
}

static void
publish (Fixture *self, guint n)
{
  g_autofree char *payload = g_strdup_printf ("{\"n\":%u}", n);

  fake_hub_publish (self->hub, "room:1", "note", payload);
}

static void
expect_note (FakeLink *link, guint n)
{
  g_autofree char *text = g_strdup_printf ("%u", n);

  fake_link_expect (link, "note", "payload.n", text, "channel", "room:1", NULL);
}

static FakeLink *
come_back (Fixture *self)
{
  return fake_link_return (self->hub, CHOIR_DIALECT_CHOIR, "alice", ALL, self->id, NULL);
}

static void
expect_resumed (Fixture *self, FakeLink *link)
{
  fake_link_expect (link, "connection.established", "payload.resumed", "true", "payload.session_id",
                    self->id, "payload.connection_id",
                    choir_session_get_connection_id (fake_link_get_session (link)), NULL);
}

static void
expect_new (Fixture *self, FakeLink *link)
{
  g_autofree char *text = fake_link_take (link);
  g_autofree char *resumed = fake_link_read (text, "payload.resumed");
  g_autofree char *id = fake_link_read (text, "payload.session_id");

  g_assert_cmpstr (resumed, ==, "false");
  g_assert_cmpstr (id, !=, self->id);
  fake_link_expect_nothing (link);
}

static ChoirSession *
find (Fixture *self)
{
  return choir_hub_find_by_id (self->hub->hub, self->id);
}

static gint64
count_waiting (Fixture *self)
{
  return fake_hub_count (self->hub, "choir_waiting_sessions", NULL);
}

static gint64
count_ended (Fixture *self, const char *reason)
{
  return fake_hub_count (self->hub, "choir_waits_ended", reason);
}

static void
test_comes_back (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) other = enter (self->hub, CHOIR_DIALECT_CHOIR, "bob", NULL);
  g_autoptr (FakeLink) back = NULL;
  ChoirSession *session = fake_link_get_session (self->link);

  fake_link_forget (self->link);
  publish (self, 1);
  fake_link_forget (self->link);
  publish (self, 2);
  publish (self, 3);
  lose (self);
  g_assert_true (find (self) == session);
  g_assert_true (choir_session_is_waiting (session));
  g_assert_null (choir_session_get_link (session));
  g_assert_null (choir_session_get_connection_id (session));
  publish (self, 4);
  fake_hub_advance (self->hub, 60 * SECOND);
  publish (self, 5);

  back = come_back (self);
  g_assert_true (fake_link_get_session (back) == session);
  g_assert_false (choir_session_is_waiting (session));
  publish (self, 6);
  expect_resumed (self, back);
  for (guint i = 2; i <= 6; i++)
    expect_note (back, i);
  fake_link_expect_nothing (back);
  g_assert_cmpint (fake_hub_count (self->hub, "choir_resumes", "resumed"), ==, 1);
  g_assert_cmpint (count_waiting (self), ==, 0);
  g_assert_cmpint (fake_hub_count (self->hub, "choir_waiting_bytes", NULL), ==, 0);

  /* it is whole: what it says is answered, and it hears what it asks for */
  fake_link_ask (back, "ping", "{}");
  fake_link_expect (back, "pong", NULL);

  /* nobody else has noticed anything */
  for (guint i = 1; i <= 6; i++)
    expect_note (other, i);
  fake_link_forget (back);
  publish (self, 7);
  expect_note (other, 7);
  fake_link_expect_nothing (other);
}

static void
test_figures (Fixture *self, gconstpointer data)
{
  ChoirHub *hub = self->hub->hub;
  g_autofree char *connection =
    g_strdup (choir_session_get_connection_id (fake_link_get_session (self->link)));
  g_autoptr (FakeLink) back = NULL;
  gint64 closed = fake_hub_count (self->hub, "websocket_connections", "closed");

  g_assert_cmpuint (choir_hub_get_n_connections (hub), ==, 1);
  lose (self);
  g_assert_cmpuint (choir_hub_get_n_connections (hub), ==, 0);
  g_assert_cmpuint (choir_hub_get_n_sessions (hub), ==, 1);
  g_assert_cmpuint (choir_hub_get_n_users (hub), ==, 0);
  g_assert_null (choir_hub_find_session (hub, connection));
  g_assert_cmpint (count_waiting (self), ==, 1);
  g_assert_cmpint (fake_hub_count (self->hub, "websocket_active_connections", NULL), ==, 0);
  g_assert_cmpint (fake_hub_count (self->hub, "choir_dialect_connections", "choir"), ==, 0);
  g_assert_cmpint (fake_hub_count (self->hub, "websocket_connections", "closed"), ==, closed + 1);
  g_assert_cmpint (fake_hub_count (self->hub, "choir_reconnects", NULL), ==, 0);

  back = come_back (self);
  expect_resumed (self, back);
  g_assert_cmpuint (choir_hub_get_n_connections (hub), ==, 1);
  g_assert_cmpuint (choir_hub_get_n_sessions (hub), ==, 1);
  g_assert_cmpuint (choir_hub_get_n_users (hub), ==, 1);
  g_assert_cmpint (fake_hub_count (self->hub, "websocket_active_connections", NULL), ==, 1);
  g_assert_cmpint (fake_hub_count (self->hub, "choir_dialect_connections", "choir"), ==, 1);
  g_assert_cmpint (fake_hub_count (self->hub, "websocket_connections", "closed"), ==, closed + 1);
  g_assert_cmpint (fake_hub_count (self->hub, "websocket_connections", "accepted"), ==, 2);
  g_assert_cmpint (fake_hub_count (self->hub, "choir_reconnects", NULL), ==, 1);
}

static void
test_window (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) other = enter (self->hub, CHOIR_DIALECT_CHOIR, "bob", NULL);
  g_autoptr (FakeLink) back = NULL;

  lose (self);
  fake_hub_advance (self->hub, 119 * SECOND);
  fake_link_forget (other);
  g_assert_nonnull (find (self));
  fake_hub_advance (self->hub, 2 * SECOND);
  g_assert_null (find (self));
  g_assert_cmpint (count_ended (self, "window"), ==, 1);

  back = come_back (self);
  expect_new (self, back);
  g_assert_cmpint (fake_hub_count (self->hub, "choir_resumes", "lost"), ==, 1);
}

/* Who says goodbye, or is sent away, does not come back */
static void
test_ends_for_good (Fixture *self, gconstpointer data)
{
  static const guint codes[] = { CHOIR_CLOSE_NORMAL, CHOIR_CLOSE_NO_STATUS,
                                 CHOIR_CLOSE_PROTOCOL_ERROR, CHOIR_CLOSE_SLOW_CONSUMER };

  for (guint i = 0; i < G_N_ELEMENTS (codes); i++)
    {
      g_autoptr (FakeLink) link = fake_link_join (self->hub, "bob");

      fake_link_end (link, codes[i]);
      g_assert_cmpuint (choir_hub_get_n_sessions (self->hub->hub), ==, 1);
    }

  choir_session_close (fake_link_get_session (self->link), CHOIR_CLOSE_KICKED, "Out");
  lose (self);
  g_assert_cmpuint (choir_hub_get_n_sessions (self->hub->hub), ==, 0);
  g_assert_cmpint (count_waiting (self), ==, 0);
}

static void
test_going_away (Fixture *self, gconstpointer data)
{
  fake_link_end (self->link, CHOIR_CLOSE_GOING_AWAY);
  g_assert_cmpint (count_waiting (self), ==, 1);
}

static void
test_unauthenticated (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) nobody = fake_link_open (self->hub, CHOIR_DIALECT_CHOIR, NULL, NULL, NULL);
  g_autoptr (FakeLink) guest = fake_link_open_guest (self->hub, CHOIR_DIALECT_CHOIR, "guest-1");

  fake_link_end (nobody, CHOIR_CLOSE_ABNORMAL);
  fake_link_end (guest, CHOIR_CLOSE_ABNORMAL);
  g_assert_cmpint (count_waiting (self), ==, 0);
}

static void
test_another_user (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) thief = NULL;
  g_autoptr (FakeLink) back = NULL;

  lose (self);
  publish (self, 1);
  thief = fake_link_return (self->hub, CHOIR_DIALECT_CHOIR, "mallory", ALL, self->id, NULL);
  expect_new (self, thief);
  back = come_back (self);
  expect_resumed (self, back);
  expect_note (back, 1);
}

static void
test_another_dialect (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) cbor = NULL;
  g_autoptr (FakeLink) spec = NULL;

  lose (self);
  cbor = fake_link_return (self->hub, CHOIR_DIALECT_CHOIR_CBOR, "alice", ALL, self->id, NULL);
  expect_new (self, cbor);
  spec = fake_link_return (self->hub, CHOIR_DIALECT_NETRA_SPEC, "alice", ALL, self->id, NULL);
  g_assert_true (fake_link_get_session (spec) != find (self));
  g_assert_true (choir_session_is_waiting (find (self)));
}

static void
test_max_waiting (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) second = fake_link_join (self->hub, "bob");
  g_autoptr (FakeLink) third = fake_link_join (self->hub, "carol");

  lose (self);
  fake_link_end (second, CHOIR_CLOSE_ABNORMAL);
  fake_link_end (third, CHOIR_CLOSE_ABNORMAL);
  g_assert_cmpint (count_waiting (self), ==, 2);
  g_assert_cmpuint (choir_hub_get_n_sessions (self->hub->hub), ==, 2);
}

static void
test_max_of_user (Fixture *self, gconstpointer data)
{
  lose (self);
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");

      fake_link_end (link, CHOIR_CLOSE_ABNORMAL);
    }
  g_assert_cmpint (count_waiting (self), ==, 2);
  g_assert_null (find (self));
  g_assert_cmpint (count_ended (self, "full"), ==, 2);
}

/* The one that makes room for it says something as it goes: that waits as well */
static void
test_last_words (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = NULL;
  g_autoptr (FakeLink) back = NULL;

  fake_link_say (self->link, "{\"type\":\"chat.chunk\",\"channel\":\"room:1\",\"payload\":"
                             "{\"message_id\":\"m\",\"content\":\"Hel\"}}");
  lose (self);
  link = enter (self->hub, CHOIR_DIALECT_CHOIR, "alice", NULL);
  g_free (self->id);
  self->id = g_strdup (choir_session_get_id (fake_link_get_session (link)));
  fake_link_end (link, CHOIR_CLOSE_ABNORMAL);
  g_assert_cmpint (count_ended (self, "full"), ==, 1);

  back = come_back (self);
  expect_resumed (self, back);
  fake_link_expect (back, "presence.left", "payload.count", "1", NULL);
  fake_link_expect (back, "chat.chunk", "payload.message_id", "m", "payload.aborted", "true", NULL);
  fake_link_expect_nothing (back);
}

/* A worker that hears of the task that failed because it was lost */
static void
check_own_task (Fixture *self, gconstpointer data, gboolean lost)
{
  g_autoptr (FakeHub) hub = fake_hub_new_without_store (data);
  g_autoptr (FakeLink) link =
    fake_link_open (hub, CHOIR_DIALECT_CHOIR, "robot", "\"roles\":[\"worker\"]", NULL);
  g_autoptr (FakeLink) back = NULL;

  fake_link_ask (link, "task.pull", "{\"kinds\":[\"a\"]}");
  fake_link_ask (link, "task.request", "{\"kind\":\"a\"}");
  fake_hub_iterate ();
  fake_link_forget (link);
  g_free (self->id);
  self->id = g_strdup (choir_session_get_id (fake_link_get_session (link)));
  if (lost)
    fake_link_end (link, CHOIR_CLOSE_ABNORMAL);
  fake_hub_iterate ();
  back =
    fake_link_return (hub, CHOIR_DIALECT_CHOIR, "robot", "\"roles\":[\"worker\"]", self->id, NULL);
  fake_hub_iterate ();
  expect_resumed (self, back);
  fake_link_expect (back, "task.failed", "payload.code", "WORKER_LOST", NULL);
  fake_link_expect_nothing (back);
}

static void
test_own_task (Fixture *self, gconstpointer data)
{
  check_own_task (self, data, TRUE);
  check_own_task (self, data, FALSE);
}

/* What a guest was streaming ends when it turns out to be somebody who is back */
static void
test_guest_streams (Fixture *self, gconstpointer data)
{
  g_autofree char *token = fake_hub_mint (self->hub, "alice", ALL);
  g_autoptr (FakeLink) back = NULL;

  lose (self);
  back = fake_link_open_guest (self->hub, CHOIR_DIALECT_CHOIR, "guest-1");
  fake_link_say (back, "{\"type\":\"chat.chunk\",\"channel\":\"open:1\",\"payload\":"
                       "{\"message_id\":\"m\",\"content\":\"Hel\"}}");
  g_assert_cmpuint (choir_chat_get_n_streams (choir_hub_get_chat (self->hub->hub)), ==, 1);
  fake_link_forget (back);
  fake_link_say (back, "{\"type\":\"auth\",\"payload\":{\"token\":\"%s\",\"session_id\":\"%s\"}}",
                 token, self->id);
  while (fake_link_get_n_frames (back) == 0)
    g_main_context_iteration (NULL, TRUE);
  fake_link_expect (back, "auth.ok", "payload.resumed", "true", NULL);
  g_assert_cmpuint (choir_chat_get_n_streams (choir_hub_get_chat (self->hub->hub)), ==, 0);
}

/* Never a part: one for whom something is missing has no session to come back to */
static void
test_queue_full (Fixture *self, gconstpointer data)
{
  g_autofree char *long_text = g_strnfill (20000, 'x');
  g_autofree char *payload = g_strdup_printf ("{\"text\":\"%s\"}", long_text);
  g_autoptr (FakeLink) back = NULL;

  lose (self);
  for (guint i = 0; i < 3; i++)
    fake_hub_publish (self->hub, "room:1", "note", payload);
  g_assert_nonnull (find (self));
  fake_hub_publish (self->hub, "room:1", "note", payload);
  back = come_back (self);
  expect_new (self, back);
  fake_hub_advance (self->hub, SECOND);
  g_assert_null (find (self));
  g_assert_cmpint (count_ended (self, "full"), ==, 1);
  g_assert_cmpint (fake_hub_count (self->hub, "choir_waiting_bytes", NULL), ==, 0);
}

/* What has waited fills the queue to the brim, and what comes next finds room all the same */
static void
test_full_but_whole (Fixture *self, gconstpointer data)
{
  g_autofree char *long_text = g_strnfill (20000, 'x');
  g_autofree char *payload = g_strdup_printf ("{\"text\":\"%s\"}", long_text);
  g_autoptr (FakeLink) back = NULL;

  lose (self);
  for (guint i = 0; i < 3; i++)
    fake_hub_publish (self->hub, "room:1", "note", payload);
  back = come_back (self);
  for (guint i = 0; i < 2; i++)
    fake_hub_publish (self->hub, "room:1", "note", payload);
  g_assert_cmpuint (fake_link_get_n_overflows (back), ==, 0);
  expect_resumed (self, back);
  for (guint i = 0; i < 5; i++)
    {
      g_autofree char *offset = g_strdup_printf ("%u", i + 1);

      fake_link_expect (back, "note", "payload.text", long_text, "offset", offset, NULL);
    }
  fake_link_expect_nothing (back);
}

static void
test_bytes_of_all (Fixture *self, gconstpointer data)
{
  g_autofree char *long_text = g_strnfill (20000, 'x');
  g_autofree char *payload = g_strdup_printf ("{\"text\":\"%s\"}", long_text);
  g_autoptr (FakeLink) other = enter (self->hub, CHOIR_DIALECT_CHOIR, "bob", NULL);

  lose (self);
  fake_link_end (other, CHOIR_CLOSE_ABNORMAL);
  fake_hub_publish (self->hub, "room:1", "note", payload);
  g_assert_cmpint (count_waiting (self), ==, 2);
  g_assert_cmpint (fake_hub_count (self->hub, "choir_waiting_bytes", NULL), >, 40000);
  fake_hub_publish (self->hub, "room:1", "note", payload);
  fake_hub_advance (self->hub, SECOND);
  g_assert_cmpint (count_waiting (self), ==, 1);
  g_assert_cmpint (fake_hub_count (self->hub, "choir_waiting_bytes", NULL), <, 65536);
}

/* The service thinks it is still connected */
static void
test_take_over (Fixture *self, gconstpointer data)
{
  ChoirSession *session = fake_link_get_session (self->link);
  g_autoptr (FakeLink) back = NULL;

  publish (self, 1);
  fake_link_forget (self->link);
  publish (self, 2);
  publish (self, 3);
  back = come_back (self);
  g_assert_cmpuint (fake_link_get_close_code (self->link), ==, CHOIR_CLOSE_EVICTED);
  g_assert_null (fake_link_get_session (self->link));
  g_assert_true (fake_link_get_session (back) == session);
  fake_link_expect_nothing (self->link);
  publish (self, 4);
  expect_resumed (self, back);
  for (guint i = 2; i <= 4; i++)
    expect_note (back, i);
  fake_link_expect_nothing (back);

  /* what the old one still has to say concerns nobody */
  fake_link_end (self->link, CHOIR_CLOSE_EVICTED);
  g_assert_true (find (self) == session);
  g_assert_cmpuint (choir_hub_get_n_connections (self->hub->hub), ==, 1);
  g_assert_cmpint (fake_hub_count (self->hub, "choir_resumes", "taken-over"), ==, 1);
}

/* With as many connections as a user may have */
static void
test_take_over_at_limit (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) second = fake_link_join (self->hub, "alice");
  g_autoptr (FakeLink) back = come_back (self);

  expect_resumed (self, back);
  g_assert_cmpuint (fake_link_get_close_code (second), ==, 0);
  g_assert_cmpint (fake_hub_count (self->hub, "choir_evictions", NULL), ==, 0);
}

static void
test_return_at_limit (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) second = fake_link_join (self->hub, "alice");
  g_autoptr (FakeLink) third = NULL;
  g_autoptr (FakeLink) back = NULL;

  lose (self);
  third = fake_link_join (self->hub, "alice");
  g_assert_cmpuint (fake_link_get_close_code (second), ==, 0);
  back = come_back (self);
  expect_resumed (self, back);
  g_assert_cmpuint (fake_link_get_close_code (second), ==, CHOIR_CLOSE_EVICTED);
  g_assert_cmpuint (fake_link_get_close_code (third), ==, 0);
  g_assert_cmpuint (fake_link_get_close_code (back), ==, 0);
}

static void
test_token_ends (Fixture *self, gconstpointer data)
{
  g_autofree char *claims = g_strdup_printf (ALL ",\"exp\":%" G_GINT64_FORMAT, FAKE_NOW_S + 60);
  g_autoptr (FakeLink) link = fake_link_open (self->hub, CHOIR_DIALECT_CHOIR, "bob", claims, NULL);

  fake_link_end (link, CHOIR_CLOSE_ABNORMAL);
  g_assert_cmpint (count_waiting (self), ==, 1);
  fake_hub_advance (self->hub, 59 * SECOND);
  g_assert_cmpint (count_waiting (self), ==, 1);
  fake_hub_advance (self->hub, 2 * SECOND);
  g_assert_cmpint (count_waiting (self), ==, 0);
  g_assert_cmpint (count_ended (self, "token"), ==, 1);
}

/* A new token may permit less than the one before */
static void
test_fewer_permissions (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) back = NULL;

  lose (self);
  back = fake_link_return (self->hub, CHOIR_DIALECT_CHOIR, "alice", NULL, self->id, NULL);
  expect_resumed (self, back);
  publish (self, 1);
  fake_link_expect_nothing (back);
  g_assert_cmpuint (choir_session_get_n_subscriptions (find (self)), ==, 0);
}

static void
test_kick (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) back = NULL;

  lose (self);
  g_assert_cmpuint (choir_hub_kick_user (self->hub->hub, "alice", "Out"), ==, 0);
  back = come_back (self);
  expect_new (self, back);
  fake_hub_advance (self->hub, SECOND);
  g_assert_null (find (self));
  g_assert_cmpint (count_ended (self, "closed"), ==, 1);
}

static void
drained_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(gboolean *) user_data = choir_hub_drain_finish (CHOIR_HUB (source), result, NULL);
}

static void
test_drain (Fixture *self, gconstpointer data)
{
  gboolean drained = FALSE;

  lose (self);
  choir_hub_drain_async (self->hub->hub, NULL, drained_cb, &drained);
  fake_hub_iterate ();
  g_assert_true (drained);
  g_assert_cmpint (count_waiting (self), ==, 0);
}

/* No longer where the service leaves itself */
static void
test_lost_while_draining (Fixture *self, gconstpointer data)
{
  gboolean drained = FALSE;

  choir_hub_drain_async (self->hub->hub, NULL, drained_cb, &drained);
  lose (self);
  fake_hub_iterate ();
  g_assert_true (drained);
}

static void
test_by_message (Fixture *self, gconstpointer data)
{
  g_autofree char *token = fake_hub_mint (self->hub, "alice", ALL);
  g_autoptr (FakeLink) back = NULL;

  lose (self);
  publish (self, 1);
  back = fake_link_open (self->hub, CHOIR_DIALECT_CHOIR, NULL, NULL, NULL);
  fake_link_expect (back, "connection.established", "payload.resumed", "false", NULL);
  fake_link_say (back,
                 "[{\"type\":\"auth\",\"correlation_id\":\"a\",\"payload\":{\"token\":\"%s\","
                 "\"session_id\":\"%s\"}},{\"type\":\"ping\",\"payload\":{\"ping_id\":\"p\"}}]",
                 token, self->id);
  while (fake_link_get_n_frames (back) == 0)
    g_main_context_iteration (NULL, TRUE);
  fake_link_expect (back, "auth.ok", "payload.resumed", "true", "payload.session_id", self->id,
                    "correlation_id", "a", NULL);
  expect_note (back, 1);
  /* said before it was known whose session it is, and answered by that */
  fake_link_expect (back, "pong", "payload.ping_id", "p", NULL);
  fake_link_expect_nothing (back);
  g_assert_cmpuint (choir_hub_get_n_sessions (self->hub->hub), ==, 1);
  publish (self, 2);
  expect_note (back, 2);
}

/* A token that is known already is checked at once, in the middle of the batch */
static void
test_by_message_at_once (Fixture *self, gconstpointer data)
{
  g_autofree char *token = fake_hub_mint (self->hub, "alice", ALL);
  G_GNUC_UNUSED g_autoptr (FakeLink) first = NULL;

  lose (self);
  for (guint i = 1; i <= 2; i++)
    {
      g_autoptr (FakeLink) back = fake_link_open (self->hub, CHOIR_DIALECT_CHOIR, NULL, NULL, NULL);

      fake_link_forget (back);
      publish (self, i);
      fake_link_say (back,
                     "[{\"type\":\"auth\",\"payload\":{\"token\":\"%s\",\"session_id\":\"%s\"}},"
                     "{\"type\":\"ping\"},{\"type\":\"ping\"}]",
                     token, self->id);
      while (fake_link_get_n_frames (back) == 0)
        g_main_context_iteration (NULL, TRUE);
      fake_link_expect (back, "auth.ok", "payload.resumed", "true", NULL);
      expect_note (back, i);
      fake_link_expect (back, "pong", NULL);
      fake_link_expect (back, "pong", NULL);
      fake_link_end (back, CHOIR_CLOSE_ABNORMAL);
      g_assert_nonnull (find (self));
    }
}

static void
test_by_client (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) first = enter (self->hub, CHOIR_DIALECT_NETRA, "bob", "tab-1");
  g_autoptr (FakeLink) second = enter (self->hub, CHOIR_DIALECT_NETRA, "bob", "tab-2");
  g_autoptr (FakeLink) nameless = enter (self->hub, CHOIR_DIALECT_NETRA, "bob", NULL);
  ChoirSession *session = fake_link_get_session (first);
  g_autoptr (FakeLink) again = NULL;
  g_autoptr (FakeLink) other = NULL;
  g_autoptr (FakeLink) back = NULL;

  fake_link_end (nameless, CHOIR_CLOSE_ABNORMAL);
  g_assert_cmpint (count_waiting (self), ==, 0);

  /* two windows may well use one name: neither takes the other's place */
  again = fake_link_return (self->hub, CHOIR_DIALECT_NETRA, "bob", ALL, NULL, "tab-1");
  g_assert_true (fake_link_get_session (first) == session);
  g_assert_true (fake_link_get_session (again) != session);

  fake_link_forget (first);
  fake_link_end (first, CHOIR_CLOSE_ABNORMAL);
  fake_link_end (second, CHOIR_CLOSE_ABNORMAL);
  g_assert_cmpint (count_waiting (self), ==, 2);
  publish (self, 1);
  other = fake_link_return (self->hub, CHOIR_DIALECT_NETRA, "bob", ALL, NULL, "tab-3");
  g_assert_true (fake_link_get_session (other) != session);
  back = fake_link_return (self->hub, CHOIR_DIALECT_NETRA, "bob", ALL, NULL, "tab-1");
  g_assert_true (fake_link_get_session (back) == session);
  fake_link_expect (back, "status", "data.status", "connected", "data.resumed", "true",
                    "data.client_id", "tab-1", NULL);
  fake_link_expect (back, "note", "data.n", "1", NULL);
  fake_link_expect_nothing (back);
}

static void
test_by_user (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) older = enter (self->hub, CHOIR_DIALECT_NETRA_SPEC, "bob", NULL);
  g_autoptr (FakeLink) newer = enter (self->hub, CHOIR_DIALECT_NETRA_SPEC, "bob", NULL);
  ChoirSession *first = fake_link_get_session (older);
  ChoirSession *second = fake_link_get_session (newer);
  g_autoptr (FakeLink) one = NULL;
  g_autoptr (FakeLink) two = NULL;
  g_autoptr (FakeLink) three = NULL;

  fake_link_forget (older);
  fake_link_end (newer, CHOIR_CLOSE_ABNORMAL);
  fake_hub_advance (self->hub, SECOND);
  fake_link_end (older, CHOIR_CLOSE_ABNORMAL);
  publish (self, 1);
  one = fake_link_return (self->hub, CHOIR_DIALECT_NETRA_SPEC, "bob", ALL, NULL, NULL);
  two = fake_link_return (self->hub, CHOIR_DIALECT_NETRA_SPEC, "bob", ALL, NULL, NULL);
  three = fake_link_return (self->hub, CHOIR_DIALECT_NETRA_SPEC, "bob", ALL, NULL, NULL);
  g_assert_true (fake_link_get_session (one) == first);
  g_assert_true (fake_link_get_session (two) == second);
  g_assert_true (fake_link_get_session (three) != first && fake_link_get_session (three) != second);
  fake_link_expect (one, "connection_established", "payload.resumed", "true", NULL);
  fake_link_expect (one, "note", "payload.n", "1", NULL);
  fake_link_expect_nothing (one);
}

static void
test_never (Fixture *self, gconstpointer data)
{
  static const ChoirDialectId dialects[] = { CHOIR_DIALECT_JDDB, CHOIR_DIALECT_REVIEWPOINT,
                                             CHOIR_DIALECT_TRIPSAGE };

  for (guint i = 0; i < G_N_ELEMENTS (dialects); i++)
    {
      g_autoptr (FakeLink) link = fake_link_open (self->hub, dialects[i], "bob", ALL, NULL);

      fake_link_end (link, CHOIR_CLOSE_ABNORMAL);
      g_assert_cmpint (count_waiting (self), ==, 0);
    }
}

static void
test_another_end_point (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_open (self->hub, CHOIR_DIALECT_CHOIR, "bob", ALL, "room:1");
  g_autofree char *id = g_strdup (choir_session_get_id (fake_link_get_session (link)));
  g_autoptr (FakeLink) back = NULL;

  fake_link_end (link, CHOIR_CLOSE_ABNORMAL);
  back = fake_link_return (self->hub, CHOIR_DIALECT_CHOIR, "bob", ALL, id, NULL);
  fake_link_expect (back, "connection.established", "payload.resumed", "false", NULL);
}

/* A worker's tasks go to others at once, but its place in everything else stays */
static void
test_quiet (Fixture *self, gconstpointer data)
{
  lose (self);
  fake_hub_advance (self->hub, 100 * SECOND);
  g_assert_cmpuint (choir_session_get_outbox (find (self))->n_frames, ==, 0);
}

static void
test_document (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) editor = fake_link_edit (self->hub, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) other = fake_link_edit (self->hub, CHOIR_DIALECT_CHOIR, "bob");
  g_autofree char *id = g_strdup (choir_session_get_id (fake_link_get_session (editor)));
  g_autoptr (FakeLink) back = NULL;

  fake_link_open_document (editor, "d");
  fake_link_open_document (other, "d");
  fake_link_forget (editor);
  fake_link_write (editor, "[\"one \"]");
  fake_hub_advance (self->hub, SECOND);
  fake_link_forget (other);
  fake_link_end (editor, CHOIR_CLOSE_ABNORMAL);
  fake_hub_advance (self->hub, SECOND);
  fake_link_expect_nothing (other);
  fake_link_write (other, "[4,\"two\"]");

  back = fake_link_return (self->hub, CHOIR_DIALECT_CHOIR, "alice",
                           "\"permissions\":[\"document:*:read\",\"document:*:write\"]", id, NULL);
  fake_link_expect (back, "connection.established", "payload.resumed", "true", NULL);
  fake_link_expect (back, "document.change", "payload.version", "2", NULL);
  fake_link_write (back, "[7,\"!\"]");
  fake_link_expect (other, "document.change", "payload.version", "3", NULL);
}

/* CBOR, and what comes in arrays, is given one by one to a connection that takes no arrays */
static void
test_arrays (Fixture *self, gconstpointer data)
{
  static const ChoirDialectId dialects[] = { CHOIR_DIALECT_CHOIR, CHOIR_DIALECT_CHOIR_CBOR };

  for (guint i = 0; i < G_N_ELEMENTS (dialects); i++)
    {
      g_autoptr (FakeLink) link = enter (self->hub, dialects[i], "bob", NULL);
      ChoirOutbox *outbox = fake_link_get_outbox (link);
      g_autofree char *id = g_strdup (choir_session_get_id (fake_link_get_session (link)));
      g_autoptr (FakeLink) back = NULL;
      ChoirFrame *frames[3];

      for (guint j = 0; j < 3; j++)
        publish (self, j);
      for (guint j = 0; j < 3; j++)
        frames[j] = choir_outbox_get_frame (outbox, j);
      choir_outbox_replace_unsent (outbox, 0, 3, choir_envelope_join (frames, 3));
      publish (self, 3);

      fake_link_end (link, CHOIR_CLOSE_ABNORMAL);
      back = fake_link_return (self->hub, dialects[i], "bob", ALL, id, NULL);
      fake_link_expect (back, "connection.established", "payload.resumed", "true", NULL);
      for (guint j = 0; j <= 3; j++)
        expect_note (back, j);
      fake_link_expect_nothing (back);
    }
}

/* A connection that compresses, and one that has got part of a frame out */
static void
test_compressed (Fixture *self, gconstpointer data)
{
  g_autofree char *long_text = g_strnfill (4000, 'x');
  g_autofree char *payload = g_strdup_printf ("{\"text\":\"%s\"}", long_text);
  ChoirOutbox *outbox = fake_link_get_outbox (self->link);
  g_autoptr (FakeLink) back = NULL;

  outbox->variant += CHOIR_VARIANT_WIDE;
  fake_hub_publish (self->hub, "room:1", "note", payload);
  publish (self, 2);
  g_assert_cmpuint (choir_outbox_get_frame (outbox, 0)->len, <, 1000);
  choir_outbox_consume (outbox, 17);
  lose (self);
  back = come_back (self);
  expect_resumed (self, back);
  fake_link_expect (back, "note", "payload.text", long_text, NULL);
  expect_note (back, 2);
}

/* What only the old connection could have inflated is lost, and that is said */
static void
test_own_window (Fixture *self, gconstpointer data)
{
  g_autofree char *long_text = g_strnfill (4000, 'x');
  g_autofree char *payload = g_strdup_printf ("{\"text\":\"%s\"}", long_text);
  ChoirOutbox *outbox = fake_link_get_outbox (self->link);

  outbox->deflater = choir_deflater_new (12, 4, 3, TRUE);
  fake_hub_publish (self->hub, "room:1", "note", payload);
  lose (self);
  g_assert_null (find (self));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, func, settings)                                                                  \
  g_test_add ("/session-resume/" name, Fixture, settings, set_up, func, tear_down)
  ADD ("comes-back", test_comes_back, WINDOW);
  ADD ("figures", test_figures, WINDOW);
  ADD ("window", test_window, WINDOW);
  ADD ("ends-for-good", test_ends_for_good, WINDOW);
  ADD ("going-away", test_going_away, WINDOW);
  ADD ("unauthenticated", test_unauthenticated, WINDOW);
  ADD ("another-user", test_another_user, WINDOW);
  ADD ("another-dialect", test_another_dialect, WINDOW);
  ADD ("another-end-point", test_another_end_point, WINDOW);
  ADD ("max-waiting", test_max_waiting, WINDOW "max-waiting=2\n");
  ADD ("max-of-user", test_max_of_user, WINDOW "[dialect choir]\nmax-connections-per-user=2\n");
  ADD ("last-words", test_last_words, WINDOW "[dialect choir]\nmax-connections-per-user=1\n");
  ADD ("own-task", test_own_task, WINDOW "[task]\nmax-attempts=1\n");
  ADD ("guest-streams", test_guest_streams, WINDOW "[namespace open]\npublish=anyone\n");
  ADD ("queue-full", test_queue_full, WINDOW "[protocol]\nmax-queue-bytes=64K\n");
  ADD ("full-but-whole", test_full_but_whole, WINDOW "[protocol]\nmax-queue-bytes=64K\n");
  ADD ("bytes-of-all", test_bytes_of_all, WINDOW "max-waiting-bytes=64K\n");
  ADD ("take-over", test_take_over, WINDOW);
  ADD ("take-over-at-limit", test_take_over_at_limit,
       WINDOW "[dialect choir]\nmax-connections-per-user=2\nper-user-policy=reject\n");
  ADD ("return-at-limit", test_return_at_limit,
       WINDOW "[dialect choir]\nmax-connections-per-user=2\nper-user-policy=evict-oldest\n");
  ADD ("token-ends", test_token_ends, WINDOW);
  ADD ("fewer-permissions", test_fewer_permissions, WINDOW);
  ADD ("kick", test_kick, WINDOW);
  ADD ("drain", test_drain, WINDOW);
  ADD ("lost-while-draining", test_lost_while_draining, WINDOW);
  ADD ("by-message", test_by_message, WINDOW);
  ADD ("by-message-at-once", test_by_message_at_once, WINDOW);
  ADD ("by-client", test_by_client, WINDOW);
  ADD ("by-user", test_by_user, WINDOW);
  ADD ("never", test_never, WINDOW);
  ADD ("quiet", test_quiet, BEATING);
  ADD ("document", test_document, WINDOW);
  ADD ("arrays", test_arrays, WINDOW);
  ADD ("compressed", test_compressed, WINDOW);
  ADD ("own-window", test_own_window, WINDOW);

  return g_test_run ();
}
