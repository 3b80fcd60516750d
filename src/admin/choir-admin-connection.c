/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-object.h"

#include "choir-audience.h"
#include "choir-session.h"

/* org.choir.Choir1.Connection: a session that has a link */

static GVariant *
get_id (ChoirHub *hub, gpointer object)
{
  return choir_admin_value_string (choir_session_get_connection_id (object));
}

static GVariant *
get_session (ChoirHub *hub, gpointer object)
{
  return choir_admin_value_path (CHOIR_ADMIN_KIND_SESSION, choir_session_get_id (object));
}

static GVariant *
get_address (ChoirHub *hub, gpointer object)
{
  return g_variant_new_take_string (choir_link_dup_address (choir_session_get_link (object)));
}

static GVariant *
get_dialect (ChoirHub *hub, gpointer object)
{
  const ChoirDialect *dialect = choir_session_get_dialect (object);

  return choir_admin_value_string (choir_dialect_get_table (dialect)->name);
}

static GVariant *
get_opened_at (ChoirHub *hub, gpointer object)
{
  return choir_admin_value_monotonic (choir_session_get_opened_us (object));
}

static GVariant *
get_queued_bytes (ChoirHub *hub, gpointer object)
{
  return g_variant_new_uint64 (choir_session_get_outbox (object)->n_bytes);
}

static GVariant *
get_messages_received (ChoirHub *hub, gpointer object)
{
  return g_variant_new_uint64 (choir_session_get_n_received (object));
}

static GVariant *
get_errors (ChoirHub *hub, gpointer object)
{
  return g_variant_new_uint64 (choir_session_get_n_errors (object));
}

static GVariant *
get_slow (ChoirHub *hub, gpointer object)
{
  return g_variant_new_boolean (choir_audience_is_slow (object));
}

static const ChoirAdminProperty properties[] = {
  { "Id", get_id },
  { "Session", get_session },
  { "User", choir_admin_value_user },
  { "Address", get_address },
  { "Dialect", get_dialect },
  { "OpenedAt", get_opened_at },
  { "Subscriptions", choir_admin_value_subscriptions },
  { "QueuedBytes", get_queued_bytes },
  { "MessagesReceived", get_messages_received },
  { "Errors", get_errors },
  { "Slow", get_slow },
};

static const guint n_properties = G_N_ELEMENTS (properties);

static gpointer
find (ChoirHub *hub, const char *name)
{
  return choir_hub_find_session (hub, name);
}

static void
visit_all (ChoirHub *hub, ChoirAdminVisitor visit, gpointer user_data)
{
  guint n = choir_hub_get_n_sessions (hub);

  for (guint i = 0; i < n; i++)
    {
      ChoirSession *session = choir_hub_get_session (hub, i);

      if (!choir_session_is_waiting (session))
        visit (session, choir_session_get_connection_id (session), user_data);
    }
}

const ChoirAdminClass choir_admin_connection_class = {
  .interface = CHOIR_ADMIN_CONNECTION,
  .kind = "connection",
  .properties = properties,
  .n_properties = &n_properties,
  .find = find,
  .count = choir_hub_get_n_connections,
  .visit = visit_all,
};
