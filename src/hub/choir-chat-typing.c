/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-chat-private.h"

#include "choir-clock.h"
#include "choir-container.h"
#include "choir-payload.h"
#include "choir-session.h"

/*
 * Who is typing. Told on at once, and then as seldom as keeps the others' displays alive; told to
 * have ended when nothing more is heard of it. Only who is in a channel types there, so there are
 * never more of these than subscriptions.
 */

/* The others hear of one who goes on typing this often */
#define REPEAT_US G_USEC_PER_SEC

typedef struct
{
  char *channel;         /* (owned) */
  ChoirSession *session; /* borrowed: is in the channel */
  ChoirChat *chat;       /* borrowed */
  gint64 told_us;        /* monotonic */
  ChoirTimer timer;
} ChoirTyping;

static guint
hash_typing (gconstpointer data)
{
  const ChoirTyping *self = data;

  return g_str_hash (self->channel) ^ g_direct_hash (self->session);
}

static gboolean
equal_typing (gconstpointer a, gconstpointer b)
{
  const ChoirTyping *one = a, *other = b;

  return one->session == other->session && g_str_equal (one->channel, other->channel);
}

static void
free_typing (gpointer data)
{
  ChoirTyping *self = data;

  choir_timer_disarm (&self->timer);
  g_free (self->channel);
  g_free (self);
}

GHashTable *
choir_chat_typing_new (void)
{
  return g_hash_table_new_full (hash_typing, equal_typing, free_typing, NULL);
}

static void
tell (const ChoirTyping *self, const char *type, ChoirSlice payload)
{
  ChoirPublication publication = {
    .channel = self->channel,
    .type = type,
    .payload = payload,
    .user_id = choir_session_get_user_id (self->session),
    .session_id = choir_session_get_id (self->session),
    .except = self->session,
    .transient = TRUE,
  };
  ChoirPublished published;

  choir_hub_publish (self->chat->hub, &publication, &published, NULL);
}

static void
tell_end (const ChoirTyping *self)
{
  g_autoptr (GString) payload = g_string_sized_new (128);

  choir_payload_open (payload);
  choir_payload_add_string (payload, "user_id", choir_session_get_user_id (self->session));
  choir_payload_add_string (payload, "session_id", choir_session_get_id (self->session));
  choir_payload_add_boolean (payload, "is_typing", FALSE);
  choir_payload_close (payload);
  tell (self, "chat.typing.end", choir_payload_as_slice (payload));
}

static void
timeout_cb (ChoirTimer *timer)
{
  ChoirTyping *self = CHOIR_CONTAINER_OF (timer, ChoirTyping, timer);

  tell_end (self);
  g_hash_table_remove (self->chat->typing, self);
}

/**
 * choir_chat_session_left:
 * @self: the chats of a hub
 * @session: who is no longer in @channel
 * @channel: its name
 *
 * It does not type there any more.
 */
void
choir_chat_session_left (ChoirChat *self, ChoirSession *session, const char *channel)
{
  const ChoirTyping key = { .channel = (char *) channel, .session = session };
  ChoirTyping *typing = g_hash_table_lookup (self->typing, &key);

  if (typing == NULL)
    return;

  tell_end (typing);
  g_hash_table_remove (self->typing, typing);
}

static ChoirTyping *
begin (ChoirChat *self, ChoirSession *session, const char *channel)
{
  ChoirTyping *typing = g_new0 (ChoirTyping, 1);

  typing->chat = self;
  typing->session = session;
  typing->channel = g_strdup (channel);
  g_hash_table_add (self->typing, typing);

  return typing;
}

/**
 * choir_chat_type:
 * @self: the chats of a hub
 * @session: who is in @channel
 * @channel: its name
 * @payload: what it says, with its sender
 * @is_typing: %FALSE: it types no more
 *
 * Tells the others, unless they have just been told the same.
 */
void
choir_chat_type (ChoirChat *self,
                 ChoirSession *session,
                 const char *channel,
                 ChoirSlice payload,
                 gboolean is_typing)
{
  const ChoirTyping key = { .channel = (char *) channel, .session = session };
  ChoirTyping *typing = g_hash_table_lookup (self->typing, &key);
  gint64 now_us = choir_clock_monotonic_us ();

  if (!is_typing)
    {
      choir_chat_session_left (self, session, channel);
      return;
    }

  if (typing == NULL || now_us - typing->told_us >= REPEAT_US)
    {
      if (typing == NULL)
        typing = begin (self, session, channel);
      typing->told_us = now_us;
      tell (typing, "chat.typing", payload);
    }

  choir_timer_wheel_arm (choir_hub_get_wheel (self->hub), &typing->timer,
                         choir_hub_get_settings (self->hub)->chat.typing_us, timeout_cb);
}
