/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-channel.h"
#include "choir-clock.h"

#define SECOND ((gint64) G_USEC_PER_SEC)

typedef struct
{
  ChoirNamespace ns;
  ChoirHistoryBudget budget;
  ChoirChannel *channel;
} Fixture;

static void
set_up (Fixture *self, gconstpointer data)
{
  self->ns.history_size = 5;
  self->ns.history_age_us = 100 * SECOND;
  self->budget.max_bytes = 1024 * 1024;
  self->channel = choir_channel_new ("chat:1", &self->ns, &self->budget);
  g_assert_cmpuint (self->ns.n_channels, ==, 1);
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  choir_channel_free (self->channel);
  g_assert_cmpuint (self->ns.n_channels, ==, 0);
  g_assert_cmpuint (self->budget.n_bytes, ==, 0);
}

static void
append (Fixture *self, gint64 wall_s, const char *payload)
{
  char id[CHOIR_ID_SIZE] = "";
  ChoirMessage message = {
    .type = "note",
    .payload = choir_slice (payload),
    .id = id,
    .wall_us = wall_s * SECOND,
    .offset = self->channel->offset + 1,
    .user_id = wall_s % 2 == 0 ? "alice" : NULL,
  };

  g_snprintf (id, sizeof id, "id-%" G_GUINT64_FORMAT, message.offset);
  g_assert_cmpuint (choir_channel_append (self->channel, &message, 0), ==, message.offset);
}

static void
assert_log (Fixture *self, guint64 first, guint n)
{
  g_assert_cmpuint (self->channel->n_posts, ==, n);
  for (guint i = 0; i < n; i++)
    {
      ChoirMessage message;
      g_autofree char *id = g_strdup_printf ("id-%" G_GUINT64_FORMAT, first + i);

      choir_post_to_message (choir_channel_get_post (self->channel, i), self->channel, &message);
      g_assert_cmpuint (message.offset, ==, first + i);
      g_assert_cmpstr (message.id, ==, id);
      g_assert_cmpstr (message.channel, ==, "chat:1");
      g_assert_cmpstr (message.type, ==, "note");
      g_assert_true (choir_slice_equals (message.payload, "{}"));
    }
}

static void
test_kinds (Fixture *self, gconstpointer data)
{
  g_assert_cmpint (choir_channel_kind_of ("all"), ==, CHOIR_CHANNEL_ALL);
  g_assert_cmpint (choir_channel_kind_of ("all:1"), ==, CHOIR_CHANNEL_NORMAL);
  g_assert_cmpint (choir_channel_kind_of ("user:a"), ==, CHOIR_CHANNEL_USER);
  g_assert_cmpint (choir_channel_kind_of ("user"), ==, CHOIR_CHANNEL_NORMAL);
  g_assert_cmpint (choir_channel_kind_of ("session:"), ==, CHOIR_CHANNEL_SESSION);
  g_assert_cmpint (choir_channel_kind_of ("users:a"), ==, CHOIR_CHANNEL_NORMAL);
}

static void
test_size (Fixture *self, gconstpointer data)
{
  for (guint i = 0; i < 23; i++)
    append (self, 1000 + i, "{}");
  assert_log (self, 19, 5);

  /* a reload makes it smaller, and larger again */
  self->ns.history_size = 2;
  append (self, 1030, "{}");
  assert_log (self, 23, 2);
  self->ns.history_size = 7;
  for (guint i = 0; i < 9; i++)
    append (self, 1030, "{}");
  assert_log (self, 27, 7);
  self->ns.history_size = 0;
  append (self, 1030, "{}");
  g_assert_cmpuint (choir_channel_trim (self->channel, 1030 * SECOND), ==, 0);
  g_assert_null (self->channel->posts);
  g_assert_cmpuint (self->channel->offset, ==, 34);
}

static void
test_age (Fixture *self, gconstpointer data)
{
  append (self, 1000, "{}");
  append (self, 1050, "{}");
  append (self, 1101, "{}");
  g_assert_cmpuint (choir_channel_trim (self->channel, 1100 * SECOND), ==, 3);
  g_assert_cmpuint (choir_channel_trim (self->channel, 1100 * SECOND + 1), ==, 2);
  assert_log (self, 2, 2);
  g_assert_cmpuint (choir_channel_trim (self->channel, 9000 * SECOND), ==, 0);
  append (self, 9000, "{}");
  assert_log (self, 4, 1);
}

