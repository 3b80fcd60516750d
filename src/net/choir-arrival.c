/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-listener-private.h"

#include "choir-accept-key.h"
#include "choir-container.h"
#include "choir-http-guard.h"
#include "choir-http-head.h"
#include "choir-upgrade.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * A connection between accept and its first request. The head is only looked at (MSG_PEEK): what is
 * not an ordinary handshake, or one that can't be decided at once, goes to the HTTP server as if
 * nothing had happened.
 */

/* Of a head that is refused */
#define DRAIN_READS_MAX 8

typedef struct
{
  ChoirWatch watch;
  ChoirListener *listener;
  ChoirTimer timer;
  ChoirAddress peer; /* if has_peer */
  gboolean has_peer;
  gboolean counted;
} ChoirArrival;

static const ChoirAddress *
get_peer (ChoirArrival *self)
{
  return self->has_peer ? &self->peer : NULL;
}

static const ChoirAddress *
get_admitted (ChoirArrival *self)
{
  return self->counted ? &self->peer : NULL;
}

/* Ends the watching; the descriptor stays as it is, and the memory until the turn's end */
static void
detach (ChoirArrival *self)
{
  choir_timer_disarm (&self->timer);
  g_hash_table_remove (self->listener->arrivals, self);
  choir_reactor_remove (self->listener->gateway->reactor, &self->watch);
  choir_reactor_mark_dead (self->listener->gateway->reactor, &self->watch);
}

static void
drop (ChoirArrival *self)
{
  detach (self);
  close (self->watch.fd);
  choir_admission_leave (self->listener->gateway->admission, get_admitted (self));
}

static void
deadline_cb (ChoirTimer *timer)
{
  drop (CHOIR_CONTAINER_OF (timer, ChoirArrival, timer));
}

static GSocketConnection *
wrap_socket (int fd)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocket) socket = g_socket_new_from_fd (fd, &error);

  if (socket == NULL)
    {
      close (fd);
      return NULL;
    }

  return g_socket_connection_factory_create_connection (socket);
}

static void
hand_to_http (ChoirArrival *self)
{
  g_autoptr (GSocketConnection) stream = NULL;

  detach (self);
  stream = wrap_socket (self->watch.fd);
  if (stream == NULL)
    choir_admission_leave (self->listener->gateway->admission, get_admitted (self));
  else
    choir_http_server_take (self->listener->http, G_IO_STREAM (stream), self->watch.fd,
                            get_peer (self), get_admitted (self));
}

/* (nullable): a header's lines, joined, NUL-terminated in @scratch */
static const char *
join (GString *scratch, const ChoirSlice *slices, guint n)
{
  if (n == 0)
    return NULL;

  g_string_truncate (scratch, 0);
  for (guint i = 0; i < n; i++)
    {
      if (i > 0)
        g_string_append (scratch, ", ");
      g_string_append_len (scratch, slices[i].data, slices[i].len);
    }

  return scratch->str;
}

/* Ends each slice of the head with a NUL where its delimiter stood: the buffer is only a copy */
static const char *
terminate (ChoirSlice slice)
{
  if (slice.data == NULL)
    return NULL;

  ((char *) slice.data)[slice.len] = '\0';

  return slice.data;
}

static ChoirUpgrade *
read_request (ChoirArrival *self, const ChoirHttpHead *head)
{
  g_autoptr (GString) protocols = g_string_sized_new (64);
  g_autoptr (GString) extensions = g_string_sized_new (64);
  ChoirUpgradeRequest request = {
    .protocols = join (protocols, head->protocols, head->n_protocols),
    .extensions = join (extensions, head->extensions, head->n_extensions),
    .path = terminate (head->path),
    .query = terminate (head->query),
    .origin = terminate (head->origin),
    .authorization = terminate (head->authorization),
    .x_forwarded_for = terminate (head->x_forwarded_for),
    .forwarded = terminate (head->forwarded),
    .peer = get_peer (self),
  };

  return choir_upgrade_new (self->listener->gateway, &request);
}

static gboolean
send_101 (int fd, const char *accept_key, const ChoirUpgrade *upgrade)
{
  char answer[1024];
  int len = g_snprintf (answer, sizeof answer,
                        "HTTP/1.1 101 Switching Protocols\r\n"
                        "Upgrade: websocket\r\n"
                        "Connection: Upgrade\r\n"
                        "Sec-WebSocket-Accept: %s\r\n"
                        "%s%s%s%s%s%s\r\n",
                        accept_key, upgrade->subprotocol != NULL ? "Sec-WebSocket-Protocol: " : "",
                        upgrade->subprotocol != NULL ? upgrade->subprotocol : "",
                        upgrade->subprotocol != NULL ? "\r\n" : "",
                        upgrade->extensions != NULL ? "Sec-WebSocket-Extensions: " : "",
                        upgrade->extensions != NULL ? upgrade->extensions : "",
                        upgrade->extensions != NULL ? "\r\n" : "");

  /* a new socket takes this much, or it is broken */
  return len < (int) sizeof answer && send (fd, answer, len, MSG_NOSIGNAL | MSG_DONTWAIT) == len;
}

