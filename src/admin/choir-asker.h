/* choir-asker.h: whether polkit lets the sender of a call have it done
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/**
 * ChoirAsker:
 *
 * Puts calls of the system bus before polkit. A question ends with its answer, when the caller
 * leaves the bus, or when it took too long; those under way are limited, for each user too.
 * Main context only.
 */
#define CHOIR_TYPE_ASKER (choir_asker_get_type ())
G_DECLARE_FINAL_TYPE (ChoirAsker, choir_asker, CHOIR, ASKER, GObject)

/* Questions under way: of one user, and of all. The bus itself lets the service wait for 128
 * answers (dbus-daemon(1), max_replies_per_connection). */
#define CHOIR_ASKER_USER_MAX 32
#define CHOIR_ASKER_QUESTIONS_MAX 96

ChoirAsker *choir_asker_new (void);
void choir_asker_set_timeouts (ChoirAsker *self, guint question_ms, guint dialog_ms);

void choir_asker_ask_async (ChoirAsker *self,
                            GDBusMethodInvocation *invocation,
                            guint32 uid,
                            const char *action_id,
                            const char *target,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data);
gboolean choir_asker_ask_finish (ChoirAsker *self, GAsyncResult *result, GError **error);

G_END_DECLS
