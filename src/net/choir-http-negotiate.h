/* choir-http-negotiate.h: reading the headers in which a client says what it has and wants
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum
{
  CHOIR_HTTP_NO_MEDIA = 0,
  CHOIR_HTTP_JSON = 1 << 0,    /* application/json */
  CHOIR_HTTP_TEXT = 1 << 1,    /* text/plain; charset=utf-8 */
  CHOIR_HTTP_METRICS = 1 << 2, /* application/openmetrics-text */
} ChoirHttpMedia;

ChoirHttpMedia choir_http_choose_media (const char *accept, ChoirHttpMedia offered);
ChoirHttpMedia choir_http_parse_media (const char *content_type);
gboolean choir_http_is_any (const char *etags);
gboolean choir_http_has_etag (const char *etags, const char *etag, gboolean weakly);

G_END_DECLS
