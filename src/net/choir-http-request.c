/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-request.h"

#include "choir-http-api.h"
#include "choir-http-private.h"
#include "choir-http-wait.h"
#include "choir-payload.h"

#include <stdarg.h>
#include <string.h>

/* When to come back: nothing here lasts */
#define RETRY_AFTER_S 1
/* While the store can't be written */
#define RETRY_STORE_S 5

#define MESSAGE_KEY "choir-http-request"

/* The message goes, and with it whoever asked */
static void
detach (gpointer data)
{
  ChoirHttpRequest *self = data;

  self->message = NULL;
  choir_http_wait_end (self);
  g_cancellable_cancel (self->cancellable);
  choir_http_request_set_data (self, NULL, NULL);
  if (self->api != NULL)
    choir_http_api_leave (self->api, self);
  choir_http_request_unref (self);
}

/* (transfer none): the message's */
ChoirHttpRequest *
choir_http_request_new (ChoirHttpApi *api, ChoirGateway *gateway, SoupServerMessage *message)
{
  ChoirHttpRequest *self = g_new0 (ChoirHttpRequest, 1);

  self->n_refs = 1;
  self->api = api;
  self->gateway = gateway;
  self->message = message;
  self->body = g_byte_array_new ();
  self->cancellable = g_cancellable_new ();
  g_object_set_data_full (G_OBJECT (message), MESSAGE_KEY, self, detach);

  return self;
}

/* (transfer none) (nullable): NULL for a message that is not for the API */
ChoirHttpRequest *
choir_http_request_lookup (SoupServerMessage *message)
{
  return g_object_get_data (G_OBJECT (message), MESSAGE_KEY);
}

ChoirHttpRequest *
choir_http_request_ref (ChoirHttpRequest *self)
{
  self->n_refs++;

  return self;
}

void
choir_http_request_unref (ChoirHttpRequest *self)
{
  if (--self->n_refs > 0)
    return;

  if (self->api != NULL)
    choir_http_api_forget (self->api, self);
  for (guint i = 0; i < CHOIR_HTTP_SEGMENTS_MAX; i++)
    g_free (self->segments[i]);
  for (guint i = 0; i < CHOIR_HTTP_PARAMETERS_MAX; i++)
    g_free (self->values[i]);
  g_free (self->channel);
  g_free (self->once);
  g_clear_pointer (&self->claims, choir_claims_unref);
  g_byte_array_unref (self->body);
  g_object_unref (self->cancellable);
  g_free (self);
}

/* Whatever was not read yet stays unread */
void
choir_http_request_pause (ChoirHttpRequest *self)
{
  if (self->message == NULL || (self->flags & CHOIR_HTTP_REQUEST_PAUSED))
    return;

  self->flags |= CHOIR_HTTP_REQUEST_PAUSED;
  soup_server_message_pause (self->message);
}

void
choir_http_request_resume (ChoirHttpRequest *self)
{
  if (self->message == NULL || !(self->flags & CHOIR_HTTP_REQUEST_PAUSED))
    return;

  self->flags &= ~CHOIR_HTTP_REQUEST_PAUSED;
  soup_server_message_unpause (self->message);
}

/**
 * choir_http_request_is_gone:
 * @self: a request
 *
 * Returns: whether nobody waits for an answer any more
 */
gboolean
choir_http_request_is_gone (const ChoirHttpRequest *self)
{
  return self->message == NULL || self->api == NULL || (self->flags & CHOIR_HTTP_REQUEST_ANSWERED);
}

/**
 * choir_http_request_get_header:
 * @self: a request whose client has not gone
 * @name: of a header
 *
 * Returns: (transfer none) (nullable): all its lines, joined; valid until the next call
 */
const char *
choir_http_request_get_header (const ChoirHttpRequest *self, const char *name)
{
  return soup_message_headers_get_list (soup_server_message_get_request_headers (self->message),
                                        name);
}

/**
 * choir_http_request_get_parameter:
 * @self: a request
 * @name: of one of its route's parameters
 *
 * Returns: (transfer none) (nullable): its decoded value
 */
const char *
choir_http_request_get_parameter (const ChoirHttpRequest *self, const char *name)
{
  for (guint i = 0; i < CHOIR_HTTP_PARAMETERS_MAX; i++)
    if (g_strcmp0 (self->route->parameters[i], name) == 0)
      return self->values[i];

  return NULL;
}

/**
 * choir_http_request_get_uint:
 * @self: a request
 * @name: of one of its route's parameters
 * @fallback: what it is if it is not given
 * @min: least allowed
 * @max: most allowed
 * @out: (out): its value
 *
 * Returns: %FALSE if it makes no sense: the request has been refused then
 */
