/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-channel-log-private.h"

#include "choir-clock.h"
#include "choir-container.h"
#include "choir-error.h"
#include "choir-hub-private.h"
#include "choir-log.h"
#include "choir-names.h"
#include "choir-session.h"

#include <string.h>

/*
 * The way of a message: queue -> batch -> store -> ring and subscribers -> publisher.
 *
 * One batch of a channel is with the store at a time; what arrives meanwhile makes the next one,
 * and so does what one turn of the loop brings. Nobody gets what is not stored.
 */

/* Messages stored together, and delivered together */
#define BATCH_MAX 256
#define BATCH_BYTES_MAX (256 * 1024)

/* What may wait for one channel, and for all */
#define QUEUE_MAX 4096
#define QUEUE_BYTES_MAX (16 * 1024 * 1024)
#define TOTAL_BYTES_MAX (128 * 1024 * 1024)

/* The store says that somebody else has written, and then there is nothing: that often in a row */
#define CONFLICTS_MAX 3

static void
pending_free (ChoirLogPending *self)
{
  g_clear_object (&self->except);
  g_clear_error (&self->error);
  g_free (self);
}

static gsize
size_of (const char *text)
{
  return text != NULL ? strlen (text) + 1 : 0;
}

static const char *
pack (char **cursor, const char *text, gsize len)
{
  char *start = *cursor;

  if (text == NULL)
    return NULL;

  memcpy (start, text, len);
  start[len] = '\0';
  *cursor += len + 1;

  return start;
}

static const char *
pack_string (char **cursor, const char *text)
{
  return text != NULL ? pack (cursor, text, strlen (text)) : NULL;
}

static guint64
hash_key (const char *key)
{
  guint64 hash = G_GUINT64_CONSTANT (14695981039346656037);

  for (; *key != '\0'; key++)
    hash = (hash ^ (guint8) *key) * G_GUINT64_CONSTANT (1099511628211);

  return MAX (hash, 1);
}

static ChoirLogPending *
pending_new (const ChoirPublication *publication, const char *key)
{
  gsize n_bytes = sizeof (ChoirLogPending) + size_of (publication->type) +
                  size_of (publication->user_id) + size_of (publication->session_id) +
                  size_of (key) + publication->payload.len + 1 + size_of (publication->live_type) +
                  publication->live_payload.len + 1;
  ChoirLogPending *self = g_malloc (n_bytes);
  char *cursor = (char *) (self + 1);

  memset (self, 0, sizeof *self);
  self->link.data = self;
  self->n_bytes = n_bytes;
  self->arrived_us = choir_clock_monotonic_us ();
  choir_id_generate (self->id);
  self->entry = (ChoirStoreEntry){
    .wall_us = choir_clock_wall_us (),
    .type = pack_string (&cursor, publication->type),
    .id = self->id,
    .user_id = pack_string (&cursor, publication->user_id),
    .session_id = pack_string (&cursor, publication->session_id),
    .key = pack_string (&cursor, key),
    .data = pack (&cursor, publication->payload.data, publication->payload.len),
    .len = publication->payload.len,
  };
  self->live_type = pack_string (&cursor, publication->live_type);
  self->live.data = pack (&cursor, publication->live_payload.data, publication->live_payload.len);
  self->live.len = publication->live_payload.len;
  self->key_hash = key != NULL ? hash_key (key) : 0;
  if (publication->except != NULL)
    self->except = g_object_ref ((ChoirSession *) publication->except);

  return self;
}

/* One too long for the store is represented by its digest */
static char *
make_key (const char *key)
{
  if (key == NULL || *key == '\0')
    return NULL;

  if (strlen (key) <= CHOIR_STORE_NAME_MAX)
    return g_strdup (key);

  return g_compute_checksum_for_string (G_CHECKSUM_SHA256, key, -1);
}

