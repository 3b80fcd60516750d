/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "edit.h"

/* Creating: the next document that nobody has visited */
static void
visit_next (Edit *self, LoadEditor *editor)
{
  if (self->n_visited >= self->editors.n_documents)
    return;
  self->n_left[editor->client.index] = (guint64) self->n_changes;
  load_editors_open (&self->editors, editor, self->n_visited++);
}

static void
change_or_close (Edit *self, LoadEditor *editor)
{
  guint64 *n_left = &self->n_left[editor->client.index];

  while (*n_left > 0 && editor->n_in_flight < (guint) self->window)
    {
      load_editors_change (&self->editors, editor, load_now_ns ());
      (*n_left)--;
    }
  if (*n_left == 0 && editor->n_in_flight == 0)
    load_editors_close (&self->editors, editor);
}

static void
visit_cb (LoadEditors *editors, LoadEditor *editor, gpointer user_data)
{
  change_or_close (user_data, editor);
}

static void
visited_cb (LoadEditors *editors, LoadEditor *editor, gpointer user_data)
{
  visit_next (user_data, editor);
}

static gboolean
is_anybody_away (Edit *self)
{
  for (int i = 0; i < self->n; i++)
    if (self->editors.editors[i].stage != LOAD_STAGE_PRESENT)
      return TRUE;

  return FALSE;
}

static void
print_cpu (Edit *self, const EditReading *a, const EditReading *b, guint64 n)
{
  g_print ("done=%" G_GUINT64_FORMAT " cpu_us=%.3f per_s=%.0f self_busy=%.3f kib=%" G_GINT64_FORMAT
           "\n",
           n, (double) (b->cpu_ns - a->cpu_ns) / EDIT_NS_PER_US / (double) MAX (n, 1),
           (double) n * EDIT_NS_PER_S / (double) MAX (b->now_ns - a->now_ns, 1),
           (double) (b->self_ns - a->self_ns) / (double) MAX (b->now_ns - a->now_ns, 1),
           load_server_get_rss_kib (&self->server));
}

gboolean
edit_measure_create (gpointer user_data)
{
  Edit *self = user_data;
  gint64 deadline_ns = load_now_ns () + EDIT_PREPARE_NS;
  EditReading begin, end;

  self->editors.opened = visit_cb;
  self->editors.acknowledged = visit_cb;
  self->editors.closed = visited_cb;
  if (!load_editors_connect (&self->editors))
    return FALSE;
  begin = edit_read (self);
  for (int i = 0; i < self->n; i++)
    visit_next (self, &self->editors.editors[i]);
  while (is_anybody_away (self))
    if (!load_editors_run_until (&self->editors, deadline_ns) || load_now_ns () >= deadline_ns)
      {
        g_printerr ("%u of %u documents made\n", self->n_visited, self->editors.n_documents);
        return FALSE;
      }
  end = edit_read (self);
  print_cpu (self, &begin, &end, end.n_acknowledged);

  return TRUE;
}

/* The CPU time of writing to the disk behind a closed document belongs to it */
gboolean
edit_measure_open (gpointer user_data)
{
  Edit *self = user_data;
  LoadEditor *editor;
  gint64 n_times = MAX (self->n_changes, 1);
  EditReading begin, end;

  if (!load_editors_connect (&self->editors) || !edit_run_for (self, EDIT_SETTLE_S))
    return FALSE;
  editor = self->editors.editors;
  begin = edit_read (self);
  for (gint64 i = 0; i < n_times; i++)
    {
      load_editors_open (&self->editors, editor, 0);
      if (!edit_wait_for_open (self, 1))
        return FALSE;
      load_editors_close (&self->editors, editor);
      while (editor->stage != LOAD_STAGE_PRESENT)
        if (!load_editors_run_until (&self->editors, load_now_ns () + EDIT_TURN_NS))
          return FALSE;
    }
  if (!edit_run_for (self, self->idle))
    return FALSE;
  end = edit_read (self);
  print_cpu (self, &begin, &end, (guint64) n_times);

  return editor->length >= (gsize) self->size;
}

/* One document after the other, each client its share */
static void
let_go_cb (LoadEditors *editors, LoadEditor *editor, gpointer user_data)
{
  if (editor->document < editors->n)
    return;
  editor->document -= editors->n;
  load_editors_close (editors, editor);
}

static gboolean
let_go (Edit *self)
{
  gint64 deadline_ns = load_now_ns () + EDIT_PREPARE_NS;

  self->editors.closed = let_go_cb;
  for (int i = 0; i < self->n; i++)
    load_editors_close (&self->editors, &self->editors.editors[i]);
  while (is_anybody_away (self))
    if (!load_editors_run_until (&self->editors, deadline_ns) || load_now_ns () >= deadline_ns)
      return FALSE;

  return TRUE;
}

gboolean
edit_measure_hold (gpointer user_data)
{
  Edit *self = user_data;
  LoadEditors *editors = &self->editors;
  guint n_open = MAX (editors->n, editors->n_documents);
  gint64 before_kib, present_kib, open_kib, closed_kib;
  EditReading begin, end;

  before_kib = load_server_get_rss_kib (&self->server);
  if (!load_editors_connect (editors) || !edit_run_for (self, self->idle))
    return FALSE;
  present_kib = load_server_get_rss_kib (&self->server);
  begin = edit_read (self);
  if (!edit_open_all (self, self->rate))
    return FALSE;
  end = edit_read (self);
  if (!edit_run_for (self, self->idle))
    return FALSE;
  open_kib = load_server_get_rss_kib (&self->server);
  if (!let_go (self) || !edit_run_for (self, self->idle))
    return FALSE;
  closed_kib = load_server_get_rss_kib (&self->server);

  g_print ("done=%u cpu_us=%.3f before_kib=%" G_GINT64_FORMAT " present_kib=%" G_GINT64_FORMAT
           " open_kib=%" G_GINT64_FORMAT " closed_kib=%" G_GINT64_FORMAT "\n",
           n_open, (double) (end.cpu_ns - begin.cpu_ns) / EDIT_NS_PER_US / n_open, before_kib,
           present_kib, open_kib, closed_kib);

  return TRUE;
}
