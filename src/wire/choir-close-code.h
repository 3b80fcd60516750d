/* choir-close-code.h: WebSocket close codes, RFC 6455 section 7.4 and ours
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum
{
  CHOIR_CLOSE_NORMAL = 1000,
  CHOIR_CLOSE_GOING_AWAY = 1001,
  CHOIR_CLOSE_PROTOCOL_ERROR = 1002,
  CHOIR_CLOSE_UNSUPPORTED_DATA = 1003,
  CHOIR_CLOSE_NO_STATUS = 1005,
  CHOIR_CLOSE_ABNORMAL = 1006,
  CHOIR_CLOSE_INVALID_DATA = 1007,
  CHOIR_CLOSE_POLICY = 1008,
  CHOIR_CLOSE_TOO_BIG = 1009,
  CHOIR_CLOSE_INTERNAL_ERROR = 1011,
  CHOIR_CLOSE_RESTART = 1012,
  CHOIR_CLOSE_TRY_AGAIN_LATER = 1013,
  CHOIR_CLOSE_AUTH_FAILED = 4000,
  CHOIR_CLOSE_AUTH_TIMEOUT = 4001,
  CHOIR_CLOSE_KICKED = 4002,
  CHOIR_CLOSE_TOKEN_EXPIRED = 4003,
  CHOIR_CLOSE_SLOW_CONSUMER = 4008,
  CHOIR_CLOSE_EVICTED = 4009,
} ChoirCloseCode;

/* Whether a peer may send it in a close frame (RFC 6455 7.4.1, 7.4.2 and the IANA registry) */
gboolean choir_close_code_is_valid_on_wire (guint code);
const char *choir_close_code_get_name (
  guint code); /* "going-away", for logs and counters; "other" if unknown */

G_END_DECLS
