/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-wait.h"

#include "choir-container.h"
#include "choir-http-private.h"
#include "choir-observer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

/*
 * A long poll costs nothing while it waits, so it is not counted among the requests that are being
 * handled, but by a limit of its own. libsoup does not look at a connection whose request has been
 * read: that its client has gone would be noticed only when the answer can't be written, and what
 * was in it would be lost. So the reactor watches the connection, on a descriptor of our own, which
 * nobody can close and give another meaning behind the reactor's back.
 */

/* The client sends no more: it has gone, or will not read an answer to a request that it has
 * finished with. Edge-triggered, so that what it sends besides wakes nobody */
#define GONE_EVENTS (EPOLLRDHUP | EPOLLHUP | EPOLLERR)

struct _ChoirHttpWait
{
  ChoirWatch watch;
  ChoirTimer timer;
  ChoirHttpRequest *request; /* borrowed; NULL once it is over */
  ChoirReactor *reactor;     /* borrowed */
  ChoirHttpWaitFunc over;
};

/**
 * choir_http_request_drop:
 * @self: a request that nobody waits for any more
 *
 * Takes its connection from libsoup and closes it; frees the request's data.
 */
void
choir_http_request_drop (ChoirHttpRequest *self)
{
  g_autoptr (ChoirHttpRequest) held = choir_http_request_ref (self);
  GIOStream *stream;

  if (choir_http_request_is_gone (held))
    return;

  held->flags |= CHOIR_HTTP_REQUEST_ANSWERED;
  choir_http_wait_end (held);
  choir_http_request_set_data (held, NULL, NULL);
  stream = soup_server_message_steal_connection (held->message);
  g_clear_object (&stream);
}

static void
ready (ChoirWatch *watch, guint32 events)
{
  ChoirHttpWait *self = CHOIR_CONTAINER_OF (watch, ChoirHttpWait, watch);

  if ((events & GONE_EVENTS) != 0 && self->request != NULL)
    choir_http_request_drop (self->request);
}

/* Nothing is ever written here */
static void
flush (ChoirWatch *watch)
{
}

static void
reap (ChoirWatch *watch)
{
  g_free (CHOIR_CONTAINER_OF (watch, ChoirHttpWait, watch));
}

static const ChoirWatchFuncs watch_funcs = { ready, flush, reap };

static void
over_cb (ChoirTimer *timer)
{
  ChoirHttpWait *self = CHOIR_CONTAINER_OF (timer, ChoirHttpWait, timer);
  g_autoptr (ChoirHttpRequest) request = choir_http_request_ref (self->request);

  self->over (request);
}

/* (nullable): NULL if there are no descriptors left */
static ChoirHttpWait *
watch_client (ChoirHttpRequest *request)
{
  ChoirHttpPeer *peer =
    choir_http_find_peer (choir_http_api_get_server (request->api), request->message);
  ChoirHttpWait *self;
  int fd;

  if (peer == NULL)
    return NULL;

  fd = fcntl (peer->fd, F_DUPFD_CLOEXEC, 3);
  if (fd < 0)
    return NULL;

  self = g_new0 (ChoirHttpWait, 1);
  self->watch.funcs = &watch_funcs;
  self->watch.fd = fd;
  self->reactor = request->gateway->reactor;
  self->request = request;
  if (choir_reactor_add (self->reactor, &self->watch, GONE_EVENTS | EPOLLET))
    return self;

  close (fd);
  g_free (self);

  return NULL;
}

/**
 * choir_http_request_wait:
 * @self: a request that its handler has
 * @wait_us: how long
 * @over: called after that, unless it has been answered
 *
 * Lets a request wait: it makes room for others that are handled. If the client goes meanwhile, the
 * request's data is freed, and nothing is answered.
 *
 * Returns: %FALSE if too many wait already: it has been refused then
 */
gboolean
choir_http_request_wait (ChoirHttpRequest *self, gint64 wait_us, ChoirHttpWaitFunc over)
{
  g_return_val_if_fail (self->wait == NULL, FALSE);

  if (choir_http_request_is_gone (self))
    return FALSE;

  if (choir_http_api_may_wait (self->api, self))
    self->wait = watch_client (self);

  if (self->wait == NULL)
    {
      choir_hub_report_overload (self->gateway->hub, "api", "user",
                                 choir_claims_get_user_id (self->claims));
      choir_http_request_refuse (self, 503, CHOIR_ERROR_UNAVAILABLE,
                                 "Too many requests are waiting");
      return FALSE;
    }

  self->wait->over = over;
  choir_http_api_begin_wait (self->api, self);
  choir_timer_wheel_arm (self->gateway->wheel, &self->wait->timer, wait_us, over_cb);

  return TRUE;
}

/**
 * choir_http_request_has_hung_up:
 * @self: a request
 *
 * Looks at the connection itself: before something is given away that could get lost.
 *
 * Returns: whether the client has gone
 */
gboolean
choir_http_request_has_hung_up (const ChoirHttpRequest *self)
{
  ChoirHttpPeer *peer;
  struct pollfd gone = { .events = POLLRDHUP };

  if (choir_http_request_is_gone (self))
    return TRUE;

  peer = choir_http_find_peer (choir_http_api_get_server (self->api), self->message);
  gone.fd = peer != NULL ? peer->fd : -1;

  return gone.fd < 0 || poll (&gone, 1, 0) > 0;
}

/* It is answered, or nobody waits for that any more */
void
choir_http_wait_end (ChoirHttpRequest *request)
{
  ChoirHttpWait *self = g_steal_pointer (&request->wait);

  if (self == NULL)
    return;

  self->request = NULL;
  choir_timer_disarm (&self->timer);
  choir_reactor_remove (self->reactor, &self->watch);
  close (self->watch.fd);
  choir_reactor_mark_dead (self->reactor, &self->watch);
  if (request->api != NULL)
    choir_http_api_end_wait (request->api);
}
