/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-chat-private.h"

#include "choir-chat-check.h"
#include "choir-clock.h"
#include "choir-error.h"
#include "choir-hub-private.h"
#include "choir-payload.h"
#include "choir-session.h"

#include <string.h>

#define TOO_MANY "You are streaming too many messages"

/* What a stream takes besides its text, about */
#define STREAM_BYTES 512

static guint
hash_stream (gconstpointer data)
{
  const ChoirChatStream *self = data;

  return g_str_hash (self->channel) * 31 + g_str_hash (self->message_id);
}

static gboolean
equal_streams (gconstpointer a, gconstpointer b)
{
  const ChoirChatStream *one = a, *other = b;

  return g_str_equal (one->message_id, other->message_id) &&
         g_str_equal (one->channel, other->channel);
}

/**
 * choir_chat_new:
 * @hub: whose chats; must outlive it
 *
 * Returns: (transfer full): chats in which nothing is going on
 */
ChoirChat *
choir_chat_new (ChoirHub *hub)
{
  ChoirChat *self = g_new0 (ChoirChat, 1);

  self->hub = hub;
  self->streams = g_hash_table_new_full (hash_stream, equal_streams,
                                         (GDestroyNotify) choir_chat_stream_unref, NULL);
  self->rooms = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->by_session = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  self->typing = choir_chat_typing_new ();

  return self;
}

/**
 * choir_chat_free:
 * @self: (transfer full): the chats of a hub
 *
 * What is being streamed is lost; ends that are on their way into a log are not.
 */
void
choir_chat_free (ChoirChat *self)
{
  GHashTableIter iter;
  gpointer stream;

  g_hash_table_iter_init (&iter, self->streams);
  while (g_hash_table_iter_next (&iter, &stream, NULL))
    {
      choir_timer_disarm (&((ChoirChatStream *) stream)->timer);
      ((ChoirChatStream *) stream)->chat = NULL;
    }

  g_hash_table_unref (self->rooms);
  g_hash_table_unref (self->by_session);
  g_queue_clear (&self->ended);
  g_hash_table_unref (self->streams);
  g_hash_table_unref (self->typing);
  g_free (self);
}

ChoirChat *
choir_hub_get_chat (ChoirHub *self)
{
  return self->chat;
}

guint
choir_chat_get_n_streams (ChoirChat *self)
{
  return self->n_open;
}

/* Of the text of all streams */
gsize
choir_chat_get_n_bytes (ChoirChat *self)
{
  return self->n_bytes;
}

guint
choir_chat_get_n_typing (ChoirChat *self)
{
  return g_hash_table_size (self->typing);
}

static ChoirChunkFate
refuse (GError **error, ChoirError code, const char *text)
{
  g_set_error_literal (error, CHOIR_ERROR, code, text);

  return CHOIR_CHUNK_REFUSED;
}

/* The number of a piece; FALSE if some before it are missing */
static gboolean
is_next (const ChoirChunk *chunk, guint64 next, guint64 *expected, GError **error)
{
  if (chunk->seq <= (gint64) next)
    return TRUE;

  *expected = next;
  refuse (error, CHOIR_ERROR_CONFLICT, "Chunks before this one are missing");

  return FALSE;
}

/* A user must not take up what there is for all; who works for many has many under way */
static gboolean
has_too_many (ChoirChat *self, ChoirSession *session)
{
  guint max = choir_hub_get_settings (self->hub)->chat.max_streams;
  const GQueue *own = g_hash_table_lookup (self->by_session, session);

  return own != NULL && own->length >= max && !choir_chat_is_back_end (session);
}

static ChoirChatStream *
begin (ChoirChat *self, const ChoirChunk *chunk, guint64 *expected, GError **error)
{
  const ChoirSettings *settings = choir_hub_get_settings (self->hub);
  GQueue *room = g_hash_table_lookup (self->rooms, chunk->channel);

  if (!is_next (chunk, 0, expected, error))
    return NULL;

  if (room != NULL && room->length >= settings->chat.max_streams)
    {
      refuse (error, CHOIR_ERROR_RATE_LIMITED,
              "Too many messages are being streamed in this channel");
      return NULL;
    }

  if (has_too_many (self, chunk->session))
    {
      refuse (error, CHOIR_ERROR_RATE_LIMITED, TOO_MANY);
      return NULL;
    }

  return choir_chat_stream_new (self, chunk, choir_session_get_user_id (chunk->session));
}

