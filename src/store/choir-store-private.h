/* choir-store-private.h: what the backends share
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-store.h"

G_BEGIN_DECLS

#define CHOIR_EPOCH_SIZE 17

void choir_store_make_epoch (char out[CHOIR_EPOCH_SIZE]);

/* Copies of entries in memory of the caller's: @cursor moves behind what was written */
gsize choir_store_entry_get_size (const ChoirStoreEntry *self);
void choir_store_entry_pack (const ChoirStoreEntry *self, ChoirStoreEntry *out, char **cursor);

/**
 * ChoirPartBuilder:
 *
 * Fills a part of a stream, entry after entry, within limits. What the entries point into is a few
 * blocks, each twice the size of the one before.
 */
typedef struct
{
  ChoirStreamPart *part; /* (owned) */
  gsize capacity;        /* entries there is room for */
  guint max_entries;
  gsize n_bytes;
  char *cursor;    /* in the newest block */
  gsize room;      /* bytes behind @cursor */
  gsize next_room; /* bytes of the next block */
} ChoirPartBuilder;

void choir_part_builder_init (ChoirPartBuilder *self, guint max_entries);
void choir_part_builder_clear (ChoirPartBuilder *self);
gboolean choir_part_builder_add (ChoirPartBuilder *self, const ChoirStoreEntry *entry);
ChoirStreamPart *choir_part_builder_steal (ChoirPartBuilder *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ChoirPartBuilder, choir_part_builder_clear)

/* Refusals that read alike from every backend; always FALSE */
gboolean choir_store_refuse_end (GError **error);
gboolean choir_store_refuse_future (GError **error);
gboolean choir_store_refuse_label (GError **error);
gboolean choir_store_refuse_unknown (const char *what, GError **error);

/* Whether a stream that ends like this (@epoch NULL: that does not exist) is the one that is meant;
 * @wanted NULL and CHOIR_STORE_ANY_OFFSET: whichever */
gboolean choir_store_is_end (const char *wanted, guint64 expected, const char *epoch, guint64 head);

ChoirSnapshot *choir_snapshot_copy (const ChoirSnapshot *self, gboolean with_data);
ChoirStoreUser *choir_store_user_copy (const ChoirStoreUser *self);

G_END_DECLS
