/* choir-frame-header.h: the first bytes of a frame, RFC 6455 section 5.2; private to the parser
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-frame-failure.h"
#include "choir-frame.h"

/* RFC 6455 5.2 */
#define FIN 0x80
#define RSV1 0x40
#define RSV2_OR_3 0x30
#define OPCODE_BITS 0x0f
#define CONTROL_BIT 0x08
#define MASK_BIT 0x80
#define LENGTH_BITS 0x7f
#define LENGTH_16 126
#define LENGTH_64 127

/* RFC 6455 5.5 */
#define CONTROL_PAYLOAD_MAX 125

typedef struct
{
  guint64 payload_len;
  gsize size; /* bytes the header takes, 0: not all of it is here */
} Header;

static inline Failure
check_control_byte (guint8 first)
{
  if ((first & OPCODE_BITS) > CHOIR_OPCODE_PONG)
    return FAILURE_OPCODE;
  /* RFC 7692 section 6.1: only data is ever compressed */
  if ((first & RSV1) != 0)
    return FAILURE_RSV;

  return (first & FIN) == 0 ? FAILURE_CONTROL_FRAGMENTED : FAILURE_NONE;
}

/* @masked: whether it comes from a client (RFC 6455 5.1) */
static inline Failure
check_second_byte (guint8 first, guint8 second, gboolean masked)
{
  if (((second & MASK_BIT) != 0) != masked)
    return masked ? FAILURE_UNMASKED : FAILURE_MASKED;
  if ((first & CONTROL_BIT) != 0 && (second & LENGTH_BITS) > CONTROL_PAYLOAD_MAX)
    return FAILURE_CONTROL_LENGTH;

  return FAILURE_NONE;
}

/* Fills in what @bytes tell of the length; @header->size stays 0 while they don't reach the end of
 * the length field */
static inline Failure
decode_length (const guint8 *bytes, gsize len, gsize mask_len, Header *header)
{
  guint length_7 = bytes[1] & LENGTH_BITS;
  guint64 length_64;
  guint16 length_16;

  *header = (Header){ length_7, length_7 < LENGTH_16 ? 2 + mask_len : 0 };
  if (length_7 < LENGTH_16)
    return FAILURE_NONE;

  if (length_7 == LENGTH_16)
    {
      if (len < 2 + sizeof length_16)
        return FAILURE_NONE;
      memcpy (&length_16, bytes + 2, sizeof length_16);
      *header = (Header){ GUINT16_FROM_BE (length_16), 2 + sizeof length_16 + mask_len };
      return header->payload_len < LENGTH_16 ? FAILURE_LENGTH_FORM : FAILURE_NONE;
    }

  if (len > 2 && (bytes[2] & 0x80) != 0)
    return FAILURE_LENGTH_RANGE;
  if (len < 2 + sizeof length_64)
    return FAILURE_NONE;
  memcpy (&length_64, bytes + 2, sizeof length_64);
  *header = (Header){ GUINT64_FROM_BE (length_64), 2 + sizeof length_64 + mask_len };

  return header->payload_len <= G_MAXUINT16 ? FAILURE_LENGTH_FORM : FAILURE_NONE;
}
