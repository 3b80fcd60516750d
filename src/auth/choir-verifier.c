/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-verifier.h"

#include <jwt.h>
#include <stdlib.h>
#include <string.h>

#include "choir-claims-private.h"
#include "choir-clock.h"
#include "choir-error.h"
#include "choir-names.h"
#include "choir-token-cache.h"
#include "choir-token.h"
#include "choir-verifier-rules.h"

/* As many as the service has connections by default */
#define REMEMBERED_MAX 10000
/* A public-key check costs up to a millisecond: more than this would take longer than a handshake
 * may */
#define PENDING_MAX 1024

typedef struct
{
  ChoirVerifierRules *rules; /* (owned) */
  char *token;               /* (owned) */
  gint64 now_us;
} Job;

struct _ChoirVerifier
{
  GObject parent_instance;

  ChoirVerifierRules *rules;   /* (owned) */
  ChoirTokenCache *remembered; /* (owned) */
  ChoirVerifierJudge judge;    /* (nullable) */
  gpointer judge_data;
  guint n_pending;
};

G_DEFINE_FINAL_TYPE (ChoirVerifier, choir_verifier, G_TYPE_OBJECT)

static void verify_in_thread (ChoirVerifier *self, GTask *task, const char *token);

static void
job_free (gpointer data)
{
  Job *self = data;

  choir_verifier_rules_unref (self->rules);
  g_free (self->token);
  g_free (self);
}

/* Takes @claims away again if the judge is against them */
static ChoirVerifyResult
conclude (ChoirVerifier *self, ChoirClaims **claims, GError **error)
{
  if (choir_verifier_check (self, *claims, error))
    return CHOIR_VERIFY_OK;
  g_clear_pointer (claims, choir_claims_unref);
  return CHOIR_VERIFY_FAILED;
}

static ChoirVerifyResult
recall (ChoirVerifier *self, const char *token, ChoirClaims **claims, GError **error)
{
  ChoirClaims *known = choir_token_cache_lookup (self->remembered, token);

  if (known == NULL)
    return CHOIR_VERIFY_LATER;
  if (!choir_verifier_rules_check_expiry (self->rules, choir_claims_get_expiry_us (known),
                                          choir_clock_wall_us (), error))
    {
      choir_token_cache_remove (self->remembered, token);
      return CHOIR_VERIFY_FAILED;
    }
  *claims = choir_claims_ref (known);
  return conclude (self, claims, error);
}

static void
choir_verifier_finalize (GObject *object)
{
  ChoirVerifier *self = CHOIR_VERIFIER (object);

  choir_token_cache_free (self->remembered);
  choir_verifier_rules_unref (self->rules);
  G_OBJECT_CLASS (choir_verifier_parent_class)->finalize (object);
}

static void
choir_verifier_class_init (ChoirVerifierClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = choir_verifier_finalize;
}

static void
choir_verifier_init (ChoirVerifier *self)
{
  self->remembered = choir_token_cache_new (REMEMBERED_MAX);
}

/**
 * choir_verifier_new:
 * @keys: held
 * @policy: copied
 *
 * Returns: (transfer full): a verifier for the main thread
 */
ChoirVerifier *
choir_verifier_new (ChoirKeySet *keys, const ChoirVerifierPolicy *policy)
{
  ChoirVerifier *self = g_object_new (CHOIR_TYPE_VERIFIER, NULL);

  self->rules = choir_verifier_rules_new (keys, policy);
  return self;
}

/**
 * choir_verifier_configure:
 * @keys: held
 * @policy: copied
 *
 * Forgets what was remembered; a verification under way is judged by the new rules.
 */
void
choir_verifier_configure (ChoirVerifier *self, ChoirKeySet *keys, const ChoirVerifierPolicy *policy)
{
  choir_verifier_rules_unref (self->rules);
  self->rules = choir_verifier_rules_new (keys, policy);
  choir_token_cache_remove_all (self->remembered);
}

/**
 * choir_verifier_set_judge:
 * @judge: (nullable): asked on the main thread, each time that a token has been found good or is
 * recalled; it may still be against it
 * @user_data: for @judge
 *
 * What makes a token bad besides itself is not for this layer to know.
 */
