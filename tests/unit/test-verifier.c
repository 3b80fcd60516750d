/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "../support/choir-verifier-fixture.h"
#include "choir-clock.h"
#include "choir-names.h"
#include "choir-token-cache.h"

static void
test_all_algorithms (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *spec = g_strdup_printf ("%s:key-1:%s", rows[i].name, rows[i].public_key);
      g_autoptr (ChoirVerifier) verifier = make_verifier (spec, NULL, NULL);
      g_autofree char *plain = issue (rows[i].algorithm, rows[i].private_key, NULL, CLAIMS);
      g_autofree char *named = issue (rows[i].algorithm, rows[i].private_key, "key-1", CLAIMS);
      g_autofree char *other = issue (rows[i].algorithm, rows[i].private_key, "key-2", CLAIMS);

      g_test_message ("%s", rows[i].name);
      assert_accepted (verifier, plain);
      assert_accepted (verifier, named);
      assert_refused (verifier, other, "Invalid token");
      assert_accepted (verifier, plain);
      g_assert_cmpuint (choir_verifier_get_n_remembered (verifier), ==,
                        rows[i].private_key != NULL ? 2 : 0);
    }
}

/* A key verifies tokens of its own algorithm only, even where the mathematics would allow it */
static void
test_other_algorithms (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *spec = g_strdup_printf ("%s:key-1:%s", rows[i].name, rows[i].public_key);
      g_autoptr (ChoirVerifier) verifier = make_verifier (spec, NULL, NULL);

      for (guint j = 0; j < G_N_ELEMENTS (rows); j++)
        {
          g_autofree char *token = NULL;

          if (i == j)
            continue;
          token = issue (rows[j].algorithm, rows[j].private_key, NULL, CLAIMS);
          assert_refused (verifier, token, "Invalid token");
        }
    }
}

static void
test_public_key_as_secret (void)
{
  static const GChecksumType checksums[] = { G_CHECKSUM_SHA256, G_CHECKSUM_SHA384,
                                             G_CHECKSUM_SHA512 };
  static const char *const names[] = { "HS256", "HS384", "HS512" };
  g_autoptr (ChoirVerifier) alone = make_verifier ("RS256:idp:rsa.pub", NULL, NULL);
  g_autoptr (ChoirVerifier) both = make_verifier ("RS256:idp:rsa.pub", "HS256:main:secret", NULL);
  g_autofree char *file = g_build_filename (directory, "rsa.pub", NULL);
  g_autofree char *pem = NULL;
  gsize len;

  g_assert_true (g_file_get_contents (file, &pem, &len, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *header = g_strdup_printf ("{\"alg\":\"%s\"}", names[i]);
      g_autofree char *kid_header = g_strdup_printf ("{\"alg\":\"%s\",\"kid\":\"idp\"}", names[i]);
      g_autofree char *token =
        choir_forge_token (checksums[i], pem, len, header, CLAIMS, strlen (CLAIMS));
      g_autofree char *named =
        choir_forge_token (checksums[i], pem, len, kid_header, CLAIMS, strlen (CLAIMS));

      assert_refused (alone, token, "Invalid token");
      assert_refused (alone, named, "Invalid token");
      assert_refused (both, token, "Invalid token");
      assert_refused (both, named, "Invalid token");
    }
}

static void
test_no_signature (void)
{
  static const char *const names[] = { "none", "None", "NONE", "nOnE", "" };
  g_autoptr (ChoirVerifier) hmac = make_hmac_verifier ();
  g_autoptr (ChoirVerifier) keyless = make_verifier (NULL, NULL, NULL);
  g_autofree char *good = hmac_token (CLAIMS);
  const char *signature = strrchr (good, '.');

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *header = g_strdup_printf ("{\"typ\":\"JWT\",\"alg\":\"%s\"}", names[i]);
      g_autofree char *input = choir_forge_input (header, CLAIMS, strlen (CLAIMS));
      g_autofree char *dot = g_strconcat (input, ".", NULL);
      g_autofree char *borrowed = g_strconcat (input, signature, NULL);
      g_autofree char *right = hmac_token_full (header, CLAIMS, strlen (CLAIMS));
      const char *const tokens[] = { input, dot, borrowed, right };

      for (guint j = 0; j < G_N_ELEMENTS (tokens); j++)
        {
          assert_refused (hmac, tokens[j], "Invalid token");
          assert_refused (keyless, tokens[j], "Invalid token");
        }
    }
  assert_accepted (hmac, good);
  assert_refused (keyless, good, "Invalid token");
}

