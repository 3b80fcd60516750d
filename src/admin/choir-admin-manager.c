/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-dbus.h"
#include "choir-admin-private.h"
#include "choir-log.h"

#include <string.h>

/* The root object's properties. Its methods are in the tables of choir-admin-dispatch.c */

static GVariant *
get_version (ChoirAdmin *self)
{
  return g_variant_new_string (PACKAGE_VERSION);
}

static GVariant *
get_node (ChoirAdmin *self)
{
  return g_variant_new_string (choir_hub_get_node (self->hub));
}

static GVariant *
get_started_at (ChoirAdmin *self)
{
  return g_variant_new_uint64 ((guint64) self->started_us);
}

static GVariant *
get_draining (ChoirAdmin *self)
{
  return g_variant_new_boolean (self->draining || choir_hub_is_draining (self->hub));
}

static GVariant *
get_log_level (ChoirAdmin *self)
{
  return g_variant_new_string (choir_log_get_level_name ());
}

static GVariant *
get_n_connections (ChoirAdmin *self)
{
  return g_variant_new_uint32 (choir_hub_get_n_connections (self->hub));
}

static GVariant *
get_n_users (ChoirAdmin *self)
{
  return g_variant_new_uint32 (choir_hub_get_n_users (self->hub));
}

static GVariant *
get_n_documents (ChoirAdmin *self)
{
  ChoirDocumentTable *documents = choir_hub_get_documents (self->hub);

  return g_variant_new_uint32 (documents != NULL ? choir_document_table_get_n_open (documents) : 0);
}

static GVariant *
get_n_channels (ChoirAdmin *self)
{
  return g_variant_new_uint32 (choir_hub_get_n_channels (self->hub));
}

static GVariant *
get_n_tasks (ChoirAdmin *self)
{
  const ChoirStats *stats = choir_hub_get_stats (self->hub);

  return g_variant_new_uint32 ((guint32) MAX (*stats->tasks_queued + *stats->tasks_running, 0));
}

static GVariant *
get_max_connections (ChoirAdmin *self)
{
  return g_variant_new_uint32 (choir_hub_get_settings (self->hub)->max_connections);
}

static GVariant *
get_max_per_user (ChoirAdmin *self)
{
  const ChoirSettings *settings = choir_hub_get_settings (self->hub);

  return g_variant_new_uint32 (settings->dialects[CHOIR_DIALECT_CHOIR].max_per_user);
}

static GVariant *
get_max_message_size (ChoirAdmin *self)
{
  const ChoirSettings *settings = choir_hub_get_settings (self->hub);

  return g_variant_new_uint64 (settings->dialects[CHOIR_DIALECT_CHOIR].max_message_size);
}

static GVariant *
get_max_queue_bytes (ChoirAdmin *self)
{
  return g_variant_new_uint64 (choir_hub_get_settings (self->hub)->outbox.max_bytes);
}

static const struct
{
  const char *name;
  GVariant *(*get) (ChoirAdmin *self);
} properties[] = {
  { "Version", get_version },
  { "Node", get_node },
  { "StartedAt", get_started_at },
  { "Draining", get_draining },
  { "LogLevel", get_log_level },
  { "NConnections", get_n_connections },
  { "NUsers", get_n_users },
  { "NDocuments", get_n_documents },
  { "NChannels", get_n_channels },
  { "NTasks", get_n_tasks },
  { "MaxConnections", get_max_connections },
  { "MaxConnectionsPerUser", get_max_per_user },
  { "MaxMessageSize", get_max_message_size },
  { "MaxQueueBytes", get_max_queue_bytes },
};

/**
 * choir_admin_manager_get:
 * @self: an administration
 * @property: one of those of the Manager
 *
 * Returns: (transfer floating) (nullable): its value; %NULL if there is no such property
 */
GVariant *
choir_admin_manager_get (ChoirAdmin *self, const char *property)
{
  for (guint i = 0; i < G_N_ELEMENTS (properties); i++)
    if (strcmp (properties[i].name, property) == 0)
      return properties[i].get (self);

  return NULL;
}

static GVariant *
get_property_cb (GDBusConnection *connection,
                 const char *sender,
                 const char *object_path,
                 const char *interface,
                 const char *property,
                 GError **error,
                 gpointer user_data)
{
  GVariant *value = choir_admin_manager_get (user_data, property);

  if (value == NULL)
    g_set_error (error, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_PROPERTY, "There is no property %s",
                 property);

  return value;
}

/**
 * choir_admin_manager_export:
 * @self: an administration
 * @connection: a connection to a bus
 * @error: return location: of #GIOErrorEnum when the path is taken
 *
 * Returns: for g_dbus_connection_unregister_object(); 0: it could not be exported
 */
guint
choir_admin_manager_export (ChoirAdmin *self, GDBusConnection *connection, GError **error)
{
  static const GDBusInterfaceVTable vtable = { choir_admin_dispatch, get_property_cb, NULL };

  return g_dbus_connection_register_object (connection, CHOIR_ADMIN_OBJECT_PATH,
                                            choir_dbus_manager_interface_info (), &vtable, self,
                                            NULL, error);
}
