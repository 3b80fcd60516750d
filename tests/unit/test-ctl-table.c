/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-clock.h"
#include "choir-ctl-error.h"
#include "choir-ctl-format.h"
#include "choir-ctl-table.h"
#include "choir-ctl-words.h"

#include <string.h>

/* Texts */

static void
assert_clean (const char *text, const char *wanted)
{
  g_autofree char *clean = choir_ctl_clean (text);

  g_assert_cmpstr (clean, ==, wanted);
}

static void
test_clean (void)
{
  g_autofree char *lines = choir_ctl_clean_lines ("a\n\tb\x1b[2J");

  assert_clean ("", "");
  assert_clean ("café 日本 ❤", "café 日本 ❤");
  assert_clean ("\x1b]0;title\x07", "\\u001b]0;title\\u0007");
  assert_clean ("a\nb\r\tc", "a\\u000ab\\u000d\\u0009c");
  /* C1: CSI as one character */
  assert_clean ("\xc2\x9b"
                "2J",
                "\\u009b2J");
  assert_clean ("\x7f", "\\u007f");
  assert_clean ("abc\u202etxt.exe", "abc\\u202etxt.exe");
  assert_clean ("\u2066x\u2069\u200f", "\\u2066x\\u2069\\u200f");
  assert_clean ("\u061cx\u2028y\u2029", "\\u061cx\\u2028y\\u2029");
  assert_clean ("bad\xff", "bad\xef\xbf\xbd");
  g_assert_cmpstr (lines, ==, "a\n\tb\\u001b[2J");
}

static void
test_width (void)
{
  g_assert_cmpuint (choir_ctl_text_width (""), ==, 0);
  g_assert_cmpuint (choir_ctl_text_width ("abc"), ==, 3);
  g_assert_cmpuint (choir_ctl_text_width ("é"), ==, 1);
  g_assert_cmpuint (choir_ctl_text_width ("e\u0301"), ==, 1);
  g_assert_cmpuint (choir_ctl_text_width ("日本"), ==, 4);
  g_assert_cmpuint (choir_ctl_text_width ("…"), ==, 1);
}

static void
assert_cut (const char *text, guint columns, const char *wanted)
{
  g_autofree char *cut = choir_ctl_text_cut (text, columns);

  g_assert_cmpstr (cut, ==, wanted);
  g_assert_cmpuint (choir_ctl_text_width (cut), <=, columns);
}

static void
test_cut (void)
{
  assert_cut ("abc", 3, "abc");
  assert_cut ("abcd", 3, "ab…");
  assert_cut ("abcd", 1, "…");
  assert_cut ("日本語", 6, "日本語");
  assert_cut ("日本語", 5, "日本…");
  /* half a character is none */
  assert_cut ("日本語", 4, "日…");
  assert_cut ("日本語", 2, "…");
  assert_cut ("e\u0301e\u0301e\u0301", 2, "e\u0301…");
  assert_cut ("", 1, "");
}

/* Tables */

static ChoirCtlTable *
make_table (void)
{
  ChoirCtlTable *table = choir_ctl_table_new ();

  choir_ctl_table_add_column (table, "NAME", CHOIR_CTL_SHRINK);
  choir_ctl_table_add_column (table, "N", CHOIR_CTL_RIGHT);
  choir_ctl_table_add_column (table, "REASON", CHOIR_CTL_SHRINK);

  return table;
}

static void
add_row (ChoirCtlTable *table, const char *name, const char *n, const char *reason)
{
  choir_ctl_table_add_cell (table, name, CHOIR_CTL_PLAIN);
  choir_ctl_table_add_cell (table, n, CHOIR_CTL_PLAIN);
  choir_ctl_table_add_cell (table, reason, CHOIR_CTL_PLAIN);
}

static void
assert_table (ChoirCtlTable *table, guint columns, const char *wanted)
{
  g_autofree char *text = choir_ctl_table_format (table, columns, TRUE);

  g_assert_cmpstr (text, ==, wanted);
}

