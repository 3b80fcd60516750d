/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-handlers.h"

#include "choir-channel-history.h"
#include "choir-chat.h"
#include "choir-error.h"
#include "choir-names.h"
#include "choir-payload.h"
#include "choir-session.h"
#include "choir-subscribe-request.h"

#include <string.h>

/* What an answer is made of */
typedef struct
{
  GString *channels;
  GString *events;
  GString *rejected;
} SubscribeAnswer;

static void
reject (SubscribeAnswer *answer, const ChoirSubscribeItem *item)
{
  gboolean is_event = (item->flags & CHOIR_SUBSCRIBE_EVENT) != 0;

  choir_handlers_begin_item (answer->rejected);
  choir_payload_open (answer->rejected);
  choir_payload_add_string (answer->rejected, is_event ? "event" : "channel",
                            is_event ? item->name + strlen ("event:") : item->name);
  choir_payload_add_string (answer->rejected, "code", choir_error_get_code (item->error->code));
  choir_payload_add_string (answer->rejected, "message", item->error->message);
  choir_payload_close (answer->rejected);
}

static void
confirm (SubscribeAnswer *answer,
         ChoirSession *session,
         const ChoirSubscribeItem *item,
         ChoirChannel *channel)
{
  GString *out = answer->channels;

  if (item->flags & CHOIR_SUBSCRIBE_EVENT)
    {
      choir_handlers_begin_item (answer->events);
      choir_json_append_string (answer->events, item->name + strlen ("event:"), -1);
      return;
    }

  choir_handlers_begin_item (out);
  choir_payload_open (out);
  choir_channel_append_state (out, channel);
  choir_subscribe_item_append (item, session, channel, out,
                               choir_handlers_get_budget (session, out->len));
  choir_chat_streams_append (choir_session_get_hub (session), channel, session, out);
  choir_payload_close (out);
}

static void
send_lists (ChoirSession *session,
            const ChoirEnvelope *message,
            const char *type,
            const SubscribeAnswer *answer)
{
  g_autoptr (GString) payload = g_string_sized_new (answer->channels->len + 256);

  choir_payload_open (payload);
  choir_payload_add_raw (payload, "channels", choir_payload_as_slice (answer->channels));
  choir_payload_add_raw (payload, "events", choir_payload_as_slice (answer->events));
  if (answer->rejected != NULL)
    choir_payload_add_raw (payload, "rejected", choir_payload_as_slice (answer->rejected));
  choir_payload_close (payload);

  choir_session_send (session, message, type, choir_payload_as_slice (payload));
}

/* Clients whose contract has no place for it in the answer get it behind that */
static void
send_streams (ChoirSession *session, const GPtrArray *joined)
{
  ChoirHub *hub = choir_session_get_hub (session);

  if (choir_dialect_get_table (choir_session_get_dialect (session))->with_channel)
    return;

  for (guint i = 0; i < joined->len; i++)
    choir_chat_streams_send (hub, g_ptr_array_index (joined, i), session);
}

/* Who asked in the client's place hears of it; the client does not of what it has not asked for.
 * FALSE: there is nothing to tell the client */
static gboolean
report (ChoirSubscribeRequest *request)
{
  g_autoptr (GTask) task = g_steal_pointer (&request->task);
  const ChoirSubscribeItem *item;

  if (task == NULL)
    return TRUE;

  item = choir_subscribe_request_get (request, 0);
  if (item->error == NULL)
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, g_error_copy (item->error));

  return item->error == NULL;
}

static void
join_all (ChoirSubscribeRequest *request, const ChoirEnvelope *message)
{
  g_autoptr (GString) channels = g_string_new ("[");
  g_autoptr (GString) events = g_string_new ("[");
  g_autoptr (GString) rejected = g_string_new ("[");
  g_autoptr (GPtrArray) joined = g_ptr_array_new ();
  SubscribeAnswer answer = { channels, events, rejected };
  ChoirSession *session = request->session;

  for (guint i = 0; i < request->items->len; i++)
    {
      ChoirSubscribeItem *item = choir_subscribe_request_get (request, i);
      guint n_before = choir_session_get_n_subscriptions (session);
      ChoirChannel *channel = choir_subscribe_item_join (item, session);

      if (channel == NULL)
        {
          reject (&answer, item);
          continue;
        }

      confirm (&answer, session, item, channel);
      if (choir_session_get_n_subscriptions (session) > n_before)
        g_ptr_array_add (joined, channel);
      choir_hub_release_channel (choir_session_get_hub (session), channel);
    }

  g_string_append_c (channels, ']');
  g_string_append_c (events, ']');
  g_string_append_c (rejected, ']');
  if (!report (request))
    return;

  send_lists (session, message, "subscription.confirmed", &answer);
  send_streams (session, joined);

  for (guint i = 0; i < request->items->len; i++)
    if (choir_subscribe_request_get (request, i)->error == NULL)
      choir_tasks_greet (choir_session_get_hub (session), session,
                         choir_subscribe_request_get (request, i)->name);
}

