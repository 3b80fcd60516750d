/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-task-private.h"

#include "choir-error.h"

#include <string.h>

static gint
compare_times (gconstpointer a, gconstpointer b, gpointer user_data)
{
  const gint64 *first = a, *second = b;

  return (*first > *second) - (*first < *second);
}

static void
user_free (ChoirTaskUser *self)
{
  g_tree_unref (self->tasks);
  g_free (self->id);
  g_free (self);
}

static void
place_free (ChoirTaskPlace *self)
{
  g_free (self->name);
  g_free (self);
}

/**
 * choir_task_table_new:
 * @hub: whose clients ask and work; must outlive the table
 *
 * Returns: (transfer full): a table without tasks and without a store, which keeps them in memory
 */
ChoirTaskTable *
choir_task_table_new (ChoirHub *hub)
{
  ChoirTaskTable *self = g_new0 (ChoirTaskTable, 1);

  self->self = g_rc_box_new0 (ChoirTaskTable *);
  *self->self = self;
  self->hub = hub;
  self->by_id =
    g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) choir_task_unref);
  self->by_key = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->by_time = g_tree_new_full (compare_times, NULL, NULL, NULL);
  self->users = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) user_free);
  self->places = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) place_free);
  self->queues =
    g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) choir_task_queue_free);
  self->sessions = g_hash_table_new (NULL, NULL);

  return self;
}

/* Whoever waits for an answer gets one */
static void
abandon_task (ChoirTask *task)
{
  g_autoptr (GError) error =
    g_error_new_literal (CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE, "The service is stopping");

  choir_timer_disarm (&task->timer);
  task->worker = NULL;
  if (task->flags & CHOIR_TASK_STORING)
    choir_task_stored (task, error);
  else if (task->flags & CHOIR_TASK_ENDING)
    choir_task_ended (task, error);
}

/**
 * choir_task_table_free:
 * @self: (transfer full): a table
 *
 * What is stored stays so; workers that are left are good for nothing.
 */
void
choir_task_table_free (ChoirTaskTable *self)
{
  g_autoptr (GPtrArray) tasks = g_ptr_array_new_with_free_func ((GDestroyNotify) choir_task_unref);
  GHashTableIter iter;
  gpointer value;
  GList *link;

  choir_timer_disarm (&self->ended_timer);
  while ((link = self->workers.head) != NULL)
    {
      g_ptr_array_set_size (((ChoirTaskWorker *) link->data)->tasks, 0);
      choir_task_worker_leave (link->data);
    }

  g_hash_table_iter_init (&iter, self->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      ((ChoirTask *) value)->table = NULL;
      g_ptr_array_add (tasks, choir_task_ref (value));
    }
  for (guint i = 0; i < tasks->len; i++)
    abandon_task (g_ptr_array_index (tasks, i));

  g_hash_table_unref (self->sessions);
  g_hash_table_unref (self->by_key);
  g_hash_table_unref (self->places);
  g_hash_table_unref (self->queues);
  g_hash_table_unref (self->users);
  g_tree_unref (self->by_time);
  g_hash_table_unref (self->by_id);
  g_queue_clear_full (&self->doomed, g_free);
  g_clear_object (&self->store);
  g_free (self->worker_role);
  *self->self = NULL;
  g_rc_box_release (self->self);
  g_free (self);
}

/**
 * choir_task_table_configure:
 * @self: a table
 * @config: the configuration
 *
 * Tasks that are there already keep the time they were given.
 */
void
choir_task_table_configure (ChoirTaskTable *self, ChoirConfig *config)
{
  self->lease_us = choir_config_get_duration_us (config, "task", "lease");
  self->timeout_us = choir_config_get_duration_us (config, "task", "timeout");
  self->keep_us = choir_config_get_duration_us (config, "task", "keep");
  self->max_per_user = choir_config_get_uint (config, "task", "max-per-user");
  self->max_queued = choir_config_get_uint (config, "task", "max-queued");
  self->max_attempts = choir_config_get_uint (config, "task", "max-attempts");
  self->max_slots = choir_config_get_uint (config, "task", "max-slots");
  self->max_text = choir_config_get_size (config, "chat", "max-message");
  g_free (self->worker_role);
  self->worker_role = g_strdup (choir_config_get_string (config, "task", "worker-role"));
}

