/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-order.h"

#include "choir-admin-filter.h"

#include <string.h>

static const char *const names[CHOIR_ADMIN_N_ORDERS] = {
  [CHOIR_ADMIN_ORDER_RATE] = "rate",
  [CHOIR_ADMIN_ORDER_MESSAGES] = "messages",
  [CHOIR_ADMIN_ORDER_QUEUED] = "queued",
  [CHOIR_ADMIN_ORDER_ERRORS] = "errors",
  [CHOIR_ADMIN_ORDER_AGE] = "age",
  [CHOIR_ADMIN_ORDER_CONNECTIONS] = "connections",
  [CHOIR_ADMIN_ORDER_SUBSCRIBERS] = "subscribers",
  [CHOIR_ADMIN_ORDER_BYTES] = "bytes",
};

static gboolean
read_order (GVariant *value, guint known, ChoirAdminOrder *order, GError **error)
{
  const char *name = "";

  if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    name = g_variant_get_string (value, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (names[i] != NULL && strcmp (names[i], name) == 0 &&
        (known & CHOIR_ADMIN_ORDER_BIT (i)) != 0)
      {
        *order = (ChoirAdminOrder) i;
        return TRUE;
      }

  return choir_admin_filter_fail (error, "is nothing this list can be sorted by", "sort");
}

/**
 * choir_admin_order_take:
 * @filter: an `a{sv}`, a filter of the bus interface
 * @known: the bits of the orders that this list knows
 * @order: (out): the one wanted
 * @rest: (out) (transfer full): the filter without the key `sort`
 * @error: return location: %CHOIR_ERROR_VALIDATION
 *
 * Returns: whether the key, if it is there, was understood; if not, @rest is not set
 */
gboolean
choir_admin_order_take (GVariant *filter,
                        guint known,
                        ChoirAdminOrder *order,
                        GVariant **rest,
                        GError **error)
{
  g_auto (GVariantBuilder) others = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE_VARDICT);
  GVariantIter iter;
  const char *name;
  GVariant *value;

  *order = CHOIR_ADMIN_ORDER_NONE;

  g_variant_iter_init (&iter, filter);
  while (g_variant_iter_next (&iter, "{&sv}", &name, &value))
    {
      G_GNUC_UNUSED g_autoptr (GVariant) owned = value;

      if (strcmp (name, "sort") != 0)
        g_variant_builder_add (&others, "{sv}", name, value);
      else if (*order != CHOIR_ADMIN_ORDER_NONE)
        return choir_admin_filter_fail (error, "is there twice", "sort");
      else if (!read_order (value, known, order, error))
        return FALSE;
    }

  *rest = g_variant_ref_sink (g_variant_builder_end (&others));

  return TRUE;
}

/**
 * choir_admin_order_add_rate:
 * @entry: (transfer floating): an `a{sv}`
 * @per_s: what choir_admin_growth_look() says
 *
 * Returns: (transfer floating): the same with `messages_per_s`
 */
GVariant *
choir_admin_order_add_rate (GVariant *entry, double per_s)
{
  g_autoptr (GVariant) owned = g_variant_ref_sink (entry);
  GVariantDict dict;

  g_variant_dict_init (&dict, owned);
  g_variant_dict_insert (&dict, "messages_per_s", "d", per_s);

  return g_variant_dict_end (&dict);
}
