/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-reactor.h"

#include "choir-clock.h"

#include <gio/gio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct _Item Item;

struct _Item
{
  ChoirWatch watch; /* first: its address is the owner's */
  ChoirReactor *reactor;
  GString *log;
  Item *victim; /* killed by what kill_in says */
  enum
  {
    IN_NOTHING,
    IN_READY,
    IN_FLUSH,
    IN_REAP,
  } kill_in;
  Item *dirties; /* marked dirty by a flush */
  char name;
  gint64 takes_us;  /* to be read from */
  guint n_requeues; /* how often it wants to be again */
  int peer;
  guint *n_alive;
};

static void
kill_item (Item *self)
{
  choir_reactor_remove (self->reactor, &self->watch);
  choir_reactor_mark_dead (self->reactor, &self->watch);
}

static void
act (Item *self, guint where, char what)
{
  g_string_append_printf (self->log, "%c%c ", what, self->name);
  if (self->kill_in == where && self->victim != NULL)
    kill_item (g_steal_pointer (&self->victim));
}

static void
ready (ChoirWatch *watch, guint32 events)
{
  Item *self = (Item *) watch;
  char bytes[16];

  act (self, IN_READY, events == 0 ? 'q' : 'r');
  if (self->takes_us > 0)
    choir_clock_advance (self->takes_us);
  if (self->n_requeues > 0)
    {
      self->n_requeues--;
      choir_reactor_requeue (self->reactor, watch);
    }
  while (read (watch->fd, bytes, sizeof bytes) == sizeof bytes)
    continue;
}

static void
flush (ChoirWatch *watch)
{
  Item *self = (Item *) watch;

  act (self, IN_FLUSH, 'f');
  if (self->dirties != NULL)
    choir_reactor_mark_dirty (self->reactor, &g_steal_pointer (&self->dirties)->watch);
}

static void
reap (ChoirWatch *watch)
{
  Item *self = (Item *) watch;

  act (self, IN_REAP, 'x');
  (*self->n_alive)--;
  close (watch->fd);
  close (self->peer);
  g_free (self);
}

static const ChoirWatchFuncs funcs = { ready, flush, reap };

typedef struct
{
  ChoirReactor *reactor;
  GString *log;
  guint n_alive;
} Fixture;

static void
set_up (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  self->reactor = choir_reactor_new (NULL, &error);
  g_assert_no_error (error);
  self->log = g_string_new (NULL);
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  choir_reactor_free (self->reactor);
  g_assert_cmpuint (self->n_alive, ==, 0);
  g_string_free (self->log, TRUE);
}

static Item *
item_new (Fixture *fixture, char name)
{
  Item *self = g_new0 (Item, 1);
  int pair[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), ==,
                   0);
  self->watch.funcs = &funcs;
  self->watch.fd = pair[0];
  self->peer = pair[1];
  self->reactor = fixture->reactor;
  self->log = fixture->log;
  self->name = name;
  self->n_alive = &fixture->n_alive;
  fixture->n_alive++;
  g_assert_true (choir_reactor_add (self->reactor, &self->watch, EPOLLIN | EPOLLET));

  return self;
}

static void
poke (Item *self)
{
  g_assert_cmpint (write (self->peer, "x", 1), ==, 1);
}

static void
iterate (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    continue;
}

static void
test_order (Fixture *self, gconstpointer data)
{
  Item *a = item_new (self, 'a');
  Item *b = item_new (self, 'b');

  poke (a);
  choir_reactor_mark_dirty (self->reactor, &b->watch);
  choir_reactor_mark_dirty (self->reactor, &b->watch);
  iterate ();
  /* what was queued leaves before the loop looks at sockets, once */
  g_assert_cmpstr (self->log->str, ==, "fb ra ");

  g_string_truncate (self->log, 0);
  choir_reactor_requeue (self->reactor, &a->watch);
  choir_reactor_requeue (self->reactor, &a->watch);
  iterate ();
  g_assert_cmpstr (self->log->str, ==, "qa ");
  kill_item (a);
  kill_item (b);
  iterate ();
  g_assert_cmpstr (self->log->str, ==, "qa xa xb ");
}

static void
test_dirty_in_flush (Fixture *self, gconstpointer data)
{
  Item *a = item_new (self, 'a');
  Item *b = item_new (self, 'b');

  a->dirties = a;
  choir_reactor_mark_dirty (self->reactor, &a->watch);
  iterate ();
  g_assert_cmpstr (self->log->str, ==, "fa fa ");
  a->dirties = b;
  choir_reactor_mark_dirty (self->reactor, &a->watch);
  iterate ();
  g_assert_cmpstr (self->log->str, ==, "fa fa fa fb ");
  kill_item (a);
  kill_item (b);
}

/* Killed by another's event of the same turn, or by its flush: never called again */
static void
test_kill (Fixture *self, gconstpointer data)
{
  guint where = GPOINTER_TO_UINT (data);
  Item *a = item_new (self, 'a');
  Item *b = item_new (self, 'b');

  a->victim = b;
  a->kill_in = where;
  if (where == IN_READY)
    {
      poke (a);
      poke (b);
      choir_reactor_requeue (self->reactor, &a->watch);
      choir_reactor_requeue (self->reactor, &b->watch);
    }
  else
    {
      choir_reactor_mark_dirty (self->reactor, &a->watch);
      choir_reactor_mark_dirty (self->reactor, &b->watch);
    }
  iterate ();
  g_assert_nonnull (strstr (self->log->str, "xb"));
  g_assert_null (strstr (self->log->str, "rb"));
  g_assert_null (strstr (self->log->str, "qb"));
  g_assert_null (strstr (self->log->str, "fb"));
  kill_item (a);
}

