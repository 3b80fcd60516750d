/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "frame-stream.h"

static const ChoirFrameLimits limits = { .max_message = 1000 };

/* What the parser says to @hex. Most frames have the mask 00000000, to be readable */
typedef struct
{
  const char *hex;
  const char *events;
} Row;

static const Row good_rows[] = {
  /* RFC 6455 5.7, the ones a client may send */
  { "8185 37fa213d 7f9f4d5158", "text 'Hello'" },
  { "8a85 37fa213d 7f9f4d5158", "pong 'Hello'" },
  { "8985 37fa213d 7f9f4d5158", "ping 'Hello'" },
  { "0183 00000000 48656c 8082 00000000 6c6f", "text 'Hello'" },
  /* empty messages and fragments */
  { "8180 00000000", "text ''" },
  { "8280 00000000", "binary ''" },
  { "8180 deadbeef 8280 deadbeef", "text ''; binary ''" },
  { "0180 00000000 8080 00000000", "text ''" },
  { "0180 00000000 0080 00000000 8081 00000000 41", "text 'A'" },
  { "0181 00000000 41 0080 00000000 8080 00000000", "text 'A'" },
  { "8282 01020304 fffc", "binary '\\fe\\fe'" },
  /* control frames by themselves and between fragments */
  { "8980 00000000", "ping ''" },
  { "8a80 00000000", "pong ''" },
  { "0181 00000000 41 8981 00000000 70 8081 00000000 42", "ping 'p'; text 'AB'" },
  { "0181 01010101 40 8a81 02020202 72 8982 03030303 7273 0081 04040404 46 8081 05050505 46",
    "pong 'p'; ping 'qp'; text 'ABC'" },
  { "0181 00000000 41 8980 00000000 8880 00000000", "ping ''; close 1005 ''" },
  /* characters over pieces and fragments: U+03BA, U+20AC, U+1F600 */
  { "0181 00000000 ce 8081 00000000 ba", "text '\\ce\\ba'" },
  { "0182 00000000 41e2 0081 00000000 82 8981 00000000 ff 8081 00000000 ac",
    "ping '\\ff'; text 'A\\e2\\82\\ac'" },
  { "0181 00000000 f0 0081 00000000 9f 0080 00000000 0081 00000000 98 8081 00000000 80",
    "text '\\f0\\9f\\98\\80'" },
  { "8183 00000000 efbfbf", "text '\\ef\\bf\\bf'" },
  { "8281 00000000 ff", "binary '\\ff'" },
  { "0281 00000000 ff 8081 00000000 fe", "binary '\\ff\\fe'" },
  { "0281 00000000 ce 8081 00000000 41 8181 00000000 41", "binary '\\ceA'; text 'A'" },
  { "8184 00000000 00410042", "text '\\00A\\00B'" },
  /* closing */
  { "8880 00000000", "close 1005 ''" },
  { "8882 00000000 03e8", "close 1000 ''" },
  { "8885 00000000 03e9 627965", "close 1001 'bye'" },
  { "8884 00000000 0bb8 ceba", "close 3000 '\\ce\\ba'" },
  { "8882 00000000 1387", "close 4999 ''" },
  { "8882 00000000 03f6", "close 1014 ''" },
  { "8882 00000000 03e8 8181 00000000 41 ffffffff", "close 1000 ''" },
};

