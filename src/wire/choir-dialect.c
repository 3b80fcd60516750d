/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-dialect.h"

#include <string.h>

#include "choir-dialect-table.h"
#include "choir-names.h"

/* Twice the longest table at the least, and a power of two */
#define N_SLOTS 128

typedef struct
{
  const char *name; /* (nullable) static */
  ChoirDialectRow row;
} InboundSlot;

typedef struct
{
  const char *name; /* (nullable) static */
  ChoirDialectOutRow row;
} OutboundSlot;

struct _ChoirDialect
{
  const ChoirDialectTable *table;
  InboundSlot inbound[N_SLOTS];
  OutboundSlot outbound[N_SLOTS];
  const char *error_codes[CHOIR_N_ERRORS];
  const char *error_frames[CHOIR_N_ERRORS]; /* (nullable) */
  ChoirTemplate *error_template;            /* (owned) (nullable) */
};

/* FNV-1a: short keys, no state, good in the low bits */
static guint32
hash_bytes (const char *data, gsize len)
{
  guint32 hash = 2166136261u;

  for (gsize i = 0; i < len; i++)
    hash = (hash ^ (guint8) data[i]) * 16777619u;

  return hash % N_SLOTS;
}

static ChoirTemplate *
compile_template (const char *text)
{
  g_autoptr (GError) error = NULL;
  ChoirTemplate *self;

  if (text == NULL)
    return NULL;

  self = choir_template_parse (text, &error);
  if (self == NULL)
    g_error ("A dialect's template is wrong: %s", error->message);

  return self;
}

static void
compile_inbound (ChoirDialect *self, const ChoirDialectInbound *row)
{
  guint32 at = hash_bytes (row->external, strlen (row->external));

  while (self->inbound[at].name != NULL)
    at = (at + 1) % N_SLOTS;

  self->inbound[at].name = row->external;
  self->inbound[at].row.canonical = g_intern_static_string (row->canonical);
  self->inbound[at].row.payload = compile_template (row->payload);
}

static void
compile_outbound (ChoirDialect *self, const ChoirDialectOutbound *row)
{
  guint32 at = hash_bytes (row->canonical, strlen (row->canonical));

  while (self->outbound[at].name != NULL)
    at = (at + 1) % N_SLOTS;

  self->outbound[at].name = row->canonical;
  self->outbound[at].row.external = row->external;
  self->outbound[at].row.payload = compile_template (row->payload);
}

static ChoirDialect *
compile (const ChoirDialectTable *table)
{
  ChoirDialect *self = g_new0 (ChoirDialect, 1);

  self->table = table;
  for (const ChoirDialectInbound *row = table->inbound; row->external != NULL; row++)
    compile_inbound (self, row);
  for (const ChoirDialectOutbound *row = table->outbound; row->canonical != NULL; row++)
    compile_outbound (self, row);

  for (guint i = 0; i < CHOIR_N_ERRORS; i++)
    self->error_codes[i] = choir_error_get_code ((ChoirError) i);
  for (const ChoirDialectError *row = table->errors; row->code != NULL; row++)
    {
      self->error_codes[row->error] = row->code;
      self->error_frames[row->error] = row->frame;
    }
  self->error_template = compile_template (table->error_payload);

  return self;
}

/**
 * choir_dialect_get:
 * @id: which
 *
 * Returns: (transfer none): compiled at the first call, never freed
 */
const ChoirDialect *
choir_dialect_get (ChoirDialectId id)
{
  static ChoirDialect *dialects[CHOIR_N_DIALECTS];

  g_return_val_if_fail ((guint) id < CHOIR_N_DIALECTS, NULL);

  if (g_once_init_enter (&dialects[id]))
    g_once_init_leave (&dialects[id], compile (&choir_dialect_tables[id]));

  return dialects[id];
}

/**
 * choir_dialect_by_name:
 * @name: as in the query `dialect` and the configuration
 *
 * Returns: (transfer none) (nullable): the dialect of that name
 */
const ChoirDialect *
choir_dialect_by_name (const char *name)
{
  for (guint i = 0; i < CHOIR_N_DIALECTS; i++)
    if (g_strcmp0 (choir_dialect_tables[i].name, name) == 0)
      return choir_dialect_get ((ChoirDialectId) i);

  return NULL;
}

/**
 * choir_dialect_by_subprotocol:
 * @name: one of those offered in Sec-WebSocket-Protocol
 *
 * Returns: (transfer none) (nullable): the dialect it stands for; names are case-sensitive (RFC
 * 6455 section 4.2.2)
 */
const ChoirDialect *
choir_dialect_by_subprotocol (const char *name)
{
  for (guint i = 0; i < CHOIR_N_DIALECTS; i++)
    if (g_strcmp0 (choir_dialect_tables[i].subprotocol, name) == 0)
      return choir_dialect_get ((ChoirDialectId) i);

  return NULL;
}

const ChoirDialectTable *
choir_dialect_get_table (const ChoirDialect *self)
{
  return self->table;
}

ChoirDialectId
choir_dialect_get_id (const ChoirDialect *self)
{
  return self->table->id;
}

/**
 * choir_dialect_find_inbound:
 * @self: the dialect
 * @external: a type as the client names it, escapes resolved
 *
 * Returns: (transfer none) (nullable): what it means to the core; NULL if the contract has no such
 * type
 */
const ChoirDialectRow *
choir_dialect_find_inbound (const ChoirDialect *self, ChoirSlice external)
{
  if (external.len == 0 || external.len > CHOIR_TYPE_NAME_MAX)
    return NULL;

  for (guint32 at = hash_bytes (external.data, external.len); self->inbound[at].name != NULL;
       at = (at + 1) % N_SLOTS)
    if (choir_slice_equals (external, self->inbound[at].name))
      return &self->inbound[at].row;

  return NULL;
}

/**
 * choir_dialect_find_outbound:
 * @self: the dialect
 * @canonical: one of the core's types
 *
 * Returns: (transfer none) (nullable): how the contract shows it; NULL: as it is
 */
const ChoirDialectOutRow *
choir_dialect_find_outbound (const ChoirDialect *self, const char *canonical)
{
  for (guint32 at = hash_bytes (canonical, strlen (canonical)); self->outbound[at].name != NULL;
       at = (at + 1) % N_SLOTS)
    if (strcmp (canonical, self->outbound[at].name) == 0)
      return &self->outbound[at].row;

  return NULL;
}

/**
 * choir_dialect_get_error_code:
 * @self: the dialect
 * @error: the reason
 *
 * Returns: the contract's name of @error
 */
const char *
choir_dialect_get_error_code (const ChoirDialect *self, ChoirError error)
{
  g_return_val_if_fail ((guint) error < CHOIR_N_ERRORS, NULL);
  return self->error_codes[error];
}

/**
 * choir_dialect_get_error_frame:
 * @self: the dialect
 * @error: the reason
 *
 * Returns: (nullable): the whole text to send for it, where the contract has a fixed one
 */
const char *
choir_dialect_get_error_frame (const ChoirDialect *self, ChoirError error)
{
  g_return_val_if_fail ((guint) error < CHOIR_N_ERRORS, NULL);
  return self->error_frames[error];
}

/**
 * choir_dialect_get_error_template:
 * @self: the dialect
 *
 * Returns: (nullable): the shape of its error payloads, NULL for the core's own
 */
const ChoirTemplate *
choir_dialect_get_error_template (const ChoirDialect *self)
{
  return self->error_template;
}
