/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-outbox.h"

#include <string.h>

/* A frame overtakes so many at most: what looking for its place may cost */
#define OVERTAKEN_MAX 64

/**
 * choir_outbox_init:
 * @self: memory for an outbox
 * @funcs: what the owner does
 * @limits: borrowed for the outbox's life
 */
void
choir_outbox_init (ChoirOutbox *self,
                   const ChoirOutboxFuncs *funcs,
                   const ChoirOutboxLimits *limits)
{
  memset (self, 0, sizeof *self);
  self->funcs = funcs;
  self->limits = limits;
}

/**
 * choir_outbox_clear:
 * @self: an outbox
 *
 * Drops everything, closes it and frees what it owns.
 */
void
choir_outbox_clear (ChoirOutbox *self)
{
  for (guint i = 0; i < self->n_frames; i++)
    choir_frame_unref (choir_outbox_get_frame (self, i));

  g_clear_pointer (&self->queue, g_free);
  g_clear_pointer (&self->deflater, choir_deflater_free);
  self->single = NULL;
  self->n_frames = self->head = self->capacity = self->written = 0;
  self->n_bytes = 0;
  self->n_large = 0;
  self->n_apart = 0;
  self->flags |= CHOIR_OUTBOX_CLOSED;
}

/**
 * choir_outbox_get_frame:
 * @self: an outbox
 * @i: counted from the oldest
 *
 * Returns: (transfer none): the frame
 */
ChoirFrame *
choir_outbox_get_frame (const ChoirOutbox *self, guint i)
{
  return self->queue != NULL ? self->queue[self->head + i] : self->single;
}

static void
make_room (ChoirOutbox *self)
{
  if (self->queue == NULL)
    {
      self->capacity = 4;
      self->queue = g_new (ChoirFrame *, self->capacity);
      self->queue[0] = g_steal_pointer (&self->single);
      self->head = 0;
      return;
    }

  if (self->head + self->n_frames < self->capacity)
    return;

  /* half of the array is already written: moving is cheaper than growing, and amortised */
  if (self->head >= self->capacity / 2)
    {
      memmove (self->queue, self->queue + self->head, self->n_frames * sizeof *self->queue);
      self->head = 0;
      return;
    }

  self->capacity *= 2;
  self->queue = g_renew (ChoirFrame *, self->queue, self->capacity);
}

static gboolean
may_overtake (const ChoirFrame *frame, const ChoirFrame *other)
{
  return other->lane != 0 && other->lane != frame->lane && other->priority < frame->priority &&
         !(other->flags & CHOIR_FRAME_LARGE);
}

/* @frame is the last one. A window of the client's own has seen what waits in this order, and no
 * other */
static void
advance (ChoirOutbox *self, ChoirFrame *frame)
{
  ChoirFrame **queue = self->queue + self->head;
  guint last = self->n_frames - 1;
  guint first = MAX (self->n_fixed, last - MIN (last, OVERTAKEN_MAX));
  guint i = last;

  if (frame->lane == 0 || frame->priority == 0 || self->deflater != NULL ||
      self->n_fixed == G_MAXUINT8)
    return;

  while (i > first && may_overtake (frame, queue[i - 1]))
    i--;

  memmove (queue + i + 1, queue + i, (last - i) * sizeof *queue);
  queue[i] = frame;
}

/**
 * choir_outbox_push_slow:
 * @self: an outbox
 * @frame: (transfer none): what to send
 *
 * The part of choir_outbox_push() for more than one frame.
 */
void
choir_outbox_push_slow (ChoirOutbox *self, ChoirFrame *frame)
{
  make_room (self);
  self->queue[self->head + self->n_frames++] = choir_frame_ref (frame);
  if (G_UNLIKELY (self->n_fixed > 0))
    advance (self, frame);
}

/**
 * choir_outbox_overflow:
 * @self: an outbox
 *
 * Closes the outbox and tells the owner, which is expected to drop the client.
 */
void
choir_outbox_overflow (ChoirOutbox *self)
{
  self->flags |= CHOIR_OUTBOX_CLOSED | CHOIR_OUTBOX_REFUSED;
  self->funcs->overflow (self);
}

/**
 * choir_outbox_push_large:
 * @self: an outbox
 * @frame: (transfer none): what to send; nothing else holds it
 * @max_large: so many of its kind may wait, this one included
 *
 * Queues what may be larger than the limit: its bytes are counted apart, until it has left, and
 * leave the room that there is to others. How many there may be is what bounds them.
 *
 * Returns: %FALSE if too many wait already; nothing was queued
 */
gboolean
choir_outbox_push_large (ChoirOutbox *self, ChoirFrame *frame, guint max_large)
{
  if (self->flags & CHOIR_OUTBOX_CLOSED)
    {
      self->flags |= CHOIR_OUTBOX_REFUSED;
      return TRUE;
    }

  if (self->n_large >= max_large || frame->len > G_MAXUINT32 - self->n_apart)
    return FALSE;

  frame->flags |= CHOIR_FRAME_LARGE;
  self->n_large++;
  self->n_apart += frame->len;
  self->n_bytes += frame->len;
  choir_outbox_push_slow (self, frame);

  if (!(self->flags & CHOIR_OUTBOX_WOKEN))
    {
      self->flags |= CHOIR_OUTBOX_WOKEN;
      self->funcs->wake (self);
    }

  return TRUE;
}

