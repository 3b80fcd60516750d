/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-document-private.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-log.h"
#include "choir-session.h"

#include <string.h>

/*
 * The way of a change: queue -> batch -> store -> text and history -> everybody.
 *
 * One batch of a document is with the store at a time; what arrives meanwhile makes the next one.
 * Only what is stored is applied, so that nothing ever has to be taken back: a batch that the store
 * refuses is simply placed again, or answered with the error.
 */

/* Changes stored together, and delivered together: one who reads must be able to keep up with a
 * batch before the next one comes */
#define BATCH_MAX 256
#define BATCH_BYTES_MAX (256 * 1024)

/* What may wait for one document */
#define QUEUE_MAX 4096
#define QUEUE_BYTES_MAX (16 * 1024 * 1024)

/* A delivery costs about a fifth of this for each subscriber; the batches of a document that a
 * crowd has open are kept so far apart that there are fewer and larger ones */
#define CROWD 48
#define PAUSE_PER_SUBSCRIBER_US 20
#define PAUSE_MAX_US (50 * 1000)

void
choir_pending_free (ChoirPending *self)
{
  g_clear_pointer (&self->change.operation, choir_text_operation_free);
  g_clear_pointer (&self->revision, choir_revision_unref);
  g_clear_object (&self->change.session);
  g_clear_error (&self->refusal);
  if (self->change.destroy != NULL)
    self->change.destroy (self->change.user_data);
  g_free ((char *) self->change.change_id);
  g_free ((char *) self->change.user_id);
  g_free (self->correlation_id);
  g_free (self->key);
  g_free (self);
}

/* Sender and change id; one too long for the store is represented by its digest */
char *
choir_document_make_key (const char *sender, const char *change_id)
{
  g_autofree char *key = NULL;

  if (sender == NULL || change_id == NULL)
    return NULL;

  key = g_strconcat (sender, "\n", change_id, NULL);
  if (strlen (key) <= CHOIR_STORE_NAME_MAX)
    return g_steal_pointer (&key);

  return g_compute_checksum_for_string (G_CHECKSUM_SHA256, key, -1);
}

static ChoirPending *
pending_new (const ChoirChange *change)
{
  ChoirPending *self = g_new0 (ChoirPending, 1);

  self->change = *change;
  self->change.sender = NULL;
  self->change.change_id = g_strdup (change->change_id);
  self->change.user_id = g_strdup (change->user_id);
  self->change.session = change->session != NULL ? g_object_ref (change->session) : NULL;
  self->correlation_id =
    change->correlation_id.len > 0 ? choir_slice_dup (change->correlation_id) : NULL;
  self->change.correlation_id = choir_slice (self->correlation_id);
  self->key = choir_document_make_key (change->sender, change->change_id);
  self->key_hash = self->key != NULL ? choir_document_hash (self->key) : 0;
  self->owner =
    change->session != NULL ? choir_document_hash (choir_session_get_id (change->session)) : 0;
  self->arrived_us = choir_clock_monotonic_us ();
  self->n_bytes = sizeof *self + choir_text_operation_get_size (change->operation);

  return self;
}

/**
 * choir_document_submit:
 * @self: a document
 * @change: what is wanted; copied, but for the operation, which is taken
 *
 * Queues a change. It is answered through its callback, or by the delivery if a session sent it and
 * it was committed.
 */
void
choir_document_submit (ChoirDocument *self, const ChoirChange *change)
{
  ChoirPending *pending = pending_new (change);

  if (self->queue.length >= QUEUE_MAX || self->queue_bytes + pending->n_bytes > QUEUE_BYTES_MAX)
    {
      pending->refusal = g_error_new_literal (CHOIR_ERROR, CHOIR_ERROR_RATE_LIMITED,
                                              "Too many changes of this document are waiting");
      g_clear_pointer (&pending->change.operation, choir_text_operation_free);
      pending->n_bytes = 0;
    }

  self->queue_bytes += pending->n_bytes;
  g_queue_push_tail (&self->queue, pending);

  if (!(self->flags & (CHOIR_DOCUMENT_STORING | CHOIR_DOCUMENT_FETCHING)))
    choir_document_schedule (self, self->due_us);
}

