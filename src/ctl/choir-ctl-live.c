/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-ctl-live.h"

#include "choir-config.h"

#include <glib-unix.h>
#include <glib/gi18n.h>
#include <signal.h>
#include <unistd.h>

#define DBUS_NAME "org.freedesktop.DBus"
#define DBUS_PATH "/org/freedesktop/DBus"

/**
 * choir_ctl_parse_interval:
 * @option: what the user gave it with, for the error
 * @text: a time such as `500ms`
 * @min_us: the least that is possible, in microseconds
 * @max_us: the most
 * @out_us: (out): microseconds
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * Returns: whether @text is a time between the two
 */
gboolean
choir_ctl_parse_interval (const char *option,
                          const char *text,
                          gint64 min_us,
                          gint64 max_us,
                          gint64 *out_us,
                          GError **error)
{
  if (choir_config_parse_duration (text, out_us, NULL) && *out_us >= min_us && *out_us <= max_us)
    return TRUE;

  g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE,
               _ ("%s: “%s” is no time between %u ms and %u s; it is a number with ms, s, m or h"),
               option, text, (guint) (min_us / 1000), (guint) (max_us / G_USEC_PER_SEC));

  return FALSE;
}

static gboolean
signal_cb (gpointer user_data)
{
  ChoirCtlLoop *self = user_data;

  g_main_loop_quit (self->loop);

  return G_SOURCE_CONTINUE;
}

/* Nobody reads any more what we print; over ssh nothing else tells us that */
static gboolean
output_cb (int fd, GIOCondition condition, gpointer user_data)
{
  ChoirCtlLoop *self = user_data;

  /* of a terminal that is gone it is G_IO_HUP, too */
  self->ctl->is_unread = (condition & G_IO_HUP) == 0;
  self->output_source = 0;
  g_main_loop_quit (self->loop);

  return G_SOURCE_REMOVE;
}

/**
 * choir_ctl_loop_init:
 * @self: memory for it
 * @ctl: the options and the bus
 *
 * From now on the end of whoever reads what we print ends the loop.
 */
void
choir_ctl_loop_init (ChoirCtlLoop *self, ChoirCtl *ctl)
{
  *self = (ChoirCtlLoop){ .ctl = ctl, .loop = g_main_loop_new (NULL, FALSE) };
  self->output_source = g_unix_fd_add (STDOUT_FILENO, G_IO_ERR | G_IO_HUP, output_cb, self);
}

/**
 * choir_ctl_loop_catch_signals:
 * @self: a loop
 *
 * From now on SIGINT, SIGTERM and SIGHUP end the loop, and not the process. To be called when no
 * answer is waited for any more: until then nobody would see to them.
 */
void
choir_ctl_loop_catch_signals (ChoirCtlLoop *self)
{
  self->signals[0] = g_unix_signal_add (SIGINT, signal_cb, self);
  self->signals[1] = g_unix_signal_add (SIGTERM, signal_cb, self);
  self->signals[2] = g_unix_signal_add (SIGHUP, signal_cb, self);
}

/**
 * choir_ctl_loop_fail:
 * @self: a loop
 * @error: (transfer full): why it ends, of %CHOIR_CTL_ERROR; the first one counts
 */
void
choir_ctl_loop_fail (ChoirCtlLoop *self, GError *error)
{
  if (self->error == NULL)
    self->error = error;
  else
    g_error_free (error);

  g_main_loop_quit (self->loop);
}

static void
fail_gone (ChoirCtlLoop *self, const char *sentence)
{
  choir_ctl_loop_fail (self, g_error_new_literal (CHOIR_CTL_ERROR, CHOIR_CTL_NO_SERVICE, sentence));
}

static void
owner_changed_cb (GDBusConnection *connection,
                  const char *sender,
                  const char *path,
                  const char *interface,
                  const char *signal,
                  GVariant *parameters,
                  gpointer user_data)
{
  const char *before;

  /* also another took its place: it knows nothing of us */
  g_variant_get (parameters, "(&s&s&s)", NULL, &before, NULL);
  if (*before != '\0')
    fail_gone (user_data, _ ("Choir has gone away; “systemctl status choir” tells why"));
}

static void
closed_cb (GDBusConnection *connection,
           gboolean remote_peer_vanished,
           GError *error,
           gpointer user_data)
{
  fail_gone (user_data, _ ("The bus has closed the connection"));
}

/**
 * choir_ctl_loop_watch_service:
 * @self: a loop
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * Lets the loop fail when the service leaves the bus, or the bus us.
 *
 * Returns: whether there is a bus
 */
gboolean
choir_ctl_loop_watch_service (ChoirCtlLoop *self, GError **error)
{
  GDBusConnection *connection;

  if (!choir_ctl_bus_connect (&self->ctl->bus, error))
    return FALSE;

  connection = self->ctl->bus.connection;
  self->name_watch = g_dbus_connection_signal_subscribe (
    connection, DBUS_NAME, DBUS_NAME, "NameOwnerChanged", DBUS_PATH, self->ctl->bus.name,
    G_DBUS_SIGNAL_FLAGS_NONE, owner_changed_cb, self, NULL);
  g_signal_connect (connection, "closed", G_CALLBACK (closed_cb), self);

  return TRUE;
}

/**
 * choir_ctl_loop_run:
 * @self: a loop
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * Returns: %TRUE if it was asked to end, %FALSE with @error if it had to
 */
gboolean
choir_ctl_loop_run (ChoirCtlLoop *self, GError **error)
{
  if (self->error == NULL)
    g_main_loop_run (self->loop);

  if (self->error == NULL)
    return TRUE;

  g_propagate_error (error, g_steal_pointer (&self->error));

  return FALSE;
}

/**
 * choir_ctl_loop_clear:
 * @self: a loop
 */
void
choir_ctl_loop_clear (ChoirCtlLoop *self)
{
  GDBusConnection *connection = self->ctl->bus.connection;

  if (self->name_watch != 0)
    {
      g_dbus_connection_signal_unsubscribe (connection, self->name_watch);
      g_signal_handlers_disconnect_by_data (connection, self);
    }

  for (guint i = 0; i < G_N_ELEMENTS (self->signals); i++)
    if (self->signals[i] != 0)
      g_source_remove (self->signals[i]);

  if (self->output_source != 0)
    g_source_remove (self->output_source);

  g_clear_error (&self->error);
  g_clear_pointer (&self->loop, g_main_loop_unref);
}
