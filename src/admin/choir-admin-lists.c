/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-filter.h"
#include "choir-admin-list.h"
#include "choir-admin-methods.h"
#include "choir-admin-private.h"

/* The List methods of org.choir.Choir1.Manager; what they list is in choir-admin-list.c */

static GVariant *
list_connections (ChoirAdminCall *call,
                  const ChoirAudience *audience,
                  ChoirAdminOrder order,
                  guint offset,
                  guint limit)
{
  if (order == CHOIR_ADMIN_ORDER_NONE)
    return choir_admin_list_connections (call->hub, audience, offset, limit);

  return choir_admin_list_sorted_connections (
    call->hub, audience, order, choir_admin_ensure_growth (&call->admin->connections_growth),
    offset, limit);
}

static void
perform_list_connections (ChoirAdminCall *call)
{
  g_auto (ChoirAudience) audience = { 0 };
  g_autoptr (GVariant) dict = NULL;
  g_autoptr (GVariant) filter = NULL;
  g_autoptr (GError) error = NULL;
  ChoirAdminOrder order;
  guint offset, limit;

  g_variant_get (call->parameters, "(@a{sv}uu)", &dict, &offset, &limit);

  if (!choir_admin_order_take (dict, CHOIR_ADMIN_ORDERS_OF_CONNECTIONS, &order, &filter, &error) ||
      !choir_admin_filter_parse (&audience, filter, &error))
    choir_admin_call_fail (call, error);
  else
    choir_admin_call_return (
      call, g_variant_new ("(@aa{sv})", list_connections (call, &audience, order, offset, limit)));
}

typedef gboolean (*ParseFunc) (ChoirAdminSelection *selection, GVariant *dict, GError **error);
typedef GVariant *(*ListFunc) (ChoirHub *hub,
                               const ChoirAdminSelection *selection,
                               guint offset,
                               guint limit);

static void
perform_list (ChoirAdminCall *call,
              guint orders,
              ChoirAdminGrowth **growth,
              ParseFunc parse,
              ListFunc list)
{
  g_auto (ChoirAdminSelection) selection = { 0 };
  g_autoptr (GVariant) dict = NULL;
  g_autoptr (GVariant) filter = NULL;
  g_autoptr (GError) error = NULL;
  ChoirAdminOrder order;
  guint offset, limit;

  g_variant_get (call->parameters, "(@a{sv}uu)", &dict, &offset, &limit);

  if (!choir_admin_order_take (dict, orders, &order, &filter, &error) ||
      !parse (&selection, filter, &error))
    {
      choir_admin_call_fail (call, error);
      return;
    }

  selection.order = order;
  if (order == CHOIR_ADMIN_ORDER_RATE)
    selection.growth = choir_admin_ensure_growth (growth);
  choir_admin_call_return (
    call, g_variant_new ("(@aa{sv})", list (call->hub, &selection, offset, limit)));
}

static void
list_users (ChoirAdminCall *call)
{
  perform_list (call, CHOIR_ADMIN_ORDERS_OF_USERS, &call->admin->users_growth,
                choir_admin_selection_parse_users, choir_admin_list_users);
}

static void
list_channels (ChoirAdminCall *call)
{
  perform_list (call, CHOIR_ADMIN_ORDERS_OF_CHANNELS, &call->admin->channels_growth,
                choir_admin_selection_parse_channels, choir_admin_list_channels);
}

static void
list_tasks (ChoirAdminCall *call)
{
  perform_list (call, 0, NULL, choir_admin_selection_parse_tasks, choir_admin_list_tasks);
}

#define LIST(name, perform)                                                                        \
  {                                                                                                \
    CHOIR_ADMIN_MANAGER, name, CHOIR_ADMIN_INSPECT, FALSE, perform, NULL                           \
  }

const ChoirAdminMethod choir_admin_list_methods[] = {
  LIST ("ListConnections", perform_list_connections),
  LIST ("ListUsers", list_users),
  LIST ("ListChannels", list_channels),
  LIST ("ListDocuments", choir_admin_perform_list_documents),
  LIST ("ListTasks", list_tasks),
};

const guint choir_admin_list_n_methods = G_N_ELEMENTS (choir_admin_list_methods);
