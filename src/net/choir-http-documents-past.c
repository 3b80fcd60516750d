/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-documents.h"

#include "choir-clock.h"
#include "choir-document-delivery.h"
#include "choir-payload.h"

#include <string.h>

/* What a document was: its operations, and the versions that were named */

#define OPERATIONS_DEFAULT 100
#define OPERATIONS_MAX 500
/* After which an answer ends early: bytes */
#define OPERATIONS_BYTES (8 * 1024 * 1024)

#define VERSIONS_DEFAULT 50
#define VERSIONS_MAX 500

static void
append_revision (GString *body, const ChoirRevision *revision)
{
  if (body->str[body->len - 1] != '[')
    g_string_append_c (body, ',');
  choir_payload_open (body);
  choir_payload_add_int (body, "version", (gint64) revision->version);
  choir_payload_add_key (body, "operation");
  choir_text_operation_append_json (revision->operation, body);
  choir_payload_add_string (body, "user_id", revision->user_id);
  choir_payload_add_string (body, "session_id", revision->session_id);
  choir_payload_add_time (body, "timestamp", revision->wall_us);
  choir_payload_close (body);
}

static void
answer_operations (ChoirHttpRequest *request, ChoirDocument *document, GPtrArray *revisions)
{
  guint64 present = choir_document_get_version (document);
  GString *body = choir_http_document_begin_answer (document, present);
  guint64 since = present;
  guint64 last;

  choir_http_request_get_uint (request, "since", 0, 0, G_MAXINT64, &since);
  last = since;
  choir_payload_add_key (body, "operations");
  g_string_append_c (body, '[');
  for (guint i = 0; i < revisions->len && body->len < OPERATIONS_BYTES; i++)
    {
      const ChoirRevision *revision = g_ptr_array_index (revisions, i);

      append_revision (body, revision);
      last = revision->version;
    }

  g_string_append_c (body, ']');
  choir_payload_add_boolean (body, "complete", last >= present);
  choir_payload_close (body);
  choir_http_request_answer_json (request, 200, body);
}

static void
since_read_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirHttpRequest) request = user_data;
  ChoirDocument *document = CHOIR_DOCUMENT (source);
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) revisions = choir_document_read_since_finish (document, result, &error);

  if (choir_http_request_is_gone (request))
    return;

  if (revisions == NULL)
    choir_http_request_refuse_error (request, error);
  else
    answer_operations (request, document, revisions);
}

static void
operations_opened (ChoirHttpRequest *request, ChoirDocument *document)
{
  guint64 since, limit;

  if (!choir_http_request_get_uint (request, "since", 0, 0, G_MAXINT64, &since) ||
      !choir_http_request_get_uint (request, "limit", OPERATIONS_DEFAULT, 1, OPERATIONS_MAX,
                                    &limit) ||
      !choir_http_document_exists (request, document))
    return;

  if (since > choir_document_get_version (document))
    choir_http_request_refuse (request, 404, CHOIR_ERROR_NOT_FOUND,
                               "Version %" G_GUINT64_FORMAT " is still to come", since);
  else
    choir_document_read_since_async (document, since, (guint) limit, request->cancellable,
                                     since_read_cb, choir_http_request_ref (request));
}

void
choir_http_document_get_operations (ChoirHttpRequest *request)
{
  choir_http_open_document (request, operations_opened);
}

static void
append_version (GString *body, const ChoirSnapshot *snapshot)
{
  if (body->str[body->len - 1] != '[')
    g_string_append_c (body, ',');
  choir_payload_open (body);
  choir_payload_add_int (body, "version", (gint64) snapshot->offset);
  choir_payload_add_string (body, "label", snapshot->label);
  choir_payload_add_string (body, "user_id", snapshot->user_id);
  choir_payload_add_time (body, "timestamp", snapshot->wall_us);
  choir_payload_add_int (body, "size", (gint64) snapshot->len);
  choir_payload_close (body);
}

static void
versions_listed_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirHttpRequest) request = user_data;
  ChoirDocument *document = CHOIR_DOCUMENT (source);
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) found = choir_document_list_versions_finish (document, result, &error);
  guint64 limit = 0;
  GString *body;

  if (choir_http_request_is_gone (request))
    return;

  if (found == NULL)
    {
      choir_http_request_refuse_error (request, error);
      return;
    }

  choir_http_request_get_uint (request, "limit", VERSIONS_DEFAULT, 1, VERSIONS_MAX, &limit);
  body = choir_http_document_begin_answer (document, choir_document_get_version (document));
  choir_payload_add_key (body, "versions");
  g_string_append_c (body, '[');
  for (guint i = 0; i < found->len; i++)
    append_version (body, g_ptr_array_index (found, i));
  g_string_append_c (body, ']');
  choir_payload_add_boolean (body, "complete", found->len < limit);
  choir_payload_close (body);
  choir_http_request_answer_json (request, 200, body);
}