static gboolean
is_in_batch (const GPtrArray *batch, guint64 key_hash)
{
  for (guint i = 0; i < batch->len; i++)
    if (((const ChoirPending *) g_ptr_array_index (batch, i))->key_hash == key_hash)
      return TRUE;

  return FALSE;
}

/* Bytes of the text with the batch applied: at most this, for what is deleted counts one byte a
 * character */
static gsize
estimate_size (ChoirDocument *self, const GPtrArray *batch)
{
  gsize size = choir_rope_get_n_bytes (self->text);

  for (guint i = 0; i < batch->len; i++)
    {
      const ChoirTextOperation *operation =
        ((const ChoirPending *) g_ptr_array_index (batch, i))->revision->operation;

      size += choir_text_operation_get_inserted_bytes (operation);
      size -= choir_text_operation_get_deleted_chars (operation);
    }

  return size;
}

/* Whether the change surely fits behind others: what it deletes is known only when they are there
 */
static gboolean
fits_batch (ChoirDocument *self, const GPtrArray *batch, const ChoirTextOperation *operation)
{
  return batch->len == 0 ||
         estimate_size (self, batch) + choir_text_operation_get_inserted_bytes (operation) <=
           self->table->max_size;
}

/* Whether the change fits into the text as it is */
static gboolean
fits (ChoirDocument *self, const ChoirTextOperation *operation)
{
  gsize size =
    choir_rope_get_n_bytes (self->text) + choir_text_operation_get_inserted_bytes (operation);
  gsize n_deleted = choir_text_operation_get_deleted_chars (operation);
  g_autoptr (ChoirTextOperation) inverse = NULL;

  if (size - n_deleted <= self->table->max_size)
    return TRUE;

  if (n_deleted == 0)
    return FALSE;

  inverse = choir_text_operation_invert (operation, self->text);

  return size - choir_text_operation_get_inserted_bytes (inverse) <= self->table->max_size;
}

typedef enum
{
  TAKEN,    /* into the batch, or into the answers */
  TOO_SOON, /* has to wait until this batch is stored */
  FETCH,    /* has to wait for older revisions */
} Outcome;

static void
take_placed (ChoirDocument *self, GPtrArray *batch, ChoirAnswers *answers, ChoirPending *pending)
{
  if (batch->len > 0 || fits (self, pending->revision->operation))
    {
      g_ptr_array_add (batch, pending);
      return;
    }

  /* it has crossed, and will not be there */
  choir_bridges_remove (&self->bridges, pending->owner);
  choir_answers_refuse_all (answers, self, pending,
                            g_error_new (CHOIR_ERROR, CHOIR_ERROR_TOO_LARGE,
                                         "The document would be larger than %" G_GSIZE_FORMAT
                                         " bytes",
                                         self->table->max_size));
}

/* @pending is out of the queue; unless %TAKEN it has to go back */
static Outcome
take (ChoirDocument *self,
      GPtrArray *batch,
      ChoirAnswers *answers,
      ChoirPending *pending,
      guint64 *needed)
{
  GError *error = NULL;
  guint64 version;

  if (pending->refusal != NULL)
    {
      choir_answers_refuse_all (answers, self, pending, g_steal_pointer (&pending->refusal));
      return TAKEN;
    }

  version = pending->key_hash != 0 ? choir_history_find_key (&self->history, pending->key_hash) : 0;
  if (version > 0 && batch->len > 0)
    return TOO_SOON;
  if (version > 0)
    {
      choir_document_adopt (self, pending, version);
      choir_answers_add (answers, pending, CHOIR_CHANGE_DUPLICATE, version, NULL);
      return TAKEN;
    }

  if (pending->key_hash != 0 && is_in_batch (batch, pending->key_hash))
    return TOO_SOON;

  if (!choir_store_is_writable (self->table->store))
    {
      choir_answers_refuse_all (answers, self, pending, choir_document_new_unavailable ());
      return TAKEN;
    }

  if (!fits_batch (self, batch, pending->change.operation))
    return TOO_SOON;

  switch (choir_document_place (self, batch, pending, needed, &error))
    {
    case CHOIR_PLACE_DONE:
      take_placed (self, batch, answers, pending);
      return TAKEN;

    case CHOIR_PLACE_NEEDS_OLDER:
      return batch->len > 0 ? TOO_SOON : FETCH;

    case CHOIR_PLACE_FAILED:
    default:
      choir_answers_refuse_all (answers, self, pending, error);
      return TAKEN;
    }
}

