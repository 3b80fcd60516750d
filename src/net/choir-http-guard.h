/* choir-http-guard.h: no malformed head reaches the HTTP library
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum
{
  CHOIR_HTTP_GUARD_FINE,
  CHOIR_HTTP_GUARD_PARTIAL, /* nothing wrong so far; more bytes are needed */
  CHOIR_HTTP_GUARD_BAD,
} ChoirHttpGuardResult;

gboolean choir_http_is_token (const char *text, gsize len);
ChoirHttpGuardResult choir_http_guard_check (const char *data, gsize len);

G_END_DECLS
