/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-channel-span.h"

#include "choir-channel-log.h"
#include "choir-clock.h"

#include <string.h>

/* Entries of one read: what is read beyond the budget of an answer was read in vain */
#define PAGE_SIZE 128

ChoirChannelSpan *
choir_channel_span_new (void)
{
  ChoirChannelSpan *self = g_new0 (ChoirChannelSpan, 1);

  self->parts = g_ptr_array_new_with_free_func ((GDestroyNotify) choir_stream_part_free);

  return self;
}

void
choir_channel_span_free (ChoirChannelSpan *self)
{
  g_ptr_array_unref (self->parts);
  g_free (self);
}

/* (nullable): entries of a part have neighbouring offsets, rising or falling */
static const ChoirStoreEntry *
find_entry (const ChoirChannelSpan *self, guint64 offset)
{
  for (guint i = 0; i < self->parts->len; i++)
    {
      const ChoirStreamPart *part = g_ptr_array_index (self->parts, i);
      guint64 a = part->entries[0].offset;
      guint64 z = part->entries[part->n_entries - 1].offset;

      if (offset >= MIN (a, z) && offset <= MAX (a, z))
        return &part->entries[a <= z ? offset - a : a - offset];
    }

  return NULL;
}

/**
 * choir_channel_span_get:
 * @self: (nullable): what has been read of the log
 * @channel: whose log it is
 * @offset: of a message
 * @out: filled with pointers into @self or @channel
 *
 * Returns: %FALSE if neither memory nor @self has it
 */
gboolean
choir_channel_span_get (const ChoirChannelSpan *self,
                        const ChoirChannel *channel,
                        guint64 offset,
                        ChoirMessage *out)
{
  guint64 first = choir_channel_get_first (channel);
  const ChoirStoreEntry *entry;

  if (offset > channel->offset)
    return FALSE;

  if (offset >= first)
    {
      choir_post_to_message (choir_channel_get_post (channel, (guint) (offset - first)), channel,
                             out);
      return TRUE;
    }

  entry = self != NULL ? find_entry (self, offset) : NULL;
  if (entry == NULL || entry->type == NULL)
    return FALSE;

  *out = (ChoirMessage){
    .type = entry->type,
    .payload = { entry->data, entry->len },
    .id = entry->id,
    .wall_us = entry->wall_us,
    .channel = channel->name,
    .offset = entry->offset,
    .user_id = entry->user_id,
    .session_id = entry->session_id,
  };

  return TRUE;
}

/**
 * choir_channel_get_oldest:
 * @channel: a channel
 *
 * Returns: the offset of the oldest message it keeps, as far as is known. What is older does not
 * count, though the store may still have it
 */
guint64
choir_channel_get_oldest (const ChoirChannel *channel)
{
  return channel->log != NULL ? choir_channel_log_get_first (channel->log) : 1;
}

/* Reading, page after page */
typedef struct
{
  ChoirChannelSpan *span; /* borrowed: until @done */
  ChoirStore *store;      /* (owned) */
  char *channel;          /* (owned) */
  char epoch[sizeof (((ChoirChannel *) NULL)->epoch)];
  ChoirSpanGoal goal;
  guint64 oldest;   /* offset: what is older is not kept */
  gint64 oldest_us; /* wall: likewise */
  guint n_read;
  ChoirSpanFunc done;
  gpointer user_data;
} Reading;

static void
reading_free (Reading *self)
{
  g_object_unref (self->store);
  g_free (self->channel);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Reading, reading_free)

/* Whether the part goes on where the span ends. A log that begins later than was asked for is still
 * a log: whoever needs what is missing looks at where the span begins */
static gboolean
continues (const ChoirChannelSpan *span, const ChoirStreamPart *part, gboolean reverse)
{
  if (span->first == 0)
    return TRUE;

  return part->entries[0].offset == (reverse ? span->first - 1 : span->last + 1);
}

static gboolean
reaches_oldest (const Reading *self, const ChoirStreamPart *part)
{
  return part->n_entries > 0 && part->entries[part->n_entries - 1].offset <= self->oldest;
}

