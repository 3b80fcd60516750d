/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <string.h>

#include "choir-config-private.h"
#include "choir-error.h"
#include "choir-rate-limit.h"

/* The type of each key's text: what it means, and what is wrong with it */

typedef struct
{
  const char *suffix;
  gint64 factor;
} Unit;

static const Unit time_units[] = {
  { "ms", G_GINT64_CONSTANT (1000) },
  { "s", G_USEC_PER_SEC },
  { "m", 60 * (gint64) G_USEC_PER_SEC },
  { "h", 3600 * (gint64) G_USEC_PER_SEC },
};

static const Unit size_units[] = {
  { "", 1 },
  { "K", 1024 },
  { "M", 1024 * 1024 },
  { "G", 1024 * 1024 * 1024 },
};

static gboolean
parse_with_unit (const char *text, const Unit *units, guint n_units, gint64 *out)
{
  const char *end = text;
  gint64 value = 0;

  for (; g_ascii_isdigit (*end); end++)
    {
      if (__builtin_mul_overflow (value, 10, &value) ||
          __builtin_add_overflow (value, *end - '0', &value))
        return FALSE;
    }

  if (end == text)
    return FALSE;

  /* zero needs no unit */
  if (value == 0 && *end == '\0')
    {
      *out = 0;
      return TRUE;
    }

  for (guint i = 0; i < n_units; i++)
    {
      if (strcmp (end, units[i].suffix) == 0)
        return !__builtin_mul_overflow (value, units[i].factor, out);
    }

  return FALSE;
}

/**
 * choir_config_parse_duration:
 * @text: a whole number and its unit, "ms", "s", "m" or "h"; "0" needs none
 * @out_us: (out): microseconds
 * @error: return location for a #GError of %CHOIR_ERROR_CONFIG
 *
 * Returns: whether @text is one
 */
gboolean
choir_config_parse_duration (const char *text, gint64 *out_us, GError **error)
{
  if (parse_with_unit (text, time_units, G_N_ELEMENTS (time_units), out_us))
    return TRUE;

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG,
               "“%s” is not a time: it must be a number with ms, s, m or h, like 30s", text);
  return FALSE;
}

/**
 * choir_config_parse_size:
 * @text: a whole number of bytes, or of "K", "M" or "G" (powers of 1024)
 * @out_bytes: (out): bytes
 * @error: return location for a #GError of %CHOIR_ERROR_CONFIG
 *
 * Returns: whether @text is one
 */
gboolean
choir_config_parse_size (const char *text, guint64 *out_bytes, GError **error)
{
  gint64 bytes;

  if (parse_with_unit (text, size_units, G_N_ELEMENTS (size_units), &bytes))
    {
      *out_bytes = (guint64) bytes;
      return TRUE;
    }

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG,
               "“%s” is not a size: it must be a number, with K, M or G or alone, like 64K", text);
  return FALSE;
}

static gboolean
fail (GError **error, const char *text, const char *must_be)
{
  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "“%s” must be %s", text, must_be);
  return FALSE;
}

static gboolean
check_range (ChoirConfigValue *value, const char *unit, gint64 factor, GError **error)
{
  if (value->number >= value->key->min && value->number <= value->key->max)
    return TRUE;

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG,
               "“%s” must be from %" G_GINT64_FORMAT "%s to %" G_GINT64_FORMAT "%s", value->text,
               value->key->min / factor, unit, value->key->max / factor, unit);
  return FALSE;
}

static gboolean
parse_string (ChoirConfigValue *value, GError **error)
{
  const char *must_be = NULL;

  if ((gint64) strlen (value->text) > value->key->max)
    return fail (error, value->text, "shorter");

  if (*value->text != '\0' && value->key->check != NULL)
    must_be = value->key->check (value->text);

  return must_be == NULL || fail (error, value->text, must_be);
}

static gboolean
parse_list (ChoirConfigValue *value, GError **error)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_auto (GStrv) items = g_strsplit (value->text, ";", -1);
  gint64 n = 0;

  for (guint i = 0; items[i] != NULL; i++)
    {
      const char *item = g_strstrip (items[i]);
      const char *must_be = NULL;

      if (*item == '\0')
        continue;

      if (++n > value->key->max)
        return fail (error, item, "left out: the list is too long");

      if (value->key->check != NULL)
        must_be = value->key->check (item);
      if (must_be != NULL)
        return fail (error, item, must_be);

      g_strv_builder_add (builder, item);
    }

  value->list = g_strv_builder_end (builder);
  return TRUE;
}

