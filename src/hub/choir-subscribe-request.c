/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-subscribe-request.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-handlers.h"
#include "choir-log.h"
#include "choir-session-private.h"

#include <string.h>

/*
 * What is in the channel's memory moves on while the store is being read: before all is joined each
 * channel is looked at again, and what is missing between what was read and what is in memory now
 * is read as well. A channel in which so much is said that this does not end has to be told from
 * its newest messages.
 */

/* Reads, and waits for opening, of one channel */
#define READS_MAX 4
#define OPENS_MAX 4

/* Messages read beyond those that are missing: some will have been said meanwhile */
#define READ_AHEAD 16

static void
item_clear (gpointer data)
{
  ChoirSubscribeItem *self = data;

  g_free (self->name);
  g_free (self->epoch);
  g_clear_error (&self->error);
  g_clear_pointer (&self->span, choir_channel_span_free);
}

/**
 * choir_subscribe_request_new:
 * @session: who joins
 * @message: (nullable): what it said; borrowed until choir_subscribe_request_run() returns
 * @finish: called by that or later, unless the session ends before
 *
 * Returns: (transfer full): a request for no channels
 */
ChoirSubscribeRequest *
choir_subscribe_request_new (ChoirSession *session,
                             const ChoirEnvelope *message,
                             ChoirSubscribeFunc finish)
{
  ChoirSubscribeRequest *self = g_new0 (ChoirSubscribeRequest, 1);

  self->session = g_object_ref (session);
  self->items = g_array_new (FALSE, TRUE, sizeof (ChoirSubscribeItem));
  g_array_set_clear_func (self->items, item_clear);
  self->message = message;
  self->finish = finish;

  return self;
}

/* Gives back what is held */
static void
let_go (ChoirSubscribeRequest *self)
{
  for (guint i = 0; i < self->items->len; i++)
    {
      ChoirSubscribeItem *item = choir_subscribe_request_get (self, i);
      ChoirChannel *channel = g_steal_pointer (&item->channel);

      if (channel != NULL)
        choir_hub_let_channel_go (choir_session_get_hub (self->session), channel);
    }
}

void
choir_subscribe_request_free (ChoirSubscribeRequest *self)
{
  if (!self->cancelled)
    let_go (self);

  if (self->task != NULL)
    g_task_return_new_error (self->task, CHOIR_ERROR, CHOIR_ERROR_NOT_FOUND,
                             "The connection has ended");
  g_clear_object (&self->task);
  g_array_unref (self->items);
  g_object_unref (self->session);
  g_free (self->external_type);
  g_free (self->correlation_id);
  g_free (self);
}

/**
 * choir_subscribe_request_add:
 * @self: a request that does not run yet
 * @name: (transfer full): a channel
 *
 * Returns: (transfer none): where the rest about it is said; until the next is added
 */
ChoirSubscribeItem *
choir_subscribe_request_add (ChoirSubscribeRequest *self, char *name)
{
  ChoirSubscribeItem item = { .name = name };

  g_array_append_val (self->items, item);

  return choir_subscribe_request_get (self, self->items->len - 1);
}

static void advance (ChoirSubscribeRequest *self);

static void
stop_waiting (ChoirSubscribeRequest *self)
{
  g_queue_remove (&self->session->extra->requests, self);
  self->waiting = FALSE;
}

/* What the item waited for is there */
static void
resume (ChoirSubscribeRequest *self)
{
  self->pending = FALSE;
  if (self->running)
    return;

  if (self->cancelled)
    choir_subscribe_request_free (self);
  else if (choir_session_is_closing (self->session))
    {
      stop_waiting (self);
      choir_subscribe_request_free (self);
    }
  else
    advance (self);
}

static void
opened_cb (ChoirChannel *channel, const GError *error, gpointer user_data)
{
  ChoirSubscribeRequest *self = user_data;
  ChoirSubscribeItem *item = choir_subscribe_request_get (self, self->next);

  if (channel == NULL)
    {
      if (item->error == NULL)
        item->error = g_error_copy (error);
    }
  else if (!self->cancelled && item->channel == NULL)
    {
      choir_hub_hold_channel (choir_session_get_hub (self->session), channel);
      item->channel = channel;
    }

  resume (self);
}

/* Whether the channel is in memory, with its epoch and offset */
static gboolean
open_channel (ChoirSubscribeRequest *self, ChoirSubscribeItem *item)
{
  if (item->n_opens >= OPENS_MAX)
    {
      g_set_error_literal (&item->error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE,
                           "The channel can't be read at the moment");
      return FALSE;
    }

  self->pending = TRUE;
  choir_hub_open_channel (choir_session_get_hub (self->session), item->name, opened_cb, self);
  if (!self->pending)
    return item->error == NULL;

  item->n_opens++;

  return FALSE;
}

