/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-rope-private.h"

/* New leaves are filled so far, since whoever pastes a text may go on to edit it */
#define FILL_BYTES CHOIR_ROPE_FUSED (CHOIR_ROPE_LEAF_MAX)

/* A text in three parts, each of which begins with a character */
typedef struct
{
  const char *text[3];
  gsize n_bytes[3];
  guint current; /* whose beginning was taken already */
} Parts;

/**
 * choir_rope_new:
 *
 * Returns: (transfer full): an empty rope
 */
ChoirRope *
choir_rope_new (void)
{
  ChoirRope *self = g_new0 (ChoirRope, 1);

  self->memory = choir_rope_block_size (self);
  self->root = choir_rope_leaf_resize (self, NULL, 0);

  return self;
}

/**
 * choir_rope_new_from_text:
 * @text: (array length=n_bytes): valid UTF-8; NUL bytes count as characters
 * @n_bytes: of @text, at most %CHOIR_ROPE_MAX_BYTES
 *
 * Returns: (transfer full): a rope with a copy of it
 */
ChoirRope *
choir_rope_new_from_text (const char *text, gsize n_bytes)
{
  ChoirRope *self = choir_rope_new ();

  choir_rope_insert (self, 0, text, n_bytes);

  return self;
}

/**
 * choir_rope_free:
 * @self: (transfer full): a rope
 */
void
choir_rope_free (ChoirRope *self)
{
  choir_rope_free_below (self, self->root, self->height);
  g_free (self);
}

/**
 * choir_rope_get_n_chars:
 * @self: a rope
 *
 * Returns: its length in code points
 */
gsize
choir_rope_get_n_chars (const ChoirRope *self)
{
  return self->counts.n_chars;
}

/**
 * choir_rope_get_n_bytes:
 * @self: a rope
 *
 * Returns: its length in bytes of UTF-8
 */
gsize
choir_rope_get_n_bytes (const ChoirRope *self)
{
  return self->counts.n_bytes;
}

/**
 * choir_rope_get_n_utf16:
 * @self: a rope
 *
 * Returns: its length in UTF-16 units, which is what JavaScript calls the length of a string
 */
gsize
choir_rope_get_n_utf16 (const ChoirRope *self)
{
  return (gsize) self->counts.n_chars + self->counts.n_wide;
}

/**
 * choir_rope_get_memory:
 * @self: a rope
 *
 * Returns: bytes of memory it takes, with what the allocator adds to each block. At most twice
 * the text's and 1 KiB, whatever was done to it.
 */
gsize
choir_rope_get_memory (const ChoirRope *self)
{
  return self->memory;
}

/* Copies the next @n_bytes to @to, and what is missing of the last character then.
 *
 * Returns: bytes copied
 */
static guint32
parts_take (Parts *self, char *to, guint32 n_bytes)
{
  guint32 n_taken = 0;

  while (n_taken < n_bytes && self->current < G_N_ELEMENTS (self->text))
    {
      const char *text = self->text[self->current];
      gsize n_left = self->n_bytes[self->current];
      gsize n = MIN (n_left, n_bytes - n_taken);

      while (n < n_left && !choir_rope_begins_char (text[n]))
        n++;
      memcpy (to + n_taken, text, n);
      n_taken += (guint32) n;
      self->text[self->current] += n;
      self->n_bytes[self->current] -= n;
      if (n == n_left)
        self->current++;
    }

  return n_taken;
}

/* Fills a leaf, or a new one, and says what is in it */
static ChoirRopeLeaf *
parts_fill (Parts *self,
            ChoirRope *rope,
            ChoirRopeLeaf *leaf,
            guint32 n_bytes,
            ChoirRopeCounts *counts)
{
  /* up to three bytes more complete a character */
  leaf = choir_rope_leaf_resize (rope, leaf, n_bytes + 3);
  *counts = choir_rope_count (leaf->text, parts_take (self, leaf->text, n_bytes));

  return leaf;
}

static void
set_leaf (ChoirRope *self, ChoirRopeLeaf *leaf)
{
  ChoirRopePath *path = &self->path;
  guint32 last = self->height - 1;

  path->leaf = leaf;
  if (self->height == 0)
    self->root = leaf;
  else
    path->nodes[last]->children[path->index[last]] = leaf;
}

/* Counts changed in the leaf: so they do in all that is above it. Unsigned, so a difference may be
 * below zero. */
static void
add_along_path (ChoirRope *self, const ChoirRopeCounts *change)
{
  ChoirRopePath *path = &self->path;

  choir_rope_counts_add (&self->counts, change);
  for (guint32 level = 0; level < self->height; level++)
    choir_rope_counts_add (&path->nodes[level]->counts[path->index[level]], change);
}

/* Lets the path lead to the leaf that has the characters, unless it does already */
static inline void
approach (ChoirRope *self, guint32 position, guint32 n_chars)
{
  const ChoirRopePath *path = &self->path;

  if (path->leaf == NULL || position < path->start ||
      position + n_chars > path->start + choir_rope_path_counts (self)->n_chars)
    choir_rope_seek (self, position);
}

