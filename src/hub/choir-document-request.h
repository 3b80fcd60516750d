/* choir-document-request.h: what a session wants of a document, while it waits for it
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-document.h"
#include "choir-session.h"

G_BEGIN_DECLS

/* After which one whose change, or document, could not be stored or read may try again */
#define CHOIR_DOCUMENT_RETRY_US (5 * G_USEC_PER_SEC)

typedef enum
{
  CHOIR_REQUEST_OPEN,
  CHOIR_REQUEST_RECONNECT, /* a client that had it open before its connection was lost */
  CHOIR_REQUEST_SYNC,      /* one that has it open */
  CHOIR_REQUEST_OTHER,
} ChoirRequestKind;

typedef enum
{
  CHOIR_REQUEST_INITIAL = 1 << 0,   /* the end point asks for it */
  CHOIR_REQUEST_CANCELLED = 1 << 1, /* closed before it was open */
  CHOIR_REQUEST_READING = 1 << 2,   /* counts among the session's reads */
  CHOIR_REQUEST_WAITING = 1 << 3,   /* is among what the session is opening */
  CHOIR_REQUEST_SINCE = 1 << 4,     /* the client says which version it has */
} ChoirRequestFlags;

/**
 * ChoirDocumentRequest:
 *
 * Keeps what the answer needs, since the message, and perhaps the session, are gone when it comes.
 */
typedef struct
{
  ChoirSession *session;     /* (owned) */
  ChoirDocumentTable *table; /* borrowed: outlives what it has given */
  ChoirDocument *document;   /* (nullable): borrowed, but held */
  GPtrArray *revisions;      /* (element-type ChoirRevision) (owned) (nullable): behind @version */
  char *channel;             /* (owned) */
  char *external_type;       /* (owned) (nullable): as the client wrote it */
  char *correlation_id;      /* (owned) (nullable): raw contents */
  char *text;                /* (owned) (nullable): an epoch, a change's id, a version's label */
  guint64 version;
  gint64 wall_us; /* 0: not said */
  ChoirRequestKind kind;
  ChoirRequestFlags flags;
} ChoirDocumentRequest;

ChoirDocumentRequest *choir_document_request_new (ChoirSession *session,
                                                  const ChoirEnvelope *message,
                                                  ChoirRequestKind kind,
                                                  const char *channel);
void choir_document_request_free (ChoirDocumentRequest *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirDocumentRequest, choir_document_request_free)

ChoirEnvelope choir_document_request_get_envelope (const ChoirDocumentRequest *self);
gboolean choir_document_request_is_over (const ChoirDocumentRequest *self);
const char *choir_document_request_get_id (const ChoirDocumentRequest *self);
gboolean choir_document_request_hold (ChoirDocumentRequest *self);
gboolean choir_document_request_begin_read (ChoirDocumentRequest *self);
void choir_document_request_wait (ChoirDocumentRequest *self);
void choir_document_request_stop_waiting (ChoirDocumentRequest *self);
guint choir_document_request_count (ChoirSession *session);
gboolean choir_document_request_cancel (ChoirSession *session, const char *channel);
void choir_document_request_fail (ChoirDocumentRequest *self, const GError *error);

G_END_DECLS
