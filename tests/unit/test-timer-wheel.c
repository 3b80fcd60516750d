/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-clock.h"
#include "choir-timer-wheel.h"

#include <string.h>

#define TICK_US 10000

typedef struct
{
  ChoirTimer timer; /* first, so that it is its owner's address */
  gint64 due_us;
  gint64 fired_us;
  guint n_fired;
  ChoirTimerWheel *wheel;
  ChoirTimer *other;
  guint n_rearm;
} Item;

static gint64
get_now (void)
{
  return choir_clock_monotonic_us ();
}

static void
item_fired (ChoirTimer *timer)
{
  Item *item = (gpointer) timer;

  g_assert_false (choir_timer_is_armed (timer));
  item->n_fired++;
  item->fired_us = get_now ();
}

/* Never early, at most a tick late, whatever is armed, moved and disarmed meanwhile */
static void
test_model (void)
{
  enum
  {
    N = 400
  };
  g_autofree Item *items = g_new0 (Item, N);
  g_autoptr (GRand) rand = g_rand_new_with_seed (7);
  ChoirTimerWheel *wheel;

  choir_clock_freeze (123456789, 0);
  wheel = choir_timer_wheel_new (NULL, TICK_US / 1000);

  for (guint step = 0; step < 20000; step++)
    {
      Item *item = &items[g_rand_int_range (rand, 0, N)];

      if (g_rand_int_range (rand, 0, 4) > 0)
        {
          /* some beyond a round of 1024 ticks */
          const gint64 delay = g_rand_int_range (rand, 0, step % 3 == 0 ? 40000000 : 200000);

          choir_timer_wheel_arm (wheel, &item->timer, delay, item_fired);
          item->due_us = get_now () + delay;
          item->n_fired = 0;
        }
      else
        {
          choir_timer_disarm (&item->timer);
          g_assert_false (choir_timer_is_armed (&item->timer));
          item->due_us = 0;
        }

      choir_clock_advance (g_rand_int_range (rand, 0, TICK_US));
      choir_timer_wheel_advance (wheel);

      for (guint i = 0; i < N && step % 16 == 0; i++)
        {
          if (items[i].due_us == 0)
            continue;

          if (items[i].n_fired > 0)
            {
              g_assert_cmpuint (items[i].n_fired, ==, 1);
              g_assert_cmpint (items[i].fired_us, >=, items[i].due_us);
              /* a tick, and the stride of this test */
              g_assert_cmpint (items[i].fired_us, <, items[i].due_us + 2 * TICK_US);
              g_assert_false (choir_timer_is_armed (&items[i].timer));
            }
          else
            {
              g_assert_true (choir_timer_is_armed (&items[i].timer));
              g_assert_cmpint (get_now (), <, items[i].due_us + TICK_US);
            }
        }
    }

  choir_timer_wheel_free (wheel);
  for (guint i = 0; i < N; i++)
    g_assert_false (choir_timer_is_armed (&items[i].timer));
  choir_clock_thaw ();
}

static void
test_jump (void)
{
  g_autoptr (ChoirTimerWheel) wheel = NULL;
  Item items[50] = { 0 };

  choir_clock_freeze (0, 0);
  wheel = choir_timer_wheel_new (NULL, 10);
  for (guint i = 0; i < G_N_ELEMENTS (items); i++)
    choir_timer_wheel_arm (wheel, &items[i].timer, i * 7 * G_USEC_PER_SEC, item_fired);

  g_assert_cmpuint (choir_timer_wheel_advance (wheel), ==, 0);
  choir_clock_advance (G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC);
  g_assert_cmpuint (choir_timer_wheel_advance (wheel), ==, G_N_ELEMENTS (items));
  g_assert_cmpuint (choir_timer_wheel_advance (wheel), ==, 0);
  choir_clock_thaw ();
}

static void
rearm_fired (ChoirTimer *timer)
{
  Item *item = (gpointer) timer;

  item->n_fired++;
  choir_timer_wheel_arm (item->wheel, timer, 0, rearm_fired);
}

static void
disarm_other_fired (ChoirTimer *timer)
{
  Item *item = (gpointer) timer;

  item->n_fired++;
  choir_timer_disarm (item->other);
}

