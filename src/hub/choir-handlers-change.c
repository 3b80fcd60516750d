/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-handlers-document.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-payload.h"
#include "choir-session-private.h"
#include "choir-text-answer.h"

/* protocol.md: conflict.detected has the text at most so often */
#define CONTENT_PAUSE_US G_USEC_PER_SEC

static gboolean
may_have_content (ChoirSession *session)
{
  ChoirSessionExtra *extra = choir_session_ensure_extra (session);
  gint64 now_us = choir_clock_monotonic_us ();

  if (extra->content_us != 0 && now_us - extra->content_us < CONTENT_PAUSE_US)
    return FALSE;

  extra->content_us = now_us;

  return TRUE;
}

static GString *
make_conflict (ChoirDocument *document, const char *change_id, const GError *error)
{
  GString *payload = g_string_sized_new (256);

  choir_payload_open (payload);
  choir_payload_add_string (payload, "document_id", choir_document_get_id (document));
  choir_payload_add_string (payload, "change_id", change_id);
  choir_payload_add_string (payload, "reason", error->message);
  choir_payload_add_string (payload, "epoch", choir_document_get_epoch (document));
  choir_payload_add_int (payload, "version", (gint64) choir_document_get_version (document));

  return payload;
}

/* With the present text, which the client starts from again */
static void
send_conflict (ChoirSession *session,
               const ChoirEnvelope *request,
               ChoirDocument *document,
               const char *change_id,
               const GError *error)
{
  ChoirChannel *channel = choir_document_get_channel (document);
  g_autoptr (GString) payload = make_conflict (document, change_id, error);
  ChoirTextAnswer answer = {
    .type = "conflict.detected",
    .payload = payload,
    .version = choir_document_get_version (document),
    .text = choir_document_get_text (document),
    .room = channel != NULL ? channel->room : NULL,
  };

  if (may_have_content (session) && choir_text_answer_send (session, request, &answer, NULL))
    return;

  choir_payload_close (payload);
  choir_session_send_version (session, request, answer.type, choir_payload_as_slice (payload),
                              answer.version);
}

static void
send_duplicate (ChoirDocumentRequest *request, const ChoirChangeResult *result)
{
  ChoirEnvelope envelope = choir_document_request_get_envelope (request);
  g_autoptr (GString) payload = g_string_sized_new (128);

  choir_payload_open (payload);
  choir_payload_add_string (payload, "document_id", choir_document_request_get_id (request));
  choir_payload_add_string (payload, "change_id", request->text);
  choir_payload_add_int (payload, "version", (gint64) result->version);
  choir_payload_close (payload);
  choir_session_send_version (request->session, &envelope, "document.ack",
                              choir_payload_as_slice (payload), result->version);
}

/* Contract C answers a change that makes no sense with the present text (contracts.md) */
static gboolean
is_conflict (ChoirSession *session, const GError *error)
{
  if (g_error_matches (error, CHOIR_ERROR, CHOIR_ERROR_CONFLICT))
    return TRUE;

  return choir_dialect_get_id (choir_session_get_dialect (session)) == CHOIR_DIALECT_JDDB &&
         g_error_matches (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION);
}

/* It is no longer on its way */
static void
settle (ChoirDocumentRequest *request, ChoirDocument *document)
{
  ChoirChannel *channel = choir_document_get_channel (document);
  ChoirDocumentMember *member =
    channel != NULL ? choir_document_member_find (request->session, channel) : NULL;

  if (member != NULL && choir_document_member_settled (member))
    choir_document_room_tell (channel->room, member, 0);
}

/* Not called for what was committed: the delivery says that */
static void
changed_cb (ChoirDocument *document, const ChoirChangeResult *result, gpointer user_data)
{
  ChoirDocumentRequest *request = user_data;
  ChoirEnvelope envelope = choir_document_request_get_envelope (request);

  if (choir_document_request_is_over (request))
    return;

  settle (request, document);
  if (result->status == CHOIR_CHANGE_DUPLICATE)
    send_duplicate (request, result);
  else if (is_conflict (request->session, result->error))
    send_conflict (request->session, &envelope, document, request->text, result->error);
  else
    choir_document_request_fail (request, result->error);
}

