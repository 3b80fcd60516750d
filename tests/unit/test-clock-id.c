/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <string.h>

#include "choir-clock.h"
#include "choir-id.h"

static void
test_format (void)
{
  char out[CHOIR_CLOCK_ISO8601_SIZE];

  choir_clock_format_iso8601 (0, out);
  g_assert_cmpstr (out, ==, "1970-01-01T00:00:00.000Z");
  choir_clock_format_iso8601 (G_GINT64_CONSTANT (1767868200123999), out);
  g_assert_cmpstr (out, ==, "2026-01-08T10:30:00.123Z");
  choir_clock_format_iso8601 (-1, out);
  g_assert_cmpstr (out, ==, "1969-12-31T23:59:59.999Z");
  choir_clock_format_iso8601 (G_MAXINT64, out);
  g_assert_true (g_str_has_prefix (out, "9999-12-31T23:59:59."));
  choir_clock_format_iso8601 (G_MININT64, out);
  g_assert_true (g_str_has_prefix (out, "0000-01-01T00:00:00."));
}

static void
check_parse (const char *text, gint64 expected)
{
  gint64 us = -1;

  g_test_message ("%s", text);
  g_assert_true (choir_clock_parse_iso8601 (text, strlen (text), &us));
  g_assert_cmpint (us, ==, expected);
}

static void
test_parse (void)
{
  static const char *const bad[] = { "",
                                     "2026",
                                     "2026-01-08",
                                     "2026-01-08T10:30",
                                     "2026-13-08T10:30:00Z",
                                     "2026-00-08T10:30:00Z",
                                     "2026-02-29T10:30:00Z",
                                     "2026-01-00T10:30:00Z",
                                     "2026-01-08T24:30:00Z",
                                     "2026-01-08T10:60:00Z",
                                     "2026-01-08T10:30:61Z",
                                     "2026-01-08T10:30:00.Z",
                                     "2026-01-08T10:30:00Zx",
                                     "2026-01-08T10:30:00+24:00",
                                     "2026-01-08T10:30:00+1",
                                     "2026-01-08x10:30:00Z",
                                     "+026-01-08T10:30:00Z" };
  const gint64 expected = G_GINT64_CONSTANT (1767868200000000);
  gint64 us = 77;

  check_parse ("2026-01-08T10:30:00Z", expected);
  check_parse ("2026-01-08t10:30:00z", expected);
  check_parse ("2026-01-08 10:30:00", expected);
  check_parse ("2026-01-08T12:30:00+02:00", expected);
  check_parse ("2026-01-08T05:00:00-0530", expected);
  check_parse ("2026-01-08T10:30:00.123456789Z", expected + 123456);
  check_parse ("2026-01-08T10:30:00.5Z", expected + 500000);
  check_parse ("2024-02-29T00:00:00Z", G_GINT64_CONSTANT (1709164800000000));
  check_parse ("1969-12-31T23:59:59Z", -1000000);
  check_parse ("2016-12-31T23:59:60Z", G_GINT64_CONSTANT (1483228800000000));

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_test_message ("%s", bad[i]);
      g_assert_false (choir_clock_parse_iso8601 (bad[i], strlen (bad[i]), &us));
      g_assert_cmpint (us, ==, 77);
    }
}

/* Against GLib's calendar, over all four-digit years */
static void
test_round_trip (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (3);

  for (guint i = 0; i < 20000; i++)
    {
      const gint64 second = (gint64) g_rand_double_range (rand, -62135596800.0, 253402300799.0);
      const gint64 us = second * G_USEC_PER_SEC + g_rand_int_range (rand, 0, 1000) * 1000;
      char out[CHOIR_CLOCK_ISO8601_SIZE];
      gint64 back = 0;
      g_autoptr (GDateTime) date = g_date_time_new_from_unix_utc (second);
      g_autofree char *expected = g_date_time_format (date, "%Y-%m-%dT%H:%M:%S");

      choir_clock_format_iso8601 (us, out);
      g_assert_true (choir_clock_parse_iso8601 (out, strlen (out), &back));
      g_assert_cmpint (back, ==, us);
      if (strlen (expected) == 19)
        g_assert_cmpmem (out, 19, expected, 19);
    }
}

