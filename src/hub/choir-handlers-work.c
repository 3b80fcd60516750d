/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-handlers-task.h"

#include "choir-error.h"
#include "choir-names.h"
#include "choir-payload.h"
#include "choir-task-private.h"

#include <string.h>

/* What workers say: task.pull, and what becomes of the tasks they were given */

/* Tasks one task.heartbeat may name */
#define HEARTBEAT_MAX 1000

static ChoirTaskTable *
get_table (ChoirSession *session)
{
  return choir_hub_get_tasks (choir_session_get_hub (session));
}

static void
assigned (ChoirTaskWorker *worker, ChoirTask *task, gpointer user_data)
{
  g_autoptr (GString) payload = g_string_sized_new (512);

  choir_task_append_assignment (task, payload);
  choir_session_send (user_data, NULL, "task.assigned", choir_payload_as_slice (payload));
}

static void
withdrawn (ChoirTaskWorker *worker, ChoirTask *task, const char *reason, gpointer user_data)
{
  g_autoptr (GString) payload = g_string_sized_new (128);

  choir_payload_open (payload);
  choir_payload_add_string (payload, "task_id", choir_task_get_id (task));
  choir_payload_add_string (payload, "reason", reason);
  choir_payload_close (payload);
  choir_session_send (user_data, NULL, "task.cancel", choir_payload_as_slice (payload));
}

/* What it is given at once must not be more than may wait for it; one that is being sent away,
 * which its client may not have noticed yet, would never hear of it */
static gboolean
has_room (ChoirTaskWorker *worker, gpointer user_data)
{
  const ChoirOutbox *outbox = choir_session_get_outbox (user_data);

  return outbox != NULL && !(outbox->flags & CHOIR_OUTBOX_CLOSED) &&
         outbox->n_bytes < outbox->limits->max_bytes / 2;
}

static const char *
get_id (gpointer user_data)
{
  return choir_session_get_id (user_data);
}

static const ChoirTaskWorkerFuncs worker_funcs = { assigned, withdrawn, has_room, get_id };

/* (transfer none): the session as a worker */
static ChoirTaskWorker *
ensure_worker (ChoirSession *session)
{
  ChoirTaskTable *table = get_table (session);
  ChoirTaskWorker *worker = g_hash_table_lookup (table->sessions, session);

  if (worker == NULL)
    {
      worker = choir_task_worker_new (table, &worker_funcs, session);
      g_hash_table_insert (table->sessions, session, worker);
    }

  return worker;
}

/**
 * choir_tasks_leave:
 * @hub: a hub
 * @session: one whose connection has ended
 *
 * What it was doing goes to another worker.
 */
void
choir_tasks_leave (ChoirHub *hub, ChoirSession *session)
{
  ChoirTaskTable *table = choir_hub_get_tasks (hub);
  gpointer worker;

  if (g_hash_table_steal_extended (table->sessions, session, NULL, &worker))
    choir_task_worker_free (worker);
}

/* A worker may speak as often as its work needs; others pay for trying */
static gboolean
check_role (ChoirSession *session, const ChoirEnvelope *message)
{
  ChoirClaims *claims = choir_session_get_claims (session);
  gint64 wait_us;

  if (choir_claims_has_role (claims, get_table (session)->worker_role) ||
      choir_handlers_is_back_end (session))
    return TRUE;

  wait_us = choir_session_take_rate (session, CHOIR_RATE_DEFAULT);
  if (wait_us > 0)
    choir_session_refuse_rate (session, message, wait_us);
  else
    choir_session_refuse (session, message, CHOIR_ERROR_PERMISSION_DENIED,
                          "Only workers may say this");

  return FALSE;
}

/* (transfer full) (nullable): the strings of an array; %NULL if it is none */
static char **
read_kinds (ChoirSlice payload)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  ChoirJsonValue array, element;
  gsize cursor = 0;
  guint n = 0;

  if (!choir_json_slice_get (payload, "kinds", &array) || array.kind != CHOIR_JSON_ARRAY)
    return NULL;

  /* one too many is refused later on */
  while (n <= CHOIR_TASK_KINDS_MAX && choir_json_slice_next_element (array.raw, &cursor, &element))
    {
      g_autofree char *kind = element.kind == CHOIR_JSON_STRING
                                ? choir_json_string_dup (element.raw, CHOIR_TASK_KIND_MAX)
                                : NULL;

      g_strv_builder_add (builder, kind != NULL ? kind : "");
      n++;
    }

  return g_strv_builder_end (builder);
}

static void
send_pulling (ChoirSession *session,
              const ChoirEnvelope *message,
              const ChoirTaskWorker *worker,
              guint slots)
{
  const char *const *kinds = choir_task_worker_get_kinds (worker);
  g_autoptr (GString) list = g_string_new ("[");
  g_autoptr (GString) payload = g_string_new (NULL);

  for (; kinds != NULL && *kinds != NULL; kinds++)
    {
      choir_handlers_begin_item (list);
      choir_json_append_string (list, *kinds, -1);
    }
  g_string_append_c (list, ']');

  choir_payload_open (payload);
  choir_payload_add_raw (payload, "kinds", choir_payload_as_slice (list));
  choir_payload_add_int (payload, "slots", slots);
  choir_payload_close (payload);
  choir_session_send (session, message, "task.pulling", choir_payload_as_slice (payload));
}

