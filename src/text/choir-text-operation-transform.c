/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-text-operation-private.h"

/* A place inside an operation. Behind its end it keeps, for ever. */
typedef struct
{
  const ChoirTextPart *part;
  const ChoirTextPart *end;
  guint32 rest;     /* code points of *part not yet taken */
  guint32 text_at;  /* bytes of the inserts taken */
  const char *text; /* of all inserts */
} Walk;

static inline void
walk_init (Walk *self, const ChoirTextOperation *operation)
{
  self->part = operation->parts;
  self->end = operation->parts + operation->n_parts;
  self->rest = operation->n_parts > 0 ? operation->parts[0].n_chars : 0;
  self->text_at = 0;
  self->text = choir_text_operation_get_text (operation);
}

static inline gboolean
walk_is_at_end (const Walk *self)
{
  return self->part == self->end;
}

static inline void
walk_next (Walk *self)
{
  self->text_at = self->part->text_end;
  self->part++;
  if (self->part < self->end)
    self->rest = self->part->n_chars;
}

/* Up to @max code points of the present part, which is no insert */
static inline guint32
walk_take (Walk *self, guint32 max)
{
  guint32 n_chars = MIN (max, self->rest);

  self->rest -= n_chars;
  if (self->rest == 0)
    walk_next (self);

  return n_chars;
}

/* Where in valid UTF-8 the code point number @n_chars starts; it is there */
static gsize
find_char (const char *text, gsize n_bytes, guint32 n_chars)
{
  gsize at = 0;

  while (n_bytes - at >= 64)
    {
      guint32 n_here = (guint32) choir_text_count_chars (text + at, 64);

      if (n_here > n_chars)
        break;
      n_chars -= n_here;
      at += 64;
    }

  for (; at < n_bytes; at++)
    if (((guint8) text[at] & 0xc0) != 0x80 && n_chars-- == 0)
      break;

  return at;
}

/* Up to @max code points of the present part, an insert, with their bytes */
static inline guint32
walk_take_text (Walk *self, guint32 max, const char **text, gsize *n_bytes)
{
  guint32 n_chars = MIN (max, self->rest);
  gsize n_left = self->part->text_end - self->text_at;

  *text = self->text + self->text_at;
  *n_bytes = n_left;
  if (n_chars < self->rest)
    *n_bytes = n_left == self->rest ? n_chars : find_char (*text, n_left, n_chars);

  self->rest -= n_chars;
  self->text_at += (guint32) *n_bytes;
  if (self->rest == 0)
    walk_next (self);

  return n_chars;
}

/* The present part, an insert, goes to where it goes anyway: transforming leaves the text as it is
 */
static inline void
put_insert (ChoirTextBuilder *builder, Walk *walk)
{
  builder->n_text = walk->part->text_end;
  choir_text_builder_put (builder, CHOIR_TEXT_INSERT, walk->part->n_chars);
  walk_next (walk);
}

/* What the other operation kept or, if @deleted, took away */
static inline void
transform_span (ChoirTextBuilder *builder, Walk *walk, guint32 n_chars, gboolean deleted)
{
  while (n_chars > 0 && !walk_is_at_end (walk))
    {
      ChoirTextKind kind = walk->part->kind;
      guint32 n_taken;

      if (kind == CHOIR_TEXT_INSERT)
        {
          put_insert (builder, walk);
          continue;
        }

      n_taken = walk_take (walk, n_chars);
      n_chars -= n_taken;
      if (!deleted)
        choir_text_builder_put (builder, kind, n_taken);
    }
}

static void
transform_rest (ChoirTextBuilder *builder, Walk *walk)
{
  while (!walk_is_at_end (walk))
    {
      ChoirTextKind kind = walk->part->kind;

      if (kind == CHOIR_TEXT_INSERT)
        put_insert (builder, walk);
      else
        choir_text_builder_put (builder, kind, walk_take (walk, walk->rest));
    }
}

/**
 * choir_text_operation_transform:
 * @self: an operation
 * @other: one for the same text
 * @side: whose insert stands first when both have one at the same place
 *
 * What @self means to a text that @other has already changed. With a the left and b the right one,
 * a then transform (b, a, right) leads to the same text as b then transform (a, b, left). Where
 * each insert lands, behind a delete or before it, is as in the reference's transform().
 *
 * The left one may be a composition, and the result is that of transforming its pieces one after
 * the other. That does not hold for the right one, since composing forgets on which side of a
 * deleted piece something was inserted.
 *
 * Takes time linear in the number of components.
 *
 * Returns: (transfer full): the operation
 */
ChoirTextOperation *
choir_text_operation_transform (const ChoirTextOperation *self,
                                const ChoirTextOperation *other,
                                ChoirTextSide side)
{
  ChoirTextBuilder builder;
  Walk walk;

  walk_init (&walk, self);
  /* each step uses up a part of one of them */
  choir_text_builder_init (&builder, (gsize) self->n_parts + other->n_parts, 0);

  /* once @self is used up, only keeps would follow */
  for (guint i = 0; i < other->n_parts && !walk_is_at_end (&walk); i++)
    {
      const ChoirTextPart *part = &other->parts[i];

      if (part->kind != CHOIR_TEXT_INSERT)
        {
          transform_span (&builder, &walk, part->n_chars, part->kind == CHOIR_TEXT_DELETE);
          continue;
        }

      if (side == CHOIR_TEXT_SIDE_LEFT && walk.part->kind == CHOIR_TEXT_INSERT)
        put_insert (&builder, &walk);
      choir_text_builder_put (&builder, CHOIR_TEXT_KEEP, part->n_chars);
    }

  transform_rest (&builder, &walk);

  return choir_text_builder_finish (&builder, walk.text);
}

