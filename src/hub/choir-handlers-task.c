/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-handlers-task.h"

#include "choir-error.h"
#include "choir-names.h"
#include "choir-payload.h"
#include "choir-task-table.h"

#include <string.h>

/* What requesters say of tasks: task.request, task.cancel, task.status */

/* Tasks in one answer */
#define STATUS_MAX 100
#define REASON_MAX 256

ChoirLater *
choir_later_new (ChoirSession *session, const ChoirEnvelope *message)
{
  ChoirLater *self = g_new (ChoirLater, 1);

  self->session = g_object_ref (session);
  self->correlation_id = choir_slice_dup (message->correlation_id);
  self->external_type = choir_slice_dup (message->external_type);

  return self;
}

void
choir_later_free (ChoirLater *self)
{
  g_object_unref (self->session);
  g_free (self->correlation_id);
  g_free (self->external_type);
  g_free (self);
}

static ChoirEnvelope
get_request (const ChoirLater *self)
{
  return (ChoirEnvelope){
    .external_type = choir_slice (self->external_type),
    .correlation_id = choir_slice (self->correlation_id),
  };
}

void
choir_later_send (ChoirLater *self, const char *type, const GString *payload)
{
  ChoirEnvelope request = get_request (self);

  choir_session_send (self->session, &request, type, choir_payload_as_slice (payload));
}

void
choir_later_fail (ChoirLater *self, const GError *error)
{
  ChoirEnvelope request = get_request (self);

  choir_session_send_error (self->session, &request, error);
}

char *
choir_handlers_dup_text (ChoirSession *session,
                         const ChoirEnvelope *message,
                         const char *key,
                         gsize max,
                         gboolean *valid)
{
  ChoirJsonValue value;
  char *text = NULL;

  if (!choir_json_slice_get (message->payload, key, &value))
    return NULL;

  if (value.kind == CHOIR_JSON_STRING)
    text = choir_json_string_dup (value.raw, max);
  if (text != NULL && *text != '\0')
    return text;

  choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                        "Field \"%s\" must be a string of 1-%u bytes", key, (guint) max);
  g_free (text);
  *valid = FALSE;

  return NULL;
}

gboolean
choir_handlers_is_back_end (ChoirSession *session)
{
  const ChoirSettings *settings = choir_hub_get_settings (choir_session_get_hub (session));
  ChoirClaims *claims = choir_session_get_claims (session);

  return claims != NULL && (choir_claims_has_role (claims, settings->service_role) ||
                            choir_claims_has_role (claims, "admin"));
}

/* The members of a request that are not for the worker */
static gboolean
is_for_us (ChoirSlice key)
{
  static const char *const ours[] = {
    "kind", "channel", "session", "timeout_ms", "idempotency_key",
  };

  for (guint i = 0; i < G_N_ELEMENTS (ours); i++)
    if (choir_slice_equals (key, ours[i]))
      return TRUE;

  return FALSE;
}

/* (transfer full): the rest */
static GString *
make_payload (ChoirSlice said)
{
  GString *out = g_string_sized_new (said.len);
  ChoirJsonMember member;
  gsize cursor = 0;

  g_string_append_c (out, '{');
  while (choir_json_slice_next_member (said, &cursor, &member))
    {
      if (is_for_us (member.key))
        continue;

      if (out->len > 1)
        g_string_append_c (out, ',');
      g_string_append_c (out, '"');
      g_string_append_len (out, member.key.data, (gssize) member.key.len);
      g_string_append (out, "\":");
      g_string_append_len (out, member.value.raw.data, (gssize) member.value.raw.len);
    }
  g_string_append_c (out, '}');

  return out;
}

/* (nullable) (transfer full): whose status the task belongs to: what the end point or the request
 * names */
