/* choir-task-private.h: the insides of tasks, for the files that make them up
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-hub.h"
#include "choir-task-table.h"

G_BEGIN_DECLS

typedef struct _ChoirTaskQueue ChoirTaskQueue;

/* Of the names of tasks' streams in the store; a channel's name holds no blank */
#define CHOIR_TASK_STREAM_PREFIX "task "
/* Of the channels that hear of what agents do for a conversation */
#define CHOIR_TASK_STATUS_PREFIX "agent-status:"

typedef enum
{
  CHOIR_TASK_STORING = 1 << 0, /* the request is with the store */
  CHOIR_TASK_ENDING = 1 << 1, /* its end is with the store, or waits for the request to be stored */
  CHOIR_TASK_UNHEARD = 1 << 2,  /* it has ended, and nobody was there to be told */
  CHOIR_TASK_CUT = 1 << 3,      /* more text came than is kept */
  CHOIR_TASK_DETACHED = 1 << 4, /* running for whoever knows its lease */
} ChoirTaskFlags;

/* Who asked: exists while the table knows a task of that user */
typedef struct
{
  char *id;       /* (owned) */
  GTree *tasks;   /* (element-type gint64 ChoirTask) by creation */
  GQueue unheard; /* (element-type ChoirTask): by their `heard_link` */
  guint n_unfinished;
} ChoirTaskUser;

/* A channel that hears of unfinished tasks */
typedef struct
{
  char *name;   /* (owned) */
  GQueue tasks; /* (element-type ChoirTask) */
} ChoirTaskPlace;

/* What waits of one user in one queue */
typedef struct
{
  ChoirTaskUser *user; /* borrowed */
  GQueue tasks;        /* (element-type ChoirTask): by their `line_link` */
  GList link;          /* in the queue's ring */
} ChoirTaskLine;

/* Everything of one kind that waits, and who takes it. Users take turns; what one user wants goes
 * in the order it was asked for */
struct _ChoirTaskQueue
{
  char *kind;        /* (owned) */
  GQueue lines;      /* (element-type ChoirTaskLine) (owned): whose turn it is first */
  GHashTable *users; /* (element-type utf8 ChoirTaskLine): the same by user */
  GQueue offers;     /* (element-type ChoirTaskOffer): of workers with a free slot */
  GList link;        /* in the table's `ring`, while something waits */
  guint n_workers;   /* that take this kind, busy or not */
};

/* A worker that takes one kind */
typedef struct
{
  ChoirTaskWorker *worker;
  ChoirTaskQueue *queue; /* (nullable): any kind */
  GList link;
} ChoirTaskOffer;

struct _ChoirTaskWorker
{
  guint ref_count;
  ChoirTaskTable *table; /* (nullable): until that goes */
  const ChoirTaskWorkerFuncs *funcs;
  gpointer user_data;
  char **kinds;           /* (owned) (nullable) */
  ChoirTaskOffer *offers; /* (owned array): one each kind */
  GPtrArray *tasks;       /* (element-type ChoirTask): held, in the order they were given out */
  GList link;             /* in the table's `workers` */
  guint n_offers;
  guint next_offer; /* kinds take turns as well */
  guint slots;
  gboolean offering; /* its offers are in their queues */
  gboolean silent;   /* let a lease run out: gets no more until it says something */
};

/* How a task is to end, or has ended */
typedef struct
{
  ChoirTaskState state;
  GString *payload;   /* (owned): of the message that says so */
  const char *reason; /* (nullable) static: for the worker, if it was not the worker's decision */
  char *own_reason;   /* (owned) (nullable): the same, in somebody's words */
  ChoirTaskSettledFunc done; /* (nullable) */
  gpointer user_data;
} ChoirTaskEnding;

/* One who waits until the request is stored */
typedef struct
{
  ChoirTaskRequestedFunc done;
  gpointer user_data;
  gboolean duplicate;
} ChoirTaskAsker;

struct _ChoirTask
{
  guint ref_count;
  ChoirTaskFlags flags;
  ChoirTaskTable *table; /* (nullable): until it forgets the task */
  ChoirTaskState state;
  guint attempt;

  char *kind;
  char *channel;        /* (owned) (nullable) */
  char *status_id;      /* (owned) (nullable) */
  char *key;            /* (owned) (nullable) */
  char *correlation_id; /* (owned): raw contents */
  char *payload;        /* (owned) */
  gsize payload_len;

  gint64 created_us; /* wall, and so all but lease_due_us */
  gint64 ended_us;
  gint64 timeout_us;   /* a span */
  gint64 lease_due_us; /* monotonic; while it runs */
  ChoirTimer timer;

  const char *event_type;  /* (nullable) static: the newest, chunks aside */
  GString *event;          /* (owned) (nullable) */
  GString *text;           /* (owned) (nullable): of its chunks */
  ChoirTaskEnding *ending; /* (owned) (nullable) */
  GSList *askers;          /* (element-type ChoirTaskAsker) (owned) */

  char *user_id;
  ChoirTaskUser *user;       /* (nullable) borrowed: while the table knows it */
  ChoirTaskWorker *worker;   /* (nullable) borrowed */
  ChoirTaskQueue *queue;     /* (nullable) borrowed: while it waits */
  ChoirTaskPlace *places[2]; /* (nullable) borrowed: channel and status, until it has ended */
  GList place_links[2];
  GList line_link;
  GList heard_link;
  GList ended_link;
  char id[CHOIR_ID_SIZE];
  char lease_id[CHOIR_ID_SIZE];
};

