/* choir-handlers-document.h: what the handlers of documents share
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-document-request.h"
#include "choir-document-room.h"
#include "choir-handlers.h"

G_BEGIN_DECLS

typedef enum
{
  CHOIR_NAMED_DOCUMENT,
  CHOIR_NAMED_NONE,    /* it says nothing of a document, and none is meant without */
  CHOIR_NAMED_INVALID, /* it does, but not what can be one */
} ChoirNamed;

/* @channel: (out) (transfer full) (nullable) */
ChoirNamed
choir_handlers_name_document (ChoirSession *session, const ChoirEnvelope *message, char **channel);
char *choir_handlers_dup_document (ChoirSession *session, const ChoirEnvelope *message);
ChoirDocumentMember *choir_handlers_find_member (ChoirSession *session,
                                                 const ChoirEnvelope *message);
gboolean choir_handlers_has_documents (ChoirSession *session, const ChoirEnvelope *message);
gboolean
choir_handlers_read_version (ChoirSlice object, const char *key, guint64 *version, GError **error);

static inline ChoirDocument *
choir_handlers_get_document (const ChoirDocumentMember *member)
{
  return choir_document_room_get_document (member->subscription.channel->room);
}

/* choir-handlers-open.c */
void choir_handlers_open_document (ChoirSession *session,
                                   const ChoirEnvelope *message,
                                   ChoirRequestKind kind,
                                   const char *channel);

void choir_handlers_register_open (ChoirRouter *router);
void choir_handlers_register_change (ChoirRouter *router);
void choir_handlers_register_cursor (ChoirRouter *router);
void choir_handlers_register_past (ChoirRouter *router);

G_END_DECLS
