/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-hub-private.h"

#include "choir-chat.h"
#include "choir-clock.h"
#include "choir-close-code.h"
#include "choir-container.h"
#include "choir-error.h"
#include "choir-handlers.h"
#include "choir-names.h"
#include "choir-session.h"

#include <string.h>

#define RECLAIM_US (100 * 1000)

G_DEFINE_FINAL_TYPE (ChoirHub, choir_hub, G_TYPE_OBJECT)

/* Who waits for the store is told that it is over, while there is still something to tell it with
 */
static void
abandon_logs (ChoirHub *self)
{
  GHashTableIter iter;
  gpointer channel;

  if (self->logs == NULL)
    return;

  choir_log_keeper_close (self->logs);
  g_hash_table_iter_init (&iter, self->channels);
  while (g_hash_table_iter_next (&iter, NULL, &channel))
    g_clear_pointer (&((ChoirChannel *) channel)->log, choir_channel_log_free);
}

static void
choir_hub_dispose (GObject *object)
{
  choir_hub_end_waiting (CHOIR_HUB (object));

  G_OBJECT_CLASS (choir_hub_parent_class)->dispose (object);
}

static void
choir_hub_finalize (GObject *object)
{
  ChoirHub *self = CHOIR_HUB (object);

  g_assert (self->sessions->len == 0);

  choir_timer_disarm (&self->sweep_timer);
  choir_timer_disarm (&self->drain_timer);
  g_clear_pointer (&self->chat, choir_chat_free);
  abandon_logs (self);
  g_clear_pointer (&self->tasks, choir_task_table_free);
  g_clear_pointer (&self->documents, choir_document_table_free);
  g_clear_object (&self->store);
  g_clear_pointer (&self->turn, choir_turn_free);
  g_ptr_array_unref (self->sessions);
  g_hash_table_unref (self->by_connection);
  g_hash_table_unref (self->by_session);
  g_hash_table_unref (self->channels);
  g_clear_pointer (&self->logs, choir_log_keeper_free);
  g_clear_pointer (&self->keys, choir_idempotency_free);
  g_hash_table_unref (self->users);
  if (self->blocklist != NULL)
    choir_hub_drop_blocklist (self);
  g_clear_pointer (&self->router, choir_router_free);
  g_clear_pointer (&self->stats, choir_stats_free);
  g_clear_pointer (&self->namespaces, choir_namespace_table_free);
  g_clear_object (&self->broadcaster);
  g_clear_object (&self->verifier);
  g_clear_object (&self->directory);
  g_clear_object (&self->config);
  choir_settings_clear (&self->settings);
  g_free (self->node);

  G_OBJECT_CLASS (choir_hub_parent_class)->finalize (object);
}

static void
choir_hub_class_init (ChoirHubClass *klass)
{
  G_OBJECT_CLASS (klass)->dispose = choir_hub_dispose;
  G_OBJECT_CLASS (klass)->finalize = choir_hub_finalize;
}

/* The budget of all logs is used up: whoever has most gives half of it. At most ten times a second,
 * for it looks at every channel; in between a channel that grows drops its own oldest */
static void
reclaim_history (gpointer user_data)
{
  ChoirHub *self = user_data;
  gint64 now_us = choir_clock_monotonic_us ();
  ChoirChannel *largest = NULL;
  GHashTableIter iter;
  gpointer channel;

  if (self->reclaimed_us != 0 && now_us - self->reclaimed_us < RECLAIM_US)
    return;

  self->reclaimed_us = now_us;
  g_hash_table_iter_init (&iter, self->channels);
  while (g_hash_table_iter_next (&iter, NULL, &channel))
    if (largest == NULL || ((ChoirChannel *) channel)->n_bytes > largest->n_bytes)
      largest = channel;

  if (largest == NULL)
    return;

  choir_channel_halve (largest);
  choir_hub_report_overload (self, "history", "channel", largest->name);
}

static void
choir_hub_init (ChoirHub *self)
{
  self->sessions = g_ptr_array_new ();
  self->by_connection = g_hash_table_new (g_str_hash, g_str_equal);
  self->by_session = g_hash_table_new (g_str_hash, g_str_equal);
  self->users =
    g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) choir_user_free);
  self->channels =
    g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) choir_channel_free);
  self->broadcaster = choir_broadcaster_new ();
  self->turn = choir_turn_new (NULL);
  self->history.reclaim = reclaim_history;
  self->history.user_data = self;
}

static char *
make_node_name (ChoirConfig *config)
{
  const char *configured = choir_config_get_string (config, "server", "node");

  if (configured != NULL && *configured != '\0')
    return g_strdup (configured);

  return g_strdup_printf ("%s-%08x", g_get_host_name (), choir_id_random ());
}

