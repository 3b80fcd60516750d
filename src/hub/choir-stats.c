/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-stats.h"

#include "choir-close-code.h"

static const double size_bounds[] = {
  64, 128, 256, 512, 1024, 4096, 16384, 65536, 262144, 1048576
};
static const double latency_bounds[] = { 0.00001, 0.0001, 0.0005, 0.001, 0.005, 0.01,
                                         0.05,    0.1,    0.5,    1,     5 };
static const double duration_bounds[] = { 1, 10, 60, 300, 900, 3600, 14400, 86400 };
static const double fanout_bounds[] = { 1, 10, 100, 1000, 10000, 100000 };

static const char *const labels_type[] = { "type", NULL };
static const char *const labels_type_direction[] = { "type", "direction", NULL };

static gint64 *
simple (ChoirStats *self, ChoirCounterKind kind, const char *name, const char *help)
{
  return choir_counter_family_get_cell (
    choir_counters_add (self->counters, kind, name, NULL, help, NULL), NULL);
}

static gint64 *
labelled (ChoirStats *self,
          ChoirCounterKind kind,
          const char *name,
          const char *help,
          const char *label,
          const char *value)
{
  const char *names[] = { label, NULL };
  const char *values[] = { value, NULL };

  return choir_counter_family_get_cell (
    choir_counters_add (self->counters, kind, name, NULL, help, names), values);
}

static ChoirHistogram *
seconds (ChoirStats *self, const char *name, const char *help, const double *bounds, guint n_bounds)
{
  return choir_counter_family_get_histogram (
    choir_counters_add_histogram (self->counters, name, "seconds", help, NULL, bounds, n_bounds),
    NULL);
}

static ChoirTypeStats *
type_stats_new (ChoirStats *self, const char *type)
{
  ChoirTypeStats *stats = g_new0 (ChoirTypeStats, 1);
  ChoirCounterFamily *messages, *sizes, *latencies;
  const char *in[] = { type, "in", NULL };
  const char *out[] = { type, "out", NULL };
  const char *only[] = { type, NULL };

  messages = choir_counters_add (self->counters, CHOIR_COUNTER, "websocket_messages", NULL,
                                 "Messages by type and direction", labels_type_direction);
  sizes = choir_counters_add_histogram (self->counters, "websocket_message_size_bytes", "bytes",
                                        "Size of messages", labels_type, size_bounds,
                                        G_N_ELEMENTS (size_bounds));
  latencies =
    choir_counters_add_histogram (self->counters, "websocket_message_latency_seconds", "seconds",
                                  "From a message's arrival until it is handled", labels_type,
                                  latency_bounds, G_N_ELEMENTS (latency_bounds));

  stats->received = choir_counter_family_get_cell (messages, in);
  stats->sent = choir_counter_family_get_cell (messages, out);
  stats->size = choir_counter_family_get_histogram (sizes, only);
  stats->latency = choir_counter_family_get_histogram (latencies, only);

  return stats;
}

/**
 * choir_stats_add_type:
 * @self: the statistics
 * @type: a canonical message type
 *
 * Gives @type figures of its own. Types that clients invent never get any: labels stay bounded.
 */
void
choir_stats_add_type (ChoirStats *self, const char *type)
{
  if (!g_hash_table_contains (self->types, type))
    g_hash_table_insert (self->types, g_strdup (type), type_stats_new (self, type));
}

/**
 * choir_stats_for_type:
 * @self: the statistics
 * @type: a message type
 *
 * Returns: (transfer none): the figures to count @type in
 */
ChoirTypeStats *
choir_stats_for_type (ChoirStats *self, const char *type)
{
  ChoirTypeStats *stats = g_hash_table_lookup (self->types, type);

  return stats != NULL ? stats : self->other;
}

/**
 * choir_stats_for_answer:
 * @self: the statistics
 * @type: a string constant: it is recognised by its address
 *
 * choir_stats_for_type() for the service's own messages, which mostly come in runs of one type.
 *
 * Returns: (transfer none): the figures to count @type in
 */
ChoirTypeStats *
choir_stats_for_answer (ChoirStats *self, const char *type)
{
  if (type != self->last_answer)
    {
      self->last_answer = type;
      self->last_answer_stats = choir_stats_for_type (self, type);
    }

  return self->last_answer_stats;
}

/**
 * choir_stats_count_closed:
 * @self: the statistics
 * @code: the close code a connection ended with
 */
void
choir_stats_count_closed (ChoirStats *self, guint code)
{
  *labelled (self, CHOIR_COUNTER, "choir_closes", "Connections ended, by close code", "code",
             choir_close_code_get_name (code)) += 1;
}

