/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "fake-link.h"

#include "choir-chat.h"
#include "choir-clock.h"

#include <string.h>

#define SECOND ((gint64) G_USEC_PER_SEC)

#define SETTINGS "[namespace room]\nsubscribe=authenticated\npublish=authenticated\npresence=no\n"

static void
enter (FakeLink *link, const char *channel)
{
  fake_link_say (link, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"%s\"]}}", channel);
  fake_link_expect (link, "subscription.confirmed", "payload.channels.0.channel", channel, NULL);
}

static FakeLink *
open_with_role (FakeHub *hub, const char *role)
{
  g_autofree char *claims = g_strdup_printf ("\"roles\":[\"%s\"]", role);
  FakeLink *link = fake_link_open (hub, CHOIR_DIALECT_CHOIR, role, claims, NULL);

  fake_link_forget (link);

  return link;
}

/* Only who is no user may speak as another, in whichever way, and however the name is written */
static void
test_role (void)
{
  static const char *const heads[] = {
    "{\"type\":\"chat.message\",\"payload\":{\"channel\":\"room:1\",\"content\":\"x\",",
    "{\"type\":\"publish\",\"payload\":{\"channel\":\"room:1\",\"type\":\"chat.message\","
    "\"payload\":{\"content\":\"x\",",
  };
  static const char *const tails[] = { "}}", "}}}" };
  static const char *const roles[] = {
    "\"role\":\"assistant\"",
    "\"role\":\"system\"",
    "\"r\\u006fle\":\"tool\"",
    "\"role\":\"\\u0073ystem\"",
  };
  static const char *const others[] = { "service", "worker", "admin" };
  g_autoptr (FakeHub) hub = fake_hub_new (SETTINGS);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");

  for (guint form = 0; form < G_N_ELEMENTS (heads); form++)
    {
      for (guint i = 0; i < G_N_ELEMENTS (roles); i++)
        {
          fake_link_say (alice, "%s%s%s", heads[form], roles[i], tails[form]);
          fake_link_expect_error (alice, "PERMISSION_DENIED");
        }

      for (guint i = 0; i < G_N_ELEMENTS (others); i++)
        {
          g_autoptr (FakeLink) other = open_with_role (hub, others[i]);

          enter (other, "room:1");
          fake_link_say (other, "%s%s%s", heads[form], roles[0], tails[form]);
          fake_link_expect (other, "chat.message", "payload.role", "assistant", NULL);
          fake_link_expect (other, "publish.ok", NULL);
        }
    }

  fake_link_refuse (alice, "chat.message",
                    "{\"channel\":\"room:1\",\"content\":\"x\",\"role\":\"god\"}",
                    "VALIDATION_ERROR");
  /* the last of two would be shown */
  fake_link_refuse (alice, "chat.message",
                    "{\"channel\":\"room:1\",\"content\":\"x\",\"role\":\"user\",\"role\":"
                    "\"system\"}",
                    "VALIDATION_ERROR");
}

/* Who speaks can't be claimed, however the name of that is written */
static void
test_sender (void)
{
  static const char *const types[] = { "chat.message", "chat.note", "cursor.move" };
  g_autoptr (FakeHub) hub = fake_hub_new (SETTINGS);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");

  enter (alice, "room:1");
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      g_autofree char *text = NULL;

      fake_link_say (alice,
                     "{\"type\":\"publish\",\"payload\":{\"channel\":\"room:1\",\"type\":\"%s\","
                     "\"payload\":{\"content\":\"x\",\"user\\u005fid\":\"bob\","
                     "\"\\u0073ession_id\":\"s\"}}}",
                     types[i]);
      text = fake_link_take (alice);
      g_assert_nonnull (text);
      g_assert_nonnull (strstr (text, "\"user_id\":\"alice\""));
      g_assert_null (strstr (text, "bob"));
      g_assert_null (strstr (text, "\\u0073"));
      fake_link_expect (alice, "publish.ok", NULL);
    }
}

