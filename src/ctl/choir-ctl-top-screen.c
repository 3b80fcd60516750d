/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* What “choirctl top” draws, and the keys it takes. */

#include "config.h"

#include "choir-ctl-top.h"

#include <glib/gi18n.h>
#include <string.h>

/* Below the header a line for notes and one that says what the table is; the table's titles */
#define LINES_ABOVE (CHOIR_TOP_HEADER_LINES + 3)
#define ENTER '\r'
#define LINE_FEED '\n'
#define BACKSPACE 0x08
#define DELETE 0x7f

/**
 * choir_top_get_room:
 * @self: one on a terminal
 *
 * Returns: how many rows of the table fit, at least one
 */
guint
choir_top_get_room (ChoirTop *self)
{
  guint columns, rows;

  choir_screen_get_size (self->screen, &columns, &rows);

  return CLAMP (rows, LINES_ABOVE + 1, LINES_ABOVE + CHOIR_TOP_ROWS_MAX) - LINES_ABOVE;
}

static char *
style_line (const char *text, guint columns, ChoirCtlStyle style)
{
  g_autofree char *cut = choir_ctl_text_cut (text, columns);

  return g_strconcat (choir_ctl_style (style), cut, choir_ctl_style_end (style), NULL);
}

static void
add_help (GPtrArray *lines, guint columns)
{
  static const char *const help[] = {
    N_ ("1-4, Tab      connections, users, slow consumers, channels"),
    N_ ("s             sort by something else"),
    N_ ("↑ ↓ PgUp PgDn Home   move in the table"),
    N_ ("Space         look again now"),
    N_ ("d             time between two looks"),
    N_ ("h ?           this help"),
    N_ ("q             the end"),
  };

  g_ptr_array_add (lines, g_strdup (""));
  for (guint i = 0; i < G_N_ELEMENTS (help); i++)
    g_ptr_array_add (lines, style_line (_ (help[i]), columns, CHOIR_CTL_PLAIN));
}

static char *
dup_note (ChoirTop *self)
{
  if (self->with_prompt)
    return g_strdup_printf (_ ("Seconds between two looks: %s_"), self->typed);

  return g_strdup (self->note != NULL ? self->note : "");
}

static char *
dup_title (ChoirTop *self)
{
  const ChoirTopQuestion *question = &self->question;
  g_autofree char *place =
    question->offset > 0 ? g_strdup_printf (_ (", from %u"), question->offset + 1) : g_strdup ("");

  return g_strdup_printf (_ ("%s by %s%s; every %.1f s; h: help"), _ (question->view->title),
                          question->view->sorts[question->sort], place,
                          (double) self->interval_us / G_USEC_PER_SEC);
}

static void
add_table (ChoirTop *self, GPtrArray *lines, guint columns)
{
  g_autofree char *text =
    choir_top_view_format_rows (self->sample->view, self->sample->rows, columns, TRUE);
  g_auto (GStrv) rows = g_strsplit (text, "\n", -1);

  for (char **row = rows; *row != NULL && **row != '\0'; row++)
    g_ptr_array_add (lines, g_strdup (*row));
}

/**
 * choir_top_draw:
 * @self: one on a terminal, with a sample
 */
void
choir_top_draw (ChoirTop *self)
{
  g_autoptr (GPtrArray) lines = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *note = dup_note (self);
  g_autofree char *title = dup_title (self);
  guint columns, rows;

  choir_screen_get_size (self->screen, &columns, &rows);
  choir_top_format_header (lines, self->sample->stats, self->name, columns);
  g_ptr_array_add (lines, style_line (note, columns, CHOIR_CTL_WARNING));
  if (self->with_help)
    add_help (lines, columns);
  else
    {
      g_ptr_array_add (lines, style_line (title, columns, CHOIR_CTL_FAINT));
      add_table (self, lines, columns);
    }

  if (lines->len > rows)
    g_ptr_array_set_size (lines, (int) rows);
  g_ptr_array_add (lines, NULL);
  choir_screen_draw (self->screen, (char **) lines->pdata);
}

/* Keys */

static void
choose_view (ChoirTop *self, guint i)
{
  self->question.view = &choir_top_views[i];
  self->question.sort = 0;
  self->question.offset = 0;
  choir_top_ask (self);
}

static void
choose_next_view (ChoirTop *self, gboolean forward)
{
  guint now = (guint) (self->question.view - choir_top_views);
  guint last = now;

  while (choir_top_views[last + 1].name != NULL)
    last++;

  if (forward)
    choose_view (self, now < last ? now + 1 : 0);
  else
    choose_view (self, now > 0 ? now - 1 : last);
}

