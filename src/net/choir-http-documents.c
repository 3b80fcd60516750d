/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-documents.h"

#include "choir-http-private.h"
#include "choir-payload.h"

#include <string.h>

/* Large answers go out in pieces of about this size: bytes */
#define PIECE_BYTES (64 * 1024)

#define LIST_DEFAULT 100
#define LIST_MAX 1000

/* Somebody waits for a document */
typedef struct
{
  ChoirHttpRequest *request; /* (owned) */
  ChoirDocumentTable *table; /* borrowed: the hub's */
  ChoirHttpDocumentFunc opened;
} Opening;

static ChoirDocumentTable *
get_table (ChoirHttpRequest *request)
{
  ChoirDocumentTable *table = choir_hub_get_documents (request->gateway->hub);

  if (table == NULL)
    choir_http_request_refuse (request, 503, CHOIR_ERROR_UNAVAILABLE,
                               "There are no documents here");

  return table;
}

static void
take_document (ChoirHttpRequest *request, ChoirDocument *document, ChoirHttpDocumentFunc opened)
{
  choir_http_request_set_data (request, document, (GDestroyNotify) choir_document_release);
  opened (request, document);
}

static void
opened_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autofree Opening *opening = user_data;
  g_autoptr (ChoirHttpRequest) request = opening->request;
  g_autoptr (GError) error = NULL;
  ChoirDocument *document = choir_document_table_open_finish (opening->table, result, &error);

  if (document == NULL)
    choir_http_request_refuse_error (request, error);
  else if (choir_http_request_is_gone (request))
    choir_document_release (document);
  else
    take_document (request, document, opening->opened);
}

/**
 * choir_http_open_document:
 * @request: names a document
 * @opened: called with it, at once or later
 *
 * Refuses the request if the document can't be opened.
 */
void
choir_http_open_document (ChoirHttpRequest *request, ChoirHttpDocumentFunc opened)
{
  ChoirDocumentTable *table = get_table (request);
  const char *id = request->segments[0];
  ChoirDocument *document;
  Opening *opening;

  if (table == NULL)
    return;

  document = choir_document_table_try_open (table, id);
  if (document != NULL)
    {
      take_document (request, document, opened);
      return;
    }

  opening = g_new (Opening, 1);
  *opening = (Opening){ choir_http_request_ref (request), table, opened };
  choir_document_table_open_async (table, id, NULL, opened_cb, opening);
}

/* Nothing has ever been written to it; refuses the request then */
gboolean
choir_http_document_exists (ChoirHttpRequest *request, ChoirDocument *document)
{
  if (choir_document_get_version (document) > 0)
    return TRUE;

  choir_http_request_refuse (request, 404, CHOIR_ERROR_NOT_FOUND, "There is no such document");

  return FALSE;
}

/**
 * choir_http_document_dup_etag:
 * @document: a document
 * @version: one of its versions
 * @media: in which form
 *
 * The forms have tags of their own, since they are not the same bytes (RFC 9110 8.8.3).
 *
 * Returns: (transfer full): a strong entity tag
 */
char *
choir_http_document_dup_etag (ChoirDocument *document, guint64 version, ChoirHttpMedia media)
{
  return g_strdup_printf ("\"%s-%" G_GUINT64_FORMAT "%s\"", choir_document_get_epoch (document),
                          version, media == CHOIR_HTTP_TEXT ? "-text" : "");
}

/* Either form's tag names the state */
static gboolean
names_state (const char *etags, ChoirDocument *document, guint64 version, gboolean weakly)
{
  g_autofree char *json = choir_http_document_dup_etag (document, version, CHOIR_HTTP_JSON);
  g_autofree char *text = choir_http_document_dup_etag (document, version, CHOIR_HTTP_TEXT);

  if (version == 0)
    return FALSE;

  return choir_http_is_any (etags) || choir_http_has_etag (etags, json, weakly) ||
         choir_http_has_etag (etags, text, weakly);
}

static gboolean
has_same (const char *etags, ChoirDocument *document, guint64 version, ChoirHttpMedia media)
{
  g_autofree char *etag = choir_http_document_dup_etag (document, version, media);

  return choir_http_is_any (etags) || choir_http_has_etag (etags, etag, TRUE);
}

