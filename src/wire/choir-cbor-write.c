/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-cbor.h"

#include <cbor/encoding.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "choir-json-scanner.h"

/* What the gate lets through, and what an envelope and an answer's arrays put round it */
#define DEPTH_MAX (CHOIR_JSON_DEPTH_MAX + 32)

/* RFC 8949 section 3: the initial byte and an argument of up to eight */
#define HEAD_MAX 9

/* Sections 3.3 and 3.1 */
#define HEAD_HALF 0xf9
#define INFINITE_HALF 0x7c00

typedef struct
{
  gsize at; /* of the head, for which one byte is kept */
  guint32 n_items;
  guint8 is_map;
  guint8 has_key; /* one whose value is not there yet */
} Level;

typedef struct
{
  const char *p;
  const char *end;
  ChoirFrameBuilder *out;
  guint depth;
  Level levels[DEPTH_MAX];
} Writer;

typedef enum
{
  STEP_FAILED,
  STEP_TO_VALUE,
  STEP_VALUE_ENDED,
} Step;

static void
skip_blanks (Writer *self)
{
  while (self->p < self->end &&
         (*self->p == ' ' || *self->p == '\n' || *self->p == '\r' || *self->p == '\t'))
    self->p++;
}

static gboolean
take_char (Writer *self, char c)
{
  if (self->p == self->end || *self->p != c)
    return FALSE;

  self->p++;
  return TRUE;
}

/* Numbers, RFC 8949 section 6.2: integers stay what they are as far as there are 64 bits for them,
 * everything else is the nearest double, in the shortest form that holds it (section 4.1) */

/* Whether a half means exactly @value, and which; libcbor's own loses the bits of subnormal ones */
static gboolean
to_half (double value, guint16 *half)
{
  double size = fabs (value);
  double steps;
  int exponent = 0;

  *half = signbit (value) ? 0x8000 : 0;
  if (isinf (value))
    {
      *half |= INFINITE_HALF;
      return TRUE;
    }

  /* 65504 is the largest; below 2^-14 they stand 2^-24 apart, above they have eleven bits */
  if (size > 65504)
    return FALSE;
  steps = size < 0x1p-14 ? size * 0x1p24 : frexp (size, &exponent) * 2048;
  if (steps > (double) (guint16) steps)
    return FALSE;

  *half |= (guint16) steps;
  if (size >= 0x1p-14)
    *half += (exponent + 13) << 10;
  return TRUE;
}

static void
write_double (ChoirFrameBuilder *out, double value)
{
  guint8 *at = choir_frame_builder_reserve (out, HEAD_MAX);
  guint16 half;
  double rounded;

  if (to_half (value, &half))
    {
      at[0] = HEAD_HALF;
      at[1] = half >> 8;
      at[2] = half & 0xff;
      out->len += 3;
      return;
    }

  rounded = fabs (value) <= (double) FLT_MAX ? (double) (float) value : 0;
  if (rounded < value || rounded > value)
    out->len += cbor_encode_double (value, at, HEAD_MAX);
  else
    out->len += cbor_encode_single ((float) value, at, HEAD_MAX);
}

/* FALSE if @raw is no plain integer, is -0, or needs more than 64 bits */
static gboolean
write_integer (ChoirFrameBuilder *out, ChoirSlice raw)
{
  gboolean negative = *raw.data == '-';
  guint64 size = 0;
  guint8 *at;

  for (gsize i = negative ? 1 : 0; i < raw.len; i++)
    if (!g_ascii_isdigit (raw.data[i]) || !g_uint64_checked_mul (&size, size, 10) ||
        !g_uint64_checked_add (&size, size, (guint64) (raw.data[i] - '0')))
      return FALSE;
  if (negative && size == 0)
    return FALSE;

  at = choir_frame_builder_reserve (out, HEAD_MAX);
  out->len +=
    negative ? cbor_encode_negint (size - 1, at, HEAD_MAX) : cbor_encode_uint (size, at, HEAD_MAX);
  return TRUE;
}