static void
test_headers (void)
{
  static const struct
  {
    const char *header;
    gboolean good;
  } headers[] = {
    { "{\"alg\":\"HS256\"}", TRUE },
    { "{\"alg\":\"HS256\",\"typ\":\"JWT\"}", TRUE },
    { "{\"alg\":\"HS256\",\"typ\":\"jwt\"}", TRUE },
    { "{\"alg\":\"HS256\",\"kid\":\"main\"}", TRUE },
    { "{\"alg\":\"HS256\",\"x5t\":\"ignored\"}", TRUE },
    { "{\"alg\":\"HS256\",\"typ\":\"JWE\"}", FALSE },
    { "{\"alg\":\"HS256\",\"typ\":7}", FALSE },
    { "{\"alg\":\"HS256\",\"typ\":null}", FALSE },
    { "{\"alg\":\"HS256\",\"kid\":\"Main\"}", FALSE },
    { "{\"alg\":\"HS256\",\"kid\":\"\"}", FALSE },
    { "{\"alg\":\"HS256\",\"kid\":null}", FALSE },
    { "{\"alg\":\"HS256\",\"kid\":[\"main\"]}", FALSE },
    { "{\"alg\":\"HS256\",\"kid\":\"../../dev/null\"}", FALSE },
    { "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", FALSE },
    { "{\"alg\":\"HS256\",\"crit\":[]}", FALSE },
    { "{\"alg\":\"HS256\",\"crit\":null}", FALSE },
    { "{\"alg\":\"hs256\"}", FALSE },
    { "{\"alg\":\"HS256 \"}", FALSE },
    { "{\"alg\":\"HS256\\u0000\"}", FALSE },
    { "{\"alg\":[\"HS256\"]}", FALSE },
    { "{\"alg\":null}", FALSE },
    { "{\"ALG\":\"HS256\"}", FALSE },
    { "{}", FALSE },
    { "[]", FALSE },
    { "\"HS256\"", FALSE },
    { "{\"alg\":\"HS256\",\"alg\":\"HS256\"}", FALSE },
    { "{\"alg\":\"none\",\"alg\":\"HS256\"}", FALSE },
    { "{\"alg\":\"HS256\"}{}", FALSE },
    { "{\"alg\":\"HS256\",}", FALSE },
    { "{\"alg\":\"HS256\"", FALSE },
  };
  g_autoptr (ChoirVerifier) verifier = make_hmac_verifier ();

  for (guint i = 0; i < G_N_ELEMENTS (headers); i++)
    {
      g_autofree char *token = hmac_token_full (headers[i].header, CLAIMS, strlen (CLAIMS));

      g_test_message ("%s", headers[i].header);
      if (headers[i].good)
        assert_accepted (verifier, token);
      else
        assert_refused (verifier, token, "Invalid token");
    }
}

static void
test_shapes (void)
{
  g_autoptr (ChoirVerifier) verifier = make_hmac_verifier ();
  g_autofree char *good = hmac_token (CLAIMS);
  gsize len = strlen (good);
  g_autofree char *extra_dot = g_strconcat (good, ".", NULL);
  g_autofree char *extra_part = g_strconcat (good, ".AAAA", NULL);
  g_autofree char *padded = g_strconcat (good, "=", NULL);
  g_autofree char *newline = g_strconcat (good, "\n", NULL);
  g_autofree char *space = g_strconcat (" ", good, NULL);
  g_autofree char *dot = g_strconcat (".", good, NULL);
  const char *const tokens[] = { "",         ".",    "..",    "...", "a.b.c", extra_dot,
                                 extra_part, padded, newline, space, dot };

  assert_accepted (verifier, good);
  for (guint i = 0; i < G_N_ELEMENTS (tokens); i++)
    assert_refused (verifier, tokens[i], "Invalid token");
  for (gsize cut = 0; cut < len; cut++)
    {
      g_autofree char *part = g_strndup (good, cut);

      assert_refused (verifier, part, "Invalid token");
    }
}

