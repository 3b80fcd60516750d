/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-tasks.h"

#include "choir-error.h"

#include <string.h>

/* Members that only tasks have: see also choir-http-members.h */

/**
 * choir_http_members_get_int:
 * @object: an object
 * @name: of a member
 * @min: least allowed
 * @max: most allowed
 * @out: (inout): its value; left alone if it is not there
 * @error: return location
 *
 * Returns: %FALSE if it is there and makes no sense
 */
gboolean
choir_http_members_get_int (const ChoirJsonObject *object,
                            const char *name,
                            gint64 min,
                            gint64 max,
                            gint64 *out,
                            GError **error)
{
  const ChoirJsonMember *member = choir_json_object_find (object, name);

  if (member == NULL)
    return TRUE;

  if (member->value.kind == CHOIR_JSON_NUMBER &&
      choir_json_number_get_int (member->value.raw, out) && *out >= min && *out <= max)
    return TRUE;

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
               "%s must be a whole number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, name,
               min, max);

  return FALSE;
}

/* FALSE if there are more than allowed, or one is no such string */
static gboolean
dup_elements (ChoirSlice array, guint max, gsize max_len, GPtrArray *out)
{
  ChoirJsonValue value;
  gsize cursor = 0;

  while (choir_json_slice_next_element (array, &cursor, &value))
    {
      char *text = value.kind == CHOIR_JSON_STRING && out->len < max
                     ? choir_json_string_dup (value.raw, max_len)
                     : NULL;

      if (text == NULL)
        return FALSE;
      g_ptr_array_add (out, text);
    }

  return TRUE;
}

/**
 * choir_http_members_get_strings:
 * @object: an object
 * @name: of a member
 * @max: most strings in it
 * @max_len: most bytes of each
 * @error: return location
 *
 * Returns: (transfer full) (nullable) (element-type utf8): one or more strings, and a %NULL behind
 * them
 */
GPtrArray *
choir_http_members_get_strings (const ChoirJsonObject *object,
                                const char *name,
                                guint max,
                                gsize max_len,
                                GError **error)
{
  const ChoirJsonMember *member = choir_json_object_find (object, name);
  g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func (g_free);

  if (member != NULL && member->value.kind == CHOIR_JSON_ARRAY &&
      dup_elements (member->value.raw, max, max_len, found) && found->len > 0)
    {
      g_ptr_array_add (found, NULL);
      return g_steal_pointer (&found);
    }

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
               "%s must be an array of 1-%u strings of at most %" G_GSIZE_FORMAT " bytes", name,
               max, max_len);

  return NULL;
}
