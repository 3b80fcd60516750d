/* choir-transport.h: bytes in and out, plain or through TLS
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>
#include <sys/uio.h>

G_BEGIN_DECLS

/**
 * ChoirTransport:
 *
 * What a connection reads from and writes to. Plain ones use the socket; TLS ones keep the stream
 * that the handshake was made on, and the socket only tells when to try.
 */
typedef struct _ChoirTransport ChoirTransport;

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
gssize choir_transport_send (ChoirTransport *self, const guint8 *data, gsize len);
gssize choir_transport_write (ChoirTransport *self, const struct iovec *iov, guint n_iov);
void choir_transport_shutdown (ChoirTransport *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirTransport, choir_transport_free)

G_END_DECLS
