/* choir-task-worker.h: whoever takes tasks
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-task.h"

G_BEGIN_DECLS

/* Kinds one worker may ask for */
#define CHOIR_TASK_KINDS_MAX 64

/**
 * ChoirTaskWorker:
 *
 * Takes tasks of some kinds, as many at a time as it has slots: a session behind a WebSocket, a
 * request over HTTP that waits for work. Each task comes with a lease, named by an id that only the
 * worker is told. Who knows it may speak for the task from elsewhere too, as long as nobody else
 * has been given the task: over HTTP, or from a new connection.
 */
typedef struct _ChoirTaskTable ChoirTaskTable;
typedef struct _ChoirTaskWorker ChoirTaskWorker;

typedef struct
{
  /* The task is its own from now on. May detach or free the worker, and set its slots */
  void (*assigned) (ChoirTaskWorker *worker, ChoirTask *task, gpointer user_data);
  /* (nullable): it is not its own any longer: cancelled, timed out, or the lease has run out */
  void (*withdrawn) (ChoirTaskWorker *worker,
                     ChoirTask *task,
                     const char *reason,
                     gpointer user_data);
  /* (nullable): whether one more could be given now; asked again when it says something, or has
   * settled a task */
  gboolean (*has_room) (ChoirTaskWorker *worker, gpointer user_data);
  /* (nullable): what it is called where tasks are looked at */
  const char *(*get_id) (gpointer user_data);
} ChoirTaskWorkerFuncs;

ChoirTaskWorker *choir_task_worker_new (ChoirTaskTable *table,
                                        const ChoirTaskWorkerFuncs *funcs,
                                        gpointer user_data);

/* What it takes from now on: 1 to CHOIR_TASK_KINDS_MAX kinds, `*` for any; tasks it may hold at a
 * time, at most `task.max-slots`. Tasks that wait are assigned before this returns */
gboolean choir_task_worker_pull (ChoirTaskWorker *self,
                                 const char *const *kinds,
                                 guint slots,
                                 GError **error);

/* Takes no more; what it has goes back to the queue */
void choir_task_worker_free (ChoirTaskWorker *self);
/* Takes no more; what it has stays leased, to whoever knows the leases' ids */
void choir_task_worker_detach (ChoirTaskWorker *self);

guint choir_task_worker_get_n_tasks (const ChoirTaskWorker *self);
ChoirTask *choir_task_worker_get_task (const ChoirTaskWorker *self, guint i);
const char *const *choir_task_worker_get_kinds (const ChoirTaskWorker *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirTaskWorker, choir_task_worker_free)

G_END_DECLS
