/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-session-private.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-hub-private.h"
#include "choir-log.h"
#include "choir-names.h"
#include "choir-payload.h"

/* What a session says to its own client: answers, and why there is none */

static inline gboolean
send_message (ChoirSession *self, const ChoirMessage *message)
{
  if (!choir_broadcaster_send (choir_hub_get_broadcaster (self->hub), self->outbox, message))
    return FALSE;

  if (choir_hub_is_observed (self->hub))
    choir_hub_report_answered (self->hub, self, message);

  return TRUE;
}

/**
 * choir_session_send_message:
 * @self: a session with an outbox
 * @message: what to send to its client
 *
 * Returns: %FALSE if its dialect does not know the type
 */
gboolean
choir_session_send_message (ChoirSession *self, const ChoirMessage *message)
{
  return send_message (self, message);
}

/**
 * choir_session_send_version:
 * @self: a session
 * @request: (nullable): what is answered
 * @type: canonical type, a string constant
 * @payload: raw JSON object
 * @version: of the document it is about, for dialects that say it outside the payload; 0: none
 */
void
choir_session_send_version (ChoirSession *self,
                            const ChoirEnvelope *request,
                            const char *type,
                            ChoirSlice payload,
                            guint64 version)
{
  ChoirStats *stats = choir_hub_get_stats (self->hub);
  ChoirMessage message = {
    .type = type,
    .payload = payload,
    .wall_us = choir_clock_wall_us (),
    .offset = version,
    .user_id = choir_session_get_user_id (self),
    .session_id = self->id,
  };

  if (self->outbox == NULL)
    return;

  if (request != NULL)
    message.correlation_id = request->correlation_id;

  if (send_message (self, &message))
    *choir_stats_for_answer (stats, type)->sent += 1;
}

/**
 * choir_session_send:
 * @self: a session
 * @request: (nullable): what is answered
 * @type: canonical type, a string constant
 * @payload: raw JSON object
 */
void
choir_session_send (ChoirSession *self,
                    const ChoirEnvelope *request,
                    const char *type,
                    ChoirSlice payload)
{
  choir_session_send_version (self, request, type, payload, 0);
}

static void
report_error (ChoirSession *self, const ChoirErrorMessage *error)
{
  g_autoptr (GString) payload = g_string_new (NULL);
  ChoirMessage message = {
    .type = "error",
    .wall_us = error->wall_us,
    .correlation_id = error->correlation_id,
  };

  choir_payload_open (payload);
  choir_payload_add_string (payload, "code", choir_error_get_code (error->code));
  choir_payload_add_string (payload, "message", error->message);
  choir_payload_close (payload);
  message.payload = choir_payload_as_slice (payload);
  choir_hub_report_answered (self->hub, self, &message);
}

static void
send_error_message (ChoirSession *self,
                    const ChoirEnvelope *request,
                    ChoirError code,
                    const char *text,
                    const char *details,
                    gint64 retry_after_us)
{
  ChoirStats *stats = choir_hub_get_stats (self->hub);
  g_autoptr (ChoirFrame) frame = NULL;
  ChoirErrorMessage message = {
    .code = code,
    .message = text,
    .details = details,
    .retry_after_us = retry_after_us,
    .wall_us = choir_clock_wall_us (),
  };

  if (request != NULL)
    {
      message.original_type = request->external_type;
      message.correlation_id = request->correlation_id;
    }

  self->n_errors++;
  *stats->errors[code] += 1;

  if (self->outbox == NULL)
    return;

  frame = choir_envelope_encode_error (self->dialect, &message);
  choir_broadcaster_send_frame (choir_hub_get_broadcaster (self->hub), self->outbox, frame);
  if (choir_hub_is_observed (self->hub))
    report_error (self, &message);
}

/**
 * choir_session_send_error_later:
 * @self: a session
 * @request: (nullable): what is refused
 * @error: why, in words fit for the client
 * @retry_after_us: after which it may be tried again; 0: that is not known
 */
void
choir_session_send_error_later (ChoirSession *self,
                                const ChoirEnvelope *request,
                                const GError *error,
                                gint64 retry_after_us)
{
  ChoirError code = error->domain == CHOIR_ERROR ? (ChoirError) error->code : CHOIR_ERROR_INTERNAL;

  /* an error of another domain may name files or addresses: that is for the log */
  if (error->domain != CHOIR_ERROR)
    {
      choir_log (CHOIR_LOG_LEVEL_WARNING, error->message, CHOIR_LOG_SESSION, self->id, NULL);
      send_error_message (self, request, code, "Something went wrong on the server", NULL, 0);
      return;
    }

  send_error_message (self, request, code, error->message, NULL, retry_after_us);
}

/**
 * choir_session_send_error:
 * @self: a session
 * @request: (nullable): what is refused
 * @error: why, in words fit for the client
 */
void
choir_session_send_error (ChoirSession *self, const ChoirEnvelope *request, const GError *error)
{
  choir_session_send_error_later (self, request, error, 0);
}

/**
 * choir_session_send_error_details:
 * @self: a session
 * @request: (nullable): what is refused
 * @error: why, of %CHOIR_ERROR
 * @details: (nullable): what a program can make use of, a raw JSON object
 */
void
choir_session_send_error_details (ChoirSession *self,
                                  const ChoirEnvelope *request,
                                  const GError *error,
                                  const char *details)
{
  send_error_message (self, request, (ChoirError) error->code, error->message, details, 0);
}

/**
 * choir_session_refuse:
 * @self: a session
 * @request: (nullable): what is refused
 * @code: why
 * @format: the same in words fit for the client
 *
 * choir_session_send_error() without a #GError. For %CHOIR_ERROR_RATE_LIMITED use
 * choir_session_refuse_rate().
 */
void
choir_session_refuse (ChoirSession *self,
                      const ChoirEnvelope *request,
                      ChoirError code,
                      const char *format,
                      ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);

  send_error_message (self, request, code, text, NULL, 0);
}

/**
 * choir_session_refuse_rate:
 * @self: a session
 * @request: (nullable): what is refused
 * @wait_us: after which it may be tried again
 */
void
choir_session_refuse_rate (ChoirSession *self, const ChoirEnvelope *request, gint64 wait_us)
{
  *choir_hub_get_stats (self->hub)->rate_limited += 1;
  send_error_message (self, request, CHOIR_ERROR_RATE_LIMITED, "Rate limit exceeded", NULL,
                      wait_us);
}
