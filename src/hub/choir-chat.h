/* choir-chat.h: messages that are streamed, and who is typing
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-hub.h"

G_BEGIN_DECLS

/* Bytes of a message's id, unescaped */
#define CHOIR_CHAT_ID_MAX 128

/**
 * ChoirChat:
 *
 * What is going on in the chats of a hub and is not in their logs yet: the messages that are being
 * streamed, up to `[chat] max-streams` a channel and `max-bytes` in all, and who is typing.
 */
ChoirChat *choir_chat_new (ChoirHub *hub);
void choir_chat_free (ChoirChat *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirChat, choir_chat_free)

guint choir_chat_get_n_streams (ChoirChat *self);
gsize choir_chat_get_n_bytes (ChoirChat *self);
guint choir_chat_get_n_typing (ChoirChat *self);

/* A session is over, or has left a channel */
void choir_chat_session_ended (ChoirChat *self, ChoirSession *session);
void choir_chat_session_left (ChoirChat *self, ChoirSession *session, const char *channel);

/* A piece of a streamed message */
typedef struct
{
  ChoirSession *session;
  const char *channel;
  const char *message_id;
  ChoirSlice content; /* raw contents of a JSON string, as short as they can be */
  const char *role;   /* static */
  gint64 seq;         /* -1: the next one */
  gboolean complete;
  gboolean aborted;
} ChoirChunk;

typedef enum
{
  CHOIR_CHUNK_TAKEN,   /* nothing to answer */
  CHOIR_CHUNK_ENDING,  /* it ends the message: the answer is given, or will be */
  CHOIR_CHUNK_REFUSED, /* nothing has changed */
} ChoirChunkFate;

ChoirChunkFate choir_chat_take_chunk (ChoirChat *self,
                                      const ChoirChunk *chunk,
                                      guint64 *expected,
                                      ChoirPublishedFunc done,
                                      gpointer user_data,
                                      GError **error);

void choir_chat_streams_append (ChoirHub *hub,
                                const ChoirChannel *channel,
                                ChoirSession *session,
                                GString *out);
void choir_chat_streams_send (ChoirHub *hub, const ChoirChannel *channel, ChoirSession *session);

void choir_chat_type (ChoirChat *self,
                      ChoirSession *session,
                      const char *channel,
                      ChoirSlice payload,
                      gboolean is_typing);

G_END_DECLS
