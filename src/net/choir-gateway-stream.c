/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-gateway-stream.h"

#include "choir-close-code.h"
#include "choir-event-stream.h"
#include "choir-session.h"
#include "choir-upgrade.h"

static void
stream_closed (ChoirEventStream *stream, guint close_code, gpointer user_data)
{
  g_autoptr (ChoirSession) session = user_data;

  choir_session_end (session, close_code);
}

/* As if the client said it: answered, counted and refused like that */
static void
subscribe (ChoirSession *session, const ChoirEventPositions *positions)
{
  g_autoptr (GString) message = NULL;

  if (positions == NULL || choir_session_is_closing (session))
    return;

  message = choir_event_positions_make_subscribe (positions, choir_session_get_dialect (session));
  choir_session_receive (session, message->str, message->len);
}

/**
 * choir_gateway_adopt_stream:
 * @self: a gateway
 * @transport: (transfer full): a stream on which a request for events has been read; its place in
 * the admission is @upgrade's address's
 * @upgrade: a decision with status 101
 * @head: of the answer
 *
 * Makes it an event stream with its session.
 */
void
choir_gateway_adopt_stream (ChoirGateway *self,
                            ChoirTransport *transport,
                            ChoirUpgrade *upgrade,
                            const GString *head)
{
  const ChoirConnectionProfile *profile = &self->profiles[choir_dialect_get_id (upgrade->dialect)];
  ChoirEventStream *stream = choir_event_stream_new (
    profile, transport, upgrade->has_address ? &upgrade->address : NULL, upgrade->counted);
  ChoirSessionParams params = {
    .dialect = upgrade->dialect,
    .claims = upgrade->claims,
    .default_channel = upgrade->default_channel,
    .client_id = upgrade->client_id,
  };
  ChoirSession *session = choir_session_new (self->hub, CHOIR_LINK (stream), &params);
  ChoirEventLog *log;

  if (!choir_event_stream_start (stream, head, stream_closed, session))
    {
      choir_session_end (session, CHOIR_CLOSE_ABNORMAL);
      g_object_unref (session);
      return;
    }

  log = choir_event_log_ensure (session, 0);
  choir_event_log_set_positions (log, g_steal_pointer (&upgrade->positions));
  choir_event_stream_open (stream, choir_session_get_id (session), log, FALSE);
  choir_session_start (session);
  subscribe (session, choir_event_log_get_positions (log));
}
