/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-gateway.h"

#include "choir-clock.h"
#include "choir-container.h"
#include "choir-error.h"
#include "choir-observer.h"
#include "choir-session.h"
#include "choir-upgrade.h"
#include "choir-utf8.h"

#include <string.h>

#define SWEEP_US (60 * G_USEC_PER_SEC)
/* Connections beyond `max-connections` that are taken to be told so, or to ask for health */
#define REFUSALS_RESERVE 64
/* Users of the API whose rates are watched at a time; likewise addresses of guests, who thereby
 * take the place of no user */
#define API_USERS_MAX 10000

static void
sweep_cb (ChoirTimer *timer)
{
  ChoirGateway *self = CHOIR_CONTAINER_OF (timer, ChoirGateway, sweep_timer);

  choir_admission_sweep (self->admission, choir_clock_monotonic_us ());
  choir_rate_limiter_sweep (self->api_rate, choir_clock_monotonic_us ());
  choir_rate_limiter_sweep (self->guest_rate, choir_clock_monotonic_us ());
  choir_rate_limiter_sweep (self->publish_rate, choir_clock_monotonic_us ());
  choir_timer_wheel_arm (self->wheel, timer, SWEEP_US, sweep_cb);
}

static void
connection_left (const ChoirAddress *address, gpointer user_data)
{
  ChoirGateway *self = user_data;

  choir_admission_leave (self->admission, address);
}

/**
 * choir_gateway_new:
 * @config: the configuration
 * @hub: where sessions live
 * @reactor: drives the sockets; must outlive the gateway
 * @counters: the figures; must outlive the gateway
 * @error: return location: %CHOIR_ERROR_CONFIG
 *
 * Returns: (transfer full): a gateway that takes nobody before `ready` is set, or %NULL
 */
ChoirGateway *
choir_gateway_new (ChoirConfig *config,
                   ChoirHub *hub,
                   ChoirReactor *reactor,
                   ChoirCounters *counters,
                   GError **error)
{
  ChoirGateway *self = g_new0 (ChoirGateway, 1);

  self->config = g_object_ref (config);
  self->hub = g_object_ref (hub);
  self->reactor = reactor;
  self->wheel = choir_hub_get_wheel (hub);
  self->counters = counters;
  self->admission = choir_admission_new (0, 0, NULL);
  self->api_rate = choir_rate_limiter_new (NULL, API_USERS_MAX);
  self->guest_rate = choir_rate_limiter_new (NULL, API_USERS_MAX);
  self->graves = choir_event_graves_new ();
  self->publish_rate = choir_rate_limiter_new (NULL, API_USERS_MAX);

  if (!choir_gateway_configure (self, error))
    {
      choir_gateway_free (self);
      return NULL;
    }

  choir_timer_wheel_arm (self->wheel, &self->sweep_timer, SWEEP_US, sweep_cb);

  return self;
}

void
choir_gateway_free (ChoirGateway *self)
{
  choir_timer_disarm (&self->sweep_timer);
  g_clear_pointer (&self->admission, choir_admission_free);
  g_clear_pointer (&self->api_rate, choir_rate_limiter_free);
  g_clear_pointer (&self->guest_rate, choir_rate_limiter_free);
  g_clear_pointer (&self->graves, choir_event_graves_free);
  g_clear_pointer (&self->publish_rate, choir_rate_limiter_free);
  g_clear_pointer (&self->origins, choir_origin_policy_free);
  g_clear_pointer (&self->forwarded, choir_forwarded_policy_free);
  g_clear_object (&self->hub);
  g_clear_object (&self->config);
  g_free (self->echo_path);
  g_free (self->server_name);
  g_free (self->worker_role);
  g_free (self);
}

static const char *
get_origin_key (ChoirEnvironment environment)
{
  switch (environment)
    {
    case CHOIR_ENVIRONMENT_STAGING:
      return "allowed-staging";
    case CHOIR_ENVIRONMENT_PRODUCTION:
      return "allowed-production";
    case CHOIR_ENVIRONMENT_DEVELOPMENT:
    default:
      return "allowed";
    }
}

/* contracts.md B: staging allows what development does as well, production only its own */
static char **
collect_origins (ChoirConfig *config, ChoirEnvironment environment)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();

  g_strv_builder_addv (builder, (const char **) choir_config_get_list (
                                  config, "origin", get_origin_key (environment)));
  if (environment == CHOIR_ENVIRONMENT_STAGING)
    g_strv_builder_addv (builder,
                         (const char **) choir_config_get_list (config, "origin", "allowed"));

  return g_strv_builder_end (builder);
}

