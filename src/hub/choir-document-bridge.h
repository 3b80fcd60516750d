/* choir-document-bridge.h: from what a sender has in front of it to what the document is
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-document.h"

G_BEGIN_DECLS

/**
 * ChoirBridge:
 *
 * Whoever sends a second change before it has seen the first acknowledged made it on a text that
 * nobody else has: an old version with its own changes on top. The bridge leads from that text to
 * the present one. It consists of what the others have done that the sender does not know yet, each
 * transformed past the sender's changes; a change that crosses it is transformed past all of that,
 * and transforms it in turn (Nichols et al., "High-latency, low-bandwidth windowing in the Jupiter
 * collaboration system", UIST 1995).
 */
typedef struct
{
  guint64 owner;  /* whose */
  guint64 base;   /* what the sender knows */
  guint64 tip;    /* where it ends */
  guint64 last;   /* the newest revision that is the sender's */
  GArray *planks; /* (owned) */
  GArray *saved;  /* (owned) (nullable): before the batch that is being stored */
  guint64 saved_base;
  guint64 saved_tip;
  guint64 saved_last;
  gboolean is_new; /* made for the batch that is being stored */
} ChoirBridge;

ChoirBridge *choir_bridge_new (guint64 base);
void choir_bridge_free (ChoirBridge *self);
void choir_bridge_touch (ChoirBridge *self);
void choir_bridge_settle (ChoirBridge *self);
void choir_bridge_restore (ChoirBridge *self);
void choir_bridge_reset (ChoirBridge *self, guint64 version);
void choir_bridge_shorten (ChoirBridge *self, guint64 base);
void choir_bridge_extend (ChoirBridge *self, const ChoirRevision *revision);
gint64 choir_bridge_get_delta (const ChoirBridge *self);
guint64 choir_bridge_get_work (const ChoirBridge *self, const ChoirTextOperation *operation);
ChoirTextOperation *choir_bridge_cross (ChoirBridge *self, const ChoirTextOperation *operation);

/* Few senders need one, and only for as long as they are ahead */
typedef struct
{
  GHashTable *by_owner; /* (element-type guint64 ChoirBridge) (owned) (nullable) */
} ChoirBridges;

void choir_bridges_clear (ChoirBridges *self);
ChoirBridge *choir_bridges_find (const ChoirBridges *self, guint64 owner);
void choir_bridges_add (ChoirBridges *self, guint64 owner, ChoirBridge *bridge);
void choir_bridges_remove (ChoirBridges *self, guint64 owner);
void choir_bridges_settle (ChoirBridges *self, gboolean stored);

G_END_DECLS