static gboolean
write_number (ChoirFrameBuilder *out, ChoirSlice raw)
{
  double value = 0;

  if (*raw.data != '-' && !g_ascii_isdigit (*raw.data))
    return FALSE;
  if (write_integer (out, raw))
    return TRUE;

  /* beyond the range it is infinite, as it is to a JSON parser */
  if (!choir_json_number_get_double (raw, &value) && !isinf (value))
    {
      g_autofree char *text = choir_slice_dup (raw);

      value = g_ascii_strtod (text, NULL);
    }
  write_double (out, value);
  return TRUE;
}

static gboolean
write_word (Writer *self)
{
  const char *start = self->p;
  ChoirSlice word;

  while (self->p < self->end && strchr (" \n\r\t,]}", *self->p) == NULL)
    self->p++;

  word = (ChoirSlice){ start, (gsize) (self->p - start) };
  if (word.len == 0)
    return FALSE;
  if (choir_slice_equals (word, "true"))
    choir_frame_builder_append_literal (self->out, "\xf5");
  else if (choir_slice_equals (word, "false"))
    choir_frame_builder_append_literal (self->out, "\xf4");
  else if (choir_slice_equals (word, "null"))
    choir_frame_builder_append_literal (self->out, "\xf6");
  else
    return write_number (self->out, word);

  return TRUE;
}

static void
append_text (ChoirFrameBuilder *out, const char *text, gsize len)
{
  choir_cbor_write_text_start (out, len);
  choir_frame_builder_append (out, text, len);
}

/* Behind the closing quote; NULL if there is none */
static const char *
find_end (const char *p, const char *end)
{
  while (p < end && *p != '"')
    p += *p == '\\' && end - p > 1 ? 2 : 1;

  return p < end ? p + 1 : NULL;
}

static gboolean
write_string (Writer *self)
{
  const char *start = self->p + 1;
  const char *quote = memchr (start, '"', (gsize) (self->end - start));
  const char *backslash;
  g_autofree char *text = NULL;
  ChoirSlice raw;

  if (quote == NULL)
    return FALSE;

  backslash = memchr (start, '\\', (gsize) (quote - start));
  if (backslash == NULL)
    {
      append_text (self->out, start, (gsize) (quote - start));
      self->p = quote + 1;
      return TRUE;
    }

  quote = find_end (backslash, self->end);
  if (quote == NULL)
    return FALSE;

  raw = (ChoirSlice){ self->p, (gsize) (quote - self->p) };
  text = choir_json_string_dup (raw, raw.len);
  append_text (self->out, text, strlen (text));
  self->p = quote;
  return TRUE;
}

/* A key and its colon, up to the value */
static Step
write_key (Writer *self)
{
  if (self->p == self->end || *self->p != '"' || !write_string (self))
    return STEP_FAILED;

  self->levels[self->depth - 1].has_key = TRUE;
  skip_blanks (self);
  return take_char (self, ':') ? STEP_TO_VALUE : STEP_FAILED;
}

/* How many items there were is known now: puts the head before them, which rarely takes more than
 * the byte that was kept for it */
static void
close_level (Writer *self)
{
  const Level *level = &self->levels[--self->depth];
  ChoirFrameBuilder *out = self->out;
  guint8 head[HEAD_MAX];
  gsize len = level->is_map ? cbor_encode_map_start (level->n_items, head, sizeof head)
                            : cbor_encode_array_start (level->n_items, head, sizeof head);
  gsize items_len = out->len - level->at - 1;
  guint8 *at = choir_frame_builder_reserve (out, len - 1) - out->len + level->at;

  if (len > 1)
    memmove (at + len, at + 1, items_len);
  memcpy (at, head, len);
  out->len += len - 1;
}

static void
value_ended (Level *level)
{
  level->n_items++;
  level->has_key = FALSE;
}