struct _ChoirTaskTable
{
  ChoirTaskTable **self; /* (owned): for what may outlive the table; NULL in it then */
  ChoirHub *hub;         /* borrowed */
  ChoirStore *store;     /* (owned) (nullable) */
  char *worker_role;     /* (owned) */
  gint64 lease_us;
  gint64 timeout_us;
  gint64 keep_us;
  guint max_per_user;
  guint max_queued;
  guint max_attempts;
  guint max_slots;
  gsize max_text;

  GHashTable *by_id;    /* (element-type utf8 ChoirTask) (owned) */
  GHashTable *by_key;   /* (element-type utf8 ChoirTask), keys owned */
  GTree *by_time;       /* (element-type gint64 ChoirTask) by creation */
  GHashTable *users;    /* (element-type utf8 ChoirTaskUser) (owned) */
  GHashTable *places;   /* (element-type utf8 ChoirTaskPlace) (owned) */
  GHashTable *queues;   /* (element-type utf8 ChoirTaskQueue) (owned) */
  GQueue ring;          /* (element-type ChoirTaskQueue): those where something waits */
  GQueue offers;        /* (element-type ChoirTaskOffer): of any kind, with a free slot */
  GQueue workers;       /* (element-type ChoirTaskWorker) */
  GHashTable *sessions; /* (element-type ChoirSession ChoirTaskWorker) */
  GQueue ended;         /* (element-type ChoirTask): oldest end first */
  GQueue doomed;        /* (element-type utf8) (owned): streams to be deleted */
  ChoirTimer ended_timer;
  gsize ended_bytes;
  gsize n_bytes; /* that unfinished ones hold */
  guint n_any;   /* workers that take any kind */
  guint n_queued;
  guint n_running;
  guint n_storing;
  guint n_deleting;
  gint64 newest_us; /* creation of the newest task */
  gboolean loading;
};

/* choir-task.c */
ChoirTask *choir_task_new (const ChoirTaskRequest *request);
ChoirTaskEnding *choir_task_ending_new (ChoirTaskState state, GString *payload);
void choir_task_ending_free (ChoirTaskEnding *self);
GString *choir_task_make_event (const ChoirTask *self, ChoirSlice said);
const char *choir_task_get_end_type (const ChoirTask *self);
gsize choir_task_get_size (const ChoirTask *self);
void choir_task_give_up (ChoirTask *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirTaskEnding, choir_task_ending_free)

/* choir-task-table.c */
void choir_task_table_add (ChoirTaskTable *self, ChoirTask *task);
void choir_task_table_forget (ChoirTaskTable *self, ChoirTask *task);
void choir_task_table_take_places (ChoirTaskTable *self, ChoirTask *task);
void choir_task_table_leave_places (ChoirTaskTable *self, ChoirTask *task);

/* choir-task-request.c */
void choir_task_stored (ChoirTask *task, const GError *error);

/* choir-task-queue.c */
void choir_task_queue_free (ChoirTaskQueue *self);
ChoirTaskQueue *choir_task_queue_ensure (ChoirTaskTable *table, const char *kind);
void choir_task_queue_release (ChoirTaskTable *table, ChoirTaskQueue *self);
void choir_task_queue_add (ChoirTask *task, gboolean at_head);
void choir_task_queue_remove (ChoirTask *task);
ChoirTask *choir_task_queue_peek (ChoirTaskQueue *self);
gboolean choir_task_table_gives (ChoirTaskTable *self);
void choir_task_queue_match (ChoirTaskTable *table, ChoirTaskQueue *self);
void choir_task_table_match_all (ChoirTaskTable *self);

/* choir-task-worker.c */
ChoirTaskWorker *choir_task_worker_ref (ChoirTaskWorker *self);
void choir_task_worker_unref (ChoirTaskWorker *self);
void choir_task_worker_leave (ChoirTaskWorker *self);
void choir_task_worker_offer (ChoirTaskWorker *self);
void choir_task_worker_fill (ChoirTaskWorker *self);
void choir_task_worker_assign (ChoirTaskWorker *self, ChoirTask *task);
void choir_task_worker_drop (ChoirTaskWorker *self, ChoirTask *task);
void choir_task_worker_heard (ChoirTaskWorker *self);

/* choir-task-lease.c */
void choir_task_arm (ChoirTask *task, gint64 at_least_us);
void choir_task_renew_lease (ChoirTask *task);
void choir_task_lose_worker (ChoirTask *task);
ChoirTask *
choir_task_table_claim (ChoirTaskTable *self, const ChoirTaskClaim *claim, GError **error);

/* choir-task-end.c */
void choir_task_end (ChoirTask *task, ChoirTaskEnding *ending);
void choir_task_fail (ChoirTask *task, ChoirError code, const char *message, const char *reason);
void choir_task_end_now (ChoirTask *task);
void choir_task_ended (ChoirTask *task, const GError *error);
void choir_task_table_keep (ChoirTaskTable *self, ChoirTask *task);

/* choir-task-store.c: each calls back into the above, at once if there is no store */
void choir_task_store_request (ChoirTask *task);
void choir_task_store_ending (ChoirTask *task);
void choir_task_store_assigned (ChoirTask *task);
void choir_task_store_released (ChoirTask *task);
void choir_task_store_heard (ChoirTask *task);
void choir_task_store_delete (ChoirTaskTable *table, const char *id);

/* choir-task-news.c */
guint choir_task_announce (ChoirTask *task, const char *type, ChoirSlice payload);
void choir_task_announce_end (ChoirTask *task);

G_END_DECLS
