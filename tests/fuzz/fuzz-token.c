/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <glib/gstdio.h>
#include <stdint.h>
#include <unistd.h>

#include "../support/choir-forge.h"
#include "choir-error.h"
#include "choir-names.h"
#include "choir-verifier.h"

#define SECRET "0123456789abcdef0123456789abcdef"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static ChoirVerifier *
make_verifier (void)
{
  g_autofree char *file = NULL;
  g_autofree char *spec = NULL;
  int fd = g_file_open_tmp ("choir-fuzz-XXXXXX", &file, NULL);
  const ChoirVerifierPolicy policy = { .leeway_us = G_USEC_PER_SEC };
  g_autoptr (ChoirKeySet) keys = NULL;

  g_assert_cmpint (write (fd, SECRET, strlen (SECRET)), ==, strlen (SECRET));
  close (fd);
  spec = g_strconcat ("HS256:main:", file, NULL);
  keys = choir_key_set_new_from_specs ((const char *const[]){ spec, NULL }, NULL);
  g_assert_nonnull (keys);
  g_unlink (file);
  return choir_verifier_new (keys, &policy);
}

static char *
sign (const char *header, const char *payload, gsize len)
{
  return choir_forge_token (G_CHECKSUM_SHA256, SECRET, strlen (SECRET), header, payload, len);
}

/* The first byte says what the rest is: a token, the header or the payload of one that is signed
 * rightly. Only a good payload may pass, and what passes must make sense. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static ChoirVerifier *verifier;
  g_autoptr (ChoirClaims) claims = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;
  g_autofree char *token = NULL;
  ChoirVerifyResult result;

  if (size == 0)
    return 0;
  if (verifier == NULL)
    verifier = make_verifier ();
  text = g_strndup ((const char *) data + 1, size - 1);
  if (data[0] % 3 == 0)
    token = g_steal_pointer (&text);
  else if (data[0] % 3 == 1)
    token = sign (text, "{\"sub\":\"u\"}", strlen ("{\"sub\":\"u\"}"));
  else
    token = sign ("{\"alg\":\"HS256\"}", (const char *) data + 1, size - 1);

  result = choir_verifier_try (verifier, token, &claims, &error);
  g_assert_true (result != CHOIR_VERIFY_LATER);
  g_assert_true ((result == CHOIR_VERIFY_OK) == (claims != NULL));
  g_assert_true ((result == CHOIR_VERIFY_FAILED) == (error != NULL));
  if (claims == NULL)
    return 0;
  g_assert_true (choir_name_is_user (choir_claims_get_user_id (claims),
                                     strlen (choir_claims_get_user_id (claims))));
  g_assert_true (g_utf8_validate (choir_claims_get_name (claims), -1, NULL));
  choir_claims_has_role (claims, "no such role");
  choir_claims_allow (claims, "chat:1", CHOIR_PERMISSION_READ);
  return 0;
}
