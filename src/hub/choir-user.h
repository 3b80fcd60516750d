/* choir-user.h: everything one person has open
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-channel.h"
#include "choir-rate-limit.h"

G_BEGIN_DECLS

/**
 * ChoirUser:
 *
 * Exists while a session of that user does, and a little longer while its rate meter remembers
 * something, so that reconnecting does not refill it.
 */
struct _ChoirUser
{
  ChoirSession **sessions; /* (owned array): oldest first */
  ChoirRateMeter meter;
  gint64 left_us; /* monotonic: when the last connection went; 0: never */
  guint32 n_sessions;
  guint32 n_connected; /* of these have a connection */
  guint32 capacity;
  char id[];
};

ChoirUser *choir_user_new (const char *id);
void choir_user_free (ChoirUser *self);
void choir_user_add (ChoirUser *self, ChoirSession *session);
guint choir_user_count_waiting (const ChoirUser *self, const ChoirDialect *dialect);
guint choir_user_count_staying (const ChoirUser *self);
void choir_user_remove (ChoirUser *self, ChoirSession *session);

G_END_DECLS
