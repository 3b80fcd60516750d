/* choir-http-messages.h: what the handlers of messages, connections and channels share
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-audience.h"
#include "choir-http-request.h"

G_BEGIN_DECLS

/* choir-http-publish.c */
extern const ChoirHttpRoute choir_http_publish_routes[];
extern const guint choir_http_publish_n_routes;

gsize choir_http_get_max_message (const ChoirHttpRequest *request);
gsize choir_http_get_max_payload (const ChoirHttpRequest *request);

/* choir-http-send.c */
extern const ChoirHttpRoute choir_http_send_routes[];
extern const guint choir_http_send_n_routes;

void choir_http_answer_recipients (ChoirHttpRequest *request, guint n_recipients);

/* choir-http-notify.c */
extern const ChoirHttpRoute choir_http_notify_routes[];
extern const guint choir_http_notify_n_routes;

/* choir-http-connections.c */
extern const ChoirHttpRoute choir_http_connections_routes[];
extern const guint choir_http_connections_n_routes;

gboolean choir_http_check_user (ChoirHttpRequest *request);
ChoirSession *choir_http_find_connection (ChoirHttpRequest *request);

/* choir-http-channels.c */
extern const ChoirHttpRoute choir_http_channels_routes[];
extern const guint choir_http_channels_n_routes;

/* choir-http-history.c */
void choir_http_get_history (ChoirHttpRequest *request);

/* choir-http-stats.c */
extern const ChoirHttpRoute choir_http_stats_routes[];
extern const guint choir_http_stats_n_routes;

/* choir-http-page.c: what is listed in the order of its names, some of it at a time */
#define CHOIR_HTTP_PAGE_DEFAULT 100
#define CHOIR_HTTP_PAGE_MAX 1000

typedef struct
{
  GPtrArray *items; /* (owned): borrowed things, see choir_http_page_end() */
  const char *(*get_name) (gconstpointer item);
  const char *after;  /* (nullable) */
  const char *prefix; /* (nullable) */
  guint limit;
} ChoirHttpPage;

gboolean choir_http_page_begin (ChoirHttpPage *self,
                                ChoirHttpRequest *request,
                                const char *(*get_name) (gconstpointer item));
void choir_http_page_offer (ChoirHttpPage *self, gconstpointer item);
gboolean choir_http_page_end (ChoirHttpPage *self);
void choir_http_page_clear (ChoirHttpPage *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ChoirHttpPage, choir_http_page_clear)

G_END_DECLS
