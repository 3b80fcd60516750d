/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-task-private.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-log.h"
#include "choir-payload.h"

/*
 * What of a task survives: a stream of its own, called "task ID" (no channel has a blank in its
 * name), which begins with the request. Then come `assigned` and `released`, so that attempts and
 * the lease are known again, `ended`, and `heard` once somebody has been told.
 */

/* Deletions under way at a time */
#define DELETING_MAX 32

static void
log_failure (const char *what, const GError *error)
{
  g_autofree char *text = g_strdup_printf ("%s: %s", what, error->message);

  choir_log (CHOIR_LOG_LEVEL_WARNING, text, NULL);
}

static void
append (ChoirTask *task, const char *type, GString *data, GAsyncReadyCallback callback)
{
  g_autofree char *stream = g_strconcat (CHOIR_TASK_STREAM_PREFIX, task->id, NULL);
  ChoirStoreEntry entry = {
    .wall_us = choir_clock_wall_us (),
    .type = type,
    .user_id = task->user_id,
    .data = data->str,
    .len = data->len,
  };

  choir_store_append_async (task->table->store, stream, CHOIR_STORE_ANY_OFFSET, &entry, 1, NULL,
                            callback, callback != NULL ? choir_task_ref (task) : NULL);
}

/* What is said if the store fails; why is for the log */
static GError *
make_error (void)
{
  return g_error_new_literal (CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE,
                              "Tasks can't be stored at the moment");
}

static gboolean
finish (GObject *source, GAsyncResult *result, GError **error)
{
  g_autoptr (GError) internal = NULL;
  ChoirAppended appended;

  if (choir_store_append_finish (CHOIR_STORE (source), result, &appended, &internal))
    return TRUE;

  log_failure ("a task was not stored", internal);
  g_propagate_error (error, make_error ());

  return FALSE;
}

static void
requested_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirTask) task = user_data;
  g_autoptr (GError) error = NULL;

  finish (source, result, &error);
  choir_task_stored (task, error);
}

/* Kept as it was written: it is put into other messages, not read */
static void
add_correlation (GString *data, const char *contents)
{
  if (*contents == '\0')
    return;

  choir_payload_add_key (data, "correlation_id");
  g_string_append_printf (data, "\"%s\"", contents);
}

/**
 * choir_task_store_request:
 * @task: a new one
 *
 * choir_task_stored() is called when that is done.
 */
void
choir_task_store_request (ChoirTask *task)
{
  g_autoptr (GString) data = g_string_sized_new (task->payload_len + 256);

  if (task->table->store == NULL)
    {
      choir_task_stored (task, NULL);
      return;
    }

  choir_payload_open (data);
  choir_payload_add_string (data, "kind", task->kind);
  choir_payload_add_string (data, "channel", task->channel);
  choir_payload_add_string (data, "session", task->status_id);
  choir_payload_add_string (data, "key", task->key);
  add_correlation (data, task->correlation_id);
  choir_payload_add_int (data, "created_us", task->created_us);
  choir_payload_add_int (data, "timeout_us", task->timeout_us);
  choir_payload_add_raw (data, "payload", choir_task_get_payload (task));
  choir_payload_close (data);
  append (task, "request", data, requested_cb);
}

static void
ended_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirTask) task = user_data;
  g_autoptr (GError) error = NULL;

  finish (source, result, &error);
  choir_task_ended (task, error);
}

/**
 * choir_task_store_ending:
 * @task: one that is ending
 *
 * choir_task_ended() is called when that is done.
 */
void
choir_task_store_ending (ChoirTask *task)
{
  g_autoptr (GString) data = g_string_sized_new (task->ending->payload->len + 128);

  if (task->table->store == NULL)
    {
      choir_task_ended (task, NULL);
      return;
    }

  choir_payload_open (data);
  choir_payload_add_string (data, "state", choir_task_state_get_name (task->ending->state));
  choir_payload_add_int (data, "ended_us", task->ended_us);
  choir_payload_add_raw (data, "payload", choir_payload_as_slice (task->ending->payload));
  choir_payload_close (data);
  append (task, "ended", data, ended_cb);
}

/* Who has it, and how often it was given out: should that get lost, it is given out once more */
void
choir_task_store_assigned (ChoirTask *task)
{
  g_autoptr (GString) data = g_string_new (NULL);

  if (task->table->store == NULL)
    return;

  choir_payload_open (data);
  choir_payload_add_int (data, "attempt", task->attempt);
  choir_payload_add_string (data, "lease_id", task->lease_id);
  choir_payload_add_boolean (data, "detached", (task->flags & CHOIR_TASK_DETACHED) != 0);
  choir_payload_close (data);
  append (task, "assigned", data, NULL);
}

/* The lease is kept if it can still be taken up */
void
choir_task_store_released (ChoirTask *task)
{
  g_autoptr (GString) data = g_string_new (NULL);

  if (task->table->store == NULL)
    return;

  choir_payload_open (data);
  choir_payload_add_int (data, "attempt", task->attempt);
  choir_payload_add_string (data, "lease_id", task->lease_id);
  choir_payload_close (data);
  append (task, "released", data, NULL);
}

void
choir_task_store_heard (ChoirTask *task)
{
  g_autoptr (GString) data = g_string_new ("{}");

  if (task->table->store != NULL)
    append (task, "heard", data, NULL);
}

static void delete_more (ChoirTaskTable *table);

static void
deleted_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GError) error = NULL;
  ChoirTaskTable **table = user_data;

  /* one that is not there is gone all the same; one that stays is found again at the next start */
  if (!choir_store_delete_finish (CHOIR_STORE (source), result, &error) &&
      !g_error_matches (error, CHOIR_ERROR, CHOIR_ERROR_NOT_FOUND))
    log_failure ("a task was not deleted", error);

  if (*table != NULL)
    {
      (*table)->n_deleting--;
      delete_more (*table);
    }
  g_rc_box_release (table);
}

static void
delete_more (ChoirTaskTable *table)
{
  while (table->n_deleting < DELETING_MAX && table->doomed.length > 0)
    {
      g_autofree char *id = g_queue_pop_head (&table->doomed);
      g_autofree char *stream = g_strconcat (CHOIR_TASK_STREAM_PREFIX, id, NULL);

      table->n_deleting++;
      choir_store_delete_async (table->store, stream, NULL, CHOIR_STORE_ANY_OFFSET, NULL,
                                deleted_cb, g_rc_box_acquire (table->self));
    }
}

/**
 * choir_task_store_delete:
 * @table: a table
 * @id: of a task that nobody needs any more
 *
 * Forgets it in the store as well, a few at a time.
 */
void
choir_task_store_delete (ChoirTaskTable *table, const char *id)
{
  if (table->store == NULL)
    return;

  g_queue_push_tail (&table->doomed, g_strdup (id));
  delete_more (table);
}
