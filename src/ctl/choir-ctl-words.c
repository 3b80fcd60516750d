/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-ctl-words.h"

#include "choir-config.h"
#include "choir-ctl-error.h"

#include <gio/gio.h>
#include <gio/gunixinputstream.h>
#include <glib/gi18n.h>
#include <string.h>
#include <unistd.h>

/* More than the service takes, so that it is the service that says how much that is */
#define INPUT_MAX (1024 * 1024)

/* What settings know, and what choirctl itself prints: minutes as `min`, and days */
static gboolean
parse_duration (const char *text, gint64 *out_us)
{
  g_autofree char *plain = g_strdup (text);
  gsize len = strlen (plain);
  gint64 factor = 1;
  gint64 us;

  if (g_str_has_suffix (plain, "min"))
    plain[len - 2] = '\0';
  else if (g_str_has_suffix (plain, "d"))
    {
      plain[len - 1] = 'h';
      factor = 24;
    }

  if (!choir_config_parse_duration (plain, &us, NULL) || us > G_MAXINT64 / factor)
    return FALSE;

  *out_us = us * factor;

  return TRUE;
}

/**
 * choir_ctl_word_duration:
 * @what: the option it was given with
 * @text: (nullable): the words, as in `30s`, `5min`, `2h`, `7d`; %NULL leaves @out_us as it is
 * @out_us: (inout): microseconds
 * @error: return location
 *
 * Returns: whether @text is a duration
 */
gboolean
choir_ctl_word_duration (const char *what, const char *text, gint64 *out_us, GError **error)
{
  if (text == NULL || parse_duration (text, out_us))
    return TRUE;

  g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE,
               _ ("%s: “%s” is no duration, as in 500ms, 30s, 5min, 2h or 7d"), what, text);

  return FALSE;
}

/* GLib wants all of it, down to the seconds */
static char *
complete_time (const char *text)
{
  gsize len = strlen (text);

  if (len == strlen ("2026-12-24"))
    return g_strconcat (text, "T00:00:00", NULL);
  if (len >= strlen ("2026-12-24T18:00") && text[strlen ("2026-12-24T18:00")] != ':')
    return g_strdup_printf ("%.16s:00%s", text, text + strlen ("2026-12-24T18:00"));

  return g_strdup (text);
}

/**
 * choir_ctl_word_time:
 * @what: the option it was given with
 * @text: (nullable): ISO 8601, `2026-12-24` or `2026-12-24T18:00`, local time unless it ends with a
 *   zone; %NULL leaves @out_us as it is
 * @out_us: (inout): microseconds since the epoch
 * @error: return location
 *
 * Returns: whether @text is a time
 */
gboolean
choir_ctl_word_time (const char *what, const char *text, gint64 *out_us, GError **error)
{
  g_autoptr (GTimeZone) local = g_time_zone_new_local ();
  g_autofree char *whole = text != NULL ? complete_time (text) : NULL;
  g_autoptr (GDateTime) time = NULL;

  if (text == NULL)
    return TRUE;

  time = g_date_time_new_from_iso8601 (whole, local);
  if (time != NULL && g_date_time_to_unix (time) > 0)
    {
      *out_us = g_date_time_to_unix (time) * G_USEC_PER_SEC + g_date_time_get_microsecond (time);
      return TRUE;
    }

  g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE,
               _ ("%s: “%s” is no time, as in 2026-12-24 or 2026-12-24T18:00"), what, text);

  return FALSE;
}

/**
 * choir_ctl_word_number:
 * @what: the option it was given with
 * @text: (nullable): decimal digits; %NULL leaves @out as it is
 * @max: the greatest that may be asked for
 * @out: (inout): the number
 * @error: return location
 *
 * Returns: whether @text is such a number
 */
gboolean
choir_ctl_word_number (const char *what,
                       const char *text,
                       guint64 max,
                       guint64 *out,
                       GError **error)
{
  g_autofree char *most = NULL;

  if (text == NULL || g_ascii_string_to_unsigned (text, 10, 0, max, out, NULL))
    return TRUE;

  /* a message to be translated has no macros in it */
  most = g_strdup_printf ("%" G_GUINT64_FORMAT, max);
  g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE, _ ("%s: “%s” is no whole number up to %s"),
               what, text, most);

  return FALSE;
}

static char *
read_input (GError **error)
{
  g_autoptr (GInputStream) input = g_unix_input_stream_new (STDIN_FILENO, FALSE);
  g_autofree char *text = g_malloc (INPUT_MAX + 1);
  g_autoptr (GError) problem = NULL;
  gsize len = 0;

  if (!g_input_stream_read_all (input, text, INPUT_MAX, &len, NULL, &problem))
    {
      g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_FAILED, _ ("The input cannot be read: %s"),
                   problem->message);
      return NULL;
    }

  text[len] = '\0';
  if (len == INPUT_MAX || strlen (text) < len || !g_utf8_validate (text, (gssize) len, NULL))
    {
      g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE,
                           _ ("The input is no JSON object, or too long"));
      return NULL;
    }

  return g_steal_pointer (&text);
}

/**
 * choir_ctl_word_dup_json:
 * @text: JSON, or `-` to take what comes in on standard input
 * @error: return location
 *
 * What is in it is for the service to judge.
 *
 * Returns: (transfer full): UTF-8, or %NULL
 */
char *
choir_ctl_word_dup_json (const char *text, GError **error)
{
  return strcmp (text, "-") == 0 ? read_input (error) : g_strdup (text);
}
