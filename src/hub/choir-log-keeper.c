/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-channel-log-private.h"

#include "choir-hub-private.h"

/* What all logs of a hub share, and what becomes of old entries */

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
  g_object_unref (self->store);
  g_free (self);
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

static void
trimmed_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirChannelLog) self = user_data;

  self->flags &= ~CHOIR_CHANNEL_LOG_TRIMMING;
  choir_store_trim_finish (CHOIR_STORE (source), result, NULL);
}

/* What the store has beyond the namespace's size goes, some at a time */
void
choir_channel_log_trim (ChoirChannelLog *self)
{
  const ChoirChannel *channel = self->channel;
  guint64 size = channel->ns->history_size;
  guint64 end = channel->offset + 1;

  if (end - self->first > size)
    self->first = end - size;

  if ((self->flags & CHOIR_CHANNEL_LOG_TRIMMING) || self->first - self->stored < size / 4 + 16 ||
      !choir_store_is_writable (self->store))
    return;

  self->stored = self->first;
  self->flags |= CHOIR_CHANNEL_LOG_TRIMMING;
  choir_store_trim_async (self->store, channel->name, self->first, NULL, trimmed_cb,
                          choir_channel_log_ref (self));
}
