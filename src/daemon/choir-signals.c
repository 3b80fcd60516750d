/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-signals.h"

#include "choir-container.h"

#include <errno.h>
#include <gio/gio.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct _ChoirSignals
{
  ChoirWatch watch;
  ChoirReactor *reactor; /* borrowed */
  ChoirSignalFunc func;
  gpointer user_data;
};

static void
fill_set (sigset_t *set)
{
  sigemptyset (set);
  sigaddset (set, SIGTERM);
  sigaddset (set, SIGINT);
  sigaddset (set, SIGHUP);
}

/**
 * choir_signals_block:
 *
 * Keeps the signals until choir_signals_new() fetches them. To be called before any thread exists:
 * threads inherit the mask.
 */
void
choir_signals_block (void)
{
  sigset_t set;

  fill_set (&set);
  sigprocmask (SIG_BLOCK, &set, NULL);
}

static void
signals_ready (ChoirWatch *watch, guint32 events)
{
  ChoirSignals *self = CHOIR_CONTAINER_OF (watch, ChoirSignals, watch);
  struct signalfd_siginfo info;

  while (read (watch->fd, &info, sizeof info) == sizeof info)
    self->func ((int) info.ssi_signo, self->user_data);
}

static void
signals_idle (ChoirWatch *watch)
{
}

static const ChoirWatchFuncs watch_funcs = { signals_ready, signals_idle, signals_idle };

/**
 * choir_signals_new:
 * @reactor: must outlive the signals
 * @func: called in the loop, once a signal
 * @user_data: for @func
 * @error: return location: what the kernel says
 *
 * Returns: (transfer full): to be kept, or %NULL
 */
ChoirSignals *
choir_signals_new (ChoirReactor *reactor, ChoirSignalFunc func, gpointer user_data, GError **error)
{
  ChoirSignals *self = g_new0 (ChoirSignals, 1);
  sigset_t set;

  fill_set (&set);
  self->watch.funcs = &watch_funcs;
  self->watch.fd = signalfd (-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  self->reactor = reactor;
  self->func = func;
  self->user_data = user_data;

  if (self->watch.fd < 0 || !choir_reactor_add (reactor, &self->watch, EPOLLIN))
    {
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno), "signals: %s",
                   g_strerror (errno));
      if (self->watch.fd >= 0)
        close (self->watch.fd);
      g_free (self);
      return NULL;
    }

  return self;
}

void
choir_signals_free (ChoirSignals *self)
{
  choir_reactor_remove (self->reactor, &self->watch);
  close (self->watch.fd);
  g_free (self);
}
