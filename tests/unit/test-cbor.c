/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-cbor.h"
#include "choir-error.h"

#include <math.h>
#include <string.h>

static const ChoirCborLimits limits = { 32, 65536 };
static const ChoirJsonLimits json_limits = { 32, 65536, 65536, 100 };

/* {"v": */
static const char member[] = "a16176";

static GByteArray *
from_hex (const char *hex)
{
  GByteArray *self = g_byte_array_new ();

  for (; *hex != '\0'; hex += 2)
    {
      guint8 byte = (guint8) (g_ascii_xdigit_value (hex[0]) << 4 | g_ascii_xdigit_value (hex[1]));

      g_byte_array_append (self, &byte, 1);
    }

  return self;
}

static char *
to_hex (const guint8 *data, gsize len)
{
  GString *out = g_string_new (NULL);

  for (gsize i = 0; i < len; i++)
    g_string_append_printf (out, "%02x", (guint) data[i]);

  return g_string_free (out, FALSE);
}

/* The text of what must be accepted, which the gate must accept as well */
static GString *
read_bytes (const guint8 *data, gsize len)
{
  GString *out = g_string_new (NULL);
  g_autoptr (GError) error = NULL;

  choir_cbor_read (data, len, &limits, out, &error);
  g_assert_no_error (error);
  g_assert_true (choir_json_gate_check (out->str, out->len, &json_limits, NULL, &error));
  g_assert_no_error (error);

  return out;
}

static ChoirFrame *
write_text (const char *json, gsize len, gboolean expected)
{
  ChoirFrameBuilder builder;

  choir_frame_builder_init (&builder, 0);
  g_assert_true (choir_cbor_write (&builder, (ChoirSlice){ json, len }) == expected);

  return choir_frame_builder_end (&builder, CHOIR_OPCODE_BINARY, FALSE);
}

static void
assert_read (const char *hex, const char *expected)
{
  g_autoptr (GByteArray) bytes = from_hex (hex);
  g_autoptr (GString) text = read_bytes (bytes->data, bytes->len);

  g_assert_cmpstr (text->str, ==, expected);
}

static void
assert_written (const char *json, const char *expected)
{
  g_autoptr (ChoirFrame) frame = write_text (json, strlen (json), TRUE);
  gsize len;
  const guint8 *data = choir_frame_get_payload (frame, &len);
  g_autofree char *hex = to_hex (data, len);

  g_assert_cmpstr (hex, ==, expected);
}

static void
assert_bytes_refused (const guint8 *data, gsize len, gsize at, const char *expected)
{
  g_autofree char *message =
    g_strdup_printf ("Invalid CBOR at byte %" G_GSIZE_FORMAT ": expected %s", at, expected);
  g_autoptr (GString) out = g_string_new ("before");
  g_autoptr (GError) error = NULL;

  g_assert_false (choir_cbor_read (data, len, &limits, out, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_INVALID_MESSAGE);
  g_assert_cmpstr (error->message, ==, message);
  g_assert_cmpstr (out->str, ==, "before");
}

static void
assert_refused (const char *hex, gsize at, const char *expected)
{
  g_autoptr (GByteArray) bytes = from_hex (hex);

  assert_bytes_refused (bytes->data, bytes->len, at, expected);
}

/* RFC 8949 appendix A. The item, the JSON it is read as, and whether that is written as the same
 * item again */
static const struct
{
  const char *hex;
  const char *json;
  gboolean both_ways;
} vectors[] = {
  { "00", "0", TRUE },
  { "01", "1", TRUE },
  { "0a", "10", TRUE },
  { "17", "23", TRUE },
  { "1818", "24", TRUE },
  { "1819", "25", TRUE },
  { "1864", "100", TRUE },
  { "1903e8", "1000", TRUE },
  { "1a000f4240", "1000000", TRUE },
  { "1b000000e8d4a51000", "1000000000000", TRUE },
  { "20", "-1", TRUE },
  { "29", "-10", TRUE },
  { "3863", "-100", TRUE },
  { "3903e7", "-1000", TRUE },
  { "f90000", "0.0", TRUE },
  { "f98000", "-0.0", TRUE },
  { "f93c00", "1.0", TRUE },
  { "fb3ff199999999999a", "1.1", TRUE },
  { "f93e00", "1.5", TRUE },
  { "f97bff", "65504.0", TRUE },
  { "fa47c35000", "100000.0", TRUE },
  { "fa7f7fffff", "3.4028234663852886e+38", TRUE },
  { "fb7e37e43c8800759c", "1e+300", TRUE },
  { "f90001", "5.9604644775390625e-08", TRUE },
  { "f90400", "0.00006103515625", TRUE },
  { "f9c400", "-4.0", TRUE },
  { "fbc010666666666666", "-4.1", TRUE },
  { "f4", "false", TRUE },
  { "f5", "true", TRUE },
  { "f6", "null", TRUE },
  { "60", "\"\"", TRUE },
  { "6161", "\"a\"", TRUE },
  { "6449455446", "\"IETF\"", TRUE },
  { "62225c", "\"\\\"\\\\\"", TRUE },
  { "62c3bc", "\"\303\274\"", TRUE },
  { "63e6b0b4", "\"\346\260\264\"", TRUE },
  { "64f0908591", "\"\360\220\205\221\"", TRUE },
  { "80", "[]", TRUE },
  { "83010203", "[1,2,3]", TRUE },
  { "8301820203820405", "[1,[2,3],[4,5]]", TRUE },
  { "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
    "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25]", TRUE },
  { "a0", "{}", TRUE },
  { "a26161016162820203", "{\"a\":1,\"b\":[2,3]}", TRUE },
  { "826161a161626163", "[\"a\",{\"b\":\"c\"}]", TRUE },
  { "a56161614161626142616361436164614461656145",
    "{\"a\":\"A\",\"b\":\"B\",\"c\":\"C\",\"d\":\"D\",\"e\":\"E\"}", TRUE },
  { "7f657374726561646d696e67ff", "\"streaming\"", FALSE },
  { "9fff", "[]", FALSE },
  { "9f018202039f0405ffff", "[1,[2,3],[4,5]]", FALSE },
  { "9f01820203820405ff", "[1,[2,3],[4,5]]", FALSE },
  { "83018202039f0405ff", "[1,[2,3],[4,5]]", FALSE },
  { "83019f0203ff820405", "[1,[2,3],[4,5]]", FALSE },
  { "9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff",
    "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25]", FALSE },
  { "bf61610161629f0203ffff", "{\"a\":1,\"b\":[2,3]}", FALSE },
  { "826161bf61626163ff", "[\"a\",{\"b\":\"c\"}]", FALSE },
  { "bf6346756ef563416d7421ff", "{\"Fun\":true,\"Amt\":-2}", FALSE },
};

static void
test_vectors (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (vectors); i++)
    {
      g_autofree char *hex = g_strconcat (member, vectors[i].hex, NULL);
      g_autofree char *json = g_strconcat ("{\"v\":", vectors[i].json, "}", NULL);

      assert_read (hex, json);
      if (vectors[i].both_ways)
        {
          assert_written (json, hex);
          assert_written (vectors[i].json, vectors[i].hex);
        }
    }
}

