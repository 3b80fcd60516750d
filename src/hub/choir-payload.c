/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-payload.h"

#include "choir-clock.h"

#include <string.h>

/* g_string_append_len() without its generality: what is appended is short and mostly fits */
static inline void
append (GString *out, const char *text, gsize len)
{
  if (out->len + len >= out->allocated_len)
    {
      g_string_append_len (out, text, len);
      return;
    }

  memcpy (out->str + out->len, text, len);
  out->len += len;
  out->str[out->len] = '\0';
}

void
choir_payload_open (GString *out)
{
  g_string_append_c (out, '{');
}

void
choir_payload_close (GString *out)
{
  g_string_append_c (out, '}');
}

/**
 * choir_payload_add_key:
 * @out: an object under construction
 * @key: plain ASCII
 *
 * Appends the key and its colon; the caller appends the value.
 */
void
choir_payload_add_key (GString *out, const char *key)
{
  if (out->len > 0 && out->str[out->len - 1] != '{' && out->str[out->len - 1] != '[')
    g_string_append_c (out, ',');

  g_string_append_c (out, '"');
  append (out, key, strlen (key));
  append (out, "\":", 2);
}

/**
 * choir_payload_add_string:
 * @out: an object under construction
 * @key: plain ASCII
 * @value: (nullable): valid UTF-8; %NULL leaves the member out
 */
void
choir_payload_add_string (GString *out, const char *key, const char *value)
{
  if (value == NULL)
    return;

  choir_payload_add_key (out, key);
  choir_json_append_string (out, value, -1);
}

void
choir_payload_add_int (GString *out, const char *key, gint64 value)
{
  char digits[24];
  char *at = digits + sizeof digits;
  guint64 rest = value < 0 ? -(guint64) value : (guint64) value;

  do
    *--at = '0' + rest % 10;
  while ((rest /= 10) > 0);
  if (value < 0)
    *--at = '-';

  choir_payload_add_key (out, key);
  append (out, at, digits + sizeof digits - at);
}

void
choir_payload_add_boolean (GString *out, const char *key, gboolean value)
{
  choir_payload_add_key (out, key);
  g_string_append (out, value ? "true" : "false");
}

/**
 * choir_payload_add_raw:
 * @out: an object under construction
 * @key: plain ASCII
 * @json: a valid JSON text; empty leaves the member out
 */
void
choir_payload_add_raw (GString *out, const char *key, ChoirSlice json)
{
  if (json.len == 0)
    return;

  choir_payload_add_key (out, key);
  append (out, json.data, json.len);
}

void
choir_payload_add_time (GString *out, const char *key, gint64 wall_us)
{
  char text[CHOIR_CLOCK_ISO8601_SIZE];

  choir_clock_format_iso8601 (wall_us, text);
  choir_payload_add_key (out, key);
  g_string_append_c (out, '"');
  append (out, text, sizeof text - 1);
  g_string_append_c (out, '"');
}

ChoirSlice
choir_payload_as_slice (const GString *out)
{
  return (ChoirSlice){ out->str, out->len };
}

/**
 * choir_payload_read_string:
 * @object: the text of one JSON object
 * @key: a member's name
 * @max_len: most bytes it may have
 *
 * Returns: (transfer full) (nullable): its value; %NULL if it is not there, no string or too long
 */
char *
choir_payload_read_string (ChoirSlice object, const char *key, gsize max_len)
{
  ChoirJsonValue value;

  if (!choir_json_slice_get (object, key, &value) || value.kind != CHOIR_JSON_STRING)
    return NULL;

  return choir_json_string_dup (value.raw, max_len);
}

/**
 * choir_payload_read_int:
 * @object: the text of one JSON object
 * @key: a member's name
 *
 * Returns: its value; 0 if it is not there or no whole number
 */
gint64
choir_payload_read_int (ChoirSlice object, const char *key)
{
  ChoirJsonValue value;
  gint64 number;

  return choir_json_slice_get (object, key, &value) && value.kind == CHOIR_JSON_NUMBER &&
             choir_json_number_get_int (value.raw, &number)
           ? number
           : 0;
}
