/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-session-private.h"

#include "choir-chat.h"
#include "choir-document-room.h"
#include "choir-error.h"
#include "choir-presence.h"
#include "choir-subscribe-request.h"

#include <string.h>

/* The last one gives the document back */
static void
leave_document (ChoirChannel *channel, ChoirSubscription *subscription)
{
  choir_document_room_left (channel->room, (ChoirDocumentMember *) subscription);
  if (channel->n_subscribers == 0)
    g_clear_pointer (&channel->room, choir_document_room_free);
}

static void
remove_subscription (ChoirSession *self, guint i)
{
  ChoirSubscription *subscription = self->subscriptions[i];
  ChoirChannel *channel = subscription->channel;

  self->subscriptions[i] = self->subscriptions[--self->n_subscriptions];
  choir_channel_remove (channel, subscription);
  *choir_hub_get_stats (self->hub)->subscriptions -= 1;
  if (channel->room != NULL)
    leave_document (channel, subscription);
  else
    {
      choir_chat_session_left (choir_hub_get_chat (self->hub), self, channel->name);
      choir_presence_left (self->hub, channel, self);
    }
  g_free (subscription);
  choir_hub_release_channel (self->hub, channel);
}

/* The session ends */
void
choir_session_unsubscribe_all (ChoirSession *self)
{
  choir_subscribe_request_cancel_all (self);
  while (self->n_subscriptions > 0)
    remove_subscription (self, self->n_subscriptions - 1);
}

static gint
find_subscription (ChoirSession *self, const char *channel)
{
  for (guint i = 0; i < self->n_subscriptions; i++)
    if (g_str_equal (self->subscriptions[i]->channel->name, channel))
      return i;

  return -1;
}

/* What is sent to a user or to a session reaches nobody else, whoever may read its history */
static gboolean
is_of_another (ChoirSession *self, const char *channel)
{
  const char *owner = choir_session_get_user_id (self);

  switch (choir_channel_kind_of (channel))
    {
    case CHOIR_CHANNEL_USER:
      return g_strcmp0 (channel + strlen ("user:"), owner) != 0;

    case CHOIR_CHANNEL_SESSION:
      return strcmp (channel + strlen ("session:"), self->id) != 0;

    case CHOIR_CHANNEL_NORMAL:
    case CHOIR_CHANNEL_ALL:
    case CHOIR_CHANNEL_DOCUMENT:
    default:
      return FALSE;
    }
}

static ChoirSubscription *
add_subscription (ChoirSession *self, ChoirChannel *channel)
{
  gboolean is_document = channel->kind == CHOIR_CHANNEL_DOCUMENT;
  ChoirSubscription *subscription =
    g_malloc0 (is_document ? sizeof (ChoirDocumentMember) : sizeof (ChoirSubscription));

  if (self->n_subscriptions == self->subscriptions_capacity)
    {
      self->subscriptions_capacity = MAX (1, self->subscriptions_capacity * 2);
      self->subscriptions =
        g_renew (ChoirSubscription *, self->subscriptions, self->subscriptions_capacity);
    }

  subscription->session = self;
  subscription->outbox = self->outbox;
  self->subscriptions[self->n_subscriptions++] = subscription;
  choir_channel_add (channel, subscription);
  *choir_hub_get_stats (self->hub)->subscriptions += 1;

  return subscription;
}

/* The first one holds the document for all */
static gboolean
ensure_room (ChoirSession *self, ChoirChannel *channel, GError **error)
{
  ChoirDocumentTable *table = choir_hub_get_documents (self->hub);
  const char *id = channel->name + strlen ("document:");
  ChoirDocument *document;

  if (channel->room != NULL)
    return TRUE;

  document = table != NULL ? choir_document_table_try_open (table, id) : NULL;
  if (document == NULL)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                           "A document is opened with document.open");
      return FALSE;
    }

  channel->room = choir_document_room_new (self->hub, channel, document);

  return TRUE;
}

