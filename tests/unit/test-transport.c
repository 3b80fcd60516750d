/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-transport.h"

#include <string.h>

typedef struct
{
  ChoirTransport *transport;
  int fd; /* the peer's */
} Fixture;

static void
set_up (Fixture *self, gconstpointer data)
{
  int pair[2], size = 4096;

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), ==,
                   0);
  g_assert_cmpint (setsockopt (pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), ==, 0);
  self->fd = pair[1];

  if (data == NULL)
    self->transport = choir_transport_new_for_fd (pair[0]);
  else
    {
      g_autoptr (GSocket) socket = g_socket_new_from_fd (pair[0], NULL);

      self->transport = choir_transport_new_for_stream (
        G_IO_STREAM (g_socket_connection_factory_create_connection (socket)), pair[0]);
    }
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  char byte;
  gssize n;

  choir_transport_free (self->transport);
  /* the peer sees the end at once */
  while ((n = recv (self->fd, &byte, 1, 0)) > 0)
    continue;
  g_assert_cmpint (n, ==, 0);
  close (self->fd);
}

static void
test_both_ways (Fixture *self, gconstpointer data)
{
  guint8 buffer[64];
  struct iovec iov[] = { { (char *) "one", 3 }, { (char *) "two", 3 } };

  g_assert_cmpint (choir_transport_is_stream (self->transport), ==, data != NULL);
  g_assert_cmpint (choir_transport_read (self->transport, buffer, sizeof buffer), ==,
                   CHOIR_TRANSPORT_WOULD_BLOCK);
  g_assert_cmpint (choir_transport_send (self->transport, (const guint8 *) "zero", 4), ==, 4);
  g_assert_cmpint (choir_transport_write (self->transport, iov, 2), ==, 6);
  g_assert_cmpint (recv (self->fd, buffer, sizeof buffer, 0), ==, 10);
  g_assert_cmpmem (buffer, 10, "zeroonetwo", 10);

  g_assert_cmpint (send (self->fd, "hello", 5, 0), ==, 5);
  g_assert_cmpint (choir_transport_read (self->transport, buffer, 2), ==, 2);
  g_assert_cmpint (choir_transport_read (self->transport, buffer, sizeof buffer), ==, 3);
  g_assert_cmpint (shutdown (self->fd, SHUT_WR), ==, 0);
  g_assert_cmpint (choir_transport_read (self->transport, buffer, sizeof buffer), ==, 0);
}

/* Every byte once, in order, however full the socket gets */
static void
test_full (Fixture *self, gconstpointer data)
{
  enum
  {
    SIZE = 100000
  };
  g_autofree guint8 *out = g_malloc (SIZE);
  g_autofree guint8 *in = g_malloc (SIZE);
  gsize written = 0, got = 0;
  guint n_blocked = 0;

  for (guint i = 0; i < SIZE; i++)
    out[i] = i % 251;

  while (got < SIZE)
    {
      struct iovec iov[] = { { out + written, (SIZE - written) / 2 },
                             { out + written + (SIZE - written) / 2,
                               SIZE - written - (SIZE - written) / 2 } };
      gssize n = written < SIZE ? choir_transport_write (self->transport, iov, 2) : 0;

      if (n == CHOIR_TRANSPORT_WOULD_BLOCK)
        {
          n_blocked++;
          n = recv (self->fd, in + got, 1000, MSG_DONTWAIT);
          g_assert_cmpint (n, >, 0);
          got += n;
          continue;
        }
      g_assert_cmpint (n, >=, 0);
      written += n;
      if (written == SIZE)
        {
          n = recv (self->fd, in + got, SIZE - got, MSG_DONTWAIT);
          g_assert_cmpint (n, >, 0);
          got += n;
        }
    }
  g_assert_cmpuint (n_blocked, >, 0);
  g_assert_cmpmem (in, SIZE, out, SIZE);
}

/* Without a signal */
static void
test_broken (Fixture *self, gconstpointer data)
{
  int pair[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
  close (self->fd);
  g_assert_cmpint (choir_transport_send (self->transport, (const guint8 *) "x", 1), ==,
                   CHOIR_TRANSPORT_FAILED);
  self->fd = pair[0];
  close (pair[1]);
}

static void
test_shutdown (Fixture *self, gconstpointer data)
{
  guint8 buffer[8];

  g_assert_cmpint (choir_transport_send (self->transport, (const guint8 *) "bye", 3), ==, 3);
  choir_transport_shutdown (self->transport);
  g_assert_cmpint (recv (self->fd, buffer, sizeof buffer, 0), ==, 3);
  g_assert_cmpint (recv (self->fd, buffer, sizeof buffer, 0), ==, 0);
  /* the other way is still open */
  g_assert_cmpint (send (self->fd, "ok", 2, MSG_NOSIGNAL), ==, 2);
  g_assert_cmpint (choir_transport_read (self->transport, buffer, sizeof buffer), ==, 2);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, func)                                                                            \
  g_test_add ("/transport/plain/" name, Fixture, NULL, set_up, func, tear_down);                   \
  g_test_add ("/transport/stream/" name, Fixture, "stream", set_up, func, tear_down)
  ADD ("both-ways", test_both_ways);
  ADD ("full", test_full);
  ADD ("broken", test_broken);
  ADD ("shutdown", test_shutdown);

  return g_test_run ();
}