/**
 * choir_hub_new:
 * @config: the configuration
 * @verifier: checks tokens
 * @directory: (nullable): knows the users; %NULL: a good token is enough
 * @wheel: the deadlines; must outlive the hub
 * @counters: the figures; must outlive the hub
 * @error: return location: %CHOIR_ERROR_CONFIG
 *
 * Returns: (transfer full): a hub, or %NULL
 */
ChoirHub *
choir_hub_new (ChoirConfig *config,
               ChoirVerifier *verifier,
               ChoirDirectory *directory,
               ChoirTimerWheel *wheel,
               ChoirCounters *counters,
               GError **error)
{
  g_autoptr (ChoirHub) self = g_object_new (CHOIR_TYPE_HUB, NULL);

  self->config = g_object_ref (config);
  self->verifier = g_object_ref (verifier);
  self->directory = directory != NULL ? g_object_ref (directory) : NULL;
  self->wheel = wheel;
  self->stats = choir_stats_new (counters);
  choir_hub_make_blocklist (self);
  self->waiting.sessions = self->stats->waiting;
  self->waiting.bytes = self->stats->waiting_bytes;
  self->router = choir_router_new (self->stats);
  self->namespaces = choir_namespace_table_new (config);
  self->chat = choir_chat_new (self);
  self->tasks = choir_task_table_new (self);
  self->node = make_node_name (config);
  choir_handlers_register (self->router);

  if (!choir_hub_configure (self, error))
    return NULL;

  choir_hub_start_sweeping (self);

  return g_steal_pointer (&self);
}

/* A namespace that got its section with a reload takes over the channels it has already */
static void
move_channels (ChoirHub *self)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, self->channels);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      ChoirChannel *channel = value;

      channel->ns->n_channels--;
      channel->ns = choir_namespace_table_lookup (self->namespaces, channel->name);
      channel->ns->n_channels++;
    }
}

/**
 * choir_hub_configure:
 * @self: a hub
 * @error: return location: %CHOIR_ERROR_CONFIG
 *
 * Reads the configuration again, after a reload. What is open stays open.
 *
 * Returns: %FALSE if it makes no sense; all stays as it was
 */
gboolean
choir_hub_configure (ChoirHub *self, GError **error)
{
  ChoirSettings settings = { 0 };

  if (!choir_settings_read (&settings, self->config, error))
    return FALSE;

  choir_settings_clear (&self->settings);
  self->settings = settings;
  self->history.max_bytes = choir_config_get_size (self->config, "protocol", "max-history-bytes");
  choir_namespace_table_configure (self->namespaces, self->config);
  move_channels (self);
  choir_task_table_configure (self->tasks, self->config);
  choir_blocklist_configure (self->blocklist, self->settings.keep_revoked_us);
  if (self->documents != NULL)
    choir_document_table_configure (self->documents, self->config);
  choir_broadcaster_set_compression_threshold (
    self->broadcaster, choir_config_get_size (self->config, "protocol", "compression-threshold"));
  for (guint i = 0; i < CHOIR_N_DIALECTS; i++)
    if (choir_dialect_get_table (choir_dialect_get (i))->bounded_out)
      choir_broadcaster_set_limit (self->broadcaster, i,
                                   self->settings.dialects[i].max_message_size,
                                   self->stats->errors[CHOIR_ERROR_TOO_LARGE]);

  for (char **event = self->settings.events; event != NULL && *event != NULL; event++)
    choir_stats_add_type (self->stats, *event);

  return TRUE;
}

/**
 * choir_hub_set_store:
 * @self: a hub without a store
 * @store: where what must survive is kept
 *
 * From now on there are documents, and channels that outlive the service.
 */
void
choir_hub_set_store (ChoirHub *self, ChoirStore *store)
{
  g_return_if_fail (self->documents == NULL);

  self->store = g_object_ref (store);
  self->logs = choir_log_keeper_new (self, store);
  self->documents = choir_document_table_new (self, store);
  choir_document_table_configure (self->documents, self->config);
  choir_task_table_set_store (self->tasks, store);
}

/**
 * choir_hub_shutdown:
 * @self: a hub
 *
 * Closes every session at once, with 1012; those that wait for their client end.
 */
void
choir_hub_shutdown (ChoirHub *self)
{
  self->draining = TRUE;
  choir_hub_end_waiting (self);

  for (guint i = 0; i < self->sessions->len; i++)
    choir_session_close (g_ptr_array_index (self->sessions, i), CHOIR_CLOSE_RESTART,
                         "Service restart");
}

const ChoirSettings *
choir_hub_get_settings (ChoirHub *self)
{
  return &self->settings;
}

