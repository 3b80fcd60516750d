/* choir-forwarded.h: whose connection a proxy passes on
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

#include "choir-address.h"

G_BEGIN_DECLS

/**
 * ChoirForwardedPolicy:
 *
 * The proxies whose X-Forwarded-For and Forwarded (RFC 7239) are believed. Immutable.
 */
typedef struct _ChoirForwardedPolicy ChoirForwardedPolicy;

/* @trusted: addresses and prefixes like 10.0.0.0/8. Errors: CHOIR_ERROR_CONFIG */
ChoirForwardedPolicy *choir_forwarded_policy_new (const char *const *trusted, GError **error);
void choir_forwarded_policy_free (ChoirForwardedPolicy *self);
gboolean choir_forwarded_resolve (const ChoirForwardedPolicy *self,
                                  const ChoirAddress *peer,
                                  const char *x_forwarded_for,
                                  const char *forwarded,
                                  ChoirAddress *client);
gboolean choir_forwarded_is_trusted (const ChoirForwardedPolicy *self, const ChoirAddress *peer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirForwardedPolicy, choir_forwarded_policy_free)

G_END_DECLS
