/* choir-store-request.h: what a store has been asked, on its way to a thread and back
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-store-private.h"

G_BEGIN_DECLS

typedef struct _ChoirStoreRequest ChoirStoreRequest;

/**
 * ChoirStoreWork:
 * @self: what is asked; its answer, or a refusal that concerns it alone, is put into it
 * @worker: whoever does it
 * @error: return location: why the database can't be worked with
 *
 * Returns: %FALSE if everything that was done with it is to be undone
 */
typedef gboolean (*ChoirStoreWork) (ChoirStoreRequest *self, gpointer worker, GError **error);

/* Made and freed in the main context; in between it belongs to whoever has it in a list */
struct _ChoirStoreRequest
{
  ChoirStoreRequest *next;
  GTask *task;         /* (owned) */
  ChoirStoreWork work; /* (nullable): what is done a piece at a time is the writer's affair */
  gsize n_bytes;       /* what it holds, about */
  gboolean is_write;

  /* the question; strings and entries lie in the request's own memory */
  const char *name; /* of a stream or user, a prefix */
  const char *text; /* (nullable): another */
  guint64 number;   /* an offset */
  guint limit;
  gboolean reverse;
  const ChoirStoreEntry *entries;
  guint n_entries;
  ChoirSnapshot *snapshot; /* (owned) (nullable) */
  ChoirStoreUser *user;    /* (owned) (nullable) */
  gint64 stream;           /* of work that goes on after a while: what @name was at the start */

  /* the answer: an error, a pointer, or else TRUE */
  GError *error;          /* (owned) (nullable) */
  gpointer result;        /* (owned) (nullable) */
  GDestroyNotify destroy; /* of @result */
};

ChoirStoreRequest *
choir_store_request_new (GTask *task, ChoirStoreWork work, const char *name, const char *text);
ChoirStoreRequest *choir_store_request_new_append (GTask *task,
                                                   ChoirStoreWork work,
                                                   const char *name,
                                                   const char *epoch,
                                                   const ChoirStoreEntry *entries,
                                                   guint n_entries);
/* Answers the task: may call back, and frees @self */
void choir_store_request_finish (ChoirStoreRequest *self);
void choir_store_request_clear_answer (ChoirStoreRequest *self);
gboolean choir_store_request_is_cancelled (ChoirStoreRequest *self);
void
choir_store_request_set_result (ChoirStoreRequest *self, gpointer result, GDestroyNotify destroy);

/* A list of requests, in order. Empty: all zero */
typedef struct
{
  ChoirStoreRequest *first; /* (owned) */
  ChoirStoreRequest *last;
} ChoirStoreRequests;

void choir_store_requests_add (ChoirStoreRequests *self, ChoirStoreRequest *request);
void choir_store_requests_join (ChoirStoreRequests *self, ChoirStoreRequests *more);
ChoirStoreRequest *choir_store_requests_pop (ChoirStoreRequests *self);

/**
 * ChoirStoreQueue:
 *
 * From the main context to a thread.
 */
typedef struct
{
  GMutex lock;
  GCond changed;
  ChoirStoreRequests waiting;
  gboolean closed;
} ChoirStoreQueue;

void choir_store_queue_init (ChoirStoreQueue *self);
void choir_store_queue_clear (ChoirStoreQueue *self);
void choir_store_queue_push (ChoirStoreQueue *self, ChoirStoreRequests *requests);
void choir_store_queue_close (ChoirStoreQueue *self);

#define CHOIR_STORE_FOREVER G_MAXINT64

/* FALSE: there is nothing, and will never be. Nothing may come until @deadline_us */
gboolean
choir_store_queue_take (ChoirStoreQueue *self, gint64 deadline_us, ChoirStoreRequests *out);

G_END_DECLS
