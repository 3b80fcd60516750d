/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-cbor-private.h"

#include <cbor/callbacks.h>
#include <cbor/streaming.h>
#include <math.h>
#include <string.h>

#include "choir-error.h"
#include "choir-json-plain.h"
#include "choir-utf8.h"

/*
 * libcbor decodes one head at a time, without memory of its own; what may stand where is decided
 * here, with the way down in an array instead of on the stack. A declared length is only ever
 * compared with the bytes there are.
 */

/* Major types, RFC 8949 section 3.1 */
typedef enum
{
  MAJOR_UNSIGNED,
  MAJOR_NEGATIVE,
  MAJOR_BYTES,
  MAJOR_TEXT,
  MAJOR_ARRAY,
  MAJOR_MAP,
  MAJOR_TAG,
  MAJOR_SIMPLE,
} Major;

#define HEAD_TEXT_INDEFINITE 0x7f
#define HEAD_FALSE 0xf4
#define HEAD_NULL 0xf6
#define HEAD_HALF 0xf9
#define HEAD_DOUBLE 0xfb
#define HEAD_BREAK 0xff

/* 2^53, the gate's border between integers that every JSON parser has exactly and others */
#define INT_MAX_EXACT G_GUINT64_CONSTANT (9007199254740992)

/* Digits of 2^53 and a sign */
#define INTEGER_SIZE 24

static void
take_word (ChoirCborReader *self, const char *word, gsize len)
{
  choir_cbor_reader_begin_item (self);
  g_string_append_len (self->out, word, (gssize) len);
  choir_cbor_reader_end_item (self);
}

/* @value means -1 - @value if @negative */
static void
take_integer (ChoirCborReader *self, guint64 value, gboolean negative)
{
  char text[INTEGER_SIZE];
  guint at = sizeof text;
  guint64 size = negative && value < G_MAXUINT64 ? value + 1 : value;

  if (size > INT_MAX_EXACT)
    {
      choir_cbor_reader_fail (self, "an integer within 2^53 either way");
      return;
    }

  do
    {
      text[--at] = (char) ('0' + size % 10);
      size /= 10;
    }
  while (size > 0);
  if (negative)
    text[--at] = '-';
  take_word (self, text + at, sizeof text - at);
}

static void
take_double (ChoirCborReader *self, double value)
{
  if (!isfinite (value))
    {
      choir_cbor_reader_fail (self, "a finite number");
      return;
    }

  choir_cbor_reader_begin_item (self);
  choir_json_append_double (self->out, value);
  choir_cbor_reader_end_item (self);
}

/* What most strings are: nothing to check in it, nothing to escape */
static gboolean
is_plain (const guint8 *data, gsize len)
{
  const guint8 *end = data + len;
  const guint8 *p = choir_json_skip_plain (data, end);

  while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
    p++;

  return p == end;
}

/* In one go: g_string_append_len() and what it does for a few bytes would be most of the work */
static void
append_plain (GString *out, const guint8 *data, gsize len)
{
  gsize at = out->len;

  g_string_set_size (out, at + len + 2);
  out->str[at] = out->str[at + 1 + len] = '"';
  memcpy (out->str + at + 1, data, len);
}

static void
take_text (ChoirCborReader *self, const guint8 *data, gsize len)
{
  if (!choir_utf8_validate (data, len))
    choir_cbor_reader_fail (self, "valid UTF-8");
  else if (len > 0 && memchr (data, '\0', len) != NULL)
    choir_cbor_reader_fail (self, "a character other than NUL");
  else if (choir_cbor_reader_check_room (self, len))
    choir_json_append_contents (self->out, (const char *) data, (gssize) len);
}

/* What libcbor calls, once for each head it has decoded */

#define INTEGER_CB(name, type, is_negative)                                                        \
  static void name (void *self, type value) { take_integer (self, value, is_negative); }

INTEGER_CB (unsigned8_cb, uint8_t, FALSE)
INTEGER_CB (unsigned16_cb, uint16_t, FALSE)
INTEGER_CB (unsigned32_cb, uint32_t, FALSE)
INTEGER_CB (unsigned64_cb, uint64_t, FALSE)
INTEGER_CB (negative8_cb, uint8_t, TRUE)
INTEGER_CB (negative16_cb, uint16_t, TRUE)
INTEGER_CB (negative32_cb, uint32_t, TRUE)
INTEGER_CB (negative64_cb, uint64_t, TRUE)

