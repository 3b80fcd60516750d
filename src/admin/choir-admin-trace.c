/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-trace.h"

#include "choir-admin-filter.h"
#include "choir-admin-methods.h"
#include "choir-admin-pipe.h"
#include "choir-admin-private.h"
#include "choir-admin-redact.h"
#include "choir-clock.h"
#include "choir-error.h"
#include "choir-log.h"
#include "choir-names.h"
#include "choir-observer.h"
#include "choir-payload.h"

#include <string.h>

typedef enum
{
  KEY_USER = 1 << 0,
  KEY_CONNECTION = 1 << 1,
  KEY_CHANNEL = 1 << 2,
  KEY_TYPE = 1 << 3,
  KEY_DIRECTION = 1 << 4,
  KEY_BODIES = 1 << 5,
} Keys;

/* Whose messages, not which */
#define KEYS_OF_CLIENTS (KEY_USER | KEY_CONNECTION)

typedef struct
{
  guint keys;
  char *user;       /* (owned) (nullable) */
  char *connection; /* (owned) (nullable) */
  char *channel;    /* (owned) (nullable) */
  char *type;       /* (owned) (nullable) */
  gboolean out;     /* with KEY_DIRECTION */
  gboolean bodies;
} Filter;

typedef struct
{
  ChoirObserver observer;
  ChoirAdminTraces *traces;
  ChoirAdminPipe *pipe; /* (owned) */
  Filter filter;
} Trace;

struct _ChoirAdminTraces
{
  ChoirHub *hub;    /* borrowed */
  GPtrArray *items; /* (element-type Trace) (owned) */
};

static gboolean
read_name (char **out,
           GVariant *value,
           const char *key,
           gboolean (*check) (const char *, gsize),
           GError **error)
{
  const char *name = g_variant_get_string (value, NULL);

  if (!check (name, strlen (name)))
    return choir_admin_filter_fail (error, "is no such name", key);

  *out = g_strdup (name);

  return TRUE;
}

static gboolean
read_user (gpointer self, GVariant *value, GError **error)
{
  return read_name (&((Filter *) self)->user, value, "user", choir_name_is_user, error);
}

static gboolean
read_connection (gpointer self, GVariant *value, GError **error)
{
  return read_name (&((Filter *) self)->connection, value, "connection", choir_name_is_identifier,
                    error);
}

static gboolean
read_channel (gpointer self, GVariant *value, GError **error)
{
  return read_name (&((Filter *) self)->channel, value, "channel", choir_name_is_channel, error);
}

static gboolean
read_type (gpointer self, GVariant *value, GError **error)
{
  return read_name (&((Filter *) self)->type, value, "type", choir_name_is_identifier, error);
}

static gboolean
read_direction (gpointer self, GVariant *value, GError **error)
{
  const char *direction = g_variant_get_string (value, NULL);

  ((Filter *) self)->out = strcmp (direction, "out") == 0;

  return strcmp (direction, "in") == 0 || strcmp (direction, "out") == 0 ||
         choir_admin_filter_fail (error, "must be \"in\" or \"out\"", "direction");
}

static gboolean
read_bodies (gpointer self, GVariant *value, GError **error)
{
  ((Filter *) self)->bodies = g_variant_get_boolean (value);

  return TRUE;
}

static const ChoirAdminFilterKey filter_keys[] = {
  { "user", "s", KEY_USER, read_user },
  { "connection", "s", KEY_CONNECTION, read_connection },
  { "channel", "s", KEY_CHANNEL, read_channel },
  { "type", "s", KEY_TYPE, read_type },
  { "direction", "s", KEY_DIRECTION, read_direction },
  { "bodies", "b", KEY_BODIES, read_bodies },
};

static void
trace_free (gpointer data)
{
  Trace *self = data;

  choir_hub_remove_observer (self->traces->hub, &self->observer);
  g_clear_pointer (&self->pipe, choir_admin_pipe_free);
  g_free (self->filter.user);
  g_free (self->filter.connection);
  g_free (self->filter.channel);
  g_free (self->filter.type);
  g_free (self);
}

