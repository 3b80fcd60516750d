/* choir-upgrade-private.h: what the files that decide about an upgrade share
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-upgrade.h"

G_BEGIN_DECLS

void
choir_upgrade_refuse (ChoirUpgrade *self, guint status, ChoirError problem, const char *detail);

/* choir-upgrade-read.c */
char *choir_upgrade_dup_parameter (const char *query, const char *name);
void choir_upgrade_read_token (ChoirUpgrade *self, const ChoirUpgradeRequest *request);
gboolean choir_upgrade_read_stream (ChoirUpgrade *self, const ChoirUpgradeRequest *request);
void choir_upgrade_settle_stream (ChoirUpgrade *self, ChoirGateway *gateway);

G_END_DECLS
