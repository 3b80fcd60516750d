/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-document-room-private.h"

#include "choir-clock.h"
#include "choir-container.h"
#include "choir-payload.h"
#include "choir-session.h"
#include "choir-text-answer.h"

/* Members named in one answer, if they fit the asker's queue; their number is given in full */
#define MEMBERS_MAX 500

/* Members are looked over for silence no more often */
#define IDLE_CHECK_US G_USEC_PER_SEC

/* How long the text as it is sent stays for others who open the document at the same time */
#define CONTENT_US G_USEC_PER_SEC

/**
 * choir_document_room_new:
 * @hub: the hub
 * @channel: the document's
 * @document: held; the room gives the hold back
 *
 * Returns: (transfer full): a room without members
 */
ChoirDocumentRoom *
choir_document_room_new (ChoirHub *hub, ChoirChannel *channel, ChoirDocument *document)
{
  ChoirDocumentRoom *self = g_new0 (ChoirDocumentRoom, 1);

  self->hub = hub;
  self->channel = channel;
  self->document = document;
  self->news = g_ptr_array_new ();

  return self;
}

static void
drop_contents (ChoirDocumentRoom *self)
{
  for (guint i = 0; i < G_N_ELEMENTS (self->contents); i++)
    g_clear_pointer (&self->contents[i], choir_frame_unref);
}

void
choir_document_room_free (ChoirDocumentRoom *self)
{
  choir_turn_cancel (&self->task);
  choir_timer_disarm (&self->news_timer);
  choir_timer_disarm (&self->idle_timer);
  choir_timer_disarm (&self->content_timer);
  drop_contents (self);
  g_ptr_array_unref (self->news);
  choir_document_release (self->document);
  g_free (self);
}

ChoirDocument *
choir_document_room_get_document (ChoirDocumentRoom *self)
{
  return self->document;
}

static void
announce (ChoirDocumentRoom *self, const ChoirDocumentMember *member, const char *event)
{
  ChoirSession *session = member->subscription.session;
  g_autoptr (GString) payload = NULL;
  ChoirMessage message = {
    .type = "user.presence",
    .wall_us = choir_clock_wall_us (),
    .channel = self->channel->name,
    .user_id = choir_session_get_user_id (session),
    .session_id = choir_session_get_id (session),
  };

  if (!choir_document_room_tells_presence (self) || self->channel->n_subscribers == 0)
    return;

  payload = g_string_sized_new (512);
  choir_payload_open (payload);
  choir_payload_add_string (payload, "event", event);
  choir_payload_add_string (payload, "document_id", choir_document_get_id (self->document));
  choir_document_member_append (member, self->document, payload);
  choir_payload_add_int (payload, "count", self->channel->n_subscribers);
  choir_payload_close (payload);
  message.payload = choir_payload_as_slice (payload);

  choir_hub_send_to_channel (self->hub, self->channel, &message, session);
}

static void idle_cb (ChoirTimer *timer);

/**
 * choir_document_room_entered:
 * @self: a room
 * @member: who has just been added to the channel
 *
 * Tells the others.
 */
void
choir_document_room_entered (ChoirDocumentRoom *self, ChoirDocumentMember *member)
{
  choir_document_room_touch (self, member);
  announce (self, member, "user_joined");
}

/**
 * choir_document_room_left:
 * @self: a room
 * @member: who has just been removed from the channel
 *
 * Tells those who stay.
 */
void
choir_document_room_left (ChoirDocumentRoom *self, ChoirDocumentMember *member)
{
  choir_document_room_forget_news (self, member);
  announce (self, member, "user_left");
}

static gint64
get_idle_us (ChoirDocumentRoom *self)
{
  return choir_hub_get_settings (self->hub)->member_idle_us;
}

/**
 * choir_document_room_touch:
 * @self: a room
 * @member: a member that does something
 */
