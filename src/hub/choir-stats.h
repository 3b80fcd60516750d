/* choir-stats.h: the hub's counters
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-counters.h"
#include "choir-dialect.h"
#include "choir-task.h"

G_BEGIN_DECLS

/* The figures of one message type; unknown types share those of "other" */
typedef struct
{
  gint64 *received;
  gint64 *sent;
  ChoirHistogram *size;    /* bytes, both ways */
  ChoirHistogram *latency; /* seconds from arrival to handled */
} ChoirTypeStats;

/**
 * ChoirStats:
 *
 * Direct pointers into the one counters object, so that counting is an addition. Metric names are
 * those that the client contracts' dashboards already use (contracts.md A, B, C).
 */
typedef struct
{
  ChoirCounters *counters; /* borrowed */
  GHashTable *types;       /* (element-type utf8 ChoirTypeStats) (owned) */
  ChoirTypeStats *other;
  const char *last_answer; /* (nullable) static: the type choir_stats_for_answer() saw last */
  ChoirTypeStats *last_answer_stats;

  gint64 *active;
  gint64 *users;
  gint64 *channels;
  gint64 *subscriptions;
  gint64 *dialects[CHOIR_N_DIALECTS];
  gint64 *accepted;
  gint64 *rejected;
  gint64 *closed;
  gint64 *deliveries;
  gint64 *publishes;
  gint64 *rate_limited;
  gint64 *slow_consumers;
  gint64 *evictions;
  gint64 *reconnects;
  gint64 *blocked_users;
  gint64 *revoked_tokens;
  gint64 *refused_blocked;
  gint64 *refused_revoked;
  gint64 *waiting;
  gint64 *waiting_bytes;
  gint64 *waits_expired;
  gint64 *waits_full;
  gint64 *waits_unauthorized;
  gint64 *waits_closed;
  gint64 *resumed;
  gint64 *taken_over;
  gint64 *not_resumed;
  gint64 *recovered;
  gint64 *not_recovered;
  gint64 *documents_open;
  gint64 *document_commits;
  gint64 *document_duplicates;
  gint64 *document_conflicts;
  gint64 *document_refused;
  gint64 *store_writable;
  gint64 *tasks_queued;
  gint64 *tasks_running;
  gint64 *tasks_requested;
  gint64 *tasks_lost;
  gint64 *tasks_ended[CHOIR_N_TASK_STATES]; /* by how; the others are not used */
  gint64 *log_stored;
  gint64 *log_duplicates;
  gint64 *log_refused;
  gint64 *log_loads;
  gint64 *errors[CHOIR_N_ERRORS];
  ChoirHistogram *duration;
  ChoirHistogram *reconnection;
  ChoirHistogram *discovery;
  ChoirHistogram *fanout;
  ChoirHistogram *document_latency; /* seconds from arrival to stored and shown */
  ChoirHistogram *task_wait;        /* seconds from request to first given out */
  ChoirHistogram *task_duration;    /* seconds from request to end */
  ChoirHistogram *log_latency;      /* likewise, of messages of channels in the store */
} ChoirStats;

/* What messages of all types come to. The buckets are those of each type's latency */
#define CHOIR_STATS_BUCKETS 12

typedef struct
{
  guint64 received;
  guint64 sent;
  guint64 errors;
  guint64 latency[CHOIR_STATS_BUCKETS];
} ChoirStatsSum;

ChoirStats *choir_stats_new (ChoirCounters *counters);
void choir_stats_sum (const ChoirStats *self, ChoirStatsSum *out);
void choir_stats_free (ChoirStats *self);
void choir_stats_add_type (ChoirStats *self, const char *type);
ChoirTypeStats *choir_stats_for_type (ChoirStats *self, const char *type);
ChoirTypeStats *choir_stats_for_answer (ChoirStats *self, const char *type);
void choir_stats_count_closed (ChoirStats *self, guint code);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirStats, choir_stats_free)

G_END_DECLS
