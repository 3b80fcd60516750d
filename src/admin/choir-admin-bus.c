/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-bus.h"

#include "choir-clock.h"
#include "choir-container.h"
#include "choir-id.h"
#include "choir-log.h"
#include "choir-names.h"

#define DELAY_MIN_US (G_USEC_PER_SEC / 4)
#define DELAY_MAX_US (30 * G_USEC_PER_SEC)
/* For the connection and its authentication, then for the name: a bus answers from its memory */
#define ANSWER_TIMEOUT_US (15 * G_USEC_PER_SEC)
/* What has been sent may take as long to leave, and the end of the connection again */
#define FAREWELL_MS 500

#define BUS_NAME "org.freedesktop.DBus"
#define BUS_PATH "/org/freedesktop/DBus"
/* D-Bus specification, RequestName */
#define BUS_IN_QUEUE 2

struct _ChoirAdminBus
{
  ChoirTimerWheel *wheel;          /* borrowed */
  const ChoirAdminBusFuncs *funcs; /* borrowed */
  gpointer user_data;              /* of @funcs */
  GBusType type;
  char *name;                  /* (owned) */
  GCancellable *cancellable;   /* (owned): of what is asked of this connection, or of the attempt */
  GDBusConnection *connection; /* (owned) (nullable): as long as it is of use */
  gulong closed_id;            /* on it */
  guint acquired_id;           /* likewise */
  ChoirTimer timer;            /* of the next attempt, or of the end of this one */
  gint64 delay_us;             /* before the attempt after the next failure */
  gint64 joined_us;            /* monotonic: when the name, or a place in its queue, was given */
  gboolean missing;            /* that there is no bus was told */
  gboolean closing;
};

static void connect_again (ChoirAdminBus *self);

static void
clear_bus (gpointer data)
{
  ChoirAdminBus *self = data;

  g_object_unref (self->cancellable);
  g_free (self->name);
}

static void
bus_unref (ChoirAdminBus *self)
{
  g_rc_box_release_full (self, clear_bus);
}

typedef ChoirAdminBus ChoirAdminBusRef;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirAdminBusRef, bus_unref)

static void
renew_cancellable (ChoirAdminBus *self)
{
  g_cancellable_cancel (self->cancellable);
  g_object_unref (self->cancellable);
  self->cancellable = g_cancellable_new ();
}

static void
stop_listening (ChoirAdminBus *self)
{
  choir_timer_disarm (&self->timer);
  renew_cancellable (self);
  if (self->connection == NULL)
    return;

  g_signal_handler_disconnect (self->connection, self->closed_id);
  g_dbus_connection_signal_unsubscribe (self->connection, self->acquired_id);
}

/* (transfer full) (nullable): what there was */
static GDBusConnection *
leave (ChoirAdminBus *self)
{
  stop_listening (self);
  if (self->connection != NULL)
    self->funcs->left (self->user_data);

  return g_steal_pointer (&self->connection);
}

static void
retry_cb (ChoirTimer *timer)
{
  connect_again (CHOIR_CONTAINER_OF (timer, ChoirAdminBus, timer));
}

/* @error: (nullable) */
static void
give_up (ChoirAdminBus *self, const char *text, const GError *error)
{
  g_autoptr (GDBusConnection) connection = leave (self);
  gint64 now_us = choir_clock_monotonic_us ();

  if (connection != NULL)
    g_dbus_connection_close (connection, NULL, NULL, NULL);

  if (!self->missing)
    choir_log (CHOIR_LOG_LEVEL_WARNING, text, CHOIR_LOG_BUS_NAME, self->name, CHOIR_LOG_ERROR,
               error != NULL ? error->message : NULL, NULL);
  self->missing = TRUE;

  /* a bus that comes and goes is no reason for haste */
  if (self->joined_us != 0 && now_us - self->joined_us > DELAY_MAX_US)
    self->delay_us = DELAY_MIN_US;
  self->joined_us = 0;

  /* the services of one host do not all come at once */
  choir_timer_wheel_arm (
    self->wheel, &self->timer,
    self->delay_us / 2 + choir_id_random_range ((guint32) self->delay_us / 2 + 1), retry_cb);
  self->delay_us = MIN (self->delay_us * 2, DELAY_MAX_US);
}

