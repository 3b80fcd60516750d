/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-api.h"

#include "choir-clock.h"
#include "choir-http-private.h"

#include <string.h>

struct _ChoirHttpApi
{
  ChoirHttpServer *server; /* borrowed */
  GHashTable *requests;    /* (element-type ChoirHttpRequest): all that know the API */
  guint n_admitted;
  gint64 *n_waiting;                 /* a gauge */
  gsize n_bytes;                     /* of bodies, in and out */
  ChoirHttpIdempotency *idempotency; /* (owned) */
  gint64 started_us;                 /* monotonic */
};

/**
 * choir_http_api_new:
 * @server: the server; must outlive the API
 *
 * Returns: (transfer full): an API without requests
 */
ChoirHttpApi *
choir_http_api_new (ChoirHttpServer *server)
{
  ChoirHttpApi *self = g_new0 (ChoirHttpApi, 1);

  self->server = server;
  self->n_waiting = choir_counter_family_get_cell (
    choir_counters_add (server->gateway->counters, CHOIR_GAUGE, "choir_api_waiting", NULL,
                        "Requests to the API that wait for something to happen", NULL),
    NULL);
  self->requests = g_hash_table_new (NULL, NULL);
  self->idempotency = choir_http_idempotency_new ();
  self->started_us = choir_clock_monotonic_us ();

  return self;
}

void
choir_http_api_free (ChoirHttpApi *self)
{
  GHashTableIter iter;
  gpointer request;

  g_hash_table_iter_init (&iter, self->requests);
  while (g_hash_table_iter_next (&iter, &request, NULL))
    ((ChoirHttpRequest *) request)->api = NULL;

  g_hash_table_unref (self->requests);
  choir_http_idempotency_free (self->idempotency);
  g_free (self);
}

/**
 * choir_http_api_get_n_requests:
 * @self: the API
 *
 * Returns: how many requests have been admitted and are not over
 */
guint
choir_http_api_get_n_requests (ChoirHttpApi *self)
{
  return self->n_admitted;
}

/**
 * choir_http_api_get_n_waiting:
 * @self: the API
 *
 * Returns: how many requests wait for something to happen
 */
guint
choir_http_api_get_n_waiting (ChoirHttpApi *self)
{
  return (guint) *self->n_waiting;
}

/**
 * choir_http_api_get_started_us:
 * @self: the API
 *
 * Returns: since when it is there, monotonic
 */
gint64
choir_http_api_get_started_us (ChoirHttpApi *self)
{
  return self->started_us;
}

ChoirHttpIdempotency *
choir_http_api_get_idempotency (ChoirHttpApi *self)
{
  return self->idempotency;
}

ChoirHttpServer *
choir_http_api_get_server (ChoirHttpApi *self)
{
  return self->server;
}

/* Counts the request among those that are handled; FALSE: there are too many */
gboolean
choir_http_api_enter (ChoirHttpApi *self, ChoirHttpRequest *request)
{
  if (self->n_admitted >= request->gateway->api_max_requests)
    return FALSE;

  request->flags |= CHOIR_HTTP_REQUEST_ADMITTED;
  self->n_admitted++;

  return TRUE;
}

/* Counts what must be held in any case */
void
choir_http_api_account (ChoirHttpApi *self, ChoirHttpRequest *request, gsize n_bytes)
{
  request->n_bytes += n_bytes;
  self->n_bytes += n_bytes;
}

/* FALSE: the others hold too much. One by itself may have whatever its own limits allow */
gboolean
choir_http_api_reserve (ChoirHttpApi *self, ChoirHttpRequest *request, gsize n_bytes)
{
  if (self->n_bytes + n_bytes > request->gateway->api_max_bytes && self->n_bytes > request->n_bytes)
    return FALSE;

  choir_http_api_account (self, request, n_bytes);

  return TRUE;
}

static void
leave (ChoirHttpApi *self, ChoirHttpRequest *request)
{
  if (request->flags & CHOIR_HTTP_REQUEST_ADMITTED)
    self->n_admitted--;
  request->flags &= ~CHOIR_HTTP_REQUEST_ADMITTED;
}

