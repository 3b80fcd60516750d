/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-handlers.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-names.h"
#include "choir-payload.h"
#include "choir-presence.h"
#include "choir-session.h"

#include <string.h>

#define HISTORY_LIMIT_DEFAULT 50
#define HISTORY_LIMIT_MAX 1000

/* An answer must fit the asker's queue beside what is already there; @used: how much of it there
 * is */
static gsize
get_answer_budget (ChoirSession *session, gsize used)
{
  gsize budget = choir_hub_get_settings (choir_session_get_hub (session))->outbox.max_bytes / 4;

  return budget - MIN (budget, used);
}

/* @value: the payload's `channel`, with an empty `raw` if it has none */
static char *
dup_named_channel (ChoirSession *session,
                   const ChoirEnvelope *message,
                   const ChoirJsonValue *value,
                   gboolean use_default)
{
  g_autofree char *name = NULL;

  if (value->raw.len > 0)
    {
      if (value->kind == CHOIR_JSON_STRING)
        name = choir_json_string_dup (value->raw, CHOIR_CHANNEL_NAME_MAX);
    }
  else if (message->channel.len > 0)
    name = choir_slice_dup (message->channel);
  else if (use_default && choir_session_get_default_channel (session) != NULL)
    name = g_strdup (choir_session_get_default_channel (session));
  else
    {
      choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                            "Field \"channel\" is missing");
      return NULL;
    }

  if (name == NULL || !choir_name_is_channel (name, strlen (name)))
    {
      choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                            "Field \"channel\" must be 1-255 printable ASCII characters without "
                            "spaces");
      return NULL;
    }

  return g_steal_pointer (&name);
}

char *
choir_handlers_dup_channel (ChoirSession *session,
                            const ChoirEnvelope *message,
                            gboolean use_default)
{
  ChoirJsonValue value = { 0 };

  choir_json_slice_get (message->payload, "channel", &value);

  return dup_named_channel (session, message, &value, use_default);
}

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
begin_item (GString *list)
{
  if (list->len > 1)
    g_string_append_c (list, ',');
}

static void
reject (SubscribeAnswer *answer, const char *key, const char *name, const GError *error)
{
  begin_item (answer->rejected);
  choir_payload_open (answer->rejected);
  choir_payload_add_string (answer->rejected, key, name);
  choir_payload_add_string (answer->rejected, "code", choir_error_get_code (error->code));
  choir_payload_add_string (answer->rejected, "message", error->message);
  choir_payload_close (answer->rejected);
}

static gsize
append_post (GString *out, ChoirSession *session, ChoirChannel *channel, guint i)
{
  gsize before = out->len;
  ChoirMessage message;

  choir_post_to_message (choir_channel_get_post (channel, i), channel, &message);
  begin_item (out);
  choir_envelope_append (choir_session_get_dialect (session), &message, out);

  return out->len - before;
}