void
choir_handlers_subscribe_for (ChoirSession *session, const char *channel, GTask *task)
{
  g_autoptr (ChoirSubscribeRequest) request = choir_subscribe_request_new (session, NULL, join_all);
  ChoirSubscribeItem *item = choir_subscribe_request_add (request, g_strdup (channel));

  request->task = task;
  item->flags |= CHOIR_SUBSCRIBE_GRANTED;
  if (g_str_has_prefix (channel, "event:"))
    item->flags |= CHOIR_SUBSCRIBE_EVENT;
  choir_subscribe_request_run (g_steal_pointer (&request));
}

/**
 * choir_handlers_may_subscribe:
 * @channel: a valid channel name
 * @error: return location: %CHOIR_ERROR_VALIDATION
 *
 * Returns: whether this is a channel that is subscribed to
 */
gboolean
choir_handlers_may_subscribe (const char *channel, GError **error)
{
  if (choir_channel_kind_of (channel) != CHOIR_CHANNEL_DOCUMENT)
    return TRUE;

  g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                       "Open documents with document.open");

  return FALSE;
}

/* What is done with each name; @request is what they are collected in */
typedef void (*ItemFunc) (ChoirSubscribeRequest *request, char *taken, ChoirSlice object);

static void
read_position (ChoirSubscribeItem *item, ChoirSlice object)
{
  ChoirJsonValue value;
  gint64 offset;

  if (object.len == 0 || !choir_json_slice_get (object, "offset", &value) ||
      !choir_json_number_get_int (value.raw, &offset) || offset < 0)
    return;

  item->flags |= CHOIR_SUBSCRIBE_POSITION;
  item->offset = (guint64) offset;
  if (choir_json_slice_get (object, "epoch", &value) && value.kind == CHOIR_JSON_STRING)
    item->epoch = choir_json_string_dup (value.raw, CHOIR_MESSAGE_ID_MAX);
}

static void
add_channel (ChoirSubscribeRequest *request, char *taken, ChoirSlice object)
{
  ChoirSubscribeItem *item = choir_subscribe_request_add (request, taken);

  if (!choir_name_is_channel (taken, strlen (taken)))
    g_set_error_literal (&item->error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                         "A channel name is 1-255 printable ASCII characters without spaces");
  else if (choir_handlers_may_subscribe (taken, &item->error))
    read_position (item, object);
}

static void
add_event (ChoirSubscribeRequest *request, char *taken, ChoirSlice object)
{
  g_autofree char *event = taken;
  ChoirHub *hub = choir_session_get_hub (request->session);
  ChoirSubscribeItem *item =
    choir_subscribe_request_add (request, g_strconcat ("event:", event, NULL));

  item->flags |= CHOIR_SUBSCRIBE_EVENT;
  if (!choir_settings_allows_event (choir_hub_get_settings (hub), event))
    g_set_error (&item->error, CHOIR_ERROR, CHOIR_ERROR_UNKNOWN_CHANNEL, "Unknown event: %s",
                 event);
}

/* Each element of an array of names, or of objects that hold one as `channel`; FALSE if it is none,
 * or one of unreasonable length */
static gboolean
for_each_name (ChoirSubscribeRequest *request, ChoirSlice payload, const char *field, ItemFunc func)
{
  guint max =
    2 * choir_hub_get_settings (choir_session_get_hub (request->session))->max_subscriptions;
  ChoirJsonValue array, element, value;
  gsize cursor = 0;

  if (!choir_json_slice_get (payload, field, &array))
    return TRUE;

  if (array.kind != CHOIR_JSON_ARRAY)
    return FALSE;

  while (choir_json_slice_next_element (array.raw, &cursor, &element))
    {
      ChoirSlice object = { 0 };
      char *name = NULL;

      if (request->items->len >= max)
        return FALSE;

      value = element;
      if (element.kind == CHOIR_JSON_OBJECT)
        {
          object = element.raw;
          if (!choir_json_slice_get (object, "channel", &value))
            return FALSE;
        }

      if (value.kind == CHOIR_JSON_STRING)
        name = choir_json_string_dup (value.raw, CHOIR_CHANNEL_NAME_MAX);
      if (name == NULL)
        return FALSE;

      func (request, name, object);
    }

  return TRUE;
}

