/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-private.h"

#include "choir-event-log.h"
#include "choir-event-stream.h"
#include "choir-session.h"
#include "choir-utf8.h"

#include <string.h>

/*
 * POST /emulation: what a client whose session is an event stream has to say. It is taken as if it
 * had come on a WebSocket, and answered by events; so the request's own answer is empty.
 */

/* Of a session that is not the client's: it is told so when it has been read */
#define UNKNOWN_BODY_MAX (64 * 1024)

/* (transfer none) (nullable): also one that is not the client's */
static ChoirSession *
find_session (const ChoirHttpRequest *request)
{
  const char *id = choir_http_request_get_parameter (request, "session_id");
  ChoirSession *session = id != NULL ? choir_hub_find_by_id (request->gateway->hub, id) : NULL;

  return session != NULL && !choir_session_is_closing (session) ? session : NULL;
}

static gsize
get_max_body (const ChoirHttpRequest *request)
{
  const ChoirSettings *settings = choir_hub_get_settings (request->gateway->hub);
  ChoirSession *session = find_session (request);

  if (session == NULL)
    return UNKNOWN_BODY_MAX;

  return settings->dialects[choir_dialect_get_id (choir_session_get_dialect (session))]
    .max_message_size;
}

/* A guest has nothing to show but the connection's id, which unlike the session's no other client
 * is told, and which nobody can guess */
static gboolean
knows_connection (const ChoirHttpRequest *request, ChoirSession *session)
{
  const char *id = choir_http_request_get_parameter (request, "connection_id");

  return id != NULL && g_strcmp0 (id, choir_session_get_connection_id (session)) == 0;
}

static gboolean
is_owner (const ChoirHttpRequest *request, ChoirSession *session)
{
  ChoirClaims *claims = choir_session_get_claims (session);

  if (claims == NULL)
    return FALSE;

  if (choir_claims_is_guest (claims))
    return knows_connection (request, session);

  return !choir_claims_is_guest (request->claims) &&
         strcmp (choir_claims_get_user_id (request->claims), choir_claims_get_user_id (claims)) ==
           0;
}

/* One that waits for its client had a stream if it has a log */
static gboolean
has_websocket (ChoirSession *session)
{
  ChoirLink *link = choir_session_get_link (session);

  return link != NULL ? !CHOIR_IS_EVENT_STREAM (link) : choir_event_log_find (session) == NULL;
}

static void
handle (ChoirHttpRequest *request)
{
  ChoirSession *session = find_session (request);
  ChoirSlice body = choir_http_request_get_body (request);

  if (session == NULL)
    choir_http_request_refuse (request, 404, CHOIR_ERROR_NOT_FOUND,
                               "There is no such session: open an event stream first");
  else if (!is_owner (request, session))
    choir_http_request_refuse (request, 403, CHOIR_ERROR_PERMISSION_DENIED,
                               "The session is another user's");
  else if (has_websocket (session))
    choir_http_request_refuse (request, 409, CHOIR_ERROR_CONFLICT,
                               "The session has a WebSocket to speak on");
  else if (!choir_utf8_validate ((const guint8 *) body.data, body.len))
    choir_http_request_refuse (request, 400, CHOIR_ERROR_INVALID_JSON, "The body is not UTF-8");
  else
    {
      choir_session_receive (session, body.data != NULL ? body.data : "", body.len);
      choir_http_request_answer_empty (request, 202);
    }
}

const ChoirHttpRoute choir_http_emulation_routes[] = {
  { .method = "POST",
    .path = "emulation",
    .access = CHOIR_HTTP_MAY_SPEAK,
    .parameters = { "session_id", "connection_id", "token" },
    .takes = CHOIR_HTTP_JSON | CHOIR_HTTP_TEXT,
    .gives = CHOIR_HTTP_JSON,
    .needs_body = TRUE,
    .get_max_body = get_max_body,
    .handle = handle },
};

const guint choir_http_emulation_n_routes = G_N_ELEMENTS (choir_http_emulation_routes);