/* The second operation keeps @n_chars of what the first leaves */
static inline void
compose_keep (ChoirTextBuilder *builder, Walk *walk, guint32 n_chars)
{
  while (n_chars > 0 && !walk_is_at_end (walk))
    {
      ChoirTextKind kind = walk->part->kind;

      if (kind == CHOIR_TEXT_DELETE)
        choir_text_builder_put (builder, kind, walk_take (walk, walk->rest));
      else if (kind == CHOIR_TEXT_INSERT)
        {
          const char *text;
          gsize n_bytes;
          guint32 n_taken = walk_take_text (walk, n_chars, &text, &n_bytes);

          choir_text_builder_put_text (builder, n_taken, text, n_bytes);
          n_chars -= n_taken;
        }
      else
        {
          guint32 n_taken = walk_take (walk, n_chars);

          choir_text_builder_put (builder, kind, n_taken);
          n_chars -= n_taken;
        }
    }

  choir_text_builder_put (builder, CHOIR_TEXT_KEEP, n_chars);
}

/* The second operation deletes @n_chars of what the first leaves */
static inline void
compose_delete (ChoirTextBuilder *builder, Walk *walk, guint32 n_chars)
{
  while (n_chars > 0 && !walk_is_at_end (walk))
    {
      ChoirTextKind kind = walk->part->kind;

      if (kind == CHOIR_TEXT_DELETE)
        choir_text_builder_put (builder, kind, walk_take (walk, walk->rest));
      else if (kind == CHOIR_TEXT_INSERT)
        {
          const char *text;
          gsize n_bytes;

          n_chars -= walk_take_text (walk, n_chars, &text, &n_bytes);
        }
      else
        {
          guint32 n_taken = walk_take (walk, n_chars);

          choir_text_builder_put (builder, CHOIR_TEXT_DELETE, n_taken);
          n_chars -= n_taken;
        }
    }

  choir_text_builder_put (builder, CHOIR_TEXT_DELETE, n_chars);
}

static void
compose_rest (ChoirTextBuilder *builder, Walk *walk)
{
  while (!walk_is_at_end (walk))
    {
      ChoirTextKind kind = walk->part->kind;
      const char *text;
      gsize n_bytes;

      if (kind == CHOIR_TEXT_INSERT)
        {
          guint32 n_taken = walk_take_text (walk, walk->rest, &text, &n_bytes);

          choir_text_builder_put_text (builder, n_taken, text, n_bytes);
        }
      else
        choir_text_builder_put (builder, kind, walk_take (walk, walk->rest));
    }
}

/**
 * choir_text_operation_compose:
 * @first: an operation
 * @second: one for the text that @first leads to
 *
 * Takes time linear in the components and the inserted text of both. At one place what @second
 * inserts comes before what @first deletes, as in the reference's compose().
 *
 * Returns: (transfer full): one operation that does what both do
 */
ChoirTextOperation *
choir_text_operation_compose (const ChoirTextOperation *first, const ChoirTextOperation *second)
{
  gsize n_second = choir_text_operation_get_n_text (second);
  gsize n_text = choir_text_operation_get_n_text (first) + n_second;
  ChoirTextBuilder builder;
  const char *text = choir_text_operation_get_text (second);
  guint32 text_at = 0;
  Walk walk;

  g_assert (n_text <= CHOIR_TEXT_BYTES_MAX);
  walk_init (&walk, first);
  /* each step uses up a part of one of them */
  choir_text_builder_init (&builder, (gsize) first->n_parts + second->n_parts, n_text);

  for (guint i = 0; i < second->n_parts; i++)
    {
      const ChoirTextPart *part = &second->parts[i];

      if (part->kind == CHOIR_TEXT_KEEP)
        compose_keep (&builder, &walk, part->n_chars);
      else if (part->kind == CHOIR_TEXT_DELETE)
        compose_delete (&builder, &walk, part->n_chars);
      else
        choir_text_builder_put_text (&builder, part->n_chars, text + text_at,
                                     part->text_end - text_at);
      text_at = part->text_end;
    }

  compose_rest (&builder, &walk);

  return choir_text_builder_finish (&builder, builder.text);
}

/**
 * choir_text_operation_transform_position:
 * @self: an operation
 * @position: of a cursor in the text before it, in code points
 * @own: whether the cursor belongs to whoever made the operation
 *
 * What is inserted right at the cursor pushes the writer's own along and leaves anybody else's
 * where it is, like the reference's transformPosition(). A cursor inside a deleted piece goes to
 * where the piece was.
 *
 * Returns: the position in the text after the operation
 */
gsize
choir_text_operation_transform_position (const ChoirTextOperation *self,
                                         gsize position,
                                         gboolean own)
{
  gsize at = 0;

  for (guint i = 0; i < self->n_parts && (own ? at <= position : at < position); i++)
    {
      const ChoirTextPart *part = &self->parts[i];

      if (part->kind == CHOIR_TEXT_DELETE)
        {
          position -= MIN (part->n_chars, position - at);
          continue;
        }

      at += part->n_chars;
      if (part->kind == CHOIR_TEXT_INSERT)
        position += part->n_chars;
    }

  return position;
}
