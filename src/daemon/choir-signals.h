/* choir-signals.h: signals as events of the reactor
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-reactor.h"

G_BEGIN_DECLS

/**
 * ChoirSignals:
 *
 * SIGTERM, SIGINT and SIGHUP through one signalfd(2) in the reactor. A GSource for each would be
 * asked on every turn of the loop, which is to say with every message.
 */
typedef struct _ChoirSignals ChoirSignals;

typedef void (*ChoirSignalFunc) (int signal_number, gpointer user_data);

void choir_signals_block (void);
ChoirSignals *
choir_signals_new (ChoirReactor *reactor, ChoirSignalFunc func, gpointer user_data, GError **error);
void choir_signals_free (ChoirSignals *self);

G_END_DECLS
