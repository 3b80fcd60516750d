/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-handlers-document.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-names.h"
#include "choir-payload.h"
#include "choir-presence.h"
#include "choir-session.h"

#include <string.h>

/* An answer must fit the asker's queue beside what is already there; @used: how much of it there
 * is */
gsize
choir_handlers_get_budget (ChoirSession *session, gsize used)
{
  gsize budget = choir_hub_get_settings (choir_session_get_hub (session))->outbox.max_bytes / 4;

  return budget - MIN (budget, used);
}

void
choir_handlers_begin_item (GString *list)
{
  if (list->len > 1)
    g_string_append_c (list, ',');
}

void
choir_handlers_append_post (GString *out, ChoirSession *session, ChoirChannel *channel, guint i)
{
  ChoirMessage message;

  choir_post_to_message (choir_channel_get_post (channel, i), channel, &message);
  choir_handlers_begin_item (out);
  choir_envelope_append (choir_session_get_dialect (session), &message, out);
}

/* @value: the payload's `channel`, with an empty `raw` if it has none */
static char *
dup_named_channel (ChoirSession *session,
                   const ChoirEnvelope *message,
                   const ChoirJsonValue *value,
                   gboolean use_default)
{
  g_autofree char *name = NULL;

  if (value->raw.len > 0)
    {
      if (value->kind == CHOIR_JSON_STRING)
        name = choir_json_string_dup (value->raw, CHOIR_CHANNEL_NAME_MAX);
    }
  else if (message->channel.len > 0)
    name = choir_slice_dup (message->channel);
  else if (use_default && choir_session_get_default_channel (session) != NULL)
    name = g_strdup (choir_session_get_default_channel (session));
  else
    {
      choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                            "Field \"channel\" is missing");
      return NULL;
    }

  if (name == NULL || !choir_name_is_channel (name, strlen (name)))
    {
      choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                            "Field \"channel\" must be 1-255 printable ASCII characters without "
                            "spaces");
      return NULL;
    }

  return g_steal_pointer (&name);
}

char *
choir_handlers_dup_channel (ChoirSession *session,
                            const ChoirEnvelope *message,
                            gboolean use_default)
{
  ChoirJsonValue value = { 0 };

  choir_json_slice_get (message->payload, "channel", &value);

  return dup_named_channel (session, message, &value, use_default);
}

static gboolean
is_back_end (ChoirSession *session)
{
  const ChoirSettings *settings = choir_hub_get_settings (choir_session_get_hub (session));
  ChoirClaims *claims = choir_session_get_claims (session);

  return choir_claims_has_role (claims, settings->service_role) ||
         choir_claims_has_role (claims, "admin");
}

/* Whether the type may be published under; refuses the message if not */
static gboolean
check_publish_type (ChoirSession *session,
                    const ChoirEnvelope *message,
                    const ChoirJsonValue *value,
                    char type[CHOIR_TYPE_NAME_MAX + 1])
{
  ChoirSlice contents = choir_json_string_contents (value->raw);

  if (value->kind != CHOIR_JSON_STRING || contents.len == 0 || contents.len > CHOIR_TYPE_NAME_MAX ||
      !choir_name_is_identifier (contents.data, contents.len))
    {
      choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                            "Field \"type\" of the payload must be a name of 1-%d bytes",
                            CHOIR_TYPE_NAME_MAX);
      return FALSE;
    }

  memcpy (type, contents.data, contents.len);
  type[contents.len] = '\0';

  if (choir_router_is_reserved (type) && !is_back_end (session))
    {
      choir_session_refuse (session, message, CHOIR_ERROR_PERMISSION_DENIED,
                            "Messages of this type come from the service only");
      return FALSE;
    }

  return TRUE;
}

static void
send_published (ChoirSession *session,
                const ChoirEnvelope *message,
                const ChoirPublished *published)
{
  g_autoptr (GString) payload = g_string_sized_new (128);

  choir_payload_open (payload);
  choir_payload_add_string (payload, "channel", published->channel->name);
  choir_payload_add_string (payload, "epoch", published->channel->epoch);
  choir_payload_add_int (payload, "offset", published->offset);
  choir_payload_close (payload);

  choir_session_send (session, message, "publish.ok", choir_payload_as_slice (payload));
}

/*
 * Checks the permission, publishes and answers; shared by publish and chat.message.
 */
