/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-counters-private.h"

#include <math.h>

/**
 * ChoirCounters:
 *
 * Families by name, each with cells by label values. Whoever counts looks a cell up once and keeps
 * the pointer; adding to it is all a hot path does. Text is made only when somebody reads.
 */

static const double default_bounds[] = { 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                         0.1,    0.25,  0.5,    1,     2.5,  5,     10 };

static void
cell_free (gpointer data)
{
  ChoirCounterCell *cell = data;

  g_free (cell->labels);
  g_free (cell->histogram);
  g_free (cell);
}

static void
family_free (gpointer data)
{
  ChoirCounterFamily *family = data;

  g_hash_table_unref (family->index);
  g_ptr_array_unref (family->cells);
  g_strfreev (family->labels);
  g_free (family->bounds);
  g_free (family->name);
  g_free (family->unit);
  g_free (family->help);
  g_free (family);
}

/**
 * choir_counters_new:
 *
 * Returns: (transfer full): counters without families
 */
ChoirCounters *
choir_counters_new (void)
{
  ChoirCounters *self = g_new0 (ChoirCounters, 1);

  self->families = g_ptr_array_new_with_free_func (family_free);
  self->index = g_hash_table_new (g_str_hash, g_str_equal);
  return self;
}

/**
 * choir_counters_free:
 * @self: (transfer full): counters; their cells and families go with them
 */
void
choir_counters_free (ChoirCounters *self)
{
  g_hash_table_unref (self->index);
  g_ptr_array_unref (self->families);
  g_free (self);
}

/* OpenMetrics 1.0, "Unit": a family with a unit ends in it */
static gboolean
is_unit_of (const char *unit, const char *name)
{
  g_autofree char *suffix = NULL;

  if (unit == NULL || *unit == '\0')
    return FALSE;

  suffix = g_strconcat ("_", unit, NULL);
  if (g_str_has_suffix (name, suffix))
    return TRUE;

  g_critical ("The family %s does not end in its unit %s", name, unit);
  return FALSE;
}

static ChoirCounterFamily *
add_family (ChoirCounters *self,
            ChoirCounterKind kind,
            const char *name,
            const char *unit,
            const char *help,
            const char *const *label_names)
{
  ChoirCounterFamily *family = g_new0 (ChoirCounterFamily, 1);

  family->kind = kind;
  family->name = g_strdup (name);
  family->unit = is_unit_of (unit, name) ? g_strdup (unit) : NULL;
  family->help = g_strdup (help != NULL ? help : "");
  family->labels = label_names != NULL ? g_strdupv ((char **) label_names) : g_new0 (char *, 1);
  family->cells = g_ptr_array_new_with_free_func (cell_free);
  family->index = g_hash_table_new (g_str_hash, g_str_equal);

  g_ptr_array_add (self->families, family);
  g_hash_table_insert (self->index, family->name, family);
  return family;
}

static ChoirCounterFamily *
find_family (ChoirCounters *self, ChoirCounterKind kind, const char *name)
{
  ChoirCounterFamily *family = g_hash_table_lookup (self->index, name);

  if (family != NULL && family->kind != kind)
    g_critical ("The family %s was added as another kind", name);

  return family;
}

/**
 * choir_counters_add:
 * @self: counters
 * @kind: what it is; a histogram gets bounds fit for latencies in seconds
 * @name: the OpenMetrics name without "_total"
 * @unit: (nullable): like "bytes"; @name must end in it
 * @help: (nullable): one sentence
 * @label_names: (nullable) (array zero-terminated=1): its labels
 *
 * Returns: (transfer none): the family, the same for the same @name
 */
ChoirCounterFamily *
choir_counters_add (ChoirCounters *self,
                    ChoirCounterKind kind,
                    const char *name,
                    const char *unit,
                    const char *help,
                    const char *const *label_names)
{
  ChoirCounterFamily *family = find_family (self, kind, name);

  if (kind == CHOIR_HISTOGRAM)
    return choir_counters_add_histogram (self, name, unit, help, label_names, default_bounds,
                                         G_N_ELEMENTS (default_bounds));

  return family != NULL ? family : add_family (self, kind, name, unit, help, label_names);
}