static void
versions_opened (ChoirHttpRequest *request, ChoirDocument *document)
{
  guint64 before, limit;

  if (choir_http_request_get_uint (request, "before", 0, 1, G_MAXINT64, &before) &&
      choir_http_request_get_uint (request, "limit", VERSIONS_DEFAULT, 1, VERSIONS_MAX, &limit) &&
      choir_http_document_exists (request, document))
    choir_document_list_versions_async (document, before, (guint) limit, request->cancellable,
                                        versions_listed_cb, choir_http_request_ref (request));
}

void
choir_http_document_get_versions (ChoirHttpRequest *request)
{
  choir_http_open_document (request, versions_opened);
}

/* A version is being saved */
typedef struct
{
  ChoirHttpRequest *request; /* (owned) */
  char *label;               /* (owned) */
} Save;

static void
answer_saved (ChoirHttpRequest *request, ChoirDocument *document, const ChoirSavedVersion *saved)
{
  GString *body = choir_http_document_begin_answer (document, saved->version);
  g_autofree char *id = g_uri_escape_string (choir_document_get_id (document), NULL, FALSE);
  g_autofree char *location =
    g_strdup_printf ("/api/v1/documents/%s?version=%" G_GUINT64_FORMAT, id, saved->version);

  choir_payload_add_string (body, "label", saved->label);
  choir_payload_add_string (body, "user_id", saved->user_id);
  choir_payload_add_time (body, "timestamp", saved->wall_us);
  choir_payload_close (body);
  choir_http_request_set_header (request, "Location", location);
  choir_http_request_answer_json (request, 201, body);
}

static void
saved_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autofree Save *save = user_data;
  g_autoptr (ChoirHttpRequest) request = save->request;
  g_autofree char *label = save->label;
  ChoirDocument *document = CHOIR_DOCUMENT (source);
  ChoirSavedVersion saved = {
    .label = label,
    .user_id = choir_claims_get_user_id (request->claims),
  };
  g_autoptr (GError) error = NULL;

  if (choir_document_save_finish (document, result, &saved.version, &saved.wall_us, &error))
    {
      /* with the last request the service may be gone */
      if (!choir_http_request_is_gone (request))
        {
          choir_document_announce_saved (document, &saved, NULL);
          answer_saved (request, document, &saved);
        }
    }
  else if (g_error_matches (error, CHOIR_ERROR, CHOIR_ERROR_OVERRUN))
    choir_http_request_refuse (request, 409, CHOIR_ERROR_CONFLICT, "%s", error->message);
  else
    choir_http_request_refuse_error (request, error);
}

/* (transfer full) (nullable): NULL if the request was refused; by default it is the time, as on a
 * connection */
static char *
read_label (ChoirHttpRequest *request)
{
  ChoirSlice body = choir_http_request_get_body (request);
  const ChoirJsonLimits *limits = &choir_hub_get_settings (request->gateway->hub)->json;
  g_autoptr (GError) error = NULL;
  const ChoirJsonMember *member = NULL;
  ChoirJsonObject object;
  char *label;

  if (body.len > 0 && !choir_json_gate_scan (body.data, body.len, limits, &object, &error))
    {
      choir_http_request_refuse_error (request, error);
      return NULL;
    }

  if (body.len > 0)
    member = choir_json_object_find (&object, "label");
  if (member == NULL)
    {
      label = g_malloc (CHOIR_CLOCK_ISO8601_SIZE);
      choir_clock_format_iso8601 (choir_clock_wall_us (), label);
      return label;
    }

  label = member->value.kind == CHOIR_JSON_STRING
            ? choir_json_string_dup (member->value.raw, CHOIR_LABEL_MAX)
            : NULL;
  if (label != NULL && *label != '\0')
    return label;

  g_free (label);
  choir_http_request_refuse (request, 400, CHOIR_ERROR_VALIDATION,
                             "label must be a string of 1-%d bytes", CHOIR_LABEL_MAX);

  return NULL;
}

static void
save_opened (ChoirHttpRequest *request, ChoirDocument *document)
{
  g_autofree char *label = NULL;
  Save *save;

  if (!choir_http_document_exists (request, document))
    return;

  if (choir_http_document_check (request, document, choir_document_get_version (document), FALSE) !=
      CHOIR_HTTP_MET)
    {
      choir_http_refuse_condition (request, document);
      return;
    }

  label = read_label (request);
  if (label == NULL)
    return;

  save = g_new (Save, 1);
  *save = (Save){ choir_http_request_ref (request), g_steal_pointer (&label) };
  choir_document_save_async (document, save->label, choir_claims_get_user_id (request->claims),
                             NULL, saved_cb, save);
}

void
choir_http_document_post_version (ChoirHttpRequest *request)
{
  choir_http_open_document (request, save_opened);
}