static gboolean
wants_direction (const Filter *filter, gboolean out)
{
  return !(filter->keys & KEY_DIRECTION) || filter->out == out;
}

static gboolean
wants_type (const Filter *filter, const char *type)
{
  return filter->type == NULL || g_strcmp0 (filter->type, type) == 0;
}

static gboolean
is_meant (const Filter *filter, ChoirSession *session)
{
  if (filter->user != NULL && g_strcmp0 (filter->user, choir_session_get_user_id (session)) != 0)
    return FALSE;

  return filter->connection == NULL ||
         g_strcmp0 (filter->connection, choir_session_get_connection_id (session)) == 0;
}

/* Messages about tokens are nobody's business, whatever is in them */
static gboolean
is_about_tokens (const char *type)
{
  return g_str_has_prefix (type, "auth");
}

static GString *
begin_line (const char *direction, gint64 wall_us, const char *type, gsize n_bytes)
{
  GString *line = g_string_sized_new (256);

  choir_payload_open (line);
  choir_payload_add_time (line, "time", wall_us);
  choir_payload_add_string (line, "direction", direction);
  choir_payload_add_string (line, "type", type);
  choir_payload_add_int (line, "bytes", (gint64) n_bytes);

  return line;
}

static void
add_if (GString *line, const char *key, const char *value)
{
  if (value != NULL)
    choir_payload_add_string (line, key, value);
}

static void
add_session (GString *line, ChoirSession *session)
{
  add_if (line, "connection", choir_session_get_connection_id (session));
  add_if (line, "user", choir_session_get_user_id (session));
}

static void
end_line (Trace *self, GString *line, const char *type, ChoirSlice payload)
{
  if (self->filter.bodies && payload.data != NULL)
    {
      choir_payload_add_key (line, "payload");
      if (is_about_tokens (type))
        g_string_append (line, "\"***\"");
      else
        choir_admin_redact (payload, line);
    }

  choir_payload_close (line);
  choir_admin_pipe_push (self->pipe, line);
}

/* A string's contents; empty: it names none. Some contracts name it in the payload */
static ChoirSlice
get_channel (const ChoirEnvelope *message)
{
  ChoirJsonValue value;

  if (message->channel.len > 0)
    return message->channel;

  if (choir_json_slice_get (message->payload, "channel", &value) && value.kind == CHOIR_JSON_STRING)
    return choir_json_string_contents (value.raw);

  return (ChoirSlice){ NULL, 0 };
}

static void
received (ChoirSession *session, const ChoirEnvelope *message, gpointer user_data)
{
  Trace *self = user_data;
  const Filter *filter = &self->filter;
  g_autoptr (GString) line = NULL;
  ChoirSlice channel;

  if (!wants_direction (filter, FALSE) || !wants_type (filter, message->type) ||
      !is_meant (filter, session))
    return;

  channel = get_channel (message);
  if (filter->channel != NULL && !choir_json_key_equals (channel, choir_slice (filter->channel)))
    return;

  line = begin_line ("in", choir_clock_wall_us (), message->type, message->payload.len);
  add_session (line, session);
  /* anything else that stands there is part of a body */
  if (choir_name_is_channel (channel.data, channel.len))
    {
      choir_payload_add_key (line, "channel");
      g_string_append_c (line, '"');
      g_string_append_len (line, channel.data, (gssize) channel.len);
      g_string_append_c (line, '"');
    }
  end_line (self, line, message->type, message->payload);
}

static gboolean
is_subscribed (ChoirSession *session, const char *channel)
{
  guint n = choir_session_get_n_subscriptions (session);

  for (guint i = 0; i < n; i++)
    if (strcmp (choir_session_get_subscription (session, i)->channel->name, channel) == 0)
      return TRUE;

  return FALSE;
}

