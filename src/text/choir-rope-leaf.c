/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-rope-private.h"

/* The allocator's chunks are multiples of 16 bytes, at least two of them */
#define CHUNK_STEP 64
#define CHUNK_LEAST 32
/* Room a leaf keeps for text to come. Twice the step, so that no two edits in turn resize it */
#define SLACK_MAX 128

G_STATIC_ASSERT ((CHOIR_ROPE_LEAF_MAX + sizeof (ChoirRopeLeaf) + CHOIR_ROPE_BLOCK_OVERHEAD) %
                   CHUNK_STEP ==
                 0);

static void *
block_resize (ChoirRope *self, void *block, gsize size)
{
  if (block != NULL)
    self->memory -= choir_rope_block_size (block);
  block = g_realloc (block, size);
  self->memory += choir_rope_block_size (block);

  return block;
}

/* Frees a node or a leaf, nothing below it */
void
choir_rope_block_free (ChoirRope *self, void *block)
{
  self->memory -= choir_rope_block_size (block);
  g_free (block);
}

ChoirRopeNode *
choir_rope_node_new (ChoirRope *self)
{
  ChoirRopeNode *node = block_resize (self, NULL, sizeof *node);

  node->n_children = 0;

  return node;
}

/* Makes room for @n_bytes and what little the chunk has left. A short text is given a short leaf:
 * most documents are small, and many of them may be open. */
ChoirRopeLeaf *
choir_rope_leaf_resize (ChoirRope *self, ChoirRopeLeaf *leaf, guint32 n_bytes)
{
  gsize needed = sizeof *leaf + n_bytes + CHOIR_ROPE_BLOCK_OVERHEAD;
  gsize chunk =
    needed <= CHUNK_LEAST ? CHUNK_LEAST : (needed + CHUNK_STEP - 1) / CHUNK_STEP * CHUNK_STEP;
  gsize size = chunk - CHOIR_ROPE_BLOCK_OVERHEAD;

  leaf = block_resize (self, leaf, size);
  leaf->capacity = (guint16) (size - sizeof *leaf);

  return leaf;
}

/* Gives back what a leaf that lost text no longer needs */
static ChoirRopeLeaf *
leaf_shrink (ChoirRope *self, ChoirRopeLeaf *leaf, guint32 n_bytes)
{
  return leaf->capacity - n_bytes < SLACK_MAX ? leaf : choir_rope_leaf_resize (self, leaf, n_bytes);
}

static ChoirRopeLeaf *
leaf_reserve (ChoirRope *self, ChoirRopeLeaf *leaf, guint32 n_bytes)
{
  return n_bytes <= leaf->capacity ? leaf : choir_rope_leaf_resize (self, leaf, n_bytes);
}

/**
 * choir_rope_leaf_erase:
 * @self: the rope
 * @leaf: (transfer full): one of its leaves
 * @counts: (inout): what it contains
 * @position: where to begin, in characters from the leaf's start
 * @n_chars: how many to take out, all of which are in this leaf
 *
 * Returns: (transfer full): the leaf, which may have moved
 */
ChoirRopeLeaf *
choir_rope_leaf_erase (ChoirRope *self,
                       ChoirRopeLeaf *leaf,
                       ChoirRopeCounts *counts,
                       guint32 position,
                       guint32 n_chars)
{
  guint32 from = choir_rope_leaf_offset (leaf, counts, position);
  ChoirRopeCounts gone = { .n_bytes = n_chars, .n_chars = n_chars };
  char *at = leaf->text + from;

  if (counts->n_bytes != counts->n_chars)
    gone = choir_rope_count (at, choir_rope_find_char (at, counts->n_bytes - from, n_chars));

  memmove (at, at + gone.n_bytes, counts->n_bytes - from - gone.n_bytes);
  choir_rope_counts_subtract (counts, &gone);

  return leaf_shrink (self, leaf, counts->n_bytes);
}

/* The first place from @at on where a character begins */
static guint32
next_boundary (const ChoirRopeLeaf *leaf, guint32 at)
{
  while (!choir_rope_begins_char (leaf->text[at]))
    at++;

  return at;
}

/* Moves text from the head of the right leaf to the end of the left one, or the other way */
static void
level_leaves (ChoirRope *self, ChoirRopeNode *parent, guint32 left)
{
  ChoirRopeLeaf *a = parent->children[left];
  ChoirRopeLeaf *b = parent->children[left + 1];
  guint32 n_a = parent->counts[left].n_bytes;
  guint32 n_b = parent->counts[left + 1].n_bytes;
  guint32 half = (n_a + n_b) / 2;
  ChoirRopeCounts moved;

  if (n_a < half)
    {
      moved = choir_rope_count (b->text, next_boundary (b, half - n_a));
      a = leaf_reserve (self, a, n_a + moved.n_bytes);
      memcpy (a->text + n_a, b->text, moved.n_bytes);
      memmove (b->text, b->text + moved.n_bytes, n_b - moved.n_bytes);
      choir_rope_counts_add (&parent->counts[left], &moved);
      choir_rope_counts_subtract (&parent->counts[left + 1], &moved);
    }
  else
    {
      guint32 from = next_boundary (a, half);

      moved = choir_rope_count (a->text + from, n_a - from);
      b = leaf_reserve (self, b, n_b + moved.n_bytes);
      memmove (b->text + moved.n_bytes, b->text, n_b);
      memcpy (b->text, a->text + from, moved.n_bytes);
      choir_rope_counts_subtract (&parent->counts[left], &moved);
      choir_rope_counts_add (&parent->counts[left + 1], &moved);
    }

  parent->children[left] = leaf_shrink (self, a, parent->counts[left].n_bytes);
  parent->children[left + 1] = leaf_shrink (self, b, parent->counts[left + 1].n_bytes);
}

/* Makes one leaf of two neighbours, or halves when that would be a rather full one */
void
choir_rope_leaf_fuse (ChoirRope *self, ChoirRopeNode *parent, guint32 left)
{
  ChoirRopeLeaf *a = parent->children[left];
  ChoirRopeLeaf *b = parent->children[left + 1];
  guint32 n_a = parent->counts[left].n_bytes;
  guint32 n_b = parent->counts[left + 1].n_bytes;

  if (n_a + n_b > CHOIR_ROPE_FUSED (CHOIR_ROPE_LEAF_MAX))
    {
      level_leaves (self, parent, left);
      return;
    }

  a = leaf_reserve (self, a, n_a + n_b);
  memcpy (a->text + n_a, b->text, n_b);
  parent->children[left] = leaf_shrink (self, a, n_a + n_b);
  choir_rope_counts_add (&parent->counts[left], &parent->counts[left + 1]);
  choir_rope_node_remove (parent, left + 1);
  choir_rope_block_free (self, b);
}
