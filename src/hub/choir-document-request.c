/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-document-request.h"

#include "choir-error.h"
#include "choir-session-private.h"

#include <string.h>

static char *
dup_or_null (ChoirSlice slice)
{
  return slice.len > 0 ? choir_slice_dup (slice) : NULL;
}

/**
 * choir_document_request_new:
 * @session: who asks
 * @message: (nullable): what it said; %NULL: nothing, its end point asks
 * @kind: for what
 * @channel: of which document
 *
 * Returns: (transfer full): the request
 */
ChoirDocumentRequest *
choir_document_request_new (ChoirSession *session,
                            const ChoirEnvelope *message,
                            ChoirRequestKind kind,
                            const char *channel)
{
  ChoirDocumentRequest *self = g_new0 (ChoirDocumentRequest, 1);

  self->session = g_object_ref (session);
  self->table = choir_hub_get_documents (choir_session_get_hub (session));
  self->channel = g_strdup (channel);
  self->kind = kind;
  if (message == NULL)
    self->flags = CHOIR_REQUEST_INITIAL;
  else
    {
      self->external_type = dup_or_null (message->external_type);
      self->correlation_id = dup_or_null (message->correlation_id);
    }

  return self;
}

static void
end_read (ChoirDocumentRequest *self)
{
  if (!(self->flags & CHOIR_REQUEST_READING))
    return;

  self->flags &= ~CHOIR_REQUEST_READING;
  choir_session_end_read (self->session);
}

void
choir_document_request_free (ChoirDocumentRequest *self)
{
  end_read (self);
  choir_document_request_stop_waiting (self);
  g_clear_pointer (&self->revisions, g_ptr_array_unref);
  g_clear_pointer (&self->document, choir_document_release);
  g_object_unref (self->session);
  g_free (self->channel);
  g_free (self->external_type);
  g_free (self->correlation_id);
  g_free (self->text);
  g_free (self);
}

/**
 * choir_document_request_get_envelope:
 * @self: a request
 *
 * Returns: as much of the message as an answer needs; borrowed from @self
 */
ChoirEnvelope
choir_document_request_get_envelope (const ChoirDocumentRequest *self)
{
  return (ChoirEnvelope){
    .external_type = choir_slice (self->external_type),
    .correlation_id = choir_slice (self->correlation_id),
  };
}

/**
 * choir_document_request_is_over:
 * @self: a request
 *
 * Returns: whether nobody waits for it any more. Then the session must not be asked for its hub,
 * which may be gone
 */
gboolean
choir_document_request_is_over (const ChoirDocumentRequest *self)
{
  return choir_session_is_closing (self->session);
}

const char *
choir_document_request_get_id (const ChoirDocumentRequest *self)
{
  return self->channel + strlen ("document:");
}

/**
 * choir_document_request_hold:
 * @self: a request
 *
 * Keeps the document in memory, if it is there, until the request is done.
 *
 * Returns: whether it is
 */
gboolean
choir_document_request_hold (ChoirDocumentRequest *self)
{
  if (self->document == NULL)
    self->document =
      choir_document_table_try_open (self->table, choir_document_request_get_id (self));

  return self->document != NULL;
}

/**
 * choir_document_request_begin_read:
 * @self: a request
 *
 * Until the request is done it is one of those that read the past.
 *
 * Returns: %FALSE if the session has too many of them
 */
gboolean
choir_document_request_begin_read (ChoirDocumentRequest *self)
{
  if (self->flags & CHOIR_REQUEST_READING)
    return TRUE;

  if (!choir_session_begin_read (self->session))
    return FALSE;

  self->flags |= CHOIR_REQUEST_READING;

  return TRUE;
}

/**
 * choir_document_request_wait:
 * @self: a request to open a document
 *
 * From now on closing the document cancels it.
 */
void
choir_document_request_wait (ChoirDocumentRequest *self)
{
  if (self->flags & CHOIR_REQUEST_WAITING)
    return;

  self->flags |= CHOIR_REQUEST_WAITING;
  g_queue_push_tail (&choir_session_ensure_extra (self->session)->opening, self);
}

void
choir_document_request_stop_waiting (ChoirDocumentRequest *self)
{
  if (!(self->flags & CHOIR_REQUEST_WAITING))
    return;

  self->flags &= ~CHOIR_REQUEST_WAITING;
  g_queue_remove (&self->session->extra->opening, self);
}

/**
 * choir_document_request_count:
 * @session: a session
 *
 * Returns: how many documents it is about to open
 */
guint
choir_document_request_count (ChoirSession *session)
{
  return session->extra != NULL ? session->extra->opening.length : 0;
}

/**
 * choir_document_request_cancel:
 * @session: a session
 * @channel: a document's
 *
 * Returns: whether it was about to open it
 */
gboolean
choir_document_request_cancel (ChoirSession *session, const char *channel)
{
  gboolean found = FALSE;

  if (session->extra == NULL)
    return FALSE;

  for (GList *link = session->extra->opening.head; link != NULL; link = link->next)
    {
      ChoirDocumentRequest *request = link->data;

      if (!g_str_equal (request->channel, channel))
        continue;

      request->flags |= CHOIR_REQUEST_CANCELLED;
      found = TRUE;
    }

  return found;
}

/**
 * choir_document_request_fail:
 * @self: a request of a session that is still there
 * @error: why it can't be had
 *
 * Answers with @error, and says when to try again where that makes sense.
 */
void
choir_document_request_fail (ChoirDocumentRequest *self, const GError *error)
{
  ChoirEnvelope envelope = choir_document_request_get_envelope (self);
  gint64 retry_us = 0;

  if (g_error_matches (error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE))
    retry_us = CHOIR_DOCUMENT_RETRY_US;
  else if (g_error_matches (error, CHOIR_ERROR, CHOIR_ERROR_RATE_LIMITED))
    retry_us = G_USEC_PER_SEC;

  choir_session_send_error_later (self->session, &envelope, error, retry_us);
}