static void
read_cb (const GError *error, gpointer user_data)
{
  ChoirSubscribeRequest *self = user_data;
  ChoirSubscribeItem *item = choir_subscribe_request_get (self, self->next);

  if (error != NULL)
    {
      choir_log (CHOIR_LOG_LEVEL_WARNING, error->message, NULL);
      if (item->error == NULL)
        item->error = g_error_new_literal (CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE,
                                           "The channel can't be read at the moment");
    }

  resume (self);
}

/* How much of the answer is left for the item */
static gsize
get_budget (const ChoirSubscribeRequest *self, const ChoirSubscribeItem *item)
{
  gsize used = 0;

  for (guint i = 0; i < self->items->len; i++)
    {
      const ChoirSubscribeItem *other = choir_subscribe_request_get (self, i);

      used += other != item && other->span != NULL ? other->span->n_bytes : 0;
    }

  return choir_handlers_get_budget (self->session, used);
}

/* FALSE, and nothing has been begun, if it is of no use to read on */
static gboolean
begin_read (ChoirSubscribeRequest *self, ChoirSubscribeItem *item, ChoirSpanGoal *goal)
{
  ChoirStore *store = choir_hub_get_store (choir_session_get_hub (self->session));

  goal->max_bytes = get_budget (self, item);
  if (store == NULL || goal->max_bytes == 0 || item->n_reads >= READS_MAX)
    return FALSE;

  if (item->span == NULL)
    {
      item->span = choir_channel_span_new ();
      g_strlcpy (item->span_epoch, item->channel->epoch, sizeof item->span_epoch);
    }

  item->n_reads++;
  self->pending = TRUE;
  choir_channel_span_read (item->span, store, item->channel, goal, read_cb, self);

  return TRUE;
}

/* Whether the newest messages are there, as far as they are wanted; else they are being read */
static gboolean
settle_newest (ChoirSubscribeRequest *self, ChoirSubscribeItem *item)
{
  const ChoirChannel *channel = item->channel;
  guint64 first = choir_channel_get_first (channel);
  guint64 n = channel->offset + 1 - first;
  guint64 wanted =
    item->flags & CHOIR_SUBSCRIBE_LOST ? channel->ns->history_size : channel->ns->replay;
  ChoirSpanGoal goal = { .from = first, .reverse = TRUE };

  /* memory has moved past where it met what was read */
  if (item->span != NULL && item->span->first != 0 && item->span->last + 1 < first)
    g_clear_pointer (&item->span, choir_channel_span_free);

  if (item->span != NULL || first <= choir_channel_get_oldest (channel) || n >= wanted ||
      channel->n_bytes > choir_handlers_get_budget (self->session, 0))
    return TRUE;

  goal.limit = (guint) (wanted - n);

  return !begin_read (self, item, &goal);
}

static gboolean
lose (ChoirSubscribeRequest *self, ChoirSubscribeItem *item)
{
  item->flags |= CHOIR_SUBSCRIBE_LOST;
  g_clear_pointer (&item->span, choir_channel_span_free);

  return settle_newest (self, item);
}

/* Whether all that comes after the position could be in an answer at all */
static gboolean
is_possible (const ChoirSubscribeRequest *self, const ChoirSubscribeItem *item)
{
  const ChoirChannel *channel = item->channel;
  guint64 oldest = choir_channel_get_oldest (channel);
  gsize most = choir_handlers_get_budget (self->session, 0) / CHOIR_SPAN_MESSAGE_MIN;

  return g_strcmp0 (item->epoch, channel->epoch) == 0 && item->offset <= channel->offset &&
         item->offset + 1 >= oldest && channel->offset - item->offset <= most;
}

/* Whether what was read begins right after the position, and may fit */
static gboolean
is_of_use (const ChoirSubscribeRequest *self, const ChoirSubscribeItem *item)
{
  const ChoirChannelSpan *span = item->span;

  return !span->broken && span->first == item->offset + 1 &&
         span->n_bytes <= choir_handlers_get_budget (self->session, 0);
}

/* Whether everything after the position is there, or known to be lost; else it is being read */
static gboolean
settle_position (ChoirSubscribeRequest *self, ChoirSubscribeItem *item)
{
  ChoirChannel *channel = item->channel;
  guint64 last = item->offset;
  ChoirSpanGoal goal = { 0 };
  guint64 first;

  choir_channel_trim (channel, choir_clock_wall_us ());
  first = choir_channel_get_first (channel);
  if (!is_possible (self, item) || (item->span != NULL && !is_of_use (self, item)))
    return lose (self, item);

  if (item->span != NULL)
    last = item->span->last;
  if (last + 1 >= first)
    return TRUE;

  goal.from = last;
  goal.until = first - 1;
  goal.limit = (guint) (first - 1 - last) + READ_AHEAD;
  /* memory moves on that fast: all there is, then */
  if (item->n_reads > 0)
    {
      goal.until = G_MAXUINT64;
      goal.limit = G_MAXUINT;
    }

  return !begin_read (self, item, &goal) && lose (self, item);
}

