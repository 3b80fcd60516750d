/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-top-sample.h"

#include "choir-clock.h"

/* Two samples closer together than this tell nothing */
#define WINDOW_MIN_US (G_USEC_PER_SEC / 20)

/**
 * choir_top_question_get_arguments:
 * @self: which part of which list
 *
 * Returns: (transfer floating): what to call the view's method with
 */
GVariant *
choir_top_question_get_arguments (const ChoirTopQuestion *self)
{
  GVariantBuilder filter;

  g_variant_builder_init (&filter, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&filter, "{sv}", "sort",
                         g_variant_new_string (self->view->sorts[self->sort]));

  return g_variant_new ("(a{sv}uu)", &filter, self->offset, self->limit);
}

static guint64
get_count (GVariant *row, const char *key)
{
  guint64 large = 0;
  guint32 small = 0;

  if (!g_variant_lookup (row, key, "t", &large) && g_variant_lookup (row, key, "u", &small))
    large = small;

  return large;
}

/* (nullable) (transfer floating): the row with its rate; %NULL if it needs none or none is known */
static GVariant *
add_rate (ChoirTopSample *self, GVariant *row, const ChoirTopSample *before)
{
  guint64 count = get_count (row, self->view->counter);
  gint64 window_us = before != NULL ? self->taken_us - before->taken_us : 0;
  const guint64 *earlier;
  const char *id;
  GVariantDict out;

  if (!g_variant_lookup (row, self->view->id, "&s", &id))
    return NULL;

  g_hash_table_replace (self->counts, g_strdup (id), g_memdup2 (&count, sizeof count));
  if (before == NULL || before->view->counter != self->view->counter || window_us < WINDOW_MIN_US ||
      g_variant_lookup (row, CHOIR_TOP_RATE_KEY, "d", NULL))
    return NULL;

  earlier = g_hash_table_lookup (before->counts, id);
  if (earlier == NULL || *earlier > count)
    return NULL;

  g_variant_dict_init (&out, row);
  g_variant_dict_insert (&out, CHOIR_TOP_RATE_KEY, "d",
                         (double) (count - *earlier) * G_USEC_PER_SEC / (double) window_us);

  return g_variant_dict_end (&out);
}

static GVariant *
take_rows (ChoirTopSample *self, GVariant *rows, guint limit, const ChoirTopSample *before)
{
  GVariantBuilder out;

  g_variant_builder_init (&out, G_VARIANT_TYPE ("aa{sv}"));
  for (gsize i = 0; i < MIN (g_variant_n_children (rows), limit); i++)
    {
      g_autoptr (GVariant) row = g_variant_get_child_value (rows, i);
      GVariant *rated = add_rate (self, row, before);

      if (self->view->nonzero == NULL || get_count (row, self->view->nonzero) > 0)
        g_variant_builder_add_value (&out, rated != NULL ? rated : row);
      else if (rated != NULL)
        g_variant_unref (g_variant_ref_sink (rated));
    }

  return g_variant_ref_sink (g_variant_builder_end (&out));
}

/**
 * choir_top_sample_new:
 * @question: what was asked for
 * @stats_reply: the answer of GetStats()
 * @list_reply: the answer of the view's method
 * @before: (nullable): the sample before this one
 *
 * Returns: (transfer full): the sample
 */
ChoirTopSample *
choir_top_sample_new (const ChoirTopQuestion *question,
                      GVariant *stats_reply,
                      GVariant *list_reply,
                      const ChoirTopSample *before)
{
  ChoirTopSample *self = g_new0 (ChoirTopSample, 1);
  g_autoptr (GVariant) rows = g_variant_get_child_value (list_reply, 0);

  self->view = question->view;
  self->taken_us = choir_clock_monotonic_us ();
  self->stats = g_variant_get_child_value (stats_reply, 0);
  self->counts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->rows = take_rows (self, rows, question->limit, before);

  return self;
}

/**
 * choir_top_sample_free:
 * @self: (transfer full): a sample
 */
void
choir_top_sample_free (ChoirTopSample *self)
{
  g_variant_unref (self->stats);
  g_variant_unref (self->rows);
  g_hash_table_unref (self->counts);
  g_free (self);
}