/* Whatever single character changes, also to one libb64 would pass over, the token is refused */
static void
test_changed_characters (void)
{
  g_autoptr (ChoirVerifier) verifier = make_hmac_verifier ();
  g_autofree char *token = hmac_token (CLAIMS);

  for (char *c = token; *c != '\0'; c++)
    {
      static const char others[] = "A_.=+/ \n\x01\xff";
      char original = *c;

      for (const char *other = others; *other != '\0'; other++)
        {
          if (*other == original)
            continue;
          *c = *other;
          assert_refused (verifier, token, "Invalid token");
        }
      *c = original;
    }
  assert_accepted (verifier, token);
}

static void
test_wrong_keys (void)
{
  g_autoptr (ChoirVerifier) hmac = make_hmac_verifier ();
  g_autoptr (ChoirVerifier) elliptic = make_verifier ("ES256:a:p256.pub", NULL, NULL);
  g_autoptr (ChoirVerifier) two = make_verifier ("ES256:a:p256.pub", "ES256:b:p256b.pub", NULL);
  g_autofree char *guessed = choir_forge_token (G_CHECKSUM_SHA256, "secret", 6,
                                                "{\"alg\":\"HS256\"}", CLAIMS, strlen (CLAIMS));
  g_autofree char *keyless =
    choir_forge_token (G_CHECKSUM_SHA256, "", 0, "{\"alg\":\"HS256\"}", CLAIMS, strlen (CLAIMS));
  g_autofree char *unnamed = issue (JWT_ALG_ES256, "p256b", NULL, CLAIMS);
  g_autofree char *named = issue (JWT_ALG_ES256, "p256b", "b", CLAIMS);
  g_autofree char *misnamed = issue (JWT_ALG_ES256, "p256b", "a", CLAIMS);

  assert_refused (hmac, guessed, "Invalid token");
  assert_refused (hmac, keyless, "Invalid token");
  assert_refused (elliptic, unnamed, "Invalid token");
  assert_refused (elliptic, named, "Invalid token");
  assert_accepted (two, unnamed);
  assert_accepted (two, named);
  assert_refused (two, misnamed, "Invalid token");
}

/* Zero for r and s, an empty signature and a DER one: known holes of other verifiers */
static void
test_odd_signatures (void)
{
  static const guint8 zeros[64] = { 0 };
  static const guint8 der[] = { 0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01 };
  g_autoptr (ChoirVerifier) verifier = make_verifier ("ES256:a:p256.pub", NULL, NULL);
  g_autofree char *input = choir_forge_input ("{\"alg\":\"ES256\"}", CLAIMS, strlen (CLAIMS));
  g_autofree char *zero = choir_forge_base64url (zeros, sizeof zeros);
  g_autofree char *sequence = choir_forge_base64url (der, sizeof der);
  const char *const signatures[] = { "", "AA", zero, sequence };

  for (guint i = 0; i < G_N_ELEMENTS (signatures); i++)
    {
      g_autofree char *token = g_strconcat (input, ".", signatures[i], NULL);

      assert_refused (verifier, token, "Invalid token");
    }
}

static void
test_size (void)
{
  g_autoptr (ChoirVerifier) verifier = make_hmac_verifier ();
  g_autofree char *filler = g_strnfill (6000, 'x');
  g_autofree char *large =
    g_strdup_printf ("{\"sub\":\"user-1\",\"exp\":1700000600,\"x\":\"%s\"}", filler);
  g_autofree char *too_large =
    g_strdup_printf ("{\"sub\":\"user-1\",\"exp\":1700000600,\"x\":\"%s%s\"}", filler, filler);
  g_autofree char *fits = hmac_token (large);
  g_autofree char *over = hmac_token (too_large);
  g_autofree char *huge = g_strnfill (1000000, 'A');

  g_assert_cmpuint (strlen (fits), <=, CHOIR_TOKEN_MAX);
  g_assert_cmpuint (strlen (over), >, CHOIR_TOKEN_MAX);
  assert_accepted (verifier, fits);
  assert_refused (verifier, over, "Invalid token");
  assert_refused (verifier, huge, "Invalid token");
}

typedef struct
{
  const char *claims;
  const char *message; /* NULL: accepted */
} ClaimsRow;

static void
check_claims_rows (const ChoirVerifierPolicy *policy, const ClaimsRow *table, guint n)
{
  g_autoptr (ChoirVerifier) verifier = make_verifier ("HS256:main:secret", NULL, policy);

  for (guint i = 0; i < n; i++)
    {
      g_autofree char *token = hmac_token (table[i].claims);

      g_test_message ("%s", table[i].claims);
      if (table[i].message == NULL)
        assert_accepted (verifier, token);
      else
        assert_refused (verifier, token, table[i].message);
    }
}

