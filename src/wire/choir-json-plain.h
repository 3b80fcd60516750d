/* choir-json-plain.h: running over the characters of a string that need no look
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

G_BEGIN_DECLS

/**
 * choir_json_skip_plain:
 * @p: inside a JSON string
 * @end: behind the text
 *
 * Skips ASCII that is neither a control character, a quote, a backslash nor one of `<`, `>`, `&`,
 * sixteen at a time where the processor can; it may stop early, never late.
 *
 * Returns: where to go on one by one
 */
static inline const guint8 *
choir_json_skip_plain (const guint8 *p, const guint8 *end)
{
#ifdef __SSE2__
  const __m128i space = _mm_set1_epi8 (0x20);

  for (; end - p >= 16; p += 16)
    {
      __m128i chunk = _mm_loadu_si128 ((const __m128i *) (const void *) p);
      /* signed: bytes from 0x80 on count as below the space */
      __m128i found = _mm_cmplt_epi8 (chunk, space);
      guint mask;

      found = _mm_or_si128 (found, _mm_cmpeq_epi8 (chunk, _mm_set1_epi8 ('"')));
      found = _mm_or_si128 (found, _mm_cmpeq_epi8 (chunk, _mm_set1_epi8 ('\\')));
      found = _mm_or_si128 (found, _mm_cmpeq_epi8 (chunk, _mm_set1_epi8 ('<')));
      found = _mm_or_si128 (found, _mm_cmpeq_epi8 (chunk, _mm_set1_epi8 ('>')));
      found = _mm_or_si128 (found, _mm_cmpeq_epi8 (chunk, _mm_set1_epi8 ('&')));

      mask = (guint) _mm_movemask_epi8 (found);
      if (mask != 0)
        return p + __builtin_ctz (mask);
    }
#endif

  return p;
}

G_END_DECLS
