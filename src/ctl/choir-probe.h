/* choir-probe.h: one visit to a WebSocket server as a client, timed
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Connects, shakes hands, sends pings (RFC 6455 section 5.5.2), which every server has to answer,
 * and takes its leave. What went wrong is an error of %CHOIR_CTL_ERROR; what was measured until
 * then stays in the report.
 */

#pragma once

#include "choir-dial.h"

#include <gio/gio.h>

G_BEGIN_DECLS

#define CHOIR_PROBE_PINGS_MAX 100000

typedef struct
{
  const char *url;
  const char *token;      /* (nullable) */
  const char *protocol;   /* (nullable) */
  const char *origin;     /* (nullable) */
  GTlsDatabase *database; /* (nullable): whom to trust instead of whom the system trusts */
  gboolean insecure;
  guint n_pings;
  gint64 interval_us; /* between two pings */
  gint64 timeout_us;  /* for the connection and its handshake together, and for each pong */
} ChoirProbeOptions;

/* Times in microseconds, -1 where it did not come to that */
typedef struct
{
  char *url; /* (owned): without what a token may be in */
  char *address;
  const char *tls_version; /* (nullable) static */
  char *protocol;          /* (owned) (nullable): agreed on */
  char *server;            /* (owned) (nullable): what it calls itself */
  char *code;              /* (owned) (nullable): what the service calls the problem */
  char *first_type;        /* (owned) (nullable): of its first message */
  gint64 resolve_us;
  gint64 connect_us;
  gint64 tls_us;
  gint64 handshake_us;
  gint64 first_message_us; /* from the end of the handshake */
  guint http_status;       /* 0: none */
  guint close_code;        /* the server's; 0: none */
  guint n_sent;
  GArray *round_trips; /* (owned) (element-type gint64): as they came */
} ChoirProbeReport;

ChoirProbeReport *choir_probe_report_new (void);
void choir_probe_report_free (ChoirProbeReport *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirProbeReport, choir_probe_report_free)

gboolean
choir_probe_run (const ChoirProbeOptions *options, ChoirProbeReport *report, GError **error);

G_END_DECLS