static gboolean
hears (ChoirSession *session, const char *channel, const ChoirAudience *audience)
{
  if (choir_session_get_claims (session) == NULL)
    return FALSE;

  if (audience != NULL)
    return choir_audience_picks (audience, session);

  if (channel == NULL)
    return FALSE;

  switch (choir_channel_kind_of (channel))
    {
    case CHOIR_CHANNEL_ALL:
      return TRUE;

    case CHOIR_CHANNEL_USER:
      return g_strcmp0 (channel + strlen ("user:"), choir_session_get_user_id (session)) == 0;

    case CHOIR_CHANNEL_SESSION:
      return strcmp (channel + strlen ("session:"), choir_session_get_id (session)) == 0;

    case CHOIR_CHANNEL_NORMAL:
    case CHOIR_CHANNEL_DOCUMENT:
    default:
      return is_subscribed (session, channel);
    }
}

/* Whether somebody who is meant hears it, or the user who is meant has said it */
static gboolean
concerns (Trace *self, const ChoirMessage *message, const ChoirAudience *audience)
{
  const Filter *filter = &self->filter;
  ChoirHub *hub = self->traces->hub;
  ChoirSession *session;
  ChoirUser *user;

  if (!(filter->keys & KEYS_OF_CLIENTS))
    return TRUE;

  if (filter->connection != NULL)
    {
      session = choir_hub_find_session (hub, filter->connection);
      return session != NULL && is_meant (filter, session) &&
             hears (session, message->channel, audience);
    }

  if (g_strcmp0 (message->user_id, filter->user) == 0)
    return TRUE;

  user = choir_hub_find_user (hub, filter->user);
  for (guint i = 0; user != NULL && i < user->n_sessions; i++)
    if (hears (user->sessions[i], message->channel, audience))
      return TRUE;

  return FALSE;
}

static void
published (const ChoirMessage *message,
           const ChoirAudience *audience,
           guint n_recipients,
           gpointer user_data)
{
  Trace *self = user_data;
  const Filter *filter = &self->filter;
  g_autoptr (GString) line = NULL;

  if (!wants_direction (filter, TRUE) || !wants_type (filter, message->type))
    return;

  if (filter->channel != NULL && g_strcmp0 (filter->channel, message->channel) != 0)
    return;

  if (!concerns (self, message, audience))
    return;

  line = begin_line ("out", message->wall_us, message->type, message->payload.len);
  add_if (line, "user", message->user_id);
  add_if (line, "channel", message->channel);
  choir_payload_add_int (line, "recipients", n_recipients);
  end_line (self, line, message->type, message->payload);
}

static void
answered (ChoirSession *session, const ChoirMessage *message, gpointer user_data)
{
  Trace *self = user_data;
  const Filter *filter = &self->filter;
  g_autoptr (GString) line = NULL;

  if (!wants_direction (filter, TRUE) || !wants_type (filter, message->type) ||
      !is_meant (filter, session))
    return;

  if (filter->channel != NULL && g_strcmp0 (filter->channel, message->channel) != 0)
    return;

  line = begin_line ("out", message->wall_us, message->type, message->payload.len);
  add_session (line, session);
  add_if (line, "channel", message->channel);
  choir_payload_add_int (line, "recipients", 1);
  end_line (self, line, message->type, message->payload);
}

static const ChoirObserverFuncs observer_funcs = {
  .received = received,
  .published = published,
  .answered = answered,
};

static void
closed_cb (gpointer user_data)
{
  Trace *self = user_data;

  g_ptr_array_remove_fast (self->traces->items, self);
}

/**
 * choir_admin_traces_new:
 * @hub: borrowed
 *
 * Returns: (transfer full): no trace yet
 */
ChoirAdminTraces *
choir_admin_traces_new (ChoirHub *hub)
{
  ChoirAdminTraces *self = g_new0 (ChoirAdminTraces, 1);

  self->hub = hub;
  self->items = g_ptr_array_new_with_free_func (trace_free);

  return self;
}

/**
 * choir_admin_traces_free:
 * @self: (transfer full): traces, which end
 */
void
choir_admin_traces_free (ChoirAdminTraces *self)
{
  g_ptr_array_unref (self->items);
  g_free (self);
}

