/* choir-hub-operate.h: what administrators do to those who are connected
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-hub.h"

G_BEGIN_DECLS

void choir_hub_subscribe_async (ChoirHub *self,
                                ChoirSession *session,
                                const char *channel,
                                GCancellable *cancellable,
                                GAsyncReadyCallback callback,
                                gpointer user_data);
gboolean choir_hub_subscribe_finish (ChoirHub *self, GAsyncResult *result, GError **error);
gboolean
choir_hub_unsubscribe (ChoirHub *self, ChoirSession *session, const char *channel, GError **error);
gboolean choir_hub_close_document (ChoirHub *self,
                                   const char *id,
                                   const char *reason,
                                   guint *n_editors,
                                   GError **error);

G_END_DECLS
