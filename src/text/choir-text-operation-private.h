/* choir-text-operation-private.h: how an operation lies in memory, and how one is put together
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-text-operation.h"

#include <string.h>

G_BEGIN_DECLS

/* Most code points an operation from outside may walk over or insert */
#define CHOIR_TEXT_CHARS_MAX G_MAXINT32

/* Most bytes of text in one operation: what `text_end` can hold */
#define CHOIR_TEXT_BYTES_MAX ((1U << 30) - 1)

typedef struct
{
  guint32 n_chars; /* saturates, see choir_text_add() */
  guint32 kind : 2;
  guint32 text_end : 30; /* bytes of the inserts up to here, this one included */
} ChoirTextPart;

G_STATIC_ASSERT (sizeof (ChoirTextPart) == 8);

/* The text of the inserts follows the parts, in their order */
struct _ChoirTextOperation
{
  guint32 n_parts;
  guint32 input_chars;
  guint32 inserted_chars;
  guint32 deleted_chars;
  ChoirTextPart parts[];
};

/* What most operations need not leave the stack for */
#define CHOIR_TEXT_INLINE_PARTS 16
#define CHOIR_TEXT_INLINE_BYTES 128

struct _ChoirTextBuilder
{
  ChoirTextPart *parts; /* (owned) unless it is inline_parts */
  guint n_parts;
  guint max_parts;
  char *text; /* (owned) unless it is inline_text */
  gsize n_text;
  gsize max_text;
  ChoirTextPart inline_parts[CHOIR_TEXT_INLINE_PARTS];
  char inline_text[CHOIR_TEXT_INLINE_BYTES];
};

void choir_text_builder_clear (ChoirTextBuilder *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ChoirTextBuilder, choir_text_builder_clear)

ChoirTextOperation *choir_text_builder_finish (ChoirTextBuilder *self, const char *text);

gboolean choir_text_builder_insert_json (ChoirTextBuilder *self,
                                         const ChoirJsonValue *string,
                                         const ChoirTextLimits *limits,
                                         gsize n_used,
                                         GError **error);
gboolean choir_text_operation_check_length (const ChoirTextOperation *self, GError **error);
void choir_text_append_number (GString *out, gsize number);

/* Counts stick at their maximum. No text is that long, so choir_text_operation_check() refuses an
 * operation this happened to. */
static inline guint32
choir_text_add (guint32 a, guint32 b)
{
  guint32 sum;

  return G_UNLIKELY (__builtin_add_overflow (a, b, &sum)) ? G_MAXUINT32 : sum;
}

static inline gsize
choir_text_operation_get_n_text (const ChoirTextOperation *self)
{
  return self->n_parts > 0 ? self->parts[self->n_parts - 1].text_end : 0;
}

static inline const char *
choir_text_operation_get_text (const ChoirTextOperation *self)
{
  return (const char *) (self->parts + self->n_parts);
}

/* Code points in valid UTF-8 */
static inline gsize
choir_text_count_chars (const char *text, gsize n_bytes)
{
  const guint64 ones = G_GUINT64_CONSTANT (0x0101010101010101);
  gsize n_continuations = 0;
  gsize i = 0;

  for (; i + 8 <= n_bytes; i += 8)
    {
      guint64 block;

      memcpy (&block, text + i, sizeof block);
      n_continuations += ((((block >> 7) & (~block >> 6)) & ones) * ones) >> 56;
    }
  for (; i < n_bytes; i++)
    n_continuations += ((guint8) text[i] & 0xc0) == 0x80;

  return n_bytes - n_continuations;
}

/* Room for @n_parts and @n_text in all, without a look at it later; not to be grown */
static inline void
choir_text_builder_init (ChoirTextBuilder *self, gsize n_parts, gsize n_text)
{
  self->n_parts = 0;
  self->n_text = 0;
  self->max_parts = MAX (n_parts, CHOIR_TEXT_INLINE_PARTS);
  self->max_text = MAX (n_text, CHOIR_TEXT_INLINE_BYTES);
  self->parts =
    n_parts <= CHOIR_TEXT_INLINE_PARTS ? self->inline_parts : g_new (ChoirTextPart, n_parts);
  self->text = n_text <= CHOIR_TEXT_INLINE_BYTES ? self->inline_text : g_malloc (n_text);
}

/* Appends to what has room. The reference's rules: nothing of length zero, neighbours of one kind
 * become one, the order of inserts and deletes stays. An insert's bytes are counted beforehand. */
static inline void
choir_text_builder_put (ChoirTextBuilder *self, ChoirTextKind kind, guint32 n_chars)
{
  ChoirTextPart *last = self->parts + self->n_parts - 1;

  if (n_chars == 0)
    return;

  if (self->n_parts > 0 && last->kind == kind)
    {
      last->n_chars = choir_text_add (last->n_chars, n_chars);
      last->text_end = self->n_text & CHOIR_TEXT_BYTES_MAX;
      return;
    }

  g_assert (self->n_parts < self->max_parts);
  self->parts[self->n_parts++] =
    (ChoirTextPart){ n_chars, kind, self->n_text & CHOIR_TEXT_BYTES_MAX };
}

static inline void
choir_text_builder_put_text (ChoirTextBuilder *self,
                             guint32 n_chars,
                             const char *text,
                             gsize n_bytes)
{
  g_assert (n_bytes <= self->max_text - self->n_text);
  memcpy (self->text + self->n_text, text, n_bytes);
  self->n_text += n_bytes;
  choir_text_builder_put (self, CHOIR_TEXT_INSERT, n_chars);
}

G_END_DECLS
