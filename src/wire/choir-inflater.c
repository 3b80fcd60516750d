/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-deflate.h"

#include "choir-error.h"

#include <string.h>
#include <zlib.h>

/* A stream made with 8 can be read through any larger window, and some compressors say 8 but use 9
 */
#define WINDOW_BITS_MIN 9
#define WINDOW_BITS_MAX 15

/* The output buffer grows by what the input could well become, within these */
#define STEP_MIN 512
#define STEP_MAX 16384

/* Streams a thread keeps for the next messages of its peers without context */
#define SPARE_STREAMS_MAX 4

/* What the sender's flush ended with and RFC 7692 7.2.1 took away */
static const guint8 flush_tail[] = { 0x00, 0x00, 0xff, 0xff };

/* Counts what zlib holds; each block begins with its size, padded so that what follows is aligned
 * as malloc's */
#define BLOCK_HEADER 16

static voidpf
allocate_counted (voidpf counter, uInt n_items, uInt item_size)
{
  gsize size = (gsize) n_items * item_size;
  guint8 *block = g_try_malloc (BLOCK_HEADER + size);

  if (block == NULL)
    return NULL;

  memcpy (block, &size, sizeof size);
  *(gsize *) counter += size;

  return block + BLOCK_HEADER;
}

static void
free_counted (voidpf counter, voidpf address)
{
  guint8 *block = (guint8 *) address - BLOCK_HEADER;
  gsize size;

  memcpy (&size, block, sizeof size);
  *(gsize *) counter -= size;
  g_free (block);
}

typedef struct
{
  z_stream zlib;
  gsize n_bytes; /* what zlib allocated for it */
} InflateStream;

static void
inflate_stream_free (gpointer data)
{
  InflateStream *stream = data;

  inflateEnd (&stream->zlib);
  g_free (stream);
}

static InflateStream *
inflate_stream_new (guint window_bits)
{
  InflateStream *stream = g_new0 (InflateStream, 1);

  stream->zlib.zalloc = allocate_counted;
  stream->zlib.zfree = free_counted;
  stream->zlib.opaque = &stream->n_bytes;
  if (inflateInit2 (&stream->zlib, -(int) window_bits) == Z_OK)
    return stream;

  g_free (stream);

  return NULL;
}

static void
spare_streams_free (gpointer data)
{
  g_ptr_array_unref (data);
}

static GPrivate spare_streams = G_PRIVATE_INIT (spare_streams_free);

static GPtrArray *
get_spare_streams (void)
{
  GPtrArray *spares = g_private_get (&spare_streams);

  if (spares == NULL)
    {
      spares = g_ptr_array_new_with_free_func (inflate_stream_free);
      g_private_set (&spare_streams, spares);
    }

  return spares;
}

static InflateStream *
borrow_stream (void)
{
  GPtrArray *spares = get_spare_streams ();
  InflateStream *stream;

  if (spares->len == 0)
    return inflate_stream_new (WINDOW_BITS_MAX);

  stream = g_ptr_array_steal_index_fast (spares, spares->len - 1);
  inflateReset (&stream->zlib);

  return stream;
}

static void
return_stream (InflateStream *stream)
{
  GPtrArray *spares = get_spare_streams ();

  if (spares->len < SPARE_STREAMS_MAX)
    g_ptr_array_add (spares, stream);
  else
    inflate_stream_free (stream);
}

/* Without context a stream is held from a message's first byte to its last and goes back to the
 * thread's spare ones, so messages of several connections that arrive in pieces don't get in each
 * other's way */
struct _ChoirInflater
{
  InflateStream *stream; /* (owned) (nullable) */
  guint window_bits;
  gboolean keeps_context;
  gboolean has_input; /* since the message began */
};

/**
 * choir_inflater_new:
 * @params: what was agreed on
 *
 * Returns: (transfer full): for the messages of one client
 */
ChoirInflater *
choir_inflater_new (const ChoirDeflateParams *params)
{
  ChoirInflater *self = g_new0 (ChoirInflater, 1);

  self->keeps_context = !params->client_no_context_takeover;
  self->window_bits = MAX (params->client_max_window_bits, WINDOW_BITS_MIN);

  return self;
}

/**
 * choir_inflater_free:
 * @self: (transfer full): may be inside a message
 */
void
choir_inflater_free (ChoirInflater *self)
{
  if (self->stream != NULL && self->keeps_context)
    inflate_stream_free (self->stream);
  else if (self->stream != NULL)
    return_stream (self->stream);
  g_free (self);
}

static gboolean
ensure_stream (ChoirInflater *self, GError **error)
{
  if (self->stream == NULL)
    self->stream = self->keeps_context ? inflate_stream_new (self->window_bits) : borrow_stream ();
  if (self->stream != NULL)
    return TRUE;

  g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_INTERNAL, "No memory to inflate a message");

  return FALSE;
}

/* One call of zlib with room within the limit; once that is reached, room for one byte of which
 * none may come */
