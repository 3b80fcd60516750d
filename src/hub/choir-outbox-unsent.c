/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-cbor.h"
#include "choir-json-gate.h"
#include "choir-outbox.h"

#include <string.h>

/*
 * What waits in an outbox is written for one connection: compressed as it agreed, several messages
 * in an array if it takes those. Another connection gets the messages: as each stood before.
 */

/* RFC 6455 5.2; ours have no mask */
#define FIN 0x80
#define RSV1 0x40
#define OPCODE 0x0f
#define CONTROL 0x08
#define LENGTH_16 126
#define LENGTH_64 127

/* What we have made ourselves is as large and as deep as we let it be */
#define MESSAGE_MAX G_MAXINT32
#define DEPTH_MAX G_MAXUINT16

typedef struct
{
  const guint8 *frame;
  const guint8 *payload;
  gsize frame_len;
  gsize len;
} Part;

typedef struct
{
  ChoirOutbox *into;
  gboolean own_window;
  gboolean open; /* a message has begun that has more parts */
} Copy;

static void
read_part (const guint8 *data, Part *out)
{
  guint64 len = data[1];
  guint header = 2;

  if (len == LENGTH_16)
    {
      len = (guint64) data[2] << 8 | data[3];
      header += 2;
    }
  else if (len == LENGTH_64)
    {
      len = 0;
      for (; header < 10; header++)
        len = len << 8 | data[header];
    }

  *out = (Part){ data, data + header, header + len, len };
}

static gboolean
push (Copy *self, ChoirFrame *frame)
{
  ChoirOutbox *into = self->into;

  if (!(frame->flags & CHOIR_FRAME_LARGE))
    choir_outbox_push (into, frame);
  else if (!choir_outbox_push_large (into, frame, CHOIR_OUTBOX_LARGE_MAX))
    return FALSE;

  return !(into->flags & CHOIR_OUTBOX_CLOSED);
}

static gboolean
push_message (Copy *self, ChoirOpcode opcode, const void *data, gsize len)
{
  g_autoptr (ChoirFrame) frame = choir_frame_new (opcode, data, len);

  return push (self, frame);
}

static gboolean
push_element (Copy *self, ChoirSlice json, gboolean binary)
{
  ChoirFrameBuilder builder;
  g_autoptr (ChoirFrame) frame = NULL;

  if (!binary)
    return push_message (self, CHOIR_OPCODE_TEXT, json.data, json.len);

  choir_frame_builder_init (&builder, json.len);
  if (!choir_cbor_write (&builder, json))
    {
      choir_frame_builder_clear (&builder);
      return FALSE;
    }

  frame = choir_frame_builder_end (&builder, CHOIR_OPCODE_BINARY, FALSE);

  return push (self, frame);
}

static gboolean
push_array (Copy *self, const guint8 *data, gsize len, gboolean binary)
{
  static const ChoirCborLimits limits = { DEPTH_MAX, MESSAGE_MAX };
  g_autoptr (GString) json = NULL;
  ChoirSlice array = { (const char *) data, len };
  ChoirJsonValue element;
  gsize cursor = 0;

  if (binary)
    {
      json = g_string_sized_new (len * 2);
      if (!choir_cbor_read (data, len, &limits, json, NULL))
        return FALSE;
      array = (ChoirSlice){ json->str, json->len };
    }

  while (choir_json_slice_next_element (array, &cursor, &element))
    if (!push_element (self, element.raw, binary))
      return FALSE;

  return TRUE;
}

/* An object or a map is one message, whatever else is an array of them */
static gboolean
push_payload (Copy *self, ChoirOpcode opcode, const guint8 *data, gsize len)
{
  gboolean binary = opcode == CHOIR_OPCODE_BINARY;

  if (len == 0 || (binary ? choir_cbor_is_map (*data) : *data != '['))
    return push_message (self, opcode, data, len);

  return push_array (self, data, len, binary);
}

