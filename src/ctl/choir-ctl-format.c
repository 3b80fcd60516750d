/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-ctl-format.h"

#include "choir-clock.h"

#include <glib/gi18n.h>

#define MINUTE 60
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/**
 * choir_ctl_format_bytes:
 * @bytes: a size
 *
 * Returns: (transfer full): it in the unit that suits, powers of 1024
 */
char *
choir_ctl_format_bytes (guint64 bytes)
{
  static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
  double value = (double) bytes;
  guint unit = 0;

  /* what would be rounded to 1024 belongs to the next unit */
  while (value >= 1023.95 && unit + 1 < G_N_ELEMENTS (units))
    {
      value /= 1024;
      unit++;
    }

  return g_strdup_printf (unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

/**
 * choir_ctl_format_span:
 * @span_s: seconds
 *
 * Returns: (transfer full): the two largest units of it, as in `3d 4h`
 */
char *
choir_ctl_format_span (guint64 span_s)
{
  if (span_s < MINUTE)
    return g_strdup_printf (_ ("%us"), (guint) span_s);
  if (span_s < HOUR)
    return g_strdup_printf (_ ("%umin %us"), (guint) (span_s / MINUTE), (guint) (span_s % MINUTE));
  if (span_s < DAY)
    return g_strdup_printf (_ ("%uh %umin"), (guint) (span_s / HOUR),
                            (guint) (span_s % HOUR / MINUTE));

  return g_strdup_printf (_ ("%ud %uh"), (guint) (span_s / DAY), (guint) (span_s % DAY / HOUR));
}

/**
 * choir_ctl_format_time:
 * @wall_us: microseconds since the epoch; 0: none
 *
 * Returns: (transfer full) (nullable): local date and time
 */
char *
choir_ctl_format_time (guint64 wall_us)
{
  g_autoptr (GDateTime) time =
    wall_us > 0 ? g_date_time_new_from_unix_local ((gint64) (wall_us / G_USEC_PER_SEC)) : NULL;

  return time != NULL ? g_date_time_format (time, "%Y-%m-%d %H:%M:%S") : NULL;
}

/**
 * choir_ctl_format_age:
 * @wall_us: microseconds since the epoch; 0: none
 *
 * Returns: (transfer full) (nullable): how long ago that was, by this host's clock
 */
char *
choir_ctl_format_age (guint64 wall_us)
{
  guint64 now_us = (guint64) choir_clock_wall_us ();

  if (wall_us == 0)
    return NULL;

  return choir_ctl_format_span (now_us > wall_us ? (now_us - wall_us) / G_USEC_PER_SEC : 0);
}

/**
 * choir_ctl_format_rate:
 * @per_s: how often in a second
 *
 * Returns: (transfer full): it with as many digits as tell something
 */
char *
choir_ctl_format_rate (double per_s)
{
  return g_strdup_printf (per_s >= 99.95 ? "%.0f/s" : "%.1f/s", per_s);
}

/**
 * choir_ctl_format_latency:
 * @span_us: microseconds
 *
 * Returns: (transfer full): it in µs, ms or s
 */
char *
choir_ctl_format_latency (double span_us)
{
  if (span_us < 999.5)
    return g_strdup_printf ("%.0f µs", span_us);
  if (span_us < 999.5 * 1000)
    return g_strdup_printf ("%.1f ms", span_us / 1000);

  return g_strdup_printf ("%.1f s", span_us / G_USEC_PER_SEC);
}

static guint64
get_unsigned (GVariant *value)
{
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_UINT32))
    return g_variant_get_uint32 (value);

  return g_variant_is_of_type (value, G_VARIANT_TYPE_UINT64) ? g_variant_get_uint64 (value) : 0;
}

static char *
format_text (GVariant *value)
{
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING) ||
      g_variant_is_of_type (value, G_VARIANT_TYPE_OBJECT_PATH))
    return g_variant_dup_string (value, NULL);

  return g_variant_print (value, FALSE);
}

/**
 * choir_ctl_format_member:
 * @dictionary: an `a{sv}`
 * @key: one of its keys
 * @kind: what is there
 *
 * Returns: (transfer full) (nullable): the value for people, not cleaned; %NULL if there is none
 */
char *
choir_ctl_format_member (GVariant *dictionary, const char *key, ChoirCtlKind kind)
{
  g_autoptr (GVariant) value = g_variant_lookup_value (dictionary, key, NULL);

  if (value == NULL)
    return NULL;

  switch (kind)
    {
    case CHOIR_CTL_COUNT:
      return g_strdup_printf ("%" G_GUINT64_FORMAT, get_unsigned (value));
    case CHOIR_CTL_BYTES:
      return choir_ctl_format_bytes (get_unsigned (value));
    case CHOIR_CTL_SPAN_S:
      return choir_ctl_format_span (get_unsigned (value));
    case CHOIR_CTL_AGE_US:
      return choir_ctl_format_age (get_unsigned (value));
    case CHOIR_CTL_TIME_US:
      return choir_ctl_format_time (get_unsigned (value));
    case CHOIR_CTL_FLAG:
      return g_strdup (g_variant_is_of_type (value, G_VARIANT_TYPE_BOOLEAN) &&
                           g_variant_get_boolean (value)
                         ? _ ("yes")
                         : _ ("no"));
    case CHOIR_CTL_TEXT:
    default:
      return format_text (value);
    }
}
