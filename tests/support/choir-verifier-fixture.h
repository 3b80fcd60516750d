/* choir-verifier-fixture.h: keys for each algorithm, tokens made with them, and the way to verify
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib/gstdio.h>
#include <jwt.h>
#include <stdlib.h>

#include "choir-error.h"
#include "choir-forge.h"
#include "choir-verifier.h"

#define NOW_S G_GINT64_CONSTANT (1700000000)
#define SECRET "an HMAC secret for tests, 64 bytes of it, which none may use 1234"
#define CLAIMS "{\"sub\":\"user-1\",\"exp\":1700000600,\"permissions\":[\"chat:*:read\"]}"

typedef struct
{
  const char *name;
  jwt_alg_t algorithm;
  const char *private_key; /* file in the directory, NULL: SECRET */
  const char *public_key;
} Row;

static const Row rows[] = {
  { "HS256", JWT_ALG_HS256, NULL, "secret" },     { "HS384", JWT_ALG_HS384, NULL, "secret" },
  { "HS512", JWT_ALG_HS512, NULL, "secret" },     { "RS256", JWT_ALG_RS256, "rsa", "rsa.pub" },
  { "RS384", JWT_ALG_RS384, "rsa", "rsa.pub" },   { "RS512", JWT_ALG_RS512, "rsa", "rsa.pub" },
  { "ES256", JWT_ALG_ES256, "p256", "p256.pub" }, { "ES384", JWT_ALG_ES384, "p384", "p384.pub" },
  { "ES512", JWT_ALG_ES512, "p521", "p521.pub" },
};

static char *directory;

static void
make_key_pair (const char *name, const char *algorithm, const char *option)
{
  g_autofree char *file = g_build_filename (directory, name, NULL);
  g_autofree char *public_file = g_strconcat (file, ".pub", NULL);
  const char *make[] = { "openssl",  "genpkey", "-quiet", "-algorithm", algorithm,
                         "-pkeyopt", option,    "-out",   file,         NULL };
  const char *publish[] = { "openssl", "pkey", "-in", file, "-pubout", "-out", public_file, NULL };
  const char *const *commands[] = { make, publish };

  for (guint i = 0; i < G_N_ELEMENTS (commands); i++)
    {
      g_autoptr (GError) error = NULL;
      int status = -1;

      g_spawn_sync (NULL, (char **) commands[i], NULL,
                    G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, NULL, NULL,
                    &status, &error);
      g_assert_no_error (error);
      g_assert_cmpint (status, ==, 0);
    }
}

static void
make_keys (void)
{
  g_autofree char *secret = NULL;

  directory = g_dir_make_tmp ("choir-verifier-XXXXXX", NULL);
  secret = g_build_filename (directory, "secret", NULL);
  g_assert_true (g_file_set_contents (secret, SECRET, -1, NULL));
  g_assert_cmpint (g_chmod (secret, 0600), ==, 0);
  make_key_pair ("rsa", "RSA", "rsa_keygen_bits:2048");
  make_key_pair ("p256", "EC", "ec_paramgen_curve:P-256");
  make_key_pair ("p256b", "EC", "ec_paramgen_curve:P-256");
  make_key_pair ("p384", "EC", "ec_paramgen_curve:P-384");
  make_key_pair ("p521", "EC", "ec_paramgen_curve:P-521");
}

static void
remove_keys (void)
{
  g_autoptr (GDir) dir = g_dir_open (directory, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *file = g_build_filename (directory, name, NULL);

      g_unlink (file);
    }
  g_rmdir (directory);
  g_free (directory);
}

/* @specs: "ES256:id:file-in-directory" each */
static ChoirKeySet *
load_keys (const char *const *specs)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) full = NULL;
  ChoirKeySet *keys;

  for (; *specs != NULL; specs++)
    {
      g_auto (GStrv) parts = g_strsplit (*specs, ":", 3);
      g_autofree char *spec =
        g_strdup_printf ("%s:%s:%s/%s", parts[0], parts[1], directory, parts[2]);

      g_strv_builder_add (builder, spec);
    }
  full = g_strv_builder_end (builder);
  keys = choir_key_set_new_from_specs ((const char *const *) full, &error);
  g_assert_no_error (error);
  return keys;
}