/* One reaped kills another that stands in both lists: nothing may be left of it there */
static void
test_kill_in_reap (Fixture *self, gconstpointer data)
{
  Item *a = item_new (self, 'a');
  Item *b = item_new (self, 'b');
  Item *c = item_new (self, 'c');

  a->victim = b;
  a->kill_in = IN_REAP;
  c->kill_in = IN_FLUSH;
  c->victim = a;
  c->dirties = b;
  choir_reactor_requeue (self->reactor, &b->watch);
  choir_reactor_mark_dirty (self->reactor, &c->watch);
  iterate ();
  g_assert_cmpstr (self->log->str, ==, "fc xa xb ");
  kill_item (c);
}

/* Thousands of flushes do not keep input waiting: they are spread over turns, and all are done */
static void
test_many_flushes (Fixture *self, gconstpointer data)
{
  enum
  {
    N = 1300
  };
  Item *first = item_new (self, 'a');
  g_autofree Item *others = g_new0 (Item, N);

  for (guint i = 0; i < N; i++)
    {
      others[i].watch.funcs = &funcs;
      others[i].log = self->log;
      others[i].name = 'b';
      choir_reactor_mark_dirty (self->reactor, &others[i].watch);
    }
  poke (first);
  iterate ();
  g_assert_cmpuint (self->log->len, ==, 3 * (N + 1));
  g_assert_false (g_str_has_suffix (self->log->str, "ra "));
  g_assert_nonnull (strstr (self->log->str, "ra "));
  kill_item (first);
}

static void
test_modify (Fixture *self, gconstpointer data)
{
  Item *a = item_new (self, 'a');

  g_assert_true (choir_reactor_modify (self->reactor, &a->watch, 0));
  poke (a);
  iterate ();
  g_assert_cmpstr (self->log->str, ==, "");
  g_assert_true (choir_reactor_modify (self->reactor, &a->watch, EPOLLIN));
  iterate ();
  g_assert_cmpstr (self->log->str, ==, "ra ");
  g_assert_cmpuint (choir_reactor_get_n_turns (self->reactor), >, 0);
  kill_item (a);
}

/* One that has yet to read does not read earlier because more has come, but learns at once that it
 * can write */
static void
test_writable_while_requeued (Fixture *self, gconstpointer data)
{
  Item *a = item_new (self, 'a');

  poke (a);
  choir_reactor_requeue (self->reactor, &a->watch);
  iterate ();
  g_assert_cmpstr (self->log->str, ==, "qa ");

  g_string_truncate (self->log, 0);
  g_assert_true (choir_reactor_modify (self->reactor, &a->watch, EPOLLIN | EPOLLOUT | EPOLLET));
  choir_reactor_requeue (self->reactor, &a->watch);
  iterate ();
  g_assert_cmpstr (self->log->str, ==, "ra qa ");
  kill_item (a);
}

static gboolean
count_cb (gpointer user_data)
{
  ++*(guint *) user_data;

  return G_SOURCE_CONTINUE;
}

/* However many are ready, others of the loop have their turn; and all are served, in order */
static void
test_budget (Fixture *self, gconstpointer data)
{
  Item *items[60];
  guint n_others = 0, n_turns, source_id;

  choir_clock_freeze (1, 1);
  for (guint i = 0; i < G_N_ELEMENTS (items); i++)
    {
      items[i] = item_new (self, (char) ('A' + i));
      items[i]->takes_us = 1000;
      items[i]->n_requeues = 2;
      poke (items[i]);
    }
  /* served before its event is: it has none then, nor memory */
  items[0]->kill_in = IN_READY;
  items[0]->victim = items[59];

  source_id = g_idle_add_full (G_PRIORITY_DEFAULT, count_cb, &n_others, NULL);
  for (n_turns = 0; self->log->len < 3 * (3 * 59 + 1); n_turns++)
    {
      gsize before = self->log->len;

      g_assert_cmpuint (n_turns, <, 1000);
      g_main_context_iteration (NULL, FALSE);
      /* the events' share, that of those who were requeued, and one who was killed */
      g_assert_cmpuint ((self->log->len - before) / 3, <=, 6 + 6 + 1);
    }
  g_source_remove (source_id);
  g_assert_cmpuint (n_others, >=, n_turns - 1);

  for (guint i = 0; i < 59; i++)
    g_assert_cmpuint (items[i]->n_requeues, ==, 0);
  for (guint i = 0; i < 59; i++)
    kill_item (items[i]);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, data, func)                                                                      \
  g_test_add ("/reactor/" name, Fixture, GUINT_TO_POINTER (data), set_up, func, tear_down)
  ADD ("order", 0, test_order);
  ADD ("dirty-in-flush", 0, test_dirty_in_flush);
  ADD ("kill-in-ready", IN_READY, test_kill);
  ADD ("kill-in-flush", IN_FLUSH, test_kill);
  ADD ("kill-in-reap", 0, test_kill_in_reap);
  ADD ("many-flushes", 0, test_many_flushes);
  ADD ("modify", 0, test_modify);
  ADD ("budget", 0, test_budget);
  ADD ("writable-while-requeued", 0, test_writable_while_requeued);

  return g_test_run ();
}
