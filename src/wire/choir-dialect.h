/* choir-dialect.h: one table per client contract
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

#include "choir-error.h"
#include "choir-json-gate.h"
#include "choir-template.h"

G_BEGIN_DECLS

typedef enum
{
  CHOIR_DIALECT_CHOIR,
  CHOIR_DIALECT_NETRA,
  CHOIR_DIALECT_NETRA_SPEC,
  CHOIR_DIALECT_JDDB,
  CHOIR_DIALECT_REVIEWPOINT,
  CHOIR_DIALECT_TRIPSAGE,
  CHOIR_DIALECT_CHOIR_CBOR,
  CHOIR_N_DIALECTS
} ChoirDialectId;

/* How a bad token is refused */
typedef enum
{
  CHOIR_REFUSE_BEFORE_UPGRADE,     /* HTTP status and problem+json */
  CHOIR_REFUSE_BY_CLOSE,           /* upgrade, then close with the contract's code and reason */
  CHOIR_AUTH_BEFORE_OR_BY_MESSAGE, /* a bad token is refused with HTTP; without one the first
                                      message may bring it */
  CHOIR_AUTH_BY_MESSAGE, /* the first message authenticates; a token in the request counts as well
                          */
} ChoirAuthStyle;

/* How a client that comes back says which session was its own (protocol.md, "A session outlives its
 * connection") */
typedef enum
{
  CHOIR_RESUME_NEVER,      /* it does not: a session ends with its connection */
  CHOIR_RESUME_BY_SESSION, /* it names the session */
  CHOIR_RESUME_BY_CLIENT,  /* it has a name of its own and gives it each time */
  CHOIR_RESUME_BY_USER,    /* it names nothing: the user's session that was lost last */
} ChoirResumeStyle;

typedef enum
{
  CHOIR_TIMESTAMP_ISO,
  CHOIR_TIMESTAMP_UNIX_S, /* a number with milliseconds as fraction */
  CHOIR_TIMESTAMP_UNIX_MS,
  CHOIR_TIMESTAMP_METADATA, /* jddb: metadata {timestamp ms, version, userId, sessionId,
                               correlationId} */
} ChoirTimestampStyle;

typedef struct
{
  const char *external;  /* the contract's name */
  const char *canonical; /* ours */
  const char *payload;   /* template, NULL: as it is */
} ChoirDialectInbound;

typedef struct
{
  const char *canonical;
  const char *external; /* NULL: not sent to this contract's clients. "": bare, the payload is the
                           whole frame */
  const char *payload;  /* template, NULL: as it is */
} ChoirDialectOutbound;

typedef struct
{
  ChoirError error;
  const char *code;  /* the contract's name of it */
  const char *frame; /* NULL, or the whole frame text (jddb's pre-parse failures) */
} ChoirDialectError;

/* The static description, one per contract, in choir-dialect-table.c */
typedef struct
{
  ChoirDialectId id;
  const char *name;          /* "netra" */
  const char *subprotocol;   /* "choir.v1.netra" */
  const char *payload_key;   /* "payload" or "data" */
  gboolean payload_required; /* inbound; otherwise an absent one is {} */
  gboolean with_id;
  gboolean with_correlation;
  gboolean with_channel; /* channel and offset shown */
  ChoirTimestampStyle timestamp;
  ChoirAuthStyle auth_style;
  guint auth_close_code;     /* 4000, 1008, 4001 */
  const char *token_type;    /* (nullable) what the claim `type` must be */
  guint eviction_close_code; /* 4009; contract B 4008 */
  ChoirResumeStyle resume;
  gboolean capacity_by_close; /* at capacity: upgrade and close 1013 instead of 503 */
  gboolean passes_unknown;    /* inbound types not in the table keep their name (choir) instead of
                                 being refused */
  gboolean heartbeat;         /* application heartbeat messages are sent besides WebSocket pings */
  gboolean bare_auth;         /* a first message without type that holds `token` is `auth` */
  gboolean bounded_out; /* its clients take no message that is larger than one they may send */
  gboolean binary;      /* messages are CBOR in binary frames, instead of JSON in text frames */
  gboolean binary_text; /* the JSON may come in a binary frame, too */
  const ChoirDialectInbound *inbound; /* ends with external NULL */
  const ChoirDialectOutbound
    *outbound; /* ends with canonical NULL; a type not listed goes out as it is */
  const ChoirDialectError
    *errors;                 /* ends with code NULL; an error not listed has its canonical code */
  const char *error_payload; /* template over the canonical error payload */
} ChoirDialectTable;

/* Compiled: hashed names, parsed templates */
typedef struct _ChoirDialect ChoirDialect;

const ChoirDialect *choir_dialect_get (ChoirDialectId id);    /* compiled once, lives for ever */
const ChoirDialect *choir_dialect_by_name (const char *name); /* (nullable) */
const ChoirDialect *choir_dialect_by_subprotocol (const char *name); /* (nullable) */
const ChoirDialectTable *choir_dialect_get_table (const ChoirDialect *self);
ChoirDialectId choir_dialect_get_id (const ChoirDialect *self);

typedef struct
{
  const char *canonical;        /* interned, static */
  const ChoirTemplate *payload; /* (nullable) */
} ChoirDialectRow;

const ChoirDialectRow *choir_dialect_find_inbound (const ChoirDialect *self,
                                                   ChoirSlice external); /* (nullable) */
typedef struct
{
  const char *external; /* (nullable) see ChoirDialectOutbound */
  const ChoirTemplate *payload;
} ChoirDialectOutRow;
const ChoirDialectOutRow *choir_dialect_find_outbound (const ChoirDialect *self,
                                                       const char *canonical); /* (nullable) */
const char *choir_dialect_get_error_code (const ChoirDialect *self, ChoirError error);
const char *choir_dialect_get_error_frame (const ChoirDialect *self,
                                           ChoirError error);                     /* (nullable) */
const ChoirTemplate *choir_dialect_get_error_template (const ChoirDialect *self); /* (nullable) */

G_END_DECLS
