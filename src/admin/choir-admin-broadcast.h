/* choir-admin-broadcast.h: a message from the operator
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-audience.h"

G_BEGIN_DECLS

/* org.choir.Choir1.xml, Broadcast */
#define CHOIR_ADMIN_PAYLOAD_MAX (64 * 1024)

gboolean choir_admin_broadcast (ChoirHub *hub,
                                const char *type,
                                ChoirSlice payload,
                                const ChoirAudience *audience,
                                guint *n_recipients,
                                GError **error);

G_END_DECLS