/* Those of appendix A for which JSON has nothing */
static void
test_vectors_refused (void)
{
  static const struct
  {
    const char *hex;
    const char *expected;
  } rows[] = {
    { "1bffffffffffffffff", "an integer within 2^53 either way" },
    { "c249010000000000000000", "no tag" },
    { "3bffffffffffffffff", "an integer within 2^53 either way" },
    { "c349010000000000000000", "no tag" },
    { "f97c00", "a finite number" },
    { "f97e00", "a finite number" },
    { "f9fc00", "a finite number" },
    { "fa7f800000", "a finite number" },
    { "fa7fc00000", "a finite number" },
    { "faff800000", "a finite number" },
    { "fb7ff0000000000000", "a finite number" },
    { "fb7ff8000000000000", "a finite number" },
    { "fbfff0000000000000", "a finite number" },
    { "f7", "no simple value besides false, true and null" },
    { "f0", "no simple value besides false, true and null" },
    { "f8ff", "no simple value besides false, true and null" },
    { "c074323031332d30332d32315432303a30343a30305a", "no tag" },
    { "c11a514b67b0", "no tag" },
    { "c1fb41d452d9e2000000", "no tag" },
    { "d74401020304", "no tag" },
    { "d818456449455446", "no tag" },
    { "d82076687474703a2f2f7777772e6578616d706c652e636f6d", "no tag" },
    { "40", "no byte string" },
    { "4401020304", "no byte string" },
    { "5f42010243030405ff", "no byte string" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *hex = g_strconcat (member, rows[i].hex, NULL);

      assert_refused (hex, 3, rows[i].expected);
    }

  /* keys that are no text */
  assert_refused ("a16176a201020304", 4, "a text string as key");
}

static void
test_malformed (void)
{
  /* what a message is */
  assert_bytes_refused (NULL, 0, 0, "more bytes");
  assert_refused ("01", 0, "a map, or an array of maps");
  assert_refused ("6161", 0, "a map, or an array of maps");
  assert_refused ("d9d9f7a0", 0, "a map, or an array of maps");
  assert_refused ("ff", 0, "a map, or an array of maps");
  assert_refused ("8101", 1, "a map");
  assert_refused ("82a080", 2, "a map");
  assert_refused ("a000", 1, "the end of the message");
  assert_refused ("81a0a0", 2, "the end of the message");

  /* cut off */
  assert_refused ("a1", 0, "all pairs of the map");
  assert_refused ("81", 0, "all items of the array");
  assert_refused ("bf", 1, "more bytes");
  assert_refused ("bf6176", 3, "more bytes");
  assert_refused ("bf617601", 4, "more bytes");
  assert_refused ("a161761a0000", 3, "the rest of this item");
  assert_refused ("a16178656162", 3, "the rest of this item");
  assert_refused ("a161767f6161", 6, "more bytes");
  assert_refused ("b8", 0, "the rest of this item");

  /* additional information 28 to 30 is reserved, section 3 */
  assert_refused ("a161761c", 3, "a head that CBOR knows");
  assert_refused ("a161763d", 3, "a head that CBOR knows");
  assert_refused ("a161767e", 3, "a head that CBOR knows");
  assert_refused ("a161769c", 3, "a head that CBOR knows");
  assert_refused ("a16176bd", 3, "a head that CBOR knows");
  assert_refused ("bc", 0, "a head that CBOR knows");
  /* and of integers 31 as well */
  assert_refused ("a161761f", 3, "a head that CBOR knows");
  assert_refused ("a161763f", 3, "a head that CBOR knows");
}

static void
test_breaks (void)
{
  assert_refused ("a1ff00", 1, "no end here");
  assert_refused ("bf6176ff", 3, "the key's value");
  assert_refused ("a16176ff", 3, "the key's value");
  assert_refused ("a1617681ff", 4, "no end here");
  assert_refused ("a16176830102ff", 6, "no end here");
  assert_refused ("81ff", 1, "no end here");
  assert_refused ("a0ff", 1, "the end of the message");
  assert_read ("9fbfffbf6161f6ffa0ff", "[{},{\"a\":null},{}]");
  assert_read ("bf61769f9fff9f80ffffff", "{\"v\":[[],[[]]]}");
}

static void
test_pieces (void)
{
  assert_read ("a161767fff", "{\"v\":\"\"}");
  assert_read ("a161767f6060ff", "{\"v\":\"\"}");
  assert_read ("a161767f610a612260ff", "{\"v\":\"\\n\\\"\"}");
  assert_read ("bf7f61616162ff01ff", "{\"ab\":1}");
  assert_refused ("a161767f01ff", 4, "a piece of the text string, or its end");
  assert_refused ("a161767f4161ff", 4, "a piece of the text string, or its end");
  /* section 3.2.3: pieces are definite, and whole characters */
  assert_refused ("a161767f7fffff", 4, "a piece of the text string, or its end");
  assert_refused ("a161767f61c361bcff", 4, "valid UTF-8");
}

static void
test_text (void)
{
  assert_read ("a161766401090a7f", "{\"v\":\"\\u0001\\t\\n\177\"}");
  assert_read ("a1617663e282ac", "{\"v\":\"\342\202\254\"}");
  assert_read ("a1613c613e", "{\"<\":\">\"}");
  assert_refused ("a161766100", 3, "a character other than NUL");
  assert_refused ("a1610001", 1, "a character other than NUL");
  assert_refused ("a1617661ff", 3, "valid UTF-8");
  assert_refused ("a1617662c080", 3, "valid UTF-8");
  assert_refused ("a1617663eda080", 3, "valid UTF-8");
  assert_refused ("a1617664f4908080", 3, "valid UTF-8");
}

static void
test_keys (void)
{
  assert_refused ("a2617601617602", 4, "a key that was not there before");
  assert_refused ("bf61760161760261", 4, "a key that was not there before");
  assert_refused ("a262616201"
                  "7f61616162ff02",
                  5, "a key that was not there before");
  assert_refused ("a2610a01610a02", 4, "a key that was not there before");
  assert_refused ("82a0a2617601617602", 6, "a key that was not there before");
  /* not of one message, or not of a message at all: as with JSON */
  assert_read ("82a1617601a1617602", "[{\"v\":1},{\"v\":2}]");
  assert_read ("a16176a2617601617602", "{\"v\":{\"v\":1,\"v\":2}}");
  assert_read ("a26176016277"
               "7602",
               "{\"v\":1,\"wv\":2}");
}

/* More members than the gate takes: it is the gate that says so */
static void
test_many_keys (void)
{
  g_autoptr (GByteArray) bytes = from_hex ("b8ff");
  g_autoptr (GString) text = NULL;
  g_autoptr (GError) error = NULL;
  ChoirJsonObject object;

  for (guint i = 0; i < 255; i++)
    {
      guint8 pair[] = { 0x62, (guint8) ('a' + i / 16), (guint8) ('a' + i % 16), 0 };

      g_byte_array_append (bytes, pair, sizeof pair);
    }

  text = read_bytes (bytes->data, bytes->len);
  g_assert_false (choir_json_gate_scan (text->str, text->len, &json_limits, &object, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_INVALID_MESSAGE);
}

/* Whatever the first byte of a value: it is taken, or refused for what it is */
static void
test_every_head (void)
{
  guint n_taken = 0;

  for (guint head = 0; head < 256; head++)
    {
      guint8 bytes[3 + 1 + 300] = { 0xa1, 0x61, 0x76, (guint8) head };
      g_autoptr (GString) out = g_string_new (NULL);
      g_autoptr (GError) error = NULL;

      /* with every length of what follows: zeroes are numbers, empty strings, no character */
      for (gsize len = 4; len <= sizeof bytes; len++)
        if (choir_cbor_read (bytes, len, &limits, out, NULL))
          {
            n_taken++;
            g_assert_true (choir_json_gate_check (out->str, out->len, &json_limits, NULL, &error));
            g_assert_no_error (error);
            break;
          }
    }

  /* with zeroes behind them: integers of 24 small values and four lengths, either way; the empty
   * string, and said in four lengths; arrays of up to 23 zeroes, and empty ones; empty maps, as a
   * zero is no key; three words; three kinds of floating-point numbers */
  g_assert_cmpuint (n_taken, ==, 28 + 28 + 5 + 28 + 5 + 3 + 3);
}

static void
test_depth (void)
{
  for (guint depth = 1; depth < 40; depth++)
    {
      g_autoptr (GString) hex = g_string_new (member);
      g_autoptr (GByteArray) bytes = NULL;

      /* the map is the first level */
      for (guint i = 1; i < depth; i++)
        g_string_append (hex, i % 2 == 0 ? "81" : "9f");
      g_string_append (hex, "00");
      for (guint i = 1; i < depth; i++)
        if ((depth - i) % 2 != 0)
          g_string_append (hex, "ff");

      bytes = from_hex (hex->str);
      if (depth <= limits.max_depth)
        {
          g_autoptr (GString) text = read_bytes (bytes->data, bytes->len);

          g_assert_true (g_str_has_prefix (text->str, "{\"v\":"));
        }
      else
        assert_bytes_refused (bytes->data, bytes->len, 3 + 31, "less nesting");
    }
}

/* As much nesting as fits a message: refused where the limit is, whatever comes behind */
static void
test_bombs (void)
{
  static const guint8 heads[] = { 0x81, 0x9f, 0x98, 0x9b, 0xa1, 0xbf, 0xbb };

  for (guint i = 0; i < G_N_ELEMENTS (heads); i++)
    {
      g_autoptr (GByteArray) bytes = from_hex (member);
      g_autoptr (GString) out = g_string_new (NULL);
      g_autoptr (GError) error = NULL;

      for (guint n = 0; n < 100000; n++)
        {
          g_byte_array_append (bytes, &heads[i], 1);
          if (heads[i] == 0x98)
            g_byte_array_append (bytes, (const guint8 *) "\1", 1);
          else if (heads[i] == 0x9b || heads[i] == 0xbb)
            g_byte_array_append (bytes, (const guint8 *) "\0\0\0\0\0\0\0\1", 8);
          if (heads[i] >= 0xa0)
            g_byte_array_append (bytes, (const guint8 *) "\x61k", 2);
        }

      g_assert_false (choir_cbor_read (bytes->data, bytes->len, &limits, out, &error));
      g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_INVALID_MESSAGE);
      g_assert_true (g_str_has_suffix (error->message, ": expected less nesting"));
      g_assert_cmpuint (out->allocated_len, <, 1024);
    }
}

/* Lengths that no message has: found out by comparing, nothing is allocated for them */
static void
test_huge_lengths (void)
{
  static const char *const lengths[] = { "ba7fffffff", "baffffffff", "bb7fffffffffffffff",
                                         "bb8000000000000000", "bbffffffffffffffff" };
  static const char *const items[] = {
    "5affffffff",         "5bffffffffffffffff", "7affffffff",        "7b7fffffffffffffff",
    "7bffffffffffffffff", "7bfffffffffffffff0", "9affffffff",        "9bffffffffffffffff",
    "9b8000000000000000", "bbffffffffffffffff", "bb8000000000000001"
  };

  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      g_autofree char *hex = g_strconcat (lengths[i], "617600617700", NULL);

      assert_refused (hex, 0, "all pairs of the map");
    }

  for (guint i = 0; i < G_N_ELEMENTS (items); i++)
    {
      g_autofree char *hex = g_strconcat (member, items[i], "0000000000", NULL);
      g_autoptr (GByteArray) bytes = from_hex (hex);
      g_autoptr (GString) out = g_string_new (NULL);
      g_autoptr (GError) error = NULL;

      g_assert_false (choir_cbor_read (bytes->data, bytes->len, &limits, out, &error));
      g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_INVALID_MESSAGE);
      g_assert_true (g_str_has_prefix (error->message, "Invalid CBOR at byte 3: expected "));
      g_assert_cmpuint (out->allocated_len, <, 1024);
    }
}