/* The leeway is 30 s */
static void
test_times (void)
{
  static const ClaimsRow table[] = {
    { "{\"sub\":\"user-1\",\"exp\":1700000001}", NULL },
    { "{\"sub\":\"user-1\",\"exp\":1699999971}", NULL },
    { "{\"sub\":\"user-1\",\"exp\":1699999970.5}", NULL },
    { "{\"sub\":\"user-1\",\"exp\":1699999970}", "Token expired" },
    { "{\"sub\":\"user-1\",\"exp\":1}", "Token expired" },
    { "{\"sub\":\"user-1\",\"exp\":0}", "Token expired" },
    { "{\"sub\":\"user-1\",\"exp\":-1}", "Token expired" },
    { "{\"sub\":\"user-1\",\"exp\":-9223372036854775808}", "Token expired" },
    { "{\"sub\":\"user-1\",\"exp\":-1e300}", "Token expired" },
    { "{\"sub\":\"user-1\",\"exp\":1e300}", NULL },
    { "{\"sub\":\"user-1\",\"exp\":9223372036854775807}", NULL },
    { "{\"sub\":\"user-1\",\"exp\":9223372036854775808}", "Invalid token" },
    { "{\"sub\":\"user-1\",\"exp\":1e400}", "Invalid token" },
    { "{\"sub\":\"user-1\",\"exp\":\"1700000600\"}", "Invalid token: claim exp is not a number" },
    { "{\"sub\":\"user-1\",\"exp\":null}", "Invalid token: claim exp is not a number" },
    { "{\"sub\":\"user-1\"}", "Invalid token: claim exp is missing" },
    { "{\"sub\":\"user-1\",\"exp\":1700000600,\"nbf\":1700000030}", NULL },
    { "{\"sub\":\"user-1\",\"exp\":1700000600,\"nbf\":1700000031}",
      "Invalid token: not valid yet" },
    { "{\"sub\":\"user-1\",\"exp\":1700000600,\"nbf\":1e300}", "Invalid token: not valid yet" },
    { "{\"sub\":\"user-1\",\"exp\":1700000600,\"nbf\":-1e300}", NULL },
    { "{\"sub\":\"user-1\",\"exp\":1700000600,\"nbf\":[]}",
      "Invalid token: claim nbf is not a number" },
    { "{\"sub\":\"user-1\",\"exp\":1700000600,\"iat\":1700000030}", NULL },
    { "{\"sub\":\"user-1\",\"exp\":1700000600,\"iat\":1700000031}",
      "Invalid token: not valid yet" },
    { "{\"sub\":\"user-1\",\"exp\":1700000600,\"iat\":\"now\"}",
      "Invalid token: claim iat is not a number" },
  };

  check_claims_rows (NULL, table, G_N_ELEMENTS (table));
}

static void
test_parties (void)
{
  static const ClaimsRow table[] = {
    { "{\"sub\":\"user-1\",\"iss\":\"idp\",\"aud\":\"choir\"}", NULL },
    { "{\"sub\":\"user-1\",\"iss\":\"idp\",\"aud\":[\"x\",\"choir\"]}", NULL },
    { "{\"sub\":\"user-1\",\"iss\":\"idp\",\"aud\":[7,\"choir\"]}", NULL },
    { "{\"sub\":\"user-1\",\"iss\":\"idp\",\"aud\":[]}", "Invalid token: for another audience" },
    { "{\"sub\":\"user-1\",\"iss\":\"idp\",\"aud\":[[\"choir\"]]}",
      "Invalid token: for another audience" },
    { "{\"sub\":\"user-1\",\"iss\":\"idp\",\"aud\":{\"choir\":1}}",
      "Invalid token: for another audience" },
    { "{\"sub\":\"user-1\",\"iss\":\"idp\",\"aud\":\"choir2\"}",
      "Invalid token: for another audience" },
    { "{\"sub\":\"user-1\",\"iss\":\"idp\",\"aud\":null}", "Invalid token: for another audience" },
    { "{\"sub\":\"user-1\",\"iss\":\"idp\"}", "Invalid token: for another audience" },
    { "{\"sub\":\"user-1\",\"aud\":\"choir\"}", "Invalid token: from another issuer" },
    { "{\"sub\":\"user-1\",\"iss\":\"IDP\",\"aud\":\"choir\"}",
      "Invalid token: from another issuer" },
    { "{\"sub\":\"user-1\",\"iss\":[\"idp\"],\"aud\":\"choir\"}",
      "Invalid token: from another issuer" },
  };
  static const ClaimsRow unchecked[] = { { "{\"sub\":\"user-1\",\"iss\":\"any\",\"aud\":\"any\"}",
                                           NULL } };
  const ChoirVerifierPolicy policy = { .issuer = "idp", .audience = "choir" };
  const ChoirVerifierPolicy empty = { .issuer = "", .audience = "" };

  check_claims_rows (&policy, table, G_N_ELEMENTS (table));
  check_claims_rows (&empty, unchecked, G_N_ELEMENTS (unchecked));
}

