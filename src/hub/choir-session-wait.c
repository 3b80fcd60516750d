/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-session-private.h"

#include "choir-clock.h"
#include "choir-close-code.h"
#include "choir-task-table.h"

/*
 * A session without a link. It goes on being all it is to others; what is sent to it goes into a
 * waiting room in place of the link's outbox. The session's one timer ends it when nobody comes.
 */

/* Used here and when a client is back: everything that is sent to @self goes to @outbox now */
void
choir_session_set_outbox (ChoirSession *self, ChoirOutbox *outbox)
{
  self->outbox = outbox;
  for (guint i = 0; i < self->n_subscriptions; i++)
    self->subscriptions[i]->outbox = outbox;
}

/**
 * choir_session_is_waiting:
 * @self: a session
 *
 * A worker's tasks are given back as soon as this is so; whatever else a session is to others it
 * stays.
 *
 * Returns: whether its connection was lost, and its client may come back for it
 */
gboolean
choir_session_is_waiting (ChoirSession *self)
{
  return (self->flags & CHOIR_SESSION_WAITING) != 0;
}

static gboolean
can_be_found_again (ChoirSession *self)
{
  if (choir_link_names_session (self->link))
    return TRUE;

  switch (choir_dialect_get_table (self->dialect)->resume)
    {
    case CHOIR_RESUME_BY_SESSION:
    case CHOIR_RESUME_BY_USER:
      return TRUE;

    case CHOIR_RESUME_BY_CLIENT:
      return choir_session_get_client_id (self) != NULL;

    case CHOIR_RESUME_NEVER:
    default:
      return FALSE;
    }
}

/* Only one whose client was lost, and will be able to show whose it is */
static gboolean
may_wait (ChoirSession *self, guint close_code)
{
  const ChoirSettings *settings = choir_hub_get_settings (self->hub);

  if (close_code != CHOIR_CLOSE_ABNORMAL && close_code != CHOIR_CLOSE_GOING_AWAY)
    return FALSE;

  if (!(self->flags & CHOIR_SESSION_STARTED) || (self->flags & CHOIR_SESSION_CLOSING) ||
      self->user == NULL || self->claims == NULL || choir_claims_is_guest (self->claims))
    return FALSE;

  return settings->resume_window_us > 0 && !choir_hub_is_draining (self->hub) &&
         can_be_found_again (self) && choir_link_can_change_session (self->link) &&
         choir_session_get_expiry_us (self) > choir_clock_wall_us () &&
         choir_hub_get_waiting (self->hub)->n_sessions < settings->max_waiting;
}

static void
room_full (gpointer user_data)
{
  ChoirSession *self = user_data;

  /* in the middle of a fan-out: the timer does the rest */
  choir_session_arm_timer (self);
}

/* One user's connections that come and go must not take the room of everybody's sessions */
static void
end_oldest_wait (ChoirSession *self)
{
  guint max = choir_session_get_settings (self)->max_per_user;
  ChoirUser *user = self->user;

  if (max == 0 || choir_user_count_waiting (user, self->dialect) < max)
    return;

  for (guint i = 0; i < user->n_sessions; i++)
    {
      ChoirSession *other = user->sessions[i];

      if (other->dialect != self->dialect || !choir_session_is_waiting (other) ||
          choir_session_is_closing (other))
        continue;

      choir_session_end_wait (other, choir_hub_get_stats (self->hub)->waits_full);
      return;
    }
}

/*
 * The link is gone. If its client may come back the session begins to wait: it keeps itself alive
 * from now on, and the link knows it no more. FALSE: it has to end
 */
gboolean
choir_session_wait (ChoirSession *self, guint close_code)
{
  const ChoirSettings *settings = choir_hub_get_settings (self->hub);
  g_autoptr (ChoirWaitingRoom) room = NULL;
  ChoirSessionExtra *extra;
  ChoirLink *link = self->link;

  if (!may_wait (self, close_code))
    return FALSE;

  room = choir_waiting_room_new (&settings->outbox, self->outbox->variant);
  if (!choir_link_take_unsent (link, &room->outbox))
    return FALSE;

  /* what it hears of those that end on its account waits as well */
  choir_session_set_outbox (self, &room->outbox);
  end_oldest_wait (self);
  g_object_ref (self);
  choir_hub_lose_connection (self->hub, self, close_code);
  self->link = NULL;
  self->flags |= CHOIR_SESSION_WAITING;
  extra = choir_session_ensure_extra (self);
  extra->room = g_steal_pointer (&room);
  choir_waiting_room_enter (extra->room, choir_hub_get_waiting (self->hub),
                            settings->max_waiting_bytes, room_full, self);
  choir_tasks_leave (self->hub, self);
  choir_session_arm_timer (self);
  choir_link_set_session (link, NULL);

  return TRUE;
}

/* When something is to be decided about a session that waits, monotonic */
gint64
choir_session_get_wait_due (ChoirSession *self, gint64 now_us)
{
  gint64 window_us = choir_hub_get_settings (self->hub)->resume_window_us;
  gint64 expiry_us = choir_session_get_expiry_us (self);
  gint64 due_us = choir_session_get_held_due (self, now_us);

  if ((self->flags & CHOIR_SESSION_CLOSING) || choir_waiting_room_is_full (self->extra->room))
    return now_us;

  due_us = MIN (due_us, self->extra->room->since_us + window_us);
  if (expiry_us != G_MAXINT64)
    due_us = MIN (due_us, now_us + MAX (expiry_us - choir_clock_wall_us (), 0));

  return due_us;
}

/* Ends the waiting if nobody is expected any more, or could take up without a loss */
void
choir_session_check_wait (ChoirSession *self, gint64 now_us)
{
  ChoirStats *stats = choir_hub_get_stats (self->hub);
  gint64 window_us = choir_hub_get_settings (self->hub)->resume_window_us;

  if (self->flags & CHOIR_SESSION_CLOSING)
    choir_session_end_wait (self, stats->waits_closed);
  else if (choir_waiting_room_is_full (self->extra->room))
    choir_session_end_wait (self, stats->waits_full);
  else if (now_us - self->extra->room->since_us >= window_us)
    choir_session_end_wait (self, stats->waits_expired);
  else if (choir_session_get_expiry_us (self) <= choir_clock_wall_us ())
    choir_session_end_wait (self, stats->waits_unauthorized);
}

/* @reason: the counter for it. Not to be called while a channel or a user is walked */
void
choir_session_end_wait (ChoirSession *self, gint64 *reason)
{
  *reason += 1;
  choir_session_finish (self);
  self->flags &= ~CHOIR_SESSION_WAITING;
  g_clear_pointer (&self->extra->room, choir_waiting_room_free);
  g_object_unref (self);
}