static const Row bad_rows[] = {
  /* RFC 6455 5.7: right for a server, wrong for a client */
  { "8105 48656c6c6f", "error 1002 frame not masked" },
  { "8180 00000000 8100", "text ''; error 1002 frame not masked" },
  { "8900", "error 1002 frame not masked" },
  /* RSV bits; nothing was negotiated */
  { "c180 00000000", "error 1002 reserved bit set" },
  { "a180 00000000", "error 1002 reserved bit set" },
  { "9180 00000000", "error 1002 reserved bit set" },
  { "f180 00000000", "error 1002 reserved bit set" },
  { "c980 00000000", "error 1002 reserved bit set" },
  { "9980 00000000", "error 1002 reserved bit set" },
  { "a880 00000000", "error 1002 reserved bit set" },
  { "0181 00000000 41 c080 00000000", "error 1002 reserved bit set" },
  /* opcodes */
  { "8380 00000000", "error 1002 reserved opcode" },
  { "8480 00000000", "error 1002 reserved opcode" },
  { "8580 00000000", "error 1002 reserved opcode" },
  { "8680 00000000", "error 1002 reserved opcode" },
  { "8780 00000000", "error 1002 reserved opcode" },
  { "8b80 00000000", "error 1002 reserved opcode" },
  { "8c80 00000000", "error 1002 reserved opcode" },
  { "8d80 00000000", "error 1002 reserved opcode" },
  { "8e80 00000000", "error 1002 reserved opcode" },
  { "8f80 00000000", "error 1002 reserved opcode" },
  { "8181 00000000 41 83", "text 'A'; error 1002 reserved opcode" },
  /* control frames */
  { "0980 00000000", "error 1002 control frame fragmented" },
  { "0a81 00000000 41", "error 1002 control frame fragmented" },
  { "0880 00000000", "error 1002 control frame fragmented" },
  { "89fe 007e 00000000", "error 1002 control frame over 125 bytes" },
  { "8aff 0000000000000001", "error 1002 control frame over 125 bytes" },
  { "88fe 0001 00000000", "error 1002 control frame over 125 bytes" },
  /* lengths */
  { "81fe 0000 00000000", "error 1002 length not in its shortest form" },
  { "81fe 007d 00000000", "error 1002 length not in its shortest form" },
  { "82ff 0000000000000000 00000000", "error 1002 length not in its shortest form" },
  { "82ff 000000000000007d", "error 1002 length not in its shortest form" },
  { "82ff 000000000000ffff", "error 1002 length not in its shortest form" },
  { "82ff 80", "error 1002 length over 63 bits" },
  { "82ff 8000000000000000 00000000", "error 1002 length over 63 bits" },
  { "82ff ffffffffffffffff", "error 1002 length over 63 bits" },
  { "82ff 7fffffffffffffff", "error 1009 message too big" },
  { "82ff 0000000000010000", "error 1009 message too big" },
  { "82fe 03e9", "error 1009 message too big" },
  /* order of fragments */
  { "8081 00000000 41", "error 1002 no message to continue" },
  { "0081 00000000 41", "error 1002 no message to continue" },
  { "8181 00000000 41 80", "text 'A'; error 1002 no message to continue" },
  { "0181 00000000 41 8081 00000000 42 80", "text 'AB'; error 1002 no message to continue" },
  { "0181 00000000 41 81", "error 1002 message before not finished" },
  { "0181 00000000 41 02", "error 1002 message before not finished" },
  { "0181 00000000 41 8980 00000000 82", "ping ''; error 1002 message before not finished" },
  /* closing */
  { "8881 00000000 03", "error 1002 close frame of one byte" },
  { "8882 00000000 0000", "error 1002 invalid close code" },
  { "8882 00000000 03e7", "error 1002 invalid close code" },
  { "8882 00000000 03ec", "error 1002 invalid close code" },
  { "8882 00000000 03ed", "error 1002 invalid close code" },
  { "8882 00000000 03ee", "error 1002 invalid close code" },
  { "8882 00000000 03f7", "error 1002 invalid close code" },
  { "8882 00000000 03f8", "error 1002 invalid close code" },
  { "8882 00000000 044c", "error 1002 invalid close code" },
  { "8882 00000000 07d0", "error 1002 invalid close code" },
  { "8882 00000000 0bb7", "error 1002 invalid close code" },
  { "8882 00000000 1388", "error 1002 invalid close code" },
  { "8882 00000000 ffff", "error 1002 invalid close code" },
  { "8883 00000000 03e8 ce", "error 1007 close reason not UTF-8" },
  { "8884 00000000 03e8 c080", "error 1007 close reason not UTF-8" },
  /* text, seen before its frame or message is complete */
  { "8181 00000000 ce", "error 1007 text not UTF-8" },
  { "8185 00000000 48 ff", "error 1007 text not UTF-8" },
  { "81fe 01f4 00000000 c0", "error 1007 text not UTF-8" },
  { "0184 00000000 f490", "error 1007 text not UTF-8" },
  { "0183 00000000 eda0", "error 1007 text not UTF-8" },
  { "0181 00000000 ce 0181", "error 1002 message before not finished" },
  { "0181 00000000 ce 8080 00000000", "error 1007 text not UTF-8" },
  { "0181 00000000 ce 8081 00000000 41", "error 1007 text not UTF-8" },
  { "0181 00000000 ce 0090 00000000 41", "error 1007 text not UTF-8" },
};

