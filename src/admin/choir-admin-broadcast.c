/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-broadcast.h"

#include "choir-error.h"

/**
 * choir_admin_broadcast:
 * @hub: a hub
 * @type: canonical type of the message
 * @payload: one JSON object, at most %CHOIR_ADMIN_PAYLOAD_MAX bytes; not checked yet
 * @audience: who is meant; those who have not authenticated are never
 * @n_recipients: (out): for how many connections it was queued
 * @error: return location: %CHOIR_ERROR_VALIDATION
 *
 * The message is transient: no channel keeps it and it takes no offset.
 *
 * Returns: whether it was sent
 */
gboolean
choir_admin_broadcast (ChoirHub *hub,
                       const char *type,
                       ChoirSlice payload,
                       const ChoirAudience *audience,
                       guint *n_recipients,
                       GError **error)
{
  if (payload.len > CHOIR_ADMIN_PAYLOAD_MAX)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                   "The payload is longer than %d bytes", CHOIR_ADMIN_PAYLOAD_MAX);
      return FALSE;
    }

  if (!choir_hub_check_message (hub, type, payload, CHOIR_ADMIN_PAYLOAD_MAX, error))
    return FALSE;

  *n_recipients = choir_hub_broadcast (hub, type, payload, audience);

  return TRUE;
}