static void
test_subjects (void)
{
  static const ClaimsRow table[] = {
    { "{\"exp\":1700000600}", "Invalid token: claim sub is missing" },
    { "{\"sub\":7,\"exp\":1700000600}", "Invalid token: claim sub is not a user id" },
    { "{\"sub\":\"\",\"exp\":1700000600}", "Invalid token: claim sub is not a user id" },
    { "{\"sub\":\"user-1\",\"sub\":\"root\",\"exp\":1700000600}", "Invalid token" },
    { "{\"sub\":\"user-1\\u0000root\",\"exp\":1700000600}", "Invalid token" },
    { "[\"user-1\"]", "Invalid token" },
  };
  static const char with_nul[] = CLAIMS "\0{\"sub\":\"root\"}";
  g_autofree char *token = hmac_token_full ("{\"alg\":\"HS256\"}", with_nul, sizeof with_nul - 1);
  g_autoptr (ChoirVerifier) verifier = make_hmac_verifier ();

  check_claims_rows (NULL, table, G_N_ELEMENTS (table));
  assert_refused (verifier, token, "Invalid token");
}

/* The same token expires while it is remembered */
static void
test_expiry_of_remembered (void)
{
  g_autoptr (ChoirVerifier) verifier = make_verifier ("ES256:a:p256.pub", NULL, NULL);
  g_autofree char *token = issue (JWT_ALG_ES256, "p256", NULL, CLAIMS);
  g_autoptr (ChoirClaims) first = verify (verifier, token, NULL);
  g_autoptr (ChoirClaims) second = NULL;

  g_assert_cmpint (choir_verifier_try (verifier, token, &second, NULL), ==, CHOIR_VERIFY_OK);
  g_assert_true (first == second);
  choir_clock_advance (629 * G_USEC_PER_SEC);
  assert_accepted (verifier, token);
  choir_clock_advance (G_USEC_PER_SEC);
  assert_refused (verifier, token, "Token expired");
  g_assert_cmpuint (choir_verifier_get_n_remembered (verifier), ==, 0);
  assert_refused (verifier, token, "Token expired");
  g_assert_cmpuint (choir_verifier_get_n_remembered (verifier), ==, 0);
  choir_clock_freeze (0, NOW_S * G_USEC_PER_SEC);
}

static gboolean
judge_cb (const ChoirClaims *claims, gpointer user_data, GError **error)
{
  const gboolean *against = user_data;

  g_assert_cmpstr (choir_claims_get_user_id (claims), ==, "user-1");
  if (!*against)
    return TRUE;

  g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_BLOCKED, "Blocked");

  return FALSE;
}

/* A good token is refused however it is looked at, remembered or not, and as soon as the judge says
 * so; one that is bad is not shown to the judge */
static void
test_judge (void)
{
  static const char *const specs[] = { "ES256:a:p256.pub", "HS256:main:secret" };
  static const jwt_alg_t algorithms[] = { JWT_ALG_ES256, JWT_ALG_HS256 };
  static const char *const keys[] = { "p256", NULL };

  for (guint i = 0; i < G_N_ELEMENTS (specs); i++)
    {
      g_autoptr (ChoirVerifier) verifier = make_verifier (specs[i], NULL, NULL);
      g_autofree char *token = issue (algorithms[i], keys[i], NULL, CLAIMS);
      gboolean against = TRUE;
      g_autoptr (GError) error = NULL;

      choir_verifier_set_judge (verifier, judge_cb, &against);
      g_assert_null (verify (verifier, token, &error));
      g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_BLOCKED);
      assert_refused (verifier, "x.y.z", "Invalid token");
      g_clear_error (&error);

      against = FALSE;
      assert_accepted (verifier, token);
      against = TRUE;
      g_assert_null (verify (verifier, token, &error));
      g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_BLOCKED);
      choir_verifier_set_judge (verifier, NULL, NULL);
      assert_accepted (verifier, token);
    }
}

