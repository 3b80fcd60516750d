/* choir-document-member.h: one session in one document
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-document-delivery.h"

G_BEGIN_DECLS

typedef enum
{
  CHOIR_MEMBER_PLACED = 1 << 0,      /* has said where its cursor is */
  CHOIR_MEMBER_INACTIVE = 1 << 1,    /* silent for `document.idle-after` */
  CHOIR_MEMBER_SENDER = 1 << 2,      /* something of it is in what is being delivered */
  CHOIR_MEMBER_CURSOR_NEWS = 1 << 3, /* these three: the others are still to be told */
  CHOIR_MEMBER_SELECTION_NEWS = 1 << 4,
  CHOIR_MEMBER_ACTIVITY_NEWS = 1 << 5,
} ChoirMemberFlags;

#define CHOIR_MEMBER_PLACE_NEWS (CHOIR_MEMBER_CURSOR_NEWS | CHOIR_MEMBER_SELECTION_NEWS)
#define CHOIR_MEMBER_NEWS (CHOIR_MEMBER_PLACE_NEWS | CHOIR_MEMBER_ACTIVITY_NEWS)

/**
 * ChoirDocumentMember:
 *
 * The subscription of a session that has a document open, with where its cursor is and when it last
 * did something. It is what the channel's array and the session's hold.
 *
 * @anchor and @head are moved through every operation that is committed. A client says where its
 * cursor is in the text that it sees, with the changes it has sent and not had acknowledged: until
 * those are committed (@n_ahead of them) the place makes no sense to others and is not shown.
 */
typedef struct
{
  ChoirSubscription subscription; /* first: it is freed as one */
  gint64 active_us;               /* monotonic */
  gint64 shown_us;                /* monotonic: when its cursor was last shown; 0: never */
  guint32 anchor;                 /* code points, if placed */
  guint32 head;
  guint32 news_index;  /* in the room's list, if there are news */
  guint16 n_in_flight; /* own changes that are not committed */
  guint16 n_ahead;     /* those of them that @anchor and @head take as done */
  guint8 flags;
} ChoirDocumentMember;

ChoirDocumentMember *choir_document_member_find (ChoirSession *session,
                                                 const ChoirChannel *channel);
void choir_document_member_place (ChoirDocumentMember *self,
                                  ChoirDocument *document,
                                  gsize anchor,
                                  gsize head,
                                  guint64 version);
void choir_document_member_sent (ChoirDocumentMember *self);
gboolean choir_document_member_settled (ChoirDocumentMember *self);
gboolean
choir_document_member_move (ChoirDocumentMember *self, const ChoirCommitted *changes, guint n);
void choir_document_member_append (const ChoirDocumentMember *self,
                                   ChoirDocument *document,
                                   GString *payload);
void choir_document_member_append_place (const ChoirDocumentMember *self,
                                         ChoirDocument *document,
                                         GString *payload);

G_END_DECLS