static int
inflate_step (z_stream *zlib, gsize max_len, GByteArray *out, gboolean *too_large)
{
  gsize before = out->len;
  guint8 surplus;
  gsize room;
  int status;

  if (before >= max_len)
    {
      zlib->next_out = &surplus;
      zlib->avail_out = sizeof surplus;
      status = inflate (zlib, Z_SYNC_FLUSH);
      *too_large = zlib->avail_out == 0;
      return status;
    }

  room = CLAMP ((gsize) zlib->avail_in * 4, STEP_MIN, STEP_MAX);
  room = MIN (room, max_len - before);
  g_byte_array_set_size (out, before + room);
  zlib->next_out = out->data + before;
  zlib->avail_out = room;
  status = inflate (zlib, Z_SYNC_FLUSH);
  g_byte_array_set_size (out, before + room - zlib->avail_out);

  return status;
}

static gboolean
inflate_bytes (z_stream *zlib,
               const guint8 *data,
               gsize len,
               gsize max_len,
               GByteArray *out,
               GError **error)
{
  gboolean too_large = FALSE;
  int status = Z_OK;

  /* zlib does not write to its input */
  zlib->next_in = (Bytef *) data;
  zlib->avail_in = len;

  do
    {
      status = inflate_step (zlib, max_len, out, &too_large);

      /* A block with BFINAL ends the stream for zlib, not for RFC 7692 (7.2.3.4), whose window
       * stays. inflateReset() would drop the window, and carrying it over by hand costs 64 KiB of
       * copying for an empty block of two bytes */
      if (status == Z_STREAM_END && inflateResetKeep (zlib) == Z_OK)
        status = Z_OK;
    }
  while (status == Z_OK && !too_large && (zlib->avail_in > 0 || zlib->avail_out == 0));

  if (too_large)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_TOO_LARGE,
                   "Message inflates to more than %" G_GSIZE_FORMAT " bytes", max_len);
      return FALSE;
    }

  if (status == Z_OK || status == Z_BUF_ERROR)
    return TRUE;

  g_set_error (error, CHOIR_ERROR,
               status == Z_MEM_ERROR ? CHOIR_ERROR_INTERNAL : CHOIR_ERROR_INVALID_MESSAGE,
               "Compressed data is broken");

  return FALSE;
}

/* zlib tells where it stands in data_type: 128 at a block's end, the low bits count bits not used
 * yet. After BFINAL it starts anew and says neither, but has taken everything */
static gboolean
is_at_block_end (const z_stream *zlib)
{
  return (zlib->data_type & 128) != 0 ? (zlib->data_type & 63) == 0 : zlib->total_in == 0;
}

static gboolean
end_message (ChoirInflater *self, gsize max_len, GByteArray *out, GError **error)
{
  z_stream *zlib = &self->stream->zlib;
  gsize before = out->len;

  self->has_input = FALSE;
  if (!inflate_bytes (zlib, flush_tail, sizeof flush_tail, max_len, out, error))
    return FALSE;

  /* the tail completes an empty block; where it yields data, a block was cut short and took it for
   * its own */
  if (out->len != before || !is_at_block_end (zlib))
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_INVALID_MESSAGE,
                           "Compressed data ends inside a block");
      return FALSE;
    }

  if (!self->keeps_context)
    return_stream (g_steal_pointer (&self->stream));

  return TRUE;
}

/**
 * choir_inflater_feed:
 * @self: an inflater that has not failed yet
 * @data: (array length=len): the next unmasked payload bytes, cut anywhere
 * @len: bytes in @data
 * @final: whether the message ends with them
 * @max_len: the most @out may hold, checked as it grows
 * @out: appended to, also with what came out before an error
 * @error: CHOIR_ERROR_TOO_LARGE, CHOIR_ERROR_INVALID_MESSAGE, or CHOIR_ERROR_INTERNAL without
 * memory
 *
 * Source: RFC 7692 7.2.2. After an error @self can only be freed.
 *
 * Returns: whether the data were good so far
 */
gboolean
choir_inflater_feed (ChoirInflater *self,
                     const guint8 *data,
                     gsize len,
                     gboolean final,
                     gsize max_len,
                     GByteArray *out,
                     GError **error)
{
  g_return_val_if_fail (len <= G_MAXUINT, FALSE);

  if (len > 0)
    {
      self->has_input = TRUE;
      if (!ensure_stream (self, error) ||
          !inflate_bytes (&self->stream->zlib, data, len, max_len, out, error))
        return FALSE;
    }

  /* An empty message should be one byte (7.2.3.6), but compressors that had nothing to flush send
   * none at all */
  if (!final || !self->has_input)
    return TRUE;

  return end_message (self, max_len, out, error);
}

/**
 * choir_inflater_get_memory:
 * @self: an inflater
 *
 * Returns: bytes held at this moment, of the heap
 */
gsize
choir_inflater_get_memory (const ChoirInflater *self)
{
  gsize total = sizeof *self;

  if (self->stream != NULL)
    total += sizeof *self->stream + self->stream->n_bytes;

  return total;
}
