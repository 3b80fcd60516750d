/* choir-listener.h: sockets that are listened on, and what comes in at them
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

#include "choir-gateway.h"
#include "choir-http-server.h"

G_BEGIN_DECLS

/**
 * ChoirListener:
 *
 * The accept loop: admission first; then a look at the head. An ordinary WebSocket handshake is
 * answered here at once, by the same decision as any other; everything else goes, untouched, to
 * the HTTP server. A socket that stays silent is dropped after `handshake-timeout`. Out of
 * descriptors it pauses instead of going deaf.
 */
typedef struct _ChoirListener ChoirListener;

ChoirListener *choir_listener_new (ChoirGateway *gateway, ChoirHttpServer *http);
gboolean choir_listener_open (ChoirListener *self, GError **error);
void choir_listener_close (ChoirListener *self);
void choir_listener_stop (ChoirListener *self);
guint choir_listener_get_n_arriving (ChoirListener *self);
void choir_listener_free (ChoirListener *self);
char **choir_listener_dup_addresses (ChoirListener *self);
gboolean
choir_listener_load_certificate (ChoirConfig *config, GTlsCertificate **out, GError **error);
gboolean choir_listener_configure (ChoirListener *self, GError **error);

G_END_DECLS
