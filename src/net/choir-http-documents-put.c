/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-documents.h"

#include "choir-payload.h"
#include "choir-utf8.h"

#include <string.h>

/* JSON may write a byte as six, as in \u001f */
#define JSON_FACTOR 6
#define JSON_EXTRA (64 * 1024)
/* What a body's array counts itself in is 32 bits wide */
#define BODY_BYTES_MAX (1024 * 1024 * 1024)

/* A text as it is, or what makes the largest one in JSON */
gsize
choir_http_document_get_max_body (const ChoirHttpRequest *request)
{
  ChoirDocumentTable *table = choir_hub_get_documents (request->gateway->hub);
  gsize max_size = table != NULL ? choir_document_table_get_max_size (table) : 0;

  if (request->media == CHOIR_HTTP_TEXT)
    return MIN (max_size, BODY_BYTES_MAX);

  return MIN (max_size, BODY_BYTES_MAX / JSON_FACTOR - JSON_EXTRA) * JSON_FACTOR + JSON_EXTRA;
}

/* A text that is to be the document's */
typedef struct
{
  ChoirHttpRequest *request; /* (owned) */
  char *text;                /* (owned) */
  gsize len;
  char *change_id; /* (owned) (nullable) */
  gboolean conditional;
} Put;

static void
put_free (gpointer data)
{
  Put *self = data;

  choir_http_request_unref (self->request);
  g_free (self->text);
  g_free (self->change_id);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Put, put_free)

static gboolean
is_inside_character (char byte)
{
  return ((guint8) byte & 0xc0) == 0x80;
}

/* Bytes that both texts begin with, in whole characters */
static gsize
count_prefix (const char *a, gsize a_len, const char *b, gsize b_len)
{
  gsize max = MIN (a_len, b_len);
  gsize n = 0;

  while (n < max && a[n] == b[n])
    n++;
  /* one text may go on inside a character only where the other does too */
  while (n > 0 && n < a_len && is_inside_character (a[n]))
    n--;

  return n;
}

static gsize
count_suffix (const char *a, gsize a_len, const char *b, gsize b_len)
{
  gsize max = MIN (a_len, b_len);
  gsize n = 0;

  while (n < max && a[a_len - 1 - n] == b[b_len - 1 - n])
    n++;
  while (n > 0 && is_inside_character (a[a_len - n]))
    n--;

  return n;
}

/* Leaves as much as possible where it is, so that whoever is editing loses no cursor */
static ChoirTextOperation *
make_replacement (const ChoirRope *old, const char *text, gsize len)
{
  ChoirTextBuilder *builder = choir_text_builder_new ();
  gsize old_len;
  g_autofree char *old_text = choir_rope_dup_text (old, &old_len);
  gsize prefix = count_prefix (old_text, old_len, text, len);
  gsize suffix = count_suffix (old_text + prefix, old_len - prefix, text + prefix, len - prefix);

  choir_text_builder_keep (builder, (gsize) g_utf8_strlen (old_text, (gssize) prefix));
  choir_text_builder_insert (builder, text + prefix, len - prefix - suffix);
  choir_text_builder_delete (
    builder, (gsize) g_utf8_strlen (old_text + prefix, (gssize) (old_len - prefix - suffix)));

  return choir_text_builder_end (builder);
}

/* The first version is the one a PUT has created */
static void
answer_put (ChoirHttpRequest *request, ChoirDocument *document, guint64 version)
{
  g_autofree char *id = NULL;
  g_autofree char *location = NULL;

  if (choir_http_request_is_gone (request))
    return;

  if (version == 1)
    {
      id = g_uri_escape_string (choir_document_get_id (document), NULL, FALSE);
      location = g_strconcat ("/api/v1/documents/", id, NULL);
      choir_http_request_set_header (request, "Location", location);
    }

  choir_http_answer_version (request, document, version == 1 ? 201 : 200, version, NULL);
}

static void
refuse_put (const Put *put, ChoirDocument *document)
{
  g_autoptr (GString) members = g_string_new (NULL);

  if (put->conditional)
    {
      choir_http_refuse_condition (put->request, document);
      return;
    }

  choir_payload_add_int (members, "version", (gint64) choir_document_get_version (document));
  choir_http_request_refuse_with (put->request, 409, CHOIR_ERROR_CONFLICT,
                                  "The document is there already: say in If-Match which state of "
                                  "it is to be replaced",
                                  members);
}

static void
put_changed_cb (ChoirDocument *document, const ChoirChangeResult *result, gpointer user_data)
{
  const Put *put = user_data;

  switch (result->status)
    {
    case CHOIR_CHANGE_COMMITTED:
    case CHOIR_CHANGE_DUPLICATE:
      answer_put (put->request, document, result->version);
      break;

    case CHOIR_CHANGE_CONFLICT:
      refuse_put (put, document);
      break;

    case CHOIR_CHANGE_REFUSED:
    default:
      choir_http_refuse_change (put->request, result, NULL);
    }
}

