/* choir-turn.h: what is done once, when the loop's turn is over
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _ChoirTurn ChoirTurn;
typedef struct _ChoirTurnTask ChoirTurnTask;
typedef void (*ChoirTurnFunc) (ChoirTurnTask *task);

/**
 * ChoirTurnTask:
 *
 * Something to be done, embedded in whatever does it (find the owner with offsetof). However often
 * it is asked for in one turn of the main loop, it is done once. Zero-filled is one that nobody has
 * asked for; it must be cancelled before its memory goes.
 */
struct _ChoirTurnTask
{
  ChoirTurn *turn; /* (nullable): where it waits */
  ChoirTurnFunc func;
  guint index;
};

ChoirTurn *choir_turn_new (GMainContext *context);
void choir_turn_free (ChoirTurn *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirTurn, choir_turn_free)

void choir_turn_ask (ChoirTurn *self, ChoirTurnTask *task, ChoirTurnFunc func);
void choir_turn_cancel (ChoirTurnTask *task);

G_END_DECLS
