/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-error.h"
#include "frame-stream.h"

#include <zlib.h>

static const ChoirDeflateParams with_context = { TRUE, TRUE, FALSE, 15, 15 };
static const ChoirDeflateParams without_context = { TRUE, TRUE, TRUE, 15, 15 };

static const ChoirFrameLimits limits = { .max_message = 100000 };

/* What RFC 7692 7.2.3 shows, as frames, and what must be refused */
typedef struct
{
  const ChoirDeflateParams *params;
  const char *hex;
  const char *events;
} Row;

static const Row rows[] = {
  /* 7.2.3.1 */
  { &with_context, "c187 00000000 f248cdc9c90700", "text 'Hello'" },
  { &without_context, "c187 00000000 f248cdc9c90700", "text 'Hello'" },
  { &with_context, "4183 00000000 f248cd 8084 00000000 c9c90700", "text 'Hello'" },
  { &without_context, "4183 00000000 f248cd 8981 00000000 70 8084 00000000 c9c90700",
    "ping 'p'; text 'Hello'" },
  /* 7.2.3.2 */
  { &with_context, "c187 00000000 f248cdc9c90700 c187 00000000 f248cdc9c90700",
    "text 'Hello'; text 'Hello'" },
  { &with_context, "c187 00000000 f248cdc9c90700 c185 00000000 f200110000",
    "text 'Hello'; text 'Hello'" },
  { &without_context, "c187 00000000 f248cdc9c90700 c185 00000000 f200110000",
    "text 'Hello'; error 1007 compressed data broken" },
  /* 7.2.3.3 */
  { &with_context, "c18b 00000000 000500faff48656c6c6f00", "text 'Hello'" },
  /* 7.2.3.4, and the window outlives a stream that ended */
  { &with_context, "c188 00000000 f348cdc9c9070000", "text 'Hello'" },
  { &without_context, "c188 00000000 f348cdc9c9070000", "text 'Hello'" },
  { &with_context, "c188 00000000 f348cdc9c9070000 c185 00000000 f200110000",
    "text 'Hello'; text 'Hello'" },
  { &without_context, "c18f 00000000 f348cdc9c90700 f348cdc9c9070000", "text 'HelloHello'" },
  /* 7.2.3.5 */
  { &with_context, "c18d 00000000 f248050000 00ffffcac9c90700", "text 'Hello'" },
  { &without_context, "c18d 00000000 f248050000 00ffffcac9c90700", "text 'Hello'" },
  /* 7.2.3.6, and what senders make of it */
  { &with_context, "c181 00000000 00", "text ''" },
  { &without_context, "c181 00000000 00", "text ''" },
  { &with_context, "c180 00000000 c187 00000000 f248cdc9c90700", "text ''; text 'Hello'" },
  { &with_context, "4180 00000000 0080 00000000 8080 00000000", "text ''" },
  { &without_context, "c281 00000000 01", "binary ''" },
  /* a plain message between compressed ones leaves the window alone */
  { &with_context, "c187 00000000 f248cdc9c90700 8182 00000000 6869 c185 00000000 f200110000",
    "text 'Hello'; text 'hi'; text 'Hello'" },
  /* 6.1: RSV1 belongs to the first frame of a message */
  { &with_context, "4183 00000000 f248cd c084", "error 1002 reserved bit set" },
  { &with_context, "0183 00000000 48656c c082", "error 1002 reserved bit set" },
  { &with_context, "c980 00000000", "error 1002 reserved bit set" },
  { &with_context, "ca80 00000000", "error 1002 reserved bit set" },
  { &with_context, "c880 00000000", "error 1002 reserved bit set" },
  { &with_context, "e187 00000000", "error 1002 reserved bit set" },
  /* broken: block type 3, a length whose complement is wrong, a message that ends inside a block */
  { &with_context, "c181 00000000 07", "error 1007 compressed data broken" },
  { &without_context, "c185 00000000 0005000000", "error 1007 compressed data broken" },
  { &without_context, "c183 00000000 f248cd", "error 1007 compressed data broken" },
  { &with_context, "c286 00000000 000500faff48", "error 1007 compressed data broken" },
  { &with_context, "c187 00000000 f348cdc9c90700", "error 1007 compressed data broken" },
  /* text that is none, raw in stored blocks; seen before the message ends */
  { &with_context, "c187 00000000 000100feffff 00", "error 1007 text not UTF-8" },
  { &with_context, "4186 00000000 000100feffff 80", "error 1007 text not UTF-8" },
  { &with_context, "c187 00000000 000100feffce 00", "error 1007 text not UTF-8" },
  { &with_context, "c287 00000000 000100feffff 00", "binary '\\ff'" },
  { &without_context, "4186 00000000 000100feffce 0086 00000000 000100feffba 8081 00000000 00",
    "text '\\ce\\ba'" },
  { &with_context, "c187 00000000 000100feffff 07", "error 1007 text not UTF-8" },
};

