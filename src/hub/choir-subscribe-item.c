/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-subscribe-request.h"

#include "choir-clock.h"
#include "choir-handlers.h"
#include "choir-payload.h"

/**
 * choir_subscribe_item_join:
 * @self: an item of a request that is being finished
 * @session: the request's
 *
 * Returns: (transfer none) (nullable): the channel, which is to be given back with
 * choir_hub_release_channel(); %NULL: @self says why not
 */
ChoirChannel *
choir_subscribe_item_join (ChoirSubscribeItem *self, ChoirSession *session)
{
  ChoirChannel *channel;
  gboolean joined;

  if (self->error != NULL)
    return NULL;

  if (self->flags & CHOIR_SUBSCRIBE_GRANTED)
    joined = choir_session_subscribe_granted (session, self->name, &channel, &self->error);
  else
    joined = choir_session_subscribe (session, self->name, &channel, &self->error);

  return joined ? channel : NULL;
}

/* One that is held has been looked at just now, and what was read fits what it has in memory */
static void
trim (const ChoirSubscribeItem *self, ChoirChannel *channel)
{
  if (self->channel == NULL)
    choir_channel_trim (channel, choir_clock_wall_us ());
}

static void
append_message (GString *list, ChoirSession *session, const ChoirMessage *message)
{
  choir_handlers_begin_item (list);
  choir_envelope_append (choir_session_get_dialect (session), message, list);
}

/* Everything after the position as an array; FALSE if some of it is not there or does not fit */
static gboolean
append_missed (const ChoirSubscribeItem *self,
               ChoirSession *session,
               ChoirChannel *channel,
               GString *out,
               gsize budget)
{
  g_autoptr (GString) list = g_string_new ("[");
  ChoirMessage message;

  /* even at offset 0: in another epoch something may have been said since, and been lost */
  if ((self->flags & CHOIR_SUBSCRIBE_LOST) || g_strcmp0 (channel->epoch, self->epoch) != 0 ||
      self->offset > channel->offset)
    return FALSE;

  for (guint64 offset = self->offset + 1; offset <= channel->offset; offset++)
    {
      if (!choir_channel_span_get (self->span, channel, offset, &message))
        return FALSE;

      append_message (list, session, &message);
      if (list->len > budget)
        return FALSE;
    }

  g_string_append_c (list, ']');
  choir_payload_add_raw (out, "messages", choir_payload_as_slice (list));

  return TRUE;
}

/* Where the newest messages begin, at most @limit and as many as fit; none: behind the newest */
static guint64
find_newest (const ChoirSubscribeItem *self, ChoirChannel *channel, guint limit, gsize budget)
{
  guint64 first = channel->offset + 1;
  gsize n_bytes = 0;
  ChoirMessage message;

  while (limit-- > 0 && choir_channel_span_get (self->span, channel, first - 1, &message))
    {
      n_bytes += message.payload.len + CHOIR_SPAN_MESSAGE_ABOUT;
      if (n_bytes > budget)
        break;
      first--;
    }

  return first;
}

/* The present state for whom recovery failed */
static void
append_newest (const ChoirSubscribeItem *self,
               ChoirSession *session,
               ChoirChannel *channel,
               GString *out,
               gsize budget)
{
  g_autoptr (GString) list = g_string_new ("[");
  guint64 offset = find_newest (self, channel, G_MAXUINT, budget);
  ChoirMessage message;

  for (; choir_channel_span_get (self->span, channel, offset, &message); offset++)
    append_message (list, session, &message);

  g_string_append_c (list, ']');
  choir_payload_add_raw (out, "messages", choir_payload_as_slice (list));
}

/**
 * choir_subscribe_item_append:
 * @self: an item of a request that is being finished
 * @session: the request's
 * @channel: what it has just joined
 * @out: an object under construction: gets `messages` and `recovered`
 * @budget: bytes that the messages may take
 *
 * Everything that was missed, or the newest of what there is (protocol.md, "Subscribing and coming
 * back").
 *
 * Returns: whether it is everything
 */
gboolean
choir_subscribe_item_append (const ChoirSubscribeItem *self,
                             ChoirSession *session,
                             ChoirChannel *channel,
                             GString *out,
                             gsize budget)
{
  ChoirStats *stats = choir_hub_get_stats (choir_session_get_hub (session));
  gboolean wanted = (self->flags & CHOIR_SUBSCRIBE_POSITION) != 0;
  gboolean recovered = FALSE;

  trim (self, channel);
  if (!wanted)
    choir_payload_add_raw (out, "messages", CHOIR_SLICE_LITERAL ("[]"));
  else
    {
      recovered = append_missed (self, session, channel, out, budget);
      if (!recovered)
        append_newest (self, session, channel, out, budget);
      *(recovered ? stats->recovered : stats->not_recovered) += 1;
    }

  choir_payload_add_boolean (out, "recovered", recovered);

  return recovered;
}

/**
 * choir_subscribe_item_replay:
 * @self: an item of a request that is being finished
 * @session: the request's
 * @channel: what it has just joined
 *
 * Sends the newest messages, oldest first, as if they were published now: where clients can't tell
 * what they have missed, they get what there was (contracts.md, "E"). What else belongs to the
 * channel's present state, and has no offset, follows here.
 */
void
choir_subscribe_item_replay (const ChoirSubscribeItem *self,
                             ChoirSession *session,
                             ChoirChannel *channel)
{
  ChoirHub *hub = choir_session_get_hub (session);
  ChoirOutbox *outbox = choir_session_get_outbox (session);
  gsize budget = choir_handlers_get_budget (session, 0);
  ChoirMessage message;
  guint64 offset;

  trim (self, channel);
  offset = find_newest (self, channel, channel->ns->replay, budget);
  for (; outbox != NULL && choir_channel_span_get (self->span, channel, offset, &message); offset++)
    if (choir_session_send_message (session, &message))
      *choir_stats_for_type (choir_hub_get_stats (hub), message.type)->sent += 1;

  choir_tasks_greet (hub, session, channel->name);
}
