/* choir-admin-watchers.h: callers who want signals
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-admin-backlog.h"
#include "choir-admin-call.h"

G_BEGIN_DECLS

/* org.choir.Choir1.xml, Watch */
#define CHOIR_ADMIN_WATCHERS_MAX 64
#define CHOIR_ADMIN_SIGNALS_MAX 1000 /* a second */

typedef enum
{
  CHOIR_ADMIN_WATCH_CONNECTIONS = 1 << 0,
  CHOIR_ADMIN_WATCH_USERS = 1 << 1,
  CHOIR_ADMIN_WATCH_OVERLOAD = 1 << 2,
  CHOIR_ADMIN_WATCH_DRAIN = 1 << 3,
  CHOIR_ADMIN_WATCH_TASKS = 1 << 4,
  CHOIR_ADMIN_WATCH_PROPERTIES = 1 << 5,
  CHOIR_ADMIN_WATCH_OBJECTS = 1 << 6,
} ChoirAdminKinds;

/**
 * ChoirAdminWatchers:
 *
 * Each has named the kinds of signals it wants. They are sent to it alone, and no more than it can
 * be expected to take.
 */
typedef struct _ChoirAdminWatchers ChoirAdminWatchers;

ChoirAdminWatchers *choir_admin_watchers_new (void (*changed) (gpointer user_data),
                                              gpointer user_data);
void choir_admin_watchers_free (ChoirAdminWatchers *self);
void choir_admin_watchers_clear (ChoirAdminWatchers *self);
gboolean choir_admin_watchers_set (ChoirAdminWatchers *self,
                                   GDBusConnection *connection,
                                   ChoirAdminBacklog *backlog,
                                   const char *name,
                                   const char *const *kinds,
                                   GError **error);
guint choir_admin_watchers_get_kinds (const ChoirAdminWatchers *self);
void choir_admin_watchers_send (ChoirAdminWatchers *self,
                                guint kinds,
                                guint unless,
                                const char *interface,
                                const char *signal,
                                GVariant *parameters);
void choir_admin_watchers_begin_second (ChoirAdminWatchers *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirAdminWatchers, choir_admin_watchers_free)

G_END_DECLS