static gboolean
has_subject (const ChoirEnvelope *message)
{
  ChoirJsonValue value;

  return choir_json_slice_get (message->payload, "channels", &value) ||
         choir_json_slice_get (message->payload, "events", &value) ||
         choir_json_slice_get (message->payload, "channel", &value) || message->channel.len > 0;
}

/* Everything that the message names; refuses it, and nothing has changed, if it makes no sense. A
 * single `channel`, in the payload or the envelope, is the short form of a list of one */
static gboolean
read_names (ChoirSubscribeRequest *request, const ChoirEnvelope *message)
{
  ChoirSession *session = request->session;
  ChoirJsonValue value;

  if (!has_subject (message))
    {
      choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                            "Field \"channels\" or \"events\" is missing");
      return FALSE;
    }

  if (choir_json_slice_get (message->payload, "channel", &value) || message->channel.len > 0)
    {
      char *name = choir_handlers_dup_channel (session, message, FALSE);

      if (name == NULL)
        return FALSE;

      add_channel (request, name, message->payload);
    }

  if (for_each_name (request, message->payload, "channels", add_channel) &&
      for_each_name (request, message->payload, "events", add_event))
    return TRUE;

  choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                        "\"channels\" and \"events\" must be lists of names of reasonable "
                        "number and length");

  return FALSE;
}

/* subscribe {channels:[{channel, epoch?, offset?} or name], events:[...]} */
static void
handle_subscribe (ChoirSession *session, const ChoirEnvelope *message)
{
  g_autoptr (ChoirSubscribeRequest) request =
    choir_subscribe_request_new (session, message, join_all);

  if (read_names (request, message))
    choir_subscribe_request_run (g_steal_pointer (&request));
}

static void
append_removed (const SubscribeAnswer *answer, const char *channel, gboolean is_event)
{
  GString *list = is_event ? answer->events : answer->channels;

  choir_handlers_begin_item (list);
  choir_json_append_string (list, is_event ? channel + strlen ("event:") : channel, -1);
}

/* unsubscribe {channels, events} -> subscription.removed {channels, events} */
static void
handle_unsubscribe (ChoirSession *session, const ChoirEnvelope *message)
{
  g_autoptr (ChoirSubscribeRequest) request = choir_subscribe_request_new (session, message, NULL);
  g_autoptr (GString) channels = g_string_new ("[");
  g_autoptr (GString) events = g_string_new ("[");
  SubscribeAnswer answer = { channels, events, NULL };

  if (!read_names (request, message))
    return;

  for (guint i = 0; i < request->items->len; i++)
    {
      const ChoirSubscribeItem *item = choir_subscribe_request_get (request, i);

      if (choir_session_unsubscribe (session, item->name))
        append_removed (&answer, item->name, (item->flags & CHOIR_SUBSCRIBE_EVENT) != 0);
    }

  g_string_append_c (channels, ']');
  g_string_append_c (events, ']');
  send_lists (session, message, "subscription.removed", &answer);
}

void
choir_handlers_unsubscribed (ChoirSession *session, const char *channel)
{
  g_autoptr (GString) channels = g_string_new ("[");
  g_autoptr (GString) events = g_string_new ("[");
  const SubscribeAnswer answer = { channels, events, NULL };

  append_removed (&answer, channel, g_str_has_prefix (channel, "event:"));
  g_string_append_c (channels, ']');
  g_string_append_c (events, ']');
  send_lists (session, NULL, "subscription.removed", &answer);
}

static const ChoirRoute routes[] = {
  { "subscribe", handle_subscribe, CHOIR_RATE_DEFAULT, 0 },
  { "unsubscribe", handle_unsubscribe, CHOIR_RATE_DEFAULT, 0 },
};

void
choir_handlers_register_subscribe (ChoirRouter *router)
{
  choir_router_add (router, routes, G_N_ELEMENTS (routes));
}
