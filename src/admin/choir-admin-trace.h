/* choir-admin-trace.h: messages while they happen, for somebody who looks for a fault
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-hub.h"

G_BEGIN_DECLS

/* org.choir.Choir1.xml, Trace */
#define CHOIR_ADMIN_TRACES_MAX 8

/**
 * ChoirAdminTraces:
 *
 * Those that run. Each looks on at the hub from the moment it is asked for until its reader closes
 * the pipe.
 */
typedef struct _ChoirAdminTraces ChoirAdminTraces;

ChoirAdminTraces *choir_admin_traces_new (ChoirHub *hub);
void choir_admin_traces_free (ChoirAdminTraces *self);
void choir_admin_traces_clear (ChoirAdminTraces *self);
int choir_admin_traces_open (ChoirAdminTraces *self, GVariant *filter, GError **error);
guint choir_admin_traces_get_n (const ChoirAdminTraces *self);
gboolean choir_admin_trace_wants_bodies (GVariant *filter);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirAdminTraces, choir_admin_traces_free)

G_END_DECLS