static void
check_rows (const Row *rows, guint n_rows)
{
  for (guint i = 0; i < n_rows; i++)
    {
      g_autoptr (GByteArray) stream = stream_new ();

      g_test_message ("%s", rows[i].hex);
      stream_append_hex (stream, rows[i].hex);
      stream_assert_events (stream, &limits, NULL, rows[i].events);
    }
}

static void
test_good (void)
{
  check_rows (good_rows, G_N_ELEMENTS (good_rows));
}

static void
test_bad (void)
{
  check_rows (bad_rows, G_N_ELEMENTS (bad_rows));
}

/* All the good ones behind one another, but for those that close */
static void
test_everything_at_once (void)
{
  g_autoptr (GByteArray) stream = stream_new ();
  g_autoptr (GString) expected = g_string_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (good_rows); i++)
    {
      if (strstr (good_rows[i].events, "close") != NULL)
        continue;
      stream_append_hex (stream, good_rows[i].hex);
      g_string_append_printf (expected, "%s%s", i > 0 ? "; " : "", good_rows[i].events);
    }

  stream_assert_events (stream, &limits, NULL, expected->str);
}

/* Each border of the length forms, each with the alignments a mask can have */
static void
test_lengths (void)
{
  static const gsize lengths[] = { 1,  2,  3,   4,   7,   8,   9,   15,    16,    17,   31,
                                   33, 63, 124, 125, 126, 127, 200, 65535, 65536, 70001 };
  static const ChoirFrameLimits wide = { .max_message = 70001 };

  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      g_autoptr (GByteArray) stream = stream_new ();
      g_autoptr (GString) expected = g_string_new ("text");
      g_autofree char *payload = g_malloc (lengths[i]);
      g_autofree char *whole = NULL;
      g_autofree char *odd = NULL;

      for (gsize at = 0; at < lengths[i]; at++)
        payload[at] = 'a' + at % 26;
      stream_append_frame (stream, FIN | CHOIR_OPCODE_TEXT, 0x87654321, payload, lengths[i]);
      log_data (expected, (const guint8 *) payload, lengths[i]);
      whole = stream_parse (stream, &wide, NULL, stream->len, stream->len);
      odd = stream_parse (stream, &wide, NULL, 11, 61);
      g_assert_cmpstr (whole, ==, expected->str);
      g_assert_cmpstr (odd, ==, expected->str);
    }
}

static ChoirFrameEvent
feed (ChoirFrameParser *parser, GByteArray *stream, ChoirFrameMessage *message)
{
  guint8 *at = stream->data;
  gsize left = stream->len;

  return choir_frame_parser_next (parser, &at, &left, message);
}

