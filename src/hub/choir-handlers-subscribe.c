/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-handlers.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-names.h"
#include "choir-payload.h"
#include "choir-session.h"

#include <string.h>

/* What a subscribe answer is made of */
typedef struct
{
  ChoirSession *session;
  GString *channels;
  GString *events;
  GString *rejected;
  guint n;
} SubscribeAnswer;

static void
reject (SubscribeAnswer *answer, const char *key, const char *name, const GError *error)
{
  choir_handlers_begin_item (answer->rejected);
  choir_payload_open (answer->rejected);
  choir_payload_add_string (answer->rejected, key, name);
  choir_payload_add_string (answer->rejected, "code", choir_error_get_code (error->code));
  choir_payload_add_string (answer->rejected, "message", error->message);
  choir_payload_close (answer->rejected);
}

/* The tail of the log after @offset as an array; FALSE if it would pass the budget */
static gboolean
append_missed (GString *out, ChoirSession *session, ChoirChannel *channel, guint64 offset)
{
  gsize budget = choir_handlers_get_budget (session, out->len);
  g_autoptr (GString) list = g_string_new ("[");

  for (guint i = choir_channel_find_after (channel, offset); i < channel->n_posts; i++)
    {
      choir_handlers_append_post (list, session, channel, i);
      if (list->len > budget)
        return FALSE;
    }

  g_string_append_c (list, ']');
  choir_payload_add_raw (out, "messages", choir_payload_as_slice (list));

  return TRUE;
}

/* The newest messages, oldest first, as many as fit: the present state for whom recovery failed */
static void
append_newest (GString *out, ChoirSession *session, ChoirChannel *channel)
{
  gsize budget = choir_handlers_get_budget (session, out->len);
  g_autoptr (GString) list = g_string_new ("[");
  guint first = channel->n_posts;

  for (gsize used = 0; first > 0; first--)
    {
      used += choir_channel_get_post (channel, first - 1)->payload_len + 512;
      if (used > budget)
        break;
    }

  for (guint i = first; i < channel->n_posts; i++)
    choir_handlers_append_post (list, session, channel, i);

  g_string_append_c (list, ']');
  choir_payload_add_raw (out, "messages", choir_payload_as_slice (list));
}

static void
append_recovery (SubscribeAnswer *answer,
                 ChoirChannel *channel,
                 const char *epoch,
                 guint64 offset,
                 gboolean wanted)
{
  ChoirStats *stats = choir_hub_get_stats (choir_session_get_hub (answer->session));
  gboolean recovered;

  choir_channel_trim (channel, choir_clock_wall_us ());
  recovered = wanted && choir_channel_can_recover (channel, epoch, offset) &&
              append_missed (answer->channels, answer->session, channel, offset);

  if (wanted && !recovered)
    append_newest (answer->channels, answer->session, channel);
  else if (!wanted)
    choir_payload_add_raw (answer->channels, "messages", CHOIR_SLICE_LITERAL ("[]"));

  choir_payload_add_boolean (answer->channels, "recovered", recovered);
  if (wanted)
    *(recovered ? stats->recovered : stats->not_recovered) += 1;
}

