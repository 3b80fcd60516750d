/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "private-bus.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

struct _PrivateBus
{
  GSubprocess *daemon; /* (owned) */
  char *directory;     /* (owned) */
  char *config;        /* (owned) */
  char *address;       /* (owned) */
};

/* Whoever wants may connect, own names and talk */
static const char config_text[] =
  "<!DOCTYPE busconfig PUBLIC '-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN'"
  " 'http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd'>"
  "<busconfig><type>system</type><listen>unix:path=%s/bus</listen><auth>EXTERNAL</auth>"
  "<policy context='default'><allow user='*'/><allow own='*'/>"
  "<allow send_destination='*' eavesdrop='false'/><allow receive_sender='*'/></policy>"
  "</busconfig>";

/* It goes with a test that fails */
static void
die_with_parent (gpointer user_data)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL);
}

PrivateBus *
private_bus_new (void)
{
  PrivateBus *self = g_new0 (PrivateBus, 1);
  g_autoptr (GSubprocessLauncher) launcher = NULL;
  g_autofree char *option = NULL;
  g_autoptr (GDataInputStream) output = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;

  self->directory = g_dir_make_tmp ("choir-bus-XXXXXX", &error);
  g_assert_no_error (error);
  g_assert_cmpint (g_chmod (self->directory, 0755), ==, 0);

  text = g_strdup_printf (config_text, self->directory);
  self->config = g_build_filename (self->directory, "bus.conf", NULL);
  g_file_set_contents (self->config, text, -1, &error);
  g_assert_no_error (error);

  option = g_strdup_printf ("--config-file=%s", self->config);
  launcher = g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_STDOUT_PIPE);
  g_subprocess_launcher_set_child_setup (launcher, die_with_parent, NULL, NULL);
  self->daemon =
    g_subprocess_launcher_spawn (launcher, &error, "dbus-daemon", "--nofork", "--nosyslog",
                                 "--nopidfile", option, "--print-address=1", NULL);
  g_assert_no_error (error);

  /* it is printed when the socket listens */
  output = g_data_input_stream_new (g_subprocess_get_stdout_pipe (self->daemon));
  self->address = g_data_input_stream_read_line (output, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_nonnull (self->address);
  g_setenv ("DBUS_SYSTEM_BUS_ADDRESS", self->address, TRUE);

  return self;
}

void
private_bus_free (PrivateBus *self)
{
  g_autofree char *socket = g_build_filename (self->directory, "bus", NULL);

  g_subprocess_force_exit (self->daemon);
  g_subprocess_wait (self->daemon, NULL, NULL);
  g_object_unref (self->daemon);

  g_unlink (socket);
  g_unlink (self->config);
  g_rmdir (self->directory);
  g_free (self->config);
  g_free (self->directory);
  g_free (self->address);
  g_free (self);
}

GDBusConnection *
private_bus_connect (PrivateBus *self, uid_t uid)
{
  const uid_t own_uid = geteuid ();
  GDBusConnection *connection;
  g_autoptr (GError) error = NULL;

  /* the bus goes by who opened the socket */
  if (uid != own_uid)
    g_assert_cmpint (seteuid (uid), ==, 0);
  connection = g_dbus_connection_new_for_address_sync (
    self->address,
    G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT | G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
    NULL, NULL, &error);
  if (uid != own_uid)
    g_assert_cmpint (seteuid (own_uid), ==, 0);

  g_assert_no_error (error);

  return connection;
}