/**
 * choir_http_document_check:
 * @request: a request
 * @document: what it is about
 * @version: which version of it
 * @reads: whether it only reads
 *
 * Looks at If-Match and If-None-Match (RFC 9110 13.2.2).
 *
 * Returns: whether what they ask for is so
 */
ChoirHttpCondition
choir_http_document_check (ChoirHttpRequest *request,
                           ChoirDocument *document,
                           guint64 version,
                           gboolean reads)
{
  const char *etags = choir_http_request_get_header (request, "If-Match");

  if (etags != NULL && !names_state (etags, document, version, FALSE))
    return CHOIR_HTTP_FAILED;

  etags = choir_http_request_get_header (request, "If-None-Match");
  if (etags == NULL)
    return CHOIR_HTTP_MET;

  if (reads)
    return has_same (etags, document, version, request->wanted) ? CHOIR_HTTP_HAS_SAME
                                                                : CHOIR_HTTP_MET;

  return names_state (etags, document, version, TRUE) ? CHOIR_HTTP_FAILED : CHOIR_HTTP_MET;
}

/* 412, and what would have been right */
void
choir_http_refuse_condition (ChoirHttpRequest *request, ChoirDocument *document)
{
  g_autoptr (GString) members = g_string_new (NULL);

  choir_payload_add_int (members, "version", (gint64) choir_document_get_version (document));
  choir_http_request_refuse_with (request, 412, CHOIR_ERROR_CONFLICT,
                                  "The document is not as the request wants it to be", members);
}

/* (transfer full): an object that says which document, which life and which version of it */
GString *
choir_http_document_begin_answer (ChoirDocument *document, guint64 version)
{
  GString *body = g_string_new (NULL);

  choir_payload_open (body);
  choir_payload_add_string (body, "document_id", choir_document_get_id (document));
  choir_payload_add_int (body, "version", (gint64) version);
  choir_payload_add_string (body, "epoch", choir_document_get_epoch (document));

  return body;
}

/* A text on its way out */
typedef struct
{
  ChoirHttpRequest *request; /* borrowed */
  GString *piece;            /* (owned): not sent yet */
  GString *escaped;          /* (owned) (nullable): for JSON, room for one leaf */
} Sending;

static void
send_leaf (Sending *self, const char *text, gsize len)
{
  if (self->escaped == NULL)
    g_string_append_len (self->piece, text, (gssize) len);
  else
    {
      /* between the quotes; what must be escaped is ASCII, so characters may be cut */
      g_string_truncate (self->escaped, 0);
      choir_json_append_string (self->escaped, text, (gssize) len);
      g_string_append_len (self->piece, self->escaped->str + 1, (gssize) self->escaped->len - 2);
    }

  if (self->piece->len < PIECE_BYTES)
    return;

  choir_http_request_add (self->request, self->piece);
  self->piece = g_string_sized_new (PIECE_BYTES + PIECE_BYTES / 4);
}

static void
send_content (Sending *self, const ChoirRope *text)
{
  ChoirRopeIter iter;
  const char *leaf;
  gsize len;

  choir_rope_iter_init (&iter, text, 0);
  while (choir_rope_iter_next (&iter, &leaf, &len))
    send_leaf (self, leaf, len);
}

static void
send_text (ChoirHttpRequest *request, const ChoirRope *text)
{
  Sending sending = { request, g_string_new (NULL), NULL };

  send_content (&sending, text);
  choir_http_request_add (request, sending.piece);
  choir_http_request_end (request);
}

/* @changed_us: 0: not said */
static void
send_json (ChoirHttpRequest *request,
           ChoirDocument *document,
           const ChoirRope *text,
           guint64 version,
           gint64 changed_us)
{
  g_autoptr (GString) escaped = g_string_new (NULL);
  Sending sending = { request, choir_http_document_begin_answer (document, version), escaped };

  if (changed_us > 0)
    choir_payload_add_time (sending.piece, "changed_at", changed_us);
  choir_payload_add_key (sending.piece, "content");
  g_string_append_c (sending.piece, '"');
  send_content (&sending, text);
  g_string_append (sending.piece, "\"}");
  choir_http_request_add (request, sending.piece);
  choir_http_request_end (request);
}

