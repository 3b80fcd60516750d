/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What every rope is at all times, written down a second time for the tests.
 */

#include "config.h"

#include "choir-rope-private.h"
#include "choir-utf8.h"

static const char *check_below (void *child,
                                guint32 height,
                                gboolean is_root,
                                const ChoirRopeCounts *claimed,
                                gsize *memory);

static const char *
check_leaf (ChoirRopeLeaf *leaf, guint32 n_bytes, gboolean is_root, ChoirRopeCounts *seen)
{
  if (sizeof *leaf + leaf->capacity > malloc_usable_size (leaf))
    return "a leaf claims more than it has";
  if (n_bytes > leaf->capacity || n_bytes > CHOIR_ROPE_LEAF_MAX)
    return "a leaf is too full";
  if (n_bytes < CHOIR_ROPE_LEAF_MIN && !is_root)
    return "a leaf is too empty";
  if (!choir_utf8_validate ((const guint8 *) leaf->text, n_bytes))
    return "a leaf does not begin and end with a character";

  seen->n_bytes = n_bytes;
  choir_rope_count_rest (leaf->text, leaf->text + n_bytes, seen);

  return NULL;
}

static const char *
check_node (ChoirRopeNode *node,
            guint32 height,
            gboolean is_root,
            ChoirRopeCounts *seen,
            gsize *memory)
{
  const char *fault = NULL;

  if (node->n_children > CHOIR_ROPE_NODE_MAX)
    return "a node has too many children";
  if (node->n_children < (is_root ? 2 : CHOIR_ROPE_NODE_MIN))
    return "a node has too few children";

  for (guint32 i = 0; i < node->n_children && fault == NULL; i++)
    {
      fault = check_below (node->children[i], height - 1, FALSE, &node->counts[i], memory);
      choir_rope_counts_add (seen, &node->counts[i]);
    }

  return fault;
}

static const char *
check_below (void *child,
             guint32 height,
             gboolean is_root,
             const ChoirRopeCounts *claimed,
             gsize *memory)
{
  ChoirRopeCounts seen = { 0 };
  const char *fault = height == 0 ? check_leaf (child, claimed->n_bytes, is_root, &seen)
                                  : check_node (child, height, is_root, &seen, memory);

  *memory += choir_rope_block_size (child);
  if (fault == NULL && memcmp (&seen, claimed, sizeof seen) != 0)
    fault = "something is not what its parent says";

  return fault;
}

static const char *
check_path (const ChoirRope *self)
{
  const ChoirRopePath *path = &self->path;
  const void *child = self->root;
  guint32 start = 0;

  for (guint32 level = 0; level < self->height; level++)
    {
      const ChoirRopeNode *node = path->nodes[level];

      if (node != child || path->index[level] >= node->n_children)
        return "the path leads astray";
      for (guint32 i = 0; i < path->index[level]; i++)
        start += node->counts[i].n_chars;
      child = node->children[path->index[level]];
    }

  return path->leaf == child && path->start == start ? NULL : "the path ends elsewhere";
}

/**
 * choir_rope_find_fault:
 * @self: a rope
 *
 * Looks at everything: depth, sizes, counts, where characters are cut, memory, the path.
 *
 * Returns: (nullable): what is wrong
 */
const char *
choir_rope_find_fault (const ChoirRope *self)
{
  gsize memory = malloc_usable_size ((void *) self) + CHOIR_ROPE_BLOCK_OVERHEAD;
  const char *fault = check_below (self->root, self->height, TRUE, &self->counts, &memory);

  if (fault == NULL && memory != self->memory)
    fault = "the memory is not what was counted";
  if (fault == NULL && self->path.leaf != NULL)
    fault = check_path (self);

  return fault;
}