static void
float_cb (void *self, float value)
{
  take_double (self, (double) value);
}

static void
double_cb (void *self, double value)
{
  take_double (self, value);
}

static void
text_start_cb (void *user_data)
{
  ChoirCborReader *self = user_data;

  choir_cbor_reader_begin_item (self);
  g_string_append_c (self->out, '"');
  self->in_text = TRUE;
}

static void
text_end (ChoirCborReader *self)
{
  g_string_append_c (self->out, '"');
  self->in_text = FALSE;
  choir_cbor_reader_end_item (self);
}

static void
text_cb (void *user_data, cbor_data data, size_t len)
{
  ChoirCborReader *self = user_data;

  if (self->in_text)
    {
      take_text (self, data, len);
      return;
    }

  if (is_plain (data, len) && choir_cbor_reader_check_room (self, len))
    {
      choir_cbor_reader_begin_item (self);
      append_plain (self->out, data, len);
      choir_cbor_reader_end_item (self);
      return;
    }

  text_start_cb (self);
  take_text (self, data, len);
  if (!choir_cbor_reader_has_failed (self))
    text_end (self);
}

static void
array_cb (void *self, size_t n_items)
{
  choir_cbor_reader_open_level (self, FALSE, FALSE, n_items);
}

static void
indefinite_array_cb (void *self)
{
  choir_cbor_reader_open_level (self, FALSE, TRUE, 0);
}

static void
map_cb (void *self, size_t n_pairs)
{
  choir_cbor_reader_open_level (self, TRUE, FALSE, n_pairs);
}

static void
indefinite_map_cb (void *self)
{
  choir_cbor_reader_open_level (self, TRUE, TRUE, 0);
}

static void
boolean_cb (void *self, bool value)
{
  take_word (self, value ? "true" : "false", value ? 4 : 5);
}

static void
null_cb (void *self)
{
  take_word (self, "null", 4);
}

static void
break_cb (void *user_data)
{
  ChoirCborReader *self = user_data;

  if (self->in_text)
    {
      text_end (self);
      return;
    }

  choir_cbor_reader_close_level (self);
  choir_cbor_reader_end_item (self);
}

static const struct cbor_callbacks callbacks = {
  .uint8 = unsigned8_cb,
  .uint16 = unsigned16_cb,
  .uint32 = unsigned32_cb,
  .uint64 = unsigned64_cb,
  .negint64 = negative64_cb,
  .negint32 = negative32_cb,
  .negint16 = negative16_cb,
  .negint8 = negative8_cb,
  .byte_string_start = cbor_null_byte_string_start_callback,
  .byte_string = cbor_null_byte_string_callback,
  .string = text_cb,
  .string_start = text_start_cb,
  .indef_array_start = indefinite_array_cb,
  .array_start = array_cb,
  .indef_map_start = indefinite_map_cb,
  .map_start = map_cb,
  .tag = cbor_null_tag_callback,
  .float2 = float_cb,
  .float4 = float_cb,
  .float8 = double_cb,
  .undefined = cbor_null_undefined_callback,
  .null = null_cb,
  .boolean = boolean_cb,
  .indef_break = break_cb,
};

/* Whether an item that begins with @head may stand at this place */

static gboolean
check_break (ChoirCborReader *self)
{
  const ChoirCborLevel *level = choir_cbor_reader_get_level (self);

  if (level != NULL && level->has_key)
    return choir_cbor_reader_fail (self, "the key's value");

  return (level != NULL && level->indefinite) || choir_cbor_reader_fail (self, "no end here");
}

static gboolean
check_kind (ChoirCborReader *self, guint8 head)
{
  Major major = head >> 5;

  if (major == MAJOR_BYTES)
    return choir_cbor_reader_fail (self, "no byte string");
  if (major == MAJOR_TAG)
    return choir_cbor_reader_fail (self, "no tag");
  if (major != MAJOR_SIMPLE || (head >= HEAD_FALSE && head <= HEAD_NULL) ||
      (head >= HEAD_HALF && head <= HEAD_DOUBLE))
    return TRUE;

  return choir_cbor_reader_fail (self, "no simple value besides false, true and null");
}

