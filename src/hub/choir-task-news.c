/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-task-private.h"

#include "choir-clock.h"
#include "choir-handlers.h"
#include "choir-hub-private.h"
#include "choir-payload.h"
#include "choir-session.h"

/*
 * Who hears of a task: the subscribers of the channel that the request named, or else all sessions
 * of the user; besides whoever watches the conversation (agent-status:ID). Nobody hears it twice.
 */

/* Of a message besides what it is about: about so many bytes */
#define TEXT_HEAD 1024

static ChoirMessage
make_message (const ChoirTask *task, const char *type, ChoirSlice payload, const char *channel)
{
  return (ChoirMessage){
    .type = type,
    .payload = payload,
    .wall_us = choir_clock_wall_us (),
    .correlation_id = choir_slice (task->correlation_id),
    .channel = channel,
  };
}

static gboolean
is_subscribed (ChoirSession *session, const ChoirChannel *channel)
{
  for (guint i = 0; channel != NULL && i < choir_session_get_n_subscriptions (session); i++)
    if (choir_session_get_subscription (session, i)->channel == channel)
      return TRUE;

  return FALSE;
}

/* Those of @sessions that do not hear it on @other anyway. One that waits for its client gets it as
 * well, but may end before anybody has read it: it is not counted */
static guint
send_to (ChoirTask *task,
         ChoirSession *const *sessions,
         guint n,
         const ChoirMessage *message,
         const ChoirChannel *other)
{
  ChoirBroadcaster *broadcaster = choir_hub_get_broadcaster (task->table->hub);
  ChoirFanout fanout;

  choir_fanout_begin (&fanout, broadcaster, message);
  for (guint i = 0; i < n; i++)
    {
      guint n_before = fanout.n_recipients;

      if (choir_session_get_claims (sessions[i]) == NULL ||
          choir_session_get_outbox (sessions[i]) == NULL || is_subscribed (sessions[i], other))
        continue;

      choir_fanout_push (&fanout, choir_session_get_outbox (sessions[i]));
      if (choir_session_is_waiting (sessions[i]))
        fanout.n_recipients = n_before;
    }
  choir_fanout_end (&fanout);
  if (choir_hub_is_observed (task->table->hub))
    choir_hub_report_published (task->table->hub, message, NULL, fanout.n_recipients);

  return fanout.n_recipients;
}

static ChoirChannel *
find_status (const ChoirTask *task)
{
  g_autofree char *name = NULL;

  if (task->status_id == NULL)
    return NULL;

  name = g_strconcat (CHOIR_TASK_STATUS_PREFIX, task->status_id, NULL);

  return choir_hub_find_channel (task->table->hub, name);
}

/* Those who hear of it, @other aside; the named channel's subscribers, or the user's sessions */
static guint
send_to_requester (ChoirTask *task, const char *type, ChoirSlice payload, const ChoirChannel *other)
{
  ChoirHub *hub = task->table->hub;
  g_autofree char *name = NULL;
  ChoirMessage message;
  ChoirUser *user;
  guint n = 0;

  if (task->channel != NULL)
    {
      ChoirChannel *channel = choir_hub_find_channel (hub, task->channel);

      if (channel == NULL || channel == other)
        return 0;

      g_autofree ChoirSession **sessions = g_new (ChoirSession *, channel->n_subscribers);

      for (guint i = 0; i < channel->n_subscribers; i++)
        sessions[n++] = channel->subscribers[i]->session;
      message = make_message (task, type, payload, task->channel);

      return send_to (task, sessions, n, &message, other);
    }

  user = choir_hub_find_user (hub, task->user_id);
  if (user == NULL)
    return 0;

  name = g_strconcat ("user:", task->user_id, NULL);
  message = make_message (task, type, payload, name);

  return send_to (task, user->sessions, user->n_sessions, &message, other);
}

/**
 * choir_task_announce:
 * @task: one of a table
 * @type: what is said, a constant
 * @payload: raw JSON object
 *
 * Tells everybody who hears of it.
 *
 * Returns: how many
 */