static void
open_websocket (ChoirArrival *self,
                const ChoirHttpHead *head,
                const char *accept_key,
                ChoirUpgrade *upgrade)
{
  ChoirGateway *gateway = self->listener->gateway;
  guint8 *buffer = choir_reactor_get_buffer (gateway->reactor);
  ChoirTransport *transport;

  /* exactly the head: what stands behind it is the connection's to read */
  if (recv (self->watch.fd, buffer, head->head_len, MSG_DONTWAIT) != (gssize) head->head_len ||
      !send_101 (self->watch.fd, accept_key, upgrade))
    {
      if (upgrade->counted && !self->counted)
        {
          choir_admission_leave (gateway->admission, &upgrade->address);
          detach (self);
          close (self->watch.fd);
        }
      else
        drop (self);
      return;
    }

  detach (self);
  transport = choir_transport_new_for_fd (self->watch.fd);
  choir_gateway_adopt (gateway, transport, upgrade, NULL, 0);
}

/* FALSE: it is decided once more behind the HTTP library, and a token that is refused is counted
 * there */
static gboolean
decide (ChoirGateway *gateway, ChoirUpgrade *upgrade)
{
  ChoirStats *stats = choir_hub_get_stats (gateway->hub);
  const gint64 n_blocked = *stats->refused_blocked;
  const gint64 n_revoked = *stats->refused_revoked;

  if (choir_upgrade_decide (upgrade, gateway) && upgrade->status == 101 && !upgrade->is_stream)
    return TRUE;

  *stats->refused_blocked = n_blocked;
  *stats->refused_revoked = n_revoked;

  return FALSE;
}

/* A whole, ordinary handshake: FALSE if it is better left to the HTTP server */
static gboolean
try_websocket (ChoirArrival *self, const ChoirHttpHead *head)
{
  ChoirGateway *gateway = self->listener->gateway;
  char accept_key[CHOIR_ACCEPT_KEY_SIZE];
  g_autoptr (ChoirUpgrade) upgrade = NULL;

  choir_accept_key_make (head->key.data, head->key.len, accept_key);
  upgrade = read_request (self, head);
  if (!decide (gateway, upgrade))
    return FALSE;

  choir_gateway_move_admission (gateway, get_admitted (self), upgrade);
  if (upgrade->status != 101)
    return FALSE;

  open_websocket (self, head, accept_key, upgrade);

  return TRUE;
}

/* Said here, because the HTTP library would not say it */
static void
refuse_head (ChoirArrival *self, const char *status)
{
  guint8 *buffer = choir_reactor_get_buffer (self->listener->gateway->reactor);
  char body[128], answer[512];
  int body_len, len;

  body_len =
    g_snprintf (body, sizeof body, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%.3s}",
                status + 4, status);
  len = g_snprintf (answer, sizeof answer,
                    "HTTP/1.1 %s\r\n"
                    "Content-Type: application/problem+json\r\n"
                    "Content-Length: %d\r\n"
                    "Connection: close\r\n\r\n%s",
                    status, body_len, body);

  /* unread bytes would turn our end into a reset, and the answer would be lost with it; one who
   * goes on sending for ever loses it */
  for (guint i = 0; i < DRAIN_READS_MAX; i++)
    if (recv (self->watch.fd, buffer, CHOIR_REACTOR_BUFFER_SIZE, MSG_DONTWAIT) <= 0)
      break;
  send (self->watch.fd, answer, (gsize) len, MSG_NOSIGNAL | MSG_DONTWAIT);
  *choir_hub_get_stats (self->listener->gateway->hub)->rejected += 1;
  drop (self);
}

/* No ordinary handshake: for the HTTP library, if its head is in order and all there */
static void
judge (ChoirArrival *self, const char *data, gsize len, gboolean ended)
{
  switch (choir_http_guard_check (data, len))
    {
    case CHOIR_HTTP_GUARD_FINE:
      hand_to_http (self);
      break;

    case CHOIR_HTTP_GUARD_PARTIAL:
      if (len == CHOIR_HTTP_HEAD_MAX)
        refuse_head (self, "431 Request Header Fields Too Large");
      else if (ended)
        drop (self);
      break;

    case CHOIR_HTTP_GUARD_BAD:
    default:
      refuse_head (self, "400 Bad Request");
    }
}

