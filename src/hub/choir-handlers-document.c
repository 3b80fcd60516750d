/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-handlers.h"

#include "choir-document.h"
#include "choir-error.h"
#include "choir-names.h"
#include "choir-payload.h"
#include "choir-session.h"

#include <string.h>

/* One request that waits: a document to open, a change to be committed */
typedef struct
{
  ChoirSession *session; /* (owned) */
  char *document_id;     /* (owned) */
  char *change_id;       /* (owned) (nullable) */
  char *correlation_id;  /* (owned) (nullable) */
} Request;

static void
request_free (gpointer data)
{
  Request *self = data;

  g_object_unref (self->session);
  g_free (self->document_id);
  g_free (self->change_id);
  g_free (self->correlation_id);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Request, request_free)

static ChoirEnvelope
request_as_envelope (const Request *self, const char *type)
{
  return (ChoirEnvelope){
    .type = type,
    .external_type = choir_slice (type),
    .correlation_id = choir_slice (self->correlation_id),
  };
}

static char *
dup_string (ChoirSlice payload, const char *key, gsize max)
{
  ChoirJsonValue value;

  if (!choir_json_slice_get (payload, key, &value) || value.kind != CHOIR_JSON_STRING)
    return NULL;

  return choir_json_string_dup (value.raw, max);
}

static char *
dup_document_id (ChoirSession *session, const ChoirEnvelope *message)
{
  char *id = dup_string (message->payload, "document_id", CHOIR_CHANNEL_NAME_MAX);
  const char *channel = choir_session_get_default_channel (session);

  if (id == NULL && channel != NULL && g_str_has_prefix (channel, "document:"))
    id = g_strdup (channel + strlen ("document:"));
  if (id == NULL)
    choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                          "Field \"document_id\" is missing");

  return id;
}

static Request *
request_new (ChoirSession *session, const ChoirEnvelope *message)
{
  char *id = dup_document_id (session, message);
  Request *self;

  if (id == NULL)
    return NULL;

  self = g_new0 (Request, 1);
  self->session = g_object_ref (session);
  self->document_id = id;
  self->change_id = dup_string (message->payload, "change_id", CHOIR_CHANGE_ID_MAX);
  self->correlation_id = choir_slice_dup (message->correlation_id);

  return self;
}

static void
send_opened (ChoirSession *session, const ChoirEnvelope *request, ChoirDocument *document)
{
  g_autoptr (GString) payload = g_string_new (NULL);
  gsize len;
  g_autofree char *text = choir_rope_dup_text (choir_document_get_text (document), &len);

  choir_payload_open (payload);
  choir_payload_add_string (payload, "document_id", choir_document_get_id (document));
  choir_payload_add_string (payload, "epoch", choir_document_get_epoch (document));
  choir_payload_add_int (payload, "version", (gint64) choir_document_get_version (document));
  choir_payload_add_key (payload, "content");
  choir_json_append_string (payload, text, (gssize) len);
  choir_payload_add_raw (payload, "members", CHOIR_SLICE_LITERAL ("[]"));
  choir_payload_close (payload);
  choir_session_send (session, request, "document.opened", choir_payload_as_slice (payload));
}

static void
opened_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (Request) request = user_data;
  ChoirDocumentTable *table = choir_hub_get_documents (choir_session_get_hub (request->session));
  ChoirEnvelope envelope = request_as_envelope (request, "document.open");
  g_autofree char *channel = g_strconcat ("document:", request->document_id, NULL);
  g_autoptr (GError) error = NULL;
  ChoirDocument *document = choir_document_table_open_finish (table, result, &error);
  ChoirChannel *joined;

  if (document == NULL)
    {
      choir_session_send_error (request->session, &envelope, error);
      return;
    }

  if (!choir_session_is_closing (request->session) &&
      choir_session_subscribe (request->session, channel, &joined, &error))
    send_opened (request->session, &envelope, document);
  else if (error != NULL)
    choir_session_send_error (request->session, &envelope, error);
}

static void
handle_open (ChoirSession *session, const ChoirEnvelope *message)
{
  ChoirDocumentTable *table = choir_hub_get_documents (choir_session_get_hub (session));
  Request *request = request_new (session, message);

  if (request != NULL)
    choir_document_table_open_async (table, request->document_id, NULL, opened_cb, request);
}

static void
changed_cb (ChoirDocument *document, const ChoirChangeResult *result, gpointer user_data)
{
  Request *request = user_data;
  ChoirEnvelope envelope = request_as_envelope (request, "document.change");
  g_autoptr (GString) payload = g_string_new (NULL);

  if (result->status != CHOIR_CHANGE_DUPLICATE)
    {
      choir_session_send_error (request->session, &envelope, result->error);
      return;
    }

  choir_payload_open (payload);
  choir_payload_add_string (payload, "document_id", request->document_id);
  choir_payload_add_string (payload, "change_id", request->change_id);
  choir_payload_add_int (payload, "version", (gint64) result->version);
  choir_payload_close (payload);
  choir_session_send (request->session, &envelope, "document.ack",
                      choir_payload_as_slice (payload));
}

static void
handle_change (ChoirSession *session, const ChoirEnvelope *message)
{
  ChoirDocumentTable *table = choir_hub_get_documents (choir_session_get_hub (session));
  g_autoptr (Request) request = request_new (session, message);
  g_autoptr (GError) error = NULL;
  ChoirChange change = { .version = CHOIR_VERSION_UNKNOWN };
  ChoirDocument *document;
  ChoirJsonValue value;
  gint64 version;

  if (request == NULL)
    return;

  document = choir_document_table_find (table, request->document_id);
  if (document == NULL)
    {
      choir_session_refuse (session, message, CHOIR_ERROR_NOT_SUBSCRIBED,
                            "Open the document first");
      return;
    }

  if (choir_json_slice_get (message->payload, "version", &value) &&
      choir_json_number_get_int (value.raw, &version) && version >= 0)
    change.version = (guint64) version;
  change.operation = choir_text_operation_parse_positional (
    message->payload, choir_document_table_get_limits (table), &error);
  if (change.operation == NULL)
    {
      choir_session_send_error (session, message, error);
      return;
    }

  change.change_id = request->change_id;
  change.sender = change.user_id = choir_session_get_user_id (session);
  change.session = session;
  change.correlation_id = message->correlation_id;
  change.callback = changed_cb;
  change.destroy = request_free;
  change.user_data = g_steal_pointer (&request);
  choir_document_submit (document, &change);
}

static const ChoirRoute routes[] = {
  { "document.open", handle_open, CHOIR_RATE_DEFAULT, 0 },
  { "document.change", handle_change, CHOIR_RATE_DOCUMENT, 0 },
};

void
choir_handlers_register_document (ChoirRouter *router)
{
  choir_router_add (router, routes, G_N_ELEMENTS (routes));
}