guint
choir_task_announce (ChoirTask *task, const char *type, ChoirSlice payload)
{
  ChoirChannel *status = find_status (task);
  guint n = send_to_requester (task, type, payload, status);

  if (status != NULL)
    {
      ChoirMessage message = make_message (task, type, payload, status->name);

      n += choir_broadcaster_send_to_channel (choir_hub_get_broadcaster (task->table->hub), status,
                                              &message, NULL);
      if (choir_hub_is_observed (task->table->hub))
        choir_hub_report_published (task->table->hub, &message, NULL, status->n_subscribers);
    }

  *choir_stats_for_answer (choir_hub_get_stats (task->table->hub), type)->sent += n;

  return n;
}

/**
 * choir_task_announce_end:
 * @task: one that has just ended
 *
 * Tells how; if nobody was there, the requester is told when it comes back.
 */
void
choir_task_announce_end (ChoirTask *task)
{
  ChoirSlice payload = choir_payload_as_slice (task->ending->payload);

  if (choir_task_announce (task, choir_task_get_end_type (task), payload) > 0)
    {
      choir_task_store_heard (task);
      return;
    }

  task->flags |= CHOIR_TASK_UNHEARD;
  g_queue_push_tail_link (&task->user->unheard, &task->heard_link);
}

/* One who comes late is told no more than may wait for it besides everything else */
typedef struct
{
  ChoirSession *session;
  const char *channel; /* on which it is told */
  gsize left;          /* bytes */
} Greeting;

/* FALSE if its contract has no word for it, or there is no room */
static gboolean
send_late (Greeting *self, const ChoirTask *task, const char *type, GString *payload)
{
  ChoirHub *hub = choir_session_get_hub (self->session);
  ChoirOutbox *outbox = choir_session_get_outbox (self->session);
  ChoirMessage message;

  g_string_truncate (payload, payload->len - 1);
  choir_payload_add_boolean (payload, "replayed", TRUE);
  choir_payload_close (payload);

  message = make_message (task, type, choir_payload_as_slice (payload), self->channel);
  if (outbox == NULL || payload->len > self->left ||
      !choir_session_send_message (self->session, &message))
    return FALSE;

  self->left -= payload->len;
  *choir_stats_for_answer (choir_hub_get_stats (hub), type)->sent += 1;

  return TRUE;
}

/* (transfer full): a chunk that begins the text, with about @max bytes of it */
static GString *
make_chunk (const ChoirTask *task, gsize max)
{
  const GString *text = task->text;
  gsize len = text->len;
  g_autofree char *content = NULL;
  g_autoptr (GString) said = NULL;

  if (len > max)
    len = (gsize) (g_utf8_find_prev_char (text->str, text->str + max + 1) - text->str);

  content = g_strndup (text->str, len);
  said = g_string_sized_new (len + 64);
  choir_payload_open (said);
  choir_payload_add_string (said, "content", content);
  if ((task->flags & CHOIR_TASK_CUT) || len < text->len)
    choir_payload_add_boolean (said, "truncated", TRUE);
  choir_payload_close (said);

  return choir_task_make_event (task, choir_payload_as_slice (said));
}

/* As much of the text as there is room for */
static void
send_text (Greeting *self, const ChoirTask *task)
{
  gsize room = self->left - MIN (self->left, TEXT_HEAD);
  g_autoptr (GString) payload = make_chunk (task, room);

  /* a character escaped is at most six times as long */
  if (payload->len + TEXT_HEAD > self->left)
    {
      g_string_free (payload, TRUE);
      payload = make_chunk (task, room / 6);
    }

  send_late (self, task, "task.chunk", payload);
}

static void
send_accepted (Greeting *self, const ChoirTask *task)
{
  g_autoptr (GString) said = g_string_new (NULL);
  g_autoptr (GString) payload = NULL;

  choir_payload_open (said);
  choir_payload_add_string (said, "state", choir_task_state_get_name (task->state));
  choir_payload_close (said);

  payload = choir_task_make_event (task, choir_payload_as_slice (said));
  send_late (self, task, "task.accepted", payload);
}

/* How an unfinished one stands: the newest that was said, and the text so far as one chunk */
static void
send_state (Greeting *self, const ChoirTask *task)
{
  if (task->flags & CHOIR_TASK_STORING)
    return;

  if (task->event != NULL && task->event->len + TEXT_HEAD <= self->left)
    {
      g_autoptr (GString) payload = g_string_new_len (task->event->str, (gssize) task->event->len);

      send_late (self, task, task->event_type, payload);
    }
  else
    send_accepted (self, task);

  if (task->text != NULL && task->text->len > 0)
    send_text (self, task);
}

