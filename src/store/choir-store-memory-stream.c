/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-store-memory-stream.h"

#include "choir-error.h"

#include <string.h>

/**
 * choir_memory_stream_new:
 * @name: its name
 *
 * Returns: (transfer full): an empty stream of a new epoch
 */
ChoirMemoryStream *
choir_memory_stream_new (const char *name)
{
  ChoirMemoryStream *self = g_new0 (ChoirMemoryStream, 1);

  self->name = g_strdup (name);
  self->n_bytes = CHOIR_MEMORY_OVERHEAD;
  self->entries = g_ptr_array_new_with_free_func (g_free);
  self->keys = g_hash_table_new (g_str_hash, g_str_equal);
  self->snapshots = g_ptr_array_new_with_free_func ((GDestroyNotify) choir_snapshot_free);
  choir_store_make_epoch (self->epoch);

  return self;
}

void
choir_memory_stream_free (gpointer data)
{
  ChoirMemoryStream *self = data;

  g_hash_table_unref (self->keys);
  g_ptr_array_unref (self->entries);
  g_ptr_array_unref (self->snapshots);
  g_free (self->name);
  g_free (self);
}

gsize
choir_memory_stream_size_of_entry (const ChoirStoreEntry *entry)
{
  return CHOIR_MEMORY_OVERHEAD + choir_store_entry_get_size (entry);
}

gsize
choir_memory_stream_size_of_snapshot (const ChoirSnapshot *snapshot)
{
  return CHOIR_MEMORY_OVERHEAD + g_bytes_get_size (snapshot->data);
}

static const ChoirStoreEntry *
get_entry (const ChoirMemoryStream *self, guint i)
{
  return g_ptr_array_index (self->entries, i);
}

static const ChoirSnapshot *
get_snapshot (const ChoirMemoryStream *self, guint i)
{
  return g_ptr_array_index (self->snapshots, i);
}

static guint64
get_first (const ChoirMemoryStream *self)
{
  return self->head - self->entries->len + 1;
}

/**
 * choir_memory_stream_append:
 * @self: a stream
 * @entry: copied; its key must not be there yet
 */
void
choir_memory_stream_append (ChoirMemoryStream *self, const ChoirStoreEntry *entry)
{
  ChoirStoreEntry *copy = g_malloc (sizeof *copy + choir_store_entry_get_size (entry));
  char *cursor = (char *) (copy + 1);

  choir_store_entry_pack (entry, copy, &cursor);
  copy->offset = ++self->head;
  self->changed_us = copy->wall_us;
  self->n_bytes += choir_memory_stream_size_of_entry (copy);
  g_ptr_array_add (self->entries, copy);
  if (copy->key != NULL)
    g_hash_table_insert (self->keys, (char *) copy->key, copy);
}

/**
 * choir_memory_stream_find_duplicate:
 * @self: a stream
 * @entries: what is to be appended
 * @n_entries: how many
 * @appended: filled if a key is taken
 *
 * Returns: whether it is
 */
gboolean
choir_memory_stream_find_duplicate (const ChoirMemoryStream *self,
                                    const ChoirStoreEntry *entries,
                                    guint n_entries,
                                    ChoirAppended *appended)
{
  for (guint i = 0; i < n_entries; i++)
    {
      const ChoirStoreEntry *holder =
        entries[i].key != NULL ? g_hash_table_lookup (self->keys, entries[i].key) : NULL;

      if (holder != NULL)
        {
          appended->status = CHOIR_APPEND_DUPLICATE;
          appended->offset = holder->offset;
          appended->duplicate = i;
          return TRUE;
        }
    }

  return FALSE;
}

static void
describe (const ChoirMemoryStream *self, ChoirStreamPart *part)
{
  part->exists = TRUE;
  part->first = get_first (self);
  part->head = self->head;
  memcpy (part->epoch, self->epoch, sizeof part->epoch);
}

/* Index of the first snapshot at or after @offset */
static guint
find_snapshot (const ChoirMemoryStream *self, guint64 offset)
{
  guint i = self->snapshots->len;

  while (i > 0 && get_snapshot (self, i - 1)->offset >= offset)
    i--;

  return i;
}

/**
 * choir_memory_stream_load:
 * @self: a stream
 * @at_most: the last offset wanted
 * @builder: filled
 */
void
choir_memory_stream_load (const ChoirMemoryStream *self, guint64 at_most, ChoirPartBuilder *builder)
{
  guint64 last = MIN (at_most, self->head);
  guint n = find_snapshot (self, last + 1);
  guint64 next = get_first (self);

  describe (self, builder->part);
  if (n > 0)
    {
      builder->part->snapshot = choir_snapshot_copy (get_snapshot (self, n - 1), TRUE);
      next = MAX (next, builder->part->snapshot->offset + 1);
    }

  for (; next <= last; next++)
    if (!choir_part_builder_add (builder, get_entry (self, (guint) (next - get_first (self)))))
      break;
}

static void
read_forward (const ChoirMemoryStream *self, guint64 after, ChoirPartBuilder *builder)
{
  guint64 first = get_first (self);
  guint i = after < first ? 0 : (guint) MIN (after - first + 1, self->entries->len);

  while (i < self->entries->len && choir_part_builder_add (builder, get_entry (self, i)))
    i++;
}

