/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-task-private.h"

#include "choir-clock.h"
#include "choir-log.h"
#include "choir-names.h"
#include "choir-payload.h"

#include <string.h>

/*
 * Tasks after a start: all streams are listed, read and put together again. Only when all are there
 * do they wait for workers, in the order in which they were asked for.
 */

#define LIST_MAX 1000
#define READING_MAX 64
/* Entries of one task: the request, an end, and each time that it was given out or back */
#define ENTRIES_MAX 10000

typedef struct
{
  ChoirTaskTable **table; /* (owned): NULL in it: that has gone */
  GPtrArray *names;       /* (element-type utf8) (owned): streams of this page */
  GPtrArray *tasks;       /* (element-type ChoirTask) (owned): unfinished ones */
  char *last;             /* (owned) (nullable): of the page */
  guint next;
  guint n_reading;
  gboolean listed; /* there is no further page */
  GError *error;   /* (owned) (nullable) */
} Load;

static void
load_free (Load *self)
{
  g_rc_box_release (self->table);
  g_ptr_array_unref (self->names);
  g_ptr_array_unref (self->tasks);
  g_free (self->last);
  g_clear_error (&self->error);
  g_free (self);
}

static void list_page (GTask *task);
static void read_some (GTask *task);

static ChoirSlice
read_object (ChoirSlice data, const char *key)
{
  ChoirJsonValue value;

  return choir_json_slice_get (data, key, &value) && value.kind == CHOIR_JSON_OBJECT
           ? value.raw
           : (ChoirSlice){ 0 };
}

/* (transfer full) (nullable): the task as it was asked for */
static ChoirTask *
read_request (const ChoirStoreEntry *entry, const char *id)
{
  ChoirSlice data = { entry->data, entry->len };
  g_autofree char *kind = choir_payload_read_string (data, "kind", CHOIR_TASK_KIND_MAX);
  g_autofree char *channel = choir_payload_read_string (data, "channel", CHOIR_STORE_NAME_MAX);
  g_autofree char *status_id = choir_payload_read_string (data, "session", CHOIR_STORE_NAME_MAX);
  g_autofree char *key = choir_payload_read_string (data, "key", CHOIR_STORE_NAME_MAX);
  ChoirJsonValue correlation = { 0 };
  ChoirTaskRequest request = {
    .kind = kind,
    .user_id = entry->user_id,
    .channel = channel,
    .status_id = status_id,
    .key = key,
    .payload = read_object (data, "payload"),
  };
  ChoirTask *task;

  if (g_strcmp0 (entry->type, "request") != 0 || kind == NULL || entry->user_id == NULL ||
      request.payload.len == 0 || choir_payload_read_int (data, "created_us") <= 0)
    return NULL;

  if (choir_json_slice_get (data, "correlation_id", &correlation))
    request.correlation_id = choir_json_string_contents (correlation.raw);

  task = choir_task_new (&request);
  g_strlcpy (task->id, id, sizeof task->id);
  task->created_us = choir_payload_read_int (data, "created_us");
  task->timeout_us = choir_payload_read_int (data, "timeout_us");

  return task;
}

static void
read_lease (ChoirTask *task, ChoirSlice data)
{
  g_autofree char *lease_id = choir_payload_read_string (data, "lease_id", CHOIR_ID_SIZE - 1);

  task->attempt = (guint) CLAMP (choir_payload_read_int (data, "attempt"), 0, G_MAXINT32);
  g_strlcpy (task->lease_id, lease_id != NULL ? lease_id : "", sizeof task->lease_id);
}

static void
read_assigned (ChoirTask *task, ChoirSlice data)
{
  ChoirJsonValue value;

  read_lease (task, data);
  task->state = CHOIR_TASK_RUNNING;
  task->flags &= ~CHOIR_TASK_DETACHED;
  if (choir_json_slice_get (data, "detached", &value) && value.kind == CHOIR_JSON_TRUE)
    task->flags |= CHOIR_TASK_DETACHED;
}

static void
read_ended (ChoirTask *task, ChoirSlice data)
{
  g_autofree char *state = choir_payload_read_string (data, "state", 16);
  ChoirSlice payload = read_object (data, "payload");

  if (task->ending != NULL || state == NULL || payload.len == 0 ||
      !choir_task_state_parse (state, &task->state))
    return;

  task->ending =
    choir_task_ending_new (task->state, g_string_new_len (payload.data, (gssize) payload.len));
  task->ended_us = choir_payload_read_int (data, "ended_us");
  task->flags |= CHOIR_TASK_UNHEARD;
}

