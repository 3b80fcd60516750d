/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-store-request.h"

#include <string.h>

static const char *
pack_text (const char *text, gsize size, char **cursor)
{
  char *start = *cursor;

  if (text == NULL)
    return NULL;

  memcpy (start, text, size);
  *cursor += size;

  return start;
}

static ChoirStoreRequest *
make (GTask *task, ChoirStoreWork work, const char *name, const char *text, gsize extra, char **end)
{
  gsize name_size = strlen (name) + 1;
  gsize text_size = text != NULL ? strlen (text) + 1 : 0;
  gsize size = sizeof (ChoirStoreRequest) + extra + name_size + text_size;
  ChoirStoreRequest *self = g_malloc (size);
  char *cursor = (char *) (self + 1) + extra;

  memset (self, 0, sizeof *self);
  self->task = task;
  self->work = work;
  self->n_bytes = size;
  self->name = pack_text (name, name_size, &cursor);
  self->text = pack_text (text, text_size, &cursor);
  *end = (char *) (self + 1);

  return self;
}

/**
 * choir_store_request_new:
 * @task: (transfer full): who waits for it
 * @work: what is to be done
 * @name: copied
 * @text: (nullable): copied
 *
 * Returns: (transfer full): a request
 */
ChoirStoreRequest *
choir_store_request_new (GTask *task, ChoirStoreWork work, const char *name, const char *text)
{
  char *end;

  return make (task, work, name, text, 0, &end);
}

/**
 * choir_store_request_new_append:
 * @task: (transfer full): who waits for it
 * @work: what is to be done
 * @name: of a stream; copied
 * @epoch: (nullable): of the stream; copied
 * @entries: (array length=n_entries): copied
 * @n_entries: how many
 *
 * Returns: (transfer full): a request: one piece of memory, whatever is in it
 */
ChoirStoreRequest *
choir_store_request_new_append (GTask *task,
                                ChoirStoreWork work,
                                const char *name,
                                const char *epoch,
                                const ChoirStoreEntry *entries,
                                guint n_entries)
{
  gsize size = n_entries * sizeof *entries;
  ChoirStoreRequest *self;
  ChoirStoreEntry *copies;
  char *cursor;

  for (guint i = 0; i < n_entries; i++)
    size += choir_store_entry_get_size (&entries[i]);

  self = make (task, work, name, epoch, size, &cursor);
  copies = (ChoirStoreEntry *) (gpointer) cursor;
  cursor += n_entries * sizeof *entries;
  for (guint i = 0; i < n_entries; i++)
    choir_store_entry_pack (&entries[i], &copies[i], &cursor);
  self->entries = copies;
  self->n_entries = n_entries;

  return self;
}

/**
 * choir_store_request_clear_answer:
 * @self: a request
 *
 * What it was answered does not hold.
 */
void
choir_store_request_clear_answer (ChoirStoreRequest *self)
{
  g_clear_error (&self->error);
  if (self->result != NULL)
    self->destroy (g_steal_pointer (&self->result));
}

/**
 * choir_store_request_set_result:
 * @self: a request
 * @result: (transfer full): what its task returns
 * @destroy: frees it
 */
void
choir_store_request_set_result (ChoirStoreRequest *self, gpointer result, GDestroyNotify destroy)
{
  self->result = result;
  self->destroy = destroy;
}

gboolean
choir_store_request_is_cancelled (ChoirStoreRequest *self)
{
  return g_cancellable_is_cancelled (g_task_get_cancellable (self->task));
}

void
choir_store_request_finish (ChoirStoreRequest *self)
{
  g_autoptr (GTask) task = g_steal_pointer (&self->task);
  GError *error = g_steal_pointer (&self->error);
  gpointer result = g_steal_pointer (&self->result);
  GDestroyNotify destroy = self->destroy;

  g_clear_pointer (&self->snapshot, choir_snapshot_free);
  g_clear_pointer (&self->user, choir_store_user_free);
  g_free (self);

  if (error != NULL)
    {
      g_task_return_error (task, error);
      if (result != NULL)
        destroy (result);
    }
  else if (result != NULL)
    g_task_return_pointer (task, result, destroy);
  else
    g_task_return_boolean (task, TRUE);
}

void
choir_store_requests_add (ChoirStoreRequests *self, ChoirStoreRequest *request)
{
  request->next = NULL;
  if (self->last != NULL)
    self->last->next = request;
  else
    self->first = request;
  self->last = request;
}

/**
 * choir_store_requests_join:
 * @self: a list
 * @more: what comes behind it; empty afterwards
 */
void
choir_store_requests_join (ChoirStoreRequests *self, ChoirStoreRequests *more)
{
  if (more->first == NULL)
    return;

  if (self->last != NULL)
    self->last->next = more->first;
  else
    self->first = more->first;
  self->last = more->last;
  *more = (ChoirStoreRequests){ NULL, NULL };
}

/**
 * choir_store_requests_pop:
 * @self: a list
 *
 * Returns: (transfer full) (nullable): what was the first
 */
ChoirStoreRequest *
choir_store_requests_pop (ChoirStoreRequests *self)
{
  ChoirStoreRequest *request = self->first;

  if (request == NULL)
    return NULL;

  self->first = request->next;
  if (self->first == NULL)
    self->last = NULL;
  request->next = NULL;

  return request;
}

void
choir_store_queue_init (ChoirStoreQueue *self)
{
  memset (self, 0, sizeof *self);
  g_mutex_init (&self->lock);
  g_cond_init (&self->changed);
}

void
choir_store_queue_clear (ChoirStoreQueue *self)
{
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->changed);
}

/**
 * choir_store_queue_push:
 * @self: a queue
 * @requests: what is added; empty afterwards
 */
void
choir_store_queue_push (ChoirStoreQueue *self, ChoirStoreRequests *requests)
{
  g_mutex_lock (&self->lock);
  choir_store_requests_join (&self->waiting, requests);
  g_cond_signal (&self->changed);
  g_mutex_unlock (&self->lock);
}

/**
 * choir_store_queue_close:
 * @self: a queue
 *
 * Nothing will be pushed any more.
 */
void
choir_store_queue_close (ChoirStoreQueue *self)
{
  g_mutex_lock (&self->lock);
  self->closed = TRUE;
  g_cond_signal (&self->changed);
  g_mutex_unlock (&self->lock);
}

/**
 * choir_store_queue_take:
 * @self: a queue
 * @deadline_us: monotonic: how long to wait for something; 0: not at all
 * @out: (out): all that was there
 *
 * Returns: %FALSE if the queue is closed and empty
 */
gboolean
choir_store_queue_take (ChoirStoreQueue *self, gint64 deadline_us, ChoirStoreRequests *out)
{
  gboolean more;

  *out = (ChoirStoreRequests){ NULL, NULL };
  g_mutex_lock (&self->lock);
  while (self->waiting.first == NULL && !self->closed && deadline_us > 0)
    {
      if (deadline_us == CHOIR_STORE_FOREVER)
        g_cond_wait (&self->changed, &self->lock);
      else if (!g_cond_wait_until (&self->changed, &self->lock, deadline_us))
        break;
    }

  choir_store_requests_join (out, &self->waiting);
  more = out->first != NULL || !self->closed;
  g_mutex_unlock (&self->lock);

  return more;
}
