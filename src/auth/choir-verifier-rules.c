/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-verifier-rules.h"

#include <jwt.h>

#include "choir-claims-private.h"
#include "choir-error.h"

struct _ChoirVerifierRules
{
  gatomicrefcount ref_count;
  ChoirKeySet *keys;      /* (owned) */
  char *issuer;           /* (owned) (nullable) */
  char *audience;         /* (owned) (nullable) */
  char **required_claims; /* (owned) */
  gint64 leeway_us;
};

static gboolean
refuse (GError **error, const char *what)
{
  g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_AUTH, what);
  return FALSE;
}

static char *
dup_non_empty (const char *text)
{
  return text != NULL && *text != '\0' ? g_strdup (text) : NULL;
}

/**
 * choir_verifier_rules_new:
 * @keys: held
 * @policy: copied
 *
 * Returns: (transfer full): the rules
 */
ChoirVerifierRules *
choir_verifier_rules_new (ChoirKeySet *keys, const ChoirVerifierPolicy *policy)
{
  static const char *const none[] = { NULL };
  const char *const *required = policy->required_claims;
  ChoirVerifierRules *self = g_new0 (ChoirVerifierRules, 1);

  g_atomic_ref_count_init (&self->ref_count);
  self->keys = choir_key_set_ref (keys);
  self->issuer = dup_non_empty (policy->issuer);
  self->audience = dup_non_empty (policy->audience);
  self->required_claims = g_strdupv ((char **) (required != NULL ? required : none));
  self->leeway_us = MAX (policy->leeway_us, 0);
  return self;
}

/**
 * choir_verifier_rules_ref:
 *
 * Returns: (transfer full): @self; any thread
 */
ChoirVerifierRules *
choir_verifier_rules_ref (ChoirVerifierRules *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

/**
 * choir_verifier_rules_unref:
 * @self: (transfer full): any thread
 */
void
choir_verifier_rules_unref (ChoirVerifierRules *self)
{
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  choir_key_set_unref (self->keys);
  g_free (self->issuer);
  g_free (self->audience);
  g_strfreev (self->required_claims);
  g_free (self);
}

/**
 * choir_verifier_rules_get_keys:
 *
 * Returns: (transfer none): the keys
 */
ChoirKeySet *
choir_verifier_rules_get_keys (const ChoirVerifierRules *self)
{
  return self->keys;
}

/**
 * choir_verifier_rules_find_candidate:
 * @token: a parsed token
 *
 * Returns: (nullable): the first key the token may be checked against; all candidates have its
 * algorithm. %NULL with %CHOIR_ERROR_AUTH if there is none.
 */
const ChoirKey *
choir_verifier_rules_find_candidate (const ChoirVerifierRules *self,
                                     const ChoirToken *token,
                                     GError **error)
{
  for (guint i = 0; i < choir_key_set_get_n_keys (self->keys); i++)
    {
      const ChoirKey *key = choir_key_set_get_key (self->keys, i);

      if (choir_key_is_candidate (key, token->algorithm, token->kid))
        return key;
    }
  refuse (error, "Invalid token");
  return NULL;
}

/**
 * choir_verifier_rules_check_expiry:
 * @expiry_us: wall time, %G_MAXINT64: never
 * @now_us: wall time
 *
 * RFC 7519 4.1.4: "on or after" the expiry a token is not to be accepted; the leeway covers clocks
 * that differ.
 *
 * Returns: %FALSE with %CHOIR_ERROR_TOKEN_EXPIRED
 */
gboolean
choir_verifier_rules_check_expiry (const ChoirVerifierRules *self,
                                   gint64 expiry_us,
                                   gint64 now_us,
                                   GError **error)
{
  if (now_us - self->leeway_us < expiry_us)
    return TRUE;
  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_TOKEN_EXPIRED, "Token expired");
  return FALSE;
}

/* libjwt takes the algorithm from the token; the caller has pinned it, and what libjwt made of it
 * is looked at again */
