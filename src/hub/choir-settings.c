/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-settings.h"

static ChoirRateRule *
read_rate (ChoirConfig *config, const char *group, const char *key, GError **error)
{
  ChoirRateRule *rule;
  GError *local = NULL;

  rule = choir_rate_rule_parse (choir_config_get_string (config, group, key), &local);
  if (local != NULL)
    g_propagate_prefixed_error (error, local, "[%s] %s: ", group, key);

  return rule;
}

static gboolean
read_dialect (ChoirDialectSettings *self, ChoirConfig *config, ChoirDialectId id, GError **error)
{
  g_autofree char *group =
    g_strconcat ("dialect ", choir_dialect_get_table (choir_dialect_get (id))->name, NULL);
  GError *local = NULL;

  self->rate = read_rate (config, group, "rate", &local);
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return FALSE;
    }

  self->rate_scope = choir_config_get_choice (config, group, "rate-scope");
  self->burst_queue = choir_config_get_uint (config, group, "burst-queue");
  self->max_message_size = choir_config_get_size (config, group, "max-message-size");
  self->heartbeat_us = choir_config_get_duration_us (config, group, "heartbeat-interval");
  self->idle_us = choir_config_get_duration_us (config, group, "idle-timeout");
  self->max_connections = choir_config_get_uint (config, group, "max-connections");
  self->max_per_user = choir_config_get_uint (config, group, "max-connections-per-user");
  self->per_user_policy = choir_config_get_choice (config, group, "per-user-policy");

  return TRUE;
}

static gboolean
read_rates (ChoirSettings *self, ChoirConfig *config, GError **error)
{
  GError *local = NULL;

  self->class_rates[CHOIR_RATE_CURSOR] = read_rate (config, "rate", "cursor", &local);
  if (local == NULL)
    self->class_rates[CHOIR_RATE_DOCUMENT] = read_rate (config, "rate", "document", &local);
  if (local == NULL)
    self->class_rates[CHOIR_RATE_CHUNK] = read_rate (config, "rate", "chunk", &local);

  for (guint i = 0; i < CHOIR_N_DIALECTS && local == NULL; i++)
    read_dialect (&self->dialects[i], config, i, &local);

  if (local == NULL)
    return TRUE;

  g_propagate_error (error, local);
  return FALSE;
}

/* A message that was streamed goes to some as a whole: it must fit their queues, beside others */
static void
read_chat (ChoirSettings *self, ChoirConfig *config)
{
  self->chat = (ChoirChatSettings){
    .max_message =
      MIN (choir_config_get_size (config, "chat", "max-message"), self->outbox.max_bytes / 2),
    .max_bytes = choir_config_get_size (config, "chat", "max-bytes"),
    .max_streams = choir_config_get_uint (config, "chat", "max-streams"),
    .stream_us = choir_config_get_duration_us (config, "chat", "stream-timeout"),
    .typing_us = choir_config_get_duration_us (config, "chat", "typing-timeout"),
  };
}

/**
 * choir_settings_read:
 * @self: empty settings
 * @config: the configuration
 * @error: return location: %CHOIR_ERROR_CONFIG
 *
 * Returns: %FALSE if a value makes no sense; @self is empty then
 */
gboolean
choir_settings_read (ChoirSettings *self, ChoirConfig *config, GError **error)
{
  if (!read_rates (self, config, error))
    {
      choir_settings_clear (self);
      return FALSE;
    }

  self->sanitizer = (ChoirSanitizerRules){
    .escape_markup = choir_config_get_choice (config, "sanitize", "markup") == CHOIR_MARKUP_ESCAPE,
    .max_string = choir_config_get_uint (config, "sanitize", "max-string"),
    .max_array = choir_config_get_uint (config, "sanitize", "max-array"),
    .max_depth = choir_config_get_uint (config, "sanitize", "max-depth"),
  };
  self->json = (ChoirJsonLimits){
    .max_depth = self->sanitizer.max_depth,
    .max_string = self->sanitizer.max_string,
    .max_array = self->sanitizer.max_array,
    .max_batch = choir_config_get_uint (config, "protocol", "max-batch"),
  };
  self->outbox.max_bytes = choir_config_get_size (config, "protocol", "max-queue-bytes");
  read_chat (self, config);
  self->require_auth = choir_config_get_boolean (config, "auth", "require-auth");
  self->auth_timeout_us = choir_config_get_duration_us (config, "auth", "auth-timeout");
  self->leeway_us = choir_config_get_duration_us (config, "auth", "leeway");
  self->keep_revoked_us = choir_config_get_duration_us (config, "auth", "keep-revoked");
  self->drain_us = choir_config_get_duration_us (config, "server", "drain-timeout");
  self->member_idle_us = choir_config_get_duration_us (config, "document", "idle-after");
  self->batch_size = choir_config_get_uint (config, "protocol", "batch-size");
  self->max_subscriptions = choir_config_get_uint (config, "session", "max-subscriptions");
  self->resume_window_us = choir_config_get_duration_us (config, "session", "resume-window");
  self->max_waiting = choir_config_get_uint (config, "session", "max-waiting");
  self->max_waiting_bytes = choir_config_get_size (config, "session", "max-waiting-bytes");
  self->max_connections = choir_config_get_uint (config, "server", "max-connections");
  self->service_role = g_strdup (choir_config_get_string (config, "api", "service-role"));
  self->worker_role = g_strdup (choir_config_get_string (config, "task", "worker-role"));
  self->events = g_strdupv ((char **) choir_config_get_list (config, "events", "allowed"));

  return TRUE;
}

void
choir_settings_clear (ChoirSettings *self)
{
  for (guint i = 0; i < CHOIR_N_DIALECTS; i++)
    g_clear_pointer (&self->dialects[i].rate, choir_rate_rule_unref);

  for (guint i = 0; i < G_N_ELEMENTS (self->class_rates); i++)
    g_clear_pointer (&self->class_rates[i], choir_rate_rule_unref);

  g_clear_pointer (&self->service_role, g_free);
  g_clear_pointer (&self->worker_role, g_free);
  g_clear_pointer (&self->events, g_strfreev);
}

/**
 * choir_settings_allows_event:
 * @self: the settings
 * @event: a name a client wants to subscribe to
 *
 * Returns: whether it is one of `[events] allowed`
 */
gboolean
choir_settings_allows_event (const ChoirSettings *self, const char *event)
{
  return self->events != NULL && g_strv_contains ((const char *const *) self->events, event);
}
