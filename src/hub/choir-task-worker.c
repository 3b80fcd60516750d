/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-task-private.h"

#include "choir-clock.h"
#include "choir-error.h"

#include <string.h>

/**
 * choir_task_worker_new:
 * @table: where the tasks are
 * @funcs: what it is told; must outlive it
 * @user_data: for @funcs
 *
 * Returns: (transfer full): a worker that takes nothing before choir_task_worker_pull()
 */
ChoirTaskWorker *
choir_task_worker_new (ChoirTaskTable *table, const ChoirTaskWorkerFuncs *funcs, gpointer user_data)
{
  ChoirTaskWorker *self = g_new0 (ChoirTaskWorker, 1);

  self->ref_count = 1;
  self->table = table;
  self->funcs = funcs;
  self->user_data = user_data;
  self->tasks = g_ptr_array_new ();
  self->link.data = self;
  g_queue_push_tail_link (&table->workers, &self->link);

  return self;
}

ChoirTaskWorker *
choir_task_worker_ref (ChoirTaskWorker *self)
{
  self->ref_count++;

  return self;
}

void
choir_task_worker_unref (ChoirTaskWorker *self)
{
  if (--self->ref_count > 0)
    return;

  g_strfreev (self->kinds);
  g_free (self->offers);
  g_ptr_array_unref (self->tasks);
  g_free (self);
}

static GQueue *
get_offers (ChoirTaskWorker *self, ChoirTaskOffer *offer)
{
  return offer->queue != NULL ? &offer->queue->offers : &self->table->offers;
}

static void
withdraw_offers (ChoirTaskWorker *self)
{
  for (guint i = 0; self->offering && i < self->n_offers; i++)
    g_queue_unlink (get_offers (self, &self->offers[i]), &self->offers[i].link);

  self->offering = FALSE;
}

/* Whether it could take one more */
static gboolean
has_room (ChoirTaskWorker *self)
{
  return self->table != NULL && !self->silent && self->tasks->len < self->slots &&
         (self->funcs->has_room == NULL || self->funcs->has_room (self, self->user_data));
}

/**
 * choir_task_worker_offer:
 * @self: a worker that has given up or been given a task
 *
 * Puts it behind everybody else who waits for work, if it waits.
 */
void
choir_task_worker_offer (ChoirTaskWorker *self)
{
  withdraw_offers (self);
  if (!has_room (self))
    return;

  for (guint i = 0; i < self->n_offers; i++)
    g_queue_push_tail_link (get_offers (self, &self->offers[i]), &self->offers[i].link);

  self->offering = TRUE;
}

static void
clear_kinds (ChoirTaskWorker *self)
{
  withdraw_offers (self);
  for (guint i = 0; i < self->n_offers; i++)
    {
      ChoirTaskQueue *queue = self->offers[i].queue;

      if (queue == NULL)
        {
          self->table->n_any--;
          continue;
        }

      queue->n_workers--;
      choir_task_queue_release (self->table, queue);
    }

  self->n_offers = 0;
  self->next_offer = 0;
  g_clear_pointer (&self->offers, g_free);
  g_clear_pointer (&self->kinds, g_strfreev);
}

static void
set_kinds (ChoirTaskWorker *self, const char *const *kinds)
{
  clear_kinds (self);
  self->kinds = g_strdupv ((char **) kinds);
  self->offers = g_new0 (ChoirTaskOffer, g_strv_length (self->kinds));

  for (char **kind = self->kinds; *kind != NULL; kind++)
    {
      ChoirTaskOffer *offer = &self->offers[self->n_offers];

      /* named twice it would be waited for twice */
      if (g_strv_contains ((const char *const *) kind + 1, *kind))
        continue;

      offer->worker = self;
      offer->link.data = offer;
      if (strcmp (*kind, "*") == 0)
        self->table->n_any++;
      else
        {
          offer->queue = choir_task_queue_ensure (self->table, *kind);
          offer->queue->n_workers++;
        }
      self->n_offers++;
    }
}

