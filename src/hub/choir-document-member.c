/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-document-member.h"

#include "choir-clock.h"
#include "choir-payload.h"
#include "choir-presence.h"
#include "choir-session.h"

/* Revisions that a place is moved through when a client says where it is in an older text. More are
 * not worth their time: the next message puts it right */
#define CATCH_UP_MAX 256

G_STATIC_ASSERT (sizeof (ChoirDocumentMember) <= 100);

/**
 * choir_document_member_find:
 * @session: a session
 * @channel: a document's
 *
 * Returns: (nullable) (transfer none): what it is in the document, if it has it open
 */
ChoirDocumentMember *
choir_document_member_find (ChoirSession *session, const ChoirChannel *channel)
{
  for (guint i = 0; i < choir_session_get_n_subscriptions (session); i++)
    {
      const ChoirSubscription *subscription = choir_session_get_subscription (session, i);

      if (subscription->channel == channel)
        return (ChoirDocumentMember *) subscription;
    }

  return NULL;
}

static guint32
move (const ChoirRevision *revision, guint32 position, gboolean own)
{
  gsize moved = choir_text_operation_transform_position (revision->operation, position, own);

  return (guint32) MIN (moved, G_MAXINT32);
}

static void
catch_up (ChoirDocumentMember *self, ChoirDocument *document, guint64 version)
{
  guint64 present = choir_document_get_version (document);
  const char *session_id = choir_session_get_id (self->subscription.session);

  if (present - version > CATCH_UP_MAX)
    return;

  for (guint64 v = version + 1; v <= present; v++)
    {
      const ChoirRevision *revision = choir_document_get_revision (document, v);

      /* what it sent itself, its text had already */
      if (revision == NULL || g_strcmp0 (revision->session_id, session_id) == 0)
        continue;

      self->anchor = move (revision, self->anchor, FALSE);
      self->head = move (revision, self->head, FALSE);
    }
}

/**
 * choir_document_member_place:
 * @self: a member
 * @document: what it is a member of
 * @anchor: where its selection begins, in code points; at most %G_MAXINT32
 * @head: where its cursor is; likewise
 * @version: of the text that is meant, with all the member has sent; at most the document's
 *
 * Takes over where the cursor is.
 */
void
choir_document_member_place (ChoirDocumentMember *self,
                             ChoirDocument *document,
                             gsize anchor,
                             gsize head,
                             guint64 version)
{
  self->anchor = (guint32) MIN (anchor, G_MAXINT32);
  self->head = (guint32) MIN (head, G_MAXINT32);
  self->n_ahead = self->n_in_flight;
  self->flags |= CHOIR_MEMBER_PLACED;
  catch_up (self, document, version);
}

/**
 * choir_document_member_sent:
 * @self: a member
 *
 * It has sent a change.
 */
void
choir_document_member_sent (ChoirDocumentMember *self)
{
  if (self->n_in_flight < G_MAXUINT16)
    self->n_in_flight++;
}

/**
 * choir_document_member_settled:
 * @self: a member
 *
 * One of its changes has been committed, or refused.
 *
 * Returns: whether its cursor can be shown now, and could not before
 */
gboolean
choir_document_member_settled (ChoirDocumentMember *self)
{
  if (self->n_in_flight > 0)
    self->n_in_flight--;

  return self->n_ahead > 0 && --self->n_ahead == 0;
}

/**
 * choir_document_member_move:
 * @self: a member
 * @changes: (array length=n): what has been committed
 * @n: how many
 *
 * Moves the cursor through them.
 *
 * Returns: whether it can be shown now, and could not before
 */
gboolean
choir_document_member_move (ChoirDocumentMember *self, const ChoirCommitted *changes, guint n)
{
  gboolean shows = FALSE;

  if (!(self->flags & (CHOIR_MEMBER_PLACED | CHOIR_MEMBER_SENDER)))
    return FALSE;

  for (guint i = 0; i < n; i++)
    {
      gboolean own = changes[i].session == self->subscription.session;
      gboolean is_ahead = own && self->n_ahead > 0;

      if (own)
        shows |= choir_document_member_settled (self);
      if (is_ahead || !(self->flags & CHOIR_MEMBER_PLACED))
        continue;

      if (self->anchor == self->head)
        self->anchor = self->head = move (changes[i].revision, self->head, own);
      else
        {
          self->anchor = move (changes[i].revision, self->anchor, own);
          self->head = move (changes[i].revision, self->head, own);
        }
    }

  return shows;
}

static gsize
clamp (ChoirDocument *document, guint32 position)
{
  return MIN (position, choir_rope_get_n_chars (choir_document_get_text (document)));
}

/**
 * choir_document_member_append_place:
 * @self: a member
 * @document: what it is a member of
 * @payload: an object under construction: gets `anchor` and `head`
 */
void
choir_document_member_append_place (const ChoirDocumentMember *self,
                                    ChoirDocument *document,
                                    GString *payload)
{
  choir_payload_add_int (payload, "anchor", (gint64) clamp (document, self->anchor));
  choir_payload_add_int (payload, "head", (gint64) clamp (document, self->head));
}

/**
 * choir_document_member_append:
 * @self: a member
 * @document: what it is a member of
 * @payload: an object under construction: gets who it is, what it does and where
 */
void
choir_document_member_append (const ChoirDocumentMember *self,
                              ChoirDocument *document,
                              GString *payload)
{
  ChoirSession *session = self->subscription.session;
  gint64 silent_us = choir_clock_monotonic_us () - self->active_us;

  choir_presence_append_who (payload, session, "user_name");
  choir_payload_add_boolean (payload, "is_active", !(self->flags & CHOIR_MEMBER_INACTIVE));
  choir_payload_add_time (payload, "last_activity", choir_clock_wall_us () - silent_us);
  if (!(self->flags & CHOIR_MEMBER_PLACED))
    return;

  choir_payload_add_int (payload, "position", (gint64) clamp (document, self->head));
  choir_payload_add_key (payload, "selection");
  choir_payload_open (payload);
  choir_document_member_append_place (self, document, payload);
  choir_payload_close (payload);
}
