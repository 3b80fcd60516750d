/* choir-verifier.h: tokens become claims
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

#include "choir-claims.h"
#include "choir-key-set.h"

G_BEGIN_DECLS

#define CHOIR_TYPE_VERIFIER (choir_verifier_get_type ())
G_DECLARE_FINAL_TYPE (ChoirVerifier, choir_verifier, CHOIR, VERIFIER, GObject)

typedef struct
{
  const char *issuer;   /* (nullable) empty or NULL: not checked */
  const char *audience; /* (nullable) likewise; the token's aud may be an array */
  gint64 leeway_us;
  const char *const *required_claims; /* (nullable) */
} ChoirVerifierPolicy;

ChoirVerifier *choir_verifier_new (ChoirKeySet *keys, const ChoirVerifierPolicy *policy);
/* After a reload; forgets remembered tokens */
void choir_verifier_configure (ChoirVerifier *self,
                               ChoirKeySet *keys,
                               const ChoirVerifierPolicy *policy);

/* @claims: of a token that is good. Returns: %FALSE with a CHOIR_ERROR if its bearer is refused all
 * the same */
typedef gboolean (*ChoirVerifierJudge) (const ChoirClaims *claims,
                                        gpointer user_data,
                                        GError **error);
void choir_verifier_set_judge (ChoirVerifier *self, ChoirVerifierJudge judge, gpointer user_data);
gboolean choir_verifier_check (ChoirVerifier *self, const ChoirClaims *claims, GError **error);

typedef enum
{
  CHOIR_VERIFY_OK,
  CHOIR_VERIFY_FAILED,
  CHOIR_VERIFY_LATER, /* an asymmetric key: call choir_verifier_verify_async() */
} ChoirVerifyResult;

/* At once: remembered tokens and HMAC. @error: CHOIR_ERROR_TOKEN_EXPIRED, CHOIR_ERROR_AUTH or what
 * the judge says; the message says why in words fit for the client ("Token expired", "Invalid
 * token": never which check of the signature) */
ChoirVerifyResult
choir_verifier_try (ChoirVerifier *self, const char *token, ChoirClaims **claims, GError **error);
/* On a worker thread; remembers the answer */
void choir_verifier_verify_async (ChoirVerifier *self,
                                  const char *token,
                                  GCancellable *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer user_data);
ChoirClaims *
choir_verifier_verify_finish (ChoirVerifier *self, GAsyncResult *result, GError **error);
guint choir_verifier_get_n_remembered (ChoirVerifier *self);

/* Signs with the first HMAC key (`choird token`, tests); @claims_json: the whole payload object */
char *choir_verifier_mint (ChoirVerifier *self, const char *claims_json, GError **error);

G_END_DECLS
