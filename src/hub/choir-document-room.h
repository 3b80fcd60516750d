/* choir-document-room.h: those who have a document open
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-document-member.h"
#include "choir-hub.h"

G_BEGIN_DECLS

/**
 * ChoirDocumentRoom:
 *
 * What a document's channel has besides its subscribers: the hold on the document, and the news
 * about members that the others are still to be told. All cursors that moved in a turn of the loop
 * leave together; a member's is shown so many times a second as `[rate] cursor` says, and the last
 * place always gets out. Exists while there are members.
 */
ChoirDocumentRoom *
choir_document_room_new (ChoirHub *hub, ChoirChannel *channel, ChoirDocument *document);
void choir_document_room_free (ChoirDocumentRoom *self);

ChoirDocument *choir_document_room_get_document (ChoirDocumentRoom *self);
void choir_document_room_entered (ChoirDocumentRoom *self, ChoirDocumentMember *member);
void choir_document_room_left (ChoirDocumentRoom *self, ChoirDocumentMember *member);
void choir_document_room_touch (ChoirDocumentRoom *self, ChoirDocumentMember *member);
void choir_document_room_tell (ChoirDocumentRoom *self,
                               ChoirDocumentMember *member,
                               ChoirMemberFlags news);
void choir_document_room_show (ChoirDocumentRoom *self);
void choir_document_room_append_members (ChoirDocumentRoom *self, GString *payload);
ChoirFrame *choir_document_room_get_content (ChoirDocumentRoom *self, gboolean binary);

G_END_DECLS