/**
 * choir_counters_add_histogram:
 * @self: counters
 * @name: the OpenMetrics name
 * @unit: (nullable): like "seconds"; @name must end in it
 * @help: (nullable): one sentence
 * @label_names: (nullable) (array zero-terminated=1): its labels, not "le"
 * @bounds: (array length=n_bounds): upper bounds of the buckets, ascending, without infinity
 * @n_bounds: how many
 *
 * Returns: (transfer none): the family, the same for the same @name
 */
ChoirCounterFamily *
choir_counters_add_histogram (ChoirCounters *self,
                              const char *name,
                              const char *unit,
                              const char *help,
                              const char *const *label_names,
                              const double *bounds,
                              guint n_bounds)
{
  ChoirCounterFamily *family = find_family (self, CHOIR_HISTOGRAM, name);

  if (family != NULL)
    return family;

  family = add_family (self, CHOIR_HISTOGRAM, name, unit, help, label_names);
  family->bounds = g_memdup2 (bounds, n_bounds * sizeof (double));
  family->n_bounds = n_bounds;
  return family;
}

/* @values NULL: "other" for every label; a short array leaves the later labels empty */
static char *
make_labels (ChoirCounterFamily *family, const char *const *values)
{
  GString *out = g_string_new (NULL);
  gboolean ended = FALSE;

  for (guint i = 0; family->labels[i] != NULL; i++)
    {
      const char *value = values == NULL ? "other" : ended ? "" : values[i];

      ended = ended || value == NULL;
      g_string_append_printf (out, "%s%s=\"", i > 0 ? "," : "", family->labels[i]);
      choir_counters_append_escaped (out, value != NULL ? value : "");
      g_string_append_c (out, '"');
    }

  return g_string_free (out, FALSE);
}

static ChoirCounterCell *
add_cell (ChoirCounterFamily *family, char *labels)
{
  ChoirCounterCell *cell = g_new0 (ChoirCounterCell, 1);

  cell->labels = labels;

  if (family->kind == CHOIR_HISTOGRAM)
    {
      cell->histogram =
        g_malloc0 (sizeof (ChoirHistogram) + (family->n_bounds + 1) * sizeof (guint64));
      cell->histogram->bounds = family->bounds;
      cell->histogram->n_bounds = family->n_bounds;
    }

  g_ptr_array_add (family->cells, cell);
  g_hash_table_insert (family->index, cell->labels, cell);
  return cell;
}

static ChoirCounterCell *
ensure_cell (ChoirCounterFamily *family, const char *const *values)
{
  g_autofree char *labels = make_labels (family, values);
  ChoirCounterCell *cell = g_hash_table_lookup (family->index, labels);

  if (cell != NULL)
    return cell;

  /* the last place is kept for "other" */
  if (values != NULL && family->labels[0] != NULL &&
      family->cells->len >= CHOIR_COUNTERS_CELLS_MAX - 1)
    return ensure_cell (family, NULL);

  return add_cell (family, g_steal_pointer (&labels));
}

/**
 * choir_counter_family_get_cell:
 * @family: a counter or gauge
 * @label_values: (nullable) (array): a value for each label; %NULL means "other" for all
 *
 * Returns: (transfer none): where to count; valid as long as the counters are
 */
gint64 *
choir_counter_family_get_cell (ChoirCounterFamily *family, const char *const *label_values)
{
  return &ensure_cell (family, label_values)->value;
}

/**
 * choir_counters_get_cell:
 * @self: counters
 * @name: a counter or gauge with at most one label
 * @label_value: (nullable): the label's value
 *
 * Returns: (transfer none): where to count; valid as long as @self is
 */
gint64 *
choir_counters_get_cell (ChoirCounters *self, const char *name, const char *label_value)
{
  ChoirCounterFamily *family = g_hash_table_lookup (self->index, name);
  const char *values[] = { label_value, NULL };

  /* counting must not be what stops the service */
  g_return_val_if_fail (family != NULL, &self->stray);
  g_return_val_if_fail (g_strv_length (family->labels) <= 1, &self->stray);

  return choir_counter_family_get_cell (family, values);
}

