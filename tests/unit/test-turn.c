/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-turn.h"

typedef struct
{
  ChoirTurnTask task; /* first: its address is the owner's */
  ChoirTurn *turn;
  ChoirTurnTask *victim; /* (nullable): cancelled when this is done */
  guint n_done;
  guint n_again; /* times it asks for itself */
} Worker;

static void
work (ChoirTurnTask *task)
{
  Worker *self = (Worker *) task;

  self->n_done++;
  if (self->victim != NULL)
    choir_turn_cancel (self->victim);
  if (self->n_again > 0)
    {
      self->n_again--;
      choir_turn_ask (self->turn, task, work);
    }
}

static gboolean
run_turn (void)
{
  return g_main_context_iteration (NULL, FALSE);
}

static void
test_once (void)
{
  g_autoptr (ChoirTurn) turn = choir_turn_new (NULL);
  Worker worker = { .turn = turn };

  g_assert_false (run_turn ());
  choir_turn_ask (turn, &worker.task, work);
  choir_turn_ask (turn, &worker.task, work);
  g_assert_cmpuint (worker.n_done, ==, 0);
  g_assert_true (run_turn ());
  g_assert_cmpuint (worker.n_done, ==, 1);
  g_assert_false (run_turn ());

  choir_turn_ask (turn, &worker.task, work);
  g_assert_true (run_turn ());
  g_assert_cmpuint (worker.n_done, ==, 2);
}

/* What is asked for while tasks are done is done in the next turn: a turn ends */
static void
test_again (void)
{
  g_autoptr (ChoirTurn) turn = choir_turn_new (NULL);
  Worker worker = { .turn = turn, .n_again = 2 };

  choir_turn_ask (turn, &worker.task, work);
  for (guint i = 1; i <= 3; i++)
    {
      g_assert_true (run_turn ());
      g_assert_cmpuint (worker.n_done, ==, i);
    }
  g_assert_false (run_turn ());
}

static void
test_cancel (void)
{
  g_autoptr (ChoirTurn) turn = choir_turn_new (NULL);
  Worker workers[3] = { 0 };

  choir_turn_cancel (&workers[0].task);
  for (guint i = 0; i < G_N_ELEMENTS (workers); i++)
    choir_turn_ask (turn, &workers[i].task, work);
  choir_turn_cancel (&workers[1].task);
  workers[0].victim = &workers[2].task;
  run_turn ();
  g_assert_cmpuint (workers[0].n_done, ==, 1);
  g_assert_cmpuint (workers[1].n_done, ==, 0);
  g_assert_cmpuint (workers[2].n_done, ==, 0);

  /* one may be cancelled while another that waits for the next turn has its place */
  workers[0] = (Worker){ .turn = turn, .n_again = 1, .victim = &workers[1].task };
  choir_turn_ask (turn, &workers[0].task, work);
  choir_turn_ask (turn, &workers[1].task, work);
  run_turn ();
  run_turn ();
  g_assert_cmpuint (workers[0].n_done, ==, 2);
  g_assert_cmpuint (workers[1].n_done, ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/turn/once", test_once);
  g_test_add_func ("/turn/again", test_again);
  g_test_add_func ("/turn/cancel", test_cancel);

  return g_test_run ();
}
