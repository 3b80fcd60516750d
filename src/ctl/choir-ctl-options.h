/* choir-ctl-options.h: short options as getopt's users write them
 *
 * GOption wants the value of a short option in a word of its own: of “-Huser@host” and “-bn1” it
 * makes something else than systemctl(1) and top(1) do. Here such words become several before it
 * sees them; all else is left to it.
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

char **
choir_ctl_options_split (char **argv, const GOptionEntry *const *tables, gboolean until_word);

G_END_DECLS
