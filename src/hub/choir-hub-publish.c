/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-hub-private.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-session.h"

#include <string.h>

/* For channels in memory (protocol.md, "Sending again"); about 100 bytes each */
#define KEYS_MAX 65536
#define KEYS_AGE_US (5 * 60 * G_USEC_PER_SEC)

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
  if (choir_hub_is_observed (self))
    choir_hub_report_published (self, message, NULL, n_recipients);
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
 * choir_hub_deliver:
 * @self: a hub
 * @channel: one in memory
 * @message: what comes next in it; its offset is filled in
 * @except: (nullable): not sent to this one
 *
 * Adds to what the channel has in memory and sends to whoever hears it.
 *
 * Returns: how many that are
 */
guint
choir_hub_deliver (ChoirHub *self,
                   ChoirChannel *channel,
                   ChoirMessage *message,
                   const ChoirSession *except)
{
  guint n_recipients;

  message->offset = channel->offset + 1;
  choir_channel_append (channel, message, choir_clock_monotonic_us ());
  n_recipients = deliver (self, channel->name, channel, message, except);
  count_publish (self, message, n_recipients);

  return n_recipients;
}

static void
publish_at_once (ChoirHub *self,
                 const ChoirPublication *publication,
                 ChoirChannel *channel,
                 ChoirPublished *out)
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

  *out = (ChoirPublished){ .channel = channel };
  choir_id_generate (id);

  if (!publication->transient)
    {
      message.offset = channel->offset + 1;
      out->offset = choir_channel_append (channel, &message, choir_clock_monotonic_us ());
    }

  if (publication->live_type != NULL)
    {
      live = message;
      live.type = publication->live_type;
      live.payload = publication->live_payload;
      message.live = &live;
    }

  out->n_recipients = deliver (self, publication->channel, channel, &message, publication->except);
  count_publish (self, &message, out->n_recipients);
}

/* publish_at_once() for what may have come before; @channel is kept in memory only */
static void
publish_once (ChoirHub *self,
              const ChoirPublication *publication,
              ChoirChannel *channel,
              ChoirPublished *out)
{
  gint64 now_us = choir_clock_monotonic_us ();
  guint64 offset;

  if (self->keys == NULL)
    self->keys = choir_idempotency_new (KEYS_MAX, KEYS_AGE_US);

  offset = choir_idempotency_find (self->keys, channel, publication->key, now_us);
  if (offset != 0)
    {
      *out = (ChoirPublished){ .channel = channel, .offset = offset, .duplicate = TRUE };
      return;
    }

  publish_at_once (self, publication, channel, out);
  choir_idempotency_add (self->keys, channel, publication->key, out->offset, now_us);
}

static void
publish_in_memory (ChoirHub *self,
                   const ChoirPublication *publication,
                   ChoirChannel *channel,
                   ChoirPublished *out)
{
  if (publication->key != NULL && !publication->transient)
    publish_once (self, publication, channel, out);
  else
    publish_at_once (self, publication, channel, out);
}

/**
 * choir_hub_publish:
 * @self: a hub
 * @publication: what and where; permission is the caller's to check
 * @out: filled with what became of it
 * @error: return location: %CHOIR_ERROR_UNAVAILABLE, %CHOIR_ERROR_VALIDATION for a document, whose
 * log is its own, %CHOIR_ERROR_INTERNAL for a channel that choir_hub_is_durable()
 *
 * The way into channels in memory. A transient message (typing, cursors) takes no offset, is not
 * kept, and may go to any channel.
 *
 * Returns: %FALSE if it could not be published; nobody got it then
 */
gboolean
choir_hub_publish (ChoirHub *self,
                   const ChoirPublication *publication,
                   ChoirPublished *out,
                   GError **error)
{
  ChoirChannel *channel;

  *out = (ChoirPublished){ 0 };

  if (publication->transient)
    channel = choir_hub_find_channel (self, publication->channel);
  else
    {
      channel = find_for_log (self, publication->channel, error);
      if (channel == NULL)
        return FALSE;

      if (channel->log != NULL)
        {
          g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_INTERNAL,
                               "What is said in this channel has to be stored first");
          choir_hub_release_channel (self, channel);
          return FALSE;
        }
    }

  publish_in_memory (self, publication, channel, out);

  return TRUE;
}

/**
 * choir_hub_send_to_channel:
 * @self: a hub
 * @channel: one in memory
 * @message: something the service itself says there: it takes no offset and is not kept
 * @except: (nullable): not sent to this one
 *
 * Returns: how many subscribers that are
 */
guint
choir_hub_send_to_channel (ChoirHub *self,
                           const ChoirChannel *channel,
                           const ChoirMessage *message,
                           const ChoirSession *except)
{
  guint n = choir_broadcaster_send_to_channel (self->broadcaster, channel, message, except);

  *self->stats->deliveries += n;
  if (choir_hub_is_observed (self))
    choir_hub_report_published (self, message, NULL, n);

  return n;
}

gboolean
choir_hub_keeps_log (ChoirHub *self, const char *name, const ChoirNamespace *ns)
{
  return ns->persist && ns->history_size > 0 && self->logs != NULL &&
         choir_channel_kind_of (name) != CHOIR_CHANNEL_DOCUMENT;
}

/**
 * choir_hub_is_durable:
 * @self: a hub
 * @channel: a valid channel name
 *
 * Returns: whether what is published there is kept in the store, so that only
 * choir_hub_publish_async() can publish it. One in memory stays what it is when the configuration
 * is read again
 */
gboolean
choir_hub_is_durable (ChoirHub *self, const char *channel)
{
  const ChoirChannel *open = choir_hub_find_channel (self, channel);

  if (open != NULL)
    return open->log != NULL;

  return choir_hub_keeps_log (self, channel, choir_hub_get_namespace (self, channel));
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
  ChoirChannel *channel;
  ChoirPublished published;

  if (publication->transient)
    channel = choir_hub_find_channel (self, publication->channel);
  else
    {
      channel = find_for_log (self, publication->channel, &error);
      if (channel == NULL)
        {
          done (NULL, error, user_data);
          return;
        }

      if (channel->log != NULL)
        {
          if (publication->keep != NULL)
            user_data = publication->keep (user_data);
          choir_channel_log_submit (channel->log, publication, done, user_data);
          return;
        }
    }

  publish_in_memory (self, publication, channel, &published);
  done (&published, NULL, user_data);
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

  if (channel != NULL && channel->log != NULL && !choir_channel_log_is_ready (channel->log))
    {
      choir_channel_log_open (channel->log, opened, user_data);
      return;
    }

  opened (channel, error, user_data);
  if (channel != NULL)
    choir_hub_release_channel (self, channel);
}
