/* choir-idempotency.h: what was published a moment ago, by the publisher's own key
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-channel.h"

G_BEGIN_DECLS

/**
 * ChoirIdempotency:
 *
 * For channels in memory: which keys have been used, and with which offset. A bounded number of
 * them, for a bounded time; the oldest go first. Channels in the store need none, there the key is
 * the entry's.
 */
typedef struct _ChoirIdempotency ChoirIdempotency;

ChoirIdempotency *choir_idempotency_new (guint max, gint64 age_us);
void choir_idempotency_free (ChoirIdempotency *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirIdempotency, choir_idempotency_free)

guint64 choir_idempotency_find (ChoirIdempotency *self,
                                const ChoirChannel *channel,
                                const char *key,
                                gint64 now_us);
void choir_idempotency_add (ChoirIdempotency *self,
                            const ChoirChannel *channel,
                            const char *key,
                            guint64 offset,
                            gint64 now_us);
guint choir_idempotency_get_size (const ChoirIdempotency *self);

G_END_DECLS
