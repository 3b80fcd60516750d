/* authority-fixture.h: an object whose method is done for whom the authority lets it, and callers
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-asker.h"
#include "choir-authority.h"
#include "choir-log.h"
#include "fake-polkit.h"
#include "private-bus.h"

#include <fcntl.h>
#include <unistd.h>

/* nobody, and daemon; the bus takes only users it can look up */
#define STRANGER 65534
#define OTHER 1
#define INTERACTIVE G_DBUS_CALL_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION
#define ACCESS_DENIED "org.freedesktop.DBus.Error.AccessDenied"
#define LIMITS_EXCEEDED "org.freedesktop.DBus.Error.LimitsExceeded"
#define INTERACTION_REQUIRED "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"

/* An object with one method, which is done for whom the authority lets it */
typedef struct
{
  PrivateBus *bus;           /* (owned) */
  GDBusConnection *service;  /* (owned) */
  GDBusConnection *root;     /* (owned) */
  GDBusConnection *stranger; /* (owned) */
  FakePolkit *polkit;        /* (owned): on the bus once it owns its name */
  ChoirAuthority *authority; /* (owned) */
  GCancellable *cancellable; /* (owned) */
  guint object_id;
  guint n_taken;     /* calls that reached the object */
  guint n_finished;  /* those whose check has ended */
  guint32 uid;       /* who the last one that was allowed came from */
  int log[2];        /* both ends of a pipe */
  ChoirAsker *asker; /* (owned) (nullable): asked in place of the authority */
} Fixture;

static const char introspection[] = "<node><interface name='org.choir.Test'><method name='Do'>"
                                    "<arg type='s' direction='in'/></method></interface></node>";

static void
finish (Fixture *f, GDBusMethodInvocation *invocation, gboolean allowed, GError *error)
{
  f->n_finished++;
  if (allowed)
    g_dbus_method_invocation_return_value (invocation, NULL);
  else
    g_dbus_method_invocation_take_error (invocation, error);
}

typedef struct
{
  Fixture *fixture;
  GDBusMethodInvocation *invocation; /* (owned): until answered */
} Taken;

static void
checked_cb (GObject *object, GAsyncResult *result, gpointer user_data)
{
  g_autofree Taken *taken = user_data;
  GError *error = NULL;
  gboolean allowed;

  if (CHOIR_IS_ASKER (object))
    allowed = choir_asker_ask_finish (CHOIR_ASKER (object), result, &error);
  else
    allowed =
      choir_authority_check_finish (CHOIR_AUTHORITY (object), result, &taken->fixture->uid, &error);

  finish (taken->fixture, taken->invocation, allowed, error);
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
  Fixture *f = user_data;
  Taken *taken = g_new0 (Taken, 1);
  const char *target;

  taken->fixture = f;
  taken->invocation = invocation;
  f->n_taken++;
  g_variant_get (parameters, "(&s)", &target);

  if (f->asker != NULL)
    {
      choir_asker_ask_async (f->asker, invocation, STRANGER, "org.choir.Choir1.message", target,
                             f->cancellable, checked_cb, taken);
      return;
    }

  choir_authority_check_async (f->authority, invocation, CHOIR_ADMIN_MANAGE_USERS,
                               *target != '\0' ? target : NULL, f->cancellable, checked_cb, taken);
}

static const GDBusInterfaceVTable vtable = { .method_call = method_cb };

static void
fixture_setup (Fixture *f, gconstpointer bus)
{
  g_autoptr (GDBusNodeInfo) node = NULL;
  g_autoptr (GError) error = NULL;

  f->bus = private_bus_new ();
  f->service = private_bus_connect (f->bus, geteuid ());
  f->root = private_bus_connect (f->bus, geteuid ());
  f->stranger = private_bus_connect (f->bus, geteuid () == 0 ? STRANGER : geteuid ());
  f->polkit = fake_polkit_new (private_bus_connect (f->bus, geteuid ()));
  f->authority = choir_authority_new ((ChoirBusChoice) GPOINTER_TO_INT (bus));
  f->cancellable = g_cancellable_new ();

  node = g_dbus_node_info_new_for_xml (introspection, &error);
  g_assert_no_error (error);
  f->object_id = g_dbus_connection_register_object (f->service, "/org/choir/Test",
                                                    node->interfaces[0], &vtable, f, NULL, &error);
  g_assert_no_error (error);

  g_assert_cmpint (pipe2 (f->log, O_CLOEXEC | O_NONBLOCK), ==, 0);
  choir_log_set_output (f->log[1], NULL);
}

static void
fixture_teardown (Fixture *f, gconstpointer bus)
{
  choir_log_set_output (-1, NULL);
  close (f->log[0]);
  close (f->log[1]);

  g_clear_object (&f->asker);
  g_dbus_connection_unregister_object (f->service, f->object_id);
  g_clear_object (&f->authority);
  g_clear_object (&f->cancellable);
  fake_polkit_free (f->polkit);
  g_clear_object (&f->stranger);
  g_clear_object (&f->root);
  g_clear_object (&f->service);
  private_bus_free (f->bus);
}

typedef struct
{
  gboolean done;
  char *error; /* (owned) (nullable): its name on the bus */
} Call;

static void
called_cb (GObject *object, GAsyncResult *result, gpointer user_data)
{
  Call *call = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) answer = NULL;

  answer = g_dbus_connection_call_finish (G_DBUS_CONNECTION (object), result, &error);
  if (answer == NULL)
    {
      g_test_message ("%s", error->message);
      call->error = g_dbus_error_get_remote_error (error);
    }
  call->done = TRUE;
}

static void
call_begin (Fixture *f,
            Call *call,
            GDBusConnection *caller,
            const char *target,
            GDBusCallFlags flags)
{
  call->done = FALSE;
  call->error = NULL;
  g_dbus_connection_call (caller, g_dbus_connection_get_unique_name (f->service), "/org/choir/Test",
                          "org.choir.Test", "Do", g_variant_new ("(s)", target), NULL, flags, -1,
                          NULL, called_cb, call);
}

#define wait_until(condition)                                                                      \
  while (!(condition))                                                                             \
  g_main_context_iteration (NULL, TRUE)

/* @error: (nullable): what it comes to; %NULL: it is done */
static void
call_end (Call *call, const char *error)
{
  g_autofree char *name = NULL;

  wait_until (call->done);
  name = g_steal_pointer (&call->error);
  g_assert_cmpstr (name, ==, error);
}

static void
check (Fixture *f, GDBusConnection *caller, GDBusCallFlags flags, const char *error)
{
  Call call;

  call_begin (f, &call, caller, "alice", flags);
  call_end (&call, error);
}

/* How often the log says it */
static guint
count_logged (Fixture *f, const char *words)
{
  static char buffer[65536];
  const gssize n = read (f->log[0], buffer, sizeof buffer - 1);
  guint count = 0;

  buffer[MAX (n, 0)] = '\0';
  for (const char *found = buffer; (found = strstr (found, words)) != NULL; found++)
    count++;

  return count;
}
