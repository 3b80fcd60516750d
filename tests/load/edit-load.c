/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "edit.h"

#define DRAIN_NS (G_GINT64_CONSTANT (10) * 1000 * 1000 * 1000)

static double
get_quantile_us (const LoadHistogram *histogram, double q)
{
  return (double) load_histogram_get_quantile_ns (histogram, q) / EDIT_NS_PER_US;
}

static gboolean
may_send (Edit *self)
{
  return self->sending && (self->n_allowed == 0 || self->editors.n_sent < self->n_allowed);
}

/* Durable: what was acknowledged makes room for the next */
static void
acknowledged_cb (LoadEditors *editors, LoadEditor *editor, gpointer user_data)
{
  if (may_send (user_data))
    load_editors_change (editors, editor, load_now_ns ());
}

static void
fill_windows (Edit *self)
{
  for (int round = 0; round < self->window; round++)
    for (int i = 0; i < self->n_active; i++)
      {
        LoadEditor *editor = &self->editors.editors[(gint64) i * self->n / self->n_active];

        if (may_send (self))
          load_editors_change (&self->editors, editor, load_now_ns ());
      }
}

/* Sends what has become due; the next is due at @next_due_ns then */
static void
send_due (Edit *self)
{
  gint64 step_ns = (gint64) (EDIT_NS_PER_S * self->burst / (self->rate * self->n));

  for (; self->next_due_ns <= load_now_ns (); self->next_due_ns += step_ns)
    for (int i = 0; i < self->burst; i++)
      {
        LoadEditor *editor = &self->editors.editors[self->next];

        self->next = (self->next + 1) % (guint) self->n;
        if (editor->n_in_flight < (guint) self->window)
          load_editors_change (&self->editors, editor, self->next_due_ns);
        else
          self->n_skipped++;
      }
}

static gboolean
run_load (Edit *self, double seconds)
{
  gint64 deadline_ns = load_now_ns () + (gint64) (seconds * EDIT_NS_PER_S);

  while (load_now_ns () < deadline_ns)
    {
      gint64 turn_ns = MIN (load_now_ns () + EDIT_TURN_NS, deadline_ns);

      if (self->rate > 0)
        send_due (self);
      if (self->rate > 0)
        turn_ns = MIN (turn_ns, self->next_due_ns);
      if (!load_editors_run_until (&self->editors, turn_ns))
        return FALSE;
      if (self->n_allowed > 0 && self->editors.n_acknowledged >= self->n_allowed)
        return TRUE;
    }

  return TRUE;
}

/* Everything is acknowledged, and everybody has got it */
static gboolean
is_quiet (Edit *self)
{
  LoadEditors *editors = &self->editors;

  for (guint i = 0; i < editors->n; i++)
    {
      LoadEditor *editor = &editors->editors[i];

      if (editor->n_in_flight > 0 || editor->version != editors->editors[editor->document].version)
        return FALSE;
    }

  return TRUE;
}

static gboolean
drain (Edit *self)
{
  gint64 deadline_ns = load_now_ns () + DRAIN_NS;

  while (!is_quiet (self) && load_now_ns () < deadline_ns)
    if (!load_editors_run_until (&self->editors, load_now_ns () + EDIT_TURN_NS))
      return FALSE;
  if (!is_quiet (self))
    g_printerr ("Not everybody has got everything\n");

  return is_quiet (self);
}

static void
print_load (Edit *self, const EditReading *a, const EditReading *b)
{
  LoadEditors *editors = &self->editors;
  guint64 n_changes = b->n_acknowledged - a->n_acknowledged;
  guint64 n_delivered = b->n_delivered - a->n_delivered;
  double wall_ns = (double) MAX (b->now_ns - a->now_ns, 1);
  double cpu_us = (double) (b->cpu_ns - a->cpu_ns) / EDIT_NS_PER_US;

  g_print ("done=%" G_GUINT64_FORMAT " per_s=%.0f delivered_per_s=%.0f cpu_us=%.3f reader_us=%.3f "
           "ack_p50_us=%.0f ack_p99_us=%.0f all_p50_us=%.0f all_p99_us=%.0f all_max_us=%.0f "
           "all=%" G_GUINT64_FORMAT " skipped=%" G_GUINT64_FORMAT " busy=%.3f self_busy=%.3f\n",
           n_changes, (double) n_changes * EDIT_NS_PER_S / wall_ns,
           (double) n_delivered * EDIT_NS_PER_S / wall_ns, cpu_us / (double) MAX (n_changes, 1),
           cpu_us / (double) MAX (n_changes + n_delivered, 1), get_quantile_us (&editors->ack, 0.5),
           get_quantile_us (&editors->ack, 0.99), get_quantile_us (&editors->everyone, 0.5),
           get_quantile_us (&editors->everyone, 0.99),
           (double) editors->worst_everyone_ns / EDIT_NS_PER_US, editors->n_everyone,
           self->n_skipped, (double) (b->cpu_ns - a->cpu_ns) / wall_ns,
           (double) (b->self_ns - a->self_ns) / wall_ns);
}

/* With a number of changes there is no warming up: each of them is counted, to the last delivery */
gboolean
edit_measure_load (gpointer user_data)
{
  Edit *self = user_data;
  gboolean exact = self->n_changes > 0, paced = self->rate > 0, good;
  EditReading begin, end;

  if (!paced)
    self->editors.acknowledged = acknowledged_cb;
  if (!load_editors_connect (&self->editors) || !edit_open_all (self, 0) ||
      !edit_run_for (self, EDIT_SETTLE_S))
    return FALSE;
  self->sending = TRUE;
  self->next_due_ns = load_now_ns ();
  self->n_allowed = (guint64) self->n_changes;
  if (!exact && !paced)
    fill_windows (self);
  if (!exact && !run_load (self, self->warmup))
    return FALSE;

  begin = edit_read (self);
  self->editors.measuring = TRUE;
  self->editors.measured_from_ns = begin.now_ns;
  if (exact)
    fill_windows (self);
  good = run_load (self, self->seconds);
  self->sending = FALSE;
  if (exact)
    good = good && drain (self);
  end = edit_read (self);
  good = good && drain (self);
  if (exact && self->editors.n_sent != self->n_allowed)
    {
      g_printerr ("Sent only %" G_GUINT64_FORMAT " changes\n", self->editors.n_sent);
      return FALSE;
    }
  print_load (self, &begin, &end);

  return good && end.n_acknowledged > begin.n_acknowledged;
}
