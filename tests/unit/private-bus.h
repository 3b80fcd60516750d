/* private-bus.h: a message bus of the test's own, and connections to it, a stranger's too
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

typedef struct _PrivateBus PrivateBus;

/* It is the process's system bus from then on */
PrivateBus *private_bus_new (void);
void private_bus_free (PrivateBus *self);

/* As the user @uid; only root can be another than itself */
GDBusConnection *private_bus_connect (PrivateBus *self, uid_t uid);

G_END_DECLS
