/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-private.h"

#include "choir-clock.h"
#include "choir-http-negotiate.h"
#include "choir-net-resources.h"
#include "choir-payload.h"
#include "choir-session.h"

#include <string.h>

/* libsoup names statuses as RFC 2616 did, and knows none that are younger */
static const char *
get_phrase (guint status)
{
  switch (status)
    {
    case 413:
      return "Content Too Large";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    default:
      return soup_status_get_phrase (status);
    }
}

/**
 * choir_http_answer_problem_with:
 * @message: the request
 * @status: HTTP status
 * @problem: our name for it
 * @detail: (nullable): in words fit for anyone
 * @retry_after_s: 0, or when to come back
 * @members: (nullable): more members, `"name":value`, with commas between
 *
 * Answers with a problem document (RFC 9457).
 */
void
choir_http_answer_problem_with (SoupServerMessage *message,
                                guint status,
                                ChoirError problem,
                                const char *detail,
                                guint retry_after_s,
                                const GString *members)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);
  GString *body = g_string_new (NULL);

  choir_payload_open (body);
  choir_payload_add_string (body, "type", "about:blank");
  choir_payload_add_string (body, "title", get_phrase (status));
  choir_payload_add_int (body, "status", status);
  choir_payload_add_string (body, "code", choir_error_get_code (problem));
  choir_payload_add_string (body, "detail", detail);
  if (members != NULL && members->len > 0)
    {
      g_string_append_c (body, ',');
      g_string_append_len (body, members->str, (gssize) members->len);
    }
  choir_payload_close (body);

  soup_server_message_set_status (message, status, get_phrase (status));
  soup_message_headers_replace (headers, "Cache-Control", "no-store");
  if (status == 401)
    soup_message_headers_replace (
      headers, "WWW-Authenticate",
      problem == CHOIR_ERROR_TOKEN_MISSING ? "Bearer" : "Bearer error=\"invalid_token\"");
  if (retry_after_s > 0)
    {
      g_autofree char *seconds = g_strdup_printf ("%u", retry_after_s);

      soup_message_headers_replace (headers, "Retry-After", seconds);
    }

  soup_server_message_set_response (message, "application/problem+json", SOUP_MEMORY_TAKE,
                                    body->str, body->len);
  g_string_free (body, FALSE);
}

/**
 * choir_http_answer_problem:
 * @message: the request
 * @status: HTTP status
 * @problem: our name for it
 * @detail: (nullable): in words fit for anyone
 * @retry_after_s: 0, or when to come back
 *
 * See choir_http_answer_problem_with().
 */
void
choir_http_answer_problem (SoupServerMessage *message,
                           guint status,
                           ChoirError problem,
                           const char *detail,
                           guint retry_after_s)
{
  choir_http_answer_problem_with (message, status, problem, detail, retry_after_s, NULL);
}

void
choir_http_answer_upgrade (SoupServerMessage *message, const ChoirUpgrade *upgrade)
{
  choir_http_answer_problem (message, upgrade->status, upgrade->problem, upgrade->detail,
                             upgrade->retry_after_s);
}

/**
 * choir_http_answer_json:
 * @message: the request
 * @status: HTTP status
 * @body: (transfer full): a JSON text
 */
void
choir_http_answer_json (SoupServerMessage *message, guint status, GString *body)
{
  soup_server_message_set_status (message, status, NULL);
  soup_message_headers_replace (soup_server_message_get_response_headers (message), "Cache-Control",
                                "no-store");
  soup_server_message_set_response (message, "application/json", SOUP_MEMORY_TAKE, body->str,
                                    body->len);
  g_string_free (body, FALSE);
}

/**
 * choir_http_add_cors:
 * @gateway: the gateway
 * @message: a request
 *
 * Lets pages of the allowed origins read the answer (contracts.md B).
 */
