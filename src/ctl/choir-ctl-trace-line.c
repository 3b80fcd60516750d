/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-ctl-trace-line.h"

#include "choir-clock.h"
#include "choir-ctl-output.h"
#include "choir-json-gate.h"

#include <glib/gi18n.h>

/* Payloads may be nested, but what a member that we show says is short */
#define DEPTH_MAX 128
#define WORD_MAX 1024

/* (transfer full): clean; %NULL if there is no such text */
static char *
dup_text (const ChoirJsonObject *object, const char *name)
{
  const ChoirJsonMember *member = choir_json_object_find (object, name);
  g_autofree char *text = NULL;

  if (member == NULL || member->value.kind != CHOIR_JSON_STRING)
    return NULL;

  text = choir_json_string_dup (member->value.raw, WORD_MAX);

  return text != NULL && *text != '\0' ? choir_ctl_clean (text) : NULL;
}

static gint64
get_number (const ChoirJsonObject *object, const char *name)
{
  const ChoirJsonMember *member = choir_json_object_find (object, name);
  gint64 number;

  if (member == NULL || member->value.kind != CHOIR_JSON_NUMBER ||
      !choir_json_number_get_int (member->value.raw, &number))
    return -1;

  return number;
}

/* The time of day is enough while one looks on */
static char *
dup_time (const ChoirJsonObject *object)
{
  g_autofree char *text = dup_text (object, "time");
  g_autoptr (GDateTime) time = NULL;
  g_autoptr (GDateTime) local = NULL;
  g_autofree char *seconds = NULL;

  time = text != NULL ? g_date_time_new_from_iso8601 (text, NULL) : NULL;
  local = time != NULL ? g_date_time_to_local (time) : NULL;
  if (local == NULL)
    return g_strdup ("--:--:--.---");

  seconds = g_date_time_format (local, "%H:%M:%S");

  return g_strdup_printf ("%s.%03d", seconds, g_date_time_get_microsecond (local) / 1000);
}

static const char *
find_arrow (const char *direction)
{
  if (g_strcmp0 (direction, "in") == 0)
    return "→";

  return g_strcmp0 (direction, "out") == 0 ? "←" : "·";
}

static void
print_dropped (gint64 dropped)
{
  g_autofree char *number = g_strdup_printf ("%" G_GINT64_FORMAT, dropped);

  choir_ctl_print ("%s", choir_ctl_style (CHOIR_CTL_WARNING));
  choir_ctl_print (_ ("%s messages are missing here: they came faster than they were read"),
                   number);
  choir_ctl_print ("%s\n", choir_ctl_style_end (CHOIR_CTL_WARNING));
}

static void
print_who (const ChoirJsonObject *object)
{
  g_autofree char *user = dup_text (object, "user");
  g_autofree char *connection = dup_text (object, "connection");
  g_autofree char *channel = dup_text (object, "channel");

  choir_ctl_print (" %s", user != NULL ? user : "-");
  /* enough to tell a user's connections from each other */
  if (connection != NULL)
    choir_ctl_print (" %s%.8s%s", choir_ctl_style (CHOIR_CTL_FAINT), connection,
                     choir_ctl_style_end (CHOIR_CTL_FAINT));
  if (channel != NULL)
    choir_ctl_print (" [%s]", channel);
}

static void
print_message (const ChoirJsonObject *object)
{
  const ChoirJsonMember *payload = choir_json_object_find (object, "payload");
  g_autofree char *time = dup_time (object);
  g_autofree char *direction = dup_text (object, "direction");
  g_autofree char *type = dup_text (object, "type");
  gint64 recipients = get_number (object, "recipients");
  gint64 bytes = get_number (object, "bytes");

  choir_ctl_print ("%s%s%s %s", choir_ctl_style (CHOIR_CTL_FAINT), time,
                   choir_ctl_style_end (CHOIR_CTL_FAINT), find_arrow (direction));
  print_who (object);
  choir_ctl_print (" %s%s%s", choir_ctl_style (CHOIR_CTL_HEADING), type != NULL ? type : "-",
                   choir_ctl_style_end (CHOIR_CTL_HEADING));
  if (bytes >= 0)
    choir_ctl_print (" %" G_GINT64_FORMAT " B", bytes);
  if (recipients >= 0)
    choir_ctl_print (" ×%" G_GINT64_FORMAT, recipients);
  if (payload != NULL)
    {
      g_autofree char *raw = choir_slice_dup (payload->value.raw);
      g_autofree char *clean = choir_ctl_clean (raw);

      choir_ctl_print (" %s", clean);
    }
  choir_ctl_print ("\n");
}

/**
 * choir_ctl_trace_line_print:
 * @line: (array length=len): what the service wrote, without its line break
 * @len: bytes in @line
 * @as_json: whether to print it as it is
 *
 * What is no JSON object is not shown: the service writes nothing else.
 */
void
choir_ctl_trace_line_print (const char *line, gsize len, gboolean as_json)
{
  static const ChoirJsonLimits limits = { DEPTH_MAX, G_MAXSIZE, G_MAXSIZE, 1 };
  ChoirJsonObject object;
  gint64 dropped;

  if (!choir_json_gate_scan (line, len, &limits, &object, NULL))
    return;

  if (as_json)
    {
      g_autofree char *text = g_strndup (line, len);
      g_autofree char *clean = choir_ctl_escape_json (text);

      choir_ctl_write (clean, -1);
      choir_ctl_write ("\n", 1);
      return;
    }

  dropped = get_number (&object, "dropped");
  if (dropped >= 0)
    print_dropped (dropped);
  else
    print_message (&object);
}
