/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-rope-private.h"

/* A child with fewer is strengthened before anything is taken from it: mending what lies below it
 * joins children at most twice, see choir_rope_mend() */
#define LEAN_CHILDREN (CHOIR_ROPE_NODE_MIN + 2)

/* What is levelled is not lean then, and what is split even less so */
G_STATIC_ASSERT ((CHOIR_ROPE_FUSED (CHOIR_ROPE_NODE_MAX) + 1) / 2 >= LEAN_CHILDREN);
G_STATIC_ASSERT (CHOIR_ROPE_FUSED (CHOIR_ROPE_LEAF_MAX) / 2 > CHOIR_ROPE_LEAF_MIN + 3);
G_STATIC_ASSERT (CHOIR_ROPE_NODE_MAX <= G_MAXUINT8);

static ChoirRopeCounts
node_sum (const ChoirRopeNode *node)
{
  ChoirRopeCounts sum = { 0 };

  for (guint32 i = 0; i < node->n_children; i++)
    choir_rope_counts_add (&sum, &node->counts[i]);

  return sum;
}

/* Moves @n children of @from, at @from_index, to @to_index of @to; both remain without gaps */
static void
node_move (ChoirRopeNode *from, guint32 from_index, ChoirRopeNode *to, guint32 to_index, guint32 n)
{
  guint32 n_behind = to->n_children - to_index;
  guint32 n_left = from->n_children - from_index - n;

  memmove (to->counts + to_index + n, to->counts + to_index, n_behind * sizeof *to->counts);
  memmove (to->children + to_index + n, to->children + to_index, n_behind * sizeof *to->children);
  memcpy (to->counts + to_index, from->counts + from_index, n * sizeof *to->counts);
  memcpy (to->children + to_index, from->children + from_index, n * sizeof *to->children);
  to->n_children += n;

  memmove (from->counts + from_index, from->counts + from_index + n, n_left * sizeof *to->counts);
  memmove (from->children + from_index, from->children + from_index + n,
           n_left * sizeof *to->children);
  from->n_children -= n;
}

/* There is room */
void
choir_rope_node_insert (ChoirRopeNode *self,
                        guint32 index,
                        void *child,
                        const ChoirRopeCounts *counts)
{
  guint32 n_behind = self->n_children - index;

  memmove (self->counts + index + 1, self->counts + index, n_behind * sizeof *self->counts);
  memmove (self->children + index + 1, self->children + index, n_behind * sizeof *self->children);
  self->counts[index] = *counts;
  self->children[index] = child;
  self->n_children++;
}

/* Lets go of a child without freeing it */
void
choir_rope_node_remove (ChoirRopeNode *self, guint32 index)
{
  guint32 n_behind = self->n_children - index - 1;

  memmove (self->counts + index, self->counts + index + 1, n_behind * sizeof *self->counts);
  memmove (self->children + index, self->children + index + 1, n_behind * sizeof *self->children);
  self->n_children--;
}

/* The child that has the character @rest, or the last one when it is behind all of them; @rest goes
 * on from that child's start */
static inline guint32
find_child (const ChoirRopeNode *node, guint32 *rest)
{
  guint32 last = node->n_children - 1;
  guint32 left = *rest;
  guint32 i = 0;

  for (; i < last && left >= node->counts[i].n_chars; i++)
    left -= node->counts[i].n_chars;
  *rest = left;

  return i;
}

/**
 * choir_rope_seek:
 * @self: a rope
 * @position: in characters, inside the text or at its end
 *
 * Lets the path lead to the leaf that has the character there; at the end of the text, to the last.
 */
void
choir_rope_seek (ChoirRope *self, guint32 position)
{
  ChoirRopePath *path = &self->path;
  guint32 rest = position;
  void *child = self->root;

  for (guint32 level = 0; level < self->height; level++)
    {
      ChoirRopeNode *node = child;
      guint32 index = find_child (node, &rest);

      path->nodes[level] = node;
      path->index[level] = (guint8) index;
      child = node->children[index];
    }

  path->leaf = child;
  path->start = position - rest;
}

