/* choir-accept-key.h: what proves that a server has read a client's handshake
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* 28 characters and NUL */
#define CHOIR_ACCEPT_KEY_SIZE 29

void choir_accept_key_make (const char *key, gsize len, char out[CHOIR_ACCEPT_KEY_SIZE]);

G_END_DECLS