static void
read_entry (ChoirTask *task, const ChoirStoreEntry *entry)
{
  ChoirSlice data = { entry->data, entry->len };

  if (g_strcmp0 (entry->type, "assigned") == 0)
    read_assigned (task, data);
  else if (g_strcmp0 (entry->type, "released") == 0)
    {
      read_lease (task, data);
      task->state = CHOIR_TASK_QUEUED;
    }
  else if (g_strcmp0 (entry->type, "ended") == 0)
    read_ended (task, data);
  else if (g_strcmp0 (entry->type, "heard") == 0)
    task->flags &= ~CHOIR_TASK_UNHEARD;
}

/* Whether the store gave what this service once wrote there */
static gboolean
is_intact (const ChoirStreamPart *part)
{
  static const ChoirJsonLimits limits = { 1024, G_MAXSIZE, G_MAXSIZE, 1 };

  for (guint i = 0; i < part->n_entries; i++)
    {
      ChoirJsonKind kind;

      if (!choir_json_gate_check (part->entries[i].data, part->entries[i].len, &limits, &kind,
                                  NULL) ||
          kind != CHOIR_JSON_OBJECT)
        return FALSE;
    }

  return part->n_entries > 0 && part->complete;
}

static void
restore (Load *load, const char *stream, const ChoirStreamPart *part)
{
  const char *id = stream + strlen (CHOIR_TASK_STREAM_PREFIX);
  ChoirTaskTable *table = *load->table;
  g_autoptr (ChoirTask) task = NULL;

  if (is_intact (part) && strlen (id) == CHOIR_ID_SIZE - 1)
    task = read_request (&part->entries[0], id);

  if (task == NULL)
    {
      choir_log (CHOIR_LOG_LEVEL_WARNING, "a task in the store can't be read", CHOIR_LOG_CHANNEL,
                 stream, NULL);
      return;
    }

  for (guint i = 1; i < part->n_entries; i++)
    read_entry (task, &part->entries[i]);

  if (choir_task_has_ended (task) && choir_clock_wall_us () - task->ended_us >= table->keep_us)
    choir_task_store_delete (table, task->id);
  else
    g_ptr_array_add (load->tasks, g_steal_pointer (&task));
}

static gint
compare_creation (gconstpointer a, gconstpointer b)
{
  const ChoirTask *const *first = a, *const *second = b;

  return ((*first)->created_us > (*second)->created_us) -
         ((*first)->created_us < (*second)->created_us);
}

static gint
compare_end (gconstpointer a, gconstpointer b)
{
  const ChoirTask *const *first = a, *const *second = b;

  return ((*first)->ended_us > (*second)->ended_us) - ((*first)->ended_us < (*second)->ended_us);
}

/* One that a connection held waits again, but can still be taken up by its lease; one that was held
 * by lease alone keeps that, and so does one that may not be given out again */
static void
revive (ChoirTaskTable *table, ChoirTask *task)
{
  if (task->state == CHOIR_TASK_RUNNING &&
      ((task->flags & CHOIR_TASK_DETACHED) || task->attempt >= table->max_attempts))
    {
      table->n_running++;
      *choir_hub_get_stats (table->hub)->tasks_running += 1;
      choir_task_renew_lease (task);
      return;
    }

  if (task->state == CHOIR_TASK_RUNNING)
    *choir_hub_get_stats (table->hub)->tasks_lost += 1;
  choir_task_queue_add (task, FALSE);
  choir_task_arm (task, 0);
}

static void
place (ChoirTaskTable *table, GPtrArray *tasks)
{
  g_ptr_array_sort (tasks, compare_creation);
  for (guint i = 0; i < tasks->len; i++)
    {
      ChoirTask *task = g_ptr_array_index (tasks, i);

      choir_task_table_add (table, choir_task_ref (task));
      if (!choir_task_has_ended (task))
        revive (table, task);
    }

  g_ptr_array_sort (tasks, compare_end);
  for (guint i = 0; i < tasks->len; i++)
    if (choir_task_has_ended (g_ptr_array_index (tasks, i)))
      choir_task_table_keep (table, g_ptr_array_index (tasks, i));
}