static gboolean
check_length (const char *text, const char *what, GError **error)
{
  if (text == NULL || strlen (text) <= CHOIR_STORE_NAME_MAX)
    return TRUE;

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, "The %s is longer than %d bytes", what,
               CHOIR_STORE_NAME_MAX);

  return FALSE;
}

/* Whether it can be stored at all, and there is room for it to wait */
static gboolean
check_publication (ChoirChannelLog *self, const ChoirPublication *publication, GError **error)
{
  gsize len = publication->payload.len;

  if (!check_length (publication->type, "type", error) ||
      !check_length (publication->user_id, "user", error) ||
      !check_length (publication->session_id, "session", error))
    return FALSE;

  if (len > QUEUE_BYTES_MAX)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_TOO_LARGE,
                           "The message is too large to be kept");
      return FALSE;
    }

  if (self->queue.length >= QUEUE_MAX || self->queue_bytes + len > QUEUE_BYTES_MAX)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_RATE_LIMITED,
                           "Too many messages to this channel are waiting");
      return FALSE;
    }

  if (self->keeper->closed || self->keeper->n_bytes + len > TOTAL_BYTES_MAX)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE,
                           "Too many messages are waiting");
      return FALSE;
    }

  return TRUE;
}

/**
 * choir_channel_log_submit:
 * @self: a log
 * @publication: what to publish; copied
 * @done: called once: at once if it is refused, else when it is stored or that has failed
 * @user_data: for @done
 */
void
choir_channel_log_submit (ChoirChannelLog *self,
                          const ChoirPublication *publication,
                          ChoirPublishedFunc done,
                          gpointer user_data)
{
  g_autofree char *key = make_key (publication->key);
  g_autoptr (GError) error = NULL;
  ChoirLogPending *pending;

  if (!check_publication (self, publication, &error))
    {
      *choir_hub_get_stats (self->keeper->hub)->log_refused += 1;
      done (NULL, error, user_data);
      return;
    }

  pending = pending_new (publication, key);
  pending->done = done;
  pending->user_data = user_data;
  g_queue_push_tail_link (&self->queue, &pending->link);
  self->queue_bytes += pending->n_bytes;
  self->keeper->n_bytes += pending->n_bytes;
  self->keeper->n_pending++;

  if (!(self->flags & (CHOIR_CHANNEL_LOG_READY | CHOIR_CHANNEL_LOG_LOADING)))
    choir_channel_log_load (self);
  choir_channel_log_schedule (self);
}

static ChoirLogPending *
pop_head (ChoirChannelLog *self)
{
  GList *link = g_queue_pop_head_link (&self->queue);
  ChoirLogPending *pending = link->data;

  self->queue_bytes -= pending->n_bytes;

  return pending;
}

/* Back to the head of the queue, in order */
static void
requeue (ChoirChannelLog *self, GPtrArray *batch)
{
  for (guint i = batch->len; i > 0; i--)
    {
      ChoirLogPending *pending = g_ptr_array_index (batch, i - 1);

      self->queue_bytes += pending->n_bytes;
      g_queue_push_head_link (&self->queue, &pending->link);
    }

  g_ptr_array_unref (batch);
}

static void
count_answer (ChoirStats *stats, const ChoirLogPending *pending)
{
  if (pending->error != NULL)
    *stats->log_refused += 1;
  else if (pending->duplicate)
    *stats->log_duplicates += 1;
  else
    {
      *stats->log_stored += 1;
      choir_histogram_record (stats->log_latency,
                              (choir_clock_monotonic_us () - pending->arrived_us) /
                                (double) G_USEC_PER_SEC);
    }
}

