/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-handlers.h"

#include "choir-channel-history.h"
#include "choir-chat.h"
#include "choir-error.h"
#include "choir-payload.h"
#include "choir-session.h"

/* After which one whose page could not be read may try again */
#define RETRY_US (5 * G_USEC_PER_SEC)

/* Who asked, while the store is being read */
typedef struct
{
  ChoirSession *session; /* (owned) */
  char *correlation_id;  /* (owned) (nullable): raw contents */
  char *external_type;   /* (owned) (nullable) */
  gboolean reads;        /* counts among the session's reads */
} Request;

static Request *
request_new (ChoirSession *session, const ChoirEnvelope *message)
{
  Request *self = g_new0 (Request, 1);

  self->session = g_object_ref (session);
  self->correlation_id = choir_slice_dup (message->correlation_id);
  self->external_type = choir_slice_dup (message->external_type);

  return self;
}

static void
request_free (Request *self)
{
  if (self->reads)
    choir_session_end_read (self->session);
  g_object_unref (self->session);
  g_free (self->correlation_id);
  g_free (self->external_type);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Request, request_free)

static void
send_page (ChoirSession *session, const ChoirEnvelope *request, const ChoirHistoryPage *page)
{
  const ChoirDialect *dialect = choir_session_get_dialect (session);
  g_autoptr (GString) list = g_string_new ("[");
  g_autoptr (GString) payload = NULL;

  for (guint i = 0; i < page->n_messages; i++)
    {
      choir_handlers_begin_item (list);
      choir_envelope_append (dialect, &page->messages[i], list);
    }
  g_string_append_c (list, ']');

  payload = g_string_sized_new (list->len + 128);
  choir_payload_open (payload);
  choir_channel_append_state (payload, page->channel);
  choir_payload_add_raw (payload, "messages", choir_payload_as_slice (list));
  choir_payload_add_boolean (payload, "complete", page->complete);
  choir_chat_streams_append (choir_session_get_hub (session), page->channel, session, payload);
  choir_payload_close (payload);

  choir_session_send (session, request, "history.result", choir_payload_as_slice (payload));
}

static void
read_cb (const ChoirHistoryPage *page, const GError *error, gpointer user_data)
{
  g_autoptr (Request) self = user_data;
  ChoirEnvelope request = {
    .external_type = choir_slice (self->external_type),
    .correlation_id = choir_slice (self->correlation_id),
  };

  if (choir_session_is_closing (self->session))
    return;

  if (page != NULL)
    send_page (self->session, &request, page);
  else
    choir_session_send_error_later (
      self->session, &request, error,
      g_error_matches (error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE) ? RETRY_US : 0);
}

static gint64
read_int (ChoirSlice payload, const char *key, gint64 fallback)
{
  ChoirJsonValue value;
  gint64 number;

  if (choir_json_slice_get (payload, key, &value) && value.kind == CHOIR_JSON_NUMBER &&
      choir_json_number_get_int (value.raw, &number))
    return number;

  return fallback;
}

static gboolean
read_flag (ChoirSlice payload, const char *key)
{
  ChoirJsonValue value;

  return choir_json_slice_get (payload, key, &value) && value.kind == CHOIR_JSON_TRUE;
}

static ChoirHistoryQuery
read_query (ChoirSession *session, const char *channel, ChoirSlice payload)
{
  gboolean reverse = read_flag (payload, "reverse");
  gint64 limit = read_int (payload, "limit", CHOIR_HISTORY_LIMIT_DEFAULT);

  return (ChoirHistoryQuery){
    .channel = channel,
    .since = (guint64) MAX (read_int (payload, "since", reverse ? G_MAXINT64 : 0), 0),
    .limit = (guint) CLAMP (limit, 0, CHOIR_HISTORY_LIMIT_MAX),
    .max_bytes = choir_handlers_get_budget (session, 0),
    .reverse = reverse,
  };
}

/* A page that takes reading is one of the few that a session may have read at a time */
static void
ask (ChoirSession *session, const ChoirEnvelope *message, const ChoirHistoryQuery *query)
{
  ChoirHub *hub = choir_session_get_hub (session);
  gboolean reads = !choir_channel_history_is_in_memory (hub, query);
  Request *request;

  if (reads && !choir_session_begin_read (session))
    {
      choir_session_refuse_rate (session, message, G_USEC_PER_SEC);
      return;
    }

  request = request_new (session, message);
  request->reads = reads;
  choir_channel_history_read (hub, query, read_cb, request);
}

/* history {channel, since?, limit?, reverse?} -> history.result */
static void
handle_history (ChoirSession *session, const ChoirEnvelope *message)
{
  g_autofree char *name = choir_handlers_dup_channel (session, message, TRUE);

  if (name == NULL)
    return;

  if (choir_channel_kind_of (name) == CHOIR_CHANNEL_DOCUMENT)
    choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                          "The past of a document is read with document.versions, document.at "
                          "and sync.request");
  else if (!choir_session_may (session, name, CHOIR_PERMISSION_READ))
    choir_session_refuse (session, message, CHOIR_ERROR_PERMISSION_DENIED,
                          "You may not read this channel");
  else
    {
      ChoirHistoryQuery query = read_query (session, name, message->payload);

      ask (session, message, &query);
    }
}

static const ChoirRoute routes[] = {
  { "history", handle_history, CHOIR_RATE_DEFAULT, 0 },
};

void
choir_handlers_register_history (ChoirRouter *router)
{
  choir_router_add (router, routes, G_N_ELEMENTS (routes));
}
