/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-filter.h"
#include "choir-admin-list.h"
#include "choir-admin-methods.h"
#include "choir-admin-private.h"

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

const ChoirAdminMethod choir_admin_inspect_methods[] = {
  { CHOIR_ADMIN_MANAGER, "ListConnections", CHOIR_ADMIN_INSPECT, FALSE, perform_list_connections,
    NULL },
};

const guint choir_admin_inspect_n_methods = G_N_ELEMENTS (choir_admin_inspect_methods);
