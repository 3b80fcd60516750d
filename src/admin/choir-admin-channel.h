/* choir-admin-channel.h: what is shown of a channel on the bus
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-hub.h"

G_BEGIN_DECLS

const char *choir_admin_channel_get_epoch (const ChoirChannel *channel);
guint64 choir_admin_channel_get_offset (const ChoirChannel *channel);
gboolean choir_admin_channel_is_persistent (ChoirHub *hub, const ChoirChannel *channel);

G_END_DECLS
