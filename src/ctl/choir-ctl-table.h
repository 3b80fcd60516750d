/* choir-ctl-table.h: rows and columns that fit the terminal
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-ctl-output.h"

G_BEGIN_DECLS

typedef enum
{
  CHOIR_CTL_LEFT = 0,
  CHOIR_CTL_RIGHT = 1 << 0,  /* numbers */
  CHOIR_CTL_SHRINK = 1 << 1, /* may be cut with an ellipsis where the terminal is too narrow */
} ChoirCtlColumn;

typedef struct _ChoirCtlTable ChoirCtlTable;

ChoirCtlTable *choir_ctl_table_new (void);
void choir_ctl_table_free (ChoirCtlTable *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirCtlTable, choir_ctl_table_free)

void choir_ctl_table_add_column (ChoirCtlTable *self, const char *title, ChoirCtlColumn flags);
void choir_ctl_table_add_cell (ChoirCtlTable *self, const char *text, ChoirCtlStyle style);
guint choir_ctl_table_get_n_rows (ChoirCtlTable *self);
char *choir_ctl_table_format (ChoirCtlTable *self, guint columns, gboolean with_titles);
void choir_ctl_table_print (ChoirCtlTable *self, gboolean with_titles);

G_END_DECLS
