/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "../unit/frame-stream.h"

#include <stdint.h>
#include <string.h>

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

/* The events before an error; %FALSE: there is none */
static gboolean
cut_error (char *events)
{
  char *error = g_strrstr (events, "error 1");

  if (error == NULL)
    return FALSE;

  if (error - events >= 2)
    error -= 2;
  *error = '\0';

  return TRUE;
}

/* zlib notices that compressed data looks back too far only when what it means has left its memory,
 * which depends on how the input is cut: then one reading may fail where the other goes on, and
 * meet another error. Up to there they agree */
static void
assert_agree (char *whole, char *chopped)
{
  gboolean whole_failed = cut_error (whole);
  gboolean chopped_failed = cut_error (chopped);

  if (!whole_failed && !chopped_failed)
    g_assert_cmpstr (whole, ==, chopped);
  else if (strlen (whole) < strlen (chopped))
    g_assert_true (whole_failed && g_str_has_prefix (chopped, whole));
  else
    g_assert_true ((chopped_failed || strlen (whole) == strlen (chopped)) &&
                   g_str_has_prefix (whole, chopped));
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
  if ((data[0] & 1) != 0)
    assert_agree (whole, chopped);
  else
    g_assert_cmpstr (whole, ==, chopped);

  return 0;
}
