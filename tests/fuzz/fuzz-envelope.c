/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-cbor.h"
#include "choir-envelope.h"
#include "choir-names.h"

#include <string.h>

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

static const ChoirJsonLimits limits = { 16, 1000, 100, 10 };
/* A template nests what it was given one level deeper, or two, besides the envelope's own */
static const ChoirJsonLimits out_limits = { 24, 1000, 100, 10 };

/* Integers beyond 2^53 go out to clients as they came, and are taken from none */
static void
check_binary_frame (const guint8 *payload, gsize len)
{
  static const ChoirCborLimits cbor_limits = { 24, 1 << 24 };
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (GError) error = NULL;

  if (!choir_cbor_read (payload, len, &cbor_limits, text, &error) &&
      !g_str_has_suffix (error->message, ": expected an integer within 2^53 either way") &&
      !g_str_has_suffix (error->message, ": expected a finite number"))
    g_error ("%s", error->message);
}

static void
check_frame (const ChoirFrame *frame)
{
  gsize len;
  const guint8 *payload;
  g_autoptr (GError) error = NULL;

  if (frame == NULL)
    return;

  payload = choir_frame_get_payload (frame, &len);
  if ((*choir_frame_get_data (frame) & 0xf) == CHOIR_OPCODE_BINARY)
    {
      check_binary_frame (payload, len);
      return;
    }

  if (!choir_json_gate_check ((const char *) payload, len, &out_limits, NULL, &error))
    g_error ("%s: %.*s", error->message, (int) len, (const char *) payload);
}

static void
answer_error (const ChoirDialect *dialect, const ChoirEnvelope *envelope, const GError *reason)
{
  ChoirErrorMessage message = { .code = (ChoirError) reason->code,
                                .message = reason->message,
                                .original_type = envelope->external_type,
                                .correlation_id = envelope->correlation_id,
                                .id = "m" };
  g_autoptr (ChoirFrame) frame = NULL;

  g_assert_true (g_utf8_validate (reason->message, -1, NULL));
  frame = choir_envelope_encode_error (dialect, &message);
  g_assert_nonnull (frame);
  check_frame (frame);
}

/* What came in goes out to the clients of every contract, and each of them must get valid JSON */
static void
forward (const ChoirEnvelope *envelope)
{
  ChoirMessage message = { .type = envelope->type,
                           .payload = envelope->payload,
                           .correlation_id = envelope->correlation_id,
                           .id = "m",
                           .wall_us = G_GINT64_CONSTANT (1767868200123456),
                           .channel = "chat:42",
                           .offset = 7,
                           .user_id = "u",
                           .session_id = "s" };

  g_assert_true (
    choir_json_gate_check (envelope->payload.data, envelope->payload.len, &out_limits, NULL, NULL));
  for (guint i = 0; i < CHOIR_N_DIALECTS; i++)
    {
      g_autoptr (ChoirFrame) frame =
        choir_envelope_encode (choir_dialect_get ((ChoirDialectId) i), &message);

      check_frame (frame);
    }
}

/* The first byte chooses the dialect */
int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  const ChoirDialect *dialect;
  g_auto (ChoirEnvelope) envelope = { 0 };
  g_autoptr (GError) error = NULL;

  if (size == 0)
    return 0;

  dialect = choir_dialect_get ((ChoirDialectId) (data[0] % 8 % CHOIR_N_DIALECTS));
  if (choir_envelope_parse (dialect, (const char *) data + 1, size - 1, &limits, &envelope, &error))
    {
      /* what is sent has a type that was checked, whoever asked for it */
      if (choir_name_is_identifier (envelope.type, strlen (envelope.type)))
        forward (&envelope);
    }
  else
    answer_error (dialect, &envelope, error);

  return 0;
}
