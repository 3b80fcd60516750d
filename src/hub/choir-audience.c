/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-audience.h"

#include <string.h>

/**
 * choir_audience_clear:
 * @self: an audience; it is everybody from now on
 */
void
choir_audience_clear (ChoirAudience *self)
{
  g_clear_pointer (&self->users, g_hash_table_unref);
  g_clear_pointer (&self->exclude, g_hash_table_unref);
  g_clear_pointer (&self->exclude_users, g_hash_table_unref);
  g_free (self->connection);
  g_free (self->user);
  g_free (self->address);
  g_free (self->channel);
  *self = (ChoirAudience){ 0 };
}

static gboolean
is_among (GHashTable *names, const char *name)
{
  return names != NULL && name != NULL && g_hash_table_contains (names, name);
}

static gboolean
matches_names (const ChoirAudience *self, const ChoirAudienceSubject *subject)
{
  ChoirAudienceKeys keys = self->keys;

  if ((keys & CHOIR_AUDIENCE_USERS) && !is_among (self->users, subject->user))
    return FALSE;

  if ((keys & CHOIR_AUDIENCE_EXCLUDE_USERS) && is_among (self->exclude_users, subject->user))
    return FALSE;

  if ((keys & CHOIR_AUDIENCE_EXCLUDE) && is_among (self->exclude, subject->connection))
    return FALSE;

  return !(keys & CHOIR_AUDIENCE_CONNECTION) ||
         g_strcmp0 (subject->connection, self->connection) == 0;
}

/**
 * choir_audience_matches:
 * @self: an audience
 * @subject: one connection
 *
 * Returns: whether every key given matches
 */
gboolean
choir_audience_matches (const ChoirAudience *self, const ChoirAudienceSubject *subject)
{
  ChoirAudienceKeys keys = self->keys;

  if ((keys & CHOIR_AUDIENCE_DIALECT) && subject->dialect != self->dialect)
    return FALSE;

  if ((keys & CHOIR_AUDIENCE_SLOW) && subject->slow != self->slow)
    return FALSE;

  if ((keys & CHOIR_AUDIENCE_USER) && g_strcmp0 (subject->user, self->user) != 0)
    return FALSE;

  if ((keys & CHOIR_AUDIENCE_ADDRESS) && g_strcmp0 (subject->address, self->address) != 0)
    return FALSE;

  if (!matches_names (self, subject))
    return FALSE;

  return !(keys & CHOIR_AUDIENCE_CHANNEL) || subject->has_channel (subject->data, self->channel);
}

/**
 * choir_audience_is_slow:
 * @session: a session that has not ended
 *
 * Returns: whether more than half of what may wait for its client does
 */
gboolean
choir_audience_is_slow (ChoirSession *session)
{
  const ChoirOutbox *outbox = choir_session_get_outbox (session);

  return outbox != NULL && outbox->n_bytes > outbox->limits->max_bytes / 2;
}

static gboolean
has_channel (gconstpointer data, const char *channel)
{
  ChoirSession *session = (ChoirSession *) data;
  guint n = choir_session_get_n_subscriptions (session);

  for (guint i = 0; i < n; i++)
    {
      if (strcmp (choir_session_get_subscription (session, i)->channel->name, channel) == 0)
        return TRUE;
    }

  return FALSE;
}

/**
 * choir_audience_picks:
 * @self: an audience
 * @session: a session that has not ended
 *
 * Returns: whether @self means @session's connection
 */
gboolean
choir_audience_picks (const ChoirAudience *self, ChoirSession *session)
{
  ChoirLink *link = choir_session_get_link (session);
  g_autofree char *address = NULL;

  if ((self->keys & CHOIR_AUDIENCE_ADDRESS) && link != NULL)
    address = choir_link_dup_address (link);

  return choir_audience_matches (
    self, &(ChoirAudienceSubject){
            .connection = choir_session_get_connection_id (session),
            .user = choir_session_get_user_id (session),
            .address = address,
            .dialect = choir_dialect_get_id (choir_session_get_dialect (session)),
            .slow = choir_audience_is_slow (session),
            .has_channel = has_channel,
            .data = session,
          });
}