ChoirStats *
choir_hub_get_stats (ChoirHub *self)
{
  return self->stats;
}

ChoirBroadcaster *
choir_hub_get_broadcaster (ChoirHub *self)
{
  return self->broadcaster;
}

ChoirRouter *
choir_hub_get_router (ChoirHub *self)
{
  return self->router;
}

ChoirTimerWheel *
choir_hub_get_wheel (ChoirHub *self)
{
  return self->wheel;
}

ChoirTurn *
choir_hub_get_turn (ChoirHub *self)
{
  return self->turn;
}

ChoirVerifier *
choir_hub_get_verifier (ChoirHub *self)
{
  return self->verifier;
}

ChoirDirectory *
choir_hub_get_directory (ChoirHub *self)
{
  return self->directory;
}

ChoirStore *
choir_hub_get_store (ChoirHub *self)
{
  return self->store;
}

ChoirDocumentTable *
choir_hub_get_documents (ChoirHub *self)
{
  return self->documents;
}

ChoirTaskTable *
choir_hub_get_tasks (ChoirHub *self)
{
  return self->tasks;
}

const char *
choir_hub_get_node (ChoirHub *self)
{
  return self->node;
}

ChoirNamespace *
choir_hub_get_namespace (ChoirHub *self, const char *channel)
{
  ChoirChannel *open = choir_hub_find_channel (self, channel);

  if (open != NULL)
    return open->ns;

  return choir_namespace_table_lookup (self->namespaces, channel);
}

/**
 * choir_hub_admit:
 * @self: a hub
 * @dialect: the contract a new client speaks
 * @user_id: (nullable): who it is, if that is known already
 *
 * Returns: whether there is room for it (contracts.md: the limits of each)
 */
ChoirAdmit
choir_hub_admit (ChoirHub *self, ChoirDialectId dialect, const char *user_id)
{
  const ChoirDialectSettings *settings = &self->settings.dialects[dialect];
  ChoirUser *user;

  if (self->draining)
    return CHOIR_ADMIT_DRAINING;

  if (choir_hub_get_n_connections (self) >= self->settings.max_connections ||
      self->dialect_sessions[dialect] >= settings->max_connections)
    return CHOIR_ADMIT_FULL;

  if (user_id == NULL || settings->max_per_user == 0 ||
      settings->per_user_policy != CHOIR_PER_USER_REJECT)
    return CHOIR_ADMIT_OK;

  user = choir_hub_find_user (self, user_id);

  return user != NULL && choir_user_count_staying (user) >= settings->max_per_user
           ? CHOIR_ADMIT_USER_FULL
           : CHOIR_ADMIT_OK;
}

ChoirChannel *
choir_hub_find_channel (ChoirHub *self, const char *name)
{
  return g_hash_table_lookup (self->channels, name);
}

guint
choir_hub_get_n_channels (ChoirHub *self)
{
  return g_hash_table_size (self->channels);
}

/**
 * choir_hub_ensure_channel:
 * @self: a hub
 * @name: a valid channel name
 * @error: return location: %CHOIR_ERROR_UNAVAILABLE if the namespace's `max-channels` are in memory
 *
 * Returns: (transfer none): the channel, made if it was not there. One that stays unused is given
 * back with choir_hub_release_channel().
 */
ChoirChannel *
choir_hub_ensure_channel (ChoirHub *self, const char *name, GError **error)
{
  ChoirChannel *channel = choir_hub_find_channel (self, name);
  ChoirNamespace *ns;

  if (channel != NULL)
    return channel;

  ns = choir_hub_get_namespace (self, name);
  if (ns->n_channels >= ns->max_channels)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE,
                           "Too many channels of this kind are open");
      return NULL;
    }

  channel = choir_channel_new (name, ns, &self->history);
  g_hash_table_insert (self->channels, channel->name, channel);
  *self->stats->channels += 1;
  if (choir_hub_keeps_log (self, name, ns))
    channel->log = choir_channel_log_new (self->logs, channel);

  return channel;
}

/**
 * choir_hub_release_channel:
 * @self: a hub
 * @channel: a channel the caller no longer uses
 *
 * Frees it if nobody would notice.
 */
void
choir_hub_release_channel (ChoirHub *self, ChoirChannel *channel)
{
  if (!choir_channel_is_disposable (channel))
    return;

  g_hash_table_remove (self->channels, channel->name);
  *self->stats->channels -= 1;
}

void
choir_hub_hold_channel (ChoirHub *self, ChoirChannel *channel)
{
  channel->n_holds++;
}

void
choir_hub_let_channel_go (ChoirHub *self, ChoirChannel *channel)
{
  channel->n_holds--;
  choir_hub_release_channel (self, channel);
}
