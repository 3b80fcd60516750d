/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-handlers-document.h"

#include "choir-clock.h"
#include "choir-close-code.h"
#include "choir-error.h"
#include "choir-names.h"
#include "choir-payload.h"
#include "choir-session.h"
#include "choir-text-answer.h"

#include <string.h>

/*
 * Opening a document, and catching up with one. Whoever says which version it has gets the
 * operations since, if they are kept and not too many; else the text. Subscribing and answering are
 * one step: what is committed before is in the answer, and what is committed later comes after it.
 */

/* Operations in one answer; past it the text is the shorter way */
#define OPERATIONS_MAX 5000

/* A number of Unix time below is seconds (the year 5138), above milliseconds (from 1973 on) */
#define MILLISECONDS_MIN 1e11
#define TIMESTAMP_MAX 1e15

static void
refuse_initial (ChoirDocumentRequest *request, const GError *error)
{
  if (!(request->flags & CHOIR_REQUEST_INITIAL))
    return;

  /* for one who may not read the document there is nothing to stay for; others may try again */
  if (g_error_matches (error, CHOIR_ERROR, CHOIR_ERROR_PERMISSION_DENIED))
    choir_session_close (request->session, CHOIR_CLOSE_POLICY, "Unauthorized");
  else if (g_error_matches (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION))
    choir_session_close (request->session, CHOIR_CLOSE_POLICY, error->message);
}

static void
fail (ChoirDocumentRequest *request, const GError *error)
{
  choir_document_request_fail (request, error);
  refuse_initial (request, error);
}

/* From memory, or from what was read of the store; NULL: there is a gap */
static const ChoirRevision *
find_revision (const ChoirDocumentRequest *request, guint64 version)
{
  const ChoirRevision *revision = choir_document_get_revision (request->document, version);
  guint64 i = version - request->version - 1;

  if (revision != NULL || request->revisions == NULL || i >= request->revisions->len)
    return revision;

  return g_ptr_array_index (request->revisions, i);
}

static void
append_operation (ChoirDocumentRequest *request, const ChoirRevision *revision, GString *list)
{
  const char *user_id = choir_session_get_user_id (request->session);

  choir_handlers_begin_item (list);
  choir_payload_open (list);
  choir_document_append_change (revision, choir_session_get_dialect (request->session), list);
  /* so that a client which comes back knows what became of the changes it had sent */
  if (g_strcmp0 (revision->user_id, user_id) == 0)
    choir_payload_add_string (list, "change_id", revision->change_id);
  choir_payload_close (list);
}

/* (transfer full) (nullable): all since the version the client has, as an array */
static GString *
make_operations (ChoirDocumentRequest *request)
{
  gsize budget = choir_handlers_get_budget (request->session, 0);
  guint64 present = choir_document_get_version (request->document);
  g_autoptr (GString) list = NULL;

  if (!(request->flags & CHOIR_REQUEST_SINCE) || request->version > present)
    return NULL;

  list = g_string_new ("[");
  for (guint64 v = request->version + 1; v <= present; v++)
    {
      const ChoirRevision *revision = find_revision (request, v);

      if (revision == NULL ||
          list->len + choir_text_operation_get_size (revision->operation) > budget)
        return NULL;
      append_operation (request, revision, list);
    }
  if (list->len > budget)
    return NULL;
  g_string_append_c (list, ']');

  return g_steal_pointer (&list);
}

/* What stands before the operations or the text */
static GString *
make_state (ChoirDocumentRequest *request, ChoirDocumentRoom *room)
{
  GString *payload = g_string_sized_new (1024);

  choir_payload_open (payload);
  choir_payload_add_string (payload, "document_id", choir_document_request_get_id (request));
  choir_payload_add_string (payload, "epoch", choir_document_get_epoch (request->document));
  choir_payload_add_int (payload, "version",
                         (gint64) choir_document_get_version (request->document));
  if (request->kind != CHOIR_REQUEST_SYNC)
    choir_document_room_append_members (room, payload);

  return payload;
}

static gboolean
send_state (ChoirDocumentRequest *request, ChoirDocumentRoom *room, GError **error)
{
  ChoirEnvelope envelope = choir_document_request_get_envelope (request);
  g_autoptr (GString) operations = make_operations (request);
  g_autoptr (GString) payload = make_state (request, room);
  ChoirTextAnswer answer = {
    .type = request->kind == CHOIR_REQUEST_OPEN ? "document.opened" : "sync.response",
    .payload = payload,
    .version = choir_document_get_version (request->document),
    .text = choir_document_get_text (request->document),
    .room = room,
  };

  if (operations == NULL)
    return choir_text_answer_send (request->session, &envelope, &answer, error);

  choir_payload_add_raw (payload, "operations", choir_payload_as_slice (operations));
  choir_payload_close (payload);
  choir_session_send_version (request->session, &envelope, answer.type,
                              choir_payload_as_slice (payload), answer.version);

  return TRUE;
}

