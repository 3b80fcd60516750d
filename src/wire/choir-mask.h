/* choir-mask.h: masking of client frames, RFC 6455 section 5.3
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

#include <string.h>

G_BEGIN_DECLS

#define CHOIR_MASK_LEN 4

/* High bit of each byte: clear in all of them means ASCII only */
#define CHOIR_MASK_HIGH_BITS G_GUINT64_CONSTANT (0x8080808080808080)

/* Sixteen bytes at a time: both compilers make a vector register of it, or two words where there is
 * none */
typedef guint64 ChoirMaskBlock __attribute__ ((vector_size (16)));

/* Masking undoes itself. Returns: whether all of it is ASCII now, which for most text answers the
 * UTF-8 question in the same pass */
static inline gboolean
choir_mask_apply (guint8 *data, gsize len, guint32 mask)
{
  guint64 wide_mask = ((guint64) mask << 32) | mask;
  ChoirMaskBlock block_mask = { wide_mask, wide_mask };
  ChoirMaskBlock seen_blocks = { 0, 0 };
  guint8 mask_bytes[CHOIR_MASK_LEN];
  guint64 seen;

  for (; len >= sizeof (ChoirMaskBlock);
       len -= sizeof (ChoirMaskBlock), data += sizeof (ChoirMaskBlock))
    {
      ChoirMaskBlock block;

      memcpy (&block, data, sizeof block);
      block ^= block_mask;
      seen_blocks |= block;
      memcpy (data, &block, sizeof block);
    }
  seen = seen_blocks[0] | seen_blocks[1];

  if (len >= sizeof (guint64))
    {
      guint64 word;

      memcpy (&word, data, sizeof word);
      word ^= wide_mask;
      seen |= word;
      memcpy (data, &word, sizeof word);
      data += sizeof word;
      len -= sizeof word;
    }

  if (len >= sizeof mask)
    {
      guint32 word;

      memcpy (&word, data, sizeof word);
      word ^= mask;
      seen |= word;
      memcpy (data, &word, sizeof word);
      data += sizeof word;
      len -= sizeof word;
    }

  memcpy (mask_bytes, &mask, sizeof mask);
  for (gsize i = 0; i < len && i < sizeof mask; i++)
    {
      data[i] ^= mask_bytes[i];
      seen |= data[i];
    }

  return (seen & CHOIR_MASK_HIGH_BITS) == 0;
}

/* The mask as it stands for the byte behind the first @n_used */
static inline guint32
choir_mask_rotate (guint32 mask, gsize n_used)
{
  guint8 twice[2 * CHOIR_MASK_LEN];
  guint32 rotated;

  memcpy (twice, &mask, CHOIR_MASK_LEN);
  memcpy (twice + CHOIR_MASK_LEN, &mask, CHOIR_MASK_LEN);
  memcpy (&rotated, twice + n_used % CHOIR_MASK_LEN, CHOIR_MASK_LEN);

  return rotated;
}

G_END_DECLS