static gboolean
read_change_id (ChoirSlice payload, char **change_id, GError **error)
{
  ChoirJsonValue value;

  if (!choir_json_slice_get (payload, "change_id", &value) || value.kind == CHOIR_JSON_NULL)
    return TRUE;

  if (value.kind == CHOIR_JSON_STRING)
    *change_id = choir_json_string_dup (value.raw, CHOIR_CHANGE_ID_MAX);
  if (*change_id != NULL && **change_id != '\0')
    return TRUE;

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
               "Field \"change_id\" must be a string of 1-%d bytes", CHOIR_CHANGE_ID_MAX);

  return FALSE;
}

/* What it was made for; where it does not say, what was last sent to the session, which is sent all
 * there is at once */
static gboolean
read_base (ChoirSession *session,
           const ChoirEnvelope *message,
           ChoirDocument *document,
           guint64 *version,
           GError **error)
{
  const ChoirDialectTable *table = choir_dialect_get_table (choir_session_get_dialect (session));

  *version = choir_document_get_version (document);
  if (table->timestamp == CHOIR_TIMESTAMP_METADATA && message->metadata.len > 0)
    choir_handlers_read_version (message->metadata, "version", version, NULL);

  return choir_handlers_read_version (message->payload, "version", version, error);
}

static gboolean
read_change (ChoirSession *session,
             const ChoirEnvelope *message,
             ChoirDocument *document,
             ChoirDocumentRequest *request,
             ChoirChange *change,
             GError **error)
{
  const ChoirTextLimits *limits = choir_document_table_get_limits (request->table);

  if (!read_change_id (message->payload, &request->text, error) ||
      !read_base (session, message, document, &change->version, error))
    return FALSE;

  change->operation = choir_text_operation_parse_positional (message->payload, limits, error);

  return change->operation != NULL;
}

/* Whose change ids are told apart: the user's, and the client's if it has a name */
static char *
make_sender (ChoirSession *session)
{
  const char *user_id = choir_session_get_user_id (session);
  const char *client_id = choir_session_get_client_id (session);

  return client_id != NULL ? g_strconcat (user_id, "\t", client_id, NULL) : g_strdup (user_id);
}

static void
submit (ChoirDocumentRequest *request,
        const ChoirEnvelope *message,
        ChoirDocument *document,
        ChoirChange *change)
{
  g_autofree char *sender = make_sender (request->session);

  change->change_id = request->text;
  change->sender = sender;
  change->user_id = choir_session_get_user_id (request->session);
  change->session = request->session;
  change->correlation_id = message->correlation_id;
  change->callback = changed_cb;
  change->user_data = request;
  change->destroy = (GDestroyNotify) choir_document_request_free;
  choir_document_submit (document, change);
}

/* document.change {document_id, version?, change_id?, operation} -> document.ack, when it is stored
 */
static void
handle_change (ChoirSession *session, const ChoirEnvelope *message)
{
  ChoirDocumentMember *member = choir_handlers_find_member (session, message);
  g_autoptr (ChoirDocumentRequest) request = NULL;
  g_autoptr (GError) error = NULL;
  ChoirChange change = { 0 };
  ChoirDocument *document;
  ChoirChannel *channel;

  if (member == NULL)
    return;

  channel = member->subscription.channel;
  document = choir_document_room_get_document (channel->room);
  if (!choir_session_may (session, channel->name, CHOIR_PERMISSION_WRITE))
    {
      choir_session_refuse (session, message, CHOIR_ERROR_PERMISSION_DENIED,
                            "You may not change this document");
      return;
    }

  choir_document_room_touch (channel->room, member);
  request = choir_document_request_new (session, message, CHOIR_REQUEST_OTHER, channel->name);
  if (read_change (session, message, document, request, &change, &error))
    {
      choir_document_member_sent (member);
      submit (g_steal_pointer (&request), message, document, &change);
    }
  else if (is_conflict (session, error))
    send_conflict (session, message, document, request->text, error);
  else
    choir_session_send_error (session, message, error);
}

static const ChoirRoute routes[] = {
  { "document.change", handle_change, CHOIR_RATE_DOCUMENT, 0 },
};

void
choir_handlers_register_change (ChoirRouter *router)
{
  choir_router_add (router, routes, G_N_ELEMENTS (routes));
}
