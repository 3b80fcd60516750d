/* choir-presence.h: who is in a channel
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-channel.h"
#include "choir-hub.h"

G_BEGIN_DECLS

/**
 * Presence is read off the subscriptions: nothing is kept twice. Joins and leaves are announced
 * while the channel has at most `presence-limit` members; beyond that they can only be asked for,
 * because announcing every join to everybody costs the square of their number.
 */
void choir_presence_joined (ChoirHub *hub, ChoirChannel *channel, ChoirSession *session);
void choir_presence_left (ChoirHub *hub, ChoirChannel *channel, ChoirSession *session);
void choir_presence_append_who (GString *payload, ChoirSession *session, const char *name_key);
void choir_presence_append_members (ChoirHub *hub, ChoirChannel *channel, GString *payload);

G_END_DECLS
