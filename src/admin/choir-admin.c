/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-error.h"
#include "choir-admin-private.h"
#include "choir-clock.h"

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

/* Whatever belongs to the connection: who is asked about, who watches and traces, the objects */
static void
leave (gpointer user_data)
{
  ChoirAdmin *self = user_data;

  choir_admin_watch_clear (self->watch);
  choir_admin_traces_clear (self->traces);

  g_cancellable_cancel (self->cancellable);
  g_object_unref (self->cancellable);
  self->cancellable = g_cancellable_new ();

  g_dbus_connection_unregister_object (self->connection, self->manager_id);
  choir_admin_tree_unexport (&self->tree);
  g_clear_pointer (&self->gate, choir_admin_gate_free);
  g_clear_object (&self->authority);
  g_clear_pointer (&self->backlog, choir_admin_backlog_unref);
  g_clear_object (&self->connection);
}

static gboolean
join (GDBusConnection *connection, gpointer user_data, GError **error)
{
  ChoirAdmin *self = user_data;

  self->manager_id = choir_admin_manager_export (self, connection, error);
  if (self->manager_id == 0)
    return FALSE;

  if (!choir_admin_tree_export (&self->tree, self, connection, error))
    {
      g_dbus_connection_unregister_object (connection, self->manager_id);
      return FALSE;
    }

  self->connection = g_object_ref (connection);
  self->backlog = choir_admin_backlog_new (connection);
  self->gate = choir_admin_gate_new (connection);
  self->authority = choir_authority_new (self->choice);
  /* where there is no bus nobody asks */
  if (self->sampler == NULL)
    self->sampler = choir_admin_sampler_new (self->hub);

  return TRUE;
}

static const ChoirAdminBusFuncs bus_funcs = { join, leave };

/**
 * choir_admin_start:
 * @self: an administration
 * @bus: which bus to appear on, once; with %CHOIR_BUS_NONE nothing happens
 * @name: under which name
 *
 * Returns at once. What comes of it is logged; should the name be another's, it is taken over when
 * that one leaves, and a bus that is not there, or goes, is joined when it is.
 */
void
choir_admin_start (ChoirAdmin *self, ChoirBusChoice bus, const char *name)
{
  if (bus == CHOIR_BUS_NONE)
    return;

  g_return_if_fail (self->bus == NULL);

  self->choice = bus;
  self->bus = choir_admin_bus_new (choir_hub_get_wheel (self->hub), bus, name, &bus_funcs, self);
}

/**
 * choir_admin_stop:
 * @self: an administration, started or not
 *
 * Leaves the bus; calls still being authorised are not answered. What was sent is on its way when
 * this returns; for a bus that hangs it waits a second at most.
 */
void
choir_admin_stop (ChoirAdmin *self)
{
  g_clear_pointer (&self->bus, choir_admin_bus_free);
}
