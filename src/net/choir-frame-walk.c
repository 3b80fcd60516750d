/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-frame-walk.h"

#include <string.h>

/* RFC 6455 5.2; ours have no mask */
#define FIN 0x80
#define OPCODE_MASK 0x0f
#define LENGTH_16 126
#define LENGTH_64 127

/**
 * choir_frame_walk_init:
 * @self: memory for a walk
 * @frame: of our own making, uncompressed; borrowed for the walk
 */
void
choir_frame_walk_init (ChoirFrameWalk *self, const ChoirFrame *frame)
{
  self->at = choir_frame_get_data (frame);
  self->end = self->at + frame->len;
}

/**
 * choir_frame_walk_next:
 * @self: a walk
 * @out: (out): the next part; its data belong to the frame
 *
 * Returns: %FALSE at the end
 */
gboolean
choir_frame_walk_next (ChoirFrameWalk *self, ChoirFramePart *out)
{
  const guint8 *at = self->at;
  gsize len;

  if (at == self->end)
    return FALSE;

  len = at[1];
  if (len == LENGTH_16)
    {
      guint16 field;

      memcpy (&field, at + 2, sizeof field);
      len = GUINT16_FROM_BE (field);
      out->data = at + 2 + sizeof field;
    }
  else if (len == LENGTH_64)
    {
      guint64 field;

      memcpy (&field, at + 2, sizeof field);
      len = GUINT64_FROM_BE (field);
      out->data = at + 2 + sizeof field;
    }
  else
    out->data = at + 2;

  out->opcode = at[0] & OPCODE_MASK;
  out->begins = out->opcode == CHOIR_OPCODE_TEXT || out->opcode == CHOIR_OPCODE_BINARY;
  out->ends = (at[0] & FIN) != 0;
  out->len = len;
  self->at = out->data + len;

  return TRUE;
}