static void
test_id (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (SETTINGS);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autofree char *made = NULL, *told = NULL, *message = NULL, *answer = NULL;
  char *ids[3];
  g_autofree char *long_id = g_strnfill (129, 'x');
  g_autofree char *too_long =
    g_strdup_printf ("{\"channel\":\"room:1\",\"content\":\"x\",\"message_id\":\"%s\"}", long_id);

  enter (alice, "room:1");
  fake_link_say (alice, "{\"type\":\"chat.message\",\"payload\":{\"channel\":\"room:1\","
                        "\"content\":\"x\",\"message_id\":\"m1\"}}");
  fake_link_expect (alice, "chat.message", "payload.message_id", "m1", "payload.role", "user",
                    NULL);
  fake_link_expect (alice, "publish.ok", "payload.message_id", "m1", NULL);

  fake_link_say (alice, "{\"type\":\"chat.message\",\"payload\":{\"channel\":\"room:1\","
                        "\"content\":\"x\",\"message_id\":null}}");
  message = fake_link_take (alice);
  answer = fake_link_take (alice);
  made = fake_link_read (message, "payload.message_id");
  told = fake_link_read (answer, "payload.message_id");
  g_assert_cmpuint (strlen (made), ==, 36);
  g_assert_cmpstr (made, ==, told);

  /* the same message has the same id, also where the sender gives it none */
  for (guint i = 0; i < 2; i++)
    fake_link_say (alice, "{\"type\":\"chat.message\",\"payload\":{\"channel\":\"room:1\","
                          "\"content\":\"x\",\"idempotency_key\":\"k\"}}");
  for (guint i = 0; i < 3; i++)
    {
      g_autofree char *heard = fake_link_take (alice);

      ids[i] = fake_link_read (heard, "payload.message_id");
      g_assert_cmpuint (strlen (ids[i]), ==, 36);
      g_assert_cmpstr (ids[i], ==, ids[0]);
    }
  fake_link_expect_nothing (alice);

  fake_link_refuse (alice, "chat.message", too_long, "VALIDATION_ERROR");
  fake_link_refuse (alice, "chat.message",
                    "{\"channel\":\"room:1\",\"content\":\"x\",\"message_id\":\"\"}",
                    "VALIDATION_ERROR");
  for (guint i = 0; i < G_N_ELEMENTS (ids); i++)
    g_free (ids[i]);
}

/* References, not contents */
static void
test_attachments (void)
{
  static const char *const good[] = {
    "[]",
    "null",
    ("[{\"url\":\"https://example.com/a.pdf?x=1&y=2\",\"name\":\"a.pdf\",\"type\":"
     "\"application/pdf\",\"size\":120}]"),
    "[{\"url\":\"HTTP://example.com:8080/\"},{\"url\":\"/files/a\"},{\"id\":\"f-1\"}]",
    "[{\"id\":\"f-1\",\"url\":\"/a\"}]",
    "[\"plan.pdf\",\"https://example.com/x\",\"/a/b\"]",
    "[{\"\\u0075rl\":\"https:\\/\\/example.com\\/a\"}]",
  };
  static const char *const bad[] = {
    "{}",
    "\"a\"",
    "[1]",
    "[\"\"]",
    "[null]",
    "[{}]",
    "[{\"name\":\"a\"}]",
    "[{\"url\":\"data:text/html,x\"}]",
    "[{\"url\":\"DaTa:text/html,x\"}]",
    "[{\"url\":\"javascript:alert(1)\"}]",
    "[{\"url\":\"java\\tscript:alert(1)\"}]",
    "[{\"url\":\"\\u006aavascript:alert(1)\"}]",
    "[{\"url\":\" javascript:alert(1)\"}]",
    "[{\"url\":\" https://example.com\"}]",
    "[{\"\\u0075rl\":\"javascript:alert(1)\",\"id\":\"x\"}]",
    "[{\"url\":\"/ok\",\"url\":\"javascript:alert(1)\"}]",
    "[{\"url\":\"//example.com/a\"}]",
    "[{\"url\":\"/\\\\example.com/a\"}]",
    "[{\"url\":\"https:example.com\"}]",
    "[{\"url\":\"https://\"}]",
    "[{\"url\":\"https:///a\"}]",
    "[{\"url\":\"https://exa mple.com/\"}]",
    "[{\"url\":\"https:\\/\\/example.com\\\\@evil.net\"}]",
    "[{\"url\":\"ftp://example.com/a\"}]",
    "[{\"url\":\"file:///etc/passwd\"}]",
    "[{\"url\":\"blob:https://example.com/a\"}]",
    "[{\"url\":\"vbscript:x\"}]",
    "[{\"url\":7}]",
    "[{\"url\":\"\"}]",
    "[{\"id\":\"x\",\"size\":-1}]",
    "[{\"id\":\"x\",\"size\":\"1\"}]",
    "[{\"id\":\"x\",\"data\":\"AAAA\"}]",
    "[\"javascript:alert(1)\"]",
    "[\"data:text/html,x\"]",
    "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]",
    ("[\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\","
     "\"a\",\"a\"]"),
  };
  g_autoptr (FakeHub) hub = fake_hub_new (SETTINGS);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");

  for (guint i = 0; i < G_N_ELEMENTS (good); i++)
    {
      fake_link_say (alice,
                     "{\"type\":\"chat.message\",\"payload\":{\"channel\":\"room:1\",\"content\":"
                     "\"x\",\"attachments\":%s}}",
                     good[i]);
      fake_link_expect (alice, "publish.ok", NULL);
    }

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autofree char *payload =
        g_strdup_printf ("{\"channel\":\"room:1\",\"content\":\"x\",\"attachments\":%s}", bad[i]);

      g_test_message ("%s", bad[i]);
      fake_link_refuse (alice, "chat.message", payload, "VALIDATION_ERROR");
    }
}

