/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-tasks.h"

#include "choir-http-api.h"
#include "choir-http-members.h"
#include "choir-http-private.h"
#include "choir-names.h"
#include "choir-payload.h"

#include <string.h>

/* Asking for tasks, and asking about them (protocol.md, "Tasks") */

#define LIST_DEFAULT 100
#define LIST_MAX 1000
/* After which a list ends early: bytes */
#define LIST_BYTES (8 * 1024 * 1024)

#define REASON_MAX 1024
/* Past `task.timeout` it means that */
#define TIMEOUT_MAX_MS (G_MAXINT64 / 1000000)

/* What a request has besides its payload: bytes */
#define BODY_EXTRA 4096

/* (nullable) (transfer none): NULL if there are none here: the request has been refused then */
ChoirTaskTable *
choir_http_get_tasks (ChoirHttpRequest *request)
{
  ChoirTaskTable *table = choir_hub_get_tasks (request->gateway->hub);

  if (table == NULL)
    choir_http_request_refuse (request, 503, CHOIR_ERROR_UNAVAILABLE, "There are no tasks here");

  return table;
}

static gsize
get_max_body (const ChoirHttpRequest *request)
{
  const ChoirSettings *settings = choir_hub_get_settings (request->gateway->hub);

  return (gsize) settings->dialects[CHOIR_DIALECT_CHOIR].max_message_size + BODY_EXTRA;
}

/* Whoever may not know of a task is told that there is none */
static ChoirTask *
find_task (ChoirHttpRequest *request)
{
  ChoirTaskTable *table = choir_http_get_tasks (request);
  ChoirTask *task;

  if (table == NULL)
    return NULL;

  task = choir_task_table_find (table, request->segments[0]);
  if (task != NULL &&
      (choir_http_request_is_back_end (request) ||
       g_strcmp0 (choir_task_get_user_id (task), choir_claims_get_user_id (request->claims)) == 0))
    return task;

  choir_http_request_refuse (request, 404, CHOIR_ERROR_NOT_FOUND, "There is no such task");

  return NULL;
}

static void
answer_task (ChoirHttpRequest *request, guint status, const ChoirTask *task)
{
  GString *body = g_string_new (NULL);

  choir_task_append_state (task, body);
  choir_http_request_answer_json (request, status, body);
}

static void
refuse_task (ChoirHttpRequest *request, const ChoirTask *task, const GError *error)
{
  ChoirError code = error->domain == CHOIR_ERROR ? (ChoirError) error->code : CHOIR_ERROR_INTERNAL;
  g_autoptr (GString) members = g_string_new (NULL);

  if (code != CHOIR_ERROR_CONFLICT || task == NULL)
    {
      choir_http_request_refuse_error (request, error);
      return;
    }

  choir_payload_add_string (members, "state",
                            choir_task_state_get_name (choir_task_get_state (task)));
  choir_http_request_refuse_with (request, 409, code, error->message, members);
}

/* Wanting one */

typedef struct
{
  ChoirJsonObject object;
  char *kind;      /* (owned) */
  char *user_id;   /* (owned) (nullable): the token's own */
  char *channel;   /* (owned) (nullable) */
  char *status_id; /* (owned) (nullable) */
  char *key;       /* (owned) (nullable) */
  ChoirJsonValue payload;
  gint64 timeout_ms;
} Wanted;

static void
wanted_free (Wanted *self)
{
  g_free (self->kind);
  g_free (self->user_id);
  g_free (self->channel);
  g_free (self->status_id);
  g_free (self->key);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Wanted, wanted_free)