static void
confirm (SubscribeAnswer *answer, ChoirChannel *channel, ChoirSlice position)
{
  ChoirJsonValue epoch_value, offset_value;
  g_autofree char *epoch = NULL;
  gint64 offset = 0;
  gboolean wanted;

  wanted = position.len > 0 && choir_json_slice_get (position, "offset", &offset_value) &&
           choir_json_number_get_int (offset_value.raw, &offset) && offset >= 0;
  if (wanted && choir_json_slice_get (position, "epoch", &epoch_value) &&
      epoch_value.kind == CHOIR_JSON_STRING)
    epoch = choir_json_string_dup (epoch_value.raw, CHOIR_MESSAGE_ID_MAX);

  choir_handlers_begin_item (answer->channels);
  choir_payload_open (answer->channels);
  choir_payload_add_string (answer->channels, "channel", channel->name);
  choir_payload_add_string (answer->channels, "epoch", channel->epoch);
  choir_payload_add_int (answer->channels, "offset", channel->offset);
  append_recovery (answer, channel, epoch != NULL ? epoch : "", offset, wanted);
  choir_payload_close (answer->channels);
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

static void
subscribe_channel (SubscribeAnswer *answer, const char *name, ChoirSlice position)
{
  g_autoptr (GError) error = NULL;
  ChoirChannel *channel;

  if (!choir_name_is_channel (name, strlen (name)))
    {
      error = g_error_new_literal (CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                                   "A channel name is 1-255 printable ASCII characters without "
                                   "spaces");
      reject (answer, "channel", name, error);
    }
  else if (choir_handlers_may_subscribe (name, &error) &&
           choir_session_subscribe (answer->session, name, &channel, &error))
    {
      confirm (answer, channel, position);
      choir_hub_release_channel (choir_session_get_hub (answer->session), channel);
    }
  else
    reject (answer, "channel", name, error);
}

static void
subscribe_event (SubscribeAnswer *answer, const char *event)
{
  ChoirHub *hub = choir_session_get_hub (answer->session);
  g_autofree char *name = g_strconcat ("event:", event, NULL);
  g_autoptr (GError) error = NULL;
  ChoirChannel *channel;

  if (!choir_settings_allows_event (choir_hub_get_settings (hub), event))
    error = g_error_new (CHOIR_ERROR, CHOIR_ERROR_UNKNOWN_CHANNEL, "Unknown event: %s", event);
  else if (choir_session_subscribe (answer->session, name, &channel, &error))
    {
      choir_handlers_begin_item (answer->events);
      choir_json_append_string (answer->events, event, -1);
      return;
    }

  reject (answer, "event", event, error);
}

typedef void (*ItemFunc) (SubscribeAnswer *answer, const char *name, ChoirSlice object);

/* Each element of an array of names, or of objects that hold one under @key; FALSE if it is none */
static gboolean
for_each_name (SubscribeAnswer *answer, ChoirSlice payload, const char *field, ItemFunc func)
{
  guint max =
    2 * choir_hub_get_settings (choir_session_get_hub (answer->session))->max_subscriptions;
  ChoirJsonValue array, element, value;
  gsize cursor = 0;

  if (!choir_json_slice_get (payload, field, &array))
    return TRUE;

  if (array.kind != CHOIR_JSON_ARRAY)
    return FALSE;

  while (choir_json_slice_next_element (array.raw, &cursor, &element))
    {
      ChoirSlice object = { 0 };
      g_autofree char *name = NULL;

      if (answer->n++ >= max)
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

      func (answer, name, object);
    }

  return TRUE;
}

static void
subscribe_event_item (SubscribeAnswer *answer, const char *name, ChoirSlice object)
{
  subscribe_event (answer, name);
}

static void
ignore_item (SubscribeAnswer *answer, const char *name, ChoirSlice object)
{
}

/* Before anything is done, so that a refused message has changed nothing */
static gboolean
check_names (SubscribeAnswer *answer, ChoirSlice payload)
{
  gboolean valid = for_each_name (answer, payload, "channels", ignore_item) &&
                   for_each_name (answer, payload, "events", ignore_item);

  answer->n = 0;

  return valid;
}

static void
send_confirmation (SubscribeAnswer *answer, const ChoirEnvelope *message)
{
  g_autoptr (GString) payload =
    g_string_sized_new (answer->channels->len + answer->rejected->len + 128);

  g_string_append_c (answer->channels, ']');
  g_string_append_c (answer->events, ']');
  g_string_append_c (answer->rejected, ']');

  choir_payload_open (payload);
  choir_payload_add_raw (payload, "channels", choir_payload_as_slice (answer->channels));
  choir_payload_add_raw (payload, "events", choir_payload_as_slice (answer->events));
  choir_payload_add_raw (payload, "rejected", choir_payload_as_slice (answer->rejected));
  choir_payload_close (payload);

  choir_session_send (answer->session, message, "subscription.confirmed",
                      choir_payload_as_slice (payload));
}

static gboolean
has_subject (const ChoirEnvelope *message)
{
  ChoirJsonValue value;

  return choir_json_slice_get (message->payload, "channels", &value) ||
         choir_json_slice_get (message->payload, "events", &value) ||
         choir_json_slice_get (message->payload, "channel", &value) || message->channel.len > 0;
}

/* A single `channel`, in the payload or the envelope, is the short form of a list of one */
static gboolean
for_single (SubscribeAnswer *answer, const ChoirEnvelope *message, ItemFunc func)
{
  g_autofree char *name = NULL;
  ChoirJsonValue value;

  if (!choir_json_slice_get (message->payload, "channel", &value) && message->channel.len == 0)
    return TRUE;

  name = choir_handlers_dup_channel (answer->session, message, FALSE);
  if (name == NULL)
    return FALSE;

  func (answer, name, message->payload);

  return TRUE;
}

/* subscribe {channels:[{channel, epoch?, offset?} or name], events:[...]} */
static void
handle_subscribe (ChoirSession *session, const ChoirEnvelope *message)
{
  g_autoptr (GString) channels = g_string_new ("[");
  g_autoptr (GString) events = g_string_new ("[");
  g_autoptr (GString) rejected = g_string_new ("[");
  SubscribeAnswer answer = { session, channels, events, rejected, 0 };

  if (!has_subject (message))
    {
      choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                            "Field \"channels\" or \"events\" is missing");
      return;
    }

  if (!check_names (&answer, message->payload))
    {
      choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                            "\"channels\" and \"events\" must be lists of names of reasonable "
                            "number and length");
      return;
    }

  if (!for_single (&answer, message, subscribe_channel))
    return;

  for_each_name (&answer, message->payload, "channels", subscribe_channel);
  for_each_name (&answer, message->payload, "events", subscribe_event_item);
  send_confirmation (&answer, message);
}

