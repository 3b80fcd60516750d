/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-text-answer.h"

#include "choir-cbor.h"
#include "choir-clock.h"
#include "choir-document-room.h"
#include "choir-error.h"
#include "choir-hub-private.h"
#include "choir-id.h"
#include "choir-payload.h"

#include <string.h>

/*
 * A text of megabytes must not pass through the buffers that messages usually pass through, nor be
 * held once for everybody who asks for it at the same time. So the message is encoded with a mark
 * in the text's place, and cut there; the text is escaped from the rope into a frame of its own.
 * What is small is put together again; else the three parts go as the fragments of one message (RFC
 * 6455 5.4), and the middle one is the same block for all who get this version.
 */

/* Escaped, a character may take six bytes for one, and a frame holds less than 4 GiB */
#define TEXT_BYTES_MAX (G_MAXUINT32 / 6 - 1024)

/* What stands before the mark in CBOR: the head of a text of 24 to 255 bytes */
#define CBOR_MARK_HEAD 2

static gboolean
is_binary (ChoirSession *session)
{
  return choir_dialect_get_table (choir_session_get_dialect (session))->binary;
}

/* In JSON what stands between the quotes, in CBOR the whole item */
static void
append_text (ChoirFrameBuilder *builder, const ChoirRope *text, gboolean binary)
{
  const char *piece;
  ChoirRopeIter iter;
  gsize n_bytes;

  if (binary)
    choir_cbor_write_text_start (builder, choir_rope_get_n_bytes (text));

  choir_rope_iter_init (&iter, text, 0);
  while (choir_rope_iter_next (&iter, &piece, &n_bytes))
    {
      if (binary)
        choir_frame_builder_append (builder, piece, n_bytes);
      else
        choir_frame_builder_append_json_part (builder, piece, n_bytes);
    }
}

/* What escapes add to it, mostly */
static gsize
guess_size (const ChoirRope *text)
{
  gsize n_bytes = choir_rope_get_n_bytes (text);

  return n_bytes + n_bytes / 16 + 64;
}

/**
 * choir_text_answer_make_content:
 * @text: a text
 * @binary: for CBOR
 *
 * Returns: (transfer full): the middle part of a message in parts: @text as it stands in a message
 */
ChoirFrame *
choir_text_answer_make_content (const ChoirRope *text, gboolean binary)
{
  ChoirFrameBuilder builder;

  choir_frame_builder_init (&builder, guess_size (text));
  append_text (&builder, text, binary);

  return choir_frame_builder_end_fragment (&builder, CHOIR_OPCODE_CONTINUATION, FALSE);
}

static ChoirOpcode
get_opcode (ChoirSession *session)
{
  return is_binary (session) ? CHOIR_OPCODE_BINARY : CHOIR_OPCODE_TEXT;
}

static void
send_whole (ChoirSession *session, ChoirSlice head, const ChoirRope *text, ChoirSlice tail)
{
  ChoirHub *hub = choir_session_get_hub (session);
  g_autoptr (ChoirFrame) frame = NULL;
  ChoirFrameBuilder builder;

  choir_frame_builder_init (&builder, head.len + guess_size (text) + tail.len);
  choir_frame_builder_append (&builder, head.data, head.len);
  append_text (&builder, text, is_binary (session));
  choir_frame_builder_append (&builder, tail.data, tail.len);
  frame = choir_frame_builder_end (&builder, get_opcode (session), FALSE);
  choir_broadcaster_send_frame (choir_hub_get_broadcaster (hub), choir_session_get_outbox (session),
                                frame);
}

/* (transfer full) */
static ChoirFrame *
get_content (ChoirSession *session, const ChoirTextAnswer *answer)
{
  gboolean binary = is_binary (session);

  return answer->room != NULL
           ? choir_frame_ref (choir_document_room_get_content (answer->room, binary))
           : choir_text_answer_make_content (answer->text, binary);
}

static void
send_in_parts (ChoirSession *session,
               ChoirSlice head,
               const ChoirTextAnswer *answer,
               ChoirSlice tail)
{
  ChoirOutbox *outbox = choir_session_get_outbox (session);
  g_autoptr (ChoirFrame) first =
    choir_frame_new_fragment (get_opcode (session), FALSE, head.data, head.len);
  g_autoptr (ChoirFrame) last =
    choir_frame_new_fragment (CHOIR_OPCODE_CONTINUATION, TRUE, tail.data, tail.len);
  g_autoptr (ChoirFrame) content = get_content (session, answer);

  choir_outbox_push (outbox, first);
  choir_outbox_push_large (outbox, content, CHOIR_OUTBOX_ANSWERS_MAX);
  choir_outbox_push (outbox, last);
}

