/* frame-stream.h: what the frame tests share: a client that writes frames, and a log of what a
 * parser makes of them
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-frame-parser.h"

#include <string.h>

#define FIN 0x80
#define RSV1 0x40

static inline GByteArray *
stream_new (void)
{
  return g_byte_array_new ();
}

/* Any header a client could write, the first byte as it is, the length in its shortest form */
static inline void
stream_append_frame (GByteArray *self, guint8 first, guint32 mask, const void *payload, gsize len)
{
  guint8 header[14] = { first };
  gsize size = 2;
  guint8 key[4];

  if (len < 126)
    {
      header[1] = 0x80 | len;
    }
  else
    {
      guint n_bytes = len <= G_MAXUINT16 ? 2 : 8;

      header[1] = 0x80 | (n_bytes == 2 ? 126 : 127);
      for (guint i = 0; i < n_bytes; i++)
        header[size++] = (guint64) len >> 8 * (n_bytes - 1 - i);
    }

  memcpy (key, &mask, sizeof key);
  memcpy (header + size, key, sizeof key);
  g_byte_array_append (self, header, size + sizeof key);
  for (gsize i = 0; i < len; i++)
    {
      guint8 byte = ((const guint8 *) payload)[i] ^ key[i % 4];

      g_byte_array_append (self, &byte, 1);
    }
}

static inline void
stream_append_text (GByteArray *self, guint8 first, const char *text)
{
  stream_append_frame (self, first, 0x3d21fa37, text, strlen (text));
}

/* Blanks are skipped, so that a header's parts can stand apart */
static inline void
stream_append_hex (GByteArray *self, const char *hex)
{
  for (const char *at = hex; *at != '\0';)
    {
      guint8 byte;

      if (*at == ' ')
        {
          at++;
          continue;
        }
      g_assert_true (g_ascii_isxdigit (at[0]) && g_ascii_isxdigit (at[1]));
      byte = g_ascii_xdigit_value (at[0]) << 4 | g_ascii_xdigit_value (at[1]);
      g_byte_array_append (self, &byte, 1);
      at += 2;
    }
}

static inline void
log_data (GString *log, const guint8 *data, gsize len)
{
  if (len > 64)
    {
      g_autofree char *sum = g_compute_checksum_for_data (G_CHECKSUM_MD5, data, len);

      g_string_append_printf (log, " %" G_GSIZE_FORMAT " bytes %s", len, sum);
      return;
    }

  g_string_append (log, " '");
  for (gsize i = 0; i < len; i++)
    if (g_ascii_isprint (data[i]))
      g_string_append_c (log, data[i]);
    else
      g_string_append_printf (log, "\\%02x", (guint) data[i]);
  g_string_append_c (log, '\'');
}

static inline void
log_event (GString *log, ChoirFrameEvent event, const ChoirFrameMessage *message)
{
  static const char *const names[] = { "more", "message", "ping", "pong", "close", "error" };
  const char *name = names[event];

  if (log->len > 0)
    g_string_append (log, "; ");
  if (event == CHOIR_FRAME_EVENT_MESSAGE)
    name = message->opcode == CHOIR_OPCODE_TEXT ? "text" : "binary";
  g_string_append (log, name);
  if (event == CHOIR_FRAME_EVENT_ERROR)
    {
      g_string_append_printf (log, " %u %s", message->close_code, message->reason);
      return;
    }
  if (event == CHOIR_FRAME_EVENT_CLOSE)
    g_string_append_printf (log, " %u", message->close_code);
  log_data (log, message->data, message->len);
}

/* One piece of input in a block of its own size, so that a sanitizer sees every step past it.
 * Returns: FALSE after an error */
static inline gboolean
log_piece (ChoirFrameParser *parser, const guint8 *piece, gsize len, GString *log)
{
  g_autofree guint8 *copy = g_memdup2 (piece, len);
  guint8 *at = copy;
  gsize left = len;
  ChoirFrameMessage message = { 0 };
  ChoirFrameEvent event;

  while ((event = choir_frame_parser_next (parser, &at, &left, &message)) != CHOIR_FRAME_EVENT_MORE)
    {
      log_event (log, event, &message);
      if (event == CHOIR_FRAME_EVENT_ERROR)
        return FALSE;
    }
  g_assert_cmpuint (left, ==, 0);
  g_assert_true (at == copy + len);

  return TRUE;
}

/* @params: NULL without compression; @chop: bytes a piece, the first one @first bytes.
 * Returns: (transfer full): the events, up to the first error */
static inline char *
stream_parse (const GByteArray *self,
              const ChoirFrameLimits *limits,
              const ChoirDeflateParams *params,
              gsize first,
              gsize chop)
{
  ChoirInflater *inflater = params != NULL ? choir_inflater_new (params) : NULL;
  GString *log = g_string_new (NULL);
  ChoirFrameParser parser;
  gsize piece;

  choir_frame_parser_init (&parser, limits, inflater);
  for (gsize at = 0; at < self->len; at += piece)
    {
      piece = MIN (at == 0 ? first : chop, self->len - at);
      if (!log_piece (&parser, self->data + at, piece, log))
        break;
    }
  choir_frame_parser_clear (&parser);

  return g_string_free (log, FALSE);
}

/* The same events whether it comes whole, in two pieces cut anywhere, or in many of one size */
static inline void
stream_assert_events (const GByteArray *self,
                      const ChoirFrameLimits *limits,
                      const ChoirDeflateParams *params,
                      const char *expected)
{
  g_autofree char *whole = stream_parse (self, limits, params, self->len, self->len);

  g_assert_cmpstr (whole, ==, expected);
  for (gsize size = 1; size < MIN (self->len, 300); size++)
    {
      g_autofree char *two = stream_parse (self, limits, params, size, self->len);
      g_autofree char *many = stream_parse (self, limits, params, size, size);

      g_assert_cmpstr (two, ==, expected);
      g_assert_cmpstr (many, ==, expected);
    }
}
