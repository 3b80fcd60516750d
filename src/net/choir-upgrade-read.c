/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-upgrade-private.h"

#include <string.h>

/**
 * choir_upgrade_dup_parameter:
 * @query: (nullable): of a request
 * @name: of a parameter
 *
 * Returns: (transfer full) (nullable): its value, decoded; %NULL if it is absent
 */
char *
choir_upgrade_dup_parameter (const char *query, const char *name)
{
  gsize len = strlen (name);

  for (const char *p = query; p != NULL && *p != '\0';)
    {
      const char *end = strchrnul (p, '&');

      if ((gsize) (end - p) > len && p[len] == '=' && strncmp (p, name, len) == 0)
        {
          char *value = g_uri_unescape_segment (p + len + 1, end, NULL);

          /* one that can't be decoded is there all the same, and no good */
          return value != NULL ? value : g_strndup (p + len + 1, (gsize) (end - p - len - 1));
        }

      p = *end == '&' ? end + 1 : NULL;
    }

  return NULL;
}

/**
 * choir_upgrade_read_stream:
 * @self: the upgrade of an event stream, whose dialect is known
 * @request: the request
 *
 * Reads what only event streams have.
 *
 * Returns: %FALSE if it makes no sense: that is decided then
 */
gboolean
choir_upgrade_read_stream (ChoirUpgrade *self, const ChoirUpgradeRequest *request)
{
  g_autofree char *channels = choir_upgrade_dup_parameter (request->query, "channels");
  gboolean fits = TRUE;

  if (choir_dialect_get_table (self->dialect)->binary)
    {
      choir_upgrade_refuse (self, 406, CHOIR_ERROR_VALIDATION,
                            "Events are text: there is no CBOR here");
      return FALSE;
    }

  if (channels != NULL)
    self->positions = choir_event_positions_new (channels, &fits);
  if (!fits || (self->positions != NULL &&
                choir_dialect_find_inbound (self->dialect, choir_slice ("subscribe")) == NULL))
    {
      choir_upgrade_refuse (self, 400, CHOIR_ERROR_VALIDATION,
                            fits
                              ? "There is nothing to subscribe to in this dialect"
                              : "channels must name up to 16 channels, with commas between them");
      return FALSE;
    }

  /* a page that is loaded anew can't set the header */
  self->last_event_id = request->last_event_id != NULL
                          ? g_strdup (request->last_event_id)
                          : choir_upgrade_dup_parameter (request->query, "last_event_id");

  return TRUE;
}
