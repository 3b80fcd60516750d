/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-channel.h"

#include "choir-channel-log.h"
#include "choir-clock.h"

#include <string.h>

#define RING_START 4
/* Names and allocator's share of a post, about */
#define POST_OVERHEAD 64

static const char *
pack (char **cursor, const char *text, gsize len)
{
  char *start = *cursor;

  if (text == NULL)
    return NULL;

  memcpy (start, text, len);
  start[len] = '\0';
  *cursor += len + 1;

  return start;
}

static gsize
packed_size (const char *text)
{
  return text != NULL ? strlen (text) + 1 : 0;
}

static ChoirPost *
post_new (const ChoirMessage *message)
{
  gsize type_size = packed_size (message->type);
  gsize user_size = packed_size (message->user_id);
  gsize session_size = packed_size (message->session_id);
  ChoirPost *self =
    g_malloc (sizeof *self + type_size + user_size + session_size + message->payload.len + 1);
  char *cursor = (char *) (self + 1);

  self->offset = message->offset;
  self->wall_us = message->wall_us;
  self->payload_len = message->payload.len;
  self->type = pack (&cursor, message->type, type_size - 1);
  self->user_id = pack (&cursor, message->user_id, user_size - 1);
  self->session_id = pack (&cursor, message->session_id, session_size - 1);
  self->payload = pack (&cursor, message->payload.data, message->payload.len);
  memcpy (self->id, message->id, sizeof self->id);

  return self;
}

/**
 * choir_post_to_message:
 * @self: a post
 * @channel: the channel it is in
 * @out: filled with pointers into both
 */
void
choir_post_to_message (const ChoirPost *self, const ChoirChannel *channel, ChoirMessage *out)
{
  *out = (ChoirMessage){
    .type = self->type,
    .payload = { self->payload, self->payload_len },
    .id = self->id,
    .wall_us = self->wall_us,
    .channel = channel->name,
    .offset = self->offset,
    .user_id = self->user_id,
    .session_id = self->session_id,
  };
}

/**
 * choir_channel_kind_of:
 * @name: a valid channel name
 *
 * Returns: who hears the channel of that name
 */
ChoirChannelKind
choir_channel_kind_of (const char *name)
{
  if (strcmp (name, "all") == 0)
    return CHOIR_CHANNEL_ALL;

  if (g_str_has_prefix (name, "user:"))
    return CHOIR_CHANNEL_USER;

  if (g_str_has_prefix (name, "session:"))
    return CHOIR_CHANNEL_SESSION;

  if (g_str_has_prefix (name, "document:"))
    return CHOIR_CHANNEL_DOCUMENT;

  return CHOIR_CHANNEL_NORMAL;
}

/**
 * choir_channel_new:
 * @name: a valid channel name
 * @ns: its rules, which must outlive it
 * @budget: what its log may take; likewise
 *
 * Returns: (transfer full): an empty channel of a new epoch
 */
ChoirChannel *
choir_channel_new (const char *name, ChoirNamespace *ns, ChoirHistoryBudget *budget)
{
  ChoirChannel *self = g_new0 (ChoirChannel, 1);

  self->name = g_strdup (name);
  self->ns = ns;
  self->budget = budget;
  self->kind = choir_channel_kind_of (name);
  self->touched_us = choir_clock_monotonic_us ();
  g_snprintf (self->epoch, sizeof self->epoch, "%08x%08x", choir_id_random (), choir_id_random ());
  ns->n_channels++;

  return self;
}

/**
 * choir_channel_get_post:
 * @self: a channel
 * @i: counted from the oldest kept
 *
 * Returns: (transfer none): the post
 */
const ChoirPost *
choir_channel_get_post (const ChoirChannel *self, guint i)
{
  return self->posts[(self->first_post + i) % self->posts_capacity];
}

/**
 * choir_channel_get_first:
 * @self: a channel
 *
 * Returns: the offset of the oldest post kept; that of the next one if none is
 */
guint64
choir_channel_get_first (const ChoirChannel *self)
{
  return self->n_posts > 0 ? choir_channel_get_post (self, 0)->offset : self->offset + 1;
}

static gsize
post_size (const ChoirPost *self)
{
  return sizeof *self + self->payload_len + POST_OVERHEAD;
}

static void
drop_oldest (ChoirChannel *self)
{
  ChoirPost *post = self->posts[self->first_post];

  self->n_bytes -= post_size (post);
  self->budget->n_bytes -= post_size (post);
  g_free (post);
  self->first_post = (self->first_post + 1) % self->posts_capacity;
  self->n_posts--;
}

static void
drop_all (ChoirChannel *self)
{
  while (self->n_posts > 0)
    drop_oldest (self);
}

void
choir_channel_free (ChoirChannel *self)
{
  g_assert (self->n_subscribers == 0 && self->room == NULL);

  g_clear_pointer (&self->log, choir_channel_log_free);
  drop_all (self);
  self->ns->n_channels--;
  g_free (self->posts);
  g_free (self->subscribers);
  g_free (self->name);
  g_free (self);
}

/**
 * choir_channel_add:
 * @self: a channel
 * @subscription: (transfer none): kept until choir_channel_remove()
 */
void
choir_channel_add (ChoirChannel *self, ChoirSubscription *subscription)
{
  if (self->n_subscribers == self->capacity)
    {
      self->capacity = MAX (2, self->capacity * 2);
      self->subscribers = g_renew (ChoirSubscription *, self->subscribers, self->capacity);
    }

  subscription->channel = self;
  subscription->index = self->n_subscribers;
  self->subscribers[self->n_subscribers++] = subscription;
}

