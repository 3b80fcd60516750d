/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-store-writer.h"

#include "choir-error.h"
#include "choir-log.h"
#include "choir-names.h"
#include "choir-store-writes.h"

/* One transaction: more would keep the first of it waiting */
#define GROUP_MAX 1000
#define GROUP_BYTES_MAX (16 * 1024 * 1024)

/* How long after a failure to try again */
#define BACKOFF_MIN_US (100 * 1000)
#define BACKOFF_MAX_US (5 * G_USEC_PER_SEC)

/* The log is folded into the database when it has so many pages (of 4 KiB): often enough for it to
 * be written over while it is small, seldom enough for pages that change often to be moved once */
#define CHECKPOINT_PAGES 2000
/* A log of so many pages is worth a line in ours: somebody reads without end */
#define LONG_PAGES (64 * 1024)

struct _ChoirStoreWriter
{
  ChoirStoreWrites *writes; /* (owned) */
  ChoirStoreQueue *queue;
  ChoirStoreDelivery *delivery;
  GThread *thread; /* (owned) */

  ChoirStoreRequests lasting; /* what is done a piece at a time */
  int wal_pages;
  int next_checkpoint; /* pages */
  int next_warning;    /* pages */

  gboolean failed;
  GError *failure;   /* (owned) (nullable): of the last time */
  gint64 probe_us;   /* monotonic: when to try again */
  gint64 backoff_us; /* how long to wait after the next failure */
};

static int
wal_hook (void *user_data, sqlite3 *db, const char *name, int n_pages)
{
  ((ChoirStoreWriter *) user_data)->wal_pages = n_pages;

  return SQLITE_OK;
}

/* Failing and working again */

static void
enter_failure (ChoirStoreWriter *self, GError *error)
{
  choir_store_writes_undo (self->writes);
  g_clear_error (&self->failure);
  self->failure = error;
  self->failed = TRUE;
  self->probe_us = g_get_monotonic_time () + self->backoff_us;
  self->backoff_us = MIN (self->backoff_us * 2, BACKOFF_MAX_US);
  choir_store_delivery_set_writable (self->delivery, FALSE, error->message);
}

static void
probe (ChoirStoreWriter *self)
{
  GError *error = NULL;

  if (!self->failed || g_get_monotonic_time () < self->probe_us)
    return;

  if (!choir_store_writes_probe (self->writes, &error))
    {
      enter_failure (self, error);
      return;
    }

  self->failed = FALSE;
  choir_store_delivery_set_writable (self->delivery, TRUE, NULL);
}

static void
refuse (ChoirStoreWriter *self, ChoirStoreRequest *request)
{
  choir_store_request_clear_answer (request);
  g_set_error (&request->error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE, "Writing failed: %s",
               self->failure->message);
}

/* Groups */

/* Takes from @waiting what shares a transaction */
static ChoirStoreRequests
take_group (ChoirStoreRequests *waiting)
{
  ChoirStoreRequests group = { NULL, NULL };
  gsize n_bytes = 0;

  for (guint n = 0; waiting->first != NULL && n < GROUP_MAX && n_bytes < GROUP_BYTES_MAX; n++)
    {
      n_bytes += waiting->first->n_bytes;
      choir_store_requests_add (&group, choir_store_requests_pop (waiting));
    }

  return group;
}

static gboolean
do_request (ChoirStoreWriter *self, ChoirStoreRequest *request, GError **error)
{
  if (request->work == NULL)
    return TRUE;

  if (choir_store_request_is_cancelled (request))
    {
      g_set_error_literal (&request->error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "Cancelled");
      return TRUE;
    }

  return request->work (request, self->writes, error);
}

static gboolean
do_group (ChoirStoreWriter *self, const ChoirStoreRequests *group, GError **error)
{
  if (!choir_store_writes_begin (self->writes, error))
    return FALSE;

  for (ChoirStoreRequest *request = group->first; request != NULL; request = request->next)
    if (!do_request (self, request, error))
      return FALSE;

  return choir_store_writes_commit (self->writes, error);
}

/* What takes several transactions stays here, the rest is answered */
static void
answer_group (ChoirStoreWriter *self, ChoirStoreRequests *group)
{
  ChoirStoreRequests answered = { NULL, NULL };
  ChoirStoreRequest *request;

  while ((request = choir_store_requests_pop (group)) != NULL)
    choir_store_requests_add (
      request->work == NULL && request->error == NULL ? &self->lasting : &answered, request);

  choir_store_delivery_push (self->delivery, &answered);
}

static void
run_group (ChoirStoreWriter *self, ChoirStoreRequests *group)
{
  GError *error = NULL;

  if (!self->failed && !do_group (self, group, &error))
    enter_failure (self, error);

  if (self->failed)
    for (ChoirStoreRequest *request = group->first; request != NULL; request = request->next)
      refuse (self, request);
  else
    self->backoff_us = BACKOFF_MIN_US;

  answer_group (self, group);
}

