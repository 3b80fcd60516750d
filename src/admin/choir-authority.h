/* choir-authority.h: who may do what over the bus
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

#include "choir-config.h"

G_BEGIN_DECLS

/* What a call does, in the order of what it takes to be trusted with it */
typedef enum
{
  CHOIR_ADMIN_INSPECT,
  CHOIR_ADMIN_READ_CONTENT,
  CHOIR_ADMIN_MESSAGE,
  CHOIR_ADMIN_MANAGE_USERS,
  CHOIR_ADMIN_MANAGE_SERVICE,
  CHOIR_N_ADMIN_ACTIONS
} ChoirAdminAction;

const char *choir_admin_action_get_id (ChoirAdminAction action);

/* Of what choir_authority_check_finish() reports besides #GDBusError */
#define CHOIR_AUTHORITY_ERROR (choir_authority_error_quark ())
GQuark choir_authority_error_quark (void);

typedef enum
{
  CHOIR_AUTHORITY_ERROR_INTERACTION_REQUIRED, /* it takes a password, and the call forbids to ask */
  CHOIR_N_AUTHORITY_ERRORS
} ChoirAuthorityError;

/**
 * ChoirAuthority:
 *
 * Says whether the sender of a call may have it done. The bus daemon says who the sender is; root
 * always may. On a session bus the user the service runs as may too, and nobody else. On the system
 * bus polkit is asked about everybody who is not root; where there is none, it is root alone.
 *
 * Nothing is remembered between calls, so there is nothing that could go stale, and nothing blocks:
 * the loop goes on while a person types a password. A check ends when its caller leaves the bus.
 * Checks under way are limited, for each connection to the bus and each user too. Main context
 * only.
 */
#define CHOIR_TYPE_AUTHORITY (choir_authority_get_type ())
G_DECLARE_FINAL_TYPE (ChoirAuthority, choir_authority, CHOIR, AUTHORITY, GObject)

/* Checks under way: of one connection to the bus, and of all, beyond which a connection has one at
 * a time; and connections that have any. A user of a system bus has 256 of those (dbus-daemon(1),
 * max_connections_per_user) */
#define CHOIR_AUTHORITY_CALLER_MAX 64
#define CHOIR_AUTHORITY_CHECKS_MAX 1024
#define CHOIR_AUTHORITY_CALLERS_MAX 2048

ChoirAuthority *choir_authority_new (ChoirBusChoice bus);

void choir_authority_check_async (ChoirAuthority *self,
                                  GDBusMethodInvocation *invocation,
                                  ChoirAdminAction action,
                                  const char *target,
                                  GCancellable *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer user_data);
gboolean choir_authority_check_finish (ChoirAuthority *self,
                                       GAsyncResult *result,
                                       guint32 *uid,
                                       GError **error);

G_END_DECLS