void
choir_task_table_set_store (ChoirTaskTable *self, ChoirStore *store)
{
  g_return_if_fail (self->store == NULL);

  self->store = g_object_ref (store);
}

static ChoirTaskUser *
ensure_user (ChoirTaskTable *self, const char *id)
{
  ChoirTaskUser *user = g_hash_table_lookup (self->users, id);

  if (user != NULL)
    return user;

  user = g_new0 (ChoirTaskUser, 1);
  user->id = g_strdup (id);
  user->tasks = g_tree_new_full (compare_times, NULL, NULL, NULL);
  g_queue_init (&user->unheard);
  g_hash_table_insert (self->users, user->id, user);

  return user;
}

static char *
make_key (const ChoirTask *task)
{
  return g_strconcat (task->user_id, "\n", task->key, NULL);
}

static void
enter_place (ChoirTaskTable *self, ChoirTask *task, guint i, const char *name)
{
  ChoirTaskPlace *place = g_hash_table_lookup (self->places, name);

  if (place == NULL)
    {
      place = g_new0 (ChoirTaskPlace, 1);
      place->name = g_strdup (name);
      g_hash_table_insert (self->places, place->name, place);
    }

  g_queue_push_tail_link (&place->tasks, &task->place_links[i]);
  task->places[i] = place;
}

/* From now on who subscribes where it is told hears how it stands */
void
choir_task_table_take_places (ChoirTaskTable *self, ChoirTask *task)
{
  g_autofree char *status = NULL;

  if (task->channel != NULL)
    enter_place (self, task, 0, task->channel);

  if (task->status_id == NULL)
    return;

  status = g_strconcat (CHOIR_TASK_STATUS_PREFIX, task->status_id, NULL);
  if (g_strcmp0 (status, task->channel) != 0)
    enter_place (self, task, 1, status);
}

void
choir_task_table_leave_places (ChoirTaskTable *self, ChoirTask *task)
{
  for (guint i = 0; i < G_N_ELEMENTS (task->places); i++)
    {
      ChoirTaskPlace *place = g_steal_pointer (&task->places[i]);

      if (place == NULL)
        continue;

      g_queue_unlink (&place->tasks, &task->place_links[i]);
      if (place->tasks.length == 0)
        g_hash_table_remove (self->places, place->name);
    }
}

/**
 * choir_task_table_add:
 * @self: a table
 * @task: (transfer full): one that no table knows, with the time of its creation
 *
 * Enters it into the indexes. Whether it waits for anything is for the caller.
 */
void
choir_task_table_add (ChoirTaskTable *self, ChoirTask *task)
{
  task->table = self;
  task->user = ensure_user (self, task->user_id);
  g_hash_table_insert (self->by_id, task->id, task);
  g_tree_insert (self->by_time, &task->created_us, task);
  g_tree_insert (task->user->tasks, &task->created_us, task);
  self->newest_us = MAX (self->newest_us, task->created_us);
  if (task->key != NULL)
    g_hash_table_replace (self->by_key, make_key (task), task);

  if (!choir_task_has_ended (task))
    {
      task->user->n_unfinished++;
      self->n_bytes += task->payload_len;
      choir_task_table_take_places (self, task);
    }
  else if (task->flags & CHOIR_TASK_UNHEARD)
    g_queue_push_tail_link (&task->user->unheard, &task->heard_link);
}

/**
 * choir_task_table_forget:
 * @self: a table
 * @task: one of its tasks, that waits for nothing
 *
 * It is as if it had never been there.
 */
