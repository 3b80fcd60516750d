/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-deflate.h"
#include "choir-error.h"

#include <stdint.h>
#include <string.h>

#define MAX_LEN 8192

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

typedef struct
{
  GByteArray *out; /* (owned) */
  int code;        /* of the error, -1 without one */
} Result;

static Result
inflate_in_chops (const ChoirDeflateParams *params, const uint8_t *data, size_t size, size_t chop)
{
  g_autoptr (ChoirInflater) inflater = choir_inflater_new (params);
  Result result = { g_byte_array_new (), -1 };
  g_autoptr (GError) error = NULL;
  gboolean good = TRUE;

  for (size_t at = 0; good && at < size; at += chop)
    {
      size_t piece = MIN (chop, size - at);

      good = choir_inflater_feed (inflater, data + at, piece, at + piece == size, MAX_LEN,
                                  result.out, &error);
      g_assert_cmpuint (result.out->len, <=, MAX_LEN);
      g_assert_true (good == (error == NULL));
    }
  if (error != NULL)
    result.code = error->code;

  return result;
}

static void
check_chops (const ChoirDeflateParams *params, const uint8_t *data, size_t size, size_t chop)
{
  Result whole = inflate_in_chops (params, data, size, MAX (size, 1));
  Result chopped = inflate_in_chops (params, data, size, chop);
  gsize common = MIN (whole.out->len, chopped.out->len);

  /* before an error zlib may have got further in one than in the other, but not elsewhere; of data
   * that are both broken and too much either may be noticed first; and a peer that looks back
   * further than its window is caught only where what it wants is no longer in the output at hand
   */
  g_assert_cmpmem (whole.out->data, common, chopped.out->data, common);
  if (params->client_no_context_takeover || params->client_max_window_bits == 15)
    g_assert_true ((whole.code == -1) == (chopped.code == -1));
  if (chopped.code == -1)
    {
      g_assert_cmpint (whole.code, ==, -1);
      g_assert_cmpuint (whole.out->len, ==, chopped.out->len);
    }

  g_byte_array_unref (whole.out);
  g_byte_array_unref (chopped.out);
}

/* What our deflater makes of @data, the inflater takes back */
static void
check_round_trip (const ChoirDeflateParams *params, const uint8_t *data, size_t size)
{
  guint8 bits = MAX (params->client_max_window_bits, 9);
  g_autoptr (ChoirDeflater) deflater =
    choir_deflater_new (bits, 1 + size % 9, 1 + size % 9, !params->client_no_context_takeover);
  g_autoptr (ChoirInflater) inflater = choir_inflater_new (params);

  for (guint round = 0; round < 2; round++)
    {
      g_autoptr (ChoirFrame) frame =
        choir_deflater_compress (deflater, CHOIR_OPCODE_BINARY, data, size);
      g_autoptr (GByteArray) out = g_byte_array_new ();
      g_autoptr (GError) error = NULL;
      const guint8 *payload;
      gsize len;

      if (frame == NULL)
        return;
      payload = choir_frame_get_payload (frame, &len);
      g_assert_true (choir_inflater_feed (inflater, payload, len, TRUE, size, out, &error));
      g_assert_cmpmem (out->data, out->len, data, size);
    }
}

/* The first byte chooses context and window, the second how the rest is cut */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  ChoirDeflateParams params = { .enabled = TRUE };

  if (size < 2)
    return 0;
  params.client_no_context_takeover = (data[0] & 1) != 0;
  params.client_max_window_bits = 8 + (data[0] >> 5);

  check_chops (&params, data + 2, size - 2, 1 + data[1] % 32);
  check_round_trip (&params, data + 2, size - 2);

  return 0;
}
