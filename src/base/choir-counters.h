/* choir-counters.h: every figure the service shows, kept once
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Most label combinations a family keeps apart; later ones share the cell whose labels are all
 * "other" */
#define CHOIR_COUNTERS_CELLS_MAX 512

typedef struct _ChoirCounters ChoirCounters;
typedef struct _ChoirCounterFamily ChoirCounterFamily;
typedef struct _ChoirHistogram ChoirHistogram;

typedef enum
{
  CHOIR_COUNTER,
  CHOIR_GAUGE,
  CHOIR_HISTOGRAM,
} ChoirCounterKind;

typedef enum
{
  CHOIR_COUNTERS_OPENMETRICS, /* OpenMetrics 1.0, application/openmetrics-text */
  CHOIR_COUNTERS_PROMETHEUS,  /* what came before it, text/plain; version=0.0.4 */
} ChoirCountersFormat;

ChoirCounters *choir_counters_new (void);
void choir_counters_free (ChoirCounters *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirCounters, choir_counters_free)

/* @name is the full OpenMetrics name without the _total suffix, e.g. "websocket_messages";
 * @label_names is NULL-terminated (nullable). Asking again for the same name gives the same family.
 */
ChoirCounterFamily *choir_counters_add (ChoirCounters *self,
                                        ChoirCounterKind kind,
                                        const char *name,
                                        const char *unit,
                                        const char *help,
                                        const char *const *label_names);
/* histogram bucket upper bounds, ascending, copied */
ChoirCounterFamily *choir_counters_add_histogram (ChoirCounters *self,
                                                  const char *name,
                                                  const char *unit,
                                                  const char *help,
                                                  const char *const *label_names,
                                                  const double *bounds,
                                                  guint n_bounds);

/* The cell lives as long as the counters and is written directly (`*cell += n`); main thread only
 */
gint64 *choir_counter_family_get_cell (ChoirCounterFamily *family, const char *const *label_values);
gint64 *choir_counters_get_cell (ChoirCounters *self, const char *name, const char *label_value);
ChoirHistogram *choir_counter_family_get_histogram (ChoirCounterFamily *family,
                                                    const char *const *label_values);
void choir_histogram_record (ChoirHistogram *self, double value);
void choir_histogram_record_n (ChoirHistogram *self, double value, guint64 n);
guint64 choir_histogram_get_count (const ChoirHistogram *self);
double choir_histogram_get_sum (const ChoirHistogram *self);
double choir_histogram_get_quantile (const ChoirHistogram *self, double q);
/* For what was recorded in a while, which is the difference of two sums */
guint choir_histogram_get_n_buckets (const ChoirHistogram *self);
void choir_histogram_add_buckets (const ChoirHistogram *self, guint64 *sums);
double choir_histogram_estimate (const ChoirHistogram *self, const guint64 *buckets, double q);

void choir_counters_write_text (ChoirCounters *self, ChoirCountersFormat format, GString *out);
/* a{st}: by name, or name{label="value"}; what is below zero is 0, a histogram has its count, as
 * NAME_count; floating */
GVariant *choir_counters_to_numbers (ChoirCounters *self);

G_END_DECLS
