/* load-token.h: a different user for every connection
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

char *load_token_mint (GBytes *key, guint user) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
