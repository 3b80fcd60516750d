/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-deflate.h"

#include <zlib.h>

/* zlib's raw deflate refuses 8 */
#define WINDOW_BITS_MIN 9
#define WINDOW_BITS_MAX 15

/* What a flush ends with; RFC 7692 7.2.1 takes it away */
#define FLUSH_TAIL_LEN 4

/* A flush marker and then some: zlib repeats one it had no room for */
#define FLUSH_ROOM 16

struct _ChoirDeflater
{
  z_stream zlib;
  gboolean keeps_context;
};

/**
 * choir_deflater_new:
 * @window_bits: 9..15; no more than was agreed on with any client that is sent its output
 * @mem_level: 1..9; memory is 2^(@window_bits + 2) + 2^(@mem_level + 9) bytes (zconf.h)
 * @level: 1..9
 * @context_takeover: whether a message may refer to those before it; then there must be one
 * deflater per client
 *
 * Returns: (transfer full)
 */
ChoirDeflater *
choir_deflater_new (guint8 window_bits, guint8 mem_level, int level, gboolean context_takeover)
{
  ChoirDeflater *self;

  g_return_val_if_fail (window_bits >= WINDOW_BITS_MIN && window_bits <= WINDOW_BITS_MAX, NULL);
  g_return_val_if_fail (mem_level >= 1 && mem_level <= 9, NULL);
  g_return_val_if_fail (level >= 1 && level <= 9, NULL);

  self = g_new0 (ChoirDeflater, 1);
  self->keeps_context = context_takeover;
  if (deflateInit2 (&self->zlib, level, Z_DEFLATED, -(int) window_bits, mem_level,
                    Z_DEFAULT_STRATEGY) != Z_OK)
    g_error ("No memory for a compressor");

  return self;
}

/**
 * choir_deflater_free:
 * @self: (transfer full)
 */
void
choir_deflater_free (ChoirDeflater *self)
{
  deflateEnd (&self->zlib);
  g_free (self);
}

/* Returns: whether all of it, with its flush marker, fitted into what the builder has room for or,
 * with @may_grow, was given */
static gboolean
deflate_into (ChoirDeflater *self, ChoirFrameBuilder *builder, gsize room, gboolean may_grow)
{
  do
    {
      self->zlib.next_out = choir_frame_builder_reserve (builder, room);
      self->zlib.avail_out = room;
      deflate (&self->zlib, Z_SYNC_FLUSH);
      builder->len += room - self->zlib.avail_out;
    }
  while (self->zlib.avail_out == 0 && may_grow);

  return self->zlib.avail_out > 0;
}

/**
 * choir_deflater_compress:
 * @self: a deflater
 * @opcode: text or binary
 * @payload: (array length=len): the message
 * @len: bytes in @payload, below 2 GiB
 *
 * Source: RFC 7692 7.2.1.
 *
 * Returns: (transfer full) (nullable): the frame with RSV1 set; %NULL without context takeover when
 * it would not be smaller
 */
ChoirFrame *
choir_deflater_compress (ChoirDeflater *self, ChoirOpcode opcode, const guint8 *payload, gsize len)
{
  static const guint8 empty_block = 0x00;
  ChoirFrameBuilder builder;
  gsize room;
  gboolean fits;

  g_return_val_if_fail (len <= G_MAXINT32, NULL);

  /* zlib has nothing to flush then; 7.2.3.6 says what to send */
  if (len == 0)
    return self->keeps_context ? choir_frame_new_full (opcode, TRUE, &empty_block, 1) : NULL;

  room = self->keeps_context ? deflateBound (&self->zlib, len) + FLUSH_ROOM : len + FLUSH_ROOM;
  choir_frame_builder_init (&builder, room);
  self->zlib.next_in = (Bytef *) payload;
  self->zlib.avail_in = len;
  fits = deflate_into (self, &builder, room, self->keeps_context);
  builder.len -= MIN (builder.len, FLUSH_TAIL_LEN);

  if (self->keeps_context)
    return choir_frame_builder_end (&builder, opcode, TRUE);

  deflateReset (&self->zlib);
  if (fits && builder.len < len)
    return choir_frame_builder_end (&builder, opcode, TRUE);

  choir_frame_builder_clear (&builder);

  return NULL;
}
