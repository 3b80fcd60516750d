/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-rope.h"

#include <string.h>

struct _ChoirRope
{
  GString *text; /* (owned) */
};

static const char *
at_char (const ChoirRope *self, gsize position)
{
  return g_utf8_offset_to_pointer (self->text->str, (glong) position);
}

static gsize
utf16_of (const char *text, const char *end)
{
  gsize n_utf16 = 0;

  for (const char *at = text; at < end; at = g_utf8_next_char (at))
    n_utf16 += (guint8) *at >= 0xf0 ? 2 : 1;

  return n_utf16;
}

ChoirRope *
choir_rope_new (void)
{
  return choir_rope_new_from_text ("", 0);
}

ChoirRope *
choir_rope_new_from_text (const char *text, gsize n_bytes)
{
  ChoirRope *self = g_new0 (ChoirRope, 1);

  self->text = g_string_new_len (text, (gssize) n_bytes);

  return self;
}

void
choir_rope_free (ChoirRope *self)
{
  g_string_free (self->text, TRUE);
  g_free (self);
}

gsize
choir_rope_get_n_chars (const ChoirRope *self)
{
  return (gsize) g_utf8_strlen (self->text->str, (gssize) self->text->len);
}

gsize
choir_rope_get_n_bytes (const ChoirRope *self)
{
  return self->text->len;
}

gsize
choir_rope_get_n_utf16 (const ChoirRope *self)
{
  return utf16_of (self->text->str, self->text->str + self->text->len);
}

gsize
choir_rope_get_memory (const ChoirRope *self)
{
  return sizeof *self + sizeof *self->text + self->text->allocated_len;
}

void
choir_rope_insert (ChoirRope *self, gsize position, const char *text, gsize n_bytes)
{
  g_string_insert_len (self->text, at_char (self, position) - self->text->str, text,
                       (gssize) n_bytes);
}

void
choir_rope_delete (ChoirRope *self, gsize position, gsize n_chars)
{
  const char *from = at_char (self, position);
  const char *to = g_utf8_offset_to_pointer (from, (glong) n_chars);

  g_string_erase (self->text, from - self->text->str, to - from);
}

char *
choir_rope_dup_text (const ChoirRope *self, gsize *n_bytes)
{
  if (n_bytes != NULL)
    *n_bytes = self->text->len;

  return g_strndup (self->text->str, self->text->len);
}

void
choir_rope_append_slice (const ChoirRope *self, gsize position, gsize n_chars, GString *out)
{
  const char *from = at_char (self, position);
  const char *to = g_utf8_offset_to_pointer (from, (glong) n_chars);

  g_string_append_len (out, from, to - from);
}

gsize
choir_rope_chars_to_bytes (const ChoirRope *self, gsize chars)
{
  return (gsize) (at_char (self, chars) - self->text->str);
}

gsize
choir_rope_bytes_to_chars (const ChoirRope *self, gsize bytes)
{
  while (bytes < self->text->len && ((guint8) self->text->str[bytes] & 0xc0) == 0x80)
    bytes--;

  return (gsize) g_utf8_strlen (self->text->str, (gssize) bytes);
}

gsize
choir_rope_chars_to_utf16 (const ChoirRope *self, gsize chars)
{
  return utf16_of (self->text->str, at_char (self, chars));
}

gsize
choir_rope_utf16_to_chars (const ChoirRope *self, gsize utf16)
{
  const char *at = self->text->str;
  gsize n_chars = 0;

  for (; utf16 > 0; at = g_utf8_next_char (at), n_chars++)
    {
      gsize width = (guint8) *at >= 0xf0 ? 2 : 1;

      if (width > utf16)
        break;
      utf16 -= width;
    }

  return n_chars;
}

void
choir_rope_iter_init (ChoirRopeIter *self, const ChoirRope *rope, gsize position)
{
  self->rope = rope;
  self->leaf = rope->text->str;
  self->offset = choir_rope_chars_to_bytes (rope, position);
}

gboolean
choir_rope_iter_next (ChoirRopeIter *self, const char **piece, gsize *n_bytes)
{
  if (self->offset == self->rope->text->len)
    return FALSE;

  *piece = self->rope->text->str + self->offset;
  *n_bytes = self->rope->text->len - self->offset;
  self->offset = self->rope->text->len;

  return TRUE;
}
