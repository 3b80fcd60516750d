/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-task-private.h"

#include "choir-clock.h"
#include "choir-names.h"
#include "choir-payload.h"

#include <string.h>

static const char *const state_names[CHOIR_N_TASK_STATES] = {
  "queued", "running", "completed", "failed", "cancelled",
};

/**
 * choir_task_new:
 * @request: what is wanted; checked
 *
 * Returns: (transfer full): a task that no table knows
 */
ChoirTask *
choir_task_new (const ChoirTaskRequest *request)
{
  ChoirTask *self = g_new0 (ChoirTask, 1);

  self->ref_count = 1;
  choir_id_generate (self->id);
  self->kind = g_strdup (request->kind);
  self->user_id = g_strdup (request->user_id);
  self->channel = g_strdup (request->channel);
  self->status_id = g_strdup (request->status_id);
  self->key = g_strdup (request->key);
  self->correlation_id = choir_slice_dup (request->correlation_id);
  self->payload = choir_slice_dup (request->payload);
  self->payload_len = request->payload.len;
  self->line_link.data = self;
  self->heard_link.data = self;
  self->ended_link.data = self;
  self->place_links[0].data = self;
  self->place_links[1].data = self;

  return self;
}

ChoirTask *
choir_task_ref (ChoirTask *self)
{
  self->ref_count++;

  return self;
}

void
choir_task_unref (ChoirTask *self)
{
  if (--self->ref_count > 0)
    return;

  choir_timer_disarm (&self->timer);
  g_clear_pointer (&self->ending, choir_task_ending_free);
  choir_task_give_up (self);
  g_free (self->kind);
  g_free (self->user_id);
  g_free (self->channel);
  g_free (self->status_id);
  g_free (self->key);
  g_free (self->correlation_id);
  g_free (self->payload);
  g_free (self);
}

/* What was said while it ran is of no use any more */
void
choir_task_give_up (ChoirTask *self)
{
  self->event_type = NULL;
  self->flags &= ~CHOIR_TASK_CUT;
  if (self->event != NULL)
    g_string_free (g_steal_pointer (&self->event), TRUE);
  if (self->text != NULL)
    g_string_free (g_steal_pointer (&self->text), TRUE);
}

/**
 * choir_task_ending_new:
 * @state: completed, failed or cancelled
 * @payload: (transfer full): of the message that says so
 *
 * Returns: (transfer full): how a task is to end
 */
ChoirTaskEnding *
choir_task_ending_new (ChoirTaskState state, GString *payload)
{
  ChoirTaskEnding *self = g_new0 (ChoirTaskEnding, 1);

  self->state = state;
  self->payload = payload;

  return self;
}

void
choir_task_ending_free (ChoirTaskEnding *self)
{
  g_string_free (self->payload, TRUE);
  g_free (self->own_reason);
  g_free (self);
}

const char *
choir_task_get_id (const ChoirTask *self)
{
  return self->id;
}

const char *
choir_task_get_kind (const ChoirTask *self)
{
  return self->kind;
}

const char *
choir_task_get_user_id (const ChoirTask *self)
{
  return self->user_id;
}

const char *
choir_task_get_lease_id (const ChoirTask *self)
{
  return self->lease_id;
}

ChoirTaskState
choir_task_get_state (const ChoirTask *self)
{
  return self->state;
}

ChoirSlice
choir_task_get_payload (const ChoirTask *self)
{
  return (ChoirSlice){ self->payload, self->payload_len };
}

const char *
choir_task_get_channel (const ChoirTask *self)
{
  return self->channel;
}

guint
choir_task_get_attempt (const ChoirTask *self)
{
  return self->attempt;
}

gint64
choir_task_get_created_us (const ChoirTask *self)
{
  return self->created_us;
}

gint64
choir_task_get_timeout_us (const ChoirTask *self)
{
  return self->created_us + self->timeout_us;
}

/**
 * choir_task_get_worker_id:
 * @self: a task
 *
 * Returns: (transfer none): the id of the session that works on it; "" if nobody does, or one who
 * has no session: only the lease tells who that is
 */
const char *
choir_task_get_worker_id (const ChoirTask *self)
{
  const ChoirTaskWorker *worker = self->worker;

  if (worker == NULL || worker->funcs->get_id == NULL)
    return "";

  return worker->funcs->get_id (worker->user_data);
}

gboolean
choir_task_has_ended (const ChoirTask *self)
{
  return self->state != CHOIR_TASK_QUEUED && self->state != CHOIR_TASK_RUNNING;
}

const char *
choir_task_state_get_name (ChoirTaskState state)
{
  return state_names[state];
}

/**
 * choir_task_state_parse:
 * @name: as choir_task_state_get_name() has it
 * @out: filled with the state
 *
 * Returns: %FALSE if there is no state of that name
 */
gboolean
choir_task_state_parse (const char *name, ChoirTaskState *out)
{
  for (guint i = 0; i < CHOIR_N_TASK_STATES; i++)
    if (g_str_equal (state_names[i], name))
      {
        *out = i;
        return TRUE;
      }

  return FALSE;
}

/**
 * choir_task_is_kind:
 * @kind: (array length=len): what somebody calls a kind of task
 * @len: its bytes
 *
 * Returns: whether it may be called so; `*` may not
 */
