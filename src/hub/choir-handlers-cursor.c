/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-handlers-document.h"

#include "choir-error.h"
#include "choir-names.h"
#include "choir-payload.h"
#include "choir-sanitizer.h"
#include "choir-session.h"

#include <string.h>

/* Cursors and selections: in a document they are kept, moved and shown by its room; anywhere else
 * they are told on as they are */

static gboolean
is_subscribed (ChoirSession *session, const char *channel)
{
  for (guint i = 0; i < choir_session_get_n_subscriptions (session); i++)
    if (g_str_equal (choir_session_get_subscription (session, i)->channel->name, channel))
      return TRUE;

  return FALSE;
}

/* Whether the session is in the channel and may be heard there; refuses the message if not */
gboolean
choir_handlers_may_relay (ChoirSession *session, const ChoirEnvelope *message, const char *channel)
{
  if (!is_subscribed (session, channel))
    {
      choir_session_refuse (session, message, CHOIR_ERROR_NOT_SUBSCRIBED,
                            "Subscribe to the channel first");
      return FALSE;
    }

  /* who may only listen to an announcement can't shout into it */
  return choir_handlers_may_publish (session, message, channel);
}

/* Told to the others in the channel, never kept, never answered */
static void
relay (ChoirSession *session, const ChoirEnvelope *message)
{
  g_autofree char *channel = choir_handlers_dup_channel (session, message, TRUE);
  g_autoptr (GString) payload = NULL;
  g_autoptr (GError) error = NULL;
  ChoirPublished published;
  ChoirPublication publication = {
    .channel = channel,
    .type = message->type,
    .user_id = choir_session_get_user_id (session),
    .session_id = choir_session_get_id (session),
    .except = session,
    .transient = TRUE,
  };

  if (channel == NULL || !choir_handlers_may_relay (session, message, channel))
    return;

  payload = choir_handlers_with_sender (session, message->payload);
  publication.payload = choir_payload_as_slice (payload);
  if (!choir_hub_publish (choir_session_get_hub (session), &publication, &published, &error))
    choir_session_send_error (session, message, error);
}

/* What a route does for others: here only the place is known */
static void
relay_checked (ChoirSession *session, const ChoirEnvelope *message)
{
  const ChoirSanitizerRules *rules =
    &choir_hub_get_settings (choir_session_get_hub (session))->sanitizer;
  gint64 wait_us = choir_session_take_rate (session, CHOIR_RATE_CURSOR);
  g_autofree char *clean = NULL;
  ChoirEnvelope sane = *message;

  if (wait_us > 0)
    {
      choir_session_refuse_rate (session, message, wait_us);
      return;
    }

  if (choir_sanitizer_needed (rules, message->payload_flags))
    {
      clean = choir_sanitizer_run (rules, message->payload, &sane.payload.len);
      sane.payload.data = clean;
    }

  relay (session, &sane);
}

static gboolean
read_position (ChoirSlice payload, const char *key, gint64 *position, GError **error)
{
  ChoirJsonValue value;

  if (!choir_json_slice_get (payload, key, &value))
    return TRUE;

  if (value.kind == CHOIR_JSON_NUMBER && choir_json_number_get_int (value.raw, position) &&
      *position >= 0)
    return TRUE;

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
               "Field \"%s\" must be a whole number from 0", key);

  return FALSE;
}

/* {anchor, head}, or one of them, or {position}: without a selection they are the same */
static gboolean
read_place (ChoirSlice payload, gint64 *anchor, gint64 *head, GError **error)
{
  gint64 position = -1;

  *anchor = *head = -1;
  if (!read_position (payload, "position", &position, error) ||
      !read_position (payload, "anchor", anchor, error) ||
      !read_position (payload, "head", head, error))
    return FALSE;

  if (*head < 0)
    *head = *anchor >= 0 ? *anchor : position;
  if (*anchor < 0)
    *anchor = *head;
  if (*head >= 0)
    return TRUE;

  g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                       "Fields \"anchor\" and \"head\" are missing");

  return FALSE;
}

static gboolean
place (ChoirDocumentMember *member, const ChoirEnvelope *message, GError **error)
{
  ChoirDocument *document = choir_handlers_get_document (member);
  guint64 present = choir_document_get_version (document);
  guint64 version = present;
  gint64 anchor, head;

  if (!read_place (message->payload, &anchor, &head, error) ||
      !choir_handlers_read_version (message->payload, "version", &version, error))
    return FALSE;

  if (version > present)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                   "Version %" G_GUINT64_FORMAT " is still to come", version);
      return FALSE;
    }

  choir_document_member_place (member, document, (gsize) anchor, (gsize) head, version);

  return TRUE;
}

/* Whether a message is about a document, rather than another channel; refuses it if it is about
 * what can't be one */
static gboolean
is_elsewhere (ChoirSession *session, const ChoirEnvelope *message)
{
  g_autofree char *channel = NULL;

  return choir_handlers_name_document (session, message, &channel) == CHOIR_NAMED_NONE;
}

/* cursor.position, selection.change {document_id, anchor, head, version?}: no answer */
static void
handle_place (ChoirSession *session, const ChoirEnvelope *message)
{
  ChoirDocumentMember *member;
  g_autoptr (GError) error = NULL;
  ChoirDocumentRoom *room;

  if (is_elsewhere (session, message))
    {
      relay_checked (session, message);
      return;
    }

  member = choir_handlers_find_member (session, message);
  if (member == NULL)
    return;

  if (!place (member, message, &error))
    {
      choir_session_send_error (session, message, error);
      return;
    }

  room = member->subscription.channel->room;
  choir_document_room_touch (room, member);
  choir_document_room_tell (
    room, member, *message->type == 'c' ? CHOIR_MEMBER_CURSOR_NEWS : CHOIR_MEMBER_SELECTION_NEWS);
}

/* No rate: in a document too many are not refused but coalesced, and the last one counts */
static const ChoirRoute routes[] = {
  { "cursor.position", handle_place, CHOIR_RATE_NONE, 0 },
  { "selection.change", handle_place, CHOIR_RATE_NONE, 0 },
};

void
choir_handlers_register_cursor (ChoirRouter *router)
{
  choir_router_add (router, routes, G_N_ELEMENTS (routes));
}
