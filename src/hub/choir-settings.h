/* choir-settings.h: the configuration as the hub's hot paths read it
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-config.h"
#include "choir-dialect.h"
#include "choir-json-gate.h"
#include "choir-outbox.h"
#include "choir-rate-limit.h"
#include "choir-sanitizer.h"

G_BEGIN_DECLS

/* What may differ between contracts */
typedef struct
{
  ChoirRateRule *rate; /* (owned) (nullable): unlimited */
  ChoirRateScope rate_scope;
  guint burst_queue;
  guint64 max_message_size;
  gint64 heartbeat_us;
  gint64 idle_us;
  guint max_connections;
  guint max_per_user; /* 0: no limit */
  ChoirPerUserPolicy per_user_policy;
} ChoirDialectSettings;

typedef enum
{
  CHOIR_RATE_DEFAULT,
  CHOIR_RATE_CURSOR,
  CHOIR_RATE_DOCUMENT,
  CHOIR_RATE_CHUNK,
  CHOIR_RATE_NONE,
} ChoirRateClass;

/* `[chat]` */
typedef struct
{
  gsize max_message;
  gsize max_bytes;
  guint max_streams;
  gint64 stream_us;
  gint64 typing_us;
} ChoirChatSettings;

typedef struct
{
  ChoirDialectSettings dialects[CHOIR_N_DIALECTS];
  ChoirRateRule
    *class_rates[CHOIR_RATE_NONE]; /* (owned) (nullable); the default's is the dialect's */
  ChoirJsonLimits json;
  ChoirSanitizerRules sanitizer;
  ChoirOutboxLimits outbox;
  ChoirChatSettings chat;
  gboolean require_auth;
  gint64 auth_timeout_us;
  gint64 leeway_us;
  gint64 keep_revoked_us; /* 0: for good */
  gint64 drain_us;
  gint64 resume_window_us; /* 0: a session ends with its connection */
  gint64 member_idle_us;   /* 0: nobody is ever inactive */
  guint batch_size;
  guint max_subscriptions;
  guint max_waiting;
  guint64 max_waiting_bytes;
  guint max_connections;
  char *service_role; /* (owned) */
  char *worker_role;  /* (owned) */
  char **events;      /* (owned) */
} ChoirSettings;

gboolean choir_settings_read (ChoirSettings *self, ChoirConfig *config, GError **error);
void choir_settings_clear (ChoirSettings *self);
gboolean choir_settings_allows_event (const ChoirSettings *self, const char *event);

G_END_DECLS
