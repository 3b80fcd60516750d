/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-channel-log-private.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-hub-private.h"
#include "choir-log.h"
#include "choir-names.h"

#include <string.h>

/* Read into memory when a channel is opened: messages, their bytes, and how many at a time */
#define LOAD_MAX 256
#define LOAD_BYTES_MAX (1024 * 1024)
#define LOAD_PART 64

/* Read at a time of what another has written */
#define FETCH_MAX 256

/* Who may wait for one channel to be loaded */
#define WAITERS_MAX 4096

typedef struct
{
  ChoirChannelFunc opened;
  gpointer user_data;
} Waiter;

/**
 * choir_channel_log_new:
 * @keeper: what it shares with others; must outlive it
 * @channel: whose log it is, which must outlive it likewise; in the hub already
 *
 * Begins to read the newest messages.
 *
 * Returns: (transfer full): the log
 */
ChoirChannelLog *
choir_channel_log_new (ChoirLogKeeper *keeper, ChoirChannel *channel)
{
  ChoirChannelLog *self = g_new0 (ChoirChannelLog, 1);

  self->ref_count = 1;
  self->keeper = keeper;
  self->store = g_object_ref (keeper->store);
  self->channel = channel;
  self->first = self->stored = 1;
  g_queue_init (&self->queue);
  choir_channel_log_load (self);

  return self;
}

ChoirChannelLog *
choir_channel_log_ref (ChoirChannelLog *self)
{
  self->ref_count++;

  return self;
}

void
choir_channel_log_unref (ChoirChannelLog *self)
{
  if (--self->ref_count > 0)
    return;

  g_object_unref (self->store);
  g_free (self);
}

static void
call_waiters (ChoirChannelLog *self, const GError *error)
{
  g_autoptr (GArray) waiters = g_steal_pointer (&self->waiters);

  for (guint i = 0; waiters != NULL && i < waiters->len; i++)
    {
      const Waiter *waiter = &g_array_index (waiters, Waiter, i);

      waiter->opened (error == NULL ? self->channel : NULL, error, waiter->user_data);
    }
}

/**
 * choir_channel_log_free:
 * @self: a log
 *
 * The channel goes. Who still waits for something is answered.
 */
void
choir_channel_log_free (ChoirChannelLog *self)
{
  g_autoptr (GError) error =
    g_error_new_literal (CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE, "The service is stopping");

  choir_turn_cancel (&self->task);
  self->n_holds++;
  choir_channel_log_refuse_queue (self, error->message);
  call_waiters (self, error);
  choir_turn_cancel (&self->task);
  g_clear_pointer (&self->parts, g_ptr_array_unref);
  self->channel = NULL;
  choir_channel_log_unref (self);
}

gboolean
choir_channel_log_is_ready (const ChoirChannelLog *self)
{
  return (self->flags & CHOIR_CHANNEL_LOG_READY) != 0;
}

/**
 * choir_channel_log_is_busy:
 * @self: a log
 *
 * Returns: whether its channel has to stay in memory
 */
gboolean
choir_channel_log_is_busy (const ChoirChannelLog *self)
{
  const ChoirLogFlags busy =
    CHOIR_CHANNEL_LOG_LOADING | CHOIR_CHANNEL_LOG_STORING | CHOIR_CHANNEL_LOG_FETCHING;

  return (self->flags & busy) || self->n_holds > 0 || self->queue.length > 0 ||
         self->waiters != NULL;
}

/**
 * choir_channel_log_get_first:
 * @self: a log that is ready
 *
 * Returns: offset of the oldest message that the channel keeps, in memory or in the store; the
 * channel's offset + 1 if there is none. What is older is nobody's to see, though the store may
 * have it for a while
 */
guint64
choir_channel_log_get_first (const ChoirChannelLog *self)
{
  return self->first;
}

void
choir_channel_log_forget (ChoirChannelLog *self, guint64 first)
{
  self->first = MAX (self->first, first);
}

/**
 * choir_channel_log_ring_reaches:
 * @self: a log that is ready
 * @offset: an offset
 *
 * Returns: whether everything after @offset that the channel keeps is in its ring
 */
gboolean
choir_channel_log_ring_reaches (const ChoirChannelLog *self, guint64 offset)
{
  const ChoirChannel *channel = self->channel;
  guint64 wanted = MAX (offset + 1, self->first);

  if (wanted > channel->offset)
    return TRUE;

  return channel->n_posts > 0 && choir_channel_get_post (channel, 0)->offset <= wanted;
}

/* While somebody is called back the channel stays */
void
choir_channel_log_hold (ChoirChannelLog *self)
{
  choir_channel_log_ref (self);
  self->n_holds++;
}

