/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-close-code.h"

typedef struct
{
  guint code;
  const char *name;
} CloseCodeName;

static const CloseCodeName names[] = {
  { CHOIR_CLOSE_NORMAL, "normal" },
  { CHOIR_CLOSE_GOING_AWAY, "going-away" },
  { CHOIR_CLOSE_PROTOCOL_ERROR, "protocol-error" },
  { CHOIR_CLOSE_UNSUPPORTED_DATA, "unsupported-data" },
  { CHOIR_CLOSE_NO_STATUS, "no-status" },
  { CHOIR_CLOSE_ABNORMAL, "abnormal" },
  { CHOIR_CLOSE_INVALID_DATA, "invalid-data" },
  { CHOIR_CLOSE_POLICY, "policy" },
  { CHOIR_CLOSE_TOO_BIG, "too-big" },
  { CHOIR_CLOSE_INTERNAL_ERROR, "internal-error" },
  { CHOIR_CLOSE_RESTART, "restart" },
  { CHOIR_CLOSE_TRY_AGAIN_LATER, "try-again-later" },
  { CHOIR_CLOSE_AUTH_FAILED, "auth-failed" },
  { CHOIR_CLOSE_AUTH_TIMEOUT, "auth-timeout" },
  { CHOIR_CLOSE_KICKED, "kicked" },
  { CHOIR_CLOSE_TOKEN_EXPIRED, "token-expired" },
  { CHOIR_CLOSE_SLOW_CONSUMER, "slow-consumer" },
  { CHOIR_CLOSE_EVICTED, "evicted" },
};

/**
 * choir_close_code_is_valid_on_wire:
 * @code: a status code out of a close frame
 *
 * 1004 is reserved; 1005, 1006 and 1015 only exist inside an end point (RFC 6455 7.4.1); 1012 to
 * 1014 are in the IANA registry; 3000-4999 belong to libraries and applications (7.4.2).
 *
 * Returns: whether a peer may send it
 */
gboolean
choir_close_code_is_valid_on_wire (guint code)
{
  if (code >= 3000)
    return code <= 4999;

  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

/**
 * choir_close_code_get_name:
 * @code: any number
 *
 * Returns: (transfer none): a stable word for logs and counters, "other" for codes without one
 */
const char *
choir_close_code_get_name (guint code)
{
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (names[i].code == code)
      return names[i].name;

  return "other";
}
