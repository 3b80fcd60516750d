/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-event-id.h"

#include <string.h>

/**
 * choir_event_id_write_number:
 * @number: a number
 * @out: where it is written in decimal, without a NUL: up to 20 bytes
 *
 * Returns: what stands behind it
 */
char *
choir_event_id_write_number (guint64 number, char *out)
{
  char digits[20];
  guint at = sizeof digits;

  do
    {
      digits[--at] = (char) ('0' + number % 10);
      number /= 10;
    }
  while (number > 0);
  memcpy (out, digits + at, sizeof digits - at);

  return out + (sizeof digits - at);
}

/**
 * choir_event_id_parse:
 * @self: (out): its parts
 * @text: what a client says was the id of its last event
 *
 * Whether there is such a session, and whose it is, remains to be seen.
 *
 * Returns: %FALSE if it is none of ours
 */
gboolean
choir_event_id_parse (ChoirEventId *self, const char *text)
{
  gsize session_len = strcspn (text, ".");
  g_autofree char *digits = NULL;
  gsize len;

  if (strlen (text) > CHOIR_EVENT_ID_MAX || session_len != sizeof self->session_id - 1 ||
      text[session_len] != '.')
    return FALSE;

  memcpy (self->session_id, text, session_len);
  self->session_id[session_len] = '\0';
  if (!g_uuid_string_is_valid (self->session_id))
    return FALSE;

  text += session_len + 1;
  len = strcspn (text, ";");
  digits = g_strndup (text, len);
  self->positions = text + len;

  return g_ascii_string_to_unsigned (digits, 10, 0, G_MAXUINT64 - 1, &self->number, NULL);
}
