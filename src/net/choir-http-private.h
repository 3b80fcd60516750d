/* choir-http-private.h: what the HTTP server's files share
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <libsoup/soup.h>

#include "choir-http-server.h"
#include "choir-upgrade.h"

G_BEGIN_DECLS

/* A TCP or TLS connection while it speaks HTTP */
typedef struct
{
  ChoirHttpServer *server;
  GIOStream *stream;   /* weak: libsoup owns it */
  GSocketAddress *key; /* (owned): what messages of this connection name as their peer */
  ChoirTimer timer;
  ChoirAddress peer;     /* if has_peer */
  ChoirAddress admitted; /* if has_admitted */
  int fd;                /* borrowed from the stream */
  gboolean has_peer;
  gboolean has_admitted;
  gboolean stolen; /* became a WebSocket: its admission goes with it */
} ChoirHttpPeer;

struct _ChoirHttpServer
{
  SoupServer *soup; /* (owned) */
  ChoirGateway *gateway;
  GHashTable *peers; /* (element-type GSocketAddress ChoirHttpPeer) */
};

/* choir-http-answers.c */
void choir_http_answer_problem (SoupServerMessage *message,
                                guint status,
                                ChoirError problem,
                                const char *detail,
                                guint retry_after_s);
void choir_http_answer_upgrade (SoupServerMessage *message, const ChoirUpgrade *upgrade);
void choir_http_answer_json (SoupServerMessage *message, guint status, GString *body);
void choir_http_answer_get (ChoirHttpServer *self, SoupServerMessage *message, const char *path);
void choir_http_add_cors (ChoirGateway *gateway, SoupServerMessage *message);

/* choir-http-upgrade.c */
gboolean choir_http_wants_upgrade (SoupServerMessage *message);
void choir_http_upgrade (ChoirHttpServer *self, ChoirHttpPeer *peer, SoupServerMessage *message);

G_END_DECLS
