/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-error.h"
#include "choir-admin-private.h"
#include "choir-clock.h"
#include "choir-log.h"
#include "choir-names.h"

/**
 * choir_admin_new:
 * @hub: (transfer none): what is watched and steered; a reference is taken
 * @counters: (transfer none): what GetStats shows; must outlive it
 * @host: what the service can do besides; must outlive it
 * @host_data: for @host
 *
 * Returns: (transfer full): not on any bus yet
 */
ChoirAdmin *
choir_admin_new (ChoirHub *hub,
                 ChoirCounters *counters,
                 const ChoirAdminHost *host,
                 gpointer host_data)
{
  ChoirAdmin *self = g_rc_box_new0 (ChoirAdmin);

  choir_admin_error_register ();
  self->hub = g_object_ref (hub);
  self->counters = counters;
  self->host = host;
  self->host_data = host_data;
  self->cancellable = g_cancellable_new ();
  self->started_us = choir_clock_wall_us ();
  self->since_us = choir_clock_monotonic_us ();
  self->watch = choir_admin_watch_new (self);
  self->traces = choir_admin_traces_new (hub);

  return self;
}

static void
clear_admin (gpointer data)
{
  ChoirAdmin *self = data;

  g_clear_pointer (&self->traces, choir_admin_traces_free);
  g_clear_pointer (&self->watch, choir_admin_watch_free);
  g_clear_pointer (&self->sampler, choir_admin_sampler_free);
  g_clear_pointer (&self->connections_growth, choir_admin_growth_free);
  g_clear_pointer (&self->users_growth, choir_admin_growth_free);
  g_clear_pointer (&self->channels_growth, choir_admin_growth_free);
  g_clear_object (&self->cancellable);
  g_clear_object (&self->hub);
}

ChoirAdmin *
choir_admin_ref (ChoirAdmin *self)
{
  return g_rc_box_acquire (self);
}

void
choir_admin_unref (ChoirAdmin *self)
{
  g_rc_box_release_full (self, clear_admin);
}

/**
 * choir_admin_free:
 * @self: (transfer full) (nullable): stopped first, if it was not
 */
void
choir_admin_free (ChoirAdmin *self)
{
  if (self == NULL)
    return;

  choir_admin_stop (self);
  choir_admin_unref (self);
}

static void
bus_acquired_cb (GDBusConnection *connection, const char *name, gpointer user_data)
{
  ChoirAdmin *self = user_data;
  g_autoptr (GError) error = NULL;

  /* GIO would end the process with its bus */
  g_dbus_connection_set_exit_on_close (connection, FALSE);

  if (!choir_admin_export (self, connection, self->bus, &error))
    choir_log (CHOIR_LOG_LEVEL_WARNING, "Could not export the administration object on the bus",
               CHOIR_LOG_ERROR, error->message, NULL);
}

static void
name_acquired_cb (GDBusConnection *connection, const char *name, gpointer user_data)
{
  choir_log (CHOIR_LOG_LEVEL_INFO, "Name acquired on the bus", CHOIR_LOG_BUS_NAME, name, NULL);
}

static void
name_lost_cb (GDBusConnection *connection, const char *name, gpointer user_data)
{
  const char *text = "The name on the bus is another's; the service goes on without it";

  if (connection == NULL || g_dbus_connection_is_closed (connection))
    text = "The bus is not there; the service goes on without administration";

  choir_log (CHOIR_LOG_LEVEL_WARNING, text, CHOIR_LOG_BUS_NAME, name, NULL);
}

/**
 * choir_admin_start:
 * @self: an administration
 * @bus: which bus to appear on, once; with %CHOIR_BUS_NONE nothing happens
 * @name: under which name
 *
 * Returns at once. What comes of it is logged; should the name be another's, it is taken over when
 * that one leaves.
 */
void
choir_admin_start (ChoirAdmin *self, ChoirBusChoice bus, const char *name)
{
  if (bus == CHOIR_BUS_NONE)
    return;

  g_return_if_fail (self->owner_id == 0);

  self->bus = bus;
  self->owner_id = g_bus_own_name (bus == CHOIR_BUS_SYSTEM ? G_BUS_TYPE_SYSTEM : G_BUS_TYPE_SESSION,
                                   name, G_BUS_NAME_OWNER_FLAGS_NONE, bus_acquired_cb,
                                   name_acquired_cb, name_lost_cb, self, NULL);
}

/**
 * choir_admin_stop:
 * @self: an administration, started or not
 *
 * Gives the name back and leaves every connection; calls still being authorised are refused.
 */
void
choir_admin_stop (ChoirAdmin *self)
{
  choir_admin_watch_clear (self->watch);
  choir_admin_traces_clear (self->traces);
  g_clear_handle_id (&self->owner_id, g_bus_unown_name);

  g_cancellable_cancel (self->cancellable);
  g_object_unref (self->cancellable);
  self->cancellable = g_cancellable_new ();

  if (self->manager_id != 0)
    g_dbus_connection_unregister_object (self->connection, self->manager_id);
  self->manager_id = 0;
  choir_admin_tree_unexport (&self->tree);
  g_clear_object (&self->authority);
  g_clear_object (&self->connection);
}

/**
 * choir_admin_export:
 * @self: an administration that is not exported
 * @connection: (transfer none): a connection to a message bus
 * @bus: what kind of bus that is: who may do what depends on it
 * @error: return location: of #GIOErrorEnum when the path is taken
 *
 * Exports the objects at %CHOIR_ADMIN_OBJECT_PATH without owning a name.
 *
 * Returns: whether they are there now
 */
gboolean
choir_admin_export (ChoirAdmin *self,
                    GDBusConnection *connection,
                    ChoirBusChoice bus,
                    GError **error)
{
  self->manager_id = choir_admin_manager_export (self, connection, error);
  if (self->manager_id == 0)
    return FALSE;

  if (!choir_admin_tree_export (&self->tree, self, connection, error))
    {
      g_dbus_connection_unregister_object (connection, self->manager_id);
      self->manager_id = 0;
      return FALSE;
    }

  self->connection = g_object_ref (connection);
  self->authority = choir_authority_new (bus);
  /* where there is no bus nobody asks */
  if (self->sampler == NULL)
    self->sampler = choir_admin_sampler_new (self->hub);

  return TRUE;
}