static gboolean
push_deflated (Copy *self, const Part *part)
{
  static const ChoirDeflateParams params = {
    .enabled = TRUE,
    .client_no_context_takeover = TRUE,
    .client_max_window_bits = 15,
  };
  g_autoptr (ChoirInflater) inflater = choir_inflater_new (&params);
  g_autoptr (GByteArray) bytes = g_byte_array_new ();

  return choir_inflater_feed (inflater, part->payload, part->len, TRUE, MESSAGE_MAX, bytes, NULL) &&
         push_payload (self, (ChoirOpcode) (*part->frame & OPCODE), bytes->data, bytes->len);
}

/* A part of a message in parts: the middle is a large block that others have, too */
static gboolean
push_part (Copy *self, ChoirFrame *block, const Part *part)
{
  g_autoptr (ChoirFrame) frame = NULL;
  guint8 first = *part->frame;
  gboolean begins = (first & OPCODE) != CHOIR_OPCODE_CONTINUATION;

  /* its beginning was given already: there is nobody who could go on with it */
  if (begins == self->open)
    return FALSE;

  self->open = !(first & FIN);
  frame = part->frame_len == block->len
            ? choir_frame_ref (block)
            : choir_frame_new_fragment ((ChoirOpcode) (first & OPCODE), (first & FIN) != 0,
                                        part->payload, part->len);

  return push (self, frame);
}

static gboolean
copy_part (Copy *self, ChoirFrame *block, const Part *part)
{
  guint8 first = *part->frame;

  if (first & CONTROL)
    return TRUE;

  if (!(first & FIN) || (first & OPCODE) == CHOIR_OPCODE_CONTINUATION)
    return push_part (self, block, part);

  if (first & RSV1)
    return !self->own_window && push_deflated (self, part);

  return push_payload (self, (ChoirOpcode) (first & OPCODE), part->payload, part->len);
}

/* Whether every part of it is a message that any connection of the dialect understands */
static gboolean
is_plain_block (const ChoirFrame *block)
{
  const guint8 *data = choir_frame_get_data (block);
  Part part;

  for (gsize at = 0; at < block->len; at += part.frame_len)
    {
      gboolean binary;

      read_part (data + at, &part);
      binary = *part.frame == (FIN | CHOIR_OPCODE_BINARY);
      if (part.len == 0 || (!binary && *part.frame != (FIN | CHOIR_OPCODE_TEXT)) ||
          (binary ? !choir_cbor_is_map (*part.payload) : *part.payload == '['))
        return FALSE;
    }

  return TRUE;
}

static gboolean
copy_block (Copy *self, ChoirFrame *block, gsize written)
{
  const guint8 *data = choir_frame_get_data (block);
  gsize at = 0;

  if (written == 0 && is_plain_block (block))
    return push (self, block);

  while (at < block->len)
    {
      Part part;

      read_part (data + at, &part);
      at += part.frame_len;
      if (at > written && !copy_part (self, block, &part))
        return FALSE;
    }

  return TRUE;
}

/**
 * choir_outbox_copy_unsent:
 * @self: an outbox
 * @into: another, for plain frames of the same dialect
 *
 * Puts into @into all messages of which not every byte has been written. A frame that is only
 * partly written counts as not given: nobody can have understood it.
 *
 * Returns: %FALSE if there is one that can't be given to another connection: a message in parts of
 * which some are written, or one that was compressed for a window of its own; if one is not here
 * any more, because @self had been closed when it came; or if @into is full. It may then hold some
 * of them
 */
gboolean
choir_outbox_copy_unsent (const ChoirOutbox *self, ChoirOutbox *into)
{
  Copy copy = { .into = into, .own_window = self->deflater != NULL };

  if (self->flags & CHOIR_OUTBOX_REFUSED)
    return FALSE;

  for (guint i = 0; i < self->n_frames; i++)
    if (!copy_block (&copy, choir_outbox_get_frame (self, i), i == 0 ? self->written : 0))
      return FALSE;

  return !copy.open;
}