static gboolean
parse_boolean (ChoirConfigValue *value, GError **error)
{
  static const char *const names[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      if (g_ascii_strcasecmp (value->text, names[i]) == 0)
        {
          value->number = i % 2;
          return TRUE;
        }
    }

  return fail (error, value->text, "yes or no");
}

static gboolean
parse_uint (ChoirConfigValue *value, GError **error)
{
  const Unit none = { "", 1 };

  if (!parse_with_unit (value->text, &none, 1, &value->number))
    return fail (error, value->text, "a whole number");

  return check_range (value, "", 1, error);
}

static gboolean
parse_size (ChoirConfigValue *value, GError **error)
{
  guint64 bytes;

  if (!choir_config_parse_size (value->text, &bytes, error))
    return FALSE;

  value->number = (gint64) bytes;
  return check_range (value, "", 1, error);
}

static gboolean
parse_duration (ChoirConfigValue *value, GError **error)
{
  return choir_config_parse_duration (value->text, &value->number, error) &&
         check_range (value, "ms", 1000, error);
}

static gboolean
parse_choice (ChoirConfigValue *value, GError **error)
{
  g_auto (GStrv) choices = g_strsplit (value->key->choices, "|", -1);
  g_autofree char *all = NULL;
  /* a choice whose own default is empty means its first by that */
  const gboolean can_be_empty = value->key->value != NULL && *value->key->value == '\0';

  if (*value->text == '\0' && can_be_empty)
    return TRUE;

  for (guint i = 0; choices[i] != NULL; i++)
    {
      if (strcmp (choices[i], value->text) == 0)
        {
          value->number = i;
          return TRUE;
        }
    }

  all = g_strjoinv (", ", choices);
  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "“%s” must be one of %s", value->text, all);
  return FALSE;
}

static gboolean
parse_rate (ChoirConfigValue *value, GError **error)
{
  GError *rate_error = NULL;
  ChoirRateRule *rule = choir_rate_rule_parse (value->text, &rate_error);

  g_clear_pointer (&rule, choir_rate_rule_unref);

  if (rate_error == NULL)
    return TRUE;

  g_propagate_error (error, rate_error);
  return FALSE;
}

static gboolean
parse_value (ChoirConfigValue *value, GError **error)
{
  static gboolean (*const parsers[]) (ChoirConfigValue *, GError **) = {
    [CHOIR_CONFIG_STRING] = parse_string,   [CHOIR_CONFIG_LIST] = parse_list,
    [CHOIR_CONFIG_BOOLEAN] = parse_boolean, [CHOIR_CONFIG_UINT] = parse_uint,
    [CHOIR_CONFIG_SIZE] = parse_size,       [CHOIR_CONFIG_DURATION] = parse_duration,
    [CHOIR_CONFIG_CHOICE] = parse_choice,   [CHOIR_CONFIG_RATE] = parse_rate,
  };

  return parsers[value->key->type](value, error);
}

/**
 * choir_config_value_new:
 * @key: what it is a value of
 * @text: as written
 * @origin: where it was written
 * @error: return location for a #GError of %CHOIR_ERROR_CONFIG
 *
 * Returns: (transfer full) (nullable): the value; %NULL if @text is not one, and why in @error
 */
ChoirConfigValue *
choir_config_value_new (const ChoirConfigKey *key,
                        const char *text,
                        const char *origin,
                        GError **error)
{
  ChoirConfigValue *value = g_new0 (ChoirConfigValue, 1);

  value->key = key;
  value->text = g_strdup (text);
  value->origin = g_strdup (origin);

  if (parse_value (value, error))
    return value;

  choir_config_value_free (value);
  return NULL;
}

/**
 * choir_config_value_free:
 * @value: (transfer full): a value
 */
void
choir_config_value_free (ChoirConfigValue *value)
{
  g_strfreev (value->list);
  g_free (value->origin);
  g_free (value->text);
  g_free (value);
}