static void
test_vectors (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (GByteArray) stream = stream_new ();

      g_test_message ("%s", rows[i].hex);
      stream_append_hex (stream, rows[i].hex);
      stream_assert_events (stream, &limits, rows[i].params, rows[i].events);
    }
}

/* A raw deflate message by zlib alone, as an independent client makes it; @total bytes of one value
 */
static GByteArray *
deflate_repeated (gsize total)
{
  g_autofree guint8 *chunk = g_malloc (1 << 20);
  g_autofree guint8 *packed = g_malloc (1 << 20);
  GByteArray *out = g_byte_array_new ();
  z_stream zlib = { 0 };

  memset (chunk, 'z', 1 << 20);
  g_assert_cmpint (deflateInit2 (&zlib, 1, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), ==, Z_OK);
  for (gsize done = 0; done < total;)
    {
      gsize part = MIN (1 << 20, total - done);

      done += part;
      zlib.next_in = chunk;
      zlib.avail_in = part;
      zlib.next_out = packed;
      zlib.avail_out = 1 << 20;
      g_assert_cmpint (deflate (&zlib, done < total ? Z_NO_FLUSH : Z_SYNC_FLUSH), ==, Z_OK);
      g_byte_array_append (out, packed, (1 << 20) - zlib.avail_out);
    }
  deflateEnd (&zlib);
  g_byte_array_set_size (out, out->len - 4);

  return out;
}

static void
test_bomb (void)
{
  const gsize max_len = 65536;
  g_autoptr (GByteArray) bomb = deflate_repeated (100 << 20);
  static const gsize chops[] = { 1, 7, 64, 1000, 1 << 20 };

  g_assert_cmpuint (bomb->len, >, 64);
  for (guint i = 0; i < 2 * G_N_ELEMENTS (chops); i++)
    {
      g_autoptr (ChoirInflater) inflater =
        choir_inflater_new (i % 2 == 0 ? &with_context : &without_context);
      g_autoptr (GByteArray) out = g_byte_array_new ();
      g_autoptr (GError) error = NULL;
      gsize chop = chops[i / 2];
      gsize at = 0;

      while (at < bomb->len &&
             choir_inflater_feed (inflater, bomb->data + at, MIN (chop, bomb->len - at),
                                  at + chop >= bomb->len, max_len, out, &error))
        at += chop;
      g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_TOO_LARGE);
      g_assert_cmpuint (out->len, ==, max_len);
      /* a 1000th of it would have been enough */
      g_assert_cmpuint (at, <, bomb->len / 100);
      g_assert_cmpuint (choir_inflater_get_memory (inflater), <, 64 * 1024);
    }
}

static void
test_bomb_in_a_frame (void)
{
  static const ChoirFrameLimits small = { .max_message = 65536 };
  g_autoptr (GByteArray) bomb = deflate_repeated (30 << 20);
  g_autoptr (GByteArray) stream = stream_new ();
  g_autofree char *whole = NULL;
  g_autofree char *chopped = NULL;

  stream_append_frame (stream, FIN | RSV1 | CHOIR_OPCODE_TEXT, 0x11223344, bomb->data, bomb->len);
  whole = stream_parse (stream, &small, &without_context, stream->len, stream->len);
  chopped = stream_parse (stream, &small, &without_context, 100, 100);
  g_assert_cmpstr (whole, ==, "error 1009 message too big");
  g_assert_cmpstr (chopped, ==, "error 1009 message too big");
}

