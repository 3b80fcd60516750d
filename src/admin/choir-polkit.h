/* choir-polkit.h: questions to polkit
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

/**
 * ChoirPolkit:
 *
 * Asks polkit about senders of the system bus. It is looked for with the first question, and again
 * with the next one for as long as it is not there. Main context only; questions wait outside of
 * it, for polkit's library too.
 */
#define CHOIR_TYPE_POLKIT (choir_polkit_get_type ())
G_DECLARE_FINAL_TYPE (ChoirPolkit, choir_polkit, CHOIR, POLKIT, GObject)

ChoirPolkit *choir_polkit_new (void);

void choir_polkit_check_async (ChoirPolkit *self,
                               const char *sender,
                               const char *action_id,
                               const char *const *details,
                               gboolean interactive,
                               GCancellable *cancellable,
                               GAsyncReadyCallback callback,
                               gpointer user_data);
gboolean choir_polkit_check_finish (ChoirPolkit *self,
                                    GAsyncResult *result,
                                    ChoirPolkitAnswer *answer,
                                    GError **error);

G_END_DECLS