static ChoirVerifier *
make_verifier (const char *spec, const char *second_spec, const ChoirVerifierPolicy *policy)
{
  static const char *const required[] = { "sub", "exp", NULL };
  static const ChoirVerifierPolicy usual = { .leeway_us = 30 * G_USEC_PER_SEC,
                                             .required_claims = required };
  const char *const specs[] = { spec, second_spec, NULL };
  g_autoptr (ChoirKeySet) keys = load_keys (specs);

  return choir_verifier_new (keys, policy != NULL ? policy : &usual);
}

static ChoirVerifier *
make_hmac_verifier (void)
{
  return make_verifier ("HS256:main:secret", NULL, NULL);
}

static char *
hmac_token_full (const char *header, const char *payload, gsize len)
{
  return choir_forge_token (G_CHECKSUM_SHA256, SECRET, strlen (SECRET), header, payload, len);
}

static char *
hmac_token (const char *payload)
{
  return hmac_token_full ("{\"alg\":\"HS256\",\"typ\":\"JWT\"}", payload, strlen (payload));
}

/* As an issuer would, with the private key */
static char *
issue (jwt_alg_t algorithm, const char *private_key, const char *kid, const char *claims)
{
  g_autofree char *key = g_strdup (SECRET);
  g_autofree char *file = NULL;
  jwt_t *jwt = NULL;
  char *encoded, *token;

  if (private_key != NULL)
    {
      g_clear_pointer (&key, g_free);
      file = g_build_filename (directory, private_key, NULL);
      g_assert_true (g_file_get_contents (file, &key, NULL, NULL));
    }
  g_assert_cmpint (jwt_new (&jwt), ==, 0);
  g_assert_cmpint (jwt_set_alg (jwt, algorithm, (guchar *) key, strlen (key)), ==, 0);
  if (kid != NULL)
    g_assert_cmpint (jwt_add_header (jwt, "kid", kid), ==, 0);
  g_assert_cmpint (jwt_add_grants_json (jwt, claims), ==, 0);
  encoded = jwt_encode_str (jwt);
  g_assert_nonnull (encoded);
  jwt_free (jwt);
  token = g_strdup (encoded);
  free (encoded);
  return token;
}

static void
on_verified (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GAsyncResult **out = user_data;

  g_assert_null (*out);
  *out = g_object_ref (result);
}

static ChoirClaims *
wait_for (ChoirVerifier *verifier, GAsyncResult **result, GError **error)
{
  g_autoptr (GAsyncResult) done = NULL;

  while (*result == NULL)
    g_main_context_iteration (NULL, TRUE);
  done = g_steal_pointer (result);
  return choir_verifier_verify_finish (verifier, done, error);
}

/* The way the service goes: at once if possible, else on a thread */
static ChoirClaims *
verify (ChoirVerifier *verifier, const char *token, GError **error)
{
  ChoirClaims *claims = NULL;
  GAsyncResult *result = NULL;

  switch (choir_verifier_try (verifier, token, &claims, error))
    {
    case CHOIR_VERIFY_OK:
      g_assert_nonnull (claims);
      return claims;
    case CHOIR_VERIFY_FAILED:
      g_assert_null (claims);
      return NULL;
    case CHOIR_VERIFY_LATER:
      g_assert_null (claims);
      choir_verifier_verify_async (verifier, token, NULL, on_verified, &result);
      return wait_for (verifier, &result, error);
    default:
      g_assert_not_reached ();
    }
}

static void
assert_accepted (ChoirVerifier *verifier, const char *token)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirClaims) claims = verify (verifier, token, &error);

  g_assert_no_error (error);
  g_assert_nonnull (claims);
  g_assert_cmpstr (choir_claims_get_user_id (claims), ==, "user-1");
}

static void
assert_refused (ChoirVerifier *verifier, const char *token, const char *message)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (verify (verifier, token, &error));
  if (g_str_equal (message, "Token expired"))
    g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_TOKEN_EXPIRED);
  else
    g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_AUTH);
  g_assert_cmpstr (error->message, ==, message);
}