static gboolean
configure_policies (ChoirGateway *self, GError **error)
{
  ChoirEnvironment environment = choir_config_get_choice (self->config, "origin", "environment");
  const guint max_connections = choir_config_get_uint (self->config, "server", "max-connections");
  g_auto (GStrv) patterns = collect_origins (self->config, environment);
  g_autoptr (ChoirRateRule) rate = NULL;
  ChoirOriginPolicy *origins;
  ChoirForwardedPolicy *forwarded;
  GError *local = NULL;

  rate = choir_rate_rule_parse (
    choir_config_get_string (self->config, "rate", "connect-per-address"), &local);
  if (local != NULL)
    {
      g_propagate_prefixed_error (error, local, "[rate] connect-per-address: ");
      return FALSE;
    }

  origins =
    choir_origin_policy_new ((const char *const *) patterns,
                             choir_config_get_boolean (self->config, "origin", "allow-no-origin"),
                             environment == CHOIR_ENVIRONMENT_DEVELOPMENT, error);
  if (origins == NULL)
    {
      g_prefix_error (error, "[origin] %s: ", get_origin_key (environment));
      return FALSE;
    }

  forwarded = choir_forwarded_policy_new (
    choir_config_get_list (self->config, "server", "trusted-proxies"), error);
  if (forwarded == NULL)
    {
      choir_origin_policy_free (origins);
      return FALSE;
    }

  g_clear_pointer (&self->origins, choir_origin_policy_free);
  g_clear_pointer (&self->forwarded, choir_forwarded_policy_free);
  self->origins = origins;
  self->forwarded = forwarded;
  choir_admission_configure (
    self->admission, max_connections + REFUSALS_RESERVE,
    choir_config_get_uint (self->config, "server", "max-connections-per-address"), rate);
  *choir_counter_family_get_cell (choir_counters_add (self->counters, CHOIR_GAUGE,
                                                      "choir_connections_limit", NULL,
                                                      "Most connections at a time", NULL),
                                  NULL) = max_connections;

  return TRUE;
}

static gboolean
configure_api (ChoirGateway *self, GError **error)
{
  g_autoptr (ChoirRateRule) rate = NULL;
  GError *local = NULL;

  rate = choir_rate_rule_parse (choir_config_get_string (self->config, "rate", "api"), &local);
  if (local != NULL)
    {
      g_propagate_prefixed_error (error, local, "[rate] api: ");
      return FALSE;
    }

  choir_rate_limiter_set_rule (self->api_rate, rate);
  choir_rate_limiter_set_rule (self->guest_rate, rate);
  choir_rate_limiter_set_rule (
    self->publish_rate, choir_hub_get_settings (self->hub)->dialects[CHOIR_DIALECT_CHOIR].rate);
  self->api_max_requests = choir_config_get_uint (self->config, "api", "max-requests");
  self->api_max_bytes = choir_config_get_size (self->config, "api", "max-bytes");
  self->api_max_waiting = choir_config_get_uint (self->config, "api", "max-waiting");
  g_free (self->worker_role);
  self->worker_role = g_strdup (choir_config_get_string (self->config, "task", "worker-role"));

  return TRUE;
}

static void
configure_profiles (ChoirGateway *self)
{
  const ChoirSettings *settings = choir_hub_get_settings (self->hub);

  for (guint i = 0; i < CHOIR_N_DIALECTS; i++)
    self->profiles[i] = (ChoirConnectionProfile){
      .reactor = self->reactor,
      .wheel = self->wheel,
      .outbox = &settings->outbox,
      .frames = { .max_message = settings->dialects[i].max_message_size },
      .heartbeat_us = settings->dialects[i].heartbeat_us,
      .idle_us = settings->dialects[i].idle_us,
      .batch_delay_us = choir_config_get_duration_us (self->config, "protocol", "batch-delay"),
      .batch_size = choir_config_get_uint (self->config, "protocol", "batch-size"),
      .n_slow = choir_hub_get_stats (self->hub)->slow_consumers,
      .left = connection_left,
      .user_data = self,
    };

  /* what may come in there must also fit on its way back */
  self->echo_profile = self->profiles[CHOIR_DIALECT_CHOIR];
  self->echo_outbox.max_bytes =
    MAX (settings->outbox.max_bytes, 2 * self->echo_profile.frames.max_message);
  self->echo_profile.outbox = &self->echo_outbox;
}

static char *
dup_unless_empty (const char *text)
{
  return text != NULL && *text != '\0' ? g_strdup (text) : NULL;
}

/**
 * choir_gateway_configure:
 * @self: a gateway
 * @error: return location: %CHOIR_ERROR_CONFIG
 *
 * Reads the configuration again, after the hub has.
 *
 * Returns: %FALSE if it makes no sense; all stays as it was
 */
