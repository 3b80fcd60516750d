/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-gate.h"
#include "private-bus.h"

#include <unistd.h>

#define EXTRA 20
#define CALLS (CHOIR_ADMIN_GATE_CALLS_MAX + EXTRA)

/* A service that answers at once, and two who call it */
typedef struct
{
  PrivateBus *bus;         /* (owned) */
  GDBusConnection *server; /* (owned) */
  GDBusConnection *crowd;  /* (owned) */
  GDBusConnection *other;  /* (owned) */
  ChoirAdminGate *gate;    /* (owned) */
  guint object_id;
  guint filter_id;
  int n_read;  /* calls, by GDBus's thread; atomic */
  guint n_got; /* calls that came to the object */
  guint n_done;
  guint n_refused;
} Fixture;

static GDBusMessage *
count (GDBusConnection *connection, GDBusMessage *message, gboolean incoming, gpointer user_data)
{
  Fixture *f = user_data;

  if (incoming && g_dbus_message_get_message_type (message) == G_DBUS_MESSAGE_TYPE_METHOD_CALL)
    g_atomic_int_inc (&f->n_read);

  return message;
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
  ((Fixture *) user_data)->n_got++;
  g_dbus_method_invocation_return_value (invocation, NULL);
}

static const GDBusInterfaceVTable vtable = { .method_call = method_cb };

static void
fixture_setup (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDBusNodeInfo) node =
    g_dbus_node_info_new_for_xml ("<node><interface name='org.choir.Test'><method name='Do'>"
                                  "<arg type='ay' direction='in'/></method></interface></node>",
                                  &error);

  g_assert_no_error (error);
  f->bus = private_bus_new ();
  f->server = private_bus_connect (f->bus, geteuid ());
  f->crowd = private_bus_connect (f->bus, geteuid ());
  f->other = private_bus_connect (f->bus, geteuid ());
  f->object_id = g_dbus_connection_register_object (f->server, "/org/choir/Test",
                                                    node->interfaces[0], &vtable, f, NULL, &error);
  g_assert_no_error (error);
  f->filter_id = g_dbus_connection_add_filter (f->server, count, f, NULL);
  f->gate = choir_admin_gate_new (f->server);
}

static void
fixture_teardown (Fixture *f, gconstpointer data)
{
  g_clear_pointer (&f->gate, choir_admin_gate_free);
  g_dbus_connection_remove_filter (f->server, f->filter_id);
  g_dbus_connection_unregister_object (f->server, f->object_id);
  g_clear_object (&f->other);
  g_clear_object (&f->crowd);
  g_clear_object (&f->server);
  private_bus_free (f->bus);
}

static void
done_cb (GObject *object, GAsyncResult *result, gpointer user_data)
{
  Fixture *f = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) answer =
    g_dbus_connection_call_finish (G_DBUS_CONNECTION (object), result, &error);

  if (answer == NULL)
    {
      g_assert_error (error, G_DBUS_ERROR, G_DBUS_ERROR_LIMITS_EXCEEDED);
      f->n_refused++;
    }
  f->n_done++;
}

static void
call (Fixture *f, GDBusConnection *caller, gsize n_bytes)
{
  g_autofree guint8 *bytes = g_malloc0 (n_bytes + 1);

  g_dbus_connection_call (
    caller, g_dbus_connection_get_unique_name (f->server), "/org/choir/Test", "org.choir.Test",
    "Do",
    g_variant_new ("(@ay)", g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, bytes, n_bytes, 1)),
    NULL, G_DBUS_CALL_FLAGS_NONE, -1, NULL, done_cb, f);
}

/* While the main loop stands still */
static void
wait_read (Fixture *f, guint n)
{
  while (g_atomic_int_get (&f->n_read) < (int) n)
    g_usleep (1000);
}

static void
wait_done (Fixture *f, guint n)
{
  while (f->n_done < n)
    g_main_context_iteration (NULL, TRUE);
}