/* What is done a piece at a time */

static gboolean
do_piece (ChoirStoreWriter *self, gboolean *done, GError **error)
{
  ChoirStoreRequest *request = self->lasting.first;
  gboolean fine;

  if (!choir_store_writes_begin (self->writes, error))
    return FALSE;

  fine = request != NULL ? choir_store_writes_trim_some (self->writes, request, done, error)
                         : choir_store_writes_bury_some (self->writes, done, error);

  return fine && choir_store_writes_commit (self->writes, error);
}

static void
run_piece (ChoirStoreWriter *self)
{
  ChoirStoreRequests answered = { NULL, NULL };
  GError *error = NULL;
  gboolean done = FALSE;

  if (self->failed || !do_piece (self, &done, &error))
    {
      if (error != NULL)
        enter_failure (self, error);
      while (self->lasting.first != NULL)
        {
          refuse (self, self->lasting.first);
          choir_store_requests_add (&answered, choir_store_requests_pop (&self->lasting));
        }
    }
  else if (done && self->lasting.first != NULL)
    choir_store_requests_add (&answered, choir_store_requests_pop (&self->lasting));
  else if (done)
    self->writes->has_graves = FALSE;

  choir_store_delivery_push (self->delivery, &answered);
}

static gboolean
has_pieces (ChoirStoreWriter *self)
{
  return self->lasting.first != NULL || (self->writes->has_graves && !self->failed);
}

/* The log */

static void
warn_of_length (ChoirStoreWriter *self)
{
  g_autofree char *pages = NULL;

  if (self->wal_pages < self->next_warning)
    return;

  pages = g_strdup_printf ("%d", self->wal_pages);
  choir_log (CHOIR_LOG_LEVEL_WARNING,
             "the database's write-ahead log grows: somebody reads it without end", CHOIR_LOG_COUNT,
             pages, NULL);
  self->next_warning = self->wal_pages * 2;
}

/* After answers have been sent: only those that come now wait for it. That readers hold on to a
 * part of the log is no error; what fails here shows when the log has no room */
static void
checkpoint (ChoirStoreWriter *self)
{
  int n_pages = 0;
  int n_done = 0;

  if (self->failed || self->wal_pages < self->next_checkpoint)
    return;

  if (sqlite3_wal_checkpoint_v2 (self->writes->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &n_pages,
                                 &n_done) == SQLITE_OK &&
      n_done >= n_pages)
    {
      self->next_checkpoint = CHECKPOINT_PAGES;
      self->next_warning = LONG_PAGES;
      self->wal_pages = 0;
    }
  else
    self->next_checkpoint = self->wal_pages + CHECKPOINT_PAGES / 2;

  warn_of_length (self);
}

/* The thread */

static gint64
get_deadline (ChoirStoreWriter *self)
{
  if (has_pieces (self))
    return 0;

  return self->failed ? self->probe_us : CHOIR_STORE_FOREVER;
}

static gpointer
writer_thread (gpointer data)
{
  ChoirStoreWriter *self = data;
  ChoirStoreRequests waiting;

  while (choir_store_queue_take (self->queue, get_deadline (self), &waiting) ||
         self->lasting.first != NULL)
    {
      while (waiting.first != NULL)
        {
          ChoirStoreRequests group = take_group (&waiting);

          run_group (self, &group);
          checkpoint (self);
        }

      if (has_pieces (self))
        run_piece (self);
      checkpoint (self);
      probe (self);
    }

  g_clear_pointer (&self->writes, choir_store_writes_free);
  choir_store_delivery_end (self->delivery);

  return NULL;
}

/**
 * choir_store_writer_start:
 * @db: (transfer full): a connection
 * @queue: where requests come from
 * @delivery: where answers go
 * @error: return location: %CHOIR_ERROR_UNAVAILABLE
 *
 * Returns: (transfer full): a thread at work
 */
ChoirStoreWriter *
choir_store_writer_start (sqlite3 *db,
                          ChoirStoreQueue *queue,
                          ChoirStoreDelivery *delivery,
                          GError **error)
{
  ChoirStoreWrites *writes = choir_store_writes_new (db, error);
  ChoirStoreWriter *self;

  if (writes == NULL)
    return NULL;

  self = g_new0 (ChoirStoreWriter, 1);
  self->writes = writes;
  self->queue = queue;
  self->delivery = delivery;
  self->backoff_us = BACKOFF_MIN_US;
  self->next_checkpoint = CHECKPOINT_PAGES;
  self->next_warning = LONG_PAGES;
  sqlite3_wal_hook (db, wal_hook, self);
  self->thread = g_thread_new ("store-writer", writer_thread, self);

  return self;
}

/**
 * choir_store_writer_join:
 * @self: (transfer full): a writer whose queue is closed
 */
void
choir_store_writer_join (ChoirStoreWriter *self)
{
  g_thread_join (self->thread);
  g_clear_error (&self->failure);
  g_free (self);
}
