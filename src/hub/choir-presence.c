/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-presence.h"

#include "choir-claims.h"
#include "choir-clock.h"
#include "choir-payload.h"
#include "choir-session.h"

/* Members named in one answer, if they fit the asker's queue; their number is given in full */
#define MEMBERS_MAX 500

/* The same user has the same colour everywhere: a hue from the name (FNV-1a, 32 bits) */
static void
append_color (GString *payload, const char *user_id)
{
  static const char *const colors[] = {
    "#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#800000",
    "#808000", "#000075", "#e6007e", "#00a5cf", "#5b8c00", "#b8860b", "#6a5acd", "#c71585",
  };
  guint32 hash = 2166136261u;

  for (const char *p = user_id; *p != '\0'; p++)
    hash = (hash ^ (guint8) *p) * 16777619u;

  choir_payload_add_string (payload, "color", colors[hash % G_N_ELEMENTS (colors)]);
}

/**
 * choir_presence_append_who:
 * @payload: an object under construction
 * @session: somebody
 * @name_key: what the name is called
 *
 * Appends who it is: `user_id`, `session_id`, the name and `color`.
 */
void
choir_presence_append_who (GString *payload, ChoirSession *session, const char *name_key)
{
  ChoirClaims *claims = choir_session_get_claims (session);
  const char *user_id = choir_session_get_user_id (session);

  choir_payload_add_string (payload, "user_id", user_id);
  choir_payload_add_string (payload, "session_id", choir_session_get_id (session));
  choir_payload_add_string (payload, name_key,
                            claims != NULL ? choir_claims_get_name (claims) : NULL);
  if (user_id != NULL)
    append_color (payload, user_id);
}

static void
append_member (GString *payload, ChoirSession *session)
{
  gint64 age_us = choir_clock_monotonic_us () - choir_session_get_opened_us (session);

  choir_presence_append_who (payload, session, "name");
  choir_payload_add_time (payload, "since", choir_clock_wall_us () - age_us);
}

static void
announce (ChoirHub *hub, ChoirChannel *channel, ChoirSession *session, const char *type)
{
  g_autoptr (GString) payload = NULL;
  ChoirMessage message = { .type = type, .channel = channel->name };

  if (!channel->ns->presence || channel->n_subscribers > channel->ns->presence_limit)
    return;

  payload = g_string_sized_new (256);
  choir_payload_open (payload);
  choir_payload_add_string (payload, "channel", channel->name);
  append_member (payload, session);
  choir_payload_add_int (payload, "count", channel->n_subscribers);
  choir_payload_close (payload);

  message.payload = choir_payload_as_slice (payload);
  message.wall_us = choir_clock_wall_us ();
  message.user_id = choir_session_get_user_id (session);
  message.session_id = choir_session_get_id (session);
  choir_hub_send_to_channel (hub, channel, &message, session);
}

/**
 * choir_presence_joined:
 * @hub: the hub
 * @channel: a channel
 * @session: who has just subscribed
 *
 * Tells the others.
 */
void
choir_presence_joined (ChoirHub *hub, ChoirChannel *channel, ChoirSession *session)
{
  announce (hub, channel, session, "presence.joined");
}

/**
 * choir_presence_left:
 * @hub: the hub
 * @channel: a channel
 * @session: who is no longer subscribed
 *
 * Tells those who still are.
 */
void
choir_presence_left (ChoirHub *hub, ChoirChannel *channel, ChoirSession *session)
{
  announce (hub, channel, session, "presence.left");
}

/**
 * choir_presence_append_members:
 * @hub: the hub
 * @channel: a channel
 * @payload: an object under construction: gets `channel`, `count` and `members`
 */
void
choir_presence_append_members (ChoirHub *hub, ChoirChannel *channel, GString *payload)
{
  gsize budget = choir_hub_get_settings (hub)->outbox.max_bytes / 4;
  guint n = MIN (channel->n_subscribers, MEMBERS_MAX);

  choir_payload_add_string (payload, "channel", channel->name);
  choir_payload_add_int (payload, "count", channel->n_subscribers);
  choir_payload_add_key (payload, "members");
  g_string_append_c (payload, '[');

  for (guint i = 0; i < n && payload->len < budget; i++)
    {
      if (i > 0)
        g_string_append_c (payload, ',');
      choir_payload_open (payload);
      append_member (payload, channel->subscribers[i]->session);
      choir_payload_close (payload);
    }

  g_string_append_c (payload, ']');
}