static Step
open_level (Writer *self, gboolean is_map)
{
  if (self->depth == DEPTH_MAX)
    return STEP_FAILED;

  self->levels[self->depth++] = (Level){ .at = self->out->len, .is_map = is_map };
  choir_frame_builder_append_literal (self->out, "\xf6");
  self->p++;
  skip_blanks (self);
  if (take_char (self, is_map ? '}' : ']'))
    {
      close_level (self);
      return STEP_VALUE_ENDED;
    }

  return is_map ? write_key (self) : STEP_TO_VALUE;
}

/* A scalar, or a container's opening up to its first value */
static Step
enter_value (Writer *self)
{
  skip_blanks (self);
  if (self->p == self->end)
    return STEP_FAILED;

  switch (*self->p)
    {
    case '{':
    case '[':
      return open_level (self, *self->p == '{');

    case '"':
      return write_string (self) ? STEP_VALUE_ENDED : STEP_FAILED;

    default:
      return write_word (self) ? STEP_VALUE_ENDED : STEP_FAILED;
    }
}

/* Behind a value inside a container: the next one's start, or the container's end */
static Step
leave_value (Writer *self)
{
  Level *level = &self->levels[self->depth - 1];
  gboolean is_map = level->is_map;

  value_ended (level);
  skip_blanks (self);
  if (take_char (self, is_map ? '}' : ']'))
    {
      close_level (self);
      return STEP_VALUE_ENDED;
    }
  if (!take_char (self, ','))
    return STEP_FAILED;

  skip_blanks (self);
  return is_map ? write_key (self) : STEP_TO_VALUE;
}

/* Of text that ends too early: what was begun is closed, a key without a value gets null */
static void
finish_broken (Writer *self)
{
  if (self->depth == 0)
    choir_frame_builder_append_literal (self->out, "\xf6");

  while (self->depth > 0)
    {
      Level *level = &self->levels[self->depth - 1];

      if (level->has_key)
        {
          choir_frame_builder_append_literal (self->out, "\xf6");
          value_ended (level);
        }
      close_level (self);
      if (self->depth > 0)
        value_ended (&self->levels[self->depth - 1]);
    }
}

/**
 * choir_cbor_write:
 * @out: an initialised builder
 * @json: JSON text that has passed the gate
 *
 * Appends the value as one item (RFC 8949 section 6.2): definite lengths, heads and numbers as
 * short as they can be. An integer stays one within 64 bits; other numbers become the nearest
 * floating-point one, 1.0 and -0 among them.
 *
 * Returns: FALSE if @json turns out to be something else; what was appended is one well-formed item
 * all the same
 */
gboolean
choir_cbor_write (ChoirFrameBuilder *out, ChoirSlice json)
{
  Step step = STEP_TO_VALUE;
  Writer self;

  self.p = json.data;
  self.end = json.data + json.len;
  self.out = out;
  self.depth = 0;

  while (step != STEP_FAILED)
    {
      step = step == STEP_TO_VALUE ? enter_value (&self) : leave_value (&self);
      if (step == STEP_VALUE_ENDED && self.depth == 0)
        {
          skip_blanks (&self);
          return self.p == self.end;
        }
    }

  finish_broken (&self);
  return FALSE;
}

/**
 * choir_cbor_write_array_start:
 * @out: an initialised builder
 * @n_items: how many items the caller appends behind it
 */
void
choir_cbor_write_array_start (ChoirFrameBuilder *out, gsize n_items)
{
  out->len +=
    cbor_encode_array_start (n_items, choir_frame_builder_reserve (out, HEAD_MAX), HEAD_MAX);
}

/**
 * choir_cbor_write_text_start:
 * @out: an initialised builder
 * @len: how many bytes of valid UTF-8 the caller appends behind it
 */
void
choir_cbor_write_text_start (ChoirFrameBuilder *out, gsize len)
{
  out->len += cbor_encode_string_start (len, choir_frame_builder_reserve (out, HEAD_MAX), HEAD_MAX);
}
