/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <math.h>
#include <string.h>

#include "choir-counters.h"

static const char *const by_type[] = { "type", "direction", NULL };

static void
test_openmetrics (void)
{
  static const double bounds[] = { 0.1, 1, 2.5 };
  g_autoptr (ChoirCounters) counters = choir_counters_new ();
  g_autoptr (GString) out = g_string_new (NULL);
  ChoirCounterFamily *messages =
    choir_counters_add (counters, CHOIR_COUNTER, "messages", NULL, "Messages.", by_type);
  ChoirCounterFamily *latency = choir_counters_add_histogram (
    counters, "latency_seconds", "seconds", "A \"time\"\nwith \\.", NULL, bounds, 3);
  const char *const labels[] = { "a\"b\\c\nd", "in", NULL };
  ChoirHistogram *histogram = choir_counter_family_get_histogram (latency, NULL);

  choir_counters_add (counters, CHOIR_GAUGE, "open", NULL, "Open.", NULL);
  *choir_counters_get_cell (counters, "open", NULL) = -2;
  *choir_counter_family_get_cell (messages, labels) += 3;
  choir_histogram_record (histogram, 0.1);
  choir_histogram_record_n (histogram, 2, 2);
  choir_histogram_record (histogram, 99);

  choir_counters_write_text (counters, CHOIR_COUNTERS_OPENMETRICS, out);
  g_assert_cmpstr (out->str, ==,
                   "# TYPE messages counter\n"
                   "# HELP messages Messages.\n"
                   "messages_total{type=\"a\\\"b\\\\c\\nd\",direction=\"in\"} 3\n"
                   "# TYPE latency_seconds histogram\n"
                   "# UNIT latency_seconds seconds\n"
                   "# HELP latency_seconds A \\\"time\\\"\\nwith \\\\.\n"
                   "latency_seconds_bucket{le=\"0.1\"} 1\n"
                   "latency_seconds_bucket{le=\"1.0\"} 1\n"
                   "latency_seconds_bucket{le=\"2.5\"} 3\n"
                   "latency_seconds_bucket{le=\"+Inf\"} 4\n"
                   "latency_seconds_count 4\n"
                   "latency_seconds_sum 103.1\n"
                   "# TYPE open gauge\n"
                   "# HELP open Open.\n"
                   "open -2\n"
                   "# EOF\n");

  g_string_truncate (out, 0);
  choir_counters_write_text (counters, CHOIR_COUNTERS_PROMETHEUS, out);
  g_assert_true (g_str_has_prefix (out->str, "# TYPE messages_total counter\n"
                                             "# HELP messages_total Messages.\n"
                                             "messages_total{type="));
  g_assert_nonnull (strstr (out->str, "\n# TYPE latency_seconds histogram\n"
                                      "# HELP latency_seconds A "));
  g_assert_true (g_str_has_suffix (out->str, "\n# HELP open Open.\nopen -2\n"));
}

static void
test_same (void)
{
  g_autoptr (ChoirCounters) counters = choir_counters_new ();
  ChoirCounterFamily *family =
    choir_counters_add (counters, CHOIR_COUNTER, "x", NULL, "X.", by_type);
  const char *const first[] = { "a", "b,c", NULL };
  const char *const second[] = { "a,b", "c", NULL };
  const char *const short_list[] = { "a", NULL };
  gint64 *cell = choir_counter_family_get_cell (family, first);

  g_assert_true (family == choir_counters_add (counters, CHOIR_COUNTER, "x", NULL, "X.", by_type));
  g_assert_true (cell == choir_counter_family_get_cell (family, first));
  g_assert_true (cell != choir_counter_family_get_cell (family, second));
  g_assert_nonnull (choir_counter_family_get_cell (family, short_list));
}

/* A client that makes up label values gets one cell for all that is past the bound */
static void
test_bounded (void)
{
  static const char *const label[] = { "type", NULL };
  g_autoptr (ChoirCounters) counters = choir_counters_new ();
  g_autoptr (GString) out = g_string_new (NULL);
  gint64 *other = NULL;
  guint n_lines = 0;

  choir_counters_add (counters, CHOIR_COUNTER, "x", NULL, "X.", label);

  for (guint i = 0; i < 2 * CHOIR_COUNTERS_CELLS_MAX; i++)
    {
      g_autofree char *value = g_strdup_printf ("v%u", i);
      gint64 *cell = choir_counters_get_cell (counters, "x", value);

      (*cell)++;
      if (i >= CHOIR_COUNTERS_CELLS_MAX)
        {
          g_assert_true (other == NULL || other == cell);
          other = cell;
        }
    }

  g_assert_cmpint (*other, ==, CHOIR_COUNTERS_CELLS_MAX + 1);
  g_assert_true (other == choir_counters_get_cell (counters, "x", "other"));
  choir_counters_write_text (counters, CHOIR_COUNTERS_OPENMETRICS, out);
  for (const char *at = out->str; (at = strstr (at, "x_total{")) != NULL; at++)
    n_lines++;
  g_assert_cmpuint (n_lines, ==, CHOIR_COUNTERS_CELLS_MAX);
}

