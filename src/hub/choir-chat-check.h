/* choir-chat-check.h: what a chat message may say
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-json-gate.h"

G_BEGIN_DECLS

typedef struct _ChoirSession ChoirSession;

/**
 * ChoirChatMessage:
 *
 * The members of a chat message that mean something to the service. Each was there at most once,
 * however its name was written.
 */
typedef struct
{
  ChoirJsonValue content; /* empty `raw` if it was not there */
  ChoirJsonValue seq;     /* likewise, these four */
  ChoirJsonValue complete;
  ChoirJsonValue aborted;
  ChoirJsonValue is_typing;
  const char *role; /* static */
  char *message_id; /* (owned) (nullable) */
} ChoirChatMessage;

gboolean choir_chat_read_message (ChoirSession *session,
                                  ChoirSlice payload,
                                  ChoirChatMessage *out,
                                  GError **error);
void choir_chat_message_clear (ChoirChatMessage *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ChoirChatMessage, choir_chat_message_clear)

/* (transfer full): the payload with what the service knows better */
GString *choir_chat_stamp_message (ChoirSession *session,
                                   ChoirSlice payload,
                                   const ChoirChatMessage *message);

gboolean choir_chat_is_back_end (ChoirSession *session);

/* Who speaks without a session */
typedef struct
{
  const char *user_id;  /* (nullable) */
  gboolean is_back_end; /* speaks for others, and in any role */
} ChoirChatSpeaker;

gboolean choir_chat_check_kept (const char *type, GError **error);
gboolean choir_chat_admit (const ChoirChatSpeaker *speaker,
                           const char *type,
                           ChoirSlice *payload,
                           GString **stamped,
                           char **message_id,
                           GError **error);

G_END_DECLS