static void
init_connections (ChoirStats *self)
{
  self->active = simple (self, CHOIR_GAUGE, "websocket_active_connections", "Open connections");
  self->users = simple (self, CHOIR_GAUGE, "choir_users", "Users with an open connection");
  self->accepted = labelled (self, CHOIR_COUNTER, "websocket_connections", "Connections by outcome",
                             "status", "accepted");
  self->rejected = labelled (self, CHOIR_COUNTER, "websocket_connections", "Connections by outcome",
                             "status", "rejected");
  self->closed = labelled (self, CHOIR_COUNTER, "websocket_connections", "Connections by outcome",
                           "status", "closed");
  self->evictions = simple (self, CHOIR_COUNTER, "choir_evictions",
                            "Connections closed for a newer one of the same user");
  self->slow_consumers = simple (self, CHOIR_COUNTER, "choir_slow_consumers",
                                 "Connections closed because their queue was full");
  self->reconnects = simple (self, CHOIR_COUNTER, "choir_reconnects",
                             "Connections of users seen within the last minutes");

  for (guint i = 0; i < CHOIR_N_DIALECTS; i++)
    self->dialects[i] =
      labelled (self, CHOIR_GAUGE, "choir_dialect_connections", "Open connections by dialect",
                "dialect", choir_dialect_get_table (choir_dialect_get (i))->name);

  self->duration =
    seconds (self, "websocket_connection_duration_seconds", "Life of connections that ended",
             duration_bounds, G_N_ELEMENTS (duration_bounds));
  self->reconnection =
    seconds (self, "choir_reconnection_seconds", "From a user's last connection to the next",
             duration_bounds, G_N_ELEMENTS (duration_bounds));
  self->discovery = seconds (self, "choir_discovery_seconds", "Answering service discovery",
                             latency_bounds, G_N_ELEMENTS (latency_bounds));
}

static gint64 *
refusals (ChoirStats *self, const char *reason)
{
  return labelled (self, CHOIR_COUNTER, "choir_tokens_refused",
                   "Good tokens that were refused, by what for", "reason", reason);
}

static void
init_bans (ChoirStats *self)
{
  self->blocked_users = simple (self, CHOIR_GAUGE, "choir_blocked_users", "Users who are blocked");
  self->revoked_tokens =
    simple (self, CHOIR_GAUGE, "choir_revoked_tokens", "Tokens that are revoked");
  self->refused_blocked = refusals (self, "blocked");
  self->refused_revoked = refusals (self, "revoked");
}

static gint64 *
waits (ChoirStats *self, const char *reason)
{
  return labelled (self, CHOIR_COUNTER, "choir_waits_ended",
                   "Sessions whose client did not come back, by what ended them", "reason", reason);
}

static gint64 *
resumes (ChoirStats *self, const char *outcome)
{
  return labelled (self, CHOIR_COUNTER, "choir_resumes",
                   "Clients that came back for their session, by outcome", "outcome", outcome);
}

static void
init_waiting (ChoirStats *self)
{
  self->waiting = simple (self, CHOIR_GAUGE, "choir_waiting_sessions",
                          "Sessions without a connection that wait for their client");
  self->waiting_bytes =
    simple (self, CHOIR_GAUGE, "choir_waiting_bytes", "Bytes kept for sessions that wait");
  self->waits_expired = waits (self, "window");
  self->waits_full = waits (self, "full");
  self->waits_unauthorized = waits (self, "token");
  self->waits_closed = waits (self, "closed");
  self->resumed = resumes (self, "resumed");
  self->taken_over = resumes (self, "taken-over");
  self->not_resumed = resumes (self, "lost");
}

static void
init_channels (ChoirStats *self)
{
  self->channels = simple (self, CHOIR_GAUGE, "choir_channels", "Channels in memory");
  self->subscriptions = simple (self, CHOIR_GAUGE, "choir_subscriptions", "Subscriptions");
  self->publishes = simple (self, CHOIR_COUNTER, "choir_publishes", "Messages published");
  self->deliveries =
    simple (self, CHOIR_COUNTER, "choir_deliveries", "Messages queued to a connection");
  self->recovered = labelled (self, CHOIR_COUNTER, "choir_recoveries",
                              "Subscriptions with a position, by outcome", "outcome", "recovered");
  self->not_recovered = labelled (self, CHOIR_COUNTER, "choir_recoveries",
                                  "Subscriptions with a position, by outcome", "outcome", "lost");
  self->fanout = choir_counter_family_get_histogram (
    choir_counters_add_histogram (self->counters, "choir_fanout_recipients", NULL,
                                  "Connections one published message went to", NULL, fanout_bounds,
                                  G_N_ELEMENTS (fanout_bounds)),
    NULL);
}

static gint64 *
changes (ChoirStats *self, const char *status)
{
  return labelled (self, CHOIR_COUNTER, "choir_document_changes",
                   "Changes of documents, by outcome", "status", status);
}

