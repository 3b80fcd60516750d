/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-permissions.h"

static void
test_matches (void)
{
  static const struct
  {
    const char *permission;
    const char *channel;
    gboolean may_read;
    gboolean may_write;
  } rows[] = {
    { "document:42:read", "document:42", TRUE, FALSE },
    { "document:42:write", "document:42", FALSE, TRUE },
    { "document:42:*", "document:42", TRUE, TRUE },
    { "document:*:read", "document:42", TRUE, FALSE },
    { "document:*:read", "document:", TRUE, FALSE },
    { "document:*:read", "document", TRUE, FALSE },
    { "document::read", "document", TRUE, FALSE },
    { "document::read", "document:", TRUE, FALSE },
    { "document::read", "document:4", FALSE, FALSE },
    { "document:42:read", "document:421", FALSE, FALSE },
    { "document:42:read", "document:4", FALSE, FALSE },
    { "document:42:read", "documents:42", FALSE, FALSE },
    { "document:42:read", "doc:42", FALSE, FALSE },
    { "document:42:read", "Document:42", FALSE, FALSE },
    { "document:42:READ", "document:42", FALSE, FALSE },
    { "document:42:readwrite", "document:42", FALSE, FALSE },
    { "document:42:", "document:42", FALSE, FALSE },
    { "document:42", "document:42", FALSE, FALSE },
    { "document:read", "document", FALSE, FALSE },
    { "*:*:*", "anything:at:all", TRUE, TRUE },
    { "*:*:read", "lobby", TRUE, FALSE },
    { "*:42:read", "chat:42", TRUE, FALSE },
    { "*:42:read", "chat:43", FALSE, FALSE },
    { "chat:a:b:read", "chat:a:b", TRUE, FALSE },
    { "chat:a:b:read", "chat:a", FALSE, FALSE },
    { "chat:a:read", "chat:a:read", FALSE, FALSE },
    { "chat:a:read:read", "chat:a:read", TRUE, FALSE },
    { "chat:*:x:read", "chat:y:x", FALSE, FALSE },
    { "chat:4*:read", "chat:42", FALSE, FALSE },
    { "ch*:42:read", "chat:42", FALSE, FALSE },
    { ":42:read", ":42", FALSE, FALSE },
    { ":42:read", "chat:42", FALSE, FALSE },
    { "*:*:*", "", FALSE, FALSE },
    { "", "chat:42", FALSE, FALSE },
    { "*", "chat:42", FALSE, FALSE },
    { "::", "chat:42", FALSE, FALSE },
    { "admin", "chat:42", FALSE, FALSE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_test_message ("%s on %s", rows[i].permission, rows[i].channel);
      g_assert_cmpint (
        choir_permission_matches (rows[i].permission, rows[i].channel, CHOIR_PERMISSION_READ), ==,
        rows[i].may_read);
      g_assert_cmpint (
        choir_permission_matches (rows[i].permission, rows[i].channel, CHOIR_PERMISSION_WRITE), ==,
        rows[i].may_write);
    }
}

static void
test_valid (void)
{
  static const char *const good[] = { "document:42:read", "document:*:write", "*:*:*",
                                      "chat:a:b:c:read",  "lobby::read",      "chat:4*:read" };
  static const char *const bad[] = { "",
                                     ":",
                                     "::",
                                     "::read",
                                     "openid",
                                     "document:42",
                                     "document:42:",
                                     "document:42:delete",
                                     "document:42:read ",
                                     "document:4 2:read",
                                     "doc*:42:read",
                                     "**:42:read",
                                     "document:\x01:read",
                                     "document:\xc3\xa9:read" };
  g_autofree char *longest = g_strnfill (255 - 2, 'x');
  g_autofree char *fits = g_strconcat ("a:", longest, ":write", NULL);
  g_autofree char *too_long = g_strconcat ("ab:", longest, ":write", NULL);

  for (guint i = 0; i < G_N_ELEMENTS (good); i++)
    g_assert_true (choir_permission_is_valid (good[i]));
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_test_message ("%s", bad[i]);
      g_assert_false (choir_permission_is_valid (bad[i]));
    }
  g_assert_true (choir_permission_is_valid (fits));
  g_assert_false (choir_permission_is_valid (too_long));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/permissions/matches", test_matches);
  g_test_add_func ("/permissions/valid", test_valid);
  return g_test_run ();
}
