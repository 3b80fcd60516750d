/* choir-admin-order.h: in which order a list of the bus is wanted
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

#include "choir-admin-growth.h"

G_BEGIN_DECLS

/* What may stand in the filter's key `sort`; a list knows some of them */
typedef enum
{
  CHOIR_ADMIN_ORDER_NONE,
  CHOIR_ADMIN_ORDER_RATE,
  CHOIR_ADMIN_ORDER_MESSAGES,
  CHOIR_ADMIN_ORDER_QUEUED,
  CHOIR_ADMIN_ORDER_ERRORS,
  CHOIR_ADMIN_ORDER_AGE,
  CHOIR_ADMIN_ORDER_CONNECTIONS,
  CHOIR_ADMIN_ORDER_SUBSCRIBERS,
  CHOIR_ADMIN_ORDER_BYTES,
  CHOIR_ADMIN_N_ORDERS
} ChoirAdminOrder;

#define CHOIR_ADMIN_ORDER_BIT(order) (1u << (order))
#define CHOIR_ADMIN_ORDERS_OF_CONNECTIONS                                                          \
  (CHOIR_ADMIN_ORDER_BIT (CHOIR_ADMIN_ORDER_RATE) |                                                \
   CHOIR_ADMIN_ORDER_BIT (CHOIR_ADMIN_ORDER_MESSAGES) |                                            \
   CHOIR_ADMIN_ORDER_BIT (CHOIR_ADMIN_ORDER_QUEUED) |                                              \
   CHOIR_ADMIN_ORDER_BIT (CHOIR_ADMIN_ORDER_ERRORS) |                                              \
   CHOIR_ADMIN_ORDER_BIT (CHOIR_ADMIN_ORDER_AGE))
#define CHOIR_ADMIN_ORDERS_OF_USERS                                                                \
  (CHOIR_ADMIN_ORDER_BIT (CHOIR_ADMIN_ORDER_RATE) |                                                \
   CHOIR_ADMIN_ORDER_BIT (CHOIR_ADMIN_ORDER_MESSAGES) |                                            \
   CHOIR_ADMIN_ORDER_BIT (CHOIR_ADMIN_ORDER_QUEUED) |                                              \
   CHOIR_ADMIN_ORDER_BIT (CHOIR_ADMIN_ORDER_CONNECTIONS))
#define CHOIR_ADMIN_ORDERS_OF_CHANNELS                                                             \
  (CHOIR_ADMIN_ORDER_BIT (CHOIR_ADMIN_ORDER_RATE) |                                                \
   CHOIR_ADMIN_ORDER_BIT (CHOIR_ADMIN_ORDER_MESSAGES) |                                            \
   CHOIR_ADMIN_ORDER_BIT (CHOIR_ADMIN_ORDER_SUBSCRIBERS) |                                         \
   CHOIR_ADMIN_ORDER_BIT (CHOIR_ADMIN_ORDER_BYTES))

gboolean choir_admin_order_take (GVariant *filter,
                                 guint known,
                                 ChoirAdminOrder *order,
                                 GVariant **rest,
                                 GError **error);

GVariant *choir_admin_order_add_rate (GVariant *entry, double per_s);

G_END_DECLS
