/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-hub-private.h"

#include "choir-clock.h"
#include "choir-close-code.h"
#include "choir-session-private.h"

/*
 * Who is here. A session that waits for its client is known, and hears; but it is no connection:
 * limits and figures pass over it.
 */

guint
choir_hub_get_n_sessions (ChoirHub *self)
{
  return self->sessions->len;
}

guint
choir_hub_get_n_connections (ChoirHub *self)
{
  return self->sessions->len - self->waiting.n_sessions;
}

/* What the sessions that wait take together */
ChoirWaitingBudget *
choir_hub_get_waiting (ChoirHub *self)
{
  return &self->waiting;
}

/**
 * choir_hub_get_session:
 * @self: a hub
 * @i: below choir_hub_get_n_sessions(); the order changes when a session ends
 *
 * Returns: (transfer none): a session
 */
ChoirSession *
choir_hub_get_session (ChoirHub *self, guint i)
{
  return g_ptr_array_index (self->sessions, i);
}

/**
 * choir_hub_find_session:
 * @self: a hub
 * @connection_id: what `connection.established` named
 *
 * Returns: (transfer none) (nullable): the session of that connection
 */
ChoirSession *
choir_hub_find_session (ChoirHub *self, const char *connection_id)
{
  return g_hash_table_lookup (self->by_connection, connection_id);
}

/**
 * choir_hub_find_by_id:
 * @self: a hub
 * @session_id: what `connection.established` named
 *
 * Returns: (transfer none) (nullable): that session, whether it has a connection or not
 */
ChoirSession *
choir_hub_find_by_id (ChoirHub *self, const char *session_id)
{
  return g_hash_table_lookup (self->by_session, session_id);
}

ChoirUser *
choir_hub_find_user (ChoirHub *self, const char *user_id)
{
  return g_hash_table_lookup (self->users, user_id);
}

guint
choir_hub_get_n_users (ChoirHub *self)
{
  return *self->stats->users;
}

/**
 * choir_hub_kick_user:
 * @self: a hub
 * @user_id: a user
 * @reason: shown to the client
 *
 * Closes all connections of a user, with 4002, and ends the sessions that wait for it.
 *
 * Returns: how many connections
 */
guint
choir_hub_kick_user (ChoirHub *self, const char *user_id, const char *reason)
{
  ChoirUser *user = choir_hub_find_user (self, user_id);
  guint n = user != NULL ? choir_user_count_staying (user) : 0;

  for (guint i = 0; user != NULL && i < user->n_sessions; i++)
    choir_session_close (user->sessions[i], CHOIR_CLOSE_KICKED, reason);

  return n;
}

static void
user_came (ChoirHub *self, ChoirUser *user)
{
  if (user->n_connected++ > 0)
    return;

  *self->stats->users += 1;
  if (user->left_us == 0)
    return;

  *self->stats->reconnects += 1;
  choir_histogram_record (self->stats->reconnection,
                          (choir_clock_monotonic_us () - user->left_us) / (double) G_USEC_PER_SEC);
}

static void
user_went (ChoirHub *self, ChoirUser *user)
{
  if (--user->n_connected > 0)
    return;

  user->left_us = choir_clock_monotonic_us ();
  *self->stats->users -= 1;
}

/* @session: has a link that is not known yet */
static void
gain_connection (ChoirHub *self, ChoirSession *session)
{
  ChoirDialectId dialect = choir_dialect_get_id (session->dialect);

  g_hash_table_insert (self->by_connection, (char *) choir_link_get_id (session->link), session);
  self->dialect_sessions[dialect]++;
  *self->stats->dialects[dialect] += 1;
  *self->stats->active += 1;
}

static void
forget_connection (ChoirHub *self, ChoirSession *session)
{
  ChoirDialectId dialect = choir_dialect_get_id (session->dialect);

  g_hash_table_remove (self->by_connection, choir_link_get_id (session->link));
  self->dialect_sessions[dialect]--;
  *self->stats->dialects[dialect] -= 1;
  *self->stats->active -= 1;
}

/* Called by a session that has been made */
void
choir_hub_add_session (ChoirHub *self, ChoirSession *session)
{
  session->hub_index = self->sessions->len;
  g_ptr_array_add (self->sessions, session);
  g_hash_table_insert (self->by_session, session->id, session);
  gain_connection (self, session);
  *self->stats->accepted += 1;
}

/* Called by a session, connected up to now, whose link is gone, or goes on without it */
void
choir_hub_lose_connection (ChoirHub *self, ChoirSession *session, guint close_code)
{
  gint64 life_us = choir_clock_monotonic_us () - session->opened_us;

  forget_connection (self, session);
  *self->stats->closed += 1;
  choir_histogram_record (self->stats->duration, life_us / (double) G_USEC_PER_SEC);
  choir_stats_count_closed (self->stats, close_code);
  if (close_code == CHOIR_CLOSE_SLOW_CONSUMER)
    choir_hub_report_overload (self, "slow-consumer", "user", choir_session_get_user_id (session));
  if (session->user != NULL)
    {
      user_went (self, session->user);
      choir_hub_report_disconnected (self, session, close_code);
    }
}

static void
forget_session (ChoirHub *self, ChoirSession *session)
{
  guint i = session->hub_index;

  g_assert (g_ptr_array_index (self->sessions, i) == session);

  g_ptr_array_remove_index_fast (self->sessions, i);
  if (i < self->sessions->len)
    ((ChoirSession *) g_ptr_array_index (self->sessions, i))->hub_index = i;

  g_hash_table_remove (self->by_session, session->id);
}

/* Called by a session that ends, and has lost its connection */
void
choir_hub_remove_session (ChoirHub *self, ChoirSession *session)
{
  forget_session (self, session);
  choir_hub_drain_check (self);
}

/* The connection of @session, which is in the way of @lost, becomes that of @lost, which has none
 */
void
choir_hub_replace_session (ChoirHub *self, ChoirSession *session, ChoirSession *lost)
{
  forget_connection (self, session);
  forget_session (self, session);
  lost->link = session->link;
  gain_connection (self, lost);
  user_came (self, lost->user);
}

/* The one of that name, made if there is none; it is somebody once a session has joined it */
ChoirUser *
choir_hub_ensure_user (ChoirHub *self, const char *user_id)
{
  ChoirUser *user = choir_hub_find_user (self, user_id);

  if (user == NULL)
    {
      user = choir_user_new (user_id);
      g_hash_table_insert (self->users, user->id, user);
    }

  return user;
}

/* Called by a session that has learnt whose it is */
void
choir_hub_join_user (ChoirHub *self, ChoirUser *user, ChoirSession *session)
{
  choir_user_add (user, session);
  user_came (self, user);
}

/* Called by a session that ends, or becomes another user's. The entry stays until the sweep, so
 * that reconnecting does not refill the rate meter */
void
choir_hub_leave_user (ChoirHub *self, ChoirUser *user, ChoirSession *session)
{
  choir_user_remove (user, session);
  if (session->link != NULL)
    user_went (self, user);
}

/* Nobody may come back any more */
void
choir_hub_end_waiting (ChoirHub *self)
{
  for (guint i = self->sessions->len; i-- > 0;)
    {
      ChoirSession *session = g_ptr_array_index (self->sessions, i);

      if (choir_session_is_waiting (session))
        choir_session_end_wait (session, self->stats->waits_closed);
    }
}
