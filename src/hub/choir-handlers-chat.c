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

GString *
choir_handlers_with_sender (ChoirSession *session, ChoirSlice payload)
{
  GString *out = g_string_sized_new (payload.len + 128);
  ChoirJsonMember member;
  gsize cursor = 0;

  choir_payload_open (out);
  choir_payload_add_string (out, "user_id", choir_session_get_user_id (session));
  choir_payload_add_string (out, "session_id", choir_session_get_id (session));

  while (choir_json_slice_next_member (payload, &cursor, &member))
    {
      /* however it is written: who shows it resolves escapes in names, too */
      if (choir_json_key_equals (member.key, CHOIR_SLICE_LITERAL ("user_id")) ||
          choir_json_key_equals (member.key, CHOIR_SLICE_LITERAL ("session_id")) ||
          choir_json_key_equals (member.key, CHOIR_SLICE_LITERAL ("idempotency_key")))
        continue;

      g_string_append (out, ",\"");
      g_string_append_len (out, member.key.data, member.key.len);
      g_string_append (out, "\":");
      g_string_append_len (out, member.value.raw.data, member.value.raw.len);
    }

  choir_payload_close (out);

  return out;
}

/* (transfer full): for a message whose sender gave none. Sent again with the same key it is the
 * same message, and has the same id */
static char *
make_id (const char *channel, const char *key)
{
  g_autofree char *text = NULL, *hash = NULL;
  char *id = g_malloc (CHOIR_ID_SIZE);

  if (key == NULL)
    {
      choir_id_generate (id);
      return id;
    }

  /* RFC 9562 version 8: one's own hash */
  text = g_strconcat (channel, "\n", key, NULL);
  hash = g_compute_checksum_for_string (G_CHECKSUM_SHA256, text, -1);
  g_snprintf (id, CHOIR_ID_SIZE, "%.8s-%.4s-8%.3s-8%.3s-%.12s", hash, hash + 8, hash + 12,
              hash + 15, hash + 18);

  return id;
}

/* What a chat message says, checked: its payload as the others get it. @publication: its channel
 * and key. @message_id: (out) (transfer full): made up if the sender has none. (transfer full)
 * (nullable): %NULL: it was refused */
GString *
choir_handlers_make_chat (ChoirSession *session,
                          const ChoirEnvelope *message,
                          ChoirSlice payload,
                          const ChoirPublication *publication,
                          char **message_id)
{
  g_auto (ChoirChatMessage) read = { 0 };
  g_autoptr (GError) error = NULL;
  GString *out;

  *message_id = NULL;
  if (!choir_chat_read_message (session, payload, &read, &error))
    {
      choir_session_send_error (session, message, error);
      return NULL;
    }

  if (read.content.raw.len == 0)
    {
      choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                            "Field \"content\" must be a string");
      return NULL;
    }

  if (read.message_id == NULL)
    read.message_id = make_id (publication->channel, publication->key);

  out = choir_chat_stamp_message (session, payload, &read);
  *message_id = g_steal_pointer (&read.message_id);

  return out;
}

/* chat.message {content, role?, message_id?, attachments?, idempotency_key?} in the end point's
 * channel or the one it names */
static void
handle_message (ChoirSession *session, const ChoirEnvelope *message)
{
  g_autofree char *channel = choir_handlers_dup_channel (session, message, TRUE);
  g_autofree char *message_id = NULL;
  g_autofree char *key = NULL;
  g_autoptr (GString) payload = NULL;
  ChoirPublication publication;
  ChoirJsonValue value = { 0 };

  if (channel == NULL || !choir_handlers_may_publish (session, message, channel))
    return;

  choir_json_slice_get (message->payload, "idempotency_key", &value);
  if (!choir_handlers_read_key (session, message, &value, &key))
    return;

  publication = (ChoirPublication){ .channel = channel, .type = "chat.message", .key = key };
  payload =
    choir_handlers_make_chat (session, message, message->payload, &publication, &message_id);
  if (payload == NULL)
    return;

  publication.payload = choir_payload_as_slice (payload);
  choir_handlers_publish (session, message, &publication, message_id);
}

/* chat.typing {is_typing?} */
static void
handle_typing (ChoirSession *session, const ChoirEnvelope *message)
{
  g_autofree char *channel = choir_handlers_dup_channel (session, message, TRUE);
  g_auto (ChoirChatMessage) read = { 0 };
  g_autoptr (GString) payload = NULL;
  g_autoptr (GError) error = NULL;

  if (channel == NULL || !choir_handlers_may_relay (session, message, channel))
    return;

  if (!choir_chat_read_message (session, message->payload, &read, &error))
    {
      choir_session_send_error (session, message, error);
      return;
    }

  if (read.is_typing.raw.len > 0 && read.is_typing.kind != CHOIR_JSON_TRUE &&
      read.is_typing.kind != CHOIR_JSON_FALSE)
    {
      choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                            "Field \"is_typing\" must be true or false");
      return;
    }

  payload = choir_handlers_with_sender (session, message->payload);
  choir_chat_type (choir_hub_get_chat (choir_session_get_hub (session)), session, channel,
                   choir_payload_as_slice (payload),
                   read.is_typing.raw.len == 0 || read.is_typing.kind == CHOIR_JSON_TRUE);
}

static const ChoirRoute routes[] = {
  { "chat.message", handle_message, CHOIR_RATE_DEFAULT, CHOIR_ROUTE_SANITIZE },
  { "chat.typing", handle_typing, CHOIR_RATE_DEFAULT, CHOIR_ROUTE_SANITIZE },
};

void
choir_handlers_register_chat (ChoirRouter *router)
{
  choir_router_add (router, routes, G_N_ELEMENTS (routes));
}