/**
 * choir_admin_traces_clear:
 * @self: traces, which end
 */
void
choir_admin_traces_clear (ChoirAdminTraces *self)
{
  g_ptr_array_set_size (self->items, 0);
}

guint
choir_admin_traces_get_n (const ChoirAdminTraces *self)
{
  return self->items->len;
}

/**
 * choir_admin_traces_open:
 * @self: traces
 * @filter: (transfer none): an `a{sv}`
 * @error: return location: %CHOIR_ERROR_VALIDATION, %CHOIR_ERROR_UNAVAILABLE if there are no more
 *   descriptors, %G_DBUS_ERROR_LIMITS_EXCEEDED
 *
 * Begins another one.
 *
 * Returns: (transfer full): what to read it from; -1 on error
 */
int
choir_admin_traces_open (ChoirAdminTraces *self, GVariant *filter, GError **error)
{
  Trace *trace = g_new0 (Trace, 1);
  int fd;

  trace->traces = self;
  trace->observer.funcs = &observer_funcs;
  trace->observer.user_data = trace;

  if (!choir_admin_filter_read (filter, filter_keys, G_N_ELEMENTS (filter_keys),
                                &trace->filter.keys, &trace->filter, error))
    {
      trace_free (trace);
      return -1;
    }

  if (self->items->len >= CHOIR_ADMIN_TRACES_MAX)
    {
      g_set_error (error, G_DBUS_ERROR, G_DBUS_ERROR_LIMITS_EXCEEDED,
                   "%d traces are running already", CHOIR_ADMIN_TRACES_MAX);
      trace_free (trace);
      return -1;
    }

  trace->pipe = choir_admin_pipe_new (&fd, closed_cb, trace, NULL);
  if (trace->pipe == NULL)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE, "Out of file descriptors");
      trace_free (trace);
      return -1;
    }

  g_ptr_array_add (self->items, trace);
  choir_hub_add_observer (self->hub, &trace->observer);

  return fd;
}

/**
 * choir_admin_trace_wants_bodies:
 * @filter: (transfer none): an `a{sv}`, not checked yet
 *
 * Returns: whether it takes leave to read what messages say
 */
gboolean
choir_admin_trace_wants_bodies (GVariant *filter)
{
  gboolean bodies = FALSE;

  return g_variant_lookup (filter, "bodies", "b", &bodies) && bodies;
}

static ChoirAdminAction
choose_action (GVariant *parameters)
{
  g_autoptr (GVariant) filter = g_variant_get_child_value (parameters, 0);

  return choir_admin_trace_wants_bodies (filter) ? CHOIR_ADMIN_READ_CONTENT : CHOIR_ADMIN_INSPECT;
}

static void
perform_trace (ChoirAdminCall *call)
{
  GDBusConnection *connection = g_dbus_method_invocation_get_connection (call->invocation);
  g_autoptr (GVariant) filter = g_variant_get_child_value (call->parameters, 0);
  g_autoptr (GError) error = NULL;
  int fd;

  if (!(g_dbus_connection_get_capabilities (connection) & G_DBUS_CAPABILITY_FLAGS_UNIX_FD_PASSING))
    {
      choir_admin_call_fail_literal (call, CHOIR_ERROR_UNAVAILABLE,
                                     "This bus does not pass file descriptors on");
      return;
    }

  fd = choir_admin_traces_open (call->admin->traces, filter, &error);
  if (fd < 0)
    {
      choir_admin_call_fail (call, error);
      return;
    }

  choir_admin_call_log (call, "Messages are being traced", CHOIR_LOG_METHOD,
                        choir_admin_trace_wants_bodies (filter) ? "Trace with bodies" : "Trace", 1);
  choir_admin_call_return_fd (call, fd);
}

const ChoirAdminMethod choir_admin_trace_methods[] = {
  { CHOIR_ADMIN_MANAGER, "Trace", CHOIR_ADMIN_INSPECT, FALSE, perform_trace, choose_action },
};

const guint choir_admin_trace_n_methods = G_N_ELEMENTS (choir_admin_trace_methods);
