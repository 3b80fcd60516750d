/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-filter.h"

#include "choir-error.h"
#include "choir-names.h"

#include <string.h>

typedef struct
{
  const char *name;
  const char *type;
  ChoirAudienceKeys key;
  gboolean (*read) (ChoirAudience *self, GVariant *value, GError **error);
} KeyRow;

static gboolean
fail (GError **error, const char *what, const char *key)
{
  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, "Filter key \"%s\" %s", key, what);

  return FALSE;
}

static gboolean
read_user (ChoirAudience *self, GVariant *value, GError **error)
{
  gsize len;

  self->user = g_variant_dup_string (value, &len);
  if (choir_name_is_user (self->user, len))
    return TRUE;

  return fail (error, "is no user identifier", "user");
}

static gboolean
read_address (ChoirAudience *self, GVariant *value, GError **error)
{
  self->address = g_variant_dup_string (value, NULL);
  if (*self->address != '\0')
    return TRUE;

  return fail (error, "is empty", "address");
}

static gboolean
read_channel (ChoirAudience *self, GVariant *value, GError **error)
{
  gsize len;

  self->channel = g_variant_dup_string (value, &len);
  if (choir_name_is_channel (self->channel, len))
    return TRUE;

  return fail (error, "is no channel name", "channel");
}

static gboolean
read_dialect (ChoirAudience *self, GVariant *value, GError **error)
{
  const ChoirDialect *dialect = choir_dialect_by_name (g_variant_get_string (value, NULL));

  if (dialect == NULL)
    return fail (error, "is not a contract this service speaks", "dialect");

  self->dialect = choir_dialect_get_id (dialect);

  return TRUE;
}

static gboolean
read_slow (ChoirAudience *self, GVariant *value, GError **error)
{
  self->slow = g_variant_get_boolean (value);

  return TRUE;
}

static gboolean
read_exclude (ChoirAudience *self, GVariant *value, GError **error)
{
  GVariantIter iter;
  char *connection;

  if (g_variant_n_children (value) > CHOIR_AUDIENCE_NAMES_MAX)
    return fail (error, "names more than " G_STRINGIFY (CHOIR_AUDIENCE_NAMES_MAX) " connections",
                 "exclude");

  self->exclude = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  g_variant_iter_init (&iter, value);
  while (g_variant_iter_next (&iter, "s", &connection))
    g_hash_table_add (self->exclude, connection);

  return TRUE;
}

static const KeyRow key_rows[] = {
  { "user", "s", CHOIR_AUDIENCE_USER, read_user },
  { "address", "s", CHOIR_AUDIENCE_ADDRESS, read_address },
  { "channel", "s", CHOIR_AUDIENCE_CHANNEL, read_channel },
  { "dialect", "s", CHOIR_AUDIENCE_DIALECT, read_dialect },
  { "slow", "b", CHOIR_AUDIENCE_SLOW, read_slow },
  { "exclude", "as", CHOIR_AUDIENCE_EXCLUDE, read_exclude },
};

static const KeyRow *
find_row (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (key_rows); i++)
    {
      if (strcmp (key_rows[i].name, name) == 0)
        return &key_rows[i];
    }

  return NULL;
}

static gboolean
read_entry (ChoirAudience *self, const char *name, GVariant *value, GError **error)
{
  const KeyRow *row = find_row (name);

  if (row == NULL)
    return fail (error, "is unknown", name);

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE (row->type)))
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                   "Filter key \"%s\" must be of type \"%s\", not \"%s\"", name, row->type,
                   g_variant_get_type_string (value));
      return FALSE;
    }

  /* which of two would count is nothing to guess at */
  if (self->keys & row->key)
    return fail (error, "is there twice", name);

  self->keys |= row->key;

  return row->read (self, value, error);
}

/**
 * choir_admin_filter_parse:
 * @self: memory for what the filter picks
 * @dict: (transfer none): an `a{sv}`, the filter of the bus interface
 * @error: return location: %CHOIR_ERROR_VALIDATION, naming the key
 *
 * Returns: whether it was understood; if not, @self needs no clearing
 */
gboolean
choir_admin_filter_parse (ChoirAudience *self, GVariant *dict, GError **error)
{
  GVariantIter iter;
  const char *name;
  GVariant *value;

  *self = (ChoirAudience){ 0 };

  g_variant_iter_init (&iter, dict);
  while (g_variant_iter_next (&iter, "{&sv}", &name, &value))
    {
      g_autoptr (GVariant) owned = value;

      if (!read_entry (self, name, owned, error))
        {
          choir_audience_clear (self);
          return FALSE;
        }
    }

  return TRUE;
}
