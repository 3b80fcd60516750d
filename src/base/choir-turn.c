/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-turn.h"

/* One source for all tasks: GLib asks every source on every turn */
typedef struct
{
  GSource source;
  ChoirTurn *turn; /* borrowed */
} TurnSource;

struct _ChoirTurn
{
  GSource *source;    /* (owned) */
  GPtrArray *waiting; /* (element-type ChoirTurnTask): borrowed; one that was cancelled is NULL */
  GPtrArray *running; /* likewise */
};

static void
run (ChoirTurn *self)
{
  GPtrArray *tasks = self->waiting;

  /* what is asked for meanwhile belongs to the next turn */
  self->waiting = self->running;
  self->running = tasks;

  for (guint i = 0; i < tasks->len; i++)
    {
      ChoirTurnTask *task = g_ptr_array_index (tasks, i);

      if (task == NULL)
        continue;

      /* from now on it may go, or be asked for again */
      tasks->pdata[i] = NULL;
      task->turn = NULL;
      task->func (task);
    }

  g_ptr_array_set_size (tasks, 0);
}

/* By asking, not by a ready time: GLib wakes the loop whenever one is set */
static gboolean
turn_check (GSource *source)
{
  return ((TurnSource *) source)->turn->waiting->len > 0;
}

static gboolean
turn_prepare (GSource *source, int *timeout_ms)
{
  *timeout_ms = -1;

  return turn_check (source);
}

static gboolean
turn_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  run (((TurnSource *) source)->turn);

  return G_SOURCE_CONTINUE;
}

static GSourceFuncs turn_funcs = { turn_prepare, turn_check, turn_dispatch, NULL, NULL, NULL };

/**
 * choir_turn_new:
 * @context: (nullable): the main context whose turns are meant
 *
 * Returns: (transfer full): a turn at whose end nothing has to be done
 */
ChoirTurn *
choir_turn_new (GMainContext *context)
{
  ChoirTurn *self = g_new0 (ChoirTurn, 1);

  self->waiting = g_ptr_array_new ();
  self->running = g_ptr_array_new ();
  self->source = g_source_new (&turn_funcs, sizeof (TurnSource));
  ((TurnSource *) self->source)->turn = self;
  g_source_set_static_name (self->source, "ChoirTurn");
  g_source_set_can_recurse (self->source, TRUE);
  g_source_attach (self->source, context);

  return self;
}

/**
 * choir_turn_free:
 * @self: a turn for which no task waits any more
 */
void
choir_turn_free (ChoirTurn *self)
{
  for (guint i = 0; i < self->waiting->len; i++)
    g_assert (g_ptr_array_index (self->waiting, i) == NULL);

  g_source_destroy (self->source);
  g_source_unref (self->source);
  g_ptr_array_unref (self->waiting);
  g_ptr_array_unref (self->running);
  g_free (self);
}

/**
 * choir_turn_ask:
 * @self: a turn
 * @task: what is to be done; if it waits already, nothing changes
 * @func: does it, once, when whatever else is ready now has had its turn
 */
void
choir_turn_ask (ChoirTurn *self, ChoirTurnTask *task, ChoirTurnFunc func)
{
  if (task->turn != NULL)
    return;

  task->turn = self;
  task->func = func;
  task->index = self->waiting->len;
  g_ptr_array_add (self->waiting, task);
}

/**
 * choir_turn_cancel:
 * @task: a task, waiting or not
 */
void
choir_turn_cancel (ChoirTurnTask *task)
{
  ChoirTurn *self = task->turn;
  GPtrArray *tasks;

  if (self == NULL)
    return;

  tasks = self->waiting;
  if (task->index >= tasks->len || g_ptr_array_index (tasks, task->index) != task)
    tasks = self->running;

  g_assert (g_ptr_array_index (tasks, task->index) == task);
  tasks->pdata[task->index] = NULL;
  task->turn = NULL;
}
