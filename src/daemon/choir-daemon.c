/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-daemon.h"

#include "choir-admin.h"
#include "choir-check.h"
#include "choir-clock.h"
#include "choir-container.h"
#include "choir-directory-store.h"
#include "choir-event-stream.h"
#include "choir-gateway.h"
#include "choir-hub.h"
#include "choir-keys.h"
#include "choir-listener.h"
#include "choir-log.h"
#include "choir-sd.h"
#include "choir-session.h"
#include "choir-signals.h"
#include "choir-stores.h"

#include <signal.h>
#include <string.h>

/* Fine enough for heartbeats and rate limits, coarse enough to cost nothing */
#define WHEEL_TICK_MS 20
#define STATUS_US (5 * G_USEC_PER_SEC)
/* For those who have just connected to be told that they are too late */
#define LATE_MS 500
/* After the drain: until the last close frames are through */
#define FLUSH_US (2 * G_USEC_PER_SEC)

/* While it drains, it asks for so much more time, so often; what comes after takes less */
#define STOP_EXTEND_US (30 * G_USEC_PER_SEC)
#define STOP_EXTEND_EVERY_US (2 * G_USEC_PER_SEC)

/* After the last connection: until what changed lately has its snapshots */
#define STORE_CLOSE_US (5 * G_USEC_PER_SEC)

struct _ChoirDaemon
{
  GObject parent_instance;

  ChoirConfig *config;         /* (owned) */
  ChoirCounters *counters;     /* (owned) */
  ChoirTimerWheel *wheel;      /* (owned) */
  ChoirReactor *reactor;       /* (owned) */
  ChoirSignals *signals;       /* (owned) */
  ChoirVerifier *verifier;     /* (owned) */
  ChoirDirectoryMemory *users; /* (owned) (nullable): known-users */
  ChoirHub *hub;               /* (owned) */
  ChoirStore *store;           /* (owned) */
  ChoirGateway *gateway;       /* (owned) */
  ChoirHttpServer *http;       /* (owned) */
  ChoirListener *listener;     /* (owned) */
  ChoirAdmin *admin;           /* (owned) */
  GMainLoop *loop;             /* (owned) */
  ChoirTimer status_timer;
  ChoirTimer watchdog_timer;
  ChoirTimer extend_timer;
  ChoirTimer drain_timer; /* armed: a drain was asked for and has not begun */
  gint64 drain_due_us;    /* monotonic: when it begins */
  gint64 watchdog_us;
  gboolean stopping;
};

G_DEFINE_FINAL_TYPE (ChoirDaemon, choir_daemon, G_TYPE_OBJECT)

static void
choir_daemon_finalize (GObject *object)
{
  ChoirDaemon *self = CHOIR_DAEMON (object);

  choir_timer_disarm (&self->status_timer);
  choir_timer_disarm (&self->watchdog_timer);
  choir_timer_disarm (&self->extend_timer);
  choir_timer_disarm (&self->drain_timer);
  g_clear_pointer (&self->admin, choir_admin_free);
  g_clear_pointer (&self->listener, choir_listener_free);
  g_clear_pointer (&self->http, choir_http_server_free);
  g_clear_pointer (&self->signals, choir_signals_free);
  g_clear_pointer (&self->reactor, choir_reactor_free);
  g_clear_pointer (&self->gateway, choir_gateway_free);
  g_clear_object (&self->hub);
  g_clear_object (&self->store);
  g_clear_object (&self->users);
  g_clear_object (&self->verifier);
  g_clear_pointer (&self->wheel, choir_timer_wheel_free);
  g_clear_pointer (&self->counters, choir_counters_free);
  g_clear_pointer (&self->loop, g_main_loop_unref);
  g_clear_object (&self->config);

  G_OBJECT_CLASS (choir_daemon_parent_class)->finalize (object);
}

static void
choir_daemon_class_init (ChoirDaemonClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = choir_daemon_finalize;
}

static void
choir_daemon_init (ChoirDaemon *self)
{
  self->loop = g_main_loop_new (NULL, FALSE);
}

/**
 * choir_daemon_new:
 * @config: loaded
 *
 * Returns: (transfer full): a daemon that does nothing yet
 */
ChoirDaemon *
choir_daemon_new (ChoirConfig *config)
{
  ChoirDaemon *self = g_object_new (CHOIR_TYPE_DAEMON, NULL);

  self->config = g_object_ref (config);

  return self;
}

