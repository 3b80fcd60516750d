/* load-token.h: the secret that tokens are signed with, and a different user for every connection
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The secret in @file; without one (it is nullable) @key stays as it is */
gboolean load_token_read_key (const char *file, GBytes **key, GError **error);

char *load_token_mint (GBytes *key, guint user) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
