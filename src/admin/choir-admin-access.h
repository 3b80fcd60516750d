/* choir-admin-access.h: who may steer the service
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* root and the user the service runs as may; the bus daemon says who a caller is. Nothing is
 * remembered between calls, so there is nothing that could go stale. */
gboolean choir_admin_access_allows (guint32 uid, guint32 own_uid);

void choir_admin_access_check_async (GDBusMethodInvocation *invocation,
                                     GCancellable *cancellable,
                                     GAsyncReadyCallback callback,
                                     gpointer user_data);
gboolean choir_admin_access_check_finish (GAsyncResult *result, guint32 *uid, GError **error);

G_END_DECLS
