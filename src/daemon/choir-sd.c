/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-sd.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/**
 * choir_sd_notify:
 * @format: lines as sd_notify(3) has them
 *
 * Does nothing when no service manager listens. The protocol is a datagram to $NOTIFY_SOCKET; it
 * is small and stable enough not to need libsystemd.
 */
void
choir_sd_notify (const char *format, ...)
{
  const char *path = g_getenv ("NOTIFY_SOCKET");
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  g_autofree char *text = NULL;
  gsize len;
  va_list args;
  int fd;

  if (path == NULL || (*path != '/' && *path != '@') || strlen (path) >= sizeof address.sun_path)
    return;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);

  len = strlen (path);
  memcpy (address.sun_path, path, len);
  if (*path == '@')
    address.sun_path[0] = '\0';

  fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return;

  sendto (fd, text, strlen (text), MSG_NOSIGNAL, (struct sockaddr *) &address,
          offsetof (struct sockaddr_un, sun_path) + len);
  close (fd);
}

/**
 * choir_sd_get_watchdog_us:
 *
 * Returns: half of the service manager's limit, as sd_watchdog_enabled(3) advises; 0 for none
 */
gint64
choir_sd_get_watchdog_us (void)
{
  const char *limit = g_getenv ("WATCHDOG_USEC");
  const char *pid = g_getenv ("WATCHDOG_PID");

  if (limit == NULL || (pid != NULL && g_ascii_strtoull (pid, NULL, 10) != (guint64) getpid ()))
    return 0;

  return (gint64) (g_ascii_strtoull (limit, NULL, 10) / 2);
}
