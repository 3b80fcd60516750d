/* choir-counters-private.h: what counts, and what shows it
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-counters.h"

G_BEGIN_DECLS

struct _ChoirHistogram
{
  const double *bounds; /* of the family */
  guint n_bounds;
  guint64 count;
  double sum;
  guint64 buckets[]; /* n_bounds + 1, the last for what exceeds every bound; not cumulative */
};

typedef struct
{
  char *labels; /* (owned) as OpenMetrics writes them, without braces; "" when there are none */
  gint64 value;
  ChoirHistogram *histogram; /* (owned) (nullable) */
} ChoirCounterCell;

struct _ChoirCounterFamily
{
  ChoirCounterKind kind;
  char *name;        /* (owned) */
  char *unit;        /* (owned) (nullable) */
  char *help;        /* (owned) */
  char **labels;     /* (owned) label names */
  double *bounds;    /* (owned) (nullable) */
  GPtrArray *cells;  /* (element-type ChoirCounterCell) (owned), in the order they came up */
  GHashTable *index; /* (element-type utf8 ChoirCounterCell), by its labels */
  guint n_bounds;
};

struct _ChoirCounters
{
  GPtrArray *families; /* (element-type ChoirCounterFamily) (owned), as they are shown */
  GHashTable *index;   /* (element-type utf8 ChoirCounterFamily) */
  gint64 stray;        /* what a misspelt name counts into */
};

void choir_counters_append_escaped (GString *out, const char *text);

G_END_DECLS