void
choir_document_room_touch (ChoirDocumentRoom *self, ChoirDocumentMember *member)
{
  gint64 idle_us = get_idle_us (self);

  member->active_us = choir_clock_monotonic_us ();
  if (member->flags & CHOIR_MEMBER_INACTIVE)
    {
      member->flags &= ~CHOIR_MEMBER_INACTIVE;
      choir_document_room_tell (self, member, CHOIR_MEMBER_ACTIVITY_NEWS);
    }

  if (idle_us > 0 && !choir_timer_is_armed (&self->idle_timer))
    choir_timer_wheel_arm (choir_hub_get_wheel (self->hub), &self->idle_timer, idle_us, idle_cb);
}

static void
idle_cb (ChoirTimer *timer)
{
  ChoirDocumentRoom *self = CHOIR_CONTAINER_OF (timer, ChoirDocumentRoom, idle_timer);
  gint64 idle_us = get_idle_us (self);
  gint64 now_us = choir_clock_monotonic_us ();
  gint64 next_us = G_MAXINT64;

  if (idle_us <= 0)
    return;

  for (guint i = 0; i < self->channel->n_subscribers; i++)
    {
      ChoirDocumentMember *member = (ChoirDocumentMember *) self->channel->subscribers[i];

      if (member->flags & CHOIR_MEMBER_INACTIVE)
        continue;

      if (now_us - member->active_us < idle_us)
        {
          next_us = MIN (next_us, member->active_us + idle_us);
          continue;
        }

      member->flags |= CHOIR_MEMBER_INACTIVE;
      choir_document_room_tell (self, member, CHOIR_MEMBER_ACTIVITY_NEWS);
    }

  if (next_us < G_MAXINT64)
    choir_timer_wheel_arm (choir_hub_get_wheel (self->hub), timer,
                           MAX (next_us - now_us, IDLE_CHECK_US), idle_cb);
}

/**
 * choir_document_room_append_members:
 * @self: a room
 * @payload: an object under construction: gets `count` and `members`
 */
void
choir_document_room_append_members (ChoirDocumentRoom *self, GString *payload)
{
  ChoirChannel *channel = self->channel;
  gsize budget = payload->len + choir_hub_get_settings (self->hub)->outbox.max_bytes / 4;
  guint n = channel->ns->presence ? MIN (channel->n_subscribers, MEMBERS_MAX) : 0;

  choir_payload_add_int (payload, "count", channel->n_subscribers);
  choir_payload_add_key (payload, "members");
  g_string_append_c (payload, '[');

  for (guint i = 0; i < n && payload->len < budget; i++)
    {
      if (i > 0)
        g_string_append_c (payload, ',');
      choir_payload_open (payload);
      choir_document_member_append ((ChoirDocumentMember *) channel->subscribers[i], self->document,
                                    payload);
      choir_payload_close (payload);
    }

  g_string_append_c (payload, ']');
}

static void
content_cb (ChoirTimer *timer)
{
  drop_contents (CHOIR_CONTAINER_OF (timer, ChoirDocumentRoom, content_timer));
}

/**
 * choir_document_room_get_content:
 * @self: a room
 * @binary: for CBOR
 *
 * Those who open a document at the same time share it.
 *
 * Returns: (transfer none): the present text as choir_text_answer_make_content() makes it
 */
ChoirFrame *
choir_document_room_get_content (ChoirDocumentRoom *self, gboolean binary)
{
  guint64 version = choir_document_get_version (self->document);
  ChoirFrame **content = &self->contents[binary ? 1 : 0];

  if (self->content_version != version)
    drop_contents (self);
  if (*content != NULL)
    return *content;

  *content = choir_text_answer_make_content (choir_document_get_text (self->document), binary);
  self->content_version = version;
  choir_timer_wheel_arm (choir_hub_get_wheel (self->hub), &self->content_timer, CONTENT_US,
                         content_cb);

  return *content;
}
