/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-ctl-output.h"

#include "choir-json-gate.h"

#include <math.h>

#define INDENT 2

typedef struct
{
  GString *out; /* (unowned) */
  gboolean pretty;
  guint depth;
} Writer;

typedef void (*AppendChild) (Writer *self, GVariant *child);

static void append_value (Writer *self, GVariant *value);

static void
break_line (Writer *self)
{
  if (self->pretty)
    g_string_append_printf (self->out, "\n%*s", (int) (self->depth * INDENT), "");
}

static void
append_children (Writer *self, GVariant *container, char first, char last, AppendChild append)
{
  gsize n = g_variant_n_children (container);

  g_string_append_c (self->out, first);
  self->depth++;
  for (gsize i = 0; i < n; i++)
    {
      g_autoptr (GVariant) child = g_variant_get_child_value (container, i);

      if (i > 0)
        g_string_append_c (self->out, ',');
      break_line (self);
      append (self, child);
    }
  self->depth--;
  if (n > 0)
    break_line (self);
  g_string_append_c (self->out, last);
}

static void
append_entry (Writer *self, GVariant *entry)
{
  g_autoptr (GVariant) key = g_variant_get_child_value (entry, 0);
  g_autoptr (GVariant) value = g_variant_get_child_value (entry, 1);
  g_autofree char *name = g_variant_is_of_type (key, G_VARIANT_TYPE_STRING)
                            ? g_variant_dup_string (key, NULL)
                            : g_variant_print (key, FALSE);

  choir_json_append_string (self->out, name, -1);
  g_string_append (self->out, self->pretty ? " : " : ":");
  append_value (self, value);
}

static void
append_double (GString *out, double number)
{
  /* JSON has no others */
  if (isfinite (number))
    choir_json_append_double (out, number);
  else
    g_string_append (out, "null");
}

static void
append_boxed (Writer *self, GVariant *box)
{
  g_autoptr (GVariant) inner =
    g_variant_n_children (box) > 0 ? g_variant_get_child_value (box, 0) : NULL;

  if (inner != NULL)
    append_value (self, inner);
  else
    g_string_append (self->out, "null");
}

static void
append_integer (GString *out, GVariant *value)
{
  /* but for bytes and handles GVariant's text is JSON's */
  g_autofree char *text = g_variant_print (value, FALSE);

  g_string_append (out, text);
}

static void
append_value (Writer *self, GVariant *value)
{
  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_BOOLEAN:
      g_string_append (self->out, g_variant_get_boolean (value) ? "true" : "false");
      break;
    case G_VARIANT_CLASS_BYTE:
      g_string_append_printf (self->out, "%u", g_variant_get_byte (value));
      break;
    case G_VARIANT_CLASS_HANDLE:
      g_string_append_printf (self->out, "%d", g_variant_get_handle (value));
      break;
    case G_VARIANT_CLASS_INT16:
    case G_VARIANT_CLASS_UINT16:
    case G_VARIANT_CLASS_INT32:
    case G_VARIANT_CLASS_UINT32:
    case G_VARIANT_CLASS_INT64:
    case G_VARIANT_CLASS_UINT64:
      append_integer (self->out, value);
      break;
    case G_VARIANT_CLASS_DOUBLE:
      append_double (self->out, g_variant_get_double (value));
      break;
    case G_VARIANT_CLASS_STRING:
    case G_VARIANT_CLASS_OBJECT_PATH:
    case G_VARIANT_CLASS_SIGNATURE:
      choir_json_append_string (self->out, g_variant_get_string (value, NULL), -1);
      break;
    case G_VARIANT_CLASS_VARIANT:
    case G_VARIANT_CLASS_MAYBE:
      append_boxed (self, value);
      break;
    case G_VARIANT_CLASS_ARRAY:
      if (g_variant_is_of_type (value, G_VARIANT_TYPE_DICTIONARY))
        append_children (self, value, '{', '}', append_entry);
      else
        append_children (self, value, '[', ']', append_value);
      break;
    case G_VARIANT_CLASS_TUPLE:
    case G_VARIANT_CLASS_DICT_ENTRY:
    default:
      append_children (self, value, '[', ']', append_value);
    }
}

/**
 * choir_ctl_escape_json:
 * @json: JSON in UTF-8, without line breaks outside of strings
 *
 * Beyond what JSON asks for: a terminal takes more characters as commands. In JSON they stand in
 * strings only, where they may be escaped.
 *
 * Returns: (transfer full): the same document, fit for a terminal
 */
char *
choir_ctl_escape_json (const char *json)
{
  GString *out = g_string_new (NULL);

  for (const char *at = json; *at != '\0'; at = g_utf8_next_char (at))
    {
      gunichar c = g_utf8_get_char (at);

      if (c >= 0x20 && choir_ctl_is_command (c))
        g_string_append_printf (out, "\\u%04x", c);
      else
        g_string_append_len (out, at, g_utf8_next_char (at) - at);
    }

  return g_string_free (out, FALSE);
}

/**
 * choir_ctl_dup_json:
 * @value: a value as it came over the bus
 * @pretty: whether to break it into lines
 *
 * Dictionaries become objects, arrays and tuples arrays, a variant what is in it; numbers stay
 * what they are, with the units their names tell and no more digits than bring them back.
 *
 * Returns: (transfer full): one JSON document in UTF-8, without a line break at its end
 */
char *
choir_ctl_dup_json (GVariant *value, gboolean pretty)
{
  g_autoptr (GString) out = g_string_new (NULL);
  Writer writer = { out, pretty, 0 };

  append_value (&writer, value);

  return choir_ctl_escape_json (out->str);
}

/**
 * choir_ctl_print_json:
 * @value: a value as it came over the bus; a floating one is taken
 *
 * Prints it as one document, for `--json`.
 */
void
choir_ctl_print_json (GVariant *value)
{
  g_autoptr (GVariant) owned = g_variant_ref_sink (value);
  g_autofree char *json = choir_ctl_dup_json (owned, TRUE);

  choir_ctl_write (json, -1);
  choir_ctl_write ("\n", 1);
}

/**
 * choir_ctl_print_json_line:
 * @value: a value as it came over the bus; a floating one is taken
 *
 * Prints it in one line and sends that off, for `--json` where there is no end.
 */
void
choir_ctl_print_json_line (GVariant *value)
{
  g_autoptr (GVariant) owned = g_variant_ref_sink (value);
  g_autofree char *json = choir_ctl_dup_json (owned, FALSE);

  choir_ctl_write (json, -1);
  choir_ctl_write ("\n", 1);
  choir_ctl_flush (NULL);
}
