/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-sd.h"

#include <glib/gstdio.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int
listen_at (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

  memcpy (address.sun_path, path, strlen (path));
  if (*path == '@')
    address.sun_path[0] = '\0';
  g_assert_cmpint (bind (fd, (struct sockaddr *) &address,
                         offsetof (struct sockaddr_un, sun_path) + strlen (path)),
                   ==, 0);

  return fd;
}

static void
test_notify (gconstpointer data)
{
  gboolean abstract = GPOINTER_TO_INT (data);
  g_autofree char *directory = g_dir_make_tmp ("choir-sd-XXXXXX", NULL);
  g_autofree char *path =
    abstract ? g_strdup_printf ("@%s", directory) : g_build_filename (directory, "notify", NULL);
  int fd = listen_at (path);
  char text[256] = "";

  g_setenv ("NOTIFY_SOCKET", path, TRUE);
  choir_sd_notify ("READY=1\nSTATUS=%d connections", 3);
  g_assert_cmpint (recv (fd, text, sizeof text - 1, 0), >, 0);
  g_assert_cmpstr (text, ==, "READY=1\nSTATUS=3 connections");
  close (fd);

  /* nobody listens, or the address is none: not our concern */
  choir_sd_notify ("READY=1");
  g_setenv ("NOTIFY_SOCKET", "relative", TRUE);
  choir_sd_notify ("READY=1");
  g_unsetenv ("NOTIFY_SOCKET");
  choir_sd_notify ("READY=1");

  if (!abstract)
    g_unlink (path);
  g_rmdir (directory);
}

static void
test_watchdog (void)
{
  g_autofree char *own = g_strdup_printf ("%d", (int) getpid ());

  g_unsetenv ("WATCHDOG_USEC");
  g_assert_cmpint (choir_sd_get_watchdog_us (), ==, 0);
  g_setenv ("WATCHDOG_USEC", "30000000", TRUE);
  g_unsetenv ("WATCHDOG_PID");
  g_assert_cmpint (choir_sd_get_watchdog_us (), ==, 15000000);
  g_setenv ("WATCHDOG_PID", own, TRUE);
  g_assert_cmpint (choir_sd_get_watchdog_us (), ==, 15000000);
  g_setenv ("WATCHDOG_PID", "1", TRUE);
  g_assert_cmpint (choir_sd_get_watchdog_us (), ==, 0);
  g_setenv ("WATCHDOG_PID", own, TRUE);
  g_setenv ("WATCHDOG_USEC", "rubbish", TRUE);
  g_assert_cmpint (choir_sd_get_watchdog_us (), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/sd/notify", GINT_TO_POINTER (FALSE), test_notify);
  g_test_add_data_func ("/sd/notify-abstract", GINT_TO_POINTER (TRUE), test_notify);
  g_test_add_func ("/sd/watchdog", test_watchdog);

  return g_test_run ();
}
