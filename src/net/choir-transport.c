/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-transport.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* One TLS record (RFC 8446 5.1) */
#define RECORD_MAX 16384

/**
 * choir_transport_new_for_fd:
 * @fd: (transfer full): a connected, non-blocking socket
 *
 * Returns: (transfer full): a plain transport
 */
ChoirTransport *
choir_transport_new_for_fd (int fd)
{
  ChoirTransport *self = g_new0 (ChoirTransport, 1);

  self->fd = fd;

  return self;
}

/**
 * choir_transport_new_for_stream:
 * @stream: (transfer full): pollable both ways
 * @fd: the socket below it, borrowed
 *
 * Returns: (transfer full): a transport that never touches @fd itself
 */
ChoirTransport *
choir_transport_new_for_stream (GIOStream *stream, int fd)
{
  ChoirTransport *self = g_new0 (ChoirTransport, 1);

  self->fd = fd;
  self->stream = stream;

  return self;
}

void
choir_transport_free (ChoirTransport *self)
{
  if (self->stream != NULL)
    {
      /* without waiting for the peer's close_notify, which a silent one would never send */
      shutdown (self->fd, SHUT_RDWR);
      g_object_unref (self->stream);
    }
  else
    close (self->fd);

  g_free (self);
}

int
choir_transport_get_fd (const ChoirTransport *self)
{
  return self->fd;
}

/**
 * choir_transport_is_stream:
 * @self: a transport
 *
 * Returns: whether it may hold bytes that epoll does not see: then read until it would block, and
 * after every event try both ways
 */
gboolean
choir_transport_is_stream (const ChoirTransport *self)
{
  return self->stream != NULL;
}

static gssize
from_error (GError *error)
{
  gboolean again = g_error_matches (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);

  g_error_free (error);

  return again ? CHOIR_TRANSPORT_WOULD_BLOCK : CHOIR_TRANSPORT_FAILED;
}

static gssize
from_errno (void)
{
  return errno == EAGAIN ? CHOIR_TRANSPORT_WOULD_BLOCK : CHOIR_TRANSPORT_FAILED;
}

/**
 * choir_transport_read:
 * @self: a transport
 * @buffer: where to
 * @size: its size
 *
 * Returns: bytes read, 0 at the end, %CHOIR_TRANSPORT_WOULD_BLOCK or %CHOIR_TRANSPORT_FAILED
 */
gssize
choir_transport_read (ChoirTransport *self, guint8 *buffer, gsize size)
{
  gssize n;

  if (self->stream != NULL)
    {
      GError *error = NULL;

      n = g_pollable_input_stream_read_nonblocking (
        G_POLLABLE_INPUT_STREAM (g_io_stream_get_input_stream (self->stream)), buffer, size, NULL,
        &error);

      return n >= 0 ? n : from_error (error);
    }

  /* recv() is a cancellation point, which costs bookkeeping wherever there is a second thread */
  do
    n = syscall (SYS_recvfrom, self->fd, buffer, size, MSG_DONTWAIT, NULL, NULL);
  while (n < 0 && errno == EINTR);

  return n >= 0 ? n : from_errno ();
}

static gssize
write_stream (ChoirTransport *self, const struct iovec *iov, guint n_iov)
{
  guint8 record[RECORD_MAX];
  gsize len = 0;
  gsize max = self->pending > 0 ? self->pending : sizeof record;
  GError *error = NULL;
  gssize n;

  for (guint i = 0; i < n_iov && len < max; i++)
    {
      gsize part = MIN (iov[i].iov_len, max - len);

      memcpy (record + len, iov[i].iov_base, part);
      len += part;
    }

  n = g_pollable_output_stream_write_nonblocking (
    G_POLLABLE_OUTPUT_STREAM (g_io_stream_get_output_stream (self->stream)), record, len, NULL,
    &error);
  self->pending = 0;
  if (n >= 0)
    return n;

  n = from_error (error);
  if (n == CHOIR_TRANSPORT_WOULD_BLOCK)
    self->pending = len;

  return n;
}

/**
 * choir_transport_send_stream:
 * @self: a TLS transport
 * @data: what to write
 * @len: its bytes
 *
 * The part of choir_transport_send() for streams.
 *
 * Returns: as choir_transport_write()
 */
gssize
choir_transport_send_stream (ChoirTransport *self, const guint8 *data, gsize len)
{
  struct iovec iov = { (void *) data, len };

  return write_stream (self, &iov, 1);
}

/**
 * choir_transport_write:
 * @self: a transport
 * @iov: what to write; after a write that would have blocked, the same bytes first
 * @n_iov: at least 1
 *
 * Returns: bytes written, %CHOIR_TRANSPORT_WOULD_BLOCK or %CHOIR_TRANSPORT_FAILED
 */
gssize
choir_transport_write (ChoirTransport *self, const struct iovec *iov, guint n_iov)
{
  struct msghdr message = { .msg_iov = (struct iovec *) iov, .msg_iovlen = n_iov };
  gssize n;

  if (self->stream != NULL)
    return write_stream (self, iov, n_iov);

  do
    n = sendmsg (self->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);

  return n >= 0 ? n : from_errno ();
}

/**
 * choir_transport_shutdown:
 * @self: a transport
 *
 * Tells the peer that nothing more comes, so that the close frame is not lost to a reset (RFC 6455
 * 7.1.1).
 */
void
choir_transport_shutdown (ChoirTransport *self)
{
  shutdown (self->fd, SHUT_WR);
}
