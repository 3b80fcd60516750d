/* choir-waiting-room.h: what is kept for a client that is expected back
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-outbox.h"

G_BEGIN_DECLS

/* What all sessions that wait may take together */
typedef struct
{
  guint n_sessions;
  gsize n_bytes;
  gint64 *sessions; /* gauges, borrowed */
  gint64 *bytes;
} ChoirWaitingBudget;

/**
 * ChoirWaitingRoom:
 *
 * Takes the place of a link's outbox while there is no link: the same frames are put into it by the
 * same hands, plain, as nobody knows yet what the next connection will have agreed on.
 */
typedef struct _ChoirWaitingRoom ChoirWaitingRoom;

/* Nothing more is taken. As with any outbox, called in the middle of a fan-out */
typedef void (*ChoirWaitingRoomFull) (gpointer user_data);

struct _ChoirWaitingRoom
{
  ChoirOutbox outbox;
  ChoirWaitingBudget *budget; /* (nullable) borrowed: it is left at once, and not counted */
  gsize max_bytes;            /* of all together */
  gsize n_counted;            /* of these bytes the budget knows */
  gint64 since_us;            /* monotonic */
  ChoirWaitingRoomFull full;
  gpointer user_data;
};

ChoirWaitingRoom *choir_waiting_room_new (const ChoirOutboxLimits *limits, guint8 variant);
void choir_waiting_room_free (ChoirWaitingRoom *self);
void choir_waiting_room_enter (ChoirWaitingRoom *self,
                               ChoirWaitingBudget *budget,
                               gsize max_bytes,
                               ChoirWaitingRoomFull full,
                               gpointer user_data);
gboolean choir_waiting_room_is_full (const ChoirWaitingRoom *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirWaitingRoom, choir_waiting_room_free)

G_END_DECLS