void
choir_channel_log_drop (ChoirChannelLog *self)
{
  self->n_holds--;
  if (self->channel != NULL && self->n_holds == 0)
    choir_hub_release_channel (self->keeper->hub, self->channel);
  choir_channel_log_unref (self);
}

static void
log_failure (ChoirChannelLog *self, const char *what, const GError *error)
{
  g_autofree char *text = g_strdup_printf ("%s: %s", what, error->message);

  choir_log (CHOIR_LOG_LEVEL_WARNING, text, CHOIR_LOG_CHANNEL, self->channel->name, NULL);
}

/* The store can't be read: nobody who waits gets what he waits for */
void
choir_channel_log_fail (ChoirChannelLog *self, const char *what, const GError *error)
{
  g_autoptr (GError) unavailable = g_error_new_literal (CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE,
                                                        "The channel can't be read at the moment");

  log_failure (self, what, error);
  self->flags &= ~(CHOIR_CHANNEL_LOG_LOADING | CHOIR_CHANNEL_LOG_FETCHING);
  g_clear_pointer (&self->parts, g_ptr_array_unref);
  choir_channel_log_hold (self);
  choir_channel_log_refuse_queue (self, unavailable->message);
  call_waiters (self, unavailable);
  choir_channel_log_drop (self);
}

void
choir_channel_log_entry_to_message (const ChoirStoreEntry *entry,
                                    const ChoirChannel *channel,
                                    char id[CHOIR_ID_SIZE],
                                    ChoirMessage *out)
{
  memset (id, '\0', CHOIR_ID_SIZE);
  g_strlcpy (id, entry->id != NULL ? entry->id : "", CHOIR_ID_SIZE);
  *out = (ChoirMessage){
    .type = entry->type != NULL ? entry->type : "message",
    .payload = { entry->data, entry->len },
    .id = id,
    .wall_us = entry->wall_us,
    .channel = channel->name,
    .offset = entry->offset,
    .user_id = entry->user_id,
    .session_id = entry->session_id,
  };
}

static gsize
count_bytes (const ChoirChannelLog *self, guint *n_entries)
{
  gsize n_bytes = 0;

  *n_entries = 0;
  for (guint i = 0; i < self->parts->len; i++)
    {
      const ChoirStreamPart *part = g_ptr_array_index (self->parts, i);

      *n_entries += part->n_entries;
      for (guint j = 0; j < part->n_entries; j++)
        n_bytes += part->entries[j].len;
    }

  return n_bytes;
}

/* Puts what was read into the ring, oldest first, without what is too old */
static void
fill_ring (ChoirChannelLog *self)
{
  ChoirChannel *channel = self->channel;
  gint64 oldest_us = choir_clock_wall_us () - channel->ns->history_age_us;
  gint64 now_us = choir_clock_monotonic_us ();
  gboolean is_young = FALSE;

  for (guint i = self->parts->len; i > 0; i--)
    {
      const ChoirStreamPart *part = g_ptr_array_index (self->parts, i - 1);

      for (guint j = part->n_entries; j > 0; j--)
        {
          const ChoirStoreEntry *entry = &part->entries[j - 1];
          char id[CHOIR_ID_SIZE];
          ChoirMessage message;

          is_young = is_young || entry->wall_us >= oldest_us;
          if (!is_young)
            {
              self->first = entry->offset + 1;
              continue;
            }

          choir_channel_log_entry_to_message (entry, channel, id, &message);
          choir_channel_append (channel, &message, now_us);
        }
    }
}

static void
end_loading (ChoirChannelLog *self)
{
  const ChoirStreamPart *newest = g_ptr_array_index (self->parts, 0);
  const ChoirStreamPart *oldest = g_ptr_array_index (self->parts, self->parts->len - 1);
  ChoirChannel *channel = self->channel;

  /* a stream that does not exist yet will begin with the epoch that the channel has now */
  if (newest->exists)
    {
      choir_channel_restart (channel, newest->epoch, newest->head);
      self->first = self->stored = MIN (oldest->first, newest->head + 1);
      fill_ring (self);
      channel->offset = newest->head;
    }
  else
    {
      choir_channel_restart (channel, channel->epoch, 0);
      self->first = self->stored = 1;
    }

  g_clear_pointer (&self->parts, g_ptr_array_unref);
  self->flags = (self->flags & ~CHOIR_CHANNEL_LOG_LOADING) | CHOIR_CHANNEL_LOG_READY;
  choir_channel_log_trim (self, choir_channel_log_get_slack (self));
  choir_channel_log_hold (self);
  if (self->queue.length > 0)
    choir_channel_log_schedule (self);
  call_waiters (self, NULL);
  choir_channel_log_drop (self);
}

static void read_part (ChoirChannelLog *self, guint64 before, guint n_max);