static void
look (ChoirArrival *self, gboolean ended)
{
  const char *buffer = (const char *) choir_reactor_get_buffer (self->listener->gateway->reactor);
  gssize n = recv (self->watch.fd, (void *) buffer, CHOIR_HTTP_HEAD_MAX, MSG_PEEK | MSG_DONTWAIT);
  ChoirHttpHead head;

  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;

  if (n <= 0)
    {
      drop (self);
      return;
    }

  if (choir_http_head_parse (buffer, n, &head) == CHOIR_HTTP_HEAD_COMPLETE)
    {
      if (try_websocket (self, &head))
        return;

      /* reading the head has ended its parts with NULs */
      n = recv (self->watch.fd, (void *) buffer, CHOIR_HTTP_HEAD_MAX, MSG_PEEK | MSG_DONTWAIT);
    }

  if (n > 0)
    judge (self, buffer, n, ended);
  else
    drop (self);
}

static void
watch_ready (ChoirWatch *watch, guint32 events)
{
  look (CHOIR_CONTAINER_OF (watch, ChoirArrival, watch),
        (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
}

static void
watch_flush (ChoirWatch *watch)
{
}

static void
watch_reap (ChoirWatch *watch)
{
  g_free (CHOIR_CONTAINER_OF (watch, ChoirArrival, watch));
}

static const ChoirWatchFuncs watch_funcs = { watch_ready, watch_flush, watch_reap };

/* A TLS handshake under way */
typedef struct
{
  ChoirListener *listener;
  GIOStream *tls; /* (owned) */
  ChoirTimer timer;
  ChoirAddress peer;
  int fd;
  gboolean has_peer;
  gboolean counted;
} TlsArrival;

static void
tls_deadline_cb (ChoirTimer *timer)
{
  TlsArrival *self = CHOIR_CONTAINER_OF (timer, TlsArrival, timer);

  shutdown (self->fd, SHUT_RDWR);
}

static void
handshake_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  TlsArrival *self = user_data;
  ChoirListener *listener = self->listener;
  const ChoirAddress *admitted = self->counted ? &self->peer : NULL;

  choir_timer_disarm (&self->timer);
  listener->n_handshakes--;

  if (g_tls_connection_handshake_finish (G_TLS_CONNECTION (source), result, NULL))
    choir_http_server_take (listener->http, self->tls, self->fd,
                            self->has_peer ? &self->peer : NULL, admitted);
  else
    choir_admission_leave (listener->gateway->admission, admitted);

  g_object_unref (self->tls);
  g_free (self);
}

static void
begin_tls (ChoirListener *listener, int fd, const ChoirAddress *peer, gboolean counted)
{
  static const char *const protocols[] = { "http/1.1", NULL };
  g_autoptr (GSocketConnection) stream = wrap_socket (fd);
  TlsArrival *self;
  GIOStream *tls = NULL;

  if (stream != NULL)
    tls = g_tls_server_connection_new (G_IO_STREAM (stream), listener->certificate, NULL);

  if (tls == NULL)
    {
      choir_admission_leave (listener->gateway->admission, counted ? peer : NULL);
      return;
    }

  self = g_new0 (TlsArrival, 1);
  self->listener = listener;
  self->tls = tls;
  self->fd = fd;
  self->has_peer = peer != NULL;
  self->counted = counted;
  if (peer != NULL)
    self->peer = *peer;

  listener->n_handshakes++;
  g_tls_connection_set_advertised_protocols (G_TLS_CONNECTION (tls), (const char **) protocols);
  choir_timer_wheel_arm (listener->gateway->wheel, &self->timer, listener->gateway->handshake_us,
                         tls_deadline_cb);
  g_tls_connection_handshake_async (G_TLS_CONNECTION (tls), G_PRIORITY_DEFAULT,
                                    listener->cancellable, handshake_cb, self);
}

/* Takes an accepted descriptor and its place in the admission */
void
choir_arrival_begin (ChoirListener *listener, int fd, const ChoirAddress *peer, gboolean counted)
{
  ChoirArrival *self;

  if (listener->certificate != NULL)
    {
      begin_tls (listener, fd, peer, counted);
      return;
    }

  self = g_new0 (ChoirArrival, 1);
  self->listener = listener;
  self->watch.funcs = &watch_funcs;
  self->watch.fd = fd;
  self->has_peer = peer != NULL;
  self->counted = counted;
  if (peer != NULL)
    self->peer = *peer;

  if (!choir_reactor_add (listener->gateway->reactor, &self->watch, EPOLLIN | EPOLLRDHUP | EPOLLET))
    {
      choir_admission_leave (listener->gateway->admission, counted ? peer : NULL);
      close (fd);
      g_free (self);
      return;
    }

  g_hash_table_add (listener->arrivals, self);
  choir_timer_wheel_arm (listener->gateway->wheel, &self->timer, listener->gateway->handshake_us,
                         deadline_cb);
  look (self, FALSE);
}

/* Drops those that have not said what they want; TLS handshakes end through the cancellable */
void
choir_arrival_cancel_all (ChoirListener *listener)
{
  g_autoptr (GList) arrivals = g_hash_table_get_keys (listener->arrivals);

  for (GList *l = arrivals; l != NULL; l = l->next)
    drop (l->data);
}
