/* choir-polkit.h: questions to polkit
 *
 * Not by polkit's library: that looks for polkit in a thread, under a lock that stops the loop, and
 * logs a warning when somebody leaves the bus while the answer is on its way. Main context only.
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

typedef enum
{
  CHOIR_POLKIT_YES,
  CHOIR_POLKIT_NO,
  CHOIR_POLKIT_DISMISSED, /* the person who was asked for a password gave none */
  CHOIR_POLKIT_CHALLENGE, /* a password would help, but nobody may be asked, or can be */
} ChoirPolkitAnswer;

void choir_polkit_check_async (GDBusConnection *bus,
                               const char *sender,
                               const char *action_id,
                               const char *const *details,
                               gboolean interactive,
                               GCancellable *cancellable,
                               GAsyncReadyCallback callback,
                               gpointer user_data);
gboolean
choir_polkit_check_finish (GAsyncResult *result, ChoirPolkitAnswer *answer, GError **error);

G_END_DECLS