static void
lose (ChoirAdminBus *self, const GError *error)
{
  give_up (self, "The bus is not there; the service goes on without administration", error);
}

static void
closed_cb (GDBusConnection *connection,
           gboolean remote_peer_vanished,
           GError *error,
           gpointer user_data)
{
  lose (user_data, error);
}

static void
acquired_cb (GDBusConnection *connection,
             const char *sender,
             const char *path,
             const char *interface,
             const char *signal,
             GVariant *parameters,
             gpointer user_data)
{
  ChoirAdminBus *self = user_data;

  self->joined_us = choir_clock_monotonic_us ();
  choir_log (self->missing ? CHOIR_LOG_LEVEL_NOTICE : CHOIR_LOG_LEVEL_INFO,
             self->missing ? "The bus is there again, and the name is acquired"
                           : "Name acquired on the bus",
             CHOIR_LOG_BUS_NAME, self->name, NULL);
  self->missing = FALSE;
}

static void
requested_cb (GObject *object, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirAdminBusRef) self = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) answer = NULL;
  guint32 code;

  answer = g_dbus_connection_call_finish (G_DBUS_CONNECTION (object), result, &error);
  if (G_DBUS_CONNECTION (object) != self->connection)
    return;

  if (answer == NULL)
    {
      give_up (self, "The bus does not give the name; the service goes on without administration",
               error);
      return;
    }

  /* of a name that was given a signal tells */
  g_variant_get (answer, "(u)", &code);
  if (code != BUS_IN_QUEUE)
    return;

  self->joined_us = choir_clock_monotonic_us ();
  self->missing = FALSE;
  choir_log (CHOIR_LOG_LEVEL_WARNING,
             "The name on the bus is another's; the service goes on without it", CHOIR_LOG_BUS_NAME,
             self->name, NULL);
}

static void
request_name (ChoirAdminBus *self)
{
  self->acquired_id = g_dbus_connection_signal_subscribe (
    self->connection, BUS_NAME, BUS_NAME, "NameAcquired", BUS_PATH, self->name,
    G_DBUS_SIGNAL_FLAGS_NONE, acquired_cb, self, NULL);
  g_dbus_connection_call (self->connection, BUS_NAME, BUS_PATH, BUS_NAME, "RequestName",
                          g_variant_new ("(su)", self->name, G_BUS_NAME_OWNER_FLAGS_NONE),
                          G_VARIANT_TYPE ("(u)"), G_DBUS_CALL_FLAGS_NONE, ANSWER_TIMEOUT_US / 1000,
                          self->cancellable, requested_cb, g_rc_box_acquire (self));
}

/* Looking for the address may start a program, and authentication waits for the bus */
static void
connect_thread (GTask *task, gpointer source, gpointer task_data, GCancellable *cancellable)
{
  g_autofree char *address = NULL;
  GDBusConnection *connection = NULL;
  GError *error = NULL;

  address = g_dbus_address_get_for_bus_sync (GPOINTER_TO_INT (task_data), cancellable, &error);
  if (address != NULL)
    connection =
      g_dbus_connection_new_for_address_sync (address,
                                              G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                                G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                              NULL, cancellable, &error);

  if (connection != NULL)
    g_task_return_pointer (task, connection, g_object_unref);
  else
    g_task_return_error (task, error);
}

static void
connected_cb (GObject *object, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirAdminBusRef) self = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GDBusConnection) connection = g_task_propagate_pointer (G_TASK (result), &error);

  if (self->closing)
    return;

  choir_timer_disarm (&self->timer);
  if (connection == NULL || g_dbus_connection_is_closed (connection))
    {
      lose (self, error);
      return;
    }

  if (!self->funcs->joined (connection, self->user_data, &error))
    {
      give_up (self, "Could not export the administration object on the bus", error);
      return;
    }

  self->connection = g_steal_pointer (&connection);
  self->closed_id = g_signal_connect (self->connection, "closed", G_CALLBACK (closed_cb), self);
  request_name (self);
}