void
choir_task_table_forget (ChoirTaskTable *self, ChoirTask *task)
{
  G_GNUC_UNUSED g_autoptr (ChoirTask) guard = choir_task_ref (task);
  ChoirTaskUser *user = g_steal_pointer (&task->user);

  choir_timer_disarm (&task->timer);
  choir_task_table_leave_places (self, task);
  if (task->flags & CHOIR_TASK_UNHEARD)
    g_queue_unlink (&user->unheard, &task->heard_link);
  if (!choir_task_has_ended (task))
    {
      user->n_unfinished--;
      self->n_bytes -= task->payload_len;
    }
  if (task->key != NULL)
    {
      g_autofree char *key = make_key (task);

      if (g_hash_table_lookup (self->by_key, key) == task)
        g_hash_table_remove (self->by_key, key);
    }

  g_tree_remove (self->by_time, &task->created_us);
  g_tree_remove (user->tasks, &task->created_us);
  if (g_tree_nnodes (user->tasks) == 0)
    g_hash_table_remove (self->users, user->id);
  task->table = NULL;
  g_hash_table_remove (self->by_id, task->id);
}

/**
 * choir_task_table_find:
 * @self: a table
 * @id: of a task
 *
 * Returns: (transfer none) (nullable): the task, if it is known and has been accepted
 */
ChoirTask *
choir_task_table_find (ChoirTaskTable *self, const char *id)
{
  ChoirTask *task = g_hash_table_lookup (self->by_id, id);

  return task != NULL && !(task->flags & CHOIR_TASK_STORING) ? task : NULL;
}

/**
 * choir_task_table_get_n_tasks:
 * @self: a table
 *
 * Returns: how many tasks are known, with those that have ended and those that are being stored
 */
guint
choir_task_table_get_n_tasks (const ChoirTaskTable *self)
{
  return g_hash_table_size (self->by_id);
}

static gboolean
is_wanted (const ChoirTask *task, const ChoirTaskQuery *query)
{
  return (query->pending || !(task->flags & CHOIR_TASK_STORING)) &&
         (query->kind == NULL || strcmp (task->kind, query->kind) == 0) &&
         (query->state == NULL || task->state == *query->state) &&
         (!query->unfinished || !choir_task_has_ended (task));
}

/* (nullable): where in @tree the page begins: the newest, or the one before @before */
static GTreeNode *
find_start (GTree *tree, const ChoirTask *before)
{
  GTreeNode *node;

  if (before == NULL)
    return g_tree_node_last (tree);

  node = g_tree_lower_bound (tree, &before->created_us);

  return node != NULL ? g_tree_node_previous (node) : g_tree_node_last (tree);
}

/**
 * choir_task_table_list:
 * @self: a table
 * @query: which are wanted
 * @complete: filled with whether nothing lies beyond
 * @error: return location: %CHOIR_ERROR_NOT_FOUND if `before` is not known, or not any longer
 *
 * Returns: (transfer full) (nullable) (element-type ChoirTask): what was found, newest first
 */
GPtrArray *
choir_task_table_list (ChoirTaskTable *self,
                       const ChoirTaskQuery *query,
                       gboolean *complete,
                       GError **error)
{
  g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func ((GDestroyNotify) choir_task_unref);
  ChoirTaskUser *user =
    query->user_id != NULL ? g_hash_table_lookup (self->users, query->user_id) : NULL;
  GTree *tree = user != NULL ? user->tasks : self->by_time;
  ChoirTask *before = query->before != NULL ? choir_task_table_find (self, query->before) : NULL;
  guint skip = query->skip;
  GTreeNode *node;

  *complete = TRUE;
  if (query->before != NULL && before == NULL)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_NOT_FOUND, "There is no such task");
      return NULL;
    }

  if (query->user_id != NULL && user == NULL)
    return g_steal_pointer (&found);

  for (node = find_start (tree, before); node != NULL; node = g_tree_node_previous (node))
    {
      if (!is_wanted (g_tree_node_value (node), query))
        continue;

      if (skip > 0)
        {
          skip--;
          continue;
        }

      if (found->len >= query->limit)
        {
          *complete = FALSE;
          break;
        }
      g_ptr_array_add (found, choir_task_ref (g_tree_node_value (node)));
    }

  return g_steal_pointer (&found);
}

/**
 * choir_task_table_has_worker:
 * @self: a table
 * @kind: of a task
 *
 * Returns: whether somebody takes such tasks at present, busy or not
 */
gboolean
choir_task_table_has_worker (const ChoirTaskTable *self, const char *kind)
{
  const ChoirTaskQueue *queue = g_hash_table_lookup (self->queues, kind);

  return self->n_any > 0 || (queue != NULL && queue->n_workers > 0);
}