static gboolean
read_members (ChoirHttpRequest *request, Wanted *self, GError **error)
{
  static const char *const known[] = { "kind",    "user_id",    "payload", "channel",
                                       "session", "timeout_ms", NULL };
  const ChoirJsonObject *object = &self->object;

  if (!choir_http_members_scan (request, choir_http_request_get_body (request), known,
                                &self->object, error) ||
      !choir_http_members_get_string (object, "kind", CHOIR_TASK_KIND_MAX, &self->kind, error) ||
      !choir_http_members_get_string (object, "user_id", CHOIR_USER_ID_MAX, &self->user_id,
                                      error) ||
      !choir_http_members_get_string (object, "channel", CHOIR_CHANNEL_NAME_MAX, &self->channel,
                                      error) ||
      !choir_http_members_get_string (object, "session", CHOIR_CHANNEL_NAME_MAX, &self->status_id,
                                      error) ||
      !choir_http_members_get_object (object, "payload", &self->payload, error) ||
      !choir_http_members_get_int (object, "timeout_ms", 1, TIMEOUT_MAX_MS, &self->timeout_ms,
                                   error))
    return FALSE;

  if (self->kind == NULL)
    g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, "kind is missing");
  else if (self->user_id != NULL && !choir_name_is_user (self->user_id, strlen (self->user_id)))
    g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, "user_id is no user's id");
  else
    return TRUE;

  return FALSE;
}

/* A back end's keys are its own, whomever it asks for */
static gboolean
read_key (ChoirHttpRequest *request, Wanted *self, GError **error)
{
  const char *key = choir_http_request_get_header (request, "Idempotency-Key");
  const char *caller = choir_claims_get_user_id (request->claims);

  if (key == NULL)
    return TRUE;

  if (!choir_http_check_key ("Idempotency-Key", key, error))
    return FALSE;

  if (g_strcmp0 (self->user_id, caller) == 0)
    self->key = g_strdup (key);
  else
    self->key = g_strconcat (caller, "\n", key, NULL);

  return TRUE;
}

static gboolean
read_wanted (ChoirHttpRequest *request, Wanted *self)
{
  g_autoptr (GError) error = NULL;

  if (read_members (request, self, &error))
    {
      if (self->user_id == NULL)
        self->user_id = g_strdup (choir_claims_get_user_id (request->claims));
      if (read_key (request, self, &error))
        return TRUE;
    }

  choir_http_request_refuse_error (request, error);

  return FALSE;
}

static gboolean
may_write (ChoirHttpRequest *request, const char *channel)
{
  ChoirHub *hub = request->gateway->hub;

  if (choir_namespace_allows (choir_hub_get_namespace (hub, channel), request->claims, NULL,
                              channel, CHOIR_PERMISSION_WRITE))
    return TRUE;

  choir_http_request_refuse (request, 403, CHOIR_ERROR_PERMISSION_DENIED,
                             "The token does not allow this");

  return FALSE;
}

static gboolean
check_channel (ChoirHttpRequest *request, const char *channel)
{
  if (channel == NULL)
    return TRUE;

  if (!choir_name_is_channel (channel, strlen (channel)))
    {
      choir_http_request_refuse (request, 400, CHOIR_ERROR_VALIDATION,
                                 "A channel's name is 1-%d printable ASCII characters without "
                                 "spaces",
                                 CHOIR_CHANNEL_NAME_MAX);
      return FALSE;
    }

  return choir_http_request_is_back_end (request) || may_write (request, channel);
}

/* For others, and about channels, only who may */
static gboolean
check_wanted (ChoirHttpRequest *request, Wanted *self)
{
  const char *caller = choir_claims_get_user_id (request->claims);
  g_autofree char *status =
    self->status_id != NULL ? g_strconcat ("agent-status:", self->status_id, NULL) : NULL;

  if (!choir_http_request_is_back_end (request) && g_strcmp0 (self->user_id, caller) != 0)
    {
      choir_http_request_refuse (request, 403, CHOIR_ERROR_PERMISSION_DENIED,
                                 "Only back ends may ask on behalf of others");
      return FALSE;
    }

  return check_channel (request, self->channel) && check_channel (request, status);
}