static void
loaded_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirChannelLog) self = user_data;
  g_autoptr (GError) error = NULL;
  ChoirStreamPart *part = choir_store_read_finish (CHOIR_STORE (source), result, &error);
  guint n_entries;
  gsize n_bytes;

  if (self->channel == NULL)
    {
      g_clear_pointer (&part, choir_stream_part_free);
      return;
    }

  if (part == NULL)
    {
      choir_channel_log_fail (self, "channel not read", error);
      return;
    }

  g_ptr_array_add (self->parts, part);
  n_bytes = count_bytes (self, &n_entries);
  if (part->complete || part->n_entries == 0 || n_bytes >= LOAD_BYTES_MAX ||
      n_entries >= MIN (LOAD_MAX, self->channel->ns->history_size))
    end_loading (self);
  else
    read_part (self, part->entries[part->n_entries - 1].offset,
               MIN (LOAD_PART, LOAD_MAX - n_entries));
}

static void
read_part (ChoirChannelLog *self, guint64 before, guint n_max)
{
  choir_store_read_async (self->store, self->channel->name, before, n_max, TRUE, NULL, loaded_cb,
                          choir_channel_log_ref (self));
}

/* Reads the newest messages, in parts, so that large ones can end it early */
void
choir_channel_log_load (ChoirChannelLog *self)
{
  self->flags = (self->flags & ~CHOIR_CHANNEL_LOG_READY) | CHOIR_CHANNEL_LOG_LOADING;
  /* it is called again when the store has forgotten what it is about to forget */
  if (choir_log_keeper_is_deleting (self->keeper, self->channel->name))
    return;

  self->parts = g_ptr_array_new_with_free_func ((GDestroyNotify) choir_stream_part_free);
  *choir_hub_get_stats (self->keeper->hub)->log_loads += 1;
  read_part (self, G_MAXUINT64, MIN (LOAD_PART, MAX (self->channel->ns->history_size, 1)));
}

/* What another has written becomes part of the channel; FALSE if it does not follow */
static gboolean
take_newer (ChoirChannelLog *self, const ChoirStreamPart *part)
{
  ChoirChannel *channel = self->channel;

  if (!part->exists || strcmp (part->epoch, channel->epoch) != 0 || part->head < channel->offset)
    return FALSE;

  for (guint i = 0; i < part->n_entries; i++)
    {
      char id[CHOIR_ID_SIZE];
      ChoirMessage message;

      if (part->entries[i].offset != channel->offset + 1)
        return FALSE;

      choir_channel_log_entry_to_message (&part->entries[i], channel, id, &message);
      choir_hub_deliver (self->keeper->hub, channel, &message, NULL);
      self->n_conflicts = 0;
    }

  return TRUE;
}

static void
fetched_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirChannelLog) self = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirStreamPart) part = choir_store_read_finish (CHOIR_STORE (source), result, &error);

  if (self->channel == NULL)
    return;

  self->flags &= ~CHOIR_CHANNEL_LOG_FETCHING;
  if (part == NULL)
    choir_channel_log_fail (self, "channel not brought up to date", error);
  else if (!take_newer (self, part))
    choir_channel_log_load (self);
  else if (!part->complete)
    choir_channel_log_fetch (self);
  else
    choir_channel_log_schedule (self);
}

/* Another has written to the stream: reads what, and goes on behind it */
void
choir_channel_log_fetch (ChoirChannelLog *self)
{
  self->flags |= CHOIR_CHANNEL_LOG_FETCHING;
  choir_store_read_async (self->store, self->channel->name, self->channel->offset, FETCH_MAX, FALSE,
                          NULL, fetched_cb, choir_channel_log_ref (self));
}

/**
 * choir_channel_log_open:
 * @self: a log
 * @opened: called once: now if it is ready, else when it has been loaded
 * @user_data: for @opened
 */
void
choir_channel_log_open (ChoirChannelLog *self, ChoirChannelFunc opened, gpointer user_data)
{
  g_autoptr (GError) error = NULL;
  Waiter waiter = { opened, user_data };

  if (self->flags & CHOIR_CHANNEL_LOG_READY)
    {
      opened (self->channel, NULL, user_data);
      return;
    }

  if (self->waiters != NULL && self->waiters->len >= WAITERS_MAX)
    {
      error = g_error_new_literal (CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE,
                                   "Too many wait for this channel");
      opened (NULL, error, user_data);
      return;
    }

  if (self->waiters == NULL)
    self->waiters = g_array_new (FALSE, FALSE, sizeof (Waiter));
  g_array_append_val (self->waiters, waiter);

  if (!(self->flags & CHOIR_CHANNEL_LOG_LOADING))
    choir_channel_log_load (self);
}
