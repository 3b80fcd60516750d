/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-chat-private.h"

#include "choir-container.h"
#include "choir-error.h"
#include "choir-payload.h"
#include "choir-session.h"

#include <string.h>

/*
 * One streamed message: its text, its place in the tables, and its end. Until then every piece goes
 * out as it came and takes no offset; the end puts the whole into the log, while those who have
 * heard the pieces hear only the last one.
 */

/* Ends that are remembered, of all channels */
#define ENDED_MAX 4096

/* How often the end of a message whose sender has gone is tried again, if the store fails */
#define FAILURES_MAX 5

static void abort_now (ChoirChatStream *self);

ChoirChatStream *
choir_chat_stream_find (ChoirChat *chat, const char *channel, const char *message_id)
{
  const ChoirChatStream key = { .channel = (char *) channel, .message_id = (char *) message_id };

  return g_hash_table_lookup (chat->streams, &key);
}

void
choir_chat_stream_unref (ChoirChatStream *self)
{
  if (--self->n_refs > 0)
    return;

  choir_timer_disarm (&self->timer);
  if (self->text != NULL)
    g_string_free (self->text, TRUE);
  g_free (self->channel);
  g_free (self->message_id);
  g_free (self->user_id);
  g_free (self);
}

void
choir_chat_stream_set_session (ChoirChatStream *self, ChoirSession *session)
{
  GHashTable *table = self->chat->by_session;
  GQueue *queue;

  if (self->session == session)
    return;

  if (self->session != NULL)
    {
      queue = g_hash_table_lookup (table, self->session);
      g_queue_unlink (queue, &self->in_session);
      if (queue->length == 0)
        g_hash_table_remove (table, self->session);
    }

  self->session = session;
  if (session == NULL)
    return;

  queue = g_hash_table_lookup (table, session);
  if (queue == NULL)
    {
      queue = g_new0 (GQueue, 1);
      g_hash_table_insert (table, session, queue);
    }
  g_queue_push_tail_link (queue, &self->in_session);
  g_strlcpy (self->session_id, choir_session_get_id (session), sizeof self->session_id);
}

/**
 * choir_chat_stream_new:
 * @chat: where it belongs
 * @chunk: the first piece of it
 * @user_id: who sends it
 *
 * Returns: (transfer none): an open stream without text, known to @chat
 */
ChoirChatStream *
choir_chat_stream_new (ChoirChat *chat, const ChoirChunk *chunk, const char *user_id)
{
  ChoirChatStream *self = g_new0 (ChoirChatStream, 1);
  GQueue *room = g_hash_table_lookup (chat->rooms, chunk->channel);

  self->n_refs = 1;
  self->chat = chat;
  self->channel = g_strdup (chunk->channel);
  self->message_id = g_strdup (chunk->message_id);
  self->user_id = g_strdup (user_id);
  self->role = chunk->role;
  self->text = g_string_new (NULL);
  self->in_room.data = self->in_session.data = self;

  if (room == NULL)
    {
      room = g_new0 (GQueue, 1);
      g_hash_table_insert (chat->rooms, g_strdup (self->channel), room);
    }
  g_queue_push_tail_link (room, &self->in_room);
  g_hash_table_add (chat->streams, self);
  choir_chat_stream_set_session (self, chunk->session);
  chat->n_open++;

  return self;
}

/* It is no longer open: its text goes, and it leaves room for others */
static void
release (ChoirChatStream *self)
{
  ChoirChat *chat = self->chat;
  GQueue *room = g_hash_table_lookup (chat->rooms, self->channel);

  choir_timer_disarm (&self->timer);
  choir_chat_stream_set_session (self, NULL);
  g_queue_unlink (room, &self->in_room);
  if (room->length == 0)
    g_hash_table_remove (chat->rooms, self->channel);
  chat->n_bytes -= self->text->len;
  chat->n_open--;
  g_string_free (g_steal_pointer (&self->text), TRUE);
}

/**
 * choir_chat_stream_close:
 * @self: an open stream
 *
 * Forgets it.
 */
