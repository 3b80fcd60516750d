/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-handlers-document.h"

#include "choir-error.h"
#include "choir-names.h"
#include "choir-payload.h"
#include "choir-presence.h"
#include "choir-session.h"

#include <string.h>

#define PREFIX "document:"

/* The only document the session has open, if there is but one */
static const char *
find_only_open (ChoirSession *session)
{
  const char *found = NULL;

  for (guint i = 0; i < choir_session_get_n_subscriptions (session); i++)
    {
      const ChoirChannel *channel = choir_session_get_subscription (session, i)->channel;

      if (channel->kind != CHOIR_CHANNEL_DOCUMENT)
        continue;
      if (found != NULL)
        return NULL;
      found = channel->name;
    }

  return found;
}

/* What is meant where the message does not say */
static const char *
find_implied (ChoirSession *session)
{
  const char *channel = choir_session_get_default_channel (session);

  if (channel != NULL)
    return g_str_has_prefix (channel, PREFIX) ? channel : NULL;

  return find_only_open (session);
}

static ChoirNamed
name_by_id (const ChoirJsonValue *value, char **channel)
{
  g_autofree char *id = NULL;

  if (value->kind == CHOIR_JSON_STRING)
    id = choir_json_string_dup (value->raw, CHOIR_CHANNEL_NAME_MAX - strlen (PREFIX));
  if (id == NULL || *id == '\0' || !choir_name_is_channel (id, strlen (id)))
    return CHOIR_NAMED_INVALID;

  *channel = g_strconcat (PREFIX, id, NULL);

  return CHOIR_NAMED_DOCUMENT;
}

static ChoirNamed
name_by_channel (char *name, char **channel)
{
  g_autofree char *owned = name;

  if (owned == NULL || !g_str_has_prefix (owned, PREFIX))
    return CHOIR_NAMED_NONE;

  if (owned[strlen (PREFIX)] == '\0' || !choir_name_is_channel (owned, strlen (owned)))
    return CHOIR_NAMED_INVALID;

  *channel = g_steal_pointer (&owned);

  return CHOIR_NAMED_DOCUMENT;
}

/**
 * choir_handlers_name_document:
 * @session: who says
 * @message: what
 * @channel: (out) (transfer full) (nullable): the document's channel
 *
 * Which document a message is about: `document_id`, else `channel` in the payload or the envelope,
 * else the end point's, else the only one that is open.
 *
 * Returns: whether there is one
 */
ChoirNamed
choir_handlers_name_document (ChoirSession *session, const ChoirEnvelope *message, char **channel)
{
  static const ChoirSlice keys[] = {
    CHOIR_SLICE_LITERAL ("document_id"),
    CHOIR_SLICE_LITERAL ("channel"),
  };
  ChoirJsonValue values[G_N_ELEMENTS (keys)];
  const char *implied;

  *channel = NULL;
  choir_json_slice_get_many (message->payload, keys, G_N_ELEMENTS (keys), values);
  if (values[0].raw.len > 0 && values[0].kind != CHOIR_JSON_NULL)
    return name_by_id (&values[0], channel);

  if (values[1].raw.len > 0)
    return values[1].kind == CHOIR_JSON_STRING
             ? name_by_channel (choir_json_string_dup (values[1].raw, CHOIR_CHANNEL_NAME_MAX),
                                channel)
             : CHOIR_NAMED_NONE;

  if (message->channel.len > 0)
    return name_by_channel (choir_slice_dup (message->channel), channel);

  implied = find_implied (session);
  if (implied == NULL)
    return CHOIR_NAMED_NONE;

  *channel = g_strdup (implied);

  return CHOIR_NAMED_DOCUMENT;
}

/* (nullable) (transfer full): the channel of the document a message is about; refuses the message
 * if there is none */
char *
choir_handlers_dup_document (ChoirSession *session, const ChoirEnvelope *message)
{
  char *channel;

  switch (choir_handlers_name_document (session, message, &channel))
    {
    case CHOIR_NAMED_DOCUMENT:
      return channel;

    case CHOIR_NAMED_NONE:
      choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                            "Field \"document_id\" is missing");
      return NULL;

    case CHOIR_NAMED_INVALID:
    default:
      choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                            "Field \"document_id\" must be 1-%d printable ASCII characters "
                            "without spaces",
                            (int) (CHOIR_CHANNEL_NAME_MAX - strlen (PREFIX)));
      return NULL;
    }
}

