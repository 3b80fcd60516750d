/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-frame.h"

#include "choir-close-code.h"
#include "choir-mask.h"
#include "choir-utf8.h"

#include <string.h>

#define FIN 0x80
#define RSV1 0x40
#define MASK_BIT 0x80

/* RFC 6455 5.2: the 7-bit length holds up to 125, two values announce a longer field */
#define LENGTH_7_MAX 125
#define LENGTH_16 126
#define LENGTH_64 127

/* RFC 6455 5.5: a control frame's payload, and what is left of it behind the status code */
#define CLOSE_REASON_MAX 123

#define PAYLOAD_MAX (G_MAXUINT32 - CHOIR_FRAME_HEADER_MAX)

/* Less than this behind a finished payload is not worth moving the block for */
#define SLACK_MIN 192

#define REPEAT(byte) (G_GUINT64_CONSTANT (0x0101010101010101) * (byte))

static guint
get_header_len (gsize payload_len)
{
  if (payload_len <= LENGTH_7_MAX)
    return 2;

  return payload_len <= G_MAXUINT16 ? 4 : 10;
}

/* @first: FIN, RSV1 and the opcode */
static void
write_header (guint8 *at, guint8 first, gsize payload_len)
{
  at[0] = first;

  if (payload_len <= LENGTH_7_MAX)
    {
      at[1] = payload_len;
    }
  else if (payload_len <= G_MAXUINT16)
    {
      guint16 field = GUINT16_TO_BE ((guint16) payload_len);

      at[1] = LENGTH_16;
      memcpy (at + 2, &field, sizeof field);
    }
  else
    {
      guint64 field = GUINT64_TO_BE ((guint64) payload_len);

      at[1] = LENGTH_64;
      memcpy (at + 2, &field, sizeof field);
    }
}

static ChoirFrame *
allocate_frame (gsize n_bytes)
{
  ChoirFrame *self = g_malloc (G_STRUCT_OFFSET (ChoirFrame, bytes) + n_bytes);

  self->n_refs = 1;
  self->lane = 0;
  self->flags = 0;
  self->priority = 0;

  return self;
}

static ChoirFrame *
new_frame (guint8 first, const void *payload, gsize len)
{
  guint header_len = get_header_len (len);
  ChoirFrame *self;

  g_return_val_if_fail (len <= PAYLOAD_MAX, NULL);

  self = allocate_frame (header_len + len);
  self->start = 0;
  self->header_len = header_len;
  self->len = header_len + len;
  write_header (self->bytes, first, len);
  if (len > 0)
    memcpy (self->bytes + header_len, payload, len);

  return self;
}

/**
 * choir_frame_new_full:
 * @opcode: what the payload is
 * @rsv1: whether it is compressed (RFC 7692 section 6)
 * @payload: (array length=len) (nullable): copied
 * @len: bytes in @payload, below 4 GiB
 *
 * A server's frame: final and without a mask.
 *
 * Returns: (transfer full): one block with header and payload
 */
ChoirFrame *
choir_frame_new_full (ChoirOpcode opcode, gboolean rsv1, const void *payload, gsize len)
{
  return new_frame (FIN | (rsv1 ? RSV1 : 0) | opcode, payload, len);
}

/**
 * choir_frame_new:
 * @opcode: what the payload is
 * @payload: (array length=len) (nullable): copied
 * @len: bytes in @payload, below 4 GiB
 *
 * Returns: (transfer full): an uncompressed frame
 */
ChoirFrame *
choir_frame_new (ChoirOpcode opcode, const void *payload, gsize len)
{
  return choir_frame_new_full (opcode, FALSE, payload, len);
}

/**
 * choir_frame_new_fragment:
 * @opcode: %CHOIR_OPCODE_CONTINUATION for all but the first
 * @final: whether the message ends with it
 * @data: (array length=len) (nullable): copied
 * @len: bytes in @data, below 4 GiB
 *
 * A part of a message (RFC 6455 5.4).
 *
 * Returns: (transfer full): an uncompressed frame
 */
ChoirFrame *
choir_frame_new_fragment (ChoirOpcode opcode, gboolean final, const void *data, gsize len)
{
  return new_frame ((final ? FIN : 0) | opcode, data, len);
}

/**
 * choir_frame_new_masked:
 * @opcode: what the payload is
 * @mask: a random number, another for each frame
 * @payload: (array length=len) (nullable): copied
 * @len: bytes in @payload, below 4 GiB
 *
 * A client's frame (RFC 6455 5.3): final and uncompressed. Its payload is what is sent.
 *
 * Returns: (transfer full): one block with header and payload
 */
ChoirFrame *
choir_frame_new_masked (ChoirOpcode opcode, guint32 mask, const void *payload, gsize len)
{
  guint header_len = get_header_len (len) + CHOIR_MASK_LEN;
  ChoirFrame *self;

  g_return_val_if_fail (len <= PAYLOAD_MAX - CHOIR_MASK_LEN, NULL);

  self = allocate_frame (header_len + len);
  self->start = 0;
  self->header_len = (guint8) header_len;
  self->len = (guint32) (header_len + len);
  write_header (self->bytes, FIN | opcode, len);
  self->bytes[1] |= MASK_BIT;
  memcpy (self->bytes + header_len - CHOIR_MASK_LEN, &mask, CHOIR_MASK_LEN);
  if (len > 0)
    memcpy (self->bytes + header_len, payload, len);
  choir_mask_apply (self->bytes + header_len, len, mask);

  return self;
}

