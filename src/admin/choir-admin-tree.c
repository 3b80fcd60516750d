/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-tree.h"

#include "choir-admin-dbus.h"
#include "choir-admin-methods.h"
#include "choir-admin-object.h"
#include "choir-admin.h"

#include <string.h>

/* What org.freedesktop.DBus.Properties is to a subtree: handled here, so that leave is asked before
 * anything is looked at. Its signal is never sent */
static const char standard_xml[] = "<node>"
                                   "<interface name='org.freedesktop.DBus.Properties'>"
                                   "<method name='Get'>"
                                   "<arg name='interface_name' type='s' direction='in'/>"
                                   "<arg name='property_name' type='s' direction='in'/>"
                                   "<arg name='value' type='v' direction='out'/>"
                                   "</method>"
                                   "<method name='GetAll'>"
                                   "<arg name='interface_name' type='s' direction='in'/>"
                                   "<arg name='properties' type='a{sv}' direction='out'/>"
                                   "</method>"
                                   "<method name='Set'>"
                                   "<arg name='interface_name' type='s' direction='in'/>"
                                   "<arg name='property_name' type='s' direction='in'/>"
                                   "<arg name='value' type='v' direction='in'/>"
                                   "</method>"
                                   "<signal name='PropertiesChanged'>"
                                   "<arg name='interface_name' type='s'/>"
                                   "<arg name='changed_properties' type='a{sv}'/>"
                                   "<arg name='invalidated_properties' type='as'/>"
                                   "</signal>"
                                   "</interface>"
                                   "<interface name='org.freedesktop.DBus.ObjectManager'>"
                                   "<method name='GetManagedObjects'>"
                                   "<arg name='objects' type='a{oa{sa{sv}}}' direction='out'/>"
                                   "</method>"
                                   "<signal name='InterfacesAdded'>"
                                   "<arg name='object' type='o'/>"
                                   "<arg name='interfaces' type='a{sa{sv}}'/>"
                                   "</signal>"
                                   "<signal name='InterfacesRemoved'>"
                                   "<arg name='object' type='o'/>"
                                   "<arg name='interfaces' type='as'/>"
                                   "</signal>"
                                   "</interface>"
                                   "</node>";

/* (transfer none): lives as long as the process */
static GDBusInterfaceInfo *
get_standard_info (const char *interface)
{
  static GDBusNodeInfo *node;

  if (node == NULL)
    node = g_dbus_node_info_new_for_xml (standard_xml, NULL);

  return g_dbus_node_info_lookup_interface (node, interface);
}

static GDBusInterfaceInfo *
get_info (ChoirAdminKind kind)
{
  switch (kind)
    {
    case CHOIR_ADMIN_KIND_CONNECTION:
      return choir_dbus_connection_interface_info ();

    case CHOIR_ADMIN_KIND_SESSION:
      return choir_dbus_session_interface_info ();

    case CHOIR_ADMIN_KIND_DOCUMENT:
      return choir_dbus_document_interface_info ();

    case CHOIR_ADMIN_KIND_CHANNEL:
      return choir_dbus_channel_interface_info ();

    case CHOIR_ADMIN_KIND_TASK:
      return choir_dbus_task_interface_info ();

    case CHOIR_N_ADMIN_KINDS:
    default:
      g_assert_not_reached ();
    }
}

/* GDBus gives the path of the subtree, or of the object in it that is called */
static ChoirAdminKind
get_kind (const char *object_path)
{
  for (guint kind = 0; kind < CHOIR_N_ADMIN_KINDS; kind++)
    {
      const char *subtree = choir_admin_path_get_subtree (kind);
      gsize len = strlen (subtree);

      if (strncmp (object_path, subtree, len) == 0 &&
          (object_path[len] == '\0' || object_path[len] == '/'))
        return kind;
    }

  g_assert_not_reached ();
}

/* There may be any number: they are listed, in pages, to those who may know */
static char **
enumerate_cb (GDBusConnection *connection,
              const char *sender,
              const char *object_path,
              gpointer user_data)
{
  return g_new0 (char *, 1);
}

/* GDBus calls the subtree's own path "/" */
static gboolean
is_object (const char *node)
{
  g_autofree char *name = NULL;

  if (node == NULL || strcmp (node, "/") == 0)
    return FALSE;

  name = choir_admin_path_unescape (node);

  return name != NULL;
}

static GDBusInterfaceInfo **
introspect_cb (GDBusConnection *connection,
               const char *sender,
               const char *object_path,
               const char *node,
               gpointer user_data)
{
  GDBusInterfaceInfo **infos;

  if (!is_object (node))
    return NULL;

  infos = g_new0 (GDBusInterfaceInfo *, 3);
  infos[0] = g_dbus_interface_info_ref (get_info (get_kind (object_path)));
  infos[1] = g_dbus_interface_info_ref (get_standard_info (CHOIR_ADMIN_PROPERTIES));

  return infos;
}

static const GDBusInterfaceVTable vtable = { choir_admin_dispatch, NULL, NULL };

static const GDBusInterfaceVTable *
dispatch_cb (GDBusConnection *connection,
             const char *sender,
             const char *object_path,
             const char *interface_name,
             const char *node,
             gpointer *out_user_data,
             gpointer user_data)
{
  *out_user_data = user_data;

  return &vtable;
}

static const GDBusSubtreeVTable subtree_vtable = { enumerate_cb, introspect_cb, dispatch_cb };