/**
 * choir_counter_family_get_histogram:
 * @family: a histogram family
 * @label_values: (nullable) (array): a value for each label; %NULL means "other" for all
 *
 * Returns: (transfer none): the histogram; valid as long as the counters are
 */
ChoirHistogram *
choir_counter_family_get_histogram (ChoirCounterFamily *family, const char *const *label_values)
{
  g_return_val_if_fail (family->kind == CHOIR_HISTOGRAM, NULL);

  return ensure_cell (family, label_values)->histogram;
}

/**
 * choir_histogram_record:
 * @self: a histogram
 * @value: what was measured
 */
void
choir_histogram_record (ChoirHistogram *self, double value)
{
  choir_histogram_record_n (self, value, 1);
}

/**
 * choir_histogram_record_n:
 * @self: a histogram
 * @value: what was measured; below zero counts as zero and what is no number is left out, since
 *   OpenMetrics forbids both under a sum
 * @n: how often
 */
void
choir_histogram_record_n (ChoirHistogram *self, double value, guint64 n)
{
  guint low = 0;
  guint high = self->n_bounds;

  if (!isfinite (value))
    return;

  value = MAX (value, 0.0);

  while (low < high)
    {
      const guint middle = (low + high) / 2;

      if (value <= self->bounds[middle])
        high = middle;
      else
        low = middle + 1;
    }

  self->buckets[low] += n;
  self->count += n;
  self->sum += value * (double) n;
}

/**
 * choir_histogram_get_count:
 * @self: a histogram
 *
 * Returns: how many values it has
 */
guint64
choir_histogram_get_count (const ChoirHistogram *self)
{
  return self->count;
}

/**
 * choir_histogram_get_sum:
 * @self: a histogram
 *
 * Returns: the sum of its values
 */
double
choir_histogram_get_sum (const ChoirHistogram *self)
{
  return self->sum;
}

/**
 * choir_histogram_get_quantile:
 * @self: a histogram
 * @q: from 0 to 1
 *
 * Assumes values lie evenly in their bucket; what exceeds every bound counts as the last bound.
 *
 * Returns: about the value that a share @q of all does not exceed; 0 when there are none
 */
double
choir_histogram_get_quantile (const ChoirHistogram *self, double q)
{
  return choir_histogram_estimate (self, self->buckets, q);
}

/**
 * choir_histogram_get_n_buckets:
 * @self: a histogram
 *
 * Returns: how many it has, with the one for what exceeds every bound
 */
guint
choir_histogram_get_n_buckets (const ChoirHistogram *self)
{
  return self->n_bounds + 1;
}

/**
 * choir_histogram_add_buckets:
 * @self: a histogram
 * @sums: choir_histogram_get_n_buckets() numbers: how many values are in each is added
 */
void
choir_histogram_add_buckets (const ChoirHistogram *self, guint64 *sums)
{
  for (guint i = 0; i <= self->n_bounds; i++)
    sums[i] += self->buckets[i];
}

/**
 * choir_histogram_estimate:
 * @self: whose bounds they have
 * @buckets: choir_histogram_get_n_buckets() numbers of values
 * @q: from 0 to 1
 *
 * Returns: choir_histogram_get_quantile() of @buckets
 */
double
choir_histogram_estimate (const ChoirHistogram *self, const guint64 *buckets, double q)
{
  guint64 count = 0;
  double below = 0.0;
  double wanted;

  for (guint i = 0; i <= self->n_bounds; i++)
    count += buckets[i];
  wanted = CLAMP (q, 0.0, 1.0) * (double) count;

  for (guint i = 0; i < self->n_bounds; i++)
    {
      const double here = (double) buckets[i];
      const double from = i > 0 ? self->bounds[i - 1] : 0.0;

      if (here > 0.0 && below + here >= wanted)
        return from + (self->bounds[i] - from) * (wanted - below) / here;

      below += here;
    }

  return count > 0 && self->n_bounds > 0 ? self->bounds[self->n_bounds - 1] : 0.0;
}
