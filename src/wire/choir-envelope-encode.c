/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-envelope.h"

#include <string.h>

#include "choir-cbor.h"
#include "choir-clock.h"
#include "choir-error.h"
#include "choir-id.h"

/* Room for what stands round a payload */
#define ENVELOPE_SIZE_HINT 256

#define append_literal(builder, text) choir_frame_builder_append_literal (builder, text)

static void
append_slice (ChoirFrameBuilder *builder, ChoirSlice slice)
{
  choir_frame_builder_append (builder, slice.data, slice.len);
}

static void
append_text (ChoirFrameBuilder *builder, const char *text)
{
  choir_frame_builder_append_json_string (builder, text, strlen (text));
}

/* Identifiers and times of our own: nothing in them needs an escape */
static void
append_plain (ChoirFrameBuilder *builder, const char *text, gsize len)
{
  append_literal (builder, "\"");
  choir_frame_builder_append (builder, text, len);
  append_literal (builder, "\"");
}

/* @contents with its escapes as they are: it was a JSON string before */
static void
append_contents (ChoirFrameBuilder *builder, ChoirSlice contents)
{
  append_literal (builder, "\"");
  append_slice (builder, contents);
  append_literal (builder, "\"");
}

static void
append_payload (ChoirFrameBuilder *builder,
                const ChoirTemplate *template,
                const ChoirMessage *message)
{
  ChoirTemplateContext context = { message->wall_us, message->id, message->channel };
  ChoirSlice payload = message->payload;
  g_autoptr (GString) shaped = NULL;

  if (payload.len == 0)
    payload = CHOIR_SLICE_LITERAL ("{}");
  if (template != NULL)
    {
      shaped = g_string_sized_new (payload.len + 64);
      choir_template_apply (template, payload, &context, shaped);
      payload = (ChoirSlice){ shaped->str, shaped->len };
    }

  append_slice (builder, payload);
}

static void
append_timestamp (ChoirFrameBuilder *builder, ChoirTimestampStyle style, gint64 wall_us)
{
  char text[CHOIR_CLOCK_ISO8601_SIZE];
  guint64 wall_ms = (guint64) MAX (wall_us, 0) / 1000;

  append_literal (builder, ",\"timestamp\":");
  if (style == CHOIR_TIMESTAMP_ISO)
    {
      choir_clock_format_iso8601 (wall_us, text);
      append_plain (builder, text, sizeof text - 1);
    }
  else if (style == CHOIR_TIMESTAMP_UNIX_S)
    {
      g_snprintf (text, sizeof text, "%" G_GUINT64_FORMAT ".%03u", wall_ms / 1000,
                  (guint) (wall_ms % 1000));
      choir_frame_builder_append (builder, text, strlen (text));
    }
  else
    choir_frame_builder_append_uint (builder, wall_ms);
}

static void
append_metadata (ChoirFrameBuilder *builder, const ChoirMessage *message)
{
  append_literal (builder, ",\"metadata\":{\"timestamp\":");
  choir_frame_builder_append_uint (builder, (guint64) MAX (message->wall_us, 0) / 1000);
  if (message->offset > 0)
    {
      append_literal (builder, ",\"version\":");
      choir_frame_builder_append_uint (builder, message->offset);
    }
  if (message->user_id != NULL)
    {
      append_literal (builder, ",\"userId\":");
      append_text (builder, message->user_id);
    }
  if (message->session_id != NULL)
    {
      append_literal (builder, ",\"sessionId\":");
      append_text (builder, message->session_id);
    }
  if (message->correlation_id.len > 0)
    {
      append_literal (builder, ",\"correlationId\":");
      append_contents (builder, message->correlation_id);
    }
  append_literal (builder, "}");
}

static void
append_channel (ChoirFrameBuilder *builder, const ChoirMessage *message)
{
  append_literal (builder, ",\"channel\":");
  append_text (builder, message->channel);
  if (message->offset == 0)
    return;

  append_literal (builder, ",\"offset\":");
  choir_frame_builder_append_uint (builder, message->offset);
}

/* Everything that stands behind the payload */
static void
append_trailer (ChoirFrameBuilder *builder,
                const ChoirDialectTable *table,
                const ChoirMessage *message)
{
  if (table->with_id)
    {
      append_literal (builder, ",\"id\":");
      append_plain (builder, message->id, strlen (message->id));
    }
  if (table->timestamp == CHOIR_TIMESTAMP_METADATA)
    {
      append_metadata (builder, message);
      return;
    }

  append_timestamp (builder, table->timestamp, message->wall_us);
  if (table->with_correlation && message->correlation_id.len > 0)
    {
      append_literal (builder, ",\"correlation_id\":");
      append_contents (builder, message->correlation_id);
    }
  if (table->with_channel && message->channel != NULL)
    append_channel (builder, message);
}

static void
append_message (ChoirFrameBuilder *builder,
                const ChoirDialectTable *table,
                const char *type,
                const ChoirTemplate *template,
                const ChoirMessage *message)
{
  char generated[CHOIR_ID_SIZE];
  ChoirMessage whole = *message;

  if (whole.id == NULL && table->with_id)
    {
      choir_id_generate (generated);
      whole.id = generated;
    }

  /* "": the contract sends this one without an envelope */
  if (*type == '\0')
    {
      append_payload (builder, template, &whole);
      return;
    }

  append_literal (builder, "{\"type\":");
  append_plain (builder, type, strlen (type));
  append_literal (builder, ",\"");
  choir_frame_builder_append (builder, table->payload_key, strlen (table->payload_key));
  append_literal (builder, "\":");
  append_payload (builder, template, &whole);
  append_trailer (builder, table, &whole);
  append_literal (builder, "}");
}