static void
requested_cb (ChoirTask *task, gboolean duplicate, const GError *error, gpointer user_data)
{
  g_autoptr (ChoirHttpRequest) request = user_data;
  g_autofree char *location = NULL;

  if (task == NULL)
    {
      choir_http_request_refuse_error (request, error);
      return;
    }

  location = g_strconcat (CHOIR_HTTP_API_PREFIX "tasks/", choir_task_get_id (task), NULL);
  choir_http_request_set_header (request, "Location", location);
  answer_task (request, 201, task);
}

static void
post_task (ChoirHttpRequest *request)
{
  ChoirTaskTable *table = choir_http_get_tasks (request);
  g_autoptr (Wanted) wanted = g_new0 (Wanted, 1);
  ChoirTaskRequest task;

  if (table == NULL || !read_wanted (request, wanted) || !check_wanted (request, wanted))
    return;

  task = (ChoirTaskRequest){
    .kind = wanted->kind,
    .user_id = wanted->user_id,
    .channel = wanted->channel,
    .status_id = wanted->status_id,
    .key = wanted->key,
    .payload = wanted->payload.raw,
    .timeout_us = wanted->timeout_ms * 1000,
  };
  choir_task_table_request (table, &task, requested_cb, choir_http_request_ref (request));
}

/* Looking */

static gboolean
read_state (ChoirHttpRequest *request, ChoirTaskState *state, ChoirTaskQuery *query)
{
  const char *name = choir_http_request_get_parameter (request, "state");

  if (name == NULL)
    return TRUE;

  if (g_str_equal (name, "unfinished"))
    {
      query->unfinished = TRUE;
      return TRUE;
    }

  query->state = state;
  if (choir_task_state_parse (name, state))
    return TRUE;

  choir_http_request_refuse (request, 400, CHOIR_ERROR_VALIDATION,
                             "state must be queued, running, completed, failed, cancelled or "
                             "unfinished");

  return FALSE;
}

/* Others than back ends have their own */
static gboolean
read_user (ChoirHttpRequest *request, ChoirTaskQuery *query)
{
  const char *caller = choir_claims_get_user_id (request->claims);

  query->user_id = choir_http_request_get_parameter (request, "user");
  if (choir_http_request_is_back_end (request))
    return TRUE;

  if (query->user_id == NULL)
    query->user_id = caller;
  if (g_strcmp0 (query->user_id, caller) == 0)
    return TRUE;

  choir_http_request_refuse (request, 403, CHOIR_ERROR_PERMISSION_DENIED,
                             "Only back ends may ask for the tasks of others");

  return FALSE;
}

static void
answer_list (ChoirHttpRequest *request, const GPtrArray *tasks, gboolean complete)
{
  GString *body = g_string_new ("{\"tasks\":[");
  guint n = 0;

  for (; n < tasks->len && body->len < LIST_BYTES; n++)
    {
      if (n > 0)
        g_string_append_c (body, ',');
      choir_task_append_state (g_ptr_array_index (tasks, n), body);
    }

  g_string_append_c (body, ']');
  choir_payload_add_boolean (body, "complete", complete && n == tasks->len);
  choir_payload_close (body);
  choir_http_request_answer_json (request, 200, body);
}

static void
list_tasks (ChoirHttpRequest *request)
{
  ChoirTaskTable *table = choir_http_get_tasks (request);
  ChoirTaskQuery query = {
    .kind = choir_http_request_get_parameter (request, "kind"),
    .before = choir_http_request_get_parameter (request, "before"),
  };
  ChoirTaskState state;
  g_autoptr (GPtrArray) tasks = NULL;
  g_autoptr (GError) error = NULL;
  gboolean complete;
  guint64 limit;

  if (table == NULL || !read_state (request, &state, &query) || !read_user (request, &query) ||
      !choir_http_request_get_uint (request, "limit", LIST_DEFAULT, 1, LIST_MAX, &limit))
    return;

  query.limit = (guint) limit;
  tasks = choir_task_table_list (table, &query, &complete, &error);
  if (tasks != NULL)
    answer_list (request, tasks, complete);
  else
    choir_http_request_refuse_error (request, error);
}

