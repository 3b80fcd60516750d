/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-utf8.h"

#include <string.h>

/* GLib is the oracle, but for NUL, which it takes for the end */
static gboolean
oracle_says_valid (const guint8 *data, gsize len)
{
  guint8 copy[8];

  g_assert_cmpuint (len, <=, sizeof copy);
  for (gsize i = 0; i < len; i++)
    copy[i] = data[i] == 0 ? 'x' : data[i];

  return g_utf8_validate_len ((const char *) copy, len, NULL);
}

static void
check_against_oracle (const guint8 *data, gsize len)
{
  gboolean expected = oracle_says_valid (data, len);

  if (choir_utf8_validate (data, len) != expected)
    g_error ("%02x %02x %02x %02x should be %d", (guint) data[0], (guint) data[1], (guint) data[2],
             (guint) data[3], expected);

  for (gsize cut = 0; cut <= len; cut++)
    {
      ChoirUtf8State state = 0;
      gboolean valid = choir_utf8_feed (&state, data, cut) &&
                       choir_utf8_feed (&state, data + cut, len - cut) &&
                       choir_utf8_is_complete (state);

      g_assert_true (valid == expected);
    }
}

static void
test_all_pairs (void)
{
  for (guint i = 0; i < 0x10000; i++)
    {
      guint8 bytes[4] = { i >> 8, i & 0xff, 0, 0 };

      check_against_oracle (bytes, 2);
    }
}

/* Every lead and second byte; behind them the bytes at the borders */
static void
test_longer_sequences (void)
{
  static const guint8 border[] = {
    0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xff
  };

  for (guint lead = 0xc0; lead < 0x100; lead++)
    for (guint second = 0x70; second < 0xd0; second++)
      for (guint i = 0; i < G_N_ELEMENTS (border); i++)
        for (guint j = 0; j < G_N_ELEMENTS (border); j++)
          {
            guint8 bytes[4] = { lead, second, border[i], border[j] };

            check_against_oracle (bytes, 3);
            check_against_oracle (bytes, 4);
          }
}

static void
test_all_characters (void)
{
  for (gunichar c = 0; c <= 0x10ffff; c++)
    {
      char bytes[6];
      gsize len = g_unichar_to_utf8 (c, bytes);

      g_assert_true (choir_utf8_validate ((const guint8 *) bytes, len) ==
                     (c < 0xd800 || c > 0xdfff));
    }
}

/* No bytes may come without an address */
static void
test_nothing (void)
{
  ChoirUtf8State state = { 0 };

  g_assert_true (choir_utf8_feed (&state, NULL, 0));
  g_assert_true (choir_utf8_validate (NULL, 0));
}

/* The first byte after which nothing could save the text is the one refused */
static void
test_fails_fast (void)
{
  static const struct
  {
    const char *text;
    gsize n_good;
  } rows[] = {
    { "abc\xff", 3 },
    { "\xc0\x80", 0 },
    { "\xc1\xbf", 0 },
    { "\xe0\x9f\x80", 1 },
    { "\xed\xa0\x80", 1 },
    { "\xf0\x8f\xbf\xbf", 1 },
    { "\xf4\x90\x80\x80", 1 },
    { "\xf5\x80\x80\x80", 0 },
    { "\x80", 0 },
    { "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80", 12 },
    { "0123456789abcdef0123456789abcdef\xe2\x82 is cut", 34 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      const guint8 *bytes = (const guint8 *) rows[i].text;
      ChoirUtf8State state = 0;

      for (gsize at = 0; at < rows[i].n_good; at++)
        g_assert_true (choir_utf8_feed (&state, bytes + at, 1));
      g_assert_false (choir_utf8_feed (&state, bytes + rows[i].n_good, 1));
      g_assert_false (choir_utf8_feed (&state, (const guint8 *) "a", 1));
      g_assert_false (choir_utf8_is_complete (state));
    }
}

/* A bad byte is found wherever it stands in the words the check goes by */
static void
test_positions (void)
{
  guint8 text[64];

  for (gsize len = 0; len <= sizeof text; len++)
    for (gsize at = 0; at < len; at++)
      {
        memset (text, 'a', sizeof text);
        g_assert_true (choir_utf8_validate (text, len));
        text[at] = 0x80;
        g_assert_false (choir_utf8_validate (text, len));
        text[at] = 0xc3;
        g_assert_false (choir_utf8_validate (text, len));
        if (at + 1 < len)
          {
            text[at + 1] = 0xa9;
            g_assert_true (choir_utf8_validate (text, len));
          }
      }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/utf8/nothing", test_nothing);
  g_test_add_func ("/utf8/all-pairs", test_all_pairs);
  g_test_add_func ("/utf8/longer-sequences", test_longer_sequences);
  g_test_add_func ("/utf8/all-characters", test_all_characters);
  g_test_add_func ("/utf8/fails-fast", test_fails_fast);
  g_test_add_func ("/utf8/positions", test_positions);

  return g_test_run ();
}
