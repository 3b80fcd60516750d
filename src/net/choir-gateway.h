/* choir-gateway.h: what the parts of the network layer share
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

#include "choir-admission.h"
#include "choir-config.h"
#include "choir-connection.h"
#include "choir-event-graves.h"
#include "choir-forwarded.h"
#include "choir-hub.h"
#include "choir-origin.h"
#include "choir-rate-limit.h"

G_BEGIN_DECLS

typedef struct _ChoirUpgrade ChoirUpgrade;

/**
 * ChoirGateway:
 *
 * The way from a socket to a session: policies read from the configuration, the admission, one
 * connection profile a dialect. Listeners bring sockets, the HTTP server answers what is no
 * WebSocket, and choir_gateway_adopt() turns an upgraded stream into a session.
 */
typedef struct
{
  ChoirConfig *config;             /* (owned) */
  ChoirHub *hub;                   /* (owned) */
  ChoirReactor *reactor;           /* borrowed */
  ChoirTimerWheel *wheel;          /* borrowed */
  ChoirCounters *counters;         /* borrowed */
  ChoirAdmission *admission;       /* (owned) */
  ChoirOriginPolicy *origins;      /* (owned) */
  ChoirForwardedPolicy *forwarded; /* (owned) */
  ChoirEventGraves *graves;        /* (owned) */
  ChoirRateLimiter *api_rate;      /* (owned): of the API's requests, by user */
  ChoirRateLimiter *guest_rate;    /* (owned): likewise of those without a token, by address */
  ChoirRateLimiter *publish_rate;  /* (owned): of what users publish through it */
  ChoirConnectionProfile profiles[CHOIR_N_DIALECTS];
  ChoirConnectionProfile echo_profile;
  ChoirOutboxLimits echo_outbox;
  ChoirDeflatePolicy deflate;
  gint64 handshake_us;
  guint api_max_requests;
  gsize api_max_bytes;
  guint api_max_waiting;
  ChoirDialectId default_dialect;
  char *echo_path;   /* (owned) (nullable) */
  char *server_name; /* (owned) (nullable) */
  char *worker_role; /* (owned) */
  gboolean require_auth;
  gboolean compression;
  gboolean cors;
  gboolean playground;
  gboolean ready;   /* whether new clients are taken: set by the daemon */
  gboolean leaving; /* whether a drain is near, and balancers are to send nobody: likewise */
  ChoirTimer sweep_timer;
} ChoirGateway;

ChoirGateway *choir_gateway_new (ChoirConfig *config,
                                 ChoirHub *hub,
                                 ChoirReactor *reactor,
                                 ChoirCounters *counters,
                                 GError **error);
void choir_gateway_free (ChoirGateway *self);
gboolean choir_gateway_configure (ChoirGateway *self, GError **error);
ChoirAdmissionResult
choir_gateway_admit (ChoirGateway *self, const ChoirAddress *peer, gboolean *counted);
void choir_gateway_count_refusal (ChoirGateway *self, const ChoirUpgrade *upgrade);
void choir_gateway_move_admission (ChoirGateway *self,
                                   const ChoirAddress *admitted,
                                   ChoirUpgrade *upgrade);
void choir_gateway_adopt (ChoirGateway *self,
                          ChoirTransport *transport,
                          ChoirUpgrade *upgrade,
                          const guint8 *data,
                          gsize len);

G_END_DECLS
