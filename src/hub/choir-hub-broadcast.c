/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-audience.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-hub-private.h"
#include "choir-names.h"

#include <string.h>

/**
 * choir_hub_check_message:
 * @self: a hub
 * @type: what is to be a message's type
 * @payload: what is to be its payload; not checked yet
 * @max_payload: most bytes of it
 * @error: return location: %CHOIR_ERROR_VALIDATION, %CHOIR_ERROR_TOO_LARGE
 *
 * Returns: whether they make a message
 */
gboolean
choir_hub_check_message (ChoirHub *self,
                         const char *type,
                         ChoirSlice payload,
                         gsize max_payload,
                         GError **error)
{
  g_autoptr (GError) reason = NULL;
  ChoirJsonKind kind;

  if (!choir_name_is_identifier (type, strlen (type)))
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                   "The type must be 1-%d letters, digits, '.', '_' and '-'", CHOIR_TYPE_NAME_MAX);
      return FALSE;
    }

  if (payload.len > max_payload)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_TOO_LARGE,
                   "The payload is longer than %" G_GSIZE_FORMAT " bytes", max_payload);
      return FALSE;
    }

  if (!choir_json_gate_check (payload.data, payload.len, &choir_hub_get_settings (self)->json,
                              &kind, &reason))
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
dup_channel (const ChoirAudience *audience)
{
  if (audience->keys == 0)
    return g_strdup ("all");

  if (audience->keys == CHOIR_AUDIENCE_USER)
    return g_strconcat ("user:", audience->user, NULL);

  if (audience->keys == CHOIR_AUDIENCE_CHANNEL)
    return g_strdup (audience->channel);

  return NULL;
}

static void
push_picked (ChoirFanout *fanout, const ChoirAudience *audience, ChoirSession *session)
{
  if (session != NULL && choir_session_get_claims (session) != NULL &&
      choir_audience_picks (audience, session))
    choir_fanout_push (fanout, choir_session_get_outbox (session));
}

static void
push_users (ChoirFanout *fanout, ChoirHub *hub, const ChoirAudience *audience)
{
  GHashTableIter iter;
  gpointer name;

  g_hash_table_iter_init (&iter, audience->users);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    {
      const ChoirUser *user = choir_hub_find_user (hub, name);

      for (guint i = 0; user != NULL && i < user->n_sessions; i++)
        push_picked (fanout, audience, user->sessions[i]);
    }
}

static void
push_all (ChoirFanout *fanout, ChoirHub *hub, const ChoirAudience *audience)
{
  guint n = choir_hub_get_n_sessions (hub);

  for (guint i = 0; i < n; i++)
    push_picked (fanout, audience, choir_hub_get_session (hub, i));
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
send_to_picked (ChoirHub *hub, const char *type, ChoirSlice payload, const ChoirAudience *audience)
{
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

  if (audience->keys & CHOIR_AUDIENCE_CONNECTION)
    push_picked (&fanout, audience, choir_hub_find_session (hub, audience->connection));
  else if (audience->keys & CHOIR_AUDIENCE_USERS)
    push_users (&fanout, hub, audience);
  else
    push_all (&fanout, hub, audience);

  choir_fanout_end (&fanout);
  count (hub, type, fanout.n_recipients);
  if (choir_hub_is_observed (hub))
    choir_hub_report_published (hub, &message, audience, fanout.n_recipients);

  return fanout.n_recipients;
}

/**
 * choir_hub_broadcast:
 * @self: a hub
 * @type: canonical type of a message
 * @payload: its payload, see choir_hub_check_message()
 * @audience: who is meant; those who have not authenticated are never
 *
 * The message is transient: no channel keeps it and it takes no offset.
 *
 * Returns: for how many connections it was queued
 */
guint
choir_hub_broadcast (ChoirHub *self,
                     const char *type,
                     ChoirSlice payload,
                     const ChoirAudience *audience)
{
  g_autofree char *channel = dup_channel (audience);
  ChoirPublished published = { 0 };

  if (channel == NULL)
    return send_to_picked (self, type, payload, audience);

  /* what is transient is always taken */
  choir_hub_publish (self,
                     &(ChoirPublication){
                       .channel = channel,
                       .type = type,
                       .payload = payload,
                       .transient = TRUE,
                     },
                     &published, NULL);

  return published.n_recipients;
}