/* @frame no longer waits */
static void
discount (ChoirOutbox *self, const ChoirFrame *frame)
{
  self->n_bytes -= frame->len;
  if (G_LIKELY (!(frame->flags & CHOIR_FRAME_LARGE)))
    return;

  self->n_large--;
  self->n_apart -= frame->len;
}

static void
forget_first (ChoirOutbox *self)
{
  choir_frame_unref (choir_outbox_get_frame (self, 0));
  self->n_frames--;
  self->written = 0;

  if (self->queue == NULL)
    self->single = NULL;
  else
    self->head++;
}

static void
give_back (ChoirOutbox *self)
{
  self->head = 0;
  self->n_fixed = 0;

  if (self->queue == NULL)
    return;

  /* an idle connection owns nothing */
  g_clear_pointer (&self->queue, g_free);
  self->capacity = 0;
}

/* The frames that @n_promised bytes behind what is written reach into, and the one begun */
static guint
count_begun (const ChoirOutbox *self, gsize n_promised)
{
  gsize end = self->written + n_promised;
  gsize covered = 0;
  guint n = 0;

  while (n < self->n_frames && covered < end)
    covered += choir_outbox_get_frame (self, n++)->len;

  return n;
}

/**
 * choir_outbox_block:
 * @self: an outbox with frames
 * @n_promised: as for choir_outbox_drop_unsent()
 *
 * The client takes no more for now. Until all has been written, what is pushed may overtake what
 * waits, besides the frames that have been begun or promised.
 */
void
choir_outbox_block (ChoirOutbox *self, gsize n_promised)
{
  self->n_fixed = (guint8) CLAMP (count_begun (self, n_promised), 1, G_MAXUINT8);
}

/**
 * choir_outbox_drop_unsent:
 * @self: an outbox
 * @n_promised: bytes that were not written, but that the next write must begin with (a TLS record
 * under way)
 *
 * Drops all frames of which no byte has been written, so that a close frame can follow the one
 * that has been begun (RFC 6455 5.1: a frame can't be abandoned half way).
 */
void
choir_outbox_drop_unsent (ChoirOutbox *self, gsize n_promised)
{
  guint keep = count_begun (self, n_promised);

  for (guint i = keep; i < self->n_frames; i++)
    {
      ChoirFrame *frame = choir_outbox_get_frame (self, i);

      discount (self, frame);
      choir_frame_unref (frame);
    }

  if (keep == 0)
    {
      self->single = NULL;
      self->n_frames = 0;
      give_back (self);
    }
  else
    self->n_frames = keep;
}

/**
 * choir_outbox_peek:
 * @self: an outbox
 * @iov: filled with what is to be written next
 * @n_iov: room in @iov
 *
 * Returns: entries filled
 */
guint
choir_outbox_peek (const ChoirOutbox *self, struct iovec *iov, guint n_iov)
{
  guint n = MIN (self->n_frames, n_iov);

  for (guint i = 0; i < n; i++)
    {
      ChoirFrame *frame = choir_outbox_get_frame (self, i);

      iov[i].iov_base = (void *) choir_frame_get_data (frame);
      iov[i].iov_len = frame->len;
    }

  if (n > 0 && self->written > 0)
    {
      iov[0].iov_base = (guint8 *) iov[0].iov_base + self->written;
      iov[0].iov_len -= self->written;
    }

  return n;
}

/**
 * choir_outbox_consume:
 * @self: an outbox
 * @n_bytes: bytes that were written of what choir_outbox_peek() gave
 */
void
choir_outbox_consume (ChoirOutbox *self, gsize n_bytes)
{
  while (self->n_frames > 0)
    {
      ChoirFrame *frame = choir_outbox_get_frame (self, 0);
      gsize left = frame->len - self->written;

      if (n_bytes < left)
        {
          self->written += n_bytes;
          return;
        }

      n_bytes -= left;
      discount (self, frame);
      forget_first (self);
    }

  give_back (self);
}

/**
 * choir_outbox_replace_unsent:
 * @self: an outbox
 * @first: index of the first frame to replace, nothing of which has been written
 * @n: how many, at least 1
 * @frame: (transfer full): what takes their place
 *
 * Used to put several messages into one batch frame.
 */
void
choir_outbox_replace_unsent (ChoirOutbox *self, guint first, guint n, ChoirFrame *frame)
{
  g_assert (n > 0 && first + n <= self->n_frames);
  g_assert (first > 0 || self->written == 0);

  for (guint i = first; i < first + n; i++)
    {
      ChoirFrame *old = choir_outbox_get_frame (self, i);

      discount (self, old);
      choir_frame_unref (old);
    }

  self->n_bytes += frame->len;

  if (self->queue == NULL)
    {
      self->single = frame;
      return;
    }

  self->queue[self->head + first] = frame;
  memmove (self->queue + self->head + first + 1, self->queue + self->head + first + n,
           (self->n_frames - first - n) * sizeof *self->queue);
  self->n_frames -= n - 1;
}