/* Becomes a member, unless it is one, and gets the state */
static gboolean
enter (ChoirDocumentRequest *request, GError **error)
{
  ChoirSession *session = request->session;
  guint n_before = choir_session_get_n_subscriptions (session);
  ChoirChannel *channel;

  if (request->flags & CHOIR_REQUEST_CANCELLED)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_CONFLICT,
                           "The document was closed before it was open");
      return FALSE;
    }

  if (!choir_session_subscribe (session, request->channel, &channel, error))
    return FALSE;

  if (send_state (request, channel->room, error))
    return TRUE;

  /* one who has not got the text is not in it */
  if (choir_session_get_n_subscriptions (session) > n_before)
    choir_session_unsubscribe (session, request->channel);

  return FALSE;
}

static gboolean
catch_up (ChoirDocumentRequest *request, GError **error)
{
  ChoirChannel *channel = choir_document_get_channel (request->document);

  if (channel == NULL || choir_document_member_find (request->session, channel) == NULL)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_NOT_SUBSCRIBED,
                           "The document is not open here: send document.open first");
      return FALSE;
    }

  return send_state (request, channel->room, error);
}

/* @taken: (transfer full): all that it needs is there */
static void
finish (ChoirDocumentRequest *taken)
{
  g_autoptr (ChoirDocumentRequest) request = taken;
  g_autoptr (GError) error = NULL;
  gboolean done;

  choir_document_request_stop_waiting (request);
  done = request->kind == CHOIR_REQUEST_SYNC ? catch_up (request, &error) : enter (request, &error);
  if (!done)
    fail (request, error);
}

static void
read_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirDocumentRequest) request = user_data;

  /* without them it is the text */
  request->revisions = choir_document_read_since_finish (CHOIR_DOCUMENT (source), result, NULL);
  if (!choir_document_request_is_over (request))
    finish (g_steal_pointer (&request));
}

/* Whether what the client has missed lies in the store only, and is worth reading */
static gboolean
needs_reading (ChoirDocumentRequest *request)
{
  guint64 present = choir_document_get_version (request->document);

  return (request->flags & CHOIR_REQUEST_SINCE) && request->version <= present &&
         request->version + 1 < choir_document_get_first_in_memory (request->document) &&
         present - request->version <= OPERATIONS_MAX &&
         choir_document_request_begin_read (request);
}

/* The version that was the newest at that time, as far as memory tells */
static gboolean
find_by_time (ChoirDocument *document, gint64 wall_us, guint64 *version)
{
  guint64 first = choir_document_get_first_in_memory (document);
  guint64 v = choir_document_get_version (document);

  while (v >= first && choir_document_get_revision (document, v)->wall_us > wall_us)
    v--;

  *version = v;

  return v >= first || v == 0;
}

/* A version is of use only in the epoch it belongs to; but every epoch begins with the same empty
 * text, and one who knows that only knows none yet. Contract C has no epochs: where a version is
 * said in order to catch up, the number alone has to do */
static gboolean
is_of_epoch (const ChoirDocumentRequest *request)
{
  const char *epoch = request->text;

  if (epoch == NULL)
    return request->kind != CHOIR_REQUEST_OPEN;

  return g_str_equal (epoch, choir_document_get_epoch (request->document)) ||
         (*epoch == '\0' && request->version == 0);
}

static void
check_position (ChoirDocumentRequest *request)
{
  if (request->wall_us > 0 && !(request->flags & CHOIR_REQUEST_SINCE) &&
      find_by_time (request->document, request->wall_us, &request->version))
    request->flags |= CHOIR_REQUEST_SINCE;

  if (!is_of_epoch (request))
    request->flags &= ~CHOIR_REQUEST_SINCE;
}

/* @taken: (transfer full): the document is held */
static void
gather (ChoirDocumentRequest *taken)
{
  g_autoptr (ChoirDocumentRequest) request = taken;
  ChoirDocument *document = request->document;
  guint64 version;

  check_position (request);
  if (!needs_reading (request))
    {
      finish (g_steal_pointer (&request));
      return;
    }

  if (request->kind != CHOIR_REQUEST_SYNC)
    choir_document_request_wait (request);
  version = request->version;
  choir_document_read_since_async (document, version, OPERATIONS_MAX, NULL, read_cb,
                                   g_steal_pointer (&request));
}

static void
opened_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirDocumentRequest) request = user_data;
  g_autoptr (GError) error = NULL;

  request->document = choir_document_table_open_finish (request->table, result, &error);
  if (choir_document_request_is_over (request))
    return;

  if (request->document == NULL)
    fail (request, error);
  else
    gather (g_steal_pointer (&request));
}

/* ISO 8601, or a number of seconds or milliseconds */
static gboolean
read_time (ChoirSlice payload, gint64 *wall_us)
{
  ChoirJsonValue value;
  ChoirSlice contents;
  double number;

  if (!choir_json_slice_get (payload, "timestamp", &value))
    return FALSE;

  contents = choir_json_string_contents (value.raw);
  if (value.kind == CHOIR_JSON_STRING)
    return choir_clock_parse_iso8601 (contents.data, contents.len, wall_us);

  if (value.kind != CHOIR_JSON_NUMBER || !choir_json_number_get_double (value.raw, &number) ||
      number < 0 || number > TIMESTAMP_MAX)
    return FALSE;

  *wall_us = (gint64) (number * (number < MILLISECONDS_MIN ? G_USEC_PER_SEC : 1000));

  return TRUE;
}

