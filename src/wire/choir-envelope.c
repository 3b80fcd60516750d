/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-envelope.h"

#include <string.h>

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-names.h"

/* Largest Unix time taken for one: year 33658 in milliseconds */
#define TIMESTAMP_MAX 1e15

/* The members that mean something */
typedef enum
{
  FIELD_TYPE,
  FIELD_PAYLOAD,
  FIELD_DATA,
  FIELD_ID,
  FIELD_TIMESTAMP,
  FIELD_CHANNEL,
  FIELD_METADATA,
  FIELD_CORRELATION_ID,
  FIELD_CORRELATION_ID_CAMEL,
  FIELD_TOKEN,
  N_FIELDS
} Field;

static const ChoirSlice field_names[N_FIELDS] = {
  [FIELD_TYPE] = CHOIR_SLICE_LITERAL ("type"),
  [FIELD_PAYLOAD] = CHOIR_SLICE_LITERAL ("payload"),
  [FIELD_DATA] = CHOIR_SLICE_LITERAL ("data"),
  [FIELD_ID] = CHOIR_SLICE_LITERAL ("id"),
  [FIELD_TIMESTAMP] = CHOIR_SLICE_LITERAL ("timestamp"),
  [FIELD_CHANNEL] = CHOIR_SLICE_LITERAL ("channel"),
  [FIELD_METADATA] = CHOIR_SLICE_LITERAL ("metadata"),
  [FIELD_CORRELATION_ID] = CHOIR_SLICE_LITERAL ("correlation_id"),
  [FIELD_CORRELATION_ID_CAMEL] = CHOIR_SLICE_LITERAL ("correlationId"),
  [FIELD_TOKEN] = CHOIR_SLICE_LITERAL ("token"),
};

typedef struct
{
  const ChoirDialectTable *table;
  const ChoirDialect *dialect;
  ChoirSlice text;
  const ChoirJsonObject *object;
  const ChoirJsonMember *members[N_FIELDS]; /* (nullable) */
} Reader;

static Field
classify (ChoirSlice key)
{
  Field field;

  for (field = 0; field < N_FIELDS; field++)
    if (key.len == field_names[field].len &&
        memcmp (key.data, field_names[field].data, key.len) == 0)
      return field;

  /* rarely: written with escapes */
  if (memchr (key.data, '\\', key.len) != NULL)
    for (field = 0; field < N_FIELDS; field++)
      if (choir_json_key_equals (key, field_names[field]))
        return field;

  return N_FIELDS;
}

static void
sort_members (Reader *reader)
{
  for (guint i = 0; i < reader->object->n_members; i++)
    {
      const ChoirJsonMember *member = &reader->object->members[i];
      Field field = classify (member->key);

      if (field < N_FIELDS)
        reader->members[field] = member;
    }
}

static gboolean
invalid (GError **error, const char *field, const char *complaint)
{
  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_INVALID_MESSAGE, "Field \"%s\" %s", field,
               complaint);
  return FALSE;
}

/* The value of a field that may be left out; null counts as left out */
static const ChoirJsonValue *
find_optional (const Reader *reader, Field field)
{
  const ChoirJsonMember *member = reader->members[field];

  return member != NULL && member->value.kind != CHOIR_JSON_NULL ? &member->value : NULL;
}

/* @max bytes, counted as they are written */
static gboolean
take_string (const ChoirJsonValue *value,
             const char *field,
             gsize max,
             ChoirSlice *out,
             GError **error)
{
  ChoirSlice contents;

  if (value->kind != CHOIR_JSON_STRING)
    return invalid (error, field, "must be a string");

  contents = choir_json_string_contents (value->raw);
  if (contents.len > max)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_INVALID_MESSAGE,
                   "Field \"%s\" must be at most %" G_GSIZE_FORMAT " bytes long", field, max);
      return FALSE;
    }

  *out = contents;
  return TRUE;
}

static gboolean
read_string (const Reader *reader, Field field, gsize max, ChoirSlice *out, GError **error)
{
  const ChoirJsonValue *value = find_optional (reader, field);

  return value == NULL || take_string (value, field_names[field].data, max, out, error);
}

static gboolean
read_id (const Reader *reader, ChoirSlice *out, GError **error)
{
  const ChoirJsonValue *value = find_optional (reader, FIELD_ID);
  gint64 number;

  if (value == NULL)
    return TRUE;
  if (value->kind == CHOIR_JSON_STRING)
    return take_string (value, "id", CHOIR_MESSAGE_ID_MAX, out, error);
  if (value->kind != CHOIR_JSON_NUMBER || value->raw.len > CHOIR_MESSAGE_ID_MAX ||
      !choir_json_number_get_int (value->raw, &number))
    return invalid (error, "id", "must be a string or an integer");

  *out = value->raw;
  return TRUE;
}

