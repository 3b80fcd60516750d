/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-messages.h"

#include "choir-http-idempotency.h"
#include "choir-http-members.h"
#include "choir-names.h"
#include "choir-payload.h"

#include <string.h>

/* Messages that go to connections, and into no channel's log */

/* Of a filter with its names */
#define BROADCAST_EXTRA (1024 * 1024)

/* One of them */
typedef struct
{
  char *type; /* (owned) */
  ChoirSlice payload;
} Message;

static void
message_clear (Message *self)
{
  g_free (self->type);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Message, message_clear)

static gsize
get_max_broadcast (const ChoirHttpRequest *request)
{
  return choir_http_get_max_message (request) + BROADCAST_EXTRA;
}

/**
 * choir_http_answer_recipients:
 * @request: a request that has been carried out once
 * @n_recipients: to how many connections it has brought a message
 */
void
choir_http_answer_recipients (ChoirHttpRequest *request, guint n_recipients)
{
  GString *body = g_string_new (NULL);

  choir_payload_open (body);
  choir_payload_add_int (body, "recipients", n_recipients);
  choir_payload_close (body);
  choir_http_once_answer (request, body);
}

static gboolean
read_message (Message *self,
              ChoirHttpRequest *request,
              const char *const *known,
              ChoirJsonObject *object,
              GError **error)
{
  ChoirJsonValue payload;

  if (!choir_http_members_scan (request, choir_http_request_get_body (request), known, object,
                                error) ||
      !choir_http_members_get_string (object, "type", CHOIR_TYPE_NAME_MAX, &self->type, error) ||
      !choir_http_members_get_object (object, "payload", &payload, error))
    return FALSE;

  self->payload = payload.raw;
  if (self->type != NULL)
    return choir_hub_check_message (request->gateway->hub, self->type, self->payload,
                                    choir_http_get_max_payload (request), error);

  g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, "type is missing");

  return FALSE;
}

static void
send_once (ChoirHttpRequest *request, const Message *message, const ChoirAudience *audience)
{
  ChoirHub *hub = request->gateway->hub;

  if (choir_http_once_begin (request))
    choir_http_answer_recipients (
      request, choir_hub_broadcast (hub, message->type, message->payload, audience));
}

/* {type, payload?} to those whom the address names */
static void
send_to (ChoirHttpRequest *request, const ChoirAudience *audience)
{
  static const char *const known[] = { "type", "payload", NULL };
  g_auto (Message) message = { 0 };
  g_autoptr (GError) error = NULL;
  ChoirJsonObject object;

  if (read_message (&message, request, known, &object, &error))
    send_once (request, &message, audience);
  else
    choir_http_request_refuse_error (request, error);
}

static void
send_to_user (ChoirHttpRequest *request)
{
  g_auto (ChoirAudience) audience = { 0 };

  if (!choir_http_check_user (request))
    return;

  audience.keys = CHOIR_AUDIENCE_USER;
  audience.user = g_strdup (request->segments[0]);
  send_to (request, &audience);
}

static void
send_to_connection (ChoirHttpRequest *request)
{
  g_auto (ChoirAudience) audience = { 0 };

  if (choir_http_find_connection (request) == NULL)
    return;

  audience.keys = CHOIR_AUDIENCE_CONNECTION;
  audience.connection = g_strdup (request->segments[0]);
  send_to (request, &audience);
}

static gboolean
read_dialect (ChoirAudience *self, const ChoirJsonObject *filter, GError **error)
{
  g_autofree char *name = NULL;
  const ChoirDialect *dialect;

  if (!choir_http_members_get_string (filter, "dialect", CHOIR_TYPE_NAME_MAX, &name, error))
    return FALSE;

  if (name == NULL)
    return TRUE;

  dialect = choir_dialect_by_name (name);
  if (dialect == NULL)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                           "dialect must be a contract that this service speaks");
      return FALSE;
    }

  self->keys |= CHOIR_AUDIENCE_DIALECT;
  self->dialect = choir_dialect_get_id (dialect);

  return TRUE;
}

static gboolean
read_channel (ChoirAudience *self, const ChoirJsonObject *filter, GError **error)
{
  if (!choir_http_members_get_string (filter, "channel", CHOIR_CHANNEL_NAME_MAX, &self->channel,
                                      error))
    return FALSE;

  if (self->channel == NULL)
    return TRUE;

  self->keys |= CHOIR_AUDIENCE_CHANNEL;
  if (choir_name_is_channel (self->channel, strlen (self->channel)))
    return TRUE;

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
               "channel must be 1-%d printable ASCII characters without spaces",
               CHOIR_CHANNEL_NAME_MAX);

  return FALSE;
}

static gboolean
read_names (ChoirAudience *self,
            const ChoirJsonObject *filter,
            const char *name,
            ChoirAudienceKeys key,
            GHashTable **names,
            GError **error)
{
  if (!choir_http_members_get_names (filter, name, CHOIR_AUDIENCE_NAMES_MAX, names, error))
    return FALSE;

  if (*names != NULL)
    self->keys |= key;

  return TRUE;
}

/* A misspelt filter must never mean everybody */
static gboolean
read_filter (ChoirAudience *self,
             ChoirHttpRequest *request,
             const ChoirJsonObject *object,
             GError **error)
{
  static const char *const known[] = {
    "dialect", "channel", "users", "exclude_users", "exclude_connections", NULL
  };
  ChoirJsonObject filter;
  ChoirJsonValue value;

  return choir_http_members_get_object (object, "filter", &value, error) &&
         choir_http_members_scan (request, value.raw, known, &filter, error) &&
         read_dialect (self, &filter, error) && read_channel (self, &filter, error) &&
         read_names (self, &filter, "users", CHOIR_AUDIENCE_USERS, &self->users, error) &&
         read_names (self, &filter, "exclude_users", CHOIR_AUDIENCE_EXCLUDE_USERS,
                     &self->exclude_users, error) &&
         read_names (self, &filter, "exclude_connections", CHOIR_AUDIENCE_EXCLUDE, &self->exclude,
                     error);
}

/* {type, payload?, filter?} */
static void
handle_broadcast (ChoirHttpRequest *request)
{
  static const char *const known[] = { "type", "payload", "filter", NULL };
  g_auto (ChoirAudience) audience = { 0 };
  g_auto (Message) message = { 0 };
  g_autoptr (GError) error = NULL;
  ChoirJsonObject object;

  if (read_message (&message, request, known, &object, &error) &&
      read_filter (&audience, request, &object, &error))
    send_once (request, &message, &audience);
  else
    choir_http_request_refuse_error (request, error);
}

const ChoirHttpRoute choir_http_send_routes[] = {
  { "POST",
    "broadcast",
    NULL,
    CHOIR_HTTP_MAY_SERVE,
    { NULL },
    CHOIR_HTTP_JSON,
    CHOIR_HTTP_JSON,
    TRUE,
    get_max_broadcast,
    handle_broadcast },
  { "POST",
    "users/{}/send",
    NULL,
    CHOIR_HTTP_MAY_SERVE,
    { NULL },
    CHOIR_HTTP_JSON,
    CHOIR_HTTP_JSON,
    TRUE,
    choir_http_get_max_message,
    send_to_user },
  { "POST",
    "connections/{}/send",
    NULL,
    CHOIR_HTTP_MAY_SERVE,
    { NULL },
    CHOIR_HTTP_JSON,
    CHOIR_HTTP_JSON,
    TRUE,
    choir_http_get_max_message,
    send_to_connection },
};

const guint choir_http_send_n_routes = G_N_ELEMENTS (choir_http_send_routes);
