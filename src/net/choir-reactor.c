/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-reactor.h"

#include "choir-clock.h"

#include <errno.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EVENTS_PER_TURN 128
/* One flush must not keep input waiting: 1,024 writes are about 4 ms */
#define FLUSHES_PER_TURN 1024
/* So long those who have events are served in a turn, and so long those who were requeued: then
 * timers and the bus have theirs. The last one served may take longer, by what it takes to deal
 * with a full buffer */
#define SERVE_US 5000

typedef struct
{
  ChoirWatch **items; /* (owned array) */
  guint n;
  guint capacity;
} WatchList;

struct _ChoirReactor
{
  GSource *source; /* (owned) */
  gpointer tag;
  int epoll_fd;
  WatchList dirty;
  WatchList dead;
  WatchList requeued;
  guint64 n_turns;
  gint64 deadline_us; /* of those served now; 0: not known yet */
  guint8 *buffer;     /* (owned) */
  struct epoll_event events[EVENTS_PER_TURN];
  int n_events;   /* fetched; being edges they do not come again */
  int next_event; /* the first that has not been dealt with */
};

typedef struct
{
  GSource source;
  ChoirReactor *reactor;
} ReactorSource;

static void
list_push (WatchList *list, ChoirWatch *watch)
{
  if (list->n == list->capacity)
    {
      list->capacity = MAX (64, list->capacity * 2);
      list->items = g_renew (ChoirWatch *, list->items, list->capacity);
    }

  list->items[list->n++] = watch;
}

static void
flush_some (ChoirReactor *self)
{
  guint n = MIN (self->dirty.n, FLUSHES_PER_TURN);

  for (guint i = 0; i < n; i++)
    {
      ChoirWatch *watch = self->dirty.items[i];

      /* with thousands of connections each is a cache miss */
      __builtin_prefetch (self->dirty.items[MIN (i + 2, n - 1)]);

      watch->state &= ~CHOIR_WATCH_DIRTY;
      if (!(watch->state & CHOIR_WATCH_DEAD))
        watch->funcs->flush (watch);
    }

  /* a flush may have marked others, or the same again: they stand behind */
  self->dirty.n -= n;
  if (self->dirty.n > 0)
    memmove (self->dirty.items, self->dirty.items + n, self->dirty.n * sizeof *self->dirty.items);
}

static void
reap (ChoirReactor *self)
{
  guint n = self->dead.n;

  for (guint i = 0; i < n; i++)
    self->dead.items[i]->funcs->reap (self->dead.items[i]);

  /* one that was killed by another's reaping may still stand in the other lists */
  self->dead.n -= n;
  if (self->dead.n > 0)
    memmove (self->dead.items, self->dead.items + n, self->dead.n * sizeof *self->dead.items);
}

static void
forget_dead (WatchList *list)
{
  guint n = 0;

  for (guint i = 0; i < list->n; i++)
    if (!(list->items[i]->state & CHOIR_WATCH_DEAD))
      list->items[n++] = list->items[i];

  list->n = n;
}

static void
end_turn (ChoirReactor *self)
{
  flush_some (self);

  while (self->dead.n > 0)
    {
      forget_dead (&self->dirty);
      forget_dead (&self->requeued);
      reap (self);
    }
}

static gboolean
has_work (ChoirReactor *self)
{
  return self->dirty.n > 0 || self->dead.n > 0 || self->requeued.n > 0 ||
         self->next_event < self->n_events;
}

/* Whatever any callback of the loop has queued leaves before the loop sleeps */
static gboolean
source_prepare (GSource *source, gint *timeout)
{
  ChoirReactor *self = ((ReactorSource *) source)->reactor;

  if (self->dirty.n > 0 || self->dead.n > 0)
    end_turn (self);

  *timeout = has_work (self) ? 0 : -1;

  return FALSE;
}