/* (transfer full): of what the answer says, for it changes with every word of the worker */
static char *
dup_etag (const GString *body)
{
  g_autofree char *sum =
    g_compute_checksum_for_data (G_CHECKSUM_SHA256, (const guchar *) body->str, body->len);

  return g_strdup_printf ("\"%.32s\"", sum);
}

static void
get_task (ChoirHttpRequest *request)
{
  ChoirTask *task = find_task (request);
  const char *etags;
  g_autofree char *etag = NULL;
  GString *body;

  if (task == NULL)
    return;

  body = g_string_new (NULL);
  choir_task_append_state (task, body);
  etag = dup_etag (body);
  choir_http_request_set_header (request, "ETag", etag);
  etags = choir_http_request_get_header (request, "If-None-Match");
  if (etags == NULL || (!choir_http_is_any (etags) && !choir_http_has_etag (etags, etag, TRUE)))
    {
      choir_http_request_answer_json (request, 200, body);
      return;
    }

  g_string_free (body, TRUE);
  choir_http_request_set_header (request, "Cache-Control", "private, no-cache");
  choir_http_request_answer_empty (request, 304);
}

/* Not wanting it any more */

static void
cancelled_cb (ChoirTask *task, const GError *error, gpointer user_data)
{
  g_autoptr (ChoirHttpRequest) request = user_data;

  /* the same again finds what it wanted done */
  if (task != NULL && (error == NULL || choir_task_get_state (task) == CHOIR_TASK_CANCELLED))
    answer_task (request, 200, task);
  else
    refuse_task (request, task, error);
}

static void
delete_task (ChoirHttpRequest *request)
{
  const char *reason = choir_http_request_get_parameter (request, "reason");
  ChoirTask *task = find_task (request);

  if (task == NULL)
    return;

  if (reason != NULL && strlen (reason) > REASON_MAX)
    choir_http_request_refuse (request, 400, CHOIR_ERROR_VALIDATION,
                               "reason may have at most %d bytes", REASON_MAX);
  else
    choir_task_table_cancel (choir_http_get_tasks (request), task, reason, cancelled_cb,
                             choir_http_request_ref (request));
}

const ChoirHttpRoute choir_http_tasks_routes[] = {
  { "POST",
    "tasks",
    NULL,
    CHOIR_HTTP_MAY_ASK,
    { NULL },
    CHOIR_HTTP_JSON,
    CHOIR_HTTP_JSON,
    TRUE,
    get_max_body,
    post_task },
  { "GET",
    "tasks",
    NULL,
    CHOIR_HTTP_MAY_ASK,
    { "state", "kind", "user", "before", "limit" },
    CHOIR_HTTP_NO_MEDIA,
    CHOIR_HTTP_JSON,
    FALSE,
    NULL,
    list_tasks },
  { "POST",
    "tasks/pull",
    NULL,
    CHOIR_HTTP_MAY_WORK,
    { NULL },
    CHOIR_HTTP_JSON,
    CHOIR_HTTP_JSON,
    TRUE,
    get_max_body,
    choir_http_pull_tasks },
  { "GET",
    "tasks/{}",
    NULL,
    CHOIR_HTTP_MAY_ASK,
    { NULL },
    CHOIR_HTTP_NO_MEDIA,
    CHOIR_HTTP_JSON,
    FALSE,
    NULL,
    get_task },
  { "DELETE",
    "tasks/{}",
    NULL,
    CHOIR_HTTP_MAY_ASK,
    { "reason" },
    CHOIR_HTTP_NO_MEDIA,
    CHOIR_HTTP_JSON,
    FALSE,
    NULL,
    delete_task },
  { "POST",
    "tasks/{}/updates",
    NULL,
    CHOIR_HTTP_MAY_WORK,
    { NULL },
    CHOIR_HTTP_JSON,
    CHOIR_HTTP_JSON,
    TRUE,
    get_max_body,
    choir_http_update_task },
};

const guint choir_http_tasks_n_routes = G_N_ELEMENTS (choir_http_tasks_routes);
