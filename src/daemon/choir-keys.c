/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-keys.h"

#include "choir-error.h"

static ChoirKeySet *
load_key_set (ChoirConfig *config, GError **error)
{
  g_autoptr (ChoirKeySet) keys =
    choir_key_set_new_from_specs (choir_config_get_list (config, "auth", "key"), error);

  if (keys == NULL)
    return NULL;

  if (choir_key_set_get_n_keys (keys) == 0 &&
      choir_config_get_boolean (config, "auth", "require-auth"))
    {
      g_set_error_literal (
        error, CHOIR_ERROR, CHOIR_ERROR_CONFIG,
        "[auth] key is empty: nobody could connect. Name a key, as in "
        "key=HS256:main:/etc/choir/hs256.key, or set require-auth=no on purpose");
      return NULL;
    }

  return g_steal_pointer (&keys);
}

static ChoirVerifierPolicy
read_policy (ChoirConfig *config)
{
  return (ChoirVerifierPolicy){
    .issuer = choir_config_get_string (config, "auth", "issuer"),
    .audience = choir_config_get_string (config, "auth", "audience"),
    .leeway_us = choir_config_get_duration_us (config, "auth", "leeway"),
    .required_claims = choir_config_get_list (config, "auth", "required-claims"),
  };
}

/**
 * choir_keys_load:
 * @config: the configuration
 * @error: return location: %CHOIR_ERROR_CONFIG
 *
 * Returns: (transfer full): a verifier with the configured keys, or %NULL
 */
ChoirVerifier *
choir_keys_load (ChoirConfig *config, GError **error)
{
  g_autoptr (ChoirKeySet) keys = load_key_set (config, error);
  ChoirVerifierPolicy policy = read_policy (config);

  return keys != NULL ? choir_verifier_new (keys, &policy) : NULL;
}

/**
 * choir_keys_reload:
 * @config: the configuration
 * @verifier: gets the keys
 * @error: return location: %CHOIR_ERROR_CONFIG
 *
 * Returns: %FALSE if they can't be used; the old ones stay
 */
gboolean
choir_keys_reload (ChoirConfig *config, ChoirVerifier *verifier, GError **error)
{
  g_autoptr (ChoirKeySet) keys = load_key_set (config, error);
  ChoirVerifierPolicy policy = read_policy (config);

  if (keys == NULL)
    return FALSE;

  choir_verifier_configure (verifier, keys, &policy);

  return TRUE;
}
