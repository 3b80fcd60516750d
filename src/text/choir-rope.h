/* choir-rope.h: a long text that is edited in the middle
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * ChoirRope:
 *
 * A text of Unicode code points, kept as a balanced tree of UTF-8 leaves, so that inserting and
 * deleting anywhere, cutting a piece out and converting positions between code points, UTF-16 units
 * and bytes all cost the logarithm of its length. Text given to it is valid UTF-8, already checked.
 */
typedef struct _ChoirRope ChoirRope;

/* More would not fit into its counts; settings keep texts far below */
#define CHOIR_ROPE_MAX_BYTES G_MAXUINT32

ChoirRope *choir_rope_new (void);
ChoirRope *choir_rope_new_from_text (const char *text, gsize n_bytes);
void choir_rope_free (ChoirRope *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirRope, choir_rope_free)

gsize choir_rope_get_n_chars (const ChoirRope *self);
gsize choir_rope_get_n_bytes (const ChoirRope *self);
gsize choir_rope_get_n_utf16 (const ChoirRope *self);
gsize choir_rope_get_memory (const ChoirRope *self);

void choir_rope_insert (ChoirRope *self, gsize position, const char *text, gsize n_bytes);
void choir_rope_delete (ChoirRope *self, gsize position, gsize n_chars);

char *choir_rope_dup_text (const ChoirRope *self, gsize *n_bytes);
void choir_rope_append_slice (const ChoirRope *self, gsize position, gsize n_chars, GString *out);

/* Positions: each takes one that lies inside the text or at its end. One inside a surrogate pair or
 * inside a character's bytes counts as its beginning. */
gsize choir_rope_chars_to_bytes (const ChoirRope *self, gsize chars);
gsize choir_rope_bytes_to_chars (const ChoirRope *self, gsize bytes);
gsize choir_rope_chars_to_utf16 (const ChoirRope *self, gsize chars);
gsize choir_rope_utf16_to_chars (const ChoirRope *self, gsize utf16);

/* Walks over the text in pieces that lie in one place; the rope must not change meanwhile */
typedef struct
{
  const ChoirRope *rope; /* borrowed */
  gsize offset;          /* bytes before the next piece */
} ChoirRopeIter;

void choir_rope_iter_init (ChoirRopeIter *self, const ChoirRope *rope, gsize position);
gboolean choir_rope_iter_next (ChoirRopeIter *self, const char **piece, gsize *n_bytes);

G_END_DECLS
