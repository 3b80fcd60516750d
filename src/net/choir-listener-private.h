/* choir-listener-private.h: what the listener's files share
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-listener.h"

G_BEGIN_DECLS

/* One listening socket */
typedef struct
{
  ChoirWatch watch;
  ChoirListener *listener;
  char *name;      /* (owned): as it is shown */
  char *unix_path; /* (owned) (nullable): removed at the end */
  gboolean paused;
  gboolean inherited; /* from the service manager, who keeps it open */
} ChoirListenSocket;

struct _ChoirListener
{
  ChoirGateway *gateway;
  ChoirHttpServer *http;
  GPtrArray *sockets;           /* (element-type ChoirListenSocket) (owned) */
  GTlsCertificate *certificate; /* (owned) (nullable): plain */
  GHashTable *arrivals;         /* (element-type ChoirArrival): not yet handed on */
  GCancellable *cancellable;    /* (owned): TLS handshakes under way */
  ChoirTimer retry_timer;
  guint n_handshakes;
  gint64 warned_us; /* monotonic: when it was last said that there is no room; 0: never */
};

/* choir-listen-socket.c */
ChoirListenSocket *
choir_listen_socket_new (ChoirListener *listener, const char *address, GError **error);
ChoirListenSocket *choir_listen_socket_new_for_fd (ChoirListener *listener, int fd, GError **error);
void choir_listen_socket_free (ChoirListenSocket *self);

/* choir-arrival.c: takes the descriptor and the place in the admission */
void
choir_arrival_begin (ChoirListener *listener, int fd, const ChoirAddress *peer, gboolean counted);
void choir_arrival_cancel_all (ChoirListener *listener);

G_END_DECLS