/* task.pull {kinds, slots?} -> task.pulling {kinds, slots} */
static void
handle_pull (ChoirSession *session, const ChoirEnvelope *message)
{
  g_auto (GStrv) kinds = NULL;
  g_autoptr (GError) error = NULL;
  ChoirTaskWorker *worker;
  ChoirJsonValue value;
  gint64 slots = 1;

  if (!check_role (session, message))
    return;

  kinds = read_kinds (message->payload);
  if (kinds == NULL || (choir_json_slice_get (message->payload, "slots", &value) &&
                        (value.kind != CHOIR_JSON_NUMBER ||
                         !choir_json_number_get_int (value.raw, &slots) || slots < 0)))
    {
      choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                            "\"kinds\" must be a list of names, and \"slots\" a whole number");
      return;
    }

  /* the answer comes first, then the tasks */
  worker = ensure_worker (session);
  slots = MIN (slots, get_table (session)->max_slots);
  if (!choir_task_worker_pull (worker, (const char *const *) kinds, 0, &error))
    {
      choir_session_send_error (session, message, error);
      return;
    }

  send_pulling (session, message, worker, (guint) slots);
  choir_task_worker_pull (worker, (const char *const *) kinds, (guint) slots, NULL);
}

/* FALSE if it does not name a task; the message has been refused then. @id and @lease_id: at least
 * CHOIR_MESSAGE_ID_MAX + 1 bytes */
static gboolean
read_claim (ChoirSlice object, char *id, char *lease_id, ChoirTaskClaim *claim)
{
  ChoirJsonValue value;
  g_autofree char *task = NULL;
  g_autofree char *lease = NULL;

  if (choir_json_slice_get (object, "task_id", &value) && value.kind == CHOIR_JSON_STRING)
    task = choir_json_string_dup (value.raw, CHOIR_MESSAGE_ID_MAX);
  if (task == NULL)
    return FALSE;

  if (choir_json_slice_get (object, "lease_id", &value))
    {
      if (value.kind == CHOIR_JSON_STRING)
        lease = choir_json_string_dup (value.raw, CHOIR_MESSAGE_ID_MAX);
      if (lease == NULL)
        return FALSE;
    }

  g_strlcpy (id, task, CHOIR_MESSAGE_ID_MAX + 1);
  g_strlcpy (lease_id, lease != NULL ? lease : "", CHOIR_MESSAGE_ID_MAX + 1);
  claim->task_id = id;
  claim->lease_id = lease_id;

  return TRUE;
}

/* It is there, whatever became of what it said; an answer may have been the end of it */
static void
hear (ChoirSession *session)
{
  ChoirTaskWorker *worker = g_hash_table_lookup (get_table (session)->sessions, session);

  if (worker != NULL)
    choir_task_worker_heard (worker);
}

static gboolean
check_claim (ChoirSession *session,
             const ChoirEnvelope *message,
             char *id,
             char *lease_id,
             ChoirTaskClaim *claim)
{
  if (!check_role (session, message))
    return FALSE;

  if (!read_claim (message->payload, id, lease_id, claim))
    {
      choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                            "Fields \"task_id\" and \"lease_id\" must be strings of at most %d "
                            "bytes",
                            CHOIR_MESSAGE_ID_MAX);
      hear (session);
      return FALSE;
    }

  claim->worker = ensure_worker (session);

  return TRUE;
}

/* task.started, task.thinking, task.progress, task.tool, task.chunk {task_id, ...}: no answer */
static void
handle_report (ChoirSession *session, const ChoirEnvelope *message)
{
  char id[CHOIR_MESSAGE_ID_MAX + 1], lease_id[CHOIR_MESSAGE_ID_MAX + 1];
  g_autoptr (GError) error = NULL;
  ChoirTaskClaim claim;

  if (!check_claim (session, message, id, lease_id, &claim))
    return;

  if (!choir_task_table_report (get_table (session), &claim, message->type, message->payload,
                                &error))
    choir_session_send_error (session, message, error);
  hear (session);
}

static void
settled (ChoirTask *task, const GError *error, gpointer user_data)
{
  g_autoptr (ChoirLater) later = user_data;
  g_autoptr (GString) payload = g_string_new (NULL);

  if (error != NULL)
    {
      choir_later_fail (later, error);
      return;
    }

  choir_payload_open (payload);
  choir_payload_add_string (payload, "task_id", choir_task_get_id (task));
  choir_payload_add_string (payload, "state",
                            choir_task_state_get_name (choir_task_get_state (task)));
  choir_payload_close (payload);
  choir_later_send (later, "task.settled", payload);
}

