/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-channel-history.h"

#include "choir-channel-span.h"
#include "choir-clock.h"
#include "choir-error.h"
#include "choir-log.h"
#include "choir-payload.h"

#include <string.h>

/* A page that has to wait for the store */
typedef struct
{
  ChoirHub *hub;          /* weak */
  ChoirChannel *channel;  /* (nullable): held */
  ChoirChannelSpan *span; /* (owned) */
  char *name;             /* (owned) */
  char epoch[17];         /* that the channel had when reading began */
  guint64 met;            /* where in reverse memory ended then */
  ChoirHistoryQuery query;
  ChoirHistoryFunc done;
  gpointer user_data;
} Reading;

static void
reading_free (Reading *self)
{
  if (self->hub != NULL && self->channel != NULL)
    choir_hub_let_channel_go (self->hub, self->channel);
  g_clear_weak_pointer (&self->hub);
  choir_channel_span_free (self->span);
  g_free (self->name);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Reading, reading_free)

static void
fail (Reading *self, ChoirError code, const char *text)
{
  g_autoptr (GError) error = g_error_new_literal (CHOIR_ERROR, code, text);

  self->done (NULL, error, self->user_data);
}

/* The first message there is, at @offset or later; what follows the newest if there is none */
static guint64
find_from (const ChoirChannel *channel, const ChoirChannelSpan *span, guint64 offset)
{
  guint64 first = MAX (choir_channel_get_first (channel), offset);

  if (span != NULL && span->first != 0 && span->last >= offset)
    first = MIN (first, MAX (span->first, offset));

  return first;
}

/* The newest message before @offset; 0 if there is none */
static guint64
find_before (const ChoirChannel *channel, const ChoirChannelSpan *span, guint64 offset)
{
  guint64 newest = MIN (offset, channel->offset + 1) - 1;

  if (newest < choir_channel_get_first (channel) && span != NULL)
    newest = MIN (newest, span->last);

  return newest;
}

/* Where the page begins; whether there is something to begin with is seen when it is got */
static guint64
find_start (const ChoirHistoryQuery *query,
            const ChoirChannel *channel,
            const ChoirChannelSpan *span)
{
  if (query->reverse)
    return query->since > 0 ? find_before (channel, span, query->since) : 0;

  return query->since < channel->offset ? find_from (channel, span, query->since + 1)
                                        : channel->offset + 1;
}

static void
give_page (ChoirChannel *channel,
           const ChoirChannelSpan *span,
           const ChoirHistoryQuery *query,
           ChoirHistoryFunc done,
           gpointer user_data)
{
  g_autoptr (GArray) messages = g_array_new (FALSE, FALSE, sizeof (ChoirMessage));
  ChoirHistoryPage page = { .channel = channel };
  guint64 offset = find_start (query, channel, span);
  gsize n_bytes = 0;
  gboolean stopped = FALSE;
  ChoirMessage message;

  for (; choir_channel_span_get (span, channel, offset, &message);
       query->reverse ? offset-- : offset++)
    {
      stopped = messages->len >= query->limit || n_bytes > query->max_bytes;
      if (stopped)
        break;

      n_bytes += message.payload.len + CHOIR_SPAN_MESSAGE_ABOUT;
      g_array_append_val (messages, message);
    }

  page.messages = (gpointer) messages->data;
  page.n_messages = messages->len;
  /* forwards the log ends with its newest message, in reverse where the store has no more */
  page.complete = !stopped && (query->reverse ? span == NULL || span->exhausted
                                              : offset > channel->offset || messages->len == 0);
  done (&page, NULL, user_data);
}

/* Whether the channel's memory has all of the page. In reverse also what tells that it is complete
 */
static gboolean
is_covered (const ChoirChannel *channel, const ChoirHistoryQuery *query)
{
  guint64 first = choir_channel_get_first (channel);
  guint64 newest;

  if (first <= choir_channel_get_oldest (channel))
    return TRUE;

  if (!query->reverse)
    return query->since >= channel->offset || query->since + 1 >= first;

  newest = query->since > 0 ? find_before (channel, NULL, query->since) : 0;

  return newest == 0 || (newest >= first && newest - first >= query->limit);
}

/* Meanwhile memory may have moved on, or the log be another */
static void
check_span (Reading *self)
{
  const ChoirChannel *channel = self->channel;

  if (strcmp (self->epoch, channel->epoch) != 0)
    {
      choir_channel_span_free (self->span);
      self->span = choir_channel_span_new ();
    }

  if (self->query.reverse && self->query.since > self->met &&
      choir_channel_get_first (channel) > self->met)
    self->span->exhausted = FALSE;
}

