/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-handlers-document.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-payload.h"
#include "choir-session.h"
#include "choir-text-answer.h"

/* Versions named in one answer */
#define VERSIONS_DEFAULT 50
#define VERSIONS_MAX 200

/* (transfer full) (nullable): about the document that is open here, which is held, and counted as
 * reading if @reads; refuses the message otherwise */
static ChoirDocumentRequest *
begin (ChoirSession *session, const ChoirEnvelope *message, gboolean reads)
{
  ChoirDocumentMember *member = choir_handlers_find_member (session, message);
  g_autoptr (ChoirDocumentRequest) request = NULL;
  ChoirChannel *channel;

  if (member == NULL)
    return NULL;

  channel = member->subscription.channel;
  choir_document_room_touch (channel->room, member);
  request = choir_document_request_new (session, message, CHOIR_REQUEST_OTHER, channel->name);
  if (reads && !choir_document_request_begin_read (request))
    {
      choir_session_refuse_rate (session, message, G_USEC_PER_SEC);
      return NULL;
    }

  if (!choir_document_request_hold (request))
    {
      g_autoptr (GError) error =
        g_error_new_literal (CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE, "The service is stopping");

      choir_document_request_fail (request, error);
      return NULL;
    }

  return g_steal_pointer (&request);
}

static void
saved_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirDocumentRequest) request = user_data;
  ChoirEnvelope envelope = choir_document_request_get_envelope (request);
  ChoirSavedVersion version = {
    .label = request->text,
    .user_id = choir_session_get_user_id (request->session),
  };
  g_autoptr (GError) error = NULL;
  g_autoptr (GString) payload = NULL;
  gboolean saved;

  saved = choir_document_save_finish (CHOIR_DOCUMENT (source), result, &version.version,
                                      &version.wall_us, &error);
  if (choir_document_request_is_over (request))
    return;

  if (g_error_matches (error, CHOIR_ERROR, CHOIR_ERROR_OVERRUN))
    choir_session_refuse (request->session, &envelope, CHOIR_ERROR_CONFLICT, "%s", error->message);
  else if (!saved)
    choir_document_request_fail (request, error);
  if (!saved)
    return;

  payload = g_string_sized_new (256);
  choir_document_append_saved (request->document, &version, payload);
  choir_session_send_version (request->session, &envelope, "document.saved",
                              choir_payload_as_slice (payload), version.version);
  choir_document_announce_saved (request->document, &version, request->session);
}

/* (transfer full) (nullable): the label, or the time where there is none */
static char *
read_label (ChoirSlice payload, gint64 wall_us)
{
  char now[CHOIR_CLOCK_ISO8601_SIZE];
  g_autofree char *label = NULL;
  ChoirJsonValue value;

  if (choir_json_slice_get (payload, "label", &value) && value.kind != CHOIR_JSON_NULL)
    {
      if (value.kind == CHOIR_JSON_STRING)
        label = choir_json_string_dup (value.raw, CHOIR_LABEL_MAX);
      if (label == NULL || *label != '\0')
        return g_steal_pointer (&label);
    }

  choir_clock_format_iso8601 (wall_us, now);

  return g_strdup (now);
}

/* document.save {document_id, label?} -> document.saved, to everybody */
static void
handle_save (ChoirSession *session, const ChoirEnvelope *message)
{
  g_autoptr (ChoirDocumentRequest) request = begin (session, message, FALSE);
  ChoirDocument *document;
  const char *user_id = choir_session_get_user_id (session);

  if (request == NULL)
    return;

  if (!choir_session_may (session, request->channel, CHOIR_PERMISSION_WRITE))
    {
      choir_session_refuse (session, message, CHOIR_ERROR_PERMISSION_DENIED,
                            "You may not save versions of this document");
      return;
    }

  request->text = read_label (message->payload, choir_clock_wall_us ());
  if (request->text == NULL)
    {
      choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                            "Field \"label\" must be a string of at most %d bytes",
                            CHOIR_LABEL_MAX);
      return;
    }

  document = request->document;
  {
    const char *label = request->text;

    choir_document_save_async (document, label, user_id, NULL, saved_cb,
                               g_steal_pointer (&request));
  }
}

static void
append_version (const ChoirSnapshot *snapshot, GString *list)
{
  choir_handlers_begin_item (list);
  choir_payload_open (list);
  choir_payload_add_int (list, "version", (gint64) snapshot->offset);
  choir_payload_add_string (list, "label", snapshot->label);
  choir_payload_add_string (list, "user_id", snapshot->user_id);
  choir_payload_add_time (list, "timestamp", snapshot->wall_us);
  choir_payload_add_int (list, "size", (gint64) snapshot->len);
  choir_payload_close (list);
}

