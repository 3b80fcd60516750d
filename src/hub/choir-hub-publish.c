/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-hub-private.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-session.h"

#include <string.h>

static guint
send_to_sessions (ChoirHub *self,
                  ChoirSession *const *sessions,
                  guint n,
                  const ChoirMessage *message,
                  const ChoirSession *except)
{
  ChoirFanout fanout;

  choir_fanout_begin (&fanout, self->broadcaster, message);

  for (guint i = 0; i < n; i++)
    if (sessions[i] != except && choir_session_get_claims (sessions[i]) != NULL)
      choir_fanout_push (&fanout, choir_session_get_outbox (sessions[i]));

  choir_fanout_end (&fanout);

  return fanout.n_recipients;
}

static guint
deliver (ChoirHub *self,
         const char *name,
         const ChoirChannel *channel,
         const ChoirMessage *message,
         const ChoirSession *except)
{
  ChoirSession *session;
  ChoirUser *user;

  switch (channel != NULL ? channel->kind : choir_channel_kind_of (name))
    {
    case CHOIR_CHANNEL_ALL:
      return send_to_sessions (self, (ChoirSession *const *) self->sessions->pdata,
                               self->sessions->len, message, except);

    case CHOIR_CHANNEL_USER:
      user = choir_hub_find_user (self, name + strlen ("user:"));
      return user != NULL
               ? send_to_sessions (self, user->sessions, user->n_sessions, message, except)
               : 0;

    case CHOIR_CHANNEL_SESSION:
      session = g_hash_table_lookup (self->by_session, name + strlen ("session:"));
      return session != NULL ? send_to_sessions (self, &session, 1, message, except) : 0;

    case CHOIR_CHANNEL_NORMAL:
    case CHOIR_CHANNEL_DOCUMENT:
    default:
      return channel != NULL
               ? choir_broadcaster_send_to_channel (self->broadcaster, channel, message, except)
               : 0;
    }
}

static void
count_publish (ChoirHub *self, const ChoirMessage *message, guint n_recipients)
{
  ChoirTypeStats *stats = choir_stats_for_type (self->stats, message->type);

  *self->stats->publishes += 1;
  *self->stats->deliveries += n_recipients;
  *stats->sent += n_recipients;
  choir_histogram_record (self->stats->fanout, n_recipients);
}

/* (nullable): the channel to whose log something is to be added */
static ChoirChannel *
find_for_log (ChoirHub *self, const char *name, GError **error)
{
  ChoirChannel *channel = choir_hub_ensure_channel (self, name, error);

  if (channel == NULL || channel->kind != CHOIR_CHANNEL_DOCUMENT)
    return channel;

  g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                       "A document is changed with document.change");
  choir_hub_release_channel (self, channel);

  return NULL;
}

/**
 * choir_hub_publish:
 * @self: a hub
 * @publication: what and where; permission is the caller's to check
 * @out: filled with what became of it
 * @error: return location: %CHOIR_ERROR_UNAVAILABLE, %CHOIR_ERROR_VALIDATION for a document, whose
 * log is its own
 *
 * The one way by which anything reaches a channel. A transient message (typing, cursors) takes no
 * offset and is not kept.
 *
 * Returns: %FALSE if it could not be published; nobody got it then
 */
gboolean
choir_hub_publish (ChoirHub *self,
                   const ChoirPublication *publication,
                   ChoirPublished *out,
                   GError **error)
{
  char id[CHOIR_ID_SIZE];
  ChoirMessage message = {
    .type = publication->type,
    .payload = publication->payload,
    .id = id,
    .wall_us = choir_clock_wall_us (),
    .channel = publication->channel,
    .user_id = publication->user_id,
    .session_id = publication->session_id,
  };
  ChoirMessage live;

  *out = (ChoirPublished){ 0 };

  if (publication->transient)
    out->channel = choir_hub_find_channel (self, publication->channel);
  else
    {
      out->channel = find_for_log (self, publication->channel, error);
      if (out->channel == NULL)
        return FALSE;
    }

  choir_id_generate (id);

  if (!publication->transient)
    {
      message.offset = out->channel->offset + 1;
      out->offset = choir_channel_append (out->channel, &message, choir_clock_monotonic_us ());
    }

  if (publication->live_type != NULL)
    {
      live = message;
      live.type = publication->live_type;
      live.payload = publication->live_payload;
      message.live = &live;
    }

  out->n_recipients =
    deliver (self, publication->channel, out->channel, &message, publication->except);
  count_publish (self, &message, out->n_recipients);

  return TRUE;
}

/**
 * choir_hub_is_durable:
 * @self: a hub
 * @channel: a valid channel name
 *
 * Returns: whether what is published there is kept in the store, so that only
 * choir_hub_publish_async() can publish it
 */
gboolean
choir_hub_is_durable (ChoirHub *self, const char *channel)
{
  return FALSE;
}

/**
 * choir_hub_publish_async:
 * @self: a hub
 * @publication: what and where; permission is the caller's to check. Copied if need be
 * @done: called once: before this returns, or when the store has it or has failed
 * @user_data: for @done
 *
 * choir_hub_publish() for any channel.
 */
void
choir_hub_publish_async (ChoirHub *self,
                         const ChoirPublication *publication,
                         ChoirPublishedFunc done,
                         gpointer user_data)
{
  g_autoptr (GError) error = NULL;
  ChoirPublished published;

  if (choir_hub_publish (self, publication, &published, &error))
    done (&published, NULL, user_data);
  else
    done (NULL, error, user_data);
}

/**
 * choir_hub_open_channel:
 * @self: a hub
 * @name: a valid channel name, not of a document
 * @opened: called once: before this returns if the channel is in memory, else later
 * @user_data: for @opened
 *
 * Brings a channel into memory, from the store if its log is kept there.
 */
void
choir_hub_open_channel (ChoirHub *self,
                        const char *name,
                        ChoirChannelFunc opened,
                        gpointer user_data)
{
  g_autoptr (GError) error = NULL;
  ChoirChannel *channel = choir_hub_ensure_channel (self, name, &error);

  opened (channel, error, user_data);
  if (channel != NULL)
    choir_hub_release_channel (self, channel);
}
