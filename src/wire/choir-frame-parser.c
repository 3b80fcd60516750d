/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-frame-parser.h"

#include "choir-error.h"
#include "choir-frame-failure.h"
#include "choir-frame-header.h"
#include "choir-mask.h"

#include <string.h>

enum
{
  STATE_HEADER,
  STATE_DATA,
  STATE_CONTROL,
  STATE_CLOSED,
  STATE_ERROR,
};

enum
{
  FLAG_FRAGMENTED = 1 << 0, /* the message goes on in another frame */
  FLAG_COMPRESSED = 1 << 1, /* the message's first frame had RSV1 */
  FLAG_FINAL = 1 << 2,      /* the current data frame is the message's last */
  FLAG_DELIVERED = 1 << 3,  /* the last event may have lent out memory of ours */
  FLAG_SERVER = 1 << 4, /* the peer is one, and masks nothing; it stays, and rules out short cuts */
};

static gsize
get_mask_len (const ChoirFrameParser *self)
{
  return (self->flags & FLAG_SERVER) != 0 ? 0 : CHOIR_MASK_LEN;
}

static void
release_buffers (ChoirFrameParser *self)
{
  g_clear_pointer (&self->message, g_byte_array_unref);
  g_clear_pointer (&self->control, g_byte_array_unref);
}

static void
release_delivered (ChoirFrameParser *self)
{
  self->flags &= ~FLAG_DELIVERED;
  g_clear_pointer (&self->control, g_byte_array_unref);
  if ((self->flags & FLAG_FRAGMENTED) == 0)
    g_clear_pointer (&self->message, g_byte_array_unref);
}

static void
fail (ChoirFrameParser *self, Failure failure)
{
  self->state = STATE_ERROR;
  self->failure = failure;
  release_buffers (self);
}

static ChoirFrameEvent
report_failure (const ChoirFrameParser *self, ChoirFrameMessage *out)
{
  const FailureText *text = &failures[self->failure];

  *out = (ChoirFrameMessage){ .close_code = text->close_code, .reason = text->reason };

  return CHOIR_FRAME_EVENT_ERROR;
}

static Failure
check_first_byte (const ChoirFrameParser *self, guint8 first)
{
  gboolean fragmented = (self->flags & FLAG_FRAGMENTED) != 0;
  guint opcode = first & OPCODE_BITS;

  if ((first & RSV2_OR_3) != 0)
    return FAILURE_RSV;
  if ((opcode & CONTROL_BIT) != 0)
    return check_control_byte (first);
  if (opcode > CHOIR_OPCODE_BINARY)
    return FAILURE_OPCODE;
  /* RFC 7692 section 6.1: on the message's first frame, and only if agreed on */
  if ((first & RSV1) != 0 && (self->inflater == NULL || opcode == CHOIR_OPCODE_CONTINUATION))
    return FAILURE_RSV;
  if (opcode == CHOIR_OPCODE_CONTINUATION)
    return fragmented ? FAILURE_NONE : FAILURE_NOTHING_TO_CONTINUE;

  return fragmented ? FAILURE_MESSAGE_UNFINISHED : FAILURE_NONE;
}

/* Before a byte of it is stored. What a compressed message has grown to says nothing of what may
 * still come, the inflater counts that */
static Failure
check_limit (const ChoirFrameParser *self, guint8 first, guint64 payload_len)
{
  guint64 used = 0;

  if ((first & CONTROL_BIT) != 0)
    return FAILURE_NONE;
  if (self->message != NULL && (self->flags & FLAG_COMPRESSED) == 0)
    used = self->message->len;

  /* the limits are shared and may have shrunk since the message began */
  if (used > self->limits->max_message || payload_len > self->limits->max_message - used)
    return FAILURE_TOO_BIG;

  return FAILURE_NONE;
}

/* Every check in the order of the bytes it needs, so that chopped input fails for the same reason
 * as whole input */
static Failure
decode_header (const ChoirFrameParser *self, const guint8 *bytes, gsize len, Header *header)
{
  Failure failure = check_first_byte (self, bytes[0]);
  gsize mask_len = get_mask_len (self);

  header->size = 0;
  if (failure != FAILURE_NONE || len < 2)
    return failure;

  failure = check_second_byte (bytes[0], bytes[1], mask_len > 0);
  if (failure == FAILURE_NONE)
    failure = decode_length (bytes, len, mask_len, header);
  if (failure != FAILURE_NONE || header->size == 0)
    return failure;

  failure = check_limit (self, bytes[0], header->payload_len);
  if (len < header->size)
    header->size = 0;

  return failure;
}

