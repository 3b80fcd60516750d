/* choir-namespace.h: the rules shared by all channels of one kind
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-claims.h"
#include "choir-config.h"

G_BEGIN_DECLS

/**
 * ChoirNamespace:
 *
 * Who may subscribe and publish, how long history is kept and whether presence is shown, for every
 * channel whose name starts with it. Lives as long as its table; a reload changes it in place.
 */
typedef struct
{
  char *name; /* (owned) */
  ChoirAccessPolicy subscribe;
  ChoirAccessPolicy publish;
  guint history_size;
  gint64 history_age_us;
  gboolean persist;
  guint replay;
  guint8 priority;
  gboolean presence;
  guint presence_limit;
  guint max_channels;
  guint n_channels; /* in memory now */
} ChoirNamespace;

typedef struct _ChoirNamespaceTable ChoirNamespaceTable;

ChoirNamespaceTable *choir_namespace_table_new (ChoirConfig *config);
void choir_namespace_table_free (ChoirNamespaceTable *self);
void choir_namespace_table_configure (ChoirNamespaceTable *self, ChoirConfig *config);
ChoirNamespace *choir_namespace_table_lookup (ChoirNamespaceTable *self, const char *channel);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirNamespaceTable, choir_namespace_table_free)

gboolean choir_namespace_allows (const ChoirNamespace *self,
                                 const ChoirClaims *claims,
                                 const char *session_id,
                                 const char *channel,
                                 ChoirPermission wanted);

G_END_DECLS
