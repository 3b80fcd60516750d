/* choir-hub-private.h: the hub's insides, for the files that make it up
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-channel-log.h"
#include "choir-hub.h"
#include "choir-idempotency.h"
#include "choir-observer.h"

G_BEGIN_DECLS

struct _ChoirHub
{
  GObject parent_instance;

  ChoirConfig *config;             /* (owned) */
  ChoirVerifier *verifier;         /* (owned) */
  ChoirDirectory *directory;       /* (owned) (nullable): any user with a token may come in */
  ChoirTimerWheel *wheel;          /* borrowed */
  ChoirTurn *turn;                 /* (owned) */
  ChoirStats *stats;               /* (owned) */
  ChoirBlocklist *blocklist;       /* (owned) */
  ChoirBroadcaster *broadcaster;   /* (owned) */
  ChoirRouter *router;             /* (owned) */
  ChoirNamespaceTable *namespaces; /* (owned) */
  ChoirChat *chat;                 /* (owned) */
  ChoirStore *store;               /* (owned) (nullable) */
  ChoirDocumentTable *documents;   /* (owned) (nullable): without a store there are none */
  ChoirLogKeeper *logs;            /* (owned) (nullable): likewise */
  ChoirIdempotency *keys;          /* (owned) (nullable): made when the first one comes */
  ChoirTaskTable *tasks;           /* (owned) */
  ChoirObserver *observers;        /* (nullable): who looks on */
  ChoirSettings settings;
  char *node; /* (owned) */

  GPtrArray *sessions;       /* (element-type ChoirSession), borrowed: their links own them */
  GHashTable *by_connection; /* (element-type utf8 ChoirSession), keys are the links' */
  GHashTable *by_session;    /* (element-type utf8 ChoirSession), keys are the sessions' */
  ChoirWaitingBudget waiting;
  GHashTable *users;    /* (element-type utf8 ChoirUser) (owned) */
  GHashTable *channels; /* (element-type utf8 ChoirChannel) (owned) */
  ChoirHistoryBudget history;
  gint64 reclaimed_us; /* monotonic: when it was last made room; 0: never */
  guint dialect_sessions[CHOIR_N_DIALECTS];
  ChoirTimer sweep_timer;

  GTask *drain_task; /* (owned) (nullable) */
  ChoirTimer drain_timer;
  gint64 drain_start_us;
  gint64 drain_window_us;
  guint drain_total;
  gboolean draining;
};

/* Adds to the channel's ring what follows its offset, and sends it; returns the recipients */
guint choir_hub_deliver (ChoirHub *self,
                         ChoirChannel *channel,
                         ChoirMessage *message,
                         const ChoirSession *except);
gboolean choir_hub_keeps_log (ChoirHub *self, const char *name, const ChoirNamespace *ns);
void choir_hub_drain_check (ChoirHub *self);
void choir_hub_start_sweeping (ChoirHub *self);
void choir_hub_end_waiting (ChoirHub *self);
void choir_hub_make_blocklist (ChoirHub *self);
void choir_hub_drop_blocklist (ChoirHub *self);

/* To be asked before anything is made ready for a report */
static inline gboolean
choir_hub_is_observed (const ChoirHub *self)
{
  return G_UNLIKELY (self->observers != NULL);
}

G_END_DECLS