void
choir_verifier_set_judge (ChoirVerifier *self, ChoirVerifierJudge judge, gpointer user_data)
{
  self->judge = judge;
  self->judge_data = user_data;
}

/**
 * choir_verifier_check:
 * @claims: of a token verified before
 * @error: return location: what the judge says
 *
 * For whoever has waited for something since: the judge may have changed its mind.
 *
 * Returns: whether the bearer is welcome
 */
gboolean
choir_verifier_check (ChoirVerifier *self, const ChoirClaims *claims, GError **error)
{
  return self->judge == NULL || self->judge (claims, self->judge_data, error);
}

/**
 * choir_verifier_try:
 * @token: what the client sent, of any length
 * @claims: (out) (transfer full): set with %CHOIR_VERIFY_OK
 *
 * HMAC tokens are checked each time, which costs little more than recalling them would. The words
 * of an error begin with "Token expired" or "Invalid token".
 *
 * Returns: the outcome; %CHOIR_VERIFY_FAILED with %CHOIR_ERROR_AUTH, %CHOIR_ERROR_TOKEN_EXPIRED or
 * what the judge says
 */
ChoirVerifyResult
choir_verifier_try (ChoirVerifier *self, const char *token, ChoirClaims **claims, GError **error)
{
  g_auto (ChoirToken) parsed = { 0 };
  const ChoirKey *key;

  if (!choir_token_parse (token, &parsed, error))
    return CHOIR_VERIFY_FAILED;
  key = choir_verifier_rules_find_candidate (self->rules, &parsed, error);
  if (key == NULL)
    return CHOIR_VERIFY_FAILED;
  if (!choir_algorithm_is_symmetric (key->algorithm))
    return recall (self, token, claims, error);
  *claims = choir_verifier_rules_verify (self->rules, &parsed, choir_clock_wall_us (), error);
  return *claims != NULL ? conclude (self, claims, error) : CHOIR_VERIFY_FAILED;
}

static void
run_job (GTask *task, gpointer source, gpointer task_data, GCancellable *cancellable)
{
  const Job *job = task_data;
  g_auto (ChoirToken) parsed = { 0 };
  g_autoptr (GError) error = NULL;
  ChoirClaims *claims = NULL;

  /* waiting in the pool's queue may have taken a while */
  if (g_task_return_error_if_cancelled (task))
    return;
  if (choir_token_parse (job->token, &parsed, &error))
    claims = choir_verifier_rules_verify (job->rules, &parsed, job->now_us, &error);
  if (claims != NULL)
    g_task_return_pointer (task, claims, (GDestroyNotify) choir_claims_unref);
  else
    g_task_return_error (task, g_steal_pointer (&error));
}

static void
on_job_done (GObject *source, GAsyncResult *result, gpointer user_data)
{
  ChoirVerifier *self = CHOIR_VERIFIER (source);
  g_autoptr (GTask) task = user_data;
  const Job *job = g_task_get_task_data (G_TASK (result));
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirClaims) claims = g_task_propagate_pointer (G_TASK (result), &error);

  self->n_pending--;
  if (g_task_return_error_if_cancelled (task))
    return;
  if (job->rules != self->rules)
    {
      verify_in_thread (self, task, job->token);
      return;
    }
  if (claims == NULL)
    {
      g_task_return_error (task, g_steal_pointer (&error));
      return;
    }
  choir_token_cache_add (self->remembered, job->token, claims);
  if (!choir_verifier_check (self, claims, &error))
    {
      g_task_return_error (task, g_steal_pointer (&error));
      return;
    }
  g_task_return_pointer (task, g_steal_pointer (&claims), (GDestroyNotify) choir_claims_unref);
}

