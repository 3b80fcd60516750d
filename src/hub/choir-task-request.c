/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-task-private.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-names.h"
#include "choir-observer.h"

#include <string.h>

/* What unfinished tasks may hold together */
#define UNFINISHED_BYTES_MAX (256 * 1024 * 1024)

static GError *
check_request (ChoirTaskTable *self, const ChoirTaskRequest *request)
{
  if (self->loading)
    return g_error_new_literal (CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE,
                                "Tasks are being loaded; try again shortly");

  if (!choir_task_is_kind (request->kind, strlen (request->kind)))
    return g_error_new (CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                        "\"kind\" must be 1-%d printable ASCII characters without spaces",
                        CHOIR_TASK_KIND_MAX);

  if (request->key != NULL &&
      (*request->key == '\0' || strlen (request->key) > CHOIR_MESSAGE_ID_MAX))
    return g_error_new (CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                        "\"idempotency_key\" must be a string of 1-%d bytes", CHOIR_MESSAGE_ID_MAX);

  if (request->payload.len > self->max_text)
    return g_error_new_literal (CHOIR_ERROR, CHOIR_ERROR_TOO_LARGE, "The request is too large");

  return NULL;
}

/* What depends on everybody else's tasks */
static GError *
check_room (ChoirTaskTable *self, const ChoirTaskRequest *request)
{
  const ChoirTaskUser *user = g_hash_table_lookup (self->users, request->user_id);

  if (request->needs_worker && !choir_task_table_has_worker (self, request->kind))
    return g_error_new (CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE, "Nobody handles %s at the moment",
                        request->kind);

  if (user != NULL && user->n_unfinished >= self->max_per_user)
    {
      choir_hub_report_overload (self->hub, "tasks", "user", request->user_id);
      return g_error_new (CHOIR_ERROR, CHOIR_ERROR_RATE_LIMITED,
                          "At most %u unfinished tasks per user", self->max_per_user);
    }

  if (self->n_queued + self->n_storing >= self->max_queued ||
      self->n_bytes + request->payload.len > UNFINISHED_BYTES_MAX)
    {
      choir_hub_report_overload (self->hub, "tasks", NULL, NULL);
      return g_error_new_literal (CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE,
                                  "Too many tasks are waiting; try again later");
    }

  return NULL;
}

static void
ask (ChoirTask *task, gboolean duplicate, ChoirTaskRequestedFunc done, gpointer user_data)
{
  ChoirTaskAsker *asker = g_new (ChoirTaskAsker, 1);

  *asker = (ChoirTaskAsker){ done, user_data, duplicate };
  task->askers = g_slist_append (task->askers, asker);
}

static ChoirTask *
find_by_key (ChoirTaskTable *self, const ChoirTaskRequest *request)
{
  g_autofree char *key = NULL;

  if (request->key == NULL)
    return NULL;

  key = g_strconcat (request->user_id, "\n", request->key, NULL);

  return g_hash_table_lookup (self->by_key, key);
}

/**
 * choir_task_table_request:
 * @self: a table
 * @request: what is wanted; copied
 * @done: called once: before this returns, or when the store has it
 * @user_data: for @done
 *
 * Takes a task on. The same key of the same user, as long as the first is known, gives that.
 */
void
choir_task_table_request (ChoirTaskTable *self,
                          const ChoirTaskRequest *request,
                          ChoirTaskRequestedFunc done,
                          gpointer user_data)
{
  g_autoptr (GError) error = check_request (self, request);
  ChoirTask *task = error == NULL ? find_by_key (self, request) : NULL;

  if (task != NULL && (task->flags & CHOIR_TASK_STORING))
    {
      ask (task, TRUE, done, user_data);
      return;
    }

  if (task != NULL)
    {
      done (task, TRUE, NULL, user_data);
      return;
    }

  if (error == NULL)
    error = check_room (self, request);
  if (error != NULL)
    {
      done (NULL, FALSE, error, user_data);
      return;
    }

  task = choir_task_new (request);
  task->created_us = MAX (choir_clock_wall_us (), self->newest_us + 1);
  task->timeout_us =
    request->timeout_us > 0 ? MIN (request->timeout_us, self->timeout_us) : self->timeout_us;
  task->flags |= CHOIR_TASK_STORING;
  ask (task, FALSE, done, user_data);
  self->n_storing++;
  choir_task_table_add (self, task);
  choir_task_store_request (task);
}

static void
answer_askers (ChoirTask *task, const GError *error)
{
  GSList *askers = g_steal_pointer (&task->askers);

  for (GSList *link = askers; link != NULL; link = link->next)
    {
      const ChoirTaskAsker *asker = link->data;

      asker->done (error == NULL ? task : NULL, asker->duplicate, error, asker->user_data);
    }

  g_slist_free_full (askers, g_free);
}

/* It never was one */
static void
drop (ChoirTask *task, const GError *error)
{
  g_autoptr (ChoirTaskEnding) ending = g_steal_pointer (&task->ending);

  if (task->table != NULL)
    choir_task_table_forget (task->table, task);
  answer_askers (task, error);
  if (ending != NULL && ending->done != NULL)
    ending->done (task, error, ending->user_data);
}

/**
 * choir_task_stored:
 * @task: a new one
 * @error: (nullable): why it could not be stored
 *
 * Called when the store has the request, or has refused it.
 */
void
choir_task_stored (ChoirTask *task, const GError *error)
{
  g_autoptr (ChoirTask) guard = choir_task_ref (task);

  /* answered when the table went */
  if (!(guard->flags & CHOIR_TASK_STORING))
    return;

  guard->flags &= ~CHOIR_TASK_STORING;
  if (guard->table != NULL)
    guard->table->n_storing--;

  if (error != NULL || guard->table == NULL)
    {
      drop (guard, error);
      return;
    }

  *choir_hub_get_stats (guard->table->hub)->tasks_requested += 1;
  answer_askers (guard, NULL);
  if (guard->table == NULL)
    return;

  if (guard->flags & CHOIR_TASK_ENDING)
    {
      choir_task_end_now (guard);
      return;
    }

  choir_task_queue_add (guard, FALSE);
  choir_task_arm (guard, 0);
  choir_task_queue_match (guard->table, guard->queue);
}