/* Nobody waits for the answers */
static void
call_without_reply (Fixture *f, guint n_calls)
{
  const char *name = g_dbus_connection_get_unique_name (f->server);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < n_calls; i++)
    {
      g_autoptr (GDBusMessage) message =
        g_dbus_message_new_method_call (name, "/org/choir/Test", "org.choir.Test", "Do");

      g_dbus_message_set_flags (message, G_DBUS_MESSAGE_FLAGS_NO_REPLY_EXPECTED);
      g_dbus_message_set_body (message, g_variant_new_parsed ("(@ay [],)"));
      g_dbus_connection_send_message (f->crowd, message, G_DBUS_SEND_MESSAGE_FLAGS_NONE, NULL,
                                      &error);
      g_assert_no_error (error);
    }
}

/* More calls than the loop gets to: those past the limit never wait for it, others are not affected
 */
static void
test_calls (Fixture *f, gconstpointer data)
{
  call_without_reply (f, CHOIR_ADMIN_GATE_CALLS_MAX);
  for (guint i = 0; i < EXTRA; i++)
    call (f, f->crowd, 1);
  wait_read (f, CALLS);
  call (f, f->other, 1);
  wait_read (f, CALLS + 1);

  wait_done (f, EXTRA + 1);
  g_assert_cmpuint (f->n_refused, ==, EXTRA);
  g_assert_cmpuint (f->n_got, ==, CHOIR_ADMIN_GATE_CALLS_MAX + 1);

  /* what is over counts no longer */
  call (f, f->crowd, 1);
  wait_done (f, EXTRA + 2);
  g_assert_cmpuint (f->n_refused, ==, EXTRA);
}

static void
test_bytes (Fixture *f, gconstpointer data)
{
  const gsize half = CHOIR_ADMIN_GATE_BYTES_MAX / 2;

  call (f, f->crowd, half);
  wait_read (f, 1);
  call (f, f->crowd, half + 1);
  wait_read (f, 2);
  call (f, f->crowd, half);
  wait_read (f, 3);
  call (f, f->other, half);
  wait_read (f, 4);

  wait_done (f, 4);
  g_assert_cmpuint (f->n_refused, ==, 1);
  g_assert_cmpuint (f->n_got, ==, 3);
}

/* One is always let in, so that whoever comes to the object can say what is wrong with it */
static void
test_large (Fixture *f, gconstpointer data)
{
  call (f, f->crowd, CHOIR_ADMIN_GATE_BYTES_MAX + 1);
  wait_done (f, 1);
  g_assert_cmpuint (f->n_refused, ==, 0);
}

/* Those that nobody waits for are not even told */
static void
test_no_reply (Fixture *f, gconstpointer data)
{
  call_without_reply (f, CALLS);
  wait_read (f, CALLS);
  call (f, f->other, 1);
  wait_done (f, 1);
  g_assert_cmpuint (f->n_got, ==, CHOIR_ADMIN_GATE_CALLS_MAX + 1);
}

/* Calls that wait outlive the gate */
static void
test_free (Fixture *f, gconstpointer data)
{
  call_without_reply (f, CALLS);
  wait_read (f, CALLS);
  g_clear_pointer (&f->gate, choir_admin_gate_free);
  call (f, f->crowd, 1);
  wait_done (f, 1);
  g_assert_cmpuint (f->n_refused, ==, 0);
  g_assert_cmpuint (f->n_got, ==, CHOIR_ADMIN_GATE_CALLS_MAX + 1);
}

#define add(path, test) g_test_add (path, Fixture, NULL, fixture_setup, test, fixture_teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  add ("/admin-gate/calls", test_calls);
  add ("/admin-gate/bytes", test_bytes);
  add ("/admin-gate/large", test_large);
  add ("/admin-gate/no-reply", test_no_reply);
  add ("/admin-gate/free", test_free);

  return g_test_run ();
}