static char *
dup_status_id (ChoirSession *session, const ChoirEnvelope *message, gboolean *valid)
{
  const gsize max = CHOIR_CHANNEL_NAME_MAX - strlen ("agent-status:");
  const char *opened = choir_session_get_default_channel (session);
  g_autofree char *named = choir_handlers_dup_text (session, message, "session", max, valid);
  g_autofree char *chat = NULL;
  g_autofree char *status = NULL;

  if (named == NULL)
    {
      if (*valid && opened != NULL &&
          (g_str_has_prefix (opened, "chat:") || g_str_has_prefix (opened, "agent-status:")) &&
          strlen (strchr (opened, ':') + 1) <= max)
        return g_strdup (strchr (opened, ':') + 1);

      return NULL;
    }

  chat = g_strconcat ("chat:", named, NULL);
  status = g_strconcat ("agent-status:", named, NULL);
  if (!choir_name_is_channel (status, strlen (status)))
    choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                          "Field \"session\" must be printable ASCII characters without spaces");
  else if (!choir_session_may (session, chat, CHOIR_PERMISSION_WRITE) &&
           !choir_session_may (session, status, CHOIR_PERMISSION_WRITE))
    choir_session_refuse (session, message, CHOIR_ERROR_PERMISSION_DENIED,
                          "You may not ask for anything in this conversation");
  else
    return g_steal_pointer (&named);

  *valid = FALSE;

  return NULL;
}

/* (nullable) (transfer full): whose subscribers are to hear of the task */
static char *
dup_task_channel (ChoirSession *session, const ChoirEnvelope *message, gboolean *valid)
{
  g_autofree char *channel = NULL;
  ChoirJsonValue value;

  if (message->channel.len == 0 && !choir_json_slice_get (message->payload, "channel", &value))
    return NULL;

  *valid = FALSE;
  channel = choir_handlers_dup_channel (session, message, FALSE);
  if (channel == NULL)
    return NULL;

  if (choir_channel_kind_of (channel) != CHOIR_CHANNEL_NORMAL)
    choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                          "Tasks are not told on this channel");
  else if (!choir_session_may (session, channel, CHOIR_PERMISSION_WRITE))
    choir_session_refuse (session, message, CHOIR_ERROR_PERMISSION_DENIED,
                          "You may not publish to this channel");
  else
    {
      *valid = TRUE;
      return g_steal_pointer (&channel);
    }

  return NULL;
}

static gint64
read_timeout (ChoirSession *session, const ChoirEnvelope *message, gboolean *valid)
{
  ChoirJsonValue value;
  gint64 ms;

  if (!choir_json_slice_get (message->payload, "timeout_ms", &value))
    return 0;

  if (value.kind == CHOIR_JSON_NUMBER && choir_json_number_get_int (value.raw, &ms) && ms > 0)
    return MIN (ms, G_MAXINT64 / 1000) * 1000;

  choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                        "Field \"timeout_ms\" must be a whole number above 0");
  *valid = FALSE;

  return 0;
}

static void
requested (ChoirTask *task, gboolean duplicate, const GError *error, gpointer user_data)
{
  g_autoptr (ChoirLater) later = user_data;
  g_autoptr (GString) payload = g_string_new (NULL);

  if (task == NULL)
    {
      choir_later_fail (later, error);
      return;
    }

  choir_payload_open (payload);
  choir_payload_add_string (payload, "task_id", choir_task_get_id (task));
  choir_payload_add_string (payload, "kind", choir_task_get_kind (task));
  choir_payload_add_string (payload, "state",
                            choir_task_state_get_name (choir_task_get_state (task)));
  if (duplicate)
    choir_payload_add_boolean (payload, "duplicate", TRUE);
  choir_payload_close (payload);
  choir_later_send (later, "task.accepted", payload);
}

/* What a contract's own request can't do without */
static gboolean
check_contract (ChoirSession *session, const ChoirEnvelope *message)
{
  static const struct
  {
    const char *type;
    const char *member;
  } rows[] = {
    { "optimization_request", "message" },
    { "upload.cancel", "upload_id" },
  };
  ChoirJsonValue value;

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    if (choir_slice_equals (message->external_type, rows[i].type) &&
        (!choir_json_slice_get (message->payload, rows[i].member, &value) ||
         value.kind != CHOIR_JSON_STRING))
      {
        choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                              "Field \"%s\" must be a string", rows[i].member);
        return FALSE;
      }

  return TRUE;
}

