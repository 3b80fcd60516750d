/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-user.h"

static ChoirSession *
fake (guint i)
{
  return GUINT_TO_POINTER (i);
}

static void
test_order (void)
{
  ChoirUser *user = choir_user_new ("alice");

  g_assert_cmpstr (user->id, ==, "alice");
  for (guint i = 1; i <= 20; i++)
    choir_user_add (user, fake (i));
  choir_user_remove (user, fake (1));
  choir_user_remove (user, fake (10));
  choir_user_remove (user, fake (20));
  g_assert_cmpuint (user->n_sessions, ==, 17);
  /* oldest first, whatever went */
  g_assert_true (user->sessions[0] == fake (2));
  g_assert_true (user->sessions[7] == fake (9));
  g_assert_true (user->sessions[8] == fake (11));
  g_assert_true (user->sessions[16] == fake (19));
  choir_user_add (user, fake (1));
  g_assert_true (user->sessions[17] == fake (1));
  while (user->n_sessions > 0)
    choir_user_remove (user, user->sessions[user->n_sessions / 2]);
  choir_user_free (user);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/user/order", test_order);

  return g_test_run ();
}