void
choir_chat_stream_close (ChoirChatStream *self)
{
  release (self);
  g_hash_table_remove (self->chat->streams, self);
}

static void
remember_end (ChoirChatStream *self, const ChoirPublished *published)
{
  ChoirChat *chat = self->chat;

  release (self);
  self->state = CHOIR_STREAM_ENDED;
  self->offset = published->offset;
  if (published->channel != NULL)
    g_strlcpy (self->epoch, published->channel->epoch, sizeof self->epoch);

  g_queue_push_tail (&chat->ended, self);
  if (chat->ended.length > ENDED_MAX)
    g_hash_table_remove (chat->streams, g_queue_pop_head (&chat->ended));
}

static void
timeout_cb (ChoirTimer *timer)
{
  abort_now (CHOIR_CONTAINER_OF (timer, ChoirChatStream, timer));
}

static void
arm (ChoirChatStream *self)
{
  ChoirHub *hub = self->chat->hub;

  choir_timer_wheel_arm (choir_hub_get_wheel (hub), &self->timer,
                         choir_hub_get_settings (hub)->chat.stream_us, timeout_cb);
}

static void
add_who (const ChoirChatStream *self, GString *out)
{
  choir_payload_add_string (out, "user_id", self->user_id);
  choir_payload_add_string (out, "session_id", self->session_id);
}

/* (transfer full): what those who are there hear of a piece */
static GString *
make_chunk (const ChoirChatStream *self, ChoirSlice content, gboolean complete, gboolean aborted)
{
  GString *out = g_string_sized_new (content.len + 256);

  choir_payload_open (out);
  choir_payload_add_string (out, "message_id", self->message_id);
  choir_payload_add_key (out, "content");
  g_string_append_c (out, '"');
  g_string_append_len (out, content.data, (gssize) content.len);
  g_string_append_c (out, '"');
  choir_payload_add_int (out, "seq", (gint64) self->next_seq);
  choir_payload_add_boolean (out, "complete", complete);
  if (aborted)
    choir_payload_add_boolean (out, "aborted", TRUE);
  choir_payload_add_string (out, "role", self->role);
  add_who (self, out);
  choir_payload_close (out);

  return out;
}

/* (transfer full): what the log keeps */
static GString *
make_message (const ChoirChatStream *self, ChoirSlice rest, gboolean aborted)
{
  GString *out = g_string_sized_new (self->text->len + rest.len + 256);

  choir_payload_open (out);
  choir_payload_add_string (out, "message_id", self->message_id);
  choir_payload_add_key (out, "content");
  g_string_append_c (out, '"');
  g_string_append_len (out, self->text->str, (gssize) self->text->len);
  g_string_append_len (out, rest.data, (gssize) rest.len);
  g_string_append_c (out, '"');
  choir_payload_add_string (out, "role", self->role);
  if (aborted)
    choir_payload_add_boolean (out, "aborted", TRUE);
  add_who (self, out);
  choir_payload_close (out);

  return out;
}

/* A piece that is told, and not kept */
static void
tell (ChoirChatStream *self, ChoirSlice content, gboolean complete, gboolean aborted)
{
  g_autoptr (GString) payload = make_chunk (self, content, complete, aborted);
  ChoirPublication publication = {
    .channel = self->channel,
    .type = "chat.chunk",
    .payload = choir_payload_as_slice (payload),
    .user_id = self->user_id,
    .session_id = self->session_id,
    .transient = TRUE,
  };
  ChoirPublished published;

  choir_hub_publish (self->chat->hub, &publication, &published, NULL);
}

/**
 * choir_chat_stream_append:
 * @self: an open stream
 * @content: raw contents of a JSON string
 *
 * Adds to the text, tells those who are there, and waits for more.
 */
void
choir_chat_stream_append (ChoirChatStream *self, ChoirSlice content)
{
  tell (self, content, FALSE, FALSE);
  g_string_append_len (self->text, content.data, (gssize) content.len);
  self->chat->n_bytes += content.len;
  self->next_seq++;
  arm (self);
}

