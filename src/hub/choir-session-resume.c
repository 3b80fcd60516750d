/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-session-private.h"

#include "choir-chat.h"
#include "choir-clock.h"
#include "choir-close-code.h"
#include "choir-observer.h"
#include "choir-task-table.h"

#include <string.h>

/*
 * A client is back. Its new connection began with a session of its own, which knows nobody and is
 * known to nobody yet; the link passes from that to the session that was lost. So whoever has to do
 * with the lost one, a document it edits for instance, need not learn anything.
 */

static gboolean
is_meant (ChoirSession *self, const ChoirReturning *who)
{
  if (self == NULL || self->dialect != who->dialect || self->claims == NULL || self->user == NULL ||
      choir_claims_is_guest (self->claims) || (self->flags & CHOIR_SESSION_CLOSING))
    return FALSE;

  return strcmp (self->user->id, who->user_id) == 0 &&
         g_strcmp0 (choir_session_get_default_channel (self), who->default_channel) == 0 &&
         !(choir_session_is_waiting (self) && choir_waiting_room_is_full (self->extra->room));
}

/* Those that were lost last are likeliest to be looked for */
static ChoirSession *
find_latest (ChoirHub *hub, const ChoirReturning *who, gboolean by_client)
{
  ChoirUser *user = choir_hub_find_user (hub, who->user_id);
  ChoirSession *latest = NULL;

  for (guint i = 0; user != NULL && i < user->n_sessions; i++)
    {
      ChoirSession *session = user->sessions[i];

      if (!choir_session_is_waiting (session) || !is_meant (session, who) ||
          (by_client && g_strcmp0 (choir_session_get_client_id (session), who->client_id) != 0))
        continue;

      if (latest == NULL || session->extra->room->since_us >= latest->extra->room->since_us)
        latest = session;
    }

  return latest;
}

/**
 * choir_session_find_lost:
 * @hub: a hub
 * @who: who comes back
 *
 * By its id a session is also found while it is connected: a client often learns before the service
 * that a connection is dead. Where clients name no session only one that waits can be meant.
 *
 * Returns: (transfer none) (nullable): the session that it can take over
 */
ChoirSession *
choir_session_find_lost (ChoirHub *hub, const ChoirReturning *who)
{
  ChoirResumeStyle style = choir_dialect_get_table (who->dialect)->resume;
  ChoirSession *named;

  if ((style == CHOIR_RESUME_NEVER && !who->names_session) || choir_hub_is_draining (hub))
    return NULL;

  if (who->session_id != NULL)
    {
      named = choir_hub_find_by_id (hub, who->session_id);
      if (is_meant (named, who))
        return named;
    }

  if (style == CHOIR_RESUME_BY_USER || (style == CHOIR_RESUME_BY_CLIENT && who->client_id != NULL))
    return find_latest (hub, who, style == CHOIR_RESUME_BY_CLIENT);

  return NULL;
}

/* Still connected, as far as we know: what its connection has not written is taken back */
static gboolean
tear_off (ChoirSession *self)
{
  const ChoirSettings *settings = choir_hub_get_settings (self->hub);
  const ChoirDialectTable *table = choir_dialect_get_table (self->dialect);
  g_autoptr (ChoirWaitingRoom) room = NULL;
  ChoirLink *link = self->link;

  if (!choir_link_can_change_session (link))
    return FALSE;

  room = choir_waiting_room_new (&settings->outbox, self->outbox->variant);
  if (!choir_link_take_unsent (link, &room->outbox))
    return FALSE;

  g_object_ref (self);
  choir_session_set_outbox (self, &room->outbox);
  choir_hub_lose_connection (self->hub, self, table->eviction_close_code);
  self->link = NULL;
  self->flags |= CHOIR_SESSION_WAITING;
  choir_session_ensure_extra (self)->room = g_steal_pointer (&room);
  choir_link_close (link, table->eviction_close_code, "Its session goes on elsewhere");
  choir_link_set_session (link, NULL);
  choir_tasks_leave (self->hub, self);
  if (!choir_waiting_room_is_full (self->extra->room))
    return TRUE;

  choir_session_end_wait (self, choir_hub_get_stats (self->hub)->waits_full);

  return FALSE;
}

/* What @self was sent before it was known whose it is */
static void
move_held (ChoirSession *self, ChoirSession *lost)
{
  ChoirSessionExtra *extra = self->extra;
  ChoirHeldMessage *held;

  while (extra != NULL && (held = g_queue_pop_head (&extra->held)) != NULL)
    {
      g_queue_push_tail (&lost->extra->held, held);
      extra->held_bytes -= held->len;
      lost->extra->held_bytes += held->len;
    }
}

/* The user's newest: the next one that is too many is not this one */
static void
move_to_end (ChoirSession *self)
{
  choir_user_remove (self->user, self);
  choir_user_add (self->user, self);
}

static void
pass_link (ChoirSession *self, ChoirSession *lost)
{
  const ChoirDialectSettings *settings = choir_session_get_settings (lost);
  ChoirLink *link = self->link;
  ChoirOutbox *outbox = self->outbox;

  choir_timer_disarm (&self->timer);
  choir_session_unsubscribe_all (self);
  choir_chat_session_ended (choir_hub_get_chat (self->hub), self);
  if (self->user != NULL)
    choir_hub_leave_user (self->hub, g_steal_pointer (&self->user), self);
  self->flags |= CHOIR_SESSION_ENDED | CHOIR_SESSION_CLOSING;
  choir_hub_replace_session (self->hub, self, lost);
  self->link = NULL;
  self->outbox = NULL;

  lost->link = link;
  lost->flags &= ~CHOIR_SESSION_WAITING;
  if (lost->extra->began_us == 0)
    lost->extra->began_us = lost->opened_us;
  lost->opened_us = self->opened_us;
  lost->heartbeat_due_us = choir_clock_monotonic_us () + settings->heartbeat_us;
  choir_session_set_outbox (lost, outbox);
  move_held (self, lost);
  move_to_end (lost);
  choir_session_ensure_extra (self)->successor = g_object_ref (lost);
  choir_link_set_session (link, lost);
}