static void
read_backward (const ChoirMemoryStream *self, guint64 before, ChoirPartBuilder *builder)
{
  guint64 first = get_first (self);
  guint i = before < first ? 0 : (guint) MIN (before - first, self->entries->len);

  while (i > 0 && choir_part_builder_add (builder, get_entry (self, i - 1)))
    i--;
}

/**
 * choir_memory_stream_read:
 * @self: a stream
 * @after: where to begin
 * @reverse: which way to go
 * @builder: filled
 */
void
choir_memory_stream_read (const ChoirMemoryStream *self,
                          guint64 after,
                          gboolean reverse,
                          ChoirPartBuilder *builder)
{
  describe (self, builder->part);
  if (reverse)
    read_backward (self, after, builder);
  else
    read_forward (self, after, builder);
}

static void
forget_snapshot (ChoirMemoryStream *self, guint i)
{
  self->n_bytes -= choir_memory_stream_size_of_snapshot (get_snapshot (self, i));
  g_ptr_array_remove_index (self->snapshots, i);
}

static void
forget_entries (ChoirMemoryStream *self, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      const ChoirStoreEntry *entry = get_entry (self, i);

      self->n_bytes -= choir_memory_stream_size_of_entry (entry);
      if (entry->key != NULL)
        g_hash_table_remove (self->keys, entry->key);
    }

  if (n > 0)
    g_ptr_array_remove_range (self->entries, 0, n);
}

/**
 * choir_memory_stream_trim:
 * @self: a stream
 * @before: the first offset to keep
 *
 * See choir_store_trim_async().
 */
void
choir_memory_stream_trim (ChoirMemoryStream *self, guint64 before)
{
  guint n_snapshots = self->snapshots->len;

  before = MIN (before, self->head + 1);
  if (n_snapshots > 0)
    before = MIN (before, get_snapshot (self, n_snapshots - 1)->offset + 1);
  if (before > get_first (self))
    forget_entries (self, (guint) (before - get_first (self)));

  /* the first entry retained goes on from the snapshot right before it */
  for (guint i = find_snapshot (self, get_first (self) - 1); i > 0; i--)
    if (get_snapshot (self, i - 1)->label == NULL)
      forget_snapshot (self, i - 1);
}

/* Index of the one with this offset and label: @found; else behind the others of the offset, of
 * which @n_labels have a name */
static guint
find_place (const ChoirMemoryStream *self,
            guint64 offset,
            const char *label,
            gboolean *found,
            guint *n_labels)
{
  guint i = find_snapshot (self, offset);

  *found = FALSE;
  *n_labels = 0;
  for (; i < self->snapshots->len && get_snapshot (self, i)->offset == offset; i++)
    {
      if (g_strcmp0 (get_snapshot (self, i)->label, label) == 0)
        {
          *found = TRUE;
          break;
        }
      *n_labels += get_snapshot (self, i)->label != NULL;
    }

  return i;
}

/**
 * choir_memory_stream_put_snapshot:
 * @self: a stream
 * @snapshot: copied, its data shared
 * @replaces: offset of an automatic one that goes; 0: none
 * @error: return location: %CHOIR_ERROR_VALIDATION
 *
 * Returns: whether it is there now
 */
gboolean
choir_memory_stream_put_snapshot (ChoirMemoryStream *self,
                                  const ChoirSnapshot *snapshot,
                                  guint64 replaces,
                                  GError **error)
{
  gboolean found;
  guint n_labels;
  guint i = find_place (self, snapshot->offset, snapshot->label, &found, &n_labels);

  if (snapshot->offset > self->head)
    return choir_store_refuse_future (error);
  if (!found && snapshot->label != NULL && n_labels >= CHOIR_STORE_LABELS_MAX)
    return choir_store_refuse_label (error);

  if (found)
    forget_snapshot (self, i);
  g_ptr_array_insert (self->snapshots, (int) i, choir_snapshot_copy (snapshot, TRUE));
  self->n_bytes += choir_memory_stream_size_of_snapshot (snapshot);
  if (self->changed_us == 0)
    self->changed_us = snapshot->wall_us;

  i = find_place (self, replaces, NULL, &found, &n_labels);
  if (found && replaces != 0 && replaces != snapshot->offset)
    forget_snapshot (self, i);

  return TRUE;
}

/**
 * choir_memory_stream_list_snapshots:
 * @self: a stream
 * @before: the offset before which to begin; 0: with the newest
 * @limit: how many, but never only some of one offset
 *
 * Returns: (transfer full) (element-type ChoirSnapshot): without contents, newest first
 */
GPtrArray *
choir_memory_stream_list_snapshots (const ChoirMemoryStream *self, guint64 before, guint limit)
{
  GPtrArray *found = g_ptr_array_new_with_free_func ((GDestroyNotify) choir_snapshot_free);
  guint i = before == 0 ? self->snapshots->len : find_snapshot (self, before);

  for (; i > 0 && limit > 0; i--)
    {
      const ChoirSnapshot *snapshot = get_snapshot (self, i - 1);

      if (found->len >= limit && snapshot->offset != get_snapshot (self, i)->offset)
        break;
      g_ptr_array_add (found, choir_snapshot_copy (snapshot, FALSE));
    }

  return found;
}