static void
verify_in_thread (ChoirVerifier *self, GTask *task, const char *token)
{
  g_autoptr (GTask) inner =
    g_task_new (self, g_task_get_cancellable (task), on_job_done, g_object_ref (task));
  Job *job = g_new0 (Job, 1);

  job->rules = choir_verifier_rules_ref (self->rules);
  job->token = g_strndup (token, CHOIR_TOKEN_MAX + 1);
  job->now_us = choir_clock_wall_us ();
  g_task_set_source_tag (inner, verify_in_thread);
  g_task_set_task_data (inner, job, job_free);
  self->n_pending++;
  g_task_run_in_thread (inner, run_job);
}

/**
 * choir_verifier_verify_async:
 * @token: copied
 * @cancellable: (nullable):
 *
 * Takes any token, but is meant for those choir_verifier_try() puts off. Errors: as there, and
 * %CHOIR_ERROR_UNAVAILABLE when too many are waiting already.
 */
void
choir_verifier_verify_async (ChoirVerifier *self,
                             const char *token,
                             GCancellable *cancellable,
                             GAsyncReadyCallback callback,
                             gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);

  g_task_set_source_tag (task, choir_verifier_verify_async);
  if (self->n_pending >= PENDING_MAX)
    {
      g_task_return_new_error (task, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE,
                               "Too many tokens are being verified");
      return;
    }
  verify_in_thread (self, task, token);
}

/**
 * choir_verifier_verify_finish:
 *
 * Returns: (transfer full): the claims, or %NULL
 */
ChoirClaims *
choir_verifier_verify_finish (ChoirVerifier *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

/**
 * choir_verifier_get_n_remembered:
 *
 * Returns: how many verified tokens are remembered, at most 10,000
 */
guint
choir_verifier_get_n_remembered (ChoirVerifier *self)
{
  return choir_token_cache_get_length (self->remembered);
}

static const ChoirKey *
find_signing_key (ChoirVerifier *self)
{
  ChoirKeySet *keys = choir_verifier_rules_get_keys (self->rules);

  for (guint i = 0; i < choir_key_set_get_n_keys (keys); i++)
    {
      const ChoirKey *key = choir_key_set_get_key (keys, i);

      if (choir_algorithm_is_symmetric (key->algorithm))
        return key;
    }
  return NULL;
}

static char *
sign (const ChoirKey *key, const char *claims_json)
{
  gsize len;
  const guint8 *data = g_bytes_get_data (key->data, &len);
  jwt_alg_t algorithm = jwt_str_alg (choir_algorithm_get_name (key->algorithm));
  char *encoded = NULL, *token;
  jwt_t *jwt = NULL;

  if (jwt_new (&jwt) != 0)
    return NULL;
  if (jwt_set_alg (jwt, algorithm, data, (int) len) == 0 &&
      jwt_add_header (jwt, "kid", key->id) == 0 && jwt_add_grants_json (jwt, claims_json) == 0)
    encoded = jwt_encode_str (jwt);
  jwt_free (jwt);
  token = g_strdup (encoded);
  free (encoded);
  return token;
}

/**
 * choir_verifier_mint:
 * @claims_json: the whole payload, one object
 *
 * Signs with the first HMAC key and names it in the header. Says nothing about whether the token
 * will pass the policy.
 *
 * Returns: (transfer full): the token, or %NULL with %CHOIR_ERROR_CONFIG (no HMAC key),
 * %CHOIR_ERROR_INVALID_JSON or %CHOIR_ERROR_TOO_LARGE
 */
char *
choir_verifier_mint (ChoirVerifier *self, const char *claims_json, GError **error)
{
  const ChoirKey *key = find_signing_key (self);
  json_auto_t *claims = choir_claims_parse (claims_json, strlen (claims_json), NULL);
  g_autofree char *token = NULL;

  if (key == NULL)
    g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "There is no HMAC key to sign with");
  else if (claims == NULL)
    g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_INVALID_JSON, "Claims must be one JSON object");
  else if ((token = sign (key, claims_json)) == NULL)
    g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_INTERNAL, "The token could not be signed");
  else if (strlen (token) > CHOIR_TOKEN_MAX)
    g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_TOO_LARGE, "The token is over %d bytes",
                 CHOIR_TOKEN_MAX);
  else
    return g_steal_pointer (&token);
  return NULL;
}