gboolean
choir_gateway_configure (ChoirGateway *self, GError **error)
{
  ChoirConfig *config = self->config;

  if (!configure_policies (self, error) || !configure_api (self, error))
    return FALSE;

  configure_profiles (self);
  g_free (self->echo_path);
  self->echo_path = dup_unless_empty (choir_config_get_string (config, "server", "echo-path"));
  g_free (self->server_name);
  self->server_name = dup_unless_empty (choir_config_get_string (config, "server", "name"));
  self->handshake_us = choir_config_get_duration_us (config, "server", "handshake-timeout");
  self->default_dialect = choir_config_get_choice (config, "protocol", "default-dialect");
  self->require_auth = choir_config_get_boolean (config, "auth", "require-auth");
  self->compression = choir_config_get_boolean (config, "protocol", "compression");
  self->cors = choir_config_get_boolean (config, "origin", "cors");
  self->playground = choir_config_get_boolean (config, "server", "playground");
  self->deflate = (ChoirDeflatePolicy){
    .allow_server_context =
      choir_config_get_boolean (config, "protocol", "compression-context-takeover"),
    .allow_client_context = TRUE,
    .max_window_bits = 15,
  };

  return TRUE;
}

static void
report_refusal (ChoirGateway *self, ChoirAdmissionResult result, const ChoirAddress *peer)
{
  char text[CHOIR_ADDRESS_TEXT_SIZE];

  if (result == CHOIR_ADMISSION_FULL || peer == NULL)
    {
      choir_hub_report_overload (self->hub, "connections", NULL, NULL);
      return;
    }

  choir_address_format (peer, text);
  choir_hub_report_overload (self->hub, "address", "address", text);
}

/**
 * choir_gateway_admit:
 * @self: a gateway
 * @peer: (nullable): who connects; %NULL: a unix socket
 * @counted: (out): whether @peer's own count was raised: not a trusted proxy's, which is many
 *
 * Returns: whether there is room; what was taken is given back with choir_admission_leave()
 */
ChoirAdmissionResult
choir_gateway_admit (ChoirGateway *self, const ChoirAddress *peer, gboolean *counted)
{
  ChoirAdmissionResult result;

  *counted = !choir_forwarded_is_trusted (self->forwarded, peer);
  result =
    choir_admission_enter (self->admission, *counted ? peer : NULL, choir_clock_monotonic_us ());
  if (result != CHOIR_ADMISSION_OK)
    report_refusal (self, result, peer);

  return result;
}

/**
 * choir_gateway_count_refusal:
 * @self: a gateway
 * @upgrade: a decision against somebody, who is told now
 *
 * A decision may be made twice; this is called once.
 */
void
choir_gateway_count_refusal (ChoirGateway *self, const ChoirUpgrade *upgrade)
{
  char address[CHOIR_ADDRESS_TEXT_SIZE];

  *choir_hub_get_stats (self->hub)->rejected += 1;
  if (upgrade->limit == NULL)
    return;

  if (strcmp (upgrade->limit, "user") == 0)
    {
      choir_hub_report_overload (self->hub, upgrade->limit, "user",
                                 choir_claims_get_user_id (upgrade->claims));
      return;
    }

  if (upgrade->has_address)
    choir_address_format (&upgrade->address, address);
  choir_hub_report_overload (self->hub, upgrade->limit, "address",
                             upgrade->has_address ? address : NULL);
}

/**
 * choir_gateway_move_admission:
 * @self: a gateway
 * @admitted: (nullable): what the connection is counted as
 * @upgrade: a decision with status 101; refused here if the client behind a proxy has too many
 *
 * Counts the connection for the client's address instead of the proxy's.
 */
void
choir_gateway_move_admission (ChoirGateway *self,
                              const ChoirAddress *admitted,
                              ChoirUpgrade *upgrade)
{
  ChoirAdmissionResult result;

  upgrade->counted = admitted != NULL;
  if (admitted != NULL || !upgrade->has_address ||
      choir_forwarded_is_trusted (self->forwarded, &upgrade->address))
    return;

  choir_admission_leave (self->admission, NULL);
  result = choir_admission_enter (self->admission, &upgrade->address, choir_clock_monotonic_us ());
  if (result == CHOIR_ADMISSION_OK)
    {
      upgrade->counted = TRUE;
      return;
    }

  upgrade->limit = "address";
  /* room for the proxy's connection there was a moment ago, so there is now */
  choir_admission_enter (self->admission, NULL, choir_clock_monotonic_us ());
  upgrade->status = 429;
  upgrade->problem = CHOIR_ERROR_RATE_LIMITED;
  upgrade->retry_after_s = 1;
  g_free (upgrade->detail);
  upgrade->detail = g_strdup ("Too many connections from this address");
}

