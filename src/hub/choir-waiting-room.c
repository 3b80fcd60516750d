/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-waiting-room.h"

#include "choir-clock.h"
#include "choir-container.h"

/* What a frame that waits takes besides its bytes */
#define FRAME_OVERHEAD (sizeof (ChoirFrame *) * 2)

static void
count (ChoirWaitingRoom *self, gsize n_bytes)
{
  self->budget->n_bytes += n_bytes - self->n_counted;
  self->n_counted = n_bytes;
  *self->budget->bytes = (gint64) self->budget->n_bytes;
}

/* A part of what was missed is of no use to anybody, but what it takes may be to others */
static void
overflow (ChoirOutbox *outbox)
{
  ChoirWaitingRoom *self = CHOIR_CONTAINER_OF (outbox, ChoirWaitingRoom, outbox);

  choir_outbox_drop_unsent (outbox, 0);
  if (self->budget != NULL)
    count (self, 0);
  if (self->full != NULL)
    self->full (self->user_data);
}

static void
wake (ChoirOutbox *outbox)
{
  ChoirWaitingRoom *self = CHOIR_CONTAINER_OF (outbox, ChoirWaitingRoom, outbox);

  /* to be asked again by the next frame */
  outbox->flags &= ~CHOIR_OUTBOX_WOKEN;
  if (self->budget == NULL)
    return;

  count (self, outbox->n_bytes + outbox->n_frames * FRAME_OVERHEAD);
  if (self->budget->n_bytes > self->max_bytes)
    choir_outbox_overflow (outbox);
}

static const ChoirOutboxFuncs outbox_funcs = { wake, overflow };

/**
 * choir_waiting_room_new:
 * @limits: what may wait for one client; must outlive it
 * @variant: of the link before; its frames will be plain ones of the same dialect
 *
 * Returns: (transfer full): one that is in nobody's budget yet
 */
ChoirWaitingRoom *
choir_waiting_room_new (const ChoirOutboxLimits *limits, guint8 variant)
{
  ChoirWaitingRoom *self = g_new0 (ChoirWaitingRoom, 1);

  choir_outbox_init (&self->outbox, &outbox_funcs, limits);
  self->outbox.variant =
    (guint8) (variant / CHOIR_N_VARIANTS * CHOIR_N_VARIANTS + CHOIR_VARIANT_PLAIN);
  self->since_us = choir_clock_monotonic_us ();

  return self;
}

/**
 * choir_waiting_room_enter:
 * @self: a room
 * @budget: where it is counted from now on; must outlive it
 * @max_bytes: of all in @budget together
 * @full: called when it can take no more
 * @user_data: for @full
 */
void
choir_waiting_room_enter (ChoirWaitingRoom *self,
                          ChoirWaitingBudget *budget,
                          gsize max_bytes,
                          ChoirWaitingRoomFull full,
                          gpointer user_data)
{
  self->budget = budget;
  self->max_bytes = max_bytes;
  self->full = full;
  self->user_data = user_data;
  budget->n_sessions++;
  *budget->sessions = budget->n_sessions;
  wake (&self->outbox);
}

/**
 * choir_waiting_room_is_full:
 * @self: a room
 *
 * Returns: whether something that was meant for the client is missing
 */
gboolean
choir_waiting_room_is_full (const ChoirWaitingRoom *self)
{
  return (self->outbox.flags & CHOIR_OUTBOX_CLOSED) != 0;
}

void
choir_waiting_room_free (ChoirWaitingRoom *self)
{
  choir_outbox_clear (&self->outbox);

  if (self->budget != NULL)
    {
      count (self, 0);
      self->budget->n_sessions--;
      *self->budget->sessions = self->budget->n_sessions;
    }

  g_free (self);
}
