/* choir-admin-list.h: what is in the hub as the bus lists it
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-admin-call.h"
#include "choir-admin-describe.h"
#include "choir-admin-order.h"
#include "choir-admin-page.h"
#include "choir-admin-selection.h"
#include "choir-audience.h"

G_BEGIN_DECLS

/* Each gives (transfer floating) an `aa{sv}`: those that are meant, without the first @offset of
 * them, and at most as many as choir_admin_page_get_limit() says */
GVariant *choir_admin_list_connections (ChoirHub *hub,
                                        const ChoirAudience *audience,
                                        guint offset,
                                        guint limit);
GVariant *choir_admin_list_sorted_connections (ChoirHub *hub,
                                               const ChoirAudience *audience,
                                               ChoirAdminOrder order,
                                               ChoirAdminGrowth *growth,
                                               guint offset,
                                               guint limit);
GVariant *choir_admin_list_users (ChoirHub *hub,
                                  const ChoirAdminSelection *selection,
                                  guint offset,
                                  guint limit);
GVariant *choir_admin_list_channels (ChoirHub *hub,
                                     const ChoirAdminSelection *selection,
                                     guint offset,
                                     guint limit);
GVariant *choir_admin_list_tasks (ChoirHub *hub,
                                  const ChoirAdminSelection *selection,
                                  guint offset,
                                  guint limit);

/* choir-admin-list-documents.c. @stored: (nullable) (element-type ChoirStreamInfo): those in the
 * store, in order, which are listed besides */
GVariant *choir_admin_list_documents (ChoirHub *hub,
                                      const ChoirAdminSelection *selection,
                                      const GPtrArray *stored,
                                      guint offset,
                                      guint limit);
/* ListDocuments, which may have to ask the store */
void choir_admin_perform_list_documents (ChoirAdminCall *call);

/* For those that make lists */
void choir_admin_entry_add (GVariantBuilder *entry, const char *key, GVariant *value);

G_END_DECLS