/* What a server writes, @chop bytes at a time */
static void
assert_client_hears (const guint8 *bytes, gsize len, gsize chop, ChoirFrameEvent wanted)
{
  static const ChoirFrameLimits wide = { .max_message = 70001 };
  ChoirFrameEvent event = CHOIR_FRAME_EVENT_MORE;
  ChoirFrameMessage message = { 0 };
  ChoirFrameParser parser;

  choir_frame_parser_init_client (&parser, &wide);
  for (gsize at = 0; at < len && event == CHOIR_FRAME_EVENT_MORE; at += chop)
    {
      gsize n = MIN (chop, len - at);
      g_autofree guint8 *piece = g_memdup2 (bytes + at, n);
      guint8 *data = piece;

      event = choir_frame_parser_next (&parser, &data, &n, &message);
      g_assert_true (event == CHOIR_FRAME_EVENT_MORE || at + chop >= len ||
                     event == CHOIR_FRAME_EVENT_ERROR);
    }
  g_assert_cmpint (event, ==, wanted);
  if (wanted == CHOIR_FRAME_EVENT_ERROR)
    g_assert_cmpstr (message.reason, ==, "frame masked");

  choir_frame_parser_clear (&parser);
}

/* Each side understands what the other writes, and not itself */
static void
test_other_side (void)
{
  static const gsize lengths[] = { 0, 1, 125, 126, 65535, 65536, 70001 };
  static const ChoirFrameLimits wide = { .max_message = 70001 };
  ChoirFrameParser parser;

  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      g_autofree char *text = g_strnfill (lengths[i], 'x');
      g_autoptr (ChoirFrame) bare = choir_frame_new (CHOIR_OPCODE_TEXT, text, lengths[i]);
      g_autoptr (ChoirFrame) masked =
        choir_frame_new_masked (CHOIR_OPCODE_TEXT, 0x3d21fa37, text, lengths[i]);
      const guint8 *bytes = choir_frame_get_data (masked);
      g_autofree guint8 *copy = g_memdup2 (bytes, masked->len);
      ChoirFrameMessage message = { 0 };
      gsize left = masked->len;
      guint8 *at = copy;

      assert_client_hears (choir_frame_get_data (bare), bare->len, bare->len,
                           CHOIR_FRAME_EVENT_MESSAGE);
      assert_client_hears (choir_frame_get_data (bare), bare->len, 7, CHOIR_FRAME_EVENT_MESSAGE);
      assert_client_hears (bytes, masked->len, masked->len, CHOIR_FRAME_EVENT_ERROR);
      assert_client_hears (bytes, masked->len, 1, CHOIR_FRAME_EVENT_ERROR);

      choir_frame_parser_init (&parser, &wide, NULL);
      g_assert_cmpint (choir_frame_parser_next (&parser, &at, &left, &message), ==,
                       CHOIR_FRAME_EVENT_MESSAGE);
      g_assert_cmpmem (message.data, message.len, text, lengths[i]);
      choir_frame_parser_clear (&parser);
    }
}

/* The second message is understood as the first was: what a client's parser is stays */
static void
test_client_goes_on (void)
{
  g_autoptr (GByteArray) stream = stream_new ();
  ChoirFrameMessage message = { 0 };
  ChoirFrameParser parser;
  gsize left;
  guint8 *at;

  stream_append_hex (stream, "0102 6865 8900 8003 6c6c6f 8105 48656c6c6f 8802 03e8");
  choir_frame_parser_init_client (&parser, &limits);
  at = stream->data;
  left = stream->len;
  g_assert_cmpint (choir_frame_parser_next (&parser, &at, &left, &message), ==,
                   CHOIR_FRAME_EVENT_PING);
  for (guint i = 0; i < 2; i++)
    {
      g_assert_cmpint (choir_frame_parser_next (&parser, &at, &left, &message), ==,
                       CHOIR_FRAME_EVENT_MESSAGE);
      g_assert_cmpmem (message.data, message.len, i == 0 ? "hello" : "Hello", 5);
    }
  g_assert_cmpint (choir_frame_parser_next (&parser, &at, &left, &message), ==,
                   CHOIR_FRAME_EVENT_CLOSE);
  g_assert_cmpuint (message.close_code, ==, CHOIR_CLOSE_NORMAL);
  choir_frame_parser_clear (&parser);
}

