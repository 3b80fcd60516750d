/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-error.h"
#include "choir-rate-limit.h"

typedef struct
{
  const char *text;
  guint n[2];
  gint64 us[2];
} RuleCase;

static ChoirRateRule *
parse (const char *text)
{
  g_autoptr (GError) error = NULL;
  ChoirRateRule *rule = choir_rate_rule_parse (text, &error);

  g_assert_no_error (error);
  g_assert_nonnull (rule);
  return rule;
}

/* The property itself: taken[i] and taken[i - N] are never less than a window apart */
static void
check_window (GArray *taken, guint n, gint64 window_us)
{
  for (guint i = n; i < taken->len; i++)
    g_assert_cmpint (g_array_index (taken, gint64, i) - g_array_index (taken, gint64, i - n), >=,
                     window_us);
}

static void
run_property (const RuleCase *c, guint32 seed, gint64 start_us)
{
  g_autoptr (ChoirRateRule) rule = parse (c->text);
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  g_autoptr (GArray) taken = g_array_new (FALSE, FALSE, sizeof (gint64));
  ChoirRateMeter meter = { 0 };
  const gint64 longest = choir_rate_rule_get_longest_us (rule);
  gint64 now = start_us;

  for (guint i = 0; i < 20000; i++)
    {
      gint64 wait, peeked;

      /* bursts, a steady stream and pauses */
      if (i % 97 == 0)
        now += (gint64) g_rand_double_range (rand, 0, 2.0 * (double) longest);
      else
        now += g_rand_int_range (rand, 0, (gint32) MIN (longest / 8 + 2, 100000));

      peeked = choir_rate_meter_peek (&meter, rule, now);
      wait = choir_rate_meter_take (&meter, rule, now);
      g_assert_cmpint (wait, ==, peeked);
      g_assert_cmpuint (meter.capacity, <=, choir_rate_rule_get_max_in_longest (rule));

      if (wait == 0)
        g_array_append_val (taken, now);
      else
        {
          /* the promise: a microsecond sooner is too soon, then it is granted */
          g_assert_cmpint (choir_rate_meter_peek (&meter, rule, now + wait - 1), >, 0);
          g_assert_cmpint (choir_rate_meter_peek (&meter, rule, now + wait), ==, 0);
          if (g_rand_boolean (rand))
            now += wait;
        }
    }

  g_assert_cmpuint (taken->len, >, 1000);
  for (guint w = 0; w < 2 && c->n[w] > 0; w++)
    check_window (taken, c->n[w], c->us[w]);

  g_assert_true (choir_rate_meter_trim (&meter, rule, now + longest + 2000));
  g_assert_null (meter.ring);
}

static void
test_property (void)
{
  static const RuleCase cases[] = {
    { "10/1s;300/60s", { 10, 300 }, { 1000000, 60000000 } },
    { "1/1ms", { 1, 0 }, { 1000, 0 } },
    { "3/7ms", { 3, 0 }, { 7000, 0 } },
    { "100/60s", { 100, 0 }, { 60000000, 0 } },
    { "50/1s;70/2s", { 50, 70 }, { 1000000, 2000000 } },
    { "5/100ms;1000/1s", { 5, 0 }, { 100000, 0 } },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      run_property (&cases[i], 1 + i, 1234567);
      /* across the wrap of 32 bits of milliseconds */
      run_property (&cases[i], 100 + i, (G_GINT64_CONSTANT (1) << 32) * 1000 - 500000);
    }
}

/* A refusal that was not needed would be as wrong: a generous bound from the other side */
static void
test_not_too_strict (void)
{
  g_autoptr (ChoirRateRule) rule = parse ("10/1s");
  ChoirRateMeter meter = { 0 };

  for (guint i = 0; i < 10; i++)
    g_assert_cmpint (choir_rate_meter_take (&meter, rule, 5000000), ==, 0);

  g_assert_cmpint (choir_rate_meter_take (&meter, rule, 5000000), ==, 1000000);
  g_assert_cmpint (choir_rate_meter_take (&meter, rule, 5999999), ==, 1);
  for (guint i = 0; i < 10; i++)
    g_assert_cmpint (choir_rate_meter_take (&meter, rule, 6000000), ==, 0);
  g_assert_cmpint (choir_rate_meter_take (&meter, rule, 6000000), >, 0);
  choir_rate_meter_clear (&meter);
}

static void
test_memory (void)
{
  g_autoptr (ChoirRateRule) rule = parse ("300/60s");
  ChoirRateMeter meter = { 0 };
  const gint64 later = 1000000 + 61 * G_USEC_PER_SEC;

  g_assert_cmpuint (sizeof meter, <=, 16);
  g_assert_cmpint (choir_rate_meter_peek (&meter, rule, 1000000), ==, 0);
  g_assert_null (meter.ring);

  g_assert_cmpint (choir_rate_meter_take (&meter, rule, 1000000), ==, 0);
  g_assert_cmpuint (meter.capacity, ==, 4);
  for (guint i = 1; i < 300; i++)
    g_assert_cmpint (choir_rate_meter_take (&meter, rule, 1000000), ==, 0);
  g_assert_cmpuint (meter.capacity, ==, 300);

  g_assert_false (choir_rate_meter_trim (&meter, rule, 1000000));
  g_assert_cmpint (choir_rate_meter_take (&meter, rule, later), ==, 0);
  g_assert_cmpuint (meter.capacity, ==, 4);
  g_assert_true (choir_rate_meter_trim (&meter, rule, later + 61 * G_USEC_PER_SEC));
  g_assert_null (meter.ring);
}

