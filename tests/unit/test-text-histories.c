/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Three clients write into one text at once, over a server that puts their changes into one order.
 * Each seed is a history of its own: who writes what, and which message arrives when.
 */

#include "config.h"

#include "text-model.h"

#include <string.h>

#define N_CASES 200000
#define N_PER_TEST 50000
#define N_CLIENTS 3
#define TEXT_MAX_CHARS 10
#define EDITS_MAX 3
#define MAX_STEPS 4

/* What the server committed, in order */
typedef struct
{
  GPtrArray *log;   /* (element-type ChoirTextOperation) (owned) */
  GByteArray *from; /* (owned): the client each is from */
  ChoirRope *text;  /* (owned) */
} Server;

/* A client sends one change at a time; what it writes meanwhile waits */
typedef struct
{
  guint8 number;
  guint n_edits; /* still to make */
  gboolean composes;
  guint version; /* how much of the log it has seen */
  GArray *text;  /* (owned) */
  gsize cursor;
  GPtrArray *pending; /* (element-type ChoirTextOperation) (owned): the first one is sent */
  ChoirTextOperation *on_the_way; /* (owned) (nullable): as it was sent */
  guint base;                     /* the version that was meant for */
} Client;

typedef struct
{
  guint32 seed;
  GRand *rand;
  GArray *text; /* (owned): at the beginning */
  Server server;
  Client clients[N_CLIENTS];
} History;

static GPtrArray *
operations_new (void)
{
  return g_ptr_array_new_with_free_func ((GDestroyNotify) choir_text_operation_free);
}

static History *
history_new (GRand *rand, guint32 seed)
{
  History *self = g_new0 (History, 1);

  g_rand_set_seed (rand, seed);
  self->seed = seed;
  self->rand = rand;
  self->text = model_text_random (rand, TEXT_MAX_CHARS);
  self->server.log = operations_new ();
  self->server.from = g_byte_array_new ();
  self->server.text = model_text_to_rope (self->text);

  for (guint8 i = 0; i < N_CLIENTS; i++)
    {
      Client *client = &self->clients[i];

      client->number = i;
      client->n_edits = (guint) g_rand_int_range (rand, 1, EDITS_MAX + 1);
      client->composes = g_rand_boolean (rand);
      client->text = g_array_copy (self->text);
      client->cursor = (gsize) g_rand_int_range (rand, 0, (gint32) self->text->len + 1);
      client->pending = operations_new ();
    }

  return self;
}

