/* choir-store-memory-stream.h: a stream of the memory backend
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-store-private.h"

G_BEGIN_DECLS

/* What an entry, a snapshot, a stream or a user takes beside its contents, about */
#define CHOIR_MEMORY_OVERHEAD 96

typedef struct
{
  char *name; /* (owned) */
  char epoch[CHOIR_EPOCH_SIZE];
  guint64 head;
  gint64 changed_us;
  gsize n_bytes;      /* of all that is in it, and itself */
  GPtrArray *entries; /* (element-type ChoirStoreEntry) (owned): those retained, the last is head */
  GHashTable *keys;   /* (element-type utf8 ChoirStoreEntry) (owned): of the entries */
  GPtrArray *snapshots; /* (element-type ChoirSnapshot) (owned): rising offsets */
} ChoirMemoryStream;

ChoirMemoryStream *choir_memory_stream_new (const char *name);
void choir_memory_stream_free (gpointer self);

/* What they add to n_bytes */
gsize choir_memory_stream_size_of_entry (const ChoirStoreEntry *entry);
gsize choir_memory_stream_size_of_snapshot (const ChoirSnapshot *snapshot);

void choir_memory_stream_append (ChoirMemoryStream *self, const ChoirStoreEntry *entry);
gboolean choir_memory_stream_find_duplicate (const ChoirMemoryStream *self,
                                             const ChoirStoreEntry *entries,
                                             guint n_entries,
                                             ChoirAppended *appended);
void choir_memory_stream_load (const ChoirMemoryStream *self,
                               guint64 at_most,
                               ChoirPartBuilder *builder);
void choir_memory_stream_read (const ChoirMemoryStream *self,
                               guint64 after,
                               gboolean reverse,
                               ChoirPartBuilder *builder);
void choir_memory_stream_trim (ChoirMemoryStream *self, guint64 before);

gboolean choir_memory_stream_put_snapshot (ChoirMemoryStream *self,
                                           const ChoirSnapshot *snapshot,
                                           guint64 replaces,
                                           GError **error);
GPtrArray *
choir_memory_stream_list_snapshots (const ChoirMemoryStream *self, guint64 before, guint limit);

G_END_DECLS