static void
choose_next_sort (ChoirTop *self)
{
  ChoirTopQuestion *question = &self->question;

  question->sort++;
  if (question->sort == CHOIR_TOP_SORTS_MAX || question->view->sorts[question->sort] == NULL)
    question->sort = 0;
  question->offset = 0;
  choir_top_ask (self);
}

static void
move (ChoirTop *self, int by)
{
  gint64 offset = (gint64) self->question.offset + by;
  gsize n_shown = g_variant_n_children (self->sample->rows);

  /* behind the last page there is nothing */
  if (by > 0 && n_shown < choir_top_get_room (self))
    return;

  self->question.offset = (guint) CLAMP (offset, 0, G_MAXINT);
  choir_top_ask (self);
}

static void
end_prompt (ChoirTop *self)
{
  char *end;
  double seconds = g_ascii_strtod (self->typed, &end);
  gint64 interval_us = seconds < 1e6 ? (gint64) (seconds * G_USEC_PER_SEC) : G_MAXINT64;

  self->with_prompt = FALSE;
  if (*self->typed == '\0')
    return;

  if (*end != '\0' || interval_us < CHOIR_TOP_INTERVAL_MIN_US ||
      interval_us > CHOIR_TOP_INTERVAL_MAX_US)
    self->note = _ ("That is no time between 0.1 and 3600 seconds");
  else
    {
      self->interval_us = interval_us;
      choir_top_ask (self);
    }
}

static void
take_typed (ChoirTop *self, guint key)
{
  gsize len = strlen (self->typed);

  if (key == ENTER || key == LINE_FEED)
    end_prompt (self);
  else if ((key == BACKSPACE || key == DELETE) && len > 0)
    self->typed[len - 1] = '\0';
  else if (key < 0x80 && (g_ascii_isdigit (key) || key == '.') && len + 1 < sizeof self->typed)
    {
      self->typed[len] = (char) key;
      self->typed[len + 1] = '\0';
    }
  else if (key < 0x80)
    self->with_prompt = FALSE;
}

static void
begin_prompt (ChoirTop *self)
{
  self->with_prompt = TRUE;
  self->typed[0] = '\0';
}

static void
take_letter (ChoirTop *self, guint key)
{
  switch (key)
    {
    case '1':
    case '2':
    case '3':
    case '4':
      choose_view (self, key - '1');
      break;
    case '\t':
      choose_next_view (self, TRUE);
      break;
    case 's':
      choose_next_sort (self);
      break;
    case ' ':
      choir_top_ask (self);
      break;
    case 'd':
      begin_prompt (self);
      break;
    case 'h':
    case '?':
      self->with_help = TRUE;
      break;
    default:
      self->note = _ ("That key does nothing; h shows those that do");
    }
}

static void
take_key (ChoirTop *self, guint key)
{
  int page = (int) choir_top_get_room (self);

  switch (key)
    {
    case CHOIR_KEY_UP:
      move (self, -1);
      break;
    case CHOIR_KEY_DOWN:
      move (self, 1);
      break;
    case CHOIR_KEY_PAGE_UP:
      move (self, -page);
      break;
    case CHOIR_KEY_PAGE_DOWN:
      move (self, page);
      break;
    case CHOIR_KEY_HOME:
      move (self, -G_MAXINT);
      break;
    case CHOIR_KEY_LEFT:
      choose_next_view (self, FALSE);
      break;
    case CHOIR_KEY_RIGHT:
      choose_next_view (self, TRUE);
      break;
    case CHOIR_KEY_RESIZE:
      choir_top_ask (self);
      break;
    case CHOIR_KEY_LAST:
      break;
    default:
      take_letter (self, key);
    }
}

/**
 * choir_top_key:
 * @key: what was pressed
 * @user_data: the #ChoirTop
 */
void
choir_top_key (guint key, gpointer user_data)
{
  ChoirTop *self = user_data;

  if (key == CHOIR_KEY_END || (key == 'q' && !self->with_prompt))
    {
      g_main_loop_quit (self->loop.loop);
      return;
    }

  if (key != CHOIR_KEY_RESIZE)
    self->note = NULL;

  if (self->with_prompt && key != CHOIR_KEY_RESIZE)
    take_typed (self, key);
  else if (self->with_help && key != CHOIR_KEY_RESIZE)
    self->with_help = FALSE;
  else
    take_key (self, key);

  choir_top_draw (self);
}
