/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-ctl-bus.h"

#include "choir-ctl-error.h"

#include <glib/gi18n.h>
#include <signal.h>

#define NAME "org.choir.Choir1"
/* What a shell says when it finds no such program, and ssh when it did not get there */
#define STATUS_NO_PROGRAM 127
#define STATUS_NO_HOST 255

/**
 * choir_ctl_bus_set_node:
 * @self: the bus
 * @node: (nullable): which of several services of one host, or %NULL for the one without a name
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * Returns: whether @node can be part of a name on the bus
 */
gboolean
choir_ctl_bus_set_node (ChoirCtlBus *self, const char *node, GError **error)
{
  g_free (self->name);
  self->name = node != NULL ? g_strconcat (NAME ".", node, NULL) : g_strdup (NAME);

  if (g_dbus_is_name (self->name) && !g_dbus_is_unique_name (self->name))
    return TRUE;

  g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE,
               _ ("--node: “%s” cannot be part of a name on the bus: letters, “_”, “-” and, "
                  "behind the first, digits can"),
               node);

  return FALSE;
}

/* The address of a bus of this host */
static char *
dup_address (ChoirCtlBus *self, GError **error)
{
  g_autoptr (GError) problem = NULL;
  char *address;

  if (self->address != NULL)
    return g_strdup (self->address);

  address = g_dbus_address_get_for_bus_sync (self->session ? G_BUS_TYPE_SESSION : G_BUS_TYPE_SYSTEM,
                                             NULL, &problem);
  if (address == NULL)
    g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_NO_SERVICE, _ ("There is no bus: %s"),
                 problem->message);

  return address;
}

static gboolean
connect_here (ChoirCtlBus *self, GError **error)
{
  g_autofree char *address = dup_address (self, error);
  g_autoptr (GError) problem = NULL;

  if (address == NULL)
    return FALSE;

  if (!g_dbus_is_address (address))
    {
      g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE,
                   _ ("“%s” is no address of a bus, as in unix:path=/run/dbus/system_bus_socket"),
                   address);
      return FALSE;
    }

  self->connection = g_dbus_connection_new_for_address_sync (
    address,
    G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT | G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
    NULL, NULL, &problem);
  if (self->connection == NULL)
    g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_NO_SERVICE,
                 self->session || self->address != NULL
                   ? _ ("The bus cannot be reached: %s")
                   : _ ("The system’s bus cannot be reached: %s; say with --session, --address or "
                        "--host if Choir is on another"),
                 problem->message);

  return self->connection != NULL;
}

/* What the shell at the other end is given */
static char *
dup_bridge_command (ChoirCtlBus *self)
{
  g_autofree char *quoted = NULL;

  if (self->address == NULL)
    return g_strdup (self->session ? "systemd-stdio-bridge --user" : "systemd-stdio-bridge");

  quoted = g_shell_quote (self->address);

  return g_strconcat ("systemd-stdio-bridge --bus-path=", quoted, NULL);
}

/* ssh has said on the terminal what it knows; we add what it means */
static void
set_ssh_error (ChoirCtlBus *self, GError **error)
{
  int status = -1;

  if (g_subprocess_wait (self->ssh, NULL, NULL) && g_subprocess_get_if_exited (self->ssh))
    status = g_subprocess_get_exit_status (self->ssh);

  if (status == STATUS_NO_PROGRAM)
    g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_NO_SERVICE,
                 _ ("There is no systemd-stdio-bridge on %s; it comes with systemd"), self->host);
  else if (status == STATUS_NO_HOST)
    g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_NO_SERVICE, _ ("ssh did not get to %s"),
                 self->host);
  else
    g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_NO_SERVICE,
                 _ ("The bus of %s does not answer; is it running there, and may you use it?"),
                 self->host);
}

/* GDBus knows no way through a program's pipes, but takes any stream */
static gboolean
connect_there (ChoirCtlBus *self, GError **error)
{
  g_autofree char *command = dup_bridge_command (self);
  g_autoptr (GIOStream) stream = NULL;
  g_autoptr (GError) problem = NULL;

  self->ssh = g_subprocess_new (G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE,
                                &problem, "ssh", "-xT", "--", self->host, command, NULL);
  if (self->ssh == NULL)
    {
      g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_NO_SERVICE, _ ("ssh does not start: %s"),
                   problem->message);
      return FALSE;
    }

  stream = g_simple_io_stream_new (g_subprocess_get_stdout_pipe (self->ssh),
                                   g_subprocess_get_stdin_pipe (self->ssh));
  self->connection = g_dbus_connection_new_sync (stream, NULL,
                                                 G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                                   G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                                 NULL, NULL, NULL);
  if (self->connection == NULL)
    {
      g_io_stream_close (stream, NULL, NULL);
      set_ssh_error (self, error);
    }

  return self->connection != NULL;
}

/**
 * choir_ctl_bus_connect:
 * @self: the bus, with its options set
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * Connects, unless that has been done, and starts the program that asks for passwords where there
 * is a use for it: polkit decides on the system's bus only.
 *
 * Returns: whether there is a connection
 */
gboolean
choir_ctl_bus_connect (ChoirCtlBus *self, GError **error)
{
  if (self->connection != NULL)
    return TRUE;

  if (self->host != NULL)
    return connect_there (self, error);

  if (!connect_here (self, error))
    return FALSE;

  if (!self->no_ask_password && !self->session && self->address == NULL &&
      choir_ctl_agent_is_wanted ())
    choir_ctl_agent_start (&self->agent);

  return TRUE;
}

/**
 * choir_ctl_bus_clear:
 * @self: the bus
 *
 * Closes the connection and ends the programs that were started for it.
 */
void
choir_ctl_bus_clear (ChoirCtlBus *self)
{
  choir_ctl_agent_stop (&self->agent);

  if (self->connection != NULL)
    g_dbus_connection_close_sync (self->connection, NULL, NULL);
  g_clear_object (&self->connection);

  /* it would end when its input does, unless the way there is gone or the bridge hangs */
  if (self->ssh != NULL)
    {
      g_subprocess_send_signal (self->ssh, SIGTERM);
      g_subprocess_wait (self->ssh, NULL, NULL);
    }
  g_clear_object (&self->ssh);
  g_clear_pointer (&self->name, g_free);
}
