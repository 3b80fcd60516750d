/* choir-frame-failure.h: what a peer can do wrong in framing, and what it is told; private to the
 * parser
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-close-code.h"

typedef enum
{
  FAILURE_NONE,
  FAILURE_RSV,
  FAILURE_OPCODE,
  FAILURE_UNMASKED,
  FAILURE_MASKED,
  FAILURE_CONTROL_FRAGMENTED,
  FAILURE_CONTROL_LENGTH,
  FAILURE_LENGTH_FORM,
  FAILURE_LENGTH_RANGE,
  FAILURE_NOTHING_TO_CONTINUE,
  FAILURE_MESSAGE_UNFINISHED,
  FAILURE_CLOSE_BODY,
  FAILURE_CLOSE_CODE,
  FAILURE_CLOSE_REASON,
  FAILURE_UTF8,
  FAILURE_DEFLATE,
  FAILURE_TOO_BIG,
  FAILURE_INTERNAL,
} Failure;

typedef struct
{
  guint close_code;
  const char *reason;
} FailureText;

static const FailureText failures[] = {
  [FAILURE_NONE] = { CHOIR_CLOSE_INTERNAL_ERROR, "internal error" },
  [FAILURE_RSV] = { CHOIR_CLOSE_PROTOCOL_ERROR, "reserved bit set" },
  [FAILURE_OPCODE] = { CHOIR_CLOSE_PROTOCOL_ERROR, "reserved opcode" },
  [FAILURE_UNMASKED] = { CHOIR_CLOSE_PROTOCOL_ERROR, "frame not masked" },
  [FAILURE_MASKED] = { CHOIR_CLOSE_PROTOCOL_ERROR, "frame masked" },
  [FAILURE_CONTROL_FRAGMENTED] = { CHOIR_CLOSE_PROTOCOL_ERROR, "control frame fragmented" },
  [FAILURE_CONTROL_LENGTH] = { CHOIR_CLOSE_PROTOCOL_ERROR, "control frame over 125 bytes" },
  [FAILURE_LENGTH_FORM] = { CHOIR_CLOSE_PROTOCOL_ERROR, "length not in its shortest form" },
  [FAILURE_LENGTH_RANGE] = { CHOIR_CLOSE_PROTOCOL_ERROR, "length over 63 bits" },
  [FAILURE_NOTHING_TO_CONTINUE] = { CHOIR_CLOSE_PROTOCOL_ERROR, "no message to continue" },
  [FAILURE_MESSAGE_UNFINISHED] = { CHOIR_CLOSE_PROTOCOL_ERROR, "message before not finished" },
  [FAILURE_CLOSE_BODY] = { CHOIR_CLOSE_PROTOCOL_ERROR, "close frame of one byte" },
  [FAILURE_CLOSE_CODE] = { CHOIR_CLOSE_PROTOCOL_ERROR, "invalid close code" },
  [FAILURE_CLOSE_REASON] = { CHOIR_CLOSE_INVALID_DATA, "close reason not UTF-8" },
  [FAILURE_UTF8] = { CHOIR_CLOSE_INVALID_DATA, "text not UTF-8" },
  [FAILURE_DEFLATE] = { CHOIR_CLOSE_INVALID_DATA, "compressed data broken" },
  [FAILURE_TOO_BIG] = { CHOIR_CLOSE_TOO_BIG, "message too big" },
  [FAILURE_INTERNAL] = { CHOIR_CLOSE_INTERNAL_ERROR, "internal error" },
};
