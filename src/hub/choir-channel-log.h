/* choir-channel-log.h: the log of a channel that is kept in the store
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-hub.h"

G_BEGIN_DECLS

/**
 * ChoirChannelLog:
 *
 * What makes a channel durable: its messages go to the store first, into the channel's ring and to
 * its subscribers when they are there. The ring then holds the newest of them, without a gap up to
 * the channel's offset; what is older is read from the store, from the stream of the channel's
 * name: an entry's `data` is the payload, the other members of #ChoirStoreEntry are those of
 * #ChoirMessage. Entries up to the channel's offset never change, they only go, oldest first.
 */

/* What all logs of a hub share */
typedef struct _ChoirLogKeeper ChoirLogKeeper;

ChoirLogKeeper *choir_log_keeper_new (ChoirHub *hub, ChoirStore *store);
void choir_log_keeper_free (ChoirLogKeeper *self);
/* From now on everything is refused */
void choir_log_keeper_close (ChoirLogKeeper *self);
void choir_log_keeper_sweep (ChoirLogKeeper *self);
guint choir_log_keeper_get_n_pending (ChoirLogKeeper *self);

ChoirChannelLog *choir_channel_log_new (ChoirLogKeeper *keeper, ChoirChannel *channel);
void choir_channel_log_free (ChoirChannelLog *self);

/* FALSE: the store has not been asked yet, or did not answer: epoch and offset of the channel mean
 * nothing */
gboolean choir_channel_log_is_ready (const ChoirChannelLog *self);
/* Returns whether the store was asked to forget something */
gboolean choir_channel_log_tend (ChoirChannelLog *self);
gboolean choir_channel_log_is_busy (const ChoirChannelLog *self);
guint64 choir_channel_log_get_first (const ChoirChannelLog *self);
/* What is older is no longer kept */
void choir_channel_log_forget (ChoirChannelLog *self, guint64 first);
gboolean choir_channel_log_ring_reaches (const ChoirChannelLog *self, guint64 offset);

void choir_channel_log_open (ChoirChannelLog *self, ChoirChannelFunc opened, gpointer user_data);
void choir_channel_log_submit (ChoirChannelLog *self,
                               const ChoirPublication *publication,
                               ChoirPublishedFunc done,
                               gpointer user_data);

G_END_DECLS