static void
begin_frame (ChoirFrameParser *self, const guint8 *bytes, const Header *header)
{
  gsize mask_len = get_mask_len (self);
  guint8 first = bytes[0];

  self->mask = 0;
  memcpy (&self->mask, bytes + header->size - mask_len, mask_len);
  self->frame_left = header->payload_len;
  self->frame_opcode = first & OPCODE_BITS;

  if ((first & CONTROL_BIT) != 0)
    {
      self->state = STATE_CONTROL;
      return;
    }

  self->state = STATE_DATA;
  if (self->frame_opcode != CHOIR_OPCODE_CONTINUATION)
    {
      self->opcode = self->frame_opcode;
      self->utf8 = 0;
      self->flags &= FLAG_SERVER;
      self->flags |= (first & RSV1) != 0 ? FLAG_COMPRESSED : 0;
    }
  self->flags &= ~(FLAG_FRAGMENTED | FLAG_FINAL);
  self->flags |= (first & FIN) != 0 ? FLAG_FINAL : FLAG_FRAGMENTED;
}

/* Returns: whether a frame has begun; else the state is an error or the input is used up */
static gboolean
take_header (ChoirFrameParser *self, guint8 **data, gsize *len)
{
  const guint8 *bytes = *data;
  gsize n_bytes = *len;
  gsize n_taken = n_bytes;
  Failure failure;
  Header header;

  if (n_bytes == 0)
    return FALSE;

  if (self->header_len > 0)
    {
      n_taken = MIN (n_bytes, sizeof self->header - self->header_len);
      memcpy (self->header + self->header_len, bytes, n_taken);
      bytes = self->header;
      n_bytes = self->header_len + n_taken;
    }

  failure = decode_header (self, bytes, n_bytes, &header);
  if (G_UNLIKELY (failure != FAILURE_NONE))
    {
      fail (self, failure);
      return FALSE;
    }

  if (header.size == 0)
    {
      if (bytes != self->header)
        memcpy (self->header, bytes, n_bytes);
      self->header_len = n_bytes;
      *data += n_taken;
      *len -= n_taken;
      return FALSE;
    }

  begin_frame (self, bytes, &header);
  *data += header.size - self->header_len;
  *len -= header.size - self->header_len;
  self->header_len = 0;

  return TRUE;
}

/* Takes as much of the current frame's payload as there is, unmasked in place */
static guint8 *
take_payload (ChoirFrameParser *self, guint8 **data, gsize *len, gsize *n_taken, gboolean *is_ascii)
{
  guint8 *bytes = *data;
  gsize chunk = MIN (self->frame_left, *len);

  *is_ascii = choir_mask_apply (bytes, chunk, self->mask);
  *data += chunk;
  *len -= chunk;
  *n_taken = chunk;
  self->frame_left -= chunk;
  if (self->frame_left > 0)
    self->mask = choir_mask_rotate (self->mask, chunk);

  return bytes;
}

static gboolean
check_text (ChoirFrameParser *self, const guint8 *bytes, gsize len, gboolean is_ascii)
{
  if (self->opcode != CHOIR_OPCODE_TEXT || (is_ascii && choir_utf8_is_complete (self->utf8)))
    return TRUE;

  return choir_utf8_feed (&self->utf8, bytes, len);
}

static Failure
inflate_payload (ChoirFrameParser *self, const guint8 *bytes, gsize len, gboolean final)
{
  g_autoptr (GError) error = NULL;
  gsize before;

  if (self->message == NULL)
    self->message = g_byte_array_new ();
  before = self->message->len;

  choir_inflater_feed (self->inflater, bytes, len, final, self->limits->max_message, self->message,
                       &error);

  /* text that came out ahead of what broke is the earlier mistake, however the input was cut */
  if (self->message->len > before &&
      !check_text (self, self->message->data + before, self->message->len - before, FALSE))
    return FAILURE_UTF8;
  if (error == NULL)
    return FAILURE_NONE;
  if (g_error_matches (error, CHOIR_ERROR, CHOIR_ERROR_TOO_LARGE))
    return FAILURE_TOO_BIG;
  if (g_error_matches (error, CHOIR_ERROR, CHOIR_ERROR_INTERNAL))
    return FAILURE_INTERNAL;

  return FAILURE_DEFLATE;
}