static void
set_validators (ChoirHttpRequest *request, ChoirDocument *document, guint64 version)
{
  g_autofree char *etag = choir_http_document_dup_etag (document, version, request->wanted);

  choir_http_request_set_header (request, "ETag", etag);
  choir_http_request_set_header (request, "Cache-Control", "private, no-cache");
}

/* The form may be larger than the text, but hardly is */
static void
send_document (ChoirHttpRequest *request,
               ChoirDocument *document,
               const ChoirRope *text,
               guint64 version,
               gint64 changed_us)
{
  if (!choir_http_request_begin (request, 200, choir_rope_get_n_bytes (text)))
    return;

  set_validators (request, document, version);
  if (request->wanted == CHOIR_HTTP_TEXT)
    send_text (request, text);
  else
    send_json (request, document, text, version, changed_us);
}

/* TRUE: to be sent */
static gboolean
check_reading (ChoirHttpRequest *request, ChoirDocument *document, guint64 version)
{
  switch (choir_http_document_check (request, document, version, TRUE))
    {
    case CHOIR_HTTP_FAILED:
      choir_http_refuse_condition (request, document);
      return FALSE;

    case CHOIR_HTTP_HAS_SAME:
      set_validators (request, document, version);
      choir_http_request_answer_empty (request, 304);
      return FALSE;

    case CHOIR_HTTP_MET:
    default:
      return TRUE;
    }
}

static void
past_read_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirHttpRequest) request = user_data;
  ChoirDocument *document = CHOIR_DOCUMENT (source);
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirRope) text = choir_document_read_at_finish (document, result, &error);
  guint64 version = 0;

  if (choir_http_request_is_gone (request))
    return;

  if (text == NULL)
    {
      choir_http_request_refuse_error (request, error);
      return;
    }

  choir_http_request_get_uint (request, "version", 0, 0, G_MAXINT64, &version);
  send_document (request, document, text, version, 0);
}

static void
get_past (ChoirHttpRequest *request, ChoirDocument *document, guint64 version)
{
  if (version > choir_document_get_version (document))
    choir_http_request_refuse (request, 404, CHOIR_ERROR_NOT_FOUND,
                               "Version %" G_GUINT64_FORMAT " is still to come", version);
  else if (check_reading (request, document, version))
    choir_document_read_at_async (document, version, request->cancellable, past_read_cb,
                                  choir_http_request_ref (request));
}

static void
get_opened (ChoirHttpRequest *request, ChoirDocument *document)
{
  guint64 present = choir_document_get_version (document);
  guint64 version;

  if (!choir_http_request_get_uint (request, "version", present, 0, G_MAXINT64, &version) ||
      !choir_http_document_exists (request, document))
    return;

  if (choir_http_request_get_parameter (request, "version") != NULL)
    get_past (request, document, version);
  else if (check_reading (request, document, present))
    send_document (request, document, choir_document_get_text (document), present,
                   choir_document_get_changed_us (document));
}

static void
get_document (ChoirHttpRequest *request)
{
  choir_http_open_document (request, get_opened);
}

static void
append_info (GString *body, const char *namespace, const ChoirStreamInfo *info)
{
  if (body->str[body->len - 1] != '[')
    g_string_append_c (body, ',');
  choir_payload_open (body);
  choir_payload_add_string (body, "document_id", info->name + strlen (namespace));
  choir_payload_add_int (body, "version", (gint64) info->head);
  choir_payload_add_time (body, "changed_at", info->changed_us);
  choir_payload_close (body);
}

