/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-object.h"

#include "choir-session.h"

#include <string.h>

/* org.choir.Choir1.Session */

static GVariant *
get_id (ChoirHub *hub, gpointer object)
{
  return choir_admin_value_string (choir_session_get_id (object));
}

static GVariant *
get_connection (ChoirHub *hub, gpointer object)
{
  const char *connection =
    choir_session_is_waiting (object) ? NULL : choir_session_get_connection_id (object);

  return choir_admin_value_path (CHOIR_ADMIN_KIND_CONNECTION, connection);
}

static GVariant *
get_waiting (ChoirHub *hub, gpointer object)
{
  return g_variant_new_boolean (choir_session_is_waiting (object));
}

static GVariant *
get_opened_at (ChoirHub *hub, gpointer object)
{
  return choir_admin_value_monotonic (choir_session_get_began_us (object));
}

static GVariant *
get_expires_at (ChoirHub *hub, gpointer object)
{
  return choir_admin_value_wall (choir_session_get_expiry_us (object));
}

static GVariant *
get_documents (ChoirHub *hub, gpointer object)
{
  guint n = choir_session_get_n_subscriptions (object);
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_STRING_ARRAY);
  for (guint i = 0, found = 0; i < n && found < CHOIR_ADMIN_NAMES_MAX; i++)
    {
      const ChoirChannel *channel = choir_session_get_subscription (object, i)->channel;

      if (channel->kind != CHOIR_CHANNEL_DOCUMENT)
        continue;

      g_variant_builder_add (&builder, "s", channel->name + strlen ("document:"));
      found++;
    }

  return g_variant_builder_end (&builder);
}

static const ChoirAdminProperty properties[] = {
  { "Id", get_id },
  { "Connection", get_connection },
  { "User", choir_admin_value_user },
  { "Waiting", get_waiting },
  { "OpenedAt", get_opened_at },
  { "ExpiresAt", get_expires_at },
  { "Subscriptions", choir_admin_value_subscriptions },
  { "Documents", get_documents },
};

static const guint n_properties = G_N_ELEMENTS (properties);

static gpointer
find (ChoirHub *hub, const char *name)
{
  return choir_hub_find_by_id (hub, name);
}

static void
visit_all (ChoirHub *hub, ChoirAdminVisitor visit, gpointer user_data)
{
  guint n = choir_hub_get_n_sessions (hub);

  for (guint i = 0; i < n; i++)
    {
      ChoirSession *session = choir_hub_get_session (hub, i);

      visit (session, choir_session_get_id (session), user_data);
    }
}

const ChoirAdminClass choir_admin_session_class = {
  .interface = CHOIR_ADMIN_SESSION,
  .kind = "session",
  .properties = properties,
  .n_properties = &n_properties,
  .find = find,
  .count = choir_hub_get_n_sessions,
  .visit = visit_all,
};