/* What the store has not forgotten yet, but should: at the beginning of a part, or at its end */
static void
drop_old (Reading *self, ChoirStreamPart *part)
{
  guint n = part->n_entries;
  guint n_old = 0;

  for (guint i = 0; i < n; i++)
    n_old +=
      part->entries[i].offset < self->oldest || part->entries[i].wall_us < self->oldest_us ? 1 : 0;

  part->n_entries -= n_old;
  if (self->goal.reverse)
    part->complete = part->complete || n_old > 0 || reaches_oldest (self, part);
  else
    memmove (part->entries, part->entries + n_old, part->n_entries * sizeof *part->entries);
}

/* @taken: (transfer full) */
static void
add_part (Reading *self, ChoirStreamPart *taken)
{
  g_autoptr (ChoirStreamPart) part = taken;
  ChoirChannelSpan *span = self->span;
  guint64 a, z;

  if (!part->exists || strcmp (part->epoch, self->epoch) != 0)
    {
      span->broken = TRUE;
      return;
    }

  if (part->n_entries > 0)
    self->goal.from = part->entries[part->n_entries - 1].offset;
  drop_old (self, part);
  span->exhausted = part->complete;
  if (part->n_entries == 0)
    return;

  if (!continues (span, part, self->goal.reverse))
    {
      span->broken = TRUE;
      return;
    }

  a = part->entries[0].offset;
  z = part->entries[part->n_entries - 1].offset;
  span->first = span->first == 0 ? MIN (a, z) : MIN (span->first, MIN (a, z));
  span->last = MAX (span->last, MAX (a, z));
  self->n_read += part->n_entries;
  for (guint i = 0; i < part->n_entries; i++)
    span->n_bytes += part->entries[i].len + CHOIR_SPAN_MESSAGE_MIN;
  g_ptr_array_add (span->parts, g_steal_pointer (&part));
}

static gboolean
is_enough (const Reading *self)
{
  const ChoirChannelSpan *span = self->span;

  return span->broken || span->exhausted || self->n_read >= self->goal.limit ||
         span->n_bytes > self->goal.max_bytes ||
         (!self->goal.reverse && span->last >= self->goal.until);
}

static void read_page (Reading *taken);

static void
read_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (Reading) self = user_data;
  g_autoptr (GError) error = NULL;
  ChoirStreamPart *part = choir_store_read_finish (CHOIR_STORE (source), result, &error);

  if (part != NULL)
    add_part (self, part);

  if (part != NULL && !is_enough (self))
    {
      read_page (g_steal_pointer (&self));
      return;
    }

  self->done (error, self->user_data);
}

/* @taken: (transfer full) */
static void
read_page (Reading *taken)
{
  g_autoptr (Reading) self = taken;
  guint64 from = self->goal.from;
  guint limit = MIN (self->goal.limit - self->n_read, PAGE_SIZE);
  gboolean reverse = self->goal.reverse;
  ChoirStore *store = self->store;
  const char *channel = self->channel;

  choir_store_read_async (store, channel, from, limit, reverse, NULL, read_cb,
                          g_steal_pointer (&self));
}

/**
 * choir_channel_span_read:
 * @self: what has been read so far; must stay until @done
 * @store: where from
 * @channel: whose log
 * @goal: what is wanted; if @self has something already, what goes on from there
 * @done: called once, always later, with what could be had in @self
 * @user_data: for @done
 *
 * Reads in pages, until there is enough. An error has internal words.
 */
void
choir_channel_span_read (ChoirChannelSpan *self,
                         ChoirStore *store,
                         const ChoirChannel *channel,
                         const ChoirSpanGoal *goal,
                         ChoirSpanFunc done,
                         gpointer user_data)
{
  Reading *reading = g_new0 (Reading, 1);

  reading->span = self;
  reading->store = g_object_ref (store);
  reading->channel = g_strdup (channel->name);
  g_strlcpy (reading->epoch, channel->epoch, sizeof reading->epoch);
  reading->goal = *goal;
  reading->goal.limit = MAX (goal->limit, 1);
  reading->oldest = choir_channel_get_oldest (channel);
  reading->oldest_us = choir_clock_wall_us () - channel->ns->history_age_us;
  if (!goal->reverse)
    reading->goal.from = MAX (goal->from, reading->oldest - 1);
  reading->done = done;
  reading->user_data = user_data;
  read_page (reading);
}
