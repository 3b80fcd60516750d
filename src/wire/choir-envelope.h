/* choir-envelope.h: one message, in and out
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

#include "choir-dialect.h"
#include "choir-frame.h"
#include "choir-json-gate.h"

G_BEGIN_DECLS

/**
 * ChoirEnvelope:
 *
 * A message that came in: slices of the text it came from, so it lives no longer than that. The
 * type is canonical; the payload is raw JSON, already passed by the gate and rewritten to the
 * core's names if the dialect has a template for it.
 */
typedef struct
{
  const char *type; /* interned canonical name when the dialect knows it, else NULL-terminated copy
                       in @owned_type */
  ChoirSlice external_type;     /* as the client wrote it, contents of the JSON string */
  ChoirSlice payload;           /* raw object, "{}" if absent */
  ChoirSlice id;                /* contents of the string, escapes as written; empty if absent */
  ChoirSlice correlation_id;    /* what answers carry back: correlation_id (or correlationId, in
                                   metadata too), else empty */
  ChoirSlice channel;           /* contents of the string; empty if absent */
  ChoirSlice metadata;          /* raw object; empty if absent */
  ChoirJsonFlags payload_flags; /* of the payload before rewriting */
  GString *rewritten;           /* (owned) (nullable) */
  char *owned_type;             /* (owned) (nullable) */
} ChoirEnvelope;

/* @error: INVALID_JSON, INVALID_MESSAGE (no type, wrong field types; each message says which
 * field), INVALID_MESSAGE_TYPE
 * ("Unknown message type: X"). On an error *@out still holds what was understood (correlation,
 * type), for the answer. */
gboolean choir_envelope_parse (const ChoirDialect *dialect,
                               const char *text,
                               gsize len,
                               const ChoirJsonLimits *limits,
                               ChoirEnvelope *out,
                               GError **error);
void choir_envelope_clear (ChoirEnvelope *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ChoirEnvelope, choir_envelope_clear)

/**
 * ChoirMessage:
 *
 * A message to be sent, in the core's terms; encoded once per dialect. Nothing in it is per
 * connection.
 */
typedef struct _ChoirMessage ChoirMessage;
struct _ChoirMessage
{
  const char *type;          /* choir_name_is_identifier() */
  ChoirSlice payload;        /* raw JSON object */
  ChoirSlice correlation_id; /* raw string contents, empty for none */
  const char *id;            /* (nullable) */
  gint64 wall_us;
  const char *channel;    /* (nullable) */
  guint64 offset;         /* 0: none */
  const char *user_id;    /* (nullable) who caused it */
  const char *session_id; /* (nullable) */
  const ChoirMessage
    *live; /* (nullable): sent instead by a fan-out, to clients whose dialect has its type */
};

/* NULL when the dialect does not send this type */
ChoirFrame *choir_envelope_encode (const ChoirDialect *dialect, const ChoirMessage *message);
/* The same as JSON, without a frame round it; FALSE when not sent */
gboolean
choir_envelope_append (const ChoirDialect *dialect, const ChoirMessage *message, GString *out);

/* Several messages of one dialect in one frame (protocol.md, "Messages") */
gboolean choir_envelope_is_single (const ChoirFrame *frame);
ChoirFrame *choir_envelope_join (ChoirFrame *const *messages, guint n_messages);

typedef struct
{
  ChoirError code;
  const char *message;      /* plain text */
  const char *details;      /* (nullable) raw JSON */
  gint64 retry_after_us;    /* 0: none; sent in seconds, rounded up to ms */
  ChoirSlice original_type; /* raw string contents, empty for none */
  ChoirSlice correlation_id;
  const char *id; /* (nullable) */
  gint64 wall_us;
} ChoirErrorMessage;

ChoirFrame *choir_envelope_encode_error (const ChoirDialect *dialect,
                                         const ChoirErrorMessage *message);

G_END_DECLS
