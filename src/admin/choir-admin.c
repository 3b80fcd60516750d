/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin.h"

#include "choir-admin-manager.h"
#include "choir-log.h"
#include "choir-names.h"

struct _ChoirAdmin
{
  ChoirAdminManager *manager; /* (owned) */
  guint owner_id;             /* 0: not started */
};

/**
 * choir_admin_new:
 * @hub: (transfer none): what is watched and steered; a reference is taken
 * @counters: (transfer none): what GetStats shows; must outlive it
 *
 * Returns: (transfer full): not on any bus yet
 */
ChoirAdmin *
choir_admin_new (ChoirHub *hub, ChoirCounters *counters)
{
  ChoirAdmin *self = g_new0 (ChoirAdmin, 1);

  self->manager = choir_admin_manager_new (hub, counters);

  return self;
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
  g_clear_object (&self->manager);
  g_free (self);
}

static void
bus_acquired_cb (GDBusConnection *connection, const char *name, gpointer user_data)
{
  ChoirAdmin *self = user_data;
  g_autoptr (GError) error = NULL;

  /* GIO would end the process with its bus */
  g_dbus_connection_set_exit_on_close (connection, FALSE);

  if (!choir_admin_export (self, connection, &error))
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
 *
 * Returns at once. What comes of it is logged; should the name be another's, it is taken over when
 * that one leaves.
 */
void
choir_admin_start (ChoirAdmin *self, ChoirBusChoice bus)
{
  if (bus == CHOIR_BUS_NONE)
    return;

  g_return_if_fail (self->owner_id == 0);

  self->owner_id = g_bus_own_name (bus == CHOIR_BUS_SYSTEM ? G_BUS_TYPE_SYSTEM : G_BUS_TYPE_SESSION,
                                   CHOIR_ADMIN_BUS_NAME, G_BUS_NAME_OWNER_FLAGS_NONE,
                                   bus_acquired_cb, name_acquired_cb, name_lost_cb, self, NULL);
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
  GDBusInterfaceSkeleton *skeleton = G_DBUS_INTERFACE_SKELETON (self->manager);

  g_clear_handle_id (&self->owner_id, g_bus_unown_name);
  choir_admin_manager_cancel (self->manager);

  if (g_dbus_interface_skeleton_get_object_path (skeleton) != NULL)
    g_dbus_interface_skeleton_unexport (skeleton);
}

/**
 * choir_admin_export:
 * @self: an administration
 * @connection: (transfer none): a connection to a message bus
 * @error: return location: of #GIOErrorEnum when the path is taken
 *
 * Exports the object at %CHOIR_ADMIN_OBJECT_PATH without owning a name.
 *
 * Returns: whether it is there now
 */
gboolean
choir_admin_export (ChoirAdmin *self, GDBusConnection *connection, GError **error)
{
  return g_dbus_interface_skeleton_export (G_DBUS_INTERFACE_SKELETON (self->manager), connection,
                                           CHOIR_ADMIN_OBJECT_PATH, error);
}
