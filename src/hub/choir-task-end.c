/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-task-private.h"

#include "choir-clock.h"
#include "choir-container.h"
#include "choir-error.h"
#include "choir-observer.h"
#include "choir-payload.h"

#include <string.h>

/*
 * How tasks end. Whoever decides it first wins: from then on the task is ENDING and nothing else
 * can be said of it. When the store has it, it has ended, and everybody is told; if the store can't
 * take it, nothing has happened.
 */

/* What ended tasks may take while what became of them can be asked */
#define KEPT_MAX 10000
#define KEPT_BYTES_MAX (64 * 1024 * 1024)
/* Forgotten at a time; what is due later than that waits its turn */
#define FORGET_MAX 256
#define FORGET_PAUSE_US (100 * 1000)
/* An end the service decided and could not store is tried again after this */
#define RETRY_US G_USEC_PER_SEC

/**
 * choir_task_end:
 * @task: one that has not ended and is not about to
 * @ending: (transfer full): how
 *
 * Ends it as soon as the store has that. One whose request is being stored ends after that.
 */
void
choir_task_end (ChoirTask *task, ChoirTaskEnding *ending)
{
  task->ending = ending;
  task->flags |= CHOIR_TASK_ENDING;
  choir_timer_disarm (&task->timer);
  if (task->queue != NULL)
    choir_task_queue_remove (task);

  if (!(task->flags & CHOIR_TASK_STORING))
    choir_task_end_now (task);
}

void
choir_task_end_now (ChoirTask *task)
{
  task->ended_us = choir_clock_wall_us ();
  choir_task_store_ending (task);
}

/**
 * choir_task_fail:
 * @task: one that has not ended and is not about to
 * @code: %CHOIR_ERROR_TIMEOUT, or %CHOIR_ERROR_UNAVAILABLE for a worker that was lost
 * @message: told to the requester
 * @reason: (nullable): told to the worker, a constant
 *
 * The service itself finds that it has failed.
 */
void
choir_task_fail (ChoirTask *task, ChoirError code, const char *message, const char *reason)
{
  g_autoptr (GString) said = g_string_new (NULL);
  ChoirTaskEnding *ending;

  choir_payload_open (said);
  choir_payload_add_string (
    said, "code", code == CHOIR_ERROR_UNAVAILABLE ? "WORKER_LOST" : choir_error_get_code (code));
  choir_payload_add_string (said, "message", message);
  choir_payload_close (said);

  ending = choir_task_ending_new (CHOIR_TASK_FAILED,
                                  choir_task_make_event (task, choir_payload_as_slice (said)));
  ending->reason = reason;
  choir_task_end (task, ending);
}

static void
answer (ChoirTaskEnding *ending, ChoirTask *task, const GError *error)
{
  ChoirTaskSettledFunc done = ending->done;

  ending->done = NULL;
  if (done != NULL)
    done (task, error, ending->user_data);
}

/* The store did not take it: it goes on as before */
static void
resume (ChoirTask *task, const GError *error)
{
  g_autoptr (ChoirTaskEnding) ending = g_steal_pointer (&task->ending);

  task->flags &= ~CHOIR_TASK_ENDING;
  task->ended_us = 0;
  if (task->table != NULL)
    {
      if (task->state == CHOIR_TASK_QUEUED)
        choir_task_queue_add (task, TRUE);
      choir_task_arm (task, RETRY_US);
      if (task->queue != NULL)
        choir_task_queue_match (task->table, task->queue);
    }

  answer (ending, task, error);
}

static void
count_end (ChoirTask *task)
{
  ChoirStats *stats = choir_hub_get_stats (task->table->hub);

  *stats->tasks_ended[task->ending->state] += 1;
  choir_histogram_record (stats->task_duration,
                          (task->ended_us - task->created_us) / (double) G_USEC_PER_SEC);
}

static void
free_worker_slot (ChoirTask *task)
{
  ChoirTaskWorker *worker = task->worker;
  const ChoirTaskEnding *ending = task->ending;
  const char *reason = ending->own_reason != NULL ? ending->own_reason : ending->reason;

  if (worker == NULL)
    return;

  choir_task_worker_ref (worker);
  choir_task_worker_drop (worker, task);
  if (reason != NULL && worker->funcs->withdrawn != NULL)
    worker->funcs->withdrawn (worker, task, reason, worker->user_data);
  choir_task_worker_fill (worker);
  choir_task_worker_unref (worker);
}

/**
 * choir_task_ended:
 * @task: one that is ending
 * @error: (nullable): why that could not be stored
 *
 * Called when the store has it, or has refused it.
 */