/* A piece of what has ended: the end itself, said again, gets the same answer again */
static ChoirChunkFate
take_late (ChoirChatStream *stream,
           const ChoirChunk *chunk,
           ChoirPublishedFunc done,
           gpointer user_data,
           GError **error)
{
  ChoirHub *hub = stream->chat->hub;
  ChoirPublished published = { .offset = stream->offset, .duplicate = TRUE };
  gboolean ends = chunk->complete || chunk->aborted;

  /* the end, while it is being stored: who says it twice is answered once */
  if (stream->state == CHOIR_STREAM_ENDING && chunk->seq == (gint64) stream->next_seq && ends)
    return CHOIR_CHUNK_TAKEN;

  if (chunk->seq < 0 || chunk->seq >= (gint64) stream->next_seq)
    return refuse (error, CHOIR_ERROR_CONFLICT, "This message has ended");

  if (!ends || chunk->seq + 1 < (gint64) stream->next_seq || stream->state == CHOIR_STREAM_ENDING)
    return CHOIR_CHUNK_TAKEN;

  published.channel = choir_hub_find_channel (hub, stream->channel);
  if (published.channel == NULL || strcmp (published.channel->epoch, stream->epoch) != 0)
    return CHOIR_CHUNK_TAKEN;

  done (&published, NULL, user_data);

  return CHOIR_CHUNK_ENDING;
}

static gboolean
has_room (ChoirChat *self, const ChoirChatStream *stream, gsize len, GError **error)
{
  const ChoirSettings *settings = choir_hub_get_settings (self->hub);

  if (stream->text->len + len > settings->chat.max_message)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_TOO_LARGE,
                   "At most %" G_GSIZE_FORMAT " bytes in one message", settings->chat.max_message);
      return FALSE;
    }

  if (self->n_bytes + self->n_open * STREAM_BYTES + len <= settings->chat.max_bytes)
    return TRUE;

  refuse (error, CHOIR_ERROR_UNAVAILABLE, "Too much is being streamed at the moment");

  return FALSE;
}

static ChoirChunkFate
take_open (ChoirChat *self,
           ChoirChatStream *stream,
           const ChoirChunk *chunk,
           ChoirPublishedFunc done,
           gpointer user_data,
           GError **error)
{
  if (!has_room (self, stream, chunk->content.len, error))
    {
      /* it has not begun */
      if (stream->next_seq == 0)
        choir_chat_stream_close (stream);
      return CHOIR_CHUNK_REFUSED;
    }

  if (stream->session != chunk->session && !chunk->complete && !chunk->aborted &&
      has_too_many (self, chunk->session))
    return refuse (error, CHOIR_ERROR_RATE_LIMITED, TOO_MANY);

  choir_chat_stream_set_session (stream, chunk->session);
  if (!chunk->complete && !chunk->aborted)
    {
      choir_chat_stream_append (stream, chunk->content);
      return CHOIR_CHUNK_TAKEN;
    }

  if (chunk->aborted && stream->text->len + chunk->content.len == 0)
    {
      choir_chat_stream_drop (stream);
      return CHOIR_CHUNK_TAKEN;
    }

  choir_chat_stream_end (stream, chunk, done, user_data);

  return CHOIR_CHUNK_ENDING;
}

/**
 * choir_chat_take_chunk:
 * @self: the chats of a hub
 * @chunk: a piece of a streamed message; permission is the caller's to check
 * @expected: set to %G_MAXUINT64, or, where pieces are missing, to the number of the first
 * @done: called once for %CHOIR_CHUNK_ENDING, before this returns or later; else not at all, nor
 * for a piece that is not the end
 * @user_data: for @done
 * @error: return location for %CHOIR_CHUNK_REFUSED: %CHOIR_ERROR_CONFLICT,
 * %CHOIR_ERROR_PERMISSION_DENIED, %CHOIR_ERROR_RATE_LIMITED, %CHOIR_ERROR_TOO_LARGE,
 * %CHOIR_ERROR_UNAVAILABLE
 *
 * Begins a message, goes on with it, or ends it.
 *
 * Returns: what became of @chunk
 */