/* `ID` or `ID:inactive` */
static void
fill_directory (ChoirDaemon *self)
{
  const char *const *known = choir_config_get_list (self->config, "auth", "known-users");

  choir_directory_memory_clear (self->users);

  for (; known != NULL && *known != NULL; known++)
    {
      g_autofree char *id = g_strdup (*known);
      gboolean active = !g_str_has_suffix (id, ":inactive");

      if (!active)
        id[strlen (id) - strlen (":inactive")] = '\0';
      choir_directory_memory_set (self->users, id, active);
    }
}

static void
status_cb (ChoirTimer *timer)
{
  ChoirDaemon *self = CHOIR_CONTAINER_OF (timer, ChoirDaemon, status_timer);

  choir_sd_notify ("STATUS=%u connections of %u users, %u channels",
                   choir_hub_get_n_connections (self->hub), choir_hub_get_n_users (self->hub),
                   choir_hub_get_n_channels (self->hub));
  choir_timer_wheel_arm (self->wheel, timer, STATUS_US, status_cb);
}

static void
watchdog_cb (ChoirTimer *timer)
{
  ChoirDaemon *self = CHOIR_CONTAINER_OF (timer, ChoirDaemon, watchdog_timer);

  choir_sd_notify ("WATCHDOG=1");
  choir_timer_wheel_arm (self->wheel, timer, self->watchdog_us, watchdog_cb);
}

/* NULL: a good token is enough */
static ChoirDirectory *
make_directory (ChoirDaemon *self)
{
  if (choir_config_get_choice (self->config, "auth", "users") != CHOIR_USERS_STORE)
    return NULL;

  self->users = choir_directory_memory_new ();
  fill_directory (self);

  return choir_directory_store_new (self->store, self->users);
}

static gboolean
start_hub (ChoirDaemon *self, GError **error)
{
  g_autoptr (ChoirDirectory) directory = NULL;

  self->counters = choir_counters_new ();
  self->wheel = choir_timer_wheel_new (NULL, WHEEL_TICK_MS);
  self->verifier = choir_keys_load (self->config, error);
  if (self->verifier == NULL)
    return FALSE;

  self->store = choir_stores_open (self->config, error);
  if (self->store == NULL)
    return FALSE;

  directory = make_directory (self);
  self->hub =
    choir_hub_new (self->config, self->verifier, directory, self->wheel, self->counters, error);
  if (self->hub == NULL)
    return FALSE;

  choir_hub_set_store (self->hub, self->store);

  return TRUE;
}

static void
loaded_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

/* Before anybody can come in it is known who may not */
static gboolean
load_blocklist (ChoirDaemon *self, GError **error)
{
  ChoirBlocklist *blocklist = choir_hub_get_blocklist (self->hub);
  g_autoptr (GAsyncResult) result = NULL;

  choir_blocklist_load_async (blocklist, self->store, NULL, loaded_cb, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);

  return choir_blocklist_load_finish (blocklist, result, error);
}

/* Before anybody can ask for a task, those that were left are there */
static gboolean
load_tasks (ChoirDaemon *self, GError **error)
{
  ChoirTaskTable *tasks = choir_hub_get_tasks (self->hub);
  g_autoptr (GAsyncResult) result = NULL;

  choir_task_table_load_async (tasks, NULL, loaded_cb, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);

  return choir_task_table_load_finish (tasks, result, error);
}

static void
signal_cb (int signal_number, gpointer user_data)
{
  if (signal_number == SIGHUP)
    choir_daemon_reload (user_data);
  else
    choir_daemon_stop (user_data);
}

static gboolean
start_net (ChoirDaemon *self, GError **error)
{
  self->reactor = choir_reactor_new (NULL, error);
  if (self->reactor == NULL)
    return FALSE;

  self->signals = choir_signals_new (self->reactor, signal_cb, self, error);
  if (self->signals == NULL)
    return FALSE;

  self->gateway = choir_gateway_new (self->config, self->hub, self->reactor, self->counters, error);
  if (self->gateway == NULL)
    return FALSE;

  self->http = choir_http_server_new (self->gateway);
  self->listener = choir_listener_new (self->gateway, self->http);

  return choir_listener_open (self->listener, error);
}

static gboolean
apply_reload (ChoirDaemon *self, GError **error)
{
  g_autoptr (ChoirConfig) found = choir_config_read_again (self->config, error);
  ChoirLogLevel level;

  if (found == NULL || !choir_check_config (found, error))
    return FALSE;

  if (!choir_config_reload (self->config, error) ||
      !choir_keys_reload (self->config, self->verifier, error) ||
      !choir_hub_configure (self->hub, error) || !choir_gateway_configure (self->gateway, error) ||
      !choir_listener_configure (self->listener, error))
    return FALSE;

  if (self->users != NULL)
    fill_directory (self);

  if (choir_log_level_parse (choir_config_get_string (self->config, "log", "level"), &level, NULL))
    choir_log_set_level (level);

  return TRUE;
}