/* Whether it waited, it waits no longer than this call */
static gboolean
prepare (ChoirSession *self, ChoirSession *lost)
{
  ChoirStats *stats = choir_hub_get_stats (self->hub);

  if (!choir_session_is_waiting (lost))
    {
      if (!tear_off (lost))
        return FALSE;
      *stats->taken_over += 1;
      return TRUE;
    }

  /* a connection more, for the user's limit */
  if (!choir_session_check_place (lost, lost->user->id, NULL))
    return FALSE;

  choir_session_make_place (lost);
  *stats->resumed += 1;

  return TRUE;
}

/*
 * Gives the link of a session that has just begun to the one its client had before. The caller says
 * so, and then calls choir_session_catch_up() with it. (nullable): there is none, or it has lost
 * something. @self has ended then, without a word.
 */
ChoirSession *
choir_session_resume (ChoirSession *self, ChoirClaims *claims, const char *session_id)
{
  const ChoirReturning who = {
    .dialect = self->dialect,
    .user_id = choir_claims_get_user_id (claims),
    .session_id = session_id,
    .names_session = choir_link_names_session (self->link),
    .client_id = choir_session_get_client_id (self),
    .default_channel = choir_session_get_default_channel (self),
  };
  ChoirSession *lost;
  gboolean was_told;

  if (choir_claims_is_guest (claims) || !choir_link_can_change_session (self->link))
    return NULL;

  lost = choir_session_find_lost (self->hub, &who);
  if (lost == self)
    return NULL;

  if (lost == NULL || !prepare (self, lost))
    {
      if (session_id != NULL)
        *choir_hub_get_stats (self->hub)->not_resumed += 1;
      return NULL;
    }

  was_told = self->user != NULL;
  pass_link (self, lost);
  choir_session_set_claims (lost, claims);
  if (!was_told)
    choir_hub_report_connected (lost->hub, lost);

  return lost;
}

/* What can be compressed for the new connection, and need not stay as it is */
static gboolean
is_message (const ChoirFrame *frame)
{
  guint8 first = *choir_frame_get_data (frame);

  return !(frame->flags & (CHOIR_FRAME_JOINED | CHOIR_FRAME_LARGE)) &&
         (first == (0x80 | CHOIR_OPCODE_TEXT) || first == (0x80 | CHOIR_OPCODE_BINARY));
}

static void
push_each (ChoirSession *self, ChoirOutbox *room)
{
  ChoirBroadcaster *broadcaster = choir_hub_get_broadcaster (self->hub);

  for (guint i = 0; i < room->n_frames; i++)
    {
      ChoirFrame *frame = choir_outbox_get_frame (room, i);

      if (is_message (frame))
        choir_broadcaster_send_frame (broadcaster, self->outbox, frame);
      else if (frame->flags & CHOIR_FRAME_LARGE)
        choir_outbox_push_large (self->outbox, frame, G_MAXUINT8);
      else
        choir_outbox_push (self->outbox, frame);
    }
}

/* A run of frames as one block, counted apart */
static void
push_run (ChoirSession *self, GPtrArray *run)
{
  g_autoptr (ChoirFrame) block = NULL;

  if (run->len == 0)
    return;

  block = choir_frame_new_joined ((ChoirFrame *const *) run->pdata, run->len);
  if (run->len == 1 && !(block->flags & CHOIR_FRAME_LARGE))
    choir_outbox_push (self->outbox, block);
  else
    choir_outbox_push_large (self->outbox, block, G_MAXUINT8);
  g_ptr_array_set_size (run, 0);
}

/* What has waited may fill a queue: it must leave the room that there is to what comes next */
static void
push_in_runs (ChoirSession *self, ChoirOutbox *room)
{
  ChoirBroadcaster *broadcaster = choir_hub_get_broadcaster (self->hub);
  g_autoptr (GPtrArray) run = g_ptr_array_new_with_free_func ((GDestroyNotify) choir_frame_unref);

  for (guint i = 0; i < room->n_frames; i++)
    {
      ChoirFrame *frame = choir_outbox_get_frame (room, i);

      if (frame->flags & CHOIR_FRAME_LARGE)
        {
          push_run (self, run);
          choir_outbox_push_large (self->outbox, frame, G_MAXUINT8);
        }
      else if (is_message (frame))
        g_ptr_array_add (run, choir_broadcaster_compress (broadcaster, self->outbox, frame));
      else
        g_ptr_array_add (run, choir_frame_ref (frame));
    }

  push_run (self, run);
}

/* Gives the client what it has missed, once it has been told that it has its session back */
void
choir_session_catch_up (ChoirSession *self)
{
  G_GNUC_UNUSED g_autoptr (ChoirSession) waited = self;
  g_autoptr (ChoirWaitingRoom) room = g_steal_pointer (&self->extra->room);
  gsize n_bytes = room->outbox.n_bytes - room->outbox.n_apart;

  if (n_bytes <= room->outbox.limits->max_bytes / 4)
    push_each (self, &room->outbox);
  else
    push_in_runs (self, &room->outbox);

  choir_tasks_catch_up (self->hub, self);
  choir_session_drop_forbidden (self);
  choir_session_release_held (self);
  choir_session_arm_timer (self);
}