static gboolean
check_kinds (const char *const *kinds, GError **error)
{
  guint n = g_strv_length ((char **) kinds);
  gboolean valid = n > 0 && n <= CHOIR_TASK_KINDS_MAX;

  for (guint i = 0; valid && i < n; i++)
    valid = strcmp (kinds[i], "*") == 0 || choir_task_is_kind (kinds[i], strlen (kinds[i]));

  if (!valid)
    g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                 "\"kinds\" must be 1-%d names of 1-%d printable ASCII characters without spaces",
                 CHOIR_TASK_KINDS_MAX, CHOIR_TASK_KIND_MAX);

  return valid;
}

/**
 * choir_task_worker_pull:
 * @self: a worker
 * @kinds: (array zero-terminated=1): what it does; `*` for everything
 * @slots: how many tasks it may hold at a time; 0: it takes no more
 * @error: return location: %CHOIR_ERROR_VALIDATION
 *
 * Replaces what it said before. What waits is assigned before this returns.
 *
 * Returns: %FALSE if that can't be; nothing has changed then
 */
gboolean
choir_task_worker_pull (ChoirTaskWorker *self,
                        const char *const *kinds,
                        guint slots,
                        GError **error)
{
  if (self->table == NULL)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE, "The service is stopping");
      return FALSE;
    }

  if (!check_kinds (kinds, error))
    return FALSE;

  if (slots > self->table->max_slots)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, "\"slots\" must be at most %u",
                   self->table->max_slots);
      return FALSE;
    }

  set_kinds (self, kinds);
  self->slots = slots;
  self->silent = FALSE;
  choir_task_worker_fill (self);

  return TRUE;
}

/* (nullable): what it is to do next */
static ChoirTask *
find_task (ChoirTaskWorker *self)
{
  for (guint i = 0; i < self->n_offers; i++)
    {
      const ChoirTaskOffer *offer = &self->offers[(self->next_offer + i) % self->n_offers];
      ChoirTaskQueue *queue = offer->queue;

      if (queue == NULL && self->table->ring.length > 0)
        {
          GList *link = g_queue_pop_head_link (&self->table->ring);

          g_queue_push_tail_link (&self->table->ring, link);
          queue = link->data;
        }

      if (queue != NULL && queue->lines.length > 0)
        {
          self->next_offer = (self->next_offer + i + 1) % self->n_offers;
          return choir_task_queue_peek (queue);
        }
    }

  return NULL;
}

/**
 * choir_task_worker_fill:
 * @self: a worker
 *
 * Gives it what waits, up to its slots; if that is not enough it waits for more. It may go while
 * that happens.
 */
void
choir_task_worker_fill (ChoirTaskWorker *self)
{
  choir_task_worker_offer (self);
  choir_task_worker_ref (self);

  /* with each task it may go */
  while (has_room (self) && choir_task_table_gives (self->table))
    {
      ChoirTask *task = find_task (self);

      if (task == NULL)
        break;

      choir_task_worker_assign (self, task);
    }

  choir_task_worker_unref (self);
}

static void
take_lease (ChoirTask *task)
{
  ChoirStats *stats = choir_hub_get_stats (task->table->hub);

  if (task->attempt == 0)
    choir_histogram_record (stats->task_wait,
                            (choir_clock_wall_us () - task->created_us) / (double) G_USEC_PER_SEC);

  choir_task_give_up (task);
  task->attempt++;
  task->state = CHOIR_TASK_RUNNING;
  choir_id_generate (task->lease_id);
  task->table->n_running++;
  *stats->tasks_running += 1;
  choir_task_renew_lease (task);
}

/**
 * choir_task_worker_assign:
 * @self: a worker with a free slot
 * @task: one that waits
 *
 * Gives it the task. It may go while that happens.
 */