/* A header alone is enough to refuse; nothing is kept of it */
static void
test_limit_before_payload (void)
{
  g_autoptr (GByteArray) stream = stream_new ();
  ChoirFrameMessage message = { 0 };
  ChoirFrameParser parser;

  choir_frame_parser_init (&parser, &limits, NULL);
  stream_append_hex (stream, "82fe 03e9");
  g_assert_cmpint (feed (&parser, stream, &message), ==, CHOIR_FRAME_EVENT_ERROR);
  g_assert_cmpuint (message.close_code, ==, CHOIR_CLOSE_TOO_BIG);
  g_assert_cmpuint (choir_frame_parser_get_memory (&parser), ==, 0);
  choir_frame_parser_clear (&parser);
}

static void
test_limit_of_fragments (void)
{
  g_autofree char *payload = g_strnfill (600, 'x');
  g_autoptr (GByteArray) fits = stream_new ();
  g_autoptr (GByteArray) exceeds = stream_new ();
  g_autofree char *sum = NULL;
  g_autofree char *expected = NULL;
  g_autofree char *thousand = g_strnfill (1000, 'x');

  stream_append_frame (fits, CHOIR_OPCODE_TEXT, 1, payload, 600);
  stream_append_frame (fits, FIN | CHOIR_OPCODE_CONTINUATION, 2, payload, 400);
  sum = g_compute_checksum_for_string (G_CHECKSUM_MD5, thousand, 1000);
  expected = g_strdup_printf ("text 1000 bytes %s", sum);
  stream_assert_events (fits, &limits, NULL, expected);

  stream_append_frame (exceeds, CHOIR_OPCODE_TEXT, 1, payload, 600);
  stream_append_hex (exceeds, "0080 00000000 8981 00000000 41 80fe 0191");
  stream_assert_events (exceeds, &limits, NULL, "ping 'A'; error 1009 message too big");
}

static void
test_limit_shrinks (void)
{
  ChoirFrameLimits changing = { .max_message = 100 };
  g_autoptr (GByteArray) first = stream_new ();
  g_autoptr (GByteArray) second = stream_new ();
  ChoirFrameMessage message = { 0 };
  ChoirFrameParser parser;

  choir_frame_parser_init (&parser, &changing, NULL);
  stream_append_text (first, CHOIR_OPCODE_TEXT, "twelve bytes");
  stream_append_text (second, FIN | CHOIR_OPCODE_CONTINUATION, "1");
  g_assert_cmpint (feed (&parser, first, &message), ==, CHOIR_FRAME_EVENT_MORE);
  changing.max_message = 5;
  g_assert_cmpint (feed (&parser, second, &message), ==, CHOIR_FRAME_EVENT_ERROR);
  g_assert_cmpuint (message.close_code, ==, CHOIR_CLOSE_TOO_BIG);
  choir_frame_parser_clear (&parser);
}

static void
test_error_stays (void)
{
  g_autoptr (GByteArray) bad = stream_new ();
  g_autoptr (GByteArray) good = stream_new ();
  ChoirFrameMessage message = { 0 };
  ChoirFrameParser parser;

  choir_frame_parser_init (&parser, &limits, NULL);
  stream_append_hex (bad, "8100");
  stream_append_text (good, FIN | CHOIR_OPCODE_TEXT, "Hello");
  g_assert_cmpint (feed (&parser, bad, &message), ==, CHOIR_FRAME_EVENT_ERROR);
  for (guint i = 0; i < 3; i++)
    {
      message = (ChoirFrameMessage){ 0 };
      g_assert_cmpint (feed (&parser, good, &message), ==, CHOIR_FRAME_EVENT_ERROR);
      g_assert_cmpuint (message.close_code, ==, CHOIR_CLOSE_PROTOCOL_ERROR);
      g_assert_cmpstr (message.reason, ==, "frame not masked");
    }
  choir_frame_parser_clear (&parser);
}