/* The tail of the log after @offset as an array; FALSE if it would pass the budget */
static gboolean
append_missed (GString *out, ChoirSession *session, ChoirChannel *channel, guint64 offset)
{
  gsize budget = get_answer_budget (session, out->len);
  g_autoptr (GString) list = g_string_new ("[");

  for (guint i = choir_channel_find_after (channel, offset); i < channel->n_posts; i++)
    {
      append_post (list, session, channel, i);
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
  gsize budget = get_answer_budget (session, out->len);
  g_autoptr (GString) list = g_string_new ("[");
  guint first = channel->n_posts;

  for (gsize used = 0; first > 0; first--)
    {
      used += choir_channel_get_post (channel, first - 1)->payload_len + 512;
      if (used > budget)
        break;
    }

  for (guint i = first; i < channel->n_posts; i++)
    append_post (list, session, channel, i);

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

  begin_item (answer->channels);
  choir_payload_open (answer->channels);
  choir_payload_add_string (answer->channels, "channel", channel->name);
  choir_payload_add_string (answer->channels, "epoch", channel->epoch);
  choir_payload_add_int (answer->channels, "offset", channel->offset);
  append_recovery (answer, channel, epoch != NULL ? epoch : "", offset, wanted);
  choir_payload_close (answer->channels);
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
  else if (choir_session_subscribe (answer->session, name, &channel, &error))
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
      begin_item (answer->events);
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

  begin_item (answer->channels);
  choir_json_append_string (answer->channels, name, -1);
}

static void
unsubscribe_event (SubscribeAnswer *answer, const char *name, ChoirSlice object)
{
  g_autofree char *channel = g_strconcat ("event:", name, NULL);

  if (!choir_session_unsubscribe (answer->session, channel))
    return;

  begin_item (answer->events);
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

static gboolean
is_back_end (ChoirSession *session)
{
  const ChoirSettings *settings = choir_hub_get_settings (choir_session_get_hub (session));
  ChoirClaims *claims = choir_session_get_claims (session);

  return choir_claims_has_role (claims, settings->service_role) ||
         choir_claims_has_role (claims, "admin");
}

/* Whether the type may be published under; refuses the message if not */
static gboolean
check_publish_type (ChoirSession *session,
                    const ChoirEnvelope *message,
                    const ChoirJsonValue *value,
                    char type[CHOIR_TYPE_NAME_MAX + 1])
{
  ChoirSlice contents = choir_json_string_contents (value->raw);

  if (value->kind != CHOIR_JSON_STRING || contents.len == 0 || contents.len > CHOIR_TYPE_NAME_MAX ||
      !choir_name_is_identifier (contents.data, contents.len))
    {
      choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                            "Field \"type\" of the payload must be a name of 1-%d bytes",
                            CHOIR_TYPE_NAME_MAX);
      return FALSE;
    }

  memcpy (type, contents.data, contents.len);
  type[contents.len] = '\0';

  if (choir_router_is_reserved (type) && !is_back_end (session))
    {
      choir_session_refuse (session, message, CHOIR_ERROR_PERMISSION_DENIED,
                            "Messages of this type come from the service only");
      return FALSE;
    }

  return TRUE;
}

static void
send_published (ChoirSession *session,
                const ChoirEnvelope *message,
                const ChoirPublished *published)
{
  g_autoptr (GString) payload = g_string_sized_new (128);

  choir_payload_open (payload);
  choir_payload_add_string (payload, "channel", published->channel->name);
  choir_payload_add_string (payload, "epoch", published->channel->epoch);
  choir_payload_add_int (payload, "offset", published->offset);
  choir_payload_close (payload);

  choir_session_send (session, message, "publish.ok", choir_payload_as_slice (payload));
}

/*
 * Checks the permission, publishes and answers; shared by publish and chat.message.
 */
void
choir_handlers_publish (ChoirSession *session,
                        const ChoirEnvelope *message,
                        const char *channel,
                        const char *type,
                        ChoirSlice payload)
{
  g_autoptr (GError) error = NULL;
  ChoirPublished published;
  ChoirPublication publication = {
    .channel = channel,
    .type = type,
    .payload = payload,
    .user_id = choir_session_get_user_id (session),
    .session_id = choir_session_get_id (session),
  };

  if (!choir_session_may (session, channel, CHOIR_PERMISSION_WRITE))
    choir_session_refuse (session, message, CHOIR_ERROR_PERMISSION_DENIED,
                          "You may not publish to this channel");
  else if (*channel == 'd' && g_str_has_prefix (channel, "document:"))
    choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                          "A document is changed with document.change");
  else if (!choir_hub_publish (choir_session_get_hub (session), &publication, &published, &error))
    choir_session_send_error (session, message, error);
  else
    send_published (session, message, &published);
}

/* publish {channel, type, payload} */
static void
handle_publish (ChoirSession *session, const ChoirEnvelope *message)
{
  static const ChoirSlice keys[] = {
    CHOIR_SLICE_LITERAL ("channel"),
    CHOIR_SLICE_LITERAL ("type"),
    CHOIR_SLICE_LITERAL ("payload"),
    CHOIR_SLICE_LITERAL ("data"),
  };
  ChoirJsonValue values[G_N_ELEMENTS (keys)];
  g_autofree char *channel = NULL;
  g_autoptr (GString) stamped = NULL;
  char type[CHOIR_TYPE_NAME_MAX + 1];
  ChoirJsonValue payload;

  choir_json_slice_get_many (message->payload, keys, G_N_ELEMENTS (keys), values);
  channel = dup_named_channel (session, message, &values[0], TRUE);
  if (channel == NULL || !check_publish_type (session, message, &values[1], type))
    return;

  payload = values[2].raw.len > 0 ? values[2] : values[3];
  if (payload.raw.len == 0)
    payload = (ChoirJsonValue){ CHOIR_SLICE_LITERAL ("{}"), CHOIR_JSON_OBJECT, 0 };

  if (payload.kind != CHOIR_JSON_OBJECT)
    {
      choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                            "Field \"payload\" of the payload must be an object");
      return;
    }

  if (g_str_has_prefix (type, "chat.") || g_str_has_prefix (type, "cursor.") ||
      g_str_has_prefix (type, "selection."))
    {
      stamped = choir_handlers_with_sender (session, payload.raw);
      payload.raw = choir_payload_as_slice (stamped);
    }

  choir_handlers_publish (session, message, channel, type, payload.raw);
}

