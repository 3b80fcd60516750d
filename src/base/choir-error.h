/* choir-error.h: the one error domain of the service
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * ChoirError:
 *
 * Reasons for refusing work. choir_error_get_code() gives the name each has on the wire, and
 * choir_error_get_http_status() its HTTP status; the bus uses the same names in CamelCase.
 */
typedef enum
{
  CHOIR_ERROR_INTERNAL,
  CHOIR_ERROR_INVALID_JSON,
  CHOIR_ERROR_INVALID_MESSAGE,
  CHOIR_ERROR_INVALID_MESSAGE_TYPE,
  CHOIR_ERROR_VALIDATION,
  CHOIR_ERROR_TOO_LARGE,
  CHOIR_ERROR_AUTH,
  CHOIR_ERROR_PERMISSION_DENIED,
  CHOIR_ERROR_UNKNOWN_CHANNEL,
  CHOIR_ERROR_NOT_SUBSCRIBED,
  CHOIR_ERROR_RATE_LIMITED,
  CHOIR_ERROR_CONFLICT,
  CHOIR_ERROR_NOT_FOUND,
  CHOIR_ERROR_PROCESSING,
  CHOIR_ERROR_TIMEOUT,
  CHOIR_ERROR_UNAVAILABLE,
  CHOIR_ERROR_CLOSED,
  CHOIR_ERROR_OVERRUN,
  CHOIR_ERROR_CONFIG,
  CHOIR_ERROR_TOKEN_MISSING,
  CHOIR_ERROR_TOKEN_EXPIRED,
  CHOIR_ERROR_BLOCKED,
  CHOIR_N_ERRORS
} ChoirError;

#define CHOIR_ERROR (choir_error_quark ())

GQuark choir_error_quark (void);

const char *choir_error_get_code (ChoirError code);
guint choir_error_get_http_status (ChoirError code);
const char *choir_error_get_help (ChoirError code);
gboolean choir_error_is_recoverable (ChoirError code);

G_END_DECLS
