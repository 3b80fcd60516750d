/* choir-reactor.h: one epoll, one GSource, all sockets
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * ChoirReactor:
 *
 * Drives every socket of the service from one GSource over one epoll, so that the cost of a turn
 * does not grow with idle connections. What is queued during a turn is written at its end, once
 * per connection; what has died is freed after that.
 */
typedef struct _ChoirReactor ChoirReactor;
typedef struct _ChoirWatch ChoirWatch;

typedef struct
{
  void (*ready) (
    ChoirWatch *self,
    guint32 events); /* epoll events; 0: a turn asked for with choir_reactor_requeue() */
  void (*flush) (ChoirWatch *self); /* asked for with choir_reactor_mark_dirty() */
  void (*reap) (ChoirWatch *self);  /* asked for with choir_reactor_mark_dead(): free yourself */
} ChoirWatchFuncs;

typedef enum
{
  CHOIR_WATCH_DIRTY = 1 << 0,
  CHOIR_WATCH_DEAD = 1 << 1,
  CHOIR_WATCH_REQUEUED = 1 << 2,
} ChoirWatchState;

/* Embedded in whatever owns a descriptor */
struct _ChoirWatch
{
  const ChoirWatchFuncs *funcs;
  int fd;
  guint8 state;
};

/* What one read takes at most, and the room all connections share for it */
#define CHOIR_REACTOR_BUFFER_SIZE (128 * 1024)

ChoirReactor *choir_reactor_new (GMainContext *context, GError **error);
void choir_reactor_free (ChoirReactor *self);
guint8 *choir_reactor_get_buffer (ChoirReactor *self);
gboolean choir_reactor_add (ChoirReactor *self, ChoirWatch *watch, guint32 events);
gboolean choir_reactor_modify (ChoirReactor *self, ChoirWatch *watch, guint32 events);
void choir_reactor_remove (ChoirReactor *self, ChoirWatch *watch);
void choir_reactor_mark_dirty (ChoirReactor *self, ChoirWatch *watch);
void choir_reactor_mark_dead (ChoirReactor *self, ChoirWatch *watch);
void choir_reactor_requeue (ChoirReactor *self, ChoirWatch *watch);
guint64 choir_reactor_get_n_turns (ChoirReactor *self);

G_END_DECLS