static gboolean
check (ChoirSession *session, const ChoirRope *text, GError **error)
{
  if (choir_rope_get_n_bytes (text) <= CHOIR_TEXT_ANSWER_WHOLE_MAX)
    return TRUE;

  if (choir_rope_get_n_bytes (text) > TEXT_BYTES_MAX)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_TOO_LARGE,
                           "The text is too large for a message");
      return FALSE;
    }

  if (choir_session_get_outbox (session)->n_large >= CHOIR_OUTBOX_ANSWERS_MAX)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_RATE_LIMITED,
                           "Read the texts you have asked for first");
      return FALSE;
    }

  return TRUE;
}

/* (transfer full) (nullable): the message, with @mark for a text */
static ChoirFrame *
encode (ChoirSession *session,
        const ChoirEnvelope *request,
        const ChoirTextAnswer *answer,
        const char *mark)
{
  ChoirMessage message = {
    .type = answer->type,
    .wall_us = choir_clock_wall_us (),
    .offset = answer->version,
    .user_id = choir_session_get_user_id (session),
    .session_id = choir_session_get_id (session),
  };

  if (request != NULL)
    message.correlation_id = request->correlation_id;

  choir_payload_add_string (answer->payload, "content", mark);
  choir_payload_close (answer->payload);
  message.payload = choir_payload_as_slice (answer->payload);

  return choir_envelope_encode (choir_session_get_dialect (session), &message);
}

/* The text is in a rope, and may be in a frame that many get: only its length is told */
static void
report (ChoirSession *session, const ChoirTextAnswer *answer)
{
  const ChoirMessage message = {
    .type = answer->type,
    .wall_us = choir_clock_wall_us (),
    .payload = { NULL, answer->payload->len + choir_rope_get_n_bytes (answer->text) },
  };

  choir_hub_report_answered (choir_session_get_hub (session), session, &message);
}

/**
 * choir_text_answer_send:
 * @session: who gets it
 * @request: (nullable): what is answered
 * @answer: what
 * @error: return location: %CHOIR_ERROR_RATE_LIMITED if two large ones wait for this client
 * already, %CHOIR_ERROR_TOO_LARGE
 *
 * Sends a message whose `content` is a text. One of a megabyte may wait although it is more than
 * `protocol.max-queue-bytes`.
 *
 * Returns: whether it was sent
 */
gboolean
choir_text_answer_send (ChoirSession *session,
                        const ChoirEnvelope *request,
                        const ChoirTextAnswer *answer,
                        GError **error)
{
  ChoirStats *stats = choir_hub_get_stats (choir_session_get_hub (session));
  g_autoptr (ChoirFrame) frame = NULL;
  char mark[CHOIR_ID_SIZE];
  const char *text, *at;
  ChoirSlice head, tail;
  gsize len;

  if (choir_session_get_outbox (session) == NULL)
    return TRUE;

  if (!check (session, answer->text, error))
    return FALSE;

  /* random, so that nobody's name can be it */
  choir_id_generate (mark);
  frame = encode (session, request, answer, mark);
  if (frame == NULL)
    return TRUE;

  text = (const char *) choir_frame_get_payload (frame, &len);
  at = memmem (text, len, mark, sizeof mark - 1);
  g_return_val_if_fail (at != NULL, FALSE);

  head = (ChoirSlice){ text, (gsize) (at - text) };
  if (is_binary (session))
    head.len -= CBOR_MARK_HEAD;
  at += sizeof mark - 1;
  tail = (ChoirSlice){ at, (gsize) (text + len - at) };
  if (choir_rope_get_n_bytes (answer->text) <= CHOIR_TEXT_ANSWER_WHOLE_MAX)
    send_whole (session, head, answer->text, tail);
  else
    send_in_parts (session, head, answer, tail);
  *choir_stats_for_answer (stats, answer->type)->sent += 1;
  if (choir_hub_is_observed (choir_session_get_hub (session)))
    report (session, answer);

  return TRUE;
}
