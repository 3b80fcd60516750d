/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-error.h"

typedef struct
{
  const char *code;
  guint http_status;
  gboolean recoverable;
  const char *help;
} ErrorRow;

/* clang-format off */
static const ErrorRow rows[] = {
  [CHOIR_ERROR_INTERNAL] = { "INTERNAL_ERROR", 500, TRUE,
    "The server failed; nothing is wrong with the message. Try again later." },
  [CHOIR_ERROR_INVALID_JSON] = { "INVALID_JSON", 400, TRUE,
    "Send one JSON object, or an array of them, as UTF-8 text." },
  [CHOIR_ERROR_INVALID_MESSAGE] = { "INVALID_MESSAGE", 400, TRUE,
    "A message is an object with a string \"type\" and, where it carries anything, an object \"payload\"." },
  [CHOIR_ERROR_INVALID_MESSAGE_TYPE] = { "INVALID_MESSAGE_TYPE", 400, TRUE,
    "Check the spelling of \"type\"; this endpoint does not take messages of that type." },
  [CHOIR_ERROR_VALIDATION] = { "VALIDATION_ERROR", 422, TRUE,
    "Correct the field named in the message and send it again." },
  [CHOIR_ERROR_TOO_LARGE] = { "MESSAGE_TOO_LARGE", 413, TRUE,
    "Split the message; max_message_size in the greeting is the limit." },
  [CHOIR_ERROR_AUTH] = { "AUTH_ERROR", 401, FALSE,
    "Get a new token and connect with it." },
  [CHOIR_ERROR_PERMISSION_DENIED] = { "PERMISSION_DENIED", 403, TRUE,
    "The token does not allow this; ask for one that grants the permission." },
  [CHOIR_ERROR_UNKNOWN_CHANNEL] = { "UNKNOWN_CHANNEL", 404, TRUE,
    "Check the name; a channel is there while somebody is in it or what was said in it is kept." },
  [CHOIR_ERROR_NOT_SUBSCRIBED] = { "NOT_SUBSCRIBED", 409, TRUE,
    "Subscribe to the channel first." },
  [CHOIR_ERROR_RATE_LIMITED] = { "RATE_LIMIT_EXCEEDED", 429, TRUE,
    "Wait for retry_after seconds, then send more slowly." },
  [CHOIR_ERROR_CONFLICT] = { "CONFLICT", 409, TRUE,
    "Fetch the present state, apply the change to it and send it again." },
  [CHOIR_ERROR_NOT_FOUND] = { "NOT_FOUND", 404, TRUE,
    "Check the identifier; what it names may have ended or expired." },
  [CHOIR_ERROR_PROCESSING] = { "PROCESSING_ERROR", 500, TRUE,
    "The work was accepted but failed; the message says why. It may be sent again." },
  [CHOIR_ERROR_TIMEOUT] = { "TIMEOUT", 504, TRUE,
    "No answer came in time. Try again later." },
  [CHOIR_ERROR_UNAVAILABLE] = { "UNAVAILABLE", 503, TRUE,
    "The service behind this is not there at the moment. Try again after a pause." },
  [CHOIR_ERROR_CLOSED] = { "UNAVAILABLE", 503, FALSE,
    "The connection is closing. Connect again." },
  [CHOIR_ERROR_OVERRUN] = { "UNAVAILABLE", 503, FALSE,
    "Messages were not read fast enough. Connect again and resume from the last offset." },
  [CHOIR_ERROR_CONFIG] = { "INTERNAL_ERROR", 500, FALSE,
    "The server is set up wrongly; tell its administrator." },
  [CHOIR_ERROR_TOKEN_MISSING] = { "AUTH_ERROR", 401, FALSE,
    "Send a token: Authorization: Bearer, the query parameter token, or a first message of type auth." },
  [CHOIR_ERROR_TOKEN_EXPIRED] = { "AUTH_ERROR", 401, FALSE,
    "The token has expired. Get a new one and connect with it." },
  [CHOIR_ERROR_BLOCKED] = { "PERMISSION_DENIED", 403, FALSE,
    "An administrator has blocked this user. Do not come back before that has been lifted." },
};
/* clang-format on */

G_STATIC_ASSERT (G_N_ELEMENTS (rows) == CHOIR_N_ERRORS);

G_DEFINE_QUARK (choir - error - quark, choir_error)

static const ErrorRow *
get_row (ChoirError code)
{
  /* codes come out of a GError's int; one of another domain must not index past the table */
  return (guint) code < CHOIR_N_ERRORS ? &rows[code] : &rows[CHOIR_ERROR_INTERNAL];
}

/**
 * choir_error_get_code:
 * @code: a #ChoirError
 *
 * The name a client sees: the list in the protocol's chapter "Errors". Several reasons share a
 * name where a client would act alike.
 *
 * Returns: a static string; "INTERNAL_ERROR" for an unknown @code
 */
const char *
choir_error_get_code (ChoirError code)
{
  return get_row (code)->code;
}

/**
 * choir_error_get_http_status:
 * @code: a #ChoirError
 *
 * Returns: the status of RFC 9110 (429: RFC 6585) that says the same over HTTP
 */
guint
choir_error_get_http_status (ChoirError code)
{
  return get_row (code)->http_status;
}

/**
 * choir_error_get_help:
 * @code: a #ChoirError
 *
 * Returns: a static English sentence that tells a client's author what to do about it
 */
const char *
choir_error_get_help (ChoirError code)
{
  return get_row (code)->help;
}

/**
 * choir_error_is_recoverable:
 * @code: a #ChoirError
 *
 * Returns: whether the connection can go on being used after it
 */
gboolean
choir_error_is_recoverable (ChoirError code)
{
  return get_row (code)->recoverable;
}
