/* choir-admin-selection.h: which users, channels, documents or tasks an operator means
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-admin-filter.h"
#include "choir-admin-order.h"
#include "choir-task.h"

G_BEGIN_DECLS

typedef enum
{
  CHOIR_ADMIN_SELECT_PREFIX = 1 << 0,
  CHOIR_ADMIN_SELECT_BLOCKED = 1 << 1,
  CHOIR_ADMIN_SELECT_NAMESPACE = 1 << 2,
  CHOIR_ADMIN_SELECT_STORED = 1 << 3,
  CHOIR_ADMIN_SELECT_STATE = 1 << 4,
  CHOIR_ADMIN_SELECT_USER = 1 << 5,
  CHOIR_ADMIN_SELECT_KIND = 1 << 6,
} ChoirAdminSelectionKeys;

/* What a filter says; each kind of list knows some of the keys. NULL, or FALSE, where it says
 * nothing. On the stack */
typedef struct
{
  guint keys;   /* those that are there */
  char *prefix; /* (owned) (nullable) */
  char *space;  /* (owned) (nullable): what stands before the first colon */
  char *user;   /* (owned) (nullable) */
  char *kind;   /* (owned) (nullable) */
  gboolean blocked;
  gboolean stored;
  ChoirTaskState state;
  ChoirAdminOrder order;    /* taken out of the filter before it is parsed, and set afterwards */
  ChoirAdminGrowth *growth; /* borrowed (nullable): for the order by rate */
} ChoirAdminSelection;

/* %CHOIR_ERROR_VALIDATION, naming the key; then @self needs no clearing */
gboolean
choir_admin_selection_parse_users (ChoirAdminSelection *self, GVariant *dict, GError **error);
gboolean
choir_admin_selection_parse_channels (ChoirAdminSelection *self, GVariant *dict, GError **error);
gboolean
choir_admin_selection_parse_documents (ChoirAdminSelection *self, GVariant *dict, GError **error);
gboolean
choir_admin_selection_parse_tasks (ChoirAdminSelection *self, GVariant *dict, GError **error);
void choir_admin_selection_clear (ChoirAdminSelection *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ChoirAdminSelection, choir_admin_selection_clear)

gboolean choir_admin_selection_has_name (const ChoirAdminSelection *self, const char *name);

G_END_DECLS