static void
submit_put (Put *put, ChoirDocument *document)
{
  const char *user_id = choir_claims_get_user_id (put->request->claims);
  guint64 version = choir_document_get_version (document);
  ChoirTextOperation *operation =
    make_replacement (choir_document_get_text (document), put->text, put->len);
  ChoirChange change = {
    .version = version,
    .operation = operation,
    .change_id = put->change_id,
    .sender = user_id,
    .user_id = user_id,
    .exact = TRUE,
    .callback = put_changed_cb,
    .user_data = put,
    .destroy = put_free,
  };

  if (version > 0 && choir_text_operation_is_noop (operation))
    {
      choir_text_operation_free (operation);
      answer_put (put->request, document, version);
      put_free (put);
      return;
    }

  choir_document_submit (document, &change);
}

/* It is not to be done, unless it has been done already */
static void
put_found_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (Put) put = user_data;
  ChoirDocument *document = CHOIR_DOCUMENT (source);
  g_autoptr (GError) error = NULL;
  guint64 version;

  if (!choir_document_find_change_finish (document, result, &version, &error))
    choir_http_request_refuse_error (put->request, error);
  else if (version > 0)
    answer_put (put->request, document, version);
  else
    refuse_put (put, document);
}

/* (transfer full) (nullable): NULL if the request was refused */
static char *
dup_plain_text (ChoirHttpRequest *request)
{
  ChoirSlice body = choir_http_request_get_body (request);

  if (!choir_utf8_validate ((const guint8 *) body.data, body.len) ||
      (body.len > 0 && memchr (body.data, '\0', body.len) != NULL))
    choir_http_request_refuse (request, 400, CHOIR_ERROR_VALIDATION,
                               "The text must be UTF-8, without NUL");
  else
    return g_strndup (body.len > 0 ? body.data : "", body.len);

  return NULL;
}

static char *
dup_json_content (ChoirHttpRequest *request, gsize max_size)
{
  ChoirSlice body = choir_http_request_get_body (request);
  const ChoirJsonLimits *limits = &choir_hub_get_settings (request->gateway->hub)->json;
  g_autoptr (GError) error = NULL;
  const ChoirJsonMember *member;
  ChoirJsonObject object;
  char *text;

  if (!choir_json_gate_scan (body.data, body.len, limits, &object, &error))
    {
      choir_http_request_refuse_error (request, error);
      return NULL;
    }

  member = choir_json_object_find (&object, "content");
  if (member == NULL || member->value.kind != CHOIR_JSON_STRING || object.n_members != 1)
    {
      choir_http_request_refuse (request, 400, CHOIR_ERROR_VALIDATION,
                                 "The body must be an object with one member, content, a string");
      return NULL;
    }

  text = choir_json_string_dup (member->value.raw, max_size);
  if (text == NULL)
    choir_http_request_refuse (request, 413, CHOIR_ERROR_TOO_LARGE,
                               "A document is %" G_GSIZE_FORMAT " bytes at most", max_size);

  return text;
}

/* (nullable): NULL if the request was refused */
static Put *
read_put (ChoirHttpRequest *request)
{
  gsize max_size =
    choir_document_table_get_max_size (choir_hub_get_documents (request->gateway->hub));
  const char *key = choir_http_request_get_header (request, "Idempotency-Key");
  g_autofree char *text = NULL;
  Put *put;

  if (key != NULL && !choir_http_check_change_id (request, "Idempotency-Key", key))
    return NULL;

  text = request->media == CHOIR_HTTP_TEXT ? dup_plain_text (request)
                                           : dup_json_content (request, max_size);
  if (text == NULL)
    return NULL;

  put = g_new0 (Put, 1);
  put->request = choir_http_request_ref (request);
  put->len = strlen (text);
  put->text = g_steal_pointer (&text);
  put->change_id = g_strdup (key);

  return put;
}

/* @put: (transfer full): maybe sent again because the first answer got lost */
static void
look_for_put (Put *put, ChoirDocument *document)
{
  choir_document_find_change_async (document, choir_claims_get_user_id (put->request->claims),
                                    put->change_id, put->request->cancellable, put_found_cb, put);
}

static void
put_opened (ChoirHttpRequest *request, ChoirDocument *document)
{
  g_autoptr (Put) put = read_put (request);
  guint64 version = choir_document_get_version (document);
  gboolean matches = choir_http_request_get_header (request, "If-Match") != NULL;
  gboolean is_new = choir_http_request_get_header (request, "If-None-Match") != NULL;
  gboolean met = choir_http_document_check (request, document, version, FALSE) == CHOIR_HTTP_MET;
  gboolean allowed = version == 0 || matches;

  if (put == NULL)
    return;

  put->conditional = !met || (allowed && (matches || is_new));
  if (met && allowed)
    submit_put (g_steal_pointer (&put), document);
  else if (put->change_id == NULL)
    refuse_put (put, document);
  else
    look_for_put (g_steal_pointer (&put), document);
}

/**
 * choir_http_document_put:
 * @request: a whole text for a document
 *
 * Creates the document, or replaces what If-Match names.
 */
void
choir_http_document_put (ChoirHttpRequest *request)
{
  choir_http_open_document (request, put_opened);
}
