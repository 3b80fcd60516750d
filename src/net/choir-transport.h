/* choir-transport.h: bytes in and out, plain or through TLS
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <errno.h>
#include <gio/gio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

G_BEGIN_DECLS

/**
 * ChoirTransport:
 *
 * What a connection reads from and writes to. Plain ones use the socket; TLS ones keep the stream
 * that the handshake was made on, and the socket only tells when to try.
 */
typedef struct
{
  GIOStream
    *stream;     /* (owned) (nullable): none on a plain socket, whose fd is then ours to close */
  gsize pending; /* bytes of a write that would have blocked: the same must be tried again */
  int fd;
} ChoirTransport;

enum
{
  CHOIR_TRANSPORT_WOULD_BLOCK = -1,
  CHOIR_TRANSPORT_FAILED = -2,
};

ChoirTransport *choir_transport_new_for_fd (int fd);
ChoirTransport *choir_transport_new_for_stream (GIOStream *stream, int fd);
void choir_transport_free (ChoirTransport *self);
int choir_transport_get_fd (const ChoirTransport *self);
gboolean choir_transport_is_stream (const ChoirTransport *self);
gssize choir_transport_read (ChoirTransport *self, guint8 *buffer, gsize size);
gssize choir_transport_send_stream (ChoirTransport *self, const guint8 *data, gsize len);
gssize choir_transport_write (ChoirTransport *self, const struct iovec *iov, guint n_iov);
void choir_transport_shutdown (ChoirTransport *self);

/**
 * choir_transport_send:
 * @self: a transport
 * @data: what to write
 * @len: its bytes
 *
 * choir_transport_write() of one piece. Not by send(2): glibc's is a cancellation point, and its
 * bookkeeping costs more than all of ours.
 *
 * Returns: likewise
 */
static inline gssize
choir_transport_send (ChoirTransport *self, const guint8 *data, gsize len)
{
  gssize n;

  if (G_UNLIKELY (self->stream != NULL))
    return choir_transport_send_stream (self, data, len);

  do
    n = syscall (SYS_sendto, self->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0);
  while (G_UNLIKELY (n < 0 && errno == EINTR));

  if (G_LIKELY (n >= 0))
    return n;

  return errno == EAGAIN ? CHOIR_TRANSPORT_WOULD_BLOCK : CHOIR_TRANSPORT_FAILED;
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirTransport, choir_transport_free)

G_END_DECLS