/* A frame that is not of the dialect's kind */
static void
session_other_message (ChoirConnection *connection,
                       const ChoirDialectTable *table,
                       const guint8 *data,
                       gsize len,
                       gpointer user_data)
{
  if (!table->binary_text)
    choir_connection_close (connection, CHOIR_CLOSE_UNSUPPORTED_DATA,
                            table->binary ? "Binary messages only" : "Text messages only");
  else if (!choir_utf8_validate (data, len))
    choir_connection_close (connection, CHOIR_CLOSE_INVALID_DATA, "Not UTF-8");
  else
    choir_session_receive (user_data, (const char *) data, len);
}

static void
session_message (ChoirConnection *connection,
                 ChoirOpcode opcode,
                 const guint8 *data,
                 gsize len,
                 gpointer user_data)
{
  const ChoirDialectTable *table;

  /* its session goes on elsewhere */
  if (user_data == NULL)
    return;

  table = choir_dialect_get_table (choir_session_get_dialect (user_data));
  if (table->binary != (opcode == CHOIR_OPCODE_BINARY))
    session_other_message (connection, table, data, len, user_data);
  else if (table->binary)
    choir_session_receive_binary (user_data, data, len);
  else
    choir_session_receive (user_data, (const char *) data, len);
}

/* The connection's last word to its session, which may have been another's before */
static void
session_closed (ChoirConnection *connection, guint close_code, gpointer user_data)
{
  if (user_data == NULL)
    return;

  choir_session_end (user_data, close_code);
  choir_link_set_session (CHOIR_LINK (connection), NULL);
}

static void
session_leaving (ChoirConnection *connection, guint close_code, gpointer user_data)
{
  if (user_data != NULL)
    choir_session_end (user_data, close_code);
}

static const ChoirConnectionHandler session_handler = { session_message, session_leaving,
                                                        session_closed };

static void
echo_message (ChoirConnection *connection,
              ChoirOpcode opcode,
              const guint8 *data,
              gsize len,
              gpointer user_data)
{
  ChoirGateway *self = user_data;
  g_autoptr (ChoirFrame) frame = choir_frame_new (opcode, data, len);

  choir_broadcaster_send_frame (choir_hub_get_broadcaster (self->hub),
                                choir_link_get_outbox (CHOIR_LINK (connection)), frame);
}

static void
ignore_message (ChoirConnection *connection,
                ChoirOpcode opcode,
                const guint8 *data,
                gsize len,
                gpointer user_data)
{
}

static void
ignore_closed (ChoirConnection *connection, guint close_code, gpointer user_data)
{
}

static const ChoirConnectionHandler echo_handler = { echo_message, NULL, ignore_closed };
static const ChoirConnectionHandler refused_handler = { ignore_message, NULL, ignore_closed };

static gboolean
start_session (ChoirGateway *self, ChoirConnection *connection, ChoirUpgrade *upgrade)
{
  ChoirSession *session;
  ChoirSessionParams params = {
    .dialect = upgrade->dialect,
    .claims = upgrade->claims,
    .default_channel = upgrade->default_channel,
    .client_id = upgrade->client_id,
    .resume_id = upgrade->resume_id,
  };

  session = choir_session_new (self->hub, CHOIR_LINK (connection), &params);
  if (!choir_connection_start (connection, &session_handler, session))
    {
      choir_session_end (session, CHOIR_CLOSE_ABNORMAL);
      g_object_unref (session);
      return FALSE;
    }

  choir_session_start (session);

  return TRUE;
}

/**
 * choir_gateway_adopt:
 * @self: a gateway
 * @transport: (transfer full): a stream on which the 101 has been sent; its place in the admission
 * is @upgrade's address's
 * @upgrade: a decision with status 101
 * @data: (nullable): what the client has sent behind the handshake already
 * @len: its bytes
 *
 * Makes it a connection with its session, or with the refusal the contract asks for.
 */
void
choir_gateway_adopt (ChoirGateway *self,
                     ChoirTransport *transport,
                     ChoirUpgrade *upgrade,
                     const guint8 *data,
                     gsize len)
{
  const ChoirConnectionProfile *profile =
    upgrade->dialect != NULL ? &self->profiles[choir_dialect_get_id (upgrade->dialect)]
                             : &self->echo_profile;
  g_autoptr (ChoirConnection) connection =
    choir_connection_new (profile, transport, &upgrade->deflate,
                          upgrade->has_address ? &upgrade->address : NULL, upgrade->counted);
  gboolean started;

  choir_connection_set_batching (connection, upgrade->batching);
  g_object_ref (connection);

  if (upgrade->dialect == NULL)
    started = choir_connection_start (connection, &echo_handler, self);
  else if (upgrade->close_code != 0)
    {
      started = choir_connection_start (connection, &refused_handler, self);
      if (started)
        choir_connection_close (connection, upgrade->close_code, upgrade->detail);
      choir_gateway_count_refusal (self, upgrade);
    }
  else
    started = start_session (self, connection, upgrade);

  if (started && len > 0)
    choir_connection_feed (connection, data, len);
}
