/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-store-private.h"

#include "choir-error.h"
#include "choir-id.h"

#include <string.h>

#define BLOCK_MIN 2048
#define BLOCK_MAX (1024 * 1024)
#define ENTRIES_START 16

/**
 * choir_store_make_epoch:
 * @out: filled with 16 random hex digits
 */
void
choir_store_make_epoch (char out[CHOIR_EPOCH_SIZE])
{
  g_snprintf (out, CHOIR_EPOCH_SIZE, "%08x%08x", choir_id_random (), choir_id_random ());
}

/**
 * choir_store_refuse_future:
 * @error: return location: %CHOIR_ERROR_VALIDATION
 *
 * Returns: %FALSE
 */
gboolean
choir_store_refuse_future (GError **error)
{
  g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                       "A snapshot is of an offset that is to come");

  return FALSE;
}

gboolean
choir_store_refuse_label (GError **error)
{
  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
               "The offset has %d named snapshots already", CHOIR_STORE_LABELS_MAX);

  return FALSE;
}

gboolean
choir_store_refuse_unknown (const char *what, GError **error)
{
  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_NOT_FOUND, "There is no such %s", what);

  return FALSE;
}

gboolean
choir_store_refuse_end (GError **error)
{
  g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_CONFLICT, "The stream has changed");

  return FALSE;
}

gboolean
choir_store_is_end (const char *wanted, guint64 expected, const char *epoch, guint64 head)
{
  return (expected == CHOIR_STORE_ANY_OFFSET || expected == head) &&
         (wanted == NULL || epoch == NULL || strcmp (wanted, epoch) == 0);
}

static gsize
text_size (const char *text)
{
  return text != NULL ? strlen (text) + 1 : 0;
}

static const char *
pack_text (const char *text, char **cursor)
{
  char *start = *cursor;
  gsize size = text_size (text);

  if (text == NULL)
    return NULL;

  memcpy (start, text, size);
  *cursor += size;

  return start;
}

/**
 * choir_store_entry_get_size:
 * @self: an entry
 *
 * Returns: bytes of its strings and its data, as choir_store_entry_pack() writes them
 */
gsize
choir_store_entry_get_size (const ChoirStoreEntry *self)
{
  return text_size (self->type) + text_size (self->id) + text_size (self->user_id) +
         text_size (self->session_id) + text_size (self->key) + self->len + 1;
}

/**
 * choir_store_entry_pack:
 * @self: an entry
 * @out: filled with a copy that points to what is written
 * @cursor: (inout): where there is room for choir_store_entry_get_size() bytes
 *
 * The data of the copy has a NUL behind it.
 */
void
choir_store_entry_pack (const ChoirStoreEntry *self, ChoirStoreEntry *out, char **cursor)
{
  out->offset = self->offset;
  out->wall_us = self->wall_us;
  out->type = pack_text (self->type, cursor);
  out->id = pack_text (self->id, cursor);
  out->user_id = pack_text (self->user_id, cursor);
  out->session_id = pack_text (self->session_id, cursor);
  out->key = pack_text (self->key, cursor);
  out->len = self->len;
  out->data = *cursor;
  if (self->len > 0)
    memcpy (*cursor, self->data, self->len);
  (*cursor)[self->len] = '\0';
  *cursor += self->len + 1;
}

/**
 * choir_part_builder_init:
 * @self: a builder
 * @max_entries: how many are wanted at most
 */
void
choir_part_builder_init (ChoirPartBuilder *self, guint max_entries)
{
  *self = (ChoirPartBuilder){
    .part = g_new0 (ChoirStreamPart, 1),
    .max_entries = MIN (max_entries, CHOIR_STORE_PART_MAX),
    .next_room = BLOCK_MIN,
  };
  self->part->complete = TRUE;
  self->part->blocks = g_ptr_array_new_with_free_func (g_free);
}

void
choir_part_builder_clear (ChoirPartBuilder *self)
{
  g_clear_pointer (&self->part, choir_stream_part_free);
}

static void
grow_entries (ChoirPartBuilder *self)
{
  if (self->part->n_entries < self->capacity)
    return;

  self->capacity = MAX (self->capacity * 2, ENTRIES_START);
  self->part->entries = g_renew (ChoirStoreEntry, self->part->entries, self->capacity);
}

static void
grow_block (ChoirPartBuilder *self, gsize size)
{
  if (size <= self->room)
    return;

  self->room = MAX (self->next_room, size);
  self->next_room = MIN (self->next_room * 2, BLOCK_MAX);
  self->cursor = g_malloc (self->room);
  g_ptr_array_add (self->part->blocks, self->cursor);
}

/**
 * choir_part_builder_add:
 * @self: a builder
 * @entry: copied
 *
 * The first is taken however large it is, so that whoever reads on from what he got gets on.
 *
 * Returns: %FALSE if that would be more than was wanted: the part is marked as not complete
 */
gboolean
choir_part_builder_add (ChoirPartBuilder *self, const ChoirStoreEntry *entry)
{
  gsize size = choir_store_entry_get_size (entry);

  if (self->part->n_entries >= self->max_entries ||
      (self->part->n_entries > 0 && self->n_bytes + size > CHOIR_STORE_PART_BYTES_MAX))
    {
      self->part->complete = FALSE;
      return FALSE;
    }

  grow_entries (self);
  grow_block (self, size);
  choir_store_entry_pack (entry, &self->part->entries[self->part->n_entries++], &self->cursor);
  self->room -= size;
  self->n_bytes += size;

  return TRUE;
}

ChoirStreamPart *
choir_part_builder_steal (ChoirPartBuilder *self)
{
  return g_steal_pointer (&self->part);
}

void
choir_stream_part_free (ChoirStreamPart *self)
{
  if (self == NULL)
    return;

  g_clear_pointer (&self->snapshot, choir_snapshot_free);
  g_free (self->entries);
  g_ptr_array_unref (self->blocks);
  g_free (self);
}

void
choir_snapshot_free (ChoirSnapshot *self)
{
  if (self == NULL)
    return;

  g_free (self->label);
  g_free (self->user_id);
  g_clear_pointer (&self->data, g_bytes_unref);
  g_free (self);
}

/**
 * choir_snapshot_copy:
 * @self: a snapshot
 * @with_data: whether the copy shares the contents
 *
 * Returns: (transfer full): a copy
 */
ChoirSnapshot *
choir_snapshot_copy (const ChoirSnapshot *self, gboolean with_data)
{
  ChoirSnapshot *copy = g_new0 (ChoirSnapshot, 1);

  copy->offset = self->offset;
  copy->wall_us = self->wall_us;
  copy->label = g_strdup (self->label);
  copy->user_id = g_strdup (self->user_id);
  copy->len = self->data != NULL ? g_bytes_get_size (self->data) : self->len;
  copy->data = with_data && self->data != NULL ? g_bytes_ref (self->data) : NULL;

  return copy;
}

void
choir_stream_info_free (ChoirStreamInfo *self)
{
  if (self == NULL)
    return;

  g_free (self->name);
  g_free (self);
}

void
choir_store_user_free (ChoirStoreUser *self)
{
  if (self == NULL)
    return;

  g_free (self->id);
  g_free (self->name);
  g_free (self);
}

ChoirStoreUser *
choir_store_user_copy (const ChoirStoreUser *self)
{
  ChoirStoreUser *copy = g_new0 (ChoirStoreUser, 1);

  copy->id = g_strdup (self->id);
  copy->name = g_strdup (self->name);
  copy->active = self->active;
  copy->created_us = self->created_us;

  return copy;
}
