/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-object.h"

#include "choir-admin-methods.h"
#include "choir-clock.h"
#include "choir-session.h"

#include <string.h>

static const ChoirAdminClass *const classes[CHOIR_N_ADMIN_KINDS] = {
  [CHOIR_ADMIN_KIND_CONNECTION] = &choir_admin_connection_class,
  [CHOIR_ADMIN_KIND_SESSION] = &choir_admin_session_class,
  [CHOIR_ADMIN_KIND_DOCUMENT] = &choir_admin_document_class,
  [CHOIR_ADMIN_KIND_CHANNEL] = &choir_admin_channel_class,
  [CHOIR_ADMIN_KIND_TASK] = &choir_admin_task_class,
};

const ChoirAdminClass *
choir_admin_class_get (ChoirAdminKind kind)
{
  return classes[kind];
}

/**
 * choir_admin_class_get_all:
 * @self: a class
 * @hub: a hub
 * @object: one of its objects of this class
 *
 * Returns: (transfer floating): an `a{sv}` of all its properties
 */
GVariant *
choir_admin_class_get_all (const ChoirAdminClass *self, ChoirHub *hub, gpointer object)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  for (guint i = 0; i < *self->n_properties; i++)
    g_variant_builder_add (&builder, "{sv}", self->properties[i].name,
                           self->properties[i].get (hub, object));

  return g_variant_builder_end (&builder);
}

static const ChoirAdminClass *
find_class (const char *kind)
{
  for (guint i = 0; i < CHOIR_N_ADMIN_KINDS; i++)
    {
      if (strcmp (classes[i]->kind, kind) == 0)
        return classes[i];
    }

  return NULL;
}

static gpointer
find_object (ChoirAdminCall *call, const ChoirAdminClass **class)
{
  gpointer object;

  *class = find_class (call->kind);
  object = *class != NULL ? (*class)->find (call->hub, call->name) : NULL;

  if (object == NULL)
    {
      g_autoptr (GError) error =
        g_error_new_literal (G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_OBJECT, "There is no such object");

      choir_admin_call_fail (call, error);
    }

  return object;
}

gpointer
choir_admin_call_find_object (ChoirAdminCall *call)
{
  const ChoirAdminClass *class;

  return find_object (call, &class);
}

static void
fail (ChoirAdminCall *call, int code, const char *what, const char *name)
{
  g_autoptr (GError) error = g_error_new (G_DBUS_ERROR, code, "%s: %s", what, name);

  choir_admin_call_fail (call, error);
}

static const ChoirAdminProperty *
find_property (const ChoirAdminClass *class, const char *name)
{
  for (guint i = 0; i < *class->n_properties; i++)
    {
      if (strcmp (class->properties[i].name, name) == 0)
        return &class->properties[i];
    }

  return NULL;
}

/* An empty interface means any, as far as names are without doubt (D-Bus specification, Properties)
 */
static gboolean
check_interface (ChoirAdminCall *call, const ChoirAdminClass *class, const char *interface)
{
  if (*interface == '\0' || strcmp (interface, class->interface) == 0)
    return TRUE;

  fail (call, G_DBUS_ERROR_UNKNOWN_INTERFACE, "The object has no such interface", interface);

  return FALSE;
}

static void
perform_get (ChoirAdminCall *call)
{
  const ChoirAdminProperty *property;
  const ChoirAdminClass *class;
  const char *interface, *name;
  gpointer object = find_object (call, &class);

  if (object == NULL)
    return;

  g_variant_get (call->parameters, "(&s&s)", &interface, &name);
  if (!check_interface (call, class, interface))
    return;

  property = find_property (class, name);
  if (property == NULL)
    fail (call, G_DBUS_ERROR_UNKNOWN_PROPERTY, "There is no such property", name);
  else
    choir_admin_call_return (call, g_variant_new ("(v)", property->get (call->hub, object)));
}