ChoirChunkFate
choir_chat_take_chunk (ChoirChat *self,
                       const ChoirChunk *chunk,
                       guint64 *expected,
                       ChoirPublishedFunc done,
                       gpointer user_data,
                       GError **error)
{
  ChoirChatStream *stream = choir_chat_stream_find (self, chunk->channel, chunk->message_id);

  *expected = G_MAXUINT64;
  if (stream != NULL && strcmp (stream->user_id, choir_session_get_user_id (chunk->session)) != 0)
    return refuse (error, CHOIR_ERROR_PERMISSION_DENIED, "This message is somebody else's");

  if (stream != NULL && stream->state != CHOIR_STREAM_OPEN)
    return take_late (stream, chunk, done, user_data, error);

  if (stream == NULL)
    stream = begin (self, chunk, expected, error);
  if (stream == NULL || !is_next (chunk, stream->next_seq, expected, error))
    return CHOIR_CHUNK_REFUSED;

  /* it came already, and its sender does not know that */
  if (chunk->seq >= 0 && chunk->seq < (gint64) stream->next_seq)
    return CHOIR_CHUNK_TAKEN;

  return take_open (self, stream, chunk, done, user_data, error);
}

static void
append_stream (const ChoirChatStream *stream, GString *out)
{
  choir_payload_open (out);
  choir_payload_add_string (out, "message_id", stream->message_id);
  choir_payload_add_key (out, "content");
  g_string_append_c (out, '"');
  g_string_append_len (out, stream->text->str, (gssize) stream->text->len);
  g_string_append_c (out, '"');
  choir_payload_add_int (out, "seq", (gint64) stream->next_seq - 1);
  choir_payload_add_boolean (out, "complete", FALSE);
  choir_payload_add_string (out, "role", stream->role);
  choir_payload_add_string (out, "user_id", stream->user_id);
  choir_payload_add_string (out, "session_id", stream->session_id);
  choir_payload_close (out);
}

/* (nullable): the open streams of a channel */
static GQueue *
find_room (ChoirHub *hub, const ChoirChannel *channel)
{
  return g_hash_table_lookup (choir_hub_get_chat (hub)->rooms, channel->name);
}

/**
 * choir_chat_streams_append:
 * @hub: a hub
 * @channel: a channel
 * @session: (nullable): who is told of it, in this very turn: what comes later, comes as it
 * happens; %NULL: one who hears nothing later
 * @out: an object under construction: gets `streams`, if there are any
 *
 * Says what has been streamed so far, in an answer to one whose contract knows offsets; others get
 * choir_chat_streams_send(). What is too much for the asker's queue is left out, and is in the log
 * when it has ended.
 */
void
choir_chat_streams_append (ChoirHub *hub,
                           const ChoirChannel *channel,
                           ChoirSession *session,
                           GString *out)
{
  gboolean knows_offsets =
    session == NULL || choir_dialect_get_table (choir_session_get_dialect (session))->with_channel;
  /* besides the messages, which may take a quarter */
  gsize budget = choir_hub_get_settings (hub)->outbox.max_bytes / 2;
  GQueue *room = find_room (hub, channel);

  if (room == NULL || !knows_offsets)
    return;

  choir_payload_add_key (out, "streams");
  g_string_append_c (out, '[');
  for (GList *link = room->head; link != NULL; link = link->next)
    {
      const ChoirChatStream *stream = link->data;

      if (out->len + stream->text->len > budget)
        continue;

      if (out->str[out->len - 1] != '[')
        g_string_append_c (out, ',');
      append_stream (stream, out);
    }
  g_string_append_c (out, ']');
}

/**
 * choir_chat_streams_send:
 * @hub: a hub
 * @channel: a channel
 * @session: who has just entered it, and gets no answer in which it could be told
 *
 * Sends what has been streamed so far, each message as one piece.
 */
void
choir_chat_streams_send (ChoirHub *hub, const ChoirChannel *channel, ChoirSession *session)
{
  GQueue *room = find_room (hub, channel);
  ChoirOutbox *outbox = choir_session_get_outbox (session);

  if (room == NULL || outbox == NULL)
    return;

  for (GList *link = room->head; link != NULL; link = link->next)
    {
      const ChoirChatStream *stream = link->data;
      g_autoptr (GString) payload = g_string_sized_new (stream->text->len + 256);
      ChoirMessage message = {
        .type = "chat.chunk",
        .wall_us = choir_clock_wall_us (),
        .channel = channel->name,
        .user_id = stream->user_id,
        .session_id = stream->session_id,
      };

      append_stream (stream, payload);
      message.payload = choir_payload_as_slice (payload);
      if (choir_outbox_fits (outbox, payload->len + 512) &&
          choir_session_send_message (session, &message))
        *choir_stats_for_type (choir_hub_get_stats (hub), message.type)->sent += 1;
    }
}
