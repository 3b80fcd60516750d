/* choir-http-server.h: everything that is HTTP: refusals, discovery, health, metrics
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

#include "choir-gateway.h"

G_BEGIN_DECLS

/**
 * ChoirHttpServer:
 *
 * libsoup behind our own accept loop. It gets connections one by one, each with a deadline for its
 * request, and gives those away that become WebSockets (the traps of its server side are avoided
 * as the design's list of them says: no listener, no WebSocket handler, bodies and heads bounded).
 */
typedef struct _ChoirHttpServer ChoirHttpServer;

ChoirHttpServer *choir_http_server_new (ChoirGateway *gateway);
void choir_http_server_free (ChoirHttpServer *self);
void choir_http_server_take (ChoirHttpServer *self,
                             GIOStream *stream,
                             int fd,
                             const ChoirAddress *peer,
                             const ChoirAddress *admitted);
guint choir_http_server_get_n_peers (ChoirHttpServer *self);
guint choir_http_server_get_n_requests (ChoirHttpServer *self);
guint choir_http_server_get_n_waiting (ChoirHttpServer *self);
void choir_http_server_close_all (ChoirHttpServer *self);

G_END_DECLS
