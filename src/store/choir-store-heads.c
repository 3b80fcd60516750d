/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-store-heads.h"

static void
head_free (gpointer data)
{
  ChoirStoreHead *self = data;

  g_free (self->name);
  g_free (self);
}

/**
 * choir_store_heads_init:
 * @self: a table
 * @max: how many streams it knows at most between transactions
 */
void
choir_store_heads_init (ChoirStoreHeads *self, guint max)
{
  self->by_name = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, head_free);
  g_queue_init (&self->used);
  self->max = max;
  self->dirty = g_ptr_array_new ();
}

void
choir_store_heads_clear (ChoirStoreHeads *self)
{
  g_clear_pointer (&self->by_name, g_hash_table_unref);
  g_clear_pointer (&self->dirty, g_ptr_array_unref);
}

/**
 * choir_store_heads_find:
 * @self: a table
 * @name: of a stream
 *
 * Returns: (transfer none) (nullable): what is known of it
 */
ChoirStoreHead *
choir_store_heads_find (ChoirStoreHeads *self, const char *name)
{
  ChoirStoreHead *head = g_hash_table_lookup (self->by_name, name);

  if (head != NULL && self->used.head != &head->link)
    {
      g_queue_unlink (&self->used, &head->link);
      g_queue_push_head_link (&self->used, &head->link);
    }

  return head;
}

/**
 * choir_store_heads_add:
 * @self: a table
 * @name: of a stream it does not know
 *
 * Returns: (transfer none): its place, to be filled
 */
ChoirStoreHead *
choir_store_heads_add (ChoirStoreHeads *self, const char *name)
{
  ChoirStoreHead *head = g_new0 (ChoirStoreHead, 1);

  head->name = g_strdup (name);
  head->link.data = head;
  g_hash_table_insert (self->by_name, head->name, head);
  g_queue_push_head_link (&self->used, &head->link);

  return head;
}

void
choir_store_heads_mark (ChoirStoreHeads *self, ChoirStoreHead *head)
{
  if (!head->dirty)
    g_ptr_array_add (self->dirty, head);
  head->dirty = TRUE;
}

void
choir_store_heads_remove (ChoirStoreHeads *self, ChoirStoreHead *head)
{
  if (head->dirty)
    g_ptr_array_remove_fast (self->dirty, head);
  g_queue_unlink (&self->used, &head->link);
  g_hash_table_remove (self->by_name, head->name);
}

void
choir_store_heads_settle (ChoirStoreHeads *self)
{
  for (guint i = 0; i < self->dirty->len; i++)
    ((ChoirStoreHead *) g_ptr_array_index (self->dirty, i))->dirty = FALSE;
  g_ptr_array_set_size (self->dirty, 0);

  while (self->used.length > self->max)
    choir_store_heads_remove (self, self->used.tail->data);
}

void
choir_store_heads_forget_all (ChoirStoreHeads *self)
{
  g_ptr_array_set_size (self->dirty, 0);
  g_queue_init (&self->used);
  g_hash_table_remove_all (self->by_name);
}