static void
test_whole_message_is_not_copied (void)
{
  g_autoptr (GByteArray) stream = stream_new ();
  ChoirFrameMessage message = { 0 };
  ChoirFrameParser parser;

  choir_frame_parser_init (&parser, &limits, NULL);
  stream_append_text (stream, FIN | CHOIR_OPCODE_TEXT, "Hello");
  g_assert_cmpint (feed (&parser, stream, &message), ==, CHOIR_FRAME_EVENT_MESSAGE);
  g_assert_true (message.data == stream->data + 6);
  g_assert_cmpmem (message.data, message.len, "Hello", 5);
  g_assert_cmpuint (choir_frame_parser_get_memory (&parser), ==, 0);
  choir_frame_parser_clear (&parser);
}

static void
test_idle_holds_nothing (void)
{
  g_autoptr (GByteArray) stream = stream_new ();
  g_autoptr (GString) log = g_string_new (NULL);
  ChoirFrameParser parser;

  choir_frame_parser_init (&parser, &limits, NULL);
  stream_append_text (stream, CHOIR_OPCODE_TEXT, "Hel");
  stream_append_text (stream, FIN | CHOIR_OPCODE_PING, "sign of life");
  stream_append_text (stream, FIN | CHOIR_OPCODE_CONTINUATION, "lo");
  for (gsize i = 0; i < stream->len; i++)
    {
      g_assert_true (log_piece (&parser, stream->data + i, 1, log));
      g_assert_true (i < 7 || i + 1 == stream->len || choir_frame_parser_get_memory (&parser) > 0);
    }
  g_assert_cmpstr (log->str, ==, "ping 'sign of life'; text 'Hello'");
  g_assert_cmpuint (choir_frame_parser_get_memory (&parser), ==, 0);
  g_assert_null (parser.message);
  g_assert_null (parser.control);
  choir_frame_parser_clear (&parser);
}

/* The buffer of a message in small pieces moves as often as a doubling one does */
static void
test_small_chops_of_a_large_message (void)
{
  static const ChoirFrameLimits wide = { .max_message = 1 << 20 };
  g_autofree char *payload = g_strnfill (1 << 20, 'y');
  g_autoptr (GByteArray) stream = stream_new ();
  ChoirFrameMessage message = { 0 };
  const guint8 *last_place = NULL;
  guint n_moves = 0;
  ChoirFrameParser parser;
  ChoirFrameEvent event = CHOIR_FRAME_EVENT_MORE;

  choir_frame_parser_init (&parser, &wide, NULL);
  stream_append_frame (stream, FIN | CHOIR_OPCODE_TEXT, 0xa5b6c7d8, payload, 1 << 20);
  for (gsize at = 0; at < stream->len; at += 64)
    {
      guint8 *piece = stream->data + at;
      gsize left = MIN (64, stream->len - at);

      g_assert_cmpint (event, ==, CHOIR_FRAME_EVENT_MORE);
      event = choir_frame_parser_next (&parser, &piece, &left, &message);
      g_assert_cmpuint (left, ==, 0);
      n_moves += parser.message->data != last_place;
      last_place = parser.message->data;
    }

  g_assert_cmpint (event, ==, CHOIR_FRAME_EVENT_MESSAGE);
  g_assert_cmpmem (message.data, message.len, payload, 1 << 20);
  g_assert_cmpuint (n_moves, <=, 24);
  choir_frame_parser_clear (&parser);
}

