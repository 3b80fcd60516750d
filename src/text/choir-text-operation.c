/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-text-operation.h"

#include "choir-error.h"
#include "choir-text-operation-private.h"

/* The allocator's: each block has a header, and a size in steps of two words */
#define BLOCK_HEADER sizeof (gsize)
#define BLOCK_STEP (2 * sizeof (gsize))

static gsize
get_length (const ChoirTextOperation *self)
{
  return sizeof *self + self->n_parts * sizeof (ChoirTextPart) +
         choir_text_operation_get_n_text (self);
}

/**
 * choir_text_operation_copy:
 * @self: an operation
 *
 * Returns: (transfer full): another one like it
 */
ChoirTextOperation *
choir_text_operation_copy (const ChoirTextOperation *self)
{
  gsize length = get_length (self);

  return memcpy (g_malloc (length), self, length);
}

void
choir_text_operation_free (ChoirTextOperation *self)
{
  g_free (self);
}

guint
choir_text_operation_get_n_components (const ChoirTextOperation *self)
{
  return self->n_parts;
}

/**
 * choir_text_operation_get_component:
 * @self: an operation
 * @i: below choir_text_operation_get_n_components()
 * @out: (out caller-allocates): filled; its text belongs to @self
 *
 * In constant time.
 */
void
choir_text_operation_get_component (const ChoirTextOperation *self,
                                    guint i,
                                    ChoirTextComponent *out)
{
  const ChoirTextPart *part = &self->parts[i];
  gsize text_at = i > 0 ? part[-1].text_end : 0;

  *out = (ChoirTextComponent){ .kind = part->kind, .n_chars = part->n_chars };
  if (part->kind == CHOIR_TEXT_INSERT)
    {
      out->text = choir_text_operation_get_text (self) + text_at;
      out->n_bytes = part->text_end - text_at;
    }
}

/**
 * choir_text_operation_is_noop:
 * @self: an operation
 *
 * Returns: whether it has no component, so leaves every text as it is
 */
gboolean
choir_text_operation_is_noop (const ChoirTextOperation *self)
{
  return self->n_parts == 0;
}

/**
 * choir_text_operation_equal:
 * @a: an operation
 * @b: another
 *
 * Returns: whether both have the same components. Two that only differ in the order of an insert
 * and a delete at one place do the same to a text and are not equal.
 */
gboolean
choir_text_operation_equal (const ChoirTextOperation *a, const ChoirTextOperation *b)
{
  gsize length = get_length (a);

  return length == get_length (b) && memcmp (a, b, length) == 0;
}

/**
 * choir_text_operation_get_input_chars:
 * @self: an operation
 *
 * Returns: how many code points the text must have at least
 */
gsize
choir_text_operation_get_input_chars (const ChoirTextOperation *self)
{
  return self->input_chars;
}

/**
 * choir_text_operation_get_inserted_chars:
 * @self: an operation
 *
 * Returns: code points of all inserts
 */
gsize
choir_text_operation_get_inserted_chars (const ChoirTextOperation *self)
{
  return self->inserted_chars;
}

/**
 * choir_text_operation_get_inserted_bytes:
 * @self: an operation
 *
 * Returns: bytes of all inserts
 */
gsize
choir_text_operation_get_inserted_bytes (const ChoirTextOperation *self)
{
  return choir_text_operation_get_n_text (self);
}

/**
 * choir_text_operation_get_deleted_chars:
 * @self: an operation
 *
 * Returns: code points of all deletes
 */
gsize
choir_text_operation_get_deleted_chars (const ChoirTextOperation *self)
{
  return self->deleted_chars;
}

/**
 * choir_text_operation_get_size:
 * @self: an operation
 *
 * Returns: bytes of memory it takes, the allocator's share included
 */
gsize
choir_text_operation_get_size (const ChoirTextOperation *self)
{
  gsize size = get_length (self) + BLOCK_HEADER;

  return (size + BLOCK_STEP - 1) / BLOCK_STEP * BLOCK_STEP;
}

/**
 * choir_text_operation_check:
 * @self: an operation
 * @n_chars: code points of a text
 *
 * The reference lets an operation delete past the end; this does not.
 *
 * Returns: whether it can be applied to that text; CHOIR_ERROR_VALIDATION otherwise
 */
gboolean
choir_text_operation_check (const ChoirTextOperation *self, gsize n_chars, GError **error)
{
  if (self->input_chars <= n_chars)
    return TRUE;

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
               "operation reaches to character %u of a text of %" G_GSIZE_FORMAT, self->input_chars,
               n_chars);
  return FALSE;
}

/**
 * choir_text_operation_apply:
 * @self: an operation
 * @rope: a text it passes choir_text_operation_check() for, changed
 */
void
choir_text_operation_apply (const ChoirTextOperation *self, ChoirRope *rope)
{
  const char *text = choir_text_operation_get_text (self);
  gsize text_at = 0;
  gsize position = 0;

  for (guint i = 0; i < self->n_parts; i++)
    {
      const ChoirTextPart *part = &self->parts[i];

      if (part->kind == CHOIR_TEXT_DELETE)
        {
          choir_rope_delete (rope, position, part->n_chars);
          continue;
        }

      if (part->kind == CHOIR_TEXT_INSERT)
        choir_rope_insert (rope, position, text + text_at, part->text_end - text_at);
      text_at = part->text_end;
      position += part->n_chars;
    }
}

/**
 * choir_text_operation_invert:
 * @self: an operation
 * @before: the text it is or was applied to, as it was before
 *
 * Returns: (transfer full): the operation that undoes it, its components in the same order
 */
ChoirTextOperation *
choir_text_operation_invert (const ChoirTextOperation *self, const ChoirRope *before)
{
  ChoirTextBuilder builder;
  g_autoptr (GString) deleted = g_string_sized_new (self->deleted_chars);
  gsize position = 0;

  choir_text_builder_init (&builder, self->n_parts, 0);

  for (guint i = 0; i < self->n_parts; i++)
    {
      const ChoirTextPart *part = &self->parts[i];

      if (part->kind == CHOIR_TEXT_INSERT)
        {
          choir_text_builder_put (&builder, CHOIR_TEXT_DELETE, part->n_chars);
          continue;
        }

      if (part->kind == CHOIR_TEXT_DELETE)
        {
          choir_rope_append_slice (before, position, part->n_chars, deleted);
          g_assert (deleted->len <= CHOIR_TEXT_BYTES_MAX);
          builder.n_text = deleted->len;
          choir_text_builder_put (&builder, CHOIR_TEXT_INSERT, part->n_chars);
        }
      else
        choir_text_builder_put (&builder, CHOIR_TEXT_KEEP, part->n_chars);
      position += part->n_chars;
    }

  return choir_text_builder_finish (&builder, deleted->str);
}