static Outcome
fill_batch (ChoirDocument *self, GPtrArray *batch, ChoirAnswers *answers, guint64 *needed)
{
  gsize n_batch = 0;

  while (self->queue.length > 0 && batch->len < BATCH_MAX && n_batch < BATCH_BYTES_MAX)
    {
      ChoirPending *pending = g_queue_pop_head (&self->queue);
      gsize n_bytes = pending->n_bytes;
      guint n_before = batch->len;
      Outcome outcome;

      self->queue_bytes -= n_bytes;
      outcome = take (self, batch, answers, pending, needed);
      if (outcome != TAKEN)
        {
          g_queue_push_head (&self->queue, pending);
          self->queue_bytes += n_bytes;
          return outcome;
        }

      if (batch->len > n_before)
        n_batch += n_bytes;
    }

  return TAKEN;
}

/* Back to the head of the queue, in order, as they were sent */
static void
requeue (ChoirDocument *self, GPtrArray *batch)
{
  for (guint i = batch->len; i > 0; i--)
    {
      ChoirPending *pending = g_ptr_array_index (batch, i - 1);

      g_clear_pointer (&pending->revision, choir_revision_unref);
      self->queue_bytes += pending->n_bytes;
      g_queue_push_head (&self->queue, pending);
    }

  g_ptr_array_set_free_func (batch, NULL);
  g_ptr_array_unref (batch);
}

/* The batch is stored: now it becomes part of the text, and everybody may know */
static void
commit (ChoirDocument *self, GPtrArray *batch, const char *epoch, ChoirAnswers *answers)
{
  g_autofree ChoirCommitted *committed = g_new (ChoirCommitted, batch->len);
  ChoirChannel *channel;

  memcpy (self->epoch, epoch, sizeof self->epoch);
  for (guint i = 0; i < batch->len; i++)
    {
      ChoirPending *pending = g_ptr_array_index (batch, i);
      ChoirRevision *revision = pending->revision;

      choir_text_operation_apply (revision->operation, self->text);
      self->version = revision->version;
      self->changed_us = revision->wall_us;
      choir_document_keep (self, choir_revision_ref (revision));
      committed[i] =
        (ChoirCommitted){ revision, pending->change.session, pending->change.correlation_id };
    }

  channel = choir_document_get_channel (self);
  if (channel != NULL && channel->n_subscribers > CROWD)
    self->due_us = g_get_monotonic_time () +
                   MIN (channel->n_subscribers * PAUSE_PER_SUBSCRIBER_US, PAUSE_MAX_US);

  choir_document_deliver (self, committed, batch->len);
  choir_document_trim_history (self);

  for (guint i = 0; i < batch->len; i++)
    {
      ChoirPending *pending = g_ptr_array_index (batch, i);

      choir_answers_add (answers, pending, CHOIR_CHANGE_COMMITTED, pending->revision->version,
                         NULL);
    }

  g_ptr_array_set_free_func (batch, NULL);
  g_ptr_array_unref (batch);
}

static void
fail_batch (ChoirDocument *self, GPtrArray *batch, ChoirAnswers *answers)
{
  for (guint i = 0; i < batch->len; i++)
    {
      ChoirPending *pending = g_ptr_array_index (batch, i);

      choir_answers_refuse (answers, self, pending, choir_document_new_unavailable ());
      choir_answers_refuse_followers (answers, self, pending->owner);
    }

  g_ptr_array_set_free_func (batch, NULL);
  g_ptr_array_unref (batch);
}

/* Somebody with the same key has been committed in a past that is not in memory */
static void
drop_duplicate (ChoirDocument *self,
                GPtrArray *batch,
                const ChoirAppended *appended,
                ChoirAnswers *answers)
{
  ChoirPending *pending = g_ptr_array_index (batch, appended->duplicate);

  choir_document_adopt (self, pending, appended->offset);
  choir_answers_add (answers, pending, CHOIR_CHANGE_DUPLICATE, appended->offset, NULL);
  g_ptr_array_set_free_func (batch, NULL);
  g_ptr_array_remove_index (batch, appended->duplicate);
  requeue (self, batch);
}

