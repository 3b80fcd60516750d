/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-document-bridge.h"

/* Senders of one document that are ahead of their acknowledgements; the longest forgotten has to
 * start from the present text */
#define BRIDGES_MAX 1024

typedef struct
{
  guint64 version;
  ChoirTextOperation *operation; /* (owned) */
} Plank;

static void
plank_clear (gpointer data)
{
  g_clear_pointer (&((Plank *) data)->operation, choir_text_operation_free);
}

static GArray *
planks_new (void)
{
  GArray *planks = g_array_new (FALSE, FALSE, sizeof (Plank));

  g_array_set_clear_func (planks, plank_clear);

  return planks;
}

static GArray *
planks_copy (const GArray *planks)
{
  GArray *copy = planks_new ();

  for (guint i = 0; i < planks->len; i++)
    {
      const Plank *plank = &g_array_index (planks, Plank, i);
      Plank own = { plank->version, choir_text_operation_copy (plank->operation) };

      g_array_append_val (copy, own);
    }

  return copy;
}

static void
planks_add (GArray *planks, const ChoirRevision *revision)
{
  Plank plank = { revision->version, choir_text_operation_copy (revision->operation) };

  g_array_append_val (planks, plank);
}

void
choir_bridge_free (ChoirBridge *self)
{
  g_array_unref (self->planks);
  g_clear_pointer (&self->saved, g_array_unref);
  g_free (self);
}

/**
 * choir_bridge_new:
 * @base: what the sender knew
 *
 * Returns: (transfer full): a bridge that leads nowhere yet
 */
ChoirBridge *
choir_bridge_new (guint64 base)
{
  ChoirBridge *self = g_new0 (ChoirBridge, 1);

  self->base = self->tip = base;
  self->planks = planks_new ();

  return self;
}

/**
 * choir_bridge_touch:
 * @self: a bridge that is about to change for a batch
 *
 * What it is now comes back with choir_bridge_restore(), should the batch not be stored.
 */
void
choir_bridge_touch (ChoirBridge *self)
{
  if (self->saved != NULL)
    return;

  self->saved = planks_copy (self->planks);
  self->saved_base = self->base;
  self->saved_tip = self->tip;
  self->saved_last = self->last;
}

void
choir_bridge_settle (ChoirBridge *self)
{
  g_clear_pointer (&self->saved, g_array_unref);
  self->is_new = FALSE;
}

void
choir_bridge_restore (ChoirBridge *self)
{
  if (self->saved == NULL)
    return;

  g_array_unref (self->planks);
  self->planks = g_steal_pointer (&self->saved);
  self->base = self->saved_base;
  self->tip = self->saved_tip;
  self->last = self->saved_last;
}

/**
 * choir_bridge_reset:
 * @self: a bridge
 * @version: of the document
 *
 * What lay before is not known well enough: from now on it begins at @version.
 */
void
choir_bridge_reset (ChoirBridge *self, guint64 version)
{
  g_array_set_size (self->planks, 0);
  self->base = self->tip = MAX (version, self->tip);
}

/**
 * choir_bridge_shorten:
 * @self: a bridge
 * @base: what the sender knows by now; not less than before
 */
void
choir_bridge_shorten (ChoirBridge *self, guint64 base)
{
  guint n = 0;

  while (n < self->planks->len && g_array_index (self->planks, Plank, n).version <= base)
    n++;

  if (n > 0)
    g_array_remove_range (self->planks, 0, n);
  self->base = base;
}

/**
 * choir_bridge_extend:
 * @self: a bridge
 * @revision: the one behind its end, of somebody else; %NULL: of its own sender
 */
void
choir_bridge_extend (ChoirBridge *self, const ChoirRevision *revision)
{
  self->tip++;
  if (revision != NULL)
    planks_add (self->planks, revision);
}

/**
 * choir_bridge_get_delta:
 * @self: a bridge
 *
 * Returns: code points by which the text at its end is longer than the sender's
 */
gint64
choir_bridge_get_delta (const ChoirBridge *self)
{
  gint64 delta = 0;

  for (guint i = 0; i < self->planks->len; i++)
    {
      const ChoirTextOperation *operation = g_array_index (self->planks, Plank, i).operation;

      delta += (gint64) choir_text_operation_get_inserted_chars (operation) -
               (gint64) choir_text_operation_get_deleted_chars (operation);
    }

  return delta;
}

