/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-channel-log-private.h"

#include "choir-clock.h"
#include "choir-hub-private.h"
#include "choir-names.h"

#include <string.h>

/* What all logs of a hub share, and what becomes of old entries */

/* Streams looked at in one sweep */
#define SWEEP_MAX 1000

static ChoirLogKeeper *
keeper_ref (ChoirLogKeeper *self)
{
  self->ref_count++;

  return self;
}

static void
keeper_unref (ChoirLogKeeper *self)
{
  if (--self->ref_count > 0)
    return;

  g_clear_pointer (&self->stale, g_ptr_array_unref);
  g_object_unref (self->store);
  g_clear_pointer (&self->deleting, choir_stream_info_free);
  g_free (self->cursor);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirLogKeeper, keeper_unref)

/**
 * choir_log_keeper_new:
 * @hub: borrowed; must outlive the keeper
 * @store: where logs are kept
 *
 * Returns: (transfer full): what the logs of @hub share
 */
ChoirLogKeeper *
choir_log_keeper_new (ChoirHub *hub, ChoirStore *store)
{
  ChoirLogKeeper *self = g_new0 (ChoirLogKeeper, 1);

  self->ref_count = 1;
  self->hub = hub;
  self->store = g_object_ref (store);

  return self;
}

/**
 * choir_log_keeper_free:
 * @self: a keeper whose logs are gone
 */
void
choir_log_keeper_free (ChoirLogKeeper *self)
{
  self->hub = NULL;
  keeper_unref (self);
}

void
choir_log_keeper_close (ChoirLogKeeper *self)
{
  self->closed = TRUE;
}

/**
 * choir_log_keeper_get_n_pending:
 * @self: a keeper
 *
 * Returns: messages that have been published and not been answered yet
 */
guint
choir_log_keeper_get_n_pending (ChoirLogKeeper *self)
{
  return self->n_pending;
}

gboolean
choir_log_keeper_is_deleting (const ChoirLogKeeper *self, const char *stream)
{
  return self->deleting != NULL && strcmp (self->deleting->name, stream) == 0;
}

static void delete_next (ChoirLogKeeper *self);

static void
deleted_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirLogKeeper) self = user_data;
  g_autoptr (ChoirStreamInfo) info = g_steal_pointer (&self->deleting);
  ChoirChannel *channel;

  choir_store_delete_finish (CHOIR_STORE (source), result, NULL);
  if (self->hub == NULL)
    return;

  /* somebody has come into it meanwhile */
  channel = choir_hub_find_channel (self->hub, info->name);
  if (channel != NULL && channel->log != NULL && (channel->log->flags & CHOIR_CHANNEL_LOG_LOADING))
    choir_channel_log_load (channel->log);

  delete_next (self);
}

/* One at a time: what is opened meanwhile has to wait for one only. Since they were listed somebody
 * may have written to one, and have left again: only what was seen to be old goes */
static void
delete_next (ChoirLogKeeper *self)
{
  while (self->stale->len > 0 && self->deleting == NULL && !self->closed &&
         choir_store_is_writable (self->store))
    {
      g_autoptr (ChoirStreamInfo) info =
        g_ptr_array_steal_index_fast (self->stale, self->stale->len - 1);

      if (choir_hub_find_channel (self->hub, info->name) != NULL)
        continue;

      self->deleting = g_steal_pointer (&info);
      choir_store_delete_async (self->store, self->deleting->name, self->deleting->epoch,
                                self->deleting->head, NULL, deleted_cb, keeper_ref (self));
    }

  if (self->deleting == NULL)
    g_clear_pointer (&self->stale, g_ptr_array_unref);
}

/* Whether it is a channel's, and all of it too old. Whatever else is in the store has a space in
 * its name, or is a document */
static gboolean
is_stale (ChoirLogKeeper *self, const ChoirStreamInfo *info, gint64 now_us)
{
  const char *name = info->name;

  if (!choir_name_is_channel (name, strlen (name)) ||
      choir_channel_kind_of (name) == CHOIR_CHANNEL_DOCUMENT ||
      choir_hub_find_channel (self->hub, name) != NULL)
    return FALSE;

  return now_us - info->changed_us > choir_hub_get_namespace (self->hub, name)->history_age_us;
}

static void
listed_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirLogKeeper) self = user_data;
  g_autoptr (GPtrArray) infos = choir_store_list_finish (CHOIR_STORE (source), result, NULL);
  gint64 now_us = choir_clock_wall_us ();

  self->listing = FALSE;
  if (infos == NULL || self->hub == NULL)
    return;

  g_clear_pointer (&self->cursor, g_free);
  if (infos->len == SWEEP_MAX)
    self->cursor = g_strdup (((ChoirStreamInfo *) g_ptr_array_index (infos, infos->len - 1))->name);

  self->stale = g_ptr_array_new_with_free_func ((GDestroyNotify) choir_stream_info_free);
  for (guint i = infos->len; i > 0; i--)
    if (is_stale (self, g_ptr_array_index (infos, i - 1), now_us))
      g_ptr_array_add (self->stale, g_ptr_array_steal_index_fast (infos, i - 1));
  delete_next (self);
}

/**
 * choir_log_keeper_sweep:
 * @self: a keeper
 *
 * Looks at some of the store's streams, each time at the next ones, and removes those of channels
 * that are not in memory and in which nothing has been said for `history-age`.
 */
void
choir_log_keeper_sweep (ChoirLogKeeper *self)
{
  if (self->listing || self->stale != NULL || self->closed)
    return;

  self->listing = TRUE;
  choir_store_list_async (self->store, NULL, self->cursor, SWEEP_MAX, NULL, listed_cb,
                          keeper_ref (self));
}

static void
trimmed_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirChannelLog) self = user_data;

  self->flags &= ~CHOIR_CHANNEL_LOG_TRIMMING;
  choir_store_trim_finish (CHOIR_STORE (source), result, NULL);
}

/* Entries that may be too many before they are removed: one at a time would cost as much as storing
 * them */
guint64
choir_channel_log_get_slack (const ChoirChannelLog *self)
{
  return self->channel->ns->history_size / 4 + 16;
}

/* What the store has and the channel no longer keeps goes, if it is more than @slack */
void
choir_channel_log_trim (ChoirChannelLog *self, guint64 slack)
{
  const ChoirChannel *channel = self->channel;
  guint64 size = channel->ns->history_size;
  guint64 end = channel->offset + 1;

  if (end - self->first > size)
    self->first = end - size;

  if ((self->flags & CHOIR_CHANNEL_LOG_TRIMMING) || self->first - self->stored <= slack ||
      !choir_store_is_writable (self->store))
    return;

  self->stored = self->first;
  self->flags |= CHOIR_CHANNEL_LOG_TRIMMING;
  choir_store_trim_async (self->store, channel->name, self->first, NULL, trimmed_cb,
                          choir_channel_log_ref (self));
}

gboolean
choir_channel_log_tend (ChoirChannelLog *self)
{
  if (!(self->flags & CHOIR_CHANNEL_LOG_READY) || (self->flags & CHOIR_CHANNEL_LOG_TRIMMING))
    return FALSE;

  choir_channel_log_trim (self, 0);

  return (self->flags & CHOIR_CHANNEL_LOG_TRIMMING) != 0;
}
