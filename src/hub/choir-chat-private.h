/* choir-chat-private.h: the insides of ChoirChat, for the files that make it up
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-chat.h"

G_BEGIN_DECLS

struct _ChoirChat
{
  ChoirHub *hub;          /* borrowed: owns this */
  GHashTable *streams;    /* (element-type ChoirChatStream) (owned): by channel and message, those
                             that have ended included */
  GHashTable *rooms;      /* (element-type utf8 GQueue) (owned): the open ones of each channel */
  GHashTable *by_session; /* (element-type ChoirSession GQueue) (owned): likewise of each session */
  GQueue ended;           /* (element-type ChoirChatStream): oldest first */
  GHashTable *typing;     /* (element-type ChoirTyping) (owned): by channel and session */
  gsize n_bytes;          /* of text */
  guint n_open;
};

typedef enum
{
  CHOIR_STREAM_OPEN,
  CHOIR_STREAM_ENDING, /* the log is being written */
  CHOIR_STREAM_ENDED,  /* kept for a while, so that who says its end again is answered the same */
} ChoirStreamState;

/**
 * ChoirChatStream:
 *
 * One streamed message. Its text is that of a JSON string, so that adding to it and giving it to
 * somebody are copies.
 */
typedef struct
{
  char *channel;         /* (owned) */
  char *message_id;      /* (owned) */
  char *user_id;         /* (owned): only this user goes on with it */
  ChoirChat *chat;       /* (nullable) borrowed: %NULL once that has gone */
  ChoirSession *session; /* (nullable) borrowed: who said most recently something */
  const char *role;      /* static */
  GString *text;         /* (owned) (nullable): %NULL once it has ended */
  guint64 next_seq;
  guint64 offset; /* where it is in the log; 0: there was nothing to keep */
  ChoirTimer timer;
  GList in_room;
  GList in_session;
  ChoirStreamState state;
  guint n_refs;
  guint n_failures;
  char session_id[CHOIR_ID_SIZE];
  char epoch[17];
} ChoirChatStream;

ChoirChatStream *
choir_chat_stream_new (ChoirChat *chat, const ChoirChunk *chunk, const char *user_id);
void choir_chat_stream_unref (ChoirChatStream *self);
ChoirChatStream *
choir_chat_stream_find (ChoirChat *chat, const char *channel, const char *message_id);
void choir_chat_stream_set_session (ChoirChatStream *self, ChoirSession *session);
void choir_chat_stream_append (ChoirChatStream *self, ChoirSlice content);
void choir_chat_stream_close (ChoirChatStream *self);
void choir_chat_stream_drop (ChoirChatStream *self);
void choir_chat_stream_end (ChoirChatStream *self,
                            const ChoirChunk *last,
                            ChoirPublishedFunc done,
                            gpointer user_data);

GHashTable *choir_chat_typing_new (void);

G_END_DECLS
