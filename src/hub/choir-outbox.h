/* choir-outbox.h: frames waiting to be written to one client
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>
#include <sys/uio.h>

#include "choir-deflate.h"
#include "choir-dialect.h"
#include "choir-frame.h"

G_BEGIN_DECLS

/**
 * ChoirOutbox:
 *
 * A byte-counted queue between the hub, which produces, and a connection, which writes. It holds
 * references on shared frames, so a slow client costs pointers, not copies. Embedded in its
 * connection; it knows nothing of sockets: it wakes its owner when it stops being empty, and tells
 * it once when the hard limit would be passed, after which it refuses everything.
 *
 * Frames leave in the order in which they came. Only where the client has not kept up does one of a
 * lane with a higher priority go before those that wait of lanes with a lower one; an answer, which
 * is of no lane, is never overtaken, and nothing that may have been written in part.
 */
typedef struct _ChoirOutbox ChoirOutbox;

typedef struct
{
  void (*wake) (ChoirOutbox *self); /* something is queued and no flush is pending */
  void (*overflow) (
    ChoirOutbox *self); /* the limit was met; nothing more is taken. Must not touch the producer */
} ChoirOutboxFuncs;

/* Shared by all connections, changed by a reload */
typedef struct
{
  gsize max_bytes;
} ChoirOutboxLimits;

/* How frames for this client are compressed */
typedef enum
{
  CHOIR_VARIANT_PLAIN,
  CHOIR_VARIANT_WIDE,   /* shared compressor, 12-bit window */
  CHOIR_VARIANT_NARROW, /* shared compressor, 9-bit window */
  CHOIR_N_VARIANTS
} ChoirVariant;

#define CHOIR_N_FRAME_VARIANTS (CHOIR_N_DIALECTS * CHOIR_N_VARIANTS)
/* One is a guint8, and so is a set of dialects */
G_STATIC_ASSERT (CHOIR_N_FRAME_VARIANTS <= 256 && CHOIR_N_DIALECTS <= 8);

typedef enum
{
  CHOIR_OUTBOX_WOKEN = 1 << 0,   /* the owner knows; cleared by the owner's flush */
  CHOIR_OUTBOX_CLOSED = 1 << 1,  /* takes nothing more */
  CHOIR_OUTBOX_BATCHES = 1 << 2, /* the client takes several messages in one frame */
  CHOIR_OUTBOX_REFUSED = 1 << 3, /* something that came when it took nothing more */
} ChoirOutboxFlags;

/* Large frames that may wait for one client besides @max_bytes: of the answers it asked for, and in
 * all */
#define CHOIR_OUTBOX_ANSWERS_MAX 2
#define CHOIR_OUTBOX_LARGE_MAX 4

struct _ChoirOutbox
{
  const ChoirOutboxFuncs *funcs;
  const ChoirOutboxLimits *limits; /* borrowed */
  ChoirFrame *single;              /* (owned) (nullable): the only frame, while @queue is NULL */
  ChoirFrame **queue;              /* (owned) (nullable): all frames once there were two */
  ChoirDeflater *deflater;         /* (owned) (nullable): a window of its own */
  gsize n_bytes;                   /* of all that waits */
  guint32 n_frames;
  guint32 head;     /* of @queue */
  guint32 capacity; /* of @queue */
  guint32 written;  /* bytes of the first frame already gone */
  guint8 variant;   /* dialect x CHOIR_N_VARIANTS + ChoirVariant */
  guint8 flags;
  guint8 n_large; /* frames counted apart */
  guint8
    n_fixed; /* frames at the head that keep their places; 0: the client keeps up, and all do */
  guint32 n_apart; /* their bytes */
};

void choir_outbox_init (ChoirOutbox *self,
                        const ChoirOutboxFuncs *funcs,
                        const ChoirOutboxLimits *limits);
void choir_outbox_clear (ChoirOutbox *self);
void choir_outbox_push_slow (ChoirOutbox *self, ChoirFrame *frame);
void choir_outbox_overflow (ChoirOutbox *self);
gboolean choir_outbox_push_large (ChoirOutbox *self, ChoirFrame *frame, guint max_large);
void choir_outbox_drop_unsent (ChoirOutbox *self, gsize n_promised);
gboolean choir_outbox_copy_unsent (const ChoirOutbox *self, ChoirOutbox *into);
guint choir_outbox_peek (const ChoirOutbox *self, struct iovec *iov, guint n_iov);
void choir_outbox_consume (ChoirOutbox *self, gsize n_bytes);
void choir_outbox_block (ChoirOutbox *self, gsize n_promised);
ChoirFrame *choir_outbox_get_frame (const ChoirOutbox *self, guint i);
void choir_outbox_replace_unsent (ChoirOutbox *self, guint first, guint n, ChoirFrame *frame);

/**
 * choir_outbox_forget_single:
 * @self: an outbox that holds one frame and never held more
 *
 * The frame has been written as a whole: choir_outbox_consume() and the end of a flush in one.
 */
static inline void
choir_outbox_forget_single (ChoirOutbox *self)
{
  ChoirFrame *frame = self->single;

  self->single = NULL;
  self->n_frames = 0;
  self->n_bytes = 0;
  self->n_large = 0;
  self->n_fixed = 0;
  self->n_apart = 0;
  self->flags &= ~CHOIR_OUTBOX_WOKEN;
  choir_frame_unref (frame);
}

/**
 * choir_outbox_fits:
 * @self: an outbox
 * @len: bytes
 *
 * Returns: whether so much more may wait
 */
static inline gboolean
choir_outbox_fits (const ChoirOutbox *self, gsize len)
{
  return self->n_bytes - self->n_apart + len <= self->limits->max_bytes;
}

/**
 * choir_outbox_push:
 * @self: an outbox
 * @frame: (transfer none): what to send; a reference is taken
 *
 * Queues @frame, wakes the owner if need be. Refuses silently once closed.
 *
 * Returns: whether it is queued
 */
static inline gboolean
choir_outbox_push (ChoirOutbox *self, ChoirFrame *frame)
{
  if (G_UNLIKELY (self->flags & CHOIR_OUTBOX_CLOSED))
    {
      self->flags |= CHOIR_OUTBOX_REFUSED;
      return FALSE;
    }

  if (G_UNLIKELY (self->n_bytes + frame->len > self->limits->max_bytes) &&
      !choir_outbox_fits (self, frame->len))
    {
      choir_outbox_overflow (self);
      return FALSE;
    }

  if (self->n_frames == 0 && self->queue == NULL)
    {
      self->single = choir_frame_ref (frame);
      self->n_frames = 1;
    }
  else
    choir_outbox_push_slow (self, frame);

  self->n_bytes += frame->len;

  if (!(self->flags & CHOIR_OUTBOX_WOKEN))
    {
      self->flags |= CHOIR_OUTBOX_WOKEN;
      self->funcs->wake (self);
    }

  return TRUE;
}

G_END_DECLS
