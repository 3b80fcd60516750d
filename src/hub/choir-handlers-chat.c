/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-handlers.h"

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
      if (choir_slice_equals (member.key, "user_id") ||
          choir_slice_equals (member.key, "session_id") ||
          choir_slice_equals (member.key, "idempotency_key"))
        continue;

      g_string_append (out, ",\"");
      g_string_append_len (out, member.key.data, member.key.len);
      g_string_append (out, "\":");
      g_string_append_len (out, member.value.raw.data, member.value.raw.len);
    }

  choir_payload_close (out);

  return out;
}

/* chat.message {content, ...} in the end point's channel or the one it names */
static void
handle_message (ChoirSession *session, const ChoirEnvelope *message)
{
  static const ChoirSlice keys[] = {
    CHOIR_SLICE_LITERAL ("channel"),
    CHOIR_SLICE_LITERAL ("content"),
    CHOIR_SLICE_LITERAL ("idempotency_key"),
  };
  ChoirJsonValue values[G_N_ELEMENTS (keys)];
  g_autofree char *channel = NULL;
  g_autofree char *key = NULL;
  g_autoptr (GString) payload = NULL;
  ChoirPublication publication;

  choir_json_slice_get_many (message->payload, keys, G_N_ELEMENTS (keys), values);
  channel = choir_handlers_dup_named_channel (session, message, &values[0], TRUE);
  if (channel == NULL)
    return;

  if (values[1].raw.len == 0 || values[1].kind != CHOIR_JSON_STRING)
    {
      choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                            "Field \"content\" must be a string");
      return;
    }

  if (!choir_handlers_read_key (session, message, &values[2], &key))
    return;

  payload = choir_handlers_with_sender (session, message->payload);
  publication = (ChoirPublication){
    .channel = channel,
    .type = "chat.message",
    .payload = choir_payload_as_slice (payload),
    .key = key,
  };
  choir_handlers_publish (session, message, &publication, NULL);
}

static const ChoirRoute routes[] = {
  { "chat.message", handle_message, CHOIR_RATE_DEFAULT, CHOIR_ROUTE_SANITIZE },
  { "chat.typing", choir_handlers_relay, CHOIR_RATE_DEFAULT, CHOIR_ROUTE_SANITIZE },
};

void
choir_handlers_register_chat (ChoirRouter *router)
{
  choir_router_add (router, routes, G_N_ELEMENTS (routes));
}
