/* choir-admin-bus.h: a place on a message bus that is taken again whenever it is lost
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

#include "choir-config.h"
#include "choir-timer-wheel.h"

G_BEGIN_DECLS

/**
 * ChoirAdminBus:
 *
 * Connects to a bus, has the objects exported, then asks for the name. Where there is no bus, where
 * it goes, hangs or refuses the name, it is tried again, after a time that grows up to half a
 * minute. The log tells once that there is none, and once that there is one again. The connection
 * is nobody else's. Main context only; nothing here waits for the bus but the farewell, and that
 * for a second at most.
 */
typedef struct _ChoirAdminBus ChoirAdminBus;

typedef struct
{
  /* There is a connection: whatever is to be found on it must be, before it has a name */
  gboolean (*joined) (GDBusConnection *connection, gpointer user_data, GError **error);
  /* It is given up; may be closed already */
  void (*left) (gpointer user_data);
} ChoirAdminBusFuncs;

ChoirAdminBus *choir_admin_bus_new (ChoirTimerWheel *wheel,
                                    ChoirBusChoice bus,
                                    const char *name,
                                    const ChoirAdminBusFuncs *funcs,
                                    gpointer user_data);
void choir_admin_bus_free (ChoirAdminBus *self);

G_END_DECLS
