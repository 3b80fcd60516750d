/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-connection-private.h"

#include "choir-clock.h"
#include "choir-container.h"
#include "choir-envelope.h"

#include <sys/epoll.h>

/* Reads of one connection in a turn: one, so that a fast sender does not keep the others waiting;
 * more only for a peer that has said its last words */
#define READS_AT_END 4
#define IOV_MAX_OURS 64
/* Pings answered one by one until the outbox has run empty; of more only the last is answered, as
 * RFC 6455 5.5.3 allows */
#define PONGS_QUEUED_MAX 32

static ChoirConnection *
from_watch (ChoirWatch *watch)
{
  return CHOIR_CONTAINER_OF (watch, ChoirConnection, watch);
}

static ChoirConnection *
from_outbox (ChoirOutbox *outbox)
{
  return CHOIR_CONTAINER_OF (outbox, ChoirConnection, outbox);
}

/**
 * choir_connection_drop_batch_timer:
 * @self: a connection
 *
 * Messages no longer wait for others; does nothing where they never did.
 */
void
choir_connection_drop_batch_timer (ChoirConnection *self)
{
  if (self->batch_timer != NULL)
    choir_timer_disarm (&self->batch_timer->timer);

  g_clear_pointer (&self->batch_timer, g_free);
}

/* After a fault of the peer's: the close frame says which, and nothing it sent after it counts */
static void
fail (ChoirConnection *self, guint code, const char *reason)
{
  self->flags |= CHOIR_CONNECTION_DEAF;
  choir_connection_close (self, code, reason);
}

static void
batch_cb (ChoirTimer *timer)
{
  ChoirConnection *self = ((ChoirBatchTimer *) timer)->connection;

  choir_reactor_mark_dirty (self->profile->reactor, &self->watch);
}

static void
outbox_wake (ChoirOutbox *outbox)
{
  ChoirConnection *self = from_outbox (outbox);

  if (G_UNLIKELY (self->batch_timer != NULL) && self->state == CHOIR_CONNECTION_STATE_OPEN)
    {
      if (outbox->n_frames < self->profile->batch_size)
        {
          /* asleep until the timer is due, but to be asked again by the next message */
          outbox->flags &= ~CHOIR_OUTBOX_WOKEN;
          if (!choir_timer_is_armed (&self->batch_timer->timer))
            choir_timer_wheel_arm (self->profile->wheel, &self->batch_timer->timer,
                                   self->profile->batch_delay_us, batch_cb);
          return;
        }

      choir_timer_disarm (&self->batch_timer->timer);
    }

  choir_reactor_mark_dirty (self->profile->reactor, &self->watch);
}

static void
outbox_overflow (ChoirOutbox *outbox)
{
  ChoirConnection *self = from_outbox (outbox);

  if (self->state != CHOIR_CONNECTION_STATE_OPEN)
    return;

  if (self->profile->n_slow != NULL)
    *self->profile->n_slow += 1;

  choir_outbox_drop_unsent (outbox, self->transport->pending);
  choir_connection_close (self, CHOIR_CLOSE_SLOW_CONSUMER, "slow consumer");
}

const ChoirOutboxFuncs choir_connection_outbox_funcs = { outbox_wake, outbox_overflow };

/* The run of messages from @first on that may go as one batch */
static guint
count_batch (ChoirConnection *self, guint first)
{
  guint n = 0;

  while (first + n < self->outbox.n_frames && n < self->profile->batch_size &&
         choir_envelope_is_single (choir_outbox_get_frame (&self->outbox, first + n)))
    n++;

  return n;
}