static gboolean
has_signature_of (const ChoirToken *token, const ChoirKey *key)
{
  gsize len;
  const guint8 *data = g_bytes_get_data (key->data, &len);
  jwt_t *jwt = NULL;
  gboolean good;

  /* to libjwt, no key means: accept */
  if (data == NULL || len == 0)
    return FALSE;
  good =
    jwt_decode (&jwt, token->text, data, (int) len) == 0 && jwt != NULL &&
    g_strcmp0 (jwt_alg_str (jwt_get_alg (jwt)), choir_algorithm_get_name (key->algorithm)) == 0;
  jwt_free (jwt);
  return good;
}

static gboolean
check_signature (const ChoirVerifierRules *self, const ChoirToken *token, GError **error)
{
  for (guint i = 0; i < choir_key_set_get_n_keys (self->keys); i++)
    {
      const ChoirKey *key = choir_key_set_get_key (self->keys, i);

      if (choir_key_is_candidate (key, token->algorithm, token->kid) &&
          has_signature_of (token, key))
        return TRUE;
    }
  return refuse (error, "Invalid token");
}

static gboolean
check_times (const ChoirVerifierRules *self, const json_t *payload, gint64 now_us, GError **error)
{
  gint64 expiry_us = G_MAXINT64, not_before_us = G_MININT64, issued_us = G_MININT64;

  if (!choir_claims_read_time (payload, "exp", &expiry_us, error) ||
      !choir_claims_read_time (payload, "nbf", &not_before_us, error) ||
      !choir_claims_read_time (payload, "iat", &issued_us, error) ||
      !choir_verifier_rules_check_expiry (self, expiry_us, now_us, error))
    return FALSE;
  if (MAX (not_before_us, issued_us) > now_us + self->leeway_us)
    return refuse (error, "Invalid token: not valid yet");
  return TRUE;
}

static gboolean
is_string (const json_t *value, const char *text)
{
  return json_is_string (value) && g_str_equal (json_string_value (value), text);
}

/* RFC 7519 4.1.3: one string, or an array of them */
static gboolean
names_audience (const json_t *value, const char *audience)
{
  for (gsize i = 0; i < json_array_size (value); i++)
    {
      if (is_string (json_array_get (value, i), audience))
        return TRUE;
    }
  return is_string (value, audience);
}

static gboolean
check_parties (const ChoirVerifierRules *self, const json_t *payload, GError **error)
{
  if (self->issuer != NULL && !is_string (json_object_get (payload, "iss"), self->issuer))
    return refuse (error, "Invalid token: from another issuer");
  if (self->audience != NULL && !names_audience (json_object_get (payload, "aud"), self->audience))
    return refuse (error, "Invalid token: for another audience");
  return TRUE;
}

static gboolean
check_required (const ChoirVerifierRules *self, const json_t *payload, GError **error)
{
  for (char **claim = self->required_claims; *claim != NULL; claim++)
    {
      const json_t *value = json_object_get (payload, *claim);

      if (value == NULL || json_is_null (value))
        {
          g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_AUTH, "Invalid token: claim %s is missing",
                       *claim);
          return FALSE;
        }
    }
  return TRUE;
}

/**
 * choir_verifier_rules_verify:
 * @token: a parsed token
 * @now_us: wall time
 *
 * The signature first, then the claims; any thread.
 *
 * Returns: (transfer full): the claims, or %NULL with %CHOIR_ERROR_AUTH or
 * %CHOIR_ERROR_TOKEN_EXPIRED
 */
ChoirClaims *
choir_verifier_rules_verify (const ChoirVerifierRules *self,
                             const ChoirToken *token,
                             gint64 now_us,
                             GError **error)
{
  json_auto_t *payload = NULL;

  if (!check_signature (self, token, error))
    return NULL;
  payload = choir_token_parse_payload (token, error);
  if (payload == NULL || !check_times (self, payload, now_us, error) ||
      !check_parties (self, payload, error) || !check_required (self, payload, error))
    return NULL;
  return choir_claims_new_from_object (payload, error);
}