/* task.completed, task.failed, task.release {task_id, ...} -> task.settled {task_id, state} */
static void
handle_settle (ChoirSession *session, const ChoirEnvelope *message)
{
  char id[CHOIR_MESSAGE_ID_MAX + 1], lease_id[CHOIR_MESSAGE_ID_MAX + 1];
  ChoirTaskClaim claim;

  if (!check_claim (session, message, id, lease_id, &claim))
    return;

  choir_task_table_settle (get_table (session), &claim, message->type, message->payload, settled,
                           choir_later_new (session, message));
  hear (session);
}

/* What a heartbeat is answered */
typedef struct
{
  ChoirSession *session;
  GString *leased;
  GString *lost;
} Heartbeat;

static void
beat (Heartbeat *self, const ChoirTaskClaim *claim)
{
  GString *list =
    choir_task_table_renew (get_table (self->session), claim, NULL) ? self->leased : self->lost;

  choir_handlers_begin_item (list);
  choir_json_append_string (list, claim->task_id, -1);
}

static void
beat_for_all (Heartbeat *self, ChoirTaskWorker *worker)
{
  for (guint i = 0; i < choir_task_worker_get_n_tasks (worker); i++)
    {
      ChoirTaskClaim claim = {
        .task_id = choir_task_get_id (choir_task_worker_get_task (worker, i)),
        .worker = worker,
      };

      beat (self, &claim);
    }
}

/* Ids, or objects that have the lease as well; FALSE if it is something else */
static gboolean
beat_for (Heartbeat *self, const ChoirJsonValue *array, ChoirTaskWorker *worker)
{
  ChoirJsonValue element;
  gsize cursor = 0;

  for (guint n = 0; choir_json_slice_next_element (array->raw, &cursor, &element); n++)
    {
      char id[CHOIR_MESSAGE_ID_MAX + 1], lease_id[CHOIR_MESSAGE_ID_MAX + 1];
      ChoirTaskClaim claim = { .worker = worker };

      if (n >= HEARTBEAT_MAX)
        return FALSE;

      if (element.kind == CHOIR_JSON_STRING)
        {
          g_autofree char *named = choir_json_string_dup (element.raw, CHOIR_MESSAGE_ID_MAX);

          if (named == NULL)
            return FALSE;
          claim.task_id = named;
          beat (self, &claim);
        }
      else if (element.kind == CHOIR_JSON_OBJECT && read_claim (element.raw, id, lease_id, &claim))
        beat (self, &claim);
      else
        return FALSE;
    }

  return TRUE;
}

/* task.heartbeat {task_ids?} -> task.leased {task_ids, lost} */
static void
handle_heartbeat (ChoirSession *session, const ChoirEnvelope *message)
{
  g_autoptr (GString) leased = g_string_new ("[");
  g_autoptr (GString) lost = g_string_new ("[");
  g_autoptr (GString) payload = g_string_new (NULL);
  Heartbeat heartbeat = { session, leased, lost };
  ChoirTaskWorker *worker;
  ChoirJsonValue array;

  if (!check_role (session, message))
    return;

  worker = ensure_worker (session);
  if (!choir_json_slice_get (message->payload, "task_ids", &array))
    beat_for_all (&heartbeat, worker);
  else if (array.kind != CHOIR_JSON_ARRAY || !beat_for (&heartbeat, &array, worker))
    {
      choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                            "\"task_ids\" must be a list of at most %d ids", HEARTBEAT_MAX);
      hear (session);
      return;
    }

  g_string_append_c (leased, ']');
  g_string_append_c (lost, ']');
  choir_payload_open (payload);
  choir_payload_add_raw (payload, "task_ids", choir_payload_as_slice (leased));
  choir_payload_add_raw (payload, "lost", choir_payload_as_slice (lost));
  choir_payload_close (payload);
  choir_session_send (session, message, "task.leased", choir_payload_as_slice (payload));
  hear (session);
}

static const ChoirRoute routes[] = {
  { "task.pull", handle_pull, CHOIR_RATE_NONE, 0 },
  { "task.started", handle_report, CHOIR_RATE_NONE, 0 },
  { "task.thinking", handle_report, CHOIR_RATE_NONE, 0 },
  { "task.progress", handle_report, CHOIR_RATE_NONE, 0 },
  { "task.tool", handle_report, CHOIR_RATE_NONE, 0 },
  { "task.chunk", handle_report, CHOIR_RATE_NONE, 0 },
  { "task.heartbeat", handle_heartbeat, CHOIR_RATE_NONE, 0 },
  { "task.completed", handle_settle, CHOIR_RATE_NONE, 0 },
  { "task.failed", handle_settle, CHOIR_RATE_NONE, 0 },
  { "task.release", handle_settle, CHOIR_RATE_NONE, 0 },
};

void
choir_handlers_register_work (ChoirRouter *router)
{
  choir_router_add (router, routes, G_N_ELEMENTS (routes));
}
