/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-ctl-output.h"

#include <json-glib/json-glib.h>
#include <math.h>

static JsonNode *make_node (GVariant *value);

static JsonNode *
make_object (GVariant *dictionary)
{
  JsonObject *object = json_object_new ();
  JsonNode *node = json_node_new (JSON_NODE_OBJECT);

  for (gsize i = 0; i < g_variant_n_children (dictionary); i++)
    {
      g_autoptr (GVariant) entry = g_variant_get_child_value (dictionary, i);
      g_autoptr (GVariant) key = g_variant_get_child_value (entry, 0);
      g_autoptr (GVariant) value = g_variant_get_child_value (entry, 1);

      if (g_variant_is_of_type (key, G_VARIANT_TYPE_STRING))
        json_object_set_member (object, g_variant_get_string (key, NULL), make_node (value));
      else
        {
          g_autofree char *name = g_variant_print (key, FALSE);

          json_object_set_member (object, name, make_node (value));
        }
    }

  json_node_take_object (node, object);

  return node;
}

static JsonNode *
make_array (GVariant *container)
{
  JsonArray *array = json_array_new ();
  JsonNode *node = json_node_new (JSON_NODE_ARRAY);

  for (gsize i = 0; i < g_variant_n_children (container); i++)
    {
      g_autoptr (GVariant) child = g_variant_get_child_value (container, i);

      json_array_add_element (array, make_node (child));
    }

  json_node_take_array (node, array);

  return node;
}

static JsonNode *
make_double (double number)
{
  JsonNode *node = json_node_new (JSON_NODE_VALUE);

  /* JSON has no others */
  if (!isfinite (number))
    {
      json_node_free (node);
      return json_node_new (JSON_NODE_NULL);
    }

  json_node_set_double (node, number);

  return node;
}

static JsonNode *
make_integer (gint64 number)
{
  JsonNode *node = json_node_new (JSON_NODE_VALUE);

  json_node_set_int (node, number);

  return node;
}

/* json-glib knows no unsigned numbers of 64 bits */
static JsonNode *
make_unsigned (guint64 number)
{
  return number <= G_MAXINT64 ? make_integer ((gint64) number) : make_double ((double) number);
}

static JsonNode *
make_boxed (GVariant *box)
{
  g_autoptr (GVariant) inner =
    g_variant_n_children (box) > 0 ? g_variant_get_child_value (box, 0) : NULL;

  return inner != NULL ? make_node (inner) : json_node_new (JSON_NODE_NULL);
}

static JsonNode *
make_string (const char *text)
{
  JsonNode *node = json_node_new (JSON_NODE_VALUE);

  json_node_set_string (node, text);

  return node;
}

static JsonNode *
make_boolean (gboolean value)
{
  JsonNode *node = json_node_new (JSON_NODE_VALUE);

  json_node_set_boolean (node, value);

  return node;
}

static JsonNode *
make_node (GVariant *value)
{
  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_BOOLEAN:
      return make_boolean (g_variant_get_boolean (value));
    case G_VARIANT_CLASS_BYTE:
      return make_integer (g_variant_get_byte (value));
    case G_VARIANT_CLASS_INT16:
      return make_integer (g_variant_get_int16 (value));
    case G_VARIANT_CLASS_UINT16:
      return make_integer (g_variant_get_uint16 (value));
    case G_VARIANT_CLASS_INT32:
      return make_integer (g_variant_get_int32 (value));
    case G_VARIANT_CLASS_UINT32:
      return make_integer (g_variant_get_uint32 (value));
    case G_VARIANT_CLASS_INT64:
      return make_integer (g_variant_get_int64 (value));
    case G_VARIANT_CLASS_UINT64:
      return make_unsigned (g_variant_get_uint64 (value));
    case G_VARIANT_CLASS_HANDLE:
      return make_integer (g_variant_get_handle (value));
    case G_VARIANT_CLASS_DOUBLE:
      return make_double (g_variant_get_double (value));
    case G_VARIANT_CLASS_STRING:
    case G_VARIANT_CLASS_OBJECT_PATH:
    case G_VARIANT_CLASS_SIGNATURE:
      return make_string (g_variant_get_string (value, NULL));
    case G_VARIANT_CLASS_VARIANT:
    case G_VARIANT_CLASS_MAYBE:
      return make_boxed (value);
    case G_VARIANT_CLASS_ARRAY:
      return g_variant_is_of_type (value, G_VARIANT_TYPE_DICTIONARY) ? make_object (value)
                                                                     : make_array (value);
    case G_VARIANT_CLASS_TUPLE:
    case G_VARIANT_CLASS_DICT_ENTRY:
    default:
      return make_array (value);
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
 * what they are, with the units their names tell.
 *
 * Returns: (transfer full): one JSON document in UTF-8, without a line break at its end
 */
char *
choir_ctl_dup_json (GVariant *value, gboolean pretty)
{
  g_autoptr (JsonNode) node = make_node (value);
  g_autoptr (JsonGenerator) generator = json_generator_new ();
  g_autofree char *json = NULL;

  json_generator_set_root (generator, node);
  json_generator_set_pretty (generator, pretty);
  json = json_generator_to_data (generator, NULL);

  return choir_ctl_escape_json (json);
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
