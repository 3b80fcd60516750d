/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-ctl-table.h"

/* Between two columns */
#define GAP 2
/* What is left of a column that is cut says at least how it begins */
#define SHRUNK_MIN 8

typedef struct
{
  char *title; /* (owned) */
  ChoirCtlColumn flags;
  guint natural; /* width of the widest cell */
  guint width;   /* what it gets; 0: not shown */
} Column;

typedef struct
{
  char *text; /* (owned), clean */
  ChoirCtlStyle style;
} Cell;

struct _ChoirCtlTable
{
  GArray *columns; /* (owned) (element-type Column) */
  GArray *cells;   /* (owned) (element-type Cell) row by row */
};

static void
column_clear (gpointer data)
{
  g_free (((Column *) data)->title);
}

static void
cell_clear (gpointer data)
{
  g_free (((Cell *) data)->text);
}

/**
 * choir_ctl_table_new:
 *
 * Returns: (transfer full): a table without columns
 */
ChoirCtlTable *
choir_ctl_table_new (void)
{
  ChoirCtlTable *self = g_new0 (ChoirCtlTable, 1);

  self->columns = g_array_new (FALSE, TRUE, sizeof (Column));
  g_array_set_clear_func (self->columns, column_clear);
  self->cells = g_array_new (FALSE, TRUE, sizeof (Cell));
  g_array_set_clear_func (self->cells, cell_clear);

  return self;
}

/**
 * choir_ctl_table_free:
 * @self: (transfer full): a table
 */
void
choir_ctl_table_free (ChoirCtlTable *self)
{
  g_array_unref (self->columns);
  g_array_unref (self->cells);
  g_free (self);
}

static Column *
get_column (ChoirCtlTable *self, guint i)
{
  return &g_array_index (self->columns, Column, i);
}

/**
 * choir_ctl_table_add_column:
 * @self: a table without rows
 * @title: what stands above it, translated
 * @flags: how it is laid out
 *
 * Where the terminal is too narrow for all of them, the last ones are left out: the first should
 * be the one that names the row.
 */
void
choir_ctl_table_add_column (ChoirCtlTable *self, const char *title, ChoirCtlColumn flags)
{
  const Column column = {
    .title = g_strdup (title),
    .flags = flags,
    .natural = choir_ctl_text_width (title),
  };

  g_return_if_fail (self->cells->len == 0);

  g_array_append_val (self->columns, column);
}

/**
 * choir_ctl_table_add_cell:
 * @self: a table
 * @text: (nullable): the text, from whomever; %NULL is shown as a dash
 * @style: what it is
 *
 * Fills the next place: row by row, from the first column to the last.
 */
void
choir_ctl_table_add_cell (ChoirCtlTable *self, const char *text, ChoirCtlStyle style)
{
  const Cell cell = { choir_ctl_clean (text != NULL && *text != '\0' ? text : "-"), style };
  Column *column = get_column (self, self->cells->len % self->columns->len);
  guint width = choir_ctl_text_width (cell.text);

  column->natural = MAX (column->natural, width);
  g_array_append_val (self->cells, cell);
}

/**
 * choir_ctl_table_get_n_rows:
 * @self: a table
 *
 * Returns: rows that have been begun, without the titles
 */
guint
choir_ctl_table_get_n_rows (ChoirCtlTable *self)
{
  guint n_columns = self->columns->len;

  return n_columns > 0 ? (self->cells->len + n_columns - 1) / n_columns : 0;
}

static guint
measure (ChoirCtlTable *self)
{
  guint total = 0;

  for (guint i = 0; i < self->columns->len; i++)
    if (get_column (self, i)->width > 0)
      total += get_column (self, i)->width + (total > 0 ? GAP : 0);

  return total;
}

/* The widest column that may still give something */
static Column *
find_widest (ChoirCtlTable *self)
{
  Column *widest = NULL;

  for (guint i = 0; i < self->columns->len; i++)
    {
      Column *column = get_column (self, i);

      if ((column->flags & CHOIR_CTL_SHRINK) && column->width > SHRUNK_MIN &&
          (widest == NULL || column->width > widest->width))
        widest = column;
    }

  return widest;
}

