/* choir-daemon.h: the service as a whole
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

#include "choir-config.h"

G_BEGIN_DECLS

/**
 * ChoirDaemon:
 *
 * Puts the layers together, in one place: configuration, keys, hub, gateway, listener, bus; and
 * takes them apart again when it is told to stop.
 */
#define CHOIR_TYPE_DAEMON (choir_daemon_get_type ())
G_DECLARE_FINAL_TYPE (ChoirDaemon, choir_daemon, CHOIR, DAEMON, GObject)

ChoirDaemon *choir_daemon_new (ChoirConfig *config);
gboolean choir_daemon_start (ChoirDaemon *self, GError **error);
void choir_daemon_reload (ChoirDaemon *self);
void choir_daemon_stop (ChoirDaemon *self);
void choir_daemon_run (ChoirDaemon *self);
char **choir_daemon_dup_addresses (ChoirDaemon *self);

G_END_DECLS
