/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-text-operation-private.h"

/**
 * choir_text_builder_new:
 *
 * Returns: (transfer full): a builder of the operation that does nothing
 */
ChoirTextBuilder *
choir_text_builder_new (void)
{
  ChoirTextBuilder *self = g_new (ChoirTextBuilder, 1);

  choir_text_builder_init (self, 0, 0);

  return self;
}

static void
reserve_part (ChoirTextBuilder *self)
{
  guint capacity = self->max_parts * 2;

  if (self->n_parts < self->max_parts)
    return;

  if (self->parts == self->inline_parts)
    self->parts =
      memcpy (g_new (ChoirTextPart, capacity), self->inline_parts, sizeof self->inline_parts);
  else
    self->parts = g_renew (ChoirTextPart, self->parts, capacity);
  self->max_parts = capacity;
}

static void
reserve_text (ChoirTextBuilder *self, gsize n_bytes)
{
  gsize capacity = MAX (self->max_text * 2, self->n_text + n_bytes);

  if (n_bytes <= self->max_text - self->n_text)
    return;

  if (self->text == self->inline_text)
    self->text = memcpy (g_malloc (capacity), self->inline_text, self->n_text);
  else
    self->text = g_realloc (self->text, capacity);
  self->max_text = capacity;
}

/**
 * choir_text_builder_keep:
 * @self: a builder
 * @n_chars: code points to leave as they are; 0 adds nothing
 */
void
choir_text_builder_keep (ChoirTextBuilder *self, gsize n_chars)
{
  reserve_part (self);
  choir_text_builder_put (self, CHOIR_TEXT_KEEP, (guint32) MIN (n_chars, G_MAXUINT32));
}

/**
 * choir_text_builder_insert:
 * @self: a builder
 * @text: valid UTF-8, copied
 * @n_bytes: how long it is; 0 adds nothing
 */
void
choir_text_builder_insert (ChoirTextBuilder *self, const char *text, gsize n_bytes)
{
  if (n_bytes == 0)
    return;

  g_assert (n_bytes <= CHOIR_TEXT_BYTES_MAX - self->n_text);
  reserve_part (self);
  reserve_text (self, n_bytes);
  choir_text_builder_put_text (self, (guint32) choir_text_count_chars (text, n_bytes), text,
                               n_bytes);
}

/**
 * choir_text_builder_delete:
 * @self: a builder
 * @n_chars: code points to take away; 0 adds nothing
 */
void
choir_text_builder_delete (ChoirTextBuilder *self, gsize n_chars)
{
  reserve_part (self);
  choir_text_builder_put (self, CHOIR_TEXT_DELETE, (guint32) MIN (n_chars, G_MAXUINT32));
}

static void
count (ChoirTextOperation *self)
{
  guint32 kept = 0;
  guint32 inserted = 0;
  guint32 deleted = 0;

  for (guint i = 0; i < self->n_parts; i++)
    {
      const ChoirTextPart *part = &self->parts[i];

      if (part->kind == CHOIR_TEXT_KEEP)
        kept = choir_text_add (kept, part->n_chars);
      else if (part->kind == CHOIR_TEXT_INSERT)
        inserted = choir_text_add (inserted, part->n_chars);
      else
        deleted = choir_text_add (deleted, part->n_chars);
    }

  self->input_chars = choir_text_add (kept, deleted);
  self->inserted_chars = inserted;
  self->deleted_chars = deleted;
}

/**
 * choir_text_builder_finish:
 * @self: a builder, cleared by this
 * @text: the bytes of all inserts, as long as the parts say; the builder's own or others
 *
 * Returns: (transfer full): the operation, without a keep at its end
 */
ChoirTextOperation *
choir_text_builder_finish (ChoirTextBuilder *self, const char *text)
{
  ChoirTextOperation *operation;
  gsize n_parts = self->n_parts;

  if (n_parts > 0 && self->parts[n_parts - 1].kind == CHOIR_TEXT_KEEP)
    n_parts--;

  operation = g_malloc (sizeof *operation + n_parts * sizeof (ChoirTextPart) + self->n_text);
  operation->n_parts = (guint32) n_parts;
  memcpy (operation->parts, self->parts, n_parts * sizeof (ChoirTextPart));
  memcpy (operation->parts + n_parts, text, self->n_text);
  count (operation);
  choir_text_builder_clear (self);

  return operation;
}

/**
 * choir_text_builder_end:
 * @self: (transfer full): a builder
 *
 * Returns: (transfer full): what was built, canonical
 */
ChoirTextOperation *
choir_text_builder_end (ChoirTextBuilder *self)
{
  ChoirTextOperation *operation = choir_text_builder_finish (self, self->text);

  g_free (self);

  return operation;
}

void
choir_text_builder_free (ChoirTextBuilder *self)
{
  choir_text_builder_clear (self);
  g_free (self);
}

/**
 * choir_text_builder_clear:
 * @self: a builder of any kind
 *
 * Frees what it holds. Only to be initialised again after that, or freed.
 */
void
choir_text_builder_clear (ChoirTextBuilder *self)
{
  if (self->parts != self->inline_parts)
    g_free (self->parts);
  if (self->text != self->inline_text)
    g_free (self->text);

  self->parts = self->inline_parts;
  self->text = self->inline_text;
  self->n_parts = 0;
  self->n_text = 0;
}
