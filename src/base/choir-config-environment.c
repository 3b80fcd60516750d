/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <string.h>

#include "choir-config-private.h"
#include "choir-error.h"

/* The environment: CHOIR_SECTION_KEY, CHOIR_SECTION_INSTANCE_KEY, and the names of contract B */

#define PREFIX "CHOIR_"

/* names of other programs of the project, and of where files are */
static const char *const reserved[] = { "CHOIR_CONFIG_", "CHOIR_TEST_", "CHOIR_CTL_" };

/* max-connections -> MAX_CONNECTIONS */
static char *
to_environment_name (const char *name)
{
  char *upper = g_ascii_strup (name, -1);

  return g_strdelimit (upper, "-. ", '_');
}

/* AGENT_STATUS -> agent-status */
static char *
to_instance_name (const char *name, gsize len)
{
  char *lower = g_ascii_strdown (name, (gssize) len);

  return g_strdelimit (lower, "_", '-');
}

/* The rest of @name after @section and "_"; NULL if it is not of that section */
static const char *
skip_section (const char *name, const char *section)
{
  g_autofree char *upper = to_environment_name (section);
  const gsize len = strlen (upper);

  return g_str_has_prefix (name, upper) && name[len] == '_' ? name + len + 1 : NULL;
}

/* How many bytes of @rest an instance's name takes before "_" and @key; 0 if it does not end so */
static gsize
get_instance_length (const char *rest, const char *key)
{
  g_autofree char *upper = to_environment_name (key);
  const gsize rest_len = strlen (rest);
  const gsize key_len = strlen (upper) + 1;

  if (rest_len <= key_len || rest[rest_len - key_len] != '_' || !g_str_has_suffix (rest, upper))
    return 0;

  return rest_len - key_len;
}

static gboolean
is_key (const char *rest, const char *key)
{
  g_autofree char *upper = to_environment_name (key);

  return strcmp (rest, upper) == 0;
}

typedef struct
{
  char *group; /* (owned) (nullable) */
  const ChoirConfigKey *key;
} Target;

/* CHAT_HISTORY_SIZE is about the instance whose name leaves the longest key */
static void
find_instance_target (const char *name, Target *out)
{
  guint n;
  const ChoirConfigKey *keys = choir_config_table_get_keys (&n);
  gsize shortest = G_MAXSIZE;

  for (guint i = 0; i < n; i++)
    {
      const char *rest = skip_section (name, keys[i].section);
      gsize len;

      if (rest == NULL || !choir_config_table_has_instances (keys[i].section))
        continue;

      len = get_instance_length (rest, keys[i].key);

      if (len > 0 && len < shortest)
        {
          g_autofree char *instance = to_instance_name (rest, len);

          shortest = len;
          g_free (out->group);
          out->group = g_strdup_printf ("%s %s", keys[i].section, instance);
          out->key = &keys[i];
        }
    }
}

/* @name is without the prefix */
static gboolean
find_target (const char *name, Target *out)
{
  guint n;
  const ChoirConfigKey *keys = choir_config_table_get_keys (&n);

  for (guint i = 0; i < n; i++)
    {
      const char *rest = skip_section (name, keys[i].section);

      if (rest != NULL && strcmp (keys[i].section, "dialect") != 0 && is_key (rest, keys[i].key))
        {
          out->group = g_strdup (keys[i].section);
          out->key = &keys[i];
          return TRUE;
        }
    }

  find_instance_target (name, out);
  return out->key != NULL;
}

static gboolean
is_reserved (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (reserved); i++)
    {
      if (g_str_has_prefix (name, reserved[i]))
        return TRUE;
    }

  return FALSE;
}

static gboolean
read_own (GHashTable *values, const char *name, const char *text, GError **error)
{
  g_autofree char *origin = g_strdup_printf ("environment %s", name);
  g_autofree char *group = NULL;
  Target target = { NULL, NULL };

  if (!find_target (name + strlen (PREFIX), &target))
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG,
                   "There is no such setting; it must be CHOIR_SECTION_KEY");
      return FALSE;
    }

  group = target.group;
  return choir_config_values_set (values, group, target.key->key, text, origin, error);
}

/* Contract B */

typedef gboolean (*ForeignReader) (GHashTable *values,
                                   const char *text,
                                   const char *origin,
                                   GError **error);

static gboolean
read_origins (GHashTable *values, const char *text, const char *origin, GError **error)
{
  static const char *const keys[] = { "allowed", "allowed-staging", "allowed-production" };
  g_autofree char *list = g_strdelimit (g_strdup (text), ",", ';');

  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    {
      if (!choir_config_values_set (values, "origin", keys[i], list, origin, error))
        return FALSE;
    }

  return TRUE;
}