static void
unsubscribe_channel (SubscribeAnswer *answer, const char *name, ChoirSlice object)
{
  if (!choir_session_unsubscribe (answer->session, name))
    return;

  choir_handlers_begin_item (answer->channels);
  choir_json_append_string (answer->channels, name, -1);
}

static void
unsubscribe_event (SubscribeAnswer *answer, const char *name, ChoirSlice object)
{
  g_autofree char *channel = g_strconcat ("event:", name, NULL);

  if (!choir_session_unsubscribe (answer->session, channel))
    return;

  choir_handlers_begin_item (answer->events);
  choir_json_append_string (answer->events, name, -1);
}

/* unsubscribe {channels, events} -> subscription.removed {channels, events} */
static void
handle_unsubscribe (ChoirSession *session, const ChoirEnvelope *message)
{
  g_autoptr (GString) channels = g_string_new ("[");
  g_autoptr (GString) events = g_string_new ("[");
  g_autoptr (GString) payload = g_string_new (NULL);
  SubscribeAnswer answer = { session, channels, events, NULL, 0 };

  if (!has_subject (message) || !check_names (&answer, message->payload))
    {
      choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                            "\"channels\" and \"events\" must be lists of names");
      return;
    }

  if (!for_single (&answer, message, unsubscribe_channel))
    return;

  for_each_name (&answer, message->payload, "channels", unsubscribe_channel);
  for_each_name (&answer, message->payload, "events", unsubscribe_event);

  g_string_append_c (channels, ']');
  g_string_append_c (events, ']');
  choir_payload_open (payload);
  choir_payload_add_raw (payload, "channels", choir_payload_as_slice (channels));
  choir_payload_add_raw (payload, "events", choir_payload_as_slice (events));
  choir_payload_close (payload);

  choir_session_send (session, message, "subscription.removed", choir_payload_as_slice (payload));
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