static void
assert_size (const GByteArray *bytes, gsize size)
{
  ChoirCborLimits tight = { 32, size };
  g_autoptr (GString) out = g_string_new ("x");
  g_autoptr (GError) error = NULL;
  g_autofree char *message =
    g_strdup_printf ("As JSON the message is larger than %" G_GSIZE_FORMAT " bytes", size - 1);

  g_assert_true (choir_cbor_read (bytes->data, bytes->len, &tight, out, NULL));
  g_assert_cmpuint (out->len, ==, size + 1);

  g_string_truncate (out, 1);
  tight.max_bytes--;
  g_assert_false (choir_cbor_read (bytes->data, bytes->len, &tight, out, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_TOO_LARGE);
  g_assert_cmpstr (error->message, ==, message);
  g_assert_cmpstr (out->str, ==, "x");
}

/* JSON may take several times the bytes: the limit holds for it, not only for what came in */
static void
test_size (void)
{
  g_autoptr (GByteArray) controls = from_hex ("a16176"
                                              "7903e8");
  g_autoptr (GByteArray) words = from_hex ("a16176"
                                           "9903e8");
  g_autoptr (GByteArray) halves = from_hex ("a16176"
                                            "9903e8");

  for (guint i = 0; i < 1000; i++)
    {
      g_byte_array_append (controls, (const guint8 *) "\1", 1);
      g_byte_array_append (words, (const guint8 *) "\xf4", 1);
      g_byte_array_append (halves, (const guint8 *) "\xf9\0\1", 3);
    }

  assert_size (controls, strlen ("{\"v\":\"\"}") + 1000 * strlen ("\\u0001"));
  assert_size (words, strlen ("{\"v\":[]}") + 1000 * strlen ("false,") - 1);
  assert_size (halves, strlen ("{\"v\":[]}") + 1000 * strlen ("5.9604644775390625e-08,") - 1);
}

static void
test_integers (void)
{
  assert_read ("a161761b0020000000000000", "{\"v\":9007199254740992}");
  assert_read ("a161763b001fffffffffffff", "{\"v\":-9007199254740992}");
  assert_refused ("a161761b0020000000000001", 3, "an integer within 2^53 either way");
  assert_refused ("a161763b0020000000000000", 3, "an integer within 2^53 either way");
  /* in more bytes than it takes */
  assert_read ("a161761b0000000000000005", "{\"v\":5}");
  assert_read ("a161763900ff", "{\"v\":-256}");
  assert_read ("b90001780161"
               "9900020102",
               "{\"a\":[1,2]}");

  /* JSON that others publish may hold more */
  assert_written ("18446744073709551615", "1bffffffffffffffff");
  assert_written ("-18446744073709551615", "3bfffffffffffffffe");
  assert_written ("18446744073709551616", "fa5f800000");
  assert_written ("-18446744073709551616", "fadf800000");
  assert_written ("-0", "f98000");
  assert_written ("1e2", "f95640");
  assert_written ("100000000000000000000", "fb4415af1d78b58c40");
  /* as every JSON parser has it */
  assert_written ("1e400", "f97c00");
  assert_written ("-1e400", "f9fc00");
  assert_written ("1e-400", "f90000");
}

static void
test_long_numbers (void)
{
  g_autofree char *nines = g_strnfill (60000, '9');
  g_autofree char *fraction = g_strconcat ("0.", nines, NULL);
  g_autofree char *tiny = g_strnfill (60000, '0');

  memcpy (tiny + 60000 - 4, "5e-1", 4);
  tiny[1] = '.';
  assert_written (nines, "f97c00");
  assert_written (fraction, "f93c00");
  assert_written (tiny, "f90000");
}

static double
get_half (guint bits)
{
  guint exponent = bits >> 10 & 31;
  guint fraction = bits & 1023;
  double size =
    exponent == 0 ? ldexp (fraction, -24) : ldexp (1024 + fraction, (int) exponent - 25);

  return bits & 0x8000 ? -size : size;
}

/* Numbers by the ten thousand: memory is taken once */
typedef struct
{
  GString *text;
  ChoirFrameBuilder item;
  GRand *rand;
} Numbers;

static void
numbers_init (Numbers *self)
{
  self->text = g_string_new (NULL);
  choir_frame_builder_init (&self->item, 256);
  self->rand = g_rand_new_with_seed (1);
}

static void
numbers_clear (Numbers *self)
{
  g_string_free (self->text, TRUE);
  choir_frame_builder_clear (&self->item);
  g_rand_free (self->rand);
}

/* Reads {"v": @number}; the text must mean the same number and be written as @number again */
static void
check_number (Numbers *self, const guint8 *number, gsize len, double expected)
{
  guint8 bytes[16] = { 0xa1, 0x61, 'v' };
  g_autoptr (GError) error = NULL;
  double value;

  memcpy (bytes + 3, number, len);
  g_string_truncate (self->text, 0);
  choir_cbor_read (bytes, 3 + len, &limits, self->text, &error);
  g_assert_no_error (error);
  value = g_ascii_strtod (self->text->str + strlen ("{\"v\":"), NULL);
  g_assert_cmpmem (&value, sizeof value, &expected, sizeof expected);
  g_assert_nonnull (strpbrk (self->text->str, ".e"));

  self->item.len = 0;
  g_assert_true (choir_cbor_write (&self->item, (ChoirSlice){ self->text->str, self->text->len }));
  g_assert_cmpmem (choir_frame_builder_get_payload (&self->item), self->item.len, bytes, 3 + len);
}

static void
test_all_halves (void)
{
  Numbers numbers;

  numbers_init (&numbers);
  for (guint bits = 0; bits < 0x10000; bits++)
    {
      guint8 number[] = { 0xf9, (guint8) (bits >> 8), (guint8) bits };

      if ((bits & 0x7c00) != 0x7c00)
        check_number (&numbers, number, sizeof number, get_half (bits));
    }
  numbers_clear (&numbers);
}

/* The last bit set: no shorter form holds it */
static void
test_random_singles (void)
{
  Numbers numbers;

  numbers_init (&numbers);
  for (guint i = 0; i < 20000; i++)
    {
      guint32 bits = g_rand_int (numbers.rand) | 1;
      guint8 number[5] = { 0xfa };
      float value;

      memcpy (&value, &bits, sizeof value);
      bits = GUINT32_TO_BE (bits);
      memcpy (number + 1, &bits, sizeof bits);
      if (isfinite (value))
        check_number (&numbers, number, sizeof number, (double) value);
    }
  numbers_clear (&numbers);
}

static void
test_random_doubles (void)
{
  Numbers numbers;

  numbers_init (&numbers);
  for (guint i = 0; i < 20000; i++)
    {
      guint64 bits = (guint64) g_rand_int (numbers.rand) << 32 | g_rand_int (numbers.rand) | 1;
      guint8 number[9] = { 0xfb };
      double value;

      memcpy (&value, &bits, sizeof value);
      bits = GUINT64_TO_BE (bits);
      memcpy (number + 1, &bits, sizeof bits);
      if (isfinite (value))
        check_number (&numbers, number, sizeof number, value);
    }
  numbers_clear (&numbers);
}

/* Without the zeroes at both ends, and the exponent */
static guint
count_digits (const char *text)
{
  guint n = 0;
  guint n_zeroes = 0;

  for (; *text != '\0' && *text != 'e'; text++)
    if (*text == '0' && n > 0)
      n_zeroes++;
    else if (*text >= '1' && *text <= '9')
      {
        n += n_zeroes + 1;
        n_zeroes = 0;
      }

  return n;
}

/* Of the sizes that measurements have: written without printf(), in as few digits as it would take
 */
static void
test_measurements (void)
{
  Numbers numbers;

  numbers_init (&numbers);
  for (guint i = 0; i < 40000; i++)
    {
      double value =
        ldexp (1 + g_rand_double (numbers.rand), g_rand_int_range (numbers.rand, -20, 54));
      char expected[32];

      /* powers of two, whose neighbours are not equally far away, and what is next to them */
      if (i % 8 == 0)
        value =
          ldexp (1, g_rand_int_range (numbers.rand, -20, 54)) * (1 + (double) (i % 3) * 0x1p-52);
      g_string_truncate (numbers.text, 0);
      choir_json_append_double (numbers.text, value);
      g_assert_true (
        choir_json_gate_check (numbers.text->str, numbers.text->len, &json_limits, NULL, NULL));
      g_assert_nonnull (strpbrk (numbers.text->str, ".e"));
      for (int digits = 15; digits <= 17; digits++)
        {
          g_snprintf (expected, sizeof expected, "%.*e", digits - 1, value);
          if (g_ascii_strtod (expected, NULL) <= value && g_ascii_strtod (expected, NULL) >= value)
            break;
        }
      g_assert_cmpuint (count_digits (numbers.text->str), <=, count_digits (expected));
      value = g_ascii_strtod (numbers.text->str, NULL) - value;
      g_assert_true (value <= 0 && value >= 0);
    }
  numbers_clear (&numbers);
}

/* What people write has few digits, and must come back with as few */
static void
test_short_decimals (void)
{
  Numbers numbers;

  numbers_init (&numbers);
  for (guint i = 0; i < 20000; i++)
    {
      char json[64];

      g_snprintf (json, sizeof json, "{\"v\":%s%d.%0*d}", i % 2 ? "-" : "",
                  g_rand_int_range (numbers.rand, 0, 99999), g_rand_int_range (numbers.rand, 1, 10),
                  g_rand_int_range (numbers.rand, 1, 10));
      numbers.item.len = 0;
      g_string_truncate (numbers.text, 0);
      g_assert_true (choir_cbor_write (&numbers.item, choir_slice (json)));
      g_assert_true (choir_cbor_read (choir_frame_builder_get_payload (&numbers.item),
                                      numbers.item.len, &limits, numbers.text, NULL));
      g_assert_cmpstr (numbers.text->str, ==, json);
    }
  numbers_clear (&numbers);
}

static void
test_strings_written (void)
{
  assert_written ("\"\\u00fc\\u6c34\\ud800\\udd51\"", "69c3bce6b0b4f0908591");
  assert_written ("\"\\b\\f\\n\\r\\t\\/\\\\\\\"\"", "68080c0a0d092f5c22");
  assert_written (" { \"a\\n\" : [ 1 , \"\\\"\" ] , \"b\":{ } } ", "a262610a8201612261"
                                                                   "62a0");

  /* lengths that take another head */
  for (guint len = 20; len < 70000; len = len * 5 / 4)
    for (guint escapes = 0; escapes < 2; escapes++)
      {
        g_autofree char *contents = g_strnfill (len, 'x');
        g_autoptr (GString) json = g_string_new ("{\"v\":");
        g_autoptr (ChoirFrame) frame = NULL;
        g_autoptr (GString) text = NULL;
        const ChoirCborLimits wide = { 32, 1 << 20 };
        const guint8 *data;
        gsize data_len;

        if (escapes != 0)
          contents[0] = '\n';
        choir_json_append_string (json, contents, -1);
        g_string_append_c (json, '}');
        frame = write_text (json->str, json->len, TRUE);
        data = choir_frame_get_payload (frame, &data_len);
        g_assert_cmpuint (data_len, ==,
                          3 +
                            (len < 24      ? 1
                             : len < 256   ? 2
                             : len < 65536 ? 3
                                           : 5) +
                            len);

        text = g_string_new (NULL);
        g_assert_true (choir_cbor_read (data, data_len, &wide, text, NULL));
        g_assert_cmpstr (text->str, ==, json->str);
      }
}

/* Containers whose head grows when they are closed, in each other */
static void
test_long_containers (void)
{
  static const guint counts[] = { 23, 24, 255, 256, 65535, 65536 };
  const ChoirCborLimits wide = { 32, 1 << 20 };

  for (guint i = 0; i < G_N_ELEMENTS (counts); i++)
    {
      g_autoptr (GString) json = g_string_new ("{\"v\":[[");
      g_autoptr (ChoirFrame) frame = NULL;
      g_autoptr (GString) text = g_string_new (NULL);
      const guint8 *data;
      gsize len;

      for (guint n = 0; n < counts[i]; n++)
        g_string_append (json, n == 0 ? "7" : ",7");
      g_string_append (json, "],{");
      for (guint n = 0; n < counts[i] / 8; n++)
        g_string_append_printf (json, "%s\"%u\":%u", n == 0 ? "" : ",", n, n);
      g_string_append (json, "}]}");

      frame = write_text (json->str, json->len, TRUE);
      data = choir_frame_get_payload (frame, &len);
      g_assert_true (choir_cbor_read (data, len, &wide, text, NULL));
      g_assert_cmpstr (text->str, ==, json->str);
    }
}

/* Deeper than the gate lets anything be: the levels there are room for, closed */
static void
test_deep_written (void)
{
  g_autofree char *json = g_strnfill (100000, '[');
  g_autoptr (ChoirFrame) frame = write_text (json, strlen (json), FALSE);
  gsize len;
  const guint8 *data = choir_frame_get_payload (frame, &len);

  g_assert_cmpuint (len, >, 130);
  g_assert_cmpuint (len, <, 1000);
  for (gsize i = 0; i < len; i++)
    g_assert_cmpuint (data[i], ==, i + 1 < len ? 0x81 : 0x80);
}

static void
assert_broken (const char *json, const char *expected)
{
  g_autoptr (ChoirFrame) frame = write_text (json, strlen (json), FALSE);
  gsize len;
  const guint8 *data = choir_frame_get_payload (frame, &len);
  g_autofree char *hex = to_hex (data, len);

  g_assert_cmpstr (hex, ==, expected);
}

static void
test_broken_written (void)
{
  assert_broken ("", "f6");
  assert_broken ("x", "f6");
  assert_broken ("1 2", "01");
  assert_broken ("\"abc", "f6");
  assert_broken ("\"a\\", "f6");
  assert_broken ("\"a\\\"", "f6");
  assert_broken ("[", "80");
  assert_broken ("[1,", "8101");
  assert_broken ("[1 2]", "8101");
  assert_broken ("{\"a\"", "a16161f6");
  assert_broken ("{\"a\":", "a16161f6");
  assert_broken ("{\"a\":[{\"b\":", "a1616181a16162f6");
  assert_broken ("{\"a\":1,\"b\":[2,{", "a261610161628202a0");
  assert_broken ("{1:2}", "a0");
}

static void
append_random_text (GRand *rand, GString *json)
{
  static const char *const pieces[] = { "a",
                                        "B",
                                        "\n",
                                        "\"",
                                        "\\",
                                        "<",
                                        "\303\274",
                                        "\346\260\264",
                                        "\360\237\230\200",
                                        "\1",
                                        "/",
                                        " long plain text " };
  g_autoptr (GString) text = g_string_new (NULL);

  for (int n = g_rand_int_range (rand, 0, 12); n > 0; n--)
    g_string_append (text, pieces[g_rand_int_range (rand, 0, G_N_ELEMENTS (pieces))]);

  choir_json_append_string (json, text->str, (gssize) text->len);
}

static void
append_random_number (GRand *rand, GString *json)
{
  gint64 integer = (gint64) ((guint64) g_rand_int (rand) << 21 ^ (guint32) g_rand_int (rand));

  switch (g_rand_int_range (rand, 0, 3))
    {
    case 0:
      g_string_append_printf (json, "%d", g_rand_int_range (rand, -300, 300));
      break;

    case 1:
      g_string_append_printf (json, "%" G_GINT64_FORMAT, integer);
      break;

    default:
      g_string_append_printf (json, "%d.%d", g_rand_int_range (rand, -300, 300),
                              g_rand_int_range (rand, 0, 10));
      break;
    }
}

static void append_random_value (GRand *rand, GString *json, guint depth);

static void
append_random_container (GRand *rand, GString *json, guint depth, gboolean is_object)
{
  int n = g_rand_boolean (rand) ? g_rand_int_range (rand, 0, 4) : g_rand_int_range (rand, 0, 30);

  g_string_append_c (json, is_object ? '{' : '[');
  for (int i = 0; i < n; i++)
    {
      if (i > 0)
        g_string_append_c (json, ',');
      if (is_object)
        g_string_append_printf (json, "\"%d\":", i);
      append_random_value (rand, json, depth - 1);
    }
  g_string_append_c (json, is_object ? '}' : ']');
}

static void
append_random_value (GRand *rand, GString *json, guint depth)
{
  int kind = g_rand_int_range (rand, 0, depth > 0 ? 8 : 5);

  if (kind == 0)
    g_string_append (json, g_rand_boolean (rand) ? "true" : "false");
  else if (kind == 1)
    g_string_append (json, "null");
  else if (kind == 2)
    append_random_text (rand, json);
  else if (kind < 5)
    append_random_number (rand, json);
  else
    append_random_container (rand, json, depth, kind == 5);
}

/* Compact JSON comes back as it was; and any beginning of its CBOR, or with a byte changed, is
 * refused or is something the gate takes */
static void
test_round_trips (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (3);
  const ChoirCborLimits wide = { 32, 1 << 20 };

  for (guint i = 0; i < 500; i++)
    {
      g_autoptr (GString) json = g_string_new (NULL);
      g_autoptr (GString) text = g_string_new (NULL);
      g_autoptr (ChoirFrame) frame = NULL;
      g_autofree guint8 *copy = NULL;
      const guint8 *data;
      gsize len;
      gsize cut;

      append_random_container (rand, json, 4, TRUE);
      frame = write_text (json->str, json->len, TRUE);
      data = choir_frame_get_payload (frame, &len);
      g_assert_true (choir_cbor_read (data, len, &wide, text, NULL));
      g_assert_cmpstr (text->str, ==, json->str);

      cut = (gsize) g_rand_int_range (rand, 0, (gint32) len);
      copy = g_memdup2 (data, len);
      g_assert_false (choir_cbor_read (copy, cut, &wide, text, NULL));
      copy[cut] = (guint8) g_rand_int (rand);
      g_string_truncate (text, 0);
      if (choir_cbor_read (copy, len, &wide, text, NULL))
        g_assert_true (choir_json_gate_check (text->str, text->len, &json_limits, NULL, NULL));
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/cbor/vectors", test_vectors);
  g_test_add_func ("/cbor/vectors-refused", test_vectors_refused);
  g_test_add_func ("/cbor/malformed", test_malformed);
  g_test_add_func ("/cbor/breaks", test_breaks);
  g_test_add_func ("/cbor/pieces", test_pieces);
  g_test_add_func ("/cbor/text", test_text);
  g_test_add_func ("/cbor/keys", test_keys);
  g_test_add_func ("/cbor/many-keys", test_many_keys);
  g_test_add_func ("/cbor/every-head", test_every_head);
  g_test_add_func ("/cbor/depth", test_depth);
  g_test_add_func ("/cbor/bombs", test_bombs);
  g_test_add_func ("/cbor/huge-lengths", test_huge_lengths);
  g_test_add_func ("/cbor/size", test_size);
  g_test_add_func ("/cbor/integers", test_integers);
  g_test_add_func ("/cbor/long-numbers", test_long_numbers);
  g_test_add_func ("/cbor/all-halves", test_all_halves);
  g_test_add_func ("/cbor/random-singles", test_random_singles);
  g_test_add_func ("/cbor/random-doubles", test_random_doubles);
  g_test_add_func ("/cbor/measurements", test_measurements);
  g_test_add_func ("/cbor/short-decimals", test_short_decimals);
  g_test_add_func ("/cbor/strings-written", test_strings_written);
  g_test_add_func ("/cbor/long-containers", test_long_containers);
  g_test_add_func ("/cbor/deep-written", test_deep_written);
  g_test_add_func ("/cbor/broken-written", test_broken_written);
  g_test_add_func ("/cbor/round-trips", test_round_trips);

  return g_test_run ();
}