/* Calls back, in order and last of all: anything may happen in there. Takes @answers */
static void
give_answers (ChoirChannelLog *self, GPtrArray *answers)
{
  ChoirStats *stats = choir_hub_get_stats (self->keeper->hub);

  choir_channel_log_hold (self);
  for (guint i = 0; i < answers->len; i++)
    {
      ChoirLogPending *pending = g_ptr_array_index (answers, i);
      ChoirPublished published = {
        .channel = self->channel,
        .offset = pending->offset,
        .n_recipients = pending->n_recipients,
        .duplicate = pending->duplicate,
      };

      count_answer (stats, pending);
      self->keeper->n_bytes -= pending->n_bytes;
      self->keeper->n_pending--;
      pending->done (pending->error == NULL ? &published : NULL, pending->error,
                     pending->user_data);
      pending_free (pending);
    }

  g_ptr_array_unref (answers);
  if (self->keeper->n_pending == 0)
    choir_hub_drain_check (self->keeper->hub);
  choir_channel_log_drop (self);
}

static void
refuse (GPtrArray *answers, ChoirLogPending *pending, const char *why)
{
  pending->error = g_error_new_literal (CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE, why);
  g_ptr_array_add (answers, pending);
}

/* Everything that waits, also what is with the store: of that it is not known */
void
choir_channel_log_refuse_queue (ChoirChannelLog *self, const char *why)
{
  g_autoptr (GPtrArray) batch = g_steal_pointer (&self->batch);
  GPtrArray *answers = g_ptr_array_new ();

  for (guint i = 0; batch != NULL && i < batch->len; i++)
    refuse (answers, g_ptr_array_index (batch, i), why);
  while (self->queue.length > 0)
    refuse (answers, pop_head (self), why);

  give_answers (self, answers);
}

static gboolean
is_in_batch (const GPtrArray *batch, guint64 key_hash)
{
  for (guint i = 0; key_hash != 0 && i < batch->len; i++)
    if (((const ChoirLogPending *) g_ptr_array_index (batch, i))->key_hash == key_hash)
      return TRUE;

  return FALSE;
}

/* Takes from the queue what can be stored together, and what can be answered before */
static void
fill_batch (ChoirChannelLog *self, GPtrArray *batch, GPtrArray *answers)
{
  gsize n_bytes = 0;

  while (self->queue.length > 0 && batch->len < BATCH_MAX && n_bytes < BATCH_BYTES_MAX)
    {
      ChoirLogPending *pending = self->queue.head->data;

      /* answers keep the order; who said the same before is waited for */
      if (batch->len > 0 && (pending->duplicate || is_in_batch (batch, pending->key_hash)))
        return;

      pop_head (self);
      if (pending->duplicate)
        g_ptr_array_add (answers, pending);
      else if (!choir_store_is_writable (self->store))
        refuse (answers, pending, "Messages can't be stored at the moment");
      else
        {
          g_ptr_array_add (batch, pending);
          n_bytes += pending->n_bytes;
        }
    }
}

/* The batch is stored: now everybody may have it */
static void
commit (ChoirChannelLog *self, GPtrArray *batch)
{
  ChoirChannel *channel = self->channel;

  for (guint i = 0; i < batch->len; i++)
    {
      ChoirLogPending *pending = g_ptr_array_index (batch, i);
      char id[CHOIR_ID_SIZE];
      ChoirMessage message, live;

      pending->offset = pending->entry.offset = channel->offset + 1;
      choir_channel_log_entry_to_message (&pending->entry, channel, id, &message);
      if (pending->live_type != NULL)
        {
          live = message;
          live.type = pending->live_type;
          live.payload = pending->live;
          message.live = &live;
        }
      pending->n_recipients =
        choir_hub_deliver (self->keeper->hub, channel, &message, pending->except);
    }

  self->n_conflicts = 0;
  choir_channel_log_trim (self, choir_channel_log_get_slack (self));
  give_answers (self, batch);
}

static void
fail_batch (ChoirChannelLog *self, GPtrArray *batch, const char *why)
{
  GPtrArray *answers = g_ptr_array_new ();

  for (guint i = 0; i < batch->len; i++)
    refuse (answers, g_ptr_array_index (batch, i), why);
  g_ptr_array_unref (batch);
  give_answers (self, answers);
}

