/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-task-private.h"

#include "choir-clock.h"
#include "choir-container.h"
#include "choir-error.h"
#include "choir-payload.h"

#include <math.h>
#include <string.h>

/*
 * While a task runs it is leased to one worker, who has to say something before the lease runs out.
 * A lease that was lost while nobody else has got the task can be taken up again by its id.
 */

static void lose_lease (ChoirTask *task);

static void
timer_cb (ChoirTimer *timer)
{
  ChoirTask *task = CHOIR_CONTAINER_OF (timer, ChoirTask, timer);

  if (choir_clock_wall_us () >= task->created_us + task->timeout_us)
    choir_task_fail (task, CHOIR_ERROR_TIMEOUT,
                     task->state == CHOIR_TASK_QUEUED ? "Nobody took the task in time"
                                                      : "The task took too long",
                     "timeout");
  else if (task->state == CHOIR_TASK_RUNNING && choir_clock_monotonic_us () >= task->lease_due_us)
    lose_lease (task);
  else
    choir_task_arm (task, 0);
}

/**
 * choir_task_arm:
 * @task: one that has not ended
 * @at_least_us: not before this time has passed
 *
 * Sets its timer to what comes first: the end of its lease, or of its time.
 */
void
choir_task_arm (ChoirTask *task, gint64 at_least_us)
{
  gint64 left_us = task->created_us + task->timeout_us - choir_clock_wall_us ();

  if (task->state == CHOIR_TASK_RUNNING)
    left_us = MIN (left_us, task->lease_due_us - choir_clock_monotonic_us ());

  choir_timer_wheel_arm (choir_hub_get_wheel (task->table->hub), &task->timer,
                         MAX (left_us, at_least_us), timer_cb);
}

void
choir_task_renew_lease (ChoirTask *task)
{
  task->lease_due_us = choir_clock_monotonic_us () + task->table->lease_us;
  choir_task_arm (task, 0);
}

/* It waits again, before all others of its user */
static void
give_back (ChoirTask *task)
{
  ChoirTaskTable *table = task->table;

  table->n_running--;
  *choir_hub_get_stats (table->hub)->tasks_running -= 1;
  choir_task_queue_add (task, TRUE);
  choir_task_arm (task, 0);
  if (task->queue != NULL)
    choir_task_queue_match (table, task->queue);
}

/**
 * choir_task_lose_worker:
 * @task: a running task that no worker holds any more
 *
 * It waits again, or has failed if it has been given out too often.
 */
void
choir_task_lose_worker (ChoirTask *task)
{
  if (task->table == NULL || task->state != CHOIR_TASK_RUNNING)
    return;

  /* its end is being stored; should that fail, the lease is over */
  task->lease_due_us = choir_clock_monotonic_us ();
  if (task->flags & CHOIR_TASK_ENDING)
    return;

  *choir_hub_get_stats (task->table->hub)->tasks_lost += 1;
  if (choir_hub_is_draining (task->table->hub))
    {
      /* that is no fault of its worker's, who may come back and go on */
      task->attempt--;
      choir_task_store_released (task);
      give_back (task);
    }
  else if (task->attempt < task->table->max_attempts)
    give_back (task);
  else
    choir_task_fail (task, CHOIR_ERROR_UNAVAILABLE, "The workers that had the task were lost",
                     NULL);
}

static void
lose_lease (ChoirTask *task)
{
  ChoirTaskWorker *worker = task->worker;
  g_autoptr (ChoirTask) guard = choir_task_ref (task);

  if (worker != NULL)
    {
      /* or it would be given the same again, and as silently lose that */
      worker->silent = TRUE;
      /* it is told to stop, so it can't go on */
      guard->lease_id[0] = '\0';
      choir_task_worker_drop (worker, guard);
      choir_task_worker_offer (worker);
      choir_task_worker_ref (worker);
      if (worker->funcs->withdrawn != NULL)
        worker->funcs->withdrawn (worker, guard, "the lease has run out", worker->user_data);
      choir_task_worker_unref (worker);
    }

  choir_task_lose_worker (guard);
}

/* Somebody who had it goes on with it, before anybody else has got it */
static void
take_up (ChoirTask *task)
{
  choir_task_queue_remove (task);
  task->state = CHOIR_TASK_RUNNING;
  task->attempt = MAX (task->attempt, 1);
  task->flags |= CHOIR_TASK_DETACHED;
  task->table->n_running++;
  *choir_hub_get_stats (task->table->hub)->tasks_running += 1;
}

/* A worker that came back on another connection holds it from now on */
static void
move_to (ChoirTask *task, ChoirTaskWorker *worker)
{
  ChoirTaskWorker *former = task->worker;

  if (worker == NULL || former == worker)
    return;

  if (former != NULL)
    {
      choir_task_worker_drop (former, task);
      choir_task_worker_offer (former);
    }

  task->worker = worker;
  task->flags &= ~CHOIR_TASK_DETACHED;
  g_ptr_array_add (worker->tasks, task);
  choir_task_worker_offer (worker);
}

/* Whether who speaks has the task, or had it last and nobody has it now. A lease that is named
 * decides: it may be a former one of a worker that has the task again. */
static gboolean
is_holder (const ChoirTask *task, const ChoirTaskClaim *claim)
{
  if (claim->lease_id != NULL && *claim->lease_id != '\0')
    return strcmp (claim->lease_id, task->lease_id) == 0;

  return task->state == CHOIR_TASK_RUNNING && claim->worker != NULL &&
         task->worker == claim->worker;
}

