/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "fake-link.h"
#include "store-sync.h"

#include "choir-close-code.h"
#include "choir-observer.h"

/* Writes down what it is told, a line each */
typedef struct
{
  ChoirObserver observer;
  ChoirHub *hub;
  GString *said;
  gboolean leaves; /* with the first thing it is told */
} Witness;

G_GNUC_PRINTF (2, 3)
static void
note (Witness *self, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  g_string_append_vprintf (self->said, format, args);
  va_end (args);
  g_string_append_c (self->said, '\n');

  if (self->leaves)
    choir_hub_remove_observer (self->hub, &self->observer);
}

static void
connected (ChoirSession *session, gpointer user_data)
{
  g_assert_nonnull (choir_session_get_connection_id (session));
  note (user_data, "connected %s", choir_session_get_user_id (session));
}

static void
disconnected (ChoirSession *session, guint close_code, gpointer user_data)
{
  g_assert_nonnull (choir_session_get_connection_id (session));
  note (user_data, "disconnected %s %u", choir_session_get_user_id (session), close_code);
}

static void
received (ChoirSession *session, const ChoirEnvelope *message, gpointer user_data)
{
  note (user_data, "received %s", message->type);
}

static void
published (const ChoirMessage *message,
           const ChoirAudience *audience,
           guint n_recipients,
           gpointer user_data)
{
  note (user_data, "published %s in %s to %u%s", message->type,
        message->channel != NULL ? message->channel : "-", n_recipients,
        audience != NULL ? " picked" : "");
}

static void
answered (ChoirSession *session, const ChoirMessage *message, gpointer user_data)
{
  note (user_data, "answered %s", message->type);
}

static void
overloaded (const char *what, const char *key, const char *value, gpointer user_data)
{
  note (user_data, "overloaded %s %s=%s", what, key != NULL ? key : "", value != NULL ? value : "");
}

static void
drain_progress (guint remaining, guint total, gpointer user_data)
{
  note (user_data, "drain %u of %u", remaining, total);
}

static void
user_blocked (const char *user_id, gint64 until_us, const char *reason, gpointer user_data)
{
  note (user_data, "blocked %s %" G_GINT64_FORMAT " %s", user_id, until_us, reason);
}

static void
user_unblocked (const char *user_id, gpointer user_data)
{
  note (user_data, "unblocked %s", user_id);
}

static const ChoirObserverFuncs funcs = {
  .connected = connected,
  .disconnected = disconnected,
  .received = received,
  .published = published,
  .answered = answered,
  .overloaded = overloaded,
  .drain_progress = drain_progress,
  .user_blocked = user_blocked,
  .user_unblocked = user_unblocked,
};

static Witness *
witness_new (FakeHub *hub)
{
  Witness *self = g_new0 (Witness, 1);

  self->observer.funcs = &funcs;
  self->observer.user_data = self;
  self->hub = hub->hub;
  self->said = g_string_new (NULL);
  choir_hub_add_observer (hub->hub, &self->observer);

  return self;
}

static void
witness_free (Witness *self)
{
  choir_hub_remove_observer (self->hub, &self->observer);
  g_string_free (self->said, TRUE);
  g_free (self);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Witness, witness_free)

static void
expect (Witness *self, const char *said)
{
  g_assert_cmpstr (self->said->str, ==, said);
  g_string_truncate (self->said, 0);
}

static void
test_life (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[session]\nresume-window=0\n");
  g_autoptr (Witness) witness = witness_new (hub);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");

  g_assert_true (g_str_has_prefix (witness->said->str, "connected alice\n"));
  g_string_truncate (witness->said, 0);
  fake_link_end (alice, 1000);
  expect (witness, "disconnected alice 1000\n");
}

/* In this contract a connection is nobody's until a message says so */
static void
test_authenticated_later (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[session]\nresume-window=0\n");
  g_autofree char *token = fake_hub_mint (hub, "alice", NULL);
  g_autoptr (Witness) witness = witness_new (hub);
  g_autoptr (FakeLink) stranger =
    fake_link_open (hub, CHOIR_DIALECT_TRIPSAGE, NULL, NULL, "chat:s1");
  g_autoptr (FakeLink) alice = fake_link_open (hub, CHOIR_DIALECT_TRIPSAGE, NULL, NULL, "chat:s1");

  g_assert_null (strstr (witness->said->str, "connected"));
  fake_link_end (stranger, 1000);
  g_assert_null (strstr (witness->said->str, "connected"));
  fake_link_say (alice, "{\"token\":\"%s\",\"sessionId\":\"s1\"}", token);
  fake_hub_iterate ();

  g_assert_true (g_str_has_prefix (witness->said->str, "received auth\nconnected alice\n"));
  g_string_truncate (witness->said, 0);
  fake_link_end (alice, 1006);
  g_assert_nonnull (strstr (witness->said->str, "disconnected alice 1006\n"));
}

