/* choir-frame-parser.h: frames off the wire, RFC 6455 section 5
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

#include "choir-close-code.h"
#include "choir-deflate.h"
#include "choir-frame.h"
#include "choir-utf8.h"

G_BEGIN_DECLS

/* Shared by all connections of an end point */
typedef struct
{
  guint64
    max_message; /* bytes after reassembly and inflation; a frame's payload is held to it as well */
} ChoirFrameLimits;

typedef enum
{
  CHOIR_FRAME_EVENT_MORE,    /* the input is used up */
  CHOIR_FRAME_EVENT_MESSAGE, /* a whole text or binary message */
  CHOIR_FRAME_EVENT_PING,
  CHOIR_FRAME_EVENT_PONG,
  CHOIR_FRAME_EVENT_CLOSE, /* code 1005 when the frame was empty */
  CHOIR_FRAME_EVENT_ERROR, /* close_code and reason say why; the parser stays in this state */
} ChoirFrameEvent;

typedef struct
{
  ChoirOpcode opcode;
  const guint8 *data; /* borrowed: valid until the next call on the parser */
  gsize len;
  guint close_code;   /* CLOSE: the peer's; ERROR: the one to send */
  const char *reason; /* ERROR: static text. CLOSE: see data/len */
} ChoirFrameMessage;

/**
 * ChoirFrameParser:
 *
 * A pull parser that works in the caller's buffer: a message that arrived whole is unmasked in
 * place and handed out without a copy; only what is incomplete is kept. Idle it owns no memory.
 * Fail-fast: a bad length, opcode, RSV bit, mask, or UTF-8 byte is reported as soon as it has been
 * seen, not when the frame is complete. A server's parser demands masks, a client's that there are
 * none.
 */
typedef struct
{
  const ChoirFrameLimits *limits; /* borrowed */
  ChoirInflater *inflater;        /* (owned) (nullable) */
  GByteArray *message;            /* (owned) (nullable): reassembled or inflated so far */
  guint64 frame_left;             /* payload bytes of the current frame not yet seen */
  guint32 mask;                   /* of the current frame, rotated to its next byte */
  guint8 header[14];              /* a header that came in pieces */
  guint8 header_len;
  guint8 state;
  guint8 failure; /* why the parser is in its error state */
  guint8 opcode;  /* of the message being reassembled */
  guint8 frame_opcode;
  ChoirUtf8State utf8;
  guint8 flags;
  GByteArray *control; /* (owned) (nullable): body of a control frame that came in pieces */
} ChoirFrameParser;

void choir_frame_parser_init (ChoirFrameParser *self,
                              const ChoirFrameLimits *limits,
                              ChoirInflater *inflater /* (transfer full) (nullable) */);
void choir_frame_parser_init_client (ChoirFrameParser *self, const ChoirFrameLimits *limits);
void choir_frame_parser_clear (ChoirFrameParser *self);
/* Takes from *@data, advances both; the bytes are written to (unmasked in place) */
ChoirFrameEvent
choir_frame_parser_next (ChoirFrameParser *self, guint8 **data, gsize *len, ChoirFrameMessage *out);
gsize choir_frame_parser_get_memory (const ChoirFrameParser *self);

G_END_DECLS
