/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-event-stream-private.h"

#include "choir-clock.h"
#include "choir-container.h"

#include <string.h>
#include <sys/epoll.h>

/* Written at a time; what the socket does not take of it is kept */
#define PIECE_MAX (16 * 1024)
/* The request has been read: what else a client sends is thrown away, up to this */
#define IGNORED_MAX (64 * 1024)
#define READS_MAX 4

/* Where the next event comes from: what greets a client that comes back, what it has missed, and
 * what waits for it */
static gboolean
take_entry (ChoirEventStream *self)
{
  ChoirEventEntry entry = { 0 };

  if (self->n_greetings == 0 && self->replay != NULL)
    {
      ChoirEventEntry *next = &g_array_index (self->replay, ChoirEventEntry, self->n_replayed++);

      choir_event_encoder_begin (&self->encoder, next);
      if (self->n_replayed == self->replay->len)
        g_clear_pointer (&self->replay, g_array_unref);
      return TRUE;
    }

  if (self->outbox.n_frames == 0)
    return FALSE;

  entry.frame = choir_frame_ref (choir_outbox_get_frame (&self->outbox, 0));
  choir_outbox_consume (&self->outbox, entry.frame->len);
  if (self->n_greetings > 0)
    self->n_greetings--;
  else if (self->log != NULL)
    entry.first = choir_event_log_add (self->log, entry.frame);
  choir_event_encoder_begin (&self->encoder, &entry);

  return TRUE;
}

/* The next piece of the stream; 0 if there is nothing to be said */
static gsize
fill (ChoirEventStream *self, char *out)
{
  gsize n = 0;

  while (PIECE_MAX - n >= CHOIR_EVENT_HEAD_MAX)
    {
      if (choir_event_encoder_is_idle (&self->encoder) && !take_entry (self))
        break;
      n += choir_event_encoder_run (&self->encoder, out + n, PIECE_MAX - n);
    }

  /* a message that was cut off can't be ended, only be left to end with the stream */
  if (n == 0 && self->farewell != NULL && !choir_event_encoder_is_inside (&self->encoder))
    {
      n = self->farewell->len;
      memcpy (out, self->farewell->str, n);
      g_string_free (g_steal_pointer (&self->farewell), TRUE);
    }

  return n;
}

/* Bytes taken; fewer than @len: it is blocked, or dead */
static gsize
write_piece (ChoirEventStream *self, const char *data, gsize len)
{
  gsize n_written = 0;

  while (n_written < len)
    {
      gssize n =
        choir_transport_send (self->transport, (const guint8 *) data + n_written, len - n_written);

      if (n == CHOIR_TRANSPORT_WOULD_BLOCK)
        {
          self->flags |= CHOIR_EVENT_STREAM_BLOCKED;
          break;
        }
      if (n < 0)
        {
          choir_event_stream_die (self);
          break;
        }
      n_written += (gsize) n;
    }

  if (n_written > 0)
    self->written_us = choir_clock_monotonic_us ();

  return n_written;
}

static gboolean
write_rest (ChoirEventStream *self)
{
  gsize n;

  if (self->rest == NULL)
    return TRUE;

  n = write_piece (self, self->rest->str, self->rest->len);
  if (n < self->rest->len)
    {
      g_string_erase (self->rest, 0, (gssize) n);
      return FALSE;
    }

  g_string_free (g_steal_pointer (&self->rest), TRUE);

  return TRUE;
}

static void
flush (ChoirEventStream *self)
{
  char *piece = (char *) choir_reactor_get_buffer (self->profile->reactor);

  if ((self->flags & CHOIR_EVENT_STREAM_BLOCKED) || self->state == CHOIR_EVENT_STREAM_DEAD ||
      !write_rest (self))
    return;

  for (;;)
    {
      gsize len = fill (self, piece);
      gsize n;

      if (len == 0)
        break;

      n = write_piece (self, piece, len);
      if (n < len)
        {
          self->rest = g_string_new_len (piece + n, (gssize) (len - n));
          return;
        }
    }

  self->outbox.flags &= ~CHOIR_OUTBOX_WOKEN;
  if (self->state == CHOIR_EVENT_STREAM_CLOSING)
    choir_event_stream_linger (self);
}

/* Nothing is expected but the end */
static void
read_some (ChoirEventStream *self)
{
  guint8 *buffer = choir_reactor_get_buffer (self->profile->reactor);

  for (guint i = 0; i < READS_MAX; i++)
    {
      gssize n = choir_transport_read (self->transport, buffer, CHOIR_REACTOR_BUFFER_SIZE);

      if (n == CHOIR_TRANSPORT_WOULD_BLOCK)
        return;

      self->n_ignored += n > 0 ? (gsize) n : 0;
      if (n <= 0 || self->n_ignored > IGNORED_MAX)
        {
          choir_event_stream_die (self);
          return;
        }
    }

  choir_reactor_requeue (self->profile->reactor, &self->watch);
}

/**
 * choir_event_stream_ready:
 * @watch: of a stream
 * @events: epoll events; 0: to go on reading
 *
 * Writes what the socket takes again, and sees whether the client is still there.
 */
void
choir_event_stream_ready (ChoirWatch *watch, guint32 events)
{
  ChoirEventStream *self = CHOIR_CONTAINER_OF (watch, ChoirEventStream, watch);
  gboolean stream = choir_transport_is_stream (self->transport);

  /* TLS may have to write in order to read, and the other way round */
  if ((self->flags & CHOIR_EVENT_STREAM_BLOCKED) && ((events & EPOLLOUT) || stream))
    {
      self->flags &= ~CHOIR_EVENT_STREAM_BLOCKED;
      flush (self);
    }

  if (self->state != CHOIR_EVENT_STREAM_DEAD &&
      (events == 0 || stream || (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))))
    read_some (self);
}

/**
 * choir_event_stream_flush:
 * @watch: of a stream
 *
 * Writes what is queued.
 */
void
choir_event_stream_flush (ChoirWatch *watch)
{
  flush (CHOIR_CONTAINER_OF (watch, ChoirEventStream, watch));
}
