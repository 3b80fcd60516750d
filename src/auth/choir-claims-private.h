/* choir-claims-private.h: claims from JSON that has been read already
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <jansson.h>

#include "choir-claims.h"

G_BEGIN_DECLS

ChoirClaims *choir_claims_new_from_object (const json_t *payload, GError **error);
gboolean choir_claims_read_time (const json_t *payload,
                                 const char *key,
                                 gint64 *out_wall_us,
                                 GError **error);
json_t *choir_claims_parse (const char *json, gsize len, GError **error);

G_END_DECLS