static void
test_rule_changes (void)
{
  g_autoptr (ChoirRateRule) wide = parse ("300/60s");
  g_autoptr (ChoirRateRule) narrow = parse ("3/60s");
  ChoirRateMeter meter = { 0 };
  gint64 now = 1000000;

  for (guint i = 0; i < 200; i++)
    g_assert_cmpint (choir_rate_meter_take (&meter, wide, now), ==, 0);

  g_assert_cmpint (choir_rate_meter_take (&meter, narrow, now), >, 0);
  now += 60 * G_USEC_PER_SEC;
  for (guint i = 0; i < 3; i++)
    g_assert_cmpint (choir_rate_meter_take (&meter, narrow, now), ==, 0);
  g_assert_cmpint (choir_rate_meter_take (&meter, narrow, now), >, 0);
  g_assert_cmpint (choir_rate_meter_take (&meter, wide, now), ==, 0);
  choir_rate_meter_clear (&meter);
}

static void
test_long_idle (void)
{
  g_autoptr (ChoirRateRule) rule = parse ("1/24h");
  ChoirRateMeter meter = { 0 };
  const gint64 day = G_GINT64_CONSTANT (86400) * G_USEC_PER_SEC;

  for (guint days = 2; days < 48; days++)
    {
      choir_rate_meter_clear (&meter);
      g_assert_cmpint (choir_rate_meter_take (&meter, rule, day), ==, 0);
      g_assert_cmpint (choir_rate_meter_take (&meter, rule, (1 + days) * day), ==, 0);
    }
  choir_rate_meter_clear (&meter);
}

static void
test_parse (void)
{
  static const char *const bad[] = { "1",    "/1s",   "1/",      "0/1s", "65536/1s", "-1/1s",
                                     "1/0s", "1/25h", "1/1s/1s", "a/1s", "1/1" };
  g_autoptr (ChoirRateRule) rule = parse (" 300/60s ; 10/1s ;");
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (choir_rate_rule_get_max_in_longest (rule), ==, 300);
  g_assert_cmpint (choir_rate_rule_get_longest_us (rule), ==, 60 * G_USEC_PER_SEC);
  g_assert_null (choir_rate_rule_parse ("", &error));
  g_assert_null (choir_rate_rule_parse (" ; ", &error));
  g_assert_no_error (error);
  g_assert_cmpint (choir_rate_meter_take (NULL, NULL, 0), ==, 0);

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_assert_null (choir_rate_rule_parse (bad[i], &error));
      g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
      g_clear_error (&error);
    }

  g_assert_null (choir_rate_rule_parse ("1/1s;2/2s;3/3s;4/4s;5/5s;6/6s;7/7s;8/8s;9/9s", &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
}

static void
test_limiter (void)
{
  g_autoptr (ChoirRateRule) rule = parse ("2/1s");
  g_autoptr (ChoirRateLimiter) limiter = choir_rate_limiter_new (rule, 3);
  gint64 now = 1000000, wait;

  g_assert_cmpint (choir_rate_limiter_take (limiter, "a", now), ==, 0);
  g_assert_cmpint (choir_rate_limiter_take (limiter, "b", now + 1000), ==, 0);
  g_assert_cmpint (choir_rate_limiter_take (limiter, "c", now + 2000), ==, 0);
  g_assert_cmpint (choir_rate_limiter_take (limiter, "a", now + 3000), ==, 0);
  g_assert_cmpint (choir_rate_limiter_take (limiter, "a", now + 4000), >, 0);

  /* full, nobody idle: refused until the longest idle, "b", is */
  wait = choir_rate_limiter_take (limiter, "d", now + 4000);
  g_assert_cmpint (wait, >, 0);
  g_assert_cmpuint (choir_rate_limiter_get_n_subjects (limiter), ==, 3);
  g_assert_cmpint (choir_rate_limiter_take (limiter, "d", now + 4000 + wait), ==, 0);
  g_assert_cmpuint (choir_rate_limiter_get_n_subjects (limiter), ==, 3);

  now += 1500000;
  g_assert_cmpuint (choir_rate_limiter_sweep (limiter, now), ==, 1);
  g_assert_cmpuint (choir_rate_limiter_sweep (limiter, now + 1000000), ==, 0);

  g_assert_cmpint (choir_rate_limiter_take (limiter, "a", now), ==, 0);
  choir_rate_limiter_set_rule (limiter, NULL);
  g_assert_cmpuint (choir_rate_limiter_get_n_subjects (limiter), ==, 0);
  for (guint i = 0; i < 10; i++)
    g_assert_cmpint (choir_rate_limiter_take (limiter, "a", now), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/rate-limit/property", test_property);
  g_test_add_func ("/rate-limit/not-too-strict", test_not_too_strict);
  g_test_add_func ("/rate-limit/memory", test_memory);
  g_test_add_func ("/rate-limit/rule-changes", test_rule_changes);
  g_test_add_func ("/rate-limit/long-idle", test_long_idle);
  g_test_add_func ("/rate-limit/parse", test_parse);
  g_test_add_func ("/rate-limit/limiter", test_limiter);

  return g_test_run ();
}
