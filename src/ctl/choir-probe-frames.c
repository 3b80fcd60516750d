/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* A client's side of RFC 6455 section 5: little to send, and of what comes only the beginning of
 * the first message is of interest. */

#include "config.h"

#include "choir-probe-private.h"

#include "choir-clock.h"
#include "choir-close-code.h"
#include "choir-ctl-error.h"
#include "choir-frame.h"
#include "choir-id.h"
#include "choir-json-gate.h"

#include <glib/gi18n.h>
#include <string.h>

#define CONTROL_MAX 125
#define FIRST_MESSAGE_MAX 16384
#define NAME_MAX_BYTES 64

/**
 * choir_probe_send:
 * @self: an open visit
 * @opcode: a control frame's
 * @payload: (array length=len) (nullable): its payload
 * @len: at most 125 bytes
 * @error: return location: a #GIOErrorEnum
 *
 * Returns: whether the frame is on its way
 */
gboolean
choir_probe_send (ChoirProbe *self, guint opcode, const void *payload, gsize len, GError **error)
{
  guint8 frame[6 + CONTROL_MAX];
  guint32 mask = choir_id_random ();
  const guint8 *bytes = payload;

  g_return_val_if_fail (len <= CONTROL_MAX, FALSE);

  frame[0] = (guint8) (0x80 | opcode);
  frame[1] = (guint8) (0x80 | len);
  memcpy (frame + 2, &mask, sizeof mask);
  for (gsize i = 0; i < len; i++)
    frame[6 + i] = bytes[i] ^ frame[2 + i % 4];

  return choir_dial_write (self->dial, frame, 6 + len, error);
}

typedef struct
{
  guint opcode;
  gboolean final;
  guint header_len;
  guint64 len;
} Frame;

/* Whether the header is there; @error for one no server sends */
static gboolean
read_header (const GByteArray *input, Frame *frame, GError **error)
{
  const guint8 *at = input->data;
  guint16 len_16;
  guint64 len_64;

  if (input->len < 2)
    return FALSE;

  frame->opcode = at[0] & 0xf;
  frame->final = (at[0] & 0x80) != 0;
  frame->len = at[1] & 0x7f;
  frame->header_len = frame->len < 126 ? 2 : frame->len == 126 ? 4 : 10;

  if ((at[0] & 0x70) != 0 || (at[1] & 0x80) != 0 ||
      (frame->opcode >= CHOIR_OPCODE_CLOSE && (!frame->final || frame->len > CONTROL_MAX)))
    {
      g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_FAILED,
                           _ ("After the handshake something other than WebSocket frames comes"));
      return FALSE;
    }

  if (input->len < frame->header_len)
    return FALSE;

  if (frame->header_len == 4)
    {
      memcpy (&len_16, at + 2, sizeof len_16);
      frame->len = GUINT16_FROM_BE (len_16);
    }
  else if (frame->header_len == 10)
    {
      memcpy (&len_64, at + 2, sizeof len_64);
      frame->len = GUINT64_FROM_BE (len_64);
    }

  return TRUE;
}

static char *
dup_name (const ChoirJsonValue *value)
{
  g_autofree char *name = NULL;

  if (value->kind != CHOIR_JSON_STRING)
    return NULL;

  name = choir_json_string_dup (value->raw, NAME_MAX_BYTES);

  return name != NULL && *name != '\0' ? g_steal_pointer (&name) : NULL;
}

/* What kind of message it is, where it is of our protocols; an error says which */
static void
look_at_message (ChoirProbe *self, const char *text, gsize len)
{
  static const ChoirJsonLimits limits = { 32, FIRST_MESSAGE_MAX, 1000, 1 };
  ChoirProbeReport *report = self->report;
  g_autofree char *type = NULL;
  const ChoirJsonMember *member;
  ChoirJsonObject object;
  ChoirJsonValue code;

  if (!choir_json_gate_scan (text, len, &limits, &object, NULL))
    return;

  member = choir_json_object_find (&object, "type");
  type = member != NULL ? dup_name (&member->value) : NULL;
  if (type == NULL)
    return;

  member = choir_json_object_find (&object, "payload");
  if (g_str_equal (type, "error") && member != NULL && member->value.kind == CHOIR_JSON_OBJECT &&
      choir_json_slice_get (member->value.raw, "code", &code) && report->code == NULL)
    report->code = dup_name (&code);

  if (report->first_type == NULL)
    report->first_type = g_steal_pointer (&type);
}