static void
test_table (void)
{
  g_autoptr (ChoirCtlTable) table = make_table ();
  g_autofree char *without = NULL;

  g_assert_cmpuint (choir_ctl_table_get_n_rows (table), ==, 0);
  assert_table (table, 0, "NAME  N  REASON\n");

  add_row (table, "alice", "7", "");
  add_row (table, "日本", "1234", NULL);
  add_row (table, "x\ty", "5", "a reason that goes on and on");
  g_assert_cmpuint (choir_ctl_table_get_n_rows (table), ==, 3);

  /* nothing to cut, no blanks at the ends */
  assert_table (table, 0,
                "NAME         N  REASON\n"
                "alice        7  -\n"
                "日本      1234  -\n"
                "x\\u0009y     5  a reason that goes on and on\n");

  /* the widest column gives */
  assert_table (table, 30,
                "NAME         N  REASON\n"
                "alice        7  -\n"
                "日本      1234  -\n"
                "x\\u0009y     5  a reason that…\n");

  /* too narrow for what has to be there: the last goes, the others have their place again */
  assert_table (table, 18,
                "NAME         N\n"
                "alice        7\n"
                "日本      1234\n"
                "x\\u0009y     5\n");

  /* and in the end the first alone, cut */
  assert_table (table, 5, "NAME\nalice\n日本\nx\\u0…\n");

  without = choir_ctl_table_format (table, 5, FALSE);
  g_assert_cmpstr (without, ==, "alice\n日本\nx\\u0…\n");
}

/* At every width every line fits, and what is cut says so */
static void
test_table_fits (void)
{
  g_autoptr (ChoirCtlTable) table = make_table ();

  add_row (table, "一二三四五六七八九十", "18446744073709551615", "wíth áccents and e\u0301");
  add_row (table, "a-name-of-no-use-to-anybody-who-has-to-type-it", "0", "因为");

  for (guint columns = 1; columns <= 120; columns++)
    {
      g_autofree char *text = choir_ctl_table_format (table, columns, TRUE);
      g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

      g_assert_cmpuint (g_strv_length (lines), ==, 4);
      for (char **line = lines; *line != NULL; line++)
        g_assert_cmpuint (choir_ctl_text_width (*line), <=, columns);
    }
}

/* Figures */

static void
assert_taken (char *text, const char *wanted)
{
  g_autofree char *owned = text;

  g_assert_cmpstr (owned, ==, wanted);
}

static void
test_figures (void)
{
  assert_taken (choir_ctl_format_bytes (0), "0 B");
  assert_taken (choir_ctl_format_bytes (1023), "1023 B");
  assert_taken (choir_ctl_format_bytes (1024), "1.0 KiB");
  assert_taken (choir_ctl_format_bytes (1536), "1.5 KiB");
  assert_taken (choir_ctl_format_bytes (1024 * 1024 - 1), "1.0 MiB");
  assert_taken (choir_ctl_format_bytes (G_MAXUINT64), "16777216.0 TiB");

  assert_taken (choir_ctl_format_span (0), "0s");
  assert_taken (choir_ctl_format_span (59), "59s");
  assert_taken (choir_ctl_format_span (60), "1min 0s");
  assert_taken (choir_ctl_format_span (3661), "1h 1min");
  assert_taken (choir_ctl_format_span (3 * 86400 + 4 * 3600 + 59), "3d 4h");

  assert_taken (choir_ctl_format_rate (0), "0.0/s");
  assert_taken (choir_ctl_format_rate (99.94), "99.9/s");
  assert_taken (choir_ctl_format_rate (99.96), "100/s");

  assert_taken (choir_ctl_format_latency (0), "0 µs");
  assert_taken (choir_ctl_format_latency (999.4), "999 µs");
  assert_taken (choir_ctl_format_latency (999.6), "1.0 ms");
  assert_taken (choir_ctl_format_latency (1.5e6), "1.5 s");

  choir_clock_freeze (0, 1000 * G_USEC_PER_SEC);
  assert_taken (choir_ctl_format_age (0), NULL);
  assert_taken (choir_ctl_format_age (940 * G_USEC_PER_SEC), "1min 0s");
  /* another host's clock may be ahead */
  assert_taken (choir_ctl_format_age (2000 * G_USEC_PER_SEC), "0s");
  choir_clock_thaw ();
  assert_taken (choir_ctl_format_time (0), NULL);
}

/* JSON */

static void
assert_json (const char *value, const char *wanted)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) parsed = g_variant_parse (NULL, value, NULL, NULL, &error);
  g_autofree char *json = NULL;

  g_assert_no_error (error);
  json = choir_ctl_dup_json (parsed, FALSE);
  g_assert_cmpstr (json, ==, wanted);
}

static void
test_json (void)
{
  assert_json ("@a{sv} {}", "{}");
  assert_json ("{'a': <uint32 1>, 'b': <'x'>}", "{\"a\":1,\"b\":\"x\"}");
  assert_json ("(true, byte 7, int16 -1, handle 3, uint64 9223372036854775807, [1.5])",
               "[true,7,-1,3,9223372036854775807,[1.5]]");
  assert_json ("[{'n': <@as []>}]", "[{\"n\":[]}]");
  assert_json ("objectpath '/a'", "\"/a\"");
  assert_json ("{uint32 1: 'x'}", "{\"1\":\"x\"}");
  assert_json ("inf", "null");
  assert_json ("@mi nothing", "null");
  /* no digits that only a computer means, and none left out */
  assert_json ("[0.2, 1e-07, 13.7, 3.0, 100000.0]", "[0.2,0.0000001,13.7,3.0,100000.0]");
  assert_json ("uint64 18446744073709551615", "18446744073709551615");
  assert_json ("int64 -9223372036854775808", "-9223372036854775808");
  assert_json ("'\\u001b\\u009b\\u202e\\u00e9'", "\"\\u001b\\u009b\\u202eé\"");
}