static void
test_attachment_length (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (SETTINGS);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autofree char *path = g_strnfill (2047, 'x');

  fake_link_say (alice,
                 "{\"type\":\"chat.message\",\"payload\":{\"channel\":\"room:1\",\"content\":\"x\","
                 "\"attachments\":[{\"url\":\"/%s\"}]}}",
                 path);
  fake_link_expect (alice, "publish.ok", NULL);
  fake_link_say (alice,
                 "{\"type\":\"chat.message\",\"payload\":{\"channel\":\"room:1\",\"content\":\"x\","
                 "\"attachments\":[{\"url\":\"/x%s\"}]}}",
                 path);
  fake_link_expect_error (alice, "VALIDATION_ERROR");
}

/* What holds for the moment is not published for later */
static void
test_published (void)
{
  static const char *const types[] = { "chat.chunk", "chat.typing", "chat.typing.end" };
  g_autoptr (FakeHub) hub = fake_hub_new (SETTINGS);
  g_autoptr (FakeLink) service = open_with_role (hub, "service");

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      fake_link_say (service,
                     "{\"type\":\"publish\",\"payload\":{\"channel\":\"room:1\",\"type\":\"%s\","
                     "\"payload\":{\"message_id\":\"m\",\"content\":\"x\"}}}",
                     types[i]);
      fake_link_expect_error (service, "VALIDATION_ERROR");
    }
}

static void
type (FakeLink *link, const char *more)
{
  fake_link_say (link, "{\"type\":\"chat.typing\",\"payload\":{\"channel\":\"room:1\"%s}}", more);
}

static void
expect_end (FakeLink *link, const char *user_id)
{
  fake_link_expect (link, "chat.typing", "payload.user_id", user_id, "payload.is_typing", "false",
                    "channel", "room:1", "offset", "-", NULL);
}

static void
assert_typing (FakeHub *hub, guint n)
{
  g_assert_cmpuint (choir_chat_get_n_typing (choir_hub_get_chat (hub->hub)), ==, n);
}

static void
test_typing (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (SETTINGS "[chat]\ntyping-timeout=5s\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");

  enter (alice, "room:1");
  enter (bob, "room:1");

  /* nothing to take back yet */
  type (alice, ",\"is_typing\":false");
  fake_link_expect_nothing (bob);

  type (alice, "");
  fake_link_expect (bob, "chat.typing", "payload.user_id", "alice", "payload.session_id",
                    choir_session_get_id (fake_link_get_session (alice)), NULL);
  fake_link_expect_nothing (alice);

  /* the same within a second says nothing new */
  type (alice, ",\"is_typing\":true");
  fake_link_expect_nothing (bob);
  fake_hub_advance (hub, SECOND);
  type (alice, "");
  fake_link_expect (bob, "chat.typing", "payload.user_id", "alice", NULL);

  /* each renews it, told on or not */
  fake_hub_advance (hub, SECOND / 2);
  type (alice, "");
  fake_hub_advance (hub, 9 * SECOND / 2);
  fake_link_expect_nothing (bob);
  fake_hub_advance (hub, SECOND);
  expect_end (bob, "alice");
  assert_typing (hub, 0);

  type (alice, "");
  fake_link_expect (bob, "chat.typing", NULL);
  type (alice, ",\"is_typing\":false");
  expect_end (bob, "alice");
  fake_hub_advance (hub, 10 * SECOND);
  fake_link_expect_nothing (bob);

  fake_link_refuse (alice, "chat.typing", "{\"channel\":\"room:1\",\"is_typing\":1}",
                    "VALIDATION_ERROR");
  fake_link_refuse (alice, "chat.typing", "{\"channel\":\"room:2\"}", "NOT_SUBSCRIBED");
}

/* Who is gone types no more */
static void
test_typing_ends (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (SETTINGS);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");
  g_autoptr (FakeLink) trip = fake_link_open (hub, CHOIR_DIALECT_TRIPSAGE, "t", NULL, "room:1");

  fake_hub_iterate ();
  fake_link_forget (trip);
  enter (alice, "room:1");
  enter (bob, "room:1");

  type (alice, "");
  fake_link_expect (bob, "chat.typing", NULL);
  fake_link_expect (trip, "user_typing", "payload.userId", "alice", NULL);
  fake_link_say (alice, "{\"type\":\"unsubscribe\",\"payload\":{\"channels\":[\"room:1\"]}}");
  expect_end (bob, "alice");
  /* in its contract every user_typing is somebody who types */
  fake_link_expect_nothing (trip);

  fake_link_forget (alice);
  enter (alice, "room:1");
  type (alice, "");
  fake_link_expect (bob, "chat.typing", NULL);
  fake_link_end (alice, 1000);
  expect_end (bob, "alice");
  assert_typing (hub, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/chat/role", test_role);
  g_test_add_func ("/chat/sender", test_sender);
  g_test_add_func ("/chat/id", test_id);
  g_test_add_func ("/chat/attachments", test_attachments);
  g_test_add_func ("/chat/attachment-length", test_attachment_length);
  g_test_add_func ("/chat/published", test_published);
  g_test_add_func ("/chat/typing", test_typing);
  g_test_add_func ("/chat/typing-ends", test_typing_ends);

  return g_test_run ();
}