/* Where a correlation may stand besides the envelope; a wrong type there is the payload's business
 */
static void
find_correlation_inside (const Reader *reader, Field container, ChoirSlice *out)
{
  const ChoirJsonMember *member = reader->members[container];
  ChoirJsonValue value;

  if (out->len > 0 || member == NULL)
    return;
  if (!choir_json_slice_get (member->value.raw, "correlation_id", &value) &&
      !choir_json_slice_get (member->value.raw, "correlationId", &value))
    return;

  take_string (&value, "correlation_id", CHOIR_MESSAGE_ID_MAX, out, NULL);
}

static gboolean
read_correlation (const Reader *reader, ChoirEnvelope *out, GError **error)
{
  const ChoirJsonValue *metadata = find_optional (reader, FIELD_METADATA);

  if (!read_id (reader, &out->id, error) ||
      !read_string (reader, FIELD_CORRELATION_ID, CHOIR_MESSAGE_ID_MAX, &out->correlation_id,
                    error))
    return FALSE;
  if (out->correlation_id.len == 0 &&
      !read_string (reader, FIELD_CORRELATION_ID_CAMEL, CHOIR_MESSAGE_ID_MAX, &out->correlation_id,
                    error))
    return FALSE;
  if (metadata != NULL && metadata->kind != CHOIR_JSON_OBJECT)
    return invalid (error, "metadata", "must be an object");

  if (metadata != NULL)
    out->metadata = metadata->raw;
  if (metadata != NULL)
    find_correlation_inside (reader, FIELD_METADATA, &out->correlation_id);
  if (reader->table->id == CHOIR_DIALECT_NETRA_SPEC)
    find_correlation_inside (reader, FIELD_PAYLOAD, &out->correlation_id);
  if (out->correlation_id.len == 0 && reader->table->with_correlation)
    out->correlation_id = out->id;

  return TRUE;
}

static gboolean
check_timestamp (const Reader *reader, GError **error)
{
  const ChoirJsonValue *value = find_optional (reader, FIELD_TIMESTAMP);
  ChoirSlice contents;
  gint64 wall_us;
  double number;

  if (value == NULL)
    return TRUE;

  contents = choir_json_string_contents (value->raw);
  if (value->kind == CHOIR_JSON_STRING &&
      choir_clock_parse_iso8601 (contents.data, contents.len, &wall_us))
    return TRUE;
  if (value->kind == CHOIR_JSON_NUMBER && choir_json_number_get_double (value->raw, &number) &&
      number >= 0 && number <= TIMESTAMP_MAX)
    return TRUE;

  return invalid (error, "timestamp", "must be an ISO 8601 string or a Unix time");
}

static gboolean
read_payload (const Reader *reader, ChoirEnvelope *out, GError **error)
{
  const ChoirJsonMember *payload = reader->members[FIELD_PAYLOAD];
  const ChoirJsonMember *data = reader->members[FIELD_DATA];
  const ChoirJsonMember *member = payload != NULL ? payload : data;

  if (payload != NULL && data != NULL)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_INVALID_MESSAGE,
                           "Fields \"payload\" and \"data\" mean the same: send one of them");
      return FALSE;
    }
  if (member == NULL)
    return !reader->table->payload_required ||
           invalid (error, reader->table->payload_key, "is required");
  if (member->value.kind != CHOIR_JSON_OBJECT)
    return invalid (error, member == payload ? "payload" : "data", "must be an object");

  out->payload = member->value.raw;
  out->payload_flags = member->value.flags;
  return TRUE;
}

static void
rewrite (ChoirEnvelope *self, const ChoirTemplate *template)
{
  ChoirTemplateContext context = { choir_clock_wall_us (), NULL, NULL };

  if (template == NULL)
    return;

  self->rewritten = g_string_sized_new (self->payload.len + 64);
  choir_template_apply (template, self->payload, &context, self->rewritten);
  self->payload = (ChoirSlice){ self->rewritten->str, self->rewritten->len };
}

static gboolean
refuse_type (const char *type, GError **error)
{
  g_autofree char *shown = g_strndup (type, CHOIR_TYPE_NAME_MAX);

  /* it goes into logs as well */
  for (char *p = shown; *p != '\0'; p++)
    if (g_ascii_iscntrl (*p))
      *p = '?';

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_INVALID_MESSAGE_TYPE, "Unknown message type: %s",
               shown);
  return FALSE;
}

