/* choir-store-heads.h: where the streams that are written to end
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-store-private.h"

G_BEGIN_DECLS

/**
 * ChoirStoreHeads:
 *
 * What the writer knows of the streams it wrote to last, so that an append asks the database
 * nothing. It is true as long as nobody else writes and no transaction is undone; after that it is
 * cleared.
 */
typedef struct
{
  char *name; /* (owned) */
  gint64 id;
  guint64 head;
  gint64 changed_us;
  char epoch[CHOIR_EPOCH_SIZE];
  gboolean dirty; /* the database does not have it yet */
  GList link;     /* in the order of use */
} ChoirStoreHead;

typedef struct
{
  GHashTable *by_name; /* (element-type utf8 ChoirStoreHead) (owned) */
  GQueue used;         /* (element-type ChoirStoreHead): the latest first */
  guint max;
  GPtrArray *dirty; /* (element-type ChoirStoreHead) (owned) */
} ChoirStoreHeads;

void choir_store_heads_init (ChoirStoreHeads *self, guint max);
void choir_store_heads_clear (ChoirStoreHeads *self);

ChoirStoreHead *choir_store_heads_find (ChoirStoreHeads *self, const char *name);
ChoirStoreHead *choir_store_heads_add (ChoirStoreHeads *self, const char *name);
void choir_store_heads_mark (ChoirStoreHeads *self, ChoirStoreHead *head);
void choir_store_heads_remove (ChoirStoreHeads *self, ChoirStoreHead *head);
/* Nothing is dirty any more; forgets those that were not used for longest */
void choir_store_heads_settle (ChoirStoreHeads *self);
void choir_store_heads_forget_all (ChoirStoreHeads *self);

G_END_DECLS
