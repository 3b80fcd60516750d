/* choir-http-api.h: what back ends call: /api/v1/
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-http-request.h"
#include "choir-http-server.h"

G_BEGIN_DECLS

#define CHOIR_HTTP_API_PREFIX "/api/v1/"

/* A body that nobody looks at is read up to here, so that the answer gets through; it is cut off
 * behind that */
#define CHOIR_HTTP_IGNORED_BODY_MAX (64 * 1024)

/**
 * ChoirHttpApi:
 *
 * The way of a request to its handler: the table of routes, the token, the permission, the limits,
 * the body. All that can be refused is refused before the body is read.
 */
ChoirHttpApi *choir_http_api_new (ChoirHttpServer *server);
void choir_http_api_free (ChoirHttpApi *self);
guint choir_http_api_get_n_requests (ChoirHttpApi *self);
guint choir_http_api_get_n_waiting (ChoirHttpApi *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirHttpApi, choir_http_api_free)

gboolean choir_http_api_serves (const char *path);
void choir_http_api_begin (ChoirHttpApi *self, SoupServerMessage *message);
gboolean choir_http_api_take_chunk (SoupServerMessage *message, GBytes *chunk);
void choir_http_api_run (SoupServerMessage *message);

G_END_DECLS