/* The bus took the connection and nothing more comes of it: the attempt ends with an error */
static void
late_cb (ChoirTimer *timer)
{
  g_cancellable_cancel (CHOIR_CONTAINER_OF (timer, ChoirAdminBus, timer)->cancellable);
}

static void
connect_again (ChoirAdminBus *self)
{
  g_autoptr (GTask) task = NULL;

  renew_cancellable (self);
  task = g_task_new (NULL, self->cancellable, connected_cb, g_rc_box_acquire (self));
  g_task_set_source_tag (task, connect_again);
  g_task_set_task_data (task, GINT_TO_POINTER (self->type), NULL);
  choir_timer_wheel_arm (self->wheel, &self->timer, ANSWER_TIMEOUT_US, late_cb);
  g_task_run_in_thread (task, connect_thread);
}

/**
 * choir_admin_bus_new:
 * @wheel: (transfer none): must outlive it
 * @bus: which bus to be on; not %CHOIR_BUS_NONE
 * @name: under which name; should it be another's, it is taken over when that one leaves
 * @funcs: (transfer none): what is to happen there; not before this has returned
 * @user_data: for @funcs
 *
 * Returns: (transfer full): on its way to the bus
 */
ChoirAdminBus *
choir_admin_bus_new (ChoirTimerWheel *wheel,
                     ChoirBusChoice bus,
                     const char *name,
                     const ChoirAdminBusFuncs *funcs,
                     gpointer user_data)
{
  ChoirAdminBus *self = g_rc_box_new0 (ChoirAdminBus);

  self->wheel = wheel;
  self->funcs = funcs;
  self->user_data = user_data;
  self->type = bus == CHOIR_BUS_SYSTEM ? G_BUS_TYPE_SYSTEM : G_BUS_TYPE_SESSION;
  self->name = g_strdup (name);
  self->cancellable = g_cancellable_new ();
  self->delay_us = DELAY_MIN_US;
  connect_again (self);

  return self;
}

/* Farewell */

static void
done_cb (GObject *object, GAsyncResult *result, gpointer n_under_way)
{
  --*(guint *) n_under_way;
}

static gboolean
expired_cb (gpointer expired)
{
  *(gboolean *) expired = TRUE;

  return G_SOURCE_REMOVE;
}

static void
await (GMainContext *context, const guint *n_under_way)
{
  g_autoptr (GSource) timeout = g_timeout_source_new (FAREWELL_MS);
  gboolean expired = FALSE;

  g_source_set_callback (timeout, expired_cb, &expired, NULL);
  g_source_attach (timeout, context);
  while (*n_under_way > 0 && !expired)
    g_main_context_iteration (context, TRUE);
  g_source_destroy (timeout);
}

/* A bus that hangs takes nothing any more; closing ends what waits for it. Until then the objects
 * stay: who calls in this moment hears from the bus that the service has gone, not from GDBus that
 * there is no such object. */
static void
flush_and_close (GDBusConnection *connection)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  guint n_under_way = 1;

  g_main_context_push_thread_default (context);
  g_dbus_connection_flush (connection, NULL, done_cb, &n_under_way);
  await (context, &n_under_way);
  n_under_way++;
  g_dbus_connection_close (connection, NULL, done_cb, &n_under_way);
  await (context, &n_under_way);
  g_main_context_pop_thread_default (context);
}

/**
 * choir_admin_bus_free:
 * @self: (transfer full): a place on a bus, which is left
 *
 * What has been sent is on its way when this returns, unless the bus does not take it in time.
 */
void
choir_admin_bus_free (ChoirAdminBus *self)
{
  self->closing = TRUE;
  stop_listening (self);
  if (self->connection != NULL)
    {
      flush_and_close (self->connection);
      self->funcs->left (self->user_data);
      g_clear_object (&self->connection);
    }
  bus_unref (self);
}
