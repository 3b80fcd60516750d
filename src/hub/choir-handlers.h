/* choir-handlers.h: what the service does with each message
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-hub.h"
#include "choir-router.h"

G_BEGIN_DECLS

void choir_handlers_register (ChoirRouter *router);

/* One group a file */
void choir_handlers_register_system (ChoirRouter *router);
void choir_handlers_register_subscribe (ChoirRouter *router);
void choir_handlers_register_channel (ChoirRouter *router);
void choir_handlers_register_publish (ChoirRouter *router);
void choir_handlers_register_history (ChoirRouter *router);
void choir_handlers_register_chat (ChoirRouter *router);
void choir_handlers_register_chunk (ChoirRouter *router);
void choir_handlers_register_document (ChoirRouter *router);
void choir_handlers_register_task (ChoirRouter *router);
void choir_handlers_register_work (ChoirRouter *router);

/* (nullable) (transfer full): the channel a message is about: `channel` in the payload or the
 * envelope, else the end point's; refuses the message if there is none or its name is invalid */
char *choir_handlers_dup_channel (ChoirSession *session,
                                  const ChoirEnvelope *message,
                                  gboolean use_default);

/* The same for who has looked up the payload's `channel`: @value, with an empty `raw` if there is
 * none */
char *choir_handlers_dup_named_channel (ChoirSession *session,
                                        const ChoirEnvelope *message,
                                        const ChoirJsonValue *value,
                                        gboolean use_default);

/* (transfer full): the payload with who sent it; what the sender claims about that is replaced */
GString *choir_handlers_with_sender (ChoirSession *session, ChoirSlice payload);

/* Lists of log entries in answers: how much still fits the asker's queue, and the comma */
gsize choir_handlers_get_budget (ChoirSession *session, gsize used);
void choir_handlers_begin_item (GString *list);

gboolean choir_handlers_may_subscribe (const char *channel, GError **error);

/* Whether the session is in the channel and may be heard there; refuses the message if not */
gboolean
choir_handlers_may_relay (ChoirSession *session, const ChoirEnvelope *message, const char *channel);

/* (nullable) (transfer full): what the others get of a chat message, and its id; %NULL: refused */
GString *choir_handlers_make_chat (ChoirSession *session,
                                   const ChoirEnvelope *message,
                                   ChoirSlice payload,
                                   const ChoirPublication *publication,
                                   char **message_id);

/* Tells a client what was done to it */
void choir_handlers_document_lost (ChoirSession *session, const char *channel, const char *reason);
void choir_handlers_unsubscribed (ChoirSession *session, const char *channel);

/* Whatever its token allows. @task: (transfer full): told when that is so, or why not */
void choir_handlers_subscribe_for (ChoirSession *session, const char *channel, GTask *task);

/* Whether the session may publish there; refuses the message if not */
gboolean choir_handlers_may_publish (ChoirSession *session,
                                     const ChoirEnvelope *message,
                                     const char *channel);

/* Checks the permission, publishes in the session's name, and answers, now or when it is stored.
 * @message_id: (nullable): said in the answer */
void choir_handlers_publish (ChoirSession *session,
                             const ChoirEnvelope *message,
                             const ChoirPublication *publication,
                             const char *message_id);

/* Who is answered when something has been published, which another than choir_handlers_publish()
 * does. The function is a #ChoirPublishedFunc, and frees @user_data */
typedef struct _ChoirPublisher ChoirPublisher;
ChoirPublisher *choir_handlers_keep_publisher (ChoirSession *session,
                                               const ChoirEnvelope *message,
                                               const char *message_id);
void choir_handlers_answer_published (const ChoirPublished *published,
                                      const GError *error,
                                      gpointer user_data);
void choir_publisher_free (ChoirPublisher *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirPublisher, choir_publisher_free)

/* @value: the payload's `idempotency_key`, with an empty `raw` if it has none. @key: (out)
 * (nullable) (transfer full): it, and whose it is. FALSE: the message was refused */
gboolean choir_handlers_read_key (ChoirSession *session,
                                  const ChoirEnvelope *message,
                                  const ChoirJsonValue *value,
                                  char **key);

G_END_DECLS