void
choir_task_ended (ChoirTask *task, const GError *error)
{
  g_autoptr (ChoirTask) guard = choir_task_ref (task);

  /* answered when the table went */
  if (!(guard->flags & CHOIR_TASK_ENDING))
    return;

  if (error != NULL || guard->table == NULL)
    {
      g_autoptr (GError) gone =
        g_error_new_literal (CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE, "The service is stopping");

      resume (guard, error != NULL ? error : gone);
      return;
    }

  count_end (guard);
  if (guard->state == CHOIR_TASK_RUNNING)
    {
      guard->table->n_running--;
      *choir_hub_get_stats (guard->table->hub)->tasks_running -= 1;
    }
  guard->state = guard->ending->state;
  guard->flags &= ~CHOIR_TASK_ENDING;
  guard->user->n_unfinished--;
  guard->table->n_bytes -= guard->payload_len;
  choir_task_give_up (guard);

  choir_task_announce_end (guard);
  if (guard->state == CHOIR_TASK_FAILED)
    choir_hub_report_task_failed (guard->table->hub, guard,
                                  choir_payload_as_slice (guard->ending->payload));
  choir_task_table_leave_places (guard->table, guard);
  answer (guard->ending, guard, NULL);
  choir_task_table_keep (guard->table, guard);
  free_worker_slot (guard);
}

static gboolean
is_too_much (const ChoirTaskTable *self)
{
  return self->ended.length > KEPT_MAX || self->ended_bytes > KEPT_BYTES_MAX;
}

static void
forget_oldest (ChoirTaskTable *self)
{
  GList *link = g_queue_pop_head_link (&self->ended);
  ChoirTask *task = link->data;

  self->ended_bytes -= choir_task_get_size (task);
  choir_task_store_delete (self, task->id);
  choir_task_table_forget (self, task);
}

static void arm_forgetting (ChoirTaskTable *self);

static void
forget_cb (ChoirTimer *timer)
{
  ChoirTaskTable *self = CHOIR_CONTAINER_OF (timer, ChoirTaskTable, ended_timer);
  gint64 now_us = choir_clock_wall_us ();

  for (guint i = 0; i < FORGET_MAX && self->ended.length > 0; i++)
    {
      const ChoirTask *oldest = g_queue_peek_head (&self->ended);

      if (now_us - oldest->ended_us < self->keep_us && !is_too_much (self))
        break;

      forget_oldest (self);
    }

  arm_forgetting (self);
}

static void
arm_forgetting (ChoirTaskTable *self)
{
  const ChoirTask *oldest = g_queue_peek_head (&self->ended);
  gint64 left_us;

  if (oldest == NULL)
    return;

  left_us = oldest->ended_us + self->keep_us - choir_clock_wall_us ();
  if (is_too_much (self))
    left_us = 0;
  choir_timer_wheel_arm (choir_hub_get_wheel (self->hub), &self->ended_timer,
                         MAX (left_us, FORGET_PAUSE_US), forget_cb);
}

/**
 * choir_task_table_keep:
 * @self: a table
 * @task: one that has ended
 *
 * What became of it can be asked for `task.keep`, or until much has ended since.
 */
void
choir_task_table_keep (ChoirTaskTable *self, ChoirTask *task)
{
  gboolean was_too_much = is_too_much (self);

  g_queue_push_tail_link (&self->ended, &task->ended_link);
  self->ended_bytes += choir_task_get_size (task);

  /* the first that is too much sets the time: those that follow must not put it off */
  if (!choir_timer_is_armed (&self->ended_timer) || (is_too_much (self) && !was_too_much))
    arm_forgetting (self);
}

static void
refuse_settling (ChoirTaskSettledFunc done, ChoirTask *task, GError *error, gpointer user_data)
{
  if (done != NULL)
    done (task, error, user_data);
  g_error_free (error);
}

/**
 * choir_task_table_cancel:
 * @self: a table
 * @task: one of its tasks
 * @reason: (nullable): told to the worker and the requester
 * @done: (nullable): called once: before this returns, or later
 * @user_data: for @done
 *
 * Ends it before its time. Whether the caller may is for the caller to know.
 */
void
choir_task_table_cancel (ChoirTaskTable *self,
                         ChoirTask *task,
                         const char *reason,
                         ChoirTaskSettledFunc done,
                         gpointer user_data)
{
  g_autoptr (GString) said = g_string_new (NULL);
  g_autoptr (ChoirTask) guard = choir_task_ref (task);
  ChoirTaskEnding *ending;

  if (task->table != self || choir_task_has_ended (task) || (task->flags & CHOIR_TASK_ENDING))
    {
      refuse_settling (
        done, task, g_error_new_literal (CHOIR_ERROR, CHOIR_ERROR_CONFLICT, "The task has ended"),
        user_data);
      return;
    }

  choir_payload_open (said);
  choir_payload_add_string (said, "reason", reason);
  choir_payload_close (said);

  ending = choir_task_ending_new (CHOIR_TASK_CANCELLED,
                                  choir_task_make_event (task, choir_payload_as_slice (said)));
  ending->own_reason = g_strdup (reason != NULL ? reason : "cancelled");
  ending->done = done;
  ending->user_data = user_data;
  choir_task_end (guard, ending);
}

