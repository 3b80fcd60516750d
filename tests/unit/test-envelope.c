/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <string.h>

#include "choir-cbor.h"
#include "choir-envelope.h"
#include "choir-error.h"
#include "choir-id.h"

static const ChoirJsonLimits limits = { 32, 10000, 100, 10 };

/* 2026-01-08T10:30:00.123Z */
#define WALL_US G_GINT64_CONSTANT (1767868200123456)

static void
assert_slice (ChoirSlice slice, const char *expected)
{
  g_autofree char *text = choir_slice_dup (slice);

  g_assert_cmpstr (text, ==, expected);
}

static void
assert_inbound (ChoirDialectId id, const char *text, const char *type, const char *payload)
{
  g_auto (ChoirEnvelope) envelope = { 0 };
  g_autoptr (GError) error = NULL;

  choir_envelope_parse (choir_dialect_get (id), text, strlen (text), &limits, &envelope, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (envelope.type, ==, type);
  assert_slice (envelope.payload, payload);
}

static void
assert_refused (ChoirDialectId id, const char *text, ChoirError code, const char *message)
{
  g_auto (ChoirEnvelope) envelope = { 0 };
  g_autoptr (GError) error = NULL;

  g_assert_false (
    choir_envelope_parse (choir_dialect_get (id), text, strlen (text), &limits, &envelope, &error));
  g_assert_error (error, CHOIR_ERROR, (int) code);
  g_assert_cmpstr (error->message, ==, message);
}

static void
assert_correlation (ChoirDialectId id, const char *text, const char *correlation)
{
  g_auto (ChoirEnvelope) envelope = { 0 };
  g_autoptr (GError) error = NULL;

  choir_envelope_parse (choir_dialect_get (id), text, strlen (text), &limits, &envelope, &error);
  g_assert_no_error (error);
  assert_slice (envelope.correlation_id, correlation);
}

static void
test_parse (void)
{
  static const char text[] =
    "{\"type\":\"chat.message\",\"id\":\"m1\",\"correlation_id\":\"c\\n1\",\"channel\":\"chat:42\","
    "\"timestamp\":\"2026-01-08T10:30:00Z\",\"metadata\":{},\"payload\":{\"content\":\"<b>\"}}";
  g_auto (ChoirEnvelope) envelope = { 0 };
  g_autoptr (GError) error = NULL;

  choir_envelope_parse (choir_dialect_get (CHOIR_DIALECT_CHOIR), text, strlen (text), &limits,
                        &envelope, &error);
  g_assert_no_error (error);
  g_assert_true (envelope.type == g_intern_string ("chat.message"));
  assert_slice (envelope.external_type, "chat.message");
  assert_slice (envelope.id, "m1");
  assert_slice (envelope.correlation_id, "c\\n1");
  assert_slice (envelope.channel, "chat:42");
  assert_slice (envelope.payload, "{\"content\":\"<b>\"}");
  assert_slice (envelope.metadata, "{}");
  g_assert_cmpint (envelope.payload_flags, ==, CHOIR_JSON_HAS_MARKUP);
  /* spliced on as it came */
  g_assert_true (envelope.payload.data > text && envelope.payload.data < text + sizeof text);
}

static void
test_fields (void)
{
  assert_inbound (CHOIR_DIALECT_CHOIR, "{\"type\":\"ping\"}", "ping", "{}");
  assert_inbound (CHOIR_DIALECT_CHOIR, "{\"type\":\"ping\",\"data\":{\"a\":1}}", "ping",
                  "{\"a\":1}");
  assert_inbound (CHOIR_DIALECT_CHOIR,
                  "{\"type\":\"ping\",\"id\":null,\"correlation_id\":null,\"timestamp\":null,"
                  "\"metadata\":null,\"channel\":null}",
                  "ping", "{}");
  assert_inbound (CHOIR_DIALECT_CHOIR, "{\"t\\u0079pe\":\"pin\\u0067\"}", "ping", "{}");
  assert_inbound (CHOIR_DIALECT_CHOIR, "{\"type\":\"my.own\",\"payload\":{}}", "my.own", "{}");
  assert_inbound (CHOIR_DIALECT_CHOIR, "{\"type\":\"my\\u002eown\"}", "my.own", "{}");
  assert_inbound (CHOIR_DIALECT_CHOIR, "{\"type\":\"ping\",\"timestamp\":1767868200.5}", "ping",
                  "{}");
  assert_inbound (CHOIR_DIALECT_CHOIR,
                  "{\"type\":\"ping\",\"timestamp\":\"2026-01-08T10:30:00.123456+01:00\"}", "ping",
                  "{}");
}

static void
test_refused (void)
{
  static const struct
  {
    const char *text;
    const char *message;
  } rows[] = {
    { "{}", "Field \"type\" is required" },
    { "{\"type\":1}", "Field \"type\" must be a string" },
    { "{\"type\":null}", "Field \"type\" must be a string" },
    { "{\"type\":\"\"}", "Field \"type\" must not be empty" },
    { "{\"type\":\"ping\",\"id\":{}}", "Field \"id\" must be a string or an integer" },
    { "{\"type\":\"ping\",\"id\":1.5}", "Field \"id\" must be a string or an integer" },
    { "{\"type\":\"ping\",\"correlation_id\":7}", "Field \"correlation_id\" must be a string" },
    { "{\"type\":\"ping\",\"metadata\":[]}", "Field \"metadata\" must be an object" },
    { "{\"type\":\"ping\",\"channel\":1}", "Field \"channel\" must be a string" },
    { "{\"type\":\"ping\",\"payload\":\"x\"}", "Field \"payload\" must be an object" },
    { "{\"type\":\"ping\",\"payload\":null}", "Field \"payload\" must be an object" },
    { "{\"type\":\"ping\",\"data\":[]}", "Field \"data\" must be an object" },
    { "{\"type\":\"ping\",\"data\":{},\"payload\":{}}",
      "Fields \"payload\" and \"data\" mean the same: send one of them" },
    { "{\"type\":\"ping\",\"timestamp\":\"yesterday\"}",
      "Field \"timestamp\" must be an ISO 8601 string or a Unix time" },
    { "{\"type\":\"ping\",\"timestamp\":true}",
      "Field \"timestamp\" must be an ISO 8601 string or a Unix time" },
    { "{\"type\":\"ping\",\"timestamp\":-1}",
      "Field \"timestamp\" must be an ISO 8601 string or a Unix time" },
    { "[]", "A message must be a JSON object" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    assert_refused (CHOIR_DIALECT_CHOIR, rows[i].text, CHOIR_ERROR_INVALID_MESSAGE,
                    rows[i].message);

  assert_refused (CHOIR_DIALECT_CHOIR, "{\"type\":", CHOIR_ERROR_INVALID_JSON,
                  "Invalid JSON at byte 8: expected a JSON value");
  assert_refused (CHOIR_DIALECT_NETRA, "{\"type\":\"ping\"}", CHOIR_ERROR_INVALID_MESSAGE,
                  "Field \"data\" is required");
}

static void
test_bounds (void)
{
  g_autofree char *letters = g_strnfill (129, 'x');
  g_autofree char *id = g_strdup_printf ("{\"type\":\"ping\",\"id\":\"%s\"}", letters);
  g_autofree char *fits = g_strdup_printf ("{\"type\":\"ping\",\"id\":\"%s\"}", letters + 1);
  g_autofree char *type = g_strdup_printf ("{\"type\":\"%s\"}", letters + 129 - 65);
  g_autofree char *unknown = g_strdup_printf ("{\"type\":\"%s\"}", letters + 129 - 64);
  g_autofree char *message = g_strdup_printf ("Unknown message type: %s", letters + 129 - 64);

  assert_inbound (CHOIR_DIALECT_CHOIR, fits, "ping", "{}");
  assert_refused (CHOIR_DIALECT_CHOIR, id, CHOIR_ERROR_INVALID_MESSAGE,
                  "Field \"id\" must be at most 128 bytes long");
  assert_refused (CHOIR_DIALECT_CHOIR, type, CHOIR_ERROR_INVALID_MESSAGE,
                  "Field \"type\" must be at most 64 bytes long");
  assert_refused (CHOIR_DIALECT_JDDB, unknown, CHOIR_ERROR_INVALID_MESSAGE_TYPE, message);
}

static void
test_unknown_type (void)
{
  for (guint i = 0; i < CHOIR_N_DIALECTS; i++)
    {
      if (choir_dialect_get_table (choir_dialect_get ((ChoirDialectId) i))->passes_unknown)
        continue;
      assert_refused ((ChoirDialectId) i, "{\"type\":\"dance\",\"data\":{}}",
                      CHOIR_ERROR_INVALID_MESSAGE_TYPE, "Unknown message type: dance");
      assert_refused ((ChoirDialectId) i, "{\"type\":\"a\\n\\u00e9\\\"\",\"data\":{}}",
                      CHOIR_ERROR_INVALID_MESSAGE_TYPE, "Unknown message type: a?\xc3\xa9\"");
    }
}

static void
test_kept_on_error (void)
{
  static const char text[] = "{\"type\":\"dance\",\"data\":{},\"correlation_id\":\"c1\"}";
  g_auto (ChoirEnvelope) envelope = { 0 };
  g_autoptr (GError) error = NULL;

  g_assert_false (choir_envelope_parse (choir_dialect_get (CHOIR_DIALECT_NETRA), text,
                                        strlen (text), &limits, &envelope, &error));
  assert_slice (envelope.external_type, "dance");
  assert_slice (envelope.correlation_id, "c1");
}

static void
test_correlation (void)
{
  assert_correlation (CHOIR_DIALECT_CHOIR, "{\"type\":\"ping\",\"id\":\"m\"}", "m");
  assert_correlation (CHOIR_DIALECT_CHOIR, "{\"type\":\"ping\",\"id\":42}", "42");
  assert_correlation (CHOIR_DIALECT_CHOIR,
                      "{\"type\":\"ping\",\"id\":\"m\",\"correlation_id\":\"c\"}", "c");
  assert_correlation (CHOIR_DIALECT_CHOIR, "{\"type\":\"ping\"}", "");
  assert_correlation (CHOIR_DIALECT_JDDB,
                      "{\"type\":\"ping\",\"metadata\":{\"correlationId\":\"c\"}}", "c");
  assert_correlation (CHOIR_DIALECT_NETRA_SPEC,
                      "{\"type\":\"user_message\",\"payload\":{\"correlation_id\":\"c\"}}", "c");
  assert_correlation (CHOIR_DIALECT_CHOIR,
                      "{\"type\":\"ping\",\"payload\":{\"correlation_id\":\"c\"}}", "");
  assert_correlation (CHOIR_DIALECT_REVIEWPOINT, "{\"type\":\"ping\",\"id\":\"m\"}", "");
}

static void
test_translation (void)
{
  assert_inbound (CHOIR_DIALECT_NETRA,
                  "{\"type\":\"optimization_request\",\"data\":{\"message\":\"m\",\"kind\":\"x\"}}",
                  "task.request", "{\"kind\":\"optimization\",\"message\":\"m\"}");
  assert_inbound (CHOIR_DIALECT_NETRA, "{\"type\":\"stop_processing\",\"payload\":{}}",
                  "task.cancel", "{}");
  assert_inbound (CHOIR_DIALECT_NETRA, "{\"type\":\"chat_message\",\"data\":{\"message\":\"m\"}}",
                  "chat.message", "{\"content\":\"m\"}");
  assert_inbound (CHOIR_DIALECT_NETRA_SPEC,
                  "{\"type\":\"agent_request\",\"payload\":{\"q\":[1]},\"timestamp\":1767868200}",
                  "task.request", "{\"kind\":\"agent\",\"q\":[1]}");
  assert_inbound (CHOIR_DIALECT_JDDB,
                  "{\"type\":\"document.change\",\"payload\":{\"operation\":\"insert\","
                  "\"position\":1,\"content\":\"x\",\"changeId\":\"c\",\"documentId\":\"d\"}}",
                  "document.change",
                  "{\"document_id\":\"d\",\"change_id\":\"c\",\"operation\":\"insert\","
                  "\"position\":1,\"content\":\"x\"}");
  assert_inbound (CHOIR_DIALECT_JDDB, "{\"type\":\"cursor.position\",\"payload\":{\"position\":7}}",
                  "cursor.position", "{\"anchor\":7,\"head\":7}");
  assert_inbound (CHOIR_DIALECT_JDDB, "{\"type\":\"system.heartbeat\"}", "heartbeat", "{}");
  assert_inbound (CHOIR_DIALECT_JDDB, "{\"type\":\"system.reconnect\"}", "session.reconnect", "{}");
  assert_inbound (CHOIR_DIALECT_REVIEWPOINT, "{\"type\":\"ping\",\"data\":{\"pingId\":3}}", "ping",
                  "{\"ping_id\":3}");
  assert_inbound (CHOIR_DIALECT_REVIEWPOINT,
                  "{\"type\":\"upload.cancel\",\"data\":{\"upload_id\":\"u\"}}", "task.request",
                  "{\"kind\":\"upload.cancel\",\"upload_id\":\"u\"}");
  assert_inbound (CHOIR_DIALECT_TRIPSAGE,
                  "{\"type\":\"chat_message_chunk\",\"payload\":{\"content\":\"x\","
                  "\"isComplete\":false,\"messageId\":\"m\"}}",
                  "chat.chunk", "{\"message_id\":\"m\",\"complete\":false,\"content\":\"x\"}");
}

static void
test_bare_auth (void)
{
  assert_inbound (CHOIR_DIALECT_TRIPSAGE,
                  "{\"token\":\"t\",\"sessionId\":\"s\",\"channels\":[\"chat:s\"]}", "auth",
                  "{\"token\":\"t\",\"session_id\":\"s\",\"channels\":[\"chat:s\"]}");
  assert_inbound (CHOIR_DIALECT_TRIPSAGE, "{\"type\":\"auth\",\"payload\":{\"token\":\"t\"}}",
                  "auth", "{\"token\":\"t\"}");
  assert_refused (CHOIR_DIALECT_TRIPSAGE, "{\"sessionId\":\"s\"}", CHOIR_ERROR_INVALID_MESSAGE,
                  "Field \"type\" is required");
  assert_refused (CHOIR_DIALECT_CHOIR, "{\"token\":\"t\"}", CHOIR_ERROR_INVALID_MESSAGE,
                  "Field \"type\" is required");
}

static void
assert_encoded (ChoirDialectId id, const char *type, const char *payload, const char *expected)
{
  ChoirMessage message = { .type = type,
                           .payload = choir_slice (payload),
                           .correlation_id = CHOIR_SLICE_LITERAL ("c"),
                           .id = "m",
                           .wall_us = WALL_US,
                           .channel = "chat:42",
                           .offset = 17,
                           .user_id = "u",
                           .session_id = "s" };
  g_autoptr (ChoirFrame) frame = choir_envelope_encode (choir_dialect_get (id), &message);
  g_autoptr (GString) appended = g_string_new ("|");
  g_autoptr (GError) error = NULL;
  const guint8 *data;
  gsize len;
  g_autofree char *text = NULL;

  g_assert_nonnull (frame);
  data = choir_frame_get_payload (frame, &len);
  text = g_strndup ((const char *) data, len);
  g_assert_cmpstr (text, ==, expected);
  g_assert_cmpuint (choir_frame_get_data (frame)[0], ==, 0x80 | CHOIR_OPCODE_TEXT);
  choir_json_gate_check (text, len, &limits, NULL, &error);
  g_assert_no_error (error);

  g_assert_true (choir_envelope_append (choir_dialect_get (id), &message, appended));
  g_assert_cmpstr (appended->str + 1, ==, expected);
}

static void
test_encode (void)
{
  assert_encoded (CHOIR_DIALECT_CHOIR, "chat.message", "{\"content\":\"x\"}",
                  "{\"type\":\"chat.message\",\"payload\":{\"content\":\"x\"},\"id\":\"m\","
                  "\"timestamp\":\"2026-01-08T10:30:00.123Z\",\"correlation_id\":\"c\","
                  "\"channel\":\"chat:42\",\"offset\":17}");
  assert_encoded (
    CHOIR_DIALECT_NETRA, "task.accepted", "{\"task_id\":\"t\"}",
    "{\"type\":\"status\",\"data\":{\"status\":\"received\",\"task_id\":\"t\"},"
    "\"id\":\"m\",\"timestamp\":\"2026-01-08T10:30:00.123Z\",\"correlation_id\":\"c\"}");
  assert_encoded (CHOIR_DIALECT_NETRA_SPEC, "task.chunk", "{\"content\":\"x\"}",
                  "{\"type\":\"partial_result\",\"payload\":{\"content\":\"x\"},"
                  "\"timestamp\":1767868200.123,\"correlation_id\":\"c\"}");
  assert_encoded (CHOIR_DIALECT_JDDB, "document.ack", "{\"change_id\":\"x\",\"version\":3}",
                  "{\"type\":\"document.change\",\"payload\":{\"changeId\":\"x\",\"version\":3},"
                  "\"metadata\":{\"timestamp\":1767868200123,\"version\":17,\"userId\":\"u\","
                  "\"sessionId\":\"s\",\"correlationId\":\"c\"}}");
  assert_encoded (CHOIR_DIALECT_REVIEWPOINT, "pong", "{\"ping_id\":3}",
                  "{\"type\":\"pong\",\"data\":{\"timestamp\":\"2026-01-08T10:30:00.123Z\","
                  "\"pingId\":3},\"id\":\"m\",\"timestamp\":\"2026-01-08T10:30:00.123Z\"}");
  assert_encoded (CHOIR_DIALECT_TRIPSAGE, "chat.chunk", "{\"content\":\"x\",\"complete\":true}",
                  "{\"type\":\"chat_message_chunk\",\"payload\":{\"content\":\"x\","
                  "\"isComplete\":true,\"sessionId\":\"42\"},\"id\":\"m\","
                  "\"timestamp\":\"2026-01-08T10:30:00.123Z\"}");
  assert_encoded (
    CHOIR_DIALECT_TRIPSAGE, "auth.ok",
    "{\"connection_id\":\"k\",\"user_id\":\"u\",\"session_id\":\"s\",\"expires_at\":1}",
    "{\"success\":true,\"connectionId\":\"k\",\"userId\":\"u\",\"sessionId\":\"42\"}");
  assert_encoded (CHOIR_DIALECT_TRIPSAGE, "auth.failed", "{\"message\":\"no\"}",
                  "{\"success\":false,\"error\":\"no\"}");
  assert_encoded (CHOIR_DIALECT_JDDB, "presence.joined",
                  "{\"member\":{\"user_id\":\"u\",\"is_active\":true}}",
                  "{\"type\":\"user.presence\",\"payload\":{\"event\":\"user_joined\","
                  "\"member\":{\"userId\":\"u\",\"isActive\":true}},"
                  "\"metadata\":{\"timestamp\":1767868200123,\"version\":17,\"userId\":\"u\","
                  "\"sessionId\":\"s\",\"correlationId\":\"c\"}}");
  assert_encoded (CHOIR_DIALECT_REVIEWPOINT, "review.updated", "{\"id\":1}",
                  "{\"type\":\"review.updated\",\"data\":{\"id\":1},\"id\":\"m\","
                  "\"timestamp\":\"2026-01-08T10:30:00.123Z\"}");
}

static void
test_encode_defaults (void)
{
  ChoirMessage message = { .type = "say.hi", .wall_us = WALL_US };
  g_autoptr (GString) text = g_string_new (NULL);
  const ChoirDialect *choir = choir_dialect_get (CHOIR_DIALECT_CHOIR);

  choir_id_seed (1);
  g_assert_true (choir_envelope_append (choir, &message, text));
  choir_id_seed (0);
  g_assert_true (g_str_has_prefix (text->str, "{\"type\":\"say.hi\",\"payload\":{},\"id\":\""));
  /* {..."id":"UUID","timestamp":"..."}: no correlation, no channel */
  g_assert_true (g_str_has_suffix (text->str, "\",\"timestamp\":\"2026-01-08T10:30:00.123Z\"}"));
  g_assert_cmpuint (text->len, ==,
                    strlen ("{\"type\":\"say.hi\",\"payload\":{},\"id\":\"\",\"timestamp\":"
                            "\"2026-01-08T10:30:00.123Z\"}") +
                      CHOIR_ID_SIZE - 1);

  message.type = "connection.established";
  g_assert_null (choir_envelope_encode (choir_dialect_get (CHOIR_DIALECT_JDDB), &message));
  g_string_truncate (text, 0);
  g_assert_false (choir_envelope_append (choir_dialect_get (CHOIR_DIALECT_JDDB), &message, text));
  g_assert_cmpuint (text->len, ==, 0);
}

/* What a binary frame holds, as JSON */
static GString *
read_binary (const ChoirFrame *frame)
{
  static const ChoirCborLimits cbor_limits = { 32, 65536 };
  GString *text = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  gsize len;
  const guint8 *data = choir_frame_get_payload (frame, &len);

  g_assert_cmpuint (choir_frame_get_data (frame)[0], ==, 0x80 | CHOIR_OPCODE_BINARY);
  choir_cbor_read (data, len, &cbor_limits, text, &error);
  g_assert_no_error (error);

  return text;
}

/* The same envelope, byte for byte, once it is JSON again; what is put into another message is JSON
 * from the beginning */
static void
test_binary (void)
{
  static const char expected[] =
    "{\"type\":\"note\",\"payload\":{\"n\":1.5,\"t\":\"\303\274\\n\"},\"id\":\"m\","
    "\"timestamp\":\"2026-01-08T10:30:00.123Z\",\"correlation_id\":\"c\\\"\","
    "\"channel\":\"chat:42\",\"offset\":17}";
  const ChoirDialect *dialect = choir_dialect_get (CHOIR_DIALECT_CHOIR_CBOR);
  ChoirMessage message = { .type = "note",
                           .payload =
                             CHOIR_SLICE_LITERAL ("{ \"n\": 1.50, \"t\": \"\\u00fc\\n\" }"),
                           .correlation_id = CHOIR_SLICE_LITERAL ("c\\\""),
                           .id = "m",
                           .wall_us = WALL_US,
                           .channel = "chat:42",
                           .offset = 17 };
  g_autoptr (ChoirFrame) frame = choir_envelope_encode (dialect, &message);
  g_autoptr (GString) text = read_binary (frame);
  g_autoptr (GString) appended = g_string_new (NULL);
  g_autoptr (ChoirFrame) refusal = NULL;
  g_autoptr (GString) refusal_text = NULL;

  g_assert_cmpstr (text->str, ==, expected);
  g_assert_true (choir_envelope_append (dialect, &message, appended));
  g_assert_true (g_str_has_prefix (appended->str, "{\"type\":\"note\",\"payload\":{ \"n\": 1.50,"));

  refusal =
    choir_envelope_encode_error (dialect, &(ChoirErrorMessage){ .code = CHOIR_ERROR_CONFLICT,
                                                                .message = "why",
                                                                .id = "m",
                                                                .wall_us = WALL_US });
  refusal_text = read_binary (refusal);
  g_assert_true (g_str_has_prefix (
    refusal_text->str,
    "{\"type\":\"error\",\"payload\":{\"code\":\"CONFLICT\",\"message\":\"why\""));
}

static ChoirFrame *
encode_numbered (ChoirDialectId id, guint i)
{
  g_autofree char *payload = g_strdup_printf ("{\"n\":%u}", i);
  ChoirMessage message = { .type = "note", .payload = choir_slice (payload), .id = "m" };

  return choir_envelope_encode (choir_dialect_get (id), &message);
}

/* Several messages in one frame; what is that already, or no message, is no part of another */
static void
test_join (void)
{
  static const ChoirDialectId ids[] = { CHOIR_DIALECT_CHOIR, CHOIR_DIALECT_CHOIR_CBOR };
  g_autoptr (ChoirFrame) ping = choir_frame_new (CHOIR_OPCODE_PING, "{", 1);
  g_autoptr (ChoirFrame) empty = choir_frame_new (CHOIR_OPCODE_BINARY, NULL, 0);
  g_autoptr (ChoirFrame) deflated = choir_frame_new_full (CHOIR_OPCODE_BINARY, TRUE, "\xa0", 1);
  g_autoptr (ChoirFrame) part = choir_frame_new_fragment (CHOIR_OPCODE_BINARY, FALSE, "\xa0", 1);

  g_assert_false (choir_envelope_is_single (ping));
  g_assert_false (choir_envelope_is_single (empty));
  g_assert_false (choir_envelope_is_single (deflated));
  g_assert_false (choir_envelope_is_single (part));

  for (guint i = 0; i < G_N_ELEMENTS (ids); i++)
    {
      ChoirFrame *messages[30];
      g_autoptr (ChoirFrame) joined = NULL;
      g_autoptr (ChoirFrame) block = NULL;
      g_autoptr (GString) text = NULL;
      ChoirSlice elements[30];
      const guint8 *data;
      guint n;
      gsize len;

      for (guint j = 0; j < G_N_ELEMENTS (messages); j++)
        {
          messages[j] = encode_numbered (ids[i], j);
          g_assert_true (choir_envelope_is_single (messages[j]));
        }
      joined = choir_envelope_join (messages, G_N_ELEMENTS (messages));
      block = choir_frame_new_joined (messages, G_N_ELEMENTS (messages));
      g_assert_false (choir_envelope_is_single (joined));
      g_assert_false (choir_envelope_is_single (block));

      data = choir_frame_get_payload (joined, &len);
      text = i == 0 ? g_string_new_len ((const char *) data, (gssize) len) : read_binary (joined);
      g_assert_true (choir_json_gate_scan_batch (
        text->str, text->len, &(ChoirJsonLimits){ 32, 10000, 100, 30 }, elements, &n, NULL));
      g_assert_cmpuint (n, ==, G_N_ELEMENTS (messages));
      for (guint j = 0; j < n; j++)
        {
          g_autofree char *start =
            g_strdup_printf ("{\"type\":\"note\",\"payload\":{\"n\":%u},", j);

          g_assert_true (strncmp (elements[j].data, start, strlen (start)) == 0);
          choir_frame_unref (messages[j]);
        }
    }
}

static void
assert_error (ChoirDialectId id, ChoirError code, const char *expected)
{
  ChoirErrorMessage message = { .code = code,
                                .message = "Say \"why\"",
                                .retry_after_us = 1500001,
                                .original_type = CHOIR_SLICE_LITERAL ("x\\n"),
                                .correlation_id = CHOIR_SLICE_LITERAL ("c"),
                                .id = "m",
                                .wall_us = WALL_US };
  g_autoptr (ChoirFrame) frame = choir_envelope_encode_error (choir_dialect_get (id), &message);
  g_autoptr (GError) error = NULL;
  const guint8 *data;
  gsize len;
  g_autofree char *text = NULL;

  data = choir_frame_get_payload (frame, &len);
  text = g_strndup ((const char *) data, len);
  g_assert_cmpstr (text, ==, expected);
  choir_json_gate_check (text, len, &limits, NULL, &error);
  g_assert_no_error (error);
}

static void
test_errors (void)
{
  g_autofree char *canonical = g_strdup_printf (
    "{\"type\":\"error\",\"payload\":{\"code\":\"CONFLICT\",\"message\":\"Say \\\"why\\\"\","
    "\"recoverable\":%s,\"help\":\"%s\",\"retry_after\":1.501,\"original_type\":\"x\\n\"},"
    "\"id\":\"m\",\"timestamp\":\"2026-01-08T10:30:00.123Z\",\"correlation_id\":\"c\"}",
    choir_error_is_recoverable (CHOIR_ERROR_CONFLICT) ? "true" : "false",
    choir_error_get_help (CHOIR_ERROR_CONFLICT));
  g_autofree char *spec = g_strdup_printf (
    "{\"type\":\"error\",\"payload\":{\"code\":\"CONFLICT\",\"error\":\"Say \\\"why\\\"\","
    "\"timestamp\":1767868200.123,\"recoverable\":%s,\"help\":\"%s\",\"retry_after\":1.501},"
    "\"timestamp\":1767868200.123,\"correlation_id\":\"c\"}",
    choir_error_is_recoverable (CHOIR_ERROR_CONFLICT) ? "true" : "false",
    choir_error_get_help (CHOIR_ERROR_CONFLICT));

  assert_error (CHOIR_DIALECT_CHOIR, CHOIR_ERROR_CONFLICT, canonical);
  assert_error (CHOIR_DIALECT_NETRA_SPEC, CHOIR_ERROR_CONFLICT, spec);
  assert_error (CHOIR_DIALECT_NETRA, CHOIR_ERROR_RATE_LIMITED,
                "{\"type\":\"error\",\"data\":{\"code\":\"RATE_LIMIT_EXCEEDED\","
                "\"message\":\"Say \\\"why\\\"\",\"retry_after\":1.501,"
                "\"original_message\":\"x\\n\"},\"id\":\"m\","
                "\"timestamp\":\"2026-01-08T10:30:00.123Z\",\"correlation_id\":\"c\"}");
  assert_error (CHOIR_DIALECT_REVIEWPOINT, CHOIR_ERROR_UNAVAILABLE,
                "{\"type\":\"error\",\"data\":{\"code\":\"UNAVAILABLE\","
                "\"message\":\"Say \\\"why\\\"\",\"retry_after\":1.501},\"id\":\"m\","
                "\"timestamp\":\"2026-01-08T10:30:00.123Z\"}");
  assert_error (CHOIR_DIALECT_JDDB, CHOIR_ERROR_INVALID_MESSAGE,
                "{\"type\":\"error\",\"error\":\"Invalid message format\"}");
  assert_error (CHOIR_DIALECT_JDDB, CHOIR_ERROR_CONFLICT,
                "{\"type\":\"system.error\",\"payload\":{\"code\":\"CONFLICT\","
                "\"message\":\"Say \\\"why\\\"\",\"retryAfter\":1.501},"
                "\"metadata\":{\"timestamp\":1767868200123,\"correlationId\":\"c\"}}");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/envelope/parse", test_parse);
  g_test_add_func ("/envelope/fields", test_fields);
  g_test_add_func ("/envelope/refused", test_refused);
  g_test_add_func ("/envelope/bounds", test_bounds);
  g_test_add_func ("/envelope/unknown-type", test_unknown_type);
  g_test_add_func ("/envelope/kept-on-error", test_kept_on_error);
  g_test_add_func ("/envelope/correlation", test_correlation);
  g_test_add_func ("/envelope/translation", test_translation);
  g_test_add_func ("/envelope/bare-auth", test_bare_auth);
  g_test_add_func ("/envelope/encode", test_encode);
  g_test_add_func ("/envelope/encode-defaults", test_encode_defaults);
  g_test_add_func ("/envelope/binary", test_binary);
  g_test_add_func ("/envelope/join", test_join);
  g_test_add_func ("/envelope/errors", test_errors);

  return g_test_run ();
}
