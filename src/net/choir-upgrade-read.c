/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-upgrade-private.h"

#include "choir-close-code.h"
#include "choir-event-id.h"
#include "choir-event-log.h"
#include "choir-event-stream.h"
#include "choir-session.h"

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

/* `bearer.JWT` or `jwt.JWT` among the subprotocols: the way for browsers, which can't set headers
 */
static char *
dup_protocol_token (const char *protocols)
{
  g_auto (GStrv) offered = g_strsplit (protocols, ",", 32);

  for (char **offer = offered; *offer != NULL; offer++)
    {
      const char *name = g_strstrip (*offer);

      if (g_str_has_prefix (name, "bearer.") || g_str_has_prefix (name, "jwt."))
        return g_strdup (strchr (name, '.') + 1);
    }

  return NULL;
}

void
choir_upgrade_read_token (ChoirUpgrade *self, const ChoirUpgradeRequest *request)
{
  if (request->authorization != NULL &&
      g_ascii_strncasecmp (request->authorization, "Bearer ", 7) == 0)
    {
      g_free (self->token);
      self->token = g_strstrip (g_strdup (request->authorization + 7));
    }

  if (self->token == NULL && request->protocols != NULL)
    self->token = dup_protocol_token (request->protocols);

  if (self->token == NULL)
    self->token = choir_upgrade_dup_parameter (request->query, "token");
}

/* What an EventSource sends by itself; a page that is loaded anew can't set the header. One that is
 * none of ours is as good as none */
static void
read_last_event (ChoirUpgrade *self, const ChoirUpgradeRequest *request)
{
  g_autofree char *parameter = choir_upgrade_dup_parameter (request->query, "last_event_id");
  const char *text = request->last_event_id != NULL ? request->last_event_id : parameter;
  ChoirEventId id;

  if (text == NULL || !choir_event_id_parse (&id, text))
    return;

  self->is_returning = TRUE;
  self->seen = id.number;
  g_free (self->resume_id);
  self->resume_id = g_strdup (id.session_id);
  if (self->positions != NULL)
    choir_event_positions_parse (self->positions, id.positions);
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

  read_last_event (self, request);

  return TRUE;
}

/**
 * choir_upgrade_settle_stream:
 * @self: the upgrade of an event stream, by somebody known
 * @gateway: the gateway
 *
 * A session of which not all that the client has missed is left can't be gone on with: rather it
 * ends, and the client begins anew.
 */
void
choir_upgrade_settle_stream (ChoirUpgrade *self, ChoirGateway *gateway)
{
  ChoirSession *lost;
  ChoirEventLog *log;
  ChoirLink *link;

  if (!self->is_returning || self->claims == NULL)
    return;

  lost = choir_hub_find_by_id (gateway->hub, self->resume_id);
  log = lost != NULL ? choir_event_log_find (lost) : NULL;
  if (log == NULL ||
      g_strcmp0 (choir_session_get_user_id (lost), choir_claims_get_user_id (self->claims)) != 0)
    return;

  if (choir_event_log_reaches (log, self->seen) && choir_event_log_knows_all (log, lost))
    return;

  link = choir_session_get_link (lost);
  if (link == NULL || CHOIR_IS_EVENT_STREAM (link))
    choir_session_close (lost, CHOIR_CLOSE_NORMAL, "Its client has missed too much");
  g_clear_pointer (&self->resume_id, g_free);
}