/* The completions read it line by line */
static void
test_json_lines (void)
{
  g_autoptr (GVariant) value =
    g_variant_ref_sink (g_variant_new_parsed ("[{'user': <'a\"b'>, 'n': <@as []>}, @a{sv} {}]"));
  g_autofree char *json = choir_ctl_dup_json (value, TRUE);

  g_assert_cmpstr (json, ==, "[\n  {\n    \"user\" : \"a\\\"b\",\n    \"n\" : []\n  },\n  {}\n]");
}

/* Words */

static void
test_words (void)
{
  g_autoptr (GError) error = NULL;
  guint64 number = 3;
  gint64 time_us = 5;

  g_assert_true (choir_ctl_word_number ("--n", NULL, 10, &number, NULL));
  g_assert_cmpuint (number, ==, 3);
  g_assert_true (choir_ctl_word_number ("--n", "10", 10, &number, NULL));
  g_assert_cmpuint (number, ==, 10);
  g_assert_false (choir_ctl_word_number ("--n", "11", 10, &number, &error));
  g_assert_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE);
  g_assert_nonnull (strstr (error->message, "--n"));
  g_assert_false (choir_ctl_word_number ("--n", "-1", 10, &number, NULL));

  g_assert_true (choir_ctl_word_time ("--t", NULL, &time_us, NULL));
  g_assert_cmpint (time_us, ==, 5);
  g_assert_true (choir_ctl_word_time ("--t", "2026-12-24T18:00Z", &time_us, NULL));
  g_assert_cmpint (time_us, ==, G_GINT64_CONSTANT (1798135200) * G_USEC_PER_SEC);
  g_assert_true (choir_ctl_word_time ("--t", "2026-12-24T18:00:01.5+01:00", &time_us, NULL));
  g_assert_cmpint (time_us, ==,
                   G_GINT64_CONSTANT (1798131601) * G_USEC_PER_SEC + G_USEC_PER_SEC / 2);
  g_assert_true (choir_ctl_word_time ("--t", "2026-12-24", &time_us, NULL));
  g_assert_false (choir_ctl_word_time ("--t", "tomorrow", &time_us, NULL));
  g_assert_false (choir_ctl_word_time ("--t", "2026-13-24", &time_us, NULL));
  g_assert_false (choir_ctl_word_time ("--t", "1960-01-01", &time_us, NULL));

  g_assert_true (choir_ctl_word_duration ("--d", "30s", &time_us, NULL));
  g_assert_cmpint (time_us, ==, 30 * G_USEC_PER_SEC);
  g_assert_true (choir_ctl_word_duration ("--d", "5min", &time_us, NULL));
  g_assert_cmpint (time_us, ==, 300 * G_USEC_PER_SEC);
  g_assert_true (choir_ctl_word_duration ("--d", "5m", &time_us, NULL));
  g_assert_cmpint (time_us, ==, 300 * G_USEC_PER_SEC);
  g_assert_true (choir_ctl_word_duration ("--d", "7d", &time_us, NULL));
  g_assert_cmpint (time_us, ==, G_GINT64_CONSTANT (604800) * G_USEC_PER_SEC);
  g_assert_false (choir_ctl_word_duration ("--d", "soon", &time_us, NULL));
  g_assert_false (choir_ctl_word_duration ("--d", "d", &time_us, NULL));
  g_assert_false (choir_ctl_word_duration ("--d", "min", &time_us, NULL));
  g_assert_false (choir_ctl_word_duration ("--d", "7md", &time_us, NULL));
  g_assert_false (choir_ctl_word_duration ("--d", "200000000d", &time_us, NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/ctl/clean", test_clean);
  g_test_add_func ("/ctl/width", test_width);
  g_test_add_func ("/ctl/cut", test_cut);
  g_test_add_func ("/ctl/table", test_table);
  g_test_add_func ("/ctl/table/fits", test_table_fits);
  g_test_add_func ("/ctl/figures", test_figures);
  g_test_add_func ("/ctl/json", test_json);
  g_test_add_func ("/ctl/json/lines", test_json_lines);
  g_test_add_func ("/ctl/words", test_words);

  return g_test_run ();
}