/* @wanted: of @versions, which has one more if there are more */
static void
send_versions (ChoirDocumentRequest *request, const GPtrArray *versions, guint wanted)
{
  ChoirEnvelope envelope = choir_document_request_get_envelope (request);
  g_autoptr (GString) list = g_string_new ("[");
  g_autoptr (GString) payload = g_string_new (NULL);

  for (guint i = 0; i < MIN (versions->len, wanted); i++)
    append_version (g_ptr_array_index (versions, i), list);
  g_string_append_c (list, ']');

  choir_payload_open (payload);
  choir_payload_add_string (payload, "document_id", choir_document_request_get_id (request));
  choir_payload_add_raw (payload, "versions", choir_payload_as_slice (list));
  choir_payload_add_boolean (payload, "complete", versions->len <= wanted);
  choir_payload_close (payload);
  choir_session_send (request->session, &envelope, "document.versions",
                      choir_payload_as_slice (payload));
}

static void
listed_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirDocumentRequest) request = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) versions =
    choir_document_list_versions_finish (CHOIR_DOCUMENT (source), result, &error);

  if (choir_document_request_is_over (request))
    return;

  if (versions == NULL)
    choir_document_request_fail (request, error);
  else
    send_versions (request, versions, (guint) request->version);
}

/* document.versions {document_id, before?, limit?} -> document.versions */
static void
handle_versions (ChoirSession *session, const ChoirEnvelope *message)
{
  g_autoptr (ChoirDocumentRequest) request = begin (session, message, TRUE);
  g_autoptr (GError) error = NULL;
  ChoirDocument *document;
  guint64 before = 0;

  if (request == NULL)
    return;

  document = request->document;
  request->version = VERSIONS_DEFAULT;
  if (!choir_handlers_read_version (message->payload, "before", &before, &error) ||
      !choir_handlers_read_version (message->payload, "limit", &request->version, &error))
    {
      choir_session_send_error (session, message, error);
      return;
    }

  request->version = CLAMP (request->version, 1, VERSIONS_MAX);
  {
    guint limit = (guint) request->version + 1;

    choir_document_list_versions_async (document, before, limit, NULL, listed_cb,
                                        g_steal_pointer (&request));
  }
}

static void
read_at_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirDocumentRequest) request = user_data;
  ChoirEnvelope envelope = choir_document_request_get_envelope (request);
  g_autoptr (GString) payload = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirRope) text =
    choir_document_read_at_finish (CHOIR_DOCUMENT (source), result, &error);
  ChoirTextAnswer answer = {
    .type = "document.at",
    .payload = payload,
    .version = request->version,
    .text = text,
  };

  if (choir_document_request_is_over (request))
    return;

  choir_payload_open (payload);
  choir_payload_add_string (payload, "document_id", choir_document_request_get_id (request));
  choir_payload_add_int (payload, "version", (gint64) request->version);
  if (text == NULL || !choir_text_answer_send (request->session, &envelope, &answer, &error))
    choir_document_request_fail (request, error);
}

/* document.at {document_id, version} -> document.at */
static void
handle_at (ChoirSession *session, const ChoirEnvelope *message)
{
  g_autoptr (ChoirDocumentRequest) request = begin (session, message, TRUE);
  g_autoptr (GError) error = NULL;
  ChoirDocument *document;

  if (request == NULL)
    return;

  document = request->document;
  request->version = CHOIR_VERSION_UNKNOWN;
  if (!choir_handlers_read_version (message->payload, "version", &request->version, &error))
    choir_session_send_error (session, message, error);
  else if (request->version == CHOIR_VERSION_UNKNOWN)
    choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION, "Field \"version\" is missing");
  else
    {
      guint64 version = request->version;

      choir_document_read_at_async (document, version, NULL, read_at_cb,
                                    g_steal_pointer (&request));
    }
}

static const ChoirRoute routes[] = {
  { "document.save", handle_save, CHOIR_RATE_DEFAULT, CHOIR_ROUTE_SANITIZE },
  { "document.versions", handle_versions, CHOIR_RATE_DEFAULT, 0 },
  { "document.at", handle_at, CHOIR_RATE_DEFAULT, 0 },
};

void
choir_handlers_register_past (ChoirRouter *router)
{
  choir_router_add (router, routes, G_N_ELEMENTS (routes));
}