/* Divides a leaf that @text would overfill, and the text, into leaves of the same size. They have
 * more than half of what is allowed, because there is more than fits into one. */
static void
insert_over (ChoirRope *self, guint32 at, const char *text, guint32 n_bytes)
{
  ChoirRopeLeaf *leaf = self->path.leaf;
  ChoirRopeCounts held = *choir_rope_path_counts (self);
  char old[CHOIR_ROPE_LEAF_MAX];
  Parts parts = { { old, text, old + at }, { at, n_bytes, held.n_bytes - at }, 0 };
  guint32 n_left = held.n_bytes + n_bytes;
  guint32 n_leaves = (n_left - 1) / FILL_BYTES + 1;
  ChoirRopeCounts counts;
  guint32 end;

  memcpy (old, leaf->text, held.n_bytes);
  set_leaf (self, parts_fill (&parts, self, leaf, n_left / n_leaves, &counts));
  n_left -= counts.n_bytes;
  end = self->path.start + counts.n_chars;
  choir_rope_counts_subtract (&counts, &held);
  add_along_path (self, &counts);

  while (--n_leaves > 0)
    {
      leaf = parts_fill (&parts, self, NULL, n_left / n_leaves, &counts);
      choir_rope_seek (self, end - 1);
      choir_rope_add_leaf (self, leaf, &counts);
      n_left -= counts.n_bytes;
      end += counts.n_chars;
    }
}

/**
 * choir_rope_insert:
 * @self: a rope
 * @position: where to, in code points, inside the text or at its end
 * @text: (array length=n_bytes): valid UTF-8, nothing of this rope's; NUL bytes count as characters
 * @n_bytes: of @text; with what is there already at most %CHOIR_ROPE_MAX_BYTES
 *
 * Costs the logarithm of the rope's length, and the length of @text.
 */
void
choir_rope_insert (ChoirRope *self, gsize position, const char *text, gsize n_bytes)
{
  ChoirRopeCounts added;
  ChoirRopeLeaf *leaf;
  guint32 n_held;
  guint32 at;

  g_assert (position <= self->counts.n_chars);
  g_assert (n_bytes <= CHOIR_ROPE_MAX_BYTES - self->counts.n_bytes);

  approach (self, (guint32) position, 0);
  leaf = self->path.leaf;
  n_held = choir_rope_path_counts (self)->n_bytes;
  at = choir_rope_leaf_offset (leaf, choir_rope_path_counts (self),
                               (guint32) position - self->path.start);
  if (n_bytes > CHOIR_ROPE_LEAF_MAX - n_held)
    {
      insert_over (self, at, text, (guint32) n_bytes);
      return;
    }

  added = choir_rope_count (text, (guint32) n_bytes);
  if (n_held + n_bytes > leaf->capacity)
    {
      leaf = choir_rope_leaf_resize (self, leaf, n_held + added.n_bytes);
      set_leaf (self, leaf);
    }
  memmove (leaf->text + at + n_bytes, leaf->text + at, n_held - at);
  memcpy (leaf->text + at, text, n_bytes);
  add_along_path (self, &added);
}

/* The characters are in the leaf at the end of the path, and don't leave it empty */
static void
delete_in_leaf (ChoirRope *self, guint32 position, guint32 n_chars)
{
  ChoirRopePath *path = &self->path;
  ChoirRopeCounts held = *choir_rope_path_counts (self);
  ChoirRopeCounts change = held;
  ChoirRopeLeaf *leaf;

  leaf = choir_rope_leaf_erase (self, path->leaf, &change, position - path->start, n_chars);
  if (leaf != path->leaf)
    set_leaf (self, leaf);
  choir_rope_counts_subtract (&change, &held);
  add_along_path (self, &change);

  if (held.n_bytes + change.n_bytes < CHOIR_ROPE_LEAF_MIN && self->height > 0)
    choir_rope_mend (self, path->start);
}

/**
 * choir_rope_delete:
 * @self: a rope
 * @position: where to begin, in code points
 * @n_chars: code points to take out, all inside the text
 *
 * Costs the logarithm of the rope's length, and what is freed, which is done at once.
 */
void
choir_rope_delete (ChoirRope *self, gsize position, gsize n_chars)
{
  guint32 from = (guint32) position;
  guint32 n = (guint32) n_chars;
  guint32 n_held;

  g_assert (position <= self->counts.n_chars);
  g_assert (n_chars <= self->counts.n_chars - position);

  approach (self, from, n);
  n_held = choir_rope_path_counts (self)->n_chars;
  if (self->height == 0 || (n < n_held && from - self->path.start + n <= n_held))
    delete_in_leaf (self, from, n);
  else if (n < self->counts.n_chars)
    choir_rope_cut (self, from, n);
  else
    {
      choir_rope_free_below (self, self->root, self->height);
      self->root = choir_rope_leaf_resize (self, NULL, 0);
      self->height = 0;
      self->counts = (ChoirRopeCounts){ 0 };
      self->path.leaf = NULL;
    }
}
