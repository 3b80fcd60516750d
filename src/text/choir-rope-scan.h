/* choir-rope-scan.h: counting the characters of a leaf, and finding one
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * In UTF-8 a byte 10xxxxxx continues a character, any other begins one, and one from 0xf0 on begins
 * a character of four bytes, which is the kind that takes two units of UTF-16 (RFC 3629 section 3,
 * RFC 2781 section 2.1). The plain functions take eight bytes at a time in a word; with SSE2 it is
 * sixteen. Both are here wherever SSE2 is, so that they can be compared.
 */

#pragma once

#include <glib.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

G_BEGIN_DECLS

/* What lies in a piece of text. UTF-16 units are characters and wide characters together */
typedef struct
{
  guint32 n_bytes;
  guint32 n_chars;
  guint32 n_wide; /* characters of four bytes */
} ChoirRopeCounts;

/* Longest text that is counted at once: lanes of eight bits count to 255 blocks of sixteen bytes */
#define CHOIR_ROPE_SCAN_MAX (255 * 16)

#define CHOIR_ROPE_LOW_BITS G_GUINT64_CONSTANT (0x0101010101010101)
#define CHOIR_ROPE_WIDE_LEAD 0xf0

static inline gboolean
choir_rope_begins_char (char byte)
{
  return ((guint8) byte & 0xc0) != 0x80;
}

static inline guint
choir_rope_units_of (char byte)
{
  return (choir_rope_begins_char (byte) ? 1 : 0) + ((guint8) byte >= CHOIR_ROPE_WIDE_LEAD ? 1 : 0);
}

/* Each byte of @bits is 0 or 1 */
static inline guint
choir_rope_sum_bytes (guint64 bits)
{
  return (guint) ((bits * CHOIR_ROPE_LOW_BITS) >> 56);
}

static inline guint
choir_rope_chars_in_word (guint64 word)
{
  return 8 - choir_rope_sum_bytes ((word >> 7) & (~word >> 6) & CHOIR_ROPE_LOW_BITS);
}

static inline guint
choir_rope_wide_in_word (guint64 word)
{
  guint64 upper = word & (word >> 1);

  return choir_rope_sum_bytes ((upper >> 6) & (upper >> 4) & CHOIR_ROPE_LOW_BITS);
}

static inline guint64
choir_rope_load_word (const char *text)
{
  guint64 word;

  memcpy (&word, text, sizeof word);

  return word;
}

static inline void
choir_rope_count_rest (const char *at, const char *end, ChoirRopeCounts *counts)
{
  for (; at < end; at++)
    {
      counts->n_chars += choir_rope_begins_char (*at) ? 1 : 0;
      counts->n_wide += (guint8) *at >= CHOIR_ROPE_WIDE_LEAD ? 1 : 0;
    }
}

static inline ChoirRopeCounts
choir_rope_count_plain (const char *text, guint32 n_bytes)
{
  ChoirRopeCounts counts = { .n_bytes = n_bytes };
  const char *end = text + n_bytes;
  const char *at = text;

  for (; end - at >= 8; at += 8)
    {
      guint64 word = choir_rope_load_word (at);

      counts.n_chars += choir_rope_chars_in_word (word);
      counts.n_wide += choir_rope_wide_in_word (word);
    }
  choir_rope_count_rest (at, end, &counts);

  return counts;
}

static inline guint32
choir_rope_find_char_plain (const char *text, guint32 n_bytes, guint32 n_chars)
{
  const char *end = text + n_bytes;
  const char *at = text;

  for (; end - at >= 8; at += 8)
    {
      guint n = choir_rope_chars_in_word (choir_rope_load_word (at));

      if (n > n_chars)
        break;
      n_chars -= n;
    }

  for (; at < end; at++)
    if (choir_rope_begins_char (*at) && n_chars-- == 0)
      break;

  return (guint32) (at - text);
}

/**
 * choir_rope_find_unit:
 * @text: (array length=n_bytes): UTF-8 that begins with a character
 * @n_bytes: of @text
 * @n_units: UTF-16 units to go past
 *
 * Returns: bytes before the character that has this unit, its first or its second; @n_bytes when
 * there are only so many
 */
static inline guint32
choir_rope_find_unit (const char *text, guint32 n_bytes, guint32 n_units)
{
  const char *end = text + n_bytes;
  const char *at = text;

  for (; end - at >= 8; at += 8)
    {
      guint64 word = choir_rope_load_word (at);
      guint n = choir_rope_chars_in_word (word) + choir_rope_wide_in_word (word);

      if (n > n_units)
        break;
      n_units -= n;
    }

  for (; at < end; at++)
    {
      guint n = choir_rope_units_of (*at);

      if (n > n_units)
        break;
      n_units -= n;
    }

  return (guint32) (at - text);
}