static void
test_freeze (void)
{
  gint64 before, after;

  choir_clock_freeze (10, 20);
  choir_clock_advance (5);
  g_assert_cmpint (choir_clock_monotonic_us (), ==, 15);
  g_assert_cmpint (choir_clock_wall_us (), ==, 25);
  choir_clock_thaw ();

  before = g_get_monotonic_time ();
  after = choir_clock_monotonic_us ();
  g_assert_cmpint (after, >=, before);
  g_assert_cmpint (choir_clock_wall_us (), >, G_GINT64_CONSTANT (1700000000000000));
}

static void
test_uuid (void)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; i < 10000; i++)
    {
      char id[CHOIR_ID_SIZE];

      choir_id_generate (id);
      g_assert_true (g_uuid_string_is_valid (id));
      g_assert_cmpint (id[14], ==, '4');
      g_assert_nonnull (strchr ("89ab", id[19]));
      g_assert_true (g_hash_table_add (seen, g_strdup (id)));
    }
}

static gpointer
generate_thread (gpointer data)
{
  char *id = g_malloc (CHOIR_ID_SIZE);

  choir_id_generate (id);
  return id;
}

static void
test_threads (void)
{
  GThread *first = g_thread_new ("first", generate_thread, NULL);
  GThread *second = g_thread_new ("second", generate_thread, NULL);
  g_autofree char *a = g_thread_join (first);
  g_autofree char *b = g_thread_join (second);

  g_assert_cmpstr (a, !=, b);
}

/* Digit for digit: what the generator that is seeded gives, taken from its pool's end, as text */
static void
test_id_digits (void)
{
  guint64 state = 1, words[64];
  guint8 *bytes = (guint8 *) &words[G_N_ELEMENTS (words)];
  char id[CHOIR_ID_SIZE];

  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    {
      guint64 z = (state += G_GUINT64_CONSTANT (0x9e3779b97f4a7c15));

      z = (z ^ (z >> 30)) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
      z = (z ^ (z >> 27)) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
      words[i] = GUINT64_TO_LE (z ^ (z >> 31));
    }

  choir_id_seed (1);
  for (guint n = 0; n < sizeof words / 16; n++)
    {
      g_autofree char *expected = NULL;

      bytes -= 16;
      expected =
        g_strdup_printf ("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                         bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5],
                         (bytes[6] & 0x0f) | 0x40u, bytes[7], (bytes[8] & 0x3f) | 0x80u, bytes[9],
                         bytes[10], bytes[11], bytes[12], bytes[13], bytes[14], bytes[15]);
      choir_id_generate (id);
      g_assert_cmpstr (id, ==, expected);
    }
  choir_id_seed (0);
}

static void
test_seed (void)
{
  char first[CHOIR_ID_SIZE], second[CHOIR_ID_SIZE], third[CHOIR_ID_SIZE];

  choir_id_seed (1);
  choir_id_generate (first);
  choir_id_generate (second);
  choir_id_seed (1);
  choir_id_generate (third);
  g_assert_cmpstr (first, ==, third);
  g_assert_cmpstr (first, !=, second);
  choir_id_seed (0);
  choir_id_generate (third);
  g_assert_cmpstr (first, !=, third);
}

static void
test_range (void)
{
  guint counts[7] = { 0 };

  choir_id_seed (42);
  for (guint i = 0; i < 70000; i++)
    counts[choir_id_random_range (7)]++;
  for (guint i = 0; i < 7; i++)
    g_assert_cmpuint (ABS ((int) counts[i] - 10000), <, 500);

  g_assert_cmpuint (choir_id_random_range (1), ==, 0);
  for (guint i = 0; i < 1000; i++)
    g_assert_cmpuint (choir_id_random_range (0x80000001), <=, 0x80000000);
  choir_id_seed (0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/clock/format", test_format);
  g_test_add_func ("/clock/parse", test_parse);
  g_test_add_func ("/clock/round-trip", test_round_trip);
  g_test_add_func ("/clock/freeze", test_freeze);
  g_test_add_func ("/id/uuid", test_uuid);
  g_test_add_func ("/id/threads", test_threads);
  g_test_add_func ("/id/digits", test_id_digits);
  g_test_add_func ("/id/seed", test_seed);
  g_test_add_func ("/id/range", test_range);

  return g_test_run ();
}
