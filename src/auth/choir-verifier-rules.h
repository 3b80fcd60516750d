/* choir-verifier-rules.h: what a token must fulfil, fixed at one moment
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-token.h"
#include "choir-verifier.h"

G_BEGIN_DECLS

/**
 * ChoirVerifierRules:
 *
 * A copy of keys and policy. Immutable and atomically counted: worker threads hold it.
 */
typedef struct _ChoirVerifierRules ChoirVerifierRules;

ChoirVerifierRules *choir_verifier_rules_new (ChoirKeySet *keys, const ChoirVerifierPolicy *policy);
ChoirVerifierRules *choir_verifier_rules_ref (ChoirVerifierRules *self);
void choir_verifier_rules_unref (ChoirVerifierRules *self);
ChoirKeySet *choir_verifier_rules_get_keys (const ChoirVerifierRules *self);
const ChoirKey *choir_verifier_rules_find_candidate (const ChoirVerifierRules *self,
                                                     const ChoirToken *token,
                                                     GError **error);
gboolean choir_verifier_rules_check_expiry (const ChoirVerifierRules *self,
                                            gint64 expiry_us,
                                            gint64 now_us,
                                            GError **error);
ChoirClaims *choir_verifier_rules_verify (const ChoirVerifierRules *self,
                                          const ChoirToken *token,
                                          gint64 now_us,
                                          GError **error);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirVerifierRules, choir_verifier_rules_unref)

G_END_DECLS