static void
settle_batch (ChoirDocument *self,
              GPtrArray *batch,
              const ChoirAppended *appended,
              ChoirAnswers *answers)
{
  choir_bridges_settle (&self->bridges, appended->status == CHOIR_APPEND_STORED);

  switch (appended->status)
    {
    case CHOIR_APPEND_STORED:
      commit (self, batch, appended->epoch, answers);
      break;

    case CHOIR_APPEND_DUPLICATE:
      drop_duplicate (self, batch, appended, answers);
      break;

    case CHOIR_APPEND_CONFLICT:
    default:
      /* another node was faster, or an append that was reported as failed had got through */
      requeue (self, batch);
      choir_document_fetch_newer (self);
    }
}

static void
appended_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirDocument) self = user_data;
  GPtrArray *batch = g_steal_pointer (&self->batch);
  ChoirAnswers answers = { 0 };
  g_autoptr (GError) error = NULL;
  ChoirAppended appended;

  self->flags &= ~CHOIR_DOCUMENT_STORING;
  if (self->flags & CHOIR_DOCUMENT_GONE)
    {
      g_ptr_array_unref (batch);
      return;
    }

  if (!choir_store_append_finish (CHOIR_STORE (source), result, &appended, &error))
    {
      choir_document_log_failure (self, "changes not stored", error);
      choir_bridges_settle (&self->bridges, FALSE);
      fail_batch (self, batch, &answers);
    }
  else
    settle_batch (self, batch, &appended, &answers);

  if (choir_document_wants_snapshot (self))
    choir_document_take_snapshot (self);

  if (self->queue.length > 0 && !(self->flags & CHOIR_DOCUMENT_FETCHING))
    choir_document_schedule (self, self->due_us);

  choir_answers_give (&answers, self);
  choir_document_settle (self);
}

static void
store_batch (ChoirDocument *self, GPtrArray *batch)
{
  g_autofree ChoirStoreEntry *entries = g_new0 (ChoirStoreEntry, batch->len);
  g_autofree gsize *starts = g_new (gsize, batch->len);
  g_autoptr (GString) data = g_string_sized_new (batch->len * 64);

  for (guint i = 0; i < batch->len; i++)
    {
      const ChoirPending *pending = g_ptr_array_index (batch, i);
      const ChoirRevision *revision = pending->revision;

      starts[i] = data->len;
      choir_text_operation_append_json (revision->operation, data);
      entries[i] = (ChoirStoreEntry){
        .wall_us = revision->wall_us,
        .type = "document.change",
        .id = revision->change_id,
        .user_id = revision->user_id,
        .session_id = revision->session_id,
        .key = pending->key,
        .len = data->len - starts[i],
      };
    }

  for (guint i = 0; i < batch->len; i++)
    entries[i].data = data->str + starts[i];

  self->batch = batch;
  self->flags |= CHOIR_DOCUMENT_STORING;
  choir_store_append_async (self->table->store, self->name, self->version, entries, batch->len,
                            NULL, appended_cb, g_object_ref (self));
}

/**
 * choir_document_pump:
 * @self: a document that has something to do
 *
 * Makes a batch of what waits and hands it to the store.
 */
void
choir_document_pump (ChoirDocument *self)
{
  g_autoptr (GPtrArray) batch = NULL;
  ChoirAnswers answers = { 0 };
  guint64 needed = 0;

  if (self->flags & (CHOIR_DOCUMENT_STORING | CHOIR_DOCUMENT_FETCHING | CHOIR_DOCUMENT_LOADING))
    return;

  g_object_ref (self);
  batch = g_ptr_array_new_with_free_func ((GDestroyNotify) choir_pending_free);

  if (fill_batch (self, batch, &answers, &needed) == FETCH)
    choir_document_fetch_older (self, needed);
  else if (batch->len > 0)
    store_batch (self, g_steal_pointer (&batch));

  choir_answers_give (&answers, self);
  choir_document_settle (self);
  g_object_unref (self);
}
