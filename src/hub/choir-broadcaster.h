/* choir-broadcaster.h: one message, encoded once, to many
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib-object.h>

#include "choir-channel.h"
#include "choir-envelope.h"
#include "choir-outbox.h"

G_BEGIN_DECLS

/**
 * ChoirBroadcaster:
 *
 * Turns a message into frames, once per dialect and compression in use, and puts references to
 * them on outboxes. Nothing is copied per recipient, and nothing is sent here.
 */
#define CHOIR_TYPE_BROADCASTER (choir_broadcaster_get_type ())
G_DECLARE_FINAL_TYPE (ChoirBroadcaster, choir_broadcaster, CHOIR, BROADCASTER, GObject)

ChoirBroadcaster *choir_broadcaster_new (void);
void choir_broadcaster_set_compression_threshold (ChoirBroadcaster *self, gsize bytes);
void choir_broadcaster_set_limit (ChoirBroadcaster *self,
                                  ChoirDialectId dialect,
                                  gsize max_bytes,
                                  gint64 *n_too_large);

/* One message on its way; lives on the stack between begin and end */
typedef struct
{
  ChoirBroadcaster *broadcaster;
  const ChoirMessage *message;
  guint n_recipients;
  gsize payload_len; /* of the frame encoded last, for the statistics */
  guint32 lane;      /* of its frames */
  guint8 priority;   /* likewise */
  guint8 not_sent;   /* dialects that do not know the type, one bit each */
  ChoirFrame *frames[CHOIR_N_FRAME_VARIANTS];
} ChoirFanout;

void
choir_fanout_begin (ChoirFanout *self, ChoirBroadcaster *broadcaster, const ChoirMessage *message);
ChoirFrame *choir_fanout_encode (ChoirFanout *self, ChoirOutbox *outbox);
void choir_fanout_push_deflated (ChoirFanout *self, ChoirOutbox *outbox);
void choir_fanout_end (ChoirFanout *self);

/**
 * choir_fanout_push:
 * @self: a message on its way
 * @outbox: one recipient
 */
static inline void
choir_fanout_push (ChoirFanout *self, ChoirOutbox *outbox)
{
  ChoirFrame *frame = self->frames[outbox->variant];

  if (G_UNLIKELY (outbox->deflater != NULL))
    {
      choir_fanout_push_deflated (self, outbox);
      return;
    }

  if (G_UNLIKELY (frame == NULL))
    {
      frame = choir_fanout_encode (self, outbox);
      if (frame == NULL)
        return;
    }

  if (choir_outbox_push (outbox, frame))
    self->n_recipients++;
}

guint choir_broadcaster_send_to_channel (ChoirBroadcaster *self,
                                         const ChoirChannel *channel,
                                         const ChoirMessage *message,
                                         const ChoirSession *except);
gboolean
choir_broadcaster_send (ChoirBroadcaster *self, ChoirOutbox *outbox, const ChoirMessage *message);
ChoirFrame *
choir_broadcaster_compress (ChoirBroadcaster *self, ChoirOutbox *outbox, ChoirFrame *plain);
gboolean
choir_broadcaster_send_frame (ChoirBroadcaster *self, ChoirOutbox *outbox, ChoirFrame *plain);

G_END_DECLS