static gboolean
source_check (GSource *source)
{
  ChoirReactor *self = ((ReactorSource *) source)->reactor;

  return has_work (self) || (g_source_query_unix_fd (source, self->tag) & G_IO_IN) != 0;
}

/* Asked between two, so that a turn for one alone never looks at the clock */
static gboolean
is_over (ChoirReactor *self)
{
  gint64 now_us = choir_clock_monotonic_us ();

  if (self->deadline_us == 0)
    self->deadline_us = now_us + SERVE_US;

  return now_us >= self->deadline_us;
}

/* As many as there is time for, those who have waited longest first */
static void
run_requeued (ChoirReactor *self)
{
  guint n_all = self->requeued.n;
  guint n = 0;

  do
    {
      ChoirWatch *watch = self->requeued.items[n++];

      watch->state &= ~CHOIR_WATCH_REQUEUED;
      if (!(watch->state & CHOIR_WATCH_DEAD))
        watch->funcs->ready (watch, 0);
    }
  while (n < n_all && !is_over (self));

  self->requeued.n -= n;
  if (self->requeued.n > 0)
    memmove (self->requeued.items, self->requeued.items + n,
             self->requeued.n * sizeof *self->requeued.items);
}

/* More has come for one that has not read all there was: its turn to read is still to come, and it
 * gets no second one before the others' first. But that the socket takes bytes again is said only
 * once */
static guint32
get_due_events (const ChoirWatch *watch, guint32 events)
{
  if (!(watch->state & CHOIR_WATCH_REQUEUED) || (events & ~(guint32) (EPOLLIN | EPOLLOUT)) != 0)
    return events;

  return events & EPOLLOUT;
}

static void
fetch_events (ChoirReactor *self)
{
  /* never waits, so it need be no cancellation point */
  self->n_events =
    (int) syscall (SYS_epoll_pwait, self->epoll_fd, self->events, EVENTS_PER_TURN, 0, NULL, 0);
  self->next_event = 0;
}

static void
run_events (ChoirReactor *self)
{
  while (self->next_event < self->n_events)
    {
      const struct epoll_event *event = &self->events[self->next_event++];
      ChoirWatch *watch = event->data.ptr;
      guint32 events = watch != NULL ? get_due_events (watch, event->events) : 0;

      /* killed by an earlier event of this very batch; its memory stays until the turn's end */
      if (events != 0 && !(watch->state & CHOIR_WATCH_DEAD))
        watch->funcs->ready (watch, events);

      if (self->next_event < self->n_events && is_over (self))
        return;
    }
}

static gboolean
source_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  ChoirReactor *self = ((ReactorSource *) source)->reactor;

  self->n_turns++;
  self->deadline_us = 0;

  if (self->next_event >= self->n_events)
    fetch_events (self);
  run_events (self);

  if (self->requeued.n > 0)
    {
      /* those who asked for little have their answers before the others ask for more */
      flush_some (self);
      self->deadline_us = 0;
      run_requeued (self);
    }

  end_turn (self);

  return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {
  source_prepare, source_check, source_dispatch, NULL, NULL, NULL,
};

/**
 * choir_reactor_new:
 * @context: (nullable): the main context it runs in
 * @error: return location: what epoll_create1(2) says
 *
 * Returns: (transfer full): a reactor without watches, or %NULL
 */
ChoirReactor *
choir_reactor_new (GMainContext *context, GError **error)
{
  int epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  ChoirReactor *self;

  if (epoll_fd < 0)
    {
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno), "epoll: %s",
                   g_strerror (errno));
      return NULL;
    }

  self = g_new0 (ChoirReactor, 1);
  self->epoll_fd = epoll_fd;
  self->buffer = g_malloc (CHOIR_REACTOR_BUFFER_SIZE);
  self->source = g_source_new (&source_funcs, sizeof (ReactorSource));
  ((ReactorSource *) self->source)->reactor = self;
  self->tag = g_source_add_unix_fd (self->source, epoll_fd, G_IO_IN);
  g_source_set_static_name (self->source, "ChoirReactor");
  /* else GLib takes the descriptor out of its poll set and back for every dispatch, each time
   * waking itself through an eventfd: three system calls a turn. Nothing here iterates a nested
   * loop */
  g_source_set_can_recurse (self->source, TRUE);
  g_source_attach (self->source, context);

  return self;
}