/* (transfer full) @task */
static void
complete (GTask *task)
{
  g_autoptr (GTask) owned = task;
  Load *load = g_task_get_task_data (owned);
  ChoirTaskTable *table = *load->table;

  if (table != NULL)
    {
      table->loading = FALSE;
      place (table, load->tasks);
      choir_task_table_match_all (table);
    }

  if (load->error != NULL)
    g_task_return_error (owned, g_steal_pointer (&load->error));
  else
    g_task_return_boolean (owned, TRUE);
}

/* Something has come in: goes on with what is left */
static void
step (GTask *task)
{
  Load *load = g_task_get_task_data (task);

  if (load->error == NULL && *load->table != NULL && load->next < load->names->len)
    read_some (task);
  else if (load->n_reading == 0)
    {
      if (load->error == NULL && *load->table != NULL && !load->listed)
        list_page (task);
      else
        complete (task);
    }
}

static void
fail (Load *load, GError *error)
{
  if (load->error == NULL)
    load->error = error;
  else
    g_error_free (error);
}

typedef struct
{
  GTask *task; /* borrowed: it ends after the last of these */
  char *name;  /* (owned) */
} Reading;

static void
read_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Reading *reading = user_data;
  GTask *task = reading->task;
  Load *load = g_task_get_task_data (task);
  g_autofree char *name = reading->name;
  g_autoptr (ChoirStreamPart) part = NULL;
  GError *error = NULL;

  g_free (reading);
  load->n_reading--;
  part = choir_store_read_finish (CHOIR_STORE (source), result, &error);
  if (part == NULL)
    fail (load, error);
  else if (*load->table != NULL)
    restore (load, name, part);

  step (task);
}

static void
read_some (GTask *task)
{
  Load *load = g_task_get_task_data (task);
  ChoirTaskTable *table = *load->table;

  while (load->n_reading < READING_MAX && load->next < load->names->len)
    {
      Reading *reading = g_new (Reading, 1);

      reading->task = task;
      reading->name = g_strdup (g_ptr_array_index (load->names, load->next++));
      load->n_reading++;
      choir_store_read_async (table->store, reading->name, 0, ENTRIES_MAX, FALSE,
                              g_task_get_cancellable (task), read_cb, reading);
    }
}

static void
listed_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GTask *task = user_data;
  Load *load = g_task_get_task_data (task);
  GError *error = NULL;
  g_autoptr (GPtrArray) page = choir_store_list_finish (CHOIR_STORE (source), result, &error);

  g_ptr_array_set_size (load->names, 0);
  load->next = 0;
  if (page == NULL)
    {
      fail (load, error);
      step (task);
      return;
    }

  for (guint i = 0; i < page->len; i++)
    g_ptr_array_add (load->names,
                     g_strdup (((const ChoirStreamInfo *) g_ptr_array_index (page, i))->name));

  load->listed = page->len < LIST_MAX;
  g_free (load->last);
  load->last = page->len > 0 ? g_strdup (g_ptr_array_index (load->names, page->len - 1)) : NULL;
  step (task);
}

static void
list_page (GTask *task)
{
  Load *load = g_task_get_task_data (task);

  choir_store_list_async ((*load->table)->store, CHOIR_TASK_STREAM_PREFIX, load->last, LIST_MAX,
                          g_task_get_cancellable (task), listed_cb, task);
}

/**
 * choir_task_table_load_async:
 * @self: a table with a store, and without tasks
 * @cancellable: (nullable): to give up
 * @callback: called when all that was stored is there
 * @user_data: for @callback
 *
 * Until then requests are refused, and nothing is given out.
 */
void
choir_task_table_load_async (ChoirTaskTable *self,
                             GCancellable *cancellable,
                             GAsyncReadyCallback callback,
                             gpointer user_data)
{
  GTask *task = g_task_new (NULL, cancellable, callback, user_data);
  Load *load = g_new0 (Load, 1);

  g_task_set_source_tag (task, choir_task_table_load_async);
  load->table = g_rc_box_acquire (self->self);
  load->names = g_ptr_array_new_with_free_func (g_free);
  load->tasks = g_ptr_array_new_with_free_func ((GDestroyNotify) choir_task_unref);
  g_task_set_task_data (task, load, (GDestroyNotify) load_free);

  self->loading = TRUE;
  list_page (task);
}

/**
 * choir_task_table_load_finish:
 * @self: a table
 * @result: what the callback was given
 * @error: return location: %CHOIR_ERROR_UNAVAILABLE, %G_IO_ERROR_CANCELLED
 *
 * Returns: %FALSE if not all could be read; the table has the others
 */
gboolean
choir_task_table_load_finish (ChoirTaskTable *self, GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}