/* Inserts a child; in a full node after the upper half went to a new one.
 *
 * Returns: (transfer full) (nullable): the new node, to be inserted behind this one, and in @counts
 * what it contains
 */
static ChoirRopeNode *
node_put (ChoirRope *self, ChoirRopeNode *node, guint32 index, void *child, ChoirRopeCounts *counts)
{
  guint32 half = CHOIR_ROPE_NODE_MAX / 2;
  ChoirRopeNode *right;

  if (node->n_children < CHOIR_ROPE_NODE_MAX)
    {
      choir_rope_node_insert (node, index, child, counts);
      return NULL;
    }

  right = choir_rope_node_new (self);
  node_move (node, half, right, 0, CHOIR_ROPE_NODE_MAX - half);
  if (index <= half)
    choir_rope_node_insert (node, index, child, counts);
  else
    choir_rope_node_insert (right, index - half, child, counts);
  *counts = node_sum (right);

  return right;
}

/* A level more: @child becomes the right neighbour of the root. @counts: what it contains */
static void
grow (ChoirRope *self, void *child, const ChoirRopeCounts *counts)
{
  ChoirRopeNode *root = choir_rope_node_new (self);
  ChoirRopeCounts left = self->counts;

  g_assert (self->height < CHOIR_ROPE_HEIGHT_MAX);
  choir_rope_counts_subtract (&left, counts);
  choir_rope_node_insert (root, 0, self->root, &left);
  choir_rope_node_insert (root, 1, child, counts);
  self->root = root;
  self->height++;
}

/**
 * choir_rope_add_leaf:
 * @self: a rope with a path
 * @leaf: (transfer full): becomes the right neighbour of the leaf the path leads to
 * @counts: what it contains
 *
 * Afterwards there is no path.
 */
void
choir_rope_add_leaf (ChoirRope *self, ChoirRopeLeaf *leaf, const ChoirRopeCounts *counts)
{
  ChoirRopePath *path = &self->path;
  ChoirRopeCounts child_counts = *counts;
  void *child = leaf;

  for (guint32 level = self->height; level-- > 0;)
    {
      ChoirRopeNode *node = path->nodes[level];

      if (child != NULL)
        child = node_put (self, node, path->index[level] + 1U, child, &child_counts);
      if (level > 0)
        path->nodes[level - 1]->counts[path->index[level - 1]] = node_sum (node);
    }

  choir_rope_counts_add (&self->counts, counts);
  if (child != NULL)
    grow (self, child, &child_counts);
  path->leaf = NULL;
}

/* Frees a node or leaf, @height levels above the leaves, with all below it */
void
choir_rope_free_below (ChoirRope *self, void *child, guint32 height)
{
  if (height > 0)
    {
      ChoirRopeNode *node = child;

      for (guint32 i = 0; i < node->n_children; i++)
        choir_rope_free_below (self, node->children[i], height - 1);
    }
  choir_rope_block_free (self, child);
}

/* Takes the characters from @from up to @to out of the child whose place is @child, but never all
 * of them, and says in @counts what is left. Below it things may be smaller than allowed then. */
static void
cut_below (ChoirRope *self,
           void **child,
           guint32 height,
           ChoirRopeCounts *counts,
           guint32 from,
           guint32 to)
{
  ChoirRopeNode *node = *child;
  guint32 start = 0;
  guint32 n_kept = 0;

  if (height == 0)
    {
      *child = choir_rope_leaf_erase (self, *child, counts, from, to - from);
      return;
    }

  for (guint32 i = 0; i < node->n_children; i++)
    {
      guint32 n_chars = node->counts[i].n_chars;
      guint32 first = CLAMP (from, start, start + n_chars) - start;
      guint32 last = CLAMP (to, start, start + n_chars) - start;

      start += n_chars;
      if (last - first == n_chars)
        {
          choir_rope_free_below (self, node->children[i], height - 1);
          continue;
        }
      if (first < last)
        cut_below (self, &node->children[i], height - 1, &node->counts[i], first, last);
      node->counts[n_kept] = node->counts[i];
      node->children[n_kept++] = node->children[i];
    }
  node->n_children = n_kept;
  *counts = node_sum (node);
}