/* (nullable): the channel if the session may read it; refuses the message otherwise */
static ChoirChannel *
find_readable (ChoirSession *session, const ChoirEnvelope *message, const char *name)
{
  ChoirChannel *channel;

  if (!choir_session_may (session, name, CHOIR_PERMISSION_READ))
    {
      choir_session_refuse (session, message, CHOIR_ERROR_PERMISSION_DENIED,
                            "You may not read this channel");
      return NULL;
    }

  channel = choir_hub_find_channel (choir_session_get_hub (session), name);
  if (channel == NULL)
    choir_session_refuse (session, message, CHOIR_ERROR_UNKNOWN_CHANNEL,
                          "Nobody is in this channel and nothing was said in it");

  return channel;
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

/* Appends the page; returns whether nothing lies beyond it */
static gboolean
append_history (GString *list, ChoirSession *session, ChoirChannel *channel, ChoirSlice query)
{
  gsize budget = get_answer_budget (session, 0);
  gint64 limit = CLAMP (read_int (query, "limit", HISTORY_LIMIT_DEFAULT), 0, HISTORY_LIMIT_MAX);
  gboolean reverse = read_flag (query, "reverse");
  gint64 since = read_int (query, "since", reverse ? G_MAXINT64 : 0);
  gint64 i, n = 0;

  /* forwards: after `since`; backwards: before it, newest first */
  if (reverse)
    i = (gint64) choir_channel_find_after (channel, MAX (since, 1) - 1) - 1;
  else
    i = choir_channel_find_after (channel, MAX (since, 0));

  for (; i >= 0 && i < channel->n_posts; i += reverse ? -1 : 1, n++)
    {
      if (n >= limit || list->len > budget)
        return FALSE;
      append_post (list, session, channel, i);
    }

  return TRUE;
}

/* history {channel, since?, limit, reverse?} -> history.result */
static void
handle_history (ChoirSession *session, const ChoirEnvelope *message)
{
  g_autofree char *name = choir_handlers_dup_channel (session, message, TRUE);
  g_autoptr (GString) list = g_string_new ("[");
  g_autoptr (GString) payload = NULL;
  ChoirChannel *channel;
  gboolean complete;

  if (name == NULL)
    return;

  channel = find_readable (session, message, name);
  if (channel == NULL)
    return;

  choir_channel_trim (channel, choir_clock_wall_us ());
  complete = append_history (list, session, channel, message->payload);
  g_string_append_c (list, ']');

  payload = g_string_sized_new (list->len + 128);
  choir_payload_open (payload);
  choir_payload_add_string (payload, "channel", channel->name);
  choir_payload_add_string (payload, "epoch", channel->epoch);
  choir_payload_add_int (payload, "offset", channel->offset);
  choir_payload_add_raw (payload, "messages", choir_payload_as_slice (list));
  choir_payload_add_boolean (payload, "complete", complete);
  choir_payload_close (payload);

  choir_session_send (session, message, "history.result", choir_payload_as_slice (payload));
}

/* presence {channel} -> presence.state {channel, count, members} */
static void
handle_presence (ChoirSession *session, const ChoirEnvelope *message)
{
  g_autofree char *name = choir_handlers_dup_channel (session, message, TRUE);
  g_autoptr (GString) payload = g_string_sized_new (512);
  ChoirChannel *channel;

  if (name == NULL)
    return;

  channel = find_readable (session, message, name);
  if (channel == NULL)
    return;

  if (!channel->ns->presence)
    {
      choir_session_refuse (session, message, CHOIR_ERROR_PERMISSION_DENIED,
                            "This channel does not show who is in it");
      return;
    }

  choir_payload_open (payload);
  choir_presence_append_members (choir_session_get_hub (session), channel, payload);
  choir_payload_close (payload);

  choir_session_send (session, message, "presence.state", choir_payload_as_slice (payload));
}

static const ChoirRoute routes[] = {
  { "subscribe", handle_subscribe, CHOIR_RATE_DEFAULT, 0 },
  { "unsubscribe", handle_unsubscribe, CHOIR_RATE_DEFAULT, 0 },
  { "publish", handle_publish, CHOIR_RATE_DEFAULT, CHOIR_ROUTE_SANITIZE },
  { "history", handle_history, CHOIR_RATE_DEFAULT, 0 },
  { "presence", handle_presence, CHOIR_RATE_DEFAULT, 0 },
};

void
choir_handlers_register_channel (ChoirRouter *router)
{
  choir_router_add (router, routes, G_N_ELEMENTS (routes));
}
