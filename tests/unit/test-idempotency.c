/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * choir-idempotency.h
 */

#include "config.h"

#include "choir-idempotency.h"

#define SECOND G_USEC_PER_SEC

typedef struct
{
  ChoirNamespace ns;
  ChoirHistoryBudget budget;
  ChoirChannel *a, *b;
  ChoirIdempotency *keys;
} Fixture;

static void
set_up (Fixture *self, gconstpointer data)
{
  self->a = choir_channel_new ("a", &self->ns, &self->budget);
  self->b = choir_channel_new ("b", &self->ns, &self->budget);
  self->keys = choir_idempotency_new (4, 10 * SECOND);
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  choir_idempotency_free (self->keys);
  choir_channel_free (self->a);
  choir_channel_free (self->b);
}

/* A key is one channel's, and one life of it */
static void
test_whose (Fixture *self, gconstpointer data)
{
  g_assert_cmpuint (choir_idempotency_find (self->keys, self->a, "k", 0), ==, 0);
  choir_idempotency_add (self->keys, self->a, "k", 7, 0);
  choir_idempotency_add (self->keys, self->b, "k", 8, 0);
  g_assert_cmpuint (choir_idempotency_find (self->keys, self->a, "k", 0), ==, 7);
  g_assert_cmpuint (choir_idempotency_find (self->keys, self->b, "k", 0), ==, 8);
  g_assert_cmpuint (choir_idempotency_find (self->keys, self->a, "K", 0), ==, 0);

  choir_channel_restart (self->a, "0123456789abcdef", 0);
  g_assert_cmpuint (choir_idempotency_find (self->keys, self->a, "k", 0), ==, 0);
}

/* The first one counts */
static void
test_again (Fixture *self, gconstpointer data)
{
  choir_idempotency_add (self->keys, self->a, "k", 7, 0);
  choir_idempotency_add (self->keys, self->a, "k", 9, 0);
  g_assert_cmpuint (choir_idempotency_find (self->keys, self->a, "k", 0), ==, 7);
  g_assert_cmpuint (choir_idempotency_get_size (self->keys), ==, 1);
}

static void
test_number (Fixture *self, gconstpointer data)
{
  static const char *const names[] = { "1", "2", "3", "4", "5", "6" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      choir_idempotency_add (self->keys, self->a, names[i], i + 1, i);
      g_assert_cmpuint (choir_idempotency_get_size (self->keys), ==, MIN (i + 1, 4));
    }

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    g_assert_cmpuint (choir_idempotency_find (self->keys, self->a, names[i], 6), ==,
                      i < 2 ? 0 : i + 1);
}

static void
test_age (Fixture *self, gconstpointer data)
{
  choir_idempotency_add (self->keys, self->a, "1", 1, 0);
  choir_idempotency_add (self->keys, self->a, "2", 2, 4 * SECOND);
  g_assert_cmpuint (choir_idempotency_find (self->keys, self->a, "1", 10 * SECOND - 1), ==, 1);
  g_assert_cmpuint (choir_idempotency_find (self->keys, self->a, "1", 10 * SECOND), ==, 0);
  g_assert_cmpuint (choir_idempotency_find (self->keys, self->a, "2", 10 * SECOND), ==, 2);
  g_assert_cmpuint (choir_idempotency_get_size (self->keys), ==, 1);

  /* and it may be used anew */
  choir_idempotency_add (self->keys, self->a, "1", 3, 14 * SECOND);
  g_assert_cmpuint (choir_idempotency_get_size (self->keys), ==, 1);
  g_assert_cmpuint (choir_idempotency_find (self->keys, self->a, "1", 15 * SECOND), ==, 3);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add ("/idempotency/whose", Fixture, NULL, set_up, test_whose, tear_down);
  g_test_add ("/idempotency/again", Fixture, NULL, set_up, test_again, tear_down);
  g_test_add ("/idempotency/number", Fixture, NULL, set_up, test_number, tear_down);
  g_test_add ("/idempotency/age", Fixture, NULL, set_up, test_age, tear_down);

  return g_test_run ();
}
