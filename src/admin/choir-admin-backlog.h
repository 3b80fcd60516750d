/* choir-admin-backlog.h: how much the bus has not taken yet
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* Bytes unsent from which on no signal is queued, and no answer of any length */
#define CHOIR_ADMIN_SIGNALS_UNSENT_MAX (4 * 1024 * 1024)
#define CHOIR_ADMIN_ANSWERS_UNSENT_MAX (32 * 1024 * 1024)

/**
 * ChoirAdminBacklog:
 *
 * GDBus queues what a bus that hangs does not take, without a limit and without telling. This
 * counts what it is given, and has it say when that is gone: by a flush, one at a time, that a
 * thread of GIO's waits for. Main context only.
 */
typedef struct _ChoirAdminBacklog ChoirAdminBacklog;

ChoirAdminBacklog *choir_admin_backlog_new (GDBusConnection *connection);
ChoirAdminBacklog *choir_admin_backlog_ref (ChoirAdminBacklog *self);
void choir_admin_backlog_unref (ChoirAdminBacklog *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirAdminBacklog, choir_admin_backlog_unref)

gsize choir_admin_backlog_get (const ChoirAdminBacklog *self);
gboolean choir_admin_backlog_add_signal (ChoirAdminBacklog *self, GVariant *parameters);
gboolean choir_admin_backlog_add_answer (ChoirAdminBacklog *self, GVariant *result);

G_END_DECLS