void
choir_handlers_publish (ChoirSession *session,
                        const ChoirEnvelope *message,
                        const char *channel,
                        const char *type,
                        ChoirSlice payload)
{
  g_autoptr (GError) error = NULL;
  ChoirPublished published;
  ChoirPublication publication = {
    .channel = channel,
    .type = type,
    .payload = payload,
    .user_id = choir_session_get_user_id (session),
    .session_id = choir_session_get_id (session),
  };

  if (!choir_session_may (session, channel, CHOIR_PERMISSION_WRITE))
    choir_session_refuse (session, message, CHOIR_ERROR_PERMISSION_DENIED,
                          "You may not publish to this channel");
  else if (!choir_hub_publish (choir_session_get_hub (session), &publication, &published, &error))
    choir_session_send_error (session, message, error);
  else
    send_published (session, message, &published);
}

/* publish {channel, type, payload} */
static void
handle_publish (ChoirSession *session, const ChoirEnvelope *message)
{
  static const ChoirSlice keys[] = {
    CHOIR_SLICE_LITERAL ("channel"),
    CHOIR_SLICE_LITERAL ("type"),
    CHOIR_SLICE_LITERAL ("payload"),
    CHOIR_SLICE_LITERAL ("data"),
  };
  ChoirJsonValue values[G_N_ELEMENTS (keys)];
  g_autofree char *channel = NULL;
  g_autoptr (GString) stamped = NULL;
  char type[CHOIR_TYPE_NAME_MAX + 1];
  ChoirJsonValue payload;

  choir_json_slice_get_many (message->payload, keys, G_N_ELEMENTS (keys), values);
  channel = dup_named_channel (session, message, &values[0], TRUE);
  if (channel == NULL || !check_publish_type (session, message, &values[1], type))
    return;

  payload = values[2].raw.len > 0 ? values[2] : values[3];
  if (payload.raw.len == 0)
    payload = (ChoirJsonValue){ CHOIR_SLICE_LITERAL ("{}"), CHOIR_JSON_OBJECT, 0 };

  if (payload.kind != CHOIR_JSON_OBJECT)
    {
      choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                            "Field \"payload\" of the payload must be an object");
      return;
    }

  if (g_str_has_prefix (type, "chat.") || g_str_has_prefix (type, "cursor.") ||
      g_str_has_prefix (type, "selection."))
    {
      stamped = choir_handlers_with_sender (session, payload.raw);
      payload.raw = choir_payload_as_slice (stamped);
    }

  choir_handlers_publish (session, message, channel, type, payload.raw);
}

/* (nullable): the channel if the session may read it; refuses the message otherwise */
static ChoirChannel *
find_readable (ChoirSession *session, const ChoirEnvelope *message, const char *name)
{
  ChoirChannel *channel;

  if (!choir_session_may (session, name, CHOIR_PERMISSION_READ))
    {
      choir_session_refuse (session, message, CHOIR_ERROR_PERMISSION_DENIED,
                            "You may not read this channel");
      return NULL;
    }

  channel = choir_hub_find_channel (choir_session_get_hub (session), name);
  if (channel == NULL)
    choir_session_refuse (session, message, CHOIR_ERROR_UNKNOWN_CHANNEL,
                          "Nobody is in this channel and nothing was said in it");

  return channel;
}

/* (nullable) (transfer full): a channel, or a document, which has an id where a channel has a name
 */
static char *
dup_presence_channel (ChoirSession *session, const ChoirEnvelope *message)
{
  char *document;

  if (choir_handlers_name_document (session, message, &document) == CHOIR_NAMED_DOCUMENT)
    return document;

  return choir_handlers_dup_channel (session, message, TRUE);
}

/* presence {channel} -> presence.state {channel, count, members} */
static void
handle_presence (ChoirSession *session, const ChoirEnvelope *message)
{
  g_autofree char *name = dup_presence_channel (session, message);
  g_autoptr (GString) payload = g_string_sized_new (512);
  ChoirChannel *channel;

  if (name == NULL)
    return;

  channel = find_readable (session, message, name);
  if (channel == NULL)
    return;

  if (!channel->ns->presence)
    {
      choir_session_refuse (session, message, CHOIR_ERROR_PERMISSION_DENIED,
                            "This channel does not show who is in it");
      return;
    }

  choir_payload_open (payload);
  if (channel->room != NULL)
    {
      choir_payload_add_string (payload, "channel", name);
      choir_payload_add_string (payload, "document_id", name + strlen ("document:"));
      choir_document_room_append_members (channel->room, payload);
    }
  else
    choir_presence_append_members (choir_session_get_hub (session), channel, payload);
  choir_payload_close (payload);

  choir_session_send (session, message, "presence.state", choir_payload_as_slice (payload));
}

static const ChoirRoute routes[] = {
  { "publish", handle_publish, CHOIR_RATE_DEFAULT, CHOIR_ROUTE_SANITIZE },
  { "presence", handle_presence, CHOIR_RATE_DEFAULT, 0 },
};

void
choir_handlers_register_channel (ChoirRouter *router)
{
  choir_router_add (router, routes, G_N_ELEMENTS (routes));
}
