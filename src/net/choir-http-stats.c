/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-messages.h"

#include "choir-clock.h"
#include "choir-http-private.h"
#include "choir-payload.h"

static gint64
count_queued (ChoirHub *hub)
{
  guint n = choir_hub_get_n_sessions (hub);
  gint64 n_bytes = 0;

  for (guint i = 0; i < n; i++)
    {
      const ChoirOutbox *outbox = choir_session_get_outbox (choir_hub_get_session (hub, i));

      n_bytes += outbox != NULL ? (gint64) outbox->n_bytes : 0;
    }

  return n_bytes;
}

static void
append_dialects (GString *body, const ChoirStats *stats)
{
  choir_payload_add_key (body, "dialects");
  choir_payload_open (body);
  for (guint i = 0; i < CHOIR_N_DIALECTS; i++)
    choir_payload_add_int (body, choir_dialect_get_table (choir_dialect_get (i))->name,
                           *stats->dialects[i]);
  choir_payload_close (body);
}

static void
append_totals (GString *body, const ChoirStats *stats)
{
  choir_payload_add_key (body, "totals");
  choir_payload_open (body);
  choir_payload_add_int (body, "accepted", *stats->accepted);
  choir_payload_add_int (body, "rejected", *stats->rejected);
  choir_payload_add_int (body, "closed", *stats->closed);
  choir_payload_add_int (body, "published", *stats->publishes);
  choir_payload_add_int (body, "delivered", *stats->deliveries);
  choir_payload_add_int (body, "rate_limited", *stats->rate_limited);
  choir_payload_add_int (body, "slow_consumers", *stats->slow_consumers);
  choir_payload_add_int (body, "evictions", *stats->evictions);
  choir_payload_add_int (body, "reconnects", *stats->reconnects);
  choir_payload_close (body);
}

static void
get_stats (ChoirHttpRequest *request)
{
  ChoirHub *hub = request->gateway->hub;
  const ChoirStats *stats = choir_hub_get_stats (hub);
  gint64 age_us = choir_clock_monotonic_us () - choir_http_api_get_started_us (request->api);
  GString *body = g_string_sized_new (1024);

  choir_payload_open (body);
  choir_payload_add_string (body, "version", PACKAGE_VERSION);
  choir_payload_add_string (body, "node", choir_hub_get_node (hub));
  choir_payload_add_time (body, "time", choir_clock_wall_us ());
  choir_payload_add_int (body, "uptime_s", age_us / G_USEC_PER_SEC);
  choir_payload_add_int (body, "connections", choir_hub_get_n_connections (hub));
  choir_payload_add_int (body, "users", choir_hub_get_n_users (hub));
  choir_payload_add_int (body, "channels", choir_hub_get_n_channels (hub));
  choir_payload_add_int (body, "subscriptions", *stats->subscriptions);
  choir_payload_add_int (body, "documents", *stats->documents_open);
  choir_payload_add_int (body, "queued_bytes", count_queued (hub));
  append_dialects (body, stats);
  append_totals (body, stats);
  choir_payload_close (body);
  choir_http_request_answer_json (request, 200, body);
}

const ChoirHttpRoute choir_http_stats_routes[] = {
  { "GET",
    "stats",
    NULL,
    CHOIR_HTTP_MAY_SERVE,
    { NULL },
    CHOIR_HTTP_NO_MEDIA,
    CHOIR_HTTP_JSON,
    FALSE,
    NULL,
    get_stats },
};

const guint choir_http_stats_n_routes = G_N_ELEMENTS (choir_http_stats_routes);