static gboolean
build (const ChoirDialect *dialect, const ChoirMessage *message, ChoirFrameBuilder *builder)
{
  const ChoirDialectOutRow *row = choir_dialect_find_outbound (dialect, message->type);

  if (row != NULL && row->external == NULL)
    return FALSE;

  choir_frame_builder_init (builder, message->payload.len + ENVELOPE_SIZE_HINT);
  append_message (builder, choir_dialect_get_table (dialect),
                  row != NULL ? row->external : message->type, row != NULL ? row->payload : NULL,
                  message);
  return TRUE;
}

/* The text is what becomes the frame, or what the frame is made from */
static ChoirFrame *
finish (const ChoirDialect *dialect, ChoirFrameBuilder *builder)
{
  ChoirFrameBuilder item;
  gsize len = builder->len;

  if (!choir_dialect_get_table (dialect)->binary)
    return choir_frame_builder_end (builder, CHOIR_OPCODE_TEXT, FALSE);

  choir_frame_builder_init (&item, len);
  if (!choir_cbor_write (
        &item, (ChoirSlice){ (const char *) choir_frame_builder_get_payload (builder), len }))
    g_critical ("A message was built that is no JSON");
  choir_frame_builder_clear (builder);

  return choir_frame_builder_end (&item, CHOIR_OPCODE_BINARY, FALSE);
}

/**
 * choir_envelope_encode:
 * @dialect: how the receivers speak
 * @message: in the core's terms; an id is made up if there is none and the dialect shows one
 *
 * Returns: (transfer full) (nullable): a frame for every receiver of this dialect, NULL if the
 *   contract has nothing of this type
 */
ChoirFrame *
choir_envelope_encode (const ChoirDialect *dialect, const ChoirMessage *message)
{
  ChoirFrameBuilder builder;

  if (!build (dialect, message, &builder))
    return NULL;

  return finish (dialect, &builder);
}

/**
 * choir_envelope_append:
 * @dialect: how the receivers speak
 * @message: in the core's terms
 * @out: appended to
 *
 * The message as JSON, also for a dialect whose frames hold something else: it is to be part of
 * another one's payload.
 *
 * Returns: FALSE, and nothing appended, if the contract has nothing of this type
 */
gboolean
choir_envelope_append (const ChoirDialect *dialect, const ChoirMessage *message, GString *out)
{
  ChoirFrameBuilder builder;

  if (!build (dialect, message, &builder))
    return FALSE;

  g_string_append_len (out, (const char *) choir_frame_builder_get_payload (&builder),
                       (gssize) builder.len);
  choir_frame_builder_clear (&builder);
  return TRUE;
}

/* Seconds, never fewer than it takes */
static void
append_retry_after (GString *out, gint64 retry_after_us)
{
  gint64 ms = retry_after_us / 1000 + (retry_after_us % 1000 > 0 ? 1 : 0);

  g_string_append_printf (out, ",\"retry_after\":%" G_GINT64_FORMAT, ms / 1000);
  if (ms % 1000 != 0)
    g_string_append_printf (out, ".%03d", (int) (ms % 1000));
}

/* protocol.md, "Errors" */
static GString *
make_error_payload (const ChoirDialect *dialect, const ChoirErrorMessage *message)
{
  GString *out = g_string_sized_new (ENVELOPE_SIZE_HINT);

  g_string_append (out, "{\"code\":");
  choir_json_append_string (out, choir_dialect_get_error_code (dialect, message->code), -1);
  g_string_append (out, ",\"message\":");
  choir_json_append_string (out, message->message, -1);
  g_string_append_printf (out, ",\"recoverable\":%s,\"help\":",
                          choir_error_is_recoverable (message->code) ? "true" : "false");
  choir_json_append_string (out, choir_error_get_help (message->code), -1);

  if (message->details != NULL)
    g_string_append_printf (out, ",\"details\":%s", message->details);
  if (message->retry_after_us > 0)
    append_retry_after (out, message->retry_after_us);
  if (message->original_type.len > 0)
    {
      g_string_append (out, ",\"original_type\":\"");
      g_string_append_len (out, message->original_type.data, (gssize) message->original_type.len);
      g_string_append_c (out, '"');
    }

  g_string_append_c (out, '}');
  return out;
}

/**
 * choir_envelope_encode_error:
 * @dialect: how the receiver speaks
 * @message: why its message, or something else, failed
 *
 * Returns: (transfer full): a frame
 */
ChoirFrame *
choir_envelope_encode_error (const ChoirDialect *dialect, const ChoirErrorMessage *message)
{
  const char *fixed = choir_dialect_get_error_frame (dialect, message->code);
  const ChoirDialectOutRow *row = choir_dialect_find_outbound (dialect, "error");
  g_autoptr (GString) payload = NULL;
  ChoirFrameBuilder builder;

  if (fixed != NULL)
    return choir_frame_new (CHOIR_OPCODE_TEXT, fixed, strlen (fixed));

  payload = make_error_payload (dialect, message);
  choir_frame_builder_init (&builder, payload->len + ENVELOPE_SIZE_HINT);
  append_message (&builder, choir_dialect_get_table (dialect),
                  row != NULL && row->external != NULL ? row->external : "error",
                  choir_dialect_get_error_template (dialect),
                  &(ChoirMessage){ .type = "error",
                                   .payload = { payload->str, payload->len },
                                   .correlation_id = message->correlation_id,
                                   .id = message->id,
                                   .wall_us = message->wall_us });
  return finish (dialect, &builder);
}