static void
append_random_message (GRand *rand, GByteArray *stream, GString *expected)
{
  gboolean is_text = g_rand_boolean (rand);
  guint8 opcode = is_text ? CHOIR_OPCODE_TEXT : CHOIR_OPCODE_BINARY;
  gsize len = g_rand_int_range (rand, 0, g_rand_boolean (rand) ? 20 : 400);
  g_autofree guint8 *payload = g_malloc (len + 1);
  gsize at = 0;

  for (gsize i = 0; i < len; i++)
    payload[i] = is_text ? g_rand_int_range (rand, 0x20, 0x7f) : g_rand_int_range (rand, 0, 256);
  while (g_rand_int_range (rand, 0, 3) == 0)
    {
      gsize part = g_rand_int_range (rand, 0, len - at + 1);

      stream_append_frame (stream, opcode, g_rand_int (rand), payload + at, part);
      opcode = CHOIR_OPCODE_CONTINUATION;
      at += part;
      if (g_rand_boolean (rand))
        {
          stream_append_frame (stream, FIN | CHOIR_OPCODE_PING, g_rand_int (rand), "?!", 2);
          g_string_append (expected, expected->len > 0 ? "; ping '?!'" : "ping '?!'");
        }
    }
  stream_append_frame (stream, FIN | opcode, g_rand_int (rand), payload + at, len - at);

  g_string_append_printf (expected, "%s%s", expected->len > 0 ? "; " : "",
                          is_text ? "text" : "binary");
  log_data (expected, payload, len);
}

static void
test_random_streams (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (6455);

  for (guint round = 0; round < 40; round++)
    {
      g_autoptr (GByteArray) stream = stream_new ();
      g_autoptr (GString) expected = g_string_new (NULL);

      for (guint i = 0; i < 5; i++)
        append_random_message (rand, stream, expected);
      stream_assert_events (stream, &limits, NULL, expected->str);
    }
}

/* Noise never gives different events for being cut differently */
static void
test_random_noise (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (5546);

  for (guint round = 0; round < 3000; round++)
    {
      g_autoptr (GByteArray) stream = stream_new ();
      g_autofree char *whole = NULL;

      stream_append_frame (stream, g_rand_int_range (rand, 0, 256) & 0x8b, g_rand_int (rand),
                           "some text to be broken", g_rand_int_range (rand, 0, 23));
      stream_append_frame (stream, g_rand_int_range (rand, 0, 256) & 0x8b, g_rand_int (rand),
                           "\xce\xba more of it \xf0\x9f\x98\x80", g_rand_int_range (rand, 0, 19));
      stream->data[g_rand_int_range (rand, 0, stream->len)] ^= 1 << g_rand_int_range (rand, 0, 8);
      whole = stream_parse (stream, &limits, NULL, stream->len, stream->len);
      stream_assert_events (stream, &limits, NULL, whole);
    }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/frame-parser/good", test_good);
  g_test_add_func ("/frame-parser/bad", test_bad);
  g_test_add_func ("/frame-parser/everything-at-once", test_everything_at_once);
  g_test_add_func ("/frame-parser/lengths", test_lengths);
  g_test_add_func ("/frame-parser/limit-before-payload", test_limit_before_payload);
  g_test_add_func ("/frame-parser/limit-of-fragments", test_limit_of_fragments);
  g_test_add_func ("/frame-parser/limit-shrinks", test_limit_shrinks);
  g_test_add_func ("/frame-parser/error-stays", test_error_stays);
  g_test_add_func ("/frame-parser/whole-message-is-not-copied", test_whole_message_is_not_copied);
  g_test_add_func ("/frame-parser/idle-holds-nothing", test_idle_holds_nothing);
  g_test_add_func ("/frame-parser/small-chops", test_small_chops_of_a_large_message);
  g_test_add_func ("/frame-parser/random-streams", test_random_streams);
  g_test_add_func ("/frame-parser/other-side", test_other_side);
  g_test_add_func ("/frame-parser/client-goes-on", test_client_goes_on);
  g_test_add_func ("/frame-parser/random-noise", test_random_noise);

  return g_test_run ();
}
