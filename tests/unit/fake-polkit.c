/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "fake-polkit.h"

static const char introspection[] =
  "<node><interface name='org.freedesktop.PolicyKit1.Authority'>"
  "<method name='CheckAuthorization'>"
  "<arg type='(sa{sv})' direction='in'/><arg type='s' direction='in'/>"
  "<arg type='a{ss}' direction='in'/><arg type='u' direction='in'/>"
  "<arg type='s' direction='in'/><arg type='(bba{ss})' direction='out'/></method>"
  "<method name='CancelCheckAuthorization'><arg type='s' direction='in'/></method>"
  "</interface></node>";

static void
answer (FakePolkit *self, GDBusMethodInvocation *invocation)
{
  GVariantBuilder details;

  if (self->error != NULL)
    {
      g_dbus_method_invocation_return_dbus_error (invocation, self->error, "As the test wants it");
      return;
    }

  g_variant_builder_init (&details, G_VARIANT_TYPE ("a{ss}"));
  if (self->dismissed)
    g_variant_builder_add (&details, "{ss}", "polkit.dismissed", "true");

  g_dbus_method_invocation_return_value (
    invocation, g_variant_new ("((bba{ss}))", self->authorized, self->challenge, &details));
}

static void
check (FakePolkit *self, GVariant *parameters, GDBusMethodInvocation *invocation)
{
  g_autoptr (GVariant) details = NULL;
  g_autoptr (GVariant) subject = NULL;
  const char *kind;

  g_clear_pointer (&self->subject, g_free);
  g_clear_pointer (&self->action, g_free);
  g_clear_pointer (&self->call, g_free);

  g_variant_get (parameters, "((&s@a{sv})s@a{ss}us)", &kind, &subject, &self->action, &details,
                 &self->flags, NULL);
  g_assert_cmpstr (kind, ==, "system-bus-name");
  g_assert_true (g_variant_lookup (subject, "name", "s", &self->subject));
  g_assert_true (g_variant_lookup (details, "call", "s", &self->call));
  self->n_asked++;

  if (self->holds)
    g_queue_push_tail (&self->held, invocation);
  else
    answer (self, invocation);
}

static void
method_cb (GDBusConnection *connection,
           const char *sender,
           const char *path,
           const char *interface,
           const char *method,
           GVariant *parameters,
           GDBusMethodInvocation *invocation,
           gpointer user_data)
{
  FakePolkit *self = user_data;

  if (g_str_equal (method, "CheckAuthorization"))
    {
      check (self, parameters, invocation);
      return;
    }

  self->n_cancelled++;
  if (self->cancel_error != NULL)
    g_dbus_method_invocation_return_dbus_error (invocation, self->cancel_error,
                                                "As the test wants it");
  else
    g_dbus_method_invocation_return_value (invocation, NULL);
}

static const GDBusInterfaceVTable vtable = { .method_call = method_cb };

FakePolkit *
fake_polkit_new (GDBusConnection *connection)
{
  FakePolkit *self = g_new0 (FakePolkit, 1);
  g_autoptr (GDBusNodeInfo) node = NULL;
  g_autoptr (GError) error = NULL;

  self->connection = connection;
  g_queue_init (&self->held);

  node = g_dbus_node_info_new_for_xml (introspection, &error);
  g_assert_no_error (error);
  self->object_id =
    g_dbus_connection_register_object (connection, "/org/freedesktop/PolicyKit1/Authority",
                                       node->interfaces[0], &vtable, self, NULL, &error);
  g_assert_no_error (error);

  return self;
}

void
fake_polkit_free (FakePolkit *self)
{
  g_clear_handle_id (&self->name_id, g_bus_unown_name);
  g_dbus_connection_unregister_object (self->connection, self->object_id);
  g_dbus_connection_close_sync (self->connection, NULL, NULL);
  g_queue_clear_full (&self->held, g_object_unref);
  g_object_unref (self->connection);
  g_free (self->subject);
  g_free (self->action);
  g_free (self->call);
  g_free (self);
}

static void
name_cb (GDBusConnection *connection, const char *name, gpointer has_name)
{
  *(gboolean *) has_name = TRUE;
}

void
fake_polkit_own_name (FakePolkit *self)
{
  gboolean has_name = FALSE;

  self->name_id =
    g_bus_own_name_on_connection (self->connection, "org.freedesktop.PolicyKit1",
                                  G_BUS_NAME_OWNER_FLAGS_NONE, name_cb, NULL, &has_name, NULL);
  while (!has_name)
    g_main_context_iteration (NULL, TRUE);
}

void
fake_polkit_release (FakePolkit *self)
{
  GDBusMethodInvocation *invocation = g_queue_pop_head (&self->held);

  g_assert_nonnull (invocation);
  answer (self, invocation);
}
