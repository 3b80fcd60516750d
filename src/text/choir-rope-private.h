/* choir-rope-private.h: the rope's insides, for the files that make it up and for its tests
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A B-tree. All leaves are equally deep; a node keeps what each of its children contains, so that a
 * descent adds up whatever stands before the place it looks for. Nothing points upwards: a change
 * follows the path it came by. Every leaf but a lone root has LEAF_MIN bytes and every node but the
 * root NODE_MIN children, whatever was done to the text; that bounds height and overhead.
 */

#pragma once

#include "choir-rope-scan.h"
#include "choir-rope.h"

#include <malloc.h>

G_BEGIN_DECLS

/* Tests make them smaller, to have high trees of short texts. Of a full leaf the allocator makes a
 * chunk of 1 KiB: 8 bytes of its own, 2 for the capacity. */
#ifndef CHOIR_ROPE_LEAF_MAX
#define CHOIR_ROPE_LEAF_MAX 1014
#define CHOIR_ROPE_NODE_MAX 24
/* Inner levels. Ten would mean 2 * 6^9 leaves of 253 bytes at least, which is more than 2^32 */
#define CHOIR_ROPE_HEIGHT_MAX 9
#endif
#define CHOIR_ROPE_LEAF_MIN (CHOIR_ROPE_LEAF_MAX / 4)
#define CHOIR_ROPE_NODE_MIN (CHOIR_ROPE_NODE_MAX / 4)
/* Two parts together become one up to here, or else halves: both are far from the next such move */
#define CHOIR_ROPE_FUSED(max) (3 * (max) / 4)

G_STATIC_ASSERT (CHOIR_ROPE_LEAF_MAX <= CHOIR_ROPE_SCAN_MAX);

typedef struct
{
  guint16 capacity; /* bytes there is room for in @text */
  char text[];      /* what of it is in use, the parent knows */
} ChoirRopeLeaf;

typedef struct
{
  guint32 n_children;
  ChoirRopeCounts counts[CHOIR_ROPE_NODE_MAX];
  void *children[CHOIR_ROPE_NODE_MAX]; /* (owned) nodes, or leaves on the lowest level */
} ChoirRopeNode;

/* From the root down to a leaf */
typedef struct
{
  ChoirRopeLeaf *leaf; /* (nullable): no path is known */
  guint32 start;       /* characters before the leaf */
  guint8 index[CHOIR_ROPE_HEIGHT_MAX];
  ChoirRopeNode *nodes[CHOIR_ROPE_HEIGHT_MAX];
} ChoirRopePath;

struct _ChoirRope
{
  void *root; /* (owned): a leaf when @height is 0 */
  guint32 height;
  ChoirRopeCounts counts;
  gsize memory;
  ChoirRopePath path; /* to the last edit: the next one is near most times */
};

static inline void
choir_rope_counts_add (ChoirRopeCounts *self, const ChoirRopeCounts *other)
{
  self->n_bytes += other->n_bytes;
  self->n_chars += other->n_chars;
  self->n_wide += other->n_wide;
}

static inline void
choir_rope_counts_subtract (ChoirRopeCounts *self, const ChoirRopeCounts *other)
{
  self->n_bytes -= other->n_bytes;
  self->n_chars -= other->n_chars;
  self->n_wide -= other->n_wide;
}

/* What the allocator took: glibc keeps a size in front of each block */
#define CHOIR_ROPE_BLOCK_OVERHEAD sizeof (gsize)

static inline gsize
choir_rope_block_size (void *block)
{
  return malloc_usable_size (block) + CHOIR_ROPE_BLOCK_OVERHEAD;
}

/* What the leaf at the end of the path contains */
static inline ChoirRopeCounts *
choir_rope_path_counts (ChoirRope *self)
{
  const ChoirRopePath *path = &self->path;
  guint32 last = self->height - 1;

  return self->height == 0 ? &self->counts : &path->nodes[last]->counts[path->index[last]];
}

/* @n_chars into a leaf, in bytes */
static inline guint32
choir_rope_leaf_offset (const ChoirRopeLeaf *leaf, const ChoirRopeCounts *counts, guint32 n_chars)
{
  if (counts->n_bytes == counts->n_chars)
    return n_chars;

  return choir_rope_find_char (leaf->text, counts->n_bytes, n_chars);
}

ChoirRopeLeaf *choir_rope_leaf_resize (ChoirRope *self, ChoirRopeLeaf *leaf, guint32 n_bytes);
ChoirRopeLeaf *choir_rope_leaf_erase (ChoirRope *self,
                                      ChoirRopeLeaf *leaf,
                                      ChoirRopeCounts *counts,
                                      guint32 position,
                                      guint32 n_chars);
void choir_rope_leaf_fuse (ChoirRope *self, ChoirRopeNode *parent, guint32 left);

ChoirRopeNode *choir_rope_node_new (ChoirRope *self);
void choir_rope_node_insert (ChoirRopeNode *self,
                             guint32 index,
                             void *child,
                             const ChoirRopeCounts *counts);
void choir_rope_node_remove (ChoirRopeNode *self, guint32 index);
void choir_rope_block_free (ChoirRope *self, void *block);

void choir_rope_seek (ChoirRope *self, guint32 position);
void choir_rope_add_leaf (ChoirRope *self, ChoirRopeLeaf *leaf, const ChoirRopeCounts *counts);
void choir_rope_cut (ChoirRope *self, guint32 position, guint32 n_chars);
void choir_rope_mend (ChoirRope *self, guint32 position);
void choir_rope_free_below (ChoirRope *self, void *child, guint32 height);

const char *choir_rope_find_fault (const ChoirRope *self);

G_END_DECLS
