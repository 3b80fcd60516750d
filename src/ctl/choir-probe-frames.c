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
#include "choir-id.h"
#include "choir-json-gate.h"

#include <glib/gi18n.h>
#include <string.h>

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
choir_probe_send (ChoirProbe *self,
                  ChoirOpcode opcode,
                  const void *payload,
                  gsize len,
                  GError **error)
{
  g_autoptr (ChoirFrame) frame = choir_frame_new_masked (opcode, choir_id_random (), payload, len);

  return choir_dial_write (self->dial, choir_frame_get_data (frame), frame->len, error);
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
take_message (ChoirProbe *self, const ChoirFrameMessage *message)
{
  if (self->report->first_message_us < 0)
    self->report->first_message_us = choir_clock_monotonic_us () - self->opened_us;

  if (message->opcode == CHOIR_OPCODE_TEXT && message->len <= FIRST_MESSAGE_MAX)
    look_at_message (self, (const char *) message->data, message->len);
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
take_close (ChoirProbe *self, const ChoirFrameMessage *message, GError **error)
{
  g_autofree char *reason =
    message->len > 0 ? g_strndup ((const char *) message->data, message->len) : NULL;
  const char *said = self->report->code;
  guint code = message->close_code;

  self->report->close_code = code;
  g_set_error (error, CHOIR_CTL_ERROR, (int) judge_close (code),
               _ ("The server closed the connection with %u, %s%s%s%s%s"), code,
               choir_close_code_get_name (code), said != NULL ? ", " : "", said != NULL ? said : "",
               reason != NULL ? ": " : "", reason != NULL ? reason : "");
}

static void
take_pong (ChoirProbe *self, const ChoirFrameMessage *message)
{
  /* what nobody asked for is no answer (RFC 6455 section 5.5.3) */
  if (self->ping_sent_us == 0 || message->len != sizeof self->ping ||
      memcmp (message->data, &self->ping, sizeof self->ping) != 0)
    return;

  self->round_trip_us = choir_clock_monotonic_us () - self->ping_sent_us;
  self->ping_sent_us = 0;
}

/* FALSE with @error at the end of the visit */
static gboolean
take_event (ChoirProbe *self,
            ChoirFrameEvent event,
            const ChoirFrameMessage *message,
            GError **error)
{
  switch (event)
    {
    case CHOIR_FRAME_EVENT_CLOSE:
      take_close (self, message, error);
      return FALSE;
    case CHOIR_FRAME_EVENT_ERROR:
      g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_FAILED,
                   _ ("What comes after the handshake cannot be understood: %s"), message->reason);
      return FALSE;
    case CHOIR_FRAME_EVENT_PING:
      return choir_probe_send (self, CHOIR_OPCODE_PONG, message->data, message->len, error);
    case CHOIR_FRAME_EVENT_PONG:
      take_pong (self, message);
      return TRUE;
    case CHOIR_FRAME_EVENT_MESSAGE:
      take_message (self, message);
      return TRUE;
    case CHOIR_FRAME_EVENT_MORE:
    default:
      return TRUE;
    }
}

/**
 * choir_probe_take_frames:
 * @self: an open visit
 * @error: return location, of %CHOIR_CTL_ERROR, or a #GIOErrorEnum
 *
 * Understands what is in the input.
 *
 * Returns: %FALSE with @error when the server has closed the connection, or speaks nonsense
 */
gboolean
choir_probe_take_frames (ChoirProbe *self, GError **error)
{
  guint8 *data = self->input->data;
  gsize len = self->input->len;
  ChoirFrameEvent event;

  do
    {
      ChoirFrameMessage message;

      event = choir_frame_parser_next (&self->parser, &data, &len, &message);
      if (!take_event (self, event, &message, error))
        return FALSE;
    }
  while (event != CHOIR_FRAME_EVENT_MORE);

  /* the parser keeps what is incomplete */
  g_byte_array_set_size (self->input, 0);

  return TRUE;
}
