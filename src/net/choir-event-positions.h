/* choir-event-positions.h: how far an event stream has come in the channels its address names
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-dialect.h"
#include "choir-id.h"
#include "choir-json-gate.h"

G_BEGIN_DECLS

/* Channels whose positions go into event ids; their text is bounded with them */
#define CHOIR_EVENT_CHANNELS_MAX 16
#define CHOIR_EVENT_POSITIONS_SIZE (CHOIR_EVENT_CHANNELS_MAX * (CHOIR_ID_SIZE + 22) + 1)

/**
 * ChoirEventPositions:
 *
 * The channels that the address of an event stream names, in its order, and of each the epoch and
 * the offset of the last message that was sent. They are read off the messages as these are
 * written, so that they are never ahead of what the client has.
 */
typedef struct _ChoirEventPositions ChoirEventPositions;

ChoirEventPositions *choir_event_positions_new (const char *channels, gboolean *fits);
void choir_event_positions_free (ChoirEventPositions *self);
void choir_event_positions_watch (ChoirEventPositions *self, ChoirSlice message);
char *choir_event_positions_write (const ChoirEventPositions *self, char *out);
gboolean choir_event_positions_has_same_channels (const ChoirEventPositions *self,
                                                  const ChoirEventPositions *other);
void choir_event_positions_parse (ChoirEventPositions *self, const char *text);
GString *choir_event_positions_make_subscribe (const ChoirEventPositions *self,
                                               const ChoirDialect *dialect);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirEventPositions, choir_event_positions_free)

G_END_DECLS