/* Where the client is; whatever it is not clear about costs it the text */
static gboolean
read_position (ChoirDocumentRequest *request, ChoirSlice payload, GError **error)
{
  ChoirJsonValue epoch;

  request->version = CHOIR_VERSION_UNKNOWN;
  if (!choir_handlers_read_version (payload, "version", &request->version, error) ||
      !choir_handlers_read_version (payload, "last_version", &request->version, error))
    return FALSE;

  if (request->version != CHOIR_VERSION_UNKNOWN)
    request->flags |= CHOIR_REQUEST_SINCE;
  if (choir_json_slice_get (payload, "epoch", &epoch) && epoch.kind == CHOIR_JSON_STRING)
    request->text = choir_json_string_dup (epoch.raw, CHOIR_MESSAGE_ID_MAX);
  if (!read_time (payload, &request->wall_us))
    request->wall_us = 0;

  return TRUE;
}

static gboolean
check_open (ChoirDocumentRequest *request, GError **error)
{
  ChoirSession *session = request->session;
  ChoirHub *hub = choir_session_get_hub (session);
  guint max = choir_hub_get_settings (hub)->max_subscriptions;

  if (request->table == NULL)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE,
                           "Nothing on this server handles documents at the moment");
      return FALSE;
    }

  if (!choir_session_may (session, request->channel, CHOIR_PERMISSION_READ))
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_PERMISSION_DENIED,
                           "You may not read this document");
      return FALSE;
    }

  if (choir_document_request_count (session) + choir_session_get_n_subscriptions (session) > max)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_OVERRUN, "At most %u subscriptions", max);
      return FALSE;
    }

  return TRUE;
}

/**
 * choir_handlers_open_document:
 * @session: who wants it
 * @message: (nullable): what it said; %NULL: its end point asks
 * @kind: %CHOIR_REQUEST_OPEN or %CHOIR_REQUEST_RECONNECT
 * @channel: the document's
 *
 * Makes the session a member and sends it the document's state, now or when it has been read.
 */
void
choir_handlers_open_document (ChoirSession *session,
                              const ChoirEnvelope *message,
                              ChoirRequestKind kind,
                              const char *channel)
{
  g_autoptr (ChoirDocumentRequest) request =
    choir_document_request_new (session, message, kind, channel);
  g_autoptr (GError) error = NULL;

  if (!check_open (request, &error) ||
      (message != NULL && !read_position (request, message->payload, &error)))
    fail (request, error);
  else if (choir_document_request_hold (request))
    gather (g_steal_pointer (&request));
  else
    {
      ChoirDocumentTable *table = request->table;
      const char *id = choir_document_request_get_id (request);

      choir_document_request_wait (request);
      choir_document_table_open_async (table, id, NULL, opened_cb, g_steal_pointer (&request));
    }
}

/* document.open {document_id, version?, epoch?} -> document.opened */
static void
handle_open (ChoirSession *session, const ChoirEnvelope *message)
{
  g_autofree char *channel = choir_handlers_dup_document (session, message);

  if (channel != NULL)
    choir_handlers_open_document (session, message, CHOIR_REQUEST_OPEN, channel);
}

/* session.reconnect {document_id?, last_version, epoch?} -> sync.response */
static void
handle_reconnect (ChoirSession *session, const ChoirEnvelope *message)
{
  g_autofree char *channel = choir_handlers_dup_document (session, message);

  if (channel != NULL)
    choir_handlers_open_document (session, message, CHOIR_REQUEST_RECONNECT, channel);
}

/* sync.request {document_id, version?, timestamp?} -> sync.response */
static void
handle_sync (ChoirSession *session, const ChoirEnvelope *message)
{
  ChoirDocumentMember *member = choir_handlers_find_member (session, message);
  g_autoptr (ChoirDocumentRequest) request = NULL;
  g_autoptr (GError) error = NULL;
  ChoirChannel *channel;

  if (member == NULL)
    return;

  channel = member->subscription.channel;
  request = choir_document_request_new (session, message, CHOIR_REQUEST_SYNC, channel->name);
  choir_document_room_touch (channel->room, member);
  if (!read_position (request, message->payload, &error))
    fail (request, error);
  else if (choir_document_request_hold (request))
    gather (g_steal_pointer (&request));
  else
    {
      error = g_error_new_literal (CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE, "The service is stopping");
      fail (request, error);
    }
}

static const ChoirRoute routes[] = {
  { "document.open", handle_open, CHOIR_RATE_DEFAULT, 0 },
  { "session.reconnect", handle_reconnect, CHOIR_RATE_DEFAULT, 0 },
  { "sync.request", handle_sync, CHOIR_RATE_DEFAULT, 0 },
};

void
choir_handlers_register_open (ChoirRouter *router)
{
  choir_router_add (router, routes, G_N_ELEMENTS (routes));
}
