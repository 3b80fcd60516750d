/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-messages.h"

#include "choir-clock.h"
#include "choir-close-code.h"
#include "choir-connection.h"
#include "choir-log.h"
#include "choir-names.h"
#include "choir-payload.h"

#include <string.h>

/* RFC 6455 section 5.5: a control frame holds 125 bytes, two of them the close code */
#define REASON_MAX 123
/* Shown of one connection, and of one user */
#define CHANNELS_MAX 1000
#define CONNECTIONS_MAX 1000

/**
 * choir_http_check_user:
 * @request: names a user in its path
 *
 * Returns: %FALSE if it can't be one: the request has been refused then
 */
gboolean
choir_http_check_user (ChoirHttpRequest *request)
{
  const char *user_id = request->segments[0];

  if (choir_name_is_user (user_id, strlen (user_id)))
    return TRUE;

  choir_http_request_refuse (request, 400, CHOIR_ERROR_VALIDATION,
                             "A user is 1-%d printable ASCII characters without spaces",
                             CHOIR_USER_ID_MAX);

  return FALSE;
}

/* A session that waits for its client has no connection */
static gboolean
is_connected (ChoirSession *session)
{
  return !choir_session_is_closing (session) && !choir_session_is_waiting (session);
}

/**
 * choir_http_find_connection:
 * @request: names a connection in its path
 *
 * Returns: (transfer none) (nullable): its session; %NULL: the request has been refused
 */
ChoirSession *
choir_http_find_connection (ChoirHttpRequest *request)
{
  ChoirSession *session = choir_hub_find_session (request->gateway->hub, request->segments[0]);

  if (session != NULL && is_connected (session))
    return session;

  choir_http_request_refuse (request, 404, CHOIR_ERROR_NOT_FOUND, "There is no such connection");

  return NULL;
}

/* Without the brace at the end */
static void
append_connection (GString *out, ChoirSession *session)
{
  const ChoirDialect *dialect = choir_session_get_dialect (session);
  const ChoirOutbox *outbox = choir_session_get_outbox (session);
  ChoirLink *link = choir_session_get_link (session);
  gint64 now_us = choir_clock_monotonic_us (), wall_us = choir_clock_wall_us ();
  g_autofree char *address = link != NULL ? choir_link_dup_address (link) : NULL;

  if (out->len > 0 && out->str[out->len - 1] == '}')
    g_string_append_c (out, ',');
  choir_payload_open (out);
  choir_payload_add_string (out, "connection_id", choir_session_get_connection_id (session));
  choir_payload_add_string (out, "session_id", choir_session_get_id (session));
  choir_payload_add_string (out, "user_id", choir_session_get_user_id (session));
  choir_payload_add_string (out, "client_id", choir_session_get_client_id (session));
  choir_payload_add_string (out, "dialect", choir_dialect_get_table (dialect)->name);
  choir_payload_add_string (out, "address", address != NULL ? address : "");
  choir_payload_add_time (out, "opened_at",
                          wall_us - (now_us - choir_session_get_opened_us (session)));
  /* an event stream's client says nothing on it */
  if (link != NULL && CHOIR_IS_CONNECTION (link))
    choir_payload_add_time (out, "last_activity",
                            wall_us -
                              (now_us - choir_connection_get_heard_us (CHOIR_CONNECTION (link))));
  choir_payload_add_int (out, "subscriptions", choir_session_get_n_subscriptions (session));
  choir_payload_add_int (out, "queued_bytes", outbox != NULL ? (gint64) outbox->n_bytes : 0);
  choir_payload_add_int (out, "messages_received", (gint64) choir_session_get_n_received (session));
  choir_payload_add_int (out, "errors", (gint64) choir_session_get_n_errors (session));
  choir_payload_add_boolean (out, "slow", choir_audience_is_slow (session));
}

static const char *
get_connection_id (gconstpointer item)
{
  return choir_session_get_connection_id ((ChoirSession *) item);
}

