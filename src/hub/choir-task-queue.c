/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-task-private.h"

/*
 * What waits, by kind, and the workers that take it. A kind's queue is a ring of users, so that one
 * who asks for a hundred things does not keep the others waiting; each user's own tasks go in
 * order.
 */

/* Used by the queue's own table */
void
choir_task_queue_free (ChoirTaskQueue *self)
{
  GList *link;

  while ((link = g_queue_pop_head_link (&self->lines)) != NULL)
    g_free (link->data);
  g_hash_table_unref (self->users);
  g_free (self->kind);
  g_free (self);
}

/* (transfer none): the queue of a kind, made if there is none; choir_task_queue_release() it when
 * it may be of no use any more */
ChoirTaskQueue *
choir_task_queue_ensure (ChoirTaskTable *table, const char *kind)
{
  ChoirTaskQueue *self = g_hash_table_lookup (table->queues, kind);

  if (self != NULL)
    return self;

  self = g_new0 (ChoirTaskQueue, 1);
  self->kind = g_strdup (kind);
  self->users = g_hash_table_new (NULL, NULL);
  self->link.data = self;
  g_queue_init (&self->lines);
  g_queue_init (&self->offers);
  g_hash_table_insert (table->queues, self->kind, self);

  return self;
}

void
choir_task_queue_release (ChoirTaskTable *table, ChoirTaskQueue *self)
{
  if (self->lines.length == 0 && self->n_workers == 0)
    g_hash_table_remove (table->queues, self->kind);
}

static ChoirTaskLine *
ensure_line (ChoirTaskQueue *self, ChoirTaskUser *user)
{
  ChoirTaskLine *line = g_hash_table_lookup (self->users, user);

  if (line != NULL)
    return line;

  line = g_new0 (ChoirTaskLine, 1);
  line->user = user;
  line->link.data = line;
  g_queue_init (&line->tasks);
  g_queue_push_tail_link (&self->lines, &line->link);
  g_hash_table_insert (self->users, user, line);

  return line;
}

/**
 * choir_task_queue_add:
 * @task: a task of a table
 * @at_head: it was given out before, and is next
 *
 * It waits for a worker from now on.
 */
void
choir_task_queue_add (ChoirTask *task, gboolean at_head)
{
  ChoirTaskTable *table = task->table;
  ChoirTaskQueue *self = choir_task_queue_ensure (table, task->kind);
  ChoirTaskLine *line = ensure_line (self, task->user);

  if (self->lines.length == 1 && line->tasks.length == 0)
    g_queue_push_tail_link (&table->ring, &self->link);

  if (at_head)
    {
      g_queue_push_head_link (&line->tasks, &task->line_link);
      g_queue_unlink (&self->lines, &line->link);
      g_queue_push_head_link (&self->lines, &line->link);
    }
  else
    g_queue_push_tail_link (&line->tasks, &task->line_link);

  task->queue = self;
  task->state = CHOIR_TASK_QUEUED;
  table->n_queued++;
  *choir_hub_get_stats (table->hub)->tasks_queued += 1;
}

/**
 * choir_task_queue_remove:
 * @task: one that waits
 *
 * It waits no longer: somebody has taken it, or it has ended.
 */
void
choir_task_queue_remove (ChoirTask *task)
{
  ChoirTaskTable *table = task->table;
  ChoirTaskQueue *self = g_steal_pointer (&task->queue);
  ChoirTaskLine *line = g_hash_table_lookup (self->users, task->user);

  g_queue_unlink (&line->tasks, &task->line_link);
  table->n_queued--;
  *choir_hub_get_stats (table->hub)->tasks_queued -= 1;
  if (line->tasks.length > 0)
    return;

  g_queue_unlink (&self->lines, &line->link);
  g_hash_table_remove (self->users, line->user);
  g_free (line);
  if (self->lines.length > 0)
    return;

  g_queue_unlink (&table->ring, &self->link);
  choir_task_queue_release (table, self);
}

/**
 * choir_task_queue_peek:
 * @self: a queue
 *
 * Says what is next; the user's turn is over then.
 *
 * Returns: (transfer none) (nullable): a task that waits still
 */
ChoirTask *
choir_task_queue_peek (ChoirTaskQueue *self)
{
  ChoirTaskLine *line = g_queue_peek_head (&self->lines);

  if (line == NULL)
    return NULL;

  g_queue_unlink (&self->lines, &line->link);
  g_queue_push_tail_link (&self->lines, &line->link);

  return g_queue_peek_head (&line->tasks);
}

/* (nullable): who of those with a free slot has waited longest */
static ChoirTaskWorker *
find_worker (ChoirTaskTable *table, ChoirTaskQueue *self)
{
  ChoirTaskOffer *offer = g_queue_peek_head (&self->offers);

  if (offer == NULL)
    offer = g_queue_peek_head (&table->offers);

  return offer != NULL ? offer->worker : NULL;
}

/**
 * choir_task_table_gives:
 * @self: a table
 *
 * Returns: whether tasks are given out: not before all are read, and not when the service is about
 * to stop and every worker leaves
 */
gboolean
choir_task_table_gives (ChoirTaskTable *self)
{
  return !self->loading && !choir_hub_is_draining (self->hub);
}

/**
 * choir_task_queue_match:
 * @table: a table
 * @self: one of its queues
 *
 * Gives out what waits there as long as somebody takes it.
 */
void
choir_task_queue_match (ChoirTaskTable *table, ChoirTaskQueue *self)
{
  g_autofree char *kind = g_strdup (self->kind);

  /* what is given out may end at once, and the queue with it */
  while (choir_task_table_gives (table) &&
         (self = g_hash_table_lookup (table->queues, kind)) != NULL && self->lines.length > 0)
    {
      ChoirTaskWorker *worker = find_worker (table, self);

      if (worker == NULL)
        return;

      /* one that has no room after all offers nothing any more */
      choir_task_worker_offer (worker);
      if (worker->offering)
        choir_task_worker_assign (worker, choir_task_queue_peek (self));
    }
}

/* After the start: everybody who came meanwhile */
void
choir_task_table_match_all (ChoirTaskTable *self)
{
  g_autofree ChoirTaskWorker **workers = g_new (ChoirTaskWorker *, self->workers.length);
  guint n = 0;

  for (GList *link = self->workers.head; link != NULL; link = link->next)
    workers[n++] = choir_task_worker_ref (link->data);

  for (guint i = 0; i < n; i++)
    {
      choir_task_worker_fill (workers[i]);
      choir_task_worker_unref (workers[i]);
    }
}