/* The requester is told why, in any case */
static GString *
make_failure (const ChoirTask *task, ChoirSlice said)
{
  GString *payload = choir_task_make_event (task, said);
  ChoirJsonValue value;

  g_string_truncate (payload, payload->len - 1);
  if (!choir_json_slice_get (said, "code", &value))
    choir_payload_add_string (payload, "code", choir_error_get_code (CHOIR_ERROR_PROCESSING));
  if (!choir_json_slice_get (said, "message", &value))
    choir_payload_add_string (payload, "message", "The worker could not do it");
  choir_payload_close (payload);

  return payload;
}

/* It waits again; @counted: that was one of its attempts */
static void
put_back (ChoirTask *task, gboolean counted)
{
  ChoirTaskWorker *worker = task->worker;

  if (worker != NULL)
    {
      choir_task_worker_ref (worker);
      choir_task_worker_drop (worker, task);
    }

  if (!counted)
    {
      task->attempt--;
      task->lease_id[0] = '\0';
      choir_task_store_released (task);
      /* it is about to go, or it would be given the same again */
      if (worker != NULL)
        worker->slots = 0;
    }

  task->table->n_running--;
  *choir_hub_get_stats (task->table->hub)->tasks_running -= 1;
  task->lease_id[0] = '\0';
  choir_task_queue_add (task, TRUE);
  choir_task_arm (task, 0);
  if (worker != NULL)
    {
      choir_task_worker_fill (worker);
      choir_task_worker_unref (worker);
    }
  if (task->queue != NULL)
    choir_task_queue_match (task->table, task->queue);
}

static gboolean
wants_retry (const ChoirTask *task, ChoirSlice payload)
{
  ChoirJsonValue value;

  return task->attempt < task->table->max_attempts &&
         choir_json_slice_get (payload, "retry", &value) && value.kind == CHOIR_JSON_TRUE;
}

/* Whether it may be said so of @task; the string fields of a failure are shown to people */
static gboolean
check_settling (const ChoirTask *task, const char *type, ChoirSlice payload, GError **error)
{
  static const char *const texts[] = { "code", "message" };
  ChoirJsonValue value;

  if (payload.len > task->table->max_text)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_TOO_LARGE, "The result is too large");
      return FALSE;
    }

  for (guint i = 0; strcmp (type, "task.failed") == 0 && i < G_N_ELEMENTS (texts); i++)
    if (choir_json_slice_get (payload, texts[i], &value) && value.kind != CHOIR_JSON_STRING)
      {
        g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, "Field \"%s\" must be a string",
                     texts[i]);
        return FALSE;
      }

  if (strcmp (type, "task.completed") == 0 || strcmp (type, "task.failed") == 0 ||
      strcmp (type, "task.release") == 0)
    return TRUE;

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, "A task does not end with %s", type);

  return FALSE;
}

/**
 * choir_task_table_settle:
 * @self: a table
 * @claim: who speaks for which task
 * @type: `task.completed`, `task.failed` or `task.release`
 * @payload: raw JSON object
 * @done: called once: before this returns, or when the store has it
 * @user_data: for @done
 *
 * The worker is through with a task.
 */
void
choir_task_table_settle (ChoirTaskTable *self,
                         const ChoirTaskClaim *claim,
                         const char *type,
                         ChoirSlice payload,
                         ChoirTaskSettledFunc done,
                         gpointer user_data)
{
  GError *error = NULL;
  g_autoptr (ChoirTask) task = choir_task_table_claim (self, claim, &error);
  gboolean completed = strcmp (type, "task.completed") == 0;
  ChoirTaskEnding *ending;

  if (task != NULL)
    choir_task_ref (task);

  if (task == NULL || !check_settling (task, type, payload, &error))
    {
      refuse_settling (done, task, error, user_data);
      return;
    }

  if (strcmp (type, "task.release") == 0 || (!completed && wants_retry (task, payload)))
    {
      put_back (task, !completed && strcmp (type, "task.release") != 0);
      done (task, NULL, user_data);
      return;
    }

  ending = choir_task_ending_new (completed ? CHOIR_TASK_COMPLETED : CHOIR_TASK_FAILED,
                                  completed ? choir_task_make_event (task, payload)
                                            : make_failure (task, payload));
  ending->done = done;
  ending->user_data = user_data;
  choir_task_end (task, ending);
}