static void
history_free (History *self)
{
  for (guint i = 0; i < N_CLIENTS; i++)
    {
      g_array_unref (self->clients[i].text);
      g_ptr_array_unref (self->clients[i].pending);
      g_clear_pointer (&self->clients[i].on_the_way, choir_text_operation_free);
    }

  g_ptr_array_unref (self->server.log);
  g_byte_array_unref (self->server.from);
  choir_rope_free (self->server.text);
  g_array_unref (self->text);
  g_free (self);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (History, history_free)

/* A client sees a change: its own at once, that of another when it arrives */
static void
client_apply (Client *self, const ChoirTextOperation *operation, gboolean own, guint32 seed)
{
  GArray *text = model_text_apply (self->text, operation);

  g_array_unref (self->text);
  self->text = text;
  self->cursor = choir_text_operation_transform_position (operation, self->cursor, own);
  model_holds (self->cursor <= text->len, seed);
}

static void
client_send (Client *self)
{
  if (self->pending->len == 0)
    return;

  self->on_the_way = choir_text_operation_copy (self->pending->pdata[0]);
  self->base = self->version;
}

static gboolean
client_edit (Client *self, History *history)
{
  ChoirTextOperation *operation;

  if (self->n_edits == 0)
    return FALSE;

  self->n_edits--;
  operation = model_operation_random (history->rand, self->text->len, MAX_STEPS);
  client_apply (self, operation, TRUE, history->seed);

  if (self->composes && self->pending->len == 2)
    {
      g_autoptr (ChoirTextOperation) later = operation;
      ChoirTextOperation **buffer = (ChoirTextOperation **) &self->pending->pdata[1];
      g_autoptr (ChoirTextOperation) earlier = g_steal_pointer (buffer);

      *buffer = choir_text_operation_compose (earlier, later);
      return TRUE;
    }

  g_ptr_array_add (self->pending, operation);
  if (self->pending->len == 1)
    client_send (self);

  return TRUE;
}

/* Another's change moves past everything the server does not know yet, and that past the change */
static void
client_take_other (Client *self, const ChoirTextOperation *committed, guint32 seed)
{
  g_autoptr (ChoirTextOperation) theirs = choir_text_operation_copy (committed);

  for (guint i = 0; i < self->pending->len; i++)
    {
      ChoirTextOperation **slot = (ChoirTextOperation **) &self->pending->pdata[i];
      g_autoptr (ChoirTextOperation) ours = g_steal_pointer (slot);
      g_autoptr (ChoirTextOperation) before = g_steal_pointer (&theirs);

      *slot = choir_text_operation_transform (ours, before, CHOIR_TEXT_SIDE_LEFT);
      theirs = choir_text_operation_transform (before, ours, CHOIR_TEXT_SIDE_RIGHT);
    }

  client_apply (self, theirs, FALSE, seed);
}

static gboolean
client_receive (Client *self, History *history)
{
  const Server *server = &history->server;
  guint version = self->version;
  const ChoirTextOperation *committed;

  if (version == server->log->len)
    return FALSE;

  committed = server->log->pdata[version];
  self->version++;
  if (server->from->data[version] != self->number)
    {
      client_take_other (self, committed, history->seed);
      return TRUE;
    }

  /* the acknowledgement: by now both name the same change */
  model_holds (choir_text_operation_equal (committed, self->pending->pdata[0]), history->seed);
  g_ptr_array_remove_index (self->pending, 0);
  client_send (self);
  return TRUE;
}

/* Moves a change past what was committed since its base, one by one, and commits it */
static gboolean
server_receive (Client *from, History *history)
{
  Server *self = &history->server;
  g_autoptr (ChoirTextOperation) operation = g_steal_pointer (&from->on_the_way);

  if (operation == NULL)
    return FALSE;

  for (guint i = from->base; i < self->log->len; i++)
    {
      g_autoptr (ChoirTextOperation) before = g_steal_pointer (&operation);

      operation =
        choir_text_operation_transform (before, self->log->pdata[i], CHOIR_TEXT_SIDE_LEFT);
    }

  model_holds (choir_text_operation_check (operation, choir_rope_get_n_chars (self->text), NULL),
               history->seed);
  choir_text_operation_apply (operation, self->text);
  g_ptr_array_add (self->log, g_steal_pointer (&operation));
  g_byte_array_append (self->from, &from->number, 1);
  return TRUE;
}

typedef gboolean (*Action) (Client *client, History *history);

static const Action actions[] = { client_edit, client_receive, server_receive };

/* Whether anything could still happen */
static gboolean
history_step (History *self)
{
  guint start = (guint) g_rand_int_range (self->rand, 0, N_CLIENTS * G_N_ELEMENTS (actions));

  for (guint i = 0; i < N_CLIENTS * G_N_ELEMENTS (actions); i++)
    {
      guint choice = (start + i) % (N_CLIENTS * G_N_ELEMENTS (actions));

      if (actions[choice / N_CLIENTS](&self->clients[choice % N_CLIENTS], self))
        return TRUE;
    }

  return FALSE;
}

static void
check_converged (History *self)
{
  gsize n_bytes;
  g_autofree char *text = choir_rope_dup_text (self->server.text, &n_bytes);

  for (guint i = 0; i < N_CLIENTS; i++)
    {
      g_autofree char *client = model_text_to_utf8 (self->clients[i].text);

      model_holds (self->clients[i].pending->len == 0, self->seed);
      model_holds (strlen (client) == n_bytes && memcmp (client, text, n_bytes) == 0, self->seed);
    }
}

/* The log as one operation does what it did step by step, and can be taken back */
static void
check_log (History *self)
{
  g_autoptr (ChoirTextOperation) all = model_operation_from_json ("[]");
  g_autoptr (ChoirRope) text = model_text_to_rope (self->text);
  g_autoptr (ChoirTextOperation) back = NULL;
  g_autoptr (GArray) composed = NULL;
  g_autoptr (GArray) undone = NULL;

  for (guint i = 0; i < self->server.log->len; i++)
    {
      g_autoptr (ChoirTextOperation) before = g_steal_pointer (&all);

      all = choir_text_operation_compose (before, self->server.log->pdata[i]);
    }

  composed = model_text_apply (self->text, all);
  model_holds (model_text_equal (composed, self->clients[0].text), self->seed);

  back = choir_text_operation_invert (all, text);
  undone = model_text_apply (composed, back);
  model_holds (model_text_equal (undone, self->text), self->seed);
}

static void
test_histories (gconstpointer data)
{
  guint32 first = GPOINTER_TO_UINT (data);
  guint32 n = N_PER_TEST;
  g_autoptr (GRand) rand = g_rand_new_with_seed (first);
  guint64 n_committed = 0;

  model_get_cases (&first, &n);
  for (guint32 i = 0; i < n; i++)
    {
      g_autoptr (History) history = history_new (rand, first + i);

      while (history_step (history))
        continue;

      check_converged (history);
      check_log (history);
      n_committed += history->server.log->len;
    }

  g_test_message ("%u histories of %d clients from seed %u, %" G_GUINT64_FORMAT " changes", n,
                  N_CLIENTS, first, n_committed);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  for (guint32 first = 0; first < N_CASES; first += N_PER_TEST)
    {
      g_autofree char *path = g_strdup_printf ("/text-histories/from-%u", first);

      g_test_add_data_func (path, GUINT_TO_POINTER (first), test_histories);
    }

  return g_test_run ();
}
