/* choir-http-documents.h: what the handlers of documents share
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-document.h"
#include "choir-http-request.h"

G_BEGIN_DECLS

/* @document is held until there is an answer */
typedef void (*ChoirHttpDocumentFunc) (ChoirHttpRequest *request, ChoirDocument *document);

void choir_http_open_document (ChoirHttpRequest *request, ChoirHttpDocumentFunc opened);
gboolean choir_http_document_exists (ChoirHttpRequest *request, ChoirDocument *document);

/* Entity tags and the headers that ask about them */
typedef enum
{
  CHOIR_HTTP_MET,
  CHOIR_HTTP_FAILED,   /* If-Match, or If-None-Match of one that would write */
  CHOIR_HTTP_HAS_SAME, /* If-None-Match of one that reads */
} ChoirHttpCondition;

char *choir_http_document_dup_etag (ChoirDocument *document, guint64 version, ChoirHttpMedia media);
ChoirHttpCondition choir_http_document_check (ChoirHttpRequest *request,
                                              ChoirDocument *document,
                                              guint64 version,
                                              gboolean reads);
void choir_http_refuse_condition (ChoirHttpRequest *request, ChoirDocument *document);
GString *choir_http_document_begin_answer (ChoirDocument *document, guint64 version);

/* choir-http-documents-put.c */
gsize choir_http_document_get_max_body (const ChoirHttpRequest *request);
void choir_http_document_put (ChoirHttpRequest *request);

/* choir-http-documents-post.c */
void choir_http_document_post_operations (ChoirHttpRequest *request);
gboolean
choir_http_check_change_id (ChoirHttpRequest *request, const char *name, const char *change_id);
void choir_http_refuse_change (ChoirHttpRequest *request,
                               const ChoirChangeResult *result,
                               const GString *members);
void choir_http_answer_version (ChoirHttpRequest *request,
                                ChoirDocument *document,
                                guint status,
                                guint64 version,
                                const GString *members);

/* choir-http-documents-past.c */
void choir_http_document_get_operations (ChoirHttpRequest *request);
void choir_http_document_get_versions (ChoirHttpRequest *request);
void choir_http_document_post_version (ChoirHttpRequest *request);

G_END_DECLS
