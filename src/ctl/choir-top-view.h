/* choir-top-view.h: what “choirctl top” can show, and how it looks
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-ctl-format.h"
#include "choir-ctl-table.h"

#include <gio/gio.h>

G_BEGIN_DECLS

#define CHOIR_TOP_COLUMNS_MAX 12
#define CHOIR_TOP_SORTS_MAX 6
/* Worked out from two samples, unless the service says it itself */
#define CHOIR_TOP_RATE_KEY "messages_per_s"

typedef struct
{
  const char *title; /* for translation */
  const char *key;   /* of the list's dictionaries */
  ChoirCtlKind kind;
  ChoirCtlColumn flags;
} ChoirTopColumn;

typedef struct
{
  const char *name;  /* for --view */
  const char *title; /* for translation */
  const char *method;
  const char *id;                                /* key that tells one from another */
  const char *counter;                           /* key whose growth is the rate */
  const char *nonzero;                           /* (nullable) key that must not be 0 */
  const char *sorts[CHOIR_TOP_SORTS_MAX];        /* until %NULL; the first is usual */
  ChoirTopColumn columns[CHOIR_TOP_COLUMNS_MAX]; /* until one without a title */
} ChoirTopView;

/* Ends with one without a name */
extern const ChoirTopView choir_top_views[];

const ChoirTopView *choir_top_view_find (const char *name);
int choir_top_view_find_sort (const ChoirTopView *self, const char *name);

char *choir_top_view_format_rows (const ChoirTopView *self,
                                  GVariant *rows,
                                  guint columns,
                                  gboolean with_titles);
#define CHOIR_TOP_HEADER_LINES 5
void choir_top_format_header (GPtrArray *lines, GVariant *stats, const char *name, guint columns);

G_END_DECLS
