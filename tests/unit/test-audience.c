/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-audience.h"
#include "choir-error.h"
#include "fake-link.h"

static GHashTable *
make_set (const char *name, ...)
{
  GHashTable *set = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  va_list args;

  va_start (args, name);
  for (; name != NULL; name = va_arg (args, const char *))
    g_hash_table_add (set, g_strdup (name));
  va_end (args);

  return set;
}

/* The keys the bus does not have; those it has are tested with its filter */
static void
test_names (void)
{
  const ChoirAudienceSubject ann = { .connection = "c1", .user = "ann" };
  const ChoirAudienceSubject guest = { .connection = "c2", .user = NULL };
  g_auto (ChoirAudience) audience = { 0 };

  g_assert_true (choir_audience_matches (&audience, &ann));
  g_assert_true (choir_audience_matches (&audience, &guest));

  audience.keys = CHOIR_AUDIENCE_USERS;
  g_assert_false (choir_audience_matches (&audience, &ann));
  audience.users = make_set ("ann", "bob", NULL);
  g_assert_true (choir_audience_matches (&audience, &ann));
  g_assert_false (choir_audience_matches (&audience, &guest));

  audience.keys |= CHOIR_AUDIENCE_EXCLUDE_USERS;
  audience.exclude_users = make_set ("bob", NULL);
  g_assert_true (choir_audience_matches (&audience, &ann));
  g_hash_table_add (audience.exclude_users, g_strdup ("ann"));
  g_assert_false (choir_audience_matches (&audience, &ann));

  audience.keys = CHOIR_AUDIENCE_EXCLUDE_USERS;
  g_assert_true (choir_audience_matches (&audience, &guest));

  audience.keys = CHOIR_AUDIENCE_CONNECTION;
  audience.connection = g_strdup ("c1");
  g_assert_true (choir_audience_matches (&audience, &ann));
  g_assert_false (choir_audience_matches (&audience, &guest));

  choir_audience_clear (&audience);
  g_assert_true (choir_audience_matches (&audience, &guest));
}

/* Each of them is found by what it names first, and held against the rest */
static void
test_broadcast (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  FakeLink *ann = fake_link_join (hub, "ann");
  FakeLink *bob = fake_link_join (hub, "bob");
  FakeLink *nobody = fake_link_open (hub, CHOIR_DIALECT_CHOIR, NULL, NULL, NULL);
  g_auto (ChoirAudience) audience = { 0 };

  fake_link_forget (nobody);
  g_assert_cmpuint (choir_hub_broadcast (hub->hub, "a", choir_slice ("{}"), &audience), ==, 2);

  audience.keys = CHOIR_AUDIENCE_CONNECTION;
  audience.connection = g_strdup (choir_session_get_connection_id (fake_link_get_session (nobody)));
  g_assert_cmpuint (choir_hub_broadcast (hub->hub, "b", choir_slice ("{}"), &audience), ==, 0);
  g_free (audience.connection);
  audience.connection = g_strdup ("gone");
  g_assert_cmpuint (choir_hub_broadcast (hub->hub, "b", choir_slice ("{}"), &audience), ==, 0);

  audience.keys = CHOIR_AUDIENCE_USERS | CHOIR_AUDIENCE_DIALECT;
  audience.users = make_set ("ann", "eve", NULL);
  audience.dialect = CHOIR_DIALECT_CHOIR;
  g_assert_cmpuint (choir_hub_broadcast (hub->hub, "c", choir_slice ("{}"), &audience), ==, 1);
  audience.dialect = CHOIR_DIALECT_JDDB;
  g_assert_cmpuint (choir_hub_broadcast (hub->hub, "d", choir_slice ("{}"), &audience), ==, 0);

  fake_link_expect (ann, "a", "channel", "all", NULL);
  fake_link_expect (ann, "c", "channel", "-", NULL);
  fake_link_expect_nothing (ann);
  fake_link_expect (bob, "a", NULL);
  fake_link_expect_nothing (bob);
  fake_link_expect_nothing (nobody);
  g_assert_cmpint (fake_hub_count (hub, "choir_publishes", NULL), ==, 5);
  g_assert_cmpint (fake_hub_count (hub, "choir_deliveries", NULL), ==, 3);

  fake_link_end (ann, 1000);
  fake_link_end (bob, 1000);
  fake_link_end (nobody, 1000);
  g_object_unref (ann);
  g_object_unref (bob);
  g_object_unref (nobody);
}

static void
expect_invalid (FakeHub *hub, const char *type, const char *payload, ChoirError code)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (choir_hub_check_message (hub->hub, type, choir_slice (payload), 16, &error));
  g_assert_error (error, CHOIR_ERROR, (int) code);
}

static void
test_check (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (GError) error = NULL;

  g_assert_true (
    choir_hub_check_message (hub->hub, "a.b", choir_slice ("{\"n\":123456789}"), 16, &error));
  g_assert_no_error (error);
  expect_invalid (hub, "", "{}", CHOIR_ERROR_VALIDATION);
  expect_invalid (hub, "a b", "{}", CHOIR_ERROR_VALIDATION);
  expect_invalid (hub, "a", "", CHOIR_ERROR_VALIDATION);
  expect_invalid (hub, "a", "[]", CHOIR_ERROR_VALIDATION);
  expect_invalid (hub, "a", "{", CHOIR_ERROR_VALIDATION);
  expect_invalid (hub, "a", "{} {}", CHOIR_ERROR_VALIDATION);
  expect_invalid (hub, "a", "{\"n\":12345678901}", CHOIR_ERROR_TOO_LARGE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/audience/names", test_names);
  g_test_add_func ("/audience/broadcast", test_broadcast);
  g_test_add_func ("/audience/check", test_check);

  return g_test_run ();
}