/* If it can't be used, what was goes on, and the log says why */
static gboolean
reload (ChoirDaemon *self, GError **error)
{
  g_autoptr (GError) failure = NULL;
  g_autofree char *text = NULL;
  gboolean done;

  choir_sd_notify ("RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT, choir_clock_monotonic_us ());
  done = apply_reload (self, &failure);
  choir_sd_notify ("READY=1");

  if (done)
    {
      choir_log (CHOIR_LOG_LEVEL_NOTICE, "configuration reloaded", NULL);
      return TRUE;
    }

  text = g_strdup_printf ("configuration not reloaded: %s", failure->message);
  choir_log (CHOIR_LOG_LEVEL_ERROR, text, NULL);
  g_propagate_error (error, g_steal_pointer (&failure));

  return FALSE;
}

static gboolean
host_reload (gpointer user_data, GError **error)
{
  return reload (user_data, error);
}

/* 1 from the moment on that balancers are to send nobody */
static void
show_draining (ChoirDaemon *self, gboolean draining)
{
  ChoirCounterFamily *family =
    choir_counters_add (self->counters, CHOIR_GAUGE, "choir_draining", NULL,
                        "1 while clients leave, or are about to", NULL);

  *choir_counter_family_get_cell (family, NULL) = draining;
}

static void
drain_cb (ChoirTimer *timer)
{
  ChoirDaemon *self = CHOIR_CONTAINER_OF (timer, ChoirDaemon, drain_timer);

  if (!self->stopping)
    choir_daemon_stop (self);
}

static void
host_drain (gpointer user_data, guint64 after_ms)
{
  ChoirDaemon *self = user_data;
  gint64 after_us = (gint64) after_ms * 1000;
  gint64 due_us = choir_clock_monotonic_us () + after_us;

  /* a drain that was announced is not put off */
  if (self->stopping || (self->gateway->leaving && self->drain_due_us <= due_us))
    return;

  self->gateway->leaving = TRUE;
  show_draining (self, TRUE);
  self->drain_due_us = due_us;
  choir_timer_wheel_arm (self->wheel, &self->drain_timer, after_us, drain_cb);
}

static const ChoirAdminHost admin_host = { host_reload, host_drain };

/**
 * choir_daemon_start:
 * @self: a new daemon
 * @error: return location: %CHOIR_ERROR_CONFIG mostly
 *
 * Opens everything; from now on clients are served whenever the loop runs.
 *
 * Returns: %FALSE if something can't be opened: the daemon is good for nothing then
 */
gboolean
choir_daemon_start (ChoirDaemon *self, GError **error)
{
  if (!start_hub (self, error) || !load_blocklist (self, error) || !load_tasks (self, error) ||
      !start_net (self, error))
    return FALSE;

  self->admin = choir_admin_new (self->hub, self->counters, &admin_host, self);
  choir_admin_start (self->admin, choir_config_get_choice (self->config, "bus", "bus"),
                     choir_config_get_string (self->config, "bus", "name"));
  show_draining (self, FALSE);
  self->gateway->ready = TRUE;

  status_cb (&self->status_timer);
  self->watchdog_us = choir_sd_get_watchdog_us ();
  if (self->watchdog_us > 0)
    watchdog_cb (&self->watchdog_timer);

  choir_sd_notify ("READY=1");
  choir_log (CHOIR_LOG_LEVEL_NOTICE, "ready", NULL);

  return TRUE;
}

/**
 * choir_daemon_reload:
 * @self: a started daemon
 *
 * Reads the configuration again. If it can't be used, what was goes on, and the log says why.
 */
void
choir_daemon_reload (ChoirDaemon *self)
{
  reload (self, NULL);
}

/* However long clients are given: a loop that still turns is not to be killed */
static void
extend_cb (ChoirTimer *timer)
{
  ChoirDaemon *self = CHOIR_CONTAINER_OF (timer, ChoirDaemon, extend_timer);

  choir_sd_notify ("EXTEND_TIMEOUT_USEC=%" G_GINT64_FORMAT, (gint64) STOP_EXTEND_US);
  choir_timer_wheel_arm (self->wheel, timer, STOP_EXTEND_EVERY_US, extend_cb);
}

static void
drained_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  ChoirDaemon *self = user_data;
  g_autoptr (GError) error = NULL;

  if (!choir_hub_drain_finish (CHOIR_HUB (source), result, &error))
    choir_log (CHOIR_LOG_LEVEL_WARNING, error->message, NULL);

  g_main_loop_quit (self->loop);
}

