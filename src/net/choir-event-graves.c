/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-event-graves.h"

#include "choir-clock.h"

typedef struct
{
  char *session_id; /* (owned) */
  char *user_id;    /* (owned) */
  gint64 since_us;  /* monotonic */
} Grave;

struct _ChoirEventGraves
{
  GHashTable *by_session; /* (element-type utf8 Grave) */
  GQueue all;             /* (element-type Grave) (owned): oldest first */
};

/**
 * choir_event_graves_new:
 *
 * Returns: (transfer full): none yet
 */
ChoirEventGraves *
choir_event_graves_new (void)
{
  ChoirEventGraves *self = g_new0 (ChoirEventGraves, 1);

  self->by_session = g_hash_table_new (g_str_hash, g_str_equal);
  g_queue_init (&self->all);

  return self;
}

static void
forget_oldest (ChoirEventGraves *self)
{
  Grave *grave = g_queue_pop_head (&self->all);

  g_hash_table_remove (self->by_session, grave->session_id);
  g_free (grave->session_id);
  g_free (grave->user_id);
  g_free (grave);
}

static void
forget_old (ChoirEventGraves *self)
{
  gint64 oldest_us = choir_clock_monotonic_us () - CHOIR_EVENT_GRAVES_US;

  while (self->all.length > 0 && ((Grave *) g_queue_peek_head (&self->all))->since_us < oldest_us)
    forget_oldest (self);
}

void
choir_event_graves_free (ChoirEventGraves *self)
{
  while (self->all.length > 0)
    forget_oldest (self);

  g_hash_table_unref (self->by_session);
  g_free (self);
}

/**
 * choir_event_graves_add:
 * @self: the graves
 * @session_id: of a session that has been ended for good, for the first time
 * @user_id: whose it was
 */
void
choir_event_graves_add (ChoirEventGraves *self, const char *session_id, const char *user_id)
{
  Grave *grave;

  forget_old (self);
  if (g_hash_table_contains (self->by_session, session_id))
    return;

  if (self->all.length == CHOIR_EVENT_GRAVES_MAX)
    forget_oldest (self);

  grave = g_new (Grave, 1);
  *grave = (Grave){ g_strdup (session_id), g_strdup (user_id), choir_clock_monotonic_us () };
  g_queue_push_tail (&self->all, grave);
  g_hash_table_insert (self->by_session, grave->session_id, grave);
}

/**
 * choir_event_graves_has:
 * @self: the graves
 * @session_id: what a client says its session was
 * @user_id: who the client is
 *
 * Returns: whether it was, and is over for good
 */
gboolean
choir_event_graves_has (ChoirEventGraves *self, const char *session_id, const char *user_id)
{
  const Grave *grave;

  forget_old (self);
  grave = g_hash_table_lookup (self->by_session, session_id);

  return grave != NULL && g_str_equal (grave->user_id, user_id);
}

guint
choir_event_graves_get_n (const ChoirEventGraves *self)
{
  return self->all.length;
}