static void
perform_get_all (ChoirAdminCall *call)
{
  const ChoirAdminClass *class;
  const char *interface;
  gpointer object = find_object (call, &class);

  if (object == NULL)
    return;

  g_variant_get (call->parameters, "(&s)", &interface);
  if (check_interface (call, class, interface))
    choir_admin_call_return (
      call, g_variant_new ("(@a{sv})", choir_admin_class_get_all (class, call->hub, object)));
}

static void
perform_set (ChoirAdminCall *call)
{
  const ChoirAdminClass *class;
  const char *interface, *name;
  gpointer object = find_object (call, &class);

  if (object == NULL)
    return;

  g_variant_get (call->parameters, "(&s&sv)", &interface, &name, NULL);
  if (!check_interface (call, class, interface))
    return;

  if (find_property (class, name) == NULL)
    fail (call, G_DBUS_ERROR_UNKNOWN_PROPERTY, "There is no such property", name);
  else
    fail (call, G_DBUS_ERROR_PROPERTY_READ_ONLY, "The property can only be read", name);
}

const ChoirAdminMethod choir_admin_object_methods[] = {
  { CHOIR_ADMIN_PROPERTIES, "Get", CHOIR_ADMIN_INSPECT, FALSE, perform_get, NULL },
  { CHOIR_ADMIN_PROPERTIES, "GetAll", CHOIR_ADMIN_INSPECT, FALSE, perform_get_all, NULL },
  { CHOIR_ADMIN_PROPERTIES, "Set", CHOIR_ADMIN_INSPECT, FALSE, perform_set, NULL },
};

const guint choir_admin_object_n_methods = G_N_ELEMENTS (choir_admin_object_methods);

/* Values */

GVariant *
choir_admin_value_string (const char *text)
{
  return g_variant_new_string (text != NULL ? text : "");
}

GVariant *
choir_admin_value_wall (gint64 wall_us)
{
  return g_variant_new_uint64 (wall_us > 0 && wall_us != G_MAXINT64 ? (guint64) wall_us : 0);
}

/* A point in time is told as the same number each time, so the clocks are compared once only. With
 * frozen clocks, in tests, what was compared before makes no sense */
static gint64
get_wall_base (void)
{
  static gint64 base_us;

  if (base_us == 0)
    base_us = choir_clock_wall_us () - choir_clock_monotonic_us ();

  return base_us;
}

GVariant *
choir_admin_value_monotonic (gint64 monotonic_us)
{
  return choir_admin_value_wall (get_wall_base () + monotonic_us);
}

GVariant *
choir_admin_value_path (ChoirAdminKind kind, const char *name)
{
  g_autofree char *path = name != NULL ? choir_admin_path_new (kind, name) : NULL;

  return g_variant_new_object_path (path != NULL ? path : CHOIR_ADMIN_NO_PATH);
}

/* (transfer floating): an `ao`. @channel: (nullable): nobody */
GVariant *
choir_admin_value_sessions (const ChoirChannel *channel)
{
  guint n = channel != NULL ? MIN (channel->n_subscribers, CHOIR_ADMIN_NAMES_MAX) : 0;
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_OBJECT_PATH_ARRAY);
  for (guint i = 0; i < n; i++)
    {
      const char *id = choir_session_get_id (channel->subscribers[i]->session);

      g_variant_builder_add_value (&builder, choir_admin_value_path (CHOIR_ADMIN_KIND_SESSION, id));
    }

  return g_variant_builder_end (&builder);
}

GVariant *
choir_admin_value_user (ChoirHub *hub, gpointer session)
{
  return choir_admin_value_string (choir_session_get_user_id (session));
}

GVariant *
choir_admin_value_subscriptions (ChoirHub *hub, gpointer session)
{
  guint n = MIN (choir_session_get_n_subscriptions (session), CHOIR_ADMIN_NAMES_MAX);
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_STRING_ARRAY);
  for (guint i = 0; i < n; i++)
    g_variant_builder_add (&builder, "s",
                           choir_session_get_subscription (session, i)->channel->name);

  return g_variant_builder_end (&builder);
}
