/* choir-hub-find.h: what those who look at the hub from outside ask it
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-hub.h"

G_BEGIN_DECLS

/* Must not add or remove any */
typedef void (*ChoirChannelVisitor) (ChoirChannel *channel, gpointer user_data);
void choir_hub_visit_channels (ChoirHub *self, ChoirChannelVisitor visit, gpointer user_data);

/* Those who have a session, in no order; with the same restriction */
typedef void (*ChoirUserVisitor) (ChoirUser *user, gpointer user_data);
void choir_hub_visit_users (ChoirHub *self, ChoirUserVisitor visit, gpointer user_data);

G_END_DECLS
