/* slow-store.h: a store whose answers a test can hold back, or let fail
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-store.h"

G_BEGIN_DECLS

/* Of channels' logs only */
#define SLOW_TYPE_STORE (slow_store_get_type ())
G_DECLARE_FINAL_TYPE (SlowStore, slow_store, SLOW, STORE, GObject)

SlowStore *slow_store_new (void);
/* @inner: (transfer full): where everything is kept; that of slow_store_new() is in memory */
SlowStore *slow_store_new_around (ChoirStore *inner);
void slow_store_hold (SlowStore *self);
/* Only lists of streams */
void slow_store_hold_lists (SlowStore *self);
guint slow_store_get_n_held (SlowStore *self);
/* What was asked for is answered, as it was when it was asked; what is asked for later is held
 * again
 */
void slow_store_release (SlowStore *self);
void slow_store_release_all (SlowStore *self);
void slow_store_set_failing (SlowStore *self, gboolean failing);
guint slow_store_get_n_reads (SlowStore *self);

G_END_DECLS
