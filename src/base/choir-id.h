/* choir-id.h: identifiers and randomness, which tests can seed
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* RFC 4122 version 4, lower case, and NUL */
#define CHOIR_ID_SIZE 37

void choir_id_generate (char out[CHOIR_ID_SIZE]);
guint32 choir_id_random (void);
guint32 choir_id_random_range (guint32 end);
/* Tests only: a repeatable sequence; 0 returns to the kernel's */
void choir_id_seed (guint64 seed);

G_END_DECLS