/* The widest give first; then the last columns go; then the first is cut */
static void
fit (ChoirCtlTable *self, guint columns)
{
  Column *widest;

  for (guint i = 0; i < self->columns->len; i++)
    get_column (self, i)->width = get_column (self, i)->natural;

  if (columns == 0)
    return;

  while (measure (self) > columns && (widest = find_widest (self)) != NULL)
    widest->width--;

  for (guint i = self->columns->len - 1; i > 0 && measure (self) > columns; i--)
    get_column (self, i)->width = 0;

  if (measure (self) > columns)
    get_column (self, 0)->width = columns;
}

/* What the left-out columns had taken, the ones that were cut get back */
static void
widen (ChoirCtlTable *self, guint columns)
{
  for (guint i = 0; columns > 0 && i < self->columns->len; i++)
    {
      Column *column = get_column (self, i);
      guint total = measure (self);

      if (column->width > 0 && column->width < column->natural && total < columns)
        column->width = MIN (column->natural, column->width + columns - total);
    }
}

static void
append_cell (GString *out,
             const Column *column,
             const char *text,
             ChoirCtlStyle style,
             gboolean last)
{
  g_autofree char *cut = choir_ctl_text_cut (text, column->width);
  guint width = choir_ctl_text_width (cut);
  guint padding = column->width > width ? column->width - width : 0;

  if (column->flags & CHOIR_CTL_RIGHT)
    g_string_append_printf (out, "%*s", (int) padding, "");
  g_string_append (out, choir_ctl_style (style));
  g_string_append (out, cut);
  g_string_append (out, choir_ctl_style_end (style));
  if (!(column->flags & CHOIR_CTL_RIGHT) && !last)
    g_string_append_printf (out, "%*s", (int) padding, "");
}

static void
append_row (ChoirCtlTable *self, GString *out, const Cell *cells, guint n_shown)
{
  for (guint i = 0; i < n_shown; i++)
    {
      const Column *column = get_column (self, i);
      gboolean last = i + 1 == n_shown;

      if (cells != NULL)
        append_cell (out, column, cells[i].text, cells[i].style, last);
      else
        append_cell (out, column, column->title, CHOIR_CTL_HEADING, last);
      if (!last)
        g_string_append_printf (out, "%*s", GAP, "");
    }
  g_string_append_c (out, '\n');
}

/**
 * choir_ctl_table_format:
 * @self: a table with at least one column and whole rows
 * @columns: the terminal's width; 0 to cut nothing
 * @with_titles: whether the titles are wanted
 *
 * Returns: (transfer full): the lines
 */
char *
choir_ctl_table_format (ChoirCtlTable *self, guint columns, gboolean with_titles)
{
  GString *out = g_string_new (NULL);
  guint n_columns = self->columns->len;
  guint n_shown = n_columns;

  fit (self, columns);
  widen (self, columns);
  while (n_shown > 1 && get_column (self, n_shown - 1)->width == 0)
    n_shown--;

  if (with_titles)
    append_row (self, out, NULL, n_shown);
  for (guint i = 0; i + n_columns <= self->cells->len; i += n_columns)
    append_row (self, out, &g_array_index (self->cells, Cell, i), n_shown);

  return g_string_free (out, FALSE);
}

/**
 * choir_ctl_table_print:
 * @self: a table with at least one column and whole rows
 * @with_titles: whether the titles are wanted
 *
 * Prints it: within the terminal's width if that is where it goes, in full if it is not.
 */
void
choir_ctl_table_print (ChoirCtlTable *self, gboolean with_titles)
{
  g_autofree char *text = choir_ctl_table_format (
    self, choir_ctl_is_terminal () ? choir_ctl_get_columns () : 0, with_titles);

  choir_ctl_print ("%s", text);
}
