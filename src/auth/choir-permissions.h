/* choir-permissions.h: what a token lets its holder do
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum
{
  CHOIR_PERMISSION_READ,  /* subscribe, history, presence, open */
  CHOIR_PERMISSION_WRITE, /* publish, change */
} ChoirPermission;

/* One claim `RESOURCE:ID:ACTION`, RESOURCE a namespace or '*', ID '*' or exact (may itself hold
 * ':'), ACTION read, write or '*'.
 * @channel is "namespace:id", or a bare name whose id counts as "". Writing does not imply reading.
 */
gboolean
choir_permission_matches (const char *permission, const char *channel, ChoirPermission wanted);
gboolean choir_permission_is_valid (const char *permission);

G_END_DECLS