static void
read_cb (const GError *error, gpointer user_data)
{
  g_autoptr (Reading) self = user_data;

  if (self->hub == NULL)
    fail (self, CHOIR_ERROR_UNAVAILABLE, "The service is stopping");
  else if (error != NULL)
    {
      choir_log (CHOIR_LOG_LEVEL_WARNING, error->message, NULL);
      fail (self, CHOIR_ERROR_UNAVAILABLE, "The history can't be read at the moment");
    }
  else
    {
      check_span (self);
      give_page (self->channel, self->span, &self->query, self->done, self->user_data);
    }
}

/* What the channel's memory lacks */
static ChoirSpanGoal
make_goal (const ChoirChannel *channel, const ChoirHistoryQuery *query)
{
  guint64 first = choir_channel_get_first (channel);
  guint64 end = MIN (query->since, channel->offset + 1);
  ChoirSpanGoal goal = {
    .from = query->since,
    .until = first - 1,
    .limit = MAX (query->limit, 1),
    .max_bytes = query->max_bytes,
    .reverse = query->reverse,
  };

  if (query->reverse)
    {
      goal.from = MIN (query->since, first);
      /* one more than is wanted tells whether the page is complete */
      goal.limit++;
      goal.limit -= (guint) MIN (goal.limit, end - MIN (end, first));
    }

  return goal;
}

/* @taken: (transfer full): its channel is held */
static void
read_store (Reading *taken)
{
  g_autoptr (Reading) self = taken;
  ChoirStore *store = choir_hub_get_store (self->hub);
  ChoirSpanGoal goal = make_goal (self->channel, &self->query);
  ChoirChannelSpan *span = self->span;
  ChoirChannel *channel = self->channel;

  self->met = goal.from;
  g_strlcpy (self->epoch, channel->epoch, sizeof self->epoch);
  if (store == NULL)
    fail (self, CHOIR_ERROR_UNAVAILABLE, "The history can't be read at the moment");
  else
    choir_channel_span_read (span, store, channel, &goal, read_cb, g_steal_pointer (&self));
}

static void
opened_cb (ChoirChannel *channel, const GError *error, gpointer user_data)
{
  g_autoptr (Reading) self = user_data;

  if (channel == NULL)
    self->done (NULL, error, self->user_data);
  else if (self->hub == NULL)
    fail (self, CHOIR_ERROR_UNAVAILABLE, "The service is stopping");
  else if (channel->offset == 0 && channel->n_subscribers == 0)
    fail (self, CHOIR_ERROR_UNKNOWN_CHANNEL,
          "Nobody is in this channel and nothing was said in it");
  else if (is_covered (channel, &self->query))
    give_page (channel, NULL, &self->query, self->done, self->user_data);
  else
    {
      choir_hub_hold_channel (self->hub, channel);
      self->channel = channel;
      read_store (g_steal_pointer (&self));
    }
}

/**
 * choir_channel_history_is_in_memory:
 * @hub: a hub
 * @query: what is wanted
 *
 * Returns: whether choir_channel_history_read() will call back before it returns
 */
gboolean
choir_channel_history_is_in_memory (ChoirHub *hub, const ChoirHistoryQuery *query)
{
  const ChoirChannel *channel;

  if (!choir_hub_is_durable (hub, query->channel))
    return TRUE;

  channel = choir_hub_find_channel (hub, query->channel);

  return channel != NULL && channel->offset > 0 && is_covered (channel, query);
}

/**
 * choir_channel_history_read:
 * @hub: a hub
 * @query: what is wanted; copied. Permission is the caller's to check
 * @done: called once: before this returns if the channel's memory has it all, else later. Should
 * the hub be gone by then, it is called with an error
 * @user_data: for @done
 *
 * Reads a page of a channel's log, from memory and, if it is kept there, from the store.
 */
void
choir_channel_history_read (ChoirHub *hub,
                            const ChoirHistoryQuery *query,
                            ChoirHistoryFunc done,
                            gpointer user_data)
{
  g_autoptr (Reading) self = g_new0 (Reading, 1);
  const char *name;

  g_set_weak_pointer (&self->hub, hub);
  self->span = choir_channel_span_new ();
  self->name = g_strdup (query->channel);
  self->query = *query;
  self->query.channel = name = self->name;
  self->done = done;
  self->user_data = user_data;

  if (choir_hub_is_durable (hub, name))
    choir_hub_open_channel (hub, name, opened_cb, g_steal_pointer (&self));
  else
    {
      ChoirChannel *channel = choir_hub_find_channel (hub, name);

      if (channel == NULL)
        {
          fail (self, CHOIR_ERROR_UNKNOWN_CHANNEL,
                "Nobody is in this channel and nothing was said in it");
          return;
        }

      choir_channel_trim (channel, choir_clock_wall_us ());
      give_page (channel, NULL, &self->query, done, user_data);
    }
}

void
choir_channel_append_state (GString *object, ChoirChannel *channel)
{
  choir_payload_add_string (object, "channel", channel->name);
  choir_payload_add_string (object, "epoch", channel->epoch);
  choir_payload_add_int (object, "offset", (gint64) channel->offset);
}