/**
 * choir_rope_cut:
 * @self: a rope
 * @position: where to begin, in characters
 * @n_chars: how many to take out, fewer than there are
 *
 * Frees whatever lies between at once, then mends the two edges. Costs what is freed and the
 * logarithm of what is left. Afterwards there is no path.
 */
void
choir_rope_cut (ChoirRope *self, guint32 position, guint32 n_chars)
{
  cut_below (self, &self->root, self->height, &self->counts, position, position + n_chars);
  if (position > 0)
    choir_rope_mend (self, position - 1);
  choir_rope_mend (self, position);
}

/* As long as the root has one child only, that one is the root */
static void
shorten (ChoirRope *self)
{
  while (self->height > 0)
    {
      ChoirRopeNode *root = self->root;

      if (root->n_children > 1)
        break;
      self->root = root->children[0];
      self->height--;
      choir_rope_block_free (self, root);
    }
}

/* Makes one node of two neighbours, or halves when that would be a rather full one */
static void
fuse_nodes (ChoirRope *self, ChoirRopeNode *parent, guint32 left)
{
  ChoirRopeNode *a = parent->children[left];
  ChoirRopeNode *b = parent->children[left + 1];
  guint32 half = (a->n_children + b->n_children) / 2;

  if (a->n_children + b->n_children <= CHOIR_ROPE_FUSED (CHOIR_ROPE_NODE_MAX))
    {
      node_move (b, 0, a, a->n_children, b->n_children);
      choir_rope_counts_add (&parent->counts[left], &parent->counts[left + 1]);
      choir_rope_node_remove (parent, left + 1);
      choir_rope_block_free (self, b);
      return;
    }

  if (a->n_children < half)
    node_move (b, 0, a, a->n_children, half - a->n_children);
  else
    node_move (a, half, b, 0, a->n_children - half);
  parent->counts[left] = node_sum (a);
  parent->counts[left + 1] = node_sum (b);
}

static gboolean
is_lean (const ChoirRopeNode *parent, guint32 index, guint32 height)
{
  const ChoirRopeNode *child = parent->children[index];

  return height == 0 ? parent->counts[index].n_bytes < CHOIR_ROPE_LEAF_MIN
                     : child->n_children < LEAN_CHILDREN;
}

/**
 * choir_rope_mend:
 * @self: a rope
 * @position: in characters
 *
 * Gives every node and the leaf on the way to that character what they need at least, from the top
 * down: a child that is lean is joined or levelled with a neighbour. Only its neighbour on the
 * other side of a cut can be lean as well, so that a third one always suffices, and a parent that
 * was not lean keeps its least. Costs the logarithm. Afterwards there is no path.
 */
void
choir_rope_mend (ChoirRope *self, guint32 position)
{
  guint32 rest = position;
  ChoirRopeNode *node;
  guint32 height;

  self->path.leaf = NULL;
  shorten (self);

  node = self->root;
  height = self->height;
  while (height > 0)
    {
      guint32 in_child = rest;
      guint32 index = find_child (node, &in_child);

      if (!is_lean (node, index, height - 1) || node->n_children == 1)
        {
          node = node->children[index];
          rest = in_child;
          height--;
        }
      else if (height > 1)
        fuse_nodes (self, node, index > 0 ? index - 1 : 0);
      else
        choir_rope_leaf_fuse (self, node, index > 0 ? index - 1 : 0);
    }

  shorten (self);
}