#ifdef __SSE2__

/* 0xff where a character begins: as signed numbers the continuations are the lowest, up to -65 */
static inline __m128i
choir_rope_begins_16 (const char *text)
{
  return _mm_cmpgt_epi8 (_mm_loadu_si128 ((const __m128i *) (const void *) text),
                         _mm_set1_epi8 (-65));
}

/* The sum of lanes that count down from zero */
static inline guint
choir_rope_sum_16 (__m128i lanes)
{
  __m128i zero = _mm_setzero_si128 ();
  __m128i halves = _mm_sad_epu8 (_mm_sub_epi8 (zero, lanes), zero);

  return (guint) _mm_cvtsi128_si32 (_mm_add_epi64 (halves, _mm_srli_si128 (halves, 8)));
}

static inline ChoirRopeCounts
choir_rope_count_sse2 (const char *text, guint32 n_bytes)
{
  const __m128i lead = _mm_set1_epi8 ((char) CHOIR_ROPE_WIDE_LEAD);
  ChoirRopeCounts counts = { .n_bytes = n_bytes };
  const char *end = text + n_bytes;
  const char *at = text;

  if (n_bytes >= 16)
    {
      __m128i chars = _mm_setzero_si128 ();
      __m128i wide = chars;

      for (; end - at >= 16; at += 16)
        {
          __m128i chunk = _mm_loadu_si128 ((const __m128i *) (const void *) at);

          chars = _mm_add_epi8 (chars, choir_rope_begins_16 (at));
          wide = _mm_add_epi8 (wide, _mm_cmpeq_epi8 (_mm_max_epu8 (chunk, lead), chunk));
        }
      counts.n_chars = choir_rope_sum_16 (chars);
      counts.n_wide = choir_rope_sum_16 (wide);
    }
  choir_rope_count_rest (at, end, &counts);

  return counts;
}

static inline guint32
choir_rope_find_char_sse2 (const char *text, guint32 n_bytes, guint32 n_chars)
{
  const char *end = text + n_bytes;
  const char *at = text;

  for (; end - at >= 64; at += 64)
    {
      __m128i front = _mm_add_epi8 (choir_rope_begins_16 (at), choir_rope_begins_16 (at + 16));
      __m128i back = _mm_add_epi8 (choir_rope_begins_16 (at + 32), choir_rope_begins_16 (at + 48));
      guint n = choir_rope_sum_16 (_mm_add_epi8 (front, back));

      if (n > n_chars)
        break;
      n_chars -= n;
    }

  for (; end - at >= 16; at += 16)
    {
      __m128i begins = choir_rope_begins_16 (at);
      guint n = choir_rope_sum_16 (begins);

      if (n > n_chars)
        {
          guint mask = (guint) _mm_movemask_epi8 (begins);

          for (; n_chars > 0; n_chars--)
            mask &= mask - 1;
          return (guint32) (at - text) + (guint32) __builtin_ctz (mask);
        }
      n_chars -= n;
    }

  return (guint32) (at - text) + choir_rope_find_char_plain (at, (guint32) (end - at), n_chars);
}

#endif

/**
 * choir_rope_count:
 * @text: (array length=n_bytes): UTF-8
 * @n_bytes: of @text, at most %CHOIR_ROPE_SCAN_MAX
 *
 * Returns: what is in it
 */
static inline ChoirRopeCounts
choir_rope_count (const char *text, guint32 n_bytes)
{
#ifdef __SSE2__
  return choir_rope_count_sse2 (text, n_bytes);
#else
  return choir_rope_count_plain (text, n_bytes);
#endif
}

/**
 * choir_rope_find_char:
 * @text: (array length=n_bytes): UTF-8 that begins with a character
 * @n_bytes: of @text
 * @n_chars: characters to go past
 *
 * Returns: bytes before the character that follows them; @n_bytes when there are only so many
 */
static inline guint32
choir_rope_find_char (const char *text, guint32 n_bytes, guint32 n_chars)
{
#ifdef __SSE2__
  return choir_rope_find_char_sse2 (text, n_bytes, n_chars);
#else
  return choir_rope_find_char_plain (text, n_bytes, n_chars);
#endif
}

G_END_DECLS