/**
 * choir_frame_new_joined:
 * @frames: (array length=n_frames): some frames
 * @n_frames: at least one
 *
 * Returns: (transfer full): all of them in one block, for receivers that get all; the frame itself
 * if there is but one
 */
ChoirFrame *
choir_frame_new_joined (ChoirFrame *const *frames, guint n_frames)
{
  ChoirFrame *self;
  gsize n_bytes = 0;

  g_return_val_if_fail (n_frames > 0, NULL);

  if (n_frames == 1)
    return choir_frame_ref (frames[0]);

  for (guint i = 0; i < n_frames; i++)
    n_bytes += frames[i]->len;
  g_return_val_if_fail (n_bytes <= PAYLOAD_MAX, NULL);

  self = allocate_frame (n_bytes);
  self->start = 0;
  self->header_len = frames[0]->header_len;
  self->len = 0;
  self->flags = CHOIR_FRAME_JOINED;
  for (guint i = 0; i < n_frames; i++)
    {
      memcpy (self->bytes + self->len, choir_frame_get_data (frames[i]), frames[i]->len);
      self->len += frames[i]->len;
    }

  return self;
}

static gsize
get_reason_len (const char *reason)
{
  gsize len;

  if (reason == NULL)
    return 0;

  len = strlen (reason);
  if (!choir_utf8_validate ((const guint8 *) reason, len))
    return 0;
  if (len <= CLOSE_REASON_MAX)
    return len;

  len = CLOSE_REASON_MAX;
  while ((reason[len] & 0xc0) == 0x80)
    len--;

  return len;
}

/**
 * choir_frame_new_close:
 * @code: a close code; 0, 1005 and all others that may not be sent give an empty body
 * @reason: (nullable): UTF-8, cut at 123 bytes on a character border; left out if it is not UTF-8
 *
 * Source: RFC 6455 5.5.1 and 7.4.
 *
 * Returns: (transfer full): the close frame
 */
ChoirFrame *
choir_frame_new_close (guint code, const char *reason)
{
  guint8 body[2 + CLOSE_REASON_MAX];
  gsize len;

  if (!choir_close_code_is_valid_on_wire (code))
    return choir_frame_new (CHOIR_OPCODE_CLOSE, NULL, 0);

  body[0] = code >> 8;
  body[1] = code & 0xff;
  len = get_reason_len (reason);
  if (len > 0)
    memcpy (body + 2, reason, len);

  return choir_frame_new (CHOIR_OPCODE_CLOSE, body, 2 + len);
}

/**
 * choir_frame_builder_init:
 * @self: uninitialised
 * @size_hint: payload bytes expected; growing beyond is fine
 *
 * Must be followed by choir_frame_builder_end() or choir_frame_builder_clear().
 */
void
choir_frame_builder_init (ChoirFrameBuilder *self, gsize size_hint)
{
  g_return_if_fail (size_hint <= PAYLOAD_MAX);

  self->frame = allocate_frame (CHOIR_FRAME_HEADER_MAX + size_hint);
  self->len = 0;
  self->capacity = size_hint;
}

static void
grow (ChoirFrameBuilder *self, gsize needed)
{
  gsize capacity = MAX (self->capacity, 32);

  if (needed > PAYLOAD_MAX)
    g_error ("A frame of %" G_GSIZE_FORMAT " bytes can't be built", needed);

  while (capacity < needed)
    capacity *= 2;

  self->frame = g_realloc (self->frame,
                           G_STRUCT_OFFSET (ChoirFrame, bytes) + CHOIR_FRAME_HEADER_MAX + capacity);
  self->capacity = capacity;
}

/**
 * choir_frame_builder_reserve:
 * @self: an initialised builder
 * @room: bytes the caller is going to write at most
 *
 * For writers that produce in place, like a compressor: they add what they wrote to self->len.
 *
 * Returns: (transfer none): where the next payload byte goes, valid until the next call on @self
 */
guint8 *
choir_frame_builder_reserve (ChoirFrameBuilder *self, gsize room)
{
  if (room > self->capacity - self->len)
    grow (self, self->len + room);

  return self->frame->bytes + CHOIR_FRAME_HEADER_MAX + self->len;
}

/**
 * choir_frame_builder_append_uint:
 * @self: an initialised builder
 * @value: written in decimal
 */
void
choir_frame_builder_append_uint (ChoirFrameBuilder *self, guint64 value)
{
  char digits[20];
  guint at = sizeof digits;

  do
    {
      digits[--at] = '0' + value % 10;
      value /= 10;
    }
  while (value > 0);

  choir_frame_builder_append (self, digits + at, sizeof digits - at);
}