/* Its client has it, or has gone. What it asked for may still be under way */
void
choir_http_api_leave (ChoirHttpApi *self, ChoirHttpRequest *request)
{
  self->n_bytes -= request->n_bytes;
  leave (self, request);
}

/* Nobody holds it any more */
void
choir_http_api_forget (ChoirHttpApi *self, ChoirHttpRequest *request)
{
  g_hash_table_remove (self->requests, request);
}

gboolean
choir_http_api_may_wait (ChoirHttpApi *self, ChoirHttpRequest *request)
{
  return *self->n_waiting < request->gateway->api_max_waiting;
}

/* One that waits takes no room from those that are handled */
void
choir_http_api_begin_wait (ChoirHttpApi *self, ChoirHttpRequest *request)
{
  leave (self, request);
  *self->n_waiting += 1;
}

void
choir_http_api_end_wait (ChoirHttpApi *self)
{
  *self->n_waiting -= 1;
}

/**
 * choir_http_api_serves:
 * @path: of a request
 *
 * Returns: whether it is for the API
 */
gboolean
choir_http_api_serves (const char *path)
{
  return g_str_has_prefix (path, "/api/") || g_str_equal (path, "/api") ||
         g_str_equal (path, "/emulation");
}

/**
 * choir_http_api_begin:
 * @self: the API
 * @message: a request whose head has come
 *
 * Finds out what is asked for and whether the client may, before anything of the body is read. That
 * may take a while: the message is paused then.
 */
void
choir_http_api_begin (ChoirHttpApi *self, SoupServerMessage *message)
{
  ChoirGateway *gateway = self->server->gateway;
  g_autoptr (ChoirHttpRequest) request =
    choir_http_request_ref (choir_http_request_new (self, gateway, message));

  g_hash_table_add (self->requests, request);
  if (choir_http_route_find (request, soup_server_message_get_method (message),
                             soup_server_message_get_uri (message)))
    choir_http_request_authenticate (request);
}

static gsize
get_max_body (const ChoirHttpRequest *request)
{
  return request->route->takes != CHOIR_HTTP_NO_MEDIA ? request->route->get_max_body (request) : 0;
}

/**
 * choir_http_api_take_chunk:
 * @message: any request
 * @chunk: a piece of its body
 *
 * Returns: %FALSE if nobody is interested
 */
gboolean
choir_http_api_take_chunk (SoupServerMessage *message, GBytes *chunk)
{
  ChoirHttpRequest *request = choir_http_request_lookup (message);
  gsize len;
  const guint8 *data = g_bytes_get_data (chunk, &len);
  G_GNUC_UNUSED g_autoptr (ChoirHttpRequest) held = NULL;

  if (request == NULL || choir_http_request_is_gone (request) || request->route == NULL ||
      request->route->takes == CHOIR_HTTP_NO_MEDIA)
    return FALSE;

  held = choir_http_request_ref (request);
  if (request->body->len + len > get_max_body (request))
    {
      request->flags |= CHOIR_HTTP_REQUEST_OVERFLOW;
      choir_http_request_refuse (request, 413, CHOIR_ERROR_TOO_LARGE,
                                 "The body is larger than %" G_GSIZE_FORMAT " bytes",
                                 get_max_body (request));
    }
  else if (!choir_http_api_reserve (request->api, request, len))
    {
      request->flags |= CHOIR_HTTP_REQUEST_OVERFLOW;
      choir_http_request_refuse (request, 503, CHOIR_ERROR_UNAVAILABLE,
                                 "Too much is being received at the moment");
    }
  else
    g_byte_array_append (request->body, data, (guint) len);

  return TRUE;
}

/**
 * choir_http_api_run:
 * @message: a request whose body has come
 *
 * Hands it to its handler.
 */
void
choir_http_api_run (SoupServerMessage *message)
{
  ChoirHttpRequest *request = choir_http_request_lookup (message);
  G_GNUC_UNUSED g_autoptr (ChoirHttpRequest) held = NULL;

  if (request == NULL || choir_http_request_is_gone (request))
    return;

  held = choir_http_request_ref (request);
  request->flags |= CHOIR_HTTP_REQUEST_READ;
  if (choir_http_request_is_welcome (request))
    request->route->handle (request);
  if (!choir_http_request_is_gone (request))
    choir_http_request_pause (request);
}
