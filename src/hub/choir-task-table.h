/* choir-task-table.h: all tasks: wanted, under way, and what became of them
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

#include "choir-config.h"
#include "choir-store.h"
#include "choir-task-worker.h"
#include "choir-task.h"

G_BEGIN_DECLS

typedef struct _ChoirHub ChoirHub;
typedef struct _ChoirSession ChoirSession;

/**
 * ChoirTaskTable:
 *
 * Takes requests, keeps them in the store, gives them to workers, and tells the requester what they
 * say (protocol.md, "Tasks"). A task is accepted, and its end told, only when the store has it, so
 * that it ends exactly once however the service, its worker or its requester fare.
 */
ChoirTaskTable *choir_task_table_new (ChoirHub *hub);
void choir_task_table_free (ChoirTaskTable *self);
void choir_task_table_configure (ChoirTaskTable *self, ChoirConfig *config);
void choir_task_table_set_store (ChoirTaskTable *self, ChoirStore *store);

/* Reads what a life before this one has left. Until it has ended requests are refused with
 * CHOIR_ERROR_UNAVAILABLE, and nobody is given anything */
void choir_task_table_load_async (ChoirTaskTable *self,
                                  GCancellable *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer user_data);
gboolean choir_task_table_load_finish (ChoirTaskTable *self, GAsyncResult *result, GError **error);

/* What is asked for. Permission for @channel and @status_id is the caller's to check */
typedef struct
{
  const char *kind;
  const char *user_id;
  const char *channel;   /* (nullable): whose subscribers hear of it; NULL: the user's sessions */
  const char *status_id; /* (nullable): agent-status:ID hears of it as well */
  const char *key;       /* (nullable): idempotency key, the user's own */
  ChoirSlice correlation_id; /* raw string contents; empty for none */
  ChoirSlice payload;        /* raw JSON object for the worker */
  gint64 timeout_us;         /* 0, or more than `task.timeout`: that */
  gboolean needs_worker;     /* refused unless somebody takes this kind at present */
} ChoirTaskRequest;

/* @task: (nullable): %NULL if it was refused; @duplicate: one with the same key was there already
 */
typedef void (*ChoirTaskRequestedFunc) (ChoirTask *task,
                                        gboolean duplicate,
                                        const GError *error,
                                        gpointer user_data);
/* CHOIR_ERROR_VALIDATION, CHOIR_ERROR_RATE_LIMITED (`task.max-per-user`), CHOIR_ERROR_UNAVAILABLE.
 * @done is called once, before this returns or later */
void choir_task_table_request (ChoirTaskTable *self,
                               const ChoirTaskRequest *request,
                               ChoirTaskRequestedFunc done,
                               gpointer user_data);

/* Looking */
guint choir_task_table_get_n_tasks (const ChoirTaskTable *self);
ChoirTask *choir_task_table_find (ChoirTaskTable *self, const char *id); /* (nullable) */
typedef struct
{
  const char *user_id;         /* (nullable): anybody's */
  const char *kind;            /* (nullable): any */
  const ChoirTaskState *state; /* (nullable): any */
  gboolean pending;            /* also those that are not accepted yet: they are being stored */
  gboolean unfinished;         /* only those that have not ended */
  const char *before;          /* (nullable): id of the last one of the page before */
  guint skip;                  /* so many are passed over */
  guint limit;
} ChoirTaskQuery;
/* (element-type ChoirTask) (transfer full): newest first. @complete: nothing lies beyond.
 * CHOIR_ERROR_NOT_FOUND if @before is not known any longer */
GPtrArray *choir_task_table_list (ChoirTaskTable *self,
                                  const ChoirTaskQuery *query,
                                  gboolean *complete,
                                  GError **error);
gboolean choir_task_table_has_worker (const ChoirTaskTable *self, const char *kind);

/* @task: as it is now; @error: CHOIR_ERROR_CONFLICT if it has ended, or belongs to another worker
 * by now; CHOIR_ERROR_UNAVAILABLE if it could not be stored: nothing has changed then */
typedef void (*ChoirTaskSettledFunc) (ChoirTask *task, const GError *error, gpointer user_data);
/* @reason: (nullable): told to the worker and the requester. Whether the caller may is its to check
 */
void choir_task_table_cancel (ChoirTaskTable *self,
                              ChoirTask *task,
                              const char *reason,
                              ChoirTaskSettledFunc done, /* (nullable) */
                              gpointer user_data);

/* Who speaks for a task: the worker that holds it, or one who knows its lease. Both may be given */
typedef struct
{
  const char *task_id;
  const char *lease_id;    /* (nullable) */
  ChoirTaskWorker *worker; /* (nullable) */
} ChoirTaskClaim;

/* @type: task.started, task.thinking, task.progress, task.tool or task.chunk; @payload: raw JSON
 * object as the worker said it. Renews the lease. CHOIR_ERROR_NOT_FOUND, CHOIR_ERROR_CONFLICT,
 * CHOIR_ERROR_VALIDATION, CHOIR_ERROR_TOO_LARGE */
gboolean choir_task_table_report (ChoirTaskTable *self,
                                  const ChoirTaskClaim *claim,
                                  const char *type,
                                  ChoirSlice payload,
                                  GError **error);
/* Only renews the lease */
gboolean choir_task_table_renew (ChoirTaskTable *self, const ChoirTaskClaim *claim, GError **error);

/* @type: task.completed, task.failed or task.release; @payload as above, `retry` in it gives a
 * failed one back while attempts are left. Errors as for choir_task_table_report(), and
 * CHOIR_ERROR_UNAVAILABLE; @task is then %NULL if it is not known */
void choir_task_table_settle (ChoirTaskTable *self,
                              const ChoirTaskClaim *claim,
                              const char *type,
                              ChoirSlice payload,
                              ChoirTaskSettledFunc done,
                              gpointer user_data);

/* What a session has to do with tasks */
void choir_tasks_greet (ChoirHub *hub, ChoirSession *session, const char *channel);
void choir_tasks_leave (ChoirHub *hub, ChoirSession *session);
void choir_tasks_catch_up (ChoirHub *hub, ChoirSession *session);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirTaskTable, choir_task_table_free)

G_END_DECLS
