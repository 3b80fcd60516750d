/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-envelope.h"

#include "choir-cbor.h"

/* First bytes of whole frames that are not compressed (RFC 6455 5.2) */
#define WHOLE_TEXT (0x80 | CHOIR_OPCODE_TEXT)
#define WHOLE_BINARY (0x80 | CHOIR_OPCODE_BINARY)

/**
 * choir_envelope_is_single:
 * @frame: any frame that goes out
 *
 * Every message is an object, so an array is a batch made before.
 *
 * Returns: whether it holds one whole message, as it is
 */
gboolean
choir_envelope_is_single (const ChoirFrame *frame)
{
  gsize len;
  const guint8 *payload = choir_frame_get_payload (frame, &len);
  guint8 first = *choir_frame_get_data (frame);

  if ((frame->flags & CHOIR_FRAME_JOINED) || len == 0)
    return FALSE;

  return first == WHOLE_BINARY ? choir_cbor_is_map (*payload)
                               : first == WHOLE_TEXT && *payload != '[';
}

static void
append_all (ChoirFrameBuilder *builder,
            ChoirFrame *const *messages,
            guint n_messages,
            const char *separator)
{
  gsize separator_len = strlen (separator);

  for (guint i = 0; i < n_messages; i++)
    {
      gsize len;
      const guint8 *payload = choir_frame_get_payload (messages[i], &len);

      if (i > 0)
        choir_frame_builder_append (builder, separator, separator_len);
      choir_frame_builder_append (builder, payload, len);
    }
}

/**
 * choir_envelope_join:
 * @messages: (array length=n_messages): frames for which choir_envelope_is_single(), of one dialect
 * @n_messages: at least one
 *
 * Returns: (transfer full): one frame with the messages in an array
 */
ChoirFrame *
choir_envelope_join (ChoirFrame *const *messages, guint n_messages)
{
  gboolean binary = *choir_frame_get_data (messages[0]) == WHOLE_BINARY;
  gsize size = CHOIR_FRAME_HEADER_MAX;
  ChoirFrameBuilder builder;

  for (guint i = 0; i < n_messages; i++)
    size += messages[i]->len;
  choir_frame_builder_init (&builder, size);

  if (binary)
    {
      choir_cbor_write_array_start (&builder, n_messages);
      append_all (&builder, messages, n_messages, "");
      return choir_frame_builder_end (&builder, CHOIR_OPCODE_BINARY, FALSE);
    }

  choir_frame_builder_append_literal (&builder, "[");
  append_all (&builder, messages, n_messages, ",");
  choir_frame_builder_append_literal (&builder, "]");
  return choir_frame_builder_end (&builder, CHOIR_OPCODE_TEXT, FALSE);
}
