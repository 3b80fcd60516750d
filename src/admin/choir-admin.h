/* choir-admin.h: the service on the bus
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

#include "choir-config.h"
#include "choir-counters.h"
#include "choir-hub.h"

G_BEGIN_DECLS

#define CHOIR_ADMIN_OBJECT_PATH "/org/choir/Choir1"

/**
 * ChoirAdmin:
 *
 * Owns the service's name on a bus and exports the objects behind it, for operators to watch and
 * steer the hub with. The service does not need it: without a bus, or when another owns the name,
 * that is logged and clients go on being served, until there is a bus again. Main context only.
 */
typedef struct _ChoirAdmin ChoirAdmin;

/* What of the service is not the hub's */
typedef struct
{
  gboolean (*reload) (gpointer user_data, GError **error);
  /* Says at once that it drains, and begins to after so many milliseconds */
  void (*drain) (gpointer user_data, guint64 after_ms);
} ChoirAdminHost;

ChoirAdmin *choir_admin_new (ChoirHub *hub,
                             ChoirCounters *counters,
                             const ChoirAdminHost *host,
                             gpointer host_data);
void choir_admin_free (ChoirAdmin *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirAdmin, choir_admin_free)

void choir_admin_start (ChoirAdmin *self, ChoirBusChoice bus, const char *name);
void choir_admin_stop (ChoirAdmin *self);

G_END_DECLS