static void
greet_at (ChoirTaskTable *table, Greeting *greeting)
{
  ChoirTaskPlace *place = g_hash_table_lookup (table->places, greeting->channel);

  for (GList *link = place != NULL ? place->tasks.head : NULL; link != NULL; link = link->next)
    send_state (greeting, link->data);
}

/* Whether it is told, or will be, on a channel that @session has for itself */
static gboolean
is_told_elsewhere (const ChoirTask *task, ChoirSession *session)
{
  const char *opened = choir_session_get_default_channel (session);

  for (guint i = 0; i < G_N_ELEMENTS (task->places); i++)
    {
      const ChoirTaskPlace *place = task->places[i];

      if (place != NULL &&
          (g_strcmp0 (place->name, opened) == 0 ||
           is_subscribed (session, choir_hub_find_channel (task->table->hub, place->name))))
        return TRUE;
    }

  return FALSE;
}

static void
set_heard (ChoirTaskUser *user, ChoirTask *task)
{
  g_queue_unlink (&user->unheard, &task->heard_link);
  task->flags &= ~CHOIR_TASK_UNHEARD;
  choir_task_store_heard (task);
}

/* What ended while nobody was there; once */
static void
tell_unheard (ChoirTaskUser *user, Greeting *greeting)
{
  GList *next;

  for (GList *link = user->unheard.head; link != NULL; link = next)
    {
      ChoirTask *task = link->data;
      const GString *end = task->ending->payload;

      next = link->next;
      if (end->len + TEXT_HEAD <= greeting->left)
        {
          g_autoptr (GString) payload = g_string_new_len (end->str, (gssize) end->len);

          if (send_late (greeting, task, choir_task_get_end_type (task), payload))
            set_heard (user, task);
        }
    }
}

static void
greet_user (ChoirTaskTable *table, Greeting *greeting, const char *user_id)
{
  ChoirTaskUser *user = g_hash_table_lookup (table->users, user_id);

  if (user == NULL)
    return;

  tell_unheard (user, greeting);
  if (user->n_unfinished == 0)
    return;

  for (GTreeNode *node = g_tree_node_first (user->tasks); node != NULL;
       node = g_tree_node_next (node))
    {
      const ChoirTask *task = g_tree_node_value (node);

      if (!choir_task_has_ended (task) && task->channel == NULL &&
          !is_told_elsewhere (task, greeting->session))
        send_state (greeting, task);
    }
}

/**
 * choir_tasks_greet:
 * @hub: a hub
 * @session: one that has become authenticated, or has come back, or has subscribed
 * @channel: (nullable): to what it has subscribed; %NULL: it is there
 *
 * Tells it how the unfinished tasks stand of which it is going to hear, and what ended while none
 * of its user's sessions was there.
 */
void
choir_tasks_greet (ChoirHub *hub, ChoirSession *session, const char *channel)
{
  ChoirTaskTable *table = choir_hub_get_tasks (hub);
  const char *user_id = choir_session_get_user_id (session);
  g_autofree char *own = NULL;
  Greeting greeting = { session, channel, choir_handlers_get_budget (session, 0) };

  if (g_hash_table_size (table->by_id) == 0)
    return;

  if (channel != NULL)
    greet_at (table, &greeting);
  else if (user_id != NULL)
    {
      own = g_strconcat ("user:", user_id, NULL);
      greeting.channel = own;
      greet_user (table, &greeting, user_id);
    }
}

static gboolean
has_word (ChoirSession *session, const char *type)
{
  const ChoirDialectOutRow *row =
    choir_dialect_find_outbound (choir_session_get_dialect (session), type);

  return row == NULL || row->external != NULL;
}

/**
 * choir_tasks_catch_up:
 * @hub: a hub
 * @session: one whose client has come back to it
 *
 * What ended while it waited was kept for it, and is being read now.
 */
void
choir_tasks_catch_up (ChoirHub *hub, ChoirSession *session)
{
  ChoirTaskTable *table = choir_hub_get_tasks (hub);
  const char *user_id = choir_session_get_user_id (session);
  ChoirTaskUser *user = user_id != NULL ? g_hash_table_lookup (table->users, user_id) : NULL;
  GList *next;

  for (GList *link = user != NULL ? user->unheard.head : NULL; link != NULL; link = next)
    {
      next = link->next;
      if (has_word (session, choir_task_get_end_type (link->data)))
        set_heard (user, link->data);
    }
}