/* Several messages in one frame, for clients that said they want that (protocol.md, "Envelope") */
static void
join_messages (ChoirConnection *self)
{
  guint first = self->outbox.written > 0 ? 1 : 0;
  g_autofree ChoirFrame **messages =
    g_new (ChoirFrame *, MIN (self->profile->batch_size, self->outbox.n_frames));

  for (; first < self->outbox.n_frames; first++)
    {
      guint n = count_batch (self, first);

      if (n < 2)
        continue;

      for (guint i = 0; i < n; i++)
        messages[i] = choir_outbox_get_frame (&self->outbox, first + i);
      choir_outbox_replace_unsent (&self->outbox, first, n, choir_envelope_join (messages, n));
    }
}

/* The outbox has run empty: what was waiting for that */
static void
drained (ChoirConnection *self)
{
  self->outbox.flags &= ~CHOIR_OUTBOX_WOKEN;
  self->n_pongs = 0;

  if (self->late_pong != NULL)
    {
      g_autoptr (ChoirFrame) pong = g_steal_pointer (&self->late_pong);

      choir_outbox_push (&self->outbox, pong);
    }

  /* both close frames are through, or the peer broke the protocol: then ours is the last word
   * (RFC 6455 7.1.7) */
  if (self->state == CHOIR_CONNECTION_STATE_CLOSING &&
      (self->flags & (CHOIR_CONNECTION_CLOSE_RECEIVED | CHOIR_CONNECTION_DEAF)))
    choir_connection_linger (self);
}

static void
resume_reading (ChoirConnection *self)
{
  if (self->outbox.n_bytes > self->outbox.limits->max_bytes / 4)
    return;

  self->flags &= ~CHOIR_CONNECTION_PAUSED;
  choir_reactor_requeue (self->profile->reactor, &self->watch);
}

/* What most flushes are */
static gssize
write_single (ChoirConnection *self)
{
  const ChoirFrame *frame = self->outbox.single;
  guint written = self->outbox.written;

  return choir_transport_send (self->transport, choir_frame_get_data (frame) + written,
                               frame->len - written);
}

static gssize
write_several (ChoirConnection *self)
{
  struct iovec iov[IOV_MAX_OURS];
  guint n = choir_outbox_peek (&self->outbox, iov, IOV_MAX_OURS);

  return choir_transport_write (self->transport, iov, n);
}

/* FALSE if the socket takes no more for now, or is broken */
static gboolean
write_queue (ChoirConnection *self)
{
  while (self->outbox.n_frames > 0)
    {
      gssize n = self->outbox.single != NULL ? write_single (self) : write_several (self);

      if (n == CHOIR_TRANSPORT_WOULD_BLOCK)
        {
          self->flags |= CHOIR_CONNECTION_BLOCKED;
          choir_outbox_block (&self->outbox, self->transport->pending);
          return FALSE;
        }

      if (n < 0)
        {
          choir_connection_die (self);
          return FALSE;
        }

      choir_outbox_consume (&self->outbox, n);
    }

  return TRUE;
}

static void
flush (ChoirConnection *self)
{
  if ((self->flags & CHOIR_CONNECTION_BLOCKED) || self->state == CHOIR_CONNECTION_STATE_DEAD)
    return;

  if ((self->flags & CHOIR_CONNECTION_BATCHING) && self->outbox.n_frames > 1 &&
      self->transport->pending == 0)
    join_messages (self);

  if (write_queue (self))
    drained (self);

  if (self->flags & CHOIR_CONNECTION_PAUSED)
    resume_reading (self);
}

static void
answer_ping (ChoirConnection *self, const ChoirFrameMessage *ping)
{
  g_autoptr (ChoirFrame) pong = choir_frame_new (CHOIR_OPCODE_PONG, ping->data, ping->len);

  if (self->n_pongs < PONGS_QUEUED_MAX)
    {
      self->n_pongs++;
      choir_outbox_push (&self->outbox, pong);
      return;
    }

  g_clear_pointer (&self->late_pong, choir_frame_unref);
  self->late_pong = g_steal_pointer (&pong);
}