static void
settle_batch (ChoirChannelLog *self, GPtrArray *batch, const ChoirAppended *appended)
{
  ChoirLogPending *first;

  switch (appended->status)
    {
    case CHOIR_APPEND_STORED:
      commit (self, batch);
      break;

    case CHOIR_APPEND_DUPLICATE:
      first = g_ptr_array_index (batch, appended->duplicate);
      first->duplicate = TRUE;
      first->offset = appended->offset;
      requeue (self, batch);
      break;

    case CHOIR_APPEND_CONFLICT:
    default:
      /* another node was faster, or an append that was reported as failed had got through */
      if (self->n_conflicts++ >= CONFLICTS_MAX)
        {
          self->n_conflicts = 0;
          choir_log (CHOIR_LOG_LEVEL_ERROR, "the log in the store is not what it was",
                     CHOIR_LOG_CHANNEL, self->channel->name, NULL);
          fail_batch (self, batch, "Messages can't be stored at the moment");
          choir_channel_log_load (self);
          return;
        }

      requeue (self, batch);
      choir_channel_log_fetch (self);
    }
}

static void
appended_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirChannelLog) self = user_data;
  GPtrArray *batch = g_steal_pointer (&self->batch);
  g_autoptr (GError) error = NULL;
  ChoirAppended appended;

  self->flags &= ~CHOIR_CHANNEL_LOG_STORING;
  if (self->channel == NULL || batch == NULL)
    return;

  choir_channel_log_hold (self);
  if (choir_store_append_finish (CHOIR_STORE (source), result, &appended, &error))
    settle_batch (self, batch, &appended);
  else
    {
      choir_log (CHOIR_LOG_LEVEL_WARNING, "messages not stored", CHOIR_LOG_CHANNEL,
                 self->channel->name, NULL);
      fail_batch (self, batch, "Messages can't be stored at the moment");
    }

  if (self->queue.length > 0)
    choir_channel_log_schedule (self);
  choir_channel_log_drop (self);
}

static void
store_batch (ChoirChannelLog *self, GPtrArray *batch)
{
  g_autofree ChoirStoreEntry *entries = g_new (ChoirStoreEntry, batch->len);

  for (guint i = 0; i < batch->len; i++)
    entries[i] = ((const ChoirLogPending *) g_ptr_array_index (batch, i))->entry;

  self->batch = batch;
  self->flags |= CHOIR_CHANNEL_LOG_STORING;
  choir_store_append_epoch_async (self->store, self->channel->name, self->channel->epoch,
                                  self->channel->offset, entries, batch->len, NULL, appended_cb,
                                  choir_channel_log_ref (self));
}

static void
pump_cb (ChoirTurnTask *task)
{
  ChoirChannelLog *self = CHOIR_CONTAINER_OF (task, ChoirChannelLog, task);
  g_autoptr (GPtrArray) batch = NULL;
  GPtrArray *answers;

  if ((self->flags & (CHOIR_CHANNEL_LOG_STORING | CHOIR_CHANNEL_LOG_FETCHING)) ||
      !(self->flags & CHOIR_CHANNEL_LOG_READY))
    return;

  batch = g_ptr_array_new ();
  answers = g_ptr_array_new ();
  fill_batch (self, batch, answers);
  if (batch->len > 0)
    store_batch (self, g_steal_pointer (&batch));

  give_answers (self, answers);
}

/* Pumps when the turn is over, so that what comes in it goes together */
void
choir_channel_log_schedule (ChoirChannelLog *self)
{
  if (!(self->flags & (CHOIR_CHANNEL_LOG_STORING | CHOIR_CHANNEL_LOG_FETCHING)) &&
      (self->flags & CHOIR_CHANNEL_LOG_READY))
    choir_turn_ask (choir_hub_get_turn (self->keeper->hub), &self->task, pump_cb);
}
