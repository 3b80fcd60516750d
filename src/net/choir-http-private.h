/* choir-http-private.h: what the HTTP server's files share
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <libsoup/soup.h>

#include "choir-http-idempotency.h"
#include "choir-http-request.h"
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
  gsize n_body;          /* bytes of the request's that have come */
  int fd;                /* borrowed from the stream */
  gboolean has_peer;
  gboolean has_admitted;
  gboolean stolen;  /* became a WebSocket: its admission goes with it */
  gboolean hung_up; /* answered early; what it still sends is thrown away */
} ChoirHttpPeer;

struct _ChoirHttpServer
{
  SoupServer *soup; /* (owned) */
  ChoirGateway *gateway;
  ChoirHttpApi *api; /* (owned) */
  GHashTable *peers; /* (element-type GSocketAddress ChoirHttpPeer) */
};

/* choir-http-server.c */
ChoirHttpPeer *choir_http_find_peer (ChoirHttpServer *self, SoupServerMessage *message);
void choir_http_arm_deadline (ChoirHttpPeer *peer);
void choir_http_await_progress (ChoirHttpServer *self, SoupServerMessage *message);

/* choir-http-answers.c */
void choir_http_answer_problem (SoupServerMessage *message,
                                guint status,
                                ChoirError problem,
                                const char *detail,
                                guint retry_after_s);
void choir_http_answer_problem_with (SoupServerMessage *message,
                                     guint status,
                                     ChoirError problem,
                                     const char *detail,
                                     guint retry_after_s,
                                     const GString *members);
void choir_http_answer_upgrade (SoupServerMessage *message, const ChoirUpgrade *upgrade);
void choir_http_answer_json (SoupServerMessage *message, guint status, GString *body);
void choir_http_answer_get (ChoirHttpServer *self, SoupServerMessage *message, const char *path);
void choir_http_add_cors (ChoirGateway *gateway, SoupServerMessage *message);

/* choir-http-upgrade.c */
gboolean choir_http_wants_upgrade (SoupServerMessage *message);
gboolean choir_http_is_tls (GIOStream *stream);
ChoirTransport *choir_http_make_transport (GIOStream *stream, int fd);
void choir_http_upgrade (ChoirHttpServer *self, ChoirHttpPeer *peer, SoupServerMessage *message);

/* choir-http-stream.c */
gboolean choir_http_is_stream_path (const char *path);
gboolean choir_http_start_stream (ChoirHttpServer *self,
                                  ChoirHttpPeer *peer,
                                  SoupServerMessage *message,
                                  ChoirUpgrade *upgrade);
void choir_http_refuse_stream (SoupServerMessage *message, const ChoirUpgrade *upgrade);

/* choir-http-hang-up.c */
GString *choir_http_make_head (SoupServerMessage *message);
gboolean choir_http_has_unread_body (SoupServerMessage *message, gboolean read);
void choir_http_hang_up (ChoirHttpServer *self, SoupServerMessage *message, gboolean known);

/* choir-http-request.c */
typedef enum
{
  CHOIR_HTTP_REQUEST_ALLOWED = 1 << 0,  /* the client is known, and may */
  CHOIR_HTTP_REQUEST_ADMITTED = 1 << 1, /* counted, and its body is taken */
  CHOIR_HTTP_REQUEST_PAUSED = 1 << 2,
  CHOIR_HTTP_REQUEST_READ = 1 << 3,     /* the body is there */
  CHOIR_HTTP_REQUEST_OVERFLOW = 1 << 4, /* of the body; the rest is not read */
  CHOIR_HTTP_REQUEST_ANSWERED = 1 << 5,
} ChoirHttpRequestFlags;

ChoirHttpRequest *
choir_http_request_new (ChoirHttpApi *api, ChoirGateway *gateway, SoupServerMessage *message);
ChoirHttpRequest *choir_http_request_lookup (SoupServerMessage *message);
void choir_http_request_pause (ChoirHttpRequest *self);
void choir_http_request_resume (ChoirHttpRequest *self);

/* choir-http-route.c */
gboolean choir_http_route_find (ChoirHttpRequest *request, const char *method, GUri *uri);
const ChoirHttpRoute *choir_http_route_get (guint i);

/* choir-http-admit.c */
void choir_http_request_authenticate (ChoirHttpRequest *self);
gboolean choir_http_request_is_welcome (ChoirHttpRequest *self);

/* choir-http-api.c */
ChoirHttpServer *choir_http_api_get_server (ChoirHttpApi *self);
ChoirHttpIdempotency *choir_http_api_get_idempotency (ChoirHttpApi *self);
gint64 choir_http_api_get_started_us (ChoirHttpApi *self);
gboolean choir_http_api_enter (ChoirHttpApi *self, ChoirHttpRequest *request);
gboolean choir_http_api_reserve (ChoirHttpApi *self, ChoirHttpRequest *request, gsize n_bytes);
void choir_http_api_account (ChoirHttpApi *self, ChoirHttpRequest *request, gsize n_bytes);
void choir_http_api_leave (ChoirHttpApi *self, ChoirHttpRequest *request);
void choir_http_api_forget (ChoirHttpApi *self, ChoirHttpRequest *request);
gboolean choir_http_api_may_wait (ChoirHttpApi *self, ChoirHttpRequest *request);
void choir_http_api_begin_wait (ChoirHttpApi *self, ChoirHttpRequest *request);
void choir_http_api_end_wait (ChoirHttpApi *self);

/* choir-http-emulation.c */
extern const ChoirHttpRoute choir_http_emulation_routes[];
extern const guint choir_http_emulation_n_routes;

/* choir-http-documents.c */
extern const ChoirHttpRoute choir_http_documents_routes[];
extern const guint choir_http_documents_n_routes;

G_END_DECLS
