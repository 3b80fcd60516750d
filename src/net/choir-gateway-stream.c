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
stream_closed (ChoirEventStream *stream,
               ChoirSession *session,
               guint close_code,
               gboolean for_good,
               gpointer user_data)
{
  ChoirGateway *self = user_data;
  const char *user_id = session != NULL ? choir_session_get_user_id (session) : NULL;

  if (session == NULL)
    return;

  if (for_good && user_id != NULL)
    choir_event_graves_add (self->graves, choir_session_get_id (session), user_id);
  choir_session_end (session, close_code);
  choir_link_set_session (CHOIR_LINK (stream), NULL);
}

/**
 * choir_gateway_has_buried:
 * @self: a gateway
 * @upgrade: a decision with status 101 about an event stream
 *
 * Returns: whether the client comes back for a session that was ended for good
 */
gboolean
choir_gateway_has_buried (ChoirGateway *self, const ChoirUpgrade *upgrade)
{
  return upgrade->is_returning && upgrade->resume_id != NULL && upgrade->claims != NULL &&
         choir_event_graves_has (self->graves, upgrade->resume_id,
                                 choir_claims_get_user_id (upgrade->claims));
}

/* As long as a client may take to find out that it has lost its stream, and to come back */
static gint64
get_max_age (ChoirGateway *self, ChoirSession *session)
{
  const ChoirSettings *settings = choir_hub_get_settings (self->hub);
  gint64 idle_us =
    settings->dialects[choir_dialect_get_id (choir_session_get_dialect (session))].idle_us;

  return settings->resume_window_us > 0 ? settings->resume_window_us + idle_us : 0;
}

/* Not every contract greets */
static guint
count_greetings (const ChoirDialect *dialect)
{
  const ChoirDialectOutRow *row = choir_dialect_find_outbound (dialect, "connection.established");

  return row == NULL || row->external != NULL ? 1 : 0;
}

/* As if the client said it: answered, counted and refused like that. (nullable) (transfer full):
 * nothing is to be said */
static GString *
make_subscribe (ChoirSession *session, const ChoirEventPositions *wanted, ChoirEventLog *log)
{
  const ChoirEventPositions *joined = choir_event_log_get_positions (log);

  if (wanted == NULL || choir_event_positions_has_same_channels (wanted, joined))
    return NULL;

  return choir_event_positions_make_subscribe (wanted, choir_session_get_dialect (session));
}

/* @session: what the stream carries, another one than it began with if @resumed */
static void
open_stream (ChoirGateway *self,
             ChoirEventStream *stream,
             ChoirSession *session,
             ChoirUpgrade *upgrade,
             gboolean resumed)
{
  gboolean was_stream = choir_event_log_find (session) != NULL;
  ChoirEventLog *log = choir_event_log_ensure (session, get_max_age (self, session));
  g_autoptr (GString) message = make_subscribe (session, upgrade->positions, log);
  ChoirEventStreamOpening opening = {
    .session_id = choir_session_get_id (session),
    .log = log,
    .resumed = resumed,
    .returning = resumed && was_stream && upgrade->is_returning,
  };

  /* of one who returns they are as of the last event that it has seen */
  if (message != NULL || (opening.returning && upgrade->positions != NULL))
    choir_event_log_set_positions (log, g_steal_pointer (&upgrade->positions));
  if (choir_dialect_get_table (upgrade->dialect)->with_channel)
    opening.positions = choir_event_log_get_positions (log);

  choir_event_log_follow (log, session);
  choir_event_stream_open (stream, &opening);
  if (opening.returning)
    choir_event_stream_replay (stream, upgrade->seen, count_greetings (upgrade->dialect));
  if (message != NULL && !choir_session_is_closing (session))
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
 * Makes it an event stream with its session, which may be one the client had before.
 */
void
choir_gateway_adopt_stream (ChoirGateway *self,
                            ChoirTransport *transport,
                            ChoirUpgrade *upgrade,
                            const GString *head)
{
  const ChoirConnectionProfile *profile = &self->profiles[choir_dialect_get_id (upgrade->dialect)];
  g_autoptr (ChoirEventStream) stream = choir_event_stream_new (
    profile, transport, upgrade->has_address ? &upgrade->address : NULL, upgrade->counted);
  ChoirSessionParams params = {
    .dialect = upgrade->dialect,
    .claims = upgrade->claims,
    .default_channel = upgrade->default_channel,
    .client_id = upgrade->client_id,
    .resume_id = upgrade->resume_id,
  };
  g_autoptr (ChoirSession) session = choir_session_new (self->hub, CHOIR_LINK (stream), &params);
  ChoirSession *carried;

  if (!choir_event_stream_start (g_object_ref (stream), head, stream_closed, self))
    {
      choir_session_end (session, CHOIR_CLOSE_ABNORMAL);
      return;
    }

  choir_link_set_session (CHOIR_LINK (stream), session);
  choir_session_start (session);
  carried = choir_event_stream_get_session (stream);
  if (carried != NULL)
    open_stream (self, stream, carried, upgrade, carried != session);
}
