/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-broadcast.h"

#include "choir-admin-list.h"
#include "choir-clock.h"
#include "choir-error.h"
#include "choir-names.h"
#include "choir-session.h"

#include <string.h>

static gboolean
check_message (ChoirHub *hub, const char *type, ChoirSlice payload, GError **error)
{
  g_autoptr (GError) reason = NULL;
  ChoirJsonKind kind;

  if (!choir_name_is_identifier (type, strlen (type)))
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                   "The type must be 1-%d letters, digits, '.', '_' and '-'", CHOIR_TYPE_NAME_MAX);
      return FALSE;
    }

  if (payload.len > CHOIR_ADMIN_PAYLOAD_MAX)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                   "The payload is longer than %d bytes", CHOIR_ADMIN_PAYLOAD_MAX);
      return FALSE;
    }

  if (!choir_json_gate_check (payload.data, payload.len, &choir_hub_get_settings (hub)->json, &kind,
                              &reason))
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, "The payload is no JSON: %s",
                   reason->message);
      return FALSE;
    }

  if (kind != CHOIR_JSON_OBJECT)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                           "The payload must be a JSON object");
      return FALSE;
    }

  return TRUE;
}

/* What the hub can address by itself; NULL if each connection must be looked at */
static char *
dup_channel (const ChoirAdminFilter *filter)
{
  if (filter->keys == 0)
    return g_strdup ("all");

  if (filter->keys == CHOIR_ADMIN_FILTER_USER)
    return g_strconcat ("user:", filter->user, NULL);

  if (filter->keys == CHOIR_ADMIN_FILTER_CHANNEL)
    return g_strdup (filter->channel);

  return NULL;
}

static void
count (ChoirHub *hub, const char *type, guint n_recipients)
{
  ChoirStats *stats = choir_hub_get_stats (hub);

  *stats->publishes += 1;
  *stats->deliveries += n_recipients;
  *choir_stats_for_type (stats, type)->sent += n_recipients;
  choir_histogram_record (stats->fanout, n_recipients);
}

static guint
send_to_picked (ChoirHub *hub, const char *type, ChoirSlice payload, const ChoirAdminFilter *filter)
{
  guint n = choir_hub_get_n_sessions (hub);
  char id[CHOIR_ID_SIZE];
  ChoirFanout fanout;
  ChoirMessage message = {
    .type = type,
    .payload = payload,
    .id = id,
    .wall_us = choir_clock_wall_us (),
  };

  choir_id_generate (id);
  choir_fanout_begin (&fanout, choir_hub_get_broadcaster (hub), &message);

  for (guint i = 0; i < n; i++)
    {
      ChoirSession *session = choir_hub_get_session (hub, i);

      if (choir_session_get_claims (session) != NULL && choir_admin_list_picks (filter, session))
        choir_fanout_push (&fanout, choir_session_get_outbox (session));
    }

  choir_fanout_end (&fanout);
  count (hub, type, fanout.n_recipients);

  return fanout.n_recipients;
}

/**
 * choir_admin_broadcast:
 * @hub: a hub
 * @type: canonical type of the message
 * @payload: one JSON object, at most %CHOIR_ADMIN_PAYLOAD_MAX bytes; not checked yet
 * @filter: who is meant; those who have not authenticated are never
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
                       const ChoirAdminFilter *filter,
                       guint *n_recipients,
                       GError **error)
{
  g_autofree char *channel = dup_channel (filter);
  ChoirPublished published;

  if (!check_message (hub, type, payload, error))
    return FALSE;

  if (channel == NULL)
    {
      *n_recipients = send_to_picked (hub, type, payload, filter);
      return TRUE;
    }

  if (!choir_hub_publish (hub,
                          &(ChoirPublication){
                            .channel = channel,
                            .type = type,
                            .payload = payload,
                            .transient = TRUE,
                          },
                          &published, error))
    return FALSE;

  *n_recipients = published.n_recipients;

  return TRUE;
}
