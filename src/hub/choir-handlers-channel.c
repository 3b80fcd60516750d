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

char *
choir_handlers_dup_named_channel (ChoirSession *session,
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

  return choir_handlers_dup_named_channel (session, message, &value, use_default);
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
  { "presence", handle_presence, CHOIR_RATE_DEFAULT, 0 },
};

void
choir_handlers_register_channel (ChoirRouter *router)
{
  choir_router_add (router, routes, G_N_ELEMENTS (routes));
}