/* Whether nothing more is needed for the item, for now; else it is under way */
static gboolean
settle (ChoirSubscribeRequest *self, ChoirSubscribeItem *item)
{
  if (item->error != NULL ||
      !choir_hub_is_durable (choir_session_get_hub (self->session), item->name))
    return TRUE;

  if (!open_channel (self, item))
    return item->error != NULL;

  if (item->span != NULL && strcmp (item->span_epoch, item->channel->epoch) != 0)
    g_clear_pointer (&item->span, choir_channel_span_free);

  if (item->flags & CHOIR_SUBSCRIBE_LOST)
    return settle_newest (self, item);

  if (item->flags & CHOIR_SUBSCRIBE_POSITION)
    return settle_position (self, item);

  return !(item->flags & CHOIR_SUBSCRIBE_REPLAY) || settle_newest (self, item);
}

/* From now on the session's messages wait, and the end of the session cancels the request */
static void
wait (ChoirSubscribeRequest *self)
{
  self->doubtful = TRUE;
  if (self->waiting)
    return;

  self->waiting = TRUE;
  if (self->message != NULL)
    {
      self->external_type = choir_slice_dup (self->message->external_type);
      self->correlation_id = choir_slice_dup (self->message->correlation_id);
      self->message = NULL;
    }

  g_queue_push_tail (&choir_session_ensure_extra (self->session)->requests, self);
}

static void
finish (ChoirSubscribeRequest *self)
{
  g_autoptr (ChoirSession) session = g_object_ref (self->session);
  gboolean waiting = self->waiting;
  ChoirEnvelope message = {
    .external_type = choir_slice (self->external_type),
    .correlation_id = choir_slice (self->correlation_id),
  };

  if (waiting)
    stop_waiting (self);
  self->finish (self, self->message != NULL ? self->message : &message);
  choir_subscribe_request_free (self);
  if (!waiting)
    return;

  choir_session_release_held (session);
  choir_session_arm_timer (session);
}

/* Looks at one item after the other, until one has to be waited for or all are settled */
static void
advance (ChoirSubscribeRequest *self)
{
  self->running = TRUE;
  while (self->next < self->items->len)
    {
      if (settle (self, choir_subscribe_request_get (self, self->next)))
        self->next++;
      else
        {
          self->running = FALSE;
          wait (self);
          return;
        }

      if (self->next == self->items->len && self->doubtful)
        {
          self->doubtful = FALSE;
          self->next = 0;
        }
    }

  self->running = FALSE;
  finish (self);
}

/**
 * choir_subscribe_request_run:
 * @taken: (transfer full): a request
 *
 * Does what it asks for, now or when all that it needs is there.
 */
void
choir_subscribe_request_run (ChoirSubscribeRequest *taken)
{
  for (guint i = 0; i < taken->items->len; i++)
    {
      ChoirSubscribeItem *item = choir_subscribe_request_get (taken, i);

      if (item->error == NULL && !(item->flags & CHOIR_SUBSCRIBE_GRANTED))
        choir_session_may_subscribe (taken->session, item->name, &item->error);
    }

  advance (taken);
}

/**
 * choir_subscribe_request_is_waiting:
 * @session: a session
 *
 * Returns: whether what it says has to wait until it has joined
 */
gboolean
choir_subscribe_request_is_waiting (ChoirSession *session)
{
  return session->extra != NULL && session->extra->requests.length > 0;
}

/**
 * choir_subscribe_request_withdraw:
 * @session: a session
 * @channel: one that it may be about to join
 *
 * That one is refused when the request it is in is answered, whatever is found of it.
 *
 * Returns: whether the session waits to join it
 */
gboolean
choir_subscribe_request_withdraw (ChoirSession *session, const char *channel)
{
  gboolean found = FALSE;

  if (session->extra == NULL)
    return FALSE;

  for (GList *l = session->extra->requests.head; l != NULL; l = l->next)
    {
      ChoirSubscribeRequest *request = l->data;

      for (guint i = 0; i < request->items->len; i++)
        {
          ChoirSubscribeItem *item = choir_subscribe_request_get (request, i);

          if (item->error != NULL || strcmp (item->name, channel) != 0)
            continue;

          item->error = g_error_new_literal (CHOIR_ERROR, CHOIR_ERROR_PERMISSION_DENIED,
                                             "Ended by an administrator");
          found = TRUE;
        }
    }

  return found;
}

/**
 * choir_subscribe_request_cancel_all:
 * @session: a session that ends
 *
 * Nothing that it has asked for is joined any more.
 */
void
choir_subscribe_request_cancel_all (ChoirSession *session)
{
  ChoirSubscribeRequest *request;

  if (session->extra == NULL)
    return;

  while ((request = g_queue_pop_head (&session->extra->requests)) != NULL)
    {
      let_go (request);
      request->cancelled = TRUE;
    }
}