static void
test_first (Fixture *self, gconstpointer data)
{
  g_assert_cmpuint (choir_channel_get_first (self->channel), ==, 1);
  for (guint i = 0; i < 5; i++)
    append (self, 1000, "{}");
  g_assert_cmpuint (choir_channel_get_first (self->channel), ==, 1);
  for (guint i = 0; i < 3; i++)
    append (self, 1000, "{}");
  g_assert_cmpuint (choir_channel_get_first (self->channel), ==, 4);
  choir_channel_trim (self->channel, 1000 * SECOND + self->ns.history_age_us + 1);
  g_assert_cmpuint (choir_channel_get_first (self->channel), ==, 9);
}

/* Whatever the budget does, the log has no hole */
static void
test_budget (Fixture *self, gconstpointer data)
{
  ChoirNamespace ns = { .history_size = 100, .history_age_us = 100 * SECOND };
  ChoirChannel *other = choir_channel_new ("chat:2", &ns, &self->budget);
  ChoirChannel *own = self->channel;
  guint64 newest;

  for (guint i = 0; i < 4; i++)
    append (self, 1000, "{}");
  self->budget.max_bytes = self->budget.n_bytes;
  append (self, 1000, "{}");
  assert_log (self, 2, 4);

  self->channel = other;
  append (self, 1000, "{}");
  g_assert_cmpuint (other->n_posts, ==, 0);
  g_assert_cmpuint (other->offset, ==, 1);
  g_assert_cmpuint (choir_channel_get_first (other), ==, 2);
  self->channel = own;
  newest = own->offset;

  append (self, 1000,
          "{\"this one is a little longer than the others, so two have to go\":[1,2,3,4,"
          "5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]}");
  g_assert_cmpuint (own->n_posts, <, 4);
  g_assert_cmpuint (choir_channel_get_post (own, own->n_posts - 1)->offset, ==, newest + 1);
  g_assert_cmpuint (self->budget.n_bytes, <=, self->budget.max_bytes);

  self->budget.max_bytes = 10;
  append (self, 1000, "{}");
  g_assert_cmpuint (own->n_posts, ==, 0);
  g_assert_cmpuint (self->budget.n_bytes, ==, 0);
  choir_channel_free (other);
}

static void
test_subscribers (Fixture *self, gconstpointer data)
{
  enum
  {
    N = 200
  };
  g_autofree ChoirSubscription *subscriptions = g_new0 (ChoirSubscription, N);
  g_autoptr (GRand) rand = g_rand_new_with_seed (5);
  gboolean in[N] = { FALSE };
  guint n = 0;

  for (guint step = 0; step < 5000; step++)
    {
      guint i = g_rand_int_range (rand, 0, N);

      if (in[i])
        choir_channel_remove (self->channel, &subscriptions[i]);
      else
        choir_channel_add (self->channel, &subscriptions[i]);
      in[i] = !in[i];
      n += in[i] ? 1 : -1;
      g_assert_cmpuint (self->channel->n_subscribers, ==, n);
      g_assert_false (n > 0 && choir_channel_is_disposable (self->channel));
    }
  for (guint i = 0; i < N; i++)
    if (in[i])
      {
        g_assert_true (self->channel->subscribers[subscriptions[i].index] == &subscriptions[i]);
        choir_channel_remove (self->channel, &subscriptions[i]);
      }
  g_assert_cmpuint (self->channel->capacity, <=, 8);
  g_assert_true (choir_channel_is_disposable (self->channel));
  append (self, 1000, "{}");
  g_assert_false (choir_channel_is_disposable (self->channel));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, func) g_test_add ("/channel/" name, Fixture, NULL, set_up, func, tear_down)
  ADD ("kinds", test_kinds);
  ADD ("size", test_size);
  ADD ("age", test_age);
  ADD ("first", test_first);
  ADD ("budget", test_budget);
  ADD ("subscribers", test_subscribers);

  return g_test_run ();
}