/* An end on its way to the log */
typedef struct
{
  ChoirChatStream *stream; /* (owned) */
  ChoirPublishedFunc done; /* (nullable) */
  gpointer user_data;
  gboolean aborted;
  gboolean said; /* by its sender, with a number of its own */
} End;

/* The message can still be gone on with, ended or aborted; one whose sender has gone is given up
 * some time */
static void
reopen (ChoirChatStream *self)
{
  self->state = CHOIR_STREAM_OPEN;
  if (++self->n_failures < FAILURES_MAX || self->session != NULL)
    {
      arm (self);
      return;
    }

  choir_chat_stream_drop (self);
}

static void
ended_cb (const ChoirPublished *published, const GError *error, gpointer user_data)
{
  End *self = user_data;
  ChoirChatStream *stream = self->stream;

  if (self->done != NULL)
    self->done (published, error, self->user_data);

  if (stream->chat != NULL && published == NULL)
    reopen (stream);
  else if (stream->chat != NULL)
    {
      /* in the log already, from before a restart: those who hear it now still have no end */
      if (published->duplicate)
        tell (stream, CHOIR_SLICE_LITERAL (""), TRUE, self->aborted);
      if (self->said)
        stream->next_seq++;
      remember_end (stream, published);
    }

  choir_chat_stream_unref (stream);
  g_free (self);
}

/**
 * choir_chat_stream_end:
 * @self: an open stream
 * @last: the piece that ends it
 * @done: (nullable): called once, before this returns or later; not if there was no text to keep
 * @user_data: for @done
 *
 * Puts the message into the log. If that fails the stream stays as it was, without @last.
 */
void
choir_chat_stream_end (ChoirChatStream *self,
                       const ChoirChunk *last,
                       ChoirPublishedFunc done,
                       gpointer user_data)
{
  g_autofree char *key = g_strdup_printf ("%s\nchat.chunk %s", self->user_id, self->message_id);
  g_autoptr (GString) chunk = make_chunk (self, last->content, TRUE, last->aborted);
  g_autoptr (GString) message = make_message (self, last->content, last->aborted);
  ChoirPublication publication = {
    .channel = self->channel,
    .type = "chat.message",
    .payload = choir_payload_as_slice (message),
    .user_id = self->user_id,
    .session_id = self->session_id,
    .key = key,
    .live_type = "chat.chunk",
    .live_payload = choir_payload_as_slice (chunk),
  };
  End *end = g_new0 (End, 1);

  choir_timer_disarm (&self->timer);
  self->state = CHOIR_STREAM_ENDING;
  self->n_refs++;
  *end = (End){ self, done, user_data, last->aborted, last->session != NULL };
  choir_hub_publish_async (self->chat->hub, &publication, ended_cb, end);
}

/**
 * choir_chat_stream_drop:
 * @self: an open stream without text
 *
 * It has come to nothing: the log has no need of it.
 */
void
choir_chat_stream_drop (ChoirChatStream *self)
{
  tell (self, CHOIR_SLICE_LITERAL (""), TRUE, TRUE);
  choir_chat_stream_close (self);
}

/* Nobody goes on with it */
static void
abort_now (ChoirChatStream *self)
{
  const ChoirChunk nothing = { .content = CHOIR_SLICE_LITERAL (""), .aborted = TRUE };

  if (self->text->len > 0)
    choir_chat_stream_end (self, &nothing, NULL, NULL);
  else
    choir_chat_stream_drop (self);
}

static void
abandon (ChoirChatStream *self)
{
  choir_chat_stream_set_session (self, NULL);
  if (self->state == CHOIR_STREAM_OPEN)
    abort_now (self);
}

/**
 * choir_chat_session_ended:
 * @self: the chats of a hub
 * @session: who has gone
 *
 * Aborts what it was sending.
 */
void
choir_chat_session_ended (ChoirChat *self, ChoirSession *session)
{
  GQueue *queue;

  while ((queue = g_hash_table_lookup (self->by_session, session)) != NULL)
    abandon (queue->head->data);
}