static void
test_histogram (void)
{
  static const double bounds[] = { 10, 20, 30 };
  g_autoptr (ChoirCounters) counters = choir_counters_new ();
  ChoirHistogram *h = choir_counter_family_get_histogram (
    choir_counters_add_histogram (counters, "h", NULL, "H.", NULL, bounds, 3), NULL);

  g_assert_cmpfloat_with_epsilon (choir_histogram_get_quantile (h, 0.5), 0, 1e-9);
  choir_histogram_record_n (h, 5, 50);
  choir_histogram_record_n (h, 15, 50);
  choir_histogram_record (h, (double) NAN);
  g_assert_cmpuint (choir_histogram_get_count (h), ==, 100);
  g_assert_cmpfloat_with_epsilon (choir_histogram_get_sum (h), 1000, 1e-9);
  g_assert_cmpfloat_with_epsilon (choir_histogram_get_quantile (h, 0.5), 10, 1e-9);
  g_assert_cmpfloat_with_epsilon (choir_histogram_get_quantile (h, 0.75), 15, 1e-9);
  choir_histogram_record_n (h, 1000, 900);
  g_assert_cmpfloat_with_epsilon (choir_histogram_get_quantile (h, 0.99), 30, 1e-9);
  choir_histogram_record (h, -7);
  g_assert_cmpfloat_with_epsilon (choir_histogram_get_sum (h), 901000, 1e-9);
}

static void
test_variant (void)
{
  static const char *const label[] = { "type", NULL };
  g_autoptr (ChoirCounters) counters = choir_counters_new ();
  g_autoptr (GVariant) variant = NULL;
  ChoirHistogram *histogram = choir_counter_family_get_histogram (
    choir_counters_add (counters, CHOIR_HISTOGRAM, "h", NULL, "H.", label),
    (const char *const[]){ "b", NULL });
  guint64 value = 0;

  choir_counters_add (counters, CHOIR_COUNTER, "x", NULL, "X.", label);
  choir_counters_add (counters, CHOIR_GAUGE, "y", NULL, "Y.", NULL);
  *choir_counters_get_cell (counters, "x", "a") = 4;
  *choir_counters_get_cell (counters, "y", NULL) = -1;
  choir_histogram_record_n (histogram, 0.5, 3);

  variant = g_variant_ref_sink (choir_counters_to_numbers (counters));
  g_assert_cmpstr (g_variant_get_type_string (variant), ==, "a{st}");
  g_assert_cmpuint (g_variant_n_children (variant), ==, 3);
  g_assert_true (g_variant_lookup (variant, "x{type=\"a\"}", "t", &value));
  g_assert_cmpuint (value, ==, 4);
  g_assert_true (g_variant_lookup (variant, "y", "t", &value));
  g_assert_cmpuint (value, ==, 0);
  g_assert_true (g_variant_lookup (variant, "h_count{type=\"b\"}", "t", &value));
  g_assert_cmpuint (value, ==, 3);
}

/* What was recorded in a while */
static void
test_difference (void)
{
  static const double bounds[] = { 1, 2, 4 };
  g_autoptr (ChoirCounters) counters = choir_counters_new ();
  ChoirHistogram *histogram = choir_counter_family_get_histogram (
    choir_counters_add_histogram (counters, "h", NULL, "H.", NULL, bounds, G_N_ELEMENTS (bounds)),
    NULL);
  guint64 then[4] = { 0 };
  guint64 now[4] = { 0 };

  g_assert_cmpuint (choir_histogram_get_n_buckets (histogram), ==, 4);
  choir_histogram_record_n (histogram, 0.5, 1000);
  choir_histogram_add_buckets (histogram, then);
  choir_histogram_record_n (histogram, 3, 10);
  choir_histogram_add_buckets (histogram, now);
  for (guint i = 0; i < 4; i++)
    now[i] -= then[i];

  g_assert_cmpfloat_with_epsilon (choir_histogram_estimate (histogram, now, 0.5), 3.0, 1e-9);
  g_assert_cmpfloat_with_epsilon (choir_histogram_estimate (histogram, then, 0.5), 0.5, 1e-9);
  memset (now, 0, sizeof now);
  g_assert_cmpfloat_with_epsilon (choir_histogram_estimate (histogram, now, 0.5), 0.0, 1e-9);
}

static void
test_misuse (void)
{
  g_autoptr (ChoirCounters) counters = choir_counters_new ();

  g_test_expect_message ("choir-base", G_LOG_LEVEL_CRITICAL, "*family != NULL*");
  g_assert_nonnull (choir_counters_get_cell (counters, "misspelt", NULL));
  g_test_assert_expected_messages ();

  g_test_expect_message ("choir-base", G_LOG_LEVEL_CRITICAL, "*does not end in its unit*");
  g_assert_nonnull (choir_counters_add (counters, CHOIR_GAUGE, "size", "bytes", "S.", NULL));
  g_test_assert_expected_messages ();
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/counters/openmetrics", test_openmetrics);
  g_test_add_func ("/counters/same", test_same);
  g_test_add_func ("/counters/bounded", test_bounded);
  g_test_add_func ("/counters/histogram", test_histogram);
  g_test_add_func ("/counters/variant", test_variant);
  g_test_add_func ("/counters/difference", test_difference);
  g_test_add_func ("/counters/misuse", test_misuse);

  return g_test_run ();
}