/* Without a store there are none */
gboolean
choir_handlers_has_documents (ChoirSession *session, const ChoirEnvelope *message)
{
  if (choir_hub_get_documents (choir_session_get_hub (session)) != NULL)
    return TRUE;

  choir_session_refuse (session, message, CHOIR_ERROR_UNAVAILABLE,
                        "Nothing on this server handles documents at the moment");

  return FALSE;
}

/* (nullable) (transfer none): what the session is in the document a message is about; refuses the
 * message if it has it not open */
ChoirDocumentMember *
choir_handlers_find_member (ChoirSession *session, const ChoirEnvelope *message)
{
  g_autofree char *name = NULL;
  ChoirChannel *channel;
  ChoirDocumentMember *member = NULL;

  if (!choir_handlers_has_documents (session, message))
    return NULL;

  name = choir_handlers_dup_document (session, message);
  if (name == NULL)
    return NULL;

  channel = choir_hub_find_channel (choir_session_get_hub (session), name);
  if (channel != NULL)
    member = choir_document_member_find (session, channel);
  if (member == NULL)
    choir_session_refuse (session, message, CHOIR_ERROR_NOT_SUBSCRIBED,
                          "The document is not open here: send document.open first");

  return member;
}

/**
 * choir_handlers_read_version:
 * @object: a JSON object
 * @key: a member that may be there
 * @version: (inout): what it says, if it is there
 * @error: return location: %CHOIR_ERROR_VALIDATION
 *
 * Returns: %FALSE if it is there and no version
 */
gboolean
choir_handlers_read_version (ChoirSlice object, const char *key, guint64 *version, GError **error)
{
  ChoirJsonValue value;
  gint64 number;

  if (!choir_json_slice_get (object, key, &value) || value.kind == CHOIR_JSON_NULL)
    return TRUE;

  if (value.kind != CHOIR_JSON_NUMBER || !choir_json_number_get_int (value.raw, &number) ||
      number < 0)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                   "Field \"%s\" must be a whole number from 0", key);
      return FALSE;
    }

  *version = (guint64) number;

  return TRUE;
}

/* document.close {document_id} -> document.closed {document_id} */
static void
handle_close (ChoirSession *session, const ChoirEnvelope *message)
{
  g_autofree char *channel = NULL;
  g_autoptr (GString) payload = g_string_new (NULL);
  gboolean was_opening, was_open;

  if (!choir_handlers_has_documents (session, message))
    return;

  channel = choir_handlers_dup_document (session, message);
  if (channel == NULL)
    return;

  was_opening = choir_document_request_cancel (session, channel);
  was_open = choir_session_unsubscribe (session, channel);
  if (!was_opening && !was_open)
    {
      choir_session_refuse (session, message, CHOIR_ERROR_NOT_SUBSCRIBED,
                            "The document is not open here");
      return;
    }

  choir_payload_open (payload);
  choir_payload_add_string (payload, "document_id", channel + strlen (PREFIX));
  choir_payload_close (payload);
  choir_session_send (session, message, "document.closed", choir_payload_as_slice (payload));
}

/**
 * choir_handlers_document_lost:
 * @session: a session
 * @channel: of a document it had open, and has not any more
 * @reason: why
 *
 * Tells it.
 */
void
choir_handlers_document_lost (ChoirSession *session, const char *channel, const char *reason)
{
  g_autoptr (GString) payload = g_string_new (NULL);

  choir_payload_open (payload);
  choir_payload_add_string (payload, "document_id", channel + strlen (PREFIX));
  choir_payload_add_string (payload, "reason", reason);
  choir_payload_close (payload);
  choir_session_send (session, NULL, "document.closed", choir_payload_as_slice (payload));
}

static const ChoirRoute routes[] = {
  { "document.close", handle_close, CHOIR_RATE_DEFAULT, 0 },
};

void
choir_handlers_register_document (ChoirRouter *router)
{
  choir_router_add (router, routes, G_N_ELEMENTS (routes));
  choir_handlers_register_open (router);
  choir_handlers_register_change (router);
  choir_handlers_register_cursor (router);
  choir_handlers_register_past (router);
}