/**
 * choir_admin_tree_export:
 * @self: a tree that is not exported
 * @admin: (transfer none): gets the calls; must outlive the export
 * @connection: (transfer none): a connection to a bus
 * @error: return location: of #GIOErrorEnum when a path is taken
 *
 * Returns: whether all of it is there; if not, nothing is
 */
gboolean
choir_admin_tree_export (ChoirAdminTree *self,
                         ChoirAdmin *admin,
                         GDBusConnection *connection,
                         GError **error)
{
  self->connection = g_object_ref (connection);
  self->manager = g_dbus_connection_register_object (connection, CHOIR_ADMIN_OBJECT_PATH,
                                                     get_standard_info (CHOIR_ADMIN_OBJECT_MANAGER),
                                                     &vtable, admin, NULL, error);

  for (guint kind = 0; kind < CHOIR_N_ADMIN_KINDS && self->manager != 0; kind++)
    {
      self->subtrees[kind] = g_dbus_connection_register_subtree (
        connection, choir_admin_path_get_subtree (kind), &subtree_vtable,
        G_DBUS_SUBTREE_FLAGS_DISPATCH_TO_UNENUMERATED_NODES, admin, NULL, error);
      if (self->subtrees[kind] == 0)
        {
          choir_admin_tree_unexport (self);
          return FALSE;
        }
    }

  if (self->manager == 0)
    choir_admin_tree_unexport (self);

  return self->manager != 0;
}

/**
 * choir_admin_tree_unexport:
 * @self: a tree, exported or not
 */
void
choir_admin_tree_unexport (ChoirAdminTree *self)
{
  for (guint kind = 0; kind < CHOIR_N_ADMIN_KINDS; kind++)
    if (self->subtrees[kind] != 0)
      g_dbus_connection_unregister_subtree (self->connection, self->subtrees[kind]);

  if (self->manager != 0)
    g_dbus_connection_unregister_object (self->connection, self->manager);

  g_clear_object (&self->connection);
  *self = (ChoirAdminTree){ 0 };
}

/* All objects on their way into one answer */
typedef struct
{
  ChoirHub *hub;
  const ChoirAdminClass *class;
  ChoirAdminKind kind;
  GVariantBuilder objects;
  gsize n_bytes;
} Description;

static void
describe_object (gpointer object, const char *name, gpointer user_data)
{
  Description *self = user_data;
  g_autofree char *path = NULL;
  g_autoptr (GVariant) properties = NULL;

  if (self->n_bytes > CHOIR_ADMIN_OBJECTS_BYTES_MAX)
    return;

  path = choir_admin_path_new (self->kind, name);
  properties = g_variant_ref_sink (choir_admin_class_get_all (self->class, self->hub, object));
  self->n_bytes += strlen (path) + g_variant_get_size (properties);

  g_variant_builder_open (&self->objects, G_VARIANT_TYPE ("{oa{sa{sv}}}"));
  g_variant_builder_add (&self->objects, "o", path);
  g_variant_builder_open (&self->objects, G_VARIANT_TYPE ("a{sa{sv}}"));
  g_variant_builder_add (&self->objects, "{s@a{sv}}", self->class->interface, properties);
  g_variant_builder_close (&self->objects);
  g_variant_builder_close (&self->objects);
}

static guint
count_objects (ChoirHub *hub)
{
  guint n = 0;

  for (guint kind = 0; kind < CHOIR_N_ADMIN_KINDS; kind++)
    n += choir_admin_class_get (kind)->count (hub);

  return n;
}

GVariant *
choir_admin_tree_describe (ChoirHub *hub, GError **error)
{
  Description self = { .hub = hub };

  if (count_objects (hub) > CHOIR_ADMIN_OBJECTS_MAX)
    {
      g_set_error (error, G_DBUS_ERROR, G_DBUS_ERROR_LIMITS_EXCEEDED,
                   "There are more than %d objects: the List methods give them in pages",
                   CHOIR_ADMIN_OBJECTS_MAX);
      return NULL;
    }

  g_variant_builder_init (&self.objects, G_VARIANT_TYPE ("a{oa{sa{sv}}}"));
  for (self.kind = 0; self.kind < CHOIR_N_ADMIN_KINDS; self.kind++)
    {
      self.class = choir_admin_class_get (self.kind);
      self.class->visit (hub, describe_object, &self);
    }

  if (self.n_bytes <= CHOIR_ADMIN_OBJECTS_BYTES_MAX)
    return g_variant_builder_end (&self.objects);

  g_variant_builder_clear (&self.objects);
  g_set_error_literal (error, G_DBUS_ERROR, G_DBUS_ERROR_LIMITS_EXCEEDED,
                       "The objects are too much for one answer: the List methods give them in "
                       "pages");

  return NULL;
}

static void
get_managed_objects (ChoirAdminCall *call)
{
  g_autoptr (GError) error = NULL;
  GVariant *objects = choir_admin_tree_describe (call->hub, &error);

  if (objects == NULL)
    choir_admin_call_fail (call, error);
  else
    choir_admin_call_return (call, g_variant_new ("(@a{oa{sa{sv}}})", objects));
}

const ChoirAdminMethod choir_admin_tree_methods[] = {
  { CHOIR_ADMIN_OBJECT_MANAGER, "GetManagedObjects", CHOIR_ADMIN_INSPECT, FALSE,
    get_managed_objects, NULL },
};

const guint choir_admin_tree_n_methods = G_N_ELEMENTS (choir_admin_tree_methods);