static void
free_owner_fired (ChoirTimer *timer)
{
  g_free (timer);
}

static void
free_wheel_fired (ChoirTimer *timer)
{
  Item *item = (gpointer) timer;

  item->n_fired++;
  choir_timer_wheel_free (item->wheel);
}

static void
test_callbacks (void)
{
  ChoirTimerWheel *wheel;
  Item again = { 0 }, first = { 0 }, second = { 0 }, last = { 0 }, never = { 0 };
  Item *owned = g_new0 (Item, 1);

  choir_clock_freeze (5, 0);
  wheel = choir_timer_wheel_new (NULL, 10);
  again.wheel = last.wheel = wheel;
  first.other = &second.timer;
  second.other = &first.timer;

  choir_timer_wheel_arm (wheel, &again.timer, 0, rearm_fired);
  choir_timer_wheel_arm (wheel, &first.timer, 0, disarm_other_fired);
  choir_timer_wheel_arm (wheel, &second.timer, 0, disarm_other_fired);
  choir_timer_wheel_arm (wheel, &owned->timer, 0, free_owner_fired);

  choir_clock_advance (TICK_US);
  g_assert_cmpuint (choir_timer_wheel_advance (wheel), ==, 3);
  g_assert_cmpuint (again.n_fired, ==, 1);
  /* those of one tick fire in the order they were armed */
  g_assert_cmpuint (first.n_fired, ==, 1);
  g_assert_cmpuint (second.n_fired, ==, 0);

  choir_clock_advance (TICK_US);
  g_assert_cmpuint (choir_timer_wheel_advance (wheel), ==, 1);
  g_assert_cmpuint (again.n_fired, ==, 2);

  choir_timer_disarm (&again.timer);
  choir_timer_wheel_arm (wheel, &last.timer, 0, free_wheel_fired);
  choir_timer_wheel_arm (wheel, &never.timer, 0, item_fired);
  choir_clock_advance (TICK_US);
  g_assert_cmpuint (choir_timer_wheel_advance (wheel), ==, 1);
  g_assert_cmpuint (last.n_fired, ==, 1);
  g_assert_cmpuint (never.n_fired, ==, 0);
  g_assert_false (choir_timer_is_armed (&never.timer));
  choir_clock_thaw ();
}

static GSource *
find_source (GMainContext *context)
{
  /* the wheel's is the only one here */
  return g_main_context_find_source_by_id (context, 1);
}

static void
test_ready_time (void)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  ChoirTimerWheel *wheel = choir_timer_wheel_new (context, 1);
  GSource *source = find_source (context);
  Item item = { 0 }, far = { 0 };

  g_assert_nonnull (source);
  g_assert_cmpint (g_source_get_ready_time (source), ==, -1);

  choir_timer_wheel_arm (wheel, &far.timer, 3600 * (gint64) G_USEC_PER_SEC, item_fired);
  g_assert_cmpint (g_source_get_ready_time (source), >,
                   g_get_monotonic_time () + 3500 * (gint64) G_USEC_PER_SEC);

  choir_timer_wheel_arm (wheel, &item.timer, 3000, item_fired);
  item.due_us = g_get_monotonic_time () + 2000;
  while (item.n_fired == 0)
    g_main_context_iteration (context, TRUE);
  g_assert_cmpint (item.fired_us, >=, item.due_us);
  g_assert_cmpint (g_source_get_ready_time (source), >,
                   g_get_monotonic_time () + 3500 * (gint64) G_USEC_PER_SEC);

  choir_timer_disarm (&far.timer);
  g_assert_cmpuint (choir_timer_wheel_advance (wheel), ==, 0);
  g_assert_cmpint (g_source_get_ready_time (source), ==, -1);
  choir_timer_wheel_free (wheel);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/timer-wheel/model", test_model);
  g_test_add_func ("/timer-wheel/jump", test_jump);
  g_test_add_func ("/timer-wheel/callbacks", test_callbacks);
  g_test_add_func ("/timer-wheel/ready-time", test_ready_time);

  return g_test_run ();
}