static void
test_messages (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");
  g_autoptr (Witness) witness = NULL;
  g_auto (ChoirAudience) slow = { .keys = CHOIR_AUDIENCE_SLOW };

  fake_link_ask (alice, "subscribe", "{\"channels\":[\"chat:lobby\"]}");
  witness = witness_new (hub);

  fake_link_ask (bob, "ping", "{}");
  expect (witness, "received ping\nanswered pong\n");
  fake_link_ask (bob, "explode", "{}");
  expect (witness, "received explode\nanswered error\n");

  g_assert_cmpuint (fake_hub_publish (hub, "chat:lobby", "note", "{}"), ==, 1);
  expect (witness, "published note in chat:lobby to 1\n");
  g_assert_cmpuint (fake_hub_publish (hub, "chat:attic", "note", "{}"), ==, 0);
  expect (witness, "published note in chat:attic to 0\n");

  g_assert_cmpuint (choir_hub_broadcast (hub->hub, "note", CHOIR_SLICE_LITERAL ("{}"), &slow), ==,
                    2);
  expect (witness, "published note in - to 2 picked\n");
}

static void
test_documents (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_edit (hub, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) bob = fake_link_edit (hub, CHOIR_DIALECT_CHOIR, "bob");
  g_autoptr (Witness) witness = NULL;

  fake_link_open_document (alice, "d1");
  fake_link_open_document (bob, "d1");
  witness = witness_new (hub);
  fake_link_change (alice, "[\"hello\"]");
  fake_hub_iterate ();

  g_assert_nonnull (strstr (witness->said->str, "answered document.ack\n"));
  g_assert_nonnull (strstr (witness->said->str, "published document.change in document:d1 to 2\n"));
}

static void
test_overload (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[session]\nresume-window=0\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (Witness) witness = witness_new (hub);

  fake_link_end (alice, CHOIR_CLOSE_SLOW_CONSUMER);
  expect (witness, "overloaded slow-consumer user=alice\ndisconnected alice 4008\n");
  choir_hub_report_overload (hub->hub, "store", "user", NULL);
  expect (witness, "overloaded store =\n");
  choir_hub_report_blocked (hub->hub, "bob", 7, "spam");
  choir_hub_report_unblocked (hub->hub, "bob");
  expect (witness, "blocked bob 7 spam\nunblocked bob\n");
}

static void
test_blocks (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (Witness) witness = witness_new (hub);
  g_autoptr (GAsyncResult) result = NULL;
  GAsyncResult *saved = NULL;

  fake_hub_ban (hub, CHOIR_BAN_USER, "alice");
  g_assert_true (g_str_has_prefix (witness->said->str, "blocked alice "));
  g_string_truncate (witness->said, 0);
  fake_hub_ban (hub, CHOIR_BAN_TOKEN, "t1");
  expect (witness, "");

  choir_blocklist_lift_async (choir_hub_get_blocklist (hub->hub), CHOIR_BAN_USER, "alice", NULL,
                              store_save_result, &saved);
  result = store_wait (&saved);
  expect (witness, "unblocked alice\n");
}

static void
drained_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(gboolean *) user_data = choir_hub_drain_finish (CHOIR_HUB (source), result, NULL);
}

static void
test_drain (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[session]\nresume-window=0\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");
  g_autoptr (Witness) witness = witness_new (hub);
  gboolean drained = FALSE;

  choir_hub_drain_async (hub->hub, NULL, drained_cb, &drained);
  g_assert_true (g_str_has_suffix (witness->said->str, "drain 2 of 2\n"));
  fake_link_end (alice, 1012);
  g_assert_true (g_str_has_suffix (witness->said->str, "drain 1 of 2\n"));
  fake_link_end (bob, 1012);
  g_assert_true (g_str_has_suffix (witness->said->str, "drain 0 of 2\n"));
  fake_hub_iterate ();
  g_assert_true (drained);
}

/* Several look on; one may leave while it is told */
static void
test_leave (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (Witness) first = witness_new (hub);
  g_autoptr (Witness) second = witness_new (hub);
  g_autoptr (Witness) third = witness_new (hub);

  second->leaves = TRUE;
  choir_hub_report_unblocked (hub->hub, "alice");
  choir_hub_report_unblocked (hub->hub, "bob");
  expect (first, "unblocked alice\nunblocked bob\n");
  expect (second, "unblocked alice\n");
  expect (third, "unblocked alice\nunblocked bob\n");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/observer/life", test_life);
  g_test_add_func ("/observer/authenticated-later", test_authenticated_later);
  g_test_add_func ("/observer/messages", test_messages);
  g_test_add_func ("/observer/documents", test_documents);
  g_test_add_func ("/observer/overload", test_overload);
  g_test_add_func ("/observer/blocks", test_blocks);
  g_test_add_func ("/observer/drain", test_drain);
  g_test_add_func ("/observer/leave", test_leave);

  return g_test_run ();
}
