/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-cbor-private.h"

#include <string.h>

/**
 * choir_cbor_reader_check_room:
 * @self: a message being read
 * @more: bytes that are to be written
 *
 * Returns: FALSE if the text would be too large; that is noted then
 */
gboolean
choir_cbor_reader_check_room (ChoirCborReader *self, gsize more)
{
  gsize used = self->out->len - self->base;

  if (used > self->limits->max_bytes || more > self->limits->max_bytes - used)
    self->too_large = TRUE;

  return !self->too_large;
}

/**
 * choir_cbor_reader_begin_item:
 * @self: a message being read
 *
 * Something is about to be written: puts a comma before it, or notes that it is a key.
 */
void
choir_cbor_reader_begin_item (ChoirCborReader *self)
{
  ChoirCborLevel *level = choir_cbor_reader_get_level (self);

  if (level == NULL || level->has_key)
    return;

  if (level->has_items)
    g_string_append_c (self->out, ',');
  level->has_items = TRUE;
  self->key_at = self->at;
  self->key_start = self->out->len;
}

/* FALSE if the message had it before */
static gboolean
note_key (ChoirCborReader *self)
{
  ChoirCborKey key = { self->key_start, self->out->len - self->key_start };

  for (guint i = 0; i < self->n_keys; i++)
    if (self->keys[i].len == key.len &&
        memcmp (self->out->str + self->keys[i].at, self->out->str + key.at, key.len) == 0)
      return FALSE;

  if (self->n_keys < G_N_ELEMENTS (self->keys))
    self->keys[self->n_keys++] = key;

  return TRUE;
}

static void
end_key (ChoirCborReader *self, ChoirCborLevel *level)
{
  if (level->is_message && !note_key (self))
    {
      self->at = self->key_at;
      choir_cbor_reader_fail (self, "a key that was not there before");
      return;
    }

  level->has_key = TRUE;
  g_string_append_c (self->out, ':');
}

/**
 * choir_cbor_reader_close_level:
 * @self: a message being read, with a container open
 */
void
choir_cbor_reader_close_level (ChoirCborReader *self)
{
  g_string_append_c (self->out, choir_cbor_reader_get_level (self)->is_map ? '}' : ']');
  self->depth--;
}

/**
 * choir_cbor_reader_end_item:
 * @self: a message being read
 *
 * An item is complete, and with it perhaps those it stands in: a key gets its colon, containers
 * that have what they announced are closed.
 */
void
choir_cbor_reader_end_item (ChoirCborReader *self)
{
  ChoirCborLevel *level;

  while ((level = choir_cbor_reader_get_level (self)) != NULL)
    {
      if (level->is_map && !level->has_key)
        {
          end_key (self, level);
          return;
        }

      level->has_key = FALSE;
      if (level->indefinite || --level->left > 0)
        return;
      choir_cbor_reader_close_level (self);
    }
}

/* A message, or a batch of them, is a map; a batch is an array */
static gboolean
is_message (const ChoirCborReader *self, gboolean is_map)
{
  return is_map && (self->depth == 0 || (self->depth == 1 && !self->levels[0].is_map));
}

/**
 * choir_cbor_reader_open_level:
 * @self: a message being read
 * @is_map: whether it is a map, else an array
 * @indefinite: whether it ends with a break
 * @n_items: items, or pairs, that it announces otherwise
 *
 * Opens a container, and closes it if it is empty. Fails if it is nested too deep, or announces
 * more than the bytes behind it could be.
 */
void
choir_cbor_reader_open_level (ChoirCborReader *self,
                              gboolean is_map,
                              gboolean indefinite,
                              guint64 n_items)
{
  /* of each item there must be a byte at least, of a pair two: a wrong length is found before
   * anything of it is read */
  gsize behind = (self->len - self->at - 1) / (is_map ? 2 : 1);

  if (self->depth >= self->max_depth)
    {
      choir_cbor_reader_fail (self, "less nesting");
      return;
    }
  if (!indefinite && n_items > behind)
    {
      choir_cbor_reader_fail (self, is_map ? "all pairs of the map" : "all items of the array");
      return;
    }

  choir_cbor_reader_begin_item (self);
  g_string_append_c (self->out, is_map ? '{' : '[');
  self->levels[self->depth] = (ChoirCborLevel){ .left = n_items,
                                                .indefinite = indefinite,
                                                .is_map = is_map,
                                                .is_message = is_message (self, is_map) };
  if (self->levels[self->depth].is_message)
    self->n_keys = 0;
  self->depth++;

  if (indefinite || n_items > 0)
    return;
  choir_cbor_reader_close_level (self);
  choir_cbor_reader_end_item (self);
}
