/* choir-admin-filter.h: which things an operator means
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-audience.h"

G_BEGIN_DECLS

/* One key that a filter may have */
typedef struct
{
  const char *name;
  const char *type; /* D-Bus signature of its value */
  guint bit;        /* stands for it among the keys that are there */
  gboolean (*read) (gpointer self, GVariant *value, GError **error); /* @value is of @type */
} ChoirAdminFilterKey;

gboolean choir_admin_filter_read (GVariant *dict,
                                  const ChoirAdminFilterKey *rows,
                                  guint n_rows,
                                  guint *keys,
                                  gpointer self,
                                  GError **error);
gboolean choir_admin_filter_fail (GError **error, const char *what, const char *key);
gboolean choir_admin_filter_read_user (GVariant *value, char **user, GError **error);

/* Connections */
gboolean choir_admin_filter_parse (ChoirAudience *self, GVariant *dict, GError **error);

G_END_DECLS