static void
handle_close_frame (ChoirConnection *self, const ChoirFrameMessage *close)
{
  self->flags |= CHOIR_CONNECTION_CLOSE_RECEIVED | CHOIR_CONNECTION_DEAF;

  /* ours went first: this is the answer */
  if (self->state != CHOIR_CONNECTION_STATE_OPEN)
    {
      choir_reactor_mark_dirty (self->profile->reactor, &self->watch);
      return;
    }

  self->close_code = close->close_code;
  choir_connection_tell_leaving (self, close->close_code);

  /* RFC 6455 5.5.1: answered with the code that came; none came, none goes */
  choir_connection_close (self, close->close_code == CHOIR_CLOSE_NO_STATUS ? 0 : close->close_code,
                          NULL);
}

static void
handle_event (ChoirConnection *self, ChoirFrameEvent event, const ChoirFrameMessage *message)
{
  switch (event)
    {
    case CHOIR_FRAME_EVENT_MESSAGE:
      if (self->state == CHOIR_CONNECTION_STATE_OPEN)
        self->handler->message (self, message->opcode, message->data, message->len,
                                self->handler_data);
      break;

    case CHOIR_FRAME_EVENT_PING:
      if (self->state == CHOIR_CONNECTION_STATE_OPEN)
        answer_ping (self, message);
      break;

    case CHOIR_FRAME_EVENT_CLOSE:
      handle_close_frame (self, message);
      break;

    case CHOIR_FRAME_EVENT_ERROR:
      fail (self, message->close_code, message->reason);
      break;

    case CHOIR_FRAME_EVENT_PONG:
    case CHOIR_FRAME_EVENT_MORE:
    default:
      break;
    }
}

static void
process (ChoirConnection *self, guint8 *data, gsize len)
{
  ChoirFrameMessage message;
  ChoirFrameEvent event;

  while (!(self->flags & CHOIR_CONNECTION_DEAF) && self->state != CHOIR_CONNECTION_STATE_DEAD)
    {
      event = choir_frame_parser_next (&self->parser, &data, &len, &message);
      if (event == CHOIR_FRAME_EVENT_MORE)
        return;

      handle_event (self, event, &message);

      /* many questions in one read, each with a long answer: write before the limit is met */
      if (self->outbox.n_bytes > self->outbox.limits->max_bytes / 2)
        flush (self);

      if (self->outbox.n_bytes > self->outbox.limits->max_bytes / 2 &&
          self->state == CHOIR_CONNECTION_STATE_OPEN && len > 0)
        {
          self->backlog = g_bytes_new (data, len);
          self->flags |= CHOIR_CONNECTION_PAUSED;
          return;
        }
    }
}

/* What was read before the reading paused; FALSE if it pauses again */
static gboolean
process_backlog (ChoirConnection *self)
{
  g_autofree guint8 *data = NULL;
  gsize len;

  if (self->backlog == NULL)
    return TRUE;

  data = g_bytes_unref_to_data (g_steal_pointer (&self->backlog), &len);
  process (self, data, len);

  return !(self->flags & CHOIR_CONNECTION_PAUSED) && self->state != CHOIR_CONNECTION_STATE_DEAD;
}

static void
read_some (ChoirConnection *self)
{
  gboolean ended = (self->flags & CHOIR_CONNECTION_ENDED) != 0;
  guint8 *buffer = choir_reactor_get_buffer (self->profile->reactor);
  gboolean stream = choir_transport_is_stream (self->transport);

  if (!process_backlog (self))
    return;

  for (guint i = 0; i < (ended ? READS_AT_END : 1); i++)
    {
      gssize n;

      if (self->outbox.n_bytes > self->outbox.limits->max_bytes / 2 &&
          self->state == CHOIR_CONNECTION_STATE_OPEN)
        {
          self->flags |= CHOIR_CONNECTION_PAUSED;
          return;
        }

      n = choir_transport_read (self->transport, buffer, CHOIR_REACTOR_BUFFER_SIZE);
      if (n == CHOIR_TRANSPORT_WOULD_BLOCK)
        return;

      if (n <= 0)
        {
          /* the peer may have closed its side behind its last words: it still gets the answers */
          if (n == 0)
            flush (self);
          choir_connection_die (self);
          return;
        }

      self->heard_us = choir_clock_monotonic_us ();
      process (self, buffer, n);

      if (self->state == CHOIR_CONNECTION_STATE_DEAD || (self->flags & CHOIR_CONNECTION_PAUSED) ||
          (n < CHOIR_REACTOR_BUFFER_SIZE && !stream && !ended))
        return;
    }

  choir_reactor_requeue (self->profile->reactor, &self->watch);
}

