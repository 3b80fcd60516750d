/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-tasks.h"

#include "choir-http-idempotency.h"
#include "choir-http-members.h"
#include "choir-payload.h"

#include <string.h>

/* What a worker says about a task over HTTP: one thing, or several in order */

#define TYPE_MAX 32

/* protocol.md, "Tasks", without `task.` */
static const char *const reports[] = { "started", "thinking", "progress", "tool", "chunk", NULL };
static const char *const ends[] = { "completed", "failed", "release", NULL };

typedef struct
{
  char *type;       /* (owned): with `task.` */
  char *lease_id;   /* (owned) */
  GString *payload; /* (owned): what is left for others to hear */
} Update;

/* Held by each step that is under way */
typedef struct
{
  ChoirHttpRequest *request; /* (owned) */
  ChoirTaskTable *table;     /* borrowed: the hub's */
  GArray *updates;           /* (element-type Update) (owned) */
  guint next;
  gboolean is_array;
} Updates;

static void
update_clear (gpointer data)
{
  Update *self = data;

  g_free (self->type);
  g_free (self->lease_id);
  g_string_free (self->payload, TRUE);
}

static Updates *
updates_new (ChoirHttpRequest *request, ChoirTaskTable *table)
{
  Updates *self = g_rc_box_new0 (Updates);

  self->request = choir_http_request_ref (request);
  self->table = table;
  self->updates = g_array_new (FALSE, TRUE, sizeof (Update));
  g_array_set_clear_func (self->updates, update_clear);

  return self;
}

static void
updates_clear (gpointer data)
{
  Updates *self = data;

  choir_http_request_unref (self->request);
  g_array_unref (self->updates);
}

static void
updates_unref (Updates *self)
{
  g_rc_box_release_full (self, updates_clear);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Updates, updates_unref)

static gboolean
is_type (const char *name)
{
  return g_strv_contains (reports, name) || g_strv_contains (ends, name) ||
         g_str_equal (name, "heartbeat");
}

static gboolean
read_type (Update *self, const ChoirJsonObject *object, GError **error)
{
  const ChoirJsonMember *member = choir_json_object_find (object, "type");
  g_autofree char *name = NULL;

  if (member != NULL && member->value.kind == CHOIR_JSON_STRING)
    name = choir_json_string_dup (member->value.raw, TYPE_MAX);
  if (name != NULL && is_type (name))
    {
      self->type = g_strconcat ("task.", name, NULL);
      return TRUE;
    }

  g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                       "type must be started, thinking, progress, tool, chunk, heartbeat, "
                       "completed, failed or release");

  return FALSE;
}

static gboolean
read_lease (Update *self, const ChoirJsonObject *object, GError **error)
{
  const ChoirJsonMember *member = choir_json_object_find (object, "lease_id");

  if (member != NULL && member->value.kind == CHOIR_JSON_STRING)
    self->lease_id = choir_json_string_dup (member->value.raw, CHOIR_ID_SIZE);
  if (self->lease_id != NULL && *self->lease_id != '\0')
    return TRUE;

  g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                       "lease_id must be the one that the task came with");

  return FALSE;
}

/* The lease is nobody else's business */
static void
copy_payload (Update *self, const ChoirJsonObject *object)
{
  choir_payload_open (self->payload);
  for (guint i = 0; i < object->n_members; i++)
    {
      const ChoirJsonMember *member = &object->members[i];

      if (choir_json_key_equals (member->key, choir_slice ("type")) ||
          choir_json_key_equals (member->key, choir_slice ("lease_id")))
        continue;

      if (self->payload->len > 1)
        g_string_append_c (self->payload, ',');
      g_string_append_c (self->payload, '"');
      g_string_append_len (self->payload, member->key.data, (gssize) member->key.len);
      g_string_append (self->payload, "\":");
      g_string_append_len (self->payload, member->value.raw.data, (gssize) member->value.raw.len);
    }
  choir_payload_close (self->payload);
}