static gboolean
needs_escape (guint8 byte)
{
  return byte < 0x20 || byte == '"' || byte == '\\';
}

/* Zero if none of eight characters needs an escape; each term raises the high bit of a byte below a
 * border or equal to zero */
static guint64
find_escapes (guint64 word)
{
  guint64 quotes = word ^ REPEAT ('"');
  guint64 backslashes = word ^ REPEAT ('\\');
  guint64 found = (word - REPEAT (0x20)) & ~word;

  found |= (quotes - REPEAT (1)) & ~quotes;
  found |= (backslashes - REPEAT (1)) & ~backslashes;

  return found & REPEAT (0x80);
}

static gsize
get_plain_run (const char *text, gsize len)
{
  gsize run = 0;

  while (len - run >= 8)
    {
      guint64 word;

      memcpy (&word, text + run, sizeof word);
      if (find_escapes (word) != 0)
        break;
      run += 8;
    }

  while (run < len && !needs_escape (text[run]))
    run++;

  return run;
}

/* RFC 8259 section 7: the two-character forms where there is one */
static void
append_escape (ChoirFrameBuilder *self, guint8 byte)
{
  static const char letters[0x20] = {
    ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r',
  };
  static const char hex[] = "0123456789abcdef";
  char escape[6] = { '\\', 'u', '0', '0', 0, 0 };

  if (byte >= 0x20 || letters[byte] != '\0')
    {
      escape[1] = byte >= 0x20 ? (char) byte : letters[byte];
      choir_frame_builder_append (self, escape, 2);
      return;
    }

  escape[4] = hex[byte >> 4];
  escape[5] = hex[byte & 0xf];
  choir_frame_builder_append (self, escape, sizeof escape);
}

/**
 * choir_frame_builder_append_json_part:
 * @self: an initialised builder
 * @text: (array length=len): valid UTF-8, may hold NUL
 * @len: bytes in @text
 *
 * Appends @text as it stands inside a JSON string; nothing but what RFC 8259 demands is escaped.
 */
void
choir_frame_builder_append_json_part (ChoirFrameBuilder *self, const char *text, gsize len)
{
  const char *end = text + len;

  while (text < end)
    {
      gsize run = get_plain_run (text, end - text);

      choir_frame_builder_append (self, text, run);
      text += run;
      if (text < end)
        append_escape (self, *text++);
    }
}

/**
 * choir_frame_builder_append_json_string:
 * @self: an initialised builder
 * @text: (array length=len): valid UTF-8, may hold NUL
 * @len: bytes in @text
 *
 * Appends @text as a JSON string with its quotes.
 */
void
choir_frame_builder_append_json_string (ChoirFrameBuilder *self, const char *text, gsize len)
{
  choir_frame_builder_reserve (self, len + 2);
  choir_frame_builder_append (self, "\"", 1);
  choir_frame_builder_append_json_part (self, text, len);
  choir_frame_builder_append (self, "\"", 1);
}

static ChoirFrame *
end_frame (ChoirFrameBuilder *self, guint8 first)
{
  ChoirFrame *frame = g_steal_pointer (&self->frame);
  guint header_len = get_header_len (self->len);

  /* frames wait in outboxes and histories, where a doubling buffer's slack would be paid for each
   */
  if (self->capacity - self->len > MAX (self->len / 4, SLACK_MIN))
    frame =
      g_realloc (frame, G_STRUCT_OFFSET (ChoirFrame, bytes) + CHOIR_FRAME_HEADER_MAX + self->len);

  frame->start = CHOIR_FRAME_HEADER_MAX - header_len;
  frame->header_len = header_len;
  frame->len = header_len + self->len;
  write_header (frame->bytes + frame->start, first, self->len);
  self->len = 0;
  self->capacity = 0;

  return frame;
}

/**
 * choir_frame_builder_end:
 * @self: an initialised builder, empty afterwards
 * @opcode: what the payload is
 * @rsv1: whether it is compressed
 *
 * Returns: (transfer full): the frame, in the block the payload was written to
 */
ChoirFrame *
choir_frame_builder_end (ChoirFrameBuilder *self, ChoirOpcode opcode, gboolean rsv1)
{
  return end_frame (self, FIN | (rsv1 ? RSV1 : 0) | opcode);
}

/**
 * choir_frame_builder_end_fragment:
 * @self: an initialised builder, empty afterwards
 * @opcode: %CHOIR_OPCODE_CONTINUATION for all but a message's first
 * @final: whether the message ends with it
 *
 * Returns: (transfer full): an uncompressed part of a message
 */
ChoirFrame *
choir_frame_builder_end_fragment (ChoirFrameBuilder *self, ChoirOpcode opcode, gboolean final)
{
  return end_frame (self, (final ? FIN : 0) | opcode);
}

/**
 * choir_frame_builder_clear:
 * @self: a builder, initialised or ended
 *
 * Drops what was written. Does nothing after choir_frame_builder_end().
 */
void
choir_frame_builder_clear (ChoirFrameBuilder *self)
{
  g_clear_pointer (&self->frame, choir_frame_unref);
  self->len = 0;
  self->capacity = 0;
}