/**
 * choir_connection_ready:
 * @watch: of a connection
 * @events: epoll events; 0: to go on reading
 *
 * Writes what the socket takes again, reads and deals with what has come.
 */
void
choir_connection_ready (ChoirWatch *watch, guint32 events)
{
  ChoirConnection *self = from_watch (watch);
  gboolean stream = choir_transport_is_stream (self->transport);

  /* TLS may have to write in order to read, and the other way round */
  if ((self->flags & CHOIR_CONNECTION_BLOCKED) && ((events & EPOLLOUT) || stream))
    {
      self->flags &= ~CHOIR_CONNECTION_BLOCKED;
      flush (self);
      if (self->state == CHOIR_CONNECTION_STATE_DEAD)
        return;
    }

  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
    self->flags |= CHOIR_CONNECTION_ENDED;

  if (events == 0 || stream || (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
    if (!(self->flags & CHOIR_CONNECTION_PAUSED))
      read_some (self);
}

/* What a fan-out does to most of its subscribers: one whole frame, nothing before and nothing
 * behind it. FALSE: anything else */
static gboolean
flush_single (ChoirConnection *self)
{
  ChoirFrame *frame = self->outbox.single;
  gssize n;

  if (frame == NULL || self->outbox.written > 0 || self->state != CHOIR_CONNECTION_STATE_OPEN ||
      (self->flags & (CHOIR_CONNECTION_BLOCKED | CHOIR_CONNECTION_PAUSED)) || self->n_pongs > 0)
    return FALSE;

  n = choir_transport_send (self->transport, choir_frame_get_data (frame), frame->len);
  if (n != (gssize) frame->len)
    {
      if (n > 0)
        choir_outbox_consume (&self->outbox, n);
      return FALSE;
    }

  choir_outbox_forget_single (&self->outbox);

  return TRUE;
}

/**
 * choir_connection_flush:
 * @watch: of a connection
 *
 * Writes what is queued.
 */
void
choir_connection_flush (ChoirWatch *watch)
{
  ChoirConnection *self = from_watch (watch);

  if (!flush_single (self))
    flush (self);
}

/**
 * choir_connection_feed:
 * @self: a started connection
 * @data: bytes that came right behind the handshake
 * @len: how many
 */
void
choir_connection_feed (ChoirConnection *self, const guint8 *data, gsize len)
{
  g_autofree guint8 *copy = g_memdup2 (data, len);

  process (self, copy, len);
}

/**
 * choir_connection_set_batching:
 * @self: a connection
 * @batching: whether its client takes several messages in one frame
 */
void
choir_connection_set_batching (ChoirConnection *self, gboolean batching)
{
  if (batching)
    {
      self->flags |= CHOIR_CONNECTION_BATCHING;
      self->outbox.flags |= CHOIR_OUTBOX_BATCHES;
      self->outbox.variant = CHOIR_VARIANT_PLAIN;
      g_clear_pointer (&self->outbox.deflater, choir_deflater_free);
      if (self->profile->batch_delay_us > 0 && self->batch_timer == NULL)
        {
          self->batch_timer = g_new0 (ChoirBatchTimer, 1);
          self->batch_timer->connection = self;
        }
    }
  else
    {
      self->flags &= ~CHOIR_CONNECTION_BATCHING;
      self->outbox.flags &= ~CHOIR_OUTBOX_BATCHES;
    }
}
