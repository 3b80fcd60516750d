/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-namespace.h"

static ChoirConfig *
load (const char *const *sets)
{
  ChoirConfig *config = choir_config_new ();
  g_autoptr (GError) error = NULL;

  choir_config_load (config, "/dev/null", NULL, sets, &error);
  g_assert_no_error (error);

  return config;
}

static void
test_lookup (void)
{
  const char *const sets[] = { "namespace.history-size=7", "namespace room.history-size=9",
                               "namespace room.presence-limit=3", NULL };
  g_autoptr (ChoirConfig) config = load (sets);
  g_autoptr (ChoirNamespaceTable) table = choir_namespace_table_new (config);
  ChoirNamespace *room = choir_namespace_table_lookup (table, "room:1");
  ChoirNamespace *other = choir_namespace_table_lookup (table, "nothing:1");
  g_autofree char *long_name = g_strnfill (300, 'x');

  g_assert_cmpuint (room->history_size, ==, 9);
  g_assert_cmpuint (room->presence_limit, ==, 3);
  g_assert_true (choir_namespace_table_lookup (table, "room") == room);
  g_assert_true (choir_namespace_table_lookup (table, "room:a:b") == room);
  g_assert_true (choir_namespace_table_lookup (table, "rooms:1") == other);
  g_assert_true (choir_namespace_table_lookup (table, ":room") == other);
  g_assert_true (choir_namespace_table_lookup (table, long_name) == other);
  g_assert_cmpuint (other->history_size, ==, 7);
  g_assert_false (choir_namespace_table_lookup (table, "user:a")->presence);
  g_assert_cmpint (choir_namespace_table_lookup (table, "all")->subscribe, ==, CHOIR_ACCESS_ANYONE);
}

/* In place: channels point at it */
static void
test_reload (void)
{
  const char *const before[] = { "namespace room.history-size=9", NULL };
  const char *const after[] = { "namespace.history-size=5", NULL };
  g_autoptr (ChoirConfig) old = load (before);
  g_autoptr (ChoirConfig) new = load (after);
  g_autoptr (ChoirNamespaceTable) table = choir_namespace_table_new (old);
  ChoirNamespace *room = choir_namespace_table_lookup (table, "room:1");

  room->n_channels = 4;
  choir_namespace_table_configure (table, new);
  g_assert_true (choir_namespace_table_lookup (table, "room:1") == room);
  g_assert_cmpuint (room->history_size, ==, 5);
  g_assert_cmpuint (room->n_channels, ==, 4);
  room->n_channels = 0;
}

static void
test_policies (void)
{
  static const char json[] = "{\"sub\":\"alice\",\"permissions\":[\"room:7:read\"]}";
  g_autoptr (ChoirClaims) alice = choir_claims_new_from_json (json, -1, NULL);
  g_autoptr (ChoirClaims) guest = choir_claims_new_guest ("guest-1");
  static const struct
  {
    ChoirAccessPolicy policy;
    const char *channel;
    gboolean nobody, guest, alice;
  } rows[] = {
    { CHOIR_ACCESS_ANYONE, "room:1", TRUE, TRUE, TRUE },
    { CHOIR_ACCESS_AUTHENTICATED, "room:1", FALSE, FALSE, TRUE },
    { CHOIR_ACCESS_OWNER, "room:1", FALSE, FALSE, FALSE },
    { CHOIR_ACCESS_OWNER, "room:alice", FALSE, FALSE, TRUE },
    { CHOIR_ACCESS_OWNER, "room:alice:x", FALSE, FALSE, FALSE },
    { CHOIR_ACCESS_OWNER, "alice", FALSE, FALSE, FALSE },
    { CHOIR_ACCESS_OWNER, "session:s1", FALSE, TRUE, TRUE },
    { CHOIR_ACCESS_OWNER, "session:alice", FALSE, FALSE, FALSE },
    { CHOIR_ACCESS_OWNER, "room:guest-1", FALSE, TRUE, FALSE },
    { CHOIR_ACCESS_OWNER, "room:7", FALSE, FALSE, TRUE },
    { CHOIR_ACCESS_PERMISSION, "room:7", FALSE, FALSE, TRUE },
    { CHOIR_ACCESS_PERMISSION, "room:8", FALSE, FALSE, FALSE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      ChoirNamespace ns = { .subscribe = rows[i].policy, .publish = CHOIR_ACCESS_PERMISSION };
      const char *channel = rows[i].channel;

      g_test_message ("row %u", i);
      g_assert_cmpint (choir_namespace_allows (&ns, NULL, "s1", channel, CHOIR_PERMISSION_READ), ==,
                       rows[i].nobody);
      g_assert_cmpint (choir_namespace_allows (&ns, guest, "s1", channel, CHOIR_PERMISSION_READ),
                       ==, rows[i].guest);
      g_assert_cmpint (choir_namespace_allows (&ns, alice, "s1", channel, CHOIR_PERMISSION_READ),
                       ==, rows[i].alice);
      /* reading is not writing */
      g_assert_false (choir_namespace_allows (&ns, alice, "s1", channel, CHOIR_PERMISSION_WRITE));
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/namespace/lookup", test_lookup);
  g_test_add_func ("/namespace/reload", test_reload);
  g_test_add_func ("/namespace/policies", test_policies);

  return g_test_run ();
}
