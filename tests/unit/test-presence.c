/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "fake-link.h"

#include "choir-clock.h"

#include <string.h>

static void
subscribe (FakeLink *link, const char *channel)
{
  fake_link_say (link, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"%s\"]}}", channel);
  fake_link_expect (link, "subscription.confirmed", "payload.channels.0.channel", channel, NULL);
}

static void
test_join_and_leave (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) bob =
    fake_link_open (hub, CHOIR_DIALECT_CHOIR, "bob", "\"name\":\"Bob B.\"", NULL);
  g_autofree char *bob_session = g_strdup (choir_session_get_id (fake_link_get_session (bob)));

  fake_link_forget (bob);
  subscribe (alice, "chat:1");
  fake_link_expect_nothing (alice);
  subscribe (bob, "chat:1");
  fake_link_expect (alice, "presence.joined", "payload.channel", "chat:1", "payload.user_id", "bob",
                    "payload.session_id", bob_session, "payload.name", "Bob B.", "payload.count",
                    "2", NULL);
  /* nobody is told about itself, nor twice */
  fake_link_expect_nothing (bob);
  subscribe (bob, "chat:1");
  fake_link_expect_nothing (alice);

  fake_link_end (bob, 1001);
  fake_link_expect (alice, "presence.left", "payload.session_id", bob_session, "payload.count", "1",
                    NULL);
  /* neither takes an offset */
  g_assert_cmpuint (choir_hub_find_channel (hub->hub, "chat:1")->offset, ==, 0);
}

static void
test_state (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) again = fake_link_join (hub, "alice");
  g_autofree char *answer = NULL;
  g_autofree char *first = NULL, *second = NULL, *hidden = NULL;

  subscribe (alice, "chat:1");
  fake_hub_advance (hub, 5 * G_USEC_PER_SEC);
  subscribe (again, "chat:1");
  fake_link_forget (alice);
  fake_link_say (alice, "{\"type\":\"presence\",\"payload\":{\"channel\":\"chat:1\"}}");
  answer = fake_link_take (alice);
  first = fake_link_read (answer, "payload.members.0.color");
  second = fake_link_read (answer, "payload.members.1.color");
  hidden = fake_link_read (answer, "payload.members.0.since");
  /* stable per user */
  g_assert_cmpstr (first, ==, second);
  g_assert_true (first[0] == '#');
  g_assert_cmpstr (hidden, ==, "2023-11-14T22:13:20.000Z");
  g_assert_nonnull (strstr (answer, "\"count\":2"));
}

static void
test_hidden (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[namespace chat]\npresence=no\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");

  subscribe (alice, "chat:1");
  subscribe (bob, "chat:1");
  fake_link_expect_nothing (alice);
  fake_link_say (alice, "{\"type\":\"presence\",\"payload\":{\"channel\":\"chat:1\"}}");
  fake_link_expect_error (alice, "PERMISSION_DENIED");
}

/* Past the limit joins and leaves are not announced, but can be asked for */
static void
test_limit (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[namespace chat]\npresence-limit=2\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");
  g_autoptr (FakeLink) carol = fake_link_join (hub, "carol");

  subscribe (alice, "chat:1");
  subscribe (bob, "chat:1");
  fake_link_expect (alice, "presence.joined", NULL);
  subscribe (carol, "chat:1");
  fake_link_expect_nothing (alice);
  fake_link_say (alice, "{\"type\":\"presence\",\"payload\":{\"channel\":\"chat:1\"}}");
  fake_link_expect (alice, "presence.state", "payload.count", "3", NULL);
  fake_link_end (carol, 1000);
  fake_link_expect (alice, "presence.left", "payload.count", "2", NULL);
}

/* However many there are, the answer fits the asker's queue */
static void
test_budget (void)
{
  g_autoptr (FakeHub) hub =
    fake_hub_new ("[protocol]\nmax-queue-bytes=8K\n[server]\nmax-connections-per-user=100\n"
                  "[namespace chat]\npresence-limit=0\n");
  g_autofree char *name = g_strnfill (200, 'u');
  g_autoptr (FakeLink) asker = fake_link_join (hub, "alice");
  FakeLink *links[60];
  g_autofree char *answer = NULL;
  g_autofree char *count = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (links); i++)
    {
      links[i] = fake_link_join (hub, name);
      subscribe (links[i], "chat:1");
    }
  subscribe (asker, "chat:1");
  fake_link_say (asker, "{\"type\":\"presence\",\"payload\":{\"channel\":\"chat:1\"}}");
  g_assert_cmpuint (fake_link_get_close_code (asker), ==, 0);
  answer = fake_link_take (asker);
  count = fake_link_read (answer, "payload.count");
  g_assert_cmpstr (count, ==, "61");
  g_assert_cmpuint (strlen (answer), <, 4096);

  for (guint i = 0; i < G_N_ELEMENTS (links); i++)
    g_object_unref (links[i]);
}

/* One who leaves in the middle of a slow member's overflow */
static void
test_overflow (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[protocol]\nmax-queue-bytes=2K\n");
  g_autoptr (FakeLink) slow = fake_link_join (hub, "slow");
  g_autoptr (FakeLink) quick = fake_link_join (hub, "quick");

  subscribe (slow, "chat:1");
  subscribe (quick, "chat:1");
  for (guint i = 0; i < 30; i++)
    {
      fake_link_say (quick, "{\"type\":\"unsubscribe\",\"payload\":{\"channels\":[\"chat:1\"]}}");
      fake_link_forget (quick);
      subscribe (quick, "chat:1");
    }
  g_assert_cmpuint (fake_link_get_close_code (slow), ==, 4008);
  g_assert_cmpuint (fake_link_get_n_overflows (slow), ==, 1);
  g_assert_cmpuint (fake_link_get_close_code (quick), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/presence/join-and-leave", test_join_and_leave);
  g_test_add_func ("/presence/state", test_state);
  g_test_add_func ("/presence/hidden", test_hidden);
  g_test_add_func ("/presence/limit", test_limit);
  g_test_add_func ("/presence/budget", test_budget);
  g_test_add_func ("/presence/overflow", test_overflow);

  return g_test_run ();
}