/* The limit itself is allowed, one byte more is not */
static void
test_limit_is_exact (void)
{
  static const gsize sizes[] = { 1, 511, 512, 513, 2048, 16384, 16385, 70000 };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autoptr (GByteArray) packed = deflate_repeated (sizes[i]);

      for (guint less = 0; less < 2; less++)
        {
          g_autoptr (ChoirInflater) inflater = choir_inflater_new (&without_context);
          g_autoptr (GByteArray) out = g_byte_array_new ();
          g_autoptr (GError) error = NULL;
          gboolean good = choir_inflater_feed (inflater, packed->data, packed->len, TRUE,
                                               sizes[i] - less, out, &error);

          g_assert_true (good == (less == 0));
          g_assert_cmpuint (out->len, ==, sizes[i] - less);
          if (less == 1)
            g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_TOO_LARGE);
        }
    }
}

/* Two bytes of input each, no output: their number costs nothing but time in proportion */
static void
test_many_ended_streams (void)
{
  const gsize n_blocks = 200000;
  g_autoptr (ChoirInflater) inflater = choir_inflater_new (&with_context);
  g_autoptr (GByteArray) data = g_byte_array_new ();
  g_autoptr (GByteArray) out = g_byte_array_new ();
  g_autoptr (GError) error = NULL;

  for (gsize i = 0; i < n_blocks; i++)
    g_byte_array_append (data, (const guint8 *) "\x03\x00", 2);
  g_byte_array_append (data, (const guint8 *) "\x00", 1);
  g_assert_true (choir_inflater_feed (inflater, data->data, data->len, TRUE, 10, out, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (out->len, ==, 0);
}

static void
test_memory (void)
{
  g_autoptr (ChoirInflater) keeping = choir_inflater_new (&with_context);
  g_autoptr (ChoirInflater) free_one = choir_inflater_new (&without_context);
  g_autoptr (GByteArray) packed = deflate_repeated (50000);
  g_autoptr (GByteArray) out = g_byte_array_new ();
  gsize idle = choir_inflater_get_memory (free_one);

  g_assert_cmpuint (idle, <, 64);
  g_assert_true (choir_inflater_feed (free_one, packed->data, 10, FALSE, 1 << 20, out, NULL));
  g_assert_cmpuint (choir_inflater_get_memory (free_one), >, 4096);
  g_assert_true (
    choir_inflater_feed (free_one, packed->data + 10, packed->len - 10, TRUE, 1 << 20, out, NULL));
  g_assert_cmpuint (out->len, ==, 50000);
  g_assert_cmpuint (choir_inflater_get_memory (free_one), ==, idle);

  g_assert_true (
    choir_inflater_feed (keeping, packed->data, packed->len, TRUE, 1 << 20, out, NULL));
  g_assert_cmpuint (choir_inflater_get_memory (keeping), >, 32768);
  g_assert_cmpuint (choir_inflater_get_memory (keeping), <, 49152);
}

/* Messages of peers without context, each fed a byte in turn, more of them than streams are kept */
static void
test_messages_side_by_side (void)
{
  ChoirInflater *inflaters[7];
  GByteArray *outs[G_N_ELEMENTS (inflaters)];
  static const guint8 hello[] = { 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00 };

  for (guint i = 0; i < G_N_ELEMENTS (inflaters); i++)
    {
      inflaters[i] = choir_inflater_new (&without_context);
      outs[i] = g_byte_array_new ();
    }
  for (guint round = 0; round < 3; round++)
    for (guint at = 0; at < sizeof hello; at++)
      for (guint i = 0; i < G_N_ELEMENTS (inflaters); i++)
        g_assert_true (choir_inflater_feed (inflaters[i], hello + at, 1, at + 1 == sizeof hello,
                                            100, outs[i], NULL));
  for (guint i = 0; i < G_N_ELEMENTS (inflaters); i++)
    {
      g_assert_cmpmem (outs[i]->data, outs[i]->len, "HelloHelloHello", 15);
      g_byte_array_unref (outs[i]);
      choir_inflater_free (inflaters[i]);
    }
}

static gpointer
inflate_in_thread (gpointer data)
{
  test_messages_side_by_side ();

  return NULL;
}

/* A thread's spare streams go with it; the leak checker has the last word */
static void
test_thread_ends (void)
{
  g_thread_join (g_thread_new ("inflate", inflate_in_thread, NULL));
}

static char *
make_text (GRand *rand, gsize len)
{
  static const char *const words[] = { "channel",  "offset",          "{\"type\":", "message",
                                       "\xce\xba", "12345",           "\"",         "presence",
                                       " ",        "\xf0\x9f\x98\x80" };
  GString *text = g_string_new (NULL);

  while (text->len < len)
    if (g_rand_int_range (rand, 0, 4) == 0)
      g_string_append_c (text, g_rand_int_range (rand, 0x20, 0x7f));
    else
      g_string_append (text, words[g_rand_int_range (rand, 0, G_N_ELEMENTS (words))]);

  return g_string_free (text, FALSE);
}

/* Sends the payload of @frame as a client would, in some fragments */
static void
append_as_client (GByteArray *stream, const ChoirFrame *frame, GRand *rand)
{
  guint8 first = choir_frame_get_data (frame)[0] & ~FIN;
  gsize len;
  const guint8 *payload = choir_frame_get_payload (frame, &len);

  while (len > 0 && g_rand_boolean (rand))
    {
      gsize part = g_rand_int_range (rand, 0, len + 1);

      stream_append_frame (stream, first, g_rand_int (rand), payload, part);
      first = CHOIR_OPCODE_CONTINUATION;
      payload += part;
      len -= part;
    }
  stream_append_frame (stream, first | FIN, g_rand_int (rand), payload, len);
}

static void
check_round_trip (GRand *rand, guint8 bits, gboolean context)
{
  ChoirDeflateParams params = { TRUE, TRUE, !context, 15, bits };
  g_autoptr (ChoirDeflater) deflater = NULL;
  g_autoptr (GByteArray) stream = stream_new ();
  g_autoptr (GString) expected = g_string_new (NULL);
  g_autofree char *whole = NULL;

  deflater = choir_deflater_new (bits, g_rand_int_range (rand, 1, 10),
                                 g_rand_int_range (rand, 1, 10), context);
  for (guint i = 0; i < 12; i++)
    {
      g_autofree char *text = make_text (rand, g_rand_int_range (rand, 0, i == 7 ? 40000 : 600));
      gsize len = strlen (text);
      g_autoptr (ChoirFrame) frame =
        choir_deflater_compress (deflater, CHOIR_OPCODE_TEXT, (const guint8 *) text, len);

      g_assert_true (frame != NULL || !context);
      if (frame == NULL)
        frame = choir_frame_new (CHOIR_OPCODE_TEXT, text, len);
      else
        g_assert_cmpuint (choir_frame_get_data (frame)[0], ==, 0xc1);
      append_as_client (stream, frame, rand);
      g_string_append_printf (expected, "%stext", i > 0 ? "; " : "");
      log_data (expected, (const guint8 *) text, len);
    }

  whole = stream_parse (stream, &limits, &params, stream->len, stream->len);
  g_assert_cmpstr (whole, ==, expected->str);
  for (guint i = 0; i < 4; i++)
    {
      gsize chop = g_rand_int_range (rand, 1, 100);
      g_autofree char *chopped = stream_parse (stream, &limits, &params, chop, chop);

      g_assert_cmpstr (chopped, ==, expected->str);
    }
}

static void
test_round_trips (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (7692);

  for (guint8 bits = 9; bits <= 15; bits++)
    for (guint i = 0; i < 4; i++)
      check_round_trip (rand, bits, i % 2);
}

/* The deflater keeps to its window: a reader with no more than that understands it */
static void
test_window_is_kept (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (1951);

  for (guint8 bits = 9; bits <= 15; bits++)
    {
      g_autoptr (ChoirDeflater) deflater = choir_deflater_new (bits, 8, 9, TRUE);
      g_autofree char *text = make_text (rand, 3000);
      gsize len = strlen (text);
      g_autofree guint8 *out = g_malloc (len + 1);
      z_stream zlib = { 0 };

      g_assert_cmpint (inflateInit2 (&zlib, -bits), ==, Z_OK);
      for (guint i = 0; i < 4; i++)
        {
          g_autoptr (ChoirFrame) frame =
            choir_deflater_compress (deflater, CHOIR_OPCODE_TEXT, (const guint8 *) text, len);
          gsize packed_len;
          const guint8 *packed = choir_frame_get_payload (frame, &packed_len);
          g_autofree guint8 *input = g_malloc (packed_len + 4);

          memcpy (input, packed, packed_len);
          memcpy (input + packed_len, "\x00\x00\xff\xff", 4);
          zlib.next_in = input;
          zlib.avail_in = packed_len + 4;
          zlib.next_out = out;
          zlib.avail_out = len + 1;
          g_assert_cmpint (inflate (&zlib, Z_SYNC_FLUSH), ==, Z_OK);
          g_assert_cmpuint (zlib.avail_in, ==, 0);
          g_assert_cmpmem (out, len + 1 - zlib.avail_out, text, len);
        }
      inflateEnd (&zlib);
    }
}

static void
test_stateless_deflater (void)
{
  g_autoptr (ChoirDeflater) deflater = choir_deflater_new (15, 4, 1, FALSE);
  g_autofree char *text = g_strnfill (1000, 'a');
  g_autoptr (ChoirFrame) first = NULL;
  g_autoptr (ChoirFrame) second = NULL;
  guint8 noise[200];
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);

  for (guint i = 0; i < sizeof noise; i++)
    noise[i] = g_rand_int_range (rand, 0, 256);

  first = choir_deflater_compress (deflater, CHOIR_OPCODE_TEXT, (const guint8 *) text, 1000);
  g_assert_cmpuint (first->len, <, 100);
  /* what can't be made smaller is left to the caller, and leaves nothing behind */
  g_assert_null (choir_deflater_compress (deflater, CHOIR_OPCODE_BINARY, noise, sizeof noise));
  g_assert_null (choir_deflater_compress (deflater, CHOIR_OPCODE_TEXT, (const guint8 *) "Hi", 2));
  g_assert_null (choir_deflater_compress (deflater, CHOIR_OPCODE_TEXT, NULL, 0));
  second = choir_deflater_compress (deflater, CHOIR_OPCODE_TEXT, (const guint8 *) text, 1000);
  g_assert_cmpmem (choir_frame_get_data (first), first->len, choir_frame_get_data (second),
                   second->len);
}

static void
test_deflater_with_context (void)
{
  g_autoptr (ChoirDeflater) deflater = choir_deflater_new (15, 8, 6, TRUE);
  g_autoptr (ChoirFrame) first = NULL;
  g_autoptr (ChoirFrame) empty = NULL;
  g_autoptr (ChoirFrame) second = NULL;
  static const guint8 text[] = "every message after the first refers back to it";

  first = choir_deflater_compress (deflater, CHOIR_OPCODE_TEXT, text, sizeof text - 1);
  empty = choir_deflater_compress (deflater, CHOIR_OPCODE_TEXT, NULL, 0);
  second = choir_deflater_compress (deflater, CHOIR_OPCODE_TEXT, text, sizeof text - 1);
  g_assert_cmpmem (choir_frame_get_data (empty), empty->len, "\xc1\x01\x00", 3);
  g_assert_cmpuint (second->len, <, first->len / 3);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/deflate/vectors", test_vectors);
  g_test_add_func ("/deflate/bomb", test_bomb);
  g_test_add_func ("/deflate/bomb-in-a-frame", test_bomb_in_a_frame);
  g_test_add_func ("/deflate/limit-is-exact", test_limit_is_exact);
  g_test_add_func ("/deflate/many-ended-streams", test_many_ended_streams);
  g_test_add_func ("/deflate/memory", test_memory);
  g_test_add_func ("/deflate/messages-side-by-side", test_messages_side_by_side);
  g_test_add_func ("/deflate/thread-ends", test_thread_ends);
  g_test_add_func ("/deflate/round-trips", test_round_trips);
  g_test_add_func ("/deflate/window-is-kept", test_window_is_kept);
  g_test_add_func ("/deflate/stateless-deflater", test_stateless_deflater);
  g_test_add_func ("/deflate/deflater-with-context", test_deflater_with_context);

  return g_test_run ();
}