/**
 * choir_bridge_get_work:
 * @self: a bridge
 * @operation: what is to cross it
 *
 * Returns: components that are looked at then
 */
guint64
choir_bridge_get_work (const ChoirBridge *self, const ChoirTextOperation *operation)
{
  guint64 work = 0;

  for (guint i = 0; i < self->planks->len; i++)
    work +=
      choir_text_operation_get_n_components (g_array_index (self->planks, Plank, i).operation) +
      choir_text_operation_get_n_components (operation);

  return 2 * work;
}

/**
 * choir_bridge_cross:
 * @self: a bridge
 * @operation: the sender's next change, as sent
 *
 * Transforms the change past what is on the bridge, and that past the change.
 *
 * Returns: (transfer full): the change at the other end
 */
ChoirTextOperation *
choir_bridge_cross (ChoirBridge *self, const ChoirTextOperation *operation)
{
  ChoirTextOperation *crossing = choir_text_operation_copy (operation);

  for (guint i = 0; i < self->planks->len; i++)
    {
      Plank *plank = &g_array_index (self->planks, Plank, i);
      ChoirTextOperation *moved =
        choir_text_operation_transform (crossing, plank->operation, CHOIR_TEXT_SIDE_LEFT);
      ChoirTextOperation *rest =
        choir_text_operation_transform (plank->operation, crossing, CHOIR_TEXT_SIDE_RIGHT);

      choir_text_operation_free (crossing);
      choir_text_operation_free (plank->operation);
      crossing = moved;
      plank->operation = rest;
    }

  return crossing;
}

/* The bridges of one document */

void
choir_bridges_clear (ChoirBridges *self)
{
  g_clear_pointer (&self->by_owner, g_hash_table_unref);
}

ChoirBridge *
choir_bridges_find (const ChoirBridges *self, guint64 owner)
{
  return self->by_owner != NULL ? g_hash_table_lookup (self->by_owner, &owner) : NULL;
}

void
choir_bridges_remove (ChoirBridges *self, guint64 owner)
{
  if (self->by_owner != NULL)
    g_hash_table_remove (self->by_owner, &owner);
}

/* Whoever has not crossed his for longest */
static void
remove_oldest (ChoirBridges *self)
{
  GHashTableIter iter;
  gpointer value;
  ChoirBridge *oldest = NULL;

  g_hash_table_iter_init (&iter, self->by_owner);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      ChoirBridge *bridge = value;

      if (bridge->saved == NULL && !bridge->is_new && (oldest == NULL || bridge->tip < oldest->tip))
        oldest = bridge;
    }

  if (oldest != NULL)
    choir_bridges_remove (self, oldest->owner);
}

/**
 * choir_bridges_add:
 * @self: the bridges of a document
 * @owner: who has none
 * @bridge: (transfer full): a new one
 */
void
choir_bridges_add (ChoirBridges *self, guint64 owner, ChoirBridge *bridge)
{
  if (self->by_owner == NULL)
    self->by_owner =
      g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, (GDestroyNotify) choir_bridge_free);

  if (g_hash_table_size (self->by_owner) >= BRIDGES_MAX)
    remove_oldest (self);

  bridge->owner = owner;
  bridge->is_new = TRUE;
  g_hash_table_insert (self->by_owner, &bridge->owner, bridge);
}

/**
 * choir_bridges_settle:
 * @self: the bridges of a document
 * @stored: whether the batch was
 *
 * Makes what a batch did to them last, or undoes it.
 */
void
choir_bridges_settle (ChoirBridges *self, gboolean stored)
{
  GHashTableIter iter;
  gpointer value;

  if (self->by_owner == NULL)
    return;

  g_hash_table_iter_init (&iter, self->by_owner);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      ChoirBridge *bridge = value;

      if (stored)
        choir_bridge_settle (bridge);
      else if (bridge->is_new)
        g_hash_table_iter_remove (&iter);
      else
        choir_bridge_restore (bridge);
    }
}