static gboolean
resolve_type (const Reader *reader, const ChoirJsonValue *value, ChoirEnvelope *out, GError **error)
{
  const ChoirDialectRow *row;
  g_autofree char *resolved = NULL;

  if ((value->flags & CHOIR_JSON_HAS_ESCAPES) != 0)
    resolved = choir_json_string_dup (value->raw, CHOIR_TYPE_NAME_MAX);

  row = choir_dialect_find_inbound (reader->dialect,
                                    resolved != NULL ? choir_slice (resolved) : out->external_type);
  if (row != NULL)
    {
      out->type = row->canonical;
      rewrite (out, row->payload);
      return TRUE;
    }

  if (resolved == NULL)
    resolved = choir_slice_dup (out->external_type);
  if (!reader->table->passes_unknown)
    return refuse_type (resolved, error);

  out->owned_type = g_steal_pointer (&resolved);
  out->type = out->owned_type;
  return TRUE;
}

static gboolean
is_bare_auth (const Reader *reader)
{
  return reader->table->bare_auth && reader->members[FIELD_TOKEN] != NULL;
}

/* tripsage: the first message may be the payload of `auth` alone */
static gboolean
read_bare_auth (const Reader *reader, ChoirEnvelope *out)
{
  static const ChoirSlice auth = CHOIR_SLICE_LITERAL ("auth");
  const ChoirDialectRow *row = choir_dialect_find_inbound (reader->dialect, auth);

  out->external_type = auth;
  out->payload = reader->text;
  for (guint i = 0; i < reader->object->n_members; i++)
    out->payload_flags |= reader->object->members[i].value.flags;
  out->type = row->canonical;
  rewrite (out, row->payload);
  return TRUE;
}

static gboolean
read_members (const Reader *reader, ChoirEnvelope *out, GError **error)
{
  const ChoirJsonMember *type = reader->members[FIELD_TYPE];

  if (!read_correlation (reader, out, error))
    return FALSE;
  if (type == NULL)
    return is_bare_auth (reader) ? read_bare_auth (reader, out)
                                 : invalid (error, "type", "is required");
  if (!take_string (&type->value, "type", CHOIR_TYPE_NAME_MAX, &out->external_type, error))
    return FALSE;
  if (out->external_type.len == 0)
    return invalid (error, "type", "must not be empty");

  return check_timestamp (reader, error) &&
         read_string (reader, FIELD_CHANNEL, CHOIR_CHANNEL_NAME_MAX, &out->channel, error) &&
         read_payload (reader, out, error) && resolve_type (reader, &type->value, out, error);
}

/**
 * choir_envelope_parse:
 * @dialect: how the client speaks
 * @text: borrowed for as long as @out is used
 * @len: bytes
 * @limits: for the gate
 * @out: (out caller-allocates): to be cleared in either case
 * @error: return location
 *
 * Takes one message apart and gives it the core's type and field names. `payload` and `data` are
 * synonyms in every dialect. A message without a correlation is answered by its `id`, where the
 * dialect shows correlations at all.
 *
 * Returns: FALSE with CHOIR_ERROR_INVALID_JSON, CHOIR_ERROR_INVALID_MESSAGE (the message names the
 * field) or CHOIR_ERROR_INVALID_MESSAGE_TYPE; @out then holds what was understood, for the answer
 */
gboolean
choir_envelope_parse (const ChoirDialect *dialect,
                      const char *text,
                      gsize len,
                      const ChoirJsonLimits *limits,
                      ChoirEnvelope *out,
                      GError **error)
{
  ChoirJsonObject object;
  Reader reader = { choir_dialect_get_table (dialect), dialect, { text, len }, &object, { NULL } };

  memset (out, 0, sizeof *out);
  out->payload = CHOIR_SLICE_LITERAL ("{}");
  if (!choir_json_gate_scan (text, len, limits, &object, error))
    return FALSE;

  sort_members (&reader);

  return read_members (&reader, out, error);
}

/**
 * choir_envelope_clear:
 * @self: an envelope
 *
 * Frees what it owns and empties it; harmless on one that is empty.
 */
void
choir_envelope_clear (ChoirEnvelope *self)
{
  if (self->rewritten != NULL)
    g_string_free (self->rewritten, TRUE);
  g_free (self->owned_type);
  memset (self, 0, sizeof *self);
}