/**
 * choir_task_table_claim:
 * @self: a table
 * @claim: who speaks for which task
 * @error: return location: %CHOIR_ERROR_NOT_FOUND, %CHOIR_ERROR_CONFLICT, %CHOIR_ERROR_UNAVAILABLE
 *
 * Renews the lease.
 *
 * Returns: (transfer none) (nullable): the task, which the one who speaks has now
 */
ChoirTask *
choir_task_table_claim (ChoirTaskTable *self, const ChoirTaskClaim *claim, GError **error)
{
  ChoirTask *task = choir_task_table_find (self, claim->task_id);

  if (self->loading)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE,
                           "Tasks are being loaded; try again shortly");
      return NULL;
    }

  if (task == NULL)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_NOT_FOUND, "There is no such task");
      return NULL;
    }

  if (choir_task_has_ended (task) || (task->flags & CHOIR_TASK_ENDING) || !is_holder (task, claim))
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_CONFLICT,
                           choir_task_has_ended (task) || (task->flags & CHOIR_TASK_ENDING)
                             ? "The task has ended"
                             : "The task is not yours, or no longer");
      return NULL;
    }

  if (task->state == CHOIR_TASK_QUEUED)
    take_up (task);
  move_to (task, claim->worker);
  choir_task_renew_lease (task);

  return task;
}

/**
 * choir_task_table_renew:
 * @self: a table
 * @claim: who speaks for which task
 * @error: return location: as choir_task_table_report()
 *
 * Renews the lease, and says nothing to anybody.
 *
 * Returns: %FALSE if the task is not the caller's any longer
 */
gboolean
choir_task_table_renew (ChoirTaskTable *self, const ChoirTaskClaim *claim, GError **error)
{
  return choir_task_table_claim (self, claim, error) != NULL;
}

/* contracts.md A and E: a figure in either of the customary ranges, 0-1 or 0-100 */
static gboolean
check_progress (ChoirSlice payload, GError **error)
{
  ChoirJsonValue value;
  double progress;

  if (!choir_json_slice_get (payload, "progress", &value) || value.kind == CHOIR_JSON_NULL)
    return TRUE;

  if (value.kind == CHOIR_JSON_NUMBER && choir_json_number_get_double (value.raw, &progress) &&
      isfinite (progress) && progress >= 0 && progress <= 100)
    return TRUE;

  g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                       "Field \"progress\" must be a number from 0 to 100");

  return FALSE;
}

/* Keeps the text for those who come later */
static gboolean
append_chunk (ChoirTask *task, ChoirSlice payload, GError **error)
{
  g_autofree char *content = NULL;
  ChoirJsonValue value;
  gsize len;

  if (!choir_json_slice_get (payload, "content", &value) || value.kind != CHOIR_JSON_STRING)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                           "Field \"content\" must be a string");
      return FALSE;
    }

  content = choir_json_string_dup (value.raw, value.raw.len);
  if (task->text == NULL)
    task->text = g_string_new (NULL);
  len = content != NULL ? strlen (content) : 0;
  if ((task->flags & CHOIR_TASK_CUT) || task->text->len + len > task->table->max_text)
    task->flags |= CHOIR_TASK_CUT;
  else
    g_string_append_len (task->text, content, len);

  return TRUE;
}

/* (nullable): the type itself, as a constant, if a worker may say so of what it is doing */
static const char *
find_report_type (const char *type)
{
  static const char *const types[] = {
    "task.started", "task.thinking", "task.progress", "task.tool", "task.chunk",
  };

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    if (strcmp (types[i], type) == 0)
      return types[i];

  return NULL;
}

/**
 * choir_task_table_report:
 * @self: a table
 * @claim: who speaks for which task
 * @type: what it says
 * @payload: the same in detail: raw JSON object
 * @error: return location: %CHOIR_ERROR_NOT_FOUND, %CHOIR_ERROR_CONFLICT, %CHOIR_ERROR_VALIDATION,
 * %CHOIR_ERROR_TOO_LARGE, %CHOIR_ERROR_UNAVAILABLE
 *
 * Tells the requester, and keeps it for those who come later. Renews the lease.
 *
 * Returns: %FALSE if nobody was told
 */
gboolean
choir_task_table_report (ChoirTaskTable *self,
                         const ChoirTaskClaim *claim,
                         const char *type,
                         ChoirSlice payload,
                         GError **error)
{
  const char *known = find_report_type (type);
  g_autoptr (GString) event = NULL;
  ChoirTask *task;

  if (known == NULL)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, "A worker can't say %s", type);
      return FALSE;
    }

  task = choir_task_table_claim (self, claim, error);
  if (task == NULL || !check_progress (payload, error))
    return FALSE;

  if (payload.len > self->max_text)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_TOO_LARGE, "The message is too large");
      return FALSE;
    }

  if (strcmp (known, "task.chunk") == 0 && !append_chunk (task, payload, error))
    return FALSE;

  event = choir_task_make_event (task, payload);
  choir_task_announce (task, known, choir_payload_as_slice (event));
  if (strcmp (known, "task.chunk") != 0)
    {
      if (task->event != NULL)
        g_string_free (task->event, TRUE);
      task->event = g_steal_pointer (&event);
      task->event_type = known;
    }

  return TRUE;
}
