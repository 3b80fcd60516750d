/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-rope-private.h"

/* What positions are counted in */
typedef enum
{
  UNIT_CHARS,
  UNIT_BYTES,
  UNIT_UTF16,
} Unit;

/* A place in the text */
typedef struct
{
  const ChoirRopeLeaf *leaf;     /* borrowed */
  const ChoirRopeCounts *counts; /* borrowed: what @leaf contains */
  ChoirRopeCounts before;        /* what the leaves before it contain */
  guint32 rest;                  /* from the leaf's start, in the unit that was looked for */
} Place;

static inline guint32
in_unit (const ChoirRopeCounts *counts, Unit unit)
{
  if (unit == UNIT_BYTES)
    return counts->n_bytes;

  return counts->n_chars + (unit == UNIT_UTF16 ? counts->n_wide : 0);
}

/* The leaf that has the unit at @position; at the end of the text, the last one */
static Place
find_place (const ChoirRope *self, gsize position, Unit unit)
{
  Place place = { .counts = &self->counts, .before = { 0 }, .rest = (guint32) position };
  const void *child = self->root;

  g_assert (position <= in_unit (&self->counts, unit));

  for (guint32 height = self->height; height > 0; height--)
    {
      const ChoirRopeNode *node = child;
      guint32 last = node->n_children - 1;
      guint32 i = 0;

      for (; i < last && place.rest >= in_unit (&node->counts[i], unit); i++)
        {
          place.rest -= in_unit (&node->counts[i], unit);
          choir_rope_counts_add (&place.before, &node->counts[i]);
        }
      place.counts = &node->counts[i];
      child = node->children[i];
    }
  place.leaf = child;

  return place;
}

/* Bytes of the leaf that stand before the character at the place */
static guint32
offset_in_leaf (const Place *place, Unit unit)
{
  const ChoirRopeCounts *counts = place->counts;
  const char *text = place->leaf->text;
  guint32 offset = place->rest;

  if (counts->n_bytes == counts->n_chars)
    return offset;
  if (unit == UNIT_CHARS || (unit == UNIT_UTF16 && counts->n_wide == 0))
    return choir_rope_find_char (text, counts->n_bytes, offset);
  if (unit == UNIT_UTF16)
    return choir_rope_find_unit (text, counts->n_bytes, offset);

  while (offset < counts->n_bytes && !choir_rope_begins_char (text[offset]))
    offset--;

  return offset;
}

static gsize
convert (const ChoirRope *self, gsize position, Unit from, Unit to)
{
  Place place = find_place (self, position, from);
  ChoirRopeCounts before = choir_rope_count (place.leaf->text, offset_in_leaf (&place, from));

  choir_rope_counts_add (&before, &place.before);

  return in_unit (&before, to);
}

/**
 * choir_rope_chars_to_bytes:
 * @self: a rope
 * @chars: a position in code points
 *
 * Returns: the same in bytes of UTF-8
 */
gsize
choir_rope_chars_to_bytes (const ChoirRope *self, gsize chars)
{
  return convert (self, chars, UNIT_CHARS, UNIT_BYTES);
}

/**
 * choir_rope_bytes_to_chars:
 * @self: a rope
 * @bytes: a position in bytes of UTF-8
 *
 * Returns: the same in code points; of the character it is inside of
 */
gsize
choir_rope_bytes_to_chars (const ChoirRope *self, gsize bytes)
{
  return convert (self, bytes, UNIT_BYTES, UNIT_CHARS);
}

/**
 * choir_rope_chars_to_utf16:
 * @self: a rope
 * @chars: a position in code points
 *
 * Returns: the same in UTF-16 units
 */
gsize
choir_rope_chars_to_utf16 (const ChoirRope *self, gsize chars)
{
  return convert (self, chars, UNIT_CHARS, UNIT_UTF16);
}

/**
 * choir_rope_utf16_to_chars:
 * @self: a rope
 * @utf16: a position in UTF-16 units
 *
 * Returns: the same in code points; between two surrogates, that of their character
 */
gsize
choir_rope_utf16_to_chars (const ChoirRope *self, gsize utf16)
{
  return convert (self, utf16, UNIT_UTF16, UNIT_CHARS);
}

/**
 * choir_rope_iter_init:
 * @self: (out caller-allocates): an iterator; there is nothing to free
 * @rope: what to walk over; must neither change nor go away meanwhile
 * @position: where to begin, in code points
 */
void
choir_rope_iter_init (ChoirRopeIter *self, const ChoirRope *rope, gsize position)
{
  self->rope = rope;
  self->offset = choir_rope_chars_to_bytes (rope, position);
}

/**
 * choir_rope_iter_next:
 * @self: an iterator
 * @piece: (out) (array length=n_bytes) (transfer none): whole characters, not terminated
 * @n_bytes: (out): of @piece, at least one
 *
 * Costs the logarithm of the rope's length, for about a kilobyte of text.
 *
 * Returns: %FALSE when there is nothing left
 */
gboolean
choir_rope_iter_next (ChoirRopeIter *self, const char **piece, gsize *n_bytes)
{
  Place place;

  if (self->offset == self->rope->counts.n_bytes)
    return FALSE;

  place = find_place (self->rope, self->offset, UNIT_BYTES);
  *piece = place.leaf->text + place.rest;
  *n_bytes = place.counts->n_bytes - place.rest;
  self->offset += *n_bytes;

  return TRUE;
}

/* Copies @n_bytes to where there is room for them */
static void
copy_out (ChoirRopeIter *iter, char *to, gsize n_bytes)
{
  const char *piece;
  gsize n;

  while (n_bytes > 0 && choir_rope_iter_next (iter, &piece, &n))
    {
      n = MIN (n, n_bytes);
      memcpy (to, piece, n);
      to += n;
      n_bytes -= n;
    }
}

/**
 * choir_rope_dup_text:
 * @self: a rope
 * @n_bytes: (out) (optional): its length in bytes
 *
 * Returns: (transfer full): the whole text, terminated
 */
char *
choir_rope_dup_text (const ChoirRope *self, gsize *n_bytes)
{
  gsize length = self->counts.n_bytes;
  char *text = g_malloc (length + 1);
  ChoirRopeIter iter = { self, 0 };

  copy_out (&iter, text, length);
  text[length] = '\0';
  if (n_bytes != NULL)
    *n_bytes = length;

  return text;
}

/**
 * choir_rope_append_slice:
 * @self: a rope
 * @position: where to begin, in code points
 * @n_chars: code points to take, all inside the text
 * @out: what they are appended to
 */
void
choir_rope_append_slice (const ChoirRope *self, gsize position, gsize n_chars, GString *out)
{
  gsize length = out->len;
  gsize n_bytes;
  ChoirRopeIter iter;

  g_assert (position <= self->counts.n_chars);
  g_assert (n_chars <= self->counts.n_chars - position);

  choir_rope_iter_init (&iter, self, position);
  n_bytes = choir_rope_chars_to_bytes (self, position + n_chars) - iter.offset;
  g_string_set_size (out, length + n_bytes);
  copy_out (&iter, out->str + length, n_bytes);
}
