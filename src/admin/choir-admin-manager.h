/* choir-admin-manager.h: org.choir.Choir1.Manager over a hub
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-admin-dbus.h"
#include "choir-counters.h"
#include "choir-hub.h"

G_BEGIN_DECLS

/**
 * ChoirAdminManager:
 *
 * The exported object. Properties are open to all whom the bus lets in; every method first asks the
 * bus who the caller is, and only then reads its arguments. Calls waiting for that are bounded.
 */
#define CHOIR_TYPE_ADMIN_MANAGER (choir_admin_manager_get_type ())
G_DECLARE_FINAL_TYPE (ChoirAdminManager,
                      choir_admin_manager,
                      CHOIR,
                      ADMIN_MANAGER,
                      ChoirDbusManagerSkeleton)

ChoirAdminManager *choir_admin_manager_new (ChoirHub *hub, ChoirCounters *counters);
void choir_admin_manager_cancel (ChoirAdminManager *self);

G_END_DECLS
