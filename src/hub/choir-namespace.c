/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-namespace.h"

#include "choir-names.h"

#include <string.h>

struct _ChoirNamespaceTable
{
  GHashTable *by_name;      /* (element-type utf8 ChoirNamespace) (owned) */
  ChoirNamespace *fallback; /* (owned): namespaces without a section of their own */
};

static void
namespace_free (gpointer data)
{
  ChoirNamespace *self = data;

  g_free (self->name);
  g_free (self);
}

static void
namespace_read (ChoirNamespace *self, ChoirConfig *config, const char *group)
{
  self->subscribe = choir_config_get_choice (config, group, "subscribe");
  self->publish = choir_config_get_choice (config, group, "publish");
  self->history_size = choir_config_get_uint (config, group, "history-size");
  self->history_age_us = choir_config_get_duration_us (config, group, "history-age");
  self->persist = choir_config_get_boolean (config, group, "persist");
  self->replay = choir_config_get_uint (config, group, "replay");
  self->priority = choir_config_get_uint (config, group, "priority");
  self->presence = choir_config_get_boolean (config, group, "presence");
  self->presence_limit = choir_config_get_uint (config, group, "presence-limit");
  self->max_channels = choir_config_get_uint (config, group, "max-channels");
}

static ChoirNamespace *
ensure (ChoirNamespaceTable *self, const char *name)
{
  ChoirNamespace *ns = g_hash_table_lookup (self->by_name, name);

  if (ns == NULL)
    {
      ns = g_new0 (ChoirNamespace, 1);
      ns->name = g_strdup (name);
      g_hash_table_insert (self->by_name, ns->name, ns);
    }

  return ns;
}

/**
 * choir_namespace_table_configure:
 * @self: a table
 * @config: where the rules stand
 *
 * Reads the rules again. A namespace whose section has gone keeps existing, with the defaults:
 * channels point at it.
 */
void
choir_namespace_table_configure (ChoirNamespaceTable *self, ChoirConfig *config)
{
  g_auto (GStrv) names = choir_config_list_instances (config, "namespace");
  GHashTableIter iter;
  gpointer ns;

  g_hash_table_iter_init (&iter, self->by_name);
  while (g_hash_table_iter_next (&iter, NULL, &ns))
    namespace_read (ns, config, "namespace");

  for (char **name = names; *name != NULL; name++)
    {
      g_autofree char *group = g_strconcat ("namespace ", *name, NULL);

      namespace_read (ensure (self, *name), config, group);
    }

  namespace_read (self->fallback, config, "namespace");
}

/**
 * choir_namespace_table_new:
 * @config: where the rules stand
 *
 * Returns: (transfer full): the configured namespaces
 */
ChoirNamespaceTable *
choir_namespace_table_new (ChoirConfig *config)
{
  ChoirNamespaceTable *self = g_new0 (ChoirNamespaceTable, 1);

  self->by_name = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, namespace_free);
  self->fallback = g_new0 (ChoirNamespace, 1);
  self->fallback->name = g_strdup ("");
  choir_namespace_table_configure (self, config);

  return self;
}

void
choir_namespace_table_free (ChoirNamespaceTable *self)
{
  g_hash_table_unref (self->by_name);
  namespace_free (self->fallback);
  g_free (self);
}

/**
 * choir_namespace_table_lookup:
 * @self: a table
 * @channel: a valid channel name
 *
 * Returns: (transfer none): the rules for @channel: those of what stands before its first colon
 */
ChoirNamespace *
choir_namespace_table_lookup (ChoirNamespaceTable *self, const char *channel)
{
  char name[CHOIR_CHANNEL_NAME_MAX + 1];
  gsize len = strcspn (channel, ":");
  ChoirNamespace *ns;

  if (len > CHOIR_CHANNEL_NAME_MAX)
    return self->fallback;

  memcpy (name, channel, len);
  name[len] = '\0';
  ns = g_hash_table_lookup (self->by_name, name);

  return ns != NULL ? ns : self->fallback;
}

static gboolean
is_owner (const ChoirClaims *claims, const char *session_id, const char *channel)
{
  const char *id = strchr (channel, ':');

  if (id == NULL)
    return FALSE;

  id++;
  if (session_id != NULL && g_str_has_prefix (channel, "session:"))
    return strcmp (id, session_id) == 0;

  return strcmp (id, choir_claims_get_user_id (claims)) == 0;
}

/**
 * choir_namespace_allows:
 * @self: the rules of @channel
 * @claims: (nullable): who asks; %NULL before authentication
 * @session_id: (nullable): the asking session
 * @channel: a valid channel name
 * @wanted: reading (subscribe, history, presence) or writing (publish)
 *
 * A permission in the token always suffices (protocol.md, "everything is a channel"); the policy
 * says who else may.
 *
 * Returns: whether it is allowed
 */
gboolean
choir_namespace_allows (const ChoirNamespace *self,
                        const ChoirClaims *claims,
                        const char *session_id,
                        const char *channel,
                        ChoirPermission wanted)
{
  ChoirAccessPolicy policy = wanted == CHOIR_PERMISSION_READ ? self->subscribe : self->publish;

  if (policy == CHOIR_ACCESS_ANYONE)
    return TRUE;

  if (claims == NULL)
    return FALSE;

  if (policy == CHOIR_ACCESS_AUTHENTICATED && !choir_claims_is_guest (claims))
    return TRUE;

  if (policy == CHOIR_ACCESS_OWNER && is_owner (claims, session_id, channel))
    return TRUE;

  return choir_claims_allow (claims, channel, wanted);
}
