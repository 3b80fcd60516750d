/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-selection.h"

#include "choir-names.h"

#include <string.h>

/* What could begin no name would pick nothing */
static gboolean
read_prefix (gpointer data, GVariant *value, GError **error)
{
  ChoirAdminSelection *self = data;
  gsize len;

  self->prefix = g_variant_dup_string (value, &len);
  if (choir_name_is_channel (self->prefix, len))
    return TRUE;

  return choir_admin_filter_fail (error, "begins no name", "prefix");
}

static gboolean
read_namespace (gpointer data, GVariant *value, GError **error)
{
  ChoirAdminSelection *self = data;
  gsize len;

  self->space = g_variant_dup_string (value, &len);
  if (choir_name_is_channel (self->space, len) && strchr (self->space, ':') == NULL)
    return TRUE;

  return choir_admin_filter_fail (error, "is no namespace", "namespace");
}

static gboolean
read_user (gpointer data, GVariant *value, GError **error)
{
  ChoirAdminSelection *self = data;

  return choir_admin_filter_read_user (value, &self->user, error);
}

static gboolean
read_kind (gpointer data, GVariant *value, GError **error)
{
  ChoirAdminSelection *self = data;
  gsize len;

  self->kind = g_variant_dup_string (value, &len);
  if (choir_task_is_kind (self->kind, len))
    return TRUE;

  return choir_admin_filter_fail (error, "is no kind of task", "kind");
}

static gboolean
read_state (gpointer data, GVariant *value, GError **error)
{
  ChoirAdminSelection *self = data;

  if (choir_task_state_parse (g_variant_get_string (value, NULL), &self->state))
    return TRUE;

  return choir_admin_filter_fail (error, "is no state of a task", "state");
}

static gboolean
read_blocked (gpointer data, GVariant *value, GError **error)
{
  ((ChoirAdminSelection *) data)->blocked = g_variant_get_boolean (value);

  return TRUE;
}

static gboolean
read_stored (gpointer data, GVariant *value, GError **error)
{
  ((ChoirAdminSelection *) data)->stored = g_variant_get_boolean (value);

  return TRUE;
}

static const ChoirAdminFilterKey user_keys[] = {
  { "prefix", "s", CHOIR_ADMIN_SELECT_PREFIX, read_prefix },
  { "blocked", "b", CHOIR_ADMIN_SELECT_BLOCKED, read_blocked },
};

static const ChoirAdminFilterKey channel_keys[] = {
  { "prefix", "s", CHOIR_ADMIN_SELECT_PREFIX, read_prefix },
  { "namespace", "s", CHOIR_ADMIN_SELECT_NAMESPACE, read_namespace },
};

static const ChoirAdminFilterKey document_keys[] = {
  { "prefix", "s", CHOIR_ADMIN_SELECT_PREFIX, read_prefix },
  { "stored", "b", CHOIR_ADMIN_SELECT_STORED, read_stored },
};

static const ChoirAdminFilterKey task_keys[] = {
  { "state", "s", CHOIR_ADMIN_SELECT_STATE, read_state },
  { "user", "s", CHOIR_ADMIN_SELECT_USER, read_user },
  { "kind", "s", CHOIR_ADMIN_SELECT_KIND, read_kind },
};

static gboolean
parse (ChoirAdminSelection *self,
       GVariant *dict,
       const ChoirAdminFilterKey *rows,
       guint n_rows,
       GError **error)
{
  *self = (ChoirAdminSelection){ 0 };
  if (choir_admin_filter_read (dict, rows, n_rows, &self->keys, self, error))
    return TRUE;

  choir_admin_selection_clear (self);

  return FALSE;
}

gboolean
choir_admin_selection_parse_users (ChoirAdminSelection *self, GVariant *dict, GError **error)
{
  return parse (self, dict, user_keys, G_N_ELEMENTS (user_keys), error);
}

gboolean
choir_admin_selection_parse_channels (ChoirAdminSelection *self, GVariant *dict, GError **error)
{
  return parse (self, dict, channel_keys, G_N_ELEMENTS (channel_keys), error);
}

gboolean
choir_admin_selection_parse_documents (ChoirAdminSelection *self, GVariant *dict, GError **error)
{
  return parse (self, dict, document_keys, G_N_ELEMENTS (document_keys), error);
}

gboolean
choir_admin_selection_parse_tasks (ChoirAdminSelection *self, GVariant *dict, GError **error)
{
  return parse (self, dict, task_keys, G_N_ELEMENTS (task_keys), error);
}

void
choir_admin_selection_clear (ChoirAdminSelection *self)
{
  g_free (self->prefix);
  g_free (self->space);
  g_free (self->user);
  g_free (self->kind);
  *self = (ChoirAdminSelection){ 0 };
}

/**
 * choir_admin_selection_has_name:
 * @self: a selection
 * @name: of a user, a channel or a document
 *
 * Returns: whether the keys about names, `prefix` and `namespace`, pick it
 */
gboolean
choir_admin_selection_has_name (const ChoirAdminSelection *self, const char *name)
{
  gsize len;

  if (self->prefix != NULL && !g_str_has_prefix (name, self->prefix))
    return FALSE;

  if (self->space == NULL)
    return TRUE;

  len = strlen (self->space);

  return strncmp (name, self->space, len) == 0 && (name[len] == ':' || name[len] == '\0');
}
