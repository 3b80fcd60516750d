/* choir-frame-walk.h: the parts of what an outbox holds
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-frame.h"

G_BEGIN_DECLS

/* What is in one frame: a message, or a part of one */
typedef struct
{
  const guint8 *data;
  gsize len;
  ChoirOpcode opcode;
  gboolean begins; /* a message */
  gboolean ends;
} ChoirFramePart;

/**
 * ChoirFrameWalk:
 *
 * Takes a block that is written for WebSockets apart again, for connections that speak otherwise.
 */
typedef struct
{
  const guint8 *at;
  const guint8 *end;
} ChoirFrameWalk;

void choir_frame_walk_init (ChoirFrameWalk *self, const ChoirFrame *frame);
gboolean choir_frame_walk_next (ChoirFrameWalk *self, ChoirFramePart *out);

G_END_DECLS