/* task.request {kind, channel?, session?, timeout_ms?, idempotency_key?, ...} -> task.accepted */
static void
handle_request (ChoirSession *session, const ChoirEnvelope *message)
{
  ChoirHub *hub = choir_session_get_hub (session);
  g_autoptr (GString) payload = make_payload (message->payload);
  gboolean valid = TRUE;
  g_autofree char *kind =
    choir_handlers_dup_text (session, message, "kind", CHOIR_TASK_KIND_MAX, &valid);
  g_autofree char *key = NULL;
  g_autofree char *channel = NULL;
  g_autofree char *status_id = NULL;
  ChoirTaskRequest request;
  gint64 timeout_us = 0;

  if (!check_contract (session, message))
    return;

  if (kind == NULL)
    {
      if (valid)
        choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                              "Field \"kind\" is missing");
      return;
    }

  key = choir_handlers_dup_text (session, message, "idempotency_key", CHOIR_MESSAGE_ID_MAX, &valid);
  if (valid)
    timeout_us = read_timeout (session, message, &valid);
  if (valid)
    channel = dup_task_channel (session, message, &valid);
  if (valid)
    status_id = dup_status_id (session, message, &valid);
  if (!valid)
    return;

  request = (ChoirTaskRequest){
    .kind = kind,
    .user_id = choir_session_get_user_id (session),
    .channel = channel,
    .status_id = status_id,
    .key = key,
    .correlation_id = message->correlation_id,
    .payload = choir_payload_as_slice (payload),
    .timeout_us = timeout_us,
    /* contracts.md D: it makes no sense to wait with that */
    .needs_worker = choir_slice_equals (message->external_type, "upload.cancel"),
  };
  choir_task_table_request (choir_hub_get_tasks (hub), &request, requested,
                            choir_later_new (session, message));
}

/* A cancellation under way */
typedef struct
{
  ChoirLater *later; /* (owned) */
  GString *ids;      /* (owned): array of those that were cancelled */
  guint n_pending;
  gboolean single; /* it was asked for by its id: why not is an answer */
} Cancelling;

static void
cancelling_release (Cancelling *self)
{
  g_autoptr (GString) payload = NULL;

  if (--self->n_pending > 0)
    return;

  if (self->later != NULL)
    {
      payload = g_string_sized_new (self->ids->len + 32);
      g_string_append_c (self->ids, ']');
      choir_payload_open (payload);
      choir_payload_add_raw (payload, "task_ids", choir_payload_as_slice (self->ids));
      choir_payload_close (payload);
      choir_later_send (self->later, "task.cancelled", payload);
    }

  g_clear_pointer (&self->later, choir_later_free);
  g_string_free (self->ids, TRUE);
  g_free (self);
}

static void
cancelled (ChoirTask *task, const GError *error, gpointer user_data)
{
  Cancelling *self = user_data;

  if (error == NULL)
    {
      choir_handlers_begin_item (self->ids);
      choir_json_append_string (self->ids, choir_task_get_id (task), -1);
    }
  else if (self->single)
    {
      choir_later_fail (self->later, error);
      g_clear_pointer (&self->later, choir_later_free);
    }

  cancelling_release (self);
}

/* (nullable) (transfer full): the one of that id, or all unfinished ones of the sender; refuses the
 * message if there is no such task, or it is somebody else's */
static GPtrArray *
find_tasks (ChoirSession *session, const ChoirEnvelope *message, const char *id)
{
  ChoirTaskTable *table = choir_hub_get_tasks (choir_session_get_hub (session));
  const char *user_id = choir_session_get_user_id (session);
  ChoirTaskQuery query = {
    .user_id = user_id,
    .pending = TRUE,
    .unfinished = TRUE,
    .limit = G_MAXUINT,
  };
  g_autoptr (GPtrArray) one = NULL;
  ChoirTask *task;
  gboolean complete;

  if (id == NULL)
    return choir_task_table_list (table, &query, &complete, NULL);

  task = choir_task_table_find (table, id);
  if (task == NULL || (strcmp (choir_task_get_user_id (task), user_id) != 0 &&
                       !choir_handlers_is_back_end (session)))
    {
      choir_session_refuse (session, message, CHOIR_ERROR_NOT_FOUND, "There is no such task");
      return NULL;
    }

  one = g_ptr_array_new_with_free_func ((GDestroyNotify) choir_task_unref);
  g_ptr_array_add (one, choir_task_ref (task));

  return g_steal_pointer (&one);
}

