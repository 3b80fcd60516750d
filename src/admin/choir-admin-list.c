/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-list.h"

#include "choir-clock.h"
#include "choir-session.h"

/**
 * choir_admin_describe_connection:
 * @session: a session with a connection
 *
 * Returns: (transfer floating): an `a{sv}`, as ListConnections has it
 */
GVariant *
choir_admin_describe_connection (ChoirSession *session)
{
  const ChoirDialect *dialect = choir_session_get_dialect (session);
  const char *user = choir_session_get_user_id (session);
  gint64 age_us = choir_clock_monotonic_us () - choir_session_get_opened_us (session);
  g_autofree char *address = choir_link_dup_address (choir_session_get_link (session));
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "connection", "s", choir_session_get_connection_id (session));
  g_variant_dict_insert (&dict, "session", "s", choir_session_get_id (session));
  g_variant_dict_insert (&dict, "user", "s", user != NULL ? user : "");
  g_variant_dict_insert (&dict, "address", "s", address);
  g_variant_dict_insert (&dict, "dialect", "s", choir_dialect_get_table (dialect)->name);
  g_variant_dict_insert (&dict, "age_s", "t", (guint64) (MAX (age_us, 0) / G_USEC_PER_SEC));
  g_variant_dict_insert (&dict, "subscriptions", "u", choir_session_get_n_subscriptions (session));
  g_variant_dict_insert (&dict, "queued_bytes", "t",
                         (guint64) choir_session_get_outbox (session)->n_bytes);
  g_variant_dict_insert (&dict, "messages_received", "t", choir_session_get_n_received (session));
  g_variant_dict_insert (&dict, "errors", "t", choir_session_get_n_errors (session));
  g_variant_dict_insert (&dict, "slow", "b", choir_audience_is_slow (session));

  return g_variant_dict_end (&dict);
}

/**
 * choir_admin_list_connections:
 * @hub: a hub
 * @audience: which are meant
 * @offset: how many of those to pass over
 * @limit: at most how many to show; 0 for %CHOIR_ADMIN_LIMIT_DEFAULT, and never more than
 *   %CHOIR_ADMIN_LIMIT_MAX
 *
 * Returns: (transfer floating): an `aa{sv}`
 */
GVariant *
choir_admin_list_connections (ChoirHub *hub,
                              const ChoirAudience *audience,
                              guint offset,
                              guint limit)
{
  guint n = choir_hub_get_n_sessions (hub);
  GVariantBuilder list;

  limit = limit == 0 ? CHOIR_ADMIN_LIMIT_DEFAULT : MIN (limit, CHOIR_ADMIN_LIMIT_MAX);
  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));

  for (guint i = 0; i < n && limit > 0; i++)
    {
      ChoirSession *session = choir_hub_get_session (hub, i);

      if (choir_session_is_waiting (session) || !choir_audience_picks (audience, session))
        continue;

      if (offset > 0)
        {
          offset--;
          continue;
        }

      g_variant_builder_add_value (&list, choir_admin_describe_connection (session));
      limit--;
    }

  return g_variant_builder_end (&list);
}
