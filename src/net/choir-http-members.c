/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-members.h"

#include "choir-error.h"
#include "choir-names.h"

#include <string.h>

static gboolean
is_known (const char *const *known, ChoirSlice key)
{
  for (; *known != NULL; known++)
    if (choir_json_key_equals (key, choir_slice (*known)))
      return TRUE;

  return FALSE;
}

/**
 * choir_http_members_check_known:
 * @object: an object
 * @known: the members it may have, up to a %NULL
 * @error: return location
 *
 * A misspelt member must not be taken for one that was left out.
 *
 * Returns: whether it has no others
 */
gboolean
choir_http_members_check_known (const ChoirJsonObject *object,
                                const char *const *known,
                                GError **error)
{
  g_autofree char *names = NULL;

  for (guint i = 0; i < object->n_members; i++)
    {
      if (is_known (known, object->members[i].key))
        continue;

      names = g_strjoinv (", ", (char **) known);
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                   "There is a member that is unknown here; there may be %s", names);
      return FALSE;
    }

  return TRUE;
}

/**
 * choir_http_members_scan:
 * @request: whose body @text is, or is a part of
 * @text: what should be an object
 * @known: (nullable): the members it may have, up to a %NULL; any if %NULL
 * @out: (out caller-allocates): the object; points into @text
 * @error: return location
 *
 * Returns: whether it is one
 */
gboolean
choir_http_members_scan (ChoirHttpRequest *request,
                         ChoirSlice text,
                         const char *const *known,
                         ChoirJsonObject *out,
                         GError **error)
{
  const ChoirJsonLimits *limits = &choir_hub_get_settings (request->gateway->hub)->json;

  return choir_json_gate_scan (text.data, text.len, limits, out, error) &&
         (known == NULL || choir_http_members_check_known (out, known, error));
}

/**
 * choir_http_members_read_body:
 * @request: a request whose body is one object, or an array of them
 * @read_one: reads one of them
 * @user_data: for @read_one
 * @is_array: (out): whether it is an array
 * @error: return location: what the gate says of the array, or @read_one, with the place in the
 *   array before it
 *
 * Has them read in turn, until one is malformed.
 *
 * Returns: whether all have been read
 */
gboolean
choir_http_members_read_body (const ChoirHttpRequest *request,
                              ChoirHttpReadOne read_one,
                              gpointer user_data,
                              gboolean *is_array,
                              GError **error)
{
  ChoirSlice body = choir_http_request_get_body (request);
  const ChoirJsonLimits *limits = &choir_hub_get_settings (request->gateway->hub)->json;
  g_autofree ChoirSlice *elements = NULL;
  guint n_elements;

  *is_array = choir_json_gate_is_batch (body.data, body.len);
  if (!*is_array)
    return read_one (user_data, body, error);

  elements = g_new (ChoirSlice, limits->max_batch);
  if (!choir_json_gate_scan_batch (body.data, body.len, limits, elements, &n_elements, error))
    return FALSE;

  for (guint i = 0; i < n_elements; i++)
    if (!read_one (user_data, elements[i], error))
      {
        g_prefix_error (error, "[%u]: ", i);
        return FALSE;
      }

  return TRUE;
}

/**
 * choir_http_members_get_string:
 * @object: an object
 * @name: of a member
 * @max_len: most bytes
 * @out: (out) (transfer full) (nullable): its value, %NULL if it is not there
 * @error: return location
 *
 * Returns: %FALSE if it is there and makes no sense
 */
gboolean
choir_http_members_get_string (const ChoirJsonObject *object,
                               const char *name,
                               gsize max_len,
                               char **out,
                               GError **error)
{
  const ChoirJsonMember *member = choir_json_object_find (object, name);

  *out = NULL;
  if (member == NULL)
    return TRUE;

  if (member->value.kind == CHOIR_JSON_STRING)
    *out = choir_json_string_dup (member->value.raw, max_len);
  if (*out != NULL && **out != '\0')
    return TRUE;

  g_clear_pointer (out, g_free);
  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
               "%s must be a string of 1-%" G_GSIZE_FORMAT " bytes", name, max_len);

  return FALSE;
}

/**
 * choir_http_members_get_object:
 * @object: an object
 * @name: of a member
 * @out: (out): the member as it stands there; an empty object if it is not there
 * @error: return location
 *
 * Returns: %FALSE if it is something else
 */
gboolean
choir_http_members_get_object (const ChoirJsonObject *object,
                               const char *name,
                               ChoirJsonValue *out,
                               GError **error)
{
  const ChoirJsonMember *member = choir_json_object_find (object, name);

  *out = (ChoirJsonValue){ CHOIR_SLICE_LITERAL ("{}"), CHOIR_JSON_OBJECT, 0 };
  if (member == NULL)
    return TRUE;

  *out = member->value;
  if (out->kind == CHOIR_JSON_OBJECT)
    return TRUE;

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, "%s must be an object", name);

  return FALSE;
}

static gboolean
add_name (GHashTable *names, const ChoirJsonValue *value)
{
  char *name =
    value->kind == CHOIR_JSON_STRING ? choir_json_string_dup (value->raw, CHOIR_USER_ID_MAX) : NULL;

  if (name == NULL || !choir_name_is_user (name, strlen (name)))
    {
      g_free (name);
      return FALSE;
    }

  g_hash_table_add (names, name);

  return TRUE;
}

/**
 * choir_http_members_get_names:
 * @object: an object
 * @name: of a member
 * @max: how many elements it may have
 * @out: (out) (transfer full) (nullable) (element-type utf8): a set of identifiers; %NULL if it is
 *   not there
 * @error: return location
 *
 * Returns: %FALSE if it is no array of 1 to @max identifiers
 */
gboolean
choir_http_members_get_names (const ChoirJsonObject *object,
                              const char *name,
                              guint max,
                              GHashTable **out,
                              GError **error)
{
  const ChoirJsonMember *member = choir_json_object_find (object, name);
  g_autoptr (GHashTable) names = NULL;
  ChoirJsonValue element;
  gsize cursor = 0;
  guint n = 0;
  gboolean valid;

  *out = NULL;
  if (member == NULL)
    return TRUE;

  names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  valid = member->value.kind == CHOIR_JSON_ARRAY;
  while (valid && choir_json_slice_next_element (member->value.raw, &cursor, &element))
    valid = ++n <= max && add_name (names, &element);

  if (valid && n > 0)
    {
      *out = g_steal_pointer (&names);
      return TRUE;
    }

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
               "%s must be an array of 1-%u identifiers, each 1-%d printable ASCII characters "
               "without spaces",
               name, max, CHOIR_USER_ID_MAX);

  return FALSE;
}

/**
 * choir_http_check_key:
 * @name: where it stands
 * @key: what a client calls its request
 * @error: return location
 *
 * Returns: whether it is a key
 */
gboolean
choir_http_check_key (const char *name, const char *key, GError **error)
{
  gsize len = strlen (key);
  gboolean valid = len > 0 && len <= CHOIR_HTTP_KEY_MAX;

  for (gsize i = 0; valid && i < len; i++)
    valid = key[i] > ' ' && key[i] < 0x7f;

  if (!valid)
    g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                 "%s must be 1-%d printable ASCII characters without spaces", name,
                 CHOIR_HTTP_KEY_MAX);

  return valid;
}
