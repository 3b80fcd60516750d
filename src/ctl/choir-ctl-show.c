/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-path.h"
#include "choir-ctl-format.h"
#include "choir-ctl-verbs.h"

#include <glib/gi18n.h>
#include <string.h>

static const struct
{
  const char *word;
  ChoirAdminKind kind;
  const char *interface;
  const char *missing;
} kinds[] = {
  { "connection", CHOIR_ADMIN_KIND_CONNECTION, CHOIR_CTL_INTERFACE ("Connection"),
    N_ ("There is no such connection") },
  { "session", CHOIR_ADMIN_KIND_SESSION, CHOIR_CTL_INTERFACE ("Session"),
    N_ ("There is no such session") },
  { "document", CHOIR_ADMIN_KIND_DOCUMENT, CHOIR_CTL_INTERFACE ("Document"),
    N_ ("There is no such document in memory; “choirctl read” finds stored ones, too") },
  { "channel", CHOIR_ADMIN_KIND_CHANNEL, CHOIR_CTL_INTERFACE ("Channel"),
    N_ ("There is no such channel in memory") },
  { "task", CHOIR_ADMIN_KIND_TASK, CHOIR_CTL_INTERFACE ("Task"), N_ ("There is no such task") },
};

/* What the interfaces call bytes and times; all else tells by its type what it is */
static ChoirCtlKind
guess_kind (const char *name, GVariant *value)
{
  static const char *const sizes[] = { "Size", "Memory", "Bytes", "QueuedBytes" };

  if (g_variant_is_of_type (value, G_VARIANT_TYPE_BOOLEAN))
    return CHOIR_CTL_FLAG;
  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_UINT64))
    return g_variant_is_of_type (value, G_VARIANT_TYPE_UINT32) ? CHOIR_CTL_COUNT : CHOIR_CTL_TEXT;
  if (g_str_has_suffix (name, "At"))
    return CHOIR_CTL_TIME_US;

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    if (strcmp (name, sizes[i]) == 0)
      return CHOIR_CTL_BYTES;

  return CHOIR_CTL_COUNT;
}

/* An object is known to people by its identifier */
static char *
dup_item (GVariant *value)
{
  const char *text = g_variant_get_string (value, NULL);
  const char *slash = strrchr (text, '/');

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_OBJECT_PATH) || slash == NULL)
    return g_strdup (text);
  if (slash[1] == '\0')
    return NULL;

  return choir_admin_path_unescape (slash + 1);
}

static void
print_row (const char *name, guint width, const char *text)
{
  g_autofree char *clean = choir_ctl_clean (text != NULL && *text != '\0' ? text : "-");
  g_autofree char *label = choir_ctl_clean (name);

  choir_ctl_print ("%s%*s%s%s %s\n", choir_ctl_style (CHOIR_CTL_HEADING),
                   (int) (width - MIN (width, choir_ctl_text_width (label))), "", label,
                   choir_ctl_style_end (CHOIR_CTL_HEADING), clean);
}

static void
print_array (const char *name, guint width, GVariant *array)
{
  gsize n = g_variant_n_children (array);

  if (n == 0)
    print_row (name, width, NULL);

  for (gsize i = 0; i < n; i++)
    {
      g_autoptr (GVariant) child = g_variant_get_child_value (array, i);
      g_autofree char *text = dup_item (child);

      print_row (i == 0 ? name : "", width, text);
    }
}

static void
print_property (GVariant *properties, const char *name, GVariant *value, guint width)
{
  g_autofree char *text = NULL;

  if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING_ARRAY) ||
      g_variant_is_of_type (value, G_VARIANT_TYPE_OBJECT_PATH_ARRAY))
    {
      print_array (name, width, value);
      return;
    }

  text = g_variant_is_of_type (value, G_VARIANT_TYPE_OBJECT_PATH)
           ? dup_item (value)
           : choir_ctl_format_member (properties, name, guess_kind (name, value));
  print_row (name, width, text);
}

static void
print_properties (GVariant *properties)
{
  gsize n = g_variant_n_children (properties);
  guint width = 0;

  for (gsize i = 0; i < n; i++)
    {
      const char *name;

      g_variant_get_child (properties, i, "{&sv}", &name, NULL);
      width = MAX (width, choir_ctl_text_width (name));
    }

  for (gsize i = 0; i < n; i++)
    {
      g_autoptr (GVariant) value = NULL;
      const char *name;

      g_variant_get_child (properties, i, "{&sv}", &name, &value);
      print_property (properties, name, value, width);
    }
}

/* What is not there has no interfaces either, so the service can't say what it would have been */
static void
explain (GError **error, const char *missing)
{
  if (g_error_matches (*error, CHOIR_CTL_ERROR, CHOIR_CTL_NOT_FOUND))
    {
      g_clear_error (error);
      g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_NOT_FOUND, _ (missing));
    }
}

/**
 * choir_ctl_show:
 * @self: the options and the bus
 * @words: what kind of thing, and its name
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * `choirctl show KIND NAME`
 *
 * Returns: whether it worked
 */
gboolean
choir_ctl_show (ChoirCtl *self, char **words, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (strcmp (words[0], kinds[i].word) == 0)
      {
        g_autofree char *path = choir_admin_path_new (kinds[i].kind, words[1]);
        g_autoptr (GError) problem = NULL;
        g_autoptr (GVariant) properties =
          choir_ctl_get_all (self, path, kinds[i].interface, &problem);

        if (properties == NULL)
          {
            explain (&problem, kinds[i].missing);
            g_propagate_prefixed_error (error, g_steal_pointer (&problem), "%s: ", words[1]);
            return FALSE;
          }

        if (self->json)
          choir_ctl_print_json (properties);
        else
          print_properties (properties);
        return TRUE;
      }

  g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE,
               _ ("“%s” is none of connection, session, document, channel, task"), words[0]);

  return FALSE;
}