static gboolean
read_dialect (ChoirHttpRequest *request, ChoirAudience *audience)
{
  const char *name = choir_http_request_get_parameter (request, "dialect");
  const ChoirDialect *dialect = name != NULL ? choir_dialect_by_name (name) : NULL;

  if (name == NULL)
    return TRUE;

  if (dialect == NULL)
    {
      choir_http_request_refuse (request, 400, CHOIR_ERROR_VALIDATION,
                                 "dialect must be a contract that this service speaks");
      return FALSE;
    }

  audience->keys |= CHOIR_AUDIENCE_DIALECT;
  audience->dialect = choir_dialect_get_id (dialect);

  return TRUE;
}

/* A name that can't be one must not be taken for one that nobody has */
static gboolean
read_audience (ChoirHttpRequest *request, ChoirAudience *audience)
{
  const char *user = choir_http_request_get_parameter (request, "user");
  const char *channel = choir_http_request_get_parameter (request, "channel");

  if (user != NULL && !choir_name_is_user (user, strlen (user)))
    choir_http_request_refuse (request, 400, CHOIR_ERROR_VALIDATION, "user is no user identifier");
  else if (channel != NULL && !choir_name_is_channel (channel, strlen (channel)))
    choir_http_request_refuse (request, 400, CHOIR_ERROR_VALIDATION, "channel is no channel name");
  else
    {
      audience->keys |= user != NULL ? CHOIR_AUDIENCE_USER : 0;
      audience->keys |= channel != NULL ? CHOIR_AUDIENCE_CHANNEL : 0;
      audience->user = g_strdup (user);
      audience->channel = g_strdup (channel);
      return read_dialect (request, audience);
    }

  return FALSE;
}

static void
answer_page (ChoirHttpRequest *request, ChoirHttpPage *page)
{
  GString *body = g_string_new ("{\"connections\":[");
  gboolean complete = choir_http_page_end (page);

  for (guint i = 0; i < page->items->len; i++)
    {
      append_connection (body, g_ptr_array_index (page->items, i));
      choir_payload_close (body);
    }

  g_string_append_c (body, ']');
  choir_payload_add_boolean (body, "complete", complete);
  choir_payload_close (body);
  choir_http_request_answer_json (request, 200, body);
}

static void
list_connections (ChoirHttpRequest *request)
{
  ChoirHub *hub = request->gateway->hub;
  guint n = choir_hub_get_n_sessions (hub);
  g_auto (ChoirAudience) audience = { 0 };
  g_auto (ChoirHttpPage) page = { 0 };

  if (!read_audience (request, &audience) ||
      !choir_http_page_begin (&page, request, get_connection_id))
    return;

  for (guint i = 0; i < n; i++)
    {
      ChoirSession *session = choir_hub_get_session (hub, i);

      if (is_connected (session) && choir_audience_picks (&audience, session))
        choir_http_page_offer (&page, session);
    }

  answer_page (request, &page);
}

static void
get_connection (ChoirHttpRequest *request)
{
  ChoirSession *session = choir_http_find_connection (request);
  GString *body;
  guint n;

  if (session == NULL)
    return;

  body = g_string_new (NULL);
  append_connection (body, session);
  choir_payload_add_key (body, "channels");
  g_string_append_c (body, '[');
  n = MIN (choir_session_get_n_subscriptions (session), CHANNELS_MAX);
  for (guint i = 0; i < n; i++)
    {
      if (i > 0)
        g_string_append_c (body, ',');
      choir_json_append_string (body, choir_session_get_subscription (session, i)->channel->name,
                                -1);
    }
  g_string_append (body, "]}");
  choir_http_request_answer_json (request, 200, body);
}

static void
append_connections (GString *body, const ChoirUser *user)
{
  guint n = 0;

  for (guint i = 0; user != NULL && i < user->n_sessions && n < CONNECTIONS_MAX; i++)
    {
      if (!is_connected (user->sessions[i]))
        continue;

      append_connection (body, user->sessions[i]);
      choir_payload_close (body);
      n++;
    }
}

