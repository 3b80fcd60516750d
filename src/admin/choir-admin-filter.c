/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-filter.h"

#include "choir-error.h"
#include "choir-names.h"

#include <string.h>

/**
 * choir_admin_filter_fail:
 * @error: return location: %CHOIR_ERROR_VALIDATION
 * @what: what is wrong with the value
 * @key: the key
 *
 * Returns: %FALSE
 */
gboolean
choir_admin_filter_fail (GError **error, const char *what, const char *key)
{
  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, "Filter key \"%s\" %s", key, what);

  return FALSE;
}

static const ChoirAdminFilterKey *
find_row (const ChoirAdminFilterKey *rows, guint n_rows, const char *name)
{
  for (guint i = 0; i < n_rows; i++)
    {
      if (strcmp (rows[i].name, name) == 0)
        return &rows[i];
    }

  return NULL;
}

static gboolean
check_entry (const ChoirAdminFilterKey *row,
             const char *name,
             GVariant *value,
             guint keys,
             GError **error)
{
  if (row == NULL)
    return choir_admin_filter_fail (error, "is unknown", name);

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE (row->type)))
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                   "Filter key \"%s\" must be of type \"%s\", not \"%s\"", name, row->type,
                   g_variant_get_type_string (value));
      return FALSE;
    }

  /* which of two would count is nothing to guess at */
  if (keys & row->bit)
    return choir_admin_filter_fail (error, "is there twice", name);

  return TRUE;
}

/**
 * choir_admin_filter_read:
 * @dict: (transfer none): an `a{sv}`, a filter of the bus interface
 * @rows: (array length=n_rows): the keys it may have
 * @n_rows: how many
 * @keys: filled with the bits of those it has, each set before its value is read
 * @self: what the rows' functions fill
 * @error: return location: %CHOIR_ERROR_VALIDATION, naming the key
 *
 * Returns: whether it was understood; if not, @self may be filled in part
 */
gboolean
choir_admin_filter_read (GVariant *dict,
                         const ChoirAdminFilterKey *rows,
                         guint n_rows,
                         guint *keys,
                         gpointer self,
                         GError **error)
{
  GVariantIter iter;
  const char *name;
  GVariant *value;

  *keys = 0;

  g_variant_iter_init (&iter, dict);
  while (g_variant_iter_next (&iter, "{&sv}", &name, &value))
    {
      g_autoptr (GVariant) owned = value;
      const ChoirAdminFilterKey *row = find_row (rows, n_rows, name);

      if (!check_entry (row, name, owned, *keys, error))
        return FALSE;

      *keys |= row->bit;
      if (!row->read (self, owned, error))
        return FALSE;
    }

  return TRUE;
}

/**
 * choir_admin_filter_read_user:
 * @value: of the key `user`, a string
 * @user: (out) (transfer full): what it says, also where that is refused
 * @error: return location: %CHOIR_ERROR_VALIDATION
 *
 * Returns: whether it is a user identifier
 */
gboolean
choir_admin_filter_read_user (GVariant *value, char **user, GError **error)
{
  gsize len;

  *user = g_variant_dup_string (value, &len);
  if (choir_name_is_user (*user, len))
    return TRUE;

  return choir_admin_filter_fail (error, "is no user identifier", "user");
}

/* Connections */

static gboolean
read_user (gpointer data, GVariant *value, GError **error)
{
  ChoirAudience *self = data;

  return choir_admin_filter_read_user (value, &self->user, error);
}

static gboolean
read_address (gpointer data, GVariant *value, GError **error)
{
  ChoirAudience *self = data;

  self->address = g_variant_dup_string (value, NULL);
  if (*self->address != '\0')
    return TRUE;

  return choir_admin_filter_fail (error, "is empty", "address");
}

static gboolean
read_channel (gpointer data, GVariant *value, GError **error)
{
  ChoirAudience *self = data;
  gsize len;

  self->channel = g_variant_dup_string (value, &len);
  if (choir_name_is_channel (self->channel, len))
    return TRUE;

  return choir_admin_filter_fail (error, "is no channel name", "channel");
}

static gboolean
read_dialect (gpointer data, GVariant *value, GError **error)
{
  ChoirAudience *self = data;
  const ChoirDialect *dialect = choir_dialect_by_name (g_variant_get_string (value, NULL));

  if (dialect == NULL)
    return choir_admin_filter_fail (error, "is not a contract this service speaks", "dialect");

  self->dialect = choir_dialect_get_id (dialect);

  return TRUE;
}

static gboolean
read_slow (gpointer data, GVariant *value, GError **error)
{
  ChoirAudience *self = data;

  self->slow = g_variant_get_boolean (value);

  return TRUE;
}

static gboolean
read_exclude (gpointer data, GVariant *value, GError **error)
{
  ChoirAudience *self = data;
  GVariantIter iter;
  char *connection;

  if (g_variant_n_children (value) > CHOIR_AUDIENCE_NAMES_MAX)
    return choir_admin_filter_fail (
      error, "names more than " G_STRINGIFY (CHOIR_AUDIENCE_NAMES_MAX) " connections", "exclude");

  self->exclude = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  g_variant_iter_init (&iter, value);
  while (g_variant_iter_next (&iter, "s", &connection))
    g_hash_table_add (self->exclude, connection);

  return TRUE;
}

static const ChoirAdminFilterKey connection_keys[] = {
  { "user", "s", CHOIR_AUDIENCE_USER, read_user },
  { "address", "s", CHOIR_AUDIENCE_ADDRESS, read_address },
  { "channel", "s", CHOIR_AUDIENCE_CHANNEL, read_channel },
  { "dialect", "s", CHOIR_AUDIENCE_DIALECT, read_dialect },
  { "slow", "b", CHOIR_AUDIENCE_SLOW, read_slow },
  { "exclude", "as", CHOIR_AUDIENCE_EXCLUDE, read_exclude },
};

/**
 * choir_admin_filter_parse:
 * @self: memory for what the filter picks
 * @dict: (transfer none): an `a{sv}`, the filter of connections
 * @error: return location: %CHOIR_ERROR_VALIDATION, naming the key
 *
 * Returns: whether it was understood; if not, @self needs no clearing
 */
gboolean
choir_admin_filter_parse (ChoirAudience *self, GVariant *dict, GError **error)
{
  guint keys;

  *self = (ChoirAudience){ 0 };

  if (!choir_admin_filter_read (dict, connection_keys, G_N_ELEMENTS (connection_keys), &keys, self,
                                error))
    {
      choir_audience_clear (self);
      return FALSE;
    }

  self->keys = keys;

  return TRUE;
}
