/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-methods.h"
#include "choir-admin-private.h"
#include "choir-audience.h"
#include "choir-clock.h"

#include <string.h>
#include <unistd.h>

/* What waits for clients */
typedef struct
{
  guint64 bytes;
  guint64 most;
  guint32 n_slow;
} Queues;

static void
look_at_queues (ChoirHub *hub, Queues *out)
{
  guint n = choir_hub_get_n_sessions (hub);

  *out = (Queues){ 0 };
  for (guint i = 0; i < n; i++)
    {
      ChoirSession *session = choir_hub_get_session (hub, i);
      const ChoirOutbox *outbox = choir_session_get_outbox (session);

      if (outbox == NULL || choir_session_is_waiting (session))
        continue;

      out->bytes += outbox->n_bytes;
      out->most = MAX (out->most, outbox->n_bytes);
      out->n_slow += choir_audience_is_slow (session) ? 1 : 0;
    }
}

/* proc(5), /proc/pid/statm: the second number is resident pages; 0: not known */
static guint64
read_resident_bytes (void)
{
  g_autofree char *text = NULL;
  const char *second;

  if (!g_file_get_contents ("/proc/self/statm", &text, NULL, NULL))
    return 0;

  second = strchr (text, ' ');

  return second != NULL ? g_ascii_strtoull (second, NULL, 10) * (guint64) sysconf (_SC_PAGESIZE)
                        : 0;
}

static void
add_count (GVariantDict *dict, const char *key, gint64 value)
{
  g_variant_dict_insert (dict, key, "u", (guint32) CLAMP (value, 0, G_MAXUINT32));
}

static void
add_counts (GVariantDict *dict, const ChoirStats *stats)
{
  add_count (dict, "connections", *stats->active);
  add_count (dict, "users", *stats->users);
  add_count (dict, "channels", *stats->channels);
  add_count (dict, "documents", *stats->documents_open);
  add_count (dict, "subscriptions", *stats->subscriptions);
  add_count (dict, "waiting_sessions", *stats->waiting);
  add_count (dict, "tasks_queued", *stats->tasks_queued);
  add_count (dict, "tasks_running", *stats->tasks_running);
}

static void
add_rates (GVariantDict *dict, ChoirAdminSampler *sampler)
{
  static const double quantiles[] = { 0.5, 0.95, 0.99 };
  double latencies[G_N_ELEMENTS (quantiles)];
  ChoirAdminPace rates;

  choir_admin_sampler_get_pace (sampler, &rates);
  g_variant_dict_insert (dict, "messages_received_per_s", "d", rates.received_per_s);
  g_variant_dict_insert (dict, "messages_sent_per_s", "d", rates.sent_per_s);
  g_variant_dict_insert (dict, "publishes_per_s", "d", rates.publishes_per_s);
  g_variant_dict_insert (dict, "connects_per_s", "d", rates.connects_per_s);
  g_variant_dict_insert (dict, "errors_per_s", "d", rates.errors_per_s);
  g_variant_dict_insert (dict, "cpu_percent", "d", rates.cpu_percent);

  choir_admin_sampler_get_latencies (sampler, quantiles, latencies, G_N_ELEMENTS (quantiles));
  g_variant_dict_insert (dict, "latency_p50_us", "d", latencies[0]);
  g_variant_dict_insert (dict, "latency_p95_us", "d", latencies[1]);
  g_variant_dict_insert (dict, "latency_p99_us", "d", latencies[2]);
}

static void
add_dialects (GVariantDict *dict, const ChoirStats *stats)
{
  GVariantBuilder dialects;

  g_variant_builder_init (&dialects, G_VARIANT_TYPE ("a{sa{sv}}"));
  for (guint i = 0; i < CHOIR_N_DIALECTS; i++)
    {
      GVariantDict one;

      g_variant_dict_init (&one, NULL);
      add_count (&one, "connections", *stats->dialects[i]);
      g_variant_builder_add (&dialects, "{s@a{sv}}",
                             choir_dialect_get_table (choir_dialect_get (i))->name,
                             g_variant_dict_end (&one));
    }

  g_variant_dict_insert_value (dict, "dialects", g_variant_builder_end (&dialects));
}

static void
perform_get_stats (ChoirAdminCall *call)
{
  const ChoirStats *stats = choir_hub_get_stats (call->hub);
  ChoirStore *store = choir_hub_get_store (call->hub);
  gint64 uptime_us = choir_clock_monotonic_us () - call->admin->since_us;
  GVariantDict dict;
  Queues queues;

  look_at_queues (call->hub, &queues);
  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "uptime_s", "t", (guint64) (uptime_us / G_USEC_PER_SEC));
  add_counts (&dict, stats);
  add_rates (&dict, call->admin->sampler);
  g_variant_dict_insert (&dict, "queued_bytes", "t", queues.bytes);
  g_variant_dict_insert (&dict, "queued_bytes_max", "t", queues.most);
  g_variant_dict_insert (&dict, "slow_connections", "u", queues.n_slow);
  g_variant_dict_insert (&dict, "memory_bytes", "t", read_resident_bytes ());
  g_variant_dict_insert (&dict, "store_writable", "b",
                         store != NULL && choir_store_is_writable (store));
  add_dialects (&dict, stats);

  choir_admin_call_return (call, g_variant_new ("(@a{sv})", g_variant_dict_end (&dict)));
}

static void
perform_get_counters (ChoirAdminCall *call)
{
  choir_admin_call_return (
    call, g_variant_new ("(@a{st})", choir_counters_to_numbers (call->admin->counters)));
}

const ChoirAdminMethod choir_admin_stats_methods[] = {
  { CHOIR_ADMIN_MANAGER, "GetCounters", CHOIR_ADMIN_INSPECT, FALSE, perform_get_counters, NULL },
  { CHOIR_ADMIN_MANAGER, "GetStats", CHOIR_ADMIN_INSPECT, FALSE, perform_get_stats, NULL },
};

const guint choir_admin_stats_n_methods = G_N_ELEMENTS (choir_admin_stats_methods);