static void
get_user (ChoirHttpRequest *request)
{
  const ChoirUser *user;
  GString *body;
  guint n;

  if (!choir_http_check_user (request))
    return;

  user = choir_hub_find_user (request->gateway->hub, request->segments[0]);
  n = user != NULL ? choir_user_count_staying (user) : 0;
  body = g_string_new (NULL);
  choir_payload_open (body);
  choir_payload_add_string (body, "user_id", request->segments[0]);
  choir_payload_add_boolean (body, "online", n > 0);
  choir_payload_add_int (body, "count", n);
  choir_payload_add_key (body, "connections");
  g_string_append_c (body, '[');
  append_connections (body, user);
  g_string_append (body, "]}");
  choir_http_request_answer_json (request, 200, body);
}

/* (nullable): what is shown to the client; NULL: the request has been refused */
static const char *
read_reason (ChoirHttpRequest *request)
{
  const char *reason = choir_http_request_get_parameter (request, "reason");

  if (reason == NULL)
    return "";

  if (strlen (reason) <= REASON_MAX)
    return reason;

  choir_http_request_refuse (request, 400, CHOIR_ERROR_VALIDATION,
                             "reason is longer than %d bytes of UTF-8", REASON_MAX);

  return NULL;
}

static void
log_action (ChoirHttpRequest *request,
            const char *what,
            const char *field,
            const char *target,
            guint count)
{
  g_autofree char *count_text = g_strdup_printf ("%u", count);

  choir_log (CHOIR_LOG_LEVEL_NOTICE, what, CHOIR_LOG_CALLER,
             choir_claims_get_user_id (request->claims), CHOIR_LOG_COUNT, count_text, field, target,
             NULL);
}

static void
close_connection (ChoirHttpRequest *request)
{
  const char *reason = read_reason (request);
  ChoirSession *session = reason != NULL ? choir_http_find_connection (request) : NULL;

  if (session == NULL)
    return;

  log_action (request, "Connection kicked", CHOIR_LOG_CONNECTION, request->segments[0], 1);
  choir_session_close (session, CHOIR_CLOSE_KICKED, reason);
  choir_http_request_answer_empty (request, 204);
}

static void
close_user (ChoirHttpRequest *request)
{
  const char *reason = read_reason (request);
  GString *body;
  guint n;

  if (reason == NULL || !choir_http_check_user (request))
    return;

  n = choir_hub_kick_user (request->gateway->hub, request->segments[0], reason);
  log_action (request, "User kicked", CHOIR_LOG_USER, request->segments[0], n);
  body = g_string_new (NULL);
  choir_payload_open (body);
  choir_payload_add_int (body, "closed", n);
  choir_payload_close (body);
  choir_http_request_answer_json (request, 200, body);
}

const ChoirHttpRoute choir_http_connections_routes[] = {
  { "GET",
    "connections",
    NULL,
    CHOIR_HTTP_MAY_SERVE,
    { "user", "dialect", "channel", "after", "limit" },
    CHOIR_HTTP_NO_MEDIA,
    CHOIR_HTTP_JSON,
    FALSE,
    NULL,
    list_connections },
  { "GET",
    "connections/{}",
    NULL,
    CHOIR_HTTP_MAY_SERVE,
    { NULL },
    CHOIR_HTTP_NO_MEDIA,
    CHOIR_HTTP_JSON,
    FALSE,
    NULL,
    get_connection },
  { "DELETE",
    "connections/{}",
    NULL,
    CHOIR_HTTP_MAY_SERVE,
    { "reason" },
    CHOIR_HTTP_NO_MEDIA,
    CHOIR_HTTP_JSON,
    FALSE,
    NULL,
    close_connection },
  { "GET",
    "users/{}",
    NULL,
    CHOIR_HTTP_MAY_SERVE,
    { NULL },
    CHOIR_HTTP_NO_MEDIA,
    CHOIR_HTTP_JSON,
    FALSE,
    NULL,
    get_user },
  { "DELETE",
    "users/{}/connections",
    NULL,
    CHOIR_HTTP_MAY_SERVE,
    { "reason" },
    CHOIR_HTTP_NO_MEDIA,
    CHOIR_HTTP_JSON,
    FALSE,
    NULL,
    close_user },
};

const guint choir_http_connections_n_routes = G_N_ELEMENTS (choir_http_connections_routes);
