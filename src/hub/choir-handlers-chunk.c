/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-handlers.h"

#include "choir-chat-check.h"
#include "choir-chat.h"
#include "choir-error.h"
#include "choir-payload.h"
#include "choir-session.h"

#include <string.h>

static gboolean
invalid (GError **error, const char *text)
{
  g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, text);

  return FALSE;
}

static gboolean
read_flag (const ChoirJsonValue *value, const char *name, gboolean *flag, GError **error)
{
  *flag = value->raw.len > 0 && value->kind == CHOIR_JSON_TRUE;
  if (*flag || value->raw.len == 0 || value->kind == CHOIR_JSON_FALSE)
    return TRUE;

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, "Field \"%s\" must be true or false",
               name);

  return FALSE;
}

static gboolean
read_seq (const ChoirJsonValue *value, gint64 *seq, GError **error)
{
  *seq = -1;

  return value->raw.len == 0 ||
         (value->kind == CHOIR_JSON_NUMBER && choir_json_number_get_int (value->raw, seq) &&
          *seq >= 0) ||
         invalid (error, "Field \"seq\" must be a whole number from 0");
}

/* As few bytes as a JSON string takes: they are what is counted, and copied for whoever joins.
 * @copy: (out): what holds them, if the client wrote them otherwise */
static ChoirSlice
shorten (const ChoirJsonValue *content, GString **copy)
{
  ChoirSlice raw = choir_json_string_contents (content->raw);
  g_autofree char *text = NULL;

  if (memchr (raw.data, '\\', raw.len) == NULL)
    return raw;

  text = choir_json_string_dup (content->raw, raw.len);
  *copy = g_string_sized_new (raw.len);
  choir_json_append_contents (*copy, text, -1);

  return choir_payload_as_slice (*copy);
}

static gboolean
read_chunk (const ChoirChatMessage *message, ChoirChunk *out, GString **copy, GError **error)
{
  out->role = message->role;
  out->message_id = message->message_id;
  if (message->message_id == NULL)
    return invalid (error, "Field \"message_id\" is missing");

  if (!read_seq (&message->seq, &out->seq, error) ||
      !read_flag (&message->complete, "complete", &out->complete, error) ||
      !read_flag (&message->aborted, "aborted", &out->aborted, error))
    return FALSE;

  out->content = CHOIR_SLICE_LITERAL ("");
  if (message->content.raw.len > 0)
    out->content = shorten (&message->content, copy);
  else if (!out->complete && !out->aborted)
    return invalid (error, "Field \"content\" is missing");

  return TRUE;
}

static gboolean
check_channel (ChoirSession *session, const char *channel, GError **error)
{
  if (!choir_session_may (session, channel, CHOIR_PERMISSION_WRITE))
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_PERMISSION_DENIED,
                           "You may not publish to this channel");
      return FALSE;
    }

  return choir_channel_kind_of (channel) != CHOIR_CHANNEL_DOCUMENT ||
         invalid (error, "A document is changed with document.change");
}

static void
refuse (ChoirSession *session, const ChoirEnvelope *message, const GError *error, guint64 expected)
{
  g_autofree char *details = NULL;

  /* what is missing, so that the client can send it again */
  if (expected != G_MAXUINT64)
    details = g_strdup_printf ("{\"expected\":%" G_GUINT64_FORMAT "}", expected);

  choir_session_send_error_details (session, message, error, details);
}

static void
take (ChoirSession *session, const ChoirEnvelope *message, const char *channel, GError **error)
{
  g_auto (ChoirChatMessage) read = { 0 };
  g_autoptr (ChoirPublisher) publisher = NULL;
  g_autoptr (GString) copy = NULL;
  ChoirChunk chunk = { .session = session, .channel = channel };
  GError *local = NULL;
  guint64 expected;

  if (!choir_chat_read_message (session, message->payload, &read, error) ||
      !read_chunk (&read, &chunk, &copy, error) || !check_channel (session, channel, error))
    return;

  if (chunk.complete || chunk.aborted)
    publisher = choir_handlers_keep_publisher (session, message, read.message_id);

  switch (choir_chat_take_chunk (choir_hub_get_chat (choir_session_get_hub (session)), &chunk,
                                 &expected, choir_handlers_answer_published, publisher, &local))
    {
    case CHOIR_CHUNK_ENDING:
      publisher = NULL;
      break;

    case CHOIR_CHUNK_REFUSED:
      refuse (session, message, local, expected);
      g_error_free (local);
      break;

    case CHOIR_CHUNK_TAKEN:
    default:
      break;
    }
}

/* chat.chunk {message_id, content, seq?, complete?, aborted?, role?} -> publish.ok for the one that
 * ends the message */
static void
handle_chunk (ChoirSession *session, const ChoirEnvelope *message)
{
  g_autofree char *channel = NULL;
  g_autoptr (GError) error = NULL;
  gint64 wait_us;

  if (!choir_chat_is_back_end (session))
    {
      wait_us = choir_session_take_rate (session, CHOIR_RATE_CHUNK);
      if (wait_us > 0)
        {
          choir_session_refuse_rate (session, message, wait_us);
          return;
        }
    }

  channel = choir_handlers_dup_channel (session, message, TRUE);
  if (channel == NULL)
    return;

  take (session, message, channel, &error);
  if (error != NULL)
    choir_session_send_error (session, message, error);
}

/* No rate: who it is decides */
static const ChoirRoute routes[] = {
  { "chat.chunk", handle_chunk, CHOIR_RATE_NONE, CHOIR_ROUTE_SANITIZE },
};

void
choir_handlers_register_chunk (ChoirRouter *router)
{
  choir_router_add (router, routes, G_N_ELEMENTS (routes));
}
