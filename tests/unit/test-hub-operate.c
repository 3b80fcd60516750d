/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-hub-operate.h"

#include "recovery-fixture.h"

#include "choir-close-code.h"
#include "choir-error.h"

static void
saved_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

static gboolean
finish (Fixture *self, GAsyncResult **saved, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;

  while (*saved == NULL)
    g_main_context_iteration (NULL, TRUE);
  result = g_steal_pointer (saved);

  return choir_hub_subscribe_finish (self->hub->hub, result, error);
}

static gboolean
subscribe (Fixture *self, FakeLink *link, const char *channel, GError **error)
{
  GAsyncResult *saved = NULL;

  choir_hub_subscribe_async (self->hub->hub, fake_link_get_session (link), channel, NULL, saved_cb,
                             &saved);

  return finish (self, &saved, error);
}

static void
refuse (Fixture *self, FakeLink *link, const char *channel, ChoirError code)
{
  g_autoptr (GError) error = NULL;

  g_test_message ("%s", channel);
  g_assert_false (subscribe (self, link, channel, &error));
  g_assert_error (error, CHOIR_ERROR, (int) code);
  fake_link_expect_nothing (link);
}

/* What its token would never allow; it is told as if it had asked, and goes on hearing */
static void
test_subscribe (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");
  g_autofree char *token = fake_hub_mint (self->hub, "alice", NULL);
  g_autoptr (GError) error = NULL;

  fake_link_refuse (link, "publish", "{\"channel\":\"news:1\",\"type\":\"note\"}",
                    "PERMISSION_DENIED");
  g_assert_true (subscribe (self, link, "news:1", &error));
  g_assert_no_error (error);
  fake_link_expect (link, "subscription.confirmed", "payload.channels.0.channel", "news:1",
                    "payload.rejected", "[]", "correlation_id", "-", NULL);
  g_assert_cmpuint (fake_hub_publish (self->hub, "news:1", "note", "{}"), ==, 1);
  fake_link_expect (link, "note", "channel", "news:1", NULL);

  /* a new token takes from it what it has by tokens only */
  fake_link_say (link, "{\"type\":\"auth\",\"payload\":{\"token\":\"%s\"}}", token);
  fake_link_expect (link, "auth.ok", NULL);
  g_assert_cmpuint (fake_hub_publish (self->hub, "news:1", "note", "{}"), ==, 1);
  fake_link_expect (link, "note", NULL);
  /* it may not read what was said before all the same */
  fake_link_refuse (link, "history", "{\"channel\":\"news:1\"}", "PERMISSION_DENIED");

  g_assert_true (
    choir_hub_unsubscribe (self->hub->hub, fake_link_get_session (link), "news:1", &error));
  fake_link_expect (link, "subscription.removed", "payload.channels", "[\"news:1\"]", NULL);
  g_assert_cmpuint (fake_hub_publish (self->hub, "news:1", "note", "{}"), ==, 0);
  g_assert_false (
    choir_hub_unsubscribe (self->hub->hub, fake_link_get_session (link), "news:1", &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_NOT_FOUND);
}

/* Clients know it as an event, in some contracts by no other name */
static void
test_event (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link =
    fake_link_open (self->hub, CHOIR_DIALECT_REVIEWPOINT, "alice", NULL, NULL);

  fake_link_forget (link);
  g_assert_true (subscribe (self, link, "event:upload.progress", NULL));
  fake_link_expect (link, "subscription.confirmed", "data.channels", "[]", "data.events",
                    "[\"upload.progress\"]", NULL);
  g_assert_true (choir_hub_unsubscribe (self->hub->hub, fake_link_get_session (link),
                                        "event:upload.progress", NULL));
  fake_link_expect (link, "subscription.removed", "data.channels", "[]", "data.events",
                    "[\"upload.progress\"]", NULL);
}

static void
test_refusals (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");
  g_autoptr (FakeLink) stranger = fake_link_open (self->hub, CHOIR_DIALECT_CHOIR, NULL, NULL, NULL);
  g_autofree char *own =
    g_strconcat ("session:", choir_session_get_id (fake_link_get_session (link)), NULL);

  fake_link_forget (link);
  fake_link_forget (stranger);
  refuse (self, link, "two words", CHOIR_ERROR_VALIDATION);
  refuse (self, link, "", CHOIR_ERROR_VALIDATION);
  refuse (self, link, "document:1", CHOIR_ERROR_VALIDATION);
  refuse (self, link, "all", CHOIR_ERROR_VALIDATION);
  refuse (self, link, "user:bob", CHOIR_ERROR_VALIDATION);
  refuse (self, link, own, CHOIR_ERROR_VALIDATION);
  refuse (self, stranger, "news:1", CHOIR_ERROR_VALIDATION);

  g_assert_true (subscribe (self, link, "news:1", NULL));
  g_assert_true (subscribe (self, link, "news:2", NULL));
  fake_link_forget (link);
  refuse (self, link, "news:3", CHOIR_ERROR_OVERRUN);
  /* once more is no more */
  g_assert_true (subscribe (self, link, "news:2", NULL));

  choir_session_close (fake_link_get_session (link), CHOIR_CLOSE_KICKED, "");
  fake_link_forget (link);
  refuse (self, link, "news:2", CHOIR_ERROR_NOT_FOUND);
}

/* A channel that has to be read from the store first */
static void
test_slow (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");
  g_autoptr (FakeLink) leaving = fake_link_join (self->hub, "bob");
  GAsyncResult *first = NULL, *second = NULL;
  g_autoptr (GError) error = NULL;

  fake_link_forget (link);
  slow_store_hold (self->store);
  choir_hub_subscribe_async (self->hub->hub, fake_link_get_session (link), "chat:1", NULL, saved_cb,
                             &first);
  choir_hub_subscribe_async (self->hub->hub, fake_link_get_session (leaving), "chat:1", NULL,
                             saved_cb, &second);
  fake_hub_iterate ();
  g_assert_null (first);
  fake_link_expect_nothing (link);
  fake_link_end (leaving, CHOIR_CLOSE_NORMAL);

  while (slow_store_get_n_held (self->store) == 0)
    g_main_context_iteration (NULL, TRUE);
  slow_store_release_all (self->store);
  g_assert_true (finish (self, &first, NULL));
  g_assert_false (finish (self, &second, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_NOT_FOUND);
  fake_link_expect (link, "subscription.confirmed", "payload.channels.0.channel", "chat:1", NULL);
}

/* What a session waits for is not joined any more; the rest of its request is */
static void
test_unsubscribe_early (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_join (self->hub, "alice");
  ChoirSession *session = fake_link_get_session (link);
  GAsyncResult *granted = NULL;
  g_autoptr (GError) error = NULL;

  fake_link_forget (link);
  slow_store_hold (self->store);
  fake_link_say (link,
                 "{\"type\":\"subscribe\",\"payload\":{\"channels\":[{\"channel\":\"chat:1\"},"
                 "{\"channel\":\"chat:2\"}]}}");
  choir_hub_subscribe_async (self->hub->hub, session, "chat:3", NULL, saved_cb, &granted);
  fake_hub_iterate ();
  fake_link_expect_nothing (link);

  g_assert_true (choir_hub_unsubscribe (self->hub->hub, session, "chat:1", &error));
  g_assert_true (choir_hub_unsubscribe (self->hub->hub, session, "chat:3", &error));
  g_assert_no_error (error);
  g_assert_false (choir_hub_unsubscribe (self->hub->hub, session, "chat:1", &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_NOT_FOUND);
  g_clear_error (&error);

  while (granted == NULL)
    {
      slow_store_release_all (self->store);
      g_main_context_iteration (NULL, FALSE);
    }
  g_assert_false (finish (self, &granted, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_PERMISSION_DENIED);
  fake_link_expect (link, "subscription.confirmed", "payload.channels.0.channel", "chat:2",
                    "payload.rejected.0.channel", "chat:1", "payload.rejected.0.code",
                    "PERMISSION_DENIED", NULL);
  fake_link_expect_nothing (link);
  g_assert_cmpuint (choir_session_get_n_subscriptions (session), ==, 1);
}

/* With a store that has documents */
static void
set_up_documents (Fixture *self, gconstpointer data)
{
  self->hub = fake_hub_new (NULL);
}

static void
tear_down_documents (Fixture *self, gconstpointer data)
{
  fake_hub_free (self->hub);
}

static void
close_document (Fixture *self, const char *id, guint expected)
{
  g_autoptr (GError) error = NULL;
  guint n_editors = G_MAXUINT;

  choir_hub_close_document (self->hub->hub, id, "We move", &n_editors, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (n_editors, ==, expected);
}

static void
test_close_document (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) alice = fake_link_edit (self->hub, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) bob = fake_link_edit (self->hub, CHOIR_DIALECT_CHOIR, "bob");
  g_autoptr (GError) error = NULL;
  guint n_editors;

  g_assert_false (choir_hub_close_document (self->hub->hub, "1", "", &n_editors, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_NOT_FOUND);

  fake_link_open_document (alice, "1");
  fake_link_open_document (bob, "1");
  fake_link_forget (alice);
  fake_link_forget (bob);
  /* not stored yet */
  fake_link_say (alice, "{\"type\":\"document.change\",\"payload\":{\"operation\":[\"text\"]}}");
  close_document (self, "1", 2);
  fake_link_expect (bob, "user.presence", "payload.event", "user_left", NULL);
  fake_link_expect (bob, "document.closed", "payload.document_id", "1", "payload.reason", "We move",
                    NULL);
  fake_link_expect_nothing (bob);
  g_assert_cmpuint (choir_session_get_n_subscriptions (fake_link_get_session (alice)), ==, 0);
  while (fake_hub_count_open (self->hub) > 0)
    g_main_context_iteration (NULL, TRUE);

  /* what was on its way when it was closed is in it */
  fake_link_forget (bob);
  fake_link_ask (bob, "document.open", "{\"document_id\":\"1\"}");
  fake_hub_iterate ();
  fake_link_expect (bob, "document.opened", "payload.content", "text", "payload.version", "1",
                    NULL);
}

static void
test_unsubscribe_document (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) alice = fake_link_edit (self->hub, CHOIR_DIALECT_CHOIR, "alice");
  g_autoptr (FakeLink) bob = fake_link_edit (self->hub, CHOIR_DIALECT_CHOIR, "bob");

  fake_link_open_document (alice, "1");
  fake_link_open_document (bob, "1");
  fake_link_forget (alice);
  g_assert_true (
    choir_hub_unsubscribe (self->hub->hub, fake_link_get_session (alice), "document:1", NULL));
  fake_link_expect (alice, "document.closed", "payload.document_id", "1", "payload.reason",
                    "Closed by an administrator", NULL);
  close_document (self, "1", 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, settings, func)                                                                  \
  g_test_add ("/hub-operate/" name, Fixture, settings, recovery_fixture_set_up, func,              \
              recovery_fixture_tear_down)
  ADD ("subscribe", NULL, test_subscribe);
  ADD ("event", NULL, test_event);
  ADD ("refusals", "[session]\nmax-subscriptions=2\n", test_refusals);
  ADD ("slow", NULL, test_slow);
  ADD ("unsubscribe-early", NULL, test_unsubscribe_early);
  g_test_add ("/hub-operate/close-document", Fixture, NULL, set_up_documents, test_close_document,
              tear_down_documents);
  g_test_add ("/hub-operate/unsubscribe-document", Fixture, NULL, set_up_documents,
              test_unsubscribe_document, tear_down_documents);

  return g_test_run ();
}