static gboolean
enter (ChoirSession *self, ChoirChannel *channel, GError **error)
{
  guint max = choir_hub_get_settings (self->hub)->max_subscriptions;

  if (self->n_subscriptions >= max)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_OVERRUN, "At most %u subscriptions", max);
      return FALSE;
    }

  if (channel->kind != CHOIR_CHANNEL_DOCUMENT)
    {
      add_subscription (self, channel);
      choir_presence_joined (self->hub, channel, self);
      return TRUE;
    }

  if (!ensure_room (self, channel, error))
    return FALSE;

  choir_document_room_entered (channel->room,
                               (ChoirDocumentMember *) add_subscription (self, channel));

  return TRUE;
}

static gboolean
join (ChoirSession *self, const char *channel, ChoirChannel **out, GError **error)
{
  *out = choir_hub_ensure_channel (self->hub, channel, error);
  if (*out == NULL)
    return FALSE;

  if (((*out)->kind != CHOIR_CHANNEL_NORMAL && (*out)->kind != CHOIR_CHANNEL_DOCUMENT) ||
      find_subscription (self, channel) >= 0)
    return TRUE;

  if (enter (self, *out, error))
    return TRUE;

  choir_hub_release_channel (self->hub, *out);

  return FALSE;
}

/**
 * choir_session_may_subscribe:
 * @self: a session
 * @channel: a valid channel name
 * @error: return location: %CHOIR_ERROR_PERMISSION_DENIED
 *
 * Returns: whether it may hear the channel
 */
gboolean
choir_session_may_subscribe (ChoirSession *self, const char *channel, GError **error)
{
  if (choir_session_may (self, channel, CHOIR_PERMISSION_READ) && !is_of_another (self, channel))
    return TRUE;

  g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_PERMISSION_DENIED,
                       "You may not subscribe to this channel");

  return FALSE;
}

/**
 * choir_session_subscribe:
 * @self: a session
 * @channel: a valid channel name
 * @out: (out) (transfer none): the channel
 * @error: return location: %CHOIR_ERROR_PERMISSION_DENIED, %CHOIR_ERROR_OVERRUN at
 * `[session] max-subscriptions`, %CHOIR_ERROR_UNAVAILABLE, %CHOIR_ERROR_VALIDATION
 *
 * Subscribing twice is subscribing once. A document has to be in memory: choir-handlers-open.c sees
 * to that; so does choir-subscribe-request.c for a channel whose log is in the store. `all`, the
 * user's own and the session's own channel are heard without.
 *
 * Returns: whether the session is subscribed now
 */
gboolean
choir_session_subscribe (ChoirSession *self,
                         const char *channel,
                         ChoirChannel **out,
                         GError **error)
{
  return choir_session_may_subscribe (self, channel, error) && join (self, channel, out, error);
}

/**
 * choir_session_subscribe_granted:
 * @self: a session
 * @channel: a valid name of a channel that is subscribed to
 * @out: (out) (transfer none): the channel
 * @error: return location: %CHOIR_ERROR_OVERRUN, %CHOIR_ERROR_UNAVAILABLE
 *
 * choir_session_subscribe() on behalf of an administrator: the token need not allow it, now or
 * later.
 *
 * Returns: whether the session is subscribed now
 */
gboolean
choir_session_subscribe_granted (ChoirSession *self,
                                 const char *channel,
                                 ChoirChannel **out,
                                 GError **error)
{
  gint i;

  if (!join (self, channel, out, error))
    return FALSE;

  i = find_subscription (self, channel);
  if (i >= 0)
    self->subscriptions[i]->granted = TRUE;

  return TRUE;
}

/**
 * choir_session_unsubscribe:
 * @self: a session
 * @channel: a channel name
 *
 * Returns: whether it was subscribed
 */
gboolean
choir_session_unsubscribe (ChoirSession *self, const char *channel)
{
  gint i = find_subscription (self, channel);

  if (i < 0)
    return FALSE;

  remove_subscription (self, i);

  return TRUE;
}

guint
choir_session_get_n_subscriptions (ChoirSession *self)
{
  return self->n_subscriptions;
}

const ChoirSubscription *
choir_session_get_subscription (ChoirSession *self, guint i)
{
  return self->subscriptions[i];
}