static void
init_documents (ChoirStats *self)
{
  self->documents_open = simple (self, CHOIR_GAUGE, "choir_documents_open", "Documents in memory");
  self->document_commits = changes (self, "committed");
  self->document_duplicates = changes (self, "duplicate");
  self->document_conflicts = changes (self, "conflict");
  self->document_refused = changes (self, "refused");
  self->document_latency = seconds (self, "choir_document_change_seconds",
                                    "From a change's arrival to its acknowledgement",
                                    latency_bounds, G_N_ELEMENTS (latency_bounds));
  self->store_writable =
    simple (self, CHOIR_GAUGE, "choir_store_writable", "1 while the store takes what must survive");
}

static gint64 *
logged (ChoirStats *self, const char *status)
{
  return labelled (self, CHOIR_COUNTER, "choir_persisted_publishes",
                   "Messages for channels that are kept in the store, by outcome", "status",
                   status);
}

static void
init_logs (ChoirStats *self)
{
  self->log_stored = logged (self, "stored");
  self->log_duplicates = logged (self, "duplicate");
  self->log_refused = logged (self, "refused");
  self->log_loads =
    simple (self, CHOIR_COUNTER, "choir_channel_loads", "Channels read from the store");
  self->log_latency = seconds (self, "choir_persisted_publish_seconds",
                               "From a message's arrival until it is stored and sent",
                               latency_bounds, G_N_ELEMENTS (latency_bounds));
}

static void
init_tasks (ChoirStats *self)
{
  self->tasks_queued = simple (self, CHOIR_GAUGE, "choir_tasks_queued", "Tasks that wait");
  self->tasks_running = simple (self, CHOIR_GAUGE, "choir_tasks_running", "Tasks a worker has");
  self->tasks_requested = simple (self, CHOIR_COUNTER, "choir_task_requests", "Tasks accepted");
  self->tasks_lost =
    simple (self, CHOIR_COUNTER, "choir_task_attempts_lost", "Tasks whose worker was lost");

  for (guint i = CHOIR_TASK_COMPLETED; i < CHOIR_N_TASK_STATES; i++)
    self->tasks_ended[i] = labelled (self, CHOIR_COUNTER, "choir_tasks_ended", "Tasks that ended",
                                     "state", choir_task_state_get_name (i));

  self->task_wait = seconds (self, "choir_task_wait_seconds", "From a request to its worker",
                             duration_bounds, G_N_ELEMENTS (duration_bounds));
  self->task_duration = seconds (self, "choir_task_duration_seconds", "From a request to its end",
                                 duration_bounds, G_N_ELEMENTS (duration_bounds));
}

static void
init_errors (ChoirStats *self)
{
  self->rate_limited =
    simple (self, CHOIR_COUNTER, "choir_rate_limited", "Messages refused by a rate limit");

  for (guint i = 0; i < CHOIR_N_ERRORS; i++)
    self->errors[i] = labelled (self, CHOIR_COUNTER, "websocket_errors", "Errors sent, by code",
                                "code", choir_error_get_code (i));
}

/**
 * choir_stats_new:
 * @counters: where the figures are kept; must outlive the statistics
 *
 * Returns: (transfer full): the hub's figures, all zero
 */
ChoirStats *
choir_stats_new (ChoirCounters *counters)
{
  ChoirStats *self = g_new0 (ChoirStats, 1);

  self->counters = counters;
  self->types = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->other = type_stats_new (self, "other");
  init_connections (self);
  init_bans (self);
  init_waiting (self);
  init_channels (self);
  init_documents (self);
  init_tasks (self);
  init_logs (self);
  init_errors (self);

  return self;
}

static void
add_type (const ChoirTypeStats *type, ChoirStatsSum *out)
{
  out->received += (guint64) *type->received;
  out->sent += (guint64) *type->sent;
  choir_histogram_add_buckets (type->latency, out->latency);
}

/**
 * choir_stats_sum:
 * @self: the statistics
 * @out: filled
 */
void
choir_stats_sum (const ChoirStats *self, ChoirStatsSum *out)
{
  GHashTableIter iter;
  gpointer type;

  G_STATIC_ASSERT (CHOIR_STATS_BUCKETS == G_N_ELEMENTS (latency_bounds) + 1);

  *out = (ChoirStatsSum){ 0 };
  add_type (self->other, out);
  g_hash_table_iter_init (&iter, self->types);
  while (g_hash_table_iter_next (&iter, NULL, &type))
    add_type (type, out);

  for (guint i = 0; i < CHOIR_N_ERRORS; i++)
    out->errors += (guint64) *self->errors[i];
}

void
choir_stats_free (ChoirStats *self)
{
  g_hash_table_unref (self->types);
  g_free (self->other);
  g_free (self);
}