/* Returns: MORE when the message has not ended with this piece */
static ChoirFrameEvent
take_data (ChoirFrameParser *self, guint8 **data, gsize *len, ChoirFrameMessage *out)
{
  gboolean is_ascii;
  gsize n_taken;
  const guint8 *bytes = take_payload (self, data, len, &n_taken, &is_ascii);
  gboolean final = self->frame_left == 0 && (self->flags & FLAG_FINAL) != 0;
  Failure failure = FAILURE_NONE;

  if ((self->flags & FLAG_COMPRESSED) != 0)
    failure = inflate_payload (self, bytes, n_taken, final);
  else if (!check_text (self, bytes, n_taken, is_ascii))
    failure = FAILURE_UTF8;
  else if (n_taken > 0 && (!final || self->message != NULL))
    {
      if (self->message == NULL)
        self->message = g_byte_array_new ();
      g_byte_array_append (self->message, bytes, n_taken);
    }

  if (failure == FAILURE_NONE && final && !choir_utf8_is_complete (self->utf8))
    failure = FAILURE_UTF8;
  if (G_UNLIKELY (failure != FAILURE_NONE))
    {
      fail (self, failure);
      return report_failure (self, out);
    }

  if (self->frame_left > 0)
    return CHOIR_FRAME_EVENT_MORE;
  self->state = STATE_HEADER;
  if (!final)
    return CHOIR_FRAME_EVENT_MORE;

  self->flags &= FLAG_SERVER;
  *out = (ChoirFrameMessage){ .opcode = self->opcode, .data = bytes, .len = n_taken };
  if (self->message != NULL)
    {
      /* an array that never grew has no address, and an empty message shall have one */
      out->data = self->message->len > 0 ? self->message->data : bytes;
      out->len = self->message->len;
      self->flags |= FLAG_DELIVERED;
    }

  return CHOIR_FRAME_EVENT_MESSAGE;
}

/* RFC 6455 5.5.1: nothing, or a status code and a reason */
static ChoirFrameEvent
finish_close (ChoirFrameParser *self, ChoirFrameMessage *out)
{
  Failure failure = FAILURE_NONE;

  self->state = STATE_CLOSED;
  out->close_code = CHOIR_CLOSE_NO_STATUS;
  if (out->len == 0)
    return CHOIR_FRAME_EVENT_CLOSE;

  if (out->len == 1)
    {
      failure = FAILURE_CLOSE_BODY;
    }
  else
    {
      out->close_code = out->data[0] << 8 | out->data[1];
      out->data += 2;
      out->len -= 2;
      if (!choir_close_code_is_valid_on_wire (out->close_code))
        failure = FAILURE_CLOSE_CODE;
      else if (!choir_utf8_validate (out->data, out->len))
        failure = FAILURE_CLOSE_REASON;
    }

  if (failure == FAILURE_NONE)
    return CHOIR_FRAME_EVENT_CLOSE;

  fail (self, failure);

  return report_failure (self, out);
}

/* Returns: MORE when the frame has not ended with this piece */
static ChoirFrameEvent
take_control (ChoirFrameParser *self, guint8 **data, gsize *len, ChoirFrameMessage *out)
{
  gboolean is_ascii;
  gsize n_taken;
  const guint8 *bytes = take_payload (self, data, len, &n_taken, &is_ascii);

  if (n_taken > 0 && (self->frame_left > 0 || self->control != NULL))
    {
      if (self->control == NULL)
        self->control = g_byte_array_sized_new (CONTROL_PAYLOAD_MAX);
      g_byte_array_append (self->control, bytes, n_taken);
    }
  if (self->frame_left > 0)
    return CHOIR_FRAME_EVENT_MORE;

  *out = (ChoirFrameMessage){ .opcode = self->frame_opcode, .data = bytes, .len = n_taken };
  if (self->control != NULL)
    {
      out->data = self->control->data;
      out->len = self->control->len;
      self->flags |= FLAG_DELIVERED;
    }
  self->state = STATE_HEADER;

  if (self->frame_opcode == CHOIR_OPCODE_CLOSE)
    return finish_close (self, out);

  return self->frame_opcode == CHOIR_OPCODE_PING ? CHOIR_FRAME_EVENT_PING : CHOIR_FRAME_EVENT_PONG;
}

/**
 * choir_frame_parser_init:
 * @self: uninitialised
 * @limits: must outlive @self
 * @inflater: (transfer full) (nullable): what permessage-deflate agreed on; without it compressed
 * frames are an error
 */
void
choir_frame_parser_init (ChoirFrameParser *self,
                         const ChoirFrameLimits *limits,
                         ChoirInflater *inflater)
{
  *self = (ChoirFrameParser){ .limits = limits, .inflater = inflater };
}

/**
 * choir_frame_parser_init_client:
 * @self: uninitialised
 * @limits: must outlive @self
 *
 * For what a server sends, without compression.
 */
void
choir_frame_parser_init_client (ChoirFrameParser *self, const ChoirFrameLimits *limits)
{
  *self = (ChoirFrameParser){ .limits = limits, .flags = FLAG_SERVER };
}

/**
 * choir_frame_parser_clear:
 * @self: an initialised parser; cleared twice is fine
 */
void
choir_frame_parser_clear (ChoirFrameParser *self)
{
  release_buffers (self);
  g_clear_pointer (&self->inflater, choir_inflater_free);
}

