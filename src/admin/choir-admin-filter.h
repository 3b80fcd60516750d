/* choir-admin-filter.h: which connections an operator means
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

#include "choir-dialect.h"

G_BEGIN_DECLS

/* More connections than this are not left out by name */
#define CHOIR_ADMIN_EXCLUDE_MAX 1000

typedef enum
{
  CHOIR_ADMIN_FILTER_USER = 1 << 0,
  CHOIR_ADMIN_FILTER_ADDRESS = 1 << 1,
  CHOIR_ADMIN_FILTER_CHANNEL = 1 << 2,
  CHOIR_ADMIN_FILTER_DIALECT = 1 << 3,
  CHOIR_ADMIN_FILTER_SLOW = 1 << 4,
  CHOIR_ADMIN_FILTER_EXCLUDE = 1 << 5,
} ChoirAdminFilterKeys;

/**
 * ChoirAdminFilter:
 *
 * The `a{sv}` of the bus interface, checked. What it is held against is a #ChoirAdminSubject, not a
 * session, so that the rules can be tested alone.
 */
typedef struct
{
  ChoirAdminFilterKeys keys; /* which of the following count */
  char *user;                /* (owned) (nullable) */
  char *address;             /* (owned) (nullable) */
  char *channel;             /* (owned) (nullable) */
  ChoirDialectId dialect;
  gboolean slow;
  GHashTable *exclude; /* (owned) (element-type utf8): set of connection identifiers */
} ChoirAdminFilter;

/* One connection. @address is only looked at if the filter has CHOIR_ADMIN_FILTER_ADDRESS */
typedef struct
{
  const char *connection;
  const char *user; /* (nullable) */
  const char *address;
  ChoirDialectId dialect;
  gboolean slow;
  gboolean (*has_channel) (gconstpointer data, const char *channel);
  gconstpointer data; /* of @has_channel */
} ChoirAdminSubject;

gboolean choir_admin_filter_parse (ChoirAdminFilter *self, GVariant *dict, GError **error);
void choir_admin_filter_clear (ChoirAdminFilter *self);
gboolean choir_admin_filter_matches (const ChoirAdminFilter *self,
                                     const ChoirAdminSubject *subject);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ChoirAdminFilter, choir_admin_filter_clear)

G_END_DECLS
