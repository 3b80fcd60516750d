/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-token-command.h"

#include "choir-clock.h"
#include "choir-config.h"
#include "choir-id.h"
#include "choir-json-gate.h"
#include "choir-keys.h"
#include "choir-names.h"
#include "choir-permissions.h"

#include <glib/gi18n.h>
#include <string.h>

static char *opt_config;
static char **opt_sets;
static char *opt_sub;
static char **opt_permissions;
static char **opt_roles;
static char *opt_ttl;
static char *opt_type;
static char *opt_name;

static const GOptionEntry entries[] = {
  { "config", 0, 0, G_OPTION_ARG_FILENAME, &opt_config, N_ ("Read only this configuration file"),
    N_ ("FILE") },
  { "set", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opt_sets, N_ ("Set one key"),
    N_ ("SECTION.KEY=VALUE") },
  { "sub", 0, 0, G_OPTION_ARG_STRING, &opt_sub, N_ ("The user the token is for"), N_ ("USER") },
  { "permission", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opt_permissions,
    N_ ("A permission, as in chat:*:write"), N_ ("PERMISSION") },
  { "role", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opt_roles, N_ ("A role"), N_ ("ROLE") },
  { "ttl", 0, 0, G_OPTION_ARG_STRING, &opt_ttl, N_ ("How long it is valid (default: 1h)"),
    N_ ("TIME") },
  { "type", 0, 0, G_OPTION_ARG_STRING, &opt_type, N_ ("The claim “type” (default: access)"),
    N_ ("TYPE") },
  { "name", 0, 0, G_OPTION_ARG_STRING, &opt_name, N_ ("The name others see"), N_ ("NAME") },
  G_OPTION_ENTRY_NULL,
};

static void
append_list (GString *claims, const char *key, char **values)
{
  if (values == NULL)
    return;

  g_string_append_printf (claims, ",\"%s\":[", key);
  for (char **value = values; *value != NULL; value++)
    {
      if (value != values)
        g_string_append_c (claims, ',');
      choir_json_append_string (claims, *value, -1);
    }
  g_string_append_c (claims, ']');
}

static void
append_text (GString *claims, const char *key, const char *value)
{
  if (value == NULL || *value == '\0')
    return;

  g_string_append_printf (claims, ",\"%s\":", key);
  choir_json_append_string (claims, value, -1);
}

static char *
make_claims (ChoirConfig *config, gint64 ttl_us)
{
  GString *claims = g_string_new ("{\"sub\":");
  gint64 now_s = choir_clock_wall_us () / G_USEC_PER_SEC;
  char id[CHOIR_ID_SIZE];

  choir_id_generate (id);
  choir_json_append_string (claims, opt_sub, -1);
  append_text (claims, "iss", choir_config_get_string (config, "auth", "issuer"));
  append_text (claims, "aud", choir_config_get_string (config, "auth", "audience"));
  append_text (claims, "type", opt_type != NULL ? opt_type : "access");
  append_text (claims, "name", opt_name);
  append_text (claims, "jti", id);
  append_list (claims, "roles", opt_roles);
  append_list (claims, "permissions", opt_permissions);
  g_string_append_printf (claims, ",\"iat\":%" G_GINT64_FORMAT ",\"exp\":%" G_GINT64_FORMAT "}",
                          now_s, now_s + ttl_us / G_USEC_PER_SEC);

  return g_string_free (claims, FALSE);
}

static gboolean
check_options (gint64 *ttl_us, GError **error)
{
  if (opt_sub == NULL || !choir_name_is_user (opt_sub, strlen (opt_sub)))
    {
      g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                           _ ("--sub USER is needed: 1-250 printable ASCII characters without "
                              "spaces"));
      return FALSE;
    }

  for (char **p = opt_permissions; p != NULL && *p != NULL; p++)
    if (!choir_permission_is_valid (*p))
      {
        g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                     _ ("“%s” is no permission: NAMESPACE:ID:read, :write or :*"), *p);
        return FALSE;
      }

  return choir_config_parse_duration (opt_ttl != NULL ? opt_ttl : "1h", ttl_us, error);
}

static char *
mint (GError **error)
{
  g_autoptr (ChoirConfig) config = choir_config_new ();
  g_auto (GStrv) environment = g_get_environ ();
  g_autoptr (ChoirVerifier) verifier = NULL;
  g_autofree char *claims = NULL;
  gint64 ttl_us;

  if (!check_options (&ttl_us, error) ||
      !choir_config_load (config, opt_config, (const char *const *) environment,
                          (const char *const *) opt_sets, error))
    return NULL;

  verifier = choir_keys_load (config, error);
  if (verifier == NULL)
    return NULL;

  claims = make_claims (config, ttl_us);

  return choir_verifier_mint (verifier, claims, error);
}

/**
 * choir_token_command:
 * @argc: number of arguments, the first of which is ignored
 * @argv: the arguments
 *
 * Signs a token with the first configured HMAC key and prints it.
 *
 * Returns: exit status
 */
int
choir_token_command (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new (_ ("- make a token"));
  g_autoptr (GError) error = NULL;
  g_autofree char *token = NULL;

  g_option_context_add_main_entries (context, entries, GETTEXT_PACKAGE);
  if (g_option_context_parse (context, &argc, &argv, &error) && argc > 1)
    g_set_error (&error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                 _ ("“%s” belongs to no option; what has * in it needs quotes"), argv[1]);
  else if (error == NULL)
    token = mint (&error);

  if (token == NULL)
    {
      g_printerr ("choird token: %s\n", error->message);
      return 1;
    }

  g_print ("%s\n", token);

  return 0;
}