static gboolean
check_head (ChoirCborReader *self, guint8 head)
{
  const ChoirCborLevel *level = choir_cbor_reader_get_level (self);
  Major major = head >> 5;

  if (self->in_text)
    return head == HEAD_BREAK || (major == MAJOR_TEXT && head != HEAD_TEXT_INDEFINITE) ||
           choir_cbor_reader_fail (self, "a piece of the text string, or its end");
  if (level == NULL)
    return major == MAJOR_MAP || major == MAJOR_ARRAY ||
           choir_cbor_reader_fail (self, "a map, or an array of maps");
  if (head == HEAD_BREAK)
    return check_break (self);
  if (level->is_map && !level->has_key)
    return major == MAJOR_TEXT || choir_cbor_reader_fail (self, "a text string as key");
  if (self->depth == 1 && !level->is_map)
    return major == MAJOR_MAP || choir_cbor_reader_fail (self, "a map");

  return check_kind (self, head);
}

/* The present item's head, with the contents of a string; moves on behind it */
static gboolean
take_head (ChoirCborReader *self)
{
  struct cbor_decoder_result result;

  if (self->at == self->len)
    return choir_cbor_reader_fail (self, "more bytes");
  if (!check_head (self, self->data[self->at]))
    return FALSE;

  result = cbor_stream_decode (self->data + self->at, self->len - self->at, &callbacks, self);
  if (result.status == CBOR_DECODER_NEDATA)
    return choir_cbor_reader_fail (self, "the rest of this item");
  if (result.status != CBOR_DECODER_FINISHED)
    return choir_cbor_reader_fail (self, "a head that CBOR knows");
  if (choir_cbor_reader_has_failed (self) || !choir_cbor_reader_check_room (self, 0))
    return FALSE;

  self->at += result.read;
  return TRUE;
}

static gboolean
read_item (ChoirCborReader *self)
{
  do
    {
      if (!take_head (self))
        return FALSE;
    }
  while (self->depth > 0);

  return self->at == self->len || choir_cbor_reader_fail (self, "the end of the message");
}

static void
report (const ChoirCborReader *self, GError **error)
{
  if (self->too_large)
    g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_TOO_LARGE,
                 "As JSON the message is larger than %" G_GSIZE_FORMAT " bytes",
                 self->limits->max_bytes);
  else
    g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_INVALID_MESSAGE,
                 "Invalid CBOR at byte %" G_GSIZE_FORMAT ": expected %s", self->at, self->expected);
}

/**
 * choir_cbor_read:
 * @data: (array length=len) (nullable): a binary message
 * @len: bytes in @data
 * @limits: what it is held to
 * @out: where the JSON text is appended
 * @error: return location
 *
 * Rewrites a map, or an array of maps, as JSON (RFC 8949 section 6.1), in one pass and without
 * recursion. Lengths may be definite or not. Stricter than the RFC where JSON sets the border: keys
 * are text and stand once in a message, integers are within 2^53, numbers finite; byte strings,
 * tags and simple values other than false, true and null are refused, so is NUL in a text.
 * Floating-point numbers keep a point or an exponent, integers get none. The text then passes the
 * gate, unless it has too many members or messages.
 *
 * Returns: FALSE with CHOIR_ERROR_INVALID_MESSAGE, which names the byte offset of the item and what
 * was expected there but never content, or CHOIR_ERROR_TOO_LARGE; @out is as it was then
 */
gboolean
choir_cbor_read (const guint8 *data,
                 gsize len,
                 const ChoirCborLimits *limits,
                 GString *out,
                 GError **error)
{
  ChoirCborReader reader;

  memset (&reader, 0, G_STRUCT_OFFSET (ChoirCborReader, levels));
  reader.data = data;
  reader.len = len;
  reader.limits = limits;
  reader.max_depth = MIN (limits->max_depth, CHOIR_JSON_DEPTH_MAX);
  reader.out = out;
  reader.base = out->len;

  if (read_item (&reader))
    return TRUE;

  report (&reader, error);
  g_string_truncate (out, reader.base);
  return FALSE;
}