/* task.cancel {task_id?, reason?} -> task.cancelled {task_ids} */
static void
handle_cancel (ChoirSession *session, const ChoirEnvelope *message)
{
  ChoirTaskTable *table = choir_hub_get_tasks (choir_session_get_hub (session));
  gboolean valid = TRUE;
  g_autofree char *id =
    choir_handlers_dup_text (session, message, "task_id", CHOIR_MESSAGE_ID_MAX, &valid);
  g_autofree char *reason = NULL;
  g_autoptr (GPtrArray) tasks = NULL;
  Cancelling *cancelling;

  if (valid)
    reason = choir_handlers_dup_text (session, message, "reason", REASON_MAX, &valid);
  if (valid)
    tasks = find_tasks (session, message, id);
  if (tasks == NULL)
    return;

  cancelling = g_new0 (Cancelling, 1);
  cancelling->later = choir_later_new (session, message);
  cancelling->ids = g_string_new ("[");
  cancelling->n_pending = tasks->len + 1;
  cancelling->single = id != NULL;
  for (guint i = 0; i < tasks->len; i++)
    choir_task_table_cancel (table, g_ptr_array_index (tasks, i), reason, cancelled, cancelling);
  cancelling_release (cancelling);
}

/* FALSE if not all fit the answer */
static gboolean
append_states (GString *list, ChoirSession *session, const GPtrArray *tasks)
{
  gsize budget = choir_handlers_get_budget (session, 0);

  for (guint i = 0; i < tasks->len; i++)
    {
      gsize before = list->len;

      choir_handlers_begin_item (list);
      choir_task_append_state (g_ptr_array_index (tasks, i), list);
      if (list->len > budget && i > 0)
        {
          g_string_truncate (list, before);
          return FALSE;
        }
    }

  return TRUE;
}

/* task.status {task_id?, before?} -> task.state {tasks, complete} */
static void
handle_status (ChoirSession *session, const ChoirEnvelope *message)
{
  ChoirTaskTable *table = choir_hub_get_tasks (choir_session_get_hub (session));
  gboolean valid = TRUE, complete = TRUE;
  g_autofree char *id =
    choir_handlers_dup_text (session, message, "task_id", CHOIR_MESSAGE_ID_MAX, &valid);
  g_autofree char *before =
    choir_handlers_dup_text (session, message, "before", CHOIR_MESSAGE_ID_MAX, &valid);
  ChoirTaskQuery query = {
    .user_id = choir_session_get_user_id (session),
    .before = before,
    .limit = STATUS_MAX,
  };
  g_autoptr (GPtrArray) tasks = NULL;
  g_autoptr (GString) list = g_string_new ("[");
  g_autoptr (GString) payload = NULL;
  g_autoptr (GError) error = NULL;

  if (!valid)
    return;

  if (id != NULL)
    tasks = find_tasks (session, message, id);
  else
    {
      tasks = choir_task_table_list (table, &query, &complete, &error);
      if (tasks == NULL)
        choir_session_send_error (session, message, error);
    }
  if (tasks == NULL)
    return;

  if (!append_states (list, session, tasks))
    complete = FALSE;
  g_string_append_c (list, ']');

  payload = g_string_sized_new (list->len + 64);
  choir_payload_open (payload);
  choir_payload_add_raw (payload, "tasks", choir_payload_as_slice (list));
  choir_payload_add_boolean (payload, "complete", complete);
  choir_payload_close (payload);
  choir_session_send (session, message, "task.state", choir_payload_as_slice (payload));
}

static const ChoirRoute routes[] = {
  { "task.request", handle_request, CHOIR_RATE_DEFAULT, CHOIR_ROUTE_SANITIZE },
  { "task.cancel", handle_cancel, CHOIR_RATE_DEFAULT, CHOIR_ROUTE_SANITIZE },
  { "task.status", handle_status, CHOIR_RATE_DEFAULT, 0 },
};

void
choir_handlers_register_task (ChoirRouter *router)
{
  choir_router_add (router, routes, G_N_ELEMENTS (routes));
}