void
choir_http_add_cors (ChoirGateway *gateway, SoupServerMessage *message)
{
  SoupMessageHeaders *request = soup_server_message_get_request_headers (message);
  SoupMessageHeaders *response = soup_server_message_get_response_headers (message);
  const char *origin = soup_message_headers_get_list (request, "Origin");

  if (gateway->server_name != NULL)
    soup_message_headers_replace (response, "Server", gateway->server_name);

  soup_message_headers_replace (response, "X-Content-Type-Options", "nosniff");
  if (!gateway->cors)
    return;

  soup_message_headers_append (response, "Vary", "Origin");
  if (origin == NULL || !choir_origin_policy_allows (gateway->origins, origin))
    return;

  soup_message_headers_replace (response, "Access-Control-Allow-Origin", origin);
  soup_message_headers_replace (response, "Access-Control-Allow-Credentials", "true");
  soup_message_headers_replace (response, "Access-Control-Allow-Methods", "GET, HEAD, OPTIONS");
  soup_message_headers_replace (response, "Access-Control-Allow-Headers",
                                "Authorization, Content-Type, Last-Event-ID");
  soup_message_headers_replace (response, "Access-Control-Max-Age", "600");
}

static guint
get_messages_per_minute (const ChoirDialectSettings *settings)
{
  gint64 longest_us;

  if (settings->rate == NULL)
    return 0;

  longest_us = choir_rate_rule_get_longest_us (settings->rate);

  return (gint64) choir_rate_rule_get_max_in_longest (settings->rate) * (60 * G_USEC_PER_SEC) /
         MAX (longest_us, 1);
}

/* GET /ws/config (contracts.md B), from the live configuration */
static void
answer_discovery (ChoirGateway *gateway, SoupServerMessage *message)
{
  const ChoirSettings *settings = choir_hub_get_settings (gateway->hub);
  const ChoirDialectSettings *limits = &settings->dialects[CHOIR_DIALECT_NETRA_SPEC];
  gint64 begin_us = choir_clock_monotonic_us ();
  GString *body = g_string_new ("{\"websocket_config\":{\"version\":\"1.0\",\"features\":{");

  choir_payload_add_boolean (body, "json_first", TRUE);
  choir_payload_add_boolean (body, "auth_required", gateway->require_auth);
  choir_payload_add_boolean (body, "heartbeat_supported", limits->heartbeat_us > 0);
  choir_payload_add_boolean (body, "reconnection_supported", TRUE);
  choir_payload_add_boolean (body, "compression_supported", gateway->compression);
  choir_payload_add_boolean (body, "batching_supported", TRUE);
  g_string_append (
    body, "},\"endpoints\":{\"websocket\":\"/ws\",\"sse\":\"/sse\",\"emulation\":\"/emulation\"},"
          "\"connection_limits\":{");
  choir_payload_add_int (body, "max_connections_per_user", limits->max_per_user);
  choir_payload_add_int (body, "max_message_rate", get_messages_per_minute (limits));
  choir_payload_add_int (body, "heartbeat_interval", limits->heartbeat_us / 1000);
  choir_payload_add_int (body, "max_message_size", limits->max_message_size);
  g_string_append (body, "},\"dialects\":[");

  for (guint i = 0; i < CHOIR_N_DIALECTS; i++)
    {
      const ChoirDialectTable *table = choir_dialect_get_table (choir_dialect_get (i));

      if (i > 0)
        g_string_append_c (body, ',');
      choir_payload_open (body);
      choir_payload_add_string (body, "name", table->name);
      choir_payload_add_string (body, "subprotocol", table->subprotocol);
      choir_payload_close (body);
    }

  g_string_append (body, "]}}");
  choir_http_answer_json (message, 200, body);
  choir_histogram_record (choir_hub_get_stats (gateway->hub)->discovery,
                          (choir_clock_monotonic_us () - begin_us) / (double) G_USEC_PER_SEC);
}