void
choir_task_worker_assign (ChoirTaskWorker *self, ChoirTask *task)
{
  g_autoptr (ChoirTask) guard = choir_task_ref (task);

  choir_task_queue_remove (guard);
  guard->worker = self;
  guard->flags &= ~CHOIR_TASK_DETACHED;
  g_ptr_array_add (self->tasks, guard);
  choir_task_worker_offer (self);
  take_lease (guard);

  self->funcs->assigned (self, guard, self->user_data);

  /* only now it is known how it is held */
  if (guard->table != NULL && guard->state == CHOIR_TASK_RUNNING)
    choir_task_store_assigned (guard);
}

/**
 * choir_task_worker_drop:
 * @self: a worker
 * @task: one it holds
 *
 * It holds it no longer; the caller says what becomes of it, and lets the worker have another.
 */
void
choir_task_worker_drop (ChoirTaskWorker *self, ChoirTask *task)
{
  g_ptr_array_remove (self->tasks, task);
  task->worker = NULL;
}

/* It is there, and said something */
void
choir_task_worker_heard (ChoirTaskWorker *self)
{
  if (self->offering || self->table == NULL)
    return;

  self->silent = FALSE;
  choir_task_worker_fill (self);
}

/**
 * choir_task_worker_leave:
 * @self: a worker without tasks
 *
 * The table knows it no longer, or is about to go itself.
 */
void
choir_task_worker_leave (ChoirTaskWorker *self)
{
  if (self->table == NULL)
    return;

  clear_kinds (self);
  g_queue_unlink (&self->table->workers, &self->link);
  self->table = NULL;
}

/**
 * choir_task_worker_free:
 * @self: (transfer full): a worker that is gone
 *
 * What it has goes back to the queue, the oldest foremost.
 */
void
choir_task_worker_free (ChoirTaskWorker *self)
{
  g_autoptr (GPtrArray) tasks = g_ptr_array_new_with_free_func ((GDestroyNotify) choir_task_unref);

  for (guint i = 0; i < self->tasks->len; i++)
    {
      ChoirTask *task = g_ptr_array_index (self->tasks, i);

      task->worker = NULL;
      g_ptr_array_add (tasks, choir_task_ref (task));
    }

  g_ptr_array_set_size (self->tasks, 0);
  choir_task_worker_leave (self);
  choir_task_worker_unref (self);

  for (guint i = tasks->len; i-- > 0;)
    choir_task_lose_worker (g_ptr_array_index (tasks, i));
}

/**
 * choir_task_worker_detach:
 * @self: (transfer full): a worker that comes back only to speak for its tasks
 *
 * What it has stays leased: whoever knows the lease's id goes on with it.
 */
void
choir_task_worker_detach (ChoirTaskWorker *self)
{
  for (guint i = 0; i < self->tasks->len; i++)
    {
      ChoirTask *task = g_ptr_array_index (self->tasks, i);

      task->worker = NULL;
      task->flags |= CHOIR_TASK_DETACHED;
    }

  g_ptr_array_set_size (self->tasks, 0);
  choir_task_worker_leave (self);
  choir_task_worker_unref (self);
}

guint
choir_task_worker_get_n_tasks (const ChoirTaskWorker *self)
{
  return self->tasks->len;
}

/**
 * choir_task_worker_get_task:
 * @self: a worker
 * @i: below choir_task_worker_get_n_tasks()
 *
 * Returns: (transfer none): a task it holds
 */
ChoirTask *
choir_task_worker_get_task (const ChoirTaskWorker *self, guint i)
{
  return g_ptr_array_index (self->tasks, i);
}

/**
 * choir_task_worker_get_kinds:
 * @self: a worker
 *
 * Returns: (transfer none) (nullable): what it takes
 */
const char *const *
choir_task_worker_get_kinds (const ChoirTaskWorker *self)
{
  return (const char *const *) self->kinds;
}