static gboolean
read_per_user (GHashTable *values, const char *text, const char *origin, GError **error)
{
  static const char key[] = "max-connections-per-user";

  return choir_config_values_set (values, "server", key, text, origin, error) &&
         choir_config_values_set (values, "dialect netra-spec", key, text, origin, error);
}

static gboolean
read_message_rate (GHashTable *values, const char *text, const char *origin, GError **error)
{
  g_autofree char *rate = g_strdup_printf ("%s/60s", text);

  return choir_config_values_set (values, "rate", "default", rate, origin, error) &&
         choir_config_values_set (values, "dialect netra-spec", "rate", rate, origin, error);
}

static gboolean
read_heartbeat (GHashTable *values, const char *text, const char *origin, GError **error)
{
  g_autofree char *duration = g_strdup_printf ("%sms", text);

  return choir_config_values_set (values, "protocol", "heartbeat-interval", duration, origin,
                                  error);
}

static gboolean
read_cors (GHashTable *values, const char *text, const char *origin, GError **error)
{
  return choir_config_values_set (values, "origin", "cors", text, origin, error);
}

static gboolean
read_require_auth (GHashTable *values, const char *text, const char *origin, GError **error)
{
  return choir_config_values_set (values, "auth", "require-auth", text, origin, error);
}

static gboolean
read_environment (GHashTable *values, const char *text, const char *origin, GError **error)
{
  return choir_config_values_set (values, "origin", "environment", text, origin, error);
}

static const struct
{
  const char *name;
  ForeignReader read;
} foreign[] = {
  { "WEBSOCKET_ALLOWED_ORIGINS", read_origins },
  { "WEBSOCKET_MAX_CONNECTIONS_PER_USER", read_per_user },
  { "WEBSOCKET_MAX_MESSAGE_RATE", read_message_rate },
  { "WEBSOCKET_HEARTBEAT_INTERVAL", read_heartbeat },
  { "WEBSOCKET_ENABLE_CORS", read_cors },
  { "WEBSOCKET_REQUIRE_AUTH", read_require_auth },
  { "ENVIRONMENT", read_environment },
};

static gboolean
read_foreign (GHashTable *values, const char *const *environ_list, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (foreign); i++)
    {
      const char *text = g_environ_getenv ((char **) environ_list, foreign[i].name);
      g_autofree char *origin = g_strdup_printf ("environment %s", foreign[i].name);

      /* deployments pass variables on that nobody has given a value */
      if (text == NULL || *text == '\0')
        continue;

      if (!g_utf8_validate (text, -1, NULL))
        {
          g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "%s: This is not UTF-8", origin);
          return FALSE;
        }

      if (!foreign[i].read (values, text, origin, error))
        {
          g_prefix_error (error, "%s: ", origin);
          return FALSE;
        }
    }

  return TRUE;
}

static gboolean
read_variable (GHashTable *values, const char *variable, GError **error)
{
  const char *equals = strchr (variable, '=');
  g_autofree char *name = NULL;

  if (!g_str_has_prefix (variable, PREFIX) || equals == NULL || is_reserved (variable))
    return TRUE;

  name = g_strndup (variable, (gsize) (equals - variable));

  if (!g_utf8_validate (variable, -1, NULL))
    {
      g_autofree char *valid = g_utf8_make_valid (name, -1);

      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "environment %s: This is not UTF-8",
                   valid);
      return FALSE;
    }

  if (read_own (values, name, equals + 1, error))
    return TRUE;

  g_prefix_error (error, "environment %s: ", name);
  return FALSE;
}

/**
 * choir_config_values_read_environ:
 * @values: (element-type utf8 ChoirConfigValue): the map
 * @environ_list: (nullable) (array zero-terminated=1): "NAME=value"
 * @error: return location for a #GError of %CHOIR_ERROR_CONFIG, "environment NAME: what"
 *
 * Our own names win over those of contract B. CHOIR_CONFIG_*, CHOIR_TEST_* and CHOIR_CTL_* are not
 * settings; every other CHOIR_* must be one.
 *
 * Returns: whether all were understood
 */
gboolean
choir_config_values_read_environ (GHashTable *values,
                                  const char *const *environ_list,
                                  GError **error)
{
  if (environ_list == NULL)
    return TRUE;

  if (!read_foreign (values, environ_list, error))
    return FALSE;

  for (guint i = 0; environ_list[i] != NULL; i++)
    {
      if (!read_variable (values, environ_list[i], error))
        return FALSE;
    }

  return TRUE;
}