/**
 * choir_channel_remove:
 * @self: a channel
 * @subscription: one of its subscriptions
 *
 * In constant time: the last one takes its place. Not to be called while the channel is walked.
 */
void
choir_channel_remove (ChoirChannel *self, ChoirSubscription *subscription)
{
  ChoirSubscription *last = self->subscribers[--self->n_subscribers];

  g_assert (self->subscribers[subscription->index] == subscription);

  self->subscribers[subscription->index] = last;
  last->index = subscription->index;

  if (self->capacity > 8 && self->n_subscribers < self->capacity / 4)
    {
      self->capacity /= 2;
      self->subscribers = g_renew (ChoirSubscription *, self->subscribers, self->capacity);
    }

  self->touched_us = choir_clock_monotonic_us ();
}

/**
 * choir_channel_restart:
 * @self: a channel
 * @epoch: its epoch from now on; may be what it is
 * @offset: its offset from now on
 *
 * Forgets the messages in memory.
 */
void
choir_channel_restart (ChoirChannel *self, const char *epoch, guint64 offset)
{
  drop_all (self);
  if (epoch != self->epoch)
    g_strlcpy (self->epoch, epoch, sizeof self->epoch);
  self->offset = offset;
}

/**
 * choir_channel_halve:
 * @self: a channel
 *
 * Drops the older half of its log, by bytes.
 */
void
choir_channel_halve (ChoirChannel *self)
{
  gsize target = self->n_bytes / 2;

  while (self->n_posts > 0 && self->n_bytes > target)
    drop_oldest (self);
}

/**
 * choir_channel_trim:
 * @self: a channel
 * @wall_us: now
 *
 * Drops what the namespace's size and age no longer keep.
 *
 * Returns: how many posts are left
 */
guint
choir_channel_trim (ChoirChannel *self, gint64 wall_us)
{
  gint64 oldest_us = wall_us - self->ns->history_age_us;
  guint32 n_before = self->n_posts;

  while (self->n_posts > 0 && (self->n_posts > self->ns->history_size ||
                               choir_channel_get_post (self, 0)->wall_us < oldest_us))
    drop_oldest (self);

  if (self->log != NULL && self->n_posts < n_before)
    choir_channel_log_forget (self->log, choir_channel_get_first (self));

  if (self->n_posts == 0 && self->posts != NULL)
    {
      g_clear_pointer (&self->posts, g_free);
      self->posts_capacity = self->first_post = 0;
    }

  return self->n_posts;
}

static void
grow_ring (ChoirChannel *self)
{
  guint capacity = MAX (RING_START, self->posts_capacity * 2);
  ChoirPost **posts = g_new (ChoirPost *, capacity);

  for (guint i = 0; i < self->n_posts; i++)
    posts[i] = (ChoirPost *) choir_channel_get_post (self, i);

  g_free (self->posts);
  self->posts = posts;
  self->posts_capacity = capacity;
  self->first_post = 0;
}

/* Makes room in the ring and in the budget; FALSE if this post is too much even so */
static gboolean
make_room (ChoirChannel *self, gsize size)
{
  ChoirHistoryBudget *budget = self->budget;

  if (self->n_posts == self->ns->history_size)
    drop_oldest (self);

  if (budget->n_bytes + size > budget->max_bytes && budget->reclaim != NULL)
    budget->reclaim (budget->user_data);

  while (self->n_posts > 0 && budget->n_bytes + size > budget->max_bytes)
    drop_oldest (self);

  return budget->n_bytes + size <= budget->max_bytes;
}

/**
 * choir_channel_append:
 * @self: a channel
 * @message: what was published; its offset is that of the channel + 1
 * @now_us: monotonic
 *
 * Adds to the log, if the namespace keeps one and the budget has room, and counts the offset on. A
 * log has no gaps: one that can't take a message begins anew behind it.
 *
 * Returns: the message's offset
 */
guint64
choir_channel_append (ChoirChannel *self, const ChoirMessage *message, gint64 now_us)
{
  ChoirPost *post;

  self->offset = message->offset;
  self->touched_us = now_us;

  if (self->ns->history_size == 0)
    return self->offset;

  if (self->n_posts >= self->ns->history_size)
    choir_channel_trim (self, message->wall_us);

  if (!make_room (self, sizeof (ChoirPost) + message->payload.len + POST_OVERHEAD))
    {
      drop_all (self);
      return self->offset;
    }

  if (self->n_posts == self->posts_capacity)
    grow_ring (self);

  post = post_new (message);
  self->n_bytes += post_size (post);
  self->budget->n_bytes += post_size (post);
  self->posts[(self->first_post + self->n_posts++) % self->posts_capacity] = post;

  return self->offset;
}

/**
 * choir_channel_is_disposable:
 * @self: a channel
 *
 * Returns: whether nobody would notice if it were made anew when next needed: nobody who needs it,
 * no log, and no offset that a client could come back with
 */
gboolean
choir_channel_is_disposable (const ChoirChannel *self)
{
  return self->n_subscribers == 0 && self->n_holds == 0 && self->n_posts == 0 &&
         self->offset == 0 && (self->log == NULL || !choir_channel_log_is_busy (self->log));
}