gboolean
choir_http_request_get_uint (ChoirHttpRequest *self,
                             const char *name,
                             guint64 fallback,
                             guint64 min,
                             guint64 max,
                             guint64 *out)
{
  const char *text = choir_http_request_get_parameter (self, name);

  *out = fallback;
  if (text == NULL || g_ascii_string_to_unsigned (text, 10, min, max, out, NULL))
    return TRUE;

  choir_http_request_refuse (
    self, 400, CHOIR_ERROR_VALIDATION,
    "%s must be a whole number from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT, name, min, max);

  return FALSE;
}

ChoirSlice
choir_http_request_get_body (const ChoirHttpRequest *self)
{
  return (ChoirSlice){ (const char *) self->body->data, self->body->len };
}

/**
 * choir_http_request_set_data:
 * @self: a request
 * @data: (nullable): what its handler needs to remember; replaces what was
 * @free_data: (nullable): called when there is an answer, or nobody to have it
 */
void
choir_http_request_set_data (ChoirHttpRequest *self, gpointer data, GDestroyNotify free_data)
{
  gpointer old = self->data;
  GDestroyNotify free_old = self->free_data;

  self->data = data;
  self->free_data = free_data;
  if (free_old != NULL)
    free_old (old);
}

void
choir_http_request_set_header (ChoirHttpRequest *self, const char *name, const char *value)
{
  if (!choir_http_request_is_gone (self))
    soup_message_headers_replace (soup_server_message_get_response_headers (self->message), name,
                                  value);
}

static void
add_cors (ChoirHttpRequest *self)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (self->message);

  choir_http_add_cors (self->gateway, self->message);
  if (soup_message_headers_get_one (headers, "Access-Control-Allow-Origin") == NULL)
    return;

  soup_message_headers_replace (headers, "Access-Control-Allow-Methods",
                                "GET, HEAD, PUT, POST, DELETE, OPTIONS");
  soup_message_headers_replace (
    headers, "Access-Control-Allow-Headers",
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match");
  soup_message_headers_replace (headers, "Access-Control-Expose-Headers",
                                "ETag, Location, Retry-After");
}

static void
count (ChoirHttpRequest *self)
{
  static const char *const labels[] = { "status", NULL };
  char status[12];
  const char *values[] = { status, NULL };
  ChoirCounterFamily *family =
    choir_counters_add (self->gateway->counters, CHOIR_COUNTER, "choir_api_requests", NULL,
                        "Requests to the API, by HTTP status", labels);

  g_snprintf (status, sizeof status, "%u", soup_server_message_get_status (self->message));
  *choir_counter_family_get_cell (family, values) += 1;
}

/* The answer is there as a whole: on its way with it. The message may go with this */
static void
finish (ChoirHttpRequest *self)
{
  ChoirHttpServer *server = choir_http_api_get_server (self->api);
  SoupServerMessage *message = self->message;

  add_cors (self);
  if (self->route != NULL && (self->route->gives & CHOIR_HTTP_TEXT))
    soup_message_headers_append (soup_server_message_get_response_headers (message), "Vary",
                                 "Accept");
  soup_message_headers_replace (soup_server_message_get_response_headers (message), "Connection",
                                "close");
  self->flags |= CHOIR_HTTP_REQUEST_ANSWERED;
  count (self);
  choir_http_wait_end (self);
  choir_http_request_set_data (self, NULL, NULL);

  if (choir_http_has_unread_body (message, self->flags & CHOIR_HTTP_REQUEST_READ) ||
      (self->flags & CHOIR_HTTP_REQUEST_OVERFLOW))
    {
      choir_http_hang_up (server, message, self->flags & CHOIR_HTTP_REQUEST_ALLOWED);
      return;
    }

  choir_http_await_progress (server, message);
  choir_http_request_resume (self);
}

/**
 * choir_http_request_answer_json:
 * @self: a request
 * @status: HTTP status
 * @body: (transfer full): a JSON text
 */
void
choir_http_request_answer_json (ChoirHttpRequest *self, guint status, GString *body)
{
  if (choir_http_request_is_gone (self))
    {
      g_string_free (body, TRUE);
      return;
    }

  choir_http_api_account (self->api, self, body->len);
  choir_http_answer_json (self->message, status, body);
  finish (self);
}

/**
 * choir_http_request_answer_empty:
 * @self: a request
 * @status: HTTP status of an answer without content: 204, 304
 */
void
choir_http_request_answer_empty (ChoirHttpRequest *self, guint status)
{
  if (choir_http_request_is_gone (self))
    return;

  soup_server_message_set_status (self->message, status, NULL);
  /* RFC 9110 8.6: the length 0 would be wrong in a 304 */
  soup_message_headers_set_encoding (soup_server_message_get_response_headers (self->message),
                                     SOUP_ENCODING_NONE);
  finish (self);
}

/**
 * choir_http_request_refuse_with:
 * @self: a request
 * @status: HTTP status
 * @problem: our name for it
 * @detail: in words fit for the client
 * @members: (nullable): more members of the problem, `"name":value`, with commas between
 */
void
choir_http_request_refuse_with (ChoirHttpRequest *self,
                                guint status,
                                ChoirError problem,
                                const char *detail,
                                const GString *members)
{
  guint retry_after_s = 0;

  if (choir_http_request_is_gone (self))
    return;

  if (status == 503)
    retry_after_s = RETRY_STORE_S;
  else if (status == 429)
    retry_after_s = RETRY_AFTER_S;

  choir_http_answer_problem_with (self->message, status, problem, detail, retry_after_s, members);
  finish (self);
}

/**
 * choir_http_request_refuse:
 * @self: a request
 * @status: HTTP status
 * @problem: our name for it
 * @format: in words fit for the client
 * @...: for @format
 *
 * Answers with a problem document (RFC 9457).
 */
void
choir_http_request_refuse (ChoirHttpRequest *self,
                           guint status,
                           ChoirError problem,
                           const char *format,
                           ...)
{
  g_autofree char *detail = NULL;
  va_list args;

  va_start (args, format);
  detail = g_strdup_vprintf (format, args);
  va_end (args);

  choir_http_request_refuse_with (self, status, problem, detail, NULL);
}

/**
 * choir_http_request_refuse_rate:
 * @self: a request
 * @wait_us: when one more would be taken
 * @detail: of what there was too much
 */
void
choir_http_request_refuse_rate (ChoirHttpRequest *self, gint64 wait_us, const char *detail)
{
  guint retry_after_s = (guint) MAX ((wait_us + G_USEC_PER_SEC - 1) / G_USEC_PER_SEC, 1);

  if (choir_http_request_is_gone (self))
    return;

  choir_http_answer_problem (self->message, 429, CHOIR_ERROR_RATE_LIMITED, detail, retry_after_s);
  finish (self);
}

/**
 * choir_http_request_refuse_error:
 * @self: a request
 * @error: of the service's own domain, with a message fit for the client
 *
 * What a caller got wrong is 400 here, whatever in the request it was.
 */
void
choir_http_request_refuse_error (ChoirHttpRequest *self, const GError *error)
{
  ChoirError code = error->domain == CHOIR_ERROR ? (ChoirError) error->code : CHOIR_ERROR_INTERNAL;
  guint status = choir_error_get_http_status (code);

  if (code == CHOIR_ERROR_VALIDATION)
    status = 400;

  choir_http_request_refuse_with (
    self, status, code, error->domain == CHOIR_ERROR ? error->message : "Something went wrong here",
    NULL);
}

/**
 * choir_http_request_begin:
 * @self: a request
 * @status: HTTP status
 * @n_bytes: about how large the answer will be
 *
 * Begins an answer in pieces, in the medium the client wants.
 *
 * Returns: whether there is room, and somebody to have it; else it is answered already
 */
gboolean
choir_http_request_begin (ChoirHttpRequest *self, guint status, gsize n_bytes)
{
  SoupMessageHeaders *headers;

  if (choir_http_request_is_gone (self))
    return FALSE;

  if (!choir_http_api_reserve (self->api, self, n_bytes))
    {
      choir_http_request_refuse (self, 503, CHOIR_ERROR_UNAVAILABLE,
                                 "Too much is being sent at the moment");
      return FALSE;
    }

  headers = soup_server_message_get_response_headers (self->message);
  soup_server_message_set_status (self->message, status, NULL);
  soup_message_headers_replace (headers, "Content-Type",
                                self->wanted == CHOIR_HTTP_TEXT ? "text/plain; charset=utf-8"
                                                                : "application/json");
  /* what has been sent is not kept, and parts of it are not for asking (RFC 9110 14.2) */
  soup_message_body_set_accumulate (soup_server_message_get_response_body (self->message), FALSE);

  return TRUE;
}

/**
 * choir_http_request_add:
 * @self: a request after choir_http_request_begin()
 * @piece: (transfer full): what comes next
 */
void
choir_http_request_add (ChoirHttpRequest *self, GString *piece)
{
  SoupMessageBody *body = soup_server_message_get_response_body (self->message);
  gsize len = piece->len;

  soup_message_body_append_take (body, (guchar *) g_string_free (piece, FALSE), len);
}

/**
 * choir_http_request_end:
 * @self: a request after choir_http_request_begin()
 */
void
choir_http_request_end (ChoirHttpRequest *self)
{
  soup_message_body_complete (soup_server_message_get_response_body (self->message));
  finish (self);
}
