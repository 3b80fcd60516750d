/* choir-event-encoder.h: frames as server-sent events
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-event-id.h"
#include "choir-event-log.h"
#include "choir-event-positions.h"
#include "choir-frame-walk.h"

G_BEGIN_DECLS

/* What the head of an event takes at most: the rest of a piece may be left empty for it */
#define CHOIR_EVENT_HEAD_MAX 1280

/**
 * ChoirEventEncoder:
 *
 * Writes what an outbox holds as an event stream (HTML Living Standard 9.2), piece by piece, so
 * that a text of megabytes costs no second copy. Embedded in its stream.
 */
typedef struct
{
  ChoirEventEntry entry; /* being written; its frame is NULL between two */
  ChoirFrameWalk walk;   /* of @entry's frame */
  ChoirFramePart part;   /* of it, of which @at bytes are written */
  gsize at;
  guint64 number;                 /* of the event that begins next; 0: they have no ids */
  ChoirEventPositions *positions; /* (nullable) borrowed */
  gboolean is_inside;             /* an event has been begun */
  guint8 state;
  char session_id[CHOIR_ID_SIZE];
} ChoirEventEncoder;

void choir_event_encoder_init (ChoirEventEncoder *self);
void choir_event_encoder_clear (ChoirEventEncoder *self);
void choir_event_encoder_name (ChoirEventEncoder *self,
                               const char *session_id,
                               ChoirEventPositions *positions);
gboolean choir_event_encoder_is_idle (const ChoirEventEncoder *self);
gboolean choir_event_encoder_is_inside (const ChoirEventEncoder *self);
void choir_event_encoder_begin (ChoirEventEncoder *self, ChoirEventEntry *entry);
gsize choir_event_encoder_run (ChoirEventEncoder *self, char *out, gsize room);
char *choir_event_encoder_write_id (const ChoirEventEncoder *self, guint64 number, char *out);

G_END_DECLS
