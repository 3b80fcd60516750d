/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-tasks.h"

#include "choir-http-members.h"
#include "choir-http-private.h"
#include "choir-http-wait.h"
#include "choir-payload.h"

#include <string.h>

/*
 * A request that waits for work is a worker of one task for as long as it waits. What it is given
 * belongs at once to whoever knows the lease. Should the answer not get as far as the client, what
 * is in it is given back, or it would wait in vain until the lease has run out.
 */

#define WAIT_MAX_MS 60000
#define WAIT_DEFAULT_MS 30000

/* What an answer gives away */
typedef struct
{
  ChoirTask *task; /* (owned) */
  char lease_id[CHOIR_ID_SIZE];
} Given;

typedef struct
{
  ChoirHttpRequest *request; /* borrowed */
  ChoirTaskTable *table;     /* borrowed: the hub's */
  ChoirTaskWorker *worker;   /* (owned) (nullable): while it wants something */
  GArray *given;             /* (element-type Given) (owned) */
  GString *tasks;            /* (owned): the same as JSON */
  gboolean is_waiting;
} Pull;

static void
given_clear (gpointer data)
{
  Given *self = data;

  g_clear_pointer (&self->task, choir_task_unref);
}

static void
released_cb (ChoirTask *task, const GError *error, gpointer user_data)
{
}

/* Nobody has heard of them; that does not count as an attempt */
static void
give_back (ChoirTaskTable *table, const GArray *given)
{
  /* each goes to the head of the queue */
  for (guint i = given->len; i-- > 0;)
    {
      const Given *item = &g_array_index (given, Given, i);
      ChoirTaskClaim claim = {
        .task_id = choir_task_get_id (item->task),
        .lease_id = item->lease_id,
      };

      choir_task_table_settle (table, &claim, "task.release", CHOIR_SLICE_LITERAL ("{}"),
                               released_cb, NULL);
    }
}

static void
pull_free (gpointer data)
{
  Pull *self = data;

  g_clear_pointer (&self->worker, choir_task_worker_free);
  if (self->given != NULL)
    {
      give_back (self->table, self->given);
      g_array_unref (self->given);
    }
  g_string_free (self->tasks, TRUE);
  g_free (self);
}

/* Until the answer is written; belongs to the message */
typedef struct
{
  ChoirTaskTable *table;
  GArray *given; /* (owned) */
  gboolean is_written;
} Gift;

static void
gift_free (gpointer data)
{
  Gift *self = data;

  if (!self->is_written)
    give_back (self->table, self->given);
  g_array_unref (self->given);
  g_free (self);
}

static void
wrote_body_cb (SoupServerMessage *message, gpointer user_data)
{
  Gift *gift = user_data;

  gift->is_written = TRUE;
}

static void
hand_over (Pull *self, SoupServerMessage *message)
{
  Gift *gift = g_new0 (Gift, 1);

  gift->table = self->table;
  gift->given = g_steal_pointer (&self->given);
  g_object_set_data_full (G_OBJECT (message), "choir-http-gift", gift, gift_free);
  g_signal_connect (message, "wrote-body", G_CALLBACK (wrote_body_cb), gift);
}

/* Frees the pull */
static void
answer (Pull *self)
{
  ChoirHttpRequest *request = self->request;
  GString *body;

  if (choir_http_request_has_hung_up (request))
    {
      choir_http_request_drop (request);
      return;
    }

  /* what it was given goes to somebody else */
  if (!choir_http_request_is_welcome (request))
    return;

  body = g_string_new ("{\"tasks\":[");
  g_string_append_len (body, self->tasks->str, (gssize) self->tasks->len);
  g_string_append (body, "]}");
  if (self->given->len > 0)
    hand_over (self, request->message);
  choir_http_request_answer_json (request, 200, body);
}

static void
assigned_cb (ChoirTaskWorker *worker, ChoirTask *task, gpointer user_data)
{
  Pull *self = user_data;
  Given given = { .task = choir_task_ref (task) };

  g_strlcpy (given.lease_id, choir_task_get_lease_id (task), sizeof given.lease_id);
  g_array_append_val (self->given, given);
  if (self->tasks->len > 0)
    g_string_append_c (self->tasks, ',');
  choir_task_append_assignment (task, self->tasks);

  choir_task_worker_detach (g_steal_pointer (&self->worker));
  if (self->is_waiting)
    answer (self);
}

static const ChoirTaskWorkerFuncs worker_funcs = { assigned_cb, NULL };

static void
over_cb (ChoirHttpRequest *request)
{
  answer (request->data);
}

/* All that waits, up to so many; FALSE if the kinds make no sense */
static gboolean
take (Pull *self, const GPtrArray *kinds, guint slots, GError **error)
{
  do
    {
      self->worker = choir_task_worker_new (self->table, &worker_funcs, self);
      if (!choir_task_worker_pull (self->worker, (const char *const *) kinds->pdata, 1, error))
        return FALSE;
    }
  while (self->worker == NULL && self->given->len < slots);

  return TRUE;
}

static void
begin (Pull *self, const GPtrArray *kinds, guint slots, gint64 wait_ms)
{
  g_autoptr (GError) error = NULL;

  if (!take (self, kinds, slots, &error))
    choir_http_request_refuse_error (self->request, error);
  else if (self->given->len > 0 || wait_ms == 0)
    answer (self);
  else
    {
      self->is_waiting = TRUE;
      choir_http_request_wait (self->request, wait_ms * 1000, over_cb);
    }
}

typedef struct
{
  GPtrArray *kinds; /* (element-type utf8) (owned): with a NULL at the end */
  gint64 slots;
  gint64 wait_ms;
} Wanted;

static gboolean
read_wanted (ChoirHttpRequest *request, Wanted *self)
{
  static const char *const known[] = { "kinds", "slots", "wait_ms", NULL };
  guint max_slots = choir_config_get_uint (request->gateway->config, "task", "max-slots");
  g_autoptr (GError) error = NULL;
  ChoirJsonObject object;

  *self = (Wanted){ NULL, 1, WAIT_DEFAULT_MS };
  if (choir_http_members_scan (request, choir_http_request_get_body (request), known, &object,
                               &error) &&
      choir_http_members_get_int (&object, "slots", 1, max_slots, &self->slots, &error) &&
      choir_http_members_get_int (&object, "wait_ms", 0, WAIT_MAX_MS, &self->wait_ms, &error))
    self->kinds = choir_http_members_get_strings (&object, "kinds", CHOIR_TASK_KINDS_MAX,
                                                  CHOIR_TASK_KIND_MAX, &error);
  if (self->kinds != NULL)
    return TRUE;

  choir_http_request_refuse_error (request, error);

  return FALSE;
}

/**
 * choir_http_pull_tasks:
 * @request: a worker's
 *
 * Gives it tasks as soon as there are some, or none when the time is over.
 */
void
choir_http_pull_tasks (ChoirHttpRequest *request)
{
  ChoirTaskTable *table = choir_http_get_tasks (request);
  g_autoptr (GPtrArray) kinds = NULL;
  Wanted wanted;
  Pull *pull;

  if (table == NULL || !read_wanted (request, &wanted))
    return;

  kinds = wanted.kinds;
  pull = g_new0 (Pull, 1);
  pull->request = request;
  pull->table = table;
  pull->given = g_array_new (FALSE, FALSE, sizeof (Given));
  g_array_set_clear_func (pull->given, given_clear);
  pull->tasks = g_string_new (NULL);
  choir_http_request_set_data (request, pull, pull_free);
  begin (pull, kinds, (guint) wanted.slots, wanted.wait_ms);
}
