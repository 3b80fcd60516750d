/* choir-admin-private.h: what the files of the administration share
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-admin-backlog.h"
#include "choir-admin-bus.h"
#include "choir-admin-call.h"
#include "choir-admin-gate.h"
#include "choir-admin-growth.h"
#include "choir-admin-sampler.h"
#include "choir-admin-trace.h"
#include "choir-admin-tree.h"
#include "choir-admin-watch.h"
#include "choir-admin.h"
#include "choir-authority.h"

G_BEGIN_DECLS

struct _ChoirAdmin
{
  ChoirHub *hub;                        /* (owned) */
  ChoirCounters *counters;              /* borrowed */
  const ChoirAdminHost *host;           /* borrowed */
  gpointer host_data;                   /* of @host */
  ChoirAuthority *authority;            /* (owned) (nullable): while exported */
  GCancellable *cancellable;            /* (owned): of calls that wait for leave */
  ChoirAdminSampler *sampler;           /* (owned) (nullable): from the first export on */
  ChoirAdminWatch *watch;               /* (owned) */
  ChoirAdminTraces *traces;             /* (owned) */
  ChoirAdminGrowth *connections_growth; /* (owned) (nullable): of what each has said */
  ChoirAdminGrowth *users_growth;       /* (owned) (nullable) */
  ChoirAdminGrowth *channels_growth;    /* (owned) (nullable) */
  GDBusConnection *connection;          /* (owned) (nullable): where the objects are exported */
  ChoirAdminBacklog *backlog;           /* (owned) (nullable): of @connection */
  ChoirAdminGate *gate;                 /* (owned) (nullable): of the same */
  gint64 started_us;                    /* wall */
  gint64 since_us;                      /* the same moment, monotonic */
  guint manager_id;                     /* its registration; 0: not exported */
  ChoirAdminTree tree;                  /* what is below it */
  ChoirAdminBus *bus;                   /* (owned) (nullable): from start to stop */
  ChoirBusChoice choice;                /* where that is */
  gboolean draining;                    /* that was asked for on the bus */
};

/* Calls under way hold it; whoever owns it calls choir_admin_free(). Main context only */
ChoirAdmin *choir_admin_ref (ChoirAdmin *self);
void choir_admin_unref (ChoirAdmin *self);

typedef ChoirAdmin ChoirAdminRef;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirAdminRef, choir_admin_unref)

/* choir-admin-manager.c */
guint choir_admin_manager_export (ChoirAdmin *self, GDBusConnection *connection, GError **error);
GVariant *choir_admin_manager_get (ChoirAdmin *self, const char *property);

G_END_DECLS
