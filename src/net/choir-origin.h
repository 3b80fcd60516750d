/* choir-origin.h: which web pages may connect
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * ChoirOriginPolicy:
 *
 * Patterns like `https://a.com` and `http://localhost:*` (any port); a host `*.example.com` takes
 * exactly one label more. Whole origins are compared, never parts of a text. Immutable.
 */
typedef struct _ChoirOriginPolicy ChoirOriginPolicy;

/* @is_development: a lone `*` is allowed. Errors: CHOIR_ERROR_CONFIG */
ChoirOriginPolicy *choir_origin_policy_new (const char *const *patterns,
                                            gboolean allow_no_origin,
                                            gboolean is_development,
                                            GError **error);
void choir_origin_policy_free (ChoirOriginPolicy *self);
gboolean choir_origin_policy_allows (const ChoirOriginPolicy *self, const char *origin);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirOriginPolicy, choir_origin_policy_free)

G_END_DECLS
