/* choir-task.h: something a client wants done and a worker does
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

#include "choir-id.h"
#include "choir-json-gate.h"

G_BEGIN_DECLS

/* protocol.md, "Tasks": printable ASCII without spaces, and not `*`, which means any kind */
#define CHOIR_TASK_KIND_MAX 64

typedef enum
{
  CHOIR_TASK_QUEUED,
  CHOIR_TASK_RUNNING,
  CHOIR_TASK_COMPLETED,
  CHOIR_TASK_FAILED,
  CHOIR_TASK_CANCELLED,
  CHOIR_N_TASK_STATES
} ChoirTaskState;

/**
 * ChoirTask:
 *
 * One task, counted. The table owns it until some time after its end; whoever keeps it longer takes
 * a reference. Everything about it changes through the table only (choir-task-table.h).
 */
typedef struct _ChoirTask ChoirTask;

ChoirTask *choir_task_ref (ChoirTask *self);
void choir_task_unref (ChoirTask *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirTask, choir_task_unref)

const char *choir_task_get_id (const ChoirTask *self);
const char *choir_task_get_kind (const ChoirTask *self);
const char *choir_task_get_user_id (const ChoirTask *self);
const char *choir_task_get_lease_id (const ChoirTask *self); /* "" if nobody ever had it */
ChoirTaskState choir_task_get_state (const ChoirTask *self);
ChoirSlice choir_task_get_payload (const ChoirTask *self);
const char *choir_task_get_channel (const ChoirTask *self); /* (nullable) */
guint choir_task_get_attempt (const ChoirTask *self);
gint64 choir_task_get_created_us (const ChoirTask *self); /* wall */
gint64 choir_task_get_timeout_us (const ChoirTask *self); /* wall: when its time is over */
const char *choir_task_get_worker_id (const ChoirTask *self);
gboolean choir_task_has_ended (const ChoirTask *self);

const char *choir_task_state_get_name (ChoirTaskState state);
gboolean choir_task_state_parse (const char *name, ChoirTaskState *out);
gboolean choir_task_is_kind (const char *kind, gsize len);

/* Appends JSON objects: what the requester may know of it (`task.state`), and what its worker is
 * given (`task.assigned`, with the lease) */
void choir_task_append_state (const ChoirTask *self, GString *out);
void choir_task_append_assignment (const ChoirTask *self, GString *out);

G_END_DECLS