static void
answer_health (SoupServerMessage *message)
{
  choir_http_answer_json (message, 200, g_string_new ("{\"status\":\"ok\"}"));
}

static gboolean
is_store_writable (ChoirGateway *gateway)
{
  ChoirDocumentTable *documents = choir_hub_get_documents (gateway->hub);

  return documents == NULL || choir_document_table_is_writable (documents);
}

static void
answer_unready (SoupServerMessage *message, const char *reason, const char *detail, guint retry_s)
{
  g_autoptr (GString) members = g_string_new (NULL);

  choir_payload_add_string (members, "reason", reason);
  choir_http_answer_problem_with (message, 503, CHOIR_ERROR_UNAVAILABLE, detail, retry_s, members);
}

static void
answer_ready (ChoirGateway *gateway, SoupServerMessage *message)
{
  if (gateway->leaving || choir_hub_is_draining (gateway->hub))
    answer_unready (message, "draining", "Draining", 5);
  else if (!gateway->ready)
    answer_unready (message, "starting", "Starting", 1);
  else if (!is_store_writable (gateway))
    answer_unready (message, "store", "The store can't be written", 5);
  else
    choir_http_answer_json (message, 200, g_string_new ("{\"status\":\"ready\"}"));
}

/* Who names neither gets OpenMetrics */
static void
answer_metrics (ChoirGateway *gateway, SoupServerMessage *message)
{
  const char *accept =
    soup_message_headers_get_list (soup_server_message_get_request_headers (message), "Accept");
  gboolean old =
    choir_http_choose_media (accept, CHOIR_HTTP_METRICS | CHOIR_HTTP_TEXT) == CHOIR_HTTP_TEXT;
  GString *body = g_string_new (NULL);

  choir_counters_write_text (gateway->counters,
                             old ? CHOIR_COUNTERS_PROMETHEUS : CHOIR_COUNTERS_OPENMETRICS, body);
  soup_message_headers_append (soup_server_message_get_response_headers (message), "Vary",
                               "Accept");
  soup_server_message_set_status (message, 200, NULL);
  soup_server_message_set_response (
    message,
    old ? "text/plain; version=0.0.4; charset=utf-8"
        : "application/openmetrics-text; version=1.0.0; charset=utf-8",
    SOUP_MEMORY_TAKE, body->str, body->len);
  g_string_free (body, FALSE);
}

static void
answer_playground (SoupServerMessage *message)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);
  g_autoptr (GBytes) page =
    g_resource_lookup_data (choir_net_get_resource (), "/org/choir/Choir1/playground.html",
                            G_RESOURCE_LOOKUP_FLAGS_NONE, NULL);
  gsize len;
  const char *text = g_bytes_get_data (page, &len);

  soup_message_headers_replace (
    headers, "Content-Security-Policy",
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; "
    "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
  soup_message_headers_replace (headers, "Referrer-Policy", "no-referrer");
  soup_server_message_set_status (message, 200, NULL);
  soup_server_message_set_response (message, "text/html; charset=utf-8", SOUP_MEMORY_COPY, text,
                                    len);
}

/**
 * choir_http_answer_get:
 * @self: the server
 * @message: a GET or HEAD
 * @path: what of
 */
void
choir_http_answer_get (ChoirHttpServer *self, SoupServerMessage *message, const char *path)
{
  ChoirGateway *gateway = self->gateway;

  if (strcmp (path, "/ws/config") == 0)
    answer_discovery (gateway, message);
  else if (strcmp (path, "/healthz") == 0)
    answer_health (message);
  else if (strcmp (path, "/readyz") == 0)
    answer_ready (gateway, message);
  else if (strcmp (path, "/metrics") == 0)
    answer_metrics (gateway, message);
  else if (strcmp (path, "/") == 0 && gateway->playground)
    answer_playground (message);
  else
    choir_http_answer_problem (message, 404, CHOIR_ERROR_NOT_FOUND,
                               "There is nothing at this address", 0);
}