/* A whole message in one frame, the usual case, without going through the parser's state. What is
 * unusual in any way, right or wrong, is left as it is. Returns: whether @out has a message */
static gboolean
take_whole_message (ChoirFrameParser *self, guint8 **data, gsize *len, ChoirFrameMessage *out)
{
  guint8 *bytes = *data;
  gsize size = 2 + CHOIR_MASK_LEN;
  gsize payload_len;
  gboolean is_ascii;
  guint32 mask;

  if (*len < size || self->state != STATE_HEADER || self->header_len != 0 || self->flags != 0)
    return FALSE;
  if ((bytes[0] != (FIN | CHOIR_OPCODE_TEXT) && bytes[0] != (FIN | CHOIR_OPCODE_BINARY)) ||
      bytes[1] < MASK_BIT || bytes[1] == (MASK_BIT | LENGTH_64))
    return FALSE;

  payload_len = bytes[1] & LENGTH_BITS;
  if (payload_len == LENGTH_16)
    {
      size += 2;
      payload_len = bytes[2] << 8 | bytes[3];
      if (payload_len < LENGTH_16)
        return FALSE;
    }
  if (payload_len > self->limits->max_message || *len < size + payload_len)
    return FALSE;

  *out = (ChoirFrameMessage){ .opcode = bytes[0] & OPCODE_BITS,
                              .data = bytes + size,
                              .len = payload_len };
  bytes += size;
  memcpy (&mask, bytes - CHOIR_MASK_LEN, sizeof mask);
  is_ascii = choir_mask_apply (bytes, payload_len, mask);
  *data = bytes + payload_len;
  *len -= size + payload_len;
  if (is_ascii || out->opcode != CHOIR_OPCODE_TEXT || choir_utf8_validate (bytes, payload_len))
    return TRUE;

  fail (self, FAILURE_UTF8);

  return FALSE;
}

static ChoirFrameEvent
take_any (ChoirFrameParser *self, guint8 **data, gsize *len, ChoirFrameMessage *out)
{
  ChoirFrameEvent event = CHOIR_FRAME_EVENT_MORE;
  gboolean used_up = FALSE;

  if ((self->flags & FLAG_DELIVERED) != 0)
    release_delivered (self);

  while (event == CHOIR_FRAME_EVENT_MORE && !used_up)
    switch (self->state)
      {
      case STATE_HEADER:
        used_up = !take_header (self, data, len) && self->state != STATE_ERROR;
        break;
      case STATE_DATA:
        event = take_data (self, data, len, out);
        used_up = self->state == STATE_DATA;
        break;
      case STATE_CONTROL:
        event = take_control (self, data, len, out);
        used_up = self->state == STATE_CONTROL;
        break;
      case STATE_CLOSED:
        used_up = TRUE;
        break;
      default:
        event = report_failure (self, out);
        break;
      }

  if (G_UNLIKELY (self->state == STATE_CLOSED || self->state == STATE_ERROR))
    {
      *data += *len;
      *len = 0;
    }

  return event;
}

/**
 * choir_frame_parser_next:
 * @self: an initialised parser
 * @data: (inout): input; advanced past what was taken, whose bytes were overwritten
 * @len: (inout): bytes left of it
 * @out: (out): filled in for every event but MORE; borrows from the input or from @self until the
 * next call
 *
 * Call until it says MORE, then again with more input. After CLOSE the peer has nothing more to say
 * (RFC 6455 5.5.1), so the rest is dropped. After ERROR the input is dropped as well and every call
 * repeats the error.
 *
 * Returns: what happened
 */
ChoirFrameEvent
choir_frame_parser_next (ChoirFrameParser *self, guint8 **data, gsize *len, ChoirFrameMessage *out)
{
  if (*len == 0 && self->state == STATE_HEADER && self->flags == 0)
    return CHOIR_FRAME_EVENT_MORE;
  if (G_LIKELY (take_whole_message (self, data, len, out)))
    return CHOIR_FRAME_EVENT_MESSAGE;

  return take_any (self, data, len, out);
}

/**
 * choir_frame_parser_get_memory:
 * @self: an initialised parser
 *
 * Returns: bytes held besides the structure itself, rounded as the arrays grow; 0 between messages
 * but for the inflater
 */
gsize
choir_frame_parser_get_memory (const ChoirFrameParser *self)
{
  gsize total = 0;

  if (self->message != NULL)
    total += sizeof (GByteArray) + self->message->len;
  if (self->control != NULL)
    total += sizeof (GByteArray) + CONTROL_PAYLOAD_MAX;
  if (self->inflater != NULL)
    total += choir_inflater_get_memory (self->inflater);

  return total;
}