/**
 * choir_reactor_free:
 * @self: a reactor none of whose watches is used any more
 */
void
choir_reactor_free (ChoirReactor *self)
{
  end_turn (self);
  g_source_destroy (self->source);
  g_source_unref (self->source);
  close (self->epoll_fd);
  g_free (self->dirty.items);
  g_free (self->dead.items);
  g_free (self->requeued.items);
  g_free (self->buffer);
  g_free (self);
}

/**
 * choir_reactor_get_buffer:
 * @self: a reactor
 *
 * Returns: (transfer none): %CHOIR_REACTOR_BUFFER_SIZE bytes that anyone may use while it handles
 * an event, and nobody may keep
 */
guint8 *
choir_reactor_get_buffer (ChoirReactor *self)
{
  return self->buffer;
}

/**
 * choir_reactor_add:
 * @self: a reactor
 * @watch: with its funcs and fd set
 * @events: EPOLLIN and so on; EPOLLET for connections
 *
 * Returns: %FALSE if the kernel has no room, with errno set
 */
gboolean
choir_reactor_add (ChoirReactor *self, ChoirWatch *watch, guint32 events)
{
  struct epoll_event event = { .events = events, .data.ptr = watch };

  return epoll_ctl (self->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) == 0;
}

gboolean
choir_reactor_modify (ChoirReactor *self, ChoirWatch *watch, guint32 events)
{
  struct epoll_event event = { .events = events, .data.ptr = watch };

  return epoll_ctl (self->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) == 0;
}

/**
 * choir_reactor_remove:
 * @self: a reactor
 * @watch: a watch that was added; its descriptor is still open
 *
 * It may be in the middle of being called: mark the watch dead, do not free it.
 */
void
choir_reactor_remove (ChoirReactor *self, ChoirWatch *watch)
{
  /* fetched already, maybe for another turn */
  for (int i = self->next_event; i < self->n_events; i++)
    if (self->events[i].data.ptr == watch)
      self->events[i].data.ptr = NULL;

  epoll_ctl (self->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
}

/**
 * choir_reactor_mark_dirty:
 * @self: a reactor
 * @watch: something to be flushed before the loop sleeps
 */
void
choir_reactor_mark_dirty (ChoirReactor *self, ChoirWatch *watch)
{
  if (watch->state & (CHOIR_WATCH_DIRTY | CHOIR_WATCH_DEAD))
    return;

  watch->state |= CHOIR_WATCH_DIRTY;
  list_push (&self->dirty, watch);
}

/**
 * choir_reactor_mark_dead:
 * @self: a reactor
 * @watch: something that is over; reaped at the end of the turn, and never called again before
 */
void
choir_reactor_mark_dead (ChoirReactor *self, ChoirWatch *watch)
{
  if (watch->state & CHOIR_WATCH_DEAD)
    return;

  watch->state |= CHOIR_WATCH_DEAD;
  list_push (&self->dead, watch);
}

/**
 * choir_reactor_requeue:
 * @self: a reactor
 * @watch: has not read all there is: edge-triggered epoll will not remind it
 */
void
choir_reactor_requeue (ChoirReactor *self, ChoirWatch *watch)
{
  if (watch->state & (CHOIR_WATCH_REQUEUED | CHOIR_WATCH_DEAD))
    return;

  watch->state |= CHOIR_WATCH_REQUEUED;
  list_push (&self->requeued, watch);
}

guint64
choir_reactor_get_n_turns (ChoirReactor *self)
{
  return self->n_turns;
}
