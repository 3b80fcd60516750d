/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "../unit/frame-stream.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* Where the frames themselves come from: the input as it is, or with its masks put in place, which
 * a fuzzer seldom finds */
static GByteArray *
make_stream (const uint8_t *data, size_t size, gboolean framed)
{
  GByteArray *stream = stream_new ();

  if (!framed)
    {
      g_byte_array_append (stream, data, size);
      return stream;
    }

  /* first byte of a frame, its length, its payload */
  while (size >= 2)
    {
      gsize len = MIN (data[1], size - 2);

      stream_append_frame (stream, data[0], 0xdeadbeef, data + 2, len);
      data += 2 + len;
      size -= 2 + len;
    }

  return stream;
}

/* The first byte chooses compression and form, the second how the rest is cut. However it is cut,
 * the events are the same. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const ChoirFrameLimits limits = { .max_message = 4096 };
  g_autoptr (GByteArray) stream = NULL;
  g_autofree char *whole = NULL;
  g_autofree char *chopped = NULL;
  ChoirDeflateParams params = { .enabled = TRUE };
  gsize chop;

  if (size < 2)
    return 0;
  params.client_no_context_takeover = (data[0] & 2) != 0;
  params.client_max_window_bits = 8 + (data[0] >> 5);
  chop = 1 + data[1] % 64;
  stream = make_stream (data + 2, size - 2, (data[0] & 4) != 0);

  whole =
    stream_parse (stream, &limits, (data[0] & 1) != 0 ? &params : NULL, stream->len, stream->len);
  chopped = stream_parse (stream, &limits, (data[0] & 1) != 0 ? &params : NULL, chop, chop);
  g_assert_cmpstr (whole, ==, chopped);

  return 0;
}