static void
test_cache (void)
{
  g_autoptr (ChoirTokenCache) cache = choir_token_cache_new (3);
  g_autoptr (ChoirClaims) claims = choir_claims_new_guest ("g");
  g_autoptr (ChoirClaims) newer = choir_claims_new_guest ("h");

  choir_token_cache_add (cache, "a", claims);
  choir_token_cache_add (cache, "b", claims);
  choir_token_cache_add (cache, "c", claims);
  g_assert_true (choir_token_cache_lookup (cache, "a") == claims);
  g_assert_null (choir_token_cache_lookup (cache, "d"));

  /* known again, so the youngest, and with the newer claims */
  choir_token_cache_add (cache, "a", newer);
  g_assert_cmpuint (choir_token_cache_get_length (cache), ==, 3);
  choir_token_cache_add (cache, "d", claims);
  g_assert_cmpuint (choir_token_cache_get_length (cache), ==, 3);
  g_assert_null (choir_token_cache_lookup (cache, "b"));
  g_assert_true (choir_token_cache_lookup (cache, "a") == newer);

  choir_token_cache_remove (cache, "c");
  choir_token_cache_remove (cache, "c");
  g_assert_cmpuint (choir_token_cache_get_length (cache), ==, 2);
  choir_token_cache_remove_all (cache);
  g_assert_cmpuint (choir_token_cache_get_length (cache), ==, 0);
  g_assert_null (choir_token_cache_lookup (cache, "a"));
  choir_token_cache_add (cache, "a", claims);
  g_assert_cmpuint (choir_token_cache_get_length (cache), ==, 1);
}

static void
test_configure (void)
{
  const char *const specs[] = { "ES256:b:p256b.pub", NULL };
  g_autoptr (ChoirKeySet) others = load_keys (specs);
  const ChoirVerifierPolicy policy = { 0 };
  g_autoptr (ChoirVerifier) verifier = make_verifier ("ES256:a:p256.pub", NULL, NULL);
  g_autofree char *token = issue (JWT_ALG_ES256, "p256", NULL, CLAIMS);
  g_autofree char *new_token = issue (JWT_ALG_ES256, "p256b", NULL, CLAIMS);
  g_autoptr (GError) error = NULL;
  GAsyncResult *result = NULL;

  assert_accepted (verifier, token);
  g_assert_cmpuint (choir_verifier_get_n_remembered (verifier), ==, 1);
  choir_verifier_verify_async (verifier, token, NULL, on_verified, &result);
  choir_verifier_configure (verifier, others, &policy);
  g_assert_cmpuint (choir_verifier_get_n_remembered (verifier), ==, 0);

  /* begun under the old keys, judged by the new */
  g_assert_null (wait_for (verifier, &result, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_AUTH);
  g_assert_cmpuint (choir_verifier_get_n_remembered (verifier), ==, 0);
  assert_refused (verifier, token, "Invalid token");
  assert_accepted (verifier, new_token);
}

#define N_PARALLEL 40

static void
test_parallel (void)
{
  g_autoptr (ChoirVerifier) verifier = make_verifier ("RS256:a:rsa.pub", NULL, NULL);
  g_autofree char *good = issue (JWT_ALG_RS256, "rsa", NULL, CLAIMS);
  g_autofree char *bad = g_strdup (good);
  GAsyncResult *results[N_PARALLEL] = { NULL };
  GCancellable *cancellables[N_PARALLEL];

  /* a character in the middle of the signature */
  bad[strlen (bad) - 20] = bad[strlen (bad) - 20] == 'A' ? 'B' : 'A';
  for (guint i = 0; i < N_PARALLEL; i++)
    {
      cancellables[i] = g_cancellable_new ();
      choir_verifier_verify_async (verifier, i % 4 == 1 ? bad : good, cancellables[i], on_verified,
                                   &results[i]);
    }
  for (guint i = 0; i < N_PARALLEL; i += 2)
    {
      if (i % 4 == 0)
        g_cancellable_cancel (cancellables[i]);
    }
  for (guint i = 0; i < N_PARALLEL; i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (ChoirClaims) claims = wait_for (verifier, &results[i], &error);

      if (i % 4 == 0)
        g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      else if (i % 4 == 1)
        g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_AUTH);
      else
        g_assert_no_error (error);
      g_assert_true ((claims != NULL) == (i % 4 > 1));
      g_object_unref (cancellables[i]);
    }
  g_assert_cmpuint (choir_verifier_get_n_remembered (verifier), ==, 1);
}