/**
 * choir_daemon_stop:
 * @self: a started daemon
 *
 * The first call lets clients leave in an orderly way, the second stops at once.
 */
void
choir_daemon_stop (ChoirDaemon *self)
{
  if (self->stopping)
    {
      g_main_loop_quit (self->loop);
      return;
    }

  self->stopping = TRUE;
  show_draining (self, TRUE);
  choir_log (CHOIR_LOG_LEVEL_NOTICE, "stopping", NULL);
  choir_sd_notify ("STOPPING=1");
  extend_cb (&self->extend_timer);
  choir_hub_drain_async (self->hub, NULL, drained_cb, self);
}

/* @link: (nullable): whatever has not ended by itself */
static void
abort_link (ChoirLink *link)
{
  if (link != NULL && CHOIR_IS_EVENT_STREAM (link))
    choir_event_stream_abort (CHOIR_EVENT_STREAM (link));
  else if (link != NULL)
    choir_connection_abort (CHOIR_CONNECTION (link));
}

static gboolean
late_cb (gpointer user_data)
{
  *(gboolean *) user_data = TRUE;

  return G_SOURCE_REMOVE;
}

/* Who was let in and is cut off without an answer takes that for a fault */
static void
finish_requests (ChoirDaemon *self)
{
  gboolean late = FALSE;
  guint late_id = g_timeout_add (LATE_MS, late_cb, &late);

  choir_listener_close (self->listener);
  while (!late && (choir_listener_get_n_arriving (self->listener) > 0 ||
                   choir_http_server_get_n_peers (self->http) > 0))
    g_main_context_iteration (NULL, TRUE);

  if (!late)
    g_source_remove (late_id);
}

/* Lets close frames out and connections end: the hub must be empty before it goes */
static void
finish_connections (ChoirDaemon *self)
{
  gint64 deadline_us = choir_clock_monotonic_us () + FLUSH_US;

  choir_hub_shutdown (self->hub);

  while (choir_hub_get_n_sessions (self->hub) > 0 && choir_clock_monotonic_us () < deadline_us)
    g_main_context_iteration (NULL, TRUE);

  while (choir_hub_get_n_sessions (self->hub) > 0)
    {
      guint n = choir_hub_get_n_sessions (self->hub);

      for (guint i = 0; i < n; i++)
        abort_link (choir_session_get_link (choir_hub_get_session (self->hub, i)));
      g_main_context_iteration (NULL, FALSE);
    }
}

static void
documents_closed_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(gboolean *) user_data = TRUE;
}

/* What was changed is stored already; this takes the snapshots that make the next start quick */
static void
close_documents (ChoirDaemon *self)
{
  gint64 deadline_us = choir_clock_monotonic_us () + STORE_CLOSE_US;
  gboolean closed = FALSE;

  choir_document_table_close_async (choir_hub_get_documents (self->hub), NULL, documents_closed_cb,
                                    &closed);
  while (!closed && choir_clock_monotonic_us () < deadline_us)
    g_main_context_iteration (NULL, TRUE);
}

/* What was published in the last moment is handed to the store, and told to who waits for it */
static void
close_logs (ChoirDaemon *self)
{
  gint64 deadline_us = choir_clock_monotonic_us () + STORE_CLOSE_US;

  while (choir_hub_get_n_unstored (self->hub) > 0 && choir_clock_monotonic_us () < deadline_us)
    g_main_context_iteration (NULL, TRUE);
}

/**
 * choir_daemon_run:
 * @self: a started daemon
 *
 * Serves until choir_daemon_stop().
 */
void
choir_daemon_run (ChoirDaemon *self)
{
  g_main_loop_run (self->loop);

  choir_admin_stop (self->admin);
  finish_requests (self);
  choir_listener_stop (self->listener);
  choir_http_server_close_all (self->http);
  finish_connections (self);
  close_logs (self);
  close_documents (self);
  choir_stores_close (self->store, STORE_CLOSE_US);
}

/**
 * choir_daemon_dup_addresses:
 * @self: a started daemon
 *
 * Returns: (transfer full): what is listened on
 */
char **
choir_daemon_dup_addresses (ChoirDaemon *self)
{
  return choir_listener_dup_addresses (self->listener);
}