gboolean
choir_task_is_kind (const char *kind, gsize len)
{
  return len > 0 && len <= CHOIR_TASK_KIND_MAX && choir_name_is_channel (kind, len) &&
         !(len == 1 && *kind == '*');
}

/* The type of the message that told its end */
const char *
choir_task_get_end_type (const ChoirTask *self)
{
  switch (self->ending != NULL ? self->ending->state : self->state)
    {
    case CHOIR_TASK_COMPLETED:
      return "task.completed";

    case CHOIR_TASK_CANCELLED:
      return "task.cancelled";

    case CHOIR_TASK_FAILED:
    case CHOIR_TASK_QUEUED:
    case CHOIR_TASK_RUNNING:
    case CHOIR_N_TASK_STATES:
    default:
      return "task.failed";
    }
}

/* Bytes it takes in memory, about */
gsize
choir_task_get_size (const ChoirTask *self)
{
  return sizeof *self + 256 + self->payload_len + (self->text != NULL ? self->text->len : 0) +
         (self->ending != NULL ? self->ending->payload->len : 0);
}

/* What is ours to say, and what only the service and the worker need to know */
static gboolean
is_own_member (ChoirSlice key)
{
  static const char *const own[] = {
    "task_id", "kind", "attempt", "lease_id", "replayed", "retry",
  };

  for (guint i = 0; i < G_N_ELEMENTS (own); i++)
    if (choir_slice_equals (key, own[i]))
      return TRUE;

  return FALSE;
}

/**
 * choir_task_make_event:
 * @self: a task
 * @said: raw JSON object: what a worker said of it
 *
 * Returns: (transfer full): the payload for whoever asked
 */
GString *
choir_task_make_event (const ChoirTask *self, ChoirSlice said)
{
  GString *out = g_string_sized_new (said.len + 128);
  ChoirJsonMember member;
  gsize cursor = 0;

  choir_payload_open (out);
  choir_payload_add_string (out, "task_id", self->id);
  choir_payload_add_string (out, "kind", self->kind);
  if (self->attempt > 0)
    choir_payload_add_int (out, "attempt", self->attempt);

  while (said.len > 0 && choir_json_slice_next_member (said, &cursor, &member))
    {
      if (is_own_member (member.key))
        continue;

      g_string_append (out, ",\"");
      g_string_append_len (out, member.key.data, member.key.len);
      g_string_append (out, "\":");
      g_string_append_len (out, member.value.raw.data, member.value.raw.len);
    }

  choir_payload_close (out);

  return out;
}

static void
append_newest (const ChoirTask *self, GString *out)
{
  const GString *payload = self->event;
  const char *type = self->event_type;

  if (self->ending != NULL && choir_task_has_ended (self))
    {
      payload = self->ending->payload;
      type = choir_task_get_end_type (self);
    }

  if (payload == NULL)
    return;

  choir_payload_add_key (out, "event");
  choir_payload_open (out);
  choir_payload_add_string (out, "type", type);
  choir_payload_add_raw (out, "payload", choir_payload_as_slice (payload));
  choir_payload_close (out);
}

/**
 * choir_task_append_state:
 * @self: a task
 * @out: where to
 *
 * Appends an object with all that its requester may know (`task.state`): in `event` the newest that
 * was said of it, which of one that has ended is how; in `text` what came of its text so far.
 */
void
choir_task_append_state (const ChoirTask *self, GString *out)
{
  choir_payload_open (out);
  choir_payload_add_string (out, "task_id", self->id);
  choir_payload_add_string (out, "kind", self->kind);
  choir_payload_add_string (out, "state", state_names[self->state]);
  choir_payload_add_string (out, "user_id", self->user_id);
  choir_payload_add_string (out, "channel", self->channel);
  choir_payload_add_string (out, "session", self->status_id);
  choir_payload_add_int (out, "attempt", self->attempt);
  choir_payload_add_time (out, "created_at", self->created_us);
  if (self->ended_us != 0)
    choir_payload_add_time (out, "ended_at", self->ended_us);
  append_newest (self, out);
  if (self->text != NULL)
    choir_payload_add_string (out, "text", self->text->str);
  choir_payload_close (out);
}

/**
 * choir_task_append_assignment:
 * @self: a running task
 * @out: where to
 *
 * Appends an object with all that its worker needs (`task.assigned`).
 */
void
choir_task_append_assignment (const ChoirTask *self, GString *out)
{
  gint64 left_us = self->created_us + self->timeout_us - choir_clock_wall_us ();

  choir_payload_open (out);
  choir_payload_add_string (out, "task_id", self->id);
  choir_payload_add_string (out, "lease_id", self->lease_id);
  choir_payload_add_string (out, "kind", self->kind);
  choir_payload_add_string (out, "user_id", self->user_id);
  choir_payload_add_raw (out, "payload", choir_task_get_payload (self));
  choir_payload_add_int (out, "attempt", self->attempt);
  if (self->table != NULL)
    choir_payload_add_int (out, "lease_ms", self->table->lease_us / 1000);
  choir_payload_add_int (out, "timeout_ms", MAX (left_us, 0) / 1000);
  choir_payload_add_string (out, "channel", self->channel);
  choir_payload_add_string (out, "session", self->status_id);
  choir_payload_close (out);
}
