/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-listener-private.h"

#include "choir-error.h"

#include <errno.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096

typedef union
{
  struct sockaddr any;
  struct sockaddr_in in;
  struct sockaddr_in6 in6;
  struct sockaddr_un un;
  struct sockaddr_storage storage;
} SocketAddress;

static gboolean
set_errno_error (GError **error, const char *address, const char *what)
{
  int saved = errno;

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "[server] listen: %s: %s: %s", address, what,
               g_strerror (saved));

  return FALSE;
}

static gboolean
parse_unix (const char *path, SocketAddress *out, socklen_t *len, GError **error)
{
  if (*path != '/' || strlen (path) >= sizeof out->un.sun_path)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG,
                   "[server] listen: unix:%s: not an absolute path of at most %zu bytes", path,
                   sizeof out->un.sun_path - 1);
      return FALSE;
    }

  out->un.sun_family = AF_UNIX;
  g_strlcpy (out->un.sun_path, path, sizeof out->un.sun_path);
  *len = sizeof out->un;

  return TRUE;
}

static gboolean
parse_inet (const char *address, SocketAddress *out, socklen_t *len, GError **error)
{
  g_autoptr (GSocketConnectable) parsed = g_network_address_parse (address, 0, NULL);
  g_autoptr (GInetAddress) inet = NULL;
  const char *host = NULL;
  guint16 port;

  if (parsed != NULL)
    {
      host = g_network_address_get_hostname (G_NETWORK_ADDRESS (parsed));
      inet = g_inet_address_new_from_string (host);
    }

  if (inet == NULL || strrchr (address, ':') == NULL || strrchr (address, ':')[1] == '\0')
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG,
                   "[server] listen: “%s” is not ADDRESS:PORT, [ADDRESS]:PORT or unix:PATH",
                   address);
      return FALSE;
    }

  port = g_network_address_get_port (G_NETWORK_ADDRESS (parsed));
  if (g_inet_address_get_family (inet) == G_SOCKET_FAMILY_IPV4)
    {
      out->in.sin_family = AF_INET;
      out->in.sin_port = htons (port);
      memcpy (&out->in.sin_addr, g_inet_address_to_bytes (inet), 4);
      *len = sizeof out->in;
    }
  else
    {
      out->in6.sin6_family = AF_INET6;
      out->in6.sin6_port = htons (port);
      memcpy (&out->in6.sin6_addr, g_inet_address_to_bytes (inet), 16);
      *len = sizeof out->in6;
    }

  return TRUE;
}

/* A socket file left by a process that died is in the way; one that somebody listens on is not ours
 */
static void
remove_stale (const SocketAddress *address, socklen_t len)
{
  struct stat status;
  int fd;

  if (lstat (address->un.sun_path, &status) < 0 || !S_ISSOCK (status.st_mode))
    return;

  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return;

  if (connect (fd, &address->any, len) < 0 && errno == ECONNREFUSED)
    unlink (address->un.sun_path);

  close (fd);
}

static char *
describe (int fd)
{
  SocketAddress address = { 0 };
  socklen_t len = sizeof address;
  char text[INET6_ADDRSTRLEN];

  if (getsockname (fd, &address.any, &len) < 0)
    return g_strdup ("?");

  if (address.any.sa_family == AF_UNIX)
    return g_strconcat ("unix:", address.un.sun_path, NULL);

  if (address.any.sa_family == AF_INET6)
    {
      g_autoptr (GInetAddress) inet =
        g_inet_address_new_from_bytes (address.in6.sin6_addr.s6_addr, G_SOCKET_FAMILY_IPV6);
      g_autofree char *host = g_inet_address_to_string (inet);

      return g_strdup_printf ("[%s]:%u", host, ntohs (address.in6.sin6_port));
    }

  {
    const guint8 *bytes = (const guint8 *) &address.in.sin_addr;

    g_snprintf (text, sizeof text, "%u.%u.%u.%u", bytes[0], bytes[1], bytes[2], bytes[3]);
  }

  return g_strdup_printf ("%s:%u", text, ntohs (address.in.sin_port));
}

static ChoirListenSocket *
wrap (ChoirListener *listener, int fd)
{
  ChoirListenSocket *self = g_new0 (ChoirListenSocket, 1);

  self->listener = listener;
  self->watch.fd = fd;
  self->name = describe (fd);

  return self;
}

/**
 * choir_listen_socket_new:
 * @listener: the listener
 * @address: `ADDRESS:PORT`, `[ADDRESS]:PORT` or `unix:PATH`
 * @error: return location: %CHOIR_ERROR_CONFIG
 *
 * Returns: (transfer full): a listening socket nobody watches yet, or %NULL
 */
ChoirListenSocket *
choir_listen_socket_new (ChoirListener *listener, const char *address, GError **error)
{
  SocketAddress where = { 0 };
  socklen_t len = 0;
  gboolean is_unix = g_str_has_prefix (address, "unix:");
  const int one = 1;
  int fd;
  ChoirListenSocket *self;

  if (is_unix ? !parse_unix (address + strlen ("unix:"), &where, &len, error)
              : !parse_inet (address, &where, &len, error))
    return NULL;

  fd = socket (where.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    {
      set_errno_error (error, address, "socket");
      return NULL;
    }

  setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (where.any.sa_family == AF_INET6)
    setsockopt (fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
  if (is_unix)
    remove_stale (&where, len);

  if (bind (fd, &where.any, len) < 0 || listen (fd, BACKLOG) < 0)
    {
      set_errno_error (error, address, "bind");
      close (fd);
      return NULL;
    }

  self = wrap (listener, fd);
  if (is_unix)
    self->unix_path = g_strdup (where.un.sun_path);

  return self;
}

/**
 * choir_listen_socket_new_for_fd:
 * @listener: the listener
 * @fd: (transfer full): a socket inherited from the service manager, sd_listen_fds(3)
 * @error: return location: %CHOIR_ERROR_CONFIG if it is not a listening stream socket
 *
 * Returns: (transfer full): the same, or %NULL
 */
ChoirListenSocket *
choir_listen_socket_new_for_fd (ChoirListener *listener, int fd, GError **error)
{
  int listening = 0, type = 0;
  socklen_t len = sizeof listening;
  ChoirListenSocket *self;

  if (getsockopt (fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 || !listening ||
      getsockopt (fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG,
                   "inherited descriptor %d is not a listening stream socket", fd);
      close (fd);
      return NULL;
    }

  g_unix_set_fd_nonblocking (fd, TRUE, NULL);
  self = wrap (listener, fd);
  self->inherited = TRUE;

  return self;
}

void
choir_listen_socket_free (ChoirListenSocket *self)
{
  close (self->watch.fd);
  if (self->unix_path != NULL)
    unlink (self->unix_path);

  g_free (self->unix_path);
  g_free (self->name);
  g_free (self);
}
