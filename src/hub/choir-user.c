/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-user.h"

#include "choir-session.h"

#include <string.h>

ChoirUser *
choir_user_new (const char *id)
{
  gsize size = strlen (id) + 1;
  ChoirUser *self = g_malloc0 (sizeof *self + size);

  memcpy (self->id, id, size);

  return self;
}

void
choir_user_free (ChoirUser *self)
{
  g_assert (self->n_sessions == 0);

  choir_rate_meter_clear (&self->meter);
  g_free (self->sessions);
  g_free (self);
}

/**
 * choir_user_add:
 * @self: a user
 * @session: (transfer none): its newest session
 */
void
choir_user_add (ChoirUser *self, ChoirSession *session)
{
  if (self->n_sessions == self->capacity)
    {
      self->capacity = MAX (1, self->capacity * 2);
      self->sessions = g_renew (ChoirSession *, self->sessions, self->capacity);
    }

  self->sessions[self->n_sessions++] = session;
}

/**
 * choir_user_count_staying:
 * @self: a user
 *
 * Returns: its sessions that have a connection and have not been told to go: those that limits
 * count
 */
guint
choir_user_count_staying (const ChoirUser *self)
{
  guint n = 0;

  for (guint i = 0; i < self->n_sessions; i++)
    if (!choir_session_is_closing (self->sessions[i]) &&
        !choir_session_is_waiting (self->sessions[i]))
      n++;

  return n;
}

/**
 * choir_user_count_waiting:
 * @self: a user
 * @dialect: a dialect
 *
 * Returns: its sessions of @dialect that wait to be taken over
 */
guint
choir_user_count_waiting (const ChoirUser *self, const ChoirDialect *dialect)
{
  guint n = 0;

  for (guint i = 0; i < self->n_sessions; i++)
    if (choir_session_is_waiting (self->sessions[i]) &&
        !choir_session_is_closing (self->sessions[i]) &&
        choir_session_get_dialect (self->sessions[i]) == dialect)
      n++;

  return n;
}

void
choir_user_remove (ChoirUser *self, ChoirSession *session)
{
  for (guint i = 0; i < self->n_sessions; i++)
    {
      if (self->sessions[i] != session)
        continue;

      self->n_sessions--;
      memmove (self->sessions + i, self->sessions + i + 1,
               (self->n_sessions - i) * sizeof *self->sessions);
      return;
    }

  g_assert_not_reached ();
}