/* Waiting verifications are bounded; the verifier may go while they run */
static void
test_too_many_pending (void)
{
  enum
  {
    N = 1024 + 1
  };
  ChoirVerifier *verifier = make_verifier ("RS256:a:rsa.pub", NULL, NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autofree GAsyncResult **results = g_new0 (GAsyncResult *, N);
  g_autofree char *token = issue (JWT_ALG_RS256, "rsa", NULL, CLAIMS);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < N; i++)
    choir_verifier_verify_async (verifier, token, i < N - 1 ? cancellable : NULL, on_verified,
                                 &results[i]);
  g_cancellable_cancel (cancellable);
  g_assert_null (wait_for (verifier, &results[N - 1], &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE);
  g_object_add_weak_pointer (G_OBJECT (verifier), (gpointer *) &verifier);
  g_object_unref (verifier);
  g_assert_nonnull (verifier);
  for (guint i = 0; i < N - 1; i++)
    {
      while (results[i] == NULL)
        g_main_context_iteration (NULL, TRUE);
      g_clear_object (&results[i]);
    }
  while (verifier != NULL)
    g_main_context_iteration (NULL, TRUE);
}

static void
test_mint (void)
{
  g_autoptr (ChoirVerifier) verifier =
    make_verifier ("ES256:idp:p256.pub", "HS512:main:secret", NULL);
  g_autoptr (ChoirVerifier) keyless = make_verifier ("ES256:idp:p256.pub", NULL, NULL);
  g_autofree char *filler = g_strnfill (7000, 'x');
  g_autofree char *large = g_strdup_printf ("{\"sub\":\"user-1\",\"x\":\"%s\"}", filler);
  g_autoptr (GError) error = NULL;
  g_autofree char *token = choir_verifier_mint (verifier, CLAIMS, &error);

  g_assert_no_error (error);
  assert_accepted (verifier, token);
  g_assert_null (choir_verifier_mint (keyless, CLAIMS, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
  g_clear_error (&error);
  g_assert_null (choir_verifier_mint (verifier, "{\"sub\":", &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_INVALID_JSON);
  g_clear_error (&error);
  g_assert_null (choir_verifier_mint (verifier, "[]", &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_INVALID_JSON);
  g_clear_error (&error);
  g_assert_null (choir_verifier_mint (verifier, large, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_TOO_LARGE);
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  make_keys ();
  choir_clock_freeze (0, NOW_S * G_USEC_PER_SEC);
  g_test_add_func ("/verifier/all-algorithms", test_all_algorithms);
  g_test_add_func ("/verifier/other-algorithms", test_other_algorithms);
  g_test_add_func ("/verifier/public-key-as-secret", test_public_key_as_secret);
  g_test_add_func ("/verifier/no-signature", test_no_signature);
  g_test_add_func ("/verifier/headers", test_headers);
  g_test_add_func ("/verifier/shapes", test_shapes);
  g_test_add_func ("/verifier/changed-characters", test_changed_characters);
  g_test_add_func ("/verifier/wrong-keys", test_wrong_keys);
  g_test_add_func ("/verifier/odd-signatures", test_odd_signatures);
  g_test_add_func ("/verifier/size", test_size);
  g_test_add_func ("/verifier/times", test_times);
  g_test_add_func ("/verifier/parties", test_parties);
  g_test_add_func ("/verifier/subjects", test_subjects);
  g_test_add_func ("/verifier/expiry-of-remembered", test_expiry_of_remembered);
  g_test_add_func ("/verifier/judge", test_judge);
  g_test_add_func ("/verifier/cache", test_cache);
  g_test_add_func ("/verifier/configure", test_configure);
  g_test_add_func ("/verifier/parallel", test_parallel);
  g_test_add_func ("/verifier/too-many-pending", test_too_many_pending);
  g_test_add_func ("/verifier/mint", test_mint);
  status = g_test_run ();
  choir_clock_thaw ();
  remove_keys ();
  return status;
}