static void
listed_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirHttpRequest) request = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) found = choir_store_list_finish (CHOIR_STORE (source), result, &error);
  guint64 limit = 0;
  GString *body;

  if (choir_http_request_is_gone (request))
    return;

  if (found == NULL)
    {
      choir_http_request_refuse (request, 503, CHOIR_ERROR_UNAVAILABLE,
                                 "The list can't be read at the moment");
      return;
    }

  choir_http_request_get_uint (request, "limit", LIST_DEFAULT, 1, LIST_MAX, &limit);
  body = g_string_new ("{\"documents\":[");
  for (guint i = 0; i < found->len && i < limit; i++)
    append_info (body, "document:", g_ptr_array_index (found, i));
  g_string_append_c (body, ']');
  choir_payload_add_boolean (body, "complete", found->len <= limit);
  choir_payload_close (body);
  choir_http_request_answer_json (request, 200, body);
}

/* One more than wanted, to see whether there are more */
static void
list_documents (ChoirHttpRequest *request)
{
  ChoirDocumentTable *table = get_table (request);
  const char *prefix = choir_http_request_get_parameter (request, "prefix");
  const char *after = choir_http_request_get_parameter (request, "after");
  g_autofree char *first = g_strconcat ("document:", prefix != NULL ? prefix : "", NULL);
  g_autofree char *last = after != NULL ? g_strconcat ("document:", after, NULL) : NULL;
  guint64 limit;

  if (table == NULL ||
      !choir_http_request_get_uint (request, "limit", LIST_DEFAULT, 1, LIST_MAX, &limit))
    return;

  if (strlen (first) > CHOIR_STORE_NAME_MAX ||
      (last != NULL && strlen (last) > CHOIR_STORE_NAME_MAX))
    {
      choir_http_request_refuse (request, 400, CHOIR_ERROR_VALIDATION, "No id is as long as that");
      return;
    }

  choir_store_list_async (choir_document_table_get_store (table), first, last, (guint) limit + 1,
                          request->cancellable, listed_cb, choir_http_request_ref (request));
}

static gsize
get_max_label (const ChoirHttpRequest *request)
{
  return 4096;
}

const ChoirHttpRoute choir_http_documents_routes[] = {
  { "GET",
    "documents",
    NULL,
    CHOIR_HTTP_MAY_SERVE,
    { "prefix", "after", "limit" },
    CHOIR_HTTP_NO_MEDIA,
    CHOIR_HTTP_JSON,
    FALSE,
    NULL,
    list_documents },
  { "GET",
    "documents/{}",
    "document:",
    CHOIR_HTTP_MAY_READ,
    { "version" },
    CHOIR_HTTP_NO_MEDIA,
    CHOIR_HTTP_JSON | CHOIR_HTTP_TEXT,
    FALSE,
    NULL,
    get_document },
  { "PUT",
    "documents/{}",
    "document:",
    CHOIR_HTTP_MAY_WRITE,
    { NULL },
    CHOIR_HTTP_JSON | CHOIR_HTTP_TEXT,
    CHOIR_HTTP_JSON,
    TRUE,
    choir_http_document_get_max_body,
    choir_http_document_put },
  { "GET",
    "documents/{}/operations",
    "document:",
    CHOIR_HTTP_MAY_READ,
    { "since", "limit" },
    CHOIR_HTTP_NO_MEDIA,
    CHOIR_HTTP_JSON,
    FALSE,
    NULL,
    choir_http_document_get_operations },
  { "POST",
    "documents/{}/operations",
    "document:",
    CHOIR_HTTP_MAY_WRITE,
    { NULL },
    CHOIR_HTTP_JSON,
    CHOIR_HTTP_JSON,
    TRUE,
    choir_http_document_get_max_body,
    choir_http_document_post_operations },
  { "GET",
    "documents/{}/versions",
    "document:",
    CHOIR_HTTP_MAY_READ,
    { "before", "limit" },
    CHOIR_HTTP_NO_MEDIA,
    CHOIR_HTTP_JSON,
    FALSE,
    NULL,
    choir_http_document_get_versions },
  { "POST",
    "documents/{}/versions",
    "document:",
    CHOIR_HTTP_MAY_WRITE,
    { NULL },
    CHOIR_HTTP_JSON,
    CHOIR_HTTP_JSON,
    FALSE,
    get_max_label,
    choir_http_document_post_version },
};

const guint choir_http_documents_n_routes = G_N_ELEMENTS (choir_http_documents_routes);
