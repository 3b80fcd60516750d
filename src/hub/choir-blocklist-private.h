/* choir-blocklist-private.h: the blocklist's insides, for the files that make it up
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-blocklist.h"

G_BEGIN_DECLS

struct _ChoirBlocklist
{
  GObject parent_instance;

  GHashTable *bans[CHOIR_N_BANS]; /* (element-type utf8 ChoirBan) (owned) */
  gint64 *gauges[CHOIR_N_BANS];
  gint64 *refused[CHOIR_N_BANS];
  gint64 keep_revoked_us;        /* 0: for good */
  gint64 due_us;                 /* wall: the first ban ends then; G_MAXINT64: none does */
  ChoirBlocklistEnforce enforce; /* (nullable) */
  gpointer enforce_data;

  /* choir-blocklist-store.c */
  ChoirStore *store;  /* (owned) (nullable): nothing outlives the service */
  GQueue waiting;     /* (element-type ChoirBanChange) (owned) */
  GPtrArray *storing; /* (element-type ChoirBanChange) (owned) (nullable): with the store now */
  guint64 offset;     /* of the stream, as far as it is in memory */
  guint64 snapshot;   /* offset of the newest one; 0: none */
  gboolean loading;   /* for the first time: nobody is told */
  gboolean reloading; /* somebody else has written to the stream */
  gboolean saving;    /* a snapshot is being stored */
};

/* One change that waits to be stored */
typedef struct
{
  ChoirBanKind kind;
  gboolean lift;
  ChoirBan *ban; /* (owned): of one that is lifted only the name counts */
  GTask *task;   /* (owned) */
} ChoirBanChange;

ChoirBan *choir_ban_copy (const ChoirBan *self);
void choir_ban_change_free (ChoirBanChange *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirBanChange, choir_ban_change_free)

/* In memory */
guint choir_blocklist_put (ChoirBlocklist *self, ChoirBanKind kind, ChoirBan *ban);
gboolean choir_blocklist_drop (ChoirBlocklist *self, ChoirBanKind kind, const char *name);
gboolean
choir_blocklist_is_over (const ChoirBlocklist *self, ChoirBanKind kind, const ChoirBan *ban);
void choir_blocklist_conclude (ChoirBlocklist *self, ChoirBanChange *change);

/* In the store */
void choir_blocklist_store (ChoirBlocklist *self, ChoirBanChange *change);

G_END_DECLS