static void
take_data (ChoirProbe *self, const Frame *frame, const guint8 *payload, gsize len)
{
  if (self->report->first_message_us < 0)
    self->report->first_message_us = choir_clock_monotonic_us () - self->opened_us;

  if (frame->opcode == CHOIR_OPCODE_TEXT && frame->final && len == frame->len)
    look_at_message (self, (const char *) payload, len);
}

static ChoirCtlExit
judge_close (guint code)
{
  switch (code)
    {
    case CHOIR_CLOSE_POLICY:
    case CHOIR_CLOSE_AUTH_FAILED:
    case CHOIR_CLOSE_AUTH_TIMEOUT:
    case CHOIR_CLOSE_KICKED:
    case CHOIR_CLOSE_TOKEN_EXPIRED:
      return CHOIR_CTL_NOT_ALLOWED;
    case CHOIR_CLOSE_GOING_AWAY:
    case CHOIR_CLOSE_RESTART:
    case CHOIR_CLOSE_TRY_AGAIN_LATER:
      return CHOIR_CTL_NO_SERVICE;
    default:
      return CHOIR_CTL_FAILED;
    }
}

static void
take_close (ChoirProbe *self, const guint8 *payload, gsize len, GError **error)
{
  guint code = len >= 2 ? (guint) payload[0] << 8 | payload[1] : CHOIR_CLOSE_NO_STATUS;
  g_autofree char *reason =
    len > 2 ? g_utf8_make_valid ((const char *) payload + 2, (gssize) len - 2) : NULL;
  const char *said = self->report->code;

  self->report->close_code = code;
  g_set_error (error, CHOIR_CTL_ERROR, (int) judge_close (code),
               _ ("The server closed the connection with %u, %s%s%s%s%s"), code,
               choir_close_code_get_name (code), said != NULL ? ", " : "", said != NULL ? said : "",
               reason != NULL ? ": " : "", reason != NULL ? reason : "");
}

static void
take_pong (ChoirProbe *self, const guint8 *payload, gsize len)
{
  /* what nobody asked for is no answer (RFC 6455 section 5.5.3) */
  if (self->ping_sent_us == 0 || len != sizeof self->ping ||
      memcmp (payload, &self->ping, sizeof self->ping) != 0)
    return;

  self->round_trip_us = choir_clock_monotonic_us () - self->ping_sent_us;
  self->ping_sent_us = 0;
}

/* FALSE with @error at the end of the visit */
static gboolean
take_frame (ChoirProbe *self, const Frame *frame, const guint8 *payload, gsize len, GError **error)
{
  switch (frame->opcode)
    {
    case CHOIR_OPCODE_CLOSE:
      take_close (self, payload, len, error);
      return FALSE;
    case CHOIR_OPCODE_PING:
      return choir_probe_send (self, CHOIR_OPCODE_PONG, payload, len, error);
    case CHOIR_OPCODE_PONG:
      take_pong (self, payload, len);
      return TRUE;
    default:
      take_data (self, frame, payload, len);
      return TRUE;
    }
}

/**
 * choir_probe_take_frames:
 * @self: an open visit
 * @error: return location, of %CHOIR_CTL_ERROR, or a #GIOErrorEnum
 *
 * Understands what is in the input, as far as it is complete.
 *
 * Returns: %FALSE with @error when the server has closed the connection, or speaks nonsense
 */
gboolean
choir_probe_take_frames (ChoirProbe *self, GError **error)
{
  g_autoptr (GError) broken = NULL;
  Frame frame;

  while (self->input->len > 0)
    {
      guint n = (guint) MIN (self->skip, self->input->len);
      guint shown;

      g_byte_array_remove_range (self->input, 0, n);
      self->skip -= n;
      if (!read_header (self->input, &frame, &broken))
        break;

      shown = (guint) MIN (frame.len, FIRST_MESSAGE_MAX);
      if (self->input->len < frame.header_len + shown)
        break;

      if (!take_frame (self, &frame, self->input->data + frame.header_len, shown, error))
        return FALSE;

      g_byte_array_remove_range (self->input, 0, frame.header_len + shown);
      self->skip = frame.len - shown;
    }

  if (broken == NULL)
    return TRUE;

  g_propagate_error (error, g_steal_pointer (&broken));

  return FALSE;
}
