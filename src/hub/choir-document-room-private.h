/* choir-document-room-private.h: the room's insides, for the files that make it up
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-document-room.h"

G_BEGIN_DECLS

struct _ChoirDocumentRoom
{
  ChoirHub *hub;           /* borrowed */
  ChoirChannel *channel;   /* borrowed: it has the room */
  ChoirDocument *document; /* borrowed, but held */
  GPtrArray *news;         /* (element-type ChoirDocumentMember): borrowed; oldest first */
  ChoirTurnTask task;
  ChoirTimer news_timer;
  ChoirTimer idle_timer;
  ChoirTimer content_timer;
  ChoirFrame *contents[2]; /* (owned) (nullable): the text of @content_version, the second binary */
  guint64 content_version;
  gint64 pause_until_us; /* monotonic */
};

/* choir-document-news.c */
void choir_document_room_forget_news (ChoirDocumentRoom *self, ChoirDocumentMember *member);

/* Where all are told of all, the cost is the square of their number */
static inline gboolean
choir_document_room_tells_presence (const ChoirDocumentRoom *self)
{
  const ChoirNamespace *ns = self->channel->ns;

  return ns->presence && self->channel->n_subscribers <= ns->presence_limit;
}

G_END_DECLS
