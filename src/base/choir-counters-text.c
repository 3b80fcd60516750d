/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-counters-private.h"

#include <string.h>

/**
 * choir_counters_append_escaped:
 * @out: where to
 * @text: what a label has, or a family's help says
 *
 * As OpenMetrics 1.0 has it in "escaped-string".
 */
void
choir_counters_append_escaped (GString *out, const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);

  for (const char *at = valid; *at != '\0'; at++)
    {
      if (*at == '\n')
        g_string_append (out, "\\n");
      else
        {
          if (*at == '\\' || *at == '"')
            g_string_append_c (out, '\\');
          g_string_append_c (out, *at);
        }
    }
}

/* The shortest text that reads back as @value, always recognisable as a float */
static void
append_double (GString *out, double value)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];

  for (int digits = 6; digits <= 17; digits++)
    {
      char format[8];

      g_snprintf (format, sizeof format, "%%.%dg", digits);
      g_ascii_formatd (text, sizeof text, format, value);

      if (!(g_ascii_strtod (text, NULL) < value || g_ascii_strtod (text, NULL) > value))
        break;
    }

  g_string_append (out, text);
  if (strpbrk (text, ".e") == NULL)
    g_string_append (out, ".0");
}

static void
append_name (GString *out,
             ChoirCounterFamily *family,
             const char *suffix,
             const ChoirCounterCell *cell)
{
  g_string_append_printf (out, "%s%s", family->name, suffix);
  if (*cell->labels != '\0')
    g_string_append_printf (out, "{%s}", cell->labels);
  g_string_append_c (out, ' ');
}

static void
append_bucket (GString *out,
               ChoirCounterFamily *family,
               const ChoirCounterCell *cell,
               guint i,
               guint64 cumulative)
{
  g_string_append_printf (out, "%s_bucket{%s%sle=\"", family->name, cell->labels,
                          *cell->labels != '\0' ? "," : "");

  if (i < family->n_bounds)
    append_double (out, family->bounds[i]);
  else
    g_string_append (out, "+Inf");

  g_string_append_printf (out, "\"} %" G_GUINT64_FORMAT "\n", cumulative);
}

static void
append_histogram (GString *out, ChoirCounterFamily *family, const ChoirCounterCell *cell)
{
  guint64 cumulative = 0;

  for (guint i = 0; i <= family->n_bounds; i++)
    {
      cumulative += cell->histogram->buckets[i];
      append_bucket (out, family, cell, i, cumulative);
    }

  append_name (out, family, "_count", cell);
  g_string_append_printf (out, "%" G_GUINT64_FORMAT "\n", cell->histogram->count);
  append_name (out, family, "_sum", cell);
  append_double (out, cell->histogram->sum);
  g_string_append_c (out, '\n');
}

static void
append_family (GString *out, ChoirCounterFamily *family, ChoirCountersFormat format)
{
  static const char *const kinds[] = { "counter", "gauge", "histogram" };
  const gboolean old = format == CHOIR_COUNTERS_PROMETHEUS;
  const char *suffix = family->kind == CHOIR_COUNTER ? "_total" : "";

  g_string_append_printf (out, "# TYPE %s%s %s\n", family->name, old ? suffix : "",
                          kinds[family->kind]);
  if (family->unit != NULL && !old)
    g_string_append_printf (out, "# UNIT %s %s\n", family->name, family->unit);
  g_string_append_printf (out, "# HELP %s%s ", family->name, old ? suffix : "");
  choir_counters_append_escaped (out, family->help);
  g_string_append_c (out, '\n');

  for (guint i = 0; i < family->cells->len; i++)
    {
      const ChoirCounterCell *cell = g_ptr_array_index (family->cells, i);

      if (family->kind == CHOIR_HISTOGRAM)
        append_histogram (out, family, cell);
      else
        {
          append_name (out, family, suffix, cell);
          g_string_append_printf (out, "%" G_GINT64_FORMAT "\n", cell->value);
        }
    }
}

/**
 * choir_counters_write_text:
 * @self: counters
 * @format: which of the two; in the older one a counter's family is called as its samples are
 * @out: where to append the whole text
 */
void
choir_counters_write_text (ChoirCounters *self, ChoirCountersFormat format, GString *out)
{
  for (guint i = 0; i < self->families->len; i++)
    append_family (out, g_ptr_array_index (self->families, i), format);

  if (format == CHOIR_COUNTERS_OPENMETRICS)
    g_string_append (out, "# EOF\n");
}

static void
add_family_to_numbers (ChoirCounterFamily *family, GVariantBuilder *builder)
{
  const char *suffix = family->kind == CHOIR_HISTOGRAM ? "_count" : "";

  for (guint i = 0; i < family->cells->len; i++)
    {
      const ChoirCounterCell *cell = g_ptr_array_index (family->cells, i);
      const gboolean has_labels = *cell->labels != '\0';
      g_autofree char *key =
        g_strdup_printf ("%s%s%s%s%s", family->name, suffix, has_labels ? "{" : "", cell->labels,
                         has_labels ? "}" : "");

      g_variant_builder_add (builder, "{st}", key,
                             cell->histogram != NULL ? cell->histogram->count
                                                     : (guint64) MAX (cell->value, 0));
    }
}

/**
 * choir_counters_to_numbers:
 * @self: counters
 *
 * Returns: (transfer floating): an `a{st}`
 */
GVariant *
choir_counters_to_numbers (ChoirCounters *self)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{st}"));
  for (guint i = 0; i < self->families->len; i++)
    add_family_to_numbers (g_ptr_array_index (self->families, i), &builder);

  return g_variant_builder_end (&builder);
}
