/* choir-stores.h: the store that the configuration means
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-config.h"
#include "choir-store.h"

G_BEGIN_DECLS

/* The database's file, whether it is there or not; CHOIR_ERROR_CONFIG with a backend that has none
 */
char *choir_stores_dup_path (ChoirConfig *config, GError **error);

ChoirStore *choir_stores_open (ChoirConfig *config, GError **error);
/* For another process than the service */
ChoirStore *choir_stores_open_beside (const char *path, gboolean make, GError **error);
/* Without opening it: whether it could be */
gboolean choir_stores_check (ChoirConfig *config, GError **error);
/* Runs the loop until everything is stored */
void choir_stores_close (ChoirStore *store, gint64 timeout_us);

G_END_DECLS
