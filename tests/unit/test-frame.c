/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-close-code.h"
#include "choir-frame.h"

#include <string.h>

static void
assert_bytes (const ChoirFrame *frame, const void *expected, gsize len)
{
  g_assert_cmpmem (choir_frame_get_data (frame), frame->len, expected, len);
}

#define ASSERT_BYTES(frame, literal) assert_bytes (frame, literal, sizeof (literal) - 1)

static void
assert_payload (const ChoirFrame *frame, const void *expected, gsize expected_len)
{
  gsize len;
  const guint8 *payload = choir_frame_get_payload (frame, &len);

  g_assert_cmpmem (payload, len, expected, expected_len);
}

/* RFC 6455 5.7, those a server sends */
static void
test_rfc_examples (void)
{
  g_autoptr (ChoirFrame) text = choir_frame_new (CHOIR_OPCODE_TEXT, "Hello", 5);
  g_autoptr (ChoirFrame) ping = choir_frame_new (CHOIR_OPCODE_PING, "Hello", 5);
  g_autofree guint8 *zeros = g_malloc0 (65536);
  g_autoptr (ChoirFrame) small = choir_frame_new (CHOIR_OPCODE_BINARY, zeros, 256);
  g_autoptr (ChoirFrame) large = choir_frame_new (CHOIR_OPCODE_BINARY, zeros, 65536);

  ASSERT_BYTES (text, "\x81\x05Hello");
  ASSERT_BYTES (ping, "\x89\x05Hello");
  g_assert_cmpmem (choir_frame_get_data (small), small->header_len, "\x82\x7e\x01\x00", 4);
  assert_payload (small, zeros, 256);
  g_assert_cmpmem (choir_frame_get_data (large), large->header_len,
                   "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10);
  assert_payload (large, zeros, 65536);
}

/* Both ways of making a frame give the same bytes, at each border of the length forms */
static void
test_lengths (void)
{
  static const struct
  {
    gsize len;
    guint header_len;
  } rows[] = {
    { 0, 2 },   { 1, 2 },   { 125, 2 },   { 126, 4 },    { 127, 4 },
    { 255, 4 }, { 256, 4 }, { 65535, 4 }, { 65536, 10 }, { 100000, 10 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *payload = g_strnfill (rows[i].len, 'p');
      g_autoptr (ChoirFrame) whole =
        choir_frame_new_full (CHOIR_OPCODE_TEXT, i % 2, payload, rows[i].len);
      g_autoptr (ChoirFrame) built = NULL;
      ChoirFrameBuilder builder;

      choir_frame_builder_init (&builder, i % 3 == 0 ? rows[i].len : 0);
      for (gsize at = 0; at < rows[i].len; at += 1000)
        choir_frame_builder_append (&builder, payload + at, MIN (1000, rows[i].len - at));
      built = choir_frame_builder_end (&builder, CHOIR_OPCODE_TEXT, i % 2);
      choir_frame_builder_clear (&builder);

      g_assert_cmpuint (whole->header_len, ==, rows[i].header_len);
      g_assert_cmpuint (choir_frame_get_data (whole)[0], ==, i % 2 ? 0xc1 : 0x81);
      assert_payload (whole, payload, rows[i].len);
      assert_bytes (built, choir_frame_get_data (whole), whole->len);
    }
}

static void
test_references (void)
{
  ChoirFrame *frame = choir_frame_new (CHOIR_OPCODE_TEXT, "shared", 6);
  g_autoptr (ChoirFrame) other = choir_frame_ref (frame);

  g_assert_true (other == frame);
  choir_frame_unref (frame);
  ASSERT_BYTES (other, "\x81\x06shared");
}

static void
test_close (void)
{
  g_autoptr (ChoirFrame) empty = choir_frame_new_close (0, "ignored");
  g_autoptr (ChoirFrame) no_status = choir_frame_new_close (CHOIR_CLOSE_NO_STATUS, NULL);
  g_autoptr (ChoirFrame) abnormal = choir_frame_new_close (CHOIR_CLOSE_ABNORMAL, "never sent");
  g_autoptr (ChoirFrame) bare = choir_frame_new_close (CHOIR_CLOSE_NORMAL, NULL);
  g_autoptr (ChoirFrame) full = choir_frame_new_close (CHOIR_CLOSE_SLOW_CONSUMER, "slow consumer");
  g_autoptr (ChoirFrame) broken = choir_frame_new_close (CHOIR_CLOSE_POLICY, "\xff");

  ASSERT_BYTES (empty, "\x88\x00");
  ASSERT_BYTES (no_status, "\x88\x00");
  ASSERT_BYTES (abnormal, "\x88\x00");
  ASSERT_BYTES (bare, "\x88\x02\x03\xe8");
  ASSERT_BYTES (full, "\x88\x0f\x0f\xa8slow consumer");
  ASSERT_BYTES (broken, "\x88\x02\x03\xf0");
}

/* However the characters lie on the 123rd byte, none is cut in two */
static void
test_close_reason_is_cut_on_a_character (void)
{
  static const struct
  {
    const char *unit;
    gsize lead;
    gsize kept;
  } rows[] = {
    { "a", 0, 123 },
    { "\xc3\xa9", 0, 122 },
    { "\xc3\xa9", 1, 123 },
    { "\xe2\x82\xac", 0, 123 },
    { "\xe2\x82\xac", 1, 121 },
    { "\xe2\x82\xac", 2, 122 },
    { "\xf0\x9f\x98\x80", 0, 120 },
    { "\xf0\x9f\x98\x80", 3, 123 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (GString) reason = g_string_new (NULL);
      g_autoptr (ChoirFrame) frame = NULL;
      const guint8 *payload;
      gsize len;

      for (gsize n = 0; n < rows[i].lead; n++)
        g_string_append_c (reason, '.');
      while (reason->len < 200)
        g_string_append (reason, rows[i].unit);
      frame = choir_frame_new_close (CHOIR_CLOSE_GOING_AWAY, reason->str);
      payload = choir_frame_get_payload (frame, &len);
      g_assert_cmpmem (payload + 2, len - 2, reason->str, rows[i].kept);
      g_assert_true (g_utf8_validate_len ((const char *) payload + 2, len - 2, NULL));
    }
}

static ChoirFrame *
build_json_string (const char *text, gsize len)
{
  ChoirFrameBuilder builder;

  choir_frame_builder_init (&builder, 0);
  choir_frame_builder_append_json_string (&builder, text, len);

  return choir_frame_builder_end (&builder, CHOIR_OPCODE_TEXT, FALSE);
}

static void
test_json_strings (void)
{
  static const struct
  {
    const char *text;
    gsize len;
    const char *json;
  } rows[] = {
    { "", 0, "\"\"" },
    { "plain", 5, "\"plain\"" },
    { "a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\"" },
    { "\b\t\n\f\r", 5, "\"\\b\\t\\n\\f\\r\"" },
    { "\x00\x01\x1f\x20\x7f", 5, "\"\\u0000\\u0001\\u001f \x7f\"" },
    { "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", 14,
      "\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (ChoirFrame) frame = build_json_string (rows[i].text, rows[i].len);

      assert_payload (frame, rows[i].json, strlen (rows[i].json));
    }
}

/* Each byte that needs an escape, and those beside them, at each place of the words the scan goes
 * by */
static void
test_json_string_positions (void)
{
  static const char special[] = { 0x00, 0x1f, 0x20, 0x21, '"', 0x23, '[', '\\', ']', 0x7f };

  for (guint i = 0; i < G_N_ELEMENTS (special); i++)
    for (gsize at = 0; at < 24; at++)
      {
        char text[24];
        g_autoptr (ChoirFrame) frame = NULL;
        gboolean escaped = (guint8) special[i] < 0x20 || special[i] == '"' || special[i] == '\\';
        const guint8 *payload;
        gsize len;

        memset (text, 'z', sizeof text);
        text[at] = special[i];
        frame = build_json_string (text, sizeof text);
        payload = choir_frame_get_payload (frame, &len);
        g_assert_cmpint (payload[1 + at], ==, escaped ? '\\' : special[i]);
        if (!escaped)
          g_assert_cmpmem (payload + 1, len - 2, text, sizeof text);
        else
          g_assert_cmpuint (len, ==, 2 + 23 + ((guint8) special[i] < 0x20 ? 6 : 2));
      }
}

static void
test_numbers (void)
{
  ChoirFrameBuilder builder;
  g_autoptr (ChoirFrame) frame = NULL;

  choir_frame_builder_init (&builder, 4);
  choir_frame_builder_append_uint (&builder, 0);
  choir_frame_builder_append_literal (&builder, ",");
  choir_frame_builder_append_uint (&builder, 1234567890);
  choir_frame_builder_append_literal (&builder, ",");
  choir_frame_builder_append_uint (&builder, G_MAXUINT64);
  frame = choir_frame_builder_end (&builder, CHOIR_OPCODE_TEXT, FALSE);
  assert_payload (frame, "0,1234567890,18446744073709551615", 33);
}

static void
test_reserve (void)
{
  ChoirFrameBuilder builder;
  g_autoptr (ChoirFrame) frame = NULL;

  choir_frame_builder_init (&builder, 0);
  choir_frame_builder_append_literal (&builder, "before ");
  memcpy (choir_frame_builder_reserve (&builder, 500), "reserved", 8);
  builder.len += 8;
  choir_frame_builder_append_literal (&builder, " after");
  frame = choir_frame_builder_end (&builder, CHOIR_OPCODE_BINARY, TRUE);
  ASSERT_BYTES (frame, "\xc2\x15"
                       "before reserved after");
}

static void
test_builder_dropped (void)
{
  ChoirFrameBuilder builder;

  choir_frame_builder_init (&builder, 10);
  choir_frame_builder_append_literal (&builder, "never sent");
  choir_frame_builder_clear (&builder);
  g_assert_null (builder.frame);
  choir_frame_builder_clear (&builder);
}

/* RFC 6455 7.4 and the IANA registry, number by number */
static void
test_close_codes (void)
{
  static const guint valid_below_3000[] = {
    1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
  };
  guint next = 0;

  for (guint code = 0; code < 3000; code++)
    {
      gboolean expected = next < G_N_ELEMENTS (valid_below_3000) && valid_below_3000[next] == code;

      g_assert_true (choir_close_code_is_valid_on_wire (code) == expected);
      next += expected;
    }
  for (guint code = 3000; code < 5000; code++)
    g_assert_true (choir_close_code_is_valid_on_wire (code));
  g_assert_false (choir_close_code_is_valid_on_wire (5000));
  g_assert_false (choir_close_code_is_valid_on_wire (65535));
}

static void
test_close_code_names (void)
{
  g_assert_cmpstr (choir_close_code_get_name (CHOIR_CLOSE_GOING_AWAY), ==, "going-away");
  g_assert_cmpstr (choir_close_code_get_name (CHOIR_CLOSE_EVICTED), ==, "evicted");
  g_assert_cmpstr (choir_close_code_get_name (1004), ==, "other");
}

/* RFC 6455 5.7, a fragmented message: the first says what it is, the last that it is the last */
static void
test_fragments (void)
{
  g_autoptr (ChoirFrame) first = choir_frame_new_fragment (CHOIR_OPCODE_TEXT, FALSE, "Hel", 3);
  g_autoptr (ChoirFrame) last = choir_frame_new_fragment (CHOIR_OPCODE_CONTINUATION, TRUE, "lo", 2);
  g_autoptr (ChoirFrame) middle = NULL;
  ChoirFrameBuilder builder;

  ASSERT_BYTES (first, "\x01\x03Hel");
  ASSERT_BYTES (last, "\x80\x02lo");

  choir_frame_builder_init (&builder, 0);
  choir_frame_builder_append_json_part (&builder, "a\"b\n", 4);
  choir_frame_builder_append_json_part (&builder, "", 0);
  choir_frame_builder_append_json_part (&builder, "\xc3\xa9", 2);
  middle = choir_frame_builder_end_fragment (&builder, CHOIR_OPCODE_CONTINUATION, FALSE);
  ASSERT_BYTES (middle, "\x00\x08"
                        "a\\\"b\\n\xc3\xa9");
}

static void
test_joined (void)
{
  g_autoptr (ChoirFrame) one = choir_frame_new (CHOIR_OPCODE_TEXT, "one", 3);
  g_autoptr (ChoirFrame) two = choir_frame_new (CHOIR_OPCODE_TEXT, "two!", 4);
  ChoirFrame *const frames[] = { one, two, one };
  g_autoptr (ChoirFrame) all = choir_frame_new_joined (frames, 3);
  g_autoptr (ChoirFrame) alone = choir_frame_new_joined (frames, 1);

  ASSERT_BYTES (all, "\x81\x03one\x81\x04two!\x81\x03one");
  g_assert_cmpint (all->flags, ==, CHOIR_FRAME_JOINED);
  g_assert_true (alone == one);
  g_assert_cmpuint (one->n_refs, ==, 2);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/frame/rfc-examples", test_rfc_examples);
  g_test_add_func ("/frame/lengths", test_lengths);
  g_test_add_func ("/frame/references", test_references);
  g_test_add_func ("/frame/close", test_close);
  g_test_add_func ("/frame/close-reason-is-cut", test_close_reason_is_cut_on_a_character);
  g_test_add_func ("/frame/json-strings", test_json_strings);
  g_test_add_func ("/frame/json-string-positions", test_json_string_positions);
  g_test_add_func ("/frame/numbers", test_numbers);
  g_test_add_func ("/frame/reserve", test_reserve);
  g_test_add_func ("/frame/builder-dropped", test_builder_dropped);
  g_test_add_func ("/frame/fragments", test_fragments);
  g_test_add_func ("/frame/joined", test_joined);
  g_test_add_func ("/frame/close-codes", test_close_codes);
  g_test_add_func ("/frame/close-code-names", test_close_code_names);

  return g_test_run ();
}