static gboolean
read_update (gpointer user_data, ChoirSlice json, GError **error)
{
  Updates *self = user_data;
  const ChoirJsonLimits *limits = &choir_hub_get_settings (self->request->gateway->hub)->json;
  ChoirJsonObject object;
  Update *update;

  g_array_set_size (self->updates, self->updates->len + 1);
  update = &g_array_index (self->updates, Update, self->updates->len - 1);
  update->payload = g_string_new (NULL);
  if (!choir_json_gate_scan (json.data, json.len, limits, &object, error) ||
      !read_type (update, &object, error) || !read_lease (update, &object, error))
    return FALSE;

  copy_payload (update, &object);

  return TRUE;
}

static void
answer (Updates *self, const ChoirTask *task)
{
  GString *body = g_string_new (NULL);

  choir_payload_open (body);
  choir_payload_add_string (body, "task_id", self->request->segments[0]);
  if (task != NULL)
    choir_payload_add_string (body, "state",
                              choir_task_state_get_name (choir_task_get_state (task)));
  choir_payload_close (body);
  choir_http_once_answer (self->request, body);
}

/* Says as well what became of it, for a worker that has been left behind */
static void
refuse (Updates *self, const GError *error)
{
  ChoirError code = error->domain == CHOIR_ERROR ? (ChoirError) error->code : CHOIR_ERROR_INTERNAL;
  guint status = code == CHOIR_ERROR_VALIDATION ? 400 : choir_error_get_http_status (code);
  const ChoirTask *task = choir_task_table_find (self->table, self->request->segments[0]);
  g_autoptr (GString) members = g_string_new (NULL);

  if (code == CHOIR_ERROR_CONFLICT && task != NULL)
    choir_payload_add_string (members, "state",
                              choir_task_state_get_name (choir_task_get_state (task)));
  if (self->is_array)
    choir_payload_add_int (members, "index", (gint64) self->next - 1);
  choir_http_once_forget (self->request);
  choir_http_request_refuse_with (
    self->request, status, code,
    code == CHOIR_ERROR_INTERNAL ? "Something went wrong here" : error->message, members);
}

static void go_on (Updates *self);

static void
settled_cb (ChoirTask *task, const GError *error, gpointer user_data)
{
  g_autoptr (Updates) self = user_data;

  if (error == NULL)
    go_on (self);
  /* it may be the service itself that is going */
  else if (!choir_http_request_is_gone (self->request))
    refuse (self, error);
}

/* FALSE: refused, or to be gone on with later */
static gboolean
apply (Updates *self, const Update *update)
{
  ChoirTaskClaim claim = {
    .task_id = self->request->segments[0],
    .lease_id = update->lease_id,
  };
  ChoirSlice payload = choir_payload_as_slice (update->payload);
  const char *name = update->type + strlen ("task.");
  g_autoptr (GError) error = NULL;

  if (g_strv_contains (ends, name))
    {
      choir_task_table_settle (self->table, &claim, update->type, payload, settled_cb,
                               g_rc_box_acquire (self));
      return FALSE;
    }

  if (g_strv_contains (reports, name)
        ? choir_task_table_report (self->table, &claim, update->type, payload, &error)
        : choir_task_table_renew (self->table, &claim, &error))
    return TRUE;

  refuse (self, error);

  return FALSE;
}

/* In order, up to the first that is refused */
static void
go_on (Updates *self)
{
  while (self->next < self->updates->len)
    if (!apply (self, &g_array_index (self->updates, Update, self->next++)))
      return;

  answer (self, choir_task_table_find (self->table, self->request->segments[0]));
}

/**
 * choir_http_update_task:
 * @request: a worker's, about one task
 *
 * Takes what it says about that, as long as the lease is its own.
 */
void
choir_http_update_task (ChoirHttpRequest *request)
{
  ChoirTaskTable *table = choir_http_get_tasks (request);
  g_autoptr (Updates) updates = NULL;
  g_autoptr (GError) error = NULL;

  if (table == NULL)
    return;

  updates = updates_new (request, table);
  /* if any is malformed, none is looked at */
  if (!choir_http_members_read_body (updates->request, read_update, updates, &updates->is_array,
                                     &error))
    choir_http_request_refuse_error (request, error);
  else if (choir_http_once_begin (request))
    go_on (updates);
}
