/* choir-admin-gate.h: how much of one caller's may wait for the main loop
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* Of one caller, from the moment a call is read until it is answered. A system bus lets one await
 * 128 answers, and a user have 256 connections (dbus-daemon(1), max_replies_per_connection and
 * max_connections_per_user); calls that want no answer it does not count */
#define CHOIR_ADMIN_GATE_CALLS_MAX 128
#define CHOIR_ADMIN_GATE_BYTES_MAX (4 * 1024 * 1024)

/**
 * ChoirAdminGate:
 *
 * GDBus reads calls as fast as they come, and keeps them until the main loop gets to them. What
 * passes these limits is refused where it is read, with %G_DBUS_ERROR_LIMITS_EXCEEDED, and takes
 * nothing from other callers.
 */
typedef struct _ChoirAdminGate ChoirAdminGate;

ChoirAdminGate *choir_admin_gate_new (GDBusConnection *connection);
void choir_admin_gate_free (ChoirAdminGate *self);

G_END_DECLS
