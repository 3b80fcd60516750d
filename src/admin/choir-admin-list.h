/* choir-admin-list.h: the hub's sessions as the bus shows them
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-audience.h"

G_BEGIN_DECLS

/* org.choir.Choir1.xml, ListConnections: what @limit means */
#define CHOIR_ADMIN_LIMIT_DEFAULT 100
#define CHOIR_ADMIN_LIMIT_MAX 1000

GVariant *choir_admin_describe_connection (ChoirSession *session);
GVariant *choir_admin_list_connections (ChoirHub *hub,
                                        const ChoirAudience *audience,
                                        guint offset,
                                        guint limit);

G_END_DECLS
